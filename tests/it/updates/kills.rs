//! Processes that are killed in the middle of an update, as the power does it: whoever starts what is in the
//! agent's place has an agent that connects.

use fleetwire::agent::update::Subject;
use fleetwire::agent::update::swap::{self, STARTS_MAX};
use fleetwire::clock::UnixMillis;

use super::*;

#[test]
fn an_agent_runs_whenever_the_one_before_was_killed() {
    for line in [
        "a new agent is tried",
        "the new agent takes over",
        IS_NEW,
        "the new agent stays",
    ] {
        let mut world = World::start(60);
        let new = world.new_agent(&[]);
        let command = world.asked(&new, NEW);
        world.agent.line(line);
        world.agent.signal("KILL");
        world.agent.ended();
        world.restart();
        let delivery = world.ended(&command);
        let state = delivery["delivery"]["state"].as_str().expect("a state");
        let reason = delivery["delivery"]["reason"].as_str().unwrap_or_default();
        let runs_new =
            fs::read(world.executable()).expect("there") == fs::read(&new).expect("there");
        let version = if runs_new { NEW } else { VERSION };
        assert_eq!(world.sees(), format!("fleetwire-agent/{version}"), "{line}");
        // What it says is what is so.
        match (state, reason) {
            ("succeeded", _) => assert!(runs_new, "{line}"),
            ("failed", "not_swapped") | ("interrupted", _) => assert!(!runs_new, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
        assert!(
            !world.path("bin/.fleetwire-agent.update").exists(),
            "{line}"
        );
    }
}

#[test]
fn one_that_is_never_welcomed_has_so_many_starts() {
    let mut world = World::start(600);
    let old = fs::read(world.executable()).expect("there");
    world.agent.end();
    let new = world.new_agent(&[]);
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("set");
    let executable = world.executable();
    let subject = Subject {
        command: "unknown".to_owned(),
        version: NEW.to_owned(),
        sha256: swap::hash(&new).expect("read"),
        executable: fs::canonicalize(&executable).expect("there"),
        begun: UnixMillis::now(),
    };
    let swap = swap::Swap {
        folder: world.path("state"),
        subject,
        staged: new,
    };
    for step in swap::STEPS {
        swap.perform(step).expect("done");
    }
    // Nobody is there to welcome it.
    world.platform.process.signal("STOP");
    for _ in 0..STARTS_MAX {
        world.restart();
        world.agent.line(IS_NEW);
        world.agent.signal("KILL");
        world.agent.ended();
    }
    world.restart();
    world.agent.line("the agent of before comes back");
    world.platform.process.signal("CONT");
    until("the agent of before", || {
        (world.sees() == format!("fleetwire-agent/{VERSION}")).then_some(())
    });
    world.is_as_before(&old);
    assert_eq!(
        world.record().expect("remembered").standing,
        Standing::RolledBack
    );
}

#[test]
fn one_that_is_not_welcomed_in_time_makes_way_without_anybodys_help() {
    let mut world = World::start(2);
    let old = fs::read(world.executable()).expect("there");
    world.agent.end();
    let new = world.new_agent(&[]);
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("set");
    let subject = Subject {
        command: "unknown".to_owned(),
        version: NEW.to_owned(),
        sha256: swap::hash(&new).expect("read"),
        executable: fs::canonicalize(world.executable()).expect("there"),
        begun: UnixMillis::now(),
    };
    let swap = swap::Swap {
        folder: world.path("state"),
        subject,
        staged: new,
    };
    for step in swap::STEPS {
        swap.perform(step).expect("done");
    }
    world.platform.process.signal("STOP");
    world.restart();
    world.agent.line("the agent of before comes back");
    world.platform.process.signal("CONT");
    until("the agent of before", || {
        (world.sees() == format!("fleetwire-agent/{VERSION}")).then_some(())
    });
    world.is_as_before(&old);
}
