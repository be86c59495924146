//! API keys: for programs, which sign in by nothing else. A key is shown once and kept as its SHA-256,
//! which suffices as it is 256 random bits and no password: there is nothing to try out.
//! The first key stands in a file of the data directory and belongs to the built-in administrator.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use tracing::{info, warn};

use super::access::{Access, Caller, Via};
use super::directory::Known;
use super::users::ADMINISTRATOR;
use super::{Identity, Shared, UserName};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::files::{self, FileError, MODE_SECRET};
use crate::ids::{ApiKeyId, UserId, Uuid};
use crate::platform::service::{ErrorKind, ServiceError};
use crate::platform::store::users::ApiKeyRecord;
use crate::platform::store::{Change, StoreError};
use crate::secret::{Secret, random};

/// How an API key begins.
pub const API_KEY_PREFIX: &str = "fwa_";
/// The id of the key in the data directory's file.
const ADMINISTRATOR_KEY: ApiKeyId = ApiKeyId(Uuid::from_u128(1));
/// The file of the data directory with the administrator's key.
const ADMINISTRATOR_FILE: &str = "admin-token";
/// Largest such file.
const FILE_BYTES_MAX: usize = 64 * 1024;
/// The most bytes of a key's name.
const NAME_BYTES_MAX: usize = 128;

/// An API key, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub user: UserId,
    /// What it is for.
    pub name: String,
    /// What it may do: what was given to it, as far as its owner still has it.
    pub access: Access,
    /// When it was made.
    pub created: UnixMillis,
    /// Until when it is taken, if there is an end.
    pub expires: Option<UnixMillis>,
    /// When it was last used, to the minute.
    pub used: Option<UnixMillis>,
}

/// An API key to be made.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Whose it is to be; the caller's own where it is none.
    pub user: Option<UserId>,
    /// What it is for.
    pub name: String,
    /// What it may do; all that its owner may where it is none.
    pub access: Option<Access>,
    /// Until when it is taken, if there is an end.
    pub expires: Option<UnixMillis>,
}

/// When a key was last used, and whether the store knows.
pub(super) struct KeyUse {
    at: UnixMillis,
    is_written: bool,
}

impl Identity {
    /// Makes an API key. The secret is shown this once. `change` says what is kept with it beside its audit
    /// entry.
    ///
    /// # Errors
    /// `name_invalid`, `expiry_invalid`, `grant_insufficient`, `not_found`, `too_many`.
    pub async fn create_api_key(
        &self,
        caller: &Caller,
        now: UnixMillis,
        new: NewApiKey,
        change: impl FnOnce(Entry, &ApiKey, &Secret) -> Result<Change, ServiceError>,
    ) -> Result<(ApiKey, Secret), ServiceError> {
        let owner = new.user.unwrap_or(caller.user);
        self.may_have_keys_of(caller, owner)?;
        check_name(&new.name)?;
        if new.expires.is_some_and(|expires| expires <= now) {
            let detail = "a key ends in the future or not at all";
            return Err(ServiceError::new(
                ErrorKind::Invalid,
                "expiry_invalid",
                detail,
            ));
        }
        let of_owner = self.user_known(owner)?.record.access.clone();
        // A key never makes one that may do more than itself, also where their owner may.
        let most = of_owner.and(if owner == caller.user {
            &caller.access
        } else {
            &of_owner
        });
        let access = new.access.unwrap_or_else(|| most.clone());
        if !most.contains(&access) {
            let detail = "a key may do no more than its owner, nor than the key that makes it";
            return Err(ServiceError::new(
                ErrorKind::Forbidden,
                "grant_insufficient",
                detail,
            ));
        }
        let secret = Secret::generate(API_KEY_PREFIX);
        let record = ApiKeyRecord {
            id: ApiKeyId::random(random()),
            user: owner,
            name: new.name,
            hash: secret.hash(),
            access,
            created: now,
            expires: new.expires,
            used: None,
        };
        let audit = entry_of(caller.name.as_str(), now, "api_key.create", &record);
        let key = ApiKey::of(record.clone());
        let change = change(audit, &key, &secret)?;
        self.change(|shared| async move {
            shared.store.put_api_key(record, change).await?;
            shared.reload(owner).await;
            Ok(())
        })
        .await?;
        Ok((key, secret))
    }

