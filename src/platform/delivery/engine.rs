//! The task that delivers. It is told of connections, of what agents say and of what was made, and reads all
//! else from the store. What changes is gathered and written in batches, one at a time, as the store writes
//! whatever has queued in one transaction; what follows from a change is done once it is committed.
//! What agents say is in `hearing`, what is sent in `sending`, waves and hosts that are not waited for in
//! `plans`.

mod hearing;
mod plans;
mod sending;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{debug, warn};

use super::host::{Host, Then};
use super::intake::Held;
use super::{Arrival, Delivery, Input};
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId};
use crate::platform::registry::ConnectionId;
use crate::platform::store::StoreError;
use crate::platform::store::deliveries::{
    Applied, DeliveryState, Due, End, JournalClaim, Step, Transition,
};
use crate::platform::store::waves::Begun;
use crate::platform::traces::Ended;
use crate::wire::messages::ErrorCode;
use plans::{Offline, Plans};

/// Transitions in one batch.
const BATCH_MAX: usize = 512;
/// How often it is looked what has expired.
const EXPIRY_LOOKED_AT: Duration = Duration::from_secs(1);
/// Deliveries that expire in one transaction.
const EXPIRED_MAX: usize = 512;
/// What a stop may have cut: the windows of all agents without a journal.
const CUT_MAX: usize = 1 << 20;
/// How long to wait where the store has failed.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// Inputs that are taken before anything is begun for them.
const INPUTS_MAX: usize = 256;

/// A change that is to be written.
struct Pending {
    transition: Transition,
    then: Then,
    /// What is let go of once it is written.
    held: Option<Held>,
}

/// What a job at the store has come to.
enum Done {
    Applied(Vec<Pending>, Result<Vec<Applied>, StoreError>),
    Synced(HostId, ConnectionId, Result<bool, StoreError>),
    Recovered(HostId, ConnectionId, Result<Vec<Applied>, StoreError>),
    UnderWay(HostId, ConnectionId, Result<Due, StoreError>),
    Waiting(HostId, ConnectionId, Look, Result<Due, StoreError>),
    Expired(Result<Vec<(CommandId, HostId)>, StoreError>),
    Begun(Result<Begun, StoreError>),
    Skipped(Result<Offline, StoreError>),
    Interrupted(Result<usize, StoreError>),
}

/// How it was looked what waits.
struct Look {
    waiting_told: u64,
    count: usize,
}

type Job = Pin<Box<dyn Future<Output = Done> + Send>>;

struct Engine {
    delivery: Arc<Delivery>,
    hosts: HashMap<HostId, Host>,
    timers: BTreeSet<(Instant, HostId)>,
    pending: VecDeque<Pending>,
    /// How many changes there have been to write, and how many of them are written: in their order.
    put: u64,
    written: u64,
    /// Connections that may be sent commands once so many are written.
    opening: VecDeque<(u64, HostId, ConnectionId)>,
    jobs: FuturesUnordered<Job>,
    applying: bool,
    expiring: bool,
    /// Before when nothing is written, as the store has failed.
    paused_until: Option<Instant>,
    plans: Plans,
}

/// Delivers until it is dropped.
pub(super) async fn run(delivery: Arc<Delivery>, mut inputs: mpsc::UnboundedReceiver<Input>) {
    let mut engine = Engine::new(delivery);
    engine.interrupt();
    engine.plan();
    let mut sweeps = interval(EXPIRY_LOOKED_AT);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut taken = Vec::with_capacity(INPUTS_MAX);
    loop {
        let wake = engine.wakes_at();
        tokio::select! {
            Some(done) = engine.jobs.next(), if !engine.jobs.is_empty() => engine.done(done),
            count = inputs.recv_many(&mut taken, INPUTS_MAX) => {
                if count == 0 {
                    return;
                }
                taken.drain(..).for_each(|input| engine.take(input));
            }
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => engine.ring(),
            _ = sweeps.tick() => engine.sweep(),
        }
        engine.write();
    }
}

