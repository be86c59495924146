//! What every store must do with enrolment tokens, credentials, their renewal and their end.

use super::*;
use crate::ids::{EnrolmentTokenId, HostNameError};
use crate::platform::ca::Serial;

fn key() -> KeyFingerprint {
    KeyFingerprint(random())
}

fn issued(key: KeyFingerprint) -> Issued {
    Issued {
        serial: Serial::random(random()),
        key,
        until: at(3600),
    }
}

async fn token(store: &dyn Store, name: Option<&str>) -> SecretHash {
    let secret = hash();
    let token = NewEnrolmentToken {
        id: EnrolmentTokenId::random(random()),
        secret,
        name: name.map(str::to_owned),
        by: "admin".to_owned(),
        at: T0,
        expires: at(1800),
    };
    store
        .create_enrolment_token(token, audit("token.create").into())
        .await
        .expect("made");
    secret
}

fn enrolment(secret: SecretHash, name: &str) -> Enrolment {
    Enrolment {
        secret,
        wished_name: name.parse(),
        new_host: HostId::random(random()),
        auth_token: hash(),
        certificate: issued(key()),
        at: at(60),
    }
}

pub(super) async fn a_token_enrols_once(open: Open<'_>) {
    let store = open();
    let secret = token(&*store, None).await;
    assert_eq!(
        store.enrol(enrolment(hash(), "x")).await,
        Ok(EnrolmentOutcome::TokenUnknown)
    );
    // Many at once: one wins, and whoever it is has the host.
    let mut tries = Vec::new();
    for n in 0..20 {
        let store = store.clone();
        let enrolment = enrolment(secret, &format!("host-{n}"));
        tries.push(tokio::spawn(async move {
            store.enrol(enrolment).await.expect("answered")
        }));
    }
    let mut enrolled = 0;
    for attempt in tries {
        match attempt.await.expect("ran") {
            EnrolmentOutcome::Enrolled { .. } => enrolled += 1,
            outcome => assert!(
                matches!(outcome, EnrolmentOutcome::OtherKey(_)),
                "{outcome:?}"
            ),
        }
    }
    assert_eq!(enrolled, 1);
    assert_eq!(store.hosts().await.expect("read").len(), 1);
}

pub(super) async fn a_lost_answer_costs_no_token(open: Open<'_>) {
    let store = open();
    let secret = token(&*store, None).await;
    let first = enrolment(secret, "kvm");
    let again = Enrolment {
        auth_token: hash(),
        new_host: HostId::random(random()),
        ..first.clone()
    };
    let expected = EnrolmentOutcome::Enrolled {
        id: first.new_host,
        name: "kvm".to_owned(),
    };
    assert_eq!(store.enrol(first.clone()).await, Ok(expected.clone()));
    assert_eq!(store.enrol(again.clone()).await, Ok(expected));
    assert_eq!(
        store.host_by_token(first.auth_token).await,
        Ok(None),
        "the lost one is void"
    );
    assert!(
        store
            .host_by_token(again.auth_token)
            .await
            .expect("read")
            .is_some()
    );

    let late = Enrolment {
        at: at(1801),
        ..again.clone()
    };
    assert_eq!(store.enrol(late).await, Ok(EnrolmentOutcome::TokenUsed));
    let other_key = Enrolment {
        certificate: issued(key()),
        ..again.clone()
    };
    let outcome = store.enrol(other_key).await;
    assert_eq!(outcome, Ok(EnrolmentOutcome::OtherKey(first.new_host)));
    assert_eq!(
        store.credential_used(first.auth_token).await,
        Err(StoreError::NotFound),
        "what is void connects nobody"
    );
    store
        .credential_used(again.auth_token)
        .await
        .expect("noted");
    assert_eq!(
        store.enrol(again).await,
        Ok(EnrolmentOutcome::TokenUsed),
        "it has connected"
    );
}

