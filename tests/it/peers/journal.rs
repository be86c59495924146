//! Commands at a real agent, from a platform in the test's hand that sends them again, dies, forgets and
//! changes its mind, while the agent is killed in between. What counts is what a script has left in a file:
//! whether it ran, and how often.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fleetwire::ids::{Uuid, random_uuid};
use fleetwire::net::capability::{self, COMMAND_ACK};
use fleetwire::secret;
use fleetwire::wire::messages::{
    AgentToPlatform, Command, CommandCancel, CommandParameters, CommandPriority, CommandReport,
    CommandStatus, ErrorCode, Inventory, Journal, JournalSync, Response, ResponseAck,
    ResponseResult, Script,
};
use fleetwire::wire::values::Timestamp;
use tokio::io::AsyncWriteExt as _;

use super::hostile::{Hostile, welcome};
use super::raw::RawPlatform;
use crate::support::until;

/// A platform with a store of its own, and an agent whose owner allows scripts.
struct Store {
    hostile: Hostile,
    platform: RawPlatform,
    epoch: Uuid,
    /// How the ids of its commands begin: what an agent ends of a command it finds by the id, on the whole
    /// machine.
    name: Uuid,
}

impl Store {
    async fn start() -> Self {
        let mut hostile = Hostile::start().await;
        let flags = ["--allow-command", "script"].map(str::to_owned);
        hostile.agent.flags.extend(flags);
        let platform = let_in(hostile.visited().await).await;
        let mut store = Self {
            hostile,
            platform,
            epoch: Uuid::from_u128(1),
            name: random_uuid(secret::random()),
        };
        // The platform that it was enrolled with has told it an epoch, and sent it nothing.
        assert_eq!(store.journal().await.sequence, 0);
        store.sync(false).await;
        store
    }

    fn id(&self, sequence: u64) -> String {
        format!("{}-{sequence}", self.name)
    }

