//! What every store must do with silences of alerts.

use std::collections::BTreeMap;

use super::alerts::{begun, channel, firing, note, tried};
use super::groups::{group, host_in};
use super::*;
use crate::ids::{AlertChannelId, AlertRuleId, AlertSilenceId, Uuid, random_uuid};
use crate::platform::events::Happening;
use crate::platform::store::alert_channels::{SendState, Tried};
use crate::platform::store::alert_silences::{AlertMatcher, AlertSilence, SHOWN_AFTER};
use crate::platform::store::alerts::{AlertRecord, AlertState, AlertStep, NewNotification};
use crate::platform::store::groups::HostChange;

contract!(
    silences_are_kept_until_nobody_asks_any_more,
    a_silence_that_is_over_stays_so,
    the_beginning_and_the_end_of_a_silence_are_told_once,
    a_silence_is_for_what_matches_it,
    what_a_silence_holds_is_sent_at_its_end,
    what_holds_no_more_frees_what_it_held,
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

/// What is told of a silence; the audit entries here name no group.
fn updated(silence: &AlertSilence) -> Happening {
    Happening::AlertSilenceUpdated {
        silence: silence.id,
        group: None,
    }
}

/// What is told, in order.
async fn told(store: &Arc<dyn Store>) -> Vec<Happening> {
    let events = store.events_from(0, 100).await.expect("read").events;
    events.into_iter().map(|stored| stored.event.what).collect()
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
    assert_eq!(told(&store).await, [&one, &other].map(updated));
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

async fn a_silence_that_is_over_stays_so(open: Open<'_>) {
    let store = open();
    let silence = silence(AlertMatcher::default());
    create(&store, &silence).await;
    let end = async |now| {
        let audit = Entry::new(now, "ada", "alert_silence.update", "alert_silence:x");
        store.end_alert_silence(silence.id, at(90), audit).await
    };
    assert_eq!(end(at(20)).await, Err(StoreError::SilenceOver));
    assert_eq!(store.alert_silences().await.expect("read")[0].ends, at(20));
    assert_eq!(end(at(19)).await, Ok(()));
    assert_eq!(store.alert_silences().await.expect("read")[0].ends, at(90));
}

async fn the_beginning_and_the_end_of_a_silence_are_told_once(open: Open<'_>) {
    let store = open();
    let group = group(&*store, "g").await;
    let later = silence(AlertMatcher {
        group: Some(group),
        ..AlertMatcher::default()
    });
    let at_once = AlertSilence {
        starts: T0,
        ..silence(AlertMatcher::default())
    };
    create(&store, &later).await;
    create(&store, &at_once).await;
    let before = told(&store).await.len();
    assert_eq!(store.next_notification(T0).await, Ok(Some(at(10))));
    for second in [9, 10, 11] {
        store.tell_silences(at(second)).await.expect("told");
    }
    assert_eq!(store.next_notification(at(10)).await, Ok(Some(at(20))));
    let of_group = Happening::AlertSilenceUpdated {
        silence: later.id,
        group: Some(group),
    };
    let begins = told(&store).await.split_off(before);
    assert_eq!(begins, std::slice::from_ref(&of_group));
    drop(store);
    let store = open();
    for second in [19, 20, 21] {
        store.tell_silences(at(second)).await.expect("told");
    }
    let ends = told(&store).await.split_off(before + 1);
    assert_eq!(ends.len(), 2, "{ends:?}");
    assert!(ends.contains(&of_group) && ends.contains(&updated(&at_once)));
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
const fn waits(message: &NewNotification, attempts: u32) -> (Uuid, u32) {
    (message.id, attempts)
}

/// Begins to try what is due, and answers what a silence holds of it.
async fn held(store: &Arc<dyn Store>, channel: AlertChannelId, now: u64) -> usize {
    let mut held = 0;
    for (due, _) in due(store, channel, now).await {
        let sent = begun(&**store, due, at(now), at(now + 1000));
        held += usize::from(!sent.await.expect("begun"));
    }
    held
}

async fn due(store: &Arc<dyn Store>, channel: AlertChannelId, now: u64) -> Vec<(Uuid, u32)> {
    let due = store.due_notifications(channel, at(now), 10).await;
    let due = due.expect("read").into_iter();
    due.map(|due| (due.id, due.attempts)).collect()
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
    let silence = silence(AlertMatcher::default());
    create(&store, &silence).await;
    assert_eq!(due(&store, hook.id, 9).await, [waits(&first, 0)]);
    // It is seen as it would be tried; what comes while there is a silence is held from the beginning.
    assert_eq!(held(&store, hook.id, 10).await, 1);
    let other = firing(None);
    let second = message(hook.id);
    let told = AlertStep::Tell(vec![second.clone()]);
    let applied = store.apply_alerts(at(11), vec![(other, told)]);
    applied.await.expect("written");
    assert_eq!(due(&store, hook.id, 11).await, []);
    assert_eq!(store.next_notification(at(11)).await, Ok(Some(at(20))));
    drop(store);
    let store = open();
    assert_eq!(due(&store, hook.id, 19).await, []);
    let both = [waits(&first, 0), waits(&second, 0)];
    assert_eq!(due(&store, hook.id, 20).await, both);
    for message in [&first, &second] {
        let sent = note(&*store, message.id, tried(at(20), ""), Tried::Sent);
        sent.await.expect("noted");
    }
    assert_eq!(due(&store, hook.id, 30).await, [], "once");
    // Who was told is told of the end, whatever is silenced by then.
    let ended = store.end_alert_silence(silence.id, at(90), audit("alert_silence.update"));
    ended.await.expect("changed");
    let told = AlertStep::Tell(vec![end.clone()]);
    store
        .apply_alerts(at(40), vec![(over(&alert), told)])
        .await
        .expect("written");
    assert_eq!(due(&store, hook.id, 40).await, [waits(&end, 0)]);
    assert_eq!(silenced_until(&store, &alert, 40).await, None, "it is over");
}

async fn what_holds_no_more_frees_what_it_held(open: Open<'_>) {
    let store = open();
    let hook = channel();
    let made = store.create_alert_channel(hook.clone(), audit("alert_channel.create").into());
    made.await.expect("made");
    let of = group(&*store, "g").await;
    let host = host_in(&*store, "kvm", &[of], &[("env", "prod")]).await;
    let first = message(hook.id);
    let told = AlertStep::Tell(vec![first.clone()]);
    let applied = store.apply_alerts(at(5), vec![(firing(Some(host)), told)]);
    applied.await.expect("written");
    let nothing = AlertMatcher::default;
    // It is over sooner or later than it was to be, and it is removed.
    let one = silence(nothing());
    create(&store, &one).await;
    assert_eq!(held(&store, hook.id, 10).await, 1);
    for ends in [90, 15] {
        let ended = store.end_alert_silence(one.id, at(ends), audit("alert_silence.update"));
        ended.await.expect("changed");
        assert_eq!(due(&store, hook.id, ends - 1).await, []);
        assert_eq!(due(&store, hook.id, ends).await, [waits(&first, 0)]);
    }
    let removed = store.delete_alert_silence(one.id, audit("alert_silence.delete"));
    removed.await.expect("removed");
    assert_eq!(due(&store, hook.id, 10).await, [waits(&first, 0)]);
    // Its host is another by now.
    let labels = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    let labels = AlertMatcher {
        labels,
        ..nothing()
    };
    create(&store, &silence(labels)).await;
    assert_eq!(held(&store, hook.id, 10).await, 1);
    let change = HostChange {
        name: None,
        labels: Some(BTreeMap::new()),
        groups: None,
    };
    let changed = store.update_host(host, None, change, audit("host.update"));
    changed.await.expect("changed");
    assert_eq!(due(&store, hook.id, 10).await, [waits(&first, 0)]);
    // The group is no more.
    let for_group = AlertMatcher {
        group: Some(of),
        ..nothing()
    };
    create(&store, &silence(for_group)).await;
    assert_eq!(held(&store, hook.id, 10).await, 1);
    let removed = store.delete_group(of, None, audit("group.delete"));
    removed.await.expect("removed");
    assert_eq!(due(&store, hook.id, 10).await, [waits(&first, 0)]);
    assert_eq!(held(&store, hook.id, 10).await, 0);
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
    assert_eq!(begun(&*store, first.id, at(5), at(9)).await, Ok(true));
    assert_eq!(due(&store, hook.id, 8).await, []);
    create(&store, &silence(AlertMatcher::default())).await;
    assert_eq!(held(&store, hook.id, 10).await, 1);
    let told = AlertStep::Tell(vec![end.clone()]);
    let applied = store.apply_alerts(at(12), vec![(over(&alert), told)]);
    applied.await.expect("written");
    assert_eq!(due(&store, hook.id, 12).await, [waits(&first, 1)]);
    let sent = note(&*store, first.id, tried(at(12), ""), Tried::Sent);
    sent.await.expect("noted");
    assert_eq!(due(&store, hook.id, 12).await, [waits(&end, 0)]);
    let again = begun(&*store, first.id, at(12), at(20)).await;
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
    assert!(due.iter().all(|(id, _)| *id != end.id), "{due:?}");
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
