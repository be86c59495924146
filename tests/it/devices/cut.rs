//! A link that is lost without a word: no process ends, no socket closes, nothing passes any more.

use crate::{devices::world::World, support::until_status};

#[test]
fn a_link_that_drops_silently_is_noticed_at_both_ends_and_taken_up_again() {
    // Three silent intervals are a dead connection.
    let mut world = World::start_with(&[("FLEETWIRE_PLATFORM_HEARTBEAT", "1s")]);
    world.agent(&["http://127.0.0.1:9"]);
    world.link("down");
    let line = world.agent_line("connection ended");
    assert!(line.contains("peer_silent"), "{line}");
    world.platform.process.line("peer_silent");
    let host = until_status(&world.platform, "kvm", "offline");
    world.agent_line("dialling again");
    world.link("up");
    let again = until_status(&world.platform, "kvm", "online");
    assert_eq!(again["id"], host["id"]);
    assert!(again.get("detail").is_none(), "a return is no clone");
}
