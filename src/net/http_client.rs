//! A small HTTP client for an agent's calls to the platform, before it has a link: enrolment. One
//! connection a request, everything bounded in time and size, and errors that say what to do. The
//! tunnel's traffic does not come here; operators' calls are gRPC's (`cli::connection`).

use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{tcp, tls};
use crate::secret::Secret;
use crate::wire::json::api::{self, Whole};

/// A connection that takes longer is to nobody.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Every call is answered by the platform itself, out of its store.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer: what an agent is told is a few certificates; a page of a thousand hosts, which tests
/// ask for, is half a megabyte.
const RESPONSE_BYTES_MAX: usize = 1024 * 1024;

/// A platform's address: `https://host[:port]`, or `http://` towards this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    https: bool,
    host: String,
    port: u16,
}

/// The text is no platform address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerUrlError {
    /// It cannot be read as a URL with scheme and host alone.
    #[error("{0:?} is no platform address; it looks like https://platform.example.com:8443")]
    Form(String),
    /// Plain HTTP would carry secrets over a network.
    #[error("{0:?} would send secrets in the clear: use https, http is for this machine only")]
    Plain(String),
}

impl ServerUrl {
    /// Whether TLS is spoken.
    pub const fn is_https(&self) -> bool {
        self.https
    }

    /// The host's name, or its address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 443 or 80 where the text has none.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as they stand in a `Host` field.
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

impl FromStr for ServerUrl {
    type Err = ServerUrlError;

    fn from_str(text: &str) -> Result<Self, ServerUrlError> {
        let form = || ServerUrlError::Form(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| form())?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(form()),
        };
        let authority = uri.authority().ok_or_else(form)?;
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        if ServerName::try_from(host).is_err()
            || authority.as_str().contains('@')
            || !matches!(uri.path(), "" | "/")
            || uri.query().is_some()
        {
            return Err(form());
        }
        let here = host.eq_ignore_ascii_case("localhost")
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        if !https && !here {
            return Err(ServerUrlError::Plain(text.to_owned()));
        }
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") if https => 443,
            Some("") => 80,
            Some(port) => port.trim_start_matches(':').parse().map_err(|_| form())?,
            None => return Err(form()),
        };
        Ok(Self {
            https,
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl std::fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}://{}",
            if self.https { "https" } else { "http" },
            self.authority()
        )
    }
}

/// What a refusal says: the part of RFC 9457 problem details that a client of ours looks at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What happened, for people.
    pub detail: String,
    /// What happened, as a stable word for programs.
    pub code: String,
}

/// A call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection.
    #[error("cannot reach {server}: {source}; is the platform running there?")]
    Connect {
        /// The address.
        server: ServerUrl,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A connection, but no TLS: most often another CA or another name in the certificate.
    #[error("{server} cannot be trusted: {}", tls::reason(source))]
    Tls {
        /// The address.
        server: ServerUrl,
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
    /// No answer in time.
    #[error("{0} does not answer")]
    Timeout(ServerUrl),
    /// What came is no HTTP, or the connection broke.
    #[error("talking to {server} failed: {reason}")]
    Protocol {
        /// The address.
        server: ServerUrl,
        /// What went wrong.
        reason: String,
    },
    /// The platform refused, and said why.
    #[error("{}", .0.detail)]
    Problem(Problem),
}

impl HttpError {
    /// Why TLS with this server came to nothing.
    pub fn of_handshake(server: &ServerUrl, error: &io::Error) -> Self {
        let server = server.clone();
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner.cloned() {
            Some(source) => Self::Tls { server, source },
            None => Self::Protocol {
                server,
                reason: tls::plain_words(&error.to_string()).to_owned(),
            },
        }
    }

    /// The stable code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.code),
            _ => None,
        }
    }

    /// Whether the same call may succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout(_) | Self::Protocol { .. } => true,
            // A certificate may be out of its time because a clock is not set yet, and a wrong CA
            // stays wrong; only the alert-free breaks come as `Protocol`.
            Self::Tls { .. } => false,
            Self::Problem(problem) => problem.status >= 500 || problem.status == 429,
        }
    }
}

/// Calls to one platform.
#[derive(Clone)]
pub struct HttpClient {
    server: ServerUrl,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    bearer: Option<Secret>,
}

impl HttpClient {
    /// A client that speaks plain HTTP to an `http` address, or TLS with these settings. The name in
    /// the certificate is `server_name` when given (and sent as SNI), otherwise the address's host.
    ///
    /// # Errors
    /// When the name is no server name.
    pub fn new(
        server: ServerUrl,
        tls: Arc<ClientConfig>,
        server_name: Option<&str>,
    ) -> Result<Self, ServerUrlError> {
        let name = server_name.unwrap_or(&server.host);
        let name = ServerName::try_from(name)
            .map_err(|_| ServerUrlError::Form(name.to_owned()))?
            .to_owned();
        let tls = server.https.then_some((tls, name));
        Ok(Self {
            server,
            tls,
            bearer: None,
        })
    }

