//! Commands, as the agent has them: received once, run once, and their outcome kept until the platform has
//! it, whatever ends in between. One task, the desk, owns all of it (`desk`); the journal lets it outlive the
//! process (`journal`). Here are the ways in: from a connection ([`Visit`]), and at the agent's start
//! ([`start`]). What runs a command is `agent::executors`.

pub mod config;
mod desk;
mod entries;
mod journal;
mod known;
mod outbox;
mod progress;
mod response;
mod runner;
mod session;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::executors::{Executors, Fault, Job, Outcome, Reports, Stop, Turn};
use crate::clock::UnixMillis;
use crate::ids::Uuid;
use crate::link::{Agent, AgentEvent};
use crate::net::capability::{self, COMMAND_ACK};
use crate::net::connection::Connection;
use crate::wire::messages::{
    AgentToPlatform, Command, CommandParameters, Error, ErrorCode, PlatformToAgent, Welcome,
};
use desk::Desk;
use journal::{Directory, JournalFile, Recovered, Writer, storage::Storage};

/// Messages that wait for the desk, which never waits for a disk: more come only from a platform that means
/// harm.
const INBOX_MAX: usize = 1024;
/// The most bytes of commands among them.
const INBOX_BYTES_MAX: usize = 8 << 20;

/// What runs commands.
pub trait Runs: Send + Sync + 'static {
    /// What a command holds from before its beginning until its end.
    type Turn: Send + 'static;
    /// Whether a command would be run. It asks nobody, and takes no time.
    ///
    /// # Errors
    /// [`Fault`] with the rule that does not allow it, or the field that nobody could run.
    fn check(&self, parameters: &CommandParameters) -> Result<(), Fault>;
    /// The turn of a command that would be begun; `None` where it has to wait for one that is alone, which is
    /// looked at again within a second. It takes no time.
    fn turn(&self, parameters: &CommandParameters) -> Option<Self::Turn>;
    /// Runs it to its end, within its time limit, or until it is told to stop.
    fn run(&self, job: Job, reports: Reports, stop: Stop) -> impl Future<Output = Outcome> + Send;
    /// What became of a run that the agent's own end cut; `None` where nobody knows. No command begins before
    /// this has returned.
    fn after_restart(
        &self,
        id: &str,
        parameters: &CommandParameters,
    ) -> impl Future<Output = Option<Outcome>> + Send;
    /// Ends what an agent that was killed left running of a command.
    fn end_left_over(&self, id: &str) -> impl Future<Output = ()> + Send;
}

impl Runs for Executors {
    type Turn = Turn;

    fn turn(&self, parameters: &CommandParameters) -> Option<Turn> {
        Self::turn(self, parameters)
    }

    fn check(&self, parameters: &CommandParameters) -> Result<(), Fault> {
        Self::check(self, parameters)
    }

    fn run(&self, job: Job, reports: Reports, stop: Stop) -> impl Future<Output = Outcome> + Send {
        Self::run(self, job, reports, stop)
    }

    async fn after_restart(&self, id: &str, parameters: &CommandParameters) -> Option<Outcome> {
        Self::after_restart(self, id, parameters).await
    }

    async fn end_left_over(&self, id: &str) {
        let processes = Self::end_left_over(self, id).await;
        if processes > 0 {
            info!(command = %id, processes, "what an earlier agent left running was ended");
        }
    }
}

/// Where messages to the platform go: a connection.
pub trait Way: Clone + Send + Sync + 'static {
    /// Sends one; on a connection that has ended, nobody is told.
    fn send(&self, message: AgentToPlatform);
    /// How many wait to be sent.
    fn backlog(&self) -> usize;
    /// The longest that the platform takes, in bytes.
    fn bytes_max(&self) -> usize;
}

impl Way for Connection<Agent> {
    fn send(&self, message: AgentToPlatform) {
        // The next connection says what this one could not.
        let _ = Connection::send(self, message);
    }

    fn backlog(&self) -> usize {
        self.look(|link| link.waiting_messages())
    }

    fn bytes_max(&self) -> usize {
        self.look(|link| link.peer_terms().message_bytes_max)
    }
}

/// A message to the desk, of the connection with that number.
#[derive(Debug)]
struct Message<W> {
    number: u64,
    content: Content<W>,
}

#[derive(Debug)]
enum Content<W> {
    Welcome {
        way: W,
        /// The platform's clock, and when it said so.
        clock: Option<(UnixMillis, Instant)>,
    },
    Command {
        command: Box<Command>,
        encoded: Bytes,
        _room: OwnedSemaphorePermit,
    },
    Cancel {
        id: String,
    },
    Acknowledged {
        response_id: String,
    },
    Synced {
        epoch: Uuid,
        report: bool,
    },
}

/// The way to the desk.
#[derive(Clone, Debug)]
pub struct Commands<W = Connection<Agent>> {
    inbox: mpsc::Sender<Message<W>>,
    room: Arc<Semaphore>,
    visits: Arc<AtomicU64>,
}

