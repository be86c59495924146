//! How a delivery goes on, in SQLite: each step is written with its history, its event and what it adds up
//! to for its command, and none is made that would go back.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, ToSql, params};

use super::super::StoreError;
use super::super::deliveries::{Applied, DeliveryState, End, Step};
use super::values::{insert_rows, signed};
use super::{Transaction, waves};
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId};
use crate::platform::events::{Event, Happening};

/// A delivery, as far as a change of it needs.
pub(super) struct Found {
    /// Its command's number and its host's.
    pub key: (i64, i64),
    pub command: CommandId,
    pub host: HostId,
    pub sequence: i64,
    pub state: DeliveryState,
    pub once: bool,
    attempts: u32,
    changes: i64,
    /// Its wave was not begun.
    held: bool,
    in_window: bool,
    /// Its command has waves.
    in_wave: bool,
    cancel: bool,
}

/// Changes of deliveries within one transaction. What they add up to for a command or a host is written
/// once, by [`Self::finish`].
pub(super) struct Changes<'a> {
    connection: &'a Transaction<'a>,
    actor: String,
    /// By a command's number: how many more, or fewer, stand where; and when the last change was.
    counts: BTreeMap<i64, (UnixMillis, [i64; DeliveryState::ALL.len()])>,
    /// By a host's number: the highest place that its agent has acknowledged.
    acknowledged: BTreeMap<i64, i64>,
    /// The numbers of commands that have waves, with how many were held and are not any more.
    in_waves: BTreeMap<i64, i64>,
    history: Vec<Past>,
}

/// A step of a delivery's life.
pub(super) struct Past {
    /// Its command's number and its host's.
    pub key: (i64, i64),
    /// Which step it is.
    pub number: i64,
    pub at: UnixMillis,
    pub state: DeliveryState,
    pub reason: String,
    pub attempts: u32,
}

impl<'a> Changes<'a> {
    /// Changes that nobody makes by hand.
    pub fn new(connection: &'a Transaction<'a>) -> Self {
        Self::by(connection, String::new())
    }

    /// Changes that somebody has asked for.
    pub fn by(connection: &'a Transaction<'a>, actor: String) -> Self {
        Self {
            connection,
            actor,
            counts: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            in_waves: BTreeMap::new(),
            history: Vec::new(),
        }
    }

