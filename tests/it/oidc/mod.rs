//! Sign-in over a real OpenID provider: the certified library oidc-provider in a process of its own, a
//! browser that goes through its pages, and everything that a provider may do wrong. What is called
//! here is what the API's methods call.

mod api;
mod browser;
mod command;
pub mod provider;

use std::fs;
use std::path::{Path, PathBuf};

use browser::Browser;
use fleetwire::net::{roots, tls};
use fleetwire::platform::identity::oidc::settings::{OidcSettings, RoleSetting};
use fleetwire::platform::identity::oidc::{Begun, ExternalIdentity, Oidc, OidcError, TokenFault};
use provider::Provider;
use tempfile::TempDir;

use crate::support::until_true;

/// Where the platform's pages are, as its settings say.
const PAGE: &str = "https://fleet.example.com/signed-in";
/// Where the operator's command listens; the provider takes any port for it.
const COMMAND: &str = "http://127.0.0.1:49152/callback";
/// The secret of the script's confidential clients.
pub const SECRET: &str = "se:cr+et %41&=\n";
/// A quarter of what would be answered, and more than the platform takes with what kernels hold.
const TAKEN_BYTES_MAX: u64 = 100 * 1024 * 1024;

/// The platform's side, as the settings make it.
struct Client {
    oidc: Oidc,
    /// The file of the secret is in it.
    _dir: TempDir,
}

impl Client {
    fn new(provider: &Provider) -> Self {
        Self::with(provider, "fleetwire", "")
    }

    fn with(provider: &Provider, id: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let secret = dir.path().join("secret");
        fs::write(&secret, SECRET).expect("written");
        let public = matches!(id, "fleetwire-public" | "fleetwire-pss");
        let secret = if public {
            String::new()
        } else {
            format!("client_secret_file = {secret:?}")
        };
        let text = format!(
            "issuer = '{}'\nclient_id = '{id}'\nredirect_uris = ['{PAGE}']\n{secret}\n{more}",
            provider.issuer
        );
        let table: toml::Table = text.parse().expect("TOML");
        let settings: OidcSettings = table.try_into().expect("known keys");
        settings.check().expect("usable");
        let oidc = Oidc::open(&settings).expect("opened");
        Self { oidc, _dir: dir }
    }

    async fn begin(&self) -> Begun {
        self.oidc.begin(PAGE).await.expect("begun")
    }

    /// Goes through the provider's pages, and gives the code.
    async fn code(&self, begun: &Begun, login: &str) -> String {
        let address = begun.authorization_url.expose();
        let back = Browser::default().sign_in(address, login, PAGE).await;
        assert_eq!(back["state"], begun.state.expose());
        back["code"].clone()
    }

    async fn sign_in(&self, login: &str) -> Result<ExternalIdentity, OidcError> {
        let begun = self.begin().await;
        let code = self.code(&begun, login).await;
        self.oidc.complete(begun.state.expose(), &code).await
    }

    /// Signs in where the address was changed on its way to the provider.
    async fn sign_in_altered(&self, from: &str, to: &str) -> Result<ExternalIdentity, OidcError> {
        let begun = self.begin().await;
        let address = begun.authorization_url.expose();
        let (before, rest) = address.split_once(from).expect("it is in there");
        let after = rest.find('&').map_or("", |at| &rest[at..]);
        let landing = to.strip_prefix("redirect_uri=").unwrap_or(PAGE);
        let altered = format!("{before}{to}{after}");
        let back = Browser::default().sign_in(&altered, "ada", landing).await;
        let code = back.get("code").unwrap_or_else(|| panic!("{back:?}"));
        self.oidc.complete(begun.state.expose(), code).await
    }
}

#[tokio::test]
async fn a_user_signs_in_through_the_providers_pages() {
    let provider = Provider::start();
    let roles = "scopes = ['profile', 'email', 'groups']\ngroups_claim = 'groups'\n\
                 roles = { ops = 'operator', admins = 'admin' }\ncreate_users = true";
    // One client each for RS256, ES256, EdDSA and PS256; the last two have no secret.
    for id in [
        "fleetwire",
        "fleetwire-p256",
        "fleetwire-public",
        "fleetwire-pss",
    ] {
        let client = Client::with(&provider, id, roles);
        let who = client.sign_in("ada,ops,chess").await;
        let expected = ExternalIdentity {
            issuer: provider.issuer.clone(),
            subject: "ada,ops,chess".to_owned(),
            wished_name: Some("ada".to_owned()),
            role: Some(RoleSetting::Operator),
            create: Some(RoleSetting::Operator),
        };
        assert_eq!(who, Ok(expected), "{id}");
        let refused = client.sign_in("eve,chess").await;
        assert_eq!(refused, Err(OidcError::NoRole), "{id}");
    }
    let mail = "username_claim = 'email'\ncreate_users = true\ndefault_role = 'viewer'";
    let who = Client::with(&provider, "fleetwire", mail)
        .sign_in("ada")
        .await;
    let who = who.expect("signed in");
    assert_eq!(who.wished_name.as_deref(), Some("ada@example.com"));
    assert_eq!((who.role, who.create), (None, Some(RoleSetting::Viewer)));
}

