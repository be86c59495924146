import datetime

from fleetwire.link.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Heartbeat(_message.Message):
    __slots__ = ("uptime_seconds", "cpu_percent", "memory_percent", "disk_percent", "load_1m", "temperature_celsius", "sent_us", "round_trip_us")
    UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PERCENT_FIELD_NUMBER: _ClassVar[int]
    DISK_PERCENT_FIELD_NUMBER: _ClassVar[int]
    LOAD_1M_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_CELSIUS_FIELD_NUMBER: _ClassVar[int]
    SENT_US_FIELD_NUMBER: _ClassVar[int]
    ROUND_TRIP_US_FIELD_NUMBER: _ClassVar[int]
    uptime_seconds: int
    cpu_percent: float
    memory_percent: float
    disk_percent: float
    load_1m: float
    temperature_celsius: float
    sent_us: int
    round_trip_us: int
    def __init__(self, uptime_seconds: _Optional[int] = ..., cpu_percent: _Optional[float] = ..., memory_percent: _Optional[float] = ..., disk_percent: _Optional[float] = ..., load_1m: _Optional[float] = ..., temperature_celsius: _Optional[float] = ..., sent_us: _Optional[int] = ..., round_trip_us: _Optional[int] = ...) -> None: ...

class HeartbeatAck(_message.Message):
    __slots__ = ("sent_us", "platform_time")
    SENT_US_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_TIME_FIELD_NUMBER: _ClassVar[int]
    sent_us: int
    platform_time: _timestamp_pb2.Timestamp
    def __init__(self, sent_us: _Optional[int] = ..., platform_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
