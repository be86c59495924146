//! The device's answer head as the browser's: which fields end here, which are rewritten, and how
//! long the body is (rules 6, 8, 10 and 15 of the proxy). Redirects and other places where a
//! device names itself are the agent's; the bytes of the body are `body`'s.

use std::str;

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

use super::{
    refusal::Refusal,
    request::members,
    set_cookie::{self, Cookies},
};
use crate::{
    platform::sessions::RESERVED_PREFIX,
    wire::{fields::FieldLines, messages::HttpResponse},
};

/// An answer's head, and how much body follows it.
#[derive(Debug)]
pub struct Translated {
    /// The head for the browser. Where there is a body it is without its length, which hyper makes
    /// from the body's.
    pub head: Response<()>,
    /// How long the body is.
    pub length: Length,
}

/// How long an answer's body is (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// There is none, whatever the fields say: an answer to HEAD, a 204, a 304 or a 101.
    None,
    /// So many bytes.
    Known(u64),
    /// It ends where it ends.
    Unknown,
}

/// Translates the head of a final answer, 101 included. The body in `answer` is not looked at.
///
/// # Errors
/// [`Refusal::AnswerMalformed`].
pub fn translate(
    answer: HttpResponse,
    method: &Method,
    cookies: Cookies<'_>,
) -> Result<Translated, Refusal> {
    let status = u16::try_from(answer.status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok())
        .ok_or(Refusal::AnswerMalformed)?;
    let upgrade = status == StatusCode::SWITCHING_PROTOCOLS;
    let bodiless = upgrade
        || *method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);

    let mut response = Response::new(());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(TYPICAL_FIELDS);
    let mut length = None;
    let mut named_by_connection = false;
    // The values are slices of the message they came in: nothing is copied.
    let bytes = answer.headers.clone().into_bytes();
    for (name, value) in &answer.headers {
        let value = bytes.slice_ref(value);
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Refusal::AnswerMalformed)?;
        match role(&name) {
            Role::Dropped => continue,
            Role::Connection => named_by_connection = true,
            Role::ContentLength => {
                let number = parse_length(&value).ok_or(Refusal::AnswerMalformed)?;
                match length.replace(number) {
                    Some(other) if other != number => return Err(Refusal::AnswerMalformed),
                    // An answer to HEAD keeps the length that GET would have had; only there is no
                    // body from which hyper could make it.
                    None if *method == Method::HEAD => append(headers, name, value)?,
                    _ => {}
                }
            }
            Role::SetCookie => {
                if let Some(line) = set_cookie::rewrite(value, cookies) {
                    append(headers, name, line)?;
                }
            }
            Role::ServiceWorkerAllowed if covers_reserved_prefix(&value) => {}
            Role::Upgrade => {
                if upgrade {
                    append(headers, name, value)?;
                }
            }
            Role::ServiceWorkerAllowed | Role::EndToEnd => append(headers, name, value)?,
        }
    }
    if named_by_connection {
        remove_named(headers, &answer.headers);
    }
    if upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    let length = match length {
        _ if bodiless => Length::None,
        Some(number) => Length::Known(number),
        None => Length::Unknown,
    };
    Ok(Translated {
        head: response,
        length,
    })
}

/// An answer's trailers, without those that concern this connection only.
pub fn trailers(lines: &FieldLines) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let bytes = lines.clone().into_bytes();
    for (name, value) in lines {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            continue;
        };
        if role(&name) == Role::EndToEnd {
            // What is malformed here comes too late to be refused: it is left out.
            let _ = append(&mut trailers, name, bytes.slice_ref(value));
        }
    }
    trailers
}

/// Room for the fields of most answers at once; `HeaderMap` holds three quarters of its slots.
const TYPICAL_FIELDS: usize = 12;

/// What becomes of a field on its way to the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    EndToEnd,
    Connection,
    ContentLength,
    SetCookie,
    ServiceWorkerAllowed,
    Upgrade,
    /// Of the agent's connection only (RFC 9110 7.6.1), or it would bind the browser beyond the
    /// session: to TLS, to another host, to reporting addresses, to no data at all (rule 8).
    Dropped,
}

fn role(name: &HeaderName) -> Role {
    match *name {
        header::CONTENT_LENGTH => Role::ContentLength,
        header::SET_COOKIE => Role::SetCookie,
        header::CONNECTION => Role::Connection,
        header::UPGRADE => Role::Upgrade,
        header::TRANSFER_ENCODING
        | header::TE
        | header::STRICT_TRANSPORT_SECURITY
        | header::ALT_SVC
        | header::PUBLIC_KEY_PINS
        | header::PUBLIC_KEY_PINS_REPORT_ONLY => Role::Dropped,
        _ => match name.as_str() {
            "keep-alive" | "proxy-connection" | "clear-site-data" | "report-to" | "nel" => {
                Role::Dropped
            }
            "service-worker-allowed" => Role::ServiceWorkerAllowed,
            _ => Role::EndToEnd,
        },
    }
}