    fn of(&self, sequence: u64, content: &str) -> Command {
        Command {
            message_id: self.id(sequence),
            timestamp: None,
            target_host: "kvm".to_owned(),
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

    /// Kills the agent and starts it again. Returns what its journal has.
    async fn kill(&mut self) -> Journal {
        self.platform = let_in(self.hostile.visited().await).await;
        self.journal().await
    }

    /// Cuts the connection without a word, and waits for the next.
    async fn cut(&mut self) -> Journal {
        let (tcp, _) = self.platform.io().get_mut();
        tcp.shutdown().await.expect("it is open");
        let (platform, hello) = self.hostile.accept().await;
        assert!(capability::has(&hello.capabilities, COMMAND_ACK));
        self.platform = let_in(platform).await;
        self.journal().await
    }

    async fn journal(&mut self) -> Journal {
        self.until(|message| match message {
            AgentToPlatform::Journal(journal) => Some(journal),
            _ => None,
        })
        .await
    }

    async fn sync(&mut self, report: bool) {
        let sync = JournalSync {
            message_id: "s".to_owned(),
            timestamp: None,
            epoch: self.epoch,
            report,
        };
        self.platform.send(sync).await;
    }

    async fn until<T>(&mut self, pick: impl Fn(AgentToPlatform) -> Option<T>) -> T {
        self.platform.until(pick).await
    }

    async fn command(&mut self, sequence: u64, content: &str) {
        let command = self.of(sequence, content);
        self.platform.send(command).await;
    }

    async fn cancel(&mut self, sequence: u64) {
        let cancel = CommandCancel {
            message_id: "x".to_owned(),
            original_message_id: self.id(sequence),
            timestamp: None,
        };
        self.platform.send(cancel).await;
    }

    async fn received(&mut self, sequence: u64) {
        let id = self.id(sequence);
        self.until(|message| match message {
            AgentToPlatform::CommandAck(ack) if ack.original_message_id == id => Some(()),
            _ => None,
        })
        .await;
    }

    /// The response to this command, with what it says of it.
    async fn response(&mut self, sequence: u64, status: CommandStatus, reason: &str) -> Response {
        let response = self
            .until(|message| match message {
                AgentToPlatform::Response(response) => Some(response),
                _ => None,
            })
            .await;
        assert_eq!(
            response.original_message_id,
            self.id(sequence),
            "{response:?}"
        );
        let told = response
            .reason
            .as_ref()
            .map_or("", |reason| reason.as_str());
        assert_eq!((response.status, told), (status, reason), "{response:?}");
        response
    }

    async fn acknowledge(&mut self, response: &Response) {
        let ack = ResponseAck {
            message_id: "a".to_owned(),
            original_message_id: response.message_id.clone(),
            timestamp: None,
        };
        self.platform.send(ack).await;
    }
}

/// Lets the agent in, as a platform that keeps what it is told.
async fn let_in(mut platform: RawPlatform) -> RawPlatform {
    let mut welcome = welcome();
    welcome.capabilities.extend(capability::name(COMMAND_ACK));
    welcome.platform_time = Some(Timestamp::from_system_time(SystemTime::now()));
    platform.send(welcome).await;
    platform
}

/// Where scripts leave that they ran, and the script that does.
struct Trace(tempfile::TempDir);

impl Trace {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("ran")
    }

    /// A script that leaves its name and then does this.
    fn script(&self, name: &str, then: &str) -> String {
        format!("echo {name} >> '{}'\n{then}\n", self.path().display())
    }

    fn ran(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn until_ran(&self, names: &[&str]) {
        until("what a script leaves", || {
            (self.ran() == names).then_some(())
        });
    }
}

fn journal_of(store: &Store) -> PathBuf {
    store.hostile.agent.state_dir().join("commands.journal")
}

#[tokio::test]
async fn a_command_runs_once_however_often_it_comes_and_its_response_comes_until_it_is_committed() {
    let trace = Trace::new();
    let mut store = Store::start().await;
    let script = trace.script("one", "echo out; echo err >&2");
    store.command(1, &script).await;
    store.received(1).await;
    let update = |message| match message {
        AgentToPlatform::StatusUpdate(update) if update.output_offset == 0 => {
            (!update.output.is_empty()).then_some(update)
        }
        _ => None,
    };
    let update = store.until(update).await;
    assert!("out\nerr\n".starts_with(&update.output), "{update:?}");
    let response = store.response(1, CommandStatus::Success, "").await;
    let Some(ResponseResult::Script(result)) = &response.result else {
        panic!("no result of a script: {response:?}");
    };
    assert_eq!(
        (result.output.as_str(), result.exit_code),
        ("out\nerr\n", Some(0))
    );

    // Not committed: it comes again over each connection, and after the agent was killed.
    assert_eq!(store.cut().await.sequence, 1);
    store.sync(false).await;
    assert_eq!(
        store.response(1, CommandStatus::Success, "").await,
        response
    );
    let journal = store.kill().await;
    assert_eq!((journal.epoch, journal.sequence), (Some(store.epoch), 1));
    store.sync(false).await;
    store.command(1, &script).await;
    assert_eq!(
        store.response(1, CommandStatus::Success, "").await,
        response
    );
    store.received(1).await;
    store.acknowledge(&response).await;
    store.command(2, &trace.script("two", "exit 7")).await;
    let failed = store.response(2, CommandStatus::Failed, "exit_code").await;
    store.acknowledge(&failed).await;
    // Its answer shows that the acknowledgement came before the kill.
    store.command(2, "again").await;
    store.response(2, CommandStatus::Failed, "exit_code").await;

    // Committed: it does not come by itself any more.
    store.kill().await;
    store.sync(false).await;
    store.command(3, &trace.script("three", "")).await;
    store.response(3, CommandStatus::Success, "").await;
    store.command(1, &script).await;
    assert_eq!(
        store.response(1, CommandStatus::Success, "").await,
        response
    );
    assert_eq!(trace.ran(), ["one", "two", "three"]);
}

#[tokio::test]
async fn a_run_that_a_kill_cuts_is_interrupted_and_never_begun_again() {
    let trace = Trace::new();
    let mut store = Store::start().await;
    let script = trace.script("cut", "sleep 600");
    store.command(1, &script).await;
    store.command(2, &trace.script("waited", "")).await;
    store.received(1).await;
    store.received(2).await;
    trace.until_ran(&["cut"]);
    store.kill().await;
    store.sync(false).await;
    let cut = store
        .response(1, CommandStatus::Interrupted, "agent_ended")
        .await;
    assert!(cut.started_at.is_some() && cut.result.is_none());
    let waited = store.response(2, CommandStatus::Success, "").await;
    store.command(1, &script).await;
    store.received(1).await;
    for response in [&cut, &waited] {
        store.acknowledge(response).await;
    }
    store.command(1, &script).await;
    let again = store
        .response(1, CommandStatus::Interrupted, "agent_ended")
        .await;
    assert_eq!(again, cut);
    assert_eq!(trace.ran(), ["cut", "waited"]);
}

#[tokio::test]
async fn what_is_past_its_end_or_cancelled_before_it_began_is_never_run() {
    let trace = Trace::new();
    let mut store = Store::start().await;
    let now = SystemTime::now();
    let end = |after_ms| {
        let at = now + Duration::from_millis(after_ms);
        Some(Timestamp::from_system_time(at))
    };
    let mut late = store.of(1, &trace.script("late", ""));
    late.expires_at = end(0);
    store.platform.send(late).await;
    store.response(1, CommandStatus::Expired, "expired").await;

    store.command(2, &trace.script("long", "sleep 600")).await;
    store.received(2).await;
    let mut late = store.of(3, &trace.script("late", ""));
    late.expires_at = end(3000);
    store.platform.send(late).await;
    store.command(4, &trace.script("cancelled", "")).await;
    store.received(4).await;
    store.cancel(4).await;
    store
        .response(4, CommandStatus::Cancelled, "cancelled")
        .await;
    store.response(3, CommandStatus::Expired, "expired").await;
    trace.until_ran(&["long"]);
    store.cancel(2).await;
    let until = |message| match message {
        AgentToPlatform::Response(response) => Some(response),
        _ => None,
    };
    let stopped = store.until(until).await;
    assert_eq!(stopped.original_message_id, store.id(2));
    assert_eq!(stopped.status, CommandStatus::Cancelled, "{stopped:?}");
    store.command(5, &trace.script("after", "")).await;
    store.response(5, CommandStatus::Success, "").await;
    assert_eq!(trace.ran(), ["long", "after"]);
}

#[tokio::test]
async fn what_the_owner_does_not_allow_is_refused_with_the_rule() {
    let trace = Trace::new();
    let mut store = Store::start().await;
    let mut inventory = store.of(1, "");
    inventory.parameters = Some(CommandParameters::Inventory(Inventory {
        parts: Vec::new(),
    }));
    store.platform.send(inventory).await;
    let refused = store.until(|message| match message {
        AgentToPlatform::Response(response) => Some(response),
        _ => None,
    });
    assert_eq!(refused.await.status, CommandStatus::Refused);
    let mut script = store.of(2, "");
    if let Some(CommandParameters::Script(script)) = &mut script.parameters {
        script.interpreter = "/usr/bin/python3".to_owned();
        script.content = trace.script("python", "");
    }
    store.platform.send(script).await;
    let refused = store
        .response(2, CommandStatus::Refused, "not_allowed")
        .await;
    assert!(
        refused.detail.contains("script.interpreters"),
        "{refused:?}"
    );
    // What was refused was not had: with other settings it may be sent again.
    store.command(2, &trace.script("allowed", "")).await;
    store.response(2, CommandStatus::Success, "").await;
    // An owner who thinks better of it while a command waits has the last word.
    store.command(3, &trace.script("long", "sleep 600")).await;
    store.command(4, &trace.script("waits", "")).await;
    store.received(4).await;
    trace.until_ran(&["allowed", "long"]);
    store.hostile.agent.flags.clear();
    store.kill().await;
    store.sync(false).await;
    let mut ends = Vec::new();
    while ends.len() < 3 {
        let response = store.until(|message| match message {
            AgentToPlatform::Response(response) => Some(response),
            _ => None,
        });
        let response = response.await;
        ends.push((response.original_message_id, response.status));
    }
    assert!(
        ends.contains(&(store.id(3), CommandStatus::Interrupted)),
        "{ends:?}"
    );
    assert!(
        ends.contains(&(store.id(4), CommandStatus::Refused)),
        "{ends:?}"
    );
    assert_eq!(trace.ran(), ["allowed", "long"]);
}

#[tokio::test]
async fn a_journal_that_is_lost_or_damaged_is_said_to_be_new() {
    let trace = Trace::new();
    let mut store = Store::start().await;
    store.command(1, &trace.script("one", "")).await;
    let one = store.response(1, CommandStatus::Success, "").await;
    store.acknowledge(&one).await;
    let path = journal_of(&store);
    assert_eq!(crate::support::mode(&path), 0o600);
    store.hostile.agent.process.signal("KILL");
    store.hostile.agent.process.ended();
    fs::remove_file(&path).expect("there");
    let journal = store.kill().await;
    assert_eq!((journal.epoch, journal.sequence), (None, 0));
    store.sync(false).await;
    store.command(2, &trace.script("two", "")).await;
    store.response(2, CommandStatus::Success, "").await;

    store.hostile.agent.process.signal("KILL");
    store.hostile.agent.process.ended();
    let mut content = fs::read(&path).expect("there");
    content[40] ^= 1;
    fs::write(&path, content).expect("written");
    let journal = store.kill().await;
    assert_eq!((journal.epoch, journal.sequence), (None, 0));
    let line = store.hostile.agent.process.line("is set aside");
    assert!(line.contains("commands.journal.damaged-"), "{line}");
    assert!(set_aside(path.parent().expect("a directory")));
    store.sync(false).await;
    store.command(3, &trace.script("three", "")).await;
    store.response(3, CommandStatus::Success, "").await;
    assert_eq!(trace.ran(), ["one", "two", "three"]);
}

fn set_aside(directory: &Path) -> bool {
    let entries = fs::read_dir(directory).expect("there");
    let mut names = entries.map(|entry| entry.expect("an entry").file_name());
    names.any(|name| name.to_string_lossy().contains("damaged-"))
}

#[tokio::test]
async fn a_store_of_another_epoch_is_told_all_before_it_sends_more() {
    let trace = Trace::new();
    let mut store = Store::start().await;
    store.command(1, &trace.script("one", "echo kept")).await;
    let one = store.response(1, CommandStatus::Success, "").await;
    store.acknowledge(&one).await;
    store.command(2, &trace.script("two", "sleep 600")).await;
    store.command(3, &trace.script("three", "")).await;
    store.received(3).await;
    trace.until_ran(&["one", "two"]);
    let journal = store.cut().await;
    assert_eq!((journal.epoch, journal.sequence), (Some(store.epoch), 3));
    store.epoch = Uuid::from_u128(2);
    store.sync(true).await;
    // One that comes too early is put off.
    store.command(4, &trace.script("early", "")).await;
    let mut reports: Vec<CommandReport> = Vec::new();
    let mut put_off = false;
    let journal = loop {
        match store.platform.next().await {
            AgentToPlatform::CommandReport(report) => reports.push(report),
            AgentToPlatform::Error(error) => put_off = error.code == ErrorCode::Overloaded,
            AgentToPlatform::Journal(journal) => break journal,
            AgentToPlatform::Response(response) => panic!("too early: {response:?}"),
            _ => {}
        }
    };
    if !put_off {
        let code = store.until(|message| match message {
            AgentToPlatform::Error(error) => Some(error.code),
            _ => None,
        });
        assert_eq!(code.await, ErrorCode::Overloaded);
    }
    assert_eq!((journal.epoch, journal.sequence), (Some(store.epoch), 3));
    reports.sort_by_key(|report| report.command.as_ref().expect("a command").sequence);
    let told: Vec<_> = reports
        .iter()
        .map(|report| (report.status, report.response.as_ref()))
        .collect();
    let (running, waiting) = (CommandStatus::Running, CommandStatus::Received);
    let success = (CommandStatus::Success, Some(&one));
    assert_eq!(told, [success, (running, None), (waiting, None)]);
    store.sync(false).await;
    store.cancel(2).await;
    let ends = async |store: &mut Store| {
        store
            .until(|message| match message {
                AgentToPlatform::Response(response) => Some(response.original_message_id),
                _ => None,
            })
            .await
    };
    assert_eq!(ends(&mut store).await, store.id(2));
    assert_eq!(ends(&mut store).await, store.id(3));
    assert_eq!(store.kill().await.epoch, Some(store.epoch));
    assert_eq!(trace.ran(), ["one", "two", "three"]);
}

#[tokio::test]
async fn a_platform_that_does_not_acknowledge_responses_has_no_command_run() {
    let trace = Trace::new();
    let mut store = Store::start().await;
    let mut platform = store.hostile.visited().await;
    platform.send(welcome()).await;
    let command = store.of(1, &trace.script("one", ""));
    platform.send(command).await;
    let code = platform
        .until(|message| match message {
            AgentToPlatform::Error(error) => Some(error.code),
            AgentToPlatform::Journal(journal) => panic!("{journal:?}"),
            _ => None,
        })
        .await;
    assert_eq!(code, ErrorCode::CommandTypeUnknown);
    assert!(trace.ran().is_empty());
}
