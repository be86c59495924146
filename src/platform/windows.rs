//! Maintenance windows: the hours of the week in which a group's hosts may be worked on, by the clock of a
//! time zone. A window begins at its hour of the local day and lasts its length, by any clock: where daylight
//! saving takes an hour out of a night, a window that would begin in it begins an hour later by the local
//! clock; where it puts one in, a window begins at the first of the two. The rules of time zones are those of
//! the IANA, built into the program: what the system has, or lacks, changes nothing.

use std::fmt;
use std::time::Duration;

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp};
use serde_json::{Value, json};

use crate::clock::UnixMillis;

/// The most windows of one group.
pub const WINDOWS_MAX: usize = 16;
/// The longest window, in minutes: a week, which is always open where it begins once a week.
pub const LENGTH_MAX: u32 = 7 * DAY_MINUTES;
const DAY_MINUTES: u32 = 24 * 60;
/// Longest name of a time zone, in characters.
const ZONE_MAX: usize = 64;
/// How far ahead an opening is looked for, in days: each window opens once a week at least, and no clock is
/// moved by as much as a day more than once.
const AHEAD: i64 = 9;

/// Hours of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The days on which it begins, Monday's the lowest bit; one at least.
    days: u8,
    /// When it begins, in minutes of the local day.
    start: u16,
    /// How long it lasts, in minutes.
    length: u32,
    zone: Zone,
}

/// Whose clock says what hour it is.
#[derive(Clone)]
struct Zone {
    name: String,
    rules: TimeZone,
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.name, f)
    }
}

/// Why something is no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// No day, or one that is none.
    #[error("a window has the days on which it begins, one at least")]
    Days,
    /// The hour is none.
    #[error("a window begins at an hour such as 02:30, from 00:00 to 23:59")]
    Start,
    /// It is empty, or longer than a week.
    #[error("a window lasts from 1 minute to 10080, which is a week")]
    Length,
    /// Nobody knows this zone.
    #[error("a time zone is a name such as Europe/Berlin, an offset such as +02:00, or UTC")]
    Zone,
}

impl Window {
    /// A window that begins on these days, bits of which Monday's is the lowest, at an hour such as `02:30`.
    /// No zone is UTC.
    ///
    /// # Errors
    /// Says which of it is wrong.
    pub fn new(days: u8, start: &str, length: u32, zone: &str) -> Result<Self, WindowError> {
        if days == 0 || days >= 1 << 7 {
            return Err(WindowError::Days);
        }
        if !(1..=LENGTH_MAX).contains(&length) {
            return Err(WindowError::Length);
        }
        Ok(Self {
            days,
            start: minute_of_day(start).ok_or(WindowError::Start)?,
            length,
            zone: Zone::new(zone)?,
        })
    }

    /// The days on which it begins, Monday's the lowest bit.
    pub const fn days(&self) -> u8 {
        self.days
    }

    /// When it begins, such as `02:30`.
    pub fn start(&self) -> String {
        format!("{:02}:{:02}", self.start / 60, self.start % 60)
    }

    /// How long it lasts, in minutes.
    pub const fn length(&self) -> u32 {
        self.length
    }

    /// The name of its time zone.
    pub fn zone(&self) -> &str {
        &self.zone.name
    }

    /// Its beginnings, those of a week and more before `now` and after it.
    fn starts(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        let back = i64::from(self.length / DAY_MINUTES) + 2;
        let today = self.zone.rules.to_datetime(now).date();
        (-back..=AHEAD).filter_map(move |days| {
            let date = today.checked_add(Span::new().days(days)).ok()?;
            let bit = date.weekday().to_monday_zero_offset();
            if self.days & 1 << bit == 0 {
                return None;
            }
            let (hour, minute) = ((self.start / 60) as i8, (self.start % 60) as i8);
            let time = civil::Time::new(hour, minute, 0, 0).ok()?;
            let begins = self
                .zone
                .rules
                .to_ambiguous_timestamp(date.to_datetime(time));
            begins.compatible().ok()
        })
    }
}

