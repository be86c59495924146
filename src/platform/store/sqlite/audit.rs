//! The audit log in SQLite: entries with their hashes, where the log begins and how far it goes, both
//! signed. The writer knows from its own memory how far it goes, so that nothing done to the database
//! is ever signed; a database that was changed while the platform was stopped is found at its start.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tracing::error;

use super::super::{AuditPage, AuditSpan, StoreError};
use super::Transaction;
use super::values::signed;
use crate::audit::seal::{AuditKey, Head, SIGNATURE_BYTES, Start};
use crate::audit::{ACTION_BROKEN, ACTION_REMOVED, Chained, Entry, Hash, Outcome, Place};
use crate::clock::UnixMillis;
use crate::platform::events::Event;

/// The tables. An entry goes only once the log begins after it.
const SCHEMA: &str = "
    ALTER TABLE audit RENAME TO audit_unchained;
    DROP TRIGGER audit_is_not_changed;
    DROP TRIGGER audit_is_not_deleted;

    CREATE TABLE audit (
        sequence INTEGER PRIMARY KEY,
        at       INTEGER NOT NULL,
        actor    TEXT NOT NULL,
        action   TEXT NOT NULL,
        target   TEXT NOT NULL,
        host     TEXT NOT NULL,
        session  TEXT NOT NULL,
        outcome  TEXT NOT NULL,
        details  TEXT NOT NULL,
        hash     BLOB NOT NULL
    ) STRICT;
    CREATE TABLE audit_head (
        id        INTEGER PRIMARY KEY CHECK (id = 1),
        sequence  INTEGER NOT NULL,
        hash      BLOB NOT NULL,
        at        INTEGER NOT NULL,
        signature BLOB NOT NULL
    ) STRICT;
    CREATE TABLE audit_start (
        id        INTEGER PRIMARY KEY CHECK (id = 1),
        sequence  INTEGER NOT NULL,
        hash      BLOB NOT NULL,
        signature BLOB NOT NULL
    ) STRICT;
    CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
        WHEN OLD.sequence > (SELECT max(sequence) FROM audit_start)
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
";

/// How far the log goes, as it was committed.
pub(super) struct Chain(Place);

impl Chain {
    /// Reads how far the log goes, and looks whether it is still as it was signed. Where it is not,
    /// an entry that says so is the next: no export across it verifies.
    pub(super) fn load(connection: &Connection, key: &AuditKey) -> Result<Self, StoreError> {
        let head = head(connection)?;
        let start = start(connection)?;
        let last = last(connection)?;
        let place = head.map_or(Place::START, |head| head.place);
        let fault = match (head, start) {
            (None, _) => Some("how far it goes is gone"),
            (_, None) => Some("where it begins is gone"),
            (Some(head), _) if !key.public().signed_head(&head) => {
                Some("how far it goes is not signed by the key in audit.key")
            }
            (_, Some(start)) if !key.public().signed_start(&start) => {
                Some("where it begins is not signed by the key in audit.key")
            }
            (_, Some(start)) if last.unwrap_or(start.place) != place => {
                Some("its last entry is not the last that was signed")
            }
            _ => None,
        };
        let Some(fault) = fault else {
            return Ok(Self(place));
        };
        error!(
            fault,
            "the audit log was changed from outside: export and verify it"
        );
        // Behind whatever stands there, so that the entry finds its place.
        let place = last
            .filter(|last| last.sequence > place.sequence)
            .unwrap_or(place);
        let begun = connection.unchecked_transaction()?;
        if start.is_none() {
            // Unsigned in effect: what comes of it never verifies as the log's beginning.
            put_start(
                connection,
                &Start {
                    place: Place::START,
                    signature: [0; SIGNATURE_BYTES],
                },
            )?;
        }
        let broken = Entry::new(UnixMillis::now(), "platform", ACTION_BROKEN, "audit");
        let broken = broken.outcome(Outcome::Failed).detail("fault", fault);
        let place = append(connection, place, broken)?;
        put_head(connection, &key.head(place, UnixMillis::now()))?;
        begun.commit()?;
        Ok(Self(place))
    }

    /// How far it goes.
    pub(super) const fn head(&self) -> Place {
        self.0
    }

    /// Notes how far it goes now.
    pub(super) const fn committed(&mut self, head: Place) {
        self.0 = head;
    }
}

