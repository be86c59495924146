//! A file that comes piece by piece, beside the place that it is for, under a name that follows from what it
//! is to become: so whoever wants the same file at the same place takes up what an earlier one has left.
//! That it is the file that was wanted is known by its hash alone, of all of it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, fstatvfs, openat, statat, unlinkat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::receive::Wanted;
use crate::net::own_origin;

/// How much is read at once of what is there already.
const READ_BYTES: usize = 1 << 20;
/// How often a place is tried that somebody else changes meanwhile.
const TRIES_MAX: usize = 3;

/// A file that is not whole yet, and the hash of what there is of it.
#[derive(Debug)]
pub struct Partial {
    directory: Arc<OwnedFd>,
    name: String,
    file: File,
    wanted: Wanted,
    /// How many bytes are there.
    have: u64,
    /// How many of them are hashed.
    hashed: u64,
    hasher: Sha256,
}

/// The name of what is to become this file.
pub fn name_for(target: &str, wanted: &Wanted) -> String {
    let mut hasher = Sha256::new();
    hasher.update(wanted.sha256);
    hasher.update(wanted.size.to_be_bytes());
    hasher.update(target.as_bytes());
    let hash = own_origin::hash_text(&hasher.finalize().into());
    format!(".fleetwire-{}.part", &hash[..40])
}

/// Whether something is called as such a file is.
pub fn is_name(name: &str) -> bool {
    let hash = name.strip_prefix(".fleetwire-");
    let hash = hash.and_then(|rest| rest.strip_suffix(".part"));
    hash.is_some_and(|hash| hash.len() == 40 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl Partial {
    /// Opens what there is of it, or makes it; `None` where somebody else is at it. What has its name and
    /// cannot be one of the agent's own goes.
    ///
    /// # Errors
    /// As the file system has them; `StorageFull` where there is no room for the rest of it.
    pub fn open(directory: Arc<OwnedFd>, name: String, wanted: Wanted) -> io::Result<Option<Self>> {
        for _ in 0..TRIES_MAX {
            let Some(file) = open_own(&directory, &name)? else {
                continue;
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
                Err(std::fs::TryLockError::Error(error)) => return Err(error),
            }
            // Whoever had the lock may have given the file its place meanwhile.
            let there = statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW);
            let stat = fstat(&file)?;
            if !there.is_ok_and(|there| (there.st_dev, there.st_ino) == (stat.st_dev, stat.st_ino))
            {
                continue;
            }
            let mut have = u64::try_from(stat.st_size).unwrap_or(0);
            if have > wanted.size {
                file.set_len(0)?;
                have = 0;
            }
            let partial = Self {
                directory,
                name,
                file,
                wanted,
                have,
                hashed: 0,
                hasher: Sha256::new(),
            };
            partial.check_room()?;
            return Ok(Some(partial));
        }
        Err(io::Error::other("somebody else changes the folder"))
    }

    /// How many bytes are there.
    pub const fn have(&self) -> u64 {
        self.have
    }

    /// How many there are to be.
    pub const fn size(&self) -> u64 {
        self.wanted.size
    }

    /// Whether all bytes are there, whatever they are.
    pub const fn is_whole(&self) -> bool {
        self.have == self.wanted.size
    }

    /// Hashes some more of what an earlier command has left. False once all of it is hashed.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn hash_some(&mut self) -> io::Result<bool> {
        let left = self.have - self.hashed;
        if left == 0 {
            return Ok(false);
        }
        // The file's own place is at what is hashed until all is.
        let mut piece = Vec::with_capacity(READ_BYTES);
        let bytes_max = left.min(READ_BYTES as u64);
        (&self.file).take(bytes_max).read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.hasher.update(&piece);
        self.hashed += piece.len() as u64;
        Ok(true)
    }

    /// Writes what follows.
    ///
    /// # Errors
    /// Where it cannot be written: then it may have been in part.
    pub fn write(&mut self, pieces: &[bytes::Bytes]) -> io::Result<()> {
        for piece in pieces {
            self.file.write_all(piece)?;
            self.hasher.update(piece);
            self.have += piece.len() as u64;
            self.hashed = self.have;
        }
        Ok(())
    }

    /// Begins anew.
    ///
    /// # Errors
    /// As the file system has them.
    pub fn restart(&mut self) -> io::Result<()> {
        use std::io::Seek as _;

        self.file.set_len(0)?;
        self.file.rewind()?;
        (self.have, self.hashed) = (0, 0);
        self.hasher = Sha256::new();
        Ok(())
    }

    /// Whether it is the file that was wanted: then it is on the disk.
    ///
    /// # Errors
    /// Where it cannot be synced.
    pub fn settle(&mut self) -> io::Result<bool> {
        let hash: [u8; 32] = self.hasher.clone().finalize().into();
        if !self.is_whole() || hash != self.wanted.sha256 {
            return Ok(false);
        }
        self.file.sync_all()?;
        Ok(true)
    }

    /// The file itself.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Its folder.
    pub fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    /// Its name there.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Removes it.
    pub fn remove(self) {
        remove(&self.directory, &self.name);
    }

    fn check_room(&self) -> io::Result<()> {
        let system = fstatvfs(&self.file)?;
        let room = system.f_bavail.saturating_mul(system.f_frsize);
        if room < self.wanted.size - self.have {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

/// Removes a file that is called as such a one; that it is gone already is as good.
pub fn remove(directory: &OwnedFd, name: &str) {
    if is_name(name)
        && let Err(error) = unlinkat(directory, name, AtFlags::empty())
        && error != Errno::NOENT
    {
        tracing::warn!(%error, name, "a file that is not whole could not be removed");
    }
}

/// Opens a file of the agent's own or makes it; `None` where something else was in its place, which is gone.
fn open_own(directory: &OwnedFd, name: &str) -> io::Result<Option<File>> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mode = Mode::RUSR | Mode::WUSR;
    let opened = match openat(directory, name, flags, mode) {
        Err(Errno::NOENT) => {
            let made = openat(directory, name, flags | OFlags::CREATE | OFlags::EXCL, mode);
            return match made {
                Err(Errno::EXIST) => Ok(None),
                made => Ok(Some(File::from(made?))),
            };
        }
        Ok(file) => {
            let stat = fstat(&file)?;
            let own = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                && stat.st_uid == rustix::process::geteuid().as_raw()
                && stat.st_nlink == 1
                && stat.st_mode & 0o077 == 0;
            own.then_some(file)
        }
        // A link, or what cannot be written.
        Err(_) => None,
    };
    if let Some(file) = opened {
        return Ok(Some(File::from(file)));
    }
    unlinkat(directory, name, AtFlags::empty())?;
    Ok(None)
}
