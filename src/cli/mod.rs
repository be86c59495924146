//! The operator's command line. Most commands are generated from the API's services (`commands`), so
//! that each method has one, and `generated` runs them; `arguments`, `call`, `output`, `text` and `tables`
//! have what all share. The others have a file each: its arguments and what it does. This file names them
//! all, and says how a failure ends the process.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

mod agents;
mod arguments;
mod audit;
mod board;
mod call;
pub mod commands;
mod completion;
pub mod connection;
mod contexts;
mod dead;
mod demo;
pub mod demo_device;
mod events;
mod files;
mod fleet;
mod follow;
mod generated;
mod health;
mod inventory;
mod login;
mod mcp;
mod output;
mod packages;
mod results;
mod run;
mod schedule;
mod server;
mod service;
mod sign_in;
mod system;
mod tables;
mod terminal;
mod text;
mod usage;

/// Reach machines and KVM-over-IP devices behind NAT through one outbound WebSocket each.
#[derive(Parser)]
#[command(
    name = "fleetwire",
    version,
    about,
    after_help = "Exit status: 0 done, 1 failed or refused, 2 wrong usage, 3 the platform cannot be reached; of \
                  --wait also 124 not done in time, 130 broken off."
)]
struct Line {
    #[command(flatten)]
    general: General,
    #[command(subcommand)]
    command: Own,
}

/// What may be said with every command.
#[derive(clap::Args)]
struct General {
    #[command(flatten)]
    server: server::Args,
    /// Print JSON in place of text
    #[arg(long, global = true, help_heading = server::GLOBAL)]
    json: bool,
}

/// The commands that are no method's.
#[derive(Subcommand)]
enum Own {
    #[command(display_order = 10)]
    Run(run::Args),
    #[command(subcommand, display_order = 11, visible_alias = "package")]
    Packages(packages::Command),
    #[command(subcommand, display_order = 12, alias = "services")]
    Service(service::Command),
    #[command(subcommand, display_order = 13)]
    System(system::Command),
    #[command(display_order = 14)]
    Inventory(inventory::Args),
    #[command(subcommand, display_order = 15)]
    Dead(dead::Command),
    #[command(subcommand, display_order = 16)]
    Agents(agents::Command),
    /// Sign in to a platform, and keep that as a context
    #[command(display_order = 90)]
    Login(login::Args),
    /// Sign out of a context's platform
    #[command(display_order = 91)]
    Logout,
    /// The platforms that were signed in to
    #[command(subcommand, display_order = 92)]
    Context(contexts::Command),
    #[command(display_order = 93)]
    Mcp(mcp::Args),
    /// Print what a shell needs to complete commands: bash, zsh or fish
    #[command(display_order = 100)]
    Completion(completion::Args),
    /// Start a platform, an agent and a demo device on this machine, and print one address to open
    #[command(display_order = 101)]
    Demo(demo::Args),
    /// Serve a small KVM-like web interface, for demonstration and tests
    #[command(display_order = 102)]
    DemoDevice(demo_device::Args),
}

/// The subcommands that talk to no platform of the caller's: what says which, and how its answer is
/// printed, is not offered to them.
const ALONE: [&str; 3] = ["completion", "demo", "demo-device"];
/// The group of the audit log, which has a command that is no method.
const AUDIT: &str = "audit";

/// The group of deliveries, which lists them where no more is said.
const DELIVERY: &str = "delivery";
const LIST: &str = "list";
/// The group of the fleet in numbers, which has nothing else.
const FLEET: &str = "fleet";
const SUMMARY: &str = "summary";

/// A command line that was understood.
pub struct Cli {
    general: General,
    command: Command,
}

impl std::fmt::Debug for Cli {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cli").finish_non_exhaustive()
    }
}

#[allow(
    clippy::large_enum_variant,
    reason = "there is one, and it is read once"
)]
enum Command {
    Own(Own),
    VerifyAudit(audit::Args),
    PutFile(files::Put),
    GetFile(files::Get),
    HostHealth(health::Args),
    Call(&'static commands::Command, ArgMatches),
}

impl Cli {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// What is wrong with it, ready to be shown; help and version are errors to clap, too.
    pub fn read<T>(arguments: impl IntoIterator<Item = T>) -> Result<Self, clap::Error>
    where
        T: Into<OsString> + Clone,
    {
        let command = command();
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
        Self::understood(&matches).map_err(|error| error.format(&mut command))
    }

    fn understood(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let called = matches
            .subcommand()
            .and_then(|(group, within)| match within.subcommand() {
                Some((name, matches)) => Some((group, name, matches)),
                None if group == DELIVERY => Some((group, LIST, within)),
                None if group == FLEET => Some((group, SUMMARY, within)),
                None => None,
            });
        let command = match called {
            Some((AUDIT, audit::VERIFY, matches)) => {
                Command::VerifyAudit(audit::Args::from_arg_matches(matches)?)
            }
            Some((files::GROUP, files::PUT, matches)) => {
                Command::PutFile(files::Put::from_arg_matches(matches)?)
            }
            Some((files::GROUP, files::GET, matches)) => {
                Command::GetFile(files::Get::from_arg_matches(matches)?)
            }
            Some((health::GROUP, health::NAME, matches)) => {
                Command::HostHealth(health::Args::from_arg_matches(matches)?)
            }
            Some((group, name, matches)) if let Some(found) = arguments::find(group, name) => {
                Command::Call(found, matches.clone())
            }
            _ => Command::Own(Own::from_arg_matches(matches)?),
        };
        Ok(Self {
            general: General::from_arg_matches(matches)?,
            command,
        })
    }

