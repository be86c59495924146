//! What the platform's store has, read from its file beside the platform, or after it.

use std::collections::BTreeMap;
use std::path::Path;

use fleetwire::platform::store::deliveries::DeliveryState;
use fleetwire::schema::pb;
use prost::Message as _;
use rusqlite::{Connection, OpenFlags};

/// The file, which is only read.
pub struct Books(Connection);

/// How a delivery stands.
pub struct End {
    pub state: &'static str,
    pub reason: String,
    /// What tells its script from others.
    pub argument: String,
}

impl Books {
    /// Opens it, of this data directory.
    pub fn open(data: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = data.join("platform.db");
        let connection = Connection::open_with_flags(file, flags).expect("it opens");
        let patience = std::time::Duration::from_secs(10);
        connection.busy_timeout(patience).expect("set");
        Self(connection)
    }

    fn number(&self, sql: &str) -> usize {
        let number = self.0.query_row(sql, [], |row| row.get::<_, i64>(0));
        usize::try_from(number.expect("read")).expect("a count")
    }

    /// How many deliveries have ended.
    pub fn ended(&self) -> usize {
        self.number("SELECT count(*) FROM deliveries WHERE state > 3")
    }

    /// How many have not.
    pub fn open_deliveries(&self) -> usize {
        self.number("SELECT count(*) FROM deliveries WHERE state < 4")
    }

    /// How many rows each table has.
    pub fn rows(&self) -> BTreeMap<String, usize> {
        let sql =
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        let mut query = self.0.prepare(sql).expect("prepared");
        let names = query.query_map([], |row| row.get::<_, String>(0));
        let names = names.expect("read").map(|name| name.expect("read"));
        let count = |name: &String| self.number(&format!("SELECT count(*) FROM {name}"));
        names.map(|name| (name.clone(), count(&name))).collect()
    }

    /// Where each command's delivery stands, by the command.
    pub fn states(&self) -> BTreeMap<String, &'static str> {
        let sql = "SELECT c.id, d.state FROM deliveries d JOIN commands c ON c.number = d.command";
        let mut query = self.0.prepare(sql).expect("prepared");
        let states = query.query_map([], |row| {
            let state = DeliveryState::ALL[row.get::<_, usize>(1)?];
            Ok((row.get(0)?, state.code()))
        });
        states
            .expect("read")
            .collect::<Result<_, _>>()
            .expect("read")
    }

    /// Where each command's delivery stands, and whether its response is there, by the command.
    pub fn stands(&self) -> BTreeMap<String, (DeliveryState, bool)> {
        let sql = "SELECT c.id, d.state, r.response IS NOT NULL
                   FROM deliveries d JOIN commands c ON c.number = d.command
                   LEFT JOIN delivery_responses r ON r.command = d.command AND r.host = d.host";
        let mut query = self.0.prepare(sql).expect("prepared");
        let stands = query.query_map([], |row| {
            let state = DeliveryState::ALL[row.get::<_, usize>(1)?];
            Ok((row.get(0)?, (state, row.get(2)?)))
        });
        let stands = stands.expect("read").collect::<Result<_, _>>();
        stands.expect("read")
    }

    /// How each command's delivery stands and why, by the command, with the script's first argument.
    pub fn ends(&self) -> BTreeMap<String, End> {
        let sql = "SELECT c.id, d.state, d.reason, c.parameters
                   FROM deliveries d JOIN commands c ON c.number = d.command";
        let mut query = self.0.prepare(sql).expect("prepared");
        let ends = query.query_map([], |row| {
            let script: Vec<u8> = row.get(3)?;
            let script = pb::Script::decode(&*script).expect("a script");
            let end = End {
                state: DeliveryState::ALL[row.get::<_, usize>(1)?].code(),
                reason: row.get(2)?,
                argument: script.arguments.into_iter().next().expect("some"),
            };
            Ok((row.get(0)?, end))
        });
        ends.expect("read").collect::<Result<_, _>>().expect("read")
    }

    /// Checks that they agree with themselves once all has ended: each history leads to where its delivery
    /// stands, over no end and never back; a command's sums are those of its deliveries; no place was given
    /// twice; each command is in the audit log, once.
    ///
    /// # Panics
    /// Where they do not.
    pub fn audit(&self) {
        let whole: String = self
            .0
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .expect("read");
        assert_eq!(whole, "ok");
        let faults = self.faults();
        assert!(faults.is_empty(), "{faults:?}");
    }

    fn faults(&self) -> Vec<String> {
        let found = CHECKS.iter().map(|(sql, what)| (self.number(sql), what));
        let faults = found.filter(|(number, _)| *number > 0);
        faults
            .map(|(number, what)| format!("{number} {what}"))
            .collect()
    }
}

