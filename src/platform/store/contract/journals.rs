//! What every store must do about agents' journals: one of the two may have been put back to an older state.

use super::super::commands::*;
use super::super::deliveries::*;
use super::deliveries::{apply, command, create, due, ended, hosts, state};
use super::*;
use crate::ids::Uuid;

contract!(
    a_journal_that_is_lost_interrupts,
    a_journal_that_was_put_back_interrupts_what_it_forgot,
    a_store_that_was_put_back_is_told_what_agents_know,
);

fn claim(epoch: Option<Uuid>, sequence: u64, reported: bool) -> JournalClaim {
    JournalClaim {
        epoch,
        sequence,
        reported,
    }
}

async fn a_journal_that_is_lost_interrupts(open: Open<'_>) {
    let store = open();
    let host = hosts(&*store, 1).await[0];
    let epoch = Some(store.epoch());
    let sync = async |claim| {
        store
            .sync_journal(host, claim, at(5))
            .await
            .expect("synced")
    };
    let ids = [
        create(&*store, &command(&[host])).await,
        create(&*store, &command(&[host])).await,
    ];
    apply(&*store, ids[0], host, Step::Sent { once: false }).await;
    // It never had one: what was sent did not arrive.
    assert!(sync(claim(None, 0, false)).await, "it is told the epoch");
    assert!(!sync(claim(epoch, 0, true)).await);
    assert_eq!(due(&*store, host, at(5)).await, [(ids[0], 1), (ids[1], 2)]);
    for id in ids {
        apply(&*store, id, host, Step::Sent { once: false }).await;
    }
    apply(&*store, ids[1], host, Step::Received).await;
    assert!(!sync(claim(epoch, 2, false)).await);
    assert!(sync(claim(None, 0, false)).await);
    let lost = (DeliveryState::Interrupted, "journal_lost".to_owned());
    for id in ids {
        assert_eq!(state(&*store, id, host).await, lost, "nobody knows");
    }
    // It has said what it knows, which is nothing, or it is asked again.
    assert!(sync(claim(epoch, 0, false)).await);
    assert!(!sync(claim(epoch, 0, true)).await);
    assert!(!sync(claim(epoch, 0, false)).await);
    let beyond = store.sync_journal(host, claim(epoch, u64::MAX, false), at(5));
    assert!(beyond.await.is_err());
}

async fn a_journal_that_was_put_back_interrupts_what_it_forgot(open: Open<'_>) {
    let store = open();
    let host = hosts(&*store, 1).await[0];
    let mut ids = Vec::new();
    for step in [
        Step::Received,
        Step::Received,
        Step::Running,
        Step::Sent { once: false },
    ] {
        let id = create(&*store, &command(&[host])).await;
        apply(&*store, id, host, step).await;
        ids.push(id);
    }
    let epoch = Some(store.epoch());
    let report = store
        .sync_journal(host, claim(epoch, 1, false), at(5))
        .await;
    assert_eq!(report, Ok(false));
    let back = (DeliveryState::Interrupted, "journal_rolled_back".to_owned());
    assert_eq!(
        state(&*store, ids[0], host).await.0,
        DeliveryState::Received
    );
    assert_eq!(state(&*store, ids[1], host).await, back);
    assert_eq!(state(&*store, ids[2], host).await, back);
    assert_eq!(
        state(&*store, ids[3], host).await.0,
        DeliveryState::Sent,
        "it may be on its way"
    );
}

async fn a_store_that_was_put_back_is_told_what_agents_know(open: Open<'_>) {
    let store = open();
    let host = hosts(&*store, 1).await[0];
    let before = Some(Uuid::from_u128(1));
    let ids = [
        create(&*store, &command(&[host])).await,
        create(&*store, &command(&[host])).await,
    ];
    let sync = async |claim| {
        store
            .sync_journal(host, claim, at(5))
            .await
            .expect("synced")
    };
    assert!(sync(claim(before, 7, false)).await);
    // Its 1 and 2 may be other commands.
    assert_eq!(due(&*store, host, at(5)).await, [(ids[0], 8), (ids[1], 9)]);
    let unknown = NewCommand {
        user: "agent".to_owned(),
        expires: None,
        ..command(&[])
    };
    let reported = |command: &NewCommand, sequence, step| Reported {
        command: command.clone(),
        sequence,
        step,
    };
    let known = NewCommand {
        id: ids[0],
        ..command(&[])
    };
    let reports = vec![
        reported(&unknown, 5, Step::Running),
        reported(&known, 8, ended(DeliveryState::Succeeded)),
        reported(&known, 8, Step::Received),
    ];
    let applied = store.recover(host, reports, at(6)).await.expect("taken in");
    use Applied::{Made, Unchanged};
    use DeliveryState::{Running, Succeeded};
    assert_eq!(
        applied,
        [Made(Running), Made(Succeeded), Unchanged(Succeeded)]
    );
    let detail = store
        .delivery(unknown.id, host)
        .await
        .expect("read")
        .expect("there");
    assert!(detail.record.recovered);
    assert_eq!(
        (detail.record.user.as_str(), detail.record.sequence),
        ("agent", 5)
    );
    let counts = store
        .command(unknown.id)
        .await
        .expect("read")
        .expect("there")
        .counts;
    assert_eq!((counts.of(Running), counts.total()), (1, 1));
    assert!(
        sync(claim(Some(store.epoch()), 7, false)).await,
        "it had not finished"
    );
    assert!(!sync(claim(Some(store.epoch()), 7, true)).await);
    let audit = store.audit_after(0, 100).await.expect("read").entries;
    let found = audit.iter().filter(|e| e.entry.action == "command.recover");
    assert_eq!(found.count(), 1);
    // One that went back without anybody's noticing: its places stay, as they may be known.
    assert!(sync(claim(Some(store.epoch()), 20, false)).await);
    assert_eq!(due(&*store, host, at(5)).await, [(ids[1], 9)]);
    let next = create(&*store, &command(&[host])).await;
    assert_eq!(due(&*store, host, at(5)).await, [(ids[1], 9), (next, 21)]);
    drop(store);
    let epoch = open().epoch();
    assert_eq!(open().epoch(), epoch, "it stays what it is");
}
