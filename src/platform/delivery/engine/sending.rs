//! What is sent to hosts: what waits, in its order and as far as there is room, and what was sent before and
//! may not have arrived.

use tokio::time::Instant;
use tracing::warn;

use super::super::host::{ANSWER_MAX, Flight, Then, instant};
use super::super::intake::Held;
use super::super::{Sending, backoff, message};
use super::{Done, Engine, Look};
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId};
use crate::platform::registry::ConnectionId;
use crate::platform::store::deliveries::{DeliveryState, Due, End, Outgoing, Step};
use crate::platform::store::{Store, StoreError};
use crate::platform::windows::{self, Standing};

/// Deliveries under way that are read at once: the window, and what agents have reported beside it.
const REVIEW_MAX: usize = 4096;
/// Attempts before a delivery is a dead letter.
const ATTEMPTS_MAX: u32 = 10;
/// Why an attempt came to nothing on which the agent said nothing.
pub(super) const NOT_ACKNOWLEDGED: &str = "not_acknowledged";

impl Engine {
    /// Looks what is under way to a host, and sends what it may not have.
    pub(super) fn review(&mut self, host: HostId) {
        let Some(known) = self.hosts.get_mut(&host).filter(|known| known.synced) else {
            return;
        };
        if known.reviewing {
            known.review_again = true;
            return;
        }
        known.reviewing = true;
        let (delivery, connection) = (self.delivery.clone(), known.connection);
        self.jobs.push(Box::pin(async move {
            let due = delivery.store.under_way(host, REVIEW_MAX).await;
            Done::UnderWay(host, connection, due)
        }));
    }

    pub(super) fn reviewed(&mut self, host: HostId, connection: ConnectionId, due: Due) {
        let now = Instant::now();
        let Some(known) = self.current(host, connection) else {
            return;
        };
        known.reviewing = false;
        let again = std::mem::take(&mut known.review_again);
        let journalled = known.journalled;
        let mut unreadable = Vec::new();
        for outgoing in due.deliveries {
            let command = outgoing.command;
            let cancel = outgoing.cancel_requested && journalled;
            let known_flight = known.flights.get_mut(&command);
            let goes = match &known_flight {
                None => true,
                Some(flight) => flight.resend,
            };
            if known_flight.is_none() {
                // What an agent without a journal was sent, it was sent on this connection.
                if !journalled {
                    continue;
                }
                known.room.take(1);
                known.flights.insert(command, Flight::new(&outgoing));
            }
            if goes {
                let state = outgoing.state;
                match message::command(host, outgoing, due.settled_sequence, journalled) {
                    Some(message) => {
                        let _ = known.tunnel.send(message);
                    }
                    None => unreadable.push(command),
                }
                if let Some(flight) = known.flights.get_mut(&command) {
                    flight.resend = false;
                    // An agent that could not take it has not kept that it was cancelled either.
                    flight.cancel_sent = false;
                    flight.deadline = (state == DeliveryState::Sent).then(|| now + ANSWER_MAX);
                }
            }
            if let Some(flight) = known.flights.get_mut(&command)
                && cancel
                && !std::mem::replace(&mut flight.cancel_sent, true)
            {
                let _ = known.tunnel.send(message::cancel(command));
            }
        }
        for command in unreadable {
            self.unreadable(host, command);
        }
        if again {
            self.review(host);
        }
        self.set_timer(host);
        self.look(host);
    }

    /// Looks what waits for a host, where it has room.
    pub(super) fn look(&mut self, host: HostId) {
        let Some(known) = self.hosts.get_mut(&host) else {
            return;
        };
        let Some(count) = known.may_look() else {
            return;
        };
        known.looking = true;
        let look = Look {
            waiting_told: known.waiting_told,
            count,
        };
        let (delivery, connection) = (self.delivery.clone(), known.connection);
        self.jobs.push(Box::pin(async move {
            let due = due(&*delivery.store, host, UnixMillis::now(), count).await;
            Done::Waiting(host, connection, look, due)
        }));
    }

    pub(super) fn looked(
        &mut self,
        host: HostId,
        connection: ConnectionId,
        look: &Look,
        mut due: Due,
    ) {
        let Some(known) = self.current(host, connection) else {
            return;
        };
        known.looking = false;
        let (once, now) = (!known.journalled, UnixMillis::now());
        let all = due.deliveries.len() < look.count && known.waiting_told == look.waiting_told;
        // A window may have closed since.
        let is_open = |outgoing: &Outgoing| outgoing.until.is_none_or(|until| until > now);
        let found = due.deliveries.len();
        due.deliveries.retain(is_open);
        let all = all && due.deliveries.len() == found;
        known.backlog = !all;
        known.next_due = due.next_due.map(instant);
        known.shut = due.shut;
        known.departing = due.deliveries.len();
        known.room.take(due.deliveries.len());
        known.settle_room();
        for mut outgoing in due.deliveries {
            let command = outgoing.command;
            let (step, then) = if outgoing.expires.is_some_and(|expires| expires <= now) {
                let end = End::new(DeliveryState::Expired, "expired", "");
                (Step::Ended(Box::new(end)), None)
            } else if let Some(until) = outgoing.until {
                // What its agent has not begun by then, it does not begin.
                outgoing.expires = Some(outgoing.expires.map_or(until, |end| end.min(until)));
                (Step::SentInWindow { once, until }, Some(outgoing))
            } else {
                (Step::Sent { once }, Some(outgoing))
            };
            let then = Then::Send {
                connection,
                outgoing: then.map(Box::new),
                settled_sequence: due.settled_sequence,
            };
            self.put(host, command, step, then, None);
        }
        self.set_timer(host);
        // Where something came meanwhile and nothing departs.
        self.look(host);
    }

