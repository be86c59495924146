//! The link protocol without I/O: what one end of a connection does with each message, and what it
//! sends next. No sockets, no clock, no randomness and no tasks: time is an argument, so the same
//! calls give the same messages, in a test, under a fuzzer and in production.
//!
//! Two verbs move it: [`Link::handle`] takes a message in, [`Link::poll_transmit`] gives the next
//! one out. After either, and after any call on a stream, ask [`Link::poll_event`] and
//! [`Link::poll_touched`] until they are empty, then transmit; call [`Link::handle_timeout`] when
//! [`Link::poll_timeout`] says.
//!
//! `agent` and `platform` hold what each side does with its own messages. The rest is the same on
//! both: `incoming` has what the peer says of streams, `calls` what the program does with them,
//! `transmit` what goes out next, `room` what becomes of bytes that nobody reads; this file has what
//! these share.

mod agent;
mod arrivals;
mod budget;
mod calls;
mod counts;
mod credit;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod incoming;
mod liveness;
mod path;
mod platform;
mod room;
mod schedule;
mod streams;
mod terms;
#[cfg(test)]
mod tests;
mod time;
mod transmit;

pub use agent::{Agent, Event as AgentEvent};
pub use counts::{Resets, Stage, Traffic, TrafficLane, Volume};
pub use error::{StreamError, Violation, close_code};
pub use platform::{Admission, Event as PlatformEvent, Platform};
pub use streams::{Received, StreamKey};
pub use terms::Terms;
pub use time::Time;

use crate::{
    ids::StreamId,
    limits,
    wire::{
        Envelope,
        messages::{Ack, Error, ErrorCode, StreamCredit, StreamData, StreamReset, StreamStop},
    },
};
use arrivals::Arrivals;
use budget::Budget;
use credit::{Allowance, Growth, Window};
use liveness::Liveness;
use path::Path;
use schedule::{Lane, Schedule};
use std::{collections::VecDeque, time::Duration};
use streams::{Head, RecvHalf, SendHalf, Stream, Streams};

