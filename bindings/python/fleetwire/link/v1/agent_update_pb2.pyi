from fleetwire.link.v1 import options_pb2 as _options_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class AgentUpdate(_message.Message):
    __slots__ = ("version", "size_bytes", "sha256", "signature")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    version: str
    size_bytes: int
    sha256: str
    signature: str
    def __init__(self, version: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., signature: _Optional[str] = ...) -> None: ...

class AgentUpdateResult(_message.Message):
    __slots__ = ("version_before", "version_after", "execution_time")
    VERSION_BEFORE_FIELD_NUMBER: _ClassVar[int]
    VERSION_AFTER_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIME_FIELD_NUMBER: _ClassVar[int]
    version_before: str
    version_after: str
    execution_time: float
    def __init__(self, version_before: _Optional[str] = ..., version_after: _Optional[str] = ..., execution_time: _Optional[float] = ...) -> None: ...
