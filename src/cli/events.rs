//! `event watch` for people: a line an event, with when, what, of whom, and what has changed. With `--json` the
//! generated command prints them as they are.

use std::collections::HashMap;

use futures_util::StreamExt as _;
use serde_json::{Map, Value};

use super::commands::{self, Call, Command, Pieces};
use super::connection::Connection;
use super::output::{self, Reader};
use super::text::cell;
use super::{Error, call, text};

/// The method whose answers are shown here.
pub(super) const METHOD: &str = "WatchEvents";
/// Names of hosts that are kept: more are looked up anew.
const NAMES_MAX: usize = 10_000;

/// Prints what has happened until the platform ends the stream, or nobody reads any more.
pub(super) async fn watch(
    command: &Command,
    request: Map<String, Value>,
    connection: Connection,
) -> Result<(), Error> {
    let Call::Stream(watch) = command.call else {
        return Ok(());
    };
    let prepared = watch(&call::text(&request)).map_err(call::invalid)?;
    let pieces = prepared(connection.clone()).await?;
    let mut watching = Watching {
        connection,
        names: HashMap::new(),
        position: None,
    };
    let outcome = watching.take(pieces).await;
    if let (Err(_), Some(position)) = (&outcome, &watching.position) {
        let position = text::plain(position);
        output::beside(&format!("go on from there with: --position {position}"));
    }
    outcome
}

struct Watching {
    connection: Connection,
    /// Hosts' names by their ids.
    names: HashMap<String, String>,
    /// Of the last message.
    position: Option<String>,
}

