//! A browser as far as a sign-in needs one: redirects, cookies, and forms that are filled in.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// More pages than any sign-in has.
const STEPS_MAX: usize = 20;

/// What a server answers.
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    cookies: Vec<String>,
    pub body: String,
}

/// A browser with its cookies.
#[derive(Default)]
pub struct Browser {
    cookies: BTreeMap<String, String>,
    tls: Option<Arc<ClientConfig>>,
}

impl Browser {
    /// One that trusts what this trusts.
    pub fn trusting(tls: Arc<ClientConfig>) -> Self {
        Self {
            tls: Some(tls),
            ..Self::default()
        }
    }

    /// Goes to an address, signs in as `login`, consents, and gives the parameters with which the
    /// provider sends it on to `redirect_uri`.
    pub async fn sign_in(
        &mut self,
        address: &str,
        login: &str,
        redirect_uri: &str,
    ) -> BTreeMap<String, String> {
        let mut address = address.to_owned();
        let mut form = None;
        for _ in 0..STEPS_MAX {
            let answer = self.go(&address, form.take()).await;
            if let Some(location) = answer.location {
                if let Some(query) = location.strip_prefix(redirect_uri) {
                    return parameters(query.trim_start_matches('?'));
                }
                address = absolute(&address, &location);
                continue;
            }
            assert_eq!(answer.status, 200, "{address}: {}", answer.body);
            let page = &answer.body;
            let action = between(page, "action=\"", "\"").expect("a form");
            let prompt = between(page, "name=\"prompt\" value=\"", "\"").expect("a form");
            address = absolute(&address, action);
            form = Some(format!(
                "prompt={prompt}&login={}&password=x",
                login.replace(',', "%2C")
            ));
        }
        panic!("{address} is not the last page");
    }

    async fn go(&mut self, address: &str, form: Option<String>) -> Answer {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = cookies.join("; ");
        let headers = [
            (COOKIE, cookies.as_str()),
            (CONTENT_TYPE, "application/x-www-form-urlencoded"),
        ];
        let (method, body) = match form {
            Some(form) => (Method::POST, form),
            None => (Method::GET, String::new()),
        };
        let answer = request_over(self.tls.clone(), method, address, body, &headers).await;
        for cookie in &answer.cookies {
            let pair = cookie.split(';').next().expect("a first part");
            let (name, value) = pair.split_once('=').expect("a pair");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}

/// One request in plain HTTP.
pub async fn request(
    method: Method,
    address: &str,
    body: String,
    headers: &[(hyper::header::HeaderName, &str)],
) -> Answer {
    request_over(None, method, address, body, headers).await
}

async fn request_over(
    tls: Option<Arc<ClientConfig>>,
    method: Method,
    address: &str,
    body: String,
    headers: &[(hyper::header::HeaderName, &str)],
) -> Answer {
    let uri: Uri = address.parse().expect("an address");
    let authority = uri.authority().expect("a host").as_str().to_owned();
    let path = uri.path_and_query().expect("a path").as_str();
    let mut request = Request::builder().method(method).uri(path);
    request = request.header(HOST, authority.as_str());
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).expect("whole");
    let tcp = TcpStream::connect(authority.as_str()).await;
    let tcp = tcp.expect("it listens");
    match tls {
        Some(tls) => {
            let name = ServerName::try_from(uri.host().expect("a host").to_owned());
            let connecting = tokio_rustls::TlsConnector::from(tls);
            let stream = connecting.connect(name.expect("a name"), tcp).await;
            over(stream.expect("trusted"), request).await
        }
        None => over(tcp, request).await,
    }
}

async fn over<S>(stream: S, request: Request<Full<Bytes>>) -> Answer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let opened = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = opened.expect("HTTP");
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("whole").to_bytes();
    connection.abort();
    let text = |value: &hyper::header::HeaderValue| value.to_str().expect("text").to_owned();
    Answer {
        status: head.status.as_u16(),
        location: head.headers.get(LOCATION).map(text),
        cookies: head.headers.get_all(SET_COOKIE).iter().map(text).collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// An address that a page of another one names.
fn absolute(base: &str, address: &str) -> String {
    if address.starts_with('/') {
        let uri: Uri = base.parse().expect("an address");
        let scheme = uri.scheme_str().expect("a scheme");
        format!("{scheme}://{}{address}", uri.authority().expect("a host"))
    } else {
        address.to_owned()
    }
}

fn parameters(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split(after).next()
}
