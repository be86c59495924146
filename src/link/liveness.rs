//! Whether the peer is still there: heartbeats on the agent's side, and silence on both.

use super::time::Time;
use crate::limits::SILENT_INTERVALS_MAX;
use std::time::Duration;

/// The clocks of one open connection.
#[derive(Debug)]
pub(super) struct Liveness {
    interval: Duration,
    received_at: Time,
    /// When the next heartbeat is due; `None` on the side that sends none.
    heartbeat_at: Option<Time>,
    round_trip: Option<Duration>,
}

impl Liveness {
    /// Clocks that start now. The first heartbeat of a side that sends them is due at once.
    pub(super) fn new(interval: Duration, beats: bool, now: Time) -> Self {
        Self {
            interval,
            received_at: now,
            heartbeat_at: beats.then_some(now),
            round_trip: None,
        }
    }

    /// Bytes have arrived, whole messages or not.
    pub(super) fn on_received(&mut self, now: Time) {
        self.received_at = self.received_at.max(now);
    }

    /// When the peer is taken for dead.
    pub(super) fn silent_at(&self) -> Time {
        self.received_at + self.interval * SILENT_INTERVALS_MAX
    }

    /// When the next heartbeat is due.
    pub(super) const fn heartbeat_at(&self) -> Option<Time> {
        self.heartbeat_at
    }

    /// A heartbeat leaves. The next is an interval after the one that was due, so that a fleet
    /// which came at different moments stays apart, unless a pause has swallowed some.
    pub(super) fn on_heartbeat(&mut self, now: Time) {
        if let Some(due) = self.heartbeat_at {
            let next = due + self.interval;
            self.heartbeat_at = Some(if next > now {
                next
            } else {
                now + self.interval
            });
        }
    }

    /// The answer to a heartbeat that was sent at `sent`.
    pub(super) fn on_answer(&mut self, sent: Time, now: Time) {
        if sent <= now {
            self.round_trip = Some(now.since(sent));
        }
    }

    /// The peer has measured the round trip.
    pub(super) const fn on_told(&mut self, round_trip: Duration) {
        self.round_trip = Some(round_trip);
    }

    /// The newest round trip.
    pub(super) const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }
}
