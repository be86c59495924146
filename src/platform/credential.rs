//! What a host proves itself with beside its token: the request for a certificate that it sends, read
//! and checked, and the certificate that it presents in TLS. A request's key is all that is taken of
//! it: which host a certificate names and what it is good for is the platform's alone to say (`ca`).

use std::fmt;

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use sha2::{Digest as _, Sha256};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::audit::export::hex;
use crate::clock::UnixMillis;
use crate::ids::HostId;

/// Longest text of a request: one that holds a P-256 key alone has about 400 bytes.
pub const REQUEST_BYTES_MAX: usize = 4096;
/// How a host's certificate names it: as a URI among its alternative names (RFC 9562 section 4).
pub const HOST_URI_PREFIX: &str = "urn:uuid:";
/// A P-256 key's SubjectPublicKeyInfo up to its point, which is uncompressed (RFC 5480): there is no
/// other form of one in DER, so that the same key always has the same fingerprint.
const P256_SPKI_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
const P256_SPKI_BYTES: usize = 91;
/// The bytes before the point: with its first, which says that it is uncompressed, left to it.
const P256_SPKI_HEADER_BYTES: usize = P256_SPKI_PREFIX.len() - 1;
/// `ecdsa-with-SHA256` (RFC 5758 section 3.2), as DER without tag and length.
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// SHA-256 of a public key (its SubjectPublicKeyInfo in DER), by which a host is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyFingerprint(pub [u8; 32]);

impl KeyFingerprint {
    fn of(spki: &[u8]) -> Self {
        Self(Sha256::digest(spki).into())
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A public key that whoever sent it was shown to have the private one of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenKey {
    spki: [u8; P256_SPKI_BYTES],
}

/// What is wrong with a request for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Longer than any that is needed.
    #[error("a certificate request has at most {REQUEST_BYTES_MAX} bytes")]
    TooLong,
    /// Not PEM, or not PKCS #10 in it.
    #[error("the certificate request is no PKCS #10 in PEM (BEGIN CERTIFICATE REQUEST)")]
    Form,
    /// Of another type of key.
    #[error("a host's key is one on P-256, and it signs its request with SHA-256")]
    KeyType,
    /// Not signed by its own key.
    #[error("the certificate request is not signed by the key in it")]
    Signature,
}

impl ProvenKey {
    /// Reads a certificate request in PEM (RFC 2986, RFC 7468). The subject and the extensions that it
    /// asks for are passed over, whatever they are.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn of_request(pem: &str) -> Result<Self, RequestError> {
        if pem.len() > REQUEST_BYTES_MAX {
            return Err(RequestError::TooLong);
        }
        let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| RequestError::Form)?;
        let (behind, request) =
            X509CertificationRequest::from_der(&der).map_err(|_| RequestError::Form)?;
        if !behind.is_empty() || request.signature_value.unused_bits != 0 {
            return Err(RequestError::Form);
        }
        let info = &request.certification_request_info;
        let spki: [u8; P256_SPKI_BYTES] = info
            .subject_pki
            .raw
            .try_into()
            .map_err(|_| RequestError::KeyType)?;
        if !spki.starts_with(&P256_SPKI_PREFIX)
            || request.signature_algorithm.algorithm.as_bytes() != ECDSA_WITH_SHA256
        {
            return Err(RequestError::KeyType);
        }
        // A point that is not on the curve verifies nothing.
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &spki[P256_SPKI_HEADER_BYTES..])
            .verify(info.raw, &request.signature_value.data)
            .map_err(|_| RequestError::Signature)?;
        Ok(Self { spki })
    }

    /// By what the host is known that has it.
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint::of(&self.spki)
    }

    /// Its SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }
}

/// What a host's certificate says, of one that the platform's CA has issued: TLS has verified that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCertificate {
    /// The host that it names.
    pub host: HostId,
    /// The key that it is for.
    pub key: KeyFingerprint,
    /// Its end.
    pub until: UnixMillis,
}

