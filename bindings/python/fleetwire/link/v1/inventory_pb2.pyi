from fleetwire.link.v1 import options_pb2 as _options_pb2
from fleetwire.link.v1 import package_pb2 as _package_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InventoryPart(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INVENTORY_PART_UNSPECIFIED: _ClassVar[InventoryPart]
    INVENTORY_PART_HARDWARE: _ClassVar[InventoryPart]
    INVENTORY_PART_OPERATING_SYSTEM: _ClassVar[InventoryPart]
    INVENTORY_PART_PACKAGES: _ClassVar[InventoryPart]
    INVENTORY_PART_NETWORK: _ClassVar[InventoryPart]
    INVENTORY_PART_SERVICES: _ClassVar[InventoryPart]
INVENTORY_PART_UNSPECIFIED: InventoryPart
INVENTORY_PART_HARDWARE: InventoryPart
INVENTORY_PART_OPERATING_SYSTEM: InventoryPart
INVENTORY_PART_PACKAGES: InventoryPart
INVENTORY_PART_NETWORK: InventoryPart
INVENTORY_PART_SERVICES: InventoryPart

class Inventory(_message.Message):
    __slots__ = ("parts",)
    PARTS_FIELD_NUMBER: _ClassVar[int]
    parts: _containers.RepeatedScalarFieldContainer[InventoryPart]
    def __init__(self, parts: _Optional[_Iterable[_Union[InventoryPart, str]]] = ...) -> None: ...

class InventoryResult(_message.Message):
    __slots__ = ("hardware", "operating_system", "packages", "network", "services", "execution_time", "output")
    HARDWARE_FIELD_NUMBER: _ClassVar[int]
    OPERATING_SYSTEM_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIME_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    hardware: Hardware
    operating_system: OperatingSystem
    packages: _containers.RepeatedCompositeFieldContainer[_package_pb2.Package]
    network: _containers.RepeatedCompositeFieldContainer[NetworkInterface]
    services: _containers.RepeatedCompositeFieldContainer[ServiceUnit]
    execution_time: float
    output: str
    def __init__(self, hardware: _Optional[_Union[Hardware, _Mapping]] = ..., operating_system: _Optional[_Union[OperatingSystem, _Mapping]] = ..., packages: _Optional[_Iterable[_Union[_package_pb2.Package, _Mapping]]] = ..., network: _Optional[_Iterable[_Union[NetworkInterface, _Mapping]]] = ..., services: _Optional[_Iterable[_Union[ServiceUnit, _Mapping]]] = ..., execution_time: _Optional[float] = ..., output: _Optional[str] = ...) -> None: ...

class Hardware(_message.Message):
    __slots__ = ("vendor", "model", "serial_number", "processor", "processors", "memory_bytes", "disks")
    VENDOR_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SERIAL_NUMBER_FIELD_NUMBER: _ClassVar[int]
    PROCESSOR_FIELD_NUMBER: _ClassVar[int]
    PROCESSORS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISKS_FIELD_NUMBER: _ClassVar[int]
    vendor: str
    model: str
    serial_number: str
    processor: str
    processors: int
    memory_bytes: int
    disks: _containers.RepeatedCompositeFieldContainer[Disk]
    def __init__(self, vendor: _Optional[str] = ..., model: _Optional[str] = ..., serial_number: _Optional[str] = ..., processor: _Optional[str] = ..., processors: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., disks: _Optional[_Iterable[_Union[Disk, _Mapping]]] = ...) -> None: ...

class Disk(_message.Message):
    __slots__ = ("name", "model", "size_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    model: str
    size_bytes: int
    def __init__(self, name: _Optional[str] = ..., model: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class OperatingSystem(_message.Message):
    __slots__ = ("name", "version", "id", "kernel", "architecture", "hostname", "uptime_seconds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    KERNEL_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    id: str
    kernel: str
    architecture: str
    hostname: str
    uptime_seconds: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., id: _Optional[str] = ..., kernel: _Optional[str] = ..., architecture: _Optional[str] = ..., hostname: _Optional[str] = ..., uptime_seconds: _Optional[int] = ...) -> None: ...

class NetworkInterface(_message.Message):
    __slots__ = ("name", "hardware_address", "addresses", "up")
    NAME_FIELD_NUMBER: _ClassVar[int]
    HARDWARE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    name: str
    hardware_address: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    up: bool
    def __init__(self, name: _Optional[str] = ..., hardware_address: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., up: _Optional[bool] = ...) -> None: ...

class ServiceUnit(_message.Message):
    __slots__ = ("name", "active_state", "sub_state", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_STATE_FIELD_NUMBER: _ClassVar[int]
    SUB_STATE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    active_state: str
    sub_state: str
    description: str
    def __init__(self, name: _Optional[str] = ..., active_state: _Optional[str] = ..., sub_state: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...
