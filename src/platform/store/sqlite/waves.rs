//! Waves in SQLite. A delivery that is held for a later wave stands as queued and has no place among those of
//! its host: it gets one when its wave is begun, behind whatever came meanwhile. A command's time to live
//! counts anew from the beginning of each wave: `expires` moves on, and `sweep` is when that is to be looked
//! at.

use rusqlite::{OptionalExtension as _, Row, params};

use super::super::commands::Cancelled;
use super::super::deliveries::DeliveryState;
use super::super::waves::{Begun, FAILURES, Plan, Skippable, WaveStand, WaveStore, Waves};
use super::super::{Change, StoreError, StoreFuture};
use super::commands::{cancel, number_of};
use super::values::signed;
use super::{SqliteStore, Transaction};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId};
use crate::platform::events::{Event, Happening};

impl WaveStore for SqliteStore {
    fn begin_waves(&self, now: UnixMillis) -> StoreFuture<'_, Begun> {
        Box::pin(self.write(move |connection| begin(connection, now)))
    }

    fn resume_command(
        &self,
        id: CommandId,
        at: UnixMillis,
        change: Change,
    ) -> StoreFuture<'_, bool> {
        Box::pin(self.write(move |connection| {
            let number = number_of(connection, id)?.ok_or(StoreError::NotFound)?;
            let resumed = connection
                .prepare_cached(
                    "UPDATE commands SET paused = NULL, paused_reason = '',
                         failures_before = failed + interrupted + dead
                     WHERE number = ?1 AND paused IS NOT NULL",
                )?
                .execute([number])?;
            if resumed == 0 {
                return Ok(false);
            }
            connection.record(change)?;
            go_on(connection, number, at, true)?;
            Ok(true)
        }))
    }

    fn abort_command(
        &self,
        id: CommandId,
        at: UnixMillis,
        change: Change,
    ) -> StoreFuture<'_, Vec<HostId>> {
        Box::pin(self.write(move |connection| {
            let actor = change.audit.actor.clone();
            connection.record(change)?;
            let Cancelled { ended, .. } = cancel(connection, id, None, at, actor, "aborted")?;
            Ok(ended)
        }))
    }

    fn skippable(
        &self,
        after: Option<(CommandId, HostId)>,
        count: usize,
    ) -> StoreFuture<'_, Vec<Skippable>> {
        Box::pin(self.read(move |connection| {
            let (command, host) = after.unzip();
            let mut query = connection.prepare_cached(
                "SELECT c.id, q.host, c.created, d.next_attempt, d.in_window
                 FROM deliveries d JOIN commands c ON c.number = d.command
                 JOIN queues q ON q.number = d.host
                 WHERE d.stage = 0 AND d.held = 0 AND d.skip = 1
                   AND (d.command, d.host) > (
                       coalesce((SELECT number FROM commands WHERE id = ?1), -1),
                       coalesce((SELECT number FROM queues WHERE host = ?2), -1))
                 ORDER BY d.command, d.host LIMIT ?3",
            )?;
            let found = query.query_map((command, host, signed(count as u64)), |row| {
                Ok(Skippable {
                    command: row.get(0)?,
                    host: row.get(1)?,
                    created: row.get(2)?,
                    not_before: row.get(3)?,
                    in_window: row.get(4)?,
                })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        }))
    }
}

fn begin(connection: &Transaction<'_>, now: UnixMillis) -> Result<Begun, StoreError> {
    let mut begun = Begun::default();
    loop {
        let due = connection
            .prepare_cached(
                "SELECT number, id, kind, user FROM commands
                 WHERE wave_due IS NOT NULL AND wave_due <= ?1 ORDER BY wave_due LIMIT 1",
            )?
            .query_row([now], |row| {
                let what = |status: &str| Happening::CommandUpdated {
                    id: row.get(1).unwrap_or_default(),
                    command_type: row.get(2).unwrap_or_default(),
                    status: status.to_owned(),
                };
                Ok((row.get::<_, i64>(0)?, what("running")))
            });
        let Some((number, what)) = due.optional()? else {
            break;
        };
        // The next wave of which something is left.
        let wave: Option<i64> = connection
            .prepare_cached("SELECT min(wave) FROM deliveries WHERE command = ?1 AND held = 1")?
            .query_row([number], |row| row.get(0))?;
        let Some(wave) = wave else {
            connection
                .prepare_cached("UPDATE commands SET wave_due = NULL, held = 0 WHERE number = ?1")?
                .execute([number])?;
            continue;
        };
        let released = release(connection, number, wave, now)?;
        connection
            .prepare_cached(
                "UPDATE commands SET wave = ?2, held = held - ?3, wave_due = NULL,
                     expires = ?4 + lifetime, sweep = ?4 + lifetime WHERE number = ?1",
            )?
            .execute(params![number, wave, signed(released.len() as u64), now])?;
        begun.hosts.extend(released);
        connection.event(&Event {
            at: now,
            host: None,
            actor: String::new(),
            what,
        })?;
    }
    begun.next = connection
        .prepare_cached("SELECT min(wave_due) FROM commands WHERE wave_due IS NOT NULL")?
        .query_row([], |row| row.get(0))?;
    begun.any = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM deliveries WHERE held = 1)")?
        .query_row([], |row| row.get(0))?;
    Ok(begun)
}

