//! What is left of files that did not become whole: noted in the agent's state directory before there is
//! anything of them, so that what nobody comes back for can be removed, and no more than so many are kept.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::info;

use super::partial;
use crate::files;

/// How long something is kept for a command that takes it up.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How many are kept at most; past that the oldest go.
const KEPT_MAX: usize = 64;
/// The folder of notes.
const FOLDER: &str = "partial-files";
/// The longest path in a note.
const PATH_BYTES_MAX: usize = 8192;

/// The notes.
#[derive(Clone, Debug)]
pub struct Leftovers(PathBuf);

impl Leftovers {
    /// Those in a state directory.
    pub fn in_state(directory: &Path) -> Self {
        Self(directory.join(FOLDER))
    }

    /// Notes that a file of this name may come to be in this folder. Waits for the disk.
    ///
    /// # Errors
    /// Where it cannot be kept: then the file is not to be made.
    pub fn note(&self, folder: &Path, name: &str) -> io::Result<()> {
        let noted = files::private_dir(&self.0).and_then(|()| {
            let text = folder.as_os_str().as_encoded_bytes();
            files::write_atomic(&self.0.join(name), text, files::MODE_SECRET)
        });
        noted.map_err(|error| io::Error::new(error.source.kind(), error.to_string()))
    }

    /// There is nothing of it any more.
    pub fn forget(&self, name: &str) {
        // One that stays is a note of nothing, and goes with time.
        let _ = fs::remove_file(self.0.join(name));
    }

    /// Removes what was left too long ago, and the oldest where there is too much. `open` opens a folder as
    /// it was opened for the file. Waits for the disk.
    pub fn clean(&self, open: impl Fn(&Path) -> Option<std::os::fd::OwnedFd>) {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return;
        };
        let mut notes: Vec<(SystemTime, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        notes.sort();
        let now = SystemTime::now();
        let surplus = notes.len().saturating_sub(KEPT_MAX);
        for (index, (at, path)) in notes.iter().enumerate() {
            let old = now.duration_since(*at).is_ok_and(|age| age > KEPT);
            if index < surplus || old {
                remove(path, &open);
            }
        }
    }
}

fn remove(note: &Path, open: impl Fn(&Path) -> Option<std::os::fd::OwnedFd>) {
    let name = note.file_name().and_then(|name| name.to_str());
    let folder = files::read_text(note, PATH_BYTES_MAX);
    if let (Some(name), Ok(folder)) = (name, folder)
        && let Some(directory) = open(Path::new(&folder))
    {
        if is_in_use(&directory, name) {
            return;
        }
        partial::remove(&directory, name);
        info!(
            folder,
            "what was left of a file that did not become whole was removed"
        );
    }
    let _ = fs::remove_file(note);
}

/// Whether a command is writing it.
fn is_in_use(directory: &std::os::fd::OwnedFd, name: &str) -> bool {
    use rustix::fs::{Mode, OFlags, openat};

    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = openat(directory, name, flags, Mode::empty()) else {
        return false;
    };
    matches!(
        File::from(file).try_lock(),
        Err(fs::TryLockError::WouldBlock)
    )
}
