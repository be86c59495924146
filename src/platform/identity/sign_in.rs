//! Signing in with a password, and what comes of it: an access token, and a refresh token that is traded
//! for the next pair. All that comes of one sign-in is a family and ends together: by signing out, by
//! its time, by a change of the password, and when a refresh token comes twice, as then one of
//! the two who had it is a thief.
//!
//! A refresh token whose answer was lost is not taken again. A grace for that would be the thief's as
//! well, who would use it in the same moment unseen; a client that lost an answer signs in again.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::access::{Caller, Via};
use super::directory::Known;
use super::limits::Try;
use super::token::AccessToken;
use super::users::target;
use super::{Identity, Shared, User, UserName, password, totp};
use crate::audit::{Entry, Outcome};
use crate::clock::UnixMillis;
use crate::ids::{FamilyId, UserId};
use crate::platform::service::{ErrorKind, ServiceError};
use crate::platform::store::StoreError;
use crate::platform::store::users::{
    FamilyRecord, NewFamily, Refresh, Refreshed, SecondFactor, UserChange,
};
use crate::secret::{Secret, random};

/// How a refresh token begins.
pub const REFRESH_TOKEN_PREFIX: &str = "fwr_";
/// How long an access token is good: what is taken from a user is taken at once all the same, so that
/// this bounds what a stolen one is worth.
pub const ACCESS_TOKEN_TTL: Duration = Duration::from_secs(15 * 60);
/// How long a sign-in goes on at most.
const FAMILY_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a sign-in goes on that nobody uses.
const FAMILY_IDLE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// From where somebody signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// The client's address, as the platform or its proxy sees it.
    pub address: IpAddr,
}

/// What a client gets for signing in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// Who signed in.
    pub user: User,
    /// For each request.
    pub access_token: Secret,
    /// Until when it is good.
    pub access_expires: UnixMillis,
    /// For the next pair, once.
    pub refresh_token: Secret,
    /// When the sign-in ends at the latest. It ends before where it is not used for seven days.
    pub refresh_expires: UnixMillis,
}

impl Identity {
    /// Signs a user in. `code` is one of its second factor, or a recovery code, where it has one.
    ///
    /// # Errors
    /// `credentials_invalid`, the same for whatever is wrong of name and password; `totp_required` and
    /// `totp_invalid` once the password was right; `user_disabled`, then too; `rate_limited` and
    /// `sign_in_busy` with a time to wait.
    pub async fn sign_in(
        &self,
        now: UnixMillis,
        name: &str,
        password: Secret,
        code: Option<&Secret>,
        client: ClientInfo,
    ) -> Result<SignedIn, ServiceError> {
        let shared = &self.shared;
        let parsed = name.parse::<UserName>().ok();
        let known = parsed
            .as_ref()
            .and_then(|name| shared.directory().user_named(name));
        let tried = self.admit(now, parsed.as_ref(), known.as_deref(), client)?;
        let stored = known
            .as_ref()
            .and_then(|known| known.record.password.clone());
        let matches =
            password::is_bounded(&password) && shared.passwords.verify(stored, password).await?;
        let Some(known) = known.filter(|_| matches) else {
            let user = parsed.and_then(|name| shared.directory().user_named(&name));
            self.failed(
                now,
                user.as_deref(),
                client,
                "password",
                "credentials_invalid",
            )
            .await;
            return Err(credentials_invalid());
        };
        if known.record.disabled {
            self.failed(now, Some(&known), client, "password", "user_disabled")
                .await;
            return Err(user_disabled());
        }
        let second = match (&known.record.totp, code) {
            (Some(totp), None) if totp.on => {
                shared.limits.give_back(tried);
                return Err(ServiceError::new(
                    ErrorKind::Unauthenticated,
                    "totp_required",
                    "this user has a second factor: send a code of it too",
                ));
            }
            (Some(totp), Some(code)) if totp.on => {
                let second = self.second_factor(now, &known, code.expose()).await?;
                if second.is_none() {
                    self.failed(now, Some(&known), client, "password", "totp_invalid")
                        .await;
                    return Err(totp_invalid());
                }
                second
            }
            _ => None,
        };
        let begun = self
            .begin_family(now, &known, second, client, "password")
            .await;
        match begun {
            Ok(signed_in) => {
                shared.limits.give_back(tried);
                Ok(signed_in)
            }
            Err(error) => {
                if error.kind == ErrorKind::Unauthenticated {
                    self.failed(now, Some(&known), client, "password", error.code)
                        .await;
                }
                Err(error)
            }
        }
    }

