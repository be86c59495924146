//! Channels of alerts in SQLite, with what is to be sent to them. A message is written with the change of its alert,
//! by [`queue`].

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::alert_channels::{
    AlertChannel, AlertChannelStore, CHANNELS_MAX, ChannelTarget, DueNotification, Notification,
    SendState, SendTry, TRIES_KEPT, Tried,
};
use super::super::alerts::{AlertRecord, AlertState, NewNotification};
use super::super::{Change, StoreError, StoreFuture};
use super::alert_rules::{duration, millis};
use super::alert_silences::{ACTIVE, MATCHES, silence_for};
use super::alerts::{bounded, one_of, out_of_range, removed_one, taken_unless};
use super::values::signed;
use super::{SqliteStore, Transaction};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertChannelId, AlertId, Uuid};
use crate::platform::events::{Event, Happening};
use crate::platform::mail::EmailAddress;

/// What became of the first tables of alerts: channels of more than one kind, their secrets sealed (those from before
/// are sealed at the next start), silences, and the tries of each message.
pub(super) const SCHEMA: &str = "
    CREATE TABLE alert_channels_new (
        id         TEXT PRIMARY KEY,
        name       TEXT NOT NULL UNIQUE,
        disabled   INTEGER NOT NULL,
        url        TEXT,
        secret     BLOB,
        recipients TEXT,
        created    INTEGER NOT NULL,
        CHECK ((url IS NULL) = (secret IS NULL) AND (url IS NULL) <> (recipients IS NULL))
    ) STRICT, WITHOUT ROWID;
    INSERT INTO alert_channels_new
        SELECT id, name, 0, url, CAST(secret AS BLOB), NULL, created FROM alert_channels;
    DROP TABLE alert_channels;
    ALTER TABLE alert_channels_new RENAME TO alert_channels;

    DROP INDEX alert_notifications_due;
    CREATE INDEX alert_notifications_due ON alert_notifications (channel, next) WHERE next IS NOT NULL;
    CREATE TABLE alert_tries (
        notification TEXT NOT NULL REFERENCES alert_notifications (id) ON DELETE CASCADE,
        number       INTEGER NOT NULL,
        at           INTEGER NOT NULL,
        took         INTEGER NOT NULL,
        error        TEXT NOT NULL,
        PRIMARY KEY (notification, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE alert_silences (
        id       TEXT PRIMARY KEY,
        reason   TEXT NOT NULL,
        by       TEXT NOT NULL,
        created  INTEGER NOT NULL,
        starts   INTEGER NOT NULL,
        ends     INTEGER NOT NULL,
        rule     TEXT,
        host     TEXT,
        group_id TEXT,
        labels   TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// What messages are sent together as.
pub(super) const BATCHES: &str = "
    ALTER TABLE alert_notifications ADD COLUMN batch TEXT;
    CREATE INDEX alert_notifications_batch ON alert_notifications (batch)
        WHERE batch IS NOT NULL AND next IS NOT NULL;
";

/// What waits and was sent together as `?1`.
const BATCH: &str = "SELECT id FROM alert_notifications
    WHERE batch = ?1 AND next IS NOT NULL ORDER BY number";

/// Gives up what waits to be sent to a channel.
const GIVE_UP: &str =
    "UPDATE alert_notifications AS n SET state = 2, next = NULL, held = NULL, error = ?2
    WHERE channel = ?1 AND next IS NOT NULL";
/// But for ends of what was told there.
const NOT_TOLD: &str = "AND NOT EXISTS (SELECT 1 FROM alert_notifications told
    WHERE told.alert = n.alert AND told.channel = n.channel AND told.number < n.number AND told.state = 1)";

/// What is due to a channel: `?1` the moment, `?2` the channel, `?3` how many at most. What is behind another of its
/// alert is due with that one ([`BEHIND`]) and comes after it.
const DUE: &str = "SELECT n.id, n.body, n.attempts, n.created, n.batch, a.rule
    FROM alert_notifications n JOIN alerts a ON a.id = n.alert
    WHERE n.channel = ?2 AND n.next <= ?1
        AND NOT EXISTS (SELECT 1 FROM alert_notifications o
            WHERE o.alert = n.alert AND o.number < n.number AND o.channel = n.channel
                AND o.next IS NOT NULL)
    ORDER BY n.next, n.number LIMIT ?3";

/// When there is more to do after `?1`.
const NEXT: &str = "SELECT min(at) FROM (
    SELECT (SELECT min(n.next) FROM alert_notifications n WHERE n.channel = c.id AND n.next > ?1) AS at
        FROM alert_channels c WHERE NOT c.disabled
    UNION ALL SELECT min(starts) FROM alert_silences WHERE starts > ?1
    UNION ALL SELECT min(ends) FROM alert_silences WHERE ends > ?1)";

/// What is behind the message `?1` is not due before `?2`, so that nobody asks for it while that one is tried again.
const BEHIND: &str = "UPDATE alert_notifications AS n SET next = ?2 FROM alert_notifications first
    WHERE first.id = ?1 AND n.alert = first.alert AND n.channel = first.channel
        AND n.number > first.number AND n.next IS NOT NULL";

impl AlertChannelStore for SqliteStore {
    fn alert_channels(&self) -> StoreFuture<'_, Vec<AlertChannel>> {
        Box::pin(self.read(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT id, name, disabled, url, secret, recipients, created
                 FROM alert_channels ORDER BY name",
            )?;
            let channels = query.query_map([], channel)?;
            Ok(channels.collect::<Result<_, _>>()?)
        }))
    }

    fn create_alert_channel(&self, channel: AlertChannel, change: Change) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let count = "SELECT count(*) FROM alert_channels";
            bounded(connection, count, CHANNELS_MAX)?;
            put_channel(connection, &channel)?;
            connection.record(change)
        }))
    }

    fn update_alert_channel(
        &self,
        channel: AlertChannel,
        audit: Entry,
    ) -> StoreFuture<'_, AlertChannel> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let created = connection
                .prepare_cached("SELECT created FROM alert_channels WHERE id = ?1")?
                .query_row([channel.id], |row| row.get(0))?;
            let channel = AlertChannel { created, ..channel };
            let (url, _, recipients) = columns(&channel.target);
            let changed = connection
                .prepare_cached(
                    "UPDATE OR IGNORE alert_channels SET name = ?2, disabled = ?3, url = ?4, recipients = ?5
                     WHERE id = ?1",
                )?
                .execute((channel.id, &channel.name, channel.disabled, url, recipients))?;
            taken_unless(changed)?;
            if channel.disabled {
                connection
                    .prepare_cached(&format!("{GIVE_UP} {NOT_TOLD}"))?
                    .execute((channel.id, "the channel was disabled"))?;
            }
            connection.audit(audit)?;
            Ok(channel)
        }))
    }

    fn seal_alert_channel(
        &self,
        id: AlertChannelId,
        sealed: Vec<u8>,
        audit: Entry,
    ) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let changed = connection
                .prepare_cached(
                    "UPDATE alert_channels SET secret = ?2 WHERE id = ?1 AND secret IS NOT NULL",
                )?
                .execute((id, sealed))?;
            removed_one(changed)?;
            connection.audit(audit)
        }))
    }

    fn delete_alert_channel(
        &self,
        id: AlertChannelId,
        audit: Entry,
    ) -> StoreFuture<'_, Vec<String>> {
        Box::pin(self.write_beside_hosts(move |connection| {
            // A rule has the ids of its channels side by side in one text.
            let rules: Vec<String> = connection
                .prepare_cached(
                    "SELECT name FROM alert_rules WHERE instr(channels, ?1) > 0 ORDER BY name",
                )?
                .query_map([id], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            if !rules.is_empty() {
                return Ok(rules);
            }
            let removed = connection
                .prepare_cached("DELETE FROM alert_channels WHERE id = ?1")?
                .execute([id])?;
            removed_one(removed)?;
            connection
                .prepare_cached(GIVE_UP)?
                .execute((id, "the channel was removed"))?;
            connection.audit(audit)?;
            Ok(rules)
        }))
    }

    fn due_notifications(
        &self,
        channel: AlertChannelId,
        now: UnixMillis,
        count: usize,
    ) -> StoreFuture<'_, Vec<DueNotification>> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(DUE)?;
            let due = query.query_map((now, channel, signed(count as u64)), due)?;
            Ok(due.collect::<Result<_, _>>()?)
        }))
    }

    fn next_notification(&self, now: UnixMillis) -> StoreFuture<'_, Option<UnixMillis>> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(NEXT)?;
            let next = query.query_row([now], |row| row.get(0))?;
            Ok(next)
        }))
    }

    fn notifications_begun(
        &self,
        mut ids: Vec<Uuid>,
        batch: Option<Uuid>,
        now: UnixMillis,
        next: UnixMillis,
    ) -> StoreFuture<'_, Vec<DueNotification>> {
        Box::pin(self.write_beside_hosts(move |connection| {
            if let Some(batch) = batch {
                let mut query = connection.prepare_cached(BATCH)?;
                let all = query.query_map([batch.to_string()], |row| uuid(row, 0))?;
                let all = all.collect::<Result<Vec<_>, _>>()?;
                if !all.is_empty() {
                    ids = all;
                }
            }
            let batch = batch.map(|batch| batch.to_string());
            let mut begun = Vec::new();
            for id in ids {
                begun.extend(begin(connection, id, batch.as_deref(), now, next)?);
            }
            Ok(begun)
        }))
    }

    fn notifications_tried(
        &self,
        ids: Vec<Uuid>,
        tried: SendTry,
        then: Tried,
    ) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            ids.iter()
                .try_for_each(|id| note(connection, &id.to_string(), &tried, then))
        }))
    }
}

