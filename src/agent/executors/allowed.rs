//! What the agent's owner allows: one table a kind of command in `[commands]` of the agent's settings. A
//! kind without its table is refused; the keys of a table narrow what it allows. What is asked is decided
//! by each kind's executor, with the words from here, which name the rule.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::Fault;
use super::managers::Manager;
use crate::files;
use crate::net::signed_program::PublicKey;

/// The rules for all kinds. Whoever reads settings puts them together and lets them be checked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// `[commands.package_operation]`.
    pub package_operation: Option<PackageRules>,
    /// `[commands.service_operation]`.
    pub service_operation: Option<ServiceRules>,
    /// `[commands.system_operation]`.
    pub system_operation: Option<SystemRules>,
    /// `[commands.file_transfer]`.
    pub file_transfer: Option<FileRules>,
    /// `[commands.inventory]`.
    pub inventory: Option<InventoryRules>,
    /// The address of the D-Bus over which systemd is asked. Absent: the system's.
    pub bus: Option<String>,
    /// `[commands.script]`.
    pub script: Option<ScriptRules>,
    /// `[commands.agent_update]`.
    pub agent_update: Option<UpdateRules>,
}

/// What is done with packages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PackageRules {
    /// Of `install`, `remove`, `update`, `upgrade` and `list`, those that are done. Absent: all.
    pub operations: Vec<String>,
    /// Patterns for the names of packages, where `*` stands for any letters and `?` for one. What a package
    /// needs comes along with it. Absent: all packages.
    pub packages: Vec<String>,
    /// The package manager. Absent: the first of apt, zypper, dnf, apk and pacman that the host has.
    pub manager: Option<Manager>,
    /// A folder that it takes for the whole system. Absent: the system.
    pub root: Option<PathBuf>,
}

/// What can be done with packages.
const PACKAGE_OPERATIONS: &[&str] = &["install", "remove", "update", "upgrade", "list"];

impl Default for PackageRules {
    fn default() -> Self {
        Self {
            operations: owned(PACKAGE_OPERATIONS),
            packages: owned(&["*"]),
            manager: None,
            root: None,
        }
    }
}

impl PackageRules {
    pub(super) fn allows_operation(&self, operation: &str) -> bool {
        self.operations.iter().any(|name| name == operation)
    }

    pub(super) fn allows_package(&self, package: &str) -> bool {
        fits_any(&self.packages, package)
    }

    pub(super) fn allows_every_package(&self) -> bool {
        self.packages.iter().any(|pattern| pattern == "*")
    }

    fn check(&self) -> Result<(), RuleFault> {
        check_operations(
            "package_operation.operations",
            &self.operations,
            PACKAGE_OPERATIONS,
        )?;
        if self.packages.is_empty() {
            return Err(nothing("package_operation.packages"));
        }
        match &self.root {
            Some(root) if !is_plain(root) => Err(RuleFault {
                key: "package_operation.root",
                reason: format!("{root:?} is no absolute path without `..`"),
            }),
            _ => Ok(()),
        }
    }
}

/// What is done with services.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceRules {
    /// Of `start`, `stop`, `restart`, `enable`, `disable` and `status`, those that are done. Absent: all.
    pub operations: Vec<String>,
    /// Patterns for the names of services, as for packages, without `.service` or with it; units of another
    /// type are named in full. Absent: all.
    pub services: Vec<String>,
}

/// What can be done with services.
const SERVICE_OPERATIONS: &[&str] = &["start", "stop", "restart", "enable", "disable", "status"];

impl Default for ServiceRules {
    fn default() -> Self {
        Self {
            operations: owned(SERVICE_OPERATIONS),
            services: owned(&["*"]),
        }
    }
}

impl ServiceRules {
    pub(super) fn allows_operation(&self, operation: &str) -> bool {
        self.operations.iter().any(|name| name == operation)
    }

    /// Whether a unit is allowed, by its whole name.
    pub(super) fn allows_service(&self, unit: &str) -> bool {
        let short = unit.strip_suffix(".service");
        fits_any(&self.services, unit) || short.is_some_and(|short| fits_any(&self.services, short))
    }

    fn check(&self) -> Result<(), RuleFault> {
        check_operations(
            "service_operation.operations",
            &self.operations,
            SERVICE_OPERATIONS,
        )?;
        if self.services.is_empty() {
            return Err(nothing("service_operation.services"));
        }
        Ok(())
    }
}

