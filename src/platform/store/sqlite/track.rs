//! The message track in SQLite: rows by their instant, with an index for what is asked for most. What else is
//! asked for is looked for in the rows, as many as one look may read.

use std::borrow::Cow;

use rusqlite::{Connection, Row, ToSql};

use super::super::track::{
    Direction, Outcome, TrackPage, TrackPlace, TrackQuery, TrackStore, Tracked,
};
use super::super::{StoreError, StoreFuture};
use super::SqliteStore;
use super::values::{insert_rows, signed, unsigned};
use crate::clock::UnixMillis;

/// Rows that one look reads: some tens of milliseconds of a reader.
const ROWS_READ_MAX: usize = 20_000;

/// The table.
pub(super) const SCHEMA: &str = "
    CREATE TABLE track (
        sequence     INTEGER PRIMARY KEY,
        at           INTEGER NOT NULL,
        host         TEXT,
        address      TEXT NOT NULL,
        direction    TEXT NOT NULL,
        message_type TEXT NOT NULL,
        message_id   TEXT NOT NULL,
        size         INTEGER NOT NULL,
        outcome      TEXT NOT NULL,
        code         TEXT NOT NULL,
        missed       INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX track_at ON track (at);
    CREATE INDEX track_of_host ON track (host, at);
    CREATE INDEX track_of_id ON track (message_id, at) WHERE message_id <> '';
";

impl TrackStore for SqliteStore {
    fn put_tracked(&self, tracked: Vec<Tracked>) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let numbers = tracked
                .iter()
                .map(|it| (signed(it.size), signed(it.missed)));
            let words = tracked.iter().map(|it| {
                let direction = it.direction.map_or("", Direction::code);
                (direction, it.outcome.map_or("", Outcome::code))
            });
            let (numbers, words): (Vec<_>, Vec<_>) = (numbers.collect(), words.collect());
            let rows = tracked.iter().zip(&numbers).zip(&words);
            let rows = rows.map(
                |((it, (size, missed)), (direction, outcome))| -> [&dyn ToSql; 10] {
                    [
                        &it.at,
                        &it.host,
                        &it.address,
                        direction,
                        &it.message_type,
                        &it.message_id,
                        size,
                        outcome,
                        &it.code,
                        missed,
                    ]
                },
            );
            let into = "track (at, host, address, direction, message_type, message_id, size,
                outcome, code, missed)";
            insert_rows(connection, into, &rows.collect::<Vec<_>>())
        }))
    }

    fn tracked(&self, query: TrackQuery) -> StoreFuture<'_, TrackPage> {
        Box::pin(self.read(move |connection| look(connection, &query, ROWS_READ_MAX)))
    }

    fn remove_tracked(
        &self,
        before: UnixMillis,
        kept: u64,
        count: usize,
    ) -> StoreFuture<'_, usize> {
        Box::pin(self.write(move |connection| {
            let removed = connection
                .prepare_cached(
                    "DELETE FROM track WHERE sequence IN
                         (SELECT sequence FROM track WHERE at < ?1 ORDER BY at LIMIT ?2)",
                )?
                .execute((before, signed(count as u64)))?;
            // Numbers are without gaps but for those before the oldest, near enough for a bound.
            let beyond = connection
                .prepare_cached(
                    "DELETE FROM track WHERE sequence IN
                         (SELECT sequence FROM track
                          WHERE sequence <= (SELECT max(sequence) FROM track) - ?1
                          ORDER BY sequence LIMIT ?2)",
                )?
                .execute((signed(kept), signed(count.saturating_sub(removed) as u64)))?;
            Ok(removed + beyond)
        }))
    }
}

fn look(
    connection: &Connection,
    query: &TrackQuery,
    rows_max: usize,
) -> Result<TrackPage, StoreError> {
    let after = query.after.map_or((i64::MAX, i64::MAX), |place| {
        (signed(place.at.0), signed(place.sequence))
    });
    // Everything of an instant before which is looked has a number of at least one.
    let until = query
        .until
        .map_or((i64::MAX, i64::MAX), |until| (signed(until.0), 0));
    let (at, sequence) = after.min(until);
    let since = query.since.unwrap_or_default();
    let columns = "sequence, at, host, address, direction, message_type, message_id, size, outcome,
        code, missed";
    let range = "at <= ?1 AND (at, sequence) < (?1, ?2) AND at >= ?3";
    let order = "ORDER BY at DESC, sequence DESC LIMIT ?4";
    let limit = signed(rows_max as u64 + 1);
    let host = query.host.map(|host| host.to_string());
    let by = match (&query.message_id, &host) {
        (Some(id), _) => Some(("message_id = ?5 AND message_id <> ''", id as &dyn ToSql)),
        (None, Some(host)) => Some(("host = ?5", host as &dyn ToSql)),
        (None, None) => None,
    };
    let text = match by {
        Some((by, _)) => {
            format!("SELECT {columns} FROM track WHERE {range} AND {by} {order}")
        }
        None => format!("SELECT {columns} FROM track WHERE {range} {order}"),
    };
    let mut statement = connection.prepare_cached(&text)?;
    let mut parameters: Vec<&dyn ToSql> = vec![&at, &sequence, &since, &limit];
    parameters.extend(by.map(|(_, value)| value));
    let mut rows = statement.query(&*parameters)?;
    let mut page = TrackPage::default();
    let mut last = None;
    for _ in 0..rows_max {
        let Some(row) = rows.next()? else {
            return Ok(page);
        };
        if page.found.len() == query.count {
            page.next = last;
            return Ok(page);
        }
        let (place, tracked) = tracked(row)?;
        last = Some(place);
        if query.matches(&tracked) {
            page.found.push(tracked);
        }
    }
    page.next = last;
    Ok(page)
}

fn tracked(row: &Row<'_>) -> rusqlite::Result<(TrackPlace, Tracked)> {
    let at = row.get(1)?;
    let place = TrackPlace {
        at,
        sequence: unsigned(row.get(0)?),
    };
    let tracked = Tracked {
        at,
        host: row.get(2)?,
        address: row.get(3)?,
        direction: Direction::from_code(row.get_ref(4)?.as_str()?),
        message_type: Cow::Owned(row.get(5)?),
        message_id: row.get(6)?,
        size: unsigned(row.get(7)?),
        outcome: Outcome::from_code(row.get_ref(8)?.as_str()?),
        code: Cow::Owned(row.get(9)?),
        missed: unsigned(row.get(10)?),
    };
    Ok((place, tracked))
}
