import datetime

from fleetwire.api.v1 import delivery_pb2 as _delivery_pb2
from fleetwire.api.v1 import options_pb2 as _options_pb2
from fleetwire.link.v1 import agent_update_pb2 as _agent_update_pb2
from fleetwire.link.v1 import command_pb2 as _command_pb2
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

class CommandState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMMAND_STATE_UNSPECIFIED: _ClassVar[CommandState]
    COMMAND_STATE_QUEUED: _ClassVar[CommandState]
    COMMAND_STATE_RUNNING: _ClassVar[CommandState]
    COMMAND_STATE_FINISHED: _ClassVar[CommandState]
    COMMAND_STATE_PAUSED: _ClassVar[CommandState]
COMMAND_STATE_UNSPECIFIED: CommandState
COMMAND_STATE_QUEUED: CommandState
COMMAND_STATE_RUNNING: CommandState
COMMAND_STATE_FINISHED: CommandState
COMMAND_STATE_PAUSED: CommandState

class Command(_message.Message):
    __slots__ = ("id", "host_id", "command_type", "state", "user", "created_at", "expires_at", "timeout", "priority", "summary", "finished_at", "redrive_of", "targets", "waves", "schedule", "wave_state", "package_operation", "service_operation", "system_operation", "script", "file_transfer", "inventory", "agent_update")
    ID_FIELD_NUMBER: _ClassVar[int]
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_TYPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    REDRIVE_OF_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    WAVES_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    WAVE_STATE_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_FIELD_NUMBER: _ClassVar[int]
    FILE_TRANSFER_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    AGENT_UPDATE_FIELD_NUMBER: _ClassVar[int]
    id: str
    host_id: str
    command_type: str
    state: CommandState
    user: str
    created_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    timeout: int
    priority: _command_pb2.CommandPriority
    summary: CommandSummary
    finished_at: _timestamp_pb2.Timestamp
    redrive_of: str
    targets: str
    waves: CommandWaves
    schedule: CommandSchedule
    wave_state: CommandWaveState
    package_operation: _package_pb2.PackageOperation
    service_operation: _service_pb2.ServiceOperation
    system_operation: _system_pb2.SystemOperation
    script: _script_pb2.Script
    file_transfer: _file_transfer_pb2.FileTransfer
    inventory: _inventory_pb2.Inventory
    agent_update: _agent_update_pb2.AgentUpdate
    def __init__(self, id: _Optional[str] = ..., host_id: _Optional[str] = ..., command_type: _Optional[str] = ..., state: _Optional[_Union[CommandState, str]] = ..., user: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., timeout: _Optional[int] = ..., priority: _Optional[_Union[_command_pb2.CommandPriority, str]] = ..., summary: _Optional[_Union[CommandSummary, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., redrive_of: _Optional[str] = ..., targets: _Optional[str] = ..., waves: _Optional[_Union[CommandWaves, _Mapping]] = ..., schedule: _Optional[_Union[CommandSchedule, _Mapping]] = ..., wave_state: _Optional[_Union[CommandWaveState, _Mapping]] = ..., package_operation: _Optional[_Union[_package_pb2.PackageOperation, _Mapping]] = ..., service_operation: _Optional[_Union[_service_pb2.ServiceOperation, _Mapping]] = ..., system_operation: _Optional[_Union[_system_pb2.SystemOperation, _Mapping]] = ..., script: _Optional[_Union[_script_pb2.Script, _Mapping]] = ..., file_transfer: _Optional[_Union[_file_transfer_pb2.FileTransfer, _Mapping]] = ..., inventory: _Optional[_Union[_inventory_pb2.Inventory, _Mapping]] = ..., agent_update: _Optional[_Union[_agent_update_pb2.AgentUpdate, _Mapping]] = ...) -> None: ...

class CommandWaves(_message.Message):
    __slots__ = ("size", "percent", "pause", "max_failures")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    MAX_FAILURES_FIELD_NUMBER: _ClassVar[int]
    size: int
    percent: int
    pause: int
    max_failures: int
    def __init__(self, size: _Optional[int] = ..., percent: _Optional[int] = ..., pause: _Optional[int] = ..., max_failures: _Optional[int] = ...) -> None: ...

class CommandSchedule(_message.Message):
    __slots__ = ("not_before", "in_maintenance_window", "skip_offline")
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    IN_MAINTENANCE_WINDOW_FIELD_NUMBER: _ClassVar[int]
    SKIP_OFFLINE_FIELD_NUMBER: _ClassVar[int]
    not_before: _timestamp_pb2.Timestamp
    in_maintenance_window: bool
    skip_offline: bool
    def __init__(self, not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., in_maintenance_window: _Optional[bool] = ..., skip_offline: _Optional[bool] = ...) -> None: ...

class CommandWaveState(_message.Message):
    __slots__ = ("current", "total", "held", "next_at", "paused_at", "reason")
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    NEXT_AT_FIELD_NUMBER: _ClassVar[int]
    PAUSED_AT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    current: int
    total: int
    held: int
    next_at: _timestamp_pb2.Timestamp
    paused_at: _timestamp_pb2.Timestamp
    reason: str
    def __init__(self, current: _Optional[int] = ..., total: _Optional[int] = ..., held: _Optional[int] = ..., next_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., paused_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class CommandSummary(_message.Message):
    __slots__ = ("total", "queued", "sent", "received", "running", "succeeded", "failed", "interrupted", "cancelled", "expired", "dead")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    total: int
    queued: int
    sent: int
    received: int
    running: int
    succeeded: int
    failed: int
    interrupted: int
    cancelled: int
    expired: int
    dead: int
    def __init__(self, total: _Optional[int] = ..., queued: _Optional[int] = ..., sent: _Optional[int] = ..., received: _Optional[int] = ..., running: _Optional[int] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., interrupted: _Optional[int] = ..., cancelled: _Optional[int] = ..., expired: _Optional[int] = ..., dead: _Optional[int] = ...) -> None: ...

class CommandTargets(_message.Message):
    __slots__ = ("hosts", "group", "labels", "all")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    hosts: _containers.RepeatedScalarFieldContainer[str]
    group: str
    labels: _containers.ScalarMap[str, str]
    all: bool
    def __init__(self, hosts: _Optional[_Iterable[str]] = ..., group: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., all: _Optional[bool] = ...) -> None: ...

class InstallPackagesRequest(_message.Message):
    __slots__ = ("host_id", "packages", "options", "timeout", "expires_at")
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    host_id: str
    packages: _containers.RepeatedScalarFieldContainer[str]
    options: _package_pb2.PackageOptions
    timeout: int
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, host_id: _Optional[str] = ..., packages: _Optional[_Iterable[str]] = ..., options: _Optional[_Union[_package_pb2.PackageOptions, _Mapping]] = ..., timeout: _Optional[int] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class InstallPackagesResponse(_message.Message):
    __slots__ = ("command_id", "state")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    state: CommandState
    def __init__(self, command_id: _Optional[str] = ..., state: _Optional[_Union[CommandState, str]] = ...) -> None: ...

class CreateCommandRequest(_message.Message):
    __slots__ = ("targets", "timeout", "expires_at", "priority", "dry_run", "file_id", "waves", "schedule", "package_operation", "service_operation", "system_operation", "script", "file_transfer", "inventory", "agent_update")
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    WAVES_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_FIELD_NUMBER: _ClassVar[int]
    FILE_TRANSFER_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    AGENT_UPDATE_FIELD_NUMBER: _ClassVar[int]
    targets: CommandTargets
    timeout: int
    expires_at: _timestamp_pb2.Timestamp
    priority: _command_pb2.CommandPriority
    dry_run: bool
    file_id: str
    waves: CommandWaves
    schedule: CommandSchedule
    package_operation: _package_pb2.PackageOperation
    service_operation: _service_pb2.ServiceOperation
    system_operation: _system_pb2.SystemOperation
    script: _script_pb2.Script
    file_transfer: _file_transfer_pb2.FileTransfer
    inventory: _inventory_pb2.Inventory
    agent_update: _agent_update_pb2.AgentUpdate
    def __init__(self, targets: _Optional[_Union[CommandTargets, _Mapping]] = ..., timeout: _Optional[int] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., priority: _Optional[_Union[_command_pb2.CommandPriority, str]] = ..., dry_run: _Optional[bool] = ..., file_id: _Optional[str] = ..., waves: _Optional[_Union[CommandWaves, _Mapping]] = ..., schedule: _Optional[_Union[CommandSchedule, _Mapping]] = ..., package_operation: _Optional[_Union[_package_pb2.PackageOperation, _Mapping]] = ..., service_operation: _Optional[_Union[_service_pb2.ServiceOperation, _Mapping]] = ..., system_operation: _Optional[_Union[_system_pb2.SystemOperation, _Mapping]] = ..., script: _Optional[_Union[_script_pb2.Script, _Mapping]] = ..., file_transfer: _Optional[_Union[_file_transfer_pb2.FileTransfer, _Mapping]] = ..., inventory: _Optional[_Union[_inventory_pb2.Inventory, _Mapping]] = ..., agent_update: _Optional[_Union[_agent_update_pb2.AgentUpdate, _Mapping]] = ...) -> None: ...

class CreateCommandResponse(_message.Message):
    __slots__ = ("command_id", "state", "total", "hosts", "waves")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    WAVES_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    state: CommandState
    total: int
    hosts: _containers.RepeatedCompositeFieldContainer[CommandTarget]
    waves: int
    def __init__(self, command_id: _Optional[str] = ..., state: _Optional[_Union[CommandState, str]] = ..., total: _Optional[int] = ..., hosts: _Optional[_Iterable[_Union[CommandTarget, _Mapping]]] = ..., waves: _Optional[int] = ...) -> None: ...

class CommandTarget(_message.Message):
    __slots__ = ("host_id", "host", "online", "wave", "window_opens_at")
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    WAVE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_OPENS_AT_FIELD_NUMBER: _ClassVar[int]
    host_id: str
    host: str
    online: bool
    wave: int
    window_opens_at: _timestamp_pb2.Timestamp
    def __init__(self, host_id: _Optional[str] = ..., host: _Optional[str] = ..., online: _Optional[bool] = ..., wave: _Optional[int] = ..., window_opens_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListCommandsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "host", "state", "command_type", "user")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_TYPE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    host: str
    state: CommandState
    command_type: str
    user: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., host: _Optional[str] = ..., state: _Optional[_Union[CommandState, str]] = ..., command_type: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...

class ListCommandsResponse(_message.Message):
    __slots__ = ("commands", "next_page_token")
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[Command]
    next_page_token: str
    def __init__(self, commands: _Optional[_Iterable[_Union[Command, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetCommandRequest(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class GetCommandResponse(_message.Message):
    __slots__ = ("command",)
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    command: Command
    def __init__(self, command: _Optional[_Union[Command, _Mapping]] = ...) -> None: ...

class CancelCommandRequest(_message.Message):
    __slots__ = ("command_id", "hosts")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    hosts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, command_id: _Optional[str] = ..., hosts: _Optional[_Iterable[str]] = ...) -> None: ...

class CancelCommandResponse(_message.Message):
    __slots__ = ("cancelled", "requested")
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_FIELD_NUMBER: _ClassVar[int]
    cancelled: int
    requested: int
    def __init__(self, cancelled: _Optional[int] = ..., requested: _Optional[int] = ...) -> None: ...

class ResumeCommandRequest(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class ResumeCommandResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AbortCommandRequest(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class AbortCommandResponse(_message.Message):
    __slots__ = ("cancelled",)
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    cancelled: int
    def __init__(self, cancelled: _Optional[int] = ...) -> None: ...

class WatchCommandRequest(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class WatchCommandResponse(_message.Message):
    __slots__ = ("command", "delivery", "progress")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    command: Command
    delivery: _delivery_pb2.Delivery
    progress: CommandProgress
    def __init__(self, command: _Optional[_Union[Command, _Mapping]] = ..., delivery: _Optional[_Union[_delivery_pb2.Delivery, _Mapping]] = ..., progress: _Optional[_Union[CommandProgress, _Mapping]] = ...) -> None: ...

class CommandProgress(_message.Message):
    __slots__ = ("host_id", "host", "progress_percent", "output", "output_offset")
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    host_id: str
    host: str
    progress_percent: int
    output: str
    output_offset: int
    def __init__(self, host_id: _Optional[str] = ..., host: _Optional[str] = ..., progress_percent: _Optional[int] = ..., output: _Optional[str] = ..., output_offset: _Optional[int] = ...) -> None: ...
