//! A device whose page is after the console that is open beside it. What it tries, and that nothing comes of it, is
//! told by `tests/browser/hostile-device.mjs`, which is the device as well.

use std::path::Path;
use std::process::Command;

use crate::support::{Agent, Platform, Process};
use crate::web;

#[test]
fn a_devices_page_reaches_nothing_of_the_console_beside_it() {
    if !web::is_there() {
        return;
    }
    let platform = Platform::start(&[]);
    let test = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/hostile-device.mjs");
    let mut walk = Command::new("node");
    walk.arg(test);
    walk.env("FLEETWIRE_TEST_URL", format!("http://{}", platform.http));
    walk.env("FLEETWIRE_TEST_KEY", platform.admin_token());
    let mut walk = Process::start("the walk", &mut walk);
    let line = walk.line("device at ");
    let (_, device) = line.split_once("device at ").expect("an address");
    let _agent = Agent::start_for(&platform, "kvm", &[device.trim()]);
    walk.line("nothing was reached");
    assert!(walk.ended().success(), "{}", walk.said());
}
