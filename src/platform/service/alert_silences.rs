//! Silences of alerts, as the API has them. Which alerts they are for is the store's to say.

use std::sync::Arc;
use std::time::Duration;

use super::parameters::refused;
use super::{ErrorKind, ServiceError};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertRuleId, AlertSilenceId, GroupId, HostId, random_uuid};
use crate::platform::Platform;
use crate::platform::api::{AlertSilenceService, Answer, Call, CreateAlertSilence};
use crate::platform::identity::{Caller, Grants, LabelKey, LabelValue, Role};
use crate::platform::store::alert_silences as kept;
use crate::secret::random;
use crate::wire::api::{
    AlertMatcher, AlertSilence, CreateAlertSilenceRequest, CreateAlertSilenceResponse,
    DeleteAlertSilenceRequest, DeleteAlertSilenceResponse, ListAlertSilencesRequest,
    ListAlertSilencesResponse, UpdateAlertSilenceRequest, UpdateAlertSilenceResponse,
};

/// The longest silence: a year.
const SPAN_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl AlertSilenceService for Platform {
    async fn list_alert_silences(
        self: Arc<Self>,
        call: Call,
        _: ListAlertSilencesRequest,
    ) -> Answer<ListAlertSilencesResponse> {
        let silences = self.store.alert_silences().await?.into_iter();
        let seen = silences.filter(|silence| self.sees_silences(&call.caller, &silence.matcher));
        Ok(ListAlertSilencesResponse {
            silences: seen.map(shown).collect(),
        })
    }

    async fn create_alert_silence(
        self: Arc<Self>,
        call: Call,
        request: CreateAlertSilenceRequest,
    ) -> Answer<CreateAlertSilenceResponse> {
        let now = UnixMillis::now();
        let reason = request.reason.trim();
        if reason.is_empty() || reason.chars().any(char::is_control) {
            let detail = "a reason is 1 to 256 characters of one line";
            return Err(refused("reason", "reason_invalid", detail));
        }
        let matcher = self.matcher_of(&call.caller, request.matcher).await?;
        let starts = request.starts_at.map_or(now, UnixMillis::from);
        let ends = end_of(
            starts,
            request.ends_at.map(UnixMillis::from),
            request.duration_seconds,
        )?;
        check_span(now, starts, ends)?;
        let silence = kept::AlertSilence {
            id: AlertSilenceId(random_uuid(random())),
            reason: reason.to_owned(),
            by: call.actor().to_owned(),
            created: now,
            starts,
            ends,
            matcher,
        };
        let audit = entry_of(&call, now, "alert_silence.create", &silence, ends);
        let answer = CreateAlertSilenceResponse {
            silence: Some(shown(silence.clone())),
        };
        let change = call.change::<CreateAlertSilence>(audit, &answer)?;
        self.store.create_alert_silence(silence, change).await?;
        self.alerts.send_soon();
        Ok(answer)
    }

    async fn update_alert_silence(
        self: Arc<Self>,
        call: Call,
        request: UpdateAlertSilenceRequest,
    ) -> Answer<UpdateAlertSilenceResponse> {
        let now = UnixMillis::now();
        let before = self
            .find_silence(&call.caller, request.alert_silence_id.into())
            .await?;
        let ends = end_of(
            now,
            request.ends_at.map(UnixMillis::from),
            request.duration_seconds,
        )?;
        check_span(now, before.starts, ends)?;
        let audit = entry_of(&call, now, "alert_silence.update", &before, ends);
        self.store.end_alert_silence(before.id, ends, audit).await?;
        self.alerts.send_soon();
        Ok(UpdateAlertSilenceResponse {
            silence: Some(shown(kept::AlertSilence { ends, ..before })),
        })
    }

    async fn delete_alert_silence(
        self: Arc<Self>,
        call: Call,
        request: DeleteAlertSilenceRequest,
    ) -> Answer<DeleteAlertSilenceResponse> {
        let now = UnixMillis::now();
        let before = self
            .find_silence(&call.caller, request.alert_silence_id.into())
            .await?;
        let audit = entry_of(&call, now, "alert_silence.delete", &before, before.ends);
        self.store.delete_alert_silence(before.id, audit).await?;
        self.alerts.send_soon();
        Ok(DeleteAlertSilenceResponse {})
    }
}

impl Platform {
    /// Whether a caller may know of silences of this.
    fn sees_silences(&self, caller: &Caller, matcher: &kept::AlertMatcher) -> bool {
        let host = |host: &HostId| self.identity.may(caller, *host);
        let group = |group: &GroupId| caller.may([group]);
        match (&matcher.host, &matcher.group) {
            (Some(it), _) if host(it) => true,
            (_, Some(it)) if group(it) => true,
            _ => *caller.grants() == Grants::All,
        }
    }

    /// A silence that the caller may change.
    async fn find_silence(
        &self,
        caller: &Caller,
        id: AlertSilenceId,
    ) -> Result<kept::AlertSilence, ServiceError> {
        let silences = self.store.alert_silences().await?;
        let found = silences.into_iter().find(|silence| silence.id == id);
        let seen = found.filter(|silence| self.sees_silences(caller, &silence.matcher));
        let silence = seen.ok_or_else(|| {
            let detail = "there is no silence of this id: list them with alert-silence list";
            ServiceError::new(ErrorKind::NotFound, "not_found", detail)
        })?;
        check_reach(caller, &silence.matcher)?;
        Ok(silence)
    }

