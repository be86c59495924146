//! How hosts come in, as SQL: enrolment tokens, credentials, their renewal and their end.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Row};

use super::super::{
    Change, Enrolment, EnrolmentOutcome, EnrolmentStore, EnrolmentTokenRecord, HostByToken,
    HostRecord, Issued, NewEnrolmentToken, Renewal, RenewalOutcome, StoreError, StoreFuture,
};
use super::operations::{HOSTS, host_by_id, host_by_name, host_record};
use super::{SqliteStore, Transaction};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{ConsoleSessionId, EnrolmentTokenId, HostId};
use crate::platform::credential::KeyFingerprint;
use crate::platform::sessions::CloseReason;
use crate::secret::SecretHash;

/// Expired tokens are kept this long, so that an agent that comes late is told so.
const TOKENS_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const TOKENS: &str =
    "SELECT id, name, created_by, created, expires, used, host FROM enrolment_tokens";

impl EnrolmentStore for SqliteStore {
    fn create_enrolment_token(
        &self,
        token: NewEnrolmentToken,
        change: Change,
    ) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let forgotten = UnixMillis(token.at.0.saturating_sub(TOKENS_KEPT.as_millis() as u64));
            connection
                .prepare_cached("DELETE FROM enrolment_tokens WHERE expires < ?1")?
                .execute([forgotten])?;
            connection
                .prepare_cached(
                    "INSERT INTO enrolment_tokens (id, secret, name, created_by, created, expires)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute((
                    token.id,
                    token.secret,
                    token.name,
                    token.by,
                    token.at,
                    token.expires,
                ))?;
            connection.record(change)
        }))
    }

    fn enrolment_tokens(
        &self,
        before: Option<(UnixMillis, EnrolmentTokenId)>,
        count: usize,
    ) -> StoreFuture<'_, Vec<EnrolmentTokenRecord>> {
        Box::pin(self.read(move |connection| {
            let (created, id) = before.unzip();
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            let mut query = connection.prepare_cached(&format!(
                "{TOKENS} WHERE ?1 IS NULL OR (created, id) < (?1, ?2)
                 ORDER BY created DESC, id DESC LIMIT ?3"
            ))?;
            let found = query.query_map((created, id, count), token_record)?;
            Ok(found.collect::<Result<_, _>>()?)
        }))
    }

    fn enrolment_token(
        &self,
        id: EnrolmentTokenId,
    ) -> StoreFuture<'_, Option<EnrolmentTokenRecord>> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(&format!("{TOKENS} WHERE id = ?1"))?;
            Ok(query.query_row([id], token_record).optional()?)
        }))
    }

    fn delete_enrolment_token(&self, id: EnrolmentTokenId, audit: Entry) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let gone = connection
                .prepare_cached("DELETE FROM enrolment_tokens WHERE id = ?1")?
                .execute([id])?;
            if gone == 0 {
                return Err(StoreError::NotFound);
            }
            connection.audit(audit)
        }))
    }

    fn enrol(&self, enrolment: Enrolment) -> StoreFuture<'_, EnrolmentOutcome> {
        Box::pin(self.write(move |connection| enrol(connection, &enrolment)))
    }

    fn host_by_token(&self, auth_token: SecretHash) -> StoreFuture<'_, Option<HostByToken>> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(&format!(
                "{HOSTS} WHERE auth_token = ?1 OR previous_token = ?1"
            ))?;
            let Some(host) = query.query_row([auth_token], host_record).optional()? else {
                return Ok(None);
            };
            let mut query = connection.prepare_cached(
                "SELECT auth_token = ?1 AND (credential_used = 0 OR previous_token IS NOT NULL)
                 FROM hosts WHERE id = ?2",
            )?;
            let first_use = query.query_row((auth_token, host.id), |row| row.get(0))?;
            Ok(Some(HostByToken { host, first_use }))
        }))
    }

    fn credential_used(&self, auth_token: SecretHash) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let changed = connection
                .prepare_cached(
                    "UPDATE hosts SET credential_used = 1, previous_token = NULL
                     WHERE auth_token = ?1",
                )?
                .execute([auth_token])?;
            if changed == 0 {
                return Err(StoreError::NotFound);
            }
            Ok(())
        }))
    }

    fn renew(&self, renewal: Renewal) -> StoreFuture<'_, RenewalOutcome> {
        Box::pin(self.write(move |connection| renew(connection, &renewal)))
    }

    fn revoke_host(&self, host: HostId, audit: Entry) -> StoreFuture<'_, bool> {
        Box::pin(self.write(move |connection| revoke(connection, host, audit)))
    }
}

