//! What every store must do about waves, windows, and hosts that are not waited for.

use std::time::Duration;

use super::super::commands::*;
use super::super::deliveries::*;
use super::super::groups::GroupChange;
use super::super::waves::*;
use super::deliveries::{apply, command, create, due, ended, hosts, state};
use super::*;
use crate::ids::{CommandId, HostId};
use crate::platform::windows::Window;

contract!(
    a_wave_begins_when_the_one_before_is_over,
    too_many_failures_pause_a_command_until_it_is_resumed,
    what_is_held_ends_with_its_command,
    a_window_that_closes_has_what_was_not_begun_wait_again,
    what_does_not_wait_for_its_host_is_listed_and_ended,
    windows_are_kept_with_groups,
);

fn waves(hosts: &[HostId], size: u64, failures_max: Option<u64>) -> NewCommand {
    let plan = Plan {
        waves: Some(Waves {
            size,
            pause: Duration::from_secs(5),
            failures_max,
        }),
        ..Plan::default()
    };
    NewCommand {
        plan,
        ..command(hosts)
    }
}

async fn stand(store: &dyn Store, id: CommandId) -> (WaveStand, Option<UnixMillis>) {
    let found = store.command(id).await.expect("read").expect("there");
    (found.waves.expect("it has waves"), found.expires)
}

async fn begin(store: &dyn Store, second: u64) -> Begun {
    store.begin_waves(at(second)).await.expect("begun")
}

/// Ends a delivery at 7 s.
async fn end(store: &dyn Store, id: CommandId, host: HostId, state: DeliveryState) {
    let applied = apply(store, id, host, ended(state)).await;
    assert_eq!(applied, Applied::Made(state));
}

async fn a_wave_begins_when_the_one_before_is_over(open: Open<'_>) {
    use DeliveryState::{Failed, Succeeded};
    let store = open();
    let hosts = hosts(&*store, 5).await;
    let id = create(&*store, &waves(&hosts, 2, None)).await;
    let (first, expires) = stand(&*store, id).await;
    assert_eq!((first.current, first.total, first.held), (1, 3, 3));
    assert_eq!((first.next, expires), (None, Some(at(100))));
    // What is held has no place yet: what comes meanwhile goes before it.
    assert!(due(&*store, hosts[2], at(1)).await.is_empty());
    let held = apply(&*store, id, hosts[2], Step::Sent { once: false }).await;
    assert_eq!(held, Applied::Unchanged(DeliveryState::Queued));
    let other = create(&*store, &command(&hosts[2..3])).await;
    end(&*store, id, hosts[0], Failed).await;
    assert_eq!(begin(&*store, 1000).await.hosts, [], "one has not ended");
    end(&*store, id, hosts[1], Succeeded).await;
    drop(store);

    let store = open();
    assert_eq!(stand(&*store, id).await.0.next, Some(at(12)));
    let begun = begin(&*store, 11).await;
    assert_eq!(
        (begun.hosts, begun.next, begun.any),
        (vec![], Some(at(12)), true)
    );
    let mut begun = begin(&*store, 12).await;
    begun.hosts.sort();
    let mut second = hosts[2..4].to_vec();
    second.sort();
    assert_eq!((begun.hosts, begun.next, begun.any), (second, None, true));
    let (second, expires) = stand(&*store, id).await;
    assert_eq!((second.current, second.held, second.next), (2, 1, None));
    assert_eq!(expires, Some(at(112)), "its time counts anew");
    assert_eq!(due(&*store, hosts[2], at(12)).await, [(other, 1), (id, 2)]);
    assert_eq!(begin(&*store, 12).await.hosts, [], "once");
    // An expiry is an end as well; the last wave leaves nothing.
    let expired = store.expire(at(112), 10).await.expect("expired");
    assert_eq!(expired.iter().filter(|(of, _)| *of == id).count(), 2);
    assert_eq!(stand(&*store, id).await.0.next, Some(at(117)));
    assert_eq!(
        store.expire(at(200), 10).await,
        Ok(vec![]),
        "one is to come"
    );
    assert_eq!(begin(&*store, 300).await.hosts, [hosts[4]]);
    end(&*store, id, hosts[4], Succeeded).await;
    let command = store.command(id).await.expect("read").expect("there");
    assert_eq!((command.finished, command.counts.open()), (Some(at(7)), 0));
    let begun = begin(&*store, 1000).await;
    assert_eq!((begun.next, begun.any), (None, false));
}

