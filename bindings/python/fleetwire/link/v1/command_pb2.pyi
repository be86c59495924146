import datetime

from fleetwire.link.v1 import agent_update_pb2 as _agent_update_pb2
from fleetwire.link.v1 import file_transfer_pb2 as _file_transfer_pb2
from fleetwire.link.v1 import inventory_pb2 as _inventory_pb2
from fleetwire.link.v1 import options_pb2 as _options_pb2
from fleetwire.link.v1 import package_pb2 as _package_pb2
from fleetwire.link.v1 import script_pb2 as _script_pb2
from fleetwire.link.v1 import service_pb2 as _service_pb2
from fleetwire.link.v1 import system_pb2 as _system_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CommandPriority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMMAND_PRIORITY_UNSPECIFIED: _ClassVar[CommandPriority]
    COMMAND_PRIORITY_LOW: _ClassVar[CommandPriority]
    COMMAND_PRIORITY_NORMAL: _ClassVar[CommandPriority]
    COMMAND_PRIORITY_HIGH: _ClassVar[CommandPriority]

class CommandStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMMAND_STATUS_UNSPECIFIED: _ClassVar[CommandStatus]
    COMMAND_STATUS_RECEIVED: _ClassVar[CommandStatus]
    COMMAND_STATUS_RUNNING: _ClassVar[CommandStatus]
    COMMAND_STATUS_SUCCESS: _ClassVar[CommandStatus]
    COMMAND_STATUS_FAILED: _ClassVar[CommandStatus]
    COMMAND_STATUS_INTERRUPTED: _ClassVar[CommandStatus]
    COMMAND_STATUS_CANCELLED: _ClassVar[CommandStatus]
    COMMAND_STATUS_EXPIRED: _ClassVar[CommandStatus]
    COMMAND_STATUS_REFUSED: _ClassVar[CommandStatus]
COMMAND_PRIORITY_UNSPECIFIED: CommandPriority
COMMAND_PRIORITY_LOW: CommandPriority
COMMAND_PRIORITY_NORMAL: CommandPriority
COMMAND_PRIORITY_HIGH: CommandPriority
COMMAND_STATUS_UNSPECIFIED: CommandStatus
COMMAND_STATUS_RECEIVED: CommandStatus
COMMAND_STATUS_RUNNING: CommandStatus
COMMAND_STATUS_SUCCESS: CommandStatus
COMMAND_STATUS_FAILED: CommandStatus
COMMAND_STATUS_INTERRUPTED: CommandStatus
COMMAND_STATUS_CANCELLED: CommandStatus
COMMAND_STATUS_EXPIRED: CommandStatus
COMMAND_STATUS_REFUSED: CommandStatus

class Command(_message.Message):
    __slots__ = ("message_id", "timestamp", "target_host", "expires_at", "sequence", "settled_sequence", "timeout", "priority", "package_operation", "service_operation", "system_operation", "script", "file_transfer", "inventory", "agent_update", "unknown")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TARGET_HOST_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SETTLED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_FIELD_NUMBER: _ClassVar[int]
    FILE_TRANSFER_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    AGENT_UPDATE_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    timestamp: _timestamp_pb2.Timestamp
    target_host: str
    expires_at: _timestamp_pb2.Timestamp
    sequence: int
    settled_sequence: int
    timeout: int
    priority: CommandPriority
    package_operation: _package_pb2.PackageOperation
    service_operation: _service_pb2.ServiceOperation
    system_operation: _system_pb2.SystemOperation
    script: _script_pb2.Script
    file_transfer: _file_transfer_pb2.FileTransfer
    inventory: _inventory_pb2.Inventory
    agent_update: _agent_update_pb2.AgentUpdate
    unknown: UnknownCommand
    def __init__(self, message_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., target_host: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sequence: _Optional[int] = ..., settled_sequence: _Optional[int] = ..., timeout: _Optional[int] = ..., priority: _Optional[_Union[CommandPriority, str]] = ..., package_operation: _Optional[_Union[_package_pb2.PackageOperation, _Mapping]] = ..., service_operation: _Optional[_Union[_service_pb2.ServiceOperation, _Mapping]] = ..., system_operation: _Optional[_Union[_system_pb2.SystemOperation, _Mapping]] = ..., script: _Optional[_Union[_script_pb2.Script, _Mapping]] = ..., file_transfer: _Optional[_Union[_file_transfer_pb2.FileTransfer, _Mapping]] = ..., inventory: _Optional[_Union[_inventory_pb2.Inventory, _Mapping]] = ..., agent_update: _Optional[_Union[_agent_update_pb2.AgentUpdate, _Mapping]] = ..., unknown: _Optional[_Union[UnknownCommand, _Mapping]] = ...) -> None: ...

