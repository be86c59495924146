//! Wall-clock instants and durations as text: RFC 3339 towards people and APIs, `30m` in settings; and
//! what a wall clock that is set is told by. Timers are not here.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

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

/// An instant by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// By the one that people set.
    pub wall: UnixMillis,
    /// By the one that nobody sets, and that stands still while a machine sleeps.
    pub steady: Instant,
}

impl Now {
    /// This one.
    pub fn of_clocks() -> Self {
        Self {
            wall: UnixMillis::now(),
            steady: Instant::now(),
        }
    }
}

/// Tells whether the wall clock was set, by the one that nobody sets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steadiness {
    last: Option<Now>,
    since: Option<Instant>,
}

impl Steadiness {
    /// Between two looks the clocks may go apart so far: corrections of seconds are made all the time.
    const APART_MAX: Duration = Duration::from_secs(30);

    /// For how long the wall clock has gone on as the other has; nothing where it was set, or was never
    /// looked at before.
    pub fn look(&mut self, now: Now) -> Duration {
        let went_on = self.last.is_some_and(|last| {
            let steady = now.steady.saturating_duration_since(last.steady);
            let expected = last.wall.plus(steady);
            let apart = now.wall.since(expected).max(expected.since(now.wall));
            apart <= Self::APART_MAX
        });
        self.last = Some(now);
        if !went_on {
            self.since = Some(now.steady);
        }
        let since = self.since.unwrap_or(now.steady);
        now.steady.saturating_duration_since(since)
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
    fn a_clock_that_is_set_is_told_by_the_other() {
        let begun = Instant::now();
        let at = |wall: u64, steady: u64| Now {
            wall: UnixMillis(1_000_000_000_000 + wall * 1000),
            steady: begun + Duration::from_secs(steady),
        };
        let mut steadiness = Steadiness::default();
        let mut look = |wall, steady| steadiness.look(at(wall, steady)).as_secs();
        assert_eq!(look(0, 0), 0);
        assert_eq!(look(60, 60), 60);
        // Corrections of some seconds, again and again.
        assert_eq!(look(140, 120), 120);
        assert_eq!(look(170, 180), 180);
        // A year ahead, and back.
        assert_eq!(look(31_536_000, 240), 0);
        assert_eq!(look(31_536_060, 300), 60);
        assert_eq!(look(360, 360), 0);
        assert_eq!(look(3960, 3960), 3600);
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
