//! Wall-clock instants and durations as text: RFC 3339 towards people and APIs, `30m` in settings.
//! Monotonic time and timers are not here.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::wire::values::Timestamp;

/// An instant by the wall clock, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The system's clock now. A clock set before 1970 reads as zero.
    pub fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self(since.as_millis() as u64)
    }

    /// This instant and a duration after it.
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_millis() as u64))
    }

    /// How long after `earlier` this instant is; nothing when it is before.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for UnixMillis {
    /// RFC 3339 in UTC with whole seconds, as in `2026-04-15T15:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Past year 9999 RFC 3339 has no form: the last that it has stands for all of them.
        let seconds = i64::try_from(self.0 / 1000)
            .unwrap_or(i64::MAX)
            .min(253_402_300_799);
        fmt::Display::fmt(&prost_types::Timestamp { seconds, nanos: 0 }, f)
    }
}

impl From<UnixMillis> for Timestamp {
    fn from(at: UnixMillis) -> Self {
        let since = Duration::from_millis(at.0);
        let time = SystemTime::UNIX_EPOCH.checked_add(since);
        Self::from_system_time(time.unwrap_or(SystemTime::UNIX_EPOCH))
    }
}

impl From<Timestamp> for UnixMillis {
    /// An instant before 1970 is taken for its beginning.
    fn from(at: Timestamp) -> Self {
        let since = at
            .to_system_time()
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        Self(since.unwrap_or_default().as_millis() as u64)
    }
}

/// The text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a duration is a number and a unit: ms, s, m, h or d, as in 30m")]
pub struct DurationError;

/// Reads a duration such as `500ms`, `15s`, `30m`, `12h` or `7d`.
///
/// # Errors
/// When there is no unit, another one, or a number that does not fit.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .ok_or(DurationError)?;
    let number: u64 = text[..unit_at].parse().map_err(|_| DurationError)?;
    let unit_ms = match &text[unit_at..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return Err(DurationError),
    };
    // A century bounds it, so that no sum of an instant and a duration overflows.
    let ms = number
        .checked_mul(unit_ms)
        .filter(|ms| *ms <= 100 * 365 * 24 * 60 * 60 * 1000);
    ms.map(Duration::from_millis).ok_or(DurationError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_as_rfc_3339() {
        assert_eq!(
            UnixMillis(1_776_265_200_999).to_string(),
            "2026-04-15T15:00:00Z"
        );
        assert_eq!(UnixMillis(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(UnixMillis(u64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("30m"), Ok(Duration::from_secs(1800)));
        assert_eq!(parse_duration(" 250ms "), Ok(Duration::from_millis(250)));
        for text in [
            "",
            "30",
            "m",
            "-1s",
            "1 m",
            "1w",
            "99999999999999999999s",
            "400000d",
        ] {
            assert_eq!(parse_duration(text), Err(DurationError), "{text:?}");
        }
    }
}
