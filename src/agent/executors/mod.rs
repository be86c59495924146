//! What runs commands: one file a kind, each behind [`Executor`]. Here is what they all see, a job and
//! what it may say while it runs; that a command runs once, and that what came of it is kept, is the
//! affair of `agent::commands`.

mod agent_update;
pub mod allowed;
mod bus;
mod family;
mod faults;
mod file_transfer;
mod inventory;
pub mod managers;
mod packages;
mod process;
mod script;
mod service;
mod system;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedRwLockReadGuard, RwLock, mpsc, watch};

use super::transfers::Transfers;
use super::update::Updates;
use crate::wire::messages::{CommandParameters, ResponseResult, UnknownCommand};
use agent_update::AgentUpdates;
pub use allowed::Allowed;
use bus::Bus;
use family::Owner;
use file_transfer::Files;
use inventory::Inventories;
use packages::Packages;
use rustix::process::Signal;
use script::Scripts;
use service::Services;
use system::Systems;

/// The most that is kept of what a command prints, in bytes: its end.
pub const OUTPUT_BYTES_MAX: usize = 256 << 10;

/// A command that is to be run now.
#[derive(Clone, Debug)]
pub struct Job {
    /// The command's id.
    pub id: String,
    /// What to do.
    pub parameters: CommandParameters,
    /// How long it may take. `None`: for ever.
    pub time_limit: Option<Duration>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Whether it did what it was to do.
    pub status: Ended,
    /// Why not, for programs and for people. `None` for a success.
    pub fault: Option<Fault>,
    /// What it gave.
    pub result: Option<ResponseResult>,
}

/// The ends that a run can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It did what it was to do.
    Succeeded,
    /// It did not.
    Failed,
    /// It was stopped because nobody wants it any more.
    Cancelled,
}

/// Why a command was refused, or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A stable word, such as `not_allowed`, `parameters_invalid`, `timed_out`, `exit_code`.
    pub reason: &'static str,
    /// One sentence, with the rule or the field that it is about.
    pub detail: String,
}

/// What a run says before its end. What nobody takes in time is dropped, never waited for.
#[derive(Clone, Debug)]
pub struct Reports(mpsc::Sender<Report>);

/// One thing that it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Bytes that it printed.
    Output {
        /// How many it had printed before them: where some are missing in between, they were dropped.
        offset: u64,
        /// What it printed then.
        bytes: Vec<u8>,
    },
    /// How far it is, in percent.
    Progress(u8),
}

impl Reports {
    /// The two ends: at most `count` reports wait.
    pub fn channel(count: usize) -> (Self, mpsc::Receiver<Report>) {
        let (sender, receiver) = mpsc::channel(count);
        (Self(sender), receiver)
    }

    /// Says it, where there is room.
    pub fn say(&self, report: Report) {
        // Somebody who does not keep up is told the end of it with the outcome.
        let _ = self.0.try_send(report);
    }
}

/// Whether a run is to stop: told once.
#[derive(Clone, Debug)]
pub struct Stop(pub watch::Receiver<bool>);

impl Stop {
    /// Returns when the run is to stop; never, where nobody can say it any more.
    pub async fn told(&mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            std::future::pending().await
        }
    }
}

/// What runs commands of one kind.
pub trait Executor {
    /// Its parameters.
    type Parameters;

    /// Whether the agent's owner allows it, and whether it can be run at all. Asked before a command is
    /// accepted; nothing has happened yet where the answer is no.
    fn check(&self, parameters: &Self::Parameters) -> Result<(), Fault>;

    /// Runs it to its end, within its time limit, or until it is told to stop.
    fn run(
        &self,
        job: &Job,
        parameters: &Self::Parameters,
        reports: &Reports,
        stop: Stop,
    ) -> impl Future<Output = Outcome> + Send;

    /// What became of a run that the agent's own end cut: `None` where nobody knows.
    fn after_restart(&self, parameters: &Self::Parameters) -> Option<Outcome> {
        let _ = parameters;
        None
    }
}

/// All kinds together: gives each command to whoever runs its kind.
#[derive(Debug)]
pub struct Executors {
    owner: Owner,
    files: Files,
    inventories: Inventories,
    packages: Packages,
    scripts: Scripts,
    services: Services,
    systems: Systems,
    updates: AgentUpdates,
    /// Held by each that has begun, so that an update can wait for their end.
    running: Arc<RwLock<()>>,
    /// Held by the update that has begun: another would clear away what this one has brought.
    update: Arc<Mutex<()>>,
}

/// What a command holds from its beginning to its end.
pub enum Turn {
    /// One of many; an update waits for their end.
    Beside {
        /// Held, not read.
        _running: OwnedRwLockReadGuard<()>,
    },
    /// The one update at a time.
    Update {
        /// Held, not read.
        _update: OwnedMutexGuard<()>,
    },
}

