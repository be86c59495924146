//! The second factor of a user, from its first code to its recovery codes.

use super::*;
use crate::platform::identity::totp::TotpSecret;

/// The code that an app would show.
async fn app(fixture: &Fixture, user: UserId, now: UnixMillis) -> String {
    let record = fixture.store.user(user).await.expect("read");
    let totp = record.expect("there").totp.expect("there");
    let secret = fixture.identity.shared.vault.open(user, &totp.sealed);
    let secret: TotpSecret = secret.expect("opened");
    secret.code(now.0 / 30_000)
}

struct Person {
    fixture: Fixture,
    user: User,
    caller: Caller,
}

async fn signed_in() -> Person {
    let fixture = Fixture::new().await;
    let user = fixture.person("alice", on_all(Role::Admin)).await;
    let signed_in = fixture.signed_in("alice").await;
    let caller = fixture.authenticate(T0, &signed_in).expect("let in");
    Person {
        fixture,
        user,
        caller,
    }
}

impl Person {
    async fn begin(&self, password: &str) -> Result<TotpBegun, ServiceError> {
        let identity = &self.fixture.identity;
        identity
            .begin_totp(&self.caller, T0, secret(password), client(1))
            .await
    }

    async fn confirm(&self, code: &str) -> Result<Vec<Secret>, ServiceError> {
        let identity = &self.fixture.identity;
        identity.confirm_totp(&self.caller, T0, &secret(code)).await
    }

    async fn turned_on(&self) -> Vec<Secret> {
        self.begin(PASSWORD).await.expect("begun");
        let code = app(&self.fixture, self.user.id, T0).await;
        self.confirm(&code).await.expect("on")
    }

    async fn sign_in(&self, now: UnixMillis, code: Option<&str>) -> Result<SignedIn, ServiceError> {
        self.fixture
            .sign_in_from(2, now, "alice", PASSWORD, code)
            .await
    }
}

#[tokio::test]
async fn a_code_is_asked_for_once_one_was_shown_and_is_taken_once() {
    let alice = signed_in().await;
    assert_eq!(code(alice.confirm("000000").await), "totp_not_begun");
    assert_eq!(code(alice.begin("wrong").await), "credentials_invalid");
    let begun = alice.begin(PASSWORD).await.expect("begun");
    assert_eq!(begun.secret.expose().len(), 32);
    assert!(begun.url.expose().contains(begun.secret.expose()));
    assert!(alice.sign_in(T0, None).await.is_ok(), "it is not on yet");
    let first = app(&alice.fixture, alice.user.id, T0).await;
    let wrong = if first == "000000" {
        "000001"
    } else {
        "000000"
    };
    assert_eq!(code(alice.confirm(wrong).await), "totp_invalid");
    let codes = alice.confirm(&first).await.expect("on");
    assert_eq!(codes.len(), 10);
    assert_eq!(code(alice.begin(PASSWORD).await), "totp_on");
    assert_eq!(code(alice.confirm(&first).await), "totp_not_begun");

    assert_eq!(code(alice.sign_in(T0, None).await), "totp_required");
    let used = alice.sign_in(T0, Some(&first)).await;
    assert_eq!(code(used), "totp_invalid", "it confirmed");
    let now = at(60);
    let next = app(&alice.fixture, alice.user.id, now).await;
    let fixture = &alice.fixture;
    let guessed = fixture
        .sign_in_from(3, now, "alice", "wrong", Some(&next))
        .await;
    assert_eq!(code(guessed), "credentials_invalid");
    assert!(alice.sign_in(now, Some(&next)).await.is_ok());
    for later in [now, at(61), at(89)] {
        let again = alice.sign_in(later, Some(&next)).await;
        assert_eq!(code(again), "totp_invalid");
    }
}

#[tokio::test]
async fn of_two_with_the_same_code_one_gets_in() {
    let alice = Arc::new(signed_in().await);
    alice.turned_on().await;
    let now = at(60);
    let next = app(&alice.fixture, alice.user.id, now).await;
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (alice, next) = (alice.clone(), next.clone());
        tries.spawn(async move { alice.sign_in(now, Some(&next)).await.is_ok() });
    }
    let mut in_ = 0;
    while let Some(tried) = tries.join_next().await {
        in_ += usize::from(tried.expect("ran"));
    }
    assert_eq!(in_, 1);
}

#[tokio::test]
async fn a_recovery_code_stands_in_once() {
    let alice = signed_in().await;
    let codes = alice.turned_on().await;
    let identity = &alice.fixture.identity;
    assert_eq!(identity.recovery_codes_left(&alice.caller).await, Ok(10));
    let typed = codes[3].expose().to_uppercase().replace('-', " ");
    assert!(alice.sign_in(T0, Some(&typed)).await.is_ok());
    let again = alice.sign_in(T0, Some(codes[3].expose())).await;
    assert_eq!(code(again), "totp_invalid");
    assert_eq!(identity.recovery_codes_left(&alice.caller).await, Ok(9));
    for wrong in ["", "aaaa-bbbb-cccc-dddd", &"x".repeat(10_000)] {
        let refused = alice.sign_in(T0, Some(wrong)).await;
        assert_eq!(code(refused), "totp_invalid");
    }
    let stored = std::fs::read(alice.fixture.dir.path().join("platform.db-wal"));
    let stored = stored.expect("there");
    let text = codes[3].expose().as_bytes();
    assert!(!stored.windows(text.len()).any(|bytes| bytes == text));
}

