//! What can happen: events as the rooms of the platform tell them, which of them follow from an entry
//! of the audit log, and how they stand in the store. Who is told, and when, is the bus's affair.

use std::time::Duration;

use crate::audit::{Entry, Outcome};
use crate::clock::UnixMillis;
use crate::ids::{AlertId, AlertSilenceId, CommandId, ConsoleSessionId, HostId, Uuid};
use crate::wire::api::Health;

/// An event before it has its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When.
    pub at: UnixMillis,
    /// The host that it concerns, if any.
    pub host: Option<HostId>,
    /// Who did it, as the audit log names it; empty where nobody did.
    pub actor: String,
    /// What has happened.
    pub what: Happening,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// A host's agent has connected, perhaps in the place of an earlier connection.
    HostOnline {
        /// From where.
        address: String,
        /// The program and its version, as it says.
        software: String,
    },
    /// A host's agent is no longer connected.
    HostOffline {
        /// Why.
        reason: OfflineReason,
    },
    /// A host's agent has reported. Told to whoever listens, and never kept.
    HostHealth {
        /// What it says of its machine.
        health: Health,
        /// The link's round trip, as it was last measured.
        round_trip: Option<Duration>,
    },
    /// An administrator has made a host.
    HostCreated {
        /// Its name.
        name: String,
    },
    /// A host was enrolled, for the first time or anew.
    HostEnrolled {
        /// Its name.
        name: String,
    },
    /// A host was changed.
    HostUpdated {
        /// Its name now, where that was changed.
        name: String,
    },
    /// A host was revoked.
    HostRevoked,
    /// Two agents use one host's credential in turn.
    HostDuplicated,
    /// A console session was opened.
    SessionOpened(SessionOf),
    /// A browser has entered a console session.
    SessionEntered(SessionOf),
    /// A console session has ended.
    SessionClosed {
        /// Which.
        session: SessionOf,
        /// Why, as a stable word.
        reason: String,
    },
    /// A command was accepted, or has got on.
    CommandUpdated {
        /// Its id.
        id: String,
        /// What kind of command it is.
        command_type: String,
        /// How far it is, as a stable word.
        status: String,
    },
    /// A command was accepted for a host, or has got on there.
    DeliveryUpdated {
        /// The command.
        command: CommandId,
        /// Where it stands, as a stable word.
        status: String,
        /// Why, as a stable word; empty where there is nothing to say.
        reason: String,
    },
    /// An alert fires, is over, or was acknowledged.
    AlertUpdated {
        /// Which.
        alert: AlertId,
        /// Where it stands, as a stable word.
        state: String,
        /// How bad it is, as a stable word.
        severity: String,
    },
    /// A silence of alerts was made, changed or removed.
    AlertSilenceUpdated {
        /// Its id.
        silence: AlertSilenceId,
    },
    /// A group was made, changed or removed.
    GroupUpdated {
        /// Its id.
        group: Uuid,
    },
    /// Something else that is kept was made, changed or removed.
    RecordUpdated {
        /// What kind of thing, as a stable word.
        kind: String,
    },
    /// Events were lost before this one: whoever follows has to look anew.
    Lost,
}

/// A console session, as its events name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOf {
    /// Its id.
    pub id: ConsoleSessionId,
    /// Whose it is.
    pub user: String,
}

/// Why a host's agent is no longer connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfflineReason {
    /// The connection was closed or lost.
    ConnectionEnded,
    /// Two processes use the host's credential in turn.
    DuplicateInstance,
    /// Its credential is void.
    CredentialVoid,
    /// The platform has stopped.
    PlatformStopped,
}

impl OfflineReason {
    /// The stable word, as it stands in the store.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ConnectionEnded => "connection_ended",
            Self::DuplicateInstance => "duplicate_instance",
            Self::CredentialVoid => "credential_void",
            Self::PlatformStopped => "platform_stopped",
        }
    }

    fn from_code(code: &str) -> Self {
        let all = [
            Self::DuplicateInstance,
            Self::CredentialVoid,
            Self::PlatformStopped,
        ];
        let found = all.into_iter().find(|reason| reason.code() == code);
        found.unwrap_or(Self::ConnectionEnded)
    }
}

