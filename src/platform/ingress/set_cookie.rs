//! The device's `Set-Cookie` lines as the session's origin can keep them (rule 6, RFC 6265 5.3):
//! `Domain` goes, `Secure` goes where browsers would drop the cookie for it, and no cookie of the
//! device's may take the platform's name. Everything else stays byte for byte.

use bytes::Bytes;

use super::guard;
use crate::wire::fields::trim_ows;

/// What a line depends on.
#[derive(Clone, Copy, Debug)]
pub struct Cookies<'a> {
    /// The name of the platform's cookie.
    pub platform: &'a str,
    /// Whether the session's origin is a secure context, where `Secure` cookies are kept.
    pub secure: bool,
}

/// The line for the browser; `None` where it is not to reach it.
pub fn rewrite(line: Bytes, cookies: Cookies<'_>) -> Option<Bytes> {
    let mut parts = line.split(|&byte| byte == b';');
    let pair = parts.next().unwrap_or_default();
    if guard::cookie_value(pair, cookies.platform).is_some() {
        return None;
    }
    if parts.clone().all(|part| keep(part, cookies) == Keep::Same) {
        return Some(line);
    }
    let mut out = Vec::with_capacity(line.len());
    out.extend_from_slice(pair);
    for part in parts {
        match keep(part, cookies) {
            Keep::Same => {
                out.push(b';');
                out.extend_from_slice(part);
            }
            Keep::Lax => out.extend_from_slice(b"; SameSite=Lax"),
            Keep::Not => {}
        }
    }
    Some(Bytes::from(out))
}

/// What becomes of an attribute.
#[derive(PartialEq, Eq)]
enum Keep {
    Same,
    /// `SameSite=None` is taken with `Secure` only; Lax is what a browser assumes without either.
    Lax,
    Not,
}

fn keep(attribute: &[u8], cookies: Cookies<'_>) -> Keep {
    let (name, value) = match attribute.iter().position(|&byte| byte == b'=') {
        Some(equals) => (&attribute[..equals], &attribute[equals + 1..]),
        None => (attribute, &[][..]),
    };
    let (name, value) = (trim_ows(name), trim_ows(value));
    let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
    if is(b"domain") {
        return Keep::Not;
    }
    if cookies.secure {
        return Keep::Same;
    }
    // A partitioned cookie must be secure too.
    if is(b"secure") || is(b"partitioned") {
        Keep::Not
    } else if is(b"samesite") && value.eq_ignore_ascii_case(b"none") {
        Keep::Lax
    } else {
        Keep::Same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(line: &'static str, secure: bool) -> Option<String> {
        let cookies = Cookies {
            platform: "__Host-fleetwire-session",
            secure,
        };
        let line = rewrite(Bytes::from_static(line.as_bytes()), cookies)?;
        Some(String::from_utf8(line.to_vec()).expect("text"))
    }

    #[test]
    fn rule_6_domain_is_dropped_and_the_rest_kept() {
        for (line, kept) in [
            ("a=b", "a=b"),
            (
                "auth_token=x\"y; Path=/kvm; HttpOnly; SameSite=Strict; Max-Age=5",
                "auth_token=x\"y; Path=/kvm; HttpOnly; SameSite=Strict; Max-Age=5",
            ),
            ("a=b; Domain=kvm.lan; Path=/", "a=b; Path=/"),
            ("a=b;DOMAIN = .kvm.lan;path=/x;Secure", "a=b;path=/x;Secure"),
            ("a=b; domain", "a=b"),
            (
                "domain=x; Secure; SameSite=None",
                "domain=x; Secure; SameSite=None",
            ),
            (
                "a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT; domain=x",
                "a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
            ),
            ("", ""),
        ] {
            assert_eq!(rewritten(line, true).as_deref(), Some(kept), "{line}");
        }
    }

    #[test]
    fn rule_6_off_a_secure_context_a_cookie_is_made_one_that_is_kept() {
        for (line, kept) in [
            ("a=b; Secure; Path=/", "a=b; Path=/"),
            (
                "a=b; Secure; SameSite=None; Partitioned",
                "a=b; SameSite=Lax",
            ),
            ("a=b; SameSite=Strict; secure", "a=b; SameSite=Strict"),
            ("secure=1", "secure=1"),
        ] {
            assert_eq!(rewritten(line, false).as_deref(), Some(kept), "{line}");
        }
    }

    #[test]
    fn rule_6_a_devices_cookie_with_the_platforms_name_is_dropped() {
        for line in [
            "__Host-fleetwire-session=evil; Path=/; Secure",
            "__host-fleetwire-SESSION =evil",
            "=__Host-fleetwire-session=evil",
            "__Host-fleetwire-session=; Max-Age=0",
        ] {
            assert_eq!(rewritten(line, true), None, "{line}");
        }
    }
}
