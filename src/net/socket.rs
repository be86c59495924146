//! The socket under a link: a WebSocket over something that counts what comes in and stops a
//! stranger from sending much.

use crate::{
    limits, secret,
    wire::websocket::{Broken, Event, HEADER_BYTES_MAX, MESSAGE_BYTES_MAX, Reader, Role, Writer},
};
use bytes::{Bytes, BytesMut};
use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// The binary encoding's name among the WebSocket's subprotocols.
pub const SUBPROTOCOL_PROTO: &str = "fleetwire.link.v1.proto";
/// The JSON compatibility mode's.
pub const SUBPROTOCOL_JSON: &str = "fleetwire.link.v1.json";
/// Where agents connect.
pub const AGENT_PATH: &str = "/v1/agent/ws";

/// Unsent bytes in the kernel above which the socket takes no more: what is there can no longer be
/// overtaken. Measured at 100 Mbit/s: 126 ms of queueing without, 38 ms with it.
const NOT_SENT_LOW_WATER: u32 = 16 << 10;

/// Sets what a link needs of its TCP socket: no waiting for more to send, and a short queue.
pub fn tune(socket: &tokio::net::TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(socket).set_tcp_notsent_lowat(NOT_SENT_LOW_WATER)?;
    Ok(())
}

/// A stream that counts what is read from it, and that ends where a stranger sends too much.
#[derive(Debug)]
pub struct Counted<IO> {
    inner: IO,
    received: u64,
    received_max: u64,
}

impl<IO> Counted<IO> {
    const fn is_stranger(&self) -> bool {
        self.received_max != u64::MAX
    }

    /// Whether a stranger has sent too much.
    const fn is_exhausted(&self) -> bool {
        self.received >= self.received_max
    }
}

/// Reads `most` bytes at most, for which there is room.
fn read_part(
    io: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
    most: usize,
) -> Poll<io::Result<()>> {
    let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
    ready!(Pin::new(io).poll_read(cx, &mut part))?;
    let read = part.filled().len();
    buf.advance(read);
    Poll::Ready(Ok(()))
}

impl<IO: AsyncRead + Unpin> AsyncRead for Counted<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = usize::try_from(self.received_max - self.received).unwrap_or(usize::MAX);
        if left == 0 {
            return Poll::Ready(Err(io::Error::other("the first message is too long")));
        }
        let before = buf.filled().len();
        if left >= buf.remaining() {
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        } else {
            ready!(read_part(&mut self.inner, cx, buf, left))?;
        }
        self.received += (buf.filled().len() - before) as u64;
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Counted<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A WebSocket whose opening handshake is done.
#[derive(Debug)]
pub struct Socket<IO> {
    io: Counted<IO>,
    role: Role,
    reader: Reader,
    writer: Writer,
    /// The newest ping's bytes, to be answered once what is queued has left (RFC 6455 section 5.5.3).
    ping: Option<Bytes>,
    /// A close frame is queued or sent: nothing may follow it.
    closing: bool,
    /// The peer's close frame has come.
    closed: bool,
    /// Nothing more can be read.
    ended: bool,
}

