//! A user's own second factor: begun with a secret for its app, on once a code of that came back, and off
//! with the password and a code, which get new recovery codes as well. Who has lost both app and recovery codes asks an administrator.

use super::access::Caller;
use super::sign_in::{signed_in_at, totp_invalid, vault_closed};
use super::totp::TotpSecret;
use super::users::target;
use super::{ClientInfo, Identity, User};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::platform::service::{ErrorKind, ServiceError};
use crate::platform::store::users::{SecondFactor, TotpRecord, UserChange};
use crate::secret::Secret;

/// A second factor that is not on yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotpBegun {
    /// The secret as people type it into an app.
    pub secret: Secret,
    /// The same as an `otpauth://` address, to be shown as a picture.
    pub url: Secret,
}

impl Identity {
    /// Gives the caller a secret for its app, in place of one that was not confirmed. It has to say its
    /// password: a session that was left open is not to lock its user out.
    ///
    /// # Errors
    /// `not_signed_in` for an API key, `credentials_invalid`, `totp_on`, `rate_limited`.
    pub async fn begin_totp(
        &self,
        caller: &Caller,
        now: UnixMillis,
        password: Secret,
        client: ClientInfo,
    ) -> Result<TotpBegun, ServiceError> {
        signed_in_at(caller)?;
        let (known, _) = self.proves(caller, now, password, None, client).await?;
        let record = &known.record;
        if record.totp.as_ref().is_some_and(|totp| totp.on) {
            let detail = "the second factor is on: turn it off first";
            return Err(ServiceError::new(ErrorKind::Conflict, "totp_on", detail));
        }
        let secret = TotpSecret::generate();
        let sealed = self.shared.vault.seal(record.id, &secret);
        let begun = TotpBegun {
            secret: secret.to_text(),
            url: secret.to_url(&record.name),
        };
        let totp = TotpRecord {
            sealed: sealed.ok_or_else(vault_closed)?,
            on: false,
            last_step: 0,
        };
        let change = UserChange {
            totp: Some(Some(totp)),
            ..UserChange::default()
        };
        self.change_totp(caller, now, record.version, change, "begun")
            .await?;
        Ok(begun)
    }

    /// Turns the second factor on that was begun, for a code of it. Answers the recovery codes, which
    /// are shown this once.
    ///
    /// # Errors
    /// `not_signed_in` for an API key, `totp_not_begun`, `totp_invalid`, `changed_meanwhile`.
    pub async fn confirm_totp(
        &self,
        caller: &Caller,
        now: UnixMillis,
        code: &Secret,
    ) -> Result<Vec<Secret>, ServiceError> {
        signed_in_at(caller)?;
        let known = self.user_known(caller.user)?;
        let record = &known.record;
        let Some(totp) = record.totp.as_ref().filter(|totp| !totp.on) else {
            let detail = "there is no second factor to confirm: begin one";
            return Err(ServiceError::new(
                ErrorKind::Conflict,
                "totp_not_begun",
                detail,
            ));
        };
        let secret = self.shared.vault.open(record.id, &totp.sealed);
        let secret = secret.ok_or_else(vault_closed)?;
        // The code that confirms signs nobody in a moment later.
        let last_step = secret
            .step_of(now, 0, code.expose())
            .ok_or_else(totp_invalid)?;
        let (codes, hashes) = self.shared.vault.recovery_codes(record.id);
        let totp = TotpRecord {
            sealed: totp.sealed.clone(),
            on: true,
            last_step,
        };
        let change = UserChange {
            totp: Some(Some(totp)),
            recovery_codes: Some(hashes),
            ..UserChange::default()
        };
        self.change_totp(caller, now, record.version, change, "on")
            .await?;
        Ok(codes)
    }

    /// Turns the second factor off, for the password and a code of it or a recovery code. All sign-ins of
    /// the user end.
    ///
    /// # Errors
    /// `not_signed_in` for an API key, `credentials_invalid`, `totp_off`, `totp_invalid`,
    /// `rate_limited`.
    pub async fn disable_totp(
        &self,
        caller: &Caller,
        now: UnixMillis,
        password: Secret,
        code: &Secret,
        client: ClientInfo,
    ) -> Result<(), ServiceError> {
        self.has_totp(caller, "there is no second factor to turn off")?;
        let (known, _) = self
            .proves(caller, now, password, Some(code), client)
            .await?;
        let change = UserChange {
            totp: Some(None),
            end_sign_ins: true,
            ..UserChange::default()
        };
        self.change_totp(caller, now, known.record.version, change, "off")
            .await
            .map(|_| ())
    }

    /// Gives the caller other recovery codes in place of those that it has, for the password and a code of
    /// the second factor or one of those. Its sign-ins go on: nothing that lets in was taken from it.
    ///
    /// # Errors
    /// `not_signed_in` for an API key, `credentials_invalid`, `totp_off`, `totp_invalid`,
    /// `rate_limited`.
    pub async fn renew_recovery_codes(
        &self,
        caller: &Caller,
        now: UnixMillis,
        password: Secret,
        code: &Secret,
        client: ClientInfo,
    ) -> Result<Vec<Secret>, ServiceError> {
        self.has_totp(
            caller,
            "there is no second factor to have recovery codes for",
        )?;
        let (known, second) = self
            .proves(caller, now, password, Some(code), client)
            .await?;
        let record = &known.record;
        // The code that was shown here signs nobody in a moment later.
        let totp = match (&record.totp, second) {
            (Some(totp), Some(SecondFactor::Totp(last_step))) => Some(Some(TotpRecord {
                last_step,
                ..totp.clone()
            })),
            _ => None,
        };
        let (codes, hashes) = self.shared.vault.recovery_codes(record.id);
        let change = UserChange {
            totp,
            recovery_codes: Some(hashes),
            ..UserChange::default()
        };
        self.change_totp(caller, now, record.version, change, "recovery_codes")
            .await?;
        Ok(codes)
    }

    /// Refuses a caller that has not signed in, or has no second factor that is on.
    fn has_totp(&self, caller: &Caller, detail: &str) -> Result<(), ServiceError> {
        signed_in_at(caller)?;
        let known = self.user_known(caller.user)?;
        if known.record.totp.as_ref().is_some_and(|totp| totp.on) {
            return Ok(());
        }
        Err(ServiceError::new(ErrorKind::Conflict, "totp_off", detail))
    }

    /// How many recovery codes the caller has left.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn recovery_codes_left(&self, caller: &Caller) -> Result<usize, ServiceError> {
        Ok(self.shared.store.recovery_codes_left(caller.user).await?)
    }

    async fn change_totp(
        &self,
        caller: &Caller,
        now: UnixMillis,
        version: u64,
        change: UserChange,
        what: &str,
    ) -> Result<User, ServiceError> {
        let audit = Entry::new(
            now,
            caller.name.as_str(),
            "user.update",
            target(caller.user),
        )
        .detail("user", caller.name.as_str())
        .detail("totp", what);
        self.change_user(caller.user, Some(version), change, audit)
            .await
    }
}
