//! `fleetwire agents`: another agent for hosts, and the signature without which none takes it. Signing asks no
//! platform: it is for a machine that the key never leaves.

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};
use serde_json::json;

use super::call::Client;
use super::files::{Local, upload};
use super::fleet::{self, Asking, Selected};
use super::server;
use super::usage::UsageError;
use super::{Error, output};
use crate::files::read_text;
use crate::net::own_origin::hash_text;
use crate::net::signed_program::sign;
use crate::secret::Secret;

/// Largest file with a private key.
const KEY_BYTES_MAX: usize = 16 << 10;

/// Put another agent on hosts, and sign it.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Put another agent in the place of the one that runs: fleetwire agents update HOST --file FILE ...
    Update(Box<Update>),
    /// Sign an agent with a private key, and print the signature; no platform is asked
    Sign(Sign),
}

/// Which agent, and where.
#[derive(clap::Args)]
pub(super) struct Update {
    /// The hosts, by name or id
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    #[command(flatten)]
    selected: Selected,
    #[command(flatten)]
    program: Program,
    /// The signature, as fleetwire agents sign prints it
    #[arg(long, value_name = "BASE64")]
    signature: String,
    #[command(flatten)]
    asking: Asking,
}

/// What is signed, and by whom.
#[derive(clap::Args)]
pub(super) struct Sign {
    #[command(flatten)]
    program: Program,
    /// The private key, as openssl genpkey -algorithm ed25519 writes it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key: PathBuf,
}

/// A program.
#[derive(clap::Args)]
struct Program {
    /// The new fleetwire-agent, for the hosts' kind of machine
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// The version that it says of itself, as in 1.2.3
    #[arg(long = "version", id = "agent_version", value_name = "VERSION")]
    version: String,
}

pub(super) async fn run(command: Command, server: &server::Args, json: bool) -> Result<(), Error> {
    match command {
        Command::Update(args) => update(*args, server, json).await,
        Command::Sign(args) => signed(&args, json),
    }
}

async fn update(args: Update, server: &server::Args, json: bool) -> Result<(), Error> {
    let targets = args.selected.targets(args.hosts)?;
    let local = Local::open(&args.program.file)?;
    if args.asking.is_dry_run() {
        // Which hosts it would go to does not hang on what goes there, and nothing is there yet.
        let work = ("inventory", json!({}));
        return fleet::ask(server, json, &args.asking, targets, work).await;
    }
    let parameters = json!({
        "version": args.program.version,
        "size_bytes": local.size,
        "sha256": hash_text(&local.sha256),
        "signature": args.signature,
    });
    let mut client = Client::connect(server).await?;
    upload(&mut client, &local).await?;
    let work = ("agent_update", parameters);
    fleet::ask(server, json, &args.asking, targets, work).await
}

fn signed(args: &Sign, json: bool) -> Result<(), Error> {
    let local = Local::open(&args.program.file)?;
    let key = Secret::new(read_text(&args.key, KEY_BYTES_MAX)?);
    let version = &args.program.version;
    let signature =
        sign(key.expose(), version, &local.sha256).map_err(|error| UsageError::Request {
            field: "key".to_owned(),
            what: format!("{}: {error}", args.key.display()),
        })?;
    if json {
        let sha256 = hash_text(&local.sha256);
        return output::json(
            &json!({"version": version, "sha256": sha256, "signature": signature}),
        );
    }
    output::line(&signature)
}
