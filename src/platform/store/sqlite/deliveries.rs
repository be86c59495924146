//! Deliveries in SQLite. What is asked for most has an index of its own that holds only what it is about:
//! what waits, what is under way, what is a dead letter. So a million that wait cost neither the one that
//! comes nor the one that goes.

use rusqlite::{Connection, OptionalExtension as _, Row, ToSql};

use super::super::deliveries::{
    Applied, DeliveryDetail, DeliveryFilter, DeliveryPage, DeliveryPlace, DeliveryRecord,
    DeliveryStore, Due, HistoryEntry, JournalClaim, Outgoing, Reported, Transition,
};
use super::super::{StoreError, StoreFuture};
use super::changes::{self, Changes};
use super::commands::{ROWS_READ_MAX, json, number_of, priority};
use super::values::signed;
use super::{SqliteStore, journals};
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId, Uuid};

impl DeliveryStore for SqliteStore {
    fn epoch(&self) -> Uuid {
        self.epoch.id
    }

    fn deliveries(
        &self,
        filter: DeliveryFilter,
        after: Option<DeliveryPlace>,
        count: usize,
    ) -> StoreFuture<'_, DeliveryPage> {
        Box::pin(
            self.read(move |connection| look(connection, &filter, after, count, ROWS_READ_MAX)),
        )
    }

    fn delivery(
        &self,
        command: CommandId,
        host: HostId,
    ) -> StoreFuture<'_, Option<DeliveryDetail>> {
        Box::pin(self.read(move |connection| detail(connection, command, host)))
    }

    fn due(&self, host: HostId, now: UnixMillis, open: bool, count: usize) -> StoreFuture<'_, Due> {
        Box::pin(self.read(move |connection| waiting(connection, host, now, open, count)))
    }

    fn under_way(&self, host: HostId, count: usize) -> StoreFuture<'_, Due> {
        Box::pin(self.read(move |connection| under_way(connection, host, count)))
    }

    fn apply(&self, transitions: Vec<Transition>) -> StoreFuture<'_, Vec<Applied>> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let mut changes = Changes::new(connection);
            let applied = transitions.into_iter().map(|transition| {
                let Transition { command, host, .. } = transition;
                match changes.find(command, host)? {
                    Some(mut found) => changes.step(&mut found, transition.at, transition.step),
                    None => Ok(Applied::Unknown),
                }
            });
            let applied = applied.collect::<Result<_, _>>()?;
            changes.finish()?;
            Ok(applied)
        }))
    }

    fn expire(&self, now: UnixMillis, count: usize) -> StoreFuture<'_, Vec<(CommandId, HostId)>> {
        Box::pin(self.write_beside_hosts(move |connection| changes::expire(connection, now, count)))
    }

    fn interrupt_unjournalled(&self, at: UnixMillis, count: usize) -> StoreFuture<'_, usize> {
        Box::pin(
            self.write_beside_hosts(move |connection| changes::interrupt(connection, at, count)),
        )
    }

    fn sync_journal(
        &self,
        host: HostId,
        claim: JournalClaim,
        at: UnixMillis,
    ) -> StoreFuture<'_, bool> {
        Box::pin(
            self.write_beside_hosts(move |connection| journals::sync(connection, host, claim, at)),
        )
    }

    fn recover(
        &self,
        host: HostId,
        reported: Vec<Reported>,
        at: UnixMillis,
    ) -> StoreFuture<'_, Vec<Applied>> {
        Box::pin(self.write_beside_hosts(move |connection| {
            journals::recover(connection, host, reported, at)
        }))
    }
}

/// The place up to which every delivery of a host has ended.
pub(super) fn settled(connection: &Connection, queue: i64) -> Result<u64, StoreError> {
    // A look-up each at the end of an index; one query over all of them would read them all.
    let mut query = connection.prepare_cached(
        "SELECT min(
             coalesce((SELECT min(sequence) FROM deliveries
                 WHERE host = ?1 AND rank = 0 AND stage = 0 AND held = 0), 9223372036854775807),
             coalesce((SELECT min(sequence) FROM deliveries
                 WHERE host = ?1 AND rank = 1 AND stage = 0 AND held = 0), 9223372036854775807),
             coalesce((SELECT min(sequence) FROM deliveries
                 WHERE host = ?1 AND rank = 2 AND stage = 0 AND held = 0), 9223372036854775807),
             coalesce((SELECT min(sequence) FROM deliveries
                 WHERE host = ?1 AND stage = 1), 9223372036854775807),
             (SELECT next_sequence FROM queues WHERE number = ?1)) - 1",
    )?;
    let settled: i64 = query.query_row([queue], |row| row.get(0))?;
    Ok(settled.max(0) as u64)
}

