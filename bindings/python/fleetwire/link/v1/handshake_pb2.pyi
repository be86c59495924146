import datetime

from fleetwire.link.v1 import error_pb2 as _error_pb2
from fleetwire.link.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Hello(_message.Message):
    __slots__ = ("auth_token", "protocol_versions", "capabilities", "host_id", "instance_id", "software", "limits", "resume")
    AUTH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    auth_token: str
    protocol_versions: _containers.RepeatedScalarFieldContainer[int]
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    host_id: str
    instance_id: str
    software: str
    limits: Limits
    resume: Resume
    def __init__(self, auth_token: _Optional[str] = ..., protocol_versions: _Optional[_Iterable[int]] = ..., capabilities: _Optional[_Iterable[str]] = ..., host_id: _Optional[str] = ..., instance_id: _Optional[str] = ..., software: _Optional[str] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., resume: _Optional[_Union[Resume, _Mapping]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("protocol_version", "session_id", "heartbeat_interval_ms", "limits", "capabilities", "platform_time", "resumed_messages", "host_id")
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_MS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_TIME_FIELD_NUMBER: _ClassVar[int]
    RESUMED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    protocol_version: int
    session_id: str
    heartbeat_interval_ms: int
    limits: Limits
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    platform_time: _timestamp_pb2.Timestamp
    resumed_messages: int
    host_id: str
    def __init__(self, protocol_version: _Optional[int] = ..., session_id: _Optional[str] = ..., heartbeat_interval_ms: _Optional[int] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., capabilities: _Optional[_Iterable[str]] = ..., platform_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resumed_messages: _Optional[int] = ..., host_id: _Optional[str] = ...) -> None: ...

class Refuse(_message.Message):
    __slots__ = ("code", "message", "permanent", "retry_after_ms")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PERMANENT_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    code: _error_pb2.ErrorCode
    message: str
    permanent: bool
    retry_after_ms: int
    def __init__(self, code: _Optional[_Union[_error_pb2.ErrorCode, str]] = ..., message: _Optional[str] = ..., permanent: _Optional[bool] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class GoAway(_message.Message):
    __slots__ = ("code", "message", "reconnect_window_ms")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RECONNECT_WINDOW_MS_FIELD_NUMBER: _ClassVar[int]
    code: _error_pb2.ErrorCode
    message: str
    reconnect_window_ms: int
    def __init__(self, code: _Optional[_Union[_error_pb2.ErrorCode, str]] = ..., message: _Optional[str] = ..., reconnect_window_ms: _Optional[int] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_message_bytes", "max_streams", "initial_stream_credit", "initial_session_credit")
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_STREAMS_FIELD_NUMBER: _ClassVar[int]
    INITIAL_STREAM_CREDIT_FIELD_NUMBER: _ClassVar[int]
    INITIAL_SESSION_CREDIT_FIELD_NUMBER: _ClassVar[int]
    max_message_bytes: int
    max_streams: int
    initial_stream_credit: int
    initial_session_credit: int
    def __init__(self, max_message_bytes: _Optional[int] = ..., max_streams: _Optional[int] = ..., initial_stream_credit: _Optional[int] = ..., initial_session_credit: _Optional[int] = ...) -> None: ...

class Resume(_message.Message):
    __slots__ = ("session_id", "messages")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    messages: int
    def __init__(self, session_id: _Optional[str] = ..., messages: _Optional[int] = ...) -> None: ...
