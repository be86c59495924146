//! Spans of a running platform, as a collector has them: a real HTTP server that decodes what comes
//! with OpenTelemetry's own messages. What a collector does wrong is its own trouble.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::metrics::Watched;
use crate::support::{Agent, Client, Platform, until_true};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// What has come, message by message.
#[derive(Clone, Default)]
pub struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

impl Collector {
    /// One that answers with this status, and its address. It has a thread of its own, as tests wait
    /// for its platform on theirs.
    pub fn start(status: StatusCode) -> (Self, String) {
        let collector = Self::default();
        let taken = collector.clone();
        let url = serve(move |stream| {
            let taken = taken.clone();
            let service = service_fn(move |request| {
                let taken = taken.clone();
                async move { Ok::<_, hyper::Error>(taken.take(request, status).await) }
            });
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving);
        });
        (collector, url)
    }

    async fn take(&self, request: Request<Incoming>, status: StatusCode) -> Response<Full<Bytes>> {
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri().path(), "/v1/traces");
        let kind = request.headers().get("content-type");
        assert_eq!(kind.expect("a type"), "application/x-protobuf");
        let body = request.into_body().collect().await.expect("whole");
        let message = ExportTraceServiceRequest::decode(body.to_bytes()).expect("decoded");
        self.0.lock().expect("not poisoned").push(message);
        let answer = ExportTraceServiceResponse::default().encode_to_vec();
        let mut answer = Response::new(Full::new(Bytes::from(answer)));
        *answer.status_mut() = status;
        answer
    }

    fn spans(&self) -> Vec<Span> {
        let messages = self.0.lock().expect("not poisoned");
        let resources = messages.iter().flat_map(|message| &message.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    fn named(&self, name: &str) -> Option<Span> {
        self.spans().into_iter().find(|span| span.name == name)
    }
}

/// Listens on a thread of its own, and hands on each connection there.
fn serve(mut each: impl FnMut(TcpStream) + Send + 'static) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("set");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    std::thread::spawn(move || {
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                each(stream);
            }
        });
    });
    format!("http://{address}")
}

fn watched(url: &str, more: &[(&str, &str)]) -> Watched {
    let endpoint = ("FLEETWIRE_PLATFORM_OTLP_ENDPOINT", url);
    Watched::start(&[&[endpoint], more].concat())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(of: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &KeyValue| match value.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text.clone()),
        any_value::Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    };
    of.iter()
        .filter_map(|value| Some((value.key.clone(), text(value)?)))
        .collect()
}

/// Lists the hosts over plain HTTP, with these fields.
async fn list_hosts(platform: &Platform, fields: &str) -> String {
    let mut stream = TcpStream::connect(platform.http).await.expect("it listens");
    let request = format!(
        "GET /api/hosts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{fields}\
         Connection: close\r\n\r\n",
        platform.admin_token()
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer
}

async fn list(client: &Client) {
    let listed = client.call::<(), Value>(Method::GET, "/api/hosts", None);
    listed.await.expect("listed");
}

#[tokio::test]
async fn the_spans_of_a_request_come_to_a_collector_in_its_callers_trace() {
    let (collector, url) = Collector::start(StatusCode::OK);
    // As every program on a machine is told of one.
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str());
    let watched = Watched::start(&[endpoint, ("FLEETWIRE_PLATFORM_LOG", "fleetwire=debug")]);
    let platform = &watched.platform;
    let fields = format!("X-Request-Id: mine-7\r\ntraceparent: 00-{TRACE}-{PARENT}-01\r\n");
    let answer = list_hosts(platform, &fields).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let name = "HostService/ListHosts";
    until_true("its span", async || collector.named(name).is_some()).await;
    let span = collector.named(name).expect("it came");
    assert_eq!(hexadecimal(&span.trace_id), TRACE);
    assert_eq!(hexadecimal(&span.parent_span_id), PARENT);
    assert_eq!(span.kind, SpanKind::Server as i32);
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    let said = attributes(&span.attributes);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("request_id", "mine-7"),
        ("code", "ok"),
    ] {
        assert_eq!(said.get(key).map(String::as_str), Some(value), "{said:?}");
    }
    let inner = |span: &Span, outer: &Span| {
        span.trace_id == outer.trace_id && span.parent_span_id == outer.span_id
    };
    until_true("what the store did for it", async || {
        let spans = collector.spans();
        let mut reads = spans.iter().filter(|span| span.name == "store.read");
        reads.any(|read| inner(read, &span))
    })
    .await;
    let resource = {
        let messages = collector.0.lock().expect("not poisoned");
        let resource = messages[0].resource_spans[0].resource.clone();
        attributes(&resource.expect("a resource").attributes)
    };
    assert_eq!(resource["service.name"], "fleetwire-platform");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    // A request that brings no trace begins one, which its log lines name; gRPC is no different.
    platform.operate_json(&["hosts", "list"]);
    let begun = async || {
        let spans = collector.spans();
        let mut roots = spans.iter().filter(|span| span.parent_span_id.is_empty());
        roots.any(|span| {
            let trace = format!("\"trace_id\":\"{}\"", hexadecimal(&span.trace_id));
            span.name == name && platform.process.said().contains(&trace)
        })
    };
    until_true("a trace of its own", begun).await;
    let _agent = Agent::start(platform, "kvm");
    until_true("an agent's hello", async || {
        collector.named("agent.hello").is_some()
    })
    .await;
    let exported = [("outcome", "exported")];
    watched.until_at_least("fleetwire_otlp_spans_total", &exported, 2.0);
    let secret = platform.admin_token();
    let all = format!("{:?}", collector.spans());
    assert!(!all.contains(&secret), "a credential is no attribute");
}

