//! Users: made, listed, changed and removed by administrators, who give no more than they have and
//! change nobody who has more. Passwords as far as they are set; signing in with one is elsewhere.

use std::sync::Arc;

use super::access::{Access, Caller, Grants, Role, Via};
use super::directory::Known;
use super::{Identity, Shared, UserName, password};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{UserId, Uuid};
use crate::platform::service::{ErrorKind, ServiceError};
use crate::platform::store::users::{External, UserChange, UserRecord};
use crate::platform::store::{Change, StoreError};
use crate::secret::{Secret, random};

/// The built-in administrator, who is there from the first start on, may do everything, and is neither
/// removed nor kept out: so that whoever has the data directory always has a way in.
pub const ADMINISTRATOR: UserId = UserId(Uuid::from_u128(1));

/// The most bytes of a provider's name and of a subject (OpenID Connect Core allows a subject 255).
const ISSUER_BYTES_MAX: usize = 512;
/// As above.
const SUBJECT_BYTES_MAX: usize = 255;

/// A user, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its name.
    pub name: UserName,
    /// What it may do, and where.
    pub access: Access,
    /// Whether it is kept out.
    pub disabled: bool,
    /// When it was made.
    pub created: UnixMillis,
    /// Whether it has a password.
    pub has_password: bool,
    /// Whether it is asked for a second factor.
    pub totp: bool,
    /// Who it is for an OpenID provider.
    pub external: Option<External>,
    /// Counts its changes.
    pub version: u64,
}

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Its name, refused when taken.
    pub name: UserName,
    /// What it may do, and where.
    pub access: Access,
    /// Its first password; without one it signs in with a provider or not at all.
    pub password: Option<Secret>,
    /// Who it is for an OpenID provider.
    pub external: Option<External>,
}

/// What is to become of a user; what is none stays as it is.
#[derive(Clone, Debug, Default)]
pub struct UserUpdate {
    /// Its name, refused when taken.
    pub name: Option<UserName>,
    /// What it may do.
    pub role: Option<Role>,
    /// Where.
    pub grants: Option<Grants>,
    /// Whether it is kept out. That ends its sign-ins.
    pub disabled: Option<bool>,
    /// Another password, which ends its sign-ins.
    pub password: Option<Secret>,
    /// Takes its second factor off, for who has lost it; that ends its sign-ins.
    pub reset_totp: bool,
    /// Who it is for an OpenID provider, or that it is nobody.
    pub external: Option<Option<External>>,
}

impl User {
    pub(super) fn of(record: &UserRecord) -> Self {
        Self {
            id: record.id,
            name: record.name.clone(),
            access: record.access.clone(),
            disabled: record.disabled,
            created: record.created,
            has_password: record.password.is_some(),
            totp: record.totp.as_ref().is_some_and(|totp| totp.on),
            external: record.external.clone(),
            version: record.version,
        }
    }

    /// Whether this is the user that is always there.
    pub fn is_built_in(&self) -> bool {
        self.id == ADMINISTRATOR
    }
}

impl Access {
    /// All that there is.
    pub const fn everything() -> Self {
        Self {
            role: Role::Admin,
            grants: Grants::All,
        }
    }
}

impl Identity {
    /// Makes a user. `change` says what is kept with it beside its audit entry.
    ///
    /// # Errors
    /// `grant_insufficient`, `password_weak`, `external_invalid`, `name_taken`, `too_many`.
    pub async fn create_user(
        &self,
        caller: &Caller,
        now: UnixMillis,
        new: NewUser,
        change: impl FnOnce(Entry, &User) -> Result<Change, ServiceError>,
    ) -> Result<User, ServiceError> {
        caller.needs(Role::Admin)?;
        caller.needs_to_have(&new.access)?;
        if let Some(external) = &new.external {
            check_external(external, new.password.is_some())?;
        }
        let record = UserRecord {
            id: UserId::random(random()),
            password: self.new_password(&new.name, new.password).await?,
            name: new.name,
            access: new.access,
            disabled: false,
            created: now,
            totp: None,
            external: new.external,
            version: 1,
        };
        let user = User::of(&record);
        let change = change(created(caller.name.as_str(), now, &record), &user)?;
        self.change(|shared| async move {
            shared.store.create_user(record, change).await?;
            shared.reload(user.id).await;
            Ok(user)
        })
        .await
    }

