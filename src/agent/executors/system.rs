//! `system_operation`: asks logind, hostnamed and timedated over D-Bus. A reboot has done what it was to
//! do when the host runs again: the kernel's boot id, kept in the agent's folder, tells it apart from an
//! agent that was only started anew.

use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::allowed::{SystemRules, invalid, kind_refused, refused};
use super::bus::{Bus, fault, object, within};
use super::faults::{self, failed};
use super::service::shorten;
use super::{Executor, Fault, Job, Outcome, Reports, Stop};
use crate::clock::UnixMillis;
use crate::files;
use crate::wire::messages::{ResponseResult, SystemAction, SystemOperation, SystemResult};

const LOGIND: [&str; 3] = [
    "org.freedesktop.login1",
    "/org/freedesktop/login1",
    "org.freedesktop.login1.Manager",
];
const HOSTNAMED: [&str; 3] = [
    "org.freedesktop.hostname1",
    "/org/freedesktop/hostname1",
    "org.freedesktop.hostname1",
];
const TIMEDATED: [&str; 3] = [
    "org.freedesktop.timedate1",
    "/org/freedesktop/timedate1",
    "org.freedesktop.timedate1",
];

/// The kernel's name for the time since it was started.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// The file that has the boot id of before.
const BOOT_FILE: &str = "boot-before";

/// Restarts the host, and sets what it is called.
#[derive(Debug)]
pub(super) struct Systems {
    rules: Option<SystemRules>,
    bus: Bus,
    /// Where the boot id is kept.
    folder: Option<PathBuf>,
    boot_id: PathBuf,
}

impl Systems {
    pub(super) fn new(rules: Option<SystemRules>, bus: Bus) -> Self {
        Self {
            rules,
            bus,
            folder: None,
            boot_id: PathBuf::from(BOOT_ID),
        }
    }

    pub(super) fn remember_in(&mut self, folder: &Path) {
        self.folder = Some(folder.to_owned());
    }

    fn read_boot(&self, path: &Path) -> Option<String> {
        let text = files::read_text(path, 64).ok()?;
        Some(text.trim().to_owned())
    }

    /// Keeps the boot id before the host is asked to go down.
    fn keep_boot(&self) -> Result<(), Fault> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let Some(boot) = self.read_boot(&self.boot_id) else {
            return Err(faults::start_failed("the kernel says no boot id"));
        };
        files::write_atomic(&folder.join(BOOT_FILE), boot.as_bytes(), files::MODE_SECRET)
            .map_err(|error| faults::start_failed(&error.to_string()))
    }

    async fn operate(&self, operation: &SystemOperation) -> Result<(), Fault> {
        let bus = self.bus.connect().await?;
        let of =
            |[service, path, interface]: [&'static str; 3]| object(&bus, service, path, interface);
        match operation.operation {
            SystemAction::Reboot => {
                let logind = of(LOGIND).await?;
                self.keep_boot()?;
                logind
                    .call_method("Reboot", &(false,))
                    .await
                    .map_err(fault)?;
                // The agent is ended with the host. Without a time limit it is waited for as long as it takes.
                std::future::pending::<()>().await;
            }
            SystemAction::Shutdown => {
                let logind = of(LOGIND).await?;
                self.keep_boot()?;
                logind
                    .call_method("PowerOff", &(false,))
                    .await
                    .map_err(fault)?;
            }
            SystemAction::SetHostname => {
                let hostnamed = of(HOSTNAMED).await?;
                let name = (operation.hostname.as_str(), false);
                for method in ["SetStaticHostname", "SetHostname"] {
                    hostnamed.call_method(method, &name).await.map_err(fault)?;
                }
            }
            SystemAction::SetTime => {
                let timedated = of(TIMEDATED).await?;
                if !operation.time_zone.is_empty() {
                    let zone = (operation.time_zone.as_str(), false);
                    timedated
                        .call_method("SetTimezone", &zone)
                        .await
                        .map_err(fault)?;
                }
                if let Some(time) = operation.time {
                    let microseconds = UnixMillis::from(time).0.saturating_mul(1000);
                    let time = (
                        i64::try_from(microseconds).unwrap_or(i64::MAX),
                        false,
                        false,
                    );
                    timedated
                        .call_method("SetTime", &time)
                        .await
                        .map_err(fault)?;
                }
            }
            SystemAction::Unspecified | SystemAction::Unknown(_) => {
                return Err(invalid("operation", "say which"));
            }
        }
        Ok(())
    }
}

/// How the host is called, and what time it has.
fn show(begun: Instant) -> SystemResult {
    let hostname = files::read_text(Path::new("/proc/sys/kernel/hostname"), 1024);
    let zone = std::fs::read_link("/etc/localtime").ok().and_then(|path| {
        let (_, zone) = path.to_str()?.rsplit_once("/zoneinfo/")?;
        Some(zone.to_owned())
    });
    SystemResult {
        hostname: shorten(hostname.unwrap_or_default().trim().to_owned(), 253),
        time: Some(UnixMillis::now().into()),
        time_zone: shorten(zone.unwrap_or_default(), 64),
        execution_time: begun.elapsed().as_secs_f64(),
    }
}

