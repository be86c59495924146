//! The same over REST: whoever the provider vouches for is a user here, with tokens of ours.

use fleetwire::net::http_client::HttpError;
use fleetwire::secret::Secret;
use hyper::Method;
use serde_json::{Value, json};

use super::browser::Browser;
use super::provider::Provider;
use super::{COMMAND, PAGE, SECRET};
use crate::support::{Client, Platform};

/// A platform with sign-in over this provider.
pub fn platform(provider: &Provider, more: &str) -> (Platform, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let secret = dir.path().join("secret");
    std::fs::write(&secret, SECRET).expect("written");
    let table = format!(
        "{{ issuer = '{}', client_id = 'fleetwire', client_secret_file = {secret:?}, \
         redirect_uris = ['{PAGE}']{more} }}",
        provider.issuer
    );
    let settings = [
        ("FLEETWIRE_PLATFORM_OIDC", table.as_str()),
        ("FLEETWIRE_PLATFORM_LOG", "fleetwire=trace"),
    ];
    (Platform::start_with(&[], &settings), dir)
}

async fn post(client: &Client, path: &str, body: Value) -> Result<Value, String> {
    let code = |error: HttpError| {
        error
            .code()
            .map_or_else(|| error.to_string(), str::to_owned)
    };
    client
        .call(Method::POST, path, Some(&body))
        .await
        .map_err(code)
}

async fn get(client: &Client, path: &str) -> Result<Value, String> {
    let code = |error: HttpError| {
        error
            .code()
            .map_or_else(|| error.to_string(), str::to_owned)
    };
    client
        .call::<(), _>(Method::GET, path, None)
        .await
        .map_err(code)
}

fn text(value: &Value, name: &str) -> String {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} of {value}"))
        .to_owned()
}

/// What the browser brings back: the body of the completion.
async fn brought_back(platform: &Platform, login: &str) -> Value {
    let begun = json!({ "redirect_uri": PAGE });
    let begun = post(&platform.anonymous(), "/api/auth/oidc/begin", begun).await;
    let begun = begun.expect("begun");
    let address = text(&begun, "authorization_url");
    let back = Browser::default().sign_in(&address, login, PAGE).await;
    assert_eq!(back["state"], text(&begun, "state"));
    json!({ "state": back["state"], "code": back["code"] })
}

async fn sign_in(platform: &Platform, login: &str) -> Result<Value, String> {
    let back = brought_back(platform, login).await;
    post(&platform.anonymous(), "/api/auth/oidc/complete", back).await
}

#[tokio::test]
async fn whoever_the_provider_vouches_for_is_a_user_here() {
    let provider = Provider::start();
    let more = ", scopes = ['profile', 'groups'], groups_claim = 'groups', create_users = true, \
                roles = { ops = 'operator', admins = 'admin' }";
    let (platform, _dir) = platform(&provider, more);
    let first = sign_in(&platform, "ada,ops").await.expect("signed in");
    let user = &first["user"];
    assert_eq!(
        (&user["name"], &user["role"]),
        (&json!("ada"), &json!("operator"))
    );
    assert_eq!(
        user["external"],
        json!({"issuer": provider.issuer, "subject": "ada,ops"})
    );

    let access = Secret::new(text(&first, "access_token"));
    let ada = platform.anonymous().with_bearer(access);
    assert_eq!(get(&ada, "/api/auth/me").await.as_ref(), Ok(user));
    assert!(get(&ada, "/api/hosts").await.is_ok());
    assert_eq!(
        get(&ada, "/api/users").await,
        Err("role_insufficient".to_owned())
    );

    let again = sign_in(&platform, "ada,ops").await.expect("signed in");
    assert_eq!(&again["user"], user, "the same user");
    let other = sign_in(&platform, "ada,admins").await.expect("signed in");
    assert_eq!(
        other["user"]["name"], "ada-2",
        "a name is nobody's credential"
    );
    assert_eq!(other["user"]["role"], "admin");
    let nobody = sign_in(&platform, "eve,chess").await;
    assert_eq!(nobody, Err("oidc_no_role".to_owned()));

    let refresh = json!({"refresh_token": first["refresh_token"]});
    let next = post(&platform.anonymous(), "/api/auth/refresh", refresh.clone()).await;
    assert_eq!(next.expect("refreshed")["user"], *user);
    let reused = post(&platform.anonymous(), "/api/auth/refresh", refresh).await;
    assert_eq!(reused, Err("refresh_token_reused".to_owned()));
    assert_eq!(
        get(&ada, "/api/auth/me").await,
        Err("token_invalid".to_owned())
    );

    let audit = get(&platform.client(), "/api/audit?action=user.")
        .await
        .expect("entries");
    let entries = audit["entries"].as_array().expect("a list");
    let count = |action: &str, outcome: &str| {
        let of = |entry: &&Value| entry["action"] == action && entry["outcome"] == outcome;
        entries.iter().filter(of).count()
    };
    // The administrator was made at the start.
    assert_eq!(count("user.create", "done"), 3, "{audit}");
    assert_eq!(count("user.sign_in", "done"), 3, "{audit}");
    assert_eq!(count("user.sign_in", "failed"), 1, "{audit}");
}

