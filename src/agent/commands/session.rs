//! One connection, as far as commands go: the platform's store and the agent's journal first agree on where
//! they are, and only then does anything else go over it.
//!
//! ```text
//! None -> Asked -> Adopting -> Reporting -> Asked -> ... -> Open
//!           |         |                                      ^
//!           +---------+--------------------------------------+
//! ```

use std::collections::VecDeque;

use tokio::sync::watch;
use tracing::{debug, info};

use super::Way;
use super::journal::{Identity, Kept};
use super::known::Known;
use super::response::{decode_command, decode_response, encode, fit, new_id, now};
use crate::ids::Uuid;
use crate::wire::messages::{AgentToPlatform, CommandReport, CommandStatus, Journal, Response};

/// Messages that may wait for the connection before what can wait does.
const BACKLOG_MAX: usize = 64;
/// Commands that are read from the journal at once, to be reported.
const FETCHES_MAX: usize = 8;
/// The room that is left for what encloses a response.
const ENCLOSING_BYTES: usize = 1 << 10;

/// The connection, if there is one.
#[derive(Debug)]
pub struct Session<W> {
    number: u64,
    way: Option<W>,
    phase: Phase,
    /// The connection once it is open, for whoever says something beside the desk.
    open: watch::Sender<Option<W>>,
}

#[derive(Debug)]
enum Phase {
    /// The platform was told where the journal is.
    Asked,
    /// The platform's epoch is on its way into the journal.
    Adopting {
        report: VecDeque<String>,
        wants_report: bool,
        failed: bool,
    },
    /// What is known is being reported.
    Reporting {
        left: VecDeque<String>,
        fetching: usize,
    },
    /// Everything may go over it.
    Open,
}

/// What the desk has to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    None,
    /// To write the epoch down.
    Adopt,
    /// To go on with everything.
    Open,
}

impl<W> Default for Session<W> {
    fn default() -> Self {
        Self {
            number: 0,
            way: None,
            phase: Phase::Asked,
            open: watch::Sender::new(None),
        }
    }
}

impl<W: Way> Session<W> {
    /// A new connection takes the place of the one before.
    pub fn begin(&mut self, number: u64, way: W) {
        self.number = number;
        self.way = Some(way);
        self.phase = Phase::Asked;
        self.open.send_replace(None);
    }

    /// Its number.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Whether it is the connection with this number.
    pub const fn is(&self, number: u64) -> bool {
        self.way.is_some() && self.number == number
    }

    /// Tells the platform where the journal is.
    pub fn say_journal(&mut self, identity: &Identity, known: &Known) {
        self.phase = Phase::Asked;
        let journal = Journal {
            message_id: new_id(),
            timestamp: now(),
            epoch: identity.epoch,
            sequence: known.highest(),
        };
        self.say(journal.into());
    }

    /// The platform has answered. Where its epoch is another, that comes first.
    pub fn on_sync(
        &mut self,
        epoch: Uuid,
        wants_report: bool,
        identity: &Identity,
        known: impl Iterator<Item = String>,
    ) -> Step {
        if !matches!(self.phase, Phase::Asked) {
            debug!("the platform answers a journal that it was not told of");
            return Step::None;
        }
        let report = if wants_report {
            known.collect()
        } else {
            VecDeque::new()
        };
        self.phase = Phase::Adopting {
            report,
            wants_report,
            failed: false,
        };
        if identity.epoch == Some(epoch) {
            return self.adopted();
        }
        info!(%epoch, "the platform's store is of another epoch than the journal");
        Step::Adopt
    }

    /// The epoch is in the journal.
    pub fn adopted(&mut self) -> Step {
        let Phase::Adopting {
            report,
            wants_report,
            ..
        } = &mut self.phase
        else {
            return Step::None;
        };
        if !*wants_report {
            return Step::Open;
        }
        let left = std::mem::take(report);
        info!(
            commands = left.len(),
            "the platform asks what this agent knows"
        );
        self.phase = Phase::Reporting { left, fetching: 0 };
        Step::None
    }

    /// The epoch could not be written down; it is tried again.
    pub const fn not_adopted(&mut self) {
        if let Phase::Adopting { failed, .. } = &mut self.phase {
            *failed = true;
        }
    }

    /// The next command to be reported, which is being read from now on.
    pub fn next_to_report(&mut self) -> Option<String> {
        let busy = self.is_busy();
        match &mut self.phase {
            Phase::Reporting { left, fetching } if *fetching < FETCHES_MAX && !busy => {
                let id = left.pop_front()?;
                *fetching += 1;
                Some(id)
            }
            _ => None,
        }
    }

    /// Whether what is left to report waits for the connection.
    pub fn pauses(&self) -> bool {
        matches!(&self.phase, Phase::Reporting { left, fetching: 0 } if !left.is_empty())
    }

    /// Reports a command that was read. One that is not kept any more is passed over.
    pub fn reported(&mut self, status: CommandStatus, kept: Option<Kept>) {
        if let Phase::Reporting { fetching, .. } = &mut self.phase {
            *fetching -= 1;
        }
        let command = kept
            .as_ref()
            .and_then(|kept| decode_command(kept.command.clone()));
        let (Some(way), Some(command), Some(kept)) = (&self.way, command, kept) else {
            return;
        };
        let response = kept.response.and_then(decode_response);
        let status = response.as_ref().map_or(status, |response| response.status);
        let mut report = CommandReport {
            message_id: new_id(),
            timestamp: now(),
            command: Some(command),
            status,
            response: None,
        };
        let room = |report: &CommandReport| {
            let length = encode(AgentToPlatform::from(report.clone())).len();
            way.bytes_max().saturating_sub(length + ENCLOSING_BYTES)
        };
        if room(&report) == 0
            && let Some(command) = &mut report.command
        {
            // That it is known counts for more than what it was.
            command.parameters = None;
        }
        let room = room(&report);
        report.response = response.map(|response| fit(response, room).0);
        way.send(report.into());
    }

    /// Whether all is reported.
    pub fn has_reported(&self) -> bool {
        matches!(&self.phase, Phase::Reporting { left, fetching: 0 } if left.is_empty())
    }

    /// Everything may go over it.
    pub fn open(&mut self) {
        self.phase = Phase::Open;
        self.open.send_replace(self.way.clone());
    }

    /// Whether everything may.
    pub const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Whether commands may come: the platform has answered, and what it said is in the journal, or on its
    /// way there before them.
    pub const fn takes_commands(&self) -> bool {
        match &self.phase {
            Phase::Adopting {
                wants_report,
                failed,
                ..
            } => !*wants_report && !*failed,
            Phase::Open => true,
            Phase::Asked | Phase::Reporting { .. } => false,
        }
    }

    /// Whether so much waits to be sent that nothing should be added which can wait.
    pub fn is_busy(&self) -> bool {
        self.way
            .as_ref()
            .is_none_or(|way| way.backlog() >= BACKLOG_MAX)
    }

    /// Where to say something while it is open.
    pub fn watch(&self) -> watch::Receiver<Option<W>> {
        self.open.subscribe()
    }

    /// Sends a message, where somebody is connected.
    pub fn say(&self, message: AgentToPlatform) {
        if let Some(way) = &self.way {
            way.send(message);
        }
    }

    /// Sends a response, as long as the platform takes it.
    pub fn send_response(&self, response: Response) {
        if let Some(way) = &self.way {
            let (response, _) = fit(response, way.bytes_max());
            way.send(response.into());
        }
    }
}
