//! Followers over a real store: nothing is missed, nothing is told that may not be seen, and nobody is
//! waited for.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::audit::Entry;
use crate::audit::seal::AuditKey;
use crate::clock::UnixMillis;
use crate::ids::{AlertSilenceId, GroupId, HostId, Uuid};
use crate::platform::store::{SqliteStore, Store};
use crate::wire::api::Health;

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One who may see some hosts, which may change.
#[derive(Clone, Default)]
struct Eyes {
    /// Sees everything where it is none.
    hosts: Option<Arc<Mutex<HashSet<HostId>>>>,
    groups: Vec<(HostId, GroupId)>,
    /// The groups that it is granted, where it does not see everything.
    granted: Vec<GroupId>,
}

impl Viewer for Eyes {
    fn sees(&self, host: HostId) -> bool {
        let hosts = self.hosts.as_ref();
        hosts.is_none_or(|hosts| hosts.lock().expect("not poisoned").contains(&host))
    }

    fn sees_group(&self, group: GroupId) -> bool {
        self.sees_all() || self.granted.contains(&group)
    }

    fn sees_all(&self) -> bool {
        self.hosts.is_none()
    }

    fn is_in(&self, host: HostId, groups: &HashSet<GroupId>) -> bool {
        let mut mine = self.groups.iter().filter(|(member, _)| *member == host);
        mine.any(|(_, group)| groups.contains(group))
    }
}

struct World {
    store: Arc<dyn Store>,
    bus: Arc<Bus>,
    run: JoinHandle<()>,
}

impl World {
    async fn open(dir: &Path) -> Self {
        let pem = AuditKey::generate_pem([1; 32]);
        let key = Arc::new(AuditKey::from_pem(pem.expose()).expect("a key"));
        let store = SqliteStore::open(&dir.join("platform.db"), key).expect("opened");
        let store: Arc<dyn Store> = Arc::new(store);
        let bus = Bus::open(store.clone()).await.expect("opened");
        let run = tokio::spawn(bus.clone().run());
        Self { store, bus, run }
    }

    async fn close(self) {
        self.bus.stop();
        self.bus.write_pending().await.expect("written");
        self.run.abort();
        let _ = self.run.await;
    }

    fn follow(&self, position: Option<Position>) -> Follower {
        self.follow_as(Eyes::default(), Filter::default(), position)
    }

    fn follow_as(&self, eyes: Eyes, filter: Filter, position: Option<Position>) -> Follower {
        let follower = self.bus.follow("ada", eyes, filter, position);
        follower.expect("there is room")
    }
}

fn host(number: u128) -> HostId {
    HostId(Uuid::from_u128(number))
}

fn health() -> Health {
    Health {
        uptime_seconds: Some(1),
        cpu_percent: None,
        memory_percent: None,
        disk_percent: None,
        load_average: None,
        temperature_celsius: None,
    }
}

fn online(number: usize) -> Happening {
    Happening::HostOnline {
        address: number.to_string(),
        software: String::new(),
    }
}

async fn next(follower: &mut Follower) -> News {
    let news = timeout(PATIENCE, follower.next()).await;
    news.expect("something is told")
}

async fn event(follower: &mut Follower) -> Arc<Told> {
    loop {
        match next(follower).await {
            News::Event(told) => return told,
            News::Mark(_) => {}
            other => panic!("no event: {other:?}"),
        }
    }
}

/// The numbers that the next events carry as their address.
async fn addresses(follower: &mut Follower, count: usize) -> Vec<usize> {
    let mut found = Vec::new();
    while found.len() < count {
        if let Happening::HostOnline { address, .. } = &event(follower).await.event.what {
            found.push(address.parse().expect("a number"));
        }
    }
    found
}

async fn mark(follower: &mut Follower) -> Position {
    match next(follower).await {
        News::Mark(position) => position,
        other => panic!("no mark: {other:?}"),
    }
}

#[tokio::test]
async fn whoever_comes_back_with_a_position_misses_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut world = World::open(dir.path()).await;
    let mut position = mark(&mut world.follow(None)).await;
    let (mut told, mut number) = (Vec::new(), 0);
    // Now and then it is away while things happen, and the platform too.
    for round in 0..6 {
        let mut follower = world.follow(Some(position));
        for _ in 0..300 {
            world.bus.tell(host(1), online(number));
            number += 1;
        }
        if round % 2 == 1 {
            world.close().await;
            assert!(matches!(
                next(&mut follower).await,
                News::End(Ending::Stopping)
            ));
            world = World::open(dir.path()).await;
            follower = world.follow(Some(position));
        }
        for _ in 0..200 {
            let next = event(&mut follower).await;
            position = next.position;
            if let Happening::HostOnline { address, .. } = &next.event.what {
                told.push(address.parse::<usize>().expect("a number"));
            }
        }
    }
    let mut follower = world.follow(Some(position));
    told.extend(addresses(&mut follower, number - told.len()).await);
    assert_eq!(told, (0..number).collect::<Vec<_>>());
    world.close().await;
}

