//! Events as the operator's command shows them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use serde_json::{Value, json};

use super::fleet::operator;
use crate::support::{Agent, PATIENCE, Platform, until};

/// A program that is ended with its test.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Follows events, and gives the lines one by one.
fn watching(platform: &Platform, more: &[&str]) -> (Watching, impl Fn() -> String + use<>) {
    let mut child = operator(platform, &[&["event", "watch"], more].concat())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let (send, receive) = channel();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    let next = move || receive.recv_timeout(PATIENCE).expect("a line");
    (Watching(child), next)
}

#[test]
fn events_are_lines_that_say_what_has_happened() {
    let platform = Platform::start(&[]);
    let (first, next) = watching(&platform, &["--json"]);
    let mark: Value = serde_json::from_str(&next()).expect("JSON");
    let position = mark["mark"]["position"].as_str().expect("a position");
    drop(first);
    platform.operate_json(&["group", "create", "lab"]);
    let agent = Agent::start(&platform, "kvm-1");
    platform.operate_json(&["packages", "install", "kvm-1", "hello"]);
    until("its end", || {
        let letters = platform.operate_json(&["dead", "list"]);
        (letters["deliveries"] != json!([])).then_some(())
    });
    drop(agent);

    let (_second, next) = watching(&platform, &["--position", position]);
    let mut seen = Vec::new();
    let mut until_line = |words: &[&str]| loop {
        let line = next();
        let fits = words.iter().all(|word| line.contains(word));
        seen.push(line);
        if fits {
            break;
        }
        assert!(seen.len() < 100, "{words:?}: {seen:#?}");
    };
    until_line(&["group updated", "(by admin"]);
    until_line(&["host enrolled", "kvm-1"]);
    until_line(&["host online", "kvm-1", "127.0.0.1", "fleetwire-agent"]);
    until_line(&["command updated", "package_operation queued"]);
    until_line(&["delivery updated", "kvm-1", "dead not_allowed"]);
    until_line(&["host offline", "kvm-1", "connection_ended"]);
    assert!(
        seen.iter()
            .all(|line| !line.contains("position") && line.starts_with("20")),
        "{seen:#?}"
    );
}
