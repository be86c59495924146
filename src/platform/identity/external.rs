//! Users for whom an OpenID provider vouches. They are found by what the provider calls them for ever,
//! its `iss` and `sub`, and by nothing else: a name or an e-mail address may be claimed by somebody
//! else tomorrow, and no claim takes over a user that was made here.

use tracing::info;

use super::access::{Access, Role};
use super::directory::Known;
use super::sign_in::{new_family, user_disabled};
use super::users::{check_external, created, target};
use super::{ClientInfo, Identity, Shared, SignedIn, UserName};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::UserId;
use crate::platform::service::{ErrorKind, ServiceError};
use crate::platform::store::StoreError;
use crate::platform::store::users::{External, UserChange, UserRecord};
use crate::secret::random;

/// How many names are tried for a new user, whose wished one belongs to others.
const NAMES_TRIED: u32 = 100;

/// Who a provider says signed in: out of an ID token that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalUser {
    /// The provider, as its `iss` says.
    pub issuer: String,
    /// Who, as its `sub` says.
    pub subject: String,
    /// What the user would be called, as far as that is free; any text.
    pub wished_name: Option<String>,
    /// What a new user gets; none where new users are not made.
    pub provision: Option<Access>,
    /// The role that the provider says now, which replaces the one there was. Grants stay as an
    /// administrator set them.
    pub role: Option<Role>,
}

impl Identity {
    /// Signs in whom a provider vouches for, and makes a user of who comes for the first time.
    ///
    /// # Errors
    /// `external_invalid`, `user_unknown`, `user_disabled`, `too_many`.
    pub async fn sign_in_external(
        &self,
        now: UnixMillis,
        external: ExternalUser,
        client: ClientInfo,
    ) -> Result<SignedIn, ServiceError> {
        let subject = External {
            issuer: external.issuer.clone(),
            subject: external.subject.clone(),
        };
        check_external(&subject, false)?;
        let signed_in = self.change(|shared| async move {
            let known = shared.known_subject(&subject);
            let id = match known {
                Some(known) => shared.take_role(now, &known, external.role).await?,
                None => shared.provision(now, subject, &external).await?,
            };
            let known = shared.directory().user(id);
            let known = known.ok_or(StoreError::NotFound)?;
            if known.record.disabled {
                return Err(user_disabled());
            }
            // The second factor is the provider's to ask for.
            let begun = new_family(now, id, known.record.version, None, client);
            shared
                .begin_family(now, &known.record.name, begun, "oidc")
                .await
        });
        let signed_in = signed_in.await;
        if let Err(error) = &signed_in
            && error.kind == ErrorKind::Unauthenticated
        {
            self.note_failed_sign_in(now, "oidc", client.address, error.code)
                .await;
        }
        signed_in
    }
}

impl Shared {
    fn known_subject(&self, subject: &External) -> Option<std::sync::Arc<Known>> {
        self.directory()
            .user_of_subject(&subject.issuer, &subject.subject)
    }

    /// Gives a user the role that its provider says, where it has another.
    async fn take_role(
        &self,
        now: UnixMillis,
        known: &Known,
        role: Option<Role>,
    ) -> Result<UserId, ServiceError> {
        let record = &known.record;
        let Some(role) = role.filter(|role| *role != record.access.role) else {
            return Ok(record.id);
        };
        let audit = Entry::new(now, "platform", "user.update", target(record.id))
            .detail("user", record.name.as_str())
            .detail("role", role.code())
            .detail("from", "the provider");
        let change = UserChange {
            access: Some(Access {
                role,
                grants: record.access.grants.clone(),
            }),
            ..UserChange::default()
        };
        self.store
            .update_user(record.id, None, change, audit)
            .await?;
        self.reload(record.id).await;
        Ok(record.id)
    }

    /// Makes a user of who comes for the first time, under a name that is free.
    async fn provision(
        &self,
        now: UnixMillis,
        subject: External,
        external: &ExternalUser,
    ) -> Result<UserId, ServiceError> {
        let Some(access) = &external.provision else {
            return Err(ServiceError::new(
                ErrorKind::Unauthenticated,
                "user_unknown",
                "the provider knows you and this platform does not: ask an administrator",
            ));
        };
        let wished = UserName::of_text(external.wished_name.as_deref().unwrap_or_default());
        let names = (2..=NAMES_TRIED).map(|number| wished.numbered(number));
        let free = [wished.clone()]
            .into_iter()
            .chain(names)
            .find(|name| self.directory().user_named(name).is_none());
        // So many of one name are no accident: this one tells nobody apart, and is free.
        let name = free.unwrap_or_else(|| wished.numbered(u32::from_be_bytes(random())));
        let mut access = access.clone();
        access.role = external.role.unwrap_or(access.role);
        let record = UserRecord {
            id: UserId::random(random()),
            name,
            access,
            disabled: false,
            created: now,
            password: None,
            totp: None,
            external: Some(subject),
            version: 1,
        };
        let id = record.id;
        info!(user = %record.name, "made a user whom the provider vouches for");
        let audit = created("platform", now, &record);
        self.store.create_user(record, audit.into()).await?;
        self.reload(id).await;
        Ok(id)
    }
}