impl Executor for Systems {
    type Parameters = SystemOperation;

    fn check(&self, operation: &SystemOperation) -> Result<(), Fault> {
        let Some(rules) = &self.rules else {
            return Err(kind_refused("system_operation"));
        };
        let action = match operation.operation {
            SystemAction::Reboot => "reboot",
            SystemAction::Shutdown => "shutdown",
            SystemAction::SetHostname => "set_hostname",
            SystemAction::SetTime => "set_time",
            SystemAction::Unspecified | SystemAction::Unknown(_) => {
                return Err(invalid("operation", "say which"));
            }
        };
        if !rules.allows_operation(action) {
            let what = format!("the operation {action}");
            return Err(refused("system_operation.operations", &what));
        }
        match operation.operation {
            SystemAction::SetHostname if !is_hostname(&operation.hostname) => {
                let why = "1 to 253 letters, digits, `-` and `.`, in labels that begin and end with none of them";
                Err(invalid("hostname", why))
            }
            SystemAction::SetTime if operation.time.is_none() && operation.time_zone.is_empty() => {
                Err(invalid("time", "give a time, a time zone, or both"))
            }
            SystemAction::SetTime if !is_zone(&operation.time_zone) => {
                Err(invalid("time_zone", "a name such as Europe/Berlin"))
            }
            _ => Ok(()),
        }
    }

    async fn run(
        &self,
        job: &Job,
        operation: &SystemOperation,
        _reports: &Reports,
        mut stop: Stop,
    ) -> Outcome {
        let begun = Instant::now();
        let deadline = job.time_limit.map(|limit| begun + limit);
        let done = within(deadline, &mut stop, self.operate(operation)).await;
        let fault = match done {
            Ok(done) => done.err(),
            Err(cut) => Some(cut.fault(job.time_limit)),
        };
        Outcome::of(fault, Some(ResponseResult::SystemOperation(show(begun))))
    }

    fn after_restart(&self, operation: &SystemOperation) -> Option<Outcome> {
        if !matches!(
            operation.operation,
            SystemAction::Reboot | SystemAction::Shutdown
        ) {
            return None;
        }
        let file = self.folder.as_ref()?.join(BOOT_FILE);
        let (before, now) = (self.read_boot(&file)?, self.read_boot(&self.boot_id)?);
        // The next one is told by its own.
        let _ = std::fs::remove_file(&file);
        let fault = (before == now).then(|| {
            let detail = "the agent was started anew, and the host was not".to_owned();
            failed("not_restarted", detail)
        });
        let result = show(Instant::now());
        Some(Outcome::of(
            fault,
            Some(ResponseResult::SystemOperation(result)),
        ))
    }
}

/// RFC 1123 section 2.1.
fn is_hostname(name: &str) -> bool {
    let is_label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// As in tz: it becomes a file's name there. None is one, too.
fn is_zone(name: &str) -> bool {
    let is_part = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+-_".contains(&byte);
        !part.is_empty() && part.bytes().all(fits)
    };
    name.is_empty() || name.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::executors::Ended;

    #[test]
    fn a_reboot_is_known_by_the_boot_id() {
        let folder = tempfile::tempdir().unwrap();
        let boot_id = folder.path().join("boot_id");
        std::fs::write(&boot_id, "one\n").unwrap();
        let mut systems = Systems::new(None, Bus::default());
        systems.boot_id.clone_from(&boot_id);
        let reboot = SystemOperation {
            operation: SystemAction::Reboot,
            hostname: String::new(),
            time: None,
            time_zone: String::new(),
        };
        assert_eq!(systems.after_restart(&reboot), None, "nowhere to look");
        systems.remember_in(folder.path());
        assert_eq!(systems.after_restart(&reboot), None, "it was not asked yet");
        systems.keep_boot().unwrap();
        let outcome = systems.after_restart(&reboot).expect("known");
        assert_eq!(outcome.status, Ended::Failed);
        assert_eq!(outcome.fault.unwrap().reason, "not_restarted");
        systems.keep_boot().unwrap();
        std::fs::write(&boot_id, "two\n").unwrap();
        let outcome = systems.after_restart(&reboot).expect("known");
        assert_eq!((outcome.status, outcome.fault), (Ended::Succeeded, None));
        assert_eq!(systems.after_restart(&reboot), None, "told once");
    }

    #[test]
    fn names_of_hosts_and_zones() {
        assert!(is_hostname("a-1.example") && is_hostname("A"));
        for name in ["", "-a", "a-", "a..b", "a b", "a;b", &"a".repeat(64)] {
            assert!(!is_hostname(name), "{name}");
        }
        assert!(is_zone("Europe/Berlin") && is_zone("Etc/GMT+1") && is_zone(""));
        for name in ["../etc/shadow", "/etc", "a//b", "a b"] {
            assert!(!is_zone(name), "{name}");
        }
    }
}
