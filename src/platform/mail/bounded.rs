//! A connection to a mail server that gives no more than any such dialogue needs, whatever the server sends.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most that a server may say in one dialogue: some tens of lines, and a TLS handshake.
const READ_BYTES_MAX: usize = 256 * 1024;

/// What is spoken over.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Connection for S {}

/// A connection with an end to what is read of it.
pub(super) struct Bounded {
    peer: SocketAddr,
    stream: Box<dyn Connection>,
    /// What is read before all else.
    first: &'static [u8],
    left: usize,
}

impl Bounded {
    /// Bounds a connection to that peer, of which `first` is read first.
    pub(super) fn new(peer: SocketAddr, first: &'static [u8], stream: Box<dyn Connection>) -> Self {
        Self {
            peer,
            stream,
            first,
            left: READ_BYTES_MAX,
        }
    }
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a connection to {}", self.peer)
    }
}

impl AsyncTokioStream for Bounded {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let (now, later) = self
                .first
                .split_at(self.first.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.first = later;
            return Poll::Ready(Ok(()));
        }
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other("the server says too much")));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        self.left = self.left.saturating_sub(read);
        polled
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_server_without_end_is_left() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let writing =
            tokio::spawn(async move { while theirs.write_all(&[b'a'; 1024]).await.is_ok() {} });
        let peer = "127.0.0.1:25".parse().expect("an address");
        let mut stream = Bounded::new(peer, b"first", Box::new(ours));
        let mut all = Vec::new();
        let error = stream.read_to_end(&mut all).await.expect_err("an end");
        assert_eq!(error.to_string(), "the server says too much");
        assert!(all.starts_with(b"firsta"));
        assert!(all.len() <= READ_BYTES_MAX + 64 * 1024, "{}", all.len());
        drop(stream);
        writing.await.expect("it ends");
    }
}
