//! The operator's command line: one variant of [`Command`] and one file a subcommand. Each file
//! owns its arguments and what it does; this one names them, and says how a failure ends the
//! process.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

mod audit;
mod demo;
pub mod demo_device;
mod host;
mod output;
mod server;
mod session;
mod token;

/// Reach machines and KVM-over-IP devices behind NAT through one outbound WebSocket each.
#[derive(Debug, Parser)]
#[command(
    name = "fleetwire",
    version,
    about,
    after_help = "Exit status: 0 done, 1 failed or refused, 2 wrong usage, 3 the platform cannot be reached."
)]
pub struct Cli {
    #[command(flatten)]
    server: server::Args,
    /// Print JSON in place of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enrolment tokens, by which agents join
    #[command(subcommand)]
    Token(token::Command),
    /// Make a host for an agent that cannot enrol itself
    #[command(subcommand)]
    Host(host::HostCommand),
    /// Every enrolled host
    #[command(subcommand)]
    Hosts(host::HostsCommand),
    /// Console sessions: the way to a host's own web interface
    #[command(subcommand)]
    Session(session::Command),
    /// The audit log: export it, and verify an export
    #[command(subcommand)]
    Audit(audit::Command),
    /// Start a platform, an agent and a demo device on this machine, and print one address to open
    Demo(demo::Args),
    /// Serve a small KVM-like web interface, for demonstration and tests
    DemoDevice(demo_device::Args),
}

/// The subcommands that talk to no platform of the caller's: what says which, and how its answer is
/// printed, is not offered to them.
const ALONE: [&str; 2] = ["demo", "demo-device"];

impl Cli {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// What is wrong with it, ready to be shown; help and version are errors to clap, too.
    pub fn read<T>(arguments: impl IntoIterator<Item = T>) -> Result<Self, clap::Error>
    where
        T: Into<OsString> + Clone,
    {
        let command = Self::command();
        let general = command.get_arguments().filter(|arg| arg.is_global_set());
        let hidden: Vec<_> = general.map(|arg| arg.clone().hide(true)).collect();
        let mut command = ALONE.into_iter().fold(command, |command, name| {
            command.mut_subcommand(name, |alone| alone.args(&hidden))
        });
        let matches = command.try_get_matches_from_mut(arguments)?;
        if let Some(name) = matches.subcommand_name()
            && ALONE.contains(&name)
        {
            let given = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
            if let Some(option) = hidden.iter().find(|arg| given(arg.get_id().as_str())) {
                let text = format!("{name} has no use for --{}", option.get_id());
                return Err(command.error(ErrorKind::ArgumentConflict, text));
            }
        }
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }

    /// Runs the chosen subcommand to its end. Needs a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// The subcommand's own error, ready to be shown to the person at the terminal.
    pub async fn run(self) -> Result<(), Error> {
        let Self {
            server,
            json,
            command,
        } = self;
        match command {
            Command::Token(command) => token::run(command, &server.client()?, json).await,
            Command::Host(command) => host::run_host(command, &server.client()?, json).await,
            Command::Hosts(command) => host::run_hosts(command, &server.client()?, json).await,
            Command::Session(command) => session::run(command, &server.client()?, json).await,
            Command::Audit(command) => audit::run(command, &server, json).await,
            Command::Demo(args) => Ok(demo::run(args).await?),
            Command::DemoDevice(args) => Ok(demo_device::run(args).await?),
        }
    }
}

/// Why a subcommand failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine gave no event loop or signal handler.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// What the person at the terminal said cannot be used.
    #[error(transparent)]
    Usage(#[from] server::UsageError),
    /// The platform refused, or did not answer.
    #[error(transparent)]
    Call(#[from] crate::net::http_client::HttpError),
    /// A file that was named cannot be read.
    #[error(transparent)]
    Input(#[from] audit::InputError),
    /// An export of the audit log is not good.
    #[error("{}: {fault}", path.display())]
    Unverified {
        /// The export.
        path: std::path::PathBuf,
        /// What is wrong with it.
        #[source]
        fault: crate::audit::verify::Fault,
    },
    /// The result could not be written.
    #[error("cannot write the result: {0}")]
    Output(std::io::Error),
    /// `demo` failed.
    #[error("demo: {0}")]
    Demo(#[from] demo::DemoError),
    /// `demo-device` failed.
    #[error("demo device: {0}")]
    DemoDevice(#[from] demo_device::Error),
}

impl Error {
    /// The process's exit status, by which scripts tell a refusal from a platform that is away.
    pub fn exit_code(&self) -> ExitCode {
        use crate::net::http_client::HttpError;
        ExitCode::from(match self {
            Self::Usage(_) | Self::Input(_) => 2,
            Self::Call(HttpError::Problem(_)) => 1,
            Self::Call(_) => 3,
            Self::Start(_)
            | Self::Output(_)
            | Self::Unverified { .. }
            | Self::Demo(_)
            | Self::DemoDevice(_) => 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &str) -> Result<Cli, clap::Error> {
        Cli::read(["fleetwire"].into_iter().chain(arguments.split(' ')))
    }

    #[test]
    fn what_is_said_of_a_platform_is_not_said_to_a_demonstration() {
        for alone in ALONE {
            for option in ["--server https://x", "--token t", "--ca f", "--json"] {
                for arguments in [format!("{option} {alone}"), format!("{alone} {option}")] {
                    let refused = read(&arguments).expect_err(&arguments);
                    assert_eq!(refused.kind(), ErrorKind::ArgumentConflict, "{arguments}");
                    assert_eq!(refused.exit_code(), 2, "{arguments}");
                }
            }
            let help = read(&format!("{alone} --help")).expect_err("help");
            assert_eq!(help.kind(), ErrorKind::DisplayHelp);
            let help = help.to_string();
            assert!(
                !help.contains("--token") && !help.contains("--json"),
                "{help}"
            );
            assert!(help.contains("--listen"), "{help}");
            read(alone).expect(alone);
        }
        for arguments in [
            "--server https://x --json hosts list",
            "hosts list --ca f --token t",
        ] {
            read(arguments).expect(arguments);
        }
    }
}
