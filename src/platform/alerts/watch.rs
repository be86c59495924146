//! Which rules hold, and what becomes of alerts by that. A look judges only hosts of which something has changed or of
//! which time alone can have changed something, and every ten minutes all of them; so what wakes a look may be lost
//! without harm. What counts for the platform, and what waits for hosts, is asked every ten seconds. Nothing is
//! remembered that the store does not have, but for when hosts went and came, what was counted, and for how long rules
//! held or did not, while this process ran.
//!
//! All that is counted is counted by the clock that nobody sets. That of people says what is shown, and how long
//! something was so before this process began; where it is set meanwhile, what follows from it alone (when a certificate
//! ends, since when a command waits) stays as it is until the clock has gone on as clocks do for a while.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tracing::warn;

use super::course::{Course, Open};
use super::fleet::{Fleet, Scoped};
use super::judge::{self, Figures, Known as KnownHost, Sight};
use super::samples::Samples;
use crate::clock::{Now, Steadiness, UnixMillis};
use crate::ids::HostId;
use crate::limits;
use crate::net::backoff;
use crate::platform::Platform;
use crate::platform::config::Config;
use crate::platform::store::alert_rules::Condition;
use crate::platform::store::alerts::AlertState;
use crate::platform::store::{Store, StoreError};

/// What is asked of the platform, and what waits for hosts, is asked so often.
const SURVEYED: Duration = Duration::from_secs(10);
/// It is looked no more often than this.
const LOOKED_AT_MOST: Duration = Duration::from_secs(1);
/// All hosts are looked at so often in any case.
const JUDGED_ALL: Duration = Duration::from_secs(10 * 60);
/// Judgements, of one rule and one host each, before others have their turn: less than a millisecond of them, also
/// in a build without optimisation.
const JUDGED_AT_ONCE: usize = 1024;
/// Open alerts that are read at once.
const OPEN_READ_MAX: usize = 256;
/// A clock that was set is not believed for so long: one that leaps is mostly put right again.
const DOUBTED: Duration = Duration::from_secs(10 * 60);
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
            Ok(Looked {
                is_whole: false, ..
            }) => continue,
            Ok(Looked { next, .. }) => {
                next.map_or(SURVEYED, |next| next.saturating_duration_since(now.steady))
            }
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
    begun: Now,
    grace: Duration,
    steadiness: Steadiness,
    /// Until when the clock of people is not believed.
    doubted: Option<Instant>,
    samples: Samples,
    surveyed: Option<Instant>,
    judged_all: Option<Instant>,
    /// When alerts that are over were last removed.
    removed: Option<Instant>,
    /// `None` where it has to be read, as after a failure: what was committed of that is read again.
    known: Option<Known>,
    /// The alerts that were open before a failure, for what was counted of them.
    lost: OpenAlerts,
}

/// What came of a look.
#[derive(Debug)]
pub(super) struct Looked {
    /// When to look again at the latest, by what is known.
    pub next: Option<Instant>,
    /// Whether all was looked at that was to be; else it is looked on at once.
    pub is_whole: bool,
}

/// The alerts that are open, by what they are about.
type OpenAlerts = HashMap<Option<HostId>, Vec<Open>>;

/// What is in memory of what the store has.
struct Known {
    rules: Vec<Scoped>,
    fleet: Fleet,
    open: OpenAlerts,
    /// When to look at which host by time alone; each once, as it stands in the fleet.
    due: BTreeSet<(Instant, HostId)>,
    /// Hosts that the look before was to judge, and left to this one.
    left: Vec<HostId>,
    figures: Figures,
}

impl Watch {
    /// One that begins now.
    pub(super) fn new(config: &Config, now: Now) -> Self {
        Self {
            begun: now,
            grace: grace(config),
            steadiness: Steadiness::default(),
            doubted: None,
            samples: Samples::new(now.steady),
            surveyed: None,
            judged_all: None,
            removed: None,
            known: None,
            lost: OpenAlerts::default(),
        }
    }

    /// Looks once.
    pub(super) async fn look(
        &mut self,
        platform: &Platform,
        now: Now,
    ) -> Result<Looked, StoreError> {
        let was_known = self.known.is_some();
        let mut known = match self.known.take() {
            Some(known) => known,
            None => {
                let known = Known::read(&*platform.store, now, &self.lost).await?;
                self.lost = OpenAlerts::default();
                known
            }
        };
        let looked = self.look_with(&mut known, was_known, platform, now).await;
        self.known = Some(known);
        if looked.is_err() {
            self.lose();
        }
        looked
    }

