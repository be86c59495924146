//! Files that arrive, whatever happens on the way.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::support::until;

const SIZE: usize = 64 * MIB;
const PART: usize = 20 * MIB;

#[test]
fn a_large_file_goes_there_and_back() {
    let world = World::start();
    let bytes = world.sample("local", SIZE);
    let (local, remote) = (world.text("local"), world.text("in/deep"));
    fs::create_dir(world.path("in/deep")).expect("made");
    let remote = format!("{remote}/firmware.bin");
    let put = world.ran(&[
        "files", "put", "kvm", &local, &remote, "--mode", "0640", "--wait",
    ]);
    put.succeeded();
    assert_eq!(fs::read(&remote).expect("there"), bytes);
    let mode = fs::metadata(&remote).expect("there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    assert_eq!(names(&world.path("in/deep")), ["firmware.bin"]);

    // The platform has it: a second host would get it without another upload.
    let files = world.files();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(files[0]["complete"], true);
    let again = world.text("in/again");
    world
        .ran(&["files", "put", "kvm", &local, &again, "--wait"])
        .succeeded();
    assert_eq!(world.files().len(), 1);

    fs::copy(&remote, world.path("out/back.bin")).expect("copied");
    let back = world.text("back.bin");
    world
        .ran(&["files", "get", "kvm", &world.text("out/back.bin"), &back])
        .succeeded();
    assert_eq!(fs::read(&back).expect("there"), bytes);
    assert_eq!(world.files().len(), 1, "what was taken is not kept");
    let id = files[0]["id"].as_str().expect("an id");
    world.ran(&["files", "delete", id, "--yes"]).succeeded();
    assert!(world.files().is_empty());
    assert!(names(&world.data.path().join("files")).is_empty());
}

#[test]
fn an_empty_file_is_a_file() {
    let world = World::start();
    world.sample("empty", 0);
    let remote = world.text("in/empty");
    world
        .ran(&[
            "files",
            "put",
            "kvm",
            &world.text("empty"),
            &remote,
            "--wait",
        ])
        .succeeded();
    assert_eq!(fs::read(&remote).expect("there"), b"");
    fs::copy(&remote, world.path("out/empty")).expect("copied");
    let back = world.text("back");
    world
        .ran(&["files", "get", "kvm", &world.text("out/empty"), &back])
        .succeeded();
    assert_eq!(fs::read(&back).expect("there"), b"");
}

#[test]
fn a_cut_link_goes_on_where_it_was_both_ways() {
    let world = World::start();
    let bytes = world.sample("local", SIZE);
    let (local, remote) = (world.text("local"), world.text("in/file"));
    let before = world.relay.passed();
    world.relay.hold_after(PART);
    let put = world.begun(&["files", "put", "kvm", &local, &remote, "--wait"]);
    world.relay.until_held();
    world.relay.cut();
    Ran::of(&put.wait_with_output().expect("ended")).succeeded();
    assert_eq!(fs::read(&remote).expect("there"), bytes);
    let passed = world.relay.passed() - before;
    assert!(passed < 2 * SIZE as u64, "{passed} bytes for {SIZE}");

    fs::copy(&remote, world.path("out/file")).expect("copied");
    let (from, back) = (world.text("out/file"), world.text("back"));
    let before = world.relay.passed();
    world.relay.hold_after(PART);
    let get = world.begun(&["files", "get", "kvm", &from, &back]);
    world.relay.until_held();
    world.relay.cut();
    Ran::of(&get.wait_with_output().expect("ended")).succeeded();
    assert_eq!(fs::read(&back).expect("there"), bytes);
    let passed = world.relay.passed() - before;
    assert!(passed < 2 * SIZE as u64, "{passed} bytes for {SIZE}");
}

#[test]
fn a_platform_that_is_killed_goes_on_both_ways() {
    let mut world = World::start();
    let bytes = world.sample("local", SIZE);
    let (local, remote) = (world.text("local"), world.text("in/file"));
    let before = world.relay.passed();
    world.relay.hold_after(PART);
    world
        .ran(&["files", "put", "kvm", &local, &remote])
        .succeeded();
    world.relay.until_held();
    world.restart_platform();
    until("the file", || fs::metadata(&remote).ok());
    assert_eq!(fs::read(&remote).expect("there"), bytes);
    let passed = world.relay.passed() - before;
    assert!(passed < 2 * SIZE as u64, "{passed} bytes for {SIZE}");

    fs::copy(&remote, world.path("out/file")).expect("copied");
    let before = world.relay.passed();
    world.relay.hold_after(PART);
    let (from, back) = (world.text("out/file"), world.text("back"));
    let parameters = format!(r#"{{"direction": "from_host", "path": "{from}"}}"#);
    let created = world.create(&parameters);
    world.relay.until_held();
    world.restart_platform();
    let file = until("the file", || {
        let files = world.files();
        let of = |file: &&Value| file["command_id"] == *created && file["complete"] == true;
        files.iter().find(of).cloned()
    });
    let passed = world.relay.passed() - before;
    assert!(passed < 2 * SIZE as u64, "{passed} bytes for {SIZE}");
    let id = file["id"].as_str().expect("an id");
    world
        .ran(&["files", "read", id, "--output", &back])
        .succeeded();
    assert_eq!(fs::read(&back).expect("there"), bytes);
    until("the command's end", || {
        let command = world.platform.operate_json(&["command", "get", &created]);
        (command["summary"]["succeeded"] == 1).then_some(())
    });
}

#[test]
fn an_agent_that_is_killed_leaves_what_another_command_takes_up() {
    let mut world = World::start();
    let bytes = world.sample("local", SIZE);
    let (local, remote) = (world.text("local"), world.text("in/file"));
    world.relay.hold_after(PART);
    let put = world.begun(&["files", "put", "kvm", &local, &remote, "--wait"]);
    world.relay.until_held();
    // What is written of it, it has.
    until("a part on the disk", || {
        let partial = names(&world.path("in")).pop()?;
        let length = fs::metadata(world.path("in").join(partial)).ok()?.len();
        (length > 10 * MIB as u64).then_some(())
    });
    world.agent.process.signal("KILL");
    world.agent.process.ended();
    world.relay.cut();
    let url = world.relay.url();
    world.agent.restart_at(&url, "kvm");
    Ran::of(&put.wait_with_output().expect("ended")).failed(&["interrupted"]);
    assert!(fs::metadata(&remote).is_err(), "it has no name yet");
    let before = world.relay.passed();
    world
        .ran(&["files", "put", "kvm", &local, &remote, "--wait"])
        .succeeded();
    assert_eq!(fs::read(&remote).expect("there"), bytes);
    assert_eq!(names(&world.path("in")), ["file"]);
    let passed = world.relay.passed() - before;
    assert!(
        passed < (SIZE - 8 * MIB) as u64,
        "{passed} bytes for the rest"
    );
}

impl World {
    /// Kills the platform and starts another on its data.
    fn restart_platform(&mut self) {
        self.platform.process.signal("KILL");
        self.platform.process.ended();
        self.platform = Platform::start_on(self.data.path(), &[]);
        self.relay.lead_to(self.platform.tls);
        self.relay.cut();
    }

    /// Asks the host for a transfer with these parameters, and answers the command's id.
    pub(super) fn create(&self, parameters: &str) -> String {
        let parameters: Value = serde_json::from_str(parameters).expect("JSON");
        let body = serde_json::json!({
            "targets": {"hosts": ["kvm"]}, "file_transfer": parameters
        });
        let made = self.post("/api/commands", &body).expect("made");
        made["command_id"].as_str().expect("an id").to_owned()
    }
}
