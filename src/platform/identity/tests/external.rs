//! Users for whom a provider vouches.

use super::*;
use crate::platform::store::users::External;

fn external(subject: &str) -> ExternalUser {
    ExternalUser {
        issuer: "https://id.example".to_owned(),
        subject: subject.to_owned(),
        wished_name: Some("Alice Liddell".to_owned()),
        provision: Some(on_all(Role::Viewer)),
        role: None,
    }
}

async fn sign_in(fixture: &Fixture, external: ExternalUser) -> Result<SignedIn, ServiceError> {
    fixture
        .identity
        .sign_in_external(T0, external, client(1))
        .await
}

#[tokio::test]
async fn whoever_comes_again_is_the_same_user() {
    let fixture = Fixture::new().await;
    let unknown = ExternalUser {
        provision: None,
        ..external("1")
    };
    let refused = sign_in(&fixture, unknown.clone()).await;
    assert_eq!(code(refused), "user_unknown");
    let first = sign_in(&fixture, external("1")).await.expect("signed in");
    assert_eq!(first.user.name.as_str(), "alice.liddell");
    assert_eq!(first.user.access, on_all(Role::Viewer));
    assert!(fixture.authenticate(T0, &first).is_ok());
    let again = sign_in(&fixture, unknown).await.expect("signed in");
    assert_eq!(again.user.id, first.user.id);
    let other = ExternalUser {
        issuer: "https://other.example".to_owned(),
        ..external("1")
    };
    let other = sign_in(&fixture, other).await.expect("signed in");
    assert_ne!(other.user.id, first.user.id);
    assert_eq!(other.user.name.as_str(), "alice.liddell-2");
    let third = sign_in(&fixture, external("3")).await.expect("signed in");
    assert_eq!(third.user.name.as_str(), "alice.liddell-3");
    let fixture = fixture.restarted().await;
    let again = sign_in(&fixture, external("1")).await.expect("signed in");
    assert_eq!(again.user.id, first.user.id);
}

#[tokio::test]
async fn a_claim_takes_nobody_over() {
    let fixture = Fixture::new().await;
    let local = fixture.person("bob@example.org", on_all(Role::Admin)).await;
    for wished in ["bob@example.org", "admin"] {
        let claims = ExternalUser {
            wished_name: Some(wished.to_owned()),
            ..external(wished)
        };
        let signed_in = sign_in(&fixture, claims).await.expect("signed in");
        assert_ne!(signed_in.user.id, local.id);
        assert_ne!(signed_in.user.id, ADMINISTRATOR);
        assert_eq!(signed_in.user.access, on_all(Role::Viewer));
        assert_eq!(signed_in.user.name.as_str(), format!("{wished}-2"));
    }
    for (issuer, subject) in [("", "s"), ("i", ""), ("i", &*"s".repeat(256))] {
        let bad = ExternalUser {
            issuer: issuer.to_owned(),
            ..external(subject)
        };
        assert_eq!(code(sign_in(&fixture, bad).await), "external_invalid");
    }
}

#[tokio::test]
async fn the_provider_says_the_role_and_an_administrator_the_rest() {
    let fixture = Fixture::new().await;
    let Fixture {
        identity, admin, ..
    } = &fixture;
    let a = fixture.group("a").await;
    let as_operator = ExternalUser {
        role: Some(Role::Operator),
        ..external("1")
    };
    let first = sign_in(&fixture, as_operator.clone()).await;
    let user = first.expect("signed in").user;
    assert_eq!(user.access.role, Role::Operator);
    let update = async |update| {
        let changed = identity.update_user(admin, T0, user.id, None, update).await;
        changed.map(|_| ())
    };
    let narrowed = UserUpdate {
        role: Some(Role::Viewer),
        grants: Some(Grants::Groups(BTreeSet::from([a]))),
        ..UserUpdate::default()
    };
    assert_eq!(update(narrowed).await, Ok(()));
    let again = sign_in(&fixture, external("1")).await.expect("signed in");
    assert_eq!(again.user.access, of(Role::Viewer, &[a]));
    let again = sign_in(&fixture, as_operator).await.expect("signed in");
    assert_eq!(again.user.access, of(Role::Operator, &[a]));
    let caller = fixture.authenticate(T0, &again).expect("let in");
    assert_eq!(*caller.access, of(Role::Operator, &[a]));

    let password = UserUpdate {
        password: Some(secret(PASSWORD)),
        ..UserUpdate::default()
    };
    assert_eq!(code(update(password).await), "external_invalid");
    let disabled = UserUpdate {
        disabled: Some(true),
        ..UserUpdate::default()
    };
    assert_eq!(update(disabled).await, Ok(()));
    assert_eq!(code(fixture.authenticate(T0, &again)), "token_invalid");
    assert_eq!(
        code(sign_in(&fixture, external("1")).await),
        "user_disabled"
    );
}

#[tokio::test]
async fn an_administrator_says_who_a_user_is_for_the_provider() {
    let fixture = Fixture::new().await;
    let Fixture {
        identity, admin, ..
    } = &fixture;
    let (one, two) = (
        fixture.user("one", on_all(Role::Viewer)).await,
        fixture.user("two", on_all(Role::Viewer)).await,
    );
    let person = fixture.person("person", on_all(Role::Viewer)).await;
    let link = async |user: &User| {
        let update = UserUpdate {
            external: Some(Some(External {
                issuer: "https://id.example".to_owned(),
                subject: "s".to_owned(),
            })),
            ..UserUpdate::default()
        };
        identity.update_user(admin, T0, user.id, None, update).await
    };
    assert!(link(&one).await.is_ok());
    assert_eq!(code(link(&two).await), "name_taken");
    assert_eq!(code(link(&person).await), "external_invalid");
    let signed_in = sign_in(&fixture, external("s")).await.expect("signed in");
    assert_eq!(signed_in.user.id, one.id);
}
