//! The platform's end: it lets an agent in or not, and opens streams to it.

use super::{
    Control, Growth, Link, Phase, SendHalf, Side, StreamError, StreamKey, Terms, Time, TrafficLane,
    Violation, Window,
};
use crate::{
    ids::{StreamId, Uuid},
    limits,
    wire::{
        json,
        messages::{
            Ack, AgentToPlatform, AgentToPlatformHandler, CertificateRequest, CommandAck,
            CommandReport, Error, ErrorCode, GoAway, Heartbeat, HeartbeatAck, Hello, HttpRequest,
            HttpResponse, Journal, PlatformToAgent, Refuse, Response, StatusUpdate, StreamCredit,
            StreamData, StreamReset, StreamStop, Welcome,
        },
        values::{Name, Timestamp},
    },
};
use std::time::Duration;

/// The version of the protocol that this schema is.
const PROTOCOL_VERSION: u32 = 1;

/// The platform's end.
#[derive(Debug)]
pub enum Platform {}

/// What a platform's program is told.
#[derive(Debug)]
pub enum Event {
    /// An agent has said who it is. Answer with [`Link::admit`] or [`Link::refuse`]; until then
    /// nothing more may be handled.
    Hello(Hello),
    /// The host's health.
    Heartbeat(Heartbeat),
    /// The agent asks for another certificate.
    CertificateRequest(CertificateRequest),
    /// What the agent's journal has. It is answered with a `journal_sync`.
    Journal(Journal),
    /// What the agent knows of a command.
    CommandReport(Box<CommandReport>),
    /// A command is in the agent's journal.
    CommandAck(CommandAck),
    /// How a command is getting on.
    StatusUpdate(StatusUpdate),
    /// What came of a command.
    Response(Box<Response>),
    /// Something that this platform sent could not be taken or done.
    Error(Error),
}

/// What the platform keeps beside the streams.
#[derive(Debug, Default)]
pub struct State {
    next_stream: u64,
    /// The answer to a heartbeat that is to be sent.
    heartbeat_ack: Option<HeartbeatAck>,
    /// The platform's clock at a moment of the link's.
    wall: Option<(Time, Timestamp)>,
    /// What the agent said of itself, until the program has decided.
    greeting: Option<Greeting>,
    /// No new streams: the connection is about to be closed.
    draining: bool,
    /// The agent writes JSON, or may.
    json: bool,
}

#[derive(Debug)]
struct Greeting {
    terms: Terms,
    whole_only: bool,
}

/// What an agent that is let in is told.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Names the connection.
    pub session_id: Uuid,
    /// The host that it is.
    pub host_id: Uuid,
    /// How often it is to send its health.
    pub heartbeat: Duration,
    /// The platform's clock.
    pub platform_time: Timestamp,
    /// What the platform can do beyond the first version.
    pub capabilities: Vec<Name>,
}

impl Link<Platform> {
    /// A link that awaits an agent's hello.
    pub fn accept(now: Time) -> Self {
        Self::with_state(State::default(), Terms::default(), now)
    }

    /// The agent writes JSON, or may: one that takes streams is to take messages long enough for text.
    pub fn expect_json(mut self) -> Self {
        self.state.json = true;
        self
    }

    /// Lets the agent in.
    pub fn admit(&mut self, admission: Admission, now: Time) {
        if self.phase != Phase::Deciding {
            return;
        }
        let Some(greeting) = self.state.greeting.take() else {
            return;
        };
        self.state.wall = Some((now, admission.platform_time));
        self.open_up(greeting.terms, admission.heartbeat, false, now);
        self.whole_only = greeting.whole_only;
        if self.whole_only {
            self.allowance = super::Allowance::endless();
            let bytes = limits::SESSION_WINDOW_MAX;
            self.window = Window::new(bytes, bytes, Growth::Always);
            return;
        }
        let welcome = Welcome {
            protocol_version: PROTOCOL_VERSION,
            session_id: admission.session_id,
            heartbeat_interval_ms: u32::try_from(admission.heartbeat.as_millis())
                .unwrap_or(limits::HEARTBEAT_MS),
            limits: Some(self.own.to_message()),
            capabilities: admission.capabilities,
            platform_time: Some(admission.platform_time),
            resumed_messages: None,
            host_id: Some(admission.host_id),
        };
        self.control.push_back(Control {
            message: welcome.into(),
            counted: false,
        });
    }

