//! Silences of alerts in SQLite, and the SQL by which an alert is silenced.

use rusqlite::{Row, params};

use super::super::alert_silences::{
    AlertMatcher, AlertSilence, AlertSilenceStore, SHOWN_AFTER, SILENCES_MAX,
};
use super::super::{Change, StoreFuture};
use super::SqliteStore;
use super::alert_rules::millis;
use super::alerts::{bounded, out_of_range, removed_one};
use super::values::signed;
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::AlertSilenceId;

/// The silences of the moment `?1`.
pub(super) const ACTIVE: &str = "SELECT rule, host, group_id, labels, ends FROM alert_silences
    WHERE starts <= ?1 AND ends > ?1";

/// Whether the silence `s` is for the alert `a`. An alert about no host is in no group and has no labels.
pub(super) const MATCHES: &str = "(s.rule IS NULL OR s.rule = a.rule)
    AND (s.host IS NULL OR s.host = a.host)
    AND (s.group_id IS NULL OR EXISTS (SELECT 1 FROM host_groups g
        WHERE g.host = a.host AND g.group_id = s.group_id))
    AND NOT EXISTS (SELECT 1 FROM json_each(s.labels) w WHERE NOT EXISTS (SELECT 1 FROM host_labels l
        WHERE l.host = a.host AND l.key = w.key AND (w.value = '' OR l.value = w.value)))";

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
                .map_err(|error| super::super::StoreError::Failed(error.to_string()))?;
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
                         (id, reason, by, created, starts, ends, rule, host, group_id, labels)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
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
            let changed = connection
                .prepare_cached("UPDATE alert_silences SET ends = ?2 WHERE id = ?1")?
                .execute((id, ends))?;
            removed_one(changed)?;
            connection.audit(audit)
        }))
    }

    fn delete_alert_silence(&self, id: AlertSilenceId, audit: Entry) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let removed = connection
                .prepare_cached("DELETE FROM alert_silences WHERE id = ?1")?
                .execute([id])?;
            removed_one(removed)?;
            connection.audit(audit)
        }))
    }
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
