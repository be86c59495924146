//! Many agents at once: what an idle connection costs the platform, and what ten thousand with
//! their heartbeats do.
//!
//! The agents are simulated in one process of this program's own: each is enrolled, and comes with its
//! own certificate over a real TLS 1.3 connection, with real messages of the link, from one of many
//! loopback addresses. Beside the platform, and in the same way, stands a bare tokio-tungstenite server
//! that asks for certificates too, and gives each beat back as it came.
//! Memory is read while every connection still stands, against a server that was just started: what
//! an allocator keeps after a connection is no figure of the connection.
//! Leaves to others: everything that flows in streams.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use fleetwire::{
    process,
    schema::pb::{
        self, agent_to_platform::Message as FromAgent, platform_to_agent::Message as ToAgent,
    },
};
use futures_util::{SinkExt, StreamExt};
use prost::Message as _;
use rustix::process::{Resource, getrlimit};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::MissedTickBehavior,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::{
    Options, Outcome, agents,
    mutual::{self, Fleet},
    processes::{Part, Place, Usage},
    progress,
    report::{Bound, Metric, Report, SUBJECT},
    tunnel::Platform,
    websocket,
};

/// The bare server's name in the tables.
const BARE: &str = "tungstenite";
/// Idle connections in one round.
const IDLE_AGENTS: usize = 1000;
/// Agents of the long run, unless `--agents` says otherwise.
pub(crate) const AGENTS: usize = 10_000;
/// How long the long run is watched: four beats of each agent.
const WATCHED: Duration = Duration::from_secs(60);
/// How long idle connections are watched before their memory is read: some have beaten by then.
const IDLE_WATCHED: Duration = Duration::from_secs(1);
/// How long memory is given to come to rest before it is read.
const REST: Duration = Duration::from_secs(2);
/// The interval of beats towards the bare server; the platform says its own.
const BARE_INTERVAL: Duration = Duration::from_secs(15);
/// An answer that comes later than this after its beat was due is late.
const LATE: Duration = Duration::from_secs(1);
/// Agents that connect at the same time.
const CONNECTING: usize = 64;
/// Descriptors that either side needs beside its agents'.
const FILES_BESIDE: u64 = 500;
/// No run of the agents takes longer, connecting and being held included.
const PART_LIMIT: Duration = Duration::from_secs(600);

/// Measures what is asked for.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Outcome<()> {
    if !options.wants("idle") && !options.wants("agents") {
        return Ok(());
    }
    check_files(options.agents.max(IDLE_AGENTS) as u64 + FILES_BESIDE)?;
    if options.wants("idle") {
        for round in 1..=options.rounds {
            progress(&format!("idle: round {round} of {}", options.rounds));
            for name in [BARE, SUBJECT]
                .into_iter()
                .filter(|name| options.takes(name))
            {
                let seen = observe(name, IDLE_AGENTS, IDLE_WATCHED).await?;
                if seen.resident_grown <= 0.0 {
                    // Left out, it would shift the rounds; as a base, it makes no ratio.
                    let fault = format!("{name}: {IDLE_AGENTS} connections took no memory");
                    return Err(fault.into());
                }
                let bytes = seen.resident_grown / IDLE_AGENTS as f64;
                let bound = Bound::AtMost(1.3);
                let metric = Metric {
                    section: "idle",
                    name: "memory a connection",
                    unit: "KiB",
                    base: BARE,
                    bound,
                };
                report.record(metric, name, bytes / 1024.0);
            }
        }
    }
    if options.wants("agents") {
        for name in [BARE, SUBJECT]
            .into_iter()
            .filter(|name| options.takes(name))
        {
            progress(&format!(
                "{name}: {} agents for {WATCHED:?}",
                options.agents
            ));
            let seen = observe(name, options.agents, WATCHED).await?;
            let mut record = |metric, unit, value| {
                let metric = Metric {
                    section: "agents",
                    name: metric,
                    unit,
                    base: BARE,
                    bound: Bound::None,
                };
                report.record(metric, name, value);
            };
            record("connected", "", options.agents as f64);
            record("time to connect all", "s", seen.connecting_s);
            record("CPU to connect all", "s", seen.connecting_cpu_s);
            record("memory", "MiB", seen.resident / f64::from(1 << 20));
            record(
                "memory a connection",
                "KiB",
                seen.resident_grown / options.agents as f64 / 1024.0,
            );
            record(
                "CPU, of one core",
                "%",
                seen.cpu_s * 100.0 / WATCHED.as_secs_f64(),
            );
            record("beats", "", seen.beats);
            record("late beats", "", seen.late);
            record("slowest answer", "ms", seen.slowest_ms);
        }
    }
    Ok(())
}

