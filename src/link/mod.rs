//! The link protocol without I/O: what one end of a connection does with each message, and what it
//! sends next. No sockets, no clock, no randomness and no tasks: time is an argument, so the same
//! calls give the same messages, in a test, under a fuzzer and in production.
//!
//! Two verbs move it: [`Link::handle`] takes a message in, [`Link::poll_transmit`] gives the next
//! one out. After either, and after any call on a stream, ask [`Link::poll_event`] and
//! [`Link::poll_touched`] until they are empty, then transmit; call [`Link::handle_timeout`] when
//! [`Link::poll_timeout`] says.
//!
//! `agent` and `platform` hold what each side does with its own messages; everything about streams
//! is the same on both and lives here and in `streams`.

mod agent;
mod budget;
mod credit;
mod error;
mod liveness;
mod path;
mod platform;
mod schedule;
mod streams;
#[cfg(test)]
mod tests;
mod time;

pub use agent::{Agent, Event as AgentEvent};
pub use error::{StreamError, Violation, close_code};
pub use platform::{Admission, Event as PlatformEvent, Platform};
pub use streams::{Received, StreamKey};
pub use time::Time;

use crate::{
    ids::StreamId,
    limits,
    wire::{
        Envelope,
        fields::FieldLines,
        messages::{
            Ack, Error, ErrorCode, HttpResponse, Limits, StreamCredit, StreamData, StreamReset,
            StreamStop,
        },
    },
};
use budget::Budget;
use bytes::Bytes;
use credit::{Allowance, Growth, Window};
use liveness::Liveness;
use path::{Arrivals, Path};
use schedule::{Gates, Lane, Schedule, Turn};
use std::{collections::VecDeque, time::Duration};
use streams::{Head, Piece, RecvHalf, SendHalf, Stream, Streams};

/// What interactive streams may have in flight beyond the path's cap, which bulk has filled; and
/// bulk, when its share is due, which interactive streams have filled.
const SLACK: u64 = 64 << 10;
/// A piece of this length is worth a cheap message of the peer's: credit for it, or a stop.
const WORTH_BYTES: u64 = 1 << 10;
/// Credit raised by less than this is a cheap message.
const RAISE_BYTES_MIN: u64 = 4 << 10;
/// Control messages of the program's own that may wait: sessions opened and closed.
const CONTROL_MAX: usize = 4096;

/// One of the two ends.
pub trait Side: Sized + 'static {
    /// What it sends.
    type Send: Envelope
        + From<Ack>
        + From<Error>
        + From<StreamData>
        + From<StreamCredit>
        + From<StreamReset>
        + From<StreamStop>;
    /// What it receives.
    type Receive: Envelope;
    /// What begins a direction of a stream that it sends.
    #[expect(private_bounds, reason = "heads are this module's own to take apart")]
    type Head: Head + Clone + std::fmt::Debug + Into<Self::Send>;
    /// What it tells its program.
    type Event: std::fmt::Debug;

    /// Takes in one message.
    fn receive(link: &mut Link<Self>, message: Self::Receive, now: Time) -> Result<(), Violation>;
    /// What goes before everything else: a heartbeat that is due, or the answer to one.
    fn urgent(link: &mut Link<Self>, now: Time) -> Option<Self::Send>;
    /// What the side keeps beside the streams.
    type State: std::fmt::Debug;
}

/// How far the connection is.
#[derive(Debug, PartialEq)]
enum Phase {
    /// The first message is awaited until then.
    Greeting { until: Time },
    /// The program has the peer's `hello` and has not decided.
    Deciding,
    /// Everything may flow.
    Open,
    /// Nothing more is taken in; what is queued may leave.
    Closed,
}

/// What a peer takes in, as it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The longest WebSocket message.
    pub message_bytes_max: usize,
    /// Streams at once.
    pub streams_max: usize,
    /// Bytes of a stream before any credit.
    pub stream_credit: u64,
    /// Bytes of all streams before any credit.
    pub session_credit: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            streams_max: limits::STREAMS_MAX,
            stream_credit: limits::STREAM_CREDIT_INITIAL,
            session_credit: limits::SESSION_CREDIT_INITIAL,
        }
    }
}

