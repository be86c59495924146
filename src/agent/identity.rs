//! The agent's own key and what is made with it: requests for certificates, and the certificate as TLS
//! presents it. The key is drawn before the first enrolment and never leaves its file.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::sign::CertifiedKey;

use crate::clock::UnixMillis;
use crate::files::{self, FileError, MODE_SECRET};
use crate::net::tls::{self, TlsError};
use crate::secret::Secret;

/// Largest key file: a P-256 key in PEM has about 240 bytes.
const KEY_BYTES_MAX: usize = 16 * 1024;

/// The key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Its file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It cannot be made, or does not sign, or its file holds something else.
    #[error("the agent's key cannot be used: {0}")]
    Key(#[from] rcgen::Error),
    /// The certificate is none, or is for another key.
    #[error("the agent's certificate cannot be used: {0}")]
    Certificate(#[from] TlsError),
}

/// The agent's key.
pub struct Identity {
    key: KeyPair,
    pem: Secret,
}

impl Identity {
    /// Reads the key of this file, or makes one and writes it there before it is used for anything:
    /// so the same enrolment, tried again, is made with the same key.
    ///
    /// # Errors
    /// When it cannot be read, made or written. What is damaged is not replaced.
    pub fn open_or_make(path: &Path) -> Result<Self, IdentityError> {
        let pem = match files::read_text(path, KEY_BYTES_MAX) {
            Ok(pem) => Secret::new(pem),
            Err(error) if error.is_missing() => {
                let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
                let pem = Secret::new(key.serialize_pem());
                files::write_atomic(path, pem.expose().as_bytes(), MODE_SECRET)?;
                pem
            }
            Err(error) => return Err(error.into()),
        };
        let key = KeyPair::from_pem(pem.expose())?;
        Ok(Self { key, pem })
    }

    /// A request for a certificate for this key, in PEM. It asks for nothing else: the platform knows
    /// whose key it is.
    ///
    /// # Errors
    /// When the key does not sign.
    pub fn request(&self) -> Result<String, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        Ok(params.serialize_request(&self.key)?.pem()?)
    }

    /// The certificate (PEM) with the key, as TLS presents it.
    ///
    /// # Errors
    /// When it is none, or is for another key.
    pub fn with_certificate(&self, certificate: &str) -> Result<Arc<CertifiedKey>, IdentityError> {
        Ok(tls::certified_key_from_pem(certificate, self.pem.expose())?)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// When a certificate ends; `None` where it cannot be read.
pub fn end_of(certificate: &CertifiedKey) -> Option<UnixMillis> {
    let leaf = certificate.cert.first()?;
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf).ok()?;
    let seconds = u64::try_from(leaf.validity.not_after.timestamp()).ok()?;
    Some(UnixMillis(seconds.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_stays_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("agent.key");
        let first = Identity::open_or_make(&path).expect("made");
        let again = Identity::open_or_make(&path).expect("read");
        assert_eq!(first.key.public_key_raw(), again.key.public_key_raw());
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(format!("{first:?}"), "Identity { .. }");
        fs::write(&path, "damaged").expect("written");
        assert!(matches!(
            Identity::open_or_make(&path),
            Err(IdentityError::Key(_))
        ));
        assert_eq!(fs::read_to_string(&path).expect("there"), "damaged");
    }

    #[test]
    fn a_certificate_goes_with_its_own_key() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let open = |file: &str| Identity::open_or_make(&dir.path().join(file)).expect("made");
        let (own, other) = (open("own"), open("other"));
        let certificate = CertificateParams::default()
            .self_signed(&own.key)
            .expect("signed")
            .pem();
        let certified = own.with_certificate(&certificate).expect("its own");
        assert!(end_of(&certified).is_some_and(|end| end > UnixMillis::now()));
        assert!(other.with_certificate(&certificate).is_err());
        assert!(own.with_certificate("").is_err());
    }
}
