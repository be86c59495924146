//! What every store must do about users, sign-ins and API keys.

use std::collections::BTreeSet;

use super::super::groups::NewGroup;
use super::super::users::*;
use super::*;
use crate::ids::{ApiKeyId, FamilyId, GroupId, UserId};
use crate::platform::identity::{Access, Grants, Role};
use crate::secret::Secret;

contract!(
    users_are_kept_whole,
    a_change_touches_what_it_names,
    names_and_subjects_are_unique,
    a_group_that_goes_takes_its_grants_with_it,
    a_refresh_token_is_traded_once,
    sign_ins_end,
    a_second_factor_is_used_once,
    whoever_was_changed_does_not_sign_in_on_what_was,
    sign_ins_and_used_tokens_are_bounded,
    keys_are_kept_and_removed,
);

fn user(name: &str) -> UserRecord {
    UserRecord {
        id: UserId::random(random()),
        name: name.parse().expect("a name"),
        access: Access {
            role: Role::Operator,
            grants: Grants::All,
        },
        disabled: false,
        created: T0,
        password: Some(Secret::new("$argon2id$".to_owned())),
        totp: None,
        external: None,
        version: 1,
    }
}

async fn kept(store: &dyn Store, user: UserRecord) -> UserRecord {
    let made = store.create_user(user, audit("user.create").into());
    made.await.expect("made")
}

fn family(user: UserId, used: u64) -> NewFamily {
    NewFamily {
        family: FamilyRecord {
            id: FamilyId::random(random()),
            user,
            created: at(used),
            used: at(used),
            expires: at(30 * DAY),
            address: "192.0.2.1".to_owned(),
        },
        refresh: hash(),
        second: None,
        user_version: 1,
        idle_before: UnixMillis(0),
    }
}

const DAY: u64 = 24 * 60 * 60;

async fn signed_in(store: &dyn Store, user: UserId) -> NewFamily {
    let family = family(user, 0);
    let made = store.create_family(family.clone(), audit("user.sign_in"));
    made.await.expect("made");
    family
}

fn refresh(presented: SecretHash, seconds: u64) -> Refresh {
    Refresh {
        presented,
        next: hash(),
        at: at(seconds),
        idle_before: UnixMillis(at(seconds).0.saturating_sub(7 * DAY * 1000)),
    }
}

async fn live(store: &dyn Store) -> Vec<FamilyId> {
    let families = store.families(None).await.expect("read");
    families.into_iter().map(|family| family.id).collect()
}

async fn group(store: &dyn Store, name: &str) -> GroupId {
    let id = GroupId::random(random());
    let group = NewGroup {
        id,
        name: name.parse().expect("a name"),
        description: String::new(),
        at: T0,
    };
    let made = store.create_group(group, audit("group.create").into());
    made.await.expect("made");
    id
}

async fn users_are_kept_whole(open: Open<'_>) {
    let store = open();
    let group = group(&*store, "a").await;
    let whole = UserRecord {
        access: Access {
            role: Role::Viewer,
            grants: Grants::Groups(BTreeSet::from([group])),
        },
        disabled: true,
        totp: Some(TotpRecord {
            sealed: vec![1, 2, 3],
            on: true,
            last_step: 7,
        }),
        external: Some(External {
            issuer: "https://id.example".to_owned(),
            subject: "s".to_owned(),
        }),
        ..user("whole")
    };
    let plain = UserRecord {
        password: None,
        ..user("plain")
    };
    for user in [&whole, &plain] {
        assert_eq!(kept(&*store, user.clone()).await, *user);
    }
    drop(store);
    let store = open();
    assert_eq!(store.user(whole.id).await, Ok(Some(whole.clone())));
    assert_eq!(store.users().await, Ok(vec![plain.clone(), whole]));
    let deleted = store.delete_user(plain.id, Some(2), audit("user.delete"));
    assert_eq!(deleted.await, Err(StoreError::VersionChanged));
    let deleted = store.delete_user(plain.id, Some(1), audit("user.delete"));
    assert_eq!(deleted.await, Ok(()));
    assert_eq!(store.user(plain.id).await, Ok(None));
    let again = store.delete_user(plain.id, None, audit("user.delete"));
    assert_eq!(again.await, Err(StoreError::NotFound));
}

