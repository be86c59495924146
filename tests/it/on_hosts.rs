//! Commands from one end to the other: asked for by the operator's command or over REST, run by real agents as
//! their owners allow, and what is seen of them meanwhile and afterwards.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use hyper::Method;
use serde_json::{Value, json};

use crate::support::{Agent, PATIENCE, Platform, command, this_machines_packages, until};

fn operator(platform: &Platform, arguments: &[&str]) -> Command {
    let mut command = command("fleetwire");
    command
        .env("FLEETWIRE_SERVER", platform.url().to_string())
        .env("FLEETWIRE_TOKEN", platform.admin_token())
        .env("FLEETWIRE_CA", platform.ca_file())
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn begun(platform: &Platform, arguments: &[&str]) -> Child {
    operator(platform, arguments).spawn().expect("started")
}

/// Its exit status, and what it said on either output.
fn ended(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn ran(platform: &Platform, arguments: &[&str]) -> (Option<i32>, String, String) {
    ended(&operator(platform, arguments).output().expect("ran"))
}

fn letters(platform: &Platform) -> Vec<Value> {
    let list = platform.operate_json(&["dead", "list"]);
    list["deliveries"].as_array().expect("a list").clone()
}

#[test]
fn what_is_run_is_followed_to_its_end() {
    let platform = Platform::start(&[]);
    let _agent = Agent::start_allowing(&platform, "kvm", &["script"]);
    let words = ["a b", "$(id)", ";", "'"];
    let line = [
        &["run", "kvm", "--wait", "--", "printf", "%s\\n"][..],
        &words,
    ]
    .concat();
    let (code, printed, said) = ran(&platform, &line);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(printed, format!("{}\n", words.join("\n")));
    assert!(said.contains("kvm: succeeded"), "{said}");

    let line = [
        "run",
        "kvm",
        "--wait",
        "--",
        "sh",
        "-c",
        "echo no >&2; exit 3",
    ];
    let (code, printed, said) = ran(&platform, &line);
    assert_eq!((code, &*printed), (Some(1), "no\n"), "{said}");
    assert!(said.contains("exited with 3"), "{said}");
    assert!(said.contains("0 of 1 succeeded; 1 failed"), "{said}");

    let line = [
        "run",
        "kvm",
        "--wait",
        "--timeout",
        "1s",
        "--",
        "sleep",
        "60",
    ];
    let (code, _, said) = ran(&platform, &line);
    assert_eq!(code, Some(124), "{said}");
    assert!(said.contains("timed_out"), "{said}");

    let line = ["run", "kvm", "--wait", "--json", "--", "echo", "done"];
    let (code, printed, said) = ran(&platform, &line);
    assert_eq!(code, Some(0), "{said}");
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[1]["script"]["output"], "done\n", "{printed}");
    assert_eq!(lines[1]["script"]["exit_code"], 0);
    assert_eq!(lines[2]["summary"]["succeeded"], 1);
    let states = lines[1]["history"].as_array().expect("a list").iter();
    let states: Vec<_> = states.filter_map(|step| step["state"].as_str()).collect();
    assert_eq!(states.last(), Some(&"succeeded"), "{states:?}");
}

#[test]
fn what_is_printed_is_seen_while_it_runs() {
    let platform = Platform::start(&[]);
    let agents = ["one", "two"].map(|name| Agent::start_allowing(&platform, name, &["script"]));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let gate = dir.path().join("gate");
    let script = "echo begun; while [ ! -e \"$1\" ]; do sleep 0.05; done; echo ended";
    let gate_text = gate.to_str().expect("text");
    let line = [
        "run", "one", "two", "--yes", "--wait", "--", "sh", "-c", script, "sh", gate_text,
    ];
    let mut waiting = begun(&platform, &line);
    let mut printed = BufReader::new(waiting.stdout.take().expect("piped")).lines();
    let mut next = || printed.next().expect("a line").expect("text");
    let mut first = [next(), next()];
    first.sort();
    assert_eq!(first, ["one: begun", "two: begun"]);
    fs::write(&gate, "").expect("written");
    let mut last = [next(), next()];
    last.sort();
    assert_eq!(last, ["one: ended", "two: ended"]);
    let output = waiting.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(0), "{:?}", ended(&output));
    drop(agents);
}

