//! `fleetwire packages`: the packages of hosts.

use clap::Subcommand;
use serde_json::json;

use super::Error;
use super::fleet::{self, Asking, Selected};
use super::server;
use super::usage::UsageError;

/// Install, remove, update and list the packages of hosts.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Install packages: fleetwire packages install HOST nginx curl
    Install(Args),
    /// Remove packages
    Remove(Args),
    /// Refresh the lists of what there is to install
    Update(Args),
    /// Bring packages to the newest version; all of them where none is named
    Upgrade(Args),
    /// List what is installed, with --wait
    List(Args),
}

/// Whose packages, and which.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The host, and the packages; the packages alone with --host, --group, --label or --all
    #[arg(value_name = "HOST PACKAGE")]
    words: Vec<String>,
    #[command(flatten)]
    selected: Selected,
    #[command(flatten)]
    asking: Asking,
}

pub(super) async fn run(command: Command, server: &server::Args, json: bool) -> Result<(), Error> {
    let (operation, args) = match command {
        Command::Install(args) => ("install", args),
        Command::Remove(args) => ("remove", args),
        Command::Update(args) => ("update", args),
        Command::Upgrade(args) => ("upgrade", args),
        Command::List(args) => ("list", args),
    };
    let mut packages = args.words;
    let targets = args.selected.first_of(&mut packages)?;
    let takes = matches!(operation, "install" | "remove");
    if takes && packages.is_empty() {
        let what = format!("say which: fleetwire packages {operation} HOST PACKAGE...");
        let field = "packages".to_owned();
        return Err(UsageError::Request { field, what }.into());
    }
    // Nobody is there to be asked: whoever has come so far has decided.
    let parameters =
        json!({"operation": operation, "packages": packages, "options": {"yes": true}});
    let work = ("package_operation", parameters);
    fleet::ask(server, json, &args.asking, targets, work).await
}
