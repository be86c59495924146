//! `agent_update`: a program that one of the owner's keys has signed comes in the place of the one that runs,
//! once it has been tried. The steps and the way back are in `agent::update`; how the bytes come is in
//! `agent::transfers`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tracing::info;

use super::allowed::{UpdateRules, invalid, kind_refused};
use super::bus::within;
use super::family::Owner;
use super::faults::{self, failed};
use super::process::{self, End, Program, Run, Watch};
use super::{Executor, Fault, Job, Outcome, Report, Reports, Stop};
use crate::agent::config::ENV_PREFIX;
use crate::agent::transfers::{Transfers, Wanted, io_fault, partial};
use crate::agent::update::swap::{self, Swap};
use crate::agent::update::version::Version;
use crate::agent::update::{Away, Standing, Subject, Updates, VERSION, trial};
use crate::clock::UnixMillis;
use crate::net::own_origin::{self, hash_text};
use crate::net::signed_program::PublicKey;
use crate::wire::messages::{AgentUpdate, AgentUpdateResult, ResponseResult};

/// How often a program is started that somebody still seems to write: a process that is being started
/// elsewhere in this one may have the file open for a moment.
const STARTS_MAX: usize = 20;
/// Between two of them.
const START_AGAIN: Duration = Duration::from_millis(50);
/// The most that is kept of what a trial prints, in bytes.
const TRIAL_BYTES_MAX: usize = 16 << 10;

/// Puts another agent in this one's place.
#[derive(Debug)]
pub(super) struct AgentUpdates {
    rules: Option<UpdateRules>,
    keys: Vec<PublicKey>,
    transfers: Transfers,
    updates: Option<Updates>,
    owner: Owner,
    /// Held by every other command while it runs.
    others: Arc<RwLock<()>>,
}

/// A program that has been tried. The agent keeps away from the platform until it is decided.
struct Tried {
    swap: Swap,
    _away: Away,
    _alone: OwnedRwLockWriteGuard<()>,
}

/// What came of the work that can be stopped.
enum Work {
    /// There is nothing to do: this very program runs.
    Runs,
    Tried(Tried),
}

impl AgentUpdates {
    pub(super) fn new(rules: Option<UpdateRules>, owner: Owner, others: Arc<RwLock<()>>) -> Self {
        // They were looked at with the settings. One that has gone since takes nothing any more.
        let keys = rules.as_ref().map(UpdateRules::public_keys);
        Self {
            keys: keys.and_then(Result::ok).unwrap_or_default(),
            rules,
            transfers: Transfers::default(),
            updates: None,
            owner,
            others,
        }
    }

    pub(super) fn come_by(&mut self, transfers: Transfers) {
        self.transfers = transfers;
    }

    pub(super) fn remember_by(&mut self, updates: Updates) {
        self.updates = Some(updates);
    }

    /// What became of an update that ended the agent it ran in.
    pub(super) async fn after_restart(&self, command: &str) -> Option<Outcome> {
        let record = self.updates.as_ref()?.settled(command).await;
        let Some(record) = record else {
            // It was cut before it came to anything.
            if let Ok(executable) = swap::executable() {
                swap::clear(&executable);
            }
            return None;
        };
        let (after, fault) = match record.standing {
            Standing::Pending => return None,
            Standing::Settled => (&record.version_after, None),
            Standing::NotSwapped => (
                &record.version_before,
                Some(failed("not_swapped", record.why.clone())),
            ),
            Standing::RolledBack => {
                let version = &record.version_after;
                let detail = format!(
                    "version {version} was put in its place, and the one before came back: {}",
                    record.why
                );
                (&record.version_before, Some(failed("rolled_back", detail)))
            }
        };
        let result = AgentUpdateResult {
            version_before: record.version_before.clone(),
            version_after: after.clone(),
            execution_time: record.seconds(),
        };
        Some(Outcome::of(
            fault,
            Some(ResponseResult::AgentUpdate(result)),
        ))
    }

