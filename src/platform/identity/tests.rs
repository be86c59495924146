//! Users, groups and keys over a real store, and what those without the right to something are told.
//! Time is what a test says.

mod external;
mod second_factor;
mod sign_in;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::audit::Entry;
use crate::audit::seal::AuditKey;
use crate::ids::GroupId;
use crate::platform::SqliteStore;
use crate::platform::store::groups::{GroupChange, HostChange, HostFilter};
use crate::platform::store::{Change, NewHost};
use crate::secret::random;

pub(super) const PASSWORD: &str = "correct horse battery";
pub(super) const T0: UnixMillis = UnixMillis(1_750_000_000_000);

pub(super) fn at(seconds: u64) -> UnixMillis {
    UnixMillis(T0.0 + seconds * 1000)
}

pub(super) struct Fixture {
    pub(super) dir: tempfile::TempDir,
    pub(super) store: Arc<dyn Store>,
    pub(super) identity: Identity,
    pub(super) admin: Caller,
}

impl Fixture {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let pem = AuditKey::generate_pem([1; 32]);
        let key = Arc::new(AuditKey::from_pem(pem.expose()).expect("a key"));
        let path = dir.path().join("platform.db");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path, key).expect("opened"));
        let identity = Identity::open(T0, dir.path(), store.clone()).await;
        let identity = identity.expect("opened");
        let admin = identity.authenticate(T0, &file_token(dir.path()));
        Self {
            dir,
            store,
            identity,
            admin: admin.expect("the administrator"),
        }
    }

    /// The same after a stop and a start.
    pub(super) async fn restarted(self) -> Self {
        let identity = Identity::open(T0, self.dir.path(), self.store.clone()).await;
        Self {
            identity: identity.expect("opened"),
            ..self
        }
    }

    pub(super) async fn user(&self, name: &str, access: Access) -> User {
        let new = NewUser {
            name: name.parse().expect("a name"),
            access,
            password: None,
            external: None,
        };
        let made = self.identity.create_user(&self.admin, T0, new, keep).await;
        made.expect("made")
    }

    /// A user with a password.
    pub(super) async fn person(&self, name: &str, access: Access) -> User {
        let user = self.user(name, access).await;
        let update = UserUpdate {
            password: Some(secret(PASSWORD)),
            ..UserUpdate::default()
        };
        let changed = self
            .identity
            .update_user(&self.admin, T0, user.id, None, update)
            .await;
        changed.expect("changed")
    }

    /// Tries to sign in, from the address of that number.
    pub(super) async fn sign_in_from(
        &self,
        from: u32,
        now: UnixMillis,
        name: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<SignedIn, ServiceError> {
        let code = code.map(secret);
        let password = secret(password);
        self.identity
            .sign_in(now, name, password, code.as_ref(), client(from))
            .await
    }

    /// Signs in at the beginning of time.
    pub(super) async fn signed_in(&self, name: &str) -> SignedIn {
        let signed_in = self.sign_in_from(1, T0, name, PASSWORD, None).await;
        signed_in.expect("signed in")
    }

    pub(super) async fn refresh(
        &self,
        now: UnixMillis,
        token: &Secret,
    ) -> Result<SignedIn, ServiceError> {
        self.identity.refresh(now, token, client(1)).await
    }

    pub(super) fn authenticate(
        &self,
        now: UnixMillis,
        of: &SignedIn,
    ) -> Result<Caller, ServiceError> {
        self.identity.authenticate(now, &of.access_token)
    }

    /// A caller as this user, by a key that may all that the user may.
    pub(super) async fn caller(&self, user: &User) -> Caller {
        self.identity
            .authenticate(T0, &self.key(user).await)
            .expect("let in")
    }

    pub(super) async fn key(&self, user: &User) -> Secret {
        let new = NewApiKey {
            user: Some(user.id),
            name: "key".to_owned(),
            access: None,
            expires: None,
        };
        let key = self
            .identity
            .create_api_key(&self.admin, T0, new, keep_key)
            .await;
        key.expect("made").1
    }

    pub(super) async fn group(&self, name: &str) -> GroupId {
        let name = name.parse().expect("a name");
        let group = self
            .identity
            .create_group(&self.admin, T0, name, String::new(), keep);
        group.await.expect("made").id
    }

    pub(super) async fn host(&self, name: &str, groups: &[GroupId]) -> HostId {
        let id = HostId::random(random());
        let host = NewHost {
            id,
            name: name.to_owned(),
            auth_token: Secret::generate("agt_").hash(),
            at: T0,
        };
        let audit = Entry::new(T0, "admin", "host.create", "host");
        self.store
            .create_host(host, audit.into())
            .await
            .expect("made");
        let change = HostChange {
            groups: Some(groups.iter().copied().collect()),
            ..HostChange::default()
        };
        let changed = self
            .identity
            .update_host(&self.admin, T0, id, None, change)
            .await;
        changed.expect("changed");
        id
    }

    pub(super) async fn entries(&self) -> Vec<Entry> {
        let page = self.store.audit_after(0, 1000).await.expect("read");
        let entries = page.entries.into_iter();
        entries.map(|chained| chained.entry).collect()
    }

    pub(super) async fn actions(&self) -> Vec<String> {
        let entries = self.entries().await.into_iter();
        entries.map(|entry| entry.action).collect()
    }
}

