//! Which rules hold, and what becomes of alerts by that. A look judges only hosts of which something has changed or of
//! which time alone can have changed something, and every ten minutes all of them; so what wakes a look may be lost
//! without harm. What counts for the platform, and what waits for hosts, is asked every ten seconds. Nothing is
//! remembered that the store does not have, but for when hosts went and came, and what was counted, while this
//! process ran.
//!
//! With 20,000 hosts and ten rules, in a build without optimisation on one of two cores of a small machine: one look at
//! all of them takes 90 ms, in pieces of 0.6 ms between which others have their turn; one at which nothing has changed
//! takes 1.3 ms, nearly all of it waiting for the store; the first, for which all hosts are read, 0.2 s; and one by which
//! 20,000 alerts fire 8 s, with the pauses between its transactions (`alerts::measure::a_look_at_many_hosts_is_cheap`).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tracing::warn;

use super::course::{Course, Open};
use super::fleet::{Fleet, Scoped};
use super::judge::{self, Figures, Sight};
use super::samples::Samples;
use crate::clock::{Now, Steadiness, UnixMillis};
use crate::ids::HostId;
use crate::limits;
use crate::net::backoff;
use crate::platform::Platform;
use crate::platform::config::Config;
use crate::platform::store::alert_rules::Condition;
use crate::platform::store::watch::WaitingQuery;
use crate::platform::store::{Store, StoreError};

/// What is asked of the platform, and what waits for hosts, is asked so often.
const SURVEYED: Duration = Duration::from_secs(10);
/// It is looked no more often than this.
const LOOKED_AT_MOST: Duration = Duration::from_secs(1);
/// All hosts are looked at so often in any case.
const JUDGED_ALL: Duration = Duration::from_secs(10 * 60);
/// Hosts that are looked at in one go, before others have their turn.
const HOSTS_AT_ONCE: usize = 128;
/// Alerts that are over are kept for so long, and removed so often, so many in one change, with pauses in which others
/// come first, and no more than these changes at once.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const REMOVED_EACH: Duration = Duration::from_secs(60);
const REMOVED_MAX: usize = 256;
const REMOVALS_MAX: usize = 256;
const REMOVAL_PAUSE: Duration = Duration::from_millis(20);
/// They are removed only where the clock has gone on for so long as clocks do: one that leaps ahead, and is put right
/// again, has removed nothing.
const STEADY_FOR: Duration = Duration::from_secs(60 * 60);

/// After a start agents have so long to come back before a host is said to be offline that this process has not seen.
/// An agent may not know yet that the process before is gone, or wait in the window in which that sent it away, or in its
/// longest pause; then it dials and says hello.
fn grace(config: &Config) -> Duration {
    let unaware = config.heartbeat * limits::SILENT_INTERVALS_MAX;
    let begins = backoff::DIALS_WITHIN.max(unaware).max(config.drain);
    begins + backoff::DIAL_TIMEOUT + Duration::from_millis(limits::HELLO_MS_MAX)
}

/// Looks until it is dropped.
pub(super) async fn run(platform: &Arc<Platform>) {
    let mut watch = Watch::new(&platform.config, Now::of_clocks());
    loop {
        let now = Now::of_clocks();
        let next = match watch.look(platform, now).await {
            Ok(next) => next.map_or(SURVEYED, |next| next.since(now.wall)),
            Err(error) => {
                warn!(%error, "alerts could not be looked after");
                SURVEYED
            }
        };
        sleep(LOOKED_AT_MOST).await;
        // Over or not: it is looked again.
        let _ = timeout(next.min(SURVEYED), platform.alerts.changed.notified()).await;
    }
}

/// Who watches.
pub(super) struct Watch {
    begun: Instant,
    grace: Duration,
    steadiness: Steadiness,
    samples: Samples,
    surveyed: Option<Instant>,
    judged_all: Option<Instant>,
    /// When alerts that are over were last removed.
    removed: Option<Instant>,
    /// `None` where it has to be read, as after a failure: what was committed of that is read again.
    known: Option<Known>,
}

/// What is in memory of what the store has.
struct Known {
    rules: Vec<Scoped>,
    fleet: Fleet,
    /// The alerts that are open, by what they are about.
    open: HashMap<Option<HostId>, Vec<Open>>,
    /// When to look at which host by time alone; each once, as it stands in the fleet.
    due: BTreeSet<(UnixMillis, HostId)>,
    figures: Figures,
}

