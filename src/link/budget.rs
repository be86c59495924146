//! How many messages a peer may send that cost this side work and carry nothing, or next to nothing.

use super::time::Time;

/// Cheap messages in a burst. A browser tab that closes cancels some hundreds of streams at once.
const BURST: u64 = 4096;
/// Cheap messages a second in the long run, beside those that come with work: each piece of some
/// length, each stream that opens and each that comes to an answer pay for one more, and a request
/// whose body follows for two.
const PER_SECOND: u64 = 1000;
/// Tiny pieces, and messages of no stream, in a burst: what they cost passes within a second at the rate
/// below.
const TINY_BURST: u64 = 100_000;
/// The same a second in the long run. A keystroke is a tiny piece, and so is each byte of a device that
/// writes slowly. Whoever relays what others send gathers what waits, and cannot come by so many of
/// them without a read and a write for each, which fills a processor before this is reached. Chosen,
/// not measured.
const TINY_PER_SECOND: u64 = 100_000;

/// What a peer may send of both kinds.
#[derive(Debug)]
pub(super) struct Budget {
    cheap: Bucket,
    tiny: Bucket,
}

impl Budget {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            cheap: Bucket::new(BURST, PER_SECOND, now),
            tiny: Bucket::new(TINY_BURST, TINY_PER_SECOND, now),
        }
    }

    /// Something of use has passed, for which the peer may say a little: credit for what it took, a
    /// stop of what it was sent.
    pub(super) fn earn(&mut self) {
        self.cheap.left = (self.cheap.left + MESSAGE).min(self.cheap.burst * MESSAGE);
    }

    /// Takes one message that carries nothing; `false` where the peer has used its budget up.
    #[must_use]
    pub(super) fn spend(&mut self, now: Time) -> bool {
        self.cheap.spend(now)
    }

    /// Takes one tiny piece, or a message of no stream; `false` where the peer has used its budget up.
    #[must_use]
    pub(super) fn spend_tiny(&mut self, now: Time) -> bool {
        self.tiny.spend(now)
    }
}

/// A token bucket, full at the start.
#[derive(Debug)]
struct Bucket {
    burst: u64,
    per_second: u64,
    /// Millionths of a message left.
    left: u64,
    filled_at: Time,
}

const MESSAGE: u64 = 1_000_000;

impl Bucket {
    const fn new(burst: u64, per_second: u64, now: Time) -> Self {
        Self {
            burst,
            per_second,
            left: burst * MESSAGE,
            filled_at: now,
        }
    }

    fn spend(&mut self, now: Time) -> bool {
        let micros = u64::try_from(now.since(self.filled_at).as_micros()).unwrap_or(u64::MAX);
        self.left = self
            .left
            .saturating_add(micros.saturating_mul(self.per_second))
            .min(self.burst * MESSAGE);
        self.filled_at = now;
        match self.left.checked_sub(MESSAGE) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_passes_and_a_flood_does_not() {
        let mut budget = Budget::new(Time::default());
        assert!((0..BURST).all(|_| budget.spend(Time::default())));
        assert!(!budget.spend(Time::default()));
        let later = Time::default() + Duration::from_secs(1);
        assert_eq!(
            (0..2 * PER_SECOND).filter(|_| budget.spend(later)).count() as u64,
            PER_SECOND
        );
    }

    #[test]
    fn what_was_earned_is_kept_up_to_a_burst_and_no_more() {
        let now = Time::default();
        let mut budget = Budget::new(now);
        budget.earn();
        assert_eq!(
            (0..2 * BURST).filter(|_| budget.spend(now)).count() as u64,
            BURST
        );
        budget.earn();
        assert!(budget.spend(now) && !budget.spend(now));
    }

    #[test]
    fn tiny_pieces_have_a_budget_of_their_own() {
        let now = Time::default();
        let mut budget = Budget::new(now);
        assert!((0..TINY_BURST).all(|_| budget.spend_tiny(now)));
        assert!(!budget.spend_tiny(now));
        assert!(budget.spend(now));
    }
}