#[tokio::test]
async fn a_position_that_leads_nowhere_is_answered_by_a_reload() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = World::open(dir.path()).await;
    let mut follower = world.follow(None);
    let mut positions = Vec::new();
    mark(&mut follower).await;
    for number in 0..10 {
        world.bus.tell(host(1), online(number));
        positions.push(event(&mut follower).await.position);
    }
    world
        .store
        .remove_events(UnixMillis(0), 5, 100)
        .await
        .expect("removed");
    let reason = async |position| match next(&mut world.follow(Some(position))).await {
        News::Reload(now, reason) => {
            assert_eq!(now, positions[9]);
            Some(reason)
        }
        News::Mark(_) => None,
        other => panic!("{other:?}"),
    };
    let unknown = Some(ReloadReason::PositionUnknown);
    let old = Some(ReloadReason::PositionTooOld);
    assert_eq!(reason(positions[5]).await, None);
    assert_eq!(reason(positions[9]).await, None);
    assert_eq!(reason(positions[4]).await, old);
    assert_eq!(reason(Position::default()).await, old);
    let at = UnixMillis(positions[7].at.0 + 1);
    let altered = Position { at, ..positions[7] };
    assert_eq!(reason(altered).await, unknown, "of other data");
    let ahead = Position { sequence: 11, at };
    assert_eq!(reason(ahead).await, unknown);
    let far = Position {
        sequence: u64::MAX,
        at,
    };
    assert_eq!(reason(far).await, unknown);

    // It goes on from there.
    let mut follower = world.follow(Some(far));
    next(&mut follower).await;
    world.bus.tell(host(1), online(10));
    assert_eq!(addresses(&mut follower, 1).await, [10]);
    world.close().await;
}

#[tokio::test]
async fn a_follower_sees_what_it_may_and_wants_whatever_changes_meanwhile() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = World::open(dir.path()).await;
    let granted = Arc::new(Mutex::new(HashSet::from([host(1)])));
    let eyes = Eyes {
        hosts: Some(granted.clone()),
        groups: vec![(host(3), GroupId(Uuid::from_u128(30)))],
        granted: Vec::new(),
    };
    let wanted = Filter::new(
        [Kind::HostOnline],
        [host(1), host(2)],
        [GroupId(Uuid::from_u128(30))],
    );
    let mut limited = world.follow_as(eyes.clone(), wanted.clone(), None);
    let mut all = world.follow_as(
        Eyes {
            hosts: None,
            ..eyes.clone()
        },
        wanted,
        None,
    );
    for follower in [&mut limited, &mut all] {
        mark(follower).await;
    }
    for number in 0..5 {
        let small = usize::try_from(number).expect("small");
        world.bus.tell(host(number), online(small));
        world.bus.tell(host(number), Happening::HostDuplicated);
    }
    world.bus.tell(host(1), online(10));
    assert_eq!(addresses(&mut all, 4).await, [1, 2, 3, 10]);
    assert_eq!(addresses(&mut limited, 2).await, [1, 10]);
    let grant = |hosts: &[HostId]| {
        *granted.lock().expect("not poisoned") = hosts.iter().copied().collect();
    };
    grant(&[host(1), host(2)]);
    world.bus.tell(host(2), online(20));
    assert_eq!(addresses(&mut limited, 1).await, [20]);
    world.bus.tell(host(1), online(11));
    assert_eq!(addresses(&mut all, 2).await, [20, 11]);
    // It waits for the one who may not see it any more.
    grant(&[host(2)]);
    world.bus.tell(host(2), online(21));
    assert_eq!(addresses(&mut limited, 1).await, [21]);
    world.close().await;
}

#[tokio::test]
async fn a_slow_follower_is_sent_away_and_the_others_are_not_kept() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = World::open(dir.path()).await;
    let mut slow = world.follow(None);
    let position = mark(&mut slow).await;
    // Joins the pump, and then reads no more.
    world.bus.tell(host(1), online(0));
    assert_eq!(addresses(&mut slow, 1).await, [0]);
    let mut quick = world.follow(Some(position));
    let ended = slow.ended();
    for number in 1..6000 {
        world.bus.tell(host(1), online(number));
        if number % 500 == 0 {
            addresses(&mut quick, 500).await;
        }
    }
    addresses(&mut quick, 500).await;
    assert_eq!(timeout(PATIENCE, ended).await, Ok(Ending::TooSlow));
    assert!(matches!(next(&mut slow).await, News::End(Ending::TooSlow)));
    // It comes back and has missed nothing.
    let mut back = world.follow(Some(position));
    assert_eq!(
        addresses(&mut back, 6000).await,
        (0..6000).collect::<Vec<_>>()
    );
    world.close().await;
}

