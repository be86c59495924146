//! What a store tells of itself to whoever watches the platform.

use std::fmt;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use crate::platform::metrics::LATENCY_BUCKETS;

/// A store's figures. The store counts, others look.
pub struct StoreFigures {
    /// Seconds from a transaction's begin to the end of its commit.
    pub commit: Histogram,
    /// Changes that one transaction carried.
    pub changes: Histogram,
    /// Transactions that could not be committed.
    pub failures: Counter,
    /// Writes and reads that wait.
    queued: Box<dyn Fn() -> (usize, usize) + Send + Sync>,
}

impl StoreFigures {
    /// Figures that begin now, of a store that says how many writes and reads wait.
    pub fn new(queued: impl Fn() -> (usize, usize) + Send + Sync + 'static) -> Self {
        Self {
            commit: Histogram::new(LATENCY_BUCKETS),
            changes: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]),
            failures: Counter::default(),
            queued: Box::new(queued),
        }
    }

    /// How many writes and how many reads wait at present.
    pub fn queued(&self) -> (usize, usize) {
        (self.queued)()
    }
}

impl fmt::Debug for StoreFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreFigures").finish_non_exhaustive()
    }
}
