//! The console where there are many hosts, in Chromium: its list is whole, in order and current, as
//! `tests/browser/scale.mjs` finds. How smooth it is and what it takes is measured by
//! `make bench BENCH=console-scale`, where there are ten times as many.

use std::path::Path;
use std::process::Command;

use crate::support::{PATIENCE, Platform, Process, until_within};
use crate::web;

/// Hosts: several pages of the list, and far more lines than a screen has.
const HOSTS: usize = 2000;

#[test]
fn the_list_of_two_thousand_hosts_is_whole_and_current() {
    if !web::is_there() {
        return;
    }
    let platform = Platform::start(&[]);
    let test = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/scale.mjs");
    let mut walk = Command::new("node");
    walk.arg(test).arg("walk");
    walk.env("FLEETWIRE_TEST_URL", format!("http://{}", platform.http));
    walk.env("FLEETWIRE_TEST_KEY", platform.admin_token());
    walk.env("FLEETWIRE_TEST_HOSTS", HOSTS.to_string());
    let mut walk = Process::start("the walk", &mut walk);
    // Each step of the walk has its own patience, and says which one ran out.
    let status = until_within(5 * PATIENCE, "the walk's end", || walk.has_ended());
    assert!(status.success(), "{}", walk.said());
}
