//! What becomes of alerts by what was found: it is gathered, and written in transactions of bounded size with pauses
//! between them, with the messages that tell of it.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::judge::Verdict;
use crate::clock::UnixMillis;
use crate::ids::{AlertChannelId, AlertId, HostId, random_uuid};
use crate::platform::Platform;
use crate::platform::store::StoreError;
use crate::platform::store::alert_channels::AlertChannel;
use crate::platform::store::alert_rules::AlertRule;
use crate::platform::store::alerts::{AlertRecord, AlertState, AlertStep, NewNotification};
use crate::secret::random;

/// Changes in one transaction: some milliseconds of the store's writer.
const CHANGES_MAX: usize = 64;
/// Between two of them, in which others come first: ten thousand hosts that go at once take some seconds to be told.
const PAUSE: Duration = Duration::from_millis(10);

/// An alert that is open.
#[derive(Debug)]
pub(super) struct Open {
    pub alert: AlertRecord,
    /// Since when its rule does not hold any more.
    clear_since: Option<UnixMillis>,
}

impl From<AlertRecord> for Open {
    fn from(alert: AlertRecord) -> Self {
        Self {
            alert,
            clear_since: None,
        }
    }
}

enum Change {
    Keep,
    Drop,
    /// It fires; told to these channels, or to all.
    Fire(Vec<AlertChannelId>),
    /// It is over; told to those who were told that it fires.
    Resolve,
}

/// What comes of one look.
pub(super) struct Course<'a> {
    platform: &'a Platform,
    now: UnixMillis,
    /// Read once there is something to tell.
    channels: Option<Vec<AlertChannel>>,
    changes: Vec<(AlertRecord, Change)>,
    written: usize,
}

impl<'a> Course<'a> {
    pub(super) const fn new(platform: &'a Platform, now: UnixMillis) -> Self {
        Self {
            platform,
            now,
            channels: None,
            changes: Vec::new(),
            written: 0,
        }
    }

    /// What follows for the alert of this rule and host, which is among those that are `open` if it is. Answers when to
    /// look again, if time alone can change it.
    pub(super) fn settle(
        &mut self,
        rule: &AlertRule,
        host: Option<(HostId, &str)>,
        open: &mut Vec<Open>,
        verdict: Verdict,
    ) -> Option<UnixMillis> {
        let now = self.now;
        let place = open.iter().position(|open| open.alert.rule == rule.id);
        let known = place.and_then(|place| open.get_mut(place));
        match (verdict, known) {
            (Verdict::Unknown(next), _) => next,
            (Verdict::No, None) => None,
            (Verdict::NotYet(next) | Verdict::NoBefore(next), None) => Some(next),
            (Verdict::NotYet(next), Some(known)) if known.alert.state == AlertState::Firing => {
                Some(next)
            }
            (Verdict::No | Verdict::NoBefore(_) | Verdict::NotYet(_), Some(known)) => {
                let next = match verdict {
                    Verdict::NotYet(next) | Verdict::NoBefore(next) => Some(next),
                    _ => None,
                };
                let is_pending = known.alert.state == AlertState::Pending;
                let over = known.clear_since.get_or_insert(now).plus(rule.hold);
                if !is_pending && over > now {
                    return Some(over);
                }
                if let Some(place) = place {
                    self.end(open.swap_remove(place));
                }
                next
            }
            (Verdict::Yes(finding, until), Some(known)) => {
                known.clear_since = None;
                if known.alert.state != AlertState::Pending {
                    return until;
                }
                let due = known.alert.since.plus(rule.hold);
                if due > now {
                    return Some(until.map_or(due, |until| until.min(due)));
                }
                known.alert.detail = finding.to_string();
                self.fire(rule, &mut known.alert);
                until
            }
            (Verdict::Yes(finding, until), None) => {
                let mut alert = AlertRecord {
                    id: AlertId(random_uuid(random())),
                    rule: rule.id,
                    rule_name: rule.name.clone(),
                    host: host.map(|(id, name)| (id, name.to_owned())),
                    severity: rule.severity,
                    state: AlertState::Pending,
                    detail: finding.to_string(),
                    since: now,
                    fired: None,
                    resolved: None,
                    acknowledged: None,
                };
                let mut next = until;
                if rule.hold.is_zero() {
                    self.fire(rule, &mut alert);
                } else {
                    let due = now.plus(rule.hold);
                    next = Some(until.map_or(due, |until| until.min(due)));
                    self.changes.push((alert.clone(), Change::Keep));
                }
                open.push(alert.into());
                next
            }
        }
    }