impl Executors {
    /// Executors that do what is allowed, for an agent of the host with this id.
    pub fn new(allowed: Allowed, host: &str) -> Self {
        let owner = Owner::new(host);
        let bus = Bus::new(allowed.bus);
        let packages = Packages::new(allowed.package_operation.clone(), owner.clone());
        let running = Arc::<RwLock<()>>::default();
        Self {
            files: Files::new(allowed.file_transfer),
            inventories: Inventories::new(allowed.inventory, packages, bus.clone()),
            packages: Packages::new(allowed.package_operation, owner.clone()),
            scripts: Scripts::new(allowed.script, owner.clone()),
            services: Services::new(allowed.service_operation, bus.clone()),
            systems: Systems::new(allowed.system_operation, bus),
            updates: AgentUpdates::new(allowed.agent_update, owner.clone(), running.clone()),
            owner,
            running,
            update: Arc::default(),
        }
    }

    /// The same, with a folder of the agent's own to remember in what ends the agent itself. Without it
    /// nobody knows what became of a reboot, and what is left of a file that broke off stays.
    #[must_use]
    pub fn remembering_in(mut self, folder: &Path) -> Self {
        self.systems.remember_in(folder);
        self.files.remember_in(folder);
        self
    }

    /// The same, with the streams by which the platform brings files and takes them.
    #[must_use]
    pub fn transferring_by(mut self, transfers: Transfers) -> Self {
        self.files.come_by(transfers.clone());
        self.updates.come_by(transfers);
        self
    }

    /// The same, with what the agent knows of its updates. Without it none can be made.
    #[must_use]
    pub fn updating_by(mut self, updates: Updates) -> Self {
        self.updates.remember_by(updates);
        self
    }

    /// Whether a command would be run. Quick: it asks nobody.
    ///
    /// # Errors
    /// [`Fault`] with the rule that does not allow it, or the field that nobody could run.
    pub fn check(&self, parameters: &CommandParameters) -> Result<(), Fault> {
        match parameters {
            CommandParameters::PackageOperation(of) => self.packages.check(of),
            CommandParameters::ServiceOperation(of) => self.services.check(of),
            CommandParameters::SystemOperation(of) => self.systems.check(of),
            CommandParameters::Script(of) => self.scripts.check(of),
            CommandParameters::FileTransfer(of) => self.files.check(of),
            CommandParameters::Inventory(of) => self.inventories.check(of),
            CommandParameters::AgentUpdate(of) => self.updates.check(of),
            CommandParameters::Unknown(command) => Err(unknown(command)),
        }
    }

    /// The turn of a command that is to begin; `None` where an update waits for all that runs, or has done so
    /// and is about to put another agent in this one's place: of what began then nobody would know the end. One
    /// update waits for another as well.
    pub fn turn(&self, parameters: &CommandParameters) -> Option<Turn> {
        let running = self.running.clone().try_read_owned().ok()?;
        Some(match parameters {
            CommandParameters::AgentUpdate(_) => Turn::Update {
                _update: self.update.clone().try_lock_owned().ok()?,
            },
            _ => Turn::Beside { _running: running },
        })
    }

    /// Runs a command, which has its turn, to its end. It is checked again: what is allowed may have changed since.
    pub async fn run(&self, job: Job, reports: Reports, stop: Stop) -> Outcome {
        if let Err(fault) = self.check(&job.parameters) {
            return Outcome::failed(fault);
        }
        match &job.parameters {
            CommandParameters::PackageOperation(of) => {
                self.packages.run(&job, of, &reports, stop).await
            }
            CommandParameters::ServiceOperation(of) => {
                self.services.run(&job, of, &reports, stop).await
            }
            CommandParameters::SystemOperation(of) => {
                self.systems.run(&job, of, &reports, stop).await
            }
            CommandParameters::Script(of) => self.scripts.run(&job, of, &reports, stop).await,
            CommandParameters::FileTransfer(of) => self.files.run(&job, of, &reports, stop).await,
            CommandParameters::Inventory(of) => {
                self.inventories.run(&job, of, &reports, stop).await
            }
            CommandParameters::AgentUpdate(of) => self.updates.run(&job, of, &reports, stop).await,
            CommandParameters::Unknown(command) => Outcome::failed(unknown(command)),
        }
    }

    /// What became of a run that the agent's own end cut: `None` where nobody knows. Of an update it is known
    /// once this agent has been welcomed by the platform.
    pub async fn after_restart(&self, id: &str, parameters: &CommandParameters) -> Option<Outcome> {
        match parameters {
            CommandParameters::SystemOperation(of) => self.systems.after_restart(of),
            CommandParameters::AgentUpdate(_) => self.updates.after_restart(id).await,
            _ => None,
        }
    }

    /// Ends at once what an agent of this host that was killed left running of a command, and returns how
    /// many processes that were. They are known by their environment: what has another is not found.
    pub async fn end_left_over(&self, id: &str) -> usize {
        family::signal_marked(&self.owner.mark(id), Signal::KILL).await
    }
}

/// The refusal of a kind that this agent does not know.
fn unknown(command: &UnknownCommand) -> Fault {
    let kind = &command.command_type;
    Fault {
        reason: "command_type_unknown",
        detail: format!("this agent does not run commands of the type {kind}"),
    }
}