    /// A client that speaks plain HTTP to this machine.
    ///
    /// # Errors
    /// When the address is `https`.
    pub fn plain(server: ServerUrl) -> Result<Self, ServerUrlError> {
        if server.https {
            return Err(ServerUrlError::Form(server.to_string()));
        }
        Ok(Self {
            server,
            tls: None,
            bearer: None,
        })
    }

    /// Authenticates every call with a bearer token (RFC 6750).
    #[must_use]
    pub fn with_bearer(mut self, token: Secret) -> Self {
        self.bearer = Some(token);
        self
    }

    /// Posts a request of the API and reads its answer, both as the schema has them.
    ///
    /// # Errors
    /// See [`HttpError`]; a refusal by the platform is [`HttpError::Problem`].
    pub async fn post<Q: Whole, A: Whole>(&self, path: &str, request: Q) -> Result<A, HttpError> {
        let body = api::write_request(request);
        let answer = self.call(Method::POST, path, body).await?;
        api::read_answer(&answer)
            .map_err(|error| self.protocol(format!("its answer cannot be read: {error}")))
    }

    /// Makes a call with a JSON body, or none, and hands on the body of the answer as it came.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, HttpError> {
        let exchange = self.exchange(method, path, body);
        let (status, answer) = timeout(REQUEST_TIMEOUT, exchange)
            .await
            .map_err(|_| HttpError::Timeout(self.server.clone()))??;
        if !status.is_success() {
            return Err(self.refused(status, &answer));
        }
        Ok(answer)
    }

    fn refused(&self, status: StatusCode, answer: &[u8]) -> HttpError {
        match serde_json::from_slice::<Problem>(answer) {
            Ok(problem) => HttpError::Problem(problem),
            Err(_) => self.protocol(format!("it answered {status}, so it is no platform")),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), HttpError> {
        let connect = |source| HttpError::Connect {
            server: self.server.clone(),
            source,
        };
        let tcp = timeout(
            CONNECT_TIMEOUT,
            tcp::connect(&self.server.host, self.server.port),
        )
        .await
        .map_err(|_| HttpError::Timeout(self.server.clone()))?
        .map_err(connect)?;
        tcp.set_nodelay(true).map_err(connect)?;
        match &self.tls {
            Some((config, name)) => {
                let connector = TlsConnector::from(config.clone());
                let stream = connector
                    .connect(name.clone(), tcp)
                    .await
                    .map_err(|error| HttpError::of_handshake(&self.server, &error))?;
                self.over(stream, method, path, body).await
            }
            None => self.over(tcp, method, path, body).await,
        }
    }

    async fn over<S>(
        &self,
        stream: S,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), HttpError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let failed = |error: hyper::Error| self.protocol(error.to_string());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(failed)?;
        let request = self.request(method, path, body)?;
        let exchange = async {
            let late = |_| HttpError::Timeout(self.server.clone());
            let answered = timeout(REQUEST_TIMEOUT, sender.send_request(request));
            let answered = answered.await.map_err(late)?.map_err(failed)?;
            let (head, body) = answered.into_parts();
            let body = Limited::new(body, RESPONSE_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| {
                    self.protocol(if error.is::<LengthLimitError>() {
                        "its answer is too large".to_owned()
                    } else {
                        error.to_string()
                    })
                })?;
            Ok((head.status, body.to_bytes()))
        };
        tokio::pin!(exchange);
        // The connection is driven here rather than by a task, so that it ends with the call.
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            _ = connection => exchange.await,
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, HttpError> {
        let invalid = |error: String| self.protocol(error);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.server.authority())
            .header(USER_AGENT, concat!("fleetwire/", env!("CARGO_PKG_VERSION")));
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.bearer {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .map_err(|_| invalid("the token holds characters that no token has".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request
            .body(Full::new(body))
            .map_err(|error| invalid(error.to_string()))
    }

    fn protocol(&self, reason: String) -> HttpError {
        HttpError::Protocol {
            server: self.server.clone(),
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let url = |text: &str| text.parse::<ServerUrl>();
        let read = url("https://Platform.Example.com").expect("an address");
        assert_eq!(
            (read.host(), read.port(), read.is_https()),
            ("platform.example.com", 443, true)
        );
        assert_eq!(read.to_string(), "https://platform.example.com:443");
        let read = url("https://[::1]:8443/").expect("an address");
        assert_eq!(
            (read.host(), read.authority().as_str()),
            ("::1", "[::1]:8443")
        );
        assert!(url("http://127.0.0.1:8080").is_ok_and(|url| !url.is_https()));
        assert!(matches!(
            url("http://platform.example.com"),
            Err(ServerUrlError::Plain(_))
        ));
        for text in [
            "",
            "platform",
            "platform:8443",
            "ftp://platform",
            "https://",
            "https://a b",
            "https://user@platform",
            "https://platform/path",
            "https://platform/?q",
            "https://a:99999",
        ] {
            assert!(matches!(url(text), Err(ServerUrlError::Form(_))), "{text}");
        }
    }
}
