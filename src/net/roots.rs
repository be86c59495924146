//! Files of certificates to trust: one that is given, or the one that this machine's distribution
//! keeps for everybody.

use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;

use super::tls::{self, TlsError};
use crate::files::{self, FileError};

/// Where distributions keep the certificates that everybody trusts, in one file.
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// Largest file of certificates; Debian's is 220 KiB.
const BUNDLE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a file's text holds: certificates, or none that can be used.
pub type Roots = Result<Vec<CertificateDer<'static>>, TlsError>;

/// Reads a file of certificates.
///
/// # Errors
/// When it cannot be read; what is wrong with its text comes apart.
pub fn read(path: &Path) -> Result<Roots, FileError> {
    files::read_text(path, BUNDLE_BYTES_MAX).map(|text| tls::certificates_from_pem(&text))
}

/// The certificates that this machine trusts, and their file; nothing when it has none.
pub fn of_this_machine() -> Option<(PathBuf, Roots)> {
    SYSTEM_BUNDLES
        .iter()
        .find_map(|path| Some((PathBuf::from(path), read(Path::new(path)).ok()?)))
}
