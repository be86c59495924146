//! Answers: the body type, the headers that every answer carries, and the short forms in which the
//! routes say what they answer. Nothing here knows a path.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;
pub(super) type Reply = Response<Body>;

/// Sent with every answer. The page needs nothing from elsewhere and nothing inline.
const COMMON: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    // A form's POST keeps its Origin only while the referrer policy lets it be told.
    (header::REFERRER_POLICY, "same-origin"),
];

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// An answer with a body of known length.
pub(super) fn full(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Reply {
    build(status, content_type, Full::new(body.into()).boxed_unsync())
}

/// A short answer in plain words.
pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    full(status, TEXT, body)
}

/// A JSON answer.
pub(super) fn json(value: &serde_json::Value) -> Reply {
    full(StatusCode::OK, "application/json", value.to_string())
}

/// An answer whose pieces come as they are made: chunked, unless the caller adds a Content-Length.
pub(super) fn pieces(
    content_type: &'static str,
    pieces: impl Stream<Item = Bytes> + Send + 'static,
) -> Reply {
    frames(content_type, pieces.map(Frame::data))
}

/// As [`pieces`], with trailers as the last frame if the stream has them.
pub(super) fn frames(
    content_type: &'static str,
    frames: impl Stream<Item = Frame<Bytes>> + Send + 'static,
) -> Reply {
    build(
        StatusCode::OK,
        content_type,
        StreamBody::new(frames.map(Ok)).boxed_unsync(),
    )
}

/// Sends the browser elsewhere.
pub(super) fn redirect(status: StatusCode, location: &str) -> Reply {
    let mut reply = text(status, "");
    match HeaderValue::from_str(location) {
        Ok(location) => {
            reply.headers_mut().insert(header::LOCATION, location);
            reply
        }
        Err(_) => text(StatusCode::BAD_REQUEST, "no such location\n"),
    }
}

/// Adds a header whose value is a number.
pub(super) fn with_number(mut reply: Reply, name: HeaderName, value: u64) -> Reply {
    reply.headers_mut().insert(name, value.into());
    reply
}

fn build(status: StatusCode, content_type: &'static str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in COMMON {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}
