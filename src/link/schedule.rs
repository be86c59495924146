//! Which stream sends next. Control goes before all of this (the link sees to it); here are the two
//! lanes of streams: interactive before bulk, round robin inside a lane, and a share for bulk.

use super::streams::StreamKey;
use std::collections::VecDeque;

/// Interactive messages after which bulk has its turn: it keeps at least a tenth.
const INTERACTIVE_RUN_MAX: u32 = 9;

/// A lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// What somebody waits for.
    Interactive,
    /// What is long.
    Bulk,
}

/// The streams that have something to send, each in one lane.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    interactive: VecDeque<StreamKey>,
    bulk: VecDeque<StreamKey>,
    /// Interactive messages since bulk last had its turn while it waited.
    run: u32,
}

impl Schedule {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.interactive.is_empty() && self.bulk.is_empty()
    }

    /// Puts a stream at the end of a lane.
    pub(super) fn push(&mut self, lane: Lane, key: StreamKey) {
        self.queue(lane).push_back(key);
    }

    /// Puts back the stream that was taken, as it could not send.
    pub(super) fn put_back(&mut self, lane: Lane, key: StreamKey) {
        self.queue(lane).push_front(key);
    }

    /// Takes the next stream out of the lanes that may send.
    pub(super) fn pop(&mut self, interactive: bool, bulk: bool) -> Option<(Lane, StreamKey)> {
        let bulk_waits = bulk && !self.bulk.is_empty();
        let interactive_waits = interactive && !self.interactive.is_empty();
        let lane = match (interactive_waits, bulk_waits) {
            (false, false) => return None,
            (true, true) if self.run < INTERACTIVE_RUN_MAX => {
                self.run += 1;
                Lane::Interactive
            }
            (true, false) => Lane::Interactive,
            (_, true) => {
                self.run = 0;
                Lane::Bulk
            }
        };
        self.queue(lane).pop_front().map(|key| (lane, key))
    }

    fn queue(&mut self, lane: Lane) -> &mut VecDeque<StreamKey> {
        match lane {
            Lane::Interactive => &mut self.interactive,
            Lane::Bulk => &mut self.bulk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interactive_goes_first_and_bulk_keeps_a_tenth() {
        let mut schedule = Schedule::default();
        for index in 0..100 {
            schedule.push(Lane::Interactive, StreamKey(index));
        }
        for index in 100..200 {
            schedule.push(Lane::Bulk, StreamKey(index));
        }
        let first: Vec<_> = (0..100).filter_map(|_| schedule.pop(true, true)).collect();
        assert_eq!(
            first.iter().filter(|(lane, _)| *lane == Lane::Bulk).count(),
            10
        );
        assert_eq!(first[0].0, Lane::Interactive);
    }

    #[test]
    fn a_lane_that_may_not_send_is_passed_over() {
        let mut schedule = Schedule::default();
        schedule.push(Lane::Interactive, StreamKey(1));
        schedule.push(Lane::Bulk, StreamKey(2));
        assert_eq!(schedule.pop(false, true), Some((Lane::Bulk, StreamKey(2))));
        assert_eq!(schedule.pop(false, false), None);
        assert_eq!(
            schedule.pop(true, false),
            Some((Lane::Interactive, StreamKey(1)))
        );
    }
}
