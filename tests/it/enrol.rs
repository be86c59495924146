//! Enrolment: an agent's token for a credential, over real sockets.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fleetwire::agent::enrol::{AgentState, EnrolError, StateDir};
use fleetwire::net::enrolment::{ENROL_PATH, EnrolmentToken};
use fleetwire::net::http_client::HttpError;
use fleetwire::secret::Secret;
use fleetwire::wire::api::{EnrolHostRequest, EnrolHostResponse};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Platform, mode, until};

/// A machine that would like to be a host.
struct Machine {
    dir: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    fn state_path(&self) -> std::path::PathBuf {
        self.dir.path().join("state")
    }

    /// Enrols with a token, or finds that it is enrolled.
    async fn enrol(
        &self,
        platform: &Platform,
        token: &str,
        name: &str,
    ) -> Result<AgentState, EnrolError> {
        let file = self.dir.path().join("token");
        fs::write(&file, format!("{token}\n")).expect("written");
        let state = StateDir::open(&self.state_path())?;
        state
            .state_or_enrol(Some(&file), &platform.url(), name)
            .await
    }
}

fn code(result: Result<AgentState, EnrolError>) -> String {
    match result {
        Err(error @ EnrolError::Call { .. }) => {
            assert!(!error.is_transient(), "{error}");
            let EnrolError::Call { source } = error else {
                unreachable!()
            };
            source
                .code()
                .map_or_else(|| source.to_string(), str::to_owned)
        }
        other => panic!("{other:?}"),
    }
}