/// What is counted, and must not be.
const CHECKS: [(&str, &str); 6] = [
    (
        "SELECT count(*) FROM deliveries d WHERE state IS NOT (SELECT state FROM delivery_history h
             WHERE h.command = d.command AND h.host = d.host ORDER BY h.number DESC LIMIT 1)",
        "stand where their histories do not end",
    ),
    (
        "SELECT count(*) FROM delivery_history h JOIN delivery_history n
             ON n.command = h.command AND n.host = h.host AND n.number = h.number + 1
             WHERE n.state < h.state OR h.state > 3",
        "went back, or on from their end",
    ),
    (
        "SELECT count(*) FROM deliveries WHERE state < 4 OR ended IS NULL",
        "have not ended",
    ),
    (
        "SELECT count(*) FROM commands WHERE finished IS NULL OR 1 !=
             succeeded + failed + interrupted + cancelled + expired + dead",
        "commands do not add up",
    ),
    (
        "SELECT count(*) - count(DISTINCT sequence) FROM deliveries",
        "have a place that another has",
    ),
    (
        "SELECT count(*) FROM (SELECT id FROM commands EXCEPT SELECT substr(target, 9) FROM audit
             WHERE action = 'command.create' GROUP BY target HAVING count(*) = 1)",
        "commands are in the audit log not at all, or more than once",
    ),
];

/// That a store which contradicts itself is noticed.
mod canaries {
    use super::*;

    /// The columns that are looked at, with two commands that were done.
    const SOUND: &str = "
        CREATE TABLE commands (id TEXT, finished INTEGER, succeeded INTEGER, failed INTEGER,
            interrupted INTEGER, cancelled INTEGER, expired INTEGER, dead INTEGER);
        CREATE TABLE deliveries (command INTEGER, host INTEGER, state INTEGER, ended INTEGER, sequence INTEGER);
        CREATE TABLE delivery_history (command INTEGER, host INTEGER, number INTEGER, state INTEGER);
        CREATE TABLE audit (action TEXT, target TEXT);
        INSERT INTO commands VALUES ('a', 9, 1, 0, 0, 0, 0, 0), ('b', 9, 0, 0, 1, 0, 0, 0);
        INSERT INTO deliveries VALUES (1, 1, 4, 9, 1), (2, 1, 6, 9, 2);
        INSERT INTO delivery_history VALUES (1, 1, 1, 0), (1, 1, 2, 3), (1, 1, 3, 4), (2, 1, 1, 0), (2, 1, 2, 6);
        INSERT INTO audit VALUES ('command.create', 'command:a'), ('command.create', 'command:b');";

    fn faults(spoil: &str) -> Vec<String> {
        let connection = Connection::open_in_memory().expect("opened");
        connection.execute_batch(SOUND).expect("made");
        connection.execute_batch(spoil).expect("spoilt");
        Books(connection).faults()
    }

    #[test]
    fn a_store_that_contradicts_itself_is_noticed() {
        assert_eq!(faults(""), [""; 0]);
        for (spoil, found) in [
            (
                "UPDATE delivery_history SET state = 6 WHERE command = 1 AND number = 3",
                "1 stand where their histories do not end",
            ),
            (
                "INSERT INTO delivery_history VALUES (1, 1, 4, 4)",
                "1 went back, or on from their end",
            ),
            (
                "UPDATE delivery_history SET state = 1 WHERE command = 1 AND number = 2;
                 UPDATE delivery_history SET state = 2 WHERE command = 1 AND number = 1",
                "1 went back, or on from their end",
            ),
            (
                "UPDATE deliveries SET ended = NULL WHERE command = 1",
                "1 have not ended",
            ),
            (
                "UPDATE commands SET dead = 1 WHERE id = 'a'",
                "1 commands do not add up",
            ),
            (
                "UPDATE commands SET finished = NULL WHERE id = 'a'",
                "1 commands do not add up",
            ),
            (
                "UPDATE deliveries SET sequence = 1",
                "1 have a place that another has",
            ),
            (
                "DELETE FROM audit WHERE target = 'command:a'",
                "1 commands are in the audit log not at all, or more than once",
            ),
            (
                "INSERT INTO audit VALUES ('command.create', 'command:a')",
                "1 commands are in the audit log not at all, or more than once",
            ),
        ] {
            assert_eq!(faults(spoil), [found], "{spoil}");
        }
    }
}
