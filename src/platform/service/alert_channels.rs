//! Channels of alerts, as the API has them. What is sent there is `alerts/send`'s.

use std::sync::Arc;

use super::alerts::check_name;
use super::parameters::refused;
use super::{ErrorKind, ServiceError};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{AlertChannelId, random_uuid};
use crate::platform::Platform;
use crate::platform::alerts::secret;
use crate::platform::api::{AlertChannelService, Answer, Call, CreateAlertChannel};
use crate::platform::fetch::Endpoint;
use crate::platform::mail::EmailAddress;
use crate::platform::store::alert_channels::{self as kept, ChannelTarget};
use crate::secret::{Secret, random};
use crate::wire::api::{
    AlertChannel, AlertChannelSpec, AlertChannelSpecTarget, CreateAlertChannelRequest,
    CreateAlertChannelResponse, DeleteAlertChannelRequest, DeleteAlertChannelResponse, EmailTarget,
    ListAlertChannelsRequest, ListAlertChannelsResponse, RotateAlertChannelSecretRequest,
    RotateAlertChannelSecretResponse, TestAlertChannelRequest, TestAlertChannelResponse,
    UpdateAlertChannelRequest, UpdateAlertChannelResponse, WebhookTarget,
};

impl AlertChannelService for Platform {
    async fn list_alert_channels(
        self: Arc<Self>,
        call: Call,
        _: ListAlertChannelsRequest,
    ) -> Answer<ListAlertChannelsResponse> {
        call.caller.needs_all_hosts()?;
        let channels = self.store.alert_channels().await?;
        Ok(ListAlertChannelsResponse {
            channels: channels.iter().map(shown).collect(),
        })
    }

    async fn create_alert_channel(
        self: Arc<Self>,
        call: Call,
        request: CreateAlertChannelRequest,
    ) -> Answer<CreateAlertChannelResponse> {
        call.caller.needs_all_hosts()?;
        let wanted = Wanted::of(request.spec)?;
        let id = AlertChannelId(random_uuid(random()));
        let (target, secret) = match wanted.target {
            WantedTarget::Webhook(url) => {
                let (sealed, secret) = self.new_secret(id)?;
                (ChannelTarget::Webhook { url, sealed }, Some(secret))
            }
            WantedTarget::Email(_) if self.mail.is_none() => {
                let detail =
                    "the platform's settings say nothing of e-mail: they need a table [mail]";
                return Err(refused("spec.email", "mail_not_set_up", detail));
            }
            WantedTarget::Email(recipients) => (ChannelTarget::Email { recipients }, None),
        };
        let channel = kept::AlertChannel {
            id,
            name: wanted.name,
            disabled: wanted.disabled,
            target,
            created: UnixMillis::now(),
        };
        let audit = entry_of(&call, "alert_channel.create", &channel);
        let answer = CreateAlertChannelResponse {
            channel: Some(shown(&channel)),
            secret,
        };
        let change = call.change::<CreateAlertChannel>(audit, &answer)?;
        self.store.create_alert_channel(channel, change).await?;
        Ok(answer)
    }

    async fn update_alert_channel(
        self: Arc<Self>,
        call: Call,
        request: UpdateAlertChannelRequest,
    ) -> Answer<UpdateAlertChannelResponse> {
        call.caller.needs_all_hosts()?;
        let wanted = Wanted::of(request.spec)?;
        let before = self.find_channel(request.alert_channel_id.into()).await?;
        let target = match (wanted.target, before.target.clone()) {
            (WantedTarget::Webhook(url), ChannelTarget::Webhook { sealed, .. }) => {
                ChannelTarget::Webhook { url, sealed }
            }
            (WantedTarget::Email(recipients), ChannelTarget::Email { .. }) => {
                ChannelTarget::Email { recipients }
            }
            _ => {
                let detail = "a webhook stays one, and e-mail too: make another channel";
                return Err(refused("spec", "channel_kind_fixed", detail));
            }
        };
        let channel = kept::AlertChannel {
            id: before.id,
            name: wanted.name,
            disabled: wanted.disabled,
            target,
            created: before.created,
        };
        let moved = if channel.target == before.target {
            "false"
        } else {
            "true"
        };
        let audit =
            entry_of(&call, "alert_channel.update", &channel).detail("target_changed", moved);
        let channel = self.store.update_alert_channel(channel, audit).await?;
        self.alerts.send_soon();
        Ok(UpdateAlertChannelResponse {
            channel: Some(shown(&channel)),
        })
    }

    async fn rotate_alert_channel_secret(
        self: Arc<Self>,
        call: Call,
        request: RotateAlertChannelSecretRequest,
    ) -> Answer<RotateAlertChannelSecretResponse> {
        call.caller.needs_all_hosts()?;
        let channel = self.find_channel(request.alert_channel_id.into()).await?;
        if !matches!(channel.target, ChannelTarget::Webhook { .. }) {
            let detail = "only a webhook has a secret";
            return Err(refused("alert_channel_id", "channel_kind_fixed", detail));
        }
        let (sealed, secret) = self.new_secret(channel.id)?;
        let audit = entry_of(&call, "alert_channel.rotate_secret", &channel);
        self.store
            .seal_alert_channel(channel.id, sealed, audit)
            .await?;
        Ok(RotateAlertChannelSecretResponse { secret })
    }

