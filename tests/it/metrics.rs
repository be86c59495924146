//! `/metrics` of a running platform with a real agent, read by the strict parser of Prometheus' own
//! client: what is promised is there and moves, and no scraper hurts.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use fleetwire::platform::metrics;
use hyper::Method;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};

use crate::console::viewer::Session;
use crate::events::{JSON, connect, connect_json, hear, say};
use crate::support::{Agent, PATIENCE, Platform, Process, command, until, until_status};

/// A platform that is scraped.
pub struct Watched {
    pub platform: Platform,
    address: SocketAddr,
}

impl Watched {
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let mut platform = Platform::start_with(&["--metrics", "127.0.0.1:0"], settings);
        let line = platform.process.line("listening for scrapers");
        let line: Value = serde_json::from_str(&line).expect("a JSON line");
        let address = line["address"].as_str().expect("an address");
        let address = address.parse().expect("an address");
        Self { platform, address }
    }

    /// Where it is scraped.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream
    }

    /// Sends a request and reads to the connection's end: head and body.
    fn ask(&self, request: &str) -> (String, String) {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("written");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answered");
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.to_owned(), body.to_owned())
    }

    fn text(&self) -> String {
        let (head, body) = self.ask("GET /metrics HTTP/1.1\r\nHost: metrics\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let form = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert!(head.contains(form), "{head}");
        body
    }

    pub fn scrape(&self) -> Scrape {
        Scrape::of(&self.text())
    }

    /// Scrapes until a sample has at least that value.
    pub fn until_at_least(&self, name: &str, labels: &[(&str, &str)], least: f64) {
        until(&format!("{name} {labels:?} of {least}"), || {
            (self.scrape().sum(name, labels) >= least).then_some(())
        });
    }
}