    /// The users that a caller may see, by name: at most `limit` whose names come after `after` and
    /// contain `contains`. Those are all that may do no more than itself, and itself.
    pub fn users(
        &self,
        caller: &Caller,
        contains: Option<&str>,
        after: Option<&UserName>,
        limit: usize,
    ) -> Vec<User> {
        let contains = contains.map(str::to_ascii_lowercase).unwrap_or_default();
        let directory = self.shared.directory();
        let known = directory.ids().into_iter();
        let mut users: Vec<_> = known
            .filter_map(|id| directory.user(id))
            .filter(|known| {
                let record = &known.record;
                may_see(caller, record)
                    && record.name.as_str().contains(&contains)
                    && after.is_none_or(|after| record.name > *after)
            })
            .collect();
        users.sort_by(|a, b| a.record.name.cmp(&b.record.name));
        users.truncate(limit);
        users.iter().map(|known| User::of(&known.record)).collect()
    }

    /// The user of this id.
    ///
    /// # Errors
    /// `not_found`, also where the caller may not see it.
    pub fn user(&self, caller: &Caller, id: UserId) -> Result<User, ServiceError> {
        let known = self.user_known(id)?;
        if may_see(caller, &known.record) {
            Ok(User::of(&known.record))
        } else {
            Err(StoreError::NotFound.into())
        }
    }

    /// The user of this name or id.
    ///
    /// # Errors
    /// `not_found`, also where the caller does not see it.
    pub fn find_user(&self, caller: &Caller, name_or_id: &str) -> Result<User, ServiceError> {
        let id = match (name_or_id.parse(), name_or_id.parse()) {
            (Ok(id), _) => Some(id),
            (_, Ok(name)) => {
                let known = self.shared.directory().user_named(&name);
                known.map(|known| known.record.id)
            }
            _ => None,
        };
        self.user(caller, id.ok_or(StoreError::NotFound)?)
    }

    /// Changes a user. `expected` is the version that the caller has seen, if it says one.
    ///
    /// # Errors
    /// `not_found`, `grant_insufficient`, `built_in`, `password_weak`, `external_invalid`,
    /// `name_taken`, `changed_meanwhile`.
    pub async fn update_user(
        &self,
        caller: &Caller,
        now: UnixMillis,
        id: UserId,
        expected: Option<u64>,
        update: UserUpdate,
    ) -> Result<User, ServiceError> {
        caller.needs(Role::Admin)?;
        let before = self.user(caller, id)?;
        caller.needs_to_have(&before.access)?;
        let access = match (update.role, update.grants) {
            (None, None) => None,
            (role, grants) => Some(Access {
                role: role.unwrap_or(before.access.role),
                grants: grants.unwrap_or_else(|| before.access.grants.clone()),
            }),
        };
        if let Some(access) = &access {
            caller.needs_to_have(access)?;
        }
        let stays = update.name.is_none()
            && access.is_none()
            && update.disabled != Some(true)
            && update.external.is_none();
        if before.is_built_in() && !stays {
            return Err(built_in());
        }
        let external = update.external.as_ref().unwrap_or(&before.external);
        if let Some(external) = external {
            let with_password =
                update.password.is_some() || (update.external.is_some() && before.has_password);
            check_external(external, with_password)?;
        }
        if update.password.is_some() {
            may_set_password(caller, &before)?;
        }

        let mut audit = Entry::new(now, caller.name.as_str(), "user.update", target(id))
            .detail("user", before.name.as_str());
        if let Some(name) = &update.name {
            audit = audit.detail("name", name.as_str());
        }
        if let Some(access) = &access {
            audit = audit
                .detail("role", access.role.code())
                .detail("hosts", access.grants.words());
        }
        if let Some(disabled) = update.disabled {
            audit = audit.detail("disabled", disabled.to_string());
        }
        if update.password.is_some() {
            audit = audit.detail("password", "set");
        }
        if update.reset_totp {
            audit = audit.detail("totp", "off");
        }
        if let Some(external) = &update.external {
            let words = external.as_ref().map_or_else(
                || "none".to_owned(),
                |external| format!("{} {}", external.issuer, external.subject),
            );
            audit = audit.detail("external", words);
        }
        let name = update.name.as_ref().unwrap_or(&before.name);
        let password = self.new_password(name, update.password).await?;
        let change = UserChange {
            end_sign_ins: password.is_some()
                || update.reset_totp
                || update.disabled == Some(true)
                || update.external.is_some(),
            name: update.name,
            access,
            disabled: update.disabled,
            password: password.map(Some),
            totp: update.reset_totp.then_some(None),
            external: update.external,
            ..UserChange::default()
        };
        self.change_user(id, expected, change, audit).await
    }

