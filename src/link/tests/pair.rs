//! Two links and the network between them.

use super::{
    super::{
        Admission, Agent, AgentEvent, Link, Platform, PlatformEvent, Received, Side, StreamError,
        StreamKey, Time, Violation,
    },
    Chance, seconds,
    wire::{Shape, Wire},
};
use crate::{
    ids::{StreamId, Uuid},
    wire::{
        Codec, DecodeError, Envelope,
        binary::Binary,
        fields::FieldLines,
        json::Json,
        messages::{ErrorCode, Hello, HttpRequest, HttpResponse},
        values::{Method, RequestTarget, Secret, Text, Timestamp},
    },
};
use bytes::{Bytes, BytesMut};
use std::{collections::VecDeque, time::Duration};

/// Rounds of work at one instant after which the pair is taken for a busy loop.
const ROUNDS_MAX: usize = 200_000;

/// One end: a link, what it told its program, and the wire that it sends on.
#[derive(Debug)]
pub(super) struct End<S: Side> {
    pub(super) link: Link<S>,
    pub(super) events: VecDeque<S::Event>,
    pub(super) touched: VecDeque<StreamKey>,
    /// What ended it, if it was the peer's fault or silence.
    pub(super) failed: Option<(Time, Violation)>,
    /// Names of the messages that it sent, where they are wanted.
    pub(super) sent: Option<Vec<(Time, &'static str)>>,
    /// By how much that what was in flight passed the path's cap at the most, when something left.
    pub(super) passed: u64,
    wire: Wire,
    json: bool,
    /// Its process is stopped.
    pub(super) frozen: bool,
}

impl<S: Side> End<S> {
    fn new(link: Link<S>, shape: Shape, json: bool) -> Self {
        Self {
            link,
            events: VecDeque::new(),
            touched: VecDeque::new(),
            failed: None,
            sent: None,
            passed: 0,
            wire: Wire::new(shape),
            json,
            frozen: false,
        }
    }

    fn gather(&mut self) {
        while let Some(event) = self.link.poll_event() {
            self.events.push_back(event);
        }
        while let Some(key) = self.link.poll_touched() {
            self.touched.push_back(key);
        }
    }

    /// Takes one message from the peer's wire, and the timers that are due.
    fn take_in(&mut self, from: &mut Wire, now: Time) -> bool {
        if self.frozen || self.failed.is_some() {
            return false;
        }
        let mut done = Ok(());
        let mut progress = false;
        if self.link.poll_timeout(true).is_some_and(|due| due <= now) {
            let relief_at = self.link.relief_at;
            done = self.link.handle_timeout(now);
            // Who was given up is to be told.
            progress |= self.link.relief_at != relief_at;
        }
        if done.is_ok()
            && let Some(bytes) = from.receive(now)
        {
            progress = true;
            done = match self.decode(bytes) {
                Ok(message) => self.link.handle(message, now),
                Err(DecodeError::UnknownType { name }) => {
                    self.link.handle_unknown(name.as_deref(), now)
                }
                Err(error) => Err(error.into()),
            };
        }
        if let Err(violation) = done {
            self.fail(violation, now);
            progress = true;
        }
        self.gather();
        progress
    }

    /// Takes what has arrived from the peer, one message, and sends nothing.
    pub(super) fn take_one<P: Side>(&mut self, from: &mut End<P>, now: Time) -> bool {
        self.take_in(&mut from.wire, now)
    }

    fn fail(&mut self, violation: Violation, now: Time) {
        self.failed.get_or_insert((now, violation));
        self.link.close();
    }

    fn decode(&self, bytes: Bytes) -> Result<S::Receive, DecodeError> {
        if self.json {
            Json.decode(bytes)
        } else {
            Binary.decode(bytes)
        }
    }

    fn transmit(&mut self, now: Time) -> bool {
        let mut progress = false;
        while !self.frozen && self.wire.ready_at() <= now {
            let in_flight = self.link.path.in_flight();
            let Some(message) = self.link.poll_transmit(now) else {
                break;
            };
            progress = true;
            let path = &self.link.path;
            if path.in_flight() > in_flight {
                let passed = path.in_flight().saturating_sub(path.cap());
                self.passed = self.passed.max(passed);
            }
            if let Some(sent) = &mut self.sent {
                sent.push((now, message.name()));
            }
            let mut out = BytesMut::new();
            if self.json {
                Json.encode(message, &mut out);
            } else {
                Binary.encode(message, &mut out);
            }
            self.wire.send(out.freeze(), now);
        }
        self.gather();
        progress
    }

