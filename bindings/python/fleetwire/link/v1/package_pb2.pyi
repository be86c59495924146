from fleetwire.link.v1 import options_pb2 as _options_pb2
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
PACKAGE_ACTION_UNSPECIFIED: PackageAction
PACKAGE_ACTION_INSTALL: PackageAction
PACKAGE_ACTION_REMOVE: PackageAction
PACKAGE_ACTION_UPDATE: PackageAction
PACKAGE_ACTION_UPGRADE: PackageAction
PACKAGE_ACTION_LIST: PackageAction

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

class PackageResult(_message.Message):
    __slots__ = ("installed_packages", "execution_time", "output", "removed_packages", "packages", "exit_code", "output_bytes")
    INSTALLED_PACKAGES_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIME_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    REMOVED_PACKAGES_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    installed_packages: _containers.RepeatedScalarFieldContainer[str]
    execution_time: float
    output: str
    removed_packages: _containers.RepeatedScalarFieldContainer[str]
    packages: _containers.RepeatedCompositeFieldContainer[Package]
    exit_code: int
    output_bytes: int
    def __init__(self, installed_packages: _Optional[_Iterable[str]] = ..., execution_time: _Optional[float] = ..., output: _Optional[str] = ..., removed_packages: _Optional[_Iterable[str]] = ..., packages: _Optional[_Iterable[_Union[Package, _Mapping]]] = ..., exit_code: _Optional[int] = ..., output_bytes: _Optional[int] = ...) -> None: ...

class Package(_message.Message):
    __slots__ = ("name", "version", "architecture")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    architecture: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., architecture: _Optional[str] = ...) -> None: ...
