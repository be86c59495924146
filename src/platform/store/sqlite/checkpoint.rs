//! Carrying the write-ahead log over into the database's file, on a thread and a connection of its own, so that
//! no commit waits for it. As long as commits go on beside it the log never comes to an end at which SQLite
//! would begin it anew; so where it has grown long, the writer carries over the little that is left by then
//! itself, between two transactions.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tracing::warn;

use super::super::StoreError;

/// Pages in the log that are worth carrying over. SQLite's own default. A page that is written over and over
/// is carried over once.
const WORTH_PAGES: i64 = 1000;
/// Pages of a log that is long: 64 MiB on disk, read in tenths of a second by a start after a crash.
const LONG_PAGES: i64 = 16 << 10;
/// Commits after which it is looked how long the log is, unless this much time has gone by before.
const LOOK_COMMITS: u32 = 32;
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// The writer's side.
pub(super) struct Checkpoints {
    wake: SyncSender<()>,
    /// The log is long, and all but carried over.
    is_long: Arc<AtomicBool>,
    commits: u32,
    woken_at: Instant,
}

impl Checkpoints {
    /// Takes over from SQLite, whose commits carry the log over themselves. The thread ends with the
    /// writer's side.
    pub fn start(path: &Path, writer: &Connection) -> Result<(Self, JoinHandle<()>), StoreError> {
        writer.pragma_update(None, "wal_autocheckpoint", 0)?;
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA busy_timeout = 0;",
        )?;
        let (wake, woken) = sync_channel(1);
        let is_long = Arc::new(AtomicBool::new(false));
        let told = is_long.clone();
        let thread = super::spawn("store-log", move || carry_over(&connection, &woken, &told))?;
        let checkpoints = Self {
            wake,
            is_long,
            commits: 0,
            woken_at: Instant::now(),
        };
        Ok((checkpoints, thread))
    }

    /// A transaction was committed, and no other has begun.
    pub fn committed(&mut self, writer: &Connection) {
        if self.is_long.swap(false, Ordering::Relaxed)
            && let Err(error) = checkpoint(writer, "PASSIVE")
        {
            warn!(%error, "the store's log could not be carried over");
        }
        self.commits += 1;
        if self.commits >= LOOK_COMMITS || self.woken_at.elapsed() >= LOOK_AFTER {
            (self.commits, self.woken_at) = (0, Instant::now());
            // Full: it is to look already.
            let _ = self.wake.try_send(());
        }
    }
}

fn carry_over(connection: &Connection, woken: &Receiver<()>, is_long: &AtomicBool) {
    while woken.recv().is_ok() {
        let looked = checkpoint(connection, "NOOP").and_then(|(pages, done)| {
            if pages - done < WORTH_PAGES {
                return Ok(());
            }
            let (pages, _) = checkpoint(connection, "PASSIVE")?;
            is_long.store(pages >= LONG_PAGES, Ordering::Relaxed);
            Ok(())
        });
        if let Err(error) = looked {
            warn!(%error, "the store's log could not be carried over");
        }
    }
}

/// How many pages the log has, and how many of them are carried over. Where another connection is at it
/// there is nothing to do.
fn checkpoint(connection: &Connection, mode: &str) -> Result<(i64, i64), StoreError> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let mut query = connection.prepare_cached(&sql)?;
    Ok(query.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_written_on_and_on_begins_anew() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("platform.db");
        let writer = Connection::open(&path).expect("opened");
        writer
            .execute_batch(
                "PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB);",
            )
            .expect("made");
        let (mut checkpoints, thread) = Checkpoints::start(&path, &writer).expect("started");
        let write = |count: usize| {
            let sql = "INSERT INTO t (b) WITH RECURSIVE c(n) AS
                (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?1) SELECT zeroblob(4000) FROM c";
            writer.execute(sql, [count]).expect("written");
        };
        // Until the log is long, and then once more to the moment at which it begins anew.
        let mut highest = 0;
        loop {
            write(500);
            checkpoints.woken_at -= LOOK_AFTER;
            checkpoints.committed(&writer);
            let (pages, done) = checkpoint(&writer, "NOOP").expect("looked");
            assert!(done <= pages);
            if pages < highest {
                break;
            }
            highest = pages;
            assert!(pages < 4 * LONG_PAGES, "it grows without end");
        }
        drop(checkpoints);
        thread.join().expect("ended");
    }
}
