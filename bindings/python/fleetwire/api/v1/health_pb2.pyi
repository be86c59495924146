import datetime

from fleetwire.link.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HealthStep(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HEALTH_STEP_UNSPECIFIED: _ClassVar[HealthStep]
    HEALTH_STEP_MINUTE: _ClassVar[HealthStep]
    HEALTH_STEP_QUARTER: _ClassVar[HealthStep]
    HEALTH_STEP_THREE_HOURS: _ClassVar[HealthStep]
HEALTH_STEP_UNSPECIFIED: HealthStep
HEALTH_STEP_MINUTE: HealthStep
HEALTH_STEP_QUARTER: HealthStep
HEALTH_STEP_THREE_HOURS: HealthStep

class GetHostHealthRequest(_message.Message):
    __slots__ = ("host_id", "since", "until", "step")
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    host_id: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    step: HealthStep
    def __init__(self, host_id: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., step: _Optional[_Union[HealthStep, str]] = ...) -> None: ...

class GetHostHealthResponse(_message.Message):
    __slots__ = ("step", "points")
    STEP_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    step: HealthStep
    points: _containers.RepeatedCompositeFieldContainer[HealthPoint]
    def __init__(self, step: _Optional[_Union[HealthStep, str]] = ..., points: _Optional[_Iterable[_Union[HealthPoint, _Mapping]]] = ...) -> None: ...

class HealthPoint(_message.Message):
    __slots__ = ("at", "reports", "online_seconds", "reconnects", "bytes_from_agent", "bytes_to_agent", "cpu_percent", "memory_percent", "disk_percent", "load_average", "temperature_celsius", "round_trip_ms")
    AT_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    ONLINE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RECONNECTS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FROM_AGENT_FIELD_NUMBER: _ClassVar[int]
    BYTES_TO_AGENT_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PERCENT_FIELD_NUMBER: _ClassVar[int]
    DISK_PERCENT_FIELD_NUMBER: _ClassVar[int]
    LOAD_AVERAGE_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_CELSIUS_FIELD_NUMBER: _ClassVar[int]
    ROUND_TRIP_MS_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    reports: int
    online_seconds: int
    reconnects: int
    bytes_from_agent: int
    bytes_to_agent: int
    cpu_percent: HealthMeasure
    memory_percent: HealthMeasure
    disk_percent: HealthMeasure
    load_average: HealthMeasure
    temperature_celsius: HealthMeasure
    round_trip_ms: HealthMeasure
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reports: _Optional[int] = ..., online_seconds: _Optional[int] = ..., reconnects: _Optional[int] = ..., bytes_from_agent: _Optional[int] = ..., bytes_to_agent: _Optional[int] = ..., cpu_percent: _Optional[_Union[HealthMeasure, _Mapping]] = ..., memory_percent: _Optional[_Union[HealthMeasure, _Mapping]] = ..., disk_percent: _Optional[_Union[HealthMeasure, _Mapping]] = ..., load_average: _Optional[_Union[HealthMeasure, _Mapping]] = ..., temperature_celsius: _Optional[_Union[HealthMeasure, _Mapping]] = ..., round_trip_ms: _Optional[_Union[HealthMeasure, _Mapping]] = ...) -> None: ...

class HealthMeasure(_message.Message):
    __slots__ = ("mean", "max")
    MEAN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    mean: float
    max: float
    def __init__(self, mean: _Optional[float] = ..., max: _Optional[float] = ...) -> None: ...
