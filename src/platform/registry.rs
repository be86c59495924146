//! Which hosts are connected, through which link, and how they are. One host has one connection: a
//! later one takes the place of an earlier. Two processes that keep taking it from each other are
//! one host cloned, which is found here and told to both.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::events::{Happening, OfflineReason};
use super::sessions::{CloseReason, Session};
use crate::clock::UnixMillis;
use crate::ids::{ConsoleSessionId, HostId, Uuid};
use crate::wire::api::Health;

/// Two processes that take a host's place from each other within this time are a clone; so long
/// does the host's entry show it after the last time.
const RIVALRY_REMEMBERED: Duration = Duration::from_secs(600);
/// Evictions remembered of one host; a clone shows within two.
const EVICTIONS_MAX: usize = 8;

/// What the platform asks of a host's connection, whatever carries it. Nothing here waits: what
/// cannot be sent any more is dropped with the connection.
pub trait HostLink: Send + Sync + 'static {
    /// Tells the agent of a console session that was opened.
    fn session_open(&self, session: &Session);
    /// Tells the agent of a console session that has ended.
    fn session_close(&self, id: ConsoleSessionId, reason: CloseReason);
    /// Ends the connection and says why.
    fn end(&self, reason: LinkEnd);
    /// The last measured round trip.
    fn round_trip(&self) -> Option<Duration>;
}

/// Why the platform ends a host's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// The same agent has connected again.
    Replaced,
    /// Two processes use one host's credential in turn.
    DuplicateInstance,
    /// The credential it authenticated with is void: the host was enrolled anew.
    CredentialVoid,
    /// The host was revoked.
    Revoked,
    /// The certificate that it came with has ended, and it asked for no other.
    CertificateEnded,
    /// The platform stops; agents spread their return over this window.
    GoingAway {
        /// The window.
        window: Duration,
    },
}

impl LinkEnd {
    /// What is told of the host.
    const fn offline(self) -> OfflineReason {
        match self {
            Self::Replaced | Self::CertificateEnded => OfflineReason::ConnectionEnded,
            Self::DuplicateInstance => OfflineReason::DuplicateInstance,
            Self::CredentialVoid | Self::Revoked => OfflineReason::CredentialVoid,
            Self::GoingAway { .. } => OfflineReason::PlatformStopped,
        }
    }
}

/// Names one connection of this process, to tell a host's later connection from its earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub(super) u64);

/// A moment in the order in which credentials became void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// A connection that has authenticated and wants to be its host's.
pub struct Arrival<L: ?Sized> {
    /// The host.
    pub host: HostId,
    /// A moment before its credential was looked up: see [`Registry::moment`].
    pub known_at: Moment,
    /// The run of the agent's process, where it says it.
    pub instance: Option<Uuid>,
    /// The program and its version, for people.
    pub software: String,
    /// Where it comes from.
    pub address: SocketAddr,
    /// The link.
    pub link: Arc<L>,
}

/// What becomes of an arrival.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is the host's connection now.
    Admitted {
        /// To be given back by [`Registry::remove`] and [`Registry::set_health`].
        connection: ConnectionId,
        /// Whether an earlier connection was ended for it.
        replaced: bool,
    },
    /// The host was cloned: this one is refused, and the one before it was ended.
    DuplicateInstance,
    /// The host was enrolled anew, or revoked, after the credential was looked up: this one is refused.
    CredentialVoid,
}

/// One connected host, as it is listed.
#[derive(Clone, Debug)]
pub struct Connected {
    /// Since when.
    pub since: UnixMillis,
    /// Where it comes from.
    pub address: SocketAddr,
    /// The program and its version.
    pub software: String,
    /// The last measured round trip.
    pub round_trip: Option<Duration>,
    /// Its last health report.
    pub health: Option<Health>,
}

/// Whether one host is there, and what of its health is asked for again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Presence {
    /// Whether it is connected.
    pub is_connected: bool,
    /// How full its fullest file system was as it last said, in percent.
    pub disk_percent: Option<f64>,
}

/// Who is told of each change of the table, in the table's own order: under its lock, so that it may
/// neither wait nor call back.
pub type Watcher = Box<dyn Fn(HostId, Happening) + Send + Sync>;

