//! The direction of a stream that this side sends.
//!
//! ```text
//!             head                 last byte and fin on the wire
//!   Idle ───────────────► Open ───────────────────────────────► Over
//!     │                    │  reset by us, or asked for by the peer's stop
//!     └──────────┬─────────┘
//!                ▼
//!            Resetting ──── stream_reset on the wire ─────────► Over
//! ```

use super::{
    super::{credit::Allowance, error::StreamError, time::Time},
    recent::Recent,
};
use crate::{
    ids::StreamId,
    limits::INTERIM_HEADS_MAX,
    wire::{
        fields::FieldLines,
        json::BodyCost,
        messages::{ErrorCode, HttpRequest, HttpResponse},
    },
};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// Bytes that the program may leave here beyond what can be sent now: one batch of the largest, so
/// that a bulk stream has the next at hand while its task waits for its turn. Chosen, not measured.
const QUEUE_BYTES_MAX: usize = 128 << 10;
/// A piece shorter than this is put behind the one before it, where one shorter than
/// [`GATHERED_BYTES_MAX`] waits: who writes byte by byte must not cost a message a byte.
const GATHER_BYTES_MAX: usize = 1 << 10;
/// The longest piece that another is put behind, so that no byte is copied often.
const GATHERED_BYTES_MAX: usize = 8 << 10;

/// A message that begins a direction.
pub(crate) trait Head {
    /// It opens the stream: before it the peer knows nothing of it.
    const OPENS: bool;
    fn set_id(&mut self, id: StreamId);
    fn body(&mut self) -> &mut Bytes;
    fn body_follows(&mut self) -> &mut bool;
    /// Another head follows this one.
    fn is_interim(&self) -> bool;
}

impl Head for HttpRequest {
    const OPENS: bool = true;
    fn set_id(&mut self, id: StreamId) {
        self.id = id;
    }
    fn body(&mut self) -> &mut Bytes {
        &mut self.body
    }
    fn body_follows(&mut self) -> &mut bool {
        &mut self.body_follows
    }
    fn is_interim(&self) -> bool {
        false
    }
}

impl Head for HttpResponse {
    const OPENS: bool = false;
    fn set_id(&mut self, id: StreamId) {
        self.id = id;
    }
    fn body(&mut self) -> &mut Bytes {
        &mut self.body
    }
    fn body_follows(&mut self) -> &mut bool {
        &mut self.body_follows
    }
    fn is_interim(&self) -> bool {
        Self::is_interim(self)
    }
}

/// What to put on the wire next for this direction.
#[derive(Debug)]
pub(in super::super) enum Piece<H> {
    /// A head, with the first bytes where they fit.
    Head { head: H, bytes: u64 },
    /// Bytes, and the end where `fin`.
    Data {
        offset: u64,
        data: Bytes,
        fin: bool,
        trailers: FieldLines,
    },
}

#[derive(Debug, PartialEq)]
enum State {
    Idle,
    Open,
    Resetting { code: ErrorCode, message: String },
    Over,
}

/// A body that leaves in one message, which is JSON: no other peer asks for that.
#[derive(Debug)]
struct Whole {
    /// What it may add to the message.
    max: usize,
    cost: BodyCost,
}

impl Whole {
    /// Takes note of a piece; refused where no end can make the message short enough.
    fn push(&mut self, piece: &[u8]) -> Result<(), StreamError> {
        self.cost.push(piece);
        self.within(self.cost.least())
    }

    fn end(&self) -> Result<(), StreamError> {
        self.within(self.cost.whole())
    }

    const fn within(&self, bytes: usize) -> Result<(), StreamError> {
        if bytes > self.max {
            Err(StreamError::TooBig)
        } else {
            Ok(())
        }
    }
}

/// The direction.
#[derive(Debug)]
pub(in super::super) struct SendHalf<H> {
    state: State,
    /// The program holds a handle to it.
    held: bool,
    /// The peer knows of the stream, or will before anything that is sent from now on.
    announced: bool,
    heads: VecDeque<H>,
    /// Interim heads so far.
    interims: usize,
    queue: VecDeque<Bytes>,
    queued: usize,
    /// The end is wanted, with these trailers.
    fin: Option<FieldLines>,
    allowance: Allowance,
    /// The peer asked for the end.
    stopped: Option<StreamError>,
    /// The peer takes whole bodies only: nothing leaves before the end is here.
    whole: Option<Whole>,
    /// Bytes sent of late, for the lane.
    recent: Recent,
}

impl<H: Head> SendHalf<H> {
    /// Towards a peer that takes bodies whole, each of which may add so much to its message.
    pub(in super::super) fn whole(max: usize) -> Self {
        let cost = BodyCost::default();
        Self {
            whole: Some(Whole { max, cost }),
            ..Self::new(u64::MAX)
        }
    }

