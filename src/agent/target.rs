//! Where requests go: targets that the agent's owner allows, and the path prefixes that lead there.
//!
//! Only parses and decides. Dialling a target is `origin::connect`, mapping headers is `rewrite`.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use zeroize::Zeroizing;

/// Most routes of an agent: each costs a comparison a request.
pub const ROUTES_MAX: usize = 64;

/// Why a target or a route is refused. Always the fault of who configured it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Neither `http://`, `https://` nor `unix:/`.
    #[error("a target begins with http://, https:// or unix:/")]
    Scheme,
    /// User and password stand in the URL, where they would end up in logs.
    #[error("a target's URL holds no user or password: use a credentials file")]
    UserInfo,
    /// The host is empty or holds what no host name or address holds.
    #[error("the target's host is malformed")]
    Host,
    /// The port is not 1 to 65535.
    #[error("the target's port is not a number from 1 to 65535")]
    Port,
    /// The base path holds a query, a fragment or a control character.
    #[error("the target's path is malformed")]
    Path,
    /// An https target without a word on whom to trust.
    #[error("an https target needs one of pin, ca_file or insecure")]
    TrustMissing,
    /// Trust settings on a target without TLS.
    #[error("pin, ca_file and insecure are for https targets only")]
    TrustUnused,
    /// A certificate pin that is no SHA-256 in hexadecimal.
    #[error("a pin is the certificate's SHA-256 fingerprint: 64 hexadecimal digits")]
    Pin,
    /// A host header mode that is not known.
    #[error("host is \"device\", \"public\" or \"name:HOST\"")]
    HostMode,
    /// Credentials that fit no Authorization header.
    #[error("credentials are one line: user:password, or a scheme and its value")]
    Credential,
    /// A route's prefix does not begin with a slash or holds a query or control character.
    #[error("a route's prefix is a path that begins with /")]
    Prefix,
    /// Two routes with one prefix.
    #[error("two targets for the prefix {0}")]
    Duplicate(String),
    /// No route at all, or more than [`ROUTES_MAX`].
    #[error("an agent has 1 to 64 targets")]
    Count,
}

/// The transport address of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP port. The host is a name, an IPv4 or an IPv6 address (without brackets).
    Tcp {
        /// Name or address.
        host: String,
        /// 1 to 65535.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// Whom an https target's certificate is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Exactly the certificate with this SHA-256 fingerprint; names and dates do not matter.
    Pin([u8; 32]),
    /// Certificates of these authorities, for the host's name.
    Ca(Vec<CertificateDer<'static>>),
    /// Any certificate: the owner trusts the network between agent and device.
    Insecure,
}

impl Trust {
    /// A pin from hexadecimal digits, with or without colons and the prefix `sha256:`.
    ///
    /// # Errors
    /// [`TargetError::Pin`].
    pub fn pin(text: &str) -> Result<Self, TargetError> {
        let digits = text
            .strip_prefix("sha256:")
            .unwrap_or(text)
            .replace(':', "");
        let mut pin = [0; 32];
        if digits.len() != 2 * pin.len() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(TargetError::Pin);
        }
        for (byte, pair) in pin.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| TargetError::Pin)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| TargetError::Pin)?;
        }
        Ok(Self::Pin(pin))
    }
}

/// Which Host, and with it which Origin and Referer, a device sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HostMode {
    /// The authority that the agent dials: what a device on its own network expects.
    #[default]
    Device,
    /// The session's public authority.
    Public,
    /// A fixed name, for a device that answers to one only.
    Fixed(String),
}

impl FromStr for HostMode {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        match text {
            "device" => Ok(Self::Device),
            "public" => Ok(Self::Public),
            _ => {
                let name = text.strip_prefix("name:").ok_or(TargetError::HostMode)?;
                split_authority(name, 0)?;
                Ok(Self::Fixed(name.to_owned()))
            }
        }
    }
}

/// The value of an Authorization header that stays on the agent. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Zeroizing<Vec<u8>>);

impl Credential {
    /// From `user:password`, or from a scheme and its value such as `Bearer abc`.
    ///
    /// # Errors
    /// [`TargetError::Credential`] if it is neither, or more than one line.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let text = text.trim_end_matches(['\r', '\n']);
        let plain = !text.is_empty() && !text.bytes().any(|byte| byte.is_ascii_control());
        let scheme = text.split_once(' ').map_or("", |(scheme, _)| scheme);
        if plain && ["Basic", "Bearer", "Digest"].contains(&scheme) {
            Ok(Self(Zeroizing::new(text.as_bytes().to_vec())))
        } else if plain && text.contains(':') {
            let mut value = Zeroizing::new(b"Basic ".to_vec());
            value.extend_from_slice(Zeroizing::new(STANDARD.encode(text)).as_bytes());
            Ok(Self(value))
        } else {
            Err(TargetError::Credential)
        }
    }

    /// The header's value.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credential(..)")
    }
}

