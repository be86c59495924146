//! What a look costs with many hosts.

use std::time::Instant;

use super::tests::{Fixture, seconds};
use crate::ids::HostId;
use crate::platform::store::alert_rules::Condition;
use crate::secret::random;

/// What `watch` says of it. Run it with `--ignored --nocapture`: making the hosts takes a while.
#[tokio::test]
#[ignore = "it makes 20,000 hosts, to measure"]
async fn a_look_at_many_hosts_is_cheap() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fixture = Fixture::new(dir.path()).await;
    fixture.channel().await;
    let conditions = [
        Condition::HostOffline(seconds(600)),
        Condition::HostOffline(seconds(6000)),
        Condition::HostFlapping(5, seconds(600)),
        Condition::HostDisk(90),
        Condition::HostDisk(95),
        Condition::CertificateEnds(seconds(1000)),
        Condition::CertificateEnds(seconds(10_000)),
        Condition::QueueDepth(10),
        Condition::QueueAge(seconds(1000)),
        Condition::DeadLetters(1),
    ];
    for (number, condition) in conditions.into_iter().enumerate() {
        fixture.rule(&format!("rule {number}"), condition).await;
    }
    let mut hosts = Vec::new();
    for _ in 0..20_000 / 250 {
        let some = (0..250).map(|_| async {
            fixture
                .host(&HostId::random(random()).to_string()[..8])
                .await
        });
        hosts.extend(futures_util::future::join_all(some).await);
    }
    let seen = hosts.iter().map(|host| (*host, fixture.begun.wall));
    let noted = fixture.platform.store.hosts_seen(seen.collect());
    noted.await.expect("noted");
    let mut measure = async |what: &str, second: u64| {
        let begun = Instant::now();
        fixture.look(second).await;
        println!("{what}: {:?}", begun.elapsed());
    };
    measure("the first, with all hosts read", 0).await;
    measure("one at which nothing has changed", 1).await;
    measure("one that asks the platform and what waits", 12).await;
    measure("one at all hosts, by time", 300).await;
    measure("one by which 20,000 alerts fire", 601).await;
    measure("one at which nothing has changed, with those open", 602).await;
    assert_eq!(fixture.alerts().await.len(), 1000, "as many as are read");
}
