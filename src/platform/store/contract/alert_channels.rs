//! What every store must do with channels of alerts.

use super::alert_rules::rule;
use super::alerts::{channel, firing, note, tried};
use super::*;
use crate::ids::{AlertChannelId, random_uuid};
use crate::platform::store::alert_channels::{AlertChannel, ChannelTarget, SendState, Tried};
use crate::platform::store::alert_rules::AlertRule;
use crate::platform::store::alerts::{AlertRecord, AlertState, AlertStep, NewNotification};

contract!(
    channels_are_kept_as_they_are_said,
    a_channel_that_rules_name_stays,
    each_channel_has_a_queue_of_its_own,
    a_disabled_channel_is_sent_nothing,
);

fn email(name: &str) -> AlertChannel {
    let recipients = ["ops@example.com", "on-call@example.com"];
    let recipients = recipients.map(|to| to.parse().expect("an address"));
    AlertChannel {
        id: AlertChannelId(random_uuid(random())),
        name: name.to_owned(),
        target: ChannelTarget::Email {
            recipients: recipients.to_vec(),
        },
        ..channel()
    }
}

async fn create(store: &Arc<dyn Store>, channel: &AlertChannel) {
    let change = audit("alert_channel.create").into();
    let made = store.create_alert_channel(channel.clone(), change).await;
    made.expect("made");
}

async fn channels_are_kept_as_they_are_said(open: Open<'_>) {
    let store = open();
    let (hook, mail) = (channel(), email("mail"));
    create(&store, &hook).await;
    create(&store, &mail).await;
    drop(store);
    let store = open();
    let update = || audit("alert_channel.update");
    assert_eq!(
        store.alert_channels().await,
        Ok(vec![hook.clone(), mail.clone()])
    );
    let change = audit("alert_channel.create").into();
    let taken = store.create_alert_channel(email("mail"), change).await;
    assert_eq!(taken, Err(StoreError::Taken));

    // Its secret is not said by a change, and does not go by one.
    let secret = store.seal_alert_channel(hook.id, b"other".to_vec(), update());
    secret.await.expect("sealed");
    let target = |sealed: &[u8]| ChannelTarget::Webhook {
        url: "https://other.example/".to_owned(),
        sealed: sealed.to_vec(),
    };
    let changed = AlertChannel {
        name: "a".to_owned(),
        target: target(b"old"),
        created: at(99),
        ..hook.clone()
    };
    let answer = store.update_alert_channel(changed.clone(), update()).await;
    assert_eq!(answer.expect("changed").created, T0);
    let kept = AlertChannel {
        target: target(b"other"),
        created: T0,
        ..changed.clone()
    };
    assert_eq!(store.alert_channels().await, Ok(vec![kept, mail.clone()]));
    let taken = AlertChannel {
        name: "mail".to_owned(),
        ..changed
    };
    let taken = store.update_alert_channel(taken, update()).await;
    assert_eq!(taken, Err(StoreError::Taken));
    let unknown = store.update_alert_channel(email("x"), update()).await;
    assert_eq!(unknown, Err(StoreError::NotFound));
    let no_secret = store.seal_alert_channel(mail.id, Vec::new(), update());
    assert_eq!(no_secret.await, Err(StoreError::NotFound));
}

async fn a_channel_that_rules_name_stays(open: Open<'_>) {
    let store = open();
    let (hook, mail) = (channel(), email("mail"));
    create(&store, &hook).await;
    create(&store, &mail).await;
    let both = AlertRule {
        channels: vec![mail.id, hook.id],
        ..rule("both")
    };
    let change = audit("alert_rule.create").into();
    store
        .create_alert_rule(both.clone(), change)
        .await
        .expect("made");
    let delete = async || {
        let audit = audit("alert_channel.delete");
        store.delete_alert_channel(hook.id, audit).await
    };
    assert_eq!(delete().await, Ok(vec!["both".to_owned()]));
    assert_eq!(store.alert_channels().await.expect("read").len(), 2);
    let gone = store.delete_alert_rule(both.id, audit("alert_rule.delete"));
    gone.await.expect("removed");
    assert_eq!(delete().await, Ok(Vec::new()));
    assert_eq!(delete().await, Err(StoreError::NotFound));
    assert_eq!(store.alert_channels().await, Ok(vec![mail]));
}

async fn each_channel_has_a_queue_of_its_own(open: Open<'_>) {
    let store = open();
    let (hook, mail) = (channel(), email("mail"));
    create(&store, &hook).await;
    create(&store, &mail).await;
    let message = |channel| NewNotification {
        id: random_uuid(random()),
        channel,
        body: "{}".to_owned(),
    };
    let (first, second) = (message(hook.id), message(mail.id));
    let firing = firing(None);
    let told = AlertStep::Tell(vec![first.clone(), second.clone()]);
    let applied = store.apply_alerts(at(5), vec![(firing, told)]).await;
    applied.expect("written");
    let due = async |channel: AlertChannelId, now| {
        let due = store.due_notifications(channel, now, 1).await;
        let due = due.expect("read").into_iter();
        due.map(|due| due.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(due(hook.id, at(5)).await, [first.id.to_string()]);
    assert_eq!(due(mail.id, at(5)).await, [second.id.to_string()]);
    let later = note(&*store, first.id, tried(at(5), "no"), Tried::Again(at(9)));
    later.await.expect("noted");
    assert_eq!(due(hook.id, at(8)).await, [""; 0]);
    assert_eq!(due(mail.id, at(8)).await, [second.id.to_string()]);
    let given_up = note(&*store, first.id, tried(at(9), "no"), Tried::GivenUp);
    given_up.await.expect("noted");
    assert_eq!(due(hook.id, at(1000)).await, [""; 0]);
}

async fn a_disabled_channel_is_sent_nothing(open: Open<'_>) {
    let store = open();
    let hook = channel();
    create(&store, &hook).await;
    let told = || {
        let message = NewNotification {
            id: random_uuid(random()),
            channel: hook.id,
            body: "{}".to_owned(),
        };
        AlertStep::Tell(vec![message])
    };
    let before = firing(None);
    let applied = store.apply_alerts(at(5), vec![(before.clone(), told())]);
    applied.await.expect("written");
    let disabled = AlertChannel {
        disabled: true,
        ..hook.clone()
    };
    let changed = store.update_alert_channel(disabled, audit("alert_channel.update"));
    changed.await.expect("changed");
    let due = store.due_notifications(hook.id, at(9), 10).await;
    assert_eq!(due, Ok(Vec::new()));
    let sent_of = async |alert| {
        let found = store.alert(alert, at(9), 10).await.expect("read");
        found.expect("there").1
    };
    let sent = sent_of(before.id).await;
    assert_eq!(sent[0].state, SendState::Failed);
    assert_eq!(sent[0].error, "the channel was disabled");
    let meanwhile = firing(None);
    let over = AlertRecord {
        state: AlertState::Resolved,
        resolved: Some(at(8)),
        ..before.clone()
    };
    let changes = vec![(meanwhile.clone(), told()), (over, told())];
    store.apply_alerts(at(8), changes).await.expect("written");
    assert_eq!(sent_of(meanwhile.id).await, []);
    assert_eq!(sent_of(before.id).await.len(), 1);
}
