//! How an agent becomes a host and stays one: enrolment, the renewal of certificates and device tokens,
//! who a device token belongs to, and revocation. The tokens by which they join are `enrolment_tokens`'.

use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info, warn};

use super::hosts::name_invalid;
use super::{ErrorKind, ServiceError, name_taken};
use crate::audit::{Entry, Outcome};
use crate::clock::UnixMillis;
use crate::ids::HostId;
use crate::net::enrolment::EnrolmentToken;
use crate::platform::Platform;
use crate::platform::api::{Answer, EnrolmentService, Guest};
use crate::platform::ca::Serial;
use crate::platform::credential::ProvenKey;
use crate::platform::registry::LinkEnd;
use crate::platform::sessions::CloseReason;
use crate::platform::store::{
    Enrolment, EnrolmentOutcome, HostRecord, Issued, Renewal, RenewalOutcome, StoreError,
};
use crate::secret::{Secret, random};
use crate::wire::api::{
    EnrolHostRequest, EnrolHostResponse, RenewCertificateRequest, RenewCertificateResponse,
};

/// How an agent's device token begins.
pub(super) const AUTH_TOKEN_PREFIX: &str = "agt_";
/// Refusals of one host's keys that stand in the audit log: one in this time. Whoever has a device
/// token and not its key could otherwise fill the log.
const REFUSAL_AUDITED_EVERY: Duration = Duration::from_secs(60);

/// What came of a renewal.
pub struct Renewed {
    /// What the agent is told.
    pub answer: RenewCertificateResponse,
    /// The end of its certificate.
    pub until: UnixMillis,
}

impl EnrolmentService for Platform {
    async fn enrol_host(
        self: Arc<Self>,
        _: Guest,
        request: EnrolHostRequest,
    ) -> Answer<EnrolHostResponse> {
        self.enrol(request).await
    }

    async fn renew_certificate(
        self: Arc<Self>,
        _: Guest,
        request: RenewCertificateRequest,
    ) -> Answer<RenewCertificateResponse> {
        let renewed = self.renew(request, "by a request of its own").await?;
        Ok(renewed.answer)
    }
}

impl Platform {
    /// Trades an agent's enrolment token for a device token and a certificate.
    ///
    /// # Errors
    /// `csr_invalid`, `token_unknown`, `token_used`, `token_expired`, `name_taken`, `name_invalid`.
    async fn enrol(&self, request: EnrolHostRequest) -> Result<EnrolHostResponse, ServiceError> {
        // What cannot be read was never given out: it is as unknown as a wrong secret.
        let token = EnrolmentToken::parse(request.token.expose()).map_err(|_| {
            ServiceError::unauthenticated(
                "token_unknown",
                "the platform knows no such enrolment token: it was never given out, or was revoked",
            )
        })?;
        let (key, certificate, now) = self.prove(&request.csr)?;
        let auth_token = Secret::generate(AUTH_TOKEN_PREFIX);
        let enrolment = Enrolment {
            secret: token.secret_hash(),
            wished_name: request.name.parse(),
            new_host: HostId::random(random()),
            auth_token: auth_token.hash(),
            certificate,
            at: now,
        };
        let used = || {
            ServiceError::unauthenticated(
                "token_used",
                "the enrolment token was used before: create another",
            )
        };
        let (id, name) = match self.store.enrol(enrolment).await? {
            EnrolmentOutcome::Enrolled { id, name } => (id, name),
            EnrolmentOutcome::TokenUnknown => {
                return Err(ServiceError::unauthenticated(
                    "token_unknown",
                    "the platform knows no such enrolment token: it was never given out, or was revoked",
                ));
            }
            EnrolmentOutcome::TokenUsed => return Err(used()),
            EnrolmentOutcome::OtherKey(host) => {
                self.audit_refusal(host, "host.enrol", "token_used").await;
                return Err(used());
            }
            EnrolmentOutcome::TokenExpired => {
                return Err(ServiceError::unauthenticated(
                    "token_expired",
                    "the enrolment token has expired: create another",
                ));
            }
            EnrolmentOutcome::NameTaken => return Err(name_taken()),
            EnrolmentOutcome::NameInvalid(error) => return Err(name_invalid(error)),
        };
        info!(host = %id, name, "enrolled");
        // Whoever holds the old credential, or a session to the old machine, is cut off.
        self.cut_off(id, LinkEnd::CredentialVoid, CloseReason::HostReenrolled)
            .await?;
        let authority = self.authority();
        let certificate = authority
            .issue(id, &key, certificate.serial, now, certificate.until)
            .map_err(internal)?;
        Ok(EnrolHostResponse {
            host_id: id.into(),
            name,
            auth_token,
            server_name: self.config.server_name.clone(),
            ca_pem: authority.trusted_pem().to_owned(),
            certificate,
            renew_after_seconds: self.renew_after_seconds(),
        })
    }

