//! Alerts of very many hosts: what the watch over them costs while nothing happens, with the rules that a platform
//! starts with, and how long it takes until there is an alert of each host. All is asked over the API, as people do.
//! Leaves to others: sending messages about them.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    Options, Outcome,
    commands::post,
    console::{authorised, cpu_while},
    load::Connection,
    processes::{Place, Usage},
    progress,
    report::{Bound, Metric, Report, SUBJECT},
    tunnel::Platform,
};

/// Hosts, none of which is ever connected.
const HOSTS: u64 = 20_000;
/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(60);
/// All alerts fire within this time.
const FIRING_LIMIT: Duration = Duration::from_secs(300);

/// Measures it once, where it is asked for.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Outcome<()> {
    if !options.wants("alerts") {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let platform = Platform::start(dir.path(), &Place::default(), Ipv4Addr::LOCALHOST).await?;
    let id = platform.running.id();
    progress(&format!("alerts: making {HOSTS} hosts"));
    platform.create_hosts(HOSTS as usize).await?;
    progress(&format!("alerts: {IDLE:?} in which nothing happens"));
    let nothing = async {
        sleep(IDLE).await;
        Ok(())
    };
    let idle = cpu_while(id, nothing).await?;
    progress("alerts: one of each host");
    let endpoint = authorised(&platform)?;
    let mut client = Connection::open(&endpoint).await?;
    let rule = json!({
        "name": "one-waits",
        "severity": "critical",
        "queue_depth": { "count": 1 },
    });
    let rule = json!({ "spec": rule });
    post(&mut client, &endpoint, "/api/alert-rules", &rule).await?;
    let command = json!({ "targets": { "all": true }, "script": { "content": "true" } });
    post(&mut client, &endpoint, "/api/commands", &command).await?;
    let (begun, before) = (Instant::now(), Usage::of(id)?);
    let all_fire = async {
        loop {
            let asked = client.call(&endpoint.head("GET", "/api/fleet", "")).await?;
            let fleet: Value = serde_json::from_slice(&asked)?;
            if fleet["alerts"]["critical"].as_u64() >= Some(HOSTS) {
                return Outcome::Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(FIRING_LIMIT, all_fire).await??;
    let (took, after) = (begun.elapsed(), Usage::of(id)?);
    for (name, unit, figure) in [
        ("CPU while nothing happens, of one core", "%", idle * 100.0),
        ("until an alert of each host fires", "s", took.as_secs_f64()),
        ("CPU of that", "s", after.cpu_s - before.cpu_s),
        (
            "the platform's memory then",
            "MB",
            after.resident as f64 / 1e6,
        ),
    ] {
        let metric = Metric {
            section: "alerts",
            name,
            unit,
            base: SUBJECT,
            bound: Bound::None,
        };
        report.record(metric, SUBJECT, figure);
    }
    Ok(())
}