impl Watching {
    async fn take(&mut self, mut pieces: Pieces) -> Result<(), Error> {
        while let Some(piece) = pieces.next().await {
            let message = call::value(&piece?)?;
            let members = message.as_object().into_iter().flatten();
            for (kind, message) in members {
                let position = message["position"].as_str();
                self.position = position.map(str::to_owned).or(self.position.take());
                match &**kind {
                    "event" => {
                        let host = self.name_of(message).await;
                        if output::bytes(line(message, host.as_deref()).as_bytes())? == Reader::Gone
                        {
                            return Ok(());
                        }
                    }
                    "reload" => {
                        let reason = cell(&message["reason"]);
                        output::beside(&format!("events before this were missed ({reason})"));
                    }
                    // That nothing has happened is no news.
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// What the host is called that an event concerns: its id where nobody says.
    async fn name_of(&mut self, event: &Value) -> Option<String> {
        let id = event["host_id"].as_str().filter(|id| !id.is_empty())?;
        let told =
            ["host_created", "host_enrolled", "host_updated"].map(|kind| &event[kind]["name"]);
        let mut told = told.into_iter().filter_map(Value::as_str);
        let told = told.find(|name| !name.is_empty());
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        if let Some(name) = told {
            self.names.insert(id.to_owned(), name.to_owned());
        } else if !self.names.contains_key(id) {
            let name = self.look_up(id).await;
            self.names
                .insert(id.to_owned(), name.unwrap_or_else(|| id.to_owned()));
        }
        self.names.get(id).cloned()
    }

    async fn look_up(&self, id: &str) -> Option<String> {
        let get = commands::of("HostService", "GetHost")?;
        let Call::Once(get) = get.call else {
            return None;
        };
        let request = Map::from_iter([("host_id".to_owned(), id.into())]);
        let host = call::once(get, &request, self.connection.clone())
            .await
            .ok()?;
        let host = call::value(&host).ok()?;
        Some(host["name"].as_str()?.to_owned())
    }
}

/// An event in a line.
fn line(event: &Value, host: Option<&str>) -> String {
    let members = event.as_object().into_iter().flatten();
    let mut what = members.filter(|(name, value)| value.is_object() && *name != "at");
    let (kind, what) = match what.next() {
        Some((kind, what)) => (kind.as_str(), what),
        // Of a newer platform.
        None => ("something new", &Value::Null),
    };
    let subject = match host {
        Some(host) => text::plain(host),
        None => ["command_id", "group_id", "session_id", "alert_id"]
            .iter()
            .find_map(|id| what[*id].as_str())
            .map_or_else(|| "-".to_owned(), text::plain),
    };
    let changed = changed(kind, what);
    let actor = event["actor"].as_str().unwrap_or_default();
    // A host that speaks for itself is the subject.
    let by = match actor.is_empty() || actor == "platform" || actor.starts_with("host:") {
        true => String::new(),
        false => format!(" (by {})", text::plain(actor)),
    };
    let at = cell(&event["at"]);
    let kind = text::plain(kind).replace('_', " ");
    let line = format!("{at}  {kind:16}  {subject}  {changed}{by}");
    format!("{}\n", line.trim_end())
}

/// What has changed, in words.
fn changed(kind: &str, what: &Value) -> String {
    let of = |member: &str| match &what[member] {
        Value::Null => String::new(),
        Value::String(text) if text.is_empty() => String::new(),
        value => cell(value),
    };
    let words = match kind {
        "host_online" => vec!["from".to_owned(), of("address"), of("software")],
        "host_offline" => vec![of("reason")],
        "host_health" => return health(&what["health"]),
        "host_created" | "host_enrolled" | "host_updated" => vec![of("name")],
        "host_duplicated" => vec!["two agents use its credential".to_owned()],
        "session_opened" | "session_entered" | "session_closed" => {
            vec![of("session_id"), "of".to_owned(), of("user"), of("reason")]
        }
        "command_updated" => vec![of("command_type"), of("status")],
        "delivery_updated" => vec![
            of("status"),
            of("reason"),
            format!("of {}", of("command_id")),
        ],
        "alert_updated" => vec![
            of("severity"),
            of("state"),
            format!("alert {}", of("alert_id")),
        ],
        "alert_notification_updated" => vec![of("state")],
        "host_revoked" | "group_updated" | "alert_silence_updated" => Vec::new(),
        _ => vec![of_any(what)],
    };
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn health(health: &Value) -> String {
    let percent = |name: &str, member: &str| {
        let figure = health[member].as_f64()?;
        Some(format!("{name} {figure:.0} %"))
    };
    let figures = [
        percent("cpu", "cpu_percent"),
        percent("memory", "memory_percent"),
        percent("disk", "disk_percent"),
        health["temperature_celsius"]
            .as_f64()
            .map(|figure| format!("{figure:.0} °C")),
    ];
    figures.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What a newer platform says.
fn of_any(what: &Value) -> String {
    match what {
        Value::Null => String::new(),
        what => cell(what),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let event = json!({"position": "p", "at": "2026-01-01T00:00:00Z", "host_id": "h", "actor": "ada",
            "delivery_updated": {"command_id": "c", "status": "dead", "reason": "not_allowed"}});
        assert_eq!(
            line(&event, Some("kvm\n-1")),
            "2026-01-01T00:00:00Z  delivery updated  kvm\\u{a}-1  dead not_allowed of c (by ada)\n"
        );
        let event = json!({"at": "2026-01-01T00:00:00Z", "actor": "platform",
            "command_updated": {"command_id": "c", "command_type": "script", "status": "finished"}});
        assert_eq!(
            line(&event, None),
            "2026-01-01T00:00:00Z  command updated   c  script finished\n"
        );
        let event = json!({"at": "2026-01-01T00:00:00Z", "host_id": "h",
            "alert_updated": {"alert_id": "a", "state": "firing", "severity": "critical"}});
        assert_eq!(
            line(&event, Some("kvm")),
            "2026-01-01T00:00:00Z  alert updated     kvm  critical firing alert a\n"
        );
        let event = json!({"at": "2026-01-01T00:00:00Z", "host_id": "h", "host_health": {"health":
            {"cpu_percent": 12.4, "memory_percent": 50, "temperature_celsius": 41.0}}});
        let shown = line(&event, Some("kvm"));
        assert!(
            shown.ends_with("kvm  cpu 12 %, memory 50 %, 41 °C\n"),
            "{shown}"
        );
        // A kind that this program does not know is told all the same.
        let event =
            json!({"at": "2026-01-01T00:00:00Z", "cat_fed": {"cat": "Tom", "group_id": "g"}});
        let shown = line(&event, None);
        assert!(
            shown.contains("cat fed") && shown.contains("cat=Tom"),
            "{shown}"
        );
    }
}
