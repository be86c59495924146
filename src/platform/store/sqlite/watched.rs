//! What is watched, in SQLite. The audit log says which hosts were changed, as each change has its entry there. What
//! waits is looked for in the index of that alone, from host to host: where nothing waits it costs nothing, and a host
//! for which a million commands wait costs what one does for which as many wait as anybody asks for.

use rusqlite::{Connection, OptionalExtension as _};

use super::super::StoreFuture;
use super::super::watch::{HostChanges, Waiting, WaitingQuery, WatchStore};
use super::SqliteStore;
use super::values::signed;
use crate::clock::UnixMillis;
use crate::ids::HostId;

impl WatchStore for SqliteStore {
    fn host_changes(&self, after: Option<u64>, count: usize) -> StoreFuture<'_, HostChanges> {
        Box::pin(self.read(move |connection| {
            let moment = connection.unchecked_transaction()?;
            let mut ends = connection
                .prepare_cached("SELECT (SELECT min(sequence) FROM audit), (SELECT max(sequence) FROM audit)")?;
            let (first, head): (Option<i64>, Option<i64>) =
                ends.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let (first, head) = (first.unwrap_or(0), head.unwrap_or(0));
            // Where retention has removed what follows on that place, nobody can say.
            let known = after.map(signed).filter(|after| *after + 1 >= first);
            let mut hosts = None;
            if let Some(after) = known {
                let mut changed = connection.prepare_cached(
                    "SELECT DISTINCT host FROM audit NOT INDEXED WHERE sequence > ?1 AND host <> ''
                         AND action IN ('host.create', 'host.enrol', 'host.renew', 'host.update', 'host.revoke')
                     LIMIT ?2",
                )?;
                let rows = changed.query_map((after, signed(count as u64) + 1), |row| row.get(0))?;
                let found: Vec<HostId> = rows.collect::<Result<_, _>>()?;
                hosts = Some(found).filter(|found| found.len() <= count);
            }
            drop(ends);
            moment.commit()?;
            let head = head.unsigned_abs();
            Ok(HostChanges { head, hosts })
        }))
    }

    fn waiting(&self, query: WaitingQuery) -> StoreFuture<'_, Vec<Waiting>> {
        Box::pin(self.read(move |connection| {
            let mut next = connection.prepare_cached(
                "SELECT d.host, q.host FROM deliveries d JOIN queues q ON q.number = d.host
                 WHERE d.stage = 0 AND d.held = 0 AND d.host > ?1 ORDER BY d.host LIMIT 1",
            )?;
            let mut depth = connection.prepare_cached(
                "SELECT count(*) FROM (SELECT 1 FROM deliveries
                     WHERE host = ?1 AND stage = 0 AND held = 0 LIMIT ?2)",
            )?;
            let mut found = Vec::new();
            let mut place = signed(query.after);
            while found.len() < query.count {
                let row = next.query_row([place], |row| Ok((row.get(0)?, row.get(1)?)));
                let Some((queue, host)) = row.optional()? else {
                    break;
                };
                place = queue;
                let counted: i64 =
                    depth.query_row((queue, signed(query.depth_max)), |row| row.get(0))?;
                found.push(Waiting {
                    place: place.unsigned_abs(),
                    host,
                    depth: counted.unsigned_abs(),
                    since: if query.age {
                        waiting_since(connection, queue, query.now)?
                    } else {
                        None
                    },
                });
            }
            Ok(found)
        }))
    }

    fn dead_letters(&self, max: u64) -> StoreFuture<'_, u64> {
        Box::pin(self.read(move |connection| {
            let mut count = connection.prepare_cached(
                "SELECT count(*) FROM (SELECT 1 FROM deliveries
                     WHERE state IN (8, 9) AND discarded = 0 LIMIT ?1)",
            )?;
            let count: i64 = count.query_row([signed(max)], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        }))
    }
}

/// Since when something waits for a host that may be sent: that of a later wave since it was let go. Of each rank
/// those that come first are the oldest.
fn waiting_since(
    connection: &Connection,
    queue: i64,
    now: UnixMillis,
) -> rusqlite::Result<Option<UnixMillis>> {
    let mut oldest = connection.prepare_cached(
        "SELECT max(c.created, iif(w.attempts = 0, coalesce(w.next_attempt, 0), 0),
             iif(w.wave > 0, w.updated, 0))
         FROM (SELECT command, attempts, next_attempt, in_window, wave, updated FROM deliveries
               WHERE host = ?1 AND rank = ?2 AND stage = 0 AND held = 0
               ORDER BY sequence LIMIT 256) w
         JOIN commands c ON c.number = w.command
         WHERE w.in_window = 0 AND (w.attempts > 0 OR w.next_attempt IS NULL OR w.next_attempt <= ?3)
         LIMIT 1",
    )?;
    let mut since: Option<UnixMillis> = None;
    for rank in 0..3 {
        let found: Option<UnixMillis> = oldest
            .query_row((queue, rank, now), |row| row.get(0))
            .optional()?;
        since = since.into_iter().chain(found).min();
    }
    Ok(since)
}
