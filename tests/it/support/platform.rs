//! A platform of the test's own, and the operator's command towards it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;

use fleetwire::net::http_client::{HttpClient, ServerUrl};
use fleetwire::net::tls;
use fleetwire::secret::Secret;
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use tempfile::TempDir;

use super::client::Client;
use super::process::{Process, command};

/// A platform process that is ready, on ports of its own.
pub struct Platform {
    /// Where it listens with TLS.
    pub tls: SocketAddr,
    /// Where it listens in plain HTTP.
    pub http: SocketAddr,
    /// The process.
    pub process: Process,
    // Last, so that the process ends before its directory goes.
    dir: Dir,
}

enum Dir {
    Own(TempDir),
    Given(PathBuf),
}

impl Platform {
    /// Starts one on an empty data directory, with more flags.
    pub fn start(flags: &[&str]) -> Self {
        Self::start_with(flags, &[])
    }

    /// Starts one with settings out of the environment as well.
    pub fn start_with(flags: &[&str], settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::start_in(Dir::Own(dir), flags, settings)
    }

    /// Starts one on a data directory that may have been used before.
    pub fn start_on(dir: &Path, flags: &[&str]) -> Self {
        Self::start_in(Dir::Given(dir.to_owned()), flags, &[])
    }

    fn start_in(dir: Dir, flags: &[&str], settings: &[(&str, &str)]) -> Self {
        let path = match &dir {
            Dir::Own(dir) => dir.path().join("data"),
            Dir::Given(dir) => dir.clone(),
        };
        let mut command = command("fleetwire-platform");
        command.arg("--data-dir").arg(path);
        // By the environment, so that a test's flags win.
        command.env("FLEETWIRE_PLATFORM_LISTEN", "127.0.0.1:0");
        command.env("FLEETWIRE_PLATFORM_HTTP", "127.0.0.1:0");
        command.env("FLEETWIRE_PLATFORM_LOG_FORMAT", "json");
        command.envs(settings.iter().copied());
        let mut process = Process::start("fleetwire-platform", command.args(flags));
        let mut address = |line: &str| {
            let line: Value = serde_json::from_str(&process.line(line)).expect("a JSON line");
            line["address"]
                .as_str()
                .expect("an address")
                .parse()
                .expect("an address")
        };
        let (tls, http) = (
            address("listening with TLS"),
            address("listening in plain HTTP"),
        );
        Self {
            tls,
            http,
            process,
            dir,
        }
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        match &self.dir {
            Dir::Own(dir) => dir.path().join("data"),
            Dir::Given(dir) => dir.clone(),
        }
    }

    /// Its address for agents and the command.
    pub fn url(&self) -> ServerUrl {
        format!("https://{}", self.tls).parse().expect("an address")
    }

    /// The administrator's token.
    pub fn admin_token(&self) -> String {
        let text = fs::read_to_string(self.data_dir().join("admin-token")).expect("there");
        text.trim().to_owned()
    }

    /// The file of its CA.
    pub fn ca_file(&self) -> PathBuf {
        self.data_dir().join("ca.pem")
    }

    /// The certificates in that file.
    pub fn authorities(&self) -> Vec<CertificateDer<'static>> {
        let pem = fs::read_to_string(self.ca_file()).expect("there");
        tls::certificates_from_pem(&pem).expect("certificates")
    }

    /// A client over TLS without a token.
    pub fn anonymous(&self) -> Client {
        let config = tls::client_trusting(self.authorities(), true).expect("a CA");
        Client(HttpClient::new(self.url(), config, None).expect("a client"))
    }

    /// A client over TLS with the administrator's token.
    pub fn client(&self) -> Client {
        self.anonymous()
            .with_bearer(Secret::new(self.admin_token()))
    }

    /// Runs the operator's command as administrator.
    pub fn operate(&self, arguments: &[&str]) -> Output {
        command("fleetwire")
            .env("FLEETWIRE_SERVER", self.url().to_string())
            .env("FLEETWIRE_TOKEN", self.admin_token())
            .env("FLEETWIRE_CA", self.ca_file())
            .args(arguments)
            .output()
            .expect("setpriv of util-linux starts")
    }

    /// Runs it with `--json` and reads what it prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn operate_json(&self, arguments: &[&str]) -> Value {
        let output = self.operate(&[arguments, &["--json"]].concat());
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Every host, as the command lists them.
    pub fn hosts(&self) -> Value {
        self.operate_json(&["hosts", "list", "--all"])["hosts"].take()
    }

    /// Every open console session, as the command lists them.
    pub fn sessions(&self) -> Value {
        self.operate_json(&["sessions", "list", "--all"])["sessions"].take()
    }

    /// Makes an enrolment token by the command.
    pub fn enrolment_token(&self, arguments: &[&str]) -> String {
        let created = self.operate_json(&[&["token", "create"], arguments].concat());
        created["token"].as_str().expect("a token").to_owned()
    }
}
