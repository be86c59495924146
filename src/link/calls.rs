//! What the program does with streams. A key that is no longer good is answered as a lost stream.

use super::{
    Link, Received, Side, StreamError, StreamKey, Time,
    streams::{Head, SendHalf},
};
use crate::{
    limits,
    wire::{
        fields::FieldLines,
        messages::{ErrorCode, HttpResponse},
    },
};
use bytes::Bytes;

impl<S: Side> Link<S> {
    /// How many messages of no stream wait to be sent.
    pub fn waiting_messages(&self) -> usize {
        self.control.len()
    }

    /// Queues the head of the direction that this side sends. Its id is set here.
    pub fn send_head(
        &mut self,
        key: StreamKey,
        mut head: S::Head,
        now: Time,
    ) -> Result<(), StreamError> {
        let id = self.streams.peek(key).map(|stream| stream.id.clone());
        head.set_id(id.ok_or(StreamError::ConnectionLost)?);
        let queued = self.with_send(key, |send| send.head(head));
        queued.ok_or(StreamError::ConnectionLost)??;
        self.want_schedule(key, now);
        Ok(())
    }

    /// Whether the stream takes another piece now.
    pub fn has_room(&self, key: StreamKey) -> Result<bool, StreamError> {
        let stream = self.streams.peek(key).ok_or(StreamError::ConnectionLost)?;
        let send = &stream.send;
        // Where all streams together hold much, each may hold one piece: it is told of room when
        // that has left.
        let fits = self.queued < limits::SESSION_QUEUE_BYTES_MAX
            || send.queued() == 0
            || send.is_whole_only();
        Ok(send.has_room()? && fits)
    }

    /// Queues bytes. Ask [`Self::has_room`] first: what is given here is kept, however much it is,
    /// unless the peer takes whole bodies only and this one is too long, or all of them are: then
    /// the stream has failed, in both directions.
    pub fn send_data(&mut self, key: StreamKey, data: Bytes, now: Time) -> Result<(), StreamError> {
        let full = self.queued + data.len() > limits::SESSION_QUEUE_BYTES_MAX;
        let queued = self.with_send(key, |send| {
            if full && send.is_whole_only() {
                return Err(StreamError::TooBig);
            }
            send.data(data)
        });
        let queued = queued.ok_or(StreamError::ConnectionLost)?;
        if queued == Err(StreamError::TooBig) {
            self.give_up(key);
        }
        queued?;
        self.want_schedule(key, now);
        Ok(())
    }

    /// Ends the direction that this side sends, after what is queued. A body that turns out too
    /// long for a peer that takes whole ones only makes the stream fail, in both directions.
    pub fn finish(&mut self, key: StreamKey, trailers: FieldLines, now: Time) {
        if let Some(stream) = self.streams.get(key) {
            if stream.send.finish(trailers).is_err() {
                self.give_up(key);
            }
            self.want_schedule(key, now);
        }
    }

    /// A body that cannot be sent whole: whoever waits for the answer is told so.
    fn give_up(&mut self, key: StreamKey) {
        self.with_recv(key, |recv, _| recv.fail(StreamError::TooBig));
        self.reset(key, ErrorCode::MessageTooBig, "");
        self.touch(key);
    }

    /// Ends the direction that this side sends, now. A text over the schema's limit, which others may
    /// have had a part in, is cut: as it is it would cost the connection.
    pub fn reset(&mut self, key: StreamKey, code: ErrorCode, message: &str) {
        let message = &message[..message.floor_char_boundary(limits::RESET_TEXT_BYTES_MAX)];
        if self.with_send(key, |send| send.reset(code, message.to_owned())) == Some(true) {
            self.want_control(key);
        }
    }

    /// Why the peer takes no more of what this side sends, if it does not.
    pub fn stopped(&self, key: StreamKey) -> Option<StreamError> {
        match self.streams.peek(key) {
            Some(stream) => stream.send.stopped().cloned(),
            None => Some(StreamError::ConnectionLost),
        }
    }

    /// The next head of the answer, interim ones first; `None` where none has come yet.
    pub fn read_head(&mut self, key: StreamKey) -> Option<Result<HttpResponse, StreamError>> {
        match self.streams.get(key) {
            Some(stream) => stream.recv.take_head(),
            None => Some(Err(StreamError::ConnectionLost)),
        }
    }

    /// The next bytes. Taking them gives their credit back.
    pub fn read(&mut self, key: StreamKey, now: Time) -> Received {
        let Some((received, wants_grant)) =
            self.with_recv(key, |recv, _| (recv.read(now), recv.wants_grant()))
        else {
            return Received::Failed(StreamError::ConnectionLost);
        };
        if let Received::Data(data) = &received {
            self.on_consumed(data.len() as u64, now);
            if wants_grant {
                self.want_control(key);
            }
        }
        received
    }

    /// The trailers, once, after [`Received::End`].
    pub fn take_trailers(&mut self, key: StreamKey) -> FieldLines {
        self.streams
            .get(key)
            .map(|stream| stream.recv.take_trailers())
            .unwrap_or_default()
    }

    /// Asks the peer to send no more; what lies here is thrown away.
    pub fn stop(&mut self, key: StreamKey, code: ErrorCode, now: Time) {
        let sent = self.streams.peek(key).is_some_and(|s| s.send.is_over());
        let untold = self.whole_only && sent;
        let stopped = self.with_recv(key, |recv, _| {
            let first = recv.stop(code);
            if first && untold {
                // The peer cannot be told. What it still answers is let go.
                recv.fail(StreamError::Stopped { code });
            }
            (first, recv.discard())
        });
        let Some((first, thrown_away)) = stopped else {
            return;
        };
        self.on_consumed(thrown_away, now);
        if first && !self.whole_only {
            self.want_control(key);
        }
        self.settle(key);
    }

    /// The program lets go of the direction that it sends. What it has not finished is reset.
    pub fn release_send(&mut self, key: StreamKey) {
        if self.with_send(key, SendHalf::release) == Some(true) {
            self.want_control(key);
        }
        self.settle(key);
    }

    /// The program lets go of the direction that it reads. What has not ended is stopped.
    pub fn release_recv(&mut self, key: StreamKey, now: Time) {
        self.stop(key, ErrorCode::Cancelled, now);
        if let Some(stream) = self.streams.get(key) {
            stream.recv.release();
        }
        self.streams.settle(key);
    }
}