#[tokio::test]
async fn the_command_is_come_back_to_on_its_own_machine() {
    let provider = Provider::start();
    let client = Client::with(&provider, "fleetwire-public", "");
    let begun = client.oidc.begin(COMMAND).await.expect("begun");
    let address = begun.authorization_url.expose();
    let back = Browser::default().sign_in(address, "ada", COMMAND).await;
    let who = client.oidc.complete(&back["state"], &back["code"]).await;
    assert_eq!(who.expect("signed in").subject, "ada");
    let refused = client.oidc.begin("https://evil.example.com/").await;
    assert_eq!(refused.err(), Some(OidcError::RedirectRefused));
}

#[tokio::test]
async fn a_sign_in_is_completed_once_and_by_what_belongs_to_it() {
    let provider = Provider::start();
    let client = Client::new(&provider);
    let (first, second, third) = (
        client.begin().await,
        client.begin().await,
        client.begin().await,
    );
    let code = client.code(&first, "ada").await;
    let others = client.code(&second, "eve").await;

    let refused = client.oidc.complete("unknown", &code).await;
    assert_eq!(refused, Err(OidcError::StateUnknown));
    let who = client.oidc.complete(first.state.expose(), &code).await;
    assert_eq!(who.expect("signed in").subject, "ada");
    let again = client.oidc.complete(first.state.expose(), &code).await;
    assert_eq!(again, Err(OidcError::StateUnknown), "a state is good once");
    let replayed = client.oidc.complete(second.state.expose(), &code).await;
    assert!(
        matches!(replayed, Err(OidcError::CodeRefused(_))),
        "a code is good once: {replayed:?}"
    );
    let stolen = client.oidc.complete(third.state.expose(), &others).await;
    assert!(
        matches!(stolen, Err(OidcError::CodeRefused(_))),
        "a code is good for who began with it: {stolen:?}"
    );
    let begun = client.begin().await;
    for none in ["", "x\n", &"x".repeat(5000)] {
        let refused = client.oidc.complete(begun.state.expose(), none).await;
        assert!(refused.is_err(), "{none:?}");
    }
}

#[tokio::test]
async fn what_is_altered_on_the_way_to_the_provider_is_found() {
    let provider = Provider::start();
    let client = Client::new(&provider);
    let nonce = client.sign_in_altered("nonce=", "nonce=another").await;
    assert_eq!(nonce, Err(OidcError::Token(TokenFault::Nonce)));
    let challenge = format!("code_challenge={}", "A".repeat(43));
    let challenge = client.sign_in_altered("code_challenge=", &challenge).await;
    assert!(
        matches!(challenge, Err(OidcError::CodeRefused(_))),
        "{challenge:?}"
    );
    let elsewhere = format!("redirect_uri={COMMAND}");
    let elsewhere = client.sign_in_altered("redirect_uri=", &elsewhere).await;
    assert!(
        matches!(elsewhere, Err(OidcError::CodeRefused(_))),
        "{elsewhere:?}"
    );
}

#[tokio::test]
async fn a_token_that_is_not_for_this_sign_in_signs_nobody_in() {
    let provider = Provider::start();
    let client = Client::new(&provider);
    provider.fault("nothing but signed anew").await;
    assert!(client.sign_in("ada").await.is_ok());
    for (fault, refused) in [
        ("audience", TokenFault::Audience),
        ("authorised party", TokenFault::Audience),
        ("issuer", TokenFault::Issuer),
        ("expired", TokenFault::Expired),
        ("future", TokenFault::NotYet),
        ("nonce", TokenFault::Nonce),
        ("no nonce", TokenFault::Nonce),
        ("no subject", TokenFault::Subject),
        ("access token", TokenFault::AccessToken),
        ("unsigned", TokenFault::Algorithm),
        ("public key as secret", TokenFault::Algorithm),
        ("another key", TokenFault::Signature),
        ("unknown key", TokenFault::KeyUnknown),
        ("changed", TokenFault::Signature),
        ("no token at all", TokenFault::Form),
    ] {
        provider.fault(fault).await;
        assert_eq!(
            client.sign_in("ada").await,
            Err(OidcError::Token(refused)),
            "{fault}"
        );
    }
    let asks = "create_users = true\ndefault_role = 'viewer'";
    let client = Client::with(&provider, "fleetwire", asks);
    provider.fault("another user at userinfo").await;
    let other = client.sign_in("ada").await;
    assert_eq!(other, Err(OidcError::Token(TokenFault::Subject)));
    provider.behave().await;
    assert!(client.sign_in("ada").await.is_ok());
}

#[tokio::test]
async fn new_keys_are_looked_for_and_not_too_often() {
    let provider = Provider::start();
    let client = Client::new(&provider);
    assert!(client.sign_in("ada").await.is_ok());
    provider.rotate().await;
    assert!(client.sign_in("ada").await.is_ok(), "with the new key");
    assert_eq!(provider.count("keysAsked").await, 2);
    provider.fault("unknown key").await;
    for _ in 0..3 {
        let refused = client.sign_in("ada").await;
        assert_eq!(refused, Err(OidcError::Token(TokenFault::KeyUnknown)));
    }
    assert_eq!(
        provider.count("keysAsked").await,
        2,
        "it was asked a moment ago"
    );
    assert_eq!(provider.count("discoveryAsked").await, 1);
}