/// A piece of this length is worth a cheap message of the peer's: credit for it, or a stop.
const WORTH_BYTES: u64 = 1 << 10;
/// Pieces of all streams that may lie here unread as slices of what they came in: as many as are read
/// from a socket before readers have their turn. What comes where more lie waits for a slow reader,
/// and is copied: behind a slice is a whole read buffer, of up to 128 KiB, and the credit counts the
/// slice only.
const KEPT_PIECES_MAX: usize = 64;
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
    /// Whether nothing new is to begin.
    fn is_draining(state: &Self::State) -> bool;
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
    /// Pieces of all streams that lie unread.
    pieces: usize,
    /// Bytes of all streams: what may be sent, and what may come.
    allowance: Allowance,
    window: Window,
    /// What the growth of the streams' windows may cost, together, and how much of it is not used.
    grown: u64,
    resting: u64,
    /// When to see again whether what nobody reads takes the others' room.
    relief_at: Option<Time>,
    /// When to see again which windows are hardly used, where others may not grow.
    rest_at: Option<Time>,
    path: Path,
    arrivals: Arrivals,
    liveness: Option<Liveness>,
    budget: Budget,
    events: VecDeque<S::Event>,
    touched: VecDeque<StreamKey>,
    sent_messages: u64,
    /// How many of them the peer has taken in, as it said.
    acked_messages: u64,
    traffic: Traffic,
    /// What the message went as that was transmitted last, and the one that came last.
    sending: TrafficLane,
    receiving: TrafficLane,
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
            pieces: 0,
            allowance: Allowance::new(0),
            window: Window::new(
                own.session_credit,
                limits::SESSION_WINDOW_MAX,
                Growth::Always,
            ),
            grown: 0,
            resting: 0,
            relief_at: None,
            rest_at: None,
            path: Path::new(now),
            arrivals: Arrivals::default(),
            liveness: None,
            budget: Budget::new(now),
            events: VecDeque::new(),
            touched: VecDeque::new(),
            sent_messages: 0,
            acked_messages: 0,
            traffic: Traffic::default(),
            sending: TrafficLane::Control,
            receiving: TrafficLane::Control,
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
        self.receiving = TrafficLane::Control;
        S::receive(self, message, now)
    }

    /// Bytes have arrived, though no message is whole yet: the peer lives.
    pub fn handle_bytes(&mut self, now: Time) {
        if let Some(liveness) = &mut self.liveness {
            liveness.on_received(now);
        }
    }

    /// A WebSocket ping or pong has come: the peer lives, and it has a budget of them.
    pub fn handle_ping(&mut self, now: Time) -> Result<(), Violation> {
        self.handle_bytes(now);
        self.cheap(now)
    }

    /// A message has come whose type this schema does not name: it is answered, and survived.
    pub fn handle_unknown(&mut self, name: Option<&str>, now: Time) -> Result<(), Violation> {
        if self.phase == Phase::Closed {
            return Ok(());
        }
        self.handle_bytes(now);
        self.receiving = TrafficLane::Control;
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

    /// When [`Self::handle_timeout`] is due. What is due to be sent counts only where it `can_send`:
    /// where the socket takes nothing, it waits for the socket, and time changes nothing.
    pub fn poll_timeout(&self, can_send: bool) -> Option<Time> {
        match &self.phase {
            Phase::Greeting { until } => Some(*until),
            Phase::Deciding | Phase::Closed => None,
            Phase::Open => {
                let liveness = self.liveness.as_ref();
                [
                    liveness.map(Liveness::silent_at),
                    liveness
                        .filter(|_| can_send)
                        .and_then(Liveness::heartbeat_at),
                    self.arrivals.due_at().filter(|_| can_send),
                    self.relief_at,
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
            Phase::Open => {
                self.relieve(now);
                Ok(())
            }
            _ => Ok(()),
        }
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
    /// not open, or so many wait that the peer takes none: close the connection then, as what is
    /// refused is lost.
    pub fn send(&mut self, message: impl Into<S::Send>) -> Result<(), StreamError> {
        if self.phase != Phase::Open {
            return Err(StreamError::ConnectionLost);
        }
        if self.control.len() >= CONTROL_MAX {
            return Err(StreamError::Backlog);
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
            self.with_recv(key, |recv, _| recv.lose());
            if let Some(stream) = self.streams.get(key) {
                stream.send.lose();
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

    /// How many of the counted messages the peer has taken in, as it said.
    pub const fn acknowledged_messages(&self) -> u64 {
        self.acked_messages
    }

    /// Whether the peer acknowledges counted messages.
    pub const fn is_acknowledged(&self) -> bool {
        !self.whole_only
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

    /// Does something to what a stream receives, which is told whether it may keep pieces as they
    /// are, and keeps the counts of those and of what windows have grown.
    fn with_recv<R>(
        &mut self,
        key: StreamKey,
        change: impl FnOnce(&mut RecvHalf, bool) -> R,
    ) -> Option<R> {
        let kept = self.keeps_pieces();
        self.with_stream(key, |stream| change(&mut stream.recv, kept))
    }

    /// Does something to a stream, and keeps the counts of what it receives.
    fn with_stream<R>(
        &mut self,
        key: StreamKey,
        change: impl FnOnce(&mut Stream<S::Head>) -> R,
    ) -> Option<R> {
        let stream = self.streams.get(key)?;
        let counts = |recv: &RecvHalf| (recv.pieces(), recv.grown(), recv.resting());
        let before = counts(&stream.recv);
        let result = change(stream);
        let after = counts(&stream.recv);
        self.pieces = self.pieces + after.0 - before.0;
        self.grown = self.grown + after.1 - before.1;
        self.resting = self.resting + after.2 - before.2;
        Some(result)
    }

    const fn keeps_pieces(&self) -> bool {
        self.pieces < KEPT_PIECES_MAX
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

    const fn new_send_half(&self) -> SendHalf<S::Head> {
        SendHalf::new(self.peer.stream_credit)
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
            self.watch_room(now);
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
            self.window.grant(u64::MAX);
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
