//! The platform's own certificate authority and what it signs: the server's certificate, made at the
//! first start and kept under the data directory beside it, and the hosts', of which nothing is kept.
//! Agents trust this CA, and others that the operator names for a change of it; browsers may be given
//! an operator's certificate beside ours, for the names that it covers (see `config`). Whether a
//! host's certificate is good for anything any more is asked where it connects (`accept`).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
    SubjectPublicKeyInfo,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use tracing::info;
use x509_parser::extensions::GeneralName;

use super::credential::{HOST_URI_PREFIX, ProvenKey};
use crate::clock::UnixMillis;
use crate::files::{self, FileError, MODE_PUBLIC, MODE_SECRET};
use crate::ids::{HostId, random_uuid};
use crate::net::tls::{self, TlsError};
use crate::secret::random;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The CA outlives every device that was enrolled with it, within reason.
const CA_VALID: Duration = Duration::from_secs(20 * 365 * 24 * 60 * 60);
/// The longest that browsers take of a server certificate is 398 days.
const SERVER_VALID: Duration = Duration::from_secs(397 * 24 * 60 * 60);
/// A start, a reload or the daily look this near to its end makes a new server certificate.
const SERVER_RENEWED_BEFORE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Certificates are valid from a day ago on, for agents whose clocks are behind.
const CLOCKS_BEHIND: Duration = DAY;
/// Largest PEM file of ours: a chain of two is under 2 KiB.
const PEM_BYTES_MAX: usize = 64 * 1024;
/// Certificates of further CAs, which agents are told to trust and whose hosts are taken, while the
/// operator changes from one CA to another.
const FURTHER_CAS_FILE: &str = "ca-further.pem";
/// Largest such file: with the CA's own it is to fit the link's `certificate`.
const FURTHER_CAS_BYTES_MAX: usize = 8 * 1024;

/// The CA or the server certificate cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is there but holds something else.
    #[error("{} cannot be used: {source}; restore it from a backup", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: TlsError,
    },
    /// Only one of the CA's two files is there. Making a new CA would cut off every enrolled agent.
    #[error("{} is missing while the other half of the CA is there; restore it from a backup", .0.display())]
    Half(PathBuf),
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// The CA and the certificate that the TLS listener presents.
#[derive(Debug)]
pub struct CertificateAuthority {
    trusted_pem: String,
    trusted: Vec<CertificateDer<'static>>,
    fingerprint: [u8; 32],
    issuer: Issuer<'static, KeyPair>,
    server: Arc<CertifiedKey>,
}

/// Names one certificate among all that the CA issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial([u8; 16]);

impl Serial {
    /// A new one, out of 16 random bytes of the caller's.
    pub const fn random(mut entropy: [u8; 16]) -> Self {
        // Positive, and of a length that does not hang on chance (RFC 5280 section 4.1.2.2).
        entropy[0] = entropy[0] & 0x7f | 0x40;
        Self(entropy)
    }
}

impl std::fmt::Display for Serial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::audit::export::hex(&self.0))
    }
}

impl CertificateAuthority {
    /// Opens the CA under `dir`, or makes it when nothing is there. The server certificate is made
    /// anew when it is missing, lacks one of `names` (DNS names or IP addresses), or ends within
    /// 30 days of `now`.
    ///
    /// # Errors
    /// See [`CaError`]. A damaged CA is never replaced: the agents trust it and no other.
    pub fn open(dir: &Path, names: &[String], now: SystemTime) -> Result<Self, CaError> {
        let certificate_path = dir.join("ca.pem");
        let (certificate_pem, key) = open_or_make(&certificate_path, &dir.join("ca.key"), now)?;
        let content = |source| CaError::Content {
            path: certificate_path.clone(),
            source,
        };
        let mut trusted = tls::certificates_from_pem(&certificate_pem).map_err(content)?;
        trusted.truncate(1);
        let mut trusted_pem = certificate_pem.clone();
        let further_path = dir.join(FURTHER_CAS_FILE);
        match files::read_text(&further_path, FURTHER_CAS_BYTES_MAX) {
            Ok(further) => {
                let read = tls::certificates_from_pem(&further);
                trusted.extend(read.map_err(|source| CaError::Content {
                    path: further_path,
                    source,
                })?);
                trusted_pem.push('\n');
                trusted_pem.push_str(&further);
            }
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error.into()),
        }
        let certificate = &trusted[0];
        let fingerprint = tls::fingerprint(certificate);
        let issuer = Issuer::from_ca_cert_der(certificate, key)?;

