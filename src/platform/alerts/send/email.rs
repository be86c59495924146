//! What e-mail says of an alert: a short subject, and some lines of plain text, out of what a webhook is told.

use std::fmt::Write as _;

use serde::Deserialize;

use super::NotTaken;
use crate::ids::Uuid;
use crate::platform::mail::{EmailAddress, Letter, Line, Mail};

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
}
