//! Alerts in SQLite. Of a rule and a host (or none) at most one alert is open.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::alerts::{
    AlertChannel, AlertFilter, AlertRecord, AlertRule, AlertState, AlertStep, AlertStore,
    CHANNELS_MAX, Condition, DueNotification, NewNotification, Notification, RULES_MAX, SendState,
    Severity,
};
use super::super::{Change, StoreError, StoreFuture};
use super::values::signed;
use super::{SqliteStore, Transaction};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertChannelId, AlertId, AlertRuleId, HostId, Uuid};
use crate::platform::events::{Event, Happening};
use crate::platform::identity::Grants;
use crate::secret::Secret;

/// The tables, and the rules that are there from the beginning. A channel's secret has to be known to sign with it,
/// and stands as it is.
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
const ALERTS: &str =
    "SELECT number, id, rule, rule_name, host, host_name, severity, state, detail, since,
    fired, resolved, acknowledged_by, acknowledged FROM alerts a";

impl AlertStore for SqliteStore {
    fn alert_rules(&self) -> StoreFuture<'_, Vec<AlertRule>> {
        Box::pin(self.read(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT id, name, severity, hold, group_id, channels, disabled, kind, amount, span, created
                 FROM alert_rules ORDER BY name",
            )?;
            let rules = query.query_map([], alert_rule)?;
            Ok(rules.collect::<Result<_, _>>()?)
        }))
    }

    fn create_alert_rule(&self, rule: AlertRule, change: Change) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let count = "SELECT count(*) FROM alert_rules";
            bounded(connection, count, RULES_MAX)?;
            put_rule(connection, &rule)?;
            connection.record(change)
        }))
    }

    fn update_alert_rule(&self, rule: AlertRule, audit: Entry) -> StoreFuture<'_, AlertRule> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let created = connection
                .prepare_cached("SELECT created FROM alert_rules WHERE id = ?1")?
                .query_row([rule.id], |row| row.get(0))?;
            let rule = AlertRule { created, ..rule };
            connection
                .prepare_cached("DELETE FROM alert_rules WHERE id = ?1")?
                .execute([rule.id])?;
            put_rule(connection, &rule)?;
            connection.audit(audit)?;
            Ok(rule)
        }))
    }

    fn delete_alert_rule(&self, id: AlertRuleId, audit: Entry) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let removed = connection
                .prepare_cached("DELETE FROM alert_rules WHERE id = ?1")?
                .execute([id])?;
            removed_one(removed)?;
            connection.audit(audit)
        }))
    }

    fn alert_channels(&self) -> StoreFuture<'_, Vec<AlertChannel>> {
        Box::pin(self.read(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT id, name, url, secret, created FROM alert_channels ORDER BY name",
            )?;
            let channels = query.query_map([], |row| {
                Ok(AlertChannel {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    url: row.get(2)?,
                    secret: Secret::new(row.get(3)?),
                    created: row.get(4)?,
                })
            })?;
            Ok(channels.collect::<Result<_, _>>()?)
        }))
    }

    fn create_alert_channel(&self, channel: AlertChannel, change: Change) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let count = "SELECT count(*) FROM alert_channels";
            bounded(connection, count, CHANNELS_MAX)?;
            let made = connection
                .prepare_cached(
                    "INSERT INTO alert_channels (id, name, url, secret, created)
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                )?
                .execute((
                    channel.id,
                    channel.name,
                    channel.url,
                    channel.secret.expose(),
                    channel.created,
                ))?;
            taken_unless(made)?;
            connection.record(change)
        }))
    }

    fn delete_alert_channel(&self, id: AlertChannelId, audit: Entry) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let removed = connection
                .prepare_cached("DELETE FROM alert_channels WHERE id = ?1")?
                .execute([id])?;
            removed_one(removed)?;
            connection
                .prepare_cached(
                    "UPDATE alert_notifications SET state = 2, next = NULL,
                         error = 'the channel was removed'
                     WHERE channel = ?1 AND next IS NOT NULL",
                )?
                .execute([id])?;
            connection.audit(audit)
        }))
    }

    fn open_alerts(&self) -> StoreFuture<'_, Vec<AlertRecord>> {
        Box::pin(self.read(|connection| {
            let mut query =
                connection.prepare_cached(&format!("{ALERTS} WHERE state < 2 ORDER BY number"))?;
            let alerts = query.query_map([], |row| Ok(alert_record(row)?.1))?;
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

    fn alerts(&self, filter: AlertFilter) -> StoreFuture<'_, Vec<(u64, AlertRecord)>> {
        Box::pin(self.read(move |connection| {
            let groups: Option<Vec<String>> = match &filter.granted {
                Grants::All => None,
                Grants::Groups(groups) => Some(groups.iter().map(ToString::to_string).collect()),
            };
            let groups = groups.map(|groups| groups.join(" "));
            let mut query = connection.prepare_cached(&format!(
                "{ALERTS} WHERE number < ?1 AND (?2 IS NULL OR host = ?2)
                     AND (state = ?3 OR (?3 IS NULL AND state > 0))
                     AND (?4 IS NULL OR EXISTS (SELECT 1 FROM host_groups g
                          WHERE g.host = a.host AND instr(?4, g.group_id) > 0))
                 ORDER BY number DESC LIMIT ?5"
            ))?;
            let before = filter.before.map_or(i64::MAX, signed);
            let state = filter.state.map(|state| state as i64);
            let alerts = query.query_map(
                params![
                    before,
                    filter.host,
                    state,
                    groups,
                    signed(filter.count as u64)
                ],
                alert_record,
            )?;
            Ok(alerts.collect::<Result<_, _>>()?)
        }))
    }

    fn alert(
        &self,
        id: AlertId,
        count: usize,
    ) -> StoreFuture<'_, Option<(AlertRecord, Vec<Notification>)>> {
        Box::pin(self.read(move |connection| {
            let Some(alert) = alert_of(connection, id)? else {
                return Ok(None);
            };
            let mut query = connection.prepare_cached(
                "SELECT id, channel_name, state, attempts, error, created, next
                 FROM alert_notifications WHERE alert = ?1 ORDER BY number LIMIT ?2",
            )?;
            let sent = query.query_map((id, signed(count as u64)), |row| {
                Ok(Notification {
                    id: uuid(row, 0)?,
                    channel: row.get(1)?,
                    state: one_of(&SendState::ALL, row, 2)?,
                    attempts: row.get(3)?,
                    error: row.get(4)?,
                    created: row.get(5)?,
                    next: row.get(6)?,
                })
            })?;
            Ok(Some((alert, sent.collect::<Result<_, _>>()?)))
        }))
    }

    fn acknowledge_alert(
        &self,
        id: AlertId,
        by: String,
        audit: Entry,
    ) -> StoreFuture<'_, AlertRecord> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let mut alert = alert_of(connection, id)?.ok_or(StoreError::NotFound)?;
            if alert.acknowledged.is_none() {
                alert.acknowledged = Some((by, audit.at));
                put_alert(connection, &alert)?;
                connection.audit(audit)?;
            }
            Ok(alert)
        }))
    }

    fn due_notifications(
        &self,
        now: UnixMillis,
        count: usize,
    ) -> StoreFuture<'_, Vec<DueNotification>> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT n.id, c.url, c.secret, n.body, n.attempts
                 FROM alert_notifications n JOIN alert_channels c ON c.id = n.channel
                 WHERE n.next <= ?1 AND NOT EXISTS (SELECT 1 FROM alert_notifications o
                     WHERE o.alert = n.alert AND o.number < n.number AND o.channel = n.channel
                         AND o.next IS NOT NULL)
                 ORDER BY n.next LIMIT ?2",
            )?;
            let due = query.query_map((now, signed(count as u64)), |row| {
                Ok(DueNotification {
                    id: uuid(row, 0)?,
                    url: row.get(1)?,
                    secret: Secret::new(row.get(2)?),
                    body: row.get(3)?,
                    attempts: row.get(4)?,
                })
            })?;
            Ok(due.collect::<Result<_, _>>()?)
        }))
    }

    fn notification_tried(
        &self,
        id: Uuid,
        state: SendState,
        error: String,
        next: Option<UnixMillis>,
    ) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            // Where its channel was removed meanwhile, that stands.
            connection
                .prepare_cached(
                    "UPDATE alert_notifications SET state = ?2, error = ?3, next = ?4,
                         attempts = attempts + 1
                     WHERE id = ?1 AND state = 0",
                )?
                .execute((id.to_string(), state as i64, error, next))?;
            Ok(())
        }))
    }

    fn remove_alerts(&self, before: UnixMillis, count: usize) -> StoreFuture<'_, usize> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let removed = connection
                .prepare_cached(
                    "DELETE FROM alerts WHERE number IN
                         (SELECT number FROM alerts WHERE resolved < ?1 ORDER BY resolved LIMIT ?2)",
                )?
                .execute((before, signed(count as u64)))?;
            Ok(removed)
        }))
    }
}

