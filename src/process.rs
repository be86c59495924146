//! What a program asks of its own process: as many open files as it may have, and an end together
//! with whoever started it. Signals are taken where they are acted on.

use std::{io, thread};

use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};

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
