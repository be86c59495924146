//! A file on its way to the platform: read as often as the platform asks, hashed once, and watched, as what is
//! changed while it is read is no file that ever was.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use rustix::fs::{FileType, Stat, fstat};
use sha2::{Digest as _, Sha256};

use super::{Exchange, Streams, blocking, fault, head, io_fault, lines, percent, reset};
use crate::agent::executors::{Fault, Report, Reports};
use crate::net::own_origin::{self, CONTENT_LENGTH, CONTENT_RANGE, RANGE, REPR_DIGEST};

/// How much is read at once.
const READ_BYTES: u64 = 128 << 10;

/// A file that the platform may read.
#[derive(Debug)]
pub struct Offered {
    file: File,
    stamp: Stamp,
    /// How many of its bytes are hashed.
    hashed: u64,
    hasher: Sha256,
}

/// What changes with a file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Stamp {
    fn of(stat: &Stat) -> Self {
        // The types of these differ from one architecture to the other.
        #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)]
        Self {
            size: stat.st_size as u64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        }
    }
}

impl Offered {
    /// A file as it is now; `None` for what is no regular one.
    ///
    /// # Errors
    /// As the file system has them.
    pub fn new(file: File) -> io::Result<Option<Self>> {
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        Ok(Some(Self {
            file,
            stamp: Stamp::of(&stat),
            hashed: 0,
            hasher: Sha256::new(),
        }))
    }

    /// How many bytes it had when it was opened.
    pub const fn size(&self) -> u64 {
        self.stamp.size
    }

    /// The hash, once all of it was read.
    fn hash(&self) -> Option<[u8; 32]> {
        (self.hashed == self.size()).then(|| self.hasher.clone().finalize().into())
    }

    /// Reads what follows there; nothing where the file has become shorter.
    fn read(&mut self, at: u64) -> io::Result<Bytes> {
        let length = (self.size() - at).min(READ_BYTES) as usize;
        let mut piece = vec![0; length];
        match self.file.read_exact_at(&mut piece, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Bytes::new()),
            read => read?,
        }
        // What is read again was hashed before.
        let known = (self.hashed - at).min(length as u64) as usize;
        self.hasher.update(&piece[known..]);
        self.hashed = self.hashed.max(at + length as u64);
        Ok(piece.into())
    }

    fn is_unchanged(&self) -> io::Result<bool> {
        Ok(Stamp::of(&fstat(&self.file)?) == self.stamp)
    }
}

impl Streams {
    /// Gives the platform a file, until it says that it has it. Returns the SHA-256.
    ///
    /// # Errors
    /// [`Fault`] where the file cannot be read or has changed, or the platform does not take it.
    pub async fn offer(
        &mut self,
        mut offered: Offered,
        reports: &Reports,
    ) -> Result<[u8; 32], Fault> {
        let size = offered.size();
        loop {
            let exchange = self.next(reports, percent(offered.hashed, size)).await;
            match exchange.method() {
                "HEAD" => {
                    let mut fields = vec![(CONTENT_LENGTH, size.to_string())];
                    fields.extend(offered.hash().map(|hash| {
                        let digest = own_origin::digest(&hash);
                        (REPR_DIGEST, digest)
                    }));
                    let fields: Vec<_> = fields
                        .iter()
                        .map(|(name, value)| (*name, &**value))
                        .collect();
                    exchange.answer(200, &fields);
                }
                "GET" => offered = give(offered, exchange, reports).await?,
                "DELETE" => match exchange.field(REPR_DIGEST).map(own_origin::sha256_of) {
                    Some(Some(kept)) if offered.hash() == Some(kept) => {
                        exchange.answer(204, &[]);
                        return Ok(kept);
                    }
                    Some(_) => {
                        exchange.refuse(409, "that is another file");
                        let detail = "what the platform has got has another SHA-256";
                        return Err(fault("hash_mismatch", detail.to_owned()));
                    }
                    None => return Err(exchange.given_up().await),
                },
                _ => exchange.answer(405, &[("allow", "HEAD, GET, DELETE")]),
            }
        }
    }
}

/// Gives what one stream takes. That it breaks off is no fault: another goes on.
async fn give(
    mut offered: Offered,
    mut exchange: Exchange,
    reports: &Reports,
) -> Result<Offered, Fault> {
    let size = offered.size();
    let range = exchange.field(RANGE).map(own_origin::range_from);
    let (status, first) = match range {
        None => (200, 0),
        // Of what was never read there is no hash yet.
        Some(Some(first)) if first < size && first <= offered.hashed => (206, first),
        Some(_) => {
            let all = format!("bytes */{size}");
            exchange.answer(416, &[(CONTENT_RANGE, &all)]);
            return Ok(offered);
        }
    };
    let length = (size - first).to_string();
    let mut fields = vec![(CONTENT_LENGTH, length.as_str())];
    let range = own_origin::content_range(first, size);
    if status == 206 {
        fields.push((CONTENT_RANGE, &range));
    }
    let begun = head(status, lines(&fields), Bytes::new(), true);
    if exchange.send.send_head(begun).is_err() {
        return Ok(offered);
    }
    let (mut at, mut told) = (first, None);
    while at < size {
        let (piece, left) = blocking(move || (offered.read(at), offered)).await?;
        offered = left;
        let piece = match piece {
            Ok(piece) if piece.is_empty() => break,
            Ok(piece) => piece,
            Err(error) => {
                reset(exchange.send, "the file cannot be read");
                return Err(io_fault("read the file", &error));
            }
        };
        at += piece.len() as u64;
        if exchange.send.write(piece).await.is_err() {
            return Ok(offered);
        }
        let percent = percent(at, size);
        if told.replace(percent) != Some(percent) {
            reports.say(Report::Progress(percent));
        }
    }
    match offered
        .hash()
        .filter(|_| offered.is_unchanged().unwrap_or(false))
    {
        Some(hash) => {
            let digest = own_origin::digest(&hash);
            exchange.send.finish(lines(&[(REPR_DIGEST, &digest)]));
            Ok(offered)
        }
        None => {
            reset(exchange.send, "the file was changed while it was read");
            let detail = "the file was changed while it was read: try again when nobody writes it";
            Err(fault("file_changed", detail.to_owned()))
        }
    }
}
