import datetime

from fleetwire.link.v1 import error_pb2 as _error_pb2
from fleetwire.link.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SessionCloseReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_CLOSE_REASON_UNSPECIFIED: _ClassVar[SessionCloseReason]
    SESSION_CLOSE_REASON_CLOSED_BY_USER: _ClassVar[SessionCloseReason]
    SESSION_CLOSE_REASON_CLOSED_BY_ADMIN: _ClassVar[SessionCloseReason]
    SESSION_CLOSE_REASON_IDLE: _ClassVar[SessionCloseReason]
    SESSION_CLOSE_REASON_EXPIRED: _ClassVar[SessionCloseReason]
    SESSION_CLOSE_REASON_PLATFORM_STOPPED: _ClassVar[SessionCloseReason]
SESSION_CLOSE_REASON_UNSPECIFIED: SessionCloseReason
SESSION_CLOSE_REASON_CLOSED_BY_USER: SessionCloseReason
SESSION_CLOSE_REASON_CLOSED_BY_ADMIN: SessionCloseReason
SESSION_CLOSE_REASON_IDLE: SessionCloseReason
SESSION_CLOSE_REASON_EXPIRED: SessionCloseReason
SESSION_CLOSE_REASON_PLATFORM_STOPPED: SessionCloseReason

class HttpRequest(_message.Message):
    __slots__ = ("id", "method", "path", "headers", "body", "body_follows", "origin")
    ID_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    BODY_FOLLOWS_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    id: str
    method: str
    path: str
    headers: bytes
    body: bytes
    body_follows: bool
    origin: str
    def __init__(self, id: _Optional[str] = ..., method: _Optional[str] = ..., path: _Optional[str] = ..., headers: _Optional[bytes] = ..., body: _Optional[bytes] = ..., body_follows: _Optional[bool] = ..., origin: _Optional[str] = ...) -> None: ...

class HttpResponse(_message.Message):
    __slots__ = ("id", "status", "headers", "body", "body_follows")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    BODY_FOLLOWS_FIELD_NUMBER: _ClassVar[int]
    id: str
    status: int
    headers: bytes
    body: bytes
    body_follows: bool
    def __init__(self, id: _Optional[str] = ..., status: _Optional[int] = ..., headers: _Optional[bytes] = ..., body: _Optional[bytes] = ..., body_follows: _Optional[bool] = ...) -> None: ...

class StreamData(_message.Message):
    __slots__ = ("id", "offset", "data", "fin", "trailers")
    ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    FIN_FIELD_NUMBER: _ClassVar[int]
    TRAILERS_FIELD_NUMBER: _ClassVar[int]
    id: str
    offset: int
    data: bytes
    fin: bool
    trailers: bytes
    def __init__(self, id: _Optional[str] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ..., fin: _Optional[bool] = ..., trailers: _Optional[bytes] = ...) -> None: ...

class StreamCredit(_message.Message):
    __slots__ = ("id", "max_offset")
    ID_FIELD_NUMBER: _ClassVar[int]
    MAX_OFFSET_FIELD_NUMBER: _ClassVar[int]
    id: str
    max_offset: int
    def __init__(self, id: _Optional[str] = ..., max_offset: _Optional[int] = ...) -> None: ...

class StreamReset(_message.Message):
    __slots__ = ("id", "code", "final_offset", "message")
    ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    FINAL_OFFSET_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    code: _error_pb2.ErrorCode
    final_offset: int
    message: str
    def __init__(self, id: _Optional[str] = ..., code: _Optional[_Union[_error_pb2.ErrorCode, str]] = ..., final_offset: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class StreamStop(_message.Message):
    __slots__ = ("id", "code")
    ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    id: str
    code: _error_pb2.ErrorCode
    def __init__(self, id: _Optional[str] = ..., code: _Optional[_Union[_error_pb2.ErrorCode, str]] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("messages", "bytes", "delay_us", "max_bytes")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    DELAY_US_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    messages: int
    bytes: int
    delay_us: int
    max_bytes: int
    def __init__(self, messages: _Optional[int] = ..., bytes: _Optional[int] = ..., delay_us: _Optional[int] = ..., max_bytes: _Optional[int] = ...) -> None: ...

class SessionOpen(_message.Message):
    __slots__ = ("session_id", "user", "expires_at")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    user: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, session_id: _Optional[str] = ..., user: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SessionClose(_message.Message):
    __slots__ = ("session_id", "reason")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    reason: SessionCloseReason
    def __init__(self, session_id: _Optional[str] = ..., reason: _Optional[_Union[SessionCloseReason, str]] = ...) -> None: ...
