//! An answer's body on its way from the tunnel to the browser: each piece as it comes, a known
//! length kept known, and an end that the browser can tell from a break (rules 13 and 15). The
//! other direction is `upload`'s.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use thiserror::Error;

use super::response;
use crate::{
    net::stream::{RecvHalf, StreamError},
    platform::sessions::{CloseReason, Session},
};

/// What a session's origin answers with. Dropping it tells the device that the viewer left.
pub struct Body(Kind);

enum Kind {
    Empty,
    /// All of it, in the message that carried the head.
    Whole(Bytes),
    Stream(Box<Stream>),
}

/// Why a body broke off: hyper then breaks the connection off too, so that nobody takes the part
/// for the whole.
#[derive(Debug, Error)]
pub enum BodyError {
    /// The agent or the connection to it.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The session was closed.
    #[error("the console session has ended: {0}")]
    SessionEnded(CloseReason),
    /// The device sent another number of bytes than its answer's head said.
    #[error("the body is not as long as the answer said")]
    Length,
}

impl Body {
    /// No body.
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A body that is there already.
    pub fn whole(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self(Kind::Empty)
        } else {
            Self(Kind::Whole(bytes))
        }
    }

    /// A body that comes, with its length where that is known.
    pub fn stream(recv: RecvHalf, length: Option<u64>, session: Arc<Session>) -> Self {
        Self(Kind::Stream(Box::new(Stream {
            recv,
            remaining: length,
            ended: false,
            closed: Box::pin(async move { session.closed().await }),
        })))
    }
}

impl From<Full<Bytes>> for Body {
    fn from(mut full: Full<Bytes>) -> Self {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match Pin::new(&mut full).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => Self::whole(frame.into_data().unwrap_or_default()),
            _ => Self::empty(),
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream(stream) => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Whole(_) => false,
            Kind::Stream(stream) => stream.ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(stream) => stream
                .remaining
                .map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

struct Stream {
    recv: RecvHalf,
    /// Bytes still to come, where the length is known.
    remaining: Option<u64>,
    /// Nothing comes any more, trailers included.
    ended: bool,
    closed: Pin<Box<dyn Future<Output = CloseReason> + Send>>,
}

impl Stream {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(reason) = self.closed.as_mut().poll(cx) {
            self.ended = true;
            return Poll::Ready(Some(Err(BodyError::SessionEnded(reason))));
        }
        let item = match ready!(self.recv.poll_data(cx)) {
            Some(Ok(piece)) => {
                let item = self.count(piece.len()).map(|()| Frame::data(piece));
                // hyper lets go of a body that has all its bytes. The end most often came with the
                // last of them: taken here, it spares the agent a needless stop.
                if self.remaining == Some(0) && matches!(self.recv.poll_data(cx), Poll::Ready(None))
                {
                    self.ended = true;
                }
                item
            }
            Some(Err(error)) => Err(error.into()),
            None => {
                self.ended = true;
                let trailers = response::trailers(&self.recv.trailers());
                match self.remaining {
                    Some(1..) => Err(BodyError::Length),
                    _ if trailers.is_empty() => return Poll::Ready(None),
                    _ => Ok(Frame::trailers(trailers)),
                }
            }
        };
        self.ended |= item.is_err();
        Poll::Ready(Some(item))
    }

    fn count(&mut self, bytes: usize) -> Result<(), BodyError> {
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining
                .checked_sub(bytes as u64)
                .ok_or(BodyError::Length)?;
        }
        Ok(())
    }
}
