//! What the engine keeps in memory of one connected host: what is under way there, and what is being done
//! about it. All of it comes from the store, and goes with the connection.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Arrival;
use super::intake::Held;
use super::room::Room;
use crate::clock::UnixMillis;
use crate::ids::CommandId;
use crate::net::stream::Tunnel;
use crate::platform::registry::ConnectionId;
use crate::platform::store::deliveries::{DeliveryState, JournalClaim, Outgoing, Reported};

/// How long a connected agent may take to say that it has a command.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A connected host.
pub(super) struct Host {
    pub connection: ConnectionId,
    pub tunnel: Tunnel,
    pub journalled: bool,
    /// It takes streams for files.
    pub file_streams: bool,
    pub room: Arc<Room>,
    pub flights: HashMap<CommandId, Flight>,
    /// Its journal and the store agree: it may be sent commands.
    pub synced: bool,
    /// It was asked to report on this connection.
    pub asked: bool,
    /// What is to be taken in before its journal is looked at again.
    pub reports: VecDeque<(Reported, Held)>,
    pub journal: Option<(JournalClaim, Held)>,
    /// Its reports or its journal are with the store.
    pub talking: bool,
    /// There may be something that waits for it.
    pub backlog: bool,
    /// How often it was said that something waits: one that comes while it is looked is not overlooked.
    pub waiting_told: u64,
    /// It is being looked what waits.
    pub looking: bool,
    /// Deliveries that go out once they are kept as sent.
    pub departing: usize,
    /// It is being looked what is under way.
    pub reviewing: bool,
    /// It is to be looked again after that.
    pub review_again: bool,
    /// When it is to be looked at next.
    pub timer: Option<Instant>,
    /// When something of what waits may be sent.
    pub next_due: Option<Instant>,
    /// Something waits for one of its maintenance windows.
    pub shut: bool,
}

/// A delivery under way.
pub(super) struct Flight {
    pub kind: String,
    pub state: DeliveryState,
    /// When it was sent over this connection, or found to have been sent before.
    pub sent: UnixMillis,
    pub attempts: u32,
    /// Until when the agent is to say that it has it.
    pub deadline: Option<Instant>,
    /// When it is to be sent again.
    pub again: Option<Instant>,
    /// It is to be sent with the next review.
    pub resend: bool,
    pub cancel_sent: bool,
    /// It was sent over this connection and nothing was said to that, for as long as that may take.
    pub unanswered: bool,
    /// When it was accepted, where it was sent at once.
    pub accepted: Option<Instant>,
    /// The progress that was written last, and when.
    pub progress: Option<(u32, Instant)>,
}

impl Flight {
    pub fn new(outgoing: &Outgoing) -> Self {
        Self {
            kind: outgoing.kind.clone(),
            state: outgoing.state,
            sent: UnixMillis::now(),
            attempts: outgoing.attempts,
            deadline: None,
            again: None,
            resend: false,
            cancel_sent: false,
            unanswered: false,
            accepted: None,
            progress: None,
        }
    }

    /// When it is to be looked at next.
    fn due(&self) -> Option<Instant> {
        let times = [self.deadline, self.again];
        times.into_iter().flatten().min()
    }
}

impl Host {
    pub fn new(arrival: &Arrival, room: Arc<Room>) -> Self {
        Self {
            connection: arrival.connection,
            tunnel: arrival.tunnel.clone(),
            journalled: arrival.journalled,
            file_streams: arrival.file_streams,
            room,
            flights: HashMap::new(),
            synced: false,
            asked: false,
            reports: VecDeque::new(),
            journal: None,
            talking: false,
            backlog: true,
            waiting_told: 0,
            looking: false,
            departing: 0,
            reviewing: false,
            review_again: false,
            timer: None,
            next_due: None,
            shut: false,
        }
    }

    /// When it is to be looked at next.
    pub fn due(&self) -> Option<Instant> {
        let flights = self.flights.values().filter_map(Flight::due);
        flights.chain(self.next_due).min()
    }

    /// How much may be asked of the store for it now; `None` where it is not the time.
    pub fn may_look(&self) -> Option<usize> {
        let may = self.synced && self.backlog && !self.looking && self.departing == 0;
        let room = self.room.left();
        (may && room > 0).then_some(room)
    }

    /// Lets new commands go out at once where nothing waits before them.
    pub fn settle_room(&self) {
        self.room
            .set_open(self.synced && self.journalled && !self.backlog);
    }
}

/// The instant of the runtime's clock at that time.
pub(super) fn instant(at: UnixMillis) -> Instant {
    Instant::now() + at.since(UnixMillis::now())
}

/// What is kept of a batch until the store has answered.
pub(super) enum Then {
    Nothing,
    /// It goes out.
    Send {
        connection: ConnectionId,
        /// `None` where it had expired meanwhile.
        outgoing: Option<Box<Outgoing>>,
        settled_sequence: u64,
    },
    /// It is sent again at that time.
    Again(Instant),
    /// The agent is told that its response is kept.
    Acknowledge {
        connection: ConnectionId,
        response: String,
    },
}
