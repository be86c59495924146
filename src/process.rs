//! What a program asks of its own process: as many open files as it may have, and an end together
//! with whoever started it. Signals are taken where they are acted on.

use std::{fs, io, thread, time::Duration};

use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Lets this process open as many files as the system allows it, and returns how many that is;
/// `None` where there is no limit. Each connection is one, and what a process starts with (1024,
/// on most systems) is kept that low for programs that use select(2), of which this is none.
pub fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        // It stays as it was, which whoever asked can see.
        Err(_) => limit.current,
    }
}

/// What this process has taken of the system; `None` for what the system does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// CPU time, of the program and of the system for it.
    pub cpu: Duration,
    /// Memory that it holds.
    pub resident_bytes: Option<u64>,
    /// Files that are open.
    pub open_files: Option<u64>,
    /// Files that may be open.
    pub open_files_max: Option<u64>,
}

/// Looks at this process. It reads a few files of the system's, and a folder with an entry for each
/// open file where the kernel is older than 6.2.
pub fn usage() -> Usage {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    Usage {
        cpu: Duration::try_from(cpu).unwrap_or_default(),
        resident_bytes: resident_bytes(),
        open_files: open_files(),
        open_files_max: getrlimit(Resource::Nofile).current,
    }
}

fn resident_bytes() -> Option<u64> {
    // proc(5): the whole size, then what is resident, in pages.
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split(' ').nth(1)?.parse().ok()?;
    let page_bytes = u64::try_from(rustix::param::page_size()).ok()?;
    pages.checked_mul(page_bytes)
}

fn open_files() -> Option<u64> {
    match fs::metadata("/proc/self/fd").ok()?.len() {
        0 => u64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok(),
        count => Some(count),
    }
}

/// Ends this process as SIGTERM does once its standard input has ended: when whoever holds the other
/// end of that pipe is gone, however it went.
///
/// # Errors
/// When the system has no thread to wait on.
pub fn end_with_stdin() -> io::Result<()> {
    let waiting = thread::Builder::new().name("stdin".to_owned());
    waiting.spawn(|| {
        // A fault ends the pipe as well as its end does.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        // No process lacks the right to signal itself.
        let _ = kill_process(getpid(), Signal::TERM);
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_what_it_takes() {
        let before = usage();
        let held: Vec<_> = (0..64)
            .map(|_| fs::File::open("/proc/self/statm"))
            .collect();
        let after = usage();
        assert!(held.iter().all(Result::is_ok));
        assert!(after.open_files > before.open_files, "{before:?} {after:?}");
        assert!(after.open_files_max >= after.open_files);
        assert!(after.resident_bytes > Some(1 << 20), "{after:?}");
        assert!(after.cpu >= before.cpu && after.cpu > Duration::ZERO);
    }
}
