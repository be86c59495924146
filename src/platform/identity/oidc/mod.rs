//! Sign-in over an OpenID provider: the authorization code flow with PKCE (OpenID Connect Core 3.1,
//! RFC 7636). This file owns the two steps, [`Oidc::begin`] and [`Oidc::complete`]; `settings` has what
//! is trusted, `flows` the sign-ins under way, `provider` what is known of the provider, `id_token`
//! and `keys` the check of what it says. Whom that makes a user here is decided beside this folder.
//!
//! The protocol stands here over ring rather than in a crate: openidconnect 4.1 brings 92 crates that
//! nothing else needs (42 s of CPU to build), jsonwebtoken 11 with `rust_crypto` 47 (22 s); both a second
//! implementation of RSA and of elliptic curves, the RSA one with an open advisory (RUSTSEC-2023-0071).
//! ring verifies all that is used, and is in the binary for TLS.

mod fault;
mod flows;
mod id_token;
mod keys;
mod provider;
pub mod settings;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{debug, info};

use crate::clock::UnixMillis;
use crate::files::{self, FileError};
use crate::net::roots;
use crate::net::tls::{self, TlsError};
use crate::platform::fetch::{Ask, Fetcher};
use crate::secret::Secret;
pub use fault::{OidcError, TokenFault};
use flows::{Flow, Flows};
use id_token::{Claims, Expected};
use provider::{Metadata, Provider, shortened};
use settings::{OidcSettings, REDIRECT_BYTES_MAX, RoleSetting};

/// Longest code that is handed on; known providers stay under 2 KiB.
const CODE_BYTES_MAX: usize = 4096;
/// Longest ID or access token.
const TOKEN_BYTES_MAX: usize = 64 * 1024;
/// Largest file with a secret.
const SECRET_BYTES_MAX: usize = 4096;
/// Sign-ins that are completed at once, each with a request or two under way.
const COMPLETIONS_MAX: usize = 32;
/// How long one more waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// Most groups of one user that are looked at.
const GROUPS_MAX: usize = 10_000;

/// Sign-in over a provider cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OidcStartError {
    /// A file that the settings name cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file of the client's secret is empty.
    #[error("{} holds no secret", .0.display())]
    NoSecret(PathBuf),
    /// There are no certificates to trust.
    #[error("this machine has no ca-certificates: name the provider's with ca_file in [oidc]")]
    NoRoots,
    /// The certificates cannot be used.
    #[error("{}: {source}", path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: TlsError,
    },
}

/// A sign-in that was begun.
pub struct Begun {
    /// Where to send the browser.
    pub authorization_url: Secret,
    /// What the provider hands back beside the code. Whoever began keeps it, and compares it with
    /// what the browser brings before it completes: otherwise a stranger could have the user sign in
    /// as the stranger.
    pub state: Secret,
}

/// Who signed in, as the provider says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalIdentity {
    /// The provider.
    pub issuer: String,
    /// Who, among the provider's users, for ever.
    pub subject: String,
    /// How the user would be called; any text.
    pub wished_name: Option<String>,
    /// The role that follows from the user's groups, if roles do.
    pub role: Option<RoleSetting>,
    /// What a new user gets; nothing when new users are not made.
    pub create: Option<RoleSetting>,
}

/// Sign-in over the one provider of the settings.
pub struct Oidc {
    settings: OidcSettings,
    secret: Option<Secret>,
    provider: Provider,
    flows: Mutex<Flows>,
    completions: Semaphore,
}

