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

class PackageAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PACKAGE_ACTION_UNSPECIFIED: _ClassVar[PackageAction]
    PACKAGE_ACTION_INSTALL: _ClassVar[PackageAction]
    PACKAGE_ACTION_REMOVE: _ClassVar[PackageAction]
    PACKAGE_ACTION_UPDATE: _ClassVar[PackageAction]
    PACKAGE_ACTION_UPGRADE: _ClassVar[PackageAction]
    PACKAGE_ACTION_LIST: _ClassVar[PackageAction]

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
PACKAGE_ACTION_UNSPECIFIED: PackageAction
PACKAGE_ACTION_INSTALL: PackageAction
PACKAGE_ACTION_REMOVE: PackageAction
PACKAGE_ACTION_UPDATE: PackageAction
PACKAGE_ACTION_UPGRADE: PackageAction
PACKAGE_ACTION_LIST: PackageAction
COMMAND_STATUS_UNSPECIFIED: CommandStatus
COMMAND_STATUS_RECEIVED: CommandStatus
COMMAND_STATUS_RUNNING: CommandStatus
COMMAND_STATUS_SUCCESS: CommandStatus
COMMAND_STATUS_FAILED: CommandStatus
COMMAND_STATUS_INTERRUPTED: CommandStatus
COMMAND_STATUS_CANCELLED: CommandStatus
COMMAND_STATUS_EXPIRED: CommandStatus

class Command(_message.Message):
    __slots__ = ("message_id", "timestamp", "target_host", "expires_at", "package_operation", "unknown")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TARGET_HOST_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_OPERATION_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    timestamp: _timestamp_pb2.Timestamp
    target_host: str
    expires_at: _timestamp_pb2.Timestamp
    package_operation: PackageOperation
    unknown: UnknownCommand
    def __init__(self, message_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., target_host: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., package_operation: _Optional[_Union[PackageOperation, _Mapping]] = ..., unknown: _Optional[_Union[UnknownCommand, _Mapping]] = ...) -> None: ...

class PackageOperation(_message.Message):
    __slots__ = ("operation", "packages", "options")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    operation: PackageAction
    packages: _containers.RepeatedScalarFieldContainer[str]
    options: PackageOptions
    def __init__(self, operation: _Optional[_Union[PackageAction, str]] = ..., packages: _Optional[_Iterable[str]] = ..., options: _Optional[_Union[PackageOptions, _Mapping]] = ...) -> None: ...

class PackageOptions(_message.Message):
    __slots__ = ("yes",)
    YES_FIELD_NUMBER: _ClassVar[int]
    yes: bool
    def __init__(self, yes: _Optional[bool] = ...) -> None: ...

class UnknownCommand(_message.Message):
    __slots__ = ("command_type", "parameters")
    COMMAND_TYPE_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    command_type: str
    parameters: str
    def __init__(self, command_type: _Optional[str] = ..., parameters: _Optional[str] = ...) -> None: ...

class StatusUpdate(_message.Message):
    __slots__ = ("message_id", "original_message_id", "timestamp", "status", "progress_percent", "output")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_PERCENT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    original_message_id: str
    timestamp: _timestamp_pb2.Timestamp
    status: CommandStatus
    progress_percent: int
    output: str
    def __init__(self, message_id: _Optional[str] = ..., original_message_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., status: _Optional[_Union[CommandStatus, str]] = ..., progress_percent: _Optional[int] = ..., output: _Optional[str] = ...) -> None: ...

class Response(_message.Message):
    __slots__ = ("message_id", "original_message_id", "timestamp", "status", "package_operation", "raw")
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PACKAGE_OPERATION_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    original_message_id: str
    timestamp: _timestamp_pb2.Timestamp
    status: CommandStatus
    package_operation: PackageResult
    raw: str
    def __init__(self, message_id: _Optional[str] = ..., original_message_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., status: _Optional[_Union[CommandStatus, str]] = ..., package_operation: _Optional[_Union[PackageResult, _Mapping]] = ..., raw: _Optional[str] = ...) -> None: ...

class PackageResult(_message.Message):
    __slots__ = ("installed_packages", "execution_time", "output")
    INSTALLED_PACKAGES_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIME_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    installed_packages: _containers.RepeatedScalarFieldContainer[str]
    execution_time: float
    output: str
    def __init__(self, installed_packages: _Optional[_Iterable[str]] = ..., execution_time: _Optional[float] = ..., output: _Optional[str] = ...) -> None: ...
