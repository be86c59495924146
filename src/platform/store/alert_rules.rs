//! Rules of alerts, as they are kept: when there is an alert, and of which hosts.

use std::time::Duration;

use super::alerts::Severity;
use super::groups::LabelSelector;
use super::{Change, StoreFuture};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertChannelId, AlertRuleId, GroupId};

/// Rules at once.
pub const RULES_MAX: usize = 256;

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
    /// So many commands wait for a host.
    QueueDepth(u64),
    /// A command waits for a host for longer than this.
    QueueAge(Duration),
    /// Of the commands that were sent at once within the second time, one in a hundred took as long as the first,
    /// which is a number of milliseconds, to be received.
    DeliveryLatency(u64, Duration),
    /// So many sign-ins failed within this time.
    FailedSignIns(u64, Duration),
    /// The platform's file system is full to so many percent.
    PlatformStorage(u64),
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
            Self::QueueDepth(count) => ("queue_depth", count, Duration::ZERO),
            Self::QueueAge(span) => ("queue_age", 0, span),
            Self::DeliveryLatency(bound, span) => ("delivery_latency", bound, span),
            Self::FailedSignIns(count, span) => ("failed_sign_ins", count, span),
            Self::PlatformStorage(percent) => ("platform_storage", percent, Duration::ZERO),
        }
    }

    /// Whether it is one of each host, and not of the platform.
    pub const fn is_of_hosts(self) -> bool {
        match self {
            Self::HostOffline(_)
            | Self::HostFlapping(..)
            | Self::HostDisk(_)
            | Self::CertificateEnds(_)
            | Self::QueueDepth(_)
            | Self::QueueAge(_) => true,
            Self::DeadLetters(_)
            | Self::DeliveryLatency(..)
            | Self::FailedSignIns(..)
            | Self::PlatformStorage(_) => false,
        }
    }

    /// Whether it is about what waits for hosts.
    pub const fn is_of_queues(self) -> bool {
        matches!(self, Self::QueueDepth(_) | Self::QueueAge(_))
    }

    /// What [`Self::parts`] gave.
    pub fn from_parts(kind: &str, amount: u64, span: Duration) -> Option<Self> {
        Some(match kind {
            "host_offline" => Self::HostOffline(span),
            "host_flapping" => Self::HostFlapping(amount, span),
            "host_disk" => Self::HostDisk(amount),
            "certificate_ends" => Self::CertificateEnds(span),
            "dead_letters" => Self::DeadLetters(amount),
            "queue_depth" => Self::QueueDepth(amount),
            "queue_age" => Self::QueueAge(span),
            "delivery_latency" => Self::DeliveryLatency(amount, span),
            "failed_sign_ins" => Self::FailedSignIns(amount, span),
            "platform_storage" => Self::PlatformStorage(amount),
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
    /// Of hosts that have all of these labels alone.
    pub labels: Vec<LabelSelector>,
    /// Where it is sent. Empty: to all channels.
    pub channels: Vec<AlertChannelId>,
    /// Whether it is not looked at.
    pub disabled: bool,
    /// When it holds.
    pub condition: Condition,
    /// When it was made.
    pub created: UnixMillis,
}

/// The rules of alerts.
pub trait AlertRuleStore: Send + Sync {
    /// All rules, by name.
    fn alert_rules(&self) -> StoreFuture<'_, Vec<AlertRule>>;

    /// Makes a rule. [`Taken`](super::StoreError::Taken), [`Full`](super::StoreError::Full),
    /// [`GroupUnknown`](super::StoreError::GroupUnknown), [`ChannelUnknown`](super::StoreError::ChannelUnknown).
    fn create_alert_rule(&self, rule: AlertRule, change: Change) -> StoreFuture<'_, ()>;

    /// Puts a rule in the place of the one of its id, but for when that was made.
    /// [`NotFound`](super::StoreError::NotFound), [`Taken`](super::StoreError::Taken),
    /// [`GroupUnknown`](super::StoreError::GroupUnknown), [`ChannelUnknown`](super::StoreError::ChannelUnknown).
    fn update_alert_rule(&self, rule: AlertRule, audit: Entry) -> StoreFuture<'_, AlertRule>;

    /// Removes a rule.
    fn delete_alert_rule(&self, id: AlertRuleId, audit: Entry) -> StoreFuture<'_, ()>;
}
