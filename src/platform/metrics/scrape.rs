//! One scrape: what is looked at only now (links, sessions, the store's queues, the process, and what
//! `standing` has), and the text of it all with what was counted on the way. It runs on a thread of its own, as a hundred
//! thousand links take some milliseconds to add up.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric, NoLabelSet,
};
use prometheus_client::registry::Registry;

use super::names::{self, Definition};
use super::standing::{Disk, Standing};
use super::{Label, Places};
use crate::link::{Stage, Traffic, TrafficLane};
use crate::platform::store::alerts::Severity;
use crate::platform::{Platform, ca};
use crate::process;

/// The exposition in OpenMetrics' text format.
pub(super) fn text(platform: &Arc<Platform>, standing: Option<Standing>) -> String {
    let mut registry = Registry::default();
    let platform = platform.clone();
    registry.register_collector(Box::new(Scrape { platform, standing }));
    let mut out = String::with_capacity(16 << 10);
    // Writing to a text cannot fail, and values have a form each.
    let _ = text::encode(&mut out, &registry);
    out
}

struct Scrape {
    platform: Arc<Platform>,
    /// `None` where the store did not say.
    standing: Option<Standing>,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape").finish_non_exhaustive()
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let platform = &*self.platform;
        let mut page = Page(encoder);
        page.gauges(&names::BUILD, [([("version", VERSION)], 1)])?;
        if let Some(standing) = &self.standing {
            fleet(standing, &mut page)?;
        }
        page.metric(&names::ALERT_MESSAGES, &platform.metrics.alert_messages)?;
        connections(platform, &mut page)?;
        links(platform, &mut page)?;
        sessions(platform, &mut page)?;
        let metrics = &platform.metrics;
        page.metric(&names::API_CALLS, &metrics.api_calls)?;
        page.metric(&names::API_LATENCY, &metrics.api_latency)?;
        events(platform, &mut page)?;
        store(platform, &mut page)?;
        disk(platform, &mut page)?;
        certificates(platform, &mut page)?;
        deliveries(platform, &mut page)?;
        page.metric(&names::FILES, &metrics.files)?;
        page.metric(&names::FILE_BYTES, &metrics.file_bytes)?;
        if let Some(spans) = metrics.spans.get() {
            let outcomes = spans.outcomes();
            let outcomes = outcomes.map(|(outcome, count)| ([("outcome", outcome)], count));
            page.counters(&names::SPANS, outcomes)?;
        }
        this_process(platform, &mut page)
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn fleet(standing: &Standing, page: &mut Page<'_>) -> fmt::Result {
    let Standing { counts, online } = standing;
    let states = [
        ("online", *online),
        (
            "offline",
            (counts.hosts - online).saturating_sub(counts.revoked),
        ),
        ("revoked", counts.revoked),
    ];
    let states = states.map(|(state, count)| ([("state", state)], whole(count)));
    page.gauges(&names::HOSTS, states)?;
    let firing = Severity::ALL.into_iter().zip(counts.firing);
    let firing = firing.map(|(severity, count)| ([("severity", severity.code())], whole(count)));
    page.gauges(&names::ALERTS, firing)?;
    let [queued, ..] = counts.under_way;
    page.gauge(&names::DELIVERIES_WAITING, whole(queued))?;
    page.gauge(&names::DEAD_LETTERS, whole(counts.dead_letters))
}

fn events(platform: &Platform, page: &mut Page<'_>) -> fmt::Result {
    page.gauge(&names::EVENT_FOLLOWERS, number(platform.events.followers()))?;
    page.counter(&names::EVENTS, *platform.store.event_head().borrow())
}

fn disk(platform: &Platform, page: &mut Page<'_>) -> fmt::Result {
    let disk = Disk::look(&platform.config.data_dir);
    let files = [("database", disk.database), ("journal", disk.journal)];
    let files = files
        .into_iter()
        .filter_map(|(file, bytes)| Some(([("file", file)], whole(bytes?))));
    page.gauges(&names::STORE_SIZE, files)?;
    for (definition, bytes) in [
        (&names::DISK_SIZE, disk.size),
        (&names::DISK_FREE, disk.free),
    ] {
        if let Some(bytes) = bytes {
            page.gauge(definition, whole(bytes))?;
        }
    }
    match disk.backup {
        Some(begun) => page.gauge(&names::BACKUP, whole(begun)),
        None => Ok(()),
    }
}

fn certificates(platform: &Platform, page: &mut Page<'_>) -> fmt::Result {
    let (authority, server) = platform.authority().ends();
    let operator = platform.front.operator();
    let operator = operator.as_ref().and_then(|key| key.cert.first());
    let ends = [
        ("server", server),
        ("authority", authority),
        ("operator", operator.and_then(ca::end_of)),
    ];
    let ends = ends
        .into_iter()
        .filter_map(|(which, end)| Some(([("certificate", which)], whole(end?.0 / 1000))));
    page.gauges(&names::CERTIFICATE_ENDS, ends)
}

fn connections(platform: &Platform, page: &mut Page<'_>) -> fmt::Result {
    let metrics = &platform.metrics;
    if let Some(Places {
        left,
        all,
        listeners,
    }) = metrics.places.get()
    {
        // A listener that waits for whom to give it to holds a place; one at the limit holds none.
        let taken = (all - left.available_permits()).saturating_sub(*listeners);
        page.gauge(&names::CONNECTIONS, number(taken))?;
        page.gauge(&names::CONNECTIONS_MAX, number(all - listeners))?;
    }
    page.metric(&names::TLS_HANDSHAKES, &metrics.tls_handshakes)
}

fn links(platform: &Platform, page: &mut Page<'_>) -> fmt::Result {
    let metrics = &platform.metrics;
    // What ends from here on is still among those that stand, and is not counted twice.
    let (standing, mut traffic) = {
        let links = metrics.links();
        let standing: Vec<_> = links
            .standing
            .iter()
            .map(|(_, link)| link.clone())
            .collect();
        (standing, links.ended.clone())
    };
    let mut stages = Stage::ALL.map(|stage| ([("state", stage.name())], 0));
    let mut streams = 0;
    for tunnel in standing {
        tunnel.look(|link| {
            traffic.add(link.traffic());
            streams += link.open_streams();
            stages[link.stage() as usize].1 += 1;
        });
    }
    page.gauges(&names::AGENT_CONNECTIONS, stages)?;
    page.metric(&names::AGENT_HANDSHAKES, &metrics.handshakes)?;
    page.metric(&names::AGENT_RECONNECTS, &metrics.reconnects)?;
    page.metric(&names::AGENT_DISCONNECTS, &metrics.disconnects)?;
    page.metric(&names::ROUND_TRIP, &metrics.round_trip)?;
    let volumes: Vec<_> = TrafficLane::ALL
        .into_iter()
        .flat_map(|lane| {
            let labels = |direction| [("direction", direction), ("lane", lane.name())];
            [
                (labels("sent"), traffic.sent(lane)),
                (labels("received"), traffic.received(lane)),
            ]
        })
        .collect();
    let messages = volumes.iter().map(|(labels, v)| (*labels, v.messages));
    page.counters(&names::LINK_MESSAGES, messages)?;
    let bytes = volumes.iter().map(|(labels, v)| (*labels, v.bytes));
    page.counters(&names::LINK_BYTES, bytes)?;
    page.gauge(&names::STREAMS_OPEN, number(streams))?;
    page.counter(&names::STREAMS_OPENED, traffic.opened())?;
    page.counters(&names::STREAMS_RESET, resets(&traffic))
}

fn resets(traffic: &Traffic) -> impl Iterator<Item = ([Label; 2], u64)> {
    traffic.resets().iter().map(|resets| {
        let by = if resets.by_peer { "agent" } else { "platform" };
        ([("by", by), ("code", resets.code)], resets.count)
    })
}

fn sessions(platform: &Platform, page: &mut Page<'_>) -> fmt::Result {
    let counts = platform.sessions().counts();
    let states = [
        ([("state", "waiting")], number(counts.waiting)),
        ([("state", "entered")], number(counts.entered)),
    ];
    page.gauges(&names::SESSIONS, states)?;
    page.counter(&names::SESSIONS_OPENED, counts.opened)?;
    let ended = counts.ended.iter();
    let ended = ended.map(|(reason, count)| ([("reason", reason.code())], *count));
    page.counters(&names::SESSIONS_ENDED, ended)
}

fn store(platform: &Platform, page: &mut Page<'_>) -> fmt::Result {
    let figures = &platform.store_figures;
    page.metric(&names::STORE_COMMIT, &figures.commit)?;
    page.metric(&names::STORE_CHANGES, &figures.changes)?;
    page.metric(&names::STORE_FAILURES, &figures.failures)?;
    let (writes, reads) = figures.queued();
    let queued = [
        ([("kind", "writes")], number(writes)),
        ([("kind", "reads")], number(reads)),
    ];
    page.gauges(&names::STORE_QUEUED, queued)
}

fn deliveries(platform: &Platform, page: &mut Page<'_>) -> fmt::Result {
    let figures = platform.delivery.figures();
    page.metric(&names::DELIVERIES, &figures.steps)?;
    let (under_way, unwritten) = figures.gauges();
    page.gauge(&names::DELIVERIES_UNDER_WAY, number(under_way))?;
    page.gauge(&names::DELIVERIES_UNWRITTEN, number(unwritten))?;
    page.metric(&names::DELIVERIES_RECEIVED, &figures.received_after)?;
    page.metric(&names::DELIVERIES_IGNORED, &figures.ignored)
}

fn this_process(platform: &Platform, page: &mut Page<'_>) -> fmt::Result {
    let usage = process::usage();
    page.counter(&names::PROCESS_CPU, usage.cpu.as_secs_f64())?;
    if let Some(bytes) = usage.resident_bytes {
        page.gauge(&names::PROCESS_RESIDENT, bytes)?;
    }
    if let Some(files) = usage.open_files {
        page.gauge(&names::PROCESS_FILES, files)?;
    }
    if let Some(files) = usage.open_files_max {
        page.gauge(&names::PROCESS_FILES_MAX, files)?;
    }
    let started = platform.metrics.started.as_secs_f64();
    page.gauge(&names::PROCESS_START, started)
}

/// More than any gauge of this program ever holds is shown as the most there is.
fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The same of a count.
fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What is written so far.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn metric(&mut self, definition: &Definition, metric: &impl EncodeMetric) -> fmt::Result {
        if metric.is_empty() {
            return Ok(());
        }
        metric.encode(self.describe(definition)?)
    }