impl Transaction<'_> {
    /// Writes an entry, which stands or falls with the change that it goes with, and the event that
    /// it stands for.
    pub(super) fn audit(&self, entry: Entry) -> Result<(), StoreError> {
        let entry = entry.bounded();
        let event = Event::of_audit(&entry);
        self.head.set(append(self, self.head.get(), entry)?);
        event.map_or(Ok(()), |event| self.event(&event))
    }

    /// Signs how far the log goes with this transaction.
    pub(super) fn seal(&self) -> Result<(), StoreError> {
        put_head(self, &self.key.head(self.head.get(), UnixMillis::now()))
    }

    /// Removes the oldest entries that are older than `before`, at most so many.
    pub(super) fn audit_remove(
        &self,
        before: UnixMillis,
        count: usize,
        now: UnixMillis,
    ) -> Result<usize, StoreError> {
        let broken = |place: Place| StoreError::AuditBroken(place.sequence.saturating_add(1));
        let start = start(self)?.ok_or(StoreError::AuditBroken(1))?;
        if !self.key.public().signed_start(&start) {
            return Err(broken(start.place));
        }
        let mut place = start.place;
        let mut removed = 0;
        let mut query = self.prepare_cached(
            "SELECT sequence, at, actor, action, target, host, session, outcome, details, hash
             FROM audit WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        )?;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let mut rows = query.query((signed(place.sequence), count))?;
        while let Some(row) = rows.next()? {
            let chained = chained(row)?;
            if chained.entry.at >= before || chained.sequence > self.head.get().sequence {
                break;
            }
            let next = place.after(&chained.entry);
            if (next.sequence, next.hash) != (chained.sequence, chained.hash) {
                return Err(broken(place));
            }
            place = next;
            removed += 1;
        }
        drop(rows);
        if removed == 0 {
            return Ok(0);
        }
        put_start(self, &self.key.start(place))?;
        self.prepare_cached("DELETE FROM audit WHERE sequence <= ?1")?
            .execute([signed(place.sequence)])?;
        let entry = Entry::new(now, "platform", ACTION_REMOVED, "audit")
            .detail("from", (start.place.sequence + 1).to_string())
            .detail("to", place.sequence.to_string())
            .detail("hash", place.hash.to_string());
        self.audit(entry)?;
        Ok(removed)
    }
}

/// Makes the tables, and chains what was in the log before there was a chain.
pub(super) fn migrate(connection: &Connection, key: &AuditKey) -> Result<(), StoreError> {
    connection.execute_batch(SCHEMA)?;
    let mut place = Place::START;
    {
        let mut query = connection.prepare(
            "SELECT at, actor, action, subject, detail FROM audit_unchained ORDER BY sequence",
        )?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            place = append(connection, place, unchained(row)?)?;
        }
    }
    put_start(connection, &key.start(Place::START))?;
    put_head(connection, &key.head(place, UnixMillis::now()))?;
    connection.execute_batch("DROP TABLE audit_unchained")?;
    Ok(())
}

/// The log from after an entry on.
pub(super) fn span(
    connection: &Connection,
    after: u64,
    head: Place,
) -> Result<AuditSpan, StoreError> {
    let start = start(connection)?.ok_or(StoreError::AuditBroken(1))?;
    let place = if after == 0 || after == start.place.sequence {
        start.place
    } else if after > head.sequence {
        return Err(StoreError::NotFound);
    } else {
        let hash = connection
            .prepare_cached("SELECT hash FROM audit WHERE sequence = ?1")?
            .query_row([signed(after)], |row| Ok(hash(row, 0)))?;
        Place {
            sequence: after,
            hash,
        }
    };
    Ok(AuditSpan {
        after: place,
        start: (place == start.place).then_some(start),
        head,
    })
}

