//! Files, as the API has them: brought piece by piece, read, listed and deleted. Where their bytes are is
//! `platform::blobs`, how they come to hosts and from there `delivery::carrier`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::try_unfold;
use tracing::{error, info, warn};

use super::page::Page;
use super::parameters::{decoded, refused};
use super::{ErrorKind, ServiceError};
use crate::audit::Entry;
use crate::audit::export::hex;
use crate::clock::UnixMillis;
use crate::ids::{CommandId, FileId};
use crate::net::own_origin::hash_of;
use crate::platform::Platform;
use crate::platform::api::{Answer, Call, CreateFile, FileService, Stream};
use crate::platform::identity::Caller;
use crate::platform::metrics::{DONE, FileWay};
use crate::platform::store::StoreError;
use crate::platform::store::commands::NewCommand;
use crate::platform::store::files::{FileFilter, FilePlace, FileRecord};
use crate::secret::random;
use crate::wire::api::{
    AgentUpdate, CommandParameters, CreateFileRequest, CreateFileResponse, DeleteFileRequest,
    DeleteFileResponse, File, FileTransfer, GetFileRequest, GetFileResponse, ListFilesRequest,
    ListFilesResponse, ReadFileRequest, ReadFileResponse, TransferDirection, WriteFileRequest,
    WriteFileResponse,
};

/// How long a file may take to come: what is left of it goes then.
const ARRIVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How much is read at once.
const READ_BYTES: usize = 256 << 10;
/// Refusals of a piece after which its file is no further, or empty again: failures to whoever counts them.
const WRITING_FAILED: [&str; 3] = ["hash_mismatch", "disk_full", "disk_failed"];
/// Files that are removed in one transaction.
const REMOVED_MAX: usize = 256;
/// Files that are looked at together at the start.
const LISTED_MAX: usize = 1000;

impl FileService for Platform {
    async fn create_file(
        self: Arc<Self>,
        call: Call,
        request: CreateFileRequest,
    ) -> Answer<CreateFileResponse> {
        let Some(sha256) = hash_of(&request.sha256) else {
            let detail = "a SHA-256 is 64 hexadecimal digits";
            return Err(refused("sha256", "field_invalid", detail));
        };
        let settings = &self.config.files;
        if request.size_bytes > settings.file_bytes {
            let detail = format!("a file has at most {} bytes here", settings.file_bytes);
            return Err(refused("size_bytes", "file_too_large", &detail));
        }
        if request.name.chars().any(char::is_control) {
            let detail = "a file's name has no control characters";
            return Err(refused("name", "field_invalid", detail));
        }
        let now = UnixMillis::now();
        let record = FileRecord {
            id: FileId::random(random()),
            name: request.name,
            size: request.size_bytes,
            sha256: Some(sha256),
            complete: false,
            user: call.actor().to_owned(),
            from: None,
            created: now,
            expires: now.plus(ARRIVAL_MAX),
        };
        let target = format!("file:{}", record.id);
        let audit = Entry::new(now, call.actor(), "file.create", target)
            .detail("name", record.name.as_str())
            .detail("size", record.size.to_string())
            .detail("sha256", hex(&sha256));
        let answer = CreateFileResponse {
            file: Some(shown(record.clone(), 0)),
        };
        let change = call.change::<CreateFile>(audit, &answer)?;
        let made = self.store.create_file(record, settings.total_bytes, change);
        made.await.map_err(|error| match error {
            StoreError::Full => {
                let detail = format!(
                    "all files together have at most {} bytes here: delete some, or wait until they expire",
                    settings.total_bytes
                );
                ServiceError::new(ErrorKind::Exhausted, "files_full", detail)
            }
            error => error.into(),
        })?;
        Ok(answer)
    }

    async fn write_file(
        self: Arc<Self>,
        call: Call,
        request: WriteFileRequest,
    ) -> Answer<WriteFileResponse> {
        let record = self.seen_file(&call.caller, request.file_id.into()).await?;
        let _turn = self.writing_files.at(record.id).await;
        let written = self
            .write(&call, record, request.offset, request.data)
            .await;
        match &written {
            Err(error) if WRITING_FAILED.contains(&error.code) => {
                self.metrics.file(FileWay::Uploaded, error.code);
            }
            _ => {}
        }
        Ok(WriteFileResponse {
            file: Some(written?),
        })
    }