/// What one scrape said, sample by sample.
pub struct Scrape {
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Scrape {
    fn of(text: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        // Once: two that make it at a time would take it away from each other.
        static MADE: OnceLock<()> = OnceLock::new();
        MADE.get_or_init(|| {
            let made = Command::new("sh")
                .arg(root.join("tests/setup/metrics.sh"))
                .stdin(Stdio::null())
                .output()
                .expect("there is a shell");
            assert!(made.status.success(), "the parser's Python: {made:?}");
        });
        let mut parser = Command::new(root.join(".tools/metrics/bin/python"))
            .arg(root.join("tests/metrics/parse.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("made above");
        let mut stdin = parser.stdin.take().expect("piped");
        stdin.write_all(text.as_bytes()).expect("it reads");
        drop(stdin);
        let parsed = parser.wait_with_output().expect("it ends");
        let why = String::from_utf8_lossy(&parsed.stderr);
        assert!(parsed.status.success(), "{why}\n{text}");
        let families: BTreeMap<String, Value> =
            serde_json::from_slice(&parsed.stdout).expect("JSON");
        let mut samples = Vec::new();
        for sample in families.values().flat_map(|family| {
            let samples = family["samples"].as_array();
            samples.expect("a list").clone()
        }) {
            let sample = serde_json::from_value(sample).expect("name, labels, value");
            samples.push(sample);
        }
        Self { samples }
    }

    /// The sum of all samples of this name with these labels, whatever others they have.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let with = |all: &BTreeMap<String, String>| {
            labels
                .iter()
                .all(|(label, value)| all.get(*label).is_some_and(|found| found == value))
        };
        let samples = self.samples.iter();
        let samples = samples.filter(|(found, all, _)| found == name && with(all));
        samples.map(|(_, _, value)| value).sum()
    }

    fn has(&self, name: &str) -> bool {
        let count = format!("{name}_count");
        let mut samples = self.samples.iter();
        samples.any(|(found, ..)| *found == name || *found == count)
    }
}

/// What is there only once somebody uses it, and is looked at elsewhere.
const ELSEWHERE: [&str; 2] = [
    "fleetwire_otlp_spans_total",
    "fleetwire_backup_newest_seconds",
];

#[tokio::test]
async fn every_metric_is_there_and_moves() {
    let watched = Watched::start(&[("FLEETWIRE_PLATFORM_HEARTBEAT", "1s")]);
    let platform = &watched.platform;
    let before = watched.scrape();
    assert_eq!(before.sum("fleetwire_agent_connections", &[]), 0.0);
    assert_eq!(before.sum("fleetwire_streams_opened_total", &[]), 0.0);

    let mut device = command("fleetwire");
    device.args(["demo-device", "--open", "--listen", "127.0.0.1:0"]);
    let mut device = Process::start("device", &mut device);
    let line = device.line("demo device on ");
    let url = line.rsplit(' ').next().expect("its address");
    let mut agent = Agent::start_for(platform, "kvm", &[url]);
    let open = [("state", "open")];
    watched.until_at_least("fleetwire_agent_connections", &open, 1.0);
    let admitted = [("outcome", "admitted")];
    watched.until_at_least("fleetwire_agent_handshakes_total", &admitted, 1.0);

    // A session, an exchange in each direction, and one that its viewer leaves.
    let session = Session::open(platform).enter().await;
    let status = session.send("GET /status", "").await.answer().await;
    assert_eq!(status.status, 200);
    let mut download = session.send("GET /download?bytes=8000000&seed=7", "").await;
    assert_eq!(download.answer().await.body.len(), 8_000_000);
    let mut endless = session
        .send("GET /download?bytes=8000000000&seed=7", "")
        .await;
    endless.take(1 << 20).await;
    watched.until_at_least("fleetwire_streams_open", &[], 1.0);
    drop(endless);
    watched.until_at_least(
        "fleetwire_streams_reset_total",
        &[("code", "cancelled")],
        1.0,
    );
    let entered = [("state", "entered")];
    watched.until_at_least("fleetwire_console_sessions", &entered, 1.0);
    session.close(platform);
    let closed = [("reason", "closed_by_user")];
    watched.until_at_least("fleetwire_console_sessions_ended_total", &closed, 1.0);
    watched.until_at_least("fleetwire_agent_round_trip_seconds_count", &[], 1.0);

    // What goes wrong: an agent that is lost and returns, a credential that nobody knows, no TLS.
    agent.process.signal("KILL");
    agent.process.ended();
    watched.until_at_least(
        "fleetwire_agent_disconnects_total",
        &[("reason", "lost")],
        1.0,
    );
    let gone = watched.scrape();
    agent.restart(platform, "kvm");
    let returned = [("kind", "returned")];
    watched.until_at_least("fleetwire_agent_reconnects_total", &returned, 1.0);
    let mut stranger = TcpStream::connect(platform.tls).expect("it listens");
    stranger
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .expect("written");
    let failed = [("outcome", "failed")];
    watched.until_at_least("fleetwire_tls_handshakes_total", &failed, 1.0);

    let after = watched.scrape();
    for definition in metrics::ALL {
        let name = definition.full_name();
        if !ELSEWHERE.contains(&name.as_str()) {
            assert!(after.has(&name), "{name} is not there");
        }
    }
    let received = [("direction", "received"), ("lane", "bulk")];
    assert!(after.sum("fleetwire_link_bytes_total", &received) > 8_000_000.0);
    for direction in ["sent", "received"] {
        for lane in ["control", "free"] {
            let labels = [("direction", direction), ("lane", lane)];
            let messages = after.sum("fleetwire_link_messages_total", &labels);
            assert!(messages >= 1.0, "{labels:?}");
        }
    }
    assert!(after.sum("fleetwire_streams_opened_total", &[]) >= 3.0);
    assert_eq!(
        after.sum("fleetwire_console_sessions_opened_total", &[]),
        1.0
    );
    assert!(after.sum("fleetwire_store_commit_seconds_count", &[]) >= 4.0);
    assert!(after.sum("process_cpu_seconds_total", &[]) > 0.0);
    assert!(after.sum("process_resident_memory_bytes", &[]) > 1_000_000.0);
    assert!(after.sum("process_open_fds", &[]) > 5.0);
    // What a connection carried is counted still when it has ended, and once.
    for (name, labels, value) in &gone.samples {
        if name.ends_with("_total") {
            let labels: Vec<_> = labels
                .iter()
                .map(|(l, v)| (l.as_str(), v.as_str()))
                .collect();
            assert!(after.sum(name, &labels) >= *value, "{name} went back");
        }
    }
    let bulk = |scrape: &Scrape| scrape.sum("fleetwire_link_bytes_total", &received);
    assert_eq!(bulk(&gone), bulk(&after), "no bulk has passed meanwhile");
}

#[tokio::test]
async fn files_are_counted_by_their_way_and_outcome() {
    let watched = Watched::start(&[]);
    let platform = &watched.platform;
    // A rate needs a beginning: of what is not to happen as well.
    let begun = r#"fleetwire_files_total{way="uploaded",outcome="disk_full"} 0"#;
    assert!(watched.text().contains(begun));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "abc").expect("written");
    let file = file.to_str().expect("text");
    // It is brought to the platform, and waits for its host there.
    platform.operate_json(&["host", "create", "kvm"]);
    platform.operate_json(&["files", "put", "kvm", file, "/srv/file"]);
    let uploaded = ("way", "uploaded");
    let done = [uploaded, ("outcome", "done")];
    watched.until_at_least("fleetwire_files_total", &done, 1.0);
    watched.until_at_least("fleetwire_file_bytes_total", &[uploaded], 3.0);

