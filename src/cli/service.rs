//! `fleetwire service`: the services of hosts.

use clap::Subcommand;
use serde_json::json;

use super::Error;
use super::fleet::{self, Asking, Selected};
use super::server;
use super::usage::UsageError;

/// Start, stop and look at the services of hosts.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Start a service
    Start(Args),
    /// Stop a service
    Stop(Args),
    /// Restart a service: fleetwire service restart HOST nginx
    Restart(Args),
    /// Let a service start with its host
    Enable(Args),
    /// Do not let a service start with its host
    Disable(Args),
    /// Say how a service is, with --wait
    Status(Args),
}

/// Whose service, and which.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The host, and the service; the service alone with --host, --group, --label or --all
    #[arg(value_name = "HOST SERVICE", num_args = 1..=2, required = true)]
    words: Vec<String>,
    #[command(flatten)]
    selected: Selected,
    #[command(flatten)]
    asking: Asking,
}

pub(super) async fn run(command: Command, server: &server::Args, json: bool) -> Result<(), Error> {
    let (operation, args) = match command {
        Command::Start(args) => ("start", args),
        Command::Stop(args) => ("stop", args),
        Command::Restart(args) => ("restart", args),
        Command::Enable(args) => ("enable", args),
        Command::Disable(args) => ("disable", args),
        Command::Status(args) => ("status", args),
    };
    let mut words = args.words;
    let targets = args.selected.first_of(&mut words)?;
    let [service] = &words[..] else {
        let what = format!("say one: fleetwire service {operation} HOST SERVICE");
        let field = "service".to_owned();
        return Err(UsageError::Request { field, what }.into());
    };
    let parameters = json!({"operation": operation, "service": service});
    let work = ("service_operation", parameters);
    fleet::ask(server, json, &args.asking, targets, work).await
}