impl Engine {
    fn new(delivery: Arc<Delivery>) -> Self {
        Self {
            delivery,
            hosts: HashMap::new(),
            timers: BTreeSet::new(),
            pending: VecDeque::new(),
            put: 0,
            written: 0,
            opening: VecDeque::new(),
            jobs: FuturesUnordered::new(),
            applying: false,
            expiring: false,
            paused_until: None,
            plans: Plans::new(),
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Arrived(arrival) => self.arrived(&arrival),
            Input::Left(host, connection) => self.left(host, connection),
            Input::Said(inlet, said, held) => self.said(&inlet, said, held),
            Input::Send(sending) => self.send_at_once(*sending),
            Input::Waiting(host) => {
                if let Some(known) = self.hosts.get_mut(&host) {
                    known.waiting_told += 1;
                    known.backlog = true;
                    known.settle_room();
                    self.look(host);
                }
            }
            Input::Look(host) => self.review(host),
            Input::Plans => self.plan(),
            Input::Windows => self.windows_changed(),
        }
    }

    fn arrived(&mut self, arrival: &Arrival) {
        if let Some(earlier) = self.hosts.get(&arrival.host) {
            self.left(arrival.host, earlier.connection);
        }
        let room = self.delivery.rooms.begin(arrival.host, arrival.connection);
        let host = Host::new(arrival, room);
        self.hosts.insert(arrival.host, host);
        if !arrival.journalled {
            // It remembers nothing.
            let claim = JournalClaim {
                epoch: None,
                sequence: 0,
                reported: false,
            };
            self.sync(arrival.host, claim, arrival.inlet.hold(0));
        }
    }

    fn left(&mut self, host: HostId, connection: ConnectionId) {
        if self
            .hosts
            .get(&host)
            .is_none_or(|known| known.connection != connection)
        {
            return;
        }
        let Some(known) = self.hosts.remove(&host) else {
            return;
        };
        self.delivery.rooms.close(host, connection);
        self.skip_offline();
        if let Some(timer) = known.timer {
            self.timers.remove(&(timer, host));
        }
        if known.journalled {
            return;
        }
        // Whoever had them is gone, and is not asked again.
        for command in known.flights.into_keys() {
            self.end(
                host,
                command,
                End::new(DeliveryState::Interrupted, "connection_lost", ""),
            );
        }
    }

    fn end(&mut self, host: HostId, command: CommandId, end: End) {
        let step = Step::Ended(Box::new(end));
        self.put(host, command, step, Then::Nothing, None);
    }

    fn put(
        &mut self,
        host: HostId,
        command: CommandId,
        step: Step,
        then: Then,
        held: Option<Held>,
    ) {
        let transition = Transition {
            command,
            host,
            at: UnixMillis::now(),
            step,
        };
        self.put += 1;
        self.pending.push_back(Pending {
            transition,
            then,
            held,
        });
    }

    /// Writes what is pending, where nothing else is being written.
    fn write(&mut self) {
        if self.applying || self.pending.is_empty() || self.paused_until.is_some() {
            return;
        }
        let count = self.pending.len().min(BATCH_MAX);
        let batch: Vec<_> = self.pending.drain(..count).collect();
        self.applying = true;
        let transitions = batch.iter().map(|pending| pending.transition.clone());
        let transitions = transitions.collect();
        let delivery = self.delivery.clone();
        self.jobs.push(Box::pin(async move {
            let applied = delivery.store.apply(transitions).await;
            Done::Applied(batch, applied)
        }));
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Applied(batch, applied) => self.applied(batch, applied),
            Done::Synced(host, connection, report) => {
                self.begin_waves();
                self.synced(host, connection, report);
            }
            Done::Recovered(host, connection, applied) => {
                if let Err(error) = &applied {
                    warn!(%host, %error, "what an agent knows could not be kept");
                    self.close(host, connection);
                }
                // It may have ended what a wave waits for.
                self.begin_waves();
                if let Some(known) = self.current(host, connection) {
                    known.talking = false;
                    self.talk(host);
                }
            }
            Done::UnderWay(host, connection, Ok(due)) => self.reviewed(host, connection, due),
            Done::Waiting(host, connection, look, Ok(due)) => {
                self.looked(host, connection, &look, due);
            }
            Done::UnderWay(host, connection, Err(error))
            | Done::Waiting(host, connection, _, Err(error)) => {
                warn!(%host, %error, "what is for a host could not be read");
                self.close(host, connection);
            }
            Done::Expired(expired) => self.expired(expired),
            Done::Begun(begun) => self.waves_begun(begun),
            Done::Skipped(offline) => self.offline(offline),
            Done::Interrupted(Ok(count)) => debug!(count, "ended what was cut by a stop"),
            Done::Interrupted(Err(error)) => {
                warn!(%error, "what was cut by a stop could not be ended");
            }
        }
    }

    fn current(&mut self, host: HostId, connection: ConnectionId) -> Option<&mut Host> {
        let known = self.hosts.get_mut(&host);
        known.filter(|known| known.connection == connection)
    }

    /// Ends a connection on which nothing can go on; its agent comes back.
    fn close(&mut self, host: HostId, connection: ConnectionId) {
        if let Some(known) = self.current(host, connection) {
            let text = "the platform cannot keep what is said of commands at present";
            known.tunnel.close(ErrorCode::Overloaded, text);
        }
    }
}

