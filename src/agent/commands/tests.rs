//! The desk with a disk in memory, runs that do as they are told, and a platform that is a channel.

mod turns;

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::journal::tests::Recorded;
use super::*;
use crate::agent::executors::{Ended, Report};
use crate::wire::messages::{
    CommandCancel, CommandPriority, CommandReport, CommandStatus, Journal, JournalSync, Response,
    ResponseAck, Script, StatusUpdate, UnknownCommand,
};
use crate::wire::values::Timestamp;

const HOST: &str = "h1";
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
struct Channel {
    sent: UnboundedSender<AgentToPlatform>,
    bytes_max: usize,
}

impl Way for Channel {
    fn send(&self, message: AgentToPlatform) {
        let _ = self.sent.send(message);
    }

    fn backlog(&self) -> usize {
        0
    }

    fn bytes_max(&self) -> usize {
        self.bytes_max
    }
}

/// Runs what a script's text says: `hang` until it is stopped, `print`, or `quick`; `forbidden` is refused.
/// Ids of what has begun are noted; whoever holds the lock is alone.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Vec<String>>>, Arc<RwLock<()>>);

impl Runs for Scripted {
    type Turn = OwnedRwLockReadGuard<()>;

    fn turn(&self, _: &CommandParameters) -> Option<Self::Turn> {
        self.1.clone().try_read_owned().ok()
    }

    fn check(&self, parameters: &CommandParameters) -> Result<(), Fault> {
        match parameters {
            CommandParameters::Script(script) if script.content == "forbidden" => Err(Fault {
                reason: "not_allowed",
                detail: "a rule".to_owned(),
            }),
            CommandParameters::Script(_) => Ok(()),
            _ => Err(Fault {
                reason: "command_type_unknown",
                detail: "no such type".to_owned(),
            }),
        }
    }

    async fn run(&self, job: Job, reports: Reports, mut stop: Stop) -> Outcome {
        self.0.lock().expect("not poisoned").push(job.id);
        let CommandParameters::Script(script) = job.parameters else {
            unreachable!("it was checked");
        };
        let mut outcome = Outcome {
            status: Ended::Succeeded,
            fault: None,
            result: None,
        };
        match script.content.as_str() {
            "hang" => {
                stop.told().await;
                outcome.status = Ended::Cancelled;
            }
            "print" => reports.say(Report::Output {
                offset: 0,
                bytes: b"hello".to_vec(),
            }),
            "panic" => panic!("as it was told"),
            _ => {}
        }
        outcome
    }

    async fn after_restart(&self, _id: &str, parameters: &CommandParameters) -> Option<Outcome> {
        let _ = parameters;
        None
    }

    async fn end_left_over(&self, _: &str) {}
}

/// An agent whose platform is the test.
struct World {
    disk: Recorded,
    runs: Scripted,
    commands: Commands<Channel>,
    desk: JoinHandle<()>,
    visit: Visit<Channel>,
    way: Channel,
    sent: UnboundedReceiver<AgentToPlatform>,
}

impl World {
    /// Started on this disk, and let in, the journal told and not answered.
    fn start_on(disk: Recorded, runs: Scripted) -> Self {
        let (journal, recovered) = JournalFile::open(disk.clone(), HOST).expect("it opens");
        let opened = open_desk(journal, recovered, runs.clone(), 1);
        let (commands, desk) = opened.expect("a thread");
        let desk = tokio::spawn(desk);
        let (sent_in, sent) = unbounded_channel();
        let way = Channel {
            sent: sent_in,
            bytes_max: 1 << 20,
        };
        let visit = commands.visit();
        let mut world = Self {
            disk,
            runs,
            commands,
            desk,
            visit,
            way,
            sent,
        };
        world.connect();
        world
    }

    /// A new agent at a new platform.
    async fn start() -> Self {
        let mut world = Self::start_on(Recorded::default(), Scripted::default());
        assert_eq!(world.journal().await.epoch, None);
        world.sync(1, false);
        world
    }

    /// The power goes, and the agent comes back.
    fn crash(self) -> Self {
        self.desk.abort();
        Self::start_on(self.disk.after_power_loss(), self.runs)
    }

    /// A connection in the place of the one before.
    fn connect(&mut self) {
        self.visit = self.commands.visit();
        let (sent_in, sent) = unbounded_channel();
        self.way.sent = sent_in;
        self.sent = sent;
        let welcome = Welcome {
            protocol_version: 1,
            session_id: Uuid::from_u128(1),
            heartbeat_interval_ms: 15_000,
            limits: None,
            capabilities: capability::name(COMMAND_ACK).into_iter().collect(),
            platform_time: Some(at(1_000_000)),
            resumed_messages: None,
            host_id: None,
        };
        self.visit.welcome(&welcome, &self.way).expect("room");
    }