    /// When it has something to do of itself.
    fn due(&self, now: Time) -> Option<Time> {
        let can_send = self.wire.ready_at() <= now;
        self.link.poll_timeout(can_send).filter(|_| self.is_live())
    }

    const fn is_live(&self) -> bool {
        !self.frozen && self.failed.is_none()
    }
}

/// The whole.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) now: Time,
    pub(super) agent: End<Agent>,
    pub(super) platform: End<Platform>,
    /// The order of what happens at one instant.
    pub(super) chance: Chance,
    /// When the program wants to be asked again.
    pub(super) alarm: Option<Time>,
    /// A digest of everything that was sent, and when.
    pub(super) trace: u64,
}

pub(super) fn hello() -> Hello {
    Hello::new(Secret::new("token".into()), vec![1])
}

pub(super) fn admission() -> Admission {
    Admission {
        session_id: Uuid::from_u128(1),
        host_id: Uuid::from_u128(2),
        heartbeat: seconds(15),
        platform_time: Timestamp::from_system_time(std::time::SystemTime::UNIX_EPOCH),
        capabilities: Vec::new(),
    }
}

/// A request. Its length shows in no field but the body's.
pub(super) fn request(body: impl Into<Bytes>, follows: bool) -> HttpRequest {
    HttpRequest {
        id: StreamId::from_number(0),
        method: Method::parse("POST".into()).expect("a method"),
        path: RequestTarget::parse("/".into()).expect("a path"),
        headers: FieldLines::default(),
        body: body.into(),
        body_follows: follows,
        origin: None,
    }
}

pub(super) fn response(status: u32, body: impl Into<Bytes>, follows: bool) -> HttpResponse {
    HttpResponse {
        id: StreamId::from_number(0),
        status,
        headers: FieldLines::default(),
        body: body.into(),
        body_follows: follows,
    }
}

impl Pair {
    /// Two ends that have not spoken.
    pub(super) fn silent(shape: Shape, hello: Hello, seed: u64) -> Self {
        let start = Time::from_micros(1_000_000);
        let json = hello.protocol_versions.is_empty();
        Self {
            now: start,
            agent: End::new(Link::connect(hello, start), shape, json),
            platform: End::new(Link::accept(start), shape, json),
            chance: Chance(seed),
            alarm: None,
            trace: 0,
        }
    }

    /// Two ends that have greeted each other.
    pub(super) fn open(shape: Shape, seed: u64) -> Self {
        let mut pair = Self::silent(shape, hello(), seed);
        pair.greet();
        pair
    }

    /// Begins at another time.
    pub(super) fn start_at(&mut self, now: Time) {
        let start = now + seconds(1);
        self.now = start;
        self.agent.link = Link::connect(hello(), start);
        self.platform.link = Link::accept(start);
    }

    pub(super) fn greet(&mut self) {
        let patience = self.now + seconds(10);
        self.run_until(patience, &mut |pair| {
            pair.admit();
            pair.agent.link.is_open() && pair.platform.link.is_open()
        });
        assert!(self.agent.link.is_open() && self.platform.link.is_open());
        self.agent.events.clear();
    }

    /// Lets in who has said hello.
    pub(super) fn admit(&mut self) {
        if matches!(self.platform.events.front(), Some(PlatformEvent::Hello(_))) {
            self.platform.events.pop_front();
            self.platform.link.admit(admission(), self.now);
        }
    }

