//! Contexts: whom `login` trusts, what it keeps and how, and whose credentials go where.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use fleetwire::net::tls;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Platform, command, mode};

pub const PASSWORD: &str = "correct horse battery staple";

/// A person with a configuration directory of their own.
pub struct Person(TempDir);

impl Person {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command("fleetwire");
        command
            .env("XDG_CONFIG_HOME", self.0.path())
            .args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("ran")
    }

    pub fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// A file of this person's.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("written");
        path.to_str().expect("text").to_owned()
    }

    pub fn config(&self) -> PathBuf {
        self.0.path().join("fleetwire/config.toml")
    }

    /// Signs in with the administrator's token.
    fn login(&self, platform: &Platform, context: &str) {
        let token = self.file("token", &format!("{}\n", platform.admin_token()));
        let ca = platform.ca_file();
        let ca = ca.to_str().expect("text");
        let url = platform.url().to_string();
        self.done(&[
            "login",
            "--context",
            context,
            "--ca",
            ca,
            "--token-file",
            &token,
            &url,
        ]);
    }
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The fingerprint of a platform's CA, as `openssl x509 -fingerprint` shows it.
fn fingerprint(platform: &Platform) -> String {
    let pem = fs::read_to_string(platform.ca_file()).expect("there");
    let ca = tls::certificates_from_pem(&pem).expect("a certificate");
    let bytes = tls::fingerprint(&ca[0]).map(|byte| format!("{byte:02X}"));
    bytes.join(":")
}

