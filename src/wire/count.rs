//! How many items the repeated fields of an encoded message have, without decoding it: a megabyte of
//! empty texts would be half a million of them in memory before the schema's limit is looked at.
//! A message without such fields is passed over by its length.

use super::check::{self, FieldInvalid, Place};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Where the repeated fields of an envelope stand. Generated.
#[derive(Debug)]
pub struct Counted {
    /// How many there are.
    pub(super) items: usize,
    pub(super) entries: &'static [Entry],
}

/// A field that is counted, or that holds some.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: u32,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// A repeated field: its own number among those of the envelope, and its limit.
    Items {
        index: usize,
        max: usize,
        /// Many values may stand in one, each a varint.
        packed: bool,
        place: Place,
    },
    /// A message.
    Within(&'static [Entry]),
}

/// Refuses a message with more items than a field may have. What is malformed is left to the
/// decoder.
pub(super) fn check(message: &[u8], counted: &Counted) -> Result<(), FieldInvalid> {
    let mut scan = Scan {
        counts: Vec::new(),
        items: counted.items,
    };
    scan.message(message, counted.entries)
}

/// The items so far. A message that stands twice is one, so they are counted over all of it.
struct Scan {
    /// Empty until there is one: the messages that a connection is busy with have none.
    counts: Vec<usize>,
    items: usize,
}

impl Scan {
    fn message(&mut self, mut rest: &[u8], entries: &[Entry]) -> Result<(), FieldInvalid> {
        while !rest.is_empty() {
            let Ok((number, wire_type)) = decode_key(&mut rest) else {
                break;
            };
            let mut content = None;
            if wire_type == WireType::LengthDelimited {
                let length = decode_varint(&mut rest).ok();
                let length = length.and_then(|length| usize::try_from(length).ok());
                let Some((inner, after)) = length.and_then(|at| rest.split_at_checked(at)) else {
                    break;
                };
                content = Some(inner);
                rest = after;
            } else if skip_field(wire_type, number, &mut rest, DecodeContext::default()).is_err() {
                break;
            }
            for entry in entries.iter().filter(|entry| entry.number == number) {
                self.field(content, &entry.kind)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, content: Option<&[u8]>, kind: &Kind) -> Result<(), FieldInvalid> {
        match (kind, content) {
            (Kind::Within(entries), Some(content)) => self.message(content, entries),
            (Kind::Within(_), None) => Ok(()),
            (
                Kind::Items {
                    index,
                    max,
                    packed,
                    place,
                },
                _,
            ) => {
                self.counts.resize(self.items, 0);
                self.counts[*index] += match content {
                    // The last byte of each varint has no mark that more follow.
                    Some(values) if *packed => values.iter().filter(|byte| **byte < 0x80).count(),
                    _ => 1,
                };
                check::count(self.counts[*index], *max, *place)
            }
        }
    }
}
