//! Certificates and TLS versions at the platform's listener.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use fleetwire::net::http_client::Problem;
use fleetwire::net::tls;
use fleetwire::platform::sessions::ENTRY_PATH;
use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::{client_async, tungstenite};

use crate::console::host::Host;
use crate::console::viewer::{Session, Viewer};
use crate::support::{Agent, Platform, command};

/// Writes a certificate for `name`, signed by itself, and returns it.
fn write_certificate(dir: &Path, name: &str) -> CertificateDer<'static> {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    fs::write(dir.join("chain.pem"), certificate.pem()).expect("written");
    fs::write(dir.join("key.pem"), key.serialize_pem()).expect("written");
    certificate.der().clone()
}

/// The certificate that is presented to whoever asks for `name`, and the version that was agreed.
async fn presented(
    address: SocketAddr,
    config: Arc<ClientConfig>,
    name: &str,
) -> Result<(CertificateDer<'static>, ProtocolVersion), std::io::Error> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    let (_, session) = stream.get_ref();
    let certificates = session.peer_certificates().expect("a handshake is over");
    let version = session.protocol_version().expect("a handshake is over");
    Ok((certificates[0].clone(), version))
}

fn trusting(root: &CertificateDer<'static>) -> Arc<ClientConfig> {
    tls::client_trusting([root.clone()], false).expect("a root")
}

#[tokio::test]
async fn an_operators_certificate_is_shown_to_browsers_and_replaced_while_running() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let first = write_certificate(dir.path(), "kvm.example");
    let path = |file: &str| dir.path().join(file).display().to_string();
    let settings = format!(
        "certificate = '{}'\ncertificate_key = '{}'\n",
        path("chain.pem"),
        path("key.pem")
    );
    fs::write(dir.path().join("platform.toml"), settings).expect("written");
    let mut platform = Platform::start(&["--config", &path("platform.toml")]);

    let shown = presented(platform.tls, trusting(&first), "kvm.example").await;
    assert_eq!(shown.expect("trusted").0, first);
    let own = fs::read_to_string(platform.ca_file()).expect("there");
    let own = tls::certificates_from_pem(&own)
        .expect("certificates")
        .remove(0);
    let agents = "platform.fleetwire.internal";
    presented(platform.tls, trusting(&own), agents)
        .await
        .expect("agents see the platform's own");
    // The command dials an address: there is no name to choose by.
    platform.hosts();

    let second = write_certificate(dir.path(), "kvm.example");
    platform.process.signal("HUP");
    platform.process.line("certificates read anew");
    let shown = presented(platform.tls, trusting(&second), "kvm.example").await;
    assert_eq!(shown.expect("trusted").0, second);

    // The operator's cannot be used, and the platform's own is due.
    fs::write(dir.path().join("key.pem"), "damaged").expect("written");
    fs::remove_file(platform.ca_file().with_file_name("server.pem")).expect("there");
    let old = presented(platform.tls, trusting(&own), agents).await;
    platform.process.signal("HUP");
    platform.process.line("a certificate stays as it is");
    let shown = presented(platform.tls, trusting(&second), "kvm.example").await;
    assert_eq!(shown.expect("trusted").0, second);
    let renewed = presented(platform.tls, trusting(&own), agents).await;
    assert_ne!(renewed.expect("trusted").0, old.expect("trusted").0);
}

#[tokio::test]
async fn names_that_an_operators_certificate_does_not_cover_are_shown_the_platforms_own() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let operators = write_certificate(dir.path(), "*.console.example");
    let path = |file: &str| dir.path().join(file).display().to_string();
    let settings = format!(
        "console_domain = 'console.example'\nnames = ['fleet.example']\n\
         certificate = '{}'\ncertificate_key = '{}'\n",
        path("chain.pem"),
        path("key.pem")
    );
    fs::write(dir.path().join("platform.toml"), settings).expect("written");
    let platform = Platform::start(&["--config", &path("platform.toml")]);

    let shown = presented(platform.tls, trusting(&operators), "abc.console.example").await;
    assert_eq!(shown.expect("trusted").0, operators);
    let own = fs::read_to_string(platform.ca_file()).expect("there");
    let own = tls::certificates_from_pem(&own)
        .expect("certificates")
        .remove(0);
    for name in ["fleet.example", "console.example", "localhost"] {
        let shown = presented(platform.tls, trusting(&own), name).await;
        assert!(shown.is_ok(), "{name}: {shown:?}");
    }
    // The command as it is set up by the read-me: by name, with the platform's own CA.
    let output = command("fleetwire")
        .env(
            "FLEETWIRE_SERVER",
            format!("https://localhost:{}", platform.tls.port()),
        )
        .env("FLEETWIRE_TOKEN", platform.admin_token())
        .env("FLEETWIRE_CA", platform.ca_file())
        .args(["hosts", "list"])
        .output()
        .expect("setpriv of util-linux starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn the_link_speaks_tls_1_3_only_and_browsers_may_speak_1_2() {
    let platform = Platform::start(&[]);
    let own = fs::read_to_string(platform.ca_file()).expect("there");
    let own = tls::certificates_from_pem(&own)
        .expect("certificates")
        .remove(0);
    let link = tls::client_trusting([own.clone()], true).expect("a root");
    let (_, version) = presented(platform.tls, link, "localhost")
        .await
        .expect("trusted");
    assert_eq!(version, ProtocolVersion::TLSv1_3);

    let mut roots = RootCertStore::empty();
    roots.add(own).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let browser = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let browser = Arc::new(browser);
    let (_, version) = presented(platform.tls, browser.clone(), "localhost")
        .await
        .expect("trusted");
    assert_eq!(version, ProtocolVersion::TLSv1_2);

    let stream = TcpStream::connect(platform.tls).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let old = TlsConnector::from(browser).connect(name, stream).await;
    assert_not_upgraded(old.expect("trusted")).await;
    let plain = TcpStream::connect(platform.http).await.expect("it listens");
    assert_not_upgraded(plain).await;
}

