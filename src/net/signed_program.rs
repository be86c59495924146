//! Whose programs agents take: Ed25519 signatures (RFC 8032) over the version and the hash of a program, made by
//! whoever has the private key and verified by each agent with the keys that its owner has named. How keys are kept
//! in files is OpenSSL's form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use crate::net::own_origin::hash_text;

/// What stands before the 32 bytes of an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410 section 4).
const SPKI_PREFIX: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// How long a signature is, in bytes.
const SIGNATURE_BYTES: usize = 64;

/// A key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is none of the forms that a public key may have.
    #[error(
        "it is no Ed25519 public key: 32 bytes in base64, or the PEM that openssl pkey -pubout writes"
    )]
    Public,
    /// It is no private key.
    #[error("it is no Ed25519 private key: the PEM that openssl genpkey -algorithm ed25519 writes")]
    Private,
}

/// What is signed: no program can be given another version than the one that it was signed with.
pub fn message(version: &str, sha256: &[u8; 32]) -> String {
    format!("fleetwire agent update\n{version}\n{}", hash_text(sha256))
}

/// A key whose programs are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads one out of a PEM file's text.
    ///
    /// # Errors
    /// Where it is none.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let key = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes());
        Self::from_bytes(key.map_err(|_| KeyError::Public)?.as_ref())
    }

    /// Reads one that stands in a setting: base64 of the key alone, or of its `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// Where it is none.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text.trim());
        Self::from_bytes(&bytes.map_err(|_| KeyError::Public)?)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let key = bytes.strip_prefix(SPKI_PREFIX).unwrap_or(bytes);
        key.try_into().map(Self).map_err(|_| KeyError::Public)
    }

    /// Whether its owner has signed this. The signature is base64 with its padding, and nothing else.
    pub fn has_signed(&self, version: &str, sha256: &[u8; 32], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        let message = message(version, sha256);
        signature.len() == SIGNATURE_BYTES && key.verify(message.as_bytes(), &signature).is_ok()
    }
}

/// Signs a program with a private key out of a PEM file's text.
///
/// # Errors
/// Where the text has no such key.
pub fn sign(private_pem: &str, version: &str, sha256: &[u8; 32]) -> Result<String, KeyError> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(private_pem.as_bytes());
    let key = key.map_err(|_| KeyError::Private)?;
    // OpenSSL's form has no public key in it to be compared with.
    let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_pkcs8_der());
    let key = key.map_err(|_| KeyError::Private)?;
    let signature = key.sign(message(version, sha256).as_bytes());
    Ok(STANDARD.encode(signature.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by openssl genpkey -algorithm ed25519, and signed by openssl pkeyutl -sign -rawin.
    const PRIVATE: &str = include_str!("../../tests/vectors/update/private.pem");
    const PUBLIC: &str = include_str!("../../tests/vectors/update/public.pem");
    const SIGNATURE: &str = include_str!("../../tests/vectors/update/signature.base64");
    const HASH: [u8; 32] = [0x5a; 32];

    #[test]
    fn it_signs_and_verifies_as_openssl_does() {
        let signature = sign(PRIVATE, "1.2.3", &HASH).expect("a key");
        assert_eq!(signature, SIGNATURE.trim());
        let key = PublicKey::from_pem(PUBLIC).expect("a key");
        assert!(key.has_signed("1.2.3", &HASH, &signature));
        let body: String = PUBLIC
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        assert_eq!(PublicKey::from_text(&body), Ok(key));
        assert_eq!(PublicKey::from_text(&STANDARD.encode(key.0)), Ok(key));
    }

    #[test]
    fn nothing_else_is_signed() {
        let key = PublicKey::from_pem(PUBLIC).expect("a key");
        let signature = SIGNATURE.trim();
        assert!(!key.has_signed("1.2.4", &HASH, signature));
        assert!(!key.has_signed("1.2.3", &[0x5b; 32], signature));
        let mut bytes = STANDARD.decode(signature).expect("base64");
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert!(
                !key.has_signed("1.2.3", &HASH, &STANDARD.encode(&bytes)),
                "{at}"
            );
            bytes[at] ^= 1;
        }
        // The same point of the curve by another number (RFC 8032 section 5.1.7: S is below the order).
        let order = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0;
        for (byte, add) in bytes[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + add + carry;
            *byte = (sum & 0xff) as u8;
            carry = sum >> 8;
        }
        assert!(!key.has_signed("1.2.3", &HASH, &STANDARD.encode(&bytes)));
        for other in [
            "",
            "AAAA",
            &format!("{signature}AAAA"),
            &format!(" {signature}"),
        ] {
            assert!(!key.has_signed("1.2.3", &HASH, other), "{other:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "AAAA", "not base64", PUBLIC] {
            assert_eq!(PublicKey::from_text(text), Err(KeyError::Public), "{text}");
        }
        assert_eq!(PublicKey::from_pem(PRIVATE), Err(KeyError::Public));
        assert_eq!(sign(PUBLIC, "1", &HASH), Err(KeyError::Private));
    }
}