    pub(in super::super) const fn new(credit: u64) -> Self {
        Self {
            state: State::Idle,
            held: true,
            announced: !H::OPENS,
            heads: VecDeque::new(),
            interims: 0,
            queue: VecDeque::new(),
            queued: 0,
            fin: None,
            allowance: Allowance::new(credit),
            stopped: None,
            whole: None,
            recent: Recent::new(),
        }
    }

    /// Queues a head. One that says that no body follows ends the direction; one that is refused
    /// leaves nothing to go on with.
    pub(in super::super) fn head(&mut self, mut head: H) -> Result<(), StreamError> {
        self.check()?;
        if self.state != State::Idle {
            return Err(StreamError::NotSupported);
        }
        if head.is_interim() {
            if self.interims == INTERIM_HEADS_MAX {
                // They are only advice, and a device that never stops must not cost the connection.
                return Ok(());
            }
            self.interims += 1;
            head.body().clear();
        } else {
            if let Some(whole) = &mut self.whole {
                whole.push(head.body())?;
            }
            self.state = State::Open;
            if !*head.body_follows() {
                self.finish(FieldLines::default())?;
            }
        }
        self.heads.push_back(head);
        Ok(())
    }

    /// Whether the program may queue another piece.
    pub(in super::super) fn has_room(&self) -> Result<bool, StreamError> {
        self.check()?;
        // A body that must be whole is taken until it is too long, or its end would never come.
        Ok(self.whole.is_some() || self.queued < QUEUE_BYTES_MAX)
    }

    /// Bytes that wait here.
    pub(in super::super) const fn queued(&self) -> usize {
        self.queued
    }

    /// Whether the peer takes whole bodies only.
    pub(in super::super) const fn is_whole_only(&self) -> bool {
        self.whole.is_some()
    }

    /// Queues bytes. Where they are refused, the direction cannot go on.
    pub(in super::super) fn data(&mut self, data: Bytes) -> Result<(), StreamError> {
        self.check()?;
        if !data.is_empty() && self.fin.is_none() {
            if let Some(whole) = &mut self.whole {
                whole.push(&data)?;
            }
            self.queued += data.len();
            self.enqueue(data);
        }
        Ok(())
    }

    fn enqueue(&mut self, data: Bytes) {
        let gathers =
            |back: &mut Bytes| data.len() < GATHER_BYTES_MAX && back.len() < GATHERED_BYTES_MAX;
        let Some(back) = self.queue.pop_back_if(gathers) else {
            return self.queue.push_back(data);
        };
        // One that was gathered before is its own, and grows; any other is part of a larger buffer.
        let mut gathered = back.try_into_mut().unwrap_or_else(|back| {
            let mut gathered = BytesMut::with_capacity(back.len() + GATHER_BYTES_MAX);
            gathered.extend_from_slice(&back);
            gathered
        });
        gathered.extend_from_slice(&data);
        self.queue.push_back(gathered.freeze());
    }

    /// Wants the end after what is queued. Refused where that is too long as a whole.
    pub(in super::super) fn finish(&mut self, trailers: FieldLines) -> Result<(), StreamError> {
        if self.fin.is_none() {
            if let Some(whole) = &self.whole {
                whole.end()?;
            }
            self.fin = Some(trailers);
        }
        Ok(())
    }

    /// Wants the end now; what is queued is dropped. Returns whether that changes anything.
    pub(in super::super) fn reset(&mut self, code: ErrorCode, message: String) -> bool {
        if matches!(self.state, State::Resetting { .. } | State::Over) {
            return false;
        }
        self.state = State::Resetting { code, message };
        self.stopped = Some(StreamError::Stopped { code });
        self.clear();
        true
    }

    /// The peer asks for the end.
    pub(in super::super) fn stop(&mut self, code: ErrorCode) -> bool {
        self.reset(code, String::new())
    }

