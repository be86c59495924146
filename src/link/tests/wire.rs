//! One direction of a virtual network: a bottleneck with a rate and a queue, and a delay behind it.

use super::{Chance, Time};
use bytes::Bytes;
use std::{collections::VecDeque, time::Duration};

/// What a path is like, in each direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Bits a second; `None` where length takes no time.
    pub(super) rate: Option<u64>,
    /// One way.
    pub(super) delay: Duration,
    /// Bytes that the bottleneck holds. A sender whose bytes would pass that waits: its TCP has
    /// filled the queue and sends as it drains.
    pub(super) queue_bytes: u64,
    /// Up to so much more for each message, by chance; none overtakes another.
    pub(super) jitter: Duration,
}

impl Shape {
    /// No rate, that round trip.
    pub(super) const fn delay_only(round_trip: Duration) -> Self {
        Self {
            rate: None,
            delay: Duration::from_micros(round_trip.as_micros() as u64 / 2),
            queue_bytes: u64::MAX,
            jitter: Duration::ZERO,
        }
    }
}

/// What TLS, TCP and IP add to a message: a header each, and the headers of its packets.
fn on_the_wire(length: usize) -> u64 {
    let length = length as u64 + 31;
    length + length.div_ceil(1448) * 66
}

/// The direction.
#[derive(Debug)]
pub(super) struct Wire {
    shape: Shape,
    /// When the bottleneck has sent what it holds, in nanoseconds.
    free_at_ns: u64,
    /// Messages and when they arrive.
    flight: VecDeque<(Time, Bytes)>,
    last_arrives: Time,
    chance: Chance,
    /// Everything is swallowed.
    pub(super) cut: bool,
}

impl Wire {
    pub(super) const fn new(shape: Shape) -> Self {
        Self {
            shape,
            free_at_ns: 0,
            flight: VecDeque::new(),
            last_arrives: Time::from_micros(0),
            chance: Chance(1),
            cut: false,
        }
    }

    /// From when on another message may be sent.
    pub(super) fn ready_at(&self) -> Time {
        let Some(rate) = self.shape.rate else {
            return Time::default();
        };
        let queue_ns = self.shape.queue_bytes.saturating_mul(8_000_000_000) / rate;
        Time::from_micros(self.free_at_ns.saturating_sub(queue_ns).div_ceil(1000))
    }

    pub(super) fn send(&mut self, message: Bytes, now: Time) {
        if self.cut {
            return;
        }
        let now_ns = now.as_micros() * 1000;
        let taken_ns = self
            .shape
            .rate
            .map_or(0, |rate| on_the_wire(message.len()) * 8_000_000_000 / rate);
        self.free_at_ns = self.free_at_ns.max(now_ns) + taken_ns;
        let arrives = Time::from_micros(self.free_at_ns.div_ceil(1000)) + self.shape.delay;
        let jitter_us = self.shape.jitter.as_micros() as u64;
        let late = Duration::from_micros(self.chance.below(jitter_us + 1));
        let arrives = self.last_arrives.max(arrives + late);
        self.last_arrives = arrives;
        self.flight.push_back((arrives, message));
    }

    /// When the next message arrives.
    pub(super) fn arrives_at(&self) -> Option<Time> {
        self.flight.front().map(|(at, _)| *at)
    }

    pub(super) fn receive(&mut self, now: Time) -> Option<Bytes> {
        if self.arrives_at().is_some_and(|at| at <= now) {
            self.flight.pop_front().map(|(_, message)| message)
        } else {
            None
        }
    }

    pub(super) fn clear(&mut self) {
        self.flight.clear();
    }

    /// Messages on their way.
    pub(super) fn len(&self) -> usize {
        self.flight.len()
    }
}
