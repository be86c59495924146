//! Commands, as they are kept: what a host is to do, in the order in which it was asked.

use super::{Change, StoreFuture};
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId};

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRecord {
    /// Its id.
    pub id: CommandId,
    /// The host that is to run it.
    pub host: HostId,
    /// Its place among the host's commands, from 1; given by the store.
    pub sequence: u64,
    /// What kind it is, such as `package_operation`.
    pub kind: String,
    /// What to do, in the encoding of whoever put it there.
    pub parameters: Vec<u8>,
    /// How long it may run, in seconds.
    pub timeout_seconds: u32,
    /// Who asked for it.
    pub user: String,
    /// When.
    pub created: UnixMillis,
    /// Until when it may be begun.
    pub expires: UnixMillis,
}

/// Which commands are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandFilter {
    /// Only for these hosts; none at all where the list is empty.
    pub hosts: Option<Vec<HostId>>,
}

/// The commands.
pub trait CommandStore {
    /// Keeps a new command, after all others of its host. [`super::StoreError::NotFound`] when the host
    /// is gone.
    fn create_command(&self, command: CommandRecord, change: Change) -> StoreFuture<'_, ()>;

    /// The command of this id.
    fn command(&self, id: CommandId) -> StoreFuture<'_, Option<CommandRecord>>;

    /// At most `count` commands that the filter lets through, newest first; those before `before`, an
    /// instant and an id, where that is given.
    fn commands(
        &self,
        filter: CommandFilter,
        before: Option<(UnixMillis, CommandId)>,
        count: usize,
    ) -> StoreFuture<'_, Vec<CommandRecord>>;
}