/// Gives each delivery of a wave its place among those of its host.
fn release(
    connection: &Transaction<'_>,
    number: i64,
    wave: i64,
    now: UnixMillis,
) -> Result<Vec<HostId>, StoreError> {
    let held: Vec<(i64, HostId)> = connection
        .prepare_cached(
            "SELECT d.host, q.host FROM deliveries d JOIN queues q ON q.number = d.host
             WHERE d.command = ?1 AND d.wave = ?2 AND d.held = 1",
        )?
        .query_map((number, wave), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut release = connection.prepare_cached(
        "UPDATE deliveries SET held = 0, sequence = ?3, epoch = ?4, updated = ?5
         WHERE command = ?1 AND host = ?2",
    )?;
    for (queue, _) in &held {
        let sequence = next_sequence(connection, *queue)?;
        release.execute((number, queue, sequence, connection.epoch.number, now))?;
    }
    Ok(held.into_iter().map(|(_, host)| host).collect())
}

/// The next place among the deliveries of a host.
pub(super) fn next_sequence(connection: &Transaction<'_>, queue: i64) -> Result<i64, StoreError> {
    let mut place = connection.prepare_cached(
        "UPDATE queues SET next_sequence = next_sequence + 1 WHERE number = ?1
         RETURNING next_sequence - 1",
    )?;
    Ok(place.query_row([queue], |row| row.get(0))?)
}

/// What follows for a command with waves from where its deliveries stand now: a wave that is over lets the
/// next one come, after the pause or, where somebody has `resumed` it, at once; too many failures let none.
pub(super) fn go_on(
    connection: &Transaction<'_>,
    number: i64,
    at: UnixMillis,
    resumed: bool,
) -> Result<(), StoreError> {
    let (id, kind, held, open, failures, failures_max, paused, due, pause): (
        CommandId,
        String,
        i64,
        i64,
        i64,
        Option<i64>,
        bool,
        bool,
        i64,
    ) = connection
        .prepare_cached(
            "SELECT id, kind, held, queued + sent + received + running - held,
                 failed + interrupted + dead - failures_before, failures_max,
                 paused IS NOT NULL, wave_due IS NOT NULL, wave_pause
             FROM commands WHERE number = ?1",
        )?
        .query_row([number], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
                row.get(7)?,
                row.get(8)?,
            ))
        })?;
    if held == 0 {
        // There is nothing that could be begun, or be waited with.
        connection
            .prepare_cached(
                "UPDATE commands SET wave_due = NULL, paused = NULL, paused_reason = ''
                 WHERE number = ?1 AND (wave_due IS NOT NULL OR paused IS NOT NULL)",
            )?
            .execute([number])?;
        return Ok(());
    }
    let mut is_paused = paused;
    if !paused && failures_max.is_some_and(|most| failures > most) {
        is_paused = true;
        connection
            .prepare_cached(
                "UPDATE commands SET paused = ?2, paused_reason = ?3, wave_due = NULL,
                     expires = max(expires, ?2 + lifetime), sweep = max(expires, ?2 + lifetime)
                 WHERE number = ?1",
            )?
            .execute((number, at, FAILURES))?;
        let audit = Entry::new(at, "platform", "command.pause", format!("command:{id}"))
            .detail("command_type", kind)
            .detail("reason", FAILURES)
            .detail("failures", failures.to_string());
        connection.record(audit.into())?;
    }
    if open == 0 && !is_paused && !due {
        let pause = if resumed { 0 } else { pause };
        connection
            .prepare_cached(
                "UPDATE commands SET wave_due = ?2 + ?3, expires = ?2 + ?3 + lifetime,
                     sweep = ?2 + ?3 + lifetime WHERE number = ?1",
            )?
            .execute((number, at, pause))?;
    }
    Ok(())
}

