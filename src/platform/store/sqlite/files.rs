//! What is known of files, as SQL.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::files::{FileFilter, FilePlace, FileRecord, FileStore};
use super::super::{Change, StoreError, StoreFuture};
use super::SqliteStore;
use super::groups::json_array;
use super::values::signed;
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{CommandId, FileId, HostId};

/// The tables.
pub(super) const SCHEMA: &str = "
    CREATE TABLE files (
        id       TEXT PRIMARY KEY,
        name     TEXT NOT NULL,
        size     INTEGER NOT NULL,
        sha256   BLOB,
        complete INTEGER NOT NULL,
        user     TEXT NOT NULL,
        command  TEXT,
        host     TEXT,
        created  INTEGER NOT NULL,
        expires  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX files_newest ON files (created, id);
    CREATE INDEX files_expire ON files (expires);
    CREATE INDEX files_by_hash ON files (sha256) WHERE complete = 1;
    CREATE UNIQUE INDEX files_from ON files (command, host) WHERE command IS NOT NULL;

    CREATE TABLE file_uses (
        file    TEXT NOT NULL REFERENCES files (id) ON DELETE CASCADE,
        command TEXT NOT NULL,
        at      INTEGER NOT NULL,
        PRIMARY KEY (file, command)
    ) STRICT, WITHOUT ROWID;
";

const FILE: &str =
    "SELECT id, name, size, sha256, complete, user, command, host, created, expires FROM files";
/// Whether a command needs the file of the row; `?1` is now. One that was announced and not made within an
/// hour never will be.
const NEEDED: &str = "EXISTS (SELECT 1 FROM file_uses u LEFT JOIN commands c ON c.id = u.command
    WHERE u.file = files.id AND (c.number IS NOT NULL AND c.finished IS NULL
        OR c.number IS NULL AND u.at > ?1 - 3600000))
    OR complete = 0 AND command IS NOT NULL
        AND EXISTS (SELECT 1 FROM commands c WHERE c.id = files.command AND c.finished IS NULL)";

