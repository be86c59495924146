//! The browser's request head as the link's: which fields go to the device and which end here
//! (rules 4, 5, 6, 9, 10, 11 and 17 of the proxy). Nothing is added but what an upgrade needs. Whether the
//! request may pass is `guard`'s; putting the device's own names in place is the agent's.

use hyper::{
    HeaderMap, Method, Version,
    header::{self, HeaderName, HeaderValue},
    http::request::Parts,
};

use super::{guard, refusal::Refusal};
use crate::{
    limits,
    wire::{
        fields::{FieldLines, FieldLinesBuilder, trim_ows},
        values::{Method as WireMethod, RequestTarget, Text as _},
    },
};

/// A request's head, line and fields: 32 KiB hold what browsers send, and device servers take less.
pub const HEAD_BYTES_MAX: usize = 32 << 10;
/// Most fields of a request. hyper's own default, which costs it no allocation.
pub const FIELDS_MAX: usize = 100;
/// Most fields that `Connection` may name: each is compared with each field of the head.
const NAMED_MAX: usize = 16;
/// Most characters of a method; the schema's limit.
const METHOD_BYTES_MAX: usize = 32;

/// What goes to the device, and the platform's cookie that came with it.
#[derive(Debug)]
pub struct Translated<'a> {
    /// The method.
    pub method: WireMethod,
    /// Path and query.
    pub path: RequestTarget,
    /// The fields, without the platform's cookie.
    pub headers: FieldLines,
    /// The connection is to become something else: after a 101, bytes both ways.
    pub upgrade: bool,
    /// The value of the platform's cookie.
    pub cookie: &'a [u8],
}

/// Translates a head; `cookie_name` is that of the platform's cookie.
///
/// # Errors
/// What is wrong with the request: its target, its size, or its cookies.
pub fn translate<'a>(parts: &'a Parts, cookie_name: &str) -> Result<Translated<'a>, Refusal> {
    let (method, path) = target(parts)?;
    let upgrade = upgrade(parts);
    let named = named_by_connection(&parts.headers)?;

    let mut out = FieldLinesBuilder::with_capacity(lines_size(&parts.headers));
    let mut cookie = None;
    for (name, value) in &parts.headers {
        match role(name) {
            Role::Dropped => {}
            Role::Cookie => strip_cookie(value.as_bytes(), cookie_name, &mut cookie, &mut out)?,
            Role::Te => {
                let trailers = |coding: &[u8]| coding.eq_ignore_ascii_case(b"trailers");
                if members(value.as_bytes()).any(trailers) {
                    push(&mut out, "te", b"trailers")?;
                }
            }
            Role::EndToEnd if is_named(&named, name) => {}
            Role::EndToEnd => push(&mut out, name.as_str(), value.as_bytes())?,
        }
    }
    if let Some(protocol) = upgrade {
        push(&mut out, "connection", b"Upgrade")?;
        push(&mut out, "upgrade", protocol)?;
    }
    if path.as_str().len() + out.len() > HEAD_BYTES_MAX || parts.headers.len() > FIELDS_MAX {
        return Err(Refusal::HeadTooLarge);
    }
    Ok(Translated {
        method,
        path,
        headers: out.finish(),
        upgrade: upgrade.is_some(),
        cookie: cookie.ok_or(Refusal::NotEntered)?,
    })
}

/// A request's trailers, without what must not come after the fact (RFC 9110 6.5.1).
///
/// # Errors
/// [`Refusal::HeadTooLarge`].
pub fn trailers(trailers: &HeaderMap) -> Result<FieldLines, Refusal> {
    let mut out = FieldLinesBuilder::default();
    for (name, value) in trailers {
        let late = matches!(
            *name,
            header::HOST | header::AUTHORIZATION | header::CONTENT_LENGTH | header::TRAILER
        );
        if role(name) == Role::EndToEnd && !late {
            push(&mut out, name.as_str(), value.as_bytes())?;
        }
    }
    let out = out.finish();
    if out.len() > HEAD_BYTES_MAX || !out.fits(limits::FIELDS) {
        return Err(Refusal::HeadTooLarge);
    }
    Ok(out)
}

/// Method and target, byte for byte (rule 9). An absolute or authority form asks for a forward
/// proxy, which this is not.
fn target(parts: &Parts) -> Result<(WireMethod, RequestTarget), Refusal> {
    let uri = &parts.uri;
    if uri.scheme().is_some() || uri.authority().is_some() || parts.method == Method::CONNECT {
        return Err(Refusal::HeadInvalid);
    }
    let path = uri.path_and_query().ok_or(Refusal::HeadInvalid)?.as_str();
    if path.len() > HEAD_BYTES_MAX {
        return Err(Refusal::HeadTooLarge);
    }
    let method = parts.method.as_str();
    if method.len() > METHOD_BYTES_MAX {
        return Err(Refusal::HeadInvalid);
    }
    let method = WireMethod::parse(method.to_owned()).ok_or(Refusal::HeadInvalid)?;
    let path = RequestTarget::parse(path.to_owned()).ok_or(Refusal::HeadInvalid)?;
    Ok((method, path))
}

