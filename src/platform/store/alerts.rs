//! Alerts, as they are kept: what holds or held of rules (`alert_rules`), and what is to be sent of that, which is
//! written with the change that it tells of.

use super::StoreFuture;
use super::alert_channels::Notification;
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertChannelId, AlertId, AlertRuleId, HostId, Uuid};
use crate::platform::identity::Grants;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Good to know.
    Info,
    /// To be looked at.
    Warning,
    /// To be looked at now.
    Critical,
}

impl Severity {
    /// All of them, by their number in the store.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertState {
    /// It holds, and not for long enough.
    Pending,
    /// It holds.
    Firing,
    /// It is over.
    Resolved,
}

impl AlertState {
    /// All of them, by their number in the store.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Firing, Self::Resolved];

    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRecord {
    /// Its id.
    pub id: AlertId,
    /// The rule.
    pub rule: AlertRuleId,
    /// The rule's name, as it was.
    pub rule_name: String,
    /// The host that it is about, and that host's name, as it was.
    pub host: Option<(HostId, String)>,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands.
    pub state: AlertState,
    /// What is wrong.
    pub detail: String,
    /// Since when it holds.
    pub since: UnixMillis,
    /// When it was told.
    pub fired: Option<UnixMillis>,
    /// When it was over.
    pub resolved: Option<UnixMillis>,
    /// Who looks after it, and since when.
    pub acknowledged: Option<(String, UnixMillis)>,
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotification {
    /// Its id, by which the receiver tells doubles.
    pub id: Uuid,
    /// Where to.
    pub channel: AlertChannelId,
    /// What.
    pub body: String,
}

/// What becomes of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertStep {
    /// It is written as it is.
    Keep,
    /// It never was.
    Drop,
    /// It is written as it is, told, and these are sent; those of its end to who was told of its beginning.
    Tell(Vec<NewNotification>),
}

/// An alert, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownAlert {
    /// Its number, larger than those of the alerts before it.
    pub number: u64,
    /// It.
    pub alert: AlertRecord,
    /// Until when it is not sent, by the silences of the moment.
    pub silenced_until: Option<UnixMillis>,
}

/// What alerts are asked for.
#[derive(Clone, Debug)]
pub struct AlertFilter {
    /// The moment by which it is said what is silenced.
    pub now: UnixMillis,
    /// In this state; none: in any but pending.
    pub state: Option<AlertState>,
    /// About this host.
    pub host: Option<HostId>,
    /// That these grants allow to be seen.
    pub granted: Grants,
    /// Before this one, by its number.
    pub before: Option<u64>,
    /// So many at most.
    pub count: usize,
}

/// What the platform keeps of alerts.
pub trait AlertStore: Send + Sync {
    /// Alerts in a state after one by its number, the oldest first, at most `count`, each with its number.
    fn alerts_in(
        &self,
        state: AlertState,
        after: u64,
        count: usize,
    ) -> StoreFuture<'_, Vec<(u64, AlertRecord)>>;

    /// Writes what becomes of alerts, all in one transaction with the events and messages of it.
    fn apply_alerts(
        &self,
        at: UnixMillis,
        changes: Vec<(AlertRecord, AlertStep)>,
    ) -> StoreFuture<'_, ()>;

    /// Some alerts, the newest first.
    fn alerts(&self, filter: AlertFilter) -> StoreFuture<'_, Vec<ShownAlert>>;

    /// An alert as it is at a moment, and at most `count` messages of it, the oldest first.
    fn alert(
        &self,
        id: AlertId,
        now: UnixMillis,
        count: usize,
    ) -> StoreFuture<'_, Option<(ShownAlert, Vec<Notification>)>>;

    /// Notes who looks after an alert, where nobody does, and answers it as it is then.
    /// [`NotFound`](super::StoreError::NotFound).
    fn acknowledge_alert(
        &self,
        id: AlertId,
        by: String,
        audit: Entry,
    ) -> StoreFuture<'_, ShownAlert>;

    /// Removes the oldest alerts that were over before `before`, at most `count`, with their messages. Answers how
    /// many.
    fn remove_alerts(&self, before: UnixMillis, count: usize) -> StoreFuture<'_, usize>;
}
