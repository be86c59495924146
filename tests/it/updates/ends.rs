//! How an update ends, where nobody ends a process from outside.

use super::*;

#[test]
fn a_signed_agent_takes_the_place_of_the_one_that_runs() {
    let world = World::start(60);
    let old = fs::read(world.executable()).expect("there");
    let new = world.new_agent(&[]);
    let process = world.agent.id();
    let command = world.asked(&new, NEW);
    let delivery = world.ended(&command);
    is_end(&delivery, "succeeded", "");
    let result = &delivery["agent_update"];
    assert_eq!(result["version_before"], VERSION);
    assert_eq!(result["version_after"], NEW);
    assert!(
        result["execution_time"]
            .as_f64()
            .is_some_and(|seconds| seconds > 0.0)
    );
    assert_eq!(world.sees(), format!("fleetwire-agent/{NEW}"));
    assert_eq!(world.agent.id(), process);
    // It is the same process, and not one that another waits for.
    let runs = fs::read_link(format!("/proc/{process}/exe")).expect("it runs");
    assert_eq!(runs, fs::canonicalize(world.executable()).expect("there"));
    assert!(fs::read(world.executable()).expect("there") == fs::read(&new).expect("there"));
    let mode = fs::metadata(world.executable())
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
    assert!(fs::read(world.path("bin/fleetwire-agent.previous")).expect("kept") == old);
    let record = world.record().expect("remembered");
    assert_eq!(
        (record.standing, record.command),
        (Standing::Settled, command)
    );

    // Once more there is nothing to do, and back only with the owner's word.
    let again = world.ended(&world.asked(&new, NEW));
    is_end(&again, "succeeded", "");
    assert_eq!(again["agent_update"]["version_before"], NEW);
    let older = world.written(&old);
    let refused = world.ended(&world.asked(&older, VERSION));
    is_end(&refused, "dead", "version_older");
    assert_eq!(world.agent.id(), process);
}

#[test]
fn what_the_owners_keys_have_not_signed_is_refused() {
    let world = World::start(60);
    let old = fs::read(world.executable()).expect("there");
    let new = world.new_agent(&[]);
    let by_another = world.signature("other.pem", &new, NEW);
    let for_another_version = world.signature("key.pem", &new, "9.9.8");
    let for_another_file = world.signature("key.pem", &world.executable(), NEW);
    for signature in [by_another, for_another_version, for_another_file] {
        let delivery = world.ended(&world.asked_with(&new, NEW, &signature));
        is_end(&delivery, "dead", "signature_invalid");
        let detail = delivery["delivery"]["detail"].as_str().expect("text");
        assert!(detail.contains("commands.agent_update"), "{detail}");
    }
    world.is_as_before(&old);
    assert_eq!(world.record(), None);
}

#[test]
fn other_bytes_than_were_signed_are_not_taken() {
    let mut world = World::start(60);
    let old = fs::read(world.executable()).expect("there");
    world.agent.end();
    until_status(&world.platform, "kvm", "offline");
    let command = world.asked(&world.new_agent(&[]), NEW);
    // The platform itself, or its disk, means harm.
    let blobs = fs::read_dir(world.platform.data_dir().join("files")).expect("there");
    let blob = blobs.last().expect("a file").expect("read").path();
    let mut bytes = fs::read(&blob).expect("there");
    bytes[5000] ^= 1;
    fs::write(&blob, bytes).expect("written");
    world.restart();
    is_end(&world.ended(&command), "failed", "hash_mismatch");
    world.is_as_before(&old);
}

#[test]
fn what_fails_its_trial_is_not_taken() {
    let world = World::start(3);
    let old = fs::read(world.executable()).expect("there");
    let process = world.agent.id();
    for (script, words) in [
        (
            "#!/bin/sh\necho broken >&2\nexit 3\n",
            "exited with 3: broken",
        ),
        ("#!/bin/sh\nkill -s SEGV $$\n", "signal 11"),
        ("#!/bin/sh\nexit 0\n", "does not say"),
        ("#!/bin/sh\nexec sleep 600\n", "in time"),
        ("no program at all", "cannot be started"),
    ] {
        let new = world.written(script.as_bytes());
        let delivery = world.ended(&world.asked(&new, NEW));
        is_end(&delivery, "failed", "trial_failed");
        let detail = delivery["delivery"]["detail"].as_str().expect("text");
        assert!(detail.contains(words), "{words}: {detail}");
        world.is_as_before(&old);
    }
    // One that says another version of itself than was signed.
    let new = world.changed(&[]);
    fs::write(&new, [fs::read(&new).expect("there"), vec![0]].concat()).expect("written");
    let delivery = world.ended(&world.asked(&new, NEW));
    is_end(&delivery, "failed", "trial_failed");
    world.is_as_before(&old);
    assert_eq!(world.agent.id(), process);
    assert_eq!(world.record(), None);
}

#[test]
fn one_that_fails_in_its_place_makes_way_for_the_one_before() {
    let world = World::start(60);
    let old = fs::read(world.executable()).expect("there");
    let process = world.agent.id();
    // It takes a folder for its journal, which a trial does not come to.
    let new = world.new_agent(&[("commands.journal", "././././././././")]);
    let command = world.asked(&new, NEW);
    let delivery = world.ended(&command);
    is_end(&delivery, "failed", "rolled_back");
    let detail = delivery["delivery"]["detail"].as_str().expect("text");
    assert!(detail.contains("journal"), "{detail}");
    assert_eq!(delivery["agent_update"]["version_after"], VERSION);
    world.is_as_before(&old);
    assert_eq!(world.agent.id(), process);
    let record = world.record().expect("remembered");
    assert_eq!(record.standing, Standing::RolledBack);
}
