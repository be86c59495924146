//! What users do about their own way in: another password, a second factor, its recovery codes.

use std::time::{SystemTime, UNIX_EPOCH};

use fleetwire::schema::api as pb;
use ring::hmac;
use serde_json::{Value, json};

use super::doors::{DOORS, Door, Method, Refusal, Visitor, method};
use super::{CREATE_KEY, PASSWORD, create_user, me, refresh, sign_in, text, unauthenticated};
use crate::support::Platform;

const OTHER: &str = "incorrect donkey battery staple";

const CHANGE: Method<pb::ChangePasswordRequest, pb::ChangePasswordResponse> = method(
    "POST",
    "/api/auth/password",
    "AuthService/ChangePassword",
    "",
);
const BEGIN: Method<pb::BeginTotpRequest, pb::BeginTotpResponse> =
    method("POST", "/api/auth/totp/begin", "AuthService/BeginTotp", "");
const CONFIRM: Method<pb::ConfirmTotpRequest, pb::ConfirmTotpResponse> = method(
    "POST",
    "/api/auth/totp/confirm",
    "AuthService/ConfirmTotp",
    "",
);
const RENEW: Method<pb::RenewRecoveryCodesRequest, pb::RenewRecoveryCodesResponse> = method(
    "POST",
    "/api/auth/totp/recovery-codes",
    "AuthService/RenewRecoveryCodes",
    "",
);
const DISABLE: Method<pb::DisableTotpRequest, pb::DisableTotpResponse> = method(
    "POST",
    "/api/auth/totp/disable",
    "AuthService/DisableTotp",
    "",
);

/// An authenticator app.
pub struct App(hmac::Key);

impl App {
    /// Takes the secret as people type it.
    pub fn new(secret: &str) -> Self {
        let digits = secret.bytes().map(|letter| match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => panic!("no base 32: {secret}"),
        });
        let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
        for digit in digits {
            bits = bits << 5 | u32::from(digit);
            held += 5;
            if held >= 8 {
                held -= 8;
                bytes.push((bits >> held & 0xff) as u8);
            }
        }
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
        Self(key)
    }

    /// What it shows so many half minutes from now on.
    pub fn shows(&self, later: u64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let step = now.expect("after 1970").as_secs() / 30 + later;
        let mac = hmac::sign(&self.0, &step.to_be_bytes());
        let mac = mac.as_ref();
        let at = usize::from(mac[19] & 0x0f);
        let four = [mac[at] & 0x7f, mac[at + 1], mac[at + 2], mac[at + 3]];
        format!("{:06}", u32::from_be_bytes(four) % 1_000_000)
    }
}

/// A user at a platform by one door.
struct Person<'a> {
    platform: &'a Platform,
    door: Door,
    name: String,
}

impl Person<'_> {
    async fn sign_in(&self, password: &str, code: Option<&str>) -> Result<Value, (u16, String)> {
        let visitor = Visitor::new(self.platform);
        let tokens = sign_in(&visitor, self.door, &self.name, password, code).await;
        tokens.map_err(Refusal::what)
    }

    /// Asks with the access token of these tokens.
    async fn ask<Q, A>(
        &self,
        tokens: &Value,
        method: &Method<Q, A>,
        fields: Value,
    ) -> Result<Value, (u16, String)>
    where
        Q: prost::Message + fleetwire::wire::json::JsonMessage + Default + 'static,
        A: prost::Message + fleetwire::wire::json::JsonMessage + Default + 'static,
    {
        let visitor = Visitor::with(self.platform, text(tokens, "access_token"));
        let asked = visitor.ask(self.door, method, fields).await;
        asked.map_err(Refusal::what)
    }

    /// Whether these tokens are good for nothing any more.
    async fn is_over(&self, tokens: &Value) -> bool {
        let access = me(self.platform, self.door, text(tokens, "access_token")).await;
        let next = refresh(self.platform, self.door, text(tokens, "refresh_token")).await;
        access.map_err(Refusal::what) == Err(unauthenticated("token_invalid"))
            && next.map_err(Refusal::what) == Err(unauthenticated("refresh_token_invalid"))
    }

    /// Turns the second factor on with what these tokens let in: its app, and the recovery codes.
    async fn turn_on(&self, tokens: &Value) -> (App, Vec<String>) {
        let begun = self.ask(tokens, &BEGIN, json!({"password": PASSWORD}));
        let begun = begun.await.expect("begun");
        let app = App::new(text(&begun, "secret"));
        assert!(text(&begun, "url").contains(text(&begun, "secret")));
        let on = self.ask(tokens, &CONFIRM, json!({"code": app.shows(0)}));
        (app, codes(&on.await.expect("on")))
    }
}

