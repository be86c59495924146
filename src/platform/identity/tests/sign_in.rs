//! Passwords, access tokens and refresh tokens, and what whoever steals or guesses one gets of it.

use std::time::Duration;

use super::*;
use crate::audit::Outcome;

const DAY: u64 = 24 * 60 * 60;

#[tokio::test]
async fn a_sign_in_gives_a_quarter_of_an_hour_at_a_time() {
    let fixture = Fixture::new().await;
    let alice = fixture.person("alice", on_all(Role::Operator)).await;
    let first = fixture.sign_in_from(1, T0, "Alice", PASSWORD, None).await;
    let first = first.expect("signed in");
    assert_eq!((first.user.id, first.access_expires), (alice.id, at(900)));
    assert_eq!(first.refresh_expires, at(30 * DAY));
    let caller = fixture.authenticate(at(899), &first).expect("let in");
    assert_eq!(
        (caller.user, caller.role(), caller.name.as_str()),
        (alice.id, Role::Operator, "alice")
    );
    assert_eq!(code(fixture.authenticate(at(900), &first)), "token_invalid");
    // A refresh token opens nothing but the next pair.
    let refused = fixture.identity.authenticate(T0, &first.refresh_token);
    assert_eq!(code(refused), "token_invalid");
    let refused = fixture.refresh(T0, &first.access_token).await;
    assert_eq!(code(refused), "refresh_token_invalid");

    let second = fixture.refresh(at(900), &first.refresh_token).await;
    let second = second.expect("refreshed");
    assert_eq!(second.access_expires, at(1800));
    assert_eq!(second.refresh_expires, first.refresh_expires);
    let again = fixture.authenticate(at(1000), &second).expect("let in");
    assert_eq!(again.via, caller.via, "the same sign-in");
    let entries = fixture.entries().await;
    let entry = entries.last().expect("there");
    assert_eq!(
        (&*entry.actor, &*entry.action, entry.details[0].1.as_str()),
        ("alice", "user.sign_in", "password")
    );
}

#[tokio::test]
async fn it_goes_on_over_a_restart_and_with_another_key_behind() {
    let fixture = Fixture::new().await;
    fixture.person("alice", on_all(Role::Viewer)).await;
    let signed_in = fixture.signed_in("alice").await;
    let path = fixture.dir.path().join("access-token.key");
    let fixture = fixture.restarted().await;
    assert!(fixture.authenticate(T0, &signed_in).is_ok());
    let old = std::fs::read_to_string(&path).expect("there");
    std::fs::remove_file(&path).expect("removed");
    let fixture = fixture.restarted().await;
    let new = std::fs::read_to_string(&path).expect("made");
    assert_eq!(code(fixture.authenticate(T0, &signed_in)), "token_invalid");
    std::fs::write(&path, format!("{new}{old}")).expect("written");
    let fixture = fixture.restarted().await;
    assert!(fixture.authenticate(T0, &signed_in).is_ok());
    std::fs::write(&path, "damaged").expect("written");
    let damaged = Identity::open(T0, fixture.dir.path(), fixture.store.clone()).await;
    let error = damaged.err().expect("refused").to_string();
    assert!(error.contains("access-token.key"), "{error}");
}

