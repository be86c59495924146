//! Days go by, a command a minute, and nothing grows. A real platform and a real agent run one command after
//! the other over one connection, and the wall clocks of both are moved on by a minute for each; their timers
//! run on as they do. Certificates and device tokens are renewed twice meanwhile, and what is old is removed.
//!
//! `FLEETWIRE_CHAOS_DAYS` says how many (3): `make thirty-days` runs 30.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::api::Caller;
use super::books::Books;
use super::clock::Clock;
use super::programs::{ANY, HOST, Platform, kill, prepare_agent, start_agent, until, until_online};
use super::support::Process;

/// Days where nobody says how many: what CI runs.
const DAYS: usize = 3;
const MINUTES_A_DAY: usize = 24 * 60;
/// For how long commands, events and the track are kept.
const KEEP_HOURS: usize = 6;
/// The most commands that are left once what is old has been removed, which is looked for each hour.
const COMMANDS_MAX: usize = (KEEP_HOURS + 1) * 60 + 1;
/// What may be more at the last day's end than at the end of the day that it is compared with. Of a row that
/// stays there would be 1440 more a day; tables are cleared at another minute of the hour each time, of a
/// command there are six events, and the track has what passes by the clock of the machine, which is slower
/// at times.
const MORE_ROWS: usize = 500;
/// A file takes its room in pieces.
const MORE_DATABASE_BYTES: u64 = 6 << 20;
/// The agent knows the 10,000 commands that it ran last, which takes seven days to fill, in memory and in the
/// journal. That is written anew where it is twice what is of use, for the first time on the 14th day.
const FILLED_DAYS: usize = 15;
const JOURNAL_BYTES_MAX: u64 = 33 << 20;
/// The store begins its write-ahead log anew where all of it has been carried over: at the latest where it is
/// 64 MiB long, which a busy machine reaches, and an idle one does not. What comes until then is little.
const LOG_BYTES_MAX: u64 = 80 << 20;
/// Memory is taken and given back in pieces: the platform's, and the agent's.
const MORE_MEMORY_BYTES: [u64; 2] = [3 << 20, 2 << 20];
/// What a day of commands more takes of the agent's, in pieces, until it knows as many as it may. That nothing grows with
/// what passes through, the tests beside its collections look at.
const FILLING_BYTES: u64 = 6 << 20;
const MORE_FILES: u64 = 4;

#[test]
fn days_go_by_over_one_connection_and_nothing_grows() {
    let days = std::env::var("FLEETWIRE_CHAOS_DAYS").map_or(DAYS, |days| {
        days.parse().expect("FLEETWIRE_CHAOS_DAYS is a number")
    });
    assert!(
        days >= 2,
        "FLEETWIRE_CHAOS_DAYS: a day is compared with one before"
    );
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (data, state) = (dir.path().join("data"), dir.path().join("state"));
    let effects = dir.path().join("effects");
    let clocks = ["platform", "agent"].map(|name| Clock::new(dir.path().join(name)));
    let mut platform = Platform::start(&data, [ANY; 2], |command| {
        clocks[0].give_exactly(command);
        // Renewed at two thirds: twice, and not a third time.
        let life = format!("{}h", days * 16);
        command.env("FLEETWIRE_PLATFORM_CERTIFICATE_LIFE", life);
        for what in ["COMMANDS", "EVENTS", "TRACK"] {
            command.env(
                format!("FLEETWIRE_PLATFORM_{what}_KEEP"),
                format!("{KEEP_HOURS}h"),
            );
        }
        command.env("FLEETWIRE_PLATFORM_AUDIT_KEEP", "1d");
    });
    let mut caller = Caller::new(platform.place(&data));
    prepare_agent(dir.path(), &mut caller, platform.tls);
    let mut agent = start_agent(dir.path(), &state, |command| {
        clocks[1].give_exactly(command)
    });
    until_online(&mut caller);

    let books = Books::open(&data);
    let mut credentials = BTreeSet::new();
    let mut measured = Vec::new();
    for day in 0..days {
        for minute in 0..MINUTES_A_DAY {
            let number = day * MINUTES_A_DAY + minute;
            for clock in &clocks {
                clock.set(i64::try_from(number).unwrap() * 60);
            }
            run(&mut caller, number, &effects);
            if minute % 60 == 0 {
                credentials.insert(credential(&state));
            }
        }
        // While the clocks stand still: how far they went on before it was seen to depends on the machine.
        until("the removal of what is old", || {
            (books.rows()["commands"] <= COMMANDS_MAX).then_some(())
        });
        let measures = Measures::take(&books, &data, &state, [&platform.process, &agent]);
        println!("day {}: {measures:?}", day + 1);
        measured.push(measures);
    }

    let connections = agent.said().matches("dial: connected").count();
    assert_eq!(connections, 1, "it stayed connected");
    assert_eq!(agent.said().matches("certificate renewed").count(), 2);
    credentials.insert(credential(&state));
    let tokens: BTreeSet<_> = credentials.iter().map(|(token, _)| token).collect();
    let certificates: BTreeSet<_> = credentials.iter().map(|(_, it)| it).collect();
    assert_eq!((tokens.len(), certificates.len()), (3, 3));
    let done = fs::read_to_string(&effects).expect("there");
    let numbers = (0..days * MINUTES_A_DAY).map(|number| number.to_string());
    assert!(done.lines().eq(numbers), "each was done once, in order");

    // By then all that is kept for a time has been kept for that long.
    let filled = days > FILLED_DAYS;
    let settled = if filled { FILLED_DAYS } else { days - 1 };
    let mut memory = MORE_MEMORY_BYTES;
    memory[1] += if filled { 0 } else { FILLING_BYTES };
    measured[days - 1].assert_no_more_than(&measured[settled - 1], memory);
    kill(&mut agent);
    kill(&mut platform.process);
}

