from fleetwire.link.v1 import certificate_pb2 as _certificate_pb2
from fleetwire.link.v1 import command_pb2 as _command_pb2
from fleetwire.link.v1 import error_pb2 as _error_pb2
from fleetwire.link.v1 import handshake_pb2 as _handshake_pb2
from fleetwire.link.v1 import stream_pb2 as _stream_pb2
from fleetwire.link.v1 import telemetry_pb2 as _telemetry_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AgentToPlatform(_message.Message):
    __slots__ = ("hello", "heartbeat", "ack", "http_response", "stream_data", "stream_credit", "stream_reset", "stream_stop", "certificate_request", "status_update", "response", "error", "command_ack", "journal", "command_report")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    HTTP_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    STREAM_DATA_FIELD_NUMBER: _ClassVar[int]
    STREAM_CREDIT_FIELD_NUMBER: _ClassVar[int]
    STREAM_RESET_FIELD_NUMBER: _ClassVar[int]
    STREAM_STOP_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    STATUS_UPDATE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ACK_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_FIELD_NUMBER: _ClassVar[int]
    COMMAND_REPORT_FIELD_NUMBER: _ClassVar[int]
    hello: _handshake_pb2.Hello
    heartbeat: _telemetry_pb2.Heartbeat
    ack: _stream_pb2.Ack
    http_response: _stream_pb2.HttpResponse
    stream_data: _stream_pb2.StreamData
    stream_credit: _stream_pb2.StreamCredit
    stream_reset: _stream_pb2.StreamReset
    stream_stop: _stream_pb2.StreamStop
    certificate_request: _certificate_pb2.CertificateRequest
    status_update: _command_pb2.StatusUpdate
    response: _command_pb2.Response
    error: _error_pb2.Error
    command_ack: _command_pb2.CommandAck
    journal: _command_pb2.Journal
    command_report: _command_pb2.CommandReport
    def __init__(self, hello: _Optional[_Union[_handshake_pb2.Hello, _Mapping]] = ..., heartbeat: _Optional[_Union[_telemetry_pb2.Heartbeat, _Mapping]] = ..., ack: _Optional[_Union[_stream_pb2.Ack, _Mapping]] = ..., http_response: _Optional[_Union[_stream_pb2.HttpResponse, _Mapping]] = ..., stream_data: _Optional[_Union[_stream_pb2.StreamData, _Mapping]] = ..., stream_credit: _Optional[_Union[_stream_pb2.StreamCredit, _Mapping]] = ..., stream_reset: _Optional[_Union[_stream_pb2.StreamReset, _Mapping]] = ..., stream_stop: _Optional[_Union[_stream_pb2.StreamStop, _Mapping]] = ..., certificate_request: _Optional[_Union[_certificate_pb2.CertificateRequest, _Mapping]] = ..., status_update: _Optional[_Union[_command_pb2.StatusUpdate, _Mapping]] = ..., response: _Optional[_Union[_command_pb2.Response, _Mapping]] = ..., error: _Optional[_Union[_error_pb2.Error, _Mapping]] = ..., command_ack: _Optional[_Union[_command_pb2.CommandAck, _Mapping]] = ..., journal: _Optional[_Union[_command_pb2.Journal, _Mapping]] = ..., command_report: _Optional[_Union[_command_pb2.CommandReport, _Mapping]] = ...) -> None: ...

class PlatformToAgent(_message.Message):
    __slots__ = ("welcome", "refuse", "heartbeat_ack", "ack", "go_away", "http_request", "stream_data", "stream_credit", "stream_reset", "stream_stop", "session_open", "session_close", "certificate", "command", "error", "response_ack", "command_cancel", "journal_sync")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    REFUSE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_ACK_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    GO_AWAY_FIELD_NUMBER: _ClassVar[int]
    HTTP_REQUEST_FIELD_NUMBER: _ClassVar[int]
    STREAM_DATA_FIELD_NUMBER: _ClassVar[int]
    STREAM_CREDIT_FIELD_NUMBER: _ClassVar[int]
    STREAM_RESET_FIELD_NUMBER: _ClassVar[int]
    STREAM_STOP_FIELD_NUMBER: _ClassVar[int]
    SESSION_OPEN_FIELD_NUMBER: _ClassVar[int]
    SESSION_CLOSE_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_ACK_FIELD_NUMBER: _ClassVar[int]
    COMMAND_CANCEL_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_SYNC_FIELD_NUMBER: _ClassVar[int]
    welcome: _handshake_pb2.Welcome
    refuse: _handshake_pb2.Refuse
    heartbeat_ack: _telemetry_pb2.HeartbeatAck
    ack: _stream_pb2.Ack
    go_away: _handshake_pb2.GoAway
    http_request: _stream_pb2.HttpRequest
    stream_data: _stream_pb2.StreamData
    stream_credit: _stream_pb2.StreamCredit
    stream_reset: _stream_pb2.StreamReset
    stream_stop: _stream_pb2.StreamStop
    session_open: _stream_pb2.SessionOpen
    session_close: _stream_pb2.SessionClose
    certificate: _certificate_pb2.Certificate
    command: _command_pb2.Command
    error: _error_pb2.Error
    response_ack: _command_pb2.ResponseAck
    command_cancel: _command_pb2.CommandCancel
    journal_sync: _command_pb2.JournalSync
    def __init__(self, welcome: _Optional[_Union[_handshake_pb2.Welcome, _Mapping]] = ..., refuse: _Optional[_Union[_handshake_pb2.Refuse, _Mapping]] = ..., heartbeat_ack: _Optional[_Union[_telemetry_pb2.HeartbeatAck, _Mapping]] = ..., ack: _Optional[_Union[_stream_pb2.Ack, _Mapping]] = ..., go_away: _Optional[_Union[_handshake_pb2.GoAway, _Mapping]] = ..., http_request: _Optional[_Union[_stream_pb2.HttpRequest, _Mapping]] = ..., stream_data: _Optional[_Union[_stream_pb2.StreamData, _Mapping]] = ..., stream_credit: _Optional[_Union[_stream_pb2.StreamCredit, _Mapping]] = ..., stream_reset: _Optional[_Union[_stream_pb2.StreamReset, _Mapping]] = ..., stream_stop: _Optional[_Union[_stream_pb2.StreamStop, _Mapping]] = ..., session_open: _Optional[_Union[_stream_pb2.SessionOpen, _Mapping]] = ..., session_close: _Optional[_Union[_stream_pb2.SessionClose, _Mapping]] = ..., certificate: _Optional[_Union[_certificate_pb2.Certificate, _Mapping]] = ..., command: _Optional[_Union[_command_pb2.Command, _Mapping]] = ..., error: _Optional[_Union[_error_pb2.Error, _Mapping]] = ..., response_ack: _Optional[_Union[_command_pb2.ResponseAck, _Mapping]] = ..., command_cancel: _Optional[_Union[_command_pb2.CommandCancel, _Mapping]] = ..., journal_sync: _Optional[_Union[_command_pb2.JournalSync, _Mapping]] = ...) -> None: ...