#[tokio::test]
async fn whatever_is_wrong_is_told_in_the_same_words() {
    let fixture = Fixture::new().await;
    fixture.person("alice", on_all(Role::Viewer)).await;
    fixture.user("keys-only", on_all(Role::Viewer)).await;
    let long = "x".repeat(100_000);
    for (from, (name, password)) in (1..).zip([
        ("alice", "wrong horse battery"),
        ("alice", ""),
        ("alice", &long),
        ("nobody", PASSWORD),
        ("keys-only", ""),
        ("keys-only", PASSWORD),
        ("admin", PASSWORD),
        ("", PASSWORD),
        ("platform", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        (&long, PASSWORD),
    ]) {
        let refused = fixture.sign_in_from(from, T0, name, password, None).await;
        let refused = refused.expect_err("refused");
        assert_eq!(
            (refused.kind, refused.code),
            (ErrorKind::Unauthenticated, "credentials_invalid"),
            "{name:.20}"
        );
    }
    let failed: Vec<_> = fixture
        .entries()
        .await
        .into_iter()
        .filter(|entry| entry.action == "user.sign_in")
        .collect();
    assert_eq!(failed.len(), 11);
    for entry in &failed {
        assert_eq!(entry.outcome, Outcome::Failed.code());
        assert!(["alice", "unknown", "keys-only", "admin"].contains(&&*entry.actor));
    }
}

#[tokio::test]
async fn whoever_is_kept_out_is_out_at_once() {
    let fixture = Fixture::new().await;
    let Fixture {
        identity, admin, ..
    } = &fixture;
    let (a, b) = (fixture.group("a").await, fixture.group("b").await);
    let alice = fixture.person("alice", of(Role::Operator, &[a, b])).await;
    let signed_in = fixture.signed_in("alice").await;
    let update = async |update| {
        let changed = identity
            .update_user(admin, T0, alice.id, None, update)
            .await;
        changed.expect("changed");
    };
    // What is in the token says nothing of what its user may do.
    update(UserUpdate {
        role: Some(Role::Viewer),
        grants: Some(Grants::Groups(BTreeSet::from([b]))),
        ..UserUpdate::default()
    })
    .await;
    let caller = fixture.authenticate(T0, &signed_in).expect("let in");
    assert_eq!(*caller.access, of(Role::Viewer, &[b]));
    update(UserUpdate {
        disabled: Some(true),
        ..UserUpdate::default()
    })
    .await;
    assert_eq!(code(fixture.authenticate(T0, &signed_in)), "token_invalid");
    let refused = fixture.refresh(T0, &signed_in.refresh_token).await;
    assert_eq!(code(refused), "refresh_token_invalid");
    let refused = fixture.sign_in_from(1, T0, "alice", PASSWORD, None).await;
    assert_eq!(code(refused), "user_disabled");
    let refused = fixture.sign_in_from(1, T0, "alice", "wrong", None).await;
    assert_eq!(code(refused), "credentials_invalid");
    // Let in again it has to sign in again.
    update(UserUpdate {
        disabled: Some(false),
        ..UserUpdate::default()
    })
    .await;
    assert_eq!(code(fixture.authenticate(T0, &signed_in)), "token_invalid");
    let signed_in = fixture.signed_in("alice").await;
    identity
        .delete_user(admin, T0, alice.id, None)
        .await
        .expect("removed");
    assert_eq!(code(fixture.authenticate(T0, &signed_in)), "token_invalid");
}

#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_all_that_came_of_its_sign_in() {
    let fixture = Fixture::new().await;
    fixture.person("alice", on_all(Role::Viewer)).await;
    let other = fixture.signed_in("alice").await;
    let first = fixture.signed_in("alice").await;
    let second = fixture.refresh(at(1), &first.refresh_token).await;
    let second = second.expect("refreshed");
    let third = fixture.refresh(at(2), &second.refresh_token).await;
    let third = third.expect("refreshed");
    // The thief has the first one, and comes late.
    let reused = fixture.refresh(at(3), &first.refresh_token).await;
    assert_eq!(code(reused), "refresh_token_reused");
    for ended in [&first, &second, &third] {
        assert_eq!(code(fixture.authenticate(at(3), ended)), "token_invalid");
        let refused = fixture.refresh(at(3), &ended.refresh_token).await;
        assert_eq!(code(refused), "refresh_token_invalid");
    }
    assert!(fixture.authenticate(at(3), &other).is_ok());
    assert!(
        fixture
            .actions()
            .await
            .contains(&"user.refresh_reused".to_owned())
    );
}