    /// Removes a user with its sign-ins and its keys. What it did stays in the audit log.
    ///
    /// # Errors
    /// `not_found`, `grant_insufficient`, `built_in`, `changed_meanwhile`.
    pub async fn delete_user(
        &self,
        caller: &Caller,
        now: UnixMillis,
        id: UserId,
        expected: Option<u64>,
    ) -> Result<(), ServiceError> {
        caller.needs(Role::Admin)?;
        let before = self.user(caller, id)?;
        caller.needs_to_have(&before.access)?;
        if before.is_built_in() {
            return Err(built_in());
        }
        let audit = Entry::new(now, caller.name.as_str(), "user.delete", target(id))
            .detail("user", before.name.as_str());
        self.change(move |shared| async move {
            shared.store.delete_user(id, expected, audit).await?;
            shared.reload(id).await;
            Ok(())
        })
        .await
    }

    /// Writes a change of a user and takes it up.
    pub(super) async fn change_user(
        &self,
        id: UserId,
        expected: Option<u64>,
        change: UserChange,
        audit: Entry,
    ) -> Result<User, ServiceError> {
        self.change(move |shared| async move {
            let changed = shared.store.update_user(id, expected, change, audit).await;
            let record = changed?;
            shared.reload(id).await;
            Ok(User::of(&record))
        })
        .await
    }

    /// What is known of a user.
    pub(super) fn user_known(&self, id: UserId) -> Result<Arc<Known>, ServiceError> {
        let known = self.shared.directory().user(id);
        known.ok_or_else(|| StoreError::NotFound.into())
    }

    /// The hash of a password that is set, if it does.
    pub(super) async fn new_password(
        &self,
        name: &UserName,
        new: Option<Secret>,
    ) -> Result<Option<Secret>, ServiceError> {
        match new {
            None => Ok(None),
            Some(new) => {
                password::check(&new, name)?;
                self.shared.passwords.hash(new).await.map(Some)
            }
        }
    }
}

impl Shared {
    pub(super) async fn make_administrator_user(&self, now: UnixMillis) -> Result<(), StoreError> {
        let record = UserRecord {
            id: ADMINISTRATOR,
            name: UserName::administrator(),
            access: Access::everything(),
            disabled: false,
            created: now,
            password: None,
            totp: None,
            external: None,
            version: 1,
        };
        let audit = created("platform", now, &record);
        self.store
            .create_user(record, audit.into())
            .await
            .map(|_| ())
    }
}

/// Whoever has a password of its own changes it by saying it: a sign-in that somebody left open is not
/// to take the account. An administrator's key may, as it is what is left to whoever forgot the password.
fn may_set_password(caller: &Caller, user: &User) -> Result<(), ServiceError> {
    let own_sign_in = caller.user == user.id && matches!(caller.via, Via::SignIn(_));
    if !own_sign_in || !user.has_password {
        return Ok(());
    }
    let detail = "change your own password by saying the one you have";
    Err(ServiceError::new(
        ErrorKind::Forbidden,
        "password_needed",
        detail,
    ))
}

fn may_see(caller: &Caller, record: &UserRecord) -> bool {
    record.id == caller.user
        || (caller.role() == Role::Admin && caller.access.contains(&record.access))
}

pub(super) fn check_external(external: &External, with_password: bool) -> Result<(), ServiceError> {
    let detail = if with_password {
        "who signs in with a provider has no password here"
    } else if !(1..=ISSUER_BYTES_MAX).contains(&external.issuer.len())
        || !(1..=SUBJECT_BYTES_MAX).contains(&external.subject.len())
    {
        "an issuer has 1 to 512 bytes, a subject 1 to 255"
    } else {
        return Ok(());
    };
    Err(ServiceError::new(
        ErrorKind::Invalid,
        "external_invalid",
        detail,
    ))
}

/// The entry of a user that is made.
pub(super) fn created(actor: &str, now: UnixMillis, record: &UserRecord) -> Entry {
    let mut audit = Entry::new(now, actor, "user.create", target(record.id))
        .detail("user", record.name.as_str())
        .detail("role", record.access.role.code())
        .detail("hosts", record.access.grants.words());
    if let Some(external) = &record.external {
        audit = audit
            .detail("issuer", external.issuer.as_str())
            .detail("subject", external.subject.as_str());
    }
    audit
}

/// A user, as the audit log names it.
pub(super) fn target(id: UserId) -> String {
    format!("user:{id}")
}

fn built_in() -> ServiceError {
    let detail =
        "the built-in administrator stays as it is but for its password and its second factor";
    ServiceError::new(ErrorKind::Conflict, "built_in", detail)
}
