//! Users, as the API has them. What may be done is `identity`'s.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ServiceError;
use super::access::{
    etag_of, etag_shown, grants_of, grants_shown, role_invalid, role_of, role_shown,
};
use super::page::Page;
use crate::clock::UnixMillis;
use crate::platform::Platform;
use crate::platform::api::{Answer, Call, CreateUser, UserService};
use crate::platform::identity::{Access, Grants, NewUser, User, UserName, UserUpdate};
use crate::platform::store::users::External;
use crate::wire::api::{
    self, CreateUserRequest, CreateUserResponse, DeleteUserRequest, DeleteUserResponse,
    ExternalSubject, GetUserRequest, GetUserResponse, ListUsersRequest, ListUsersResponse,
    UpdateUserRequest, UpdateUserResponse,
};

impl UserService for Platform {
    async fn list_users(
        self: Arc<Self>,
        call: Call,
        request: ListUsersRequest,
    ) -> Answer<ListUsersResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let after = page.after().map(name).transpose()?;
        let contains = Some(request.name.as_str()).filter(|name| !name.is_empty());
        // One more than asked for, which tells whether there is another page.
        let found = self
            .identity
            .users(&call.caller, contains, after.as_ref(), page.size() + 1);
        let (users, next_page_token) =
            page.take(found.into_iter(), |user| user.name.as_str().to_owned());
        Ok(ListUsersResponse {
            users: users.iter().map(shown).collect(),
            next_page_token,
        })
    }

    async fn get_user(
        self: Arc<Self>,
        call: Call,
        request: GetUserRequest,
    ) -> Answer<GetUserResponse> {
        let user = self.identity.find_user(&call.caller, &request.user_id)?;
        Ok(GetUserResponse {
            user: Some(shown(&user)),
        })
    }

    async fn create_user(
        self: Arc<Self>,
        call: Call,
        request: CreateUserRequest,
    ) -> Answer<CreateUserResponse> {
        let role = role_of(request.role)?.ok_or_else(role_invalid)?;
        let nowhere = || Grants::Groups(BTreeSet::new());
        let grants = request.grants.map_or_else(nowhere, grants_of);
        let new = NewUser {
            name: name(&request.name)?,
            access: Access { role, grants },
            password: request.password,
            external: request.external.map(external_of),
        };
        let answer = |user: &User| CreateUserResponse {
            user: Some(shown(user)),
        };
        let made = self
            .identity
            .create_user(&call.caller, UnixMillis::now(), new, |audit, user| {
                call.change::<CreateUser>(audit, &answer(user))
            })
            .await?;
        Ok(answer(&made))
    }

    async fn update_user(
        self: Arc<Self>,
        call: Call,
        request: UpdateUserRequest,
    ) -> Answer<UpdateUserResponse> {
        let external = request.external.map(external_of).map(Some);
        let update = UserUpdate {
            name: request.name.as_deref().map(name).transpose()?,
            role: role_of(request.role)?,
            grants: request.grants.map(grants_of),
            disabled: request.disabled,
            password: request.password,
            reset_totp: request.reset_totp,
            external: external.or(request.remove_external.then_some(None)),
        };
        let id = self.identity.find_user(&call.caller, &request.user_id)?.id;
        let expected = etag_of(&request.etag)?;
        let (caller, now) = (&call.caller, UnixMillis::now());
        let changed = self.identity.update_user(caller, now, id, expected, update);
        Ok(UpdateUserResponse {
            user: Some(shown(&changed.await?)),
        })
    }

    async fn delete_user(
        self: Arc<Self>,
        call: Call,
        request: DeleteUserRequest,
    ) -> Answer<DeleteUserResponse> {
        let id = self.identity.find_user(&call.caller, &request.user_id)?.id;
        let expected = etag_of(&request.etag)?;
        let (caller, now) = (&call.caller, UnixMillis::now());
        self.identity.delete_user(caller, now, id, expected).await?;
        Ok(DeleteUserResponse {})
    }
}

fn name(text: &str) -> Result<UserName, ServiceError> {
    text.parse().map_err(|error| ServiceError::name(&error))
}

fn external_of(external: ExternalSubject) -> External {
    External {
        issuer: external.issuer,
        subject: external.subject,
    }
}

/// A user as the API shows it.
pub(super) fn shown(user: &User) -> api::User {
    api::User {
        id: user.id.into(),
        name: user.name.as_str().to_owned(),
        role: role_shown(user.access.role),
        grants: Some(grants_shown(&user.access.grants)),
        disabled: user.disabled,
        has_password: user.has_password,
        totp: user.totp,
        external: user.external.as_ref().map(|external| ExternalSubject {
            issuer: external.issuer.clone(),
            subject: external.subject.clone(),
        }),
        built_in: user.is_built_in(),
        created_at: Some(user.created.into()),
        etag: etag_shown(user.version),
    }
}