    let client = platform.client();
    let post = async |path: &str, body: Value| {
        let answer = client.call(Method::POST, path, Some(&body)).await;
        answer.map_err(|error| error.code().unwrap_or_default().to_owned())
    };
    let wrong = json!({"size_bytes": 3, "sha256": "0".repeat(64), "name": "wrong"});
    let made: Value = post("/api/files", wrong).await.expect("made");
    let path = format!("/api/files/{}/content", made["id"].as_str().expect("an id"));
    let piece = json!({"offset": 0, "data": "YWJj"});
    let refused: Result<Value, String> = post(&path, piece).await;
    assert_eq!(refused, Err("hash_mismatch".to_owned()));
    let failed = [uploaded, ("outcome", "hash_mismatch")];
    watched.until_at_least("fleetwire_files_total", &failed, 1.0);
    let none = [("way", "sent"), ("outcome", "done")];
    assert_eq!(watched.scrape().sum("fleetwire_files_total", &none), 0.0);
}

#[test]
fn nothing_in_it_names_a_host_a_user_or_a_secret() {
    let watched = Watched::start(&[]);
    let platform = &watched.platform;
    let _agent = Agent::start(platform, "rack-7-kvm");
    let host = until_status(platform, "rack-7-kvm", "online");
    let open = [("state", "open")];
    watched.until_at_least("fleetwire_agent_connections", &open, 1.0);
    let text = watched.text();
    let id = host["id"].as_str().expect("an id").to_owned();
    for private in [
        id,
        "rack-7".to_owned(),
        platform.admin_token(),
        "127.0.0.1".to_owned(),
    ] {
        assert!(!text.contains(&private), "{private}");
    }
}