    fn tell(&self, event: AgentEvent) {
        self.visit.take(event, &self.way).expect("room");
    }

    fn sync(&self, epoch: u128, report: bool) {
        self.tell(AgentEvent::JournalSync(JournalSync {
            message_id: "s".to_owned(),
            timestamp: None,
            epoch: Uuid::from_u128(epoch),
            report,
        }));
    }

    fn command(&self, sequence: u64, content: &str) {
        self.tell(AgentEvent::Command(command(sequence, content)));
    }

    fn cancel(&self, sequence: u64) {
        self.tell(AgentEvent::CommandCancel(CommandCancel {
            message_id: "x".to_owned(),
            original_message_id: format!("c{sequence}"),
            timestamp: None,
        }));
    }

    fn acknowledge(&self, response: &Response) {
        self.tell(AgentEvent::ResponseAck(ResponseAck {
            message_id: "a".to_owned(),
            original_message_id: response.message_id.clone(),
            timestamp: None,
        }));
    }

    async fn next(&mut self) -> AgentToPlatform {
        let next = timeout(PATIENCE, self.sent.recv()).await;
        next.expect("in time").expect("it is there")
    }

    async fn journal(&mut self) -> Journal {
        match self.next().await {
            AgentToPlatform::Journal(journal) => journal,
            other => panic!("no journal: {other:?}"),
        }
    }

    async fn received(&mut self, sequence: u64) {
        match self.next().await {
            AgentToPlatform::CommandAck(ack) => {
                assert_eq!(ack.original_message_id, format!("c{sequence}"));
            }
            other => panic!("no acknowledgement of {sequence}: {other:?}"),
        }
    }

    async fn runs(&mut self, sequence: u64) -> StatusUpdate {
        match self.next().await {
            AgentToPlatform::StatusUpdate(status) => {
                assert_eq!(status.original_message_id, format!("c{sequence}"));
                assert_eq!(status.status, CommandStatus::Running);
                status
            }
            other => panic!("{sequence} does not run: {other:?}"),
        }
    }

    async fn response(&mut self, sequence: u64, status: CommandStatus, reason: &str) -> Response {
        match self.next().await {
            AgentToPlatform::Response(response) => {
                assert_eq!(response.original_message_id, format!("c{sequence}"));
                let told = response
                    .reason
                    .as_ref()
                    .map_or("", |reason| reason.as_str());
                assert_eq!((response.status, told), (status, reason));
                response
            }
            other => panic!("no response to {sequence}: {other:?}"),
        }
    }

    async fn put_off(&mut self) {
        match self.next().await {
            AgentToPlatform::Error(error) => assert_eq!(error.code, ErrorCode::Overloaded),
            other => panic!("it was taken: {other:?}"),
        }
    }

    fn begun(&self) -> Vec<String> {
        self.runs.0.lock().expect("not poisoned").clone()
    }
}

fn at(ms: u64) -> Timestamp {
    UnixMillis(ms).into()
}

fn command(sequence: u64, content: &str) -> Command {
    Command {
        message_id: format!("c{sequence}"),
        timestamp: None,
        target_host: HOST.to_owned(),
        expires_at: None,
        sequence,
        settled_sequence: 0,
        timeout: 0,
        priority: CommandPriority::Normal,
        parameters: Some(CommandParameters::Script(Script {
            interpreter: String::new(),
            content: content.to_owned(),
            arguments: Vec::new(),
            environment: Default::default(),
            user: String::new(),
            working_directory: String::new(),
        })),
    }
}

#[tokio::test]
async fn a_command_is_acknowledged_run_and_answered_until_that_is_acknowledged() {
    let mut world = World::start().await;
    world.command(1, "print");
    world.received(1).await;
    assert_eq!(world.runs(1).await.output, "");
    assert_eq!(world.runs(1).await.output, "hello");
    let response = world.response(1, CommandStatus::Success, "").await;
    assert!(response.started_at.is_some());
    // The connection is lost before that was acknowledged: it comes again, the very same.
    world.connect();
    assert_eq!(world.journal().await.sequence, 1);
    world.sync(1, false);
    let again = world.response(1, CommandStatus::Success, "").await;
    assert_eq!(again, response);
    // The command too may come again, and is not run again.
    world.command(1, "print");
    world.received(1).await;
    world.acknowledge(&again);
    world.command(1, "print");
    assert_eq!(
        world.response(1, CommandStatus::Success, "").await,
        response
    );
    // Nor after the agent has ended in between.
    let mut world = world.crash();
    assert_eq!(world.journal().await.sequence, 1);
    world.sync(1, false);
    let again = world.response(1, CommandStatus::Success, "").await;
    world.acknowledge(&again);
    world.command(2, "quick");
    world.received(2).await;
    world.runs(2).await;
    world.response(2, CommandStatus::Success, "").await;
    assert_eq!(world.begun(), ["c1", "c2"]);
}