pub(super) fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

pub(super) fn client(from: u32) -> ClientInfo {
    ClientInfo {
        address: IpAddr::from((0x0a00_0000 + from).to_be_bytes()),
    }
}

/// What goes with a change: its audit entry alone.
pub(super) fn keep<T>(audit: Entry, _: &T) -> Result<Change, ServiceError> {
    Ok(audit.into())
}

/// The same, with a key.
pub(super) fn keep_key(audit: Entry, _: &ApiKey, _: &Secret) -> Result<Change, ServiceError> {
    Ok(audit.into())
}

pub(super) fn file_token(dir: &Path) -> Secret {
    let text = std::fs::read_to_string(dir.join("admin-token")).expect("there");
    Secret::new(text.trim().to_owned())
}

pub(super) fn of(role: Role, groups: &[GroupId]) -> Access {
    Access {
        role,
        grants: Grants::Groups(groups.iter().copied().collect()),
    }
}

pub(super) fn on_all(role: Role) -> Access {
    Access {
        role,
        grants: Grants::All,
    }
}

pub(super) fn code<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> &'static str {
    result.expect_err("refused").code
}

#[tokio::test]
async fn the_administrator_has_the_key_in_the_file() {
    let fixture = Fixture::new().await;
    let admin = fixture.admin.clone();
    assert_eq!((admin.user, admin.name.as_str()), (ADMINISTRATOR, "admin"));
    assert_eq!(*admin.access, Access::everything());
    assert_eq!(fixture.actions().await, ["user.create", "api_key.create"]);
    let old = file_token(fixture.dir.path());
    let fixture = fixture.restarted().await;
    assert_eq!(fixture.actions().await.len(), 2, "a start changes nothing");
    std::fs::remove_file(fixture.dir.path().join("admin-token")).expect("removed");
    let fixture = fixture.restarted().await;
    let new = file_token(fixture.dir.path());
    let refused = fixture.identity.authenticate(T0, &old);
    assert_eq!(code(refused), "token_invalid");
    assert!(fixture.identity.authenticate(T0, &new).is_ok());
    let keys = fixture.identity.api_keys(&admin, None).expect("listed");
    assert_eq!(keys.len(), 1);
    let revoked = fixture.identity.revoke_api_key(&admin, T0, keys[0].id);
    assert_eq!(code(revoked.await), "built_in");
}

