//! The message track, as it is kept: what passed between the platform and its agents.

use std::borrow::Cow;
use std::sync::Arc;

use super::StoreFuture;
use crate::clock::UnixMillis;
use crate::ids::HostId;

/// One message that passed, or a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// When it was sent or had come.
    pub at: UnixMillis,
    /// The host; `None` where nobody was let in.
    pub host: Option<HostId>,
    /// The agent's address.
    pub address: String,
    /// Which way it went; `None` in a gap.
    pub direction: Option<Direction>,
    /// Its name in the envelope; empty where it could not be told.
    pub message_type: Cow<'static, str>,
    /// What names it; empty where nothing does.
    pub message_id: String,
    /// Its length in bytes.
    pub size: u64,
    /// What became of it; `None` in a gap.
    pub outcome: Option<Outcome>,
    /// Why, as a stable word; empty where there is no reason.
    pub code: Cow<'static, str>,
    /// In a gap: how many passed and were not written down.
    pub missed: u64,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the platform.
    ToAgent,
    /// To the platform.
    FromAgent,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Sent, and never acknowledged by such a peer.
    Sent,
    /// Sent, and acknowledged.
    Acknowledged,
    /// Taken in.
    Received,
    /// Refused.
    Refused,
    /// The connection ended first.
    Failed,
}

impl Direction {
    /// As it stands in the store.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ToAgent => "to_agent",
            Self::FromAgent => "from_agent",
        }
    }

    /// The direction of this word.
    pub fn from_code(code: &str) -> Option<Self> {
        let all = [Self::ToAgent, Self::FromAgent];
        all.into_iter().find(|direction| direction.code() == code)
    }
}

impl Outcome {
    /// As it stands in the store.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Acknowledged => "acknowledged",
            Self::Received => "received",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// The outcome of this word.
    pub fn from_code(code: &str) -> Option<Self> {
        let all = [
            Self::Sent,
            Self::Acknowledged,
            Self::Received,
            Self::Refused,
            Self::Failed,
        ];
        all.into_iter().find(|outcome| outcome.code() == code)
    }
}

/// Whose messages may be seen: those of a host, or of nobody who was let in.
pub type Sees = Arc<dyn Fn(Option<HostId>) -> bool + Send + Sync>;

/// A place in the track's order, the newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackPlace {
    /// When.
    pub at: UnixMillis,
    /// Which of those of that instant.
    pub sequence: u64,
}

/// What is looked for.
#[derive(Clone)]
pub struct TrackQuery {
    /// Of this host.
    pub host: Option<HostId>,
    /// Of this type.
    pub message_type: Option<String>,
    /// Of this direction.
    pub direction: Option<Direction>,
    /// Of this outcome.
    pub outcome: Option<Outcome>,
    /// Of this id.
    pub message_id: Option<String>,
    /// From this instant on.
    pub since: Option<UnixMillis>,
    /// Before this instant.
    pub until: Option<UnixMillis>,
    /// After this place, which is further back.
    pub after: Option<TrackPlace>,
    /// So many at most.
    pub count: usize,
    /// Of what may be seen.
    pub sees: Sees,
}

impl TrackQuery {
    /// Whether an entry is looked for, as far as its place is not concerned. A gap may hide anything, and
    /// is shown wherever it lies.
    pub fn matches(&self, tracked: &Tracked) -> bool {
        if tracked.missed > 0 {
            return true;
        }
        let same = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        self.host.is_none_or(|host| tracked.host == Some(host))
            && same(&self.message_type, &tracked.message_type)
            && same(&self.message_id, &tracked.message_id)
            && (self.direction.is_none() || self.direction == tracked.direction)
            && (self.outcome.is_none() || self.outcome == tracked.outcome)
            && (self.sees)(tracked.host)
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackPage {
    /// The entries, newest first. They may be fewer than asked for, though there are more.
    pub found: Vec<Tracked>,
    /// Where to go on; `None` at the end.
    pub next: Option<TrackPlace>,
}

/// What the platform keeps of messages.
pub trait TrackStore: Send + Sync {
    /// Writes entries, in this order.
    fn put_tracked(&self, tracked: Vec<Tracked>) -> StoreFuture<'_, ()>;

    /// Looks for entries, newest first, and no further than a bound at once.
    fn tracked(&self, query: TrackQuery) -> StoreFuture<'_, TrackPage>;

    /// Removes the oldest entries, at most `count`: those from before `before`, and those beyond the
    /// newest `kept`. Answers how many.
    fn remove_tracked(&self, before: UnixMillis, kept: u64, count: usize)
    -> StoreFuture<'_, usize>;
}
