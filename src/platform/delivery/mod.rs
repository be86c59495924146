//! The delivery of commands: what is kept in the store is sent to its host when that is connected, and what
//! comes of it is kept. This file owns what the rest of the platform has of it: commands are made and
//! cancelled here, connections say here what their agents say. `engine` is the task that does the
//! sending; it keeps in memory only what is under way to hosts that are connected, and begins from the
//! store alone.

mod backoff;
mod carrier;
mod engine;
mod figures;
mod host;
mod intake;
mod kinds;
mod message;
mod room;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

use super::progress::Progress;
use super::registry::ConnectionId;
use super::store::commands::{Cancelled, DeliveryStart, NewCommand, Redrive};
use super::store::deliveries::{DeliveryState, Outgoing};
use super::store::{Change, Store, StoreError};
use super::traces::DeliverySpans;
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId};
use crate::net::capability::{self, COMMAND_ACK, FILE_STREAMS};
use crate::net::stream::Tunnel;
use crate::wire::values::Name;
pub use carrier::Carrier;
pub use figures::{DeliveryFigures, Latencies};
use intake::Intake;
pub use intake::{Inlet, Said};
use room::{Reservation, Rooms};

/// Deliveries that are removed in one transaction.
const REMOVED_MAX: usize = 1024;

/// Whether these capabilities say that a command is acknowledged once it is in a journal.
pub fn is_journalled(capabilities: &[Name]) -> bool {
    capability::has(capabilities, COMMAND_ACK)
}

/// Whether these capabilities say that files go over streams of the agent's own origin.
pub fn has_file_streams(capabilities: &[Name]) -> bool {
    capability::has(capabilities, FILE_STREAMS)
}

/// What the platform announces of it.
pub fn capability() -> Option<Name> {
    capability::name(COMMAND_ACK)
}

/// The delivery of commands.
pub struct Delivery {
    store: Arc<dyn Store>,
    rooms: Rooms,
    inputs: mpsc::UnboundedSender<Input>,
    intake: Arc<Intake>,
    progress: Arc<Progress>,
    figures: Arc<DeliveryFigures>,
    spans: DeliverySpans,
    carrier: Arc<Carrier>,
}

/// What the engine is told.
enum Input {
    /// A host is connected.
    Arrived(Arrival),
    /// A connection has ended.
    Left(HostId, ConnectionId),
    /// An agent has said something.
    Said(Arc<Inlet>, Said, intake::Held),
    /// A delivery is kept as sent, and is to be sent.
    Send(Box<Sending>),
    /// Something waits for this host.
    Waiting(HostId),
    /// What is under way to this host is not as the engine may have it.
    Look(HostId),
    /// There are waves or hosts that are not waited for, or may be.
    Plans,
    /// Maintenance windows have changed, or which they are of a host.
    Windows,
}

/// A connection that was let in.
struct Arrival {
    host: HostId,
    connection: ConnectionId,
    tunnel: Tunnel,
    inlet: Arc<Inlet>,
    journalled: bool,
    file_streams: bool,
}

/// A delivery that was just kept as sent.
struct Sending {
    reservation: Reservation,
    outgoing: Outgoing,
    settled_sequence: u64,
    accepted: Instant,
}

impl Delivery {
    /// The delivery out of this store, and its task. What hosts print is told by `progress`; files are
    /// carried by `carrier`.
    pub fn new(
        store: Arc<dyn Store>,
        progress: Arc<Progress>,
        carrier: Carrier,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send) {
        let (inputs, received) = mpsc::unbounded_channel();
        let delivery = Arc::new(Self {
            store,
            rooms: Rooms::default(),
            inputs,
            intake: Arc::default(),
            progress,
            figures: Arc::default(),
            spans: DeliverySpans::default(),
            carrier: Arc::new(carrier),
        });
        let engine = engine::run(delivery.clone(), received);
        (delivery, engine)
    }

    /// What is counted of it.
    pub fn figures(&self) -> Arc<DeliveryFigures> {
        self.figures.clone()
    }

    /// Where its spans are made.
    pub fn spans(&self) -> &DeliverySpans {
        &self.spans
    }

    /// Keeps a new command, and has it sent to whoever of its hosts is connected: see
    /// [`super::store::CommandStore::create_command`].
    ///
    /// # Errors
    /// As the store has them.
    pub async fn create(
        self: &Arc<Self>,
        command: NewCommand,
        change: Change,
    ) -> Result<(), StoreError> {
        self.spans.asked(command.id);
        let delivery = self.clone();
        // Followed through, whether or not the caller is still there.
        let made = tokio::spawn(async move { delivery.make(command, change).await });
        made.await.unwrap_or(Err(StoreError::Stopped))
    }

    async fn make(&self, mut command: NewCommand, change: Change) -> Result<(), StoreError> {
        let accepted = Instant::now();
        let mut reserved = Vec::new();
        let mut waiting = Vec::new();
        let plan = command.plan;
        // What is due at once everywhere; of waves it is seen by who begins them.
        let at_once = command.not_before.is_none() && !plan.in_window && plan.waves.is_none();
        for delivery in &mut command.hosts {
            match self.rooms.reserve(delivery.host).filter(|_| at_once) {
                Some(reservation) => {
                    delivery.start = DeliveryStart::Sent { once: false };
                    reserved.push(reservation);
                }
                None => waiting.push(delivery.host),
            }
        }
        let mut outgoing = Outgoing {
            command: command.id,
            kind: command.kind.clone(),
            parameters: Vec::new(),
            timeout_seconds: command.timeout_seconds,
            priority: command.priority,
            created: command.created,
            expires: command.expires,
            sequence: 0,
            state: DeliveryState::Sent,
            attempts: 0,
            next_attempt: None,
            cancel_requested: false,
            in_window: false,
            until: None,
        };
        if !reserved.is_empty() {
            outgoing.parameters.clone_from(&command.parameters);
        }
        // In the order of the reservations, as both follow that of the hosts.
        let assigned = self.store.create_command(command, change).await?;
        for (reservation, assigned) in reserved.into_iter().zip(assigned) {
            outgoing.sequence = assigned.sequence;
            self.tell(Input::Send(Box::new(Sending {
                reservation,
                outgoing: outgoing.clone(),
                settled_sequence: assigned.settled_sequence,
                accepted,
            })));
        }
        for host in waiting {
            self.tell(Input::Waiting(host));
        }
        if plan.skip_offline || plan.waves.is_some() {
            self.tell(Input::Plans);
        }
        Ok(())
    }