        let chain_path = dir.join("server.pem");
        let key_path = dir.join("server.key");
        let server = match stored_server(&chain_path, &key_path) {
            Some(stored) if still_good(&stored, certificate, names, now) => stored,
            _ => {
                let (leaf_pem, key_pem) = make_server(&issuer, names, now)?;
                let chain_pem = leaf_pem + &certificate_pem;
                // The key goes first: a chain without its key would be remade, not served.
                files::write_atomic(&key_path, key_pem.as_bytes(), MODE_SECRET)?;
                files::write_atomic(&chain_path, chain_pem.as_bytes(), MODE_PUBLIC)?;
                info!(names = names.join(", "), "made a server certificate");
                tls::certified_key_from_pem(&chain_pem, &key_pem).map_err(|source| {
                    CaError::Content {
                        path: chain_path,
                        source,
                    }
                })?
            }
        };
        Ok(Self {
            trusted_pem,
            trusted,
            fingerprint,
            issuer,
            server,
        })
    }

    /// Issues a host's certificate for its key. Who it names and what it is good for is said here and
    /// nowhere else: one host, as a client, and nobody else's authority.
    ///
    /// # Errors
    /// When the CA's key does not sign.
    pub fn issue(
        &self,
        host: HostId,
        key: &ProvenKey,
        serial: Serial,
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<String, CaError> {
        let instant =
            |at: UnixMillis| SystemTime::UNIX_EPOCH + Duration::from_secs(at.0.div_ceil(1000));
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&host.to_string());
        let uri = format!("{HOST_URI_PREFIX}{host}");
        params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into()?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from_slice(&serial.0));
        params.not_before = (instant(now) - CLOCKS_BEHIND).into();
        params.not_after = instant(until).into();
        let key = SubjectPublicKeyInfo::from_der(key.spki())?;
        Ok(params.signed_by(&key, &self.issuer)?.pem())
    }

    /// The certificates that agents are to trust, as PEM: the CA's own first, then those that the
    /// operator names beside it.
    pub fn trusted_pem(&self) -> &str {
        &self.trusted_pem
    }

    /// The same: whose certificates are taken of agents.
    pub fn trusted(&self) -> &[CertificateDer<'static>] {
        &self.trusted
    }

    /// SHA-256 of the CA certificate's DER, which enrolment tokens carry.
    pub const fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// When the CA ends, and the certificate that the listener presents.
    pub fn ends(&self) -> (Option<UnixMillis>, Option<UnixMillis>) {
        let server = self.server.cert.first();
        (
            self.trusted.first().and_then(end_of),
            server.and_then(end_of),
        )
    }

    /// The server's chain (leaf and CA) with its key.
    pub fn server(&self) -> Arc<CertifiedKey> {
        self.server.clone()
    }
}

fn open_or_make(
    certificate_path: &Path,
    key_path: &Path,
    now: SystemTime,
) -> Result<(String, KeyPair), CaError> {
    let missing_is_none = |result: Result<String, FileError>| match result {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    };
    let certificate = missing_is_none(files::read_text(certificate_path, PEM_BYTES_MAX))?;
    let key = missing_is_none(files::read_text(key_path, PEM_BYTES_MAX))?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let content = |source| CaError::Content {
                path: key_path.to_owned(),
                source,
            };
            // Reading them as a pair finds a key of another CA before it signs anything.
            tls::certified_key_from_pem(&certificate, &key).map_err(content)?;
            Ok((certificate, KeyPair::from_pem(&key)?))
        }
        (None, Some(key)) => {
            // The certificate is written last, so this is a first start that was cut short, unless
            // agents were enrolled since: then a server certificate stands beside it.
            if certificate_path.with_file_name("server.pem").exists() {
                return Err(CaError::Half(certificate_path.to_owned()));
            }
            let key = KeyPair::from_pem(&key)?;
            Ok((make_ca(certificate_path, &key, now)?, key))
        }
        (Some(_), None) => Err(CaError::Half(key_path.to_owned())),
        (None, None) => {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            files::write_atomic(key_path, key.serialize_pem().as_bytes(), MODE_SECRET)?;
            Ok((make_ca(certificate_path, &key, now)?, key))
        }
    }
}

fn make_ca(path: &Path, key: &KeyPair, now: SystemTime) -> Result<String, CaError> {
    let mut params = CertificateParams::default();
    // The number in the name keeps the CAs of two platforms apart in one trust store.
    let number = &random_uuid(random()).to_string()[..8];
    params.distinguished_name = common_name(&format!("Fleetwire platform CA {number}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - CLOCKS_BEHIND).into();
    params.not_after = (now + CA_VALID).into();
    let pem = params.self_signed(key)?.pem();
    files::write_atomic(path, pem.as_bytes(), MODE_PUBLIC)?;
    info!(path = %path.display(), "made the platform's CA");
    Ok(pem)
}

fn make_server(
    issuer: &Issuer<'_, KeyPair>,
    names: &[String],
    now: SystemTime,
) -> Result<(String, String), CaError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("Fleetwire platform");
    params.subject_alt_names = names
        .iter()
        .map(|name| {
            Ok(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into()?),
            })
        })
        .collect::<Result<_, rcgen::Error>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = (now - CLOCKS_BEHIND).into();
    params.not_after = (now + SERVER_VALID).into();
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn stored_server(chain: &Path, key: &Path) -> Option<Arc<CertifiedKey>> {
    let chain = files::read_text(chain, PEM_BYTES_MAX).ok()?;
    let key = files::read_text(key, PEM_BYTES_MAX).ok()?;
    tls::certified_key_from_pem(&chain, &key).ok()
}