/// What follows from a commit, and from the clock.
impl Engine {
    fn applied(&mut self, batch: Vec<Pending>, applied: Result<Vec<Applied>, StoreError>) {
        self.applying = false;
        let applied = match applied {
            Ok(applied) => applied,
            Err(error) => {
                warn!(%error, changes = batch.len(), "what agents say cannot be written: it is tried again");
                batch
                    .into_iter()
                    .rev()
                    .for_each(|pending| self.pending.push_front(pending));
                self.paused_until = Some(Instant::now() + STORE_RETRY);
                return;
            }
        };
        self.written += batch.len() as u64;
        let mut hosts = BTreeSet::new();
        for (pending, applied) in batch.into_iter().zip(applied) {
            hosts.insert(pending.transition.host);
            self.came_to(pending, applied);
        }
        for host in hosts {
            self.look(host);
        }
        if std::mem::take(&mut self.plans.ended) {
            self.begin_waves();
        }
        self.open_those_written();
    }

    /// Opens a connection once all is written that was to be written before: what the one before it has
    /// said, or was about to be sent, would otherwise be read as it stood, and be sent anew or not at all.
    fn open_when_written(&mut self, host: HostId, connection: ConnectionId) {
        self.opening.push_back((self.put, host, connection));
        self.open_those_written();
    }

    fn open_those_written(&mut self) {
        while let Some((_, host, connection)) = self
            .opening
            .pop_front_if(|(after, ..)| *after <= self.written)
        {
            if let Some(known) = self.current(host, connection) {
                known.synced = true;
                self.review(host);
            }
        }
    }

    fn came_to(&mut self, pending: Pending, applied: Applied) {
        let Pending {
            transition,
            then,
            held,
        } = pending;
        let Transition {
            command,
            host,
            step,
            at,
        } = transition;
        let delivery = &self.delivery;
        match applied {
            Applied::Made(_) if matches!(step, Step::Progress(_)) => {}
            // It waits again, which is not counted.
            Applied::Made(DeliveryState::Queued) => {}
            Applied::Made(state) => {
                delivery.figures.came_to(state);
                if let Step::Ended(end) = &step {
                    let known = self.hosts.get(&host);
                    let flight = known.and_then(|known| known.flights.get(&command));
                    delivery.spans.ended(&Ended {
                        command,
                        host,
                        kind: flight.map_or("", |flight| &flight.kind),
                        sent: flight.map_or(at, |flight| flight.sent),
                        started: end.started,
                        at,
                        state: state.code(),
                        reason: &end.reason,
                    });
                }
                if state.is_final() {
                    self.plans.ended = true;
                    delivery.progress.forget(command, host);
                }
            }
            Applied::Unchanged(_) => delivery.figures.ignored("backwards"),
            Applied::Unknown => delivery.figures.ignored("unknown"),
        }
        if let Some(known) = self.hosts.get_mut(&host) {
            match applied {
                // Its window has closed before it was begun.
                Applied::Made(DeliveryState::Queued) => {
                    if known.flights.remove(&command).is_some() {
                        known.room.give_back();
                    }
                    known.waiting_told += 1;
                    known.backlog = true;
                    known.settle_room();
                }
                Applied::Made(state) | Applied::Unchanged(state) if !state.is_final() => {
                    if let Some(flight) = known.flights.get_mut(&command) {
                        flight.state = flight.state.max(state);
                    }
                }
                _ if known.flights.remove(&command).is_some() => known.room.give_back(),
                _ => {}
            }
        }
        drop(held);
        match then {
            Then::Nothing => {}
            Then::Again(at) => {
                let known = self.hosts.get_mut(&host);
                if let Some(flight) = known.and_then(|known| known.flights.get_mut(&command)) {
                    flight.again = Some(at);
                    self.set_timer(host);
                }
            }
            Then::Acknowledge {
                connection,
                response,
            } => self.acknowledge(host, connection, response),
            Then::Send {
                connection,
                outgoing,
                settled_sequence,
            } => {
                let sent = applied == Applied::Made(DeliveryState::Sent);
                let Some(known) = self.current(host, connection) else {
                    // Kept as sent, and never was. An agent with a journal is sent it when it is back.
                    if sent && matches!(step, Step::Sent { once: true }) {
                        let end = End::new(DeliveryState::Interrupted, "connection_lost", "");
                        self.end(host, command, end);
                    }
                    return;
                };
                known.departing = known.departing.saturating_sub(1);
                match outgoing.filter(|_| sent) {
                    Some(outgoing) => self.depart(host, *outgoing, settled_sequence, None),
                    None => known.room.give_back(),
                }
            }
        }
    }

