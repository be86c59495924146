//! The direction of a stream that this side receives.

use super::{
    super::{
        credit::Window,
        error::{StreamError, Violation},
        time::Time,
    },
    recent::Recent,
};
use crate::{
    limits::INTERIM_HEADS_MAX,
    wire::{
        fields::FieldLines,
        messages::{ErrorCode, HttpResponse, StreamData},
    },
};
use bytes::{Bytes, BytesMut};
use std::{collections::VecDeque, time::Duration};

/// A piece shorter than this is copied: as a slice it would hold on to the whole read buffer that it
/// came in.
const COPY_BYTES_MAX: usize = 8 << 10;

/// What reading a stream gives.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// The next bytes.
    Data(Bytes),
    /// Nothing at present.
    Pending,
    /// The clean end.
    End,
    /// The end before the end.
    Failed(StreamError),
}

/// How far the peer has come.
#[derive(Debug, PartialEq)]
enum State {
    /// More may come.
    Open,
    /// The peer has ended it.
    Fin,
    /// It ended before its end.
    Failed(StreamError),
}

/// The direction.
#[derive(Debug)]
pub(in super::super) struct RecvHalf {
    state: State,
    /// The program holds a handle to it.
    held: bool,
    /// The program wants no more: what comes is thrown away.
    stopped: bool,
    /// The stop is still to be sent.
    stop_code: Option<ErrorCode>,
    heads: VecDeque<HttpResponse>,
    /// Interim heads so far.
    interims: usize,
    /// The final head has come; before it no bytes may.
    begun: bool,
    /// The link took the room of what nobody read.
    given_up: bool,
    /// When the program last read, or the first came of what it has not read.
    read_at: Time,
    queue: VecDeque<Bytes>,
    /// Short pieces behind the queue, in one buffer.
    tail: BytesMut,
    window: Window,
    trailers: FieldLines,
    /// Bytes that came of late, for the counts.
    recent: Recent,
}

impl RecvHalf {
    pub(in super::super) fn new(window: Window) -> Self {
        Self {
            state: State::Open,
            held: true,
            stopped: false,
            stop_code: None,
            heads: VecDeque::new(),
            interims: 0,
            begun: false,
            given_up: false,
            read_at: Time::from_micros(0),
            queue: VecDeque::new(),
            tail: BytesMut::new(),
            window,
            trailers: FieldLines::default(),
            recent: Recent::new(),
        }
    }

    /// The request that opened the stream: its bytes begin the body. Where not `kept`, they are
    /// copied, here as in the calls below.
    pub(in super::super) fn begin(
        &mut self,
        body: Bytes,
        follows: bool,
        kept: bool,
        now: Time,
    ) -> Result<u64, Violation> {
        self.begun = true;
        let bytes = self.push(body, kept, now)?;
        if !follows {
            self.state = State::Fin;
        }
        Ok(bytes)
    }

    /// A head of an answer. Returns how many bytes of body came with it.
    pub(in super::super) fn head(
        &mut self,
        mut head: HttpResponse,
        kept: bool,
        now: Time,
    ) -> Result<u64, Violation> {
        let interim = head.is_interim();
        if self.begun || self.state != State::Open {
            return Err(Violation::new(
                ErrorCode::UnexpectedMessage,
                "a second head of one answer",
            ));
        }
        if interim && self.interims == INTERIM_HEADS_MAX {
            return Err(Violation::new(
                ErrorCode::Abuse,
                "interim answers without end",
            ));
        }
        if interim && !head.body.is_empty() {
            return Err(Violation::new(
                ErrorCode::UnexpectedMessage,
                "an interim answer has no body",
            ));
        }
        self.interims += usize::from(interim);
        let body = std::mem::take(&mut head.body);
        let follows = head.body_follows;
        if !self.stopped {
            self.heads.push_back(head);
        }
        if interim {
            Ok(0)
        } else {
            self.begin(body, follows, kept, now)
        }
    }

    /// A piece. Returns how many bytes it held.
    pub(in super::super) fn data(
        &mut self,
        message: StreamData,
        kept: bool,
        now: Time,
    ) -> Result<u64, Violation> {
        if !self.begun || self.state != State::Open {
            return Err(Violation::new(
                ErrorCode::UnexpectedMessage,
                "bytes before the head or after the end of a stream",
            ));
        }
        if message.offset != self.window.received() {
            return Err(Violation::new(
                ErrorCode::OffsetWrong,
                "a piece out of its place",
            ));
        }
        let bytes = self.push(message.data, kept, now)?;
        if message.fin {
            self.state = State::Fin;
            self.trailers = message.trailers.detached();
        }
        Ok(bytes)
    }

    /// Whether what comes is little, with so many bytes more; to be asked before they are taken in.
    pub(in super::super) fn is_interactive(&mut self, bytes: u64, now: Time) -> bool {
        let interactive = self.recent.is_little(bytes, now);
        self.recent.add(bytes);
        interactive
    }

    /// The peer ends the direction before its end.
    pub(in super::super) fn reset(
        &mut self,
        code: ErrorCode,
        message: String,
        final_offset: u64,
    ) -> Result<(), Violation> {
        if self.state != State::Open {
            return Err(Violation::new(
                ErrorCode::UnexpectedMessage,
                "a reset after the end",
            ));
        }
        if final_offset != self.window.received() {
            return Err(Violation::new(
                ErrorCode::OffsetWrong,
                "a reset at another offset",
            ));
        }
        self.state = State::Failed(StreamError::Reset { code, message });
        Ok(())
    }