async fn too_many_failures_pause_a_command_until_it_is_resumed(open: Open<'_>) {
    use DeliveryState::{Dead, Failed, Interrupted, Succeeded};
    let store = open();
    let hosts = hosts(&*store, 7).await;
    let id = create(&*store, &waves(&hosts, 3, Some(1))).await;
    let resume = async |second| {
        let change = audit("command.resume").into();
        let resumed = store.resume_command(id, at(second), change).await;
        resumed.expect("resumed")
    };
    assert!(!resume(1).await, "it goes on");
    end(&*store, id, hosts[0], Failed).await;
    assert_eq!(stand(&*store, id).await.0.paused, None);
    end(&*store, id, hosts[1], Interrupted).await;
    let paused = stand(&*store, id).await.0;
    assert_eq!((paused.paused, &*paused.reason), (Some(at(7)), FAILURES));
    end(&*store, id, hosts[2], Succeeded).await;
    assert_eq!(begin(&*store, 1000).await.hosts, [], "nobody has said so");
    let log = store.audit_after(0, 1000).await.expect("read").entries;
    let paused = log.iter().filter(|it| it.entry.action == "command.pause");
    assert_eq!(paused.count(), 1);

    assert!(resume(50).await);
    let going = stand(&*store, id).await;
    assert_eq!((going.0.paused, going.0.next), (None, Some(at(50))));
    assert_eq!(begin(&*store, 50).await.hosts.len(), 3);
    // The failures of before count no more.
    end(&*store, id, hosts[3], Dead).await;
    assert_eq!(stand(&*store, id).await.0.paused, None);
    end(&*store, id, hosts[4], Failed).await;
    assert!(stand(&*store, id).await.0.paused.is_some());
    // Resumed in the middle of a wave it goes on when that is over, in its time.
    assert!(resume(60).await);
    assert_eq!(stand(&*store, id).await.0.next, None);
    end(&*store, id, hosts[5], Succeeded).await;
    assert_eq!(stand(&*store, id).await.0.next, Some(at(12)));
    let change = audit("command.resume").into();
    let unknown = CommandId::random(random());
    let unknown = store.resume_command(unknown, at(1), change).await;
    assert_eq!(unknown, Err(StoreError::NotFound));
}

async fn what_is_held_ends_with_its_command(open: Open<'_>) {
    use DeliveryState::{Cancelled, Expired, Failed, Sent};
    let store = open();
    let hosts = hosts(&*store, 4).await;
    // Aborted: what was sent stays.
    let id = create(&*store, &waves(&hosts, 2, None)).await;
    apply(&*store, id, hosts[0], Step::Sent { once: false }).await;
    let change = audit("command.abort").into();
    let aborted = store.abort_command(id, at(8), change).await;
    assert_eq!(aborted.expect("aborted").len(), 3);
    assert_eq!(state(&*store, id, hosts[0]).await.0, Sent);
    let reason = (Cancelled, "aborted".to_owned());
    assert_eq!(state(&*store, id, hosts[3]).await, reason);
    assert_eq!(stand(&*store, id).await.0.held, 0);
    end(&*store, id, hosts[0], Failed).await;
    assert!(
        store
            .command(id)
            .await
            .expect("read")
            .expect("there")
            .finished
            .is_some()
    );

    // A wave of which nothing is left is passed over.
    let id = create(&*store, &waves(&hosts, 1, None)).await;
    let change = audit("command.cancel").into();
    let middle = Some(hosts[1..3].to_vec());
    store
        .cancel_command(id, middle, at(8), change)
        .await
        .expect("cancelled");
    end(&*store, id, hosts[0], Failed).await;
    assert_eq!(begin(&*store, 12).await.hosts, [hosts[3]]);
    assert_eq!(stand(&*store, id).await.0.current, 4);

    // Paused, and nobody sees to it.
    let id = create(&*store, &waves(&hosts, 2, Some(0))).await;
    end(&*store, id, hosts[0], Failed).await;
    assert_eq!(stand(&*store, id).await.1, Some(at(107)));
    end(&*store, id, hosts[1], Failed).await;
    store.expire(at(112), 1000).await.expect("expired");
    assert_eq!(state(&*store, id, hosts[3]).await.0, Expired);
    let stands = stand(&*store, id).await.0;
    assert_eq!((stands.held, stands.paused), (0, None));
}

