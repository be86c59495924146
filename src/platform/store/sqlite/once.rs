//! The answers that are kept for requests that are tried again.

use rusqlite::{OptionalExtension as _, params};

use super::super::once::{AnswerStore, Answered, Change};
use super::super::{StoreError, StoreFuture};
use super::{SqliteStore, Transaction};
use crate::clock::UnixMillis;
use crate::secret::SecretHash;

/// Expired answers that are removed with a new one: more than come, so that the table does not grow.
const REMOVED_AT_ONCE: usize = 16;

impl Transaction<'_> {
    /// Writes what goes with a change: its audit entry, and the answer to be kept.
    pub(super) fn record(&self, change: Change) -> Result<(), StoreError> {
        if let Some(answered) = change.answered {
            self.keep(&answered)?;
        }
        self.audit(change.audit)
    }

    fn keep(&self, answered: &Answered) -> Result<(), StoreError> {
        self.prepare_cached(
            "DELETE FROM answers WHERE key IN
             (SELECT key FROM answers WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
        )?
        .execute((answered.at, REMOVED_AT_ONCE as i64))?;
        let kept = self
            .prepare_cached(
                "INSERT INTO answers (key, request, answer, at, expires)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (key) DO UPDATE SET
                     request = ?2, answer = ?3, at = ?4, expires = ?5 WHERE expires <= ?4",
            )?
            .execute(params![
                answered.key,
                answered.request,
                answered.answer,
                answered.at,
                answered.expires,
            ])?;
        if kept == 0 {
            return Err(StoreError::Repeated);
        }
        Ok(())
    }
}

impl AnswerStore for SqliteStore {
    fn answered(&self, key: SecretHash, now: UnixMillis) -> StoreFuture<'_, Option<Answered>> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT request, answer, at, expires FROM answers WHERE key = ?1 AND expires > ?2",
            )?;
            let found = query.query_row((key, now), |row| {
                Ok(Answered {
                    key,
                    request: row.get(0)?,
                    answer: row.get(1)?,
                    at: row.get(2)?,
                    expires: row.get(3)?,
                })
            });
            Ok(found.optional()?)
        }))
    }
}
