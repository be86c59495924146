//! Loss of power: whatever the platform has answered, acknowledged or told is in its files at each moment from
//! then on. Callers ask for commands, an agent answers them, and somebody follows what becomes of them, while
//! what the platform writes is recorded; then its store is opened as its disk would have been at each sync.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use fleetwire::platform::audit_key;
use fleetwire::platform::store::deliveries::DeliveryState;
use fleetwire::platform::store::{SqliteStore, Store as _};
use serde_json::{Value, json};

use super::agents::{self, Agent, Journal};
use super::api::{Caller, Place};
use super::books::Books;
use super::lots::Lots;
use super::programs::{HOST, until, until_online};
use super::record::{Disk, Recorder, now};
use super::support::{Process, command};

/// Commands that are asked for: enough for the log to be carried over into the database some times.
const COMMANDS: usize = 240;
const CALLERS: usize = 4;
/// Fewer syncs than this, and the callers were not at work at once.
const SYNCS_MIN: usize = 100;

/// What somebody outside of the platform knows of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Its caller: that it was accepted.
    Accepted,
    /// Who follows it: that it stands there.
    Stands(DeliveryState),
    /// Its agent: that the platform has the response.
    Acknowledged,
}

/// What was told of which command, and when, by the record's clock.
#[derive(Clone, Default)]
struct All(Arc<Mutex<Vec<(u64, String, Told)>>>);

impl All {
    fn note(&self, id: &str, told: Told) {
        let note = (now(), id.to_owned(), told);
        self.0.lock().unwrap().push(note);
    }

    fn count(&self, told: Told) -> usize {
        let all = self.0.lock().unwrap();
        all.iter().filter(|(.., it)| *it == told).count()
    }
}

#[test]
fn what_was_told_survives_a_loss_of_power_at_every_sync() {
    let lots = Lots::seeded();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let recorder = Recorder::new(dir.path(), data.clone());
    let mut command = command("fleetwire-platform");
    recorder.give(&mut command);
    command.arg("--data-dir").arg(&data);
    command.args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    command.env("FLEETWIRE_PLATFORM_AGENTS_BEHIND_PROXY", "true");
    command.env("FLEETWIRE_PLATFORM_LOG_FORMAT", "json");
    let mut process = Process::start("fleetwire-platform", &mut command);
    let line: Value = serde_json::from_str(&process.line("listening in plain HTTP")).expect("JSON");
    let address = line["address"].as_str().expect("an address").parse();
    let address = address.expect("an address");
    let token = std::fs::read_to_string(data.join("admin-token")).expect("there");
    let place = Place {
        address: Arc::new(Mutex::new(address)),
        token: token.trim().to_owned(),
    };
    let mut caller = Caller::new(place.clone());
    let (status, host) = caller.call("POST", "/api/hosts", "host", Some(&json!({ "name": HOST })));
    assert_eq!(status, 201, "{host}");

    let all = All::default();
    follow(&place, &all);
    let token = host["auth_token"].as_str().expect("a token").to_owned();
    let journal = Journal::start(&dir.path().join("journal")).expect("made");
    answer(address, token, journal, &all);
    until_online(&mut caller);
    ask(&place, &all);
    until("all responses acknowledged", || {
        (all.count(Told::Acknowledged) == COMMANDS).then_some(())
    });
    let end = Told::Stands(DeliveryState::Succeeded);
    until("all ends told", || {
        (all.count(end) == COMMANDS).then_some(())
    });
    process.signal("KILL");
    process.ended();

    let key = audit_key::open(&data).expect("the key that signed");
    let all = all.0.lock().unwrap();
    let entries = recorder.entries();
    let syncs = entries.iter().filter(|entry| entry.is_sync()).count();
    assert!(syncs > SYNCS_MIN, "only {syncs} syncs");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    // A sync's time is that of its return: what was told until then may not need it.
    let mut disk = Disk::default();
    let ends = entries.iter().map(Some).chain([None]);
    for entry in ends {
        if entry.is_some_and(|entry| !entry.is_sync()) {
            entry.into_iter().for_each(|entry| disk.take(entry));
            continue;
        }
        let until = entry.map_or(u64::MAX, |entry| entry.at);
        for unsynced in [None, Some(&lots)] {
            let image = tempfile::tempdir().expect("a temporary directory");
            disk.lose_power(image.path(), unsynced);
            let file = image.path().join("platform.db");
            if !file.exists() {
                continue;
            }
            let store = SqliteStore::open(&file, key.clone()).expect("the database opens");
            runtime.block_on(async {
                store.check().await.expect("it can be written");
                let audit = store.audit_after(0, 10_000).await.expect("read");
                let broken = |action: &str| action == fleetwire::audit::ACTION_BROKEN;
                assert!(
                    !audit
                        .entries
                        .iter()
                        .any(|entry| broken(&entry.entry.action)),
                    "the audit log ends as signed"
                );
            });
            let kept = Books::open(image.path()).stands();
            for (_, id, told) in all.iter().filter(|(at, ..)| *at <= until) {
                let kept = kept.get(id).copied();
                assert!(
                    bears_out(*told, kept),
                    "{id}: {told:?}, and there is {kept:?}"
                );
            }
        }
        entry.into_iter().for_each(|entry| disk.take(entry));
    }
    println!(
        "{} entries, {syncs} syncs, told {}",
        entries.len(),
        all.len()
    );
}

