//! What every store must do about commands: their end before their time, dead letters, lists.

use super::super::commands::*;
use super::super::deliveries::*;
use super::deliveries::{apply, command, create, due, ended, hosts, state};
use super::*;
use crate::ids::{CommandId, HostId};

contract!(
    what_waits_is_cancelled_and_what_was_sent_is_asked,
    what_waits_too_long_expires,
    dead_letters_are_discarded_and_taken_up_again,
    what_is_looked_for_is_found,
    finished_commands_are_removed,
);

async fn what_waits_is_cancelled_and_what_was_sent_is_asked(open: Open<'_>) {
    let store = open();
    let hosts = hosts(&*store, 4).await;
    let id = create(&*store, &command(&hosts)).await;
    apply(&*store, id, hosts[1], Step::Sent { once: false }).await;
    apply(&*store, id, hosts[2], ended(DeliveryState::Succeeded)).await;
    let cancel = async |hosts: Option<Vec<HostId>>| {
        let change = audit("command.cancel").into();
        store.cancel_command(id, hosts, at(9), change).await
    };
    let some = cancel(Some(vec![hosts[0], hosts[2]]))
        .await
        .expect("cancelled");
    assert_eq!((some.ended, some.requested), (vec![hosts[0]], vec![]));
    let mut all = cancel(None).await.expect("cancelled");
    all.ended.sort();
    assert_eq!((all.ended, all.requested), (vec![hosts[3]], vec![hosts[1]]));
    assert_eq!(
        cancel(None).await,
        Ok(Cancelled::default()),
        "once is enough"
    );
    let under_way = store.under_way(hosts[1], 9).await.expect("read");
    assert!(under_way.deliveries[0].cancel_requested);
    let reason = (DeliveryState::Cancelled, "cancelled".to_owned());
    assert_eq!(state(&*store, id, hosts[3]).await, reason);
    assert!(due(&*store, hosts[0], at(1)).await.is_empty());
    let (change, id) = (audit("command.cancel").into(), CommandId::random(random()));
    let unknown = store.cancel_command(id, None, at(9), change).await;
    assert_eq!(unknown, Err(StoreError::NotFound));
}

async fn what_waits_too_long_expires(open: Open<'_>) {
    let store = open();
    let hosts = hosts(&*store, 3).await;
    let id = create(&*store, &command(&hosts)).await;
    let for_ever = NewCommand {
        expires: None,
        ..command(&hosts)
    };
    create(&*store, &for_ever).await;
    apply(&*store, id, hosts[0], Step::Sent { once: false }).await;
    assert_eq!(store.expire(at(99), 10).await, Ok(Vec::new()));
    let expired = store.expire(at(100), 1).await.expect("expired");
    assert_eq!(expired.len(), 1, "no more than asked for");
    let rest = store.expire(at(100), 10).await.expect("expired");
    let mut all: Vec<_> = expired.into_iter().chain(rest).collect();
    all.sort();
    let mut expected = vec![(id, hosts[1]), (id, hosts[2])];
    expected.sort();
    assert_eq!(all, expected, "what was sent is the agent's to end");
    assert_eq!(store.expire(at(1000), 10).await, Ok(Vec::new()));
    let counts = store
        .command(id)
        .await
        .expect("read")
        .expect("there")
        .counts;
    assert_eq!((counts.of(DeliveryState::Expired), counts.open()), (2, 1));
}

async fn dead_letters_are_discarded_and_taken_up_again(open: Open<'_>) {
    let store = open();
    let hosts = hosts(&*store, 3).await;
    let id = create(&*store, &command(&hosts)).await;
    for host in &hosts[..2] {
        apply(&*store, id, *host, ended(DeliveryState::Dead)).await;
    }
    store.expire(at(100), 10).await.expect("expired");
    let dead = async || {
        let filter = DeliveryFilter {
            dead_letters: true,
            ..DeliveryFilter::default()
        };
        let page = store.deliveries(filter, None, 10).await.expect("read");
        let mut hosts: Vec<_> = page.found.iter().map(|found| found.host).collect();
        hosts.sort();
        hosts
    };
    let sorted = |hosts: &[HostId]| {
        let mut hosts = hosts.to_vec();
        hosts.sort();
        hosts
    };
    assert_eq!(dead().await, sorted(&hosts));
    let discard = async |host| {
        let change = audit("delivery.discard").into();
        store.discard(vec![(id, host)], at(200), change).await
    };
    assert_eq!(discard(hosts[0]).await, Ok(1));
    assert_eq!(discard(hosts[0]).await, Ok(0));
    assert_eq!(dead().await, sorted(&hosts[1..]));

    let again = |hosts: &[HostId]| Redrive {
        command: NewCommand {
            redrive_of: Some(id),
            expires: None,
            ..command(hosts)
        },
        audit: audit("command.create"),
    };
    let redrive = async |redrive: Redrive| {
        let change = audit("delivery.redrive").into();
        store.redrive(vec![redrive], change).await
    };
    let refused = redrive(again(&hosts)).await;
    assert_eq!(
        refused,
        Err(StoreError::VersionChanged),
        "one was discarded"
    );
    assert_eq!(dead().await, sorted(&hosts[1..]), "all of it or none");
    let made = again(&hosts[1..]);
    redrive(made.clone()).await.expect("made");
    assert!(dead().await.is_empty());
    let kept = store
        .command(made.command.id)
        .await
        .expect("read")
        .expect("there");
    assert_eq!((kept.redrive_of, kept.counts.open()), (Some(id), 2));
    let detail = store
        .delivery(id, hosts[1])
        .await
        .expect("read")
        .expect("there");
    assert!(detail.record.discarded);
    let last = detail.history.last().expect("a step");
    assert_eq!(
        (last.state, &*last.reason),
        (DeliveryState::Dead, "redriven")
    );
}

