//! A platform in the test's own hand: it has the key files of the real one that the agent enrolled
//! at, so that the agent trusts it.

use std::fs;
use std::io;
use std::sync::Arc;

use fleetwire::ids::Uuid;
use fleetwire::net::tls;
use fleetwire::wire::Encoding;
use fleetwire::wire::messages::{AgentToPlatform, Hello, Welcome};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, server};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::raw::{RawPlatform, subprotocol};
use crate::support::{Agent, PATIENCE, Platform};

const NAME: &str = "kvm";

/// A listener that an agent takes for its platform, and that agent.
pub struct Hostile {
    listener: TcpListener,
    tls: TlsAcceptor,
    pub agent: Agent,
}

impl Hostile {
    /// Enrols an agent at a real platform and takes that one's place.
    pub async fn start() -> Self {
        let platform = Platform::start(&[]);
        let target = device().await;
        let agent = Agent::start_for(&platform, NAME, &[&target]);
        agent.process.signal("KILL");
        let read = |file: &str| fs::read_to_string(platform.data_dir().join(file)).expect("there");
        let key = tls::certified_key_from_pem(&read("server.pem"), &read("server.key"))
            .expect("a certificate");
        let certificates = tls::ServerCertificates::new(Vec::new(), key, None);
        let config = tls::server(Arc::new(certificates)).expect("settings");
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.expect("a port"),
            tls: TlsAcceptor::from(config),
            agent,
        }
    }

    /// Starts the agent anew, towards this platform, and waits for its hello.
    pub async fn visited(&mut self) -> RawPlatform {
        self.restart();
        self.accept().await.0
    }

    /// Starts the agent anew, towards this platform.
    pub fn restart(&mut self) {
        self.agent.process.signal("KILL");
        self.agent.process.ended();
        let address = self.listener.local_addr().expect("it listens");
        let url = format!("https://{address}").parse().expect("an address");
        self.agent.restart_at(&url, NAME);
    }

    /// The agent's next connection, up to its hello.
    pub async fn accept(&self) -> (RawPlatform, Hello) {
        let stream = self.accept_tls().await;
        #[expect(clippy::result_large_err, reason = "what the library asks for")]
        let agree = |request: &Request, mut response: Response| {
            let offered = request.headers().get("sec-websocket-protocol").cloned();
            let offered = offered.expect("an agent offers one");
            assert_eq!(offered, subprotocol(Encoding::Binary));
            assert!(request.uri().query().is_none(), "nothing secret in a URL");
            response
                .headers_mut()
                .insert("sec-websocket-protocol", offered);
            Ok(response)
        };
        let socket = timeout(PATIENCE, accept_hdr_async(stream, agree))
            .await
            .expect("in time")
            .expect("a WebSocket");
        let mut platform = RawPlatform::new(socket, Encoding::Binary);
        match platform.next().await {
            AgentToPlatform::Hello(hello) => (platform, hello),
            other => panic!("no hello: {other:?}"),
        }
    }

    /// The agent's next connection, up to TLS. One that an agent left behind which the test has
    /// ended is passed over.
    pub async fn accept_tls(&self) -> server::TlsStream<TcpStream> {
        loop {
            let stream = self.accept_tcp().await;
            let accepted = timeout(PATIENCE, self.tls.accept(stream)).await;
            match accepted.expect("in time") {
                Ok(stream) => return stream,
                Err(error) if is_broken_off(&error) => {}
                Err(error) => panic!("not trusted: {error}"),
            }
        }
    }

    /// The agent's next connection.
    pub async fn accept_tcp(&self) -> TcpStream {
        let accepted = timeout(PATIENCE, self.listener.accept()).await;
        accepted.expect("the agent dials").expect("accepted").0
    }
}

fn is_broken_off(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// What a platform says that lets an agent in.
pub fn welcome() -> Welcome {
    Welcome {
        protocol_version: 1,
        session_id: Uuid::from_u128(1),
        heartbeat_interval_ms: 15_000,
        limits: None,
        capabilities: Vec::new(),
        platform_time: None,
        resumed_messages: None,
        host_id: None,
    }
}

/// A device that answers `ok`, but never where the path begins with `/hang`. Returns its address.
async fn device() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut read = Vec::new();
                while stream
                    .read_buf(&mut read)
                    .await
                    .is_ok_and(|count| count > 0)
                {
                    if read.ends_with(b"\r\n\r\n") && !read.starts_with(b"GET /hang") {
                        read.clear();
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                        if stream.write_all(answer).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    format!("http://{address}")
}
