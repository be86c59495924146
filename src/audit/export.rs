//! The lines of an export (NDJSON): a first one that says where it begins, one for each entry, and a
//! last one with the signed head. A line has one form only, the one that is written here: so every
//! byte of an export counts, and a verifier finds whichever was changed.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::seal::{Head, Start};
use super::{Chained, Entry, Hash, Place};
use crate::clock::UnixMillis;

/// What the first line says this is.
const FORMAT: &str = "fleetwire-audit/1";
/// Longest line, in bytes without its end: an entry's texts with every character escaped.
pub const LINE_BYTES_MAX: usize = 256 * 1024;
const _: () =
    assert!((6 + 2 * super::DETAILS_MAX) * super::TEXT_BYTES_MAX * 6 + 2048 < LINE_BYTES_MAX);

/// A line of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The first: the place before the first entry, signed where retention left the log to begin there.
    First(Place, Option<Start>),
    /// An entry.
    Entry(Chained),
    /// The last.
    Head(Head),
}

/// Why a line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is no line of an export.
    #[error("it is no line of an audit export")]
    Form,
    /// It can be read, but this is not how it was written.
    #[error("it is not in the form in which it was written")]
    Rewritten,
    /// It is of another version of the format.
    #[error("its format is {0:?}, this release knows {known:?}", known = FORMAT)]
    Format(String),
}

impl Line {
    /// Reads a line, without its end.
    ///
    /// # Errors
    /// When it is none, or is not byte for byte what is written for what it says.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        let parsed = if line.starts_with(br#"{"sequence":"#) {
            Self::Entry(
                read::<EntryForm>(line)?
                    .into_chained()
                    .ok_or(LineError::Form)?,
            )
        } else if line.starts_with(br#"{"head":"#) {
            Self::Head(read::<HeadForm>(line)?.into_head().ok_or(LineError::Form)?)
        } else {
            let form = read::<FirstForm>(line)?;
            if form.format != FORMAT {
                return Err(LineError::Format(form.format));
            }
            let (place, start) = form.into_first().ok_or(LineError::Form)?;
            Self::First(place, start)
        };
        if parsed.to_text().as_bytes() == line {
            Ok(parsed)
        } else {
            Err(LineError::Rewritten)
        }
    }

    /// The line, without its end.
    pub fn to_text(&self) -> String {
        match self {
            Self::First(place, start) => first_line(*place, start.as_ref()),
            Self::Entry(chained) => entry_line(chained),
            Self::Head(head) => head_line(head),
        }
    }
}

/// The first line.
pub fn first_line(place: Place, start: Option<&Start>) -> String {
    write(&FirstForm {
        format: FORMAT.to_owned(),
        after: place.sequence,
        hash: place.hash.to_string(),
        signature: start.map(|start| hex(&start.signature)),
    })
}

/// An entry's line.
pub fn entry_line(chained: &Chained) -> String {
    let Chained {
        sequence,
        entry,
        hash,
    } = chained;
    write(&EntryForm {
        sequence: *sequence,
        at: time(entry.at),
        actor: entry.actor.clone(),
        action: entry.action.clone(),
        target: entry.target.clone(),
        host: entry.host.clone(),
        session: entry.session.clone(),
        outcome: entry.outcome.clone(),
        details: entry.details.clone(),
        hash: hash.to_string(),
    })
}

