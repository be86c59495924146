//! Agents that another takes the place of: real programs, signed and sent by the operator's command, and what
//! runs afterwards. The new agents are this project's own with a few bytes changed, or scripts.

mod ends;
mod kills;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fleetwire::agent::update::{Record, Standing, VERSION};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Platform, Process, until, until_status};

/// The version that the new ones say of themselves.
const NEW: &str = "9.9.9";
/// What an agent says as soon as it knows that it is new.
const IS_NEW: &str = "until it is welcome";

/// A host with an agent in a place of its own, and a key that it trusts.
struct World {
    platform: Platform,
    agent: Process,
    dir: TempDir,
}

impl World {
    /// A host whose new agents may take so many seconds to connect.
    fn start(connect_within: u32) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("bin")).expect("made");
        fs::copy(program(), path("bin/fleetwire-agent")).expect("copied");
        // What nobody debugs is not sent about.
        let stripped = Command::new("strip")
            .arg(path("bin/fleetwire-agent"))
            .status();
        drop(stripped);
        for key in ["key.pem", "other.pem"] {
            openssl(&["genpkey", "-algorithm", "ed25519", "-out"], &path(key));
        }
        let public = path("public.pem");
        let key = path("key.pem").display().to_string();
        openssl(&["pkey", "-pubout", "-in", &key, "-out"], &public);
        let settings = format!(
            "[commands.agent_update]\nkey_files = [\"{}\"]\nconnect_within = {connect_within}\n",
            public.display()
        );
        fs::write(path("agent.toml"), settings).expect("written");
        let platform = Platform::start(&[]);
        fs::write(path("token"), platform.enrolment_token(&[])).expect("written");
        let agent = launch(&platform, dir.path());
        until_status(&platform, "kvm", "online");
        Self {
            platform,
            agent,
            dir,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn executable(&self) -> PathBuf {
        self.path("bin/fleetwire-agent")
    }

    /// Starts what is in the agent's place, as whoever keeps it running would.
    fn restart(&mut self) {
        self.agent = launch(&self.platform, self.dir.path());
    }

    /// The agent with these bytes in the place of others, which are as many.
    fn changed(&self, changes: &[(&str, &str)]) -> PathBuf {
        let mut bytes = fs::read(self.executable()).expect("there");
        for (from, to) in changes {
            assert_eq!(from.len(), to.len());
            let from = from.as_bytes();
            let places: Vec<usize> = (0..bytes.len() - from.len())
                .filter(|at| bytes[*at] == from[0] && bytes[*at..].starts_with(from))
                .collect();
            assert!(!places.is_empty(), "{from:?} is in it");
            for at in places {
                bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
            }
        }
        self.written(&bytes)
    }

    /// A new agent, as far as its version is concerned.
    fn new_agent(&self, changes: &[(&str, &str)]) -> PathBuf {
        let old = format!("fleetwire-agent/{VERSION}");
        let new = format!("fleetwire-agent/{NEW}");
        self.changed(&[&[(old.as_str(), new.as_str())], changes].concat())
    }

    fn written(&self, bytes: &[u8]) -> PathBuf {
        let path = self.path("new-agent");
        fs::write(&path, bytes).expect("written");
        path
    }

    /// A signature by one of the keys.
    fn signature(&self, key: &str, file: &Path, version: &str) -> String {
        let (key, file) = (self.path(key), file.display().to_string());
        let key = key.display().to_string();
        let output = self.platform.operate(&[
            "agents",
            "sign",
            "--file",
            &file,
            "--version",
            version,
            "--key",
            &key,
        ]);
        succeeded(&output);
        let text = String::from_utf8(output.stdout).expect("text");
        text.trim().to_owned()
    }

    /// Signs a new agent and asks for it; returns the command's id.
    fn asked(&self, file: &Path, version: &str) -> String {
        let signature = self.signature("key.pem", file, version);
        self.asked_with(file, version, &signature)
    }

    fn asked_with(&self, file: &Path, version: &str, signature: &str) -> String {
        let file = file.display().to_string();
        let output = self.platform.operate(&[
            "agents",
            "update",
            "kvm",
            "--file",
            &file,
            "--version",
            version,
            "--signature",
            signature,
        ]);
        succeeded(&output);
        let text = String::from_utf8(output.stdout).expect("text");
        text.trim().to_owned()
    }

    /// How a command has ended at its host.
    fn ended(&self, command: &str) -> Value {
        until("the command's end", || {
            let delivery = self.delivery(command);
            let state = delivery["delivery"]["state"].as_str()?;
            let ends = [
                "succeeded",
                "failed",
                "interrupted",
                "dead",
                "cancelled",
                "expired",
            ];
            ends.contains(&state).then_some(delivery)
        })
    }

    fn delivery(&self, command: &str) -> Value {
        self.platform
            .operate_json(&["delivery", "get", command, "kvm"])
    }

    /// The version that the platform sees.
    fn sees(&self) -> String {
        let host = until_status(&self.platform, "kvm", "online");
        host["software"].as_str().unwrap_or_default().to_owned()
    }

    fn record(&self) -> Option<Record> {
        Record::read(&self.path("state")).expect("readable")
    }

    /// Nothing has changed: this agent is connected, from the file that it was started from, and of the new
    /// one nothing is left.
    fn is_as_before(&self, executable: &[u8]) {
        assert_eq!(self.sees(), format!("fleetwire-agent/{VERSION}"));
        assert!(fs::read(self.executable()).expect("there") == executable);
        assert!(!self.path("bin/.fleetwire-agent.update").exists());
    }
}

fn launch(platform: &Platform, dir: &Path) -> Process {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL"])
        .arg(dir.join("bin/fleetwire-agent"));
    command.args(["--platform", &platform.url().to_string(), "--name", "kvm"]);
    command
        .args(["--target", "http://127.0.0.1:9", "--config"])
        .arg(dir.join("agent.toml"));
    command.arg("--state-dir").arg(dir.join("state"));
    command.arg("--token-file").arg(dir.join("token"));
    command.env_clear().stdin(Stdio::null());
    command.env("PATH", "/usr/bin:/bin");
    Process::start("the agent", &mut command)
}

/// This project's agent.
fn program() -> &'static str {
    env!("CARGO_BIN_EXE_fleetwire-agent")
}

fn openssl(arguments: &[&str], out: &Path) {
    let status = Command::new("openssl").args(arguments).arg(out).status();
    assert!(status.expect("openssl starts").success());
}

#[track_caller]
fn succeeded(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[track_caller]
fn is_end(delivery: &Value, state: &str, reason: &str) {
    let of = &delivery["delivery"];
    assert_eq!(
        (of["state"].as_str(), of["reason"].as_str()),
        (Some(state), Some(reason)),
        "{delivery:#}"
    );
}
