//! Commands: how long one takes from the API into an agent's journal, how many go from one end to the other
//! in a second, and what a million of them that wait cost.
//!
//! The agents are simulated in this process (`tests/support/agents`), and the API is asked from here too: a
//! sample begins and ends on one clock. The platform is a process of its own, as is the yardstick beside it.
//! All keep what they have in one temporary directory, and so on one disk.
//! Leaves to others: what agents run.

use std::{
    collections::HashMap,
    fs::File,
    io::Write as _,
    net::Ipv4Addr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use fleetwire::process;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

use crate::{
    Options, Outcome,
    agents::{self, Agent, Journal, Told},
    jetstream,
    load::{Connection, Endpoint, Latencies},
    processes::{Place, Usage},
    progress,
    report::{Bound, Metric, Report, SUBJECT},
    tunnel::Platform,
};

/// Agents of the rate.
const AGENTS: usize = 1000;
/// Commands, and messages of the yardstick, that are under way at once.
const IN_FLIGHT: usize = 256;
/// Hosts of one command where it is for several.
const GROUP: usize = 64;
/// Agents that connect at the same time.
const CONNECTING: usize = 64;
/// Those that wait, unless `--waiting` says otherwise.
pub(crate) const WAITING: usize = 1_000_000;
/// Hosts that those that wait are for; as many commands wait for each as it takes.
const AWAY: usize = 1000;
/// No command of a healthy platform takes longer.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// What a sync is told to have written.
const RECORD_BYTES: usize = 512;
/// The yardsticks' names in the tables.
const SYNCS: &str = "two fdatasyncs";
const JETSTREAM: &str = "JetStream";
const NONE: &str = "none waiting";
const ALLOWED: &str = "allowed";

/// Measures what is asked for.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Outcome<()> {
    if options.wants("command-latency") {
        latency(options, report).await?;
    }
    if options.wants("command-rate") {
        rate(options, report).await?;
    }
    if options.wants("command-waiting") {
        waiting(options, report).await?;
    }
    Ok(())
}

fn metric(section: &'static str, name: &'static str, unit: &'static str) -> Metric {
    Metric {
        section,
        name,
        unit,
        base: ALLOWED,
        bound: Bound::AtMost(1.0),
    }
}

/// One agent, one command after the other; after each the disk is asked twice by itself.
async fn latency(options: &Options, report: &mut Report) -> Outcome<()> {
    let world = World::start().await?;
    world.connect(1).await?;
    let endpoint = world.endpoint()?;
    let mut client = Connection::open(&endpoint).await?;
    let host = ["agent-0".to_owned()];
    let mut files = [0, 1].map(|number| File::create(world.path(&format!("sync-{number}"))));
    for round in 0..=options.rounds {
        progress(&format!(
            "command-latency: round {round} of {}",
            options.rounds
        ));
        let end = Instant::now() + options.run;
        let (mut own, mut raw) = (Vec::new(), Vec::new());
        while Instant::now() < end {
            let begun = Instant::now();
            let id = command(&mut client, &endpoint, &host).await?;
            let received = world.board.ended(&id, 1).await?;
            own.push(received.saturating_duration_since(begun));
            let begun = Instant::now();
            for file in &mut files {
                let file = file.as_mut().map_err(|fault| fault.to_string())?;
                file.write_all(&[b'r'; RECORD_BYTES])?;
                file.sync_data()?;
            }
            raw.push(begun.elapsed());
        }
        if round == 0 {
            continue;
        }
        let (own, raw) = (Latencies::new(own), Latencies::new(raw));
        for (share, name, above, allowed) in [
            (0.5, "asked to received, p50", "p50 above it", 400.0),
            (0.99, "asked to received, p99", "p99 above it", 2000.0),
        ] {
            let (own, raw) = (own.us(share)?, raw.us(share)?);
            let both = Metric {
                base: SYNCS,
                bound: Bound::None,
                ..metric("command-latency", name, "us")
            };
            report.record(both, SYNCS, raw);
            report.record(both, SUBJECT, own);
            let above = metric("command-latency", above, "us");
            report.record(above, ALLOWED, allowed);
            report.record(above, SUBJECT, own - raw);
        }
    }
    Ok(())
}