    /// Runs the chosen subcommand to its end. Needs a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// The subcommand's own error, ready to be shown to the person at the terminal.
    pub async fn run(self) -> Result<(), Error> {
        let General { server, json } = self.general;
        match self.command {
            Command::Call(command, matches) => {
                generated::run(command, &matches, &server, json).await
            }
            Command::VerifyAudit(args) => audit::run(args, json),
            Command::PutFile(args) => files::put(args, &server, json).await,
            Command::GetFile(args) => files::get(args, &server, json).await,
            Command::HostHealth(args) => health::run(args, &server, json).await,
            Command::Own(Own::Run(args)) => run::run(args, &server, json).await,
            Command::Own(Own::Packages(command)) => packages::run(command, &server, json).await,
            Command::Own(Own::Service(command)) => service::run(command, &server, json).await,
            Command::Own(Own::System(command)) => system::run(command, &server, json).await,
            Command::Own(Own::Inventory(args)) => inventory::run(args, &server, json).await,
            Command::Own(Own::Dead(command)) => dead::run(command, &server, json).await,
            Command::Own(Own::Agents(command)) => agents::run(command, &server, json).await,
            Command::Own(Own::Login(args)) => login::login(args, &server).await,
            Command::Own(Own::Logout) => login::logout(&server).await,
            Command::Own(Own::Context(command)) => contexts::run(command, json),
            Command::Own(Own::Mcp(args)) => mcp::run(args, server).await,
            Command::Own(Own::Completion(args)) => completion::run(&args, command()),
            Command::Own(Own::Demo(args)) => Ok(demo::run(args).await?),
            Command::Own(Own::DemoDevice(args)) => Ok(demo_device::run(args).await?),
        }
    }
}

/// All that can be said.
fn command() -> clap::Command {
    let command = Line::command().subcommands(arguments::groups());
    let command = command.mut_subcommand(AUDIT, |group| group.subcommand(audit::command()));
    let command =
        command.mut_subcommand(files::GROUP, |group| group.subcommands(files::commands()));
    // In place of the generated one, which would have moments typed.
    let command = command.mut_subcommand(health::GROUP, |group| {
        group.mut_subcommand(health::NAME, |_| health::command())
    });
    // What is mostly wanted of deliveries is their list.
    let wanted = [(DELIVERY, LIST), (FLEET, SUMMARY)];
    wanted
        .into_iter()
        .fold(command, |command, (group, wanted)| {
            command.mut_subcommand(group, |group| {
                let wanted = group.find_subcommand(wanted).cloned().unwrap_or_default();
                group
                    .args(wanted.get_arguments().cloned())
                    .args_conflicts_with_subcommands(true)
                    .subcommand_required(false)
                    .arg_required_else_help(false)
            })
        })
}

/// Why a subcommand failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine gave no event loop or signal handler.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// What the person at the terminal said cannot be used.
    #[error(transparent)]
    Usage(#[from] usage::UsageError),
    /// The platform refused, or did not answer.
    #[error(transparent)]
    Call(#[from] connection::CallError),
    /// The platform was not reached, or not understood.
    #[error(transparent)]
    Reach(#[from] crate::net::http_client::HttpError),
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
    /// A command that was waited for did not come to a good end.
    #[error(transparent)]
    Unfinished(#[from] follow::Unfinished),
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
        use connection::CallError;
        ExitCode::from(match self {
            // Asked, and answered with no.
            Self::Usage(usage::UsageError::NotConfirmed) => 1,
            Self::Usage(_) | Self::Input(_) => 2,
            Self::Unfinished(how) => how.exit_code(),
            Self::Call(CallError::Refused { .. }) => 1,
            Self::Call(CallError::Reach(_)) | Self::Reach(_) => 3,
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
            for option in ["--server https://x", "--token-file t", "--ca f", "--json"] {
                let line = if alone == "completion" {
                    "completion bash"
                } else {
                    alone
                };
                for arguments in [format!("{option} {line}"), format!("{line} {option}")] {
                    let refused = read(&arguments).expect_err(&arguments);
                    assert_eq!(refused.kind(), ErrorKind::ArgumentConflict, "{arguments}");
                    assert_eq!(refused.exit_code(), 2, "{arguments}");
                }
            }
            let help = read(&format!("{alone} --help")).expect_err("help");
            assert_eq!(help.kind(), ErrorKind::DisplayHelp);
            let help = help.to_string();
            assert!(
                !help.contains("--token-file") && !help.contains("--json"),
                "{help}"
            );
            let alone = match alone {
                "completion" => "completion bash",
                alone => alone,
            };
            read(alone).expect(alone);
        }
        for arguments in [
            "--server https://x --json hosts list",
            "hosts list --ca f --token-file t",
        ] {
            read(arguments).expect(arguments);
        }
    }
}
