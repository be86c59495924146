//! The store's epoch, and how an agent's journal is compared with what is kept. One of the two may be
//! older than the other remembers: an agent whose disk was put back, or a store that was.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::StoreError;
use super::super::commands::NewCommand;
use super::super::deliveries::{Applied, DeliveryState, JournalClaim, Reported, plausible};
use super::changes::Changes;
use super::{Transaction, commands};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId, Uuid, random_uuid};
use crate::secret::random;

/// What the store is called as long as it is not put back to an older state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch {
    /// Its number, which deliveries have.
    pub number: i64,
    /// Its name.
    pub id: Uuid,
}

impl Epoch {
    /// Reads the epoch, or begins the first.
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let newest = "SELECT number, id FROM epochs ORDER BY number DESC LIMIT 1";
        let found = connection.query_row(newest, [], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?))
        });
        match found.optional()? {
            Some((number, id)) => {
                let id = id.parse();
                let id = id.map_err(|_| StoreError::Failed("the epoch is no UUID".to_owned()))?;
                Ok(Self { number, id })
            }
            None => Self::begin(connection),
        }
    }

    /// Begins another epoch: the store may be older than agents remember it.
    pub(super) fn begin(connection: &Connection) -> Result<Self, StoreError> {
        let id = random_uuid(random());
        connection.execute("INSERT INTO epochs (id) VALUES (?1)", [id.to_string()])?;
        Ok(Self {
            number: connection.last_insert_rowid(),
            id,
        })
    }
}

/// What is kept of a host's journal.
struct Queue {
    number: i64,
    next_sequence: i64,
    acknowledged: i64,
    reporting: bool,
}

pub(super) fn sync(
    connection: &Transaction<'_>,
    host: HostId,
    claim: JournalClaim,
    at: UnixMillis,
) -> Result<bool, StoreError> {
    let seen = plausible(claim.sequence)?;
    let queue = queue(connection, host)?;
    let mut report = queue.reporting && !claim.reported;
    let mut next = queue.next_sequence;
    match claim.epoch {
        None => {
            lose(
                connection,
                &queue,
                -1,
                queue.acknowledged == 0,
                "journal_lost",
                at,
            )?;
            report = true;
        }
        Some(epoch) => {
            if seen < queue.acknowledged {
                lose(connection, &queue, seen, false, "journal_rolled_back", at)?;
            }
            // It has seen what was never given out, as far as is known here: the store went back. Under
            // the epoch that it has now its own numbers may mean something else to the agent, and stay.
            report |= epoch != connection.epoch.id || seen >= next;
            if seen >= next {
                next = seen + 1;
            }
            if epoch != connection.epoch.id {
                next = number_anew(connection, &queue, seen, next)?;
            }
        }
    }
    connection
        .prepare_cached(
            "UPDATE queues SET next_sequence = ?2, journal = ?3, reporting = ?4 WHERE number = ?1",
        )?
        .execute(params![
            queue.number,
            next,
            claim.epoch.map(|epoch| epoch.to_string()),
            report
        ])?;
    Ok(report)
}

fn queue(connection: &Transaction<'_>, host: HostId) -> Result<Queue, StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO queues (host) SELECT id FROM hosts WHERE id = ?1
             ON CONFLICT (host) DO NOTHING",
        )?
        .execute([host])?;
    let mut query = connection.prepare_cached(
        "SELECT number, next_sequence, acknowledged, reporting FROM queues WHERE host = ?1",
    )?;
    Ok(query.query_row([host], |row| {
        Ok(Queue {
            number: row.get(0)?,
            next_sequence: row.get(1)?,
            acknowledged: row.get(2)?,
            reporting: row.get(3)?,
        })
    })?)
}

