//! The message track of real connections.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use hyper::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::console::viewer::Session;
use crate::support::{Agent, Platform, until, until_status, until_true};

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
    let types = [
        "hello",
        "welcome",
        "journal",
        "journal_sync",
        "session_open",
        "session_close",
    ];
    assert!(
        tracked.iter().all(|entry| types.contains(&&*entry.1)),
        "neither requests nor heartbeats, unless asked for: {tracked:?}"
    );

    // One whose credential is void is tracked as nobody's.
    agent.process.end();
    let token = platform.enrolment_token(&["--name", "kvm"]);
    let _other = Agent::start_with(&platform, "kvm", &token);
    until_status(&platform, "kvm", "online");
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

/// The newest message of this type as the API lists it, once it does.
async fn listed(platform: &Platform, host: &str, message_type: &str) -> Value {
    let path = format!("/api/messages?host_id={host}&message_type={message_type}");
    let client = platform.client();
    let mut found = Value::Null;
    until_true(message_type, async || {
        let answer = client.call::<(), Value>(Method::GET, &path, None).await;
        found = answer.expect("listed")["messages"][0].clone();
        found.is_object()
    })
    .await;
    found
}

#[tokio::test]
async fn requests_are_tracked_where_that_is_asked_for() {
    let settings = [("FLEETWIRE_PLATFORM_TRACK_REQUESTS", "true")];
    let platform = Platform::start_with(&[], &settings);
    let device = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", device.local_addr().expect("bound"));
    thread::spawn(move || {
        let (mut stream, _) = device.accept().expect("a request");
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).expect("its head");
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .expect("answered");
    });
    // Nobody listens at port 9.
    let targets = [&*url, "/dead=http://127.0.0.1:9"];
    let _agent = Agent::start_for(&platform, "kvm", &targets);
    let host = until_status(&platform, "kvm", "online");
    let host = host["id"].as_str().expect("an id");
    let session = Session::open(&platform).enter().await;
    let secret = "a-path-that-is-the-devices-own";

    let mut viewer = session.send(&format!("GET /{secret}"), "").await;
    assert_eq!(viewer.answer().await.status, 204);
    let request = listed(&platform, host, "http_request").await;
    let response = listed(&platform, host, "http_response").await;
    // Agents acknowledge every message that is counted; what comes from one has no more to wait for.
    let way = |message: &Value| {
        let word = |name: &str| message[name].as_str().expect("a word").to_owned();
        (word("direction"), word("outcome"), word("code"))
    };
    let ways = |direction: &str, outcome: &str, code: &str| {
        (direction.to_owned(), outcome.to_owned(), code.to_owned())
    };
    assert_eq!(way(&request), ways("to_agent", "acknowledged", ""));
    assert_eq!(way(&response), ways("from_agent", "received", ""));
    assert_eq!(
        request["message_id"], response["message_id"],
        "the stream's"
    );

    // An agent that could not reach its device ends the stream, and says why.
    let mut viewer = session.send(&format!("GET /dead/{secret}"), "").await;
    assert_eq!(viewer.answer().await.status, 502);
    let reset = listed(&platform, host, "stream_reset").await;
    assert_eq!(
        way(&reset),
        ways("from_agent", "received", "target_unreachable")
    );
    for message in [&request, &response, &reset] {
        assert!(message["size_bytes"].as_u64() > Some(0), "{message}");
        assert!(!message.to_string().contains(secret), "{message}");
    }
}
