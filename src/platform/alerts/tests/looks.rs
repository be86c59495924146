//! What one look does, and what it leaves to the next.

use super::*;
use crate::platform::events::{Happening, OfflineReason};
use crate::platform::store::alert_channels::CHANNELS_MAX;

#[tokio::test]
async fn what_waits_is_judged_by_when_it_was_asked() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    fixture.rule("old", Condition::QueueAge(seconds(100))).await;
    let held = AlertRule {
        hold: seconds(100),
        ..rule("held", Condition::QueueDepth(1))
    };
    fixture.rule_of(held).await;
    let host = fixture.host("kvm").await;
    let command = fixture.command(host, fixture.begun.wall).await;
    fixture.look(0).await;
    fixture.look(95).await;
    // It goes before it is old, and something happens to its host before it is asked again what waits for it.
    fixture.sent(command, host).await;
    let offline = Happening::HostOffline {
        reason: OfflineReason::ConnectionEnded,
    };
    let now = fixture.at(101);
    fixture.platform.alerts.happened(now, host, &offline);
    for second in [101, 105, 200] {
        fixture.look(second).await;
        assert_eq!(fixture.shown().await, [], "{second}");
    }
}

#[tokio::test]
async fn what_is_much_is_written_by_several_looks() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    for number in 0..CHANNELS_MAX {
        fixture.channel_of(&format!("hook {number}")).await;
    }
    for number in 0..10 {
        let name = format!("rule {number}");
        fixture.rule(&name, Condition::QueueDepth(1)).await;
    }
    let mut hosts = Vec::new();
    for number in 0..30 {
        hosts.push(fixture.host(&format!("host-{number}")).await);
    }
    fixture.command_to(&hosts, fixture.begun.wall).await;
    let mut moments = Vec::new();
    for second in 0.. {
        let now = fixture.at(second);
        moments.push(now.wall);
        if fixture.look_by(now).await.is_whole {
            break;
        }
    }
    assert!(moments.len() > 1, "not all at once");
    let alerts = fixture.alerts().await;
    assert_eq!(alerts.len(), 300);
    for moment in &moments {
        let then = |alert: &&AlertRecord| alert.fired == Some(*moment);
        assert!(alerts.iter().any(|alert| then(&alert)), "{moment}");
    }
    let told = |alert: &AlertRecord| alert.fired.is_some_and(|at| moments.contains(&at));
    assert!(alerts.iter().all(told));

    // Another process reads all of them, and has nothing to add.
    let begun = fixture.at(100);
    drop(fixture);
    let mut fixture = Fixture::again(dir.path(), begun).await;
    fixture.look(0).await;
    let open = fixture.alerts_in(Some(AlertState::Firing)).await;
    assert_eq!((open.len(), fixture.alerts().await.len()), (300, 300));
}