/// Some entries, and how far retention has come, both of one moment.
pub(super) fn page(
    connection: &Connection,
    after: u64,
    count: usize,
) -> Result<AuditPage, StoreError> {
    let moment = connection.unchecked_transaction()?;
    let removed = start(connection)?.map_or(0, |start| start.place.sequence);
    let mut query = connection.prepare_cached(
        "SELECT sequence, at, actor, action, target, host, session, outcome, details, hash
         FROM audit WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?;
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let entries = query.query_map((signed(after), count), chained)?;
    let entries = entries.collect::<Result<_, _>>()?;
    moment.commit()?;
    Ok(AuditPage { entries, removed })
}

/// Writes the entry that follows on a place.
fn append(connection: &Connection, place: Place, entry: Entry) -> Result<Place, StoreError> {
    let entry = entry.bounded();
    let next = place.after(&entry);
    let details = serde_json::to_string(&entry.details)
        .map_err(|error| StoreError::Failed(error.to_string()))?;
    connection
        .prepare_cached(
            "INSERT INTO audit (sequence, at, actor, action, target, host, session, outcome,
                details, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            signed(next.sequence),
            entry.at,
            entry.actor,
            entry.action,
            entry.target,
            entry.host,
            entry.session,
            entry.outcome,
            details,
            next.hash.0,
        ])?;
    Ok(next)
}

fn put_head(connection: &Connection, head: &Head) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO audit_head (id, sequence, hash, at, signature)
             VALUES (1, ?1, ?2, ?3, ?4)",
        )?
        .execute((
            signed(head.place.sequence),
            head.place.hash.0,
            head.at,
            head.signature,
        ))?;
    Ok(())
}

fn put_start(connection: &Connection, start: &Start) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO audit_start (id, sequence, hash, signature)
             VALUES (1, ?1, ?2, ?3)",
        )?
        .execute((
            signed(start.place.sequence),
            start.place.hash.0,
            start.signature,
        ))?;
    Ok(())
}

fn head(connection: &Connection) -> Result<Option<Head>, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT sequence, hash, at, signature FROM audit_head")?;
    let head = query.query_row([], |row| {
        Ok(Head {
            place: place(row)?,
            at: row.get(2)?,
            signature: blob(row, 3),
        })
    });
    Ok(head.optional()?)
}

fn start(connection: &Connection) -> Result<Option<Start>, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT sequence, hash, signature FROM audit_start")?;
    let start = query.query_row([], |row| {
        Ok(Start {
            place: place(row)?,
            signature: blob(row, 2),
        })
    });
    Ok(start.optional()?)
}

fn last(connection: &Connection) -> Result<Option<Place>, StoreError> {
    let mut query = connection
        .prepare_cached("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")?;
    Ok(query.query_row([], place).optional()?)
}

fn place(row: &Row<'_>) -> rusqlite::Result<Place> {
    Ok(Place {
        sequence: row.get::<_, i64>(0)?.max(0) as u64,
        hash: hash(row, 1),
    })
}

/// A row as it stands. Whatever was made of it from outside is read as something, so that it goes into
/// an export and is found there.
pub(super) fn chained(row: &Row<'_>) -> rusqlite::Result<Chained> {
    let details = text(row, 8)?;
    let details =
        serde_json::from_str(&details).unwrap_or_else(|_| vec![("unreadable".to_owned(), details)]);
    Ok(Chained {
        sequence: row.get::<_, i64>(0)?.max(0) as u64,
        entry: Entry {
            at: row.get(1)?,
            actor: text(row, 2)?,
            action: text(row, 3)?,
            target: text(row, 4)?,
            host: text(row, 5)?,
            session: text(row, 6)?,
            outcome: text(row, 7)?,
            details,
        },
        hash: hash(row, 9),
    })
}

fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    let bytes = match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
        _ => b"",
    };
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn hash(row: &Row<'_>, column: usize) -> Hash {
    Hash(blob(row, column))
}

/// A blob of this size; one of another is none of ours, and no signature or hash is all zeros.
fn blob<const N: usize>(row: &Row<'_>, column: usize) -> [u8; N] {
    row.get(column).unwrap_or([0; N])
}

/// A row of the log as it was before it was a chain.
fn unchained(row: &Row<'_>) -> Result<Entry, StoreError> {
    let (subject, detail) = (text(row, 3)?, text(row, 4)?);
    let id = |kind: &str| {
        let of = |text: &str| {
            text.strip_prefix(kind)?
                .strip_prefix(':')
                .map(str::to_owned)
        };
        of(&subject).or_else(|| of(&detail)).unwrap_or_default()
    };
    let mut entry = Entry::new(row.get(0)?, text(row, 1)?, &text(row, 2)?, subject.clone());
    entry.host = id("host");
    entry.session = id("session");
    if !detail.is_empty() && !detail.starts_with("host:") {
        entry = entry.detail("detail", detail);
    }
    Ok(entry)
}
