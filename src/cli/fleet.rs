//! What the commands that ask hosts for something have in common: whom they are for, how they are asked, the
//! question before more than one host is, and what is printed of the answer. Following them to their end is
//! `follow`'s.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::call::Client;
use super::follow::Shown;
use super::schedule::{When, in_a_while};
use super::server;
use super::usage::UsageError;
use super::{Error, follow, output, terminal, text};
use crate::clock::parse_duration;

/// Hosts that a question names.
const NAMED_MAX: usize = 5;

/// Hosts by something else than their names as the first words.
#[derive(clap::Args)]
pub(super) struct Selected {
    /// This host, by its name or id; may be given again
    #[arg(long = "host", value_name = "HOST")]
    named: Vec<String>,
    /// The hosts of this group, by its name or id
    #[arg(long, value_name = "GROUP", conflicts_with_all = ["named", "all"])]
    group: Option<String>,
    /// The hosts that have this label; may be given again, for those that have all of them
    #[arg(long = "label", value_name = "KEY=VALUE", conflicts_with_all = ["named", "all"])]
    labels: Vec<String>,
    /// All hosts that you may see
    #[arg(long, conflicts_with = "named")]
    all: bool,
}

/// How hosts are asked.
#[derive(clap::Args)]
pub(super) struct Asking {
    /// Wait until all hosts have done it, and show what they print; see the exit status
    #[arg(long)]
    wait: bool,
    /// The same, no longer than this
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    wait_for: Option<Duration>,
    /// How long it may run on a host; without it 15m
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// How long it may wait for a host that is offline; without it 1d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    expires: Option<Duration>,
    /// What is begun first, of what waits for a host
    #[arg(long, value_enum)]
    priority: Option<Priority>,
    /// Ask nothing before more than one host is asked
    #[arg(long, short)]
    yes: bool,
    /// Say which hosts it would go to, and when, in place of asking them
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    when: When,
}

#[derive(Clone, Copy, ValueEnum)]
enum Priority {
    High,
    Normal,
    Low,
}

impl Asking {
    /// The same, and somebody waits in any case.
    #[must_use]
    pub(super) fn and_wait(mut self) -> Self {
        self.wait = true;
        self
    }

    /// Whether nothing is to be asked but whom it would go to.
    pub(super) const fn is_dry_run(&self) -> bool {
        self.dry_run
    }
}

impl Selected {
    /// The targets of a command, out of the words that name hosts. Where none is left over for that, the
    /// first of `words` is the host and the others are what it is about.
    pub(super) fn first_of(&self, words: &mut Vec<String>) -> Result<Value, UsageError> {
        let mut hosts = Vec::new();
        if !self.is_said() && !words.is_empty() {
            hosts.push(words.remove(0));
        }
        self.targets(hosts)
    }

    /// The targets of a command, with these hosts.
    pub(super) fn targets(&self, mut hosts: Vec<String>) -> Result<Value, UsageError> {
        hosts.extend(self.named.iter().cloned());
        let selects = self.group.is_some() || !self.labels.is_empty() || self.all;
        let wrong = |what: &str| UsageError::Request {
            field: "hosts".to_owned(),
            what: what.to_owned(),
        };
        if hosts.is_empty() != selects {
            return Err(wrong(
                "say which: hosts by name, --group and --label, or --all",
            ));
        }
        let mut targets = Map::new();
        if self.all {
            targets.insert("all".to_owned(), true.into());
        }
        if let Some(group) = &self.group {
            targets.insert("group".to_owned(), group.as_str().into());
        }
        if !self.labels.is_empty() {
            let labels = self.labels.iter().map(|label| {
                let (key, value) = label.split_once('=').unwrap_or((label, ""));
                (key.to_owned(), Value::from(value))
            });
            targets.insert("labels".to_owned(), labels.collect::<Map<_, _>>().into());
        }
        if !hosts.is_empty() {
            targets.insert("hosts".to_owned(), hosts.into());
        }
        Ok(targets.into())
    }

    fn is_said(&self) -> bool {
        self.group.is_some() || !self.labels.is_empty() || self.all || !self.named.is_empty()
    }
}

