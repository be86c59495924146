//! What becomes of a command at its hosts, in the trace of the call that asked for it: a span for each delivery,
//! from when it was sent to when its end was kept, and within it how long the agent had it run, by the agent's own
//! clock. Whose trace it is, is kept in memory alone: after a restart a delivery begins a trace of its own.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId};

/// Commands whose callers' traces are remembered: the newest.
const CALLERS_MAX: usize = 4096;

/// Makes spans of deliveries, where there is a collector for them.
#[derive(Default)]
pub struct DeliverySpans {
    tracer: OnceLock<SdkTracer>,
    callers: Mutex<Callers>,
}

#[derive(Default)]
struct Callers {
    by_command: HashMap<CommandId, SpanContext>,
    oldest_first: VecDeque<CommandId>,
}

/// A delivery that has ended.
pub struct Ended<'a> {
    /// Its command.
    pub command: CommandId,
    /// Its host.
    pub host: HostId,
    /// Its command's kind.
    pub kind: &'a str,
    /// When it was sent, over the connection that it ended on.
    pub sent: UnixMillis,
    /// When it was begun, as the agent says.
    pub started: Option<UnixMillis>,
    /// When its end was heard of.
    pub at: UnixMillis,
    /// How it ended, as a stable word.
    pub state: &'static str,
    /// Why, as another; empty where all went well.
    pub reason: &'a str,
}

impl DeliverySpans {
    /// Makes them with this from now on.
    pub(in crate::platform) fn watch(&self, tracer: SdkTracer) {
        // There is one way to a collector.
        let _ = self.tracer.set(tracer);
    }

    /// The call that is being answered has asked for this command.
    pub fn asked(&self, command: CommandId) {
        if self.tracer.get().is_none() {
            return;
        }
        let caller = Span::current().context().span().span_context().clone();
        if !caller.is_valid() {
            return;
        }
        let mut callers = self.callers();
        if callers.oldest_first.len() >= CALLERS_MAX
            && let Some(oldest) = callers.oldest_first.pop_front()
        {
            callers.by_command.remove(&oldest);
        }
        callers.oldest_first.push_back(command);
        callers.by_command.insert(command, caller);
    }

    /// A delivery has ended.
    pub fn ended(&self, ended: &Ended<'_>) {
        let Some(tracer) = self.tracer.get() else {
            return;
        };
        let caller = self.callers().by_command.get(&ended.command).cloned();
        let above = match caller {
            Some(caller) => Context::new().with_remote_span_context(caller),
            None => Context::new(),
        };
        let attributes = [
            KeyValue::new("command_id", ended.command.to_string()),
            KeyValue::new("command_type", ended.kind.to_owned()),
            KeyValue::new("host_id", ended.host.to_string()),
            KeyValue::new("state", ended.state),
            KeyValue::new("reason", ended.reason.to_owned()),
        ];
        let at = time(ended.at);
        let delivery = tracer
            .span_builder("delivery")
            .with_kind(SpanKind::Producer)
            .with_start_time(time(ended.sent))
            .with_attributes(attributes)
            .start_with_context(tracer, &above);
        let within = above.with_span(delivery);
        if let Some(started) = ended.started {
            let mut run = tracer
                .span_builder("agent.run")
                .with_kind(SpanKind::Consumer)
                .with_start_time(time(started))
                .start_with_context(tracer, &within);
            // A clock of the agent's that is ahead makes no time that runs backwards.
            run.end_with_timestamp(at.max(time(started)));
        }
        let delivery = within.span();
        if ended.state != "succeeded" {
            delivery.set_status(Status::error(ended.state));
        }
        delivery.end_with_timestamp(at);
    }

    fn callers(&self) -> MutexGuard<'_, Callers> {
        // Whole at every step but one: a command without its caller begins a trace of its own.
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn time(at: UnixMillis) -> SystemTime {
    let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at.0));
    since.unwrap_or(SystemTime::UNIX_EPOCH)
}
