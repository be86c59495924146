//! Who gets a certificate, and who is let in by one.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fleetwire::net::enrolment::EnrolmentToken;
use fleetwire::net::tls;
use fleetwire::secret::Secret;
use fleetwire::wire::messages::ErrorCode;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519, SanType,
};
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};

use super::AGENTS;
use super::machine::{
    Machine, audited, code, connect, enrol, let_in, refused, refused_without, renew,
};
use crate::enrol::{key, request_by};
use crate::peers::beside::device_token;
use crate::peers::raw::{RawAgent, hello, shake_hands, trusting};
use crate::support::Platform;

#[tokio::test]
async fn an_enrolled_host_is_let_in_by_its_certificate_alone() {
    let platform = Platform::start(&[]);
    let (own, other) = (
        Machine::enrol(&platform, "own").await,
        Machine::enrol(&platform, "other").await,
    );
    let_in(&platform, own.config(&platform), own.token()).await;
    // Its token is worth nothing without it, whatever name is asked for.
    for name in [AGENTS, "localhost"] {
        let refused = refused_without(&platform, name, own.token()).await;
        assert_eq!(refused, ErrorCode::CertificateRequired, "{name}");
    }
    // Nobody is asked for one by another name, so that it does not help there.
    let config = own.config(&platform);
    let (refuse, _) = refused(&platform, config, "localhost", own.token()).await;
    assert_eq!(refuse.code, ErrorCode::CertificateRequired);
    assert!(!refuse.permanent && refuse.message.contains("server name"));
    for (machine, token) in [(&own, other.token()), (&other, own.token())] {
        let config = machine.config(&platform);
        let (refuse, _) = refused(&platform, config, AGENTS, token).await;
        assert_eq!(refuse.code, ErrorCode::CertificateMismatch);
        assert!(refuse.permanent);
    }
    let mismatch = "host.connect failed certificate_mismatch".to_owned();
    assert!(audited(&platform).contains(&mismatch));

    // A host that was made with a token alone has none to present.
    let token = device_token(&platform, "json");
    let (mut agent, _) = connect(&platform, trusting(&platform), AGENTS)
        .await
        .expect("upgraded");
    agent.send(hello(&token)).await;
    agent.welcome().await;
    let mut agent: RawAgent = connect(&platform, trusting(&platform), "localhost")
        .await
        .expect("upgraded")
        .0;
    agent.send(hello(&token)).await;
    agent.welcome().await;
    let config = own.config(&platform);
    let (refuse, _) = refused(&platform, config, AGENTS, &token).await;
    assert_eq!(refuse.code, ErrorCode::CertificateMismatch);
    let hosts = platform.operate_json(&["hosts", "list"]);
    let has_certificate = |name: &str| {
        let hosts = hosts["hosts"].as_array().expect("a list");
        let host = hosts.iter().find(|host| host["name"] == name);
        host.expect("there").get("certificate_expires_at").is_some()
    };
    assert!(has_certificate("own") && !has_certificate("json"));
}

#[tokio::test]
async fn a_certificate_of_another_authority_ends_the_handshake() {
    let (platform, other) = (Platform::start(&[]), Platform::start(&[]));
    let token = device_token(&platform, "json");
    let foreign = Machine::enrol(&other, "kvm").await;
    let own = Machine::enrol(&platform, "kvm").await;
    let forged = {
        // Of an authority that calls itself as ours does.
        let ca = KeyPair::generate().expect("a key");
        let real = Issuer::from_ca_cert_der(&platform.authorities()[0], ca).expect("a CA");
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let uri = format!("urn:uuid:{}", own.enrolled.host_id);
        params.subject_alt_names = vec![SanType::URI(uri.try_into().expect("ASCII"))];
        params.signed_by(&own.key, &real).expect("signed").pem()
    };
    let configs = [
        foreign.presenting(&platform, &foreign.enrolled.certificate),
        own.presenting(&platform, &forged),
    ];
    for config in configs {
        for token in [own.token(), &token] {
            let connected = connect(&platform, config.clone(), AGENTS).await;
            assert!(connected.is_err(), "whatever token would follow: {token}");
        }
        // By another name it was not asked for and is nothing.
        assert!(connect(&platform, config, "localhost").await.is_ok());
    }
    // The server's own comes from the same authority, and is no client's.
    let server = platform.data_dir();
    let server = tls::certified_key_from_pem(
        &fs::read_to_string(server.join("server.pem")).expect("there"),
        &fs::read_to_string(server.join("server.key")).expect("there"),
    );
    let config = tls::client_presenting(platform.authorities(), server.expect("a pair"));
    let connected = connect(&platform, config.expect("a CA"), AGENTS).await;
    assert!(connected.is_err());
}

