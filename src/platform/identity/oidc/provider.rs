//! What is known of the provider: its discovery document and its keys, asked for when they are
//! needed and kept for a while, by one request at a time whoever waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::fault::{OidcError, TokenFault};
use super::id_token::{self, Claims, Expected};
use super::keys::Keys;
use crate::platform::fetch::{Ask, Endpoint, Fetcher};

/// Where an issuer publishes its document (OpenID Connect Discovery section 4).
const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
/// How long document and keys are good: a key that the provider withdrew is refused after this.
const KNOWN_FOR: Duration = Duration::from_secs(60 * 60);
/// How long a failure stands for further ones, so that a provider in trouble is not asked by each
/// user anew.
const FAILED_FOR: Duration = Duration::from_secs(5);
/// Between two looks for a key that is not among the known ones.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// The provider's discovery document, as far as it is needed.
#[derive(Debug)]
pub struct Metadata {
    /// Where browsers are sent.
    pub authorization: String,
    /// Where codes are exchanged.
    pub token: Endpoint,
    /// Where the claims are that are not in the ID token.
    pub userinfo: Option<Endpoint>,
    /// Whether a client's secret goes into the form instead of a header.
    pub secret_in_form: bool,
    keys: Endpoint,
}

/// The provider, with what is known of it.
pub struct Provider {
    issuer: String,
    fetcher: Fetcher,
    known: Mutex<Known>,
    /// Whose turn it is to ask; who waited looks again first.
    turn: Semaphore,
}

#[derive(Default)]
struct Known {
    metadata: Option<(Instant, Arc<Metadata>)>,
    keys: Option<(Instant, Arc<Keys>)>,
    failed: Option<(Instant, OidcError)>,
    looked_again: Option<Instant>,
}