    /// Does all that can be stopped.
    async fn prepare(
        &self,
        job: &Job,
        of: &AgentUpdate,
        reports: &Reports,
        stop: &mut Stop,
        deadline: Option<Instant>,
    ) -> Result<Work, Fault> {
        let (Some(rules), Some(updates)) = (&self.rules, &self.updates) else {
            return Err(kind_refused("agent_update"));
        };
        let (wanted, sha256) = wanted(of)?;
        let begun = UnixMillis::now();
        let (executable, runs) = {
            let sha256 = sha256.clone();
            blocking("look at the program that runs", move || {
                let executable = swap::executable()?;
                let runs = swap::hash(&executable)? == sha256;
                Ok((executable, runs))
            })
            .await?
        };
        if runs && of.version == VERSION {
            return Ok(Work::Runs);
        }
        let staging = {
            let keep = [sha256.clone(), partial::name_for(&sha256, &wanted)];
            let executable = executable.clone();
            let made = move || swap::make_staging(&executable, &keep);
            blocking("write beside the agent's program", made).await?
        };
        let receive = self.transfers.receive(&job.id, wanted, &staging, reports);
        let received = match within(deadline, stop, receive).await {
            Ok(received) => received?,
            Err(cut) => return Err(cut.fault(job.time_limit)),
        };
        let staged = received.clone();
        blocking("make the program ready", move || {
            swap::make_executable(&staged)
        })
        .await?;
        // Once the program is another, nobody knows what became of what ran: it is waited for. From now on no
        // command begins (`Executors::turn`).
        let alone = self.others.clone().write_owned();
        let alone = match within(deadline, stop, alone).await {
            Ok(alone) => alone,
            Err(cut) => return Err(cut.fault(job.time_limit)),
        };
        say(
            reports,
            "the program is here, and is tried: the agent gives its connection up for that time",
        );
        let away = updates.keep_away().await;
        let until = Instant::now() + Duration::from_secs(rules.connect_within.into());
        let until = deadline.map_or(until, |deadline| deadline.min(until));
        let watch = || (self.owner.mark(&job.id), until);
        self.try_it(&received, &of.version, watch, stop, updates)
            .await?;
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(faults::timed_out(job.time_limit));
        }
        let subject = Subject {
            command: job.id.clone(),
            version: of.version.clone(),
            sha256,
            executable,
            begun,
        };
        Ok(Work::Tried(Tried {
            swap: Swap {
                folder: updates.folder().to_owned(),
                subject,
                staged: received,
            },
            _away: away,
            _alone: alone,
        }))
    }

    /// Runs the new program beside this one: it is to reach the platform, and to say who it is.
    async fn try_it(
        &self,
        program: &Path,
        version: &str,
        watch: impl Fn() -> (super::family::Mark, Instant),
        stop: &mut Stop,
        updates: &Updates,
    ) -> Result<(), Fault> {
        info!(version, "a new agent is tried");
        let mut left = STARTS_MAX;
        let run = loop {
            let (mark, until) = watch();
            let watch = Watch {
                mark,
                deadline: Some(until),
                reports: None,
                stop,
            };
            match process::run(trial_of(program, updates), watch).await {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && left > 0 => {
                    left -= 1;
                    sleep(START_AGAIN).await;
                }
                Err(error) => return Err(trial_failed(&format!("it cannot be started: {error}"))),
                Ok(run) => break run,
            }
        };
        judge(&run, version)
    }
}

/// The new program with the arguments and the settings of this one.
fn trial_of(program: &Path, updates: &Updates) -> Program {
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    arguments.push("--trial".into());
    arguments.push(updates.instance().to_string().into());
    let settings = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let is_setting = name.starts_with(ENV_PREFIX);
        is_setting.then_some((name, value.into_string().ok()?))
    });
    Program {
        environment: settings.collect::<BTreeMap<_, _>>(),
        // Where its settings' paths begin.
        directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        keep: TRIAL_BYTES_MAX,
        ..Program::new(program).arguments(arguments)
    }
}

