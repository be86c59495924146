from fleetwire.link.v1 import options_pb2 as _options_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class CertificateRequest(_message.Message):
    __slots__ = ("auth_token", "csr")
    AUTH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CSR_FIELD_NUMBER: _ClassVar[int]
    auth_token: str
    csr: str
    def __init__(self, auth_token: _Optional[str] = ..., csr: _Optional[str] = ...) -> None: ...

class Certificate(_message.Message):
    __slots__ = ("certificate", "ca_pem", "server_name", "auth_token", "renew_after_seconds")
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    CA_PEM_FIELD_NUMBER: _ClassVar[int]
    SERVER_NAME_FIELD_NUMBER: _ClassVar[int]
    AUTH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RENEW_AFTER_SECONDS_FIELD_NUMBER: _ClassVar[int]
    certificate: str
    ca_pem: str
    server_name: str
    auth_token: str
    renew_after_seconds: int
    def __init__(self, certificate: _Optional[str] = ..., ca_pem: _Optional[str] = ..., server_name: _Optional[str] = ..., auth_token: _Optional[str] = ..., renew_after_seconds: _Optional[int] = ...) -> None: ...
