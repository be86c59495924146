//! Moments as RFC 3339 has them: any offset is read, `Z` is written.

use prost_types::Timestamp;
use std::fmt::Write;

const DAY: i64 = 86_400;

/// Reads `2024-09-20T12:00:00.5+02:00`; `None` where the text is anything else. Seconds of 60 are
/// refused: nothing behind this could keep them.
pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        let digits = bytes.get(from..to)?;
        digits.iter().try_fold(0_i64, |value, digit| {
            digit
                .is_ascii_digit()
                .then(|| value * 10 + i64::from(digit - b'0'))
        })
    };
    let mark = |at: usize, marks: &[u8]| bytes.get(at).filter(|byte| marks.contains(byte));
    let within =
        |value: i64, range: std::ops::RangeInclusive<i64>| range.contains(&value).then_some(value);

    let year = within(number(0, 4)?, 1..=9999)?;
    mark(4, b"-")?;
    let month = within(number(5, 7)?, 1..=12)?;
    mark(7, b"-")?;
    let day = within(number(8, 10)?, 1..=days_of_month(year, month))?;
    mark(10, b"Tt")?;
    let hour = within(number(11, 13)?, 0..=23)?;
    mark(13, b":")?;
    let minute = within(number(14, 16)?, 0..=59)?;
    mark(16, b":")?;
    let second = within(number(17, 19)?, 0..=59)?;

    let mut at = 19;
    let mut nanos = 0;
    if mark(at, b".").is_some() {
        let digits = bytes[at + 1..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        nanos = number(at + 1, at + 1 + digits)? * 10_i64.pow(9 - u32::try_from(digits).ok()?);
        at += 1 + digits;
    }
    let offset = match mark(at, b"Zz+-")? {
        b'Z' | b'z' => {
            at += 1;
            0
        }
        sign => {
            let hours = within(number(at + 1, at + 3)?, 0..=23)?;
            mark(at + 3, b":")?;
            let minutes = within(number(at + 4, at + 6)?, 0..=59)?;
            at += 6;
            let offset = hours * 3600 + minutes * 60;
            if *sign == b'-' { -offset } else { offset }
        }
    };
    if at != bytes.len() {
        return None;
    }
    let seconds =
        days_since_1970(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    Some(Timestamp {
        seconds,
        nanos: i32::try_from(nanos).ok()?,
    })
}

/// Writes it in UTC, with as many digits of the second as it needs: none, 3, 6 or 9.
pub fn format(time: &Timestamp) -> String {
    let (year, month, day) = date(time.seconds.div_euclid(DAY));
    let second = time.seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut out = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    let nanos = time.nanos;
    // Writing to a String does not fail.
    let _ = match nanos {
        0 => Ok(()),
        _ if nanos % 1_000_000 == 0 => write!(out, ".{:03}", nanos / 1_000_000),
        _ if nanos % 1000 == 0 => write!(out, ".{:06}", nanos / 1000),
        _ => write!(out, ".{nanos:09}"),
    };
    out.push('Z');
    out
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the Gregorian calendar before the first day of that year, counted from year 1.
const fn days_before_year(year: i64) -> i64 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let days_of_months: i64 = (1..month).map(|month| days_of_month(year, month)).sum();
    days_before_year(year) - days_before_year(1970) + days_of_months + day - 1
}

/// Year, month and day of a day counted from 1970, within the years 1 to 9999.
fn date(days_since_1970: i64) -> (i64, i64, i64) {
    let days = days_since_1970 + days_before_year(1970);
    // 400 years have 146,097 days; the guess is right or one too early.
    let guess = days * 400 / 146_097 + 1;
    let year = if days >= days_before_year(guess + 1) {
        guess + 1
    } else {
        guess
    };
    let mut day = days - days_before_year(year);
    let mut month = 1;
    while day >= days_of_month(year, month) {
        day -= days_of_month(year, month);
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64, nanos: i32) -> Timestamp {
        Timestamp { seconds, nanos }
    }

    #[test]
    fn any_offset_is_read() {
        for (text, time) in [
            ("1970-01-01T00:00:00Z", at(0, 0)),
            ("2024-09-20T12:00:00Z", at(1_726_833_600, 0)),
            ("2024-09-20t12:00:00z", at(1_726_833_600, 0)),
            ("2024-09-20T14:00:00+02:00", at(1_726_833_600, 0)),
            (
                "2024-09-20T06:30:00.25-05:30",
                at(1_726_833_600, 250_000_000),
            ),
            (
                "2024-02-29T00:00:00.123456789Z",
                at(1_709_164_800, 123_456_789),
            ),
            ("0001-01-01T00:00:00Z", at(-62_135_596_800, 0)),
            ("9999-12-31T23:59:59Z", at(253_402_300_799, 0)),
        ] {
            assert_eq!(parse(text), Some(time), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2024-09-20",
            "2024-09-20T12:00:00",
            "2024-09-20 12:00:00Z",
            "2024-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-09-20T24:00:00Z",
            "2024-09-20T12:00:60Z",
            "2024-09-20T12:00:00.Z",
            "2024-09-20T12:00:00.1234567890Z",
            "2024-09-20T12:00:00+0200",
            "2024-09-20T12:00:00ZZ",
            "0000-01-01T00:00:00Z",
            "2024-09-20T12:00:00+25:00",
            "2024-9-20T12:00:00Z",
            "é024-09-20T12:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_prost(seconds in -62_135_596_800_i64..=253_402_300_799, nanos in 0..1_000_000_000) {
            let time = at(seconds, nanos);
            let text = format(&time);
            prop_assert_eq!(parse(&text), Some(time));
            prop_assert_eq!(text.parse::<Timestamp>().expect("prost reads it"), time);
        }
    }
}
