//! What describes the API, served beside it, to anyone: it says nothing of this platform that the
//! sources do not say. All of it is generated in the build and stands in the binary.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::rest::matches;
use crate::platform::Platform;

/// The OpenAPI document.
pub const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// The AsyncAPI document: what goes over WebSockets.
pub const ASYNCAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/asyncapi.json"));
/// The page for readers, and its style.
const PAGE: &str = include_str!(concat!(env!("OUT_DIR"), "/api_page.html"));
const STYLE: &str = include_str!("../../../build/api_page.css");

/// A page here runs nothing, loads nothing from elsewhere, and stands in nobody's frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// A text in the binary, as it is served.
struct Document {
    media_type: &'static str,
    text: &'static str,
    etag: LazyLock<Option<HeaderValue>>,
}

static DOCUMENTS: [(&str, Document); 4] = [
    (
        "/api/openapi.json",
        Document {
            media_type: "application/json",
            text: OPENAPI,
            etag: LazyLock::new(|| etag(OPENAPI)),
        },
    ),
    (
        "/api/asyncapi.json",
        Document {
            media_type: "application/json",
            text: ASYNCAPI,
            etag: LazyLock::new(|| etag(ASYNCAPI)),
        },
    ),
    (
        "/api/docs",
        Document {
            media_type: "text/html; charset=utf-8",
            text: PAGE,
            etag: LazyLock::new(|| etag(PAGE)),
        },
    ),
    (
        "/api/docs.css",
        Document {
            media_type: "text/css; charset=utf-8",
            text: STYLE,
            etag: LazyLock::new(|| etag(STYLE)),
        },
    ),
];

/// The routes of all of them.
pub(super) fn routes() -> Router<Arc<Platform>> {
    let mut router = Router::new();
    for (path, document) in &DOCUMENTS {
        let handler = async |headers: HeaderMap| serve(document, &headers);
        router = router.route(path, get(handler));
    }
    router
}

fn serve(document: &Document, headers: &HeaderMap) -> Response {
    let etag = document.etag.clone();
    let unchanged = etag
        .as_ref()
        .is_some_and(|etag| matches(headers, &IF_NONE_MATCH, etag));
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let body = Body::from(Bytes::from_static(document.text.as_bytes()));
        ([(CONTENT_TYPE, document.media_type)], body).into_response()
    };
    let headers = response.headers_mut();
    if let Some(etag) = etag {
        headers.insert(ETAG, etag);
    }
    for (name, value) in [
        // Kept, and asked for again each time: another version may serve another.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ] {
        headers.insert(name, value);
    }
    response
}

/// Names what is in `text`, as an `ETag` does.
pub fn etag(text: impl AsRef<[u8]>) -> Option<HeaderValue> {
    let digest = Sha256::digest(text.as_ref());
    let hex: String = digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HeaderValue::from_str(&format!("\"{hex}\"")).ok()
}
