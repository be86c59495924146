//! `service_operation`, `system_operation` and `inventory` over a real D-Bus. systemd itself is not there:
//! python-dbusmock stands for it and its companions (`systemd.py`), and says how it was called.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fleetwire::agent::executors::{Allowed, Ended, Executors, Outcome};
use fleetwire::wire::messages::{
    CommandParameters, Inventory, InventoryPart, ResponseResult, ServiceAction, ServiceOperation,
    ServiceResult, SystemAction, SystemOperation,
};
use fleetwire::wire::values::Timestamp;
use tempfile::TempDir;

use super::{check, reason, run, run_within};
use crate::support::until_true;

/// A bus, and who stands for systemd on it.
struct Bus {
    folder: TempDir,
    running: Vec<Child>,
}

impl Drop for Bus {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Bus {
    async fn start() -> Self {
        let mut bus = Self {
            folder: tempfile::tempdir().unwrap(),
            running: Vec::new(),
        };
        let path = |name: &str| bus.folder.path().join(name);
        let settings = format!(
            "<busconfig><type>session</type><listen>{}</listen><policy context=\"default\">\
             <allow send_destination=\"*\"/><allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>",
            bus.address()
        );
        fs::write(path("bus.conf"), settings).unwrap();
        let mut daemon = Command::new("dbus-daemon");
        daemon
            .arg("--nofork")
            .arg("--config-file")
            .arg(path("bus.conf"));
        let socket = path("socket");
        let said = path("said");
        let mut systemd = Command::new("/usr/bin/python3");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/executors/systemd.py");
        systemd
            .args(["-u", script])
            .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
            .stdout(File::create(&said).unwrap());
        for (name, mut command, ready) in [
            ("dbus-daemon", daemon, socket),
            ("python3 with dbusmock", systemd, said),
        ] {
            let mut child = command
                .stdin(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("{name}: {error}; run tests/setup.sh as root"));
            until_true(&format!("{name}, which is to be ready,"), async || {
                let ended = child.try_wait().unwrap();
                assert!(ended.is_none(), "{name} ended; run tests/setup.sh as root");
                match fs::read_to_string(&ready) {
                    Ok(said) => said.contains("ready"),
                    // A socket is not read.
                    Err(error) => error.kind() != std::io::ErrorKind::NotFound,
                }
            })
            .await;
            bus.running.push(child);
        }
        bus
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.folder.path().join("socket").display())
    }

    /// The rules that allow all, and this bus.
    fn rules(&self) -> String {
        format!(
            "bus = {:?}\n[service_operation]\n[system_operation]\n[inventory]\n",
            self.address()
        )
    }

    /// Whether systemd was called like this.
    fn heard(&self, call: &str) -> bool {
        fs::read_to_string(self.folder.path().join("said"))
            .unwrap()
            .contains(call)
    }

    async fn service(&self, operation: ServiceAction, service: &str) -> Outcome {
        run(&self.rules(), of_service(operation, service)).await.0
    }
}

fn of_service(operation: ServiceAction, service: &str) -> CommandParameters {
    CommandParameters::ServiceOperation(ServiceOperation {
        operation,
        service: service.to_owned(),
    })
}

fn of_system(operation: SystemAction) -> SystemOperation {
    SystemOperation {
        operation,
        hostname: String::new(),
        time: None,
        time_zone: String::new(),
    }
}

fn result(outcome: &Outcome) -> &ServiceResult {
    match &outcome.result {
        Some(ResponseResult::ServiceOperation(result)) => result,
        other => panic!("{other:?} of {:?}", outcome.fault),
    }
}

#[tokio::test]
async fn services_start_and_stop() {
    let bus = Bus::start().await;
    for (operation, active, sub) in [
        (ServiceAction::Status, "inactive", "dead"),
        (ServiceAction::Start, "active", "running"),
        (ServiceAction::Restart, "active", "running"),
        (ServiceAction::Stop, "inactive", "dead"),
    ] {
        let outcome = bus.service(operation, "made").await;
        assert_eq!(
            outcome.status,
            Ended::Succeeded,
            "{operation:?} {outcome:?}"
        );
        let result = result(&outcome);
        assert_eq!(
            (result.active_state.as_str(), result.sub_state.as_str()),
            (active, sub)
        );
        assert_eq!(
            (result.description.as_str(), result.process_id),
            ("A made service", Some(41))
        );
    }
    for (operation, state) in [
        (ServiceAction::Enable, "enabled"),
        (ServiceAction::Disable, "disabled"),
    ] {
        let outcome = bus.service(operation, "made.service").await;
        assert_eq!(
            outcome.status,
            Ended::Succeeded,
            "{operation:?} {outcome:?}"
        );
        assert_eq!(result(&outcome).enabled_state, state);
    }
    assert!(bus.heard("Reload"));

    let outcome = bus.service(ServiceAction::Start, "broken").await;
    assert_eq!(
        (outcome.status, reason(&outcome)),
        (Ended::Failed, "job_failed"),
        "{outcome:?}"
    );
    assert_eq!(result(&outcome).active_state, "inactive");
    for operation in [ServiceAction::Start, ServiceAction::Status] {
        let outcome = bus.service(operation, "none").await;
        assert_eq!(
            (outcome.status, reason(&outcome)),
            (Ended::Failed, "service_unknown"),
            "{outcome:?}"
        );
    }
    // A job that does not end in time is withdrawn.
    let slow = of_service(ServiceAction::Start, "slow");
    let limit = Duration::from_secs(2);
    let (outcome, _) = run_within(executors(&bus), slow, limit).await;
    assert_eq!(
        (outcome.status, reason(&outcome)),
        (Ended::Failed, "timed_out"),
        "{outcome:?}"
    );
    assert!(bus.heard("Cancel"));
}

