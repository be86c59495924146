//! Messages about alerts to their receivers, tried again with growing pauses for about a day. Each channel has tries of
//! its own, so that one whose receiver is slow or dead holds no other. A receiver tells doubles, as after a crash
//! between its answer and our note of it, by the message's id. What is sent as one message is `together`'s to say, how a
//! webhook is asked `webhook`'s, what e-mail says `email`'s.

mod email;
mod together;
mod webhook;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::Alerts;
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertChannelId, Uuid, random_uuid};
use crate::platform::Platform;
use crate::platform::identity::Identity;
use crate::platform::store::alert_channels::{
    AlertChannel, ChannelTarget, DueNotification, SendTry, Tried,
};
use crate::platform::store::{Store, StoreError};
use crate::secret::{Secret, random};
pub use webhook::{Webhooks, secret};

/// Tries to one channel at once.
const AT_ONCE: usize = 4;
/// How long is waited at most until it is looked whether something is due: clocks may be set.
const LOOKED_AT: Duration = Duration::from_secs(60);
/// And where that could not be looked.
const FAILED_FOR: Duration = Duration::from_secs(5);
/// The pause after the first try that failed; each is twice the one before, up to the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(5);
const PAUSE_LONGEST: Duration = Duration::from_secs(3 * 60 * 60);
/// Tries of one message: 26 hours with their pauses.
const TRIES_MAX: u32 = 20;
/// Most of a reason that is kept.
const ERROR_CHARACTERS_MAX: usize = 256;

impl Alerts {
    /// Something may be due to be sent that was not: it is looked soon.
    pub fn send_soon(&self) {
        self.to_send.notify_one();
    }
}

/// Why a message was not taken.
#[derive(Debug)]
struct NotTaken {
    /// For people; it names nothing that is secret.
    why: String,
    /// Whether the receiver will not take it later either.
    for_good: bool,
}

impl NotTaken {
    fn for_now(why: impl Into<String>) -> Self {
        let why = why.into();
        let for_good = false;
        Self { why, for_good }
    }
}

/// Seals the secrets of webhooks that stand in the store as they are, as they did at first.
///
/// # Errors
/// When the store fails.
pub async fn seal_secrets(store: &dyn Store, identity: &Identity) -> Result<(), StoreError> {
    for channel in store.alert_channels().await? {
        let ChannelTarget::Webhook { sealed, .. } = &channel.target else {
            continue;
        };
        let text = std::str::from_utf8(sealed).ok();
        let plain = text.filter(|text| webhook::is_secret(text));
        let plain = plain.map(|text| Secret::new(text.to_owned()));
        let sealed = plain.and_then(|secret| identity.seal_webhook_secret(channel.id, &secret));
        if let Some(sealed) = sealed {
            let target = format!("alert_channel:{}", channel.id);
            let audit = Entry::new(
                UnixMillis::now(),
                "platform",
                "alert_channel.seal_secret",
                target,
            );
            store.seal_alert_channel(channel.id, sealed, audit).await?;
        }
    }
    Ok(())
}

/// What is being tried at a channel.
#[derive(Default)]
struct Busy {
    tries: usize,
    /// Messages, and what they were sent together as: of those some may not have been among what was due.
    ids: HashSet<Uuid>,
}

impl Busy {
    fn has(&self, due: &DueNotification) -> bool {
        ids_of(due).any(|id| self.ids.contains(&id))
    }
}

fn ids_of(due: &DueNotification) -> impl Iterator<Item = Uuid> {
    [Some(due.id), due.batch].into_iter().flatten()
}

/// A try at a channel, and what it is of.
type Try = (Arc<AlertChannel>, Vec<DueNotification>);

/// Sends what is due until it is dropped.
pub(super) async fn run(platform: &Arc<Platform>) {
    let mut trying: HashMap<AlertChannelId, Busy> = HashMap::new();
    let mut tries = FuturesUnordered::new();
    loop {
        let now = UnixMillis::now();
        let mut wake = Instant::now();
        match look(platform, now, &trying).await {
            Ok((found, next)) => {
                for (channel, messages) in found {
                    let busy = trying.entry(channel.id).or_default();
                    busy.tries += 1;
                    busy.ids.extend(messages.iter().flat_map(ids_of));
                    tries.push(one(platform, channel, messages));
                }
                let next = next.map_or(LOOKED_AT, |next| next.since(now));
                wake += next.min(LOOKED_AT);
            }
            Err(error) => {
                warn!(%error, "messages about alerts could not be looked for");
                wake += FAILED_FOR;
            }
        }
        tokio::select! {
            Some((channel, messages)) = tries.next() => {
                if let Some(busy) = trying.get_mut(&channel) {
                    busy.tries -= 1;
                    for id in messages.iter().flat_map(ids_of) {
                        busy.ids.remove(&id);
                    }
                    if busy.tries == 0 {
                        trying.remove(&channel);
                    }
                }
            }
            () = platform.alerts.to_send.notified() => {}
            () = tokio::time::sleep_until(wake) => {}
        }
    }
}