    /// Reads all anew at the next look, but for what this process has counted.
    pub(super) fn lose(&mut self) {
        if let Some(known) = self.known.take() {
            self.lost = known.open;
        }
    }

    async fn look_with(
        &mut self,
        known: &mut Known,
        was_known: bool,
        platform: &Platform,
        now: Now,
    ) -> Result<Looked, StoreError> {
        let store = &*platform.store;
        let (steady_for, was_set) = self.steady_for(now);
        let (mut hosts, rules_changed) = platform.alerts.take();
        hosts.extend(known.left.drain(..));
        let is_due = |at: Option<Instant>, each| {
            at.is_none_or(|at| now.steady.saturating_duration_since(at) >= each)
        };
        // A clock that was set has moved everything that waits for its time.
        let mut all = !was_known || rules_changed || was_set || is_due(self.judged_all, JUDGED_ALL);
        if rules_changed || !was_known {
            let rules = store.alert_rules().await?;
            known.rules = known.fleet.scope(rules);
            let disk = |rule: &Scoped| matches!(rule.rule.condition, Condition::HostDisk(_));
            platform.alerts.want_reports(known.rules.iter().any(disk));
        }
        match known.fleet.follow(store).await? {
            Some(changed) => hosts.extend(changed),
            None => {
                all = true;
                known.due.clear();
            }
        }
        let survey = all || is_due(self.surveyed, SURVEYED);
        if survey {
            let failed = platform.identity.failed_sign_ins();
            let latencies = platform.delivery.figures().received_in();
            self.samples.take(now.steady, latencies, failed);
            hosts.extend(known.survey(platform, now).await?);
            platform.alerts.forget(now.steady);
            self.surveyed = Some(now.steady);
        }
        known.take_due(now.steady, &mut hosts);
        let sight = Sight {
            now,
            begun: self.begun,
            grace: self.grace,
            doubted: self.doubted,
        };
        let mut course = Course::new(platform, now);
        if survey {
            known.judge_platform(&mut course, &self.samples, &sight);
        }
        if all {
            hosts.extend(known.fleet.hosts.keys());
            hosts.extend(known.open.keys().flatten());
            self.judged_all = Some(now.steady);
        }
        known
            .judge_hosts(&mut course, &sight, platform, hosts)
            .await?;
        let is_whole = known.left.is_empty();
        if is_whole && steady_for >= STEADY_FOR && is_due(self.removed, REMOVED_EACH) {
            remove_old(store, now.wall).await?;
            self.removed = Some(now.steady);
        }
        Ok(Looked {
            next: known.due.first().map(|(at, _)| *at),
            is_whole,
        })
    }

