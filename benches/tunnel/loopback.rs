//! The sections on loopback: requests, bulk, echo, busy, split. Each round takes every path through
//! each of them.
//!
//! Leaves to others: how the paths are built (`tunnel`, `peers`, `proxy`, `nginx`) and the
//! load.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use crate::{
    Options, Outcome,
    load::{self, Endpoint},
    nginx::{self, NGINX},
    origin, peers,
    processes::{Part, Place, Running, Usage, free_port},
    progress,
    report::{Bound, Metric, Report, SUBJECT},
    tunnel, websocket,
};

/// The path to the origin without anything between.
const DIRECT: &str = "direct";
/// The yardstick.
const HYPER: &str = "hyper";
/// A yardstick slower than this share of direct is no yardstick.
const YARDSTICK_SHARE_MIN: f64 = 0.3;
/// What that is judged by, in every round of every section.
const YARDSTICK_SECTION: &str = "yardstick";
const YARDSTICK_RATE: &str = "1 KiB, 32 at once";
const YARDSTICK_AT_ONCE: usize = 32;
/// How long one of its runs takes.
const YARDSTICK_RUN: Duration = Duration::from_millis(300);

/// A small request beside a download comes this often.
const BUSY_INTERVAL: Duration = Duration::from_millis(5);
/// Transfers that make one figure: one alone takes 50 ms, too short to be steady.
const BULK_TIMES: u32 = 4;
/// Bytes of an echoed message.
const ECHO_BYTES: usize = 64;

/// A way from the load generator to the origins.
pub(crate) struct UnderTest {
    /// Its name in the tables.
    pub(crate) name: String,
    /// The way to nginx.
    pub(crate) files: Endpoint,
    /// The way to the origin of our own.
    pub(crate) live: Endpoint,
    /// The processes it consists of, whose CPU and memory are its cost.
    pub(crate) processes: Vec<u32>,
    /// What must live as long as the path is used.
    pub(crate) running: Vec<Running>,
}

/// The two origins that every path leads to.
#[derive(Clone, Copy)]
pub(crate) struct Origins {
    /// nginx.
    pub(crate) files: SocketAddr,
    /// The one of our own.
    pub(crate) live: SocketAddr,
}

/// Runs the loopback sections that are asked for.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Outcome<()> {
    if !["requests", "bulk", "echo", "busy", "split"]
        .iter()
        .any(|section| options.wants(section))
    {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let port = free_port()?;
    let _nginx = origin::start_nginx(
        dir.path(),
        &Place::default(),
        &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
        port,
    )
    .await?;
    let (_live, live) = Part::start_server(&Place::default(), &["origin"])?;
    let origins = Origins {
        files: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        live,
    };
    let mut paths = paths(options, report, dir.path(), origins).await?;
    for round in 1..=options.rounds {
        progress(&format!("round {round} of {}", options.rounds));
        if let Some(hyper) = paths.iter().find(|path| path.name == HYPER) {
            measure_yardstick(report, &hyper.files, origins).await?;
        }
        for step in STEPS.iter().filter(|step| options.wants(step.section())) {
            // Every other round goes backwards, so that no path always follows the same one.
            let mut order: Vec<&UnderTest> = paths.iter().collect();
            if round % 2 == 0 {
                order.reverse();
            }
            for path in order {
                step.measure(options, report, path)
                    .await
                    .map_err(|fault| format!("{}, {step:?}: {fault}", path.name))?;
            }
        }
    }
    // A path whose process had died and come back would have been measured as something else.
    for running in paths.iter_mut().flat_map(|path| &mut path.running) {
        running.check()?;
    }
    for path in paths.iter().filter(|path| !path.processes.is_empty()) {
        let usage = Usage::sum(&path.processes)?;
        let metric = Metric {
            section: "requests",
            name: "memory after load",
            unit: "MiB",
            base: HYPER,
            bound: Bound::None,
        };
        report.record(
            metric,
            &path.name,
            usage.resident as f64 / f64::from(1 << 20),
        );
    }
    if let Some(share) = report
        .ratio(YARDSTICK_SECTION, YARDSTICK_RATE, HYPER, DIRECT)
        .filter(|share| *share < YARDSTICK_SHARE_MIN)
    {
        return Err(format!(
            "void: the yardstick reaches {share:.2} of direct, less than {YARDSTICK_SHARE_MIN}"
        )
        .into());
    }
    Ok(())
}

