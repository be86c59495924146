//! The one place where the agent starts other programs: which environment they get, how their output is
//! taken, and that nothing of them is left when they end, are stopped or take too long. What is run, and
//! what its end means, is the affair of whoever asks.
//!
//! A program is a vector of arguments, never a line for a shell. It leads a process group of its own, and
//! that group is ended with it. Whatever left the group, as a daemon does, may live on after a program that
//! ended by itself; after one that was ended here it is sought by the mark in its environment. What has
//! cleared that too is not found.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process_group, test_kill_process_group, waitid,
};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use super::family::{self, Mark};
use super::{OUTPUT_BYTES_MAX, Report, Reports, Stop};

/// How long a program may take to end itself once it was asked to, before it is ended.
const GRACE: Duration = Duration::from_secs(5);
/// How long the kernel may take to end what cannot refuse. A program that hangs in a driver outlasts it.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// How often what is ending is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How much is read at once.
const READ_BYTES: usize = 16 << 10;
/// How much is still read of what a program that has ended left in its pipe: more than a pipe holds.
const LEFT_BYTES_MAX: usize = 2 << 20;
/// Where programs are sought by those that the agent runs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A descriptor that a child is to have is open to every child that is started meanwhile.
static STARTING: Mutex<()> = Mutex::new(());

/// A program that is to be run.
#[derive(Debug)]
pub(super) struct Program {
    /// Its file, as an absolute path.
    pub path: PathBuf,
    /// Its arguments after its name.
    pub arguments: Vec<OsString>,
    /// What its environment has beside what every one has, or in its place.
    pub environment: BTreeMap<String, String>,
    /// Where it begins.
    pub directory: PathBuf,
    /// Whom it runs as. `None`: whom the agent runs as.
    pub user: Option<User>,
    /// A descriptor that it is given under the same number.
    pub descriptor: Option<OwnedFd>,
    /// Whether what it says on standard error is output too.
    pub errors: bool,
    /// How much of its output is kept.
    pub keep: usize,
}

impl Program {
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            directory: PathBuf::from("/"),
            user: None,
            descriptor: None,
            errors: true,
            keep: OUTPUT_BYTES_MAX,
        }
    }

    pub(super) fn arguments<A: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }
}

/// A user of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub name: String,
    pub id: u32,
    pub group: u32,
    pub home: PathBuf,
    pub shell: PathBuf,
}

impl User {
    /// The user of this name; `None` where the host has none. It may ask a directory service: not for the
    /// thread that carries the tunnel.
    pub(super) fn named(name: &str) -> io::Result<Option<Self>> {
        Ok(nix::unistd::User::from_name(name)?.map(Self::from))
    }

    /// Whom the agent runs as.
    pub(super) fn own() -> Self {
        let id = nix::unistd::geteuid();
        match nix::unistd::User::from_uid(id) {
            Ok(Some(user)) => user.into(),
            // A container may run a program as somebody whom it has no name for.
            _ => Self {
                name: id.to_string(),
                id: id.as_raw(),
                group: nix::unistd::getegid().as_raw(),
                home: PathBuf::from("/"),
                shell: PathBuf::from("/bin/sh"),
            },
        }
    }
}

impl From<nix::unistd::User> for User {
    fn from(user: nix::unistd::User) -> Self {
        Self {
            name: user.name,
            id: user.uid.as_raw(),
            group: user.gid.as_raw(),
            home: user.dir,
            shell: user.shell,
        }
    }
}

/// What bounds a run, and who hears of it.
pub(super) struct Watch<'a> {
    /// The mark of all that runs for the command.
    pub mark: Mark,
    /// When it is to end. `None`: never.
    pub deadline: Option<Instant>,
    /// Who hears what it prints. `None`: nobody.
    pub reports: Option<&'a Reports>,
    /// Who may stop it.
    pub stop: &'a mut Stop,
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Run {
    /// Why it ended.
    pub end: End,
    /// What it printed.
    pub printed: Printed,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, with this code.
    Exited(u8),
    /// By a signal that was not the agent's.
    Signalled(u8),
    /// It took too long.
    TimedOut,
    /// Nobody wanted it any more.
    Stopped,
}

