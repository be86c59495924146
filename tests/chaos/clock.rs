//! A process's own wall clock, which can be moved while it runs (libfaketime).

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fleetwire::clock::UnixMillis;

/// The library for programs of several threads, as the package calls it.
const NAME: &str = "libfaketimeMT.so.1";

/// The clock of one process.
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
    seconds: AtomicI64,
}

impl Clock {
    /// A clock that is right, moved by way of that file.
    ///
    /// # Panics
    /// Without libfaketime.
    pub fn new(file: PathBuf) -> Self {
        let clock = Self {
            library: library(),
            file,
            seconds: AtomicI64::new(0),
        };
        clock.set(0);
        clock
    }

    /// Moves it this many seconds off. The process sees that within a second.
    pub fn set(&self, seconds: i64) {
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{seconds:+}\n")).expect("written");
        fs::rename(next, &self.file).expect("renamed");
        self.seconds.store(seconds, Ordering::SeqCst);
    }

    /// What it says, more or less.
    pub fn now(&self) -> UnixMillis {
        let seconds = self.seconds.load(Ordering::SeqCst);
        let off = Duration::from_secs(seconds.unsigned_abs());
        let right = UnixMillis::now();
        if seconds < 0 {
            UnixMillis(right.0.saturating_sub(off.as_millis() as u64))
        } else {
            right.plus(off)
        }
    }

    /// The same, where the process is to see each move at once: it looks each time that it asks for the time.
    pub fn give_exactly(&self, command: &mut Command) {
        self.give(command);
        command.env_remove("FAKETIME_CACHE_DURATION");
        command.env("FAKETIME_NO_CACHE", "1");
    }

    /// Gives it to a process that is yet to start. Timers run on as they do, and files have the times that
    /// they have: only the wall clock moves.
    pub fn give(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
        command.env("FAKETIME_TIMESTAMP_FILE", &self.file);
        command.env("FAKETIME_CACHE_DURATION", "1");
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command.env("NO_FAKE_STAT", "1");
    }
}

/// Where the library is: systems have it in places of their own, some with the architecture in them.
fn library() -> PathBuf {
    let roots = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    let within = roots.iter().filter_map(|root| fs::read_dir(root).ok());
    let within = within.flatten().flatten().map(|entry| entry.path());
    let mut places = roots.iter().cloned().chain(within);
    let found = places.find_map(|place| {
        let library = place.join("faketime").join(NAME);
        library.exists().then_some(library)
    });
    found.expect("no libfaketime: install Debian's libfaketime, or run tests/setup.sh as root")
}
