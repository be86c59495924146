//! What every store must say to whoever watches over the fleet.

use super::super::commands::*;
use super::super::deliveries::*;
use super::super::watch::*;
use super::super::waves::Plan;
use super::deliveries::{apply, command, create, ended, hosts};
use super::*;

contract!(
    hosts_that_were_changed_are_told_once,
    hosts_are_read_in_an_order_that_stays,
    what_waits_is_told_of_hosts_for_which_it_does,
);

async fn hosts_that_were_changed_are_told_once(open: Open<'_>) {
    let store = open();
    let begun = store.host_changes(None, 10).await.expect("read");
    assert_eq!(begun.hosts, None, "all of them");
    let (one, two) = (HostId::random(random()), HostId::random(random()));
    for (action, host) in [
        ("host.create", one),
        ("host.update", one),
        ("session.open", two),
        ("host.renew", two),
    ] {
        store
            .audit(audit(action).host(host))
            .await
            .expect("written");
    }
    let after = Some(begun.head);
    let changed = store.host_changes(after, 10).await.expect("read");
    let mut hosts = changed.hosts.expect("known");
    hosts.sort();
    let mut expected = vec![one, two];
    expected.sort();
    assert_eq!(hosts, expected);
    let more = store.host_changes(after, 1).await.expect("read");
    assert_eq!(more.hosts, None, "more than were asked for");
    let none = store.host_changes(Some(changed.head), 10).await;
    assert_eq!(none.expect("read").hosts, Some(Vec::new()));
    // What was removed may have been anything.
    let removed = store.audit_remove(at(1), 100, at(2)).await;
    assert!(removed.expect("removed") > 0);
    let unknown = store.host_changes(after, 10).await.expect("read");
    assert_eq!(unknown.hosts, None);
}

async fn hosts_are_read_in_an_order_that_stays(open: Open<'_>) {
    let store = open();
    let mut hosts = hosts(&*store, 5).await;
    hosts.sort_by_key(HostId::to_string);
    let read = async |after, count| {
        let found = store.hosts_by_id(after, count).await.expect("read");
        let ids = found.into_iter().map(|entry| entry.record.id);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(read(None, 10).await, hosts);
    assert_eq!(read(None, 2).await, hosts[..2]);
    assert_eq!(read(Some(hosts[1]), 2).await, hosts[2..4]);
    assert_eq!(read(Some(hosts[4]), 2).await, []);
}

async fn what_waits_is_told_of_hosts_for_which_it_does(open: Open<'_>) {
    let store = open();
    let hosts = hosts(&*store, 4).await;
    let query = WaitingQuery {
        after: 0,
        count: 10,
        depth_max: 2,
        age: true,
        now: at(50),
    };
    let waiting = async |query| {
        let found = store.waiting(query).await.expect("read");
        let found = found.into_iter();
        found
            .map(|of| (of.host, of.depth, of.since))
            .collect::<Vec<_>>()
    };
    assert_eq!(waiting(query).await, []);
    for second in [30, 20, 40] {
        let later = NewCommand {
            created: at(second),
            ..command(&hosts[..1])
        };
        create(&*store, &later).await;
    }
    let sent = create(&*store, &command(&hosts[1..2])).await;
    apply(&*store, sent, hosts[1], Step::Sent { once: false }).await;
    let scheduled = NewCommand {
        not_before: Some(at(60)),
        ..command(&hosts[2..3])
    };
    create(&*store, &scheduled).await;
    let in_window = NewCommand {
        plan: Plan {
            in_window: true,
            ..Plan::default()
        },
        priority: Priority::High,
        ..command(&hosts[3..])
    };
    create(&*store, &in_window).await;
    // Counted no further than is asked, and since the first that may be sent: in the order in which they came.
    let expected = [
        (hosts[0], 2, Some(at(30))),
        (hosts[2], 1, None),
        (hosts[3], 1, None),
    ];
    assert_eq!(waiting(query).await, expected);
    let first = WaitingQuery { count: 1, ..query };
    let page = store.waiting(first).await.expect("read");
    let rest = WaitingQuery {
        after: page[0].place,
        ..query
    };
    assert_eq!(waiting(rest).await, expected[1..]);
    let then = WaitingQuery {
        now: at(61),
        depth_max: 0,
        ..query
    };
    assert_eq!(waiting(then).await[1], (hosts[2], 0, Some(at(60))));
    let ageless = WaitingQuery {
        age: false,
        ..query
    };
    assert_eq!(waiting(ageless).await[0], (hosts[0], 2, None));

    assert_eq!(store.dead_letters(9).await, Ok(0));
    apply(&*store, sent, hosts[1], ended(DeliveryState::Dead)).await;
    assert_eq!(store.dead_letters(9).await, Ok(1));
    store.expire(at(1000), 10).await.expect("expired");
    assert_eq!(store.dead_letters(2).await, Ok(2));
    assert_eq!(waiting(query).await, []);
}