impl Watch {
    /// One that begins now.
    pub(super) fn new(config: &Config, now: Now) -> Self {
        Self {
            begun: now.steady,
            grace: grace(config),
            steadiness: Steadiness::default(),
            samples: Samples::new(now.steady),
            surveyed: None,
            judged_all: None,
            removed: None,
            known: None,
        }
    }

    /// Looks once, and answers when to look again at the latest.
    pub(super) async fn look(
        &mut self,
        platform: &Platform,
        now: Now,
    ) -> Result<Option<UnixMillis>, StoreError> {
        let store = &*platform.store;
        let steady_for = self.steadiness.look(now);
        let (mut hosts, rules_changed) = platform.alerts.take();
        let was_known = self.known.is_some();
        let mut known = match self.known.take() {
            Some(known) => known,
            None => Known::read(store).await?,
        };
        let is_due = |at: Option<Instant>, each| {
            at.is_none_or(|at| now.steady.saturating_duration_since(at) >= each)
        };
        // A clock that was set has moved everything that waits for its time.
        let mut all = !was_known
            || rules_changed
            || steady_for.is_zero()
            || is_due(self.judged_all, JUDGED_ALL);
        if rules_changed || !was_known {
            let rules = store.alert_rules().await?;
            known.rules = known.fleet.scope(rules);
            let disk = |rule: &Scoped| matches!(rule.rule.condition, Condition::HostDisk(_));
            platform.alerts.want_reports(known.rules.iter().any(disk));
        }
        match known.fleet.follow(store).await? {
            Some(changed) => hosts.extend(changed),
            None => all = true,
        }
        let survey = all || is_due(self.surveyed, SURVEYED);
        if survey {
            let failed = platform.identity.failed_sign_ins();
            let latencies = platform.delivery.figures().received_in();
            self.samples.take(now.steady, latencies, failed);
            hosts.extend(known.survey(platform, now.wall).await?);
            platform.alerts.forget(now.wall);
            self.surveyed = Some(now.steady);
        }
        known.take_due(now.wall, &mut hosts);
        let sight = Sight {
            now,
            watched: now.steady.saturating_duration_since(self.begun),
            grace: self.grace,
        };
        let mut course = Course::new(platform, now.wall);
        if survey {
            known.judge_platform(&mut course, &self.samples, &sight);
        }
        if all {
            hosts.extend(known.fleet.hosts.keys());
            hosts.extend(known.open.keys().flatten());
            self.judged_all = Some(now.steady);
        }
        for (number, host) in (1..).zip(hosts) {
            known.judge(&mut course, &sight, platform, host);
            if number % HOSTS_AT_ONCE == 0 {
                course.write(false).await?;
                tokio::task::yield_now().await;
            }
        }
        course.write(true).await?;
        let next = known.due.first().map(|(at, _)| *at);
        self.known = Some(known);
        if steady_for >= STEADY_FOR && is_due(self.removed, REMOVED_EACH) {
            remove_old(store, now.wall).await?;
            self.removed = Some(now.steady);
        }
        Ok(next)
    }
}

async fn remove_old(store: &dyn Store, now: UnixMillis) -> Result<(), StoreError> {
    let before = UnixMillis(now.0.saturating_sub(KEPT.as_millis() as u64));
    for _ in 0..REMOVALS_MAX {
        if store.remove_alerts(before, REMOVED_MAX).await? < REMOVED_MAX {
            break;
        }
        sleep(REMOVAL_PAUSE).await;
    }
    Ok(())
}