/// The number that a host has here.
pub(super) fn queue_of(connection: &Connection, host: HostId) -> Result<Option<i64>, StoreError> {
    let mut query = connection.prepare_cached("SELECT number FROM queues WHERE host = ?1")?;
    Ok(query.query_row([host], |row| row.get(0)).optional()?)
}

const OUTGOING: &str = "c.id, c.kind, c.parameters, c.timeout_seconds, c.rank, c.created, c.expires, \
    d.sequence, d.state, d.attempts, d.next_attempt, d.cancel, d.in_window, d.until";

fn outgoing(row: &Row<'_>) -> rusqlite::Result<Outgoing> {
    let (expires, until): (Option<UnixMillis>, Option<UnixMillis>) = (row.get(6)?, row.get(13)?);
    let ends = [expires, until].into_iter().flatten();
    Ok(Outgoing {
        command: row.get(0)?,
        kind: row.get(1)?,
        parameters: row.get(2)?,
        timeout_seconds: row.get(3)?,
        priority: priority(row.get(4)?),
        created: row.get(5)?,
        expires: ends.min(),
        sequence: row.get::<_, i64>(7)?.max(0) as u64,
        state: row.get(8)?,
        attempts: row.get(9)?,
        next_attempt: row.get(10)?,
        cancel_requested: row.get(11)?,
        in_window: row.get(12)?,
        until,
    })
}

/// Of those that wait for their time, so many are passed over at once to find one that is due.
const NOT_DUE_MAX: i64 = 4096;

fn waiting(
    connection: &Connection,
    host: HostId,
    now: UnixMillis,
    open: bool,
    count: usize,
) -> Result<Due, StoreError> {
    let moment = connection.unchecked_transaction()?;
    let Some(queue) = queue_of(connection, host)? else {
        return Ok(Due {
            drained: true,
            ..Due::default()
        });
    };
    let sql = format!(
        "SELECT {OUTGOING} FROM deliveries d JOIN commands c ON c.number = d.command
         WHERE d.host = ?1 AND d.stage = 0 AND d.held = 0
         ORDER BY d.rank, d.sequence LIMIT ?2"
    );
    let mut query = connection.prepare_cached(&sql)?;
    let mut rows = query.query((queue, NOT_DUE_MAX + signed(count as u64)))?;
    let mut due = Due {
        drained: true,
        ..Due::default()
    };
    while let Some(row) = rows.next()? {
        if due.deliveries.len() == count {
            due.drained = false;
            break;
        }
        match row.get::<_, Option<UnixMillis>>(10)? {
            Some(later) if later > now => {
                due.drained = false;
                let sooner = due.next_due.map_or(later, |next| next.min(later));
                due.next_due = Some(sooner);
            }
            _ if !open && row.get(12)? => {
                due.drained = false;
                due.shut = true;
            }
            _ => due.deliveries.push(outgoing(row)?),
        }
    }
    drop(rows);
    due.settled_sequence = settled(connection, queue)?;
    drop(query);
    moment.commit()?;
    Ok(due)
}

fn under_way(connection: &Connection, host: HostId, count: usize) -> Result<Due, StoreError> {
    let moment = connection.unchecked_transaction()?;
    let Some(queue) = queue_of(connection, host)? else {
        return Ok(Due::default());
    };
    let sql = format!(
        "SELECT {OUTGOING} FROM deliveries d JOIN commands c ON c.number = d.command
         WHERE d.host = ?1 AND d.stage = 1 ORDER BY d.sequence LIMIT ?2"
    );
    let mut query = connection.prepare_cached(&sql)?;
    let found = query.query_map((queue, signed(count as u64)), outgoing)?;
    let deliveries = found.collect::<Result<_, _>>()?;
    drop(query);
    let settled_sequence = settled(connection, queue)?;
    moment.commit()?;
    Ok(Due {
        deliveries,
        settled_sequence,
        ..Due::default()
    })
}

