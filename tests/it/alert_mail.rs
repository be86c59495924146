//! E-mail about alerts to a real mail server: in the clear, with TLS at once and with TLS begun in the dialogue, signed
//! in, tried again where the server says later, and given up where it says never.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use hyper::Method;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::alerts::{ask, fire, until_sent};
use crate::support::{Agent, Platform, Process, until, until_status};

/// A mail server, and the settings that lead to it.
struct MailServer {
    dir: TempDir,
    process: Process,
    port: String,
}

impl MailServer {
    fn start(mode: &str, user: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        // Once: two that make it at a time would take it away from each other.
        static MADE: OnceLock<()> = OnceLock::new();
        MADE.get_or_init(|| {
            let made = Command::new("sh")
                .arg(root.join("tests/setup/mail.sh"))
                .stdin(Stdio::null())
                .output()
                .expect("there is a shell");
            assert!(made.status.success(), "the server's Python: {made:?}");
        });
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(root.join(".tools/mail/bin/python"));
        command.arg(root.join("tests/mail/server.py")).arg(mode);
        if mode != "none" {
            certificates(dir.path());
            command.args(["server.pem", "server.key"].map(|name| dir.path().join(name)));
        }
        command.args(user);
        let mut process = Process::start("the mail server", &mut command);
        let line = process.line("port ");
        let port = line.trim_start_matches("port ").to_owned();
        Self { dir, process, port }
    }

