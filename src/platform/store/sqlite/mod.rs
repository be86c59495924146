//! The embedded store: SQLite with a write-ahead log, every commit synced. One thread writes and
//! puts what has queued into one transaction (a sync costs the same for one change as for a hundred);
//! two more read beside it, and one carries the log over (`checkpoint`). The operations themselves are in `operations`, those on
//! events in `events`; the audit log's chain is in `audit`.

mod alert_channels;
mod alert_rules;
mod alert_silences;
mod alerts;
mod audit;
mod backup;
mod changes;
mod checkpoint;
mod commands;
mod deliveries;
mod delivery_schema;
mod enrolment;
mod events;
mod files;
mod fleet;
mod groups;
mod health;
mod journals;
mod once;
mod operations;
mod recent;
mod schema;
mod search;
mod track;
mod users;
mod values;
mod watched;
mod wave_schema;
mod waves;

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{Instrument as _, error, trace_span};

use super::{StoreError, StoreFigures};
use crate::audit::Place;
use crate::audit::seal::AuditKey;
use crate::platform::traces::TARGET;
use audit::Chain;
use checkpoint::Checkpoints;
use journals::Epoch;
use recent::Recent;

/// Changes that wait for the writer; past that whoever asks waits.
const WRITES_QUEUED_MAX: usize = 1024;
/// Reads that wait for one reader.
const READS_QUEUED_MAX: usize = 1024;
/// Changes in one transaction. An earlier spike wrote 221k rows/s at 64 and 318k at 512, where the
/// slowest commits already took 27 ms and more.
const BATCH_MAX: usize = 128;
/// Readers, each a thread with a connection of its own.
const READERS: usize = 2;

/// The store in one SQLite file. Dropping it finishes what was queued.
pub struct SqliteStore {
    path: PathBuf,
    writer: Option<mpsc::Sender<Job>>,
    readers: Vec<mpsc::Sender<Read>>,
    next_reader: AtomicUsize,
    threads: Vec<JoinHandle<()>>,
    chain: Arc<Mutex<Chain>>,
    figures: Arc<StoreFigures>,
    recent: Arc<Recent>,
    /// How far the log of events goes, as it was committed.
    event_head: Arc<watch::Sender<u64>>,
    epoch: Epoch,
}

