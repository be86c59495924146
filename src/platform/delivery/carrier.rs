//! Carries the files of commands: while a command runs, over streams to the agent's own origin
//! (`net::own_origin`), to the host or from there, going on where it was. What the agent says of the command
//! itself is the engine's affair; a carrier that fails is begun again when the agent next says that the
//! command runs.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::kinds;
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{CommandId, FileId, HostId};
use crate::net::own_origin::{
    self, CONTENT_LENGTH, CONTENT_RANGE, RANGE, REPR_DIGEST, hash_of, hash_text,
};
use crate::net::stream::{RecvHalf, SendHalf, StreamError, Tunnel};
use crate::platform::blobs::Blobs;
use crate::platform::config::FileSettings;
use crate::platform::metrics::{DONE, FileWay, Metrics};
use crate::platform::store::commands::CommandRecord;
use crate::platform::store::files::FileRecord;
use crate::platform::store::{Store, StoreError};
use crate::secret::random;
use crate::wire::fields::FieldLines;
use crate::wire::messages::{CommandParameters, HttpResponse, TransferDirection};

/// Files that are carried at once. An agent whose turn it is not says again that its command runs.
const CARRIED_MAX: usize = 64;
/// How long an agent may take for the next step: its disk is waited for, a hang is not.
const STEP_MAX: Duration = Duration::from_secs(60);
/// How long what did not become whole is kept.
const UNFINISHED_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How much is read from the disk at once.
const READ_BYTES: usize = 128 << 10;
/// How much is gathered before it is written.
const WRITTEN_BYTES: usize = 1 << 20;

/// Carries files.
pub struct Carrier {
    store: Arc<dyn Store>,
    blobs: Blobs,
    settings: FileSettings,
    metrics: Arc<Metrics>,
    under_way: Mutex<HashSet<(CommandId, HostId)>>,
    turns: Semaphore,
}

/// Why a file was not carried to its end. It is begun again.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Disk(#[from] std::io::Error),
    #[error("the agent takes too long")]
    Slow(#[from] tokio::time::error::Elapsed),
    #[error("the agent answers with {0}")]
    Refused(u32),
    #[error("the agent's answer makes no sense: {0}")]
    Answer(&'static str),
}

/// One file under way.
struct Carried<'a> {
    carrier: &'a Carrier,
    tunnel: Tunnel,
    command: CommandId,
    host: HostId,
}

