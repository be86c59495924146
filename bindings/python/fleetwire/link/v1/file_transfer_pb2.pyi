from fleetwire.link.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TransferDirection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRANSFER_DIRECTION_UNSPECIFIED: _ClassVar[TransferDirection]
    TRANSFER_DIRECTION_TO_HOST: _ClassVar[TransferDirection]
    TRANSFER_DIRECTION_FROM_HOST: _ClassVar[TransferDirection]
TRANSFER_DIRECTION_UNSPECIFIED: TransferDirection
TRANSFER_DIRECTION_TO_HOST: TransferDirection
TRANSFER_DIRECTION_FROM_HOST: TransferDirection

class FileTransfer(_message.Message):
    __slots__ = ("direction", "path", "size_bytes", "sha256", "mode", "owner", "overwrite")
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    direction: TransferDirection
    path: str
    size_bytes: int
    sha256: str
    mode: int
    owner: str
    overwrite: bool
    def __init__(self, direction: _Optional[_Union[TransferDirection, str]] = ..., path: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., mode: _Optional[int] = ..., owner: _Optional[str] = ..., overwrite: _Optional[bool] = ...) -> None: ...

class FileTransferResult(_message.Message):
    __slots__ = ("size_bytes", "sha256", "execution_time")
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIME_FIELD_NUMBER: _ClassVar[int]
    size_bytes: int
    sha256: str
    execution_time: float
    def __init__(self, size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., execution_time: _Optional[float] = ...) -> None: ...