/// When a certificate ends.
pub fn end_of(certificate: &CertificateDer<'_>) -> Option<UnixMillis> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let seconds = u64::try_from(certificate.validity.not_after.timestamp()).ok()?;
    Some(UnixMillis(seconds * 1000))
}

fn still_good(
    server: &CertifiedKey,
    ca: &CertificateDer<'_>,
    names: &[String],
    now: SystemTime,
) -> bool {
    let [leaf, issuer] = &server.cert[..] else {
        return false;
    };
    let Ok((_, leaf)) = x509_parser::parse_x509_certificate(leaf) else {
        return false;
    };
    let seconds = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs() as i64)
    };
    let Ok(Some(alternative)) = leaf.subject_alternative_name() else {
        return false;
    };
    let present: BTreeSet<String> = alternative
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match *bytes {
                [a, b, c, d] => Some(IpAddr::from([*a, *b, *c, *d]).to_string()),
                bytes => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()),
            },
            _ => None,
        })
        .collect();
    issuer == ca
        && leaf.validity.not_before.timestamp() <= seconds(now)
        && leaf.validity.not_after.timestamp() > seconds(now + SERVER_RENEWED_BEFORE)
        && names.iter().all(|name| present.contains(name))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names() -> Vec<String> {
        [
            "localhost",
            "127.0.0.1",
            "::1",
            "*.localhost",
            "platform.fleetwire.internal",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn open(dir: &Path, now: SystemTime) -> CertificateAuthority {
        CertificateAuthority::open(dir, &names(), now).expect("opened")
    }

    #[test]
    fn a_second_start_finds_the_same() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let now = SystemTime::now();
        let first = open(dir.path(), now);
        let second = open(dir.path(), now);
        assert_eq!(first.fingerprint(), second.fingerprint());
        assert_eq!(first.server().cert, second.server().cert);
        assert_eq!(first.server().cert.len(), 2, "leaf and CA");
        for (file, mode) in [
            ("ca.key", 0o600),
            ("server.key", 0o600),
            ("ca.pem", 0o644),
            ("server.pem", 0o644),
        ] {
            let metadata = fs::metadata(dir.path().join(file)).expect("there");
            assert_eq!(metadata.permissions().mode() & 0o777, mode, "{file}");
        }
    }

    #[test]
    fn the_server_certificate_is_renewed_in_time_and_the_ca_stays() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let now = SystemTime::now();
        let first = open(dir.path(), now);
        let early = open(dir.path(), now + SERVER_VALID - SERVER_RENEWED_BEFORE - DAY);
        assert_eq!(first.server().cert, early.server().cert);
        let late = open(dir.path(), now + SERVER_VALID - SERVER_RENEWED_BEFORE + DAY);
        assert_ne!(first.server().cert[0], late.server().cert[0]);
        assert_eq!(first.fingerprint(), late.fingerprint());
    }

    #[test]
    fn another_name_makes_another_certificate() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let now = SystemTime::now();
        let first = open(dir.path(), now);
        let names = [
            names(),
            vec!["kvm.example.com".to_owned(), "10.1.2.3".to_owned()],
        ]
        .concat();
        let more = CertificateAuthority::open(dir.path(), &names, now).expect("opened");
        assert_ne!(first.server().cert[0], more.server().cert[0]);
        assert_eq!(
            open(dir.path(), now).server().cert,
            more.server().cert,
            "more is no harm"
        );
    }

    #[test]
    fn a_damaged_ca_is_never_replaced() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let now = SystemTime::now();
        open(dir.path(), now);
        let try_open = || CertificateAuthority::open(dir.path(), &names(), now).map(|_| ());
        let key = fs::read_to_string(dir.path().join("ca.key")).expect("there");
        let other = KeyPair::generate().expect("a key").serialize_pem();
        fs::write(dir.path().join("ca.key"), other).expect("written");
        assert!(matches!(try_open(), Err(CaError::Content { .. })));
        fs::remove_file(dir.path().join("ca.key")).expect("removed");
        assert!(matches!(try_open(), Err(CaError::Half(_))));
        fs::write(dir.path().join("ca.key"), key).expect("written");
        fs::remove_file(dir.path().join("ca.pem")).expect("removed");
        assert!(matches!(try_open(), Err(CaError::Half(_))));
    }
}