const RECORD: &str = "d.command, d.host, c.id, q.host, c.kind, c.user, c.created, c.expires, d.sequence, \
    e.id, d.state, d.attempts, d.next_attempt, d.cancel, d.reason, d.detail, d.updated, d.started, \
    d.ended, d.progress, d.recovered, d.discarded, h.name, d.wave, d.held";
const JOINED: &str = "JOIN commands c ON c.number = d.command JOIN queues q ON q.number = d.host \
    JOIN epochs e ON e.number = d.epoch JOIN hosts h ON h.id = q.host";

fn record(row: &Row<'_>) -> rusqlite::Result<(DeliveryPlace, DeliveryRecord)> {
    let place = DeliveryPlace {
        command: row.get::<_, i64>(0)?.max(0) as u64,
        host: row.get::<_, i64>(1)?.max(0) as u64,
    };
    let epoch: String = row.get(9)?;
    let record = DeliveryRecord {
        command: row.get(2)?,
        host: row.get(3)?,
        kind: row.get(4)?,
        user: row.get(5)?,
        created: row.get(6)?,
        expires: row.get(7)?,
        sequence: row.get::<_, i64>(8)?.max(0) as u64,
        epoch: epoch.parse().unwrap_or_default(),
        state: row.get(10)?,
        attempts: row.get(11)?,
        next_attempt: row.get(12)?,
        cancel_requested: row.get(13)?,
        reason: row.get(14)?,
        detail: row.get(15)?,
        updated: row.get(16)?,
        started: row.get(17)?,
        ended: row.get(18)?,
        progress: row.get(19)?,
        recovered: row.get(20)?,
        discarded: row.get(21)?,
        host_name: row.get(22)?,
        wave: row.get::<_, i64>(23)?.max(0) as u64,
        held: row.get(24)?,
    };
    Ok((place, record))
}

