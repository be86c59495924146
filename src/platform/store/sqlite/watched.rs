//! What is watched, in SQLite. The audit log says which hosts were changed, as each change has its entry there. What
//! waits is looked for in the index of that alone, from host to host: where nothing waits it costs nothing, and a host
//! for which a million commands wait costs what one does for which as many wait as anybody asks for.

use rusqlite::{Connection, OptionalExtension as _};

use super::super::StoreFuture;
use super::super::groups::HostEntry;
use super::super::watch::{HostChanges, Waiting, WaitingQuery, WatchStore};
use super::SqliteStore;
use super::groups::hosts_by_id;
use super::values::signed;
use crate::clock::UnixMillis;
use crate::ids::HostId;

/// Where the audit log begins and ends.
const ENDS: &str = "SELECT (SELECT min(sequence) FROM audit), (SELECT max(sequence) FROM audit)";
/// Which hosts were changed after a place in it.
const CHANGED: &str =
    "SELECT DISTINCT host FROM audit NOT INDEXED WHERE sequence > ?1 AND host <> ''
         AND action IN ('host.create', 'host.enrol', 'host.renew', 'host.update', 'host.revoke')
     LIMIT ?2";
/// The next host for which something waits.
const NEXT: &str = "SELECT d.host, q.host FROM deliveries d JOIN queues q ON q.number = d.host
     WHERE d.stage = 0 AND d.held = 0 AND d.host > ?1 ORDER BY d.host LIMIT 1";
/// How much does.
const DEPTH: &str = "SELECT count(*) FROM (SELECT 1 FROM deliveries
     WHERE host = ?1 AND stage = 0 AND held = 0 LIMIT ?2)";
/// Since when, of one rank.
const OLDEST: &str = "SELECT max(c.created, iif(w.attempts = 0, coalesce(w.next_attempt, 0), 0),
         iif(w.wave > 0, w.updated, 0))
     FROM (SELECT command, attempts, next_attempt, in_window, wave, updated FROM deliveries
           WHERE host = ?1 AND rank = ?2 AND stage = 0 AND held = 0
           ORDER BY sequence LIMIT 256) w
     JOIN commands c ON c.number = w.command
     WHERE w.in_window = 0 AND (w.attempts > 0 OR w.next_attempt IS NULL OR w.next_attempt <= ?3)
     LIMIT 1";
/// How many dead letters there are.
const DEAD: &str = "SELECT count(*) FROM (SELECT 1 FROM deliveries
     WHERE state IN (8, 9) AND discarded = 0 LIMIT ?1)";

impl WatchStore for SqliteStore {
    fn host_changes(&self, after: Option<u64>, count: usize) -> StoreFuture<'_, HostChanges> {
        Box::pin(self.read(move |connection| {
            let moment = connection.unchecked_transaction()?;
            let mut ends = connection.prepare_cached(ENDS)?;
            let (first, head): (Option<i64>, Option<i64>) =
                ends.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let (first, head) = (first.unwrap_or(0), head.unwrap_or(0));
            // Where retention has removed what follows on that place, nobody can say.
            let known = after.map(signed).filter(|after| *after + 1 >= first);
            let mut hosts = None;
            if let Some(after) = known {
                let mut changed = connection.prepare_cached(CHANGED)?;
                let rows =
                    changed.query_map((after, signed(count as u64) + 1), |row| row.get(0))?;
                let found: Vec<HostId> = rows.collect::<Result<_, _>>()?;
                hosts = Some(found).filter(|found| found.len() <= count);
            }
            drop(ends);
            moment.commit()?;
            let head = head.unsigned_abs();
            Ok(HostChanges { head, hosts })
        }))
    }

    fn hosts_by_id(&self, after: Option<HostId>, count: usize) -> StoreFuture<'_, Vec<HostEntry>> {
        Box::pin(self.read(move |connection| hosts_by_id(connection, after, count)))
    }

    fn waiting(&self, query: WaitingQuery) -> StoreFuture<'_, Vec<Waiting>> {
        Box::pin(self.read(move |connection| {
            let mut next = connection.prepare_cached(NEXT)?;
            let mut depth = connection.prepare_cached(DEPTH)?;
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
            let mut count = connection.prepare_cached(DEAD)?;
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
    let mut oldest = connection.prepare_cached(OLDEST)?;
    let mut since: Option<UnixMillis> = None;
    for rank in 0..3 {
        let found: Option<UnixMillis> = oldest
            .query_row((queue, rank, now), |row| row.get(0))
            .optional()?;
        since = since.into_iter().chain(found).min();
    }
    Ok(since)
}

#[cfg(test)]
mod tests {
    use super::super::alerts::{REMOVE_OVER, alerts_in_query};
    use super::super::groups::hosts_by_id_query;
    use super::*;

    #[tokio::test]
    async fn nothing_that_is_watched_is_found_row_by_row() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("platform.db");
        let store = SqliteStore::open(&path, super::super::tests::key()).expect("opened");
        let (by_id, alerts_in) = (hosts_by_id_query(), alerts_in_query());
        let plans = store.read(move |connection| {
            let mut plans = Vec::new();
            for (sql, index) in [
                (ENDS, "SEARCH audit"),
                (CHANGED, "INTEGER PRIMARY KEY"),
                (NEXT, "deliveries_waiting"),
                (DEPTH, "deliveries_waiting"),
                (OLDEST, "deliveries_waiting"),
                (DEAD, "deliveries_dead"),
                (&by_id, "PRIMARY KEY"),
                (&alerts_in, "alerts_of_state"),
                (REMOVE_OVER, "alerts_over"),
            ] {
                let mut query = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let steps = query.raw_query().mapped(|row| row.get::<_, String>(3));
                plans.push((index, steps.collect::<Result<Vec<_>, _>>()?));
            }
            Ok(plans)
        });
        for (index, plan) in plans.await.expect("explained") {
            let is_told = |step: &String| step.contains(index);
            assert!(plan.iter().any(is_told), "{index}: {plan:?}");
            // A whole index is read only where it has nothing else, and the result of a part is none of a table.
            let reads_all = |step: &String| {
                step.starts_with("SCAN")
                    && !step.contains("deliveries_dead")
                    && !["SCAN CONSTANT ROW", "SCAN w", "SCAN (subquery"]
                        .iter()
                        .any(|part| step.starts_with(part))
                    || step.contains("TEMP B-TREE FOR ORDER")
            };
            assert!(!plan.iter().any(reads_all), "{plan:?}");
        }
    }
}