/// Begins to try one message; `None` where it is not sent now.
fn begin(
    connection: &Transaction<'_>,
    id: Uuid,
    batch: Option<&str>,
    now: UnixMillis,
    next: UnixMillis,
) -> Result<Option<DueNotification>, StoreError> {
    let id = id.to_string();
    let found = connection
        .prepare_cached(
            "SELECT n.id, n.body, n.attempts, n.created, n.batch, a.rule, a.id
             FROM alert_notifications n JOIN alerts a ON a.id = n.alert
             WHERE n.id = ?1 AND n.next <= ?2",
        )?
        .query_row((&id, now), |row| Ok((due(row)?, row.get(6)?)))
        .optional()?;
    let Some((begun, alert)) = found else {
        return Ok(None);
    };
    if let Some((silence, ends)) = silence_for(connection, now, alert)? {
        connection
            .prepare_cached(
                "UPDATE alert_notifications SET held = ?2, next = ?3, batch = NULL WHERE id = ?1",
            )?
            .execute((&id, silence, ends))?;
        tell_of(connection, now, &id)?;
        return Ok(None);
    }
    connection
        .prepare_cached(
            "UPDATE alert_notifications SET attempts = attempts + 1, held = NULL, next = ?2, batch = ?3
             WHERE id = ?1",
        )?
        .execute((&id, next, batch))?;
    connection.prepare_cached(BEHIND)?.execute((&id, next))?;
    Ok(Some(begun))
}

