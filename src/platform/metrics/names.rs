//! Every metric there is: its name, kind, labels and meaning. The exposition and the table in
//! `docs/OPERATIONS.md` both come from here. No label ever names a host, a user or an address: each
//! has as many values as the schema or this program has words.

use std::fmt::Write as _;

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// A metric, as it is described to whoever reads it.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Its name without unit and `_total`.
    name: &'static str,
    unit: Option<UnitWord>,
    kind: Kind,
    /// Its labels, in their order.
    pub(super) labels: &'static [&'static str],
    /// What it says, as a phrase without a full stop.
    pub(super) help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnitWord {
    Bytes,
    Seconds,
}

/// How its values are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It only grows while the platform runs.
    Counter,
    /// It is as it is at present.
    Gauge,
    /// It tells how values are spread.
    Histogram,
}

impl Definition {
    const fn new(kind: Kind, name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            unit: None,
            kind,
            labels: &[],
            help,
        }
    }

    const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Counter, name, help)
    }

    const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Gauge, name, help)
    }

    const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Histogram, name, help)
    }

    const fn seconds(mut self) -> Self {
        self.unit = Some(UnitWord::Seconds);
        self
    }

    const fn bytes(mut self) -> Self {
        self.unit = Some(UnitWord::Bytes);
        self
    }

    const fn by(mut self, labels: &'static [&'static str]) -> Self {
        self.labels = labels;
        self
    }

    /// Its name as a query has it; a histogram's without `_bucket`, `_sum` and `_count`.
    pub fn full_name(&self) -> String {
        let unit = match self.unit {
            None => "",
            Some(UnitWord::Bytes) => "_bytes",
            Some(UnitWord::Seconds) => "_seconds",
        };
        let total = if self.kind == Kind::Counter {
            "_total"
        } else {
            ""
        };
        format!("{}{unit}{total}", self.name)
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) const fn unit(&self) -> Option<&'static Unit> {
        match self.unit {
            None => None,
            Some(UnitWord::Bytes) => Some(&Unit::Bytes),
            Some(UnitWord::Seconds) => Some(&Unit::Seconds),
        }
    }

    pub(super) const fn metric_type(&self) -> MetricType {
        match self.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        }
    }
}

pub(super) const BUILD: Definition =
    Definition::gauge("fleetwire_build", "1, with the program's version as label").by(&["version"]);
pub(super) const HOSTS: Definition = Definition::gauge(
    "fleetwire_hosts",
    "Hosts by state: online, offline, or revoked",
)
.by(&["state"]);
pub(super) const ALERTS: Definition = Definition::gauge(
    "fleetwire_alerts_firing",
    "The platform's own alerts that fire, by severity",
)
.by(&["severity"]);
pub(super) const ALERT_MESSAGES: Definition = Definition::counter(
    "fleetwire_alert_messages",
    "Tries to send a message about an alert, by outcome: sent, tried_again (later), given_up",
)
.by(&["outcome"]);
pub(super) const CONNECTIONS: Definition = Definition::gauge(
    "fleetwire_connections",
    "Connections on both listeners, agents' and browsers' and clients' together",
);
pub(super) const CONNECTIONS_MAX: Definition = Definition::gauge(
    "fleetwire_connections_max",
    "How many there may be: the setting connections_max",
);
pub(super) const TLS_HANDSHAKES: Definition = Definition::counter(
    "fleetwire_tls_handshakes",
    "TLS handshakes by outcome: done, failed, or timeout",
)
.by(&["outcome"]);
pub(super) const AGENT_CONNECTIONS: Definition = Definition::gauge(
    "fleetwire_agent_connections",
    "Agents' connections by state: greeting (no hello yet), deciding (it is looked up), open, \
     draining (told to go), closed (its last words leave)",
)
.by(&["state"]);
pub(super) const AGENT_HANDSHAKES: Definition = Definition::counter(
    "fleetwire_agent_handshakes",
    "Agents' attempts to connect by outcome: admitted, or the code they were refused with, or \
     lost, closed_by_agent, closed_by_platform where they ended before that",
)
.by(&["outcome"]);
pub(super) const AGENT_RECONNECTS: Definition = Definition::counter(
    "fleetwire_agent_reconnects",
    "Agents let in that had been connected before with the same credential: returned, or replaced \
     where their earlier connection still stood",
)
.by(&["kind"]);
pub(super) const AGENT_DISCONNECTS: Definition = Definition::counter(
    "fleetwire_agent_disconnects",
    "Admitted connections that ended, by reason: closed_by_agent, closed_by_platform, lost, or the \
     code of what the agent broke",
)
.by(&["reason"]);
pub(super) const ROUND_TRIP: Definition = Definition::histogram(
    "fleetwire_agent_round_trip",
    "Round trips between platform and agents, one with each heartbeat but a connection's first; of an \
     agent that does not say it, what its traffic has shown, if there was any",
)
.seconds();
pub(super) const LINK_MESSAGES: Definition = Definition::counter(
    "fleetwire_link_messages",
    "Messages to (sent) and from (received) agents by lane: control, free (heads and ends), \
     interactive, bulk",
)
.by(&["direction", "lane"]);
pub(super) const LINK_BYTES: Definition = Definition::counter(
    "fleetwire_link",
    "Their bytes, without the framing of WebSocket and TLS",
)
.bytes()
.by(&["direction", "lane"]);
pub(super) const STREAMS_OPEN: Definition = Definition::gauge(
    "fleetwire_streams_open",
    "Streams that are open, one an HTTP exchange with a device",
);
pub(super) const STREAMS_OPENED: Definition =
    Definition::counter("fleetwire_streams_opened", "Streams that were opened");
