//! What every store must do about deliveries: their order, and how they go on.

use super::super::commands::*;
use super::super::deliveries::*;
use super::*;
use crate::ids::{CommandId, HostId};

contract!(
    a_command_is_kept_with_its_deliveries,
    a_host_has_its_commands_in_order,
    a_delivery_only_goes_on,
    what_is_sent_once_is_not_sent_again,
);

pub(super) async fn hosts(store: &dyn Store, count: usize) -> Vec<HostId> {
    let mut ids = Vec::new();
    for n in 0..count {
        let host = host(&format!("host-{n}"));
        ids.push(host.id);
        let change = audit("host.create").into();
        store.create_host(host, change).await.expect("made");
    }
    ids
}

pub(super) fn command(hosts: &[HostId]) -> NewCommand {
    NewCommand {
        id: CommandId::random(random()),
        kind: "script".to_owned(),
        parameters: vec![1, 2, 3],
        timeout_seconds: 60,
        priority: Priority::Normal,
        user: "ada".to_owned(),
        created: T0,
        expires: Some(at(100)),
        not_before: None,
        plan: Default::default(),
        targets: r#"{"hosts":["a"]}"#.to_owned(),
        redrive_of: None,
        hosts: hosts.iter().copied().map(Into::into).collect(),
    }
}

pub(super) fn change(command: &NewCommand) -> Change {
    let target = format!("command:{}", command.id);
    let audit = Entry::new(T0, "ada", "command.create", target);
    audit.detail("command_type", command.kind.as_str()).into()
}

pub(super) async fn create(store: &dyn Store, command: &NewCommand) -> CommandId {
    let made = store.create_command(command.clone(), change(command)).await;
    made.expect("made");
    command.id
}

pub(super) async fn apply(
    store: &dyn Store,
    command: CommandId,
    host: HostId,
    step: Step,
) -> Applied {
    let transition = Transition {
        command,
        host,
        at: at(7),
        step,
    };
    let applied = store.apply(vec![transition]).await.expect("applied");
    applied[0]
}

pub(super) fn ended(state: DeliveryState) -> Step {
    Step::Ended(Box::new(End::new(state, "because", "of this")))
}

pub(super) async fn state(
    store: &dyn Store,
    command: CommandId,
    host: HostId,
) -> (DeliveryState, String) {
    let found = store.delivery(command, host).await.expect("read");
    let record = found.expect("there").record;
    (record.state, record.reason)
}

/// What waits for a host: ids, and the places.
pub(super) async fn due(store: &dyn Store, host: HostId, now: UnixMillis) -> Vec<(CommandId, u64)> {
    let due = store
        .due(host, now, false, 10)
        .await
        .expect("read")
        .deliveries;
    due.iter().map(|due| (due.command, due.sequence)).collect()
}

async fn a_command_is_kept_with_its_deliveries(open: Open<'_>) {
    let store = open();
    let hosts = hosts(&*store, 3).await;
    let new = command(&hosts);
    create(&*store, &new).await;
    let gone = HostId::random(random());
    let lost = command(&[hosts[0], gone]);
    let refused = store.create_command(lost.clone(), change(&lost)).await;
    assert_eq!(refused, Err(StoreError::NotFound));
    drop(store);
    let store = open();
    assert_eq!(store.command(lost.id).await, Ok(None), "all of it or none");
    let kept = store.command(new.id).await.expect("read").expect("there");
    let mut counts = Counts::default();
    counts.0[DeliveryState::Queued as usize] = 3;
    let expected = CommandRecord {
        id: new.id,
        kind: new.kind,
        parameters: new.parameters,
        timeout_seconds: new.timeout_seconds,
        priority: new.priority,
        user: new.user,
        created: new.created,
        expires: new.expires,
        not_before: None,
        plan: Default::default(),
        waves: None,
        targets: new.targets,
        redrive_of: None,
        counts,
        finished: None,
    };
    assert_eq!(kept, expected);
    assert_eq!((counts.total(), counts.open()), (3, 3));
    // In the middle of it, and when all have ended.
    for (n, host) in hosts.iter().enumerate() {
        let applied = apply(&*store, new.id, *host, ended(DeliveryState::Succeeded)).await;
        assert_eq!(applied, Applied::Made(DeliveryState::Succeeded));
        let kept = store.command(new.id).await.expect("read").expect("there");
        assert_eq!(kept.counts.of(DeliveryState::Succeeded), n as u64 + 1);
        assert_eq!(kept.finished, (n == 2).then_some(at(7)));
    }
    let events = store.events_from(0, 100).await.expect("read").events;
    let delivered = events.iter().filter(|stored| {
        let kind = stored.event.what.kind();
        kind == crate::platform::events::Kind::DeliveryUpdated && stored.event.host.is_some()
    });
    assert_eq!(delivered.count(), 6, "each change is an event");
    assert_eq!(
        store.audit_after(0, 100).await.expect("read").entries.len(),
        4
    );
}

