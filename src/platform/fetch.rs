//! Requests that the platform makes to others: to an OpenID provider, and to webhooks. One connection each, TLS with the
//! machine's roots or given ones, and every answer bounded in size and time. No redirect is followed: what the settings
//! and a provider's documents name is where the platform goes, and nowhere else.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::net::http_client::ServerUrl;
use crate::net::tcp;
use crate::net::tls;
use crate::secret::Secret;

/// From the dialling to the answer's last byte; a user who signs in waits for three of these in a row.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer: keys and documents of known providers stay under 20 KiB.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Largest head of an answer, and most fields in it.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEAD_FIELDS_MAX: usize = 100;

/// A URL to ask: `https`, or `http` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    server: ServerUrl,
    /// Host and port as the URL has them.
    authority: String,
    /// Path and query.
    path: String,
}

impl Endpoint {
    /// Whether TLS is spoken there.
    pub const fn is_https(&self) -> bool {
        self.server.is_https()
    }

    /// Reads one.
    ///
    /// # Errors
    /// A sentence that says what such a URL has to be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} is no address like https://id.example.com/path");
        // A fragment is no part of a request, and `Uri` drops it without a word.
        if text.contains('#') {
            return Err(form());
        }
        let uri: Uri = text.parse().map_err(|_| form())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(form());
        };
        let server: ServerUrl = format!("{scheme}://{authority}")
            .parse()
            .map_err(|_| format!("{text:?} has to be https, or http on this machine"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            server,
            authority: authority.as_str().to_owned(),
            path: path.to_owned(),
        })
    }
}

/// What is asked for.
pub enum Ask<'a> {
    /// A document for everybody.
    Document,
    /// What an access token opens.
    With(&'a Secret),
    /// JSON to a webhook.
    Signed {
        /// The JSON.
        body: Bytes,
        /// What it is signed with, as fields.
        fields: [(&'static str, String); 3],
    },
    /// A form, with HTTP Basic credentials where the client has a secret that goes there.
    Form {
        /// The form, encoded. It holds secrets.
        body: Secret,
        /// The value of `Authorization` after `Basic`.
        basic: Option<Secret>,
    },
}

/// There is no answer that can be used. The texts name the server and nothing that is secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Its name is that of an address that is not to be reached.
    #[error("{0} is at a private address, which the settings do not allow")]
    Private(ServerUrl),
    /// No connection.
    #[error("{0}: {1}")]
    Connect(ServerUrl, String),
    /// No answer in time.
    #[error("{0} does not answer")]
    Late(ServerUrl),
    /// Its certificate is not to be trusted.
    #[error("{0}: {1}")]
    Certificate(ServerUrl, String),
    /// A connection, and then no HTTP.
    #[error("{0}: {1}")]
    Talk(ServerUrl, String),
    /// Its answer is too large.
    #[error("{0} answers more than 256 KiB")]
    TooLarge(ServerUrl),
    /// What is to be sent cannot be.
    #[error("{0} holds what no header can")]
    Field(&'static str),
}

/// Asks others.
pub struct Fetcher {
    tls: Arc<ClientConfig>,
    private: bool,
}

impl Fetcher {
    /// One that trusts what these settings trust.
    pub const fn new(tls: Arc<ClientConfig>) -> Self {
        let private = true;
        Self { tls, private }
    }

    /// The same; without `private` it reaches no address of this machine or of a private network, whatever names
    /// lead there.
    #[must_use]
    pub fn reaching(self, private: bool) -> Self {
        Self { private, ..self }
    }

    /// Asks once, and gives the answer whatever its status; to something signed that is the status alone, whatever
    /// the receiver has to say beside it and however long that takes.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch(
        &self,
        endpoint: &Endpoint,
        ask: Ask<'_>,
    ) -> Result<(StatusCode, Bytes), FetchError> {
        timeout(FETCH_TIMEOUT, self.exchange(endpoint, ask))
            .await
            .map_err(|_| FetchError::Late(endpoint.server.clone()))?
    }

    async fn exchange(
        &self,
        endpoint: &Endpoint,
        ask: Ask<'_>,
    ) -> Result<(StatusCode, Bytes), FetchError> {
        let server = &endpoint.server;
        let connect = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::PermissionDenied if !self.private => {
                FetchError::Private(server.clone())
            }
            _ => FetchError::Connect(server.clone(), error.to_string()),
        };
        let wants_body = !matches!(ask, Ask::Signed { .. });
        let request = request(endpoint, ask)?;
        let allowed = |address| self.private || !is_private(address);
        let tcp = tcp::connect_where(server.host(), server.port(), allowed)
            .await
            .map_err(connect)?;
        tcp.set_nodelay(true).map_err(connect)?;
        if !server.is_https() {
            return over(server, tcp, request, wants_body).await;
        }
        let name = ServerName::try_from(server.host().to_owned())
            .map_err(|error| FetchError::Connect(server.clone(), error.to_string()))?;
        let stream = TlsConnector::from(self.tls.clone())
            .connect(name, tcp)
            .await
            .map_err(|error| {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
                match inner {
                    Some(inner @ rustls::Error::InvalidCertificate(_)) => {
                        FetchError::Certificate(server.clone(), tls::reason(inner).to_owned())
                    }
                    Some(inner) => FetchError::Talk(server.clone(), tls::reason(inner).to_owned()),
                    None => {
                        let error = error.to_string();
                        FetchError::Talk(server.clone(), tls::plain_words(&error).to_owned())
                    }
                }
            })?;
        over(server, stream, request, wants_body).await
    }
}