impl Terms {
    /// What the peer said, 0 and absence standing for the defaults.
    fn from_message(message: Option<&Limits>) -> Self {
        let defaults = Self::default();
        let Some(message) = message else {
            return defaults;
        };
        let or = |value: u32, default: usize| if value == 0 { default } else { value as usize };
        Self {
            message_bytes_max: or(message.max_message_bytes, defaults.message_bytes_max)
                .max(limits::MESSAGE_BYTES_MIN),
            streams_max: or(message.max_streams, defaults.streams_max),
            stream_credit: or(
                message.initial_stream_credit,
                defaults.stream_credit as usize,
            ) as u64,
            session_credit: or(
                message.initial_session_credit,
                defaults.session_credit as usize,
            ) as u64,
        }
    }

    /// The same as a message.
    pub fn to_message(self) -> Limits {
        let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Limits {
            max_message_bytes: number(self.message_bytes_max as u64),
            max_streams: number(self.streams_max as u64),
            initial_stream_credit: number(self.stream_credit),
            initial_session_credit: number(self.session_credit),
        }
    }
}

/// A message of no stream.
#[derive(Debug)]
struct Control<M> {
    message: M,
    /// A resume would count it.
    counted: bool,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Link<S: Side> {
    phase: Phase,
    state: S::State,
    own: Terms,
    peer: Terms,
    /// The peer knows only whole requests and answers: no streams, no credit, no acknowledgements.
    whole_only: bool,
    streams: Streams<S::Head>,
    schedule: Schedule,
    /// Streams with credit, a reset or a stop to send.
    stream_control: VecDeque<StreamKey>,
    control: VecDeque<Control<S::Send>>,
    /// Bytes of all streams that wait to be sent.
    queued: usize,
    /// Bytes of all streams: what may be sent, and what may come.
    allowance: Allowance,
    window: Window,
    path: Path,
    arrivals: Arrivals,
    liveness: Option<Liveness>,
    budget: Budget,
    events: VecDeque<S::Event>,
    touched: VecDeque<StreamKey>,
    sent_messages: u64,
    /// How many of them the peer has taken in, as it said.
    acked_messages: u64,
}

impl<S: Side> Link<S> {
    fn with_state(state: S::State, own: Terms, now: Time) -> Self {
        Self {
            phase: Phase::Greeting {
                until: now + Duration::from_millis(limits::HELLO_MS_MAX),
            },
            state,
            own,
            peer: Terms::default(),
            whole_only: false,
            streams: Streams::new(),
            schedule: Schedule::default(),
            stream_control: VecDeque::new(),
            control: VecDeque::new(),
            queued: 0,
            allowance: Allowance::new(0),
            window: Window::new(
                own.session_credit,
                limits::SESSION_WINDOW_MAX,
                Growth::Always,
            ),
            path: Path::new(now),
            arrivals: Arrivals::default(),
            liveness: None,
            budget: Budget::new(now),
            events: VecDeque::new(),
            touched: VecDeque::new(),
            sent_messages: 0,
            acked_messages: 0,
        }
    }

    fn open_up(&mut self, peer: Terms, heartbeat: Duration, beats: bool, now: Time) {
        self.phase = Phase::Open;
        self.peer = peer;
        self.allowance = Allowance::new(peer.session_credit);
        self.liveness = Some(Liveness::new(heartbeat, beats, now));
        self.path = Path::new(now);
    }

    /// Takes in a message. After an error the connection is to be closed with its code.
    pub fn handle(&mut self, message: S::Receive, now: Time) -> Result<(), Violation> {
        if self.phase == Phase::Closed {
            return Ok(());
        }
        self.handle_bytes(now);
        S::receive(self, message, now)
    }

