//! How many cheap messages a peer may send: those that cost this side work and carry nothing.

use super::time::Time;

/// Cheap messages in a burst. A browser tab that closes cancels some hundreds of streams at once.
const BURST: u64 = 4096;
/// Cheap messages a second in the long run, beside those that come with work: each piece of some
/// length and each stream that came to an answer pay for one more.
const PER_SECOND: u64 = 1000;

/// A token bucket, full at the start.
#[derive(Debug)]
pub(super) struct Budget {
    /// Millionths of a message left.
    left: u64,
    filled_at: Time,
}

const MESSAGE: u64 = 1_000_000;

impl Budget {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            left: BURST * MESSAGE,
            filled_at: now,
        }
    }

    /// Something of use has passed, for which the peer may say a little: credit for what it took, a
    /// stop of what it was sent.
    pub(super) fn earn(&mut self) {
        self.left = (self.left + MESSAGE).min(BURST * MESSAGE);
    }

    /// Takes one message; `false` where the peer has used its budget up.
    #[must_use]
    pub(super) fn spend(&mut self, now: Time) -> bool {
        let micros = u64::try_from(now.since(self.filled_at).as_micros()).unwrap_or(u64::MAX);
        self.left = self
            .left
            .saturating_add(micros.saturating_mul(PER_SECOND))
            .min(BURST * MESSAGE);
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
}
