//! What every store must do with the rules of alerts.

use std::time::Duration;

use super::alerts::channel;
use super::*;
use crate::ids::{AlertChannelId, AlertRuleId, GroupId, random_uuid};
use crate::platform::store::alert_rules::{AlertRule, Condition};
use crate::platform::store::alerts::Severity;
use crate::platform::store::groups::{LabelSelector, NewGroup};

contract!(
    rules_are_kept_as_they_are_said,
    a_group_that_rules_are_about_stays,
    a_rule_names_channels_that_are_there,
);

pub(super) fn rule(name: &str) -> AlertRule {
    AlertRule {
        id: AlertRuleId(random_uuid(random())),
        name: name.to_owned(),
        severity: Severity::Critical,
        hold: Duration::from_secs(7),
        group: None,
        labels: vec![
            LabelSelector::Has("rack".parse().expect("a key")),
            LabelSelector::Is(
                "site".parse().expect("a key"),
                "<b>\"lab\"</b>".parse().expect("a value"),
            ),
        ],
        channels: Vec::new(),
        disabled: false,
        condition: Condition::HostFlapping(5, Duration::from_secs(60)),
        created: T0,
    }
}

async fn rules_are_kept_as_they_are_said(open: Open<'_>) {
    let store = open();
    let given = store.alert_rules().await.expect("read");
    assert_eq!(given.len(), 10, "those of the beginning");
    let distinct: std::collections::HashSet<_> =
        given.iter().map(|rule| rule.condition.parts().0).collect();
    assert_eq!(distinct.len(), 10, "one of each kind");
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
    let hook = channel();
    let made = store.create_alert_channel(hook.clone(), audit("alert_channel.create").into());
    made.await.expect("made");
    let conditions = [
        Condition::HostOffline(Duration::from_secs(1)),
        Condition::HostFlapping(3, Duration::from_secs(60)),
        Condition::HostDisk(90),
        Condition::CertificateEnds(Duration::from_secs(86_400)),
        Condition::DeadLetters(1),
        Condition::QueueDepth(10_000),
        Condition::QueueAge(Duration::from_secs(31_536_000)),
        Condition::DeliveryLatency(250, Duration::from_secs(600)),
        Condition::FailedSignIns(20, Duration::from_secs(60)),
        Condition::PlatformStorage(90),
    ];
    let count = conditions.len();
    for (at, condition) in conditions.into_iter().enumerate() {
        let rule = AlertRule {
            condition,
            channels: vec![hook.id],
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
        count,
        "none is lost"
    );
    let unknown = store.update_alert_rule(rule("unknown"), update).await;
    assert_eq!(unknown, Err(StoreError::NotFound));
}

async fn a_group_that_rules_are_about_stays(open: Open<'_>) {
    let store = open();
    let group = GroupId::random(random());
    let about = |name: &str| AlertRule {
        group: Some(group),
        ..rule(name)
    };
    let early = store.create_alert_rule(about("a"), audit("alert_rule.create").into());
    assert_eq!(early.await, Err(StoreError::GroupUnknown));
    let new = NewGroup {
        id: group,
        name: "lab".parse().expect("a name"),
        description: String::new(),
        at: T0,
    };
    let made = store.create_group(new, audit("group.create").into());
    made.await.expect("made");
    for name in ["b", "a"] {
        let made = store.create_alert_rule(about(name), audit("alert_rule.create").into());
        made.await.expect("made");
    }
    let delete = async || {
        let deleted = store.delete_group(group, None, audit("group.delete"));
        deleted.await
    };
    let names = ["a", "b"].map(str::to_owned).to_vec();
    assert_eq!(delete().await, Err(StoreError::GroupInRules(names)));
    let rules = store.alert_rules().await.expect("read").into_iter();
    for before in rules.filter(|rule| rule.group.is_some()) {
        let changed = AlertRule {
            group: None,
            ..before
        };
        let update = store.update_alert_rule(changed.clone(), audit("alert_rule.update"));
        assert_eq!(update.await, Ok(changed));
    }
    assert_eq!(delete().await, Ok(()));
}

async fn a_rule_names_channels_that_are_there(open: Open<'_>) {
    let store = open();
    let hook = channel();
    let made = store.create_alert_channel(hook.clone(), audit("alert_channel.create").into());
    made.await.expect("made");
    let gone = AlertChannelId(random_uuid(random()));
    let to = |channels: &[AlertChannelId]| AlertRule {
        channels: channels.to_vec(),
        ..rule("to")
    };
    let create = async |rule| {
        let made = store.create_alert_rule(rule, audit("alert_rule.create").into());
        made.await
    };
    let unknown = Err(StoreError::ChannelUnknown);
    assert_eq!(create(to(&[hook.id, gone])).await, unknown);
    let known = to(&[hook.id]);
    assert_eq!(create(known.clone()).await, Ok(()));
    let changed = AlertRule {
        channels: vec![gone],
        ..known.clone()
    };
    let update = store.update_alert_rule(changed, audit("alert_rule.update"));
    assert_eq!(update.await, Err(StoreError::ChannelUnknown));
    let rules = store.alert_rules().await.expect("read");
    assert!(rules.contains(&known), "it stays as it was: {rules:?}");
}