/// A thousand agents, which share one journal, beside JetStream.
async fn rate(options: &Options, report: &mut Report) -> Outcome<()> {
    let world = World::start().await?;
    world.connect(AGENTS).await?;
    let mut stream = match options.takes(JETSTREAM) {
        true => Some(jetstream::Server::start(&world.path("jetstream")).await?),
        false => None,
    };
    report.note(
        "the simulated agents of command-rate share one journal: a sync of it is for all that wait",
    );
    let metric = Metric {
        base: JETSTREAM,
        bound: Bound::AtLeast(1.0),
        ..metric("command-rate", "durable, 256 in flight", "a second")
    };
    let of_groups = Metric {
        name: "the same, each for 64 agents",
        bound: Bound::None,
        ..metric
    };
    let beside = |report: &mut Report, name, unit, value| {
        let metric = Metric {
            base: SUBJECT,
            bound: Bound::None,
            ..self::metric("command-rate", name, unit)
        };
        report.record(metric, SUBJECT, value);
    };
    let body = request(&["agent-0".to_owned()]).to_string();
    for round in 1..=options.rounds {
        progress(&format!(
            "command-rate: round {round} of {}",
            options.rounds
        ));
        let yardstick = match &mut stream {
            Some(stream) => Some(stream.rate(&body, IN_FLIGHT, options.run).await?),
            None => None,
        };
        for (metric, cpu, width) in [
            (metric, "platform's CPU a command", 1),
            (of_groups, "the same of groups", GROUP),
        ] {
            let before = Usage::of(world.platform.running.id())?.cpu_s;
            let ended = world.whole(width, options.run).await?;
            let spent = Usage::of(world.platform.running.id())?.cpu_s - before;
            if let Some(yardstick) = yardstick {
                report.record(metric, JETSTREAM, yardstick);
            }
            report.record(metric, SUBJECT, ended.rate);
            beside(report, cpu, "us", spent * 1e6 / ended.total as f64);
            if width == 1 {
                beside(
                    report,
                    "asked to ended, p50",
                    "ms",
                    ended.latencies.us(0.5)? / 1e3,
                );
                beside(
                    report,
                    "asked to ended, p99",
                    "ms",
                    ended.latencies.us(0.99)? / 1e3,
                );
            }
        }
    }
    Ok(())
}

/// What it takes to ask, where a million wait and where nothing does.
async fn waiting(options: &Options, report: &mut Report) -> Outcome<()> {
    let host = ["agent-0".to_owned()];
    let mut worlds = Vec::new();
    for (name, count) in [(NONE, 0), (SUBJECT, options.waiting)] {
        let world = World::start().await?;
        // First, so that it is none of those that are away.
        world.connect(1).await?;
        world.fill(count).await?;
        worlds.push((name, world));
    }
    let mut opened = Vec::new();
    // Once all wait: a connection that nothing is asked over is closed meanwhile.
    for (name, world) in worlds {
        let endpoint = world.endpoint()?;
        let client = Connection::open(&endpoint).await?;
        opened.push((name, world, endpoint, client));
    }
    for round in 0..=options.rounds {
        progress(&format!(
            "command-waiting: round {round} of {}",
            options.rounds
        ));
        for (name, world, endpoint, client) in &mut opened {
            let end = Instant::now() + options.run;
            let (mut accepted, mut received) = (Vec::new(), Vec::new());
            while Instant::now() < end {
                let begun = Instant::now();
                let id = command(client, endpoint, &host).await?;
                accepted.push(begun.elapsed());
                let at = world.board.ended(&id, 1).await?;
                received.push(at.saturating_duration_since(begun));
            }
            if round == 0 {
                continue;
            }
            let (accepted, received) = (Latencies::new(accepted), Latencies::new(received));
            for (metric, us) in [
                ("asked to accepted, p50", accepted.us(0.5)?),
                ("asked to accepted, p99", accepted.us(0.99)?),
                ("asked to received, p50", received.us(0.5)?),
            ] {
                let bound = match metric {
                    "asked to accepted, p50" => Bound::AtMost(1.2),
                    _ => Bound::None,
                };
                let metric = Metric {
                    base: NONE,
                    bound,
                    ..self::metric("command-waiting", metric, "us")
                };
                report.record(metric, name, us);
            }
        }
    }
    let memory = metric("command-waiting", "the platform's memory", "MB");
    for (name, world, ..) in &opened {
        let resident = Usage::of(world.platform.running.id())?.resident;
        report.record(memory, name, resident as f64 / 1e6);
    }
    report.record(memory, ALLOWED, 200.0);
    Ok(())
}

