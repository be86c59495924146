//! Deliveries, as they are kept: a command on one host, where it stands, and how it came there; and the
//! order in which each host is to have what it was asked. What is sent when is the engine's affair
//! (`crate::platform::delivery`); what is kept here is all that it knows after a restart.

use super::commands::{NewCommand, Priority};
use super::{StoreError, StoreFuture};
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId, Uuid};

/// Where a delivery stands. It only ever goes on in this order, and from an end nowhere; but for what was
/// sent to an agent that then turns out never to have had a journal, and what an agent has not begun before
/// its maintenance window closed: these wait again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryState {
    /// It waits for its host. Nothing of it was ever sent.
    Queued,
    /// It was sent, or is about to be: the host may have it.
    Sent,
    /// It is in the agent's journal.
    Received,
    /// It runs.
    Running,
    /// It did what it was to do.
    Succeeded,
    /// It ran and did not do it.
    Failed,
    /// It was cut; nobody knows how far it came.
    Interrupted,
    /// It was cancelled.
    Cancelled,
    /// It was not begun in time.
    Expired,
    /// It cannot be delivered, or was refused.
    Dead,
}

impl DeliveryState {
    /// All of them, in their order.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::Sent,
        Self::Received,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Interrupted,
        Self::Cancelled,
        Self::Expired,
        Self::Dead,
    ];

    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Received => "received",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Dead => "dead",
        }
    }

    /// The state of this word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// Whether nothing comes after it.
    pub fn is_final(self) -> bool {
        self > Self::Running
    }

    /// Whether the host may have it, and it has not ended.
    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::Sent | Self::Received | Self::Running)
    }
}

/// How many deliveries stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub [u64; DeliveryState::ALL.len()]);

impl Counts {
    /// Those in this state.
    pub const fn of(&self, state: DeliveryState) -> u64 {
        self.0[state as usize]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those that have not ended.
    pub fn open(&self) -> u64 {
        let open = DeliveryState::ALL.into_iter().filter(|s| !s.is_final());
        open.map(|state| self.of(state)).sum()
    }
}

/// A delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// The command.
    pub command: CommandId,
    /// The host.
    pub host: HostId,
    /// The host's name.
    pub host_name: String,
    /// What kind of command it is.
    pub kind: String,
    /// Who asked for it.
    pub user: String,
    /// When it was made.
    pub created: UnixMillis,
    /// Until when it may be begun; `None` for ever.
    pub expires: Option<UnixMillis>,
    /// Its place among those of its host.
    pub sequence: u64,
    /// The store's epoch in which it was given that place.
    pub epoch: Uuid,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was sent to a connected agent that did not take it.
    pub attempts: u32,
    /// Before when it is not sent (again).
    pub next_attempt: Option<UnixMillis>,
    /// Whether it is wanted no more.
    pub cancel_requested: bool,
    /// Why it stands there, as a stable word; empty where there is nothing to say.
    pub reason: String,
    /// The same for people.
    pub detail: String,
    /// When it came there.
    pub updated: UnixMillis,
    /// When it was begun, as the agent says.
    pub started: Option<UnixMillis>,
    /// When its end was known here.
    pub ended: Option<UnixMillis>,
    /// How far it is, in percent, where the agent says.
    pub progress: Option<u32>,
    /// Whether the store learnt of it from the agent alone, after it was put back to an older state.
    pub recovered: bool,
    /// Whether it was taken off the list of dead letters.
    pub discarded: bool,
    /// Its wave, from 1; 0 where its command has none.
    pub wave: u64,
    /// Whether its wave was not begun.
    pub held: bool,
}

/// A step in a delivery's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When.
    pub at: UnixMillis,
    /// Where it came to stand, or stood.
    pub state: DeliveryState,
    /// Why, as a stable word; empty where there is nothing to say.
    pub reason: String,
    /// Attempts that had failed by then.
    pub attempt: u32,
}

/// A delivery with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryDetail {
    /// It.
    pub record: DeliveryRecord,
    /// How it came there, oldest first; its beginning is the command's.
    pub history: Vec<HistoryEntry>,
    /// What came of it: the link's `Response`, encoded.
    pub response: Option<Vec<u8>>,
}