/// Notes what came of a try of one message.
fn note(
    connection: &Transaction<'_>,
    id: &str,
    tried: &SendTry,
    then: Tried,
) -> Result<(), StoreError> {
    let (state, next) = match then {
        Tried::Sent => (SendState::Sent, None),
        Tried::Again(next) => (SendState::Waiting, Some(next)),
        Tried::GivenUp => (SendState::Failed, None),
    };
    connection
        .prepare_cached(
            "INSERT INTO alert_tries (notification, number, at, took, error)
             SELECT n.id, n.attempts - 1, ?2, ?3, ?4 FROM alert_notifications n
             WHERE n.id = ?1 AND n.attempts BETWEEN 1 AND ?5 ON CONFLICT DO NOTHING",
        )?
        .execute((
            id,
            tried.at,
            millis(tried.took),
            &tried.error,
            signed(TRIES_KEPT as u64),
        ))?;
    // Where its channel was disabled or removed meanwhile, that stands, unless it was taken: then there is an end to tell.
    connection
        .prepare_cached(
            "UPDATE alert_notifications SET state = ?2, error = ?3, next = ?4
             WHERE id = ?1 AND (state = 0 OR state = 2 AND ?2 = 1)",
        )?
        .execute((id, state as i64, &tried.error, next))?;
    let behind = next.unwrap_or(tried.at);
    connection.prepare_cached(BEHIND)?.execute((id, behind))?;
    tell_of(connection, tried.at.plus(tried.took), id)
}

