//! `file_transfer`: a file from the platform to its place on the host, or the other way. What may be written
//! and read is in folders that the agent's owner names; the way from there down is walked without
//! following a link. How the bytes come is in `agent::transfers`.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Uid, fchmod, fchown, fsync, linkat, open,
    openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::allowed::{FileRules, invalid, is_plain, kind_refused, refused};
use super::bus::{Cut, within};
use super::process::User;
use super::{Executor, Fault, Job, Outcome, Reports, Stop, faults};
use crate::agent::transfers::leftovers::Leftovers;
use crate::agent::transfers::partial::{self, Partial};
use crate::agent::transfers::{Offered, Transfers, Wanted, fault, io_fault};
use crate::net::own_origin;
use crate::wire::messages::{FileTransfer, FileTransferResult, ResponseResult, TransferDirection};

/// The permission bits of a file for which none are asked.
const MODE: u32 = 0o600;
/// Set-user-id, set-group-id and the sticky bit.
const SPECIAL_BITS: u32 = 0o7000;

/// Brings files and takes files.
#[derive(Debug)]
pub(super) struct Files {
    rules: Option<FileRules>,
    transfers: Transfers,
    leftovers: Option<Leftovers>,
    /// Whom the agent runs as.
    own: String,
}

/// Where a file is, or is to be: a folder that the owner has named, the folders below it, and a name.
#[derive(Clone, Debug)]
struct Place {
    root: PathBuf,
    below: PathBuf,
    name: String,
    /// The rule that allows it.
    rule: &'static str,
}

impl Files {
    pub(super) fn new(rules: Option<FileRules>) -> Self {
        Self {
            rules,
            transfers: Transfers::default(),
            leftovers: None,
            own: User::own().name,
        }
    }

    pub(super) fn come_by(&mut self, transfers: Transfers) {
        self.transfers = transfers;
    }

    /// Remembers there what is not whole, and removes what nobody came back for.
    pub(super) fn remember_in(&mut self, folder: &Path) {
        let leftovers = Leftovers::in_state(folder);
        self.leftovers = Some(leftovers.clone());
        let Some(rules) = self.rules.clone() else {
            return;
        };
        // At the start nothing waits for it.
        std::thread::spawn(move || leftovers.clean(|folder| open_again(&rules, folder)));
    }

    fn place(&self, transfer: &FileTransfer) -> Result<Place, Fault> {
        let Some(rules) = &self.rules else {
            return Err(kind_refused("file_transfer"));
        };
        let (rule, roots) = match transfer.direction {
            TransferDirection::ToHost => ("file_transfer.to_host", &rules.to_host),
            TransferDirection::FromHost => ("file_transfer.from_host", &rules.from_host),
            TransferDirection::Unspecified | TransferDirection::Unknown(_) => {
                return Err(invalid("direction", "say which way"));
            }
        };
        let path = Path::new(&transfer.path);
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.filter(|_| !transfer.path.ends_with('/'));
        let Some(name) = name.filter(|_| is_plain(path) && !transfer.path.contains('\0')) else {
            return Err(invalid("path", "an absolute path of a file, without `..`"));
        };
        let outside = || refused(rule, &format!("the path {}", transfer.path));
        let root = roots.iter().filter(|root| path.starts_with(root));
        let root = root.max_by_key(|root| root.components().count());
        let root = root.ok_or_else(outside)?;
        let below = path
            .parent()
            .and_then(|folder| folder.strip_prefix(root).ok());
        Ok(Place {
            root: root.clone(),
            // The folder itself is no file in it.
            below: below.ok_or_else(outside)?.to_owned(),
            name: name.to_owned(),
            rule,
        })
    }

    fn check_to_host(&self, transfer: &FileTransfer) -> Result<(), Fault> {
        let Some(rules) = &self.rules else {
            return Err(kind_refused("file_transfer"));
        };
        wanted(transfer)?;
        let owner = transfer.owner.as_str();
        let known = rules.owners.iter().any(|name| name == owner);
        if !owner.is_empty() && owner != self.own && !known {
            return Err(refused(
                "file_transfer.owners",
                &format!("the owner {owner}"),
            ));
        }
        if transfer.mode & SPECIAL_BITS != 0 && !rules.special_bits {
            let what = format!("the mode {:04o}", transfer.mode);
            return Err(refused("file_transfer.special_bits", &what));
        }
        Ok(())
    }

