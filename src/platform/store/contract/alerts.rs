//! What every store must do with alerts.

use std::slice;
use std::time::Duration;

use super::*;
use crate::ids::{AlertChannelId, AlertId, AlertRuleId, GroupId, Uuid, random_uuid};
use crate::platform::events::Happening;
use crate::platform::identity::Grants;
use crate::platform::store::alert_channels::{
    AlertChannel, ChannelTarget, SendState, SendTry, Tried,
};
use crate::platform::store::alerts::{
    AlertFilter, AlertRecord, AlertState, AlertStep, NewNotification, Severity,
};
use crate::platform::store::groups::{HostChange, NewGroup};

contract!(
    what_is_told_of_an_alert_goes_with_it,
    alerts_are_for_those_who_see_their_host,
);

pub(super) fn channel() -> AlertChannel {
    AlertChannel {
        id: AlertChannelId(random_uuid(random())),
        name: "hook".to_owned(),
        disabled: false,
        target: ChannelTarget::Webhook {
            url: "https://hook.example/".to_owned(),
            sealed: b"sealed".to_vec(),
        },
        created: T0,
    }
}

/// A try that failed, or did not.
pub(super) fn tried(at: UnixMillis, error: &str) -> SendTry {
    SendTry {
        at,
        took: Duration::from_millis(7),
        error: error.to_owned(),
    }
}

/// Begins to try a message; whether it is to be sent.
pub(super) async fn begun(
    store: &dyn Store,
    id: Uuid,
    now: UnixMillis,
    next: UnixMillis,
) -> Result<bool, StoreError> {
    let begun = store.notifications_begun(vec![id], None, now, next).await?;
    Ok(begun.iter().any(|due| due.id == id))
}

/// Notes a try: that it begins, and what came of it.
pub(super) async fn note(
    store: &dyn Store,
    id: Uuid,
    tried: SendTry,
    then: Tried,
) -> Result<(), StoreError> {
    let later = UnixMillis(tried.at.0 + 1000);
    assert_eq!(begun(store, id, tried.at, later).await, Ok(true));
    store.notifications_tried(vec![id], tried, then).await
}

fn alert(host: Option<HostId>) -> AlertRecord {
    AlertRecord {
        id: AlertId(random_uuid(random())),
        rule: AlertRuleId(random_uuid(random())),
        rule_name: "rule".to_owned(),
        host: host.map(|host| (host, "kvm".to_owned())),
        severity: Severity::Warning,
        state: AlertState::Pending,
        detail: "it is wrong".to_owned(),
        since: T0,
        fired: None,
        resolved: None,
        acknowledged: None,
    }
}

/// One that fires.
pub(super) fn firing(host: Option<HostId>) -> AlertRecord {
    AlertRecord {
        state: AlertState::Firing,
        fired: Some(at(5)),
        ..alert(host)
    }
}

async fn what_is_told_of_an_alert_goes_with_it(open: Open<'_>) {
    let store = open();
    let channel = channel();
    store
        .create_alert_channel(channel.clone(), audit("alert_channel.create").into())
        .await
        .expect("made");
    let mut alert = alert(None);
    let apply = async |alert: &AlertRecord, step| {
        store
            .apply_alerts(at(5), vec![(alert.clone(), step)])
            .await
            .expect("written");
    };
    apply(&alert, AlertStep::Keep).await;
    let in_state = async |state, after, count| {
        let found = store.alerts_in(state, after, count).await.expect("read");
        found.into_iter().unzip::<_, _, Vec<_>, Vec<_>>()
    };
    let (numbers, pending) = in_state(AlertState::Pending, 0, 1).await;
    assert_eq!(pending, slice::from_ref(&alert));
    let rest = in_state(AlertState::Pending, numbers[0], 1).await;
    assert_eq!(rest.1, []);
    // Beside what the channel is told by.
    let told = async || {
        let events = store.events_from(0, 100).await.expect("read").events;
        let what = events.into_iter().map(|stored| stored.event.what);
        let of_alerts = |what: &Happening| matches!(what, Happening::AlertUpdated { .. });
        what.filter(of_alerts).collect::<Vec<_>>()
    };
    assert_eq!(told().await, []);
    alert.state = AlertState::Firing;
    alert.fired = Some(at(5));
    let message = |channel| NewNotification {
        id: random_uuid(random()),
        channel,
        body: "{}".to_owned(),
    };
    let (known, unknown) = (
        message(channel.id),
        message(AlertChannelId(random_uuid(random()))),
    );
    apply(&alert, AlertStep::Tell(vec![known.clone(), unknown])).await;
    let fires = Happening::AlertUpdated {
        alert: alert.id,
        state: "firing".to_owned(),
        severity: "warning".to_owned(),
    };
    assert_eq!(told().await, [fires]);
    let due = async |now| {
        let due = store
            .due_notifications(channel.id, now, 10)
            .await
            .expect("read");
        due.into_iter()
            .map(|due| (due.id, due.attempts))
            .collect::<Vec<_>>()
    };
    assert_eq!(due(at(4)).await, []);
    assert_eq!(due(at(5)).await, [(known.id, 0)]);
    let again = note(&*store, known.id, tried(at(5), "no"), Tried::Again(at(9)));
    again.await.expect("noted");
    assert_eq!(store.next_notification(at(5)).await, Ok(Some(at(9))));
    assert_eq!(store.next_notification(at(9)).await, Ok(None));
    assert_eq!(due(at(8)).await, []);
    assert_eq!(due(at(9)).await, [(known.id, 1)]);

    // Who looks after it stays, whatever is written of it by who does not know.
    let acknowledged =
        store.acknowledge_alert(alert.id, "ada".to_owned(), audit("alert.acknowledge"));
    assert_eq!(
        acknowledged.await.expect("noted").alert.acknowledged,
        Some(("ada".to_owned(), T0))
    );
    let other = store.acknowledge_alert(alert.id, "bob".to_owned(), audit("alert.acknowledge"));
    assert_eq!(
        other.await.expect("known").alert.acknowledged,
        Some(("ada".to_owned(), T0))
    );
    alert.state = AlertState::Resolved;
    alert.resolved = Some(at(20));
    // The end is for who was told of the beginning, and behind it.
    let late = AlertChannel {
        id: AlertChannelId(random_uuid(random())),
        name: "late".to_owned(),
        ..channel.clone()
    };
    store
        .create_alert_channel(late.clone(), audit("alert_channel.create").into())
        .await
        .expect("made");
    let end = message(channel.id);
    let ends = vec![end.clone(), message(late.id)];
    apply(&alert, AlertStep::Tell(ends)).await;
    assert_eq!(due(at(30)).await, [(known.id, 1)]);
    let again = note(&*store, known.id, tried(at(9), "no"), Tried::Again(at(31)));
    again.await.expect("noted");
    assert_eq!(due(at(30)).await, [], "it waits behind the first");
    let sent = note(&*store, known.id, tried(at(31), ""), Tried::Sent);
    sent.await.expect("noted");
    assert_eq!(due(at(31)).await, [(end.id, 0)]);
    for (state, count) in AlertState::ALL.into_iter().zip([0, 0, 1]) {
        assert_eq!(in_state(state, 0, 10).await.1.len(), count, "{state:?}");
    }
    let (kept, sent) = store
        .alert(alert.id, at(30), 10)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(kept.alert.acknowledged, Some(("ada".to_owned(), T0)));
    assert_eq!(sent.len(), 2, "one for each that was told");
    assert_eq!((sent[0].attempts, sent[0].state), (3, SendState::Sent));
    let tries = [tried(at(5), "no"), tried(at(9), "no"), tried(at(31), "")];
    assert_eq!(sent[0].tries, tries);

    let removed = store.delete_alert_channel(channel.id, audit("alert_channel.delete"));
    assert_eq!(removed.await, Ok(Vec::new()));
    assert_eq!(due(at(1000)).await, []);
    let (_, sent) = store
        .alert(alert.id, at(30), 10)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(sent[1].state, SendState::Failed);
    assert_eq!(store.remove_alerts(at(20), 10).await, Ok(0));
    assert_eq!(store.remove_alerts(at(21), 10).await, Ok(1));
    assert_eq!(store.alert(alert.id, at(30), 10).await, Ok(None));
}

