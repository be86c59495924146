//! The benchmark of the whole: Fleetwire's own release programs beside what they are to be measured
//! by.
//!
//! ```text
//! cargo bench --bench tunnel -- [SECTION ...] [--rounds N] [--seconds S] [--json FILE]
//!     [--paths LIST] [--agents N] [--waiting N]
//!     [--shape MBIT,ROUND_TRIP_MS,QUEUE_KIB,LOSS_PERCENT,CONGESTION_CONTROL]
//! ```
//!
//! Sections (all, where none is named):
//!
//! | section | what it measures |
//! | --- | --- |
//! | `requests` | 1 KiB answers, 1, 32 and 128 at once: rate, latency, CPU, memory afterwards |
//! | `bulk` | 100 MiB down, 100 MiB up |
//! | `echo` | a 64 B WebSocket message there and back |
//! | `busy` | a small request every 5 ms, alone and while a download runs beside it |
//! | `split` | an origin that sends its answer's head and body apart |
//! | `codec` | bytes to a checked message and back, beside bare prost |
//! | `api` | the CPU of a list over REST beside gRPC; one host read by 32 beside a bare axum handler |
//! | `handshakes` | 10,000 whole handshakes with a client's certificate, beside a bare accept loop |
//! | `idle` | memory of an idle agent's connection over mTLS, beside a bare tokio-tungstenite server |
//! | `agents` | 10,000 agents and their heartbeats: memory, CPU, late beats; a minute, once |
//! | `command-latency` | from asking the API to an agent's journal, both synced, beside two raw fdatasyncs |
//! | `command-rate` | commands a second from one end to the other, of 1000 agents, beside JetStream |
//! | `command-waiting` | what it takes to ask where a million wait (`--waiting`), beside where none does |
//! | `console-events` | an event to a console in Chromium with 99 others that look on; what one costs |
//! | `console-scale` | 20,000 hosts, 500 events a second: the list in Chromium, long tasks, memory; once |
//! | `alerts` | 20,000 hosts: what the watch over them costs, and how long until each has an alert; once |
//! | `shaped` | a path with rate, delay and queue: small requests beside a download, goodput |
//!
//! How it is measured:
//! - A round measures every path once, one after the other; at least 10 rounds. A figure is the
//!   median over the rounds with its quartiles. A ratio is taken round by round, and its median and
//!   range are shown.
//! - The paths (all that can be had, or those of `--paths`, by comma): `direct` to the origin (for
//!   the WebSocket that is raw tokio-tungstenite), `hyper` (a bare pooled reverse proxy, see
//!   `proxy.rs`), `nginx` (a plain reverse proxy too, by which to place that one, see `nginx.rs`),
//!   `fleetwire` (platform and agent, TLS 1.3 between them, plain HTTP at the browser's side), and
//!   each peer whose programs are on PATH: `rathole`, `penguin`, `ssh`, `chisel`, `frp` (`frps` and
//!   `frpc`), `wstunnel`.
//! - Whatever is measured beside `hyper`, each round also takes `hyper` and `direct` through a short
//!   run of requests, 32 at once. Where `hyper` does not reach 0.3 of `direct` the run is void.
//! - The origin is nginx; uploads, WebSockets and split answers go to a server of the benchmark's
//!   own.
//! - Every process of our own, `hyper` too, is built with the release profile and uses mimalloc.
//! - Only loopback addresses and network namespaces of its own are used; every child ends with the
//!   benchmark.
//!
//! `shaped` needs root, `ip` and a C compiler; `requests` and what follows it nginx. What is
//! missing fails by name. `command-rate` needs nats-server, which `benches/setup.sh` builds with Go;
//! `console-events` and `console-scale` Node.js and Chromium, and a platform that was built with its console.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark's output is its purpose"
)]

#[path = "../../tests/support/agents/mod.rs"]
mod agents;
mod alerts;
mod api;
mod codec;
mod commands;
mod console;
mod fleet;
mod handshakes;
mod jetstream;
mod load;
mod loopback;
mod mutual;
mod nginx;
mod origin;
#[path = "../../tests/support/path/mod.rs"]
mod path;
mod peers;
mod processes;
mod proxy;
mod report;
mod shaped;
mod tunnel;
mod websocket;