#[tokio::test]
async fn what_an_agent_runs_is_in_the_trace_of_who_asked_for_it() {
    let (collector, url) = Collector::start(StatusCode::OK);
    let watched = watched(&url, &[]);
    let platform = &watched.platform;
    let _agent = Agent::start_allowing(platform, "kvm", &["script"]);
    let body = r#"{"targets": {"hosts": ["kvm"]}, "script": {"content": "true"}}"#;
    let mut stream = TcpStream::connect(platform.http).await.expect("it listens");
    let request = format!(
        "POST /api/commands HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\
         traceparent: 00-{TRACE}-{PARENT}-01\r\nConnection: close\r\n\r\n{body}",
        platform.admin_token(),
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    let names = ["CommandService/CreateCommand", "delivery", "agent.run"];
    let all = async || names.iter().all(|name| collector.named(name).is_some());
    until_true("the request, the delivery and the run", all).await;
    let [request, delivery, run] = names.map(|name| collector.named(name).expect("it came"));
    for (inner, outer) in [(&delivery, &request), (&run, &delivery)] {
        assert_eq!(hexadecimal(&inner.trace_id), TRACE);
        assert_eq!(
            inner.parent_span_id, outer.span_id,
            "{} within {}",
            inner.name, outer.name
        );
        assert!(inner.end_time_unix_nano >= inner.start_time_unix_nano);
    }
    assert_eq!(hexadecimal(&request.parent_span_id), PARENT);
    assert_eq!(delivery.kind, SpanKind::Producer as i32);
    assert_eq!(run.kind, SpanKind::Consumer as i32);
    let said = attributes(&delivery.attributes);
    let (_, command) = answer.split_once("\"command_id\":\"").expect("an id");
    let command = command.split('"').next().expect("its end");
    for (key, value) in [
        ("command_id", command),
        ("command_type", "script"),
        ("state", "succeeded"),
        ("reason", ""),
    ] {
        assert_eq!(said.get(key).map(String::as_str), Some(value), "{said:?}");
    }
}

#[tokio::test]
async fn what_waits_is_sent_at_the_end_and_a_ratio_of_zero_sends_nothing() {
    for (ratio, comes) in [("1", true), ("0", false), ("0.0", false)] {
        let (collector, url) = Collector::start(StatusCode::OK);
        let ratio = ("FLEETWIRE_PLATFORM_OTLP_SAMPLE_RATIO", ratio);
        let drain = ("FLEETWIRE_PLATFORM_DRAIN", "0s");
        let mut watched = watched(&url, &[ratio, drain]);
        // Whether its caller keeps its part of the trace is no word on ours.
        let fields = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\n");
        list_hosts(&watched.platform, &fields).await;
        watched.platform.process.signal("TERM");
        let ended = tokio::task::spawn_blocking(move || watched.platform.process.ended());
        assert!(ended.await.expect("waited").success());
        let name = "HostService/ListHosts";
        assert_eq!(collector.named(name).is_some(), comes, "{ratio:?}");
    }
}

#[tokio::test]
async fn a_collector_that_does_not_answer_holds_nobody_up() {
    // Whoever connects is let in, and hears nothing.
    let mut held = Vec::new();
    let url = serve(move |stream| held.push(stream));
    let watched = watched(&url, &[]);
    let client = watched.platform.client();
    let dropped = [("outcome", "dropped")];
    // Each leaves two spans at least; so many are more than a batch on its way and a full queue.
    let mut asked = 0;
    while watched.scrape().sum("fleetwire_otlp_spans_total", &dropped) < 1.0 {
        for _ in 0..100 {
            list(&client).await;
        }
        asked += 100;
        assert!(asked < 20_000, "nothing is dropped");
    }
    // It is given up in time, and the rest goes the same way.
    let failed = [("outcome", "failed")];
    let scrape = async || watched.scrape().sum("fleetwire_otlp_spans_total", &failed) >= 1.0;
    until_true("a batch that is given up", scrape).await;
    list(&client).await;
}

#[tokio::test]
async fn a_collector_that_refuses_is_told_of_once() {
    let (collector, url) = Collector::start(StatusCode::SERVICE_UNAVAILABLE);
    let mut watched = watched(&url, &[]);
    let client = watched.platform.client();
    for batch in 1..4 {
        list(&client).await;
        let came = async || collector.0.lock().expect("not poisoned").len() >= batch;
        until_true("another batch", came).await;
    }
    let failed = [("outcome", "failed")];
    watched.until_at_least("fleetwire_otlp_spans_total", &failed, 3.0);
    let line = watched
        .platform
        .process
        .line("the collector takes no spans");
    assert!(line.contains("WARN"), "{line}");
    let said = watched.platform.process.said();
    assert_eq!(said.matches("the collector takes no spans").count(), 1);
}
