//! The audit log end to end: what real processes write, exported and verified by the operator's
//! command, and each way to tamper with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use fleetwire::audit::Entry;
use fleetwire::clock::UnixMillis;
use fleetwire::platform::audit_key;
use fleetwire::platform::store::{SqliteStore, Store as _};
use hyper::Method;
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use crate::console::viewer::Session;
use crate::support::{Agent, PATIENCE, Platform, command, until_status};

/// A platform with some entries, and a directory for exports of them.
struct Log {
    platform: Platform,
    exports: TempDir,
    session: String,
}

impl Log {
    async fn start() -> Self {
        let platform = Platform::start(&[]);
        let agent = Agent::start(&platform, "kvm");
        until_status(&platform, "kvm", "online");
        let session = Session::open(&platform).enter().await;
        session.close(&platform);
        drop(agent);
        Self {
            platform,
            exports: tempfile::tempdir().expect("a temporary directory"),
            session: session.id,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.exports.path().join(name)
    }

    fn export(&self, name: &str, after: &str) -> PathBuf {
        export(&self.platform, &self.file(name), after)
    }

    /// The verdict on an export with these lines.
    fn verdict_on(&self, lines: &[String]) -> Value {
        let path = self.file("tampered");
        fs::write(&path, lines.concat()).expect("written");
        verdict(&path, &public_key(&self.platform), &[])
    }

    fn database(&self) -> Connection {
        let path = self.platform.data_dir().join("platform.db");
        let database = Connection::open(path).expect("opened");
        database.busy_timeout(PATIENCE).expect("set");
        let off = "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted;";
        database.execute_batch(off).expect("dropped");
        database
    }
}

fn export(platform: &Platform, path: &Path, after: &str) -> PathBuf {
    let text = path.to_str().expect("text");
    let exported = platform.operate(&["audit", "export", "--after", after, "--output", text]);
    let said = String::from_utf8_lossy(&exported.stderr);
    assert!(exported.status.success(), "{said}");
    path.to_owned()
}

fn public_key(platform: &Platform) -> PathBuf {
    platform.data_dir().join("audit.pub")
}

/// Runs the check as anybody could: without a platform, a token, or an environment.
fn verify(path: &Path, key: &Path, more: &[&str]) -> Output {
    let mut command = command("fleetwire");
    command
        .args(["audit", "verify"])
        .arg(path)
        .arg("--key")
        .arg(key);
    command.args(more).output().expect("ran")
}

fn verdict(path: &Path, key: &Path, more: &[&str]) -> Value {
    let output = verify(path, key, &[more, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    let verdict: Value = serde_json::from_slice(&output.stdout).expect(&said);
    let status = if verdict["good"] == true { 0 } else { 1 };
    assert_eq!(output.status.code(), Some(status), "{said}");
    verdict
}

/// The lines with their ends.
fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("text");
    text.split_inclusive('\n').map(str::to_owned).collect()
}

/// The lines that are entries.
fn entries(path: &Path) -> Vec<Value> {
    let read = |line: &String| serde_json::from_str::<Value>(line).expect("JSON");
    let lines: Vec<_> = lines(path).iter().map(read).collect();
    lines
        .into_iter()
        .filter(|line| line["sequence"].is_u64())
        .collect()
}

#[track_caller]
fn assert_fault(verdict: &Value, entry: u64, fault: &str) {
    assert_eq!(
        (&verdict["good"], &verdict["entry"], &verdict["fault"]),
        (&false.into(), &entry.into(), &fault.into()),
        "{verdict}"
    );
}

#[tokio::test]
async fn a_sessions_life_is_in_an_export_that_verifies() {
    let log = Log::start().await;
    let path = log.export("whole", "0");
    let verdict = verdict(&path, &public_key(&log.platform), &[]);
    assert_eq!(
        (&verdict["good"], &verdict["beginning"]),
        (&true.into(), &"log".into())
    );
    let entries = entries(&path);
    assert_eq!(verdict["last"], entries.len());
    let host = &log.platform.hosts()[0]["id"];
    let of_session: Vec<_> = entries
        .iter()
        .filter(|entry| entry["session"] == *log.session)
        .inspect(|entry| assert_eq!(entry["host"], *host))
        .map(|entry| entry["action"].as_str().expect("text"))
        .collect();
    assert_eq!(
        of_session,
        ["session.open", "session.enter", "session.close"]
    );
    let closed = entries.last().expect("an entry");
    let reason = serde_json::json!(["reason", "closed_by_user"]);
    assert!(
        closed["details"]
            .as_array()
            .is_some_and(|details| details.contains(&reason))
    );
    assert_eq!(
        (&closed["actor"], &closed["outcome"]),
        (&"admin".into(), &"done".into())
    );

    let text = verify(&path, &public_key(&log.platform), &[]);
    let text = String::from_utf8(text.stdout).expect("text");
    assert!(
        text.starts_with("good: entries 1 to ") && text.lines().count() == 1,
        "{text}"
    );
    let standard = log.platform.operate(&["audit", "export"]);
    let first = standard.stdout.split(|byte| *byte == b'\n').next();
    assert_eq!(
        first,
        lines(&path)[0].trim_end().as_bytes().into(),
        "as in the file"
    );
}

#[tokio::test]
async fn each_way_to_tamper_with_an_export_is_named() {
    let log = Log::start().await;
    let good = lines(&log.export("whole", "0"));
    let last = good.len() as u64 - 2;
    assert!(last >= 5, "{good:?}");
    assert_eq!(log.verdict_on(&good)["good"], true);
    let tampered = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = good.clone();
        change(&mut lines);
        log.verdict_on(&lines)
    };
    let flipped = tampered(&|lines| lines[3] = lines[3].replacen("done", "dome", 1));
    assert_fault(&flipped, 3, "hash");
    assert_fault(&tampered(&|lines| drop(lines.remove(3))), 3, "missing");
    assert_fault(&tampered(&|lines| lines.swap(3, 4)), 3, "order");
    let cut = tampered(&|lines| lines.truncate(last as usize));
    assert_fault(&cut, last, "cut");
    let cut = tampered(&|lines| drop(lines.remove(last as usize)));
    assert_fault(&cut, last, "cut");
    let cut = tampered(&|lines| {
        let head = lines.last_mut().expect("a head");
        head.truncate(head.len() / 2);
    });
    assert_fault(&cut, last + 1, "cut");

    let other = Log::start().await;
    let others = lines(&other.export("whole", "0"));
    assert_fault(&tampered(&|lines| *lines = others.clone()), 1, "start");
    // Without the signed beginning, so that it could be any continuation.
    let unsigned = tampered(&|lines| {
        lines.clone_from(&others);
        let (begin, _) = lines[0].split_once(r#","signature""#).expect("signed");
        lines[0] = format!("{begin}}}\n");
    });
    assert_fault(&unsigned, 1, "head");

    let bad = log.file("tampered");
    let said = verify(&bad, &public_key(&log.platform), &[]).stderr;
    let said = String::from_utf8(said).expect("text");
    assert!(
        said.contains("entry 1 ") && said.lines().count() == 1,
        "{said}"
    );
    let none = verify(&bad, &log.file("none"), &[]);
    assert_eq!(
        none.status.code(),
        Some(2),
        "without a key there is no verdict"
    );
    let none = verify(&log.file("none"), &public_key(&log.platform), &[]);
    assert_eq!(none.status.code(), Some(2));
}

#[tokio::test]
async fn a_log_changed_in_the_database_is_found() {
    let mut log = Log::start().await;
    let key = public_key(&log.platform);
    let before = verdict(&log.export("before", "0"), &key, &[]);
    let last = before["last"].as_u64().expect("a number");
    let database = log.database();
    database
        .execute_batch("UPDATE audit SET actor = 'nobody' WHERE sequence = 3")
        .expect("changed");
    assert_fault(&verdict(&log.export("changed", "0"), &key, &[]), 3, "hash");
    database
        .execute_batch("DELETE FROM audit WHERE sequence = 2")
        .expect("changed");
    assert_fault(&verdict(&log.export("less", "0"), &key, &[]), 2, "missing");
    // What comes after it follows on what was written.
    let after = verdict(&log.export("after", "3"), &key, &[]);
    assert_eq!(after["good"], true, "{after}");
    let cut = format!("DELETE FROM audit WHERE sequence >= {last}");
    database.execute_batch(&cut).expect("changed");
    assert_fault(&verdict(&log.export("cut", "3"), &key, &[]), last, "cut");

    // Changed while the platform was stopped: then it is the platform that says so, for good.
    log.platform.process.signal("TERM");
    assert!(log.platform.process.ended().success());
    let dir = log.platform.data_dir();
    let platform = Platform::start_on(&dir, &[]);
    assert!(platform.process.said().contains("changed from outside"));
    let path = export(&platform, &log.file("broken"), "3");
    assert_fault(&verdict(&path, &key, &[]), last, "missing");
    let broken = &entries(&path).pop().expect("an entry");
    assert_eq!(
        (&broken["action"], &broken["outcome"]),
        (&"audit.broken".into(), &"failed".into())
    );
    assert_eq!(broken["sequence"], last + 1, "no number is given twice");
    platform.operate_json(&["host", "create", "another"]);
    let path = export(&platform, &log.file("since"), &(last + 1).to_string());
    assert_eq!(verdict(&path, &key, &[])["good"], true);
}

#[tokio::test]
async fn exports_are_tied_to_one_another() {
    let log = Log::start().await;
    let key = public_key(&log.platform);
    let first = verdict(&log.export("first", "0"), &key, &[]);
    log.platform.operate_json(&["host", "create", "another"]);
    let path = log.export("second", &first["last"].to_string());
    let head = first["head"].as_str().expect("a hash");
    let second = verdict(&path, &key, &["--anchor", head]);
    assert_eq!(second["beginning"], "continuation");
    assert_eq!(
        (&second["after"], &second["anchor"]),
        (&first["last"], &first["head"])
    );
    assert_eq!(entries(&path).len(), 1);
    let other = "0".repeat(64);
    let next = first["last"].as_u64().expect("a number") + 1;
    assert_fault(&verdict(&path, &key, &["--anchor", &other]), next, "start");

    let client = log.platform.client();
    for (query, code) in [
        ("?after=1000", "entry_unknown"),
        ("?after=18446744073709551615", "entry_unknown"),
        ("?after=-1", "request_invalid"),
        ("?before=1", "request_invalid"),
    ] {
        let path = format!("/api/audit/export{query}");
        let refused = client.call::<(), Value>(Method::GET, &path, None).await;
        assert_eq!(refused.expect_err("refused").code(), Some(code), "{query}");
    }
    let anonymous = log.platform.anonymous();
    let refused = anonymous
        .call::<(), Value>(Method::GET, "/api/audit/export", None)
        .await;
    assert_eq!(refused.expect_err("refused").code(), Some("token_invalid"));
}

#[tokio::test]
async fn retention_leaves_a_log_that_verifies() {
    const OLD: u64 = 5000;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let exports = tempfile::tempdir().expect("a temporary directory");
    let key = audit_key::open(dir.path()).expect("made");
    let store = SqliteStore::open(&dir.path().join("platform.db"), key).expect("made");
    let store = std::sync::Arc::new(store);
    let old = UnixMillis(UnixMillis::now().0 - 40 * 24 * 60 * 60 * 1000);
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..OLD {
        let entry = Entry::new(old, "admin", "test.do", "host:1").detail("n", number.to_string());
        let store = store.clone();
        writes.spawn(async move { store.audit(entry).await });
    }
    while let Some(written) = writes.join_next().await {
        written.expect("ran").expect("written");
    }
    drop(store);

    let platform = Platform::start_on(dir.path(), &[]);
    let key = public_key(&platform);
    let all = verdict(
        &export(&platform, &exports.path().join("all"), "0"),
        &key,
        &[],
    );
    assert_eq!(
        (&all["good"], &all["last"]),
        (&true.into(), &(OLD + 2).into())
    );
    drop(platform);
    let config = exports.path().join("platform.toml");
    fs::write(&config, "audit_keep = '30d'").expect("written");
    let config = config.to_str().expect("text");
    let mut platform = Platform::start_on(dir.path(), &["--config", config]);
    platform.process.line("removed old entries");
    let path = export(&platform, &exports.path().join("kept"), "0");
    let kept = verdict(&path, &key, &[]);
    assert_eq!(
        (&kept["beginning"], &kept["after"]),
        (&"retention".into(), &OLD.into())
    );
    let kept: Vec<_> = entries(&path)
        .iter()
        .map(|entry| entry["action"].as_str().expect("text").to_owned())
        .collect();
    assert_eq!(
        kept,
        [
            "user.create",
            "api_key.create",
            "audit.remove",
            "audit.remove"
        ]
    );
    let mut forged = lines(&path);
    forged.remove(1);
    let path = exports.path().join("forged");
    fs::write(&path, forged.concat()).expect("written");
    assert_fault(&verdict(&path, &key, &[]), OLD + 1, "missing");
}