#[tokio::test]
async fn recovery_codes_are_renewed_with_both_and_those_of_before_are_void() {
    let alice = signed_in().await;
    let identity = &alice.fixture.identity;
    let renewed = async |now, password: &str, code: &str| {
        identity
            .renew_recovery_codes(
                &alice.caller,
                now,
                secret(password),
                &secret(code),
                client(1),
            )
            .await
    };
    assert_eq!(code(renewed(T0, PASSWORD, "000000").await), "totp_off");
    let before = alice.turned_on().await;
    let recovery = before[0].expose();
    let refused = renewed(T0, "wrong", recovery).await;
    assert_eq!(code(refused), "credentials_invalid");
    let refused = renewed(T0, PASSWORD, "aaaa-bbbb").await;
    assert_eq!(code(refused), "totp_invalid");
    let left = identity.recovery_codes_left(&alice.caller).await;
    assert_eq!(left, Ok(10), "a refusal changes nothing");

    // By a code of the app, which is used up by that.
    let now = at(60);
    let shown = app(&alice.fixture, alice.user.id, now).await;
    let after = renewed(now, PASSWORD, &shown).await.expect("renewed");
    assert_eq!(after.len(), 10);
    for used in [&shown, recovery] {
        let refused = alice.sign_in(now, Some(used)).await;
        assert_eq!(code(refused), "totp_invalid");
    }
    assert!(alice.sign_in(now, Some(after[0].expose())).await.is_ok());
    // By one that is left of them.
    let last = renewed(now, PASSWORD, after[1].expose()).await;
    let last = last.expect("renewed");
    let refused = alice.sign_in(now, Some(after[2].expose())).await;
    assert_eq!(code(refused), "totp_invalid");
    assert!(alice.sign_in(now, Some(last[0].expose())).await.is_ok());
    let key = alice.fixture.caller(&alice.user).await;
    let left = secret(last[1].expose());
    let refused = identity
        .renew_recovery_codes(&key, now, secret(PASSWORD), &left, client(1))
        .await;
    assert_eq!(code(refused), "not_signed_in");
}

#[tokio::test]
async fn codes_are_not_guessed_with_the_password_in_hand() {
    let alice = signed_in().await;
    alice.turned_on().await;
    let mut outcomes = Vec::new();
    for guess in 0..20 {
        let guess = format!("{guess:06}");
        outcomes.push(code(alice.sign_in(at(600), Some(&guess)).await));
    }
    assert_eq!(outcomes[9], "totp_invalid");
    assert!(outcomes[10..].iter().all(|of| *of == "rate_limited"));
}

#[tokio::test]
async fn it_is_turned_off_with_both_or_by_an_administrator_and_ends_every_sign_in() {
    let alice = signed_in().await;
    let Person {
        fixture,
        user,
        caller,
    } = &alice;
    let identity = &fixture.identity;
    let off = async |caller: &Caller, now, password: &str, code: &str| {
        identity
            .disable_totp(caller, now, secret(password), &secret(code), client(1))
            .await
    };
    assert_eq!(code(off(caller, T0, PASSWORD, "000000").await), "totp_off");
    let codes = alice.turned_on().await;
    let recovery = codes[0].expose();
    let refused = off(caller, T0, "wrong", recovery).await;
    assert_eq!(code(refused), "credentials_invalid");
    let refused = off(caller, T0, PASSWORD, "aaaa-bbbb").await;
    assert_eq!(code(refused), "totp_invalid");
    let key = fixture.caller(user).await;
    let refused = off(&key, T0, PASSWORD, recovery).await;
    assert_eq!(code(refused), "not_signed_in");
    assert_eq!(off(caller, T0, PASSWORD, recovery).await, Ok(()));
    assert!(alice.sign_in(T0, None).await.is_ok());
    let families = fixture.store.families(Some(user.id)).await.expect("read");
    assert_eq!(families.len(), 1, "those of before have ended");

    let again = alice.sign_in(T0, None).await.expect("signed in");
    let caller = fixture.authenticate(T0, &again).expect("let in");
    let alice = Person { caller, ..alice };
    alice.turned_on().await;
    let reset = UserUpdate {
        reset_totp: true,
        ..UserUpdate::default()
    };
    let identity = &alice.fixture.identity;
    let changed = identity.update_user(&alice.fixture.admin, T0, alice.user.id, None, reset);
    assert!(!changed.await.expect("changed").totp);
    let ended = alice.fixture.authenticate(T0, &again);
    assert_eq!(code(ended), "token_invalid");
    assert!(alice.sign_in(T0, None).await.is_ok());
}