async fn person(platform: &Platform, door: Door) -> Person<'_> {
    let name = format!("ada-{door:?}").to_lowercase();
    create_user(platform, &name, "operator").await;
    Person {
        platform,
        door,
        name,
    }
}

fn codes(answer: &Value) -> Vec<String> {
    let codes: Vec<String> =
        serde_json::from_value(answer["recovery_codes"].clone()).expect("texts");
    assert_eq!(codes.len(), 10);
    codes
}

#[tokio::test]
async fn another_password_ends_every_sign_in_of_before() {
    let platform = Platform::start(&[]);
    for door in DOORS {
        let ada = person(&platform, door).await;
        let here = ada.sign_in(PASSWORD, None).await.expect("signed in");
        let there = ada.sign_in(PASSWORD, None).await.expect("signed in");
        let change = async |present: &str, new: &str| {
            let change = json!({"present": present, "new": new});
            ada.ask(&here, &CHANGE, change).await
        };
        let refused = change(OTHER, "a third password, long").await;
        assert_eq!(refused, Err(unauthenticated("credentials_invalid")));
        let (_, weak) = change(PASSWORD, "short").await.expect_err("weak");
        assert_eq!(weak, "password_weak");
        me(&platform, door, text(&there, "access_token"))
            .await
            .expect("a refusal changes nothing");

        change(PASSWORD, OTHER).await.expect("changed");
        assert!(ada.is_over(&here).await && ada.is_over(&there).await);
        let refused = ada.sign_in(PASSWORD, None).await;
        assert_eq!(refused, Err(unauthenticated("credentials_invalid")));
        let again = ada.sign_in(OTHER, None).await.expect("signed in");
        assert!(!ada.is_over(&again).await);
    }
}

#[tokio::test]
async fn a_second_factor_is_turned_on_asked_for_and_turned_off() {
    let platform = Platform::start(&[]);
    for door in DOORS {
        let ada = person(&platform, door).await;
        let here = ada.sign_in(PASSWORD, None).await.expect("signed in");
        let refused = ada.ask(&here, &CONFIRM, json!({"code": "000000"})).await;
        assert_eq!(refused, Err((409, "totp_not_begun".to_owned())));
        let refused = ada.ask(&here, &BEGIN, json!({"password": OTHER})).await;
        assert_eq!(refused, Err(unauthenticated("credentials_invalid")));
        let (app, recovery) = ada.turn_on(&here).await;
        let on = me(&platform, door, text(&here, "access_token")).await;
        assert_eq!(on.expect("let in")["totp"], true);
        let refused = ada.ask(&here, &BEGIN, json!({"password": PASSWORD})).await;
        assert_eq!(refused, Err((409, "totp_on".to_owned())));

        let without = ada.sign_in(PASSWORD, None).await;
        assert_eq!(without, Err(unauthenticated("totp_required")));
        let wrong = ada.sign_in(OTHER, Some(&app.shows(1))).await;
        assert_eq!(wrong, Err(unauthenticated("credentials_invalid")));
        let strange = ada.sign_in(PASSWORD, Some("aaaa-bbbb-cccc-dddd")).await;
        assert_eq!(strange, Err(unauthenticated("totp_invalid")));
        let code = app.shows(1);
        let there = ada.sign_in(PASSWORD, Some(&code)).await;
        let there = there.expect("signed in");
        let again = ada.sign_in(PASSWORD, Some(&code)).await;
        assert_eq!(again, Err(unauthenticated("totp_invalid")), "it was used");

        let off = async |password: &str, code: &str| {
            let off = json!({"password": password, "code": code});
            ada.ask(&there, &DISABLE, off).await
        };
        let refused = off(OTHER, &recovery[0]).await;
        assert_eq!(refused, Err(unauthenticated("credentials_invalid")));
        let refused = off(PASSWORD, &code).await;
        assert_eq!(refused, Err(unauthenticated("totp_invalid")));
        off(PASSWORD, &recovery[0]).await.expect("off");
        assert!(ada.is_over(&here).await && ada.is_over(&there).await);
        let plain = ada.sign_in(PASSWORD, None).await.expect("signed in");
        assert_eq!(plain["user"]["totp"], false);
        let with = json!({"password": PASSWORD, "code": recovery[1]});
        for refused in [
            ada.ask(&plain, &DISABLE, with.clone()).await,
            ada.ask(&plain, &RENEW, with.clone()).await,
        ] {
            assert_eq!(refused, Err((409, "totp_off".to_owned())));
        }
    }
}

