//! Names of things that both ends know: checked once, cheap to copy, compare and look up.

use std::{fmt, str::FromStr};
pub use uuid::Uuid;

/// The most characters of a stream's id.
pub const STREAM_ID_BYTES_MAX: usize = 64;

/// A stream's id: opaque, 1 to 64 visible ASCII characters, given back as it came.
///
/// A platform of ours counts, so an id in its shortest decimal form is held as a number, which
/// takes no allocation; any other is kept as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(Form);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    Number(u64),
    Text(Box<str>),
}

impl StreamId {
    /// The id of that number.
    pub const fn from_number(number: u64) -> Self {
        Self(Form::Number(number))
    }

    /// Reads an id; `None` where it is empty, too long, or not visible ASCII.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.is_empty()
            || bytes.len() > STREAM_ID_BYTES_MAX
            || !bytes.iter().all(u8::is_ascii_graphic)
        {
            return None;
        }
        // 19 digits always fit; "0" is the only one that may begin with a zero.
        let canonical = bytes.len() <= 19
            && bytes.iter().all(u8::is_ascii_digit)
            && (bytes[0] != b'0' || bytes.len() == 1);
        Some(Self(match text.parse() {
            Ok(number) if canonical => Form::Number(number),
            _ => Form::Text(text.into()),
        }))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Number(number) => write!(f, "{number}"),
            Form::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A random UUID (version 4, RFC 9562 section 5.4) out of 16 random bytes of the caller's.
pub fn random_uuid(entropy: [u8; 16]) -> Uuid {
    uuid::Builder::from_random_bytes(entropy).into_uuid()
}

/// A UUID that is greater than those of earlier milliseconds, and as random as they are within one (version
/// 7, RFC 9562 section 5.7), out of an instant in milliseconds since 1970 and 10 random bytes of the caller's.
pub const fn growing_uuid(unix_ms: u64, entropy: [u8; 10]) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(unix_ms, &entropy).into_uuid()
}

macro_rules! typed_uuid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Makes one out of 16 random bytes of the caller's.
            pub fn random(entropy: [u8; 16]) -> Self {
                Self(random_uuid(entropy))
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

typed_uuid! {
    /// An enrolled host: given once by the platform and never used again for another.
    HostId
}
typed_uuid! {
    /// A command: what a host is to do once. Nobody may do anything because they know one.
    CommandId
}

impl CommandId {
    /// A new one: what is written at the same time stands on the same page of an index, so that a commit
    /// writes one page for all of them in place of one for each (some 7 us of CPU).
    pub const fn growing(unix_ms: u64, entropy: [u8; 10]) -> Self {
        Self(growing_uuid(unix_ms, entropy))
    }
}
typed_uuid! {
    /// A file that the platform keeps for commands, or has of one.
    FileId
}
typed_uuid! {
    /// A console session: one user's way to one host's web interface.
    ConsoleSessionId
}
typed_uuid! {
    /// A user of the platform: never used again for another, whatever becomes of its name.
    UserId
}
typed_uuid! {
    /// A group of hosts, which is what users are granted.
    GroupId
}
typed_uuid! {
    /// An API key of a user.
    ApiKeyId
}

typed_uuid! {
    /// An alert.
    AlertId
}
typed_uuid! {
    /// A rule of alerts.
    AlertRuleId
}
typed_uuid! {
    /// A place that alerts are sent to.
    AlertChannelId
}
typed_uuid! {
    /// A while in which alerts are not sent.
    AlertSilenceId
}
typed_uuid! {
    /// Names an enrolment token to those who look after them. It is none of what is in the token.
    EnrolmentTokenId
}
typed_uuid! {
    /// A sign-in and all tokens that came of it, which end together.
    FamilyId
}

/// The most characters of a host's name, as of a DNS label.
const HOST_NAME_BYTES_MAX: usize = 63;

/// A host's name: 1 to 63 letters, digits, hyphens, underscores or dots in ASCII, a letter or digit
/// first, and no UUID. Hosts are named by name or id, so that a name that reads as an id could be
/// taken for another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(String);

/// The text is no host's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a host's name is 1 to 63 letters, digits, hyphens, underscores or dots, a letter or digit first, and no UUID"
)]
pub struct HostNameError;

impl HostName {
    /// The name of a host on the machine of this name, which may be any text: in lower case, a hyphen
    /// in the place of what no name has, and cut.
    pub fn of_machine(machine: &str) -> Self {
        let allowed = |char: char| match char {
            'a'..='z' | '0'..='9' | '-' | '_' | '.' => char,
            _ => '-',
        };
        let name: String = machine
            .trim()
            .to_lowercase()
            .chars()
            .map(allowed)
            .skip_while(|first| !first.is_ascii_alphanumeric())
            .take(HOST_NAME_BYTES_MAX)
            .collect();
        let name = name.trim_end_matches('-');
        match name.parse() {
            Ok(name) => name,
            Err(HostNameError) if name.is_empty() => Self("host".to_owned()),
            // It reads as an id, which is far from the longest name.
            Err(HostNameError) => Self(format!("host-{name}")),
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        let valid = text.parse::<HostId>().is_err()
            && text.len() <= HOST_NAME_BYTES_MAX
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        valid.then(|| Self(text.to_owned())).ok_or(HostNameError)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_name_is_a_label_and_never_an_id() {
        for name in ["k", "rack-7", "Kvm_2.lab", "0", "deadbeef", &"x".repeat(63)] {
            assert_eq!(name.parse::<HostName>().expect(name).as_str(), name);
        }
        let id = HostId::random([7; 16]).to_string();
        for name in [
            "",
            "-a",
            "a b",
            "a/b",
            "\u{e4}",
            &"x".repeat(64),
            &id,
            &id.to_uppercase(),
            &id.replace('-', ""),
        ] {
            assert_eq!(name.parse::<HostName>(), Err(HostNameError), "{name}");
        }
    }

    #[test]
    fn every_machine_has_a_valid_name() {
        let id = HostId::random([7; 16]).to_string();
        for (machine, name) in [
            ("rack-7", "rack-7"),
            ("Rack7.Lab", "rack7.lab"),
            (" my kvm\n", "my-kvm"),
            ("_gw (old)", "gw--old"),
            ("k\u{fc}che", "k-che"),
            ("", "host"),
            ("(none)", "none"),
            ("\u{4e2d}", "host"),
            (&"x".repeat(70), &"x".repeat(63)),
            (&id.to_uppercase(), &format!("host-{id}")),
        ] {
            let made = HostName::of_machine(machine);
            assert_eq!(made.as_str(), name, "{machine:?}");
            assert_eq!(made.as_str().parse(), Ok(made.clone()), "{machine:?}");
        }
    }

    #[test]
    fn an_id_is_given_back_as_it_came() {
        for text in [
            "0",
            "7",
            "18446744073709551615",
            "007",
            "r1",
            "a/b:c",
            "9999999999999999999",
        ] {
            assert_eq!(StreamId::parse(text).expect("valid").to_string(), text);
        }
        assert_eq!(StreamId::parse("42"), Some(StreamId::from_number(42)));
        assert_ne!(StreamId::parse("042"), Some(StreamId::from_number(42)));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "a b", "ä", "a\n", &"x".repeat(65)] {
            assert_eq!(StreamId::parse(text), None, "{text:?}");
        }
    }
}
