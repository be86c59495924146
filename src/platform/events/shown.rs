//! Events as the API's schema has them, and what its requests ask for.

use bytes::{Bytes, BytesMut};
use prost::Message as _;

use super::{Event, Filter, Happening, Kind, News, OfflineReason, Position, ReloadReason, Told};
use crate::ids::{GroupId, HostId};
use crate::platform::service::{ErrorKind, ServiceError};
use crate::schema::api as pb;
use crate::wire::Encoding;
use crate::wire::api::{
    AlertNotificationUpdated, AlertSilenceUpdated, AlertUpdated, CommandUpdated, DeliveryUpdated,
    EventKind, EventMark, EventReload, EventReloadReason, EventWhat, GroupUpdated, HostCreated,
    HostDuplicated, HostEnrolled, HostHealth, HostOffline, HostOfflineReason, HostOnline,
    HostRevoked, HostUpdated, RecordUpdated, SessionClosed, SessionEntered, SessionOpened,
    WatchEventsRequest, WatchEventsResponse, WatchEventsResponseMessage,
};
use crate::wire::json::api as json;

/// What a request asks for.
///
/// # Errors
/// `position_invalid`, `kind_unknown`.
pub(super) fn asked(
    request: &WatchEventsRequest,
) -> Result<(Filter, Option<Position>), ServiceError> {
    let refuse = |field: &str, code, detail: String| {
        let mut error = ServiceError::new(ErrorKind::Invalid, code, detail);
        error.field = Some(field.to_owned());
        error
    };
    let position = match request.position.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|error: super::PositionError| {
            refuse("position", "position_invalid", error.to_string())
        })?),
    };
    let kinds = request.kinds.iter().map(kind);
    let kinds: Option<Vec<_>> = kinds.collect();
    let kinds = kinds.ok_or_else(|| {
        let detail = "this platform knows no events of that kind".to_owned();
        refuse("kinds", "kind_unknown", detail)
    })?;
    let hosts = request.host_ids.iter().copied().map(HostId::from);
    let groups = request.group_ids.iter().copied().map(GroupId::from);
    Ok((Filter::new(kinds, hosts, groups), position))
}

/// What a follower is told, as the schema has it. What ends it is no message.
pub(super) fn shown(news: &News) -> Option<WatchEventsResponse> {
    let message = match news {
        News::Event(told) => return event(told),
        News::Mark(position) => WatchEventsResponseMessage::Mark(EventMark {
            position: position.to_string(),
        }),
        News::Reload(position, reason) => WatchEventsResponseMessage::Reload(EventReload {
            position: position.to_string(),
            reason: match reason {
                ReloadReason::PositionTooOld => EventReloadReason::PositionTooOld,
                ReloadReason::PositionUnknown => EventReloadReason::PositionUnknown,
                ReloadReason::EventsLost => EventReloadReason::EventsLost,
            },
        }),
        News::End(_) => return None,
    };
    Some(WatchEventsResponse {
        message: Some(message),
    })
}

/// The same, encoded: an event once, whoever is told of it.
pub(super) fn encoded(news: &News, encoding: Encoding) -> Option<Bytes> {
    match news {
        News::Event(told) => Some(told.encoded(encoding, |told| {
            event(told).map_or_else(Bytes::new, |message| encode(message, encoding))
        })),
        news => shown(news).map(|message| encode(message, encoding)),
    }
}

fn encode(message: WatchEventsResponse, encoding: Encoding) -> Bytes {
    let wire = pb::WatchEventsResponse::from(message);
    match encoding {
        Encoding::Binary => wire.encode_to_vec().into(),
        Encoding::Json => {
            let mut out = BytesMut::new();
            json::write(&wire, &mut out);
            out.freeze()
        }
    }
}

fn event(told: &Told) -> Option<WatchEventsResponse> {
    let Event {
        at,
        host,
        actor,
        what,
    } = &told.event;
    let event = crate::wire::api::Event {
        position: told.position.to_string(),
        at: Some((*at).into()),
        host_id: host.map(|host| host.0),
        actor: actor.clone(),
        what: Some(what_shown(what)?),
    };
    Some(WatchEventsResponse {
        message: Some(WatchEventsResponseMessage::Event(event)),
    })
}

