//! How much may be on its way at once, so that a long path is filled and a queue is not.
//!
//! Credit is for the receiver's memory; this is for everybody else's latency: bytes that wait in a
//! queue along the path are bytes that a keystroke waits behind. The sender watches how long its
//! bytes take to be acknowledged and steers what is in flight towards a queueing delay of a few
//! milliseconds. Delivery rate and its windowed maximum are reckoned as in BBR
//! (draft-cardwell-iccrg-bbr-congestion-control, sections 4.1 and 4.2); the loss and the pacing
//! underneath are TCP's affair.

use super::time::Time;
use crate::limits::DATA_BYTES_MAX;
use std::{collections::VecDeque, time::Duration};

/// In flight at the start: enough for a page's small files at once.
const CAP_START: u64 = 160 << 10;
/// In flight at the least: two messages of data, so that one can be on the way while one is read.
const CAP_MIN: u64 = 64 << 10;
/// Pieces that fill the path, where it takes small ones: one is a sixteenth of a round trip.
const PIECES_IN_FLIGHT: u64 = 16;
/// The shortest piece of a stream that has much to send.
const PIECE_BYTES_MIN: usize = 8 << 10;
/// In flight at the most; the receiver's session window ends earlier.
const CAP_MAX: u64 = 64 << 20;
/// The queueing delay that is aimed at, beside what a message's own bytes take. In simulation at
/// 100 Mbit/s and 20 ms it costs 2 % of the goodput and keeps a small request within 1.17 times an
/// idle path's; 3 ms is 1.21 times.
const QUEUE_DELAY_US: f64 = 2500.0;
/// On long paths the aim is this share of the round trip, as 3 ms would be noise there.
const QUEUE_DELAY_SHARE: f64 = 0.1;
/// How often the cap is halved for a moment, to see the round trip without our own queue.
const PROBE_EVERY: Duration = Duration::from_secs(3);
/// Rounds over which the greatest delivery rate counts.
const RATE_ROUNDS: usize = 10;
/// Rounds without growth that end the start.
const PLATEAU_ROUNDS: u32 = 3;
/// The cap is never steered under this share of rate times round trip.
const FLOOR_SHARE: f64 = 0.85;

/// The sender's view of the path.
#[derive(Debug)]
pub(super) struct Path {
    phase: Phase,
    cap: u64,
    sent: u64,
    delivered: u64,
    delivered_at: Time,
    /// What was sent and is not acknowledged: one entry a message, so at most the cap's worth.
    flight: VecDeque<Sent>,
    /// Until this count is delivered, the sender had nothing more to send: the rate says little.
    idle_until: u64,
    min_rtt_us: f64,
    round: Round,
    rates: [f64; RATE_ROUNDS],
    probe: Option<Probe>,
    probed_at: Time,
}

#[derive(Debug, PartialEq)]
enum Phase {
    /// The cap doubles while the rate follows.
    Start {
        best_rate: f64,
        plateau: u32,
        queued: u32,
    },
    /// The cap follows the delay.
    Steer,
}

/// A message in flight, with what was known when it left.
#[derive(Debug)]
struct Sent {
    end: u64,
    bytes: u64,
    at: Time,
    delivered: u64,
    delivered_at: Time,
}

/// One round trip's worth of acknowledgements.
#[derive(Debug, Default)]
struct Round {
    number: usize,
    /// It ends when this count is delivered.
    end: u64,
    rtt_sum_us: f64,
    rtt_count: u32,
    /// Of the messages that were timed.
    bytes_sum: u64,
    rate: f64,
    /// The cap held something back.
    limited: bool,
}

/// A moment of half the cap. The least round trip in it is the path's own, and takes the place of
/// what was the least before: a path may have become longer.
#[derive(Debug)]
struct Probe {
    until: Time,
    least_us: f64,
}

impl Path {
    pub(super) fn new(now: Time) -> Self {
        Self {
            phase: Phase::Start {
                best_rate: 0.0,
                plateau: 0,
                queued: 0,
            },
            cap: CAP_START,
            sent: 0,
            delivered: 0,
            delivered_at: now,
            flight: VecDeque::new(),
            idle_until: 0,
            min_rtt_us: f64::INFINITY,
            round: Round::default(),
            rates: [0.0; RATE_ROUNDS],
            probe: None,
            probed_at: now,
        }
    }

