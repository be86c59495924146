from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JsonTag(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JSON_TAG_UNSPECIFIED: _ClassVar[JsonTag]
    JSON_TAG_TYPE: _ClassVar[JsonTag]
    JSON_TAG_MESSAGE_TYPE: _ClassVar[JsonTag]

class JsonForm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JSON_FORM_UNSPECIFIED: _ClassVar[JsonForm]
    JSON_FORM_FIELD_LINES: _ClassVar[JsonForm]
    JSON_FORM_TEXT_OR_BASE64: _ClassVar[JsonForm]
    JSON_FORM_RAW: _ClassVar[JsonForm]

class Format(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FORMAT_UNSPECIFIED: _ClassVar[Format]
    FORMAT_STREAM_ID: _ClassVar[Format]
    FORMAT_UUID: _ClassVar[Format]
    FORMAT_METHOD: _ClassVar[Format]
    FORMAT_REQUEST_TARGET: _ClassVar[Format]
    FORMAT_FIELD_LINES: _ClassVar[Format]
    FORMAT_NAME: _ClassVar[Format]
    FORMAT_ORIGIN: _ClassVar[Format]
JSON_TAG_UNSPECIFIED: JsonTag
JSON_TAG_TYPE: JsonTag
JSON_TAG_MESSAGE_TYPE: JsonTag
JSON_FORM_UNSPECIFIED: JsonForm
JSON_FORM_FIELD_LINES: JsonForm
JSON_FORM_TEXT_OR_BASE64: JsonForm
JSON_FORM_RAW: JsonForm
FORMAT_UNSPECIFIED: Format
FORMAT_STREAM_ID: Format
FORMAT_UUID: Format
FORMAT_METHOD: Format
FORMAT_REQUEST_TARGET: Format
FORMAT_FIELD_LINES: Format
FORMAT_NAME: Format
FORMAT_ORIGIN: Format
JSON_TAG_FIELD_NUMBER: _ClassVar[int]
json_tag: _descriptor.FieldDescriptor
JSON_ONEOF_FIELD_NUMBER: _ClassVar[int]
json_oneof: _descriptor.FieldDescriptor
RULES_FIELD_NUMBER: _ClassVar[int]
rules: _descriptor.FieldDescriptor
JSON_FORM_FIELD_NUMBER: _ClassVar[int]
json_form: _descriptor.FieldDescriptor
SENSITIVE_FIELD_NUMBER: _ClassVar[int]
sensitive: _descriptor.FieldDescriptor

class JsonOneof(_message.Message):
    __slots__ = ("tag", "content")
    TAG_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    tag: str
    content: str
    def __init__(self, tag: _Optional[str] = ..., content: _Optional[str] = ...) -> None: ...

class Rules(_message.Message):
    __slots__ = ("required", "max_bytes", "max_items", "min", "max", "format", "max_characters")
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_ITEMS_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    MAX_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    required: bool
    max_bytes: int
    max_items: int
    min: int
    max: int
    format: Format
    max_characters: int
    def __init__(self, required: _Optional[bool] = ..., max_bytes: _Optional[int] = ..., max_items: _Optional[int] = ..., min: _Optional[int] = ..., max: _Optional[int] = ..., format: _Optional[_Union[Format, str]] = ..., max_characters: _Optional[int] = ...) -> None: ...