    /// Trades a refresh token for the next pair.
    ///
    /// # Errors
    /// `refresh_token_invalid`; `refresh_token_reused`, and then the whole sign-in has ended;
    /// `rate_limited`.
    pub async fn refresh(
        &self,
        now: UnixMillis,
        token: &Secret,
        client: ClientInfo,
    ) -> Result<SignedIn, ServiceError> {
        // There is nothing to guess at, but each look costs the store's writer.
        self.admit_address(now, client.address)?;
        if !token.expose().starts_with(REFRESH_TOKEN_PREFIX) {
            return Err(refresh_token_invalid());
        }
        let next = Secret::generate(REFRESH_TOKEN_PREFIX);
        let refresh = Refresh {
            presented: token.hash(),
            next: next.hash(),
            at: now,
            idle_before: idle_before(now),
        };
        self.change(move |shared| async move {
            match shared.store.refresh(refresh).await? {
                Refreshed::Rotated(family) => {
                    shared.limits.give_back_address(client.address);
                    shared.signed_in(now, &family, next)
                }
                Refreshed::Unknown => Err(refresh_token_invalid()),
                Refreshed::Reused(family) => {
                    warn!(
                        user = %family.user, sign_in = %family.id, signed_in_from = %family.address,
                        "a refresh token came twice: whoever stole it or was stolen from, the sign-in has ended"
                    );
                    shared.reload(family.user).await;
                    Err(ServiceError::new(
                        ErrorKind::Unauthenticated,
                        "refresh_token_reused",
                        "this refresh token was used before: its sign-in has ended, sign in again",
                    ))
                }
            }
        })
        .await
    }