/// What hosts are asked for: a member of the request, and what it holds.
pub(super) type Work = (&'static str, Value);

/// Asks the hosts for `work`.
pub(super) async fn ask(
    server: &server::Args,
    json: bool,
    asking: &Asking,
    targets: Value,
    work: Work,
) -> Result<(), Error> {
    asked(server, json, asking, targets, (work, None)).await
}

/// Asks the hosts for `work` that takes away what they are doing: somebody has to agree, also where it is one
/// host. `becomes` is what they do then, as in `restart`.
pub(super) async fn ask_to_end(
    server: &server::Args,
    json: bool,
    asking: &Asking,
    targets: Value,
    work: Work,
    becomes: &str,
) -> Result<(), Error> {
    asked(server, json, asking, targets, (work, Some(becomes))).await
}

async fn asked(
    server: &server::Args,
    json: bool,
    asking: &Asking,
    targets: Value,
    (work, becomes): (Work, Option<&str>),
) -> Result<(), Error> {
    let mut client = Client::connect(server).await?;
    let agreed = agreed(&mut client, json, asking, &targets, (work, becomes)).await?;
    let Some(request) = agreed else {
        return Ok(());
    };
    let waits = asking.wait || asking.wait_for.is_some();
    let waiting = waits.then(|| follow::Waiting::new(asking.wait_for));
    let waiting = waiting.transpose()?;
    let made = client
        .once("CommandService", "CreateCommand", request)
        .await?;
    let id = made["command_id"].as_str().unwrap_or_default().to_owned();
    if let Some(waiting) = waiting {
        let shown = if json {
            output::json(&made)?;
            Shown::Json
        } else {
            Shown::Lines {
                several: made["total"].as_u64() != Some(1),
            }
        };
        return follow::to_the_end(&mut client, &id, shown, waiting).await;
    }
    if json {
        return output::json(&made);
    }
    output::line(&id)?;
    output::beside(&format!("follow it with: fleetwire command watch {id}"));
    Ok(())
}

/// Asks hosts, and waits until they have done it. What it gave is kept in `results` where that is given, also
/// where some have failed, and printed otherwise. Answers the command's id, and none where only the hosts were
/// to be said.
pub(super) async fn ask_and_wait(
    client: &mut Client<'_>,
    json: bool,
    asking: &Asking,
    targets: Value,
    work: Work,
    results: Option<&mut Vec<Value>>,
) -> Result<Option<String>, Error> {
    let agreed = agreed(client, json, asking, &targets, (work, None)).await?;
    let Some(request) = agreed else {
        return Ok(None);
    };
    let waiting = follow::Waiting::new(asking.wait_for)?;
    let made = client
        .once("CommandService", "CreateCommand", request)
        .await?;
    let id = made["command_id"].as_str().unwrap_or_default().to_owned();
    let shown = match results {
        Some(results) => Shown::Kept(results),
        None => Shown::Lines {
            several: made["total"].as_u64() != Some(1),
        },
    };
    follow::to_the_end(client, &id, shown, waiting).await?;
    Ok(Some(id))
}

/// The request that somebody has agreed to, where somebody has to be asked; `None` where only its hosts were to
/// be said, which is done.
async fn agreed(
    client: &mut Client<'_>,
    json: bool,
    asking: &Asking,
    targets: &Value,
    (work, becomes): (Work, Option<&str>),
) -> Result<Option<Value>, Error> {
    let request = request(asking, targets, work)?;
    let hosts = targets["hosts"].as_array();
    let is_one = hosts.is_some_and(|hosts| hosts.len() == 1);
    let asks = !asking.yes && (becomes.is_some() || !is_one);
    if asking.dry_run || asks {
        let mut dry = request.clone();
        dry["dry_run"] = true.into();
        let would = client.once("CommandService", "CreateCommand", dry).await?;
        if asking.dry_run {
            shown(&would, json)?;
            return Ok(None);
        }
        let total = would["total"].as_u64().unwrap_or_default();
        match becomes {
            Some(becomes) => go_ahead(format!("{} will {becomes}", named(&would, total)))?,
            None => confirm(total, "hosts are asked")?,
        }
    }
    Ok(Some(request))
}

/// The first of the hosts that a command would go to, and how many more.
fn named(would: &Value, total: u64) -> String {
    let hosts = would["hosts"].as_array().map_or(&[][..], Vec::as_slice);
    let names = hosts.iter().take(NAMED_MAX);
    let names: Vec<_> = names.map(|host| text::cell(&host["host"])).collect();
    match total.saturating_sub(names.len() as u64) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// The request for a command.
fn request(
    asking: &Asking,
    targets: &Value,
    (kind, parameters): Work,
) -> Result<Value, UsageError> {
    let mut request = json!({"targets": targets, kind: parameters});
    if let Some(timeout) = asking.timeout {
        request["timeout"] = timeout.as_secs().into();
    }
    if let Some(expires) = asking.expires {
        request["expires_at"] = in_a_while(expires).into();
    }
    if let Some(priority) = asking.priority {
        let word = match priority {
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
        };
        request["priority"] = word.into();
    }
    asking.when.add_to(&mut request)?;
    Ok(request)
}

/// Asks before more than one is concerned.
pub(super) fn confirm(count: u64, what: &str) -> Result<(), UsageError> {
    if count <= 1 {
        return Ok(());
    }
    go_ahead(format!("{count} {what}"))
}

/// Asks whether to go ahead with what is said.
fn go_ahead(what: String) -> Result<(), UsageError> {
    match terminal::confirm(&format!("{what}: go ahead?")).map_err(UsageError::Terminal)? {
        Some(true) => Ok(()),
        Some(false) => Err(UsageError::NotConfirmed),
        None => Err(UsageError::NobodyToConfirm(what)),
    }
}

/// Prints the hosts that a command would go to.
fn shown(would: &Value, json: bool) -> Result<(), Error> {
    if json {
        return output::json(would);
    }
    let hosts = would["hosts"].as_array().map_or(&[][..], Vec::as_slice);
    let waves = would["waves"].as_u64().unwrap_or_default();
    let is_shut = hosts.iter().any(|host| host["window_opens_at"].is_string());
    let rows = hosts.iter().map(|host| {
        let online = host["online"].as_bool().unwrap_or_default();
        let status = if online { "online" } else { "offline" };
        let mut row = vec![text::cell(&host["host"]), status.to_owned()];
        if waves > 0 {
            row.push(text::cell(&host["wave"]));
        }
        if is_shut {
            row.push(text::cell(&host["window_opens_at"]));
        }
        row.push(text::cell(&host["host_id"]));
        row
    });
    let mut head = vec!["HOST", "STATUS"];
    head.extend((waves > 0).then_some("WAVE"));
    head.extend(is_shut.then_some("WINDOW OPENS"));
    head.push("ID");
    output::table(head, rows)?;
    if waves > 0 {
        output::beside(&format!("in {waves} waves"));
    }
    let more = would["total"]
        .as_u64()
        .unwrap_or_default()
        .saturating_sub(hosts.len() as u64);
    if more > 0 {
        output::beside(&format!("and {more} more"));
    }
    Ok(())
}