/// The table of connected hosts.
pub struct Registry<L: ?Sized> {
    state: Mutex<State<L>>,
    watcher: Watcher,
}

struct State<L: ?Sized> {
    connections: u64,
    hosts: HashMap<HostId, Entry<L>>,
    /// Only of hosts where one process has lately taken another's place.
    evictions: HashMap<HostId, Vec<Eviction>>,
    /// How often a credential has become void.
    voids: u64,
    /// Which of these times was a host's last. One entry for each host that was enrolled since the
    /// start: as few as the store has.
    voided: HashMap<HostId, Moment>,
}

struct Entry<L: ?Sized> {
    connection: ConnectionId,
    instance: Option<Uuid>,
    software: String,
    address: SocketAddr,
    since: UnixMillis,
    health: Option<Health>,
    link: Arc<L>,
}

struct Eviction {
    by: Uuid,
    of: Uuid,
    at: UnixMillis,
    /// Whether it was the return blow, which shows a clone.
    mutual: bool,
}

impl<L: HostLink + ?Sized> Default for Registry<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: HostLink + ?Sized> Registry<L> {
    /// An empty table that nobody watches.
    pub fn new() -> Self {
        Self::watched(Box::new(|_, _| {}))
    }

    /// An empty table.
    pub fn watched(watcher: Watcher) -> Self {
        Self {
            watcher,
            state: Mutex::new(State {
                connections: 0,
                hosts: HashMap::new(),
                evictions: HashMap::new(),
                voids: 0,
                voided: HashMap::new(),
            }),
        }
    }

    /// To be asked for before a credential is looked up. What the look-up finds is then good until
    /// [`Self::void`] is called, whichever comes first here: the store answers in its own time.
    pub fn moment(&self) -> Moment {
        Moment(self.lock().voids)
    }

    /// Makes an authenticated connection its host's. An earlier one is ended, and told why.
    pub fn admit(&self, now: UnixMillis, arrival: Arrival<L>) -> Admission {
        let mut state = self.lock();
        let voided = state.voided.get(&arrival.host);
        if voided.is_some_and(|&voided| voided > arrival.known_at) {
            return Admission::CredentialVoid;
        }
        let earlier = state.hosts.remove(&arrival.host);
        let replaced = earlier.is_some();
        if let Some(earlier) = earlier {
            let mutual = match (arrival.instance, earlier.instance) {
                (Some(by), Some(of)) if by != of => state.note_eviction(now, arrival.host, by, of),
                // The same process with a new connection, or one that does not say who it is.
                _ => false,
            };
            if mutual {
                earlier.link.end(LinkEnd::DuplicateInstance);
                self.tell_offline(arrival.host, OfflineReason::DuplicateInstance);
                (self.watcher)(arrival.host, Happening::HostDuplicated);
                return Admission::DuplicateInstance;
            }
            earlier.link.end(LinkEnd::Replaced);
        }
        let online = Happening::HostOnline {
            address: arrival.address.to_string(),
            software: arrival.software.clone(),
        };
        (self.watcher)(arrival.host, online);
        state.connections += 1;
        let connection = ConnectionId(state.connections);
        let entry = Entry {
            connection,
            instance: arrival.instance,
            software: arrival.software,
            address: arrival.address,
            since: now,
            health: None,
            link: arrival.link,
        };
        state.hosts.insert(arrival.host, entry);
        Admission::Admitted {
            connection,
            replaced,
        }
    }

    /// Notes that a connection has ended. False when it was not its host's any more.
    pub fn remove(&self, host: HostId, connection: ConnectionId) -> bool {
        let mut state = self.lock();
        let current = state
            .hosts
            .get(&host)
            .is_some_and(|entry| entry.connection == connection);
        if current {
            state.hosts.remove(&host);
            self.tell_offline(host, OfflineReason::ConnectionEnded);
        }
        current
    }

    /// Keeps a host's health report.
    pub fn set_health(&self, host: HostId, connection: ConnectionId, health: Health) {
        let mut state = self.lock();
        if let Some(entry) = state.hosts.get_mut(&host)
            && entry.connection == connection
        {
            entry.health = Some(health.clone());
            let round_trip = entry.link.round_trip();
            (self.watcher)(host, Happening::HostHealth { health, round_trip });
        }
    }

