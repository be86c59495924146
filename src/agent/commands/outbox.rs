//! Which responses the platform has not acknowledged, in the order in which they came about, and which of
//! them are on their way. The responses themselves are in the journal.

use std::collections::{BTreeMap, HashMap};

/// The most responses that are on their way on one connection, not acknowledged.
const SENT_MAX: usize = 64;
/// The most bytes of them, but for the last one's.
const SENT_BYTES_MAX: usize = 1 << 20;

/// The responses that are not acknowledged.
#[derive(Debug, Default)]
pub struct Outbox {
    items: BTreeMap<u64, Item>,
    /// By the response's id.
    places: HashMap<String, u64>,
    /// Where the next one goes.
    end: u64,
    /// Those before this place are on their way.
    cursor: u64,
    sent: usize,
    sent_bytes: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Item {
    id: String,
    bytes: usize,
}

impl Outbox {
    /// Puts a response of that length at the end.
    pub fn push(&mut self, id: String, response_id: String, bytes: usize) {
        self.bytes += bytes;
        self.items.insert(self.end, Item { id, bytes });
        self.places.insert(response_id, self.end);
        self.end += 1;
    }

    /// The command whose response is to be sent next, which is on its way from now on; `None` where enough
    /// are, or there is no more.
    pub fn next(&mut self) -> Option<&str> {
        if self.sent >= SENT_MAX || self.sent_bytes >= SENT_BYTES_MAX {
            return None;
        }
        let (place, item) = self.items.range(self.cursor..).next()?;
        self.cursor = place + 1;
        self.sent += 1;
        self.sent_bytes += item.bytes;
        Some(&item.id)
    }

    /// The platform has committed a response. Returns its command's id; `None` where it was not asked for.
    pub fn acknowledge(&mut self, response_id: &str) -> Option<String> {
        let place = self.places.get(response_id).copied()?;
        if place >= self.cursor {
            return None;
        }
        self.places.remove(response_id);
        let item = self.items.remove(&place)?;
        self.bytes -= item.bytes;
        self.sent -= 1;
        self.sent_bytes -= item.bytes;
        Some(item.id)
    }

    /// Nothing is on its way: all are to be sent, again.
    pub fn restart(&mut self) {
        self.cursor = 0;
        self.sent = 0;
        self.sent_bytes = 0;
    }

    /// What all of them have, in bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: usize, bytes: usize) -> Outbox {
        let mut outbox = Outbox::default();
        for number in 0..count {
            outbox.push(format!("c{number}"), format!("r{number}"), bytes);
        }
        outbox
    }

    fn all_next(outbox: &mut Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.next().map(str::to_owned)).collect()
    }

    #[test]
    fn a_bounded_number_is_on_its_way_in_order_and_all_again_after_a_reconnect() {
        let mut outbox = filled(100, 10);
        let first = all_next(&mut outbox);
        assert_eq!(
            (first.len(), first[0].as_str(), first[63].as_str()),
            (64, "c0", "c63")
        );
        // What was not sent on this connection is not acknowledged on it.
        assert_eq!(outbox.acknowledge("r64"), None);
        assert_eq!(outbox.acknowledge("r5").as_deref(), Some("c5"));
        assert_eq!(outbox.acknowledge("r5"), None);
        assert_eq!(all_next(&mut outbox), ["c64"]);
        outbox.restart();
        let again = all_next(&mut outbox);
        assert_eq!(
            (again.len(), again[5].as_str(), again[63].as_str()),
            (64, "c6", "c64")
        );
        for number in 0..100 {
            outbox.acknowledge(&format!("r{number}"));
            outbox.next();
        }
        assert_eq!(outbox.bytes(), 0);
        assert_eq!(
            (outbox.sent, outbox.sent_bytes, outbox.items.len()),
            (0, 0, 0)
        );
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut outbox = filled(10, 400 << 10);
        assert_eq!(all_next(&mut outbox).len(), 3);
        outbox.acknowledge("r1");
        assert_eq!(all_next(&mut outbox), ["c3"]);
    }
}
