//! WebSockets and other upgrades: bytes both ways, and each end of them.

use tokio::time::timeout;

use super::*;
use crate::support::PATIENCE;

const OFFER: &str = "connection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\
                     sec-websocket-protocol: binary, base64\r\n";
const TAKEN: &str = "connection: Upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
                     sec-websocket-protocol: binary\r\nstrict-transport-security: max-age=1\r\n";

/// An upgrade that the device took.
pub async fn switched(host: &mut Host, session: &Session) -> (Viewer, Exchange) {
    let mut viewer = session.send("GET /ws", OFFER).await;
    let mut exchange = host.exchange().await;
    exchange
        .send
        .send_head(head(101, TAKEN))
        .expect("the viewer waits");
    assert_eq!(viewer.answer_head().await.status, 101);
    (viewer, exchange)
}

#[tokio::test]
async fn rule_12_after_the_101_bytes_pass_untouched_those_beside_it_included() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let origin = format!("origin: http://{}\r\n", session.host);
    let mut viewer = session.viewer().await;
    // The first bytes come with the offer, as they may where the browser's side is fast.
    let request = format!("{}{origin}{OFFER}\r\nearly", session.head("GET /ws"));
    viewer.write(request.as_bytes()).await;
    let mut exchange = host.exchange().await;
    assert!(exchange.request.body_follows);
    assert_eq!(
        exchange.lines(),
        format!(
            "{origin}sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-version: 13\r\nsec-websocket-protocol: binary, base64\r\n\
             connection: Upgrade\r\nupgrade: websocket\r\n"
        )
    );
    exchange
        .send
        .send_head(head(101, TAKEN))
        .expect("the viewer waits");
    exchange
        .send
        .send("\u{0}first".into())
        .expect("there is room");
    let answer = viewer.answer_head().await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("connection"), Some("Upgrade"));
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("sec-websocket-protocol"), Some("binary"));
    assert_eq!(answer.header("strict-transport-security"), None);
    assert_eq!(viewer.take(6).await, b"\0first");
    let early = exchange.recv.data().await.expect("more").expect("unbroken");
    assert_eq!(&early[..], b"early");

    // Large and small, both ways at once.
    let up: Vec<u8> = (0..400_000_u32).map(|at| (at * 7) as u8).collect();
    let down: Vec<u8> = up.iter().rev().copied().collect();
    let (sent, expected) = (up.clone(), down.clone());
    let viewer = tokio::spawn(async move {
        viewer.write(&sent).await;
        assert!(
            viewer.take(expected.len()).await == expected,
            "the bytes differ"
        );
        viewer.finish().await;
        assert_eq!(
            viewer.rest().await,
            b"bye",
            "its own direction is still open"
        );
    });
    for piece in down.chunks(30_000) {
        exchange
            .send
            .write(piece.to_vec().into())
            .await
            .expect("there is room");
    }
    assert!(exchange.read_all().await == up, "the bytes differ");
    exchange.send.send("bye".into()).expect("there is room");
    exchange.send.finish(fields(""));
    viewer.await.expect("as expected");
}

#[tokio::test]
async fn rule_12_a_declined_upgrade_is_answered_as_it_was() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let mut viewer = session.send("GET /ws", OFFER).await;
    let mut exchange = host.exchange().await;
    let mut head = head(401, "www-authenticate: Basic\r\n");
    head.body = "sign in".into();
    head.body_follows = false;
    exchange.send.send_head(head).expect("the viewer waits");
    let answer = viewer.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (401, "sign in"));
    assert_eq!(answer.header("www-authenticate"), Some("Basic"));
    assert_eq!(exchange.read_all().await, b"", "a clean end");
}

#[tokio::test]
async fn rule_2_a_foreign_page_opens_no_websocket() {
    let mut host = Host::start().await;
    let session = host.session().await;
    for origin in ["http://evil.localhost:8080", "null"] {
        let offer = format!("origin: {origin}\r\n{OFFER}");
        let answer = session.send("GET /ws", &offer).await.answer().await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, Some("origin_foreign"))
        );
    }
    assert!(host.is_idle());
}

#[tokio::test]
async fn a_device_that_breaks_off_breaks_the_viewer_off_and_the_other_way_round() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let (mut viewer, exchange) = switched(&mut host, &session).await;
    drop(exchange);
    assert_eq!(viewer.rest().await, b"");

    let (viewer, mut exchange) = switched(&mut host, &session).await;
    drop(viewer);
    let end = timeout(PATIENCE, exchange.recv.data())
        .await
        .expect("in time");
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
}

#[tokio::test]
async fn a_viewer_that_is_gone_before_the_101_leaves_no_stream() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let mut viewer = session.viewer().await;
    // What follows the offer keeps the platform from reading on, and so from seeing the end.
    let request = format!("{}{OFFER}\r\nearly", session.head("GET /ws"));
    viewer.write(request.as_bytes()).await;
    let mut exchange = host.exchange().await;
    let (stream, _) = viewer.into_stream();
    stream.set_zero_linger().expect("set");
    drop(stream);
    exchange
        .send
        .send_head(head(101, TAKEN))
        .expect("the stream is open");
    exchange.stopped().await;
}

#[tokio::test]
async fn rule_14_a_websocket_is_told_that_its_session_ended() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let (mut viewer, mut exchange) = switched(&mut host, &session).await;
    exchange
        .send
        .send(vec![0x82, 3, 1, 2, 3].into())
        .expect("there is room");
    assert_eq!(viewer.take(5).await, [0x82, 3, 1, 2, 3]);
    // Another stands in the middle of a frame, where no other frame may begin.
    let (mut within, mut other) = switched(&mut host, &session).await;
    other
        .send
        .send(vec![0x82, 3, 1].into())
        .expect("there is room");
    assert_eq!(within.take(3).await, [0x82, 3, 1]);

    session.close(&host.platform);
    assert_eq!(
        viewer.rest().await,
        [0x88, 2, 0x03, 0xe9],
        "close frame 1001"
    );
    assert_eq!(within.rest().await, b"");
    for exchange in [&mut exchange, &mut other] {
        exchange.stopped().await;
        let end = timeout(PATIENCE, exchange.recv.data())
            .await
            .expect("in time");
        assert!(matches!(end, Some(Err(_))), "{end:?}");
    }
}
