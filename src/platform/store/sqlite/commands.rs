//! Commands in SQLite: one row each, with how many of its deliveries stand where. Commands and hosts
//! have numbers of the database's own, so that the rows of deliveries, of which there are most, are narrow.

use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params};

use super::super::commands::{
    Assigned, Cancelled, CommandFilter, CommandPage, CommandPlace, CommandRecord, CommandStore,
    DeliveryStart, NewCommand, Priority, Redrive,
};
use super::super::deliveries::{Counts, DeliveryState};
use super::super::{Change, StoreError, StoreFuture};
use super::changes::{Changes, Past, write_history};
use super::deliveries::settled;
use super::values::signed;
use super::waves::{PLAN, plan};
use super::{SqliteStore, Transaction};
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId};
use crate::platform::events::{Event, Happening};

/// Rows that one look reads: some tens of milliseconds of a reader.
pub(super) const ROWS_READ_MAX: usize = 20_000;

const COLUMNS: &str = "number, id, kind, parameters, timeout_seconds, rank, user, created, expires, \
    targets, redrive_of, finished, queued, sent, received, running, succeeded, failed, interrupted, \
    cancelled, expired, dead";
/// The columns from [`PLAN`] on.
const PLAN_AT: usize = 22;
/// The one behind all of them.
const BEHIND: usize = PLAN_AT + 12;

impl CommandStore for SqliteStore {
    fn create_command(
        &self,
        command: NewCommand,
        change: Change,
    ) -> StoreFuture<'_, Vec<Assigned>> {
        Box::pin(self.write_beside_hosts(move |connection| {
            connection.record(change)?;
            create(connection, &command)
        }))
    }

    fn command(&self, id: CommandId) -> StoreFuture<'_, Option<CommandRecord>> {
        Box::pin(self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS}, {PLAN} FROM commands WHERE id = ?1");
            let mut query = connection.prepare_cached(&sql)?;
            let found = query.query_row([id], |row| Ok(record(row)?.1));
            Ok(found.optional()?)
        }))
    }

    fn commands(
        &self,
        filter: CommandFilter,
        after: Option<CommandPlace>,
        count: usize,
    ) -> StoreFuture<'_, CommandPage> {
        Box::pin(
            self.read(move |connection| look(connection, &filter, after, count, ROWS_READ_MAX)),
        )
    }

    fn command_counts(
        &self,
        id: CommandId,
        hosts: Vec<HostId>,
    ) -> StoreFuture<'_, (Counts, Option<UnixMillis>)> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT d.state, count(*), max(d.ended) FROM deliveries d
                 JOIN queues q ON q.number = d.host
                 WHERE d.command = (SELECT number FROM commands WHERE id = ?1)
                   AND q.host IN (SELECT value FROM json_each(?2))
                 GROUP BY d.state",
            )?;
            let mut rows = query.query((id, json(&hosts)))?;
            let (mut counts, mut last) = (Counts::default(), None);
            while let Some(row) = rows.next()? {
                let state: DeliveryState = row.get(0)?;
                counts.0[state as usize] = row.get::<_, i64>(1)?.max(0) as u64;
                last = last.max(row.get::<_, Option<UnixMillis>>(2)?);
            }
            Ok((counts, last.filter(|_| counts.open() == 0)))
        }))
    }

    fn cancel_command(
        &self,
        id: CommandId,
        hosts: Option<Vec<HostId>>,
        at: UnixMillis,
        change: Change,
    ) -> StoreFuture<'_, Cancelled> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let actor = change.audit.actor.clone();
            connection.record(change)?;
            cancel(connection, id, hosts.as_deref(), at, actor, "cancelled")
        }))
    }

    fn redrive(&self, redrives: Vec<Redrive>, change: Change) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            connection.record(change)?;
            for Redrive { command, audit } in redrives {
                let of = command.redrive_of.ok_or(StoreError::NotFound)?;
                for delivery in &command.hosts {
                    if !take_off(
                        connection,
                        of,
                        delivery.host,
                        command.created,
                        &command.user,
                        "redriven",
                    )? {
                        return Err(StoreError::VersionChanged);
                    }
                }
                connection.record(audit.into())?;
                create(connection, &command)?;
            }
            Ok(())
        }))
    }

    fn discard(
        &self,
        deliveries: Vec<(CommandId, HostId)>,
        at: UnixMillis,
        change: Change,
    ) -> StoreFuture<'_, usize> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let actor = change.audit.actor.clone();
            connection.record(change)?;
            let mut discarded = 0;
            for (command, host) in deliveries {
                let taken = take_off(connection, command, host, at, &actor, "discarded")?;
                discarded += usize::from(taken);
            }
            Ok(discarded)
        }))
    }

    fn remove_commands(&self, before: UnixMillis, count: usize) -> StoreFuture<'_, usize> {
        Box::pin(self.write_beside_hosts(move |connection| remove(connection, before, count)))
    }
}