async fn a_host_has_its_commands_in_order(open: Open<'_>) {
    let store = open();
    let hosts = hosts(&*store, 2).await;
    let host = hosts[0];
    let mut ids = Vec::new();
    for priority in [
        Priority::Low,
        Priority::Normal,
        Priority::High,
        Priority::Normal,
    ] {
        let new = NewCommand {
            priority,
            ..command(&hosts)
        };
        ids.push(create(&*store, &new).await);
    }
    let later = NewCommand {
        priority: Priority::High,
        not_before: Some(at(50)),
        ..command(&[host])
    };
    create(&*store, &later).await;
    let order = [(ids[2], 3), (ids[1], 2), (ids[3], 4), (ids[0], 1)];
    assert_eq!(due(&*store, host, at(1)).await, order);
    let found = store.due(host, at(1), false, 10).await.expect("read");
    assert_eq!((found.next_due, found.drained), (Some(at(50)), false));
    let found = store.due(host, at(50), false, 2).await.expect("read");
    assert_eq!(found.deliveries[1].command, later.id);
    assert_eq!((found.next_due, found.drained), (None, false));
    assert!(
        store
            .due(host, at(50), false, 5)
            .await
            .expect("read")
            .drained
    );
    let nobody = store.due(HostId::random(random()), at(1), false, 9).await;
    assert!(nobody.expect("read").drained);

    // What is sent at once takes its place too.
    let sent = NewDelivery {
        host,
        start: DeliveryStart::Sent { once: false },
    };
    let now = NewCommand {
        hosts: vec![sent, hosts[1].into()],
        ..command(&[])
    };
    let assigned = store.create_command(now.clone(), change(&now)).await;
    let expected = Assigned {
        host,
        sequence: 6,
        settled_sequence: 0,
    };
    assert_eq!(assigned, Ok(vec![expected]));
    let under_way = store.under_way(host, 10).await.expect("read");
    let [sent] = &under_way.deliveries[..] else {
        panic!("one was sent: {under_way:?}");
    };
    assert_eq!((sent.command, sent.sequence), (now.id, 6));
    assert_eq!(sent.state, DeliveryState::Sent);
    // All up to the first that has not ended is settled.
    for id in [ids[0], ids[1], ids[3]] {
        apply(&*store, id, host, ended(DeliveryState::Failed)).await;
    }
    let settled = async || {
        store
            .under_way(host, 1)
            .await
            .expect("read")
            .settled_sequence
    };
    assert_eq!(settled().await, 2);
    apply(&*store, ids[2], host, ended(DeliveryState::Failed)).await;
    assert_eq!(settled().await, 4);
    apply(&*store, later.id, host, ended(DeliveryState::Failed)).await;
    apply(&*store, now.id, host, ended(DeliveryState::Failed)).await;
    assert_eq!(settled().await, 6);
}

