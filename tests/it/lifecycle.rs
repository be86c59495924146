//! An agent's life at its platform: online and offline, restarts, refusals for good, clones, drains,
//! and what it hears of console sessions.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;

use fleetwire::clock::UnixMillis;
use fleetwire::net::enrolment::ENROL_PATH;
use hyper::Method;
use serde_json::json;

use crate::console::viewer::Session;
use crate::enrol::{key, request_by};
use crate::support::{Agent, PATIENCE, Platform, until, until_status};

/// Intervals short enough that a dead peer is found within seconds.
const QUICK: [(&str, &str); 2] = [
    ("FLEETWIRE_PLATFORM_HEARTBEAT", "1s"),
    ("FLEETWIRE_PLATFORM_DRAIN", "1s"),
];

#[test]
fn a_host_is_online_while_its_agent_is_connected() {
    let mut platform = Platform::start(&[]);
    let mut agent = Agent::start(&platform, "kvm");
    let host = until_status(&platform, "kvm", "online");
    assert!(
        host["software"]
            .as_str()
            .is_some_and(|it| it.starts_with("fleetwire-agent/"))
    );
    assert!(host["connected_since"].is_string());
    until("its health", || {
        let host = until_status(&platform, "kvm", "online");
        host["health"]["uptime_seconds"].as_u64()
    });
    // A closed socket is seen at once, without a heartbeat that is missed.
    agent.process.signal("KILL");
    let line = platform.process.line("\"disconnected\"");
    assert!(line.contains("the connection was lost: "), "{line}");
    assert!(!line.contains("http"), "no library's manual: {line}");
    until("when it was last seen, written down", || {
        let host = until_status(&platform, "kvm", "offline");
        assert!(host.get("connected_since").is_none());
        host["last_seen_at"].is_string().then_some(())
    });
    agent.process.ended();
    agent.restart(&platform, "kvm");
    let again = until_status(&platform, "kvm", "online");
    assert_eq!(again["id"], host["id"]);
    assert!(again.get("detail").is_none(), "a restart is no clone");
}

#[test]
fn an_agent_that_is_told_to_stop_closes_its_connection() {
    for signal in ["TERM", "INT"] {
        let mut platform = Platform::start(&[]);
        let mut agent = Agent::start(&platform, "kvm");
        agent.process.signal(signal);
        assert!(agent.process.ended().success());
        let line = platform.process.line("\"disconnected\"");
        assert!(line.contains("closed by the peer: "), "{line}");
        assert!(line.contains("the agent stops (1000)"), "{line}");
    }
}

#[test]
fn an_agent_whose_platform_does_not_answer_stops_all_the_same() {
    let platform = Platform::start(&[]);
    let mut agent = Agent::start(&platform, "kvm");
    platform.process.signal("STOP");
    agent.process.signal("TERM");
    assert!(agent.process.ended().success());
    platform.process.signal("CONT");
}

#[test]
fn a_frozen_agent_is_offline_and_comes_back() {
    let platform = Platform::start_with(&[], &QUICK);
    let mut agent = Agent::start(&platform, "kvm");
    agent.process.signal("STOP");
    until_status(&platform, "kvm", "offline");
    agent.process.signal("CONT");
    agent.process.line("dialling again");
    until_status(&platform, "kvm", "online");
}

#[test]
fn an_agent_leaves_a_frozen_platform_and_comes_back() {
    let platform = Platform::start_with(&[], &QUICK);
    let mut agent = Agent::start(&platform, "kvm");
    platform.process.signal("STOP");
    agent.process.line("dialling again");
    platform.process.signal("CONT");
    until_status(&platform, "kvm", "online");
}

#[test]
fn an_agent_returns_to_a_platform_that_was_killed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let platform = Platform::start_on(dir.path(), &[]);
    let mut agent = Agent::start(&platform, "kvm");
    let (tls, http) = (platform.tls.to_string(), platform.http.to_string());
    drop(platform);
    agent.process.line("cannot reach the platform");
    let platform = Platform::start_on(dir.path(), &["--listen", &tls, "--http", &http]);
    until_status(&platform, "kvm", "online");
}

#[test]
fn a_platform_that_stops_sends_its_agents_away() {
    let mut platform = Platform::start_with(&[], &QUICK);
    let mut agent = Agent::start(&platform, "kvm");
    platform.process.signal("TERM");
    let line = agent.process.line("the platform sends its agents away");
    assert!(line.contains("platform_stopping"), "{line}");
    agent.process.line("dialling again when the platform said");
    assert!(platform.process.ended().success());
}

