//! Backups on the platform's disk: a folder each, in `backups` of the data directory, with a copy of the
//! database and of the files beside it. A folder has its name only once it is whole and synced; until then
//! the name ends in `.partial`. A platform that is started on a copy of it goes on from there, and its
//! store knows that it was put back (`store::Copies`).

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::UnixMillis;
use crate::files::{self, FileError};
use crate::platform::store::{Store, StoreError};

/// The folder of backups, and what of the data directory is not copied.
const FOLDER: &str = "backups";
const LOCK: &str = "lock";
const PARTIAL: &str = ".partial";
/// Backups that are listed: more are nobody's to read.
const LISTED_MAX: usize = 1000;

/// A backup on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its name: the instant of its beginning.
    pub name: String,
    /// Whether it is whole.
    pub done: bool,
    /// How many bytes its files have.
    pub size: u64,
    /// Where it is.
    pub path: PathBuf,
    /// When it was begun.
    pub created: Option<UnixMillis>,
}

/// A backup was not made, or not deleted.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database could not be copied.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is not in files of the data directory.
    #[error("the database is on a server of its own, and is backed up there")]
    Elsewhere,
}

/// Makes a backup of a data directory whose database is `store`.
///
/// # Errors
/// When a file cannot be read or written: nothing is left of the backup then.
pub async fn make(
    data_dir: &Path,
    store: &Arc<dyn Store>,
    at: UnixMillis,
) -> Result<Backup, BackupError> {
    let copies = store.copies().ok_or(BackupError::Elsewhere)?;
    let folder = data_dir.join(FOLDER);
    let name = name_of(at);
    let (partial, whole) = (folder.join(format!("{name}{PARTIAL}")), folder.join(&name));
    let made = async {
        files::private_dir(&folder)?;
        fs::create_dir(&partial).map_err(FileError::on("make the directory", &partial))?;
        files::private_dir(&partial)?;
        copies.copy_into(partial.clone()).await?;
        copy_beside(data_dir, &partial, |name| copies.owns(name))?;
        sync(&partial)?;
        fs::rename(&partial, &whole).map_err(FileError::on("name", &whole))?;
        sync(&folder)?;
        Ok(look_at(&whole))
    };
    let made = made.await;
    if made.is_err() {
        // A disk that is full has no room for half a backup.
        let _ = fs::remove_dir_all(&partial);
    }
    made
}

/// One that is being made since then.
pub fn begun_at(data_dir: &Path, at: UnixMillis) -> Backup {
    look_at(
        &data_dir
            .join(FOLDER)
            .join(format!("{}{PARTIAL}", name_of(at))),
    )
}

/// The backups that are there, the newest first.
///
/// # Errors
/// When their folder cannot be read.
pub fn list(data_dir: &Path) -> Result<Vec<Backup>, BackupError> {
    let folder = data_dir.join(FOLDER);
    let failed = |error| FileError::on("read", &folder)(error);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut backups = Vec::new();
    for entry in entries {
        let backup = look_at(&entry.map_err(failed)?.path());
        if backup.created.is_some() {
            backups.push(backup);
        }
    }
    backups.sort_by(|a, b| b.name.cmp(&a.name));
    backups.truncate(LISTED_MAX);
    Ok(backups)
}

/// Deletes the backup of that name. False where there is none.
///
/// # Errors
/// When it cannot be deleted, or not all of it.
pub fn delete(data_dir: &Path, name: &str) -> Result<bool, BackupError> {
    let backup = list(data_dir)?.into_iter().find(|found| found.name == name);
    let Some(backup) = backup else {
        return Ok(false);
    };
    fs::remove_dir_all(&backup.path).map_err(FileError::on("delete", &backup.path))?;
    Ok(true)
}

/// The files beside the database: keys, certificates, the administrator's token. There are a dozen of them,
/// none of more than some KiB.
fn copy_beside(
    data_dir: &Path,
    to: &Path,
    is_database: impl Fn(&OsStr) -> bool,
) -> Result<(), FileError> {
    let failed = FileError::on("read", data_dir);
    let entries: Vec<_> = match fs::read_dir(data_dir).and_then(Iterator::collect) {
        Ok(entries) => entries,
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let (from, name) = (entry.path(), entry.file_name());
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && !is_database(&name) && name != LOCK {
            let copy = to.join(name);
            // With its mode: a key stays as private as it is.
            fs::copy(&from, &copy).map_err(FileError::on("copy", &from))?;
            sync(&copy)?;
        }
    }
    Ok(())
}

fn sync(path: &Path) -> Result<(), FileError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(FileError::on("sync", path))
}

fn look_at(path: &Path) -> Backup {
    let folder = path.file_name().unwrap_or_default().to_string_lossy();
    let name = folder.strip_suffix(PARTIAL);
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| Some(entry.metadata().ok()?.len()));
    let whole = name.unwrap_or(&folder);
    Backup {
        done: name.is_none(),
        created: begun(whole),
        size: sizes.sum(),
        path: path.to_owned(),
        name: whole.to_owned(),
    }
}

/// The instant as a name: RFC 3339 without colons, which some file systems refuse, with its milliseconds.
fn name_of(at: UnixMillis) -> String {
    let seconds = at.to_string().replace(':', "-");
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), at.0 % 1000)
}

/// When a backup of this name was begun; `None` where it is the name of none.
fn begun(name: &str) -> Option<UnixMillis> {
    let (date, time) = name.split_once('T')?;
    let text = format!("{date}T{}", time.replace('-', ":"));
    let at: prost_types::Timestamp = text.parse().ok()?;
    let (seconds, nanos) = (
        u64::try_from(at.seconds).ok()?,
        u64::try_from(at.nanos).ok()?,
    );
    let at = UnixMillis(seconds.checked_mul(1000)? + nanos / 1_000_000);
    (name_of(at) == name).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_when_and_nothing_else_is_one() {
        let at = UnixMillis(1_776_265_200_007);
        let name = name_of(at);
        assert_eq!(name, "2026-04-15T15-00-00.007Z");
        assert_eq!(begun(&name), Some(at));
        for other in [
            "",
            "..",
            "2026-04-15",
            "2026-04-15T15-00-00Z",
            "2026-04-15T15:00:00.007Z",
        ] {
            assert_eq!(begun(other), None, "{other}");
        }
    }
}
