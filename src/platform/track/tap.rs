//! One connection as the track sees it: which of its messages are noted, what names them, and what became
//! of them. Of bodies, heads, tokens and targets nothing is looked at.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use super::{Allowance, Track};
use crate::clock::UnixMillis;
use crate::ids::HostId;
use crate::link::{Platform as PlatformSide, Violation};
use crate::net::tap::Tap;
use crate::platform::store::track::{Direction, Outcome, Tracked};
use crate::wire::messages::{AgentToPlatform, ErrorCode, PlatformToAgent};

/// Messages that wait for the peer's acknowledgement; of more than these it is not waited for.
const UNACKNOWLEDGED_MAX: usize = 256;
/// Entries of one connection, at once and each second, where requests are not tracked: an agent that
/// reports errors without end fills its own share and nobody else's.
const OF_ONE: (u32, u32) = (256, 16);

/// Whose connection it is, once that is known.
pub type Place = Arc<OnceLock<HostId>>;

/// Looks on at one connection.
pub struct ConnectionTap {
    track: Arc<Track>,
    address: String,
    place: Place,
    /// The hello, until it is decided on.
    hello: Option<Tracked>,
    /// What was sent and is not acknowledged, with its number.
    unacknowledged: VecDeque<(u64, Tracked)>,
    allowance: Allowance,
}

impl ConnectionTap {
    /// Looks on at the connection of an agent at this address; `place` is set once it is let in.
    pub fn new(track: Arc<Track>, address: String, place: Place) -> Self {
        Self {
            track,
            address,
            place,
            hello: None,
            unacknowledged: VecDeque::new(),
            allowance: Allowance::new(OF_ONE),
        }
    }

    fn note(
        &self,
        direction: Direction,
        message_type: &'static str,
        id: String,
        code: Option<ErrorCode>,
    ) -> Tracked {
        Tracked {
            at: UnixMillis::now(),
            host: self.place.get().copied(),
            address: self.address.clone(),
            direction: Some(direction),
            message_type: message_type.into(),
            message_id: id,
            size: 0,
            outcome: None,
            code: code.and_then(ErrorCode::name).unwrap_or_default().into(),
            missed: 0,
        }
    }

    fn put(&mut self, mut tracked: Tracked, outcome: Outcome) {
        tracked.outcome = Some(outcome);
        tracked.host = tracked.host.or_else(|| self.place.get().copied());
        if self.track.settings.requests || self.allowance.spend() {
            self.track.put(tracked);
        } else {
            self.track.miss();
        }
    }

    /// The hello was decided on, where it has come.
    fn decide(&mut self, outcome: Outcome, code: Option<ErrorCode>) {
        if let Some(mut hello) = self.hello.take() {
            if let Some(code) = code.and_then(ErrorCode::name) {
                hello.code = code.into();
            }
            self.put(hello, outcome);
        }
    }

    fn settle(&mut self) {
        if self.hello.is_some() && self.place.get().is_some() {
            self.decide(Outcome::Received, None);
        }
    }
}

impl Tap<PlatformSide> for ConnectionTap {
    type Note = Tracked;

    fn coming(&mut self, message: &AgentToPlatform) -> Option<Tracked> {
        let settings = self.track.settings;
        let (id, code) = match message {
            AgentToPlatform::Ack(_)
            | AgentToPlatform::StreamData(_)
            | AgentToPlatform::StreamCredit(_) => return None,
            AgentToPlatform::HttpResponse(_)
            | AgentToPlatform::StreamReset(_)
            | AgentToPlatform::StreamStop(_)
                if !settings.requests =>
            {
                return None;
            }
            AgentToPlatform::Heartbeat(_) if !settings.heartbeats => return None,
            AgentToPlatform::Hello(_)
            | AgentToPlatform::Heartbeat(_)
            | AgentToPlatform::CertificateRequest(_) => (String::new(), None),
            AgentToPlatform::HttpResponse(response) => (response.id.to_string(), None),
            AgentToPlatform::StreamReset(reset) => (reset.id.to_string(), Some(reset.code)),
            AgentToPlatform::StreamStop(stop) => (stop.id.to_string(), Some(stop.code)),
            AgentToPlatform::Journal(journal) => (journal.message_id.clone(), None),
            AgentToPlatform::CommandReport(report) => (report.message_id.clone(), None),
            AgentToPlatform::CommandAck(ack) => (ack.message_id.clone(), None),
            AgentToPlatform::StatusUpdate(update) => (update.message_id.clone(), None),
            AgentToPlatform::Response(response) => (response.message_id.clone(), None),
            AgentToPlatform::Error(error) => (error.original_message_id.clone(), Some(error.code)),
        };
        Some(self.note(Direction::FromAgent, message.name(), id, code))
    }

