//! The message track, as it is looked through: what a caller asks for, of the hosts that it sees.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::page::{Page, token_invalid};
use crate::clock::UnixMillis;
use crate::ids::HostId;
use crate::platform::Platform;
use crate::platform::api::{Answer, Call, MessageService};
use crate::platform::identity::Grants;
use crate::platform::store::track::{Direction, Outcome, TrackPlace, TrackQuery, Tracked};
use crate::wire::api::{
    ListMessagesRequest, ListMessagesResponse, MessageDirection, MessageOutcome, TrackedMessage,
};

impl MessageService for Platform {
    /// Who sees all hosts sees the messages of those who were not let in, too.
    async fn list_messages(
        self: Arc<Self>,
        call: Call,
        request: ListMessagesRequest,
    ) -> Answer<ListMessagesResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let after = page
            .after()
            .map(|text| place(text).ok_or_else(token_invalid));
        let (platform, caller) = (self.clone(), call.caller);
        let sees_all = *caller.grants() == Grants::All;
        let query = TrackQuery {
            host: request.host_id.map(HostId::from),
            message_type: request.message_type.map(|name| name.as_str().to_owned()),
            direction: match request.direction {
                MessageDirection::ToAgent => Some(Direction::ToAgent),
                MessageDirection::FromAgent => Some(Direction::FromAgent),
                MessageDirection::Unspecified | MessageDirection::Unknown(_) => None,
            },
            outcome: match request.outcome {
                MessageOutcome::Sent => Some(Outcome::Sent),
                MessageOutcome::Acknowledged => Some(Outcome::Acknowledged),
                MessageOutcome::Received => Some(Outcome::Received),
                MessageOutcome::Refused => Some(Outcome::Refused),
                MessageOutcome::Failed => Some(Outcome::Failed),
                MessageOutcome::Unspecified | MessageOutcome::Unknown(_) => None,
            },
            message_id: Some(request.message_id).filter(|id| !id.is_empty()),
            since: request.since.map(UnixMillis::from),
            until: request.until.map(UnixMillis::from),
            after: after.transpose()?,
            count: page.size(),
            sees: Arc::new(move |host| match host {
                Some(host) => platform.identity.may(&caller, host),
                None => sees_all,
            }),
        };
        let found = self.store.tracked(query).await?;
        let next = found.next.map(|TrackPlace { at, sequence }| {
            BASE64_URL_SAFE_NO_PAD.encode(format!("{}.{sequence}", at.0))
        });
        Ok(ListMessagesResponse {
            messages: found.found.into_iter().map(show).collect(),
            next_page_token: next.unwrap_or_default(),
        })
    }
}

fn place(text: &str) -> Option<TrackPlace> {
    let (at, sequence) = text.split_once('.')?;
    Some(TrackPlace {
        at: UnixMillis(at.parse().ok()?),
        sequence: sequence.parse().ok()?,
    })
}

fn show(tracked: Tracked) -> TrackedMessage {
    TrackedMessage {
        at: Some(tracked.at.into()),
        host_id: tracked.host.map(|host| host.0),
        address: tracked.address,
        direction: match tracked.direction {
            Some(Direction::ToAgent) => MessageDirection::ToAgent,
            Some(Direction::FromAgent) => MessageDirection::FromAgent,
            None => MessageDirection::Unspecified,
        },
        message_type: Cow::into_owned(tracked.message_type),
        message_id: tracked.message_id,
        size_bytes: tracked.size,
        outcome: match tracked.outcome {
            Some(Outcome::Sent) => MessageOutcome::Sent,
            Some(Outcome::Acknowledged) => MessageOutcome::Acknowledged,
            Some(Outcome::Received) => MessageOutcome::Received,
            Some(Outcome::Refused) => MessageOutcome::Refused,
            Some(Outcome::Failed) => MessageOutcome::Failed,
            None => MessageOutcome::Unspecified,
        },
        code: Cow::into_owned(tracked.code),
        missed: tracked.missed,
    }
}
