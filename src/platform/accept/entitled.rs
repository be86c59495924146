//! Whether who has a host's device token is that host: what the store says of it now, beside the
//! certificate that its connection came with.

use crate::{
    clock::UnixMillis,
    platform::{credential::HostCertificate, store::HostRecord},
    wire::messages::ErrorCode,
};

/// Why a connection with a good device token is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The host was revoked.
    Revoked,
    /// The host has a certificate, and the connection none.
    NoCertificate,
    /// The certificate is another host's, or for another key.
    Mismatch,
    /// The certificate has ended.
    Expired,
}

/// Decides. `proxied` is a connection over which no certificate can come, and which is taken all the
/// same because the settings say so.
pub(super) fn entitled(
    host: &HostRecord,
    certificate: Option<HostCertificate>,
    now: UnixMillis,
    proxied: bool,
) -> Result<(), Refusal> {
    if host.revoked.is_some() {
        return Err(Refusal::Revoked);
    }
    let Some(key) = host.key else {
        // It was made with a token alone. What else it presents makes it no other host.
        return match certificate {
            Some(certificate) if certificate.host != host.id => Err(Refusal::Mismatch),
            _ => Ok(()),
        };
    };
    match certificate {
        None if proxied => Ok(()),
        None => Err(Refusal::NoCertificate),
        Some(certificate) if certificate.host != host.id || certificate.key != key => {
            Err(Refusal::Mismatch)
        }
        Some(certificate) if certificate.until < now => Err(Refusal::Expired),
        Some(_) => Ok(()),
    }
}

impl Refusal {
    pub(super) const fn code(self) -> ErrorCode {
        match self {
            Self::Revoked => ErrorCode::HostRevoked,
            Self::NoCertificate => ErrorCode::CertificateRequired,
            Self::Mismatch => ErrorCode::CertificateMismatch,
            Self::Expired => ErrorCode::CertificateExpired,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Revoked => "this host was revoked",
            Self::NoCertificate => {
                "this host has a certificate: present it, and ask in TLS for the server name that came with it"
            }
            Self::Mismatch => {
                "the certificate is not the one of the host that the device token belongs to"
            }
            Self::Expired => "the certificate has ended: renew it at /v1/agent/renew and come back",
        }
    }

    /// Whether nothing but somebody's hand helps. A certificate that does not come this far may be
    /// held up by a setting here or by what stands in between, which is often set right without
    /// anybody at the agent.
    pub(super) const fn is_permanent(self) -> bool {
        matches!(self, Self::Revoked | Self::Mismatch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::HostId, platform::credential::KeyFingerprint};

    const NOW: UnixMillis = UnixMillis(1_750_000_000_000);
    const KEY: KeyFingerprint = KeyFingerprint([1; 32]);

    fn host(key: Option<KeyFingerprint>) -> HostRecord {
        HostRecord {
            id: HostId::random([1; 16]),
            name: "kvm".to_owned(),
            created: NOW,
            last_seen: None,
            credential_used: true,
            key,
            certificate_until: None,
            revoked: None,
        }
    }

    fn certificate() -> HostCertificate {
        HostCertificate {
            host: HostId::random([1; 16]),
            key: KEY,
            until: NOW,
        }
    }

    #[test]
    fn a_host_with_a_key_presents_its_certificate() {
        let host = host(Some(KEY));
        let good = certificate();
        let later = UnixMillis(NOW.0 + 1);
        let ask = |certificate, now, proxied| entitled(&host, certificate, now, proxied);
        assert_eq!(ask(Some(good), NOW, false), Ok(()));
        assert_eq!(ask(Some(good), later, false), Err(Refusal::Expired));
        assert_eq!(ask(None, NOW, false), Err(Refusal::NoCertificate));
        assert_eq!(ask(None, NOW, true), Ok(()), "by the setting alone");
        let other_key = HostCertificate {
            key: KeyFingerprint([2; 32]),
            ..good
        };
        let other_host = HostCertificate {
            host: HostId::random([2; 16]),
            ..good
        };
        for other in [other_key, other_host] {
            for proxied in [false, true] {
                assert_eq!(ask(Some(other), NOW, proxied), Err(Refusal::Mismatch));
            }
        }
    }

    #[test]
    fn a_host_with_a_token_alone_needs_none_and_takes_no_other_hosts() {
        let host = host(None);
        assert_eq!(entitled(&host, None, NOW, false), Ok(()));
        assert_eq!(entitled(&host, Some(certificate()), NOW, false), Ok(()));
        let other = HostCertificate {
            host: HostId::random([2; 16]),
            ..certificate()
        };
        let refused = entitled(&host, Some(other), NOW, false);
        assert_eq!(refused, Err(Refusal::Mismatch));
    }

    #[test]
    fn a_revoked_host_is_let_in_by_nothing() {
        for key in [None, Some(KEY)] {
            let host = HostRecord {
                revoked: Some(NOW),
                ..host(key)
            };
            for (certificate, proxied) in [(None, true), (Some(certificate()), false)] {
                let refused = entitled(&host, certificate, NOW, proxied);
                assert_eq!(refused, Err(Refusal::Revoked));
            }
        }
    }
}
