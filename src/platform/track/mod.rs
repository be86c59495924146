//! The message track: what passed between the platform and its agents, by its id, type, direction, size,
//! time and outcome, and nothing of what was in it. `tap` looks on at a connection; here what it noted is
//! written down, in batches and off every connection's way. What comes faster than it can be written is
//! counted, and a gap in the track says how much that was.

mod tap;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{info, warn};

use super::store::track::Tracked;
use super::store::{Store, StoreError};
use crate::clock::UnixMillis;
pub use tap::{ConnectionTap, Place};

/// Entries that wait to be written: 3 MiB of them.
const WAITING_MAX: usize = 8192;
/// Entries written in one change: others wait for no more than some milliseconds. Of a thousand hosts each entry
/// changes a page of an index; of 128 together an entry writes 2.3 KB, of 1024 it is 1 KB.
const WRITTEN_MAX: usize = 512;
/// What has come is written after this long, so that it is more than one entry.
const GATHERED_FOR: Duration = Duration::from_millis(100);
/// After the store has failed.
const RETRY: Duration = Duration::from_secs(1);
/// Entries removed in one change.
const REMOVED_MAX: usize = 4096;
/// Entries of whoever was not let in, at once and each second: strangers are not to crowd out hosts.
const STRANGERS: (u32, u32) = (256, 16);

/// What is tracked beside what always is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// The heads and ends of streams: two entries and more for each request of a console session.
    pub requests: bool,
    /// Heartbeats and their answers: eight entries a minute and host.
    pub heartbeats: bool,
}

/// The track of a platform.
pub struct Track {
    settings: Settings,
    store: Arc<dyn Store>,
    waiting: Mutex<Waiting>,
    woken: Notify,
    /// Held by whoever writes.
    writing: tokio::sync::Mutex<()>,
}

struct Waiting {
    entries: VecDeque<Tracked>,
    /// How many there was no room for since the last gap was written.
    missed: u64,
    strangers: Allowance,
}

/// How many entries may come, at once and each second.
struct Allowance {
    left: u32,
    most: u32,
    each_second: u32,
    as_of: Instant,
}

impl Allowance {
    fn new((most, each_second): (u32, u32)) -> Self {
        Self {
            left: most,
            most,
            each_second,
            as_of: Instant::now(),
        }
    }

    fn spend(&mut self) -> bool {
        if self.left == 0 {
            let seconds = self.as_of.elapsed().as_secs();
            if seconds > 0 {
                let earned = u32::try_from(seconds).unwrap_or(u32::MAX);
                self.left = earned.saturating_mul(self.each_second).min(self.most);
                self.as_of = Instant::now();
            }
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

impl Track {
    /// A track over a store.
    pub fn new(settings: Settings, store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            settings,
            store,
            waiting: Mutex::new(Waiting {
                entries: VecDeque::new(),
                missed: 0,
                strangers: Allowance::new(STRANGERS),
            }),
            woken: Notify::new(),
            writing: tokio::sync::Mutex::new(()),
        })
    }

    /// Takes an entry to be written. Waits for nothing.
    fn put(&self, tracked: Tracked) {
        let mut waiting = self.waiting();
        let allowed = tracked.host.is_some() || waiting.strangers.spend();
        if allowed && waiting.entries.len() < WAITING_MAX {
            waiting.entries.push_back(tracked);
        } else {
            waiting.missed += 1;
        }
        drop(waiting);
        self.woken.notify_one();
    }

    /// Counts what is not written down.
    fn miss(&self) {
        self.waiting().missed += 1;
        self.woken.notify_one();
    }

    /// Writes until it is dropped.
    pub async fn run(self: Arc<Self>) {
        loop {
            self.woken.notified().await;
            sleep(GATHERED_FOR).await;
            while let Err(error) = self.write_waiting().await {
                warn!(%error, "tracked messages could not be written yet");
                sleep(RETRY).await;
            }
        }
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// When the store fails: then it still waits.
    pub async fn write_waiting(&self) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        loop {
            let (mut batch, missed): (Vec<_>, _) = {
                let waiting = self.waiting();
                let batch = waiting.entries.iter().take(WRITTEN_MAX).cloned();
                (batch.collect(), waiting.missed)
            };
            let count = batch.len();
            if missed > 0 {
                batch.push(gap(missed));
            }
            if batch.is_empty() {
                return Ok(());
            }
            self.store.put_tracked(batch).await?;
            let mut waiting = self.waiting();
            waiting.entries.drain(..count);
            waiting.missed -= missed;
        }
    }

    /// Removes what is kept no longer: what is older, and what is beyond so many.
    pub async fn remove_old(&self, keep: Duration, kept: u64) {
        let now = UnixMillis::now();
        let before = UnixMillis(now.0.saturating_sub(keep.as_millis() as u64));
        let mut removed = 0;
        loop {
            match self.store.remove_tracked(before, kept, REMOVED_MAX).await {
                Ok(count) => {
                    removed += count;
                    if count < REMOVED_MAX {
                        break;
                    }
                }
                Err(error) => {
                    warn!(%error, "old entries of the message track were not removed");
                    break;
                }
            }
        }
        if removed > 0 {
            info!(removed, "removed old entries of the message track");
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gap(missed: u64) -> Tracked {
    Tracked {
        at: UnixMillis::now(),
        host: None,
        address: String::new(),
        direction: None,
        message_type: "".into(),
        message_id: String::new(),
        size: 0,
        outcome: None,
        code: "".into(),
        missed,
    }
}
