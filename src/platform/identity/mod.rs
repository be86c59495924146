//! Who calls, and what they may do: users, their passwords, sign-ins, tokens and API keys, the groups that
//! they are granted, and the limits that keep guessing slow. [`Identity`] has the operations, in files by
//! what they are about; each refuses what its caller may not do beyond the role that the schema asks for,
//! and takes the time as an argument. HTTP and gRPC are not here.
//!
//! Changes are made one at a time, in the store first and then in what is held in memory
//! (`directory`), which every request is checked against: so what was changed holds at once.

mod access;
mod directory;
mod external;
mod fleet;
mod key_file;
mod keys;
mod limits;
mod names;
pub mod oidc;
mod password;
mod second_factor;
mod sign_in;
mod token;
mod totp;
mod users;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{error, warn};

pub use access::{Access, Caller, Grants, Role, RoleError, Via};
pub use external::ExternalUser;
pub use key_file::KeyFileError;
use keys::KeyUse;
pub use keys::{API_KEY_PREFIX, ApiKey, NewApiKey};
pub use names::{GroupName, LabelKey, LabelValue, NameError, UserName};
pub use second_factor::TotpBegun;
pub use sign_in::{ACCESS_TOKEN_TTL, ClientInfo, REFRESH_TOKEN_PREFIX, SignedIn};
pub use users::{ADMINISTRATOR, NewUser, User, UserUpdate};

use super::StartError;
use super::service::{ErrorKind, ServiceError};
use super::store::{Store, StoreError};
use crate::clock::UnixMillis;
use crate::ids::{AlertChannelId, ApiKeyId, GroupId, HostId, UserId};
use crate::secret::Secret;
use directory::{Directory, Known};
use limits::Limits;
use password::Passwords;
use token::TokenKeys;
use totp::Vault;

/// Users and all that lets them in.
pub struct Identity {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    directory: Mutex<Directory>,
    /// Held over a change in the store and in memory, so that what is in memory is what was committed
    /// last.
    changes: tokio::sync::Mutex<()>,
    passwords: Passwords,
    limits: Limits,
    tokens: TokenKeys,
    vault: Vault,
    /// When keys were used, as far as the store has not been told.
    keys_used: Mutex<HashMap<ApiKeyId, KeyUse>>,
}

impl Identity {
    /// Reads all users, and makes what is missing in the data directory and the store: the built-in
    /// administrator with the API key that stands in `admin-token`.
    ///
    /// # Errors
    /// When a file or the store cannot be used.
    pub async fn open(
        now: UnixMillis,
        dir: &Path,
        store: Arc<dyn Store>,
    ) -> Result<Self, StartError> {
        let shared = Arc::new(Shared {
            store,
            directory: Mutex::default(),
            changes: tokio::sync::Mutex::default(),
            passwords: Passwords::new(),
            limits: Limits::new(),
            tokens: TokenKeys::new(&key_file::open(
                &dir.join("access-token.key"),
                "who is signed in has to refresh",
            )?),
            vault: Vault::new(&key_file::open(
                &dir.join("secrets.key"),
                "second factors have to be reset, and webhooks need other secrets",
            )?),
            keys_used: Mutex::default(),
        });
        let token = keys::administrator_token(dir)?;
        shared
            .begin(now, token)
            .await
            .map_err(|source| StartError::Store {
                path: dir.join("platform.db"),
                source,
            })?;
        Ok(Self { shared })
    }

    /// Seals what a channel's requests are signed with; none where no key can.
    pub fn seal_webhook_secret(&self, channel: AlertChannelId, secret: &Secret) -> Option<Vec<u8>> {
        self.shared.vault.seal_webhook(channel, secret)
    }

    /// Opens that; none where no key does.
    pub fn open_webhook_secret(&self, channel: AlertChannelId, sealed: &[u8]) -> Option<Secret> {
        self.shared.vault.open_webhook(channel, sealed)
    }

    /// Who calls with this bearer token: an access token or an API key. What it may do is what its user
    /// may do now, not when the token was given out.
    ///
    /// # Errors
    /// `token_invalid`.
    pub fn authenticate(&self, now: UnixMillis, bearer: &Secret) -> Result<Caller, ServiceError> {
        let caller = match self.shared.tokens.check(now, bearer) {
            Some(token) => {
                let directory = self.shared.directory();
                directory.signed_in(now, token.user, token.family)
            }
            None => self.with_api_key(now, bearer),
        };
        caller.ok_or_else(token_invalid)
    }