async fn a_change_touches_what_it_names(open: Open<'_>) {
    let store = open();
    let before = kept(&*store, user("a")).await;
    let code = hash();
    let codes = vec![code, hash()];
    let totp = TotpRecord {
        sealed: vec![9],
        on: true,
        last_step: 0,
    };
    let change = async |expected, change| {
        store
            .update_user(before.id, expected, change, audit("user.update"))
            .await
    };
    let changed = change(
        Some(1),
        UserChange {
            totp: Some(Some(totp.clone())),
            recovery_codes: Some(codes),
            ..UserChange::default()
        },
    );
    let expected = UserRecord {
        totp: Some(totp),
        version: 2,
        ..before.clone()
    };
    assert_eq!(changed.await, Ok(expected.clone()));
    assert_eq!(store.recovery_codes_left(before.id).await, Ok(2));
    assert_eq!(store.has_recovery_code(before.id, code).await, Ok(true));
    assert_eq!(store.has_recovery_code(before.id, hash()).await, Ok(false));
    let old = change(Some(1), UserChange::default()).await;
    assert_eq!(old, Err(StoreError::VersionChanged));
    let changed = change(
        None,
        UserChange {
            name: Some("b".parse().expect("a name")),
            disabled: Some(true),
            password: Some(None),
            totp: Some(None),
            ..UserChange::default()
        },
    );
    let expected = UserRecord {
        name: "b".parse().expect("a name"),
        disabled: true,
        password: None,
        totp: None,
        version: 3,
        ..before
    };
    assert_eq!(changed.await, Ok(expected));
    assert_eq!(
        store.recovery_codes_left(before.id).await,
        Ok(0),
        "they go with the factor that they stand in for"
    );
}

async fn names_and_subjects_are_unique(open: Open<'_>) {
    let store = open();
    let subject = |subject: &str| {
        Some(External {
            issuer: "https://id.example".to_owned(),
            subject: subject.to_owned(),
        })
    };
    let a = UserRecord {
        external: subject("a"),
        ..user("a")
    };
    let a = kept(&*store, a).await;
    let b = kept(&*store, user("b")).await;
    for taken in [
        user("a"),
        UserRecord {
            external: subject("a"),
            ..user("c")
        },
    ] {
        let made = store.create_user(taken, audit("user.create").into()).await;
        assert_eq!(made, Err(StoreError::Taken));
    }
    for change in [
        UserChange {
            name: Some(a.name.clone()),
            ..UserChange::default()
        },
        UserChange {
            external: Some(subject("a")),
            ..UserChange::default()
        },
    ] {
        let changed = store.update_user(b.id, None, change, audit("user.update"));
        assert_eq!(changed.await, Err(StoreError::Taken));
    }
    assert_eq!(store.users().await.expect("read"), [a, b]);
}

async fn a_group_that_goes_takes_its_grants_with_it(open: Open<'_>) {
    let store = open();
    let (a, b) = (group(&*store, "a").await, group(&*store, "b").await);
    let of = |groups: &[GroupId]| Access {
        role: Role::Viewer,
        grants: Grants::Groups(groups.iter().copied().collect()),
    };
    let with = |groups: &[GroupId]| UserRecord {
        access: of(groups),
        ..user("u")
    };
    let unknown = with(&[a, GroupId::random(random())]);
    let made = store.create_user(unknown, audit("user.create").into());
    assert_eq!(made.await, Err(StoreError::GroupUnknown));
    let made = kept(&*store, with(&[a, b])).await;
    assert_eq!(made.access, of(&[a, b]));
    let key = ApiKeyRecord {
        id: ApiKeyId::random(random()),
        user: made.id,
        name: "k".to_owned(),
        hash: hash(),
        access: of(&[a]),
        created: T0,
        expires: None,
        used: None,
    };
    let put = store.put_api_key(key, audit("api_key.create").into());
    put.await.expect("kept");
    let deleted = store.delete_group(a, None, audit("group.delete"));
    deleted.await.expect("removed");
    let after = store.user(made.id).await.expect("read").expect("there");
    assert_eq!((after.access, after.version), (of(&[b]), 2));
    let keys = store.api_keys(Some(made.id)).await.expect("read");
    assert_eq!(keys[0].access, of(&[]), "none, and never all");
}

