//! Tables that were chosen by hand, where the schema's own fields in their order serve people worse.

use serde_json::Value;

use super::output::cell;

/// A table of one kind of message.
pub(super) struct View {
    message: &'static str,
    pub headings: &'static [&'static str],
    pub cells: fn(&Value) -> Vec<String>,
}

/// The table that was chosen for that message.
pub(super) fn of(message: &str) -> Option<&'static View> {
    VIEWS.iter().find(|view| view.message == message)
}

const VIEWS: &[View] = &[
    View {
        message: "Host",
        headings: &[
            "NAME",
            "STATUS",
            "SINCE",
            "ROUND TRIP",
            "CPU",
            "MEMORY",
            "ID",
        ],
        cells: host,
    },
    View {
        message: "Session",
        headings: &["ID", "HOST", "USER", "STATE", "ACTIVE", "EXPIRES"],
        cells: session,
    },
];

fn host(host: &Value) -> Vec<String> {
    let figure = |value: &Value, unit: &str, digits: usize| match value.as_f64() {
        Some(figure) => format!("{figure:.digits$} {unit}"),
        None => "-".to_owned(),
    };
    let status = cell(&host["status"]);
    let status = match &host["detail"] {
        Value::Null => status,
        detail => format!("{status} ({})", cell(detail)),
    };
    let since = match &host["connected_since"] {
        Value::Null => &host["last_seen_at"],
        since => since,
    };
    vec![
        cell(&host["name"]),
        status,
        cell(since),
        figure(&host["round_trip_ms"], "ms", 1),
        figure(&host["health"]["cpu_percent"], "%", 0),
        figure(&host["health"]["memory_percent"], "%", 0),
        cell(&host["id"]),
    ]
}

fn session(session: &Value) -> Vec<String> {
    let entered = session["entered"].as_bool().unwrap_or_default();
    vec![
        cell(&session["session_id"]),
        cell(&session["host"]),
        cell(&session["user"]),
        if entered { "entered" } else { "waiting" }.to_owned(),
        cell(&session["active_at"]),
        cell(&session["expires_at"]),
    ]
}