    /// Gives a host another certificate, for the key that it has, and another device token. Neither
    /// voids what it has now: its token stays good until the other is used. `how` is for the audit log.
    ///
    /// # Errors
    /// `csr_invalid`, `token_unknown`, `host_revoked`, `key_mismatch`, `certificate_none`.
    async fn renew(
        &self,
        request: RenewCertificateRequest,
        how: &'static str,
    ) -> Result<Renewed, ServiceError> {
        let (key, certificate, now) = self.prove(&request.csr)?;
        let auth_token = Secret::generate(AUTH_TOKEN_PREFIX);
        let renewal = Renewal {
            auth_token: request.auth_token.hash(),
            new_token: auth_token.hash(),
            certificate,
            how,
            at: now,
        };
        let host = match self.store.renew(renewal).await? {
            RenewalOutcome::Renewed(host) => host,
            RenewalOutcome::TokenUnknown => {
                return Err(ServiceError::unauthenticated(
                    "token_unknown",
                    "this device token is not known: enrol the agent anew",
                ));
            }
            RenewalOutcome::Revoked => {
                return Err(ServiceError::unauthenticated(
                    "host_revoked",
                    "this host was revoked",
                ));
            }
            RenewalOutcome::OtherKey(host) => {
                self.audit_refusal(host, "host.renew", "key_mismatch").await;
                return Err(ServiceError::unauthenticated(
                    "key_mismatch",
                    "a certificate is renewed for the key that its host was enrolled with: enrol the agent anew",
                ));
            }
            RenewalOutcome::TokenOnly => {
                return Err(ServiceError::new(
                    ErrorKind::Conflict,
                    "certificate_none",
                    "this host has a token alone and no certificate: enrol the agent for one",
                ));
            }
        };
        info!(%host, how, "certificate renewed");
        let (authority, until) = (self.authority(), certificate.until);
        let certificate = authority
            .issue(host, &key, certificate.serial, now, until)
            .map_err(internal)?;
        let answer = RenewCertificateResponse {
            auth_token,
            server_name: self.config.server_name.clone(),
            ca_pem: authority.trusted_pem().to_owned(),
            certificate,
            renew_after_seconds: self.renew_after_seconds(),
        };
        Ok(Renewed { answer, until })
    }

    /// The same for a host that is connected, over its connection: with its own token and no other's.
    ///
    /// # Errors
    /// As [`Self::renew`], and `host_mismatch`.
    pub async fn renew_of(
        &self,
        host: HostId,
        request: RenewCertificateRequest,
    ) -> Result<Renewed, ServiceError> {
        let found = self.store.host_by_token(request.auth_token.hash()).await?;
        if found.is_some_and(|found| found.host.id != host) {
            return Err(ServiceError::unauthenticated(
                "host_mismatch",
                "this device token belongs to another host",
            ));
        }
        self.renew(request, "over its connection").await
    }

