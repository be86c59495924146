//! The proof of delivery. A real platform and a real agent run commands whose effect is a line in a file,
//! while by a seeded schedule either process is killed and started again or frozen, the link between them
//! is cut or passes one way only, the agent's disk is full for a while, and either clock is moved. At the
//! end no command has had its effect twice, and each is in a final state that its effect bears out.
//!
//! `FLEETWIRE_CHAOS_COMMANDS` says how many (5000), `FLEETWIRE_SEED` repeats a schedule. It mounts a small
//! file system and preloads libfaketime, so that it needs root.

use std::sync::Arc;
use std::time::Instant;

use super::books::Books;
use super::faults::Faults;
use super::ledger::{Ledger, Manner};
use super::lots::Lots;
use super::programs::CONCURRENT;
use super::work::Work;
use super::world::{AT_ONCE, World};

/// Commands where nobody says how many: what CI runs.
const COMMANDS: usize = 5000;
/// Once all are asked for, things go wrong until so few have not ended.
const OPEN_MIN: usize = 20;

#[test]
fn nothing_is_lost_and_nothing_happens_twice() {
    let begun = Instant::now();
    let lots = Lots::seeded();
    let commands = std::env::var("FLEETWIRE_CHAOS_COMMANDS").map_or(COMMANDS, |count| {
        count.parse().expect("FLEETWIRE_CHAOS_COMMANDS is a number")
    });
    let world = Arc::new(World::begin());
    let ledger = Arc::new(Ledger::default());
    let work = Work::begin(&world, &ledger, &lots.branch(1), commands);
    let mut faults = Faults::new(lots.branch(2));
    let books = Books::open(&world.data());
    while !work.is_done() || books.open_deliveries() > OPEN_MIN {
        faults.one(&world);
        work.ended(books.ended());
    }
    work.join();
    world.heal();
    let deliveries = world.until_all_ended(&books);
    let kills = world.agent_kills();
    println!(
        "{commands} commands in {:.0?}; {}",
        begun.elapsed(),
        faults.told()
    );
    let states = ledger.settle(&deliveries, &world.effects(), kills * CONCURRENT);
    println!("{states:?} with {kills} ends of the agent");

    // What the platform says, and counts as under way, is what its file has.
    let said = deliveries.iter();
    let said = said.map(|(id, delivery)| (id.clone(), delivery["state"].as_str().unwrap()));
    assert!(said.eq(books.states()), "the API and the store differ");
    world.until_nothing_is_in_memory();
    books.audit();

    // Neither knows more than it has written, and neither does anything again.
    world.kill_platform(AT_ONCE);
    world.kill_agent(AT_ONCE);
    let effects = world.effects();
    let last = world.one_more(commands);
    ledger.note(commands, last, Manner::Plain);
    assert_eq!(world.effects()[..effects.len()], effects);
    let mut after = world.until_all_ended(&books);
    ledger.settle(&after, &world.effects(), kills * CONCURRENT);
    after.retain(|id, _| deliveries.contains_key(id));
    assert_eq!(after, deliveries, "something changed after its end");
}
