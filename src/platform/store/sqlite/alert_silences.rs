//! Silences of alerts in SQLite: the SQL by which an alert is silenced, and the messages that one holds. Such a message
//! is due at the end of what holds it, so that nobody asks for it meanwhile; what changes that moment frees it.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::alert_silences::{
    AlertMatcher, AlertSilence, AlertSilenceStore, SHOWN_AFTER, SILENCES_MAX,
};
use super::super::{Change, StoreError, StoreFuture};
use super::alert_rules::millis;
use super::alerts::{bounded, out_of_range, removed_one};
use super::values::signed;
use super::{SqliteStore, Transaction};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertId, AlertSilenceId, GroupId, HostId};
use crate::platform::events::{Event, Happening};

/// By which silence a message is held; and how much of a silence was told: nothing (0), that it has begun (1), that it is
/// over (2).
pub(super) const HELD: &str = "
    ALTER TABLE alert_notifications ADD COLUMN held TEXT;
    CREATE INDEX alert_notifications_held ON alert_notifications (held) WHERE held IS NOT NULL;
    ALTER TABLE alert_silences ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
    UPDATE alert_silences SET told = (starts <= unixepoch() * 1000) + (ends <= unixepoch() * 1000);
";

/// The silences of the moment `?1`.
pub(super) const ACTIVE: &str = "SELECT id, rule, host, group_id, labels, ends FROM alert_silences
    WHERE starts <= ?1 AND ends > ?1";

/// Whether the silence `s` is for the alert `a`. An alert about no host is in no group and has no labels.
pub(super) const MATCHES: &str = "(s.rule IS NULL OR s.rule = a.rule)
    AND (s.host IS NULL OR s.host = a.host)
    AND (s.group_id IS NULL OR EXISTS (SELECT 1 FROM host_groups g
        WHERE g.host = a.host AND g.group_id = s.group_id))
    AND NOT EXISTS (SELECT 1 FROM json_each(s.labels) w WHERE NOT EXISTS (SELECT 1 FROM host_labels l
        WHERE l.host = a.host AND l.key = w.key AND (w.value = '' OR l.value = w.value)))";

/// The silence of the moment `?1` for the alert `?2` that ends last, while that fires: that it is over is sent to who
/// was told, silenced or not.
fn longest() -> String {
    format!(
        "SELECT s.id, s.ends FROM alerts a JOIN ({ACTIVE}) s ON {MATCHES}
         WHERE a.id = ?2 AND a.state = 1 ORDER BY s.ends DESC LIMIT 1"
    )
}

/// The silences of which something is to be told at the moment `?1`; where a clock was set back, anew.
const UNTOLD: &str = "SELECT id, host, group_id FROM alert_silences
    WHERE told <> (starts <= ?1) + (ends <= ?1)";

/// Frees the messages that a silence holds: they are due since they were made.
pub(super) const FREE: &str =
    "UPDATE alert_notifications SET held = NULL, next = created WHERE held = ?1";
/// The same of those that are held by silences for a group.
pub(super) const FREE_FOR_GROUP: &str = "UPDATE alert_notifications SET held = NULL, next = created
     WHERE held IN (SELECT id FROM alert_silences WHERE group_id = ?1)";
/// And of those about a host.
pub(super) const FREE_OF_HOST: &str = "UPDATE alert_notifications SET held = NULL, next = created
    WHERE held IS NOT NULL AND alert IN (SELECT id FROM alerts WHERE host = ?1 AND state = 1)";

/// The silence that holds what is to be sent of an alert, and until when.
pub(super) fn silence_for(
    connection: &Connection,
    now: UnixMillis,
    alert: AlertId,
) -> Result<Option<(AlertSilenceId, UnixMillis)>, StoreError> {
    let mut query = connection.prepare_cached(&longest())?;
    let found = query.query_row((now, alert), |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?)
}

