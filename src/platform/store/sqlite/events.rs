//! The log of events in SQLite. Numbers are given by the table, whose newest row is never removed; how
//! far the log goes is told once it is committed.

use rusqlite::{Connection, OptionalExtension as _, Row, ToSql};
use tokio::sync::watch;
use tracing::warn;

use super::super::{EventPage, EventStore, StoreError, StoreFuture, StoredEvent};
use super::values::{insert_rows, signed, unsigned};
use super::{SqliteStore, Transaction};
use crate::clock::UnixMillis;
use crate::ids::HostId;
use crate::platform::events::{Event, Happening, OfflineReason};

/// The tables. `events_online` has whoever was last told online.
pub(super) const SCHEMA: &str = "
    CREATE TABLE events (
        sequence INTEGER PRIMARY KEY,
        at       INTEGER NOT NULL,
        host     TEXT,
        actor    TEXT NOT NULL,
        kind     TEXT NOT NULL,
        a        TEXT NOT NULL,
        b        TEXT NOT NULL,
        c        TEXT NOT NULL
    ) STRICT;
    CREATE TABLE events_online (host TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
";

impl EventStore for SqliteStore {
    fn event_head(&self) -> watch::Receiver<u64> {
        self.event_head.subscribe()
    }

    fn put_events(&self, events: Vec<Event>) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            events.iter().try_for_each(|event| connection.event(event))
        }))
    }

    fn events_from(&self, sequence: u64, count: usize) -> StoreFuture<'_, EventPage> {
        Box::pin(self.read(move |connection| page(connection, sequence, count)))
    }

    fn hosts_went_offline(&self, at: UnixMillis) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let online: Vec<_> = connection
                .prepare_cached("SELECT host FROM events_online ORDER BY host")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            online.into_iter().try_for_each(|host| {
                connection.event(&Event {
                    at,
                    host: Some(host),
                    actor: String::new(),
                    what: Happening::HostOffline {
                        reason: OfflineReason::PlatformStopped,
                    },
                })
            })
        }))
    }

    fn remove_events(&self, before: UnixMillis, kept: u64, count: usize) -> StoreFuture<'_, usize> {
        Box::pin(self.write(move |connection| {
            // Of this transaction's own events none is in the table yet, and none is old.
            let (oldest, newest) = span(connection)?;
            let end = oldest.saturating_add(count as u64).min(newest);
            // The first that stays because of its number, and the first because of its age.
            let counted = newest.saturating_add(1).saturating_sub(kept);
            let young = connection
                .prepare_cached(
                    "SELECT sequence FROM events WHERE at >= ?1 AND sequence < ?2
                     ORDER BY sequence LIMIT 1",
                )?
                .query_row((before, signed(end)), |row| Ok(unsigned(row.get(0)?)))
                .optional()?;
            let end = counted.max(young.unwrap_or(end)).min(end);
            let removed = connection
                .prepare_cached("DELETE FROM events WHERE sequence < ?1")?
                .execute([signed(end)])?;
            Ok(removed)
        }))
    }
}

impl Transaction<'_> {
    /// Writes an event, which stands or falls with the change that it goes with.
    pub(super) fn event(&self, event: &Event) -> Result<(), StoreError> {
        self.events.borrow_mut().push(Written::of(event));
        match (&event.what, event.host) {
            (Happening::HostOnline { .. }, Some(host)) => {
                self.prepare_cached("INSERT OR IGNORE INTO events_online VALUES (?1)")?
                    .execute([host])?;
            }
            (Happening::HostOffline { .. }, Some(host)) => {
                self.prepare_cached("DELETE FROM events_online WHERE host = ?1")?
                    .execute([host])?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Puts the events that were written so far into their table.
    pub(super) fn write_events(&self) -> Result<(), StoreError> {
        let events = self.events.take();
        if events.is_empty() {
            return Ok(());
        }
        let rows = events.iter().map(|row| -> [&dyn ToSql; 7] {
            let [a, b, c] = &row.texts;
            [&row.at, &row.host, &row.actor, &row.kind, a, b, c]
        });
        let into = "events (at, host, actor, kind, a, b, c)";
        insert_rows(self, into, &rows.collect::<Vec<_>>())?;
        self.event_head.set(unsigned(self.last_insert_rowid()));
        Ok(())
    }
}

/// An event as it stands in the table. Those of a whole transaction are put there together.
pub(super) struct Written {
    at: UnixMillis,
    host: Option<HostId>,
    actor: String,
    kind: &'static str,
    texts: [String; 3],
}

impl Written {
    fn of(event: &Event) -> Self {
        Self {
            at: event.at,
            host: event.host,
            actor: event.actor.clone(),
            kind: event.what.kind().code(),
            texts: event.what.to_texts(),
        }
    }
}

/// How far the log goes.
pub(super) fn head(connection: &Connection) -> Result<u64, StoreError> {
    Ok(span(connection)?.1)
}

fn span(connection: &Connection) -> Result<(u64, u64), StoreError> {
    // Two look-ups at the table's ends; one query for both would read all of it.
    let mut query = connection.prepare_cached(
        "SELECT (SELECT coalesce(min(sequence), 0) FROM events),
                (SELECT coalesce(max(sequence), 0) FROM events)",
    )?;
    Ok(query.query_row([], |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))))?)
}

fn page(connection: &Connection, sequence: u64, count: usize) -> Result<EventPage, StoreError> {
    let moment = connection.unchecked_transaction()?;
    let (oldest, newest) = span(connection)?;
    let mut query = connection.prepare_cached(
        "SELECT sequence, at, host, actor, kind, a, b, c FROM events
         WHERE sequence >= ?1 ORDER BY sequence LIMIT ?2",
    )?;
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let events = query.query_map((signed(sequence), count), stored)?;
    let events = events.collect::<Result<_, _>>()?;
    moment.commit()?;
    Ok(EventPage {
        events,
        oldest,
        newest,
    })
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
    let sequence = unsigned(row.get(0)?);
    let kind: String = row.get(4)?;
    let what = Happening::from_texts(&kind, [row.get(5)?, row.get(6)?, row.get(7)?]);
    let what = what.unwrap_or_else(|| {
        warn!(sequence, kind, "an event cannot be read");
        Happening::Lost
    });
    Ok(StoredEvent {
        sequence,
        event: Event {
            at: row.get(1)?,
            host: row.get(2)?,
            actor: row.get(3)?,
            what,
        },
    })
}
