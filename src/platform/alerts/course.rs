//! What becomes of alerts by what was found: it is gathered, and written in transactions of bounded size with pauses
//! between them, with the messages that tell of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use super::judge::Verdict;
use crate::clock::{Now, UnixMillis};
use crate::ids::{AlertChannelId, AlertId, HostId, random_uuid};
use crate::platform::Platform;
use crate::platform::store::StoreError;
use crate::platform::store::alert_channels::{AlertChannel, CHANNELS_MAX};
use crate::platform::store::alert_rules::AlertRule;
use crate::platform::store::alerts::{AlertRecord, AlertState, AlertStep, NewNotification};
use crate::secret::random;

/// Changes that are gathered before they are written.
const GATHERED: usize = 64;
/// Rows in one transaction, with a message for each channel: some milliseconds of the store's writer. One change has
/// far fewer, as there are few channels.
const ROWS_MAX: usize = 192;
const _: () = assert!(rows(CHANNELS_MAX) <= ROWS_MAX, "one change has its place");
/// Between two of them, in which others come first: ten thousand hosts that go at once take some seconds to be told.
const PAUSE: Duration = Duration::from_millis(10);
/// Transactions after which a look ends, and another goes on. All that comes of a look says that it was when the look
/// began: that is mostly less than a second before it is written.
const WRITES_MAX: usize = 16;

/// The most rows that one change comes to: it, its event, and its messages.
const fn rows(channels: usize) -> usize {
    2 + channels
}

/// An alert that is open, and what this process counts of it: by the clock that nobody sets, so that one that is set
/// neither ends it nor keeps it.
#[derive(Debug)]
pub(super) struct Open {
    pub alert: AlertRecord,
    /// Since when this process knows of it, and for how long its rule had held by then.
    known: (Instant, Duration),
    /// Since when its rule does not hold any more.
    clear_since: Option<Instant>,
    /// The clock was set back since it was told, and nothing was found of it since.
    is_ahead: bool,
}

impl Open {
    /// One that begins.
    const fn new(alert: AlertRecord, at: Instant) -> Self {
        Self {
            alert,
            known: (at, Duration::ZERO),
            clear_since: None,
            is_ahead: false,
        }
    }

    /// One that the store has. What this process counted of it before goes on; what another did, as far as the clock
    /// says so: that may be nothing, and then it is waited for as long as of one that begins.
    pub(super) fn read(now: Now, alert: AlertRecord, before: Option<&Self>) -> Self {
        match before {
            Some(before) => Self { alert, ..*before },
            None => Self {
                known: (now.steady, now.wall.since(alert.since)),
                is_ahead: alert.fired.is_some_and(|fired| fired > now.wall),
                ..Self::new(alert, now.steady)
            },
        }
    }

    /// For how long its rule has held.
    fn held(&self, at: Instant) -> Duration {
        let (since, before) = self.known;
        before.saturating_add(at.saturating_duration_since(since))
    }
}

/// The moment at which a time that has passed so far is over; `None` where it is.
fn left_of(time: Duration, passed: Duration, at: Instant) -> Option<Instant> {
    let left = time.checked_sub(passed).filter(|left| !left.is_zero())?;
    at.checked_add(left)
}

fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
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
    now: Now,
    /// Read once there is something to tell.
    channels: Option<Vec<AlertChannel>>,
    changes: VecDeque<(AlertRecord, Change)>,
    /// Transactions.
    writes: usize,
}

impl<'a> Course<'a> {
    pub(super) const fn new(platform: &'a Platform, now: Now) -> Self {
        Self {
            platform,
            now,
            channels: None,
            changes: VecDeque::new(),
            writes: 0,
        }
    }

    /// What follows for the alert of this rule and host, which is among those that are `open` if it is, from what was
    /// found at a moment. Answers when to look again, if time alone can change it.
    pub(super) fn settle(
        &mut self,
        at: Now,
        rule: &AlertRule,
        host: Option<(HostId, &str)>,
        open: &mut Vec<Open>,
        verdict: Verdict,
    ) -> Option<Instant> {
        let place = open.iter().position(|open| open.alert.rule == rule.id);
        let known = place.and_then(|place| open.get_mut(place));
        match (verdict, known) {
            (Verdict::Unknown(next), _) | (Verdict::No(next) | Verdict::NotYet(next), None) => next,
            // It was told by another process, by a clock that was ahead of this one's: that it is too early by what the
            // store has is no sign that it is over.
            (Verdict::NotYet(next), Some(known)) if known.is_ahead => next,
            // Also where it fires and its rule was changed to ask for more: a rule that does not hold has no alert, and
            // once it holds there is one that says so and is told.
            (Verdict::No(next) | Verdict::NotYet(next), Some(known)) => {
                known.is_ahead = false;
                let clear = *known.clear_since.get_or_insert(at.steady);
                let clear = at.steady.saturating_duration_since(clear);
                if known.alert.state != AlertState::Pending
                    && let Some(over) = left_of(rule.hold, clear, at.steady)
                {
                    return sooner(next, Some(over));
                }
                if let Some(place) = place {
                    self.end(open.swap_remove(place));
                }
                next
            }
            (Verdict::Yes(finding, until), Some(known)) => {
                known.clear_since = None;
                known.is_ahead = false;
                if known.alert.state != AlertState::Pending {
                    return until;
                }
                if let Some(due) = left_of(rule.hold, known.held(at.steady), at.steady) {
                    return sooner(until, Some(due));
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
                    since: at.wall,
                    fired: None,
                    resolved: None,
                    acknowledged: None,
                };
                let due = left_of(rule.hold, Duration::ZERO, at.steady);
                if due.is_none() {
                    self.fire(rule, &mut alert);
                } else {
                    self.changes.push_back((alert.clone(), Change::Keep));
                }
                open.push(Open::new(alert, at.steady));
                sooner(until, due)
            }
        }
    }

