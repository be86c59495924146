//! An answer of the platform as a model is shown it: without credentials, without characters that nobody sees,
//! and no larger than a model can read.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::cli::commands::Shape;
use crate::cli::text::is_direction;

/// The most that an answer has, in bytes of JSON.
pub(super) const ANSWER_BYTES_MAX: usize = 128 * 1024;
/// The most that one text in it has: of a longer one both ends are shown.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// In the place of a credential.
const NOT_SHOWN: &str = "(not shown)";

/// An answer is larger than a model is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// The answer as it is shown, and its JSON.
pub(super) fn shown(answer: Value, shape: &Shape) -> Result<(Value, String), TooLarge> {
    let answer = members(answer, Some(shape));
    let text = answer.to_string();
    if text.len() > ANSWER_BYTES_MAX {
        return Err(TooLarge);
    }
    Ok((answer, text))
}

/// A value, of this shape where it is a message's.
fn members(value: Value, shape: Option<&Shape>) -> Value {
    match value {
        Value::String(text) => readable(&text).into(),
        Value::Array(items) => items.into_iter().map(|item| members(item, shape)).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                let known = shape.and_then(|shape| shape.members.iter().find(|m| m.name == name));
                let value = match known {
                    Some(member) if member.secret => NOT_SHOWN.into(),
                    known => members(value, known.and_then(|member| member.inner)),
                };
                (readable(&name), value)
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// A text with everything in it to be seen, and no longer than it may be.
fn readable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(TEXT_BYTES_MAX));
    if text.len() <= TEXT_BYTES_MAX {
        escape(text, &mut out);
        return out;
    }
    let head = text.floor_char_boundary(TEXT_BYTES_MAX / 2);
    let tail = text.ceil_char_boundary(text.len() - TEXT_BYTES_MAX / 2);
    escape(&text[..head], &mut out);
    // Writing to a string does not fail.
    let _ = write!(out, "\n[... {} bytes are left out here ...]\n", tail - head);
    escape(&text[tail..], &mut out);
    out
}

fn escape(text: &str, out: &mut String) {
    for letter in text.chars() {
        let line = matches!(letter, '\n' | '\t');
        if letter.is_control() && !line || is_direction(letter) || is_invisible(letter) {
            let _ = write!(out, "{}", letter.escape_unicode());
        } else {
            out.push(letter);
        }
    }
}

/// What takes no place in a text, so that a person does not see what a model reads.
const fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{2064}'
            | '\u{feff}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::commands::Member;

    const INNER: Shape = Shape {
        name: "Inner",
        members: &[Member {
            name: "secret",
            inner: None,
            repeated: false,
            secret: true,
        }],
    };
    const OUTER: Shape = Shape {
        name: "Outer",
        members: &[Member {
            name: "all",
            inner: Some(&INNER),
            repeated: true,
            secret: false,
        }],
    };

    #[test]
    fn a_credential_is_never_shown() {
        let answer = json!({"all": [{"secret": "fwa_x"}], "other": {"secret": "is none"}});
        let (shown, text) = shown(answer, &OUTER).expect("small");
        let expected = json!({"all": [{"secret": NOT_SHOWN}], "other": {"secret": "is none"}});
        assert_eq!(shown, expected);
        assert!(!text.contains("fwa_"));
    }

    #[test]
    fn what_nobody_sees_is_seen() {
        let hostile = "a\u{e0041}\u{200b}\u{202e}\u{1b}[2J\tb\nc";
        let (shown, _) = shown(json!([hostile]), &OUTER).expect("small");
        let seen = "a\\u{e0041}\\u{200b}\\u{202e}\\u{1b}[2J\tb\nc";
        assert_eq!(shown, json!([seen]));
    }

    #[test]
    fn what_is_long_is_cut_and_what_is_too_large_is_refused() {
        let long = "ä".repeat(TEXT_BYTES_MAX);
        let (value, text) = shown(json!({"output": long}), &OUTER).expect("cut");
        assert!(text.len() < TEXT_BYTES_MAX + 100);
        let output = value["output"].as_str().expect("text");
        assert!(output.contains(&format!(
            "[... {TEXT_BYTES_MAX} bytes are left out here ...]"
        )));
        assert!(output.starts_with('ä') && output.ends_with('ä'));
        let many = vec!["x".repeat(1024); ANSWER_BYTES_MAX / 1024];
        assert_eq!(shown(json!(many), &OUTER), Err(TooLarge));
    }
}
