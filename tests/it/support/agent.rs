//! An agent of the test's own.

use std::fs;
use std::path::{Path, PathBuf};

use fleetwire::net::http_client::ServerUrl;
use serde_json::Value;
use tempfile::TempDir;

use super::platform::Platform;
use super::process::{Process, command};
use super::until;

/// An agent process with a state directory of its own.
pub struct Agent {
    /// The process.
    pub process: Process,
    /// More flags, for the next start.
    pub flags: Vec<String>,
    targets: Vec<String>,
    // Last, so that the process ends before its directory goes.
    dir: TempDir,
}

/// Nobody listens there: most tests are about the agent's own connection.
const NOBODY: &str = "http://127.0.0.1:9";

impl Agent {
    /// Starts an agent with a token of its own, and waits until the platform lists it as online.
    pub fn start(platform: &Platform, name: &str) -> Self {
        Self::start_for(platform, name, &[NOBODY])
    }

    /// Starts an agent for the devices at these URLs, as its flag takes them, and waits until the
    /// platform lists it as online.
    pub fn start_for(platform: &Platform, name: &str, targets: &[&str]) -> Self {
        Self::start_doing(platform, name, targets, Vec::new())
    }

    /// Starts an agent that runs commands of these kinds, and waits until the platform lists it as online.
    pub fn start_allowing(platform: &Platform, name: &str, kinds: &[&str]) -> Self {
        let flags = kinds.iter().flat_map(|kind| ["--allow-command", kind]);
        Self::start_doing(
            platform,
            name,
            &[NOBODY],
            flags.map(str::to_owned).collect(),
        )
    }

    /// Starts an agent with more flags, and waits until the platform lists it as online.
    pub fn start_with_flags(platform: &Platform, name: &str, flags: Vec<String>) -> Self {
        Self::start_doing(platform, name, &[NOBODY], flags)
    }

    fn start_doing(platform: &Platform, name: &str, targets: &[&str], flags: Vec<String>) -> Self {
        let token = platform.enrolment_token(&[]);
        let agent = Self::launch(platform, name, &token, targets, flags);
        until_status(platform, name, "online");
        agent
    }

    /// Starts an agent with this token.
    pub fn start_with(platform: &Platform, name: &str, token: &str) -> Self {
        Self::launch(platform, name, token, &[NOBODY], Vec::new())
    }

    /// Starts an agent with this token, for these devices, and with more flags.
    pub fn launch(
        platform: &Platform,
        name: &str,
        token: &str,
        targets: &[&str],
        flags: Vec<String>,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join("token"), token).expect("written");
        let targets: Vec<String> = targets.iter().map(|target| (*target).to_owned()).collect();
        let process = run(&platform.url(), name, dir.path(), &targets, &flags);
        Self {
            process,
            flags,
            targets,
            dir,
        }
    }

    /// Starts another agent with a copy of this one's state, as a cloned machine has it.
    pub fn clone_machine(&self, platform: &Platform, name: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("state")).expect("made");
        for file in ["state/state.json", "state/agent.key"] {
            fs::copy(self.dir.path().join(file), dir.path().join(file)).expect("copied");
        }
        let process = run(&platform.url(), name, dir.path(), &self.targets, &[]);
        let targets = self.targets.clone();
        Self {
            process,
            flags: Vec::new(),
            targets,
            dir,
        }
    }

    /// Starts the same agent again after its process has ended.
    pub fn restart(&mut self, platform: &Platform, name: &str) {
        self.restart_at(&platform.url(), name);
    }

    /// Starts the same agent again, towards whatever listens there.
    pub fn restart_at(&mut self, platform: &ServerUrl, name: &str) {
        let dir = self.dir.path();
        self.process = run(platform, name, dir, &self.targets, &self.flags);
    }

    /// Its state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }
}

/// Waits until the platform lists a host with this status, and returns its entry.
pub fn until_status(platform: &Platform, name: &str, status: &str) -> Value {
    until(&format!("{name} {status}"), || {
        let hosts = platform.hosts();
        let host = hosts.as_array()?.iter().find(|host| host["name"] == name)?;
        (host["status"] == status).then(|| host.clone())
    })
}

fn run(
    platform: &ServerUrl,
    name: &str,
    dir: &Path,
    targets: &[String],
    flags: &[String],
) -> Process {
    let mut command = command("fleetwire-agent");
    command.args(["--platform", &platform.to_string(), "--name", name]);
    command.arg("--state-dir").arg(dir.join("state"));
    command.arg("--token-file").arg(dir.join("token"));
    command.args(targets.iter().flat_map(|target| ["--target", target]));
    command.args(flags);
    Process::start(&format!("agent {name}"), &mut command)
}
