//! The platform's settings. Each has one key, which may stand in a TOML file (`--config`), in the
//! environment (`FLEETWIRE_PLATFORM_` and the key in capitals) or, for some, as a flag; a flag wins
//! over the environment, which wins over the file. What no setting is called is refused, so that a
//! slip of the pen is found at the start and not after a month.

mod collector;
mod kept;
mod sending;
mod values;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use rustls_pki_types::DnsName;
use serde::Deserialize;
use tracing::warn;

use crate::files::{self, FileError};
use crate::logging::LogFormat;
use crate::platform::identity::oidc::settings::{OidcSettingError, OidcSettings};
use crate::platform::mail::{MailSettingError, MailSettings};
pub use collector::{CollectorUrl, Ratio};
pub use kept::{FileSettings, HealthSettings};
pub use sending::AlertSettings;
pub use values::PublicPort;
use values::{address_or_off, duration, duration_if_any, list};

/// How the variables of the environment begin.
pub const ENV_PREFIX: &str = "FLEETWIRE_PLATFORM_";
/// The variable by which all programs on a machine are told of a collector.
const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Largest settings file.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// More connections than a kernel has file descriptors for.
const CONNECTIONS_MAX_MOST: usize = 4_000_000;

/// The most rows that one log of the store may be told to keep: some tens of gigabytes.
const KEPT_ROWS_MAX: u64 = 100_000_000;

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is no TOML.
    #[error("{} line {line}: {reason}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// In which line.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that is unknown, or a value of the wrong kind.
    #[error("a setting is wrong: {0}")]
    Setting(String),
    /// A value in the table `[oidc]` that does not do.
    #[error("oidc: {0}")]
    Oidc(#[from] OidcSettingError),
    /// A value in the table `[mail]` that does not do.
    #[error("mail: {0}")]
    Mail(#[from] MailSettingError),
    /// A value that is of the right kind, but does not do.
    #[error("{key}: {reason}")]
    Value {
        /// The setting.
        key: &'static str,
        /// Why it does not do, and what would.
        reason: String,
    },
}

/// The platform's command line.
#[derive(Debug, Default, Parser)]
#[command(
    name = "fleetwire-platform",
    version,
    about = "The platform that agents dial out to"
)]
pub struct Args {
    /// Where everything is kept; made at the first start
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// TLS, for agents, browsers and the API [default: 127.0.0.1:8443]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Plain HTTP, on loopback or behind a proxy only; "off" for none [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// The domain under which each console session gets a name of its own [default: localhost]
    #[arg(long, value_name = "DOMAIN")]
    pub console_domain: Option<String>,
    /// A further name or address of this server, for its certificate; may be given again
    #[arg(long = "name", value_name = "NAME")]
    pub names: Vec<String>,
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where GET /metrics is answered, as in 127.0.0.1:9464 [default: off]
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,
    /// text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Read the settings, say whether they can be used, and end
    #[arg(long)]
    pub check_config: bool,
    /// End when standard input does, for whoever starts it as a part of itself
    #[arg(long, hide = true)]
    pub end_with_stdin: bool,
}