    /// A settings file of the platform.
    fn settings(&self, more: &str) -> PathBuf {
        let text = format!(
            "[mail]\nhost = '127.0.0.1'\nport = {}\nfrom = 'fleet@example.com'\n{more}\n",
            self.port
        );
        let path = self.file("platform.toml");
        fs::write(&path, text).expect("written");
        path
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The messages that it was given.
    fn messages(&self) -> Vec<Value> {
        let said = self.process.said();
        let lines = said.lines().filter(|line| line.starts_with('{'));
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The message that the server was given for this recipient.
    fn message_to(&self, recipient: &str) -> Value {
        until(&format!("a message to {recipient}"), || {
            let to = |message: &Value| message["to"].to_string().contains(recipient);
            self.messages().into_iter().find(to)
        })
    }
}

/// A CA of its own and a certificate of it.
fn certificates(dir: &Path) {
    let key = || KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("usable");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (ca_key, server_key) = (key(), key());
    let ca = params.self_signed(&ca_key).expect("signed");
    let issuer = Issuer::new(params, ca_key);
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("usable");
    let server = server.signed_by(&server_key, &issuer).expect("signed");
    for (name, text) in [
        ("ca.pem", ca.pem()),
        ("server.pem", server.pem()),
        ("server.key", server_key.serialize_pem()),
    ] {
        fs::write(dir.join(name), text).expect("written");
    }
}

fn start(settings: &Path) -> Platform {
    Platform::start(&["--config", settings.to_str().expect("text")])
}

async fn channel(platform: &Platform, name: &str, recipients: &[&str]) -> String {
    let wanted = json!({"spec": {"name": name, "email": {"recipients": recipients}}});
    let made = ask(platform, Method::POST, "/api/alert-channels", Some(wanted)).await;
    assert_eq!(made["secret"], Value::Null, "{made}");
    made["channel"]["id"].as_str().expect("an id").to_owned()
}

async fn trial(platform: &Platform, channel: &str) -> Value {
    let path = format!("/api/alert-channels/{channel}/test");
    ask(platform, Method::POST, &path, Some(json!({}))).await
}

#[tokio::test]
async fn an_alert_comes_by_mail_signed_in_over_starttls() {
    let server = MailServer::start("starttls", &["fleet", "a secret"]);
    let password = server.file("password");
    fs::write(&password, "a secret\n").expect("written");
    let settings = server.settings(&format!(
        "security = 'starttls'\nuser = 'fleet'\npassword_file = '{}'\nca_file = '{}'",
        password.display(),
        server.file("ca.pem").display()
    ));
    let platform = start(&settings);
    channel(
        &platform,
        "later",
        &["ops@example.com", "later-x@example.com"],
    )
    .await;
    channel(&platform, "never", &["no-one@example.com"]).await;
    let agent = Agent::start(&platform, "kvm");
    until_status(&platform, "kvm", "online");
    let alert = fire(&platform, agent, "gone").await;

    let sent = until_sent(&platform, &alert, "later", "sent");
    assert_eq!(sent["attempts"], 2, "{sent}");
    let tries = sent["tries"].as_array().expect("tries");
    assert_eq!(tries.len(), 2, "{sent}");
    let first = tries[0]["error"].as_str().expect("text");
    assert!(first.contains("451"), "{sent}");
    assert_eq!(tries[1]["error"], "", "{sent}");
    let never = until_sent(&platform, &alert, "never", "failed");
    assert_eq!(never["attempts"], 1, "{never}");
    let why = never["error"].as_str().expect("text");
    assert!(
        why.contains("550 5.1.1 there is no such mailbox"),
        "{never}"
    );

    let message = server.message_to("later-x@example.com");
    assert_eq!(
        (&message["tls"], &message["signed_in"], &message["from"]),
        (&json!(true), &json!(true), &json!("fleet@example.com"))
    );
    let to = json!(["ops@example.com", "later-x@example.com"]);
    assert_eq!(message["to"], to, "nobody was sent it twice");
    let text = message["text"].as_str().expect("text");
    for line in [
        "Subject: [fleetwire] critical: gone on kvm\r\n",
        "Content-Type: text/plain",
        "\r\nHost: kvm\r\n",
        &format!(
            "Message-ID: <{}@example.com>\r\n",
            sent["id"].as_str().expect("an id")
        ),
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let firing = server.messages().len();
    assert_eq!(firing, 1, "once, and not to who is refused: {firing}");
}

#[tokio::test]
async fn a_trial_by_mail_says_what_came_of_it() {
    let server = MailServer::start("none", &[]);
    let platform = start(&server.settings("security = 'none'"));
    let mixed = channel(&platform, "mixed", &["no-one@example.com", "a@example.com"]).await;
    let tried = trial(&platform, &mixed).await;
    assert_eq!(tried["delivered"], true, "{tried}");
    let error = tried["error"].as_str().expect("text");
    assert!(error.starts_with("no-one@example.com: 550"), "{tried}");
    let message = server.message_to("a@example.com");
    let subject = "Subject: [fleetwire] Trial of mixed\r\n";
    assert!(
        message["text"].to_string().contains("Trial of mixed"),
        "{subject}: {message}"
    );
    assert_eq!(message["tls"], false, "{message}");

    // Kinds stay, and what is no address is refused.
    let client = platform.client();
    let path = format!("/api/alert-channels/{mixed}");
    for (body, code) in [
        (
            json!({"name": "mixed", "webhook": {"url": "https://a.example"}}),
            "channel_kind_fixed",
        ),
        (
            json!({"name": "mixed", "email": {"recipients": ["a@b\r\nBcc: c@d"]}}),
            "address_invalid",
        ),
        (
            json!({"name": "mixed", "email": {"recipients": []}}),
            "channel_incomplete",
        ),
        (json!({"name": "mixed"}), "channel_incomplete"),
    ] {
        let body = json!({"spec": body});
        let refused = client
            .call::<_, Value>(Method::PATCH, &path, Some(&body))
            .await;
        let refused = format!("{refused:?}");
        assert!(refused.contains(code), "{body}: {refused}");
    }
    let never = json!({"spec": {"name": "mixed", "email": {"recipients": ["no-one@example.com"]}}});
    ask(&platform, Method::PATCH, &path, Some(never)).await;
    let tried = trial(&platform, &mixed).await;
    assert_eq!(tried["delivered"], false, "{tried}");
}

#[tokio::test]
async fn mail_goes_to_a_server_that_is_trusted_alone() {
    let server = MailServer::start("tls", &[]);
    let trusting = format!("ca_file = '{}'", server.file("ca.pem").display());
    for (settings, delivered) in [(trusting.as_str(), true), ("", false)] {
        let platform = start(&server.settings(settings));
        let ops = channel(&platform, "ops", &["ops@example.com"]).await;
        let tried = trial(&platform, &ops).await;
        assert_eq!(tried["delivered"], delivered, "{tried}");
    }
    assert_eq!(server.messages().len(), 1);
    assert_eq!(server.messages()[0]["tls"], true);

    // Without the table there are no channels of e-mail.
    let platform = Platform::start(&[]);
    let wanted = json!({"spec": {"name": "ops", "email": {"recipients": ["ops@example.com"]}}});
    let client = platform.client();
    let refused = client
        .call::<_, Value>(Method::POST, "/api/alert-channels", Some(&wanted))
        .await;
    let refused = format!("{refused:?}");
    assert!(refused.contains("mail_not_set_up"), "{refused}");
}
