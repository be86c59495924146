//! What whoever watches over the fleet for alerts asks of the store again and again, each bounded in what it reads.

use super::StoreFuture;
use super::groups::HostEntry;
use crate::clock::UnixMillis;
use crate::ids::HostId;

/// Which hosts were changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostChanges {
    /// Up to where this is known: to be asked from there on next.
    pub head: u64,
    /// Those; `None` where it may be any of them.
    pub hosts: Option<Vec<HostId>>,
}

/// What is asked of that which waits for hosts.
#[derive(Clone, Copy, Debug)]
pub struct WaitingQuery {
    /// Of hosts after this place.
    pub after: u64,
    /// Of so many hosts at most.
    pub count: usize,
    /// What waits is counted up to here, as nobody asks for more; zero where nobody asks.
    pub depth_max: u64,
    /// Whether it is asked since when something waits.
    pub age: bool,
    /// When that is.
    pub now: UnixMillis,
}

/// What waits for one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The host's place.
    pub place: u64,
    /// The host.
    pub host: HostId,
    /// How many commands wait for it, up to the most that was asked for.
    pub depth: u64,
    /// Since when something waits that neither waits for its time nor for a maintenance window. Of 256 commands of
    /// each priority, those that are next.
    pub since: Option<UnixMillis>,
}

/// What is watched.
pub trait WatchStore: Send + Sync {
    /// Which hosts were made, enrolled, renewed, changed or revoked after a place, at most `count`; with no place, where
    /// it goes on from. Neither who was seen nor what becomes of groups is among it.
    fn host_changes(&self, after: Option<u64>, count: usize) -> StoreFuture<'_, HostChanges>;

    /// Hosts after this one in an order that no change of a host changes, at most `count`.
    fn hosts_by_id(&self, after: Option<HostId>, count: usize) -> StoreFuture<'_, Vec<HostEntry>>;

    /// What waits for hosts, of hosts for which something does, in the order of their places.
    fn waiting(&self, query: WaitingQuery) -> StoreFuture<'_, Vec<Waiting>>;

    /// How many dead letters there are, up to `max`.
    fn dead_letters(&self, max: u64) -> StoreFuture<'_, u64>;
}