    /// Ends the sign-in that a caller came in with.
    ///
    /// # Errors
    /// `not_signed_in` for an API key.
    pub async fn sign_out(&self, caller: &Caller, now: UnixMillis) -> Result<(), ServiceError> {
        let family = signed_in_at(caller)?;
        let user = caller.user;
        let audit = Entry::new(now, caller.name.as_str(), "user.sign_out", target(user))
            .detail("sign_in", family.to_string());
        self.change(move |shared| async move {
            let ended = shared.store.end_family(family, audit).await;
            shared.reload(user).await;
            match ended {
                // It had ended on its own: nothing is left to do.
                Ok(()) | Err(StoreError::NotFound) => Ok(()),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Gives the caller another password, for saying the present one. All its sign-ins end, this one too.
    ///
    /// # Errors
    /// `not_signed_in` for an API key, `credentials_invalid`, `password_weak`, `rate_limited`.
    pub async fn change_password(
        &self,
        caller: &Caller,
        now: UnixMillis,
        present: Secret,
        new: Secret,
        client: ClientInfo,
    ) -> Result<(), ServiceError> {
        signed_in_at(caller)?;
        let (known, _) = self.proves(caller, now, present, None, client).await?;
        let record = &known.record;
        let change = UserChange {
            password: self.new_password(&record.name, Some(new)).await?.map(Some),
            end_sign_ins: true,
            ..UserChange::default()
        };
        let audit = Entry::new(
            now,
            caller.name.as_str(),
            "user.update",
            target(caller.user),
        )
        .detail("user", record.name.as_str())
        .detail("password", "changed");
        // Only what was checked is changed: an administrator may have set another meanwhile.
        let changed = self.change_user(caller.user, Some(record.version), change, audit);
        changed.await.map(|_| ())
    }

    /// Refuses a caller that does not say its password, and where that is asked for a code of its second
    /// factor; the proof that this is comes with who it is.
    pub(super) async fn proves(
        &self,
        caller: &Caller,
        now: UnixMillis,
        password: Secret,
        code: Option<&Secret>,
        client: ClientInfo,
    ) -> Result<(Arc<Known>, Option<SecondFactor>), ServiceError> {
        let known = self.user_known(caller.user)?;
        let tried = self.admit(now, Some(&caller.name), Some(&known), client)?;
        let stored = known.record.password.clone();
        let (mut fault, mut second) = (None, None);
        if !password::is_bounded(&password)
            || !self.shared.passwords.verify(stored, password).await?
        {
            fault = Some(credentials_invalid());
        } else if let Some(code) = code {
            second = self.second_factor(now, &known, code.expose()).await?;
            fault = second.is_none().then(totp_invalid);
        }
        if let Some(fault) = fault {
            self.failed(now, Some(&known), client, "password", fault.code)
                .await;
            return Err(fault);
        }
        self.shared.limits.give_back(tried);
        Ok((known, second))
    }

    /// Lets somebody from an address try something beside signing in with a password, such as to
    /// complete a sign-in with a provider.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn admit_address(&self, now: UnixMillis, address: IpAddr) -> Result<(), ServiceError> {
        let admitted = self.shared.limits.admit_address(now, address);
        admitted.map_err(rate_limited)
    }

    /// Notes that somebody did not get in: by which way, from where, and why as a stable word. A flood
    /// of them is counted into one entry of the audit log.
    pub async fn note_failed_sign_in(
        &self,
        now: UnixMillis,
        by: &'static str,
        address: IpAddr,
        reason: &str,
    ) {
        self.failed(now, None, ClientInfo { address }, by, reason)
            .await;
    }

    /// How many sign-ins have failed since this process began.
    pub fn failed_sign_ins(&self) -> u64 {
        self.shared.limits.all_failed()
    }

    /// The proof that a code is, if it is one; a recovery code is proven once it is used up.
    pub(super) async fn second_factor(
        &self,
        now: UnixMillis,
        known: &Known,
        code: &str,
    ) -> Result<Option<SecondFactor>, ServiceError> {
        let Some(totp) = known.record.totp.as_ref().filter(|totp| totp.on) else {
            return Ok(None);
        };
        let user = known.record.id;
        if totp::is_code(code) {
            let secret = self.shared.vault.open(user, &totp.sealed);
            let secret = secret.ok_or_else(vault_closed)?;
            let step = secret.step_of(now, totp.last_step, code);
            return Ok(step.map(SecondFactor::Totp));
        }
        for hash in self.shared.vault.hashes(user, code) {
            if self.shared.store.has_recovery_code(user, hash).await? {
                return Ok(Some(SecondFactor::Recovery(hash)));
            }
        }
        Ok(None)
    }

    /// Begins a family for who has proven to be this user.
    pub(super) async fn begin_family(
        &self,
        now: UnixMillis,
        known: &Known,
        second: Option<SecondFactor>,
        client: ClientInfo,
        by: &'static str,
    ) -> Result<SignedIn, ServiceError> {
        let new = new_family(now, known.record.id, known.record.version, second, client);
        let name = known.record.name.clone();
        self.change(move |shared| async move { shared.begin_family(now, &name, new, by).await })
            .await
    }

    fn admit(
        &self,
        now: UnixMillis,
        name: Option<&UserName>,
        known: Option<&Known>,
        client: ClientInfo,
    ) -> Result<Try, ServiceError> {
        // What is no name is one account all together: there is nothing to guess at.
        let name = name.map_or("", UserName::as_str);
        let there = known.is_some_and(|known| {
            known.is_signed_in_from(&client.address.to_canonical().to_string())
        });
        let admitted = self.shared.limits.admit(now, name, client.address, there);
        admitted.map_err(rate_limited)
    }

    async fn failed(
        &self,
        now: UnixMillis,
        user: Option<&Known>,
        client: ClientInfo,
        by: &str,
        reason: &str,
    ) {
        let (by_itself, uncounted) = self.shared.limits.failed(now);
        self.shared.write_failures(now, uncounted).await;
        if !by_itself {
            return;
        }
        // A name that nobody has is not written down: people type passwords into that field.
        let name = user.map_or("unknown", |known| known.record.name.as_str());
        let address = client.address.to_canonical();
        info!(user = name, %address, by, reason, "a sign-in failed");
        let target = user.map_or_else(|| "user".to_owned(), |known| target(known.record.id));
        let audit = Entry::new(now, name, "user.sign_in", target)
            .outcome(Outcome::Failed)
            .detail("by", by)
            .detail("address", address.to_string())
            .detail("reason", reason);
        if let Err(error) = self.shared.store.audit(audit).await {
            warn!(%error, "a failed sign-in could not be audited");
        }
    }
}

/// A sign-in to be kept, with its first refresh token.
pub(super) struct Begun {
    family: NewFamily,
    token: Secret,
}

pub(super) fn new_family(
    now: UnixMillis,
    user: UserId,
    user_version: u64,
    second: Option<SecondFactor>,
    client: ClientInfo,
) -> Begun {
    let token = Secret::generate(REFRESH_TOKEN_PREFIX);
    let family = NewFamily {
        family: FamilyRecord {
            id: FamilyId::random(random()),
            user,
            created: now,
            used: now,
            expires: now.plus(FAMILY_MAX),
            address: client.address.to_canonical().to_string(),
        },
        refresh: token.hash(),
        second,
        user_version,
        idle_before: idle_before(now),
    };
    Begun { family, token }
}

impl Shared {
    /// Keeps a sign-in, in its turn.
    pub(super) async fn begin_family(
        &self,
        now: UnixMillis,
        name: &UserName,
        begun: Begun,
        by: &'static str,
    ) -> Result<SignedIn, ServiceError> {
        let Begun { family: new, token } = begun;
        let family = new.family.clone();
        let mut audit = Entry::new(now, name.as_str(), "user.sign_in", target(family.user))
            .detail("by", by)
            .detail("address", family.address.as_str())
            .detail("sign_in", family.id.to_string());
        audit = match new.second {
            None => audit,
            Some(SecondFactor::Totp(_)) => audit.detail("second", "totp"),
            Some(SecondFactor::Recovery(_)) => audit.detail("second", "recovery_code"),
        };
        match self.store.create_family(new, audit).await {
            Ok(()) => {}
            // Another was quicker with the same code.
            Err(StoreError::Taken) => return Err(totp_invalid()),
            // The user was changed, or is gone, since its password was looked at.
            Err(StoreError::VersionChanged | StoreError::NotFound) => {
                return Err(credentials_invalid());
            }
            Err(error) => return Err(error.into()),
        }
        self.reload(family.user).await;
        self.signed_in(now, &family, token)
    }

    fn signed_in(
        &self,
        now: UnixMillis,
        family: &FamilyRecord,
        refresh_token: Secret,
    ) -> Result<SignedIn, ServiceError> {
        let known = self.directory().user(family.user);
        let known = known.ok_or_else(refresh_token_invalid)?;
        let access_expires = now.plus(ACCESS_TOKEN_TTL).min(family.expires);
        let token = AccessToken {
            user: family.user,
            family: family.id,
        };
        let access_token = self.tokens.make(token, now, access_expires);
        let no_key = || ServiceError::new(ErrorKind::Internal, "internal", "there is no key");
        Ok(SignedIn {
            user: User::of(&known.record),
            access_token: access_token.ok_or_else(no_key)?,
            access_expires,
            refresh_token,
            refresh_expires: family.expires,
        })
    }

    /// Writes down how many failures were not audited one by one.
    pub(super) async fn write_failures(&self, now: UnixMillis, count: u64) {
        if count == 0 {
            return;
        }
        warn!(count, "more sign-ins failed than were audited one by one");
        let audit = Entry::new(now, "platform", "user.sign_in", "user")
            .outcome(Outcome::Failed)
            .detail("reason", "flood")
            .detail("count", count.to_string());
        if let Err(error) = self.store.audit(audit).await {
            warn!(%error, "failed sign-ins could not be audited");
        }
    }
}

/// The sign-in that a caller came in with.
pub(super) fn signed_in_at(caller: &Caller) -> Result<FamilyId, ServiceError> {
    match caller.via {
        Via::SignIn(family) => Ok(family),
        Via::ApiKey(_) => Err(ServiceError::new(
            ErrorKind::Forbidden,
            "not_signed_in",
            "this is for who has signed in, and not for an API key",
        )),
    }
}

fn idle_before(now: UnixMillis) -> UnixMillis {
    UnixMillis(now.0.saturating_sub(FAMILY_IDLE.as_millis() as u64))
}

/// The same whether the name or the password was wrong.
pub(super) fn credentials_invalid() -> ServiceError {
    ServiceError::unauthenticated(
        "credentials_invalid",
        "there is no user of this name with this password",
    )
}

pub(super) fn totp_invalid() -> ServiceError {
    ServiceError::unauthenticated(
        "totp_invalid",
        "this is no code of now, or it was used: wait for the next one",
    )
}

pub(super) fn user_disabled() -> ServiceError {
    ServiceError::unauthenticated(
        "user_disabled",
        "this user is kept out: ask an administrator",
    )
}

fn refresh_token_invalid() -> ServiceError {
    ServiceError::unauthenticated(
        "refresh_token_invalid",
        "this refresh token is not known or its sign-in has ended: sign in again",
    )
}

fn rate_limited(wait: Duration) -> ServiceError {
    let detail = "too many tries to sign in: wait before the next one";
    ServiceError::new(ErrorKind::TooMany, "rate_limited", detail).retry_after(wait)
}

pub(super) fn vault_closed() -> ServiceError {
    warn!(
        "a second factor cannot be opened with the key in secrets.key: it was made with another; an administrator can reset it"
    );
    let detail = "the second factor cannot be checked: an administrator has to reset it";
    ServiceError::new(ErrorKind::Internal, "totp_unreadable", detail)
}