pub(super) async fn a_named_token_enrols_a_host_anew(open: Open<'_>) {
    let store = open();
    let old = host("kvm");
    store
        .create_host(old.clone(), audit("host.create").into())
        .await
        .expect("made");
    store.credential_used(old.auth_token).await.expect("noted");
    let session = session(old.id);
    store
        .create_session(session.clone(), audit("session.open").into())
        .await
        .expect("made");
    let anew = enrolment(token(&*store, Some("kvm")).await, "ignored");
    let expected = EnrolmentOutcome::Enrolled {
        id: old.id,
        name: "kvm".to_owned(),
    };
    assert_eq!(store.enrol(anew.clone()).await, Ok(expected.clone()));
    // Whoever is killed now opens no session to another machine.
    assert_eq!(store.open_sessions().await, Ok(Vec::new()));
    let ended = store.session_ended(session.id, audit("session.close"));
    assert_eq!(ended.await, Err(StoreError::NotFound));
    assert_eq!(store.host_by_token(old.auth_token).await, Ok(None));
    // The new credential's answer may be lost as well, while the old agent is still heard of.
    store
        .hosts_seen(vec![(old.id, at(61))])
        .await
        .expect("noted");
    assert_eq!(store.enrol(anew.clone()).await, Ok(expected));
    store.credential_used(anew.auth_token).await.expect("noted");
    assert_eq!(store.enrol(anew).await, Ok(EnrolmentOutcome::TokenUsed));
}

pub(super) async fn a_token_is_listed_until_it_is_deleted(open: Open<'_>) {
    let store = open();
    let mut ids = Vec::new();
    let mut secrets = Vec::new();
    // Two of one instant among them.
    for (name, second) in [(None, 0), (Some("kvm"), 1), (None, 1)] {
        let token = NewEnrolmentToken {
            id: EnrolmentTokenId::random(random()),
            secret: hash(),
            name: name.map(str::to_owned),
            by: "ada".to_owned(),
            at: at(second),
            expires: at(1800),
        };
        ids.push((token.at, token.id));
        secrets.push(token.secret);
        let made = store.create_enrolment_token(token, audit("token.create").into());
        made.await.expect("made");
    }
    let used = enrolment(secrets[1], "ignored");
    store.enrol(used.clone()).await.expect("answered");
    drop(store);

    let store = open();
    let record = store.enrolment_token(ids[1].1).await.expect("read");
    let expected = EnrolmentTokenRecord {
        id: ids[1].1,
        name: Some("kvm".to_owned()),
        created_by: Some("ada".to_owned()),
        created: at(1),
        expires: at(1800),
        used: Some(at(60)),
        host: Some(used.new_host),
    };
    assert_eq!(record, Some(expected));
    // Page by page, the newest first.
    let mut newest = ids.clone();
    newest.sort_by(|one, other| other.cmp(one));
    let (mut found, mut before) = (Vec::new(), None);
    while let [token] = &store.enrolment_tokens(before, 1).await.expect("read")[..] {
        before = Some((token.created, token.id));
        found.extend(before);
    }
    assert_eq!(found, newest);

    for id in [ids[0].1, ids[1].1] {
        let deleted = store.delete_enrolment_token(id, audit("token.revoke"));
        deleted.await.expect("deleted");
    }
    let head = store.audit_span(0).await.expect("read").head;
    let again = store.delete_enrolment_token(ids[0].1, audit("token.revoke"));
    assert_eq!(again.await, Err(StoreError::NotFound));
    assert_eq!(store.audit_span(0).await.expect("read").head, head);
    let unknown = Ok(EnrolmentOutcome::TokenUnknown);
    assert_eq!(store.enrol(enrolment(secrets[0], "x")).await, unknown);
    assert_eq!(store.enrol(used).await, unknown, "nor again by its key");
    let left = store.enrolment_tokens(None, 10).await.expect("read");
    assert_eq!(left.len(), 1);
}

pub(super) async fn a_token_expires(open: Open<'_>) {
    let store = open();
    let secret = token(&*store, None).await;
    let late = Enrolment {
        at: at(1801),
        ..enrolment(secret, "kvm")
    };
    assert_eq!(store.enrol(late).await, Ok(EnrolmentOutcome::TokenExpired));
    let in_time = Enrolment {
        at: at(1800),
        ..enrolment(secret, "kvm")
    };
    assert!(matches!(
        store.enrol(in_time).await,
        Ok(EnrolmentOutcome::Enrolled { .. })
    ));
}