    async fn list_files(
        self: Arc<Self>,
        call: Call,
        request: ListFilesRequest,
    ) -> Answer<ListFilesResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let after = page
            .moment()?
            .map(|(created, id)| FilePlace { created, id });
        let granted = self.identity.granted_hosts(&call.caller);
        let filter = FileFilter {
            seen_by: granted.map(|hosts| (call.actor().to_owned(), hosts)),
            command: request.command_id.map(CommandId::from),
        };
        let found = self.store.files(filter, after, page.size() + 1).await?;
        let place = |file: &FileRecord| format!("{} {}", file.created.0, file.id);
        let (records, next_page_token) = page.take(found.into_iter(), place);
        let mut files = Vec::with_capacity(records.len());
        for record in records {
            files.push(self.show_file(record).await?);
        }
        Ok(ListFilesResponse {
            files,
            next_page_token,
        })
    }

    async fn get_file(
        self: Arc<Self>,
        call: Call,
        request: GetFileRequest,
    ) -> Answer<GetFileResponse> {
        let record = self.seen_file(&call.caller, request.file_id.into()).await?;
        Ok(GetFileResponse {
            file: Some(self.show_file(record).await?),
        })
    }

    async fn read_file(
        self: Arc<Self>,
        call: Call,
        request: ReadFileRequest,
    ) -> Answer<Stream<ReadFileResponse>> {
        let record = self.seen_file(&call.caller, request.file_id.into()).await?;
        if !record.complete {
            // What is asked for is not there.
            return Err(incomplete(ErrorKind::NotFound));
        }
        let (id, size) = (record.id, record.size);
        let audit = Entry::new(
            UnixMillis::now(),
            call.actor(),
            "file.read",
            format!("file:{id}"),
        );
        let audit = match record.from {
            Some((_, host)) => audit.host(host),
            None => audit,
        };
        self.store.audit(audit.detail("name", record.name)).await?;
        let pieces = try_unfold((self, request.offset), move |(platform, at)| async move {
            if at >= size {
                return Ok(None);
            }
            let data = platform.blobs.read(id, at, READ_BYTES).await;
            let data = data.map_err(|error| disk_failed(&error))?;
            if data.is_empty() {
                let detail = "the file is not there any more";
                return Err(ServiceError::new(
                    ErrorKind::NotFound,
                    "file_unknown",
                    detail,
                ));
            }
            let next = at + data.len() as u64;
            platform.metrics.file_bytes(FileWay::Downloaded, data.len());
            if next >= size {
                platform.metrics.file(FileWay::Downloaded, DONE);
            }
            Ok(Some((ReadFileResponse { data }, (platform, next))))
        });
        Ok(pieces.boxed())
    }

    async fn delete_file(
        self: Arc<Self>,
        call: Call,
        request: DeleteFileRequest,
    ) -> Answer<DeleteFileResponse> {
        let record = self.seen_file(&call.caller, request.file_id.into()).await?;
        let now = UnixMillis::now();
        let target = format!("file:{}", record.id);
        let audit = Entry::new(now, call.actor(), "file.delete", target)
            .detail("name", record.name.as_str());
        let deleted = self.store.delete_file(record.id, now, audit).await;
        deleted.map_err(|error| match error {
            StoreError::Taken => {
                let detail = "a command needs this file that has not ended: cancel it, or wait";
                ServiceError::new(ErrorKind::Conflict, "file_in_use", detail)
            }
            StoreError::NotFound => unknown(),
            error => error.into(),
        })?;
        if let Err(error) = self.blobs.remove(record.id).await {
            // It goes with the next start.
            warn!(file = %record.id, %error, "a file that was deleted is still on the disk");
        }
        Ok(DeleteFileResponse {})
    }
}