#[tokio::test]
async fn all_who_wait_for_the_providers_document_ask_once() {
    let provider = Provider::start();
    let client = Client::new(&provider);
    let begun = futures_util::future::join_all((0..50).map(|_| client.begin())).await;
    assert_eq!(begun.len(), 50);
    assert_eq!(provider.count("discoveryAsked").await, 1);
}

#[tokio::test]
async fn a_provider_that_is_gone_is_said_to_be_and_is_found_when_it_is_back() {
    let mut provider = Provider::start();
    let port = provider.port().to_owned();
    let known = Client::new(&provider);
    let begun = known.begin().await;
    let code = known.code(&begun, "ada").await;
    let fresh = Client::new(&provider);
    provider.process.end();
    let refused = known.oidc.complete(begun.state.expose(), &code).await;
    assert!(
        matches!(refused, Err(OidcError::Unreachable(_))),
        "{refused:?}"
    );
    let refused = fresh.oidc.begin(PAGE).await.err();
    assert!(
        matches!(refused, Some(OidcError::Unreachable(_))),
        "{refused:?}"
    );

    let provider = Provider::start_with(&[&port]);
    until_true("the provider found again", async || {
        fresh.oidc.begin(PAGE).await.is_ok()
    })
    .await;
    assert!(fresh.sign_in("ada").await.is_ok());
    drop(provider);
}

#[tokio::test]
async fn answers_without_end_or_sense_cost_little() {
    let provider = Provider::start();
    let asks = "create_users = true\ndefault_role = 'viewer'";
    for (ended, path) in (1..).zip([
        "/.well-known/openid-configuration",
        "/jwks",
        "/token",
        "/me",
    ]) {
        let discovery = path.starts_with("/.well");
        for fault in ["huge", "elsewhere", "broken"] {
            // Nothing is known to a new one.
            let client = Client::with(&provider, "fleetwire", asks);
            let refused = if discovery {
                provider.fault(&format!("{fault} {path}")).await;
                client.oidc.begin(PAGE).await.err()
            } else {
                let begun = client.begin().await;
                let code = client.code(&begun, "ada").await;
                provider.fault(&format!("{fault} {path}")).await;
                client
                    .oidc
                    .complete(begun.state.expose(), &code)
                    .await
                    .err()
            };
            assert!(
                matches!(refused, Some(OidcError::Provider(_))),
                "{fault} {path}: {refused:?}"
            );
            provider.behave().await;
        }
        until_true("the end of the long answer", async || {
            provider.count("hugeEnded").await == ended
        })
        .await;
    }
    let taken = provider.count("hugeBytes").await;
    assert!(taken < TAKEN_BYTES_MAX, "{taken} of 400 MB were taken");
}

/// A certificate for this machine, by an authority of its own: the files of the authority, of the
/// certificate and of its key.
fn certificate(dir: &Path) -> [PathBuf; 3] {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new([]).expect("parameters");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = parameters.self_signed(&key).expect("signed");
    let issuer = rcgen::Issuer::from_params(&parameters, &key);
    let leaf_key = rcgen::KeyPair::generate().expect("a key");
    let leaf = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).expect("parameters");
    let leaf = leaf.signed_by(&leaf_key, &issuer).expect("signed");
    let files = ["ca.pem", "leaf.pem", "leaf.key"].map(|name| dir.join(name));
    for (file, text) in files
        .iter()
        .zip([ca.pem(), leaf.pem(), leaf_key.serialize_pem()])
    {
        fs::write(file, text).expect("written");
    }
    files
}

#[tokio::test]
async fn over_tls_the_provider_is_who_the_settings_trust() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let [ca, leaf, key] = certificate(dir.path());
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let provider = Provider::start_with(&["0", &text(&leaf), &text(&key)]);

    let trusting = Client::with(&provider, "fleetwire", &format!("ca_file = {ca:?}"));
    let begun = trusting.begin().await;
    let certificates = roots::read(&ca).expect("read").expect("certificates");
    let tls = tls::client_trusting(certificates, false).expect("settings");
    let address = begun.authorization_url.expose();
    let back = Browser::trusting(tls).sign_in(address, "ada", PAGE).await;
    let who = trusting.oidc.complete(&back["state"], &back["code"]).await;
    assert_eq!(who.expect("signed in").subject, "ada");

    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let [other, ..] = certificate(elsewhere.path());
    for ca_file in [format!("ca_file = {other:?}"), String::new()] {
        let strange = Client::with(&provider, "fleetwire", &ca_file);
        let refused = strange.oidc.begin(PAGE).await.err();
        assert!(
            matches!(refused, Some(OidcError::Unreachable(_))),
            "{refused:?}"
        );
    }
}