/// Keeps a command and its deliveries.
pub(super) fn create(
    connection: &Transaction<'_>,
    command: &NewCommand,
) -> Result<Vec<Assigned>, StoreError> {
    let mut assigned = Vec::new();
    let mut history = Vec::new();
    let wave_size = command.plan.waves.map_or(u64::MAX, |waves| waves.size);
    let (mut counts, mut held) = ([0i64; 2], 0i64);
    let starts = (0u64..).zip(&command.hosts).map(|(index, delivery)| {
        let before = index / wave_size.max(1);
        let start = match delivery.start {
            _ if before > 0 => DeliveryStart::Queued,
            start => start,
        };
        held += i64::from(before > 0);
        counts[usize::from(start != DeliveryStart::Queued)] += 1;
        (delivery.host, before, start)
    });
    let starts: Vec<_> = starts.collect();
    let number = insert(connection, command, counts, held)?;
    let mut known = connection.prepare_cached(
        "INSERT INTO queues (host) SELECT id FROM hosts WHERE id = ?1
         ON CONFLICT (host) DO UPDATE SET next_sequence = next_sequence
         RETURNING number, 0",
    )?;
    let mut place = connection.prepare_cached(
        "UPDATE queues SET next_sequence = next_sequence + 1 WHERE host = ?1
         RETURNING number, next_sequence - 1",
    )?;
    let mut first = connection.prepare_cached(
        "INSERT INTO queues (host, next_sequence) SELECT id, 2 FROM hosts WHERE id = ?1
         RETURNING number, 1",
    )?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO deliveries (command, host, sequence, epoch, rank, state, stage, once,
             next_attempt, reason, detail, updated, changes, wave, held, in_window, skip)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, '', '', ?9, ?6, ?10, ?11, ?12, ?13)",
    )?;
    for (host, before, start) in starts {
        let is_held = before > 0;
        // What is held gets its place with its wave.
        let place = if is_held { &mut known } else { &mut place };
        let pair = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let found: Option<(i64, i64)> = place.query_row([host], pair).optional()?;
        let (queue, sequence) = match found {
            Some(found) => found,
            // The first that is for it, if there is such a host.
            None => first.query_row([host], pair)?,
        };
        let (state, once) = match start {
            DeliveryStart::Queued => (DeliveryState::Queued, false),
            DeliveryStart::Sent { once } => (DeliveryState::Sent, once),
        };
        insert.execute(params![
            number,
            queue,
            sequence,
            connection.epoch.number,
            rank(command.priority),
            state,
            once,
            command.not_before,
            command.created,
            command.plan.waves.map_or(0, |_| signed(before + 1)),
            is_held,
            command.plan.in_window,
            command.plan.skip_offline,
        ])?;
        let told = |state: DeliveryState| {
            connection.event(&Event {
                at: command.created,
                host: Some(host),
                actor: command.user.clone(),
                what: Happening::DeliveryUpdated {
                    command: command.id,
                    status: state.code().to_owned(),
                    reason: String::new(),
                },
            })
        };
        told(DeliveryState::Queued)?;
        if state == DeliveryState::Sent {
            history.push(Past {
                key: (number, queue),
                number: 1,
                at: command.created,
                state,
                reason: String::new(),
                attempts: 0,
            });
            told(state)?;
            assigned.push(Assigned {
                host,
                sequence: sequence as u64,
                settled_sequence: settled(connection, queue)?,
            });
        }
    }
    write_history(connection, &history)?;
    Ok(assigned)
}