    /// The API keys of a user; of all users that the caller may change where it is none.
    ///
    /// # Errors
    /// `not_found`.
    pub fn api_keys(
        &self,
        caller: &Caller,
        of: Option<UserId>,
    ) -> Result<Vec<ApiKey>, ServiceError> {
        if let Some(owner) = of {
            self.may_have_keys_of(caller, owner)?;
        }
        let used = self.shared.keys_used();
        let directory = self.shared.directory();
        let owners = of.map_or_else(|| directory.ids(), |of| vec![of]);
        let mut keys: Vec<_> = owners
            .into_iter()
            .filter_map(|owner| directory.user(owner))
            .filter(|known| may_have_keys(caller, known.record.id, &known.record.access))
            .flat_map(|known| known.api_keys().collect::<Vec<_>>())
            .map(|mut key| {
                key.used = used.get(&key.id).map(|of| of.at).or(key.used);
                key
            })
            .collect();
        keys.sort_by_key(|key| (key.created, key.id));
        Ok(keys)
    }

    /// Removes an API key: from here on it lets nobody in.
    ///
    /// # Errors
    /// `not_found`, `grant_insufficient`, `built_in`.
    pub async fn revoke_api_key(
        &self,
        caller: &Caller,
        now: UnixMillis,
        id: ApiKeyId,
    ) -> Result<(), ServiceError> {
        let keys = self.api_keys(caller, None)?;
        let Some(key) = keys.into_iter().find(|key| key.id == id) else {
            return Err(StoreError::NotFound.into());
        };
        // One that may do little is not to take away those that may do more.
        caller.needs_to_have(&key.access)?;
        if id == ADMINISTRATOR_KEY {
            let detail = "this key is the one in admin-token in the data directory: remove that file and start the platform again";
            return Err(ServiceError::new(ErrorKind::Conflict, "built_in", detail));
        }
        let audit = Entry::new(
            now,
            caller.name.as_str(),
            "api_key.revoke",
            format!("api_key:{id}"),
        )
        .detail("name", key.name)
        .detail("owner", key.user.to_string());
        self.change(move |shared| async move {
            shared.store.delete_api_key(id, audit).await?;
            shared.reload(key.user).await;
            shared.keys_used().remove(&id);
            Ok(())
        })
        .await
    }

    /// Who calls with an API key.
    pub(super) fn with_api_key(&self, now: UnixMillis, bearer: &Secret) -> Option<Caller> {
        if !bearer.expose().starts_with(API_KEY_PREFIX) {
            return None;
        }
        let caller = self.shared.directory().with_key(now, bearer.hash())?;
        if let Via::ApiKey(key) = caller.via {
            let of = KeyUse {
                at: now,
                is_written: false,
            };
            self.shared.keys_used().insert(key, of);
        }
        Some(caller)
    }

    fn may_have_keys_of(&self, caller: &Caller, owner: UserId) -> Result<(), ServiceError> {
        let known = self.user_known(owner)?;
        if may_have_keys(caller, owner, &known.record.access) {
            return Ok(());
        }
        Err(StoreError::NotFound.into())
    }
}

/// Everybody has keys of their own; an administrator those of whoever may do no more than itself.
fn may_have_keys(caller: &Caller, owner: UserId, access: &Access) -> bool {
    owner == caller.user
        || (caller.needs(super::Role::Admin).is_ok() && caller.access.contains(access))
}

