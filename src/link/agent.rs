//! The agent's end: it says hello, beats, and takes requests in.

use super::{Link, Phase, Side, StreamKey, Terms, Time, TrafficLane, Violation};
use crate::wire::messages::{
    Ack, AgentToPlatform, Certificate, Command, CommandCancel, Error, ErrorCode, GoAway, Heartbeat,
    HeartbeatAck, Hello, HttpRequest, HttpResponse, JournalSync, PlatformToAgent,
    PlatformToAgentHandler, Refuse, ResponseAck, SessionClose, SessionOpen, StreamCredit,
    StreamData, StreamReset, StreamStop, Welcome,
};
use std::time::Duration;

/// The agent's end.
#[derive(Debug)]
pub enum Agent {}

/// What an agent's program is told.
#[derive(Debug)]
pub enum Event {
    /// The platform has let the agent in.
    Welcome(Welcome),
    /// The platform has not.
    Refuse(Refuse),
    /// The platform is about to close.
    GoAway(GoAway),
    /// A request has opened a stream. Its first bytes are read from the stream.
    Opened {
        /// The stream.
        key: StreamKey,
        /// The request, its body taken out.
        request: HttpRequest,
    },
    /// A console session has begun.
    SessionOpen(SessionOpen),
    /// A console session has ended.
    SessionClose(SessionClose),
    /// The certificate that was asked for.
    Certificate(Certificate),
    /// Work for the host.
    Command(Command),
    /// A command is not wanted any more.
    CommandCancel(CommandCancel),
    /// A response is committed.
    ResponseAck(ResponseAck),
    /// The answer to the journal.
    JournalSync(JournalSync),
    /// Something that this agent sent could not be taken.
    Error(Error),
}

/// What an agent keeps beside the streams.
#[derive(Debug)]
pub struct State {
    health: Heartbeat,
}

impl Link<Agent> {
    /// A link that begins with that hello. What the agent takes in is set in it.
    pub fn connect(mut hello: Hello, now: Time) -> Self {
        let own = Terms::default();
        hello.limits = Some(own.to_message());
        let health = Heartbeat {
            uptime_seconds: None,
            cpu_percent: None,
            memory_percent: None,
            disk_percent: None,
            load_1m: None,
            temperature_celsius: None,
            sent_us: None,
            round_trip_us: None,
        };
        let mut link = Self::with_state(State { health }, own, now);
        link.control.push_back(super::Control {
            message: hello.into(),
            counted: false,
        });
        link
    }

    /// The figures that heartbeats carry from now on.
    pub fn set_health(&mut self, health: Heartbeat) {
        self.state.health = health;
    }
}

impl Side for Agent {
    type Send = AgentToPlatform;
    type Receive = PlatformToAgent;
    type Head = HttpResponse;
    type Event = Event;
    type State = State;

    fn receive(
        link: &mut Link<Self>,
        message: PlatformToAgent,
        now: Time,
    ) -> Result<(), Violation> {
        let greeted = link.phase == Phase::Open;
        let greets = matches!(
            message,
            PlatformToAgent::Welcome(_) | PlatformToAgent::Refuse(_)
        );
        if greeted == greets {
            let text = if greeted {
                "a second welcome"
            } else {
                "a message before the welcome"
            };
            return Err(Violation::new(ErrorCode::UnexpectedMessage, text));
        }
        message.dispatch(&mut Inbox { link, now })
    }

    fn urgent(link: &mut Link<Self>, now: Time) -> Option<AgentToPlatform> {
        let liveness = link.liveness.as_mut()?;
        if liveness.heartbeat_at().is_none_or(|due| now < due) {
            return None;
        }
        liveness.on_heartbeat(now);
        let round_trip = liveness.round_trip();
        Some(
            Heartbeat {
                sent_us: Some(now.as_micros()),
                round_trip_us: round_trip.and_then(|time| u32::try_from(time.as_micros()).ok()),
                ..link.state.health.clone()
            }
            .into(),
        )
    }

    fn is_draining(_: &State) -> bool {
        false
    }
}

struct Inbox<'a> {
    link: &'a mut Link<Agent>,
    now: Time,
}

impl Inbox<'_> {
    /// A counted message of no stream.
    fn tell(&mut self, event: Event) -> Result<(), Violation> {
        self.link.on_message(self.now)?;
        self.link.events.push_back(event);
        Ok(())
    }
}

impl PlatformToAgentHandler for Inbox<'_> {
    type Output = Result<(), Violation>;

    fn welcome(&mut self, message: Welcome) -> Self::Output {
        let interval = Duration::from_millis(u64::from(message.heartbeat_interval_ms));
        let terms = Terms::from_message(message.limits.as_ref())?;
        self.link.open_up(terms, interval, true, self.now);
        self.link.events.push_back(Event::Welcome(message));
        Ok(())
    }

    fn refuse(&mut self, message: Refuse) -> Self::Output {
        self.link.close();
        self.link.events.push_back(Event::Refuse(message));
        Ok(())
    }

    fn heartbeat_ack(&mut self, message: HeartbeatAck) -> Self::Output {
        if let Some(liveness) = &mut self.link.liveness {
            liveness.on_answer(Time::from_micros(message.sent_us), self.now);
        }
        Ok(())
    }

    fn ack(&mut self, message: Ack) -> Self::Output {
        self.link.on_ack(&message, self.now)
    }

    fn go_away(&mut self, message: GoAway) -> Self::Output {
        self.tell(Event::GoAway(message))
    }

    fn http_request(&mut self, mut message: HttpRequest) -> Self::Output {
        let link = &mut *self.link;
        link.receiving = TrafficLane::Free;
        if link.streams.contains(&message.id) {
            return Err(Violation::new(
                ErrorCode::UnexpectedMessage,
                "a stream opened twice",
            ));
        }
        if link.streams.open_count() >= link.own.streams_max {
            return Err(Violation::new(
                ErrorCode::TooManyStreams,
                "more streams than the limit",
            ));
        }
        let mut recv = link.new_recv_half();
        let body = std::mem::take(&mut message.body);
        let bytes = recv.begin(body, message.body_follows, link.keeps_pieces(), self.now)?;
        // A viewer may change their mind: the stop of each request is paid for by its opening, and so is
        // the reset of a body that follows.
        link.budget.earn();
        if message.body_follows {
            link.budget.earn();
        }
        link.on_arrival(bytes, self.now)?;
        link.pieces += recv.pieces();
        link.traffic.count_opened();
        let key = link
            .streams
            .insert(message.id.clone(), link.new_send_half(), recv);
        link.events.push_back(Event::Opened {
            key,
            request: message,
        });
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

    fn session_open(&mut self, message: SessionOpen) -> Self::Output {
        self.tell(Event::SessionOpen(message))
    }

    fn session_close(&mut self, message: SessionClose) -> Self::Output {
        self.tell(Event::SessionClose(message))
    }

    fn certificate(&mut self, message: Certificate) -> Self::Output {
        self.tell(Event::Certificate(message))
    }

    fn command(&mut self, message: Command) -> Self::Output {
        self.tell(Event::Command(message))
    }

    fn command_cancel(&mut self, message: CommandCancel) -> Self::Output {
        self.tell(Event::CommandCancel(message))
    }

    fn response_ack(&mut self, message: ResponseAck) -> Self::Output {
        self.tell(Event::ResponseAck(message))
    }

    fn journal_sync(&mut self, message: JournalSync) -> Self::Output {
        self.tell(Event::JournalSync(message))
    }

    fn error(&mut self, message: Error) -> Self::Output {
        self.link.cheap(self.now)?;
        self.tell(Event::Error(message))
    }
}