    /// What a request says of which alerts, for which the caller may make a silence.
    async fn matcher_of(
        &self,
        caller: &Caller,
        matcher: Option<AlertMatcher>,
    ) -> Result<kept::AlertMatcher, ServiceError> {
        let matcher = matcher.map(|matcher| kept::AlertMatcher {
            rule: matcher.rule_id.map(AlertRuleId::from),
            host: matcher.host_id.map(HostId::from),
            group: matcher.group_id.map(GroupId::from),
            labels: matcher.labels.into_iter().collect(),
        });
        let matcher = matcher.unwrap_or_default();
        check_reach(caller, &matcher)?;
        for (key, value) in &matcher.labels {
            let key = key.parse::<LabelKey>().map(|_| ());
            let value = match value.is_empty() {
                true => Ok(()),
                false => value.parse::<LabelValue>().map(|_| ()),
            };
            key.and(value)
                .map_err(|error| refused("matcher.labels", "label_invalid", &error.to_string()))?;
        }
        if let Some(host) = matcher.host
            && !self.is_there(caller, host).await?
        {
            let detail = "there is no host of this id";
            return Err(refused("matcher.host_id", "host_unknown", detail));
        }
        if let Some(group) = matcher.group
            && (!caller.may([&group]) || self.store.group(group).await?.is_none())
        {
            let detail = "there is no group of this id";
            return Err(refused("matcher.group_id", "group_unknown", detail));
        }
        if let Some(rule) = matcher.rule {
            let rules = self.store.alert_rules().await?;
            if !rules.iter().any(|known| known.id == rule) {
                let detail = "there is no rule of this id: list them with alert-rule list";
                return Err(refused("matcher.rule_id", "rule_unknown", detail));
            }
        }
        Ok(matcher)
    }

    async fn is_there(&self, caller: &Caller, host: HostId) -> Result<bool, ServiceError> {
        let known = self.store.host(&host.to_string()).await?;
        Ok(known.is_some() && self.identity.may(caller, host))
    }
}

/// A silence of no host and no group may be of the whole fleet, and of the platform.
///
/// # Errors
/// `role_insufficient`, `grant_insufficient`.
fn check_reach(caller: &Caller, matcher: &kept::AlertMatcher) -> Result<(), ServiceError> {
    if matcher.host.is_none() && matcher.group.is_none() {
        caller.needs(Role::Admin)?;
        caller.needs_all_hosts()?;
    }
    Ok(())
}

/// # Errors
/// `end_invalid` where none is said, or two are.
fn end_of(
    from: UnixMillis,
    at: Option<UnixMillis>,
    seconds: Option<u32>,
) -> Result<UnixMillis, ServiceError> {
    match (at, seconds) {
        (Some(at), None) => Ok(at),
        (None, Some(seconds)) => Ok(from.plus(Duration::from_secs(seconds.into()))),
        _ => {
            let detail = "say when it ends by one of ends_at and duration_seconds";
            Err(refused("ends_at", "end_invalid", detail))
        }
    }
}

/// # Errors
/// `end_invalid`.
fn check_span(now: UnixMillis, starts: UnixMillis, ends: UnixMillis) -> Result<(), ServiceError> {
    if ends <= now || ends <= starts {
        let detail = "it has to end after now, and after its beginning";
        return Err(refused("ends_at", "end_invalid", detail));
    }
    if ends.since(starts.max(now)) > SPAN_MAX || starts.since(now) > SPAN_MAX {
        let detail = "it has to begin within a year, and to end a year after that at most";
        return Err(refused("ends_at", "end_invalid", detail));
    }
    Ok(())
}

fn entry_of(
    call: &Call,
    at: UnixMillis,
    action: &str,
    silence: &kept::AlertSilence,
    ends: UnixMillis,
) -> Entry {
    let matcher = &silence.matcher;
    let labels: Vec<_> = matcher
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let target = format!("alert_silence:{}", silence.id);
    let mut entry = Entry::new(at, call.actor(), action, target)
        .detail("reason", silence.reason.as_str())
        .detail("starts_at", silence.starts.to_string())
        .detail("ends_at", ends.to_string());
    for (name, value) in [
        ("rule", matcher.rule.map(|rule| rule.to_string())),
        ("group", matcher.group.map(|group| group.to_string())),
        ("labels", (!labels.is_empty()).then(|| labels.join(" "))),
    ] {
        if let Some(value) = value {
            entry = entry.detail(name, value);
        }
    }
    match matcher.host {
        Some(host) => entry.host(host),
        None => entry,
    }
}

fn shown(silence: kept::AlertSilence) -> AlertSilence {
    let matcher = silence.matcher;
    AlertSilence {
        id: silence.id.into(),
        reason: silence.reason,
        created_by: silence.by,
        created_at: Some(silence.created.into()),
        starts_at: Some(silence.starts.into()),
        ends_at: Some(silence.ends.into()),
        matcher: Some(AlertMatcher {
            rule_id: matcher.rule.map(Into::into),
            host_id: matcher.host.map(Into::into),
            group_id: matcher.group.map(Into::into),
            labels: matcher.labels.into_iter().collect(),
        }),
    }
}
