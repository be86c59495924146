//! The next certificate of a host that is connected, over its connection.

use super::expiry::CertificateEnd;
use crate::{
    ids::{HostId, random_uuid},
    net::stream::Tunnel,
    platform::{Platform, service::enrolment::Renewed},
    secret,
    wire::{
        api::RenewCertificateRequest,
        messages::{Certificate, CertificateRequest, Error, ErrorCode},
        values::Timestamp,
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};
use tracing::{Instrument as _, debug, warn};

/// The renewals of one connection: one at a time, as each costs signatures and a commit.
pub(super) struct Renewals {
    under_way: Arc<AtomicBool>,
    certificate_end: CertificateEnd,
}

impl Renewals {
    /// Those of the connection with this end.
    pub fn new(certificate_end: CertificateEnd) -> Self {
        Self {
            under_way: Arc::default(),
            certificate_end,
        }
    }

    /// Makes the certificate that is asked for, in a task of its own.
    pub fn begin(
        &self,
        platform: &Arc<Platform>,
        host: HostId,
        request: CertificateRequest,
        tunnel: &Tunnel,
    ) {
        if self.under_way.swap(true, Ordering::Relaxed) {
            let why = "another certificate is being made for this host";
            return refuse(tunnel, ErrorCode::Overloaded, why.to_owned());
        }
        let (platform, tunnel) = (platform.clone(), tunnel.clone());
        let (under_way, end) = (self.under_way.clone(), self.certificate_end.clone());
        // To its end whether or not the connection lives: what is committed is the host's token.
        let renewing = async move {
            renew(&platform, host, request, &tunnel, &end).await;
            under_way.store(false, Ordering::Relaxed);
        };
        tokio::spawn(renewing.in_current_span());
    }
}

async fn renew(
    platform: &Platform,
    host: HostId,
    request: CertificateRequest,
    tunnel: &Tunnel,
    end: &CertificateEnd,
) {
    let CertificateRequest { auth_token, csr } = request;
    match platform
        .renew_of(host, RenewCertificateRequest { auth_token, csr })
        .await
    {
        Ok(Renewed {
            answer: renewed,
            until,
        }) => {
            end.set(until);
            let sent = tunnel.send(Certificate {
                certificate: renewed.certificate,
                ca_pem: renewed.ca_pem,
                server_name: renewed.server_name,
                auth_token: renewed.auth_token,
                renew_after_seconds: renewed.renew_after_seconds,
            });
            if let Err(error) = sent {
                debug!(%host, %error, "a certificate did not reach its agent");
            }
        }
        Err(error) => {
            warn!(%host, code = error.code, "a certificate is not renewed");
            refuse(tunnel, ErrorCode::CertificateRefused, error.detail);
        }
    }
}

fn refuse(tunnel: &Tunnel, code: ErrorCode, message: String) {
    let refused = tunnel.send(Error {
        message_id: random_uuid(secret::random()).to_string(),
        original_message_id: String::new(),
        timestamp: Some(Timestamp::from_system_time(SystemTime::now())),
        code,
        message,
    });
    if let Err(error) = refused {
        debug!(%error, "an agent could not be told that it gets no certificate");
    }
}