fn token_record(row: &Row<'_>) -> rusqlite::Result<EnrolmentTokenRecord> {
    Ok(EnrolmentTokenRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        created_by: row.get(2)?,
        created: row.get(3)?,
        expires: row.get(4)?,
        used: row.get(5)?,
        host: row.get(6)?,
    })
}

fn enrol(
    connection: &Transaction<'_>,
    enrolment: &Enrolment,
) -> Result<EnrolmentOutcome, StoreError> {
    struct Token {
        name: Option<String>,
        expires: UnixMillis,
        used_key: Option<KeyFingerprint>,
        host: Option<HostId>,
    }
    let token = connection
        .prepare_cached(
            "SELECT name, expires, used_key, host FROM enrolment_tokens WHERE secret = ?1",
        )?
        .query_row([enrolment.secret], |row| {
            Ok(Token {
                name: row.get(0)?,
                expires: row.get(1)?,
                used_key: row.get(2)?,
                host: row.get(3)?,
            })
        })
        .optional()?;
    let Some(token) = token else {
        return Ok(EnrolmentOutcome::TokenUnknown);
    };
    let expired = enrolment.at > token.expires;

    if let Some(id) = token.host {
        // Used. Only the key that used it, and only while its credential never arrived, gets another.
        if token.used_key != Some(enrolment.certificate.key) {
            return Ok(EnrolmentOutcome::OtherKey(id));
        }
        return match host_by_id(connection, id)? {
            Some(host) if !host.credential_used && !expired => give_credential(
                connection,
                host,
                enrolment,
                "enrolled again after a lost answer",
            ),
            _ => Ok(EnrolmentOutcome::TokenUsed),
        };
    }
    if expired {
        return Ok(EnrolmentOutcome::TokenExpired);
    }

    let name = match (&token.name, &enrolment.wished_name) {
        (Some(name), _) => name.as_str(),
        (None, Ok(wished)) => wished.as_str(),
        (None, Err(error)) => return Ok(EnrolmentOutcome::NameInvalid(*error)),
    };
    let outcome = match host_by_name(connection, name)? {
        Some(host) if token.name.is_some() => give_credential(
            connection,
            host,
            enrolment,
            "enrolled anew under its old id",
        )?,
        Some(_) => return Ok(EnrolmentOutcome::NameTaken),
        None => {
            let id = enrolment.new_host;
            connection
                .prepare_cached(
                    "INSERT INTO hosts (id, name, auth_token, created, key, certificate_until)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute((
                    id,
                    name,
                    enrolment.auth_token,
                    enrolment.at,
                    enrolment.certificate.key,
                    enrolment.certificate.until,
                ))?;
            audit_enrolment(connection, id, enrolment, name, "enrolled")?;
            EnrolmentOutcome::Enrolled {
                id,
                name: name.to_owned(),
            }
        }
    };
    if let EnrolmentOutcome::Enrolled { id, .. } = &outcome {
        connection
            .prepare_cached(
                "UPDATE enrolment_tokens SET used = ?2, used_key = ?3, host = ?4 WHERE secret = ?1",
            )?
            .execute((
                enrolment.secret,
                enrolment.at,
                enrolment.certificate.key,
                id,
            ))?;
    }
    Ok(outcome)
}

fn give_credential(
    connection: &Transaction<'_>,
    host: HostRecord,
    enrolment: &Enrolment,
    how: &str,
) -> Result<EnrolmentOutcome, StoreError> {
    connection
        .prepare_cached(
            "UPDATE hosts SET auth_token = ?2, previous_token = NULL, credential_used = 0,
                 key = ?3, certificate_until = ?4, revoked = NULL
             WHERE id = ?1",
        )?
        .execute((
            host.id,
            enrolment.auth_token,
            enrolment.certificate.key,
            enrolment.certificate.until,
        ))?;
    let reason = CloseReason::HostReenrolled;
    end_sessions(connection, &host, enrolment.at, reason)?;
    audit_enrolment(connection, host.id, enrolment, &host.name, how)?;
    Ok(EnrolmentOutcome::Enrolled {
        id: host.id,
        name: host.name,
    })
}

