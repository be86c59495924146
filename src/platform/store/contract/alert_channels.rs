//! What every store must do with channels of alerts.

use super::alert_rules::rule;
use super::alerts::{begun, channel, firing, note, tried};
use super::*;
use crate::ids::{AlertChannelId, AlertSilenceId, Uuid, random_uuid};
use crate::platform::events::Happening;
use crate::platform::store::alert_channels::{AlertChannel, ChannelTarget, SendState, Tried};
use crate::platform::store::alert_rules::AlertRule;
use crate::platform::store::alert_silences::{AlertMatcher, AlertSilence};
use crate::platform::store::alerts::{AlertRecord, AlertState, AlertStep, NewNotification};

contract!(
    channels_are_kept_as_they_are_said,
    a_channel_that_rules_name_stays,
    each_channel_has_a_queue_of_its_own,
    a_disabled_channel_is_sent_nothing,
    what_was_told_there_ends_there_once_a_channel_is_enabled_again,
    an_end_waits_as_long_as_what_it_is_behind,
    whoever_follows_is_told_what_came_of_a_try,
    what_is_sent_together_stays_together,
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
    let changes = vec![(meanwhile.clone(), told()), (over(&before), told())];
    store.apply_alerts(at(8), changes).await.expect("written");
    assert_eq!(sent_of(meanwhile.id).await, []);
    assert_eq!(sent_of(before.id).await.len(), 1);
}

fn over(alert: &AlertRecord) -> AlertRecord {
    AlertRecord {
        state: AlertState::Resolved,
        resolved: Some(at(8)),
        ..alert.clone()
    }
}

async fn what_was_told_there_ends_there_once_a_channel_is_enabled_again(open: Open<'_>) {
    let store = open();
    let hook = channel();
    create(&store, &hook).await;
    let message = || NewNotification {
        id: random_uuid(random()),
        channel: hook.id,
        body: "{}".to_owned(),
    };
    let (one, other, tried_then) = (firing(None), firing(None), firing(None));
    let (first, second, third) = (message(), message(), message());
    let changes = [(&one, &first), (&other, &second), (&tried_then, &third)];
    let changes = changes.map(|(alert, told)| (alert.clone(), AlertStep::Tell(vec![told.clone()])));
    let applied = store.apply_alerts(at(5), changes.to_vec());
    applied.await.expect("written");
    for message in [&first, &second] {
        let sent = note(&*store, message.id, tried(at(5), ""), Tried::Sent);
        sent.await.expect("noted");
    }
    assert_eq!(begun(&*store, third.id, at(5), at(9)).await, Ok(true));
    // One is over before the channel is disabled, one while it is, and so is one that was on its way there.
    let ends = [message(), message(), message()];
    let is_over = |alert, end: &NewNotification| (over(alert), AlertStep::Tell(vec![end.clone()]));
    let applied = store.apply_alerts(at(8), vec![is_over(&one, &ends[0])]);
    applied.await.expect("written");
    let set = async |disabled| {
        let wanted = AlertChannel {
            disabled,
            ..hook.clone()
        };
        let changed = store.update_alert_channel(wanted, audit("alert_channel.update"));
        changed.await.expect("changed");
    };
    set(true).await;
    let taken = store.notifications_tried(vec![third.id], tried(at(5), ""), Tried::Sent);
    taken.await.expect("noted");
    let meanwhile = vec![is_over(&other, &ends[1]), is_over(&tried_then, &ends[2])];
    let applied = store.apply_alerts(at(8), meanwhile);
    applied.await.expect("written");
    set(false).await;
    let due = store.due_notifications(hook.id, at(9), 10).await;
    let due: Vec<_> = due.expect("read").into_iter().map(|due| due.id).collect();
    assert_eq!(due, ends.map(|end| end.id));
}

async fn an_end_waits_as_long_as_what_it_is_behind(open: Open<'_>) {
    let store = open();
    let hook = channel();
    create(&store, &hook).await;
    let message = || NewNotification {
        id: random_uuid(random()),
        channel: hook.id,
        body: "{}".to_owned(),
    };
    let (alert, first) = (firing(None), message());
    let told = AlertStep::Tell(vec![first.clone()]);
    let applied = store.apply_alerts(at(5), vec![(alert.clone(), told)]);
    applied.await.expect("written");
    let again = |now, next| note(&*store, first.id, tried(now, "no"), Tried::Again(next));
    again(at(5), at(50)).await.expect("noted");
    let told = AlertStep::Tell(vec![message()]);
    let applied = store.apply_alerts(at(8), vec![(over(&alert), told)]);
    applied.await.expect("written");
    let next = async || {
        let found = store.alert(alert.id, at(9), 10).await.expect("read");
        let sent = found.expect("there").1.into_iter();
        sent.map(|sent| sent.next).collect::<Vec<_>>()
    };
    assert_eq!(next().await, [Some(at(50)); 2]);
    again(at(50), at(99)).await.expect("noted");
    assert_eq!(next().await, [Some(at(99)); 2]);
    let sent = note(&*store, first.id, tried(at(99), ""), Tried::Sent);
    sent.await.expect("noted");
    assert_eq!(next().await, [None, Some(at(99))]);
}

