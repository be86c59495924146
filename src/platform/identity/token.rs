//! Access tokens: JSON Web Tokens (RFC 7519) that say who signed in and at which sign-in, for a quarter
//! of an hour. What the user may do is not in them.
//!
//! They carry a MAC (HS256), no signature: nobody but the platform makes or checks one, a MAC is checked
//! in 2 us where Ed25519 takes 50 (each request has one), and there is no public key that somebody
//! could have it checked with as another kind of key. The header is never interpreted: it is one of those
//! that the keys in hand write, byte by byte, or the token is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::key_file::Key;
use crate::clock::UnixMillis;
use crate::ids::{FamilyId, UserId};
use crate::secret::Secret;

/// The longest token that is looked at; ours have about 300 bytes.
const TOKEN_BYTES_MAX: usize = 1024;
/// Who makes the tokens.
const ISSUER: &str = "fleetwire";
/// What they are for. Another kind of token under the same key says another.
const AUDIENCE: &str = "fleetwire.api";

/// The keys of access tokens: the first makes them, all of them check.
pub(super) struct TokenKeys(Vec<TokenKey>);

struct TokenKey {
    /// The header of this key's tokens, as it stands in them.
    header: String,
    key: hmac::Key,
}

/// What a token says, which was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AccessToken {
    /// Who signed in.
    pub(super) user: UserId,
    /// At which sign-in.
    pub(super) family: FamilyId,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    sid: &'a str,
    iat: u64,
    exp: u64,
}

impl TokenKeys {
    /// The keys of a key file.
    pub(super) fn new(keys: &[Key]) -> Self {
        let of = |key: &Key| {
            // The id follows from the key, so that it is known wherever the key is.
            let id = URL_SAFE_NO_PAD.encode(&Sha256::digest(**key)[..8]);
            let header = format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{id}"}}"#);
            TokenKey {
                header: URL_SAFE_NO_PAD.encode(header),
                key: hmac::Key::new(hmac::HMAC_SHA256, &**key),
            }
        };
        Self(keys.iter().map(of).collect())
    }

