//! What the journal asks of a file system, few enough calls that a test can record them and cut the power
//! after any; and the real one, a directory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use crate::files::MODE_SECRET;

/// A directory in which the journal has its files.
pub trait Storage: Send + 'static {
    /// A file of it.
    type File: StorageFile;

    /// Opens a file; `None` where there is none.
    fn open(&self, name: &str) -> io::Result<Option<Self::File>>;
    /// Makes an empty file, in the place of one that is there.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// Gives a file another name, in the place of one that has it. It holds once the directory is synced.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Lets the names of files survive a loss of power.
    fn sync_directory(&self) -> io::Result<()>;
}

/// An open file.
pub trait StorageFile: Send {
    /// How many bytes it has.
    fn length(&self) -> io::Result<u64>;
    /// Reads exactly as many bytes as fit.
    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
    /// Writes all of these. After an error any part of them may have been.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Lets what was written survive a loss of power.
    fn sync(&self) -> io::Result<()>;
    /// Cuts it to this length.
    fn truncate(&self, length: u64) -> io::Result<()>;
}

/// A directory of the file system.
#[derive(Clone, Debug)]
pub struct Directory(pub PathBuf);

impl Storage for Directory {
    type File = File;

    fn open(&self, name: &str) -> io::Result<Option<File>> {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.0.join(name));
        match opened {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let path = self.0.join(name);
        // A leftover may have another mode, or be a link: it goes first.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(MODE_SECRET)
            .open(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

impl StorageFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(into, offset)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}
