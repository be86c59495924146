//! Enrolment tokens, as the API has them. What becomes of one that an agent brings is `enrolment`'s.

use std::sync::Arc;
use std::time::Duration;

use super::enrolment::internal;
use super::hosts::name_invalid;
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::HostName;
use crate::net::enrolment::EnrolmentToken;
use crate::platform::Platform;
use crate::platform::api::{Answer, Call, CreateEnrolmentToken, EnrolmentTokenService};
use crate::platform::store::NewEnrolmentToken;
use crate::wire::api::{CreateEnrolmentTokenRequest, CreateEnrolmentTokenResponse};

impl EnrolmentTokenService for Platform {
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
        let record = NewEnrolmentToken {
            secret: token.secret_hash(),
            name: request.name.clone(),
            at: now,
            expires,
        };
        let mut audit = Entry::new(now, call.actor(), "token.create", "token")
            .detail("expires", expires.to_string());
        if let Some(name) = &request.name {
            audit = audit.detail("name", name.as_str());
        }
        let answer = CreateEnrolmentTokenResponse {
            token: token.to_text(),
            name: request.name,
            expires_at: Some(expires.into()),
        };
        let change = call.change::<CreateEnrolmentToken>(audit, &answer)?;
        self.store.create_enrolment_token(record, change).await?;
        Ok(answer)
    }
}
