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
    /// A console session: one user's way to one host's web interface.
    ConsoleSessionId
}

#[cfg(test)]
mod tests {
    use super::*;

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
