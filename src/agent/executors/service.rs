//! `service_operation`: asks systemd over D-Bus, waits for the job that comes of it, and tells how the
//! service is then. Nothing but systemd is asked: a host without it refuses by its bus.

use std::sync::Mutex;

use futures_util::StreamExt as _;
use tokio::time::Instant;
use zbus::{OwnedObjectPath, Proxy};

use super::allowed::{ServiceRules, invalid, kind_refused, refused};
use super::bus::{Bus, fault, object, within};
use super::faults::failed;
use super::{Executor, Fault, Job, Outcome, Reports, Stop};
use crate::wire::messages::{
    ResponseResult, ServiceAction, ServiceOperation, ServiceResult, ServiceUnit,
};

/// systemd's name on the bus, and what it has there.
const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const JOB: &str = "org.freedesktop.systemd1.Job";

/// The endings of units' names (systemd.unit(5)).
const UNIT_TYPES: &[&str] = &[
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

/// Most services that are listed.
const SERVICES_MAX: usize = 2048;

/// Starts and stops services.
#[derive(Debug)]
pub(super) struct Services {
    rules: Option<ServiceRules>,
    bus: Bus,
}

impl Services {
    pub(super) fn new(rules: Option<ServiceRules>, bus: Bus) -> Self {
        Self { rules, bus }
    }

    async fn operate(&self, operation: &ServiceOperation, job: &Started) -> Result<(), Fault> {
        let bus = self.bus.connect().await?;
        let unit = unit_name(&operation.service);
        let manager = object(&bus, SYSTEMD, MANAGER_PATH, MANAGER).await?;
        match operation.operation {
            ServiceAction::Start => run_job(&manager, "StartUnit", &unit, job).await,
            ServiceAction::Stop => run_job(&manager, "StopUnit", &unit, job).await,
            ServiceAction::Restart => run_job(&manager, "RestartUnit", &unit, job).await,
            ServiceAction::Enable => {
                let files = (vec![unit.as_str()], false, false);
                let made = manager.call_method("EnableUnitFiles", &files).await;
                made.map_err(fault)?;
                reload(&manager).await
            }
            ServiceAction::Disable => {
                let files = (vec![unit.as_str()], false);
                let made = manager.call_method("DisableUnitFiles", &files).await;
                made.map_err(fault)?;
                reload(&manager).await
            }
            ServiceAction::Status | ServiceAction::Unspecified | ServiceAction::Unknown(_) => {
                Ok(())
            }
        }
    }

    /// How a service is. That there is none of the name is a fault.
    async fn show(&self, service: &str) -> Result<ServiceResult, Fault> {
        let bus = self.bus.connect().await?;
        let unit = unit_name(service);
        let manager = object(&bus, SYSTEMD, MANAGER_PATH, MANAGER).await?;
        let path: OwnedObjectPath = manager
            .call("LoadUnit", &(unit.as_str(),))
            .await
            .map_err(fault)?;
        let shown = object(&bus, SYSTEMD, path.as_str(), UNIT).await?;
        if text(&shown, "LoadState", 64).await == "not-found" {
            return Err(failed(
                "service_unknown",
                format!("there is no unit {unit}"),
            ));
        }
        let service = object(&bus, SYSTEMD, path.as_str(), SERVICE).await?;
        let process = service.get_property::<u32>("MainPID").await.ok();
        Ok(ServiceResult {
            active_state: text(&shown, "ActiveState", 64).await,
            sub_state: text(&shown, "SubState", 64).await,
            enabled_state: text(&shown, "UnitFileState", 64).await,
            description: text(&shown, "Description", 1024).await,
            process_id: process.filter(|process| *process > 0),
            execution_time: 0.0,
        })
    }

    /// The services that systemd has loaded, for an inventory.
    pub(super) async fn list(bus: &Bus) -> Result<Vec<ServiceUnit>, Fault> {
        type Unit = (
            String,
            String,
            String,
            String,
            String,
            String,
            OwnedObjectPath,
            u32,
            String,
            OwnedObjectPath,
        );
        let bus = bus.connect().await?;
        let manager = object(&bus, SYSTEMD, MANAGER_PATH, MANAGER).await?;
        let units: Vec<Unit> = manager.call("ListUnits", &()).await.map_err(fault)?;
        let services = units
            .into_iter()
            .filter(|unit| unit.0.ends_with(".service") && unit.2 == "loaded");
        let mut services: Vec<_> = services
            .map(|unit| ServiceUnit {
                name: shorten(unit.0, 255),
                active_state: shorten(unit.3, 64),
                sub_state: shorten(unit.4, 64),
                description: shorten(unit.1, 256),
            })
            .take(SERVICES_MAX)
            .collect();
        services.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(services)
    }

    /// Withdraws a job that nobody waits for any more.
    async fn cancel(&self, job: &Started) {
        let path = job.take();
        if let (Some(path), Ok(bus)) = (path, self.bus.connect().await)
            && let Ok(job) = object(&bus, SYSTEMD, &path, JOB).await
        {
            // It may have ended meanwhile.
            let _ = job.call_method("Cancel", &()).await;
        }
    }
}

/// The job that systemd has for a command, once it has one.
#[derive(Debug, Default)]
struct Started(Mutex<Option<String>>);

impl Started {
    fn set(&self, path: Option<String>) {
        *self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = path;
    }

    fn take(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take()
    }
}

/// Lets systemd do something with a unit, and waits until it is done.
async fn run_job(
    manager: &Proxy<'_>,
    method: &'static str,
    unit: &str,
    started: &Started,
) -> Result<(), Fault> {
    // Listened for before it is asked: a job may be done at once.
    let mut removed = manager.receive_signal("JobRemoved").await.map_err(fault)?;
    // Without it, systemd says nothing to anybody.
    manager.call_method("Subscribe", &()).await.map_err(fault)?;
    let asked = manager.call(method, &(unit, "replace")).await;
    let job: OwnedObjectPath = asked.map_err(fault)?;
    started.set(Some(job.as_str().to_owned()));
    while let Some(message) = removed.next().await {
        let body = message.body();
        let Ok((_, path, _, result)) = body.deserialize::<(u32, OwnedObjectPath, String, String)>()
        else {
            continue;
        };
        if path == job {
            started.set(None);
            return match result.as_str() {
                "done" | "skipped" => Ok(()),
                other => {
                    let detail = format!("systemd ended the job for {unit} with: {other}");
                    Err(failed("job_failed", detail))
                }
            };
        }
    }
    Err(failed(
        "bus_unreachable",
        "the system's D-Bus ended".to_owned(),
    ))
}

async fn reload(manager: &Proxy<'_>) -> Result<(), Fault> {
    manager.call_method("Reload", &()).await.map_err(fault)?;
    Ok(())
}

/// A property that is a text; empty where there is none.
async fn text(object: &Proxy<'_>, name: &str, characters_max: usize) -> String {
    let read = object.get_property::<String>(name).await;
    shorten(read.unwrap_or_default(), characters_max)
}

pub(super) fn shorten(text: String, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

/// A name without an ending means a service.
fn unit_name(service: &str) -> String {
    let has_type = service
        .rsplit_once('.')
        .is_some_and(|(_, ending)| UNIT_TYPES.contains(&ending));
    if has_type {
        service.to_owned()
    } else {
        format!("{service}.service")
    }
}

impl Executor for Services {
    type Parameters = ServiceOperation;

    fn check(&self, operation: &ServiceOperation) -> Result<(), Fault> {
        let Some(rules) = &self.rules else {
            return Err(kind_refused("service_operation"));
        };
        let action = match operation.operation {
            ServiceAction::Start => "start",
            ServiceAction::Stop => "stop",
            ServiceAction::Restart => "restart",
            ServiceAction::Enable => "enable",
            ServiceAction::Disable => "disable",
            ServiceAction::Status => "status",
            ServiceAction::Unspecified | ServiceAction::Unknown(_) => {
                return Err(invalid("operation", "say which"));
            }
        };
        let service = operation.service.as_str();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
        if service.is_empty() || service.starts_with(['-', '.']) || !service.bytes().all(fits) {
            let why =
                "a unit's name has letters, digits and : - _ . \\ @, and begins with no - or .";
            return Err(invalid("service", why));
        }
        if !rules.allows_operation(action) {
            let what = format!("the operation {action}");
            return Err(refused("service_operation.operations", &what));
        }
        if !rules.allows_service(&unit_name(service)) {
            let what = format!("the service {service}");
            return Err(refused("service_operation.services", &what));
        }
        Ok(())
    }

    async fn run(
        &self,
        job: &Job,
        operation: &ServiceOperation,
        _reports: &Reports,
        mut stop: Stop,
    ) -> Outcome {
        let begun = Instant::now();
        let deadline = job.time_limit.map(|limit| begun + limit);
        let started = Started::default();
        let work = self.operate(operation, &started);
        let done = match within(deadline, &mut stop, work).await {
            Ok(done) => done,
            Err(cut) => {
                self.cancel(&started).await;
                Err(cut.fault(job.time_limit))
            }
        };
        // How it is after a failure is told as well.
        let shown = self.show(&operation.service).await;
        let (fault, mut result) = match (done, shown) {
            (Ok(()), Ok(result)) => (None, Some(result)),
            (Err(fault), shown) => (Some(fault), shown.ok()),
            (Ok(()), Err(fault)) => (Some(fault), None),
        };
        if let Some(result) = &mut result {
            result.execution_time = begun.elapsed().as_secs_f64();
        }
        Outcome::of(fault, result.map(ResponseResult::ServiceOperation))
    }
}
