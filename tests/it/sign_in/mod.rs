//! Signing in over real sockets, by both doors: what opens them and what does not, how guessing is slowed
//! down, what a second factor and a change of the password do, and what nobody sees beyond its grants. The
//! rules behind are tested in `identity`; what is tested here is that they hold for whoever comes by a
//! door.

mod command;
pub mod doors;
mod grants;
mod guesses;
mod passwords;
mod tokens;

use fleetwire::schema::api as pb;
use serde_json::{Value, json};

use crate::support::Platform;
use doors::{Door, Method, Refusal, Visitor, method};

const PASSWORD: &str = "correct horse battery staple";

const SIGN_IN: Method<pb::SignInRequest, pb::SignInResponse> =
    method("POST", "/api/auth/sign-in", "AuthService/SignIn", "tokens");
const REFRESH: Method<pb::RefreshTokensRequest, pb::RefreshTokensResponse> = method(
    "POST",
    "/api/auth/refresh",
    "AuthService/RefreshTokens",
    "tokens",
);
const ME: Method<pb::GetMeRequest, pb::GetMeResponse> =
    method("GET", "/api/auth/me", "AuthService/GetMe", "user");
const CREATE_USER: Method<pb::CreateUserRequest, pb::CreateUserResponse> =
    method("POST", "/api/users", "UserService/CreateUser", "user");
const CREATE_KEY: Method<pb::CreateApiKeyRequest, pb::CreateApiKeyResponse> =
    method("POST", "/api/api-keys", "ApiKeyService/CreateApiKey", "");

/// A refusal for want of a credential that is good.
fn unauthenticated(code: &str) -> (u16, String) {
    (401, code.to_owned())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} of {value}"))
}

/// Makes a user who sees all hosts, with a password.
async fn create_user(platform: &Platform, name: &str, role: &str) -> Value {
    let admin = Visitor::with(platform, &platform.admin_token());
    let user = json!({
        "name": name, "role": role, "password": PASSWORD, "grants": {"all_hosts": true},
    });
    let made = admin.ask(Door::Rest, &CREATE_USER, user).await;
    made.expect("made")
}

/// Somebody who tries to sign in.
async fn sign_in(
    visitor: &Visitor<'_>,
    door: Door,
    name: &str,
    password: &str,
    code: Option<&str>,
) -> Result<Value, Refusal> {
    let mut request = json!({"user": name, "password": password});
    if let Some(code) = code {
        request["code"] = code.into();
    }
    visitor.ask(door, &SIGN_IN, request).await
}

/// Who this access token is, by a door.
async fn me(platform: &Platform, door: Door, token: &str) -> Result<Value, Refusal> {
    Visitor::with(platform, token)
        .ask(door, &ME, json!({}))
        .await
}

/// Trades a refresh token.
async fn refresh(platform: &Platform, door: Door, token: &str) -> Result<Value, Refusal> {
    let request = json!({"refresh_token": token});
    Visitor::new(platform).ask(door, &REFRESH, request).await
}
