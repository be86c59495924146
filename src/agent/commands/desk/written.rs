//! What the desk gives the journal to write and to read, and what follows when that is done, or cannot be.

use tokio::time::Instant;
use tracing::{debug, warn};

use super::{Desk, RETRY, Step, acknowledgement};
use crate::agent::commands::entries::Stage;
use crate::agent::commands::journal::{Done, Identity, Kept, Record};
use crate::agent::commands::response::{RESPONSE_BYTES_MAX, decode_response, fit};
use crate::agent::commands::session::Step as SessionStep;
use crate::agent::commands::{Runs, Way, put_off};
use crate::clock::UnixMillis;
use crate::wire::messages::{ErrorCode, Response};

/// Unacknowledged responses of so many bytes make those that follow short.
const OUTBOX_BYTES_MAX: usize = 64 << 20;
/// How long they are then.
const SHORT_BYTES_MAX: usize = 8 << 10;

impl<R: Runs, W: Way> Desk<R, W> {
    /// Gives an order to the journal, as what it is for says.
    pub(super) fn write(&mut self, step: Step) {
        let record = match &step {
            Step::Epoch { epoch, .. } => {
                let (host, epoch) = (self.identity.host.clone(), Some(*epoch));
                Some(Record::Identity(Identity { host, epoch }))
            }
            Step::Started(id) => {
                let (id, at) = (id.clone(), UnixMillis::now());
                Some(Record::Started { id, at })
            }
            Step::Ended(id) => match self.entries.get(id).map(|entry| &entry.stage) {
                Some(Stage::Ending(response, encoded)) => Some(Record::Ended {
                    id: id.clone(),
                    response_id: response.message_id.clone(),
                    response: encoded.clone(),
                }),
                _ => None,
            },
            Step::Acknowledged(id) => Some(Record::Acknowledged { id: id.clone() }),
            Step::Received { .. } | Step::Send { .. } | Step::Report { .. } => None,
        };
        if let Some(record) = record {
            self.writer.append(record, step);
        }
    }

    pub(super) fn on_done(&mut self, done: Done<Step>) {
        match done {
            Done::Appended { token, result } => match result {
                Ok(forgotten) => {
                    forgotten.iter().for_each(|id| self.entries.remove(id));
                    self.on_written(token);
                }
                Err(error) => self.on_unwritten(token, &error),
            },
            Done::Fetched { token, result } => match result {
                Ok(kept) => self.on_fetched(token, kept),
                Err(error) => {
                    warn!(%error, "the journal of commands cannot be read");
                    self.on_fetched(token, None);
                }
            },
        }
    }

    fn on_written(&mut self, step: Step) {
        match step {
            Step::Epoch { number, epoch } => {
                self.identity.epoch = Some(epoch);
                if self.session.is(number) && self.session.adopted() == SessionStep::Open {
                    self.open();
                }
            }
            Step::Received {
                id,
                sequence,
                settled,
            } => {
                self.known.insert(sequence);
                self.known.raise(settled);
                debug!(command = %id, sequence, "a command was received");
                if self.session.takes_commands() {
                    self.say(acknowledgement(&id).into());
                }
                self.entries.wait(&id);
                if self.entries.get(&id).is_some_and(|entry| entry.cancelled) {
                    self.cancelled(id);
                }
            }
            Step::Started(id) => self.start(id),
            Step::Ended(id) => {
                let Some(entry) = self.entries.get(&id) else {
                    return;
                };
                if let Stage::Ending(response, encoded) =
                    std::mem::replace(&mut entry.stage, Stage::Ended)
                {
                    let response_id = response.message_id.clone();
                    self.outbox.push(id, response_id, encoded.len());
                    self.send_responses(Some(*response));
                }
            }
            Step::Acknowledged(_) | Step::Send { .. } | Step::Report { .. } => {}
        }
    }

    fn on_unwritten(&mut self, step: Step, error: &str) {
        if self.retry_at.is_none() {
            warn!(error, "the journal of commands cannot be written");
        }
        self.retry_at = Some(Instant::now() + RETRY);
        match step {
            Step::Received { id, .. } => {
                self.entries.remove(&id);
                let why = "this agent's journal cannot be written";
                self.say(put_off(id, ErrorCode::Overloaded, why));
            }
            Step::Started(id) => {
                self.turns.remove(&id);
                self.entries.wait(&id);
                if self.entries.get(&id).is_some_and(|entry| entry.cancelled) {
                    self.cancelled(id);
                }
            }
            // The next connection is told of the epoch anew.
            Step::Epoch { number, .. } if !self.session.is(number) => {}
            Step::Epoch { .. } => {
                self.session.not_adopted();
                self.unwritten.push_back(step);
            }
            step => self.unwritten.push_back(step),
        }
    }

    pub(super) fn retry(&mut self) {
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.retry_at = None;
            for step in std::mem::take(&mut self.unwritten) {
                // The epoch that an earlier connection told may not be that of the store any more.
                if !matches!(step, Step::Epoch { number, .. } if !self.session.is(number)) {
                    self.write(step);
                }
            }
        }
    }

    /// Puts the response of a command into the journal; it is sent when it is there.
    pub(super) fn end(&mut self, id: String, response: Response) {
        let bytes_max = if self.outbox.bytes() < OUTBOX_BYTES_MAX {
            RESPONSE_BYTES_MAX
        } else {
            SHORT_BYTES_MAX
        };
        let (response, encoded) = fit(response, bytes_max);
        self.entries.end(&id, Box::new(response), encoded);
        self.write(Step::Ended(id));
    }

    /// The platform and the journal agree: what is known is sent, and commands may come.
    pub(super) fn open(&mut self) {
        self.session.open();
        self.outbox.restart();
        self.send_responses(None);
    }

    /// Sends the responses whose turn it is: the one at hand as it is, others out of the journal.
    pub(super) fn send_responses(&mut self, mut at_hand: Option<Response>) {
        if !self.session.is_open() {
            return;
        }
        while let Some(id) = self.outbox.next() {
            let id = id.to_owned();
            let is_at_hand = |it: &mut Response| it.original_message_id == id;
            match at_hand.take_if(is_at_hand) {
                // What is being read goes first.
                Some(response) if self.fetching == 0 => self.send(response),
                _ => {
                    self.fetching += 1;
                    let number = self.session.number();
                    self.writer.fetch(
                        id,
                        Step::Send {
                            number,
                            in_turn: true,
                        },
                    );
                }
            }
        }
    }

    pub(super) fn on_fetched(&mut self, step: Step, kept: Option<Kept>) {
        match step {
            Step::Send { number, in_turn } => {
                self.fetching -= usize::from(in_turn);
                let response = kept.and_then(|kept| kept.response);
                let response = response.and_then(decode_response);
                match response.filter(|_| self.session.is(number)) {
                    Some(response) => self.send(response),
                    None => debug!("a response is not sent: its connection or it is gone"),
                }
            }
            Step::Report { number, id } if self.session.is(number) => {
                let stage = self.entries.get(&id).map(|entry| entry.stage.status());
                let stage = stage.unwrap_or_default();
                self.session.reported(stage, kept);
            }
            _ => {}
        }
    }

    /// Goes on reporting what is known, where that was asked for. Returns whether it is to be asked again
    /// after a pause.
    pub(super) fn report(&mut self) -> bool {
        while let Some(id) = self.session.next_to_report() {
            let number = self.session.number();
            let step = Step::Report {
                number,
                id: id.clone(),
            };
            self.writer.fetch(id, step);
        }
        if self.session.has_reported() {
            self.session.say_journal(&self.identity, &self.known);
        }
        self.session.pauses()
    }
}
