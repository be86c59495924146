//! Secrets: random tokens, their hashes, and how the text type that no log shows is made and sent.
//! Everything here has 128 bits of entropy or more, so a plain SHA-256 is a safe way to keep it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

pub use crate::wire::values::Secret;

/// Fills an array from the operating system's randomness.
///
/// # Panics
/// When the system has none, which Linux never reports after it has booted: nothing can go on then.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

impl Secret {
    /// A new bearer token: the prefix, which says what it is for, and 256 random bits in base64url.
    pub fn generate(prefix: &str) -> Self {
        let bytes = Zeroizing::new(random::<32>());
        Self::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(*bytes)))
    }

    /// What is stored in its place.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.expose().as_bytes())
    }
}

#[cfg(feature = "net")]
impl serde::Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

#[cfg(feature = "net")]
impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// SHA-256 of a secret, which is all that the platform keeps of one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Hashes a secret.
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Takes a hash as it was stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash's bytes, for storing and for comparing in constant time.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hash>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::generate("agt_");
        assert!(secret.expose().starts_with("agt_"));
        assert_eq!(secret.expose().len(), 4 + 43);
        assert_eq!(
            format!("{secret:?} {:?}", secret.hash()),
            "Secret(..) <hash>"
        );
        assert_ne!(secret, Secret::generate("agt_"));
    }
}
