//! What every store must do with the message track.

use super::*;
use crate::platform::store::track::{Direction, Outcome, TrackQuery, Tracked};

fn tracked(second: u64, host: Option<HostId>, id: &str) -> Tracked {
    Tracked {
        at: at(second),
        host,
        address: "127.0.0.1:9".to_owned(),
        direction: Some(Direction::ToAgent),
        message_type: "session_open".into(),
        message_id: id.to_owned(),
        size: 77,
        outcome: Some(Outcome::Acknowledged),
        code: "".into(),
        missed: 0,
    }
}

fn query() -> TrackQuery {
    TrackQuery {
        host: None,
        message_type: None,
        direction: None,
        outcome: None,
        message_id: None,
        since: None,
        until: None,
        after: None,
        count: 100,
        sees: Arc::new(|_| true),
    }
}

pub(super) async fn the_track_is_searched_newest_first(open: Open<'_>) {
    let store = open();
    let (one, other) = (HostId::random(random()), HostId::random(random()));
    let refused = Tracked {
        direction: Some(Direction::FromAgent),
        message_type: "hello".into(),
        outcome: Some(Outcome::Refused),
        code: "token_unknown".into(),
        ..tracked(3, None, "")
    };
    let rows = vec![
        tracked(1, Some(one), "a"),
        tracked(2, Some(other), "b"),
        refused.clone(),
        tracked(5, Some(one), "c"),
        // Acknowledged late.
        tracked(4, Some(one), "d"),
    ];
    store.put_tracked(rows).await.expect("written");
    let find = async |query: TrackQuery| {
        let page = store.tracked(query).await.expect("read");
        let ids = page.found.into_iter().map(|found| found.message_id);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(find(query()).await, ["c", "d", "", "b", "a"]);
    let host = Some(one);
    assert_eq!(find(TrackQuery { host, ..query() }).await, ["c", "d", "a"]);
    let message_id = Some("b".to_owned());
    assert_eq!(
        find(TrackQuery {
            message_id,
            ..query()
        })
        .await,
        ["b"]
    );
    let (since, until) = (Some(at(2)), Some(at(5)));
    let within = TrackQuery {
        since,
        until,
        ..query()
    };
    assert_eq!(find(within).await, ["d", "", "b"]);
    let outcome = Some(Outcome::Refused);
    let page = store.tracked(TrackQuery { outcome, ..query() }).await;
    assert_eq!(page.expect("read").found, [refused]);
    let sees = Arc::new(move |host| host == Some(other));
    assert_eq!(find(TrackQuery { sees, ..query() }).await, ["b"]);
    // Page by page, each where the last one ended.
    let (mut after, mut ids) = (None, Vec::new());
    loop {
        let asked = TrackQuery {
            after,
            count: 2,
            ..query()
        };
        let page = store.tracked(asked).await.expect("read");
        assert!(page.found.len() <= 2);
        ids.extend(page.found.into_iter().map(|found| found.message_id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(ids, ["c", "d", "", "b", "a"]);
}

pub(super) async fn an_old_track_is_removed(open: Open<'_>) {
    let store = open();
    let rows = (0..10).map(|second| tracked(second, None, &second.to_string()));
    store.put_tracked(rows.collect()).await.expect("written");
    assert_eq!(store.remove_tracked(at(4), 100, 3).await, Ok(3));
    assert_eq!(store.remove_tracked(at(4), 100, 3).await, Ok(1));
    assert_eq!(store.remove_tracked(at(0), 2, 100).await, Ok(4));
    let page = store.tracked(query()).await.expect("read");
    let ids: Vec<_> = page.found.iter().map(|found| &*found.message_id).collect();
    assert_eq!(ids, ["9", "8"]);
}
