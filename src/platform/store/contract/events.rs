//! What every store must do with events.

use super::*;
use crate::platform::events::{Happening, OfflineReason};

fn online(host: HostId) -> Event {
    event(
        host,
        Happening::HostOnline {
            address: "127.0.0.1:9".to_owned(),
            software: "agent/1".to_owned(),
        },
    )
}

fn event(host: HostId, what: Happening) -> Event {
    Event {
        at: T0,
        host: Some(host),
        actor: String::new(),
        what,
    }
}

fn numbers(page: &EventPage) -> Vec<u64> {
    page.events.iter().map(|stored| stored.sequence).collect()
}

pub(super) async fn events_have_their_order_over_restarts(open: Open<'_>) {
    let store = open();
    let (host, other) = (host("a"), HostId::random(random()));
    let mut head = store.event_head();
    assert_eq!(*head.borrow_and_update(), 0);
    assert_eq!(store.events_from(0, 10).await, Ok(EventPage::default()));
    let created = audit("host.create").host(host.id).detail("name", "a");
    store
        .create_host(host.clone(), created.into())
        .await
        .expect("made");
    store
        .put_events(vec![online(host.id), online(other)])
        .await
        .expect("written");
    assert_eq!(*head.borrow_and_update(), 3, "told once committed");
    let page = store.events_from(0, 10).await.expect("read");
    assert_eq!(numbers(&page), [1, 2, 3]);
    assert_eq!((page.oldest, page.newest), (1, 3));
    let first = &page.events[0].event;
    assert_eq!((first.at, first.host), (T0, Some(host.id)));
    assert_eq!(first.actor, "admin");
    let name = "a".to_owned();
    assert_eq!(first.what, Happening::HostCreated { name });
    assert_eq!(page.events[1].event, online(host.id));
    drop(store);

    let store = open();
    assert_eq!(*store.event_head().borrow(), 3);
    let page = store.events_from(2, 1).await.expect("read");
    assert_eq!((numbers(&page), page.newest), (vec![2], 3));
    // Whoever was online when it stopped is not when it starts, and that is told once.
    store
        .put_events(vec![event(
            other,
            Happening::HostOffline {
                reason: OfflineReason::ConnectionEnded,
            },
        )])
        .await
        .expect("written");
    store.hosts_went_offline(at(9)).await.expect("written");
    store.hosts_went_offline(at(10)).await.expect("written");
    let page = store.events_from(5, 10).await.expect("read");
    assert_eq!(numbers(&page), [5]);
    let last = &page.events[0].event;
    assert_eq!((last.host, last.at), (Some(host.id), at(9)));
    let reason = OfflineReason::PlatformStopped;
    assert_eq!(last.what, Happening::HostOffline { reason });
}

pub(super) async fn a_change_that_fails_is_no_event(open: Open<'_>) {
    let store = open();
    let made = |name: &str| {
        let host = host(name);
        let audit = audit("host.create").host(host.id).detail("name", name);
        store.create_host(host, audit.into())
    };
    let (a, again, b) = tokio::join!(made("a"), made("a"), made("b"));
    assert_eq!(a.and(b), Ok(()));
    assert_eq!(again, Err(StoreError::NameTaken));
    let page = store.events_from(0, 10).await.expect("read");
    assert_eq!(numbers(&page), [1, 2], "no gap where it was undone");
    assert_eq!(*store.event_head().borrow(), 2);
}

pub(super) async fn old_events_are_removed_but_for_the_newest(open: Open<'_>) {
    let store = open();
    let write = |seconds: std::ops::Range<u64>| {
        let aged = |second| Event {
            at: at(second),
            ..online(HostId::random(random()))
        };
        store.put_events(seconds.map(aged).collect())
    };
    write(0..10).await.expect("written");
    let span = async || {
        let page = store.events_from(0, 1).await.expect("read");
        (page.oldest, page.newest)
    };
    // By age, then by number, each in steps.
    assert_eq!(store.remove_events(at(4), 100, 3).await, Ok(3));
    assert_eq!(store.remove_events(at(4), 100, 3).await, Ok(1));
    assert_eq!(store.remove_events(at(4), 100, 3).await, Ok(0));
    assert_eq!(span().await, (5, 10));
    assert_eq!(store.remove_events(at(0), 2, 100).await, Ok(4));
    assert_eq!(span().await, (9, 10));
    assert_eq!(store.remove_events(at(1000), 0, 100).await, Ok(1));
    assert_eq!(store.remove_events(at(1000), 0, 100).await, Ok(0));
    assert_eq!(span().await, (10, 10));
    write(20..21).await.expect("written");
    assert_eq!(span().await, (10, 11), "no number is given twice");
}
