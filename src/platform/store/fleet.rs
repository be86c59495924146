//! The fleet in numbers, as far as they are kept. Who is connected is the registry's to say.

use super::StoreFuture;
use crate::platform::identity::Grants;

/// What the store counts of the hosts that somebody may see, all of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FleetCounts {
    /// Hosts.
    pub hosts: u64,
    /// Hosts that were revoked, which are among them.
    pub revoked: u64,
    /// Commands that have not ended on all of these hosts.
    pub commands: u64,
    /// Deliveries that wait, were sent, were received, and run.
    pub under_way: [u64; 4],
    /// Dead letters that nobody has seen to.
    pub dead_letters: u64,
    /// Alerts that fire, by severity: those to be known first.
    pub firing: [u64; 3],
}

/// What the platform keeps, counted. It is asked for whenever a console has heard of a change: an index holds
/// what each count is about and no more, but for the hosts themselves.
pub trait FleetStore: Send + Sync {
    /// Counts what concerns the hosts that these grants allow to be seen; what concerns no host, for all hosts
    /// alone.
    fn fleet(&self, granted: Grants) -> StoreFuture<'_, FleetCounts>;
}
