//! The platform's authority is exchanged for another while agents stay connected.

use std::fs;
use std::sync::Arc;

use fleetwire::net::tls;
use fleetwire::wire::messages::{Heartbeat, PlatformToAgent};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ClientConfig;

use super::AGENTS;
use super::machine::{Machine, connect, let_in};
use crate::peers::raw::RawAgent;
use crate::support::Platform;

/// Asserts that a connection is alive: a heartbeat is answered.
async fn is_alive(agent: &mut RawAgent, sent_us: u64) {
    let heartbeat = Heartbeat {
        uptime_seconds: None,
        cpu_percent: None,
        memory_percent: None,
        disk_percent: None,
        load_1m: None,
        temperature_celsius: None,
        sent_us: Some(sent_us),
        round_trip_us: None,
    };
    agent.send(heartbeat).await;
    let answered = agent.until(|message| match message {
        PlatformToAgent::HeartbeatAck(ack) => Some(ack.sent_us),
        _ => None,
    });
    assert_eq!(answered.await, sent_us);
}

/// Has the platform read its files anew.
fn reload(platform: &mut Platform, times: usize) {
    platform.process.signal("HUP");
    crate::support::until("the certificates read anew", || {
        let said = platform.process.said();
        (said.matches("certificates read anew").count() == times).then_some(())
    });
}

#[tokio::test]
async fn the_authority_is_exchanged_without_dropping_anyone() {
    let mut platform = Platform::start(&[]);
    let machine = Machine::enrol(&platform, "kvm").await;
    let (mut agent, _) = let_in(&platform, machine.config(&platform), machine.token()).await;
    let file = |platform: &Platform, name: &str| platform.data_dir().join(name);
    let old = fs::read_to_string(platform.ca_file()).expect("there");

    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "next");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let next = params.self_signed(&key).expect("signed").pem();

    // Told of beside the old one, and trusted by whoever renews from then on.
    fs::write(file(&platform, "ca-further.pem"), &next).expect("written");
    reload(&mut platform, 1);
    is_alive(&mut agent, 1).await;
    let renewed = machine.renew(&platform, &machine.enrolled.auth_token).await;
    let renewed = renewed.expect("renewed");
    let both = tls::certificates_from_pem(&renewed.ca_pem).expect("PEM");
    assert_eq!(both.len(), 2);
    let identity = tls::certified_key_from_pem(&renewed.certificate, &machine.key.serialize_pem());
    let config: Arc<ClientConfig> =
        tls::client_presenting(both, identity.expect("a pair")).expect("authorities");
    let_in(&platform, config.clone(), renewed.auth_token.expose()).await;

    // Exchanged: the server's own certificate is the next one's, a host's may still be the old one's.
    let (mut agent, _) = let_in(&platform, config.clone(), renewed.auth_token.expose()).await;
    fs::write(file(&platform, "ca.key"), key.serialize_pem()).expect("written");
    fs::write(platform.ca_file(), &next).expect("written");
    fs::write(file(&platform, "ca-further.pem"), &old).expect("written");
    reload(&mut platform, 2);
    is_alive(&mut agent, 2).await;
    let newer = Machine::enrol(&platform, "newer").await;
    let trusts = tls::certificates_from_pem(&newer.enrolled.ca_pem).expect("PEM");
    assert_eq!(trusts[0], platform.authorities()[0]);
    let_in(&platform, newer.config(&platform), newer.token()).await;

    // Gone: what only the old one has issued is nobody's certificate any more.
    fs::remove_file(file(&platform, "ca-further.pem")).expect("there");
    reload(&mut platform, 3);
    is_alive(&mut agent, 3).await;
    let refused = connect(&platform, config, AGENTS).await;
    assert!(refused.is_err(), "also by a session that could be resumed");
    let_in(&platform, newer.config(&platform), newer.token()).await;
}