/// What kinds of events there are, as filters and the store name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// [`Happening::HostOnline`].
    HostOnline,
    /// [`Happening::HostOffline`].
    HostOffline,
    /// [`Happening::HostHealth`].
    HostHealth,
    /// [`Happening::HostCreated`].
    HostCreated,
    /// [`Happening::HostEnrolled`].
    HostEnrolled,
    /// [`Happening::HostUpdated`].
    HostUpdated,
    /// [`Happening::HostRevoked`].
    HostRevoked,
    /// [`Happening::HostDuplicated`].
    HostDuplicated,
    /// [`Happening::SessionOpened`].
    SessionOpened,
    /// [`Happening::SessionEntered`].
    SessionEntered,
    /// [`Happening::SessionClosed`].
    SessionClosed,
    /// [`Happening::CommandUpdated`].
    CommandUpdated,
    /// [`Happening::DeliveryUpdated`].
    DeliveryUpdated,
    /// [`Happening::GroupUpdated`].
    GroupUpdated,
    /// [`Happening::AlertUpdated`].
    AlertUpdated,
    /// [`Happening::AlertSilenceUpdated`].
    AlertSilenceUpdated,
    /// [`Happening::RecordUpdated`].
    RecordUpdated,
    /// [`Happening::Lost`].
    Lost,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::HostOnline,
        Self::HostOffline,
        Self::HostHealth,
        Self::HostCreated,
        Self::HostEnrolled,
        Self::HostUpdated,
        Self::HostRevoked,
        Self::HostDuplicated,
        Self::SessionOpened,
        Self::SessionEntered,
        Self::SessionClosed,
        Self::CommandUpdated,
        Self::DeliveryUpdated,
        Self::GroupUpdated,
        Self::AlertUpdated,
        Self::AlertSilenceUpdated,
        Self::RecordUpdated,
        Self::Lost,
    ];

    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::HostOnline => "host_online",
            Self::HostOffline => "host_offline",
            Self::HostHealth => "host_health",
            Self::HostCreated => "host_created",
            Self::HostEnrolled => "host_enrolled",
            Self::HostUpdated => "host_updated",
            Self::HostRevoked => "host_revoked",
            Self::HostDuplicated => "host_duplicated",
            Self::SessionOpened => "session_opened",
            Self::SessionEntered => "session_entered",
            Self::SessionClosed => "session_closed",
            Self::CommandUpdated => "command_updated",
            Self::DeliveryUpdated => "delivery_updated",
            Self::GroupUpdated => "group_updated",
            Self::AlertUpdated => "alert_updated",
            Self::AlertSilenceUpdated => "alert_silence_updated",
            Self::RecordUpdated => "record_updated",
            Self::Lost => "lost",
        }
    }

    /// The kind of this word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl Happening {
    /// What kind it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::HostOnline { .. } => Kind::HostOnline,
            Self::HostOffline { .. } => Kind::HostOffline,
            Self::HostHealth { .. } => Kind::HostHealth,
            Self::HostCreated { .. } => Kind::HostCreated,
            Self::HostEnrolled { .. } => Kind::HostEnrolled,
            Self::HostUpdated { .. } => Kind::HostUpdated,
            Self::HostRevoked => Kind::HostRevoked,
            Self::HostDuplicated => Kind::HostDuplicated,
            Self::SessionOpened(_) => Kind::SessionOpened,
            Self::SessionEntered(_) => Kind::SessionEntered,
            Self::SessionClosed { .. } => Kind::SessionClosed,
            Self::CommandUpdated { .. } => Kind::CommandUpdated,
            Self::DeliveryUpdated { .. } => Kind::DeliveryUpdated,
            Self::GroupUpdated { .. } => Kind::GroupUpdated,
            Self::AlertUpdated { .. } => Kind::AlertUpdated,
            Self::AlertSilenceUpdated { .. } => Kind::AlertSilenceUpdated,
            Self::RecordUpdated { .. } => Kind::RecordUpdated,
            Self::Lost => Kind::Lost,
        }
    }

    /// What the store keeps of it beside its kind: at most three texts, in an order of the kind's own.
    pub fn to_texts(&self) -> [String; 3] {
        let text = |text: &str| text.to_owned();
        match self {
            Self::HostOnline { address, software } => [text(address), text(software), text("")],
            Self::HostOffline { reason } => [text(reason.code()), text(""), text("")],
            Self::HostCreated { name }
            | Self::HostEnrolled { name }
            | Self::HostUpdated { name } => [text(name), text(""), text("")],
            Self::SessionOpened(session) | Self::SessionEntered(session) => {
                [session.id.to_string(), text(&session.user), text("")]
            }
            Self::SessionClosed { session, reason } => {
                [session.id.to_string(), text(&session.user), text(reason)]
            }
            Self::CommandUpdated {
                id,
                command_type,
                status,
            } => [text(id), text(command_type), text(status)],
            Self::DeliveryUpdated {
                command,
                status,
                reason,
            } => [command.to_string(), text(status), text(reason)],
            Self::GroupUpdated { group } => [group.to_string(), text(""), text("")],
            Self::RecordUpdated { kind } => [text(kind), text(""), text("")],
            Self::AlertSilenceUpdated { silence } => [silence.to_string(), text(""), text("")],
            Self::AlertUpdated {
                alert,
                state,
                severity,
            } => [alert.to_string(), text(state), text(severity)],
            Self::HostHealth { .. } | Self::HostRevoked | Self::HostDuplicated | Self::Lost => {
                Default::default()
            }
        }
    }

    /// Reads what [`Self::to_texts`] wrote; `None` where it did not.
    pub fn from_texts(kind: &str, [a, b, c]: [String; 3]) -> Option<Self> {
        let session = |id: &str, user| {
            let id = id.parse().ok()?;
            Some(SessionOf { id, user })
        };
        Some(match Kind::from_code(kind)? {
            Kind::HostOnline => Self::HostOnline {
                address: a,
                software: b,
            },
            Kind::HostOffline => Self::HostOffline {
                reason: OfflineReason::from_code(&a),
            },
            Kind::HostHealth => return None,
            Kind::HostCreated => Self::HostCreated { name: a },
            Kind::HostEnrolled => Self::HostEnrolled { name: a },
            Kind::HostUpdated => Self::HostUpdated { name: a },
            Kind::HostRevoked => Self::HostRevoked,
            Kind::HostDuplicated => Self::HostDuplicated,
            Kind::SessionOpened => Self::SessionOpened(session(&a, b)?),
            Kind::SessionEntered => Self::SessionEntered(session(&a, b)?),
            Kind::SessionClosed => Self::SessionClosed {
                session: session(&a, b)?,
                reason: c,
            },
            Kind::CommandUpdated => Self::CommandUpdated {
                id: a,
                command_type: b,
                status: c,
            },
            Kind::DeliveryUpdated => Self::DeliveryUpdated {
                command: a.parse().ok()?,
                status: b,
                reason: c,
            },
            Kind::GroupUpdated => Self::GroupUpdated {
                group: a.parse().ok()?,
            },
            Kind::AlertUpdated => Self::AlertUpdated {
                alert: a.parse().ok()?,
                state: b,
                severity: c,
            },
            Kind::AlertSilenceUpdated => Self::AlertSilenceUpdated {
                silence: a.parse().ok()?,
            },
            Kind::RecordUpdated => Self::RecordUpdated { kind: a },
            Kind::Lost => Self::Lost,
        })
    }
}

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
    use super::*;

    fn all() -> Vec<Happening> {
        let session = SessionOf {
            id: ConsoleSessionId(Uuid::from_u128(7)),
            user: "ada".to_owned(),
        };
        let name = || "kvm".to_owned();
        vec![
            Happening::HostOnline {
                address: "127.0.0.1:9".to_owned(),
                software: "agent/1".to_owned(),
            },
            Happening::HostOffline {
                reason: OfflineReason::CredentialVoid,
            },
            Happening::HostHealth {
                health: Health {
                    uptime_seconds: Some(1),
                    cpu_percent: None,
                    memory_percent: None,
                    disk_percent: None,
                    load_average: None,
                    temperature_celsius: None,
                },
                round_trip: None,
            },
            Happening::HostCreated { name: name() },
            Happening::HostEnrolled { name: name() },
            Happening::HostUpdated { name: name() },
            Happening::HostRevoked,
            Happening::HostDuplicated,
            Happening::SessionOpened(session.clone()),
            Happening::SessionEntered(session.clone()),
            Happening::SessionClosed {
                session,
                reason: "idle".to_owned(),
            },
            Happening::CommandUpdated {
                id: "c1".to_owned(),
                command_type: "package_operation".to_owned(),
                status: "waiting".to_owned(),
            },
            Happening::DeliveryUpdated {
                command: CommandId(Uuid::from_u128(8)),
                status: "dead".to_owned(),
                reason: "not_allowed".to_owned(),
            },
            Happening::GroupUpdated {
                group: Uuid::from_u128(9),
            },
            Happening::AlertUpdated {
                alert: AlertId(Uuid::from_u128(10)),
                state: "firing".to_owned(),
                severity: "critical".to_owned(),
            },
            Happening::AlertSilenceUpdated {
                silence: AlertSilenceId(Uuid::from_u128(11)),
            },
            Happening::RecordUpdated {
                kind: "user".to_owned(),
            },
            Happening::Lost,
        ]
    }

    #[test]
    fn what_is_kept_is_read_as_it_was() {
        let kinds: Vec<_> = all().iter().map(Happening::kind).collect();
        assert_eq!(kinds, Kind::ALL);
        for what in all() {
            let read = Happening::from_texts(what.kind().code(), what.to_texts());
            let kept = !matches!(what, Happening::HostHealth { .. });
            assert_eq!(read, kept.then_some(what));
        }
        assert_eq!(Happening::from_texts("other", Default::default()), None);
    }

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