/// Whether what was told of a command is so where its delivery stands there, with a response or without.
fn bears_out(told: Told, kept: Option<(DeliveryState, bool)>) -> bool {
    let Some((state, answered)) = kept else {
        return false;
    };
    match told {
        Told::Accepted => true,
        Told::Stands(told) if told <= DeliveryState::Running => state >= told,
        Told::Stands(told) => state == told,
        Told::Acknowledged => state == DeliveryState::Succeeded && answered,
    }
}

#[test]
fn less_than_was_told_is_noticed() {
    use DeliveryState::{Failed, Queued, Received, Running, Sent, Succeeded};
    for (told, kept) in [
        (Told::Accepted, None),
        (Told::Stands(Queued), None),
        (Told::Stands(Received), Some((Sent, false))),
        (Told::Stands(Succeeded), Some((Running, false))),
        (Told::Stands(Succeeded), Some((Failed, true))),
        (Told::Acknowledged, Some((Running, true))),
        (Told::Acknowledged, Some((Succeeded, false))),
        (Told::Acknowledged, None),
    ] {
        assert!(!bears_out(told, kept), "{told:?} {kept:?}");
    }
    for (told, kept) in [
        (Told::Accepted, (Queued, false)),
        (Told::Stands(Received), (Received, false)),
        (Told::Stands(Received), (Succeeded, true)),
        (Told::Stands(Succeeded), (Succeeded, true)),
        (Told::Acknowledged, (Succeeded, true)),
    ] {
        assert!(bears_out(told, Some(kept)), "{told:?} {kept:?}");
    }
}

/// Notes where each delivery is told to stand, until the platform ends.
fn follow(place: &Place, all: &All) {
    let mut stream = TcpStream::connect(*place.address.lock().unwrap()).expect("it listens");
    // HTTP/1.0, so that the body comes as it is.
    let request = format!(
        "GET /api/events?kinds=delivery_updated HTTP/1.0\r\nHost: localhost\r\n\
         Authorization: Bearer {}\r\n\r\n",
        place.token
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut events = lines.filter_map(|line| {
        let event: Value = serde_json::from_str(line.strip_prefix("data: ")?).expect("JSON");
        Some(event)
    });
    events
        .find(|event| event["mark"].is_object())
        .expect("a mark");
    let all = all.clone();
    thread::spawn(move || {
        for event in events {
            let update = &event["event"]["delivery_updated"];
            if let (Some(id), Some(code)) =
                (update["command_id"].as_str(), update["status"].as_str())
            {
                let mut states = DeliveryState::ALL.into_iter();
                let state = states.find(|state| state.code() == code);
                all.note(id, Told::Stands(state.expect("a state")));
            }
        }
    });
}

/// Plays the host's agent until the platform ends.
fn answer(address: SocketAddr, token: String, journal: Journal, all: &All) {
    let all = all.clone();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let stream = agents::dial(0, address).await.expect("dialled");
            let opened = agents::connect(0, stream, address, &token, &["command_ack"]).await;
            let mut connection = opened.expect("let in");
            let told = |id: &str, told| {
                if told == agents::Told::Acknowledged {
                    all.note(id, Told::Acknowledged);
                }
            };
            let Err(_ended) = Agent::new(journal).serve(&mut connection, told).await;
        });
    });
}

/// Has callers at once ask for all commands.
fn ask(place: &Place, all: &All) {
    let callers = (0..CALLERS).map(|number| {
        let (mut caller, all) = (Caller::new(place.clone()), all.clone());
        thread::spawn(move || {
            for count in 0..COMMANDS / CALLERS {
                let body = json!({
                    "targets": { "hosts": [HOST] },
                    "script": { "content": "true", "arguments": [format!("{number}-{count}")] },
                });
                let key = format!("{number}-{count}");
                let (status, made) = caller.call("POST", "/api/commands", &key, Some(&body));
                let id = made["command_id"].as_str().unwrap_or_default();
                all.note(id, Told::Accepted);
                assert_eq!(status, 202, "{made}");
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    callers
        .into_iter()
        .for_each(|caller| caller.join().expect("answered"));
}
