//! The tables of commands and deliveries. Commands and hosts have numbers of the database's own, so that
//! the rows of deliveries, of which there are most, are narrow; states, ranks and epochs are numbers too.

/// The tables, and what waited in the table of commands before.
pub(super) const SCHEMA: &str = "
    CREATE TABLE epochs (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;

    CREATE TABLE queues (
        number        INTEGER PRIMARY KEY,
        host          TEXT NOT NULL UNIQUE REFERENCES hosts (id),
        next_sequence INTEGER NOT NULL DEFAULT 1,
        acknowledged  INTEGER NOT NULL DEFAULT 0,
        journal       TEXT,
        reporting     INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    ALTER TABLE commands RENAME TO commands_before;
    CREATE TABLE commands (
        number          INTEGER PRIMARY KEY,
        id              TEXT NOT NULL UNIQUE,
        kind            TEXT NOT NULL,
        parameters      BLOB NOT NULL,
        timeout_seconds INTEGER NOT NULL,
        rank            INTEGER NOT NULL,
        user            TEXT NOT NULL,
        created         INTEGER NOT NULL,
        expires         INTEGER,
        targets         TEXT NOT NULL,
        redrive_of      TEXT,
        finished        INTEGER,
        queued          INTEGER NOT NULL DEFAULT 0,
        sent            INTEGER NOT NULL DEFAULT 0,
        received        INTEGER NOT NULL DEFAULT 0,
        running         INTEGER NOT NULL DEFAULT 0,
        succeeded       INTEGER NOT NULL DEFAULT 0,
        failed          INTEGER NOT NULL DEFAULT 0,
        interrupted     INTEGER NOT NULL DEFAULT 0,
        cancelled       INTEGER NOT NULL DEFAULT 0,
        expired         INTEGER NOT NULL DEFAULT 0,
        dead            INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX commands_expiring ON commands (expires) WHERE queued > 0 AND expires IS NOT NULL;
    CREATE INDEX commands_finished ON commands (finished) WHERE finished IS NOT NULL;

    CREATE TABLE deliveries (
        command      INTEGER NOT NULL,
        host         INTEGER NOT NULL,
        sequence     INTEGER NOT NULL,
        epoch        INTEGER NOT NULL,
        rank         INTEGER NOT NULL,
        state        INTEGER NOT NULL,
        once         INTEGER NOT NULL DEFAULT 0,
        attempts     INTEGER NOT NULL DEFAULT 0,
        next_attempt INTEGER,
        cancel       INTEGER NOT NULL DEFAULT 0,
        reason       TEXT NOT NULL,
        detail       TEXT NOT NULL,
        updated      INTEGER NOT NULL,
        started      INTEGER,
        ended        INTEGER,
        progress     INTEGER,
        recovered    INTEGER NOT NULL DEFAULT 0,
        discarded    INTEGER NOT NULL DEFAULT 0,
        changes      INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (command, host)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX deliveries_of_host ON deliveries (host, command);
    CREATE INDEX deliveries_waiting ON deliveries (host, rank, sequence) WHERE state = 0;
    CREATE INDEX deliveries_under_way ON deliveries (host, sequence) WHERE state IN (1, 2, 3);
    CREATE INDEX deliveries_dead ON deliveries (command, host)
        WHERE state IN (8, 9) AND discarded = 0;

    CREATE TABLE delivery_history (
        command INTEGER NOT NULL,
        host    INTEGER NOT NULL,
        number  INTEGER NOT NULL,
        at      INTEGER NOT NULL,
        state   INTEGER NOT NULL,
        reason  TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        PRIMARY KEY (command, host, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE delivery_responses (
        command  INTEGER NOT NULL,
        host     INTEGER NOT NULL,
        response BLOB NOT NULL,
        PRIMARY KEY (command, host)
    ) STRICT, WITHOUT ROWID;

    INSERT INTO queues (host, next_sequence)
        SELECT host, max(sequence) + 1 FROM commands_before GROUP BY host;
    INSERT INTO commands (id, kind, parameters, timeout_seconds, rank, user, created, expires,
            targets, queued)
        SELECT id, kind, parameters, timeout_seconds, 1, user, created, expires, '', 1
        FROM commands_before ORDER BY created, id;
    INSERT INTO deliveries (command, host, sequence, epoch, rank, state, reason, detail, updated)
        SELECT c.number, q.number, b.sequence, 1, 1, 0, '', '', b.created
        FROM commands_before b JOIN commands c ON c.id = b.id JOIN queues q ON q.host = b.host;
    DROP TABLE commands_before;
";

/// How far a delivery is, as far as the indexes ask: 0 where it waits, 1 where it is under way, 2 where it has
/// ended. Its state changes with each step, and SQLite makes an index's entry anew wherever a column changes
/// that the index names: of a delivery that was sent, began and succeeded the row took 16 us so, and takes 8.
pub(super) const STAGES: &str = "
    ALTER TABLE deliveries ADD COLUMN stage INTEGER NOT NULL DEFAULT 0;
    UPDATE deliveries SET stage = CASE WHEN state <= 3 THEN 1 ELSE 2 END WHERE state > 0;
    DROP INDEX deliveries_waiting;
    DROP INDEX deliveries_under_way;
    DROP INDEX deliveries_skippable;
    CREATE INDEX deliveries_waiting ON deliveries (host, rank, sequence)
        WHERE stage = 0 AND held = 0;
    CREATE INDEX deliveries_under_way ON deliveries (host, sequence) WHERE stage = 1;
    CREATE INDEX deliveries_skippable ON deliveries (command, host)
        WHERE stage = 0 AND held = 0 AND skip = 1;
";