async fn alerts_are_for_those_who_see_their_host(open: Open<'_>) {
    let store = open();
    let host = host("kvm");
    store
        .create_host(host.clone(), audit("host.create").into())
        .await
        .expect("made");
    let (of_host, of_none, pending) = (firing(Some(host.id)), firing(None), alert(None));
    let all = [&of_host, &of_none, &pending].map(|alert| (alert.clone(), AlertStep::Keep));
    store.apply_alerts(T0, all.to_vec()).await.expect("written");
    let filter = AlertFilter {
        now: T0,
        state: None,
        host: None,
        granted: Grants::All,
        before: None,
        count: 10,
    };
    let find = async |filter: AlertFilter| {
        let found = store.alerts(filter).await.expect("read");
        found
            .into_iter()
            .map(|shown| shown.alert.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(find(filter.clone()).await, [of_none.id, of_host.id]);
    let state = Some(AlertState::Pending);
    assert_eq!(
        find(AlertFilter {
            state,
            ..filter.clone()
        })
        .await,
        [pending.id]
    );
    let of = Some(host.id);
    assert_eq!(
        find(AlertFilter {
            host: of,
            ..filter.clone()
        })
        .await,
        [of_host.id]
    );
    let (lab, other) = (GroupId::random(random()), GroupId::random(random()));
    for (id, name) in [(lab, "lab"), (other, "other")] {
        let group = NewGroup {
            id,
            name: name.parse().expect("a name"),
            description: String::new(),
            at: T0,
        };
        let made = store.create_group(group, audit("group.create").into());
        made.await.expect("made");
    }
    let change = HostChange {
        groups: Some([lab].into()),
        ..HostChange::default()
    };
    let put = store.update_host(host.id, None, change, audit("host.update"));
    put.await.expect("in its group");
    for (groups, seen) in [
        (vec![lab], vec![of_host.id]),
        (vec![other, lab], vec![of_host.id]),
        (vec![other], vec![]),
    ] {
        let granted = Grants::Groups(groups.into_iter().collect());
        let filter = AlertFilter {
            granted,
            ..filter.clone()
        };
        assert_eq!(find(filter.clone()).await, seen);
        let state = Some(AlertState::Firing);
        assert_eq!(
            find(AlertFilter {
                state,
                ..filter.clone()
            })
            .await,
            seen
        );
        let state = Some(AlertState::Pending);
        assert_eq!(find(AlertFilter { state, ..filter }).await, []);
    }
    let nothing = Grants::Groups(Default::default());
    assert_eq!(
        find(AlertFilter {
            granted: nothing,
            ..filter.clone()
        })
        .await,
        []
    );
    let first = store
        .alerts(AlertFilter {
            count: 1,
            ..filter.clone()
        })
        .await
        .expect("read");
    let before = Some(first[0].number);
    assert_eq!(find(AlertFilter { before, ..filter }).await, [of_host.id]);
}