    /// The link of a connected host.
    pub fn link(&self, host: HostId) -> Option<Arc<L>> {
        self.lock().hosts.get(&host).map(|entry| entry.link.clone())
    }

    /// Ends a host's connection, if it has one.
    pub fn end(&self, host: HostId, reason: LinkEnd) {
        let mut state = self.lock();
        if let Some(entry) = state.hosts.remove(&host) {
            entry.link.end(reason);
            self.tell_offline(host, reason.offline());
        }
    }

    /// Ends a host's connection, and those that have presented its credential and are not admitted yet:
    /// the store has another for it now, or none.
    /// Whether it had one.
    pub fn void(&self, host: HostId, reason: LinkEnd) -> bool {
        let mut state = self.lock();
        state.voids += 1;
        let moment = Moment(state.voids);
        state.voided.insert(host, moment);
        let Some(entry) = state.hosts.remove(&host) else {
            return false;
        };
        entry.link.end(reason);
        self.tell_offline(host, reason.offline());
        true
    }

    /// Ends every connection.
    pub fn end_all(&self, reason: LinkEnd) {
        // Taken out first: an end that calls back here must not find the table locked.
        let mut state = self.lock();
        let entries: Vec<_> = state.hosts.drain().collect();
        for (host, _) in &entries {
            self.tell_offline(*host, reason.offline());
        }
        drop(state);
        for (_, entry) in entries {
            entry.link.end(reason);
        }
    }

    /// How a host is connected, if it is.
    pub fn connected(&self, host: HostId) -> Option<Connected> {
        let state = self.lock();
        let entry = state.hosts.get(&host)?;
        Some(Connected {
            since: entry.since,
            address: entry.address,
            software: entry.software.clone(),
            round_trip: entry.link.round_trip(),
            health: entry.health.clone(),
        })
    }

    /// Whether a host is there. Copies nothing, unlike [`Self::connected`].
    pub fn presence(&self, host: HostId) -> Presence {
        let state = self.lock();
        let entry = state.hosts.get(&host);
        let health = entry.and_then(|entry| entry.health.as_ref());
        Presence {
            is_connected: entry.is_some(),
            disk_percent: health.and_then(|health| health.disk_percent),
        }
    }

    /// The ids of all connected hosts.
    pub fn connected_hosts(&self) -> Vec<HostId> {
        self.lock().hosts.keys().copied().collect()
    }

    /// Whether a host was found cloned within the last ten minutes.
    pub fn is_duplicate(&self, now: UnixMillis, host: HostId) -> bool {
        let state = self.lock();
        let evictions = state
            .evictions
            .get(&host)
            .map(Vec::as_slice)
            .unwrap_or_default();
        evictions
            .iter()
            .any(|eviction| eviction.mutual && eviction.is_fresh(now))
    }

    fn tell_offline(&self, host: HostId, reason: OfflineReason) {
        (self.watcher)(host, Happening::HostOffline { reason });
    }

    fn lock(&self) -> MutexGuard<'_, State<L>> {
        // No code that can panic runs under the lock, and the table is whole at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: ?Sized> State<L> {
    /// Notes that one process took another's place; true when the other had taken its place before.
    fn note_eviction(&mut self, now: UnixMillis, host: HostId, by: Uuid, of: Uuid) -> bool {
        self.evictions.retain(|_, evictions| {
            evictions.retain(|eviction| eviction.is_fresh(now));
            !evictions.is_empty()
        });
        let evictions = self.evictions.entry(host).or_default();
        let mutual = evictions
            .iter()
            .any(|earlier| earlier.by == of && earlier.of == by);
        if evictions.len() == EVICTIONS_MAX {
            evictions.remove(0);
        }
        evictions.push(Eviction {
            by,
            of,
            at: now,
            mutual,
        });
        mutual
    }
}

impl Eviction {
    const fn is_fresh(&self, now: UnixMillis) -> bool {
        now.since(self.at).as_millis() < RIVALRY_REMEMBERED.as_millis()
    }
}
