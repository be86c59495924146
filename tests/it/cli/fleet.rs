//! Asking hosts for something by the operator's command: whom it asks, what it asks first, and what it says.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Platform, command, until};

pub(super) fn ran(platform: &Platform, arguments: &[&str]) -> Output {
    // Nobody is at its terminal.
    operator(platform, arguments)
        .stdin(Stdio::null())
        .output()
        .expect("ran")
}

pub(super) fn operator(platform: &Platform, arguments: &[&str]) -> Command {
    let mut command = command("fleetwire");
    command
        .env("FLEETWIRE_SERVER", platform.url().to_string())
        .env("FLEETWIRE_TOKEN", platform.admin_token())
        .env("FLEETWIRE_CA", platform.ca_file())
        .args(arguments);
    command
}

pub(super) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(super) fn hosts(platform: &Platform, names: &[&str]) {
    for name in names {
        platform.operate_json(&["host", "create", name]);
    }
}

pub(super) fn made(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub(super) fn of(platform: &Platform, id: &str) -> Value {
    platform.operate_json(&["command", "get", id])
}

#[test]
fn what_is_to_be_run_goes_as_it_was_given() {
    let platform = Platform::start(&[]);
    hosts(&platform, &["kvm"]);
    let id = made(&ran(
        &platform,
        &[
            "run",
            "kvm",
            "--timeout",
            "5m",
            "--",
            "printf",
            "%s",
            "a b; $(reboot)",
            "--wait",
        ],
    ));
    let asked = of(&platform, &id);
    assert_eq!(asked["timeout"], 300);
    let script = &asked["script"];
    assert_eq!(
        script["arguments"],
        json!(["printf", "%s", "a b; $(reboot)", "--wait"])
    );
    assert_eq!(script["content"], "exec \"$@\"\n");

    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("script");
    std::fs::write(&file, "#!/usr/bin/python3\nprint('a')\n").expect("written");
    let file = file.to_str().expect("text");
    let line = [
        "run",
        "kvm",
        "--script",
        file,
        "--user",
        "nobody",
        "--env",
        "A=b=c",
        "--directory",
        "/tmp",
        "--priority",
        "high",
        "--",
        "x",
    ];
    let asked = of(&platform, &made(&ran(&platform, &line)));
    let script = &asked["script"];
    assert_eq!(script["interpreter"], "/usr/bin/python3");
    assert_eq!(script["content"], "#!/usr/bin/python3\nprint('a')\n");
    assert_eq!(script["environment"], json!({"A": "b=c"}));
    assert_eq!(
        (
            &script["user"],
            &script["working_directory"],
            &script["arguments"]
        ),
        (&json!("nobody"), &json!("/tmp"), &json!(["x"]))
    );
    assert_eq!(asked["priority"], "high");

    std::fs::write(file, "#!/usr/bin/env python3\n").expect("written");
    let refused = ran(&platform, &["run", "kvm", "--script", file]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        said(&refused).contains("--interpreter"),
        "{}",
        said(&refused)
    );
}

#[test]
fn the_words_say_hosts_and_what_they_are_asked() {
    let platform = Platform::start(&[]);
    hosts(&platform, &["kvm", "nginx"]);
    let asked = |line: &[&str]| of(&platform, &made(&ran(&platform, line)));
    let command = asked(&["packages", "install", "kvm", "nginx", "curl"]);
    assert_eq!(
        command["package_operation"],
        json!({"operation": "install", "packages": ["nginx", "curl"], "options": {"yes": true}})
    );
    assert_eq!(command["targets"], "hosts kvm");
    let line = [
        "packages", "remove", "--host", "kvm", "--host", "nginx", "-y", "nginx",
    ];
    let command = asked(&line);
    assert_eq!(command["summary"]["total"], 2);
    assert_eq!(command["package_operation"]["packages"], json!(["nginx"]));
    let command = asked(&["packages", "upgrade", "--all", "--yes"]);
    assert_eq!(command["targets"], "all hosts");
    let command = asked(&["service", "restart", "kvm", "nginx"]);
    assert_eq!(
        command["service_operation"],
        json!({"operation": "restart", "service": "nginx"})
    );

    for line in [
        &["packages", "install", "kvm"][..],
        &["packages", "install"],
        &["packages", "install", "kvm", "-x"],
        &["packages", "install", "kvm", "a;b"],
        &["service", "restart", "kvm"],
        &["service", "restart", "kvm", "a", "b"],
        &["run", "kvm"],
        &["run", "--", "true"],
        &["run", "kvm", "--all", "--", "true"],
        &["run", "kvm", "--host", "nginx", "--all", "--", "true"],
        &["dead", "redrive"],
        &["dead", "discard", "--all", "--reason", "x"],
    ] {
        let refused = ran(&platform, line);
        let code = refused.status.code();
        assert!(
            matches!(code, Some(1 | 2)),
            "{line:?}: {code:?} {}",
            said(&refused)
        );
    }
    let unknown = ran(&platform, &["run", "none", "--", "true"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said(&unknown).contains("no host"), "{}", said(&unknown));
}

#[test]
fn more_than_one_host_is_not_asked_unasked() {
    let platform = Platform::start(&[]);
    hosts(&platform, &["a", "b"]);
    let refused = ran(&platform, &["run", "--all", "--", "true"]);
    assert_eq!(refused.status.code(), Some(2));
    let text = said(&refused);
    assert!(text.contains("2 hosts") && text.contains("--yes"), "{text}");
    let dry = ran(&platform, &["run", "a", "b", "--dry-run", "--", "true"]);
    let table = made(&dry);
    assert!(
        table.contains("offline") && table.lines().count() == 3,
        "{table}"
    );
    let commands = platform.operate_json(&["command", "list"]);
    assert_eq!(commands["commands"], json!([]));
    let answer = made(&ran(
        &platform,
        &["run", "--all", "--yes", "--json", "--", "true"],
    ));
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["total"], 2);
}

#[test]
fn who_waits_is_told_the_end() {
    let platform = Platform::start(&[]);
    hosts(&platform, &["kvm"]);
    let overdue = ran(
        &platform,
        &["run", "kvm", "--wait-for", "10ms", "--", "true"],
    );
    assert_eq!(overdue.status.code(), Some(124), "{}", said(&overdue));
    assert!(
        said(&overdue).contains("command cancel"),
        "{}",
        said(&overdue)
    );

    let line = ["run", "kvm", "--wait", "--json", "--", "true"];
    let waiting = operator(&platform, &line)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let id = until("the second command", || {
        let list = platform.operate_json(&["command", "list"]);
        let commands = list["commands"].as_array()?;
        let id = commands.first()?["id"].as_str()?;
        (commands.len() == 2).then(|| id.to_owned())
    });
    platform.operate_json(&["command", "cancel", &id]);
    let ended = waiting.wait_with_output().expect("ended");
    assert_eq!(ended.status.code(), Some(1), "{}", said(&ended));
    assert!(said(&ended).contains("1 cancelled"), "{}", said(&ended));
    let printed = String::from_utf8_lossy(&ended.stdout).into_owned();
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 3, "{printed}");
    assert_eq!(lines[0]["command_id"], *id);
    assert_eq!(lines[1]["delivery"]["state"], "cancelled");
    assert_eq!(lines[2]["state"], "finished");
    // Who comes later is told the same.
    let later = ran(&platform, &["command", "watch", &id]);
    assert_eq!(later.status.code(), Some(1), "{}", said(&later));
    assert!(said(&later).contains("kvm: cancelled"), "{}", said(&later));
    assert!(said(&later).contains("1 cancelled"), "{}", said(&later));
    let list = made(&ran(&platform, &["deliveries", "--command", &id]));
    assert!(list.contains("cancelled") && list.contains("kvm"), "{list}");
    assert_eq!(
        list,
        made(&ran(&platform, &["delivery", "list", "--command", &id]))
    );
}

#[test]
fn waiting_that_is_broken_off_leaves_the_command() {
    let platform = Platform::start(&[]);
    hosts(&platform, &["kvm"]);
    let mut waiting = operator(&platform, &["run", "kvm", "--wait", "--json", "--", "true"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut first = String::new();
    let stdout = waiting.stdout.take().expect("piped");
    let mut stdout = BufReader::new(stdout);
    stdout.read_line(&mut first).expect("a line");
    assert!(first.contains("command_id"), "{first}");
    // setpriv has become the program itself.
    let pid = rustix::process::Pid::from_child(&waiting);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("sent");
    let ended = waiting.wait_with_output().expect("ended");
    assert_eq!(ended.status.code(), Some(130), "{}", said(&ended));
    assert!(said(&ended).contains("command cancel"), "{}", said(&ended));
    let list = platform.operate_json(&["command", "list"]);
    assert_eq!(list["commands"][0]["state"], "queued");
}
