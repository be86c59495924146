import datetime

from fleetwire.link.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SystemAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SYSTEM_ACTION_UNSPECIFIED: _ClassVar[SystemAction]
    SYSTEM_ACTION_REBOOT: _ClassVar[SystemAction]
    SYSTEM_ACTION_SHUTDOWN: _ClassVar[SystemAction]
    SYSTEM_ACTION_SET_HOSTNAME: _ClassVar[SystemAction]
    SYSTEM_ACTION_SET_TIME: _ClassVar[SystemAction]
SYSTEM_ACTION_UNSPECIFIED: SystemAction
SYSTEM_ACTION_REBOOT: SystemAction
SYSTEM_ACTION_SHUTDOWN: SystemAction
SYSTEM_ACTION_SET_HOSTNAME: SystemAction
SYSTEM_ACTION_SET_TIME: SystemAction

class SystemOperation(_message.Message):
    __slots__ = ("operation", "hostname", "time", "time_zone")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    operation: SystemAction
    hostname: str
    time: _timestamp_pb2.Timestamp
    time_zone: str
    def __init__(self, operation: _Optional[_Union[SystemAction, str]] = ..., hostname: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., time_zone: _Optional[str] = ...) -> None: ...

class SystemResult(_message.Message):
    __slots__ = ("hostname", "time", "time_zone", "execution_time")
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIME_FIELD_NUMBER: _ClassVar[int]
    hostname: str
    time: _timestamp_pb2.Timestamp
    time_zone: str
    execution_time: float
    def __init__(self, hostname: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., time_zone: _Optional[str] = ..., execution_time: _Optional[float] = ...) -> None: ...
