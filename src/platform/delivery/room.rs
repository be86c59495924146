//! How much more each connected host may be sent. A command that finds room is kept as sent from the start and
//! goes out once that is on disk: no change more, and no way past others, as there is room only where
//! nothing waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ids::HostId;
use crate::platform::registry::ConnectionId;

/// Deliveries of one host that were sent and have not ended. More wait at the platform, where they can
/// still be cancelled, overtaken, and expire.
pub(super) const WINDOW: usize = 64;

/// The rooms of the hosts that are connected.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    hosts: Mutex<HashMap<HostId, Arc<Room>>>,
}

/// How much more one host may be sent.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) host: HostId,
    pub(super) connection: ConnectionId,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether nothing waits that would have to go first.
    open: bool,
    used: usize,
}

impl Rooms {
    /// Opens a host's books; nothing is reserved until [`Room::set_open`].
    pub(super) fn begin(&self, host: HostId, connection: ConnectionId) -> Arc<Room> {
        let room = Arc::new(Room {
            host,
            connection,
            state: Mutex::default(),
        });
        self.lock().insert(host, room.clone());
        room
    }

    /// Takes a place at a host that has room.
    pub(super) fn reserve(&self, host: HostId) -> Option<Reservation> {
        let room = self.lock().get(&host)?.clone();
        let mut state = room.lock();
        if !state.open || state.used >= WINDOW {
            return None;
        }
        state.used += 1;
        drop(state);
        Some(Reservation { room: Some(room) })
    }

    /// Closes the books of a connection.
    pub(super) fn close(&self, host: HostId, connection: ConnectionId) {
        let mut hosts = self.lock();
        if hosts
            .get(&host)
            .is_some_and(|room| room.connection == connection)
        {
            hosts.remove(&host);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HostId, Arc<Room>>> {
        // A table of handles, whole at every step.
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    pub(super) fn left(&self) -> usize {
        WINDOW.saturating_sub(self.lock().used)
    }

    pub(super) fn take(&self, count: usize) {
        self.lock().used += count;
    }

    pub(super) fn give_back(&self) {
        let mut state = self.lock();
        state.used = state.used.saturating_sub(1);
    }

    pub(super) fn set_open(&self, open: bool) {
        self.lock().open = open;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Two plain values.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place at a host, until it is used or dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    room: Option<Arc<Room>>,
}

impl Reservation {
    /// Uses the place.
    pub(super) fn used(mut self) -> Option<Arc<Room>> {
        self.room.take()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(room) = self.room.take() {
            room.give_back();
        }
    }
}
