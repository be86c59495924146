//! A request's body on its way from the browser to the tunnel (rule 11): a small one of known
//! length goes with the head, any other as it comes, no faster than the device takes it.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap,
    body::{Body as _, Incoming},
};
use tokio::time::timeout;

use super::{refusal::Refusal, request};
use crate::{
    clock::UnixMillis,
    limits::INLINE_BODY_BYTES_MAX,
    net::stream::SendHalf,
    platform::sessions::Session,
    wire::{fields::FieldLines, messages::ErrorCode},
};

/// How long a body that nobody wants any more is still read and thrown away. A browser that is
/// writing would be cut off before it has read the answer that came early (RFC 9112 9.6).
pub const LINGER: Duration = Duration::from_secs(2);

/// Whether a body goes with its request's head. One that waits for a 100 does not: the device may
/// not want it.
pub fn is_inline(body: &Incoming, expects_continue: bool) -> bool {
    let length = body.size_hint().exact();
    !expects_continue && length.is_some_and(|length| length <= INLINE_BODY_BYTES_MAX as u64)
}

/// Reads a body that [`is_inline`].
///
/// # Errors
/// [`Refusal::BodyIncomplete`]
pub async fn read_inline(body: &mut Incoming) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::BodyIncomplete)?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        // Most come in one piece, which is then not copied.
        if first.is_empty() && all.is_empty() {
            first = piece;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&piece);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// Carries a body to its end, to the session's, or until the device wants no more.
pub async fn stream(mut body: Incoming, mut send: SendHalf, session: Arc<Session>) {
    let wanted = tokio::select! {
        wanted = pump(&mut body, &mut send, &session) => {
            drop(send);
            wanted
        }
        _ = session.closed() => {
            send.reset(ErrorCode::SessionEnded, "");
            false
        }
    };
    if !wanted {
        discard(body).await;
    }
}

/// Reads what is left of a body that nobody wants, for a while.
pub async fn discard(mut body: Incoming) {
    let read = async { while let Some(Ok(_)) = body.frame().await {} };
    // Over time or not: the connection ends with the answer.
    let _ = timeout(LINGER, read).await;
}

/// What comes next out of a body.
enum Next {
    Piece(Bytes),
    Trailers(HeaderMap),
    End,
    /// The viewer left, or sent what is no body.
    Broken,
    /// The device, or whatever is on the way to it, takes no more.
    Unwanted,
}

/// Returns whether the device wanted all that there was.
async fn pump(body: &mut Incoming, send: &mut SendHalf, session: &Session) -> bool {
    loop {
        match next(body, send).await {
            Next::Piece(piece) => {
                session.touch(UnixMillis::now());
                if send.send(piece).is_err() {
                    return false;
                }
            }
            Next::Trailers(trailers) => {
                // Over their limit, they are left out: the body itself was whole.
                let trailers = request::trailers(&trailers).unwrap_or_default();
                send.finish(trailers);
                return true;
            }
            Next::End => {
                send.finish(FieldLines::default());
                return true;
            }
            // Dropped before its end, the direction is reset as cancelled.
            Next::Broken => return true,
            Next::Unwanted => return false,
        }
    }
}

/// Waits for room first, so that no more is read from the browser than can be sent on.
async fn next(body: &mut Incoming, send: &mut SendHalf) -> Next {
    poll_fn(|cx| {
        if send.poll_stopped(cx).is_ready() {
            return Poll::Ready(Next::Unwanted);
        }
        match send.poll_ready(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Poll::Ready(Next::Unwanted),
            Poll::Pending => return Poll::Pending,
        }
        Pin::new(&mut *body)
            .poll_frame(cx)
            .map(|frame| match frame {
                None => Next::End,
                Some(Err(_)) => Next::Broken,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) => Next::Piece(piece),
                    Err(frame) => frame.into_trailers().map_or(Next::End, Next::Trailers),
                },
            })
    })
    .await
}