/// Everything that can be set, after all layers are laid over one another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The TLS listener.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The plain listener, if any.
    #[serde(default = "default_http", deserialize_with = "address_or_off")]
    pub http: Option<SocketAddr>,
    /// Lets the plain listener stand on another address than loopback, as a proxy's upstream.
    #[serde(default)]
    pub http_behind_proxy: bool,
    /// The domain under which each console session gets a name of its own.
    #[serde(default = "default_console_domain")]
    pub console_domain: String,
    /// How browsers reach a session where that is not by a listener of ours directly:
    /// `https` or `http`, with the port, as in `https:443`.
    #[serde(default)]
    pub console_public: Option<PublicPort>,
    /// The name that agents ask for, whatever address they dial. It stays as it was at the first
    /// enrolment: enrolled agents keep it.
    #[serde(default = "default_server_name")]
    pub server_name: String,
    /// Further names and addresses for the server certificate.
    #[serde(default, deserialize_with = "list")]
    pub names: Vec<String>,
    /// An operator's certificate chain (PEM), for the names that it covers.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM).
    #[serde(default)]
    pub certificate_key: Option<PathBuf>,
    /// How often an agent reports. Three intervals without a byte are a dead connection.
    #[serde(default = "default_heartbeat", deserialize_with = "duration")]
    pub heartbeat: Duration,
    /// How long an enrolment token is good for, unless asked for otherwise.
    #[serde(default = "default_token_ttl", deserialize_with = "duration")]
    pub token_ttl: Duration,
    /// How long a host's certificate is good for. Its agent renews it at two thirds of that.
    #[serde(default = "default_certificate_life", deserialize_with = "duration")]
    pub certificate_life: Duration,
    /// Names that `server_name` was before: agents that were enrolled under one still ask for it.
    #[serde(default, deserialize_with = "list")]
    pub former_server_names: Vec<String>,
    /// Takes agents on the plain listener as well, by their device token alone: a proxy in front ends
    /// their TLS, and with it their certificates.
    #[serde(default)]
    pub agents_behind_proxy: bool,
    /// A console session ends after this long without a byte from its viewer.
    #[serde(default = "default_session_idle", deserialize_with = "duration")]
    pub session_idle: Duration,
    /// A console session ends after this long whatever happens.
    #[serde(default = "default_session_max", deserialize_with = "duration")]
    pub session_max: Duration,
    /// How long entries of the audit log are kept; for ever when it is not set.
    #[serde(default, deserialize_with = "duration_if_any")]
    pub audit_keep: Option<Duration>,
    /// How long the message track is kept.
    #[serde(default = "default_events_keep", deserialize_with = "duration")]
    pub track_keep: Duration,
    /// The most entries that it keeps.
    #[serde(default = "default_events_max")]
    pub track_max: u64,
    /// Whether it has the heads and ends of streams as well: some entries for each request of a
    /// console session, which a busy one has hundreds of a second.
    #[serde(default)]
    pub track_requests: bool,
    /// Whether it has heartbeats as well: eight entries a minute and host.
    #[serde(default)]
    pub track_heartbeats: bool,
    /// How long events are kept for whoever comes back with a position.
    #[serde(default = "default_events_keep", deserialize_with = "duration")]
    pub events_keep: Duration,
    /// The most events that are kept.
    #[serde(default = "default_events_max")]
    pub events_max: u64,
    /// How long commands are kept that have ended on all their hosts, with their deliveries.
    #[serde(default = "default_commands_keep", deserialize_with = "duration")]
    pub commands_keep: Duration,
    /// The files that are kept for commands.
    #[serde(default)]
    pub files: FileSettings,
    /// How long it is kept how hosts have been.
    #[serde(default)]
    pub health: HealthSettings,
    /// On a stop, agents are told to come back spread over this window.
    #[serde(default = "default_drain", deserialize_with = "duration")]
    pub drain: Duration,
    /// Connections at once, agents and browsers together, on both listeners.
    #[serde(default = "default_connections_max")]
    pub connections_max: usize,
    /// Where messages about alerts may go.
    #[serde(default)]
    pub alerts: AlertSettings,
    /// How e-mail about them goes out, if any does.
    #[serde(default)]
    pub mail: Option<MailSettings>,
    /// Sign-in over an OpenID provider, if any.
    #[serde(default)]
    pub oidc: Option<OidcSettings>,
    /// Where `GET /metrics` is answered, if anywhere.
    #[serde(default, deserialize_with = "address_or_off")]
    pub metrics: Option<SocketAddr>,
    /// The collector that spans are sent to, if any.
    #[serde(default)]
    pub otlp_endpoint: Option<CollectorUrl>,
    /// The file of the authority that its certificate comes from, where this machine does not trust it.
    #[serde(default)]
    pub otlp_ca: Option<PathBuf>,
    /// How many of all traces are kept.
    #[serde(default = "default_sample_ratio")]
    pub otlp_sample_ratio: Ratio,
    /// How log lines are written.
    #[serde(default)]
    pub log_format: LogFormat,
    /// What is logged, as in `info` or `fleetwire=debug`.
    #[serde(default = "default_log")]
    pub log: String,
}