/// Fails where this machine lets no process open so many files. Each process raises its own limit:
/// the platform must, and so no other does it for it.
fn check_files(needed: u64) -> Outcome<()> {
    let limit = getrlimit(Resource::Nofile).maximum;
    if limit.is_some_and(|limit| limit < needed) {
        return Err(format!("{needed} open files are needed: raise ulimit -Hn").into());
    }
    Ok(())
}

/// What was seen of a server with its agents.
struct Seen {
    /// With all agents connected and at rest.
    resident: f64,
    /// The same, less what it was before the first.
    resident_grown: f64,
    connecting_s: f64,
    connecting_cpu_s: f64,
    cpu_s: f64,
    beats: f64,
    late: f64,
    slowest_ms: f64,
}

/// Starts a server of this name, connects `count` agents to it and watches them for `watched`. They
/// stay connected until everything has been read.
async fn observe(name: &str, count: usize, watched: Duration) -> Outcome<Seen> {
    let dir = tempfile::tempdir()?;
    let (server, address, _held): (u32, SocketAddr, (Option<Platform>, Option<Part>));
    let fleet;
    let place = Place::default();
    if name == BARE {
        fleet = Fleet::made_by(dir.path(), count)?;
        let (part, at) =
            Part::start_server(&place, &["tls-websocket", &dir.path().to_string_lossy()])?;
        (server, address, _held) = (part.running.id(), at, (None, Some(part)));
    } else {
        let platform = Platform::start(dir.path(), &place, Ipv4Addr::LOCALHOST).await?;
        fleet = platform.enrol(count).await?;
        // Enrolling them grew its heap, which the agents would then fill for nothing: they come to
        // a platform that was just started, as those of the bare server do.
        drop(platform);
        let platform = Platform::start(dir.path(), &place, Ipv4Addr::LOCALHOST).await?;
        let (id, at) = (platform.running.id(), platform.secure);
        (server, address, _held) = (id, at, (Some(platform), None));
    }
    let fleet_file = dir.path().join("fleet");
    fleet.write(&fleet_file)?;
    let (address, seconds) = (address.to_string(), watched.as_secs().to_string());
    let fleet_file = fleet_file.to_string_lossy();
    let mut agents = Part::start(&place, &["agents", &address, &fleet_file, &seconds])?;
    if agents.line()? != "ready" {
        return Err(format!("the agents of {name} have nothing to connect with").into());
    }
    let before = Usage::of(server)?;
    let start = Instant::now();
    if agents.line()? != "connected" {
        return Err(format!("the agents of {name} did not connect").into());
    }
    let connecting_s = start.elapsed().as_secs_f64();
    let connected = Usage::of(server)?;
    let account: Value = serde_json::from_str(&agents.line()?)?;
    let watched = Usage::of(server)?;
    tokio::time::sleep(REST).await;
    let rested = Usage::of(server)?;
    // Read after the memory: the connections stood when it was.
    let open = fs::read_dir(format!("/proc/{server}/fd"))?.count();
    if open < count {
        return Err(format!("{name}: {open} files are open, with {count} agents").into());
    }
    drop(agents);
    let figure = |name: &str| {
        account[name]
            .as_f64()
            .ok_or_else(|| format!("the agents' account lacks {name}"))
    };
    Ok(Seen {
        resident: rested.resident as f64,
        resident_grown: rested.resident as f64 - before.resident as f64,
        connecting_s,
        connecting_cpu_s: connected.cpu_s - before.cpu_s,
        cpu_s: watched.cpu_s - connected.cpu_s,
        beats: figure("beats")?,
        late: figure("late")?,
        slowest_ms: figure("slowest_us")? / 1000.0,
    })
}

/// The bare server, as a part of its own, with the certificates under `dir`: prints its address and gives
/// every message back until it is killed.
pub(crate) async fn serve_bare(dir: &Path) -> Outcome<()> {
    process::raise_open_files();
    let acceptor = TlsAcceptor::from(mutual::bare_settings(dir)?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    crate::say(&listener.local_addr()?.to_string());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        // A connection that fails is the client's to notice.
        tokio::spawn(async move {
            let stream = acceptor.accept(stream).await?;
            let socket =
                tokio_tungstenite::accept_async_with_config(stream, Some(websocket::config()))
                    .await?;
            websocket::serve_echo(socket).await
        });
    }
}

/// What all agents of the part have seen.
#[derive(Default)]
struct Account {
    beats: AtomicU64,
    late: AtomicU64,
    slowest_us: AtomicU64,
}

