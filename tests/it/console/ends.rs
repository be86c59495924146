//! The end of a session: by its user or by time, and what becomes of all that it carries.

use fleetwire::platform::sessions::ENTRY_PATH;
use tokio::io::{AsyncWriteExt as _, empty, join, split};
use tokio::time::timeout;

use super::*;
use crate::support::{PATIENCE, Platform};

#[tokio::test]
async fn the_end_of_a_session_ends_what_it_carries_and_clears_its_data() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let mut waiting = session.send("GET /slow", "").await;
    let mut waits = host.exchange().await;
    let mut streaming = session.send("GET /stream", "").await;
    let mut streams = host.exchange().await;
    streams
        .send
        .send_head(head(200, ""))
        .expect("the viewer waits");
    streams.send.send("piece".into()).expect("there is room");
    assert_eq!(streaming.answer_head().await.status, 200);
    assert_eq!(streaming.chunk().await.as_deref(), Some(&b"piece"[..]));

    session.close(&host.platform);
    let answer = waiting.answer().await;
    assert_eq!((answer.status, answer.code()), (410, Some("session_ended")));
    assert_eq!(
        answer.header("clear-site-data"),
        Some("\"cache\", \"storage\"")
    );
    assert_eq!(streaming.rest().await, b"", "no last chunk: it broke off");
    waits.stopped().await;
    streams.stopped().await;

    let later = session.send("GET /", "").await.answer().await;
    assert_eq!((later.status, later.code()), (410, Some("session_ended")));
    assert!(host.is_idle());
}

#[tokio::test]
async fn a_viewer_that_does_not_read_does_not_outlive_its_session() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let mut stuck = session.send("GET /endless", "").await;
    let mut exchange = host.exchange().await;
    exchange.stall().await;
    session.close(&host.platform);
    exchange.stopped().await;
    // What was on its way, and no more.
    stuck.rest().await;
}

#[tokio::test]
async fn a_session_that_is_idle_ends_with_all_that_it_carries() {
    let settings = [("FLEETWIRE_PLATFORM_SESSION_IDLE", "5s")];
    let mut host = Host::start_on(Platform::start_with(&[], &settings)).await;
    let session = host.session().await;
    let (mut websocket, mut switched) = upgrade::switched(&mut host, &session).await;
    let _stuck = session.send("GET /endless", "").await;
    let mut stalled = host.exchange().await;
    // The device may say what it likes: only its viewer keeps a session.
    stalled.stall().await;
    stalled.stopped().await;
    switched.stopped().await;
    assert_eq!(
        websocket.rest().await,
        [0x88, 2, 0x03, 0xe9],
        "close frame 1001"
    );
    let later = session.send("GET /", "").await.answer().await;
    assert_eq!((later.status, later.code()), (410, Some("session_ended")));
}

#[tokio::test]
async fn the_end_of_a_session_is_read_even_by_a_viewer_that_is_writing() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let viewer = session
        .send("POST /up", "content-length: 100000000\r\n")
        .await;
    let (read, mut write) = split(viewer.into_stream().0);
    let writing =
        tokio::spawn(async move { while write.write_all(&[0; 64 << 10]).await.is_ok() {} });
    let mut exchange = host.exchange().await;
    session.close(&host.platform);
    exchange.stopped().await;
    let mut viewer = Viewer::from_stream(join(read, empty()));
    let answer = viewer.answer().await;
    assert_eq!((answer.status, answer.code()), (410, Some("session_ended")));
    // What nobody wants is read for a while, and not for ever.
    let written = timeout(PATIENCE, writing).await;
    written.expect("in time").expect("its task ends");
}

#[tokio::test]
async fn an_entrance_that_is_not_finished_ends_with_its_session() {
    let host = Host::start().await;
    let session = Session::open(&host.platform);
    let mut viewer = session.viewer().await;
    let request = format!(
        "POST {ENTRY_PATH} HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        session.host
    );
    viewer.write(request.as_bytes()).await;
    session.close(&host.platform);
    let answer = viewer.answer().await;
    assert_eq!((answer.status, answer.code()), (410, Some("session_ended")));
}
