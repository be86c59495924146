//! Whom a request is for, by its `Host` field.

use std::borrow::Cow;

use hyper::header::{HOST, HeaderMap};

/// Whom a request is for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::platform) enum Addressee<'a> {
    Platform,
    /// The console session with this label, in lower case.
    Console(Cow<'a, str>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoHost;

/// Reads it off the `Host` field, of which there must be exactly one (RFC 9112 section 3.2).
pub(super) fn addressee<'a>(
    headers: &'a HeaderMap,
    console_domain: &str,
) -> Result<Addressee<'a>, NoHost> {
    let mut fields = headers.get_all(HOST).iter();
    let (Some(host), None) = (fields.next(), fields.next()) else {
        return Err(NoHost);
    };
    let host = host.to_str().map_err(|_| NoHost)?;
    Ok(named(host, console_domain))
}

/// Whom a host's name leads to, with its port or without.
pub(in crate::platform) fn named<'a>(host: &'a str, console_domain: &str) -> Addressee<'a> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    // Browsers write a host in lower case, so that nearly always nothing is copied here.
    let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    };
    let label = |name: &str| {
        let label = name.strip_suffix(console_domain)?.strip_suffix('.')?;
        (!label.is_empty()).then_some(label.len())
    };
    match (label(&name), name) {
        (Some(length), Cow::Borrowed(name)) => Addressee::Console(name[..length].into()),
        (Some(length), Cow::Owned(mut name)) => {
            name.truncate(length);
            Addressee::Console(name.into())
        }
        (None, _) => Addressee::Platform,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hosts: &[&str]) -> Result<Addressee<'static>, NoHost> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, host.parse().expect("a value"));
        }
        addressee(&headers, "console.example").map(|addressee| match addressee {
            Addressee::Platform => Addressee::Platform,
            Addressee::Console(label) => Addressee::Console(label.into_owned().into()),
        })
    }

    #[test]
    fn the_host_decides_whom_a_request_is_for() {
        let console = |label: &'static str| Ok(Addressee::Console(label.into()));
        for host in [
            "console.example",
            "console.example:443",
            "127.0.0.1:8443",
            "[::1]:80",
            "",
        ] {
            assert_eq!(of(&[host]), Ok(Addressee::Platform), "{host}");
        }
        assert_eq!(of(&["evilconsole.example"]), Ok(Addressee::Platform));
        assert_eq!(of(&[".console.example"]), Ok(Addressee::Platform));
        assert_eq!(of(&["abc.console.example"]), console("abc"));
        assert_eq!(of(&["ABC.Console.Example:8443"]), console("abc"));
        assert_eq!(
            of(&["a.b.console.example"]),
            console("a.b"),
            "no label has a dot"
        );
        assert_eq!(of(&[]), Err(NoHost));
        assert_eq!(of(&["a.console.example", "b.console.example"]), Err(NoHost));
        assert_eq!(of(&["\u{e9}.console.example"]), Err(NoHost));
    }
}