fn put_rule(connection: &Connection, rule: &AlertRule) -> Result<(), StoreError> {
    let (kind, amount, span) = rule.condition.parts();
    let channels: Vec<_> = rule.channels.iter().map(ToString::to_string).collect();
    let made = connection
        .prepare_cached(
            "INSERT INTO alert_rules (id, name, severity, hold, group_id, channels, disabled, kind,
                 amount, span, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            rule.id,
            rule.name,
            rule.severity as i64,
            millis(rule.hold),
            rule.group,
            channels.join(" "),
            rule.disabled,
            kind,
            signed(amount),
            millis(span),
            rule.created,
        ])?;
    taken_unless(made)
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
    // An end is for who was told of the beginning.
    let begins = alert.state != AlertState::Resolved;
    for NewNotification { id, channel, body } in notifications {
        connection
            .prepare_cached(
                "INSERT INTO alert_notifications (id, alert, channel, channel_name, body, created, next)
                 SELECT ?1, ?2, c.id, c.name, ?4, ?5, ?5 FROM alert_channels c
                 WHERE c.id = ?3 AND (?6 OR EXISTS (SELECT 1 FROM alert_notifications told
                     WHERE told.alert = ?2 AND told.channel = c.id))",
            )?
            .execute((id.to_string(), alert.id, *channel, body, at, begins))?;
    }
    Ok(())
}

