//! The one task that commands belong to. It takes what comes over the connection, from the journal's thread
//! and from runs, and moves each command on; nothing is told before the journal has it. It waits for nobody:
//! not for the disk, not for the connection, not for a run. `written` has what follows on what it wrote.

mod written;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::agent::commands::entries::{Entries, Stage, is_expired};
use crate::agent::commands::journal::{
    Done, Identity, Received, Record, Recovered, RecoveredState, Writer,
};
use crate::agent::commands::known::Known;
use crate::agent::commands::outbox::Outbox;
use crate::agent::commands::response::{decode_command, new_id, now, of_outcome, without_result};
use crate::agent::commands::runner::{self, Ran};
use crate::agent::commands::session::{Session, Step as SessionStep};
use crate::agent::commands::{Content, Message, Runs, Way, put_off};
use crate::agent::executors::{Fault, Outcome};
use crate::clock::UnixMillis;
use crate::ids::Uuid;
use crate::wire::messages::{
    AgentToPlatform, Command, CommandAck, CommandStatus, ErrorCode, Response, StatusUpdate,
};
use crate::wire::values::Timestamp;

/// How long what could not be written waits until it is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long a connection that has much to send is left alone.
const PAUSE: Duration = Duration::from_millis(20);

/// The desk.
pub struct Desk<R: Runs, W: Way> {
    runs: Arc<R>,
    /// How many commands may run at once.
    concurrent: usize,
    writer: Writer<Step>,
    identity: Identity,
    known: Known,
    entries: Entries,
    outbox: Outbox,
    /// Responses that are being read from the journal for it.
    fetching: usize,
    session: Session<W>,
    /// The platform's clock, and when it said so.
    clock: Option<(UnixMillis, Instant)>,
    running: JoinSet<Ran>,
    /// The commands that run, by their tasks.
    tasks: HashMap<Id, String>,
    /// The turns of those that are being begun, or run.
    turns: HashMap<String, R::Turn>,
    /// The commands that the end of the process before cut, and when they were begun.
    cut: Vec<(String, Bytes, UnixMillis)>,
    /// What could not be written.
    unwritten: VecDeque<Step>,
    retry_at: Option<Instant>,
}

/// What an order to the journal was for.
#[derive(Debug)]
pub enum Step {
    /// The epoch of the platform's store, told on this connection.
    Epoch { number: u64, epoch: Uuid },
    /// A command came.
    Received {
        id: String,
        sequence: u64,
        settled: u64,
    },
    /// It is to be begun.
    Started(String),
    /// It has ended.
    Ended(String),
    /// The platform has its response.
    Acknowledged(String),
    /// Its response is to be sent on this connection, in its turn, or because it was asked for.
    Send { number: u64, in_turn: bool },
    /// It is to be reported on this connection.
    Report { number: u64, id: String },
}

impl<R: Runs, W: Way> Desk<R, W> {
    /// A desk that goes on with what a journal had.
    pub fn new(runs: R, concurrent: usize, writer: Writer<Step>, recovered: Recovered) -> Self {
        let mut desk = Self {
            runs: Arc::new(runs),
            concurrent,
            writer,
            identity: recovered.identity,
            known: recovered.known,
            entries: Entries::default(),
            outbox: Outbox::default(),
            fetching: 0,
            session: Session::default(),
            clock: None,
            running: JoinSet::new(),
            tasks: HashMap::new(),
            turns: HashMap::new(),
            cut: Vec::new(),
            unwritten: VecDeque::new(),
            retry_at: None,
        };
        let mut ended = Vec::new();
        for command in recovered.commands {
            let id = command.id;
            match command.state {
                RecoveredState::Finished => {
                    desk.entries
                        .insert_ended(id, Stage::Finished, command.begun);
                }
                RecoveredState::Ended {
                    response_id,
                    place,
                    bytes,
                } => ended.push((place, id, response_id, bytes, command.begun)),
                RecoveredState::Started { command, at } => desk.cut.push((id, command, at)),
                RecoveredState::Waiting { command } => desk.waits_again(id, command),
            }
        }
        ended.sort_unstable_by_key(|(place, ..)| *place);
        for (_, id, response_id, bytes, begun) in ended {
            desk.entries.insert_ended(id.clone(), Stage::Ended, begun);
            desk.outbox.push(id, response_id, bytes);
        }
        desk
    }

