//! Agents behind a proxy that ends their TLS: taken where the settings say so, and by their token alone.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use fleetwire::net::http_client::ServerUrl;
use fleetwire::wire::Encoding;
use fleetwire::wire::messages::{AgentToPlatform, ErrorCode, PlatformToAgent};
use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::AGENTS;
use super::machine::{Machine, code, refused_without, revoke};
use crate::peers::raw::{Raw, hello, subprotocol, upgrade_over};
use crate::support::{Platform, Process, command, until_status};

type PlainAgent = Raw<TcpStream, AgentToPlatform, PlatformToAgent>;

fn behind_proxy() -> Platform {
    Platform::start_with(&[], &[("FLEETWIRE_PLATFORM_AGENTS_BEHIND_PROXY", "true")])
}

/// Connects as the proxy does.
async fn connect(platform: &Platform) -> Result<PlainAgent, u16> {
    let stream = TcpStream::connect(platform.http).await.expect("it listens");
    let binary = Some(subprotocol(Encoding::Binary));
    match upgrade_over(platform, stream, "", binary, &[]).await {
        Ok((socket, _)) => Ok(Raw::new(socket, Encoding::Binary)),
        Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_plain_listener_takes_agents_where_the_settings_say_so_and_nowhere_else() {
    let closed = Platform::start(&[]);
    assert_eq!(connect(&closed).await.err(), Some(400));

    let platform = behind_proxy();
    let machine = Machine::enrol(&platform, "kvm").await;
    let mut agent = connect(&platform).await.expect("taken");
    agent.send(hello(machine.token())).await;
    match agent.next().await {
        PlatformToAgent::Welcome(_) => {}
        other => panic!("no welcome: {other:?}"),
    }
    // Over TLS its certificate is asked for as ever.
    let refused = refused_without(&platform, AGENTS, machine.token()).await;
    assert_eq!(refused, ErrorCode::CertificateRequired);
    revoke(&platform, "kvm").await.expect("revoked");
    agent.closed().await.assert(1008, "host_revoked");
    let mut agent = connect(&platform).await.expect("taken");
    agent.send(hello(machine.token())).await;
    match agent.next().await {
        PlatformToAgent::Refuse(refuse) => assert_eq!(refuse.code, ErrorCode::HostRevoked),
        other => panic!("let in: {other:?}"),
    }
    let renewed = machine.renew(&platform, &machine.enrolled.auth_token).await;
    assert_eq!(code(renewed), "host_revoked");
}

/// A proxy that ends TLS, with a certificate of its own in this file.
fn proxy(to: SocketAddr, ca_file: &std::path::Path) -> SocketAddr {
    let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    fs::write(ca_file, made.cert.pem()).expect("written");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("set");
    // A thread and a runtime of its own: the test itself waits for processes.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("bound");
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await?;
                    let mut platform = TcpStream::connect(to).await?;
                    copy_bidirectional(&mut client, &mut platform).await
                });
            }
        });
    });
    address
}

#[test]
fn an_agent_enrols_and_connects_through_a_proxy_that_ends_tls() {
    let platform = behind_proxy();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let ca_file = dir.path().join("proxy.pem");
    let address = proxy(platform.http, &ca_file);
    let url: ServerUrl = format!("https://{address}").parse().expect("an address");
    fs::write(dir.path().join("token"), platform.enrolment_token(&[])).expect("written");
    let mut agent = command("fleetwire-agent");
    agent
        .args(["--platform", &url.to_string(), "--name", "kvm"])
        .args(["--target", "http://127.0.0.1:9"])
        .arg("--state-dir")
        .arg(dir.path().join("state"))
        .arg("--token-file")
        .arg(dir.path().join("token"))
        .env("FLEETWIRE_AGENT_PLATFORM_CA", &ca_file);
    let mut agent = Process::start("agent behind a proxy", &mut agent);
    agent.line("connected");
    until_status(&platform, "kvm", "online");
    agent.end();
}
