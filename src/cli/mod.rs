//! The operator's command line: one variant of [`Command`] and one file a subcommand. Each file
//! owns its arguments, what it does and its error; this one only names them.

use clap::{Parser, Subcommand};

pub mod demo_device;

/// Reach machines and KVM-over-IP devices behind NAT through one outbound WebSocket each.
#[derive(Debug, Parser)]
#[command(name = "fleetwire", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a small KVM-like web interface, for demonstration and tests.
    DemoDevice(demo_device::Args),
}

impl Cli {
    /// Runs the chosen subcommand to its end. Needs a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// The subcommand's own error, ready to be shown to the person at the terminal.
    pub async fn run(self) -> Result<(), Error> {
        match self.command {
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
    /// `demo-device` failed.
    #[error("demo device: {0}")]
    DemoDevice(#[from] demo_device::Error),
}