async fn what_is_looked_for_is_found(open: Open<'_>) {
    let store = open();
    let hosts = hosts(&*store, 3).await;
    let one = create(&*store, &command(&hosts[..2])).await;
    let two = NewCommand {
        kind: "inventory".to_owned(),
        user: "bob".to_owned(),
        created: at(10),
        ..command(&hosts[1..])
    };
    let two = create(&*store, &two).await;
    apply(&*store, two, hosts[1], ended(DeliveryState::Failed)).await;
    let commands = async |filter: CommandFilter| {
        let page = store.commands(filter, None, 10).await.expect("read");
        assert_eq!(page.next, None);
        page.found.iter().map(|found| found.id).collect::<Vec<_>>()
    };
    let all = CommandFilter::default;
    assert_eq!(commands(all()).await, [two, one]);
    for (filter, expected) in [
        (
            CommandFilter {
                hosts: Some(vec![hosts[0]]),
                ..all()
            },
            vec![one],
        ),
        (
            CommandFilter {
                hosts: Some(vec![hosts[0], hosts[2]]),
                ..all()
            },
            vec![two, one],
        ),
        (
            CommandFilter {
                hosts: Some(vec![]),
                ..all()
            },
            vec![],
        ),
        (
            CommandFilter {
                states: vec![DeliveryState::Failed],
                ..all()
            },
            vec![two],
        ),
        (
            CommandFilter {
                finished: Some(false),
                ..all()
            },
            vec![two, one],
        ),
        (
            CommandFilter {
                finished: Some(true),
                ..all()
            },
            vec![],
        ),
        (
            CommandFilter {
                user: Some("bob".to_owned()),
                ..all()
            },
            vec![two],
        ),
        (
            CommandFilter {
                kind: Some("script".to_owned()),
                ..all()
            },
            vec![one],
        ),
        (
            CommandFilter {
                since: Some(at(10)),
                ..all()
            },
            vec![two],
        ),
        (
            CommandFilter {
                until: Some(at(10)),
                ..all()
            },
            vec![one],
        ),
    ] {
        assert_eq!(commands(filter.clone()).await, expected, "{filter:?}");
    }
    let page = store.commands(all(), None, 1).await.expect("read");
    let rest = store.commands(all(), page.next, 1).await.expect("read");
    assert_eq!((rest.found[0].id, rest.next), (one, None));

    let deliveries = async |filter: DeliveryFilter| {
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let page = store
                .deliveries(filter.clone(), after, 1)
                .await
                .expect("read");
            assert!(page.found.len() <= 1);
            found.extend(page.found.iter().map(|found| (found.command, found.host)));
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    };
    let all = DeliveryFilter::default;
    for (filter, expected) in [
        (all(), vec![(two, 1), (two, 2), (one, 0), (one, 1)]),
        (
            DeliveryFilter {
                command: Some(one),
                ..all()
            },
            vec![(one, 0), (one, 1)],
        ),
        (
            DeliveryFilter {
                command: Some(CommandId::random(random())),
                ..all()
            },
            vec![],
        ),
        (
            DeliveryFilter {
                hosts: Some(vec![hosts[1]]),
                ..all()
            },
            vec![(two, 1), (one, 1)],
        ),
        (
            DeliveryFilter {
                hosts: Some(vec![hosts[0], hosts[2]]),
                ..all()
            },
            vec![(two, 2), (one, 0)],
        ),
        (
            DeliveryFilter {
                hosts: Some(vec![]),
                ..all()
            },
            vec![],
        ),
        (
            DeliveryFilter {
                states: vec![DeliveryState::Failed],
                ..all()
            },
            vec![(two, 1)],
        ),
        (
            DeliveryFilter {
                kind: Some("inventory".to_owned()),
                ..all()
            },
            vec![(two, 1), (two, 2)],
        ),
        (
            DeliveryFilter {
                reason: Some("because".to_owned()),
                ..all()
            },
            vec![(two, 1)],
        ),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(id, n)| (id, hosts[n])).collect();
        assert_eq!(deliveries(filter.clone()).await, expected, "{filter:?}");
    }
    assert_eq!(store.delivery(one, hosts[2]).await, Ok(None));
}

async fn finished_commands_are_removed(open: Open<'_>) {
    let store = open();
    let hosts = hosts(&*store, 2).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(create(&*store, &command(&hosts)).await);
    }
    for id in &ids[..2] {
        for host in &hosts {
            apply(&*store, *id, *host, ended(DeliveryState::Succeeded)).await;
        }
    }
    apply(&*store, ids[2], hosts[0], ended(DeliveryState::Succeeded)).await;
    assert_eq!(store.remove_commands(at(7), 10).await, Ok(0), "not yet");
    assert_eq!(store.remove_commands(at(8), 1).await, Ok(1));
    assert_eq!(store.remove_commands(at(8), 10).await, Ok(1));
    assert_eq!(
        store.remove_commands(at(8), 10).await,
        Ok(0),
        "one is under way"
    );
    assert_eq!(store.command(ids[0]).await, Ok(None));
    assert_eq!(store.delivery(ids[0], hosts[0]).await, Ok(None));
    let left = store.deliveries(DeliveryFilter::default(), None, 10).await;
    assert_eq!(left.expect("read").found.len(), 2);
}