/// Runs a program to its end, or ends it.
///
/// # Errors
/// When it cannot be started. Nothing has been run then.
pub(super) async fn run(program: Program, watch: Watch<'_>) -> io::Result<Run> {
    let keep = program.keep;
    let (mut leader, pipe) = Leader::start(program, &watch.mark)?;
    let mut output = Output {
        pipe: Some(Receiver::from_owned_fd(pipe.into())?),
        printed: Printed::new(keep),
        reports: watch.reports,
    };
    let deadline = async {
        match watch.deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(deadline);
    let cut = loop {
        tokio::select! {
            () = output.take() => {}
            () = leader.ended() => break None,
            () = &mut deadline => break Some(End::TimedOut),
            () = watch.stop.told() => break Some(End::Stopped),
        }
    };
    // What left the group of a program that ended by itself was meant to stay.
    let mark = cut.is_some().then_some(&watch.mark);
    leader.end(mark, &mut output).await;
    output.take_what_is_left();
    let end = cut.unwrap_or_else(|| leader.end_of_itself());
    Ok(Run {
        end,
        printed: output.printed,
    })
}

/// The first process of a run. Dropped, it takes its group with it.
struct Leader {
    child: Child,
    group: Pid,
    /// Told once by the thread that waits for it.
    ended: Option<oneshot::Receiver<()>>,
    status: Option<ExitStatus>,
}

impl Leader {
    fn start(program: Program, mark: &Mark) -> io::Result<(Self, PipeReader)> {
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(&program.path);
        command
            .args(&program.arguments)
            .env_clear()
            .envs(environment(program.user.as_ref()))
            .envs(&program.environment)
            .envs(mark.variables())
            .current_dir(&program.directory)
            .stdin(Stdio::null())
            .process_group(0);
        if program.errors {
            command.stderr(writer.try_clone()?);
        } else {
            command.stderr(Stdio::null());
        }
        command.stdout(writer);
        if let Some(user) = &program.user {
            // As root, this leaves the user without groups beside their own one (see std's `uid`).
            command.uid(user.id).gid(user.group);
        }
        let child = {
            let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(descriptor) = &program.descriptor {
                fcntl_setfd(descriptor, FdFlags::empty())?;
            }
            let child = command.spawn();
            if let Some(descriptor) = &program.descriptor {
                fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
            }
            child?
        };
        let group = Pid::from_child(&child);
        let mut leader = Self {
            child,
            group,
            ended: None,
            status: None,
        };
        leader.ended = Some(wait_apart(group)?);
        Ok((leader, reader))
    }

    /// Returns when it has ended. It is not reaped yet, so that its number is nobody else's.
    async fn ended(&mut self) {
        if let Some(ended) = &mut self.ended {
            // The thread says it or is gone, which comes to the same.
            let _ = ended.await;
            self.ended = None;
        }
    }

    /// Ends it and all of its group, and with `mark` what else runs for the command: first asked, then
    /// not any more. What it prints meanwhile is taken.
    async fn end(&mut self, mark: Option<&Mark>, output: &mut Output<'_>) {
        self.signal(Signal::TERM, mark).await;
        if self.gone(GRACE, mark, output).await {
            return;
        }
        let end = Instant::now() + KILL_WAIT;
        // What starts others while it is looked for is looked for again.
        while Instant::now() < end {
            self.signal(Signal::KILL, mark).await;
            if self.gone(LOOK * 5, mark, output).await {
                return;
            }
        }
    }

    async fn signal(&mut self, signal: Signal, mark: Option<&Mark>) {
        if self.status.is_none() || test_kill_process_group(self.group).is_ok() {
            // Who is gone already need not be told.
            let _ = kill_process_group(self.group, signal);
        }
        if let Some(mark) = mark {
            family::signal_marked(mark, signal).await;
        }
    }

    /// Whether nothing is left of it, within this time.
    async fn gone(
        &mut self,
        within: Duration,
        mark: Option<&Mark>,
        output: &mut Output<'_>,
    ) -> bool {
        let end = Instant::now() + within;
        loop {
            if self.ended.is_none() && self.status.is_none() {
                self.status = self.child.wait().ok();
            }
            if self.ended.is_none()
                && self.group_is_empty().await
                && !family::any_marked(mark).await
            {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            let look = sleep(LOOK);
            tokio::pin!(look);
            loop {
                tokio::select! {
                    () = output.take() => {}
                    () = self.ended(), if self.ended.is_some() => break,
                    () = &mut look => break,
                }
            }
        }
    }

    async fn group_is_empty(&self) -> bool {
        match test_kill_process_group(self.group) {
            Err(Errno::SRCH) => true,
            // Where nobody reaps orphans, dead ones stay in it.
            _ => !family::any_in_group(self.group).await,
        }
    }

    fn end_of_itself(&self) -> End {
        let code = |number: i32| u8::try_from(number & 0xff).unwrap_or_default();
        match self.status {
            Some(status) => match (status.code(), status.signal()) {
                (Some(number), _) => End::Exited(code(number)),
                (None, signal) => End::Signalled(code(signal.unwrap_or_default())),
            },
            None => End::Signalled(code(Signal::KILL.as_raw())),
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if self.status.is_none() {
            // The agent stops, or nobody waits for it any more.
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }
}

/// Waits for a process on a thread of its own, without reaping it.
fn wait_apart(process: Pid) -> io::Result<oneshot::Receiver<()>> {
    let (ended, told) = oneshot::channel();
    let waiting = std::thread::Builder::new().name("child".to_owned());
    waiting.spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(process), options), Err(Errno::INTR)) {}
        let _ = ended.send(());
    })?;
    Ok(told)
}

