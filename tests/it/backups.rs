//! Backups: made while the platform runs, and what a platform that is put back on one knows.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Agent, Platform, copy_files, mode, until_status};

fn install(platform: &Platform, package: &str) -> String {
    let made = platform.operate_json(&["packages", "install", "kvm", package]);
    made["command_id"].as_str().expect("an id").to_owned()
}

fn known(platform: &Platform, command: &str) -> bool {
    platform
        .operate(&["command", "get", command])
        .status
        .success()
}

#[test]
fn a_platform_goes_on_from_its_backup() {
    let platform = Platform::start(&[]);
    let mut agent = Agent::start(&platform, "kvm");
    let before = install(&platform, "before");
    let made: Value = platform.operate_json(&["backup", "create"]);
    assert_eq!(made["state"], "done", "{made}");
    let after = install(&platform, "after");
    let path = Path::new(made["path"].as_str().expect("a path")).to_owned();
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("ca.key")), 0o600);
    let listed = platform.operate_json(&["backup", "list"]);
    assert_eq!(listed, json!({ "backups": [made] }));

    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    copy_files(&path, &data);
    let address = platform.tls.to_string();
    drop(platform);
    let platform = Platform::start_on(&data, &["--listen", &address]);
    assert!(known(&platform, &before));
    assert!(!known(&platform, &after));
    // The agent knows it for what it was.
    until_status(&platform, "kvm", "online");
    agent.process.end();
}

#[test]
fn a_backup_that_is_deleted_is_gone() {
    let platform = Platform::start(&[]);
    let made = platform.operate_json(&["backup", "create"]);
    let (name, path) = (
        made["name"].as_str().expect("a name"),
        made["path"].as_str().expect("a path"),
    );
    for other in [
        "..",
        "platform.db",
        &format!("{name}/../{name}"),
        "2026-04-15T15-00-00.007Z",
    ] {
        let output = platform.operate(&["backup", "delete", other, "--yes"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("there is no backup of this name"),
            "{other}: {said}"
        );
    }
    assert!(
        platform
            .operate(&["backup", "delete", name, "--yes"])
            .status
            .success()
    );
    assert!(!Path::new(path).exists());
    assert!(platform.data_dir().join("platform.db").exists());
}