/// Opens the journal of this host in its state directory, and starts the desk with what it has.
///
/// # Errors
/// When the journal cannot be read. A disk that is full is no error: commands are put off until it is not.
pub async fn start<R: Runs>(
    directory: &Path,
    host: String,
    runs: R,
    concurrent: usize,
) -> io::Result<Commands> {
    let storage = Directory(directory.to_owned());
    let opened = spawn_blocking(move || JournalFile::open(storage, &host));
    let (journal, recovered) = opened.await.map_err(io::Error::other)??;
    let (commands, desk) = open_desk(journal, recovered, runs, concurrent)?;
    tokio::spawn(desk);
    Ok(commands)
}

/// A desk for what a journal had: the way to it, and its task.
fn open_desk<S, R, W>(
    journal: JournalFile<S>,
    recovered: Recovered,
    runs: R,
    concurrent: usize,
) -> io::Result<(Commands<W>, impl Future<Output = ()> + Send + use<S, R, W>)>
where
    S: Storage,
    R: Runs,
    W: Way,
{
    let (inbox, receive) = mpsc::channel(INBOX_MAX);
    let commands = Commands {
        inbox,
        room: Arc::new(Semaphore::new(INBOX_BYTES_MAX)),
        visits: Arc::default(),
    };
    let (writer, answers) = Writer::start(journal)?;
    let known = recovered.commands.len();
    let sequence = recovered.known.highest();
    info!(known, sequence, "the journal of commands is open");
    let desk = Desk::new(runs, concurrent, writer, recovered);
    Ok((commands, desk.run(receive, answers)))
}

impl<W: Way> Commands<W> {
    /// For one connection: takes what comes over it.
    pub fn visit(&self) -> Visit<W> {
        Visit {
            number: self.visits.fetch_add(1, Ordering::Relaxed),
            commands: self.clone(),
            agreed: false,
        }
    }
}

/// What comes over one connection, on its way to the desk.
#[derive(Debug)]
pub struct Visit<W = Connection<Agent>> {
    number: u64,
    commands: Commands<W>,
    /// The platform acknowledges responses and speaks with the journal.
    agreed: bool,
}

/// The platform says more than the desk takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flood;

impl<W: Way> Visit<W> {
    /// The platform has let the agent in.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn welcome(&mut self, welcome: &Welcome, way: &W) -> Result<(), Flood> {
        self.agreed = capability::has(&welcome.capabilities, COMMAND_ACK);
        if !self.agreed {
            return Ok(());
        }
        let clock = welcome.platform_time.map(UnixMillis::from);
        self.tell(Content::Welcome {
            way: way.clone(),
            clock: clock.map(|clock| (clock, Instant::now())),
        })
    }

    /// Takes an event that is about commands; any other is passed over.
    ///
    /// # Errors
    /// [`Flood`] where it cannot be taken: the connection is to be closed, and the next one begins anew.
    pub fn take(&self, event: AgentEvent, way: &W) -> Result<(), Flood> {
        if let AgentEvent::Command(command) = event {
            self.command(command, way);
            return Ok(());
        }
        if !self.agreed {
            debug!("the platform speaks of commands, and has not said that it acknowledges them");
            return Ok(());
        }
        self.tell(match event {
            AgentEvent::CommandCancel(cancel) => Content::Cancel {
                id: cancel.original_message_id,
            },
            AgentEvent::ResponseAck(ack) => Content::Acknowledged {
                response_id: ack.original_message_id,
            },
            AgentEvent::JournalSync(sync) => Content::Synced {
                epoch: sync.epoch,
                report: sync.report,
            },
            _ => return Ok(()),
        })
    }

    fn command(&self, mut command: Command, way: &W) {
        let id = command.message_id.clone();
        if !self.agreed {
            warn!(command = %id, "a command of a platform that does not acknowledge responses");
            let code = ErrorCode::CommandTypeUnknown;
            way.send(put_off(
                id,
                code,
                "this agent runs commands for a platform with command_ack",
            ));
            return;
        }
        if let Some(CommandParameters::Unknown(unknown)) = &mut command.parameters {
            // Nobody runs it, however long it is.
            unknown.parameters = None;
        }
        let encoded = response::encode(PlatformToAgent::from(command.clone()));
        let length = u32::try_from(encoded.len()).unwrap_or(u32::MAX);
        let room = self.commands.room.clone().try_acquire_many_owned(length);
        let told = room.map(|room| {
            self.tell(Content::Command {
                command: Box::new(command),
                encoded,
                _room: room,
            })
        });
        if !matches!(told, Ok(Ok(()))) {
            way.send(put_off(id, ErrorCode::Overloaded, "too many commands wait"));
        }
    }

    fn tell(&self, content: Content<W>) -> Result<(), Flood> {
        let number = self.number;
        let told = self.commands.inbox.try_send(Message { number, content });
        told.map_err(|_| Flood)
    }
}

/// The answer to a command that was not taken.
fn put_off(id: String, code: ErrorCode, why: &str) -> AgentToPlatform {
    let error = Error {
        message_id: response::new_id(),
        original_message_id: id,
        timestamp: response::now(),
        code,
        message: why.to_owned(),
    };
    error.into()
}