impl Oidc {
    /// Reads the files that the settings name. The provider is first asked when somebody signs in:
    /// a platform starts without it.
    ///
    /// # Errors
    /// See [`OidcStartError`].
    pub fn open(settings: &OidcSettings) -> Result<Self, OidcStartError> {
        let secret = match &settings.client_secret_file {
            Some(path) => {
                let text = files::read_text(path, SECRET_BYTES_MAX)?;
                let text = text.trim();
                if text.is_empty() {
                    return Err(OidcStartError::NoSecret(path.clone()));
                }
                Some(Secret::new(text.to_owned()))
            }
            None => None,
        };
        let (path, roots) = match &settings.ca_file {
            Some(path) => (path.clone(), roots::read(path)?),
            None => roots::of_this_machine().ok_or(OidcStartError::NoRoots)?,
        };
        let tls = roots
            .and_then(|roots| tls::client_trusting(roots, false))
            .map_err(|source| OidcStartError::Roots { path, source })?;
        Ok(Self {
            provider: Provider::new(&settings.issuer, Fetcher::new(tls)),
            settings: settings.clone(),
            secret,
            flows: Mutex::default(),
            completions: Semaphore::new(COMPLETIONS_MAX),
        })
    }

    /// What the provider is called.
    #[must_use]
    pub fn name(&self) -> &str {
        let issuer = &self.settings.issuer;
        let host = || issuer.split('/').nth(2).unwrap_or(issuer);
        self.settings.name.as_deref().unwrap_or_else(host)
    }

