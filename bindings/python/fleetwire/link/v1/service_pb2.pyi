from fleetwire.link.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ServiceAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SERVICE_ACTION_UNSPECIFIED: _ClassVar[ServiceAction]
    SERVICE_ACTION_START: _ClassVar[ServiceAction]
    SERVICE_ACTION_STOP: _ClassVar[ServiceAction]
    SERVICE_ACTION_RESTART: _ClassVar[ServiceAction]
    SERVICE_ACTION_ENABLE: _ClassVar[ServiceAction]
    SERVICE_ACTION_DISABLE: _ClassVar[ServiceAction]
    SERVICE_ACTION_STATUS: _ClassVar[ServiceAction]
SERVICE_ACTION_UNSPECIFIED: ServiceAction
SERVICE_ACTION_START: ServiceAction
SERVICE_ACTION_STOP: ServiceAction
SERVICE_ACTION_RESTART: ServiceAction
SERVICE_ACTION_ENABLE: ServiceAction
SERVICE_ACTION_DISABLE: ServiceAction
SERVICE_ACTION_STATUS: ServiceAction

class ServiceOperation(_message.Message):
    __slots__ = ("operation", "service")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    operation: ServiceAction
    service: str
    def __init__(self, operation: _Optional[_Union[ServiceAction, str]] = ..., service: _Optional[str] = ...) -> None: ...

class ServiceResult(_message.Message):
    __slots__ = ("active_state", "sub_state", "enabled_state", "description", "process_id", "execution_time")
    ACTIVE_STATE_FIELD_NUMBER: _ClassVar[int]
    SUB_STATE_FIELD_NUMBER: _ClassVar[int]
    ENABLED_STATE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIME_FIELD_NUMBER: _ClassVar[int]
    active_state: str
    sub_state: str
    enabled_state: str
    description: str
    process_id: int
    execution_time: float
    def __init__(self, active_state: _Optional[str] = ..., sub_state: _Optional[str] = ..., enabled_state: _Optional[str] = ..., description: _Optional[str] = ..., process_id: _Optional[int] = ..., execution_time: _Optional[float] = ...) -> None: ...
