//! What is counted of deliveries, for the metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use crate::platform::metrics::LATENCY_BUCKETS;
use crate::platform::store::deliveries::DeliveryState;

/// How many deliveries there were in each of [`LATENCY_BUCKETS`], and beyond.
pub type Latencies = [u64; LATENCY_BUCKETS.len() + 1];

/// What is counted of deliveries.
#[derive(Debug)]
pub struct DeliveryFigures {
    /// Steps by the state that they led to.
    pub steps: Family<[(&'static str, &'static str); 1], Counter>,
    /// What agents said that changed nothing, by why.
    pub ignored: Family<[(&'static str, &'static str); 1], Counter>,
    /// From a command's acceptance to its agent's word that it has it, of those that were sent at once.
    pub received_after: Histogram,
    /// The same, for whom the histogram does not tell what it holds: of each of [`LATENCY_BUCKETS`] how many there
    /// were in it and not in the one before, and at the end how many were beyond.
    received_in: [AtomicU64; LATENCY_BUCKETS.len() + 1],
    /// Deliveries under way to hosts that are connected.
    under_way: AtomicUsize,
    /// What waits to be written.
    unwritten: AtomicUsize,
}

impl Default for DeliveryFigures {
    fn default() -> Self {
        let figures = Self {
            steps: Family::default(),
            ignored: Family::default(),
            received_after: Histogram::new(LATENCY_BUCKETS),
            received_in: Default::default(),
            under_way: AtomicUsize::new(0),
            unwritten: AtomicUsize::new(0),
        };
        // All of them are there from the start, at zero: a rate needs a beginning.
        for state in &DeliveryState::ALL[1..] {
            let _ = figures.steps.get_or_create(&[("state", state.code())]);
        }
        for why in IGNORED {
            let _ = figures.ignored.get_or_create(&[("reason", why)]);
        }
        figures
    }
}

/// Why something that an agent said changes nothing.
const IGNORED: [&str; 4] = ["backwards", "not_under_way", "unknown", "unexpected"];

impl DeliveryFigures {
    /// A delivery came to stand there.
    pub(super) fn came_to(&self, state: DeliveryState) {
        self.steps.get_or_create(&[("state", state.code())]).inc();
    }

    /// Something that an agent said changed nothing.
    pub(super) fn ignored(&self, why: &'static str) {
        self.ignored.get_or_create(&[("reason", why)]).inc();
    }

    /// An agent has said that it has what was sent at once, so long after that was accepted.
    pub fn received(&self, after: Duration) {
        let seconds = after.as_secs_f64();
        self.received_after.observe(seconds);
        let bucket = LATENCY_BUCKETS.iter().take_while(|bound| **bound < seconds);
        if let Some(count) = self.received_in.get(bucket.count()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many there were in each bucket since the platform began.
    pub fn received_in(&self) -> Latencies {
        std::array::from_fn(|bucket| {
            let count = self.received_in.get(bucket);
            count.map_or(0, |count| count.load(Ordering::Relaxed))
        })
    }

    /// Deliveries under way, and steps that wait to be written.
    pub fn gauges(&self) -> (usize, usize) {
        let read = |gauge: &AtomicUsize| gauge.load(Ordering::Relaxed);
        (read(&self.under_way), read(&self.unwritten))
    }

    pub(super) fn gauge(&self, under_way: usize, unwritten: usize) {
        self.under_way.store(under_way, Ordering::Relaxed);
        self.unwritten.store(unwritten, Ordering::Relaxed);
    }
}