/// Ends what the agent had, above a place, and does not know any more. What was sent and may have got
/// lost on the way is sent again; but where the whole journal is gone, nobody can tell, unless there
/// was none before.
fn lose(
    connection: &Transaction<'_>,
    queue: &Queue,
    above: i64,
    never: bool,
    reason: &str,
    at: UnixMillis,
) -> Result<(), StoreError> {
    let known: Vec<(CommandId, HostId)> = connection
        .prepare_cached(
            "SELECT c.id, q.host FROM deliveries d JOIN commands c ON c.number = d.command
             JOIN queues q ON q.number = d.host
             WHERE d.host = ?1 AND d.sequence > ?2 AND d.stage = 1",
        )?
        .query_map((queue.number, above), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let whole = above < 0;
    let mut changes = Changes::new(connection);
    for (command, host) in known {
        let Some(mut found) = changes.find(command, host)? else {
            continue;
        };
        let sent = found.state == DeliveryState::Sent && !found.once;
        if sent && never {
            changes.requeue(&mut found, at)?;
        } else if !sent || whole {
            changes.end(&mut found, DeliveryState::Interrupted, at, reason, "")?;
        }
    }
    changes.finish()
}

/// Gives what this epoch has made for the host and not sent other places, from `next` on, where the agent
/// may know theirs by another command. Answers the next place.
fn number_anew(
    connection: &Transaction<'_>,
    queue: &Queue,
    seen: i64,
    mut next: i64,
) -> Result<i64, StoreError> {
    let waiting: Vec<(i64, i64)> = connection
        .prepare_cached(
            "SELECT command, sequence FROM deliveries
             WHERE host = ?1 AND stage = 0 AND held = 0 AND epoch = ?2 ORDER BY sequence",
        )?
        .query_map((queue.number, connection.epoch.number), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    if waiting.first().is_none_or(|(_, lowest)| *lowest > seen) {
        return Ok(next);
    }
    let mut place = connection
        .prepare_cached("UPDATE deliveries SET sequence = ?3 WHERE command = ?1 AND host = ?2")?;
    for (command, _) in waiting {
        place.execute((command, queue.number, next))?;
        next += 1;
    }
    Ok(next)
}

pub(super) fn recover(
    connection: &Transaction<'_>,
    host: HostId,
    reported: Vec<Reported>,
    at: UnixMillis,
) -> Result<Vec<Applied>, StoreError> {
    let queue = queue(connection, host)?;
    let mut changes = Changes::new(connection);
    let mut applied = Vec::with_capacity(reported.len());
    for Reported {
        command,
        sequence,
        step,
    } in reported
    {
        let mut found = changes.find(command.id, host)?;
        if found.is_none() {
            make(connection, &mut changes, &queue, &command, sequence, at)?;
            let target = format!("command:{}", command.id);
            let audit = Entry::new(at, format!("host:{host}"), "command.recover", target)
                .host(host)
                .detail("command_type", command.kind.as_str())
                .detail("made_by", command.user.as_str());
            connection.record(audit.into())?;
            found = changes.find(command.id, host)?;
        }
        let mut found = found.ok_or(StoreError::NotFound)?;
        applied.push(changes.step(&mut found, at, step)?);
    }
    changes.finish()?;
    Ok(applied)
}

/// Makes a delivery out of an agent's report, as sent: that much is certain.
fn make(
    connection: &Transaction<'_>,
    changes: &mut Changes<'_>,
    queue: &Queue,
    command: &NewCommand,
    sequence: u64,
    at: UnixMillis,
) -> Result<(), StoreError> {
    let number = match commands::number_of(connection, command.id)? {
        Some(number) => number,
        None => commands::insert(connection, command, [0, 0], 0)?,
    };
    connection
        .prepare_cached(
            "INSERT INTO deliveries (command, host, sequence, epoch, rank, state, stage, reason,
                 detail, updated, recovered)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, 1, '', '', ?6, 1)",
        )?
        .execute(params![
            number,
            queue.number,
            plausible(sequence)?,
            connection.epoch.number,
            command.priority as i64,
            at,
        ])?;
    changes.count(number, DeliveryState::Sent, at);
    Ok(())
}