#[tokio::test]
async fn what_does_not_belong_together_signs_nobody_in_and_nothing_secret_is_logged() {
    let provider = Provider::start();
    let (platform, _dir) = platform(&provider, "");
    let anyone = platform.anonymous();
    let complete = "/api/auth/oidc/complete";
    let back = brought_back(&platform, "ada").await;
    let unknown = json!({"state": "x", "code": back["code"]});
    let refused = post(&anyone, complete, unknown).await;
    assert_eq!(refused, Err("oidc_state_unknown".to_owned()));
    let stranger = post(&anyone, complete, back.clone()).await;
    assert_eq!(
        stranger,
        Err("user_unknown".to_owned()),
        "users are not made here"
    );
    let again = post(&anyone, complete, back.clone()).await;
    assert_eq!(
        again,
        Err("oidc_state_unknown".to_owned()),
        "a state is good once"
    );
    let other = brought_back(&platform, "eve").await;
    let replayed = json!({"state": other["state"], "code": back["code"]});
    let refused = post(&anyone, complete, replayed).await;
    assert_eq!(refused, Err("oidc_code_refused".to_owned()));
    provider.fault("audience").await;
    assert_eq!(
        sign_in(&platform, "ada").await,
        Err("oidc_token_refused".to_owned())
    );
    provider.behave().await;
    let begin = "/api/auth/oidc/begin";
    let elsewhere = json!({"redirect_uri": "https://evil.example.com/"});
    let refused = post(&anyone, begin, elsewhere).await;
    assert_eq!(refused, Err("oidc_redirect_refused".to_owned()));
    assert!(
        post(&anyone, begin, json!({"redirect_uri": COMMAND}))
            .await
            .is_ok()
    );

    // An administrator links a user: from then on it may.
    let linked = json!({
        "name": "lovelace", "role": "viewer", "grants": {"all_hosts": true},
        "external": {"issuer": provider.issuer, "subject": "ada"},
    });
    post(&platform.client(), "/api/users", linked)
        .await
        .expect("made");
    let tokens = sign_in(&platform, "ada").await.expect("signed in");
    assert_eq!(tokens["user"]["name"], "lovelace");

    let said = platform.process.said();
    let secrets = [
        text(&back, "state"),
        text(&back, "code"),
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
        SECRET.trim().to_owned(),
    ];
    for secret in secrets {
        assert!(!said.contains(&secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_provider_that_is_away_or_not_set_up_is_said_to_be() {
    let mut provider = Provider::start();
    let (away, _dir) = platform(&provider, "");
    provider.process.end();
    let begun = json!({ "redirect_uri": PAGE });
    let refused = post(&away.anonymous(), "/api/auth/oidc/begin", begun.clone()).await;
    assert_eq!(refused, Err("oidc_unreachable".to_owned()));
    let none = Platform::start(&[]);
    let refused = post(&none.anonymous(), "/api/auth/oidc/begin", begun).await;
    assert_eq!(refused, Err("oidc_not_set_up".to_owned()));
}
