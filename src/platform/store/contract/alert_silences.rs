//! What every store must do with silences of alerts.

use std::collections::BTreeMap;

use super::alerts::{channel, firing, note, tried};
use super::groups::{group, host_in};
use super::*;
use crate::ids::{AlertChannelId, AlertRuleId, AlertSilenceId, random_uuid};
use crate::platform::events::Happening;
use crate::platform::store::alert_channels::{DueNotification, SendState, Tried};
use crate::platform::store::alert_silences::{AlertMatcher, AlertSilence, SHOWN_AFTER};
use crate::platform::store::alerts::{AlertRecord, AlertState, AlertStep, NewNotification};

contract!(
    silences_are_kept_until_nobody_asks_any_more,
    a_silence_is_for_what_matches_it,
    what_a_silence_holds_is_sent_at_its_end,
    what_is_over_while_silenced_is_not_told,
    who_may_have_been_told_is_told_of_the_end,
);

fn silence(matcher: AlertMatcher) -> AlertSilence {
    AlertSilence {
        id: AlertSilenceId(random_uuid(random())),
        reason: "work".to_owned(),
        by: "ada".to_owned(),
        created: T0,
        starts: at(10),
        ends: at(20),
        matcher,
    }
}

async fn create(store: &Arc<dyn Store>, silence: &AlertSilence) {
    let target = format!("alert_silence:{}", silence.id);
    let audit = Entry::new(T0, "ada", "alert_silence.create", target);
    let made = store.create_alert_silence(silence.clone(), audit.into());
    made.await.expect("made");
}

async fn silenced_until(
    store: &Arc<dyn Store>,
    alert: &AlertRecord,
    now: u64,
) -> Option<UnixMillis> {
    let found = store.alert(alert.id, at(now), 10).await.expect("read");
    found.expect("there").0.silenced_until
}

async fn silences_are_kept_until_nobody_asks_any_more(open: Open<'_>) {
    let store = open();
    let all = AlertMatcher {
        rule: Some(AlertRuleId(random_uuid(random()))),
        host: Some(HostId::random(random())),
        group: Some(crate::ids::GroupId::from(random_uuid(random()))),
        labels: BTreeMap::from([
            ("env".to_owned(), "prod".to_owned()),
            ("site".to_owned(), String::new()),
        ]),
    };
    let (one, other) = (silence(all), silence(AlertMatcher::default()));
    create(&store, &one).await;
    create(&store, &other).await;
    let events = store.events_from(0, 100).await.expect("read").events;
    let what: Vec<_> = events.into_iter().map(|stored| stored.event.what).collect();
    let told = [&one, &other].map(|it| Happening::AlertSilenceUpdated { silence: it.id });
    assert_eq!(what, told);
    let ended = store.end_alert_silence(one.id, at(90), audit("alert_silence.update"));
    ended.await.expect("changed");
    drop(store);
    let store = open();
    let one = AlertSilence {
        ends: at(90),
        ..one
    };
    assert_eq!(
        store.alert_silences().await,
        Ok(vec![one.clone(), other.clone()])
    );
    let unknown = AlertSilenceId(random_uuid(random()));
    let ended = store.end_alert_silence(unknown, at(90), audit("alert_silence.update"));
    assert_eq!(ended.await, Err(StoreError::NotFound));
    let delete = || store.delete_alert_silence(other.id, audit("alert_silence.delete"));
    delete().await.expect("removed");
    assert_eq!(delete().await, Err(StoreError::NotFound));
    let later = AlertSilence {
        created: at(91).plus(SHOWN_AFTER),
        ends: at(92).plus(SHOWN_AFTER),
        ..silence(AlertMatcher::default())
    };
    create(&store, &later).await;
    assert_eq!(store.alert_silences().await, Ok(vec![later]));
}

