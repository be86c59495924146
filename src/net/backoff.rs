//! How long to wait before dialling again, and so after how long whoever dials is back.

use std::time::Duration;

/// The first ceiling.
const FIRST: Duration = Duration::from_secs(1);
/// The last.
const LAST: Duration = Duration::from_secs(60);
/// A connection that lasted this long was a good one: the next failure begins anew.
const STABLE: Duration = Duration::from_secs(60);
/// How long one try to connect may take: name, TCP, TLS and the upgrade.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(20);
/// After so long, whoever dials begins another try at the latest: one that began just before this hung, and what
/// was waited after it.
pub const DIALS_WITHIN: Duration = DIAL_TIMEOUT.saturating_add(LAST);

/// Ceilings of 1, 2, 4 ... 60 s, and a wait anywhere below the ceiling, so that a fleet that lost
/// its platform at one moment does not come back at one moment ("full jitter").
#[derive(Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next wait and its ceiling, from 64 random bits.
    pub fn next_wait(&mut self, entropy: u64) -> (Duration, Duration) {
        let ceiling = FIRST.saturating_mul(1 << self.attempts.min(6)).min(LAST);
        self.attempts = self.attempts.saturating_add(1);
        (share(ceiling, entropy), ceiling)
    }

    /// A connection that was let in has ended after that time.
    pub fn connected_for(&mut self, time: Duration) {
        if time >= STABLE {
            self.attempts = 0;
        }
    }
}

/// A moment within `window`, from 64 random bits.
pub fn share(window: Duration, entropy: u64) -> Duration {
    window.mul_f64(entropy as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_a_minute_and_the_wait_stays_below() {
        let mut backoff = Backoff::default();
        let ceilings: Vec<_> = (0..9)
            .map(|_| {
                let (wait, ceiling) = backoff.next_wait(u64::MAX);
                assert_eq!(wait, ceiling);
                ceiling.as_secs()
            })
            .collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(backoff.next_wait(0).0, Duration::ZERO);
    }

    #[test]
    fn only_a_stable_connection_begins_anew() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.next_wait(0);
        }
        backoff.connected_for(Duration::from_secs(59));
        assert_eq!(backoff.next_wait(0).1.as_secs(), 32);
        backoff.connected_for(Duration::from_secs(60));
        assert_eq!(backoff.next_wait(0).1.as_secs(), 1);
    }
}
