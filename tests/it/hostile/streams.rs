//! Rules 13 and 14: what comes in pieces, and what never ends.

use super::*;

#[tokio::test]
async fn rule_13_pieces_come_as_they_are_sent() {
    let stack = Stack::start().await;
    let mut viewer = stack.open("/drip?asked=yes").await;
    viewer.answer_head().await;
    for number in 0..10 {
        // The device sends none that was not asked for, so none waits to be joined to another.
        stack.get("/drip/next").await;
        let piece = format!("{number}\n").into_bytes();
        assert_eq!(viewer.chunk().await, Some(piece), "each alone");
    }
    assert_eq!(viewer.chunk().await, None);
}

#[tokio::test]
async fn rule_13_a_viewer_that_leaves_is_gone_at_the_device() {
    let stack = Stack::start().await;
    let mut viewers = Vec::new();
    for path in ["/endless", "/mjpeg", "/sse", "/never", "/stall"] {
        let mut viewer = stack.open(path).await;
        if path != "/never" {
            assert_eq!(viewer.answer_head().await.status, 200, "{path}");
            viewer.take(4).await;
        }
        viewers.push(viewer);
    }
    stack.until_streams(5).await;
    drop(viewers);
    stack.until_streams(0).await;
}

#[tokio::test]
async fn a_viewer_that_stops_reading_slows_nobody_else() {
    let stack = Stack::start().await;
    let mut stuck = stack.open("/endless").await;
    stuck.answer_head().await;
    for _ in 0..20 {
        assert_eq!(stack.get("/landing").await.text(), "/landing");
    }
    let mut other = stack.open("/drip?ms=1").await;
    assert_eq!(
        other.answer().await.text(),
        "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n"
    );
    drop(stuck);
    stack.until_streams(0).await;
}

#[tokio::test]
async fn the_end_of_a_session_reaches_the_device() {
    let stack = Stack::start().await;
    let mut viewer = stack.open("/sse").await;
    viewer.answer_head().await;
    let other = Session::open(&stack.world.platform).enter().await;
    stack.session.close(&stack.world.platform);
    viewer.rest().await;
    // Asked through the other session, which goes on.
    let closed = async || {
        let answer = other.send("GET /stats", "").await.answer().await;
        let stats: Value = serde_json::from_slice(&answer.body).expect("JSON");
        stats["streams"] == 0
    };
    until_true("the stream's end", closed).await;
}
