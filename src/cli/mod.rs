//! The operator's command line: one variant of [`Command`] and one file a subcommand. Each file
//! owns its arguments and what it does; this one names them, and says how a failure ends the
//! process.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Start a platform, an agent and a demo device on this machine, and print one address to open
    Demo(demo::Args),
    /// Serve a small KVM-like web interface, for demonstration and tests
    DemoDevice(demo_device::Args),
}

impl Cli {
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
            Self::Usage(_) => 2,
            Self::Call(HttpError::Problem(_)) => 1,
            Self::Call(_) => 3,
            Self::Start(_) | Self::Output(_) | Self::Demo(_) | Self::DemoDevice(_) => 1,
        })
    }
}
