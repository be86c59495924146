//! The socket under a link: a WebSocket over something that counts what comes in and stops a
//! stranger from sending much.

use crate::limits;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error,
        client::IntoClientRequest,
        http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL},
        protocol::{Role, WebSocketConfig},
    },
};

/// The binary encoding's name among the WebSocket's subprotocols.
pub const SUBPROTOCOL_PROTO: &str = "fleetwire.link.v1.proto";
/// The JSON compatibility mode's.
pub const SUBPROTOCOL_JSON: &str = "fleetwire.link.v1.json";
/// Where agents connect.
pub const AGENT_PATH: &str = "/v1/agent/ws";

/// What one read takes. It is zeroed for every read and kept by every idle connection: 16 KiB is a
/// TLS record, and made twice the round trips of 128 KiB.
const READ_BUFFER_BYTES: usize = 16 << 10;
/// What is gathered before it is written without a flush.
const WRITE_BUFFER_BYTES: usize = 128 << 10;
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
    /// A stream whose other end is known.
    const fn trusted(inner: IO) -> Self {
        Self {
            inner,
            received: 0,
            received_max: u64::MAX,
        }
    }

    /// All bytes that were read.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// The peer is no stranger any more.
    pub const fn trust(&mut self) {
        self.received_max = u64::MAX;
    }

    /// Whether a stranger has sent too much.
    pub const fn is_exhausted(&self) -> bool {
        self.received >= self.received_max
    }
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
            std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        } else {
            let mut part = buf.take(left);
            std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
            let length = part.filled().len();
            buf.advance(length);
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
pub type Socket<IO> = WebSocketStream<Counted<IO>>;

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(2 * WRITE_BUFFER_BYTES + limits::MESSAGE_BYTES_MAX)
        .max_message_size(Some(limits::MESSAGE_BYTES_MAX))
        .max_frame_size(Some(limits::MESSAGE_BYTES_MAX))
}

/// The platform's end of a WebSocket, after its answer to the upgrade: the peer is a stranger until
/// the link knows it.
/// `early` is what came right behind the handshake.
pub async fn accepted<IO>(io: IO, early: Vec<u8>) -> Socket<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    // The frame of a hello has a header of its own, of 14 bytes at most (RFC 6455 section 5.2).
    let received_max = limits::HELLO_BYTES_MAX as u64 + 14;
    let io = Counted {
        inner: io,
        received: early.len() as u64,
        received_max: received_max.max(early.len() as u64),
    };
    WebSocketStream::from_partially_read(io, early, Role::Server, Some(config())).await
}

/// The agent's end of a WebSocket: the opening handshake, with one subprotocol offered.
///
/// # Errors
/// When the platform does not switch protocols.
pub async fn connect<IO>(url: &str, subprotocol: &'static str, io: IO) -> Result<Socket<IO>, Error>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = url.into_client_request()?;
    let headers = request.headers_mut();
    headers.insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(subprotocol),
    );
    let (socket, _) =
        client_async_with_config(request, Counted::trusted(io), Some(config())).await?;
    Ok(socket)
}

/// The agent's end of a WebSocket whose handshake is done already.
#[cfg(test)]
pub async fn connected<IO: AsyncRead + AsyncWrite + Unpin>(io: IO) -> Socket<IO> {
    WebSocketStream::from_raw_socket(Counted::trusted(io), Role::Client, Some(config())).await
}