/// The writer's connection within a transaction, and how far the audit log's chain and the log of
/// events go in it.
struct Transaction<'a> {
    connection: &'a Connection,
    key: &'a AuditKey,
    head: Cell<Place>,
    event_head: Cell<u64>,
    /// Events that are not in their table yet.
    events: RefCell<Vec<events::Written>>,
    epoch: Epoch,
    /// Whether something in it may have changed a host.
    concerns_hosts: Cell<bool>,
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// A change: runs in a savepoint and says whether to keep it; its answer goes out after the commit.
/// Where there is no transaction it gets the error in place of the connection, on which it would
/// otherwise stand by itself.
type Job = Box<dyn FnOnce(Result<&Transaction<'_>, StoreError>) -> (bool, Answer) + Send>;
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
type Read = Box<dyn FnOnce(&Connection) + Send>;

impl SqliteStore {
    /// Opens the database, makes it when it is not there, and brings its schema up to date. `key`
    /// signs the audit log; where the log does not end as it was signed, an entry says so for good.
    ///
    /// # Errors
    /// When the file cannot be used, or was written by a newer release.
    pub fn open(path: &Path, key: Arc<AuditKey>) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA busy_timeout = 5000; PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -16384;",
        )?;
        schema::migrate(&mut connection, &key)?;
        connection.set_prepared_statement_cache_capacity(64);
        let chain = Arc::new(Mutex::new(Chain::load(&connection, &key)?));
        backup::settle_copy(&mut connection)?;
        let epoch = Epoch::load(&connection)?;

        let (writer, jobs) = mpsc::channel(WRITES_QUEUED_MAX);
        let mut threads = Vec::with_capacity(1 + READERS);
        let event_head = Arc::new(watch::Sender::new(events::head(&connection)?));
        let mut readers = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let connection = Connection::open_with_flags(
                path,
                OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?;
            connection.execute_batch("PRAGMA query_only = ON; PRAGMA busy_timeout = 5000;")?;
            connection.set_prepared_statement_cache_capacity(64);
            let (reader, mut reads) = mpsc::channel::<Read>(READS_QUEUED_MAX);
            threads.push(spawn("store-reader", move || {
                while let Some(read) = reads.blocking_recv() {
                    read(&connection);
                }
            })?);
            readers.push(reader);
        }
        let figures = Arc::new(figures(&writer, &readers));
        let (written, counted) = (chain.clone(), figures.clone());
        let told = event_head.clone();
        let recent = Arc::new(Recent::default());
        let stale = recent.clone();
        let (mut checkpoints, thread) = Checkpoints::start(path, &connection)?;
        threads.push(thread);
        threads.push(spawn("store-writer", move || {
            let desk = Desk {
                connection: &connection,
                key: &key,
                epoch,
            };
            write_loop(
                &desk,
                &written,
                &told,
                &stale,
                jobs,
                &counted,
                &mut checkpoints,
            )
        })?);
        Ok(Self {
            path: path.to_owned(),
            writer: Some(writer),
            readers,
            next_reader: AtomicUsize::new(0),
            threads,
            chain,
            figures,
            recent,
            event_head,
            epoch,
        })
    }

    /// What it tells of itself.
    pub fn figures(&self) -> Arc<StoreFigures> {
        self.figures.clone()
    }

    /// How far the audit log goes, as it was committed.
    fn head(&self) -> Place {
        // A place is copied in and out whole.
        self.chain
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .head()
    }

    /// Runs a change in the writer's next transaction; answers after its commit.
    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let change = move |transaction: &Transaction<'_>| {
            transaction.concerns_hosts.set(true);
            change(transaction)
        };
        self.write_beside_hosts(change).await
    }

    /// The same for a change after which every host, with its labels and groups, is what it was before.
    async fn write_beside_hosts<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, receiver) = job(change);
        let writer = self.writer.as_ref().ok_or(StoreError::Stopped)?;
        let written = async {
            writer.send(job).await.map_err(|_| StoreError::Stopped)?;
            receiver.await.map_err(|_| StoreError::Stopped)?
        };
        written
            .instrument(trace_span!(target: TARGET, "store.write"))
            .await
    }

    /// Runs a read on one of the readers, which see everything that was answered before.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            let _ = sender.send(query(connection));
        });
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed) % READERS;
        let reader = self.readers.get(turn).ok_or(StoreError::Stopped)?;
        let found = async {
            reader.send(read).await.map_err(|_| StoreError::Stopped)?;
            receiver.await.map_err(|_| StoreError::Stopped)?
        };
        found
            .instrument(trace_span!(target: TARGET, "store.read"))
            .await
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.writer = None;
        self.readers.clear();
        for thread in self.threads.drain(..) {
            // A thread that panicked has already said so, and there is no more to lose.
            let _ = thread.join();
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::QueryReturnedNoRows => Self::NotFound,
            error => Self::Failed(error.to_string()),
        }
    }
}

/// Figures that know the queues, and keep none of them open.
fn figures(writer: &mpsc::Sender<Job>, readers: &[mpsc::Sender<Read>]) -> StoreFigures {
    fn waiting<T>(queue: &mpsc::WeakSender<T>) -> usize {
        let queue = queue.upgrade();
        queue.map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }
    let writer = writer.downgrade();
    let readers: Vec<_> = readers.iter().map(mpsc::Sender::downgrade).collect();
    StoreFigures::new(move || (waiting(&writer), readers.iter().map(waiting).sum()))
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| StoreError::Failed(error.to_string()))
}

/// A change for the writer, and where its answer comes out.
fn job<T: Send + 'static>(
    change: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T, StoreError>>) {
    let (sender, receiver) = oneshot::channel();
    let job: Job = Box::new(move |connection| {
        let result = connection.and_then(change);
        let keep = result.is_ok();
        let answer: Answer = Box::new(move |committed| {
            // Whoever asked may have given up; the change stands all the same.
            let _ = sender.send(committed.and(result));
        });
        (keep, answer)
    });
    (job, receiver)
}

/// What the writer has before it, in every transaction.
struct Desk<'a> {
    connection: &'a Connection,
    key: &'a AuditKey,
    epoch: Epoch,
}

