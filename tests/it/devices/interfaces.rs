//! Real web interfaces in Chromium through the tunnel: the device and its agent in a namespace that reaches the
//! platform alone, the browser outside.
//!
//! What each page must show is asserted by `tests/browser/webs.test.mjs`.

use std::process::Command;

use serde_json::Value;

use crate::{
    console::viewer::Session,
    devices::world::{World, project, url_of},
};

/// Opens the host's console in Chromium and lets the browser's test of that device judge the page.
pub(crate) fn browse(world: &World, facts: &Value) {
    let session = world.platform.operate_json(&["session", "open", "kvm"]);
    let output = Command::new("node")
        .args(["--test", "--test-reporter=tap"])
        .arg(project("tests/browser/webs.test.mjs"))
        .env("FLEETWIRE_TEST_URL", url_of(&session, "console_url"))
        .env("FLEETWIRE_TEST_DEVICE", facts.to_string())
        .output()
        .expect("node starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("# pass 1"),
        "the page of {facts}:\n{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// One device on plain http, behind an agent, in the browser.
fn show(name: &str) {
    let mut world = World::start();
    let facts = world.device(name);
    world.agent(&[url_of(&facts, "url")]);
    browse(&world, &facts);
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
    let pin = facts["certificate_sha256"].as_str().expect("a pin");
    world.agent(&[&format!("{},pin={pin}", url_of(&facts, "url"))]);
    browse(&world, &facts);
}

#[tokio::test]
async fn a_device_that_sends_http_to_https_is_told_not_looped() {
    let mut world = World::start();
    let facts = world.device("pikvm");
    world.agent(&[url_of(&facts, "plain_url")]);
    let session = Session::open(&world.platform).enter().await;
    let answer = session.send("GET /some/page", "").await.answer().await;
    assert_eq!((answer.status, answer.header("location")), (502, None));
    assert!(answer.text().contains("https port"), "{}", answer.text());
}
