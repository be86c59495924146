//! Alerts in SQLite. Of a rule and a host (or none) at most one alert is open.

use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params};

use super::super::alert_channels::Notification;
use super::super::alerts::{
    AlertFilter, AlertRecord, AlertState, AlertStep, AlertStore, NewNotification, Severity,
    ShownAlert,
};
use super::super::{StoreError, StoreFuture};
use super::alert_channels::{notifications_of, queue};
use super::alert_silences::{ACTIVE, MATCHES};
use super::values::signed;
use super::{SqliteStore, Transaction};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertId, HostId};
use crate::platform::events::{Event, Happening};
use crate::platform::identity::Grants;

/// The tables, and the rules that are there from the beginning. What became of those of channels and of what is
/// sent is in `alert_channels`.
pub(super) const SCHEMA: &str = "
    CREATE TABLE alert_rules (
        id       TEXT PRIMARY KEY,
        name     TEXT NOT NULL UNIQUE,
        severity INTEGER NOT NULL,
        hold     INTEGER NOT NULL,
        group_id TEXT,
        channels TEXT NOT NULL,
        disabled INTEGER NOT NULL,
        kind     TEXT NOT NULL,
        amount   INTEGER NOT NULL,
        span     INTEGER NOT NULL,
        created  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO alert_rules
        SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4'
                   || substr(hex(randomblob(2)), 2) || '-8' || substr(hex(randomblob(2)), 2) || '-'
                   || hex(randomblob(6))), *, unixepoch() * 1000
        FROM (VALUES
            ('host-offline', 1, 0, NULL, '', 0, 'host_offline', 0, 600000),
            ('host-flapping', 1, 0, NULL, '', 0, 'host_flapping', 5, 600000),
            ('host-disk-full', 1, 300000, NULL, '', 0, 'host_disk', 90, 0),
            ('certificate-ends', 2, 0, NULL, '', 0, 'certificate_ends', 0, 604800000),
            ('dead-letters', 1, 0, NULL, '', 0, 'dead_letters', 1, 0));
    CREATE TABLE alert_channels (
        id      TEXT PRIMARY KEY,
        name    TEXT NOT NULL UNIQUE,
        url     TEXT NOT NULL,
        secret  TEXT NOT NULL,
        created INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE alerts (
        number          INTEGER PRIMARY KEY,
        id              TEXT NOT NULL UNIQUE,
        rule            TEXT NOT NULL,
        rule_name       TEXT NOT NULL,
        host            TEXT NOT NULL,
        host_name       TEXT NOT NULL,
        severity        INTEGER NOT NULL,
        state           INTEGER NOT NULL,
        detail          TEXT NOT NULL,
        since           INTEGER NOT NULL,
        fired           INTEGER,
        resolved        INTEGER,
        acknowledged_by TEXT,
        acknowledged    INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX alerts_open ON alerts (rule, host) WHERE state < 2;
    CREATE INDEX alerts_of_host ON alerts (host, number);
    CREATE INDEX alerts_over ON alerts (resolved) WHERE resolved IS NOT NULL;
    CREATE TABLE alert_notifications (
        number       INTEGER PRIMARY KEY,
        id           TEXT NOT NULL UNIQUE,
        alert        TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
        channel      TEXT NOT NULL,
        channel_name TEXT NOT NULL,
        body         TEXT NOT NULL,
        created      INTEGER NOT NULL,
        state        INTEGER NOT NULL DEFAULT 0,
        attempts     INTEGER NOT NULL DEFAULT 0,
        error        TEXT NOT NULL DEFAULT '',
        next         INTEGER
    ) STRICT;
    CREATE INDEX alert_notifications_due ON alert_notifications (next) WHERE next IS NOT NULL;
    CREATE INDEX alert_notifications_of ON alert_notifications (alert, number);
";

/// An alert's columns, in the order of [`alert_record`].
const COLUMNS: &str =
    "number, id, rule, rule_name, host, host_name, severity, state, detail, since,
    fired, resolved, acknowledged_by, acknowledged";

/// The same, and until when it is silenced at the moment `?1`, in the order of [`shown_alert`].
fn shown_alerts() -> String {
    format!(
        "SELECT {COLUMNS}, (SELECT max(ends) FROM ({ACTIVE}) s WHERE a.state < 2 AND {MATCHES})
         FROM alerts a"
    )
}

/// Asks for [`AlertStore::alerts_in`].
pub(super) fn alerts_in_query() -> String {
    format!(
        "SELECT {COLUMNS} FROM alerts WHERE state = ?1 AND number > ?2 ORDER BY number LIMIT ?3"
    )
}

/// Removes what [`AlertStore::remove_alerts`] does.
pub(super) const REMOVE_OVER: &str = "DELETE FROM alerts WHERE number IN
    (SELECT number FROM alerts WHERE resolved < ?1 ORDER BY resolved LIMIT ?2)";

impl AlertStore for SqliteStore {
    fn alerts_in(
        &self,
        state: AlertState,
        after: u64,
        count: usize,
    ) -> StoreFuture<'_, Vec<(u64, AlertRecord)>> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(&alerts_in_query())?;
            let of = (state as i64, signed(after), signed(count as u64));
            let alerts = query.query_map(of, alert_record)?;
            Ok(alerts.collect::<Result<_, _>>()?)
        }))
    }

    fn apply_alerts(
        &self,
        at: UnixMillis,
        changes: Vec<(AlertRecord, AlertStep)>,
    ) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            for (alert, step) in &changes {
                match step {
                    AlertStep::Keep => put_alert(connection, alert)?,
                    AlertStep::Drop => {
                        connection
                            .prepare_cached("DELETE FROM alerts WHERE id = ?1 AND state = 0")?
                            .execute([alert.id])?;
                    }
                    AlertStep::Tell(notifications) => {
                        put_alert(connection, alert)?;
                        tell(connection, at, alert, notifications)?;
                    }
                }
            }
            Ok(())
        }))
    }

    fn alerts(&self, filter: AlertFilter) -> StoreFuture<'_, Vec<ShownAlert>> {
        Box::pin(self.read(move |connection| {
            let groups: Option<Vec<String>> = match &filter.granted {
                Grants::All => None,
                Grants::Groups(groups) => Some(groups.iter().map(ToString::to_string).collect()),
            };
            let groups = groups.map(|groups| groups.join(" "));
            // The first value is that of the moment.
            let mut sql = format!("{} WHERE number < ?", shown_alerts());
            let before = filter.before.map_or(i64::MAX, signed);
            let state = filter.state.map(|state| state as i64);
            let count = signed(filter.count as u64);
            let mut values: Vec<&dyn ToSql> = vec![&filter.now, &before];
            // Only the conditions that there are, each as its index has it.
            if let Some(host) = &filter.host {
                sql.push_str(" AND host = ?");
                values.push(host);
            }
            match &state {
                Some(state) => {
                    sql.push_str(" AND state = ?");
                    values.push(state);
                }
                None => sql.push_str(" AND +state > 0"),
            }
            if let Some(groups) = &groups {
                sql.push_str(
                    " AND EXISTS (SELECT 1 FROM host_groups g
                          WHERE g.host = a.host AND instr(?, g.group_id) > 0)",
                );
                values.push(groups);
            }
            sql.push_str(" ORDER BY number DESC LIMIT ?");
            values.push(&count);
            let mut query = connection.prepare_cached(&sql)?;
            let alerts = query.query_map(&*values, shown_alert)?;
            Ok(alerts.collect::<Result<_, _>>()?)
        }))
    }

    fn alert(
        &self,
        id: AlertId,
        now: UnixMillis,
        count: usize,
    ) -> StoreFuture<'_, Option<(ShownAlert, Vec<Notification>)>> {
        Box::pin(self.read(move |connection| {
            let Some(alert) = alert_of(connection, id, now)? else {
                return Ok(None);
            };
            let sent = notifications_of(connection, id, count)?;
            Ok(Some((alert, sent)))
        }))
    }

    fn acknowledge_alert(
        &self,
        id: AlertId,
        by: String,
        audit: Entry,
    ) -> StoreFuture<'_, ShownAlert> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let found = alert_of(connection, id, audit.at)?;
            let mut shown = found.ok_or(StoreError::NotFound)?;
            if shown.alert.acknowledged.is_none() {
                shown.alert.acknowledged = Some((by, audit.at));
                put_alert(connection, &shown.alert)?;
                connection.audit(audit)?;
            }
            Ok(shown)
        }))
    }

    fn remove_alerts(&self, before: UnixMillis, count: usize) -> StoreFuture<'_, usize> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let removed = connection
                .prepare_cached(REMOVE_OVER)?
                .execute((before, signed(count as u64)))?;
            Ok(removed)
        }))
    }
}

