//! A host that the test plays, with commands for it, and a look into the platform's store.

use std::path::{Path, PathBuf};

use fleetwire::ids::Uuid;
use fleetwire::platform::store::deliveries::DeliveryState;
use fleetwire::wire::Encoding;
use fleetwire::wire::messages::{
    Command, CommandAck, CommandStatus, Journal, JournalSync, PlatformToAgent, Response,
    StatusUpdate,
};
use fleetwire::wire::values::{Name, Text as _};
use hyper::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::peers::beside::device_token;
use crate::peers::raw::{RawAgent, hello};
use crate::support::{Platform, until};

/// A platform with one host, which the test plays.
pub struct Scripted {
    pub platform: Platform,
    pub token: String,
    dir: PathBuf,
}

/// Where a delivery stands, and why.
pub type Stands = (&'static str, String);

impl Scripted {
    pub fn start(dir: &Path) -> Self {
        let platform = Platform::start_on(dir, &[]);
        let token = device_token(&platform, "kvm");
        Self {
            platform,
            token,
            dir: dir.to_owned(),
        }
    }

    /// Kills the platform, and starts it anew.
    pub fn restart(self) -> Self {
        let Self {
            platform,
            token,
            dir,
        } = self;
        drop(platform);
        Self {
            platform: Platform::start_on(&dir, &[]),
            token,
            dir,
        }
    }

    /// Asks for a package; the command's id.
    pub async fn install(&self) -> String {
        let client = self.platform.client();
        let body = json!({"packages": ["nginx"], "options": {"yes": true}});
        let path = "/api/hosts/kvm/packages/install";
        let made: Value = client
            .call(Method::POST, path, Some(&body))
            .await
            .expect("accepted");
        made["command_id"].as_str().expect("an id").to_owned()
    }

    /// An agent with a journal, let in.
    pub async fn connect(&self) -> RawAgent {
        let mut agent = RawAgent::connect(&self.platform, Encoding::Binary).await;
        let mut hello = hello(&self.token);
        let name = Name::parse("command_ack".to_owned()).expect("a name");
        hello.capabilities.push(name.clone());
        agent.send(hello).await;
        let welcome = agent.welcome().await;
        assert!(welcome.capabilities.contains(&name));
        agent
    }

    /// The same, when its journal and the store agree.
    pub async fn synced(&self, epoch: Uuid, sequence: u64) -> RawAgent {
        let mut agent = self.connect().await;
        let sync = journal(&mut agent, Some(epoch), sequence).await;
        assert!(!sync.report);
        agent
    }

    /// A host whose agent connects for the first time; the epoch that it was told.
    pub async fn first(&self) -> (RawAgent, Uuid) {
        let mut agent = self.connect().await;
        let sync = journal(&mut agent, None, 0).await;
        assert!(sync.report);
        let epoch = sync.epoch;
        let sync = journal(&mut agent, Some(epoch), 0).await;
        assert_eq!((sync.epoch, sync.report), (epoch, false));
        (agent, epoch)
    }

    /// What the store has of a delivery.
    pub fn stands(&self, command: &str) -> Stands {
        let rows = self.rows(
            "SELECT d.state, d.reason FROM deliveries d JOIN commands c ON c.number = d.command
             WHERE c.id = ?1",
            command,
        );
        let (state, reason) = rows.into_iter().next().expect("one delivery");
        (code(state), reason)
    }

    /// What the store has of a delivery's way.
    pub fn history(&self, command: &str) -> Vec<Stands> {
        let rows = self.rows(
            "SELECT h.state, h.reason FROM delivery_history h
             JOIN commands c ON c.number = h.command WHERE c.id = ?1 ORDER BY h.number",
            command,
        );
        let shown = |(state, reason)| (code(state), reason);
        rows.into_iter()
            .map(|row: (i64, String)| shown(row))
            .collect()
    }

    fn rows(&self, sql: &str, command: &str) -> Vec<(i64, String)> {
        let path = self.dir.join("platform.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let store = Connection::open_with_flags(path, flags).expect("opened");
        let mut query = store.prepare(sql).expect("prepared");
        let rows = query.query_map([command], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.expect("run").collect::<Result<_, _>>().expect("read")
    }

    /// Waits until a delivery stands there.
    pub fn until_stands(&self, command: &str, state: &str) {
        until(state, || (self.stands(command).0 == state).then_some(()));
    }
}

/// Says what the journal has, and hears what the platform says to it. No command comes before.
pub async fn journal(agent: &mut RawAgent, epoch: Option<Uuid>, sequence: u64) -> JournalSync {
    let journal = Journal {
        message_id: "journal".to_owned(),
        timestamp: None,
        epoch,
        sequence,
    };
    agent.send(journal).await;
    let pick = |message| match message {
        PlatformToAgent::JournalSync(sync) => Some(sync),
        PlatformToAgent::Command(command) => panic!("not yet: {command:?}"),
        _ => None,
    };
    agent.until(pick).await
}

/// The next command.
pub async fn command(agent: &mut RawAgent) -> Command {
    let pick = |message| match message {
        PlatformToAgent::Command(command) => Some(command),
        _ => None,
    };
    agent.until(pick).await
}

/// The message of the next `response_ack`'s response.
pub async fn acknowledged(agent: &mut RawAgent) -> String {
    let pick = |message| match message {
        PlatformToAgent::ResponseAck(ack) => Some(ack.original_message_id),
        _ => None,
    };
    agent.until(pick).await
}

pub fn ack(command: &str) -> CommandAck {
    CommandAck {
        message_id: "ack".to_owned(),
        original_message_id: command.to_owned(),
        timestamp: None,
    }
}

pub fn status(command: &str, status: CommandStatus) -> StatusUpdate {
    StatusUpdate {
        message_id: "status".to_owned(),
        original_message_id: command.to_owned(),
        timestamp: None,
        status,
        progress_percent: Some(40),
        output: "Unpacking".to_owned(),
        output_offset: 0,
    }
}

pub fn response(command: &str, status: CommandStatus) -> Response {
    Response {
        message_id: format!("response to {command}"),
        original_message_id: command.to_owned(),
        timestamp: None,
        status,
        reason: None,
        detail: String::new(),
        started_at: None,
        result: None,
    }
}

/// The name of a state, as the store numbers them.
fn code(state: i64) -> &'static str {
    DeliveryState::ALL[usize::try_from(state).expect("a state")].code()
}
