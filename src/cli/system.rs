//! `fleetwire system`: the hosts themselves. What ends all that a host is doing is asked about first, also for
//! one host.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Error;
use super::fleet::{self, Asking, Selected};
use super::server;

/// Restart hosts, power them off, and set their name and time.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Restart hosts: fleetwire system reboot HOST...
    Reboot(Args),
    /// Power hosts off; nothing of Fleetwire's starts them again
    Shutdown(Args),
    /// Give a host another name of its own: fleetwire system hostname HOST NAME
    Hostname(Hostname),
    /// Set the clock of hosts, their time zone, or both
    Time(Time),
}

/// Which hosts.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The hosts, by name or id
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    #[command(flatten)]
    selected: Selected,
    #[command(flatten)]
    asking: Asking,
}

/// Which host, and its name.
#[derive(clap::Args)]
pub(super) struct Hostname {
    /// The host, by name or id
    #[arg(value_name = "HOST")]
    host: String,
    /// What it is to call itself; what Fleetwire calls it stays
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    asking: Asking,
}

/// Which hosts, and their time.
#[derive(clap::Args)]
pub(super) struct Time {
    /// The hosts, by name or id
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    #[command(flatten)]
    selected: Selected,
    /// What the clock is set to when the host's turn comes, as RFC 3339 has it
    #[arg(long, value_name = "TIME", required_unless_present = "zone")]
    set: Option<String>,
    /// The time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    #[command(flatten)]
    asking: Asking,
}

pub(super) async fn run(command: Command, server: &server::Args, json: bool) -> Result<(), Error> {
    let (operation, becomes, args) = match command {
        Command::Reboot(args) => ("reboot", "restart", args),
        Command::Shutdown(args) => ("shutdown", "power off", args),
        Command::Hostname(args) => return hostname(args, server, json).await,
        Command::Time(args) => return time(args, server, json).await,
    };
    let targets = args.selected.targets(args.hosts)?;
    let work = work(json!({"operation": operation}));
    fleet::ask_to_end(server, json, &args.asking, targets, work, becomes).await
}

async fn hostname(args: Hostname, server: &server::Args, json: bool) -> Result<(), Error> {
    let targets = json!({"hosts": [args.host]});
    let work = work(json!({"operation": "set_hostname", "hostname": args.name}));
    fleet::ask(server, json, &args.asking, targets, work).await
}

async fn time(args: Time, server: &server::Args, json: bool) -> Result<(), Error> {
    let mut parameters = json!({"operation": "set_time"});
    for (member, value) in [("time", args.set), ("time_zone", args.zone)] {
        if let Some(value) = value {
            parameters[member] = value.into();
        }
    }
    let targets = args.selected.targets(args.hosts)?;
    fleet::ask(server, json, &args.asking, targets, work(parameters)).await
}

const fn work(parameters: Value) -> fleet::Work {
    ("system_operation", parameters)
}
