//! What an agent shows its platform in TLS and what it takes there, as its state has it. How it comes by
//! another certificate is `dial`'s and `enrol`'s.

use super::{
    dial::Fatal,
    enrol::{AgentState, EnrolError, StateDir},
    identity::{Identity, end_of},
};
use crate::{
    clock::UnixMillis,
    net::{http_client::ServerUrl, tls},
};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::{sync::Arc, time::Duration};

/// How long the answer to a request for a certificate is waited for at least, and at most.
const RENEWAL_RETRY_MIN: Duration = Duration::from_secs(2);
const RENEWAL_RETRY_MAX: Duration = Duration::from_secs(60 * 60);

/// What the agent shows in TLS, and what it takes there.
pub(super) struct Credential {
    /// The key, where there is a certificate for it.
    pub identity: Option<Identity>,
    /// The end of the certificate, by the platform's clock.
    until: Option<UnixMillis>,
    /// The platform has said that it has ended.
    pub ended: bool,
    pub server_name: ServerName<'static>,
    pub tls: Arc<ClientConfig>,
}

impl Credential {
    pub fn new(
        directory: &StateDir,
        state: &AgentState,
        platform: &ServerUrl,
    ) -> Result<Self, Fatal> {
        let roots = tls::certificates_from_pem(&state.ca_pem)?;
        let server_name = tls::server_name(&state.server_name)?;
        let Some(certificate) = &state.certificate else {
            return Ok(Self {
                identity: None,
                until: None,
                ended: false,
                server_name,
                tls: tls::client_trusting(roots, true)?,
            });
        };
        let identity = directory.identity()?;
        let certified = identity
            .with_certificate(certificate)
            .map_err(EnrolError::from)?;
        let until = end_of(&certified);
        if let Some(proxy) = directory.proxy() {
            return Ok(Self {
                identity: Some(identity),
                until,
                ended: false,
                server_name: tls::server_name(platform.host())?,
                tls: proxy.clone(),
            });
        }
        Ok(Self {
            until,
            identity: Some(identity),
            ended: false,
            server_name,
            // With it goes what TLS remembers of sessions, which are bound to the certificate before.
            tls: tls::client_presenting(roots, certified)?,
        })
    }

    pub fn has_ended(&self, now: UnixMillis) -> bool {
        self.identity.is_some() && (self.ended || self.until.is_some_and(|until| until < now))
    }

    /// How long a certificate is waited for before it is asked for again: a tenth of what is left.
    pub fn retry_after(&self) -> Duration {
        let left = self.until.unwrap_or_default().since(UnixMillis::now());
        (left / 10).clamp(RENEWAL_RETRY_MIN, RENEWAL_RETRY_MAX)
    }
}