/// Why nothing more can be read.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// What comes is no WebSocket.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// A stranger's first message is longer than one is given memory for.
    #[error("the first message is too long")]
    Stranger,
    /// The peer has closed without a close frame.
    #[error("the peer closed without a word")]
    Ended,
    /// The operating system or TLS says so.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Socket<IO> {
    fn new(io: Counted<IO>, role: Role, early: &[u8]) -> Self {
        Self {
            io,
            role,
            reader: Reader::new(role, early),
            writer: Writer::new(role, secret::random),
            ping: None,
            closing: false,
            closed: false,
            ended: false,
        }
    }

    /// The peer is no stranger any more.
    pub const fn trust(&mut self) {
        self.io.received_max = u64::MAX;
        self.reader.limit(MESSAGE_BYTES_MAX);
    }

    /// The peer may go on, though never with a message longer than this.
    pub const fn trust_little(&mut self, message_bytes_max: usize) {
        self.io.received_max = u64::MAX;
        self.reader.limit(message_bytes_max);
    }

    /// Asks the peer whether it is there: its answer is a [`Event::Pong`].
    pub fn ping(&mut self) {
        if !self.closing {
            self.writer.ping();
        }
    }

    /// The stream below.
    pub const fn io(&mut self) -> &mut Counted<IO> {
        &mut self.io
    }

    /// All bytes that were read.
    pub const fn received(&self) -> u64 {
        self.io.received
    }

    /// What comes next; `None` after an error, or once the peer has closed. A ping is answered, and so
    /// is a close frame; either answer leaves with the next flush.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, SocketError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match ready!(self.poll_event(cx)) {
            Ok(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Ok(Some(event)) => {
                match &event {
                    Event::Ping(payload) if !self.closing => self.ping = Some(payload.clone()),
                    Event::Close(closing) => {
                        self.closed = true;
                        let code = closing.as_ref().map(|(code, _)| (*code, ""));
                        self.close(code);
                    }
                    _ => {}
                }
                Poll::Ready(Some(Ok(event)))
            }
            Err(error) => {
                self.ended = true;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>, SocketError>> {
        loop {
            if !self.closed {
                match self.reader.read() {
                    Ok(Some(event)) => return Poll::Ready(Ok(Some(event))),
                    Ok(None) => {}
                    Err(Broken::TooLong) if self.io.is_stranger() => {
                        return Poll::Ready(Err(SocketError::Stranger));
                    }
                    Err(broken) => return Poll::Ready(Err(broken.into())),
                }
            } else if self.role == Role::Server {
                // The server closes first (RFC 6455 section 7.1.1).
                return Poll::Ready(Ok(None));
            }
            let space = self.reader.space();
            if self.closed {
                space.clear();
            }
            let read = pin!(self.io.read_buf(space)).poll(cx);
            match read {
                Poll::Ready(Ok(0)) if self.closed => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(SocketError::Ended)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) if self.io.is_exhausted() => {
                    return Poll::Ready(Err(SocketError::Stranger));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    self.reader.rest();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Queues a message: what `encode` appends. Returns how long it is; nothing is queued behind a
    /// close frame. What is queued is bounded by who queues: flush before much more.
    pub fn queue(&mut self, text: bool, encode: impl FnOnce(&mut BytesMut)) -> usize {
        if self.closing {
            return 0;
        }
        self.writer.message(text, encode)
    }

    /// Queues a close frame, where none is yet.
    pub fn close(&mut self, closing: Option<(u16, &str)>) {
        if !std::mem::replace(&mut self.closing, true) {
            self.ping = None;
            self.writer.close(closing);
        }
    }

    /// Whether something waits to be flushed.
    pub fn is_unsent(&self) -> bool {
        self.ping.is_some() || !self.writer.unsent().is_empty()
    }

    /// Sends what is queued.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while !self.writer.unsent().is_empty() {
                let io = Pin::new(&mut self.io);
                match ready!(io.poll_write(cx, self.writer.unsent()))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    sent => self.writer.advance(sent),
                }
            }
            // Not before: the answers to a peer that asks on and reads nothing would pile up.
            match self.ping.take() {
                Some(payload) => self.writer.pong(&payload),
                None => break,
            }
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }
}

/// The platform's end of a WebSocket, after its answer to the upgrade: the peer is a stranger until
/// the link knows it.
/// `early` is what came right behind the handshake.
pub fn accepted<IO>(io: IO, early: &[u8]) -> Socket<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let received_max = (limits::HELLO_BYTES_MAX + HEADER_BYTES_MAX) as u64;
    let io = Counted {
        inner: io,
        received: early.len() as u64,
        received_max: received_max.max(early.len() as u64),
    };
    let mut socket = Socket::new(io, Role::Server, early);
    socket.reader.limit(limits::HELLO_BYTES_MAX);
    socket
}

