//! The console: how long an event takes from the platform to those who look on, what each of them costs the
//! platform, and how the list of hosts does in a browser where there are very many.
//!
//! One of those who look on is a console in Chromium (`tests/browser/scale.mjs`), the others are bare WebSockets of
//! this process. What happens is made over the API, as people do, and by simulated agents. An event's time is that of
//! the change that it tells of, before it was committed, by the clock that all of them share: the commit is in it.
//! Leaves to others: what is right in the list, which tests/it/console_scale.rs has.

use std::{
    net::Ipv4Addr,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use fleetwire::{
    net::tls,
    process,
    schema::{
        api::{
            WatchEventsClientMessage, WatchEventsRequest, WatchEventsResponse,
            watch_events_client_message::Message as Said, watch_events_response::Message as Heard,
        },
        pb::{self, agent_to_platform::Message as FromAgent},
    },
};
use futures_util::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue};

use crate::{
    Options, Outcome, agents,
    load::{Connection, Endpoint, Latencies},
    processes::{Place, Usage},
    progress,
    report::{Bound, Metric, Report, SUBJECT},
    tunnel::Platform,
    websocket,
};

/// The bound's name in the tables.
const ALLOWED: &str = "allowed";
/// The same, beside a figure of the page that does nothing.
const IDLE: &str = "an idle page";
/// Who look on, beside the one in Chromium.
const FOLLOWERS: usize = 99;
/// People that they are: one may look on from so many places and no more.
const PEOPLE: usize = 3;
/// What they sign in with.
const PASSWORD: &str = "a long enough password";
/// Changes a second while they do.
const CHANGES: u64 = 100;
/// Hosts that are changed.
const CHANGED: usize = 1000;
/// How long a round lasts.
const WATCHED: Duration = Duration::from_secs(10);
/// Hosts of the long list, and those whose agents are connected.
const HOSTS: usize = 20_000;
const CONNECTED: usize = 2000;
/// How often each agent beats: 500 events a second.
const BEAT: Duration = Duration::from_secs(4);
/// Agents that connect anew with each beat.
const RESTLESS: usize = 20;
/// How long the list is scrolled.
const SCROLLED: Duration = Duration::from_secs(20);
/// The name that agents ask for where nothing else is set.
const SERVER_NAME: &str = "platform.fleetwire.internal";
/// A browser that says nothing for so long never will.
const BROWSER_LIMIT: Duration = Duration::from_secs(180);

/// Measures what is asked for.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Outcome<()> {
    if options.wants("console-events") {
        events(options, report).await?;
    }
    if options.wants("console-scale") {
        scale(report).await?;
    }
    Ok(())
}

const fn metric(section: &'static str, name: &'static str, unit: &'static str) -> Metric {
    Metric {
        section,
        name,
        unit,
        base: ALLOWED,
        bound: Bound::AtMost(1.0),
    }
}

/// What happens reaches a hundred who look on.
async fn events(options: &Options, report: &mut Report) -> Outcome<()> {
    process::raise_open_files();
    let dir = tempfile::tempdir()?;
    let platform = Platform::start(dir.path(), &Place::default(), Ipv4Addr::LOCALHOST).await?;
    let names: Vec<_> = (0..CHANGED).map(|index| format!("agent-{index}")).collect();
    platform.create_hosts(CHANGED).await?;
    let endpoint = authorised(&platform)?;
    let people = people(&endpoint).await?;
    let id = platform.running.id();
    for round in 1..=options.rounds {
        progress(&format!(
            "console-events: round {round} of {}",
            options.rounds
        ));
        let alone = cpu_while(id, changes(&endpoint, &names, WATCHED)).await?;
        let heard = Arc::<Mutex<Vec<Duration>>>::default();
        let mut followers = JoinSet::new();
        for person in people.iter().cycle().take(FOLLOWERS) {
            let socket = follow(&platform, person).await?;
            let heard = heard.clone();
            followers.spawn(async move { listen(socket, &heard).await });
        }
        let seconds = (WATCHED + Duration::from_secs(2)).as_secs().to_string();
        let mut browser = Browser::start(&platform, CHANGED, &["latency", &seconds])?;
        browser.said().await?;
        heard.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let beside = cpu_while(id, changes(&endpoint, &names, WATCHED)).await?;
        let seen = browser.said().await?;
        followers.abort_all();
        let heard = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
        let expected = CHANGES as f64 * WATCHED.as_secs_f64() * FOLLOWERS as f64;
        if (heard.len() as f64) < expected * 0.9 || number(&seen, "events")? < expected / 110.0 {
            let fault = format!(
                "{} of {expected} events were heard, in the browser {seen}",
                heard.len()
            );
            return Err(fault.into());
        }
        let bare = Latencies::new(heard);
        for (name, own, allowed) in [
            ("to the browser, p50", number(&seen, "p50_ms")?, None),
            ("to the browser, p99", number(&seen, "p99_ms")?, Some(50.0)),
            ("to a bare WebSocket, p50", bare.us(0.5)? / 1e3, None),
            ("to a bare WebSocket, p99", bare.us(0.99)? / 1e3, Some(50.0)),
            (
                "CPU of a console, of one core",
                (beside - alone) * 100.0 / (FOLLOWERS + 1) as f64,
                Some(1.0),
            ),
            ("CPU where nobody looks on", alone * 100.0, None),
        ] {
            let unit = if name.starts_with("CPU") { "%" } else { "ms" };
            let metric = metric("console-events", name, unit);
            report.record(metric, SUBJECT, own);
            if let Some(allowed) = allowed {
                report.record(metric, ALLOWED, allowed);
            }
        }
    }
    Ok(())
}

