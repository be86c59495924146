//! What every store must do with the history of hosts.

use super::*;
use crate::platform::store::health::{Figures, Gauge, HealthQuery, HealthRow, Step};

/// A minute in which this many reports came, each with this load.
fn minute(host: HostId, number: u64, reports: u64, cpu: f64) -> HealthRow {
    let mut figures = Figures {
        reports,
        online_seconds: 60,
        reconnects: 1,
        bytes_from_agent: 100,
        bytes_to_agent: 50,
        ..Figures::default()
    };
    for _ in 0..reports {
        figures.measure(Gauge::Cpu, cpu);
    }
    HealthRow {
        host,
        at: Step::Minute.begin(number),
        figures,
    }
}

async fn read(store: &dyn Store, host: HostId, step: Step, count: usize) -> Vec<HealthRow> {
    let query = HealthQuery {
        host,
        step,
        since: T0,
        until: at(24 * 3600),
        count,
    };
    store.health(query).await.expect("read")
}

async fn two_hosts(store: &dyn Store) -> [HostId; 2] {
    let hosts = [host("a"), host("b")];
    for host in &hosts {
        let change = audit("host.create").into();
        store.create_host(host.clone(), change).await.expect("made");
    }
    hosts.map(|host| host.id)
}

contract!(
    minutes_add_up_at_every_step,
    old_health_is_removed_step_by_step,
    what_is_asked_of_health_is_bounded,
);

async fn minutes_add_up_at_every_step(open: Open<'_>) {
    let store = open();
    let [one, other] = two_hosts(&*store).await;
    let first = Step::Quarter.number(at(3600)) * 15;
    let rows = vec![
        minute(one, first, 4, 10.0),
        minute(other, first, 1, 99.0),
        minute(one, first + 1, 2, 40.0),
        minute(HostId::random(random()), first, 1, 1.0),
    ];
    store.put_health(rows).await.expect("written");
    drop(store);

    // In another transaction, over a restart, and in part of a minute that was there before.
    let store = open();
    let rows = vec![
        minute(one, first + 1, 2, 0.0),
        minute(one, first + 15, 1, 5.0),
    ];
    store.put_health(rows).await.expect("written");
    let minutes = read(&*store, one, Step::Minute, 1440).await;
    let shown = minutes
        .iter()
        .map(|row| (Step::Minute.number(row.at), row.figures.reports));
    let expected = [(first, 4), (first + 1, 4), (first + 15, 1)];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    let quarters = read(&*store, one, Step::Quarter, 1440).await;
    let [quarter, next] = &quarters[..] else {
        panic!("two quarters: {quarters:?}");
    };
    assert_eq!((quarter.at, next.at), (minutes[0].at, minutes[2].at));
    let figures = &quarter.figures;
    assert_eq!((figures.reports, figures.online_seconds), (8, 180));
    let bytes = (figures.bytes_from_agent, figures.bytes_to_agent);
    assert_eq!((figures.reconnects, bytes), (3, (300, 150)));
    let cpu = figures.of(Gauge::Cpu).expect("measured");
    assert_eq!((cpu.mean(Gauge::Cpu), cpu.max(Gauge::Cpu)), (15.0, 40.0));
    assert_eq!(figures.of(Gauge::Disk), None);
    let hours = read(&*store, one, Step::ThreeHours, 100).await;
    let reports: Vec<_> = hours.iter().map(|row| row.figures.reports).collect();
    assert_eq!(reports.iter().sum::<u64>(), 9);
    let others = read(&*store, other, Step::Minute, 1440).await;
    assert_eq!(others, [minute(other, first, 1, 99.0)]);
}

async fn old_health_is_removed_step_by_step(open: Open<'_>) {
    let store = open();
    let [one, other] = two_hosts(&*store).await;
    let first = Step::ThreeHours.number(at(10_800)) * 180;
    let rows = (0..10).flat_map(|n| {
        [
            minute(one, first + n, 1, 0.0),
            minute(other, first + n, 1, 0.0),
        ]
    });
    store.put_health(rows.collect()).await.expect("written");
    let before = Step::Minute.begin(first + 4);
    for (count, expected) in [(5, 5), (5, 3), (5, 0)] {
        let removed = store.remove_health(Step::Minute, before, count).await;
        assert_eq!(removed, Ok(expected));
    }
    assert_eq!(read(&*store, one, Step::Minute, 1440).await.len(), 6);
    assert_eq!(read(&*store, one, Step::Quarter, 1440).await.len(), 1);
    // A piece of time is kept as long as its end is.
    let removed = store.remove_health(Step::Quarter, before, 100).await;
    assert_eq!(removed, Ok(0));
}

async fn what_is_asked_of_health_is_bounded(open: Open<'_>) {
    let store = open();
    let [one, _] = two_hosts(&*store).await;
    let first = Step::Minute.number(T0);
    let rows = (0..100).map(|n| minute(one, first + n * 2, 1, 0.0));
    store.put_health(rows.collect()).await.expect("written");
    assert_eq!(read(&*store, one, Step::Minute, 20).await.len(), 10);
    let query = HealthQuery {
        host: one,
        step: Step::Minute,
        since: UnixMillis(u64::MAX),
        until: UnixMillis(u64::MAX),
        count: 4000,
    };
    assert_eq!(store.health(query).await, Ok(Vec::new()));
    let unknown = HostId::random(random());
    assert_eq!(read(&*store, unknown, Step::Minute, 20).await, []);
}
