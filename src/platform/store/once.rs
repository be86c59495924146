//! What makes trying again safe: the answer to a request that carried an `Idempotency-Key` is kept in the
//! transaction of what the request made. The answer may hold a secret that is shown once, so that it is
//! sealed with a key that only the caller has; here it is bytes.

use super::StoreFuture;
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::secret::SecretHash;

/// What goes with a change that makes something: its audit entry, and the answer to be kept.
#[derive(Clone, Debug)]
pub struct Change {
    /// What the audit log says of it.
    pub audit: Entry,
    /// The answer, where the request is to be answered again in the same way.
    pub answered: Option<Answered>,
}

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Names the request: hash of who made it, of its method, and of its key.
    pub key: SecretHash,
    /// Hash of its content: another request with the same key is a mistake.
    pub request: SecretHash,
    /// The answer, sealed.
    pub answer: Vec<u8>,
    /// When.
    pub at: UnixMillis,
    /// Until when it is kept.
    pub expires: UnixMillis,
}

impl From<Entry> for Change {
    fn from(audit: Entry) -> Self {
        Self {
            audit,
            answered: None,
        }
    }
}

/// The answers that are kept. A change with one that is there already is refused as
/// [`super::StoreError::Repeated`], and nothing of it is done.
pub trait AnswerStore {
    /// The answer to the request of that key, where it was made and has not expired at `now`.
    fn answered(&self, key: SecretHash, now: UnixMillis) -> StoreFuture<'_, Option<Answered>>;
}