/// The protocol that the request offers to switch to (RFC 9110 7.8). HTTP/2 in clear text is not
/// let through: requests inside it would reach the device unseen by every rule here. Neither is an
/// offer with a body, of which nobody says which protocol it is in.
fn upgrade(parts: &Parts) -> Option<&[u8]> {
    let headers = &parts.headers;
    if parts.version != Version::HTTP_11 || !headers.contains_key(header::UPGRADE) {
        return None;
    }
    let mut protocols = headers.get_all(header::UPGRADE).iter();
    let protocol = protocols.next()?.as_bytes();
    let http2 = |member: &[u8]| {
        member.eq_ignore_ascii_case(b"h2c") || member.to_ascii_lowercase().starts_with(b"http/")
    };
    if protocols.next().is_some() || members(protocol).any(http2) || protocol.is_empty() {
        return None;
    }
    let length = headers.get(header::CONTENT_LENGTH);
    let body = headers.contains_key(header::TRANSFER_ENCODING)
        || length.is_some_and(|length| length.as_bytes() != b"0");
    let asked = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| members(value.as_bytes()))
        .any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    (asked && !body).then_some(protocol)
}

/// The fields that `Connection` declares to be this connection's own (RFC 9110 7.6.1).
fn named_by_connection(headers: &HeaderMap) -> Result<Vec<&[u8]>, Refusal> {
    let mut named = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        for option in members(value.as_bytes()) {
            let usual = [&b"keep-alive"[..], b"close", b"upgrade"];
            if !usual.iter().any(|other| option.eq_ignore_ascii_case(other)) {
                named.push(option);
            }
        }
    }
    if named.len() > NAMED_MAX {
        return Err(Refusal::HeadTooLarge);
    }
    Ok(named)
}

/// The length is the message's, whatever `Connection` says of it.
fn is_named(named: &[&[u8]], name: &HeaderName) -> bool {
    let own = |option: &&[u8]| option.eq_ignore_ascii_case(name.as_str().as_bytes());
    named.iter().any(own) && *name != header::CONTENT_LENGTH
}

/// What becomes of a field on its way to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    EndToEnd,
    Cookie,
    Te,
    /// Of this connection only (RFC 9110 7.6.1), or said by proxies about themselves: a viewer could
    /// forge it, and devices refuse or believe it (rule 4). `Host` is the agent's to make.
    Dropped,
}

fn role(name: &HeaderName) -> Role {
    match *name {
        header::COOKIE => Role::Cookie,
        header::TE => Role::Te,
        header::HOST
        | header::CONNECTION
        | header::TRANSFER_ENCODING
        | header::UPGRADE
        | header::PROXY_AUTHORIZATION
        | header::PROXY_AUTHENTICATE
        | header::FORWARDED
        | header::VIA => Role::Dropped,
        _ => match name.as_str() {
            "keep-alive" | "proxy-connection" | "http2-settings" | "x-real-ip" => Role::Dropped,
            other if other.starts_with("x-forwarded-") => Role::Dropped,
            _ => Role::EndToEnd,
        },
    }
}

/// Writes a `Cookie` line without the platform's pair, which goes to `ours` (rule 6). A line that
/// held nothing else is left out.
fn strip_cookie<'a>(
    value: &'a [u8],
    name: &str,
    ours: &mut Option<&'a [u8]>,
    out: &mut FieldLinesBuilder,
) -> Result<(), Refusal> {
    let mut pairs = value.split(|&byte| byte == b';');
    if pairs.all(|pair| guard::cookie_value(pair, name).is_none()) {
        return push(out, "cookie", value);
    }
    let mut kept = Vec::with_capacity(value.len());
    for pair in value.split(|&byte| byte == b';').map(trim_ows) {
        if let Some(secret) = guard::cookie_value(pair, name) {
            if ours.replace(secret).is_some() {
                return Err(Refusal::CookieDuplicated);
            }
        } else if !pair.is_empty() {
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair);
        }
    }
    if kept.is_empty() {
        return Ok(());
    }
    push(out, "cookie", &kept)
}

fn push(out: &mut FieldLinesBuilder, name: &str, value: &[u8]) -> Result<(), Refusal> {
    out.push(name, value).map_err(|_| Refusal::HeadInvalid)
}

/// Bytes that the fields take as lines: one allocation for all of them.
fn lines_size(headers: &HeaderMap) -> usize {
    let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    headers.iter().map(line).sum()
}