/// What of a command may not be begun any more at `now`: its hosts, at most `count`. None, where all that
/// is left is held for a wave that will come.
pub(super) fn overdue(
    connection: &Transaction<'_>,
    number: i64,
    count: usize,
) -> Result<Vec<HostId>, StoreError> {
    let hosts = |held: &str| -> Result<Vec<HostId>, StoreError> {
        let sql = format!(
            "SELECT q.host FROM deliveries d JOIN queues q ON q.number = d.host
             WHERE d.command = ?1 AND d.stage = 0 AND d.held = {held} LIMIT ?2"
        );
        let mut query = connection.prepare_cached(&sql)?;
        let found = query.query_map((number, signed(count as u64)), |row| row.get(0))?;
        Ok(found.collect::<Result<_, _>>()?)
    };
    let released = hosts("0")?;
    if !released.is_empty() {
        return Ok(released);
    }
    let paused: bool = connection
        .prepare_cached("SELECT paused IS NOT NULL FROM commands WHERE number = ?1")?
        .query_row([number], |row| row.get(0))?;
    if paused {
        // Nobody has said that it goes on.
        let held = hosts("1")?;
        if !held.is_empty() {
            return Ok(held);
        }
    }
    connection
        .prepare_cached("UPDATE commands SET sweep = NULL WHERE number = ?1")?
        .execute([number])?;
    Ok(Vec::new())
}

/// Has what an agent did not begin before the window's end wait for the next window, in a new place: the agent
/// knows the old one.
pub(super) fn wait_again(
    connection: &Transaction<'_>,
    (command, host): (i64, i64),
    at: UnixMillis,
) -> Result<(), StoreError> {
    let sequence = next_sequence(connection, host)?;
    // Not within the same window, whatever the agent takes for its end.
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = 0, stage = 0, changes = changes + 1, once = 0, sequence = ?3, epoch = ?4,
                 next_attempt = max(coalesce(until, 0), ?5 + 1000), until = NULL,
                 reason = 'window_closed', updated = ?5
             WHERE command = ?1 AND host = ?2",
        )?
        .execute(params![
            command,
            host,
            sequence,
            connection.epoch.number,
            at
        ])?;
    Ok(())
}

/// The columns that [`plan`] reads, in this order.
pub(super) const PLAN: &str = "not_before, in_window, skip_offline, waves, wave, wave_size, wave_pause, \
    wave_due, held, failures_max, paused, paused_reason";

/// Reads how a command is due and where its waves stand, from that column on.
pub(super) fn plan(
    row: &Row<'_>,
    from: usize,
) -> rusqlite::Result<(Option<UnixMillis>, Plan, Option<WaveStand>)> {
    let count = |column: usize| row.get::<_, i64>(from + column).map(|n| n.max(0) as u64);
    let total = count(3)?;
    let failures_max: Option<i64> = row.get(from + 9)?;
    let plan = Plan {
        in_window: row.get(from + 1)?,
        skip_offline: row.get(from + 2)?,
        waves: (total > 0)
            .then(|| {
                Ok::<_, rusqlite::Error>(Waves {
                    size: count(5)?,
                    pause: std::time::Duration::from_millis(count(6)?),
                    failures_max: failures_max.map(|most| most.max(0) as u64),
                })
            })
            .transpose()?,
    };
    let stand = WaveStand {
        current: count(4)?,
        total,
        held: count(8)?,
        next: row.get(from + 7)?,
        paused: row.get(from + 10)?,
        reason: row.get(from + 11)?,
    };
    Ok((row.get(from)?, plan, (total > 0).then_some(stand)))
}

/// Whether an agent's word that a delivery has expired comes before its command has: it is its window that
/// has closed.
pub(super) fn is_early(
    connection: &Transaction<'_>,
    command: i64,
    at: UnixMillis,
    state: DeliveryState,
) -> Result<bool, StoreError> {
    if state != DeliveryState::Expired {
        return Ok(false);
    }
    let mut query = connection
        .prepare_cached("SELECT expires IS NULL OR expires > ?2 FROM commands WHERE number = ?1")?;
    Ok(query.query_row((command, at), |row| row.get(0))?)
}
