//! Which events follow from entries of the audit log.

use super::{Event, Happening, SessionOf};
use crate::audit::{Entry, Outcome};

impl Event {
    /// The event that an entry of the audit log stands for, if it stands for any. The store writes it
    /// with the entry, so that no change is told that is not committed, and none is committed and not
    /// told.
    pub fn of_audit(entry: &Entry) -> Option<Self> {
        if entry.outcome != Outcome::Done.code() {
            return None;
        }
        let detail = |wanted: &str| {
            let mut details = entry.details.iter();
            let found = details.find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let session = |user: String| {
            let id = entry.session.parse().ok()?;
            Some(SessionOf { id, user })
        };
        let name = || detail("name");
        let what = match entry.action.as_str() {
            "host.create" => Happening::HostCreated { name: name() },
            "host.enrol" => Happening::HostEnrolled { name: name() },
            "host.update" => Happening::HostUpdated { name: name() },
            "host.revoke" => Happening::HostRevoked,
            "session.open" => Happening::SessionOpened(session(entry.actor.clone())?),
            "session.enter" => Happening::SessionEntered(session(entry.actor.clone())?),
            "session.close" => Happening::SessionClosed {
                session: session(detail("user"))?,
                reason: detail("reason"),
            },
            "command.create" => Happening::CommandUpdated {
                id: entry.target.strip_prefix("command:")?.to_owned(),
                command_type: detail("command_type"),
                status: "queued".to_owned(),
            },
            "command.pause" | "command.resume" => Happening::CommandUpdated {
                id: entry.target.strip_prefix("command:")?.to_owned(),
                command_type: detail("command_type"),
                status: if entry.action == "command.pause" {
                    "paused".to_owned()
                } else {
                    "running".to_owned()
                },
            },
            "alert.acknowledge" => Happening::AlertUpdated {
                alert: entry.target.strip_prefix("alert:")?.parse().ok()?,
                state: detail("state"),
                severity: detail("severity"),
            },
            "alert_silence.create" | "alert_silence.update" | "alert_silence.delete" => {
                Happening::AlertSilenceUpdated {
                    silence: entry.target.strip_prefix("alert_silence:")?.parse().ok()?,
                    group: detail("group").parse().ok(),
                }
            }
            "group.create" | "group.update" | "group.delete" => Happening::GroupUpdated {
                group: entry.target.strip_prefix("group:")?.parse().ok()?,
            },
            action => Happening::RecordUpdated {
                kind: record(action)?.to_owned(),
            },
        };
        Some(Self {
            at: entry.at,
            host: entry.host.parse().ok(),
            actor: entry.actor.clone(),
            what,
        })
    }
}

/// Things that are kept and have no event of their own, by what their entries in the audit log begin with.
const RECORDS: [(&str, &str); 7] = [
    ("user", "user"),
    ("api_key", "api_key"),
    ("token", "enrolment_token"),
    ("alert_rule", "alert_rule"),
    ("alert_channel", "alert_channel"),
    ("file", "file"),
    ("backup", "backup"),
];
/// What is done to them: all else, such as a sign-in, changes no list.
const CHANGES: [&str; 6] = ["create", "update", "delete", "revoke", "complete", "lost"];

/// What kind of thing an action has changed.
fn record(action: &str) -> Option<&'static str> {
    let (of, change) = action.split_once('.')?;
    let (_, kind) = RECORDS.into_iter().find(|(known, _)| *known == of)?;
    CHANGES.contains(&change).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;
    use crate::clock::UnixMillis;
    use crate::ids::{HostId, Uuid};

    #[test]
    fn what_is_audited_is_told_where_it_was_done() {
        let host = HostId(Uuid::from_u128(1));
        let entry = |action: &str, target: &str| {
            Entry::new(UnixMillis(5), "ada", action, target).host(host)
        };
        let created = entry("host.create", "host:1").detail("name", "kvm");
        let event = Event::of_audit(&created).expect("told");
        assert_eq!((event.at, event.host), (UnixMillis(5), Some(host)));
        assert_eq!(event.actor, "ada");
        let name = "kvm".to_owned();
        assert_eq!(event.what, Happening::HostCreated { name });
        assert_eq!(Event::of_audit(&created.outcome(Outcome::Failed)), None);
        assert_eq!(Event::of_audit(&entry("user.sign_in", "user:1")), None);
        let event = Event::of_audit(&entry("token.revoke", "token:1")).expect("told");
        let kind = "enrolment_token".to_owned();
        assert_eq!(event.what, Happening::RecordUpdated { kind });
        // A target that names nothing is no event, and no panic.
        assert_eq!(Event::of_audit(&entry("group.update", "group:x")), None);
        assert_eq!(Event::of_audit(&entry("session.open", "session:x")), None);
        let accepted =
            entry("command.create", "command:c1").detail("command_type", "package_operation");
        let event = Event::of_audit(&accepted).expect("told");
        assert_eq!(event.what.kind(), Kind::CommandUpdated);
    }
}
