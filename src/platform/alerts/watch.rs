//! Which rules hold, and what becomes of alerts by that. It is looked when something has changed, when something
//! can have become true by time alone, and in any case every quarter of a minute; nothing is remembered that the
//! store does not have, but for when hosts went and came while this process ran.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use crate::clock::UnixMillis;
use crate::ids::{AlertId, AlertRuleId, GroupId, HostId, random_uuid};
use crate::platform::Platform;
use crate::platform::store::alerts::{
    AlertChannel, AlertRecord, AlertRule, AlertState, AlertStep, Condition, NewNotification,
};
use crate::platform::store::deliveries::DeliveryFilter;
use crate::platform::store::{HostRecord, StoreError};
use crate::secret::random;

/// It is looked so often in any case.
const LOOKED_AT: Duration = Duration::from_secs(15);
/// And no more often than this.
const LOOKED_AT_MOST: Duration = Duration::from_secs(1);
/// After a start agents have so long to come back before a host is said to be offline that this process has
/// not seen.
const GRACE: Duration = Duration::from_secs(75);
/// Hosts that are looked at in one go, before others have their turn.
const HOSTS_AT_ONCE: usize = 128;
/// Changes in one transaction.
const CHANGES_MAX: usize = 64;
/// Alerts that are over are kept for so long, and removed so often.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const REMOVED_EACH: Duration = Duration::from_secs(60);
const REMOVED_MAX: usize = 256;

/// Looks until it is dropped.
pub(super) async fn run(platform: &Arc<Platform>) {
    let mut watch = Watch::new();
    loop {
        let now = UnixMillis::now();
        let next = match watch.look(platform, now).await {
            Ok(next) => next.map_or(LOOKED_AT, |next| next.since(now)),
            Err(error) => {
                warn!(%error, "alerts could not be looked after");
                // What was committed of it is read again.
                watch.open = None;
                LOOKED_AT
            }
        };
        sleep(LOOKED_AT_MOST).await;
        // Over or not: it is looked again.
        let _ = timeout(next.min(LOOKED_AT), platform.alerts.changed.notified()).await;
    }
}

type Subject = (AlertRuleId, Option<HostId>);

struct Watch {
    started: Instant,
    /// When alerts that are over were last removed.
    removed_at: Option<Instant>,
    /// Who was connected when it was last looked.
    online: HashSet<HostId>,
    /// When who was not any more, of those.
    left: HashMap<HostId, UnixMillis>,
    /// The alerts that are open, as the store has them; `None` where they have to be read.
    open: Option<HashMap<Subject, Open>>,
}

struct Open {
    alert: AlertRecord,
    /// Since when its rule does not hold any more.
    clear_since: Option<UnixMillis>,
}

/// Whether a rule holds.
enum Verdict {
    /// Nobody can say: it stays as it is.
    Unknown,
    /// It does not.
    No,
    /// It does not before this moment; what is open already stays, as the clock may have been set back.
    NotYet(UnixMillis),
    /// It does, and why.
    Yes(String),
}

