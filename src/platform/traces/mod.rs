//! Spans for OpenTelemetry: what becomes one, and whose trace it belongs to. They are apart from the
//! spans of log lines, by their target: where no collector is set they are not made at all, and in a
//! tunnel's way there are none. `deliveries` has those of commands at
//! their hosts, `export` brings all of them to the collector.

mod deliveries;
mod export;

use axum::http::Method;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tracing::field::Empty;
use tracing::{Level, Metadata, Span, info, trace_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;

use super::config::Config;
use super::request_id::{RequestId, TraceParent};
use crate::logging::Extra;
pub use deliveries::{DeliverySpans, Ended};
use export::Export;
pub use export::{ExportError, SpanCounts};

/// The target of spans that are traces'.
pub const TARGET: &str = "fleetwire::traces";

/// The name that the platform has among services.
const SERVICE: &str = "fleetwire-platform";

/// The way of spans to a collector.
pub struct Traces {
    provider: SdkTracerProvider,
    export: Export,
    endpoint: String,
}

impl Traces {
    /// Prepares the way to the collector that is set, if one is. Nothing is sent yet.
    ///
    /// # Errors
    /// When certificates cannot be read, or the settings of OpenTelemetry in the environment do not do.
    pub fn open(config: &Config) -> Result<Option<Self>, ExportError> {
        let Some(endpoint) = &config.otlp_endpoint else {
            return Ok(None);
        };
        // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES of the environment win.
        let resource = Resource::builder_empty()
            .with_service_name(SERVICE)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_detectors(&[Box::new(
                opentelemetry_sdk::resource::EnvResourceDetector::new(),
            )])
            .build();
        let export = Export::to(endpoint, config.otlp_ca.as_deref(), &resource)?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            // By the trace's id alone, so that all of a trace is kept or none. Whether its caller
            // keeps its own part is no word on ours: callers are not to choose what is exported.
            .with_sampler(Sampler::TraceIdRatioBased(config.otlp_sample_ratio.get()))
            .with_span_processor(export.queue())
            .build();
        Ok(Some(Self {
            provider,
            export,
            endpoint: endpoint.to_string(),
        }))
    }

    /// What makes spans of what the program says, for [`crate::logging::init_with`].
    pub fn layer(&self) -> Extra {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_traced));
        Box::new(layer)
    }

    /// What makes spans whose times are not those of this program's doing.
    pub(super) fn tracer(&self) -> SdkTracer {
        self.provider.tracer(SERVICE)
    }

    /// Sends spans until [`Self::finish`]; within a runtime.
    pub(super) fn start(&mut self) {
        info!(endpoint = self.endpoint, "sending spans");
        self.export.start();
    }

    /// What became of spans.
    pub(super) fn counts(&self) -> std::sync::Arc<SpanCounts> {
        self.export.counts()
    }

    /// Sends what waits, for a moment at most.
    pub(super) async fn finish(self) {
        self.export.finish().await;
    }
}

/// Spans of traces, and what the log says within them.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET
        || metadata.is_event()
            && *metadata.level() <= Level::INFO
            && metadata.target().starts_with("fleetwire")
}

/// The span of a request, made within that of its log lines, which learns the trace's id. Whose trace
/// it belongs to, its caller may say.
pub(super) fn request(method: &Method, id: &RequestId, parent: Option<TraceParent>) -> Span {
    let span = trace_span!(
        target: TARGET,
        "request",
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = word(method),
        http.response.status_code = Empty,
        request_id = id.as_str(),
        code = Empty,
    );
    if span.is_disabled() {
        return span;
    }
    if let Some(TraceParent {
        trace,
        span: parent,
        sampled,
    }) = parent
    {
        let flags = TraceFlags::default().with_sampled(sampled);
        let (trace, parent) = (TraceId::from(trace), SpanId::from(parent));
        let caller = SpanContext::new(trace, parent, flags, true, TraceState::default());
        // It fails only where the span has begun, which it has not.
        let _ = span.set_parent(Context::new().with_remote_span_context(caller));
    } else {
        let trace = span.context().span().span_context().trace_id();
        Span::current().record("trace_id", tracing::field::display(trace));
    }
    span
}

/// The answer to a request has this status.
pub(super) fn answered(request: &Span, status: u16) {
    request.record("http.response.status_code", status);
    if status >= 500 {
        request.record("otel.status_code", "ERROR");
    }
}

/// A request is a call of this method, and came to this; told within its span.
pub(super) fn called(service: &str, method: &str, code: &'static str) {
    let span = Span::current();
    if span.has_field("otel.kind") {
        // A field of this name is heeded only until the span has begun.
        let name = format!("{service}/{method}");
        span.context().span().update_name(name);
        span.record("code", code);
    }
}

/// Methods have a word each; what others make up is one.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}
