//! The section on a shaped path: small requests beside a download, and how much of the path the
//! download gets.
//!
//! The device's side (nginx, agent) and the platform's side (platform, load generator) are network
//! namespaces, joined by the test support's forwarder. This program runs itself again inside the
//! platform's namespace; that part does the measuring and hands its samples back as lines of JSON.
//! Leaves to others: the forwarder, the load.

use std::{
    cell::Cell,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Options, Outcome,
    load::{self, Endpoint, Latencies},
    origin,
    path::{FAR, NEAR, Profile, ShapedPath},
    processes::{Place, free_port},
    progress,
    report::{Bound, Metric, Report, SUBJECT},
    tunnel::Platform,
};

/// A city's broadband, by which the bounds are set.
const BROADBAND: Profile = Profile {
    bits_per_second: 100_000_000,
    round_trip_ms: 20,
    queue_bytes: 256 * 1024,
    loss_ppm: 0,
    mtu: 1500,
    seed: 1,
    congestion_control: "reno",
};

/// A long fat path.
const LONG: Profile = Profile {
    bits_per_second: 1_000_000_000,
    round_trip_ms: 100,
    queue_bytes: 12 * 1024 * 1024,
    ..BROADBAND
};

/// A poor path.
const LOSSY: Profile = Profile {
    bits_per_second: 20_000_000,
    round_trip_ms: 40,
    queue_bytes: 128 * 1024,
    loss_ppm: 10_000,
    ..BROADBAND
};

/// What a namespace may choose among; other congestion controls are for the host's own alone.
const CONGESTION_CONTROLS_FILE: &str = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";

/// The profiles that are measured where `--shape` names none: broadband with a congestion control
/// that goes by loss and, where there is one, with one that goes by rate; the others with the best.
fn profiles() -> Outcome<Vec<Profile>> {
    let allowed = std::fs::read_to_string(CONGESTION_CONTROLS_FILE)?;
    let allows = |name: &&str| allowed.split_whitespace().any(|allowed| allowed == *name);
    let by_loss = ["cubic", "reno"]
        .into_iter()
        .find(allows)
        .unwrap_or(BROADBAND.congestion_control);
    let by_rate = Some("bbr").filter(allows);
    let with = |profile, congestion_control| Profile {
        congestion_control,
        ..profile
    };
    let best = by_rate.unwrap_or(by_loss);
    let mut profiles = vec![with(BROADBAND, by_loss)];
    profiles.extend(by_rate.map(|by_rate| with(BROADBAND, by_rate)));
    profiles.extend([with(LONG, best), with(LOSSY, best)]);
    Ok(profiles)
}

/// A small request comes this often.
const INTERVAL: Duration = Duration::from_millis(20);
/// How long small requests are measured alone, and beside a download.
const ALONE: Duration = Duration::from_secs(2);
const BESIDE: Duration = Duration::from_secs(4);

/// The names of what is set beside each other.
const ALONE_PATH: &str = "alone";
const DIRECT_PATH: &str = "raw TCP";
const SMALL_P50: &str = "small request p50";
const SMALL_P99: &str = "small request p99";
const GOODPUT: &str = "download";

/// A profile from `MBIT,ROUND_TRIP_MS,QUEUE_KIB,LOSS_PERCENT,CONGESTION_CONTROL`.
pub(crate) fn parse_profile(text: &str) -> Outcome<Profile> {
    let fields: Vec<&str> = text.split(',').collect();
    let [rate, round_trip, queue, loss, congestion_control] = fields.as_slice() else {
        return Err(
            "a shape is MBIT,ROUND_TRIP_MS,QUEUE_KIB,LOSS_PERCENT,CONGESTION_CONTROL".into(),
        );
    };
    Ok(Profile {
        bits_per_second: rate.parse::<u64>()? * 1_000_000,
        round_trip_ms: round_trip.parse()?,
        queue_bytes: queue.parse::<u64>()? * 1024,
        loss_ppm: (loss.parse::<f64>()? * 1e4) as u64,
        // Once a run, and as long as it.
        congestion_control: (*congestion_control).to_owned().leak(),
        ..BROADBAND
    })
}