/// Asserts that the platform takes no agent over this connection, and says why.
#[tokio::test]
async fn only_those_who_know_nothing_else_are_given_http_2() {
    let platform = Platform::start(&[]);
    let roots = fs::read_to_string(platform.ca_file()).expect("there");
    let roots = tls::certificates_from_pem(&roots).expect("a certificate");
    let agreed = async |offered: &[&[u8]]| {
        let mut config =
            ClientConfig::clone(&*tls::client_trusting(roots.clone(), false).expect("roots"));
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(platform.tls).await.expect("it listens");
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await.expect("a handshake");
        let (_, session) = stream.get_ref();
        session.alpn_protocol().map(<[u8]>::to_vec)
    };
    // As browsers and curl offer them; as gRPC's clients do.
    assert_eq!(
        agreed(&[b"h2", b"http/1.1"]).await.as_deref(),
        Some(&b"http/1.1"[..])
    );
    assert_eq!(agreed(&[b"h2"]).await.as_deref(), Some(&b"h2"[..]));
    assert_eq!(agreed(&[]).await, None);
}

async fn assert_not_upgraded(stream: impl AsyncRead + AsyncWrite + Unpin) {
    match client_async("ws://localhost/v1/agent/ws", stream).await {
        Err(tungstenite::Error::Http(answer)) => {
            assert_eq!(answer.status(), 400);
            let problem = answer.into_body().expect("a problem");
            let problem: Problem = serde_json::from_slice(&problem).expect("JSON");
            assert_eq!(problem.code, "tls_1_3_expected");
            assert!(problem.detail.contains("TLS 1.3"), "{}", problem.detail);
        }
        Ok(_) => panic!("an agent was let in"),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_devices_other_certificate_is_named_on_the_page_and_once_in_the_agents_log() {
    let made = rcgen::generate_simple_self_signed(["kvm".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a key pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let device = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The agent ends the handshake.
            let _ = acceptor.accept(stream).await;
        }
    });

    let platform = Platform::start(&[]);
    let target = format!("https://{device},pin={}", "00".repeat(32));
    let mut agent = Agent::start_for(&platform, "kvm", &[&target]);
    let session = Session::open(&platform).enter().await;
    let shown = tls::fingerprint(&certificate);
    let shown: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    for _ in 0..3 {
        let answer = session.send("GET /", "").await.answer().await;
        assert_eq!(
            (answer.status, answer.code()),
            (502, Some("target_untrusted"))
        );
        let page = answer.text();
        assert!(page.contains(&shown) && page.contains("pin"), "{page}");
    }
    agent.process.signal("TERM");
    assert!(agent.process.ended().success());
    let said = agent.process.said();
    let lines: Vec<_> = said.lines().filter(|line| line.contains(&shown)).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].contains("WARN"), "{}", lines[0]);
    assert!(lines[0].contains(&device.to_string()), "{}", lines[0]);
}

#[tokio::test]
async fn at_an_https_origin_the_sessions_cookie_is_bound_to_host_and_tls() {
    let mut host = Host::start_with(&["--console-domain", "console.test"]).await;
    let opened = host.platform.operate_json(&["session", "open", "kvm"]);
    let url = opened["console_url"].as_str().expect("a URL");
    let (page, ticket) = url.split_once('#').expect("a ticket");
    let origin = page.strip_suffix(ENTRY_PATH).expect("the entering page");
    let authority = origin.strip_prefix("https://").expect("over TLS");
    let name = authority
        .strip_suffix(&format!(":{}", host.platform.tls.port()))
        .expect("the TLS listener's port");

    let own = fs::read_to_string(host.platform.ca_file()).expect("there");
    let own = tls::certificates_from_pem(&own).expect("certificates");
    let stream = TcpStream::connect(host.platform.tls).await;
    let stream = TlsConnector::from(trusting(&own[0]))
        .connect(
            ServerName::try_from(name.to_owned()).expect("a name"),
            stream.expect("it listens"),
        )
        .await
        .expect("the certificate is for sessions too");
    let mut viewer = Viewer::from_stream(stream);
    let body = json!({ "ticket": ticket, "state": "s" }).to_string();
    let request = format!(
        "POST {ENTRY_PATH} HTTP/1.1\r\nHost: {authority}\r\nOrigin: {origin}\r\n\
         Cookie: fleetwire-state=s\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    viewer.write(request.as_bytes()).await;
    let entered = viewer.answer().await;
    assert_eq!(entered.status, 204, "{}", entered.text());
    let set = entered.headers("set-cookie")[0];
    let (pair, attributes) = set.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax; Secure");
    let secret = pair.strip_prefix("__Host-fleetwire-session=");
    let secret = secret.expect("a name that binds it to its host");

    // By the name that plain HTTP has, which another host of the domain could set, it is no key.
    for (name, code) in [
        ("fleetwire-session", Some("session_not_entered")),
        ("__Host-fleetwire-session", None),
    ] {
        let request =
            format!("GET / HTTP/1.1\r\nHost: {authority}\r\nCookie: {name}={secret}\r\n\r\n");
        viewer.write(request.as_bytes()).await;
        if code.is_none() {
            let exchange = host.exchange().await;
            let public = exchange.request.origin.clone().expect("an origin");
            assert_eq!(public.as_str(), origin);
            assert_eq!(exchange.lines(), "", "the cookie stays here");
            exchange.answer(200, "", b"the device");
        }
        assert_eq!(viewer.answer().await.code(), code);
    }
}