use std::{
    error::Error,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use report::Report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whatever ends a benchmark early; it is shown and nothing else is done with it.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;
/// What a step of a benchmark comes to.
pub(crate) type Outcome<T> = Result<T, Failure>;

/// The whole run is given up after this long: every section is bounded far below it.
const RUN_LIMIT: Duration = Duration::from_secs(3600);
/// How much later a run ends whose only thread is blocked, so that no timer of the runtime's fires.
const BLOCKED_LIMIT: Duration = Duration::from_secs(3660);

/// What was asked for on the command line.
pub(crate) struct Options {
    sections: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) run: Duration,
    json: Option<PathBuf>,
    paths: Option<Vec<String>>,
    pub(crate) agents: usize,
    pub(crate) waiting: usize,
    pub(crate) shape: Option<path::Profile>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut options = Self {
            sections: Vec::new(),
            rounds: 10,
            run: Duration::from_secs(1),
            json: None,
            paths: None,
            agents: fleet::AGENTS,
            waiting: commands::WAITING,
            shape: None,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
                "--seconds" => options.run = Duration::from_secs_f64(value()?.parse()?),
                "--json" => options.json = Some(value()?.into()),
                "--shape" => options.shape = Some(shaped::parse_profile(&value()?)?),
                "--agents" => options.agents = value()?.parse::<usize>()?.max(1),
                "--waiting" => options.waiting = value()?.parse()?,
                "--paths" => options.paths = Some(value()?.split(',').map(str::to_owned).collect()),
                section if !section.starts_with('-') => options.sections.push(section.to_owned()),
                _ => return Err(format!("unknown argument {argument}").into()),
            }
        }
        Ok(options)
    }

    /// Whether a path is asked for, by its name in the tables or by that of its program.
    pub(crate) fn takes(&self, path: &str) -> bool {
        let program = path.split(' ').next().unwrap_or(path);
        self.paths.as_ref().is_none_or(|paths| {
            paths
                .iter()
                .any(|wanted| wanted == path || wanted == program)
        })
    }

    /// Whether a section is asked for.
    pub(crate) fn wants(&self, section: &str) -> bool {
        self.sections.is_empty()
            || self
                .sections
                .iter()
                .any(|wanted| section.contains(wanted.as_str()))
    }
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo says `--bench` to a benchmark; `cargo test --benches` does not, and has nothing to run
    // here.
    let asked = arguments.iter().any(|argument| argument == "--bench");
    arguments.retain(|argument| argument != "--bench");
    let part = arguments.first().is_some_and(|argument| argument == "part");
    if arguments.iter().any(|argument| argument == "--help") {
        let lines = include_str!("main.rs").lines();
        lines
            .map_while(|line| line.strip_prefix("//!"))
            .for_each(|line| println!("{}", line.trim_start()));
        return ExitCode::SUCCESS;
    }
    if !asked && !part {
        println!("nothing is measured in a test run: cargo bench --bench tunnel");
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(fault) => {
            eprintln!("no runtime: {fault}");
            return ExitCode::FAILURE;
        }
    };
    let done = if part {
        runtime.block_on(run_part(&arguments[1..]))
    } else {
        std::thread::spawn(|| {
            std::thread::sleep(BLOCKED_LIMIT);
            eprintln!("benchmark: given up after {BLOCKED_LIMIT:?}, waiting for a part of it");
            // Its children end with it, however it ends.
            std::process::exit(1);
        });
        runtime.block_on(async { tokio::time::timeout(RUN_LIMIT, run(arguments)).await? })
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("benchmark: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// The parts that this program starts of itself, each a process of its own.
async fn run_part(arguments: &[String]) -> Outcome<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["origin"] => origin::serve().await,
        ["bare-axum", path, body_file] => api::serve_bare(path, Path::new(body_file)).await,
        ["hyper-proxy", origin] => proxy::serve(origin.parse()?).await,
        ["tls-accept", dir] => handshakes::serve_bare(Path::new(dir)).await,
        ["handshakes", address, fleet_file] => {
            handshakes::run_clients(address.parse()?, Path::new(fleet_file)).await
        }
        ["tls-websocket", dir] => fleet::serve_bare(Path::new(dir)).await,
        ["agents", address, fleet_file, seconds] => {
            let watched = Duration::from_secs(seconds.parse()?);
            fleet::run_agents(address.parse()?, Path::new(fleet_file), watched).await
        }
        ["shaped", far, dir, round_trip_ms, rounds, with_tunnel] => {
            let round_trip = Duration::from_millis(round_trip_ms.parse()?);
            let (dir, rounds) = (Path::new(dir), rounds.parse()?);
            shaped::measure_inside(far, dir, round_trip, rounds, with_tunnel.parse()?).await
        }
        _ => Err(format!("no such part: {arguments:?}").into()),
    }
}

/// Runs the sections asked for and prints what they found.
async fn run(arguments: Vec<String>) -> Outcome<()> {
    let options = Options::parse(arguments.into_iter())?;
    let mut report = Report::default();
    report.condition("rounds", options.rounds);
    report.condition("seconds a run", options.run.as_secs_f64());
    report.condition("cores", std::thread::available_parallelism()?.get());
    let begun = Instant::now();
    let done = sections(&options, &mut report).await;
    report.condition("seconds in all", begun.elapsed().as_secs());
    // What was measured before a failure is shown all the same.
    say(&report.table());
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_vec_pretty(&report.json())?)?;
    }
    done
}

async fn sections(options: &Options, report: &mut Report) -> Outcome<()> {
    codec::measure(options, report)?;
    api::measure(options, report).await?;
    handshakes::measure(options, report).await?;
    fleet::measure(options, report).await?;
    commands::measure(options, report).await?;
    console::measure(options, report).await?;
    alerts::measure(options, report).await?;
    loopback::measure(options, report).await?;
    shaped::measure(options, report).await
}

/// Prints at once, also where the output is a pipe.
pub(crate) fn say(text: &str) {
    println!("{text}");
    // A reader that has gone is no reason to stop measuring.
    let _ = std::io::stdout().flush();
}

/// Shows that something goes on; kept apart from the tables.
pub(crate) fn progress(text: &str) {
    eprintln!("{text}");
}
