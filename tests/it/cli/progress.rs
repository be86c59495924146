//! What somebody sees who waits: at a terminal a line a host, drawn anew in its place; elsewhere plain lines.

use std::fs;

use super::contexts::Terminal;
use super::fleet::{operator, ran, said};
use crate::support::{Agent, Platform};

/// How a terminal is told to go a line up and to clear what is below.
const REDRAWN: &str = "\u{1b}[1A\u{1b}[J";

#[test]
fn at_a_terminal_each_host_has_a_line_that_is_drawn_anew() {
    let platform = Platform::start(&[]);
    let _agent = Agent::start_allowing(&platform, "kvm-1", &["script"]);
    // This one has no agent, and waits.
    platform.operate_json(&["host", "create", "kvm-2"]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let gate = dir.path().join("gate");
    let gate = gate.to_str().expect("text");
    let script = dir.path().join("script");
    let text =
        "echo begun; while [ ! -e \"$1\" ]; do sleep 0.05; done; printf 'a\\033[2Jb\\n'; exit 3";
    fs::write(&script, text).expect("written");
    let script = script.to_str().expect("text");
    let line = [
        "run", "kvm-1", "kvm-2", "--yes", "--wait", "--script", script, "--", gate,
    ];
    let mut terminal = Terminal::start(&operator(&platform, &line));
    terminal.until("kvm-1: begun");
    // Both lines are taken away, and stand below what was printed.
    terminal.until("kvm-1  running");
    terminal.until("kvm-2  waits");
    fs::write(gate, "").expect("written");
    terminal.until("\u{1b}[2A\u{1b}[J");
    // Nothing of a host's reaches the terminal as a command.
    terminal.until("kvm-1: a\\u{1b}[2Jb");
    terminal.until("kvm-1: failed (exit_code): it exited with 3");
    // The other stands there still, by itself.
    terminal.until("kvm-2  waits");
    let list = platform.operate_json(&["command", "list"]);
    let id = list["commands"][0]["id"].as_str().expect("an id");
    platform.operate_json(&["command", "cancel", id]);
    terminal.until(REDRAWN);
    terminal.until("kvm-2: cancelled");
    terminal.until("0 of 2 succeeded; 1 failed, 1 cancelled");
    let after = terminal
        .seen
        .rsplit("kvm-2: cancelled")
        .next()
        .unwrap_or_default();
    assert!(!after.contains("waits"), "{after:?}");
}

#[test]
fn without_a_terminal_lines_stay_as_they_are() {
    let platform = Platform::start(&[]);
    let _agent = Agent::start_allowing(&platform, "kvm-1", &["script"]);
    let line = ["run", "kvm-1", "--wait", "--", "printf", "a\\033[2Jb\\n"];
    let output = ran(&platform, &line);
    assert_eq!(output.stdout, b"a\x1b[2Jb\n");
    assert_eq!(said(&output), "kvm-1: succeeded\n");
}
