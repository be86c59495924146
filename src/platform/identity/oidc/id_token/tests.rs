//! Tokens that are signed here, by a key of each kind, whole and then spoilt in one thing at a time.

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use serde_json::json;

use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// A provider with one Ed25519 and one P-256 key.
struct Provider {
    edwards: Ed25519KeyPair,
    p256: EcdsaKeyPair,
    keys: Keys,
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Provider {
    fn new() -> Self {
        let random = SystemRandom::new();
        let edwards = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
        let edwards = Ed25519KeyPair::from_pkcs8(edwards.as_ref()).expect("a key");
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let p256 = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
        let p256 = EcdsaKeyPair::from_pkcs8(kind, p256.as_ref(), &random).expect("a key");
        let point = p256.public_key().as_ref();
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": text(edwards.public_key().as_ref())},
            {"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "alg": "ES256",
             "x": text(&point[1..33]), "y": text(&point[33..])},
            {"kty": "oct", "kid": "hmac", "k": "AAAA"},
            {"kty": "RSA", "kid": "short", "n": text(&[0xff; 128]), "e": "AQAB"},
            {"kty": "RSA", "kid": "encryption", "use": "enc", "n": text(&[0xff; 256]), "e": "AQAB"},
            {"kid": 7},
        ]});
        let keys = Keys::parse(set.to_string().as_bytes()).expect("a set");
        Self {
            edwards,
            p256,
            keys,
        }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            text(header.to_string().as_bytes()),
            text(claims.to_string().as_bytes())
        );
        let signature = if header["alg"] == "ES256" {
            let random = SystemRandom::new();
            let signature = self.p256.sign(&random, signed.as_bytes()).expect("signed");
            signature.as_ref().to_vec()
        } else {
            self.edwards.sign(signed.as_bytes()).as_ref().to_vec()
        };
        format!("{signed}.{}", text(&signature))
    }

    fn verify(&self, token: &str) -> Result<Claims, TokenFault> {
        verify(
            token,
            &self.keys,
            Expected {
                issuer: "https://id.example.com",
                client_id: "fleetwire",
                nonce: "n-1",
                access_token: Some("access"),
                now: NOW,
            },
        )
    }

    /// What becomes of a whole token that has these claims in the place of its own.
    fn with(&self, changes: Value) -> Result<(), TokenFault> {
        let mut claims = good();
        for (name, value) in changes.as_object().expect("an object") {
            if value.is_null() {
                claims.as_object_mut().expect("an object").remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        let token = self.sign(&json!({"alg": "EdDSA", "kid": "ed"}), &claims);
        self.verify(&token).map(|_| ())
    }
}

fn seconds() -> u64 {
    NOW.0 / 1000
}

fn good() -> Value {
    json!({
        "iss": "https://id.example.com", "sub": "u-1", "aud": "fleetwire", "nonce": "n-1",
        "iat": seconds(), "exp": seconds() + 300, "name": "Ada",
    })
}

#[test]
fn a_good_token_says_who_signed_in() {
    let provider = Provider::new();
    for header in [
        json!({"alg": "EdDSA", "kid": "ed", "typ": "JWT"}),
        json!({"alg": "EdDSA"}),
        json!({"alg": "ES256", "kid": "ec"}),
    ] {
        let claims = provider.verify(&provider.sign(&header, &good()));
        let claims = claims.unwrap_or_else(|fault| panic!("{header}: {fault:?}"));
        assert_eq!(
            (claims.subject.as_str(), &claims.all["name"]),
            ("u-1", &json!("Ada"))
        );
    }
}

#[test]
fn no_token_chooses_how_it_is_checked() {
    let provider = Provider::new();
    let unsigned = |alg: &str| {
        let head = text(json!({"alg": alg, "kid": "ed"}).to_string().as_bytes());
        format!("{head}.{}.", text(good().to_string().as_bytes()))
    };
    for alg in ["none", "None", "HS256", "ES512", "", "RS1"] {
        let refused = provider.verify(&unsigned(alg)).err();
        assert_eq!(refused, Some(TokenFault::Algorithm), "{alg}");
    }
    // A known key, but for another algorithm than it is published for.
    for (alg, kid) in [
        ("RS256", "ed"),
        ("ES256", "ed"),
        ("EdDSA", "ec"),
        ("EdDSA", "hmac"),
    ] {
        let token = provider.sign(&json!({"alg": alg, "kid": kid}), &good());
        let refused = provider.verify(&token).err();
        assert_eq!(refused, Some(TokenFault::KeyUnknown), "{alg} with {kid}");
    }
    for kid in ["short", "encryption", "nobody"] {
        let token = provider.sign(&json!({"alg": "RS256", "kid": kid}), &good());
        assert_eq!(
            provider.verify(&token).err(),
            Some(TokenFault::KeyUnknown),
            "{kid}"
        );
    }
    let critical = json!({"alg": "EdDSA", "kid": "ed", "crit": ["b64"], "b64": false});
    let refused = provider.verify(&provider.sign(&critical, &good())).err();
    assert_eq!(refused, Some(TokenFault::Form));
}

#[test]
fn what_was_signed_cannot_be_changed() {
    let provider = Provider::new();
    let header = json!({"alg": "EdDSA", "kid": "ed"});
    let token = provider.sign(&header, &good());
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    let mut claims = good();
    claims["sub"] = json!("u-2");
    parts[1] = text(claims.to_string().as_bytes());
    assert_eq!(
        provider.verify(&parts.join(".")).err(),
        Some(TokenFault::Signature)
    );
    let other = Provider::new().sign(&header, &good());
    assert_eq!(provider.verify(&other).err(), Some(TokenFault::Signature));
    for damaged in [
        "",
        "a.b",
        "a.b.c",
        &format!("{token}.x"),
        &format!("{token}="),
        &token[1..],
    ] {
        assert_eq!(
            provider.verify(damaged).err(),
            Some(TokenFault::Form),
            "{damaged}"
        );
    }
}

#[test]
fn each_claim_counts() {
    let provider = Provider::new();
    let now = seconds();
    let hash = half_hash(Algorithm::EdDsa, "access");
    for good in [
        json!({}),
        json!({"aud": ["fleetwire"]}),
        json!({"aud": ["api", "fleetwire"], "azp": "fleetwire"}),
        json!({"exp": now - 59, "iat": now + 59}),
        json!({"exp": now as f64 + 0.5, "nbf": now}),
        json!({"at_hash": hash}),
    ] {
        assert_eq!(provider.with(good.clone()), Ok(()), "{good}");
    }
    for (changes, fault) in [
        (
            json!({"iss": "https://id.example.com/"}),
            TokenFault::Issuer,
        ),
        (json!({"iss": null}), TokenFault::Issuer),
        (json!({"aud": "other"}), TokenFault::Audience),
        (json!({"aud": []}), TokenFault::Audience),
        (json!({"aud": null}), TokenFault::Audience),
        (json!({"aud": ["api", "fleetwire"]}), TokenFault::Audience),
        (
            json!({"aud": ["api", "fleetwire"], "azp": "api"}),
            TokenFault::Audience,
        ),
        (json!({"azp": "api"}), TokenFault::Audience),
        (json!({"exp": now - 60}), TokenFault::Expired),
        (json!({"exp": null}), TokenFault::Expired),
        (json!({"iat": now + 61}), TokenFault::NotYet),
        (json!({"iat": null}), TokenFault::NotYet),
        (json!({"nbf": now + 61}), TokenFault::NotYet),
        (json!({"nonce": "n-2"}), TokenFault::Nonce),
        (json!({"nonce": null}), TokenFault::Nonce),
        (json!({"at_hash": text(&[0; 32])}), TokenFault::AccessToken),
        (json!({"sub": ""}), TokenFault::Subject),
        (json!({"sub": null}), TokenFault::Subject),
        (json!({"sub": "x".repeat(256)}), TokenFault::Subject),
        (json!({"exp": "never"}), TokenFault::Form),
        (json!({"aud": 1}), TokenFault::Form),
    ] {
        assert_eq!(provider.with(changes.clone()), Err(fault), "{changes}");
    }
}

/// Signatures that OpenSSL made, of `head.claims`.
#[test]
fn signatures_of_another_implementation_hold() {
    let set = json!({"keys": [
        {
            "kty": "RSA", "e": "AQAB",
            "n": "k4EJhEI2MCGTMkrM3tmtfgmLbRb6gVHHh6fZj8GOgjsS9oGf8_gssbflo7cBOx7oTUH8rTgYL2YHVEIvimUiLh-JwMROqaV-\
                  TuwIHWlezzvk_5s8D8AVpVdeiMNNqRfWGfzXurpl4QXV9GTmNNgKVpDk6x-CbImckDfvoKAGrUn5ED91bWIMU_lz8o0-QyUs\
                  0OU34QI61z_1VicmNQjKhBtjwFUU8tcgCXJ7BlpfEZhcg3Gvj-RGhUPg40WZW3XWwFFyat3bK-Fzdci7yYC9zX83G1JdwlfK\
                  G4uu4rgdnSyFUjD14vAGHhw2Xgn3X5U0lqtkUrv6Hu--gXUs3el7vw",
        },
        {
            "kty": "EC", "crv": "P-384",
            "x": "G3_gkAD-FxndKgZKOWDdVLfM38oD_lrTzp10Imw3zAVEF5vwE6O7kKmGtF7oRJ4d",
            "y": "X71_WURIj733TYaeLjl6CtOpG9-j_0kpV9QA3l-0EMImYPtAlbwVf1Ggcl8DTwy5",
        },
    ]});
    let keys = Keys::parse(set.to_string().as_bytes()).expect("a set");
    let signatures = [
        (
            Algorithm::Rs256,
            "Q_ED67ZkiPuuFg1ONvD6B9xaf3wRLBUTjaz__CBIcb9CEibOhwk5uA_DpRQi8_g6bYxDQCV66L7dFnP1J591YKKujKgaXQRR\
             DyHK3CWBnnyTPDUNbaNRH2m6LKRE8z6UYavZ0WH0UrXdq1FnwDfcTZEt5iOlOm1u1tYFG7uCES6dRcXF2aFP6mRASFKWW9P7\
             bBCFA8w58lNIJZi94f85QofHUR-iQsWtgl0mMRpAMW3Zy8QfA8WTvHrdP0Mu74INg9B6j_mCwgc_RGhjirKI1jwOlqbEB4Kl\
             AieiQZmu_0-VcG9eeBueZrZeuQ8bZ8cwd-qKg_iX3CrRgXar7GLUtg",
        ),
        (
            Algorithm::Ps384,
            "C4rCimPF8e4elksJJEj7pLT8__PlU4TX06psL7nQKaHc-B8Z9a54mFPzyutEwRcYoun3R9V1Ubg2ykeldHVu45VYz5FvPhxH\
             vyWJQLu3Do60c4fZOh0JfuYO1dx7zMeM0uBn5Ehda-mzUViIQ0HNapUwHRre9Y3zHOZVfx0jKPcmLcja1RdB9dnMFC2TEyfn\
             swnzNyOpxxbX4Fjh9aA8JawaFmmyYsKVc0iWGnr2sK-hXL-1ZEtjEtoyAYRfyNJ2m5PFVZfzplfDA7T6kvq9fKCiOpicbzbB\
             g9_kaM89mC2j58jRNrgBg5LjKurAtbPLnFvt_gLV2TszKnv4u_P-_Q",
        ),
        (
            Algorithm::Es384,
            "JMd1DfjKsEhHT8Ch16qBMO9Fpc2AoL0YdMTGAdBZC1xCnED3VO-A2PZnd3HgVD-9BizVUotk_GAlLxIQ_YZGEqCTEJMNyqXC\
             pY2lTT2TNauKxTEh_BfIJkngxIniapop",
        ),
    ];
    for (algorithm, signature) in signatures {
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        let check = |algorithm, signed: &[u8]| keys.verify(algorithm, None, signed, &signature);
        assert_eq!(check(algorithm, b"head.claims"), Ok(()), "{algorithm:?}");
        assert!(check(algorithm, b"head.claimz").is_err(), "{algorithm:?}");
        for other in [
            Algorithm::Rs512,
            Algorithm::Ps256,
            Algorithm::Es256,
            Algorithm::EdDsa,
        ] {
            assert!(
                check(other, b"head.claims").is_err(),
                "{algorithm:?} as {other:?}"
            );
        }
    }
}