/// Takes the yardstick and the origin itself through a short run of requests.
async fn measure_yardstick(report: &mut Report, hyper: &Endpoint, origins: Origins) -> Outcome<()> {
    let direct = Endpoint::plain(origins.files);
    for (name, endpoint) in [(DIRECT, &direct), (HYPER, hyper)] {
        let load = load::requests(
            endpoint,
            origin::SMALL_PATH,
            YARDSTICK_AT_ONCE,
            YARDSTICK_RUN,
        );
        let metric = Metric {
            section: YARDSTICK_SECTION,
            name: YARDSTICK_RATE,
            unit: "1/s",
            base: DIRECT,
            bound: Bound::None,
        };
        report.record(metric, name, load.await?.rate);
    }
    Ok(())
}

/// Every path of this run, ready.
async fn paths(
    options: &Options,
    report: &mut Report,
    dir: &Path,
    origins: Origins,
) -> Outcome<Vec<UnderTest>> {
    let place = Place::default();
    let mut paths = Vec::new();
    if options.takes(DIRECT) {
        paths.push(UnderTest {
            name: DIRECT.to_owned(),
            files: Endpoint::plain(origins.files),
            live: Endpoint::plain(origins.live),
            processes: Vec::new(),
            running: Vec::new(),
        });
    }
    if options.takes(HYPER) {
        let (to_files, files) =
            Part::start_server(&place, &["hyper-proxy", &origins.files.to_string()])?;
        let (to_live, live) =
            Part::start_server(&place, &["hyper-proxy", &origins.live.to_string()])?;
        paths.push(UnderTest {
            name: HYPER.to_owned(),
            files: Endpoint::plain(files),
            live: Endpoint::plain(live),
            processes: vec![to_files.running.id()],
            running: vec![to_files.running, to_live.running],
        });
    }
    if options.takes(NGINX) {
        paths.push(nginx::start_proxy(dir, origins).await?);
    }
    if options.takes(SUBJECT) {
        paths.push(tunnel::start(dir, origins).await?);
    }
    paths.extend(peers::start_all(options, report, dir, origins).await?);
    Ok(paths)
}

/// What each path is taken through in each round; the paths follow each other step by step.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// This one of [`AT_ONCE`].
    Requests(usize),
    Bulk,
    Echo,
    Busy,
    Split,
}

const STEPS: [Step; 7] = [
    Step::Requests(0),
    Step::Requests(1),
    Step::Requests(2),
    Step::Bulk,
    Step::Echo,
    Step::Busy,
    Step::Split,
];

/// Connections that each have one request in flight.
const AT_ONCE: [usize; 3] = [1, 32, 128];
/// The names of their figures.
const RATE_NAMES: [&str; 3] = [
    "1 KiB, 1 at once",
    "1 KiB, 32 at once",
    "1 KiB, 128 at once",
];
const P50_NAMES: [&str; 3] = ["1 at once, p50", "32 at once, p50", "128 at once, p50"];
const P99_NAMES: [&str; 3] = ["1 at once, p99", "32 at once, p99", "128 at once, p99"];
const CPU_NAMES: [&str; 3] = [
    "1 at once, CPU per 100k",
    "32 at once, CPU per 100k",
    "128 at once, CPU per 100k",
];
/// What share of the yardstick's rate is asked for.
const RATE_BOUNDS: [f64; 3] = [0.6, 0.85, 0.85];

