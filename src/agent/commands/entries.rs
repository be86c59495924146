//! The commands that the agent knows, each with how far it is, and the order in which those that wait are
//! begun. What moves them on is the desk.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::watch;

use crate::clock::UnixMillis;
use crate::wire::messages::{Command, CommandPriority, CommandStatus, Response};

/// The most commands that are not finished.
pub const UNFINISHED_MAX: usize = 4096;
/// The most bytes of those that have not ended, as they are encoded.
const COMMAND_BYTES_MAX: usize = 32 << 20;

/// A command's place among those that wait: its priority, its sequence, and when it came.
type Place = (u8, u64, u64);

/// The commands that the agent knows.
#[derive(Debug, Default)]
pub struct Entries {
    /// A tree, for the reason of the journal's index (`journal/index.rs`).
    all: BTreeMap<String, Entry>,
    waiting: BTreeMap<Place, String>,
    /// How many came.
    arrivals: u64,
    unfinished: usize,
    /// What the commands that have not ended have.
    bytes: usize,
}

/// A command that the agent knows.
#[derive(Debug)]
pub struct Entry {
    /// How far it is.
    pub stage: Stage,
    /// Nobody wants it any more.
    pub cancelled: bool,
    /// It was begun, or may have been.
    pub begun: bool,
    place: Place,
    /// What it takes until it has ended.
    bytes: usize,
}

/// How far a command is.
///
/// ```text
/// Writing -> Waiting -> Beginning -> Running -> Ending -> Ended -> Finished
///    |          |           |                     ^
///    +----------+-----------+---------------------+   cancelled, expired
/// ```
#[derive(Debug)]
pub enum Stage {
    /// It is on its way into the journal; nobody was told of it.
    Writing(Box<Command>),
    /// It waits for its turn.
    Waiting(Box<Command>),
    /// That it is begun is on its way into the journal.
    Beginning(Box<Command>),
    /// It runs, until it is told to stop.
    Running(watch::Sender<bool>),
    /// Its response is on its way into the journal; nobody was told of it.
    Ending(Box<Response>, Bytes),
    /// Its response is in the journal, and the platform may not have it.
    Ended,
    /// The platform has its response.
    Finished,
}

impl Stage {
    /// What a platform may be told of it.
    pub const fn status(&self) -> CommandStatus {
        match self {
            Self::Writing(_) | Self::Waiting(_) | Self::Beginning(_) => CommandStatus::Received,
            // Of a response that is not in the journal nothing is said.
            Self::Ending(response, _) if response.started_at.is_none() => CommandStatus::Received,
            Self::Running(_) | Self::Ending(..) | Self::Ended | Self::Finished => {
                CommandStatus::Running
            }
        }
    }
}

impl Entries {
    /// Whether there is room for another command of that length.
    pub const fn has_room_for(&self, bytes: usize) -> bool {
        self.unfinished < UNFINISHED_MAX && self.bytes + bytes <= COMMAND_BYTES_MAX
    }

    /// Takes one in that is not finished.
    pub fn insert(&mut self, id: String, command: Box<Command>, bytes: usize) {
        let rank = match command.priority {
            CommandPriority::High => 0,
            CommandPriority::Low => 2,
            _ => 1,
        };
        // From 1: no place is that of one that never waits.
        self.arrivals += 1;
        let place = (rank, command.sequence, self.arrivals);
        self.unfinished += 1;
        self.bytes += bytes;
        let entry = Entry {
            stage: Stage::Writing(command),
            cancelled: false,
            begun: false,
            place,
            bytes,
        };
        self.all.insert(id, entry);
    }

    /// Takes one in that has ended, or is finished, and whether it was begun.
    pub fn insert_ended(&mut self, id: String, stage: Stage, begun: bool) {
        self.unfinished += usize::from(matches!(stage, Stage::Ended));
        let entry = Entry {
            stage,
            cancelled: false,
            begun,
            place: (0, 0, 0),
            bytes: 0,
        };
        self.all.insert(id, entry);
    }

    /// What is known of a command.
    pub fn get(&mut self, id: &str) -> Option<&mut Entry> {
        self.all.get_mut(id)
    }

