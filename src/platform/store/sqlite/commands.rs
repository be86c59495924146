//! Commands in SQLite.

use rusqlite::{OptionalExtension as _, Row, params};

use super::super::commands::{CommandFilter, CommandRecord, CommandStore};
use super::super::{Change, StoreError, StoreFuture};
use super::SqliteStore;
use crate::clock::UnixMillis;
use crate::ids::CommandId;

const COLUMNS: &str =
    "id, host, sequence, kind, parameters, timeout_seconds, user, created, expires";

impl CommandStore for SqliteStore {
    fn create_command(&self, command: CommandRecord, change: Change) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let made = connection
                .prepare_cached(
                    "INSERT INTO commands (id, host, sequence, kind, parameters, timeout_seconds,
                        user, created, expires)
                     SELECT ?1, id, 1 + coalesce(
                        (SELECT max(sequence) FROM commands WHERE host = ?2), 0),
                        ?3, ?4, ?5, ?6, ?7, ?8
                     FROM hosts WHERE id = ?2",
                )?
                .execute(params![
                    command.id,
                    command.host,
                    command.kind,
                    command.parameters,
                    command.timeout_seconds,
                    command.user,
                    command.created,
                    command.expires,
                ])?;
            if made == 0 {
                return Err(StoreError::NotFound);
            }
            connection.record(change)
        }))
    }

    fn command(&self, id: CommandId) -> StoreFuture<'_, Option<CommandRecord>> {
        Box::pin(self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM commands WHERE id = ?1");
            let mut query = connection.prepare_cached(&sql)?;
            Ok(query.query_row([id], record).optional()?)
        }))
    }

    fn commands(
        &self,
        filter: CommandFilter,
        before: Option<(UnixMillis, CommandId)>,
        count: usize,
    ) -> StoreFuture<'_, Vec<CommandRecord>> {
        Box::pin(self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM commands
                 WHERE (?1 IS NULL OR host IN (SELECT value FROM json_each(?1)))
                   AND (?2 IS NULL OR (created, id) < (?2, ?3))
                 ORDER BY created DESC, id DESC LIMIT ?4"
            );
            let hosts = filter.hosts.map(|hosts| {
                let ids: Vec<_> = hosts.iter().map(ToString::to_string).collect();
                serde_json::Value::from(ids).to_string()
            });
            let (created, id) = before.unzip();
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            let mut query = connection.prepare_cached(&sql)?;
            let found = query.query_map(params![hosts, created, id, count], record)?;
            Ok(found.collect::<Result<_, _>>()?)
        }))
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<CommandRecord> {
    Ok(CommandRecord {
        id: row.get(0)?,
        host: row.get(1)?,
        sequence: row.get::<_, i64>(2)?.max(0) as u64,
        kind: row.get(3)?,
        parameters: row.get(4)?,
        timeout_seconds: row.get(5)?,
        user: row.get(6)?,
        created: row.get(7)?,
        expires: row.get(8)?,
    })
}
