//! The store's operations as SQL. Instants are milliseconds, ids are text, hashes are blobs.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::{
    AuditPage, AuditSpan, Change, Enrolment, EnrolmentOutcome, HostRecord, NewEnrolmentToken,
    NewHost, SessionRecord, Store, StoreError, StoreFuture,
};
use super::{SqliteStore, Transaction, audit};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{ConsoleSessionId, HostId};
use crate::platform::sessions::CloseReason;
use crate::secret::SecretHash;

/// Expired tokens are kept this long, so that an agent that comes late is told so.
const TOKENS_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Store for SqliteStore {
    fn check(&self) -> StoreFuture<'_, ()> {
        Box::pin(async {
            // An empty transaction goes the writer's whole way but for the sync.
            self.write(|_| Ok(())).await?;
            self.read(|connection| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?))
                .await
        })
    }

    fn create_host(&self, host: NewHost, change: Change) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            if host_by_name(connection, &host.name)?.is_some() {
                return Err(StoreError::NameTaken);
            }
            insert_host(connection, host.id, &host.name, host.auth_token, host.at)?;
            connection.record(change)
        }))
    }

    fn hosts(&self) -> StoreFuture<'_, Vec<HostRecord>> {
        Box::pin(self.read(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT id, name, created, last_seen, credential_used FROM hosts ORDER BY name",
            )?;
            let hosts = query.query_map([], host_record)?;
            Ok(hosts.collect::<Result<_, _>>()?)
        }))
    }

    fn host(&self, name_or_id: &str) -> StoreFuture<'_, Option<HostRecord>> {
        let name_or_id = name_or_id.to_owned();
        Box::pin(self.read(move |connection| {
            if let Ok(id) = name_or_id.parse::<HostId>()
                && let Some(host) = host_by_id(connection, id)?
            {
                return Ok(Some(host));
            }
            host_by_name(connection, &name_or_id)
        }))
    }

    fn host_by_token(&self, auth_token: SecretHash) -> StoreFuture<'_, Option<HostRecord>> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT id, name, created, last_seen, credential_used FROM hosts
                 WHERE auth_token = ?1",
            )?;
            Ok(query.query_row([auth_token], host_record).optional()?)
        }))
    }

    fn credential_used(&self, auth_token: SecretHash) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let changed = connection
                .prepare_cached("UPDATE hosts SET credential_used = 1 WHERE auth_token = ?1")?
                .execute([auth_token])?;
            if changed == 0 {
                return Err(StoreError::NotFound);
            }
            Ok(())
        }))
    }

    fn hosts_seen(&self, seen: Vec<(HostId, UnixMillis)>) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let mut update =
                connection.prepare_cached("UPDATE hosts SET last_seen = ?2 WHERE id = ?1")?;
            for (id, at) in seen {
                update.execute((id, at))?;
            }
            Ok(())
        }))
    }

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
                    "INSERT INTO enrolment_tokens (secret, name, created, expires)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute((token.secret, token.name, token.at, token.expires))?;
            connection.record(change)
        }))
    }

    fn enrol(&self, enrolment: Enrolment) -> StoreFuture<'_, EnrolmentOutcome> {
        Box::pin(self.write(move |connection| enrol(connection, &enrolment)))
    }

    fn create_session(&self, session: SessionRecord, change: Change) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO sessions (id, host, user, label, created, expires, cookie)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    session.id,
                    session.host,
                    session.user,
                    session.label,
                    session.created,
                    session.expires,
                    session.cookie,
                ])?;
            connection.record(change)
        }))
    }

    fn session_entered(
        &self,
        id: ConsoleSessionId,
        cookie: SecretHash,
        audit: Entry,
    ) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let changed = connection
                .prepare_cached("UPDATE sessions SET cookie = ?2 WHERE id = ?1 AND ended IS NULL")?
                .execute((id, cookie))?;
            if changed == 0 {
                return Err(StoreError::NotFound);
            }
            connection.audit(audit)
        }))
    }

    fn session_ended(&self, id: ConsoleSessionId, audit: Entry) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let changed = connection
                .prepare_cached("UPDATE sessions SET ended = ?2 WHERE id = ?1 AND ended IS NULL")?
                .execute((id, audit.at))?;
            if changed == 0 {
                return Err(StoreError::NotFound);
            }
            connection.audit(audit)
        }))
    }

    fn open_sessions(&self) -> StoreFuture<'_, Vec<SessionRecord>> {
        Box::pin(self.read(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT id, host, user, label, created, expires, cookie FROM sessions
                 WHERE ended IS NULL ORDER BY created",
            )?;
            let sessions = query.query_map([], |row| {
                Ok(SessionRecord {
                    id: row.get(0)?,
                    host: row.get(1)?,
                    user: row.get(2)?,
                    label: row.get(3)?,
                    created: row.get(4)?,
                    expires: row.get(5)?,
                    cookie: row.get(6)?,
                })
            })?;
            Ok(sessions.collect::<Result<_, _>>()?)
        }))
    }

    fn audit(&self, entry: Entry) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| connection.audit(entry)))
    }

    fn audit_span(&self, after: u64) -> StoreFuture<'_, AuditSpan> {
        let head = self.head();
        Box::pin(self.read(move |connection| audit::span(connection, after, head)))
    }

    fn audit_after(&self, after: u64, count: usize) -> StoreFuture<'_, AuditPage> {
        Box::pin(self.read(move |connection| audit::page(connection, after, count)))
    }

    fn audit_remove(
        &self,
        before: UnixMillis,
        count: usize,
        now: UnixMillis,
    ) -> StoreFuture<'_, usize> {
        Box::pin(self.write(move |connection| connection.audit_remove(before, count, now)))
    }
}

