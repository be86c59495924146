//! What the end-to-end tests stand on: real programs as processes that end with the test, and waiting
//! for conditions rather than for time. What a test asserts is its own.

mod agent;
mod client;
mod platform;
mod process;

use std::time::{Duration, Instant};

pub use agent::{Agent, until_status};
pub use client::Client;
pub use platform::Platform;
pub use process::{Process, command, copy_files, mode};

/// How long anything may take on a loaded two-core machine. Nothing asserts how fast it was.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a condition.
const POLL: Duration = Duration::from_millis(20);

/// Waits until `condition` gives something.
///
/// # Panics
/// When it has not after [`PATIENCE`].
pub fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, condition)
}

/// The same for what may take longer.
///
/// # Panics
/// When it has not after so long.
pub fn until_within<T>(
    patience: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(POLL);
    }
}

/// Waits until `condition` holds, where looking is itself async.
///
/// # Panics
/// When it does not after [`PATIENCE`].
pub async fn until_true(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let look = async {
        while !condition().await {
            tokio::time::sleep(POLL).await;
        }
    };
    let came = tokio::time::timeout(PATIENCE, look).await;
    assert!(came.is_ok(), "{what} did not come");
}

/// Leaves the packages of this machine to one test at a time, for as long as what is returned is held: its
/// package manager does not wait for all of its own locks.
pub fn this_machines_packages() -> std::fs::File {
    let path = std::env::temp_dir().join("fleetwire-test-packages.lock");
    let file = std::fs::File::create(&path).expect("made");
    file.lock().expect("locked");
    file
}
