//! The programs, as these tests start and end them.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::api::{Caller, Place};
use super::support::{Process, command, until_within};

/// Commands that the agent runs at once.
pub const CONCURRENT: usize = 4;
/// The host's name.
pub const HOST: &str = "kvm";
/// An address with any port.
pub const ANY: &str = "127.0.0.1:0";

/// How long the last commands may take once nothing is in their way. What the agent put off is sent to it
/// again within five minutes.
const SETTLING: Duration = Duration::from_secs(400);

/// A platform, and where it listens.
pub struct Platform {
    pub process: Process,
    pub tls: SocketAddr,
    pub http: SocketAddr,
    pub metrics: SocketAddr,
}

impl Platform {
    /// Starts one with this data directory, at these addresses for agents and for callers.
    pub fn start(data: &Path, at: [&str; 2], prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = command("fleetwire-platform");
        prepare(&mut command);
        command.arg("--data-dir").arg(data);
        command.args(["--listen", at[0], "--http", at[1], "--metrics", ANY]);
        // A connection that is cut in half is found within three of these.
        command.env("FLEETWIRE_PLATFORM_HEARTBEAT", "1s");
        command.env("FLEETWIRE_PLATFORM_LOG_FORMAT", "json");
        let mut process = Process::start("fleetwire-platform", &mut command);
        let mut address = |line: &str| {
            let line: Value = serde_json::from_str(&process.line(line)).expect("a JSON line");
            let address = line["address"].as_str().expect("an address").parse();
            address.expect("an address")
        };
        let tls = address("listening with TLS");
        let http = address("listening in plain HTTP");
        let metrics = address("listening for scrapers");
        Self {
            process,
            tls,
            http,
            metrics,
        }
    }

    /// Where to call it, as its administrator.
    pub fn place(&self, data: &Path) -> Place {
        let token = fs::read_to_string(data.join("admin-token")).expect("there");
        Place {
            address: Arc::new(Mutex::new(self.http)),
            token: token.trim().to_owned(),
        }
    }
}

/// Writes into a directory what an agent needs to enrol at that address.
pub fn prepare_agent(dir: &Path, caller: &mut Caller, platform: SocketAddr) {
    let path = "/api/enrolment-tokens";
    let (status, made) = caller.call("POST", path, "token", Some(&json!({})));
    assert_eq!(status, 201, "{made}");
    let token = made["token"].as_str().expect("a token");
    fs::write(dir.join("token"), token).expect("written");
    let settings = format!(
        "platform = \"https://{platform}\"\nname = {HOST:?}\n[commands]\nallow = [\"script\"]\n\
         concurrent = {CONCURRENT}\n"
    );
    fs::write(dir.join("agent.toml"), settings).expect("written");
}

/// Starts the agent of such a directory, which keeps its state in that one.
pub fn start_agent(dir: &Path, state: &Path, prepare: impl FnOnce(&mut Command)) -> Process {
    let mut command = command("fleetwire-agent");
    prepare(&mut command);
    command.arg("--config").arg(dir.join("agent.toml"));
    command.arg("--state-dir").arg(state);
    command.arg("--token-file").arg(dir.join("token"));
    // Nobody listens there: nothing is proxied here.
    command.args(["--target", "http://127.0.0.1:9"]);
    let mut process = Process::start("fleetwire-agent", &mut command);
    process.line("the journal of commands is open");
    process
}

/// Waits until the platform lists the host as online.
pub fn until_online(caller: &mut Caller) {
    until("the host online", || {
        let (_, hosts) = caller.call("GET", "/api/hosts", "", None);
        (hosts["hosts"][0]["status"] == "online").then_some(())
    });
}

/// Ends a process without a word.
pub fn kill(process: &mut Process) {
    process.signal("KILL");
    let status = process.ended();
    assert_eq!(status.signal(), Some(9), "it had ended by itself");
}

/// Waits until looking gives something, for as long as the last commands may take.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(SETTLING, what, look)
}
