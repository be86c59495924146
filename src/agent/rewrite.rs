//! Header fields between a session's public origin and a device's own: Host, Origin, Referer and a
//! kept Authorization on the way up; Location, Content-Location, Refresh,
//! Access-Control-Allow-Origin and Content-Security-Policy on the way down. Pure functions.
//!
//! Only exact origins of the device are touched, bodies never. Cookies, forwarding headers and what
//! a device must not set on the public origin are the platform's.

use std::borrow::Cow;

use crate::agent::target::{HostMode, Route, Target};
use crate::wire::fields::{FieldLines, FieldLinesBuilder};

/// How one request and its answer are mapped.
#[derive(Debug, Clone, Copy)]
pub struct Mapping<'a> {
    public: Option<Origin<'a>>,
    route: &'a Route,
}

/// An answer's fields as the browser may see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mapped {
    /// The fields, the same blob if nothing had to change.
    Fields(FieldLines),
    /// The device redirects http to https on its own host. The browser would come back by the same
    /// way for ever: the target must be the https port.
    ToHttps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin<'a> {
    scheme: &'a str,
    authority: &'a str,
}

impl<'a> Mapping<'a> {
    /// `public` is the origin in the browser, such as `http://abc.localhost:8080`; absent, Host
    /// and a kept Authorization are all that is mapped.
    #[must_use]
    pub fn new(public: Option<&'a str>, route: &'a Route) -> Self {
        let public = public.and_then(|public| {
            let (scheme, authority) = public.split_once("://")?;
            let plain = authority.bytes().all(|byte| byte.is_ascii_graphic());
            let known = matches!(scheme, "http" | "https");
            (plain && known).then_some(())?;
            Some(Origin { scheme, authority })
        });
        Self { public, route }
    }

    /// A request's fields as the device sees them.
    #[must_use]
    pub fn request(&self, fields: &FieldLines) -> FieldLines {
        let target = self.target();
        let host = self.host(fields);
        let mut mapped = FieldLinesBuilder::with_capacity(fields.len() + 256);
        let (mut hosted, mut authorized) = (false, target.credential().is_none());
        if fields.get("host").is_none() {
            put(&mut mapped, "Host", host.as_bytes());
        }
        for (name, value) in fields {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            match name.len() {
                // Exactly one Host (RFC 9112 3.2).
                4 if is("host") => {
                    if !std::mem::replace(&mut hosted, true) {
                        put(&mut mapped, name, host.as_bytes());
                    }
                }
                6 if is("origin") => put(&mut mapped, name, &self.origin_up(value, &host)),
                7 if is("referer") => {
                    if let Some(value) = self.referer_up(value, &host) {
                        put(&mut mapped, name, &value);
                    }
                }
                13 if is("authorization") && target.credential().is_some() => {
                    if !std::mem::replace(&mut authorized, true)
                        && let Some(credential) = target.credential()
                    {
                        put(&mut mapped, name, credential.expose());
                    }
                }
                _ => put(&mut mapped, name, value),
            }
        }
        if let Some(credential) = target.credential().filter(|_| !authorized) {
            put(&mut mapped, "Authorization", credential.expose());
        }
        mapped.finish()
    }

    /// An answer's fields as the browser sees them.
    #[must_use]
    pub fn answer(&self, status: u16, fields: &FieldLines) -> Mapped {
        let mut mapped: Option<FieldLinesBuilder> = None;
        for (index, (name, value)) in fields.iter().enumerate() {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            let changed = match name.len() {
                8 if is("location") => {
                    if (300..400).contains(&status) && self.is_own_https(value) {
                        return Mapped::ToHttps;
                    }
                    self.url_down(value)
                }
                16 if is("content-location") => self.url_down(value),
                7 if is("refresh") => self.refresh_down(value),
                27 if is("access-control-allow-origin") => {
                    let origin = Url::parse(value).filter(|url| url.rest.is_empty());
                    origin.and_then(|url| self.own_url_down(&url))
                }
                23 if is("content-security-policy") => self.policy_down(value),
                35 if is("content-security-policy-report-only") => self.policy_down(value),
                _ => None,
            };
            match (&mut mapped, changed) {
                (None, None) => {}
                (Some(mapped), changed) => put(mapped, name, changed.as_deref().unwrap_or(value)),
                (None, Some(changed)) => {
                    let mut before = FieldLinesBuilder::with_capacity(fields.len() + 256);
                    for (name, value) in fields.iter().take(index) {
                        put(&mut before, name, value);
                    }
                    put(&mut before, name, &changed);
                    mapped = Some(before);
                }
            }
        }
        Mapped::Fields(mapped.map_or_else(|| fields.clone(), FieldLinesBuilder::finish))
    }

