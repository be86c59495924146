//! `fleetwire demo`: one command, one address.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use crate::support::{PATIENCE, Process, command, until};

/// The process ids under /proc whose command line has this in it.
fn processes_with(part: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("a proc file system");
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    ids.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|id| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(part)
        })
        .collect()
}

#[test]
fn one_command_prints_one_address_and_leaves_nothing_behind() {
    let mut demo = Process::start("demo", command("fleetwire").arg("demo"));
    let url = demo.line("/.fleetwire/enter#");
    let dir = demo.line("kept in");
    let (_, dir) = dir.split_once("kept in ").expect("the directory");
    let (host, path) = url
        .strip_prefix("http://")
        .expect("http")
        .split_once('/')
        .expect("a path");
    let (path, ticket) = path.split_once('#').expect("a ticket");
    assert!(ticket.len() >= 43, "256 bits");

    // Names under localhost lead to this machine in a browser; here the port says where.
    let port = host
        .rsplit_once(':')
        .expect("a port")
        .1
        .parse()
        .expect("a port");
    let mut page = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    page.set_read_timeout(Some(PATIENCE)).expect("set");
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    page.write_all(request.as_bytes()).expect("written");
    let mut answer = String::new();
    page.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    assert_eq!(processes_with(dir).len(), 2, "platform and agent");
    demo.signal("TERM");
    assert!(demo.ended().success());
    until("the end of its processes", || {
        processes_with(dir).is_empty().then_some(())
    });
    assert!(!Path::new(dir).exists());
}

/// The process ids of a process's children.
fn children_of(parent: u32) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("a proc file system");
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    ids.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|id| {
            // The second field, in parentheses, may hold anything; the parent is the second after it.
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let after = stat.rsplit(')').next().unwrap_or_default();
            after.split_whitespace().nth(1) == Some(&parent.to_string())
        })
        .collect()
}

#[test]
fn its_parts_end_with_it_when_it_is_killed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut demo = command("fleetwire");
    demo.arg("demo").arg("--dir").arg(dir.path());
    // What the caller has set for programs of their own says nothing to the demonstration's.
    demo.env("FLEETWIRE_PLATFORM_LOG", "error");
    demo.env("FLEETWIRE_AGENT_STATE_DIR", "/nowhere");
    let mut demo = Process::start("demo", &mut demo);
    demo.line("/.fleetwire/enter#");
    let parts = children_of(demo.id());
    assert_eq!(parts.len(), 3, "device, platform, agent");
    demo.signal("KILL");
    demo.ended();
    until("the end of its parts", || {
        // One that has ended and is not reaped has no command line.
        let runs = |id: &String| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("fleetwire")
        };
        (!parts.iter().any(runs)).then_some(())
    });
}

#[test]
fn a_demonstration_whose_part_fails_says_which() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let mut demo = Process::start(
        "demo",
        command("fleetwire").args(["demo", "--http", &address]),
    );
    assert!(!demo.ended().success());
    let said = demo.said();
    assert!(said.contains("fleetwire-platform has ended"), "{said}");
    assert!(said.contains("cannot listen on"), "{said}");
}

#[test]
fn the_devices_page_works_in_chromium_through_the_tunnel() {
    let mut demo = command("fleetwire");
    let mut demo = Process::start("demo", demo.args(["demo", "--sign-in"]));
    let url = demo.line("/.fleetwire/enter#");
    let output = std::process::Command::new("node")
        .args(["--test", "--test-reporter=tap"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/demo.test.mjs"))
        .env("FLEETWIRE_TEST_URL", url)
        .output()
        .expect("node starts");
    demo.end();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("# pass 10"),
        "the demo device's page:\n{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
