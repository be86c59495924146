//! Alerts: `watch` finds which rules hold, and what becomes of alerts by that; `send` brings messages about them to
//! their receivers. What is told of an alert is committed with the alert's change, so that nothing is told twice
//! and nothing is forgotten; here is what the two are woken by, and what of hosts nobody else knows: when they went
//! and came while this process ran.

mod course;
mod fleet;
mod judge;
mod samples;
mod send;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::Platform;
use super::events::Happening;
use crate::clock::Now;
use crate::ids::HostId;
pub use send::{Webhooks, seal_secrets, secret};

/// Returns of one host that are remembered: as many as a rule may ask for.
const RETURNS_MAX: usize = 32;
/// How long they are: as long as a rule may ask for.
const RETURNS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What wakes those who look after alerts.
#[derive(Default)]
pub struct Alerts {
    noticed: Mutex<Noticed>,
    changed: Notify,
    to_send: Notify,
}

#[derive(Default)]
struct Noticed {
    /// When hosts came back. Of those alone that did so within a day.
    returns: HashMap<HostId, VecDeque<Instant>>,
    /// Since when hosts are away that were there since this process began.
    left: HashMap<HostId, Now>,
    /// Of which hosts something has changed since it was last looked.
    hosts: HashSet<HostId>,
    /// Whether rules have.
    rules: bool,
    /// Whether it is of interest what hosts report.
    reports: bool,
}

impl Noticed {
    fn returned(&mut self, now: Instant, host: HostId) {
        let returns = self.returns.entry(host).or_default();
        if returns.len() == RETURNS_MAX {
            returns.pop_front();
        }
        returns.push_back(now);
    }
}

impl Alerts {
    /// A rule was made, changed or removed: it is looked soon.
    pub fn rules_changed(&self) {
        self.noticed().rules = true;
        self.changed.notify_one();
    }

    /// Something has happened to a host at this moment. Waits for nothing.
    pub fn happened(&self, now: Now, host: HostId, what: &Happening) {
        let mut noticed = self.noticed();
        match what {
            Happening::HostOnline { .. } => {
                // After the platform's own start every host comes, and none of them has left.
                if noticed.left.remove(&host).is_some() {
                    noticed.returned(now.steady, host);
                }
            }
            Happening::HostOffline { .. } => {
                noticed.left.insert(host, now);
            }
            // Many come each second, and none is urgent.
            Happening::HostHealth { .. } if noticed.reports => {
                noticed.hosts.insert(host);
                return;
            }
            _ => return,
        }
        noticed.hosts.insert(host);
        drop(noticed);
        self.changed.notify_one();
    }

    /// A host's agent has connected anew at this moment, while it was connected still.
    pub fn replaced(&self, now: Instant, host: HostId) {
        let mut noticed = self.noticed();
        noticed.returned(now, host);
        noticed.hosts.insert(host);
        drop(noticed);
        self.changed.notify_one();
    }

    /// Of which hosts something has changed since this was last asked, and whether rules have.
    fn take(&self) -> (HashSet<HostId>, bool) {
        let mut noticed = self.noticed();
        let hosts = std::mem::take(&mut noticed.hosts);
        (hosts, std::mem::take(&mut noticed.rules))
    }

    /// Says whether it is of interest what hosts report.
    fn want_reports(&self, wanted: bool) {
        self.noticed().reports = wanted;
    }

    /// Since when a host is away, where it was there since this process began.
    fn left(&self, host: HostId) -> Option<Now> {
        self.noticed().left.get(&host).copied()
    }

    /// How often a host came back within a time, and when it came for the time that is so many before the last.
    fn came_back(
        &self,
        now: Instant,
        host: HostId,
        within: Duration,
        before_last: u64,
    ) -> (u64, Option<Instant>) {
        let noticed = self.noticed();
        let returns = noticed.returns.get(&host).into_iter().flatten();
        let returns = returns.filter(|at| now.saturating_duration_since(**at) <= within);
        let before_last = usize::try_from(before_last).unwrap_or(usize::MAX);
        let nth = returns.clone().rev().nth(before_last).copied();
        (returns.count() as u64, nth)
    }

    /// Forgets what no rule can ask for.
    fn forget(&self, now: Instant) {
        self.noticed().returns.retain(|_, returns| {
            returns.retain(|at| now.saturating_duration_since(*at) <= RETURNS_KEPT);
            !returns.is_empty()
        });
    }

    fn noticed(&self) -> MutexGuard<'_, Noticed> {
        // No code that can panic runs under the lock.
        self.noticed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks after alerts until it is dropped.
pub async fn run(platform: Arc<Platform>) {
    tokio::join!(watch::run(&platform), send::run(&platform));
}
