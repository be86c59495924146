//! Loss of power: whatever the platform has answered is in its files at each moment from then on.

use std::sync::{Arc, Mutex};
use std::thread;

use fleetwire::platform::audit_key;
use fleetwire::platform::store::{CommandStore as _, SqliteStore, Store as _};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use super::api::{Caller, Place};
use super::lots::Lots;
use super::record::{Disk, Recorder};
use super::support::{Process, command};
use serde_json::Value;

/// Commands that are asked for: enough for the log to be carried over into the database some times.
const COMMANDS: usize = 480;
const CALLERS: usize = 4;
/// Fewer syncs than this, and the callers were not at work at once.
const SYNCS_MIN: usize = 100;

#[test]
fn what_was_answered_survives_a_loss_of_power_at_every_sync() {
    let lots = Lots::seeded();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let recorder = Recorder::new(dir.path(), data.clone());
    let mut command = command("fleetwire-platform");
    recorder.give(&mut command);
    command.arg("--data-dir").arg(&data);
    command.args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    command.env("FLEETWIRE_PLATFORM_LOG_FORMAT", "json");
    let mut process = Process::start("fleetwire-platform", &mut command);
    let line: Value = serde_json::from_str(&process.line("listening in plain HTTP")).expect("JSON");
    let address = line["address"]
        .as_str()
        .expect("an address")
        .parse()
        .expect("an address");
    let token = std::fs::read_to_string(data.join("admin-token")).expect("there");
    let place = Place {
        address: Arc::new(Mutex::new(address)),
        token: token.trim().to_owned(),
    };
    let (status, host) = Caller::new(place.clone()).call(
        "POST",
        "/api/hosts",
        "host",
        Some(&json!({ "name": "kvm" })),
    );
    assert_eq!(status, 201, "{host}");

    let answered = Arc::new(Mutex::new(Vec::new()));
    let callers = (0..CALLERS).map(|number| {
        let (mut caller, answered) = (Caller::new(place.clone()), answered.clone());
        thread::spawn(move || {
            for count in 0..COMMANDS / CALLERS {
                let (status, made) = caller.call(
                    "POST",
                    "/api/hosts/kvm/packages/install",
                    &format!("{number}-{count}"),
                    Some(&json!({ "packages": ["hello"] })),
                );
                let now = clock_gettime(ClockId::Monotonic);
                let at = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
                assert_eq!(status, 202, "{made}");
                answered
                    .lock()
                    .unwrap()
                    .push((at, made["command_id"].as_str().expect("an id").to_owned()));
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    callers
        .into_iter()
        .for_each(|caller| caller.join().expect("answered"));
    process.signal("KILL");
    process.ended();

    let key = audit_key::open(&data).expect("the key that signed");
    let answered = answered.lock().unwrap();
    let entries = recorder.entries();
    let syncs = entries.iter().filter(|entry| entry.is_sync()).count();
    assert!(syncs > SYNCS_MIN, "only {syncs} syncs");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let mut disk = Disk::default();
    for entry in &entries {
        disk.take(entry);
        if !entry.is_sync() {
            continue;
        }
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
                for (_, id) in answered.iter().filter(|(at, _)| *at <= entry.at) {
                    let id = id.parse().expect("an id");
                    let kept = store.command(id).await.expect("read");
                    assert!(kept.is_some(), "{id} was answered and is gone");
                }
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
        }
    }
    println!("{} entries, {syncs} syncs", entries.len());
}
