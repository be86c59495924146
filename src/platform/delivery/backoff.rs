//! How long a delivery waits that was not taken.

use std::time::Duration;

use crate::net::backoff::share;
use crate::secret::random;

/// The first ceiling.
const FIRST: Duration = Duration::from_secs(1);
/// The last.
const LAST: Duration = Duration::from_secs(5 * 60);

/// The wait before the next attempt, after so many that failed: anywhere below a ceiling of 1, 2, 4 ...
/// 300 s ("full jitter"), so that what failed together does not come back together.
pub(super) fn wait(attempts: u32) -> Duration {
    share(ceiling(attempts), u64::from_le_bytes(random()))
}

fn ceiling(attempts: u32) -> Duration {
    let doubled = attempts.saturating_sub(1).min(9);
    FIRST.saturating_mul(1 << doubled).min(LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_five_minutes() {
        let ceilings: Vec<_> = (1..=11).map(|n| ceiling(n).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert!((1..=20).all(|attempts| wait(attempts) <= ceiling(attempts)));
    }
}
