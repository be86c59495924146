//! One run of one command, from what it says to its outcome. When it begins, and what becomes of the
//! outcome, is the desk's affair.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::timeout;

use super::{Runs, Way, progress};
use crate::agent::executors::{Fault, Job, Outcome, Reports, Stop};
use crate::wire::messages::Command;
use crate::wire::values::Timestamp;

/// Reports that may wait. More are dropped, and counted.
const REPORTS_MAX: usize = 64;
/// How long what was said is waited for after the end: nothing is left to say, unless something that the
/// run left behind still holds on to it.
const RELAY_WAIT: Duration = Duration::from_secs(1);

/// A run that has ended.
#[derive(Debug)]
pub struct Ran {
    /// How.
    pub outcome: Outcome,
    /// When it began, by this machine's clock.
    pub started_at: Timestamp,
}

/// Runs a command to its end. What it says meanwhile goes to whoever is connected.
pub async fn run<R: Runs, W: Way>(
    runs: Arc<R>,
    command: Command,
    stop: watch::Receiver<bool>,
    way: watch::Receiver<Option<W>>,
) -> Ran {
    let started_at = Timestamp::from_system_time(SystemTime::now());
    let Some(parameters) = command.parameters else {
        let fault = Fault {
            reason: "command_type_unknown",
            detail: "there is nothing to run".to_owned(),
        };
        return Ran {
            outcome: Outcome::failed(fault),
            started_at,
        };
    };
    let seconds = u64::from(command.timeout);
    let job = Job {
        id: command.message_id.clone(),
        parameters,
        time_limit: (seconds > 0).then_some(Duration::from_secs(seconds)),
    };
    let (reports, receiver) = Reports::channel(REPORTS_MAX);
    let relay = progress::relay(command.message_id, receiver, way);
    tokio::pin!(relay);
    let run = runs.run(job, reports, Stop(stop));
    let mut relayed = false;
    let outcome = {
        tokio::pin!(run);
        loop {
            tokio::select! {
                outcome = &mut run => break outcome,
                () = &mut relay, if !relayed => relayed = true,
            }
        }
    };
    if !relayed {
        // Whether all of it was said changes nothing.
        let _ = timeout(RELAY_WAIT, relay).await;
    }
    Ran {
        outcome,
        started_at,
    }
}