    /// An alert that no rule is behind any more.
    pub(super) fn end(&mut self, Open { mut alert, .. }: Open) {
        if alert.state == AlertState::Pending {
            self.changes.push((alert, Change::Drop));
        } else {
            alert.state = AlertState::Resolved;
            alert.resolved = Some(self.now);
            self.changes.push((alert, Change::Resolve));
        }
    }

    fn fire(&mut self, rule: &AlertRule, alert: &mut AlertRecord) {
        alert.state = AlertState::Firing;
        alert.fired = Some(self.now);
        let to = rule.channels.clone();
        self.changes.push((alert.clone(), Change::Fire(to)));
    }

    /// Writes what there is, once it is as much as one transaction has; with `all`, in any case.
    pub(super) async fn write(&mut self, all: bool) -> Result<(), StoreError> {
        while self.changes.len() >= CHANGES_MAX || all && !self.changes.is_empty() {
            if self.written > 0 {
                sleep(PAUSE).await;
            }
            let store = &self.platform.store;
            if self.channels.is_none() {
                self.channels = Some(store.alert_channels().await?);
            }
            let count = self.changes.len().min(CHANGES_MAX);
            let some: Vec<_> = self.changes.drain(..count).collect();
            let some = some.into_iter().map(|(alert, change)| {
                let step = match change {
                    Change::Keep => AlertStep::Keep,
                    Change::Drop => AlertStep::Drop,
                    Change::Fire(to) => AlertStep::Tell(self.messages(&alert, &to)),
                    // The store brings the message to those alone who were told that it fires.
                    Change::Resolve => AlertStep::Tell(self.messages(&alert, &[])),
                };
                (alert, step)
            });
            let some = some.collect();
            store.apply_alerts(self.now, some).await?;
            self.platform.alerts.to_send.notify_one();
            self.written += count;
        }
        Ok(())
    }

    fn messages(&self, alert: &AlertRecord, to: &[AlertChannelId]) -> Vec<NewNotification> {
        let body = message(self.now, alert);
        let wanted = |channel: &&AlertChannel| to.is_empty() || to.contains(&channel.id);
        let channels = self.channels.iter().flatten().filter(wanted);
        channels
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

#[cfg(test)]
mod tests {
    use super::super::judge::Finding;
    use super::*;
    use crate::ids::AlertRuleId;
    use crate::platform::store::alert_rules::Condition;
    use crate::platform::store::alerts::Severity;

    #[tokio::test]
    async fn a_certificate_that_was_renewed_is_over() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let platform = Platform::fresh(dir.path()).await;
        let rule = AlertRule {
            id: AlertRuleId(random_uuid(random())),
            name: "ends".to_owned(),
            severity: Severity::Critical,
            hold: Duration::ZERO,
            group: None,
            labels: Vec::new(),
            channels: Vec::new(),
            disabled: false,
            condition: Condition::CertificateEnds(Duration::from_secs(100)),
            created: UnixMillis(0),
        };
        let mut course = Course::new(&platform, UnixMillis(5000));
        let mut open = Vec::new();
        let ends = Verdict::Yes(Finding::CertificateEnds(UnixMillis(9000)), None);
        assert_eq!(course.settle(&rule, None, &mut open, ends), None);
        assert_eq!(open.len(), 1);
        let later = UnixMillis(900_000);
        let renewed = Verdict::NoBefore(later);
        let next = course.settle(&rule, None, &mut open, renewed);
        assert_eq!((next, open.len()), (Some(later), 0));
        course.write(true).await.expect("written");
        assert_eq!(platform.store.open_alerts().await, Ok(Vec::new()));
    }
}