    /// For how long the clock of people has gone on as clocks do, and whether it was set just now.
    fn steady_for(&mut self, now: Now) -> (Duration, bool) {
        let steady_for = self.steadiness.look(now);
        // Before the first look nobody knows how it went.
        let was_set = steady_for.is_zero() && self.surveyed.is_some();
        if was_set {
            self.doubted = now.steady.checked_add(DOUBTED);
        }
        (steady_for, was_set)
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
    async fn read(store: &dyn Store, now: Now, lost: &OpenAlerts) -> Result<Self, StoreError> {
        let mut open = OpenAlerts::default();
        for state in [AlertState::Pending, AlertState::Firing] {
            let mut after = 0;
            loop {
                let some = store.alerts_in(state, after, OPEN_READ_MAX).await?;
                let was_last = some.len() < OPEN_READ_MAX;
                for (number, alert) in some {
                    after = number;
                    let subject = alert.host.as_ref().map(|(host, _)| *host);
                    let mut before = lost.get(&subject).into_iter().flatten();
                    let before = before.find(|before| before.alert.id == alert.id);
                    let read = Open::read(now, alert, before);
                    open.entry(subject).or_default().push(read);
                }
                if was_last {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(Self {
            rules: Vec::new(),
            fleet: Fleet::default(),
            open,
            due: BTreeSet::new(),
            left: Vec::new(),
            figures: Figures::default(),
        })
    }

    /// Asks what nobody tells of, as far as a rule asks for it. Answers which hosts it is about.
    async fn survey(&mut self, platform: &Platform, now: Now) -> Result<Vec<HostId>, StoreError> {
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
        let asked = (depth_max, age);
        self.fleet.ask_waiting(store, now, asked).await
    }

    /// Takes out the hosts whose time has come.
    fn take_due(&mut self, now: Instant, hosts: &mut HashSet<HostId>) {
        while let Some((at, host)) = self.due.pop_first() {
            if at > now {
                self.due.insert((at, host));
                break;
            }
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
            course.settle(sight.now, rule, None, &mut open, verdict);
        }
        let is_behind = |open: &Open| rules().any(|of| of.rule.id == open.alert.rule);
        let (kept, ended): (Vec<_>, Vec<_>) = open.into_iter().partition(is_behind);
        ended.into_iter().for_each(|open| course.end(open));
        if !kept.is_empty() {
            self.open.insert(None, kept);
        }
    }

    /// Judges hosts in pieces, and writes what comes of it. What is too much for one look is left to the next.
    async fn judge_hosts(
        &mut self,
        course: &mut Course<'_>,
        sight: &Sight,
        platform: &Platform,
        hosts: HashSet<HostId>,
    ) -> Result<(), StoreError> {
        let mut hosts = hosts.into_iter();
        let mut judged = 0;
        while !course.is_full()
            && let Some(host) = hosts.next()
        {
            self.judge(course, sight, platform, host);
            judged += self.rules.len().max(1);
            if course.is_ripe() {
                course.write().await?;
            }
            if judged >= JUDGED_AT_ONCE {
                judged = 0;
                tokio::task::yield_now().await;
            }
        }
        self.left.extend(hosts);
        course.write().await
    }

    fn judge(&mut self, course: &mut Course<'_>, sight: &Sight, platform: &Platform, id: HostId) {
        let mut open = self.open.remove(&Some(id)).unwrap_or_default();
        let mut next: Option<Instant> = None;
        let host = self.fleet.hosts.get(&id);
        let about = || {
            let rules = self.rules.iter();
            rules.filter(|rule| host.is_some_and(|host| rule.is_about(host)))
        };
        let presence = platform.registry.presence(id);
        // What waits was asked for at a moment, and is judged by that; it is known better once it is asked again.
        let asked = self.fleet.asked.unwrap_or(sight.now);
        let asked_next = asked.steady.checked_add(SURVEYED);
        for Scoped { rule, .. } in about() {
            let Some(host) = host else { break };
            let of = KnownHost {
                id,
                host,
                presence,
                waiting: self.fleet.waiting.get(&id),
            };
            let is_of_queues = rule.condition.is_of_queues();
            let sight = match is_of_queues {
                true => &Sight {
                    now: asked,
                    ..*sight
                },
                false => sight,
            };
            let verdict = judge::of_host(&platform.alerts, sight, rule.condition, &of);
            let about = Some((id, &*host.name));
            let mut then = course.settle(sight.now, rule, about, &mut open, verdict);
            if is_of_queues {
                then = then.max(then.and(asked_next));
            }
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

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::super::tests::{Fixture, rule};
    use super::*;

    #[tokio::test]
    async fn many_rules_are_judged_in_as_small_pieces_as_many_hosts() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let fixture = Fixture::new(dir.path()).await;
        for number in 0..40 {
            fixture.host(&format!("host-{number}")).await;
        }
        let (platform, now) = (&*fixture.platform, fixture.begun);
        let (store, lost) = (&*platform.store, OpenAlerts::default());
        let mut known = Known::read(store, now, &lost).await.expect("read");
        let condition = Condition::HostFlapping(2, Duration::from_secs(60));
        let rules = (0..128).map(|number| rule(&number.to_string(), condition));
        known.rules = known.fleet.scope(rules.collect());
        known.fleet.follow(store).await.expect("read");
        let hosts: HashSet<_> = known.fleet.hosts.keys().copied().collect();
        assert_eq!(hosts.len(), 40);
        let sight = Sight {
            now,
            begun: now,
            grace: Duration::ZERO,
            doubted: None,
        };
        let mut course = Course::new(platform, now);
        let mut judged = Box::pin(known.judge_hosts(&mut course, &sight, platform, hosts));
        let mut pieces = 1;
        while poll!(&mut judged).is_pending() {
            pieces += 1;
        }
        assert_eq!(pieces, 40 * 128 / JUDGED_AT_ONCE + 1);
    }
}