impl Watch {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            removed_at: None,
            online: HashSet::new(),
            left: HashMap::new(),
            open: None,
        }
    }

    /// Looks once, and answers when to look again at the latest.
    async fn look(
        &mut self,
        platform: &Platform,
        now: UnixMillis,
    ) -> Result<Option<UnixMillis>, StoreError> {
        let store = &platform.store;
        if self.open.is_none() {
            let open = store.open_alerts().await?.into_iter().map(|alert| {
                let subject = (alert.rule, alert.host.as_ref().map(|(host, _)| *host));
                let clear_since = None;
                (subject, Open { alert, clear_since })
            });
            self.open = Some(open.collect());
        }
        let rules = store.alert_rules().await?;
        let channels = store.alert_channels().await?;
        let hosts = store.hosts().await?;
        self.online.extend(platform.alerts.take_came());
        let scoped = rules.iter().any(|rule| rule.group.is_some());
        let members: HashSet<(HostId, GroupId)> = if scoped {
            store.memberships(None).await?.into_iter().collect()
        } else {
            HashSet::new()
        };
        let mut course = Course {
            now,
            next: None,
            channels: &channels,
            changes: Vec::new(),
        };
        let mut looked_at = HashSet::new();
        for rule in rules.iter().filter(|rule| !rule.disabled) {
            if let Condition::DeadLetters(count) = rule.condition {
                let verdict = dead_letters(platform, count).await?;
                looked_at.insert((rule.id, None));
                self.settle(&mut course, rule, None, verdict);
            }
        }
        for some in hosts.chunks(HOSTS_AT_ONCE) {
            for host in some {
                self.see(platform, now, host.id);
                for rule in &rules {
                    let within = rule
                        .group
                        .is_none_or(|group| members.contains(&(host.id, group)));
                    let about_hosts = !matches!(rule.condition, Condition::DeadLetters(_));
                    if rule.disabled || !within || !about_hosts || host.revoked.is_some() {
                        continue;
                    }
                    let verdict = self.judge(platform, now, rule.condition, host);
                    looked_at.insert((rule.id, Some(host.id)));
                    self.settle(&mut course, rule, Some(host), verdict);
                }
            }
            tokio::task::yield_now().await;
        }
        // Of rules that are gone, or that are not for this host any more.
        self.end_others(&mut course, &looked_at);
        let Course { next, changes, .. } = course;
        let mut changes = changes.into_iter();
        loop {
            let some: Vec<_> = changes.by_ref().take(CHANGES_MAX).collect();
            if some.is_empty() {
                break;
            }
            store.apply_alerts(now, some).await?;
            platform.alerts.to_send.notify_one();
        }
        platform.alerts.forget(now);
        let due = |at: Instant| at.elapsed() >= REMOVED_EACH;
        if self.removed_at.is_none_or(due) {
            let before = UnixMillis(now.0.saturating_sub(KEPT.as_millis() as u64));
            store.remove_alerts(before, REMOVED_MAX).await?;
            self.removed_at = Some(Instant::now());
        }
        Ok(next)
    }

    /// Notes whether a host is connected.
    fn see(&mut self, platform: &Platform, now: UnixMillis, host: HostId) {
        if platform.registry.link(host).is_some() {
            self.left.remove(&host);
            self.online.insert(host);
        } else if self.online.remove(&host) {
            self.left.insert(host, now);
        }
    }

    fn judge(
        &self,
        platform: &Platform,
        now: UnixMillis,
        condition: Condition,
        host: &HostRecord,
    ) -> Verdict {
        match condition {
            Condition::HostOffline(span) => {
                if self.online.contains(&host.id) {
                    return Verdict::No;
                }
                let left = self.left.get(&host.id).copied();
                let Some(since) = left.or(host.last_seen) else {
                    // It was never there.
                    return Verdict::No;
                };
                if left.is_none() && self.started.elapsed() < GRACE {
                    return Verdict::Unknown;
                }
                if now.since(since) >= span {
                    Verdict::Yes(format!("offline since {since}"))
                } else {
                    Verdict::NotYet(since.plus(span))
                }
            }
            Condition::HostFlapping(count, span) => {
                let found = platform.alerts.came_back(now, host.id, span);
                if found >= count {
                    Verdict::Yes(format!(
                        "its agent came back {found} times within {} s",
                        span.as_secs()
                    ))
                } else if self.started.elapsed() < span {
                    // What was before this process began is not known.
                    Verdict::Unknown
                } else {
                    Verdict::No
                }
            }
            Condition::HostDisk(percent) => {
                let health = platform
                    .registry
                    .connected(host.id)
                    .and_then(|host| host.health);
                match health.and_then(|health| health.disk_percent) {
                    Some(found) if found >= percent as f64 => Verdict::Yes(format!(
                        "its fullest file system is full to {percent} % or more"
                    )),
                    Some(_) => Verdict::No,
                    None => Verdict::Unknown,
                }
            }
            Condition::CertificateEnds(span) => match host.certificate_until {
                Some(until) if until <= now.plus(span) => {
                    Verdict::Yes(format!("its certificate ends {until}"))
                }
                Some(_) | None => Verdict::No,
            },
            Condition::DeadLetters(_) => Verdict::Unknown,
        }
    }

    /// What follows for the alert of this rule and host.
    fn settle(
        &mut self,
        course: &mut Course<'_>,
        rule: &AlertRule,
        host: Option<&HostRecord>,
        verdict: Verdict,
    ) {
        let Some(all) = &mut self.open else {
            return;
        };
        let (now, subject) = (course.now, (rule.id, host.map(|host| host.id)));
        match (verdict, all.get_mut(&subject)) {
            (Verdict::Unknown, _) | (Verdict::No, None) => {}
            (Verdict::NotYet(next), _) => course.look_at(Some(next)),
            (Verdict::No, Some(open)) => {
                if open.alert.state == AlertState::Pending {
                    course.changes.push((open.alert.clone(), AlertStep::Drop));
                    all.remove(&subject);
                    return;
                }
                let over = open.clear_since.get_or_insert(now).plus(rule.hold);
                if over <= now {
                    course.resolve(open.alert.clone());
                    all.remove(&subject);
                } else {
                    course.look_at(Some(over));
                }
            }
            (Verdict::Yes(detail), Some(open)) => {
                open.clear_since = None;
                let due = open.alert.since.plus(rule.hold);
                if open.alert.state == AlertState::Pending {
                    if due <= now {
                        open.alert.detail = detail;
                        course.fire(&mut open.alert, &rule.channels);
                    } else {
                        course.look_at(Some(due));
                    }
                }
            }
            (Verdict::Yes(detail), None) => {
                let mut alert = AlertRecord {
                    id: AlertId(random_uuid(random())),
                    rule: rule.id,
                    rule_name: rule.name.clone(),
                    host: host.map(|host| (host.id, host.name.clone())),
                    severity: rule.severity,
                    state: AlertState::Pending,
                    detail,
                    since: now,
                    fired: None,
                    resolved: None,
                    acknowledged: None,
                };
                if rule.hold.is_zero() {
                    course.fire(&mut alert, &rule.channels);
                } else {
                    course.look_at(Some(now.plus(rule.hold)));
                    course.changes.push((alert.clone(), AlertStep::Keep));
                }
                let clear_since = None;
                all.insert(subject, Open { alert, clear_since });
            }
        }
    }

    /// Ends what no rule is behind any more.
    fn end_others(&mut self, course: &mut Course<'_>, looked_at: &HashSet<Subject>) {
        let Some(all) = &mut self.open else {
            return;
        };
        all.retain(|subject, open| {
            let stays = looked_at.contains(subject);
            if !stays && open.alert.state == AlertState::Pending {
                course.changes.push((open.alert.clone(), AlertStep::Drop));
            } else if !stays {
                course.resolve(open.alert.clone());
            }
            stays
        });
    }
}