/// What is done with the host as a whole.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SystemRules {
    /// Of `reboot`, `shutdown`, `set_hostname` and `set_time`, those that are done. Absent: all.
    pub operations: Vec<String>,
}

/// What can be done with a host.
const SYSTEM_OPERATIONS: &[&str] = &["reboot", "shutdown", "set_hostname", "set_time"];

impl Default for SystemRules {
    fn default() -> Self {
        Self {
            operations: owned(SYSTEM_OPERATIONS),
        }
    }
}

impl SystemRules {
    pub(super) fn allows_operation(&self, operation: &str) -> bool {
        self.operations.iter().any(|name| name == operation)
    }
}

/// That an inventory is made: it has no keys.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InventoryRules {}

/// Which files are written and read. Whoever allows it says where: there is no folder by default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileRules {
    /// Folders in which, and below which, files are written. Links below them are not followed.
    pub to_host: Vec<PathBuf>,
    /// Folders from which files are read, likewise.
    pub from_host: Vec<PathBuf>,
    /// Whom files may be given to, by name, beside whom the agent runs as.
    pub owners: Vec<String>,
    /// Whether a file may be made set-user-id, set-group-id or sticky.
    pub special_bits: bool,
}

impl FileRules {
    fn check(&self) -> Result<(), RuleFault> {
        for (key, folders) in [
            ("file_transfer.to_host", &self.to_host),
            ("file_transfer.from_host", &self.from_host),
        ] {
            if let Some(path) = folders.iter().find(|path| !is_plain(path)) {
                let reason = format!("{path:?} is no absolute path without `..`");
                return Err(RuleFault { key, reason });
            }
        }
        if self.to_host.is_empty() && self.from_host.is_empty() {
            let reason = "name the folders that files are written to, as in \
                          to_host = [\"/srv/files\"], those that they are read from (from_host), or both";
            return Err(RuleFault {
                key: "file_transfer",
                reason: reason.to_owned(),
            });
        }
        Ok(())
    }
}

/// Which scripts are run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScriptRules {
    /// What may run them: absolute paths, taken literally.
    pub interpreters: Vec<PathBuf>,
    /// Whom they may run as, by name; whom the agent runs as is one of them only where it is named.
    /// Absent: whom the agent runs as, and nobody else.
    pub users: Option<Vec<String>>,
}

impl Default for ScriptRules {
    fn default() -> Self {
        Self {
            interpreters: vec![PathBuf::from("/bin/sh")],
            users: None,
        }
    }
}

/// Whose programs may take the agent's place.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateRules {
    /// Ed25519 public keys, in base64. A program that one of them has signed is taken.
    pub keys: Vec<String>,
    /// PEM files of such keys.
    pub key_files: Vec<PathBuf>,
    /// Whether an older version than the one that runs is taken.
    pub older: bool,
    /// How long a new agent may take to be welcomed by the platform, in seconds: on trial, and once more in
    /// its place.
    pub connect_within: u32,
}

/// Longest that a new agent may take, in seconds.
const CONNECT_WITHIN_MAX: u32 = 3600;
/// Largest file with a public key.
const KEY_BYTES_MAX: usize = 16 << 10;

impl Default for UpdateRules {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            key_files: Vec::new(),
            older: false,
            connect_within: 60,
        }
    }
}

impl UpdateRules {
    /// The keys, out of the settings and of their files.
    ///
    /// # Errors
    /// [`RuleFault`] for the first that is none.
    pub fn public_keys(&self) -> Result<Vec<PublicKey>, RuleFault> {
        let given = self.keys.iter().map(|text| {
            PublicKey::from_text(text).map_err(|error| RuleFault {
                key: "agent_update.keys",
                reason: format!("{text:?}: {error}"),
            })
        });
        let read = self.key_files.iter().map(|path| {
            let fault = |error: &dyn std::fmt::Display| RuleFault {
                key: "agent_update.key_files",
                reason: format!("{}: {error}", path.display()),
            };
            let text = files::read_text(path, KEY_BYTES_MAX).map_err(|error| fault(&error))?;
            PublicKey::from_pem(&text).map_err(|error| fault(&error))
        });
        given.chain(read).collect()
    }

