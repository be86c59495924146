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
    View {
        message: "User",
        headings: &["NAME", "ROLE", "HOSTS", "STATE", "TOTP", "ID"],
        cells: user,
    },
    View {
        message: "ApiKey",
        headings: &["NAME", "ROLE", "HOSTS", "CREATED", "EXPIRES", "USED", "ID"],
        cells: api_key,
    },
    View {
        message: "Group",
        headings: &["NAME", "HOSTS", "DESCRIPTION", "ID"],
        cells: |group| cells(group, &["name", "hosts", "description", "id"]),
    },
    View {
        message: "Command",
        headings: &[
            "ID",
            "TYPE",
            "STATE",
            "HOSTS",
            "SUCCEEDED",
            "FAILED",
            "USER",
            "CREATED",
        ],
        cells: command,
    },
    View {
        message: "Delivery",
        headings: &["HOST", "STATE", "REASON", "TYPE", "UPDATED", "COMMAND"],
        cells: |delivery| {
            let columns = [
                "host",
                "state",
                "reason",
                "command_type",
                "updated_at",
                "command_id",
            ];
            cells(delivery, &columns)
        },
    },
    View {
        message: "AuditEntry",
        headings: &["ENTRY", "AT", "ACTOR", "ACTION", "TARGET", "OUTCOME"],
        cells: |entry| {
            let columns = ["sequence", "at", "actor", "action", "target", "outcome"];
            cells(entry, &columns)
        },
    },
];

fn cells(item: &Value, columns: &[&str]) -> Vec<String> {
    columns.iter().map(|column| cell(&item[*column])).collect()
}

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

fn command(command: &Value) -> Vec<String> {
    let of = |state: &str| command["summary"][state].as_u64().unwrap_or_default();
    let failed = ["failed", "interrupted", "cancelled", "expired", "dead"];
    let failed: u64 = failed.into_iter().map(of).sum();
    vec![
        cell(&command["id"]),
        cell(&command["command_type"]),
        cell(&command["state"]),
        of("total").to_string(),
        of("succeeded").to_string(),
        failed.to_string(),
        cell(&command["user"]),
        cell(&command["created_at"]),
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

fn user(user: &Value) -> Vec<String> {
    let is = |member: &str| user[member].as_bool().unwrap_or_default();
    vec![
        cell(&user["name"]),
        cell(&user["role"]),
        grants(&user["grants"]),
        if is("disabled") { "disabled" } else { "active" }.to_owned(),
        if is("totp") { "yes" } else { "no" }.to_owned(),
        cell(&user["id"]),
    ]
}

fn api_key(key: &Value) -> Vec<String> {
    let mut row = cells(
        key,
        &["name", "role", "created_at", "expires_at", "used_at", "id"],
    );
    row.insert(2, grants(&key["grants"]));
    row
}

/// On which hosts somebody may do what their role allows.
fn grants(grants: &Value) -> String {
    if grants["all_hosts"].as_bool().unwrap_or_default() {
        return "all".to_owned();
    }
    match grants["group_ids"].as_array().map_or(0, Vec::len) {
        0 => "none".to_owned(),
        1 => "1 group".to_owned(),
        groups => format!("{groups} groups"),
    }
}
