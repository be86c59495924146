//! What goes out next: control, then acknowledgements, then the lanes of streams.

use super::{
    Control, Link, Phase, Side, StreamError, StreamKey, Time, TrafficLane, WORTH_BYTES,
    schedule::{Gates, Lane, Turn},
    streams::{Head, Piece, Stream},
};
use crate::{
    ids::StreamId,
    wire::messages::{Ack, ErrorCode, StreamCredit, StreamData, StreamReset, StreamStop},
};

/// What interactive streams may have in flight beyond the path's cap, which bulk has filled.
pub(super) const SLACK: u64 = 64 << 10;

impl<S: Side> Link<S> {
    /// The next message to send. Ask when the socket can take more, and send it before asking
    /// again: what waits here can still be overtaken by what matters more.
    pub fn poll_transmit(&mut self, now: Time) -> Option<S::Send> {
        self.sending = TrafficLane::Control;
        if self.phase == Phase::Open
            && let Some(message) = S::urgent(self, now)
        {
            return Some(message);
        }
        if let Some(Control { message, counted }) = self.control.pop_front() {
            self.sent_messages += u64::from(counted);
            return Some(message);
        }
        if self.phase != Phase::Open {
            return None;
        }
        if self.whole_only {
            self.drop_stream_control();
            return self.next_piece(now);
        }
        if self.arrivals.due_at().is_some_and(|due| now >= due) {
            return Some(self.take_ack(now));
        }
        let message = self
            .next_stream_control(now)
            .or_else(|| self.next_piece(now));
        if message.is_some() {
            self.sent_messages += 1;
        }
        message
    }

    fn take_ack(&mut self, now: Time) -> S::Send {
        let delay = self.arrivals.take(now);
        if self.window.wants_grant() {
            self.window.grant(u64::MAX);
        }
        S::Send::from(Ack {
            messages: self.arrivals.messages(),
            bytes: self.window.received(),
            delay_us: u32::try_from(delay.as_micros()).unwrap_or(u32::MAX),
            max_bytes: self.window.granted(),
        })
    }

    fn next_stream_control(&mut self, now: Time) -> Option<S::Send> {
        while let Some(&key) = self.stream_control.front() {
            self.end_unannounced(key);
            let growth_max = self.growth_max(now);
            let mut reset = None;
            let message = self.with_stream(key, |stream| {
                Self::control_of(stream, growth_max, &mut reset)
            });
            let message = message.flatten();
            if let Some(code) = reset {
                self.traffic.count_reset(false, code);
            }
            if message.is_some() {
                self.settle(key);
                return message;
            }
            self.stream_control.pop_front();
            if let Some(stream) = self.streams.get(key) {
                stream.control = false;
            }
            self.streams.settle(key);
        }
        None
    }

    /// A peer that knows no streams is told of no reset.
    fn drop_stream_control(&mut self) {
        while let Some(key) = self.stream_control.pop_front() {
            self.end_unannounced(key);
            if let Some(stream) = self.streams.get(key) {
                stream.control = false;
            }
            self.streams.settle(key);
        }
    }

    /// A stream that was reset before its opening was sent ends here: the peer knows nothing of it,
    /// and is to hear nothing of it.
    fn end_unannounced(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get(key)
            && !stream.send.is_announced()
            && let Some((code, message, _)) = stream.send.take_reset()
        {
            self.with_recv(key, |recv, _| {
                recv.fail(StreamError::Reset { code, message });
            });
            self.touch(key);
            self.settle(key);
        }
    }

