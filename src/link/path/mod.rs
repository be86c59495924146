//! How much may be in flight at once, so that a long path is filled and a queue is not.
//!
//! Credit is for the receiver's memory; this is for everybody else's latency: bytes that wait in a
//! queue along the path are bytes that a keystroke waits behind. The sender watches how long its
//! bytes take to be acknowledged, round trip by round trip, and steers what is in flight towards a
//! queueing delay of a few milliseconds. Loss, and the pacing underneath, are TCP's affair.
//!
//! Here is what is known of the path; `flight` takes the samples, `steer` draws the conclusion.

mod flight;
mod steer;
#[cfg(test)]
mod tests;

use super::time::Time;
use crate::limits::DATA_BYTES_MAX;
use flight::{Flight, Sample};
use std::time::Duration;
use steer::{Seen, Steer};

/// Pieces that fill the path, where it takes small ones: one is a thirty-second of a round trip.
const PIECES_IN_FLIGHT: u64 = 32;
/// The shortest piece of a stream that has much to send.
const PIECE_BYTES_MIN: usize = 8 << 10;
/// Messages from this length on are timed apart from shorter ones: a message is acknowledged when the
/// last of it has come, and what its own bytes take on a slow path is no queue.
const LONG_BYTES: u64 = 4 << 10;
/// Rounds with a rate over which the greatest counts (as in BBR, section 4.1.2 of the draft).
const RATE_ROUNDS: usize = 10;

/// The sender's view of the path. Times in microseconds, rates in bytes a microsecond.
#[derive(Debug)]
pub(super) struct Path {
    flight: Flight,
    steer: Steer,
    round: Round,
    /// The rates of rounds that had one, by turns. One in which the sender had little to send has
    /// none, and takes nothing away from what is known.
    rates: [f64; RATE_ROUNDS],
    rates_count: usize,
    min_rtt: MinRtt,
}

/// One round trip's worth of acknowledgements.
#[derive(Debug, Default)]
struct Round {
    /// It ends when this count is delivered.
    end: u64,
    short: Delays,
    long: Delays,
    rate: f64,
    in_flight: u64,
    /// The cap held something back.
    is_limited: bool,
}

#[derive(Debug, Default)]
struct Delays {
    sum_us: f64,
    count: u32,
}

impl Delays {
    fn mean_us(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_us / f64::from(self.count))
    }
}

/// The least round trips, of short messages and of long ones.
#[derive(Clone, Copy, Debug)]
struct MinRtt {
    short_us: f64,
    long_us: f64,
}

impl MinRtt {
    const UNKNOWN: Self = Self {
        short_us: f64::INFINITY,
        long_us: f64::INFINITY,
    };

    fn add(&mut self, sample: &Sample) {
        let least_us = if sample.bytes < LONG_BYTES {
            &mut self.short_us
        } else {
            &mut self.long_us
        };
        *least_us = least_us.min(sample.rtt_us);
    }

    /// Takes what was seen while there was no queue of ours in the place of what was the least
    /// before: a path may have become longer. Not more than twice as long at once, as that may have
    /// been a stall.
    fn renew(&mut self, seen: Self) {
        let renewed = |before_us: f64, seen_us: f64| {
            if seen_us.is_finite() {
                seen_us.min(before_us * 2.0)
            } else {
                before_us
            }
        };
        self.short_us = renewed(self.short_us, seen.short_us);
        self.long_us = renewed(self.long_us, seen.long_us);
    }
}

impl Path {
    pub(super) fn new(now: Time) -> Self {
        Self {
            flight: Flight::new(now),
            steer: Steer::new(now),
            round: Round::default(),
            rates: [0.0; RATE_ROUNDS],
            rates_count: 0,
            min_rtt: MinRtt::UNKNOWN,
        }
    }

    /// Bytes that may be sent now without passing the cap by more than `slack`.
    pub(super) fn room(&self, slack: u64, now: Time) -> u64 {
        (self.steer.cap_at(now) + slack).saturating_sub(self.in_flight())
    }