fn renew(connection: &Transaction<'_>, renewal: &Renewal) -> Result<RenewalOutcome, StoreError> {
    let host = connection
        .prepare_cached(&format!(
            "{HOSTS} WHERE auth_token = ?1 OR previous_token = ?1"
        ))?
        .query_row([renewal.auth_token], host_record)
        .optional()?;
    let Some(host) = host else {
        return Ok(RenewalOutcome::TokenUnknown);
    };
    if host.revoked.is_some() {
        return Ok(RenewalOutcome::Revoked);
    }
    match host.key {
        None => return Ok(RenewalOutcome::TokenOnly),
        Some(key) if key != renewal.certificate.key => {
            return Ok(RenewalOutcome::OtherKey(host.id));
        }
        Some(_) => {}
    }
    // The token that it came with is the one that it has for certain: it is the predecessor, whichever
    // of the two it was.
    connection
        .prepare_cached(
            "UPDATE hosts SET auth_token = ?2, previous_token = ?3, credential_used = 1,
                 certificate_until = ?4
             WHERE id = ?1",
        )?
        .execute((
            host.id,
            renewal.new_token,
            renewal.auth_token,
            renewal.certificate.until,
        ))?;
    let target = format!("host:{}", host.id);
    let entry = Entry::new(renewal.at, target.clone(), "host.renew", target)
        .host(host.id)
        .detail("name", host.name)
        .detail("how", renewal.how);
    connection.audit(certified(entry, &renewal.certificate))?;
    Ok(RenewalOutcome::Renewed(host.id))
}

fn revoke(connection: &Transaction<'_>, host: HostId, audit: Entry) -> Result<bool, StoreError> {
    let host = host_by_id(connection, host)?.ok_or(StoreError::NotFound)?;
    if host.revoked.is_some() {
        return Ok(false);
    }
    connection
        .prepare_cached("UPDATE hosts SET revoked = ?2 WHERE id = ?1")?
        .execute((host.id, audit.at))?;
    // One who had a token for its name before it was revoked is not to bring it back with that.
    connection
        .prepare_cached(
            "UPDATE enrolment_tokens SET expires = ?3
             WHERE (name = ?1 OR host = ?2) AND expires > ?3",
        )?
        .execute((
            &host.name,
            host.id,
            UnixMillis(audit.at.0.saturating_sub(1)),
        ))?;
    end_sessions(connection, &host, audit.at, CloseReason::HostRevoked)?;
    connection.audit(audit)?;
    Ok(true)
}

/// Ends the sessions to what the host was: another machine may answer under its id now, or none is to.
/// With the credential, so that a platform that is killed right then does not open them again.
fn end_sessions(
    connection: &Transaction<'_>,
    host: &HostRecord,
    at: UnixMillis,
    reason: CloseReason,
) -> Result<(), StoreError> {
    let ended: Vec<(ConsoleSessionId, String)> = connection
        .prepare_cached(
            "UPDATE sessions SET ended = ?2 WHERE host = ?1 AND ended IS NULL RETURNING id, user",
        )?
        .query_map((host.id, at), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (id, user) in ended {
        let entry = Entry::new(at, "platform", "session.close", format!("session:{id}"))
            .host(host.id)
            .session(id)
            .detail("host", host.name.as_str())
            .detail("user", user)
            .detail("reason", reason.code());
        connection.audit(entry)?;
    }
    Ok(())
}

fn audit_enrolment(
    connection: &Transaction<'_>,
    id: HostId,
    enrolment: &Enrolment,
    name: &str,
    how: &str,
) -> Result<(), StoreError> {
    let host = format!("host:{id}");
    let entry = Entry::new(enrolment.at, host.clone(), "host.enrol", host)
        .host(id)
        .detail("name", name)
        .detail("how", how);
    connection.audit(certified(entry, &enrolment.certificate))
}

/// Says in an entry which certificate went with it.
fn certified(entry: Entry, certificate: &Issued) -> Entry {
    entry
        .detail("certificate", certificate.serial.to_string())
        .detail("certificate_until", certificate.until.to_string())
        .detail("key", certificate.key.to_string())
}