    /// The same caller with what it may do now, for what lasts longer than a request; `None` once its
    /// sign-in, its key or its user has ended. Cheap enough to be asked again and again.
    pub fn still(&self, now: UnixMillis, caller: &Caller) -> Option<Caller> {
        let directory = self.shared.directory();
        match caller.via {
            Via::SignIn(family) => directory.signed_in(now, caller.user, family),
            Via::ApiKey(key) => directory.has_key(now, caller.user, key),
        }
    }

    /// Whether a host is in one of these groups.
    pub fn is_in(&self, host: HostId, groups: &HashSet<GroupId>) -> bool {
        let directory = self.shared.directory();
        directory
            .groups_of(host)
            .any(|group| groups.contains(group))
    }

    /// Whether a caller sees a host. What it does not see is to be answered as what is not there.
    pub fn may(&self, caller: &Caller, host: HostId) -> bool {
        match caller.grants() {
            Grants::All => true,
            Grants::Groups(_) => caller.may(self.shared.directory().groups_of(host)),
        }
    }

    /// The hosts that a caller sees; none where that is all of them.
    pub fn granted_hosts(&self, caller: &Caller) -> Option<Vec<HostId>> {
        match caller.grants() {
            Grants::All => None,
            Grants::Groups(granted) => Some(self.shared.directory().members_of(granted)),
        }
    }

    /// Writes down what is not urgent, and reads again what could not be read. Called about once a
    /// minute. Whether API keys were used since.
    pub async fn keep(&self, now: UnixMillis) -> bool {
        let failures = self.shared.limits.unaudited(now);
        self.shared.write_failures(now, failures).await;
        let used = self.shared.write_keys_used().await;
        let unread = self.shared.directory().unread();
        for user in unread {
            let _turn = self.shared.changes.lock().await;
            self.shared.reload(user).await;
        }
        used
    }

    /// Runs a change to its end, in its turn and in a task of its own: whoever asked may leave, and what
    /// was committed must not lack what follows from it in memory.
    async fn change<T, F>(&self, change: impl FnOnce(Arc<Shared>) -> F) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ServiceError>> + Send + 'static,
    {
        let shared = self.shared.clone();
        let change = change(shared.clone());
        let changed = tokio::spawn(async move {
            let _turn = shared.changes.lock().await;
            change.await
        });
        changed.await.unwrap_or_else(|error| {
            error!(%error, "a change of users broke off");
            let detail = "the operation failed; the platform's log says why";
            Err(ServiceError::new(ErrorKind::Internal, "internal", detail))
        })
    }
}

impl Shared {
    fn directory(&self) -> MutexGuard<'_, Directory> {
        // It is whole at every step that could panic.
        self.directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn begin(&self, now: UnixMillis, token: Secret) -> Result<(), StoreError> {
        self.make_administrator(now, token).await?;
        let (mut families, mut keys) = (HashMap::new(), HashMap::new());
        for family in self.store.families(None).await? {
            let of: &mut Vec<_> = families.entry(family.user).or_default();
            of.push(family);
        }
        for key in self.store.api_keys(None).await? {
            let of: &mut Vec<_> = keys.entry(key.user).or_default();
            of.push(key);
        }
        let users = self.store.users().await?;
        let members = self.store.memberships(None).await?;
        let mut directory = self.directory();
        for user in users {
            let id = user.id;
            let families = families.remove(&id).unwrap_or_default();
            let keys = keys.remove(&id).unwrap_or_default();
            directory.put(id, Some(Known::new(user, families, keys)));
        }
        directory.put_members(None, members);
        Ok(())
    }

    /// Takes a user up again as it was committed. Where the store fails nobody is let in as this user
    /// until it answers: it may just have been disabled.
    async fn reload(&self, id: UserId) {
        let read = async {
            let Some(record) = self.store.user(id).await? else {
                return Ok(None);
            };
            let families = self.store.families(Some(id)).await?;
            let keys = self.store.api_keys(Some(id)).await?;
            Ok::<_, StoreError>(Some(Known::new(record, families, keys)))
        };
        match read.await {
            Ok(known) => self.directory().put(id, known),
            Err(error) => {
                warn!(user = %id, %error, "a user could not be read and is kept out until it can");
                self.directory().forget(id);
            }
        }
    }

    /// Takes the memberships up again as they were committed: of one host, or of all.
    async fn reload_members(&self, of: Option<HostId>) {
        match self.store.memberships(of).await {
            Ok(members) => self.directory().put_members(of, members),
            Err(error) => {
                warn!(%error, "the groups of hosts could not be read: only those who see all hosts see them");
                self.directory().put_members(of, Vec::new());
            }
        }
    }
}

/// There is no credential, or none that is good.
pub fn token_invalid() -> ServiceError {
    let detail = "this needs an access token of a sign-in, or an API key: the administrator's is in admin-token in the data directory";
    ServiceError::new(ErrorKind::Unauthenticated, "token_invalid", detail)
}