pub(super) const STREAMS_RESET: Definition = Definition::counter(
    "fleetwire_streams_reset",
    "Directions of streams that ended before their end, by side (agent or platform) and code; \
     unknown for codes that this platform does not name",
)
.by(&["by", "code"]);
pub(super) const SESSIONS: Definition = Definition::gauge(
    "fleetwire_console_sessions",
    "Console sessions that are open by state: waiting (for their ticket) or entered",
)
.by(&["state"]);
pub(super) const SESSIONS_OPENED: Definition = Definition::counter(
    "fleetwire_console_sessions_opened",
    "Console sessions that were opened since the start",
);
pub(super) const SESSIONS_ENDED: Definition = Definition::counter(
    "fleetwire_console_sessions_ended",
    "Console sessions that ended, by reason as in the audit log",
)
.by(&["reason"]);
pub(super) const API_CALLS: Definition = Definition::counter(
    "fleetwire_api_calls",
    "Calls of the API by service and method, door (rest, grpc or websocket) and code: ok, that of the refusal, or \
     abandoned where the caller left before",
)
.by(&["service", "method", "door", "code"]);
pub(super) const API_LATENCY: Definition = Definition::histogram(
    "fleetwire_api_call",
    "How long calls of the API took, from the request's head to the answer's",
)
.seconds()
.by(&["service", "method", "door"]);
pub(super) const EVENT_FOLLOWERS: Definition = Definition::gauge(
    "fleetwire_event_followers",
    "Followers of events: consoles in browsers, and clients of the API",
);
pub(super) const EVENTS: Definition = Definition::counter(
    "fleetwire_events",
    "Events that were kept, since the database was made",
);
pub(super) const STORE_COMMIT: Definition = Definition::histogram(
    "fleetwire_store_commit",
    "How long transactions took from their begin to the end of their sync",
)
.seconds();
pub(super) const STORE_CHANGES: Definition = Definition::histogram(
    "fleetwire_store_commit_changes",
    "How many changes one transaction carried",
);
pub(super) const STORE_FAILURES: Definition = Definition::counter(
    "fleetwire_store_failures",
    "Transactions that could not be committed; each is in the log",
);
pub(super) const STORE_QUEUED: Definition = Definition::gauge(
    "fleetwire_store_queued",
    "What waits for the store by kind: writes or reads",
)
.by(&["kind"]);
pub(super) const STORE_SIZE: Definition = Definition::gauge(
    "fleetwire_store",
    "Size of the store's files: database, and journal (what goes in there next)",
)
.bytes()
.by(&["file"]);
pub(super) const DISK_SIZE: Definition = Definition::gauge(
    "fleetwire_data_size",
    "Size of the file system that the data directory is on",
)
.bytes();
pub(super) const DISK_FREE: Definition =
    Definition::gauge("fleetwire_data_free", "What of it is free for the platform").bytes();