impl FileStore for SqliteStore {
    fn create_file(&self, file: FileRecord, bytes_max: u64, change: Change) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            if bytes(connection)?.saturating_add(file.size) > bytes_max {
                return Err(StoreError::Full);
            }
            let (command, host) = file.from.unzip();
            connection
                .prepare_cached(
                    "INSERT INTO files (id, name, size, sha256, complete, user, command, host,
                        created, expires)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    file.id,
                    file.name,
                    signed(file.size),
                    file.sha256,
                    file.complete,
                    file.user,
                    command,
                    host,
                    file.created,
                    file.expires
                ])?;
            connection.record(change)
        }))
    }

    fn file(&self, id: FileId) -> StoreFuture<'_, Option<FileRecord>> {
        Box::pin(self.read(move |connection| one(connection, "id = ?1", [id])))
    }

    fn file_by_hash(&self, size: u64, sha256: [u8; 32]) -> StoreFuture<'_, Option<FileRecord>> {
        Box::pin(self.read(move |connection| {
            let place = "sha256 = ?1 AND size = ?2 AND complete = 1 LIMIT 1";
            one(connection, place, (sha256, signed(size)))
        }))
    }

    fn file_from(&self, command: CommandId, host: HostId) -> StoreFuture<'_, Option<FileRecord>> {
        Box::pin(
            self.read(move |connection| {
                one(connection, "command = ?1 AND host = ?2", (command, host))
            }),
        )
    }

    fn files(
        &self,
        filter: FileFilter,
        after: Option<FilePlace>,
        count: usize,
    ) -> StoreFuture<'_, Vec<FileRecord>> {
        Box::pin(self.read(move |connection| {
            let sql = format!(
                "{FILE} WHERE (?1 IS NULL OR user = ?1 OR host IN (SELECT value FROM json_each(?2)))
                 AND (?3 IS NULL OR command = ?3)
                 AND (?4 IS NULL OR (created, id) < (?4, ?5))
                 ORDER BY created DESC, id DESC LIMIT ?6"
            );
            let (user, hosts) = filter.seen_by.unzip();
            let hosts = hosts.map(|hosts| json_array(hosts.iter().map(HostId::to_string)));
            let (created, id) = after.map(|place| (place.created, place.id)).unzip();
            let mut query = connection.prepare_cached(&sql)?;
            let values = params![
                user,
                hosts,
                filter.command,
                created,
                id,
                signed(count as u64)
            ];
            let files = query.query_map(values, record)?;
            Ok(files.collect::<Result<_, _>>()?)
        }))
    }

    fn complete_file(
        &self,
        id: FileId,
        sha256: [u8; 32],
        expires: UnixMillis,
        audit: Entry,
    ) -> StoreFuture<'_, FileRecord> {
        Box::pin(self.write(move |connection| {
            let changed = connection
                .prepare_cached(
                    "UPDATE files SET sha256 = ?2, complete = 1, expires = ?3
                     WHERE id = ?1 AND complete = 0",
                )?
                .execute((id, sha256, expires))?;
            if changed > 0 {
                connection.audit(audit)?;
            }
            one(connection, "id = ?1", [id])?.ok_or(StoreError::NotFound)
        }))
    }

    fn use_file(&self, id: FileId, command: CommandId, at: UnixMillis) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            one(connection, "id = ?1", [id])?.ok_or(StoreError::NotFound)?;
            connection
                .prepare_cached(
                    "INSERT INTO file_uses (file, command, at) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET at = ?3",
                )?
                .execute((id, command, at))?;
            Ok(())
        }))
    }

    fn delete_file(&self, id: FileId, now: UnixMillis, audit: Entry) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let sql = format!("SELECT {NEEDED} FROM files WHERE id = ?2");
            let needed = connection
                .prepare_cached(&sql)?
                .query_row((now, id), |row| row.get::<_, bool>(0))
                .optional()?;
            if needed.ok_or(StoreError::NotFound)? {
                return Err(StoreError::Taken);
            }
            connection
                .prepare_cached("DELETE FROM files WHERE id = ?1")?
                .execute([id])?;
            connection.audit(audit)
        }))
    }

    fn expire_files(&self, now: UnixMillis, count: usize) -> StoreFuture<'_, Vec<FileId>> {
        Box::pin(self.write(move |connection| {
            let sql = format!(
                "DELETE FROM files WHERE id IN (SELECT id FROM files WHERE expires <= ?1
                     AND NOT ({NEEDED}) ORDER BY expires LIMIT ?2) RETURNING id"
            );
            let mut query = connection.prepare_cached(&sql)?;
            let removed = query.query_map((now, signed(count as u64)), |row| row.get(0))?;
            Ok(removed.collect::<Result<_, _>>()?)
        }))
    }

    fn files_bytes(&self) -> StoreFuture<'_, u64> {
        Box::pin(self.read(bytes))
    }
}

fn bytes(connection: &Connection) -> Result<u64, StoreError> {
    let mut query = connection.prepare_cached("SELECT coalesce(sum(size), 0) FROM files")?;
    let bytes: i64 = query.query_row([], |row| row.get(0))?;
    Ok(bytes.max(0) as u64)
}

fn one(
    connection: &Connection,
    place: &str,
    values: impl rusqlite::Params,
) -> Result<Option<FileRecord>, StoreError> {
    let mut query = connection.prepare_cached(&format!("{FILE} WHERE {place}"))?;
    Ok(query.query_row(values, record).optional()?)
}

fn record(row: &Row<'_>) -> rusqlite::Result<FileRecord> {
    let command: Option<CommandId> = row.get(6)?;
    Ok(FileRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        size: row.get::<_, i64>(2)?.max(0) as u64,
        sha256: row.get(3)?,
        complete: row.get(4)?,
        user: row.get(5)?,
        from: command.zip(row.get(7)?),
        created: row.get(8)?,
        expires: row.get(9)?,
    })
}