impl Provider {
    /// One of which nothing is known yet.
    pub fn new(issuer: &str, fetcher: Fetcher) -> Self {
        Self {
            issuer: issuer.to_owned(),
            fetcher,
            known: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }

    /// The discovery document, asked for if it is not known.
    ///
    /// # Errors
    /// When the provider cannot be reached, or what it answers is no such document of this issuer.
    pub async fn metadata(&self) -> Result<Arc<Metadata>, OidcError> {
        let known = |known: &Known| fresh(known.metadata.as_ref());
        let ask = || async {
            let address = format!("{}{DISCOVERY_PATH}", self.issuer.trim_end_matches('/'));
            let address = Endpoint::parse(&address).map_err(OidcError::Provider)?;
            Metadata::of(&self.issuer, self.document(&address).await?)
        };
        self.known_or(known, ask, |known, now, metadata| {
            known.metadata = Some((now, metadata));
        })
        .await
    }

    /// Checks an ID token with the provider's keys. A key that is not among the known ones may be
    /// new: then, and not too often, the keys are asked for again.
    ///
    /// # Errors
    /// When the token is refused, or the keys cannot be had.
    pub async fn verify(&self, token: &str, expected: Expected<'_>) -> Result<Claims, OidcError> {
        let keys = self.keys().await?;
        match id_token::verify(token, &keys, expected) {
            Err(TokenFault::KeyUnknown) if self.may_look_again(Instant::now()) => {
                let keys = self.keys().await?;
                Ok(id_token::verify(token, &keys, expected)?)
            }
            verified => Ok(verified?),
        }
    }

    /// Asks for anything else.
    ///
    /// # Errors
    /// As [`Fetcher::fetch`].
    pub async fn fetch(
        &self,
        endpoint: &Endpoint,
        ask: Ask<'_>,
    ) -> Result<(StatusCode, bytes::Bytes), OidcError> {
        Ok(self.fetcher.fetch(endpoint, ask).await?)
    }

    async fn keys(&self) -> Result<Arc<Keys>, OidcError> {
        let metadata = self.metadata().await?;
        let known = |known: &Known| fresh(known.keys.as_ref());
        let ask = || async {
            let (status, body) = self.fetcher.fetch(&metadata.keys, Ask::Document).await?;
            if status != StatusCode::OK {
                return Err(unexpected("keys", status));
            }
            Keys::parse(&body).map_err(|error| unreadable("keys", &error))
        };
        self.known_or(known, ask, |known, now, keys| {
            known.keys = Some((now, keys));
        })
        .await
    }

    /// Forgets the keys, unless that was done a moment ago.
    fn may_look_again(&self, now: Instant) -> bool {
        let mut known = self.known();
        let lately = |at: Instant| now.saturating_duration_since(at) < LOOK_AGAIN_AFTER;
        if known.looked_again.is_some_and(lately) {
            return false;
        }
        known.looked_again = Some(now);
        known.keys = None;
        true
    }

    /// What is known, or else the answer of a request: the caller's own, or that of whoever was
    /// before it.
    async fn known_or<T>(
        &self,
        known: impl Fn(&Known) -> Option<Arc<T>>,
        ask: impl AsyncFnOnce() -> Result<T, OidcError>,
        keep: impl FnOnce(&mut Known, Instant, Arc<T>),
    ) -> Result<Arc<T>, OidcError> {
        if let Some(found) = known(&self.known()) {
            return Ok(found);
        }
        // The semaphore is never closed.
        let _turn = self.turn.acquire().await;
        {
            let state = self.known();
            if let Some(found) = known(&state) {
                return Ok(found);
            }
            if let Some((at, error)) = &state.failed
                && at.elapsed() < FAILED_FOR
            {
                return Err(error.clone());
            }
        }
        let answer = ask().await;
        let mut state = self.known();
        match answer {
            Ok(answer) => {
                let answer = Arc::new(answer);
                state.failed = None;
                keep(&mut state, Instant::now(), answer.clone());
                Ok(answer)
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn document<T: DeserializeOwned>(&self, endpoint: &Endpoint) -> Result<T, OidcError> {
        let (status, body) = self.fetcher.fetch(endpoint, Ask::Document).await?;
        if status != StatusCode::OK {
            return Err(unexpected("discovery document", status));
        }
        serde_json::from_slice(&body).map_err(|error| unreadable("discovery document", &error))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each field is whole at every step.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the document is made of.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Metadata {
    fn of(issuer: &str, document: Document) -> Result<Self, OidcError> {
        // Otherwise one provider could speak for another.
        if document.issuer != issuer {
            return Err(OidcError::Provider(format!(
                "it calls itself {:?}: the setting issuer has to be the same, letter by letter",
                shortened(&document.issuer)
            )));
        }
        let plain = issuer.starts_with("http:");
        let endpoint = |text: &str| match Endpoint::parse(text) {
            // A provider elsewhere has nothing to say about this machine's own services.
            Ok(endpoint) if !plain && !endpoint.is_https() => {
                Err(OidcError::Provider(format!("{text:?} is not https")))
            }
            parsed => parsed.map_err(OidcError::Provider),
        };
        // Browsers are sent there: a form that is not even an address would lead them anywhere.
        endpoint(&document.authorization_endpoint)?;
        let methods = document.token_endpoint_auth_methods_supported;
        let takes = |method: &str| {
            let methods = methods.as_deref();
            methods.is_some_and(|methods| methods.iter().any(|one| one == method))
        };
        Ok(Self {
            authorization: document.authorization_endpoint,
            token: endpoint(&document.token_endpoint)?,
            userinfo: document
                .userinfo_endpoint
                .as_deref()
                .map(endpoint)
                .transpose()?,
            // Basic is what a provider takes that does not say.
            secret_in_form: takes("client_secret_post") && !takes("client_secret_basic"),
            keys: endpoint(&document.jwks_uri)?,
        })
    }
}

fn fresh<T>(known: Option<&(Instant, Arc<T>)>) -> Option<Arc<T>> {
    let (at, value) = known?;
    (at.elapsed() < KNOWN_FOR).then(|| value.clone())
}

fn unexpected(what: &str, status: StatusCode) -> OidcError {
    OidcError::Provider(format!("asked for its {what}, it answers {status}"))
}

fn unreadable(what: &str, error: &serde_json::Error) -> OidcError {
    OidcError::Provider(format!("its {what} cannot be read: {error}"))
}

/// A text of the provider's, as short as a log line can take it.
pub fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://id.example.com";

    fn read(changes: Value) -> Result<Metadata, OidcError> {
        let mut document = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example.com/authorize?tenant=1",
            "token_endpoint": "https://id.example.com/token",
            "jwks_uri": "https://keys.example.net/jwks",
        });
        for (name, value) in changes.as_object().expect("an object") {
            document[name] = value.clone();
        }
        Metadata::of(
            ISSUER,
            serde_json::from_value(document).expect("a document"),
        )
    }

    #[test]
    fn a_document_speaks_for_its_issuer_and_names_no_service_of_this_machine() {
        let metadata = read(json!({})).expect("usable");
        assert!(metadata.userinfo.is_none() && !metadata.secret_in_form);
        for changes in [
            json!({"issuer": "https://id.example.com/"}),
            json!({"issuer": "https://evil.example.com"}),
            json!({"authorization_endpoint": "javascript:alert(1)"}),
            json!({"authorization_endpoint": "http://127.0.0.1/authorize"}),
            json!({"token_endpoint": "http://127.0.0.1:8080/api/hosts"}),
            json!({"token_endpoint": "http://id.example.com/token"}),
            json!({"jwks_uri": "file:///etc/passwd"}),
            json!({"userinfo_endpoint": "/userinfo"}),
        ] {
            assert!(
                matches!(read(changes.clone()), Err(OidcError::Provider(_))),
                "{changes}"
            );
        }
    }

    #[test]
    fn a_secret_goes_where_the_provider_takes_it() {
        let in_form = |methods: Value| {
            let metadata = read(json!({"token_endpoint_auth_methods_supported": methods}));
            metadata.expect("usable").secret_in_form
        };
        assert!(in_form(json!(["client_secret_post", "private_key_jwt"])));
        assert!(!in_form(json!([
            "client_secret_post",
            "client_secret_basic"
        ])));
        assert!(
            !in_form(json!(null)),
            "Basic is the one that each has to take"
        );
    }
}