    /// A command that the end of the process cut.
    async fn was_cut(&mut self, id: String, command: Bytes, at: UnixMillis) {
        let started_at = Some(Timestamp::from(at));
        let command = decode_command(command);
        let parameters = command.and_then(|command| command.parameters);
        let outcome = match parameters {
            Some(parameters) => self.runs.after_restart(&id, &parameters).await,
            None => None,
        };
        let response = match outcome {
            Some(outcome) => of_outcome(&id, outcome, started_at),
            None => {
                let fault = Fault {
                    reason: "agent_ended",
                    detail: "the agent ended while it ran".to_owned(),
                };
                let status = CommandStatus::Interrupted;
                let mut response = without_result(&id, status, Some(fault));
                response.started_at = started_at;
                response
            }
        };
        self.entries.insert_ended(id.clone(), Stage::Ended, true);
        self.end(id, response);
    }

    /// A command that was not begun. Its owner may have come to another mind.
    fn waits_again(&mut self, id: String, encoded: Bytes) {
        let bytes = encoded.len();
        let command = decode_command(encoded);
        let checked = match command.as_ref() {
            Some(command) => self.check(command),
            None => Err(unknown_type()),
        };
        match (command, checked) {
            (Some(command), Ok(())) => {
                self.entries.insert(id.clone(), Box::new(command), bytes);
                self.entries.wait(&id);
            }
            (_, checked) => {
                let status = CommandStatus::Refused;
                let response = without_result(&id, status, checked.err());
                self.entries.insert_ended(id.clone(), Stage::Ended, false);
                self.end(id, response);
            }
        }
    }