async fn a_window_that_closes_has_what_was_not_begun_wait_again(open: Open<'_>) {
    use Applied::{Made, Unchanged};
    use DeliveryState::{Cancelled, Expired, Queued, Received, Sent, Succeeded};
    let store = open();
    let host = hosts(&*store, 1).await[0];
    let in_window = NewCommand {
        plan: Plan {
            in_window: true,
            ..Plan::default()
        },
        ..command(&[host])
    };
    let id = create(&*store, &in_window).await;
    let shut = store.due(host, at(1), false, 9).await.expect("read");
    assert_eq!(
        (shut.deliveries.len(), shut.shut, shut.drained),
        (0, true, false)
    );
    let open = store.due(host, at(1), true, 9).await.expect("read");
    assert_eq!((open.deliveries[0].sequence, open.shut), (1, false));
    let until = at(30);
    let sent = Step::SentInWindow { once: false, until };
    assert_eq!(apply(&*store, id, host, sent.clone()).await, Made(Sent));
    let under_way = store.under_way(host, 9).await.expect("read");
    assert_eq!(under_way.deliveries[0].expires, Some(until), "on the wire");
    assert_eq!(
        apply(&*store, id, host, Step::Received).await,
        Made(Received)
    );
    let word = |state| {
        let mut end = End::new(state, "expired", "");
        end.response = Some(vec![1]);
        Step::Ended(Box::new(end))
    };
    assert_eq!(apply(&*store, id, host, word(Expired)).await, Made(Queued));
    assert_eq!(
        apply(&*store, id, host, word(Expired)).await,
        Unchanged(Queued)
    );
    // In another place, and not within this window again.
    let again = async |second| {
        let due = store.due(host, at(second), true, 9).await.expect("read");
        due.deliveries
            .into_iter()
            .map(|it| it.sequence)
            .collect::<Vec<_>>()
    };
    assert_eq!((again(29).await, again(30).await), (vec![], vec![2]));
    let reason = (Queued, "window_closed".to_owned());
    assert_eq!(state(&*store, id, host).await, reason);
    assert_eq!(apply(&*store, id, host, sent.clone()).await, Made(Sent));
    assert_eq!(
        apply(&*store, id, host, word(Succeeded)).await,
        Made(Succeeded)
    );
    // Wanted no more, it does not wait again.
    let in_window = NewCommand {
        id: CommandId::random(random()),
        ..in_window
    };
    let id = create(&*store, &in_window).await;
    apply(&*store, id, host, sent.clone()).await;
    let change = audit("command.cancel").into();
    store
        .cancel_command(id, None, at(5), change)
        .await
        .expect("asked");
    assert_eq!(
        apply(&*store, id, host, word(Expired)).await,
        Made(Cancelled)
    );
    // Past its own end neither.
    let brief = NewCommand {
        expires: Some(at(7)),
        id: CommandId::random(random()),
        ..in_window
    };
    let id = create(&*store, &brief).await;
    apply(&*store, id, host, sent).await;
    assert_eq!(apply(&*store, id, host, word(Expired)).await, Made(Expired));
}

async fn what_does_not_wait_for_its_host_is_listed_and_ended(open: Open<'_>) {
    let store = open();
    let hosts = hosts(&*store, 4).await;
    let mut new = waves(&hosts, 3, None);
    new.plan.skip_offline = true;
    new.not_before = Some(at(20));
    let id = create(&*store, &new).await;
    create(&*store, &command(&hosts)).await;
    apply(&*store, id, hosts[0], Step::Sent { once: false }).await;
    let first = store.skippable(None, 1).await.expect("read");
    let last = (first[0].command, first[0].host);
    let rest = store.skippable(Some(last), 9).await.expect("read");
    assert_eq!((first.len(), rest.len()), (1, 1));
    let expected = Skippable {
        command: id,
        host: hosts[1],
        created: T0,
        not_before: Some(at(20)),
        in_window: false,
    };
    assert_eq!(first, [expected]);
    assert_eq!(rest[0].host, hosts[2]);
    for (host, expected) in [
        (hosts[0], Applied::Unchanged(DeliveryState::Sent)),
        (hosts[1], Applied::Made(DeliveryState::Cancelled)),
        (hosts[3], Applied::Unchanged(DeliveryState::Queued)),
    ] {
        assert_eq!(apply(&*store, id, host, Step::Skipped).await, expected);
    }
    let reason = (DeliveryState::Cancelled, "host_offline".to_owned());
    assert_eq!(state(&*store, id, hosts[1]).await, reason);
}

async fn windows_are_kept_with_groups(open: Open<'_>) {
    let store = open();
    let hosts = hosts(&*store, 3).await;
    let night = Window::new(1, "02:00", 60, "Europe/Berlin").expect("a window");
    let noon = Window::new(64, "12:00", 60, "").expect("a window");
    let mut groups = Vec::new();
    for (name, windows) in [
        ("a", vec![night.clone()]),
        ("b", vec![noon.clone()]),
        ("c", vec![]),
    ] {
        let new = super::super::groups::NewGroup {
            id: crate::ids::GroupId::random(random()),
            name: name.parse().expect("a name"),
            description: String::new(),
            at: T0,
        };
        let id = new.id;
        store
            .create_group(new, audit("group.create").into())
            .await
            .expect("made");
        let change = GroupChange {
            windows: Some(windows.clone()),
            ..GroupChange::default()
        };
        let changed = store
            .update_group(id, None, change, audit("group.update"))
            .await;
        assert_eq!(changed.expect("changed").windows, windows);
        groups.push(id);
    }
    for (host, of) in [(hosts[0], &groups[..]), (hosts[1], &groups[2..])] {
        let change = super::super::groups::HostChange {
            groups: Some(of.iter().copied().collect()),
            ..Default::default()
        };
        store
            .update_host(host, None, change, audit("host.update"))
            .await
            .expect("changed");
    }
    drop(store);
    let store = open();
    let found = store
        .maintenance_windows(hosts.clone())
        .await
        .expect("read");
    assert_eq!(found.keys().collect::<Vec<_>>(), [&hosts[0]]);
    let windows = &found[&hosts[0]];
    assert!(windows.len() == 2 && windows.contains(&night) && windows.contains(&noon));
    // What is not said stays.
    let change = GroupChange {
        description: Some("x".to_owned()),
        ..GroupChange::default()
    };
    let changed = store
        .update_group(groups[0], None, change, audit("group.update"))
        .await;
    assert_eq!(changed.expect("changed").windows, [night]);
}