#[tokio::test]
async fn health_passes_and_is_not_kept() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = World::open(dir.path()).await;
    let mut follower = world.follow(None);
    let position = mark(&mut follower).await;
    for _ in 0..10_000 {
        let reported = Happening::HostHealth {
            health: health(),
            round_trip: None,
        };
        world.bus.tell(host(1), reported);
    }
    let told = event(&mut follower).await;
    assert_eq!(
        (told.event.what.kind(), told.position),
        (Kind::HostHealth, position)
    );
    // What is too much of it is left out, and is no reason to send anybody away.
    world.bus.tell(host(1), online(1));
    assert_eq!(addresses(&mut follower, 1).await, [1]);
    assert_eq!(
        world.store.events_from(0, 10).await.expect("read").newest,
        1
    );
    world.close().await;
}

#[tokio::test]
async fn a_follower_of_little_keeps_a_young_position() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = World::open(dir.path()).await;
    let nothing = Filter::new([Kind::HostRevoked], [], []);
    let mut follower = world.follow_as(Eyes::default(), nothing, None);
    mark(&mut follower).await;
    // It is told of them with this one, and does not read them from the store before.
    let mut other = world.follow(None);
    mark(&mut other).await;
    for number in 0..10 {
        world.bus.tell(host(1), online(number));
    }
    addresses(&mut other, 10).await;
    // Not before: with the clock held, waiting for the store's threads would take no time.
    tokio::time::pause();
    assert_eq!(mark(&mut follower).await.sequence, 10);
    world.close().await;
}

#[tokio::test]
async fn a_silence_is_told_to_who_sees_its_group() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = World::open(dir.path()).await;
    let group = |number| GroupId(Uuid::from_u128(number));
    let eyes = Eyes {
        hosts: Some(Default::default()),
        granted: vec![group(1)],
        ..Eyes::default()
    };
    let mut granted = world.follow_as(eyes.clone(), Filter::default(), None);
    let mut filtered = world.follow_as(eyes, Filter::new([], [], [group(1)]), None);
    // Who follows another group, and sees all, is not told.
    let mut other = world.follow_as(Eyes::default(), Filter::new([], [], [group(2)]), None);
    for follower in [&mut granted, &mut filtered, &mut other] {
        mark(follower).await;
    }
    for number in [2, 1] {
        let silence = AlertSilenceId(Uuid::from_u128(number));
        let target = format!("alert_silence:{silence}");
        let entry = Entry::new(UnixMillis(5), "ada", "alert_silence.create", target)
            .detail("group", group(number).to_string());
        world.store.audit(entry).await.expect("written");
    }
    for (follower, expected) in [(&mut granted, 1), (&mut filtered, 1), (&mut other, 2)] {
        let told = event(follower).await;
        let expected = Happening::AlertSilenceUpdated {
            silence: AlertSilenceId(Uuid::from_u128(expected)),
            group: Some(group(expected)),
        };
        assert_eq!(told.event.what, expected);
    }
    world.close().await;
}

#[tokio::test]
async fn what_the_store_could_not_take_is_no_silence() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = World::open(dir.path()).await;
    let mut follower = world.follow(None);
    let position = mark(&mut follower).await;
    // All before the task that writes has its turn.
    for number in 0..70_000 {
        world.bus.tell(host(1), online(number));
    }
    let told = async |follower: &mut Follower| {
        let mut last = 0;
        loop {
            match next(follower).await {
                News::Reload(_, reason) => return (last, reason),
                News::Event(told) => last = told.position.sequence,
                _ => {}
            }
        }
    };
    assert_eq!(
        told(&mut follower).await,
        (65_536, ReloadReason::EventsLost)
    );
    // And so for whoever comes back from before it.
    let back = told(&mut world.follow(Some(position))).await;
    assert_eq!(back, (65_536, ReloadReason::EventsLost));
    world.bus.tell(host(1), online(70_000));
    assert_eq!(addresses(&mut follower, 1).await, [70_000]);
    world.close().await;
}

#[tokio::test]
async fn followers_have_a_bound_and_end_with_the_platform() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = World::open(dir.path()).await;
    let follow = |name: &str| {
        let eyes = Eyes::default();
        world.bus.follow(name, eyes, Filter::default(), None)
    };
    let mut mine: Vec<_> = (0..64).map(|_| follow("ada").expect("room")).collect();
    assert!(follow("ada").is_err());
    let mut other = follow("bob").expect("room");
    mine.pop();
    assert!(follow("ada").is_ok(), "a place is given back");
    mark(&mut other).await;
    world.bus.stop();
    assert!(matches!(
        next(&mut other).await,
        News::End(Ending::Stopping)
    ));
    let mut late = follow("ada").expect("room");
    assert!(matches!(next(&mut late).await, News::End(Ending::Stopping)));
    world.close().await;
}
