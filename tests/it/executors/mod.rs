//! Commands as an agent runs them, with the real programs behind them: package managers against folders
//! that stand for a system, and Debian's own against the system. Who sends them is not here.

pub mod packages;
mod systemd;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fleetwire::agent::executors::{Allowed, Executors, Fault, Job, Outcome, Report, Reports, Stop};
use fleetwire::wire::messages::CommandParameters;
use tokio::sync::watch;
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine, with downloads.
const LONG: Duration = Duration::from_secs(300);

/// An agent's executors, by the text of its `[commands]`.
fn executors(rules: &str) -> Executors {
    let allowed: Allowed = toml::from_str(rules).expect(rules);
    allowed.check().expect("rules");
    Executors::new(allowed, "host")
}

fn check(rules: &str, parameters: &CommandParameters) -> Result<(), Fault> {
    executors(rules).check(parameters)
}

/// Runs a command; what it printed while it ran comes beside what came of it.
async fn run(rules: &str, parameters: CommandParameters) -> (Outcome, Vec<u8>) {
    run_within(executors(rules), parameters, LONG).await
}

async fn run_within(
    executors: Executors,
    parameters: CommandParameters,
    limit: Duration,
) -> (Outcome, Vec<u8>) {
    executors.check(&parameters).expect("allowed");
    let (reports, mut said) = Reports::channel(1024);
    let (_stop, told) = watch::channel(false);
    let job = Job {
        id: uuid::Uuid::from_u128(7).to_string(),
        parameters,
        time_limit: Some(limit),
    };
    let outcome = timeout(LONG * 2, executors.run(job, reports, Stop(told)));
    let outcome = outcome.await.expect("an end");
    let mut printed = Vec::new();
    while let Ok(report) = said.try_recv() {
        if let Report::Output { bytes, .. } = report {
            printed.extend(bytes);
        }
    }
    (outcome, printed)
}

/// Runs one of the tools that make what is tested with.
fn tool(program: &str, arguments: &[&str], folder: &Path) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; run tests/setup.sh as root"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    output.stdout
}

fn reason(outcome: &Outcome) -> &'static str {
    outcome.fault.as_ref().map_or("", |fault| fault.reason)
}