    /// What is due of a stream's control; where that is a reset, its code as well.
    fn control_of(
        stream: &mut Stream<S::Head>,
        growth_max: u64,
        reset: &mut Option<ErrorCode>,
    ) -> Option<S::Send> {
        if !stream.send.is_announced() {
            // A stop goes once the stream is open.
            return None;
        }
        let id = || stream.id.clone();
        if let Some((code, message, final_offset)) = stream.send.take_reset() {
            *reset = Some(code);
            return Some(S::Send::from(StreamReset {
                id: id(),
                code,
                final_offset,
                message,
            }));
        }
        if let Some(code) = stream.recv.take_stop() {
            return Some(S::Send::from(StreamStop { id: id(), code }));
        }
        if !stream.recv.wants_grant() {
            return None;
        }
        let max_offset = stream.recv.grant(growth_max)?;
        Some(S::Send::from(StreamCredit {
            id: id(),
            max_offset,
        }))
    }

    /// The next head or piece of a body, as the lanes have it.
    fn next_piece(&mut self, now: Time) -> Option<S::Send> {
        let mut gates = Gates {
            interactive: true,
            bulk: true,
        };
        loop {
            let Some(turn) = self.schedule.pop(gates) else {
                if self.schedule.is_empty() {
                    self.path.on_idle();
                }
                return None;
            };
            let Turn { lane, key, due, .. } = turn;
            let Some(stream) = self.streams.get(key) else {
                continue;
            };
            stream.scheduled = false;
            if !stream.send.is_ready() {
                self.streams.settle(key);
                continue;
            }
            if lane == Lane::Interactive && !stream.send.is_interactive(now) {
                self.want_schedule(key, now);
                continue;
            }
            let slack = if lane == Lane::Bulk { 0 } else { SLACK };
            // Bulk whose share is due goes all the same: heads, which nothing holds, may have filled
            // the path.
            let held_by_path = !self.whole_only && !due && self.path.room(slack, now) == 0;
            let held = held_by_path || self.allowance.left() == 0;
            if held && !stream.send.is_free() {
                if held_by_path {
                    self.path.on_limited();
                }
                stream.scheduled = true;
                self.schedule.put_back(turn);
                match lane {
                    Lane::Free => return None,
                    Lane::Interactive => gates.interactive = false,
                    Lane::Bulk => gates.bulk = false,
                }
                continue;
            }
            let id = stream.id.clone();
            let left = if held { 0 } else { self.allowance.left() };
            let queued = stream.send.queued();
            let Some(piece) = stream.send.next(left, self.path.piece_max()) else {
                continue;
            };
            self.sending = match lane {
                Lane::Free => TrafficLane::Free,
                Lane::Interactive => TrafficLane::Interactive,
                Lane::Bulk => TrafficLane::Bulk,
            };
            // A body that a head had to leave behind has joined the queue.
            self.queued = self.queued + stream.send.queued() - queued;
            if self.whole_only && stream.recv.is_stopped() {
                let code = ErrorCode::Cancelled;
                self.with_recv(key, |recv, _| recv.fail(StreamError::Stopped { code }));
            } else if stream.recv.wants_stop() {
                self.want_control(key);
            }
            self.want_schedule(key, now);
            // The program may have waited for room.
            self.touch(key);
            self.settle(key);
            return Some(self.outgoing(id, piece, now));
        }
    }

    /// A device that is away is no fault of the agent's: a reset of each answer is due, and a stop of
    /// each body that follows.
    fn pay_for_opening(&mut self, head: &mut S::Head) {
        if S::Head::OPENS {
            self.budget.earn();
            if *head.body_follows() {
                self.budget.earn();
            }
        }
    }

    fn outgoing(&mut self, id: StreamId, piece: Piece<S::Head>, now: Time) -> S::Send {
        let (bytes, message) = match piece {
            Piece::Head { mut head, bytes } => {
                self.pay_for_opening(&mut head);
                (bytes, head.into())
            }
            Piece::Data {
                offset,
                data,
                fin,
                trailers,
            } => (
                data.len() as u64,
                StreamData {
                    id,
                    offset,
                    data,
                    fin,
                    trailers,
                }
                .into(),
            ),
        };
        if !self.whole_only {
            self.allowance.spend(bytes);
            self.path.on_send(bytes, now);
            if bytes >= WORTH_BYTES {
                self.budget.earn();
            }
        }
        message
    }
}
