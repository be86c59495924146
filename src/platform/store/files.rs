//! What the store knows of the files that the platform keeps for commands: what they are, whose, until when,
//! and which commands need them. Their bytes are `platform::blobs`' affair; a file is here before there is
//! anything of it, and goes from here before its bytes do.

use super::{Change, StoreFuture};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{CommandId, FileId, HostId};

/// A file, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// Its id.
    pub id: FileId,
    /// What it is called, for people.
    pub name: String,
    /// How many bytes it has, once it is whole.
    pub size: u64,
    /// Their SHA-256; `None` of one that a host is sending.
    pub sha256: Option<[u8; 32]>,
    /// Whether all of it is there and has this hash.
    pub complete: bool,
    /// Who brought it, or asked a host for it, as the audit log names them.
    pub user: String,
    /// The command by which it came, and the host that it is from.
    pub from: Option<(CommandId, HostId)>,
    /// When it was announced.
    pub created: UnixMillis,
    /// When it goes, where no command needs it then.
    pub expires: UnixMillis,
}

/// The place of a file in the list of them, the newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePlace {
    /// When it was announced.
    pub created: UnixMillis,
    /// Its id.
    pub id: FileId,
}

/// Which files are asked for.
#[derive(Clone, Debug, Default)]
pub struct FileFilter {
    /// Those that whoever asks sees: what this user brought, and what is from these hosts. `None`: all.
    pub seen_by: Option<(String, Vec<HostId>)>,
    /// Those by this command.
    pub command: Option<CommandId>,
}

/// The part of the store for files.
pub trait FileStore: Send + Sync {
    /// Announces a file. [`super::StoreError::Full`] where all files together would have more than
    /// `bytes_max` bytes.
    fn create_file(&self, file: FileRecord, bytes_max: u64, change: Change) -> StoreFuture<'_, ()>;

    /// The file of this id.
    fn file(&self, id: FileId) -> StoreFuture<'_, Option<FileRecord>>;

    /// A file of this size and hash, of which all is there.
    fn file_by_hash(&self, size: u64, sha256: [u8; 32]) -> StoreFuture<'_, Option<FileRecord>>;

    /// What a command has of a host.
    fn file_from(&self, command: CommandId, host: HostId) -> StoreFuture<'_, Option<FileRecord>>;

    /// At most `count` files after this place, the newest first.
    fn files(
        &self,
        filter: FileFilter,
        after: Option<FilePlace>,
        count: usize,
    ) -> StoreFuture<'_, Vec<FileRecord>>;

    /// All of a file is there, and has this hash; it is kept until then. What is whole already stays.
    /// [`super::StoreError::NotFound`] where it is not there (any more).
    fn complete_file(
        &self,
        id: FileId,
        sha256: [u8; 32],
        expires: UnixMillis,
        audit: Entry,
    ) -> StoreFuture<'_, FileRecord>;

    /// Notes that a command needs a file, before the command is made: until it has ended the file stays.
    /// [`super::StoreError::NotFound`] where it is not there (any more).
    fn use_file(&self, id: FileId, command: CommandId, at: UnixMillis) -> StoreFuture<'_, ()>;

    /// Removes a file. [`super::StoreError::Taken`] where a command needs it that has not ended,
    /// [`super::StoreError::NotFound`] where it is not there.
    fn delete_file(&self, id: FileId, now: UnixMillis, audit: Entry) -> StoreFuture<'_, ()>;

    /// Removes at most `count` files whose time is over at `now` and which no command needs, and answers
    /// which.
    fn expire_files(&self, now: UnixMillis, count: usize) -> StoreFuture<'_, Vec<FileId>>;

    /// How many bytes all files are to have together.
    fn files_bytes(&self) -> StoreFuture<'_, u64>;
}