    /// This side gives the direction up: it has no room for it, or the peer never heard of it. The
    /// first reason stays.
    pub(in super::super) fn fail(&mut self, error: StreamError) {
        if !matches!(self.state, State::Failed(_)) {
            self.state = State::Failed(error);
        }
    }

    /// Whether a stop is to be sent.
    pub(in super::super) fn wants_stop(&self) -> bool {
        self.stop_code.is_some() && self.state == State::Open
    }

    /// The connection is gone.
    pub(in super::super) fn lose(&mut self) {
        if self.state == State::Open {
            self.state = State::Failed(StreamError::ConnectionLost);
        }
    }

    fn push(&mut self, data: Bytes, kept: bool, now: Time) -> Result<u64, Violation> {
        let bytes = data.len() as u64;
        if self.unread() == 0 {
            self.read_at = now;
        }
        if !self.window.receive(bytes) {
            return Err(Violation::new(
                ErrorCode::CreditExceeded,
                "more bytes than the stream's credit",
            ));
        }
        if self.stopped {
            self.window.consume(bytes);
        } else if data.len() < COPY_BYTES_MAX {
            self.tail.extend_from_slice(&data);
        } else {
            self.flush_tail();
            self.queue.push_back(if kept {
                data
            } else {
                Bytes::copy_from_slice(&data)
            });
        }
        Ok(bytes)
    }

    /// Pieces that lie here, the short ones together none.
    pub(in super::super) fn pieces(&self) -> usize {
        self.queue.len()
    }

    fn flush_tail(&mut self) {
        if !self.tail.is_empty() {
            // Not split off: what is left would hold on to the memory, which no credit counts any more.
            self.queue
                .push_back(std::mem::take(&mut self.tail).freeze());
        }
    }

    /// The next head of the answer. `None`: none yet.
    pub(in super::super) fn take_head(&mut self) -> Option<Result<HttpResponse, StreamError>> {
        match (self.heads.pop_front(), &self.state) {
            (Some(head), _) => Some(Ok(head)),
            (None, _) if self.given_up => Some(Err(StreamError::Unread)),
            (None, State::Failed(error)) => Some(Err(error.clone())),
            (None, _) => None,
        }
    }

    /// The next bytes. What came before a reset is not read any more: it is of no use.
    pub(in super::super) fn read(&mut self, now: Time) -> Received {
        if self.given_up {
            return Received::Failed(StreamError::Unread);
        }
        if let State::Failed(error) = &self.state {
            return Received::Failed(error.clone());
        }
        if self.queue.is_empty() {
            self.flush_tail();
        }
        match (self.queue.pop_front(), &self.state) {
            (Some(data), _) => {
                self.read_at = now;
                self.window.consume(data.len() as u64);
                Received::Data(data)
            }
            (None, State::Fin) => Received::End,
            (None, _) => Received::Pending,
        }
    }

    pub(in super::super) fn take_trailers(&mut self) -> FieldLines {
        std::mem::take(&mut self.trailers)
    }

    /// Throws away what lies here and says how much it was, for the session's credit.
    pub(in super::super) fn discard(&mut self) -> u64 {
        self.flush_tail();
        let bytes = self.queue.drain(..).map(|data| data.len() as u64).sum();
        self.window.consume(bytes);
        self.heads.clear();
        bytes
    }

    /// The program wants no more. Returns whether the peer is to be told.
    pub(in super::super) fn stop(&mut self, code: ErrorCode) -> bool {
        let first = !self.stopped && self.state == State::Open;
        self.stopped = true;
        if first {
            self.stop_code = Some(code);
        }
        first
    }

    /// The link takes the room of what nobody reads, and says how much it was. Part of the bytes is
    /// lost then, so whatever the peer still says, the program sees no clean end.
    pub(in super::super) fn give_up(&mut self, code: ErrorCode) -> u64 {
        self.given_up = true;
        self.stop(code);
        self.discard()
    }

    /// Bytes that lie here.
    pub(in super::super) const fn unread(&self) -> u64 {
        self.window.unread()
    }

    /// Whether something has lain here so long and the program has read nothing.
    pub(in super::super) fn is_unread_for(&self, long: Duration, now: Time) -> bool {
        self.unread() > 0 && now.since(self.read_at) >= long
    }

    /// What the growth of the window may cost.
    pub(in super::super) fn grown(&self) -> u64 {
        self.window.grown(self.awaits())
    }

    /// How much of that is not used at present.
    pub(in super::super) fn resting(&self) -> u64 {
        if self.awaits() {
            self.window.resting()
        } else {
            0
        }
    }

    /// Whether bytes may come that are kept.
    fn awaits(&self) -> bool {
        self.state == State::Open && !self.stopped
    }

    /// The program lets go of its handle.
    pub(in super::super) const fn release(&mut self) {
        self.held = false;
    }

    pub(in super::super) const fn is_held(&self) -> bool {
        self.held
    }

    pub(in super::super) fn is_over(&self) -> bool {
        self.state != State::Open
    }

    pub(in super::super) const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The stop that is to be sent, unless the peer has come to its end meanwhile.
    pub(in super::super) fn take_stop(&mut self) -> Option<ErrorCode> {
        let code = self.stop_code.take();
        code.filter(|_| self.state == State::Open)
    }

    /// Whether the peer is to be given more credit.
    pub(in super::super) fn wants_grant(&self) -> bool {
        self.awaits() && self.window.wants_grant()
    }

    /// The peer's new credit, where it is news.
    pub(in super::super) fn grant(&mut self, growth_max: u64) -> Option<u64> {
        self.window.grant(growth_max)
    }

    /// Others need the room: gives back what the window has grown, where it is hardly used.
    pub(in super::super) fn rest(&mut self) {
        self.window.rest();
    }
}