#[tokio::test]
async fn of_many_who_refresh_at_once_none_stays() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.person("alice", on_all(Role::Viewer)).await;
    let first = fixture.signed_in("alice").await;
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (fixture, token) = (fixture.clone(), first.refresh_token.clone());
        tries.spawn(async move { fixture.refresh(at(1), &token).await });
    }
    let mut won = Vec::new();
    while let Some(tried) = tries.join_next().await {
        won.extend(tried.expect("ran"));
    }
    assert_eq!(won.len(), 1);
    assert_eq!(code(fixture.authenticate(at(1), &won[0])), "token_invalid");
}

#[tokio::test]
async fn a_sign_in_ends_when_nobody_uses_it_and_after_thirty_days() {
    let fixture = Fixture::new().await;
    fixture.person("alice", on_all(Role::Viewer)).await;
    let idle = fixture.signed_in("alice").await;
    let refused = fixture.refresh(at(7 * DAY), &idle.refresh_token).await;
    assert_eq!(code(refused), "refresh_token_invalid");
    let mut used = fixture.signed_in("alice").await;
    for day in 1..30 {
        let refreshed = fixture.refresh(at(day * DAY), &used.refresh_token).await;
        used = refreshed.expect("refreshed");
    }
    let last = fixture
        .refresh(at(30 * DAY - 60), &used.refresh_token)
        .await;
    let last = last.expect("refreshed");
    assert_eq!(
        last.access_expires,
        at(30 * DAY),
        "no longer than the sign-in"
    );
    assert!(fixture.authenticate(at(30 * DAY - 1), &last).is_ok());
    let over = fixture.authenticate(at(30 * DAY), &last);
    assert_eq!(code(over), "token_invalid");
    let refused = fixture.refresh(at(30 * DAY), &last.refresh_token).await;
    assert_eq!(code(refused), "refresh_token_invalid");
}

#[tokio::test]
async fn signing_out_ends_one_sign_in() {
    let fixture = Fixture::new().await;
    let alice = fixture.person("alice", on_all(Role::Viewer)).await;
    let (one, other) = (
        fixture.signed_in("alice").await,
        fixture.signed_in("alice").await,
    );
    let caller = fixture.authenticate(T0, &one).expect("let in");
    for _ in 0..2 {
        let out = fixture.identity.sign_out(&caller, T0).await;
        assert_eq!(out, Ok(()), "also again");
    }
    assert_eq!(code(fixture.authenticate(T0, &one)), "token_invalid");
    let refused = fixture.refresh(T0, &one.refresh_token).await;
    assert_eq!(code(refused), "refresh_token_invalid");
    assert!(fixture.authenticate(T0, &other).is_ok());
    let with_key = fixture.caller(&alice).await;
    let out = fixture.identity.sign_out(&with_key, T0).await;
    assert_eq!(code(out), "not_signed_in");
}

