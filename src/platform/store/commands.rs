//! Commands, as they are kept: what hosts are to do, who asked for it, and how many of its deliveries
//! stand where. A command is one row, however many hosts it is for; what becomes of it on each of them
//! is in `deliveries`.

use super::deliveries::{Counts, DeliveryState};
use super::waves::{Plan, WaveStand};
use super::{Change, StoreFuture};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId};

/// What is sent first, of what waits for a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Before all others.
    High,
    /// In the order in which they were asked for.
    #[default]
    Normal,
    /// After all others.
    Low,
}

impl Priority {
    /// All of them, the first to be sent first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

/// A command that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCommand {
    /// Its id.
    pub id: CommandId,
    /// What kind it is, such as `package_operation`.
    pub kind: String,
    /// What to do: the link's message of that kind, encoded.
    pub parameters: Vec<u8>,
    /// How long it may run, in seconds; 0 for ever.
    pub timeout_seconds: u32,
    /// Its place among what waits for a host.
    pub priority: Priority,
    /// Who asks for it.
    pub user: String,
    /// When.
    pub created: UnixMillis,
    /// Until when it may be begun; `None` for ever.
    pub expires: Option<UnixMillis>,
    /// Before when it is not sent.
    pub not_before: Option<UnixMillis>,
    /// How its hosts are due beside that.
    pub plan: Plan,
    /// Whom it is for, as was asked, for showing.
    pub targets: String,
    /// The command whose dead letters it takes up again.
    pub redrive_of: Option<CommandId>,
    /// The hosts, each once.
    pub hosts: Vec<NewDelivery>,
}

/// One host of a new command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// The host.
    pub host: HostId,
    /// Whether it is going to be sent at once: then it is kept as sent, which saves a change.
    pub start: DeliveryStart,
}

/// How a delivery begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeliveryStart {
    /// It waits for its turn.
    #[default]
    Queued,
    /// Its host is connected and has room: it is sent once it is kept.
    Sent {
        /// To an agent without a journal, to which nothing is sent twice.
        once: bool,
    },
}

impl From<HostId> for NewDelivery {
    fn from(host: HostId) -> Self {
        Self {
            host,
            start: DeliveryStart::Queued,
        }
    }
}

/// The place that a delivery was given among those of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The host.
    pub host: HostId,
    /// Its place, from 1.
    pub sequence: u64,
    /// Every delivery of the host up to this place has ended.
    pub settled_sequence: u64,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRecord {
    /// Its id.
    pub id: CommandId,
    /// What kind it is, such as `package_operation`.
    pub kind: String,
    /// What to do: the link's message of that kind, encoded.
    pub parameters: Vec<u8>,
    /// How long it may run, in seconds; 0 for ever.
    pub timeout_seconds: u32,
    /// Its place among what waits for a host.
    pub priority: Priority,
    /// Who asked for it; `agent` where the store learnt of it from an agent alone.
    pub user: String,
    /// When.
    pub created: UnixMillis,
    /// Until when it may be begun, of waves the one that was begun last; `None` for ever.
    pub expires: Option<UnixMillis>,
    /// Before when it is not sent.
    pub not_before: Option<UnixMillis>,
    /// How its hosts are due beside that.
    pub plan: Plan,
    /// Where its waves stand; `None` where it has none.
    pub waves: Option<WaveStand>,
    /// Whom it is for, as was asked, for showing.
    pub targets: String,
    /// The command whose dead letters it took up again.
    pub redrive_of: Option<CommandId>,
    /// How many of its deliveries stand where.
    pub counts: Counts,
    /// When the last of its deliveries ended; `None` while one has not.
    pub finished: Option<UnixMillis>,
}

/// Which commands are wanted. Each field that is set narrows it down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandFilter {
    /// For one of these hosts; none at all where the list is empty.
    pub hosts: Option<Vec<HostId>>,
    /// With at least one delivery in one of these states. Empty: any.
    pub states: Vec<DeliveryState>,
    /// Whether all of its deliveries have ended.
    pub finished: Option<bool>,
    /// Asked for by this user.
    pub user: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Made at this instant or later.
    pub since: Option<UnixMillis>,
    /// Made before this instant.
    pub until: Option<UnixMillis>,
}

/// A command's place in the order in which commands were made: what a page ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandPlace(pub u64);

/// Some commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandPage {
    /// The commands, newest first. They may be fewer than asked for, though there are more.
    pub found: Vec<CommandRecord>,
    /// Where to go on; `None` at the end.
    pub next: Option<CommandPlace>,
}

/// What a cancellation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cancelled {
    /// Hosts to which it had not been sent: it is cancelled there.
    pub ended: Vec<HostId>,
    /// Hosts that may have it: they are asked to end it.
    pub requested: Vec<HostId>,
}

/// Dead letters of one command that are to be delivered after all.
#[derive(Clone, Debug)]
pub struct Redrive {
    /// The command that takes them up: `redrive_of` names the one before, `hosts` those whose deliveries
    /// are taken up.
    pub command: NewCommand,
    /// What the audit log says of this command.
    pub audit: Entry,
}

/// The commands.
pub trait CommandStore {
    /// Keeps a new command and its deliveries, each after all others of its host, and answers the places
    /// of those that begin as sent. [`super::StoreError::NotFound`] when one of its hosts is gone.
    fn create_command(&self, command: NewCommand, change: Change)
    -> StoreFuture<'_, Vec<Assigned>>;

    /// The command of this id.
    fn command(&self, id: CommandId) -> StoreFuture<'_, Option<CommandRecord>>;

    /// Looks for at most `count` commands that the filter lets through, newest first and after `after`,
    /// and no further than a bound at once.
    fn commands(
        &self,
        filter: CommandFilter,
        after: Option<CommandPlace>,
        count: usize,
    ) -> StoreFuture<'_, CommandPage>;

    /// How many of a command's deliveries to these hosts stand where, and when the last of them ended where
    /// all have; for whoever may see these hosts only.
    fn command_counts(
        &self,
        id: CommandId,
        hosts: Vec<HostId>,
    ) -> StoreFuture<'_, (Counts, Option<UnixMillis>)>;

    /// Wants a command no more: on these hosts, or on all of them. What has ended stays as it is.
    /// [`super::StoreError::NotFound`] when there is no such command.
    fn cancel_command(
        &self,
        id: CommandId,
        hosts: Option<Vec<HostId>>,
        at: UnixMillis,
        change: Change,
    ) -> StoreFuture<'_, Cancelled>;

    /// Takes dead letters up again, as new commands: theirs are dead letters no more. All of it is done or
    /// none: [`super::StoreError::VersionChanged`] when one is no dead letter (any more).
    fn redrive(&self, redrives: Vec<Redrive>, change: Change) -> StoreFuture<'_, ()>;

    /// Takes these off the list of dead letters, and answers how many of them were on it.
    fn discard(
        &self,
        deliveries: Vec<(CommandId, HostId)>,
        at: UnixMillis,
        change: Change,
    ) -> StoreFuture<'_, usize>;

    /// Removes commands that finished before that, with their deliveries: at most about `count` deliveries,
    /// and whole commands. Answers how many commands.
    fn remove_commands(&self, before: UnixMillis, count: usize) -> StoreFuture<'_, usize>;
}
