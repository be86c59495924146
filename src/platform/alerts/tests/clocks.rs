//! The clock of people is set ahead and back, also over a restart: what is counted goes on as if it were not.

use super::*;
use crate::platform::events::{Happening, OfflineReason};

const HOUR: i64 = 60 * 60;
const YEAR: i64 = 366 * 24 * HOUR;

impl Fixture {
    /// So many seconds after the beginning, with the clock of people ahead by so many.
    fn by(&self, ahead: i64, seconds: u64) -> Now {
        let now = self.at(seconds);
        let wall = now.wall.0.saturating_add_signed(ahead * 1000);
        Now {
            wall: UnixMillis(wall),
            ..now
        }
    }

    /// Looks at such moments, and says what is shown at the last of them.
    async fn look_at(&mut self, moments: &[(i64, u64)]) -> Vec<(String, bool)> {
        for (ahead, seconds) in moments {
            let now = self.by(*ahead, *seconds);
            assert!(self.look_by(now).await.is_whole);
        }
        self.shown().await
    }

    /// The platform after a start at such a moment.
    async fn restarted(self, dir: &Path, begun: Now) -> Self {
        drop(self);
        Self::again(dir, begun).await
    }
}

fn offline() -> Happening {
    Happening::HostOffline {
        reason: OfflineReason::ConnectionEnded,
    }
}

fn online() -> Happening {
    Happening::HostOnline {
        address: "192.0.2.1:9".to_owned(),
        software: "agent".to_owned(),
    }
}

#[tokio::test]
async fn a_clock_that_is_set_neither_shortens_nor_stretches_a_hold() {
    for leap in [YEAR, -HOUR] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut fixture = Fixture::new(dir.path()).await;
        let full = AlertRule {
            hold: seconds(60),
            ..rule("full", Condition::PlatformStorage(0))
        };
        let full = fixture.rule_of(full).await;
        let pending = fixture.look_at(&[(0, 0), (leap, 10), (leap, 50)]).await;
        assert_eq!(pending, [], "{leap}");
        assert_eq!(fixture.look_at(&[(leap, 60)]).await, [firing("full")]);
        fixture.look_at(&[(0, 70)]).await;
        // It does not hold any more.
        let condition = Condition::PlatformStorage(101);
        fixture.update(AlertRule { condition, ..full }).await;
        let clear = fixture.look_at(&[(0, 80), (leap, 90), (leap, 130)]).await;
        assert_eq!(clear, [firing("full")], "{leap}");
        assert_eq!(fixture.look_at(&[(leap, 140)]).await, [over("full")]);
    }
}

#[tokio::test]
async fn a_hold_over_a_restart_lasts_no_longer_than_anew() {
    // How far the clock is ahead of itself before the restart and after it, and when it fires after that.
    for (before, after, fires) in [(0, 0, 30), (0, -HOUR, 60), (YEAR, 0, 60), (0, YEAR, 0)] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut fixture = Fixture::new(dir.path()).await;
        let full = AlertRule {
            hold: seconds(60),
            ..rule("full", Condition::PlatformStorage(0))
        };
        fixture.rule_of(full).await;
        fixture.look_at(&[(before, 0), (before, 20)]).await;
        let begun = fixture.by(after, 30);
        fixture = fixture.restarted(dir.path(), begun).await;
        if fires > 0 {
            let early = fixture.look_at(&[(0, 0), (0, fires - 10)]).await;
            assert_eq!(early, [], "{before} {after}");
        }
        let shown = fixture.look_at(&[(0, fires)]).await;
        assert_eq!(shown, [firing("full")], "{before} {after}");
    }
}

#[tokio::test]
async fn what_was_counted_outlives_a_store_that_fails() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    let full = AlertRule {
        hold: seconds(60),
        ..rule("full", Condition::PlatformStorage(0))
    };
    let full = fixture.rule_of(full).await;
    fixture.look_at(&[(0, 0)]).await;
    fixture.watch.lose();
    assert_eq!(fixture.look_at(&[(YEAR, 10), (YEAR, 59)]).await, []);
    fixture.watch.lose();
    assert_eq!(fixture.look_at(&[(0, 60)]).await, [firing("full")]);
    let condition = Condition::PlatformStorage(101);
    fixture.update(AlertRule { condition, ..full }).await;
    fixture.look_at(&[(0, 70)]).await;
    fixture.watch.lose();
    assert_eq!(fixture.look_at(&[(0, 129)]).await, [firing("full")]);
    fixture.watch.lose();
    assert_eq!(fixture.look_at(&[(0, 130)]).await, [over("full")]);
}

