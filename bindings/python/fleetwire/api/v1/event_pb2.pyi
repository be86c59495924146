import datetime

from fleetwire.api.v1 import host_pb2 as _host_pb2
from fleetwire.api.v1 import options_pb2 as _options_pb2
from fleetwire.link.v1 import options_pb2 as _options_pb2_1
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventReloadReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_RELOAD_REASON_UNSPECIFIED: _ClassVar[EventReloadReason]
    EVENT_RELOAD_REASON_POSITION_TOO_OLD: _ClassVar[EventReloadReason]
    EVENT_RELOAD_REASON_POSITION_UNKNOWN: _ClassVar[EventReloadReason]
    EVENT_RELOAD_REASON_EVENTS_LOST: _ClassVar[EventReloadReason]

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_HOST_ONLINE: _ClassVar[EventKind]
    EVENT_KIND_HOST_OFFLINE: _ClassVar[EventKind]
    EVENT_KIND_HOST_HEALTH: _ClassVar[EventKind]
    EVENT_KIND_HOST_CREATED: _ClassVar[EventKind]
    EVENT_KIND_HOST_ENROLLED: _ClassVar[EventKind]
    EVENT_KIND_HOST_UPDATED: _ClassVar[EventKind]
    EVENT_KIND_HOST_REVOKED: _ClassVar[EventKind]
    EVENT_KIND_HOST_DUPLICATED: _ClassVar[EventKind]
    EVENT_KIND_SESSION_OPENED: _ClassVar[EventKind]
    EVENT_KIND_SESSION_ENTERED: _ClassVar[EventKind]
    EVENT_KIND_SESSION_CLOSED: _ClassVar[EventKind]
    EVENT_KIND_COMMAND_UPDATED: _ClassVar[EventKind]
    EVENT_KIND_GROUP_UPDATED: _ClassVar[EventKind]
    EVENT_KIND_DELIVERY_UPDATED: _ClassVar[EventKind]
    EVENT_KIND_ALERT_UPDATED: _ClassVar[EventKind]
    EVENT_KIND_ALERT_SILENCE_UPDATED: _ClassVar[EventKind]
    EVENT_KIND_RECORD_UPDATED: _ClassVar[EventKind]
    EVENT_KIND_ALERT_NOTIFICATION_UPDATED: _ClassVar[EventKind]

class HostOfflineReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HOST_OFFLINE_REASON_UNSPECIFIED: _ClassVar[HostOfflineReason]
    HOST_OFFLINE_REASON_CONNECTION_ENDED: _ClassVar[HostOfflineReason]
    HOST_OFFLINE_REASON_DUPLICATE_INSTANCE: _ClassVar[HostOfflineReason]
    HOST_OFFLINE_REASON_CREDENTIAL_VOID: _ClassVar[HostOfflineReason]
    HOST_OFFLINE_REASON_PLATFORM_STOPPED: _ClassVar[HostOfflineReason]
EVENT_RELOAD_REASON_UNSPECIFIED: EventReloadReason
EVENT_RELOAD_REASON_POSITION_TOO_OLD: EventReloadReason
EVENT_RELOAD_REASON_POSITION_UNKNOWN: EventReloadReason
EVENT_RELOAD_REASON_EVENTS_LOST: EventReloadReason
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_HOST_ONLINE: EventKind
EVENT_KIND_HOST_OFFLINE: EventKind
EVENT_KIND_HOST_HEALTH: EventKind
EVENT_KIND_HOST_CREATED: EventKind
EVENT_KIND_HOST_ENROLLED: EventKind
EVENT_KIND_HOST_UPDATED: EventKind
EVENT_KIND_HOST_REVOKED: EventKind
EVENT_KIND_HOST_DUPLICATED: EventKind
EVENT_KIND_SESSION_OPENED: EventKind
EVENT_KIND_SESSION_ENTERED: EventKind
EVENT_KIND_SESSION_CLOSED: EventKind
EVENT_KIND_COMMAND_UPDATED: EventKind
EVENT_KIND_GROUP_UPDATED: EventKind
EVENT_KIND_DELIVERY_UPDATED: EventKind
EVENT_KIND_ALERT_UPDATED: EventKind
EVENT_KIND_ALERT_SILENCE_UPDATED: EventKind
EVENT_KIND_RECORD_UPDATED: EventKind
EVENT_KIND_ALERT_NOTIFICATION_UPDATED: EventKind
HOST_OFFLINE_REASON_UNSPECIFIED: HostOfflineReason
HOST_OFFLINE_REASON_CONNECTION_ENDED: HostOfflineReason
HOST_OFFLINE_REASON_DUPLICATE_INSTANCE: HostOfflineReason
HOST_OFFLINE_REASON_CREDENTIAL_VOID: HostOfflineReason
HOST_OFFLINE_REASON_PLATFORM_STOPPED: HostOfflineReason