/// The same token with other bytes in one place: 1 is where the fingerprint begins, 33 the secret.
fn altered(token: &str, at: usize) -> String {
    let encoded = token.strip_prefix("fwe_").expect("a token");
    let mut bytes = URL_SAFE_NO_PAD.decode(encoded).expect("base64url");
    bytes[at] ^= 1;
    format!("fwe_{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[tokio::test]
async fn an_agent_enrols_once_and_keeps_what_it_got() {
    let platform = Platform::start(&[]);
    let machine = Machine::new();
    let token = platform.enrolment_token(&[]);
    let state = machine
        .enrol(&platform, &token, "kvm")
        .await
        .expect("enrolled");
    assert_eq!(state.name, "kvm");
    assert_eq!(state.server_name, "platform.fleetwire.internal");
    assert_eq!(
        state.ca_pem,
        fs::read_to_string(platform.ca_file()).expect("there")
    );
    assert_eq!(mode(&machine.state_path()), 0o700);
    assert_eq!(mode(&machine.state_path().join("state.json")), 0o600);
    let hosts = platform.hosts();
    assert_eq!(hosts[0]["id"], state.host_id);
    // From now on neither the token nor the platform is needed.
    let again = machine
        .enrol(&platform, "no token", "other")
        .await
        .expect("enrolled");
    assert_eq!(again, state);
    assert_eq!(
        code(Machine::new().enrol(&platform, &token, "other").await),
        "token_used"
    );
}

#[tokio::test]
async fn a_token_is_for_one_platform_only() {
    let platform = Platform::start(&[]);
    let other = Platform::start(&[]);
    let machine = Machine::new();
    let token = other.enrolment_token(&[]);
    let error = machine
        .enrol(&platform, &token, "kvm")
        .await
        .expect_err("another CA");
    assert!(
        matches!(
            &error,
            EnrolError::Call {
                source: HttpError::Tls { .. }
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("enrolment token names"),
        "{error}"
    );
    let forged = altered(&other.enrolment_token(&[]), 1);
    let error = machine
        .enrol(&other, &forged, "kvm")
        .await
        .expect_err("a wrong fingerprint");
    assert!(
        matches!(
            error,
            EnrolError::Call {
                source: HttpError::Tls { .. }
            }
        ),
        "{error}"
    );
    // A token for another name of the same CA: the certificate does not have it.
    let real = EnrolmentToken::parse(&token).expect("a token");
    let named = EnrolmentToken::generate(*real.ca_fingerprint(), "other.internal").expect("a name");
    let error = machine
        .enrol(&other, named.to_text().expose(), "kvm")
        .await
        .expect_err("a name");
    assert!(
        matches!(
            error,
            EnrolError::Call {
                source: HttpError::Tls { .. }
            }
        ),
        "{error}"
    );
    let enrolled = machine.enrol(&other, &token, "kvm").await;
    assert!(enrolled.is_ok(), "none of it cost the token: {enrolled:?}");
}

#[tokio::test]
async fn a_wrong_or_late_token_is_refused() {
    let platform = Platform::start(&[]);
    let unknown = altered(&platform.enrolment_token(&[]), 33);
    assert_eq!(
        code(Machine::new().enrol(&platform, &unknown, "kvm").await),
        "token_unknown"
    );
    let short = platform.enrolment_token(&["--ttl", "1s"]);
    let made = SystemTime::now();
    until("the token's end", || {
        (made.elapsed().ok()?.as_millis() > 1100).then_some(())
    });
    assert_eq!(
        code(Machine::new().enrol(&platform, &short, "kvm").await),
        "token_expired"
    );
    assert_eq!(platform.hosts(), serde_json::json!([]));
}

#[tokio::test]
async fn tokens_are_listed_without_their_text_and_revoked() {
    let platform = Platform::start(&[]);
    let list = || platform.operate_json(&["token", "list"])["enrolment_tokens"].take();
    let used = platform.operate_json(&["token", "create", "--name", "kvm"]);
    let left = platform.operate_json(&["token", "create"]);
    let text = |token: &Value, member: &str| token[member].as_str().expect("text").to_owned();
    let state = Machine::new()
        .enrol(&platform, &text(&used, "token"), "kvm")
        .await;
    let state = state.expect("enrolled");

    let tokens = list();
    // Made in one millisecond, perhaps: which of them comes first is then nobody's business.
    let of = |id: &str| {
        let tokens = tokens.as_array().expect("a list").iter();
        let mut found = tokens.filter(|token| token["id"] == id);
        found.next().expect("listed").clone()
    };
    let (used_id, left_id) = (text(&used, "id"), text(&left, "id"));
    let token = of(&used_id);
    assert_eq!(token["name"], "kvm");
    assert_eq!(token["host_id"], state.host_id);
    assert!(token["used_at"].is_string() && token["created_by"].is_string());
    let token = of(&left_id);
    assert!(token.get("used_at").is_none() && token.get("name").is_none());
    assert_eq!(token["expires_at"], left["expires_at"]);
    assert!(!tokens.to_string().contains("fwe_"), "{tokens}");
    let page = platform.operate_json(&["token", "list", "--page-size=1"]);
    assert_eq!(page["enrolment_tokens"], json!([tokens[0]]));
    assert!(page["next_page_token"].is_string());

    for id in [&used_id, &left_id] {
        let revoked = platform.operate(&["token", "revoke", id, "--yes"]);
        assert!(revoked.status.success(), "{revoked:?}");
    }
    assert_eq!(list(), json!([]));
    let again = platform.operate(&["token", "revoke", &left_id, "--yes"]);
    assert!(!again.status.success());
    let refused = Machine::new()
        .enrol(&platform, &text(&left, "token"), "other")
        .await;
    assert_eq!(code(refused), "token_unknown");
    assert_eq!(platform.hosts()[0]["name"], "kvm", "a host stays one");
    let log = platform.operate(&["audit", "export"]);
    let log = String::from_utf8(log.stdout).expect("text");
    for action in ["token.create", "token.revoke"] {
        let entry = format!("\"action\":\"{action}\",\"target\":\"token:{left_id}\"");
        assert!(log.contains(&entry), "{entry}: {log}");
    }
}

#[tokio::test]
async fn names_are_unique_and_a_named_token_enrols_anew() {
    let platform = Platform::start(&[]);
    let first = Machine::new();
    let token = platform.enrolment_token(&[]);
    let old = first
        .enrol(&platform, &token, "kvm")
        .await
        .expect("enrolled");

    let second = Machine::new();
    let token = platform.enrolment_token(&[]);
    assert_eq!(
        code(second.enrol(&platform, &token, "kvm").await),
        "name_taken"
    );
    assert_eq!(
        code(second.enrol(&platform, &token, "not a name").await),
        "name_invalid"
    );
    second
        .enrol(&platform, &token, "kvm-2")
        .await
        .expect("the token is still good");

    let third = Machine::new();
    let token = platform.enrolment_token(&["--name", "kvm"]);
    let new = third
        .enrol(&platform, &token, "not a name")
        .await
        .expect("what it would like does not matter");
    assert_eq!((&new.host_id, new.name.as_str()), (&old.host_id, "kvm"));
    assert_ne!(new.auth_token, old.auth_token);
}

#[tokio::test]
async fn a_lost_answer_costs_no_token() {
    let platform = Platform::start(&[]);
    let token = Secret::new(platform.enrolment_token(&[]));
    let request = EnrolHostRequest {
        token: token.clone(),
        name: "kvm".to_owned(),
        csr: request_by(&key()),
    };
    let client = platform.anonymous().0;
    let enrol = async |request: &EnrolHostRequest| -> Result<EnrolHostResponse, HttpError> {
        client.post(ENROL_PATH, request.clone()).await
    };
    let lost = enrol(&request).await.expect("enrolled");
    let kept = enrol(&request).await.expect("enrolled");
    assert_eq!(lost.host_id, kept.host_id);
    assert_ne!(lost.auth_token, kept.auth_token);
    let thief = EnrolHostRequest {
        csr: request_by(&key()),
        ..request
    };
    let refused = enrol(&thief).await;
    assert_eq!(refused.expect_err("used").code(), Some("token_used"));
    // Nothing of the token is in the platform's log or database.
    assert!(!platform.process.said().contains(token.expose()));
    for file in fs::read_dir(platform.data_dir()).expect("there") {
        let path = file.expect("there").path();
        assert!(
            !holds(&path, token.expose().as_bytes()),
            "{}",
            path.display()
        );
        assert!(
            !holds(&path, kept.auth_token.expose().as_bytes()),
            "{}",
            path.display()
        );
    }
}

/// A key of an agent of the test's own.
pub fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

/// A request for a certificate by this key.
pub fn request_by(key: &KeyPair) -> String {
    let request = CertificateParams::default().serialize_request(key);
    request.expect("signed").pem().expect("PEM")
}

fn holds(path: &Path, part: &[u8]) -> bool {
    let content = fs::read(path).unwrap_or_default();
    content.windows(part.len()).any(|window| window == part)
}