    /// The host with this device token, for an agent that connects with it. One that is revoked is
    /// found as well, so that it can be told.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn authenticate_host(
        &self,
        token: &Secret,
    ) -> Result<Option<HostRecord>, ServiceError> {
        let Some(found) = self.store.host_by_token(token.hash()).await? else {
            return Ok(None);
        };
        // It has arrived: from here on its enrolment, or the rotation of its token, is over.
        if found.first_use && found.host.revoked.is_none() {
            match self.store.credential_used(token.hash()).await {
                Ok(()) => {}
                // The host was enrolled anew just now.
                Err(StoreError::NotFound) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(found.host))
    }

    /// Lets a host in no more, and ends its connection and its sessions. It comes back by being
    /// enrolled anew, with a token for its name that was made since.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn revoke(&self, actor: &str, host: &HostRecord) -> Result<(), ServiceError> {
        let (id, now) = (host.id, UnixMillis::now());
        let audit = Entry::new(now, actor, "host.revoke", format!("host:{id}"))
            .host(id)
            .detail("name", host.name.as_str());
        if self.store.revoke_host(id, audit).await? {
            warn!(host = %id, name = host.name, by = actor, "revoked");
        }
        // Also where it was revoked before: whoever asks again may have seen something of it.
        self.cut_off(id, LinkEnd::Revoked, CloseReason::HostRevoked)
            .await
    }

    /// Notes in the audit log that a host, or somebody with its token, came with another key than
    /// its own.
    pub async fn audit_refusal(&self, host: HostId, action: &str, reason: &str) {
        let now = UnixMillis::now();
        {
            let mut refusals = self.refusals();
            refusals.retain(|_, at| now.since(*at) < REFUSAL_AUDITED_EVERY);
            if refusals.insert(host, now).is_some() {
                return;
            }
        }
        warn!(%host, action, reason, "somebody has a token of this host and not its key");
        let target = format!("host:{host}");
        let entry = Entry::new(now, "unknown", action, target)
            .host(host)
            .outcome(Outcome::Failed)
            .detail("reason", reason);
        if let Err(error) = self.store.audit(entry).await {
            error!(%error, "a refusal could not be noted in the audit log");
        }
    }

    /// Reads a certificate request, and says what a certificate for its key will be.
    fn prove(&self, csr: &str) -> Result<(ProvenKey, Issued, UnixMillis), ServiceError> {
        let key = ProvenKey::of_request(csr).map_err(|error| {
            ServiceError::new(ErrorKind::Invalid, "csr_invalid", error.to_string())
        })?;
        let now = UnixMillis::now();
        let until = now.plus(self.config.certificate_life);
        let issued = Issued {
            serial: Serial::random(random()),
            key: key.fingerprint(),
            // Certificates know whole seconds.
            until: UnixMillis(until.0.div_ceil(1000) * 1000),
        };
        Ok((key, issued, now))
    }

    /// When an agent is to renew: at two thirds of its certificate's life.
    fn renew_after_seconds(&self) -> u32 {
        let seconds = self.config.certificate_life.as_secs() * 2 / 3;
        u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
    }

    /// Ends what a host has running: its connection, those that are about to be let in, its sessions.
    async fn cut_off(
        &self,
        host: HostId,
        end: LinkEnd,
        reason: CloseReason,
    ) -> Result<(), ServiceError> {
        if self.registry.void(host, end) {
            self.host_left(host, "its credential is void");
        }
        let sessions = self.sessions().of_host(host);
        for session in &sessions {
            self.end_session(session.id, reason, "platform");
        }
        for session in &sessions {
            self.write_end(session.id).await?;
        }
        Ok(())
    }
}

pub(super) fn internal(error: impl std::fmt::Display) -> ServiceError {
    error!(%error, "a certificate could not be issued");
    ServiceError::new(
        ErrorKind::Internal,
        "internal",
        "the platform could not issue a certificate; its log says why",
    )
}
