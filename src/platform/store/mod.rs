//! What the platform keeps: the operations it needs, in its own words, and nothing of how a database
//! does them. `sqlite` is the embedded one; `contract` holds the tests that every one must pass.
//! Each change carries its audit entry, and both are on disk when the answer comes. The store chains
//! the entries (`crate::audit`) and signs how far the chain goes, in the same transaction.

pub mod alert_channels;
pub mod alert_rules;
pub mod alert_silences;
pub mod alerts;
pub mod commands;
#[cfg(test)]
mod contract;
pub mod deliveries;
mod enrolment;
mod events;
mod figures;
pub mod files;
pub mod fleet;
pub mod groups;
pub mod health;
pub mod once;
pub mod search;
mod sqlite;
pub mod track;
pub mod users;
pub mod watch;
pub mod waves;

use std::ffi::OsStr;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

pub use alert_channels::AlertChannelStore;
pub use alert_rules::AlertRuleStore;
pub use alert_silences::AlertSilenceStore;
pub use alerts::AlertStore;
pub use commands::CommandStore;
pub use deliveries::DeliveryStore;
pub use enrolment::{
    Enrolment, EnrolmentOutcome, EnrolmentStore, EnrolmentTokenRecord, HostByToken, Issued,
    NewEnrolmentToken, Renewal, RenewalOutcome,
};
pub use events::{EventPage, EventStore, StoredEvent};
pub use figures::StoreFigures;
pub use files::FileStore;
pub use fleet::FleetStore;
pub use groups::GroupStore;
pub use health::HealthStore;
pub use once::{AnswerStore, Answered, Change};
pub use search::{AuditFilter, AuditSearch};
pub use sqlite::SqliteStore;
pub use track::TrackStore;
pub use users::UserStore;
pub use watch::WatchStore;
pub use waves::WaveStore;

use crate::audit::seal::Start;
use crate::audit::{Chained, Entry, Place};
use crate::clock::UnixMillis;
use crate::ids::{ConsoleSessionId, HostId};
use crate::platform::credential::KeyFingerprint;
use crate::secret::SecretHash;

/// The answer of a store, once it comes.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another host has this name.
    #[error("another host has this name")]
    NameTaken,
    /// The request was answered before, and the answer is kept.
    #[error("the request was made before")]
    Repeated,
    /// Another user or group has this name.
    #[error("this is taken")]
    Taken,
    /// There is no such thing.
    #[error("there is no such entry")]
    NotFound,
    /// A group that is named is not there.
    #[error("there is no such group")]
    GroupUnknown,
    /// A channel of alerts that is named is not there.
    #[error("there is no such channel")]
    ChannelUnknown,
    /// A silence is over, and does not come back.
    #[error("the silence is over")]
    SilenceOver,
    /// Rules of alerts are about this group: these, by their names.
    #[error("rules of alerts are about it: {}", .0.join(", "))]
    GroupInRules(Vec<String>),
    /// It is another version by now.
    #[error("it was changed meanwhile")]
    VersionChanged,
    /// There are as many as there may be.
    #[error("there is no room for more")]
    Full,
    /// The database was written by a newer release.
    #[error(
        "the database is of schema {found}, this release knows {known}: install the newer release again"
    )]
    Newer {
        /// The version found.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The database failed; the disk may be full or broken.
    #[error("the database failed: {0}")]
    Failed(String),
    /// The audit log was changed from outside.
    #[error("the audit log was changed from outside at entry {0}: export and verify it")]
    AuditBroken(u64),
    /// The store has stopped.
    #[error("the store has stopped")]
    Stopped,
}

/// An enrolled host, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRecord {
    /// Its id.
    pub id: HostId,
    /// Its name, unique.
    pub name: String,
    /// When it was made.
    pub created: UnixMillis,
    /// When its agent was last heard of.
    pub last_seen: Option<UnixMillis>,
    /// Whether an agent has connected with the credential that the host has now.
    pub credential_used: bool,
    /// The key whose certificate its agent presents; `None` for a host that was made with a token
    /// alone, for an agent that cannot enrol itself.
    pub key: Option<KeyFingerprint>,
    /// The end of the last certificate that was issued to it.
    pub certificate_until: Option<UnixMillis>,
    /// Since when it is let in no more.
    pub revoked: Option<UnixMillis>,
}

/// A host to be made with a token alone.
#[derive(Clone, Debug)]
pub struct NewHost {
    /// Its id.
    pub id: HostId,
    /// Its name, refused when taken.
    pub name: String,
    /// Hash of its credential.
    pub auth_token: SecretHash,
    /// When.
    pub at: UnixMillis,
}

