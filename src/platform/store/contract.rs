//! What every store must do, whatever database it stands on. Each test gets a store that is empty.

mod enrolment;
mod events;
mod track;

use std::path::Path;
use std::sync::Arc;

use events::{
    a_change_that_fails_is_no_event, events_have_their_order_over_restarts,
    old_events_are_removed_but_for_the_newest,
};

use track::{an_old_track_is_removed, the_track_is_searched_newest_first};

use super::*;
use crate::audit::seal::AuditKey;
use crate::platform::events::Event;
use crate::secret::random;
use enrolment::*;

/// Runs each contract test against stores of every kind. A test is given how the store of its directory is
/// opened, again and again; after `anywhere`, how one of any directory is.
macro_rules! contract {
    (anywhere: $($anywhere:ident),* $(,)?) => {
        contract!(@kind sqlite, [$($anywhere),*], []);
    };
    ($($test:ident),* $(,)?) => {
        contract!(@kind sqlite, [], [$($test),*]);
    };
    (@kind $kind:ident, [$($anywhere:ident),*], [$($test:ident),*]) => {
        mod $kind {
            use $crate::platform::store::contract::$kind as open_in;

            $(
                #[tokio::test]
                async fn $test() {
                    let dir = tempfile::tempdir().expect("temporary directory");
                    super::$test(&|| open_in(dir.path())).await;
                }
            )*
            $(
                #[tokio::test]
                async fn $anywhere() {
                    super::$anywhere(&open_in).await;
                }
            )*
        }
    };
}

mod alert_channels;
mod alert_rules;
mod alert_silences;
mod alerts;
mod backup;
mod commands;
mod deliveries;
mod files;
mod fleet;
mod groups;
mod health;
mod journals;
mod once;
mod users;
mod watch;
mod waves;

contract!(
    hosts_are_kept_by_name_and_found_by_token,
    an_id_names_its_own_host_whatever_others_are_called,
    a_token_enrols_once,
    a_lost_answer_costs_no_token,
    a_named_token_enrols_a_host_anew,
    a_token_is_listed_until_it_is_deleted,
    a_token_expires,
    a_taken_name_costs_no_token,
    a_wish_matters_only_where_the_token_names_nobody,
    a_device_token_is_good_until_its_successor_is_used,
    a_certificate_is_renewed_for_the_same_key_alone,
    a_host_made_with_a_token_alone_has_nothing_to_renew,
    a_revoked_host_comes_back_by_a_new_token_alone,
    sessions_are_kept_until_they_end,
    the_audit_log_has_no_gaps,
    the_audit_log_is_one_chain,
    retention_keeps_the_chain,
    a_failed_change_undoes_nothing_else,
    events_have_their_order_over_restarts,
    a_change_that_fails_is_no_event,
    old_events_are_removed_but_for_the_newest,
    the_track_is_searched_newest_first,
    an_old_track_is_removed,
);

type Open<'a> = &'a (dyn Fn() -> Arc<dyn Store> + Sync);
type OpenIn<'a> = &'a (dyn Fn(&Path) -> Arc<dyn Store> + Sync);

fn sqlite(dir: &Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(&dir.join("platform.db"), key()).expect("opened"))
}

const T0: UnixMillis = UnixMillis(1_750_000_000_000);

fn at(seconds: u64) -> UnixMillis {
    UnixMillis(T0.0 + seconds * 1000)
}

fn hash() -> SecretHash {
    SecretHash::of(&random::<32>())
}

fn audit(action: &str) -> Entry {
    Entry::new(T0, "admin", action, "target")
}

fn key() -> Arc<AuditKey> {
    let pem = AuditKey::generate_pem([1; 32]);
    Arc::new(AuditKey::from_pem(pem.expose()).expect("a key"))
}

fn host(name: &str) -> NewHost {
    NewHost {
        id: HostId::random(random()),
        name: name.to_owned(),
        auth_token: hash(),
        at: T0,
    }
}

fn session(host: HostId) -> SessionRecord {
    SessionRecord {
        id: ConsoleSessionId::random(random()),
        host,
        user: "admin".to_owned(),
        label: "label".to_owned(),
        created: T0,
        expires: at(3600),
        cookie: None,
    }
}

