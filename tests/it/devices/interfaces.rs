//! Real web interfaces in Chromium through the tunnel: the device and its agent in a namespace that reaches the
//! platform alone, the browser outside.
//!
//! What each page must show is asserted by `tests/browser/webs.test.mjs`.

use std::process::Command;

use serde_json::Value;

use crate::devices::world::{World, project};

/// Opens the host's console in Chromium and lets the browser's test of that device judge the page.
pub(crate) fn browse(world: &World, host: &str, facts: &Value) {
    let output = Command::new("node")
        .args(["--test", "--test-reporter=tap"])
        .arg(project("tests/browser/webs.test.mjs"))
        .env("FLEETWIRE_TEST_URL", world.console_url(host))
        .env("FLEETWIRE_TEST_DEVICE", facts.to_string())
        .output()
        .expect("node starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("# pass 1"),
        "the page of {host}:\n{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// One device on plain http, behind an agent, in the browser.
fn show(name: &str) {
    let mut world = World::start();
    let facts = world.device(name);
    world.agent(name, facts["url"].as_str().expect("a URL"));
    browse(&world, name, &facts);
}

#[test]
fn novnc_moves_and_takes_a_key() {
    show("novnc");
}

#[test]
fn jupyterlab_echoes_a_command_in_its_terminal() {
    show("terminal");
}

#[test]
fn ustreamer_shows_its_picture_and_loses_its_viewer() {
    show("ustreamer");
}

#[test]
fn spice_html5_shows_a_screen_and_takes_a_key() {
    show("spice");
}

#[test]
fn janus_signals() {
    show("janus");
}

#[test]
fn the_hostile_device_is_usable() {
    show("hostile");
}

#[test]
fn nginx_in_pikvm_shape_with_a_pinned_certificate() {
    let mut world = World::start();
    let facts = world.device("pikvm");
    let url = facts["url"].as_str().expect("a URL");
    let pin = facts["certificate_sha256"].as_str().expect("a pin");
    world.agent("pikvm", &format!("{url},pin={pin}"));
    browse(&world, "pikvm", &facts);
}

#[test]
fn a_device_that_sends_http_to_https_is_not_looped() {
    let mut world = World::start();
    let facts = world.device("pikvm");
    let plain = facts["plain_url"].as_str().expect("a URL").to_owned();
    world.agent("pikvm", &plain);
    let console = world.console("pikvm");
    let answer = console.get("/some/page?x=1");
    assert_eq!((answer.status, answer.field("location")), (502, None));
    assert!(answer.text().contains("https"), "{:?}", answer.text());
}
