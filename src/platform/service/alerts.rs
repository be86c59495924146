//! Alerts, as the API has them.

use std::sync::Arc;

use super::page::{Page, token_invalid};
use super::parameters::refused;
use super::{ErrorKind, ServiceError};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertId, HostId};
use crate::platform::Platform;
use crate::platform::api::{AlertService, Answer, Call};
use crate::platform::identity::{Grants, Role};
use crate::platform::store::alert_channels::{Notification, SendTry};
use crate::platform::store::alerts::{self, AlertFilter, Severity, ShownAlert};
use crate::wire::api::{
    AcknowledgeAlertRequest, AcknowledgeAlertResponse, Alert, AlertNotification, AlertSeverity,
    AlertState, AlertTry, GetAlertRequest, GetAlertResponse, ListAlertsRequest, ListAlertsResponse,
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
            now: UnixMillis::now(),
            granted: call.caller.grants().clone(),
            before: before.map_err(|_| token_invalid())?,
            count: page.size() + 1,
        };
        let found = self.store.alerts(filter).await?.into_iter();
        let (alerts, next_page_token) = page.take(found, |alert| alert.number.to_string());
        let alerts = alerts.into_iter().map(shown);
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
        // Where it was sent, and what was answered there, is for those who may see the channels.
        let sees = *call.caller.grants() == Grants::All && call.caller.role() >= Role::Admin;
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
        let (ShownAlert { alert, .. }, _) = self.find_alert(&call, request.alert_id.into()).await?;
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

impl Platform {
    /// An alert that the caller sees.
    async fn find_alert(
        &self,
        call: &Call,
        id: AlertId,
    ) -> Result<(ShownAlert, Vec<Notification>), ServiceError> {
        let found = self
            .store
            .alert(id, UnixMillis::now(), NOTIFICATIONS_MAX)
            .await?;
        let seen = found.filter(|(shown, _)| match &shown.alert.host {
            Some((host, _)) => self.identity.may(&call.caller, *host),
            None => *call.caller.grants() == Grants::All,
        });
        seen.ok_or_else(|| {
            let detail = "there is no alert of this id: list them with alert list";
            ServiceError::new(ErrorKind::NotFound, "not_found", detail)
        })
    }
}

/// A name is one line of text that has something in it.
pub(super) fn check_name(field: &str, name: &str) -> Result<(), ServiceError> {
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        let detail = "a name is 1 to 63 characters of one line";
        return Err(refused(field, "name_invalid", detail));
    }
    Ok(())
}

pub(super) const fn severity_shown(severity: Severity) -> AlertSeverity {
    match severity {
        Severity::Info => AlertSeverity::Info,
        Severity::Warning => AlertSeverity::Warning,
        Severity::Critical => AlertSeverity::Critical,
    }
}

fn shown(shown: ShownAlert) -> Alert {
    let ShownAlert {
        alert,
        silenced_until,
        ..
    } = shown;
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
        silenced_until: silenced_until.map(Into::into),
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
        tries: sent.tries.into_iter().map(try_shown).collect(),
    }
}

fn try_shown(tried: SendTry) -> AlertTry {
    AlertTry {
        at: Some(tried.at.into()),
        duration_ms: u32::try_from(tried.took.as_millis()).unwrap_or(u32::MAX),
        error: tried.error,
    }
}