fn put_alert(connection: &Connection, alert: &AlertRecord) -> Result<(), StoreError> {
    let (host, name) = match &alert.host {
        Some((host, name)) => (host.to_string(), name.as_str()),
        None => (String::new(), ""),
    };
    let by = alert.acknowledged.as_ref();
    connection
        .prepare_cached(
            "INSERT INTO alerts (id, rule, rule_name, host, host_name, severity, state, detail, since,
                 fired, resolved, acknowledged_by, acknowledged)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, detail = excluded.detail,
                 fired = excluded.fired, resolved = excluded.resolved,
                 acknowledged_by = coalesce(acknowledged_by, excluded.acknowledged_by),
                 acknowledged = coalesce(acknowledged, excluded.acknowledged)",
        )?
        .execute(params![
            alert.id,
            alert.rule,
            alert.rule_name,
            host,
            name,
            alert.severity as i64,
            alert.state as i64,
            alert.detail,
            alert.since,
            alert.fired,
            alert.resolved,
            by.map(|(by, _)| by),
            by.map(|(_, at)| *at),
        ])?;
    Ok(())
}

fn tell(
    connection: &Transaction<'_>,
    at: UnixMillis,
    alert: &AlertRecord,
    notifications: &[NewNotification],
) -> Result<(), StoreError> {
    connection.event(&Event {
        at,
        host: alert.host.as_ref().map(|(host, _)| *host),
        actor: String::new(),
        what: Happening::AlertUpdated {
            alert: alert.id,
            state: alert.state.code().to_owned(),
            severity: alert.severity.code().to_owned(),
        },
    })?;
    queue(connection, at, alert, notifications)
}

