//! What the platform counts, for `/metrics`. This file owns the counts that are made where things
//! happen, and the handles by which others make them; `scrape` and `standing` add what is only looked
//! at when somebody asks, `names` says what each means, `listener` serves it.
//!
//! The way of a request through a tunnel is not slowed by any of it: links keep plain integers, which
//! are added up at a scrape and once more when a connection ends.

mod listener;
mod names;
mod scrape;
pub(in crate::platform) mod standing;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use slab::Slab;
use tokio::sync::Semaphore;

use crate::clock::UnixMillis;
use crate::link::Traffic;
use crate::net::connection::Ending;
use crate::net::stream::Tunnel;
use crate::platform::api::About;
use crate::platform::service::ServiceError;
use crate::platform::store::alert_channels::Tried;
use crate::platform::traces::{self, SpanCounts};
pub use listener::serve;
pub use names::{ALL, Definition, reference};

/// Buckets of what takes a moment: 100 us to 10 s.
pub(super) const LATENCY_BUCKETS: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// A label and its value. Both are words of this program, so that no peer can make more of them.
type Label = (&'static str, &'static str);

/// Through which door a call of the API came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiDoor {
    /// As JSON over HTTP.
    Rest,
    /// As gRPC.
    Grpc,
    /// By WebSocket, as events are followed.
    WebSocket,
}

impl ApiDoor {
    const fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Grpc => "grpc",
            Self::WebSocket => "websocket",
        }
    }
}

/// The outcome of an agent's attempt to connect that was let in.
pub(super) const ADMITTED: &str = "admitted";
/// The outcomes of tries to send a message about an alert.
const SENT: &str = "sent";
const TRIED_AGAIN: &str = "tried_again";
const GIVEN_UP: &str = "given_up";
/// The outcome of a file that came whole.
pub(super) const DONE: &str = "done";

/// Which way a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileWay {
    /// From a client of the API.
    Uploaded,
    /// To a client of the API.
    Downloaded,
    /// To a host.
    Sent,
    /// From a host.
    Fetched,
}

impl FileWay {
    const ALL: [Self; 4] = [Self::Uploaded, Self::Downloaded, Self::Sent, Self::Fetched];

    const fn name(self) -> &'static str {
        match self {
            Self::Uploaded => "uploaded",
            Self::Downloaded => "downloaded",
            Self::Sent => "sent",
            Self::Fetched => "fetched",
        }
    }
}

/// A call that is being answered, counted at its end however it ends.
struct ApiCall<'a> {
    metrics: &'a Metrics,
    about: &'static About,
    door: ApiDoor,
    begun: Instant,
    code: &'static str,
}

impl Drop for ApiCall<'_> {
    fn drop(&mut self) {
        let elapsed = self.begun.elapsed();
        self.metrics.api(self.about, self.door, self.code, elapsed);
    }
}

/// What the platform counts where it happens. Shared; each call is short and never waits.
#[derive(Debug)]
pub struct Metrics {
    tls_handshakes: Family<[Label; 1], Counter>,
    handshakes: Family<[Label; 1], Counter>,
    reconnects: Family<[Label; 1], Counter>,
    disconnects: Family<[Label; 1], Counter>,
    round_trip: Histogram,
    api_calls: Family<[Label; 4], Counter>,
    api_latency: Family<[Label; 3], Histogram>,
    alert_messages: Family<[Label; 1], Counter>,
    files: Family<[Label; 2], Counter>,
    file_bytes: Family<[Label; 1], Counter>,
    links: Mutex<Links>,
    places: OnceLock<Places>,
    spans: OnceLock<Arc<SpanCounts>>,
    started: Duration,
}

/// The links that stand, and what those that have ended carried.
#[derive(Debug, Default)]
struct Links {
    standing: Slab<Tunnel>,
    ended: Traffic,
}

/// The connections that the listeners may hold at once.
#[derive(Debug)]
struct Places {
    left: Arc<Semaphore>,
    /// With those that the listeners hold themselves while they wait.
    all: usize,
    listeners: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        let latency: fn() -> Histogram = || Histogram::new(LATENCY_BUCKETS);
        // These are there from the start, so that a query finds none in place of nothing.
        let files = Family::<[Label; 2], Counter>::default();
        let file_bytes = Family::<[Label; 1], Counter>::default();
        for way in FileWay::ALL.map(FileWay::name) {
            files
                .get_or_create(&[("way", way), ("outcome", DONE)])
                .inc_by(0);
            file_bytes.get_or_create(&[("way", way)]).inc_by(0);
        }
        for outcome in ["hash_mismatch", "disk_full", "disk_failed"] {
            let way = FileWay::Uploaded.name();
            let _ = files.get_or_create(&[("way", way), ("outcome", outcome)]);
        }
        let handshakes = Family::<[Label; 1], Counter>::default();
        let _ = handshakes.get_or_create(&[("outcome", ADMITTED)]);
        let alert_messages = Family::<[Label; 1], Counter>::default();
        for outcome in [SENT, TRIED_AGAIN, GIVEN_UP] {
            let _ = alert_messages.get_or_create(&[("outcome", outcome)]);
        }
        Self {
            alert_messages,
            tls_handshakes: Family::default(),
            handshakes,
            reconnects: Family::default(),
            disconnects: Family::default(),
            round_trip: latency(),
            api_calls: Family::default(),
            api_latency: Family::new_with_constructor(latency),
            files,
            file_bytes,
            links: Mutex::default(),
            places: OnceLock::new(),
            spans: OnceLock::new(),
            // A clock before 1970 is wrong anyhow.
            started: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }
}