/// What comes of one look.
struct Course<'a> {
    now: UnixMillis,
    /// When something may hold, or not, by time alone.
    next: Option<UnixMillis>,
    channels: &'a [AlertChannel],
    changes: Vec<(AlertRecord, AlertStep)>,
}

impl Course<'_> {
    fn look_at(&mut self, at: Option<UnixMillis>) {
        self.next = match (self.next, at) {
            (Some(next), Some(at)) => Some(next.min(at)),
            (next, at) => next.or(at),
        };
    }

    fn fire(&mut self, alert: &mut AlertRecord, channels: &[crate::ids::AlertChannelId]) {
        alert.state = AlertState::Firing;
        alert.fired = Some(self.now);
        let told = self.messages(alert, channels);
        self.changes.push((alert.clone(), AlertStep::Tell(told)));
    }

    /// The store brings the message to those alone who were told that it fires.
    fn resolve(&mut self, mut alert: AlertRecord) {
        alert.state = AlertState::Resolved;
        alert.resolved = Some(self.now);
        let told = self.messages(&alert, &[]);
        self.changes.push((alert, AlertStep::Tell(told)));
    }

    fn messages(
        &self,
        alert: &AlertRecord,
        channels: &[crate::ids::AlertChannelId],
    ) -> Vec<NewNotification> {
        let body = message(self.now, alert);
        let wanted =
            |channel: &&AlertChannel| channels.is_empty() || channels.contains(&channel.id);
        self.channels
            .iter()
            .filter(wanted)
            .map(|channel| NewNotification {
                id: random_uuid(random()),
                channel: channel.id,
                body: body.clone(),
            })
            .collect()
    }
}

/// What a receiver is told.
fn message(now: UnixMillis, alert: &AlertRecord) -> String {
    let moment = |at: Option<UnixMillis>| at.map(|at| at.to_string());
    let (host_id, host) = alert.host.clone().unzip();
    json!({
        "type": format!("alert.{}", alert.state.code()),
        "timestamp": now.to_string(),
        "data": {
            "alert_id": alert.id.to_string(),
            "rule_id": alert.rule.to_string(),
            "rule": alert.rule_name,
            "severity": alert.severity.code(),
            "state": alert.state.code(),
            "host_id": host_id.map(|host: HostId| host.to_string()),
            "host": host,
            "detail": alert.detail,
            "since": alert.since.to_string(),
            "fired_at": moment(alert.fired),
            "resolved_at": moment(alert.resolved),
        }
    })
    .to_string()
}

async fn dead_letters(platform: &Platform, count: u64) -> Result<Verdict, StoreError> {
    let filter = DeliveryFilter {
        dead_letters: true,
        ..DeliveryFilter::default()
    };
    let wanted = usize::try_from(count).unwrap_or(usize::MAX);
    let found = platform.store.deliveries(filter, None, wanted).await?;
    Ok(if found.found.len() >= wanted {
        Verdict::Yes(format!("there are {count} dead letters or more"))
    } else {
        Verdict::No
    })
}
