//! A gRPC connection to the platform, as the generated clients want it: HTTP/2 over TLS with the roots
//! that were chosen, or in plain towards this machine. It owns how the connection is made, the
//! credential and the key on each call, the time that a call has, and how a failure reads. What is called is left
//! to others.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower_service::Service;

use crate::audit::export::hex;
use crate::net::http_client::{HttpError, ServerUrl, ServerUrlError};
use crate::net::{tcp, tls};
use crate::secret::{Secret, random};

/// A connection that takes longer is to nobody.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Every call is answered by the platform itself, out of its store.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an open call asks whether the platform is still there, and how long that may take.
const ALIVE_EVERY: Duration = Duration::from_secs(20);
/// Largest answer, or part of one: a page of a thousand hosts with their health is half a megabyte.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Makes trying again safe.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How long one may be that the platform takes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=255;
/// Where the codes of `google.rpc.ErrorInfo` are the platform's own.
const DOMAIN: &str = "fleetwire";

/// A call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The platform was not reached, or not understood.
    #[error(transparent)]
    Reach(#[from] HttpError),
    /// The platform refused, and said why.
    #[error("{detail}")]
    Refused {
        /// The stable code, as over REST.
        code: String,
        /// For people.
        detail: String,
    },
}

impl CallError {
    /// The stable code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Reach(_) => None,
        }
    }
}

/// A platform that calls may go to.
#[derive(Clone)]
pub struct Target {
    server: ServerUrl,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    bearer: Option<Secret>,
}

impl Target {
    /// A platform behind TLS; the settings say whom to trust.
    ///
    /// # Errors
    /// When the address's host is no server name.
    pub fn secured(server: ServerUrl, tls: &ClientConfig) -> Result<Self, ServerUrlError> {
        let host = server.host();
        let name = ServerName::try_from(host)
            .map_err(|_| ServerUrlError::Form(host.to_owned()))?
            .to_owned();
        Ok(Self {
            tls: Some((tls::over_http2(tls), name)),
            server,
            bearer: None,
        })
    }

    /// A platform on this machine, in plain.
    pub const fn plain(server: ServerUrl) -> Self {
        Self {
            server,
            tls: None,
            bearer: None,
        }
    }

    /// Authenticates every call with a bearer token (RFC 6750).
    #[must_use]
    pub fn with_bearer(mut self, token: Secret) -> Self {
        self.bearer = Some(token);
        self
    }

    /// Which platform.
    pub const fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Connects. Needs a tokio runtime; the connection ends with its last clone.
    ///
    /// # Errors
    /// When nobody answers, or somebody who is not to be trusted.
    pub async fn connect(&self) -> Result<Connection, CallError> {
        let connected = timeout(CONNECT_TIMEOUT, self.reach()).await;
        Ok(connected.map_err(|_| HttpError::Timeout(self.server.clone()))??)
    }

    async fn reach(&self) -> Result<Connection, HttpError> {
        let server = &self.server;
        let failed = |source| HttpError::Connect {
            server: server.clone(),
            source,
        };
        let tcp = tcp::connect(server.host(), server.port())
            .await
            .map_err(failed)?;
        tcp.set_nodelay(true).map_err(failed)?;
        let Some((config, name)) = &self.tls else {
            return self.over(tcp).await;
        };
        let connector = TlsConnector::from(config.clone());
        let stream = connector.connect(name.clone(), tcp).await;
        let stream =
            stream.map_err(|error| {
                match HttpError::of_handshake(server, &error) {
                    // It was asked for HTTP/2 and nothing else.
                    HttpError::Tls {
                        source:
                            rustls::Error::AlertReceived(
                                rustls::AlertDescription::NoApplicationProtocol,
                            ),
                        ..
                    } => self.no_grpc(),
                    error => error,
                }
            })?;
        if stream.get_ref().1.alpn_protocol() != Some(tls::ALPN_HTTP2) {
            return Err(self.no_grpc());
        }
        self.over(stream).await
    }

