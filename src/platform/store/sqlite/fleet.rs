//! The fleet in numbers, as SQL: for who sees all of it from what commands count of themselves, else from the
//! deliveries of the hosts that are seen.

use rusqlite::{Connection, params};

use super::super::fleet::{FleetCounts, FleetStore};
use super::super::{StoreError, StoreFuture};
use super::SqliteStore;
use super::groups::json_array;
use crate::ids::GroupId;
use crate::platform::identity::Grants;

/// Indexes that hold what is counted and no more: few hosts are revoked, and few commands are under way of all
/// that are kept.
pub(super) const SCHEMA: &str = "
    CREATE INDEX hosts_revoked ON hosts (id) WHERE revoked IS NOT NULL;
    CREATE INDEX commands_open ON commands (finished) WHERE finished IS NULL;
";

/// The hosts of the groups in the first parameter, for the statements below.
const SEEN: &str = "WITH seen (host) AS MATERIALIZED (
    SELECT DISTINCT host FROM host_groups WHERE group_id IN (SELECT value FROM json_each(?1)))";

impl FleetStore for SqliteStore {
    fn fleet(&self, granted: Grants) -> StoreFuture<'_, FleetCounts> {
        Box::pin(self.read(move |connection| {
            let moment = connection.unchecked_transaction()?;
            let counts = match granted {
                Grants::All => of_all(connection),
                Grants::Groups(groups) => {
                    let groups = json_array(groups.iter().map(GroupId::to_string));
                    of_groups(connection, &groups)
                }
            }?;
            moment.commit()?;
            Ok(counts)
        }))
    }
}

const HOSTS: &str = "SELECT count(*) FROM hosts";
const REVOKED: &str = "SELECT count(*) FROM hosts WHERE revoked IS NOT NULL";
const COMMANDS: &str = "SELECT count(*), coalesce(sum(queued), 0), coalesce(sum(sent), 0),
    coalesce(sum(received), 0), coalesce(sum(running), 0) FROM commands WHERE finished IS NULL";
const DEAD: &str = "SELECT count(*) FROM deliveries WHERE state IN (8, 9) AND discarded = 0";
const FIRING: &str =
    "SELECT severity, count(*) FROM alerts WHERE state < 2 AND state = 1 GROUP BY severity";

fn of_all(connection: &Connection) -> Result<FleetCounts, StoreError> {
    let one = |sql| {
        let mut query = connection.prepare_cached(sql)?;
        query.query_row([], |row| row.get::<_, u64>(0))
    };
    let mut counts = FleetCounts {
        hosts: one(HOSTS)?,
        revoked: one(REVOKED)?,
        dead_letters: one(DEAD)?,
        ..FleetCounts::default()
    };
    (counts.commands, counts.under_way) =
        connection.prepare_cached(COMMANDS)?.query_row([], |row| {
            let state = |column: usize| row.get::<_, u64>(column);
            Ok((row.get(0)?, [state(1)?, state(2)?, state(3)?, state(4)?]))
        })?;
    let mut firing = connection.prepare_cached(FIRING)?;
    let firing = firing.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    counts.firing = by_severity(firing)?;
    Ok(counts)
}

fn of_groups(connection: &Connection, groups: &str) -> Result<FleetCounts, StoreError> {
    let mut counts = FleetCounts::default();
    (counts.hosts, counts.revoked) = connection
        .prepare_cached(&format!(
            "{SEEN} SELECT count(*), count(h.revoked) FROM seen JOIN hosts h ON h.id = seen.host"
        ))?
        .query_row([groups], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // Each part by the index that holds it alone.
    (counts.commands, counts.under_way) = connection
        .prepare_cached(&format!(
            "{SEEN}, queue (number) AS MATERIALIZED (
                 SELECT q.number FROM seen JOIN queues q ON q.host = seen.host),
             way (command, state) AS (
                 SELECT d.command, 0 FROM queue JOIN deliveries d ON d.host = queue.number
                     WHERE d.stage = 0 AND d.held = 0
                 UNION ALL SELECT d.command, 0 FROM deliveries d
                     WHERE d.held = 1 AND d.stage = 0 AND d.host IN (SELECT number FROM queue)
                 UNION ALL SELECT d.command, d.state FROM queue JOIN deliveries d ON d.host = queue.number
                     WHERE d.stage = 1)
             SELECT count(DISTINCT command), coalesce(sum(state = 0), 0), coalesce(sum(state = 1), 0),
                 coalesce(sum(state = 2), 0), coalesce(sum(state = 3), 0) FROM way"
        ))?
        .query_row([groups], |row| {
            let state = |column: usize| row.get::<_, u64>(column);
            Ok((row.get(0)?, [state(1)?, state(2)?, state(3)?, state(4)?]))
        })?;
    counts.dead_letters = connection
        .prepare_cached(&format!(
            "{SEEN} SELECT count(*) FROM deliveries d JOIN queues q ON q.number = d.host
             WHERE d.state IN (8, 9) AND d.discarded = 0 AND q.host IN (SELECT host FROM seen)"
        ))?
        .query_row([groups], |row| row.get(0))?;
    let mut firing = connection.prepare_cached(&format!(
        "{SEEN} SELECT severity, count(*) FROM alerts
         WHERE state < 2 AND state = 1 AND host IN (SELECT host FROM seen) GROUP BY severity"
    ))?;
    let firing = firing.query_map(params![groups], |row| Ok((row.get(0)?, row.get(1)?)))?;
    counts.firing = by_severity(firing)?;
    Ok(counts)
}

fn by_severity(
    rows: impl Iterator<Item = rusqlite::Result<(usize, u64)>>,
) -> Result<[u64; 3], StoreError> {
    let mut firing = [0; 3];
    for row in rows {
        let (severity, count) = row?;
        if let Some(place) = firing.get_mut(severity) {
            *place = count;
        }
    }
    Ok(firing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_counted_row_by_row_but_the_hosts() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("platform.db");
        let store = SqliteStore::open(&path, super::super::tests::key()).expect("opened");
        let plans = store.read(|connection| {
            let mut plans = Vec::new();
            for sql in [REVOKED, COMMANDS, DEAD, FIRING] {
                let mut query = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let steps = query.query_map([], |row| row.get::<_, String>(3))?;
                plans.push(steps.collect::<Result<Vec<_>, _>>()?.join("; "));
            }
            Ok(plans)
        });
        let plans = plans.await.expect("explained");
        let indexes = [
            "hosts_revoked",
            "commands_open",
            "deliveries_dead",
            "alerts_of_state",
        ];
        for (plan, index) in plans.iter().zip(indexes) {
            assert!(plan.contains(index), "{plan}");
        }
    }
}