/// Measures on every profile asked for.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Outcome<()> {
    if !options.wants("shaped") {
        return Ok(());
    }
    let profiles = options.shape.map_or_else(profiles, |one| Ok(vec![one]))?;
    for profile in profiles {
        progress(&format!("shaped: {profile}"));
        let section: &'static str = format!("shaped: {profile}").leak();
        let dir = tempfile::tempdir()?;
        let path = ShapedPath::open(dir.path(), &profile)?;
        let output = Place::namespace(path.near())
            .command(&std::env::current_exe()?.to_string_lossy())
            .args(["part", "shaped", path.far(), &dir.path().to_string_lossy()])
            .args([
                profile.round_trip_ms.to_string(),
                options.rounds.to_string(),
            ])
            .arg(options.takes(SUBJECT).to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        for line in String::from_utf8(output.stdout)?.lines() {
            let sample: Value = serde_json::from_str(line)?;
            let known = [SMALL_P50, SMALL_P99, GOODPUT]
                .into_iter()
                .find(|name| sample["metric"] == *name);
            let name = known.ok_or("a sample of no known metric")?;
            let (unit, base, bound) = match name {
                SMALL_P50 => ("ms", ALONE_PATH, Bound::AtMost(1.2)),
                SMALL_P99 => ("ms", ALONE_PATH, Bound::None),
                _ => ("Mbit/s", DIRECT_PATH, Bound::AtLeast(0.95)),
            };
            let value = sample["value"].as_f64().ok_or("a sample without a value")?;
            let path = sample["path"].as_str().ok_or("a sample without a path")?;
            report.record(
                Metric {
                    section,
                    name,
                    unit,
                    base,
                    bound,
                },
                path,
                value,
            );
        }
        if !output.status.success() {
            return Err(format!("{section}: the part inside the namespace failed").into());
        }
    }
    Ok(())
}

/// The part inside the platform's namespace: measures and prints its samples.
pub(crate) async fn measure_inside(
    far: &str,
    dir: &Path,
    round_trip: Duration,
    rounds: usize,
    with_tunnel: bool,
) -> Outcome<()> {
    let far = Place::namespace(far);
    let port = free_port()?;
    let addresses = [IpAddr::V4(FAR), IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let _nginx = origin::start_nginx(dir, &far, &addresses, port).await?;
    let direct = Endpoint::plain(SocketAddr::from((FAR, port)));
    let mut held = Vec::new();
    let tunnel = if with_tunnel {
        let platform = Platform::start(dir, &Place::default(), NEAR).await?;
        held.push(
            platform
                .start_agent("far", &far, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
                .await?,
        );
        let session = platform.enter("far").await?;
        held.push(platform.running);
        Some(session)
    } else {
        None
    };
    let alone_on = tunnel.clone().unwrap_or_else(|| direct.clone());
    for round in 1..=rounds {
        progress(&format!("shaped: round {round} of {rounds}"));
        let alone = load::paced(&alone_on, origin::SMALL_PATH, INTERVAL, ALONE).await?;
        say_latencies(ALONE_PATH, &alone)?;
        let mut order: Vec<(&str, &Endpoint)> = vec![(DIRECT_PATH, &direct)];
        order.extend(tunnel.as_ref().map(|tunnel| (SUBJECT, tunnel)));
        if round % 2 == 0 {
            order.reverse();
        }
        for (name, endpoint) in order {
            let (small, goodput) = beside(endpoint, round_trip).await?;
            say_latencies(name, &small)?;
            say_sample(GOODPUT, name, goodput);
        }
    }
    Ok(())
}

/// Small requests on one connection while another downloads: their latencies, and the download's
/// Mbit/s of payload. Both are taken after the download had its start, which is a second and 20
/// round trips.
async fn beside(endpoint: &Endpoint, round_trip: Duration) -> Outcome<(Latencies, f64)> {
    let warm = Instant::now() + Duration::from_secs(1) + round_trip * 20;
    let end = warm + BESIDE;
    let received = Cell::new(0);
    let download = load::download_forever(endpoint, origin::ENDLESS_PATH, |count| {
        if (warm..end).contains(&Instant::now()) {
            received.set(received.get() + count);
        }
    });
    let small = async {
        tokio::time::sleep_until(warm.into()).await;
        let small = load::paced(endpoint, origin::SMALL_PATH, INTERVAL, BESIDE).await?;
        tokio::time::sleep_until(end.into()).await;
        Outcome::Ok(small)
    };
    let small = tokio::select! {
        small = small => small?,
        ended = download => return Err(ended.err().unwrap_or_else(|| "the download ended".into())),
    };
    // What is still in the queue belongs to no measurement.
    tokio::time::sleep(Duration::from_millis(500) + round_trip * 2).await;
    Ok((
        small,
        received.get() as f64 * 8.0 / 1e6 / BESIDE.as_secs_f64(),
    ))
}

fn say_latencies(path: &str, latencies: &Latencies) -> Outcome<()> {
    say_sample(SMALL_P50, path, latencies.us(0.5)? / 1000.0);
    say_sample(SMALL_P99, path, latencies.us(0.99)? / 1000.0);
    Ok(())
}

fn say_sample(metric: &str, path: &str, value: f64) {
    crate::say(&json!({ "metric": metric, "path": path, "value": value }).to_string());
}