    pub fn find(&self, command: CommandId, host: HostId) -> Result<Option<Found>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT command, host, sequence, state, once, attempts, changes, held, in_window,
                 wave > 0, cancel FROM deliveries
             WHERE command = (SELECT number FROM commands WHERE id = ?1)
               AND host = (SELECT number FROM queues WHERE host = ?2)",
        )?;
        let found = query.query_row((command, host), |row| {
            Ok(Found {
                key: (row.get(0)?, row.get(1)?),
                command,
                host,
                sequence: row.get(2)?,
                state: row.get(3)?,
                once: row.get(4)?,
                attempts: row.get(5)?,
                changes: row.get(6)?,
                held: row.get(7)?,
                in_window: row.get(8)?,
                in_wave: row.get(9)?,
                cancel: row.get(10)?,
            })
        });
        Ok(found.optional()?)
    }

    /// Makes one step, if it goes on from where the delivery stands.
    pub fn step(
        &mut self,
        found: &mut Found,
        at: UnixMillis,
        step: Step,
    ) -> Result<Applied, StoreError> {
        let (from, key) = (found.state, found.key);
        match step {
            // What is held has no place yet at which it could be sent.
            Step::Sent { .. } | Step::SentInWindow { .. } | Step::Skipped if found.held => {
                return Ok(Applied::Unchanged(from));
            }
            Step::Sent { once } if from < DeliveryState::Sent => {
                self.sent(found, at, once, None)?;
            }
            Step::SentInWindow { once, until } if from < DeliveryState::Sent => {
                self.sent(found, at, once, Some(until))?;
            }
            Step::Skipped if from < DeliveryState::Sent => {
                let detail = "the host was offline when its turn came, and is not waited for";
                let state = DeliveryState::Cancelled;
                self.ended(found, at, End::new(state, "host_offline", detail))?;
            }
            Step::Retry {
                next_attempt,
                reason,
            } if from == DeliveryState::Sent => {
                found.attempts += 1;
                self.connection
                    .prepare_cached(
                        "UPDATE deliveries SET changes = changes + 1, attempts = ?3,
                             next_attempt = ?4, reason = ?5, updated = ?6 WHERE command = ?1 AND host = ?2",
                    )?
                    .execute(params![
                        key.0,
                        key.1,
                        found.attempts,
                        next_attempt,
                        reason,
                        at
                    ])?;
                self.came_to(found, from, at, reason)?;
            }
            Step::Received if from < DeliveryState::Received => {
                self.acknowledge(found);
                self.went_on(found, DeliveryState::Received, at)?;
            }
            Step::Running if from < DeliveryState::Running => {
                self.acknowledge(found);
                self.went_on(found, DeliveryState::Running, at)?;
            }
            Step::Progress(progress) if from.is_under_way() => {
                self.connection
                    .prepare_cached(
                        "UPDATE deliveries SET progress = ?3 WHERE command = ?1 AND host = ?2",
                    )?
                    .execute(params![key.0, key.1, progress])?;
            }
            Step::Ended(end)
                if !from.is_final()
                    && found.in_window
                    && end.response.is_some()
                    && waves::is_early(self.connection, key.0, at, end.state)? =>
            {
                // Said again of what waits again.
                if from == DeliveryState::Queued {
                    return Ok(Applied::Unchanged(from));
                }
                self.acknowledge(found);
                if found.cancel {
                    let cancelled = DeliveryState::Cancelled;
                    self.ended(found, at, End::new(cancelled, "cancelled", ""))?;
                } else {
                    waves::wait_again(self.connection, key, at)?;
                    self.came_to(found, DeliveryState::Queued, at, "window_closed")?;
                }
            }
            Step::Ended(end) if !from.is_final() => {
                self.acknowledge(found);
                self.ended(found, at, *end)?;
            }
            _ => return Ok(Applied::Unchanged(from)),
        }
        Ok(Applied::Made(found.state))
    }

    /// Ends a delivery for a reason of the platform's own.
    pub fn end(
        &mut self,
        found: &mut Found,
        state: DeliveryState,
        at: UnixMillis,
        reason: &str,
        detail: &str,
    ) -> Result<(), StoreError> {
        self.ended(found, at, End::new(state, reason, detail))
    }

    /// Has a delivery wait again as though it had never been sent.
    pub fn requeue(&mut self, found: &mut Found, at: UnixMillis) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE deliveries SET changes = changes + 1, state = 0, stage = 0,
                     next_attempt = NULL, updated = ?3
                 WHERE command = ?1 AND host = ?2",
            )?
            .execute((found.key.0, found.key.1, at))?;
        self.came_to(found, DeliveryState::Queued, at, "journal_new")
    }

    /// Notes that a delivery which the host may have is wanted no more.
    pub fn request_cancel(&mut self, found: &mut Found, at: UnixMillis) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE deliveries SET changes = changes + 1, cancel = 1
                 WHERE command = ?1 AND host = ?2",
            )?
            .execute(found.key)?;
        self.came_to(found, found.state, at, "cancel_requested")
    }

    /// Counts a delivery that was just made.
    pub fn count(&mut self, command: i64, state: DeliveryState, at: UnixMillis) {
        let (last, counts) = self.counts.entry(command).or_default();
        counts[state as usize] += 1;
        *last = at;
    }

    fn sent(
        &mut self,
        found: &mut Found,
        at: UnixMillis,
        once: bool,
        until: Option<UnixMillis>,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE deliveries SET changes = changes + 1, state = 1, stage = 1, once = ?3,
                     next_attempt = NULL, updated = ?4, until = ?5 WHERE command = ?1 AND host = ?2",
            )?
            .execute(params![found.key.0, found.key.1, once, at, until])?;
        self.came_to(found, DeliveryState::Sent, at, "")
    }

    fn went_on(
        &mut self,
        found: &mut Found,
        state: DeliveryState,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        if found.state == DeliveryState::Queued {
            self.connection
                .prepare_cached("UPDATE deliveries SET stage = 1 WHERE command = ?1 AND host = ?2")?
                .execute(found.key)?;
        }
        // Of what the indexes are made of nothing changes: that is half of what it takes.
        self.connection
            .prepare_cached(
                "UPDATE deliveries SET changes = changes + 1, state = ?3, next_attempt = NULL,
                     reason = '', updated = ?4, started = CASE WHEN ?3 = 3 THEN ?4 END
                 WHERE command = ?1 AND host = ?2",
            )?
            .execute((found.key.0, found.key.1, state, at))?;
        self.came_to(found, state, at, "")
    }

    fn ended(&mut self, found: &mut Found, at: UnixMillis, end: End) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE deliveries SET changes = changes + 1, state = ?3, stage = 2,
                     next_attempt = NULL, reason = ?4, detail = ?5, updated = ?6,
                     started = coalesce(?7, started), ended = ?6, held = 0
                 WHERE command = ?1 AND host = ?2",
            )?
            .execute(params![
                found.key.0,
                found.key.1,
                end.state,
                end.reason,
                end.detail,
                at,
                end.started,
            ])?;
        if let Some(response) = end.response {
            self.connection
                .prepare_cached("INSERT INTO delivery_responses VALUES (?1, ?2, ?3)")?
                .execute((found.key.0, found.key.1, response))?;
        }
        self.came_to(found, end.state, at, &end.reason)
    }

    /// Counts, remembers and tells that a delivery came to stand there. The change of its row counts itself.
    fn came_to(
        &mut self,
        found: &mut Found,
        state: DeliveryState,
        at: UnixMillis,
        reason: &str,
    ) -> Result<(), StoreError> {
        let Found { key, attempts, .. } = *found;
        found.changes += 1;
        self.history.push(Past {
            key,
            number: found.changes,
            at,
            state,
            reason: reason.to_owned(),
            attempts,
        });
        if state != found.state {
            let (last, counts) = self.counts.entry(key.0).or_default();
            counts[found.state as usize] -= 1;
            counts[state as usize] += 1;
            *last = at;
            found.state = state;
            if found.in_wave {
                let held = self.in_waves.entry(key.0).or_default();
                *held += i64::from(state.is_final() && std::mem::take(&mut found.held));
            }
        }
        self.connection.event(&Event {
            at,
            host: Some(found.host),
            actor: self.actor.clone(),
            what: Happening::DeliveryUpdated {
                command: found.command,
                status: state.code().to_owned(),
                reason: reason.to_owned(),
            },
        })
    }

    fn acknowledge(&mut self, found: &Found) {
        // Whatever the agent had before, it has said so.
        let first = found.state <= DeliveryState::Sent;
        if first && !found.once {
            let highest = self.acknowledged.entry(found.key.1).or_default();
            *highest = found.sequence.max(*highest);
        }
    }

    /// Writes what the changes add up to.
    pub fn finish(self) -> Result<(), StoreError> {
        write_history(self.connection, &self.history)?;
        let mut count = self.connection.prepare_cached(
            "UPDATE commands SET queued = queued + ?2, sent = sent + ?3, received = received + ?4,
                 running = running + ?5, succeeded = succeeded + ?6, failed = failed + ?7,
                 interrupted = interrupted + ?8, cancelled = cancelled + ?9,
                 expired = expired + ?10, dead = dead + ?11,
                 finished = CASE WHEN queued + sent + received + running + ?12 = 0 THEN ?13 END
             WHERE number = ?1",
        )?;
        let mut last = BTreeMap::new();
        for (command, (at, counts)) in self.counts {
            last.insert(command, at);
            let [a, b, c, d, e, f, g, h, i, j] = counts;
            let open = a + b + c + d;
            count.execute(params![command, a, b, c, d, e, f, g, h, i, j, open, at])?;
        }
        let mut acknowledge = self.connection.prepare_cached(
            "UPDATE queues SET acknowledged = ?2 WHERE number = ?1 AND acknowledged < ?2",
        )?;
        for highest in self.acknowledged {
            acknowledge.execute(highest)?;
        }
        let mut unheld = self
            .connection
            .prepare_cached("UPDATE commands SET held = held - ?2 WHERE number = ?1")?;
        for (command, count) in &self.in_waves {
            if *count > 0 {
                unheld.execute((command, count))?;
            }
            let at = last.get(command).copied().unwrap_or_default();
            waves::go_on(self.connection, *command, at, false)?;
        }
        Ok(())
    }
}

