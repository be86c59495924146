import datetime

from fleetwire.api.v1 import options_pb2 as _options_pb2
from fleetwire.link.v1 import options_pb2 as _options_pb2_1
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AlertSilence(_message.Message):
    __slots__ = ("id", "reason", "created_by", "created_at", "starts_at", "ends_at", "matcher")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    MATCHER_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: str
    created_by: str
    created_at: _timestamp_pb2.Timestamp
    starts_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    matcher: AlertMatcher
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[str] = ..., created_by: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., matcher: _Optional[_Union[AlertMatcher, _Mapping]] = ...) -> None: ...

class AlertMatcher(_message.Message):
    __slots__ = ("rule_id", "host_id", "group_id", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    rule_id: str
    host_id: str
    group_id: str
    labels: _containers.ScalarMap[str, str]
    def __init__(self, rule_id: _Optional[str] = ..., host_id: _Optional[str] = ..., group_id: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ListAlertSilencesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAlertSilencesResponse(_message.Message):
    __slots__ = ("silences",)
    SILENCES_FIELD_NUMBER: _ClassVar[int]
    silences: _containers.RepeatedCompositeFieldContainer[AlertSilence]
    def __init__(self, silences: _Optional[_Iterable[_Union[AlertSilence, _Mapping]]] = ...) -> None: ...

class CreateAlertSilenceRequest(_message.Message):
    __slots__ = ("reason", "matcher", "starts_at", "ends_at", "duration_seconds")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MATCHER_FIELD_NUMBER: _ClassVar[int]
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    matcher: AlertMatcher
    starts_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    duration_seconds: int
    def __init__(self, reason: _Optional[str] = ..., matcher: _Optional[_Union[AlertMatcher, _Mapping]] = ..., starts_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., duration_seconds: _Optional[int] = ...) -> None: ...

class CreateAlertSilenceResponse(_message.Message):
    __slots__ = ("silence",)
    SILENCE_FIELD_NUMBER: _ClassVar[int]
    silence: AlertSilence
    def __init__(self, silence: _Optional[_Union[AlertSilence, _Mapping]] = ...) -> None: ...

class UpdateAlertSilenceRequest(_message.Message):
    __slots__ = ("alert_silence_id", "ends_at", "duration_seconds")
    ALERT_SILENCE_ID_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    alert_silence_id: str
    ends_at: _timestamp_pb2.Timestamp
    duration_seconds: int
    def __init__(self, alert_silence_id: _Optional[str] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., duration_seconds: _Optional[int] = ...) -> None: ...

class UpdateAlertSilenceResponse(_message.Message):
    __slots__ = ("silence",)
    SILENCE_FIELD_NUMBER: _ClassVar[int]
    silence: AlertSilence
    def __init__(self, silence: _Optional[_Union[AlertSilence, _Mapping]] = ...) -> None: ...

class DeleteAlertSilenceRequest(_message.Message):
    __slots__ = ("alert_silence_id",)
    ALERT_SILENCE_ID_FIELD_NUMBER: _ClassVar[int]
    alert_silence_id: str
    def __init__(self, alert_silence_id: _Optional[str] = ...) -> None: ...

class DeleteAlertSilenceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
