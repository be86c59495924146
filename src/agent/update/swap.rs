//! The steps by which another program comes into this one's place on the disk, and the way back. After each of
//! them the power may go: a whole agent is always in its place, and the next start knows from the record
//! (`record`) what is left to do.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};
use tracing::{error, info, warn};

use super::record::{Record, Standing, Subject};
use crate::net::own_origin::hash_text;

/// How often a new agent is started that is not welcomed, before the one before is put back.
pub const STARTS_MAX: u32 = 3;
/// The mode of a program.
const MODE: u32 = 0o755;
/// How much is read at once.
const READ_BYTES: usize = 1 << 20;

/// Where a new program is made ready: a folder beside the one that it is to replace, so that it is on the same
/// file system, and no other user gets at it.
pub fn staging(executable: &Path) -> PathBuf {
    beside(executable, ".", ".update")
}

/// Where the program before is kept.
pub fn previous(executable: &Path) -> PathBuf {
    beside(executable, "", ".previous")
}

fn beside(executable: &Path, before: &str, after: &str) -> PathBuf {
    let mut name = OsString::from(before);
    name.push(executable.file_name().unwrap_or_default());
    name.push(after);
    executable.with_file_name(name)
}

/// The file that this process was started from.
///
/// # Errors
/// When it is not there any more: somebody else has replaced it.
pub fn executable() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    if path.is_file() {
        return Ok(path);
    }
    let text = "the file that this agent was started from has been replaced or removed";
    Err(io::Error::new(io::ErrorKind::NotFound, text))
}

/// Makes the folder for a new program, without what earlier updates left there but for these names.
///
/// # Errors
/// When it cannot be made: the agent may not write beside its own program.
pub fn make_staging(executable: &Path, keep: &[String]) -> io::Result<PathBuf> {
    let folder = staging(executable);
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if !fs::symlink_metadata(&folder)?.is_dir() {
        let text = format!("{} is no folder", folder.display());
        return Err(io::Error::other(text));
    }
    fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        if !keep.iter().any(|name| entry.file_name() == name.as_str()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(folder)
}

/// Removes what is left in that folder, and the folder.
pub fn clear(executable: &Path) {
    match fs::remove_dir_all(staging(executable)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            warn!(%error, "what is left of an update cannot be removed");
        }
        _ => {}
    }
}

/// Makes a file one that can be run.
///
/// # Errors
/// As the file system has them.
pub fn make_executable(file: &Path) -> io::Result<()> {
    let opened = File::open(file)?;
    opened.set_permissions(Permissions::from_mode(MODE))?;
    opened.sync_all()
}

/// The SHA-256 of a file, as 64 lower-case hexadecimal digits.
///
/// # Errors
/// When it cannot be read.
pub fn hash(file: &Path) -> io::Result<String> {
    let mut opened = File::open(file)?;
    let (mut hasher, mut bytes) = (Sha256::new(), vec![0; READ_BYTES]);
    loop {
        match opened.read(&mut bytes)? {
            0 => return Ok(hash_text(&hasher.finalize().into())),
            count => hasher.update(&bytes[..count]),
        }
    }
}

/// A program that is about to take another's place.
#[derive(Debug)]
pub struct Swap {
    /// The agent's state directory.
    pub folder: PathBuf,
    /// What it is about.
    pub subject: Subject,
    /// Where the new program is ready.
    pub staged: PathBuf,
}

/// One step of a swap. Nothing comes between two of them but an end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What is about to be done is remembered.
    Remember,
    /// The one before has a second name.
    Keep,
    /// The new one has its place.
    Replace,
}

/// All of them, in their order.
pub const STEPS: [Step; 3] = [Step::Remember, Step::Keep, Step::Replace];

impl Swap {
    /// Does one step, and returns once it is on the disk.
    ///
    /// # Errors
    /// As the file system has them. What was done before stays done.
    pub fn perform(&self, step: Step) -> io::Result<()> {
        let executable = &self.subject.executable;
        let kept = previous(executable);
        match step {
            Step::Remember => Record::new(self.subject.clone(), kept).write(&self.folder),
            Step::Keep => {
                let name = beside(executable, ".", ".keep");
                remove(&name)?;
                if fs::hard_link(executable, &name).is_err() {
                    // A file system without links.
                    fs::copy(executable, &name)?;
                    File::open(&name)?.sync_all()?;
                }
                fs::rename(&name, &kept)?;
                sync_folder(executable)
            }
            Step::Replace => {
                fs::rename(&self.staged, executable)?;
                sync_folder(executable)
            }
        }
    }

