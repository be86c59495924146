//! From what was committed to everybody who follows: the pump that reads the store, the ring of what it
//! told last, and a bounded queue for each follower. What a follower does with its turn is `follower`'s.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tracing::{info, warn};

use super::{Event, Filter, Follower, Happening, Position, Viewer};
use crate::clock::UnixMillis;
use crate::ids::HostId;
use crate::platform::store::{Store, StoreError, StoredEvent};
use crate::wire::Encoding;

/// Events read from the store at once.
pub(super) const PAGE: usize = 256;
/// Events that are held for whoever comes up to them: a follower that has read the store so far is
/// told by the pump from there on.
const RING_MAX: usize = 4096;
/// Events that wait for one follower, which are held once for all. What ten thousand hosts have to
/// tell when they come back at once overtakes a follower on a thin line: it reads on from the store,
/// at its own pace, when it comes back.
const QUEUE_MAX: usize = 4096;
/// Where so many wait, what is not kept is left out.
const QUEUE_MAX_FOR_HEALTH: usize = 256;
/// Followers at once: with all queues full, 64 MiB of places in them.
const FOLLOWERS_MAX: usize = 2048;
/// Followers at once of one viewer: some browsers and programs of one person.
const FOLLOWERS_OF_ONE_MAX: usize = 64;
/// Events that wait to be written: every host of a large fleet twice.
const PENDING_MAX: usize = 65_536;
/// Events written in one change.
const WRITTEN_MAX: usize = 256;
/// After the store has failed.
const RETRY: Duration = Duration::from_secs(1);
/// Events removed in one change: other changes wait for so many.
const REMOVED_MAX: usize = 4096;

/// An event that is told, with its encodings: made once, whoever reads it.
#[derive(Debug)]
pub struct Told {
    /// After it.
    pub position: Position,
    /// What has happened.
    pub event: Event,
    binary: OnceLock<Bytes>,
    json: OnceLock<Bytes>,
}

impl Told {
    pub(super) fn new(position: Position, event: Event) -> Arc<Self> {
        Arc::new(Self {
            position,
            event,
            binary: OnceLock::new(),
            json: OnceLock::new(),
        })
    }

    pub(super) fn stored(StoredEvent { sequence, event }: StoredEvent) -> Arc<Self> {
        let at = event.at;
        Self::new(Position { sequence, at }, event)
    }

    /// The event in this encoding; `encode` is called for the first who asks.
    pub fn encoded(&self, encoding: Encoding, encode: impl FnOnce(&Self) -> Bytes) -> Bytes {
        let kept = match encoding {
            Encoding::Binary => &self.binary,
            Encoding::Json => &self.json,
        };
        kept.get_or_init(|| encode(self)).clone()
    }
}

/// Why a follower is told no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It did not take what it was told in time.
    TooSlow,
    /// The platform stops.
    Stopping,
    /// The store cannot be read.
    StoreFailed,
}

/// There are too many followers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many follow events at present")]
pub struct FollowersExhausted;

/// The events of a platform.
pub struct Bus {
    pub(super) store: Arc<dyn Store>,
    state: Mutex<State>,
    pending: Mutex<Pending>,
    /// Something is pending.
    woken: Notify,
    /// Held by whoever writes what is pending.
    writing: tokio::sync::Mutex<()>,
}

struct State {
    /// What was told last.
    told: Position,
    /// The last that were told, oldest first.
    ring: VecDeque<Arc<Told>>,
    seats: HashMap<u64, Seat>,
    seats_given: u64,
    stopping: bool,
}

struct Seat {
    viewer: String,
    filter: Filter,
    /// Whether the pump tells it, from after this number on.
    live_after: Option<u64>,
    queue: VecDeque<Arc<Told>>,
    woken: Arc<Notify>,
    ended: watch::Sender<Option<Ending>>,
}

#[derive(Default)]
struct Pending {
    events: VecDeque<Event>,
    /// There was no room for what came after them.
    lost: bool,
}

/// A follower's place at the bus; given back when dropped.
pub(super) struct Place {
    bus: Arc<Bus>,
    seat: u64,
    pub woken: Arc<Notify>,
    pub ended: watch::Receiver<Option<Ending>>,
}

