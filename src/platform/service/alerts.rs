//! Alerts with their rules and channels, as the API has them.

use std::sync::Arc;
use std::time::Duration;

use super::page::{Page, token_invalid};
use super::parameters::refused;
use super::{ErrorKind, ServiceError};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertChannelId, AlertId, AlertRuleId, HostId, random_uuid};
use crate::platform::Platform;
use crate::platform::alerts::secret;
use crate::platform::api::{
    AlertChannelService, AlertRuleService, AlertService, Answer, Call, CreateAlertChannel,
    CreateAlertRule,
};
use crate::platform::identity::Grants;
use crate::platform::identity::oidc::fetch::Endpoint;
use crate::platform::store::alerts::{
    self, AlertFilter, AlertRecord, Condition, Notification, Severity,
};
use crate::secret::random;
use crate::wire::api::{
    AcknowledgeAlertRequest, AcknowledgeAlertResponse, Alert, AlertChannel, AlertNotification,
    AlertRule, AlertRuleSpec, AlertRuleSpecCondition, AlertSeverity, AlertState,
    CertificateEndsCondition, CreateAlertChannelRequest, CreateAlertChannelResponse,
    CreateAlertRuleRequest, CreateAlertRuleResponse, DeadLettersCondition,
    DeleteAlertChannelRequest, DeleteAlertChannelResponse, DeleteAlertRuleRequest,
    DeleteAlertRuleResponse, GetAlertRequest, GetAlertResponse, HostDiskCondition,
    HostFlappingCondition, HostOfflineCondition, ListAlertChannelsRequest,
    ListAlertChannelsResponse, ListAlertRulesRequest, ListAlertRulesResponse, ListAlertsRequest,
    ListAlertsResponse, TestAlertChannelRequest, TestAlertChannelResponse, UpdateAlertRuleRequest,
    UpdateAlertRuleResponse,
};

/// Messages of one alert that are shown: two for each channel.
const NOTIFICATIONS_MAX: usize = 64;

impl AlertService for Platform {
    async fn list_alerts(
        self: Arc<Self>,
        call: Call,
        request: ListAlertsRequest,
    ) -> Answer<ListAlertsResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let before = page.after().map(str::parse).transpose();
        let filter = AlertFilter {
            state: match request.state {
                AlertState::Pending => Some(alerts::AlertState::Pending),
                AlertState::Firing => Some(alerts::AlertState::Firing),
                AlertState::Resolved => Some(alerts::AlertState::Resolved),
                AlertState::Unspecified | AlertState::Unknown(_) => None,
            },
            host: request.host_id.map(HostId::from),
            granted: call.caller.grants().clone(),
            before: before.map_err(|_| token_invalid())?,
            count: page.size() + 1,
        };
        let found = self.store.alerts(filter).await?.into_iter();
        let (alerts, next_page_token) = page.take(found, |(number, _)| number.to_string());
        let alerts = alerts.into_iter().map(|(_, alert)| shown(alert));
        Ok(ListAlertsResponse {
            alerts: alerts.collect(),
            next_page_token,
        })
    }

    async fn get_alert(
        self: Arc<Self>,
        call: Call,
        request: GetAlertRequest,
    ) -> Answer<GetAlertResponse> {
        let (alert, sent) = self.find_alert(&call, request.alert_id.into()).await?;
        // Where it was sent is for those who may see the channels.
        let sees = *call.caller.grants() == Grants::All;
        let sent = sent.into_iter().filter(|_| sees).map(sent_shown);
        Ok(GetAlertResponse {
            alert: Some(shown(alert)),
            notifications: sent.collect(),
        })
    }

    async fn acknowledge_alert(
        self: Arc<Self>,
        call: Call,
        request: AcknowledgeAlertRequest,
    ) -> Answer<AcknowledgeAlertResponse> {
        let (alert, _) = self.find_alert(&call, request.alert_id.into()).await?;
        let target = format!("alert:{}", alert.id);
        let mut audit = Entry::new(UnixMillis::now(), call.actor(), "alert.acknowledge", target)
            .detail("rule", alert.rule_name.as_str())
            .detail("state", alert.state.code())
            .detail("severity", alert.severity.code());
        if let Some((host, _)) = alert.host {
            audit = audit.host(host);
        }
        let by = call.actor().to_owned();
        let alert = self.store.acknowledge_alert(alert.id, by, audit).await?;
        Ok(AcknowledgeAlertResponse {
            alert: Some(shown(alert)),
        })
    }
}

