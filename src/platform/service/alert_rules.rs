//! Rules of alerts, as the API has them.

use std::sync::Arc;
use std::time::Duration;

use super::ServiceError;
use super::alerts::{check_name, severity_shown};
use super::parameters::refused;
use super::targets::label_selector;
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertChannelId, AlertRuleId, random_uuid};
use crate::platform::Platform;
use crate::platform::api::{AlertRuleService, Answer, Call, CreateAlertRule};
use crate::platform::identity::Grants;
use crate::platform::store::alert_rules::{self, Condition};
use crate::platform::store::alerts::Severity;
use crate::platform::store::groups::LabelSelector;
use crate::secret::random;
use crate::wire::api::{
    AlertRule, AlertRuleSpec, AlertRuleSpecCondition, AlertSeverity, CertificateEndsCondition,
    CreateAlertRuleRequest, CreateAlertRuleResponse, DeadLettersCondition, DeleteAlertRuleRequest,
    DeleteAlertRuleResponse, DeliveryLatencyCondition, FailedSignInsCondition, HostDiskCondition,
    HostFlappingCondition, HostOfflineCondition, ListAlertRulesRequest, ListAlertRulesResponse,
    PlatformStorageCondition, QueueAgeCondition, QueueDepthCondition, UpdateAlertRuleRequest,
    UpdateAlertRuleResponse,
};

impl AlertRuleService for Platform {
    async fn list_alert_rules(
        self: Arc<Self>,
        call: Call,
        _: ListAlertRulesRequest,
    ) -> Answer<ListAlertRulesResponse> {
        let rules = self.store.alert_rules().await?.into_iter();
        let rules = rules.filter_map(|rule| seen_by(&call, rule));
        Ok(ListAlertRulesResponse {
            rules: rules.map(rule_shown).collect(),
        })
    }

    async fn create_alert_rule(
        self: Arc<Self>,
        call: Call,
        request: CreateAlertRuleRequest,
    ) -> Answer<CreateAlertRuleResponse> {
        call.caller.needs_all_hosts()?;
        let id = AlertRuleId(random_uuid(random()));
        let rule = self.rule_of(id, request.spec).await?;
        let audit = rule_entry(&call, "alert_rule.create", id).detail("name", rule.name.as_str());
        let answer = CreateAlertRuleResponse {
            rule: Some(rule_shown(rule.clone())),
        };
        let change = call.change::<CreateAlertRule>(audit, &answer)?;
        self.store.create_alert_rule(rule, change).await?;
        self.alerts.rules_changed();
        Ok(answer)
    }

    async fn update_alert_rule(
        self: Arc<Self>,
        call: Call,
        request: UpdateAlertRuleRequest,
    ) -> Answer<UpdateAlertRuleResponse> {
        call.caller.needs_all_hosts()?;
        let id = AlertRuleId::from(request.alert_rule_id);
        let rule = self.rule_of(id, request.spec).await?;
        let audit = rule_entry(&call, "alert_rule.update", id).detail("name", rule.name.as_str());
        let rule = self.store.update_alert_rule(rule, audit).await?;
        self.alerts.rules_changed();
        Ok(UpdateAlertRuleResponse {
            rule: Some(rule_shown(rule)),
        })
    }

    async fn delete_alert_rule(
        self: Arc<Self>,
        call: Call,
        request: DeleteAlertRuleRequest,
    ) -> Answer<DeleteAlertRuleResponse> {
        call.caller.needs_all_hosts()?;
        let id = AlertRuleId::from(request.alert_rule_id);
        let audit = rule_entry(&call, "alert_rule.delete", id);
        self.store.delete_alert_rule(id, audit).await?;
        self.alerts.rules_changed();
        Ok(DeleteAlertRuleResponse {})
    }
}

