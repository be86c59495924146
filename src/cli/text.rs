//! Values as the texts that people are shown. They hold nothing that a terminal would act on: much of what is shown
//! comes from devices.

use std::fmt::Write as _;

use serde_json::Value;

/// A value in one cell.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => plain(text),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(members) if members.is_empty() => "-".to_owned(),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| format!("{}={}", plain(name), cell(value)));
            members.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// A whole number, which JSON has as a text where it may be large; 0 where there is none.
pub(super) fn number(of: &Value, member: &str) -> u64 {
    let value = &of[member];
    let text = || value.as_str()?.parse().ok();
    value.as_u64().or_else(text).unwrap_or_default()
}

/// Text without what a terminal would act on.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || is_direction(letter) {
            // Writing to a string does not fail.
            let _ = write!(out, "{}", letter.escape_unicode());
        } else {
            out.push(letter);
        }
    }
    out
}

/// What turns the direction of the text around it, so that it reads as what it is not.
pub(super) const fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_of_a_device_reaches_the_terminal_as_a_command() {
        let hostile = json!("kvm\u{1b}[2J\u{202e}\n\u{9b}31m");
        assert_eq!(cell(&hostile), "kvm\\u{1b}[2J\\u{202e}\\u{a}\\u{9b}31m");
        assert_eq!(cell(&json!({"a\u{7}": ["b", 1]})), "a\\u{7}=b, 1");
    }

    #[test]
    fn what_is_not_there_is_a_dash() {
        for nothing in [json!(null), json!(""), json!([]), json!({})] {
            assert_eq!(cell(&nothing), "-");
        }
        assert_eq!(cell(&json!(false)), "false");
    }
}