fn append(headers: &mut HeaderMap, name: HeaderName, value: Bytes) -> Result<(), Refusal> {
    let value = HeaderValue::from_maybe_shared(value).map_err(|_| Refusal::AnswerMalformed)?;
    let appended = headers.try_append(name, value);
    appended.map(|_| ()).map_err(|_| Refusal::AnswerMalformed)
}

/// Removes the fields that the answer's `Connection` names. The agent has done so: this is for one
/// that has not.
fn remove_named(headers: &mut HeaderMap, lines: &FieldLines) {
    for option in lines.get_all("connection").flat_map(members) {
        if let Ok(name) = HeaderName::from_bytes(option)
            && role(&name) == Role::EndToEnd
        {
            headers.remove(name);
        }
    }
}

/// A number, or the same number several times (RFC 9110 8.6).
fn parse_length(value: &[u8]) -> Option<u64> {
    let mut length = None;
    for member in members(value) {
        if !member.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = str::from_utf8(member).ok()?.parse().ok()?;
        if length.is_some_and(|other: u64| other != number) {
            return None;
        }
        length = Some(number);
    }
    length
}

/// Whether a service worker of this widened scope could answer for the platform's own pages. Only
/// an absolute path in its plainest form is judged; what would first have to be resolved is taken
/// for covering.
fn covers_reserved_prefix(scope: &[u8]) -> bool {
    let plain = scope.starts_with(b"/")
        && !scope.starts_with(b"//")
        && !scope.windows(2).any(|two| two == b"..")
        && scope
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte));
    !plain || RESERVED_PREFIX.as_bytes().starts_with(scope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::StreamId, limits};

    const HTTPS: Cookies<'static> = Cookies {
        platform: "__Host-fleetwire-session",
        secure: true,
    };

    fn answer(status: u32, lines: &'static str) -> HttpResponse {
        HttpResponse {
            id: StreamId::from_number(1),
            status,
            headers: FieldLines::parse(Bytes::from_static(lines.as_bytes()), limits::FIELDS)
                .expect("well formed"),
            body: Bytes::new(),
            body_follows: true,
        }
    }

    fn translated(method: Method, status: u32, lines: &'static str) -> Translated {
        translate(answer(status, lines), &method, HTTPS).expect("taken")
    }

    /// The fields that reach the browser, in order.
    fn kept(lines: &'static str) -> Vec<(String, String)> {
        let translated = translated(Method::GET, 200, lines);
        pairs(translated.head.headers())
    }

    fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn rule_5_a_devices_challenge_passes() {
        let lines = "WWW-Authenticate: Basic realm=\"kvm\"\r\nWWW-Authenticate: Digest x\r\n";
        let challenge = [
            ("www-authenticate", "Basic realm=\"kvm\""),
            ("www-authenticate", "Digest x"),
        ];
        assert_eq!(kept(lines), owned(&challenge));
    }

    #[test]
    fn rule_6_cookies_stay_lines_of_their_own() {
        let lines = "Set-Cookie: a=1; Domain=kvm.lan\r\nX-A: b\r\n\
                     Set-Cookie: __Host-fleetwire-session=x\r\nset-cookie: b=2, c; Path=/x\r\n";
        let expected = [
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2, c; Path=/x"),
            ("x-a", "b"),
        ];
        assert_eq!(kept(lines), owned(&expected));
    }

    #[test]
    fn rule_8_what_would_bind_the_browser_is_stripped() {
        let lines = "Strict-Transport-Security: max-age=63072000\r\nAlt-Svc: h3=\":443\"\r\n\
                     Clear-Site-Data: \"*\"\r\nPublic-Key-Pins: x\r\n\
                     Public-Key-Pins-Report-Only: x\r\nReport-To: {}\r\nNEL: {}\r\n\
                     Service-Worker-Allowed: /\r\nX-Frame-Options: DENY\r\n";
        assert_eq!(kept(lines), owned(&[("x-frame-options", "DENY")]));
        let upgraded = translated(
            Method::GET,
            101,
            "Upgrade: websocket\r\nStrict-Transport-Security: max-age=1\r\n",
        );
        let expected = owned(&[("upgrade", "websocket"), ("connection", "Upgrade")]);
        assert_eq!(pairs(upgraded.head.headers()), expected);
    }

    #[test]
    fn rule_8_what_isolates_the_page_passes() {
        let lines = "X-Frame-Options: SAMEORIGIN\r\nContent-Security-Policy: default-src 'self'\r\n\
                     Cross-Origin-Opener-Policy: same-origin\r\n\
                     Cross-Origin-Embedder-Policy: require-corp\r\n\
                     Cross-Origin-Resource-Policy: same-origin\r\nPermissions-Policy: camera=()\r\n";
        assert_eq!(kept(lines).len(), 6);
    }

    #[test]
    fn rule_8_a_service_worker_keeps_off_the_reserved_prefix() {
        for scope in [
            "/",
            "/.",
            "/.fleetwire/",
            "/.fleetwire",
            "",
            "../",
            "/x/../",
            "/%2e",
            "//h/",
        ] {
            assert!(covers_reserved_prefix(scope.as_bytes()), "{scope}");
        }
        for scope in ["/app/", "/.well-known/x", "/.fleetwirex"] {
            assert!(!covers_reserved_prefix(scope.as_bytes()), "{scope}");
        }
        let allowed = "Service-Worker-Allowed: /app/\r\n";
        assert_eq!(kept(allowed), owned(&[("service-worker-allowed", "/app/")]));
    }

    #[test]
    fn rule_10_hop_by_hop_fields_end_here() {
        let lines = "Connection: X-Own, close\r\nX-Own: 1\r\nKeep-Alive: timeout=5\r\n\
                     Transfer-Encoding: chunked\r\nProxy-Connection: close\r\nUpgrade: h2c\r\n\
                     Trailer: x-hash\r\nX-Kept: 2\r\n";
        let mut kept = kept(lines);
        kept.sort();
        assert_eq!(kept, owned(&[("trailer", "x-hash"), ("x-kept", "2")]));
    }

    #[test]
    fn rule_13_nothing_is_made_up_of_an_endless_answer() {
        let lines = "Content-Type: multipart/x-mixed-replace;boundary=b\r\n";
        let stream = translated(Method::GET, 200, lines);
        assert_eq!(stream.length, Length::Unknown);
        assert_eq!(stream.head.headers().len(), 1);
    }

    #[test]
    fn rule_15_a_body_is_as_long_as_the_answer_says() {
        let length = |method, status, lines| translated(method, status, lines).length;
        let five = "Content-Length: 5\r\n";
        assert_eq!(length(Method::GET, 200, five), Length::Known(5));
        assert_eq!(
            length(Method::GET, 200, "Content-Length: 5, 5\r\n"),
            Length::Known(5)
        );
        assert_eq!(length(Method::GET, 200, ""), Length::Unknown);
        assert_eq!(length(Method::HEAD, 200, five), Length::None);
        assert_eq!(length(Method::GET, 204, ""), Length::None);
        assert_eq!(length(Method::GET, 304, five), Length::None);
    }

    #[test]
    fn rule_15_an_answer_to_head_keeps_the_length_it_named_and_gets_none() {
        let named = translated(
            Method::HEAD,
            200,
            "Content-Length: 5\r\nContent-Length: 5\r\n",
        );
        let expected = owned(&[("content-length", "5")]);
        assert_eq!(pairs(named.head.headers()), expected);
        let silent = translated(Method::HEAD, 200, "");
        assert!(silent.head.headers().is_empty());
        let body = translated(Method::GET, 200, "Content-Length: 5\r\n");
        assert!(
            body.head.headers().is_empty(),
            "hyper writes it from the body"
        );
    }

    #[test]
    fn rule_16_lengths_that_differ_are_malformed() {
        for lines in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 6\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length:\r\n",
        ] {
            let refused = translate(answer(200, lines), &Method::GET, HTTPS).map(|_| ());
            assert_eq!(refused, Err(Refusal::AnswerMalformed), "{lines}");
        }
    }

    #[test]
    fn rule_16_latin_1_values_pass() {
        let mut latin = answer(200, "");
        let line = Bytes::from_static(b"X-Name: caf\xe9\r\n");
        latin.headers = FieldLines::parse(line, limits::FIELDS).expect("well formed");
        let head = translate(latin, &Method::GET, HTTPS).expect("taken").head;
        assert_eq!(head.headers()["x-name"].as_bytes(), b"caf\xe9");
    }

    #[test]
    fn statuses_that_have_no_name_pass() {
        assert_eq!(translated(Method::GET, 299, "").head.status(), 299);
        assert_eq!(translated(Method::GET, 999, "").head.status(), 999);
    }

    #[test]
    fn trailers_pass_without_framing_and_cookies() {
        let lines = "X-Hash: abc\r\nContent-Length: 1\r\nSet-Cookie: a=b\r\n\
                     Transfer-Encoding: chunked\r\n";
        let lines = FieldLines::parse(Bytes::from_static(lines.as_bytes()), limits::FIELDS)
            .expect("well formed");
        assert_eq!(pairs(&trailers(&lines)), owned(&[("x-hash", "abc")]));
    }
}