    /// Does not let the agent in. Close once this has been sent.
    pub fn refuse(&mut self, refuse: Refuse) {
        self.close();
        self.control.push_back(Control {
            message: refuse.into(),
            counted: false,
        });
    }

    /// Tells the agent that the connection is about to be closed, and opens no more streams.
    pub fn go_away(&mut self, message: GoAway) {
        if self.phase == Phase::Open && !self.state.draining {
            self.state.draining = true;
            if !self.whole_only {
                self.control.push_back(Control {
                    message: message.into(),
                    counted: true,
                });
            }
        }
    }

    /// Whether the agent knows only whole requests and answers.
    pub const fn is_whole_only(&self) -> bool {
        self.whole_only
    }

    /// Opens a stream with that request. The request's id is set here.
    pub fn open(&mut self, mut request: HttpRequest, now: Time) -> Result<StreamKey, StreamError> {
        if self.phase != Phase::Open || self.state.draining {
            return Err(StreamError::ConnectionLost);
        }
        if self.streams.open_count() >= self.peer.streams_max {
            return Err(StreamError::TooManyStreams);
        }
        if self.whole_only && request.headers.get("upgrade").is_some() {
            return Err(StreamError::NotSupported);
        }
        self.state.next_stream += 1;
        request.id = StreamId::from_number(self.state.next_stream);
        let id = request.id.clone();
        let mut send = if self.whole_only {
            // All of it is to fit one message of JSON. What the body adds is counted as it comes.
            let mut head = request.clone();
            head.body.clear();
            head.body_follows = false;
            let head_bytes = json::length(PlatformToAgent::from(head));
            let left = self.peer.message_bytes_max.checked_sub(head_bytes);
            SendHalf::whole(left.ok_or(StreamError::TooBig)?)
        } else {
            self.new_send_half()
        };
        send.head(request)?;
        let key = self.streams.insert(id, send, self.new_recv_half());
        self.traffic.count_opened();
        self.want_schedule(key, now);
        Ok(key)
    }
}

impl Side for Platform {
    type Send = PlatformToAgent;
    type Receive = AgentToPlatform;
    type Head = HttpRequest;
    type Event = Event;
    type State = State;

    fn receive(
        link: &mut Link<Self>,
        message: AgentToPlatform,
        now: Time,
    ) -> Result<(), Violation> {
        let greets = matches!(message, AgentToPlatform::Hello(_));
        let expected = match &link.phase {
            Phase::Greeting { .. } => greets,
            Phase::Open => !greets,
            Phase::Deciding | Phase::Closed => false,
        };
        if !expected {
            let text = if greets {
                "a second hello"
            } else {
                "a message before the hello is answered"
            };
            return Err(Violation::new(ErrorCode::UnexpectedMessage, text));
        }
        message.dispatch(&mut Inbox { link, now })
    }

    fn urgent(link: &mut Link<Self>, _now: Time) -> Option<PlatformToAgent> {
        link.state.heartbeat_ack.take().map(Into::into)
    }

    fn is_draining(state: &State) -> bool {
        state.draining
    }
}

struct Inbox<'a> {
    link: &'a mut Link<Platform>,
    now: Time,
}

impl Inbox<'_> {
    /// A hello that trying again does not make better.
    fn turn_away(&mut self, violation: Violation) -> Violation {
        self.link.refuse(Refuse {
            code: violation.code,
            message: violation.text.clone(),
            permanent: true,
            retry_after_ms: 0,
        });
        violation
    }

    /// A counted message of no stream.
    fn tell(&mut self, event: Event) -> Result<(), Violation> {
        self.link.on_message(self.now)?;
        self.link.events.push_back(event);
        Ok(())
    }
}

