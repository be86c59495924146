//! When the hosts of a command are due: all at once or in waves, at any time or in maintenance windows, and
//! whether a host that is offline is waited for. What is kept of it, and how a command goes on from wave to
//! wave; all of it is in the store, so that whoever delivers may be ended at any point.
//!
//! ```text
//!             ┌──────────── the pause is over ────────────┐
//!             ▼                                           │
//!  made ─▶ wave under way ──all its deliveries ended──▶ pausing ... the last has ended: nothing is held
//!             │                                           │
//!             └──── more failures than it may have ───────┴─▶ paused ──resumed──▶ pausing, or under way
//! ```

use std::time::Duration;

use super::{Change, StoreFuture};
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId};

/// How the hosts of a command are due, beside its `not_before`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// On each host only within its maintenance windows.
    pub in_window: bool,
    /// Not on a host that is offline when it is due.
    pub skip_offline: bool,
    /// Some hosts after the other.
    pub waves: Option<Waves>,
}

/// Some hosts after the other, in the order in which the command names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waves {
    /// How many hosts at a time, 1 at least.
    pub size: u64,
    /// How long to wait after a wave, in whole milliseconds.
    pub pause: Duration,
    /// When more hosts than this have failed, no other wave is begun. `None`: however many.
    pub failures_max: Option<u64>,
}

impl Waves {
    /// How many waves so many hosts are.
    pub fn count(&self, hosts: usize) -> u64 {
        (hosts as u64).div_ceil(self.size.max(1))
    }
}

/// Where a command with waves stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaveStand {
    /// The wave that was begun last, from 1.
    pub current: u64,
    /// How many there are.
    pub total: u64,
    /// Hosts of waves that were not begun.
    pub held: u64,
    /// When the next is begun, where it is known.
    pub next: Option<UnixMillis>,
    /// Since when no other wave is begun until somebody says so, where it is so.
    pub paused: Option<UnixMillis>,
    /// Why, as a stable word.
    pub reason: String,
}

/// Why a command is paused: more of its hosts have failed than may.
pub const FAILURES: &str = "failures_exceeded";

/// What was begun of waves that were due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// The hosts for which something waits now.
    pub hosts: Vec<HostId>,
    /// When the next wave is due that is known of.
    pub next: Option<UnixMillis>,
    /// Whether anything is held for a wave to come.
    pub any: bool,
}

/// A delivery that is not for a host that is offline when it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skippable {
    /// The command.
    pub command: CommandId,
    /// The host.
    pub host: HostId,
    /// When the command was made.
    pub created: UnixMillis,
    /// Before when it is not due.
    pub not_before: Option<UnixMillis>,
    /// Whether it is due only within the host's maintenance windows.
    pub in_window: bool,
}

/// Waves and schedules of commands.
pub trait WaveStore {
    /// Begins the waves that are due at `now`.
    fn begin_waves(&self, now: UnixMillis) -> StoreFuture<'_, Begun>;

    /// Lets a command that is paused go on with its next wave; failures until now count no more. Answers
    /// whether it was paused. [`super::StoreError::NotFound`] when there is no such command.
    fn resume_command(
        &self,
        id: CommandId,
        at: UnixMillis,
        change: Change,
    ) -> StoreFuture<'_, bool>;

    /// Ends what was not sent of a command, and leaves alone what was. Answers on which hosts.
    /// [`super::StoreError::NotFound`] when there is no such command.
    fn abort_command(
        &self,
        id: CommandId,
        at: UnixMillis,
        change: Change,
    ) -> StoreFuture<'_, Vec<HostId>>;

    /// Deliveries of waves that were begun, which were not sent and do not wait for a host that is offline; at
    /// most `count`, after that one.
    fn skippable(
        &self,
        after: Option<(CommandId, HostId)>,
        count: usize,
    ) -> StoreFuture<'_, Vec<Skippable>>;
}