    fn check(&self) -> Result<(), RuleFault> {
        if self.public_keys()?.is_empty() {
            return Err(RuleFault {
                key: "agent_update.keys",
                reason:
                    "name the Ed25519 public keys whose programs are taken, here or in key_files"
                        .to_owned(),
            });
        }
        if !(1..=CONNECT_WITHIN_MAX).contains(&self.connect_within) {
            return Err(RuleFault {
                key: "agent_update.connect_within",
                reason: format!("it is a number of seconds from 1 to {CONNECT_WITHIN_MAX}"),
            });
        }
        Ok(())
    }
}

/// A setting that does not do: its key within `[commands]`, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// Such as `script.interpreters`.
    pub key: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl Allowed {
    /// Checks what serde cannot.
    ///
    /// # Errors
    /// [`RuleFault`] for the first rule that allows nothing, or nothing that there can be.
    pub fn check(&self) -> Result<(), RuleFault> {
        if let Some(packages) = &self.package_operation {
            packages.check()?;
        }
        if let Some(services) = &self.service_operation {
            services.check()?;
        }
        if let Some(system) = &self.system_operation {
            let key = "system_operation.operations";
            check_operations(key, &system.operations, SYSTEM_OPERATIONS)?;
        }
        if let Some(files) = &self.file_transfer {
            files.check()?;
        }
        if let Some(update) = &self.agent_update {
            update.check()?;
        }
        if let Some(script) = &self.script {
            for path in &script.interpreters {
                if !is_plain(path) {
                    let reason = format!("{path:?} is no absolute path without `..`");
                    return Err(RuleFault {
                        key: "script.interpreters",
                        reason,
                    });
                }
            }
            if script.interpreters.is_empty() {
                return Err(nothing("script.interpreters"));
            }
            if script.users.as_ref().is_some_and(Vec::is_empty) {
                return Err(nothing("script.users"));
            }
        }
        Ok(())
    }
}

/// An absolute path that goes nowhere but down.
pub(super) fn is_plain(path: &Path) -> bool {
    path.is_absolute()
        && path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Whether one of the patterns fits a name: `*` stands for any letters, `?` for one.
pub(super) fn fits_any(patterns: &[String], name: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| fits(pattern.as_bytes(), name.as_bytes()))
}

fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    // Where to go on when what follows the last star does not fit: one letter further.
    let mut star = None;
    while place < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(sign) if *sign == b'?' || *sign == name[place] => {
                at += 1;
                place += 1;
            }
            _ => match star {
                Some((back, from)) => {
                    at = back + 1;
                    place = from + 1;
                    star = Some((back, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|sign| *sign == b'*')
}

fn check_operations(key: &'static str, given: &[String], known: &[&str]) -> Result<(), RuleFault> {
    if given.is_empty() {
        return Err(nothing(key));
    }
    match given.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(RuleFault {
            key,
            reason: format!("{name:?} is none of {}", known.join(", ")),
        }),
        None => Ok(()),
    }
}

fn nothing(key: &'static str) -> RuleFault {
    RuleFault {
        key,
        reason: "an empty list allows nothing: leave the whole table out".to_owned(),
    }
}

/// The refusal of what a rule does not allow.
pub(super) fn refused(rule: &str, what: &str) -> Fault {
    Fault {
        reason: "not_allowed",
        detail: format!("`commands.{rule}` of the agent's settings does not allow {what}"),
    }
}

/// The refusal of a kind that has no table.
pub(super) fn kind_refused(kind: &str) -> Fault {
    Fault {
        reason: "not_allowed",
        detail: format!("the agent's settings have no table `commands.{kind}`: it is not allowed"),
    }
}

/// The refusal of parameters that nobody could run.
pub(super) fn invalid(field: &str, reason: &str) -> Fault {
    Fault {
        reason: "parameters_invalid",
        detail: format!("{field}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, expected) in [
            ("nginx", "nginx", true),
            ("nginx", "nginx-light", false),
            ("nginx*", "nginx-light", true),
            ("*", "anything", true),
            ("lib*-dev", "libssl-dev", true),
            ("lib*-dev", "libssl-devel", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("?", "a", true),
            ("?", "ab", false),
            ("", "", true),
            ("", "a", false),
            ("a**", "a", true),
        ] {
            let patterns = [pattern.to_owned()];
            assert_eq!(fits_any(&patterns, name), expected, "{pattern} {name}");
        }
    }
}