/// The members of a comma-separated list, without white space and empty ones (RFC 9110 5.6.1).
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(trim_ows)
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    const COOKIE: &str = "fleetwire-session";

    fn parts(method: &str, path: &str, headers: &[(&'static str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    /// The lines that go to the device for these fields and a cookie of ours.
    fn lines(headers: &[(&'static str, &str)]) -> String {
        let mut parts = parts("GET", "/", headers);
        let ours = HeaderValue::from_static("fleetwire-session=s");
        parts.headers.append(header::COOKIE, ours);
        let translated = translate(&parts, COOKIE).expect("taken");
        assert_eq!(translated.cookie, b"s");
        String::from_utf8(translated.headers.as_bytes().to_vec()).expect("text")
    }

    fn refused(parts: &Parts) -> Refusal {
        translate(parts, COOKIE).map(|_| ()).expect_err("refused")
    }

    #[test]
    fn rule_4_what_proxies_say_about_themselves_is_stripped() {
        let lines = lines(&[
            ("forwarded", "for=1.2.3.4"),
            ("via", "1.1 x"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-prefix", "/x"),
            ("x-real-ip", "1.2.3.4"),
            ("x-forward", "kept"),
        ]);
        assert_eq!(lines, "x-forward: kept\r\n");
    }

    #[test]
    fn rule_5_the_devices_own_sign_in_passes() {
        let lines = lines(&[
            ("authorization", "Basic YTpi"),
            ("x-kvmd-user", "admin"),
            ("x-xsrf-token", "t"),
            ("proxy-authorization", "Basic eDp5"),
        ]);
        assert_eq!(
            lines,
            "authorization: Basic YTpi\r\nx-kvmd-user: admin\r\nx-xsrf-token: t\r\n"
        );
    }

    #[test]
    fn rule_6_the_platforms_cookie_is_removed_and_the_others_are_kept() {
        for (sent, kept) in [
            ("fleetwire-session=s", ""),
            (
                "fleetwire-session=s; a=1; b=\"x y\"",
                "cookie: a=1; b=\"x y\"\r\n",
            ),
            ("a=1; fleetwire-session=s; b=2", "cookie: a=1; b=2\r\n"),
            ("a=1;b=2;fleetwire-session=s", "cookie: a=1; b=2\r\n"),
            ("a; =b; fleetwire-session=s;", "cookie: a; =b\r\n"),
            (
                "xfleetwire-session=1; fleetwire-session=s",
                "cookie: xfleetwire-session=1\r\n",
            ),
        ] {
            let parts = parts("GET", "/", &[("cookie", sent)]);
            let translated = translate(&parts, COOKIE).expect("taken");
            assert_eq!(translated.cookie, b"s", "{sent}");
            assert_eq!(translated.headers.as_bytes(), kept.as_bytes(), "{sent}");
        }
        let untouched = lines(&[("cookie", "a=1;b=2 ;  c=3")]);
        assert_eq!(untouched, "cookie: a=1;b=2 ;  c=3\r\n");
    }

    #[test]
    fn rule_6_the_platforms_cookie_twice_is_refused() {
        for cookies in [
            &[("cookie", "fleetwire-session=s; fleetwire-session=s")][..],
            &[("cookie", "fleetwire-session=s; =fleetwire-session=t")],
            &[
                ("cookie", "fleetwire-session=s"),
                ("cookie", "a=1; Fleetwire-Session=t"),
            ],
        ] {
            assert_eq!(
                refused(&parts("GET", "/", cookies)),
                Refusal::CookieDuplicated
            );
        }
        assert_eq!(refused(&parts("GET", "/", &[])), Refusal::NotEntered);
        let other = parts("GET", "/", &[("cookie", "fleetwire-session")]);
        assert_eq!(refused(&other), Refusal::NotEntered);
    }

    #[test]
    fn rule_9_path_query_and_encodings_are_kept_byte_for_byte() {
        for path in [
            "/a%2Fb//c/../d?e=+f&g=%20",
            "//x/y",
            "/?",
            "/a;b=c",
            "/%0d%0a",
            "/?q=a`b|c'",
        ] {
            let mut parts = parts("GET", path, &[("cookie", "fleetwire-session=s")]);
            parts.headers.insert(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static("gzip, br"),
            );
            let translated = translate(&parts, COOKIE).expect("taken");
            assert_eq!(translated.path.as_str(), path);
            assert_eq!(
                translated.headers.as_bytes(),
                b"accept-encoding: gzip, br\r\n"
            );
        }
        let options = parts("OPTIONS", "*", &[("cookie", "fleetwire-session=s")]);
        assert_eq!(
            translate(&options, COOKIE).expect("taken").path.as_str(),
            "*"
        );
    }

    #[test]
    fn rule_9_absolute_and_authority_forms_are_refused() {
        for (method, target) in [
            ("GET", "http://evil.example/"),
            ("GET", "evil.example:80"),
            ("CONNECT", "evil.example:443"),
        ] {
            assert_eq!(
                refused(&parts(method, target, &[])),
                Refusal::HeadInvalid,
                "{target}"
            );
        }
    }

    #[test]
    fn rule_10_hop_by_hop_fields_end_here() {
        let lines = lines(&[
            ("connection", "keep-alive, X-Mine , close"),
            ("connection", "x-other"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("te", "deflate;q=0.5, Trailers"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA"),
            ("x-mine", "1"),
            ("X-Other", "2"),
            ("x-third", "3"),
        ]);
        assert_eq!(lines, "te: trailers\r\nx-third: 3\r\n");
    }

    #[test]
    fn rule_10_the_length_cannot_be_declared_away() {
        let lines = lines(&[("connection", "content-length"), ("content-length", "5")]);
        assert_eq!(lines, "content-length: 5\r\n");
        let many = vec!["x"; 17].join(",");
        let many = parts("GET", "/", &[("connection", &many)]);
        assert_eq!(refused(&many), Refusal::HeadTooLarge);
    }

    #[test]
    fn rule_11_a_known_length_and_an_expectation_pass() {
        let lines = lines(&[
            ("content-length", "17179869184"),
            ("expect", "100-continue"),
        ]);
        assert_eq!(
            lines,
            "content-length: 17179869184\r\nexpect: 100-continue\r\n"
        );
    }

    #[test]
    fn rule_12_an_upgrade_is_made_anew_with_its_fields_as_they_were() {
        let sent = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "binary, base64"),
            (
                "sec-websocket-extensions",
                "permessage-deflate; client_max_window_bits",
            ),
            ("sec-websocket-version", "13"),
            ("cookie", "fleetwire-session=s"),
        ];
        let parts = parts("GET", "/ws", &sent);
        let translated = translate(&parts, COOKIE).expect("taken");
        assert!(translated.upgrade);
        assert_eq!(
            translated.headers.as_bytes(),
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
              sec-websocket-protocol: binary, base64\r\n\
              sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n\
              sec-websocket-version: 13\r\n\
              connection: Upgrade\r\nupgrade: websocket\r\n"
        );
    }

    #[test]
    fn rule_12_what_is_no_clean_offer_is_no_upgrade() {
        let asks = ("connection", "Upgrade");
        let ours = ("cookie", "fleetwire-session=s");
        for fields in [
            &[ours, asks][..],
            &[ours, ("upgrade", "websocket")],
            &[ours, asks, ("upgrade", "h2c")],
            &[ours, asks, ("upgrade", "websocket, H2C")],
            &[ours, asks, ("upgrade", "HTTP/2.0")],
            &[ours, asks, ("upgrade", "")],
            &[
                ours,
                asks,
                ("upgrade", "websocket"),
                ("content-length", "3"),
            ],
            &[
                ours,
                asks,
                ("upgrade", "websocket"),
                ("transfer-encoding", "chunked"),
            ],
            &[ours, asks, ("upgrade", "websocket"), ("upgrade", "x")],
        ] {
            let parts = parts("GET", "/", fields);
            let translated = translate(&parts, COOKIE).expect("taken");
            assert!(!translated.upgrade, "{fields:?}");
            assert_eq!(translated.headers.get("upgrade"), None);
            assert_eq!(translated.headers.get("connection"), None);
        }
    }

    #[test]
    fn rule_17_a_head_over_its_limit_is_refused() {
        let ours = ("cookie", "fleetwire-session=s");
        let fits = "x".repeat(HEAD_BYTES_MAX - "/".len() - "x-a: \r\n".len());
        let over = format!("{fits}x");
        assert!(translate(&parts("GET", "/", &[ours, ("x-a", &fits)]), COOKIE).is_ok());
        let over = parts("GET", "/", &[ours, ("x-a", &over)]);
        assert_eq!(refused(&over), Refusal::HeadTooLarge);
        let long = parts("GET", &format!("/{}", "p".repeat(HEAD_BYTES_MAX)), &[ours]);
        assert_eq!(refused(&long), Refusal::HeadTooLarge);
        let mut many = vec![("x-a", "1"); FIELDS_MAX];
        many.push(ours);
        assert_eq!(refused(&parts("GET", "/", &many)), Refusal::HeadTooLarge);
    }

    #[test]
    fn trailers_lose_what_must_not_come_late() {
        let sent = parts(
            "GET",
            "/",
            &[
                ("x-hash", "abc"),
                ("host", "evil"),
                ("transfer-encoding", "x"),
                ("content-length", "1"),
            ],
        );
        let kept = trailers(&sent.headers).expect("short");
        assert_eq!(kept.as_bytes(), b"x-hash: abc\r\n");
    }
}