    /// Works until nobody can say anything any more.
    pub async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Message<W>>,
        mut answers: mpsc::UnboundedReceiver<Done<Step>>,
    ) {
        for (id, command, at) in std::mem::take(&mut self.cut) {
            self.runs.end_left_over(&id).await;
            self.was_cut(id, command, at).await;
        }
        loop {
            self.expire();
            self.begin();
            let pauses = self.report();
            let due = match (self.retry_at, pauses) {
                (_, true) => Some(Instant::now() + PAUSE),
                (Some(at), false) => Some(at),
                (None, false) if self.entries.any_waits() => Some(Instant::now() + RETRY),
                (None, false) => None,
            };
            let wait = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(done) = answers.recv() => self.on_done(done),
                Some(ran) = self.running.join_next_with_id() => self.on_ran(ran),
                message = inbox.recv() => match message {
                    Some(message) => self.on_message(message),
                    None => return,
                },
                () = wait => self.retry(),
            }
        }
    }

    /// The platform's clock, where it has said it once.
    fn platform_now(&self) -> Option<UnixMillis> {
        let (then, at) = self.clock?;
        Some(then.plus(at.elapsed()))
    }

    fn on_message(&mut self, message: Message<W>) {
        if let Content::Welcome { way, clock } = message.content {
            self.clock = clock.or(self.clock);
            self.session.begin(message.number, way);
            self.session.say_journal(&self.identity, &self.known);
            return;
        }
        if !self.session.is(message.number) {
            return;
        }
        match message.content {
            Content::Command {
                command, encoded, ..
            } => self.on_command(command, encoded),
            Content::Cancel { id } => self.on_cancel(&id),
            Content::Acknowledged { response_id } => {
                if let Some(id) = self.outbox.acknowledge(&response_id) {
                    self.entries.finish(&id);
                    self.write(Step::Acknowledged(id));
                    self.send_responses(None);
                }
            }
            Content::Synced { epoch, report } => {
                let known = self.entries.ids().cloned();
                match self.session.on_sync(epoch, report, &self.identity, known) {
                    SessionStep::Adopt => self.write(Step::Epoch {
                        number: message.number,
                        epoch,
                    }),
                    SessionStep::Open => self.open(),
                    SessionStep::None => {}
                }
            }
            Content::Welcome { .. } => {}
        }
    }

    fn on_command(&mut self, command: Box<Command>, encoded: Bytes) {
        let id = command.message_id.clone();
        if !self.session.takes_commands() {
            let why = "this agent's journal has not been synced";
            self.say(put_off(id, ErrorCode::Overloaded, why));
            return;
        }
        // One that has expired here is sent again in another place, as with its host's next window: it was
        // never begun, so that it is run for the first time.
        let again = self.entries.is_unbegun(&id)
            && command.sequence > 0
            && !self.known.contains(command.sequence);
        if !again && self.entries.get(&id).is_some() {
            self.on_known(id);
            return;
        }
        let answer = |status, fault| without_result(&id, status, fault).into();
        if self.known.contains(command.sequence) {
            warn!(command = %id, sequence = command.sequence, "a command that came before");
            let fault = Fault {
                reason: "known_before",
                detail: "it came before, and what became of it is not kept any more".to_owned(),
            };
            self.say(answer(CommandStatus::Interrupted, Some(fault)));
            return;
        }
        if let Err(fault) = self.check(&command) {
            warn!(command = %id, reason = fault.reason, "a command was refused: {}", fault.detail);
            self.say(answer(CommandStatus::Refused, Some(fault)));
            return;
        }
        if is_expired(&command, self.platform_now()) {
            self.say(answer(CommandStatus::Expired, Some(expired())));
            return;
        }
        let bytes = encoded.len();
        if !self.entries.has_room_for(bytes) || !self.known.has_room_for(command.sequence) {
            self.say(put_off(id, ErrorCode::Overloaded, "too many commands wait"));
            return;
        }
        if again && !self.unwritten.is_empty() {
            // That its response was acknowledged may be among it, and would be taken for that of the next.
            let why = "this agent's journal cannot be written";
            self.say(put_off(id, ErrorCode::Overloaded, why));
            return;
        }
        self.entries.remove(&id);
        // A command is not settled itself, whatever its sender makes of it.
        let settled = command.settled_sequence;
        let settled = settled.min(command.sequence.saturating_sub(1));
        let received = Received {
            id: id.clone(),
            sequence: command.sequence,
            settled,
            command: encoded,
        };
        let step = Step::Received {
            id: id.clone(),
            sequence: command.sequence,
            settled,
        };
        self.entries.insert(id, command, bytes);
        self.writer.append(Record::Received(received), step);
    }

    fn check(&self, command: &Command) -> Result<(), Fault> {
        match &command.parameters {
            Some(parameters) => self.runs.check(parameters),
            None => Err(unknown_type()),
        }
    }

    /// A command came again: what is known of it is said.
    fn on_known(&mut self, id: String) {
        let Some(entry) = self.entries.get(&id) else {
            return;
        };
        match &entry.stage {
            // The answer to the first is on its way.
            Stage::Writing(_) => {}
            Stage::Finished => self.send_again(id),
            stage => {
                let runs = matches!(stage, Stage::Running(_));
                self.say(acknowledgement(&id).into());
                if runs {
                    self.say(status(&id, CommandStatus::Running).into());
                }
            }
        }
    }

    /// Sends a response that the platform has had before. One that asks again and again is not followed.
    fn send_again(&mut self, id: String) {
        if !self.session.is_busy() {
            let number = self.session.number();
            let in_turn = false;
            self.writer.fetch(id, Step::Send { number, in_turn });
        }
    }

    fn on_cancel(&mut self, id: &str) {
        let Some(entry) = self.entries.get(id) else {
            debug!(command = %id, "a command that is not known was cancelled");
            return;
        };
        entry.cancelled = true;
        match &entry.stage {
            Stage::Waiting(_) => self.cancelled(id.to_owned()),
            Stage::Running(stop) => {
                info!(command = %id, "the command is to stop");
                stop.send_replace(true);
            }
            Stage::Finished => self.send_again(id.to_owned()),
            // Decided with what is on its way, or with the response.
            Stage::Writing(_) | Stage::Beginning(_) | Stage::Ending(..) | Stage::Ended => {}
        }
    }

    fn cancelled(&mut self, id: String) {
        let fault = Fault {
            reason: "cancelled",
            detail: "it was cancelled before it began".to_owned(),
        };
        let response = without_result(&id, CommandStatus::Cancelled, Some(fault));
        self.end(id, response);
    }

    fn expire(&mut self) {
        let Some(now) = self.platform_now() else {
            return;
        };
        for id in self.entries.expired(now) {
            let response = without_result(&id, CommandStatus::Expired, Some(expired()));
            self.end(id, response);
        }
    }

    /// Begins as many as may run. One that has an end waits for the platform's clock.
    fn begin(&mut self) {
        while self.turns.len() < self.concurrent && self.retry_at.is_none() {
            let (runs, knows_time) = (&self.runs, self.clock.is_some());
            let turn = |command: &Command| {
                let may = knows_time || command.expires_at.is_none();
                runs.turn(command.parameters.as_ref().filter(|_| may)?)
            };
            let Some((id, turn)) = self.entries.begin(turn) else {
                return;
            };
            self.turns.insert(id.clone(), turn);
            self.write(Step::Started(id));
        }
    }

    /// A command whose beginning is in the journal.
    fn start(&mut self, id: String) {
        let Some(entry) = self.entries.get(&id) else {
            return;
        };
        if entry.cancelled {
            self.turns.remove(&id);
            self.cancelled(id);
            return;
        }
        let (stop, stopped) = watch::channel(false);
        let stage = std::mem::replace(&mut entry.stage, Stage::Running(stop));
        let Stage::Beginning(command) = stage else {
            return;
        };
        info!(command = %id, "the command runs");
        if self.session.is_open() {
            self.say(status(&id, CommandStatus::Running).into());
        }
        let way = self.session.watch();
        let run = runner::run(self.runs.clone(), *command, stopped, way);
        let task = self.running.spawn(run);
        self.tasks.insert(task.id(), id);
    }

    fn on_ran(&mut self, ran: Result<(Id, Ran), tokio::task::JoinError>) {
        let (task, outcome, started_at) = match ran {
            Ok((task, ran)) => (task, ran.outcome, Some(ran.started_at)),
            // The panic has been reported.
            Err(error) => (error.id(), Outcome::failed(broken()), now()),
        };
        if let Some(id) = self.tasks.remove(&task) {
            self.turns.remove(&id);
            info!(command = %id, status = ?outcome.status, "the command has ended");
            let response = of_outcome(&id, outcome, started_at);
            self.end(id, response);
        }
    }

    fn send(&self, response: Response) {
        self.session.send_response(response);
    }

    fn say(&self, message: AgentToPlatform) {
        self.session.say(message);
    }
}

fn acknowledgement(id: &str) -> CommandAck {
    CommandAck {
        message_id: new_id(),
        original_message_id: id.to_owned(),
        timestamp: now(),
    }
}

fn status(id: &str, status: CommandStatus) -> StatusUpdate {
    StatusUpdate {
        message_id: new_id(),
        original_message_id: id.to_owned(),
        timestamp: now(),
        status,
        progress_percent: None,
        output: String::new(),
        output_offset: 0,
    }
}

fn expired() -> Fault {
    Fault {
        reason: "expired",
        detail: "it was past its end before it could begin".to_owned(),
    }
}

fn unknown_type() -> Fault {
    Fault {
        reason: "command_type_unknown",
        detail: "this agent knows no command of this type".to_owned(),
    }
}

fn broken() -> Fault {
    Fault {
        reason: "internal",
        detail: "a fault of the agent itself ended it; its log says more".to_owned(),
    }
}
