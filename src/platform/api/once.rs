//! Requests that may be tried again: one that makes something and carries an `Idempotency-Key` is answered
//! again as it was, within a day, however often it comes (draft-ietf-httpapi-idempotency-key-header). The
//! answer is committed with what was made. It may hold a secret, so that it is kept sealed, and the
//! key to it follows from the caller's own: what the platform keeps opens nothing.

use std::time::Duration;

use prost::Message as _;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

use super::{Answer, Method};
use crate::audit::Entry;
use crate::platform::service::{ErrorKind, ServiceError};
use crate::platform::store::{Answered, Change};
use crate::secret::{Secret, SecretHash, random};

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// A key that many might choose would be another's by chance. A UUID has 36 characters.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=255;

/// A request that is to be answered again in the same way.
#[derive(Clone)]
pub struct Once {
    key: SecretHash,
    request: SecretHash,
    seal: [u8; 32],
}

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Once(..)")
    }
}

impl Once {
    /// Of a request with this key, by this owner of keys.
    ///
    /// # Errors
    /// `idempotency_key_invalid`.
    pub fn of<M: Method>(owner: &str, key: &Secret, request: &M::WireRequest) -> Answer<Self> {
        let text = key.expose();
        if !KEY_BYTES.contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ServiceError::new(
                ErrorKind::Malformed,
                "idempotency_key_invalid",
                "an idempotency key has 16 to 255 visible ASCII characters, as a UUID has",
            ));
        }
        // Two uses of one secret, each under a label of its own; owner and method are in both, so that
        // a key is only ever that of one request.
        let secret = hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
        let derive = |label: &str| {
            let mut context = hmac::Context::with_key(&secret);
            for part in [label, M::ABOUT.service, M::ABOUT.name, owner] {
                context.update(&(part.len() as u64).to_be_bytes());
                context.update(part.as_bytes());
            }
            let mut derived = [0; 32];
            derived.copy_from_slice(context.sign().as_ref());
            derived
        };
        Ok(Self {
            key: SecretHash::from_bytes(derive("name")),
            request: SecretHash::of(&request.encode_to_vec()),
            seal: derive("seal"),
        })
    }

    /// Which request it is, in the store.
    pub const fn key(&self) -> SecretHash {
        self.key
    }

    /// What goes with a change that is answered so.
    pub fn change<M: Method>(&self, audit: Entry, answer: &M::WireAnswer) -> Answer<Change> {
        let nonce: [u8; NONCE_LEN] = random();
        let mut sealed = answer.encode_to_vec();
        self.seal_key()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut sealed,
            )
            .map_err(|_| unsealable())?;
        sealed.extend_from_slice(&nonce);
        let at = audit.at;
        Ok(Change {
            audit,
            answered: Some(Answered {
                key: self.key,
                request: self.request,
                answer: sealed,
                at,
                expires: at.plus(KEPT),
            }),
        })
    }

    /// The answer as it was given.
    ///
    /// # Errors
    /// `idempotency_key_reused` where the key was another request's.
    pub fn open<M: Method>(&self, mut kept: Answered) -> Answer<M::WireAnswer> {
        if kept.request != self.request {
            return Err(ServiceError::new(
                ErrorKind::Conflict,
                "idempotency_key_reused",
                "this idempotency key was used for another request: make a new key for each request",
            ));
        }
        let (sealed, nonce) = kept.answer.split_last_chunk_mut().ok_or_else(unsealable)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let key = self.seal_key()?;
        let opened = key
            .open_in_place(nonce, Aad::empty(), sealed)
            .map_err(|_| unsealable())?;
        M::WireAnswer::decode(&*opened).map_err(|_| unsealable())
    }

    fn seal_key(&self) -> Answer<LessSafeKey> {
        let key = UnboundKey::new(&AES_256_GCM, &self.seal).map_err(|_| unsealable())?;
        Ok(LessSafeKey::new(key))
    }
}

fn unsealable() -> ServiceError {
    ServiceError::new(
        ErrorKind::Internal,
        "internal",
        "the kept answer cannot be read",
    )
}
