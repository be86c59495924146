//! The bytes of the files that the platform keeps for commands: a file each in `files` of the data
//! directory, named by its id. What a file is, and until when it is kept, the store knows; nothing here
//! is answered before it is on the disk.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use crate::files::{self, FileError};
use crate::ids::FileId;

/// The folder of files.
const FOLDER: &str = "files";
/// How much is read at once to be hashed.
const READ_BYTES: usize = 1 << 20;

/// Where the bytes are. Clones are the same place.
#[derive(Clone, Debug)]
pub struct Blobs(Arc<PathBuf>);

impl Blobs {
    /// Those of a data directory, whose folder is made where it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(data_dir: &Path) -> Result<Self, FileError> {
        let folder = data_dir.join(FOLDER);
        files::private_dir(&folder)?;
        Ok(Self(Arc::new(folder)))
    }

    /// How many bytes there are of a file: none of one that nothing was written of.
    ///
    /// # Errors
    /// As the file system has them.
    pub async fn length(&self, id: FileId) -> io::Result<u64> {
        let path = self.path(id);
        blocking(move || match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            found => Ok(found?.len()),
        })
        .await
    }

    /// Writes bytes at that place of a file, which is made where it is not there, and syncs them. What
    /// was after them is cut off.
    ///
    /// # Errors
    /// As the file system has them: a full disk, above all.
    pub async fn write(&self, id: FileId, at: u64, pieces: Vec<Bytes>) -> io::Result<()> {
        let (path, folder) = (self.path(id), self.0.clone());
        blocking(move || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            let file = options.mode(files::MODE_SECRET).open(path)?;
            let written = (|| {
                let mut place = at;
                for piece in &pieces {
                    file.write_all_at(piece, place)?;
                    place += piece.len() as u64;
                }
                file.set_len(place)?;
                file.sync_all()
            })();
            if written.is_err() {
                // Room for whatever else there is to write.
                let _ = file.set_len(at);
            }
            written?;
            // With its first piece the file itself is new, though a try that failed may have made it.
            if at == 0 {
                File::open(&*folder)?.sync_all()?;
            }
            Ok(())
        })
        .await
    }

    /// At most `bytes_max` bytes of a file from that place on; none at its end.
    ///
    /// # Errors
    /// As the file system has them.
    pub async fn read(&self, id: FileId, at: u64, bytes_max: usize) -> io::Result<Bytes> {
        let path = self.path(id);
        blocking(move || {
            let mut bytes = vec![0; bytes_max];
            let count = File::open(path)?.read_at(&mut bytes, at)?;
            bytes.truncate(count);
            Ok(bytes.into())
        })
        .await
    }

    /// The SHA-256 of a file's first bytes, as far as it is read.
    ///
    /// # Errors
    /// As the file system has them.
    pub async fn hasher(&self, id: FileId, length: u64) -> io::Result<Sha256> {
        let path = self.path(id);
        blocking(move || {
            let mut hasher = Sha256::new();
            if length == 0 {
                return Ok(hasher);
            }
            let mut file = File::open(path)?.take(length);
            let mut piece = vec![0; READ_BYTES];
            loop {
                match file.read(&mut piece)? {
                    0 => return Ok(hasher),
                    count => hasher.update(&piece[..count]),
                }
            }
        })
        .await
    }

    /// Removes a file; that it is gone already is as good.
    ///
    /// # Errors
    /// As the file system has them.
    pub async fn remove(&self, id: FileId) -> io::Result<()> {
        let path = self.path(id);
        blocking(move || match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        })
        .await
    }

    /// Removes what is none of these, as a crash may have left it. Answers which of them are there.
    ///
    /// # Errors
    /// As the file system has them.
    pub async fn keep_only(&self, known: HashSet<FileId>) -> io::Result<HashSet<FileId>> {
        let folder = self.0.clone();
        blocking(move || {
            let mut there = HashSet::new();
            for entry in fs::read_dir(&*folder)? {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                let id = name.and_then(|name| name.parse::<FileId>().ok());
                match id.filter(|id| known.contains(id)) {
                    Some(id) => {
                        there.insert(id);
                    }
                    None => fs::remove_file(&path)?,
                }
            }
            Ok(there)
        })
        .await
    }

    fn path(&self, id: FileId) -> PathBuf {
        self.0.join(id.to_string())
    }
}

/// Leaves each file to one writer at a time, as what is there decides what may come next; different files do not
/// wait for each other. As many are remembered as are being written.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<FileId, Arc<AsyncMutex<()>>>>);

/// A turn at a file, until it is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    turns: &'a Turns,
    id: FileId,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for a turn at that file.
    pub async fn at(&self, id: FileId) -> Turn<'_> {
        let lock = self.lock().entry(id).or_default().clone();
        // Whoever leaves while they wait gives up their part in it as well.
        let mut turn = Turn {
            turns: self,
            id,
            held: None,
        };
        turn.held = Some(lock.lock_owned().await);
        turn
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FileId, Arc<AsyncMutex<()>>>> {
        // Nothing panics under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut known = self.turns.lock();
        self.held = None;
        // New ones are given out under this lock alone.
        if known
            .get(&self.id)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            known.remove(&self.id);
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn each_file_has_one_writer_and_no_file_waits_for_another() {
        let turns = Turns::default();
        let (one, two) = (FileId::random([1; 16]), FileId::random([2; 16]));
        let first = turns.at(one).await;
        let other = turns.at(two).now_or_never().expect("nobody is at it");
        let mut second = Box::pin(turns.at(one));
        assert!(second.as_mut().now_or_never().is_none(), "it is taken");
        // Somebody else waits, and leaves.
        assert!(turns.at(one).now_or_never().is_none());
        drop(first);
        let second = second.await;
        assert!(turns.at(one).now_or_never().is_none(), "it is taken again");
        drop((second, other));
        assert!(turns.lock().is_empty(), "nobody is remembered");
    }
}