#[test]
fn a_drained_host_is_back_in_the_list_of_the_next_platform() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let settings = dir.path().join("platform.toml");
    fs::write(&settings, "drain = '1s'\n").expect("written");
    let config = ["--config", &settings.display().to_string()];
    let mut platform = Platform::start_on(dir.path(), &config);
    let mut agent = Agent::start(&platform, "kvm");
    let (tls, http) = (platform.tls.to_string(), platform.http.to_string());
    platform.process.signal("TERM");
    let line = agent.process.line("the platform sends its agents away");
    assert!(line.contains("platform_stopping"), "{line}");
    assert!(platform.process.ended().success());
    let platform = Platform::start_on(dir.path(), &["--listen", &tls, "--http", &http]);
    let host = until_status(&platform, "kvm", "online");
    assert!(host["connected_since"].is_string());
    assert!(host.get("detail").is_none(), "a return is no clone");
}

#[test]
fn a_stop_is_when_its_hosts_were_last_seen() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let settings = dir.path().join("platform.toml");
    fs::write(&settings, "drain = '1s'\n").expect("written");
    let config = ["--config", &settings.display().to_string()];
    let mut platform = Platform::start_on(dir.path(), &config);
    let agent = Agent::start(&platform, "kvm");
    let host = until_status(&platform, "kvm", "online");
    let since = host["connected_since"].as_str().expect("a time");
    until("a later second", || {
        (UnixMillis::now().to_string().as_str() > since).then_some(())
    });
    platform.process.signal("TERM");
    assert!(platform.process.ended().success());
    drop(agent);
    let platform = Platform::start_on(dir.path(), &[]);
    let host = until_status(&platform, "kvm", "offline");
    let seen = host["last_seen_at"].as_str().expect("a time");
    assert!(seen > since, "{seen}, connected since {since}");
}

#[test]
fn a_host_enrolled_anew_shuts_the_old_machine_out() {
    let platform = Platform::start(&[]);
    let mut old = Agent::start(&platform, "kvm");
    let id = until_status(&platform, "kvm", "online")["id"].clone();
    let token = platform.enrolment_token(&["--name", "kvm"]);
    let mut new = Agent::start_with(&platform, "whatever", &token);
    new.process.line("connected");
    assert!(!old.process.ended().success());
    let line = old.process.line("refuses this agent for good");
    assert!(line.contains("host_revoked"), "{line}");
    // Started again, the old machine has a credential that nobody knows.
    old.restart(&platform, "kvm");
    assert!(!old.process.ended().success());
    let line = old.process.line("refuses this agent for good");
    assert!(line.contains("token_unknown"), "{line}");
    assert_eq!(until_status(&platform, "kvm", "online")["id"], id);
}

#[tokio::test]
async fn an_enrolment_whose_client_leaves_shuts_the_old_machine_out_too() {
    let platform = Platform::start(&[]);
    let mut old = Agent::start(&platform, "kvm");
    let session = Session::open(&platform).enter().await;
    let enrolment = json!({
        "token": platform.enrolment_token(&["--name", "kvm"]),
        "name": "kvm",
        "csr": request_by(&key()),
    });
    let enrolment = enrolment.to_string();
    let request = format!(
        "POST {ENROL_PATH} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{enrolment}",
        platform.http,
        enrolment.len()
    );
    let database = platform.data_dir().join("platform.db");
    let database = rusqlite::Connection::open(database).expect("opened");
    database.busy_timeout(PATIENCE).expect("set");
    // A client that has left before its request was looked at has not enrolled: then another does.
    until("an enrolment", || {
        let unused = "SELECT count(*) FROM enrolment_tokens WHERE used IS NULL";
        let unused: i64 = database
            .query_row(unused, [], |row| row.get(0))
            .expect("read");
        if unused == 0 {
            return Some(());
        }
        let mut client = TcpStream::connect(platform.http).expect("it listens");
        client.write_all(request.as_bytes()).expect("written");
        None
    });
    assert!(!old.process.ended().success());
    let line = old.process.line("refuses this agent for good");
    assert!(line.contains("host_revoked"), "{line}");
    let answer = session.send("GET /", "").await.answer().await;
    assert_eq!((answer.status, answer.code()), (410, Some("session_ended")));
}

