//! What agents say of commands, on its way to the store. The store may be slow, and an agent may say much:
//! what is held of one connection is bounded, and of all together. Where there is more, the connection is
//! not read on, so that its agent waits; nothing is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use prost::Message as _;

use crate::ids::HostId;
use crate::net::stream::Tunnel;
use crate::platform::registry::ConnectionId;
use crate::schema::pb;
use crate::wire::messages::{
    CommandAck, CommandReport, CommandStatus, Error, Journal, Response, StatusUpdate,
};
use crate::wire::values::Timestamp;

/// Bytes that may be held of one connection: as many as an agent's outbox has on its way.
const CONNECTION_BYTES_MAX: usize = 1 << 20;
/// Bytes that may be held of all connections together.
const BYTES_MAX: usize = 64 << 20;
/// What a message takes beside its text.
const MESSAGE_BYTES: usize = 512;

/// Something that an agent said.
#[derive(Debug)]
pub enum Said {
    /// What its journal has.
    Journal(Journal),
    /// What it knows of a command.
    Report(Box<CommandReport>, Option<Box<Answer>>),
    /// It has a command.
    Ack(CommandAck),
    /// How a command is getting on.
    Status(StatusUpdate),
    /// What came of a command.
    Answer(Box<Answer>),
    /// It could not take something.
    Error(Error),
}

/// An agent's response, as it is kept.
#[derive(Debug)]
pub struct Answer {
    pub(super) message_id: String,
    pub(super) command: String,
    pub(super) status: CommandStatus,
    pub(super) reason: String,
    pub(super) detail: String,
    pub(super) started: Option<Timestamp>,
    pub(super) response: pb::Response,
    length: usize,
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        let reason = response.reason.as_ref();
        let (status, started) = (response.status, response.started_at);
        let reason = reason.map(|reason| reason.as_str().to_owned());
        let response = pb::Response::from(response);
        Self {
            message_id: response.message_id.clone(),
            command: response.original_message_id.clone(),
            status,
            reason: reason.unwrap_or_default(),
            detail: response.detail.clone(),
            started,
            length: response.encoded_len(),
            response,
        }
    }
}

impl Said {
    /// A command's report; its response is taken out of it.
    pub fn report(mut report: Box<CommandReport>) -> Self {
        let answer = report.response.take();
        Self::Report(report, answer.map(|answer| Box::new(answer.into())))
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        let own = match self {
            Self::Journal(_) | Self::Ack(_) => 0,
            Self::Status(update) => update.output.len(),
            Self::Answer(answer) => answer.length,
            Self::Error(error) => error.message.len(),
            Self::Report(report, answer) => {
                let command = report.command.clone();
                let command = command.map(|command| pb::Command::from(command).encoded_len());
                command.unwrap_or_default() + answer.as_ref().map_or(0, |answer| answer.length)
            }
        };
        MESSAGE_BYTES + own
    }
}

/// What is held of all connections.
#[derive(Debug, Default)]
pub(super) struct Intake {
    bytes: AtomicUsize,
}

/// Where one connection's agent is heard.
#[derive(Debug)]
pub struct Inlet {
    pub(super) host: HostId,
    pub(super) connection: ConnectionId,
    tunnel: Tunnel,
    intake: Arc<Intake>,
    bytes: AtomicUsize,
    paused: AtomicBool,
}

impl Inlet {
    pub(super) fn new(
        host: HostId,
        connection: ConnectionId,
        tunnel: Tunnel,
        intake: Arc<Intake>,
    ) -> Arc<Self> {
        Arc::new(Self {
            host,
            connection,
            tunnel,
            intake,
            bytes: AtomicUsize::new(0),
            paused: AtomicBool::new(false),
        })
    }

    /// Holds so many bytes until what is returned is dropped.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        let own = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let all = self.intake.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if (own > CONNECTION_BYTES_MAX || all > BYTES_MAX)
            && !self.paused.swap(true, Ordering::Relaxed)
        {
            self.tunnel.pause();
        }
        Held {
            inlet: self.clone(),
            bytes,
        }
    }
}

/// Bytes that are held; dropping it lets go of them.
#[derive(Debug)]
pub(super) struct Held {
    inlet: Arc<Inlet>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        let Inlet { bytes, intake, .. } = &*self.inlet;
        let own = bytes.fetch_sub(self.bytes, Ordering::Relaxed) - self.bytes;
        let all = intake.bytes.fetch_sub(self.bytes, Ordering::Relaxed) - self.bytes;
        // Whoever holds nothing any more goes on in any case: nobody else would tell it later.
        let goes_on = own == 0 || own <= CONNECTION_BYTES_MAX / 2 && all <= BYTES_MAX / 2;
        if goes_on && self.inlet.paused.swap(false, Ordering::Relaxed) {
            self.inlet.tunnel.resume();
        }
    }
}