    /// Runs for that long, with nobody at the ends.
    pub(super) fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        self.run_until(until, &mut |_| false);
    }

    /// Runs until then, or until the program says that it is done. It is asked whenever something
    /// has happened.
    pub(super) fn run_until(&mut self, until: Time, program: &mut dyn FnMut(&mut Self) -> bool) {
        loop {
            if self.instant(program) {
                return;
            }
            match self.next_event() {
                Some(next) if next <= until => self.now = self.now.max(next),
                _ => {
                    self.now = self.now.max(until);
                    return;
                }
            }
        }
    }

    /// Everything that happens now, in an order of chance.
    fn instant(&mut self, program: &mut dyn FnMut(&mut Self) -> bool) -> bool {
        for _ in 0..ROUNDS_MAX {
            if self.alarm.is_some_and(|at| at <= self.now) {
                self.alarm = None;
            }
            if program(self) {
                return true;
            }
            let mut progress = false;
            let first = self.chance.below(4);
            for step in 0..4 {
                let (agent, platform, now) = (&mut self.agent, &mut self.platform, self.now);
                let (wires, moved) = match (first + step) % 4 {
                    0 => (false, agent.take_in(&mut platform.wire, now)),
                    1 => (false, platform.take_in(&mut agent.wire, now)),
                    2 => (true, agent.transmit(now)),
                    _ => (true, platform.transmit(now)),
                };
                progress |= moved;
                if wires && moved {
                    self.note();
                }
            }
            if !progress {
                return false;
            }
        }
        panic!("busy without end at {:?}", self.now);
    }

    fn note(&mut self) {
        let parts = [
            self.now.as_micros(),
            self.agent.wire.len() as u64,
            self.platform.wire.len() as u64,
            self.agent.link.sent_messages(),
            self.platform.link.sent_messages(),
        ];
        for part in parts {
            self.trace = (self.trace ^ part)
                .wrapping_mul(0x0100_0000_01b3)
                .rotate_left(17);
        }
    }

    /// When something happens next, after this instant.
    fn next_event(&self) -> Option<Time> {
        let sending = |ready: Time| (ready > self.now).then_some(ready);
        let (agent, platform) = (&self.agent, &self.platform);
        let awake = |end_awake: bool, at: Option<Time>| at.filter(|_| end_awake);
        let events = [
            agent.due(self.now),
            platform.due(self.now),
            sending(agent.wire.ready_at()),
            sending(platform.wire.ready_at()),
            awake(platform.is_live(), agent.wire.arrives_at()),
            awake(agent.is_live(), platform.wire.arrives_at()),
            self.alarm,
        ];
        let next = events.into_iter().flatten().min();
        assert!(
            next.is_none_or(|next| next > self.now),
            "an event that nothing settles at {:?}: {events:?}",
            self.now
        );
        next
    }

    /// The network swallows everything from now on, and nobody is told.
    pub(super) fn cut(&mut self) {
        for wire in [&mut self.agent.wire, &mut self.platform.wire] {
            wire.cut = true;
            wire.clear();
        }
    }

    /// Both sockets are closed.
    pub(super) fn disconnect(&mut self) {
        self.cut();
        self.agent.link.close();
        self.platform.link.close();
        self.agent.gather();
        self.platform.gather();
    }

    /// Puts a message on the agent's wire that its link did not send.
    pub(super) fn forge(&mut self, message: impl Into<<Agent as Side>::Send>) {
        let mut out = BytesMut::new();
        Binary.encode(message.into(), &mut out);
        self.agent.wire.send(out.freeze(), self.now);
    }

    /// Puts a message on the platform's wire that its link did not send.
    pub(super) fn forge_down(&mut self, message: impl Into<<Platform as Side>::Send>) {
        let mut out = BytesMut::new();
        Binary.encode(message.into(), &mut out);
        self.platform.wire.send(out.freeze(), self.now);
    }

    /// Puts bytes on the agent's wire.
    pub(super) fn forge_bytes(&mut self, bytes: &'static [u8]) {
        self.agent.wire.send(Bytes::from_static(bytes), self.now);
    }

    /// Opens a stream and lets the agent see it.
    pub(super) fn exchange(&mut self, request: HttpRequest) -> (StreamKey, StreamKey) {
        let platform = self
            .platform
            .link
            .open(request, self.now)
            .expect("a stream opens");
        let mut found = None;
        let patience = self.now + seconds(5);
        self.run_until(patience, &mut |pair| {
            found = found.or_else(|| pair.opened());
            found.is_some()
        });
        (platform, found.expect("the agent sees the stream"))
    }

    /// A stream whose answer has begun and has a body to come.
    pub(super) fn download(&mut self) -> (StreamKey, StreamKey) {
        let (platform, agent) = self.exchange(request("", false));
        let now = self.now;
        self.agent
            .link
            .send_head(agent, response(200, "", true), now)
            .expect("the agent answers");
        (platform, agent)
    }

    /// The status of the head that has come on a stream.
    pub(super) fn status(&mut self, platform: StreamKey) -> u32 {
        let head = self.platform.link.read_head(platform);
        head.expect("a head has come").expect("it lasts").status
    }

    /// The next stream that the agent's program has not seen.
    pub(super) fn opened(&mut self) -> Option<StreamKey> {
        let place = self
            .agent
            .events
            .iter()
            .position(|event| matches!(event, AgentEvent::Opened { .. }))?;
        match self.agent.events.remove(place) {
            Some(AgentEvent::Opened { key, .. }) => Some(key),
            _ => None,
        }
    }

    /// Both programs let go of a stream.
    pub(super) fn release(&mut self, platform: StreamKey, agent: StreamKey) {
        let now = self.now;
        self.platform.link.release_send(platform);
        self.platform.link.release_recv(platform, now);
        self.agent.link.release_send(agent);
        self.agent.link.release_recv(agent, now);
    }

    /// Asserts that nothing is left of any stream, and that both ends have counted the same.
    pub(super) fn assert_quiet(&mut self) {
        self.run(seconds(3));
        assert_eq!(self.agent.failed, None);
        assert_eq!(self.platform.failed, None);
        self.agent.link.assert_settled();
        self.platform.link.assert_settled();
        let (agent, platform) = (&self.agent.link, &self.platform.link);
        assert_eq!(agent.sent_messages(), platform.received_messages());
        assert_eq!(platform.sent_messages(), agent.received_messages());
        assert_eq!(agent.acked_messages, agent.sent_messages());
        assert_eq!(platform.acked_messages, platform.sent_messages());
    }
}