    /// Sends what was kept as sent when it was made.
    pub(super) fn send_at_once(&mut self, sending: Sending) {
        let Sending {
            reservation,
            outgoing,
            settled_sequence,
            accepted,
        } = sending;
        let Some(room) = reservation.used() else {
            return;
        };
        let host = room.host;
        if self.current(host, room.connection).is_none() {
            // Its connection has ended; the next one may have begun before this was in the store.
            return self.review(host);
        }
        self.depart(host, outgoing, settled_sequence, Some(accepted));
    }

    pub(super) fn depart(
        &mut self,
        host: HostId,
        outgoing: Outgoing,
        settled_sequence: u64,
        accepted: Option<Instant>,
    ) {
        let Some(known) = self.hosts.get_mut(&host) else {
            return;
        };
        let command = outgoing.command;
        let mut flight = Flight::new(&outgoing);
        flight.state = DeliveryState::Sent;
        flight.accepted = accepted;
        let deadline = known.journalled.then(|| Instant::now() + ANSWER_MAX);
        flight.deadline = deadline;
        if known.flights.insert(command, flight).is_some() {
            // A review has found it first, and has sent it.
            known.room.give_back();
            return;
        }
        match message::command(host, outgoing, settled_sequence, known.journalled) {
            Some(message) => {
                let _ = known.tunnel.send(message);
            }
            None => self.unreadable(host, command),
        }
        if let Some(deadline) = deadline {
            self.set_timer_by(host, deadline);
        }
    }

    /// What was kept cannot be sent by this release.
    pub(super) fn unreadable(&mut self, host: HostId, command: CommandId) {
        warn!(%host, %command, "what is kept of a command cannot be sent");
        let detail = "what is kept of the parameters cannot be read";
        let end = End::new(DeliveryState::Dead, "parameters_invalid", detail);
        self.end(host, command, end);
    }

    pub(super) fn attempt_failed(
        &mut self,
        host: HostId,
        command: CommandId,
        reason: &'static str,
        held: Option<Held>,
    ) {
        let flight = self.hosts.get_mut(&host);
        let Some(flight) = flight.and_then(|known| known.flights.get_mut(&command)) else {
            return;
        };
        flight.deadline = None;
        flight.attempts += 1;
        // Of what it never answered nobody knows whether it is on its way to it still, or to its disk.
        flight.unanswered |= reason == NOT_ACKNOWLEDGED;
        if flight.attempts >= ATTEMPTS_MAX {
            let (state, detail) = match flight.unanswered {
                false => (
                    DeliveryState::Dead,
                    "the agent could not take it, again and again",
                ),
                true => (
                    DeliveryState::Interrupted,
                    "the agent was connected and did not say whether it has it, again and again",
                ),
            };
            if let Some(known) = self
                .hosts
                .get(&host)
                .filter(|_| state != DeliveryState::Dead)
            {
                let _ = known.tunnel.send(message::cancel(command));
            }
            let end = End::new(state, "attempts_exhausted", detail);
            return self.end(host, command, end);
        }
        let wait = backoff::wait(flight.attempts);
        let step = Step::Retry {
            next_attempt: UnixMillis::now().plus(wait),
            reason,
        };
        self.put(
            host,
            command,
            step,
            Then::Again(Instant::now() + wait),
            held,
        );
    }
}

/// What waits for a host and may be sent now, with what is for its maintenance windows where one is open.
async fn due(
    store: &dyn Store,
    host: HostId,
    now: UnixMillis,
    count: usize,
) -> Result<Due, StoreError> {
    let mut due = store.due(host, now, false, count).await?;
    if !due.shut {
        return Ok(due);
    }
    let windows = store.maintenance_windows(vec![host]).await?;
    let windows = windows.into_values().next().unwrap_or_default();
    match windows::standing(&windows, now) {
        Standing::Open(until) => {
            due = store.due(host, now, true, count).await?;
            for outgoing in due.deliveries.iter_mut().filter(|it| it.in_window) {
                outgoing.until = Some(until);
            }
        }
        Standing::Shut(opens) => {
            let sooner = due.next_due.map_or(opens, |next| next.min(opens));
            due.next_due = Some(sooner);
        }
        Standing::Never => {}
    }
    Ok(due)
}