/// Writes steps of deliveries' lives.
pub(super) fn write_history(connection: &Connection, history: &[Past]) -> Result<(), StoreError> {
    let rows = history.iter().map(|past| -> [&dyn ToSql; 7] {
        [
            &past.key.0,
            &past.key.1,
            &past.number,
            &past.at,
            &past.state,
            &past.reason,
            &past.attempts,
        ]
    });
    insert_rows(connection, "delivery_history", &rows.collect::<Vec<_>>())
}

/// Ends what waits and may not be begun any more.
pub(super) fn expire(
    connection: &Transaction<'_>,
    now: UnixMillis,
    count: usize,
) -> Result<Vec<(CommandId, HostId)>, StoreError> {
    let mut expired: Vec<(CommandId, HostId)> = Vec::new();
    while expired.len() < count {
        let next = connection
            .prepare_cached(
                "SELECT number, id FROM commands
                 WHERE queued > 0 AND sweep IS NOT NULL AND sweep <= ?1
                 ORDER BY sweep LIMIT 1",
            )?
            .query_row([now], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)));
        let Some((number, id)) = next.optional()? else {
            break;
        };
        let hosts = waves::overdue(connection, number, count - expired.len())?;
        let mut changes = Changes::new(connection);
        for host in hosts {
            if let Some(mut found) = changes.find(id, host)? {
                changes.end(&mut found, DeliveryState::Expired, now, "expired", "")?;
                expired.push((id, host));
            }
        }
        changes.finish()?;
    }
    Ok(expired)
}

/// Ends what was sent to agents without a journal.
pub(super) fn interrupt(
    connection: &Transaction<'_>,
    at: UnixMillis,
    count: usize,
) -> Result<usize, StoreError> {
    let lost: Vec<(CommandId, HostId)> = connection
        .prepare_cached(
            "SELECT c.id, q.host FROM deliveries d JOIN commands c ON c.number = d.command
             JOIN queues q ON q.number = d.host
             WHERE d.stage = 1 AND d.once = 1 LIMIT ?1",
        )?
        .query_map([signed(count as u64)], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut changes = Changes::new(connection);
    for (command, host) in &lost {
        if let Some(mut found) = changes.find(*command, *host)? {
            let (state, reason) = (DeliveryState::Interrupted, "connection_lost");
            changes.end(&mut found, state, at, reason, "")?;
        }
    }
    changes.finish()?;
    Ok(lost.len())
}
