//! Credit: how many bytes may be sent, as an absolute count that never shrinks. The receiver's
//! side decides it and lets it follow what the path takes; the sender's side obeys it.

/// The receiver's side: what it has granted, and what has come of it.
#[derive(Debug)]
pub(super) struct Window {
    /// Bytes that may lie here unread.
    size: u64,
    size_max: u64,
    /// The absolute count up to which the peer may send.
    granted: u64,
    received: u64,
    consumed: u64,
}

impl Window {
    /// A window whose first `size` bytes the peer has been told of already.
    pub(super) const fn new(size: u64, size_max: u64) -> Self {
        Self {
            size,
            size_max,
            granted: size,
            received: 0,
            consumed: 0,
        }
    }

    /// A window that never ends, for a peer that knows no credit: its messages are whole, and their
    /// length is bounded.
    pub(super) const fn endless() -> Self {
        Self::new(u64::MAX / 2, u64::MAX / 2)
    }

    /// Takes note of arrived bytes; `false` where they are more than was granted.
    #[must_use]
    pub(super) fn receive(&mut self, bytes: u64) -> bool {
        match self.received.checked_add(bytes) {
            Some(received) if received <= self.granted => {
                self.received = received;
                true
            }
            _ => false,
        }
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

    /// The absolute count up to which the peer may send, as it knows it.
    pub(super) const fn granted(&self) -> u64 {
        self.granted
    }

    /// Whether it is time to tell the peer of more room: half the window was read, or it was used
    /// up.
    pub(super) const fn wants_grant(&self) -> bool {
        let room = self.consumed + self.size - self.granted;
        room * 2 >= self.size || (room > 0 && self.received == self.granted)
    }

    /// The new absolute count to tell the peer.
    ///
    /// A window that the peer had used up although all of it was read here is what holds the path
    /// back, so it doubles. That needs no estimate of the round trip, and it leaves the window of a
    /// reader who does not read as it is.
    pub(super) fn grant(&mut self) -> u64 {
        if self.received == self.granted && self.consumed == self.received {
            self.size = (self.size * 2).min(self.size_max);
        }
        self.granted = self.granted.max(self.consumed + self.size);
        self.granted
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

    /// Takes the peer's new count; `false` where it raises nothing.
    pub(super) const fn raise(&mut self, max: u64) -> bool {
        let raised = max > self.max;
        if raised {
            self.max = max;
        }
        raised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_was_granted_is_refused_and_changes_nothing() {
        let mut window = Window::new(100, 400);
        assert!(window.receive(100));
        assert!(!window.receive(1));
        assert!(!window.receive(u64::MAX));
        assert_eq!(window.received(), 100);
    }

    #[test]
    fn a_window_that_holds_the_path_back_doubles_up_to_its_cap() {
        let mut window = Window::new(100, 400);
        let mut sizes = Vec::new();
        for _ in 0..4 {
            let room = window.granted() - window.received();
            assert!(window.receive(room));
            window.consume(room);
            assert!(window.wants_grant());
            sizes.push(window.grant() - window.received());
        }
        assert_eq!(sizes, [200, 400, 400, 400]);
    }

    #[test]
    fn a_reader_who_does_not_read_gets_no_more() {
        let mut window = Window::new(100, 400);
        assert!(window.receive(100));
        assert!(!window.wants_grant());
        window.consume(40);
        assert!(window.wants_grant());
        assert_eq!(window.grant(), 140);
    }

    #[test]
    fn credit_never_shrinks() {
        let mut allowance = Allowance::new(10);
        allowance.spend(10);
        assert!(!allowance.raise(5));
        assert_eq!(allowance.left(), 0);
        assert!(allowance.raise(30));
        assert_eq!(allowance.left(), 20);
    }
}
