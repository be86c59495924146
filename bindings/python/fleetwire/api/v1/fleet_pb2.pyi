import datetime

from fleetwire.api.v1 import options_pb2 as _options_pb2
from fleetwire.link.v1 import options_pb2 as _options_pb2_1
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetFleetSummaryRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetFleetSummaryResponse(_message.Message):
    __slots__ = ("summary",)
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    summary: FleetSummary
    def __init__(self, summary: _Optional[_Union[FleetSummary, _Mapping]] = ...) -> None: ...

class FleetSummary(_message.Message):
    __slots__ = ("hosts", "sessions", "commands", "deliveries", "dead_letters", "alerts", "platform")
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    ALERTS_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    hosts: FleetHosts
    sessions: int
    commands: int
    deliveries: FleetDeliveries
    dead_letters: int
    alerts: FleetAlerts
    platform: FleetPlatform
    def __init__(self, hosts: _Optional[_Union[FleetHosts, _Mapping]] = ..., sessions: _Optional[int] = ..., commands: _Optional[int] = ..., deliveries: _Optional[_Union[FleetDeliveries, _Mapping]] = ..., dead_letters: _Optional[int] = ..., alerts: _Optional[_Union[FleetAlerts, _Mapping]] = ..., platform: _Optional[_Union[FleetPlatform, _Mapping]] = ...) -> None: ...

class FleetHosts(_message.Message):
    __slots__ = ("total", "online", "offline", "revoked")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    OFFLINE_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    total: int
    online: int
    offline: int
    revoked: int
    def __init__(self, total: _Optional[int] = ..., online: _Optional[int] = ..., offline: _Optional[int] = ..., revoked: _Optional[int] = ...) -> None: ...

class FleetDeliveries(_message.Message):
    __slots__ = ("queued", "sent", "received", "running")
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    queued: int
    sent: int
    received: int
    running: int
    def __init__(self, queued: _Optional[int] = ..., sent: _Optional[int] = ..., received: _Optional[int] = ..., running: _Optional[int] = ...) -> None: ...

class FleetAlerts(_message.Message):
    __slots__ = ("info", "warning", "critical")
    INFO_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    CRITICAL_FIELD_NUMBER: _ClassVar[int]
    info: int
    warning: int
    critical: int
    def __init__(self, info: _Optional[int] = ..., warning: _Optional[int] = ..., critical: _Optional[int] = ...) -> None: ...

class FleetPlatform(_message.Message):
    __slots__ = ("version", "started_at", "certificate_expires_at", "authority_expires_at", "database_bytes", "storage_bytes", "storage_free_bytes")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    AUTHORITY_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DATABASE_BYTES_FIELD_NUMBER: _ClassVar[int]
    STORAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    STORAGE_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    version: str
    started_at: _timestamp_pb2.Timestamp
    certificate_expires_at: _timestamp_pb2.Timestamp
    authority_expires_at: _timestamp_pb2.Timestamp
    database_bytes: int
    storage_bytes: int
    storage_free_bytes: int
    def __init__(self, version: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., certificate_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., authority_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., database_bytes: _Optional[int] = ..., storage_bytes: _Optional[int] = ..., storage_free_bytes: _Optional[int] = ...) -> None: ...