#[tokio::test]
async fn recovery_codes_are_good_once_and_until_they_are_renewed() {
    let platform = Platform::start(&[]);
    for door in DOORS {
        let ada = person(&platform, door).await;
        let here = ada.sign_in(PASSWORD, None).await.expect("signed in");
        let (app, first) = ada.turn_on(&here).await;
        ada.sign_in(PASSWORD, Some(&first[0].to_uppercase()))
            .await
            .expect("signed in");
        let again = ada.sign_in(PASSWORD, Some(&first[0])).await;
        assert_eq!(again, Err(unauthenticated("totp_invalid")));

        let renew = async |password: &str, code: &str| {
            let renew = json!({"password": password, "code": code});
            ada.ask(&here, &RENEW, renew).await
        };
        let refused = renew(OTHER, &first[1]).await;
        assert_eq!(refused, Err(unauthenticated("credentials_invalid")));
        let refused = renew(PASSWORD, &first[0]).await;
        assert_eq!(refused, Err(unauthenticated("totp_invalid")));
        let code = app.shows(1);
        let second = codes(&renew(PASSWORD, &code).await.expect("renewed"));
        assert!(second.iter().all(|code| !first.contains(code)));
        for void in [&code, &first[1]] {
            let refused = ada.sign_in(PASSWORD, Some(void)).await;
            assert_eq!(refused, Err(unauthenticated("totp_invalid")));
        }
        // The sign-in that asked goes on, and the new ones let in.
        ada.sign_in(PASSWORD, Some(&second[0]))
            .await
            .expect("signed in");
        let third = codes(&renew(PASSWORD, &second[1]).await.expect("renewed"));
        let refused = ada.sign_in(PASSWORD, Some(&second[2])).await;
        assert_eq!(refused, Err(unauthenticated("totp_invalid")));
        ada.sign_in(PASSWORD, Some(&third[0]))
            .await
            .expect("signed in");
    }
}

#[tokio::test]
async fn none_of_it_is_for_an_api_key() {
    let platform = Platform::start(&[]);
    for door in DOORS {
        let ada = person(&platform, door).await;
        let here = ada.sign_in(PASSWORD, None).await.expect("signed in");
        let key = ada.ask(
            &here,
            &CREATE_KEY,
            json!({"name": "robot", "role": "viewer"}),
        );
        let key = key.await.expect("made");
        let key = json!({"access_token": key["secret"]});
        let with = json!({"password": PASSWORD, "code": "000000"});
        let change = json!({"present": PASSWORD, "new": OTHER});
        for refused in [
            ada.ask(&key, &CHANGE, change).await,
            ada.ask(&key, &BEGIN, json!({"password": PASSWORD})).await,
            ada.ask(&key, &CONFIRM, json!({"code": "000000"})).await,
            ada.ask(&key, &RENEW, with.clone()).await,
            ada.ask(&key, &DISABLE, with).await,
        ] {
            assert_eq!(refused, Err((403, "not_signed_in".to_owned())));
        }
    }
}