async fn a_silence_is_for_what_matches_it(open: Open<'_>) {
    let store = open();
    let group = group(&*store, "g").await;
    let said = [("env", "prod"), ("site", "a")];
    let known = host_in(&*store, "kvm", &[group], &said).await;
    let other = host_in(&*store, "other", &[], &[]).await;
    let (of_host, of_other, of_none) = (firing(Some(known)), firing(Some(other)), firing(None));
    let all = [&of_host, &of_other, &of_none];
    let changes = all.map(|alert| (alert.clone(), AlertStep::Keep));
    store
        .apply_alerts(at(5), changes.to_vec())
        .await
        .expect("written");
    let labels = |labels: &[(&str, &str)]| {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        AlertMatcher {
            labels: labels.collect(),
            ..AlertMatcher::default()
        }
    };
    let nothing = AlertMatcher::default;
    for (matcher, expected) in [
        (nothing(), [true, true, true]),
        (
            AlertMatcher {
                host: Some(known),
                ..nothing()
            },
            [true, false, false],
        ),
        (
            AlertMatcher {
                group: Some(group),
                ..nothing()
            },
            [true, false, false],
        ),
        (
            AlertMatcher {
                rule: Some(of_none.rule),
                ..nothing()
            },
            [false, false, true],
        ),
        (
            AlertMatcher {
                rule: Some(of_host.rule),
                host: Some(other),
                ..nothing()
            },
            [false, false, false],
        ),
        (labels(&[("env", "prod")]), [true, false, false]),
        (
            labels(&[("env", "prod"), ("site", "")]),
            [true, false, false],
        ),
        (labels(&[("env", "test")]), [false, false, false]),
        (
            labels(&[("env", "prod"), ("rack", "")]),
            [false, false, false],
        ),
    ] {
        let silence = silence(matcher);
        create(&store, &silence).await;
        for (alert, expected) in all.into_iter().zip(expected) {
            let until = silenced_until(&store, alert, 10).await;
            assert_eq!(until.is_some(), expected, "{:?}", silence.matcher);
            assert_eq!(silenced_until(&store, alert, 9).await, None, "not yet");
            assert_eq!(
                silenced_until(&store, alert, 20).await,
                None,
                "not any more"
            );
        }
        let removed = store.delete_alert_silence(silence.id, audit("alert_silence.delete"));
        removed.await.expect("removed");
    }
    // Of more than one the last end counts.
    let longer = AlertSilence {
        ends: at(30),
        ..silence(nothing())
    };
    for silence in [&longer, &silence(nothing())] {
        create(&store, silence).await;
    }
    assert_eq!(silenced_until(&store, &of_none, 10).await, Some(at(30)));
}

fn message(channel: AlertChannelId) -> NewNotification {
    NewNotification {
        id: random_uuid(random()),
        channel,
        body: "{}".to_owned(),
    }
}

/// A message that was tried so often.
fn waits(message: &NewNotification, attempts: u32) -> DueNotification {
    DueNotification {
        id: message.id,
        body: message.body.clone(),
        attempts,
    }
}

async fn due(store: &Arc<dyn Store>, channel: AlertChannelId, now: u64) -> Vec<DueNotification> {
    let due = store.due_notifications(channel, at(now), 10).await;
    due.expect("read")
}

fn over(alert: &AlertRecord) -> AlertRecord {
    AlertRecord {
        state: AlertState::Resolved,
        resolved: Some(at(15)),
        ..alert.clone()
    }
}

