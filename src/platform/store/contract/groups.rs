//! What every store must do about groups, labels and lists of hosts.

use std::collections::{BTreeMap, BTreeSet};

use super::super::groups::*;
use super::*;
use crate::ids::GroupId;
use crate::platform::identity::{Grants, GroupName, LabelKey, LabelValue};

contract!(
    groups_are_made_changed_and_removed,
    a_change_of_another_version_is_refused_whole,
    hosts_are_listed_by_what_is_said_of_them,
    nobody_is_listed_what_they_are_not_granted,
    pages_end_where_the_next_begins,
    labels_are_counted,
);

fn name(text: &str) -> GroupName {
    text.parse().expect("a group's name")
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<LabelKey, LabelValue> {
    let label = |(key, value): &(&str, &str)| {
        let (key, value) = (key.parse(), value.parse());
        (key.expect("a key"), value.expect("a value"))
    };
    pairs.iter().map(label).collect()
}

pub(super) async fn group(store: &dyn Store, text: &str) -> GroupId {
    let id = GroupId::random(random());
    let group = NewGroup {
        id,
        name: name(text),
        description: format!("of {text}"),
        at: T0,
    };
    store
        .create_group(group, audit("group.create").into())
        .await
        .expect("made");
    id
}

pub(super) async fn host_in(
    store: &dyn Store,
    text: &str,
    groups: &[GroupId],
    pairs: &[(&str, &str)],
) -> HostId {
    let host = host(text);
    let id = host.id;
    store
        .create_host(host, audit("host.create").into())
        .await
        .expect("made");
    let change = HostChange {
        name: None,
        labels: Some(labels(pairs)),
        groups: Some(groups.iter().copied().collect()),
    };
    let changed = store.update_host(id, Some(1), change, audit("host.update"));
    assert_eq!(changed.await.expect("changed").version, 2);
    id
}

async fn names(store: &dyn Store, filter: HostFilter) -> Vec<String> {
    let hosts = store.host_entries(filter).await.expect("read");
    hosts.into_iter().map(|host| host.record.name).collect()
}

fn all() -> HostFilter {
    HostFilter::all(Grants::All, 100)
}

async fn groups_are_made_changed_and_removed(open: Open<'_>) {
    let store = open();
    let (b, a) = (group(&*store, "b").await, group(&*store, "a").await);
    let again = NewGroup {
        id: GroupId::random(random()),
        name: name("a"),
        description: String::new(),
        at: T0,
    };
    let again = store.create_group(again, audit("group.create").into());
    assert_eq!(again.await, Err(StoreError::Taken));
    let host = host_in(&*store, "kvm", &[a, b], &[]).await;

    let change = GroupChange {
        name: Some(name("a2")),
        description: None,
        windows: None,
    };
    let changed = store.update_group(a, Some(1), change, audit("group.update"));
    let changed = changed.await.expect("changed");
    assert_eq!((changed.version, changed.hosts), (2, 1));
    assert_eq!(changed.description, "of a");
    assert_eq!(store.group_by_name(&name("a")).await, Ok(None));
    let found = store.group_by_name(&name("a2")).await;
    assert_eq!(found, Ok(Some(changed.clone())));
    drop(store);

    let store = open();
    assert_eq!(store.group(a).await, Ok(Some(changed)));
    let taken = GroupChange {
        name: Some(name("b")),
        description: None,
        windows: None,
    };
    let taken = store.update_group(a, None, taken, audit("group.update"));
    assert_eq!(taken.await, Err(StoreError::Taken));
    let listed = async |granted, after: Option<&str>, limit| {
        let groups = store.groups(granted, after.map(name), limit).await;
        let groups = groups.expect("read").into_iter();
        groups
            .map(|group| group.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(Grants::All, None, 10).await, ["a2", "b"]);
    assert_eq!(listed(Grants::All, Some("a2"), 10).await, ["b"]);
    assert_eq!(listed(Grants::All, None, 1).await, ["a2"]);
    let only_b = Grants::Groups(BTreeSet::from([b]));
    assert_eq!(listed(only_b, None, 10).await, ["b"]);
    assert!(
        listed(Grants::Groups(BTreeSet::new()), None, 10)
            .await
            .is_empty()
    );

    let other = store.delete_group(a, Some(1), audit("group.delete"));
    assert_eq!(other.await, Err(StoreError::VersionChanged));
    let deleted = store.delete_group(a, Some(2), audit("group.delete"));
    assert_eq!(deleted.await, Ok(()));
    let again = store.delete_group(a, None, audit("group.delete"));
    assert_eq!(again.await, Err(StoreError::NotFound));
    assert_eq!(store.memberships(None).await, Ok(vec![(host, b)]));
    let entry = store.host_entry(host).await.expect("read").expect("there");
    assert_eq!((entry.version, entry.groups), (3, BTreeSet::from([b])));
}

async fn a_change_of_another_version_is_refused_whole(open: Open<'_>) {
    let store = open();
    let group = group(&*store, "a").await;
    let host = host_in(&*store, "kvm", &[group], &[("site", "lab")]).await;
    let other = host_in(&*store, "other", &[], &[]).await;
    let before = store.host_entry(host).await.expect("read");
    let written = store.audit_span(0).await.expect("there").head.sequence;
    let change = |name: &str, of: GroupId| HostChange {
        name: Some(name.parse().expect("a host's name")),
        labels: Some(labels(&[("new", "1")])),
        groups: Some(BTreeSet::from([of])),
    };
    for (expected, change, error) in [
        (Some(1), change("new", group), StoreError::VersionChanged),
        (None, change("other", group), StoreError::NameTaken),
        (
            None,
            change("new", GroupId::random(random())),
            StoreError::GroupUnknown,
        ),
    ] {
        let changed = store.update_host(host, expected, change, audit("host.update"));
        assert_eq!(changed.await, Err(error));
    }
    let nobody = HostId::random(random());
    let changed = store.update_host(nobody, None, change("new", group), audit("host.update"));
    assert_eq!(changed.await, Err(StoreError::NotFound));
    assert_eq!(store.host_entry(host).await.expect("read"), before);
    let after = store.audit_span(0).await.expect("there").head.sequence;
    assert_eq!(after, written, "what was refused is no entry");
    assert_eq!(store.host_entry(nobody).await, Ok(None));

    // Of many who have seen the same version one wins.
    let mut changes = Vec::new();
    for n in 0..20 {
        let store = store.clone();
        changes.push(tokio::spawn(async move {
            let change = HostChange {
                labels: Some(labels(&[("n", &n.to_string())])),
                ..HostChange::default()
            };
            let changed = store.update_host(other, Some(2), change, audit("host.update"));
            changed.await.is_ok()
        }));
    }
    let mut done = 0;
    for change in changes {
        done += usize::from(change.await.expect("ran"));
    }
    assert_eq!(done, 1);
}

async fn hosts_are_listed_by_what_is_said_of_them(open: Open<'_>) {
    let store = open();
    let (east, west) = (group(&*store, "east").await, group(&*store, "west").await);
    host_in(
        &*store,
        "rack-1",
        &[east],
        &[("site", "lab"), ("os", "bsd")],
    )
    .await;
    host_in(&*store, "Rack-2", &[east, west], &[("site", "lab")]).await;
    host_in(&*store, "rack-10", &[], &[("site", "attic"), ("os", "")]).await;
    let key = |text: &str| text.parse::<LabelKey>().expect("a key");
    let is = |k: &str, v: &str| LabelSelector::Is(key(k), v.parse().expect("a value"));
    let has = |k: &str| LabelSelector::Has(key(k));
    let with = |labels: Vec<LabelSelector>| HostFilter { labels, ..all() };
    let named = |prefix: Option<&str>, contains: Option<&str>| HostFilter {
        name_prefix: prefix.map(str::to_owned),
        name_contains: contains.map(str::to_owned),
        ..all()
    };
    for (filter, expected) in [
        (all(), &["Rack-2", "rack-1", "rack-10"][..]),
        (named(Some("rack-1"), None), &["rack-1", "rack-10"]),
        (named(Some("rack-1"), Some("0")), &["rack-10"]),
        (named(None, Some("RACK")), &["Rack-2", "rack-1", "rack-10"]),
        (named(None, Some("%")), &[]),
        (named(Some("_"), None), &[]),
        (named(None, Some("' OR 1=1 --")), &[]),
        (with(vec![has("os")]), &["rack-1", "rack-10"]),
        (with(vec![is("os", "")]), &["rack-10"]),
        (with(vec![is("site", "lab")]), &["Rack-2", "rack-1"]),
        (with(vec![is("site", "lab"), has("os")]), &["rack-1"]),
        (with(vec![is("site", "lab"), is("site", "attic")]), &[]),
        (
            HostFilter {
                group: Some(west),
                ..all()
            },
            &["Rack-2"],
        ),
        (
            HostFilter {
                group: Some(GroupId::random(random())),
                ..all()
            },
            &[],
        ),
    ] {
        let what = format!("{filter:?}");
        assert_eq!(names(&*store, filter).await, expected, "{what}");
    }
    let listed = store.host_entries(named(Some("rack-1"), None)).await;
    let listed = listed.expect("read");
    assert_eq!(listed[0].labels, labels(&[("site", "lab"), ("os", "bsd")]));
    assert_eq!(listed[0].groups, BTreeSet::from([east]));
    let one = store.host_entry(listed[0].record.id).await;
    assert_eq!(one, Ok(Some(listed[0].clone())));
}

async fn nobody_is_listed_what_they_are_not_granted(open: Open<'_>) {
    let store = open();
    let (a, b) = (group(&*store, "a").await, group(&*store, "b").await);
    let own = host_in(&*store, "own", &[a], &[("k", "own")]).await;
    host_in(&*store, "both", &[a, b], &[("k", "both")]).await;
    host_in(&*store, "other", &[b], &[("k", "other")]).await;
    host_in(&*store, "none", &[], &[("k", "none")]).await;
    let granted = |groups: &[GroupId]| Grants::Groups(groups.iter().copied().collect());
    for (groups, expected) in [
        (&[a][..], &["both", "own"][..]),
        (&[b], &["both", "other"]),
        (&[a, b], &["both", "other", "own"]),
        (&[], &[]),
        (&[GroupId::random(random())], &[]),
    ] {
        let filter = HostFilter::all(granted(groups), 100);
        assert_eq!(names(&*store, filter).await, expected);
        let counts = store.labels(granted(groups), None, 100).await;
        let values: Vec<_> = counts
            .expect("read")
            .into_iter()
            .map(|count| count.value.to_string())
            .collect();
        assert_eq!(values, expected);
    }
    // A group that is filtered by widens nothing.
    let filter = HostFilter {
        group: Some(b),
        ..HostFilter::all(granted(&[a]), 100)
    };
    assert_eq!(names(&*store, filter).await, ["both"]);
    assert_eq!(store.memberships(Some(own)).await, Ok(vec![(own, a)]));
}

async fn pages_end_where_the_next_begins(open: Open<'_>) {
    let store = open();
    for n in 0..25 {
        let host = host(&format!("host-{n:02}"));
        let made = store.create_host(host, audit("host.create").into());
        made.await.expect("made");
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = HostFilter {
            after: after.clone(),
            limit: 10,
            ..all()
        };
        let page = names(&*store, page).await;
        assert!(page.len() <= 10);
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        seen.extend(page);
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted());
}

async fn labels_are_counted(open: Open<'_>) {
    let store = open();
    for (name, value) in [("a", "lab"), ("b", "lab"), ("c", "attic")] {
        host_in(&*store, name, &[], &[("site", value), ("name", name)]).await;
    }
    let counted = async |after: Option<(&str, &str)>, limit| {
        let after = after.map(|(key, value)| {
            let (key, value) = (key.parse(), value.parse());
            (key.expect("a key"), value.expect("a value"))
        });
        let counts = store.labels(Grants::All, after, limit).await;
        let counts = counts.expect("read").into_iter();
        counts
            .map(|count| format!("{}={}:{}", count.key, count.value, count.hosts))
            .collect::<Vec<_>>()
    };
    let all = [
        "name=a:1",
        "name=b:1",
        "name=c:1",
        "site=attic:1",
        "site=lab:2",
    ];
    assert_eq!(counted(None, 10).await, all);
    assert_eq!(counted(Some(("name", "c")), 1).await, all[3..4]);
    assert_eq!(counted(Some(("name", "b")), 10).await, all[2..]);
}