fn write_loop(
    desk: &Desk<'_>,
    chain: &Mutex<Chain>,
    event_head: &watch::Sender<u64>,
    recent: &Recent,
    mut jobs: mpsc::Receiver<Job>,
    figures: &StoreFigures,
    checkpoints: &mut Checkpoints,
) {
    let mut answers = Vec::with_capacity(BATCH_MAX);
    while let Some(first) = jobs.blocking_recv() {
        let transaction = Transaction {
            connection: desk.connection,
            key: desk.key,
            epoch: desk.epoch,
            head: Cell::new(chain.lock().unwrap_or_else(PoisonError::into_inner).head()),
            event_head: Cell::new(*event_head.borrow()),
            events: RefCell::default(),
            concerns_hosts: Cell::new(false),
        };
        let begun = Instant::now();
        let committed = commit(&transaction, first, &mut jobs, &mut answers);
        figures.commit.observe(begun.elapsed().as_secs_f64());
        // As many as were put into it, at most BATCH_MAX.
        figures.changes.observe(answers.len() as f64);
        if committed.is_ok() {
            if transaction.concerns_hosts.get() {
                recent.committed();
            }
            let mut chain = chain.lock().unwrap_or_else(PoisonError::into_inner);
            chain.committed(transaction.head.get());
            let head = transaction.event_head.get();
            event_head.send_if_modified(|told| std::mem::replace(told, head) != head);
        }
        if let Err(error) = &committed {
            figures.failures.inc();
            error!(%error, "the store could not commit");
            if !desk.connection.is_autocommit() {
                let _ = desk.connection.execute_batch("ROLLBACK");
            }
        }
        for answer in answers.drain(..) {
            answer(committed.clone());
        }
        checkpoints.committed(desk.connection);
    }
}