impl Bus {
    /// The bus over a store. Who was told online when the platform stopped is offline now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(store: Arc<dyn Store>) -> Result<Arc<Self>, StoreError> {
        store.hosts_went_offline(UnixMillis::now()).await?;
        let head = *store.event_head().borrow();
        let newest = store.events_from(head, 1).await?.events.pop();
        let told = newest.map_or_else(Position::default, |newest| Position {
            sequence: newest.sequence,
            at: newest.event.at,
        });
        let state = State {
            told,
            ring: VecDeque::new(),
            seats: HashMap::new(),
            seats_given: 0,
            stopping: false,
        };
        Ok(Arc::new(Self {
            store,
            state: Mutex::new(state),
            pending: Mutex::default(),
            woken: Notify::new(),
            writing: tokio::sync::Mutex::new(()),
        }))
    }

    /// Tells of what goes with no change of its own: a host's coming, going and health. Waits for
    /// nothing, so that it may be called under a lock; what is to be kept is told once it is written.
    pub fn tell(&self, host: HostId, what: Happening) {
        let event = Event {
            at: UnixMillis::now(),
            host: Some(host),
            actor: String::new(),
            what,
        };
        if matches!(event.what, Happening::HostHealth { .. }) {
            self.state().tell_passing(event);
            return;
        }
        self.put(event);
    }

    /// Tells that something of this kind is otherwise than it was, without anybody's change. Waits for nothing.
    pub fn tell_record(&self, kind: &str) {
        self.put(Event {
            at: UnixMillis::now(),
            host: None,
            actor: String::new(),
            what: Happening::RecordUpdated {
                kind: kind.to_owned(),
            },
        });
    }

    fn put(&self, event: Event) {
        let mut pending = self.pending();
        if pending.lost || pending.events.len() >= PENDING_MAX {
            pending.lost = true;
        } else {
            pending.events.push_back(event);
        }
        drop(pending);
        self.woken.notify_one();
    }

    /// A follower from this position on; from now on where there is none.
    ///
    /// # Errors
    /// When there are too many.
    pub fn follow(
        self: &Arc<Self>,
        name: &str,
        viewer: impl Viewer + 'static,
        filter: Filter,
        position: Option<Position>,
    ) -> Result<Follower, FollowersExhausted> {
        let mut state = self.state();
        let of_one = state.seats.values().filter(|seat| seat.viewer == name);
        if state.seats.len() >= FOLLOWERS_MAX || of_one.count() >= FOLLOWERS_OF_ONE_MAX {
            return Err(FollowersExhausted);
        }
        let seat = state.seats_given;
        state.seats_given += 1;
        let woken = Arc::new(Notify::new());
        let ended = watch::Sender::new(state.stopping.then_some(Ending::Stopping));
        let place = Place {
            bus: self.clone(),
            seat,
            woken: woken.clone(),
            ended: ended.subscribe(),
        };
        let seated = Seat {
            viewer: name.to_owned(),
            filter: filter.clone(),
            live_after: None,
            queue: VecDeque::new(),
            woken,
            ended,
        };
        state.seats.insert(seat, seated);
        drop(state);
        Ok(Follower::new(place, Box::new(viewer), filter, position))
    }

    /// How many follow at present.
    pub fn followers(&self) -> usize {
        self.state().seats.len()
    }

    /// Writes and tells until it is dropped.
    pub async fn run(self: Arc<Self>) {
        tokio::join!(self.pump(), self.write());
    }

    /// Sends every follower away: the platform stops.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopping = true;
        for seat in state.seats.values_mut() {
            seat.end(Ending::Stopping);
        }
    }

    /// Writes what was told and is not written yet.
    ///
    /// # Errors
    /// When the store fails: then it is still to be written.
    pub async fn write_pending(&self) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        loop {
            let mut batch: Vec<_> = {
                let pending = self.pending();
                pending.events.iter().take(WRITTEN_MAX).cloned().collect()
            };
            let (count, lost) = (batch.len(), batch.is_empty() && self.pending().lost);
            if lost {
                batch.push(Event {
                    at: UnixMillis::now(),
                    host: None,
                    actor: String::new(),
                    what: Happening::Lost,
                });
            } else if batch.is_empty() {
                return Ok(());
            }
            self.store.put_events(batch).await?;
            let mut pending = self.pending();
            pending.events.drain(..count);
            if lost {
                pending.lost = false;
                warn!("events were lost: the store did not take them in time");
            }
        }
    }

    /// Removes events that are kept no longer: those that are older, and those beyond so many.
    pub async fn remove_old(&self, keep: Duration, kept: u64) {
        let now = UnixMillis::now();
        let before = UnixMillis(now.0.saturating_sub(keep.as_millis() as u64));
        let mut removed = 0;
        loop {
            match self.store.remove_events(before, kept, REMOVED_MAX).await {
                Ok(count) => {
                    removed += count;
                    if count < REMOVED_MAX {
                        break;
                    }
                }
                Err(error) => {
                    warn!(%error, "old events were not removed");
                    break;
                }
            }
        }
        if removed > 0 {
            info!(removed, "removed old events");
        }
    }

    async fn write(&self) {
        loop {
            self.woken.notified().await;
            while let Err(error) = self.write_pending().await {
                warn!(%error, "events could not be written yet");
                sleep(RETRY).await;
            }
        }
    }

    /// Tells what was committed, in order.
    async fn pump(&self) {
        let mut head = self.store.event_head();
        loop {
            let told = self.state().told.sequence;
            if *head.borrow_and_update() <= told {
                if head.changed().await.is_err() {
                    // The store is gone, and the platform with it.
                    return;
                }
                continue;
            }
            // Where nobody follows it is enough to know where the log is: whoever comes reads on from the
            // store.
            let newest = *head.borrow();
            let from = match self.state().seats.is_empty() {
                true => newest,
                false => told + 1,
            };
            match self.store.events_from(from, PAGE).await {
                Ok(page) => {
                    let mut state = self.state();
                    if from > told + 1 {
                        // Somebody has come meanwhile.
                        if !state.seats.is_empty() {
                            continue;
                        }
                        state.ring.clear();
                    }
                    page.events
                        .into_iter()
                        .for_each(|stored| state.tell(Told::stored(stored)));
                }
                Err(error) => {
                    warn!(%error, "events could not be read");
                    sleep(RETRY).await;
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, and the tables are whole at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tell(&mut self, told: Arc<Told>) {
        self.told = told.position;
        for seat in self.seats.values_mut() {
            let Some(after) = seat.live_after else {
                continue;
            };
            if told.position.sequence > after && seat.wants(&told) {
                if seat.queue.len() >= QUEUE_MAX {
                    seat.end(Ending::TooSlow);
                } else {
                    seat.queue.push_back(told.clone());
                    seat.woken.notify_one();
                }
            }
        }
        if self.ring.len() == RING_MAX {
            self.ring.pop_front();
        }
        self.ring.push_back(told);
    }

    /// Tells what is not kept, to whoever is up to date and not behind with reading.
    fn tell_passing(&mut self, event: Event) {
        let now = self.told;
        let mut passing = None;
        for seat in self.seats.values_mut() {
            let up_to_date = seat.live_after.is_some_and(|after| after <= now.sequence);
            if up_to_date && seat.queue.len() < QUEUE_MAX_FOR_HEALTH && seat.filter.may_want(&event)
            {
                let told = passing.get_or_insert_with(|| Told::new(now, event.clone()));
                seat.queue.push_back(told.clone());
                seat.woken.notify_one();
            }
        }
    }
}

impl Seat {
    fn wants(&self, told: &Told) -> bool {
        matches!(told.event.what, Happening::Lost) || self.filter.may_want(&told.event)
    }

    fn end(&mut self, ending: Ending) {
        self.live_after = None;
        self.queue = VecDeque::new();
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(ending);
            first
        });
    }
}

impl Place {
    pub fn store(&self) -> &dyn Store {
        &*self.bus.store
    }

    /// What was told last.
    pub fn told(&self) -> Position {
        self.bus.state().told
    }

    /// Has the pump tell this follower everything after a position, where the ring still has it. False
    /// where it is further back.
    pub fn go_live(&self, position: Position) -> bool {
        let mut state = self.bus.state();
        let State {
            told, ring, seats, ..
        } = &mut *state;
        let after = position.sequence;
        let reached = after >= told.sequence
            || ring
                .front()
                .is_some_and(|oldest| oldest.position.sequence <= after + 1);
        let Some(seat) = seats.get_mut(&self.seat) else {
            return false;
        };
        if reached && seat.ended.borrow().is_none() {
            seat.live_after = Some(after);
            let missing = ring
                .iter()
                .rev()
                .take_while(|told| told.position.sequence > after);
            let missing: Vec<_> = missing.filter(|told| seat.wants(told)).cloned().collect();
            seat.queue = missing.into_iter().rev().collect();
        }
        reached
    }

    /// The next that waits for a live follower.
    pub fn pop(&self) -> Option<Arc<Told>> {
        let mut state = self.bus.state();
        state.seats.get_mut(&self.seat)?.queue.pop_front()
    }

    /// What was told last, where nothing waits for this follower: it has missed nothing until there.
    pub fn caught_up(&self) -> Option<Position> {
        let state = self.bus.state();
        let seat = state.seats.get(&self.seat)?;
        seat.queue.is_empty().then_some(state.told)
    }

    /// Why it is told no more, if that is so.
    pub fn ending(&self) -> Option<Ending> {
        *self.ended.borrow()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.bus.state().seats.remove(&self.seat);
    }
}