#[test]
fn a_cloned_agent_is_told_and_shown() {
    let mut platform = Platform::start(&[]);
    let mut agent = Agent::start(&platform, "kvm");
    let mut clone = agent.clone_machine(&platform, "kvm");
    for agent in [&mut agent, &mut clone] {
        assert!(!agent.process.ended().success());
        let line = agent.process.line("refuses this agent for good");
        assert!(line.contains("duplicate_instance"), "{line}");
    }
    let host = until_status(&platform, "kvm", "offline");
    assert_eq!(host["detail"], "duplicate_instance");
    platform.process.line(r#""alarm":"duplicate_instance""#);
    // One alone is let in, and the alarm is still seen.
    agent.restart(&platform, "kvm");
    assert_eq!(
        until_status(&platform, "kvm", "online")["detail"],
        "duplicate_instance"
    );
}

#[test]
fn a_bad_token_ends_an_agent_with_one_line() {
    let platform = Platform::start(&[]);
    let token = platform.enrolment_token(&[]);
    let first = Agent::start_with(&platform, "kvm", &token);
    until_status(&platform, "kvm", "online");
    let mut second = Agent::start_with(&platform, "other", &token);
    assert!(!second.process.ended().success());
    let line = second.process.line("token_used");
    assert!(line.starts_with("fleetwire-agent: "), "{line}");
    assert!(!second.process.said().contains(&token));
    assert!(!second.state_dir().join("state.json").exists());
    drop(first);
}

#[test]
fn an_agent_hears_of_sessions_and_so_does_the_list() {
    let platform = Platform::start(&[]);
    let mut agent = Agent::start(&platform, "kvm");
    let opened = platform.operate_json(&["session", "open", "kvm"]);
    let id = opened["session_id"].as_str().expect("an id").to_owned();
    let url = opened["console_url"].as_str().expect("a URL");
    assert!(
        url.starts_with("http://s") && url.contains(".localhost:"),
        "{url}"
    );
    let line = agent.process.line("console session opened");
    assert!(line.contains(&id) && line.contains("user=admin"), "{line}");
    let sessions = platform.sessions();
    assert_eq!(sessions[0]["session_id"], *id);
    assert_eq!(
        (&sessions[0]["host"], &sessions[0]["entered"]),
        (&"kvm".into(), &false.into())
    );
    // An agent that was away is told of what is open.
    agent.process.signal("KILL");
    agent.process.ended();
    agent.restart(&platform, "kvm");
    assert!(agent.process.line("console session opened").contains(&id));

    assert!(
        platform
            .operate(&["session", "close", &id])
            .status
            .success()
    );
    let line = agent.process.line("console session closed");
    assert!(
        line.contains(&id) && line.contains("closed_by_user"),
        "{line}"
    );
    assert_eq!(platform.sessions(), serde_json::json!([]));
    assert_eq!(
        platform.operate(&["session", "close", &id]).status.code(),
        Some(1)
    );
}

#[tokio::test]
async fn an_entered_session_outlives_a_restart_of_the_platform() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let platform = Platform::start_on(dir.path(), &[]);
    let _agent = Agent::start(&platform, "kvm");
    let session = Session::open(&platform).enter().await;
    Session::open(&platform);
    let status = async || session.send("GET /", "").await.answer().await.status;
    // Its device is not there, which only whoever is let in learns.
    assert_eq!(status().await, 502);
    let (tls, http) = (platform.tls.to_string(), platform.http.to_string());
    drop(platform);
    let platform = Platform::start_on(dir.path(), &["--listen", &tls, "--http", &http]);
    until_status(&platform, "kvm", "online");
    assert_eq!(status().await, 502);
    let sessions = platform.sessions();
    assert_eq!(
        sessions.as_array().map(Vec::len),
        Some(1),
        "what was not entered has ended"
    );
    assert_eq!(sessions[0]["entered"], true);
}

#[tokio::test]
async fn an_end_that_could_not_be_written_is_written_later() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let platform = Platform::start_on(dir.path(), &[]);
    let _agent = Agent::start(&platform, "kvm");
    let session = Session::open(&platform).enter().await;
    let database = rusqlite::Connection::open(dir.path().join("platform.db")).expect("opened");
    database.busy_timeout(PATIENCE).expect("set");
    let broken = "CREATE TRIGGER broken BEFORE UPDATE OF ended ON sessions
                  BEGIN SELECT RAISE(ABORT, 'broken by the test'); END";
    database.execute_batch(broken).expect("made");
    let (client, path) = (platform.client(), format!("/api/sessions/{}", session.id));
    for _ in 0..2 {
        let closed = client.call::<(), Option<()>>(Method::DELETE, &path, None);
        let refused = closed.await.expect_err("not written");
        assert_eq!(refused.code(), Some("store_failed"), "{refused}");
        // Over it is all the same.
        let answer = session.send("GET /", "").await.answer().await;
        assert_eq!(answer.status, 410);
    }
    database
        .execute_batch("DROP TRIGGER broken")
        .expect("dropped");
    until("the end in the store", || {
        let ended = "SELECT count(*) FROM sessions WHERE ended IS NOT NULL";
        let ended: i64 = database
            .query_row(ended, [], |row| row.get(0))
            .expect("read");
        (ended == 1).then_some(())
    });
    drop(platform);
    let platform = Platform::start_on(dir.path(), &[]);
    assert_eq!(platform.sessions(), json!([]));
}
