//! Credit: how many bytes may be sent, as an absolute count that never shrinks. The receiver's
//! side decides it and lets it follow what the path takes; the sender's side obeys it.

use std::collections::VecDeque;

/// The most that is consumed before the peer is told of the room: in a large window the news must
/// not come so late that the sender waits for it.
const GRANT_BYTES_MAX: u64 = 1 << 20;
/// Earlier grants that are remembered until the peer has passed them. The largest window has this
/// many on their way; more come of a peer that knows no credit only.
const TOLD_MAX: usize = 64;
/// A window of which less than this share came within a second or more is used little. One that holds
/// its path back comes whole each round trip. Chosen, not measured.
const USED_SHARE: u64 = 8;

/// When a window grows that the peer has used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// Only where its reader keeps up: the path is what needs the room, not a slow reader.
    WithReader,
    /// Always: one reader who does not read must not hold up those of other streams.
    Always,
}

/// The receiver's side: what it has granted, and what has come of it.
#[derive(Debug)]
pub(super) struct Window {
    /// Bytes that may lie here unread, once what was granted before has come.
    size: u64,
    /// The same at the beginning, and the least.
    size_first: u64,
    size_max: u64,
    growth: Growth,
    /// The absolute count up to which the peer may send.
    granted: u64,
    /// Earlier such counts that the peer has not passed yet, in order.
    told: VecDeque<u64>,
    /// The peer has stopped at the very end of a grant: it would have sent more.
    limited: bool,
    received: u64,
    consumed: u64,
    /// What had come when it was last seen whether the window is used.
    seen: u64,
    /// Up to this count of what has come the window rests: little of it is used.
    rests_until: u64,
}

impl Window {
    /// A window whose first `size` bytes the peer has been told of already.
    pub(super) const fn new(size: u64, size_max: u64, growth: Growth) -> Self {
        Self {
            size,
            size_first: size,
            size_max,
            growth,
            granted: size,
            told: VecDeque::new(),
            limited: false,
            received: 0,
            consumed: 0,
            seen: 0,
            rests_until: 0,
        }
    }

    /// A window that never ends, for a peer that knows no credit: its messages are whole, and their
    /// length is bounded.
    pub(super) const fn endless() -> Self {
        Self::new(u64::MAX / 2, u64::MAX / 2, Growth::WithReader)
    }

    /// Takes note of arrived bytes; `false` where they are more than was granted.
    #[must_use]
    pub(super) fn receive(&mut self, bytes: u64) -> bool {
        let received = match self.received.checked_add(bytes) {
            Some(received) if received <= self.granted => received,
            _ => return false,
        };
        self.received = received;
        while self.told.front().is_some_and(|&told| told < received) {
            self.told.pop_front();
        }
        if bytes > 0 && (received == self.granted || self.told.front() == Some(&received)) {
            self.limited = true;
        }
        true
    }

    /// Takes note that bytes have been read, or thrown away.
    pub(super) fn consume(&mut self, bytes: u64) {
        self.consumed += bytes;
        debug_assert!(self.consumed <= self.received, "read more than arrived");
    }

    /// All bytes that have arrived.
    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    /// Bytes that lie here.
    pub(super) const fn unread(&self) -> u64 {
        self.received - self.consumed
    }

    /// Whether more than three quarters of what may ever lie here do: soon the peer can send nothing
    /// more.
    pub(super) const fn is_crowded(&self) -> bool {
        self.unread() > self.size_max / 4 * 3
    }

    /// Bytes that lie here or, where it is `open`, may still come, beyond what the window began with:
    /// what its growth may cost. What was read of a grown window is soon granted anew.
    pub(super) fn grown(&self, open: bool) -> u64 {
        let bytes = if open {
            self.size.max(self.granted - self.consumed)
        } else {
            self.unread()
        };
        bytes.saturating_sub(self.size_first)
    }

    /// How much of [`Self::grown`] is not used at present: it may still come, but the window rests.
    pub(super) fn resting(&self) -> u64 {
        if self.received < self.rests_until {
            self.grown(true) - self.grown(false)
        } else {
            0
        }
    }

    /// Others need the room, and about a second has passed since the last call: where little came of
    /// what may come, the window gives back what it has grown. What is granted stays granted, so it
    /// rests until more comes than a window takes that has not grown.
    pub(super) fn rest(&mut self) {
        let used = self.received - self.seen;
        self.seen = self.received;
        if used < (self.granted - self.consumed) / USED_SHARE {
            self.size = self.size_first;
            self.rests_until = self.received.saturating_add(self.size_first);
        }
    }

    /// The absolute count up to which the peer may send, as it knows it.
    pub(super) const fn granted(&self) -> u64 {
        self.granted
    }

    /// Whether it is time to tell the peer of more room: half the window was read, or it is too
    /// small for the path.
    pub(super) fn wants_grant(&self) -> bool {
        self.has_room() || self.wants_growth()
    }

