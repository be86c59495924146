//! The log's own key pair (Ed25519, RFC 8032) and what it signs: heads, which say how far the chain
//! goes, and starts, which say where retention left it to begin. The two are signed in different words,
//! so that neither stands for the other. Reading and writing the files is the caller's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use zeroize::Zeroizing;

use super::{Hash, Place};
use crate::clock::UnixMillis;
use crate::secret::Secret;

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;
/// What stands before an Ed25519 seed in PKCS#8 (RFC 8410 section 7).
const PRIVATE_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// What stands before an Ed25519 public key in a SubjectPublicKeyInfo (RFC 8410 section 4).
const PUBLIC_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// First words of what is signed as a head.
const HEAD_WORDS: &[u8] = b"fleetwire audit head 1\0";
/// First words of what is signed as a start.
const START_WORDS: &[u8] = b"fleetwire audit start 1\0";

/// The text is no key of the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no Ed25519 key in PEM")]
pub struct KeyError;

/// A signature of the log's key.
pub type Signature = [u8; SIGNATURE_BYTES];

/// How far the chain goes: the place after the last entry, and when it was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last entry and its hash.
    pub place: Place,
    /// When this was so.
    pub at: UnixMillis,
    /// The signature over both.
    pub signature: Signature,
}

/// Where the log begins: the place before the first entry that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The last entry that was removed, and its hash.
    pub place: Place,
    /// The signature over it.
    pub signature: Signature,
}

/// The log's private key.
pub struct AuditKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditKey(..)")
    }
}

impl AuditKey {
    /// A private key out of 32 random bytes of the caller's, as PEM (PKCS#8).
    pub fn generate_pem(seed: [u8; 32]) -> Secret {
        let seed = Zeroizing::new(seed);
        let mut der = Zeroizing::new(PRIVATE_PREFIX.to_vec());
        der.extend_from_slice(&*seed);
        Secret::new(pem("PRIVATE KEY", &der))
    }

    /// Reads a private key.
    ///
    /// # Errors
    /// When it is no Ed25519 key in PEM (PKCS#8).
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyError)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map_err(|_| KeyError)?;
        let public: [u8; 32] = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| KeyError)?;
        let public = PublicKey(public);
        Ok(Self { pair, public })
    }

    /// The public part.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs how far the chain goes.
    pub fn head(&self, place: Place, at: UnixMillis) -> Head {
        Head {
            place,
            at,
            signature: self.sign(&head_message(place, at)),
        }
    }

    /// Signs where the log begins.
    pub fn start(&self, place: Place) -> Start {
        Start {
            place,
            signature: self.sign(&message(START_WORDS, place)),
        }
    }

    fn sign(&self, message: &[u8]) -> Signature {
        let mut signature = [0; SIGNATURE_BYTES];
        // An Ed25519 signature always has this length; were it another, none would verify.
        if let Ok(bytes) = self.pair.sign(message).as_ref().try_into() {
            signature = bytes;
        }
        signature
    }
}

/// The log's public key, with which anybody verifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads a public key.
    ///
    /// # Errors
    /// When it is no Ed25519 key in PEM (SubjectPublicKeyInfo).
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyError)?;
        let key = der.as_ref().strip_prefix(&PUBLIC_PREFIX).ok_or(KeyError)?;
        key.try_into().map(Self).map_err(|_| KeyError)
    }

    /// The key as PEM (SubjectPublicKeyInfo), as `openssl pkey -pubin` reads it.
    pub fn to_pem(self) -> String {
        pem("PUBLIC KEY", &[&PUBLIC_PREFIX[..], &self.0].concat())
    }

    /// Whether a head is signed with this key.
    pub fn signed_head(self, head: &Head) -> bool {
        self.signed(&head_message(head.place, head.at), &head.signature)
    }

    /// Whether a start is signed with this key.
    pub fn signed_start(self, start: &Start) -> bool {
        self.signed(&message(START_WORDS, start.place), &start.signature)
    }

    fn signed(self, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0)
            .verify(message, signature)
            .is_ok()
    }
}

fn message(words: &[u8], place: Place) -> Vec<u8> {
    let Place {
        sequence,
        hash: Hash(hash),
    } = place;
    [words, &sequence.to_be_bytes(), &hash].concat()
}

fn head_message(place: Place, at: UnixMillis) -> Vec<u8> {
    let mut message = message(HEAD_WORDS, place);
    message.extend_from_slice(&at.0.to_be_bytes());
    message
}

/// A PEM block of one line: no key here is longer.
fn pem(label: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(STANDARD.encode(der));
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        *body
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> AuditKey {
        AuditKey::from_pem(AuditKey::generate_pem([seed; 32]).expose()).expect("a key")
    }

    #[test]
    fn keys_are_kept_as_pem() {
        let one = key(1);
        let public = PublicKey::from_pem(&one.public().to_pem()).expect("a key");
        assert_eq!(public, one.public());
        assert_ne!(public, key(2).public());
        let private = AuditKey::generate_pem([1; 32]);
        assert_eq!(PublicKey::from_pem(private.expose()), Err(KeyError));
        assert!(AuditKey::from_pem(&public.to_pem()).is_err());
        for text in [
            "",
            "x",
            "-----BEGIN PUBLIC KEY-----\nMA==\n-----END PUBLIC KEY-----\n",
        ] {
            assert_eq!(PublicKey::from_pem(text), Err(KeyError), "{text}");
            assert!(AuditKey::from_pem(text).is_err(), "{text}");
        }
        assert_eq!(format!("{one:?}"), "AuditKey(..)");
    }

    #[test]
    fn a_signature_is_for_one_statement_of_one_key() {
        let (one, public) = (key(1), key(1).public());
        let place = Place {
            sequence: 7,
            hash: Hash([7; 32]),
        };
        let (head, start) = (one.head(place, UnixMillis(1)), one.start(place));
        assert!(public.signed_head(&head) && public.signed_start(&start));
        assert!(!key(2).public().signed_head(&head));
        let mut other = head;
        other.place.sequence = 6;
        assert!(!public.signed_head(&other));
        let mut other = head;
        other.place.hash = Hash([6; 32]);
        assert!(!public.signed_head(&other));
        let mut other = head;
        other.at = UnixMillis(2);
        assert!(!public.signed_head(&other));
        let mut other = start;
        other.signature = head.signature;
        assert!(!public.signed_start(&other), "a head is no start");
    }
}
