//! Waiting for a command: what its hosts print while they do it, how each of them stands, and what it came to
//! in all, which is the exit status.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout_at};

use super::board::Board;
use super::call::Client;
use super::commands::Pieces;
use super::connection::CallError;
use super::output::{self, Reader};
use super::schedule::wave_line;
use super::text::cell;
use super::{Error, call, results, server, text};

/// The method whose answers are shown here; with `--json` the generated command prints them as they are.
pub(super) const METHOD: &str = "WatchCommand";
/// How long to wait before the platform is asked again after it was lost.
const RETRY: Duration = Duration::from_secs(1);
/// How often in a row it is asked in vain.
const RETRIES_MAX: u32 = 300;
/// Refusals after which following goes on.
const PASSING: &[&str] = &["platform_stopping", "follower_too_slow"];
/// Longer than anybody waits.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A command that was waited for did not come to a good end.
#[derive(Debug, thiserror::Error)]
pub enum Unfinished {
    /// Some hosts have not done it.
    #[error("{0}")]
    Failed(String),
    /// Some hosts have not done it in time, and nothing else is wrong.
    #[error("{0}")]
    Late(String),
    /// It was not waited any longer.
    #[error(
        "it goes on without being waited for; follow it with: fleetwire command watch {0}; end it with: \
         fleetwire command cancel {0}"
    )]
    Overdue(String),
    /// Waiting was broken off at the terminal.
    #[error(
        "the command goes on; follow it with: fleetwire command watch {0}; end it with: fleetwire \
         command cancel {0}"
    )]
    BrokenOff(String),
    /// The platform was away for too long.
    #[error(
        "the platform does not come back; follow the command later with: fleetwire command watch {0}"
    )]
    Lost(String),
}

impl Unfinished {
    /// The process's exit status.
    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Lost(_) => 3,
            Self::Late(_) | Self::Overdue(_) => 124,
            Self::BrokenOff(_) => 130,
        }
    }
}

/// How long somebody waits. From when it is made on, an interrupt at the terminal ends the waiting alone.
pub(super) struct Waiting {
    limit: Option<Duration>,
    interrupts: Signal,
}

impl Waiting {
    pub(super) fn new(limit: Option<Duration>) -> Result<Self, Error> {
        let interrupts = signal(SignalKind::interrupt())?;
        Ok(Self { limit, interrupts })
    }
}

/// What becomes of what hosts give.
pub(super) enum Shown<'a> {
    /// It is printed as JSON, a line a host.
    Json,
    /// It is printed for people.
    Lines {
        /// Whether each line says which host it is from.
        several: bool,
    },
    /// It is kept here for whoever asked: each host's delivery with its result, as it ends.
    Kept(&'a mut Vec<Value>),
}

/// Follows a command that somebody made before, for people.
pub(super) async fn watch(request: Map<String, Value>, server: &server::Args) -> Result<(), Error> {
    let waiting = Waiting::new(None)?;
    let mut client = Client::connect(server).await?;
    let command = client.once("CommandService", "GetCommand", request.into());
    let command = command.await?;
    let several = total(&command) != 1;
    let shown = Shown::Lines { several };
    to_the_end(&mut client, text(&command, "id"), shown, waiting).await
}

/// Follows a command until all of its hosts have ended.
pub(super) async fn to_the_end(
    client: &mut Client<'_>,
    id: &str,
    shown: Shown<'_>,
    Waiting {
        limit,
        mut interrupts,
    }: Waiting,
) -> Result<(), Error> {
    let until = Instant::now() + limit.unwrap_or(FOREVER).min(FOREVER);
    let mut following = Following {
        id: id.to_owned(),
        json: matches!(shown, Shown::Json),
        board: Board::new(matches!(shown, Shown::Lines { several: true })),
        kept: match shown {
            Shown::Kept(kept) => Some(kept),
            _ => None,
        },
        printed: HashMap::new(),
        ended: HashSet::new(),
        late: 0,
        wave: None,
    };
    let outcome = tokio::select! {
        outcome = timeout_at(until, following.follow(client)) => match outcome {
            Ok(outcome) => outcome,
            Err(_) => Err(Unfinished::Overdue(id.to_owned()).into()),
        },
        _ = interrupts.recv() => Err(Unfinished::BrokenOff(id.to_owned()).into()),
    };
    following.board.end();
    outcome
}