impl Shared {
    fn keys_used(&self) -> MutexGuard<'_, HashMap<ApiKeyId, KeyUse>> {
        // Entries go in and out whole.
        self.keys_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the store when keys were used, beside the requests that used them. Whether any was.
    pub(super) async fn write_keys_used(&self) -> bool {
        let mut unwritten = Vec::new();
        for (key, of) in self.keys_used().iter_mut() {
            if !std::mem::replace(&mut of.is_written, true) {
                unwritten.push((*key, of.at));
            }
        }
        if unwritten.is_empty() {
            return false;
        }
        if let Err(error) = self.store.api_keys_used(unwritten).await {
            warn!(%error, "could not note when API keys were last used");
        }
        true
    }

    /// Makes the built-in administrator and the key of the file where they are not there. The key in
    /// the store follows the file.
    pub(super) async fn make_administrator(
        &self,
        now: UnixMillis,
        token: Secret,
    ) -> Result<(), StoreError> {
        if self.store.user(ADMINISTRATOR).await?.is_none() {
            self.make_administrator_user(now).await?;
        }
        let keys = self.store.api_keys(Some(ADMINISTRATOR)).await?;
        let of_file = |key: &ApiKeyRecord| key.id == ADMINISTRATOR_KEY && key.hash == token.hash();
        if keys.iter().any(of_file) {
            return Ok(());
        }
        let record = ApiKeyRecord {
            id: ADMINISTRATOR_KEY,
            user: ADMINISTRATOR,
            name: ADMINISTRATOR_FILE.to_owned(),
            hash: token.hash(),
            access: Access::everything(),
            created: now,
            expires: None,
            used: None,
        };
        let audit = entry_of("platform", now, "api_key.create", &record)
            .detail("from", "the file in the data directory");
        self.store.put_api_key(record, audit.into()).await
    }
}

impl Known {
    fn api_keys(&self) -> impl Iterator<Item = ApiKey> {
        self.keys().map(|(record, access)| ApiKey {
            access: access.clone(),
            ..ApiKey::of(record.clone())
        })
    }
}

impl ApiKey {
    fn of(record: ApiKeyRecord) -> Self {
        Self {
            id: record.id,
            user: record.user,
            name: record.name,
            access: record.access,
            created: record.created,
            expires: record.expires,
            used: record.used,
        }
    }
}

fn entry_of(actor: &str, now: UnixMillis, action: &str, record: &ApiKeyRecord) -> Entry {
    let expires = record
        .expires
        .map_or_else(|| "never".to_owned(), |at| at.to_string());
    Entry::new(now, actor, action, format!("api_key:{}", record.id))
        .detail("name", record.name.as_str())
        .detail("owner", record.user.to_string())
        .detail("role", record.access.role.code())
        .detail("hosts", record.access.grants.words())
        .detail("expires", expires)
}

fn check_name(name: &str) -> Result<(), ServiceError> {
    if !name.trim().is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control) {
        return Ok(());
    }
    let detail = "a key's name is 1 to 128 bytes of text in one line";
    Err(ServiceError::new(
        ErrorKind::Invalid,
        "name_invalid",
        detail,
    ))
}

/// The administrator's key, which stands in its file: to change it, remove the file and start again.
pub(super) fn administrator_token(dir: &Path) -> Result<Secret, FileError> {
    let path = dir.join(ADMINISTRATOR_FILE);
    match files::read_text(&path, FILE_BYTES_MAX) {
        Ok(text) if text.trim().starts_with(API_KEY_PREFIX) => {
            return Ok(Secret::new(text.trim().to_owned()));
        }
        Err(error) if !error.is_missing() => return Err(error),
        _ => {}
    }
    let token = Secret::generate(API_KEY_PREFIX);
    let line = Secret::new(format!("{}\n", token.expose()));
    files::write_atomic(&path, line.expose().as_bytes(), MODE_SECRET)?;
    info!(path = %path.display(), user = %UserName::administrator(), "made the administrator's token");
    Ok(token)
}