fn detail(
    connection: &Connection,
    command: CommandId,
    host: HostId,
) -> Result<Option<DeliveryDetail>, StoreError> {
    let moment = connection.unchecked_transaction()?;
    let sql = format!(
        "SELECT {RECORD} FROM deliveries d {JOINED}
         WHERE d.command = (SELECT number FROM commands WHERE id = ?1)
           AND d.host = (SELECT number FROM queues WHERE host = ?2)"
    );
    let mut query = connection.prepare_cached(&sql)?;
    let found = query.query_row((command, host), record).optional()?;
    let Some((place, record)) = found else {
        return Ok(None);
    };
    let key = (signed(place.command), signed(place.host));
    let history = connection
        .prepare_cached(
            "SELECT at, state, reason, attempt FROM delivery_history
             WHERE command = ?1 AND host = ?2 ORDER BY number",
        )?
        .query_map(key, |row| {
            Ok(HistoryEntry {
                at: row.get(0)?,
                state: row.get(1)?,
                reason: row.get(2)?,
                attempt: row.get(3)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    let response = connection
        .prepare_cached("SELECT response FROM delivery_responses WHERE command = ?1 AND host = ?2")?
        .query_row(key, |row| row.get(0))
        .optional()?;
    drop(query);
    moment.commit()?;
    Ok(Some(DeliveryDetail {
        record,
        history,
        response,
    }))
}

fn look(
    connection: &Connection,
    filter: &DeliveryFilter,
    after: Option<DeliveryPlace>,
    count: usize,
    rows_max: usize,
) -> Result<DeliveryPage, StoreError> {
    let mut page = DeliveryPage::default();
    let command = match filter.command {
        None => None,
        Some(id) => match number_of(connection, id)? {
            None => return Ok(page),
            number => number,
        },
    };
    let (before, above) = after.map_or((i64::MAX, -1), |place| {
        (signed(place.command), signed(place.host))
    });
    let limit = signed(rows_max as u64 + 1);
    let mut parameters: Vec<&dyn ToSql> = vec![&before, &above, &limit];
    let mut terms = "(d.command < ?1 OR (d.command = ?1 AND d.host > ?2))".to_owned();
    if let Some(command) = &command {
        terms = "d.command = ?4 AND d.host > iif(?1 = ?4, ?2, -1)".to_owned();
        parameters.push(command);
    }
    if filter.dead_letters {
        terms.push_str(" AND d.state IN (8, 9) AND d.discarded = 0");
    }
    let hosts = filter.hosts.as_ref().map(|hosts| json(hosts));
    if let Some(hosts) = &hosts {
        parameters.push(hosts);
        let one = filter.hosts.as_ref().is_some_and(|hosts| hosts.len() == 1);
        let comparison = if one { "=" } else { "IN" };
        terms.push_str(&format!(
            " AND d.host {comparison} (SELECT number FROM queues
                 WHERE host IN (SELECT value FROM json_each(?{})))",
            parameters.len()
        ));
    }
    let sql = format!(
        "SELECT {RECORD} FROM deliveries d {JOINED} WHERE {terms} AND d.command <= ?1
         ORDER BY d.command DESC, d.host LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(&*parameters)?;
    let mut last = None;
    for _ in 0..rows_max {
        let Some(row) = rows.next()? else {
            return Ok(page);
        };
        if page.found.len() == count {
            page.next = last;
            return Ok(page);
        }
        let (place, delivery) = record(row)?;
        last = Some(place);
        let same = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        if (filter.states.is_empty() || filter.states.contains(&delivery.state))
            && same(&filter.kind, &delivery.kind)
            && same(&filter.reason, &delivery.reason)
        {
            page.found.push(delivery);
        }
    }
    page.next = last;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for with every command, or every few seconds, reads what it is about and no more,
    /// however much there is beside it.
    #[tokio::test]
    async fn nothing_on_the_way_reads_a_whole_table() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("platform.db");
        let store = SqliteStore::open(&path, super::super::tests::key()).expect("opened");
        let sent = [
            "SELECT d.sequence FROM deliveries d JOIN commands c ON c.number = d.command
             WHERE d.host = 1 AND d.stage = 0 AND d.held = 0
             ORDER BY d.rank, d.sequence LIMIT 9",
            "SELECT d.sequence FROM deliveries d JOIN commands c ON c.number = d.command
             WHERE d.host = 1 AND d.stage = 1 ORDER BY d.sequence LIMIT 9",
            "SELECT min(sequence) FROM deliveries
             WHERE host = 1 AND rank = 0 AND stage = 0 AND held = 0",
            "SELECT min(wave) FROM deliveries WHERE command = 1 AND held = 1",
            "SELECT number FROM commands WHERE wave_due IS NOT NULL AND wave_due <= 1
             ORDER BY wave_due LIMIT 1",
            "SELECT d.command FROM deliveries d
             WHERE d.stage = 0 AND d.held = 0 AND d.skip = 1 AND (d.command, d.host) > (1, 2)
             ORDER BY d.command, d.host LIMIT 9",
            "SELECT min(sequence) FROM deliveries WHERE host = 1 AND stage = 1",
            "SELECT number FROM commands WHERE id = 'a'",
            "SELECT state FROM deliveries WHERE command = (SELECT number FROM commands WHERE id = 'a')
               AND host = (SELECT number FROM queues WHERE host = 'h')",
            "SELECT number, id FROM commands
             WHERE queued > 0 AND sweep IS NOT NULL AND sweep <= 1 ORDER BY sweep LIMIT 1",
            "SELECT number FROM commands WHERE finished IS NOT NULL AND finished < 1
             ORDER BY finished LIMIT 1",
            "SELECT command FROM deliveries d WHERE (d.command < 9 OR (d.command = 9 AND d.host > 1))
               AND d.state IN (8, 9) AND d.discarded = 0 AND d.command <= 9
             ORDER BY d.command DESC, d.host LIMIT 9",
            "SELECT command FROM deliveries d WHERE (d.command < 9 OR (d.command = 9 AND d.host > 1))
               AND d.host = (SELECT number FROM queues WHERE host = 'h') AND d.command <= 9
             ORDER BY d.command DESC, d.host LIMIT 9",
        ];
        let plans = store.read(move |connection| {
            let mut plans = Vec::new();
            for sql in sent {
                let mut query = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let steps = query.query_map([], |row| row.get::<_, String>(3))?;
                plans.push((sql, steps.collect::<Result<Vec<_>, _>>()?));
            }
            Ok(plans)
        });
        for (sql, plan) in plans.await.expect("explained") {
            let reads_all = |step: &String| {
                step.starts_with("SCAN") && !step.contains("deliveries_dead")
                    || step.contains("TEMP B-TREE FOR ORDER")
            };
            assert!(!plan.iter().any(reads_all), "{sql}: {plan:?}");
        }
    }
}