/// The last line.
pub fn head_line(head: &Head) -> String {
    write(&HeadForm {
        head: head.place.sequence,
        hash: head.place.hash.to_string(),
        at: time(head.at),
        signature: hex(&head.signature),
    })
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // A string takes everything.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Reads lower-case hexadecimal digits, exactly as many as fill the array.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstForm {
    format: String,
    after: u64,
    hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

impl FirstForm {
    fn into_first(self) -> Option<(Place, Option<Start>)> {
        let place = Place {
            sequence: self.after,
            hash: self.hash.parse().ok()?,
        };
        let start = match self.signature {
            Some(signature) => Some(Start {
                place,
                signature: unhex(&signature)?,
            }),
            None => None,
        };
        Some((place, start))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryForm {
    sequence: u64,
    at: String,
    actor: String,
    action: String,
    target: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    host: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    session: String,
    outcome: String,
    details: Vec<(String, String)>,
    hash: String,
}

impl EntryForm {
    fn into_chained(self) -> Option<Chained> {
        Some(Chained {
            sequence: self.sequence,
            entry: Entry {
                at: instant(&self.at)?,
                actor: self.actor,
                action: self.action,
                target: self.target,
                host: self.host,
                session: self.session,
                outcome: self.outcome,
                details: self.details,
            },
            hash: self.hash.parse::<Hash>().ok()?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadForm {
    head: u64,
    hash: String,
    at: String,
    signature: String,
}

impl HeadForm {
    fn into_head(self) -> Option<Head> {
        Some(Head {
            place: Place {
                sequence: self.head,
                hash: self.hash.parse().ok()?,
            },
            at: instant(&self.at)?,
            signature: unhex(&self.signature)?,
        })
    }
}

fn read<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, LineError> {
    serde_json::from_slice(line).map_err(|_| LineError::Form)
}

fn write(form: &impl Serialize) -> String {
    // Structs of texts and numbers always serialise; an empty line would be refused by a verifier.
    serde_json::to_string(form).unwrap_or_default()
}

/// RFC 3339 in UTC with milliseconds.
fn time(at: UnixMillis) -> String {
    let whole = at.to_string();
    format!("{}.{:03}Z", whole.trim_end_matches('Z'), at.0 % 1000)
}

fn instant(text: &str) -> Option<UnixMillis> {
    if text.len() != "2026-04-15T15:00:00.000Z".len() || !text.is_ascii() {
        return None;
    }
    let time: prost_types::Timestamp = text.parse().ok()?;
    let seconds = u64::try_from(time.seconds).ok()?;
    let millis = u64::try_from(time.nanos / 1_000_000).ok()?;
    Some(UnixMillis(seconds.checked_mul(1000)?.checked_add(millis)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chained() -> Chained {
        let entry = Entry::new(
            UnixMillis(1_750_000_000_007),
            "admin",
            "a.b",
            "host:\u{e4}\n\0",
        )
        .detail("name", "\"kvm\"");
        let hash = Place::START.after(&entry).hash;
        Chained {
            sequence: 1,
            entry,
            hash,
        }
    }

    #[test]
    fn a_line_reads_as_it_was_written() {
        let place = Place {
            sequence: 4,
            hash: Hash([4; 32]),
        };
        let signature = [9; 64];
        for line in [
            Line::First(place, None),
            Line::First(place, Some(Start { place, signature })),
            Line::Entry(chained()),
            Line::Head(Head {
                place,
                at: UnixMillis(0),
                signature,
            }),
        ] {
            let text = line.to_text();
            assert_eq!(Line::parse(text.as_bytes()), Ok(line), "{text}");
        }
        let text = entry_line(&chained());
        assert!(
            text.contains(r#""at":"2025-06-15T15:06:40.007Z""#),
            "{text}"
        );
    }

    #[test]
    fn a_line_has_one_form() {
        let text = entry_line(&chained());
        let read = |from: &str, to: &str| {
            assert!(text.contains(from), "{text}");
            Line::parse(text.replacen(from, to, 1).as_bytes())
        };
        for (from, to) in [
            (r#""actor":"admin""#, r#""actor": "admin""#),
            (r#""admin""#, r#""\u0061dmin""#),
            (r#""action""#, r#""host":"","action""#),
        ] {
            assert_eq!(read(from, to), Err(LineError::Rewritten), "{to}");
        }
        for (from, to) in [
            (r#""actor""#, r#""note":"","actor""#),
            (r#""actor":"admin""#, r#""actor":"admin","actor":"admin""#),
            (r#""sequence":1"#, r#""sequence":-1"#),
            (r#""sequence":1"#, r#""sequence":18446744073709551616"#),
            ("2025", "x"),
            (".007Z", ".0070Z"),
            (".007Z", ".007999Z"),
        ] {
            assert_eq!(read(from, to), Err(LineError::Form), "{to}");
        }
        let newer = r#"{"format":"fleetwire-audit/2","after":0,"hash":""}"#;
        let newer = Line::parse(newer.as_bytes());
        assert!(matches!(newer, Err(LineError::Format(_))), "{newer:?}");
    }
}
