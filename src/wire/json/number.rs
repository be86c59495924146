//! JSON's numbers: their grammar, and whole numbers out of them without going through a float,
//! which would round. `7`, `7.0` and `70e-1` are the same number.

/// 10^38 is the largest power of ten that fits an `i128`; numbers longer than that are no use to
/// any field.
const DIGITS_MAX: usize = 38;

/// The number that `text` begins with (RFC 8259 section 6), or nothing.
pub fn token(text: &str) -> &str {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    match digits(at) {
        0 => return "",
        // A number other than zero does not begin with a zero.
        _ if bytes[at] == b'0' => at += 1,
        count => at += count,
    }
    if bytes.get(at) == Some(&b'.') {
        match digits(at + 1) {
            0 => return "",
            count => at += 1 + count,
        }
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        match digits(at + 1 + sign) {
            0 => return "",
            count => at += 1 + sign + count,
        }
    }
    &text[..at]
}

/// The value of a number's text, where it is a whole number of at most 38 digits.
pub fn whole(token: &str) -> Option<i128> {
    let (negative, magnitude) = match token.strip_prefix('-') {
        Some(magnitude) => (true, magnitude),
        None => (false, token),
    };
    let (mantissa, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));

    // Zeros at either end only move the point.
    let fraction = fraction.trim_end_matches('0');
    let kept = if fraction.is_empty() {
        integer.trim_end_matches('0')
    } else {
        integer
    };
    let dropped = integer.len() - kept.len();
    let mut digits = kept.bytes().chain(fraction.bytes()).peekable();
    while digits.next_if_eq(&b'0').is_some() {}
    if digits.peek().is_none() {
        return Some(0);
    }
    // An exponent that does not fit is beyond every field, or of a number that is not whole.
    let exponent: i64 = exponent.parse().ok()?;
    let power = exponent
        .checked_add(i64::try_from(dropped).ok()?)?
        .checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let power = usize::try_from(power).ok()?;
    if power > DIGITS_MAX {
        return None;
    }
    digits
        .chain(std::iter::repeat_n(b'0', power))
        .try_fold(0_i128, |value, digit| {
            let digit = i128::from(digit - b'0');
            let digit = if negative { -digit } else { digit };
            value.checked_mul(10)?.checked_add(digit)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_grammar_is_jsons() {
        for whole in ["0", "-0", "7", "-12.50", "1e5", "1E+5", "1.5e-7", "10"] {
            assert_eq!(token(whole), whole);
        }
        for (text, part) in [
            ("01", "0"),
            ("7,", "7"),
            ("1.5.5", "1.5"),
            ("", ""),
            ("-", ""),
            ("+1", ""),
            (".5", ""),
            ("1.", ""),
            ("1e", ""),
            ("1e+", ""),
            ("NaN", ""),
        ] {
            assert_eq!(token(text), part, "{text:?}");
        }
    }

    #[test]
    fn a_whole_number_is_exact_however_it_is_written() {
        for (text, value) in [
            ("7", Some(7)),
            ("7.0", Some(7)),
            ("70e-1", Some(7)),
            ("0.007e3", Some(7)),
            ("-7", Some(-7)),
            ("-0", Some(0)),
            ("0e999999999999999999999", Some(0)),
            ("9007199254740993.0", Some(9_007_199_254_740_993)),
            ("18446744073709551615", Some(u64::MAX.into())),
            ("7.5", None),
            ("1e-1", None),
            ("1e39", None),
            ("1e999999999999999999999", None),
        ] {
            assert_eq!(whole(text), value, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back(value: i64, zeros in 0..5_usize) {
            let zeros = "0".repeat(zeros);
            prop_assert_eq!(whole(&format!("{value}.{zeros}")), Some(value.into()));
            prop_assert_eq!(whole(&format!("{value}{zeros}e-{}", zeros.len())), Some(value.into()));
        }
    }
}
