//! Requests to the provider: one connection each, TLS with the machine's roots or given ones, and
//! every answer bounded in size and time. No redirect is followed: what the provider's documents name
//! is where the platform goes, and nowhere else.

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

use super::fault::OidcError;
use crate::net::http_client::ServerUrl;
use crate::net::tcp;
use crate::net::tls;
use crate::secret::Secret;

/// From the dialling to the answer's last byte; a user waits for three of these in a row.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer: keys and documents of known providers stay under 20 KiB.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Largest head of an answer, and most fields in it.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEAD_FIELDS_MAX: usize = 100;

/// A URL of the provider: `https`, or `http` on this machine.
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
    /// A sentence that says what a URL of a provider has to be.
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
    /// JSON to a webhook, which is no provider and asked in the same way.
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

/// Asks the provider.
pub struct Fetcher {
    tls: Arc<ClientConfig>,
}

impl Fetcher {
    /// One that trusts what these settings trust.
    pub const fn new(tls: Arc<ClientConfig>) -> Self {
        Self { tls }
    }

    /// Asks once, and gives the answer whatever its status.
    ///
    /// # Errors
    /// [`OidcError::Unreachable`] when there is no answer, [`OidcError::Provider`] when it is too large.
    pub async fn fetch(
        &self,
        endpoint: &Endpoint,
        ask: Ask<'_>,
    ) -> Result<(StatusCode, Bytes), OidcError> {
        let late = |_| OidcError::Unreachable(format!("{} does not answer", endpoint.server));
        timeout(FETCH_TIMEOUT, self.exchange(endpoint, ask))
            .await
            .map_err(late)?
    }

    async fn exchange(
        &self,
        endpoint: &Endpoint,
        ask: Ask<'_>,
    ) -> Result<(StatusCode, Bytes), OidcError> {
        let server = &endpoint.server;
        let unreachable =
            |reason: &dyn std::fmt::Display| OidcError::Unreachable(format!("{server}: {reason}"));
        let request = request(endpoint, ask)?;
        let tcp = tcp::connect(server.host(), server.port())
            .await
            .map_err(|error| unreachable(&error))?;
        tcp.set_nodelay(true).map_err(|error| unreachable(&error))?;
        if !server.is_https() {
            return over(server, tcp, request).await;
        }
        let name =
            ServerName::try_from(server.host().to_owned()).map_err(|error| unreachable(&error))?;
        let stream = TlsConnector::from(self.tls.clone())
            .connect(name, tcp)
            .await
            .map_err(|error| {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
                match inner {
                    Some(inner) => unreachable(&tls::reason(inner)),
                    None => unreachable(&tls::plain_words(&error.to_string())),
                }
            })?;
        over(server, stream, request).await
    }
}

async fn over<S>(
    server: &ServerUrl,
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), OidcError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| OidcError::Unreachable(format!("{server}: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEAD_FIELDS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(failed)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => failed(*error),
            Err(_) => OidcError::Provider(format!("{server} answers more than 256 KiB")),
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

fn request(endpoint: &Endpoint, ask: Ask<'_>) -> Result<Request<Full<Bytes>>, OidcError> {
    let invalid = |what: &str| OidcError::Provider(format!("{what} holds what no header can"));
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
            let value = authorise("Bearer", token).map_err(|_| invalid("its access token"))?;
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
                let value = authorise("Basic", &basic).map_err(|_| invalid("the secret"))?;
                request = request.header(AUTHORIZATION, value);
            }
            body = Bytes::copy_from_slice(form.expose().as_bytes());
        }
    }
    request
        .body(Full::new(body))
        .map_err(|_| invalid("its address"))
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
        assert!(
            matches!(answer, Err(OidcError::Unreachable(_))),
            "{answer:?}"
        );
    }
}
