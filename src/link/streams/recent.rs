//! How much a direction of a stream has carried of late: what tells somebody who waits from a download.

use super::super::time::Time;

/// What a stream may carry in a burst and be taken for interactive still.
const INTERACTIVE_BURST: u64 = 64 << 10;
/// What it may carry a second in the long run and be taken for interactive still: typing, a page's
/// polling, and no video.
const INTERACTIVE_BYTES_PER_SECOND: u64 = 256 << 10;
/// The most that is remembered of what it has carried: whatever it was, two seconds of silence later
/// somebody may be typing again.
const RECENT_BYTES_MAX: u64 = INTERACTIVE_BURST + 2 * INTERACTIVE_BYTES_PER_SECOND;

/// The bytes of late, which are forgotten with time.
#[derive(Debug)]
pub(super) struct Recent {
    bytes: u64,
    at: Time,
}

impl Recent {
    pub(super) const fn new() -> Self {
        Self {
            bytes: 0,
            at: Time::from_micros(0),
        }
    }

    /// So many more were carried.
    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes).min(RECENT_BYTES_MAX);
    }

    /// Whether it was little, with so many that wait.
    pub(super) fn is_little(&mut self, waiting: u64, now: Time) -> bool {
        let micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let forgotten = micros.saturating_mul(INTERACTIVE_BYTES_PER_SECOND) / 1_000_000;
        if forgotten > 0 {
            self.bytes = self.bytes.saturating_sub(forgotten);
            self.at = now;
        }
        self.bytes.max(waiting) <= INTERACTIVE_BURST
    }
}
