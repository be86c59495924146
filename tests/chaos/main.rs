//! What the platform and its agents keep through all that can happen to them: kills, cuts, full disks,
//! clocks that move, losses of power.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "a test that cannot go on fails, and one that draws lots prints its seed"
)]

mod agent_power;
#[path = "../support/agents/mod.rs"]
mod agents;
mod api;
mod books;
mod clock;
mod days;
mod disk;
mod faults;
mod ledger;
mod lots;
mod power;
mod programs;
mod proof;
mod record;
mod relay;
#[path = "../it/support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "shared with the other tests, which use the rest"
)]
mod support;
mod work;
mod world;