impl Config {
    /// Lays file, environment and flags over one another and checks what comes out.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(
        args: &Args,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut table = match &args.config {
            Some(path) => read_table(path)?,
            None => toml::Table::new(),
        };
        let mut common = None;
        for (name, value) in env {
            // As every program that speaks OpenTelemetry takes it; our own settings win.
            if name.to_str() == Some(OTLP_ENDPOINT)
                && let Some(value) = value.to_str().filter(|value| !value.is_empty())
            {
                common.get_or_insert_with(|| value.to_owned());
                continue;
            }
            let Some(key) = name.to_str().and_then(|name| name.strip_prefix(ENV_PREFIX)) else {
                continue;
            };
            let value = value.to_str().ok_or_else(|| {
                ConfigError::Setting(format!("{ENV_PREFIX}{key} is no UTF-8 text"))
            })?;
            table.insert(key.to_lowercase(), value_of_text(value));
        }
        if let Some(endpoint) = common {
            table
                .entry("otlp_endpoint")
                .or_insert(toml::Value::String(endpoint));
        }
        let mut set = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                table.insert(key.to_owned(), toml::Value::String(value));
            }
        };
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        set("data_dir", args.data_dir.as_ref().map(path));
        set("listen", args.listen.map(|address| address.to_string()));
        set("http", args.http.clone());
        set("console_domain", args.console_domain.clone());
        set("metrics", args.metrics.clone());
        set("log_format", args.log_format.clone());
        if !args.names.is_empty() {
            table.insert("names".to_owned(), args.names.clone().into());
        }
        if !table.contains_key("data_dir") {
            return Err(ConfigError::Value {
                key: "data_dir",
                reason: "say where to keep everything: --data-dir DIR".to_owned(),
            });
        }
        let mut config: Self = table
            .try_into()
            .map_err(|error| ConfigError::Setting(error.to_string().trim().replace('\n', " ")))?;
        config.check()?;
        Ok(config)
    }

    /// The names and addresses that the server certificate covers.
    pub fn certificate_names(&self) -> Vec<String> {
        let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"]
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        let host = machine_name();
        let listen = self.listen.ip();
        let rest = [
            host,
            (!listen.is_unspecified()).then(|| listen.to_string()),
            Some(self.console_domain.clone()),
            Some(format!("*.{}", self.console_domain)),
        ];
        let more = self.names.iter().cloned().chain(self.agents_names());
        for name in rest.into_iter().flatten().chain(more) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The names by which agents ask for this platform in TLS, and nobody else.
    pub fn agents_names(&self) -> Vec<String> {
        let mut names = vec![self.server_name.clone()];
        names.extend(self.former_server_names.iter().cloned());
        names
    }

    /// Says in the log what can be used and is likely not meant.
    pub fn warn(&self) {
        // Not refused: scrapers are often on another machine, in a network that is for them alone.
        if let Some(metrics) = self.metrics
            && !metrics.ip().is_loopback()
        {
            warn!(%metrics, "whoever reaches this address reads the metrics: they ask for no credential");
        }
        // Not refused: enrolled agents ask for it, and most dial another name or an address.
        if self.is_session_name(&self.server_name) {
            warn!(
                server_name = self.server_name,
                console_domain = self.console_domain,
                "server_name is under console_domain: whoever dials it by that name is taken for a \
                 viewer of a console session"
            );
        }
    }

    /// Whether requests to this name are a console session's.
    fn is_session_name(&self, name: &str) -> bool {
        let label = name.strip_suffix(&self.console_domain);
        label
            .and_then(|label| label.strip_suffix('.'))
            .is_some_and(|label| label != "*")
    }

    fn check(&mut self) -> Result<(), ConfigError> {
        let refuse = |key, reason: &str| {
            Err(ConfigError::Value {
                key,
                reason: reason.to_owned(),
            })
        };
        if let Some(http) = self.http
            && !http.ip().is_loopback()
            && !self.http_behind_proxy
        {
            return refuse(
                "http",
                "plain HTTP is for this machine only; when a proxy with TLS stands in front, say so \
                 with http_behind_proxy = true",
            );
        }
        for (key, name) in [
            ("console_domain", &mut self.console_domain),
            ("server_name", &mut self.server_name),
        ] {
            *name = name.trim_end_matches('.').to_ascii_lowercase();
            if DnsName::try_from(name.as_str()).is_err() || name.parse::<IpAddr>().is_ok() {
                return refuse(key, "it must be a DNS name");
            }
        }
        if self.agents_behind_proxy && self.http.is_none() {
            return refuse("agents_behind_proxy", "it needs a plain listener (http)");
        }
        for name in &mut self.former_server_names {
            *name = name.trim_end_matches('.').to_ascii_lowercase();
            if DnsName::try_from(name.as_str()).is_err() || name.parse::<IpAddr>().is_ok() {
                return refuse("former_server_names", "each must be a DNS name");
            }
        }
        for name in &mut self.names {
            *name = name.trim_end_matches('.').to_ascii_lowercase();
            let plain = name.strip_prefix("*.").unwrap_or(name);
            if name.parse::<IpAddr>().is_err() && DnsName::try_from(plain).is_err() {
                return refuse("names", "each must be a DNS name or an IP address");
            }
            // One spelling for one address, so that it is found again in the certificate.
            if let Ok(address) = name.parse::<IpAddr>() {
                *name = address.to_string();
            }
        }
        if self.names.iter().any(|name| self.is_session_name(name)) {
            return refuse(
                "names",
                "names under console_domain are those of console sessions: give the platform a \
                 name beside it, or that domain's own",
            );
        }
        if self.certificate.is_some() != self.certificate_key.is_some() {
            return refuse("certificate", "certificate and certificate_key go together");
        }
        let second = Duration::from_secs(1);
        let hour = second * 60 * 60;
        let day = hour * 24;
        for (key, value, least, most) in [
            ("heartbeat", self.heartbeat, second, second * 300),
            ("token_ttl", self.token_ttl, second, day * 30),
            (
                "certificate_life",
                self.certificate_life,
                second * 3,
                day * 397,
            ),
            ("session_idle", self.session_idle, second, day * 7),
            ("session_max", self.session_max, second, day * 30),
            ("drain", self.drain, Duration::ZERO, second * 600),
            ("events_keep", self.events_keep, second, day * 3650),
            ("track_keep", self.track_keep, second, day * 3650),
            ("commands_keep", self.commands_keep, second, day * 3650),
            ("files.keep", self.files.keep, second, day * 3650),
            // What one step has is gone into the next before it is removed, whatever its length.
            (
                "health.keep_minutes",
                self.health.keep_minutes,
                hour,
                day * 3650,
            ),
            (
                "health.keep_quarters",
                self.health.keep_quarters,
                hour,
                day * 3650,
            ),
            (
                "health.keep_three_hours",
                self.health.keep_three_hours,
                hour,
                day * 3650,
            ),
        ] {
            if value < least || value > most {
                return Err(ConfigError::Value {
                    key,
                    reason: format!("it must be between {least:?} and {most:?}"),
                });
            }
        }
        // What is removed does not come back: hours and minutes are slips of the pen.
        if self.audit_keep.is_some_and(|keep| keep < day) {
            return refuse("audit_keep", "it must be a day at least, as in 365d");
        }
        if let Some(mail) = &mut self.mail {
            mail.check()?;
        }
        if let Some(oidc) = &self.oidc {
            oidc.check()?;
        }
        for (key, rows) in [
            ("events_max", self.events_max),
            ("track_max", self.track_max),
        ] {
            if !(1..=KEPT_ROWS_MAX).contains(&rows) {
                return refuse(key, "it must be between 1 and 100000000");
            }
        }
        if !(1..=CONNECTIONS_MAX_MOST).contains(&self.connections_max) {
            return refuse("connections_max", "it must be between 1 and 4000000");
        }
        Ok(())
    }
}

