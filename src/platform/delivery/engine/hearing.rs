//! What agents say of commands, and of their journals.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::super::carrier;
use super::super::host::Flight;
use super::super::host::Then;
use super::super::intake::{Answer, Held, Inlet, Said};
use super::super::message;
use super::{Done, Engine};
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId};
use crate::platform::progress::Piece;
use crate::platform::registry::ConnectionId;
use crate::platform::store::StoreError;
use crate::platform::store::deliveries::{DeliveryState, End, JournalClaim, Step};
use crate::wire::messages::{CommandStatus, Error, ErrorCode, StatusUpdate};

/// Reports in one batch.
const REPORTS_MAX: usize = 64;
/// How often a delivery's progress is written.
const PROGRESS_WRITTEN: Duration = Duration::from_secs(1);

impl Engine {
    pub(super) fn said(&mut self, inlet: &Inlet, said: Said, held: Held) {
        let host = inlet.host;
        let Some(known) = self.current(host, inlet.connection) else {
            return;
        };
        match said {
            Said::Journal(journal) => {
                if known.journalled && !known.synced {
                    let claim = JournalClaim {
                        epoch: journal.epoch,
                        sequence: journal.sequence,
                        reported: known.asked,
                    };
                    known.journal = Some((claim, held));
                    self.talk(host);
                } else {
                    self.delivery.figures.ignored("unexpected");
                }
            }
            Said::Report(report, answer) => {
                let answer = answer.map(|answer| *answer);
                let reported = message::reported(*report, answer);
                match reported.filter(|_| known.asked && !known.synced) {
                    Some(reported) => {
                        known.reports.push_back((reported, held));
                        self.talk(host);
                    }
                    None => self.delivery.figures.ignored("unexpected"),
                }
            }
            Said::Ack(ack) => self.status(host, &ack.original_message_id, Step::Received, held),
            Said::Status(update) => self.update(host, update, held),
            Said::Answer(answer) => self.answer(host, inlet.connection, *answer, held),
            Said::Error(error) => self.error(host, &error, held),
        }
    }

    pub(super) fn status(&mut self, host: HostId, command: &str, step: Step, held: Held) {
        let Some((command, flight)) = self.flight(host, command) else {
            self.delivery.figures.ignored("not_under_way");
            return;
        };
        flight.deadline = None;
        flight.again = None;
        let state = match step {
            Step::Running => DeliveryState::Running,
            _ => DeliveryState::Received,
        };
        // What was said before is not written again.
        if flight.state >= state {
            self.delivery.figures.ignored("backwards");
            return;
        }
        if let Some(accepted) = flight.accepted.take() {
            self.delivery.figures.received(accepted.elapsed());
        }
        self.put(host, command, step, Then::Nothing, Some(held));
    }

    pub(super) fn update(&mut self, host: HostId, mut update: StatusUpdate, held: Held) {
        let id = &update.original_message_id;
        let Some((command, flight)) = self.flight(host, id) else {
            self.delivery.figures.ignored("not_under_way");
            return;
        };
        let carries = carrier::carries(&flight.kind);
        let (now, mut written) = (Instant::now(), None);
        if let Some(progress) = update.progress_percent {
            let due = flight.progress.is_none_or(|(last, at)| {
                last != progress && (progress == 100 || now - at >= PROGRESS_WRITTEN)
            });
            if due {
                flight.progress = Some((progress, now));
                written = Some(progress);
            }
        }
        if update.progress_percent.is_some() || !update.output.is_empty() {
            let piece = Piece {
                host,
                percent: update.progress_percent,
                output: std::mem::take(&mut update.output),
                offset: update.output_offset,
            };
            self.delivery.progress.tell(command, piece);
        }
        if update.status == CommandStatus::Running && carries {
            self.carry(host, command);
        }
        match message::step(update.status) {
            Some(step) => {
                let known = self.flight(host, id).map(|(_, flight)| flight.state);
                // A running one tells of itself over and over.
                if update.status != CommandStatus::Running || known != Some(DeliveryState::Running)
                {
                    self.status(host, id, step, held);
                }
            }
            None => self.delivery.figures.ignored("unexpected"),
        }
        if let Some(progress) = written {
            self.put(host, command, Step::Progress(progress), Then::Nothing, None);
        }
    }