impl Zone {
    fn new(name: &str) -> Result<Self, WindowError> {
        if name.len() > ZONE_MAX {
            return Err(WindowError::Zone);
        }
        let rules = match name {
            "" | "UTC" => TimeZone::UTC,
            offset if offset.starts_with(['+', '-']) => {
                TimeZone::fixed(offset_of(offset).ok_or(WindowError::Zone)?)
            }
            name => TimeZone::get(name).map_err(|_| WindowError::Zone)?,
        };
        let name = match name {
            "" => "UTC",
            // As the IANA writes it.
            name => rules.iana_name().unwrap_or(name),
        };
        Ok(Self {
            name: name.to_owned(),
            rules,
        })
    }
}

/// `+02:00` and the like, up to 18 hours.
fn offset_of(text: &str) -> Option<Offset> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let minutes = i32::from(minute_of_day(text.get(1..)?)?);
    (minutes <= 18 * 60).then(|| Offset::from_seconds(sign * minutes * 60).ok())?
}

/// `02:30` as minutes.
fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str, most: u16| -> Option<u16> {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits)?;
        (number <= most).then_some(number)
    };
    Some(two(hours, 23)? * 60 + two(minutes, 59)?)
}

/// How a host's windows stand at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// One is open, until then. Where the next begins before, or as it ends, that is the end of the last; but
    /// not after more than a week.
    Open(UnixMillis),
    /// None is; the next opens then.
    Shut(UnixMillis),
    /// There are none.
    Never,
}

/// How these windows, of which each counts, stand at that time.
pub fn standing(windows: &[Window], at: UnixMillis) -> Standing {
    let Some(now) = timestamp(at) else {
        return Standing::Never;
    };
    let mut spans: Vec<(u64, u64)> = windows
        .iter()
        .flat_map(|window| {
            let length = u64::from(window.length) * 60 * 1000;
            let starts = window.starts(now).filter_map(millis);
            starts.map(move |start| (start, start + length))
        })
        .collect();
    spans.sort_unstable();
    let mut open: Option<u64> = None;
    for (start, end) in spans {
        match open {
            _ if end <= at.0 => {}
            None if start > at.0 => return Standing::Shut(UnixMillis(start)),
            Some(until) if start > until => break,
            known => open = known.max(Some(end)),
        }
    }
    let most = at.plus(Duration::from_secs(u64::from(LENGTH_MAX) * 60));
    match open {
        Some(until) => Standing::Open(UnixMillis(until).min(most)),
        None => Standing::Never,
    }
}

/// How the windows of many hosts stand at one time. Most hosts have theirs from the same few groups, for
/// which it is worked out once.
#[derive(Debug)]
pub struct Standings<'a> {
    at: UnixMillis,
    known: Vec<(&'a [Window], Standing)>,
}

/// Different windows that are remembered.
const KNOWN_MAX: usize = 32;

impl<'a> Standings<'a> {
    /// At that time.
    pub const fn at(at: UnixMillis) -> Self {
        let known = Vec::new();
        Self { at, known }
    }

    /// How these stand.
    pub fn of(&mut self, windows: &'a [Window]) -> Standing {
        let found = self.known.iter().find(|(known, _)| *known == windows);
        if let Some((_, standing)) = found {
            return *standing;
        }
        let standing = standing(windows, self.at);
        if self.known.len() < KNOWN_MAX {
            self.known.push((windows, standing));
        }
        standing
    }
}

fn timestamp(at: UnixMillis) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()
}

fn millis(at: Timestamp) -> Option<u64> {
    u64::try_from(at.as_millisecond()).ok()
}

/// Windows as text, to be kept.
pub fn to_text(windows: &[Window]) -> String {
    let windows = windows.iter().map(|window| {
        json!({"days": window.days, "start": window.start(), "length": window.length,
               "zone": window.zone()})
    });
    Value::from_iter(windows).to_string()
}