    async fn bring(
        &self,
        job: &Job,
        transfer: &FileTransfer,
        reports: &Reports,
    ) -> Result<FileTransferResult, Fault> {
        let (place, wanted) = (self.place(transfer)?, wanted(transfer)?);
        let mut streams = self.transfers.of(&job.id)?;
        let name = partial::name_for(&place.name, &wanted);
        let directory = {
            let (place, leftovers, name) = (place.clone(), self.leftovers.clone(), name.clone());
            let (overwrite, rules) = (transfer.overwrite, self.rules.clone());
            blocking(move || {
                let directory = place.open()?;
                if !overwrite && place.is_taken(&directory) {
                    return Err(exists(&place));
                }
                if let (Some(leftovers), Some(rules)) = (leftovers, rules) {
                    leftovers.clean(|folder| open_again(&rules, folder));
                    let noted = leftovers.note(&place.root.join(&place.below), &name);
                    noted.map_err(|error| io_fault("note what is to come", &error))?;
                }
                Ok(Arc::new(directory))
            })
            .await?
        };
        let received = streams
            .receive(directory.clone(), &place.name, wanted, reports)
            .await;
        let partial = received?;
        let owner = match transfer.owner.as_str() {
            "" => None,
            owner if owner == self.own => None,
            owner => Some(owner.to_owned()),
        };
        let (mode, overwrite) = (transfer.mode, transfer.overwrite);
        let leftovers = self.leftovers.clone();
        blocking(move || {
            let settled = settle(&partial, &place, owner, mode, overwrite);
            if settled.is_err() {
                partial.remove();
            }
            if let Some(leftovers) = leftovers {
                leftovers.forget(&name);
            }
            settled
        })
        .await?;
        Ok(result(wanted.size, &wanted.sha256))
    }

    async fn fetch(
        &self,
        job: &Job,
        transfer: &FileTransfer,
        reports: &Reports,
    ) -> Result<FileTransferResult, Fault> {
        let place = self.place(transfer)?;
        let mut streams = self.transfers.of(&job.id)?;
        let offered = blocking(move || place.open_file()).await?;
        let size = offered.size();
        let sha256 = streams.offer(offered, reports).await?;
        Ok(result(size, &sha256))
    }

    /// Removes what there is of a file that nobody wants any more.
    async fn forget(&self, transfer: &FileTransfer) {
        let (Ok(place), Ok(wanted)) = (self.place(transfer), wanted(transfer)) else {
            return;
        };
        let leftovers = self.leftovers.clone();
        let _ = blocking(move || {
            let name = partial::name_for(&place.name, &wanted);
            partial::remove(&place.open()?, &name);
            if let Some(leftovers) = leftovers {
                leftovers.forget(&name);
            }
            Ok(())
        })
        .await;
    }
}

impl Executor for Files {
    type Parameters = FileTransfer;

    fn check(&self, transfer: &FileTransfer) -> Result<(), Fault> {
        self.place(transfer)?;
        match transfer.direction {
            TransferDirection::ToHost => self.check_to_host(transfer),
            _ => Ok(()),
        }
    }

    async fn run(
        &self,
        job: &Job,
        transfer: &FileTransfer,
        reports: &Reports,
        mut stop: Stop,
    ) -> Outcome {
        let begun = Instant::now();
        let deadline = job.time_limit.map(|limit| begun + limit);
        let to_host = transfer.direction == TransferDirection::ToHost;
        let work = async {
            if to_host {
                self.bring(job, transfer, reports).await
            } else {
                self.fetch(job, transfer, reports).await
            }
        };
        let done = match within(deadline, &mut stop, work).await {
            Ok(done) => done,
            Err(cut) => {
                if to_host && cut == Cut::Stopped {
                    self.forget(transfer).await;
                }
                Err(cut.fault(job.time_limit))
            }
        };
        match done {
            Ok(result) => {
                let execution_time = begun.elapsed().as_secs_f64();
                let result = FileTransferResult {
                    execution_time,
                    ..result
                };
                Outcome::of(None, Some(ResponseResult::FileTransfer(result)))
            }
            Err(fault) => Outcome::failed(fault),
        }
    }
}

impl Place {
    /// Opens the file's folder. Links lead nowhere but above what the owner has named.
    fn open(&self) -> Result<OwnedFd, Fault> {
        let path = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let failed = |error: Errno| io_fault("open the folder", &error.into());
        let mut directory = open(&self.root, path, Mode::empty()).map_err(failed)?;
        for part in self.below.components() {
            let Component::Normal(part) = part else {
                return Err(invalid("path", "an absolute path of a file, without `..`"));
            };
            let next = openat(&directory, part, path | OFlags::NOFOLLOW, Mode::empty());
            directory = match next {
                Ok(next) => next,
                Err(error) => {
                    let there = statat(&directory, part, AtFlags::SYMLINK_NOFOLLOW);
                    return Err(match there {
                        Ok(there) if is_link(there.st_mode) => self.leads_away(),
                        _ => failed(error),
                    });
                }
            };
        }
        // One that can be synced.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&directory, ".", flags, Mode::empty()).map_err(failed)
    }