impl Metrics {
    /// When the platform started.
    pub const fn started(&self) -> UnixMillis {
        UnixMillis(self.started.as_millis() as u64)
    }

    /// A call of the API was answered with `ok` or the code of the refusal, a word of this program and
    /// never of the caller's.
    pub fn api(&self, about: &'static About, door: ApiDoor, code: &'static str, elapsed: Duration) {
        let service = ("service", about.service);
        let method = ("method", about.name);
        let door = ("door", door.name());
        self.api_calls
            .get_or_create(&[service, method, door, ("code", code)])
            .inc();
        self.api_latency
            .get_or_create(&[service, method, door])
            .observe(elapsed.as_secs_f64());
    }

    /// Has a call of the API answered, and counts it: as `abandoned` where its caller leaves before that.
    pub async fn api_call<T>(
        &self,
        about: &'static About,
        door: ApiDoor,
        call: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, ServiceError> {
        let mut counted = ApiCall {
            metrics: self,
            about,
            door,
            begun: Instant::now(),
            code: "abandoned",
        };
        let answer = call.await;
        counted.code = answer.as_ref().map_or_else(|error| error.code, |_| "ok");
        traces::called(about.service, about.name, counted.code);
        answer
    }

    /// An agent's attempt to connect came to this: `admitted`, or a stable code.
    pub(super) fn handshake(&self, outcome: &'static str) {
        self.handshakes.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// An agent was let in that had been connected before.
    pub(super) fn reconnect(&self, replaced: bool) {
        let kind = if replaced { "replaced" } else { "returned" };
        self.reconnects.get_or_create(&[("kind", kind)]).inc();
    }

    /// An admitted connection has ended.
    pub(super) fn disconnect(&self, ending: &Ending) {
        let reason = ending_word(ending);
        self.disconnects.get_or_create(&[("reason", reason)]).inc();
    }

    /// A client's TLS handshake came to this.
    pub(super) fn tls_handshake(&self, outcome: &'static str) {
        let labels = [("outcome", outcome)];
        self.tls_handshakes.get_or_create(&labels).inc();
    }

    /// A connection's round trip, as it is now.
    pub(super) fn round_trip(&self, round_trip: Duration) {
        self.round_trip.observe(round_trip.as_secs_f64());
    }

    /// A try to send a message about an alert came to this.
    pub(super) fn alert_message(&self, tried: &Tried) {
        let outcome = match tried {
            Tried::Sent => SENT,
            Tried::Again(_) => TRIED_AGAIN,
            Tried::GivenUp => GIVEN_UP,
        };
        let labels = [("outcome", outcome)];
        self.alert_messages.get_or_create(&labels).inc();
    }

    /// A file's way came to this: [`DONE`], or a word for why it did not.
    pub(super) fn file(&self, way: FileWay, outcome: &'static str) {
        let labels = [("way", way.name()), ("outcome", outcome)];
        self.files.get_or_create(&labels).inc();
    }

    /// So many bytes of files went that way.
    pub(super) fn file_bytes(&self, way: FileWay, bytes: usize) {
        let labels = [("way", way.name())];
        self.file_bytes.get_or_create(&labels).inc_by(bytes as u64);
    }

    /// Counts what a link carries for as long as what is returned is held; to be held until the link
    /// has ended.
    pub(super) fn watch(self: &Arc<Self>, tunnel: Tunnel) -> Watched {
        let key = self.links().standing.insert(tunnel);
        Watched {
            metrics: self.clone(),
            key,
        }
    }

    /// From where the listeners take their connections' places: so many, of which each of these
    /// listeners holds one itself.
    pub(super) fn watch_places(&self, left: Arc<Semaphore>, all: usize, listeners: usize) {
        // A platform runs once.
        let _ = self.places.set(Places {
            left,
            all,
            listeners,
        });
    }

    /// What becomes of spans is counted here.
    pub(super) fn watch_spans(&self, counts: Arc<SpanCounts>) {
        // There is one way to a collector.
        let _ = self.spans.set(counts);
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        // Both fields are whole at every step.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An agent's attempt to connect. What it comes to first is what is counted.
#[derive(Debug)]
pub(super) struct Attempt {
    metrics: Arc<Metrics>,
    counted: AtomicBool,
}

impl Attempt {
    /// One that has just begun.
    pub(super) const fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            counted: AtomicBool::new(false),
        }
    }

    /// It came to this: `admitted`, or a stable code.
    pub(super) fn came_to(&self, outcome: &'static str) {
        if !self.counted.swap(true, Ordering::Relaxed) {
            self.metrics.handshake(outcome);
        }
    }
}

/// A link whose traffic is counted.
pub(super) struct Watched {
    metrics: Arc<Metrics>,
    key: usize,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut links = self.metrics.links();
        if let Some(tunnel) = links.standing.try_remove(self.key) {
            let Links { ended, .. } = &mut *links;
            tunnel.look(|link| ended.add(link.traffic()));
        }
    }
}

/// One word for how a connection ended: of what it broke, the code.
pub(super) fn ending_word(ending: &Ending) -> &'static str {
    match ending {
        Ending::Local(_) => "closed_by_platform",
        Ending::Peer { .. } => "closed_by_agent",
        Ending::Violation(violation) => violation.code.name().unwrap_or("unknown"),
        Ending::Lost(_) => "lost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_metric_is_defined_twice_and_none_names_a_host() {
        let mut names: Vec<_> = ALL.iter().map(Definition::full_name).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        let forbidden = ["host", "user", "address", "session", "id"];
        for label in ALL.iter().flat_map(|definition| definition.labels) {
            assert!(!forbidden.contains(label), "{label}");
        }
    }
}