    /// Has the file of a command that runs brought, or taken. An agent that waits for it says again and
    /// again that it runs.
    fn carry(&self, host: HostId, command: CommandId) {
        if let Some(known) = self.hosts.get(&host).filter(|known| known.file_streams) {
            let carrier = &self.delivery.carrier;
            carrier.begin(host, command, &known.tunnel);
        }
    }

    pub(super) fn answer(
        &mut self,
        host: HostId,
        connection: ConnectionId,
        answer: Answer,
        held: Held,
    ) {
        let response = answer.message_id.clone();
        let kind = match self.flight(host, &answer.command) {
            Some((_, flight)) => {
                flight.deadline = None;
                flight.again = None;
                flight.kind.clone()
            }
            None => String::new(),
        };
        match answer.command.parse::<CommandId>() {
            Ok(command) => {
                let step = Step::Ended(Box::new(message::end(&kind, answer)));
                let then = Then::Acknowledge {
                    connection,
                    response,
                };
                self.put(host, command, step, then, Some(held));
            }
            // None of ours: there is nothing to keep, and nothing to send it again for.
            Err(_) => {
                self.delivery.figures.ignored("unknown");
                self.acknowledge(host, connection, response);
            }
        }
    }

    pub(super) fn acknowledge(&mut self, host: HostId, connection: ConnectionId, response: String) {
        if let Some(known) = self.current(host, connection)
            && known.journalled
        {
            let _ = known.tunnel.send(message::response_ack(response));
        }
    }

    /// An agent could not take a command, now or at all.
    pub(super) fn error(&mut self, host: HostId, error: &Error, held: Held) {
        let journalled = self.hosts.get(&host).is_some_and(|known| known.journalled);
        let Some((command, flight)) = self.flight(host, &error.original_message_id) else {
            return;
        };
        if flight.state != DeliveryState::Sent {
            return;
        }
        if journalled && error.code == ErrorCode::Overloaded {
            self.attempt_failed(host, command, "overloaded", Some(held));
        } else {
            let reason = error.code.name().unwrap_or("refused");
            let end = End::new(DeliveryState::Dead, reason, &error.message);
            self.end(host, command, end);
        }
    }

    pub(super) fn flight(
        &mut self,
        host: HostId,
        command: &str,
    ) -> Option<(CommandId, &mut Flight)> {
        let command = command.parse().ok()?;
        let flight = self.hosts.get_mut(&host)?.flights.get_mut(&command)?;
        Some((command, flight))
    }

    /// Goes on with what an agent says of its journal: its reports first.
    pub(super) fn talk(&mut self, host: HostId) {
        let Some(known) = self.hosts.get_mut(&host) else {
            return;
        };
        if known.talking {
            return;
        }
        if known.reports.is_empty() {
            if let Some((claim, held)) = known.journal.take() {
                self.sync(host, claim, held);
            }
            return;
        }
        known.talking = true;
        let count = known.reports.len().min(REPORTS_MAX);
        let (reports, held): (Vec<_>, Vec<_>) = known.reports.drain(..count).unzip();
        let (delivery, connection) = (self.delivery.clone(), known.connection);
        self.jobs.push(Box::pin(async move {
            let at = UnixMillis::now();
            let recovered = delivery.store.recover(host, reports, at).await;
            drop(held);
            Done::Recovered(host, connection, recovered)
        }));
    }

    pub(super) fn sync(&mut self, host: HostId, claim: JournalClaim, held: Held) {
        let Some(known) = self.hosts.get_mut(&host) else {
            return;
        };
        known.talking = true;
        let (delivery, connection) = (self.delivery.clone(), known.connection);
        self.jobs.push(Box::pin(async move {
            let at = UnixMillis::now();
            let report = delivery.store.sync_journal(host, claim, at).await;
            drop(held);
            Done::Synced(host, connection, report)
        }));
    }

    pub(super) fn synced(
        &mut self,
        host: HostId,
        connection: ConnectionId,
        report: Result<bool, StoreError>,
    ) {
        let epoch = self.delivery.store.epoch();
        let report = match report {
            Ok(report) => report,
            Err(error) => {
                warn!(%host, %error, "an agent's journal could not be compared with the store");
                return self.close(host, connection);
            }
        };
        let Some(known) = self.current(host, connection) else {
            return;
        };
        known.talking = false;
        if known.journalled {
            let _ = known.tunnel.send(message::journal_sync(epoch, report));
            known.asked |= report;
            if report {
                return self.talk(host);
            }
        }
        self.open_when_written(host, connection);
    }
}
