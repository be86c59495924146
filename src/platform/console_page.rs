//! The console's files, as the platform serves them at its own names: never at a console session's, which the
//! door hands to the device. They stand in the binary (`build/console.rs`); what they do is `web/`'s. A build
//! that was made without them says so.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_NONE_MATCH, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;

use super::api::{etag, matches};

/// Only what comes from here runs or shows, it speaks to nobody else, and it stands in nobody's frame. No text
/// becomes a program or markup, wherever it came from.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'",
);
/// The page; every address of the console leads to it.
const PAGE: &str = "/index.html";
/// Files under here have a name that follows from what is in them.
const HASHED: &str = "/assets/";
/// What is somebody else's, whatever is asked for there.
const NOT_OURS: [&str; 3] = ["/api", "/v1", "/.fleetwire"];

/// A file of the console.
struct File {
    path: &'static str,
    media_type: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// What names the page as it is in this binary.
static PAGE_ETAG: LazyLock<Option<HeaderValue>> =
    LazyLock::new(|| file(PAGE).and_then(|page| etag(page.plain)));

/// Whether this build has the console.
pub fn is_embedded() -> bool {
    file(PAGE).is_some()
}

/// Answers what is asked of the console; `None` where it is not the console's to answer.
pub(super) fn answer(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
    let path = uri.path();
    let under = |prefix: &str| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if !matches!(*method, Method::GET | Method::HEAD) || NOT_OURS.into_iter().any(under) {
        return None;
    }
    if path != PAGE
        && let Some(file) = file(path)
    {
        return Some(serve(file, headers));
    }
    // A program that asks for what is not there is told so; a person who opened or reloaded an address of
    // the console gets the page, which knows its own addresses.
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let by_a_person = accept.is_some_and(|accept| accept.contains("text/html"));
    if path.starts_with(HASHED) || (path != "/" && !by_a_person) {
        return None;
    }
    Some(file(PAGE).map_or_else(not_embedded, |page| serve(page, headers)))
}

fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

fn serve(file: &'static File, headers: &HeaderMap) -> Response {
    let is_page = file.path == PAGE;
    let etag = PAGE_ETAG.clone().filter(|_| is_page);
    let unchanged = etag
        .as_ref()
        .is_some_and(|etag| matches(headers, &IF_NONE_MATCH, etag));
    let gzip = file.gzip.filter(|_| takes_gzip(headers));
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let body = Body::from(Bytes::from_static(gzip.unwrap_or(file.plain)));
        ([(CONTENT_TYPE, file.media_type)], body).into_response()
    };
    let fields = response.headers_mut();
    if gzip.is_some() && !unchanged {
        fields.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Some(etag) = etag {
        fields.insert(ETAG, etag);
    }
    fields.insert(VARY, HeaderValue::from_static("accept-encoding"));
    let kept = if file.path.starts_with(HASHED) {
        "public, max-age=31536000, immutable"
    } else {
        // Kept, and asked for again each time: another version may serve another.
        "no-cache"
    };
    fields.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
    guarded(response)
}

/// Whether the client takes gzip: it names it, and not in order to say no.
fn takes_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT_ENCODING).iter().any(|list| {
        let list = list.to_str().unwrap_or_default();
        list.split(',').any(|item| {
            let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
            let refused = weight
                .trim()
                .strip_prefix("q=")
                .is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0));
            coding.trim().eq_ignore_ascii_case("gzip") && !refused
        })
    })
}

/// What is said where this build has no console.
fn not_embedded() -> Response {
    const TEXT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
        <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\
        <title>No console in this build</title><h1>No console in this build</h1>\
        <p>This platform runs, and its <a href=\"/api/docs\">API</a> and the command <code>fleetwire</code> \
        do all that the console does. The console was not there when the program was built: run \
        <code>make web</code>, which wants Node.js, and build again.</p></html>\n";
    let kind = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    guarded((StatusCode::NOT_FOUND, kind, TEXT).into_response())
}

fn guarded(mut response: Response) -> Response {
    let fields = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ] {
        fields.insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, path: &'static str, accept: &'static str) -> Option<StatusCode> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        let uri = Uri::from_static(path);
        answer(&method, &uri, &headers).map(|response| response.status())
    }

    #[test]
    fn people_get_the_page_at_its_addresses_and_nothing_else_is_taken() {
        const PERSON: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
        let page = Some(if is_embedded() {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        });
        for path in ["/", "/hosts", "/hosts/0190b2c4", "/index.html", "/apiary"] {
            assert_eq!(asked(Method::GET, path, PERSON), page, "{path}");
        }
        assert_eq!(asked(Method::HEAD, "/", "*/*"), page);
        assert_eq!(asked(Method::GET, "/hosts", "application/json"), None);
        assert_eq!(asked(Method::POST, "/hosts", PERSON), None);
        for path in [
            "/api",
            "/api/hosts/x/y",
            "/v1/agent",
            "/.fleetwire/enter",
            "/assets/none.js",
        ] {
            assert_eq!(asked(Method::GET, path, PERSON), None, "{path}");
        }
    }

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        for (value, takes) in [
            ("gzip, deflate, br", true),
            ("br;q=1, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(takes_gzip(&headers), takes, "{value}");
        }
    }
}
