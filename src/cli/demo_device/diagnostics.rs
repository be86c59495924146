//! Answers that are awkward on purpose, to try a proxy with: late ones, a head that leaves before
//! its body, trailers.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hyper::body::Frame;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{StatusCode, Uri};

use super::reply::{self, Reply};
use super::routes::query;

/// A minute is as long as a test may want to wait.
const SLOW_MS_MAX: u64 = 60_000;
/// The answer repeats the id; this keeps it short.
const SLOW_ID_BYTES_MAX: usize = 64;
/// How many lines the answer of `/slow` has.
const SLOW_LINES: usize = 64;

const TRAILER: HeaderName = HeaderName::from_static("x-demo-trailer");

/// `?ms=N&id=X`: after N milliseconds, 64 lines that each say X.
pub(super) async fn slow(uri: &Uri) -> Reply {
    let id = query(uri, "id").unwrap_or_default();
    let wait_ms: Result<u64, _> = query(uri, "ms").map_or(Ok(0), str::parse);
    match wait_ms {
        Ok(wait_ms @ ..=SLOW_MS_MAX) if id.len() <= SLOW_ID_BYTES_MAX => {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            reply::text(StatusCode::OK, format!("{id}\n").repeat(SLOW_LINES))
        }
        _ => reply::text(StatusCode::BAD_REQUEST, "ms to 60000, id to 64 bytes\n"),
    }
}

/// Head and body, of known length, in two writes.
pub(super) fn split_head() -> Reply {
    const BODY: &str = "the head came first\n";
    let body = stream::once(async {
        // hyper flushes what it has, the head, when the body is not ready.
        tokio::task::yield_now().await;
        Bytes::from_static(BODY.as_bytes())
    });
    let reply = reply::pieces(reply::TEXT, body);
    reply::with_number(reply, header::CONTENT_LENGTH, BODY.len() as u64)
}

/// A chunked answer with a trailer, which hyper sends to who says `TE: trailers`.
pub(super) fn trailers() -> Reply {
    let mut trailers = HeaderMap::new();
    trailers.insert(TRAILER, HeaderValue::from_static("the end"));
    let data = Frame::data(Bytes::from_static(b"a trailer follows\n"));
    let frames = stream::iter([data]).chain(stream::iter([Frame::trailers(trailers)]));
    let mut reply = reply::frames(reply::TEXT, frames);
    reply.headers_mut().insert(header::TRAILER, TRAILER.into());
    reply
}