    fn target(&self) -> &'a Target {
        self.route.target()
    }

    /// The Host that the device sees.
    fn host(&self, fields: &FieldLines) -> Cow<'a, str> {
        match (self.target().host_mode(), self.public) {
            (HostMode::Device, _) => self.target().authority().into(),
            (HostMode::Fixed(name), _) => name.as_str().into(),
            (HostMode::Public, Some(public)) => public.authority.into(),
            (HostMode::Public, None) => {
                let host = fields
                    .get("host")
                    .and_then(|host| std::str::from_utf8(host).ok());
                host.map_or(self.target().authority().into(), |host| {
                    host.to_owned().into()
                })
            }
        }
    }

    /// The origin that belongs to the Host that the device sees.
    fn device_origin(&self, host: &str) -> String {
        match (self.target().host_mode(), self.public) {
            (HostMode::Public, Some(public)) => [public.scheme, "://", public.authority].concat(),
            _ => [self.target().scheme(), "://", host].concat(),
        }
    }

    /// A foreign origin stays what it is: to make it the device's would disarm the device's own
    /// defence against forged requests.
    fn origin_up<'v>(&self, value: &'v [u8], host: &str) -> Cow<'v, [u8]> {
        match self.public.and_then(|public| public.strip(value)) {
            Some(b"") => self.device_origin(host).into_bytes().into(),
            _ => value.into(),
        }
    }

    fn referer_up(&self, value: &[u8], host: &str) -> Option<Vec<u8>> {
        let rest = self.public?.strip(value)?;
        let mut mapped = self.device_origin(host).into_bytes();
        match std::str::from_utf8(rest)
            .ok()
            .filter(|path| self.route.leads(path))
        {
            Some(path) => mapped.extend_from_slice(self.route.path_up(path).as_bytes()),
            None => mapped.extend_from_slice(rest),
        }
        Some(mapped)
    }

    fn url_down(&self, value: &[u8]) -> Option<Vec<u8>> {
        match Url::parse(value) {
            Some(url) => self.own_url_down(&url),
            // A reference of another form is relative to a path that the browser knows as public.
            None if value.starts_with(b"/") => {
                let path = self.path_down(value)?;
                // With two slashes in front, what follows would be another host; browsers take
                // backslashes for slashes, and leave tabs out (URL Standard, URL parsing).
                let leaves = matches!(path.as_bytes(), [b'/', b'/' | b'\\' | b'\t', ..]);
                let stay = if leaves { "/." } else { "" };
                Some([stay, &path].concat().into_bytes())
            }
            None => None,
        }
    }

    /// An absolute URL on the device as one on the public origin.
    fn own_url_down(&self, url: &Url<'_>) -> Option<Vec<u8>> {
        let public = self.public.filter(|_| self.is_own(url))?;
        let secure = public.scheme == "https";
        let scheme = match (url.scheme, secure) {
            ("", _) => "",
            ("ws" | "wss", false) => "ws:",
            ("ws" | "wss", true) => "wss:",
            (_, false) => "http:",
            (_, true) => "https:",
        };
        let mut mapped = [scheme, "//", public.authority].concat().into_bytes();
        match self.path_down(url.rest) {
            Some(path) => mapped.extend_from_slice(path.as_bytes()),
            None => mapped.extend_from_slice(url.rest),
        }
        Some(mapped)
    }

    fn path_down(&self, path: &[u8]) -> Option<String> {
        self.route.path_down(std::str::from_utf8(path).ok()?)
    }

    /// `seconds; url=...`, the URL in quotes or not.
    fn refresh_down(&self, value: &[u8]) -> Option<Vec<u8>> {
        let at = value
            .windows(4)
            .position(|window| window.eq_ignore_ascii_case(b"url="))?
            + 4;
        let (before, url) = value.split_at(at);
        let quote = usize::from(matches!(url, [b'"' | b'\'', ..]));
        let end = match url {
            [open @ (b'"' | b'\''), rest @ ..] => rest
                .iter()
                .position(|byte| byte == open)
                .map_or(url.len(), |end| end + 1),
            _ => url.len(),
        };
        let mapped = self.url_down(&url[quote..end])?;
        Some([before, &url[..quote], &mapped, &url[end..]].concat())
    }

    /// Sources in a policy: each word that is an origin of the device.
    fn policy_down(&self, value: &[u8]) -> Option<Vec<u8>> {
        let public = self.public?;
        let mut mapped = Vec::with_capacity(value.len() + 64);
        let mut changed = false;
        let ends_word = |byte: &u8| matches!(byte, b' ' | b'\t' | b';' | b',');
        for part in value.split_inclusive(ends_word) {
            let word = part.len() - usize::from(part.last().is_some_and(ends_word));
            let (word, end) = part.split_at(word);
            let source = match Url::parse(word) {
                Some(url) => self.own_url_down(&url),
                None if self.is_own_authority(word) => Some(public.authority.as_bytes().to_vec()),
                None => None,
            };
            changed |= source.is_some();
            mapped.extend_from_slice(source.as_deref().unwrap_or(word));
            mapped.extend_from_slice(end);
        }
        changed.then_some(mapped)
    }

    fn is_own(&self, url: &Url<'_>) -> bool {
        let default_port: &[u8] = match url.scheme {
            "http" | "ws" => b":80",
            "https" | "wss" => b":443",
            _ => b"",
        };
        self.is_own_authority(
            url.authority
                .strip_suffix(default_port)
                .unwrap_or(url.authority),
        )
    }

    fn is_own_authority(&self, authority: &[u8]) -> bool {
        self.own_authorities()
            .any(|own| own.as_bytes().eq_ignore_ascii_case(authority))
    }

    fn own_authorities(&self) -> impl Iterator<Item = &'a str> {
        let public = self
            .public
            .filter(|_| *self.target().host_mode() == HostMode::Public);
        self.target()
            .authorities()
            .chain(public.map(|public| public.authority))
    }

    fn is_own_https(&self, location: &[u8]) -> bool {
        self.target().scheme() == "http"
            && Url::parse(location).is_some_and(|url| {
                let same_host = |own: &str| {
                    host_of(own.as_bytes()).eq_ignore_ascii_case(host_of(url.authority))
                };
                url.scheme == "https" && self.own_authorities().any(same_host)
            })
    }
}