    /// Does all of it and becomes the new program. Returns only where that fails: the agent of before is then
    /// in its place.
    pub fn run(self) -> io::Error {
        for step in STEPS {
            if let Err(error) = self.perform(step) {
                return self.give_up(error, step == Step::Replace);
            }
        }
        let error = become_program(&self.subject.executable);
        self.give_up(error, true)
    }

    fn give_up(&self, error: io::Error, replaced: bool) -> io::Error {
        let executable = &self.subject.executable;
        let is_new = || hash(executable).is_ok_and(|hash| hash == self.subject.sha256);
        if replaced && is_new() {
            let back = fs::rename(previous(executable), executable);
            if let Err(error) = back.and_then(|()| sync_folder(executable)) {
                error!(%error, "the agent of before cannot be put back");
            }
        }
        // That it ended here is told by whoever asked for it.
        let record = Record::new(self.subject.clone(), previous(executable));
        let record = record.decided(Standing::NotSwapped, &error.to_string());
        if let Err(error) = record.write(&self.folder) {
            warn!(%error, "that an update was given up cannot be written");
        }
        error
    }
}

/// What an agent does first of all: it looks at what is remembered, and counts its start where it is new. One
/// that has had its starts is replaced by the one before, and this does not return.
///
/// # Errors
/// When the one before is to be put back, and that fails.
pub fn on_start(folder: &Path) -> io::Result<Option<Record>> {
    let record = match Record::read(folder) {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(None),
        Err(error) => {
            // It cannot be said what was to be done; what is in its place runs.
            error!(%error, "what is remembered of an update cannot be used");
            return Ok(None);
        }
    };
    match next(record, executable().ok().as_deref()) {
        Next::Nothing(record) => Ok(Some(record)),
        Next::Write(record) => {
            if let Err(error) = record.write(folder) {
                warn!(%error, "what became of an update cannot be written");
            }
            if record.standing == Standing::NotSwapped {
                clear(&record.executable);
            }
            Ok(Some(record))
        }
        Next::Back(record) => {
            let why = format!("it was started {STARTS_MAX} times, and was not welcomed");
            let why = if record.why.is_empty() {
                why
            } else {
                record.why.clone()
            };
            Err(roll_back(folder, record, &why))
        }
    }
}

/// What a start makes of what is remembered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is as it is.
    Nothing(Record),
    /// This is to be remembered.
    Write(Record),
    /// The one before goes back to its place.
    Back(Record),
}

pub(super) fn next(record: Record, executable: Option<&Path>) -> Next {
    // An agent that is started from elsewhere has nothing to do with it.
    let is_new = executable == Some(record.executable.as_path())
        && hash(&record.executable).is_ok_and(|hash| hash == record.sha256);
    match record.standing {
        Standing::Pending if !is_new => {
            let why = "the agent ended before the new one was in its place";
            Next::Write(record.decided(Standing::NotSwapped, why))
        }
        Standing::Pending if record.starts >= STARTS_MAX => Next::Back(record),
        Standing::Pending => Next::Write(record.started()),
        // The end of the process came in the middle of the way back.
        Standing::RolledBack if is_new && record.previous.is_file() => Next::Back(record),
        Standing::Settled | Standing::NotSwapped | Standing::RolledBack => Next::Nothing(record),
    }
}

/// Puts the one before back into its place, and becomes it. Returns only where that fails.
pub fn roll_back(folder: &Path, record: Record, why: &str) -> io::Error {
    error!(version = %record.version_after, "the agent of before comes back: {why}");
    let executable = record.executable.clone();
    match put_back(folder, record, why) {
        Ok(()) => {
            info!(executable = %executable.display(), "becoming the agent of before");
            become_program(&executable)
        }
        Err(error) => error,
    }
}

pub(super) fn put_back(folder: &Path, record: Record, why: &str) -> io::Result<()> {
    if !record.previous.is_file() {
        let text = format!("{} is not there", record.previous.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    let record = record.decided(Standing::RolledBack, why);
    if let Err(error) = record.write(folder) {
        // Better an agent that does not know why than none.
        warn!(%error, "that the agent of before comes back cannot be written");
    }
    fs::rename(&record.previous, &record.executable)?;
    clear(&record.executable);
    sync_folder(&record.executable)
}

/// Runs another program in this process, with the same arguments and environment. Returns only where that
/// fails.
fn become_program(executable: &Path) -> io::Error {
    let mut arguments = std::env::args_os();
    let mut command = Command::new(executable);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).exec()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    File::open(folder)?.sync_all()
}
