//! The store's operations as SQL. Instants are milliseconds, ids are text, hashes are blobs.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::{
    AuditPage, AuditSpan, Change, Copies, HostRecord, NewHost, SessionRecord, Store, StoreError,
    StoreFuture,
};
use super::{SqliteStore, audit};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{ConsoleSessionId, HostId};
use crate::secret::SecretHash;

impl Store for SqliteStore {
    fn check(&self) -> StoreFuture<'_, ()> {
        Box::pin(async {
            // An empty transaction goes the writer's whole way but for the sync.
            self.write(|_| Ok(())).await?;
            self.read(|connection| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?))
                .await
        })
    }

    fn copies(&self) -> Option<&dyn Copies> {
        Some(self)
    }

    fn create_host(&self, host: NewHost, change: Change) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            if host_by_name(connection, &host.name)?.is_some() {
                return Err(StoreError::NameTaken);
            }
            connection
                .prepare_cached(
                    "INSERT INTO hosts (id, name, auth_token, created) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute((host.id, host.name, host.auth_token, host.at))?;
            connection.record(change)
        }))
    }

    fn hosts(&self) -> StoreFuture<'_, Vec<HostRecord>> {
        Box::pin(self.read(|connection| {
            let mut query = connection.prepare_cached(&format!("{HOSTS} ORDER BY name"))?;
            let hosts = query.query_map([], host_record)?;
            Ok(hosts.collect::<Result<_, _>>()?)
        }))
    }

    fn host(&self, name_or_id: &str) -> StoreFuture<'_, Option<HostRecord>> {
        if let Some(record) = self.recent.record(name_or_id) {
            return Box::pin(std::future::ready(Ok(Some(record))));
        }
        let name_or_id = name_or_id.to_owned();
        let (recent, as_of) = (self.recent.clone(), self.recent.commits());
        Box::pin(self.read(move |connection| {
            let by_id = match name_or_id.parse::<HostId>() {
                Ok(id) => host_by_id(connection, id)?,
                Err(_) => None,
            };
            let found = match by_id {
                Some(host) => Some(host),
                None => host_by_name(connection, &name_or_id)?,
            };
            if let Some(record) = &found {
                recent.keep_record(as_of, name_or_id, record.clone());
            }
            Ok(found)
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

/// Every host's columns, in the order of [`host_record`].
pub(super) const HOSTS: &str = "SELECT id, name, created, last_seen, credential_used, key, \
                                certificate_until, revoked FROM hosts";

pub(super) fn host_by_id(
    connection: &Connection,
    id: HostId,
) -> Result<Option<HostRecord>, StoreError> {
    let mut query = connection.prepare_cached(&format!("{HOSTS} WHERE id = ?1"))?;
    Ok(query.query_row([id], host_record).optional()?)
}

pub(super) fn host_by_name(
    connection: &Connection,
    name: &str,
) -> Result<Option<HostRecord>, StoreError> {
    let mut query = connection.prepare_cached(&format!("{HOSTS} WHERE name = ?1"))?;
    Ok(query.query_row([name], host_record).optional()?)
}

pub(super) fn host_record(row: &Row<'_>) -> rusqlite::Result<HostRecord> {
    Ok(HostRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        created: row.get(2)?,
        last_seen: row.get(3)?,
        credential_used: row.get(4)?,
        key: row.get(5)?,
        certificate_until: row.get(6)?,
        revoked: row.get(7)?,
    })
}