    /// Makes a token, good until `expires`, to the second. None where there is no key, which a key
    /// file does not allow.
    pub(super) fn make(
        &self,
        token: AccessToken,
        now: UnixMillis,
        expires: UnixMillis,
    ) -> Option<Secret> {
        let TokenKey { header, key } = self.0.first()?;
        let claims = Claims {
            iss: ISSUER,
            aud: AUDIENCE,
            sub: &token.user.to_string(),
            sid: &token.family.to_string(),
            iat: now.0 / 1000,
            exp: expires.0 / 1000,
        };
        let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).ok()?);
        let signed = format!("{header}.{claims}");
        let mac = URL_SAFE_NO_PAD.encode(hmac::sign(key, signed.as_bytes()));
        Some(Secret::new(format!("{signed}.{mac}")))
    }

    /// What a token says, if one of the keys made it and its time is not over.
    pub(super) fn check(&self, now: UnixMillis, token: &Secret) -> Option<AccessToken> {
        let text = token.expose();
        if text.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (signed, mac) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let TokenKey { key, .. } = self.0.iter().find(|of| of.header == header)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        hmac::verify(key, signed.as_bytes(), &mac).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        let claims: Claims<'_> = serde_json::from_slice(&claims).ok()?;
        let good = claims.iss == ISSUER && claims.aud == AUDIENCE && now.0 / 1000 < claims.exp;
        good.then_some(())?;
        Some(AccessToken {
            user: claims.sub.parse().ok()?,
            family: claims.sid.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use zeroize::Zeroizing;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_750_000_000_000);
    const EXPIRES: UnixMillis = UnixMillis(NOW.0 + 900_000);

    fn keys(bytes: &[u8]) -> TokenKeys {
        let keys: Vec<_> = bytes
            .iter()
            .map(|byte| Zeroizing::new([*byte; 32]))
            .collect();
        TokenKeys::new(&keys)
    }

    fn token() -> AccessToken {
        AccessToken {
            user: UserId::random([1; 16]),
            family: FamilyId::random([2; 16]),
        }
    }

    fn made() -> String {
        let made = keys(&[7]).make(token(), NOW, EXPIRES).expect("made");
        made.expose().to_owned()
    }

    fn check(keys: &TokenKeys, now: UnixMillis, text: &str) -> Option<AccessToken> {
        keys.check(now, &Secret::new(text.to_owned()))
    }

    fn part(text: &str) -> Value {
        let bytes = URL_SAFE_NO_PAD.decode(text).expect("base64url");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    /// A token with this header and these claims, and the MAC of the right key over both.
    fn signed(header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let mac = hmac::sign(&keys(&[7]).0[0].key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    #[test]
    fn a_token_is_a_jwt_that_says_who_and_for_how_long() {
        let made = made();
        let parts: Vec<_> = made.split('.').collect();
        let header = part(parts[0]);
        assert_eq!(
            (&header["alg"], &header["typ"]),
            (&json!("HS256"), &json!("JWT"))
        );
        assert_eq!(
            part(parts[1]),
            json!({
                "iss": "fleetwire",
                "aud": "fleetwire.api",
                "sub": token().user.to_string(),
                "sid": token().family.to_string(),
                "iat": NOW.0 / 1000,
                "exp": EXPIRES.0 / 1000,
            })
        );
        assert!(made.len() < TOKEN_BYTES_MAX / 2);
        let keys = keys(&[7]);
        assert_eq!(check(&keys, NOW, &made), Some(token()));
        assert_eq!(
            check(&keys, UnixMillis(EXPIRES.0 - 1), &made),
            Some(token())
        );
        assert_eq!(check(&keys, EXPIRES, &made), None, "expired");
    }

    #[test]
    fn keys_are_changed_without_anybody_noticing() {
        let old = made();
        let both = keys(&[9, 7]);
        assert_eq!(check(&both, NOW, &old), Some(token()));
        let new = both.make(token(), NOW, EXPIRES).expect("made");
        assert_ne!(new.expose().split('.').next(), old.split('.').next());
        assert_eq!(both.check(NOW, &new), Some(token()));
        assert_eq!(check(&keys(&[9]), NOW, &old), None, "of a key that is gone");
        assert_eq!(check(&keys(&[7]), NOW, new.expose()), None);
    }

    #[test]
    fn one_that_was_altered_anywhere_is_refused() {
        let (made, keys) = (made(), keys(&[7]));
        for at in 0..made.len() {
            for with in [b'A', b'B', b'.', b'=', b'-'] {
                let mut bytes = made.clone().into_bytes();
                if bytes[at] != with {
                    bytes[at] = with;
                    let text = String::from_utf8(bytes).expect("ASCII");
                    assert_eq!(check(&keys, NOW, &text), None, "{text}");
                }
            }
            assert_eq!(check(&keys, NOW, &made[..at]), None, "cut");
        }
        let long = format!("{made}{}", "A".repeat(100_000));
        for text in [
            &format!("{made}="),
            &format!("{made}."),
            &format!(" {made}"),
            &long,
        ] {
            assert_eq!(check(&keys, NOW, text), None);
        }
    }

    #[test]
    fn the_algorithm_is_not_for_the_token_to_say() {
        let (made, keys) = (made(), keys(&[7]));
        let parts: Vec<_> = made.split('.').collect();
        let (header, claims) = (part(parts[0]), part(parts[1]));
        let with = |name: &str, value: Value| {
            let mut header = header.clone();
            header[name] = value;
            header
        };
        for header in [
            with("alg", json!("none")),
            with("alg", json!("None")),
            with("alg", json!("HS512")),
            with("alg", json!("RS256")),
            with("kid", json!("../../dev/null")),
            with("jwk", json!({"kty": "oct", "k": ""})),
            with("crit", json!(["b64"])),
            json!({"alg": "none"}),
            json!({}),
        ] {
            let text = signed(&header, &claims);
            assert_eq!(check(&keys, NOW, &text), None, "{header}");
            let end = text.rfind('.').expect("a MAC");
            assert_eq!(check(&keys, NOW, &text[..=end]), None, "without a MAC");
            assert_eq!(check(&keys, NOW, &text[..end]), None);
        }
        let unsigned = format!("{}.{}.", parts[0], parts[1]);
        assert_eq!(check(&keys, NOW, &unsigned), None);
    }

    #[test]
    fn one_for_something_else_is_refused() {
        let (made, keys) = (made(), keys(&[7]));
        let parts: Vec<_> = made.split('.').collect();
        let (header, claims) = (part(parts[0]), part(parts[1]));
        // The header has to be as it was written, so that its text is taken as it is.
        let signed = |claims: &Value| {
            let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
            let signed = format!("{}.{claims}", parts[0]);
            let mac = hmac::sign(&keys.0[0].key, signed.as_bytes());
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
        };
        assert_eq!(header["alg"], "HS256");
        assert_eq!(check(&keys, NOW, &signed(&claims)), Some(token()));
        for (name, value) in [
            ("aud", json!("fleetwire.other")),
            ("aud", json!(["fleetwire.api"])),
            ("iss", json!("https://id.example")),
            ("sub", json!("admin")),
            ("sid", json!("")),
            ("exp", json!(NOW.0 / 1000)),
            ("exp", json!(-1)),
            ("exp", json!("9999999999")),
            ("exp", Value::Null),
            ("role", json!("admin")),
        ] {
            let mut other = claims.clone();
            other[name] = value;
            assert_eq!(check(&keys, NOW, &signed(&other)), None, "{other}");
        }
        for name in ["iss", "aud", "sub", "sid", "exp"] {
            let mut other = claims.clone();
            other.as_object_mut().expect("an object").remove(name);
            assert_eq!(check(&keys, NOW, &signed(&other)), None, "without {name}");
        }
        for text in ["", ".", "..", "...", "a.b.c", &format!("{}..", parts[0])] {
            assert_eq!(check(&keys, NOW, text), None, "{text:?}");
        }
    }
}