impl HostCertificate {
    /// Reads a certificate; `None` where it names no host.
    pub fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        let host = names
            .value
            .general_names
            .iter()
            .find_map(|name| match name {
                GeneralName::URI(uri) => uri.strip_prefix(HOST_URI_PREFIX)?.parse().ok(),
                _ => None,
            })?;
        let until = u64::try_from(certificate.validity.not_after.timestamp()).ok()?;
        Some(Self {
            host,
            key: KeyFingerprint::of(certificate.public_key().raw),
            until: UnixMillis(until.saturating_mul(1000)),
        })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
        PublicKeyData as _,
    };

    use super::*;

    fn request(key: &KeyPair) -> String {
        let params = CertificateParams::default();
        let request = params.serialize_request(key).expect("a request");
        request.pem().expect("PEM")
    }

    fn key() -> KeyPair {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
    }

    #[test]
    fn a_request_is_its_key() {
        let (key, other) = (key(), self::key());
        let proven = ProvenKey::of_request(&request(&key)).expect("good");
        assert_eq!(proven.spki(), key.subject_public_key_info());
        let again = ProvenKey::of_request(&format!("\n{}\n", request(&key))).expect("good");
        assert_eq!(again.fingerprint(), proven.fingerprint());
        let another = ProvenKey::of_request(&request(&other)).expect("good");
        assert_ne!(another.fingerprint(), proven.fingerprint());
    }

    #[test]
    fn what_is_no_proof_of_a_key_of_ours_is_refused() {
        for algorithm in [&PKCS_ED25519, &PKCS_ECDSA_P384_SHA384] {
            let key = KeyPair::generate_for(algorithm).expect("a key");
            let refused = ProvenKey::of_request(&request(&key));
            assert_eq!(refused, Err(RequestError::KeyType));
        }
        let good = request(&key());
        let der = CertificateSigningRequestDer::from_pem_slice(good.as_bytes()).expect("PEM");
        let pem = |der: &[u8]| {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            format!(
                "-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----"
            )
        };
        assert!(ProvenKey::of_request(&pem(&der)).is_ok());
        // Every byte counts: each is of the form, of the key, or under the signature. Of the
        // algorithm's tags the parser is no judge, and they say nothing.
        let algorithm = der.windows(8).position(|part| part == ECDSA_WITH_SHA256);
        let algorithm = algorithm.expect("there");
        for at in (0..der.len()).filter(|at| !(algorithm - 4..algorithm).contains(at)) {
            let mut altered = der.to_vec();
            altered[at] ^= 1;
            assert!(ProvenKey::of_request(&pem(&altered)).is_err(), "byte {at}");
            let cut = ProvenKey::of_request(&pem(&der[..at]));
            assert_eq!(cut, Err(RequestError::Form), "cut at {at}");
        }
        let more = [&der[..], &[0]].concat();
        let signed_by_another = {
            let (mine, theirs) = (request(&key()), key().subject_public_key_info());
            let mine = CertificateSigningRequestDer::from_pem_slice(mine.as_bytes()).expect("PEM");
            let at = mine.windows(27).position(|part| part == P256_SPKI_PREFIX);
            let at = at.expect("there");
            let mut swapped = mine.to_vec();
            swapped[at..at + P256_SPKI_BYTES].copy_from_slice(&theirs);
            pem(&swapped)
        };
        let refused = ProvenKey::of_request(&signed_by_another);
        assert_eq!(refused, Err(RequestError::Signature));
        for (text, error) in [
            (String::new(), RequestError::Form),
            ("{}".to_owned(), RequestError::Form),
            (
                good.replace("CERTIFICATE REQUEST", "CERTIFICATE"),
                RequestError::Form,
            ),
            (pem(&more), RequestError::Form),
            (" ".repeat(REQUEST_BYTES_MAX + 1), RequestError::TooLong),
        ] {
            assert_eq!(ProvenKey::of_request(&text), Err(error), "{text}");
        }
    }
}
