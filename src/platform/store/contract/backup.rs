//! What a store must do that offers copies of itself. One that offers none is backed up by other means.

use super::super::deliveries::*;
use super::deliveries::{command, create, due, hosts};
use super::*;
use crate::ids::Uuid;

contract!(
    anywhere: a_copy_goes_on_as_a_store_that_was_put_back,
    a_copy_takes_the_place_of_nothing,
);

async fn a_copy_goes_on_as_a_store_that_was_put_back(open: OpenIn<'_>) {
    let [own, other] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
    let store = open(own.path());
    let Some(copies) = store.copies() else { return };
    let host = hosts(&*store, 1).await[0];
    let before = create(&*store, &command(&[host])).await;
    let epoch = store.epoch();
    copies
        .copy_into(other.path().to_owned())
        .await
        .expect("copied");
    let after = create(&*store, &command(&[host])).await;
    let names = std::fs::read_dir(other.path()).expect("read").flatten();
    let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    assert!(
        !names.is_empty() && names.iter().all(|name| copies.owns(name)),
        "{names:?}"
    );
    for beside in ["ca.key", "audit.key", "admin-token", "state"] {
        assert!(!copies.owns(beside.as_ref()), "{beside}");
    }

    // What it was copied from knows nothing of it, at its next start neither.
    assert_eq!(store.epoch(), epoch);
    drop(store);
    let store = open(own.path());
    assert_eq!(store.epoch(), epoch);
    assert!(store.command(after).await.expect("read").is_some());

    let copy = open(other.path());
    let begun = copy.epoch();
    assert_ne!(begun, epoch, "agents are asked what they know");
    copy.check().await.expect("it can be written");
    assert!(copy.command(after).await.expect("read").is_none());
    let kept = copy
        .delivery(before, host)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(kept.record.epoch, epoch, "in which it was given its place");
    assert_eq!(due(&*copy, host, at(1)).await, [(before, 1)]);
    let asked = copy.sync_journal(host, claim(epoch, 2), at(1)).await;
    assert_eq!(asked, Ok(true), "it knows of one more than the copy");
    // Its places are above what the agent had.
    let next = create(&*copy, &command(&[host])).await;
    let due = due(&*copy, host, at(2)).await;
    assert_eq!(due, [(before, 1), (next, 3)]);
    drop(copy);
    assert_eq!(open(other.path()).epoch(), begun, "it was put back once");
}

fn claim(epoch: Uuid, sequence: u64) -> JournalClaim {
    JournalClaim {
        epoch: Some(epoch),
        sequence,
        reported: false,
    }
}

async fn a_copy_takes_the_place_of_nothing(open: OpenIn<'_>) {
    let [own, other] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
    let store = open(own.path());
    let Some(copies) = store.copies() else { return };
    let there = open(other.path());
    let hosts = hosts(&*there, 2).await;
    assert!(copies.copy_into(other.path().to_owned()).await.is_err());
    drop(there);
    let there = open(other.path()).hosts().await.expect("read");
    assert_eq!(there.len(), hosts.len());
}
