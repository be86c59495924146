//! Rules of alerts in SQLite. Their table is made with those of alerts; what was added to it is here.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::super::alert_rules::{AlertRule, AlertRuleStore, Condition, RULES_MAX};
use super::super::alerts::Severity;
use super::super::groups::LabelSelector;
use super::super::{Change, StoreError, StoreFuture};
use super::SqliteStore;
use super::alerts::{bounded, one_of, out_of_range, removed_one, taken_unless};
use super::values::signed;
use crate::audit::Entry;
use crate::ids::AlertRuleId;

/// Labels of rules, as a JSON object with an empty text where any value will do; rules for the conditions that came
/// later, unless their names are taken; and what alerts of one state are listed by.
pub(super) const LATER: &str = "
    ALTER TABLE alert_rules ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
    INSERT OR IGNORE INTO alert_rules (id, name, severity, hold, group_id, channels, disabled, kind, amount, span, created)
        SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4'
                   || substr(hex(randomblob(2)), 2) || '-8' || substr(hex(randomblob(2)), 2) || '-'
                   || hex(randomblob(6))), *, unixepoch() * 1000
        FROM (VALUES
            ('queue-depth', 1, 300000, NULL, '', 0, 'queue_depth', 100, 0),
            ('queue-age', 1, 0, NULL, '', 0, 'queue_age', 0, 86400000),
            ('delivery-latency', 1, 300000, NULL, '', 0, 'delivery_latency', 5000, 600000),
            ('failed-sign-ins', 1, 0, NULL, '', 0, 'failed_sign_ins', 20, 600000),
            ('platform-storage', 2, 300000, NULL, '', 0, 'platform_storage', 90, 0));
    CREATE INDEX alerts_of_state ON alerts (state, number);
";

/// Strikes the channels that are not there out of rules. One that is left without is sent to all.
pub(super) const CHANNELS_THERE: &str = "
    UPDATE alert_rules SET channels = coalesce((SELECT group_concat(c.id, ' ') FROM alert_channels c
        WHERE instr(alert_rules.channels, c.id) > 0), '') WHERE channels <> '';
";

impl AlertRuleStore for SqliteStore {
    fn alert_rules(&self) -> StoreFuture<'_, Vec<AlertRule>> {
        Box::pin(self.read(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT id, name, severity, hold, group_id, channels, disabled, kind, amount, span, created,
                     labels
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
}

fn put_rule(connection: &Connection, rule: &AlertRule) -> Result<(), StoreError> {
    // A group that is removed in the same moment is there no more: a rule about it would hold for nobody.
    let is_group = "SELECT EXISTS (SELECT 1 FROM groups WHERE id = ?1)";
    if let Some(group) = rule.group
        && !connection.query_row(is_group, [group], |row| row.get::<_, bool>(0))?
    {
        return Err(StoreError::GroupUnknown);
    }
    // One that leads nowhere else would be sent to nobody.
    let is_channel = "SELECT EXISTS (SELECT 1 FROM alert_channels WHERE id = ?1)";
    for channel in &rule.channels {
        if !connection.query_row(is_channel, [channel], |row| row.get::<_, bool>(0))? {
            return Err(StoreError::ChannelUnknown);
        }
    }
    let (kind, amount, span) = rule.condition.parts();
    let channels: Vec<_> = rule.channels.iter().map(ToString::to_string).collect();
    let made = connection
        .prepare_cached(
            "INSERT INTO alert_rules (id, name, severity, hold, group_id, channels, disabled, kind,
                 amount, span, created, labels)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING",
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
            labels_text(&rule.labels),
        ])?;
    taken_unless(made)
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
        labels: labels_of(&row.get::<_, String>(11)?).ok_or_else(|| out_of_range(11, 0))?,
        channels: channels
            .split(' ')
            .filter_map(|id| id.parse().ok())
            .collect(),
        disabled: row.get(6)?,
        condition: condition.ok_or_else(|| out_of_range(7, 0))?,
        created: row.get(10)?,
    })
}

fn labels_text(labels: &[LabelSelector]) -> String {
    let labels = labels.iter().map(|label| match label {
        LabelSelector::Has(key) => (key.to_string(), String::new()),
        LabelSelector::Is(key, value) => (key.to_string(), value.to_string()),
    });
    let labels = labels.map(|(key, value)| (key, value.into()));
    serde_json::Value::Object(labels.collect()).to_string()
}

fn labels_of(text: &str) -> Option<Vec<LabelSelector>> {
    let labels: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
    let labels = labels.into_iter().map(|(key, value)| {
        let key = key.parse().ok()?;
        Some(match &*value {
            "" => LabelSelector::Has(key),
            value => LabelSelector::Is(key, value.parse().ok()?),
        })
    });
    labels.collect()
}

pub(super) fn duration(row: &Row<'_>, column: usize) -> rusqlite::Result<Duration> {
    Ok(Duration::from_millis(
        row.get::<_, i64>(column)?.unsigned_abs(),
    ))
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
