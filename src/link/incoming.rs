//! What the peer says of streams: the same on both sides.

use super::{Link, Side, Time, TrafficLane, Violation};
use crate::{
    limits,
    wire::messages::{Ack, ErrorCode, StreamCredit, StreamData, StreamReset, StreamStop},
};
use std::time::Duration;

/// Credit raised by less than this is a cheap message.
const RAISE_BYTES_MIN: u64 = 4 << 10;
/// A piece shorter than this is tiny: it costs more to carry than it says.
const PIECE_BYTES_MIN: usize = 64;

impl<S: Side> Link<S> {
    /// A counted message of no stream. No credit holds it back, so there is a budget of them.
    pub(super) fn on_message(&mut self, now: Time) -> Result<(), Violation> {
        if !self.budget.spend_tiny(now) {
            return Err(Violation::new(ErrorCode::Abuse, "messages without end"));
        }
        self.on_arrival(0, now)
    }

    pub(super) fn on_stream_data(
        &mut self,
        message: StreamData,
        now: Time,
    ) -> Result<(), Violation> {
        match message.data.len() {
            // The end of a stream comes once.
            _ if message.fin => {}
            0 => self.cheap(now)?,
            1..PIECE_BYTES_MIN if !self.budget.spend_tiny(now) => {
                return Err(Violation::new(ErrorCode::Abuse, "tiny pieces without end"));
            }
            _ => {}
        }
        let key = self.find(&message.id)?;
        let thrown_away = self.streams.peek(key).is_some_and(|s| s.recv.is_stopped());
        let length = message.data.len() as u64;
        let Some((lane, bytes)) = self.with_recv(key, |recv, kept| {
            let lane = match length {
                0 => TrafficLane::Free,
                _ if recv.is_interactive(length, now) => TrafficLane::Interactive,
                _ => TrafficLane::Bulk,
            };
            (lane, recv.data(message, kept, now))
        }) else {
            return Ok(());
        };
        self.receiving = lane;
        let bytes = bytes?;
        self.on_arrival(bytes, now)?;
        if thrown_away {
            self.on_consumed(bytes, now);
        }
        self.touch(key);
        self.streams.settle(key);
        Ok(())
    }

    pub(super) fn on_stream_credit(
        &mut self,
        message: &StreamCredit,
        now: Time,
    ) -> Result<(), Violation> {
        self.on_arrival(0, now)?;
        // Credit for a direction that has ended meanwhile crosses its end on the way.
        let key = self.streams.find(&message.id);
        let (unused, raised) = key
            .and_then(|key| self.streams.get(key))
            .map_or((0, 0), |stream| {
                let unused = stream.send.credit_left();
                (unused, stream.send.raise(message.max_offset))
            });
        if let Some(key) = key {
            self.want_schedule(key, now);
        }
        // Where much is unused, what was sent has paid for news of more.
        if raised < RAISE_BYTES_MIN || unused >= limits::STREAM_CREDIT_INITIAL {
            self.cheap(now)?;
        }
        Ok(())
    }

    pub(super) fn on_stream_reset(
        &mut self,
        message: StreamReset,
        now: Time,
    ) -> Result<(), Violation> {
        self.cheap(now)?;
        self.on_arrival(0, now)?;
        let key = self.find(&message.id)?;
        self.traffic.count_reset(true, message.code);
        let thrown_away = self.with_recv(key, |recv, _| {
            recv.reset(message.code, message.message, message.final_offset)?;
            Ok::<_, Violation>(recv.discard())
        });
        self.on_consumed(thrown_away.unwrap_or(Ok(0))?, now);
        self.touch(key);
        self.settle(key);
        Ok(())
    }

    pub(super) fn on_stream_stop(
        &mut self,
        message: &StreamStop,
        now: Time,
    ) -> Result<(), Violation> {
        self.cheap(now)?;
        self.on_arrival(0, now)?;
        let Some(key) = self.streams.find(&message.id) else {
            return Ok(());
        };
        if self.with_send(key, |send| send.stop(message.code)) == Some(true) {
            self.want_control(key);
            self.touch(key);
        }
        Ok(())
    }

    pub(super) fn on_ack(&mut self, message: &Ack, now: Time) -> Result<(), Violation> {
        let delay = Duration::from_micros(u64::from(message.delay_us));
        let in_flight = self.path.in_flight();
        if message.messages > self.sent_messages || !self.path.on_ack(message.bytes, delay, now) {
            return Err(Violation::new(
                ErrorCode::UnexpectedMessage,
                "an acknowledgement of what was never sent",
            ));
        }
        let news = message.messages > self.acked_messages || self.path.in_flight() < in_flight;
        self.acked_messages = self.acked_messages.max(message.messages);
        let unused = self.allowance.left() >= limits::SESSION_CREDIT_INITIAL;
        let raised = self.allowance.raise(message.max_bytes) >= RAISE_BYTES_MIN;
        if !news && (unused || !raised) {
            self.cheap(now)?;
        }
        Ok(())
    }
}