pub(super) const BACKUP: Definition = Definition::gauge(
    "fleetwire_backup_newest",
    "When the newest whole backup on the disk was begun, in seconds since 1970; absent where there is none",
)
.seconds();
pub(super) const CERTIFICATE_ENDS: Definition = Definition::gauge(
    "fleetwire_certificate_ends",
    "When certificates end, in seconds since 1970: server (the platform's own), authority (its CA's), operator (the \
     one that the settings name)",
)
.seconds()
.by(&["certificate"]);
pub(super) const DELIVERIES_WAITING: Definition = Definition::gauge(
    "fleetwire_deliveries_waiting",
    "Deliveries that wait for their host, or their turn there",
);
pub(super) const DEAD_LETTERS: Definition = Definition::gauge(
    "fleetwire_dead_letters",
    "Dead letters that nobody has redriven or discarded",
);
pub(super) const DELIVERIES: Definition = Definition::counter(
    "fleetwire_deliveries",
    "Steps of deliveries by the state that they led to; queued is not counted",
)
.by(&["state"]);
pub(super) const DELIVERIES_UNDER_WAY: Definition = Definition::gauge(
    "fleetwire_deliveries_under_way",
    "Deliveries that connected hosts were sent and that have not ended",
);
pub(super) const DELIVERIES_UNWRITTEN: Definition = Definition::gauge(
    "fleetwire_deliveries_unwritten",
    "Steps of deliveries that wait to be written",
);
pub(super) const DELIVERIES_RECEIVED: Definition = Definition::histogram(
    "fleetwire_delivery_received",
    "From a command's acceptance to its agent's word that it has it, of those that were sent at once",
)
.seconds();
pub(super) const DELIVERIES_IGNORED: Definition = Definition::counter(
    "fleetwire_deliveries_ignored",
    "What agents said of commands that changed nothing, by reason: backwards (it stood there or further), \
     not_under_way, unknown, unexpected",
)
.by(&["reason"]);
pub(super) const FILES: Definition = Definition::counter(
    "fleetwire_files",
    "Files by way (uploaded, downloaded: by a client; sent, fetched: to and from a host) and outcome: done, \
     hash_mismatch, disk_full, disk_failed, or broken_off (of a host's; it is begun again); a client that stops \
     is not counted",
)
.by(&["way", "outcome"]);
pub(super) const FILE_BYTES: Definition =
    Definition::counter("fleetwire_file", "Their bytes, as far as they came")
        .bytes()
        .by(&["way"]);
pub(super) const SPANS: Definition = Definition::counter(
    "fleetwire_otlp_spans",
    "Spans for OpenTelemetry by outcome: exported, failed (the endpoint did not take them), or \
     dropped (too many waited); only with otlp_endpoint",
)
.by(&["outcome"]);
pub(super) const PROCESS_CPU: Definition =
    Definition::counter("process_cpu", "CPU time of the process, user and system").seconds();
pub(super) const PROCESS_RESIDENT: Definition =
    Definition::gauge("process_resident_memory", "Memory that the process holds").bytes();
pub(super) const PROCESS_FILES: Definition =
    Definition::gauge("process_open_fds", "Files it has open");
pub(super) const PROCESS_FILES_MAX: Definition =
    Definition::gauge("process_max_fds", "Files it may have open");
pub(super) const PROCESS_START: Definition = Definition::gauge(
    "process_start_time",
    "When the platform started, in seconds since 1970",
)
.seconds();

/// Every metric, in the order of the exposition.
pub const ALL: &[Definition] = &[
    BUILD,
    HOSTS,
    ALERTS,
    ALERT_MESSAGES,
    DELIVERIES_WAITING,
    DEAD_LETTERS,
    CONNECTIONS,
    CONNECTIONS_MAX,
    TLS_HANDSHAKES,
    AGENT_CONNECTIONS,
    AGENT_HANDSHAKES,
    AGENT_RECONNECTS,
    AGENT_DISCONNECTS,
    ROUND_TRIP,
    LINK_MESSAGES,
    LINK_BYTES,
    STREAMS_OPEN,
    STREAMS_OPENED,
    STREAMS_RESET,
    SESSIONS,
    SESSIONS_OPENED,
    SESSIONS_ENDED,
    API_CALLS,
    API_LATENCY,
    EVENT_FOLLOWERS,
    EVENTS,
    STORE_COMMIT,
    STORE_CHANGES,
    STORE_FAILURES,
    STORE_QUEUED,
    STORE_SIZE,
    DISK_SIZE,
    DISK_FREE,
    BACKUP,
    CERTIFICATE_ENDS,
    DELIVERIES,
    DELIVERIES_UNDER_WAY,
    DELIVERIES_UNWRITTEN,
    DELIVERIES_RECEIVED,
    DELIVERIES_IGNORED,
    FILES,
    FILE_BYTES,
    SPANS,
    PROCESS_CPU,
    PROCESS_RESIDENT,
    PROCESS_FILES,
    PROCESS_FILES_MAX,
    PROCESS_START,
];

/// All of them as a table in Markdown, for the documentation.
pub fn reference() -> String {
    let mut table =
        String::from("| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n");
    for definition in ALL {
        let kind = match definition.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<_> = definition.labels.iter().map(|l| format!("`{l}`")).collect();
        // Writing to a text cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | {kind} | {} | {} |",
            definition.full_name(),
            labels.join(", "),
            definition.help
        );
    }
    table
}
