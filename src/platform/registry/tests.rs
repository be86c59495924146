//! Which connection is a host's, whoever comes and goes, and what is told of it.

use super::*;

#[derive(Default)]
struct FakeLink(Mutex<Vec<LinkEnd>>);

impl HostLink for FakeLink {
    fn session_open(&self, _: &Session) {}
    fn session_close(&self, _: ConsoleSessionId, _: CloseReason) {}
    fn end(&self, reason: LinkEnd) {
        self.0.lock().expect("not poisoned").push(reason);
    }
    fn round_trip(&self) -> Option<Duration> {
        None
    }
}

impl FakeLink {
    fn ends(&self) -> Vec<LinkEnd> {
        self.0.lock().expect("not poisoned").clone()
    }
}

const HOST: HostId = HostId(Uuid::from_u128(1));

fn at(seconds: u64) -> UnixMillis {
    UnixMillis(1_750_000_000_000 + seconds * 1000)
}

fn arrive(
    registry: &Registry<FakeLink>,
    now: UnixMillis,
    instance: Option<u128>,
) -> (Arc<FakeLink>, Admission) {
    arrive_known(registry, now, instance, registry.moment())
}

fn arrive_known(
    registry: &Registry<FakeLink>,
    now: UnixMillis,
    instance: Option<u128>,
    known_at: Moment,
) -> (Arc<FakeLink>, Admission) {
    let link = Arc::new(FakeLink::default());
    let arrival = Arrival {
        host: HOST,
        known_at,
        instance: instance.map(Uuid::from_u128),
        software: "test".to_owned(),
        address: ([127, 0, 0, 1], 1).into(),
        link: link.clone(),
    };
    (link, registry.admit(now, arrival))
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

fn connection(admission: &Admission) -> ConnectionId {
    match admission {
        Admission::Admitted { connection, .. } => *connection,
        other => panic!("refused: {other:?}"),
    }
}

#[test]
fn a_later_connection_takes_the_place_and_the_earlier_cannot_take_it_away() {
    let registry = Registry::new();
    let (first, one) = arrive(&registry, at(0), Some(1));
    let (second, two) = arrive(&registry, at(1), Some(1));
    assert_eq!(first.ends(), [LinkEnd::Replaced]);
    assert!(matches!(two, Admission::Admitted { replaced: true, .. }));
    assert!(!registry.remove(HOST, connection(&one)));
    let health = Health {
        disk_percent: Some(7.0),
        ..health()
    };
    registry.set_health(HOST, connection(&one), health.clone());
    assert!(
        registry
            .connected(HOST)
            .is_some_and(|host| host.health.is_none())
    );
    registry.set_health(HOST, connection(&two), health);
    let presence = Presence {
        is_connected: true,
        disk_percent: Some(7.0),
    };
    assert_eq!(registry.presence(HOST), presence);
    assert!(second.ends().is_empty());
    assert!(registry.remove(HOST, connection(&two)));
    assert!(registry.link(HOST).is_none());
}

#[test]
fn two_that_evict_each_other_are_both_told() {
    let registry = Registry::new();
    arrive(&registry, at(0), Some(1));
    let (second, _) = arrive(&registry, at(1), Some(2));
    assert!(!registry.is_duplicate(at(1), HOST));
    let (_, back) = arrive(&registry, at(2), Some(1));
    assert_eq!(back, Admission::DuplicateInstance);
    assert_eq!(second.ends(), [LinkEnd::DuplicateInstance]);
    assert!(registry.is_duplicate(at(2), HOST));
    assert!(registry.link(HOST).is_none());
    // Alone, one of them is let in; the other one's return is told again.
    let (third, alone) = arrive(&registry, at(60), Some(2));
    assert!(matches!(
        alone,
        Admission::Admitted {
            replaced: false,
            ..
        }
    ));
    let (_, again) = arrive(&registry, at(61), Some(1));
    assert_eq!(again, Admission::DuplicateInstance);
    assert_eq!(third.ends(), [LinkEnd::DuplicateInstance]);
    assert!(registry.is_duplicate(at(660), HOST));
    assert!(!registry.is_duplicate(at(661), HOST));
}

#[test]
fn who_watches_sees_hosts_come_and_go_in_order() {
    let seen: Arc<Mutex<Vec<Happening>>> = Arc::default();
    let watched = seen.clone();
    let registry = Registry::watched(Box::new(move |host, what| {
        assert_eq!(host, HOST);
        watched.lock().expect("not poisoned").push(what);
    }));
    let told = || -> Vec<_> {
        let seen = std::mem::take(&mut *seen.lock().expect("not poisoned"));
        let code = |what| match what {
            Happening::HostOffline { reason } => reason.code(),
            what => what.kind().code(),
        };
        seen.into_iter().map(code).collect()
    };
    let (_, one) = arrive(&registry, at(0), Some(1));
    registry.set_health(HOST, connection(&one), health());
    let (_, two) = arrive(&registry, at(1), Some(2));
    registry.set_health(HOST, connection(&one), health());
    registry.remove(HOST, connection(&one));
    assert_eq!(told(), ["host_online", "host_health", "host_online"]);
    arrive(&registry, at(2), Some(1));
    registry.remove(HOST, connection(&two));
    assert_eq!(told(), ["duplicate_instance", "host_duplicated"]);
    let (_, three) = arrive(&registry, at(3), Some(1));
    registry.remove(HOST, connection(&three));
    registry.void(HOST, LinkEnd::CredentialVoid);
    assert_eq!(told(), ["host_online", "connection_ended"]);
    arrive(&registry, at(4), Some(1));
    registry.void(HOST, LinkEnd::CredentialVoid);
    arrive(&registry, at(5), Some(1));
    let window = Duration::from_secs(1);
    registry.end_all(LinkEnd::GoingAway { window });
    registry.end(HOST, LinkEnd::Replaced);
    let stops = [
        "host_online",
        "credential_void",
        "host_online",
        "platform_stopped",
    ];
    assert_eq!(told(), stops);
}

#[test]
fn restarts_are_no_clones() {
    let registry = Registry::new();
    for run in 0..100 {
        let (_, admission) = arrive(&registry, at(run), Some(u128::from(run)));
        assert!(matches!(admission, Admission::Admitted { .. }));
    }
    for run in 0..10 {
        let (_, admission) = arrive(&registry, at(200 + run), None);
        assert!(
            matches!(admission, Admission::Admitted { .. }),
            "it does not say who it is"
        );
    }
    assert!(!registry.is_duplicate(at(300), HOST));
}

#[test]
fn a_credential_that_became_void_on_the_way_lets_nobody_in() {
    let registry = Registry::new();
    let before = registry.moment();
    let (first, _) = arrive(&registry, at(0), Some(1));
    registry.void(HOST, LinkEnd::CredentialVoid);
    assert_eq!(first.ends(), [LinkEnd::CredentialVoid]);
    let (_, late) = arrive_known(&registry, at(0), Some(1), before);
    assert_eq!(late, Admission::CredentialVoid);
    assert!(registry.link(HOST).is_none());
    // Whoever has the new one is let in, and one that is late takes no place away.
    let (anew, admission) = arrive(&registry, at(1), Some(2));
    assert!(matches!(admission, Admission::Admitted { .. }));
    let (_, late) = arrive_known(&registry, at(1), Some(1), before);
    assert_eq!(late, Admission::CredentialVoid);
    assert!(registry.link(HOST).is_some() && anew.ends().is_empty());
    // It is the affair of that host alone.
    let elsewhere = registry.moment();
    registry.void(HostId(Uuid::from_u128(2)), LinkEnd::Revoked);
    let (_, admission) = arrive_known(&registry, at(2), Some(2), elsewhere);
    assert!(matches!(admission, Admission::Admitted { .. }));
}

#[test]
fn all_are_ended_at_a_stop() {
    let registry = Registry::new();
    let (link, _) = arrive(&registry, at(0), Some(1));
    let end = LinkEnd::GoingAway {
        window: Duration::from_secs(10),
    };
    registry.end_all(end);
    assert_eq!(link.ends(), [end]);
    assert!(registry.connected_hosts().is_empty());
}