/// Which deliveries are wanted. Each field that is set narrows it down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this command.
    pub command: Option<CommandId>,
    /// On one of these hosts; none at all where the list is empty.
    pub hosts: Option<Vec<HostId>>,
    /// In one of these states. Empty: in any.
    pub states: Vec<DeliveryState>,
    /// Only dead letters: dead or expired, and not discarded.
    pub dead_letters: bool,
    /// Of a command of this kind.
    pub kind: Option<String>,
    /// With this reason.
    pub reason: Option<String>,
}

/// A delivery's place in the order of lists: what a page ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryPlace {
    /// Its command's place.
    pub command: u64,
    /// Its host's.
    pub host: u64,
}

/// Some deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryPage {
    /// The deliveries, those of the newest command first. They may be fewer than asked for, though there
    /// are more.
    pub found: Vec<DeliveryRecord>,
    /// Where to go on; `None` at the end.
    pub next: Option<DeliveryPlace>,
}

/// A delivery with all that is sent of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The command.
    pub command: CommandId,
    /// What kind it is.
    pub kind: String,
    /// The link's message of that kind, encoded.
    pub parameters: Vec<u8>,
    /// How long it may run, in seconds; 0 for ever.
    pub timeout_seconds: u32,
    /// What is begun first.
    pub priority: Priority,
    /// When it was made.
    pub created: UnixMillis,
    /// Until when it may be begun.
    pub expires: Option<UnixMillis>,
    /// Its place among those of its host.
    pub sequence: u64,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was sent to a connected agent that did not take it.
    pub attempts: u32,
    /// Before when it is not sent (again).
    pub next_attempt: Option<UnixMillis>,
    /// Whether it is wanted no more.
    pub cancel_requested: bool,
    /// Whether it is sent only within the host's maintenance windows.
    pub in_window: bool,
    /// The end of the window in which it was sent, or is to be.
    pub until: Option<UnixMillis>,
}

/// What is to be sent to a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The deliveries, in the order in which they are to be sent.
    pub deliveries: Vec<Outgoing>,
    /// Every delivery of the host up to this place has ended.
    pub settled_sequence: u64,
    /// When the next of those that wait for their time may be sent, where fewer were due than asked for.
    pub next_due: Option<UnixMillis>,
    /// Whether there are none that wait beside these, due or not.
    pub drained: bool,
    /// Whether some were passed over that wait for one of the host's maintenance windows.
    pub shut: bool,
}

/// Something that is to become of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The command.
    pub command: CommandId,
    /// The host.
    pub host: HostId,
    /// When.
    pub at: UnixMillis,
    /// What.
    pub step: Step,
}

/// What is to become of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is about to be sent. To be committed before it is.
    Sent {
        /// To an agent without a journal, to which nothing is sent twice.
        once: bool,
    },
    /// It is about to be sent within a maintenance window, and is not to be begun after its end.
    SentInWindow {
        /// To an agent without a journal.
        once: bool,
        /// The window's end.
        until: UnixMillis,
    },
    /// It was not sent, and is not going to be: its host is offline, and it does not wait for it.
    Skipped,
    /// It was sent and not taken: one attempt more, and the next not before that.
    Retry {
        /// When it may be sent again.
        next_attempt: UnixMillis,
        /// Why it was not taken.
        reason: &'static str,
    },
    /// It is in the agent's journal.
    Received,
    /// It runs.
    Running,
    /// It is so far, in percent. No step of its history.
    Progress(u32),
    /// It has ended. Where its agent says that it has expired and the command has not, its window has closed:
    /// it waits for the next.
    Ended(Box<End>),
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Where it stands for good: one of the final states.
    pub state: DeliveryState,
    /// Why, as a stable word.
    pub reason: String,
    /// The same for people.
    pub detail: String,
    /// When it was begun, as the agent says.
    pub started: Option<UnixMillis>,
    /// What came of it: the link's `Response`, encoded.
    pub response: Option<Vec<u8>>,
}