#[tokio::test]
async fn another_password_ends_every_sign_in() {
    const NEW: &str = "battery staple correct";
    let fixture = Fixture::new().await;
    let Fixture {
        identity, admin, ..
    } = &fixture;
    let alice = fixture.person("alice", on_all(Role::Admin)).await;
    let (one, other) = (
        fixture.signed_in("alice").await,
        fixture.signed_in("alice").await,
    );
    let caller = fixture.authenticate(T0, &one).expect("let in");
    let change = async |present: &str, new: &str| {
        let (present, new) = (secret(present), secret(new));
        identity
            .change_password(&caller, T0, present, new, client(1))
            .await
    };
    assert_eq!(code(change("wrong", NEW).await), "credentials_invalid");
    assert_eq!(code(change(PASSWORD, "short").await), "password_weak");
    // Nor does a sign-in that was left open, though it may change everybody else's.
    let set = |password: &str| UserUpdate {
        password: Some(secret(password)),
        ..UserUpdate::default()
    };
    let refused = identity.update_user(&caller, T0, alice.id, None, set(NEW));
    assert_eq!(code(refused.await), "password_needed");
    assert!(fixture.authenticate(T0, &other).is_ok());
    assert_eq!(change(PASSWORD, NEW).await, Ok(()));
    for ended in [&one, &other] {
        assert_eq!(code(fixture.authenticate(T0, ended)), "token_invalid");
        let refused = fixture.refresh(T0, &ended.refresh_token).await;
        assert_eq!(code(refused), "refresh_token_invalid");
    }
    let refused = fixture.sign_in_from(1, T0, "alice", PASSWORD, None).await;
    assert_eq!(code(refused), "credentials_invalid");
    let signed_in = fixture.sign_in_from(1, T0, "alice", NEW, None).await;
    let signed_in = signed_in.expect("signed in");
    let changed = identity.update_user(admin, T0, alice.id, None, set(PASSWORD));
    changed.await.expect("changed");
    assert_eq!(code(fixture.authenticate(T0, &signed_in)), "token_invalid");
    let with_key = fixture.caller(&alice).await;
    let changed = identity.change_password(&with_key, T0, secret(PASSWORD), secret(NEW), client(1));
    assert_eq!(code(changed.await), "not_signed_in");
}

#[tokio::test]
async fn guessing_is_slowed_and_locks_nobody_out() {
    let fixture = Fixture::new().await;
    let Fixture { identity, .. } = &fixture;
    fixture.person("alice", on_all(Role::Viewer)).await;
    fixture.signed_in("alice").await;
    let mut refusals = Vec::new();
    for from in 100..130 {
        for _ in 0..10 {
            let guess = fixture.sign_in_from(from, T0, "alice", "wrong", None).await;
            refusals.push(guess.expect_err("refused"));
        }
    }
    let of = |code| refusals.iter().filter(move |error| error.code == code);
    assert!((99..=100).contains(&of("credentials_invalid").count()));
    for limited in of("rate_limited") {
        assert_eq!(limited.kind, ErrorKind::TooMany);
        let wait = limited.retry_after.expect("a time to wait");
        assert!(
            !wait.is_zero() && wait <= Duration::from_secs(30),
            "{wait:?}"
        );
    }
    // The right password is not even looked at from elsewhere; where alice is signed in it is.
    let guessed = fixture.sign_in_from(999, T0, "alice", PASSWORD, None).await;
    assert_eq!(code(guessed), "rate_limited");
    let owner = fixture.sign_in_from(1, T0, "alice", PASSWORD, None).await;
    assert!(owner.is_ok());
    let later = fixture
        .sign_in_from(998, at(11), "alice", PASSWORD, None)
        .await;
    assert!(later.is_ok(), "and from elsewhere after seconds");
    // The log has some of it, and then how much there was.
    identity.keep(at(61)).await;
    let failed: Vec<_> = fixture
        .entries()
        .await
        .into_iter()
        .filter(|entry| entry.outcome == Outcome::Failed.code())
        .collect();
    assert_eq!(failed.len(), 21);
    let flood = &failed.last().expect("there").details;
    let count = of("credentials_invalid").count() - 20;
    assert_eq!(flood[1], ("count".to_owned(), count.to_string()));
}

#[tokio::test]
async fn one_address_tries_no_more_than_its_share_of_names() {
    let fixture = Fixture::new().await;
    let mut looked_at = 0;
    for n in 0..50 {
        let name = format!("user-{n}");
        let refused = fixture.sign_in_from(1, T0, &name, PASSWORD, None).await;
        looked_at += usize::from(code(refused) == "credentials_invalid");
    }
    assert_eq!(looked_at, 30);
    assert!(
        fixture
            .identity
            .admit_address(T0, client(1).address)
            .is_err()
    );
    let stolen = secret("fwr_guessed");
    let refused = fixture.refresh(T0, &stolen).await;
    assert_eq!(code(refused), "rate_limited");
}
