//! Where in the journal's file each command's records are, and which commands it still has: those that are
//! not finished, and of the finished a bounded number, the latest. One that ended without having been begun and has come
//! again is there once, as it came last.

use std::collections::{BTreeMap, VecDeque};

use super::record::Record;
use crate::clock::UnixMillis;

/// The most finished commands that are remembered with their outcome.
pub const FINISHED_MAX: usize = 10_000;
/// The most bytes of the file that they may take.
pub const FINISHED_BYTES_MAX: u64 = 16 << 20;

/// A record's place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

/// What the journal has of one command.
#[derive(Debug, PartialEq, Eq)]
pub struct Slot {
    /// The command.
    pub received: Span,
    /// When it was begun.
    pub started: Option<UnixMillis>,
    /// Its response, and the response's id until it is acknowledged.
    pub ended: Option<(Span, String)>,
    /// The platform has its response.
    pub acknowledged: bool,
    /// What all its records take.
    bytes: u64,
}

/// Where a command's records are in a file that was written anew.
#[derive(Debug)]
pub struct Move {
    /// Where the command was before, which tells it from all others.
    from: u64,
    received: Span,
    ended: Option<Span>,
    bytes: u64,
}

impl Move {
    /// Of this command, which stands there now.
    pub const fn of(slot: &Slot, received: Span) -> Self {
        Self {
            from: slot.received.offset,
            received,
            ended: None,
            bytes: received.length,
        }
    }

    /// Another of its records stands there.
    pub const fn takes(&mut self, span: Span) {
        self.bytes += span.length;
    }

    /// Its response stands there.
    pub const fn ends(&mut self, span: Span) {
        self.ended = Some(span);
        self.takes(span);
    }
}

/// All commands of a journal.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// A tree, which takes the room of what is in it: a hash table through which many pass makes itself twice
    /// as large for the marks that they leave behind.
    slots: BTreeMap<String, Slot>,
    /// Those whose response is acknowledged, oldest first.
    finished: VecDeque<String>,
    finished_bytes: u64,
    live_bytes: u64,
}

impl Index {
    /// Takes in a record that stands there. Returns the finished commands that are forgotten for it.
    pub fn apply(&mut self, record: &Record, span: Span) -> Vec<String> {
        let (id, change): (&str, fn(&mut Slot, &Record, Span)) = match record {
            Record::Identity(_) | Record::Seen(_) => return Vec::new(),
            Record::Received(received) => {
                self.forget_unbegun(&received.id);
                self.slots
                    .entry(received.id.clone())
                    .or_insert_with(|| Slot {
                        received: span,
                        started: None,
                        ended: None,
                        acknowledged: false,
                        bytes: 0,
                    });
                (&received.id, |_, _, _| ())
            }
            Record::Started { id, .. } => (id, |slot, record, _| {
                if let Record::Started { at, .. } = record {
                    slot.started = Some(*at);
                }
            }),
            Record::Ended { id, .. } => (id, |slot, record, span| {
                if let Record::Ended { response_id, .. } = record {
                    slot.ended = Some((span, response_id.clone()));
                }
            }),
            Record::Acknowledged { id } => (id, |_, _, _| ()),
        };
        let Some(slot) = self.slots.get_mut(id) else {
            return Vec::new();
        };
        change(slot, record, span);
        slot.bytes += span.length;
        self.live_bytes += span.length;
        let acknowledges = matches!(record, Record::Acknowledged { .. });
        if acknowledges && !slot.acknowledged && slot.ended.is_some() {
            slot.acknowledged = true;
            if let Some((_, response_id)) = &mut slot.ended {
                // Nobody asks for it any more, and there are thousands.
                *response_id = String::new();
            }
            self.finished_bytes += slot.bytes;
            self.finished.push_back(id.to_owned());
        }
        self.forget()
    }

    /// Makes room for a command that has come again after it had ended without having been begun.
    fn forget_unbegun(&mut self, id: &str) {
        let unbegun = |slot: &Slot| slot.ended.is_some() && slot.started.is_none();
        if !self.slots.get(id).is_some_and(unbegun) {
            return;
        }
        let Some(slot) = self.slots.remove(id) else {
            return;
        };
        self.live_bytes -= slot.bytes;
        if slot.acknowledged {
            self.finished_bytes = self.finished_bytes.saturating_sub(slot.bytes);
            self.finished.retain(|finished| finished != id);
        }
    }

