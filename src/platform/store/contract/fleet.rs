//! What every store must do about the fleet in numbers.

use super::super::commands::NewCommand;
use super::super::deliveries::{DeliveryState, Step};
use super::super::fleet::FleetCounts;
use super::super::groups::{HostChange, NewGroup};
use super::deliveries::{apply, command, create, ended, hosts};
use super::*;
use crate::ids::GroupId;
use crate::platform::identity::Grants;

contract!(the_fleet_is_counted_as_far_as_it_is_seen);

async fn the_fleet_is_counted_as_far_as_it_is_seen(open: Open<'_>) {
    let store = open();
    let all = async || store.fleet(Grants::All).await.expect("counted");
    assert_eq!(all().await, FleetCounts::default());
    let hosts = hosts(&*store, 4).await;
    let (group, other) = (GroupId::random(random()), GroupId::random(random()));
    for (id, name) in [(group, "mine"), (other, "mine-too")] {
        let new = NewGroup {
            id,
            name: name.parse().expect("a name"),
            description: String::new(),
            at: T0,
        };
        let made = store.create_group(new, audit("group.create").into());
        made.await.expect("made");
    }
    // One host is in both groups, and is one host still.
    for (host, groups) in [(hosts[0], vec![group, other]), (hosts[1], vec![group])] {
        let change = HostChange {
            name: None,
            labels: None,
            groups: Some(groups.into_iter().collect()),
        };
        let changed = store.update_host(host, None, change, audit("host.update"));
        changed.await.expect("changed");
    }
    let mine = Grants::Groups([group, other].into_iter().collect());
    let seen = async || store.fleet(mine.clone()).await.expect("counted");
    let everywhere = command(&hosts);
    create(&*store, &everywhere).await;
    let elsewhere = NewCommand {
        id: crate::ids::CommandId::random(random()),
        ..command(&hosts[2..3])
    };
    create(&*store, &elsewhere).await;
    assert_eq!(
        (all().await, seen().await),
        (
            FleetCounts {
                hosts: 4,
                commands: 2,
                under_way: [5, 0, 0, 0],
                ..FleetCounts::default()
            },
            FleetCounts {
                hosts: 2,
                commands: 1,
                under_way: [2, 0, 0, 0],
                ..FleetCounts::default()
            }
        )
    );
    let id = everywhere.id;
    apply(&*store, id, hosts[0], Step::Running).await;
    for host in [hosts[1], hosts[2]] {
        apply(&*store, id, host, ended(DeliveryState::Dead)).await;
    }
    let (of_all, of_mine) = (all().await, seen().await);
    assert_eq!((of_all.dead_letters, of_mine.dead_letters), (2, 1));
    assert_eq!(of_all.under_way.iter().sum::<u64>(), 3);
    assert_eq!(of_mine.under_way.iter().sum::<u64>(), 1);
    assert_eq!((of_all.commands, of_mine.commands), (2, 1));
    // Who sees to a dead letter changes a number that others look at: so it is an event.
    let head = *store.event_head().borrow();
    let change = audit("delivery.discard").into();
    let discarded = store.discard(vec![(id, hosts[1])], at(9), change).await;
    assert_eq!(discarded, Ok(1));
    assert_eq!(
        (all().await.dead_letters, seen().await.dead_letters),
        (1, 0)
    );
    let told = store.events_from(head + 1, 9).await.expect("read").events;
    assert!(told.iter().any(|stored| stored.event.host == Some(hosts[1])
        && stored.event.actor == "admin"
        && stored.event.what.to_texts()[2] == "discarded"));
    for host in &hosts[..2] {
        apply(&*store, id, *host, ended(DeliveryState::Succeeded)).await;
    }
    let none = FleetCounts {
        hosts: 2,
        ..FleetCounts::default()
    };
    assert_eq!(
        seen().await,
        none,
        "what is left is on hosts that are not seen"
    );
    assert_eq!(
        store.fleet(Grants::Groups(Default::default())).await,
        Ok(FleetCounts::default())
    );
}