struct Following<'a> {
    id: String,
    json: bool,
    /// Where results are kept that are not to be printed as they come.
    kept: Option<&'a mut Vec<Value>>,
    board: Board,
    /// Bytes that hosts have printed, as far as they were shown.
    printed: HashMap<String, u64>,
    /// Hosts that have ended.
    ended: HashSet<String>,
    /// Of these so many were not in time.
    late: u64,
    /// What was said of its waves.
    wave: Option<String>,
}

/// What became of a stream.
enum Came {
    /// The command has finished.
    End(Value),
    /// Nobody reads any more.
    NoReader,
    /// It broke.
    Broken,
}

impl Following<'_> {
    async fn follow(&mut self, client: &mut Client<'_>) -> Result<(), Error> {
        let mut in_vain = 0;
        loop {
            let request = json!({"command_id": self.id});
            let pieces = client.several("CommandService", "WatchCommand", request);
            let came = match pieces.await {
                Ok(pieces) => {
                    let (before, came) = (self.ended.len(), self.take(client, pieces).await);
                    if self.ended.len() > before {
                        in_vain = 0;
                    }
                    came
                }
                Err(error) => Err(error),
            };
            match came {
                Ok(Came::End(command)) => return self.finish(&command),
                Ok(Came::NoReader) => return Ok(()),
                Ok(Came::Broken) => {}
                Err(Error::Call(CallError::Reach(error))) => {
                    if in_vain == 0 {
                        self.board.say(&format!("{error}; trying again"));
                    }
                }
                Err(Error::Call(CallError::Refused { code, .. })) if PASSING.contains(&&*code) => {}
                Err(error) => return Err(error),
            }
            in_vain += 1;
            if in_vain > RETRIES_MAX {
                return Err(Unfinished::Lost(self.id.clone()).into());
            }
            sleep(RETRY).await;
            // Where it does not connect, the call says so.
            let _ = client.reconnect().await;
        }
    }

    async fn take(&mut self, client: &mut Client<'_>, mut pieces: Pieces) -> Result<Came, Error> {
        while let Some(piece) = pieces.next().await {
            let message = call::value(&piece?)?;
            if let Some(delivery) = message.get("delivery") {
                if self.delivery(client, delivery).await? == Reader::Gone {
                    return Ok(Came::NoReader);
                }
            } else if let Some(progress) = message.get("progress") {
                if self.progress(progress)? == Reader::Gone {
                    return Ok(Came::NoReader);
                }
            } else if let Some(command) = message.get("command") {
                if command["state"] == "finished" && self.ended.len() as u64 >= total(command) {
                    return Ok(Came::End(command.clone()));
                }
                self.wave(command);
            }
        }
        Ok(Came::Broken)
    }

    async fn delivery(
        &mut self,
        client: &mut Client<'_>,
        delivery: &Value,
    ) -> Result<Reader, Error> {
        let (id, host) = (text(delivery, "host_id"), name(delivery));
        let state = text(delivery, "state");
        let is_open = matches!(state, "queued" | "sent" | "received" | "running");
        if is_open || !self.ended.insert(id.to_owned()) {
            if is_open && !self.json {
                self.board.stands(host, &standing(delivery));
            }
            return Ok(Reader::Here);
        }
        if state == "expired" || delivery["reason"] == "timed_out" {
            self.late += 1;
        }
        let request = json!({"command_id": self.id, "host_id": id});
        let whole = client
            .once("DeliveryService", "GetDelivery", request)
            .await?;
        if self.json {
            output::json(&whole)?;
            return Ok(Reader::Here);
        }
        if let Some(kept) = &mut self.kept {
            kept.push(whole);
        } else {
            let shown = self.printed.get(id).copied().unwrap_or_default();
            let reader = self.board.prints(host, &results::rest(&whole, shown))?;
            if reader == Reader::Gone {
                return Ok(reader);
            }
        }
        self.board.ended(host, &ending(delivery))
    }

    /// Says where the waves stand, where that is news.
    fn wave(&mut self, command: &Value) {
        let line = wave_line(command);
        if line != self.wave && !self.json {
            if let Some(line) = &line {
                self.board.say(line);
            }
            self.wave = line;
        }
    }

    fn progress(&mut self, progress: &Value) -> Result<Reader, Error> {
        if self.json {
            return Ok(Reader::Here);
        }
        let (id, host) = (text(progress, "host_id"), name(progress));
        let output = text(progress, "output");
        let offset = progress["output_offset"].as_u64().unwrap_or_default();
        let mut reader = Reader::Here;
        if !output.is_empty() && self.kept.is_none() && !self.ended.contains(id) {
            let printed = self.printed.entry(id.to_owned()).or_default();
            let missing = offset.saturating_sub(*printed);
            // What was shown before the platform was lost is not shown again.
            let skipped = (printed.saturating_sub(offset) as usize).min(output.len());
            let output = &output[output.ceil_char_boundary(skipped)..];
            *printed = (*printed).max(offset + (skipped + output.len()) as u64);
            if missing > 0 {
                let gap = format!("(there are {missing} bytes more, which were not sent)\n");
                self.board.prints(host, &gap)?;
            }
            reader = self.board.prints(host, output)?;
        }
        if let Some(percent) = progress["progress_percent"].as_u64() {
            self.board.stands(host, &format!("running, {percent} %"));
        }
        Ok(reader)
    }

    /// What it came to in all.
    fn finish(&mut self, command: &Value) -> Result<(), Error> {
        self.board.end();
        if self.json {
            output::json(command)?;
        }
        let summary = &command["summary"];
        let of = |state: &str| summary[state].as_u64().unwrap_or_default();
        let (total, succeeded) = (total(command), of("succeeded"));
        if total == succeeded {
            return Ok(());
        }
        let states = ["failed", "interrupted", "cancelled", "expired", "dead"];
        let others = states.iter().filter(|state| of(state) > 0);
        let others: Vec<_> = others
            .map(|state| format!("{} {state}", of(state)))
            .collect();
        let text = format!("{succeeded} of {total} succeeded; {}", others.join(", "));
        Err(if self.late == total - succeeded {
            Unfinished::Late(text).into()
        } else {
            Unfinished::Failed(text).into()
        })
    }
}