    async fn test_alert_channel(
        self: Arc<Self>,
        call: Call,
        request: TestAlertChannelRequest,
    ) -> Answer<TestAlertChannelResponse> {
        call.caller.needs_all_hosts()?;
        let channel = self.find_channel(request.alert_channel_id.into()).await?;
        let audit = entry_of(&call, "alert_channel.test", &channel);
        self.store.audit(audit).await?;
        let sent = self.try_channel(&channel).await;
        Ok(TestAlertChannelResponse {
            delivered: sent.is_ok(),
            // Or for which recipients it was not.
            error: sent.unwrap_or_else(Some).unwrap_or_default(),
        })
    }

    async fn delete_alert_channel(
        self: Arc<Self>,
        call: Call,
        request: DeleteAlertChannelRequest,
    ) -> Answer<DeleteAlertChannelResponse> {
        call.caller.needs_all_hosts()?;
        let id = AlertChannelId::from(request.alert_channel_id);
        let target = format!("alert_channel:{id}");
        let audit = Entry::new(
            UnixMillis::now(),
            call.actor(),
            "alert_channel.delete",
            target,
        );
        let rules = self.store.delete_alert_channel(id, audit).await?;
        if !rules.is_empty() {
            // A rule that loses its last channel would be sent to all of them.
            let detail = format!(
                "these rules are sent there: {}; give them other channels first",
                rules.join(", ")
            );
            return Err(ServiceError::new(
                ErrorKind::Conflict,
                "channel_in_use",
                detail,
            ));
        }
        Ok(DeleteAlertChannelResponse {})
    }
}

impl Platform {
    async fn find_channel(&self, id: AlertChannelId) -> Result<kept::AlertChannel, ServiceError> {
        let channels = self.store.alert_channels().await?;
        let channel = channels.into_iter().find(|channel| channel.id == id);
        channel.ok_or_else(|| {
            let detail = "there is no channel of this id: list them with alert-channel list";
            ServiceError::new(ErrorKind::NotFound, "not_found", detail)
        })
    }

    /// A secret for a webhook, sealed and not.
    fn new_secret(&self, id: AlertChannelId) -> Result<(Vec<u8>, Secret), ServiceError> {
        let secret = secret();
        let sealed = self.identity.seal_webhook_secret(id, &secret);
        let sealed = sealed.ok_or_else(|| {
            let detail = "the platform's secrets.key cannot seal: ask whoever runs it";
            ServiceError::new(ErrorKind::Internal, "secret_unreadable", detail)
        })?;
        Ok((sealed, secret))
    }
}

/// What a specification says.
struct Wanted {
    name: String,
    disabled: bool,
    target: WantedTarget,
}

enum WantedTarget {
    Webhook(String),
    Email(Vec<EmailAddress>),
}

impl Wanted {
    fn of(spec: Option<AlertChannelSpec>) -> Result<Self, ServiceError> {
        let spec = spec.ok_or_else(|| {
            let detail = "say what the channel is to be";
            refused("spec", "channel_incomplete", detail)
        })?;
        check_name("spec.name", &spec.name)?;
        let target = match spec.target {
            Some(AlertChannelSpecTarget::Webhook(webhook)) => {
                Endpoint::parse(&webhook.url).map_err(|_| {
                    let detail = "a receiver's address is https://..., or http:// on the platform's own machine";
                    refused("spec.webhook.url", "url_invalid", detail)
                })?;
                WantedTarget::Webhook(webhook.url)
            }
            Some(AlertChannelSpecTarget::Email(email)) => {
                WantedTarget::Email(recipients(&email.recipients)?)
            }
            None => {
                let detail = "say where it leads, as in {\"webhook\": {\"url\": \"https://...\"}}";
                return Err(refused("spec", "channel_incomplete", detail));
            }
        };
        Ok(Self {
            name: spec.name,
            disabled: spec.disabled,
            target,
        })
    }
}

/// # Errors
/// `address_invalid`, with which.
fn recipients(texts: &[String]) -> Result<Vec<EmailAddress>, ServiceError> {
    if texts.is_empty() {
        let detail = "e-mail needs one recipient at least";
        return Err(refused(
            "spec.email.recipients",
            "channel_incomplete",
            detail,
        ));
    }
    let recipient = |(at, text): (usize, &String)| {
        text.parse().map_err(|error| {
            let field = format!("spec.email.recipients[{at}]");
            let error: crate::platform::mail::AddressError = error;
            refused(&field, "address_invalid", &error.to_string())
        })
    };
    texts.iter().enumerate().map(recipient).collect()
}

/// Addresses of receivers are often secrets themselves, and stay out of the audit log.
fn entry_of(call: &Call, action: &str, channel: &kept::AlertChannel) -> Entry {
    let target = format!("alert_channel:{}", channel.id);
    let kind = match &channel.target {
        ChannelTarget::Webhook { .. } => "webhook",
        ChannelTarget::Email { .. } => "email",
    };
    let disabled = if channel.disabled { "true" } else { "false" };
    Entry::new(UnixMillis::now(), call.actor(), action, target)
        .detail("name", channel.name.as_str())
        .detail("kind", kind)
        .detail("disabled", disabled)
}

fn shown(channel: &kept::AlertChannel) -> AlertChannel {
    let target = match &channel.target {
        ChannelTarget::Webhook { url, .. } => {
            AlertChannelSpecTarget::Webhook(WebhookTarget { url: url.clone() })
        }
        ChannelTarget::Email { recipients } => AlertChannelSpecTarget::Email(EmailTarget {
            recipients: recipients.iter().map(ToString::to_string).collect(),
        }),
    };
    AlertChannel {
        id: channel.id.into(),
        spec: Some(AlertChannelSpec {
            name: channel.name.clone(),
            disabled: channel.disabled,
            target: Some(target),
        }),
        created_at: Some(channel.created.into()),
    }
}
