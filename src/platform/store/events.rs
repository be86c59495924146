//! The log of events, as it is kept: what has happened, in the order in which it was committed.

use tokio::sync::watch;

use super::StoreFuture;
use crate::clock::UnixMillis;
use crate::platform::events::Event;

/// An event in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Its number, from 1, without gaps and never given twice.
    pub sequence: u64,
    /// What has happened.
    pub event: Event,
}

/// Some events, and how far the log goes, all of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPage {
    /// The events, oldest first.
    pub events: Vec<StoredEvent>,
    /// The number of the oldest event that is kept; zero when there is none.
    pub oldest: u64,
    /// The number of the newest; zero when there is none.
    pub newest: u64,
}

/// What the platform keeps of events. Those that follow from a change are written with it, out of its
/// audit entry ([`Event::of_audit`]).
pub trait EventStore: Send + Sync {
    /// The number of the last event that was committed, and every later one.
    fn event_head(&self) -> watch::Receiver<u64>;

    /// Writes events that go with no other change, in this order.
    fn put_events(&self, events: Vec<Event>) -> StoreFuture<'_, ()>;

    /// At most `count` events from this number on, oldest first.
    fn events_from(&self, sequence: u64, count: usize) -> StoreFuture<'_, EventPage>;

    /// Writes of every host that was last told online that it is offline, because the platform has
    /// stopped: nobody is connected when it starts.
    fn hosts_went_offline(&self, at: UnixMillis) -> StoreFuture<'_, ()>;

    /// Removes the oldest events, at most `count`: those from before `before`, and those beyond the
    /// newest `kept`. The newest stays in any case, so that no number is given again. Answers how
    /// many were removed.
    fn remove_events(&self, before: UnixMillis, kept: u64, count: usize) -> StoreFuture<'_, usize>;
}
