//! Who may pass: the public origin of a request, the platform's cookie, and whether another site's
//! page is behind it (rules 2 and 6 of the proxy, and the session's origin). All of it is decided
//! before the device is dialled. Issuing the cookie is `entry`'s.

use hyper::{
    HeaderMap, Method,
    header::{self, HeaderValue},
    http::request::Parts,
};

use super::refusal::Refusal;
use crate::wire::{
    fields::trim_ows,
    values::{Origin, Text as _},
};

/// How the browser reached the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In plain text: on loopback only, or over a network that its owner trusts.
    Http,
    /// Over TLS, ended here or at a proxy in front.
    Https,
}

/// The most characters of a `Host`: a DNS name and a port. The schema's limit of an origin, 300
/// bytes, holds it with the scheme.
const HOST_BYTES_MAX: usize = 253 + 6;

/// The origin of the pages that the browser shows, out of the listener's scheme and the request.
#[derive(Clone, Debug)]
pub struct PublicOrigin {
    origin: Origin,
    scheme: Scheme,
}

impl PublicOrigin {
    /// Takes the one `Host` of the request.
    ///
    /// # Errors
    /// [`Refusal::HostInvalid`] where there is none, several, or none that an origin may hold.
    pub fn of(scheme: Scheme, headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(Refusal::HostInvalid);
        };
        let host = host.to_str().map_err(|_| Refusal::HostInvalid)?;
        if host.len() > HOST_BYTES_MAX {
            return Err(Refusal::HostInvalid);
        }
        // An origin is written without its scheme's own port (RFC 6454 6.2), as browsers do.
        let (prefix, own_port) = match scheme {
            Scheme::Http => ("http://", ":80"),
            Scheme::Https => ("https://", ":443"),
        };
        let host = host.strip_suffix(own_port).unwrap_or(host);
        let mut text = String::with_capacity(prefix.len() + host.len());
        text.push_str(prefix);
        text.push_str(host);
        let origin = Origin::parse(text).ok_or(Refusal::HostInvalid)?;
        Ok(Self { origin, scheme })
    }

    /// The origin itself.
    pub fn into_origin(self) -> Origin {
        self.origin
    }

    /// The scheme in the browser.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether browsers take this for a secure context: by TLS, or as they treat `localhost` and
    /// names under it (W3C Secure Contexts 3.1). Only there is a `Secure` cookie kept.
    pub fn is_secure_context(&self) -> bool {
        let Some(authority) = self.origin.as_str().strip_prefix("http://") else {
            return true;
        };
        let name = authority
            .rsplit_once(':')
            .map_or(authority, |(name, _)| name);
        let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
        last.eq_ignore_ascii_case("localhost")
    }

    /// Whether a header names exactly this origin.
    fn is(&self, value: &HeaderValue) -> bool {
        value
            .as_bytes()
            .eq_ignore_ascii_case(self.origin.as_str().as_bytes())
    }
}

/// The name of the platform's cookie. The prefix `__Host-` makes the browser keep it to this very
/// host, path `/` and TLS; not all browsers take it over plain http, even on loopback.
pub const fn cookie_name(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "fleetwire-session",
        Scheme::Https => "__Host-fleetwire-session",
    }
}

/// Whether the cookie pair `pair` (`name=value`, as in `Cookie` and `Set-Cookie`) is named `name`.
/// Browsers send a nameless cookie as its bare value, which may itself look like a pair: what is
/// compared is therefore what a reader of `Cookie` would see. Returns the value.
pub fn cookie_value<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut pair = trim_ows(pair);
    while let [b'=', rest @ ..] = pair {
        pair = trim_ows(rest);
    }
    let equals = pair.iter().position(|&byte| byte == b'=')?;
    let (found, value) = (trim_ows(&pair[..equals]), trim_ows(&pair[equals + 1..]));
    // Browsers compare the prefix without regard to case, and so a server must: anything that
    // could pass for ours counts as ours.
    found.eq_ignore_ascii_case(name.as_bytes()).then_some(value)
}

