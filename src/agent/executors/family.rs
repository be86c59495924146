//! The processes of a command, found in /proc: those of a group, and those that carry the command's mark
//! in their environment, wherever they went. It looks and signals; when that is due is for others to say.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// The variable that every program of a command has: the command's id.
pub(super) const MARK: &str = "FLEETWIRE_COMMAND_ID";

/// More than a command's environment can hold.
const ENVIRONMENT_BYTES_MAX: u64 = 4 << 20;

/// Whether anything lives in a process group.
pub(super) async fn any_in_group(group: Pid) -> bool {
    apart(move || processes().any(|process| group_of_living(process) == Some(group))).await
}

/// Whether anything lives that has this mark.
pub(super) async fn any_marked(mark: Option<&str>) -> bool {
    match mark {
        Some(mark) => {
            let mark = entry(mark);
            apart(move || processes().any(|process| is_marked(process, &mark))).await
        }
        None => false,
    }
}

/// Signals all that has this mark, and returns how many that were.
pub(super) async fn signal_marked(mark: String, signal: Signal) -> usize {
    let mark = entry(&mark);
    apart(move || {
        processes()
            .filter(|process| is_marked(*process, &mark))
            .filter(|process| signal_one(*process, &mark, signal))
            .count()
    })
    .await
}

/// Signals a process that has the mark, and no other that has its number by then.
fn signal_one(process: Pid, mark: &[u8], signal: Signal) -> bool {
    match pidfd_open(process, PidfdFlags::empty()) {
        Ok(held) => is_marked(process, mark) && pidfd_send_signal(held, signal).is_ok(),
        // Before Linux 5.3.
        Err(rustix::io::Errno::NOSYS) => kill_process(process, signal).is_ok(),
        Err(_) => false,
    }
}

fn entry(mark: &str) -> Vec<u8> {
    format!("{MARK}={mark}").into_bytes()
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

/// Whether a process lives that has this variable. A dead one has no environment any more, and of one that
/// the agent may not look at it is not known.
fn is_marked(process: Pid, mark: &[u8]) -> bool {
    let mut environment = Vec::new();
    let read = File::open(format!("/proc/{}/environ", process.as_raw_pid())).and_then(|file| {
        file.take(ENVIRONMENT_BYTES_MAX)
            .read_to_end(&mut environment)
    });
    read.is_ok()
        && environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark)
}