/// Writes a command's row, of whose deliveries so many are queued and sent, and so many of those held; answers
/// its number.
pub(super) fn insert(
    connection: &Transaction<'_>,
    command: &NewCommand,
    [queued, sent]: [i64; 2],
    held: i64,
) -> Result<i64, StoreError> {
    let begins = command.not_before.unwrap_or_default().max(command.created);
    let lifetime = command
        .expires
        .map(|end| end.since(begins).as_millis() as i64);
    let waves = command.plan.waves;
    connection
        .prepare_cached(
            "INSERT INTO commands (id, kind, parameters, timeout_seconds, rank, user, created,
                 expires, targets, redrive_of, sweep, lifetime, not_before, in_window, skip_offline,
                 waves, wave, wave_size, wave_pause, failures_max, queued, sent, held)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?8, ?11, ?12, ?13, ?14,
                 ?15, ?15 > 0, ?16, ?17, ?18, ?19, ?20, ?21)",
        )?
        .execute(params![
            command.id,
            command.kind,
            command.parameters,
            command.timeout_seconds,
            rank(command.priority),
            command.user,
            command.created,
            command.expires,
            command.targets,
            command.redrive_of,
            lifetime,
            command.not_before,
            command.plan.in_window,
            command.plan.skip_offline,
            waves.map_or(0, |of| signed(of.count(command.hosts.len()))),
            waves.map_or(0, |of| signed(of.size)),
            waves.map_or(0, |of| of.pause.as_millis() as i64),
            waves.and_then(|of| of.failures_max).map(signed),
            queued,
            sent,
            held,
        ])?;
    Ok(connection.last_insert_rowid())
}

fn look(
    connection: &Connection,
    filter: &CommandFilter,
    after: Option<CommandPlace>,
    count: usize,
    rows_max: usize,
) -> Result<CommandPage, StoreError> {
    let after = after.map_or(i64::MAX, |place| signed(place.0));
    let hosts = filter.hosts.as_ref().map(|hosts| json(hosts));
    let limit = signed(rows_max as u64 + 1);
    // One host's commands are found by its own index; those of several among all, newest first.
    let one = filter.hosts.as_ref().is_some_and(|hosts| hosts.len() == 1);
    let by_host = match &hosts {
        None => "1",
        Some(_) if one => {
            "number IN (SELECT command FROM deliveries WHERE host =
                 (SELECT number FROM queues WHERE host = (SELECT value FROM json_each(?3))))"
        }
        Some(_) => {
            "EXISTS (SELECT 1 FROM deliveries WHERE command = commands.number AND host IN
                 (SELECT number FROM queues WHERE host IN (SELECT value FROM json_each(?3))))"
        }
    };
    let sql = format!(
        "SELECT {COLUMNS}, {PLAN}, {by_host} FROM commands WHERE number < ?1 ORDER BY number DESC LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut parameters: Vec<&dyn ToSql> = vec![&after, &limit];
    parameters.extend(hosts.as_ref().map(|hosts| hosts as &dyn ToSql));
    let mut rows = statement.query(&*parameters)?;
    let mut page = CommandPage::default();
    let mut last = None;
    for _ in 0..rows_max {
        let Some(row) = rows.next()? else {
            return Ok(page);
        };
        if page.found.len() == count {
            page.next = last;
            return Ok(page);
        }
        let (number, command) = record(row)?;
        last = Some(CommandPlace(number as u64));
        if row.get(BEHIND)? && matches(filter, &command) {
            page.found.push(command);
        }
    }
    page.next = last;
    Ok(page)
}

/// What is looked for, but for its hosts.
fn matches(filter: &CommandFilter, command: &CommandRecord) -> bool {
    let same =
        |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
    let stands = |state: &DeliveryState| command.counts.of(*state) > 0;
    same(&filter.user, &command.user)
        && same(&filter.kind, &command.kind)
        && (filter.states.is_empty() || filter.states.iter().any(stands))
        && filter
            .finished
            .is_none_or(|finished| finished == command.finished.is_some())
        && filter.since.is_none_or(|since| command.created >= since)
        && filter.until.is_none_or(|until| command.created < until)
}

