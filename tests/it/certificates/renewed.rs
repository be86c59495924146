//! What becomes of certificates and device tokens with time: rotation, renewal while the connection
//! goes on, and the end of one that was not renewed.

use std::fs;

use fleetwire::clock::UnixMillis;
use fleetwire::net::tls;
use fleetwire::wire::messages::ErrorCode;
use rustls::HandshakeKind;
use tokio::time::timeout;

use super::AGENTS;
use super::machine::{Machine, audited, code, let_in, refused, refused_without, renew};
use crate::console::host::{Host, head};
use crate::enrol::{key, request_by};
use crate::support::{Agent, PATIENCE, Platform, until, until_status, until_true};

/// A platform whose certificates are good for this long.
fn short_lived(life: &str) -> Platform {
    Platform::start_with(&[], &[("FLEETWIRE_PLATFORM_CERTIFICATE_LIFE", life)])
}

/// Waits until this host's certificate has ended.
fn until_ended(platform: &Platform, name: &str) {
    let hosts = platform.operate_json(&["hosts", "list"]);
    let hosts = hosts["hosts"].as_array().expect("a list");
    let host = hosts.iter().find(|host| host["name"] == name);
    let end = host.expect("there")["certificate_expires_at"].clone();
    let end = end.as_str().expect("a time");
    until("the certificate's end", || {
        (UnixMillis::now().to_string().as_str() > end).then_some(())
    });
}

#[tokio::test]
async fn a_device_tokens_predecessor_is_good_until_the_new_one_is_used() {
    let platform = Platform::start(&[]);
    let machine = Machine::enrol(&platform, "kvm").await;
    let config = machine.config(&platform);
    let_in(&platform, config.clone(), machine.token()).await;
    let first = &machine.enrolled.auth_token;
    // The answer to this one is lost.
    let lost = machine.renew(&platform, first).await.expect("renewed");
    let_in(&platform, config.clone(), first.expose()).await;
    let second = machine.renew(&platform, first).await.expect("renewed");
    assert_ne!(second.certificate, machine.enrolled.certificate);
    let (refuse, _) = refused(&platform, config.clone(), AGENTS, lost.auth_token.expose()).await;
    assert_eq!(refuse.code, ErrorCode::TokenUnknown);
    let_in(&platform, config.clone(), first.expose()).await;
    let renewed = machine.presenting(&platform, &second.certificate);
    let_in(&platform, renewed.clone(), second.auth_token.expose()).await;
    // The new one has been used.
    let (refuse, _) = refused(&platform, renewed, AGENTS, first.expose()).await;
    assert_eq!(refuse.code, ErrorCode::TokenUnknown);
    let void = machine.renew(&platform, first).await;
    assert_eq!(code(void), "token_unknown");
    // The certificate before is of the same key, and good to its end.
    let_in(&platform, config, second.auth_token.expose()).await;

    for _ in 0..3 {
        let other = renew(&platform, &second.auth_token, request_by(&key())).await;
        assert_eq!(code(other), "key_mismatch");
    }
    let entries = audited(&platform);
    let renewals = entries
        .iter()
        .filter(|entry| entry.starts_with("host.renew"));
    assert_eq!(
        renewals.collect::<Vec<_>>(),
        [
            "host.renew done",
            "host.renew done",
            "host.renew failed key_mismatch"
        ]
    );
}

#[tokio::test]
async fn a_certificate_past_its_end_renews_and_does_nothing_else() {
    let platform = short_lived("6s");
    let machine = Machine::enrol(&platform, "kvm").await;
    let config = machine.config(&platform);
    let (agent, kind) = let_in(&platform, config.clone(), machine.token()).await;
    assert_eq!(kind, HandshakeKind::Full);
    drop(agent);
    until_ended(&platform, "kvm");
    // Of a session that is resumed nothing is verified in TLS.
    for (config, expected) in [
        (config, HandshakeKind::Resumed),
        (machine.config(&platform), HandshakeKind::Full),
    ] {
        let (refuse, kind) = refused(&platform, config, AGENTS, machine.token()).await;
        assert_eq!(
            (refuse.code, kind),
            (ErrorCode::CertificateExpired, expected)
        );
        assert!(!refuse.permanent, "it renews and comes back");
    }
    let without = refused_without(&platform, AGENTS, machine.token()).await;
    assert_eq!(without, ErrorCode::CertificateRequired);
    let token = &machine.enrolled.auth_token;
    let other = renew(&platform, token, request_by(&key())).await;
    assert_eq!(code(other), "key_mismatch");
    let renewed = machine.renew(&platform, token).await.expect("renewed");
    let config = machine.presenting(&platform, &renewed.certificate);
    let_in(&platform, config, renewed.auth_token.expose()).await;
}