    fn has_room(&self) -> bool {
        // A window that has shrunk may have granted more than it would now.
        let room = (self.consumed + self.size).saturating_sub(self.granted);
        room >= (self.size / 2).min(GRANT_BYTES_MAX)
    }

    fn wants_growth(&self) -> bool {
        let keeps_up = self.growth == Growth::Always || self.unread() * 4 <= self.size;
        self.limited && self.size < self.size_max && keeps_up
    }

    /// The new absolute count to tell the peer; `None` where it is the one that it knows.
    ///
    /// A window that the peer used up although its reader keeps up is what holds the path back, so
    /// it doubles, by `growth_max` at the most. That needs no estimate of the round trip, and it
    /// leaves the window of a reader who does not read as it is. Where that is nothing, all windows
    /// together have grown too far: one that has grown gives a quarter back. As nothing granted can be
    /// taken back, it grants no more until what was granted before has come down to that.
    pub(super) fn grant(&mut self, growth_max: u64) -> Option<u64> {
        if growth_max == 0 {
            self.size = (self.size - self.size / 4).max(self.size_first);
        } else if self.wants_growth() {
            let growth = self.size.min(self.size_max - self.size).min(growth_max);
            self.size += growth;
        }
        self.limited = false;
        if growth_max == 0 && !self.has_room() {
            return None;
        }
        let target = (self.consumed + self.size).max(self.received);
        // A peer that sends pieces of whole KiB would end one at a grant of whole KiB by chance.
        // Half a KiB off, it does so only where the grant is what ends it.
        let chance = (target - self.received + 512) % 1024;
        let granted = target.saturating_sub(chance);
        if granted <= self.granted {
            return None;
        }
        if self.told.len() < TOLD_MAX {
            self.told.push_back(self.granted);
        }
        self.granted = granted;
        Some(granted)
    }
}

/// The sender's side: what it may send and what it has sent.
#[derive(Debug)]
pub(super) struct Allowance {
    max: u64,
    sent: u64,
}

impl Allowance {
    pub(super) const fn new(max: u64) -> Self {
        Self { max, sent: 0 }
    }

    /// No bound, for a peer that knows no credit.
    pub(super) const fn endless() -> Self {
        Self::new(u64::MAX)
    }

    /// Bytes that may be sent now.
    pub(super) const fn left(&self) -> u64 {
        self.max - self.sent
    }

