//! API keys, as the API has them. What may be done is `identity`'s.

use std::sync::Arc;

use super::access::{grants_of, grants_shown, role_of, role_shown};
use super::page::Page;
use crate::clock::UnixMillis;
use crate::ids::UserId;
use crate::platform::Platform;
use crate::platform::api::{Answer, ApiKeyService, Call, CreateApiKey};
use crate::platform::identity::{self, Access, NewApiKey};
use crate::secret::Secret;
use crate::wire::api::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, ListApiKeysRequest, ListApiKeysResponse,
    RevokeApiKeyRequest, RevokeApiKeyResponse,
};

impl ApiKeyService for Platform {
    async fn list_api_keys(
        self: Arc<Self>,
        call: Call,
        request: ListApiKeysRequest,
    ) -> Answer<ListApiKeysResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let of = request.user_id.map(UserId::from);
        let keys = self.identity.api_keys(&call.caller, of)?;
        // The oldest first; those of one instant by their ids, so that a page can begin after any.
        let place = |key: &identity::ApiKey| format!("{:020}{}", key.created.0, key.id);
        let found = keys
            .into_iter()
            .filter(|key| page.after().is_none_or(|after| *place(key) > *after));
        let (keys, next_page_token) = page.take(found, place);
        Ok(ListApiKeysResponse {
            api_keys: keys.iter().map(shown).collect(),
            next_page_token,
        })
    }

    async fn create_api_key(
        self: Arc<Self>,
        call: Call,
        request: CreateApiKeyRequest,
    ) -> Answer<CreateApiKeyResponse> {
        let caller = &call.caller;
        let user = request.user_id.map(UserId::from);
        let (role, grants) = (role_of(request.role)?, request.grants.map(grants_of));
        // What is not said is what the owner has, or, of the caller's own, what the caller has.
        let access = if role.is_none() && grants.is_none() {
            None
        } else {
            let most = match user.filter(|user| *user != caller.user) {
                Some(other) => self.identity.user(caller, other)?.access,
                None => (*caller.access).clone(),
            };
            Some(Access {
                role: role.unwrap_or(most.role),
                grants: grants.unwrap_or(most.grants),
            })
        };
        let new = NewApiKey {
            user,
            name: request.name,
            access,
            expires: request.expires_at.map(Into::into),
        };
        let answer = |key: &identity::ApiKey, secret: &Secret| CreateApiKeyResponse {
            api_key: Some(shown(key)),
            secret: secret.clone(),
        };
        let (key, secret) = self
            .identity
            .create_api_key(caller, UnixMillis::now(), new, |audit, key, secret| {
                call.change::<CreateApiKey>(audit, &answer(key, secret))
            })
            .await?;
        Ok(answer(&key, &secret))
    }

    async fn revoke_api_key(
        self: Arc<Self>,
        call: Call,
        request: RevokeApiKeyRequest,
    ) -> Answer<RevokeApiKeyResponse> {
        let (caller, now) = (&call.caller, UnixMillis::now());
        let id = request.api_key_id.into();
        self.identity.revoke_api_key(caller, now, id).await?;
        Ok(RevokeApiKeyResponse {})
    }
}

fn shown(key: &identity::ApiKey) -> ApiKey {
    ApiKey {
        id: key.id.into(),
        name: key.name.clone(),
        user_id: key.user.into(),
        role: role_shown(key.access.role),
        grants: Some(grants_shown(&key.access.grants)),
        created_at: Some(key.created.into()),
        expires_at: key.expires.map(Into::into),
        used_at: key.used.map(Into::into),
    }
}