/// The agent's end of a WebSocket whose handshake is done already.
/// `early` is what came right behind it.
pub fn connected<IO>(io: IO, early: &[u8]) -> Socket<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let io = Counted {
        inner: io,
        received: early.len() as u64,
        received_max: u64::MAX,
    };
    Socket::new(io, Role::Client, early)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

    /// What a pipe in memory holds.
    const PIPE_BYTES: usize = 64;

    fn pair() -> (DuplexStream, Socket<DuplexStream>) {
        let (near, far) = duplex(PIPE_BYTES);
        (near, accepted(far, &[]))
    }

    /// Asks as a client does, with a mask that changes nothing.
    async fn ping(client: &mut DuplexStream, socket: &mut Socket<DuplexStream>, payload: [u8; 2]) {
        let header = [0x89, 0x82, 0, 0, 0, 0];
        let frame = [&header[..], &payload].concat();
        client.write_all(&frame).await.expect("taken");
        let event = poll_fn(|cx| socket.poll_next(cx)).await;
        assert!(matches!(event, Some(Ok(Event::Ping(_)))), "{event:?}");
    }

    async fn flush(socket: &mut Socket<DuplexStream>) -> bool {
        let flushed = poll_fn(|cx| Poll::Ready(socket.poll_flush(cx))).await;
        flushed.is_ready()
    }

    #[tokio::test]
    async fn a_peer_that_asks_on_and_reads_nothing_is_answered_once() {
        let (mut client, mut socket) = pair();
        let message = 2 * PIPE_BYTES;
        socket.queue(false, |out| out.resize(out.len() + message, 7));
        for number in 0..1000_u16 {
            ping(&mut client, &mut socket, number.to_be_bytes()).await;
            assert!(!flush(&mut socket).await, "nobody reads");
        }
        assert!(socket.writer.unsent().len() <= message);
        // Once it reads, it has the message and the answer to what it asked last.
        let mut read = vec![0; 4 + message + 4];
        let reading = client.read_exact(&mut read);
        let flushing = poll_fn(|cx| socket.poll_flush(cx));
        let (flushed, whole) = tokio::join!(flushing, reading);
        flushed.expect("sent");
        whole.expect("read");
        let [high, low] = 999_u16.to_be_bytes();
        assert_eq!(read[4 + message..], [0x8a, 2, high, low]);
        assert!(!socket.is_unsent());
    }

    #[tokio::test]
    async fn nothing_follows_a_close_frame() {
        let (mut client, mut socket) = pair();
        ping(&mut client, &mut socket, *b"it").await;
        socket.close(Some((1001, "")));
        assert_eq!(socket.queue(false, |out| out.extend_from_slice(b"late")), 0);
        ping(&mut client, &mut socket, *b"hm").await;
        assert!(flush(&mut socket).await);
        drop(socket);
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.expect("read");
        assert_eq!(read, [0x88, 2, 0x03, 0xe9]);
    }

    #[tokio::test]
    async fn a_stranger_who_only_claims_a_long_message_is_refused_by_its_header() {
        let (mut client, mut socket) = pair();
        let length = (limits::HELLO_BYTES_MAX as u64 + 1).to_be_bytes();
        let header = [&[0x82, 0xff][..], &length, &[0; 4]].concat();
        client.write_all(&header).await.expect("taken");
        let refused = poll_fn(|cx| Poll::Ready(socket.poll_next(cx))).await;
        assert!(
            matches!(refused, Poll::Ready(Some(Err(SocketError::Stranger)))),
            "{refused:?}"
        );
        // Of whoever is let in it is taken.
        let (mut client, mut socket) = pair();
        socket.trust();
        client.write_all(&header).await.expect("taken");
        let waits = poll_fn(|cx| Poll::Ready(socket.poll_next(cx).is_pending())).await;
        assert!(waits);
    }
}
