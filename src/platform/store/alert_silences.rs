//! Silences, as they are kept: for which alerts, for how long, why, and by whom. Whether an alert is silenced just
//! now follows from them whenever it is asked; what is kept of that is by which of them a message is held.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Change, StoreFuture};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertRuleId, AlertSilenceId, GroupId, HostId};

/// Silences at once, those that are over and still shown among them.
pub const SILENCES_MAX: usize = 256;
/// How long one that is over is shown.
pub const SHOWN_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A while in which some alerts are not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertSilence {
    /// Its id.
    pub id: AlertSilenceId,
    /// What it is for.
    pub reason: String,
    /// Who made it.
    pub by: String,
    /// When it was made.
    pub created: UnixMillis,
    /// From when on.
    pub starts: UnixMillis,
    /// Until when.
    pub ends: UnixMillis,
    /// Which alerts.
    pub matcher: AlertMatcher,
}

/// Which alerts: those for which all holds that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertMatcher {
    /// Of this rule.
    pub rule: Option<AlertRuleId>,
    /// About this host.
    pub host: Option<HostId>,
    /// About hosts of this group.
    pub group: Option<GroupId>,
    /// About hosts with all of these labels; an empty value is any.
    pub labels: BTreeMap<String, String>,
}

/// What the platform keeps of silences.
pub trait AlertSilenceStore: Send + Sync {
    /// All silences, the one that ends last first.
    fn alert_silences(&self) -> StoreFuture<'_, Vec<AlertSilence>>;

    /// Makes a silence, and forgets those that are not shown any more. [`Full`](super::StoreError::Full).
    fn create_alert_silence(&self, silence: AlertSilence, change: Change) -> StoreFuture<'_, ()>;

    /// Gives a silence another end, and what it holds too. [`NotFound`](super::StoreError::NotFound),
    /// [`SilenceOver`](super::StoreError::SilenceOver).
    fn end_alert_silence(
        &self,
        id: AlertSilenceId,
        ends: UnixMillis,
        audit: Entry,
    ) -> StoreFuture<'_, ()>;

    /// Removes a silence, and frees what it holds. [`NotFound`](super::StoreError::NotFound).
    fn delete_alert_silence(&self, id: AlertSilenceId, audit: Entry) -> StoreFuture<'_, ()>;

    /// Tells whoever follows of the silences that have begun or ended by now, of each beginning and end once.
    fn tell_silences(&self, now: UnixMillis) -> StoreFuture<'_, ()>;
}