impl AlertSilenceStore for SqliteStore {
    fn alert_silences(&self) -> StoreFuture<'_, Vec<AlertSilence>> {
        Box::pin(self.read(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT id, reason, by, created, starts, ends, rule, host, group_id, labels
                 FROM alert_silences ORDER BY ends DESC, id",
            )?;
            let silences = query.query_map([], silence)?;
            Ok(silences.collect::<Result<_, _>>()?)
        }))
    }

    fn create_alert_silence(&self, silence: AlertSilence, change: Change) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let labels = serde_json::to_string(&silence.matcher.labels)
                .map_err(|error| StoreError::Failed(error.to_string()))?;
            connection
                .prepare_cached("DELETE FROM alert_silences WHERE ends < ?1 - ?2")?
                .execute((silence.created, millis(SHOWN_AFTER)))?;
            // What is over makes room: it is there to be looked at alone.
            connection
                .prepare_cached(
                    "DELETE FROM alert_silences WHERE id IN (SELECT id FROM alert_silences
                         ORDER BY ends DESC, id LIMIT -1 OFFSET ?2) AND ends <= ?1",
                )?
                .execute((silence.created, signed(SILENCES_MAX as u64 - 1)))?;
            let count = "SELECT count(*) FROM alert_silences";
            bounded(connection, count, SILENCES_MAX)?;
            connection
                .prepare_cached(
                    "INSERT INTO alert_silences
                         (id, reason, by, created, starts, ends, rule, host, group_id, labels, told)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?5 <= ?4)",
                )?
                .execute(params![
                    silence.id,
                    silence.reason,
                    silence.by,
                    silence.created,
                    silence.starts,
                    silence.ends,
                    silence.matcher.rule,
                    silence.matcher.host,
                    silence.matcher.group,
                    labels,
                ])?;
            connection.record(change)
        }))
    }

    fn end_alert_silence(
        &self,
        id: AlertSilenceId,
        ends: UnixMillis,
        audit: Entry,
    ) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let is_over = connection
                .prepare_cached("SELECT ends <= ?2 FROM alert_silences WHERE id = ?1")?
                .query_row((id, audit.at), |row| row.get::<_, bool>(0))?;
            if is_over {
                return Err(StoreError::SilenceOver);
            }
            for change in [
                "UPDATE alert_silences SET ends = ?2 WHERE id = ?1",
                "UPDATE alert_notifications SET next = ?2 WHERE held = ?1",
            ] {
                connection.prepare_cached(change)?.execute((id, ends))?;
            }
            connection.audit(audit)
        }))
    }

    fn delete_alert_silence(&self, id: AlertSilenceId, audit: Entry) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let removed = connection
                .prepare_cached("DELETE FROM alert_silences WHERE id = ?1")?
                .execute([id])?;
            removed_one(removed)?;
            connection.prepare_cached(FREE)?.execute([id])?;
            connection.audit(audit)
        }))
    }

    fn tell_silences(&self, now: UnixMillis) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            // Most of the time there is nothing to tell, and nothing to write.
            if self.read(move |it| untold(it, now)).await?.is_empty() {
                return Ok(());
            }
            let told = self.write_beside_hosts(move |connection| {
                for (silence, host, group) in untold(connection, now)? {
                    tell(connection, now, silence, host, group)?;
                }
                Ok(())
            });
            told.await
        })
    }
}

type Untold = (AlertSilenceId, Option<HostId>, Option<GroupId>);

fn untold(connection: &Connection, now: UnixMillis) -> Result<Vec<Untold>, StoreError> {
    let mut query = connection.prepare_cached(UNTOLD)?;
    let found = query.query_map([now], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn tell(
    connection: &Transaction<'_>,
    now: UnixMillis,
    silence: AlertSilenceId,
    host: Option<HostId>,
    group: Option<GroupId>,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE alert_silences SET told = (starts <= ?1) + (ends <= ?1) WHERE id = ?2",
        )?
        .execute((now, silence))?;
    connection.event(&Event {
        at: now,
        host,
        actor: String::new(),
        what: Happening::AlertSilenceUpdated { silence, group },
    })
}

fn silence(row: &Row<'_>) -> rusqlite::Result<AlertSilence> {
    let labels: String = row.get(9)?;
    Ok(AlertSilence {
        id: row.get(0)?,
        reason: row.get(1)?,
        by: row.get(2)?,
        created: row.get(3)?,
        starts: row.get(4)?,
        ends: row.get(5)?,
        matcher: AlertMatcher {
            rule: row.get(6)?,
            host: row.get(7)?,
            group: row.get(8)?,
            labels: serde_json::from_str(&labels).map_err(|_| out_of_range(9, 0))?,
        },
    })
}
