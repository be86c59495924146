//! Rule 12: WebSockets through the whole tunnel.

use super::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The fields of an offer.
fn offer(origin: &str) -> String {
    format!(
        "Origin: {origin}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: binary, base64\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
    )
}

/// A frame as a browser sends it, with a mask that leaves the bytes as they are.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        long => {
            frame.push(0x80 | 126);
            frame.extend((long as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Reads a frame: its first byte and its payload.
async fn frame(viewer: &mut Viewer) -> (u8, Vec<u8>) {
    let head = viewer.take(2).await;
    let length = match head[1] {
        126 => {
            let length = viewer.take(2).await;
            usize::from(u16::from_be_bytes([length[0], length[1]]))
        }
        short => usize::from(short),
    };
    (head[0], viewer.take(length).await)
}

#[tokio::test]
async fn rule_12_a_websocket_passes_untouched() {
    let stack = Stack::start().await;
    let offer = offer(&stack.origin());
    let mut viewer = stack
        .session
        .send("GET /ws/echo?protocol=binary", &offer)
        .await;
    let answer = viewer.answer_head().await;
    assert_eq!(answer.status, 101);
    assert_eq!(
        answer.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(answer.header("sec-websocket-protocol"), Some("binary"));
    assert_eq!(answer.header("strict-transport-security"), None);
    assert_eq!(answer.headers("set-cookie"), ["socket=1"]);
    // The first frame came with the 101.
    let (first, arrived) = frame(&mut viewer).await;
    assert_eq!(first, 0x81);
    let arrived: Value = serde_json::from_slice(&arrived).expect("JSON");
    assert_eq!(values(&arrived, "sec-websocket-key"), [KEY]);
    assert_eq!(
        values(&arrived, "sec-websocket-protocol"),
        ["binary, base64"]
    );
    assert_eq!(
        values(&arrived, "sec-websocket-extensions"),
        ["permessage-deflate"]
    );
    assert_eq!(
        values(&arrived, "origin"),
        [format!("http://{}", stack.own)]
    );

    for size in [0, 1, 125, 126, 60_000] {
        for first in [0x81, 0x82, 0xc2] {
            let payload = vec![b'x'; size];
            viewer.write(&masked(first, &payload)).await;
            assert_eq!(frame(&mut viewer).await, (first, payload));
        }
    }
    viewer.write(&masked(0x88, &[0x0f, 0xa1])).await;
    assert_eq!(
        frame(&mut viewer).await,
        (0x88, vec![0x0f, 0xa1]),
        "close 4001"
    );
    assert_eq!(viewer.rest().await, b"");
    stack.until_streams(0).await;
}

#[tokio::test]
async fn rule_12_a_refused_offer_passes_with_its_body() {
    let stack = Stack::start().await;
    let offer = offer(&stack.origin());
    for (path, status, body) in [
        ("/ws/refuse", 403, "not for you"),
        ("/ws/unauthorized", 401, "who are you"),
    ] {
        let answer = stack
            .session
            .send(&format!("GET {path}"), &offer)
            .await
            .answer()
            .await;
        assert_eq!((answer.status, answer.text().as_str()), (status, body));
        assert_eq!(
            answer.code(),
            None,
            "the device's answer, not the platform's"
        );
    }
}

#[tokio::test]
async fn rule_12_closes_pings_and_breaks_reach_the_viewer() {
    let stack = Stack::start().await;
    let offer = offer(&stack.origin());
    let mut viewer = stack.session.send("GET /ws/close", &offer).await;
    viewer.answer_head().await;
    let (first, payload) = frame(&mut viewer).await;
    assert_eq!((first, &payload[..2]), (0x88, &4001_u16.to_be_bytes()[..]));
    assert_eq!(&payload[2..], b"device is going down");

    let mut viewer = stack.session.send("GET /ws/ping", &offer).await;
    viewer.answer_head().await;
    assert_eq!(frame(&mut viewer).await, (0x89, b"8 bytes!".to_vec()));
    viewer.write(&masked(0x8a, b"8 bytes!")).await;
    assert_eq!(frame(&mut viewer).await, (0x81, b"8 bytes!".to_vec()));

    let mut viewer = stack.session.send("GET /ws/abort", &offer).await;
    viewer.answer_head().await;
    let rest = viewer.rest().await;
    assert!(
        b"\x81\x0a0123".starts_with(&rest),
        "{}",
        rest.escape_ascii()
    );
}

#[tokio::test]
async fn rule_12_a_viewer_that_leaves_ends_the_devices_side() {
    let stack = Stack::start().await;
    let mut viewer = stack
        .session
        .send("GET /ws/echo", &offer(&stack.origin()))
        .await;
    viewer.answer_head().await;
    frame(&mut viewer).await;
    stack.until_streams(1).await;
    drop(viewer);
    stack.until_streams(0).await;
}