/// What every program's environment has.
fn environment(user: Option<&User>) -> BTreeMap<String, OsString> {
    let own;
    let user = match user {
        Some(user) => user,
        None => {
            own = User::own();
            &own
        }
    };
    let name = OsString::from(&user.name);
    BTreeMap::from([
        ("PATH".to_owned(), OsString::from(PATH)),
        ("HOME".to_owned(), user.home.clone().into_os_string()),
        ("USER".to_owned(), name.clone()),
        ("LOGNAME".to_owned(), name),
        ("SHELL".to_owned(), user.shell.clone().into_os_string()),
        ("LANG".to_owned(), OsString::from("C.UTF-8")),
    ])
}

/// The pipe that a program prints into, and what was read of it.
struct Output<'a> {
    /// `None` once it has ended.
    pipe: Option<Receiver>,
    printed: Printed,
    reports: Option<&'a Reports>,
}

impl Output<'_> {
    /// Takes what there is; never returns once the pipe has ended.
    async fn take(&mut self) {
        let Some(pipe) = &mut self.pipe else {
            return std::future::pending().await;
        };
        let mut bytes = [0; READ_BYTES];
        match pipe.read(&mut bytes).await {
            Ok(0) | Err(_) => self.pipe = None,
            Ok(count) => self.keep(&bytes[..count]),
        }
    }

    /// Takes what is in the pipe, and does not wait: somebody who lives on may hold its other end.
    fn take_what_is_left(&mut self) {
        let mut bytes = [0; READ_BYTES];
        let mut left = LEFT_BYTES_MAX;
        while let Some(pipe) = &self.pipe {
            // Not tokio's `try_read`, which knows of nothing that came since the runtime last looked.
            match rustix::io::read(pipe, &mut bytes) {
                Err(Errno::INTR) => {}
                Ok(count) if count > 0 && left > 0 => {
                    left = left.saturating_sub(count);
                    self.keep(&bytes[..count]);
                }
                _ => self.pipe = None,
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(reports) = self.reports {
            reports.say(Report::Output {
                offset: self.printed.bytes,
                bytes: bytes.to_vec(),
            });
        }
        self.printed.push(bytes);
    }
}

/// What a program printed: how much, and the end of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Printed {
    tail: Vec<u8>,
    keep: usize,
    /// How many bytes in all.
    pub bytes: u64,
}

impl Printed {
    pub(super) fn new(keep: usize) -> Self {
        Self {
            tail: Vec::new(),
            keep,
            bytes: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.tail.extend_from_slice(bytes);
        // Twice what is kept, so that it is seldom moved.
        if self.tail.len() > self.keep.saturating_mul(2) {
            self.tail.drain(..self.tail.len() - self.keep);
        }
    }

    /// The end of it as text of at most as many bytes as are kept, with U+FFFD for what is no UTF-8.
    pub(super) fn text(&self) -> String {
        let tail = &self.tail[self.tail.len().saturating_sub(self.keep)..];
        let text = String::from_utf8_lossy(tail);
        // U+FFFD takes three bytes for what was one.
        let begin = text.ceil_char_boundary(text.len().saturating_sub(self.keep));
        text[begin..].to_owned()
    }
}

/// A text in memory that a program can open by a path, and nobody can change: nothing of it is ever on a
/// disk, and nothing stays of it after a crash.
pub(super) fn text_in_memory(text: &str) -> io::Result<(OwnedFd, PathBuf)> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    use std::io::Write as _;

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag that newer ones may insist on.
    let descriptor = memfd_create("script", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| memfd_create("script", flags))?;
    let mut file = File::from(descriptor);
    file.write_all(text.as_bytes())?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(file.as_fd(), seals)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    Ok((file.into(), path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// A program may print its last and end before the runtime has looked at its pipe once more.
    #[tokio::test]
    async fn what_was_printed_last_is_not_lost() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut output = Output {
            pipe: Some(Receiver::from_owned_fd(reader.into()).unwrap()),
            printed: Printed::new(64),
            reports: None,
        };
        writer.write_all(b"last words").unwrap();
        output.take_what_is_left();
        assert_eq!(output.printed.text(), "last words");
    }
}