async fn a_refresh_token_is_traded_once(open: Open<'_>) {
    let store = open();
    let user = kept(&*store, user("a")).await.id;
    let other = signed_in(&*store, user).await;
    let first = signed_in(&*store, user).await;
    let second = refresh(first.refresh, 60);
    let rotated = FamilyRecord {
        used: at(60),
        ..first.family.clone()
    };
    let traded = store.refresh(second.clone()).await;
    assert_eq!(traded, Ok(Refreshed::Rotated(rotated.clone())));
    drop(store);

    let store = open();
    assert_eq!(
        store.refresh(refresh(hash(), 70)).await,
        Ok(Refreshed::Unknown)
    );
    let written = store.audit_span(0).await.expect("there").head.sequence;
    let third = refresh(second.next, 80);
    let traded = store.refresh(third.clone()).await.expect("answered");
    assert!(matches!(traded, Refreshed::Rotated(_)));
    // Any that was used ends the family, also the first of many; and the newest goes with it.
    let reused = store.refresh(refresh(first.refresh, 90)).await;
    let rotated = FamilyRecord {
        used: at(80),
        ..rotated
    };
    assert_eq!(reused, Ok(Refreshed::Reused(rotated)));
    let span = store.audit_span(written).await.expect("there");
    assert_eq!(span.head.sequence, written + 1, "the log says so");
    let page = store.audit_after(written, 1).await.expect("read");
    assert_eq!(page.entries[0].entry.action, "user.refresh_reused");
    for token in [third.next, first.refresh] {
        let traded = store.refresh(refresh(token, 100)).await;
        assert_eq!(traded, Ok(Refreshed::Unknown));
    }
    assert_eq!(live(&*store).await, [other.family.id]);
    // Of many that present the same one, one is answered and then the family is over.
    let mut tries = Vec::new();
    for _ in 0..10 {
        let store = store.clone();
        let refresh = refresh(other.refresh, 110);
        tries.push(tokio::spawn(async move {
            store.refresh(refresh).await.expect("answered")
        }));
    }
    let mut outcomes = Vec::new();
    for attempt in tries {
        outcomes.push(attempt.await.expect("ran"));
    }
    let count = |of: fn(&Refreshed) -> bool| outcomes.iter().filter(|outcome| of(outcome)).count();
    assert_eq!(count(|of| matches!(of, Refreshed::Rotated(_))), 1);
    assert_eq!(count(|of| matches!(of, Refreshed::Reused(_))), 1);
    assert!(live(&*store).await.is_empty());
}

async fn sign_ins_end(open: Open<'_>) {
    let store = open();
    let user = kept(&*store, user("a")).await.id;
    // Idle for seven days, to the millisecond; and at its absolute end.
    for (seconds, over) in [(7 * DAY - 1, false), (7 * DAY, true)] {
        let family = signed_in(&*store, user).await;
        let traded = store.refresh(refresh(family.refresh, seconds)).await;
        assert_eq!(traded == Ok(Refreshed::Unknown), over, "{seconds}");
        assert_eq!(live(&*store).await.contains(&family.family.id), !over);
    }
    let mut token = signed_in(&*store, user).await.refresh;
    for day in 1..30 {
        let next = refresh(token, day * DAY);
        token = next.next;
        let traded = store.refresh(next).await.expect("answered");
        assert!(matches!(traded, Refreshed::Rotated(_)), "day {day}");
    }
    let traded = store.refresh(refresh(token, 30 * DAY)).await;
    assert_eq!(traded, Ok(Refreshed::Unknown));

    let one = signed_in(&*store, user).await.family.id;
    let ended = store.end_family(one, audit("user.sign_out")).await;
    assert_eq!(ended, Ok(()));
    let again = store.end_family(one, audit("user.sign_out")).await;
    assert_eq!(again, Err(StoreError::NotFound));
    signed_in(&*store, user).await;
    let change = UserChange {
        end_sign_ins: true,
        ..UserChange::default()
    };
    let changed = store.update_user(user, None, change, audit("user.update"));
    changed.await.expect("changed");
    assert!(live(&*store).await.is_empty());
    let mut of_gone = family(user, 0);
    of_gone.user_version = 2;
    let made = store.create_family(of_gone.clone(), audit("user.sign_in"));
    made.await.expect("made");
    let deleted = store.delete_user(user, None, audit("user.delete"));
    deleted.await.expect("removed");
    assert!(live(&*store).await.is_empty());
    let made = store.create_family(of_gone, audit("user.sign_in")).await;
    assert_eq!(made, Err(StoreError::NotFound));
}

