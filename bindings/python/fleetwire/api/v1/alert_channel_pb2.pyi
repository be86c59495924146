import datetime

from fleetwire.api.v1 import options_pb2 as _options_pb2
from fleetwire.link.v1 import options_pb2 as _options_pb2_1
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AlertChannel(_message.Message):
    __slots__ = ("id", "spec", "created_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    spec: AlertChannelSpec
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., spec: _Optional[_Union[AlertChannelSpec, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AlertChannelSpec(_message.Message):
    __slots__ = ("name", "disabled", "webhook", "email")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    disabled: bool
    webhook: WebhookTarget
    email: EmailTarget
    def __init__(self, name: _Optional[str] = ..., disabled: _Optional[bool] = ..., webhook: _Optional[_Union[WebhookTarget, _Mapping]] = ..., email: _Optional[_Union[EmailTarget, _Mapping]] = ...) -> None: ...

class WebhookTarget(_message.Message):
    __slots__ = ("url",)
    URL_FIELD_NUMBER: _ClassVar[int]
    url: str
    def __init__(self, url: _Optional[str] = ...) -> None: ...

class EmailTarget(_message.Message):
    __slots__ = ("recipients",)
    RECIPIENTS_FIELD_NUMBER: _ClassVar[int]
    recipients: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, recipients: _Optional[_Iterable[str]] = ...) -> None: ...

class ListAlertChannelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAlertChannelsResponse(_message.Message):
    __slots__ = ("channels",)
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    channels: _containers.RepeatedCompositeFieldContainer[AlertChannel]
    def __init__(self, channels: _Optional[_Iterable[_Union[AlertChannel, _Mapping]]] = ...) -> None: ...

class CreateAlertChannelRequest(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: AlertChannelSpec
    def __init__(self, spec: _Optional[_Union[AlertChannelSpec, _Mapping]] = ...) -> None: ...

class CreateAlertChannelResponse(_message.Message):
    __slots__ = ("channel", "secret")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    channel: AlertChannel
    secret: str
    def __init__(self, channel: _Optional[_Union[AlertChannel, _Mapping]] = ..., secret: _Optional[str] = ...) -> None: ...

class UpdateAlertChannelRequest(_message.Message):
    __slots__ = ("alert_channel_id", "spec")
    ALERT_CHANNEL_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    alert_channel_id: str
    spec: AlertChannelSpec
    def __init__(self, alert_channel_id: _Optional[str] = ..., spec: _Optional[_Union[AlertChannelSpec, _Mapping]] = ...) -> None: ...

class UpdateAlertChannelResponse(_message.Message):
    __slots__ = ("channel",)
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    channel: AlertChannel
    def __init__(self, channel: _Optional[_Union[AlertChannel, _Mapping]] = ...) -> None: ...

class RotateAlertChannelSecretRequest(_message.Message):
    __slots__ = ("alert_channel_id",)
    ALERT_CHANNEL_ID_FIELD_NUMBER: _ClassVar[int]
    alert_channel_id: str
    def __init__(self, alert_channel_id: _Optional[str] = ...) -> None: ...

class RotateAlertChannelSecretResponse(_message.Message):
    __slots__ = ("secret",)
    SECRET_FIELD_NUMBER: _ClassVar[int]
    secret: str
    def __init__(self, secret: _Optional[str] = ...) -> None: ...

class TestAlertChannelRequest(_message.Message):
    __slots__ = ("alert_channel_id",)
    ALERT_CHANNEL_ID_FIELD_NUMBER: _ClassVar[int]
    alert_channel_id: str
    def __init__(self, alert_channel_id: _Optional[str] = ...) -> None: ...

class TestAlertChannelResponse(_message.Message):
    __slots__ = ("delivered", "error")
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    delivered: bool
    error: str
    def __init__(self, delivered: _Optional[bool] = ..., error: _Optional[str] = ...) -> None: ...

class DeleteAlertChannelRequest(_message.Message):
    __slots__ = ("alert_channel_id",)
    ALERT_CHANNEL_ID_FIELD_NUMBER: _ClassVar[int]
    alert_channel_id: str
    def __init__(self, alert_channel_id: _Optional[str] = ...) -> None: ...

class DeleteAlertChannelResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