pub(super) async fn a_taken_name_costs_no_token(open: Open<'_>) {
    let store = open();
    store
        .create_host(host("kvm"), audit("host.create").into())
        .await
        .expect("made");
    let secret = token(&*store, None).await;
    assert_eq!(
        store.enrol(enrolment(secret, "kvm")).await,
        Ok(EnrolmentOutcome::NameTaken)
    );
    assert!(matches!(
        store.enrol(enrolment(secret, "kvm-2")).await,
        Ok(EnrolmentOutcome::Enrolled { .. })
    ));
}

pub(super) async fn a_wish_matters_only_where_the_token_names_nobody(open: Open<'_>) {
    let store = open();
    let secret = token(&*store, None).await;
    assert_eq!(
        store.enrol(enrolment(secret, "my kvm")).await,
        Ok(EnrolmentOutcome::NameInvalid(HostNameError))
    );
    assert!(matches!(
        store.enrol(enrolment(secret, "my-kvm")).await,
        Ok(EnrolmentOutcome::Enrolled { .. })
    ));
    let secret = token(&*store, Some("kvm")).await;
    let enrolled = store.enrol(enrolment(secret, "my kvm")).await;
    assert!(
        matches!(&enrolled, Ok(EnrolmentOutcome::Enrolled { name, .. }) if name == "kvm"),
        "{enrolled:?}"
    );
}

/// A host that was enrolled with this key and has connected, and its device token.
async fn enrolled(store: &dyn Store, name: &str, key: KeyFingerprint) -> (HostId, SecretHash) {
    let enrolment = Enrolment {
        certificate: issued(key),
        ..enrolment(token(store, None).await, name)
    };
    let (id, token) = (enrolment.new_host, enrolment.auth_token);
    let outcome = store.enrol(enrolment).await.expect("answered");
    assert!(matches!(outcome, EnrolmentOutcome::Enrolled { .. }));
    store.credential_used(token).await.expect("noted");
    (id, token)
}

fn renewal(auth_token: SecretHash, key: KeyFingerprint) -> Renewal {
    Renewal {
        auth_token,
        new_token: hash(),
        certificate: Issued {
            until: at(7200),
            ..issued(key)
        },
        how: "over its connection",
        at: at(120),
    }
}

async fn found(store: &dyn Store, token: SecretHash) -> Option<(HostId, bool)> {
    let found = store.host_by_token(token).await.expect("read");
    found.map(|found| (found.host.id, found.first_use))
}

pub(super) async fn a_device_token_is_good_until_its_successor_is_used(open: Open<'_>) {
    let store = open();
    let key = key();
    let (id, first) = enrolled(&*store, "kvm", key).await;
    assert_eq!(found(&*store, first).await, Some((id, false)));
    let lost = renewal(first, key);
    let renewed = Ok(RenewalOutcome::Renewed(id));
    assert_eq!(store.renew(lost.clone()).await, renewed);
    // Its answer is lost: what the agent has is good all the same, and renews again.
    assert_eq!(found(&*store, first).await, Some((id, false)));
    let second = renewal(first, key);
    assert_eq!(store.renew(second.clone()).await, renewed);
    assert_eq!(found(&*store, lost.new_token).await, None);
    drop(store);

    let store = open();
    assert_eq!(found(&*store, first).await, Some((id, false)));
    assert_eq!(found(&*store, second.new_token).await, Some((id, true)));
    let noted = store.credential_used(second.new_token).await;
    noted.expect("noted");
    assert_eq!(found(&*store, first).await, None, "it has been replaced");
    assert_eq!(found(&*store, second.new_token).await, Some((id, false)));
    let void = store.renew(renewal(first, key)).await;
    assert_eq!(void, Ok(RenewalOutcome::TokenUnknown));

    // To renew with it is to use it.
    let third = renewal(second.new_token, key);
    assert_eq!(store.renew(third.clone()).await, renewed);
    let fourth = renewal(third.new_token, key);
    assert_eq!(store.renew(fourth.clone()).await, renewed);
    assert_eq!(found(&*store, second.new_token).await, None);
    assert_eq!(found(&*store, third.new_token).await, Some((id, false)));
    let host = store.host("kvm").await.expect("read").expect("there");
    assert_eq!(host.certificate_until, Some(at(7200)));
}

