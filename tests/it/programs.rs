//! What the programs ask of their own process, and what they survive there: open files, and standard
//! error without a reader.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{PATIENCE, Platform, Process, command, until, until_status};

/// Open files that a limited program starts with, and those that the system allows it.
const FILES: u32 = 64;
const FILES_MOST: u32 = 512;
/// More than it starts with, fewer than it may have.
const CONNECTIONS: usize = 200;

/// The same program with few open files.
fn limited(program: &Command) -> Command {
    let script = format!("ulimit -S -n {FILES} && ulimit -H -n {FILES_MOST} && exec \"$0\" \"$@\"");
    let mut limited = Command::new("sh");
    limited.args(["-c", &script]).arg(program.get_program());
    limited.args(program.get_args()).stdin(Stdio::null());
    for (name, _) in program.get_envs() {
        limited.env_remove(name);
    }
    limited
}

fn platform(dir: &std::path::Path) -> Command {
    let mut platform = command("fleetwire-platform");
    platform.arg("--data-dir").arg(dir);
    platform.args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    platform.args(["--log-format", "json"]);
    platform
}

#[test]
fn a_platform_takes_as_many_connections_as_the_system_allows_and_says_where_that_is_few() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut process = Process::start("platform", &mut limited(&platform(dir.path())));
    let line = process.line("fewer files may be open than connections are allowed");
    let line: Value = serde_json::from_str(&line).expect("a JSON line");
    assert_eq!(line["open_files_max"], FILES_MOST);
    assert_eq!(line["connections_max"], 65_536);
    let line = process.line("listening in plain HTTP");
    let line: Value = serde_json::from_str(&line).expect("a JSON line");
    let address: SocketAddr = line["address"]
        .as_str()
        .expect("text")
        .parse()
        .expect("one");
    let mut open = Vec::new();
    for index in 0..CONNECTIONS {
        let mut connection = TcpStream::connect(address).expect("it listens");
        connection.set_read_timeout(Some(PATIENCE)).expect("set");
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n");
        connection.write_all(request.as_bytes()).expect("it reads");
        let mut answer = [0; 12];
        let answered = connection.read_exact(&mut answer);
        assert!(answered.is_ok(), "connection {index}: {answered:?}");
        assert_eq!(&answer, b"HTTP/1.1 200");
        open.push(connection);
    }
    let files = fs::read_dir(format!("/proc/{}/fd", process.id())).expect("it runs");
    assert!(files.count() >= CONNECTIONS, "all are open at once");
}

#[test]
fn an_agent_may_open_as_many_files_as_the_system_allows() {
    let platform = Platform::start(&[]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let token = dir.path().join("token");
    fs::write(&token, platform.enrolment_token(&[])).expect("written");
    let mut agent = command("fleetwire-agent");
    agent.args(["--platform", &platform.url().to_string(), "--name", "kvm"]);
    agent
        .args(["--target", "http://127.0.0.1:9", "--token-file"])
        .arg(token);
    agent.arg("--state-dir").arg(dir.path().join("state"));
    let agent = Process::start("agent", &mut limited(&agent));
    until_status(&platform, "kvm", "online");
    let limits = fs::read_to_string(format!("/proc/{}/limits", agent.id())).expect("it runs");
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let mut figures = line.expect("Linux says so").split_whitespace();
    assert_eq!(figures.next(), Some(FILES_MOST.to_string().as_str()));
}

#[test]
fn a_program_whose_standard_error_has_no_reader_goes_on_to_its_end() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut child = platform(dir.path())
        .env("FLEETWIRE_PLATFORM_DRAIN", "0s")
        .stderr(Stdio::piped())
        .spawn()
        .expect("setpriv of util-linux starts");
    let said = BufReader::new(child.stderr.take().expect("piped"));
    let mut lines = said.lines().map(|line| line.expect("text"));
    assert!(lines.any(|line| line.contains("listening in plain HTTP")));
    drop(lines);
    // Asked to end, it says so twice, to nobody.
    let kill = format!("kill -s TERM {}", child.id());
    let asked = Command::new("sh").args(["-c", &kill]).status();
    assert!(asked.expect("a shell").success());
    let status = until("its end", || child.try_wait().expect("a child of ours"));
    assert!(status.success(), "{status}");
}
