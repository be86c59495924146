import datetime

from fleetwire.api.v1 import options_pb2 as _options_pb2
from fleetwire.link.v1 import agent_update_pb2 as _agent_update_pb2
from fleetwire.link.v1 import file_transfer_pb2 as _file_transfer_pb2
from fleetwire.link.v1 import inventory_pb2 as _inventory_pb2
from fleetwire.link.v1 import options_pb2 as _options_pb2_1
from fleetwire.link.v1 import package_pb2 as _package_pb2
from fleetwire.link.v1 import script_pb2 as _script_pb2
from fleetwire.link.v1 import service_pb2 as _service_pb2
from fleetwire.link.v1 import system_pb2 as _system_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeliveryState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DELIVERY_STATE_UNSPECIFIED: _ClassVar[DeliveryState]
    DELIVERY_STATE_QUEUED: _ClassVar[DeliveryState]
    DELIVERY_STATE_SENT: _ClassVar[DeliveryState]
    DELIVERY_STATE_RECEIVED: _ClassVar[DeliveryState]
    DELIVERY_STATE_RUNNING: _ClassVar[DeliveryState]
    DELIVERY_STATE_SUCCEEDED: _ClassVar[DeliveryState]
    DELIVERY_STATE_FAILED: _ClassVar[DeliveryState]
    DELIVERY_STATE_INTERRUPTED: _ClassVar[DeliveryState]
    DELIVERY_STATE_CANCELLED: _ClassVar[DeliveryState]
    DELIVERY_STATE_EXPIRED: _ClassVar[DeliveryState]
    DELIVERY_STATE_DEAD: _ClassVar[DeliveryState]
DELIVERY_STATE_UNSPECIFIED: DeliveryState
DELIVERY_STATE_QUEUED: DeliveryState
DELIVERY_STATE_SENT: DeliveryState
DELIVERY_STATE_RECEIVED: DeliveryState
DELIVERY_STATE_RUNNING: DeliveryState
DELIVERY_STATE_SUCCEEDED: DeliveryState
DELIVERY_STATE_FAILED: DeliveryState
DELIVERY_STATE_INTERRUPTED: DeliveryState
DELIVERY_STATE_CANCELLED: DeliveryState
DELIVERY_STATE_EXPIRED: DeliveryState
DELIVERY_STATE_DEAD: DeliveryState

class Delivery(_message.Message):
    __slots__ = ("command_id", "host_id", "host", "command_type", "state", "reason", "detail", "created_at", "updated_at", "expires_at", "attempts", "cancel_requested", "discarded", "recovered", "progress_percent", "started_at", "finished_at", "wave", "held")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    COMMAND_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    DISCARDED_FIELD_NUMBER: _ClassVar[int]
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    WAVE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    host_id: str
    host: str
    command_type: str
    state: DeliveryState
    reason: str
    detail: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    attempts: int
    cancel_requested: bool
    discarded: bool
    recovered: bool
    progress_percent: int
    started_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    wave: int
    held: bool
    def __init__(self, command_id: _Optional[str] = ..., host_id: _Optional[str] = ..., host: _Optional[str] = ..., command_type: _Optional[str] = ..., state: _Optional[_Union[DeliveryState, str]] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempts: _Optional[int] = ..., cancel_requested: _Optional[bool] = ..., discarded: _Optional[bool] = ..., recovered: _Optional[bool] = ..., progress_percent: _Optional[int] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., wave: _Optional[int] = ..., held: _Optional[bool] = ...) -> None: ...

class ListDeliveriesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "command_id", "host", "states", "command_type", "reason", "dead")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    COMMAND_TYPE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    command_id: str
    host: str
    states: _containers.RepeatedScalarFieldContainer[DeliveryState]
    command_type: str
    reason: str
    dead: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., command_id: _Optional[str] = ..., host: _Optional[str] = ..., states: _Optional[_Iterable[_Union[DeliveryState, str]]] = ..., command_type: _Optional[str] = ..., reason: _Optional[str] = ..., dead: _Optional[bool] = ...) -> None: ...

