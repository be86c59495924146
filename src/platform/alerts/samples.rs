//! What the platform counts since it began, looked at again and again, so that it is known of the last minutes or the
//! last hour: how long commands took to be received, and how many sign-ins failed. Constant memory: an hour of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::platform::delivery::Latencies;
use crate::platform::metrics::LATENCY_BUCKETS;

/// As long as a rule may ask for.
const KEPT: Duration = Duration::from_secs(60 * 60);
/// Fewer commands say nothing of one in a hundred.
const COMMANDS_MIN: u64 = 20;

/// What was counted by then.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    latencies: Latencies,
    failed_sign_ins: u64,
}

/// What was counted, the oldest first.
#[derive(Debug)]
pub(super) struct Samples(VecDeque<Sample>);

impl Samples {
    /// Of counts that begin at zero now.
    pub(super) fn new(now: Instant) -> Self {
        Self(VecDeque::from([Sample {
            at: now,
            latencies: Latencies::default(),
            failed_sign_ins: 0,
        }]))
    }

    /// Takes in what was counted by now.
    pub(super) fn take(&mut self, at: Instant, latencies: Latencies, failed_sign_ins: u64) {
        let is_old = |sample: &Sample| at.saturating_duration_since(sample.at) >= KEPT;
        // The last that is old enough is what everything is compared with.
        while self.0.get(1).is_some_and(is_old) {
            self.0.pop_front();
        }
        self.0.push_back(Sample {
            at,
            latencies,
            failed_sign_ins,
        });
    }

    /// How many sign-ins failed in the time before this moment.
    pub(super) fn failed_sign_ins(&self, now: Instant, within: Duration) -> u64 {
        let ends = self.ends(now, within);
        ends.map_or(0, |(from, to)| {
            to.failed_sign_ins.saturating_sub(from.failed_sign_ins)
        })
    }

    /// How many milliseconds the fastest took, in that time, of the slowest hundredth of commands; `None` where there
    /// were too few to say. Within a bucket it is taken that they lie evenly, as whoever reads histograms does.
    pub(super) fn slowest_hundredth(&self, now: Instant, within: Duration) -> Option<u64> {
        let (from, to) = self.ends(now, within)?;
        let counts = to.latencies.iter().zip(&from.latencies);
        let counts = counts.map(|(to, from)| to.saturating_sub(*from));
        let all: u64 = counts.clone().sum();
        if all < COMMANDS_MIN {
            return None;
        }
        let wanted = all as f64 * 0.99;
        let (mut below, mut lower) = (0.0, 0.0);
        for (count, bound) in counts.zip(LATENCY_BUCKETS) {
            let count = count as f64;
            if below + count >= wanted {
                let within = lower + (bound - lower) * (wanted - below) / count;
                return Some((within * 1000.0) as u64);
            }
            (below, lower) = (below + count, bound);
        }
        // Beyond the last bound nobody knows how far.
        Some((lower * 1000.0) as u64)
    }

    /// The last sample, and the last that is as old as that, else the first.
    fn ends(&self, now: Instant, within: Duration) -> Option<(&Sample, &Sample)> {
        let is_old = |sample: &&Sample| now.saturating_duration_since(sample.at) >= within;
        let from = self.0.iter().rev().find(is_old).or(self.0.front())?;
        Some((from, self.0.back()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(counts: &[(usize, u64)]) -> Latencies {
        let mut latencies = Latencies::default();
        for (bucket, count) in counts {
            latencies[*bucket] = *count;
        }
        latencies
    }

    #[test]
    fn what_was_counted_is_known_of_the_last_minutes() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let minute = Duration::from_secs(60);
        let mut samples = Samples::new(begun);
        assert_eq!(samples.failed_sign_ins(begun, minute), 0);
        for (second, failed) in [(10, 3), (20, 3), (70, 8)] {
            samples.take(at(second), Latencies::default(), failed);
        }
        assert_eq!(samples.failed_sign_ins(at(70), minute), 5);
        assert_eq!(samples.failed_sign_ins(at(70), 2 * minute), 8);
        for second in 8..2000 {
            samples.take(at(second * 10), Latencies::default(), 8);
        }
        assert_eq!(samples.0.len(), 361, "an hour");
        assert_eq!(samples.failed_sign_ins(at(19_990), 60 * minute), 0);
    }

    #[test]
    fn the_slowest_hundredth_is_found_in_its_bucket() {
        let begun = Instant::now();
        let later = begun + Duration::from_secs(60);
        let slowest = |counts: &[(usize, u64)]| {
            let mut samples = Samples::new(begun);
            samples.take(later, latencies(counts), 0);
            samples.slowest_hundredth(later, Duration::from_secs(60))
        };
        assert_eq!(slowest(&[(0, 19)]), None, "too few");
        // Bucket 7 is from 10 ms to 25 ms, bucket 15 up to 10 s, and 16 beyond.
        assert_eq!(slowest(&[(7, 100)]), Some(24));
        assert_eq!(slowest(&[(7, 98), (15, 2)]), Some(7500));
        assert_eq!(slowest(&[(7, 995), (15, 5)]), Some(24));
        assert_eq!(slowest(&[(16, 20)]), Some(10_000));
    }
}