    /// Bytes sent so far.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Takes note of bytes that are sent, at most [`Self::left`].
    pub(super) fn spend(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.left(), "sent more than allowed");
        self.sent += bytes;
    }

    /// Takes the peer's new count. Returns by how much it raises the old.
    pub(super) const fn raise(&mut self, max: u64) -> u64 {
        let raised = max.saturating_sub(self.max);
        self.max += raised;
        raised
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::Chance, *};

    const KIB: u64 = 1 << 10;

    fn window() -> Window {
        Window::new(256 * KIB, 4096 * KIB, Growth::WithReader)
    }

    #[test]
    fn more_than_was_granted_is_refused_and_changes_nothing() {
        let mut window = window();
        assert!(window.receive(256 * KIB));
        assert!(!window.receive(1));
        assert!(!window.receive(u64::MAX));
        assert_eq!(window.received(), 256 * KIB);
    }

    /// Half of the window is granted anew before its end has come, as a fast reader does.
    #[test]
    fn a_window_that_holds_the_path_back_grows_up_to_its_cap() {
        let mut window = window();
        let mut sent = 0;
        for _ in 0..200 {
            // All that the sender knows of by now, in pieces; the grants come a round trip later.
            let known = window.granted();
            while sent < known {
                let piece = (known - sent).min(31 * KIB);
                assert!(window.receive(piece));
                sent += piece;
                window.consume(piece);
                if window.wants_grant() {
                    window.grant(u64::MAX);
                }
            }
        }
        assert_eq!(window.size, 4096 * KIB);
    }

    #[test]
    fn a_window_that_is_never_used_up_stays_as_it_is() {
        for piece in [31 * KIB, 16 * KIB, 10_000] {
            let mut window = window();
            for _ in 0..2000 {
                assert!(window.receive(piece));
                window.consume(piece);
                if window.wants_grant() {
                    window.grant(u64::MAX);
                }
            }
            // Pieces of 16 KiB meet the end of the first window by chance, and of none after it.
            assert!(window.size <= 512 * KIB, "pieces of {piece}");
        }
    }

    #[test]
    fn a_slow_reader_keeps_a_small_window() {
        let mut window = window();
        for _ in 0..2000 {
            let room = window.granted() - window.received();
            assert!(window.receive(room));
            window.consume(window.unread().min(31 * KIB));
            if window.wants_grant() {
                window.grant(u64::MAX);
            }
        }
        assert_eq!(window.size, 256 * KIB);
    }

    #[test]
    fn a_reader_who_does_not_read_gets_no_more() {
        let mut window = window();
        assert!(window.receive(256 * KIB));
        assert!(!window.wants_grant());
        window.consume(128 * KIB);
        assert!(window.wants_grant());
        let granted = window.grant(u64::MAX).expect("half of it was read");
        assert!(granted.abs_diff(384 * KIB) < KIB);
        assert!(!window.wants_grant());
    }

    #[test]
    fn the_window_of_all_streams_grows_though_one_reader_sleeps() {
        let mut window = Window::new(256 * KIB, 4096 * KIB, Growth::Always);
        assert!(window.receive(256 * KIB));
        assert!(window.wants_grant());
        assert!(
            window
                .grant(u64::MAX)
                .is_some_and(|granted| granted > 500 * KIB)
        );
    }

    /// All of it read, and 4 MiB granted.
    fn grown() -> Window {
        let mut window = window();
        while window.size < 4096 * KIB {
            let room = window.granted() - window.received();
            assert!(window.receive(room));
            window.consume(room);
            window.grant(u64::MAX).expect("it grows");
        }
        window
    }

    #[test]
    fn a_window_that_may_not_grow_gives_back_what_it_has_grown() {
        let mut window = grown();
        let before = window.grown(true);
        assert!(before > 3000 * KIB, "{before}");
        let mut known = window.granted();
        for _ in 0..1000 {
            assert!(window.granted() > window.received(), "the peer is stuck");
            assert!(window.receive(16 * KIB));
            window.consume(16 * KIB);
            if window.wants_grant() {
                // What the peer is told is worth a message.
                if let Some(granted) = window.grant(0) {
                    assert!(granted >= known + 100 * KIB, "{known} {granted}");
                    known = granted;
                }
            }
        }
        assert_eq!((window.size, window.grown(true)), (256 * KIB, 0));
        // When there is room again, it grows as it did first.
        let room = window.granted() - window.received();
        assert!(window.receive(room));
        window.consume(room);
        window.grant(u64::MAX).expect("it grows");
        assert_eq!(window.size, 512 * KIB);
    }

    #[test]
    fn a_window_that_is_hardly_used_rests_until_it_is_used() {
        let mut window = grown();
        let granted = window.granted();
        let grown = granted - window.consumed - 256 * KIB;
        window.rest();
        assert_eq!(window.resting(), 0, "it was used before");
        window.rest();
        assert_eq!((window.resting(), window.granted()), (grown, granted));
        assert!(window.receive(255 * KIB));
        window.consume(255 * KIB);
        assert_eq!(window.resting(), grown - 255 * KIB);
        assert!(!window.wants_grant());
        assert!(window.receive(4 * KIB));
        assert_eq!(window.resting(), 0);
        window.rest();
        assert!(window.resting() > 0);
        // What lies here does not rest, whoever it is for.
        assert!(window.receive(granted - window.received()), "a promise");
        assert_eq!(window.resting(), 0);
        assert_eq!(window.grown(true), window.unread() - 256 * KIB);
    }

    #[test]
    fn whatever_happens_no_sum_goes_wrong() {
        let mut chance = Chance::seeded(5);
        for _ in 0..200 {
            let mut window = window();
            let mut known = window.granted();
            for _ in 0..500 {
                match chance.below(6) {
                    0 | 1 => {
                        let room = window.granted() - window.received();
                        let bytes = match chance.below(3) {
                            0 => room,
                            1 => room.min(31 * KIB),
                            _ => chance.below(room + 1),
                        };
                        assert!(window.receive(bytes));
                    }
                    2 => window.consume(chance.below(window.unread() + 1)),
                    3 => window.consume(window.unread()),
                    4 if window.wants_grant() => {
                        if let Some(granted) = window.grant(chance.below(3) * 300 * KIB) {
                            assert!(granted > known);
                        }
                    }
                    5 if chance.below(10) == 0 => window.rest(),
                    _ => {}
                }
                assert!(window.granted() >= known, "a promise was taken back");
                known = window.granted();
                assert!((256 * KIB..=4096 * KIB).contains(&window.size));
                assert!(known - window.consumed <= 4096 * KIB, "more than its cap");
                assert!(window.grown(false) <= window.grown(true));
                assert!(window.grown(true) <= (4096 - 256) * KIB);
                assert!(window.resting() <= window.grown(true));
                // Who has sent everything and is read hears of more.
                let stuck = known == window.received() && window.unread() == 0;
                assert!(!stuck || window.wants_grant());
            }
            while window.granted() <= window.received() {
                window.consume(window.unread());
                window.grant(0).expect("there is room");
            }
        }
    }

    #[test]
    fn credit_never_shrinks() {
        let mut allowance = Allowance::new(10);
        allowance.spend(10);
        assert_eq!(allowance.raise(5), 0);
        assert_eq!(allowance.left(), 0);
        assert_eq!(allowance.raise(30), 20);
        assert_eq!(allowance.left(), 20);
    }
}