fn alert_of(connection: &Connection, id: AlertId) -> Result<Option<AlertRecord>, StoreError> {
    let mut query = connection.prepare_cached(&format!("{ALERTS} WHERE id = ?1"))?;
    let found = query.query_row([id], |row| Ok(alert_record(row)?.1));
    Ok(found.optional()?)
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

fn alert_rule(row: &Row<'_>) -> rusqlite::Result<AlertRule> {
    let channels: String = row.get(5)?;
    let kind: String = row.get(7)?;
    let amount = row.get::<_, i64>(8)?.unsigned_abs();
    let condition = Condition::from_parts(&kind, amount, duration(row, 9)?);
    Ok(AlertRule {
        id: row.get(0)?,
        name: row.get(1)?,
        severity: one_of(&Severity::ALL, row, 2)?,
        hold: duration(row, 3)?,
        group: row.get(4)?,
        channels: channels
            .split(' ')
            .filter_map(|id| id.parse().ok())
            .collect(),
        disabled: row.get(6)?,
        condition: condition.ok_or_else(|| out_of_range(7, 0))?,
        created: row.get(10)?,
    })
}

fn one_of<T: Copy>(all: &[T], row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let number: i64 = row.get(column)?;
    let found = usize::try_from(number).ok().and_then(|at| all.get(at));
    found.copied().ok_or_else(|| out_of_range(column, number))
}

const fn out_of_range(column: usize, number: i64) -> rusqlite::Error {
    rusqlite::Error::IntegralValueOutOfRange(column, number)
}

fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| out_of_range(column, 0))
}

fn duration(row: &Row<'_>, column: usize) -> rusqlite::Result<Duration> {
    Ok(Duration::from_millis(
        row.get::<_, i64>(column)?.unsigned_abs(),
    ))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn bounded(connection: &Connection, count: &str, max: usize) -> Result<(), StoreError> {
    let count: i64 = connection.query_row(count, [], |row| row.get(0))?;
    if count >= signed(max as u64) {
        return Err(StoreError::Full);
    }
    Ok(())
}

const fn taken_unless(made: usize) -> Result<(), StoreError> {
    if made == 0 {
        Err(StoreError::Taken)
    } else {
        Ok(())
    }
}

const fn removed_one(removed: usize) -> Result<(), StoreError> {
    if removed == 0 {
        Err(StoreError::NotFound)
    } else {
        Ok(())
    }
}