class ListDeliveriesResponse(_message.Message):
    __slots__ = ("deliveries", "next_page_token")
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    deliveries: _containers.RepeatedCompositeFieldContainer[Delivery]
    next_page_token: str
    def __init__(self, deliveries: _Optional[_Iterable[_Union[Delivery, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetDeliveryRequest(_message.Message):
    __slots__ = ("command_id", "host_id")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    host_id: str
    def __init__(self, command_id: _Optional[str] = ..., host_id: _Optional[str] = ...) -> None: ...

class GetDeliveryResponse(_message.Message):
    __slots__ = ("delivery", "history", "package_operation", "service_operation", "system_operation", "script", "file_transfer", "inventory", "agent_update", "raw")
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_FIELD_NUMBER: _ClassVar[int]
    FILE_TRANSFER_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    AGENT_UPDATE_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    delivery: Delivery
    history: _containers.RepeatedCompositeFieldContainer[DeliveryChange]
    package_operation: _package_pb2.PackageResult
    service_operation: _service_pb2.ServiceResult
    system_operation: _system_pb2.SystemResult
    script: _script_pb2.ScriptResult
    file_transfer: _file_transfer_pb2.FileTransferResult
    inventory: _inventory_pb2.InventoryResult
    agent_update: _agent_update_pb2.AgentUpdateResult
    raw: str
    def __init__(self, delivery: _Optional[_Union[Delivery, _Mapping]] = ..., history: _Optional[_Iterable[_Union[DeliveryChange, _Mapping]]] = ..., package_operation: _Optional[_Union[_package_pb2.PackageResult, _Mapping]] = ..., service_operation: _Optional[_Union[_service_pb2.ServiceResult, _Mapping]] = ..., system_operation: _Optional[_Union[_system_pb2.SystemResult, _Mapping]] = ..., script: _Optional[_Union[_script_pb2.ScriptResult, _Mapping]] = ..., file_transfer: _Optional[_Union[_file_transfer_pb2.FileTransferResult, _Mapping]] = ..., inventory: _Optional[_Union[_inventory_pb2.InventoryResult, _Mapping]] = ..., agent_update: _Optional[_Union[_agent_update_pb2.AgentUpdateResult, _Mapping]] = ..., raw: _Optional[str] = ...) -> None: ...

class DeliveryChange(_message.Message):
    __slots__ = ("at", "state", "reason", "attempts")
    AT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    state: DeliveryState
    reason: str
    attempts: int
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[_Union[DeliveryState, str]] = ..., reason: _Optional[str] = ..., attempts: _Optional[int] = ...) -> None: ...

class DeadLetterFilter(_message.Message):
    __slots__ = ("host", "command_type", "reason", "before", "all")
    HOST_FIELD_NUMBER: _ClassVar[int]
    COMMAND_TYPE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    host: str
    command_type: str
    reason: str
    before: _timestamp_pb2.Timestamp
    all: bool
    def __init__(self, host: _Optional[str] = ..., command_type: _Optional[str] = ..., reason: _Optional[str] = ..., before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., all: _Optional[bool] = ...) -> None: ...

class RedriveDeliveriesRequest(_message.Message):
    __slots__ = ("command_id", "hosts", "filter", "expires_at", "dry_run")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    hosts: _containers.RepeatedScalarFieldContainer[str]
    filter: DeadLetterFilter
    expires_at: _timestamp_pb2.Timestamp
    dry_run: bool
    def __init__(self, command_id: _Optional[str] = ..., hosts: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[DeadLetterFilter, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class RedriveDeliveriesResponse(_message.Message):
    __slots__ = ("commands", "total", "more")
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[RedrivenCommand]
    total: int
    more: bool
    def __init__(self, commands: _Optional[_Iterable[_Union[RedrivenCommand, _Mapping]]] = ..., total: _Optional[int] = ..., more: _Optional[bool] = ...) -> None: ...

class RedrivenCommand(_message.Message):
    __slots__ = ("redrive_of", "command_id", "total")
    REDRIVE_OF_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    redrive_of: str
    command_id: str
    total: int
    def __init__(self, redrive_of: _Optional[str] = ..., command_id: _Optional[str] = ..., total: _Optional[int] = ...) -> None: ...

class DiscardDeliveriesRequest(_message.Message):
    __slots__ = ("command_id", "hosts", "filter", "dry_run")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    hosts: _containers.RepeatedScalarFieldContainer[str]
    filter: DeadLetterFilter
    dry_run: bool
    def __init__(self, command_id: _Optional[str] = ..., hosts: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[DeadLetterFilter, _Mapping]] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class DiscardDeliveriesResponse(_message.Message):
    __slots__ = ("total", "more")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    total: int
    more: bool
    def __init__(self, total: _Optional[int] = ..., more: _Optional[bool] = ...) -> None: ...
