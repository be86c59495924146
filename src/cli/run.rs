//! `fleetwire run`: a program or a script on hosts. What is to be run and its arguments go as they are, each
//! by itself: no shell reads them.

use std::path::PathBuf;

use clap::ValueHint;
use serde_json::{Value, json};

use super::Error;
use super::fleet::{self, Asking, Selected};
use super::server;
use super::usage::UsageError;
use crate::files::{self, FileError};

/// Largest script, in bytes: what a request holds, and a command's parameters.
const SCRIPT_BYTES_MAX: usize = 256 * 1024;
/// Runs the arguments as a program and its arguments.
const RUN_ARGUMENTS: &str = "exec \"$@\"\n";

/// Run a program or a script on hosts: fleetwire run HOST... -- COMMAND ARG...
#[derive(clap::Args)]
pub(super) struct Args {
    /// The hosts, by name or id
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    #[command(flatten)]
    selected: Selected,
    /// A script to run there; what stands behind -- are its arguments
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    script: Option<PathBuf>,
    /// What runs the script, as an absolute path; without it what its first line names, or /bin/sh
    #[arg(long, value_name = "PATH", requires = "script")]
    interpreter: Option<String>,
    /// Whom it runs as; without it whom the agent runs as
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Where it begins, as an absolute path; without it /
    #[arg(long, value_name = "PATH")]
    directory: Option<String>,
    /// A variable of its environment; may be given again
    #[arg(long = "env", value_name = "NAME=VALUE")]
    environment: Vec<String>,
    #[command(flatten)]
    asking: Asking,
    /// The program and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) async fn run(args: Args, server: &server::Args, json: bool) -> Result<(), Error> {
    let parameters = parameters(&args)?;
    let targets = args.selected.targets(args.hosts)?;
    fleet::ask(server, json, &args.asking, targets, ("script", parameters)).await
}

fn parameters(args: &Args) -> Result<Value, UsageError> {
    let wrong = |field: &str, what: String| UsageError::Request {
        field: field.to_owned(),
        what,
    };
    let (content, interpreter) = match &args.script {
        Some(path) => {
            let content = files::read_text(path, SCRIPT_BYTES_MAX)?;
            let interpreter = match &args.interpreter {
                Some(interpreter) => interpreter.clone(),
                None => named_interpreter(&content)
                    .map_err(|line| {
                        let what = format!("the first line, {line:?}, asks for more than a program: say --interpreter");
                        wrong("script", what)
                    })?
                    .unwrap_or_default(),
            };
            (content, interpreter)
        }
        None if args.command.is_empty() => {
            let what = "say what to run, behind --, or a file with --script".to_owned();
            return Err(wrong("command", what));
        }
        None => (RUN_ARGUMENTS.to_owned(), String::new()),
    };
    let mut environment = serde_json::Map::new();
    for pair in &args.environment {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| wrong("env", format!("{pair:?} does not look like NAME=VALUE")))?;
        environment.insert(name.to_owned(), value.into());
    }
    Ok(json!({
        "interpreter": interpreter,
        "content": content,
        "arguments": args.command,
        "environment": environment,
        "user": args.user.clone().unwrap_or_default(),
        "working_directory": args.directory.clone().unwrap_or_default(),
    }))
}

/// The program that a script's first line names. One with arguments is refused: the agent gives the script
/// alone to a program.
fn named_interpreter(script: &str) -> Result<Option<String>, &str> {
    let Some(line) = script.strip_prefix("#!") else {
        return Ok(None);
    };
    let line = line.lines().next().unwrap_or_default().trim();
    if line.split_whitespace().count() == 1 {
        Ok(Some(line.to_owned()))
    } else {
        Err(line)
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        UsageError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_what_runs_a_script() {
        assert_eq!(named_interpreter("echo a\n"), Ok(None));
        let python = Ok(Some("/usr/bin/python3".to_owned()));
        assert_eq!(named_interpreter("#!/usr/bin/python3\nprint()\n"), python);
        assert_eq!(named_interpreter("#! /usr/bin/python3 \r\n"), python);
        for more in ["#!/bin/sh -e\n", "#!/usr/bin/env python3\n", "#!\n"] {
            assert!(named_interpreter(more).is_err(), "{more}");
        }
    }
}