async fn over<S>(
    server: &ServerUrl,
    stream: S,
    request: Request<Full<Bytes>>,
    wants_body: bool,
) -> Result<(StatusCode, Bytes), FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| FetchError::Talk(server.clone(), error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEAD_FIELDS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(failed)?;
        let (head, body) = answer.into_parts();
        if !wants_body {
            return Ok((head.status, Bytes::new()));
        }
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => failed(*error),
            Err(_) => FetchError::TooLarge(server.clone()),
        })?;
        Ok((head.status, body.to_bytes()))
    };
    tokio::pin!(exchange);
    // The connection is driven here rather than by a task, so that it ends with the answer.
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        _ = connection => exchange.await,
    }
}

fn request(endpoint: &Endpoint, ask: Ask<'_>) -> Result<Request<Full<Bytes>>, FetchError> {
    let mut request = Request::builder()
        .uri(endpoint.path.as_str())
        .header(HOST, endpoint.authority.as_str())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("fleetwire/", env!("CARGO_PKG_VERSION")));
    let mut body = Bytes::new();
    let authorise = |scheme: &str, secret: &Secret| {
        let value = format!("{scheme} {}", secret.expose());
        HeaderValue::try_from(value).map(|mut value| {
            value.set_sensitive(true);
            value
        })
    };
    match ask {
        Ask::Document => {}
        Ask::With(token) => {
            let value =
                authorise("Bearer", token).map_err(|_| FetchError::Field("its access token"))?;
            request = request.header(AUTHORIZATION, value);
        }
        Ask::Signed { body: json, fields } => {
            request = request
                .method(Method::POST)
                .header(CONTENT_TYPE, "application/json");
            for (name, value) in fields {
                request = request.header(name, value);
            }
            body = json;
        }
        Ask::Form { body: form, basic } => {
            request = request
                .method(Method::POST)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            if let Some(basic) = basic {
                let value =
                    authorise("Basic", &basic).map_err(|_| FetchError::Field("the secret"))?;
                request = request.header(AUTHORIZATION, value);
            }
            body = Bytes::copy_from_slice(form.expose().as_bytes());
        }
    }
    request
        .body(Full::new(body))
        .map_err(|_| FetchError::Field("its address"))
}

/// Whether an address is of this machine, of a private network or of none: what is not to be had from anywhere.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                // "This network" (RFC 1122), carrier-grade NAT (RFC 6598), benchmarks (RFC 2544), and what is reserved.
                || a == 0
                || (a == 100 && b & 0xc0 == 64)
                || (a == 198 && b & 0xfe == 18)
                || a >= 240
        }
        IpAddr::V6(address) => {
            let first = address.segments()[0];
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                // NAT64 (RFC 6052) and 6to4 (RFC 3056) carry addresses of the other kind.
                || first == 0x64
                || first == 0x2002
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn fetcher() -> Fetcher {
        let tls = tls::client_pinned([0; 32]).expect("settings");
        Fetcher::new(tls)
    }

    #[test]
    fn an_endpoint_is_https_or_on_this_machine() {
        let endpoint = Endpoint::parse("https://id.example.com/token?tenant=1").expect("one");
        assert_eq!(endpoint.authority, "id.example.com");
        assert_eq!(endpoint.path, "/token?tenant=1");
        assert!(Endpoint::parse("http://127.0.0.1:3000").is_ok());
        assert!(Endpoint::parse("http://[::1]:3000/x").is_ok());
        for text in [
            "",
            "/token",
            "http://id.example.com/token",
            "ftp://id.example.com/token",
            "https://user@id.example.com/token",
            "https://id.example.com/token#fragment",
            "https://id.example.com:port/token",
            "https://id example.com/",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_says_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let endpoint = Endpoint::parse(&format!("http://{address}/")).expect("one");
        let answer = fetcher().fetch(&endpoint, Ask::Document).await;
        assert!(matches!(answer, Err(FetchError::Late(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn a_private_address_is_reached_only_where_it_may_be() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("bound").port();
        for host in ["127.0.0.1", "localhost"] {
            let endpoint = Endpoint::parse(&format!("http://{host}:{port}/")).expect("one");
            let asked = fetcher().reaching(false);
            let answer = asked.fetch(&endpoint, Ask::Document).await;
            assert!(matches!(answer, Err(FetchError::Private(_))), "{answer:?}");
        }
        for (address, private) in [
            ("10.1.2.3", true),
            ("192.168.0.1", true),
            ("169.254.169.254", true),
            ("100.64.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("64:ff9b::7f00:1", true),
            ("100.128.0.1", false),
            ("1.1.1.1", false),
            ("2606:4700::1111", false),
        ] {
            let parsed = address.parse().expect("an address");
            assert_eq!(is_private(parsed), private, "{address}");
        }
    }
}