fn read_table(path: &Path) -> Result<toml::Table, ConfigError> {
    let text = files::read_text(path, FILE_BYTES_MAX)?;
    text.parse().map_err(|error: toml::de::Error| {
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        ConfigError::Syntax {
            path: path.to_owned(),
            line,
            reason: error.message().to_owned(),
        }
    })
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8443))
}

#[expect(clippy::unnecessary_wraps, reason = "the type is the setting's")]
fn default_http() -> Option<SocketAddr> {
    Some(SocketAddr::from(([127, 0, 0, 1], 8080)))
}

fn default_console_domain() -> String {
    "localhost".to_owned()
}

fn default_server_name() -> String {
    "platform.fleetwire.internal".to_owned()
}

const fn default_sample_ratio() -> Ratio {
    Ratio::ALL
}

const fn default_heartbeat() -> Duration {
    Duration::from_secs(15)
}

const fn default_certificate_life() -> Duration {
    Duration::from_secs(30 * 24 * 60 * 60)
}

const fn default_token_ttl() -> Duration {
    Duration::from_secs(30 * 60)
}

const fn default_session_idle() -> Duration {
    Duration::from_secs(30 * 60)
}

const fn default_session_max() -> Duration {
    Duration::from_secs(12 * 60 * 60)
}

const fn default_events_keep() -> Duration {
    Duration::from_secs(7 * 24 * 60 * 60)
}

const fn default_events_max() -> u64 {
    1_000_000
}

const fn default_commands_keep() -> Duration {
    Duration::from_secs(90 * 24 * 60 * 60)
}

const fn default_drain() -> Duration {
    Duration::from_secs(10)
}

const fn default_connections_max() -> usize {
    65_536
}

fn default_log() -> String {
    "info".to_owned()
}

/// A variable's text as a value: true, a number or a list where it reads as one, else a string.
fn value_of_text(text: &str) -> toml::Value {
    format!("v = {text}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

/// The machine's name, as the kernel has it, where it is one of DNS.
pub fn machine_name() -> Option<String> {
    let name = files::read_text(Path::new("/proc/sys/kernel/hostname"), 256).ok()?;
    let name = name.trim().to_ascii_lowercase();
    DnsName::try_from(name.as_str()).is_ok().then_some(name)
}

#[cfg(test)]
mod tests;