async fn what_a_silence_holds_is_sent_at_its_end(open: Open<'_>) {
    let store = open();
    let hook = channel();
    let made = store.create_alert_channel(hook.clone(), audit("alert_channel.create").into());
    made.await.expect("made");
    let alert = firing(None);
    let (first, end) = (message(hook.id), message(hook.id));
    let told = AlertStep::Tell(vec![first.clone()]);
    store
        .apply_alerts(at(5), vec![(alert.clone(), told)])
        .await
        .expect("written");
    let held = silence(AlertMatcher::default());
    create(&store, &held).await;
    assert_eq!(due(&store, hook.id, 9).await, [waits(&first, 0)]);
    assert_eq!(due(&store, hook.id, 10).await, []);
    assert_eq!(store.next_notification(at(10)).await, Ok(Some(at(20))));
    drop(store);
    let store = open();
    assert_eq!(due(&store, hook.id, 19).await, []);
    assert_eq!(due(&store, hook.id, 20).await, [waits(&first, 0)]);
    let sent = note(&*store, first.id, tried(at(20), ""), Tried::Sent);
    sent.await.expect("noted");
    assert_eq!(due(&store, hook.id, 30).await, [], "once");
    // Who was told is told of the end, whatever is silenced by then.
    let ended = store.end_alert_silence(held.id, at(90), audit("alert_silence.update"));
    ended.await.expect("changed");
    let told = AlertStep::Tell(vec![end.clone()]);
    store
        .apply_alerts(at(40), vec![(over(&alert), told)])
        .await
        .expect("written");
    assert_eq!(due(&store, hook.id, 40).await, [waits(&end, 0)]);
    assert_eq!(silenced_until(&store, &alert, 40).await, None, "it is over");
}

async fn who_may_have_been_told_is_told_of_the_end(open: Open<'_>) {
    let store = open();
    let hook = channel();
    let made = store.create_alert_channel(hook.clone(), audit("alert_channel.create").into());
    made.await.expect("made");
    let alert = firing(None);
    let (first, end) = (message(hook.id), message(hook.id));
    let told = AlertStep::Tell(vec![first.clone()]);
    let applied = store.apply_alerts(at(5), vec![(alert.clone(), told)]);
    applied.await.expect("written");
    // Nobody can say what came of this try: the platform was not there any more.
    assert_eq!(store.notification_begun(first.id, at(9)).await, Ok(true));
    assert_eq!(due(&store, hook.id, 8).await, []);
    create(&store, &silence(AlertMatcher::default())).await;
    let told = AlertStep::Tell(vec![end.clone()]);
    let applied = store.apply_alerts(at(12), vec![(over(&alert), told)]);
    applied.await.expect("written");
    assert_eq!(due(&store, hook.id, 12).await, [waits(&first, 1)]);
    let sent = note(&*store, first.id, tried(at(12), ""), Tried::Sent);
    sent.await.expect("noted");
    assert_eq!(due(&store, hook.id, 12).await, [waits(&end, 0)]);
    let again = store.notification_begun(first.id, at(20)).await;
    assert_eq!(again, Ok(false), "it was sent");
    // Of what was given up nobody knows, and nobody is told that it is over.
    let other = firing(None);
    let (lost, end) = (message(hook.id), message(hook.id));
    let told = AlertStep::Tell(vec![lost.clone()]);
    let applied = store.apply_alerts(at(25), vec![(other.clone(), told)]);
    applied.await.expect("written");
    let given_up = note(&*store, lost.id, tried(at(25), "no"), Tried::GivenUp);
    given_up.await.expect("noted");
    let told = AlertStep::Tell(vec![end.clone()]);
    let applied = store.apply_alerts(at(30), vec![(over(&other), told)]);
    applied.await.expect("written");
    let due = due(&store, hook.id, 30).await;
    assert!(due.iter().all(|due| due.id != end.id), "{due:?}");
}

async fn what_is_over_while_silenced_is_not_told(open: Open<'_>) {
    let store = open();
    let hook = channel();
    let made = store.create_alert_channel(hook.clone(), audit("alert_channel.create").into());
    made.await.expect("made");
    create(&store, &silence(AlertMatcher::default())).await;
    let alert = firing(None);
    for (now, alert) in [(12, alert.clone()), (15, over(&alert))] {
        let told = AlertStep::Tell(vec![message(hook.id)]);
        store
            .apply_alerts(at(now), vec![(alert, told)])
            .await
            .expect("written");
    }
    assert_eq!(due(&store, hook.id, 1000).await, []);
    let (_, sent) = store
        .alert(alert.id, at(30), 10)
        .await
        .expect("read")
        .expect("there");
    let states: Vec<_> = sent.iter().map(|sent| sent.state).collect();
    assert_eq!(states, [SendState::Silenced]);
}