/// Has a command done.
fn run(caller: &mut Caller, number: usize, effects: &Path) {
    let body = json!({
        "targets": { "hosts": [HOST] },
        "script": {
            "content": "echo \"$1\" >> \"$2\"\n",
            "arguments": [number.to_string(), effects],
        },
    });
    let key = format!("n{number}");
    let (status, made) = caller.call("POST", "/api/commands", &key, Some(&body));
    assert_eq!(status, 202, "{made}");
    let path = format!(
        "/api/commands/{}",
        made["command_id"].as_str().expect("an id")
    );
    caller.follow(&format!("{path}/watch"));
    let (_, command) = caller.call("GET", &path, "", None);
    assert_eq!(command["state"], "finished", "{command}");
    assert_eq!(command["summary"]["succeeded"], 1, "{command}");
}

/// The agent's device token and its certificate.
fn credential(state: &Path) -> (String, String) {
    let text = fs::read_to_string(state.join("state.json")).expect("there");
    let state: Value = serde_json::from_str(&text).expect("JSON");
    let text = |name: &str| state[name].as_str().expect("text").to_owned();
    (text("auth_token"), text("certificate"))
}

/// What could grow.
#[derive(Debug)]
struct Measures {
    rows: BTreeMap<String, usize>,
    database: u64,
    log: u64,
    journal: u64,
    /// Of the platform and of the agent: memory that is in use, in bytes, and open files.
    memory: [u64; 2],
    files: [u64; 2],
}

impl Measures {
    fn take(books: &Books, data: &Path, state: &Path, processes: [&Process; 2]) -> Self {
        let length = |path: &Path| fs::metadata(path).expect("there").len();
        Self {
            rows: books.rows(),
            database: length(&data.join("platform.db")),
            log: length(&data.join("platform.db-wal")),
            journal: length(&state.join("commands.journal")),
            memory: processes.map(|process| {
                let path = format!("/proc/{}/status", process.id());
                let status = fs::read_to_string(path).expect("it runs");
                let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
                let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
                kib.map_or(0, |kib: u64| kib << 10)
            }),
            files: processes.map(|process| {
                let open = fs::read_dir(format!("/proc/{}/fd", process.id()));
                open.expect("it runs").count() as u64
            }),
        }
    }

    fn assert_no_more_than(&self, before: &Self, memory: [u64; 2]) {
        for (table, rows) in &self.rows {
            let then = before.rows[table];
            assert!(
                *rows <= then + MORE_ROWS,
                "{table} has grown from {then} to {rows} rows"
            );
        }
        let bytes = |name: &str, now: u64, then: u64, more: u64| {
            assert!(
                now <= then + more,
                "{name} has grown from {then} to {now} bytes"
            );
        };
        let more = MORE_DATABASE_BYTES;
        bytes("the database", self.database, before.database, more);
        for (index, name) in ["the platform", "the agent"].into_iter().enumerate() {
            bytes(
                name,
                self.memory[index],
                before.memory[index],
                memory[index],
            );
        }
        assert!(self.log <= LOG_BYTES_MAX, "a log of {} bytes", self.log);
        assert!(self.journal <= JOURNAL_BYTES_MAX);
        for (now, then) in self.files.iter().zip(before.files) {
            assert!(*now <= then + MORE_FILES, "{now} files are open");
        }
    }
}