/// What of a target its URL does not say.
#[derive(Debug, Clone, Default)]
pub struct TargetOptions {
    /// For https, and only there.
    pub trust: Option<Trust>,
    /// Which Host the device sees.
    pub host: HostMode,
    /// Other authorities (`name` or `name:port`) under which the device speaks of itself.
    pub aliases: Vec<String>,
    /// An Authorization header that replaces the browser's.
    pub credential: Option<Credential>,
}

/// A device's web interface as the agent reaches it.
#[derive(Debug, Clone)]
pub struct Target {
    address: Address,
    tls: bool,
    authority: String,
    base: Option<String>,
    options: TargetOptions,
}

impl Target {
    /// Parses `http://host[:port][/base]`, `https://...` or `unix:/path/to.sock`.
    ///
    /// # Errors
    /// [`TargetError`] says which part is refused.
    pub fn new(url: &str, mut options: TargetOptions) -> Result<Self, TargetError> {
        let trust = options.trust.is_some();
        if let Some(path) = url.strip_prefix("unix:") {
            if !path.starts_with('/') || path.contains('\0') {
                return Err(TargetError::Path);
            }
            if trust {
                return Err(TargetError::TrustUnused);
            }
            let address = Address::Unix(PathBuf::from(path));
            return Ok(Self {
                address,
                tls: false,
                authority: "localhost".into(),
                base: None,
                options,
            });
        }
        let (tls, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(TargetError::Scheme),
        };
        let (authority, base) = match rest.find(['/', '?', '#']) {
            Some(at) => (&rest[..at], Some(&rest[at..])),
            None => (rest, None),
        };
        let default_port = if tls { 443 } else { 80 };
        let (host, port) = split_authority(authority, default_port)?;
        let base = base
            .map(normal_prefix)
            .transpose()
            .map_err(|_| TargetError::Path)?;
        match (tls, trust) {
            (true, false) => return Err(TargetError::TrustMissing),
            (false, true) => return Err(TargetError::TrustUnused),
            _ => {}
        }
        for alias in &mut options.aliases {
            split_authority(alias, default_port)?;
            *alias = without_port(alias, default_port).to_owned();
        }
        if let HostMode::Fixed(name) = &mut options.host {
            *name = without_port(name, default_port).to_owned();
        }
        let authority = without_port(authority, default_port).to_ascii_lowercase();
        Ok(Self {
            address: Address::Tcp { host, port },
            tls,
            authority,
            base,
            options,
        })
    }

    /// Where to dial.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How to check the certificate; `None` for a target without TLS.
    #[must_use]
    pub fn trust(&self) -> Option<&Trust> {
        self.options.trust.as_ref()
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// The authority as dialled, without a default port; `localhost` for a Unix socket.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Which Host the device sees.
    #[must_use]
    pub fn host_mode(&self) -> &HostMode {
        &self.options.host
    }

    /// All authorities that mean the device.
    pub fn authorities(&self) -> impl Iterator<Item = &str> {
        let fixed = match &self.options.host {
            HostMode::Fixed(name) => Some(name.as_str()),
            _ => None,
        };
        std::iter::once(self.authority.as_str())
            .chain(fixed)
            .chain(self.options.aliases.iter().map(String::as_str))
    }

    /// The Authorization header to send, if the agent keeps one.
    #[must_use]
    pub fn credential(&self) -> Option<&Credential> {
        self.options.credential.as_ref()
    }
}

/// How logs name a target: without credentials, as there are none in it.
impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Unix(path) => write!(formatter, "unix:{}", path.display()),
            Address::Tcp { .. } => {
                let base = self.base.as_deref().unwrap_or_default();
                write!(formatter, "{}://{}{base}", self.scheme(), self.authority)
            }
        }
    }
}

/// A path prefix and the target behind it.
#[derive(Debug, Clone)]
pub struct Route {
    /// Without a slash at its end, so empty for the root.
    prefix: String,
    target: Arc<Target>,
}

impl Route {
    /// The path prefix, as it is written.
    #[must_use]
    pub fn prefix(&self) -> &str {
        if self.prefix.is_empty() {
            "/"
        } else {
            &self.prefix
        }
    }

    /// The target behind this prefix.
    #[must_use]
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Whether the route's prefix covers this path, by whole segments.
    #[must_use]
    pub fn leads(&self, path: &str) -> bool {
        after_prefix(path, &self.prefix).is_some()
    }

    /// Whether a path that this route leads on climbs out of the route's prefix, or of the path in
    /// the target's URL, by its dot segments. What lies there is another route's, or nobody's.
    #[must_use]
    pub fn is_left_by(&self, path: &str) -> bool {
        let base = self.target.base.as_deref().unwrap_or_default();
        let bounded = !self.prefix.is_empty() || !base.is_empty();
        bounded && after_prefix(path, &self.prefix).is_some_and(climbs)
    }