    /// Forgets a command.
    pub fn remove(&mut self, id: &str) {
        if let Some(entry) = self.all.remove(id) {
            self.waiting.remove(&entry.place);
            self.bytes -= entry.bytes;
            self.unfinished -= usize::from(!matches!(entry.stage, Stage::Finished));
        }
    }

    /// Lets a command wait for its turn.
    pub fn wait(&mut self, id: &str) {
        let Some(entry) = self.all.get_mut(id) else {
            return;
        };
        entry.stage = match std::mem::replace(&mut entry.stage, Stage::Ended) {
            Stage::Writing(command) | Stage::Beginning(command) => {
                self.waiting.insert(entry.place, id.to_owned());
                Stage::Waiting(command)
            }
            other => other,
        };
    }

    /// The first of those that wait and get a turn, which is being begun from now on, and its turn.
    pub fn begin<T>(&mut self, turn: impl Fn(&Command) -> Option<T>) -> Option<(String, T)> {
        let all = &mut self.all;
        let (place, turn) = self.waiting.iter().find_map(|(place, id)| {
            match all.get(id).map(|entry| &entry.stage) {
                Some(Stage::Waiting(command)) => Some((*place, turn(command)?)),
                _ => None,
            }
        })?;
        let id = self.waiting.remove(&place)?;
        let entry = all.get_mut(&id)?;
        entry.stage = match std::mem::replace(&mut entry.stage, Stage::Ended) {
            Stage::Waiting(command) => Stage::Beginning(command),
            other => other,
        };
        entry.begun = true;
        Some((id, turn))
    }

    /// Whether a command is finished and was never begun: where it comes again in another place, it is run.
    pub fn is_unbegun(&self, id: &str) -> bool {
        let entry = self.all.get(id);
        entry.is_some_and(|entry| matches!(entry.stage, Stage::Finished) && !entry.begun)
    }

    /// Puts its response in the place of a command.
    pub fn end(&mut self, id: &str, response: Box<Response>, encoded: Bytes) {
        if let Some(entry) = self.all.get_mut(id) {
            self.waiting.remove(&entry.place);
            self.bytes -= std::mem::take(&mut entry.bytes);
            entry.stage = Stage::Ending(response, encoded);
        }
    }

    /// The platform has its response.
    pub fn finish(&mut self, id: &str) {
        if let Some(entry) = self.all.get_mut(id) {
            entry.stage = Stage::Finished;
            self.unfinished -= 1;
        }
    }

    /// Those that wait and are past their end at this time.
    pub fn expired(&self, now: UnixMillis) -> Vec<String> {
        let is_over = |id: &&String| match self.all.get(*id).map(|entry| &entry.stage) {
            Some(Stage::Waiting(command)) => is_expired(command, Some(now)),
            _ => false,
        };
        self.waiting.values().filter(is_over).cloned().collect()
    }

    /// Whether any wait.
    pub fn any_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// All that are known.
    pub fn ids(&self) -> impl Iterator<Item = &String> {
        self.all.keys()
    }
}

/// Whether a command is known to be past its end.
pub fn is_expired(command: &Command, now: Option<UnixMillis>) -> bool {
    match (command.expires_at, now) {
        (Some(end), Some(now)) => UnixMillis::from(end) <= now,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use allocation_counter::measure;

    /// Finished commands that are remembered here, and what they may grow by: how full the nodes of a tree are
    /// varies.
    const FINISHED: u64 = 10_000;
    const MORE_BYTES: i64 = 256 << 10;

    #[test]
    fn memory_does_not_grow_with_what_has_passed_through() {
        // Ids come in no order.
        let id = |number: u64| format!("{:032x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut entries = Entries::default();
        let mut pass = |numbers: std::ops::Range<u64>| {
            for number in numbers {
                entries.insert_ended(id(number), Stage::Ended, true);
                entries.finish(&id(number));
                if let Some(oldest) = number.checked_sub(FINISHED) {
                    entries.remove(&id(oldest));
                }
            }
        };
        pass(0..FINISHED * 2);
        let grown = measure(|| pass(FINISHED * 2..FINISHED * 6)).bytes_current;
        assert!(grown < MORE_BYTES, "{grown} bytes more");
        assert_eq!(
            (entries.all.len() as u64, entries.unfinished),
            (FINISHED, 0)
        );
    }
}
