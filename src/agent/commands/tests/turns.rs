//! Commands beside one that has to be alone, as an update of the agent has.

use super::*;

#[tokio::test]
async fn nothing_begins_beside_one_that_is_alone() {
    let mut world = World::start().await;
    let lock = world.runs.1.clone();
    let alone = lock.clone().try_write_owned().expect("nothing runs");
    world.command(1, "quick");
    world.received(1).await;
    world.command(2, "hang");
    world.received(2).await;
    // What was begun would be said to run before anything else is said of it.
    world.cancel(1);
    let response = world
        .response(1, CommandStatus::Cancelled, "cancelled")
        .await;
    assert_eq!(response.started_at, None);
    drop(alone);
    world.runs(2).await;
    assert!(lock.try_write().is_err(), "it is waited for");
    world.cancel(2);
    world.response(2, CommandStatus::Cancelled, "").await;
    let all_ended = timeout(PATIENCE, lock.write());
    drop(all_ended.await.expect("none holds on to its turn"));
    assert_eq!(world.begun(), ["c2"]);
}

#[tokio::test]
async fn who_wants_to_be_alone_waits_for_what_has_begun_alone() {
    let mut world = World::start().await;
    let lock = world.runs.1.clone();
    world.command(1, "hang");
    world.received(1).await;
    world.runs(1).await;
    let alone = tokio::spawn(lock.write_owned());
    tokio::task::yield_now().await;
    world.command(2, "quick");
    world.received(2).await;
    world.cancel(1);
    world.response(1, CommandStatus::Cancelled, "").await;
    let alone = timeout(PATIENCE, alone)
        .await
        .expect("in time")
        .expect("it is");
    world.cancel(2);
    let response = world
        .response(2, CommandStatus::Cancelled, "cancelled")
        .await;
    assert_eq!(response.started_at, None);
    drop(alone);
}
