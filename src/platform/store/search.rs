//! The audit log as it is looked through: the newest first, by who, what, where and when.

use super::StoreFuture;
use crate::audit::Chained;
use crate::clock::UnixMillis;
use crate::ids::{ConsoleSessionId, HostId};

/// Which entries are wanted; what is absent or empty does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only of this actor.
    pub actor: String,
    /// Only of this action, or of those that begin with it where it ends with a dot, as `session.`.
    pub action: String,
    /// Only of these hosts; none at all where the list is empty.
    pub hosts: Option<Vec<HostId>>,
    /// Only of this console session.
    pub session: Option<ConsoleSessionId>,
    /// Not before this instant.
    pub since: Option<UnixMillis>,
    /// Before this instant.
    pub until: Option<UnixMillis>,
}

/// The audit log, to be looked through.
pub trait AuditSearch {
    /// At most `count` entries that the filter lets through, below `before` by their sequence where that
    /// is given, newest first.
    fn audit_search(
        &self,
        filter: AuditFilter,
        before: Option<u64>,
        count: usize,
    ) -> StoreFuture<'_, Vec<Chained>>;
}