    /// Bytes that may be in flight.
    pub(super) const fn cap(&self) -> u64 {
        self.steer.cap()
    }

    /// The most bytes for one message: less on a slow path, where everything else waits behind it.
    pub(super) fn piece_max(&self) -> usize {
        let share = usize::try_from(self.cap() / PIECES_IN_FLIGHT).unwrap_or(DATA_BYTES_MAX);
        share.clamp(PIECE_BYTES_MIN, DATA_BYTES_MAX)
    }

    /// Bytes that are sent and not acknowledged.
    pub(super) const fn in_flight(&self) -> u64 {
        self.flight.bytes()
    }

    /// The least round trip that was seen of late.
    pub(super) fn min_rtt(&self) -> Option<Duration> {
        let micros = self.min_rtt.short_us.min(self.min_rtt.long_us);
        micros
            .is_finite()
            .then(|| Duration::from_micros(micros as u64))
    }

    /// Takes note of bytes that leave.
    pub(super) fn on_send(&mut self, bytes: u64, now: Time) {
        if bytes > 0 {
            self.flight.on_send(bytes, now);
        }
    }

    /// Takes note that the cap, and nothing else, held something back.
    pub(super) const fn on_limited(&mut self) {
        self.round.is_limited = true;
    }

    /// Takes note that there is nothing more to send.
    pub(super) const fn on_idle(&mut self) {
        self.flight.on_idle();
    }

    /// Takes an acknowledgement of all bytes up to `delivered`, whose newest lay at the peer for
    /// `delay`. `false` where it acknowledges what was never sent.
    #[must_use]
    pub(super) fn on_ack(&mut self, delivered: u64, delay: Duration, now: Time) -> bool {
        if delivered > self.flight.sent() {
            return false;
        }
        if delivered <= self.flight.delivered() {
            return true;
        }
        if let Some(sample) = self.flight.on_ack(delivered, delay, now) {
            self.add(&sample);
            if delivered >= self.round.end {
                self.end_round(now);
            }
        }
        true
    }

    fn add(&mut self, sample: &Sample) {
        self.min_rtt.add(sample);
        self.steer.add(sample);
        let delays = if sample.bytes < LONG_BYTES {
            &mut self.round.short
        } else {
            &mut self.round.long
        };
        delays.sum_us += sample.rtt_us;
        delays.count += 1;
        self.round.in_flight = self.round.in_flight.max(sample.in_flight);
        if !sample.is_idle || sample.rate > self.rate() {
            self.round.rate = self.round.rate.max(sample.rate);
        }
    }

    /// The greatest of the last rounds.
    fn rate(&self) -> f64 {
        self.rates.iter().copied().fold(self.round.rate, f64::max)
    }

    fn end_round(&mut self, now: Time) {
        let rate = self.rate();
        let next = Round {
            end: self.flight.sent(),
            ..Round::default()
        };
        let round = std::mem::replace(&mut self.round, next);
        if round.rate > 0.0 {
            self.rates[self.rates_count % RATE_ROUNDS] = round.rate;
            self.rates_count += 1;
        }
        let long = round.long.mean_us().zip(Some(self.min_rtt.long_us));
        // A short message takes no longer than a long one: where all of them came behind a queue, that
        // tells of it.
        let min_rtt_us = self.min_rtt.short_us.min(self.min_rtt.long_us);
        let short = || round.short.mean_us().zip(Some(min_rtt_us));
        let Some((rtt_us, min_rtt_us)) = long.or_else(short) else {
            return;
        };
        let seen = Seen {
            rtt_us,
            min_rtt_us,
            rate: round.rate,
            best_rate: rate,
            in_flight: round.in_flight,
            is_limited: round.is_limited,
        };
        if let Some(seen) = self.steer.end_round(&seen, now) {
            self.min_rtt.renew(seen);
        }
    }
}