#[tokio::test]
async fn a_connection_ends_with_its_certificate() {
    let platform = short_lived("4s");
    let machine = Machine::enrol(&platform, "kvm").await;
    let config = machine.config(&platform);
    let (agent, _) = let_in(&platform, config, machine.token()).await;
    // Another certificate that did not come over it changes nothing of it.
    let token = &machine.enrolled.auth_token;
    let renewed = machine.renew(&platform, token).await.expect("renewed");
    let closed = agent.closed().await;
    closed.assert(1008, "certificate_expired");
    has_ended(&machine.enrolled.certificate);
    let said = platform.process.said();
    assert!(said.contains("its certificate has ended"), "{said}");
    let renewed = machine.renew(&platform, &renewed.auth_token).await;
    let renewed = renewed.expect("renewed");
    let config = machine.presenting(&platform, &renewed.certificate);
    let_in(&platform, config, renewed.auth_token.expose()).await;
}

/// Asserts that this certificate has ended by now.
fn has_ended(certificate: &str) {
    let leaf = tls::certificates_from_pem(certificate).expect("PEM");
    let (_, leaf) = x509_parser::parse_x509_certificate(&leaf[0]).expect("a certificate");
    let end = leaf.validity.not_after.timestamp();
    let now = UnixMillis::now().0 / 1000;
    assert!(u64::try_from(end).is_ok_and(|end| end <= now));
}

#[test]
fn an_agent_that_hung_past_its_certificates_end_is_sent_away_renews_and_comes_back() {
    let platform = short_lived("4s");
    let mut agent = Agent::start(&platform, "kvm");
    // It neither renews nor leaves.
    agent.process.signal("STOP");
    until("the end of its connection", || {
        let said = platform.process.said();
        said.contains("its certificate has ended").then_some(())
    });
    until_status(&platform, "kvm", "offline");
    agent.process.signal("CONT");
    agent.process.line("certificate renewed after its end");
    until_status(&platform, "kvm", "online");
}

#[test]
fn an_agent_that_was_off_past_its_certificates_end_renews_by_itself() {
    let platform = short_lived("4s");
    let mut agent = Agent::start(&platform, "kvm");
    let host = until_status(&platform, "kvm", "online");
    agent.process.signal("KILL");
    agent.process.ended();
    until_ended(&platform, "kvm");
    agent.restart(&platform, "kvm");
    agent.process.line("certificate renewed after its end");
    assert_eq!(until_status(&platform, "kvm", "online")["id"], host["id"]);
    // The key is the one that it began with, and its owner's alone.
    let key = agent.state_dir().join("agent.key");
    assert_eq!(crate::support::mode(&key), 0o600);
    let key = fs::read_to_string(key).expect("there");
    assert!(key.contains("PRIVATE KEY"));
    assert!(!agent.process.said().contains(key.trim()));
}

#[tokio::test]
async fn a_certificate_is_renewed_while_a_stream_goes_on() {
    let mut host = Host::start_on(short_lived("6s")).await;
    let session = host.session().await;
    let mut viewer = session.send("GET /", "").await;
    let mut exchange = host.exchange().await;
    let lines = "content-type: text/plain\r\n";
    let begun = exchange.send.send_head(head(200, lines));
    begun.expect("the viewer waits");
    assert_eq!(viewer.answer_head().await.status, 200);
    // Past the end of the certificate that the connection began with.
    let mut pieces = 0;
    until_true("two renewals", async || {
        pieces += 1;
        let piece = format!("{pieces:08}");
        let sent = exchange.send.write(piece.clone().into());
        let sent = timeout(PATIENCE, sent).await.expect("in time");
        sent.expect("it goes on");
        assert_eq!(viewer.chunk().await, Some(piece.into_bytes()));
        let said = host.platform.process.said();
        said.matches("certificate renewed").count() >= 2
    })
    .await;
    let said = host.platform.process.said();
    assert!(said.contains("over its connection"), "{said}");
    assert!(!said.contains("\"disconnected\""), "{said}");
    until_status(&host.platform, "kvm", "online");
}

#[test]
fn what_was_renewed_over_the_connection_is_what_the_agent_comes_back_with() {
    let platform = short_lived("4s");
    let mut agent = Agent::start(&platform, "kvm");
    let token = |agent: &Agent| {
        let state = fs::read_to_string(agent.state_dir().join("state.json")).expect("there");
        let state: serde_json::Value = serde_json::from_str(&state).expect("JSON");
        state["auth_token"].as_str().expect("a token").to_owned()
    };
    let first = token(&agent);
    agent.process.line("certificate renewed");
    assert_ne!(token(&agent), first);
    agent.process.signal("KILL");
    agent.process.ended();
    agent.restart(&platform, "kvm");
    agent.process.line("connected");
    until_status(&platform, "kvm", "online");
    assert!(!agent.process.said().contains(&token(&agent)));
}
