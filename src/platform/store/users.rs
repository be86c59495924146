//! Users, their sign-ins and their API keys, as they are kept. Who may change whom is for the caller to
//! say; nothing here is a secret in the clear: passwords and tokens are hashes, TOTP secrets are sealed.

use super::{Change, StoreFuture};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{ApiKeyId, FamilyId, UserId};
use crate::platform::identity::{Access, UserName};
use crate::secret::{Secret, SecretHash};

/// The most users that there are: all of them are held in memory.
pub const USERS_MAX: usize = 10_000;
/// The most sign-ins of one user at once; one more ends the one that was used least lately.
pub const FAMILIES_MAX: usize = 64;
/// The most API keys of one user.
pub const API_KEYS_MAX: usize = 100;
/// The most used refresh tokens of a sign-in that are known again. One that is refreshed each quarter
/// of an hour for 30 days has 2,880. An older one is refused as any other that is unknown.
pub const USED_TOKENS_MAX: usize = 4096;

/// A user, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// Its id.
    pub id: UserId,
    /// Its name, unique.
    pub name: UserName,
    /// What it may do, and where.
    pub access: Access,
    /// Whether it is kept out.
    pub disabled: bool,
    /// When it was made.
    pub created: UnixMillis,
    /// The hash of its password, in the form of PHC; none has no password.
    pub password: Option<Secret>,
    /// Its second factor.
    pub totp: Option<TotpRecord>,
    /// Who it is for an OpenID provider.
    pub external: Option<External>,
    /// Counts its changes. Neither signing in nor using a code is one.
    pub version: u64,
}

/// A user's second factor, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotpRecord {
    /// The secret, sealed.
    pub sealed: Vec<u8>,
    /// Whether it was confirmed with a code: until then it is not asked for.
    pub on: bool,
    /// The step of the last code that was taken: none up to it is taken again.
    pub last_step: u64,
}

/// A subject of an OpenID provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// The provider, as its `iss` says.
    pub issuer: String,
    /// Who, as its `sub` says.
    pub subject: String,
}

/// What is to become of a user; what is none stays as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// Its name, refused when taken.
    pub name: Option<UserName>,
    /// What it may do, and where.
    pub access: Option<Access>,
    /// Whether it is kept out.
    pub disabled: Option<bool>,
    /// Its password's hash, or that it has none.
    pub password: Option<Option<Secret>>,
    /// Its second factor, or that it has none; recovery codes of the one before go with it.
    pub totp: Option<Option<TotpRecord>>,
    /// The hashes of its recovery codes, in place of those before.
    pub recovery_codes: Option<Vec<SecretHash>>,
    /// Who it is for a provider, or that it is nobody. [`Taken`](super::StoreError::Taken) when
    /// another user is.
    pub external: Option<Option<External>>,
    /// Whether its sign-ins end with this.
    pub end_sign_ins: bool,
}

/// A sign-in and what came of it, as it is kept until it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyRecord {
    /// Its id.
    pub id: FamilyId,
    /// Who signed in.
    pub user: UserId,
    /// When.
    pub created: UnixMillis,
    /// When it was last refreshed.
    pub used: UnixMillis,
    /// When it ends at the latest.
    pub expires: UnixMillis,
    /// From where, as text.
    pub address: String,
}

/// A proof beside a password, which is used up with the sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    /// The code of this step.
    Totp(u64),
    /// The recovery code of this hash.
    Recovery(SecretHash),
}

/// A sign-in to be kept.
#[derive(Clone, Debug)]
pub struct NewFamily {
    /// It.
    pub family: FamilyRecord,
    /// The hash of its first refresh token.
    pub refresh: SecretHash,
    /// The second factor that is used up. [`Taken`](super::StoreError::Taken) when it was before.
    pub second: Option<SecondFactor>,
    /// The user's version as it was when its password was checked:
    /// [`VersionChanged`](super::StoreError::VersionChanged) when it is another by now.
    pub user_version: u64,
    /// Sign-ins that were last used before this are over and forgotten.
    pub idle_before: UnixMillis,
}