fn judge(run: &Run, version: &str) -> Result<(), Fault> {
    let said = run.printed.text();
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    let last = last.map(|line| format!(": {line}")).unwrap_or_default();
    let why = match run.end {
        End::Stopped => return Err(faults::cancelled()),
        End::TimedOut => format!("it was not welcomed by the platform in time{last}"),
        End::Signalled(signal) => format!("signal {signal} ended it{last}"),
        End::Exited(0) => {
            let told = trial::told(version);
            if said.lines().any(|line| line == told) {
                return Ok(());
            }
            format!("it does not say that it is version {version} and welcome{last}")
        }
        End::Exited(code) => format!("it exited with {code}{last}"),
    };
    Err(trial_failed(&why))
}

fn trial_failed(why: &str) -> Fault {
    failed(
        "trial_failed",
        format!("the new agent was tried, and is not taken: {why}"),
    )
}

impl Executor for AgentUpdates {
    type Parameters = AgentUpdate;

    fn check(&self, of: &AgentUpdate) -> Result<(), Fault> {
        let Some(rules) = &self.rules else {
            return Err(kind_refused("agent_update"));
        };
        let (wanted, _) = wanted(of)?;
        let Some(version) = Version::parse(&of.version) else {
            return Err(invalid("version", "a version as in 1.2.3"));
        };
        let signed = |key: &PublicKey| key.has_signed(&of.version, &wanted.sha256, &of.signature);
        if !self.keys.iter().any(signed) {
            let detail = "no key of `commands.agent_update` of the agent's settings has signed this version with this hash";
            return Err(failed("signature_invalid", detail.to_owned()));
        }
        // What was signed once stays signed: whoever commands the platform could bring faults back.
        if !rules.older && Version::parse(VERSION).is_some_and(|own| version < own) {
            let detail = format!(
                "{VERSION} runs, and `commands.agent_update.older` of the agent's settings does not allow an older version"
            );
            return Err(failed("version_older", detail));
        }
        Ok(())
    }

    async fn run(&self, job: &Job, of: &AgentUpdate, reports: &Reports, mut stop: Stop) -> Outcome {
        let begun = Instant::now();
        let deadline = job.time_limit.map(|limit| begun + limit);
        let fault = match self.prepare(job, of, reports, &mut stop, deadline).await {
            Ok(Work::Runs) => None,
            Ok(Work::Tried(tried)) => Some(tried.take_over().await),
            Err(fault) => Some(fault),
        };
        let _ = spawn_blocking(|| {
            if let Ok(executable) = swap::executable() {
                swap::clear(&executable);
            }
        })
        .await;
        let result = AgentUpdateResult {
            version_before: VERSION.to_owned(),
            version_after: VERSION.to_owned(),
            execution_time: begun.elapsed().as_secs_f64(),
        };
        Outcome::of(fault, Some(ResponseResult::AgentUpdate(result)))
    }
}

impl Tried {
    /// Becomes the new program. Returns only where that fails; nothing stops it any more.
    async fn take_over(self) -> Fault {
        let Self {
            swap,
            _away,
            _alone,
        } = self;
        info!(version = %swap.subject.version, "the new agent takes over");
        let failure = spawn_blocking(move || swap.run()).await;
        match failure {
            Ok(error) => io_fault("put the new agent in its place", &error),
            Err(_) => faults::start_failed("the agent stops"),
        }
    }
}

/// Which program is to come, and its hash as text.
fn wanted(of: &AgentUpdate) -> Result<(Wanted, String), Fault> {
    let sha256 = own_origin::hash_of(&of.sha256);
    let sha256 = sha256.ok_or_else(|| invalid("sha256", "64 hexadecimal digits"))?;
    let size = of.size_bytes;
    if size == 0 {
        return Err(invalid("size_bytes", "a program has bytes"));
    }
    Ok((Wanted { size, sha256 }, hash_text(&sha256)))
}

fn say(reports: &Reports, line: &str) {
    reports.say(Report::Output {
        offset: 0,
        bytes: format!("{line}\n").into_bytes(),
    });
}

async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| io_fault(what, &error)),
        Err(_) => Err(faults::start_failed("the agent stops")),
    }
}