/// Writes what is to be sent of an alert's change; of its end to who was told of its beginning.
pub(super) fn queue(
    connection: &Transaction<'_>,
    at: UnixMillis,
    alert: &AlertRecord,
    notifications: &[NewNotification],
) -> Result<(), StoreError> {
    let begins = alert.state != AlertState::Resolved;
    if !begins {
        // What a silence has held up to now, nobody has to be told of any more; but what was tried before that may be
        // known, and comes before its end.
        connection
            .prepare_cached(&format!(
                "UPDATE alert_notifications SET state = 3, next = NULL, held = NULL
                 WHERE alert = ?2 AND state = 0 AND attempts = 0
                     AND EXISTS (SELECT 1 FROM ({ACTIVE}) s, alerts a WHERE a.id = ?2 AND {MATCHES})"
            ))?
            .execute((at, alert.id))?;
        connection
            .prepare_cached(
                "UPDATE alert_notifications SET held = NULL, next = ?1
                 WHERE alert = ?2 AND held IS NOT NULL",
            )?
            .execute((at, alert.id))?;
    }
    if notifications.is_empty() {
        return Ok(());
    }
    let (held, until) = silence_for(connection, at, alert.id)?.unzip();
    for NewNotification { id, channel, body } in notifications {
        // An end waits at a disabled channel, too.
        connection
            .prepare_cached(
                "INSERT INTO alert_notifications
                     (id, alert, channel, channel_name, body, created, held, next)
                 SELECT ?1, ?2, c.id, c.name, ?4, ?5, ?7, max(coalesce(?8, ?5),
                     coalesce((SELECT max(next) FROM alert_notifications before
                         WHERE before.alert = ?2 AND before.channel = c.id), ?5))
                 FROM alert_channels c
                 WHERE c.id = ?3 AND CASE WHEN ?6 THEN NOT c.disabled
                     ELSE EXISTS (SELECT 1 FROM alert_notifications told
                         WHERE told.alert = ?2 AND told.channel = c.id AND told.state IN (0, 1)) END",
            )?
            .execute((id.to_string(), alert.id, *channel, body, at, begins, held, until))?;
    }
    Ok(())
}

/// Tells whoever follows how far a message is. It concerns those alone who see all: others do not see where alerts are
/// sent.
fn tell_of(connection: &Transaction<'_>, at: UnixMillis, message: &str) -> Result<(), StoreError> {
    let what = connection
        .prepare_cached(
            "SELECT coalesce(batch, id), alert, state FROM alert_notifications WHERE id = ?1",
        )?
        .query_row([message], |row| {
            Ok(Happening::AlertNotificationUpdated {
                alert: row.get(1)?,
                notification: uuid(row, 0)?,
                state: one_of(&SendState::ALL, row, 2)?.code().to_owned(),
            })
        })
        .optional()?;
    // An alert that is removed takes its messages with it.
    let Some(what) = what else { return Ok(()) };
    connection.event(&Event {
        at,
        host: None,
        actor: String::new(),
        what,
    })
}

/// What was and is to be sent of an alert, the oldest first.
pub(super) fn notifications_of(
    connection: &Connection,
    alert: AlertId,
    count: usize,
) -> Result<Vec<Notification>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT coalesce(batch, id), channel_name, state, attempts, error, created, next, id
         FROM alert_notifications WHERE alert = ?1 ORDER BY number LIMIT ?2",
    )?;
    let found = query.query_map((alert, signed(count as u64)), |row| {
        let own: String = row.get(7)?;
        let shown = Notification {
            id: uuid(row, 0)?,
            channel: row.get(1)?,
            state: one_of(&SendState::ALL, row, 2)?,
            attempts: row.get(3)?,
            error: row.get(4)?,
            created: row.get(5)?,
            next: row.get(6)?,
            tries: Vec::new(),
        };
        Ok((own, shown))
    })?;
    let mut tries = connection.prepare_cached(
        "SELECT at, took, error FROM alert_tries WHERE notification = ?1 ORDER BY number",
    )?;
    found
        .map(|found| {
            let (own, found) = found?;
            let tries = tries.query_map([own], |row| {
                Ok(SendTry {
                    at: row.get(0)?,
                    took: duration(row, 1)?,
                    error: row.get(2)?,
                })
            })?;
            let tries = tries.collect::<Result<_, _>>()?;
            Ok(Notification { tries, ..found })
        })
        .collect()
}

