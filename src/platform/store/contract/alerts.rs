//! What every store must do with alerts.

use std::time::Duration;

use super::*;
use crate::ids::{AlertChannelId, AlertId, AlertRuleId, random_uuid};
use crate::platform::events::Happening;
use crate::platform::identity::Grants;
use crate::platform::store::alerts::{
    AlertChannel, AlertFilter, AlertRecord, AlertRule, AlertState, AlertStep, Condition,
    NewNotification, SendState, Severity,
};
use crate::secret::Secret;

contract!(
    rules_are_kept_as_they_are_said,
    what_is_told_of_an_alert_goes_with_it,
    alerts_are_for_those_who_see_their_host,
);

fn rule(name: &str) -> AlertRule {
    AlertRule {
        id: AlertRuleId(random_uuid(random())),
        name: name.to_owned(),
        severity: Severity::Critical,
        hold: Duration::from_secs(7),
        group: None,
        channels: vec![AlertChannelId(random_uuid(random()))],
        disabled: false,
        condition: Condition::HostFlapping(5, Duration::from_secs(60)),
        created: T0,
    }
}

fn channel() -> AlertChannel {
    AlertChannel {
        id: AlertChannelId(random_uuid(random())),
        name: "hook".to_owned(),
        url: "https://hook.example/".to_owned(),
        secret: Secret::new("whsec_eA==".to_owned()),
        created: T0,
    }
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

async fn rules_are_kept_as_they_are_said(open: Open<'_>) {
    let store = open();
    let given = store.alert_rules().await.expect("read");
    assert_eq!(given.len(), 5, "those of the beginning");
    for rule in &given {
        store
            .delete_alert_rule(rule.id, audit("alert_rule.delete"))
            .await
            .expect("removed");
    }
    drop(store);
    let store = open();
    assert_eq!(
        store.alert_rules().await,
        Ok(Vec::new()),
        "and not made anew"
    );
    let conditions = [
        Condition::HostOffline(Duration::from_secs(1)),
        Condition::HostFlapping(3, Duration::from_secs(60)),
        Condition::HostDisk(90),
        Condition::CertificateEnds(Duration::from_secs(86_400)),
        Condition::DeadLetters(1),
    ];
    for (at, condition) in conditions.into_iter().enumerate() {
        let rule = AlertRule {
            condition,
            ..rule(&format!("r{at}"))
        };
        let change = audit("alert_rule.create").into();
        store
            .create_alert_rule(rule.clone(), change)
            .await
            .expect("made");
        assert_eq!(store.alert_rules().await.expect("read")[at], rule);
    }
    let taken = store
        .create_alert_rule(rule("r1"), audit("alert_rule.create").into())
        .await;
    assert_eq!(taken, Err(StoreError::Taken));
    let before = store.alert_rules().await.expect("read").remove(0);
    let changed = AlertRule {
        id: before.id,
        created: at(99),
        disabled: true,
        ..rule("other")
    };
    let expected = AlertRule {
        created: T0,
        ..changed.clone()
    };
    let update = audit("alert_rule.update");
    assert_eq!(
        store
            .update_alert_rule(changed.clone(), update.clone())
            .await,
        Ok(expected)
    );
    let taken = AlertRule {
        name: "r1".to_owned(),
        ..changed
    };
    assert_eq!(
        store.update_alert_rule(taken, update.clone()).await,
        Err(StoreError::Taken)
    );
    assert_eq!(
        store.alert_rules().await.expect("read").len(),
        5,
        "none is lost"
    );
    let unknown = store.update_alert_rule(rule("unknown"), update).await;
    assert_eq!(unknown, Err(StoreError::NotFound));
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
    assert_eq!(store.open_alerts().await, Ok(vec![alert.clone()]));
    assert_eq!(store.events_from(0, 100).await.expect("read").events, []);
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
    let events = store.events_from(0, 100).await.expect("read").events;
    let what: Vec<_> = events.into_iter().map(|stored| stored.event.what).collect();
    let told = Happening::AlertUpdated {
        alert: alert.id,
        state: "firing".to_owned(),
        severity: "warning".to_owned(),
    };
    assert_eq!(what, [told]);
    let due = async |now| {
        let due = store.due_notifications(now, 10).await.expect("read");
        due.into_iter()
            .map(|due| (due.id, due.attempts))
            .collect::<Vec<_>>()
    };
    assert_eq!(due(at(4)).await, []);
    assert_eq!(due(at(5)).await, [(known.id, 0)]);
    let tried =
        store.notification_tried(known.id, SendState::Waiting, "no".to_owned(), Some(at(9)));
    tried.await.expect("noted");
    assert_eq!(due(at(8)).await, []);
    assert_eq!(due(at(9)).await, [(known.id, 1)]);

    // Who looks after it stays, whatever is written of it by who does not know.
    let acknowledged =
        store.acknowledge_alert(alert.id, "ada".to_owned(), audit("alert.acknowledge"));
    assert_eq!(
        acknowledged.await.expect("noted").acknowledged,
        Some(("ada".to_owned(), T0))
    );
    let other = store.acknowledge_alert(alert.id, "bob".to_owned(), audit("alert.acknowledge"));
    assert_eq!(
        other.await.expect("known").acknowledged,
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
    let tried =
        store.notification_tried(known.id, SendState::Waiting, "no".to_owned(), Some(at(99)));
    tried.await.expect("noted");
    assert_eq!(due(at(30)).await, [], "it waits behind the first");
    let tried = store.notification_tried(known.id, SendState::Sent, String::new(), None);
    tried.await.expect("noted");
    assert_eq!(due(at(30)).await, [(end.id, 0)]);
    assert_eq!(store.open_alerts().await, Ok(Vec::new()));
    let (kept, sent) = store
        .alert(alert.id, 10)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(kept.acknowledged, Some(("ada".to_owned(), T0)));
    assert_eq!(sent.len(), 2, "one for each that was told");
    assert_eq!((sent[0].attempts, sent[0].state), (3, SendState::Sent));

    let removed = store.delete_alert_channel(channel.id, audit("alert_channel.delete"));
    removed.await.expect("removed");
    assert_eq!(due(at(1000)).await, []);
    let (_, sent) = store
        .alert(alert.id, 10)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(sent[1].state, SendState::Failed);
    assert_eq!(store.remove_alerts(at(20), 10).await, Ok(0));
    assert_eq!(store.remove_alerts(at(21), 10).await, Ok(1));
    assert_eq!(store.alert(alert.id, 10).await, Ok(None));
}

async fn alerts_are_for_those_who_see_their_host(open: Open<'_>) {
    let store = open();
    let host = host("kvm");
    store
        .create_host(host.clone(), audit("host.create").into())
        .await
        .expect("made");
    let firing = |host| AlertRecord {
        state: AlertState::Firing,
        ..alert(host)
    };
    let (of_host, of_none, pending) = (firing(Some(host.id)), firing(None), alert(None));
    let all = [&of_host, &of_none, &pending].map(|alert| (alert.clone(), AlertStep::Keep));
    store.apply_alerts(T0, all.to_vec()).await.expect("written");
    let filter = AlertFilter {
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
            .map(|(_, alert)| alert.id)
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
    let before = Some(first[0].0);
    assert_eq!(find(AlertFilter { before, ..filter }).await, [of_host.id]);
}