/// One transaction: the first change and what else has queued, and the signature of how far the audit
/// log goes with them. A change that fails is undone alone; when the database itself fails, all of
/// them do.
fn commit(
    transaction: &Transaction<'_>,
    first: Job,
    jobs: &mut mpsc::Receiver<Job>,
    answers: &mut Vec<Answer>,
) -> Result<(), StoreError> {
    let mut next = Some(first);
    let execute = |sql| {
        let mut statement = transaction.prepare_cached(sql)?;
        statement.execute([]).map(drop).map_err(StoreError::from)
    };
    let head_before = transaction.head.get();
    let mut begun = execute("BEGIN IMMEDIATE");
    while let Some(job) = next {
        if begun.is_ok() {
            begun = execute("SAVEPOINT change");
        }
        let head = transaction.head.get();
        let events = transaction.events.borrow().len();
        let (keep, answer) = job(begun.clone().map(|()| transaction));
        answers.push(answer);
        if !keep {
            transaction.head.set(head);
            transaction.events.borrow_mut().truncate(events);
        }
        if begun.is_ok() {
            if !keep {
                begun = execute("ROLLBACK TO change");
            }
            begun = begun.and_then(|()| execute("RELEASE change"));
        }
        next = if answers.len() < BATCH_MAX && begun.is_ok() {
            jobs.try_recv().ok()
        } else {
            None
        };
    }
    begun?;
    transaction.write_events()?;
    if transaction.head.get() != head_before {
        transaction.seal()?;
    }
    execute("COMMIT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Entry;
    use crate::clock::UnixMillis;

    pub(super) fn key() -> Arc<AuditKey> {
        let pem = AuditKey::generate_pem([1; 32]);
        Arc::new(AuditKey::from_pem(pem.expose()).expect("a key"))
    }

    #[test]
    fn without_a_transaction_nothing_is_changed() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("platform.db");
        drop(SqliteStore::open(&path, key()).expect("opened"));
        let (connection, other) = (Connection::open(&path), Connection::open(&path));
        let (connection, other) = (connection.expect("opened"), other.expect("opened"));
        for connection in [&connection, &other] {
            connection
                .execute_batch("PRAGMA busy_timeout = 0")
                .expect("set");
        }
        other.execute_batch("BEGIN IMMEDIATE").expect("begun");
        let (job, mut answer) = job(move |connection| {
            // Whoever held the lock lets go just now.
            other.execute_batch("ROLLBACK")?;
            connection.execute_batch("INSERT INTO groups VALUES ('a', 'a', '', 0, 1)")?;
            Ok(())
        });
        let (_jobs_in, mut jobs) = mpsc::channel(1);
        let mut answers = Vec::new();
        let key = key();
        let transaction = Transaction {
            epoch: Epoch {
                number: 1,
                id: crate::ids::Uuid::nil(),
            },
            connection: &connection,
            key: &key,
            head: Cell::new(Place::START),
            event_head: Cell::new(0),
            events: RefCell::default(),
            concerns_hosts: Cell::new(false),
        };
        let committed = commit(&transaction, job, &mut jobs, &mut answers);
        assert!(
            matches!(committed, Err(StoreError::Failed(_))),
            "{committed:?}"
        );
        for answer in answers {
            answer(committed.clone());
        }
        assert_eq!(answer.try_recv().expect("answered"), committed);
        let count = "SELECT count(*) FROM groups";
        let count: i64 = connection
            .query_row(count, [], |row| row.get(0))
            .expect("read");
        assert_eq!(count, 0, "an answer of an error is no change");
    }

    /// A closed store with three entries, changed by these statements, whose triggers are off.
    fn tampered(statements: &str) -> (tempfile::TempDir, Vec<(u64, String)>) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("platform.db");
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime");
        let audit = |store: &SqliteStore| {
            let entry = Entry::new(UnixMillis(1000), "admin", "test.do", "host:1");
            let written = crate::platform::store::Store::audit(store, entry);
            runtime.block_on(written).expect("written");
        };
        let store = SqliteStore::open(&path, key()).expect("opened");
        (0..3).for_each(|_| audit(&store));
        drop(store);
        let connection = Connection::open(&path).expect("opened");
        connection
            .execute_batch("DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted;")
            .expect("dropped");
        connection.execute_batch(statements).expect("changed");
        drop(connection);
        let store = SqliteStore::open(&path, key()).expect("opened");
        audit(&store);
        let page = crate::platform::store::Store::audit_after(&store, 0, 10);
        let page = runtime.block_on(page).expect("read");
        let entries = page.entries.into_iter();
        let read = entries.map(|chained| (chained.sequence, chained.entry.action));
        (dir, read.collect())
    }

    #[tokio::test]
    async fn nothing_done_to_the_database_is_removed_or_signed() {
        use crate::platform::store::Store as _;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("platform.db");
        let store = SqliteStore::open(&path, key()).expect("opened");
        let entry = || Entry::new(UnixMillis(1000), "admin", "test.do", "host:1");
        for _ in 0..3 {
            store.audit(entry()).await.expect("written");
        }
        let other = Connection::open(&path).expect("opened");
        let change = "UPDATE audit SET actor = 'other' WHERE sequence = 2";
        assert!(other.execute_batch(change).is_err(), "it is append-only");
        assert!(other.execute_batch("DELETE FROM audit").is_err());
        other
            .execute_batch(&format!("DROP TRIGGER audit_is_not_changed; {change}"))
            .expect("changed");
        let removed = store.audit_remove(UnixMillis(2000), 100, UnixMillis(3000));
        assert_eq!(removed.await, Err(StoreError::AuditBroken(2)));
        // The chain goes on from what was written, not from what stands there now.
        let before = store.head();
        other
            .execute_batch("UPDATE audit_head SET sequence = 1, hash = zeroblob(32)")
            .expect("changed");
        store.audit(entry()).await.expect("written");
        assert_eq!(store.head(), before.after(&entry()));
        let entries = store.audit_after(0, 10).await.expect("read").entries;
        assert_eq!(entries.len(), 4, "all are kept, as evidence");
    }

    #[test]
    fn a_log_that_does_not_end_as_it_was_signed_says_so_for_good() {
        let broken = |statements: &str| {
            let (_dir, read) = tampered(statements);
            read.iter()
                .any(|(_, action)| action == crate::audit::ACTION_BROKEN)
        };
        assert!(!broken(""));
        for statements in [
            "DELETE FROM audit WHERE sequence = 3",
            "DELETE FROM audit",
            "UPDATE audit SET hash = zeroblob(32) WHERE sequence = 3",
            "UPDATE audit_head SET sequence = 2",
            "UPDATE audit_head SET signature = zeroblob(64)",
            "UPDATE audit_head SET signature = x'00'",
            "DELETE FROM audit_head",
            "INSERT INTO audit SELECT 4, at, actor, action, target, host, session, outcome, details,
                hash FROM audit WHERE sequence = 3",
            "UPDATE audit_start SET sequence = 1",
            "DELETE FROM audit_start",
        ] {
            assert!(broken(statements), "{statements}");
        }
        let (_dir, read) = tampered("DELETE FROM audit WHERE sequence = 3");
        let numbers: Vec<_> = read.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(numbers, [1, 2, 4, 5], "what is gone stays a gap");
    }
}