impl AgentToPlatformHandler for Inbox<'_> {
    type Output = Result<(), Violation>;

    fn hello(&mut self, message: Hello) -> Self::Output {
        let versions = &message.protocol_versions;
        if !versions.is_empty() && !versions.contains(&PROTOCOL_VERSION) {
            let code = ErrorCode::VersionUnsupported;
            let text = format!("this platform speaks version {PROTOCOL_VERSION} of the protocol");
            return Err(self.turn_away(Violation::new(code, text)));
        }
        let whole_only = versions.is_empty();
        let terms = Terms::from_message(message.limits.as_ref())
            .and_then(|terms| {
                if self.link.state.json && !whole_only {
                    terms.hold_text()?;
                }
                Ok(terms)
            })
            .map_err(|violation| self.turn_away(violation))?;
        self.link.phase = Phase::Deciding;
        self.link.state.greeting = Some(Greeting { terms, whole_only });
        self.link.events.push_back(Event::Hello(message));
        Ok(())
    }

    fn heartbeat(&mut self, message: Heartbeat) -> Self::Output {
        self.link.cheap(self.now)?;
        if let (Some(us), Some(liveness)) = (message.round_trip_us, &mut self.link.liveness) {
            liveness.on_told(Duration::from_micros(us.into()));
        }
        if let Some(sent_us) = message.sent_us
            && !self.link.whole_only
        {
            let wall = self.link.state.wall.and_then(|(at, time)| {
                let now = time.to_system_time()?.checked_add(self.now.since(at))?;
                Some(Timestamp::from_system_time(now))
            });
            self.link.state.heartbeat_ack = Some(HeartbeatAck {
                sent_us,
                platform_time: wall,
            });
        }
        self.link.events.push_back(Event::Heartbeat(message));
        Ok(())
    }

    fn ack(&mut self, message: Ack) -> Self::Output {
        self.link.on_ack(&message, self.now)
    }

    fn http_response(&mut self, message: HttpResponse) -> Self::Output {
        let link = &mut *self.link;
        link.receiving = TrafficLane::Free;
        if link.whole_only {
            if message.body_follows {
                return Err(Violation::new(
                    ErrorCode::UnexpectedMessage,
                    "a body that was not announced",
                ));
            }
            if !link.streams.contains(&message.id) {
                // The program has let go of the stream, and the peer could not be told.
                return link.cheap(self.now);
            }
        }
        if !message.is_interim() {
            link.budget.earn();
        }
        let (key, now) = (link.find(&message.id)?, self.now);
        let thrown_away = link.streams.peek(key).is_some_and(|s| s.recv.is_stopped());
        let Some(bytes) = link.with_recv(key, |recv, kept| recv.head(message, kept, now)) else {
            return Ok(());
        };
        let bytes = bytes?;
        if !link.whole_only {
            link.on_arrival(bytes, now)?;
            if thrown_away {
                link.on_consumed(bytes, now);
            }
        } else if !thrown_away {
            link.take_whole(key, bytes, now);
        }
        link.touch(key);
        link.settle(key);
        Ok(())
    }

    fn stream_data(&mut self, message: StreamData) -> Self::Output {
        self.link.on_stream_data(message, self.now)
    }

    fn stream_credit(&mut self, message: StreamCredit) -> Self::Output {
        self.link.on_stream_credit(&message, self.now)
    }

    fn stream_reset(&mut self, message: StreamReset) -> Self::Output {
        self.link.on_stream_reset(message, self.now)
    }

    fn stream_stop(&mut self, message: StreamStop) -> Self::Output {
        self.link.on_stream_stop(&message, self.now)
    }

    fn certificate_request(&mut self, message: CertificateRequest) -> Self::Output {
        self.tell(Event::CertificateRequest(message))
    }

    fn journal(&mut self, message: Journal) -> Self::Output {
        self.tell(Event::Journal(message))
    }

    fn command_report(&mut self, message: CommandReport) -> Self::Output {
        self.tell(Event::CommandReport(Box::new(message)))
    }

    fn command_ack(&mut self, message: CommandAck) -> Self::Output {
        self.tell(Event::CommandAck(message))
    }

    fn status_update(&mut self, message: StatusUpdate) -> Self::Output {
        self.tell(Event::StatusUpdate(message))
    }

    fn response(&mut self, message: Response) -> Self::Output {
        self.tell(Event::Response(Box::new(message)))
    }

    fn error(&mut self, message: Error) -> Self::Output {
        self.link.cheap(self.now)?;
        self.tell(Event::Error(message))
    }
}
