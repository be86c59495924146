from fleetwire.api.v1 import options_pb2 as _options_pb2
from fleetwire.link.v1 import options_pb2 as _options_pb2_1
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class EnrolHostRequest(_message.Message):
    __slots__ = ("token", "name", "csr")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CSR_FIELD_NUMBER: _ClassVar[int]
    token: str
    name: str
    csr: str
    def __init__(self, token: _Optional[str] = ..., name: _Optional[str] = ..., csr: _Optional[str] = ...) -> None: ...

class EnrolHostResponse(_message.Message):
    __slots__ = ("host_id", "name", "auth_token", "server_name", "ca_pem", "certificate", "renew_after_seconds")
    HOST_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    AUTH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SERVER_NAME_FIELD_NUMBER: _ClassVar[int]
    CA_PEM_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    RENEW_AFTER_SECONDS_FIELD_NUMBER: _ClassVar[int]
    host_id: str
    name: str
    auth_token: str
    server_name: str
    ca_pem: str
    certificate: str
    renew_after_seconds: int
    def __init__(self, host_id: _Optional[str] = ..., name: _Optional[str] = ..., auth_token: _Optional[str] = ..., server_name: _Optional[str] = ..., ca_pem: _Optional[str] = ..., certificate: _Optional[str] = ..., renew_after_seconds: _Optional[int] = ...) -> None: ...

class RenewCertificateRequest(_message.Message):
    __slots__ = ("auth_token", "csr")
    AUTH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CSR_FIELD_NUMBER: _ClassVar[int]
    auth_token: str
    csr: str
    def __init__(self, auth_token: _Optional[str] = ..., csr: _Optional[str] = ...) -> None: ...

class RenewCertificateResponse(_message.Message):
    __slots__ = ("auth_token", "server_name", "ca_pem", "certificate", "renew_after_seconds")
    AUTH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SERVER_NAME_FIELD_NUMBER: _ClassVar[int]
    CA_PEM_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    RENEW_AFTER_SECONDS_FIELD_NUMBER: _ClassVar[int]
    auth_token: str
    server_name: str
    ca_pem: str
    certificate: str
    renew_after_seconds: int
    def __init__(self, auth_token: _Optional[str] = ..., server_name: _Optional[str] = ..., ca_pem: _Optional[str] = ..., certificate: _Optional[str] = ..., renew_after_seconds: _Optional[int] = ...) -> None: ...