    /// Bytes that may be sent now without passing the cap.
    pub(super) fn room(&self, now: Time) -> u64 {
        let cap = match &self.probe {
            Some(probe) if now < probe.until => (self.cap / 2).max(CAP_MIN),
            _ => self.cap,
        };
        cap.saturating_sub(self.in_flight())
    }

    /// Bytes that may be in flight.
    pub(super) const fn cap(&self) -> u64 {
        self.cap
    }

    /// The most bytes for one message: less on a slow path, where everything else waits behind it.
    pub(super) fn piece_max(&self) -> usize {
        let share = usize::try_from(self.cap / PIECES_IN_FLIGHT).unwrap_or(DATA_BYTES_MAX);
        share.clamp(PIECE_BYTES_MIN, DATA_BYTES_MAX)
    }

    /// Bytes that are sent and not acknowledged.
    pub(super) const fn in_flight(&self) -> u64 {
        self.sent - self.delivered
    }

    /// The least round trip that was seen of late.
    pub(super) fn min_rtt(&self) -> Option<Duration> {
        let micros = self.min_rtt_us;
        micros
            .is_finite()
            .then(|| Duration::from_micros(micros as u64))
    }

    /// Takes note of bytes that leave.
    pub(super) fn on_send(&mut self, bytes: u64, now: Time) {
        if bytes == 0 {
            return;
        }
        if self.flight.is_empty() {
            // After a pause the clock of the rate starts anew.
            self.delivered_at = now;
        }
        self.sent += bytes;
        self.flight.push_back(Sent {
            end: self.sent,
            bytes,
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
        });
    }

    /// Takes note that the cap, and nothing else, held something back.
    pub(super) const fn on_limited(&mut self) {
        self.round.limited = true;
    }

    /// Takes note that there is nothing more to send.
    pub(super) const fn on_idle(&mut self) {
        self.idle_until = self.sent;
    }

    /// Takes an acknowledgement of all bytes up to `delivered`, whose newest lay at the peer for
    /// `delay`. `false` where it acknowledges what was never sent.
    #[must_use]
    pub(super) fn on_ack(&mut self, delivered: u64, delay: Duration, now: Time) -> bool {
        if delivered > self.sent {
            return false;
        }
        if delivered <= self.delivered {
            return true;
        }
        self.delivered = delivered;
        self.delivered_at = now;
        let mut newest = None;
        while self
            .flight
            .front()
            .is_some_and(|sent| sent.end <= delivered)
        {
            newest = self.flight.pop_front();
        }
        let Some(newest) = newest else { return true };

        let rtt_us = now.since(newest.at).saturating_sub(delay).as_micros() as f64;
        let rtt_us = rtt_us.max(1.0);
        self.min_rtt_us = self.min_rtt_us.min(rtt_us);
        if let Some(probe) = &mut self.probe {
            probe.least_us = probe.least_us.min(rtt_us);
        }
        self.round.rtt_sum_us += rtt_us;
        self.round.rtt_count += 1;
        self.round.bytes_sum += newest.bytes;
        let elapsed_us = now.since(newest.delivered_at).as_micros() as f64;
        // Shorter than the least round trip is compression of acknowledgements, not a rate.
        if elapsed_us >= self.min_rtt_us {
            let rate = (delivered - newest.delivered) as f64 / elapsed_us;
            if newest.end > self.idle_until || rate > self.rate() {
                self.round.rate = self.round.rate.max(rate);
            }
        }
        if delivered >= self.round.end {
            self.end_round(now);
        }
        true
    }

    /// Bytes a microsecond: the greatest of the last rounds.
    fn rate(&self) -> f64 {
        self.rates.iter().copied().fold(self.round.rate, f64::max)
    }

    fn queue_target_us(&self) -> f64 {
        QUEUE_DELAY_US.max(QUEUE_DELAY_SHARE * self.min_rtt_us)
    }