/// A refresh token that is presented, and what is to come of it.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// The hash of what is presented.
    pub presented: SecretHash,
    /// The hash of what comes in its place.
    pub next: SecretHash,
    /// When.
    pub at: UnixMillis,
    /// Sign-ins that were last used before this are over.
    pub idle_before: UnixMillis,
}

/// What became of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// It was good, and the next one is kept in its place.
    Rotated(FamilyRecord),
    /// It was used before: its family has ended, and the audit log says so.
    Reused(FamilyRecord),
    /// Nobody has it, or it is over.
    Unknown,
}

/// An API key, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRecord {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub user: UserId,
    /// What it is for, in its owner's words.
    pub name: String,
    /// Its hash.
    pub hash: SecretHash,
    /// What it may do; never more than its owner at that time.
    pub access: Access,
    /// When it was made.
    pub created: UnixMillis,
    /// Until when it is taken, if there is an end.
    pub expires: Option<UnixMillis>,
    /// When it was last used, to the minute.
    pub used: Option<UnixMillis>,
}

/// The part of the store for users. `expected` is the version that whoever changes something has seen:
/// [`VersionChanged`](super::StoreError::VersionChanged) when it is another by now.
pub trait UserStore: Send + Sync {
    /// Makes a user. [`Taken`](super::StoreError::Taken) when its name or its subject is not free,
    /// [`Full`](super::StoreError::Full) when there are too many,
    /// [`GroupUnknown`](super::StoreError::GroupUnknown) when a granted group is not there.
    fn create_user(&self, user: UserRecord, change: Change) -> StoreFuture<'_, UserRecord>;

    /// The user of this id.
    fn user(&self, id: UserId) -> StoreFuture<'_, Option<UserRecord>>;

    /// Every user, by name.
    fn users(&self) -> StoreFuture<'_, Vec<UserRecord>>;

    /// Changes a user, and answers what it is then. Refused as a new one would be.
    fn update_user(
        &self,
        id: UserId,
        expected: Option<u64>,
        change: UserChange,
        audit: Entry,
    ) -> StoreFuture<'_, UserRecord>;

    /// Removes a user with its sign-ins and its keys.
    fn delete_user(&self, id: UserId, expected: Option<u64>, audit: Entry) -> StoreFuture<'_, ()>;

    /// Whether a user has this recovery code left.
    fn has_recovery_code(&self, user: UserId, code: SecretHash) -> StoreFuture<'_, bool>;

    /// How many recovery codes a user has left.
    fn recovery_codes_left(&self, user: UserId) -> StoreFuture<'_, usize>;

    /// Keeps a new sign-in, and forgets those that are over.
    fn create_family(&self, family: NewFamily, audit: Entry) -> StoreFuture<'_, ()>;

    /// Trades a refresh token for the next one. The audit entry is written when the token was used
    /// before, and then the whole family ends with it.
    fn refresh(&self, refresh: Refresh) -> StoreFuture<'_, Refreshed>;

    /// Ends a sign-in. [`NotFound`](super::StoreError::NotFound) when it has ended.
    fn end_family(&self, id: FamilyId, audit: Entry) -> StoreFuture<'_, ()>;

    /// The sign-ins that have not ended: all of them, or of one user.
    fn families(&self, of: Option<UserId>) -> StoreFuture<'_, Vec<FamilyRecord>>;

    /// Keeps a new API key, in place of one that has its id. [`Full`](super::StoreError::Full) when
    /// its owner has too many.
    fn put_api_key(&self, key: ApiKeyRecord, change: Change) -> StoreFuture<'_, ()>;

    /// The API keys, oldest first: all of them, or of one user.
    fn api_keys(&self, of: Option<UserId>) -> StoreFuture<'_, Vec<ApiKeyRecord>>;

    /// Removes an API key.
    fn delete_api_key(&self, id: ApiKeyId, audit: Entry) -> StoreFuture<'_, ()>;

    /// Notes when API keys were last used; one that is gone is passed over.
    fn api_keys_used(&self, used: Vec<(ApiKeyId, UnixMillis)>) -> StoreFuture<'_, ()>;
}