/// The agents of a fleet, as a part of its own. Prints `ready` before the first of them connects,
/// `connected` when all are, and their account when they have been watched for `watched` after that.
/// Their connections stand until it is killed.
pub(crate) async fn run_agents(
    address: SocketAddr,
    fleet_file: &Path,
    watched: Duration,
) -> Outcome<()> {
    process::raise_open_files();
    let fleet = Fleet::read(fleet_file)?;
    let name = fleet.asks_for()?;
    let connecting = Arc::new(Semaphore::new(CONNECTING));
    let mut opening = JoinSet::new();
    let settings: Vec<_> = fleet.settings().collect::<Outcome<_>>()?;
    crate::say("ready");
    for (index, (settings, agent)) in settings.into_iter().zip(fleet.agents).enumerate() {
        let (connector, token) = (TlsConnector::from(settings), agent.token);
        let (permits, name) = (Arc::clone(&connecting), name.clone());
        opening.spawn(async move {
            let _permit = permits.acquire_owned().await?;
            let stream = connector
                .connect(name, agents::dial(index, address).await?)
                .await?;
            Agent::connect(index, address, stream, token).await
        });
    }
    let whole = async {
        let mut agents = Vec::new();
        while let Some(opened) = opening.join_next().await {
            agents.push(opened??);
        }
        let account = Arc::new(Account::default());
        let count = agents.len();
        let end = Instant::now() + watched;
        let mut running = JoinSet::new();
        for (index, agent) in agents.into_iter().enumerate() {
            // Their beats are spread as those of agents that came at random.
            let first = agent.interval.mul_f64((index + 1) as f64 / count as f64);
            running.spawn(agent.run(first, end, Arc::clone(&account)));
        }
        crate::say("connected");
        let mut held = Vec::with_capacity(count);
        while let Some(agent) = running.join_next().await {
            held.push(agent??);
        }
        let figure = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let (beats, late, slowest) = (
            figure(&account.beats),
            figure(&account.late),
            figure(&account.slowest_us),
        );
        crate::say(&json!({ "beats": beats, "late": late, "slowest_us": slowest }).to_string());
        std::future::pending::<()>().await;
        drop(held);
        Outcome::Ok(())
    };
    tokio::time::timeout(PART_LIMIT, whole).await?
}

/// One simulated agent.
struct Agent {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    interval: Duration,
    /// The server is the bare one, which gives beats back instead of answering them.
    bare: bool,
}

impl Agent {
    /// Asks for a WebSocket, and says hello where it has a token.
    async fn connect(
        index: usize,
        address: SocketAddr,
        stream: TlsStream<TcpStream>,
        token: Option<String>,
    ) -> Outcome<Self> {
        let Some(token) = token else {
            let request = format!("wss://{address}/v1/agent/ws").into_client_request()?;
            let config = Some(websocket::config());
            let (socket, _) =
                tokio_tungstenite::client_async_with_config(request, stream, config).await?;
            return Ok(Self {
                socket,
                interval: BARE_INTERVAL,
                bare: true,
            });
        };
        let connected = agents::connect(index, stream, address, &token, &[]).await?;
        Ok(Self {
            socket: connected.socket,
            interval: connected.interval,
            bare: false,
        })
    }

    /// Beats until `end` and counts the answers that come late or not at all; gives the agent back,
    /// still connected.
    async fn run(mut self, first: Duration, end: Instant, account: Arc<Account>) -> Outcome<Self> {
        let mut beats =
            tokio::time::interval_at(tokio::time::Instant::now() + first, self.interval);
        beats.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut due: Option<Instant> = None;
        loop {
            tokio::select! {
                tick = beats.tick() => {
                    if due.is_some() {
                        account.late.fetch_add(1, Ordering::Relaxed);
                    }
                    let at = tick.into_std();
                    due = Some(at);
                    account.beats.fetch_add(1, Ordering::Relaxed);
                    let heartbeat = pb::Heartbeat {
                        uptime_seconds: Some(86_400),
                        cpu_percent: Some(12.5),
                        memory_percent: Some(48.0),
                        disk_percent: Some(71.0),
                        load_1m: Some(0.3),
                        sent_us: Some(1),
                        round_trip_us: None,
                        ..Default::default()
                    };
                    self.socket.send(agents::envelope(FromAgent::Heartbeat(heartbeat))).await?;
                }
                message = self.socket.next() => {
                    let message = message.ok_or("the server closed an agent's connection")??;
                    if !message.is_binary() || !(self.bare || answers_beat(message)?) {
                        continue;
                    }
                    let Some(at) = due.take() else { continue };
                    let took = at.elapsed();
                    account.slowest_us.fetch_max(took.as_micros() as u64, Ordering::Relaxed);
                    if took > LATE {
                        account.late.fetch_add(1, Ordering::Relaxed);
                    }
                }
                () = tokio::time::sleep_until(end.into()) => {
                    if due.is_some_and(|at| at.elapsed() > LATE) {
                        account.late.fetch_add(1, Ordering::Relaxed);
                    }
                    return Ok(self);
                }
            }
        }
    }
}

/// Whether a message of the platform's answers a beat.
fn answers_beat(message: Message) -> Outcome<bool> {
    let message = pb::PlatformToAgent::decode(message.into_data())?.message;
    Ok(matches!(message, Some(ToAgent::HeartbeatAck(_))))
}