#[tokio::test]
async fn the_administrator_stays_as_it_is() {
    let fixture = Fixture::new().await;
    let Fixture {
        identity, admin, ..
    } = &fixture;
    let second = fixture.user("second", Access::everything()).await;
    let second = fixture.caller(&second).await;
    for update in [
        UserUpdate {
            disabled: Some(true),
            ..UserUpdate::default()
        },
        UserUpdate {
            role: Some(Role::Viewer),
            ..UserUpdate::default()
        },
        UserUpdate {
            name: Some("other".parse().expect("a name")),
            ..UserUpdate::default()
        },
    ] {
        let changed = identity.update_user(&second, T0, ADMINISTRATOR, None, update);
        assert_eq!(code(changed.await), "built_in");
    }
    let deleted = identity.delete_user(&second, T0, ADMINISTRATOR, None);
    assert_eq!(code(deleted.await), "built_in");
    let password = UserUpdate {
        password: Some(Secret::new("correct horse battery".to_owned())),
        ..UserUpdate::default()
    };
    let changed = identity.update_user(admin, T0, ADMINISTRATOR, Some(1), password);
    assert!(changed.await.expect("changed").has_password);
}

#[tokio::test]
async fn what_no_key_is_lets_nobody_in() {
    let fixture = Fixture::new().await;
    for text in [
        "",
        "fwa_",
        "fwa_wrong",
        "admin",
        "a.b.c",
        &"x".repeat(10_000),
    ] {
        let bearer = Secret::new(text.to_owned());
        let refused = fixture.identity.authenticate(T0, &bearer);
        assert_eq!(code(refused), "token_invalid", "{text:?}");
    }
}

#[tokio::test]
async fn what_is_taken_from_a_user_is_taken_from_its_keys_at_once() {
    let fixture = Fixture::new().await;
    let Fixture {
        identity, admin, ..
    } = &fixture;
    let (a, b) = (fixture.group("a").await, fixture.group("b").await);
    let (in_a, in_b) = (fixture.host("a", &[a]).await, fixture.host("b", &[b]).await);
    let user = fixture.user("u", of(Role::Operator, &[a, b])).await;
    let key = fixture.key(&user).await;
    let now = || identity.authenticate(T0, &key);
    let caller = now().expect("let in");
    assert!(identity.may(&caller, in_a) && identity.may(&caller, in_b));

    let change = async |update| {
        let changed = identity.update_user(admin, T0, user.id, None, update).await;
        changed.expect("changed")
    };
    change(UserUpdate {
        role: Some(Role::Viewer),
        grants: Some(Grants::Groups(BTreeSet::from([a]))),
        ..UserUpdate::default()
    })
    .await;
    let caller = now().expect("let in");
    assert_eq!(caller.role(), Role::Viewer);
    assert!(identity.may(&caller, in_a) && !identity.may(&caller, in_b));

    // A group that goes takes the grant with it, and a host that leaves is not seen any more.
    let leaves = HostChange {
        groups: Some(BTreeSet::from([b])),
        ..HostChange::default()
    };
    let changed = identity.update_host(admin, T0, in_a, None, leaves).await;
    changed.expect("changed");
    assert!(!identity.may(&caller, in_a));
    identity
        .delete_group(admin, T0, a, None)
        .await
        .expect("removed");
    assert_eq!(*now().expect("let in").access, of(Role::Viewer, &[]));

    change(UserUpdate {
        disabled: Some(true),
        ..UserUpdate::default()
    })
    .await;
    assert_eq!(code(now()), "token_invalid");
    change(UserUpdate {
        disabled: Some(false),
        ..UserUpdate::default()
    })
    .await;
    assert!(now().is_ok());
    identity
        .delete_user(admin, T0, user.id, None)
        .await
        .expect("removed");
    assert_eq!(code(now()), "token_invalid");
}

#[tokio::test]
async fn whoever_could_not_be_read_is_kept_out_until_they_can() {
    let fixture = Fixture::new().await;
    let Fixture { identity, .. } = &fixture;
    let user = fixture.person("alice", on_all(Role::Viewer)).await;
    let (key, signed_in) = (fixture.key(&user).await, fixture.signed_in("alice").await);
    // As where the store fails just after it has committed a change.
    identity.shared.directory().forget(user.id);
    assert_eq!(code(identity.authenticate(T0, &key)), "token_invalid");
    assert_eq!(code(fixture.authenticate(T0, &signed_in)), "token_invalid");
    let refused = fixture.sign_in_from(1, T0, "alice", PASSWORD, None).await;
    assert_eq!(code(refused), "credentials_invalid");
    identity.keep(T0).await;
    assert!(identity.authenticate(T0, &key).is_ok());
    assert!(fixture.authenticate(T0, &signed_in).is_ok());
}