    /// Bytes have arrived, though no message is whole yet: the peer lives.
    pub fn handle_bytes(&mut self, now: Time) {
        if let Some(liveness) = &mut self.liveness {
            liveness.on_received(now);
        }
    }

    /// A message has come whose type this schema does not name: it is answered, and survived.
    pub fn handle_unknown(&mut self, name: Option<&str>, now: Time) -> Result<(), Violation> {
        if self.phase == Phase::Closed {
            return Ok(());
        }
        self.handle_bytes(now);
        if self.phase != Phase::Open {
            return Err(Violation::new(
                ErrorCode::UnexpectedMessage,
                "the first message is another",
            ));
        }
        self.cheap(now)?;
        // Its sender has counted it.
        self.on_arrival(0, now)?;
        if !self.whole_only && self.control.len() < CONTROL_MAX {
            let shown = name
                .filter(|name| name.len() <= 64)
                .unwrap_or("of this number");
            let message = S::Send::from(Error {
                message_id: String::new(),
                original_message_id: String::new(),
                timestamp: None,
                code: ErrorCode::MessageTypeUnknown,
                message: format!("this end knows no message {shown}"),
            });
            self.control.push_back(Control {
                message,
                counted: true,
            });
        }
        Ok(())
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.phase {
            Phase::Greeting { until } => Some(*until),
            Phase::Deciding | Phase::Closed => None,
            Phase::Open => {
                let liveness = self.liveness.as_ref();
                [
                    liveness.map(Liveness::silent_at),
                    liveness.and_then(Liveness::heartbeat_at),
                    self.arrivals.due_at(),
                ]
                .into_iter()
                .flatten()
                .min()
            }
        }
    }

    /// Time has passed. Transmit afterwards: a heartbeat or an acknowledgement may be due.
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), Violation> {
        match &self.phase {
            Phase::Greeting { until } if now >= *until => Err(Violation::new(
                ErrorCode::HelloTimeout,
                "the first message did not come in time",
            )),
            Phase::Open if self.liveness.as_ref().is_some_and(|l| now >= l.silent_at()) => {
                Err(Violation::new(
                    ErrorCode::PeerSilent,
                    "nothing was received for three heartbeats",
                ))
            }
            _ => Ok(()),
        }
    }

    /// The next message to send. Ask when the socket can take more, and send it before asking
    /// again: what waits here can still be overtaken by what matters more.
    pub fn poll_transmit(&mut self, now: Time) -> Option<S::Send> {
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
        let message = self.next_stream_control().or_else(|| self.next_piece(now));
        if message.is_some() {
            self.sent_messages += 1;
        }
        message
    }

    fn take_ack(&mut self, now: Time) -> S::Send {
        let delay = self.arrivals.take(now);
        if self.window.wants_grant() {
            self.window.grant(true);
        }
        S::Send::from(Ack {
            messages: self.arrivals.messages(),
            bytes: self.window.received(),
            delay_us: u32::try_from(delay.as_micros()).unwrap_or(u32::MAX),
            max_bytes: self.window.granted(),
        })
    }

    fn next_stream_control(&mut self) -> Option<S::Send> {
        while let Some(&key) = self.stream_control.front() {
            self.end_unannounced(key);
            let may_grow = self.window.is_roomy();
            let message = self
                .streams
                .get(key)
                .and_then(|stream| Self::control_of(stream, may_grow));
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
            stream.recv.fail(StreamError::Reset { code, message });
            self.touch(key);
            self.settle(key);
        }
    }