async fn a_second_factor_is_used_once(open: Open<'_>) {
    let store = open();
    let made = UserRecord {
        totp: Some(TotpRecord {
            sealed: vec![1],
            on: true,
            last_step: 10,
        }),
        ..user("a")
    };
    let user = kept(&*store, made).await.id;
    let (code, unknown) = (hash(), hash());
    let change = UserChange {
        recovery_codes: Some(vec![code]),
        ..UserChange::default()
    };
    let changed = store.update_user(user, None, change, audit("user.update"));
    changed.await.expect("changed");
    for (second, expected) in [
        (SecondFactor::Totp(10), Err(StoreError::Taken)),
        (SecondFactor::Totp(9), Err(StoreError::Taken)),
        (SecondFactor::Totp(11), Ok(())),
        (SecondFactor::Totp(11), Err(StoreError::Taken)),
        (SecondFactor::Recovery(unknown), Err(StoreError::Taken)),
        (SecondFactor::Recovery(code), Ok(())),
        (SecondFactor::Recovery(code), Err(StoreError::Taken)),
    ] {
        let family = NewFamily {
            second: Some(second),
            user_version: 2,
            ..family(user, 0)
        };
        let made = store.create_family(family, audit("user.sign_in")).await;
        assert_eq!(made, expected, "{second:?}");
    }
    assert_eq!(live(&*store).await.len(), 2);
    assert_eq!(store.recovery_codes_left(user).await, Ok(0));
}

async fn whoever_was_changed_does_not_sign_in_on_what_was(open: Open<'_>) {
    let store = open();
    let user = kept(&*store, user("a")).await.id;
    let checked = family(user, 0);
    let change = UserChange {
        disabled: Some(true),
        ..UserChange::default()
    };
    let changed = store.update_user(user, None, change, audit("user.update"));
    changed.await.expect("changed");
    let made = store.create_family(checked, audit("user.sign_in")).await;
    assert_eq!(made, Err(StoreError::VersionChanged));
}

async fn sign_ins_and_used_tokens_are_bounded(open: Open<'_>) {
    let store = open();
    let (user, other) = (kept(&*store, user("a")).await.id, user("b"));
    let other = kept(&*store, other).await.id;
    let of_other = signed_in(&*store, other).await.family.id;
    let mut made = Vec::new();
    for n in 0..=FAMILIES_MAX as u64 {
        let family = family(user, n);
        made.push(family.family.id);
        let created = store.create_family(family, audit("user.sign_in"));
        created.await.expect("made");
    }
    let families = store.families(Some(user)).await.expect("read");
    assert_eq!(families.len(), FAMILIES_MAX);
    assert!(families.iter().all(|family| family.id != made[0]));
    assert!(live(&*store).await.contains(&of_other));
    // What is over is forgotten with the next sign-in, whoever it is.
    let late = NewFamily {
        idle_before: at(10 * DAY),
        ..family(other, 17 * DAY)
    };
    let created = store.create_family(late.clone(), audit("user.sign_in"));
    created.await.expect("made");
    assert_eq!(live(&*store).await, [late.family.id]);
}

async fn keys_are_kept_and_removed(open: Open<'_>) {
    let store = open();
    let user = kept(&*store, user("a")).await.id;
    let key = |n: u64| ApiKeyRecord {
        id: ApiKeyId::random(random()),
        user,
        name: format!("key {n}"),
        hash: hash(),
        access: Access {
            role: Role::Viewer,
            grants: Grants::All,
        },
        created: at(n),
        expires: Some(at(n + 60)),
        used: None,
    };
    let mut keys: Vec<_> = (0..API_KEYS_MAX as u64).map(key).collect();
    for key in &keys {
        let put = store.put_api_key(key.clone(), audit("api_key.create").into());
        put.await.expect("kept");
    }
    let put = store.put_api_key(key(1000), audit("api_key.create").into());
    assert_eq!(put.await, Err(StoreError::Full));
    keys[0].hash = hash();
    let put = store.put_api_key(keys[0].clone(), audit("api_key.create").into());
    assert_eq!(put.await, Ok(()), "in the place of itself");
    let of_nobody = ApiKeyRecord {
        user: UserId::random(random()),
        ..key(1001)
    };
    let put = store.put_api_key(of_nobody, audit("api_key.create").into());
    assert_eq!(put.await, Err(StoreError::NotFound));
    let used = vec![(keys[1].id, at(5)), (ApiKeyId::random(random()), at(6))];
    store.api_keys_used(used).await.expect("noted");
    keys[1].used = Some(at(5));
    drop(store);
    let store = open();
    assert_eq!(store.api_keys(None).await, Ok(keys.clone()));
    let gone = keys.remove(0).id;
    let deleted = store.delete_api_key(gone, audit("api_key.revoke"));
    assert_eq!(deleted.await, Ok(()));
    let again = store.delete_api_key(gone, audit("api_key.revoke"));
    assert_eq!(again.await, Err(StoreError::NotFound));
    assert_eq!(store.api_keys(Some(user)).await, Ok(keys));
}
