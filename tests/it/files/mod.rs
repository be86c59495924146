//! Files to hosts and from there: real platforms and agents, over a way between them that a test counts,
//! holds and cuts.

mod carried;
mod kept;
mod refused;
mod relay;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Agent, Platform, command, until_status};
use relay::Relay;

const MIB: usize = 1 << 20;

/// A platform, an agent that dials it through a relay, and the folders that it may write and read.
struct World {
    platform: Platform,
    relay: Relay,
    agent: Agent,
    data: TempDir,
    dir: TempDir,
}

impl World {
    fn start() -> Self {
        Self::start_with("")
    }

    /// Starts one whose agent has more rules.
    fn start_with(rules: &str) -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let dir = tempfile::tempdir().expect("a temporary directory");
        for folder in ["in", "out", "elsewhere"] {
            fs::create_dir(dir.path().join(folder)).expect("made");
        }
        let root = dir.path().display();
        let settings = format!(
            "[commands.file_transfer]\nto_host = [\"{root}/in\"]\nfrom_host = [\"{root}/out\"]\n{rules}"
        );
        let config = dir.path().join("agent.toml");
        fs::write(&config, settings).expect("written");
        let platform = Platform::start_on(data.path(), &[]);
        let flags = vec!["--config".to_owned(), config.display().to_string()];
        let mut agent = Agent::start_with_flags(&platform, "kvm", flags);
        agent.process.end();
        until_status(&platform, "kvm", "offline");
        let relay = Relay::begin(platform.tls);
        agent.restart_at(&relay.url(), "kvm");
        until_status(&platform, "kvm", "online");
        Self {
            platform,
            relay,
            agent,
            data,
            dir,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A file of so many bytes, none of which repeat soon.
    fn sample(&self, name: &str, length: usize) -> Vec<u8> {
        let bytes = sample(length);
        fs::write(self.path(name), &bytes).expect("written");
        bytes
    }

    fn begun(&self, arguments: &[&str]) -> Child {
        operator(&self.platform, arguments)
            .spawn()
            .expect("started")
    }

    fn ran(&self, arguments: &[&str]) -> Ran {
        let output = operator(&self.platform, arguments).output();
        Ran::of(&output.expect("ran"))
    }

    fn files(&self) -> Vec<Value> {
        let list = self.platform.operate_json(&["files", "list"]);
        list["files"].as_array().expect("a list").clone()
    }
}

fn sample(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn operator(platform: &Platform, arguments: &[&str]) -> Command {
    let mut command = command("fleetwire");
    command
        .env("FLEETWIRE_SERVER", platform.url().to_string())
        .env("FLEETWIRE_TOKEN", platform.admin_token())
        .env("FLEETWIRE_CA", platform.ca_file())
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// How a command of the operator's ended.
struct Ran {
    code: Option<i32>,
    said: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            said: text(&output.stderr),
        }
    }

    #[track_caller]
    fn succeeded(&self) {
        assert_eq!(self.code, Some(0), "{}", self.said);
    }

    /// It failed, and said why in these words.
    #[track_caller]
    fn failed(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{}", self.said);
        for word in words {
            assert!(self.said.contains(word), "{word}: {}", self.said);
        }
    }
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("there").flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