    /// An alert that no rule is behind any more.
    pub(super) fn end(&mut self, Open { mut alert, .. }: Open) {
        if alert.state == AlertState::Pending {
            self.changes.push_back((alert, Change::Drop));
        } else {
            alert.state = AlertState::Resolved;
            alert.resolved = Some(self.now.wall);
            self.changes.push_back((alert, Change::Resolve));
        }
    }

    fn fire(&mut self, rule: &AlertRule, alert: &mut AlertRecord) {
        alert.state = AlertState::Firing;
        alert.fired = Some(self.now.wall);
        let to = rule.channels.clone();
        self.changes.push_back((alert.clone(), Change::Fire(to)));
    }

    /// Whether there is enough to be written.
    pub(super) fn is_ripe(&self) -> bool {
        self.changes.len() >= GATHERED
    }

    /// Whether it was written so much that another look is to go on.
    pub(super) const fn is_full(&self) -> bool {
        self.writes >= WRITES_MAX
    }

    /// Writes what there is.
    pub(super) async fn write(&mut self) -> Result<(), StoreError> {
        while !self.changes.is_empty() {
            if self.writes > 0 {
                sleep(PAUSE).await;
            }
            let store = &self.platform.store;
            if self.channels.is_none() {
                self.channels = Some(store.alert_channels().await?);
            }
            let some = self.transaction();
            store.apply_alerts(self.now.wall, some).await?;
            self.platform.alerts.to_send.notify_one();
            self.writes += 1;
        }
        Ok(())
    }

    /// Takes out as many of the changes as one transaction has.
    fn transaction(&mut self) -> Vec<(AlertRecord, AlertStep)> {
        let most = rows(self.channels.as_ref().map_or(0, Vec::len));
        let count = (ROWS_MAX / most).max(1).min(self.changes.len());
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
        some.collect()
    }

    fn messages(&self, alert: &AlertRecord, to: &[AlertChannelId]) -> Vec<NewNotification> {
        let body = message(self.now.wall, alert);
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
    use crate::platform::store::alert_channels::ChannelTarget;
    use crate::platform::store::alert_rules::Condition;
    use crate::platform::store::alerts::Severity;

    const CERTIFICATE_ENDS: Verdict =
        Verdict::Yes(Finding::CertificateEnds(UnixMillis(9000)), None);

    fn certificate_ends() -> AlertRule {
        AlertRule {
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
        }
    }

    #[tokio::test]
    async fn a_transaction_has_its_bound_whatever_the_channels() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let platform = Platform::fresh(dir.path()).await;
        for channels in [0, 1, CHANNELS_MAX] {
            let mut course = Course::new(&platform, Now::of_clocks());
            let channel = |number| AlertChannel {
                id: AlertChannelId(random_uuid(random())),
                name: format!("{number}"),
                disabled: false,
                target: ChannelTarget::Email {
                    recipients: Vec::new(),
                },
                created: UnixMillis(0),
            };
            course.channels = Some((0..channels).map(channel).collect());
            let mut open = Vec::new();
            for _ in 0..100 {
                let (rule, ends) = (certificate_ends(), CERTIFICATE_ENDS);
                course.settle(Now::of_clocks(), &rule, None, &mut open, ends);
            }
            let mut told = 0;
            while !course.changes.is_empty() {
                let some = course.transaction();
                let rows = |(_, step): &(AlertRecord, AlertStep)| match step {
                    AlertStep::Tell(messages) => rows(messages.len()),
                    AlertStep::Keep | AlertStep::Drop => 1,
                };
                let rows: usize = some.iter().map(rows).sum();
                assert!((1..=ROWS_MAX).contains(&rows), "{channels}: {rows}");
                told += some.len();
            }
            assert_eq!(told, 100);
        }
    }

    #[tokio::test]
    async fn a_certificate_that_was_renewed_is_over() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let platform = Platform::fresh(dir.path()).await;
        let rule = certificate_ends();
        let now = Now::of_clocks();
        let mut course = Course::new(&platform, now);
        let mut open = Vec::new();
        let ends = CERTIFICATE_ENDS;
        assert_eq!(course.settle(now, &rule, None, &mut open, ends), None);
        assert_eq!(open.len(), 1);
        let later = now.steady.checked_add(Duration::from_secs(900));
        let renewed = Verdict::No(later);
        let next = course.settle(now, &rule, None, &mut open, renewed);
        assert_eq!((next, open.len()), (later, 0));
        course.write().await.expect("written");
        for state in [AlertState::Pending, AlertState::Firing] {
            assert_eq!(platform.store.alerts_in(state, 0, 10).await, Ok(Vec::new()));
        }
    }
}