    /// A request's path and query as the target sees it. A target without a path in its URL sees
    /// it byte for byte; a path in its URL stands in the place of the route's prefix.
    #[must_use]
    pub fn path_up<'a>(&self, path: &'a str) -> Cow<'a, str> {
        match &self.target.base {
            None => path.into(),
            Some(base) => match after_prefix(path, &self.prefix) {
                Some(rest) => join(base, rest).into(),
                None => path.into(),
            },
        }
    }

    /// A path of the target as the browser must ask for it; `None` if no route leads there or
    /// nothing changes.
    #[must_use]
    pub fn path_down(&self, path: &str) -> Option<String> {
        let base = self
            .target
            .base
            .as_ref()
            .filter(|base| **base != self.prefix)?;
        Some(join(&self.prefix, after_prefix(path, base)?))
    }
}

/// All targets of an agent by path.
#[derive(Debug, Clone)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// Takes pairs of prefix and target.
    ///
    /// # Errors
    /// [`TargetError::Prefix`], [`TargetError::Duplicate`] or [`TargetError::Count`].
    pub fn new(targets: impl IntoIterator<Item = (String, Target)>) -> Result<Self, TargetError> {
        let mut routes: Vec<Route> = Vec::new();
        for (given, target) in targets {
            let prefix = normal_prefix(&given)?;
            if routes.iter().any(|route| route.prefix == prefix) {
                return Err(TargetError::Duplicate(given));
            }
            routes.push(Route {
                prefix,
                target: Arc::new(target),
            });
        }
        if routes.is_empty() || routes.len() > ROUTES_MAX {
            return Err(TargetError::Count);
        }
        routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
        Ok(Self(routes))
    }

    /// The route with the longest prefix of `path`, whole segments only, and its index.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<(usize, &Route)> {
        self.0
            .iter()
            .enumerate()
            .find(|(_, route)| route.leads(path))
    }

    /// All routes, longest prefix first.
    #[must_use]
    pub fn all(&self) -> &[Route] {
        &self.0
    }
}

/// What follows `prefix` in `path`, if the prefix ends where a segment does.
fn after_prefix<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix)
        .filter(|rest| matches!(rest.as_bytes(), [] | [b'/' | b'?' | b'#', ..]))
}

/// Whether the dot segments of a path lead above where it begins, as any server may read it: dots and
/// slashes percent-encoded or not, backslashes for slashes, a parameter behind the dots, and slashes
/// in a row as one.
fn climbs(path: &str) -> bool {
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let mut rest = &path.as_bytes()[..end];
    let mut plain = Vec::with_capacity(end);
    while let [first, others @ ..] = rest {
        let (byte, after) = match rest {
            [b'%', b'2', b'e' | b'E', after @ ..] => (b'.', after),
            [b'%', b'2', b'f' | b'F', after @ ..] => (b'/', after),
            [b'%', b'5', b'c' | b'C', after @ ..] => (b'\\', after),
            _ => (*first, others),
        };
        plain.push(byte);
        rest = after;
    }
    let mut depth = 0_usize;
    for segment in plain.split(|byte| matches!(byte, b'/' | b'\\')) {
        let name = segment.split(|&byte| byte == b';').next();
        match name.unwrap_or_default() {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

fn join(prefix: &str, rest: &str) -> String {
    let slash = if prefix.is_empty() && !rest.starts_with('/') {
        "/"
    } else {
        ""
    };
    [prefix, slash, rest].concat()
}

/// A path without the slash at its end.
fn normal_prefix(path: &str) -> Result<String, TargetError> {
    let plain = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#'));
    if !path.starts_with('/') || !plain {
        return Err(TargetError::Prefix);
    }
    Ok(path.trim_end_matches('/').to_owned())
}

/// An authority as a browser writes it: without its scheme's own port (RFC 9110 4.2.3).
fn without_port(authority: &str, default_port: u16) -> &str {
    match authority.rsplit_once(':') {
        Some((host, digits)) if digits.parse() == Ok(default_port) => host,
        _ => authority,
    }
}

/// Host without brackets, and port.
fn split_authority(authority: &str, default_port: u16) -> Result<(String, u16), TargetError> {
    if authority.contains('@') {
        return Err(TargetError::UserInfo);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(TargetError::Host)?;
            host.parse::<std::net::Ipv6Addr>()
                .map_err(|_| TargetError::Host)?;
            let port = if port.is_empty() {
                None
            } else {
                port.strip_prefix(':').or(Some(""))
            };
            (host, port)
        }
        None => {
            let (host, port) = match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if host.is_empty() || host.len() > 253 || !host.bytes().all(named) {
                return Err(TargetError::Host);
            }
            (host, port)
        }
    };
    let port = match port {
        None => default_port,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or(TargetError::Port)?,
        Some(_) => return Err(TargetError::Port),
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests;
