//! What can happen: events as the rooms of the platform tell them, and how they stand in the store. Which of them follow
//! from an entry of the audit log is `audited`'s; who is told, and when, the bus's affair.

use std::time::Duration;

use crate::clock::UnixMillis;
use crate::ids::{AlertId, AlertSilenceId, CommandId, ConsoleSessionId, GroupId, HostId, Uuid};
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
    /// A silence of alerts was made, changed or removed, has begun or has ended.
    AlertSilenceUpdated {
        /// Its id.
        silence: AlertSilenceId,
        /// The group that it is for, if any.
        group: Option<GroupId>,
    },
    /// A message about an alert was tried, or is held by a silence now.
    AlertNotificationUpdated {
        /// The alert.
        alert: AlertId,
        /// The message.
        notification: Uuid,
        /// Where that stands, as a stable word.
        state: String,
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
    /// [`Happening::AlertNotificationUpdated`].
    AlertNotificationUpdated,
    /// [`Happening::RecordUpdated`].
    RecordUpdated,
    /// [`Happening::Lost`].
    Lost,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 19] = [
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
        Self::AlertNotificationUpdated,
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
            Self::AlertNotificationUpdated => "alert_notification_updated",
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
            Self::AlertNotificationUpdated { .. } => Kind::AlertNotificationUpdated,
            Self::RecordUpdated { .. } => Kind::RecordUpdated,
            Self::Lost => Kind::Lost,
        }
    }

    /// The group that it is for: who sees that one's hosts may know of it.
    pub const fn group(&self) -> Option<GroupId> {
        match self {
            Self::AlertSilenceUpdated { group, .. } => *group,
            _ => None,
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
            Self::AlertSilenceUpdated { silence, group } => {
                let group = group.map(|group| group.to_string());
                [silence.to_string(), group.unwrap_or_default(), text("")]
            }
            Self::AlertNotificationUpdated {
                alert,
                notification,
                state,
            } => [alert.to_string(), notification.to_string(), text(state)],
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
                group: b.parse().ok(),
            },
            Kind::AlertNotificationUpdated => Self::AlertNotificationUpdated {
                alert: a.parse().ok()?,
                notification: b.parse().ok()?,
                state: c,
            },
            Kind::RecordUpdated => Self::RecordUpdated { kind: a },
            Kind::Lost => Self::Lost,
        })
    }
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
                group: Some(GroupId(Uuid::from_u128(12))),
            },
            Happening::AlertNotificationUpdated {
                alert: AlertId(Uuid::from_u128(10)),
                notification: Uuid::from_u128(13),
                state: "sent".to_owned(),
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
}
