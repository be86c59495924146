//! Alerts, as they are kept: the rules, what holds or held of them, and what is to be sent of that, which is
//! written with the change that it tells of.

use std::time::Duration;

use super::{Change, StoreFuture};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertChannelId, AlertId, AlertRuleId, GroupId, HostId, Uuid};
use crate::platform::identity::Grants;
use crate::secret::Secret;

/// Rules at once.
pub const RULES_MAX: usize = 256;
/// Channels at once.
pub const CHANNELS_MAX: usize = 16;

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

/// When a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A host is offline for longer than this.
    HostOffline(Duration),
    /// A host's agent came back so often within this time.
    HostFlapping(u64, Duration),
    /// A host's fullest file system is full to so many percent.
    HostDisk(u64),
    /// A host's certificate ends within this time.
    CertificateEnds(Duration),
    /// There are so many dead letters.
    DeadLetters(u64),
}

impl Condition {
    /// As it stands in the store: a word, a number and a time.
    pub const fn parts(self) -> (&'static str, u64, Duration) {
        match self {
            Self::HostOffline(span) => ("host_offline", 0, span),
            Self::HostFlapping(count, span) => ("host_flapping", count, span),
            Self::HostDisk(percent) => ("host_disk", percent, Duration::ZERO),
            Self::CertificateEnds(span) => ("certificate_ends", 0, span),
            Self::DeadLetters(count) => ("dead_letters", count, Duration::ZERO),
        }
    }

    /// What [`Self::parts`] gave.
    pub fn from_parts(kind: &str, amount: u64, span: Duration) -> Option<Self> {
        Some(match kind {
            "host_offline" => Self::HostOffline(span),
            "host_flapping" => Self::HostFlapping(amount, span),
            "host_disk" => Self::HostDisk(amount),
            "certificate_ends" => Self::CertificateEnds(span),
            "dead_letters" => Self::DeadLetters(amount),
            _ => return None,
        })
    }
}

/// By what there is an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRule {
    /// Its id.
    pub id: AlertRuleId,
    /// Its name, unique.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// For how long it must hold, or not hold.
    pub hold: Duration,
    /// Of hosts of this group alone.
    pub group: Option<GroupId>,
    /// Where it is sent. Empty: to all channels.
    pub channels: Vec<AlertChannelId>,
    /// Whether it is not looked at.
    pub disabled: bool,
    /// When it holds.
    pub condition: Condition,
    /// When it was made.
    pub created: UnixMillis,
}

/// Where alerts are sent.
#[derive(Clone)]
pub struct AlertChannel {
    /// Its id.
    pub id: AlertChannelId,
    /// Its name, unique.
    pub name: String,
    /// Its address.
    pub url: String,
    /// What requests are signed with.
    pub secret: Secret,
    /// When it was made.
    pub created: UnixMillis,
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

/// A message, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Its id.
    pub id: Uuid,
    /// The channel's name, as it was.
    pub channel: String,
    /// Where it stands.
    pub state: SendState,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last try failed.
    pub error: String,
    /// When it was made.
    pub created: UnixMillis,
    /// When it is tried next.
    pub next: Option<UnixMillis>,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendState {
    /// It is to be sent.
    Waiting,
    /// It was taken.
    Sent,
    /// It was given up.
    Failed,
}

impl SendState {
    /// All of them, by their number in the store.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Sent, Self::Failed];

    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

/// A message that is due.
#[derive(Clone)]
pub struct DueNotification {
    /// Its id.
    pub id: Uuid,
    /// Where to.
    pub url: String,
    /// What it is signed with.
    pub secret: Secret,
    /// What is sent.
    pub body: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// What alerts are asked for.
#[derive(Clone, Debug)]
pub struct AlertFilter {
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
    /// All rules, by name.
    fn alert_rules(&self) -> StoreFuture<'_, Vec<AlertRule>>;

    /// Makes a rule. [`Taken`](super::StoreError::Taken), [`Full`](super::StoreError::Full).
    fn create_alert_rule(&self, rule: AlertRule, change: Change) -> StoreFuture<'_, ()>;

    /// Puts a rule in the place of the one of its id, but for when that was made.
    /// [`NotFound`](super::StoreError::NotFound), [`Taken`](super::StoreError::Taken).
    fn update_alert_rule(&self, rule: AlertRule, audit: Entry) -> StoreFuture<'_, AlertRule>;

    /// Removes a rule.
    fn delete_alert_rule(&self, id: AlertRuleId, audit: Entry) -> StoreFuture<'_, ()>;

    /// All channels, by name.
    fn alert_channels(&self) -> StoreFuture<'_, Vec<AlertChannel>>;

    /// Makes a channel. [`Taken`](super::StoreError::Taken), [`Full`](super::StoreError::Full).
    fn create_alert_channel(&self, channel: AlertChannel, change: Change) -> StoreFuture<'_, ()>;

    /// Removes a channel, with what waits to be sent there.
    fn delete_alert_channel(&self, id: AlertChannelId, audit: Entry) -> StoreFuture<'_, ()>;

    /// The alerts that are pending or firing.
    fn open_alerts(&self) -> StoreFuture<'_, Vec<AlertRecord>>;

    /// Writes what becomes of alerts, all in one transaction with the events and messages of it.
    fn apply_alerts(
        &self,
        at: UnixMillis,
        changes: Vec<(AlertRecord, AlertStep)>,
    ) -> StoreFuture<'_, ()>;

    /// Some alerts with their numbers, the newest first.
    fn alerts(&self, filter: AlertFilter) -> StoreFuture<'_, Vec<(u64, AlertRecord)>>;

    /// An alert, and at most `count` messages of it, the oldest first.
    fn alert(
        &self,
        id: AlertId,
        count: usize,
    ) -> StoreFuture<'_, Option<(AlertRecord, Vec<Notification>)>>;

    /// Notes who looks after an alert, where nobody does, and answers it.
    /// [`NotFound`](super::StoreError::NotFound).
    fn acknowledge_alert(
        &self,
        id: AlertId,
        by: String,
        audit: Entry,
    ) -> StoreFuture<'_, AlertRecord>;

    /// Messages that are due, the longest first; of one alert to one channel one after the other.
    fn due_notifications(
        &self,
        now: UnixMillis,
        count: usize,
    ) -> StoreFuture<'_, Vec<DueNotification>>;

    /// A message was tried; `next` says when again, where it waits.
    fn notification_tried(
        &self,
        id: Uuid,
        state: SendState,
        error: String,
        next: Option<UnixMillis>,
    ) -> StoreFuture<'_, ()>;

    /// Removes the oldest alerts that were over before `before`, at most `count`, with their messages. Answers how
    /// many.
    fn remove_alerts(&self, before: UnixMillis, count: usize) -> StoreFuture<'_, usize>;
}
