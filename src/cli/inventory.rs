//! `fleetwire inventory`: what hosts are made of. It waits for them, as an inventory that nobody reads is none.

use serde_json::{Value, json};

use super::call::Client;
use super::fleet::{self, Asking, Selected};
use super::output::table;
use super::results::{self, FACTS};
use super::text::cell;
use super::{Error, output, server, text};

/// Ask hosts what they are made of, and show it: fleetwire inventory HOST...
#[derive(clap::Args)]
pub(super) struct Args {
    /// The hosts, by name or id
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    #[command(flatten)]
    selected: Selected,
    /// List the packages that are installed
    #[arg(long, conflicts_with = "services")]
    packages: bool,
    /// List the services
    #[arg(long)]
    services: bool,
    #[command(flatten)]
    asking: Asking,
}

/// A list of an inventory: its part, and the members and headings of its table.
const PACKAGES: List = List {
    part: "packages",
    members: ["name", "version", "architecture"],
    headings: ["PACKAGE", "VERSION", "ARCHITECTURE"],
};
const SERVICES: List = List {
    part: "services",
    members: ["name", "active_state", "description"],
    headings: ["SERVICE", "STATE", "DESCRIPTION"],
};

struct List {
    part: &'static str,
    members: [&'static str; 3],
    headings: [&'static str; 3],
}

pub(super) async fn run(args: Args, server: &server::Args, json: bool) -> Result<(), Error> {
    let list = match (args.packages, args.services) {
        (true, _) => Some(&PACKAGES),
        (_, true) => Some(&SERVICES),
        _ => None,
    };
    let targets = args.selected.targets(args.hosts)?;
    let parts: Vec<_> = list.iter().map(|list| list.part).collect();
    let work = ("inventory", json!({"parts": parts}));
    let asking = args.asking.and_wait();
    if json {
        return fleet::ask(server, json, &asking, targets, work).await;
    }
    let mut client = Client::connect(server).await?;
    let mut results = Vec::new();
    let kept = Some(&mut results);
    let outcome = fleet::ask_and_wait(&mut client, json, &asking, targets, work, kept).await;
    // What some hosts have said is shown whatever became of the others.
    results.retain(|result| result["inventory"].is_object());
    results.sort_by(|one, other| name(one).cmp(name(other)));
    if !results.is_empty() {
        match list {
            Some(list) => listed(list, &results)?,
            None => summed_up(&results)?,
        }
        for result in &results {
            let notes = result["inventory"]["output"].as_str().unwrap_or_default();
            for note in notes.lines() {
                let host = text::plain(name(result));
                output::beside(&format!("{host}: {}", text::plain(note)));
            }
        }
    }
    outcome.map(drop)
}

/// A line a fact of one host, a row a host of several.
fn summed_up(results: &[Value]) -> Result<(), Error> {
    if let [result] = results {
        for (name, fact) in results::facts(&result["inventory"]) {
            output::line(&format!("{name:12}{fact}"))?;
        }
        return Ok(());
    }
    let rows = results.iter().map(|result| {
        let facts = results::facts(&result["inventory"]).into_iter();
        let mut row = vec![text::plain(name(result))];
        row.extend(facts.map(|(_, fact)| fact));
        row
    });
    let headings = FACTS.map(str::to_uppercase);
    let headings = ["HOST"]
        .into_iter()
        .chain(headings.iter().map(String::as_str));
    table(headings, rows)
}

/// A row an item; with the host's name where there are several.
fn listed(list: &List, results: &[Value]) -> Result<(), Error> {
    let is_one = results.len() == 1;
    let rows = results.iter().flat_map(|result| {
        let items = result["inventory"][list.part].as_array();
        items.into_iter().flatten().map(move |item| {
            let host = (!is_one).then(|| text::plain(name(result)));
            let cells = list.members.iter().map(|member| cell(&item[*member]));
            host.into_iter().chain(cells).collect()
        })
    });
    let headings = (!is_one).then_some("HOST").into_iter();
    table(headings.chain(list.headings), rows)
}

fn name(result: &Value) -> &str {
    result["delivery"]["host"].as_str().unwrap_or_default()
}
