//! Copies of the database while it is written to, and how one that was put back is known: a copy is marked
//! as such, and loses the mark, and begins an epoch of its own, when it is first opened.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::super::{Copies, StoreError, StoreFuture};
use super::SqliteStore;
use super::journals::Epoch;

/// The mark of a copy, in the database's header (`PRAGMA application_id`): "FLWB".
const COPY: i32 = 0x464c_5742;
/// How long the copy waits for whoever has the database to itself: a start at the most.
const BUSY: Duration = Duration::from_secs(30);

impl Copies for SqliteStore {
    fn copy_into(&self, directory: PathBuf) -> StoreFuture<'_, ()> {
        let from = self.path.clone();
        Box::pin(async move {
            let to = directory.join(from.file_name().unwrap_or_default());
            let copied = tokio::task::spawn_blocking(move || copy(&from, &to)).await;
            copied.unwrap_or(Err(StoreError::Stopped))
        })
    }

    fn owns(&self, file: &OsStr) -> bool {
        // Its log and that log's index are called as the database is, with something after it.
        let name = self.path.file_name().unwrap_or_default();
        file.as_encoded_bytes().starts_with(name.as_encoded_bytes())
    }
}

/// Copies the database as it is committed at this moment. Writers are not held up; what they write meanwhile
/// is not carried over into the database's file before the copy is done, and stays in its log.
fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let failed = |error: &dyn std::fmt::Display| StoreError::Failed(error.to_string());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags)?;
    source.busy_timeout(BUSY)?;
    let name = to.to_str().ok_or_else(|| failed(&"its path is no text"))?;
    source.execute("VACUUM INTO ?1", [name])?;
    let copy = Connection::open(to)?;
    copy.pragma_update(None, "application_id", COPY)?;
    copy.close().map_err(|(_, error)| error)?;
    File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(|error| failed(&error))
}

/// Where the database is a copy that nobody has opened yet, begins another epoch.
pub(super) fn settle_copy(connection: &mut Connection) -> Result<(), StoreError> {
    let mark: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if mark == COPY {
        let transaction = connection.transaction()?;
        Epoch::begin(&transaction)?;
        transaction.pragma_update(None, "application_id", 0)?;
        transaction.commit()?;
    }
    Ok(())
}