    /// Lets a command that is paused go on: see [`super::store::WaveStore::resume_command`].
    ///
    /// # Errors
    /// As the store has them.
    pub async fn resume(
        self: &Arc<Self>,
        command: CommandId,
        at: UnixMillis,
        change: Change,
    ) -> Result<bool, StoreError> {
        let delivery = self.clone();
        let resumed = tokio::spawn(async move {
            let resumed = delivery.store.resume_command(command, at, change).await?;
            delivery.tell(Input::Plans);
            Ok(resumed)
        });
        resumed.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Ends what was not sent of a command: see [`super::store::WaveStore::abort_command`].
    ///
    /// # Errors
    /// As the store has them.
    pub async fn abort(
        self: &Arc<Self>,
        command: CommandId,
        at: UnixMillis,
        change: Change,
    ) -> Result<Vec<HostId>, StoreError> {
        let delivery = self.clone();
        let aborted = tokio::spawn(async move {
            let ended = delivery.store.abort_command(command, at, change).await?;
            for _ in &ended {
                delivery.figures.came_to(DeliveryState::Cancelled);
            }
            delivery.tell(Input::Plans);
            Ok(ended)
        });
        aborted.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Notes that maintenance windows have changed, or the groups of a host.
    pub fn windows_changed(&self) {
        self.tell(Input::Windows);
    }

    /// Wants a command no more: see [`super::store::CommandStore::cancel_command`]. Agents that may have
    /// it are told.
    ///
    /// # Errors
    /// As the store has them.
    pub async fn cancel(
        self: &Arc<Self>,
        command: CommandId,
        hosts: Option<Vec<HostId>>,
        at: UnixMillis,
        change: Change,
    ) -> Result<Cancelled, StoreError> {
        let delivery = self.clone();
        let cancelled = tokio::spawn(async move {
            let store = &delivery.store;
            let cancelled = store.cancel_command(command, hosts, at, change).await?;
            for _ in &cancelled.ended {
                delivery.figures.came_to(DeliveryState::Cancelled);
            }
            for host in &cancelled.requested {
                delivery.tell(Input::Look(*host));
            }
            delivery.tell(Input::Plans);
            Ok(cancelled)
        });
        cancelled.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Takes dead letters up again: see [`super::store::CommandStore::redrive`].
    ///
    /// # Errors
    /// As the store has them.
    pub async fn redrive(
        self: &Arc<Self>,
        redrives: Vec<Redrive>,
        change: Change,
    ) -> Result<(), StoreError> {
        let delivery = self.clone();
        let made = tokio::spawn(async move {
            let hosts = redrives.iter().flat_map(|redrive| &redrive.command.hosts);
            let hosts: Vec<_> = hosts.map(|delivery| delivery.host).collect();
            delivery.store.redrive(redrives, change).await?;
            for host in hosts {
                delivery.tell(Input::Waiting(host));
            }
            Ok(())
        });
        made.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Where a connection that was let in says what its agent says. The engine is told of the connection;
    /// to be called before the agent can have said anything.
    pub fn host_connected(
        &self,
        host: HostId,
        connection: ConnectionId,
        tunnel: &Tunnel,
        capabilities: &[Name],
    ) -> Arc<Inlet> {
        let inlet = Inlet::new(host, connection, tunnel.clone(), self.intake.clone());
        self.tell(Input::Arrived(Arrival {
            host,
            connection,
            tunnel: tunnel.clone(),
            inlet: inlet.clone(),
            journalled: is_journalled(capabilities),
            file_streams: has_file_streams(capabilities),
        }));
        inlet
    }

    /// Notes that a connection has ended.
    pub fn host_disconnected(&self, host: HostId, connection: ConnectionId) {
        self.rooms.close(host, connection);
        self.tell(Input::Left(host, connection));
    }

    /// An agent has said something. Where more is held of it than may be, its connection is not read on
    /// until that is done with.
    pub fn said(&self, inlet: &Arc<Inlet>, said: Said) {
        let held = inlet.hold(said.weight());
        self.tell(Input::Said(inlet.clone(), said, held));
    }

    /// Removes commands that ended so long ago, with their deliveries.
    pub async fn remove_old(&self, keep: Duration) {
        let now = UnixMillis::now();
        let before = UnixMillis(now.0.saturating_sub(keep.as_millis() as u64));
        let mut removed = 0;
        loop {
            match self.store.remove_commands(before, REMOVED_MAX).await {
                Ok(0) => break,
                Ok(count) => removed += count,
                Err(error) => {
                    warn!(%error, "old commands were not removed");
                    break;
                }
            }
        }
        if removed > 0 {
            info!(removed, "removed old commands");
        }
    }

    fn tell(&self, input: Input) {
        // The engine ends with the platform alone.
        let _ = self.inputs.send(input);
    }
}