async fn a_delivery_only_goes_on(open: Open<'_>) {
    let store = open();
    let host = hosts(&*store, 1).await[0];
    let id = create(&*store, &command(&[host])).await;
    let retry = |second| Step::Retry {
        next_attempt: at(second),
        reason: "not_acknowledged",
    };
    let response = Step::Ended(Box::new(End {
        state: DeliveryState::Failed,
        reason: "timed_out".to_owned(),
        detail: "it ran too long".to_owned(),
        started: Some(at(3)),
        response: Some(vec![9; 1000]),
    }));
    use Applied::{Made, Unchanged};
    use DeliveryState::{Failed, Queued, Received, Running, Sent};
    for (step, expected) in [
        (retry(1), Unchanged(Queued)),
        (Step::Progress(1), Unchanged(Queued)),
        (Step::Sent { once: false }, Made(Sent)),
        (Step::Sent { once: false }, Unchanged(Sent)),
        (retry(9), Made(Sent)),
        (Step::Running, Made(Running)),
        (Step::Received, Unchanged(Running)),
        (retry(9), Unchanged(Running)),
        (Step::Progress(40), Made(Running)),
        (response, Made(Failed)),
        (Step::Progress(50), Unchanged(Failed)),
        (ended(DeliveryState::Succeeded), Unchanged(Failed)),
        (Step::Received, Unchanged(Failed)),
    ] {
        assert_eq!(
            apply(&*store, id, host, step.clone()).await,
            expected,
            "{step:?}"
        );
    }
    let other = CommandId::random(random());
    assert_eq!(
        apply(&*store, other, host, Step::Received).await,
        Applied::Unknown
    );
    let detail = store
        .delivery(id, host)
        .await
        .expect("read")
        .expect("there");
    let record = detail.record;
    assert_eq!((record.attempts, record.progress), (1, Some(40)));
    assert_eq!((record.started, record.ended), (Some(at(3)), Some(at(7))));
    assert_eq!(
        (&*record.reason, &*record.detail),
        ("timed_out", "it ran too long")
    );
    assert_eq!(record.next_attempt, None);
    assert_eq!(record.epoch, store.epoch());
    assert_eq!(detail.response, Some(vec![9; 1000]));
    let history: Vec<_> = detail
        .history
        .iter()
        .map(|entry| (entry.state, &*entry.reason, entry.attempt))
        .collect();
    let expected = [
        (Sent, "", 0),
        (Sent, "not_acknowledged", 1),
        (Running, "", 1),
        (Failed, "timed_out", 1),
    ];
    assert_eq!(history, expected);
    // Whole paths may be skipped, in one go and beside others.
    let steps = [Step::Received, ended(Failed), Step::Running];
    let id = create(&*store, &command(&[host])).await;
    let steps = steps.map(|step| Transition {
        command: id,
        host,
        at: at(8),
        step,
    });
    let applied = store.apply(steps.into()).await;
    assert_eq!(
        applied,
        Ok(vec![Made(Received), Made(Failed), Unchanged(Failed)])
    );
    let counts = store
        .command(id)
        .await
        .expect("read")
        .expect("there")
        .counts;
    assert_eq!((counts.of(Failed), counts.total()), (1, 1));
}

async fn what_is_sent_once_is_not_sent_again(open: Open<'_>) {
    let store = open();
    let host = hosts(&*store, 1).await[0];
    let mut ids = Vec::new();
    for once in [true, false, true] {
        let id = create(&*store, &command(&[host])).await;
        apply(&*store, id, host, Step::Sent { once }).await;
        ids.push(id);
    }
    assert_eq!(store.interrupt_unjournalled(at(9), 1).await, Ok(1));
    assert_eq!(store.interrupt_unjournalled(at(9), 9).await, Ok(1));
    assert_eq!(store.interrupt_unjournalled(at(9), 9).await, Ok(0));
    let lost = (DeliveryState::Interrupted, "connection_lost".to_owned());
    assert_eq!(state(&*store, ids[0], host).await, lost);
    assert_eq!(state(&*store, ids[1], host).await.0, DeliveryState::Sent);
}