fn put_channel(connection: &Connection, channel: &AlertChannel) -> Result<(), StoreError> {
    let (url, secret, recipients) = columns(&channel.target);
    let made = connection
        .prepare_cached(
            "INSERT INTO alert_channels (id, name, disabled, url, secret, recipients, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            channel.id,
            channel.name,
            channel.disabled,
            url,
            secret,
            recipients,
            channel.created,
        ])?;
    taken_unless(made)
}

/// Address, sealed secret, and recipients.
fn columns(target: &ChannelTarget) -> (Option<&str>, Option<&[u8]>, Option<String>) {
    match target {
        ChannelTarget::Webhook { url, sealed } => (Some(url), Some(sealed), None),
        ChannelTarget::Email { recipients } => {
            let recipients: Vec<_> = recipients.iter().map(EmailAddress::as_str).collect();
            (None, None, Some(recipients.join(" ")))
        }
    }
}

fn channel(row: &Row<'_>) -> rusqlite::Result<AlertChannel> {
    let url: Option<String> = row.get(3)?;
    let sealed: Option<Vec<u8>> = row.get(4)?;
    let target = match url.zip(sealed) {
        Some((url, sealed)) => ChannelTarget::Webhook { url, sealed },
        None => {
            let recipients: String = row.get(5)?;
            let recipients = recipients.split(' ').map(str::parse);
            let recipients = recipients.collect::<Result<_, _>>();
            let recipients = recipients.map_err(|_| out_of_range(5, 0))?;
            ChannelTarget::Email { recipients }
        }
    };
    Ok(AlertChannel {
        id: row.get(0)?,
        name: row.get(1)?,
        disabled: row.get(2)?,
        target,
        created: row.get(6)?,
    })
}

fn due(row: &Row<'_>) -> rusqlite::Result<DueNotification> {
    let batch: Option<String> = row.get(4)?;
    let batch = batch.map(|batch| batch.parse()).transpose();
    Ok(DueNotification {
        id: uuid(row, 0)?,
        body: row.get(1)?,
        attempts: row.get(2)?,
        created: row.get(3)?,
        batch: batch.map_err(|_| out_of_range(4, 0))?,
        rule: row.get(5)?,
    })
}

fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| out_of_range(column, 0))
}

#[cfg(test)]
mod tests {
    use super::super::alert_silences::{FREE, FREE_FOR_GROUP, FREE_OF_HOST};
    use super::*;

    /// Whatever waits for its time or is held meanwhile, a look reads what is due.
    #[tokio::test]
    async fn what_is_not_due_is_not_read() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("platform.db");
        let store = SqliteStore::open(&path, super::super::tests::key()).expect("opened");
        let asked = [DUE, NEXT, BEHIND, BATCH, FREE, FREE_FOR_GROUP, FREE_OF_HOST];
        let plans = store.read(move |connection| {
            let mut plans = Vec::new();
            for sql in asked {
                let mut query = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let mut rows = query.raw_query();
                let mut steps: Vec<String> = Vec::new();
                while let Some(row) = rows.next()? {
                    steps.push(row.get(3)?);
                }
                drop(rows);
                plans.push((sql, steps));
            }
            Ok(plans)
        });
        for (sql, plan) in plans.await.expect("explained") {
            // Channels and silences are few.
            let reads_all = |step: &String| {
                let few = ["alert_silences", "SCAN c", "CONSTANT", "subquery"];
                step.starts_with("SCAN") && !few.iter().any(|few| step.contains(few))
                    || step.contains("TEMP B-TREE")
            };
            assert!(!plan.iter().any(reads_all), "{sql}: {plan:?}");
            let all_held = |step: &String| step.ends_with("alert_notifications_held");
            assert!(!plan.iter().any(all_held), "{sql}: {plan:?}");
        }
    }
}
