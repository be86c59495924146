//! The agent's settings. Each has one key, which may stand in a TOML file (`--config`), in the
//! environment (`FLEETWIRE_AGENT_` and the key in capitals) or be a flag; a flag wins over the
//! environment, which wins over the file. Targets stand in the file as `[[target]]` tables or are
//! given with `--target`, which replaces the file's target of the same path. What is set about commands is in
//! `commands::config`.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use rustls::ClientConfig;
use serde::Deserialize;

use crate::agent::commands::config::{CommandSettings, CommandTable};
use crate::agent::target::{Credential, HostMode, Routes, Target, TargetOptions, Trust};
use crate::files;
use crate::ids::{HostName, Uuid};
use crate::logging::LogFormat;
use crate::net::http_client::ServerUrl;
use crate::net::tls;

/// How the variables of the environment begin.
pub const ENV_PREFIX: &str = "FLEETWIRE_AGENT_";

/// Largest settings file.
const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Largest file of certificate authorities for a target.
const CA_BYTES_MAX: usize = 1024 * 1024;
/// Largest credentials file: one line.
const CREDENTIALS_BYTES_MAX: usize = 4096;

/// The settings cannot be used: where, which one, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file; absent for flags and the environment.
    pub file: Option<PathBuf>,
    /// The setting; empty where the text has no settings at all.
    pub key: String,
    /// What is wrong with it, and what would do.
    pub reason: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(formatter, "{}: ", file.display())?;
        }
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for ConfigError {}

/// The agent's command line.
#[derive(Debug, Default, Parser)]
#[command(
    name = "fleetwire-agent",
    version = crate::agent::update::VERSION,
    about = "Dials out to a Fleetwire platform, proxies to and runs what its owner allows"
)]
pub struct AgentArgs {
    /// The platform's address, as in https://platform.example.com:8443
    #[arg(long, value_name = "URL")]
    pub platform: Option<String>,
    /// File with the enrolment token; needed until the agent is enrolled
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Where the agent keeps its identity; made at the first start
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// A web interface: URL or PATH=URL, then settings of a target in a file after commas, as in
    /// https://kvm,pin=SHA256; may be given again
    #[arg(long = "target", value_name = "TARGET")]
    pub targets: Vec<String>,
    /// A kind of command that the platform may run here, as in script, with what its table in the file
    /// narrows; may be given again. None are allowed otherwise
    #[arg(long = "allow-command", value_name = "KIND")]
    pub allowed_commands: Vec<String>,
    /// How the platform's list calls this host [default: the machine's name, made to fit]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Read the settings, say whether they can be used, and end
    #[arg(long)]
    pub check_config: bool,
    /// End when standard input does, for whoever starts it as a part of itself
    #[arg(long, hide = true)]
    pub end_with_stdin: bool,
    /// Reach the platform in the name of this run of another agent, say so, and end
    #[arg(long, hide = true, value_name = "INSTANCE")]
    pub trial: Option<Uuid>,
}

/// Everything that can be set, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The run of an agent in whose name this one only tries whether it reaches the platform.
    pub trial: Option<Uuid>,
    /// The platform to dial.
    pub platform: ServerUrl,
    /// Where the enrolment token lies, for an agent that is not enrolled yet.
    pub token_file: Option<PathBuf>,
    /// Where the agent keeps its identity.
    pub state_dir: PathBuf,
    /// Whom it trusts in the platform's place, where a proxy in front of it ends TLS.
    pub proxy: Option<Arc<ClientConfig>>,
    /// How the platform's list calls this host.
    pub name: HostName,
    /// What may be reached through this agent.
    pub routes: Routes,
    /// Which commands may be run by it.
    pub commands: CommandSettings,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// What is logged, as in `info` or `fleetwire=debug`.
    pub log: String,
}

/// The file's keys, which are the environment's as well.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    platform: Option<String>,
    token_file: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    platform_ca: Option<PathBuf>,
    name: Option<String>,
    #[serde(default)]
    log_format: LogFormat,
    #[serde(default = "default_log")]
    log: String,
    #[serde(default, rename = "target")]
    targets: Vec<TargetSettings>,
    #[serde(default)]
    commands: CommandTable,
}

/// A `[[target]]` table.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetSettings {
    /// The path prefix that leads to it.
    #[serde(default = "default_path")]
    path: String,
    url: String,
    /// Trust the https certificate with this SHA-256 fingerprint.
    pin: Option<String>,
    /// Trust https certificates of the authorities in this PEM file.
    ca_file: Option<PathBuf>,
    /// Trust any https certificate.
    #[serde(default)]
    insecure: bool,
    /// `device`, `public` or `name:HOST`.
    host: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    /// File with `user:password` or an Authorization value, which the agent sends itself.
    credentials_file: Option<PathBuf>,
}