    /// Begins a sign-in that comes back to `redirect_uri`.
    ///
    /// # Errors
    /// [`OidcError::RedirectRefused`], or the provider's document cannot be had.
    pub async fn begin(&self, redirect_uri: &str) -> Result<Begun, OidcError> {
        if !self.may_come_back_to(redirect_uri) {
            return Err(OidcError::RedirectRefused);
        }
        let metadata = self.provider.metadata().await?;
        let (nonce, verifier) = (Secret::generate(""), Secret::generate(""));
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()));
        let flow = Flow {
            nonce: nonce.clone(),
            verifier,
            redirect_uri: redirect_uri.to_owned(),
        };
        let state = self.flows(|flows| flows.begin(Instant::now(), flow));
        let scopes = ["openid"].into_iter().chain(
            self.settings
                .scopes
                .iter()
                .map(String::as_str)
                .filter(|scope| *scope != "openid"),
        );
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", &scopes.collect::<Vec<_>>().join(" ")),
            ("state", state.expose()),
            ("nonce", nonce.expose()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let address = &metadata.authorization;
        let joint = if address.contains('?') { '&' } else { '?' };
        Ok(Begun {
            authorization_url: Secret::new(format!("{address}{joint}{query}")),
            state,
        })
    }

    /// Completes a sign-in with what the browser brought back: exchanges the code, checks the ID
    /// token, and says who it is. A state is good once, whatever comes of it.
    ///
    /// # Errors
    /// See [`OidcError`].
    pub async fn complete(&self, state: &str, code: &str) -> Result<ExternalIdentity, OidcError> {
        let completed = self.completed(state, code).await;
        match &completed {
            Ok(who) => debug!(subject = ?shortened(&who.subject), "signed in at the provider"),
            // For the administrator: what users are told may never reach them.
            Err(error) => info!(code = error.code(), %error, "a sign-in over the provider failed"),
        }
        completed
    }

    async fn completed(&self, state: &str, code: &str) -> Result<ExternalIdentity, OidcError> {
        let flow = self
            .flows(|flows| flows.take(Instant::now(), state))
            .ok_or(OidcError::StateUnknown)?;
        if !is_token(code, CODE_BYTES_MAX) {
            return Err(OidcError::CodeRefused("it is none".to_owned()));
        }
        let turn = timeout(TURN_TIMEOUT, self.completions.acquire());
        let _turn = turn.await.map_err(|_| OidcError::Busy)?;
        let metadata = self.provider.metadata().await?;
        let tokens = self.exchange(&metadata, &flow, code).await?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: flow.nonce.expose(),
            access_token: tokens.access_token.as_ref().map(Secret::expose),
            now: UnixMillis::now(),
        };
        let id_token = tokens.id_token.expose();
        let mut claims = self.provider.verify(id_token, expected).await?;
        if let (Some(endpoint), Some(token)) = (&metadata.userinfo, &tokens.access_token)
            && self.lacks(&claims.all)
        {
            let (status, answer) = self.provider.fetch(endpoint, Ask::With(token)).await?;
            add(&mut claims, status, &answer)?;
        }
        self.identity(claims)
    }

    /// Exchanges the code for tokens (RFC 6749 section 4.1.3).
    async fn exchange(
        &self,
        metadata: &Metadata,
        flow: &Flow,
        code: &str,
    ) -> Result<Tokens, OidcError> {
        let client_id = self.settings.client_id.as_str();
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &flow.redirect_uri),
            ("code_verifier", flow.verifier.expose()),
        ];
        let mut basic = None;
        match &self.secret {
            Some(secret) if !metadata.secret_in_form => {
                // Both are encoded as in a form first (RFC 6749 section 2.3.1).
                let both = format!("{}:{}", encoded(client_id), encoded(secret.expose()));
                basic = Some(Secret::new(STANDARD.encode(both)));
            }
            secret => {
                fields.push(("client_id", client_id));
                if let Some(secret) = secret {
                    fields.push(("client_secret", secret.expose()));
                }
            }
        }
        let body = Secret::new(form(&fields));
        let ask = Ask::Form { body, basic };
        let (status, answer) = self.provider.fetch(&metadata.token, ask).await?;
        if status != StatusCode::OK {
            return Err(refusal(status, &answer));
        }
        // What cannot be read is not told: it may hold a token.
        let unusable = || OidcError::Provider("it answers a code with no tokens".to_owned());
        let tokens: Tokens = serde_json::from_slice(&answer).map_err(|_| unusable())?;
        let fits = |token: &Secret| is_token(token.expose(), TOKEN_BYTES_MAX);
        if fits(&tokens.id_token) && tokens.access_token.as_ref().is_none_or(fits) {
            Ok(tokens)
        } else {
            Err(unusable())
        }
    }

    /// Whether a claim that is needed may be elsewhere than in the ID token.
    fn lacks(&self, claims: &Map<String, Value>) -> bool {
        let groups = self.settings.groups_claim.as_ref();
        let name = self.settings.create_users;
        name && !claims.contains_key(&self.settings.username_claim)
            || groups.is_some_and(|claim| !claims.contains_key(claim))
    }

    fn identity(&self, claims: Claims) -> Result<ExternalIdentity, OidcError> {
        let settings = &self.settings;
        let role = match &settings.groups_claim {
            Some(claim) => Some(
                highest_role(&settings.roles, claims.all.get(claim))
                    .or(settings.default_role)
                    .ok_or(OidcError::NoRole)?,
            ),
            None => None,
        };
        Ok(ExternalIdentity {
            issuer: settings.issuer.clone(),
            wished_name: wished_name(&settings.username_claim, &claims.all),
            subject: claims.subject,
            role,
            create: role
                .or(settings.default_role)
                .filter(|_| settings.create_users),
        })
    }

    fn may_come_back_to(&self, redirect_uri: &str) -> bool {
        redirect_uri.len() <= REDIRECT_BYTES_MAX
            && (self
                .settings
                .redirect_uris
                .iter()
                .any(|uri| uri == redirect_uri)
                || is_loopback(redirect_uri))
    }

    fn flows<T>(&self, with: impl FnOnce(&mut Flows) -> T) -> T {
        // The table is whole at every step that could panic.
        with(&mut self.flows.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the token endpoint answers.
#[derive(Deserialize)]
struct Tokens {
    id_token: Secret,
    access_token: Option<Secret>,
}

/// Why the provider gives no tokens (RFC 6749 section 5.2).
fn refusal(status: StatusCode, answer: &[u8]) -> OidcError {
    #[derive(Deserialize)]
    struct Refused {
        error: String,
        error_description: Option<String>,
    }
    let Ok(refused) = serde_json::from_slice::<Refused>(answer) else {
        return OidcError::Provider(format!("it answers a code with {status}"));
    };
    let error = shortened(&refused.error);
    if let Some(description) = refused.error_description {
        info!(error = ?error, description = ?shortened(&description), "the provider refuses a code");
    }
    if error == "invalid_grant" {
        OidcError::CodeRefused(error)
    } else {
        OidcError::Provider(format!("it does not take this client's request: {error:?}"))
    }
}

/// Adds what the userinfo endpoint says, when it speaks of the same user (OpenID Connect Core 5.3.4).
fn add(claims: &mut Claims, status: StatusCode, answer: &[u8]) -> Result<(), OidcError> {
    if status != StatusCode::OK {
        let reason = format!("asked for the user's claims, it answers {status}");
        return Err(OidcError::Provider(reason));
    }
    let said: Map<String, Value> = serde_json::from_slice(answer).map_err(|_| {
        OidcError::Provider(
            "the user's claims are no JSON: it may sign them, which is not read".to_owned(),
        )
    })?;
    if said.get("sub").and_then(Value::as_str) != Some(&claims.subject) {
        return Err(TokenFault::Subject.into());
    }
    for (name, value) in said {
        claims.all.entry(name).or_insert(value);
    }
    Ok(())
}

/// The name that the user would have. An address of mail is taken only when the provider has seen
/// that it is the user's.
fn wished_name(claim: &str, claims: &Map<String, Value>) -> Option<String> {
    if claim == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
        return None;
    }
    let name = claims.get(claim)?.as_str()?.trim();
    (!name.is_empty()).then(|| shortened(name))
}

/// The highest role of the groups that a claim lists, or names as its only one.
fn highest_role(
    roles: &BTreeMap<String, RoleSetting>,
    groups: Option<&Value>,
) -> Option<RoleSetting> {
    let role = |group: &Value| roles.get(group.as_str()?).copied();
    match groups? {
        Value::Array(groups) => groups.iter().take(GROUPS_MAX).filter_map(role).max(),
        group => role(group),
    }
}

/// Whether it leads to a program on the user's machine (RFC 8252 section 7.3): by address, as
/// `localhost` may be anybody's in a name service, and with a port.
fn is_loopback(redirect_uri: &str) -> bool {
    let Ok(uri) = redirect_uri.parse::<Uri>() else {
        return false;
    };
    let Some(authority) = uri.authority() else {
        return false;
    };
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    uri.scheme_str() == Some("http")
        && !redirect_uri.contains('#')
        && !authority.as_str().contains('@')
        && authority.port_u16().is_some_and(|port| port > 0)
        && host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Visible ASCII, as codes and tokens are.
fn is_token(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Fields as `application/x-www-form-urlencoded`, which does for a query as well.
fn form(fields: &[(&str, &str)]) -> String {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    fields.join("&")
}

fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn oidc(more: &str) -> Oidc {
        let table: toml::Table = format!(
            "issuer = 'https://id.example.com'\nclient_id = 'fleetwire'\n\
             redirect_uris = ['https://fleet.example.com/done']\n{more}"
        )
        .parse()
        .expect("TOML");
        let settings: OidcSettings = table.try_into().expect("usable");
        settings.check().expect("usable");
        let tls = tls::client_pinned([0; 32]).expect("settings");
        Oidc {
            provider: Provider::new(&settings.issuer, Fetcher::new(tls)),
            settings,
            secret: None,
            flows: Mutex::default(),
            completions: Semaphore::new(COMPLETIONS_MAX),
        }
    }

    fn identity(oidc: &Oidc, claims: Value) -> Result<ExternalIdentity, OidcError> {
        oidc.identity(Claims {
            subject: "u-1".to_owned(),
            all: claims.as_object().expect("an object").clone(),
        })
    }

    #[test]
    fn browsers_come_back_to_known_places_only() {
        let oidc = oidc("");
        for allowed in [
            "https://fleet.example.com/done",
            "http://127.0.0.1:49152/callback",
            "http://127.1.2.3:1/",
            "http://[::1]:49152/callback?x=1",
        ] {
            assert!(oidc.may_come_back_to(allowed), "{allowed}");
        }
        let long = format!("http://127.0.0.1:1/{}", "x".repeat(REDIRECT_BYTES_MAX));
        for refused in [
            "",
            "https://fleet.example.com/done/",
            "https://fleet.example.com/done?x=1",
            "https://FLEET.example.com/done",
            "https://fleet.example.com",
            "http://localhost:49152/callback",
            "http://127.0.0.1/callback",
            "http://127.0.0.1:0/callback",
            "https://127.0.0.1:49152/callback",
            "http://127.0.0.1:49152/callback#x",
            "http://127.0.0.1:1@evil.example.com:80/",
            "http://user@127.0.0.1:49152/",
            "http://127.0.0.1.evil.example.com:80/",
            "http://2130706433:80/",
            "javascript:alert(1)",
            &long,
        ] {
            assert!(!oidc.may_come_back_to(refused), "{refused}");
        }
    }

    #[test]
    fn roles_follow_from_groups_where_they_are_set_up() {
        let plain = oidc("");
        let who = identity(&plain, json!({"groups": ["admins"]})).expect("somebody");
        assert_eq!((who.role, who.create), (None, None));

        let mapped = "groups_claim = 'groups'\nroles = { ops = 'operator', admins = 'admin' }";
        let strict = oidc(mapped);
        let role = |groups: Value| identity(&strict, json!({"groups": groups})).map(|who| who.role);
        assert_eq!(role(json!(["x", "ops"])), Ok(Some(RoleSetting::Operator)));
        assert_eq!(role(json!(["ops", "admins"])), Ok(Some(RoleSetting::Admin)));
        assert_eq!(role(json!("ops")), Ok(Some(RoleSetting::Operator)));
        for nothing in [json!([]), json!(["Ops"]), json!(7), json!([["ops"]])] {
            assert_eq!(role(nothing.clone()), Err(OidcError::NoRole), "{nothing}");
        }
        assert_eq!(identity(&strict, json!({})), Err(OidcError::NoRole));

        let open = oidc(&format!(
            "{mapped}\ncreate_users = true\ndefault_role = 'viewer'"
        ));
        let who = identity(&open, json!({"groups": ["x"]})).expect("somebody");
        let viewer = Some(RoleSetting::Viewer);
        assert_eq!((who.role, who.create), (viewer, viewer));
    }

    #[test]
    fn a_name_is_a_wish_and_an_address_of_mail_has_to_be_verified() {
        let name =
            |claims: Value, claim: &str| wished_name(claim, claims.as_object().expect("an object"));
        let ada = Some("ada".to_owned());
        assert_eq!(
            name(json!({"preferred_username": " ada "}), "preferred_username"),
            ada
        );
        assert_eq!(
            name(json!({"preferred_username": ""}), "preferred_username"),
            None
        );
        assert_eq!(
            name(json!({"email": "ada", "email_verified": true}), "email"),
            ada
        );
        assert_eq!(
            name(json!({"email": "ada", "email_verified": "true"}), "email"),
            None
        );
        assert_eq!(name(json!({"email": "ada"}), "email"), None);
    }

    #[test]
    fn what_stands_in_a_form_cannot_leave_its_field() {
        assert_eq!(
            form(&[("a", "x&b=1"), ("c", "ü +%")]),
            "a=x%26b%3D1&c=%C3%BC%20%2B%25"
        );
    }

    #[tokio::test]
    async fn nothing_is_asked_of_a_provider_for_a_state_that_is_none() {
        // The provider's name leads nowhere: to ask it would be another error.
        let oidc = oidc("");
        for state in ["", "x", &"x".repeat(100_000)] {
            let refused = oidc.complete(state, "code").await;
            assert_eq!(refused, Err(OidcError::StateUnknown));
        }
    }
}
