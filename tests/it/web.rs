//! The console that the platform serves: in a browser, with an agent and a device behind it, and as what is
//! served. What happens in the browser is told by `tests/browser/console.test.mjs` and what that imports.

use std::fs;
use std::path::Path;
use std::process::Command;

use fleetwire::platform::console_page;

use crate::executors::packages;
use crate::oidc::SECRET;
use crate::oidc::provider::Provider;
use crate::support::{Agent, Platform, Process, command};

/// What the walk says that it has done, in this order.
const STEPS: &[&str] = &[
    "the right one leads in",
    "over the provider",
    "a host appears",
    "a lost connection",
    "a script runs",
    "a package is installed",
    "an inventory is taken",
    "a file is brought",
    "is a dead letter",
    "says who else is in",
    "console opens in a tab",
    "the audit of the host",
    "users, groups and keys",
    "several hosts are changed",
    "a second factor",
    "what the platform says of itself",
    "an agent that breaks",
    "rules, channels and silences",
    "stands as text",
    "who may only look",
    "no page failed",
];

/// Where it is built for use, it has its console: a folder that was left empty is no reason to pass by.
pub fn is_there() -> bool {
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
    let dir = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("written");
        path
    };
    let provider = Provider::start();
    let secret = write("client-secret", SECRET);
    let oidc = format!(
        "{{ issuer = '{}', name = 'Example ID', client_id = 'fleetwire', client_secret_file = {secret:?}, \
         create_users = true, default_role = 'viewer' }}",
        provider.issuer
    );
    let platform = Platform::start_with(&[], &[("FLEETWIRE_PLATFORM_OIDC", &oidc)]);
    let mut device = command("fleetwire");
    device.args(["demo-device", "--open", "--listen", "127.0.0.1:0"]);
    let mut device = Process::start("demo-device", &mut device);
    let device_url = device.line("demo device on ");
    let (_, device_url) = device_url.split_once(" on ").expect("an address");

    // Two hosts that packages are installed on, each with a system of its own.
    let systems = [packages::apt_system(), packages::apt_system()];
    let packing: Vec<Agent> = (systems.iter().enumerate())
        .map(|(at, system)| {
            let settings = format!("[commands.{}", &system.rules()[1..]);
            let settings = write(&format!("agent-{at}.toml"), &settings);
            let flags = vec!["--config".to_owned(), settings.display().to_string()];
            Agent::start_with_flags(&platform, &format!("packing-{}", at + 1), flags)
        })
        .collect();

    let test = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/console.test.mjs");
    let mut walk = Command::new("setpriv");
    walk.args(["--pdeathsig", "KILL", "node", "--test-reporter=tap"]);
    walk.arg(test);
    walk.env("FLEETWIRE_TEST_URL", format!("http://{}", platform.http));
    walk.env("FLEETWIRE_TEST_KEY", platform.admin_token());
    walk.env("FLEETWIRE_TEST_PLATFORM", platform.url().to_string());
    walk.env("FLEETWIRE_TEST_DEVICE", device_url.trim());
    walk.env(
        "FLEETWIRE_TEST_AGENT",
        env!("CARGO_BIN_EXE_fleetwire-agent"),
    );
    walk.env("FLEETWIRE_TEST_PACKAGE", packages::MADE);
    walk.env("FLEETWIRE_TEST_FOLDER", dir.path());
    let mut walk = Process::start("the walk", &mut walk);
    // Each in its own time, so that a slow machine may take as long as it needs for all of them.
    for step in STEPS {
        walk.line(step);
    }
    let status = walk.ended();
    let said = walk.said();
    assert!(status.success() && said.contains("# fail 0"), "{said}");
    drop(packing);
}