#[tokio::test]
async fn a_key_has_an_end_and_no_more_than_its_owner() {
    let fixture = Fixture::new().await;
    let Fixture {
        identity, admin, ..
    } = &fixture;
    let a = fixture.group("a").await;
    let owner = fixture.user("u", of(Role::Operator, &[a])).await;
    let caller = fixture.caller(&owner).await;
    let new = |access, expires| NewApiKey {
        user: None,
        name: "key".to_owned(),
        access,
        expires,
    };
    for access in [on_all(Role::Viewer), of(Role::Admin, &[a])] {
        let made = identity.create_api_key(&caller, T0, new(Some(access), None), keep_key);
        assert_eq!(code(made.await), "grant_insufficient");
    }
    let late = identity.create_api_key(&caller, at(5), new(None, Some(at(5))), keep_key);
    assert_eq!(code(late.await), "expiry_invalid");
    let small = new(Some(of(Role::Viewer, &[])), Some(at(60)));
    let small = identity.create_api_key(&caller, T0, small, keep_key).await;
    let (key, secret) = small.expect("made");
    let small = identity.authenticate(at(59), &secret).expect("let in");
    assert_eq!(*small.access, of(Role::Viewer, &[]));
    assert_eq!(
        code(identity.authenticate(at(60), &secret)),
        "token_invalid"
    );
    // The small key makes none that is larger, and takes away none that is.
    let made = identity.create_api_key(
        &small,
        T0,
        new(Some(of(Role::Viewer, &[a])), None),
        keep_key,
    );
    assert_eq!(code(made.await), "grant_insufficient");
    let keys = identity.api_keys(&caller, None).expect("listed");
    assert_eq!(keys.len(), 2);
    let larger = keys.iter().find(|other| other.id != key.id).expect("there");
    let revoked = identity.revoke_api_key(&small, T0, larger.id).await;
    assert_eq!(code(revoked), "grant_insufficient");

    // Use is shown at once, and kept with the next look.
    let used = |keys: Vec<ApiKey>| {
        let of = keys.into_iter().find(|of| of.id == key.id);
        of.expect("there").used
    };
    assert_eq!(used(keys), Some(at(59)));
    identity.keep(T0).await;
    let stored = fixture.store.api_keys(Some(owner.id)).await.expect("read");
    assert_eq!(
        stored
            .iter()
            .find(|of| of.id == key.id)
            .expect("there")
            .used,
        Some(at(59))
    );
    let revoked = identity.revoke_api_key(admin, T0, key.id).await;
    assert_eq!(revoked, Ok(()));
    let refused = identity.authenticate(T0, &secret);
    assert_eq!(code(refused), "token_invalid");
    let again = identity.revoke_api_key(admin, T0, key.id).await;
    assert_eq!(code(again), "not_found");
}