/// A platform, and agents that this process plays.
struct World {
    platform: Platform,
    board: Board,
    journal: Journal,
    agents: Mutex<JoinSet<()>>,
    // Last, so that all of it ends before its directory goes.
    dir: TempDir,
}

impl World {
    async fn start() -> Outcome<Self> {
        let dir = tempfile::tempdir()?;
        Ok(Self {
            platform: Platform::start(dir.path(), &Place::default(), Ipv4Addr::LOCALHOST).await?,
            board: Board::default(),
            journal: Journal::start(&dir.path().join("journal"))?,
            agents: Mutex::default(),
            dir,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn endpoint(&self) -> Outcome<Endpoint> {
        let mut endpoint = Endpoint::plain(self.platform.plain);
        let token = self.platform.administrator_token()?;
        endpoint.fields = format!("Authorization: Bearer {token}\r\n");
        Ok(endpoint)
    }

    /// Enrols agents and has them connected. They serve until it is dropped.
    async fn connect(&self, count: usize) -> Outcome<()> {
        process::raise_open_files();
        let fleet = self.platform.enrol(count).await?;
        let name = fleet.asks_for()?;
        let connecting = Arc::new(Semaphore::new(CONNECTING));
        let address = self.platform.secure;
        let mut opening = JoinSet::new();
        let settings: Vec<_> = fleet.settings().collect::<Outcome<_>>()?;
        for (index, (settings, proof)) in settings.into_iter().zip(fleet.agents).enumerate() {
            let (connector, name) = (TlsConnector::from(settings), name.clone());
            let permits = connecting.clone();
            opening.spawn(async move {
                let _permit = permits.acquire_owned().await?;
                let stream = connector
                    .connect(name, agents::dial(index, address).await?)
                    .await?;
                let token = proof.token.ok_or("an agent without a token")?;
                agents::connect(index, stream, address, &token, &["command_ack"]).await
            });
        }
        while let Some(opened) = opening.join_next().await {
            let mut connection = opened??;
            let (board, mut agent) = (self.board.clone(), Agent::new(self.journal.clone()));
            self.agents
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .spawn(async move {
                    let served = agent
                        .serve(&mut connection, |id, told| board.tell(id, told))
                        .await;
                    let Err(fault) = served;
                    progress(&format!("an agent ended: {fault}"));
                });
        }
        Ok(())
    }

    /// Has so many deliveries wait for hosts that do not come.
    async fn fill(&self, count: usize) -> Outcome<()> {
        if count == 0 {
            return Ok(());
        }
        let endpoint = self.endpoint()?;
        let mut client = Connection::open(&endpoint).await?;
        let mut names = Vec::with_capacity(AWAY);
        for index in 0..AWAY {
            let name = format!("away-{index}");
            post(
                &mut client,
                &endpoint,
                "/api/hosts",
                &json!({ "name": name }),
            )
            .await?;
            names.push(name);
        }
        let rounds = count.div_ceil(AWAY);
        let body = request(&names);
        let begun = Instant::now();
        for _ in 0..rounds {
            post(&mut client, &endpoint, "/api/commands", &body).await?;
        }
        progress(&format!(
            "{} wait, made within {:?}",
            rounds * AWAY,
            begun.elapsed()
        ));
        Ok(())
    }

    /// Commands from one end to the other, each for `width` agents and [`IN_FLIGHT`] deliveries at once,
    /// for `run` after a warm-up of a fifth of it.
    async fn whole(&self, width: usize, run: Duration) -> Outcome<Ended> {
        let endpoint = self.endpoint()?;
        let warm = Instant::now() + run / 5;
        let end = warm + run;
        let mut asking = JoinSet::new();
        for worker in 0..IN_FLIGHT / width {
            let (endpoint, board) = (endpoint.clone(), self.board.clone());
            let mut client = Connection::open(&endpoint).await?;
            asking.spawn(async move {
                let (mut samples, mut total) = (Vec::new(), 0);
                for turn in 0.. {
                    let first = worker * width + turn * IN_FLIGHT;
                    let hosts =
                        (first..first + width).map(|host| format!("agent-{}", host % AGENTS));
                    let hosts: Vec<_> = hosts.collect();
                    let begun = Instant::now();
                    if begun >= end {
                        break;
                    }
                    let id = command(&mut client, &endpoint, &hosts).await?;
                    board.ended(&id, width).await?;
                    total += width;
                    if (warm..end).contains(&Instant::now()) {
                        samples.push(begun.elapsed());
                    }
                }
                Outcome::Ok((samples, total))
            });
        }
        let (mut samples, mut total) = (Vec::new(), 0);
        while let Some(done) = asking.join_next().await {
            let (of_one, total_of_one) = done??;
            samples.extend(of_one);
            total += total_of_one;
        }
        let latencies = Latencies::new(samples);
        Ok(Ended {
            rate: (latencies.count() * width) as f64 / run.as_secs_f64(),
            latencies,
            total,
        })
    }
}

/// What a closed loop of commands came to.
struct Ended {
    /// Deliveries a second.
    rate: f64,
    latencies: Latencies,
    /// All deliveries, the warm-up's too.
    total: usize,
}

/// Asks hosts for something, as the API is asked.
fn request(hosts: &[String]) -> Value {
    json!({ "targets": { "hosts": hosts }, "script": { "content": "true" } })
}

async fn command(
    client: &mut Connection,
    endpoint: &Endpoint,
    hosts: &[String],
) -> Outcome<String> {
    let made = post(client, endpoint, "/api/commands", &request(hosts)).await?;
    Ok(made["command_id"]
        .as_str()
        .ok_or("a command without an id")?
        .to_owned())
}

/// Asks the API for something with a body, and answers what it says.
pub(crate) async fn post(
    client: &mut Connection,
    endpoint: &Endpoint,
    path: &str,
    body: &Value,
) -> Outcome<Value> {
    let body = body.to_string();
    let fields = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    let mut request = endpoint.head("POST", path, &fields);
    request.extend_from_slice(body.as_bytes());
    Ok(serde_json::from_slice(&client.call(&request).await?)?)
}

/// What is known of each command that is under way. An agent may know more than whoever asked for it does
/// yet.
#[derive(Clone, Default)]
struct Board(Arc<Mutex<HashMap<String, Seen>>>);

#[derive(Default)]
struct Seen {
    received: Option<Instant>,
    acknowledged: usize,
    /// Who waits for how many hosts of it.
    waiter: Option<(usize, oneshot::Sender<Instant>)>,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, id: &str, told: Told) {
        let now = Instant::now();
        let mut all = self.lock();
        let seen = all.entry(id.to_owned()).or_default();
        match told {
            Told::Received => seen.received = Some(now),
            Told::Ran => {}
            Told::Acknowledged => seen.acknowledged += 1,
        }
        let is_whole = |waiter: &mut (usize, _)| waiter.0 <= seen.acknowledged;
        if let Some((_, waiter)) = seen.waiter.take_if(is_whole) {
            // Whoever waited may have given up.
            let _ = waiter.send(seen.received.unwrap_or(now));
            all.remove(id);
        }
    }

    /// Waits until the platform has a command's results from so many hosts; when the last of their agents
    /// had it in its journal.
    async fn ended(&self, id: &str, hosts: usize) -> Outcome<Instant> {
        let told = {
            let mut all = self.lock();
            let seen = all.entry(id.to_owned()).or_default();
            if let (true, Some(received)) = (seen.acknowledged >= hosts, seen.received) {
                all.remove(id);
                return Ok(received);
            }
            let (waiter, told) = oneshot::channel();
            seen.waiter = Some((hosts, waiter));
            told
        };
        let within = tokio::time::timeout(COMMAND_LIMIT, told).await;
        Ok(within
            .map_err(|_| format!("the command {id} did not end within {COMMAND_LIMIT:?}"))??)
    }
}
