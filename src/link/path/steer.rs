//! The cap on what is in flight, from what each round trip showed.
//!
//! It doubles while the rate follows, and then goes by the delay. A delay has other causes than our
//! own queue: radio, lost segments, a kernel that paces (BBR). So from time to time the cap goes down
//! for a moment, to see the delay without a queue of ours, and more often up, to see whether the path
//! gives more; where it does, the delay until then was no queue, and is allowed from then on.
//!
//! The figures here are of `cargo bench --bench tunnel -- shaped`.

use super::{MinRtt, Sample};
use crate::link::time::Time;
use std::time::Duration;

/// In flight at the start: enough for a page's small files at once.
const CAP_START: u64 = 160 << 10;
/// In flight at the least: three pieces, so that one can be on the way while one is read.
pub(super) const CAP_MIN: u64 = 24 << 10;
/// In flight at the most; the receiver's session window ends earlier.
pub(super) const CAP_MAX: u64 = 64 << 20;
/// The queueing delay that is aimed at. At 100 Mbit/s and 20 ms it keeps a small request beside a
/// download within 1.15 times an idle path's at 97 to 99 % of raw TCP's goodput, over reno and over
/// BBR; 3 ms is 1.18 times.
const QUEUE_DELAY_US: f64 = 2500.0;
/// On long paths the aim is this share of the round trip, as 2.5 ms would be noise there.
const QUEUE_DELAY_SHARE: f64 = 0.1;
/// Under this share of the aim the path is not full, and the cap grows by a step.
const EMPTY_SHARE: f64 = 0.3;
/// A step up.
const STEP: f64 = 1.25;
/// Rounds without growth that end the start; where there is a queue already, one.
const PLATEAU_ROUNDS: u32 = 3;
/// The cap is never steered under this share of rate times round trip.
const FLOOR_SHARE: f64 = 0.95;
/// How often the cap goes down for a moment.
const DIP_EVERY: Duration = Duration::from_secs(3);
/// How far at the least; further where that would not empty the queue that is aimed at. Half of the
/// cap, every time, would take 1 % of the goodput at 20 ms.
const DIP_SHARE: f64 = 0.75;
/// How long, beside two round trips.
const DIP_US: f64 = 20_000.0;
/// How often the cap goes up for two rounds. At 20 Mbit/s and 40 ms with 1 % loss, over BBR, a
/// download makes 0.7 of raw TCP's goodput with it; once a second made 0.5.
const RAISE_EVERY: Duration = Duration::from_millis(400);
/// What the rate must gain by a step for the step to stay.
const RAISE_GAIN: f64 = 1.1;
/// What is left of the delay that is allowed beside the queue, with each step that gained nothing.
const ALLOWED_DECAY: f64 = 0.8;

/// What a round trip showed. Times in microseconds, rates in bytes a microsecond.
#[derive(Debug)]
pub(super) struct Seen {
    /// The mean over the round.
    pub(super) rtt_us: f64,
    /// The least of late.
    pub(super) min_rtt_us: f64,
    /// The greatest in the round; nothing where the sender had little to send.
    pub(super) rate: f64,
    /// The greatest of late.
    pub(super) best_rate: f64,
    /// Bytes in flight at the most.
    pub(super) in_flight: u64,
    /// The cap held something back.
    pub(super) is_limited: bool,
}

impl Seen {
    fn queue_us(&self) -> f64 {
        self.rtt_us - self.min_rtt_us
    }
}

/// The cap, and how it goes on.
#[derive(Debug)]
pub(super) struct Steer {
    cap: u64,
    phase: Phase,
    /// Delay that is no queue of ours, as a raise has shown.
    allowed_us: f64,
    raised_at: Time,
    dipped_at: Time,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// The cap doubles while the rate follows.
    Start {
        best_rate: f64,
        plateau: u32,
        queued: u32,
    },
    /// The cap follows the delay.
    Follow,
    /// The cap is a step up; its first round still tells of the time before.
    Raise {
        from: u64,
        rate: f64,
        queue_us: f64,
        is_second: bool,
    },
    /// The cap is down to this share for a moment.
    Dip {
        until: Time,
        share: f64,
        least: MinRtt,
    },
    /// The round that tells of the phase before.
    Settle,
}