    fn control_of(stream: &mut Stream<S::Head>, may_grow: bool) -> Option<S::Send> {
        if !stream.send.is_announced() {
            // A stop goes once the stream is open.
            return None;
        }
        let id = || stream.id.clone();
        if let Some((code, message, final_offset)) = stream.send.take_reset() {
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
        stream.recv.wants_grant().then(|| {
            let max_offset = stream.recv.grant(may_grow);
            S::Send::from(StreamCredit {
                id: id(),
                max_offset,
            })
        })
    }

    /// The next head or piece of a body, as the lanes have it.
    fn next_piece(&mut self, now: Time) -> Option<S::Send> {
        let room = self.path.room(now);
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
            let Turn { lane, key, due } = turn;
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
            let slack = if lane == Lane::Bulk && !due { 0 } else { SLACK };
            let held_by_path = !self.whole_only && room + slack == 0;
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
            let Some(piece) = stream.send.next(left) else {
                continue;
            };
            // A body that a head had to leave behind has joined the queue.
            self.queued = self.queued + stream.send.queued() - queued;
            if self.whole_only && stream.recv.is_stopped() {
                let code = ErrorCode::Cancelled;
                stream.recv.fail(StreamError::Stopped { code });
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

    fn outgoing(&mut self, id: StreamId, piece: Piece<S::Head>, now: Time) -> S::Send {
        let (bytes, message) = match piece {
            Piece::Head { head, bytes } => (bytes, head.into()),
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

    /// What has happened that the program should know.
    pub fn poll_event(&mut self) -> Option<S::Event> {
        self.events.pop_front()
    }

    /// A stream on which something has changed: there may be bytes to read, room to write, or an
    /// end to see.
    pub fn poll_touched(&mut self) -> Option<StreamKey> {
        let key = self.touched.pop_front()?;
        if let Some(stream) = self.streams.get(key) {
            stream.touched = false;
        }
        self.streams.settle(key);
        Some(key)
    }

    /// Queues a message of the program's own that belongs to no stream. Refused where the link is
    /// not open, or the peer takes none of them for too long.
    pub fn send(&mut self, message: impl Into<S::Send>) -> Result<(), StreamError> {
        if self.phase != Phase::Open {
            return Err(StreamError::ConnectionLost);
        }
        if self.control.len() >= CONTROL_MAX {
            return Err(StreamError::NotSupported);
        }
        self.control.push_back(Control {
            message: message.into(),
            counted: true,
        });
        Ok(())
    }

    /// Ends everything: the connection is gone, or is to go once what is queued has left. Every
    /// stream fails with [`StreamError::ConnectionLost`].
    pub fn close(&mut self) {
        self.phase = Phase::Closed;
        self.stream_control.clear();
        self.schedule.clear();
        self.queued = 0;
        for key in self.streams.keys() {
            if let Some(stream) = self.streams.get(key) {
                stream.send.lose();
                stream.recv.lose();
                stream.control = false;
                stream.scheduled = false;
            }
            self.touch(key);
            self.streams.settle(key);
        }
    }

    /// What the peer takes in.
    pub const fn peer_terms(&self) -> Terms {
        self.peer
    }

    /// Whether control of streams or an acknowledgement is to be sent now: reading has made room.
    pub fn has_control(&self, now: Time) -> bool {
        !self.stream_control.is_empty() || self.arrivals.due_at().is_some_and(|due| now >= due)
    }

    /// How much to put on the wire before asking anew what matters most: little on a slow path,
    /// where it is what everything else waits behind.
    pub fn batch_bytes(&self) -> usize {
        const BATCH: std::ops::RangeInclusive<u64> = 32 << 10..=128 << 10;
        let bytes = (self.path.cap() / 8).clamp(*BATCH.start(), *BATCH.end());
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Whether the program holds a half of that stream.
    pub fn is_held(&self, key: StreamKey) -> bool {
        self.streams
            .peek(key)
            .is_some_and(|s| s.send.is_held() || s.recv.is_held())
    }

    /// Whether the program has yet to answer the peer's hello: nothing more may be handled.
    pub fn is_deciding(&self) -> bool {
        self.phase == Phase::Deciding
    }

    /// Whether the link has ended: nothing more is taken in.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether everything may flow.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// The newest round trip: of a heartbeat, or the least that the path has shown.
    pub fn round_trip(&self) -> Option<Duration> {
        self.liveness
            .as_ref()
            .and_then(Liveness::round_trip)
            .or_else(|| self.path.min_rtt())
    }

    /// Streams that take memory here. Zero when nothing is open and nothing is held.
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// Counted messages that were sent: what a resume would ask for.
    pub const fn sent_messages(&self) -> u64 {
        self.sent_messages
    }

    fn touch(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get(key)
            && !stream.touched
        {
            stream.touched = true;
            self.touched.push_back(key);
        }
    }

    fn want_control(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get(key)
            && !stream.control
        {
            stream.control = true;
            self.stream_control.push_back(key);
        }
    }

    fn want_schedule(&mut self, key: StreamKey, now: Time) {
        if let Some(stream) = self.streams.get(key)
            && !stream.scheduled
            && stream.send.is_ready()
        {
            stream.scheduled = true;
            let lane = if stream.send.is_free() {
                Lane::Free
            } else if stream.send.is_interactive(now) {
                Lane::Interactive
            } else {
                Lane::Bulk
            };
            self.schedule.push(lane, key);
        }
    }

    /// Forgets the stream where it has ended. One that was reset leaves its lane at once: a lane
    /// that may not send for long would keep it.
    fn settle(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get(key)
            && stream.scheduled
            && stream.send.is_over()
        {
            stream.scheduled = false;
            self.schedule.remove(key);
        }
        self.streams.settle(key);
    }

    /// Does something to what a stream sends, and keeps the count of what waits.
    fn with_send<R>(
        &mut self,
        key: StreamKey,
        change: impl FnOnce(&mut SendHalf<S::Head>) -> R,
    ) -> Option<R> {
        let stream = self.streams.get(key)?;
        let before = stream.send.queued();
        let result = change(&mut stream.send);
        self.queued = self.queued + stream.send.queued() - before;
        Some(result)
    }

    /// A message that carries nothing: the peer has a budget of them.
    fn cheap(&mut self, now: Time) -> Result<(), Violation> {
        if self.budget.spend(now) {
            Ok(())
        } else {
            Err(Violation::new(
                ErrorCode::Abuse,
                "cheap messages without end",
            ))
        }
    }

    fn new_send_half(&self) -> SendHalf<S::Head> {
        if self.whole_only {
            // A third is left to base64.
            let whole_max = self.peer.message_bytes_max / 4 * 3 - limits::FIELDS.bytes;
            let mut half = SendHalf::new(0, Some(whole_max));
            half.raise(u64::MAX);
            half
        } else {
            SendHalf::new(self.peer.stream_credit, None)
        }
    }

    fn new_recv_half(&self) -> RecvHalf {
        RecvHalf::new(if self.whole_only {
            Window::endless()
        } else {
            Window::new(
                self.own.stream_credit,
                limits::STREAM_WINDOW_MAX,
                Growth::WithReader,
            )
        })
    }

    /// Counts what came and takes it against the session's credit.
    fn on_arrival(&mut self, bytes: u64, now: Time) -> Result<(), Violation> {
        if self.whole_only {
            return Ok(());
        }
        self.arrivals.on_message(bytes, now);
        if bytes >= WORTH_BYTES {
            self.budget.earn();
        }
        if self.window.receive(bytes) {
            if self.window.wants_grant() {
                self.arrivals.expedite(now);
            }
            Ok(())
        } else {
            Err(Violation::new(
                ErrorCode::CreditExceeded,
                "more bytes than the session's credit",
            ))
        }
    }

    /// Bytes of all streams were read or thrown away.
    fn on_consumed(&mut self, bytes: u64, now: Time) {
        if bytes == 0 {
            return;
        }
        self.window.consume(bytes);
        if self.whole_only {
            self.window.grant(false);
        } else if self.window.wants_grant() {
            self.arrivals.expedite(now);
        }
    }

    fn find(&mut self, id: &StreamId) -> Result<StreamKey, Violation> {
        self.streams.find(id).ok_or_else(|| {
            Violation::new(ErrorCode::StreamUnknown, format!("no stream {id} is open"))
        })
    }
}

/// What the peer says of streams: the same on both sides.
impl<S: Side> Link<S> {
    fn on_stream_data(&mut self, message: StreamData, now: Time) -> Result<(), Violation> {
        if message.data.is_empty() && !message.fin {
            self.cheap(now)?;
        }
        let key = self.find(&message.id)?;
        let Some(stream) = self.streams.get(key) else {
            return Ok(());
        };
        let bytes = stream.recv.data(message)?;
        let thrown_away = stream.recv.is_stopped();
        self.on_arrival(bytes, now)?;
        if thrown_away {
            self.on_consumed(bytes, now);
        }
        self.touch(key);
        self.streams.settle(key);
        Ok(())
    }

    fn on_stream_credit(&mut self, message: &StreamCredit, now: Time) -> Result<(), Violation> {
        self.on_arrival(0, now)?;
        // Credit for a direction that has ended meanwhile crosses its end on the way.
        let key = self.streams.find(&message.id);
        let raised = key
            .and_then(|key| self.streams.get(key))
            .map_or(0, |stream| stream.send.raise(message.max_offset));
        if let Some(key) = key {
            self.want_schedule(key, now);
        }
        if raised < RAISE_BYTES_MIN {
            self.cheap(now)?;
        }
        Ok(())
    }

    fn on_stream_reset(&mut self, message: StreamReset, now: Time) -> Result<(), Violation> {
        self.cheap(now)?;
        self.on_arrival(0, now)?;
        let key = self.find(&message.id)?;
        let Some(stream) = self.streams.get(key) else {
            return Ok(());
        };
        stream
            .recv
            .reset(message.code, message.message, message.final_offset)?;
        let thrown_away = stream.recv.discard();
        self.on_consumed(thrown_away, now);
        self.touch(key);
        self.settle(key);
        Ok(())
    }

    fn on_stream_stop(&mut self, message: &StreamStop, now: Time) -> Result<(), Violation> {
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

    fn on_ack(&mut self, message: &Ack, now: Time) -> Result<(), Violation> {
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
        if self.allowance.raise(message.max_bytes) < RAISE_BYTES_MIN && !news {
            self.cheap(now)?;
        }
        Ok(())
    }
}

/// What the program does with streams. A key that is no longer good is answered as a lost stream.
impl<S: Side> Link<S> {
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
    /// unless the peer takes whole bodies only and this one is too long, or all of them are.
    pub fn send_data(&mut self, key: StreamKey, data: Bytes, now: Time) -> Result<(), StreamError> {
        let full = self.queued + data.len() > limits::SESSION_QUEUE_BYTES_MAX;
        let queued = self.with_send(key, |send| {
            if full && send.is_whole_only() {
                return Err(StreamError::TooBig);
            }
            send.data(data)
        });
        queued.ok_or(StreamError::ConnectionLost)??;
        self.want_schedule(key, now);
        Ok(())
    }

    /// Ends the direction that this side sends, after what is queued.
    pub fn finish(&mut self, key: StreamKey, trailers: FieldLines, now: Time) {
        if let Some(stream) = self.streams.get(key) {
            stream.send.finish(trailers);
            self.want_schedule(key, now);
        }
    }

    /// Ends the direction that this side sends, now.
    pub fn reset(&mut self, key: StreamKey, code: ErrorCode, message: &str) {
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
        let Some(stream) = self.streams.get(key) else {
            return Received::Failed(StreamError::ConnectionLost);
        };
        let received = stream.recv.read();
        if let Received::Data(data) = &received {
            let wants_grant = stream.recv.wants_grant();
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
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        let first = stream.recv.stop(code);
        let thrown_away = stream.recv.discard();
        if first && self.whole_only && stream.send.is_over() {
            // The peer cannot be told. What it still answers is let go.
            stream.recv.fail(StreamError::Stopped { code });
        }
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
