//! The check of an ID token (OpenID Connect Core 3.1.3.7): that the provider signed it, for this
//! client, for this sign-in, and that its time has not passed. Nothing that it claims is looked at
//! before its signature holds.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

use super::fault::TokenFault;
use super::keys::{Algorithm, Keys};
use crate::clock::UnixMillis;

/// How far the provider's clock and this machine's may be apart.
const LEEWAY_SECONDS: f64 = 60.0;
/// Longest subject (OpenID Connect Core section 2).
const SUBJECT_BYTES_MAX: usize = 255;

/// What a token has to fit.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The provider.
    pub issuer: &'a str,
    /// This client.
    pub client_id: &'a str,
    /// What this sign-in was begun with.
    pub nonce: &'a str,
    /// The access token that came with it.
    pub access_token: Option<&'a str>,
    /// The time.
    pub now: UnixMillis,
}

/// What the provider vouches for.
#[derive(Debug)]
pub struct Claims {
    /// Who, among the provider's users, for ever.
    pub subject: String,
    /// Everything else that it says.
    pub all: Map<String, Value>,
}

/// Checks a token with a provider's keys.
///
/// # Errors
/// The first thing that is wrong with it, the signature before all that it says.
pub fn verify(token: &str, keys: &Keys, expected: Expected<'_>) -> Result<Claims, TokenFault> {
    let (algorithm, claims) = signed_claims(token, keys)?;
    let checked: Checked =
        serde_json::from_value(Value::Object(claims.clone())).map_err(|_| TokenFault::Form)?;
    checked.check(algorithm, expected)?;
    Ok(Claims {
        subject: checked.sub,
        all: claims,
    })
}

/// The claims of a token whose signature holds.
fn signed_claims(token: &str, keys: &Keys) -> Result<(Algorithm, Map<String, Value>), TokenFault> {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
        kid: Option<String>,
        crit: Option<Value>,
    }
    let mut parts = token.split('.');
    let (Some(head), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenFault::Form);
    };
    let header: Header = json(head)?;
    let algorithm = Algorithm::named(&header.alg).ok_or(TokenFault::Algorithm)?;
    // An extension that must be understood, and none is.
    if header.crit.is_some() {
        return Err(TokenFault::Form);
    }
    let signed = &token[..head.len() + 1 + claims.len()];
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| TokenFault::Form)?;
    keys.verify(
        algorithm,
        header.kid.as_deref(),
        signed.as_bytes(),
        &signature,
    )?;
    Ok((algorithm, json(claims)?))
}

fn json<T: DeserializeOwned>(part: &str) -> Result<T, TokenFault> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Form)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenFault::Form)
}

/// The claims that decide whether the token is for this sign-in. What is missing is refused like
/// what is wrong, so each is there or has a form of its absence.
#[derive(Deserialize)]
struct Checked {
    #[serde(default)]
    iss: String,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    aud: Audience,
    azp: Option<String>,
    exp: Option<f64>,
    iat: Option<f64>,
    nbf: Option<f64>,
    nonce: Option<String>,
    at_hash: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Checked {
    fn check(&self, algorithm: Algorithm, expected: Expected<'_>) -> Result<(), TokenFault> {
        if self.iss != expected.issuer {
            return Err(TokenFault::Issuer);
        }
        if !self.is_for(expected.client_id) {
            return Err(TokenFault::Audience);
        }
        let now = expected.now.0 as f64 / 1000.0;
        // Written so that what is no number is refused.
        if !self.exp.is_some_and(|end| end + LEEWAY_SECONDS > now) {
            return Err(TokenFault::Expired);
        }
        let has_come = |begin: f64| begin - LEEWAY_SECONDS <= now;
        if !self.iat.is_some_and(has_come) || !self.nbf.is_none_or(has_come) {
            return Err(TokenFault::NotYet);
        }
        let nonce = self.nonce.as_deref().unwrap_or_default();
        if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
            return Err(TokenFault::Nonce);
        }
        if let (Some(hash), Some(token)) = (&self.at_hash, expected.access_token)
            && *hash != half_hash(algorithm, token)
        {
            return Err(TokenFault::AccessToken);
        }
        let subject = (1..=SUBJECT_BYTES_MAX).contains(&self.sub.len());
        if !subject || !self.sub.is_ascii() {
            return Err(TokenFault::Subject);
        }
        Ok(())
    }

    /// Whether it was made for this client: named as the audience, and as the party that it was
    /// given to where the token names one, which it must where there are several audiences.
    fn is_for(&self, client_id: &str) -> bool {
        let authorised = self.azp.as_deref();
        match &self.aud {
            Audience::One(one) => one == client_id && authorised.is_none_or(|to| to == client_id),
            Audience::Many(many) => {
                many.iter().any(|one| one == client_id)
                    && match authorised {
                        Some(to) => to == client_id,
                        None => many.len() == 1,
                    }
            }
        }
    }
}

/// The left half of a token's hash, by the hash of the signature's algorithm (`at_hash`).
fn half_hash(algorithm: Algorithm, token: &str) -> String {
    use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    let hash = match algorithm {
        Rs256 | Ps256 | Es256 => Sha256::digest(token).to_vec(),
        Rs384 | Ps384 | Es384 => Sha384::digest(token).to_vec(),
        // Ed25519 hashes with SHA-512 itself.
        Rs512 | Ps512 | EdDsa => Sha512::digest(token).to_vec(),
    };
    URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2])
}

#[cfg(test)]
mod tests;
