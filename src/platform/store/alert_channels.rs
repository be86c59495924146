//! Where alerts are sent, as it is kept: the channels, what is to be sent to each, and what came of each try.

use std::time::Duration;

use super::{Change, StoreFuture};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertChannelId, AlertRuleId, Uuid};
use crate::platform::mail::EmailAddress;

/// Channels at once.
pub const CHANNELS_MAX: usize = 16;
/// Tries of one message that are kept: more than there are.
pub const TRIES_KEPT: usize = 32;

/// Where alerts are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertChannel {
    /// Its id.
    pub id: AlertChannelId,
    /// Its name, unique.
    pub name: String,
    /// Whether nothing is sent there.
    pub disabled: bool,
    /// Where it leads.
    pub target: ChannelTarget,
    /// When it was made.
    pub created: UnixMillis,
}

/// Where a channel leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelTarget {
    /// To a webhook.
    Webhook {
        /// Its address.
        url: String,
        /// What requests are signed with, sealed.
        sealed: Vec<u8>,
    },
    /// To recipients of e-mail.
    Email {
        /// Their addresses.
        recipients: Vec<EmailAddress>,
    },
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
    /// The tries, the first one first.
    pub tries: Vec<SendTry>,
}

/// One try to send a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendTry {
    /// When it began.
    pub at: UnixMillis,
    /// How long it took.
    pub took: Duration,
    /// Why it failed; empty where it did not.
    pub error: String,
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
    /// All was over while a silence held it, and nobody was told.
    Silenced,
}

impl SendState {
    /// All of them, by their number in the store.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Sent, Self::Failed, Self::Silenced];

    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Silenced => "silenced",
        }
    }
}

/// A message that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueNotification {
    /// Its id.
    pub id: Uuid,
    /// The rule of its alert.
    pub rule: AlertRuleId,
    /// What it was sent together with others as.
    pub batch: Option<Uuid>,
    /// What is sent.
    pub body: String,
    /// When it was made.
    pub created: UnixMillis,
    /// How often it was tried.
    pub attempts: u32,
}

/// What becomes of a message after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It was taken.
    Sent,
    /// It is tried again then.
    Again(UnixMillis),
    /// It is given up.
    GivenUp,
}

/// What the platform keeps of where alerts are sent.
pub trait AlertChannelStore: Send + Sync {
    /// All channels, by name.
    fn alert_channels(&self) -> StoreFuture<'_, Vec<AlertChannel>>;

    /// Makes a channel. [`Taken`](super::StoreError::Taken), [`Full`](super::StoreError::Full).
    fn create_alert_channel(&self, channel: AlertChannel, change: Change) -> StoreFuture<'_, ()>;

    /// Puts a channel in the place of the one of its id and kind, but for its secret and when it was made. Where it
    /// is disabled now, what waits to be sent there is given up, but for ends of what was told there, which wait until
    /// it is not. [`NotFound`](super::StoreError::NotFound), [`Taken`](super::StoreError::Taken).
    fn update_alert_channel(
        &self,
        channel: AlertChannel,
        audit: Entry,
    ) -> StoreFuture<'_, AlertChannel>;

    /// Gives a webhook another secret, sealed. [`NotFound`](super::StoreError::NotFound) for any other channel too.
    fn seal_alert_channel(
        &self,
        id: AlertChannelId,
        sealed: Vec<u8>,
        audit: Entry,
    ) -> StoreFuture<'_, ()>;

    /// Removes a channel, with what waits to be sent there. Where rules name it, it stays, and their names are
    /// answered. [`NotFound`](super::StoreError::NotFound).
    fn delete_alert_channel(
        &self,
        id: AlertChannelId,
        audit: Entry,
    ) -> StoreFuture<'_, Vec<String>>;

    /// Messages to a channel that are due, the longest first; of one alert one after the other. Whether a silence is
    /// for one is asked as it is begun: those that are held are not due before the end of what holds them.
    fn due_notifications(
        &self,
        channel: AlertChannelId,
        now: UnixMillis,
        count: usize,
    ) -> StoreFuture<'_, Vec<DueNotification>>;

    /// When, after now, the next message is due, or the next silence begins or ends.
    fn next_notification(&self, now: UnixMillis) -> StoreFuture<'_, Option<UnixMillis>>;

    /// Messages are about to be tried, each or as one: the try counts from here on, and the next one is due then, whatever
    /// comes of this one and whether or not anybody can note it. With `batch` they are one message of that id from here
    /// on, with all that are of it already. Answers those that are to be sent now: what is not due any more is left out, and so
    /// is what a silence holds, which is due at that one's end.
    fn notifications_begun(
        &self,
        ids: Vec<Uuid>,
        batch: Option<Uuid>,
        now: UnixMillis,
        next: UnixMillis,
    ) -> StoreFuture<'_, Vec<DueNotification>>;

    /// What came of a try of messages that was begun. Whoever follows their alerts is told.
    fn notifications_tried(
        &self,
        ids: Vec<Uuid>,
        tried: SendTry,
        then: Tried,
    ) -> StoreFuture<'_, ()>;
}