/// Refuses what another site's page caused (rule 2, and Fetch Metadata). A top-level navigation by
/// GET may come from anywhere: that is a link, or a sign-in elsewhere that leads back.
///
/// # Errors
/// [`Refusal::CrossSite`] or [`Refusal::OriginForeign`].
pub fn check_site(parts: &Parts, public: &PublicOrigin, upgrade: bool) -> Result<(), Refusal> {
    let header = |name| parts.headers.get(name).map(HeaderValue::as_bytes);
    if let Some(b"cross-site" | b"same-site") = header("sec-fetch-site") {
        let navigation = parts.method == Method::GET
            && header("sec-fetch-mode") == Some(b"navigate")
            && header("sec-fetch-dest") == Some(b"document");
        if !navigation {
            return Err(Refusal::CrossSite);
        }
    }
    let safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if safe && !upgrade {
        return Ok(());
    }
    // Absent is what programs send, which no page can make them do; `null` is another page.
    let mut origins = parts.headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => Ok(()),
        (Some(origin), None) if public.is(origin) => Ok(()),
        _ => Err(Refusal::OriginForeign),
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn parts(method: &str, headers: &[(&'static str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn public(scheme: Scheme, host: &str) -> Result<PublicOrigin, Refusal> {
        PublicOrigin::of(scheme, &parts("GET", &[("host", host)]).headers)
    }

    fn site(method: &str, upgrade: bool, headers: &[(&'static str, &str)]) -> Result<(), Refusal> {
        let public = public(Scheme::Https, "k3v9.console.example").expect("valid");
        check_site(&parts(method, headers), &public, upgrade)
    }

    #[test]
    fn the_public_origin_is_the_schemes_and_the_hosts() {
        let text = |scheme, host| {
            let public = public(scheme, host).expect("valid");
            public.into_origin().into_string()
        };
        assert_eq!(
            text(Scheme::Http, "a.localhost:8080"),
            "http://a.localhost:8080"
        );
        assert_eq!(text(Scheme::Https, "a.example:443"), "https://a.example");
        assert_eq!(text(Scheme::Https, "a.example:80"), "https://a.example:80");
        for host in ["", "a b", "a/b", "user@a", &"a".repeat(260)] {
            let refused = public(Scheme::Https, host).map(|_| ());
            assert_eq!(refused, Err(Refusal::HostInvalid), "{host:?}");
        }
        let twice = parts("GET", &[("host", "a"), ("host", "b")]);
        assert!(PublicOrigin::of(Scheme::Https, &twice.headers).is_err());
        assert!(PublicOrigin::of(Scheme::Https, &HeaderMap::new()).is_err());
    }

    #[test]
    fn localhost_is_a_secure_context_without_tls() {
        for (scheme, host, secure) in [
            (Scheme::Https, "a.example", true),
            (Scheme::Http, "a.localhost:8080", true),
            (Scheme::Http, "localhost", true),
            (Scheme::Http, "a.lan:8080", false),
            (Scheme::Http, "localhost.example", false),
        ] {
            let public = public(scheme, host).expect("valid");
            assert_eq!(public.is_secure_context(), secure, "{host}");
        }
    }

    #[test]
    fn rule_2_a_foreign_origin_is_refused_for_unsafe_methods_and_upgrades() {
        let own = ("origin", "https://k3v9.console.example");
        for origin in [
            "https://evil.example",
            "null",
            "",
            "http://k3v9.console.example",
            "https://k3v9.console.example:8443",
            "https://k3v9.console.example.evil.example",
            "https://k3v9.console.example, https://evil.example",
        ] {
            let foreign = [("origin", origin)];
            for method in ["POST", "PUT", "DELETE", "PATCH", "PROPFIND"] {
                assert_eq!(
                    site(method, false, &foreign),
                    Err(Refusal::OriginForeign),
                    "{origin}"
                );
            }
            assert_eq!(site("GET", true, &foreign), Err(Refusal::OriginForeign));
            assert_eq!(site("GET", false, &foreign), Ok(()));
        }
        assert_eq!(
            site("POST", false, &[own, ("origin", "https://evil.example")]),
            Err(Refusal::OriginForeign)
        );
        assert_eq!(site("POST", false, &[own]), Ok(()));
        assert_eq!(site("GET", true, &[own]), Ok(()));
        assert_eq!(site("POST", false, &[]), Ok(()));
    }

    #[test]
    fn another_sites_request_passes_only_as_a_top_level_get() {
        let navigate = ("sec-fetch-mode", "navigate");
        let document = ("sec-fetch-dest", "document");
        for from in ["cross-site", "same-site"] {
            let from = ("sec-fetch-site", from);
            assert_eq!(site("GET", false, &[from, navigate, document]), Ok(()));
            let refused = Err(Refusal::CrossSite);
            assert_eq!(site("POST", false, &[from, navigate, document]), refused);
            assert_eq!(
                site(
                    "GET",
                    false,
                    &[from, navigate, ("sec-fetch-dest", "iframe")]
                ),
                refused
            );
            assert_eq!(
                site(
                    "GET",
                    false,
                    &[
                        from,
                        ("sec-fetch-mode", "no-cors"),
                        ("sec-fetch-dest", "image")
                    ]
                ),
                refused
            );
            assert_eq!(site("GET", false, &[from]), refused);
        }
        for from in ["same-origin", "none"] {
            assert_eq!(site("POST", false, &[("sec-fetch-site", from)]), Ok(()));
        }
    }

    #[test]
    fn rule_6_whatever_reads_as_our_cookie_is_ours() {
        let name = "__Host-fleetwire-session";
        for (pair, value) in [
            ("__Host-fleetwire-session=s", Some("s")),
            (" __Host-fleetwire-session = s ", Some("s")),
            ("__host-Fleetwire-Session=s", Some("s")),
            ("=__Host-fleetwire-session=s", Some("s")),
            ("__Host-fleetwire-session=", Some("")),
            ("__Host-fleetwire-session", None),
            ("x__Host-fleetwire-session=s", None),
            ("a=__Host-fleetwire-session=s", None),
            ("", None),
        ] {
            let found = cookie_value(pair.as_bytes(), name);
            assert_eq!(found, value.map(str::as_bytes), "{pair:?}");
        }
    }
}
