//! Files that must be whole or absent: written beside their place, synced, renamed into it.
//! Whoever calls decides what they hold and when they are written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Mode of files with a secret in them: only their owner reads them.
pub const MODE_SECRET: u32 = 0o600;
/// Mode of files that anyone on the machine may read.
pub const MODE_PUBLIC: u32 = 0o644;

/// A file or directory could not be used; the path and what was tried are in the text.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub struct FileError {
    /// What was tried, as a verb.
    pub what: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// What the system answered.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// An error of one operation on one path, made for `map_err`.
    pub fn on(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            what,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether the path was not there.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// Makes a directory (and those above it) that only its owner may enter. One that exists is narrowed.
///
/// # Errors
/// When it cannot be made or narrowed, or is something else than a directory.
pub fn private_dir(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(FileError::on("make the directory", path))?;
    let mode = fs::metadata(path)
        .map_err(FileError::on("look at", path))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(FileError::on("make private", path))?;
    }
    Ok(())
}

/// Writes a file so that a crash leaves the old content or the new, never a part.
///
/// # Errors
/// When any step fails; the old content then still stands.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = dir.join(name);
    let written = (|| {
        // A leftover of a crash may have another mode or be a link: it goes first.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(dir)?.sync_all()
    })();
    written.map_err(FileError::on("write", path))
}

/// Reads a text file of at most `bytes_max` bytes.
///
/// # Errors
/// When it is missing, unreadable, larger, or not UTF-8.
pub fn read_text(path: &Path, bytes_max: usize) -> Result<String, FileError> {
    let read = (|| {
        let mut text = String::new();
        File::open(path)?
            .take(bytes_max as u64 + 1)
            .read_to_string(&mut text)?;
        if text.len() > bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it is larger than {bytes_max} bytes"),
            ));
        }
        Ok(text)
    })();
    read.map_err(FileError::on("read", path))
}

/// A lock file that is held. It is free once this is dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would not do: a child that another thread is starting has the file too, from its
        // fork to its exec, and as long as anybody has it the lock is held.
        if let Err(error) = self.0.unlock() {
            // It ends with the file then.
            tracing::debug!(%error, "a lock file could not be unlocked");
        }
    }
}

/// Takes the lock file of a directory for as long as what is returned lives, or returns `None`
/// when another process holds it.
///
/// # Errors
/// When the lock file cannot be made.
pub fn lock(path: &Path) -> Result<Option<Lock>, FileError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE_SECRET)
        .open(path)
        .map_err(FileError::on("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock(file))),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(source)) => Err(FileError::on("lock", path)(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_whole_private_and_replaced() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let inner = dir.path().join("a/b");
        private_dir(&inner).expect("made");
        let path = inner.join("token");
        fs::write(inner.join("token.tmp"), "left by a crash").expect("written");
        for content in ["first", "second"] {
            write_atomic(&path, content.as_bytes(), MODE_SECRET).expect("written");
            assert_eq!(read_text(&path, 100).expect("read"), content);
        }
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&inner), mode(&path)), (0o700, 0o600));
        assert!(!inner.join("token.tmp").exists());
        assert!(read_text(&path, 5).is_err());
        assert!(
            read_text(&inner.join("none"), 5)
                .expect_err("missing")
                .is_missing()
        );
    }

    #[test]
    fn a_lock_is_held_by_one() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("lock");
        let held = lock(&path).expect("usable");
        assert!(held.is_some());
        assert!(lock(&path).expect("usable").is_none());
        drop(held);
        assert!(lock(&path).expect("usable").is_some());
    }

    #[test]
    fn a_lock_is_free_though_a_child_still_has_the_file() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("lock");
        let held = lock(&path).expect("usable").expect("free");
        // As a fork has it, which has not come to its exec.
        let childs = held.0.try_clone().expect("duplicated");
        drop(held);
        assert!(lock(&path).expect("usable").is_some());
        drop(childs);
    }
}
