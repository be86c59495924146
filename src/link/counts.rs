//! Where a link is and what it has carried, as plain integers: they cost the hot path an addition each, and whoever
//! watches many links adds them up when asked (`platform::metrics`). Nothing here decides anything.

use super::{Link, Phase, Side};
use crate::wire::messages::ErrorCode;

/// What a message went as. A received one is put where this side's own rules would have put it, as
/// lanes are not on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficLane {
    /// Heartbeats, acknowledgements, credit, resets, and what belongs to no stream.
    Control,
    /// Heads and ends of streams, which need no credit.
    Free,
    /// Streams that somebody waits for.
    Interactive,
    /// Streams that are long.
    Bulk,
}

impl TrafficLane {
    /// Every lane, the first that goes first.
    pub const ALL: [Self; 4] = [Self::Control, Self::Free, Self::Interactive, Self::Bulk];

    /// The stable word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Free => "free",
            Self::Interactive => "interactive",
            Self::Bulk => "bulk",
        }
    }
}

/// Messages and what they took on the wire, without the WebSocket's framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// How many.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Volume {
    const fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

/// What a link has carried since its beginning, or many together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    sent: [Volume; TrafficLane::ALL.len()],
    received: [Volume; TrafficLane::ALL.len()],
    opened: u64,
    /// As few as there are codes in the schema, each twice at most.
    resets: Vec<Resets>,
}

/// How often streams were reset for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resets {
    /// Whether the peer has done it.
    pub by_peer: bool,
    /// The code's name in the schema; `unknown` for all that it does not name.
    pub code: &'static str,
    /// How often.
    pub count: u64,
}

impl Traffic {
    /// What was sent in a lane.
    pub const fn sent(&self, lane: TrafficLane) -> Volume {
        self.sent[lane as usize]
    }

    /// What was received in a lane.
    pub const fn received(&self, lane: TrafficLane) -> Volume {
        self.received[lane as usize]
    }

    /// Streams that were opened.
    pub const fn opened(&self) -> u64 {
        self.opened
    }

    /// Streams that were reset, by whom and why.
    pub fn resets(&self) -> &[Resets] {
        &self.resets
    }

    /// Adds what another link has carried.
    pub fn add(&mut self, other: &Self) {
        for (sum, volume) in self.sent.iter_mut().zip(other.sent) {
            sum.add(volume);
        }
        for (sum, volume) in self.received.iter_mut().zip(other.received) {
            sum.add(volume);
        }
        self.opened += other.opened;
        for &Resets {
            by_peer,
            code,
            count,
        } in &other.resets
        {
            self.count_resets(by_peer, code, count);
        }
    }

    pub(super) const fn count_sent(&mut self, lane: TrafficLane, bytes: u64) {
        self.sent[lane as usize].add(Volume { messages: 1, bytes });
    }

    pub(super) const fn count_received(&mut self, lane: TrafficLane, bytes: u64) {
        self.received[lane as usize].add(Volume { messages: 1, bytes });
    }

    pub(super) const fn count_opened(&mut self) {
        self.opened += 1;
    }

    pub(super) fn count_reset(&mut self, by_peer: bool, code: ErrorCode) {
        // A peer may make up as many numbers as it likes.
        self.count_resets(by_peer, code.name().unwrap_or("unknown"), 1);
    }

    fn count_resets(&mut self, by_peer: bool, code: &'static str, count: u64) {
        let known = self
            .resets
            .iter_mut()
            .find(|resets| resets.by_peer == by_peer && resets.code == code);
        match known {
            Some(resets) => resets.count += count,
            None => self.resets.push(Resets {
                by_peer,
                code,
                count,
            }),
        }
    }
}

/// How far a connection is, for whoever watches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The first message is awaited.
    Greeting,
    /// The program has not decided on it yet.
    Deciding,
    /// Everything may flow.
    Open,
    /// What is open may finish, and nothing new begins.
    Draining,
    /// Over: what is queued may leave.
    Closed,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 5] = [
        Self::Greeting,
        Self::Deciding,
        Self::Open,
        Self::Draining,
        Self::Closed,
    ];

    /// The stable word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Deciding => "deciding",
            Self::Open => "open",
            Self::Draining => "draining",
            Self::Closed => "closed",
        }
    }
}

impl<S: Side> Link<S> {
    /// How long the message was on the wire that was handled last. For the counts alone.
    pub const fn count_received(&mut self, bytes: u64) {
        self.traffic.count_received(self.receiving, bytes);
    }

    /// How long the message was on the wire that was transmitted last. For the counts alone.
    pub const fn count_sent(&mut self, bytes: u64) {
        self.traffic.count_sent(self.sending, bytes);
    }

    /// What was carried until now.
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Streams that are open on the wire.
    pub fn open_streams(&self) -> usize {
        self.streams.open_count()
    }

    /// How far the connection is.
    pub fn stage(&self) -> Stage {
        match self.phase {
            Phase::Greeting { .. } => Stage::Greeting,
            Phase::Deciding => Stage::Deciding,
            Phase::Open if S::is_draining(&self.state) => Stage::Draining,
            Phase::Open => Stage::Open,
            Phase::Closed => Stage::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_add_up_and_codes_that_nobody_knows_are_one() {
        let mut one = Traffic::default();
        one.count_sent(TrafficLane::Bulk, 100);
        one.count_opened();
        one.count_reset(true, ErrorCode::Cancelled);
        let mut other = one.clone();
        other.count_received(TrafficLane::Control, 7);
        for number in 1000..2000 {
            other.count_reset(true, ErrorCode::from_number(number));
        }
        one.add(&other);
        let volume = |messages, bytes| Volume { messages, bytes };
        assert_eq!(one.sent(TrafficLane::Bulk), volume(2, 200));
        assert_eq!(one.sent(TrafficLane::Control), volume(0, 0));
        assert_eq!(one.received(TrafficLane::Control), volume(1, 7));
        assert_eq!(one.opened(), 2);
        let resets: Vec<_> = one.resets().iter().map(|r| (r.code, r.count)).collect();
        assert_eq!(resets, [("cancelled", 2), ("unknown", 1000)]);
    }
}
