import datetime

from fleetwire.link.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_CODE_UNSPECIFIED: _ClassVar[ErrorCode]
    ERROR_CODE_MALFORMED: _ClassVar[ErrorCode]
    ERROR_CODE_UNEXPECTED_MESSAGE: _ClassVar[ErrorCode]
    ERROR_CODE_MIXED_ENCODINGS: _ClassVar[ErrorCode]
    ERROR_CODE_MESSAGE_TOO_BIG: _ClassVar[ErrorCode]
    ERROR_CODE_FIELD_INVALID: _ClassVar[ErrorCode]
    ERROR_CODE_MESSAGE_TYPE_UNKNOWN: _ClassVar[ErrorCode]
    ERROR_CODE_CREDIT_EXCEEDED: _ClassVar[ErrorCode]
    ERROR_CODE_OFFSET_WRONG: _ClassVar[ErrorCode]
    ERROR_CODE_STREAM_UNKNOWN: _ClassVar[ErrorCode]
    ERROR_CODE_TOO_MANY_STREAMS: _ClassVar[ErrorCode]
    ERROR_CODE_ABUSE: _ClassVar[ErrorCode]
    ERROR_CODE_PEER_SILENT: _ClassVar[ErrorCode]
    ERROR_CODE_HELLO_TIMEOUT: _ClassVar[ErrorCode]
    ERROR_CODE_TOKEN_UNKNOWN: _ClassVar[ErrorCode]
    ERROR_CODE_TOKEN_EXPIRED: _ClassVar[ErrorCode]
    ERROR_CODE_TOKEN_USED: _ClassVar[ErrorCode]
    ERROR_CODE_VERSION_UNSUPPORTED: _ClassVar[ErrorCode]
    ERROR_CODE_HOST_REVOKED: _ClassVar[ErrorCode]
    ERROR_CODE_HOST_MISMATCH: _ClassVar[ErrorCode]
    ERROR_CODE_REPLACED: _ClassVar[ErrorCode]
    ERROR_CODE_DUPLICATE_INSTANCE: _ClassVar[ErrorCode]
    ERROR_CODE_PLATFORM_STOPPING: _ClassVar[ErrorCode]
    ERROR_CODE_OVERLOADED: _ClassVar[ErrorCode]
    ERROR_CODE_CANCELLED: _ClassVar[ErrorCode]
    ERROR_CODE_CONNECTION_LOST: _ClassVar[ErrorCode]
    ERROR_CODE_SESSION_ENDED: _ClassVar[ErrorCode]
    ERROR_CODE_TARGET_UNREACHABLE: _ClassVar[ErrorCode]
    ERROR_CODE_TARGET_UNTRUSTED: _ClassVar[ErrorCode]
    ERROR_CODE_TARGET_MALFORMED: _ClassVar[ErrorCode]
    ERROR_CODE_TARGET_TIMEOUT: _ClassVar[ErrorCode]
    ERROR_CODE_TARGET_CLOSED: _ClassVar[ErrorCode]
    ERROR_CODE_NOT_ALLOWED: _ClassVar[ErrorCode]
    ERROR_CODE_COMMAND_TYPE_UNKNOWN: _ClassVar[ErrorCode]
    ERROR_CODE_INTERNAL: _ClassVar[ErrorCode]
    ERROR_CODE_CERTIFICATE_REQUIRED: _ClassVar[ErrorCode]
    ERROR_CODE_CERTIFICATE_MISMATCH: _ClassVar[ErrorCode]
    ERROR_CODE_CERTIFICATE_EXPIRED: _ClassVar[ErrorCode]
    ERROR_CODE_CERTIFICATE_REFUSED: _ClassVar[ErrorCode]
ERROR_CODE_UNSPECIFIED: ErrorCode
ERROR_CODE_MALFORMED: ErrorCode
ERROR_CODE_UNEXPECTED_MESSAGE: ErrorCode
ERROR_CODE_MIXED_ENCODINGS: ErrorCode
ERROR_CODE_MESSAGE_TOO_BIG: ErrorCode
ERROR_CODE_FIELD_INVALID: ErrorCode
ERROR_CODE_MESSAGE_TYPE_UNKNOWN: ErrorCode
ERROR_CODE_CREDIT_EXCEEDED: ErrorCode
ERROR_CODE_OFFSET_WRONG: ErrorCode
ERROR_CODE_STREAM_UNKNOWN: ErrorCode
ERROR_CODE_TOO_MANY_STREAMS: ErrorCode
ERROR_CODE_ABUSE: ErrorCode
ERROR_CODE_PEER_SILENT: ErrorCode
ERROR_CODE_HELLO_TIMEOUT: ErrorCode
ERROR_CODE_TOKEN_UNKNOWN: ErrorCode
ERROR_CODE_TOKEN_EXPIRED: ErrorCode
ERROR_CODE_TOKEN_USED: ErrorCode
ERROR_CODE_VERSION_UNSUPPORTED: ErrorCode
ERROR_CODE_HOST_REVOKED: ErrorCode
ERROR_CODE_HOST_MISMATCH: ErrorCode
ERROR_CODE_REPLACED: ErrorCode
ERROR_CODE_DUPLICATE_INSTANCE: ErrorCode
ERROR_CODE_PLATFORM_STOPPING: ErrorCode
ERROR_CODE_OVERLOADED: ErrorCode
ERROR_CODE_CANCELLED: ErrorCode
ERROR_CODE_CONNECTION_LOST: ErrorCode
ERROR_CODE_SESSION_ENDED: ErrorCode
ERROR_CODE_TARGET_UNREACHABLE: ErrorCode
ERROR_CODE_TARGET_UNTRUSTED: ErrorCode
ERROR_CODE_TARGET_MALFORMED: ErrorCode
ERROR_CODE_TARGET_TIMEOUT: ErrorCode
ERROR_CODE_TARGET_CLOSED: ErrorCode
ERROR_CODE_NOT_ALLOWED: ErrorCode
ERROR_CODE_COMMAND_TYPE_UNKNOWN: ErrorCode
ERROR_CODE_INTERNAL: ErrorCode
ERROR_CODE_CERTIFICATE_REQUIRED: ErrorCode
ERROR_CODE_CERTIFICATE_MISMATCH: ErrorCode
ERROR_CODE_CERTIFICATE_EXPIRED: ErrorCode
ERROR_CODE_CERTIFICATE_REFUSED: ErrorCode

class Error(_message.Message):
    __slots__ = ("message_id", "original_message_id", "timestamp", "code", "message")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    original_message_id: str
    timestamp: _timestamp_pb2.Timestamp
    code: ErrorCode
    message: str
    def __init__(self, message_id: _Optional[str] = ..., original_message_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., code: _Optional[_Union[ErrorCode, str]] = ..., message: _Optional[str] = ...) -> None: ...
