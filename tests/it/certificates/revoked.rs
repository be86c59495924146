//! The end of a host: its connection, its sessions, and every way back.

use std::time::Duration;

use fleetwire::wire::messages::ErrorCode;
use rustls::HandshakeKind;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::AGENTS;
use super::machine::{Machine, audited, code, connect, let_in, refused, revoke};
use crate::console::viewer::Session;
use crate::peers::beside::device_token;
use crate::peers::raw::{hello, trusting};
use crate::support::{Agent, PATIENCE, Platform, until, until_status};

#[tokio::test]
async fn a_revoked_certificate_is_none_on_a_resumed_session_either() {
    let platform = Platform::start(&[]);
    let machine = Machine::enrol(&platform, "kvm").await;
    let other = Machine::enrol(&platform, "other").await;
    let config = machine.config(&platform);
    let (_, kind) = let_in(&platform, config.clone(), machine.token()).await;
    assert_eq!(kind, HandshakeKind::Full);
    let (agent, kind) = let_in(&platform, config.clone(), machine.token()).await;
    assert_eq!(kind, HandshakeKind::Resumed);
    let (mut others, _) = let_in(&platform, other.config(&platform), other.token()).await;

    revoke(&platform, "kvm").await.expect("revoked");
    agent.closed().await.assert(1008, "host_revoked");
    for (config, expected) in [
        (config, HandshakeKind::Resumed),
        (machine.config(&platform), HandshakeKind::Full),
    ] {
        let (refuse, kind) = refused(&platform, config, AGENTS, machine.token()).await;
        assert_eq!((refuse.code, kind), (ErrorCode::HostRevoked, expected));
        assert!(refuse.permanent);
    }
    let renewed = machine.renew(&platform, &machine.enrolled.auth_token).await;
    assert_eq!(code(renewed), "host_revoked");
    // By another host's token it is not that host, and nobody else has lost anything.
    let config = machine.config(&platform);
    let (refuse, _) = refused(&platform, config, AGENTS, other.token()).await;
    assert_eq!(refuse.code, ErrorCode::CertificateMismatch);
    others.send(hello(other.token())).await;
    others.closed().await.assert(1002, "unexpected_message");

    revoke(&platform, "kvm").await.expect("again");
    let unknown = revoke(&platform, "nobody").await;
    assert_eq!(code(unknown), "host_unknown");
    let entries = audited(&platform);
    let revocations = entries
        .iter()
        .filter(|entry| entry.starts_with("host.revoke"));
    assert_eq!(revocations.collect::<Vec<_>>(), ["host.revoke done"]);

    // A new token for its name is the one way back.
    let back = Machine::enrol(&platform, "kvm").await;
    assert_eq!(back.enrolled.host_id, machine.enrolled.host_id);
    let_in(&platform, back.config(&platform), back.token()).await;
    let config = machine.config(&platform);
    let (refuse, _) = refused(&platform, config, AGENTS, back.token()).await;
    assert_eq!(refuse.code, ErrorCode::CertificateMismatch);
}

/// The bound that is asked for: a host's connection has ended this long after its revocation. It is counted
/// from the answer, by which the agent has been told already; the rest is for a loaded machine.
const ENDED_WITHIN: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_revoked_hosts_connection_ends_within_a_second_and_does_not_come_back() {
    let platform = Platform::start(&[]);
    for door in ["rest", "command"] {
        let machine = Machine::enrol(&platform, door).await;
        let config = machine.config(&platform);
        let (agent, _) = let_in(&platform, config.clone(), machine.token()).await;
        if door == "rest" {
            revoke(&platform, door).await.expect("revoked");
        } else {
            let revoked = platform.operate(&["host", "revoke", door, "--yes"]);
            assert!(revoked.status.success(), "{revoked:?}");
        }
        let closed = timeout(ENDED_WITHIN, agent.closed()).await;
        let closed = closed.expect("within a second of the answer");
        closed.assert(1008, "host_revoked");
        for (config, expected) in [
            (config, HandshakeKind::Resumed),
            (machine.config(&platform), HandshakeKind::Full),
        ] {
            let (refuse, kind) = refused(&platform, config, AGENTS, machine.token()).await;
            assert_eq!((refuse.code, kind), (ErrorCode::HostRevoked, expected));
            assert!(refuse.permanent, "{door}");
        }
        let renewed = machine.renew(&platform, &machine.enrolled.auth_token).await;
        assert_eq!(code(renewed), "host_revoked", "{door}");
    }
}

#[tokio::test]
async fn a_revoked_hosts_agent_and_sessions_end_and_stay_so() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let platform = Platform::start_on(dir.path(), &[]);
    let mut agent = Agent::start(&platform, "kvm");
    let connected = until_status(&platform, "kvm", "online");
    let session = Session::open(&platform).enter().await;
    let before = platform.enrolment_token(&["--name", "kvm"]);
    revoke(&platform, "kvm").await.expect("revoked");
    assert!(!agent.process.ended().success());
    let line = agent.process.line("refuses this agent for good");
    assert!(line.contains("host_revoked"), "{line}");
    let answer = session.send("GET /", "").await.answer().await;
    assert_eq!((answer.status, answer.code()), (410, Some("session_ended")));
    let host = until_status(&platform, "kvm", "offline");
    assert!(host["revoked_at"].is_string());
    assert_eq!(host["detail"], "revoked");
    // It was there until then.
    let since = connected["last_seen_at"].as_str().expect("a time");
    until("when it was last seen", || {
        let host = until_status(&platform, "kvm", "offline");
        (host["last_seen_at"].as_str()? >= since).then_some(())
    });
    let (tls, http) = (platform.tls.to_string(), platform.http.to_string());
    drop(platform);

    let platform = Platform::start_on(dir.path(), &["--listen", &tls, "--http", &http]);
    agent.restart(&platform, "kvm");
    assert!(!agent.process.ended().success());
    let line = agent.process.line("refuses this agent for good");
    assert!(line.contains("host_revoked"), "{line}");
    let opened = platform.operate(&["session", "open", "kvm"]);
    assert!(!opened.status.success());
    // Nor by a token for its name that was there before.
    let mut back = Agent::start_with(&platform, "kvm", &before);
    assert!(!back.process.ended().success());
    back.process.line("token_expired");
}

#[tokio::test]
async fn a_host_with_a_token_alone_is_revoked_as_well() {
    let platform = Platform::start(&[]);
    let token = device_token(&platform, "json");
    let (mut agent, _) = connect(&platform, trusting(&platform), "localhost")
        .await
        .expect("upgraded");
    agent.send(hello(&token)).await;
    agent.welcome().await;
    revoke(&platform, "json").await.expect("revoked");
    // It does not answer the close: that is no way to stay.
    let mut said = Vec::new();
    let ended = timeout(PATIENCE, agent.io().read_to_end(&mut said)).await;
    ended.expect("in time").ok();
    assert!(!said.is_empty(), "it was told");
    let (refuse, _) = refused(&platform, trusting(&platform), "localhost", &token).await;
    assert_eq!(refuse.code, ErrorCode::HostRevoked);
}
