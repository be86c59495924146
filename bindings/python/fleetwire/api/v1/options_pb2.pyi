from fleetwire.api.v1 import role_pb2 as _role_pb2
from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
POLICY_FIELD_NUMBER: _ClassVar[int]
policy: _descriptor.FieldDescriptor

class Policy(_message.Message):
    __slots__ = ("role", "anyone", "creates", "raw_field", "raw_media_type", "begins", "no_command", "max_request_bytes")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ANYONE_FIELD_NUMBER: _ClassVar[int]
    CREATES_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_FIELD_NUMBER: _ClassVar[int]
    RAW_MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    BEGINS_FIELD_NUMBER: _ClassVar[int]
    NO_COMMAND_FIELD_NUMBER: _ClassVar[int]
    MAX_REQUEST_BYTES_FIELD_NUMBER: _ClassVar[int]
    role: _role_pb2.Role
    anyone: bool
    creates: bool
    raw_field: str
    raw_media_type: str
    begins: bool
    no_command: str
    max_request_bytes: int
    def __init__(self, role: _Optional[_Union[_role_pb2.Role, str]] = ..., anyone: _Optional[bool] = ..., creates: _Optional[bool] = ..., raw_field: _Optional[str] = ..., raw_media_type: _Optional[str] = ..., begins: _Optional[bool] = ..., no_command: _Optional[str] = ..., max_request_bytes: _Optional[int] = ...) -> None: ...
