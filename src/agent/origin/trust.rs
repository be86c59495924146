//! Whom a device's TLS certificate is checked against: its authorities, its fingerprint, or nobody.
//!
//! A fingerprint names a certificate as a whole, so nothing else in it matters but the key that
//! signs the handshake. Of such a certificate only the key is read: small devices make ones that no
//! authority would, X.509 version 1 among them.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, OtherError,
    PeerMisbehaved, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};

use crate::agent::target::Trust;
use crate::net::tls;

/// The TLS settings for a device whose certificate is trusted like this.
///
/// # Errors
/// [`TlsError`] if its certificate authorities cannot be used.
pub(super) fn client_config(trust: &Trust) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let pin = match trust {
        Trust::Ca(authorities) => {
            let mut roots = RootCertStore::empty();
            for authority in authorities {
                roots.add(authority.clone())?;
            }
            return Ok(builder.with_root_certificates(roots).with_no_client_auth());
        }
        Trust::Pin(pin) => Some(*pin),
        Trust::Insecure => None,
    };
    let verifier = Arc::new(OwnerVerifier { pin, algorithms });
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// A device has shown another certificate than the pinned one.
#[derive(Debug)]
struct OtherCertificate {
    /// SHA-256 of what it has shown.
    fingerprint: [u8; 32],
}

impl fmt::Display for OtherCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("it has the SHA-256 fingerprint ")?;
        for byte in self.fingerprint {
            write!(formatter, "{byte:02x}")?;
        }
        formatter.write_str(", which is not the pinned one; if the device has made itself a new certificate, make that the target's pin")
    }
}

impl std::error::Error for OtherCertificate {}

/// Checks a device's certificate as its owner said: against a fingerprint, or not at all. The
/// handshake's signature is checked in both cases, so the peer holds the certificate's key.
#[derive(Debug)]
struct OwnerVerifier {
    pin: Option<[u8; 32]>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for OwnerVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let fingerprint = tls::fingerprint(certificate);
        match self.pin {
            Some(pin) if fingerprint != pin => {
                let other = Arc::new(OtherCertificate { fingerprint });
                Err(CertificateError::Other(OtherError(other)).into())
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    /// As rustls does it for the certificates that it can read: each algorithm of the scheme whose
    /// kind of key this is.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let key = key_of(certificate)?;
        let mut mapping = self.algorithms.mapping.iter();
        let (_, algorithms) = mapping
            .find(|(scheme, _)| *scheme == signature.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        let verified = algorithms
            .iter()
            .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm)
            .any(|algorithm| {
                algorithm
                    .verify_signature(key.bits, message, signature.signature())
                    .is_ok()
            });
        if verified {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let key = SubjectPublicKeyInfoDer::from(key_of(certificate)?.info);
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The public key in a certificate, in DER.
struct Key<'a> {
    /// The SubjectPublicKeyInfo as a whole (RFC 5280 4.1.2.7).
    info: &'a [u8],
    /// What stands in its AlgorithmIdentifier.
    algorithm: &'a [u8],
    /// The key itself.
    bits: &'a [u8],
}

fn key_of<'a>(certificate: &'a CertificateDer<'_>) -> Result<Key<'a>, TlsError> {
    read_key(certificate).ok_or_else(|| CertificateError::BadEncoding.into())
}

/// Reads a certificate as far as its key (RFC 5280 4.1): what stands before it is passed over.
fn read_key(certificate: &[u8]) -> Option<Key<'_>> {
    let mut fields = certificate;
    let mut fields = Element::take(&mut fields, SEQUENCE)?.value;
    let mut fields = Element::take(&mut fields, SEQUENCE)?.value;
    // A version 1 has no version.
    let _ = Element::take(&mut fields, VERSION);
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        // Serial number, signature algorithm, issuer, validity, subject.
        Element::take(&mut fields, tag)?;
    }
    let info = Element::take(&mut fields, SEQUENCE)?;
    let mut parts = info.value;
    let algorithm = Element::take(&mut parts, SEQUENCE)?.value;
    let bits = Element::take(&mut parts, BIT_STRING)?.value;
    Some(Key {
        info: info.whole,
        algorithm,
        // The first byte says how many bits of the last are not used: of a key, none.
        bits: bits.strip_prefix(&[0])?,
    })
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
/// Constructed, of this place only, number 0.
const VERSION: u8 = 0xa0;

/// An element of DER (X.690 8.1).
struct Element<'a> {
    whole: &'a [u8],
    value: &'a [u8],
}

impl<'a> Element<'a> {
    /// Takes the next element off `rest`; leaves that as it is where it has another tag, or is cut.
    fn take(rest: &mut &'a [u8], tag: u8) -> Option<Self> {
        let all = *rest;
        let (&found, after) = all.split_first()?;
        let (&short, after) = after.split_first()?;
        let (length, after) = match short {
            0..=0x7f => (usize::from(short), after),
            // Certificates are under 16 MiB: TLS has three bytes for their length.
            0x81..=0x83 => {
                let (bytes, after) = after.split_at_checked(usize::from(short & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0, |length, &byte| length << 8 | usize::from(byte));
                (length, after)
            }
            _ => return None,
        };
        let (value, after) = after.split_at_checked(length).filter(|_| found == tag)?;
        *rest = after;
        Some(Self {
            whole: &all[..all.len() - after.len()],
            value,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The same certificate in version 1: without version and extensions. Its own signature is of
    /// the other one, which nobody checks.
    pub(in super::super) fn version_1(certificate: &CertificateDer<'_>) -> CertificateDer<'static> {
        let sequence = |value: &[u8]| {
            let length = u16::try_from(value.len()).expect("a small certificate");
            let mut whole = vec![SEQUENCE, 0x82];
            whole.extend(length.to_be_bytes());
            whole.extend_from_slice(value);
            whole
        };
        let mut outer: &[u8] = certificate;
        let mut outer = Element::take(&mut outer, SEQUENCE)
            .expect("a certificate")
            .value;
        let signed = Element::take(&mut outer, SEQUENCE)
            .expect("its fields")
            .value;
        let mut fields = signed;
        Element::take(&mut fields, VERSION).expect("version 3");
        let mut rest = fields;
        for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
            Element::take(&mut rest, tag).expect("a field");
        }
        let mut made = sequence(&fields[..fields.len() - rest.len()]);
        made.extend_from_slice(outer);
        sequence(&made).into()
    }

    #[test]
    fn the_key_of_a_certificate_is_found_and_of_anything_else_is_not() {
        let made = rcgen::generate_simple_self_signed(["device".to_owned()]).expect("made");
        let certificate = made.cert.der();
        let info = read_key(certificate).expect("version 3").info;
        assert_eq!(
            read_key(&version_1(certificate)).expect("version 1").info,
            info
        );
        let key = read_key(certificate).expect("a key");
        assert!(key.bits.starts_with(&[4]), "an uncompressed point");
        for length in 0..certificate.len() {
            assert!(
                read_key(&certificate[..length]).is_none(),
                "cut at {length}"
            );
        }
        // Whatever is broken, nothing panics.
        for at in 0..certificate.len() {
            let mut broken = certificate.to_vec();
            broken[at] ^= 0xff;
            let _ = read_key(&broken);
        }
    }
}
