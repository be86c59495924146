//! The processes of a command, found in /proc: those of a group, and those that carry the command's mark
//! in their environment, wherever they went. It looks and signals; when that is due is for others to say.
//!
//! A command has the same id at each of its hosts, and a machine may have the agents of several: the mark
//! names both.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// The variables that every program of a command has: the command's id, and that of the agent's host.
const COMMAND: &str = "FLEETWIRE_COMMAND_ID";
const HOST: &str = "FLEETWIRE_HOST_ID";

/// More than a command's environment can hold.
const ENVIRONMENT_BYTES_MAX: u64 = 4 << 20;

/// The host whose agent this is, as its platform calls it.
#[derive(Clone, Debug)]
pub(super) struct Owner(Arc<str>);

impl Owner {
    pub(super) fn new(host: &str) -> Self {
        Self(host.into())
    }

    /// What tells the processes of one of its commands from all others.
    pub(super) fn mark(&self, command: &str) -> Mark {
        Mark {
            host: self.0.clone(),
            command: command.into(),
        }
    }
}

/// What all processes of a command have in their environment.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    host: Arc<str>,
    command: Arc<str>,
}

impl Mark {
    /// As variables of an environment.
    pub(super) fn variables(&self) -> [(&'static str, &str); 2] {
        [(COMMAND, &self.command), (HOST, &self.host)]
    }

    fn entries(&self) -> [Vec<u8>; 2] {
        let entry = |(name, value)| format!("{name}={value}").into_bytes();
        self.variables().map(entry)
    }
}

/// Whether anything lives in a process group.
pub(super) async fn any_in_group(group: Pid) -> bool {
    apart(move || processes().any(|process| group_of_living(process) == Some(group))).await
}

/// Whether anything lives that has this mark.
pub(super) async fn any_marked(mark: Option<&Mark>) -> bool {
    match mark {
        Some(mark) => {
            let mark = mark.entries();
            apart(move || processes().any(|process| is_marked(process, &mark))).await
        }
        None => false,
    }
}

/// Signals all that has this mark, and returns how many that were.
pub(super) async fn signal_marked(mark: &Mark, signal: Signal) -> usize {
    let mark = mark.entries();
    apart(move || {
        processes()
            .filter(|process| is_marked(*process, &mark))
            .filter(|process| signal_one(*process, &mark, signal))
            .count()
    })
    .await
}

/// Signals a process that has the mark, and no other that has its number by then.
fn signal_one(process: Pid, mark: &[Vec<u8>], signal: Signal) -> bool {
    match pidfd_open(process, PidfdFlags::empty()) {
        Ok(held) => is_marked(process, mark) && pidfd_send_signal(held, signal).is_ok(),
        // Before Linux 5.3.
        Err(rustix::io::Errno::NOSYS) => kill_process(process, signal).is_ok(),
        Err(_) => false,
    }
}

/// Looking through all processes takes a millisecond and more.
async fn apart<T: Default + Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> T {
    // It fails only where the runtime ends.
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

/// The group of a process that lives: proc(5), after its name, which may hold anything, comes its state,
/// its parent and its group.
fn group_of_living(process: Pid) -> Option<Pid> {
    let path = format!("/proc/{}/stat", process.as_raw_pid());
    let stat = crate::files::read_text(Path::new(&path), 4096).ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_ascii_whitespace();
    let living = !matches!(fields.next()?, "Z" | "X" | "x");
    let group = Pid::from_raw(fields.nth(1)?.parse().ok()?)?;
    living.then_some(group)
}

/// Whether a process lives that has these variables. A dead one has no environment any more, and of one that
/// the agent may not look at it is not known.
fn is_marked(process: Pid, mark: &[Vec<u8>]) -> bool {
    let mut environment = Vec::new();
    let read = File::open(format!("/proc/{}/environ", process.as_raw_pid())).and_then(|file| {
        file.take(ENVIRONMENT_BYTES_MAX)
            .read_to_end(&mut environment)
    });
    let has = |entry: &Vec<u8>| {
        let mut variables = environment.split(|byte| *byte == 0);
        variables.any(|variable| variable == entry)
    };
    read.is_ok() && mark.iter().all(has)
}
