//! `fleetwire dead`: the dead letters, which are deliveries that came to nothing and that nobody has seen to.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::Error;
use super::call::Client;
use super::fleet::confirm;
use super::output;
use super::schedule::in_a_while;
use super::server;
use super::tables;
use super::text;
use super::usage::UsageError;
use crate::clock::parse_duration;

/// Calls in a row, each of which sees to as many as are done at once.
const CALLS_MAX: usize = 1000;

/// Look at dead letters, ask for their commands again, or put them away.
#[derive(Subcommand)]
pub(super) enum Command {
    /// List the dead letters: what could not be delivered, was refused, or was not begun in time
    List(Which),
    /// Ask for their commands again
    Redrive(Redrive),
    /// Put them away
    Discard(SeeTo),
}

/// Which dead letters.
#[derive(clap::Args)]
pub(super) struct Which {
    /// Those of this command
    #[arg(value_name = "COMMAND_ID")]
    command: Option<String>,
    /// Those to this host, by its name or id
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Those of commands of this type, such as package_operation
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "command")]
    kind: Option<String>,
    /// Those with this reason, such as not_allowed
    #[arg(long, value_name = "REASON", conflicts_with = "command")]
    reason: Option<String>,
}

/// Which dead letters something is done about.
#[derive(clap::Args)]
pub(super) struct SeeTo {
    #[command(flatten)]
    which: Which,
    /// Those of commands that were asked for before this moment, as RFC 3339 has it
    #[arg(long, value_name = "TIME", conflicts_with = "command")]
    before: Option<String>,
    /// All of them
    #[arg(long, conflicts_with_all = ["command", "host", "kind", "reason", "before"])]
    all: bool,
    /// Ask nothing before more than one is concerned
    #[arg(long, short)]
    yes: bool,
    /// Say how many they are, in place of doing it
    #[arg(long)]
    dry_run: bool,
}

/// Which dead letters are asked for again, and how.
#[derive(clap::Args)]
pub(super) struct Redrive {
    #[command(flatten)]
    see_to: SeeTo,
    /// How long the new commands may wait for a host that is offline; without it 1d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    expires: Option<Duration>,
}

pub(super) async fn run(command: Command, server: &server::Args, json: bool) -> Result<(), Error> {
    match command {
        Command::List(which) => list(&which, server, json).await,
        Command::Redrive(Redrive { see_to, expires }) => {
            let mut request = request(&see_to)?;
            if let Some(expires) = expires {
                request.insert("expires_at".to_owned(), in_a_while(expires).into());
            }
            let what = "dead letters are asked for again";
            let answers = done(server, "RedriveDeliveries", request, &see_to, what).await?;
            redriven(&answers, see_to.dry_run, json)
        }
        Command::Discard(see_to) => {
            let request = request(&see_to)?;
            let what = "dead letters are put away";
            let answers = done(server, "DiscardDeliveries", request, &see_to, what).await?;
            if json {
                return answers.iter().try_for_each(output::json);
            }
            let verb = if see_to.dry_run {
                "there are"
            } else {
                "put away:"
            };
            output::line(&format!("{verb} {} dead letters", total(&answers)))
        }
    }
}

async fn list(which: &Which, server: &server::Args, json: bool) -> Result<(), Error> {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    let request = json!({
        "dead": true,
        "page_size": 1000,
        "command_id": of(&which.command),
        "host": of(&which.host),
        "command_type": of(&which.kind),
        "reason": of(&which.reason),
    });
    let client = Client::connect(server).await?;
    let found = client
        .all("DeliveryService", "ListDeliveries", request)
        .await?;
    if json {
        return output::json(&found);
    }
    let letters = found["deliveries"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    match tables::of("Delivery") {
        Some(view) => output::table(
            view.headings.iter().copied(),
            letters.iter().map(view.cells),
        ),
        None => Ok(()),
    }
}

fn request(see_to: &SeeTo) -> Result<Map<String, Value>, UsageError> {
    let SeeTo {
        which, before, all, ..
    } = see_to;
    let mut request = Map::new();
    if let Some(command) = &which.command {
        request.insert("command_id".to_owned(), command.as_str().into());
        if let Some(host) = &which.host {
            request.insert("hosts".to_owned(), json!([host]));
        }
        return Ok(request);
    }
    let mut filter = Map::new();
    for (name, value) in [
        ("host", &which.host),
        ("command_type", &which.kind),
        ("reason", &which.reason),
        ("before", before),
    ] {
        if let Some(value) = value {
            filter.insert(name.to_owned(), value.as_str().into());
        }
    }
    if filter.is_empty() && !all {
        return Err(UsageError::Request {
            field: "dead letters".to_owned(),
            what: "say which: a command's id, --host, --type, --reason, --before, or --all"
                .to_owned(),
        });
    }
    if *all {
        filter.insert("all".to_owned(), true.into());
    }
    request.insert("filter".to_owned(), filter.into());
    Ok(request)
}

/// Has it done, to the last of them, once it is known how many they are and somebody has agreed.
async fn done(
    server: &server::Args,
    method: &str,
    request: Map<String, Value>,
    see_to: &SeeTo,
    what: &str,
) -> Result<Vec<Value>, Error> {
    let mut client = Client::connect(server).await?;
    if see_to.dry_run || !see_to.yes {
        let mut dry = request.clone();
        dry.insert("dry_run".to_owned(), true.into());
        let would = client.once("DeliveryService", method, dry.into()).await?;
        let count = would["total"].as_u64().unwrap_or_default();
        if see_to.dry_run || count == 0 {
            return Ok(vec![would]);
        }
        confirm(count, what)?;
    }
    let mut answers = Vec::new();
    while answers.len() < CALLS_MAX {
        let answer = client
            .once("DeliveryService", method, request.clone().into())
            .await?;
        let more = answer["more"].as_bool().unwrap_or_default();
        answers.push(answer);
        if !more {
            break;
        }
    }
    Ok(answers)
}

fn total(answers: &[Value]) -> u64 {
    let totals = answers.iter().map(|answer| answer["total"].as_u64());
    totals.map(Option::unwrap_or_default).sum()
}

fn redriven(answers: &[Value], dry_run: bool, json: bool) -> Result<(), Error> {
    if json {
        return answers.iter().try_for_each(output::json);
    }
    if total(answers) == 0 {
        return output::line("there are 0 dead letters");
    }
    let commands = answers
        .iter()
        .filter_map(|answer| answer["commands"].as_array());
    let rows = commands.flatten().map(|command| {
        ["redrive_of", "command_id", "total"]
            .map(|member| text::cell(&command[member]))
            .to_vec()
    });
    output::table(["COMMAND", "NEW COMMAND", "HOSTS"], rows)?;
    if dry_run && answers.iter().any(|answer| answer["more"] == true) {
        output::beside("there are more, which would be asked for again too");
    }
    Ok(())
}
