//! Another agent in this one's place: what outlives the change from one program to the next, and what the
//! parts of a running agent have to agree on meanwhile. `swap` has the steps on the disk and the way back,
//! `record` what is remembered of them, `trial` what a new program does before it is taken. Whose programs are
//! taken is in `net::signed_program`; what a command asks, and what it is told, is
//! `executors::agent_update`'s affair.

mod record;
pub mod swap;
#[cfg(test)]
mod tests;
pub mod trial;
pub mod version;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::dial::CurrentConnection;
use crate::ids::{Uuid, random_uuid};
use crate::secret::random;
use crate::wire::messages::ErrorCode;
pub use record::{Record, Standing, Subject};

/// What this program calls itself towards the platform.
pub const SOFTWARE: &str = concat!("fleetwire-agent/", env!("CARGO_PKG_VERSION"));
/// The version in it. It is no text of its own, so that a build cannot say two versions of itself.
pub const VERSION: &str = SOFTWARE.split_at("fleetwire-agent/".len()).1;

/// How long the platform's word on the end of a connection is waited for.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// How long after a record that could not be written it is tried again.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// What the parts of one agent know of its updates. Clones are the same.
#[derive(Clone, Debug)]
pub struct Updates(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The agent's state directory.
    folder: PathBuf,
    /// Names this run of the process, and the trial that it lets run in its name.
    instance: Uuid,
    /// The latest update, as far as it has come.
    record: watch::Sender<Option<Record>>,
    /// The platform has welcomed this agent.
    welcomed: watch::Sender<bool>,
    /// How many want the agent to keep away from the platform.
    away: watch::Sender<usize>,
    current: CurrentConnection,
}

/// The agent keeps away from its platform for as long as this lives.
#[derive(Debug)]
pub struct Away(Updates);

impl Drop for Away {
    fn drop(&mut self) {
        self.0.0.away.send_modify(|count| *count -= 1);
    }
}

impl Updates {
    /// Looks at what is remembered in the agent's state directory, which this process holds: the first thing
    /// that an agent does. An agent that has just been put in another's place counts its start; where it
    /// started too often and was not welcomed, this call puts the one before back and does not return.
    ///
    /// # Errors
    /// When the one before should be put back, and that fails.
    pub fn begin(folder: &Path, current: CurrentConnection) -> io::Result<Self> {
        let record = swap::on_start(folder)?;
        if let Some(record) = record
            .as_ref()
            .filter(|it| it.standing == Standing::Pending)
        {
            let (version, start) = (VERSION, record.starts);
            info!(version, start, before = %record.version_before, "a new agent, until it is welcome");
        }
        Ok(Self(Arc::new(Inner {
            folder: folder.to_owned(),
            instance: random_uuid(random()),
            record: watch::Sender::new(record),
            welcomed: watch::Sender::new(false),
            away: watch::Sender::new(0),
            current,
        })))
    }

    /// Names this run of the process.
    pub fn instance(&self) -> Uuid {
        self.0.instance
    }

    /// The agent's state directory.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Whether this agent has yet to show that it reaches the platform.
    pub fn is_pending(&self) -> bool {
        let record = self.0.record.borrow();
        let pending = record.as_ref().map(|it| it.standing) == Some(Standing::Pending);
        pending && !*self.0.welcomed.borrow()
    }

    /// The platform has welcomed this agent: it stays.
    pub fn welcomed(&self) {
        let pending = self.is_pending();
        self.0.welcomed.send_replace(true);
        if pending {
            tokio::spawn(self.clone().settle());
        }
    }

    /// Remembers that this agent stays, however long the disk takes for it.
    async fn settle(self) {
        let Some(record) = self.0.record.borrow().clone() else {
            return;
        };
        let record = record.decided(Standing::Settled, "");
        loop {
            let (record, folder) = (record.clone(), self.0.folder.clone());
            let written = spawn_blocking(move || {
                record.write(&folder)?;
                swap::clear(&record.executable);
                Ok::<_, io::Error>(())
            });
            match written.await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => warn!(%error, "that the new agent stays cannot be written"),
                Err(_) => return,
            }
            sleep(WRITE_AGAIN).await;
        }
        info!(version = VERSION, "the new agent stays");
        self.0.record.send_replace(Some(record));
    }

    /// Returns where this agent was put in another's place and has not been welcomed within this time.
    pub async fn too_long(&self, limit: Duration) {
        let mut welcomed = self.0.welcomed.subscribe();
        let welcome = welcomed.wait_for(|welcomed| *welcomed);
        if !self.is_pending() || timeout(limit, welcome).await.is_ok() {
            std::future::pending().await
        }
    }

    /// Puts the agent back that was here before, and becomes it. Returns only where that fails.
    pub fn roll_back(&self, why: &str) -> io::Error {
        let record = self.0.record.borrow().clone();
        match record {
            Some(record) => swap::roll_back(&self.0.folder, record, why),
            None => io::Error::other("there is no agent to go back to"),
        }
    }

    /// What has become of the update by this command, once that is known; `None` where this agent knows of
    /// none.
    pub async fn settled(&self, command: &str) -> Option<Record> {
        let mut record = self.0.record.subscribe();
        let decided = record.wait_for(|record| {
            let of_it = record.as_ref().filter(|it| it.command == command);
            of_it.is_none_or(|it| it.standing != Standing::Pending)
        });
        let decided = decided.await.ok()?;
        decided.clone().filter(|record| record.command == command)
    }

    /// Gives the connection up and has none made until what is returned is gone.
    pub async fn keep_away(&self) -> Away {
        self.0.away.send_modify(|count| *count += 1);
        let away = Away(self.clone());
        let connection = self.0.current.borrow().clone();
        if let Some(connection) = connection {
            connection.close(ErrorCode::Unspecified, "a new agent is tried");
            // A path on which nobody answers is not waited for.
            let _ = timeout(CLOSE_WAIT, connection.ended()).await;
        }
        away
    }

    /// Whether no connection is to be made.
    pub fn is_away(&self) -> bool {
        *self.0.away.borrow() > 0
    }

    /// Returns when a connection may be made.
    pub async fn may_connect(&self) {
        let mut away = self.0.away.subscribe();
        // The sender lives as long as this does.
        let _ = away.wait_for(|count| *count == 0).await;
    }
}
