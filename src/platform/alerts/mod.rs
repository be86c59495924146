//! Alerts: `watch` finds which rules hold, and what becomes of alerts by that; `send` brings messages about them to
//! their receivers. What is told of an alert is committed with the alert's change, so that nothing is told twice
//! and nothing is forgotten; here is only what the two are woken by.

mod send;
mod watch;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Platform;
use crate::clock::UnixMillis;
use crate::ids::HostId;
pub use send::{Webhooks, secret};

/// Returns of one host that are remembered: as many as a rule may ask for.
const RETURNS_MAX: usize = 32;
/// How long they are: as long as a rule may ask for.
const RETURNS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What wakes those who look after alerts.
#[derive(Default)]
pub struct Alerts {
    /// When hosts came back. Of those alone that did so within a day.
    returns: Mutex<HashMap<HostId, VecDeque<UnixMillis>>>,
    /// Who has connected since it was last looked, however short that was.
    came: Mutex<HashSet<HostId>>,
    changed: Notify,
    to_send: Notify,
}

impl Alerts {
    /// Something has changed by which a rule may hold or not: it is looked at soon.
    pub fn look(&self) {
        self.changed.notify_one();
    }

    /// A host's agent has connected; `returned` where it had been connected before.
    pub fn connected(&self, now: UnixMillis, host: HostId, returned: bool) {
        if returned {
            let mut all = self.returns();
            let returns = all.entry(host).or_default();
            if returns.len() == RETURNS_MAX {
                returns.pop_front();
            }
            returns.push_back(now);
        }
        self.came().insert(host);
        self.look();
    }

    /// Who has connected since this was last asked.
    fn take_came(&self) -> HashSet<HostId> {
        std::mem::take(&mut *self.came())
    }

    /// How often a host came back within a time.
    fn came_back(&self, now: UnixMillis, host: HostId, within: Duration) -> u64 {
        let all = self.returns();
        let returns = all.get(&host).into_iter().flatten();
        returns.filter(|at| now.since(**at) <= within).count() as u64
    }

    /// Forgets what no rule can ask for.
    fn forget(&self, now: UnixMillis) {
        self.returns().retain(|_, returns| {
            returns.retain(|at| now.since(*at) <= RETURNS_KEPT);
            !returns.is_empty()
        });
    }

    fn came(&self) -> MutexGuard<'_, HashSet<HostId>> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn returns(&self) -> MutexGuard<'_, HashMap<HostId, VecDeque<UnixMillis>>> {
        self.returns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks after alerts until it is dropped.
pub async fn run(platform: Arc<Platform>) {
    tokio::join!(watch::run(&platform), send::run(&platform));
}
