//! Tables that were chosen by hand, where the schema's own fields in their order serve people worse.

use serde_json::Value;

use super::text::{cell, number, plain};

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
        message: "Alert",
        headings: &[
            "STATE",
            "SEVERITY",
            "RULE",
            "HOST",
            "SINCE",
            "DETAIL",
            "SEEN TO BY",
            "ID",
        ],
        cells: alert,
    },
    View {
        message: "AlertRule",
        headings: &[
            "NAME",
            "SEVERITY",
            "HOLDS WHERE",
            "FOR",
            "HOSTS",
            "STATE",
            "ID",
        ],
        cells: alert_rule,
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

fn alert(alert: &Value) -> Vec<String> {
    let columns = [
        "state",
        "severity",
        "rule",
        "host",
        "since",
        "detail",
        "acknowledged_by",
        "id",
    ];
    let mut row = cells(alert, &columns);
    if !alert["silenced_until"].is_null()
        && let Some(state) = row.first_mut()
    {
        state.push_str(" (silenced)");
    }
    row
}

fn alert_rule(rule: &Value) -> Vec<String> {
    let spec = &rule["spec"];
    let is_off = spec["disabled"].as_bool().unwrap_or_default();
    vec![
        cell(&spec["name"]),
        cell(&spec["severity"]),
        condition(spec),
        match number(spec, "hold_seconds") {
            0 => "-".to_owned(),
            seconds => span(seconds),
        },
        scope(spec),
        if is_off { "off" } else { "on" }.to_owned(),
        cell(&rule["id"]),
    ]
}

/// When a rule holds, in words.
fn condition(spec: &Value) -> String {
    let of = |kind: &str| Some(&spec[kind]).filter(|of| of.is_object());
    let within = |of: &Value| span(number(of, "seconds"));
    if let Some(of) = of("host_offline") {
        format!("a host is offline for {}", within(of))
    } else if let Some(of) = of("host_flapping") {
        let count = number(of, "reconnects");
        format!("a host comes back {count} times in {}", within(of))
    } else if let Some(of) = of("host_disk") {
        format!("a host's disk is full to {} %", number(of, "percent"))
    } else if let Some(of) = of("certificate_ends") {
        format!("a host's certificate ends within {}", within(of))
    } else if let Some(of) = of("dead_letters") {
        format!("there are {} dead letters", number(of, "count"))
    } else if let Some(of) = of("queue_depth") {
        format!("{} commands wait for a host", number(of, "count"))
    } else if let Some(of) = of("queue_age") {
        format!("a command waits for a host for {}", within(of))
    } else if let Some(of) = of("delivery_latency") {
        let millis = number(of, "milliseconds");
        format!("deliveries of {} take {millis} ms (p99)", within(of))
    } else if let Some(of) = of("failed_sign_ins") {
        format!("{} sign-ins fail in {}", number(of, "count"), within(of))
    } else if let Some(of) = of("platform_storage") {
        format!("the platform's disk is full to {} %", number(of, "percent"))
    } else {
        // Of a newer platform.
        "something new".to_owned()
    }
}

/// Which hosts a rule is about.
fn scope(spec: &Value) -> String {
    let of_platform = [
        "dead_letters",
        "delivery_latency",
        "failed_sign_ins",
        "platform_storage",
    ];
    if of_platform.iter().any(|kind| spec[kind].is_object()) {
        return "-".to_owned();
    }
    let group = match &spec["group_id"] {
        Value::Null => None,
        group => Some(format!("group {}", cell(group))),
    };
    let labels = spec["labels"].as_object().into_iter().flatten();
    let labels = labels.map(|(key, value)| match value.as_str() {
        Some("") | None => plain(key),
        Some(value) => format!("{}={}", plain(key), plain(value)),
    });
    let words: Vec<_> = group.into_iter().chain(labels).collect();
    if words.is_empty() {
        return "all".to_owned();
    }
    words.join(", ")
}

/// A time in the largest unit that it is whole in.
fn span(seconds: u64) -> String {
    for (unit, name) in [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "min")] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            return format!("{} {name}", seconds / unit);
        }
    }
    format!("{seconds} s")
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_of_alerts_say_what_they_are() {
        let row = |spec: Value| alert_rule(&json!({"id": "i", "spec": spec}));
        let spec = json!({"name": "gone", "severity": "critical", "hold_seconds": 90, "disabled": true,
            "group_id": "g", "labels": {"rack": "", "site": "lab\u{1b}[2J"}, "host_offline": {"seconds": 600}});
        let expected = [
            "gone",
            "critical",
            "a host is offline for 10 min",
            "90 s",
            "group g, rack, site=lab\\u{1b}[2J",
            "off",
            "i",
        ];
        assert_eq!(row(spec), expected);
        let said = |spec: Value| condition(&spec);
        for (spec, words) in [
            (
                json!({"host_flapping": {"reconnects": 5, "seconds": 3600}}),
                "a host comes back 5 times in 1 h",
            ),
            (
                json!({"host_disk": {"percent": 90}}),
                "a host's disk is full to 90 %",
            ),
            (
                json!({"certificate_ends": {"seconds": 604_800}}),
                "a host's certificate ends within 7 d",
            ),
            (
                json!({"dead_letters": {"count": 1}}),
                "there are 1 dead letters",
            ),
            (
                json!({"queue_depth": {"count": 100}}),
                "100 commands wait for a host",
            ),
            (
                json!({"queue_age": {"seconds": 86_400}}),
                "a command waits for a host for 1 d",
            ),
            (
                json!({"delivery_latency": {"milliseconds": 5000, "seconds": 600}}),
                "deliveries of 10 min take 5000 ms (p99)",
            ),
            (
                json!({"failed_sign_ins": {"count": 20, "seconds": 600}}),
                "20 sign-ins fail in 10 min",
            ),
            (
                json!({"platform_storage": {"percent": 90}}),
                "the platform's disk is full to 90 %",
            ),
            (json!({"cats": {}}), "something new"),
        ] {
            assert_eq!(said(spec), words);
        }
        assert_eq!(scope(&json!({"host_disk": {"percent": 9}})), "all");
        assert_eq!(scope(&json!({"dead_letters": {"count": 1}})), "-");
    }

    #[test]
    fn alerts_are_a_line_each() {
        let firing = json!({"id": "a", "rule": "gone", "host": "kvm\r\n", "severity": "warning", "state": "firing",
            "since": "2026-01-01T00:00:00Z", "detail": "offline", "silenced_until": "2026-01-02T00:00:00Z"});
        let expected = [
            "firing (silenced)",
            "warning",
            "gone",
            "kvm\\u{d}\\u{a}",
            "2026-01-01T00:00:00Z",
            "offline",
            "-",
            "a",
        ];
        assert_eq!(alert(&firing), expected);
    }
}