pub(super) async fn a_certificate_is_renewed_for_the_same_key_alone(open: Open<'_>) {
    let store = open();
    let own = key();
    let (id, token) = enrolled(&*store, "kvm", own).await;
    let head = store.audit_span(0).await.expect("read").head;
    let other = store.renew(renewal(token, key())).await;
    assert_eq!(other, Ok(RenewalOutcome::OtherKey(id)));
    let unknown = store.renew(renewal(hash(), own)).await;
    assert_eq!(unknown, Ok(RenewalOutcome::TokenUnknown));
    let span = store.audit_span(0).await.expect("read");
    assert_eq!(span.head, head, "what was not done is no entry of it");
    assert_eq!(found(&*store, token).await, Some((id, false)));
    let renewed = store.renew(renewal(token, own)).await;
    assert_eq!(renewed, Ok(RenewalOutcome::Renewed(id)));
    let page = store.audit_after(head.sequence, 10).await.expect("read");
    let [entry] = &page.entries[..] else {
        panic!("one entry: {page:?}");
    };
    assert_eq!(entry.entry.action, "host.renew");
    let details: Vec<_> = entry
        .entry
        .details
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        details,
        ["name", "how", "certificate", "certificate_until", "key"]
    );
}

pub(super) async fn a_host_made_with_a_token_alone_has_nothing_to_renew(open: Open<'_>) {
    let store = open();
    let made = host("kvm");
    store
        .create_host(made.clone(), audit("host.create").into())
        .await
        .expect("made");
    let renewed = store.renew(renewal(made.auth_token, key())).await;
    assert_eq!(renewed, Ok(RenewalOutcome::TokenOnly));
    assert_eq!(found(&*store, made.auth_token).await, Some((made.id, true)));
}

pub(super) async fn a_revoked_host_comes_back_by_a_new_token_alone(open: Open<'_>) {
    let store = open();
    let key = key();
    let (id, auth_token) = enrolled(&*store, "kvm", key).await;
    let session = session(id);
    store
        .create_session(session, audit("session.open").into())
        .await
        .expect("made");
    let before = token(&*store, Some("kvm")).await;
    let other = token(&*store, Some("other")).await;
    let revoke = Entry {
        at: at(200),
        ..audit("host.revoke")
    };
    assert_eq!(store.revoke_host(id, revoke.clone()).await, Ok(true));
    assert_eq!(store.revoke_host(id, revoke.clone()).await, Ok(false));
    let nobody = store.revoke_host(HostId::random(random()), revoke).await;
    assert_eq!(nobody, Err(StoreError::NotFound));
    assert_eq!(store.open_sessions().await, Ok(Vec::new()));
    drop(store);

    let store = open();
    let host = store.host_by_token(auth_token).await.expect("read");
    let host = host.expect("it is found, to be told").host;
    assert_eq!(host.revoked, Some(at(200)));
    let renewed = store.renew(renewal(auth_token, key)).await;
    assert_eq!(renewed, Ok(RenewalOutcome::Revoked));
    let at_once = |secret| Enrolment {
        at: at(200),
        certificate: issued(key),
        ..enrolment(secret, "kvm")
    };
    let outcome = store.enrol(at_once(before)).await;
    assert_eq!(outcome, Ok(EnrolmentOutcome::TokenExpired));
    let outcome = store.enrol(at_once(other)).await;
    assert!(
        matches!(&outcome, Ok(EnrolmentOutcome::Enrolled { name, .. }) if name == "other"),
        "tokens of others are left alone: {outcome:?}"
    );
    let anew = at_once(token(&*store, Some("kvm")).await);
    let outcome = store.enrol(anew.clone()).await.expect("answered");
    assert!(matches!(outcome, EnrolmentOutcome::Enrolled { id: of, .. } if of == id));
    let host = store.host("kvm").await.expect("read").expect("there");
    assert_eq!((host.revoked, host.key), (None, Some(key)));
    assert_eq!(found(&*store, auth_token).await, None);
    assert_eq!(found(&*store, anew.auth_token).await, Some((id, true)));
}