fn executors(bus: &Bus) -> Executors {
    super::executors(&bus.rules())
}

#[tokio::test]
async fn a_host_is_restarted_and_named() {
    let bus = Bus::start().await;
    let name = SystemOperation {
        hostname: "made.example".to_owned(),
        ..of_system(SystemAction::SetHostname)
    };
    let time = SystemOperation {
        time: Timestamp::new(1_800_000_000, 0),
        time_zone: "Europe/Berlin".to_owned(),
        ..of_system(SystemAction::SetTime)
    };
    for operation in [name, time, of_system(SystemAction::Shutdown)] {
        let parameters = CommandParameters::SystemOperation(operation);
        let (outcome, _) = run(&bus.rules(), parameters).await;
        assert_eq!(outcome.status, Ended::Succeeded, "{outcome:?}");
    }
    for call in [
        "SetStaticHostname \"made.example\" False",
        "SetHostname \"made.example\" False",
        "SetTimezone \"Europe/Berlin\" False",
        "SetTime 1800000000000000 False False",
        "PowerOff False",
    ] {
        assert!(bus.heard(call), "{call}");
    }

    // The host stays up, as whoever was asked only stands for it.
    let reboot = CommandParameters::SystemOperation(of_system(SystemAction::Reboot));
    let folder = tempfile::tempdir().unwrap();
    let remembering = executors(&bus).remembering_in(folder.path());
    let limit = Duration::from_secs(2);
    let (outcome, _) = run_within(remembering, reboot.clone(), limit).await;
    assert_eq!(reason(&outcome), "timed_out", "{outcome:?}");
    assert!(bus.heard("Reboot False"));
    let again = executors(&bus).remembering_in(folder.path());
    let outcome = again.after_restart("", &reboot).await.expect("known");
    assert_eq!(
        (outcome.status, reason(&outcome)),
        (Ended::Failed, "not_restarted")
    );
}

#[tokio::test]
async fn an_inventory_names_what_it_could_not_read() {
    let bus = Bus::start().await;
    let all = || CommandParameters::Inventory(Inventory { parts: Vec::new() });
    let (outcome, _) = run(&bus.rules(), all()).await;
    assert_eq!(outcome.status, Ended::Succeeded, "{outcome:?}");
    let Some(ResponseResult::Inventory(result)) = outcome.result else {
        panic!("an inventory");
    };
    let hardware = result.hardware.expect("hardware");
    assert!(hardware.processors > 0 && hardware.memory_bytes > 0);
    assert!(!result.operating_system.expect("a system").kernel.is_empty());
    assert!(result.packages.iter().any(|package| package.name == "dpkg"));
    assert!(
        result
            .network
            .iter()
            .any(|interface| interface.name == "lo")
    );
    let services: Vec<_> = result
        .services
        .iter()
        .map(|unit| unit.name.as_str())
        .collect();
    assert_eq!(services, ["made.service"]);

    let nowhere = "bus = \"unix:path=/nowhere\"\n[inventory]\n";
    let (outcome, _) = run(nowhere, all()).await;
    assert_eq!(outcome.status, Ended::Succeeded, "{outcome:?}");
    let Some(ResponseResult::Inventory(result)) = outcome.result else {
        panic!("an inventory");
    };
    assert!(result.output.starts_with("services: "), "{}", result.output);
    let parts = vec![InventoryPart::Services];
    let (outcome, _) = run(nowhere, CommandParameters::Inventory(Inventory { parts })).await;
    assert_eq!(
        (outcome.status, reason(&outcome)),
        (Ended::Failed, "unreadable")
    );
}

#[test]
fn what_the_owner_does_not_allow_is_refused() {
    let rules = "[service_operation]\nservices = [\"made*\"]\noperations = [\"start\"]\n\
                 [system_operation]\noperations = [\"reboot\"]\n";
    let hostname = CommandParameters::SystemOperation(of_system(SystemAction::SetHostname));
    let inventory = CommandParameters::Inventory(Inventory { parts: Vec::new() });
    for (parameters, expected, part) in [
        (
            of_service(ServiceAction::Stop, "made"),
            "not_allowed",
            "service_operation.operations",
        ),
        (
            of_service(ServiceAction::Start, "other"),
            "not_allowed",
            "service_operation.services",
        ),
        (
            of_service(ServiceAction::Start, "made; id"),
            "parameters_invalid",
            "service",
        ),
        (
            of_service(ServiceAction::Start, "--now"),
            "parameters_invalid",
            "service",
        ),
        (
            of_service(ServiceAction::Unspecified, "made"),
            "parameters_invalid",
            "operation",
        ),
        (hostname, "not_allowed", "system_operation.operations"),
        (inventory, "not_allowed", "commands.inventory"),
    ] {
        let fault = check(rules, &parameters).expect_err(part);
        assert_eq!(fault.reason, expected, "{fault:?}");
        assert!(fault.detail.contains(part), "{fault:?}");
    }
    assert_eq!(
        check(rules, &of_service(ServiceAction::Start, "made-too")),
        Ok(())
    );
    let wrong: Allowed = toml::from_str("[system_operation]\noperations = [\"dance\"]\n").unwrap();
    assert_eq!(
        wrong.check().expect_err("a fault").key,
        "system_operation.operations"
    );
}