impl Origin<'_> {
    /// What follows this origin in a URL.
    fn strip<'v>(&self, url: &'v [u8]) -> Option<&'v [u8]> {
        let url = Url::parse(url)?;
        let same = url.scheme == self.scheme
            && url
                .authority
                .eq_ignore_ascii_case(self.authority.as_bytes());
        same.then_some(url.rest)
    }
}

/// A URL with an authority, cut in three. Without a scheme it begins with two slashes.
struct Url<'v> {
    scheme: &'static str,
    authority: &'v [u8],
    rest: &'v [u8],
}

impl<'v> Url<'v> {
    fn parse(value: &'v [u8]) -> Option<Self> {
        const SCHEMES: [&str; 5] = ["", "http", "https", "ws", "wss"];
        let (scheme, after) = SCHEMES.into_iter().find_map(|scheme| {
            let (start, after) = value.split_at_checked(scheme.len())?;
            let after = if scheme.is_empty() {
                after
            } else {
                after.strip_prefix(b":")?
            };
            let after = after.strip_prefix(b"//")?;
            start
                .eq_ignore_ascii_case(scheme.as_bytes())
                .then_some((scheme, after))
        })?;
        let ends = |byte: &u8| matches!(byte, b'/' | b'?' | b'#' | b'\\');
        let end = after.iter().position(ends).unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        Some(Self {
            scheme,
            authority,
            rest,
        })
    }
}

/// An authority without its port.
fn host_of(authority: &[u8]) -> &[u8] {
    match authority.iter().rposition(|&byte| byte == b':') {
        Some(at) if authority[at..].iter().skip(1).all(u8::is_ascii_digit) => &authority[..at],
        _ => authority,
    }
}

/// Adds a field whose name and value come from checked fields, a checked target or the schema's
/// checked origin. Joined to each other they can hold nothing that a field may not.
fn put(fields: &mut FieldLinesBuilder, name: &str, value: &[u8]) {
    fields.push(name, value).expect("made of checked parts");
}

#[cfg(test)]
mod tests;