class WatchEventsRequest(_message.Message):
    __slots__ = ("position", "kinds", "host_ids", "group_ids")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    HOST_IDS_FIELD_NUMBER: _ClassVar[int]
    GROUP_IDS_FIELD_NUMBER: _ClassVar[int]
    position: str
    kinds: _containers.RepeatedScalarFieldContainer[EventKind]
    host_ids: _containers.RepeatedScalarFieldContainer[str]
    group_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, position: _Optional[str] = ..., kinds: _Optional[_Iterable[_Union[EventKind, str]]] = ..., host_ids: _Optional[_Iterable[str]] = ..., group_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchEventsResponse(_message.Message):
    __slots__ = ("event", "mark", "reload")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    MARK_FIELD_NUMBER: _ClassVar[int]
    RELOAD_FIELD_NUMBER: _ClassVar[int]
    event: Event
    mark: EventMark
    reload: EventReload
    def __init__(self, event: _Optional[_Union[Event, _Mapping]] = ..., mark: _Optional[_Union[EventMark, _Mapping]] = ..., reload: _Optional[_Union[EventReload, _Mapping]] = ...) -> None: ...

class EventMark(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: str
    def __init__(self, position: _Optional[str] = ...) -> None: ...

class EventReload(_message.Message):
    __slots__ = ("position", "reason")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    position: str
    reason: EventReloadReason
    def __init__(self, position: _Optional[str] = ..., reason: _Optional[_Union[EventReloadReason, str]] = ...) -> None: ...

class WatchEventsClientMessage(_message.Message):
    __slots__ = ("authenticate", "watch")
    AUTHENTICATE_FIELD_NUMBER: _ClassVar[int]
    WATCH_FIELD_NUMBER: _ClassVar[int]
    authenticate: EventAuthentication
    watch: WatchEventsRequest
    def __init__(self, authenticate: _Optional[_Union[EventAuthentication, _Mapping]] = ..., watch: _Optional[_Union[WatchEventsRequest, _Mapping]] = ...) -> None: ...

class EventAuthentication(_message.Message):
    __slots__ = ("access_token",)
    ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    access_token: str
    def __init__(self, access_token: _Optional[str] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("position", "at", "host_id", "actor", "host_online", "host_offline", "host_health", "host_created", "host_enrolled", "host_updated", "host_revoked", "host_duplicated", "session_opened", "session_entered", "session_closed", "command_updated", "group_updated", "delivery_updated", "alert_updated", "alert_silence_updated", "record_updated", "alert_notification_updated")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    HOST_ONLINE_FIELD_NUMBER: _ClassVar[int]
    HOST_OFFLINE_FIELD_NUMBER: _ClassVar[int]
    HOST_HEALTH_FIELD_NUMBER: _ClassVar[int]
    HOST_CREATED_FIELD_NUMBER: _ClassVar[int]
    HOST_ENROLLED_FIELD_NUMBER: _ClassVar[int]
    HOST_UPDATED_FIELD_NUMBER: _ClassVar[int]
    HOST_REVOKED_FIELD_NUMBER: _ClassVar[int]
    HOST_DUPLICATED_FIELD_NUMBER: _ClassVar[int]
    SESSION_OPENED_FIELD_NUMBER: _ClassVar[int]
    SESSION_ENTERED_FIELD_NUMBER: _ClassVar[int]
    SESSION_CLOSED_FIELD_NUMBER: _ClassVar[int]
    COMMAND_UPDATED_FIELD_NUMBER: _ClassVar[int]
    GROUP_UPDATED_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_UPDATED_FIELD_NUMBER: _ClassVar[int]
    ALERT_UPDATED_FIELD_NUMBER: _ClassVar[int]
    ALERT_SILENCE_UPDATED_FIELD_NUMBER: _ClassVar[int]
    RECORD_UPDATED_FIELD_NUMBER: _ClassVar[int]
    ALERT_NOTIFICATION_UPDATED_FIELD_NUMBER: _ClassVar[int]
    position: str
    at: _timestamp_pb2.Timestamp
    host_id: str
    actor: str
    host_online: HostOnline
    host_offline: HostOffline
    host_health: HostHealth
    host_created: HostCreated
    host_enrolled: HostEnrolled
    host_updated: HostUpdated
    host_revoked: HostRevoked
    host_duplicated: HostDuplicated
    session_opened: SessionOpened
    session_entered: SessionEntered
    session_closed: SessionClosed
    command_updated: CommandUpdated
    group_updated: GroupUpdated
    delivery_updated: DeliveryUpdated
    alert_updated: AlertUpdated
    alert_silence_updated: AlertSilenceUpdated
    record_updated: RecordUpdated
    alert_notification_updated: AlertNotificationUpdated
    def __init__(self, position: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., host_id: _Optional[str] = ..., actor: _Optional[str] = ..., host_online: _Optional[_Union[HostOnline, _Mapping]] = ..., host_offline: _Optional[_Union[HostOffline, _Mapping]] = ..., host_health: _Optional[_Union[HostHealth, _Mapping]] = ..., host_created: _Optional[_Union[HostCreated, _Mapping]] = ..., host_enrolled: _Optional[_Union[HostEnrolled, _Mapping]] = ..., host_updated: _Optional[_Union[HostUpdated, _Mapping]] = ..., host_revoked: _Optional[_Union[HostRevoked, _Mapping]] = ..., host_duplicated: _Optional[_Union[HostDuplicated, _Mapping]] = ..., session_opened: _Optional[_Union[SessionOpened, _Mapping]] = ..., session_entered: _Optional[_Union[SessionEntered, _Mapping]] = ..., session_closed: _Optional[_Union[SessionClosed, _Mapping]] = ..., command_updated: _Optional[_Union[CommandUpdated, _Mapping]] = ..., group_updated: _Optional[_Union[GroupUpdated, _Mapping]] = ..., delivery_updated: _Optional[_Union[DeliveryUpdated, _Mapping]] = ..., alert_updated: _Optional[_Union[AlertUpdated, _Mapping]] = ..., alert_silence_updated: _Optional[_Union[AlertSilenceUpdated, _Mapping]] = ..., record_updated: _Optional[_Union[RecordUpdated, _Mapping]] = ..., alert_notification_updated: _Optional[_Union[AlertNotificationUpdated, _Mapping]] = ...) -> None: ...

class HostOnline(_message.Message):
    __slots__ = ("address", "software")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_FIELD_NUMBER: _ClassVar[int]
    address: str
    software: str
    def __init__(self, address: _Optional[str] = ..., software: _Optional[str] = ...) -> None: ...

class HostOffline(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: HostOfflineReason
    def __init__(self, reason: _Optional[_Union[HostOfflineReason, str]] = ...) -> None: ...

class HostHealth(_message.Message):
    __slots__ = ("health", "round_trip_ms")
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    ROUND_TRIP_MS_FIELD_NUMBER: _ClassVar[int]
    health: _host_pb2.Health
    round_trip_ms: float
    def __init__(self, health: _Optional[_Union[_host_pb2.Health, _Mapping]] = ..., round_trip_ms: _Optional[float] = ...) -> None: ...

class HostCreated(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class HostEnrolled(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class HostUpdated(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class HostRevoked(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HostDuplicated(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SessionOpened(_message.Message):
    __slots__ = ("session_id", "user")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    user: str
    def __init__(self, session_id: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...

class SessionEntered(_message.Message):
    __slots__ = ("session_id", "user")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    user: str
    def __init__(self, session_id: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...

class SessionClosed(_message.Message):
    __slots__ = ("session_id", "user", "reason")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    user: str
    reason: str
    def __init__(self, session_id: _Optional[str] = ..., user: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CommandUpdated(_message.Message):
    __slots__ = ("command_id", "command_type", "status")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    command_type: str
    status: str
    def __init__(self, command_id: _Optional[str] = ..., command_type: _Optional[str] = ..., status: _Optional[str] = ...) -> None: ...

class DeliveryUpdated(_message.Message):
    __slots__ = ("command_id", "status", "reason")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    status: str
    reason: str
    def __init__(self, command_id: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class AlertUpdated(_message.Message):
    __slots__ = ("alert_id", "state", "severity")
    ALERT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    alert_id: str
    state: str
    severity: str
    def __init__(self, alert_id: _Optional[str] = ..., state: _Optional[str] = ..., severity: _Optional[str] = ...) -> None: ...

class AlertSilenceUpdated(_message.Message):
    __slots__ = ("alert_silence_id",)
    ALERT_SILENCE_ID_FIELD_NUMBER: _ClassVar[int]
    alert_silence_id: str
    def __init__(self, alert_silence_id: _Optional[str] = ...) -> None: ...

class AlertNotificationUpdated(_message.Message):
    __slots__ = ("alert_id", "notification_id", "state")
    ALERT_ID_FIELD_NUMBER: _ClassVar[int]
    NOTIFICATION_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    alert_id: str
    notification_id: str
    state: str
    def __init__(self, alert_id: _Optional[str] = ..., notification_id: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class RecordUpdated(_message.Message):
    __slots__ = ("kind",)
    KIND_FIELD_NUMBER: _ClassVar[int]
    kind: str
    def __init__(self, kind: _Optional[str] = ...) -> None: ...

class GroupUpdated(_message.Message):
    __slots__ = ("group_id",)
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    def __init__(self, group_id: _Optional[str] = ...) -> None: ...
