//! A file on its way from the platform: it goes on where it was, over as many streams as it takes, until it
//! is whole and its hash is the one that was asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, fsync, open, renameat};

use super::partial::{self, Partial};
use super::{Exchange, Streams, Transfers, blocking, fault, io_fault, percent, reset};
use crate::agent::executors::{Fault, Report, Reports};
use crate::net::own_origin::{self, CONTENT_LENGTH, CONTENT_RANGE};

/// How much is gathered before it is written.
const WRITTEN_BYTES: usize = 1 << 20;

/// Which file is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How many bytes it has.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

impl Transfers {
    /// Receives the file of a command into a folder of the agent's own, and returns where it is: whole,
    /// with this size and hash, on the disk, for its owner alone to read. What an earlier command has left
    /// of the same file is taken up.
    ///
    /// # Errors
    /// [`Fault`] where it does not come, is another, or cannot be kept.
    pub async fn receive(
        &self,
        id: &str,
        wanted: Wanted,
        folder: &Path,
        reports: &Reports,
    ) -> Result<PathBuf, Fault> {
        let mut streams = self.of(id)?;
        let opened = folder.to_owned();
        let directory = blocking(move || {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            open(&opened, flags, Mode::empty())
        });
        let directory = directory.await?;
        let directory = directory.map_err(|error| io_fault("open the folder", &error.into()))?;
        let name = own_origin::hash_text(&wanted.sha256);
        let partial = streams
            .receive(Arc::new(directory), &name, wanted, reports)
            .await?;
        let path = folder.join(&name);
        let placed = blocking(move || {
            let directory = partial.directory();
            renameat(directory, partial.name(), directory, &name)?;
            fsync(directory)
        });
        let placed = placed.await?;
        placed.map_err(|error| io_fault("name the file", &error.into()))?;
        Ok(path)
    }
}

impl Streams {
    /// Receives a file that is to be called `target` in this folder. What is returned is whole and on the
    /// disk, and still has another name.
    ///
    /// # Errors
    /// [`Fault`] where it does not come, is another, or cannot be written. It is left to be taken up unless
    /// that is of no use.
    pub async fn receive(
        &mut self,
        directory: Arc<std::os::fd::OwnedFd>,
        target: &str,
        wanted: Wanted,
        reports: &Reports,
    ) -> Result<Partial, Fault> {
        let name = partial::name_for(target, &wanted);
        let opened = blocking(move || Partial::open(directory, name, wanted)).await?;
        let partial = opened.map_err(|error| io_fault("write into the folder", &error))?;
        let Some(partial) = partial else {
            let detail = "another command is receiving the same file at the same place";
            return Err(fault("busy", detail.to_owned()));
        };
        let mut partial = hash_what_is_there(partial).await?;
        while !partial.is_whole() {
            let percent = percent(partial.have(), wanted.size);
            let exchange = self.next(reports, percent).await;
            match exchange.method() {
                "HEAD" => {
                    let have = partial.have().to_string();
                    exchange.answer(200, &[(CONTENT_LENGTH, &have)]);
                }
                "PUT" => partial = take(partial, exchange, reports).await?,
                "DELETE" => return Err(exchange.given_up().await),
                _ => exchange.answer(405, &[("allow", "HEAD, PUT, DELETE")]),
            }
        }
        settle(partial).await
    }
}

async fn hash_what_is_there(mut partial: Partial) -> Result<Partial, Fault> {
    loop {
        let (more, left) = blocking(move || (partial.hash_some(), partial)).await?;
        partial = left;
        match more {
            Ok(true) => {}
            Ok(false) => return Ok(partial),
            Err(error) => return Err(io_fault("read what is there of the file", &error)),
        }
    }
}

/// Takes what one stream brings. That it breaks off is no fault: another goes on.
async fn take(
    mut partial: Partial,
    mut exchange: Exchange,
    reports: &Reports,
) -> Result<Partial, Fault> {
    let range = exchange.field(CONTENT_RANGE).map(own_origin::rest_of);
    match range {
        None if partial.have() > 0 => {
            let (done, left) = blocking(move || (partial.restart(), partial)).await?;
            partial = left;
            done.map_err(|error| io_fault("begin the file anew", &error))?;
        }
        None => {}
        Some(Some(range)) if range == (partial.have(), partial.size()) => {}
        Some(_) => {
            // As it says how much is there, the next one can go on.
            let have = format!("bytes */{}", partial.have());
            exchange.answer(416, &[(CONTENT_RANGE, &have)]);
            return Ok(partial);
        }
    }
    let (mut gathered, mut bytes, mut told) = (Vec::<Bytes>::new(), 0, None);
    loop {
        let piece = exchange.recv.data().await;
        let (ended, broken) = match piece {
            Some(Ok(piece)) => {
                bytes += piece.len();
                gathered.push(piece);
                (false, false)
            }
            Some(Err(_)) => (true, true),
            None => (true, false),
        };
        if partial.have() + bytes as u64 > partial.size() {
            exchange.refuse(413, "more came than the command says");
            partial.remove();
            let detail = "more bytes came than the command says that the file has";
            return Err(fault("size_mismatch", detail.to_owned()));
        }
        if bytes >= WRITTEN_BYTES || ended && bytes > 0 {
            let pieces = std::mem::take(&mut gathered);
            bytes = 0;
            let (written, left) = blocking(move || (partial.write(&pieces), partial)).await?;
            partial = left;
            if let Err(error) = written {
                exchange.refuse(507, "the host cannot write the file");
                partial.remove();
                return Err(io_fault("write the file", &error));
            }
            let percent = percent(partial.have(), partial.size());
            if told.replace(percent) != Some(percent) {
                reports.say(Report::Progress(percent));
            }
        }
        if partial.is_whole() && !broken {
            exchange.answer(204, &[]);
            return Ok(partial);
        }
        if broken {
            reset(exchange.send, "the request broke off");
            return Ok(partial);
        }
        if ended {
            exchange.refuse(400, "less came than the command says");
            return Ok(partial);
        }
    }
}

async fn settle(partial: Partial) -> Result<Partial, Fault> {
    let mut partial = partial;
    let (settled, partial) = blocking(move || (partial.settle(), partial)).await?;
    match settled {
        Ok(true) => Ok(partial),
        Ok(false) => {
            partial.remove();
            let detail = "what came has another SHA-256 than the command says";
            Err(fault("hash_mismatch", detail.to_owned()))
        }
        Err(error) => {
            // What could not be synced may be anything.
            partial.remove();
            Err(io_fault("sync the file", &error))
        }
    }
}
