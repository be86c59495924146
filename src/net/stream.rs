//! What a program holds of a stream: a half that sends and a half that receives. Both act on the
//! link at once, under its lock; the connection's own task puts on the wire what comes of it.

use super::connection::Connection;
use crate::{
    link::{Agent, Platform, Received, Side, StreamKey},
    wire::{
        fields::FieldLines,
        messages::{ErrorCode, HttpRequest, HttpResponse},
    },
};
use bytes::Bytes;
use std::{
    future::poll_fn,
    task::{Context, Poll},
};

pub use crate::link::StreamError;

/// The platform's handle to a connected host.
pub type Tunnel = Connection<Platform>;

impl Connection<Platform> {
    /// Opens a stream. The request's id is set by the link; sending waits inside.
    pub fn open(&self, request: HttpRequest) -> Result<(SendHalf, RecvHalf), StreamError> {
        let key = self.act(|link, now| link.open(request, now))?;
        Ok(self.halves(key))
    }
}

impl<S: Side> Connection<S> {
    /// The two halves of a stream that has just begun.
    pub fn halves(&self, key: StreamKey) -> (SendHalf<S>, RecvHalf<S>) {
        let send = SendHalf {
            connection: self.clone(),
            key,
        };
        (
            send,
            RecvHalf {
                connection: self.clone(),
                key,
            },
        )
    }
}

/// The direction of a stream that this side sends. Dropped before [`SendHalf::finish`], it is reset.
#[derive(Debug)]
pub struct SendHalf<S: Side = Platform> {
    connection: Connection<S>,
    key: StreamKey,
}

impl SendHalf<Agent> {
    /// Sends a head: interim ones, then the final one. One whose body does not follow ends the
    /// direction.
    pub fn send_head(&mut self, head: HttpResponse) -> Result<(), StreamError> {
        self.connection
            .act(|link, now| link.send_head(self.key, head, now))
    }
}

impl<S: Side> SendHalf<S> {
    /// Whether there is room for another piece.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.connection
            .poll_stream(self.key, |link, wakers| match link.has_room(self.key) {
                Ok(true) => Poll::Ready(Ok(())),
                Ok(false) => {
                    wakers.wait_to_write(cx);
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(error)),
            })
    }

    /// Sends a piece of any size. Ask [`Self::poll_ready`] first.
    pub fn send(&mut self, piece: Bytes) -> Result<(), StreamError> {
        self.connection
            .act(|link, now| link.send_data(self.key, piece, now))
    }

    /// Sends a piece once there is room.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), StreamError> {
        poll_fn(|cx| self.poll_ready(cx)).await?;
        self.send(piece)
    }

    /// Ends the direction after what was sent.
    pub fn finish(&mut self, trailers: FieldLines) {
        self.connection
            .act(|link, now| link.finish(self.key, trailers, now));
    }

    /// Ends the direction now.
    pub fn reset(self, code: ErrorCode, message: &str) {
        self.connection
            .act(|link, _| link.reset(self.key, code, message));
    }

    /// Waits until the peer wants no more of this direction, or the connection is gone.
    pub fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<StreamError> {
        self.connection
            .poll_stream(self.key, |link, wakers| match link.stopped(self.key) {
                Some(error) => Poll::Ready(error),
                None => {
                    wakers.wait_for_stop(cx);
                    Poll::Pending
                }
            })
    }

    /// Waits until the peer wants no more of this direction, or the connection is gone.
    pub async fn stopped(&mut self) -> StreamError {
        poll_fn(|cx| self.poll_stopped(cx)).await
    }
}

impl<S: Side> Drop for SendHalf<S> {
    fn drop(&mut self) {
        self.connection
            .release(self.key, |link, _| link.release_send(self.key));
    }
}

/// The direction of a stream that this side receives. Dropped before its end, it is stopped.
#[derive(Debug)]
pub struct RecvHalf<S: Side = Platform> {
    connection: Connection<S>,
    key: StreamKey,
}

impl RecvHalf<Platform> {
    /// The next head of the answer: interim ones (100 to 199 but 101), then the final one. Its
    /// body, inline or not, comes out of [`RecvHalf::data`].
    pub async fn head(&mut self) -> Result<HttpResponse, StreamError> {
        poll_fn(|cx| self.poll_head(cx)).await
    }

    /// The same for who polls.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<HttpResponse, StreamError>> {
        self.connection
            .poll_stream(self.key, |link, wakers| match link.read_head(self.key) {
                Some(head) => Poll::Ready(head),
                None => {
                    wakers.wait_to_read(cx);
                    Poll::Pending
                }
            })
    }
}

impl<S: Side> RecvHalf<S> {
    /// The next bytes; `None` at the clean end. Taking them gives their credit back.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamError>>> {
        let now = self.connection.now();
        self.connection
            .poll_stream(self.key, |link, wakers| match link.read(self.key, now) {
                Received::Data(data) => Poll::Ready(Some(Ok(data))),
                Received::End => Poll::Ready(None),
                Received::Failed(error) => Poll::Ready(Some(Err(error))),
                Received::Pending => {
                    wakers.wait_to_read(cx);
                    Poll::Pending
                }
            })
    }

    /// The next bytes; `None` at the clean end.
    pub async fn data(&mut self) -> Option<Result<Bytes, StreamError>> {
        poll_fn(|cx| self.poll_data(cx)).await
    }

    /// The trailers, once, after the clean end.
    pub fn trailers(&mut self) -> FieldLines {
        self.connection.act(|link, _| link.take_trailers(self.key))
    }

    /// Wants no more; the peer is told why.
    pub fn stop(self, code: ErrorCode) {
        self.connection
            .act(|link, now| link.stop(self.key, code, now));
    }
}

impl<S: Side> Drop for RecvHalf<S> {
    fn drop(&mut self) {
        self.connection
            .release(self.key, |link, now| link.release_recv(self.key, now));
    }
}