/// The list of very many hosts, in Chromium.
async fn scale(report: &mut Report) -> Outcome<()> {
    process::raise_open_files();
    let dir = tempfile::tempdir()?;
    let platform = Platform::start(dir.path(), &Place::default(), Ipv4Addr::LOCALHOST).await?;
    progress(&format!("console-scale: making {HOSTS} hosts"));
    let tokens = platform.create_hosts(HOSTS).await?;
    progress(&format!("console-scale: connecting {CONNECTED} agents"));
    let stopped = Arc::<AtomicBool>::default();
    let mut agents = JoinSet::new();
    let roots = std::fs::read_to_string(platform.ca_file())?;
    let config = tls::client_trusting(tls::certificates_from_pem(&roots)?, true)?;
    let mut connected = JoinSet::new();
    for (index, token) in tokens.into_iter().step_by(HOSTS / CONNECTED).enumerate() {
        let one = Simulated {
            index,
            token,
            address: platform.secure,
            connector: TlsConnector::from(config.clone()),
        };
        connected.spawn(async move {
            let socket = one.connect().await?;
            Outcome::Ok((one, socket))
        });
        if connected.len() >= 64
            && let Some(opened) = connected.join_next().await
        {
            let (one, socket) = opened??;
            agents.spawn(one.beat(socket, stopped.clone()));
        }
    }
    while let Some(opened) = connected.join_next().await {
        let (one, socket) = opened??;
        agents.spawn(one.beat(socket, stopped.clone()));
    }
    progress("console-scale: scrolling");
    let seconds = SCROLLED.as_secs().to_string();
    let mut browser = Browser::start(&platform, HOSTS, &["scroll", &seconds])?;
    browser.said().await?;
    let before = Usage::of(platform.running.id())?.cpu_s;
    let seen = browser.said().await?;
    let platform_cpu = Usage::of(platform.running.id())?.cpu_s - before;
    stopped.store(true, Ordering::Relaxed);
    agents.abort_all();

    let own = |place: &str| {
        seen.pointer(place)
            .and_then(Value::as_f64)
            .ok_or("a figure lacks")
    };
    let long = |page: &str| seen[page]["long"].as_array().map_or(0, Vec::len);
    let took = own("/seconds")?;
    let plain = |name, unit| Metric {
        bound: Bound::None,
        ..metric("console-scale", name, unit)
    };
    report.record(plain("events", "a second"), SUBJECT, own("/events")? / took);
    report.record(plain("frames", "a second"), SUBJECT, own("/frames")? / took);
    report.record(
        plain("the platform's CPU, of one core", "%"),
        SUBJECT,
        platform_cpu / took * 100.0,
    );
    let longest = metric("console-scale", "longest task, main thread", "ms");
    report.record(longest, SUBJECT, own("/console/longest_ms")?);
    report.record(longest, IDLE, own("/idle/longest_ms")?);
    report.record(longest, ALLOWED, 50.0);
    let busiest = metric("console-scale", "longest by its CPU", "ms");
    report.record(busiest, SUBJECT, own("/console/longest_cpu_ms")?);
    report.record(busiest, IDLE, own("/idle/longest_cpu_ms")?);
    report.record(busiest, ALLOWED, 50.0);
    let count = plain("tasks over 50 ms", "");
    report.record(count, SUBJECT, long("console") as f64);
    report.record(count, IDLE, long("idle") as f64);
    report.record(
        plain("of these by their CPU", ""),
        SUBJECT,
        own("/console/long_of_cpu")?,
    );
    report.record(plain("tasks in all", ""), SUBJECT, own("/console/tasks")?);
    let memory = metric("console-scale", "the tab's process, its own memory", "MB");
    report.record(memory, SUBJECT, own("/memory/private")? / 1e6);
    report.record(memory, ALLOWED, 300.0);
    report.record(
        plain("of this its JavaScript heap", "MB"),
        SUBJECT,
        own("/heap_bytes")? / 1e6,
    );
    report.note(format!(
        "console-scale: the console's long tasks: {}",
        seen["console"]["long"]
    ));
    report.note(format!(
        "console-scale: the idle page's: {}",
        seen["idle"]["long"]
    ));
    Ok(())
}