/// What is to be tried now beside what is being tried, and when more may be due. Tells of silences that have begun or
/// ended, too.
async fn look(
    platform: &Platform,
    now: UnixMillis,
    trying: &HashMap<AlertChannelId, Busy>,
) -> Result<(Vec<Try>, Option<UnixMillis>), StoreError> {
    platform.store.tell_silences(now).await?;
    let (mut found, mut next) = (Vec::new(), None);
    let nothing = Busy::default();
    for channel in platform.store.alert_channels().await? {
        let busy = trying.get(&channel.id).unwrap_or(&nothing);
        let room = AT_ONCE.saturating_sub(busy.tries);
        if channel.disabled || room == 0 {
            continue;
        }
        // What is being tried may still be due.
        let count = together::TOGETHER_MAX + busy.ids.len();
        let due = platform.store.due_notifications(channel.id, now, count);
        let due = due.await?.into_iter();
        let new = due.filter(|due| !busy.has(due));
        let (lots, later) = together::lots(new.collect(), now);
        let channel = Arc::new(channel);
        found.extend(
            lots.into_iter()
                .take(room)
                .map(|lot| (channel.clone(), lot)),
        );
        next = next.into_iter().chain(later).min();
    }
    let due = platform.store.next_notification(now).await?;
    Ok((found, next.into_iter().chain(due).min()))
}

/// Tries messages, as one where they are many, and notes what came of it. That they are tried is committed before: where
/// the store cannot write, nothing is sent again and again, and of a receiver that may have been told it is known.
async fn one(
    platform: &Platform,
    channel: Arc<AlertChannel>,
    messages: Vec<DueNotification>,
) -> (AlertChannelId, Vec<DueNotification>) {
    let (at, began) = (UnixMillis::now(), Instant::now());
    let attempts = messages.iter().map(|due| due.attempts).max().unwrap_or(0);
    let batch = messages.first().and_then(|first| first.batch);
    let batch = batch.or_else(|| (messages.len() > 1).then(|| random_uuid(random())));
    let ids = messages.iter().map(|due| due.id).collect();
    let store = &platform.store;
    let next = at.plus(pause(attempts));
    let begun = match store.notifications_begun(ids, batch, at, next).await {
        Ok(begun) => begun,
        Err(error) => {
            warn!(%error, "a message about an alert is not tried: that could not be noted");
            // It keeps its place meanwhile, and no other channel waits.
            sleep(FAILED_FOR).await;
            return (channel.id, messages);
        }
    };
    let Some(first) = begun.first() else {
        return (channel.id, messages);
    };
    let id = batch.unwrap_or(first.id);
    let taken = match batch {
        Some(_) => platform.send(&channel, id, &together::body(&begun)).await,
        None => platform.send(&channel, id, &first.body).await,
    };
    let (then, error) = match taken {
        Ok(note) => (Tried::Sent, note.unwrap_or_default()),
        Err(error) if error.for_good || attempts + 1 >= TRIES_MAX => {
            warn!(message = %id, error = error.why, "a message about an alert was given up");
            (Tried::GivenUp, error.why)
        }
        Err(error) => {
            info!(message = %id, error = error.why, "a message about an alert is tried again later");
            let next = UnixMillis::now().plus(pause(attempts));
            (Tried::Again(next), error.why)
        }
    };
    let tried = SendTry {
        at,
        took: began.elapsed(),
        error,
    };
    platform.metrics.alert_message(&then);
    let ids: Vec<_> = begun.iter().map(|due| due.id).collect();
    while let Err(error) = store
        .notifications_tried(ids.clone(), tried.clone(), then)
        .await
    {
        warn!(%error, message = %id, "what came of a try could not be noted");
        sleep(FAILED_FOR).await;
    }
    (channel.id, messages)
}

/// The pause after a try, of which there were so many before.
fn pause(before: u32) -> Duration {
    PAUSE_FIRST
        .saturating_mul(1 << before.min(16))
        .min(PAUSE_LONGEST)
}

impl Platform {
    /// Sends a message for trial, once. Answers for which recipients it was not taken, where it was for others.
    ///
    /// # Errors
    /// Why it was not taken, for people.
    pub async fn try_channel(&self, channel: &AlertChannel) -> Result<Option<String>, String> {
        let body = serde_json::json!({
            "type": "test",
            "timestamp": UnixMillis::now().to_string(),
            "data": {"channel": channel.name},
        });
        let id = random_uuid(random());
        let sent = self.send(channel, id, &body.to_string()).await;
        sent.map_err(|error| error.why)
    }

    /// As [`Self::try_channel`], any message.
    async fn send(
        &self,
        channel: &AlertChannel,
        id: Uuid,
        body: &str,
    ) -> Result<Option<String>, NotTaken> {
        let short = |text: String| text.chars().take(ERROR_CHARACTERS_MAX).collect();
        let sent = match &channel.target {
            ChannelTarget::Webhook { url, sealed } => {
                let secret = self.identity.open_webhook_secret(channel.id, sealed);
                match (&self.webhooks, secret) {
                    (None, _) => Err(NotTaken::for_now(
                        "this machine trusts no certificates that a receiver could show",
                    )),
                    (_, None) => Err(NotTaken::for_now(
                        "the channel's secret cannot be opened: give it another one",
                    )),
                    (Some(webhooks), Some(secret)) => {
                        let sent = webhooks.send(url, &secret, id, body).await;
                        sent.map(|()| None)
                    }
                }
            }
            ChannelTarget::Email { recipients } => match &self.mail {
                None => Err(NotTaken::for_now(
                    "the platform's settings say nothing of e-mail: they need a table [mail]",
                )),
                Some(mail) => email::send(mail, recipients, id, body).await,
            },
        };
        match sent {
            Ok(note) => Ok(note.map(short)),
            Err(NotTaken { why, for_good }) => Err(NotTaken {
                why: short(why),
                for_good,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound_and_a_day_in_all() {
        assert_eq!(pause(0), PAUSE_FIRST);
        assert_eq!(pause(1), 2 * PAUSE_FIRST);
        assert_eq!(pause(u32::MAX), PAUSE_LONGEST);
        let all: Duration = (0..TRIES_MAX - 1).map(pause).sum();
        let day = Duration::from_secs(24 * 60 * 60);
        assert!(all > day && all < 2 * day, "{all:?}");
    }
}