/// A console session, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its id.
    pub id: ConsoleSessionId,
    /// The host it leads to.
    pub host: HostId,
    /// Whose it is.
    pub user: String,
    /// The first label of its origin's host name.
    pub label: String,
    /// When it was opened.
    pub created: UnixMillis,
    /// When it ends at the latest.
    pub expires: UnixMillis,
    /// Hash of its cookie, once it was entered.
    pub cookie: Option<SecretHash>,
}

/// Where the audit log begins and ends, for an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditSpan {
    /// The place before the first entry asked for.
    pub after: Place,
    /// The same, signed, where the log begins there.
    pub start: Option<Start>,
    /// The place after the last entry that was committed, as the writer knows it and not as the
    /// database says.
    pub head: Place,
}

/// Some entries of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries, oldest first, as they stand in the database.
    pub entries: Vec<Chained>,
    /// The last entry that retention has removed; zero when it has removed none.
    pub removed: u64,
}

/// What a store can do that has all that it keeps in files of the data directory.
pub trait Copies: Send + Sync {
    /// Writes a copy of all that is committed into a directory that has none yet, beside what goes on
    /// meanwhile, and syncs it. A store that is opened on it there, or on a copy of it, knows that it was put
    /// back: its epoch is another one ([`DeliveryStore::epoch`]).
    fn copy_into(&self, directory: PathBuf) -> StoreFuture<'_, ()>;

    /// Whether a file of this name in the data directory is the store's own, which nobody else may copy.
    fn owns(&self, file: &OsStr) -> bool;
}

/// The platform's store. An operation that changes something is one transaction, is on disk when it
/// answers, and takes effect whole or not at all; what it reads back is what was committed.
pub trait Store:
    AlertChannelStore
    + AlertRuleStore
    + AlertSilenceStore
    + AlertStore
    + AnswerStore
    + AuditSearch
    + CommandStore
    + DeliveryStore
    + EnrolmentStore
    + EventStore
    + FileStore
    + FleetStore
    + GroupStore
    + HealthStore
    + TrackStore
    + UserStore
    + WatchStore
    + WaveStore
    + Send
    + Sync
{
    /// Answers when the store can both read and write.
    fn check(&self) -> StoreFuture<'_, ()>;

    /// Its copies, where it offers any. A store on a database's server offers none: it is backed up and
    /// put back with that server's own means, and only the files beside it are the platform's to copy.
    fn copies(&self) -> Option<&dyn Copies>;

    /// Makes a host. [`StoreError::NameTaken`] when its name is not free.
    fn create_host(&self, host: NewHost, change: Change) -> StoreFuture<'_, ()>;

    /// Every host, by name.
    fn hosts(&self) -> StoreFuture<'_, Vec<HostRecord>>;

    /// The host of this id, else of this name.
    fn host(&self, name_or_id: &str) -> StoreFuture<'_, Option<HostRecord>>;

    /// Notes that these hosts were heard of; a host that is gone is passed over.
    fn hosts_seen(&self, seen: Vec<(HostId, UnixMillis)>) -> StoreFuture<'_, ()>;

    /// Keeps a new console session.
    fn create_session(&self, session: SessionRecord, change: Change) -> StoreFuture<'_, ()>;

    /// Notes that a session was entered with this cookie.
    fn session_entered(
        &self,
        id: ConsoleSessionId,
        cookie: SecretHash,
        audit: Entry,
    ) -> StoreFuture<'_, ()>;

    /// Notes that a session has ended. [`StoreError::NotFound`] when it had already.
    fn session_ended(&self, id: ConsoleSessionId, audit: Entry) -> StoreFuture<'_, ()>;

    /// The sessions that have not ended.
    fn open_sessions(&self) -> StoreFuture<'_, Vec<SessionRecord>>;

    /// Writes an audit entry that goes with no other change.
    fn audit(&self, entry: Entry) -> StoreFuture<'_, ()>;

    /// The audit log from after this entry on; from its beginning when that is zero.
    /// [`StoreError::NotFound`] when there is no such entry (any more).
    fn audit_span(&self, after: u64) -> StoreFuture<'_, AuditSpan>;

    /// At most `count` audit entries whose sequence is above `after`, oldest first.
    fn audit_after(&self, after: u64, count: usize) -> StoreFuture<'_, AuditPage>;

    /// Removes the oldest audit entries, up to the first that is not older than `before` and at most
    /// `count`, and writes at `now` an entry that says so. Answers how many were removed.
    /// [`StoreError::AuditBroken`] when they do not verify: then they are kept, as evidence.
    fn audit_remove(
        &self,
        before: UnixMillis,
        count: usize,
        now: UnixMillis,
    ) -> StoreFuture<'_, usize>;
}