impl<S: Side> Link<S> {
    /// Counted messages that were taken in.
    pub(super) fn received_messages(&self) -> u64 {
        self.arrivals.messages()
    }

    /// Asserts that no stream takes a place or credit any more.
    pub(super) fn assert_settled(&self) {
        assert_eq!(self.stream_count(), 0, "{:#?}", self.streams);
        assert_eq!(self.streams.open_count(), 0);
        assert!(self.schedule.is_empty());
        assert!(self.stream_control.is_empty() && self.control.is_empty());
        assert!(self.touched.is_empty() && self.events.is_empty());
        assert_eq!(self.queued, 0);
        assert_eq!(self.window.unread(), 0);
        assert_eq!((self.grown, self.resting), (0, 0));
        assert_eq!(self.path.in_flight(), 0);
    }

    /// Places that its tables and queues hold for streams, used or not.
    pub(super) fn held(&self) -> [usize; 2] {
        let queues = self.touched.capacity() + self.stream_control.capacity();
        [self.stream_count(), queues]
    }

    /// Reads what is there. `Err` where the direction has failed, `Ok(true)` at its clean end.
    pub(super) fn drain(
        &mut self,
        key: StreamKey,
        now: Time,
        mut sink: impl FnMut(Bytes),
    ) -> Result<bool, StreamError> {
        loop {
            match self.read(key, now) {
                Received::Data(data) => sink(data),
                Received::Pending => return Ok(false),
                Received::End => return Ok(true),
                Received::Failed(error) => return Err(error),
            }
        }
    }

    /// Sends what there is room for of `left` bytes, and returns what then is left.
    pub(super) fn pour(&mut self, key: StreamKey, mut left: u64, now: Time) -> u64 {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        while left > 0 && self.has_room(key) == Ok(true) {
            let length = left.min(ZEROS.len() as u64);
            let piece = Bytes::from_static(&ZEROS[..length as usize]);
            self.send_data(key, piece, now).expect("there was room");
            left -= length;
            if left == 0 {
                self.finish(key, FieldLines::default(), now);
            }
        }
        left
    }
}

/// The code of what ended that end.
pub(super) fn code<S: Side>(end: &End<S>) -> Option<ErrorCode> {
    end.failed.as_ref().map(|(_, violation)| violation.code)
}
