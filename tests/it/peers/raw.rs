//! One end of a WebSocket in the test's own hand: messages of the schema as the crate encodes them,
//! and any bytes beside them.

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::BytesMut;
use fleetwire::net::tls;
use fleetwire::wire::messages::{AgentToPlatform, Hello, PlatformToAgent, Welcome};
use fleetwire::wire::values::Secret;
use fleetwire::wire::{Encoding, Envelope};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, client, server};
use tokio_tungstenite::tungstenite::{
    Error, Message, client::IntoClientRequest, http::HeaderValue,
};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::{PATIENCE, Platform};

/// The end that is towards a real platform.
pub type RawAgent = Raw<client::TlsStream<TcpStream>, AgentToPlatform, PlatformToAgent>;
/// The end that is towards a real agent.
pub type RawPlatform = Raw<server::TlsStream<TcpStream>, PlatformToAgent, AgentToPlatform>;

/// One end: `Out` is what it may send, `In` what the other sends.
pub struct Raw<IO, Out, In> {
    socket: WebSocketStream<IO>,
    pub encoding: Encoding,
    direction: PhantomData<(Out, In)>,
}

/// How the other end closed.
#[derive(Debug)]
pub struct Closed<In> {
    close_code: u16,
    reason: String,
    /// What it said before, and the test had not read.
    pub heard: Vec<In>,
}

impl<In> Closed<In> {
    /// Asserts both codes: the WebSocket's, and the schema's in front of the text.
    pub fn assert(self, close_code: u16, code: &str) -> Self {
        assert_eq!(self.close_code, close_code, "{}", self.reason);
        let text = self.reason.strip_prefix(&format!("{code}: "));
        assert!(
            text.is_some_and(|text| !text.is_empty()),
            "{:?} does not say {code}",
            self.reason
        );
        self
    }
}

impl<IO, Out, In> Raw<IO, Out, In>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    Out: Envelope,
    In: Envelope,
{
    pub const fn new(socket: WebSocketStream<IO>, encoding: Encoding) -> Self {
        Self {
            socket,
            encoding,
            direction: PhantomData,
        }
    }

    /// What lies under the WebSocket.
    pub fn io(&mut self) -> &mut IO {
        self.socket.get_mut()
    }

    /// A message of the schema as it goes over the wire.
    pub fn encoded(&self, message: impl Into<Out>) -> Message {
        let mut bytes = BytesMut::new();
        self.encoding.encode(message.into(), &mut bytes);
        match self.encoding {
            Encoding::Binary => Message::Binary(bytes.freeze()),
            Encoding::Json => Message::Text(bytes.freeze().try_into().expect("UTF-8")),
        }
    }

    pub async fn send(&mut self, message: impl Into<Out>) {
        let message = self.encoded(message);
        self.send_raw(message).await;
    }

    pub async fn send_raw(&mut self, message: Message) {
        self.socket.send(message).await.expect("it reads");
    }

    /// The next WebSocket message, as it came.
    pub async fn next_raw(&mut self) -> Message {
        let message = timeout(PATIENCE, self.socket.next())
            .await
            .expect("in time");
        message.expect("it is open").expect("unbroken")
    }

    /// The next message of the schema.
    pub async fn next(&mut self) -> In {
        loop {
            let message = self.next_raw().await;
            assert!(!message.is_close(), "closed: {message:?}");
            if let Some(message) = self.decoded(message) {
                return message;
            }
        }
    }

    /// The next message that `pick` takes; others are passed over.
    pub async fn until<T>(&mut self, pick: impl Fn(In) -> Option<T>) -> T {
        loop {
            if let Some(found) = pick(self.next().await) {
                return found;
            }
        }
    }

    fn decoded(&self, message: Message) -> Option<In> {
        let bytes = match (self.encoding, message) {
            (Encoding::Binary, Message::Binary(bytes)) => bytes,
            (Encoding::Json, Message::Text(text)) => text.into(),
            (_, Message::Ping(_) | Message::Pong(_)) => return None,
            (encoding, message) => panic!("{message:?} on a connection of {encoding:?}"),
        };
        Some(
            self.encoding
                .decode(bytes)
                .expect("a message of the schema"),
        )
    }

    /// Reads to the other end's close frame. There has to be one.
    pub async fn closed(mut self) -> Closed<In> {
        let mut heard = Vec::new();
        loop {
            let message = self.next_raw().await;
            if let Some((close_code, reason)) = self.hear(message, &mut heard) {
                return Closed {
                    close_code,
                    reason,
                    heard,
                };
            }
        }
    }

    /// Sends the same again and again until the other end closes.
    pub async fn flood(mut self, message: Message) -> Closed<In> {
        /// Far more than any budget allows.
        const MESSAGES_MAX: usize = 1_000_000;
        /// Sent between two looks at what the other end says.
        const ROUND: usize = 64;
        let mut heard = Vec::new();
        for count in 0..MESSAGES_MAX {
            // What the other end said before a write failed is still to be read.
            if self.socket.feed(message.clone()).await.is_err() {
                break;
            }
            if count % ROUND > 0 {
                continue;
            }
            while let Some(Some(Ok(message))) = self.socket.next().now_or_never() {
                if let Some((close_code, reason)) = self.hear(message, &mut heard) {
                    return Closed {
                        close_code,
                        reason,
                        heard,
                    };
                }
            }
        }
        self.closed().await
    }

    /// Takes a message in; a close frame's code and text are given back.
    fn hear(&self, message: Message, heard: &mut Vec<In>) -> Option<(u16, String)> {
        match message {
            Message::Close(Some(frame)) => Some((frame.code.into(), frame.reason.to_string())),
            Message::Close(None) => panic!("a close frame without a code"),
            message => {
                heard.extend(self.decoded(message));
                None
            }
        }
    }
}