/// The API, as the administrator.
/// Where the API is asked as its administrator.
pub(crate) fn authorised(platform: &Platform) -> Outcome<Endpoint> {
    let mut endpoint = Endpoint::plain(platform.plain);
    let token = platform.administrator_token()?;
    endpoint.fields = format!("Authorization: Bearer {token}\r\n");
    Ok(endpoint)
}

/// Makes people who may look at everything, and signs them in.
async fn people(endpoint: &Endpoint) -> Outcome<Vec<String>> {
    let mut client = Connection::open(endpoint).await?;
    let mut tokens = Vec::new();
    for number in 0..PEOPLE {
        let name = format!("person-{number}");
        let grants = json!({ "all_hosts": true });
        let user =
            json!({ "name": name, "role": "viewer", "password": PASSWORD, "grants": grants });
        call(&mut client, endpoint, "POST", "/api/users", &user).await?;
        let sign_in = json!({ "user": name, "password": PASSWORD });
        let tokens_of = call(&mut client, endpoint, "POST", "/api/auth/sign-in", &sign_in).await?;
        let token = tokens_of["access_token"].as_str();
        tokens.push(token.ok_or("a sign-in without a token")?.to_owned());
    }
    Ok(tokens)
}

async fn call(
    client: &mut Connection,
    endpoint: &Endpoint,
    method: &str,
    path: &str,
    body: &Value,
) -> Outcome<Value> {
    let body = body.to_string();
    let length = body.len();
    let fields = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    let mut request = endpoint.head(method, path, &fields);
    request.extend_from_slice(body.as_bytes());
    Ok(serde_json::from_slice(&client.call(&request).await?)?)
}

/// The share of a core that a process takes while something goes on.
pub(crate) async fn cpu_while(id: u32, work: impl Future<Output = Outcome<()>>) -> Outcome<f64> {
    let (before, begun) = (Usage::of(id)?.cpu_s, Instant::now());
    work.await?;
    Ok((Usage::of(id)?.cpu_s - before) / begun.elapsed().as_secs_f64())
}

/// Changes hosts, so many a second, one after the other.
async fn changes(endpoint: &Endpoint, names: &[String], run: Duration) -> Outcome<()> {
    let mut client = Connection::open(endpoint).await?;
    let mut ticks = interval(Duration::from_secs(1) / CHANGES as u32);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let count = CHANGES * run.as_secs();
    for (turn, name) in (0..count).zip(names.iter().cycle()) {
        ticks.tick().await;
        let body = json!({ "labels": { "turn": turn.to_string() } });
        let path = format!("/api/hosts/{name}");
        call(&mut client, endpoint, "PATCH", &path, &body).await?;
    }
    Ok(())
}

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

/// A WebSocket to the platform's events, which has said what it wants.
async fn follow(platform: &Platform, token: &str) -> Outcome<Socket> {
    let stream = TcpStream::connect(platform.plain).await?;
    stream.set_nodelay(true)?;
    let mut request = format!("ws://{}/api/events", platform.plain).into_client_request()?;
    let bearer = format!("Bearer {token}");
    let fields = request.headers_mut();
    fields.insert("authorization", HeaderValue::from_str(&bearer)?);
    let protocol = HeaderValue::from_static("fleetwire.events.v1.proto");
    fields.insert("sec-websocket-protocol", protocol);
    let config = Some(websocket::config());
    let (mut socket, _) =
        tokio_tungstenite::client_async_with_config(request, stream, config).await?;
    let watch = WatchEventsClientMessage {
        message: Some(Said::Watch(WatchEventsRequest::default())),
    };
    let watch = Message::Binary(watch.encode_to_vec().into());
    socket.send(watch).await?;
    Ok(socket)
}