    fn came(&mut self, note: Option<Tracked>, bytes: usize, refused: Option<&Violation>) {
        self.settle();
        let mut tracked =
            note.unwrap_or_else(|| self.note(Direction::FromAgent, "", String::new(), None));
        tracked.size = bytes as u64;
        match refused {
            Some(violation) => {
                tracked.code = violation.code.name().unwrap_or_default().into();
                self.put(tracked, Outcome::Refused);
            }
            None if tracked.message_type == "hello" => self.hello = Some(tracked),
            None => self.put(tracked, Outcome::Received),
        }
    }

    fn going(&mut self, message: &PlatformToAgent) -> Option<Tracked> {
        let settings = self.track.settings;
        let (id, code) = match message {
            PlatformToAgent::Ack(_)
            | PlatformToAgent::StreamData(_)
            | PlatformToAgent::StreamCredit(_) => return None,
            PlatformToAgent::HttpRequest(_)
            | PlatformToAgent::StreamReset(_)
            | PlatformToAgent::StreamStop(_)
                if !settings.requests =>
            {
                return None;
            }
            PlatformToAgent::HeartbeatAck(_) if !settings.heartbeats => return None,
            PlatformToAgent::HeartbeatAck(_) | PlatformToAgent::Certificate(_) => {
                (String::new(), None)
            }
            PlatformToAgent::Welcome(welcome) => (welcome.session_id.to_string(), None),
            PlatformToAgent::Refuse(refuse) => {
                self.decide(Outcome::Refused, Some(refuse.code));
                (String::new(), Some(refuse.code))
            }
            PlatformToAgent::GoAway(go_away) => (String::new(), Some(go_away.code)),
            PlatformToAgent::HttpRequest(request) => (request.id.to_string(), None),
            PlatformToAgent::StreamReset(reset) => (reset.id.to_string(), Some(reset.code)),
            PlatformToAgent::StreamStop(stop) => (stop.id.to_string(), Some(stop.code)),
            PlatformToAgent::SessionOpen(open) => (open.session_id.to_string(), None),
            PlatformToAgent::SessionClose(close) => (close.session_id.to_string(), None),
            PlatformToAgent::JournalSync(sync) => (sync.message_id.clone(), None),
            PlatformToAgent::CommandCancel(cancel) => (cancel.message_id.clone(), None),
            PlatformToAgent::ResponseAck(ack) => (ack.message_id.clone(), None),
            PlatformToAgent::Command(command) => (command.message_id.clone(), None),
            PlatformToAgent::Error(error) => (error.original_message_id.clone(), Some(error.code)),
        };
        self.settle();
        Some(self.note(Direction::ToAgent, message.name(), id, code))
    }

    fn gone(&mut self, mut note: Tracked, bytes: usize, number: Option<u64>) {
        note.size = bytes as u64;
        match number {
            _ if bytes == 0 => self.put(note, Outcome::Failed),
            Some(number) => {
                if self.unacknowledged.len() == UNACKNOWLEDGED_MAX
                    && let Some((_, oldest)) = self.unacknowledged.pop_front()
                {
                    self.put(oldest, Outcome::Sent);
                }
                self.unacknowledged.push_back((number, note));
            }
            None => self.put(note, Outcome::Sent),
        }
    }

    fn acknowledged(&mut self, number: u64) {
        while let Some((sent, _)) = self.unacknowledged.front()
            && *sent <= number
            && let Some((_, note)) = self.unacknowledged.pop_front()
        {
            self.put(note, Outcome::Acknowledged);
        }
    }
}

/// The connection has ended: what nobody has acknowledged or decided on will not be.
impl Drop for ConnectionTap {
    fn drop(&mut self) {
        self.settle();
        self.decide(Outcome::Failed, None);
        while let Some((_, note)) = self.unacknowledged.pop_front() {
            self.put(note, Outcome::Failed);
        }
    }
}
