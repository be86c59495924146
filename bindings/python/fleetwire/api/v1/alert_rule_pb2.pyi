import datetime

from fleetwire.api.v1 import alert_pb2 as _alert_pb2
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

class AlertRule(_message.Message):
    __slots__ = ("id", "spec", "created_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    spec: AlertRuleSpec
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., spec: _Optional[_Union[AlertRuleSpec, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AlertRuleSpec(_message.Message):
    __slots__ = ("name", "severity", "hold_seconds", "group_id", "channel_ids", "disabled", "labels", "host_offline", "host_flapping", "host_disk", "certificate_ends", "dead_letters", "queue_depth", "queue_age", "delivery_latency", "failed_sign_ins", "platform_storage")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    HOLD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_IDS_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    HOST_OFFLINE_FIELD_NUMBER: _ClassVar[int]
    HOST_FLAPPING_FIELD_NUMBER: _ClassVar[int]
    HOST_DISK_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_ENDS_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    QUEUE_AGE_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_LATENCY_FIELD_NUMBER: _ClassVar[int]
    FAILED_SIGN_INS_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_STORAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    severity: _alert_pb2.AlertSeverity
    hold_seconds: int
    group_id: str
    channel_ids: _containers.RepeatedScalarFieldContainer[str]
    disabled: bool
    labels: _containers.ScalarMap[str, str]
    host_offline: HostOfflineCondition
    host_flapping: HostFlappingCondition
    host_disk: HostDiskCondition
    certificate_ends: CertificateEndsCondition
    dead_letters: DeadLettersCondition
    queue_depth: QueueDepthCondition
    queue_age: QueueAgeCondition
    delivery_latency: DeliveryLatencyCondition
    failed_sign_ins: FailedSignInsCondition
    platform_storage: PlatformStorageCondition
    def __init__(self, name: _Optional[str] = ..., severity: _Optional[_Union[_alert_pb2.AlertSeverity, str]] = ..., hold_seconds: _Optional[int] = ..., group_id: _Optional[str] = ..., channel_ids: _Optional[_Iterable[str]] = ..., disabled: _Optional[bool] = ..., labels: _Optional[_Mapping[str, str]] = ..., host_offline: _Optional[_Union[HostOfflineCondition, _Mapping]] = ..., host_flapping: _Optional[_Union[HostFlappingCondition, _Mapping]] = ..., host_disk: _Optional[_Union[HostDiskCondition, _Mapping]] = ..., certificate_ends: _Optional[_Union[CertificateEndsCondition, _Mapping]] = ..., dead_letters: _Optional[_Union[DeadLettersCondition, _Mapping]] = ..., queue_depth: _Optional[_Union[QueueDepthCondition, _Mapping]] = ..., queue_age: _Optional[_Union[QueueAgeCondition, _Mapping]] = ..., delivery_latency: _Optional[_Union[DeliveryLatencyCondition, _Mapping]] = ..., failed_sign_ins: _Optional[_Union[FailedSignInsCondition, _Mapping]] = ..., platform_storage: _Optional[_Union[PlatformStorageCondition, _Mapping]] = ...) -> None: ...

class HostOfflineCondition(_message.Message):
    __slots__ = ("seconds",)
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    seconds: int
    def __init__(self, seconds: _Optional[int] = ...) -> None: ...

class HostFlappingCondition(_message.Message):
    __slots__ = ("reconnects", "seconds")
    RECONNECTS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    reconnects: int
    seconds: int
    def __init__(self, reconnects: _Optional[int] = ..., seconds: _Optional[int] = ...) -> None: ...

class HostDiskCondition(_message.Message):
    __slots__ = ("percent",)
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    percent: int
    def __init__(self, percent: _Optional[int] = ...) -> None: ...

class CertificateEndsCondition(_message.Message):
    __slots__ = ("seconds",)
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    seconds: int
    def __init__(self, seconds: _Optional[int] = ...) -> None: ...

class DeadLettersCondition(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class QueueDepthCondition(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class QueueAgeCondition(_message.Message):
    __slots__ = ("seconds",)
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    seconds: int
    def __init__(self, seconds: _Optional[int] = ...) -> None: ...

class DeliveryLatencyCondition(_message.Message):
    __slots__ = ("milliseconds", "seconds")
    MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    milliseconds: int
    seconds: int
    def __init__(self, milliseconds: _Optional[int] = ..., seconds: _Optional[int] = ...) -> None: ...

class FailedSignInsCondition(_message.Message):
    __slots__ = ("count", "seconds")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    count: int
    seconds: int
    def __init__(self, count: _Optional[int] = ..., seconds: _Optional[int] = ...) -> None: ...

class PlatformStorageCondition(_message.Message):
    __slots__ = ("percent",)
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    percent: int
    def __init__(self, percent: _Optional[int] = ...) -> None: ...

class ListAlertRulesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAlertRulesResponse(_message.Message):
    __slots__ = ("rules",)
    RULES_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[AlertRule]
    def __init__(self, rules: _Optional[_Iterable[_Union[AlertRule, _Mapping]]] = ...) -> None: ...

class CreateAlertRuleRequest(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: AlertRuleSpec
    def __init__(self, spec: _Optional[_Union[AlertRuleSpec, _Mapping]] = ...) -> None: ...

class CreateAlertRuleResponse(_message.Message):
    __slots__ = ("rule",)
    RULE_FIELD_NUMBER: _ClassVar[int]
    rule: AlertRule
    def __init__(self, rule: _Optional[_Union[AlertRule, _Mapping]] = ...) -> None: ...

class UpdateAlertRuleRequest(_message.Message):
    __slots__ = ("alert_rule_id", "spec")
    ALERT_RULE_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    alert_rule_id: str
    spec: AlertRuleSpec
    def __init__(self, alert_rule_id: _Optional[str] = ..., spec: _Optional[_Union[AlertRuleSpec, _Mapping]] = ...) -> None: ...

class UpdateAlertRuleResponse(_message.Message):
    __slots__ = ("rule",)
    RULE_FIELD_NUMBER: _ClassVar[int]
    rule: AlertRule
    def __init__(self, rule: _Optional[_Union[AlertRule, _Mapping]] = ...) -> None: ...

class DeleteAlertRuleRequest(_message.Message):
    __slots__ = ("alert_rule_id",)
    ALERT_RULE_ID_FIELD_NUMBER: _ClassVar[int]
    alert_rule_id: str
    def __init__(self, alert_rule_id: _Optional[str] = ...) -> None: ...

class DeleteAlertRuleResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
