//! Backups, as the API has them. How one is made is `platform::backup`'s.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::{error, info};

use super::{ErrorKind, ServiceError};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::platform::Platform;
use crate::platform::api::{Answer, BackupService, Call};
use crate::platform::backup::{self, Backup, BackupError};
use crate::wire::api::{
    self as messages, BackupState, CreateBackupRequest, CreateBackupResponse, DeleteBackupRequest,
    DeleteBackupResponse, ListBackupsRequest, ListBackupsResponse,
};

/// How long a call waits for its backup: callers give up after 30 s.
const WAIT: Duration = Duration::from_secs(20);

impl BackupService for Platform {
    async fn create_backup(
        self: Arc<Self>,
        call: Call,
        _: CreateBackupRequest,
    ) -> Answer<CreateBackupResponse> {
        call.caller.needs_all_hosts()?;
        let running = self.backing_up.clone().try_lock_owned().map_err(|_| {
            let detail = "a backup is being made: list them to see when it is done";
            ServiceError::new(ErrorKind::Conflict, "backup_running", detail)
        })?;
        let (now, actor) = (UnixMillis::now(), call.actor().to_owned());
        let platform = self.clone();
        // It is made also where the caller does not wait for it.
        let making = tokio::spawn(async move {
            let made = backup::make(&platform.config.data_dir, &platform.store, now).await;
            drop(running);
            match &made {
                Ok(backup) => {
                    info!(name = backup.name, bytes = backup.size, "a backup was made");
                    let target = format!("backup:{}", backup.name);
                    let audit = Entry::new(UnixMillis::now(), &actor, "backup.create", target);
                    platform
                        .store
                        .audit(audit)
                        .await
                        .map_err(BackupError::from)?;
                }
                Err(error) => error!(%error, "a backup could not be made"),
            }
            made
        });
        let backup = match timeout(WAIT, making).await {
            Ok(made) => made
                .map_err(|_| failed("its task has ended"))?
                .map_err(|error| failed(&error))?,
            Err(_) => backup::begun_at(&self.config.data_dir, now),
        };
        Ok(CreateBackupResponse {
            backup: Some(shown(backup)),
        })
    }

    async fn list_backups(
        self: Arc<Self>,
        call: Call,
        _: ListBackupsRequest,
    ) -> Answer<ListBackupsResponse> {
        call.caller.needs_all_hosts()?;
        let backups = backup::list(&self.config.data_dir).map_err(|error| failed(&error))?;
        Ok(ListBackupsResponse {
            backups: backups.into_iter().map(shown).collect(),
        })
    }

    async fn delete_backup(
        self: Arc<Self>,
        call: Call,
        request: DeleteBackupRequest,
    ) -> Answer<DeleteBackupResponse> {
        call.caller.needs_all_hosts()?;
        let _running = self.backing_up.lock().await;
        let data_dir = self.config.data_dir.clone();
        if !backup::delete(&data_dir, &request.name).map_err(|error| failed(&error))? {
            let detail = "there is no backup of this name";
            return Err(ServiceError::new(
                ErrorKind::NotFound,
                "backup_unknown",
                detail,
            ));
        }
        let target = format!("backup:{}", request.name);
        let audit = Entry::new(UnixMillis::now(), call.actor(), "backup.delete", target);
        self.store.audit(audit).await?;
        Ok(DeleteBackupResponse {})
    }
}

/// A disk that is full, as a rule: whoever asks has to know.
fn failed(error: &(impl std::fmt::Display + ?Sized)) -> ServiceError {
    let detail = format!("the backup failed: {error}");
    ServiceError::new(ErrorKind::Internal, "backup_failed", detail)
}

fn shown(backup: Backup) -> messages::Backup {
    messages::Backup {
        name: backup.name,
        state: if backup.done {
            BackupState::Done
        } else {
            BackupState::Running
        },
        created_at: backup.created.map(Into::into),
        size_bytes: backup.size,
        path: backup.path.to_string_lossy().into_owned(),
    }
}