impl Known {
    /// What the store has, but for rules and hosts.
    async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let mut open: HashMap<_, Vec<Open>> = HashMap::new();
        for alert in store.open_alerts().await? {
            let subject = alert.host.as_ref().map(|(host, _)| *host);
            open.entry(subject).or_default().push(alert.into());
        }
        Ok(Self {
            rules: Vec::new(),
            fleet: Fleet::default(),
            open,
            due: BTreeSet::new(),
            figures: Figures::default(),
        })
    }

    /// Asks what nobody tells of, as far as a rule asks for it. Answers which hosts it is about.
    async fn survey(
        &mut self,
        platform: &Platform,
        now: UnixMillis,
    ) -> Result<Vec<HostId>, StoreError> {
        let store = &*platform.store;
        let (mut dead_letters, mut depth_max, mut age, mut storage) = (0, 0, false, false);
        for Scoped { rule, .. } in &self.rules {
            match rule.condition {
                Condition::DeadLetters(count) => dead_letters = count.max(dead_letters),
                Condition::QueueDepth(count) => depth_max = count.max(depth_max),
                Condition::QueueAge(_) => age = true,
                Condition::PlatformStorage(_) => storage = true,
                _ => {}
            }
        }
        self.figures = Figures {
            dead_letters: match dead_letters {
                0 => 0,
                max => store.dead_letters(max).await?,
            },
            storage: if storage {
                storage_percent(platform.config.data_dir.clone()).await
            } else {
                None
            },
        };
        let query = WaitingQuery {
            after: 0,
            count: 0,
            depth_max,
            age,
            now,
        };
        self.fleet.ask_waiting(store, query).await
    }

    /// Takes out the hosts whose time has come.
    fn take_due(&mut self, now: UnixMillis, hosts: &mut HashSet<HostId>) {
        let later = self.due.split_off(&(
            now.plus(Duration::from_millis(1)),
            HostId(uuid::Uuid::nil()),
        ));
        for (_, host) in std::mem::replace(&mut self.due, later) {
            if let Some(watched) = self.fleet.hosts.get_mut(&host) {
                watched.due = None;
            }
            hosts.insert(host);
        }
    }

    fn judge_platform(&mut self, course: &mut Course<'_>, samples: &Samples, sight: &Sight) {
        let mut open = self.open.remove(&None).unwrap_or_default();
        let is_of_platform = |rule: &&Scoped| !rule.rule.condition.is_of_hosts();
        let rules = || self.rules.iter().filter(is_of_platform);
        for Scoped { rule, .. } in rules() {
            let verdict = judge::of_platform(&self.figures, samples, sight, rule.condition);
            // It is asked again soon enough in any case.
            course.settle(rule, None, &mut open, verdict);
        }
        let is_behind = |open: &Open| rules().any(|of| of.rule.id == open.alert.rule);
        let (kept, ended): (Vec<_>, Vec<_>) = open.into_iter().partition(is_behind);
        ended.into_iter().for_each(|open| course.end(open));
        if !kept.is_empty() {
            self.open.insert(None, kept);
        }
    }

    fn judge(&mut self, course: &mut Course<'_>, sight: &Sight, platform: &Platform, id: HostId) {
        let mut open = self.open.remove(&Some(id)).unwrap_or_default();
        let mut next: Option<UnixMillis> = None;
        let host = self.fleet.hosts.get(&id);
        let about = || {
            let rules = self.rules.iter();
            rules.filter(|rule| host.is_some_and(|host| rule.is_about(host)))
        };
        for Scoped { rule, .. } in about() {
            let Some(host) = host else { break };
            let waiting = self.fleet.waiting.get(&id);
            let verdict = judge::of_host(platform, sight, rule.condition, id, host, waiting);
            let then = course.settle(rule, Some((id, &host.name)), &mut open, verdict);
            next = next.into_iter().chain(then).min();
        }
        // Of rules that are gone, or that are not about this host any more.
        let is_behind = |open: &Open| about().any(|of| of.rule.id == open.alert.rule);
        for place in (0..open.len()).rev() {
            if !open.get(place).is_some_and(is_behind) {
                course.end(open.swap_remove(place));
            }
        }
        if !open.is_empty() {
            self.open.insert(Some(id), open);
        }
        if let Some(host) = self.fleet.hosts.get_mut(&id) {
            if let Some(before) = std::mem::replace(&mut host.due, next) {
                self.due.remove(&(before, id));
            }
            self.due.extend(next.map(|next| (next, id)));
        }
    }
}

/// How full the file system of this directory is, as its users see it; `None` where it does not say.
pub(super) async fn storage_percent(dir: PathBuf) -> Option<u64> {
    let found = tokio::task::spawn_blocking(move || {
        let found = rustix::fs::statvfs(&dir);
        found
            .inspect_err(
                |error| warn!(%error, "how full the platform's file system is cannot be seen"),
            )
            .ok()
    });
    let found = found.await.ok()??;
    let used = found.f_blocks.saturating_sub(found.f_bfree);
    // What is kept back for the system's own is nobody's to use.
    let all = used.saturating_add(found.f_bavail);
    used.saturating_mul(100).checked_div(all)
}
