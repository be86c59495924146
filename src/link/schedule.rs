//! Which stream sends next. Control goes before all of this (the link sees to it); here are the
//! lanes of streams: interactive before bulk, round robin inside a lane, and a share for bulk. What
//! needs no credit stands apart, so that it waits behind nothing that has none.

use super::streams::StreamKey;
use std::collections::VecDeque;

/// Other messages after which bulk has its turn: it keeps at least a tenth.
const RUN_MAX: u32 = 9;

/// A lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Heads and ends, which need no credit.
    Free,
    /// What somebody waits for.
    Interactive,
    /// What is long.
    Bulk,
}

/// Which lanes may send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gates {
    pub(super) interactive: bool,
    pub(super) bulk: bool,
}

/// A stream's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) lane: Lane,
    pub(super) key: StreamKey,
    /// Bulk has waited for its share.
    pub(super) due: bool,
    /// How long bulk had waited when the turn was given.
    run: u32,
}

/// The streams that have something to send, each in one lane.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    free: VecDeque<StreamKey>,
    interactive: VecDeque<StreamKey>,
    bulk: VecDeque<StreamKey>,
    /// Messages of other lanes since bulk last had its turn while it waited.
    run: u32,
    /// The free lane had the last turn that it and the interactive one both waited for.
    free_was_last: bool,
}

impl Schedule {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.free.is_empty() && self.interactive.is_empty() && self.bulk.is_empty()
    }

    /// Puts a stream at the end of a lane.
    pub(super) fn push(&mut self, lane: Lane, key: StreamKey) {
        self.queue(lane).push_back(key);
    }

    /// Puts back the stream whose turn it was, as it could not send.
    pub(super) fn put_back(&mut self, turn: Turn) {
        self.queue(turn.lane).push_front(turn.key);
        // Nothing was sent: bulk has waited no longer for it, and has not had its turn.
        self.run = turn.run;
    }

    /// Takes a stream out, wherever it waits. Rare: it was reset.
    pub(super) fn remove(&mut self, key: StreamKey) {
        for queue in [&mut self.free, &mut self.interactive, &mut self.bulk] {
            queue.retain(|&waiting| waiting != key);
        }
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes the next stream out of the lanes that may send.
    pub(super) fn pop(&mut self, gates: Gates) -> Option<Turn> {
        let free = !self.free.is_empty();
        let interactive = gates.interactive && !self.interactive.is_empty();
        let bulk = gates.bulk && !self.bulk.is_empty();
        let due = bulk && self.run >= RUN_MAX;
        let lane = match (free, interactive, bulk) {
            (_, _, true) if due => Lane::Bulk,
            (true, true, _) if self.free_was_last => Lane::Interactive,
            (true, ..) => Lane::Free,
            (_, true, _) => Lane::Interactive,
            (_, _, true) => Lane::Bulk,
            (false, false, false) => return None,
        };
        if free && interactive && lane != Lane::Bulk {
            self.free_was_last = lane == Lane::Free;
        }
        let run = self.run;
        self.run = if lane == Lane::Bulk || self.bulk.is_empty() {
            0
        } else {
            self.run.saturating_add(1)
        };
        let key = self.queue(lane).pop_front()?;
        Some(Turn {
            lane,
            key,
            due,
            run,
        })
    }

    fn queue(&mut self, lane: Lane) -> &mut VecDeque<StreamKey> {
        match lane {
            Lane::Free => &mut self.free,
            Lane::Interactive => &mut self.interactive,
            Lane::Bulk => &mut self.bulk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Gates = Gates {
        interactive: true,
        bulk: true,
    };

    fn lanes(schedule: &mut Schedule, gates: Gates, count: usize) -> Vec<Lane> {
        let turns = (0..count).filter_map(|_| schedule.pop(gates));
        turns.map(|turn| turn.lane).collect()
    }

    fn count(lanes: &[Lane], wanted: Lane) -> usize {
        lanes.iter().filter(|&&lane| lane == wanted).count()
    }

    #[test]
    fn interactive_goes_first_and_bulk_keeps_a_tenth() {
        let mut schedule = Schedule::default();
        for index in 0..100 {
            schedule.push(Lane::Interactive, StreamKey(index));
            schedule.push(Lane::Bulk, StreamKey(100 + index));
        }
        let first = lanes(&mut schedule, OPEN, 100);
        assert_eq!(count(&first, Lane::Bulk), 10);
        assert_eq!(first[0], Lane::Interactive);
    }

    #[test]
    fn heads_and_interactive_bytes_take_turns() {
        let mut schedule = Schedule::default();
        for index in 0..100 {
            schedule.push(Lane::Interactive, StreamKey(index));
            schedule.push(Lane::Free, StreamKey(100 + index));
            schedule.push(Lane::Bulk, StreamKey(200 + index));
        }
        let first = lanes(&mut schedule, OPEN, 100);
        assert_eq!(count(&first, Lane::Bulk), 10);
        assert_eq!(count(&first, Lane::Free), 45);
    }

    #[test]
    fn a_lane_that_may_not_send_is_passed_over() {
        let mut schedule = Schedule::default();
        schedule.push(Lane::Interactive, StreamKey(1));
        schedule.push(Lane::Bulk, StreamKey(2));
        schedule.push(Lane::Free, StreamKey(3));
        let shut = Gates {
            interactive: false,
            bulk: false,
        };
        assert_eq!(schedule.pop(shut).map(|turn| turn.lane), Some(Lane::Free));
        assert_eq!(schedule.pop(shut), None);
        assert_eq!(
            lanes(&mut schedule, OPEN, 9),
            [Lane::Interactive, Lane::Bulk]
        );
        assert!(schedule.is_empty());
    }

    #[test]
    fn bulk_that_could_not_send_is_due_when_it_can() {
        let mut schedule = Schedule::default();
        schedule.push(Lane::Bulk, StreamKey(0));
        for index in 1..100 {
            schedule.push(Lane::Interactive, StreamKey(index));
        }
        let shut = Gates {
            interactive: true,
            bulk: false,
        };
        assert_eq!(count(&lanes(&mut schedule, shut, 20), Lane::Bulk), 0);
        assert!(schedule.pop(OPEN).is_some_and(|turn| turn.due));
    }

    #[test]
    fn bulk_that_was_put_back_has_waited_on() {
        let mut schedule = Schedule::default();
        schedule.push(Lane::Bulk, StreamKey(0));
        for index in 1..=RUN_MAX as usize {
            schedule.push(Lane::Free, StreamKey(index));
            assert_eq!(schedule.pop(OPEN).map(|turn| turn.lane), Some(Lane::Free));
            if index < RUN_MAX as usize {
                let turn = schedule.pop(OPEN).unwrap();
                assert_eq!((turn.lane, turn.due), (Lane::Bulk, false));
                schedule.put_back(turn);
            }
        }
        assert!(schedule.pop(OPEN).is_some_and(|turn| turn.due));
    }

    #[test]
    fn a_stream_that_was_reset_waits_no_more() {
        let mut schedule = Schedule::default();
        schedule.push(Lane::Bulk, StreamKey(1));
        schedule.push(Lane::Bulk, StreamKey(2));
        schedule.remove(StreamKey(1));
        assert_eq!(schedule.pop(OPEN).map(|turn| turn.key), Some(StreamKey(2)));
    }
}