#[tokio::test]
async fn what_a_crash_cut_is_interrupted_and_what_waited_is_run() {
    let mut world = World::start().await;
    world.command(1, "hang");
    world.received(1).await;
    world.runs(1).await;
    world.command(2, "quick");
    world.received(2).await;
    let mut world = world.crash();
    assert_eq!(world.journal().await.epoch, Some(Uuid::from_u128(1)));
    world.sync(1, false);
    let mut ends = Vec::new();
    while ends.len() < 2 {
        if let AgentToPlatform::Response(response) = world.next().await {
            ends.push((response.original_message_id, response.status));
        }
    }
    ends.sort_by(|one, other| one.0.cmp(&other.0));
    let interrupted = ("c1".to_owned(), CommandStatus::Interrupted);
    assert_eq!(
        ends,
        [interrupted, ("c2".to_owned(), CommandStatus::Success)]
    );
    world.command(1, "hang");
    world.received(1).await;
    assert_eq!(world.begun(), ["c1", "c2"]);
}

#[tokio::test]
async fn what_waits_is_begun_by_priority_and_then_sequence() {
    let mut world = World::start().await;
    world.command(1, "hang");
    world.received(1).await;
    world.runs(1).await;
    for (sequence, priority) in [
        (5, CommandPriority::Low),
        (4, CommandPriority::Normal),
        (3, CommandPriority::Unspecified),
        (6, CommandPriority::High),
    ] {
        let mut command = command(sequence, "quick");
        command.priority = priority;
        world.tell(AgentEvent::Command(command));
        world.received(sequence).await;
    }
    world.cancel(1);
    world.response(1, CommandStatus::Cancelled, "").await;
    for sequence in [6, 3, 4, 5] {
        world.runs(sequence).await;
        world.response(sequence, CommandStatus::Success, "").await;
    }
}

#[tokio::test]
async fn what_is_not_allowed_past_its_end_or_not_known_is_never_run() {
    let mut world = World::start().await;
    world.command(1, "forbidden");
    world
        .response(1, CommandStatus::Refused, "not_allowed")
        .await;
    let mut unknown = command(2, "");
    unknown.parameters = Some(CommandParameters::Unknown(UnknownCommand {
        command_type: "make_coffee".to_owned(),
        parameters: None,
    }));
    world.tell(AgentEvent::Command(unknown.clone()));
    let reason = "command_type_unknown";
    world.response(2, CommandStatus::Refused, reason).await;
    unknown.parameters = None;
    world.tell(AgentEvent::Command(unknown));
    world.response(2, CommandStatus::Refused, reason).await;
    // By the platform's clock, whatever this machine's says.
    let mut late = command(3, "quick");
    late.expires_at = Some(at(999_999));
    world.tell(AgentEvent::Command(late));
    world.response(3, CommandStatus::Expired, "expired").await;
    world.command(4, "hang");
    world.received(4).await;
    world.runs(4).await;
    let mut late = command(5, "quick");
    late.expires_at = Some(at(1_001_500));
    world.tell(AgentEvent::Command(late));
    world.received(5).await;
    let expired = world.response(5, CommandStatus::Expired, "expired").await;
    // Sent again in another place it is taken anew, as it was never begun; and that only once.
    world.acknowledge(&expired);
    let mut again = command(7, "quick");
    again.message_id = "c5".to_owned();
    for _ in 0..2 {
        world.tell(AgentEvent::Command(again.clone()));
        world.received(5).await;
    }
    // One that was cancelled before it began.
    world.command(6, "quick");
    world.cancel(6);
    world.received(6).await;
    world
        .response(6, CommandStatus::Cancelled, "cancelled")
        .await;
    assert_eq!(world.begun(), ["c4"]);
    let mut world = world.crash();
    world.journal().await;
    world.sync(1, false);
    while world.begun().len() < 2 {
        world.next().await;
    }
    assert_eq!(world.begun(), ["c4", "c5"]);
}

#[tokio::test]
async fn a_sequence_that_was_had_is_not_run_under_another_name() {
    let mut world = World::start().await;
    world.command(7, "quick");
    world.received(7).await;
    world.runs(7).await;
    world.response(7, CommandStatus::Success, "").await;
    let mut same = command(7, "quick");
    same.message_id = "c700".to_owned();
    world.tell(AgentEvent::Command(same));
    let reason = "known_before";
    world
        .response(700, CommandStatus::Interrupted, reason)
        .await;
    // What is settled was had, too.
    let mut settles = command(20, "quick");
    settles.settled_sequence = 10;
    world.tell(AgentEvent::Command(settles));
    world.received(20).await;
    world.runs(20).await;
    world.response(20, CommandStatus::Success, "").await;
    world.command(9, "quick");
    world.response(9, CommandStatus::Interrupted, reason).await;
    world.command(11, "quick");
    world.received(11).await;
}

