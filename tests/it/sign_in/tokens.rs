//! Access tokens that the platform did not make, or made for something else or another time, and refresh
//! tokens that come twice.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

use super::doors::{DOORS, Door, Refusal, Visitor};
use super::{PASSWORD, create_user, me, refresh, sign_in, text, unauthenticated};
use crate::support::Platform;

/// The header, the claims and the MAC of a token, and the key of the platform that made it.
struct Forger {
    header: Value,
    claims: Value,
    parts: [String; 3],
    key: hmac::Key,
}

impl Forger {
    fn of(platform: &Platform, token: &str) -> Self {
        let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
        let parts: [String; 3] = parts.try_into().expect("three parts");
        let read = |part: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
            serde_json::from_slice::<Value>(&bytes).expect("JSON")
        };
        Self {
            header: read(&parts[0]),
            claims: read(&parts[1]),
            parts,
            key: key_of(platform),
        }
    }

    /// The same claims but for one.
    fn claiming(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims.clone();
        assert!(!claims[name].is_null(), "{name} is one of them");
        claims[name] = value;
        claims
    }

    /// A token of these two with the right key's MAC over them.
    fn signed(&self, header: &str, claims: &Value) -> String {
        signed(&self.key, header, claims)
    }
}

/// The key that a platform's tokens carry a MAC of.
fn key_of(platform: &Platform) -> hmac::Key {
    let path = platform.data_dir().join("access-token.key");
    let text = std::fs::read_to_string(path).expect("there");
    let key = URL_SAFE_NO_PAD.decode(text.trim()).expect("base64url");
    hmac::Key::new(hmac::HMAC_SHA256, &key)
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signed(key: &hmac::Key, header: &str, claims: &Value) -> String {
    let signed = format!("{header}.{}", encoded(claims));
    let mac = hmac::sign(key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
}

/// The same text with another letter somewhere in it, of which each bit counts.
fn altered(text: &str) -> String {
    let middle = text.len() / 2;
    let letter = if text.as_bytes()[middle] == b'A' {
        "B"
    } else {
        "A"
    };
    format!("{}{letter}{}", &text[..middle], &text[middle + 1..])
}

#[tokio::test]
async fn a_token_that_the_platform_did_not_make_for_this_opens_neither_door() {
    let (platform, other) = (Platform::start(&[]), Platform::start(&[]));
    let admin = text(&create_user(&platform, "root", "admin").await, "id").to_owned();
    create_user(&platform, "ada", "viewer").await;
    create_user(&other, "ada", "viewer").await;
    let visitor = Visitor::new(&platform);
    let tokens = sign_in(&visitor, Door::Rest, "ada", PASSWORD, None).await;
    let tokens = tokens.expect("signed in");
    let token = text(&tokens, "access_token");
    let forger = Forger::of(&platform, token);
    let [header, claims, mac] = &forger.parts;
    let foreign = sign_in(&Visitor::new(&other), Door::Rest, "ada", PASSWORD, None).await;
    let foreign = text(&foreign.expect("signed in"), "access_token").to_owned();
    let other_header = foreign.split('.').next().expect("a header").to_owned();

    let mut none = forger.header.clone();
    none["alg"] = "none".into();
    let none = encoded(&none);
    let issued = forger.claims["iat"].as_u64().expect("a time");
    let mut past = forger.claiming("iat", json!(issued - 901));
    past["exp"] = json!(issued - 1);
    let audience = forger.claiming("aud", json!("fleetwire.session"));
    let issuer = forger.claiming("iss", json!("https://id.example"));
    let as_admin = forger.claiming("sub", json!(admin));
    let family = forger.claiming("sid", json!("00000000-0000-4000-8000-000000000000"));
    let refused = [
        ("nothing", String::new()),
        ("expired", forger.signed(header, &past)),
        (
            "an altered header",
            format!("{}.{claims}.{mac}", altered(header)),
        ),
        (
            "altered claims",
            format!("{header}.{}.{mac}", altered(claims)),
        ),
        (
            "an altered MAC",
            format!("{header}.{claims}.{}", altered(mac)),
        ),
        (
            "another's claims",
            format!("{header}.{}.{mac}", encoded(&as_admin)),
        ),
        ("no algorithm, no MAC", format!("{none}.{claims}.")),
        ("no algorithm, two parts", format!("{none}.{claims}")),
        ("no algorithm, its MAC", format!("{none}.{claims}.{mac}")),
        (
            "no algorithm, a MAC over it",
            forger.signed(&none, &forger.claims),
        ),
        ("another audience", forger.signed(header, &audience)),
        ("another issuer", forger.signed(header, &issuer)),
        ("another's sign-in", forger.signed(header, &as_admin)),
        ("a sign-in that is none", forger.signed(header, &family)),
        ("another platform's", foreign),
        (
            "another platform's key",
            signed(&key_of(&other), header, &forger.claims),
        ),
        (
            "its key and header",
            signed(&key_of(&other), &other_header, &forger.claims),
        ),
        ("a refresh token", text(&tokens, "refresh_token").to_owned()),
        ("cut short", token[..token.len() - 1].to_owned()),
        ("twice", format!("{token}.{token}")),
        ("very long", format!("{token}{}", "A".repeat(8_000))),
    ];
    for door in DOORS {
        // What the forger makes of what the platform says is taken: so the refusals below mean something.
        let same = forger.signed(header, &forger.claims);
        for good in [token, &same] {
            let user = me(&platform, door, good).await.expect("let in");
            assert_eq!(user["name"], "ada");
        }
        for (what, token) in &refused {
            let refusal = me(&platform, door, token).await.map_err(Refusal::what);
            assert_eq!(
                refusal,
                Err(unauthenticated("token_invalid")),
                "{what}, {door:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_its_sign_in_by_either_door() {
    let platform = Platform::start(&[]);
    create_user(&platform, "ada", "viewer").await;
    let visitor = Visitor::new(&platform);
    for (first, second) in [
        (Door::Rest, Door::Rest),
        (Door::Grpc, Door::Grpc),
        (Door::Rest, Door::Grpc),
    ] {
        let signed_in = async || {
            let tokens = sign_in(&visitor, first, "ada", PASSWORD, None).await;
            tokens.expect("signed in")
        };
        let (began, aside) = (signed_in().await, signed_in().await);
        let used = text(&began, "refresh_token");
        let next = refresh(&platform, first, used).await.expect("refreshed");
        assert_ne!(text(&next, "refresh_token"), used);
        let access = text(&next, "access_token");
        me(&platform, second, access).await.expect("let in");

        let refusal = refresh(&platform, second, used).await;
        assert_eq!(
            refusal.map_err(Refusal::what),
            Err(unauthenticated("refresh_token_reused"))
        );
        // Whoever of the two had the new pair has nothing of it.
        let after = refresh(&platform, first, text(&next, "refresh_token")).await;
        let after = after.map_err(Refusal::what);
        assert!(
            [
                Err(unauthenticated("refresh_token_invalid")),
                Err(unauthenticated("refresh_token_reused")),
            ]
            .contains(&after),
            "{after:?}"
        );
        for token in [access, text(&began, "access_token")] {
            for door in DOORS {
                let refusal = me(&platform, door, token).await.map_err(Refusal::what);
                assert_eq!(refusal, Err(unauthenticated("token_invalid")));
            }
        }
        // The user's other sign-in is not touched.
        let kept = text(&aside, "access_token");
        me(&platform, second, kept).await.expect("let in");
    }
    let audit = platform.operate_json(&["audit", "list", "--action", "user.refresh_reused"]);
    assert_eq!(audit["entries"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let platform = Platform::start(&[]);
    create_user(&platform, "ada", "viewer").await;
    let visitor = Visitor::new(&platform);
    let tokens = sign_in(&visitor, Door::Rest, "ada", PASSWORD, None).await;
    let tokens = tokens.expect("signed in");
    let token = text(&tokens, "refresh_token");
    for door in DOORS {
        for none in [
            text(&tokens, "access_token"),
            &altered(token),
            &token[..token.len() - 1],
            "fwr_",
            "none",
        ] {
            let refusal = refresh(&platform, door, none).await.map_err(Refusal::what);
            assert_eq!(refusal, Err(unauthenticated("refresh_token_invalid")));
        }
    }
    refresh(&platform, Door::Rest, token)
        .await
        .expect("it is as good as before");
}
