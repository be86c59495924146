//! Log lines of both programs: to standard error, as text for people or JSON for machines.

use std::io::IsTerminal as _;

use serde::Deserialize;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The filter for log lines cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It cannot be read.
    #[error("log: {0}; it looks like info, or fleetwire=debug")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Logging was set up before.
    #[error("logging was set up twice")]
    Twice,
}

/// Sets logging up for this process, once.
///
/// # Errors
/// When the filter cannot be read, or logging stands already.
pub fn init(format: LogFormat, filter: &str) -> Result<(), LogError> {
    init_with(format, filter, None)
}

/// Somebody beside the log who hears what the program says, with a filter of their own.
pub type Extra = Box<dyn Layer<Registry> + Send + Sync>;

/// The same, with somebody else who listens.
///
/// # Errors
/// As [`init`].
pub fn init_with(format: LogFormat, filter: &str, extra: Option<Extra>) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(filter)?;
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        // It would say of a line that could not be written so, to where it could not be written, and
        // with a macro that panics: standard error without a reader would end whoever logs.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            // The ids of a request and of a connection, from outside in; once is enough.
            .with_current_span(false)
            .boxed(),
    };
    let registry = tracing_subscriber::registry();
    let set = match extra {
        // A filter for all costs less than one for each.
        None => registry.with(lines).with(filter).try_init(),
        Some(extra) => registry
            .with(vec![extra, lines.with_filter(filter).boxed()])
            .try_init(),
    };
    set.map_err(|_| LogError::Twice)
}