/// Reads the one certificate of a PEM text.
fn parsed<T>(
    pem: &str,
    read: impl FnOnce(&x509_parser::certificate::X509Certificate<'_>) -> T,
) -> T {
    let der = tls::certificates_from_pem(pem).expect("a certificate");
    assert_eq!(der.len(), 1);
    let (_, certificate) = x509_parser::parse_x509_certificate(&der[0]).expect("X.509");
    read(&certificate)
}

#[tokio::test]
async fn what_a_request_asks_for_beside_its_key_is_passed_over() {
    let platform = Platform::start(&[]);
    let victim = Machine::enrol(&platform, "victim").await;
    let greedy = key();
    let mut params = CertificateParams::new(vec![
        "localhost".to_owned(),
        AGENTS.to_owned(),
        "127.0.0.1".to_owned(),
    ])
    .expect("names");
    let uri = format!("urn:uuid:{}", victim.enrolled.host_id);
    params
        .subject_alt_names
        .push(SanType::URI(uri.try_into().expect("ASCII")));
    let name = victim.enrolled.host_id.to_string();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let csr = params.serialize_request(&greedy).expect("signed");
    let asked = CertificateSigningRequestParams::from_der(csr.der()).expect("a request");
    assert!(matches!(asked.params.is_ca, IsCa::Ca(_)), "it does ask");
    let token = platform.enrolment_token(&["--name", "greedy"]);
    let enrolled = enrol(&platform, &token, "greedy", csr.pem().expect("PEM")).await;
    let machine = Machine {
        key: greedy,
        enrolled: enrolled.expect("enrolled"),
    };
    let host = machine.enrolled.host_id;
    assert_ne!(host, victim.enrolled.host_id);
    parsed(&machine.enrolled.certificate, |certificate| {
        assert_eq!(certificate.subject().to_string(), format!("CN={host}"));
        let names = certificate.subject_alternative_name().expect("read");
        let names = &names.expect("there").value.general_names;
        let uri = format!("urn:uuid:{host}");
        assert_eq!(format!("{names:?}"), format!("[URI({uri:?})]"));
        let constraints = certificate.basic_constraints().expect("read");
        assert!(!constraints.expect("there").value.ca);
        let usage = certificate.key_usage().expect("read").expect("there").value;
        assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign());
        let usage = certificate.extended_key_usage().expect("read");
        let usage = usage.expect("there").value;
        assert!(usage.client_auth && !usage.server_auth && !usage.any);
    });
    // It is let in as itself, not as the other, and what it signs is worth nothing.
    let_in(&platform, machine.config(&platform), machine.token()).await;
    let config = machine.config(&platform);
    let (refuse, _) = refused(&platform, config, AGENTS, victim.token()).await;
    assert_eq!(refuse.code, ErrorCode::CertificateMismatch);
    let own = tls::certificates_from_pem(&machine.enrolled.certificate).expect("PEM");
    let issuer = Issuer::from_ca_cert_der(&own[0], &machine.key).expect("an issuer");
    let mut params = CertificateParams::default();
    let uri = format!("urn:uuid:{}", victim.enrolled.host_id);
    params.subject_alt_names = vec![SanType::URI(uri.try_into().expect("ASCII"))];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let signed = params
        .signed_by(&victim.key, &issuer)
        .expect("signed")
        .pem();
    let chain = signed + &machine.enrolled.certificate;
    let config = victim.presenting(&platform, &chain);
    assert!(connect(&platform, config, AGENTS).await.is_err());
}

#[tokio::test]
async fn a_request_that_proves_no_key_of_ours_is_refused_and_costs_no_token() {
    let platform = Platform::start(&[]);
    let token = platform.enrolment_token(&["--name", "kvm"]);
    let good = request_by(&key());
    let by = |algorithm| request_by(&KeyPair::generate_for(algorithm).expect("a key"));
    let altered = {
        // A character of the signature, at the end of the text.
        let lines: Vec<_> = good.lines().collect();
        let at = good.find(lines[lines.len() - 2]).expect("there");
        let other = if &good[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &good[..at], &good[at + 1..])
    };
    for (csr, expected) in [
        (String::new(), "field_invalid"),
        ("no request".to_owned(), "csr_invalid"),
        (altered, "csr_invalid"),
        (by(&PKCS_ED25519), "csr_invalid"),
        (by(&PKCS_ECDSA_P384_SHA384), "csr_invalid"),
        (good.repeat(12), "field_invalid"),
        (
            fs::read_to_string(platform.ca_file()).expect("there"),
            "csr_invalid",
        ),
    ] {
        let refused = enrol(&platform, &token, "kvm", csr.clone()).await;
        assert_eq!(code(refused), expected, "{csr}");
    }
    let machine = Machine::enrol_with(&platform, &token, "kvm").await;
    for (csr, expected) in [
        (String::new(), "field_invalid"),
        (by(&PKCS_ED25519), "csr_invalid"),
    ] {
        let refused = renew(&platform, &machine.enrolled.auth_token, csr).await;
        assert_eq!(code(refused), expected);
    }
}

