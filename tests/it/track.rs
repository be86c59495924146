//! The message track of real connections.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::support::{Agent, Platform, until};

/// The entries of the track, oldest first: direction, type, outcome, code, whether a host and an id are
/// there, and the size.
fn track(data: &Path) -> Vec<(String, String, String, String, bool, u64)> {
    let path = data.join("platform.db");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(path, flags).expect("opened");
    let mut query = connection
        .prepare(
            "SELECT direction, message_type, outcome, code, host IS NOT NULL, size FROM track
             ORDER BY at, sequence",
        )
        .expect("a query");
    let rows = query.query_map([], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            row.get::<_, i64>(5)?.unsigned_abs(),
        ))
    });
    rows.expect("read").collect::<Result<_, _>>().expect("read")
}

fn has(platform: &Platform, message_type: &str, outcome: &str, code: &str, host: bool) {
    let what = format!("{message_type} {outcome} {code:?}");
    let size = until(&what, || {
        let track = track(&platform.data_dir());
        let found = track.into_iter().find(|entry| {
            entry.1 == message_type && entry.2 == outcome && entry.3 == code && entry.4 == host
        });
        found.map(|entry| entry.5)
    });
    assert!(size > 0, "{what}");
}

#[test]
fn a_connection_is_tracked_from_its_hello_to_its_end() {
    let mut platform = Platform::start(&[]);
    let mut agent = Agent::start(&platform, "kvm");
    has(&platform, "hello", "received", "", true);
    has(&platform, "welcome", "sent", "", true);
    let opened = platform.operate_json(&["session", "open", "kvm"]);
    has(&platform, "session_open", "acknowledged", "", true);
    let id = opened["session_id"].as_str().expect("an id");
    assert!(platform.operate(&["session", "close", id]).status.success());
    has(&platform, "session_close", "acknowledged", "", true);
    let tracked = track(&platform.data_dir());
    let types = ["hello", "welcome", "session_open", "session_close"];
    assert!(
        tracked.iter().all(|entry| types.contains(&&*entry.1)),
        "neither requests nor heartbeats, unless asked for: {tracked:?}"
    );

    // One whose credential is void is tracked as nobody's.
    agent.process.end();
    let token = platform.enrolment_token(&["--name", "kvm"]);
    let _other = Agent::start_with(&platform, "kvm", &token);
    crate::support::until_status(&platform, "kvm", "online");
    agent.restart(&platform, "kvm");
    has(&platform, "hello", "refused", "token_unknown", false);
    has(&platform, "refuse", "sent", "token_unknown", false);

    // A platform that stops says so, and writes that down too.
    let data = platform.data_dir();
    platform.process.end();
    let tracked = track(&data);
    let away = tracked.iter().find(|entry| entry.1 == "go_away");
    let away = away.expect("it is written before the platform ends");
    assert_eq!(away.3, "platform_stopping");
}

#[test]
fn heartbeats_are_tracked_where_that_is_asked_for() {
    let settings = [
        ("FLEETWIRE_PLATFORM_TRACK_HEARTBEATS", "true"),
        ("FLEETWIRE_PLATFORM_HEARTBEAT", "1s"),
    ];
    let platform = Platform::start_with(&[], &settings);
    let _agent = Agent::start(&platform, "kvm");
    has(&platform, "heartbeat", "received", "", true);
    has(&platform, "heartbeat_ack", "sent", "", true);
}