    async fn over<S>(&self, stream: S) -> Result<Connection, HttpError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(ALIVE_EVERY)
            .keep_alive_timeout(ALIVE_EVERY)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error.to_string()))?;
        // What ends the connection ends each call on it, and is said there.
        tokio::spawn(async { connection.await.ok() });
        let bearer = match &self.bearer {
            None => None,
            Some(token) => {
                let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
                let mut value = value.map_err(|_| {
                    self.broken("the token holds characters that no token has".to_owned())
                })?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let origin = self.server.to_string().parse();
        Ok(Connection {
            server: self.server.clone(),
            origin: origin.map_err(|_| self.broken("its address is none".to_owned()))?,
            sender,
            bearer,
            key: None,
        })
    }

    fn no_grpc(&self) -> HttpError {
        self.broken("it speaks no gRPC (HTTP/2) there".to_owned())
    }

    fn broken(&self, reason: String) -> HttpError {
        HttpError::Protocol {
            server: self.server.clone(),
            reason,
        }
    }
}

/// An open connection; its clones share it.
#[derive(Clone)]
pub struct Connection {
    server: ServerUrl,
    origin: Uri,
    sender: SendRequest<Body>,
    bearer: Option<HeaderValue>,
    key: Option<HeaderValue>,
}

/// Under which a call is made, so that what it makes is made once however often it is called.
#[derive(Clone)]
pub struct CallKey(HeaderValue);

impl CallKey {
    /// One that nobody has had.
    pub fn random() -> Self {
        let text = hex(&random::<16>());
        // Hexadecimal digits are a value.
        let mut value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        // Whoever has it is given the answer, where they have the credential too.
        value.set_sensitive(true);
        Self(value)
    }

    /// One that its caller chose; `None` where the platform takes none such.
    pub fn named(text: &str) -> Option<Self> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !KEY_BYTES.contains(&text.len()) {
            return None;
        }
        let mut value = HeaderValue::from_str(text).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }
}

impl Connection {
    /// The same connection, for a call under this key.
    #[must_use]
    pub fn under(&self, key: &CallKey) -> Self {
        Self {
            key: Some(key.0.clone()),
            ..self.clone()
        }
    }

    /// What stands in front of each method's path.
    pub fn origin(&self) -> Uri {
        self.origin.clone()
    }

    /// The answer of a call, in time, or why there is none.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn answer<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, CallError> {
        match timeout(CALL_TIMEOUT, call).await {
            Ok(answer) => answer
                .map(tonic::Response::into_inner)
                .map_err(|status| self.failed(status)),
            Err(_) => Err(HttpError::Timeout(self.server.clone()).into()),
        }
    }

    /// What a failure is to whoever called.
    pub fn failed(&self, status: Status) -> CallError {
        let info = status.get_details_error_info();
        if let Some(info) = info.filter(|info| info.domain == DOMAIN) {
            return CallError::Refused {
                code: info.reason,
                detail: status.message().to_owned(),
            };
        }
        let reason = match status.code() {
            Code::Unimplemented => {
                "it does not know this call; it is of another version than this program".to_owned()
            }
            code => {
                let why = innermost(&status);
                let message = match &why {
                    Some(why) => why.as_str(),
                    None => status.message(),
                };
                match tls::plain_words(message) {
                    "" => code.description().to_lowercase(),
                    words => words.to_owned(),
                }
            }
        };
        let server = self.server.clone();
        HttpError::Protocol { server, reason }.into()
    }
}

/// The first cause of a failure, which says more than what it led to.
fn innermost(status: &Status) -> Option<String> {
    let mut cause = std::error::Error::source(status)?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause.to_string())
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(bearer) = &self.bearer {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        }
        if let Some(key) = &self.key {
            request.headers_mut().insert(IDEMPOTENCY_KEY, key.clone());
        }
        Box::pin(self.sender.send_request(request))
    }
}