    fn interrupt(&self) {
        let delivery = self.delivery.clone();
        self.jobs.push(Box::pin(async move {
            let at = UnixMillis::now();
            let count = delivery.store.interrupt_unjournalled(at, CUT_MAX).await;
            Done::Interrupted(count)
        }));
    }

    fn sweep(&mut self) {
        if self.plans.clock_was_set() {
            self.look_at_times();
        }
        let under_way = self.hosts.values().map(|host| host.flights.len()).sum();
        self.delivery.figures.gauge(under_way, self.pending.len());
        if std::mem::replace(&mut self.expiring, true) {
            return;
        }
        let delivery = self.delivery.clone();
        self.jobs.push(Box::pin(async move {
            let now = UnixMillis::now();
            Done::Expired(delivery.store.expire(now, EXPIRED_MAX).await)
        }));
    }

    fn expired(&mut self, expired: Result<Vec<(CommandId, HostId)>, StoreError>) {
        self.expiring = false;
        let expired = match expired {
            Ok(expired) => expired,
            Err(error) => return warn!(%error, "what has expired could not be ended"),
        };
        for _ in &expired {
            self.delivery.figures.came_to(DeliveryState::Expired);
        }
        if expired.len() == EXPIRED_MAX {
            self.sweep();
        }
        if !expired.is_empty() {
            self.begin_waves();
        }
    }

    /// When the engine is to wake by itself.
    fn wakes_at(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let plans = self.plans.wakes_at();
        timer
            .into_iter()
            .chain(self.paused_until)
            .chain(plans)
            .min()
    }

    fn ring(&mut self) {
        let now = Instant::now();
        self.paused_until = self.paused_until.filter(|until| *until > now);
        self.ring_plans(now);
        while let Some((at, host)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, host));
            self.ring_for(host, now);
        }
    }

    fn ring_for(&mut self, host: HostId, now: Instant) {
        let Some(known) = self.hosts.get_mut(&host) else {
            return;
        };
        known.timer = None;
        let (mut unanswered, mut resend) = (Vec::new(), false);
        for (command, flight) in &mut known.flights {
            if flight.deadline.is_some_and(|deadline| deadline <= now) {
                flight.deadline = None;
                unanswered.push(*command);
            }
            if flight.again.is_some_and(|again| again <= now) {
                flight.again = None;
                flight.resend = true;
                resend = true;
            }
        }
        if known.next_due.is_some_and(|due| due <= now) {
            known.next_due = None;
            known.backlog = true;
            known.waiting_told += 1;
            known.settle_room();
        }
        for command in unanswered {
            self.attempt_failed(host, command, sending::NOT_ACKNOWLEDGED, None);
        }
        if resend {
            self.review(host);
        }
        self.look(host);
        self.set_timer(host);
    }

    /// Sets a host's timer to what is due first there.
    fn set_timer(&mut self, host: HostId) {
        let Some(known) = self.hosts.get_mut(&host) else {
            return;
        };
        let due = known.due();
        if due == known.timer {
            return;
        }
        if let Some(timer) = std::mem::replace(&mut known.timer, due) {
            self.timers.remove(&(timer, host));
        }
        self.timers.extend(due.map(|at| (at, host)));
    }

    /// The same where this is what is new.
    fn set_timer_by(&mut self, host: HostId, at: Instant) {
        let known = self.hosts.get(&host);
        if known.is_some_and(|known| known.timer.is_none_or(|timer| timer > at)) {
            self.set_timer(host);
        }
    }
}
