//! What is in flight: sent and not acknowledged. Each acknowledgement gives one sample of the path's
//! delay and of its delivery rate, reckoned as in BBR
//! (draft-cardwell-iccrg-bbr-congestion-control, section 4.1). Leaves to others: what follows from
//! the samples.

use crate::link::time::Time;
use std::{collections::VecDeque, time::Duration};

/// Entries at the most. Beyond it messages are counted as one: a peer that acknowledges nothing while
/// short messages go out, which no window holds, would have them remembered without end.
const ENTRIES_MAX: usize = 4096;

/// What is on its way.
#[derive(Debug)]
pub(super) struct Flight {
    sent: u64,
    delivered: u64,
    delivered_at: Time,
    /// When the newest message left that is acknowledged.
    acked_sent_at: Time,
    messages: VecDeque<Sent>,
    /// Until this count is delivered, the sender had nothing more to send.
    idle_until: u64,
}

/// A message in flight, with what was known when it left.
#[derive(Debug)]
struct Sent {
    end: u64,
    bytes: u64,
    at: Time,
    delivered: u64,
    delivered_at: Time,
    acked_sent_at: Time,
}

/// What an acknowledgement tells of the path. Times in microseconds, rates in bytes a microsecond.
#[derive(Debug)]
pub(super) struct Sample {
    /// From the sending of the newest acknowledged message to now, less what it lay at the peer.
    pub(super) rtt_us: f64,
    /// That message's length.
    pub(super) bytes: u64,
    /// Bytes that were in flight when it had left.
    pub(super) in_flight: u64,
    /// Bytes delivered between its leaving and now, over the longer of the time that took and the
    /// time their sending took: acknowledgements that come in a lump look faster than the path is.
    pub(super) rate: f64,
    /// The sender had nothing more to send when the message left: the path may be faster.
    pub(super) is_idle: bool,
}

impl Flight {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            sent: 0,
            delivered: 0,
            delivered_at: now,
            acked_sent_at: now,
            messages: VecDeque::new(),
            idle_until: 0,
        }
    }

    /// Bytes that were ever sent.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes that are acknowledged.
    pub(super) const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Bytes that are sent and not acknowledged.
    pub(super) const fn bytes(&self) -> u64 {
        self.sent - self.delivered
    }

    /// Takes note of bytes that leave.
    pub(super) fn on_send(&mut self, bytes: u64, now: Time) {
        if self.messages.is_empty() {
            // After a pause the clocks of the rate start anew.
            self.delivered_at = now;
            self.acked_sent_at = now;
        }
        self.sent += bytes;
        if self.messages.len() >= ENTRIES_MAX
            && let Some(last) = self.messages.back_mut()
        {
            last.end = self.sent;
            last.bytes += bytes;
            last.at = now;
            return;
        }
        self.messages.push_back(Sent {
            end: self.sent,
            bytes,
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            acked_sent_at: self.acked_sent_at,
        });
    }

    /// Takes note that there is nothing more to send.
    pub(super) const fn on_idle(&mut self) {
        self.idle_until = self.sent;
    }

    /// Takes an acknowledgement of all bytes up to `delivered`, which is more than before and no more
    /// than was sent. The newest of them lay at the peer for `delay`.
    pub(super) fn on_ack(&mut self, delivered: u64, delay: Duration, now: Time) -> Option<Sample> {
        self.delivered = delivered;
        self.delivered_at = now;
        let mut newest = None;
        while let Some(sent) = self.messages.pop_front_if(|sent| sent.end <= delivered) {
            newest = Some(sent);
        }
        let newest: Sent = newest?;
        self.acked_sent_at = newest.at;
        let rtt = now.since(newest.at).saturating_sub(delay);
        let elapsed = now
            .since(newest.delivered_at)
            .max(newest.at.since(newest.acked_sent_at));
        let count = delivered - newest.delivered;
        Some(Sample {
            rtt_us: micros(rtt),
            bytes: newest.bytes,
            in_flight: newest.end.saturating_sub(newest.delivered),
            rate: count as f64 / micros(elapsed),
            is_idle: newest.end <= self.idle_until,
        })
    }
}

/// Never nothing, so that it can divide.
fn micros(duration: Duration) -> f64 {
    (duration.as_micros() as f64).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: u64 = 100;

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1000)
    }

    #[test]
    fn a_peer_that_acknowledges_nothing_costs_so_many_entries_and_no_more() {
        let mut flight = Flight::new(at(0));
        let count = 3 * ENTRIES_MAX as u64;
        for millis in 0..count {
            flight.on_send(BYTES, at(millis));
        }
        assert_eq!(flight.messages.len(), ENTRIES_MAX);
        assert_eq!(flight.bytes(), count * BYTES);
        // What is counted as one is acknowledged as one.
        let part = flight.sent() - BYTES;
        assert!(flight.on_ack(part, Duration::ZERO, at(count)).is_some());
        assert_eq!(flight.messages.len(), 1);
        let sample = flight.on_ack(flight.sent(), Duration::ZERO, at(count));
        assert_eq!(sample.map(|sample| sample.rtt_us), Some(1000.0));
        assert_eq!((flight.messages.len(), flight.bytes()), (0, 0));
    }

    #[test]
    fn acknowledgements_in_a_lump_are_no_faster_than_what_was_sent() {
        let mut flight = Flight::new(at(0));
        // A message a millisecond; what arrives in the first 50 is acknowledged at once.
        for millis in 0..50 {
            flight.on_send(BYTES, at(millis));
        }
        let first = flight.on_ack(BYTES, Duration::ZERO, at(50)).unwrap();
        assert_eq!(first.rtt_us, 50_000.0);
        flight.on_send(BYTES, at(50));
        flight.on_ack(50 * BYTES, Duration::ZERO, at(50)).unwrap();
        let sample = flight.on_ack(51 * BYTES, Duration::ZERO, at(51)).unwrap();
        // 50 messages within the millisecond since the one before was acknowledged.
        assert!(sample.rate <= BYTES as f64 / 1000.0, "{sample:?}");
    }
}