impl Config {
    /// Lays file, environment and flags over one another and checks what comes out.
    ///
    /// # Errors
    /// [`ConfigError`] for the first setting that does not do.
    pub fn load(
        args: &AgentArgs,
        env: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let file = args.config.as_deref();
        let mut settings = read_settings(file)?;
        let mut targets = Vec::new();
        for target in std::mem::take(&mut settings.targets) {
            let path = target.path.clone();
            let made = target.check().map_err(|(key, reason)| ConfigError {
                file: file.map(Path::to_owned),
                key: format!("target {path}: {key}"),
                reason,
            })?;
            targets.push((path, made));
        }

        let mut given = args.targets.clone();
        for (variable, value) in env {
            let Some(key) = variable
                .to_str()
                .and_then(|name| name.strip_prefix(ENV_PREFIX))
            else {
                continue;
            };
            let variable = format!("{ENV_PREFIX}{key}");
            let value = value
                .into_string()
                .map_err(|_| fault(&variable, "is no UTF-8 text"))?;
            match key {
                "PLATFORM" => settings.platform = Some(value),
                "TOKEN_FILE" => settings.token_file = Some(value.into()),
                "PLATFORM_CA" => settings.platform_ca = Some(value.into()),
                "STATE_DIR" => settings.state_dir = Some(value.into()),
                "NAME" => settings.name = Some(value),
                "LOG_FORMAT" => settings.log_format = parse_log_format(&variable, &value)?,
                "LOG" => settings.log = value,
                "TARGET" if args.targets.is_empty() => given.push(value),
                "TARGET" => {}
                "ALLOW_COMMAND" => {
                    let kinds = value.split(',').map(str::trim);
                    let kinds = kinds.filter(|kind| !kind.is_empty());
                    settings.commands.allow(kinds.map(str::to_owned));
                }
                _ => return Err(fault(&variable, "there is no such setting")),
            }
        }
        for text in &given {
            let (path, made) = TargetSettings::parse(text)
                .and_then(|target| Ok((target.path.clone(), target.check()?)))
                .map_err(|(key, reason)| fault(&format!("--target {key}"), &reason))?;
            targets.retain(|(other, _)| other.trim_end_matches('/') != path.trim_end_matches('/'));
            targets.push((path, made));
        }
        if targets.is_empty() {
            return Err(fault(
                "target",
                "say what to proxy to: --target http://127.0.0.1:8000",
            ));
        }
        let routes = Routes::new(targets).map_err(|error| fault("target", &error.to_string()))?;

        if !args.allowed_commands.is_empty() {
            settings.commands.allow(args.allowed_commands.clone());
        }
        let commands = settings.commands.check();
        let commands = commands.map_err(|(key, reason)| ConfigError {
            file: file.map(Path::to_owned),
            key: format!("commands.{key}").trim_end_matches('.').to_owned(),
            reason,
        })?;
        if let Some(format) = &args.log_format {
            settings.log_format = parse_log_format("--log-format", format)?;
        }
        let needed = "say where the platform is: --platform https://platform.example.com:8443";
        let platform = args.platform.clone().or(settings.platform);
        let platform = platform.ok_or_else(|| fault("platform", needed))?;
        let platform: ServerUrl = platform
            .parse()
            .map_err(|error| fault("platform", &format!("{error}")))?;
        if !platform.is_https() {
            return Err(fault("platform", "an agent speaks TLS only: use https://"));
        }
        let state_dir = args.state_dir.clone().or(settings.state_dir);
        let needed = "say where to keep the agent's identity: --state-dir DIR";
        Ok(Self {
            trial: args.trial,
            platform,
            token_file: args.token_file.clone().or(settings.token_file),
            state_dir: state_dir.ok_or_else(|| fault("state_dir", needed))?,
            proxy: settings
                .platform_ca
                .as_deref()
                .map(read_proxy)
                .transpose()?,
            name: check_name(args.name.clone().or(settings.name))?,
            routes,
            commands,
            log_format: settings.log_format,
            log: settings.log,
        })
    }
}

/// The authorities of a proxy that ends TLS in front of the platform.
fn read_proxy(path: &Path) -> Result<Arc<ClientConfig>, ConfigError> {
    let read = || {
        let roots = tls::certificates_from_pem(&files::read_text(path, CA_BYTES_MAX)?)?;
        Ok(tls::client_trusting(roots, true)?)
    };
    read().map_err(|error: Box<dyn std::error::Error>| {
        fault("platform_ca", &format!("{}: {error}", path.display()))
    })
}

