//! What e-mail says of an alert: a short subject, and some lines of plain text, out of what a webhook is told.

use std::fmt::Write as _;

use serde::Deserialize;

use super::NotTaken;
use crate::ids::Uuid;
use crate::platform::mail::{EmailAddress, Letter, Line, Mail};

/// Of many alerts that are told as one, so many are named.
const NAMED_MAX: usize = 20;

/// What a webhook is told.
#[derive(Deserialize)]
struct Told {
    #[serde(rename = "type")]
    what: String,
    data: About,
}

#[derive(Deserialize)]
struct About {
    alert_id: Option<Uuid>,
    channel: Option<String>,
    #[serde(default)]
    messages: Vec<Told>,
    rule: Option<String>,
    severity: Option<String>,
    host: Option<String>,
    detail: Option<String>,
    since: Option<String>,
    resolved_at: Option<String>,
}

/// Sends one message, once. Answers which recipients it is not for, where the server has taken it for others.
pub(super) async fn send(
    mail: &Mail,
    recipients: &[EmailAddress],
    id: Uuid,
    body: &str,
) -> Result<Option<String>, NotTaken> {
    let told: Told = serde_json::from_str(body).map_err(|error| NotTaken {
        why: format!("the message is broken: {error}"),
        for_good: true,
    })?;
    let (subject, text) = words(&told);
    let letter = Letter {
        id,
        thread: told.data.alert_id,
        to: recipients,
        subject: Line::of(&subject),
        text,
    };
    let sent = mail.send(letter).await;
    sent.map_err(|error| NotTaken {
        why: error.why,
        for_good: error.for_good,
    })
}

fn words(told: &Told) -> (String, String) {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    let about = &told.data;
    if told.what == "test" {
        let subject = format!("[fleetwire] Trial of {}", of(&about.channel));
        let text = "Alerts of this channel come to this address.\n".to_owned();
        return (subject, text);
    }
    if told.what == "alert.many" {
        return words_of_many(about);
    }
    let over = told.what == "alert.resolved";
    let severity = of(&about.severity);
    let state = if over { "resolved" } else { severity.as_str() };
    let (rule, host) = (of(&about.rule), about.host.as_deref());
    let subject = match host {
        Some(host) => format!("[fleetwire] {state}: {rule} on {host}"),
        None => format!("[fleetwire] {state}: {rule}"),
    };
    let mut text = String::new();
    let lines = [
        ("What", about.detail.clone()),
        ("Host", about.host.clone()),
        ("Rule", Some(rule)),
        ("Severity", Some(severity)),
        ("Since", about.since.clone()),
        ("Over since", about.resolved_at.clone()),
        ("Alert", about.alert_id.map(|id| id.to_string())),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            // Writing to a text does not fail.
            let _ = writeln!(text, "{name}: {}", one_line(&value));
        }
    }
    (subject, text)
}

/// Of many that are told as one: how many, and the first of them.
fn words_of_many(about: &About) -> (String, String) {
    let rule = about.rule.clone().unwrap_or_default();
    let is_over = |told: &&Told| told.what == "alert.resolved";
    let over = about.messages.iter().filter(is_over).count();
    let counts = [(about.messages.len() - over, "firing"), (over, "resolved")];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<_> = counts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let subject = format!("[fleetwire] {}: {rule}", counts.join(", "));
    let mut text = String::new();
    for told in about.messages.iter().take(NAMED_MAX) {
        let what = told.what.trim_start_matches("alert.");
        let host = told.data.host.as_deref().unwrap_or("the platform");
        let detail = told.data.detail.as_deref().unwrap_or_default();
        // Writing to a text does not fail.
        let _ = writeln!(text, "{what}: {}: {}", one_line(host), one_line(detail));
    }
    let more = about.messages.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        let _ = writeln!(text, "and {more} more: fleetwire alert list has them all");
    }
    (subject, text)
}

/// Nothing that a host says looks like a line of ours.
fn one_line(text: &str) -> String {
    let seen = |char: char| if char.is_control() { ' ' } else { char };
    text.chars().map(seen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_is_wrong_and_where() {
        let body = serde_json::json!({"type": "alert.firing", "timestamp": "", "data": {
            "alert_id": Uuid::from_u128(1), "rule": "host-offline", "severity": "critical",
            "host": "kvm", "detail": "offline\nHost: other", "since": "2026-01-01T00:00:00Z",
            "resolved_at": null,
        }});
        let told: Told = serde_json::from_value(body).expect("told");
        let (subject, text) = words(&told);
        assert_eq!(subject, "[fleetwire] critical: host-offline on kvm");
        let expected = "What: offline Host: other\nHost: kvm\nRule: host-offline\nSeverity: critical\n\
            Since: 2026-01-01T00:00:00Z\nAlert: 00000000-0000-0000-0000-000000000001\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn of_many_the_first_are_named() {
        let one = |number| {
            let what = if number < 2 { "resolved" } else { "firing" };
            serde_json::json!({"id": Uuid::from_u128(number), "type": format!("alert.{what}"), "data": {
                "rule": "host-offline", "host": format!("kvm-{number}"), "detail": "offline\nand: so",
            }})
        };
        let messages: Vec<_> = (0..23).map(one).collect();
        let body = serde_json::json!({"type": "alert.many", "data": {
            "rule": "host-offline", "count": 23, "messages": messages,
        }});
        let told: Told = serde_json::from_value(body).expect("told");
        let (subject, text) = words(&told);
        assert_eq!(subject, "[fleetwire] 21 firing, 2 resolved: host-offline");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 21);
        assert_eq!(lines[1], "resolved: kvm-1: offline and: so");
        assert_eq!(lines[20], "and 3 more: fleetwire alert list has them all");
    }
}
