//! A platform that is put back on its backup while its agents have gone on: no command runs twice, and none
//! that an agent knows is lost from view.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Agent, Platform, copy_files, until, until_status};

/// Leaves a mark of its own, waits for a gate where it has one, and exits as it is told.
const SCRIPT: &str = "echo \"$FLEETWIRE_COMMAND_ID\" >> \"$1/$FLEETWIRE_HOST_ID\"; \
    while [ -n \"$2\" ] && [ ! -e \"$1/$2\" ]; do sleep 0.05; done; exit \"$3\"";
const NAMES: [&str; 3] = ["one", "two", "late"];

/// What agents were told, and how it has to end.
type Expected = BTreeMap<(String, &'static str), &'static str>;

struct World {
    platform: Platform,
    agents: [Agent; 3],
    /// The marks, a file a host, and the gates.
    marks: TempDir,
}

impl World {
    fn run(&self, hosts: &[&str], more: &[&str], gate: &str, code: &str) -> String {
        let marks = self.marks.path().to_str().expect("text");
        let script = ["--", "sh", "-c", SCRIPT, "sh", marks, gate, code];
        let line = [&["run", "--yes"], hosts, more, &script].concat();
        let output = self.platform.operate(&line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line:?}: {said}");
        let id = String::from_utf8(output.stdout).expect("text");
        id.trim().to_owned()
    }

    fn quick(&self, hosts: &[&str]) -> String {
        self.run(hosts, &[], "", "0")
    }

    fn open(&self, gate: &str) {
        fs::write(self.marks.path().join(gate), "").expect("written");
    }

    fn delivery(&self, command: &str, host: &str) -> Option<Value> {
        let output = self
            .platform
            .operate(&["delivery", "get", command, host, "--json"]);
        let found = output.status.success();
        found.then(|| {
            serde_json::from_slice::<Value>(&output.stdout).expect("JSON")["delivery"].take()
        })
    }

    fn until_stands(&self, command: &str, host: &str, state: &str) -> Value {
        until(&format!("{command} {state} on {host}"), || {
            self.delivery(command, host)
                .filter(|delivery| delivery["state"] == state)
        })
    }

    fn signal(&self, signal: &str) {
        for agent in &self.agents {
            agent.process.signal(signal);
        }
    }

    /// How often each command has run on a host.
    fn ran(&self, host: &str) -> BTreeMap<String, usize> {
        let host = self.platform.operate_json(&["host", "get", host]);
        let id = host["id"].as_str().expect("an id");
        let marks = fs::read_to_string(self.marks.path().join(id)).unwrap_or_default();
        let mut ran = BTreeMap::new();
        for command in marks.lines() {
            *ran.entry(command.to_owned()).or_default() += 1;
        }
        ran
    }

    /// Puts the platform back on a backup, with a command of the new store's that its agents have not heard
    /// of when they come.
    fn restore(mut self, backup: &Path, data: &Path) -> (Self, String) {
        self.platform.process.signal("KILL");
        self.platform.process.end();
        let address = self.platform.tls.to_string();
        // What ends now is told to the platform that comes.
        self.open("cut");
        self.signal("STOP");
        copy_files(backup, data);
        self.platform = Platform::start_on(data, &["--listen", &address]);
        let made = self.quick(&NAMES);
        self.signal("CONT");
        (self, made)
    }

    /// Waits until everything stands as it is expected, and looks at what has run.
    fn check(&self, expected: &Expected) {
        for ((command, host), state) in expected {
            self.until_stands(command, host, state);
        }
        for name in NAMES {
            let has_run = |state: &str| matches!(state, "succeeded" | "failed");
            let once = expected
                .iter()
                .filter(|((_, host), state)| *host == name && has_run(state))
                .map(|((command, _), _)| (command.clone(), 1));
            assert_eq!(self.ran(name), once.collect(), "{name}");
        }
    }
}

#[test]
fn nothing_runs_twice_and_nothing_is_lost_from_view() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let platform = Platform::start_on(&dir.path().join("data"), &[]);
    let agents = NAMES.map(|name| Agent::start_allowing(&platform, name, &["script"]));
    platform.operate_json(&["host", "create", "never"]);
    let marks = tempfile::tempdir().expect("a temporary directory");
    let mut world = World {
        platform,
        agents,
        marks,
    };
    let mut expected = Expected::new();
    let mut expect = |command: &str, host, state| {
        expected.insert((command.to_owned(), host), state);
    };

    // Commands in every state that there is.
    world.agents[2].process.end();
    until_status(&world.platform, "late", "offline");
    let succeeded = world.quick(&["one"]);
    expect(&succeeded, "one", "succeeded");
    let failed = world.run(&["one"], &[], "", "3");
    expect(&failed, "one", "failed");
    let install = ["packages", "install", "two", "hello"];
    let refused = world.platform.operate_json(&install);
    let refused = refused["command_id"].as_str().expect("an id");
    expect(refused, "two", "dead");
    let cancelled = world.quick(&["late"]);
    world
        .platform
        .operate_json(&["command", "cancel", &cancelled]);
    expect(&cancelled, "late", "cancelled");
    let expired = world.run(&["late"], &["--expires", "1s"], "", "0");
    expect(&expired, "late", "expired");
    for ((command, host), state) in &expected {
        world.until_stands(command, host, state);
    }
    let mut expect = |command: &str, host, state| {
        expected.insert((command.to_owned(), host), state);
    };
    let running = world.run(&["one"], &[], "first", "0");
    world.until_stands(&running, "one", "running");
    let received = world.quick(&["one"]);
    world.until_stands(&received, "one", "received");
    world.agents[1].process.signal("STOP");
    let sent = world.quick(&["two"]);
    world.until_stands(&sent, "two", "sent");
    let queued = world.quick(&["late"]);
    let every = world.quick(&["one", "two", "late", "never"]);
    for command in [&running, &received] {
        expect(command, "one", "succeeded");
    }
    expect(&sent, "two", "succeeded");
    expect(&queued, "late", "succeeded");
    let backup = world.platform.operate_json(&["backup", "create"]);
    let backup = backup["path"].as_str().expect("a path").to_owned();

    // And then it goes on.
    world.agents[1].process.signal("CONT");
    world.open("first");
    let World {
        platform, agents, ..
    } = &mut world;
    agents[2].restart(platform, "late");
    for (command, host) in [
        (&running, "one"),
        (&received, "one"),
        (&sent, "two"),
        (&queued, "late"),
    ] {
        world.until_stands(command, host, "succeeded");
    }
    let mut forgotten = Vec::new();
    let after = world.quick(&NAMES);
    for name in NAMES {
        expect(&every, name, "succeeded");
        expect(&after, name, "succeeded");
        world.until_stands(&after, name, "succeeded");
        forgotten.push((after.clone(), name));
    }
    let after = world.run(&["two"], &[], "", "3");
    expect(&after, "two", "failed");
    world.until_stands(&after, "two", "failed");
    forgotten.push((after, "two"));
    let cut = world.run(&["two"], &[], "cut", "0");
    expect(&cut, "two", "succeeded");
    world.until_stands(&cut, "two", "running");
    forgotten.push((cut, "two"));
    let lasting = world.run(&["one"], &[], "last", "0");
    world.until_stands(&lasting, "one", "running");
    let behind = world.quick(&["one"]);
    world.until_stands(&behind, "one", "received");
    for command in [lasting, behind] {
        expect(&command, "one", "succeeded");
        forgotten.push((command, "one"));
    }

    // Twice on the same backup: the second store is not the first one, though it begins as that did.
    for round in ["first", "second"] {
        let (restored, made) = world.restore(Path::new(&backup), &dir.path().join(round));
        world = restored;
        for name in NAMES {
            until_status(&world.platform, name, "online");
            expected.insert((made.clone(), name), "succeeded");
        }
        world.open("last");
        world.check(&expected);
        for (command, host) in &forgotten {
            let delivery = world.delivery(command, host).expect("seen");
            assert_eq!(delivery["recovered"], true, "{delivery}");
        }
        world.until_stands(&every, "never", "queued");
        // To the next store it is one of those that it has to hear of.
        forgotten.extend(NAMES.map(|name| (made.clone(), name)));
    }
}
