//! Answers that are kept with what they answer.

use super::*;

contract!(an_answer_is_kept_with_its_change);

async fn an_answer_is_kept_with_its_change(open: Open<'_>) {
    let store = open();
    let answered = |at: UnixMillis| Answered {
        key: SecretHash::of(b"key"),
        request: SecretHash::of(b"request"),
        answer: b"answer".to_vec(),
        at,
        expires: at.plus(std::time::Duration::from_secs(60)),
    };
    let change = |at: UnixMillis| Change {
        audit: audit("host.create"),
        answered: Some(answered(at)),
    };
    let kept = answered(T0);
    store
        .create_host(host("a"), change(T0))
        .await
        .expect("made");
    // Again, under another name, as if two came at once: nothing is made of it.
    let again = store.create_host(host("b"), change(at(59))).await;
    assert_eq!(again, Err(StoreError::Repeated));
    assert_eq!(store.hosts().await.expect("read").len(), 1);
    drop(store);

    let store = open();
    let found = |now| store.answered(kept.key, now);
    assert_eq!(found(at(59)).await, Ok(Some(kept.clone())));
    assert_eq!(found(at(60)).await, Ok(None), "it is kept no longer");
    let other = SecretHash::of(b"other");
    assert_eq!(store.answered(other, T0).await, Ok(None));

    // What fails keeps no answer.
    let refused = store.create_host(host("a"), change(at(60))).await;
    assert_eq!(refused, Err(StoreError::NameTaken));
    assert_eq!(found(at(60)).await, Ok(None));
    // A key is free again when its answer has expired.
    store
        .create_host(host("b"), change(at(60)))
        .await
        .expect("made");
    assert_eq!(found(at(61)).await, Ok(Some(answered(at(60)))));
}