impl Platform {
    /// The rule that a specification is of.
    async fn rule_of(
        &self,
        id: AlertRuleId,
        spec: Option<AlertRuleSpec>,
    ) -> Result<alert_rules::AlertRule, ServiceError> {
        let missing = |field, what| refused(field, "rule_incomplete", what);
        let spec = spec.ok_or_else(|| missing("spec", "say what the rule is to be"))?;
        check_name("spec.name", &spec.name)?;
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        use AlertRuleSpecCondition as Of;
        let condition = match spec.condition {
            Some(Of::HostOffline(of)) => Condition::HostOffline(seconds(of.seconds)),
            Some(Of::HostFlapping(of)) => {
                Condition::HostFlapping(of.reconnects.into(), seconds(of.seconds))
            }
            Some(Of::HostDisk(of)) => Condition::HostDisk(of.percent.into()),
            Some(Of::CertificateEnds(of)) => Condition::CertificateEnds(seconds(of.seconds)),
            Some(Of::DeadLetters(of)) => Condition::DeadLetters(of.count.into()),
            Some(Of::QueueDepth(of)) => Condition::QueueDepth(of.count.into()),
            Some(Of::QueueAge(of)) => Condition::QueueAge(seconds(of.seconds)),
            Some(Of::DeliveryLatency(of)) => {
                Condition::DeliveryLatency(of.milliseconds.into(), seconds(of.seconds))
            }
            Some(Of::FailedSignIns(of)) => {
                Condition::FailedSignIns(of.count.into(), seconds(of.seconds))
            }
            Some(Of::PlatformStorage(of)) => Condition::PlatformStorage(of.percent.into()),
            None => {
                let what = "say when it holds, as in {\"host_offline\": {\"seconds\": 600}}";
                return Err(missing("spec", what));
            }
        };
        let channels = spec.channel_ids.into_iter().map(AlertChannelId::from);
        let group = spec.group_id.map(Into::into);
        if let Some(group) = group
            && self.store.group(group).await?.is_none()
        {
            let what = "there is no group of this id";
            return Err(refused("spec.group_id", "group_unknown", what));
        }
        let labels = spec
            .labels
            .iter()
            .map(|(key, value)| label_selector("spec.labels", key, value));
        let labels = labels.collect::<Result<Vec<_>, _>>()?;
        if !condition.is_of_hosts() && (group.is_some() || !labels.is_empty()) {
            let what = "this condition is one of the platform and not of hosts: leave out group and labels";
            return Err(refused("spec", "scope_invalid", what));
        }
        Ok(alert_rules::AlertRule {
            id,
            name: spec.name,
            severity: match spec.severity {
                AlertSeverity::Info => Severity::Info,
                AlertSeverity::Critical => Severity::Critical,
                _ => Severity::Warning,
            },
            hold: seconds(spec.hold_seconds),
            group,
            labels,
            // That they are there is the store's to see.
            channels: channels.collect(),
            disabled: spec.disabled,
            condition,
            created: UnixMillis::now(),
        })
    }
}

fn rule_entry(call: &Call, action: &str, id: AlertRuleId) -> Entry {
    let target = format!("alert_rule:{id}");
    Entry::new(UnixMillis::now(), call.actor(), action, target)
}

/// A rule as far as the caller may know of it. Who does not see all hosts is told of those that may be about a host
/// that it sees, and not where they are sent.
fn seen_by(call: &Call, mut rule: alert_rules::AlertRule) -> Option<alert_rules::AlertRule> {
    if *call.caller.grants() == Grants::All {
        return Some(rule);
    }
    let may =
        rule.condition.is_of_hosts() && rule.group.is_none_or(|group| call.caller.may([&group]));
    rule.channels.clear();
    may.then_some(rule)
}

fn label_shown(label: LabelSelector) -> (String, String) {
    match label {
        LabelSelector::Has(key) => (key.to_string(), String::new()),
        LabelSelector::Is(key, value) => (key.to_string(), value.to_string()),
    }
}

fn rule_shown(rule: alert_rules::AlertRule) -> AlertRule {
    let seconds = |span: Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    use AlertRuleSpecCondition as Of;
    let condition = match rule.condition {
        Condition::HostOffline(span) => Of::HostOffline(HostOfflineCondition {
            seconds: seconds(span),
        }),
        Condition::HostFlapping(count, span) => Of::HostFlapping(HostFlappingCondition {
            reconnects: number(count),
            seconds: seconds(span),
        }),
        Condition::HostDisk(percent) => Of::HostDisk(HostDiskCondition {
            percent: number(percent),
        }),
        Condition::CertificateEnds(span) => Of::CertificateEnds(CertificateEndsCondition {
            seconds: seconds(span),
        }),
        Condition::DeadLetters(count) => Of::DeadLetters(DeadLettersCondition {
            count: number(count),
        }),
        Condition::QueueDepth(count) => Of::QueueDepth(QueueDepthCondition {
            count: number(count),
        }),
        Condition::QueueAge(span) => Of::QueueAge(QueueAgeCondition {
            seconds: seconds(span),
        }),
        Condition::DeliveryLatency(bound, span) => Of::DeliveryLatency(DeliveryLatencyCondition {
            milliseconds: number(bound),
            seconds: seconds(span),
        }),
        Condition::FailedSignIns(count, span) => Of::FailedSignIns(FailedSignInsCondition {
            count: number(count),
            seconds: seconds(span),
        }),
        Condition::PlatformStorage(percent) => Of::PlatformStorage(PlatformStorageCondition {
            percent: number(percent),
        }),
    };
    AlertRule {
        id: rule.id.into(),
        spec: Some(AlertRuleSpec {
            name: rule.name,
            severity: severity_shown(rule.severity),
            hold_seconds: seconds(rule.hold),
            group_id: rule.group.map(Into::into),
            channel_ids: rule.channels.into_iter().map(Into::into).collect(),
            disabled: rule.disabled,
            labels: rule.labels.into_iter().map(label_shown).collect(),
            condition: Some(condition),
        }),
        created_at: Some(rule.created.into()),
    }
}