/// Notes how long ago each event was that comes.
async fn listen(mut socket: Socket, heard: &Mutex<Vec<Duration>>) -> Outcome<()> {
    while let Some(message) = socket.next().await {
        let message = message?;
        if !message.is_binary() {
            continue;
        }
        let message = WatchEventsResponse::decode(message.into_data())?.message;
        let Some(Heard::Event(event)) = message else {
            continue;
        };
        let at = event.at.ok_or("an event without its time")?;
        let at = Duration::new(u64::try_from(at.seconds)?, u32::try_from(at.nanos)?);
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push(now.saturating_sub(at));
    }
    Err("the platform closed the WebSocket of one who looked on".into())
}

/// A host's agent.
struct Simulated {
    index: usize,
    token: String,
    address: std::net::SocketAddr,
    connector: TlsConnector,
}

type Link = agents::Connection<TlsStream<TcpStream>>;

impl Simulated {
    async fn connect(&self) -> Outcome<Link> {
        let stream = agents::dial(self.index, self.address).await?;
        let name = tls::server_name(SERVER_NAME)?;
        let stream = self.connector.connect(name, stream).await?;
        agents::connect(self.index, stream, self.address, &self.token, &[]).await
    }

    /// Beats until it is told to stop; a restless one over another connection each time.
    async fn beat(self, mut link: Link, stopped: Arc<AtomicBool>) {
        // They do not beat as one.
        sleep(BEAT.mul_f64(self.index as f64 / CONNECTED as f64)).await;
        let mut beats = interval(BEAT);
        for turn in 0_u64.. {
            loop {
                tokio::select! {
                    _ = beats.tick() => break,
                    message = link.socket.next() => if !matches!(message, Some(Ok(_))) {
                        if !stopped.load(Ordering::Relaxed) {
                            progress(&format!("agent {} was sent away", self.index));
                        }
                        return;
                    },
                }
            }
            if self.index < RESTLESS {
                drop(link);
                match self.connect().await {
                    Ok(again) => link = again,
                    Err(fault) => return progress(&format!("an agent did not come back: {fault}")),
                }
            }
            let beat = pb::Heartbeat {
                uptime_seconds: Some(turn),
                cpu_percent: Some(((turn * 7 + self.index as u64) % 100) as f64),
                memory_percent: Some(48.0),
                disk_percent: Some(71.0),
                load_1m: Some(0.3),
                ..Default::default()
            };
            let beat = agents::envelope(FromAgent::Heartbeat(beat));
            if link.socket.send(beat).await.is_err() {
                return progress(&format!("agent {} cannot beat", self.index));
            }
        }
    }
}

/// Chromium, with the script that looks on in it.
struct Browser {
    // Killed with this.
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Browser {
    fn start(platform: &Platform, hosts: usize, arguments: &[&str]) -> Outcome<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/scale.mjs");
        let mut command = tokio::process::Command::from(Place::default().command("node"));
        command.arg(script).args(arguments);
        command.env("FLEETWIRE_TEST_URL", format!("http://{}", platform.plain));
        command.env("FLEETWIRE_TEST_KEY", platform.administrator_token()?);
        command.env("FLEETWIRE_TEST_HOSTS", hosts.to_string());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or("a child without its pipe")?;
        Ok(Self {
            _child: child,
            lines: BufReader::new(output).lines(),
        })
    }

    /// What it says next; what is no JSON of its own is shown.
    async fn said(&mut self) -> Outcome<Value> {
        loop {
            let line = timeout(BROWSER_LIMIT, self.lines.next_line()).await??;
            let line = line.ok_or("the browser's script ended early")?;
            match line.starts_with('{') {
                true => return Ok(serde_json::from_str(&line)?),
                false => progress(&line),
            }
        }
    }
}

fn number(seen: &Value, name: &str) -> Outcome<f64> {
    let found = seen[name].as_f64();
    found.ok_or_else(|| format!("the browser's script said no {name}").into())
}