    /// The connection is gone.
    pub(in super::super) fn lose(&mut self) {
        if self.state != State::Over {
            self.state = State::Over;
            self.stopped.get_or_insert(StreamError::ConnectionLost);
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.heads.clear();
        self.queue.clear();
        self.queued = 0;
    }

    /// Why the peer takes no more, if it does not.
    pub(in super::super) const fn stopped(&self) -> Option<&StreamError> {
        self.stopped.as_ref()
    }

    fn check(&self) -> Result<(), StreamError> {
        match &self.stopped {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// The program lets go of its handle: what it has not finished is reset.
    pub(in super::super) fn release(&mut self) -> bool {
        self.held = false;
        let finished = self.fin.is_some() && self.state != State::Idle;
        !finished && self.reset(ErrorCode::Cancelled, String::new())
    }

    pub(in super::super) const fn is_held(&self) -> bool {
        self.held
    }

    pub(in super::super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Whether the peer knows of the stream.
    pub(in super::super) const fn is_announced(&self) -> bool {
        self.announced
    }

    /// Bytes that the stream's credit still allows.
    pub(in super::super) const fn credit_left(&self) -> u64 {
        self.allowance.left()
    }

    /// Takes more credit. Returns by how much.
    pub(in super::super) const fn raise(&mut self, max_offset: u64) -> u64 {
        self.allowance.raise(max_offset)
    }

    /// The reset that is to be sent: its code, text and final offset. The direction is over then.
    pub(in super::super) fn take_reset(&mut self) -> Option<(ErrorCode, String, u64)> {
        match &mut self.state {
            State::Resetting { code, message } => {
                let reset = (*code, std::mem::take(message), self.allowance.sent());
                self.state = State::Over;
                Some(reset)
            }
            _ => None,
        }
    }

    /// Whether something could be sent, the session's credit aside.
    pub(in super::super) fn is_ready(&self) -> bool {
        match self.state {
            // Only interim heads go before the head itself.
            State::Idle => !self.heads.is_empty() && self.whole.is_none(),
            State::Open if self.whole.is_some() => self.fin.is_some(),
            State::Open if !self.heads.is_empty() => true,
            State::Open if self.queue.is_empty() => self.fin.is_some(),
            State::Open => self.allowance.left() > 0,
            State::Resetting { .. } | State::Over => false,
        }
    }

    /// Whether what is ready needs none of the session's credit.
    pub(in super::super) fn is_free(&self) -> bool {
        !self.heads.is_empty() || self.queue.is_empty()
    }

    /// Whether it has sent little of late, and has little to send: a download that waited long behind
    /// others is a download still.
    pub(in super::super) fn is_interactive(&mut self, now: Time) -> bool {
        self.recent.is_little(self.queued as u64, now)
    }

    /// The next message, with at most `session_left` bytes of body, and at most `piece_max` of them
    /// where it is a piece. `None` where none is ready.
    pub(in super::super) fn next(
        &mut self,
        session_left: u64,
        piece_max: usize,
    ) -> Option<Piece<H>> {
        if !self.is_ready() {
            return None;
        }
        if let Some(head) = self.heads.pop_front() {
            self.announced = true;
            return Some(self.next_head(head, session_left));
        }
        let room = usize::try_from(self.allowance.left().min(session_left)).unwrap_or(usize::MAX);
        let mut data = Bytes::new();
        if let Some(front) = self.queue.front_mut() {
            let length = front.len().min(piece_max).min(room);
            if length == 0 {
                return None;
            }
            data = front.split_to(length);
            if front.is_empty() {
                self.queue.pop_front();
            }
            self.queued -= length;
        }
        let offset = self.allowance.sent();
        self.spend(data.len());
        let fin = self.queue.is_empty() && self.fin.is_some();
        let mut trailers = FieldLines::default();
        if fin {
            trailers = self.fin.clone().unwrap_or_default();
            self.state = State::Over;
        }
        Some(Piece::Data {
            offset,
            data,
            fin,
            trailers,
        })
    }

    fn next_head(&mut self, mut head: H, session_left: u64) -> Piece<H> {
        if self.whole.is_some() && !head.is_interim() {
            // One message holds it all: the peer knows no other way.
            let mut whole = Vec::with_capacity(head.body().len() + self.queued);
            whole.extend_from_slice(head.body());
            self.queue
                .drain(..)
                .for_each(|piece| whole.extend_from_slice(&piece));
            self.queued = 0;
            *head.body() = whole.into();
            *head.body_follows() = false;
            self.state = State::Over;
            return Piece::Head { head, bytes: 0 };
        }
        let bytes = head.body().len() as u64;
        if bytes > session_left.min(self.allowance.left()) {
            let body = std::mem::take(head.body());
            self.queued += body.len();
            self.queue.push_front(body);
            *head.body_follows() = true;
            return Piece::Head { head, bytes: 0 };
        }
        if !head.is_interim() {
            let ends = self.queue.is_empty() && self.fin.as_ref().is_some_and(|t| t.is_empty());
            *head.body_follows() = !ends;
            if ends {
                self.state = State::Over;
            }
        }
        self.spend(head.body().len());
        Piece::Head { head, bytes }
    }

    fn spend(&mut self, bytes: usize) {
        self.allowance.spend(bytes as u64);
        self.recent.add(bytes as u64);
    }
}