fn total(command: &Value) -> u64 {
    command["summary"]["total"].as_u64().unwrap_or_default()
}

fn text<'a>(of: &'a Value, member: &str) -> &'a str {
    of[member].as_str().unwrap_or_default()
}

/// The host's name.
fn name(of: &Value) -> &str {
    match text(of, "host") {
        "" => text(of, "host_id"),
        name => name,
    }
}

/// How a delivery stands that has not ended.
fn standing(delivery: &Value) -> String {
    let state = text(delivery, "state");
    let state = match state {
        "queued" if delivery["held"].as_bool().unwrap_or_default() => "waits for its wave",
        "queued" if delivery["reason"] == "window_closed" => "waits for its next window",
        "queued" if delivery["attempts"].as_u64().unwrap_or_default() == 0 => "waits",
        "queued" => "waits to be tried again",
        state => state,
    };
    let mut standing = match delivery["progress_percent"].as_u64() {
        Some(percent) => format!("{state}, {percent} %"),
        None => state.to_owned(),
    };
    if delivery["cancel_requested"].as_bool().unwrap_or_default() {
        standing.push_str(", to be cancelled");
    }
    standing
}

/// How a delivery ended.
fn ending(delivery: &Value) -> String {
    let state = cell(&delivery["state"]);
    match (text(delivery, "reason"), text(delivery, "detail")) {
        ("", _) => state,
        (reason, "") => format!("{state} ({})", text::plain(reason)),
        (reason, detail) => format!("{state} ({}): {}", text::plain(reason), text::plain(detail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_said_with_its_reason() {
        let delivery =
            json!({"state": "failed", "reason": "exit_code", "detail": "it exited with 3"});
        assert_eq!(ending(&delivery), "failed (exit_code): it exited with 3");
        assert_eq!(
            ending(&json!({"state": "succeeded", "reason": ""})),
            "succeeded"
        );
        let waiting = json!({"state": "queued", "attempts": 0, "cancel_requested": true});
        assert_eq!(standing(&waiting), "waits, to be cancelled");
    }
}