#[tokio::test]
async fn a_new_epoch_is_written_down_and_everything_reported() {
    let mut world = World::start().await;
    world.command(1, "quick");
    world.received(1).await;
    world.runs(1).await;
    let first = world.response(1, CommandStatus::Success, "").await;
    world.acknowledge(&first);
    for (sequence, content) in [(2, "hang"), (3, "quick")] {
        world.command(sequence, content);
        world.received(sequence).await;
        if sequence == 2 {
            world.runs(2).await;
        }
    }
    world.connect();
    assert_eq!(world.journal().await.epoch, Some(Uuid::from_u128(1)));
    world.sync(2, true);
    let mut reports = Vec::new();
    let journal = loop {
        match world.next().await {
            AgentToPlatform::CommandReport(report) => reports.push(report),
            AgentToPlatform::Journal(journal) => break journal,
            other => panic!("neither: {other:?}"),
        }
    };
    assert_eq!(
        (journal.epoch, journal.sequence),
        (Some(Uuid::from_u128(2)), 3)
    );
    let number = |report: &CommandReport| report.command.as_ref().expect("a command").sequence;
    reports.sort_by_key(number);
    let told: Vec<_> = reports
        .iter()
        .map(|it| (number(it), it.status, it.response.as_ref()))
        .collect();
    let running = (2, CommandStatus::Running, None);
    let waiting = (3, CommandStatus::Received, None);
    assert_eq!(
        told,
        [(1, CommandStatus::Success, Some(&first)), running, waiting]
    );
    world.sync(2, false);
    world.cancel(2);
    world.response(2, CommandStatus::Cancelled, "").await;
    // The epoch is there after the power went.
    let mut world = world.crash();
    assert_eq!(world.journal().await.epoch, Some(Uuid::from_u128(2)));
}

#[tokio::test]
async fn on_a_full_disk_commands_are_put_off_and_results_wait() {
    let mut world = World::start().await;
    world.command(1, "hang");
    world.received(1).await;
    world.runs(1).await;
    world.disk.leave_room(Some(0));
    world.command(2, "quick");
    world.put_off().await;
    world.cancel(1);
    world.command(3, "quick");
    world.put_off().await;
    world.disk.leave_room(None);
    world.response(1, CommandStatus::Cancelled, "").await;
    world.command(2, "quick");
    world.received(2).await;
    world.runs(2).await;
    world.response(2, CommandStatus::Success, "").await;
    // An agent that starts on a full disk has no epoch to write down, and takes no command until it can.
    let mut world = World::start_on(Recorded::default(), Scripted::default());
    world.disk.leave_room(Some(0));
    world.journal().await;
    world.sync(1, false);
    world.command(1, "quick");
    world.put_off().await;
    world.disk.leave_room(None);
    world.connect();
    world.journal().await;
    world.sync(1, false);
    world.command(1, "quick");
    world.received(1).await;
}

#[tokio::test]
async fn a_run_that_panics_has_failed() {
    let mut world = World::start().await;
    world.command(1, "panic");
    world.received(1).await;
    world.runs(1).await;
    world.response(1, CommandStatus::Failed, "internal").await;
    world.command(2, "quick");
    world.received(2).await;
    world.runs(2).await;
}

#[tokio::test]
async fn what_is_unfinished_is_bounded() {
    let mut world = World::start().await;
    world.command(1, "hang");
    world.received(1).await;
    world.runs(1).await;
    for sequence in 2..=entries::UNFINISHED_MAX as u64 {
        world.command(sequence, "quick");
        world.received(sequence).await;
    }
    world.command(9999, "quick");
    world.put_off().await;
}

#[tokio::test]
async fn what_belongs_to_an_earlier_connection_changes_nothing() {
    let mut world = World::start().await;
    let before = world.commands.visit();
    world.connect();
    world.journal().await;
    let late = AgentEvent::JournalSync(JournalSync {
        message_id: "s".to_owned(),
        timestamp: None,
        epoch: Uuid::from_u128(9),
        report: false,
    });
    before.take(late, &world.way).expect("room");
    // Before the journal is answered no command is taken.
    world.command(1, "quick");
    world.put_off().await;
    world.sync(1, false);
    world.command(1, "quick");
    world.received(1).await;
}