impl AlertRuleService for Platform {
    async fn list_alert_rules(
        self: Arc<Self>,
        _: Call,
        _: ListAlertRulesRequest,
    ) -> Answer<ListAlertRulesResponse> {
        let rules = self.store.alert_rules().await?;
        Ok(ListAlertRulesResponse {
            rules: rules.into_iter().map(rule_shown).collect(),
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
        self.alerts.look();
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
        self.alerts.look();
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
        self.alerts.look();
        Ok(DeleteAlertRuleResponse {})
    }
}

impl AlertChannelService for Platform {
    async fn list_alert_channels(
        self: Arc<Self>,
        call: Call,
        _: ListAlertChannelsRequest,
    ) -> Answer<ListAlertChannelsResponse> {
        call.caller.needs_all_hosts()?;
        let channels = self.store.alert_channels().await?;
        Ok(ListAlertChannelsResponse {
            channels: channels.iter().map(channel_shown).collect(),
        })
    }

    async fn create_alert_channel(
        self: Arc<Self>,
        call: Call,
        request: CreateAlertChannelRequest,
    ) -> Answer<CreateAlertChannelResponse> {
        call.caller.needs_all_hosts()?;
        check_name("name", &request.name)?;
        Endpoint::parse(&request.url).map_err(|_| {
            let detail =
                "a receiver's address is https://..., or http:// on the platform's own machine";
            refused("url", "url_invalid", detail)
        })?;
        let channel = alerts::AlertChannel {
            id: AlertChannelId(random_uuid(random())),
            name: request.name,
            url: request.url,
            secret: secret(),
            created: UnixMillis::now(),
        };
        // Addresses of receivers are often secrets themselves, and stay out of the audit log.
        let audit = channel_entry(&call, "alert_channel.create", channel.id)
            .detail("name", channel.name.as_str());
        let answer = CreateAlertChannelResponse {
            channel: Some(channel_shown(&channel)),
            secret: channel.secret.clone(),
        };
        let change = call.change::<CreateAlertChannel>(audit, &answer)?;
        self.store.create_alert_channel(channel, change).await?;
        Ok(answer)
    }

    async fn test_alert_channel(
        self: Arc<Self>,
        call: Call,
        request: TestAlertChannelRequest,
    ) -> Answer<TestAlertChannelResponse> {
        call.caller.needs_all_hosts()?;
        let id = AlertChannelId::from(request.alert_channel_id);
        let channels = self.store.alert_channels().await?;
        let channel = channels.into_iter().find(|channel| channel.id == id);
        let channel = channel.ok_or_else(|| {
            let detail = "there is no channel of this id: list them with alert-channel list";
            ServiceError::new(ErrorKind::NotFound, "not_found", detail)
        })?;
        let body = serde_json::json!({
            "type": "test",
            "timestamp": UnixMillis::now().to_string(),
            "data": {"channel": channel.name},
        });
        let audit = channel_entry(&call, "alert_channel.test", id);
        self.store.audit(audit).await?;
        let message = random_uuid(random());
        let sent = self
            .send_webhook(&channel.url, &channel.secret, message, &body.to_string())
            .await;
        Ok(TestAlertChannelResponse {
            delivered: sent.is_ok(),
            error: sent.err().unwrap_or_default(),
        })
    }

    async fn delete_alert_channel(
        self: Arc<Self>,
        call: Call,
        request: DeleteAlertChannelRequest,
    ) -> Answer<DeleteAlertChannelResponse> {
        call.caller.needs_all_hosts()?;
        let id = AlertChannelId::from(request.alert_channel_id);
        let audit = channel_entry(&call, "alert_channel.delete", id);
        self.store.delete_alert_channel(id, audit).await?;
        Ok(DeleteAlertChannelResponse {})
    }
}

impl Platform {
    /// An alert that the caller sees.
    async fn find_alert(
        &self,
        call: &Call,
        id: AlertId,
    ) -> Result<(AlertRecord, Vec<Notification>), ServiceError> {
        let found = self.store.alert(id, NOTIFICATIONS_MAX).await?;
        let seen = found.filter(|(alert, _)| match &alert.host {
            Some((host, _)) => self.identity.may(&call.caller, *host),
            None => *call.caller.grants() == Grants::All,
        });
        seen.ok_or_else(|| {
            let detail = "there is no alert of this id: list them with alert list";
            ServiceError::new(ErrorKind::NotFound, "not_found", detail)
        })
    }

    /// The rule that a specification is of.
    async fn rule_of(
        &self,
        id: AlertRuleId,
        spec: Option<AlertRuleSpec>,
    ) -> Result<alerts::AlertRule, ServiceError> {
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
            None => {
                let what = "say when it holds, as in {\"host_offline\": {\"seconds\": 600}}";
                return Err(missing("spec", what));
            }
        };
        let channels: Vec<_> = spec
            .channel_ids
            .into_iter()
            .map(AlertChannelId::from)
            .collect();
        let known = self.store.alert_channels().await?;
        let is_known = |id: &AlertChannelId| known.iter().any(|channel| channel.id == *id);
        if !channels.iter().all(is_known) {
            let what = "there is no channel of one of these ids: list them with alert-channel list";
            return Err(refused("spec.channel_ids", "channel_unknown", what));
        }
        let group = spec.group_id.map(Into::into);
        if let Some(group) = group
            && self.store.group(group).await?.is_none()
        {
            let what = "there is no group of this id";
            return Err(refused("spec.group_id", "group_unknown", what));
        }
        Ok(alerts::AlertRule {
            id,
            name: spec.name,
            severity: match spec.severity {
                AlertSeverity::Info => Severity::Info,
                AlertSeverity::Critical => Severity::Critical,
                _ => Severity::Warning,
            },
            hold: seconds(spec.hold_seconds),
            group,
            channels,
            disabled: spec.disabled,
            condition,
            created: UnixMillis::now(),
        })
    }
}

/// A name is one line of text that has something in it.
fn check_name(field: &str, name: &str) -> Result<(), ServiceError> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        let detail = "a name is 1 to 63 characters of one line";
        return Err(refused(field, "name_invalid", detail));
    }
    Ok(())
}

