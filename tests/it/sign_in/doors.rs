//! One way to ask over both doors: a method by both of its names, a request and an answer as JSON, and a
//! refusal with what both say of it.

use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use fleetwire::wire::json::JsonMessage;
use fleetwire::wire::json::api as json;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Map, Value};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use crate::support::{PATIENCE, Platform};

/// The two doors to the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Rest,
    Grpc,
}

pub const DOORS: [Door; 2] = [Door::Rest, Door::Grpc];

/// A method of the API, as each door names it.
pub struct Method<Q, A> {
    verb: &'static str,
    path: &'static str,
    rpc: &'static str,
    shown: &'static str,
    messages: PhantomData<fn(Q) -> A>,
}

/// `path` has `{name}` where a field stands; `shown` is the field of the answer that REST shows, if any.
pub const fn method<Q, A>(
    verb: &'static str,
    path: &'static str,
    rpc: &'static str,
    shown: &'static str,
) -> Method<Q, A> {
    let messages = PhantomData;
    Method {
        verb,
        path,
        rpc,
        shown,
        messages,
    }
}

/// What both doors say of a refusal.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of HTTP, or the one that gRPC's stands for.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// Seconds to wait, as far as it says so.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// What is compared most often.
    pub fn what(self) -> (u16, String) {
        (self.status, self.code)
    }
}

/// Somebody who asks, from an address of this machine.
pub struct Visitor<'a> {
    platform: &'a Platform,
    token: Option<String>,
    address: Ipv4Addr,
}

impl<'a> Visitor<'a> {
    /// Nobody in particular.
    pub fn new(platform: &'a Platform) -> Self {
        Self::from(platform, Ipv4Addr::LOCALHOST)
    }

    /// The same from this address, which has to be one of the loopback's.
    pub const fn from(platform: &'a Platform, address: Ipv4Addr) -> Self {
        Self {
            platform,
            token: None,
            address,
        }
    }

    /// Whoever has this token.
    pub fn with(platform: &'a Platform, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..Self::new(platform)
        }
    }

    /// Asks by a door, on a connection of its own. `fields` are those of the request; where REST has
    /// them follows from the path and the verb.
    pub async fn ask<Q, A>(
        &self,
        door: Door,
        method: &Method<Q, A>,
        fields: Value,
    ) -> Result<Value, Refusal>
    where
        Q: prost::Message + JsonMessage + Default + 'static,
        A: prost::Message + JsonMessage + Default + 'static,
    {
        let asked = async {
            match door {
                Door::Rest => self.rest(method, fields).await,
                Door::Grpc => self.grpc(method, fields).await,
            }
        };
        timeout(PATIENCE, asked).await.expect("answered")
    }

    async fn connect(&self) -> TokioIo<TcpStream> {
        let socket = TcpSocket::new_v4().expect("a socket");
        let from = SocketAddr::new(IpAddr::V4(self.address), 0);
        socket.bind(from).expect("an address of this machine");
        let stream = socket.connect(self.platform.http).await;
        TokioIo::new(stream.expect("it listens"))
    }

    async fn rest<Q, A>(&self, method: &Method<Q, A>, fields: Value) -> Result<Value, Refusal> {
        let Value::Object(fields) = fields else {
            panic!("a request is an object: {fields}");
        };
        let (target, body) = place(method.verb, method.path, fields);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(self.connect().await)
            .await
            .expect("a connection");
        tokio::spawn(connection);
        let mut request = Request::builder().method(method.verb).uri(target);
        request = request.header(HOST, "localhost");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(Bytes::from(body)));
        let answer = sender.send_request(request.expect("a request")).await;
        let (head, body) = answer.expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        if head.status.is_success() {
            return Ok(serde_json::from_slice(&body).unwrap_or_default());
        }
        let problem: Value = serde_json::from_slice(&body).expect("a problem");
        assert_eq!(problem["status"], head.status.as_u16());
        let wait = head.headers.get(RETRY_AFTER);
        Err(Refusal {
            status: head.status.as_u16(),
            code: problem["code"].as_str().expect("a code").to_owned(),
            retry_after: wait.map(|wait| {
                let wait = wait.to_str().expect("text");
                wait.parse().expect("seconds")
            }),
        })
    }

    async fn grpc<Q, A>(&self, method: &Method<Q, A>, fields: Value) -> Result<Value, Refusal>
    where
        Q: prost::Message + JsonMessage + Default + 'static,
        A: prost::Message + JsonMessage + Default + 'static,
    {
        let fields = Bytes::from(fields.to_string());
        let message: Q = json::read_request(&[], Some(&fields)).expect("of the schema");
        let io = self.connect().await;
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
            .await
            .expect("a connection");
        tokio::spawn(connection);
        let origin = format!("http://{}", self.platform.http);
        let mut client = Grpc::with_origin(Http2(sender), origin.parse::<Uri>().expect("a URI"));
        client.ready().await.expect("ready");
        let mut request = tonic::Request::new(message);
        if let Some(token) = &self.token {
            let value = format!("Bearer {token}").parse().expect("a value");
            request.metadata_mut().insert("authorization", value);
        }
        let path = format!("/fleetwire.api.v1.{}", method.rpc);
        let path = path.parse().expect("a path");
        let codec = ProstCodec::<Q, A>::default();
        let answer = client.unary(request, path, codec).await.map_err(refusal)?;
        let mut text = BytesMut::new();
        json::write(answer.get_ref(), &mut text);
        let mut answer: Value = serde_json::from_slice(&text).expect("JSON");
        Ok(match method.shown {
            "" => answer,
            shown => answer[shown].take(),
        })
    }
}

/// hyper's sender as tonic's client takes it.
#[derive(Clone)]
struct Http2(hyper::client::conn::http2::SendRequest<tonic::body::Body>);

impl tower_service::Service<Request<tonic::body::Body>> for Http2 {
    type Response = hyper::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

fn refusal(status: Status) -> Refusal {
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("without a code: {status:?}"));
    let wait = status.get_details_retry_info();
    Refusal {
        status: match status.code() {
            Code::InvalidArgument => 400,
            Code::Unauthenticated => 401,
            Code::PermissionDenied => 403,
            Code::NotFound => 404,
            Code::FailedPrecondition => 409,
            Code::ResourceExhausted => 429,
            other => panic!("{other:?} is not looked for: {status:?}"),
        },
        code: info.reason,
        retry_after: wait.and_then(|wait| {
            let wait = wait.retry_delay?;
            Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
        }),
    }
}

/// Where REST has the fields of a request: in the path, in the query, or in the body.
fn place(verb: &str, path: &str, mut fields: Map<String, Value>) -> (String, String) {
    let mut target = path.to_owned();
    fields.retain(|name, value| {
        let place = format!("{{{name}}}");
        let in_path = target.contains(&place);
        if in_path {
            target = target.replace(&place, value.as_str().expect("text"));
        }
        !in_path
    });
    if !["GET", "DELETE"].contains(&verb) {
        let body = if fields.is_empty() {
            String::new()
        } else {
            Value::Object(fields).to_string()
        };
        return (target, body);
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in &fields {
        let values = value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            query.append_pair(name, &text);
        }
    }
    let query = query.finish();
    if !query.is_empty() {
        target = format!("{target}?{query}");
    }
    (target, String::new())
}