    /// Opens the file itself, which is to be a regular one.
    fn open_file(&self) -> Result<Offered, Fault> {
        let directory = self.open()?;
        let there = statat(&directory, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        let failed = |error: Errno| io_fault("open the file", &error.into());
        let there = there.map_err(failed)?;
        if is_link(there.st_mode) {
            return Err(self.leads_away());
        }
        let not_regular = || {
            let detail = "only a regular file can be sent".to_owned();
            fault("not_a_file", detail)
        };
        // What is opened may be another by now: it is looked at again.
        if FileType::from_raw_mode(there.st_mode) != FileType::RegularFile {
            return Err(not_regular());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = openat(
            &directory,
            &self.name,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
        );
        let offered = Offered::new(File::from(file.map_err(failed)?));
        let offered = offered.map_err(|error| io_fault("open the file", &error))?;
        offered.ok_or_else(not_regular)
    }

    fn is_taken(&self, directory: &OwnedFd) -> bool {
        statat(directory, &self.name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    fn leads_away(&self) -> Fault {
        let path = self.root.join(&self.below).join(&self.name);
        refused(
            self.rule,
            &format!(
                "the path {}: a part of it is a symbolic link",
                path.display()
            ),
        )
    }
}

fn is_link(mode: u32) -> bool {
    FileType::from_raw_mode(mode) == FileType::Symlink
}

fn exists(place: &Place) -> Fault {
    let detail = format!("{} is there, and overwrite was not asked for", place.name);
    fault("target_exists", detail)
}

/// Which file is to come.
fn wanted(transfer: &FileTransfer) -> Result<Wanted, Fault> {
    let sha256 = own_origin::hash_of(&transfer.sha256);
    Ok(Wanted {
        size: transfer.size_bytes,
        sha256: sha256.ok_or_else(|| invalid("sha256", "64 hexadecimal digits"))?,
    })
}

fn result(size_bytes: u64, sha256: &[u8; 32]) -> FileTransferResult {
    FileTransferResult {
        size_bytes,
        sha256: own_origin::hash_text(sha256),
        execution_time: 0.0,
    }
}

/// Gives a whole file its owner, its mode and its name.
fn settle(
    partial: &Partial,
    place: &Place,
    owner: Option<String>,
    mode: u32,
    overwrite: bool,
) -> Result<(), Fault> {
    let file = partial.file();
    if let Some(owner) = owner {
        let user = User::named(&owner).map_err(|error| io_fault("find the owner", &error))?;
        let none = || faults::start_failed(&format!("there is no user {owner}"));
        let user = user.ok_or_else(none)?;
        let (user, group) = (Uid::from_raw(user.id), Gid::from_raw(user.group));
        fchown(file, Some(user), Some(group))
            .map_err(|error| io_fault("give the file its owner", &error.into()))?;
    }
    // After the owner, as a change of that takes bits away.
    let mode = Mode::from_raw_mode(if mode == 0 { MODE } else { mode });
    fchmod(file, mode).map_err(|error| io_fault("give the file its mode", &error.into()))?;
    file.sync_all()
        .map_err(|error| io_fault("sync the file", &error))?;
    let (directory, from) = (partial.directory(), partial.name());
    let named = if overwrite {
        renameat(directory, from, directory, &place.name)
    } else {
        match renameat_with(
            directory,
            from,
            directory,
            &place.name,
            RenameFlags::NOREPLACE,
        ) {
            // A file system that does not know it knows links, as a rule.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                linkat(directory, from, directory, &place.name, AtFlags::empty())
                    .and_then(|()| unlinkat(directory, from, AtFlags::empty()))
            }
            named => named,
        }
    };
    match named {
        Err(Errno::EXIST) => return Err(exists(place)),
        named => named.map_err(|error| io_fault("name the file", &error.into()))?,
    }
    fsync(directory).map_err(|error| io_fault("sync the folder", &error.into()))
}

/// Opens a folder again in which something was left.
fn open_again(rules: &FileRules, folder: &Path) -> Option<OwnedFd> {
    let roots = rules.to_host.iter().filter(|root| folder.starts_with(root));
    let root = roots.max_by_key(|root| root.components().count())?;
    let place = Place {
        root: root.clone(),
        below: folder.strip_prefix(root).ok()?.to_owned(),
        name: String::new(),
        rule: "file_transfer.to_host",
    };
    place.open().ok()
}

/// Does something that may wait for a disk or a directory service.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(faults::start_failed("the agent stops")))
}
