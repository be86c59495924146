//! Webhooks: one `POST` of JSON, signed as Standard Webhooks has it. No redirect is followed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use ring::hmac;
use tracing::info;

use super::NotTaken;
use crate::clock::UnixMillis;
use crate::ids::Uuid;
use crate::net::{roots, tls};
use crate::platform::fetch::{Ask, Endpoint, FetchError, Fetcher};
use crate::secret::{Secret, random};

/// How a secret begins, as Standard Webhooks has it.
const SECRET_PREFIX: &str = "whsec_";

/// What requests to receivers go out with.
pub struct Webhooks {
    fetcher: Fetcher,
}

/// A new secret, as the receiver is given it.
pub fn secret() -> Secret {
    let key = BASE64_STANDARD.encode(random::<32>());
    Secret::new(format!("{SECRET_PREFIX}{key}"))
}

/// Whether a text is a secret as it was given.
pub(super) fn is_secret(text: &str) -> bool {
    text.starts_with(SECRET_PREFIX)
}

impl Webhooks {
    /// Trusts what this machine trusts; `None` where that is nothing. Without `private` no receiver at a private
    /// address is reached.
    pub fn open(private: bool) -> Option<Self> {
        let (_, roots) = roots::of_this_machine()?;
        let tls = roots.and_then(|roots| tls::client_trusting(roots, false));
        let fetcher = Fetcher::new(tls.ok()?).reaching(private);
        Some(Self { fetcher })
    }

    /// Sends one message, once.
    pub(super) async fn send(
        &self,
        url: &str,
        secret: &Secret,
        id: Uuid,
        body: &str,
    ) -> Result<(), NotTaken> {
        let endpoint = Endpoint::parse(url).map_err(NotTaken::for_now)?;
        let timestamp = (UnixMillis::now().0 / 1000).to_string();
        let message = id.to_string();
        let signature = signature(secret, &message, &timestamp, body).ok_or_else(|| {
            NotTaken::for_now("the channel's secret is broken: give it another one")
        })?;
        let ask = Ask::Signed {
            body: Bytes::copy_from_slice(body.as_bytes()),
            fields: [
                ("webhook-id", message),
                ("webhook-timestamp", timestamp),
                ("webhook-signature", signature),
            ],
        };
        match self.fetcher.fetch(&endpoint, ask).await {
            Ok((status, _)) if status.is_success() => Ok(()),
            Ok((status, _)) => Err(NotTaken::for_now(format!("the receiver answered {status}"))),
            Err(error) => {
                info!(%error, message = %id, "a webhook was not reached");
                Err(NotTaken::for_now(words(&error)))
            }
        }
    }
}

/// What the API says of a receiver that gave no answer. Whether nobody listens there, or somebody who speaks something
/// else, is for the log alone: who may make channels is not to try out ports of the platform's network by them.
fn words(error: &FetchError) -> String {
    match error {
        FetchError::Connect(server, _) | FetchError::Late(server) | FetchError::Talk(server, _) => {
            format!("{server} gives no answer as a receiver does; the platform's log says more")
        }
        FetchError::Private(_)
        | FetchError::Certificate(..)
        | FetchError::TooLarge(_)
        | FetchError::Field(_) => error.to_string(),
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
}
