//! The provider: `tests/oidc/provider.mjs` as a process, and what it can be told to do wrong.

use std::path::Path;
use std::process::Command;

use hyper::Method;
use serde_json::{Value, json};

use super::browser;
use crate::support::Process;

/// A running provider.
pub struct Provider {
    /// The process.
    pub process: Process,
    /// What its tokens call it.
    pub issuer: String,
}

impl Provider {
    /// Starts one that speaks plain HTTP.
    pub fn start() -> Self {
        Self::start_with(&["0"])
    }

    /// Starts one on a port, with a certificate and its key where they are given.
    pub fn start_with(arguments: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc");
        assert!(
            folder.join("node_modules/oidc-provider").exists(),
            "the provider is not installed: sh tests/setup/node.sh"
        );
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "node"]);
        command.arg(folder.join("provider.mjs")).args(arguments);
        let mut process = Process::start("the OpenID provider", &mut command);
        let line = process.line("listening ");
        let issuer = line.trim_start_matches("listening ").trim().to_owned();
        Self { process, issuer }
    }

    /// The port it listens on.
    pub fn port(&self) -> &str {
        self.issuer.rsplit(':').next().expect("a port")
    }

    /// Does this wrong from now on.
    pub async fn fault(&self, fault: &str) {
        self.control(json!({ "fault": fault })).await;
    }

    /// Does nothing wrong any more.
    pub async fn behave(&self) {
        self.control(json!({ "fault": null })).await;
    }

    /// Replaces all its keys.
    pub async fn rotate(&self) {
        self.control(json!({ "rotate": true })).await;
    }

    /// What it counts.
    pub async fn count(&self, what: &str) -> u64 {
        let counts = self.asked(Method::GET, String::new()).await;
        counts[what].as_u64().expect("a count")
    }

    async fn control(&self, change: Value) {
        self.asked(Method::POST, change.to_string()).await;
    }

    async fn asked(&self, method: Method, body: String) -> Value {
        let address = format!("{}/control", self.issuer);
        let answer = browser::request(method, &address, body, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).expect("JSON")
    }
}
