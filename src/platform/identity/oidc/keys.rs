//! The provider's published keys (RFC 7517) and the check of a signature with them (RFC 7515), over
//! ring. Only public-key algorithms exist here: `none` and the HMACs, whose key a client would share,
//! cannot be chosen by a token. What the token says and means is `id_token`'s.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

use super::fault::TokenFault;

/// Most keys of a provider: known ones publish two or three.
const KEYS_MAX: usize = 64;
/// RSA moduli in bytes, as ring takes them: what is longer only costs time.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA PKCS #1 1.5 with SHA-256.
    Rs256,
    /// With SHA-384.
    Rs384,
    /// With SHA-512.
    Rs512,
    /// RSA-PSS with SHA-256.
    Ps256,
    /// With SHA-384.
    Ps384,
    /// With SHA-512.
    Ps512,
    /// ECDSA on P-256.
    Es256,
    /// ECDSA on P-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The algorithm that is called so (RFC 7518, RFC 8037), if it is taken.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }
}

/// One published key.
#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// The only algorithm that it may be used with, where it says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// All keys with which a provider's tokens may be signed now.
#[derive(Debug)]
pub struct Keys(Vec<Key>);

/// A key as it is published; members that are not read here say nothing about a signature.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Reads a JWK set. Keys of other kinds and for other uses are left out, as are damaged ones: a
    /// token that needs one is refused.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<serde_json::Value>,
        }
        let set: Set = serde_json::from_slice(text)?;
        let keys = set.keys.into_iter().take(KEYS_MAX);
        Ok(Self(
            keys.filter_map(|key| Key::read(serde_json::from_value(key).ok()?))
                .collect(),
        ))
    }

    /// Checks a signature with the key that the token names, or with any that fits if it names none.
    ///
    /// # Errors
    /// [`TokenFault::KeyUnknown`] when there is no such key, which a newer set may have, and
    /// [`TokenFault::Signature`] when the signature is not that key's.
    pub fn verify(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), TokenFault> {
        let mut fault = TokenFault::KeyUnknown;
        for key in &self.0 {
            if id.is_some() && key.id.as_deref() != id {
                continue;
            }
            match key.verify(algorithm, signed, signature) {
                Some(true) => return Ok(()),
                Some(false) => fault = TokenFault::Signature,
                None => {}
            }
        }
        // One of several unnamed keys was tried and is wrong: the right one may be newer.
        Err(match id {
            Some(_) => fault,
            None => TokenFault::KeyUnknown,
        })
    }
}

impl Key {
    fn read(jwk: Jwk) -> Option<Self> {
        if jwk.usage.is_some_and(|usage| usage != "sig") {
            return None;
        }
        let algorithm = match jwk.alg {
            Some(name) => Some(Algorithm::named(&name)?),
            None => None,
        };
        let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let point = |length: usize, x: Option<String>, y: Option<String>| {
            let (x, y) = (bytes(x)?, bytes(y)?);
            // The uncompressed form of SEC 1, which is how ring takes a point.
            (x.len() == length && y.len() == length).then(|| [&[4], &x[..], &y[..]].concat())
        };
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let number = |text| {
                    let bytes = bytes(text)?;
                    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                    Some(bytes[zeros..].to_vec())
                };
                let (modulus, exponent) = (number(jwk.n)?, number(jwk.e)?);
                if !MODULUS_BYTES.contains(&modulus.len()) {
                    return None;
                }
                Material::Rsa { modulus, exponent }
            }
            ("EC", Some("P-256")) => Material::P256(point(32, jwk.x, jwk.y)?),
            ("EC", Some("P-384")) => Material::P384(point(48, jwk.x, jwk.y)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(jwk.x)?),
            _ => return None,
        };
        Some(Self {
            id: jwk.kid,
            algorithm,
            material,
        })
    }

    /// Whether the signature is this key's; nothing when the key is for other algorithms.
    fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> Option<bool> {
        use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        if self.algorithm.is_some_and(|own| own != algorithm) {
            return None;
        }
        let checked = match (&self.material, algorithm) {
            (Material::Rsa { modulus, exponent }, _) => {
                let parameters = match algorithm {
                    Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                    Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
                    Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
                    Es256 | Es384 | EdDsa => return None,
                };
                let (n, e) = (modulus, exponent);
                RsaPublicKeyComponents { n, e }.verify(parameters, signed, signature)
            }
            (Material::P256(point), Es256) => {
                let key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point);
                key.verify(signed, signature)
            }
            (Material::P384(point), Es384) => {
                let key = UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point);
                key.verify(signed, signature)
            }
            (Material::Ed25519(point), EdDsa) => {
                let key = UnparsedPublicKey::new(&signature::ED25519, point);
                key.verify(signed, signature)
            }
            _ => return None,
        };
        Some(checked.is_ok())
    }
}