impl Platform {
    async fn write(
        &self,
        call: &Call,
        record: FileRecord,
        offset: u64,
        data: Bytes,
    ) -> Result<File, ServiceError> {
        let (id, size) = (record.id, record.size);
        // Read again, as another may have written meanwhile.
        let record = self.store.file(id).await?.ok_or_else(unknown)?;
        let have = self
            .blobs
            .length(id)
            .await
            .map_err(|error| disk_failed(&error))?;
        let end = offset.saturating_add(data.len() as u64);
        if record.complete && end <= size {
            // Of what is whole every piece is there.
            return Ok(shown(record, size));
        }
        if record.from.is_some() || record.complete {
            let detail = "only what was announced can be written";
            return Err(ServiceError::new(
                ErrorKind::Conflict,
                "file_complete",
                detail,
            ));
        }
        if end > size {
            let detail =
                format!("the file was announced with {size} bytes, and these would be {end}");
            return Err(refused("data", "file_too_long", &detail));
        }
        if offset != have {
            let detail = format!("{have} bytes of this file are there: go on from offset {have}");
            let mut error = ServiceError::new(ErrorKind::Conflict, "offset_wrong", detail);
            error.field = Some("offset".to_owned());
            return Err(error);
        }
        let failed = |error| disk_failed(&error);
        let length = data.len();
        self.blobs
            .write(id, offset, vec![data])
            .await
            .map_err(failed)?;
        self.metrics.file_bytes(FileWay::Uploaded, length);
        if end < size {
            return Ok(shown(record, end));
        }
        let hasher = self.blobs.hasher(id, size).await.map_err(failed)?;
        let sha256: [u8; 32] = sha2::Digest::finalize(hasher).into();
        if record.sha256 != Some(sha256) {
            self.blobs.write(id, 0, vec![]).await.map_err(failed)?;
            let detail = "what came has another SHA-256 than was announced: begin anew";
            return Err(refused("data", "hash_mismatch", detail));
        }
        let now = UnixMillis::now();
        let audit = Entry::new(now, call.actor(), "file.complete", format!("file:{id}"));
        let expires = now.plus(self.config.files.keep);
        let whole = self.store.complete_file(id, sha256, expires, audit).await;
        let whole = whole.map_err(|error| match error {
            StoreError::NotFound => unknown(),
            error => error.into(),
        })?;
        self.metrics.file(FileWay::Uploaded, DONE);
        Ok(shown(whole, size))
    }

    /// A file as a caller sees it.
    ///
    /// # Errors
    /// `file_unknown`, also where the caller may not see it.
    pub(super) async fn seen_file(
        &self,
        caller: &Caller,
        id: FileId,
    ) -> Result<FileRecord, ServiceError> {
        let record = self.store.file(id).await?.ok_or_else(unknown)?;
        if self.may_see(caller, &record) {
            Ok(record)
        } else {
            Err(unknown())
        }
    }

    fn may_see(&self, caller: &Caller, record: &FileRecord) -> bool {
        let from = record.from.map(|(_, host)| host);
        caller.needs_all_hosts().is_ok()
            || record.user == caller.name.as_str() && from.is_none()
            || from.is_some_and(|host| self.identity.may(caller, host))
    }

    /// Completes the parameters of a `file_transfer` by the file that it brings: named by its id, or by its
    /// size and hash.
    ///
    /// # Errors
    /// `file_unknown`, `file_incomplete`.
    pub(super) async fn transferred(
        &self,
        caller: &Caller,
        file_id: Option<FileId>,
        transfer: &mut FileTransfer,
    ) -> Result<Option<FileId>, ServiceError> {
        if transfer.direction != TransferDirection::ToHost {
            return match file_id {
                None => Ok(None),
                Some(_) => {
                    let detail = "a file that is there is brought to hosts alone";
                    Err(refused("file_id", "field_invalid", detail))
                }
            };
        }
        let record = match (file_id, hash_of(&transfer.sha256)) {
            (Some(id), _) => self.seen_file(caller, id).await?,
            (None, Some(sha256)) => {
                let found = self.store.file_by_hash(transfer.size_bytes, sha256).await?;
                // Whoever knows the hash of a file has it, as a rule; but the rule has exceptions.
                let seen = found.filter(|record| self.may_see(caller, record));
                seen.ok_or_else(unknown)?
            }
            (None, None) => {
                let detail = "say which file is to be brought: file_id, or its size and SHA-256";
                return Err(refused("file_id", "field_invalid", detail));
            }
        };
        let Some(sha256) = record.sha256.filter(|_| record.complete) else {
            return Err(incomplete(ErrorKind::Conflict));
        };
        transfer.size_bytes = record.size;
        transfer.sha256 = hex(&sha256);
        Ok(Some(record.id))
    }

    /// The file that an `agent_update` brings, by the size and the hash that its signature is for.
    ///
    /// # Errors
    /// `file_unknown`, also where not all of it is there yet.
    pub(super) async fn program_of(
        &self,
        caller: &Caller,
        update: &AgentUpdate,
    ) -> Result<FileId, ServiceError> {
        let Some(sha256) = hash_of(&update.sha256) else {
            return Err(refused("sha256", "field_invalid", "64 hexadecimal digits"));
        };
        let found = self.store.file_by_hash(update.size_bytes, sha256).await?;
        let seen = found.filter(|record| self.may_see(caller, record));
        Ok(seen.ok_or_else(unknown)?.id)
    }