async fn whoever_follows_is_told_what_came_of_a_try(open: Open<'_>) {
    let store = open();
    let hook = channel();
    create(&store, &hook).await;
    let message = NewNotification {
        id: random_uuid(random()),
        channel: hook.id,
        body: "{}".to_owned(),
    };
    let alert = firing(None);
    let told = AlertStep::Tell(vec![message.clone()]);
    let applied = store.apply_alerts(at(5), vec![(alert.clone(), told)]);
    applied.await.expect("written");
    for (now, then) in [(5, Tried::Again(at(6))), (6, Tried::Sent)] {
        let noted = note(&*store, message.id, tried(at(now), ""), then);
        noted.await.expect("noted");
    }
    let events = store.events_from(0, 100).await.expect("read").events;
    let told = events.into_iter().filter_map(|stored| {
        let Happening::AlertNotificationUpdated {
            alert: of,
            notification,
            state,
        } = stored.event.what
        else {
            return None;
        };
        // Others than those who see all hosts do not see where alerts are sent.
        assert_eq!(
            (of, notification, stored.event.host),
            (alert.id, message.id, None)
        );
        Some(state)
    });
    assert_eq!(told.collect::<Vec<_>>(), ["waiting", "sent"]);
}

async fn what_is_sent_together_stays_together(open: Open<'_>) {
    let store = open();
    let hook = channel();
    create(&store, &hook).await;
    let host = super::groups::host_in(&*store, "kvm", &[], &[]).await;
    let message = || NewNotification {
        id: random_uuid(random()),
        channel: hook.id,
        body: "{}".to_owned(),
    };
    let mut sent: Vec<_> = (0..3).map(|_| (firing(None), message())).collect();
    sent.push((firing(Some(host)), message()));
    let changes = sent.iter().cloned();
    let changes = changes.map(|(alert, told)| (alert, AlertStep::Tell(vec![told])));
    let applied = store.apply_alerts(at(5), changes.collect());
    applied.await.expect("written");
    let ids: Vec<_> = sent.iter().map(|(_, message)| message.id).collect();
    let batch = random_uuid(random());
    let begin = async |store: &Arc<dyn Store>, ids: &[Uuid], now, next| {
        let begun = store.notifications_begun(ids.to_vec(), Some(batch), at(now), at(next));
        let begun = begun.await.expect("begun").into_iter();
        begun.map(|due| due.id).collect::<Vec<_>>()
    };
    assert_eq!(begin(&store, &ids, 5, 10).await, ids);
    // Nobody can say what came of it: the platform was not there any more. It is the same message again, whole,
    // whatever of it is asked for.
    drop(store);
    let store = open();
    let due = store.due_notifications(hook.id, at(10), 1).await;
    let due = due.expect("read").remove(0);
    assert_eq!((due.batch, due.attempts), (Some(batch), 1));
    assert_eq!(begin(&store, &[due.id], 10, 20).await, ids);
    // What a silence holds is sent by itself.
    let silence = AlertSilence {
        id: AlertSilenceId(random_uuid(random())),
        reason: "work".to_owned(),
        by: "ada".to_owned(),
        created: T0,
        starts: T0,
        ends: at(90),
        matcher: AlertMatcher {
            host: Some(host),
            ..AlertMatcher::default()
        },
    };
    let made = store.create_alert_silence(silence, audit("alert_silence.create").into());
    made.await.expect("made");
    assert_eq!(begin(&store, &ids, 20, 30).await, ids[..3]);
    let noted = store.notifications_tried(ids[..3].to_vec(), tried(at(20), ""), Tried::Sent);
    noted.await.expect("noted");
    for (alert, message) in &sent {
        let found = store.alert(alert.id, at(21), 10).await.expect("read");
        let shown = found.expect("there").1.remove(0);
        let expected = match alert.host {
            None => (batch, SendState::Sent, 1),
            Some(_) => (message.id, SendState::Waiting, 0),
        };
        assert_eq!((shown.id, shown.state, shown.tries.len()), expected);
    }
}