    fn counter(&mut self, definition: &Definition, value: impl EncodeCounterValue) -> fmt::Result {
        let mut encoder = self.describe(definition)?;
        encoder.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    fn counters<const LABELS: usize>(
        &mut self,
        definition: &Definition,
        values: impl IntoIterator<Item = ([Label; LABELS], u64)>,
    ) -> fmt::Result {
        let mut encoder = self.describe(definition)?;
        for (labels, value) in values {
            let mut encoder = encoder.encode_family(&labels)?;
            encoder.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    fn gauge(&mut self, definition: &Definition, value: impl EncodeGaugeValue) -> fmt::Result {
        self.describe(definition)?.encode_gauge(&value)
    }

    fn gauges<const LABELS: usize>(
        &mut self,
        definition: &Definition,
        values: impl IntoIterator<Item = ([Label; LABELS], i64)>,
    ) -> fmt::Result {
        let mut encoder = self.describe(definition)?;
        for (labels, value) in values {
            encoder.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn describe(
        &mut self,
        definition: &Definition,
    ) -> Result<prometheus_client::encoding::MetricEncoder<'_>, fmt::Error> {
        self.0.encode_descriptor(
            definition.name(),
            definition.help,
            definition.unit(),
            definition.metric_type(),
        )
    }
}
