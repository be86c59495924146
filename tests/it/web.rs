//! The console that the platform serves: in a browser, with an agent and a device behind it, and as what is
//! served. What happens in the browser is told by `tests/browser/console.test.mjs`.

use std::path::Path;
use std::process::Command;

use fleetwire::platform::console_page;

use crate::support::{Agent, Platform, Process, command};

/// Tests in the walk.
const WALK: &str = "# pass 11";

/// Where it is built for use, it has its console: a folder that was left empty is no reason to pass by.
fn is_there() -> bool {
    let embedded = console_page::is_embedded();
    assert!(
        embedded || std::env::var_os("CI").is_none(),
        "the programs were built without the console: make web comes first"
    );
    if !embedded {
        eprintln!("passed by: the programs were built without the console (make web)");
    }
    embedded
}

#[test]
fn a_person_walks_through_the_console_in_chromium() {
    if !is_there() {
        return;
    }
    let platform = Platform::start(&[]);
    let mut device = command("fleetwire");
    device.args(["demo-device", "--open", "--listen", "127.0.0.1:0"]);
    let mut device = Process::start("demo-device", &mut device);
    let device_url = device.line("demo device on ");
    let (_, device_url) = device_url.split_once(" on ").expect("an address");

    let test = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/console.test.mjs");
    let mut walk = Command::new("node");
    walk.arg("--test-reporter=tap").arg(test);
    walk.env("FLEETWIRE_TEST_URL", format!("http://{}", platform.http));
    walk.env("FLEETWIRE_TEST_KEY", platform.admin_token());
    let mut walk = Process::start("the walk", &mut walk);
    let token = walk.line("enrol-with ");
    let (_, token) = token.split_once("enrol-with ").expect("a token");
    let flags = ["--allow-command", "script"].map(str::to_owned).to_vec();
    let _agent = Agent::launch(&platform, "any", token.trim(), &[device_url.trim()], flags);
    // Each in its own time, so that a slow machine may take as long as it needs for all of them.
    for step in [
        "a host appears",
        "a lost connection",
        "a script runs",
        "is a dead letter",
        "console opens in a tab",
        "the audit of the host",
        "users, groups and keys",
        "who may only look",
    ] {
        walk.line(step);
    }
    let status = walk.ended();
    let said = walk.said();
    assert!(status.success() && said.contains(WALK), "{said}");
}
