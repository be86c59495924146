//! `script`: a text, given to its interpreter as a file in memory. The owner says which interpreters there
//! are and whom scripts may run as; how a program runs is in `process`.

use std::path::Path;

use tokio::time::Instant;

use super::allowed::{ScriptRules, invalid, is_plain, kind_refused, refused};
use super::family::Owner;
use super::process::{self, End, Program, Run, User, Watch};
use super::{Executor, Fault, Job, Outcome, Reports, Stop, faults};
use crate::wire::messages::{ResponseResult, Script, ScriptResult};

/// What runs a script that names no interpreter.
const SHELL: &str = "/bin/sh";

/// Runs scripts.
#[derive(Debug)]
pub(super) struct Scripts {
    rules: Option<ScriptRules>,
    owner: Owner,
    /// Whom the agent runs as.
    own: String,
}

impl Scripts {
    pub(super) fn new(rules: Option<ScriptRules>, owner: Owner) -> Self {
        Self {
            rules,
            owner,
            own: User::own().name,
        }
    }

    fn check_rules(&self, script: &Script) -> Result<(), Fault> {
        let Some(rules) = &self.rules else {
            return Err(kind_refused("script"));
        };
        let interpreter = interpreter(script);
        if !rules.interpreters.iter().any(|path| path == interpreter) {
            let what = format!("the interpreter {}", interpreter.display());
            return Err(refused("script.interpreters", &what));
        }
        let user = match script.user.as_str() {
            "" => &self.own,
            user => user,
        };
        let allowed = match &rules.users {
            Some(users) => users.iter().any(|name| name == user),
            None => user == self.own,
        };
        if !allowed {
            return Err(refused("script.users", &format!("the user {user}")));
        }
        Ok(())
    }
}

fn interpreter(script: &Script) -> &Path {
    match script.interpreter.as_str() {
        "" => Path::new(SHELL),
        path => Path::new(path),
    }
}

impl Executor for Scripts {
    type Parameters = Script;

    fn check(&self, script: &Script) -> Result<(), Fault> {
        self.check_rules(script)?;
        let directory = Path::new(&script.working_directory);
        if !script.working_directory.is_empty() && !is_plain(directory) {
            return Err(invalid(
                "working_directory",
                "an absolute path without `..`",
            ));
        }
        let texts = script.arguments.iter().chain(script.environment.values());
        if texts
            .chain([&script.working_directory, &script.interpreter])
            .any(|text| text.contains('\0'))
        {
            let detail = "no text that a program is given can hold a NUL";
            return Err(invalid("arguments, environment", detail));
        }
        for name in script.environment.keys() {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(invalid("environment", "a name holds neither `=` nor NUL"));
            }
        }
        Ok(())
    }

    async fn run(&self, job: &Job, script: &Script, reports: &Reports, mut stop: Stop) -> Outcome {
        let begun = Instant::now();
        let program = match program(script, &self.own).await {
            Ok(program) => program,
            Err(fault) => return Outcome::failed(fault),
        };
        let watch = Watch {
            mark: self.owner.mark(&job.id),
            deadline: job.time_limit.map(|limit| begun + limit),
            reports: Some(reports),
            stop: &mut stop,
        };
        match process::run(program, watch).await {
            Ok(run) => outcome(job, &run, begun),
            Err(error) => {
                let path = interpreter(script).display();
                Outcome::failed(faults::start_failed(&format!("{path}: {error}")))
            }
        }
    }
}

async fn program(script: &Script, own: &str) -> Result<Program, Fault> {
    let user = match script.user.as_str() {
        "" => None,
        user if user == own => None,
        user => Some(find_user(user).await?),
    };
    let (descriptor, path) = process::text_in_memory(&script.content)
        .map_err(|error| faults::start_failed(&format!("the script: {error}")))?;
    let mut program = Program::new(interpreter(script))
        .arguments([path])
        .arguments(&script.arguments);
    program.environment.clone_from(&script.environment);
    if !script.working_directory.is_empty() {
        program.directory = (&script.working_directory).into();
    }
    program.user = user;
    program.descriptor = Some(descriptor);
    Ok(program)
}

async fn find_user(name: &str) -> Result<User, Fault> {
    let asked = name.to_owned();
    let found = tokio::task::spawn_blocking(move || User::named(&asked)).await;
    match found {
        Ok(Ok(Some(user))) => Ok(user),
        Ok(Ok(None)) => Err(faults::start_failed(&format!("there is no user {name}"))),
        Ok(Err(error)) => Err(faults::start_failed(&format!("the user {name}: {error}"))),
        Err(_) => Err(faults::start_failed("the agent stops")),
    }
}

fn outcome(job: &Job, run: &Run, begun: Instant) -> Outcome {
    let fault = faults::of_end(run.end, job.time_limit);
    let (exit_code, signal) = match run.end {
        End::Exited(code) => (Some(code.into()), None),
        End::Signalled(signal) => (None, Some(signal.into())),
        End::TimedOut | End::Stopped => (None, None),
    };
    let result = ScriptResult {
        exit_code,
        signal,
        output: run.printed.text(),
        output_bytes: run.printed.bytes,
        execution_time: begun.elapsed().as_secs_f64(),
    };
    Outcome::of(fault, Some(ResponseResult::Script(result)))
}