fn alert_of(
    connection: &Connection,
    id: AlertId,
    now: UnixMillis,
) -> Result<Option<ShownAlert>, StoreError> {
    let mut query = connection.prepare_cached(&format!("{} WHERE id = ?2", shown_alerts()))?;
    let found = query.query_row((now, id), shown_alert);
    Ok(found.optional()?)
}

fn shown_alert(row: &Row<'_>) -> rusqlite::Result<ShownAlert> {
    let (number, alert) = alert_record(row)?;
    Ok(ShownAlert {
        number,
        alert,
        silenced_until: row.get(14)?,
    })
}

fn alert_record(row: &Row<'_>) -> rusqlite::Result<(u64, AlertRecord)> {
    let host: String = row.get(4)?;
    let host: Option<HostId> = host.parse().ok();
    let name: String = row.get(5)?;
    let by: Option<String> = row.get(12)?;
    let at: Option<UnixMillis> = row.get(13)?;
    let alert = AlertRecord {
        id: row.get(1)?,
        rule: row.get(2)?,
        rule_name: row.get(3)?,
        host: host.map(|host| (host, name)),
        severity: one_of(&Severity::ALL, row, 6)?,
        state: one_of(&AlertState::ALL, row, 7)?,
        detail: row.get(8)?,
        since: row.get(9)?,
        fired: row.get(10)?,
        resolved: row.get(11)?,
        acknowledged: by.zip(at),
    };
    Ok((row.get::<_, i64>(0)?.unsigned_abs(), alert))
}

pub(super) fn one_of<T: Copy>(all: &[T], row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let number: i64 = row.get(column)?;
    let found = usize::try_from(number).ok().and_then(|at| all.get(at));
    found.copied().ok_or_else(|| out_of_range(column, number))
}

pub(super) const fn out_of_range(column: usize, number: i64) -> rusqlite::Error {
    rusqlite::Error::IntegralValueOutOfRange(column, number)
}

pub(super) fn bounded(connection: &Connection, count: &str, max: usize) -> Result<(), StoreError> {
    let count: i64 = connection.query_row(count, [], |row| row.get(0))?;
    if count >= signed(max as u64) {
        return Err(StoreError::Full);
    }
    Ok(())
}

pub(super) const fn taken_unless(made: usize) -> Result<(), StoreError> {
    if made == 0 {
        Err(StoreError::Taken)
    } else {
        Ok(())
    }
}

pub(super) const fn removed_one(removed: usize) -> Result<(), StoreError> {
    if removed == 0 {
        Err(StoreError::NotFound)
    } else {
        Ok(())
    }
}