impl Step {
    fn section(self) -> &'static str {
        match self {
            Self::Requests(_) => "requests",
            Self::Bulk => "bulk",
            Self::Echo => "echo",
            Self::Busy => "busy",
            Self::Split => "split",
        }
    }

    /// Takes one path through this step and records what came of it.
    async fn measure(
        self,
        options: &Options,
        report: &mut Report,
        path: &UnderTest,
    ) -> Outcome<()> {
        let mut record = |name, unit, base, bound, value| {
            report.record(
                Metric {
                    section: self.section(),
                    name,
                    unit,
                    base,
                    bound,
                },
                &path.name,
                value,
            );
        };
        match self {
            Self::Requests(at) => {
                let before = Usage::sum(&path.processes)?;
                let load =
                    load::requests(&path.files, origin::SMALL_PATH, AT_ONCE[at], options.run)
                        .await?;
                let cpu_s = Usage::sum(&path.processes)?.cpu_s - before.cpu_s;
                record(
                    RATE_NAMES[at],
                    "1/s",
                    HYPER,
                    Bound::AtLeast(RATE_BOUNDS[at]),
                    load.rate,
                );
                record(
                    P50_NAMES[at],
                    "us",
                    HYPER,
                    Bound::None,
                    load.latencies.us(0.5)?,
                );
                record(
                    P99_NAMES[at],
                    "us",
                    HYPER,
                    Bound::None,
                    load.latencies.us(0.99)?,
                );
                if !path.processes.is_empty() {
                    record(
                        CPU_NAMES[at],
                        "s",
                        HYPER,
                        Bound::None,
                        cpu_s * 1e5 / load.total as f64,
                    );
                }
            }
            Self::Bulk => {
                let down = load::download(
                    &path.files,
                    origin::BULK_PATH,
                    origin::BULK_BYTES,
                    BULK_TIMES,
                )
                .await?;
                record("100 MiB down", "MB/s", HYPER, Bound::AtLeast(0.4), down);
                let up = load::upload(
                    &path.live,
                    origin::SINK_PATH,
                    origin::BULK_BYTES,
                    BULK_TIMES,
                )
                .await?;
                record("100 MiB up", "MB/s", HYPER, Bound::AtLeast(0.4), up);
            }
            Self::Echo => {
                let echo =
                    websocket::echo(&path.live, origin::ECHO_PATH, ECHO_BYTES, options.run).await?;
                record(
                    "64 B echo p50",
                    "us",
                    HYPER,
                    Bound::AtMost(1.8),
                    echo.us(0.5)?,
                );
                record("64 B echo p99", "us", HYPER, Bound::None, echo.us(0.99)?);
            }
            Self::Busy => {
                let small =
                    || load::paced(&path.files, origin::SMALL_PATH, BUSY_INTERVAL, options.run);
                let idle = small().await?;
                let busy = tokio::select! {
                    busy = small() => busy?,
                    ended = load::download_forever(&path.files, origin::BULK_PATH, |_| ()) => {
                        return Err(ended.err().unwrap_or_else(|| "the download ended".into()));
                    }
                };
                record("alone p50", "us", HYPER, Bound::None, idle.us(0.5)?);
                record("alone p99", "us", HYPER, Bound::None, idle.us(0.99)?);
                record(
                    "beside a download p50",
                    "us",
                    HYPER,
                    Bound::None,
                    busy.us(0.5)?,
                );
                record(
                    "beside a download p99",
                    "us",
                    HYPER,
                    Bound::None,
                    busy.us(0.99)?,
                );
            }
            Self::Split => {
                let split = load::requests(&path.live, origin::SPLIT_PATH, 1, options.run)
                    .await?
                    .latencies;
                record(
                    "head, 1 ms, body p50",
                    "us",
                    DIRECT,
                    Bound::None,
                    split.us(0.5)?,
                );
                // Direct takes 2 ms; a stall on a delayed acknowledgement would take 40.
                record(
                    "head, 1 ms, body p99",
                    "us",
                    DIRECT,
                    Bound::AtMost(5.0),
                    split.us(0.99)?,
                );
            }
        }
        Ok(())
    }
}