impl Carrier {
    /// A carrier of the files that the store knows.
    pub fn new(
        store: Arc<dyn Store>,
        blobs: Blobs,
        settings: FileSettings,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            store,
            blobs,
            settings,
            metrics,
            under_way: Mutex::default(),
            turns: Semaphore::new(CARRIED_MAX),
        }
    }

    /// Carries the file of a command that runs on this host, unless that is being done.
    pub(super) fn begin(self: &Arc<Self>, host: HostId, command: CommandId, tunnel: &Tunnel) {
        if !self.lock().insert((command, host)) {
            return;
        }
        let (carrier, tunnel) = (self.clone(), tunnel.clone());
        tokio::spawn(async move {
            if let Ok(_turn) = carrier.turns.try_acquire() {
                let carried = Carried {
                    carrier: &carrier,
                    tunnel,
                    command,
                    host,
                };
                if let Err(fault) = carried.run().await {
                    debug!(%host, %command, %fault, "a file was not carried to its end");
                }
            }
            carrier.lock().remove(&(command, host));
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<(CommandId, HostId)>> {
        // Nothing panics under the lock.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a command of this kind comes with a file.
pub(super) fn carries(kind: &str) -> bool {
    matches!(kind, "file_transfer" | "agent_update")
}

impl Carried<'_> {
    async fn run(&self) -> Result<(), Fault> {
        let Some(record) = self.carrier.store.command(self.command).await? else {
            return Ok(());
        };
        match kinds::parameters(&record.kind, &record.parameters) {
            Some(CommandParameters::FileTransfer(of))
                if of.direction == TransferDirection::FromHost =>
            {
                let fetched = self.fetch(&record, &of.path).await;
                self.counted(FileWay::Fetched, fetched)
            }
            Some(CommandParameters::FileTransfer(of)) => {
                let sent = self.send(of.size_bytes, &of.sha256).await;
                self.counted(FileWay::Sent, sent)
            }
            Some(CommandParameters::AgentUpdate(of)) => {
                let sent = self.send(of.size_bytes, &of.sha256).await;
                self.counted(FileWay::Sent, sent)
            }
            _ => Ok(()),
        }
    }

    fn counted(&self, way: FileWay, carried: Result<(), Fault>) -> Result<(), Fault> {
        if carried.is_err() {
            self.carrier.metrics.file(way, "broken_off");
        }
        carried
    }

    /// Sends what the agent does not have of a file.
    async fn send(&self, size: u64, sha256: &str) -> Result<(), Fault> {
        let carrier = self.carrier;
        let file = match hash_of(sha256) {
            Some(sha256) => carrier.store.file_by_hash(size, sha256).await?,
            None => None,
        };
        let Some(file) = file else {
            return self.give_up("the platform has no such file any more").await;
        };
        let head = self.ask("HEAD", &[]).await?;
        let have = length(&head)?;
        if have >= size {
            return Ok(());
        }
        let (range, left) = (
            own_origin::content_range(have, size),
            (size - have).to_string(),
        );
        let fields = [(CONTENT_RANGE, range.as_str()), (CONTENT_LENGTH, &left)];
        let (mut send, mut recv) = self.open("PUT", &fields, true)?;
        debug!(host = %self.host, command = %self.command, have, size, "sending a file");
        let mut at = have;
        while at < size {
            let piece = carrier.blobs.read(file.id, at, READ_BYTES).await?;
            if piece.is_empty() {
                warn!(file = %file.id, "a file is shorter than it was");
                return self.give_up("the platform has no such file any more").await;
            }
            at += piece.len() as u64;
            carrier.metrics.file_bytes(FileWay::Sent, piece.len());
            if timeout(STEP_MAX, send.write(piece)).await?.is_err() {
                break;
            }
        }
        if at == size {
            send.finish(FieldLines::default());
        }
        let answer = timeout(STEP_MAX, recv.head()).await??;
        match answer.status {
            204 => {
                carrier.metrics.file(FileWay::Sent, DONE);
                Ok(())
            }
            status => Err(Fault::Refused(status)),
        }
    }

    /// Takes what the platform does not have of a file, and tells the agent once it has it all.
    async fn fetch(&self, record: &CommandRecord, path: &str) -> Result<(), Fault> {
        let carrier = self.carrier;
        let head = self.ask("HEAD", &[]).await?;
        let size = length(&head)?;
        let found = carrier.store.file_from(self.command, self.host).await?;
        let file = match found {
            Some(file) => file,
            None => match self.announce(record, path, size).await? {
                Some(file) => file,
                None => {
                    return self
                        .give_up("the platform has no room for a file of this size")
                        .await;
                }
            },
        };
        if let Some(sha256) = file.sha256.filter(|_| file.complete) {
            return self.finish(&sha256).await;
        }
        if file.size != size {
            return self.give_up("the file has another size than before").await;
        }
        let have = carrier.blobs.length(file.id).await?.min(size);
        let hasher = carrier.blobs.hasher(file.id, have).await?;
        let mut digest = digest(&head.headers);
        let hasher = if have < size || size == 0 {
            let (hasher, trailer) = self.take(&file, have, hasher).await?;
            digest = trailer;
            hasher
        } else {
            hasher
        };
        let sha256: [u8; 32] = hasher.finalize().into();
        if digest != Some(sha256) {
            // What is there is of no use, and comes anew.
            carrier.blobs.write(file.id, 0, Vec::new()).await?;
            return Err(Fault::Answer("the hash of the file is another"));
        }
        let now = UnixMillis::now();
        let audit = Entry::new(now, "platform", "file.receive", format!("file:{}", file.id))
            .host(self.host)
            .detail("command", self.command.to_string())
            .detail("name", file.name.as_str())
            .detail("size", size.to_string())
            .detail("sha256", hash_text(&sha256));
        let expires = now.plus(carrier.settings.keep);
        let kept = carrier.store.complete_file(file.id, sha256, expires, audit);
        kept.await?;
        carrier.metrics.file(FileWay::Fetched, DONE);
        info!(host = %self.host, command = %self.command, size, "a file of a host is kept");
        self.finish(&sha256).await
    }

    /// Makes room for a file that a host is about to send; `None` where there is none.
    async fn announce(
        &self,
        record: &CommandRecord,
        path: &str,
        size: u64,
    ) -> Result<Option<FileRecord>, Fault> {
        let settings = &self.carrier.settings;
        if size > settings.file_bytes {
            return Ok(None);
        }
        let now = UnixMillis::now();
        let name = path.rsplit('/').next().unwrap_or(path);
        let file = FileRecord {
            id: FileId::random(random()),
            name: name.chars().take(255).collect(),
            size,
            sha256: None,
            complete: false,
            user: record.user.clone(),
            from: Some((self.command, self.host)),
            created: now,
            // Until the command has ended it stays in any case.
            expires: now.plus(UNFINISHED_KEPT),
        };
        let audit = Entry::new(
            now,
            "platform",
            "file.announce",
            format!("file:{}", file.id),
        )
        .host(self.host)
        .detail("command", self.command.to_string())
        .detail("size", size.to_string());
        let made = self
            .carrier
            .store
            .create_file(file.clone(), settings.total_bytes, audit.into());
        match made.await {
            Ok(()) => Ok(Some(file)),
            Err(StoreError::Full) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the rest of a file, and the digest that came after it.
    async fn take(
        &self,
        file: &FileRecord,
        have: u64,
        mut hasher: Sha256,
    ) -> Result<(Sha256, Option<[u8; 32]>), Fault> {
        let range = own_origin::range(have);
        let fields = [(RANGE, range.as_str())];
        let fields = if have > 0 { &fields[..] } else { &[] };
        let (_send, mut recv) = self.open("GET", fields, false)?;
        let head = timeout(STEP_MAX, recv.head()).await??;
        let expected = own_origin::content_range(have, file.size);
        match head.status {
            200 if have == 0 => {}
            206 if head.headers.get(CONTENT_RANGE) == Some(expected.as_bytes()) => {}
            status => return Err(Fault::Refused(status)),
        }
        let (mut at, mut gathered, mut bytes) = (have, Vec::<Bytes>::new(), 0);
        loop {
            // What has come is kept, whatever becomes of the stream.
            let piece = timeout(STEP_MAX, recv.data()).await.unwrap_or(None);
            let ended = !matches!(piece, Some(Ok(_)));
            if let Some(Ok(piece)) = &piece {
                bytes += piece.len();
                hasher.update(piece);
                gathered.push(piece.clone());
            }
            if at + bytes as u64 > file.size {
                return Err(Fault::Answer("more came than the file has"));
            }
            if bytes >= WRITTEN_BYTES || ended && bytes > 0 {
                let pieces = std::mem::take(&mut gathered);
                self.carrier.blobs.write(file.id, at, pieces).await?;
                self.carrier.metrics.file_bytes(FileWay::Fetched, bytes);
                at += bytes as u64;
                bytes = 0;
            }
            match piece {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None if at < file.size => return Err(Fault::Answer("less came than the file has")),
                None => return Ok((hasher, digest(&recv.trailers()))),
            }
        }
    }

    /// Tells the agent that the platform has its file.
    async fn finish(&self, sha256: &[u8; 32]) -> Result<(), Fault> {
        let digest = own_origin::digest(sha256);
        self.ask("DELETE", &[(REPR_DIGEST, &digest)]).await?;
        Ok(())
    }

    /// Tells the agent that nothing will come of it.
    async fn give_up(&self, why: &'static str) -> Result<(), Fault> {
        let (mut send, mut recv) = self.open("DELETE", &[("content-type", "text/plain")], true)?;
        send.write(Bytes::from_static(why.as_bytes())).await?;
        send.finish(FieldLines::default());
        timeout(STEP_MAX, recv.head()).await??;
        Ok(())
    }

    /// Asks without a body. Anything but a success is a fault.
    async fn ask(&self, method: &str, fields: &[(&str, &str)]) -> Result<HttpResponse, Fault> {
        let (_send, mut recv) = self.open(method, fields, false)?;
        let head = timeout(STEP_MAX, recv.head()).await??;
        match head.status {
            200..=299 => Ok(head),
            status => Err(Fault::Refused(status)),
        }
    }

    fn open(
        &self,
        method: &str,
        fields: &[(&str, &str)],
        body_follows: bool,
    ) -> Result<(SendHalf, RecvHalf), Fault> {
        let command = self.command.to_string();
        let request = own_origin::request(method, &command, fields, body_follows);
        let request = request.ok_or(Fault::Answer("no request"))?;
        Ok(self.tunnel.open(request)?)
    }
}

fn length(head: &HttpResponse) -> Result<u64, Fault> {
    let value = head.headers.get(CONTENT_LENGTH);
    let length = value.and_then(own_origin::length);
    length.ok_or(Fault::Answer("no content-length"))
}

fn digest(fields: &FieldLines) -> Option<[u8; 32]> {
    own_origin::sha256_of(fields.get(REPR_DIGEST)?)
}