impl Steer {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            cap: CAP_START,
            phase: Phase::Start {
                best_rate: 0.0,
                plateau: 0,
                queued: 0,
            },
            allowed_us: 0.0,
            raised_at: now,
            dipped_at: now,
        }
    }

    /// Bytes that may be in flight, but for a moment.
    pub(super) const fn cap(&self) -> u64 {
        self.cap
    }

    /// Bytes that may be in flight now.
    pub(super) fn cap_at(&self, now: Time) -> u64 {
        match self.phase {
            Phase::Dip { until, share, .. } if now < until => {
                ((self.cap as f64 * share) as u64).max(CAP_MIN)
            }
            _ => self.cap,
        }
    }

    #[cfg(test)]
    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Takes note of a sample.
    pub(super) fn add(&mut self, sample: &Sample) {
        if let Phase::Dip { least, .. } = &mut self.phase {
            least.add(sample);
        }
    }

    /// Draws the conclusion from a round. The least round trips without a queue of ours, where a dip
    /// has ended with it.
    pub(super) fn end_round(&mut self, seen: &Seen, now: Time) -> Option<MinRtt> {
        let target_us = QUEUE_DELAY_US.max(QUEUE_DELAY_SHARE * seen.min_rtt_us) + self.allowed_us;
        match self.phase {
            Phase::Start {
                best_rate,
                plateau,
                queued,
            } => self.start(seen, target_us, best_rate, plateau, queued),
            Phase::Follow => self.follow(seen, target_us, now),
            Phase::Raise {
                from,
                rate,
                queue_us,
                is_second: false,
            } => {
                self.phase = Phase::Raise {
                    from,
                    rate,
                    queue_us,
                    is_second: true,
                };
            }
            Phase::Raise { rate, queue_us, .. } if seen.rate > rate * RAISE_GAIN => {
                // What delay there was before was none of ours: there was more to be had.
                self.allowed_us = self.allowed_us.max(queue_us.min(seen.min_rtt_us));
                self.raise(seen, seen.rate);
            }
            Phase::Raise { from, .. } => {
                self.allowed_us *= ALLOWED_DECAY;
                self.raised_at = now;
                self.cap = from;
                self.phase = Phase::Settle;
            }
            Phase::Dip { until, least, .. } => {
                if now >= until {
                    self.phase = Phase::Settle;
                    return Some(least);
                }
            }
            Phase::Settle => self.phase = Phase::Follow,
        }
        None
    }

    fn start(&mut self, seen: &Seen, target_us: f64, best_rate: f64, plateau: u32, queued: u32) {
        // A socket or credit may hold more back than the cap does; a queue shows all the same. The
        // kernel's own slow start shows as one too, and ends while the rate still grows.
        // A few short messages that were late are no sign of it.
        let is_used = seen.is_limited || seen.in_flight >= CAP_MIN;
        let queued = if is_used && seen.queue_us() > 2.0 * target_us {
            queued + 1
        } else {
            0
        };
        let grew = seen.rate > best_rate * STEP;
        let counts = seen.is_limited || queued >= 2;
        let (best_rate, plateau) = match (counts, grew) {
            (false, _) => (best_rate, plateau),
            (true, true) => (seen.rate, 0),
            (true, false) => (best_rate, plateau + 1),
        };
        if plateau >= PLATEAU_ROUNDS || (plateau >= 1 && queued >= 2) {
            self.phase = Phase::Follow;
            self.set_cap(seen.best_rate * (seen.min_rtt_us + target_us));
            return;
        }
        if counts && queued == 0 {
            self.set_cap(self.cap as f64 * 2.0);
        }
        self.phase = Phase::Start {
            best_rate,
            plateau,
            queued,
        };
    }

    fn follow(&mut self, seen: &Seen, target_us: f64, now: Time) {
        if seen.is_limited && now.since(self.dipped_at) > DIP_EVERY {
            let micros = 2.0 * seen.min_rtt_us + DIP_US;
            self.dipped_at = now;
            self.phase = Phase::Dip {
                until: now + Duration::from_micros(micros as u64),
                // Short paths have more of it in the queue that is aimed at than on the way.
                share: DIP_SHARE.min(0.9 * seen.min_rtt_us / (seen.min_rtt_us + target_us)),
                least: MinRtt::UNKNOWN,
            };
            return;
        }
        if seen.is_limited && now.since(self.raised_at) > RAISE_EVERY {
            // A round in which little came tells little.
            self.raise(seen, seen.rate.max(seen.best_rate * 0.8));
            return;
        }
        let factor = if seen.queue_us() < target_us * EMPTY_SHARE {
            STEP
        } else {
            let ratio = (seen.min_rtt_us + target_us) / seen.rtt_us;
            1.0 + (ratio.clamp(0.7, 1.5) - 1.0) / 2.0
        };
        // A cap that was not used has neither caused the delay nor been too small.
        if seen.is_limited || (factor < 1.0 && seen.in_flight >= self.cap / 2) {
            let floor = FLOOR_SHARE * seen.best_rate * seen.min_rtt_us;
            self.set_cap((self.cap as f64 * factor).max(floor));
        }
    }

    fn raise(&mut self, seen: &Seen, rate: f64) {
        self.phase = Phase::Raise {
            from: self.cap,
            rate,
            queue_us: seen.queue_us(),
            is_second: false,
        };
        self.set_cap(self.cap as f64 * STEP);
    }

    fn set_cap(&mut self, cap: f64) {
        self.cap = (cap as u64).clamp(CAP_MIN, CAP_MAX);
    }
}