#[test]
fn it_is_off_unless_an_address_is_set_and_nowhere_else() {
    let platform = Platform::start(&[]);
    assert!(!platform.process.said().contains("scrapers"));
    let mut stream = TcpStream::connect(platform.http).expect("it listens");
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[test]
fn a_scraper_that_is_slow_or_hostile_hurts_nobody() {
    let watched = Watched::start(&[]);
    let statuses = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("GET /metrics/ HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        (
            "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "405",
        ),
        ("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "405"),
        ("nonsense\r\n\r\n", "400"),
    ];
    for (request, status) in statuses {
        let (head, _) = watched.ask(request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
    // More than its places: some say nothing, some begin and do not end, some read nothing, and one
    // sends a head without end.
    let mut held = Vec::new();
    for number in 0..40 {
        let mut stream = watched.connect();
        match number % 3 {
            0 => {}
            1 => stream
                .write_all(b"GET /metrics HTTP/1.1\r\nx")
                .expect("written"),
            _ => {
                let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
                stream.write_all(request).expect("written");
            }
        }
        held.push(stream);
    }
    let mut endless = watched.connect();
    held.push(endless.try_clone().expect("cloned"));
    let writer = std::thread::spawn(move || {
        let _ = endless.write_all(b"GET /metrics HTTP/1.1\r\n");
        while endless.write_all(&[b'x'; 4096]).is_ok() {}
    });
    // The platform goes on beside them: an agent enrols and connects.
    let _agent = Agent::start(&watched.platform, "kvm");
    // And whoever waits in line gets its turn, as each is cut off in time.
    assert!(watched.text().ends_with("# EOF\n"));
    assert!(writer.join().is_ok(), "it is cut off as well");
    for stream in &held {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

#[tokio::test]
async fn calls_of_the_api_are_counted_by_method_and_outcome() {
    let watched = Watched::start(&[]);
    let list = [("service", "HostService"), ("door", "rest"), ("code", "ok")];
    let client = watched.platform.client();
    for _ in 0..3 {
        let listed = client.call::<(), Value>(Method::GET, "/api/hosts", None);
        listed.await.expect("listed");
    }
    let anonymous = watched.platform.anonymous();
    let refused = anonymous.call::<(), Value>(Method::GET, "/api/hosts", None);
    refused.await.expect_err("there is no token");
    // A path that nobody knows is no method's, and makes no label.
    let unknown = client.call::<(), Value>(Method::GET, "/api/made-up", None);
    unknown.await.expect_err("nothing is there");
    watched.until_at_least("fleetwire_api_calls_total", &list, 3.0);
    let code = [("service", "HostService"), ("code", "token_invalid")];
    watched.until_at_least("fleetwire_api_calls_total", &code, 1.0);
    let scrape = watched.scrape();
    let all = scrape.sum("fleetwire_api_call_seconds_count", &list[..2]);
    assert_eq!(all, 4.0);
    // The operator's command comes in at the other door.
    watched.platform.operate_json(&["hosts", "list"]);
    let grpc = [("method", "ListHosts"), ("door", "grpc"), ("code", "ok")];
    watched.until_at_least("fleetwire_api_calls_total", &grpc, 1.0);
    assert!(!watched.text().contains("made-up"));
}

/// The log lines of a request with this id.
fn lines_of(watched: &Watched, id: &str) -> Vec<Value> {
    let said = watched.platform.process.said();
    let lines = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| {
            let spans = line["spans"].as_array();
            spans.is_some_and(|spans| spans.iter().any(|span| span["request_id"] == id))
        })
        .collect()
}

#[test]
fn each_request_has_an_id_in_its_answer_and_in_its_log_lines() {
    let watched = Watched::start(&[("FLEETWIRE_PLATFORM_LOG", "fleetwire=debug")]);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let ask = |fields: &str| {
        let mut stream = TcpStream::connect(watched.platform.http).expect("it listens");
        let request = format!(
            "GET /api/hosts HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let id = answer
            .lines()
            .find_map(|line| line.strip_prefix("x-request-id: "));
        id.expect("an id").to_owned()
    };
    let parent = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01\r\n");
    assert_eq!(ask(&format!("X-Request-Id: mine-7\r\n{parent}")), "mine-7");
    let long = format!("X-Request-Id: {}\r\n", "x".repeat(65));
    let made = ask(&long);
    assert!((18..=33).contains(&made.len()), "{made}");
    for (id, trace) in [("mine-7", Some(trace)), (&made, None)] {
        let lines = until(&format!("lines of {id}"), || {
            let lines = lines_of(&watched, id);
            (!lines.is_empty()).then_some(lines)
        });
        for line in lines {
            let span = line["spans"].as_array().and_then(|spans| spans.first());
            let found = span.and_then(|span| span.get("trace_id"));
            assert_eq!(found.and_then(Value::as_str), trace, "{line}");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_no_call_has_an_id_as_well() {
    let watched = Watched::start(&[("FLEETWIRE_PLATFORM_LOG", "fleetwire=debug")]);
    let is_logged = |id: &str| {
        until(&format!("lines of {id}"), || {
            (!lines_of(&watched, id).is_empty()).then_some(())
        });
    };
    let long = format!(
        "Host: localhost\r\nConnection: close\r\nX: {}\r\n",
        "x".repeat(40_000)
    );
    let upgrade = "Host: localhost\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n";
    for (number, (path, fields, status)) in [
        ("/api/hosts", "Connection: close\r\n", 400),
        ("/api/hosts", &*long, 431),
        ("/api/events", upgrade, 400),
        (
            "/v1/agent/ws",
            "Host: localhost\r\nConnection: close\r\n",
            400,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("early-{number}");
        let mut stream = TcpStream::connect(watched.platform.http).expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nX-Request-Id: {id}\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let begin = format!("HTTP/1.1 {status} ");
        let field = format!("\r\nx-request-id: {id}\r\n");
        assert!(
            answer.starts_with(&begin) && answer.contains(&field),
            "{answer}"
        );
        is_logged(&id);
    }

    // A console session is not for HTTP/2.
    let stream = tokio::net::TcpStream::connect(watched.platform.http).await;
    let io = TokioIo::new(stream.expect("it listens"));
    let connected = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
    let (mut sender, connection) = connected.expect("a connection");
    tokio::spawn(connection);
    let request = hyper::Request::get("http://snone.localhost/");
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new());
    let answer = sender.send_request(request.expect("a request")).await;
    let answer = answer.expect("answered");
    assert_eq!(answer.status(), 421);
    let id = answer.headers()["x-request-id"].to_str().expect("text");
    is_logged(id);
}

#[tokio::test]
async fn followers_by_websocket_are_counted_as_calls() {
    let watched = Watched::start(&[]);
    let mut follower = connect_json(&watched.platform, &watched.platform.admin_token()).await;
    say(&mut follower, &json!({"watch": {}})).await;
    hear(&mut follower).await.expect("told");
    let ok = [
        ("service", "EventService"),
        ("method", "WatchEvents"),
        ("door", "websocket"),
        ("code", "ok"),
    ];
    watched.until_at_least("fleetwire_api_calls_total", &ok, 1.0);
    let scrape = watched.scrape();
    assert_eq!(scrape.sum("fleetwire_api_calls_total", &ok[..3]), 1.0);
    assert_eq!(
        scrape.sum("fleetwire_api_call_seconds_count", &ok[..3]),
        1.0
    );
    // Refused by its message, and by its field.
    let mut stranger = connect(watched.platform.http, JSON, None)
        .await
        .expect("let in");
    let wrong = json!({"authenticate": {"access_token": "fwa_wrong"}});
    say(&mut stranger, &wrong).await;
    hear(&mut stranger).await.expect_err("closed");
    let refused = connect(watched.platform.http, JSON, Some("fwa_wrong")).await;
    refused.expect_err("refused");
    let code = [ok[1], ok[2], ("code", "token_invalid")];
    watched.until_at_least("fleetwire_api_calls_total", &code, 2.0);
}

#[test]
fn a_connection_has_one_id_in_the_platforms_log_and_in_the_agents() {
    let mut watched = Watched::start(&[]);
    let mut agent = Agent::start(&watched.platform, "kvm");
    let line = agent.process.line("connected platform=");
    let (_, id) = line.split_once("connection_id=").expect("an id");
    let id: String = id.chars().take_while(|c| *c != '}').collect();
    let line = watched.platform.process.line("\"connected\"");
    let line: Value = serde_json::from_str(&line).expect("a JSON line");
    assert_eq!(line["spans"][0]["connection_id"], *id, "{line}");
    agent.process.signal("TERM");
    agent.process.ended();
    let line = watched.platform.process.line("\"disconnected\"");
    assert!(line.contains(&id), "{line}");
}