#[test]
fn what_runs_is_cancelled() {
    let platform = Platform::start(&[]);
    let _agent = Agent::start_allowing(&platform, "kvm", &["script"]);
    let line = [
        "run",
        "kvm",
        "--wait",
        "--",
        "sh",
        "-c",
        "echo begun; sleep 600",
    ];
    let mut waiting = begun(&platform, &line);
    let mut first = String::new();
    let mut printed = BufReader::new(waiting.stdout.take().expect("piped"));
    printed.read_line(&mut first).expect("a line");
    assert_eq!(first, "begun\n");
    let list = platform.operate_json(&["command", "list"]);
    let id = list["commands"][0]["id"].as_str().expect("an id");
    let answer = platform.operate_json(&["command", "cancel", id]);
    assert_eq!(answer, json!({"cancelled": 0, "requested": 1}));
    let (code, _, said) = ended(&waiting.wait_with_output().expect("ended"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 cancelled"), "{said}");
}

#[test]
fn agents_on_one_machine_end_only_what_is_their_own() {
    let platform = Platform::start(&[]);
    let mut agents =
        ["one", "two", "three"].map(|name| Agent::start_allowing(&platform, name, &["script"]));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let gate = dir.path().join("gate");
    let script = "echo begun; while [ ! -e \"$1\" ]; do sleep 0.05; done; echo ended";
    let gate_text = gate.to_str().expect("text");
    let line = [
        "run", "one", "two", "three", "--yes", "--wait", "--", "sh", "-c", script, "sh", gate_text,
    ];
    let mut waiting = begun(&platform, &line);
    let mut printed = BufReader::new(waiting.stdout.take().expect("piped")).lines();
    for _ in 0..3 {
        let line = printed.next().expect("a line").expect("text");
        assert!(line.ends_with(": begun"), "{line}");
    }
    let list = platform.operate_json(&["command", "list"]);
    let id = list["commands"][0]["id"].as_str().expect("an id");
    let until_stands = |host: &str, state: &str| {
        until(&format!("{host} {state}"), || {
            let delivery = platform.operate_json(&["delivery", "get", id, host]);
            (delivery["delivery"]["state"] == state).then_some(())
        });
    };
    platform.operate_json(&["command", "cancel", id, "--host", "one"]);
    until_stands("one", "cancelled");
    agents[1].process.signal("KILL");
    agents[1].process.end();
    agents[1].restart(&platform, "two");
    until_stands("two", "interrupted");
    fs::write(&gate, "").expect("written");
    let rest: Vec<_> = printed.map(|line| line.expect("text")).collect();
    assert_eq!(rest, ["three: ended"]);
    let (_, _, said) = ended(&waiting.wait_with_output().expect("ended"));
    assert!(said.contains("three: succeeded"), "{said}");
}

#[test]
fn dead_letters_are_seen_to() {
    let platform = Platform::start(&[]);
    let _agent = Agent::start_allowing(&platform, "kvm", &["script"]);
    // The agent's owner does not allow it.
    let line = ["packages", "install", "kvm", "hello", "--wait"];
    let (code, _, said) = ran(&platform, &line);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not_allowed"), "{said}");
    // A host that does not come.
    platform.operate_json(&["host", "create", "away"]);
    let line = ["run", "away", "--wait", "--expires", "1s", "--", "true"];
    let (code, _, said) = ran(&platform, &line);
    assert_eq!(code, Some(124), "{said}");
    assert!(said.contains("1 expired"), "{said}");

    let found = letters(&platform);
    let mut seen: Vec<_> = found
        .iter()
        .map(|letter| (letter["host"].clone(), letter["state"].clone()))
        .collect();
    seen.sort_by_key(|(host, _)| host.to_string());
    assert_eq!(
        seen,
        [
            (json!("away"), json!("expired")),
            (json!("kvm"), json!("dead"))
        ]
    );
    let (code, _, said) = ran(&platform, &["dead", "redrive", "--all"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("2 dead letters"), "{said}");
    let line = ["dead", "redrive", "--all", "--dry-run", "--json"];
    let (code, printed, said) = ran(&platform, &line);
    assert_eq!(code, Some(0), "{said}");
    let would: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(
        (&would["total"], &would["more"]),
        (&json!(2), &json!(false))
    );
    assert_eq!(letters(&platform).len(), 2, "a dry run does nothing");

    let redriven = platform.operate_json(&["dead", "redrive", "--host", "away"]);
    let new = redriven["commands"][0]["command_id"]
        .as_str()
        .expect("an id");
    let command = platform.operate_json(&["command", "get", new]);
    assert_eq!(command["redrive_of"], redriven["commands"][0]["redrive_of"]);
    assert_eq!(command["state"], "queued");
    assert_eq!(command["script"]["arguments"], json!(["true"]));
    assert_eq!(letters(&platform).len(), 1);
    let (code, printed, _) = ran(&platform, &["dead", "discard", "--reason", "not_allowed"]);
    assert_eq!((code, &*printed), (Some(0), "put away: 1 dead letters\n"));
    assert_eq!(letters(&platform), [] as [Value; 0]);
    let log = platform.operate_json(&["audit", "list", "--action", "delivery."]);
    let actions = log["entries"].as_array().expect("a list").iter();
    let actions: Vec<_> = actions
        .filter_map(|entry| entry["action"].as_str())
        .collect();
    assert_eq!(actions, ["delivery.discard", "delivery.redrive"]);
}

#[test]
fn dead_letters_are_asked_for_again_by_type_and_time() {
    let platform = Platform::start(&[]);
    // What its owner does not allow is a dead letter at once.
    let _agent = Agent::start(&platform, "kvm");
    let ask = |line: &[&str], letters_then: usize| {
        let (code, printed, said) = ran(&platform, line);
        assert_eq!(code, Some(0), "{said}");
        let made: Value = serde_json::from_str(&printed).expect("JSON");
        until("the dead letter", || {
            (letters(&platform).len() == letters_then).then_some(())
        });
        let id = made["command_id"].as_str().expect("an id").to_owned();
        let command = platform.operate_json(&["command", "get", &id]);
        (
            id,
            command["created_at"].as_str().expect("a time").to_owned(),
        )
    };
    let (script, _) = ask(&["run", "kvm", "--json", "--", "true"], 1);
    let (install, _) = ask(&["packages", "install", "kvm", "hello", "--json"], 2);
    let (later, begin) = ask(&["run", "kvm", "--json", "--", "false"], 3);

    // Both have to hold: the type, and that it was asked for before.
    let filter = ["--type", "script", "--before", &begin, "--json"];
    let would = [&["dead", "redrive", "--dry-run"][..], &filter].concat();
    let (code, printed, said) = ran(&platform, &would);
    assert_eq!(code, Some(0), "{said}");
    let would: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(would["total"], 1, "{would}");
    assert_eq!(would["commands"][0]["redrive_of"], *script);
    assert_eq!(letters(&platform).len(), 3, "a dry run does nothing");

    let (code, printed, said) = ran(&platform, &[&["dead", "redrive"][..], &filter].concat());
    assert_eq!(code, Some(0), "{said}");
    let redriven: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(redriven["total"], 1, "{redriven}");
    let new = redriven["commands"][0]["command_id"]
        .as_str()
        .expect("an id");
    let command = platform.operate_json(&["command", "get", new]);
    assert_eq!(command["redrive_of"], *script);
    assert_eq!(command["script"]["arguments"], json!(["true"]));
    // It is refused again, under its new id.
    let of = |letters: Vec<Value>| {
        let mut ids: Vec<_> = letters
            .iter()
            .filter_map(|letter| Some(letter["command_id"].as_str()?.to_owned()))
            .collect();
        ids.sort();
        ids
    };
    let mut left = vec![install, later, new.to_owned()];
    left.sort();
    until("the new dead letter", || {
        (of(letters(&platform)) == left).then_some(())
    });

    // What was asked for before all of them is nothing.
    let line = ["dead", "redrive", "--before", "2000-01-01T00:00:00Z"];
    let (code, printed, _) = ran(&platform, &line);
    assert_eq!((code, &*printed), (Some(0), "there are 0 dead letters\n"));
    let line = [
        "dead",
        "discard",
        "--before",
        "2999-01-01T00:00:00Z",
        "--type",
        "script",
        "--yes",
    ];
    let (code, printed, said) = ran(&platform, &line);
    assert_eq!(
        (code, &*printed),
        (Some(0), "put away: 2 dead letters\n"),
        "{said}"
    );
    let left = of(letters(&platform));
    assert_eq!(left.len(), 1, "{left:?}");
}

/// A package that is small, needs nothing else, and that no other test touches.
const PACKAGE: &str = "sl";
const PACKAGE_FILE: &str = "/usr/games/sl";

/// What is told over REST to whoever follows a command, until its end.
fn watch(platform: &Platform, id: &str) -> impl Iterator<Item = Value> + use<> {
    let mut stream = TcpStream::connect(platform.http).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let token = platform.admin_token();
    // HTTP/1.0, so that the body comes as it is.
    let request = format!(
        "GET /api/commands/{id}/watch HTTP/1.0\r\nHost: localhost\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("written");
    let lines = BufReader::new(stream)
        .lines()
        .map(|line| line.expect("more comes"));
    lines.filter_map(|line| {
        let event = line.strip_prefix("data: ")?;
        Some(serde_json::from_str(event).expect("JSON"))
    })
}

#[test]
fn who_follows_late_is_told_once_what_was_printed_before() {
    let platform = Platform::start(&[]);
    let _agent = Agent::start_allowing(&platform, "kvm", &["script"]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let gate = dir.path().join("gate");
    let script = "echo begun; while [ ! -e \"$1\" ]; do sleep 0.05; done; echo ended";
    let gate_text = gate.to_str().expect("text");
    let line = [
        "run", "kvm", "--json", "--", "sh", "-c", script, "sh", gate_text,
    ];
    let (code, printed, said) = ran(&platform, &line);
    assert_eq!(code, Some(0), "{said}");
    let asked: Value = serde_json::from_str(&printed).expect("JSON");
    let id = asked["command_id"].as_str().expect("an id");
    let output = |told: &Value| told["progress"]["output"].as_str().map(str::to_owned);
    let mut first = watch(&platform, id);
    assert_eq!(
        first.by_ref().find_map(|told| output(&told)).as_deref(),
        Some("begun\n")
    );
    // From here on it was told, and this one comes later.
    let mut late = watch(&platform, id);
    assert_eq!(
        late.by_ref().find_map(|told| output(&told)).as_deref(),
        Some("begun\n")
    );
    fs::write(&gate, "").expect("written");
    for watched in [&mut first as &mut dyn Iterator<Item = Value>, &mut late] {
        let rest: String = watched.filter_map(|told| output(&told)).collect();
        assert_eq!(rest, "ended\n");
    }
}

#[tokio::test]
async fn a_package_is_installed_and_removed() {
    assert!(
        rustix::process::geteuid().is_root(),
        "package managers work as root"
    );
    let platform = Platform::start(&[]);
    let agent = Agent::start_allowing(&platform, "kvm", &["package_operation"]);
    let there = || Path::new(PACKAGE_FILE).exists();
    let _alone = this_machines_packages();
    let (code, printed, said) = ran(&platform, &["packages", "update", "kvm", "--wait"]);
    assert_eq!(code, Some(0), "{printed}{said}");
    let remove = ["packages", "remove", "kvm", PACKAGE, "--wait"];
    // An earlier run that was cut may have left it.
    if there() {
        ran(&platform, &remove);
    }

    // Over REST, in the seed's words.
    let client = platform.client();
    let seed = include_str!("../vectors/json/rest_packages_install.json");
    let mut body: Value = serde_json::from_str(seed).expect("JSON");
    body["packages"] = json!([PACKAGE]);
    let path = "/api/hosts/kvm/packages/install";
    // All of it is to come in pieces: the agent waits until somebody follows.
    agent.process.signal("STOP");
    let accepted: Value = client
        .call(Method::POST, path, Some(&body))
        .await
        .expect("accepted");
    let id = accepted["command_id"].as_str().expect("an id").to_owned();
    let mut watched = watch(&platform, &id);
    watched
        .find(|told| told["delivery"].is_object())
        .expect("how its host stands to begin with");
    agent.process.signal("CONT");
    let told: Vec<_> = watched.collect();
    let delivery: Value = client
        .call::<(), _>(
            Method::GET,
            &format!("/api/commands/{id}/deliveries/kvm"),
            None,
        )
        .await
        .expect("there");
    assert_eq!(delivery["delivery"]["state"], "succeeded", "{delivery}");
    let result = &delivery["package_operation"];
    assert_eq!(result["installed_packages"], json!([PACKAGE]), "{delivery}");
    assert!(result["execution_time"].as_f64() > Some(0.0), "{delivery}");
    let output = result["output"].as_str().expect("text");
    assert!(output.contains("Setting up sl"), "{delivery}");
    assert!(there(), "{PACKAGE_FILE}");
    let seed = include_str!("../vectors/json/response.json");
    let seed: Value = serde_json::from_str(seed).expect("JSON");
    for (name, value) in seed["result"].as_object().expect("an object") {
        let kind = std::mem::discriminant(value);
        assert_eq!(
            std::mem::discriminant(&result[name]),
            kind,
            "{name}: {result}"
        );
    }

    // It was told in pieces, as it was printed, between the beginning and the end.
    let stands = |state: &str| {
        let found = told
            .iter()
            .position(|told| told["delivery"]["state"] == state);
        found.unwrap_or_else(|| panic!("never {state}: {told:?}"))
    };
    assert!(stands("running") < stands("succeeded"));
    let meanwhile = &told[..stands("succeeded")];
    let pieces = meanwhile.iter().map(|told| &told["progress"]);
    let pieces: Vec<_> = pieces.filter_map(|it| it["output"].as_str()).collect();
    assert!(pieces.len() > 1, "{told:?}");
    assert_eq!(pieces.concat(), output);
    let last = told.last().expect("some");
    assert_eq!(last["command"]["summary"]["succeeded"], 1, "{last}");

    // By the command, with what the manager prints.
    let (code, printed, said) = ran(&platform, &remove);
    assert_eq!(code, Some(0), "{printed}{said}");
    assert!(printed.contains("Removing sl"), "{printed}");
    assert!(!there(), "{PACKAGE_FILE}");
    let line = ["packages", "install", "kvm", PACKAGE, "--wait"];
    let (code, printed, said) = ran(&platform, &line);
    assert_eq!(code, Some(0), "{printed}{said}");
    assert!(printed.contains("Setting up sl"), "{printed}");
    assert!(there(), "{PACKAGE_FILE}");
    let (code, printed, said) = ran(&platform, &["packages", "list", "kvm", "--wait"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        printed.lines().any(|line| line.starts_with("sl ")),
        "{printed}"
    );
    let (code, _, said) = ran(&platform, &remove);
    assert_eq!(code, Some(0), "{said}");
    assert!(!there(), "{PACKAGE_FILE}");
}