    /// Has the file stay that a command brings which is made again. Where it is gone, its agents say so.
    pub(super) async fn keep_file_for(&self, command: &NewCommand) -> Result<(), ServiceError> {
        if !matches!(command.kind.as_str(), "file_transfer" | "agent_update") {
            return Ok(());
        }
        let (size_bytes, sha256) = match decoded(&command.kind, &command.parameters)? {
            Some(CommandParameters::FileTransfer(of)) => (of.size_bytes, of.sha256),
            Some(CommandParameters::AgentUpdate(of)) => (of.size_bytes, of.sha256),
            _ => return Ok(()),
        };
        if let Some(sha256) = hash_of(&sha256)
            && let Some(file) = self.store.file_by_hash(size_bytes, sha256).await?
        {
            self.store
                .use_file(file.id, command.id, command.created)
                .await?;
        }
        Ok(())
    }

    async fn show_file(&self, record: FileRecord) -> Result<File, ServiceError> {
        let have = if record.complete {
            record.size
        } else {
            let length = self.blobs.length(record.id).await;
            length.map_err(|error| disk_failed(&error))?
        };
        Ok(shown(record, have))
    }

    /// Removes files whose time is over. Called about once an hour.
    pub async fn remove_old_files(&self) {
        loop {
            let removed = self
                .store
                .expire_files(UnixMillis::now(), REMOVED_MAX)
                .await;
            let removed = match removed {
                Ok(removed) => removed,
                Err(error) => return warn!(%error, "old files were not removed"),
            };
            for id in &removed {
                if let Err(error) = self.blobs.remove(*id).await {
                    warn!(file = %id, %error, "a file that is kept no longer is still on the disk");
                }
            }
            if removed.len() < REMOVED_MAX {
                return;
            }
        }
    }

    /// Brings the disk and the store together: what nobody knows is removed from the disk, and of what is not
    /// there, as after a backup was put back, the store is told. Called at the start.
    pub async fn settle_files(&self) {
        if let Err(error) = self.try_settle_files().await {
            error!(%error, "the files on the disk could not be compared with the store");
        }
    }

    async fn try_settle_files(&self) -> Result<(), ServiceError> {
        let mut known = Vec::new();
        loop {
            let after = known.last().map(|file: &FileRecord| FilePlace {
                created: file.created,
                id: file.id,
            });
            let page = self.store.files(FileFilter::default(), after, LISTED_MAX);
            let page = page.await?;
            let count = page.len();
            known.extend(page);
            if count < LISTED_MAX {
                break;
            }
        }
        let ids: HashSet<FileId> = known.iter().map(|file| file.id).collect();
        let there = self.blobs.keep_only(ids).await;
        let there = there.map_err(|error| disk_failed(&error))?;
        let now = UnixMillis::now();
        for file in known {
            if file.complete && file.size > 0 && !there.contains(&file.id) {
                let audit = Entry::new(now, "platform", "file.lost", format!("file:{}", file.id));
                match self.store.delete_file(file.id, now, audit).await {
                    Ok(()) => info!(file = %file.id, "a file is not on the disk any more"),
                    Err(error) => {
                        warn!(file = %file.id, %error, "a file that a command needs is not on the disk");
                    }
                }
            }
        }
        Ok(())
    }
}

fn shown(record: FileRecord, received_bytes: u64) -> File {
    let (command, host) = record.from.unzip();
    File {
        id: record.id.into(),
        name: record.name,
        size_bytes: record.size,
        received_bytes,
        sha256: record.sha256.map_or_else(String::new, |hash| hex(&hash)),
        complete: record.complete,
        user: record.user,
        created_at: Some(record.created.into()),
        expires_at: Some(record.expires.into()),
        command_id: command.map(Into::into),
        host_id: host.map(Into::into),
    }
}

fn unknown() -> ServiceError {
    let detail = "there is no file of this id, or none that you see";
    ServiceError::new(ErrorKind::NotFound, "file_unknown", detail)
}

fn incomplete(kind: ErrorKind) -> ServiceError {
    let detail = "not all of this file is there yet";
    ServiceError::new(kind, "file_incomplete", detail)
}

fn disk_failed(error: &std::io::Error) -> ServiceError {
    error!(%error, "a file could not be read or written");
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ServiceError::new(
            ErrorKind::Exhausted,
            "disk_full",
            "the platform's disk has no room for it",
        ),
        // What the system says is for the log: it may hold a path.
        _ => ServiceError::new(
            ErrorKind::Internal,
            "disk_failed",
            "the platform's disk failed; its log says why",
        ),
    }
}
