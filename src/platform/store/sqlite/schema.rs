//! The tables and how they came to be: forward-only migrations, each in a transaction, their number
//! kept in the database. A migration that was released is never changed.

use rusqlite::Connection;

use super::super::StoreError;
use super::{
    alert_channels, alert_rules, alert_silences, alerts, audit, delivery_schema, events, files,
    fleet, health, track, wave_schema,
};
use crate::audit::seal::AuditKey;
use crate::clock::UnixMillis;

/// A step: statements, or what statements alone cannot do.
enum Migration {
    Sql(&'static str),
    Code(fn(&Connection, &AuditKey) -> Result<(), StoreError>),
}
use Migration::{Code, Sql};

const MIGRATIONS: &[Migration] = &[
    Sql("
    CREATE TABLE hosts (
        id          TEXT PRIMARY KEY,
        name        TEXT NOT NULL UNIQUE,
        auth_token  BLOB NOT NULL UNIQUE,
        created     INTEGER NOT NULL,
        last_seen   INTEGER
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE enrolment_tokens (
        secret   BLOB PRIMARY KEY,
        name     TEXT,
        created  INTEGER NOT NULL,
        expires  INTEGER NOT NULL,
        used     INTEGER,
        used_key BLOB,
        host     TEXT
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE api_tokens (
        name    TEXT PRIMARY KEY,
        token   BLOB NOT NULL UNIQUE,
        created INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE sessions (
        id      TEXT PRIMARY KEY,
        host    TEXT NOT NULL REFERENCES hosts (id),
        user    TEXT NOT NULL,
        label   TEXT NOT NULL UNIQUE,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        cookie  BLOB,
        ended   INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX sessions_open ON sessions (created) WHERE ended IS NULL;

    CREATE TABLE audit (
        sequence INTEGER PRIMARY KEY,
        at       INTEGER NOT NULL,
        actor    TEXT NOT NULL,
        action   TEXT NOT NULL,
        subject  TEXT NOT NULL,
        detail   TEXT NOT NULL
    ) STRICT;
    CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    "),
    // Whether an agent has connected with the host's present credential.
    Sql("
    ALTER TABLE hosts ADD COLUMN credential_used INTEGER NOT NULL DEFAULT 0;
    UPDATE hosts SET credential_used = 1 WHERE last_seen IS NOT NULL;
    "),
    // The audit log as a chain of hashes, with what was in it before.
    Code(audit::migrate),
    Sql("
    CREATE TABLE answers (
        key     BLOB PRIMARY KEY,
        request BLOB NOT NULL,
        answer  BLOB NOT NULL,
        at      INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX answers_expire ON answers (expires);
    "),
    // Groups and labels of hosts; users with their sign-ins and keys. What was the administrator's token
    // becomes a key of the user who is made at the start.
    Sql("
    ALTER TABLE hosts ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

    CREATE TABLE groups (
        id          TEXT PRIMARY KEY,
        name        TEXT NOT NULL UNIQUE,
        description TEXT NOT NULL,
        created     INTEGER NOT NULL,
        version     INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE host_groups (
        host     TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
        group_id TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
        PRIMARY KEY (host, group_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX host_groups_by_group ON host_groups (group_id, host);

    CREATE TABLE host_labels (
        host  TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
        key   TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (host, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX host_labels_by_key ON host_labels (key, value, host);

    CREATE TABLE users (
        id             TEXT PRIMARY KEY,
        name           TEXT NOT NULL UNIQUE,
        role           TEXT NOT NULL,
        all_hosts      INTEGER NOT NULL,
        disabled       INTEGER NOT NULL,
        created        INTEGER NOT NULL,
        password       TEXT,
        totp_sealed    BLOB,
        totp_on        INTEGER NOT NULL,
        totp_last_step INTEGER NOT NULL,
        issuer         TEXT,
        subject        TEXT,
        version        INTEGER NOT NULL,
        UNIQUE (issuer, subject)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE user_grants (
        user     TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        group_id TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
        PRIMARY KEY (user, group_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX user_grants_by_group ON user_grants (group_id);

    CREATE TABLE recovery_codes (
        user TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        code BLOB NOT NULL,
        PRIMARY KEY (user, code)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE families (
        id      TEXT PRIMARY KEY,
        user    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        created INTEGER NOT NULL,
        used    INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        address TEXT NOT NULL,
        refresh BLOB NOT NULL UNIQUE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX families_by_user ON families (user, used);

    CREATE TABLE used_refresh_tokens (
        token  BLOB PRIMARY KEY,
        family TEXT NOT NULL REFERENCES families (id) ON DELETE CASCADE,
        used   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX used_refresh_tokens_by_family ON used_refresh_tokens (family, used);

    CREATE TABLE api_keys (
        id        TEXT PRIMARY KEY,
        user      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        name      TEXT NOT NULL,
        hash      BLOB NOT NULL UNIQUE,
        role      TEXT NOT NULL,
        all_hosts INTEGER NOT NULL,
        created   INTEGER NOT NULL,
        expires   INTEGER,
        used      INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX api_keys_by_user ON api_keys (user, created);

    CREATE TABLE api_key_grants (
        api_key  TEXT NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
        group_id TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
        PRIMARY KEY (api_key, group_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX api_key_grants_by_group ON api_key_grants (group_id);

    DROP TABLE api_tokens;
    "),
    Sql("
    CREATE TABLE commands (
        id              TEXT PRIMARY KEY,
        host            TEXT NOT NULL REFERENCES hosts (id),
        sequence        INTEGER NOT NULL,
        kind            TEXT NOT NULL,
        parameters      BLOB NOT NULL,
        timeout_seconds INTEGER NOT NULL,
        user            TEXT NOT NULL,
        created         INTEGER NOT NULL,
        expires         INTEGER NOT NULL,
        UNIQUE (host, sequence)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX commands_newest ON commands (created, id);

    CREATE INDEX audit_of_host ON audit (host, sequence) WHERE host <> '';
    CREATE INDEX audit_of_session ON audit (session, sequence) WHERE session <> '';
    CREATE INDEX audit_of_actor ON audit (actor, sequence);
    "),
    // The log of events.
    Sql(events::SCHEMA),
    // Certificates: the key that a host's are for, none for a host that has a token alone, as all had
    // so far; the device token before the last, while the last was not used; and hosts' revocation.
    Sql("
    ALTER TABLE hosts ADD COLUMN previous_token BLOB;
    ALTER TABLE hosts ADD COLUMN key BLOB;
    ALTER TABLE hosts ADD COLUMN certificate_until INTEGER;
    ALTER TABLE hosts ADD COLUMN revoked INTEGER;
    CREATE UNIQUE INDEX hosts_previous_token ON hosts (previous_token)
        WHERE previous_token IS NOT NULL;
    "),
    // The message track.
    Sql(track::SCHEMA),
    // Enrolment tokens have ids, so that they can be listed and revoked.
    Sql("
    ALTER TABLE enrolment_tokens ADD COLUMN id TEXT;
    ALTER TABLE enrolment_tokens ADD COLUMN created_by TEXT;
    UPDATE enrolment_tokens SET id = lower(
        hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2)
        || '-8' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)));
    CREATE UNIQUE INDEX enrolment_tokens_by_id ON enrolment_tokens (id);
    CREATE INDEX enrolment_tokens_newest ON enrolment_tokens (created, id);
    "),
    // Commands for many hosts, and what becomes of them on each.
    Sql(delivery_schema::SCHEMA),
    // Files that commands bring to hosts or take from them.
    Sql(files::SCHEMA),
    // Waves, schedules and maintenance windows.
    Sql(wave_schema::SCHEMA),
    // How hosts have been.
    Sql(health::SCHEMA),
    // Indexes of deliveries that most of their steps leave as they are.
    Sql(delivery_schema::STAGES),
    // Alerts.
    Sql(alerts::SCHEMA),
    // The fleet in numbers.
    Sql(fleet::SCHEMA),
    // Their channels of more than one kind, silences, and tries.
    Sql(alert_channels::SCHEMA),
    // Rules of alerts about labels, and about what they could not be about before.
    Sql(alert_rules::LATER),
    // By what messages are held, and what of silences was told.
    Sql(alert_silences::HELD),
    // Channels that rules name and that are gone: a rule was changed in the moment of their removal.
    Sql(alert_rules::CHANNELS_THERE),
    // Messages that are sent together.
    Sql(alert_channels::BATCHES),
];

/// Brings a database up to the newest schema.
pub(super) fn migrate(connection: &mut Connection, key: &AuditKey) -> Result<(), StoreError> {
    migrate_with(connection, key, MIGRATIONS)
}

fn migrate_with(
    connection: &mut Connection,
    key: &AuditKey,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_versions (
            version INTEGER PRIMARY KEY, applied INTEGER NOT NULL) STRICT",
    )?;
    let known = migrations.len() as i64;
    let found: i64 = connection.query_row(
        "SELECT coalesce(max(version), 0) FROM schema_versions",
        [],
        |row| row.get(0),
    )?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (version, migration) in (1..).zip(migrations).skip(found as usize) {
        let transaction = connection.transaction()?;
        match migration {
            Sql(statements) => transaction.execute_batch(statements)?,
            Code(run) => run(&transaction, key)?,
        }
        transaction.execute(
            "INSERT INTO schema_versions (version, applied) VALUES (?1, ?2)",
            (version, UnixMillis::now().0 as i64),
        )?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::key;
    use super::*;
    use crate::ids::EnrolmentTokenId;

    /// Every table and index as it was made, by its name.
    fn shape(connection: &Connection) -> Vec<(String, Option<String>)> {
        let made = "SELECT name, sql FROM sqlite_master ORDER BY name";
        let mut made = connection.prepare(made).expect("prepared");
        let made = made.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        made.expect("read").collect::<Result<_, _>>().expect("text")
    }

    #[test]
    fn a_store_of_any_earlier_version_becomes_one_of_this() {
        let mut fresh = Connection::open_in_memory().expect("opened");
        migrate(&mut fresh, &key()).expect("made");
        for version in 1..MIGRATIONS.len() {
            let mut connection = Connection::open_in_memory().expect("opened");
            migrate_with(&mut connection, &key(), &MIGRATIONS[..1]).expect("the first schema");
            let rows = "INSERT INTO hosts VALUES ('h', 'kvm', x'01', 1, 7);
                INSERT INTO enrolment_tokens VALUES (x'02', 'kvm', 1, 9, NULL, NULL, 'h');
                INSERT INTO api_tokens VALUES ('admin', x'03', 1);
                INSERT INTO sessions VALUES ('s', 'h', 'admin', 'label', 1, 9, NULL, NULL);
                INSERT INTO audit VALUES (1, 1000, 'admin', 'host.create', 'host:h', '')";
            connection.execute_batch(rows).expect("inserted");
            migrate_with(&mut connection, &key(), &MIGRATIONS[..version]).expect("stopped there");
            migrate(&mut connection, &key()).expect("went on from there");
            assert_eq!(shape(&connection), shape(&fresh), "from version {version}");
            let kept = "SELECT h.name, s.user, a.action FROM hosts h, sessions s, audit a";
            let kept = connection.query_row(kept, [], |row| {
                Ok([0, 1, 2].map(|column| row.get::<_, String>(column).expect("text")))
            });
            assert_eq!(kept, Ok(["kvm", "admin", "host.create"].map(str::to_owned)));
            let whole = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0));
            assert_eq!(whole, Ok("ok".to_owned()));
            let mut broken = connection
                .prepare("PRAGMA foreign_key_check")
                .expect("prepared");
            assert!(
                !broken.exists([]).expect("looked"),
                "from version {version}"
            );
        }
    }

    #[test]
    fn whoever_was_seen_has_used_its_credential() {
        let mut connection = Connection::open_in_memory().expect("opened");
        migrate_with(&mut connection, &key(), &MIGRATIONS[..1]).expect("the first schema");
        let hosts = "INSERT INTO hosts VALUES ('a', 'a', x'01', 0, NULL), ('b', 'b', x'02', 0, 7)";
        connection.execute_batch(hosts).expect("inserted");
        migrate(&mut connection, &key()).expect("migrated");
        let used = |id| {
            let used = "SELECT credential_used FROM hosts WHERE id = ?1";
            connection.query_row(used, [id], |row| row.get::<_, bool>(0))
        };
        assert_eq!((used("a"), used("b")), (Ok(false), Ok(true)));
    }

    #[test]
    fn each_token_that_was_there_has_an_id_of_its_own() {
        let mut connection = Connection::open_in_memory().expect("opened");
        migrate_with(&mut connection, &key(), &MIGRATIONS[..1]).expect("the first schema");
        let tokens = "INSERT INTO enrolment_tokens (secret, created, expires)
                      VALUES (x'01', 0, 9), (x'02', 0, 9)";
        connection.execute_batch(tokens).expect("inserted");
        migrate(&mut connection, &key()).expect("migrated");
        let mut ids = connection
            .prepare("SELECT id FROM enrolment_tokens")
            .expect("prepared");
        let ids: Vec<EnrolmentTokenId> = ids
            .query_map([], |row| row.get(0))
            .expect("read")
            .collect::<Result<_, _>>()
            .expect("ids");
        assert_eq!(ids.len(), 2);
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn what_was_in_the_audit_log_is_chained() {
        let mut connection = Connection::open_in_memory().expect("opened");
        migrate_with(&mut connection, &key(), &MIGRATIONS[..2]).expect("before the chain");
        let id = "5b1f6a52-6d0e-4a6e-9d58-0f4f6f1f7c11";
        let rows = format!(
            "INSERT INTO audit VALUES
                (1, 1000, 'platform', 'api_token.put', 'api_token:admin', 'from the file'),
                (2, 2000, 'admin', 'session.open', 'session:{id}', 'host:{id}'),
                (3, 3000, 'host:{id}', 'host.enrol', 'host:{id}', '')"
        );
        connection.execute_batch(&rows).expect("inserted");
        migrate(&mut connection, &key()).expect("migrated");
        let chain = audit::Chain::load(&connection, &key()).expect("whole");
        assert_eq!(chain.head().sequence, 3);
        let entries = audit::page(&connection, 0, 10).expect("read").entries;
        let mut place = crate::audit::Place::START;
        for chained in &entries {
            place = place.after(&chained.entry);
            assert_eq!(
                (chained.sequence, chained.hash),
                (place.sequence, place.hash)
            );
        }
        assert_eq!(place, chain.head());
        let ids: Vec<_> = entries
            .iter()
            .map(|chained| (&*chained.entry.host, &*chained.entry.session))
            .collect();
        assert_eq!(ids, [("", ""), (id, id), (id, "")]);
        let details = |at: usize| entries[at].entry.details.clone();
        assert_eq!(
            details(0),
            [("detail".to_owned(), "from the file".to_owned())]
        );
        assert_eq!((details(1).len(), details(2).len()), (0, 0));
    }

    #[test]
    fn what_waited_becomes_a_delivery() {
        let mut connection = Connection::open_in_memory().expect("opened");
        let before = MIGRATIONS
            .iter()
            .position(|migration| matches!(migration, Sql(delivery_schema::SCHEMA)))
            .expect("there");
        migrate_with(&mut connection, &key(), &MIGRATIONS[..before]).expect("before deliveries");
        let rows = "INSERT INTO hosts (id, name, auth_token, created) VALUES
                ('h', 'h', x'01', 0), ('i', 'i', x'02', 0);
            INSERT INTO commands VALUES
                ('b', 'h', 2, 'package_operation', x'02', 60, 'ada', 20, 200),
                ('a', 'h', 1, 'package_operation', x'01', 60, 'ada', 10, 100),
                ('c', 'i', 1, 'package_operation', x'03', 60, 'bob', 15, 150)";
        connection.execute_batch(rows).expect("inserted");
        migrate(&mut connection, &key()).expect("migrated");
        let waiting: Vec<(String, String, i64, i64, i64)> = connection
            .prepare(
                "SELECT c.id, q.host, d.sequence, c.queued, q.next_sequence
                 FROM deliveries d JOIN commands c ON c.number = d.command
                 JOIN queues q ON q.number = d.host WHERE d.state = 0 ORDER BY c.number",
            )
            .expect("prepared")
            .query_map([], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                ))
            })
            .expect("run")
            .collect::<Result<_, _>>()
            .expect("read");
        let expected = [
            ("a", "h", 1, 1, 3),
            ("c", "i", 1, 1, 2),
            ("b", "h", 2, 1, 3),
        ];
        let expected = expected.map(|(id, host, sequence, queued, next)| {
            (id.to_owned(), host.to_owned(), sequence, queued, next)
        });
        assert_eq!(waiting, expected);
    }

    #[test]
    fn what_waited_before_waves_is_due_as_it_was() {
        let mut connection = Connection::open_in_memory().expect("opened");
        let before = MIGRATIONS
            .iter()
            .position(|migration| matches!(migration, Sql(wave_schema::SCHEMA)))
            .expect("there");
        migrate_with(&mut connection, &key(), &MIGRATIONS[..before]).expect("before waves");
        let rows = "INSERT INTO hosts (id, name, auth_token, created) VALUES ('h', 'h', x'01', 0);
            INSERT INTO queues (number, host) VALUES (1, 'h');
            INSERT INTO epochs (number, id) VALUES (1, 'e');
            INSERT INTO groups VALUES ('g', 'g', '', 0, 1);
            INSERT INTO commands (number, id, kind, parameters, timeout_seconds, rank, user, created,
                expires, targets, queued) VALUES (1, 'a', 'script', x'01', 60, 1, 'ada', 10, 100, '', 1);
            INSERT INTO deliveries (command, host, sequence, epoch, rank, state, reason, detail, updated)
                VALUES (1, 1, 1, 1, 1, 0, '', '', 10)";
        connection.execute_batch(rows).expect("inserted");
        migrate(&mut connection, &key()).expect("migrated");
        let kept = "SELECT c.sweep, c.waves, c.in_window, d.held, d.wave, g.windows
             FROM deliveries d, commands c, groups g WHERE d.state = 0 AND d.held = 0";
        let kept = connection.query_row(kept, [], |row| {
            let number = |column: usize| row.get::<_, i64>(column);
            let numbers = [number(0)?, number(1)?, number(2)?, number(3)?, number(4)?];
            Ok((numbers, row.get::<_, String>(5)?))
        });
        assert_eq!(kept, Ok(([100, 0, 0, 0, 0], "[]".to_owned())));
    }

    #[test]
    fn what_was_kept_before_stages_has_its_own() {
        let mut connection = Connection::open_in_memory().expect("opened");
        let before = MIGRATIONS
            .iter()
            .position(|migration| matches!(migration, Sql(delivery_schema::STAGES)))
            .expect("there");
        migrate_with(&mut connection, &key(), &MIGRATIONS[..before]).expect("before stages");
        let rows = "INSERT INTO deliveries
                (command, host, sequence, epoch, rank, state, reason, detail, updated)
            SELECT value, 1, 1, 1, 1, value, '', '', 10 FROM json_each('[0,1,2,3,4,5,6,7,8,9]')";
        connection.execute_batch(rows).expect("inserted");
        migrate(&mut connection, &key()).expect("migrated");
        let stages: Vec<i64> = connection
            .prepare("SELECT stage FROM deliveries ORDER BY state")
            .expect("prepared")
            .query_map([], |row| row.get(0))
            .expect("run")
            .collect::<Result<_, _>>()
            .expect("read");
        assert_eq!(stages, [0, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
    }

    #[test]
    fn a_channel_stays_what_it_was() {
        let mut connection = Connection::open_in_memory().expect("opened");
        let before = MIGRATIONS
            .iter()
            .position(|migration| matches!(migration, Sql(alert_channels::SCHEMA)))
            .expect("there");
        migrate_with(&mut connection, &key(), &MIGRATIONS[..before]).expect("before kinds");
        let rows = "INSERT INTO alert_channels VALUES ('c', 'hook', 'https://a.example', 'whsec_eA==', 7);
            INSERT INTO alerts (id, rule, rule_name, host, host_name, severity, state, detail, since)
                VALUES ('a', 'r', 'r', '', '', 1, 1, '', 5);
            INSERT INTO alert_notifications (id, alert, channel, channel_name, body, created, next)
                VALUES ('n', 'a', 'c', 'hook', '{}', 5, 5)";
        connection.execute_batch(rows).expect("inserted");
        migrate(&mut connection, &key()).expect("migrated");
        let kept = "SELECT c.name, c.disabled, c.url, c.secret, n.id FROM alert_channels c
             JOIN alert_notifications n ON n.channel = c.id WHERE n.next = 5 AND c.created = 7";
        let kept = connection.query_row(kept, [], |row| {
            let texts: [String; 3] = [row.get(0)?, row.get(2)?, row.get(4)?];
            Ok((texts, row.get::<_, bool>(1)?, row.get::<_, Vec<u8>>(3)?))
        });
        let texts = ["hook", "https://a.example", "n"].map(str::to_owned);
        assert_eq!(kept, Ok((texts, false, b"whsec_eA==".to_vec())));
    }

    #[test]
    fn a_rule_loses_the_channels_that_are_gone() {
        let mut connection = Connection::open_in_memory().expect("opened");
        let before = MIGRATIONS
            .iter()
            .position(|migration| matches!(migration, Sql(alert_rules::CHANNELS_THERE)))
            .expect("there");
        migrate_with(&mut connection, &key(), &MIGRATIONS[..before]).expect("before");
        let rows = "INSERT INTO alert_channels VALUES
                ('c', 'hook', 0, 'https://a.example', x'01', NULL, 7),
                ('d', 'other', 0, 'https://a.example', x'01', NULL, 7);
            UPDATE alert_rules SET channels = 'gone d c' WHERE name = 'host-offline';
            UPDATE alert_rules SET channels = 'gone' WHERE name = 'host-flapping'";
        connection.execute_batch(rows).expect("inserted");
        migrate(&mut connection, &key()).expect("migrated");
        let kept: Vec<String> = connection
            .prepare("SELECT channels FROM alert_rules WHERE name LIKE 'host-%' ORDER BY name DESC")
            .expect("prepared")
            .query_map([], |row| row.get(0))
            .expect("run")
            .collect::<Result<_, _>>()
            .expect("read");
        // The rest names none, and is for all.
        assert_eq!(kept, ["c d", "", ""]);
    }

    #[test]
    fn a_newer_database_is_left_alone() {
        let mut connection = Connection::open_in_memory().expect("opened");
        migrate(&mut connection, &key()).expect("migrated");
        migrate(&mut connection, &key()).expect("nothing to do");
        let newer = MIGRATIONS.len() as i64 + 1;
        connection
            .execute("INSERT INTO schema_versions VALUES (?1, 0)", [newer])
            .expect("inserted");
        let known = MIGRATIONS.len() as i64;
        assert_eq!(
            migrate(&mut connection, &key()),
            Err(StoreError::Newer {
                found: newer,
                known
            })
        );
    }
}
