//! Addresses of e-mail that can stand in a header and in a dialogue with a mail server as they are.

use std::fmt;
use std::str::FromStr;

/// Longest address (RFC 5321 section 4.5.3.1.3, without the angle brackets).
const ADDRESS_BYTES_MAX: usize = 254;
/// Longest part before the `@`.
const LOCAL_BYTES_MAX: usize = 64;

/// An e-mail address: `local@domain` in visible ASCII without quotes. There is nothing in it that could end a line, a
/// header or a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailAddress(String);

/// The text is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address is like ops@example.com, in ASCII and without quotes")]
pub struct AddressError;

impl EmailAddress {
    /// What is behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// As it stands in a header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EmailAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        // `atext` of RFC 5322 section 3.2.3, beside letters and digits.
        let atext =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
        let in_domain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let dotted = |text: &str, taken: fn(&str) -> bool| text.split('.').all(taken);
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError)?;
        let is_local = local.len() <= LOCAL_BYTES_MAX
            && local
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(atext));
        let is_domain = dotted(domain, |part| {
            !part.is_empty() && !part.starts_with('-') && !part.ends_with('-')
        }) && domain.bytes().all(|byte| byte == b'.' || in_domain(byte));
        if text.len() <= ADDRESS_BYTES_MAX && is_local && is_domain {
            Ok(Self(text.to_owned()))
        } else {
            Err(AddressError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_nothing_that_means_more() {
        for text in [
            "ops@example.com",
            "a.b+c@x",
            "o'neil@mail.example.com",
            "a@127",
        ] {
            assert_eq!(text.parse(), Ok(EmailAddress(text.to_owned())));
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "",
            "ops",
            "@example.com",
            "ops@",
            "ops@-a.example",
            "ops@a..b",
            ".ops@example.com",
            "ops@example.com\r\nBcc: x@example.com",
            "ops\n@example.com",
            "ops @example.com",
            "a@b@example.com",
            "\"a b\"@example.com",
            "<ops@example.com>",
            "ops@example.com,x@example.com",
            "ops@exämple.com",
            "ops@[127.0.0.1]",
            &long,
        ] {
            assert_eq!(text.parse::<EmailAddress>(), Err(AddressError), "{text:?}");
        }
    }
}