fn enrol(
    connection: &Transaction<'_>,
    enrolment: &Enrolment,
) -> Result<EnrolmentOutcome, StoreError> {
    struct Token {
        name: Option<String>,
        expires: UnixMillis,
        used_key: Option<SecretHash>,
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
        // Used. Only the agent that used it, and only while its credential never arrived, gets another.
        return match host_by_id(connection, id)? {
            Some(host)
                if token.used_key == Some(enrolment.key) && !host.credential_used && !expired =>
            {
                give_credential(
                    connection,
                    host,
                    enrolment,
                    "enrolled again after a lost answer",
                )
            }
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
            insert_host(connection, id, name, enrolment.auth_token, enrolment.at)?;
            audit_enrolment(connection, id, enrolment.at, name, "enrolled")?;
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
            .execute((enrolment.secret, enrolment.at, enrolment.key, id))?;
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
        .prepare_cached("UPDATE hosts SET auth_token = ?2, credential_used = 0 WHERE id = ?1")?
        .execute((host.id, enrolment.auth_token))?;
    end_sessions(connection, &host, enrolment.at)?;
    audit_enrolment(connection, host.id, enrolment.at, &host.name, how)?;
    Ok(EnrolmentOutcome::Enrolled {
        id: host.id,
        name: host.name,
    })
}

/// Ends the sessions to what the host was: another machine may answer under its id now. With the
/// credential, so that a platform that is killed right then does not open them again.
fn end_sessions(
    connection: &Transaction<'_>,
    host: &HostRecord,
    at: UnixMillis,
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
            .detail("reason", CloseReason::HostReenrolled.code());
        connection.audit(entry)?;
    }
    Ok(())
}

fn audit_enrolment(
    connection: &Transaction<'_>,
    id: HostId,
    at: UnixMillis,
    name: &str,
    how: &str,
) -> Result<(), StoreError> {
    let host = format!("host:{id}");
    let entry = Entry::new(at, host.clone(), "host.enrol", host).host(id);
    connection.audit(entry.detail("name", name).detail("how", how))
}

fn insert_host(
    connection: &Connection,
    id: HostId,
    name: &str,
    auth_token: SecretHash,
    at: UnixMillis,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO hosts (id, name, auth_token, created) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((id, name, auth_token, at))?;
    Ok(())
}

fn host_by_id(connection: &Connection, id: HostId) -> Result<Option<HostRecord>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT id, name, created, last_seen, credential_used FROM hosts WHERE id = ?1",
    )?;
    Ok(query.query_row([id], host_record).optional()?)
}

fn host_by_name(connection: &Connection, name: &str) -> Result<Option<HostRecord>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT id, name, created, last_seen, credential_used FROM hosts WHERE name = ?1",
    )?;
    Ok(query.query_row([name], host_record).optional()?)
}

pub(super) fn host_record(row: &Row<'_>) -> rusqlite::Result<HostRecord> {
    Ok(HostRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        created: row.get(2)?,
        last_seen: row.get(3)?,
        credential_used: row.get(4)?,
    })
}
