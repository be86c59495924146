//! Small values that messages are made of, each a type that cannot hold anything else.

use super::{fields::is_token, json::is_json};
use std::{
    fmt,
    time::{Duration, SystemTime},
};
use zeroize::Zeroizing;

/// Text of a format that the schema names.
pub trait Text: Sized {
    /// What it is, for people: completes "is not ...".
    const WHAT: &'static str;
    /// The value, or `None` where the text is not of the format.
    fn parse(text: String) -> Option<Self>;
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl Text for $name {
            const WHAT: &'static str = $what;
            fn parse(text: String) -> Option<Self> {
                let valid: fn(&str) -> bool = $valid;
                valid(&text).then_some(Self(text))
            }
        }

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, given away.
            pub fn into_string(self) -> String {
                self.0
            }
        }
    };
}

macro_rules! shown {
    ($($name:ident),*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        })*
    };
}

text! {
    /// An HTTP method: a token (RFC 9110 section 9.1).
    Method, "an HTTP method", |text| !text.is_empty() && text.bytes().all(is_token)
}
text! {
    /// A request target in origin form or `*` (RFC 9112 section 3.2), byte for byte as it came.
    RequestTarget, "a path that begins with '/' and holds neither spaces nor controls",
    |text| (text.starts_with('/') || text == "*") && text.bytes().all(|byte| byte > b' ' && byte != 0x7f)
}
text! {
    /// A name of the protocol, such as a capability.
    Name, "a name of lower-case letters, digits, '_' and '.'",
    |text| !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'.')
}
text! {
    /// The origin of a web page (RFC 6454 section 6.2): `http` or `https`, host, and the port where
    /// it is not the scheme's own.
    Origin, "an origin such as https://name:port",
    |text| {
        let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        authority.is_some_and(|authority| {
            !authority.is_empty()
                && authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
        })
    }
}
text! {
    /// A JSON value as text (RFC 8259), nested no deeper than the JSON encoding allows: what this
    /// schema does not describe and hands on as it came.
    RawJson, "a JSON value within bounds", is_json
}
shown!(Method, Name, Origin);

/// It may hold anything, a credential too.
impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawJson({} bytes)", self.0.len())
    }
}

/// A query may hold a credential: only the path is shown.
impl fmt::Debug for RequestTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once('?') {
            Some((path, _)) => write!(f, "{path:?}?.."),
            None => write!(f, "{:?}", self.0),
        }
    }
}

/// A credential: never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps it.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one place that must see it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text, to be encoded.
    pub fn into_string(mut self) -> String {
        std::mem::take(&mut *self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A moment of the calendar, to the nanosecond, within the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    seconds: i64,
    nanos: i32,
}

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, the range of `google.protobuf.Timestamp`.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

impl Timestamp {
    /// Seconds since 1970 and nanoseconds of the second; `None` out of range.
    pub fn new(seconds: i64, nanos: i32) -> Option<Self> {
        (SECONDS.contains(&seconds) && (0..1_000_000_000).contains(&nanos))
            .then_some(Self { seconds, nanos })
    }

    /// The moment that a clock shows, taken into range where it shows nonsense.
    pub fn from_system_time(time: SystemTime) -> Self {
        let (seconds, nanos) = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => (
                i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                after.subsec_nanos(),
            ),
            Err(before) => {
                let before = before.duration();
                let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                match before.subsec_nanos() {
                    0 => (-seconds, 0),
                    nanos => (-seconds - 1, 1_000_000_000 - nanos),
                }
            }
        };
        let nanos = i32::try_from(nanos).unwrap_or_default();
        Self {
            seconds: seconds.clamp(*SECONDS.start(), *SECONDS.end()),
            nanos,
        }
    }

    /// The moment as the standard library has it; `None` where that cannot hold it.
    pub fn to_system_time(self) -> Option<SystemTime> {
        let nanos = Duration::from_nanos(u64::try_from(self.nanos).ok()?);
        let whole = Duration::from_secs(self.seconds.unsigned_abs());
        let second = if self.seconds < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(whole)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(whole)
        };
        second?.checked_add(nanos)
    }
}

impl From<Timestamp> for prost_types::Timestamp {
    fn from(time: Timestamp) -> Self {
        Self {
            seconds: time.seconds,
            nanos: time.nanos,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_line_break_is_no_path() {
        for bad in ["", "x", "/a\r\nb", "/a b", "http://x/", "/\u{7f}"] {
            assert_eq!(RequestTarget::parse(bad.into()), None, "{bad:?}");
        }
        for good in ["/", "*", "/a%2Fb//c?d=+e", "/\u{fc}"] {
            assert!(RequestTarget::parse(good.into()).is_some(), "{good:?}");
        }
    }

    #[test]
    fn a_query_is_not_shown() {
        let target = RequestTarget::parse("/login?token=hunter2".into()).expect("valid");
        assert!(!format!("{target:?}").contains("hunter2"));
    }

    #[test]
    fn times_go_there_and_back() {
        for (seconds, nanos) in [
            (0, 0),
            (-1, 999_999_999),
            (1_726_833_600, 5),
            (-62_135_596_800, 0),
        ] {
            let time = Timestamp::new(seconds, nanos).expect("in range");
            let there = time.to_system_time().expect("in range");
            assert_eq!(Timestamp::from_system_time(there), time);
        }
        assert_eq!(Timestamp::new(253_402_300_800, 0), None);
        assert_eq!(Timestamp::new(0, 1_000_000_000), None);
    }
}