async fn hosts_are_kept_by_name_and_found_by_token(open: Open<'_>) {
    let store = open();
    store.check().await.expect("usable");
    let (b, a) = (host("b"), host("a"));
    for host in [&b, &a] {
        store
            .create_host(host.clone(), audit("host.create").into())
            .await
            .expect("made");
    }
    let taken = store
        .create_host(host("a"), audit("host.create").into())
        .await;
    assert_eq!(taken, Err(StoreError::NameTaken));
    store
        .hosts_seen(vec![(a.id, at(5)), (HostId::random(random()), at(6))])
        .await
        .expect("noted");
    drop(store);

    let store = open();
    let hosts = store.hosts().await.expect("read");
    assert_eq!(
        hosts
            .iter()
            .map(|host| host.name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(
        (hosts[0].last_seen, hosts[1].last_seen),
        (Some(at(5)), None)
    );
    let found = store
        .host_by_token(b.auth_token)
        .await
        .expect("read")
        .expect("there");
    assert!(found.first_use);
    let found = found.host;
    assert_eq!((found.id, found.created, found.key), (b.id, T0, None));
    assert_eq!(store.host_by_token(hash()).await, Ok(None));
    assert_eq!(store.host("b").await, Ok(Some(found.clone())));
    assert_eq!(store.host(&b.id.to_string()).await, Ok(Some(found)));
    for unknown in ["", "c", &HostId::random(random()).to_string()] {
        assert_eq!(store.host(unknown).await, Ok(None), "{unknown}");
    }
}

async fn an_id_names_its_own_host_whatever_others_are_called(open: Open<'_>) {
    let store = open();
    let own = host("own");
    let shadow = host(&own.id.to_string());
    for host in [&shadow, &own] {
        store
            .create_host(host.clone(), audit("host.create").into())
            .await
            .expect("made");
    }
    let found = async |name: &str| store.host(name).await.expect("read").map(|host| host.id);
    assert_eq!(found(&own.id.to_string()).await, Some(own.id));
    assert_eq!(found("own").await, Some(own.id));
    assert_eq!(found(&shadow.id.to_string()).await, Some(shadow.id));
}

async fn sessions_are_kept_until_they_end(open: Open<'_>) {
    let store = open();
    let host = host("kvm");
    store
        .create_host(host.clone(), audit("host.create").into())
        .await
        .expect("made");
    let mut session = session(host.id);
    store
        .create_session(session.clone(), audit("session.open").into())
        .await
        .expect("made");
    let cookie = hash();
    store
        .session_entered(session.id, cookie, audit("session.enter"))
        .await
        .expect("noted");
    session.cookie = Some(cookie);
    drop(store);

    let store = open();
    assert_eq!(store.open_sessions().await, Ok(vec![session.clone()]));
    store
        .session_ended(session.id, audit("session.close"))
        .await
        .expect("ended");
    for _ in 0..2 {
        let ended = store
            .session_ended(session.id, audit("session.close"))
            .await;
        assert_eq!(ended, Err(StoreError::NotFound));
    }
    let entered = store
        .session_entered(session.id, cookie, audit("session.enter"))
        .await;
    assert_eq!(entered, Err(StoreError::NotFound));
    assert_eq!(store.open_sessions().await, Ok(Vec::new()));
}

async fn the_audit_log_has_no_gaps(open: Open<'_>) {
    let store = open();
    for _ in 0..3 {
        store.audit(audit("platform.start")).await.expect("written");
    }
    store
        .create_host(host("kvm"), audit("host.create").into())
        .await
        .expect("made");
    let _ = store
        .create_host(host("kvm"), audit("host.create").into())
        .await;
    store.audit(audit("platform.stop")).await.expect("written");
    let entries = store.audit_after(0, 100).await.expect("read").entries;
    let read: Vec<_> = entries
        .iter()
        .map(|chained| (chained.sequence, chained.entry.action.as_str()))
        .collect();
    assert_eq!(
        read,
        [
            (1, "platform.start"),
            (2, "platform.start"),
            (3, "platform.start"),
            (4, "host.create"),
            (5, "platform.stop"),
        ],
        "what did not happen is not in it"
    );
    let one = store.audit_after(3, 1).await.expect("read");
    assert_eq!(one.entries, entries[3..4]);
}

/// The place after the entries that are kept, where each has the hash that it must have.
async fn chained(store: &dyn Store) -> Place {
    let span = store.audit_span(0).await.expect("read");
    let start = span.start.expect("the log begins here");
    assert!(key().public().signed_start(&start));
    let mut place = span.after;
    for chained in store.audit_after(0, 1000).await.expect("read").entries {
        place = place.after(&chained.entry);
        assert_eq!(
            (chained.sequence, chained.hash),
            (place.sequence, place.hash)
        );
    }
    assert_eq!(place, span.head);
    place
}

async fn the_audit_log_is_one_chain(open: Open<'_>) {
    let store = open();
    assert_eq!(chained(&*store).await, Place::START);
    let changes: Vec<_> = (0..100)
        .map(|n| {
            let store = store.clone();
            let name = if n % 4 == 0 {
                "taken".to_owned()
            } else {
                format!("host-{n}")
            };
            tokio::spawn(async move {
                let entry = audit("host.create").detail("name", name.as_str());
                store.create_host(host(&name), entry.into()).await
            })
        })
        .collect();
    for change in changes {
        // Those whose name was taken are no entry.
        let _ = change.await.expect("ran");
    }
    let place = chained(&*store).await;
    assert_eq!(place.sequence, 76);
    drop(store);
    let store = open();
    assert_eq!(chained(&*store).await, place, "a stop changes nothing");
    let long = audit("test.long").detail("text", "\u{e4}".repeat(5000));
    store.audit(long).await.expect("written");
    assert_eq!(chained(&*store).await.sequence, 77);
    let span = store.audit_span(76).await.expect("there");
    assert_eq!((span.after, span.start), (place, None));
    assert_eq!(store.audit_span(78).await, Err(StoreError::NotFound));
}

async fn retention_keeps_the_chain(open: Open<'_>) {
    let store = open();
    for second in 0..10 {
        let entry = Entry {
            at: at(second),
            ..audit("test.do")
        };
        store.audit(entry).await.expect("written");
    }
    let fourth = store.audit_span(4).await.expect("there").after;
    for (count, expected) in [(3, 3), (3, 1), (3, 0)] {
        let removed = store.audit_remove(at(4), count, at(100)).await;
        assert_eq!(removed, Ok(expected));
    }
    assert_eq!(
        chained(&*store).await.sequence,
        12,
        "each removal is an entry"
    );
    let page = store.audit_after(0, 1).await.expect("read");
    assert_eq!((page.removed, page.entries[0].sequence), (4, 5));
    assert_eq!(store.audit_span(0).await.expect("there").after, fourth);
    assert_eq!(store.audit_span(3).await, Err(StoreError::NotFound));
    drop(store);
    let store = open();
    assert_eq!(store.audit_remove(at(1000), 100, at(2000)).await, Ok(8));
    assert_eq!(chained(&*store).await.sequence, 13);
    let page = store.audit_after(0, 10).await.expect("read");
    let [kept] = &page.entries[..] else {
        panic!("the entry of the removal alone: {page:?}");
    };
    let details: Vec<_> = kept
        .entry
        .details
        .iter()
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(details[..2], ["5", "12"]);
    drop(store);
    assert_eq!(chained(&*open()).await.sequence, 13);
}

async fn a_failed_change_undoes_nothing_else(open: Open<'_>) {
    let store = open();
    store
        .create_host(host("taken"), audit("host.create").into())
        .await
        .expect("made");
    let changes: Vec<_> = (0..200)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let name = if n % 2 == 0 {
                    "taken".to_owned()
                } else {
                    format!("host-{n}")
                };
                store
                    .create_host(host(&name), audit("host.create").into())
                    .await
            })
        })
        .collect();
    let mut made = 0;
    for change in changes {
        match change.await.expect("ran") {
            Ok(()) => made += 1,
            Err(error) => assert_eq!(error, StoreError::NameTaken),
        }
    }
    assert_eq!(made, 100);
    assert_eq!(store.hosts().await.expect("read").len(), 101);
}