fn read_settings(file: Option<&Path>) -> Result<Settings, ConfigError> {
    let text = match file {
        Some(path) => {
            files::read_text(path, FILE_BYTES_MAX).map_err(|error| fault("", &error.to_string()))?
        }
        None => String::new(),
    };
    // The error's text holds the line, and with it the key.
    toml::from_str(&text).map_err(|error| ConfigError {
        file: file.map(Path::to_owned),
        key: String::new(),
        reason: error.to_string().trim_end().to_owned(),
    })
}

/// Which key of a target is wrong, and why.
type TargetFault = (&'static str, String);

impl TargetSettings {
    /// Parses the flag's form, `[PATH=]URL[,OPTION]...`.
    fn parse(text: &str) -> Result<Self, TargetFault> {
        let mut parts = text.split(',');
        let place = parts.next().unwrap_or_default();
        let (path, url) = match place.split_once('=') {
            Some((path, url)) if path.starts_with('/') => (path.to_owned(), url),
            _ => (default_path(), place),
        };
        let mut target = Self {
            path,
            url: url.to_owned(),
            ..Self::default()
        };
        for option in parts {
            match option.split_once('=') {
                None if option == "insecure" => target.insecure = true,
                Some(("pin", pin)) => target.pin = Some(pin.to_owned()),
                Some(("host", host)) => target.host = Some(host.to_owned()),
                Some(("ca_file", path)) => target.ca_file = Some(path.into()),
                Some(("aliases", alias)) => target.aliases.push(alias.to_owned()),
                Some(("credentials_file", path)) => target.credentials_file = Some(path.into()),
                _ => {
                    let known =
                        "is none of insecure, pin=, ca_file=, host=, aliases=, credentials_file=";
                    return Err(("option", format!("{option:?} {known}")));
                }
            }
        }
        Ok(target)
    }

    fn check(self) -> Result<Target, TargetFault> {
        let mut trust = Vec::new();
        if let Some(pin) = &self.pin {
            trust.push(Trust::pin(pin).map_err(|error| ("pin", error.to_string()))?);
        }
        if let Some(path) = &self.ca_file {
            let read = || {
                tls::certificates_from_pem(&files::read_text(path, CA_BYTES_MAX)?)
                    .map_err(Into::into)
            };
            let authorities = read().map_err(|error: Box<dyn std::error::Error>| {
                ("ca_file", format!("{}: {error}", path.display()))
            })?;
            trust.push(Trust::Ca(authorities));
        }
        if self.insecure {
            trust.push(Trust::Insecure);
        }
        if trust.len() > 1 {
            return Err(("pin", "give one of pin, ca_file and insecure".to_owned()));
        }
        let host = match &self.host {
            Some(host) => host.parse().map_err(|error| ("host", format!("{error}")))?,
            None => HostMode::default(),
        };
        let credential = match &self.credentials_file {
            Some(path) => Some(read_credential(path)?),
            None => None,
        };
        let options = TargetOptions {
            trust: trust.pop(),
            host,
            aliases: self.aliases,
            credential,
        };
        Target::new(&self.url, options).map_err(|error| ("url", error.to_string()))
    }
}

fn read_credential(path: &Path) -> Result<Credential, TargetFault> {
    let text = files::read_text(path, CREDENTIALS_BYTES_MAX).map(zeroize::Zeroizing::new);
    let text = text.map_err(|error| ("credentials_file", error.to_string()))?;
    Credential::parse(&text)
        .map_err(|error| ("credentials_file", format!("{}: {error}", path.display())))
}

fn parse_log_format(key: &str, text: &str) -> Result<LogFormat, ConfigError> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(fault(key, "it is text or json")),
    }
}

fn check_name(name: Option<String>) -> Result<HostName, ConfigError> {
    match name {
        Some(name) => name
            .parse()
            .map_err(|error| fault("name", &format!("{name:?} will not do: {error}"))),
        None => Ok(HostName::of_machine(&machine_name())),
    }
}

/// The machine's name, as the kernel has it; empty where it says none.
fn machine_name() -> String {
    files::read_text(Path::new("/proc/sys/kernel/hostname"), 256).unwrap_or_default()
}

fn default_log() -> String {
    "info".to_owned()
}

fn default_path() -> String {
    "/".to_owned()
}

fn fault(key: &str, reason: &str) -> ConfigError {
    ConfigError {
        file: None,
        key: key.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