#[tokio::test]
async fn a_token_binds_to_the_first_key_until_its_host_has_connected() {
    let platform = Platform::start(&[]);
    let token = platform.enrolment_token(&["--name", "kvm"]);
    let lost = Machine::enrol_with(&platform, &token, "kvm").await;
    let again = enrol(&platform, &token, "kvm", request_by(&lost.key)).await;
    let kept = Machine {
        key: lost.key,
        enrolled: again.expect("enrolled"),
    };
    assert_eq!(kept.enrolled.host_id, lost.enrolled.host_id);
    assert_ne!(kept.token(), lost.enrolled.auth_token.expose());
    for _ in 0..3 {
        let thief = enrol(&platform, &token, "kvm", request_by(&key())).await;
        assert_eq!(code(thief), "token_used");
    }
    let_in(&platform, kept.config(&platform), kept.token()).await;
    let late = enrol(&platform, &token, "kvm", request_by(&kept.key)).await;
    assert_eq!(code(late), "token_used");
    let audited = audited(&platform);
    let refusals = audited.iter().filter(|entry| entry.contains("failed"));
    assert_eq!(
        refusals.collect::<Vec<_>>(),
        ["host.enrol failed token_used"],
        "once a minute at most"
    );
    // Its fingerprint and the server's name come with the token.
    let token = EnrolmentToken::parse(&token).expect("a token");
    assert_eq!(token.server_name(), kept.enrolled.server_name);
    let authority = tls::certificates_from_pem(&kept.enrolled.ca_pem).expect("PEM");
    assert_eq!(&tls::fingerprint(&authority[0]), token.ca_fingerprint());
}

/// A client that has no certificate, and remembers whether it was asked for one.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

impl ResolvesClientCert for Asked {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn nobody_is_asked_for_a_certificate_but_on_the_agents_name() {
    let platform = Platform::start_with(
        &["--console-domain", "console.test"],
        &[(
            "FLEETWIRE_PLATFORM_FORMER_SERVER_NAMES",
            "before.fleetwire.internal",
        )],
    );
    let asked = async |name: &str| {
        let mut roots = RootCertStore::empty();
        let authorities = platform.authorities();
        roots.add(authorities[0].clone()).expect("a root");
        let asked = Arc::new(Asked::default());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_client_cert_resolver(asked.clone());
        let shaken = shake_hands(&platform, Arc::new(config), name).await;
        shaken.expect("trusted");
        asked.0.load(Ordering::Relaxed)
    };
    for name in ["localhost", "console.test", "abc.console.test", "127.0.0.1"] {
        assert!(!asked(name).await, "{name}");
    }
    for name in [
        AGENTS,
        "Platform.Fleetwire.INTERNAL",
        "before.fleetwire.internal",
    ] {
        assert!(asked(name).await, "{name}");
    }
    // An agent that was enrolled under the former name still asks for it.
    let machine = Machine::enrol(&platform, "kvm").await;
    let config = machine.config(&platform);
    let (mut agent, _) = connect(&platform, config, "before.fleetwire.internal")
        .await
        .expect("upgraded");
    agent.send(hello(machine.token())).await;
    agent.welcome().await;
}

#[tokio::test]
async fn agents_names_know_no_tls_but_1_3() {
    let platform = Platform::start(&[]);
    let mut roots = RootCertStore::empty();
    roots
        .add(platform.authorities()[0].clone())
        .expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let old = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let old = Arc::new(old);
    assert!(shake_hands(&platform, old.clone(), AGENTS).await.is_err());
    assert!(shake_hands(&platform, old, "localhost").await.is_ok());
}

#[tokio::test]
async fn a_wrong_device_token_is_unknown_with_a_good_certificate_too() {
    let platform = Platform::start(&[]);
    let machine = Machine::enrol(&platform, "kvm").await;
    let wrong = Secret::generate("agt_");
    let config = machine.config(&platform);
    let (refuse, _) = refused(&platform, config, AGENTS, wrong.expose()).await;
    assert_eq!(refuse.code, ErrorCode::TokenUnknown);
    let refused = machine.renew(&platform, &wrong).await;
    assert_eq!(code(refused), "token_unknown");
    let token = Secret::new(device_token(&platform, "json"));
    let refused = machine.renew(&platform, &token).await;
    assert_eq!(code(refused), "certificate_none");
}