/// Opens a WebSocket to the platform's place for agents, with this query, this list of subprotocols
/// and more header fields. Returns the subprotocol that was agreed.
pub async fn upgrade(
    platform: &Platform,
    query: &str,
    subprotocols: Option<&str>,
    fields: &[(&'static str, String)],
) -> Result<
    (
        WebSocketStream<client::TlsStream<TcpStream>>,
        Option<String>,
    ),
    Error,
> {
    let stream = shake_hands(platform, trusting(platform), "localhost").await;
    upgrade_over(
        platform,
        stream.expect("trusted"),
        query,
        subprotocols,
        fields,
    )
    .await
}

/// A client's settings that trust this platform's CA, and speak TLS 1.3.
pub fn trusting(platform: &Platform) -> Arc<ClientConfig> {
    tls::client_trusting(platform.authorities(), true).expect("a CA")
}

/// TLS with the platform, by this name.
pub async fn shake_hands(
    platform: &Platform,
    config: Arc<ClientConfig>,
    name: &str,
) -> io::Result<client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(platform.tls).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(config).connect(name, stream).await
}

/// The same over TLS that is there.
pub async fn upgrade_over<IO: AsyncRead + AsyncWrite + Unpin>(
    platform: &Platform,
    stream: IO,
    query: &str,
    subprotocols: Option<&str>,
    fields: &[(&'static str, String)],
) -> Result<(WebSocketStream<IO>, Option<String>), Error> {
    let url = format!("wss://{}/v1/agent/ws{query}", platform.tls);
    let mut request = url.into_client_request()?;
    let subprotocols = subprotocols.map(|list| ("sec-websocket-protocol", list.to_owned()));
    for (name, value) in subprotocols.iter().chain(fields) {
        let value = HeaderValue::try_from(value).expect("a value");
        request.headers_mut().append(*name, value);
    }
    let (socket, response) = client_async(request, stream).await?;
    let agreed = response.headers().get("sec-websocket-protocol");
    let agreed = agreed.map(|name| name.to_str().expect("a name").to_owned());
    Ok((socket, agreed))
}

impl RawAgent {
    /// Connects and says nothing yet. The encoding is the subprotocol's.
    pub async fn connect(platform: &Platform, encoding: Encoding) -> Self {
        let (socket, agreed) = upgrade(platform, "", Some(subprotocol(encoding)), &[])
            .await
            .expect("upgraded");
        assert_eq!(agreed.as_deref(), Some(subprotocol(encoding)));
        Self::new(socket, encoding)
    }

    /// Connects and is let in.
    pub async fn admitted(platform: &Platform, encoding: Encoding, token: &str) -> Self {
        let mut agent = Self::connect(platform, encoding).await;
        agent.send(hello(token)).await;
        agent.welcome().await;
        agent
    }

    /// The welcome, which is what comes first.
    pub async fn welcome(&mut self) -> Welcome {
        match self.next().await {
            PlatformToAgent::Welcome(welcome) => welcome,
            other => panic!("no welcome: {other:?}"),
        }
    }
}

pub const fn subprotocol(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Binary => "fleetwire.link.v1.proto",
        Encoding::Json => "fleetwire.link.v1.json",
    }
}

/// The hello of a well-behaved agent with this device token.
pub fn hello(token: &str) -> Hello {
    Hello::new(Secret::new(token.to_owned()), vec![1])
}