#[test]
fn a_context_keeps_who_and_where_for_its_owner_alone() {
    let (one, two) = (Platform::start(&[]), Platform::start(&[]));
    one.operate(&["host", "create", "kvm-of-one"]);
    let person = Person::new();
    person.login(&one, "one");
    assert_eq!(mode(&person.config()), 0o600);
    let dir = person.config();
    assert_eq!(mode(dir.parent().expect("a directory")), 0o700);
    assert!(person.done(&["host", "list"]).contains("kvm-of-one"));

    person.login(&two, "two");
    assert!(!person.done(&["host", "list"]).contains("kvm-of-one"));
    assert!(
        person
            .done(&["host", "list", "--context", "one"])
            .contains("kvm-of-one")
    );
    let listed: Value =
        serde_json::from_str(&person.done(&["context", "list", "--json"])).expect("JSON");
    assert_eq!(listed[1]["name"], "two");
    assert_eq!(listed[1]["current"], true);
    assert!(!listed.to_string().contains("fwa_"), "no credentials");
    let table = person.done(&["context", "list"]);
    let lines: Vec<_> = table.lines().collect();
    let [heading, first, second] =
        [(0, "NAME"), (1, "one"), (2, "two")].map(|(at, word)| lines[at].find(word));
    assert!(
        heading.is_some() && heading == first && first == second,
        "{table}"
    );
    assert!(lines[2].starts_with("* "), "{table}");

    person.done(&["context", "use", "one"]);
    assert!(person.done(&["host", "list"]).contains("kvm-of-one"));
    assert_eq!(
        person.run(&["context", "use", "three"]).status.code(),
        Some(2)
    );

    // One's credential is not for two, whoever says to go there.
    let elsewhere = person.run(&["host", "list", "--server", &two.url().to_string()]);
    assert_eq!(elsewhere.status.code(), Some(2), "{}", said(&elsewhere));
    // What is said wins over the context.
    let other = person.file("other", "fwa_other\n");
    let other = person.run(&["host", "list", "--token-file", &other]);
    assert_eq!(other.status.code(), Some(1), "{}", said(&other));

    person.done(&["logout"]);
    let out = person.run(&["host", "list"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(said(&out).contains("fleetwire login"), "{}", said(&out));
    person.done(&["context", "delete", "one"]);
    person.done(&["context", "delete", "two"]);
    assert_eq!(person.done(&["context", "list", "--json"]), "[]\n");
}

#[test]
fn nobody_is_trusted_without_being_asked_for() {
    let platform = Platform::start(&[]);
    let person = Person::new();
    let url = platform.url().to_string();
    let token = person.file("token", &platform.admin_token());
    let login =
        |more: &[&str]| person.run(&[&["login", "--token-file", &token, &url], more].concat());

    let refused = login(&[]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    let shown = fingerprint(&platform);
    assert!(said(&refused).contains(&shown), "{}", said(&refused));

    let other = login(&["--ca-fingerprint", &"00".repeat(32)]);
    assert_eq!(other.status.code(), Some(2));
    assert!(said(&other).contains("not the one"), "{}", said(&other));
    assert!(!person.config().exists());

    let pinned = login(&["--ca-fingerprint", &shown]);
    assert!(pinned.status.success(), "{}", said(&pinned));
    // It is trusted by its certificate from here on, name and all.
    assert!(person.done(&["host", "list"]).contains("NAME"));
}

#[test]
fn a_credential_that_is_refused_is_not_kept() {
    let platform = Platform::start(&[]);
    let person = Person::new();
    let token = person.file("token", "fwa_nobody");
    let ca = platform.ca_file();
    let ca = ca.to_str().expect("text");
    let url = platform.url().to_string();
    let refused = person.run(&["login", "--ca", ca, "--token-file", &token, &url]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(!person.config().exists());
}

#[test]
fn at_a_terminal_it_asks_and_shows_no_credential() {
    let platform = Platform::start(&[]);
    let person = Person::new();
    let password = person.file("password", PASSWORD);
    platform.operate_json(&[
        "user",
        "create",
        "ada",
        "--role=viewer",
        "--password-file",
        &password,
    ]);
    let program = person.command(&["login", "--context", "t", &platform.url().to_string()]);
    let mut terminal = Terminal::start(&program);
    terminal.until("[y/N]");
    assert!(
        terminal.seen.contains(&fingerprint(&platform)),
        "{}",
        terminal.seen
    );
    terminal.type_in("y\r");
    terminal.until("User:");
    terminal.type_in("ada\r");
    terminal.until("Password:");
    // Two letters too many, one taken back by each way of the key.
    terminal.type_in(&format!("{PASSWORD}xy\u{7f}\u{8}\r"));
    terminal.until("as ada; this is the context t now");
    assert!(!terminal.seen.contains("horse"), "{}", terminal.seen);
    assert!(person.done(&["host", "list"]).contains("NAME"));
}

/// A program at a terminal of its own, and somebody who reads and types there.
pub struct Terminal {
    child: std::process::Child,
    output: std::process::ChildStdout,
    input: std::process::ChildStdin,
    pub seen: String,
    /// How much of that was waited for.
    read: usize,
}

impl Terminal {
    pub fn start(program: &Command) -> Self {
        let quoted = [program.get_program()]
            .into_iter()
            .chain(program.get_args());
        let quoted = quoted.map(|word| format!("'{}'", word.to_str().expect("text")));
        let line = quoted.collect::<Vec<_>>().join(" ");
        let mut script = Command::new("script");
        script.args([
            "--quiet",
            "--return",
            "--flush",
            "--command",
            &line,
            "/dev/null",
        ]);
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        let mut child = script
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a script of util-linux");
        let output = child.stdout.take().expect("piped");
        let input = child.stdin.take().expect("piped");
        Self {
            child,
            output,
            input,
            seen: String::new(),
            read: 0,
        }
    }

    /// Reads until this has been shown since the last time.
    pub fn until(&mut self, part: &str) {
        let mut some = [0; 1024];
        loop {
            if let Some(at) = self.seen[self.read..].find(part) {
                self.read += at + part.len();
                return;
            }
            let length = self.output.read(&mut some).expect("it shows something");
            assert!(length > 0, "ended without {part:?}: {}", self.seen);
            self.seen
                .push_str(&String::from_utf8_lossy(&some[..length]));
        }
    }

    pub fn type_in(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).expect("typed");
        self.input.flush().expect("typed");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
