//! Messages about alerts to their receivers: webhooks, signed as Standard Webhooks has it, tried again with growing
//! pauses for about a day. A receiver tells doubles, as after a crash between its answer and our note of it, by
//! `webhook-id`. No redirect is followed.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::future::join_all;
use ring::hmac;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::clock::UnixMillis;
use crate::ids::Uuid;
use crate::net::{roots, tls};
use crate::platform::Platform;
use crate::platform::identity::oidc::fetch::{Ask, Endpoint, Fetcher};
use crate::platform::store::StoreError;
use crate::platform::store::alerts::{DueNotification, SendState};
use crate::secret::{Secret, random};

/// How a secret begins, as Standard Webhooks has it.
const SECRET_PREFIX: &str = "whsec_";
/// Tries at once.
const AT_ONCE: usize = 8;
/// How long is waited at most until it is looked whether something is due.
const LOOKED_AT: Duration = Duration::from_secs(5);
/// The pause after the first try that failed; each is twice the one before, up to the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(5);
const PAUSE_LONGEST: Duration = Duration::from_secs(3 * 60 * 60);
/// Tries of one message: 26 hours with their pauses.
const TRIES_MAX: u32 = 20;
/// Most of a reason that is kept.
const ERROR_CHARACTERS_MAX: usize = 512;

/// What requests to receivers go out with.
pub struct Webhooks(Fetcher);

impl Webhooks {
    /// Trusts what this machine trusts; `None` where that is nothing.
    pub fn open() -> Option<Self> {
        let (_, roots) = roots::of_this_machine()?;
        let tls = roots.and_then(|roots| tls::client_trusting(roots, false));
        Some(Self(Fetcher::new(tls.ok()?)))
    }
}

/// A new secret, as the receiver is given it.
pub fn secret() -> Secret {
    let key = BASE64_STANDARD.encode(random::<32>());
    Secret::new(format!("{SECRET_PREFIX}{key}"))
}

/// Sends what is due until it is dropped.
pub(super) async fn run(platform: &Arc<Platform>) {
    loop {
        match send_due(platform).await {
            Ok(0) => {
                // Over or not: it is looked again.
                let _ = timeout(LOOKED_AT, platform.alerts.to_send.notified()).await;
            }
            Ok(_) => {}
            Err(error) => {
                warn!(%error, "messages about alerts could not be looked for");
                sleep(LOOKED_AT).await;
            }
        }
    }
}

/// Tries what is due, some of it; answers how many that were.
async fn send_due(platform: &Platform) -> Result<usize, StoreError> {
    let due = platform
        .store
        .due_notifications(UnixMillis::now(), AT_ONCE)
        .await?;
    let tries = due.iter().map(|due| one(platform, due));
    for tried in join_all(tries).await {
        tried?;
    }
    Ok(due.len())
}

async fn one(platform: &Platform, due: &DueNotification) -> Result<(), StoreError> {
    let tried = platform
        .send_webhook(&due.url, &due.secret, due.id, &due.body)
        .await;
    let (state, error, next) = match tried {
        Ok(()) => (SendState::Sent, String::new(), None),
        Err(error) if due.attempts + 1 >= TRIES_MAX => {
            warn!(message = %due.id, error, "a message about an alert was given up");
            (SendState::Failed, error, None)
        }
        Err(error) => {
            info!(message = %due.id, error, "a message about an alert is tried again later");
            let next = UnixMillis::now().plus(pause(due.attempts));
            (SendState::Waiting, error, Some(next))
        }
    };
    platform
        .store
        .notification_tried(due.id, state, error, next)
        .await
}

/// The pause after a try, of which there were so many before.
fn pause(before: u32) -> Duration {
    PAUSE_FIRST
        .saturating_mul(1 << before.min(16))
        .min(PAUSE_LONGEST)
}

impl Platform {
    /// Sends one message to a webhook, once.
    ///
    /// # Errors
    /// Why it was not taken, for people.
    pub async fn send_webhook(
        &self,
        url: &str,
        secret: &Secret,
        id: Uuid,
        body: &str,
    ) -> Result<(), String> {
        let Some(Webhooks(fetcher)) = &self.webhooks else {
            return Err(
                "this machine trusts no certificates that a receiver could show".to_owned(),
            );
        };
        let endpoint = Endpoint::parse(url)?;
        let timestamp = (UnixMillis::now().0 / 1000).to_string();
        let id = id.to_string();
        let signature = signature(secret, &id, &timestamp, body)
            .ok_or_else(|| "the channel's secret is broken: make another channel".to_owned())?;
        let ask = Ask::Signed {
            body: Bytes::copy_from_slice(body.as_bytes()),
            fields: [
                ("webhook-id", id),
                ("webhook-timestamp", timestamp),
                ("webhook-signature", signature),
            ],
        };
        let short = |error: String| error.chars().take(ERROR_CHARACTERS_MAX).collect::<String>();
        match fetcher.fetch(&endpoint, ask).await {
            Ok((status, _)) if status.is_success() => Ok(()),
            Ok((status, _)) => Err(format!("the receiver answered {status}")),
            Err(error) => Err(short(error.to_string())),
        }
    }
}

/// The signature as Standard Webhooks has it.
fn signature(secret: &Secret, id: &str, timestamp: &str, body: &str) -> Option<String> {
    let key = secret.expose().strip_prefix(SECRET_PREFIX)?;
    let key = zeroize::Zeroizing::new(BASE64_STANDARD.decode(key).ok()?);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
    Some(format!("v1,{}", BASE64_STANDARD.encode(signed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn a_signature_is_as_others_make_it() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let signature = signature(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
        );
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signature.as_deref(), Some(expected));
    }

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