#[tokio::test]
async fn a_host_is_away_for_as_long_as_it_is() {
    for leap in [YEAR, -HOUR] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut fixture = Fixture::new(dir.path()).await;
        fixture
            .rule("gone", Condition::HostOffline(seconds(600)))
            .await;
        fixture
            .rule("flapping", Condition::HostFlapping(2, seconds(600)))
            .await;
        let host = fixture.host("kvm").await;
        fixture.look_at(&[(0, 0)]).await;
        let happens = |fixture: &Fixture, ahead, second, what: &Happening| {
            let now = fixture.by(ahead, second);
            fixture.platform.alerts.happened(now, host, what);
        };
        happens(&fixture, 0, 10, &offline());
        let early = fixture.look_at(&[(0, 10), (leap, 20), (leap, 609)]).await;
        assert_eq!(early, [], "{leap}");
        assert_eq!(fixture.look_at(&[(leap, 610)]).await, [firing("gone")]);
        assert_eq!(fixture.look_at(&[(0, 611)]).await, [firing("gone")]);
        // It comes back twice within the time, and the clock is set in between.
        happens(&fixture, 0, 700, &online());
        happens(&fixture, leap, 800, &offline());
        happens(&fixture, leap, 900, &online());
        let shown = [over("gone"), firing("flapping")];
        assert_eq!(fixture.look_at(&[(leap, 900)]).await, shown, "{leap}");
        assert_eq!(fixture.look_at(&[(0, 1300)]).await, shown, "{leap}");
        let shown = [over("gone"), over("flapping")];
        assert_eq!(fixture.look_at(&[(0, 1301)]).await, shown, "{leap}");
    }
}

#[tokio::test]
async fn a_host_that_is_away_is_so_where_the_clock_went_back_over_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    fixture.channel().await;
    fixture
        .rule("gone", Condition::HostOffline(seconds(600)))
        .await;
    let host = fixture.host("kvm").await;
    let seen = vec![(host, fixture.begun.wall)];
    let noted = fixture.platform.store.hosts_seen(seen);
    noted.await.expect("noted");
    let shown = fixture.look_at(&[(0, 0), (0, 599), (0, 600)]).await;
    assert_eq!(shown, [firing("gone")]);
    let begun = fixture.by(-HOUR, 700);
    fixture = fixture.restarted(dir.path(), begun).await;
    for second in [0, 400, 599, 601, 5000] {
        let shown = fixture.look_at(&[(0, second)]).await;
        assert_eq!(shown, [firing("gone")], "{second}");
    }
    assert_eq!(fixture.messages().await.len(), 1);
    // Another start finds the clock right, and the host is there.
    let begun = fixture.by(HOUR, 5100);
    fixture = fixture.restarted(dir.path(), begun).await;
    assert_eq!(fixture.look_at(&[(0, 0)]).await, [firing("gone")]);
    let now = fixture.by(0, 10);
    for what in [online(), offline()] {
        fixture.platform.alerts.happened(now, host, &what);
    }
    assert_eq!(fixture.look_at(&[(0, 11)]).await, [over("gone")]);
}

#[tokio::test]
async fn what_only_the_clock_says_waits_until_it_goes_on() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    fixture
        .rule("old", Condition::QueueAge(seconds(86_400)))
        .await;
    let host = fixture.host("kvm").await;
    fixture.command(host, fixture.begun.wall).await;
    // Ahead, and put right after a minute.
    let leap = [(0, 0), (YEAR, 20), (YEAR, 70), (0, 80), (0, 679), (0, 2000)];
    assert_eq!(fixture.look_at(&leap).await, []);
    // Ahead for good.
    let leap = [(YEAR, 2010), (YEAR, 2600)];
    assert_eq!(fixture.look_at(&leap).await, []);
    assert_eq!(fixture.look_at(&[(YEAR, 2611)]).await, [firing("old")]);
    // What fires stays as it is meanwhile, too.
    let back = [(0, 2630), (0, 3200)];
    assert_eq!(fixture.look_at(&back).await, [firing("old")]);
    assert_eq!(fixture.look_at(&[(0, 3241)]).await, [over("old")]);
}

#[tokio::test]
async fn an_alert_goes_by_its_rule_as_that_is() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    let gone = fixture
        .rule("gone", Condition::HostOffline(seconds(600)))
        .await;
    let of = |span| AlertRule {
        condition: Condition::HostOffline(seconds(span)),
        ..gone.clone()
    };
    let host = fixture.host("kvm").await;
    let seen = vec![(host, fixture.begun.wall)];
    let noted = fixture.platform.store.hosts_seen(seen);
    noted.await.expect("noted");
    assert_eq!(fixture.look_at(&[(0, 0), (0, 600)]).await, [firing("gone")]);
    // It asks for more: it does not hold, and once it does there is an alert that says so.
    fixture.update(of(3600)).await;
    assert_eq!(fixture.look_at(&[(0, 700)]).await, [over("gone")]);
    assert_eq!(fixture.look_at(&[(0, 3599)]).await, [over("gone")]);
    let shown = fixture.look_at(&[(0, 3600)]).await;
    assert_eq!(shown, [over("gone"), firing("gone")]);
    // The same over a restart.
    let begun = fixture.at(3700);
    fixture = fixture.restarted(dir.path(), begun).await;
    fixture.update(of(36_000)).await;
    let shown = fixture.look_at(&[(0, 0), (0, 1000)]).await;
    assert_eq!(shown, [over("gone"), over("gone")]);
    // It asks for less: it holds at once.
    fixture.update(of(60)).await;
    let shown = fixture.look_at(&[(0, 1001)]).await;
    assert_eq!(shown, [over("gone"), over("gone"), firing("gone")]);
}