    fn end_round(&mut self, now: Time) {
        let number = self.round.number + 1;
        let round = std::mem::replace(
            &mut self.round,
            Round {
                number,
                end: self.sent,
                ..Round::default()
            },
        );
        self.rates[round.number % RATE_ROUNDS] = round.rate;
        let target_us = self.queue_target_us();
        let mean_us = round.rtt_sum_us / f64::from(round.rtt_count.max(1));
        let rate = self.rate();
        // A message is acknowledged when the last of it has come. What its own bytes take is no
        // queue; where the rate is reckoned too low, this lets more through, and the rate rises.
        let own_us = if rate > 0.0 {
            round.bytes_sum as f64 / f64::from(round.rtt_count.max(1)) / rate
        } else {
            0.0
        };
        let target_us = target_us + own_us;
        let queue_us = mean_us - self.min_rtt_us;

        match &mut self.phase {
            Phase::Start {
                best_rate,
                plateau,
                queued,
            } => {
                // A socket or credit may hold more back than the cap does; a queue shows all the same.
                *queued = if queue_us > 2.0 * target_us {
                    *queued + 1
                } else {
                    0
                };
                if round.limited || *queued >= 2 {
                    if round.rate > *best_rate * 1.25 {
                        *best_rate = round.rate;
                        *plateau = 0;
                    } else {
                        *plateau += 1;
                    }
                    if *plateau >= PLATEAU_ROUNDS || *queued >= 2 {
                        self.phase = Phase::Steer;
                        self.set_cap(rate * (self.min_rtt_us + target_us));
                    } else {
                        self.set_cap(self.cap as f64 * 2.0);
                    }
                }
            }
            Phase::Steer => {
                let factor = if queue_us < target_us / 4.0 {
                    1.25
                } else {
                    let ratio = (self.min_rtt_us + target_us) / mean_us;
                    1.0 + (ratio.clamp(0.7, 1.5) - 1.0) / 2.0
                };
                if factor < 1.0 || round.limited {
                    let floor = FLOOR_SHARE * rate * self.min_rtt_us;
                    self.set_cap((self.cap as f64 * factor).max(floor));
                }
            }
        }
        self.probe_min_rtt(now);
    }

    fn probe_min_rtt(&mut self, now: Time) {
        if let Some(probe) = self.probe.take_if(|probe| now >= probe.until) {
            self.min_rtt_us = probe.least_us.min(self.min_rtt_us * 2.0);
        }
        if self.phase == Phase::Steer && now.since(self.probed_at) > PROBE_EVERY {
            let micros = 2.0 * self.min_rtt_us + 20_000.0;
            let until = now + Duration::from_micros(micros as u64);
            self.probe = Some(Probe {
                until,
                least_us: f64::INFINITY,
            });
            self.probed_at = now;
        }
    }

    fn set_cap(&mut self, cap: f64) {
        self.cap = (cap as u64).clamp(CAP_MIN, CAP_MAX);
    }
}

/// How many bytes arrive before they are acknowledged.
const ACK_BYTES: u64 = 32 << 10;
/// How long bytes lie here before they are acknowledged.
const ACK_DELAY: Duration = Duration::from_millis(5);
/// How long a message without bytes waits for one with: only the sender's memory waits for it.
const COUNT_DELAY: Duration = Duration::from_secs(1);

/// The receiver's side: what is to be acknowledged, and when.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    messages: u64,
    pending_bytes: u64,
    newest_at: Time,
    due_at: Option<Time>,
}

impl Arrivals {
    /// Takes note of a counted message with so many bytes of bodies.
    pub(super) fn on_message(&mut self, bytes: u64, now: Time) {
        self.messages += 1;
        self.pending_bytes += bytes;
        let delay = if self.pending_bytes >= ACK_BYTES {
            Duration::ZERO
        } else if bytes > 0 {
            ACK_DELAY
        } else {
            COUNT_DELAY
        };
        if bytes > 0 {
            self.newest_at = now;
        }
        let due_at = now + delay;
        self.due_at = Some(self.due_at.map_or(due_at, |at| at.min(due_at)));
    }

    /// Asks for an acknowledgement at once, because credit has grown.
    pub(super) fn expedite(&mut self, now: Time) {
        self.due_at = Some(now);
    }

    /// When the next acknowledgement is due.
    pub(super) const fn due_at(&self) -> Option<Time> {
        self.due_at
    }

    /// Counted messages that were taken in.
    pub(super) const fn messages(&self) -> u64 {
        self.messages
    }

    /// How long the newest bytes have been here; the acknowledgement of them is on its way.
    pub(super) fn take(&mut self, now: Time) -> Duration {
        self.due_at = None;
        self.pending_bytes = 0;
        now.since(self.newest_at)
    }
}