/// Windows that were kept. What this release cannot read, such as a zone that the IANA has taken back, is
/// left out: it never opens.
pub fn from_text(text: &str) -> Vec<Window> {
    let kept: Value = serde_json::from_str(text).unwrap_or_default();
    let kept = kept.as_array().into_iter().flatten();
    kept.filter_map(|window| {
        let number = |name: &str| window[name].as_u64().unwrap_or_default();
        let text = |name: &str| window[name].as_str().unwrap_or_default();
        let length = u32::try_from(number("length")).ok()?;
        let days = u8::try_from(number("days")).ok()?;
        Window::new(days, text("start"), length, text("zone")).ok()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: u64 = 60 * 1000;

    fn window(days: u8, start: &str, length: u32, zone: &str) -> Window {
        Window::new(days, start, length, zone).expect(zone)
    }

    fn at(text: &str) -> UnixMillis {
        let at: Timestamp = text.parse().expect(text);
        UnixMillis(at.as_millisecond() as u64)
    }

    #[test]
    fn a_window_opens_by_the_clock_of_its_zone() {
        // Saturdays and Sundays from two to four in the night.
        let berlin = [window(0b110_0000, "02:00", 120, "Europe/Berlin")];
        for (now, expected) in [
            (
                "2026-11-20T12:00:00Z",
                Standing::Shut(at("2026-11-21T01:00:00Z")),
            ),
            (
                "2026-11-21T01:00:00Z",
                Standing::Open(at("2026-11-21T03:00:00Z")),
            ),
            (
                "2026-11-21T03:00:00Z",
                Standing::Shut(at("2026-11-22T01:00:00Z")),
            ),
            (
                "2026-07-01T00:00:00Z",
                Standing::Shut(at("2026-07-04T00:00:00Z")),
            ),
            // The night in which there is no such hour, and the one in which there are two.
            (
                "2026-03-28T12:00:00Z",
                Standing::Shut(at("2026-03-29T01:00:00Z")),
            ),
            (
                "2026-10-24T12:00:00Z",
                Standing::Shut(at("2026-10-25T00:00:00Z")),
            ),
        ] {
            assert_eq!(standing(&berlin, at(now)), expected, "{now}");
        }
        let lasts = standing(&berlin, at("2026-10-25T00:00:00Z"));
        assert_eq!(lasts, Standing::Open(at("2026-10-25T02:00:00Z")));
        assert_eq!(standing(&[], at("2026-10-25T00:00:00Z")), Standing::Never);
    }

    #[test]
    fn windows_that_meet_are_one() {
        let two = [
            window(1, "22:00", 120, "UTC"),
            window(2, "00:00", 60, "UTC"),
        ];
        let monday = at("2026-11-23T22:30:00Z");
        let until = at("2026-11-24T01:00:00Z");
        assert_eq!(standing(&two, monday), Standing::Open(until));
        let mut standings = Standings::at(monday);
        for _ in 0..2 {
            assert_eq!(standings.of(&two), Standing::Open(until));
            assert_eq!(standings.of(&[]), Standing::Never);
        }
        // One that is always open is so for a week from now.
        let always = [window(0b111_1111, "00:00", 24 * 60, "+05:30")];
        let week = monday.plus(Duration::from_secs(7 * 24 * 3600));
        assert_eq!(standing(&always, monday), Standing::Open(week));
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for (days, start, length, zone, error) in [
            (0, "02:00", 60, "UTC", WindowError::Days),
            (128, "02:00", 60, "UTC", WindowError::Days),
            (1, "24:00", 60, "UTC", WindowError::Start),
            (1, "2:00", 60, "UTC", WindowError::Start),
            (1, "02:60", 60, "UTC", WindowError::Start),
            (1, "+2:00", 60, "UTC", WindowError::Start),
            (1, "", 60, "UTC", WindowError::Start),
            (1, "02:00", 0, "UTC", WindowError::Length),
            (1, "02:00", LENGTH_MAX + 1, "UTC", WindowError::Length),
            (1, "02:00", 60, "Europe/Atlantis", WindowError::Zone),
            (1, "02:00", 60, "../../etc/passwd", WindowError::Zone),
            (1, "02:00", 60, "+19:00", WindowError::Zone),
            (1, "02:00", 60, "+2", WindowError::Zone),
        ] {
            assert_eq!(
                Window::new(days, start, length, zone),
                Err(error),
                "{start} {zone}"
            );
        }
        let kept = vec![
            window(3, "00:05", LENGTH_MAX, "europe/berlin"),
            window(64, "23:59", 1, "-03:30"),
        ];
        assert_eq!(kept[0].zone(), "Europe/Berlin");
        assert_eq!(from_text(&to_text(&kept)), kept);
        assert_eq!(from_text("nonsense"), []);
    }

    /// Whether a window is open in each minute, found by walking: it begins in the minute in which the local
    /// clock shows its hour for the first time that day, or is put on from before it to behind it.
    fn walked(window: &Window, from: u64, minutes: u64) -> Vec<bool> {
        let local = |minute: u64| {
            let at = Timestamp::from_millisecond((minute * MINUTE) as i64).expect("in range");
            window.zone.rules.to_datetime(at)
        };
        let start = window.start;
        let before = u64::from(window.length) + 3 * u64::from(DAY_MINUTES);
        let (mut open_until, mut begun, mut open) = (0, None, Vec::new());
        for minute in from - before..from + minutes {
            let now = local(minute);
            let (date, of_day) = (now.date(), now.hour() as u16 * 60 + now.minute() as u16);
            let is_day = window.days & 1 << date.weekday().to_monday_zero_offset() != 0;
            // On the day that the walk begins in, it may have begun before.
            let is_whole = minute - (from - before) > u64::from(DAY_MINUTES);
            if is_day && is_whole && of_day >= start && begun != Some(date) {
                begun = Some(date);
                open_until = open_until.max(minute + u64::from(window.length));
            }
            if minute >= from {
                open.push(minute < open_until);
            }
        }
        open
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn it_is_open_when_a_walk_through_the_minutes_finds_it_so(
            days in 1_u8..128,
            hour in 0_u16..24,
            // Whole hours: those put on or off are such, and begin at one.
            length in prop_oneof![1_u32..300, 300_u32..LENGTH_MAX + 1],
            zone in prop::sample::select(vec![
                "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "+05:30", "-11:00",
            ]),
            // Around the days on which clocks are changed, and others.
            begin in prop::sample::select(vec![
                "2026-03-07T00:00:00Z", "2026-03-28T00:00:00Z", "2026-10-24T00:00:00Z",
                "2026-10-31T00:00:00Z", "2026-12-30T00:00:00Z",
            ]),
        ) {
            let window = window(days, &format!("{hour:02}:00"), length, zone);
            let (from, minutes) = (at(begin).0 / MINUTE, 3 * 24 * 60);
            let walked = walked(&window, from, minutes);
            let windows = [window];
            for (n, open) in walked.iter().enumerate() {
                let now = UnixMillis((from + n as u64) * MINUTE);
                match standing(&windows, now) {
                    Standing::Open(until) => {
                        prop_assert!(*open, "{} {:?}", now, windows);
                        prop_assert!(until > now);
                        let left = (until.0 - now.0) / MINUTE;
                        let end = walked.get(n + left as usize);
                        let week = u64::from(LENGTH_MAX);
                        prop_assert!(left == week || end.is_none_or(|open| !open), "{}", now);
                    }
                    Standing::Shut(next) => {
                        prop_assert!(!open, "{} {:?}", now, windows);
                        let wait = ((next.0 - now.0) / MINUTE) as usize;
                        prop_assert!(walked[n..].iter().take(wait).all(|open| !open));
                        prop_assert!(walked.get(n + wait).is_none_or(|open| *open));
                    }
                    Standing::Never => prop_assert!(false, "it opens every week"),
                }
            }
        }
    }
}