fn what_shown(what: &Happening) -> Option<EventWhat> {
    Some(match what.clone() {
        Happening::HostOnline { address, software } => {
            EventWhat::HostOnline(HostOnline { address, software })
        }
        Happening::HostOffline { reason } => EventWhat::HostOffline(HostOffline {
            reason: match reason {
                OfflineReason::ConnectionEnded => HostOfflineReason::ConnectionEnded,
                OfflineReason::DuplicateInstance => HostOfflineReason::DuplicateInstance,
                OfflineReason::CredentialVoid => HostOfflineReason::CredentialVoid,
                OfflineReason::PlatformStopped => HostOfflineReason::PlatformStopped,
            },
        }),
        Happening::HostHealth { health, round_trip } => EventWhat::HostHealth(HostHealth {
            health: Some(health),
            round_trip_ms: round_trip.map(|round_trip| round_trip.as_secs_f64() * 1000.0),
        }),
        Happening::HostCreated { name } => EventWhat::HostCreated(HostCreated { name }),
        Happening::HostEnrolled { name } => EventWhat::HostEnrolled(HostEnrolled { name }),
        Happening::HostUpdated { name } => EventWhat::HostUpdated(HostUpdated { name }),
        Happening::HostRevoked => EventWhat::HostRevoked(HostRevoked {}),
        Happening::HostDuplicated => EventWhat::HostDuplicated(HostDuplicated {}),
        Happening::SessionOpened(session) => EventWhat::SessionOpened(SessionOpened {
            session_id: session.id.0,
            user: session.user,
        }),
        Happening::SessionEntered(session) => EventWhat::SessionEntered(SessionEntered {
            session_id: session.id.0,
            user: session.user,
        }),
        Happening::SessionClosed { session, reason } => EventWhat::SessionClosed(SessionClosed {
            session_id: session.id.0,
            user: session.user,
            reason,
        }),
        Happening::CommandUpdated {
            id,
            command_type,
            status,
        } => EventWhat::CommandUpdated(CommandUpdated {
            command_id: id,
            command_type,
            status,
        }),
        Happening::DeliveryUpdated {
            command,
            status,
            reason,
        } => EventWhat::DeliveryUpdated(DeliveryUpdated {
            command_id: command.into(),
            status,
            reason,
        }),
        Happening::GroupUpdated { group } => {
            EventWhat::GroupUpdated(GroupUpdated { group_id: group })
        }
        Happening::AlertUpdated {
            alert,
            state,
            severity,
        } => EventWhat::AlertUpdated(AlertUpdated {
            alert_id: alert.into(),
            state,
            severity,
        }),
        Happening::AlertSilenceUpdated { silence, .. } => {
            EventWhat::AlertSilenceUpdated(AlertSilenceUpdated {
                alert_silence_id: silence.into(),
            })
        }
        Happening::AlertNotificationUpdated {
            alert,
            notification,
            state,
        } => EventWhat::AlertNotificationUpdated(AlertNotificationUpdated {
            alert_id: alert.into(),
            notification_id: notification,
            state,
        }),
        Happening::RecordUpdated { kind } => EventWhat::RecordUpdated(RecordUpdated { kind }),
        Happening::Lost => return None,
    })
}

fn kind(kind: &EventKind) -> Option<Kind> {
    Some(match kind {
        EventKind::HostOnline => Kind::HostOnline,
        EventKind::HostOffline => Kind::HostOffline,
        EventKind::HostHealth => Kind::HostHealth,
        EventKind::HostCreated => Kind::HostCreated,
        EventKind::HostEnrolled => Kind::HostEnrolled,
        EventKind::HostUpdated => Kind::HostUpdated,
        EventKind::HostRevoked => Kind::HostRevoked,
        EventKind::HostDuplicated => Kind::HostDuplicated,
        EventKind::SessionOpened => Kind::SessionOpened,
        EventKind::SessionEntered => Kind::SessionEntered,
        EventKind::SessionClosed => Kind::SessionClosed,
        EventKind::CommandUpdated => Kind::CommandUpdated,
        EventKind::DeliveryUpdated => Kind::DeliveryUpdated,
        EventKind::GroupUpdated => Kind::GroupUpdated,
        EventKind::AlertUpdated => Kind::AlertUpdated,
        EventKind::RecordUpdated => Kind::RecordUpdated,
        EventKind::AlertSilenceUpdated => Kind::AlertSilenceUpdated,
        EventKind::AlertNotificationUpdated => Kind::AlertNotificationUpdated,
        EventKind::Unspecified | EventKind::Unknown(_) => return None,
    })
}
