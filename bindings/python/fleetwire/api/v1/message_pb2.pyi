import datetime

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

class MessageDirection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESSAGE_DIRECTION_UNSPECIFIED: _ClassVar[MessageDirection]
    MESSAGE_DIRECTION_TO_AGENT: _ClassVar[MessageDirection]
    MESSAGE_DIRECTION_FROM_AGENT: _ClassVar[MessageDirection]

class MessageOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESSAGE_OUTCOME_UNSPECIFIED: _ClassVar[MessageOutcome]
    MESSAGE_OUTCOME_SENT: _ClassVar[MessageOutcome]
    MESSAGE_OUTCOME_ACKNOWLEDGED: _ClassVar[MessageOutcome]
    MESSAGE_OUTCOME_RECEIVED: _ClassVar[MessageOutcome]
    MESSAGE_OUTCOME_REFUSED: _ClassVar[MessageOutcome]
    MESSAGE_OUTCOME_FAILED: _ClassVar[MessageOutcome]
MESSAGE_DIRECTION_UNSPECIFIED: MessageDirection
MESSAGE_DIRECTION_TO_AGENT: MessageDirection
MESSAGE_DIRECTION_FROM_AGENT: MessageDirection
MESSAGE_OUTCOME_UNSPECIFIED: MessageOutcome
MESSAGE_OUTCOME_SENT: MessageOutcome
MESSAGE_OUTCOME_ACKNOWLEDGED: MessageOutcome
MESSAGE_OUTCOME_RECEIVED: MessageOutcome
MESSAGE_OUTCOME_REFUSED: MessageOutcome
MESSAGE_OUTCOME_FAILED: MessageOutcome

class ListMessagesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "host_id", "message_type", "direction", "outcome", "message_id", "since", "until")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_TYPE_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    host_id: str
    message_type: str
    direction: MessageDirection
    outcome: MessageOutcome
    message_id: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., host_id: _Optional[str] = ..., message_type: _Optional[str] = ..., direction: _Optional[_Union[MessageDirection, str]] = ..., outcome: _Optional[_Union[MessageOutcome, str]] = ..., message_id: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListMessagesResponse(_message.Message):
    __slots__ = ("messages", "next_page_token")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[TrackedMessage]
    next_page_token: str
    def __init__(self, messages: _Optional[_Iterable[_Union[TrackedMessage, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class TrackedMessage(_message.Message):
    __slots__ = ("at", "host_id", "address", "direction", "message_type", "message_id", "size_bytes", "outcome", "code", "missed")
    AT_FIELD_NUMBER: _ClassVar[int]
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_TYPE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    host_id: str
    address: str
    direction: MessageDirection
    message_type: str
    message_id: str
    size_bytes: int
    outcome: MessageOutcome
    code: str
    missed: int
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., host_id: _Optional[str] = ..., address: _Optional[str] = ..., direction: _Optional[_Union[MessageDirection, str]] = ..., message_type: _Optional[str] = ..., message_id: _Optional[str] = ..., size_bytes: _Optional[int] = ..., outcome: _Optional[_Union[MessageOutcome, str]] = ..., code: _Optional[str] = ..., missed: _Optional[int] = ...) -> None: ...