fn rule_entry(call: &Call, action: &str, id: AlertRuleId) -> Entry {
    let target = format!("alert_rule:{id}");
    Entry::new(UnixMillis::now(), call.actor(), action, target)
}

fn channel_entry(call: &Call, action: &str, id: AlertChannelId) -> Entry {
    let target = format!("alert_channel:{id}");
    Entry::new(UnixMillis::now(), call.actor(), action, target)
}

const fn severity_shown(severity: Severity) -> AlertSeverity {
    match severity {
        Severity::Info => AlertSeverity::Info,
        Severity::Warning => AlertSeverity::Warning,
        Severity::Critical => AlertSeverity::Critical,
    }
}

fn shown(alert: AlertRecord) -> Alert {
    let (host_id, host) = alert.host.unzip();
    let (acknowledged_by, acknowledged_at) = alert.acknowledged.unzip();
    Alert {
        id: alert.id.into(),
        rule_id: alert.rule.into(),
        rule: alert.rule_name,
        host_id: host_id.map(Into::into),
        host,
        severity: severity_shown(alert.severity),
        state: match alert.state {
            alerts::AlertState::Pending => AlertState::Pending,
            alerts::AlertState::Firing => AlertState::Firing,
            alerts::AlertState::Resolved => AlertState::Resolved,
        },
        detail: alert.detail,
        since: Some(alert.since.into()),
        fired_at: alert.fired.map(Into::into),
        resolved_at: alert.resolved.map(Into::into),
        acknowledged_by,
        acknowledged_at: acknowledged_at.map(Into::into),
    }
}

fn sent_shown(sent: Notification) -> AlertNotification {
    AlertNotification {
        id: sent.id,
        channel: sent.channel,
        state: sent.state.code().to_owned(),
        attempts: sent.attempts,
        error: sent.error,
        created_at: Some(sent.created.into()),
        next_at: sent.next.map(Into::into),
    }
}

fn rule_shown(rule: alerts::AlertRule) -> AlertRule {
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
            condition: Some(condition),
        }),
        created_at: Some(rule.created.into()),
    }
}

fn channel_shown(channel: &alerts::AlertChannel) -> AlertChannel {
    AlertChannel {
        id: channel.id.into(),
        name: channel.name.clone(),
        url: channel.url.clone(),
        created_at: Some(channel.created.into()),
    }
}
