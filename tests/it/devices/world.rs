//! A platform, and a network namespace whose only way out is its port for agents: there live the devices and
//! their agents.
//!
//! Leaves to others: processes and the platform ([`crate::support`]), and what a test asserts.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Platform, Process, command, until_status};

/// A path of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a script with the Python that `tests/setup/devices.sh` makes.
pub(crate) fn python(script: &str) -> Command {
    let python = project(".tools/devices/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run tests/setup.sh",
        python.display()
    );
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]);
    command.arg(python).arg(project(script));
    command.stdin(Stdio::null());
    command
}

/// A URL out of what a fixture or a command has said.
pub(crate) fn url_of<'a>(facts: &'a Value, name: &str) -> &'a str {
    facts[name].as_str().expect("a URL")
}

/// Starts a fixture of `tests/devices` and waits for its line `ready {...}`; that JSON comes with it.
fn start_ready(name: &str, command: &mut Command) -> (Process, Value) {
    let mut process = Process::start(name, command);
    let line = process.line("ready {");
    let facts = line.trim_start_matches("ready ");
    let facts = serde_json::from_str(facts).expect("JSON after ready");
    (process, facts)
}

/// A platform with a namespace that reaches nothing else, and a directory for the state of all others.
pub(crate) struct World {
    // In this order: agents and devices end first, the platform last, the directory after all.
    agent: Option<Process>,
    others: Vec<Process>,
    _namespace: Process,
    enter: Vec<String>,
    /// The platform.
    pub(crate) platform: Platform,
    dir: TempDir,
}

impl World {
    /// Starts both, and proves that nothing but the platform is reached from the namespace.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts both, the platform with settings out of the environment.
    pub(crate) fn start_with(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let platform = Platform::start_with(&[], settings);
        let port = platform.tls.port().to_string();
        let mut hold = python("tests/devices/netns.py");
        let (namespace, facts) = start_ready("namespace", hold.args(["hold", "--port", &port]));
        let world = Self {
            agent: None,
            others: Vec::new(),
            _namespace: namespace,
            enter: serde_json::from_value(facts["enter"].clone()).expect("a list of words"),
            platform,
            dir,
        };
        world.prove_isolation();
        world
    }

    /// The only port that answers inside is the platform's for agents.
    fn prove_isolation(&self) {
        let canary = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let canary = canary.local_addr().expect("bound").port();
        let (tls, http) = (self.platform.tls.port(), self.platform.http.port());
        let mut reach = python("tests/devices/netns.py");
        reach.arg("reach");
        reach.args([tls, http, canary].map(|port| port.to_string()));
        let output = self
            .inside(&reach)
            .output()
            .expect("nsenter of util-linux starts");
        let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(
            seen,
            json!({"interfaces": ["lo"], "reached": [tls]}),
            "the namespace has another way out"
        );
    }

    /// The same command, in the namespace.
    pub(crate) fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new(&self.enter[0]);
        inside.args(&self.enter[1..]);
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside.stdin(Stdio::null());
        inside
    }

    /// A path in the directory of the others.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts a command in the namespace and keeps it until the world ends.
    pub(crate) fn start_inside(&mut self, name: &str, command: &Command) {
        let process = Process::start(name, &mut self.inside(command));
        self.others.push(process);
    }

    /// Starts a device of `tests/devices/launch.py` in the namespace; what it says of itself, with its name.
    pub(crate) fn device(&mut self, name: &str) -> Value {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = free.local_addr().expect("bound").port();
        let mut launch = python("tests/devices/launch.py");
        launch.args([name, "--port", &port.to_string(), "--dir"]);
        launch.arg(self.path(name));
        let (process, mut facts) = start_ready(name, &mut self.inside(&launch));
        self.others.push(process);
        facts["name"] = name.into();
        facts
    }

    /// Enrols an agent in the namespace as the host `kvm`, with targets as its flag takes them, and waits until it
    /// is online.
    pub(crate) fn agent(&mut self, targets: &[&str]) {
        let token = self.path("kvm.token");
        std::fs::write(&token, self.platform.enrolment_token(&[])).expect("written");
        let mut agent = command("fleetwire-agent");
        agent.args(["--platform", &self.platform.url().to_string()]);
        agent.args(["--name", "kvm"]);
        agent.args(targets.iter().flat_map(|target| ["--target", target]));
        agent.arg("--token-file").arg(token);
        agent.arg("--state-dir").arg(self.path("kvm.state"));
        self.agent = Some(Process::start("fleetwire-agent", &mut self.inside(&agent)));
        until_status(&self.platform, "kvm", "online");
    }

    /// Waits for a line of the agent's log that has this in it.
    pub(crate) fn agent_line(&mut self, part: &str) -> String {
        self.agent.as_mut().expect("it was started").line(part)
    }

    /// Takes the namespace's link `down` or `up`. Down, it carries nothing and tells nobody: what was
    /// connected stays connected, as far as either end can see.
    pub(crate) fn link(&self, state: &str) {
        let mut link = Command::new("ip");
        link.args(["link", "set", "lo", state]);
        let output = self.inside(&link).output().expect("nsenter starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Asked first, a device ends its own processes and leaves no lock files behind.
        for process in self.agent.iter_mut().chain(&mut self.others) {
            process.end();
        }
    }
}