impl End {
    /// An end that the platform itself has come to.
    pub fn new(state: DeliveryState, reason: &str, detail: &str) -> Self {
        Self {
            state,
            reason: reason.to_owned(),
            detail: detail.to_owned(),
            started: None,
            response: None,
        }
    }
}

/// What a transition came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was made: the delivery stands here now.
    Made(DeliveryState),
    /// It would have gone backwards, or after the end: nothing was changed. It stands here.
    Unchanged(DeliveryState),
    /// There is no such delivery.
    Unknown,
}

/// What an agent says of its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalClaim {
    /// The epoch that it knows.
    pub epoch: Option<Uuid>,
    /// The highest place that it has seen.
    pub sequence: u64,
    /// Whether it was asked for its reports on this connection, and has sent them.
    pub reported: bool,
}

/// What an agent knows of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The command as the agent has it; its `hosts`, `targets` and `redrive_of` are not looked at.
    pub command: NewCommand,
    /// Its place among those of its host.
    pub sequence: u64,
    /// Where it stands.
    pub step: Step,
}

/// The deliveries.
pub trait DeliveryStore {
    /// Names what this store is, as long as it was not put back to an older state. A store that cannot see by
    /// itself that it was, as on a server that was recovered to an earlier moment, takes the name from what does
    /// not go back with it, as that server's own count of its recoveries. Where it stays the same, an agent that
    /// knows more is still asked ([`Self::sync_journal`]), and one that does not is taken to know no more.
    fn epoch(&self) -> Uuid;

    /// Looks for at most `count` deliveries that the filter lets through, those of the newest command
    /// first and after `after`, and no further than a bound at once.
    fn deliveries(
        &self,
        filter: DeliveryFilter,
        after: Option<DeliveryPlace>,
        count: usize,
    ) -> StoreFuture<'_, DeliveryPage>;

    /// A delivery with its history and what came of it.
    fn delivery(&self, command: CommandId, host: HostId)
    -> StoreFuture<'_, Option<DeliveryDetail>>;

    /// What waits for this host and may be sent at `now`, at most `count`, in order. What is for its
    /// maintenance windows only where it is said that one is `open`.
    fn due(&self, host: HostId, now: UnixMillis, open: bool, count: usize) -> StoreFuture<'_, Due>;

    /// What this host may have and has not ended, in order, at most `count`.
    fn under_way(&self, host: HostId, count: usize) -> StoreFuture<'_, Due>;

    /// Makes these transitions, in this order, and answers of each what it came to.
    fn apply(&self, transitions: Vec<Transition>) -> StoreFuture<'_, Vec<Applied>>;

    /// Ends what waits and may not be begun at `now` any more, at most `count`. Answers what.
    fn expire(&self, now: UnixMillis, count: usize) -> StoreFuture<'_, Vec<(CommandId, HostId)>>;

    /// Ends what was sent to agents without a journal: whoever had it is not connected any more. At most
    /// `count`; answers how many.
    fn interrupt_unjournalled(&self, at: UnixMillis, count: usize) -> StoreFuture<'_, usize>;

    /// Compares an agent's journal with what is kept for its host. Answers whether it is to report what it
    /// knows. What may be lost ends as interrupted; what the store does not know to have been given out,
    /// it does not give out again.
    fn sync_journal(
        &self,
        host: HostId,
        claim: JournalClaim,
        at: UnixMillis,
    ) -> StoreFuture<'_, bool>;

    /// Takes in what an agent knows: a delivery that is not there is made, with an audit entry; one that is
    /// goes on to where the agent has it, if that is further.
    fn recover(
        &self,
        host: HostId,
        reported: Vec<Reported>,
        at: UnixMillis,
    ) -> StoreFuture<'_, Vec<Applied>>;
}

/// The highest place that an agent may claim. What is above is no agent's that counts honestly, and
/// leaves no room to count on.
pub const SEQUENCE_MAX: u64 = 1 << 52;

/// Refuses a place that cannot be.
pub(super) fn plausible(sequence: u64) -> Result<i64, StoreError> {
    i64::try_from(sequence)
        .ok()
        .filter(|_| sequence <= SEQUENCE_MAX)
        .ok_or(StoreError::Full)
}
