//! Enrolment tokens, as the API has them. What becomes of one that an agent brings is `enrolment`'s.

use std::sync::Arc;
use std::time::Duration;

use super::enrolment::internal;
use super::hosts::name_invalid;
use super::page::Page;
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{EnrolmentTokenId, HostName};
use crate::net::enrolment::EnrolmentToken;
use crate::platform::Platform;
use crate::platform::api::{Answer, Call, CreateEnrolmentToken, EnrolmentTokenService};
use crate::platform::store::{EnrolmentTokenRecord, NewEnrolmentToken, StoreError};
use crate::secret::random;
use crate::wire::api::{
    self as messages, CreateEnrolmentTokenRequest, CreateEnrolmentTokenResponse,
    ListEnrolmentTokensRequest, ListEnrolmentTokensResponse, RevokeEnrolmentTokenRequest,
    RevokeEnrolmentTokenResponse,
};

impl EnrolmentTokenService for Platform {
    async fn list_enrolment_tokens(
        self: Arc<Self>,
        call: Call,
        request: ListEnrolmentTokensRequest,
    ) -> Answer<ListEnrolmentTokensResponse> {
        call.caller.needs_all_hosts()?;
        let page = Page::of(request.page_size, &request.page_token)?;
        let before = page.moment()?;
        let found = self.store.enrolment_tokens(before, page.size() + 1).await?;
        let (tokens, next_page_token) = page.take(found.into_iter(), |token| {
            format!("{} {}", token.created.0, token.id)
        });
        Ok(ListEnrolmentTokensResponse {
            enrolment_tokens: tokens.into_iter().map(shown).collect(),
            next_page_token,
        })
    }

    async fn create_enrolment_token(
        self: Arc<Self>,
        call: Call,
        request: CreateEnrolmentTokenRequest,
    ) -> Answer<CreateEnrolmentTokenResponse> {
        // It may name any host, which is enrolled anew then.
        call.caller.needs_all_hosts()?;
        if let Some(name) = &request.name {
            name.parse::<HostName>().map_err(name_invalid)?;
        }
        let ttl = request.ttl_seconds;
        let ttl = ttl.map_or(self.config.token_ttl, Duration::from_secs);
        let fingerprint = self.authority().fingerprint();
        let token =
            EnrolmentToken::generate(fingerprint, &self.config.server_name).map_err(internal)?;
        let now = UnixMillis::now();
        let expires = now.plus(ttl);
        let id = EnrolmentTokenId::random(random());
        let record = NewEnrolmentToken {
            id,
            secret: token.secret_hash(),
            name: request.name.clone(),
            by: call.actor().to_owned(),
            at: now,
            expires,
        };
        let mut audit = Entry::new(now, call.actor(), "token.create", target(id))
            .detail("expires", expires.to_string());
        if let Some(name) = &request.name {
            audit = audit.detail("name", name.as_str());
        }
        let answer = CreateEnrolmentTokenResponse {
            token: token.to_text(),
            name: request.name,
            expires_at: Some(expires.into()),
            id: id.into(),
        };
        let change = call.change::<CreateEnrolmentToken>(audit, &answer)?;
        self.store.create_enrolment_token(record, change).await?;
        Ok(answer)
    }

    async fn revoke_enrolment_token(
        self: Arc<Self>,
        call: Call,
        request: RevokeEnrolmentTokenRequest,
    ) -> Answer<RevokeEnrolmentTokenResponse> {
        call.caller.needs_all_hosts()?;
        let id = EnrolmentTokenId::from(request.enrolment_token_id);
        let found = self.store.enrolment_token(id).await?;
        let token = found.ok_or(StoreError::NotFound)?;
        let mut audit = Entry::new(UnixMillis::now(), call.actor(), "token.revoke", target(id));
        if let Some(name) = token.name {
            audit = audit.detail("name", name);
        }
        self.store.delete_enrolment_token(id, audit).await?;
        Ok(RevokeEnrolmentTokenResponse {})
    }
}

/// A token, as the audit log names it.
fn target(id: EnrolmentTokenId) -> String {
    format!("token:{id}")
}

fn shown(token: EnrolmentTokenRecord) -> messages::EnrolmentToken {
    messages::EnrolmentToken {
        id: token.id.into(),
        name: token.name,
        created_at: Some(token.created.into()),
        created_by: token.created_by,
        expires_at: Some(token.expires.into()),
        used_at: token.used.map(Into::into),
        host_id: token.host.map(Into::into),
    }
}
