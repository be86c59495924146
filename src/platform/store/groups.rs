//! Groups of hosts, hosts' labels, and lists of hosts by either, as they are kept. Whether a host is
//! connected is not the store's to know.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, HostRecord, StoreFuture};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{GroupId, HostId, HostName};
use crate::platform::identity::{Grants, GroupName, LabelKey, LabelValue};
use crate::platform::windows::Window;

/// The most groups that there are.
pub const GROUPS_MAX: usize = 4096;

/// A group of hosts, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// Its id.
    pub id: GroupId,
    /// Its name, unique.
    pub name: GroupName,
    /// What it is for, in the words of whoever made it.
    pub description: String,
    /// When it was made.
    pub created: UnixMillis,
    /// How many hosts are in it.
    pub hosts: u64,
    /// When its hosts may be worked on by commands that are to wait for that.
    pub windows: Vec<Window>,
    /// Counts its changes; which hosts are in it is none of them.
    pub version: u64,
}

/// A group to be made.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// Its id.
    pub id: GroupId,
    /// Its name, refused when taken.
    pub name: GroupName,
    /// What it is for.
    pub description: String,
    /// When.
    pub at: UnixMillis,
}

/// What is to become of a group; what is none stays as it is.
#[derive(Clone, Debug, Default)]
pub struct GroupChange {
    /// Its name, refused when taken.
    pub name: Option<GroupName>,
    /// What it is for.
    pub description: Option<String>,
    /// All its maintenance windows.
    pub windows: Option<Vec<Window>>,
}

/// A host with all that users say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    /// The host.
    pub record: HostRecord,
    /// Its labels.
    pub labels: BTreeMap<LabelKey, LabelValue>,
    /// The groups that it is in.
    pub groups: BTreeSet<GroupId>,
    /// Counts the changes of its name, its labels and its groups.
    pub version: u64,
}

/// What is to become of a host; what is none stays as it is.
#[derive(Clone, Debug, Default)]
pub struct HostChange {
    /// Its name, refused when taken.
    pub name: Option<HostName>,
    /// All its labels.
    pub labels: Option<BTreeMap<LabelKey, LabelValue>>,
    /// All groups that it is in.
    pub groups: Option<BTreeSet<GroupId>>,
}

/// Which labels a host is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelSelector {
    /// One of this key, as in `site`.
    Has(LabelKey),
    /// This one, as in `site=lab`.
    Is(LabelKey, LabelValue),
}

/// Which hosts are asked for: those that are all of this.
#[derive(Clone, Debug)]
pub struct HostFilter {
    /// Their names begin with this.
    pub name_prefix: Option<String>,
    /// Their names contain this, in upper or lower case.
    pub name_contains: Option<String>,
    /// They are in this group.
    pub group: Option<GroupId>,
    /// They have all of these labels.
    pub labels: Vec<LabelSelector>,
    /// Whoever asks sees them.
    pub granted: Grants,
    /// Their names come after this one.
    pub after: Option<String>,
    /// No more of them than this.
    pub limit: usize,
}

impl HostFilter {
    /// All that somebody sees, to begin with.
    pub fn all(granted: Grants, limit: usize) -> Self {
        Self {
            name_prefix: None,
            name_contains: None,
            group: None,
            labels: Vec::new(),
            granted,
            after: None,
            limit,
        }
    }
}

/// A label and how many hosts have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelCount {
    /// Its key.
    pub key: LabelKey,
    /// Its value.
    pub value: LabelValue,
    /// How many hosts have it.
    pub hosts: u64,
}

/// The part of the store for groups and labels. `expected` is the version that whoever changes
/// something has seen: [`VersionChanged`](super::StoreError::VersionChanged) when it is another by now.
pub trait GroupStore: Send + Sync {
    /// Makes a group. [`Taken`](super::StoreError::Taken) when its name is not free,
    /// [`Full`](super::StoreError::Full) when there are too many.
    fn create_group(&self, group: NewGroup, change: Change) -> StoreFuture<'_, ()>;

    /// The group of this id.
    fn group(&self, id: GroupId) -> StoreFuture<'_, Option<GroupRecord>>;

    /// The group of this name.
    fn group_by_name(&self, name: &GroupName) -> StoreFuture<'_, Option<GroupRecord>>;

    /// At most `limit` of the granted groups by name, from after this name on.
    fn groups(
        &self,
        granted: Grants,
        after: Option<GroupName>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<GroupRecord>>;

    /// Changes a group, and answers what it is then.
    fn update_group(
        &self,
        id: GroupId,
        expected: Option<u64>,
        change: GroupChange,
        audit: Entry,
    ) -> StoreFuture<'_, GroupRecord>;

    /// Removes a group, from its hosts and from all that were granted it.
    fn delete_group(&self, id: GroupId, expected: Option<u64>, audit: Entry)
    -> StoreFuture<'_, ()>;

    /// The host of this id.
    fn host_entry(&self, id: HostId) -> StoreFuture<'_, Option<HostEntry>>;

    /// Changes a host, and answers what it is then. [`NotFound`](super::StoreError::NotFound) when it
    /// is not there, [`GroupUnknown`](super::StoreError::GroupUnknown) when one of its groups is not.
    fn update_host(
        &self,
        id: HostId,
        expected: Option<u64>,
        change: HostChange,
        audit: Entry,
    ) -> StoreFuture<'_, HostEntry>;

    /// The hosts that are asked for, by name.
    fn host_entries(&self, filter: HostFilter) -> StoreFuture<'_, Vec<HostEntry>>;

    /// At most `limit` labels of the hosts that somebody sees, by key and value, from after these on.
    fn labels(
        &self,
        granted: Grants,
        after: Option<(LabelKey, LabelValue)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<LabelCount>>;

    /// The maintenance windows of these hosts, which are those of all groups that a host is in. A host that
    /// has none is left out.
    fn maintenance_windows(
        &self,
        hosts: Vec<HostId>,
    ) -> StoreFuture<'_, BTreeMap<HostId, Vec<Window>>>;

    /// Which host is in which group: all of it, or of one host.
    fn memberships(&self, of: Option<HostId>) -> StoreFuture<'_, Vec<(HostId, GroupId)>>;
}