/// Ends what was not sent of a command, for `why`; where that is that it was cancelled, asks for the end of
/// what was.
pub(super) fn cancel(
    connection: &Transaction<'_>,
    id: CommandId,
    hosts: Option<&[HostId]>,
    at: UnixMillis,
    actor: String,
    why: &str,
) -> Result<Cancelled, StoreError> {
    let number = number_of(connection, id)?.ok_or(StoreError::NotFound)?;
    let hosts = hosts.map(json);
    let open: Vec<HostId> = connection
        .prepare_cached(
            "SELECT q.host FROM deliveries d JOIN queues q ON q.number = d.host
             WHERE d.command = ?1 AND d.state <= 3 AND d.cancel = 0
               AND (?2 IS NULL OR q.host IN (SELECT value FROM json_each(?2)))",
        )?
        .query_map(params![number, hosts], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut changes = Changes::by(connection, actor);
    let mut cancelled = Cancelled::default();
    for host in open {
        let Some(mut found) = changes.find(id, host)? else {
            continue;
        };
        if found.state == DeliveryState::Queued {
            changes.end(&mut found, DeliveryState::Cancelled, at, why, "")?;
            cancelled.ended.push(host);
        } else if why == "cancelled" {
            changes.request_cancel(&mut found, at)?;
            cancelled.requested.push(host);
        }
    }
    changes.finish()?;
    Ok(cancelled)
}

/// Takes a dead letter off the list; false where it was not on it.
fn take_off(
    connection: &Transaction<'_>,
    command: CommandId,
    host: HostId,
    at: UnixMillis,
    actor: &str,
    why: &str,
) -> Result<bool, StoreError> {
    let taken = connection
        .prepare_cached(
            "UPDATE deliveries SET discarded = 1, changes = changes + 1
             WHERE command = (SELECT number FROM commands WHERE id = ?1)
               AND host = (SELECT number FROM queues WHERE host = ?2)
               AND state IN (8, 9) AND discarded = 0
             RETURNING command, host, changes, state, attempts",
        )?
        .query_row((command, host), |row| {
            Ok(Past {
                key: (row.get(0)?, row.get(1)?),
                number: row.get(2)?,
                at,
                state: row.get(3)?,
                reason: why.to_owned(),
                attempts: row.get(4)?,
            })
        });
    let taken = taken.optional()?;
    write_history(connection, taken.as_slice())?;
    if let Some(Past { state, reason, .. }) = &taken {
        connection.event(&Event {
            at,
            host: Some(host),
            actor: actor.to_owned(),
            what: Happening::DeliveryUpdated {
                command,
                status: state.code().to_owned(),
                reason: reason.clone(),
            },
        })?;
    }
    Ok(taken.is_some())
}

fn remove(
    connection: &Transaction<'_>,
    before: UnixMillis,
    count: usize,
) -> Result<usize, StoreError> {
    let (mut removed, mut rows) = (0, 0);
    while rows < count {
        let oldest = connection
            .prepare_cached(
                "SELECT number FROM commands WHERE finished IS NOT NULL AND finished < ?1
                 ORDER BY finished LIMIT 1",
            )?
            .query_row([before], |row| row.get::<_, i64>(0));
        let Some(number) = oldest.optional()? else {
            break;
        };
        for table in ["delivery_history", "delivery_responses", "deliveries"] {
            let sql = format!("DELETE FROM {table} WHERE command = ?1");
            let gone = connection.prepare_cached(&sql)?.execute([number])?;
            rows += if table == "deliveries" {
                gone.max(1)
            } else {
                0
            };
        }
        connection
            .prepare_cached("DELETE FROM commands WHERE number = ?1")?
            .execute([number])?;
        removed += 1;
    }
    Ok(removed)
}

/// The number that a command has here.
pub(super) fn number_of(connection: &Connection, id: CommandId) -> Result<Option<i64>, StoreError> {
    let mut query = connection.prepare_cached("SELECT number FROM commands WHERE id = ?1")?;
    Ok(query.query_row([id], |row| row.get(0)).optional()?)
}

fn record(row: &Row<'_>) -> rusqlite::Result<(i64, CommandRecord)> {
    let mut counts = Counts::default();
    for (column, count) in (12..).zip(&mut counts.0) {
        *count = row.get::<_, i64>(column)?.max(0) as u64;
    }
    let (not_before, plan, waves) = plan(row, PLAN_AT)?;
    let command = CommandRecord {
        id: row.get(1)?,
        kind: row.get(2)?,
        parameters: row.get(3)?,
        timeout_seconds: row.get(4)?,
        priority: priority(row.get(5)?),
        user: row.get(6)?,
        created: row.get(7)?,
        expires: row.get(8)?,
        not_before,
        plan,
        waves,
        targets: row.get(9)?,
        redrive_of: row.get(10)?,
        finished: row.get(11)?,
        counts,
    };
    Ok((row.get(0)?, command))
}

const fn rank(priority: Priority) -> i64 {
    priority as i64
}

pub(super) fn priority(rank: i64) -> Priority {
    let found = Priority::ALL.into_iter().find(|p| self::rank(*p) == rank);
    found.unwrap_or_default()
}

/// A list of hosts as one parameter.
pub(super) fn json(hosts: &[HostId]) -> String {
    let ids: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    serde_json::Value::from(ids).to_string()
}