    fn forget(&mut self) -> Vec<String> {
        let mut forgotten = Vec::new();
        while self.finished.len() > FINISHED_MAX || self.finished_bytes > FINISHED_BYTES_MAX {
            let Some(id) = self.finished.pop_front() else {
                break;
            };
            if let Some(slot) = self.slots.remove(&id) {
                self.finished_bytes = self.finished_bytes.saturating_sub(slot.bytes);
                self.live_bytes -= slot.bytes;
            }
            forgotten.push(id);
        }
        forgotten
    }

    /// Its commands stand elsewhere, each of which is among these. In place: it is not to be in memory twice.
    pub fn move_to(&mut self, mut moves: Vec<Move>) {
        moves.sort_unstable_by_key(|moved| moved.from);
        (self.live_bytes, self.finished_bytes) = (0, 0);
        for slot in self.slots.values_mut() {
            let from = slot.received.offset;
            let found = moves.binary_search_by_key(&from, |moved| moved.from);
            let Some(moved) = found.ok().and_then(|index| moves.get(index)) else {
                continue;
            };
            slot.received = moved.received;
            if let (Some((span, _)), Some(ended)) = (&mut slot.ended, moved.ended) {
                *span = ended;
            }
            slot.bytes = moved.bytes;
            self.live_bytes += slot.bytes;
            self.finished_bytes += if slot.acknowledged { slot.bytes } else { 0 };
        }
    }

    /// What it has of this command.
    pub fn get(&self, id: &str) -> Option<&Slot> {
        self.slots.get(id)
    }

    /// How much of the file is of use.
    pub const fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// All commands, in an order that a journal may have them in: finished ones as they were finished, the
    /// others as they came.
    pub fn in_order(&self) -> Vec<(&str, &Slot)> {
        let finished = self.finished.iter().map(String::as_str);
        let mut rest: Vec<_> = self
            .slots
            .iter()
            .filter(|(_, slot)| !slot.acknowledged)
            .map(|(id, slot)| (id.as_str(), slot))
            .collect();
        rest.sort_by_key(|(_, slot)| slot.received.offset);
        finished
            .filter_map(|id| Some((id, self.slots.get(id)?)))
            .chain(rest)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Received;
    use super::*;
    use allocation_counter::measure;
    use bytes::Bytes;

    /// How full the nodes of a tree are varies.
    const MORE_BYTES: i64 = 256 << 10;

    /// What an agent has in memory of its commands is as much in its second month as it was in its first.
    #[test]
    fn memory_does_not_grow_with_what_has_passed_through() {
        let mut index = Index::default();
        let mut numbers = 0_u64..;
        let mut pass = |index: &mut Index, count: usize| {
            for number in numbers.by_ref().take(count) {
                // Ids come in no order.
                let id = format!("{:032x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                finish(index, &id, 1);
            }
        };
        pass(&mut index, FINISHED_MAX * 2);
        let measured = measure(|| pass(&mut index, FINISHED_MAX * 4));
        assert_eq!(index.slots.len(), FINISHED_MAX);
        let grown = measured.bytes_current;
        assert!(grown < MORE_BYTES, "{grown} bytes more");
    }

    fn finish(index: &mut Index, id: &str, length: u64) -> Vec<String> {
        let span = Span { offset: 0, length };
        let id = id.to_owned();
        let received = Received {
            id: id.clone(),
            sequence: 1,
            settled: 0,
            command: Bytes::new(),
        };
        index.apply(&Record::Received(received), span);
        let ended = Record::Ended {
            id: id.clone(),
            response_id: format!("response to {id}"),
            response: Bytes::new(),
        };
        index.apply(
            &ended,
            Span {
                offset: 0,
                length: 0,
            },
        );
        let acknowledged = Record::Acknowledged { id };
        index.apply(
            &acknowledged,
            Span {
                offset: 0,
                length: 0,
            },
        )
    }

    #[test]
    fn the_oldest_finished_are_forgotten_by_number_and_by_bytes() {
        let mut index = Index::default();
        for number in 0..FINISHED_MAX {
            assert!(finish(&mut index, &number.to_string(), 1).is_empty());
        }
        assert_eq!(finish(&mut index, "one more", 1), ["0"]);
        assert_eq!(index.live_bytes(), FINISHED_MAX as u64);
        let forgotten = finish(&mut index, "large", FINISHED_BYTES_MAX - 5);
        assert_eq!(forgotten.len(), FINISHED_MAX - 5);
        assert!(index.get("large").is_some() && index.get("one more").is_some());
        assert_eq!(
            finish(&mut index, "too large", FINISHED_BYTES_MAX + 1).len(),
            7
        );
        assert_eq!(index.live_bytes(), 0);
    }
}