#[tokio::test]
async fn nobody_gives_or_changes_more_than_they_have() {
    let fixture = Fixture::new().await;
    let Fixture { identity, .. } = &fixture;
    let (a, b) = (fixture.group("a").await, fixture.group("b").await);
    let of_a = fixture.user("admin-a", of(Role::Admin, &[a])).await;
    let of_b = fixture.user("viewer-b", of(Role::Viewer, &[b])).await;
    let of_both = fixture.user("both", of(Role::Admin, &[a, b])).await;
    let viewer_a = fixture.user("viewer-a", of(Role::Viewer, &[a])).await;
    let admin_a = fixture.caller(&of_a).await;
    let new = |access| NewUser {
        name: "new".parse().expect("a name"),
        access,
        password: None,
        external: None,
    };
    for access in [on_all(Role::Viewer), of(Role::Viewer, &[b])] {
        let made = identity.create_user(&admin_a, T0, new(access), keep).await;
        assert_eq!(code(made), "grant_insufficient");
    }
    for hidden in [&of_b, &of_both] {
        assert_eq!(code(identity.user(&admin_a, hidden.id)), "not_found");
        let changed = identity.update_user(&admin_a, T0, hidden.id, None, UserUpdate::default());
        assert_eq!(code(changed.await), "not_found");
        let deleted = identity.delete_user(&admin_a, T0, hidden.id, None);
        assert_eq!(code(deleted.await), "not_found");
        let key = NewApiKey {
            user: Some(hidden.id),
            name: "key".to_owned(),
            access: None,
            expires: None,
        };
        let key = identity.create_api_key(&admin_a, T0, key, keep_key).await;
        assert_eq!(code(key), "not_found");
    }
    let raised = UserUpdate {
        grants: Some(Grants::All),
        ..UserUpdate::default()
    };
    for user in [&viewer_a, &of_a] {
        let changed = identity.update_user(&admin_a, T0, user.id, None, raised.clone());
        assert_eq!(code(changed.await), "grant_insufficient");
    }
    let names = |caller: &Caller| {
        let users = identity.users(caller, None, None, 100).into_iter();
        users.map(|user| user.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&admin_a), ["admin-a", "viewer-a"]);
    let viewer = fixture.caller(&of_b).await;
    assert_eq!(names(&viewer), ["viewer-b"], "itself");
    let made = identity
        .create_user(&viewer, T0, new(of(Role::Viewer, &[])), keep)
        .await;
    assert_eq!(code(made), "role_insufficient");
    let some = identity.users(&fixture.admin, Some("VIEWER"), None, 1);
    assert_eq!(some[0].name.as_str(), "viewer-a");
    let rest = identity.users(&fixture.admin, Some("viewer"), Some(&some[0].name), 9);
    assert_eq!(rest[0].name.as_str(), "viewer-b");
}

#[tokio::test]
async fn what_is_not_granted_is_not_there() {
    let fixture = Fixture::new().await;
    let Fixture { identity, .. } = &fixture;
    let (a, b) = (fixture.group("a").await, fixture.group("b").await);
    let (own, other) = (
        fixture.host("own", &[a]).await,
        fixture.host("other", &[b]).await,
    );
    let none = fixture.host("none", &[]).await;
    let operator = fixture.user("operator", of(Role::Admin, &[a])).await;
    let caller = fixture.caller(&operator).await;
    assert_eq!(
        identity.host(&caller, own).await.expect("seen").record.id,
        own
    );
    for hidden in [other, none, HostId::random(random())] {
        assert!(!identity.may(&caller, hidden));
        assert_eq!(code(identity.host(&caller, hidden).await), "not_found");
        let change = HostChange::default();
        let changed = identity.update_host(&caller, T0, hidden, None, change);
        assert_eq!(code(changed.await), "not_found");
    }
    let listed = async |filter| {
        let hosts = identity.hosts(&caller, filter).await.expect("listed");
        hosts.iter().map(|host| host.record.id).collect::<Vec<_>>()
    };
    // Whatever the filter says of grants and groups.
    assert_eq!(listed(HostFilter::all(Grants::All, 10)).await, [own]);
    let of_other = HostFilter {
        group: Some(b),
        ..HostFilter::all(Grants::All, 10)
    };
    assert!(listed(of_other).await.is_empty());
    assert_eq!(code(identity.group(&caller, b).await), "not_found");
    let groups = identity.groups(&caller, None, 10).await.expect("listed");
    assert_eq!(groups.iter().map(|of| of.id).collect::<Vec<_>>(), [a]);
    assert!(
        identity
            .labels(&caller, None, 10)
            .await
            .expect("listed")
            .is_empty()
    );
    // Groups are what is granted: who has some only changes none.
    let joins = HostChange {
        groups: Some(BTreeSet::from([a, b])),
        ..HostChange::default()
    };
    let changed = identity.update_host(&caller, T0, own, None, joins);
    assert_eq!(code(changed.await), "grant_insufficient");
    let made = identity.create_group(
        &caller,
        T0,
        "c".parse().expect("a name"),
        String::new(),
        keep,
    );
    assert_eq!(code(made.await), "grant_insufficient");
    let changed = identity.update_group(&caller, T0, a, None, GroupChange::default());
    assert_eq!(code(changed.await), "grant_insufficient");
    let deleted = identity.delete_group(&caller, T0, a, None);
    assert_eq!(code(deleted.await), "grant_insufficient");
}