class UnknownCommand(_message.Message):
    __slots__ = ("command_type", "parameters")
    COMMAND_TYPE_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    command_type: str
    parameters: str
    def __init__(self, command_type: _Optional[str] = ..., parameters: _Optional[str] = ...) -> None: ...

class CommandAck(_message.Message):
    __slots__ = ("message_id", "original_message_id", "timestamp")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    original_message_id: str
    timestamp: _timestamp_pb2.Timestamp
    def __init__(self, message_id: _Optional[str] = ..., original_message_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CommandCancel(_message.Message):
    __slots__ = ("message_id", "original_message_id", "timestamp")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    original_message_id: str
    timestamp: _timestamp_pb2.Timestamp
    def __init__(self, message_id: _Optional[str] = ..., original_message_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StatusUpdate(_message.Message):
    __slots__ = ("message_id", "original_message_id", "timestamp", "status", "progress_percent", "output", "output_offset")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    original_message_id: str
    timestamp: _timestamp_pb2.Timestamp
    status: CommandStatus
    progress_percent: int
    output: str
    output_offset: int
    def __init__(self, message_id: _Optional[str] = ..., original_message_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., status: _Optional[_Union[CommandStatus, str]] = ..., progress_percent: _Optional[int] = ..., output: _Optional[str] = ..., output_offset: _Optional[int] = ...) -> None: ...

class Response(_message.Message):
    __slots__ = ("message_id", "original_message_id", "timestamp", "status", "reason", "detail", "started_at", "package_operation", "service_operation", "system_operation", "script", "file_transfer", "inventory", "agent_update", "raw")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_OPERATION_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_FIELD_NUMBER: _ClassVar[int]
    FILE_TRANSFER_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    AGENT_UPDATE_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    original_message_id: str
    timestamp: _timestamp_pb2.Timestamp
    status: CommandStatus
    reason: str
    detail: str
    started_at: _timestamp_pb2.Timestamp
    package_operation: _package_pb2.PackageResult
    service_operation: _service_pb2.ServiceResult
    system_operation: _system_pb2.SystemResult
    script: _script_pb2.ScriptResult
    file_transfer: _file_transfer_pb2.FileTransferResult
    inventory: _inventory_pb2.InventoryResult
    agent_update: _agent_update_pb2.AgentUpdateResult
    raw: str
    def __init__(self, message_id: _Optional[str] = ..., original_message_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., status: _Optional[_Union[CommandStatus, str]] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., package_operation: _Optional[_Union[_package_pb2.PackageResult, _Mapping]] = ..., service_operation: _Optional[_Union[_service_pb2.ServiceResult, _Mapping]] = ..., system_operation: _Optional[_Union[_system_pb2.SystemResult, _Mapping]] = ..., script: _Optional[_Union[_script_pb2.ScriptResult, _Mapping]] = ..., file_transfer: _Optional[_Union[_file_transfer_pb2.FileTransferResult, _Mapping]] = ..., inventory: _Optional[_Union[_inventory_pb2.InventoryResult, _Mapping]] = ..., agent_update: _Optional[_Union[_agent_update_pb2.AgentUpdateResult, _Mapping]] = ..., raw: _Optional[str] = ...) -> None: ...

class ResponseAck(_message.Message):
    __slots__ = ("message_id", "original_message_id", "timestamp")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    original_message_id: str
    timestamp: _timestamp_pb2.Timestamp
    def __init__(self, message_id: _Optional[str] = ..., original_message_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Journal(_message.Message):
    __slots__ = ("message_id", "timestamp", "epoch", "sequence")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    timestamp: _timestamp_pb2.Timestamp
    epoch: str
    sequence: int
    def __init__(self, message_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., epoch: _Optional[str] = ..., sequence: _Optional[int] = ...) -> None: ...

class JournalSync(_message.Message):
    __slots__ = ("message_id", "timestamp", "epoch", "report")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    timestamp: _timestamp_pb2.Timestamp
    epoch: str
    report: bool
    def __init__(self, message_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., epoch: _Optional[str] = ..., report: _Optional[bool] = ...) -> None: ...

class CommandReport(_message.Message):
    __slots__ = ("message_id", "timestamp", "command", "status", "response")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    timestamp: _timestamp_pb2.Timestamp
    command: Command
    status: CommandStatus
    response: Response
    def __init__(self, message_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., command: _Optional[_Union[Command, _Mapping]] = ..., status: _Optional[_Union[CommandStatus, str]] = ..., response: _Optional[_Union[Response, _Mapping]] = ...) -> None: ...
