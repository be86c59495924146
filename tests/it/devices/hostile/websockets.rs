//! Rule 12: a WebSocket is bytes both ways.

use serde_json::Value;

use super::{UPGRADE, hostile, seen};
use crate::devices::raw::Connection;

/// One unmasked frame: its first byte and its payload.
fn frame(connection: &mut Connection) -> (u8, Vec<u8>) {
    let head = connection.exactly(2).expect("a frame");
    let size = match head[1] {
        126 => {
            let size = connection.exactly(2).expect("a size");
            usize::from(u16::from_be_bytes([size[0], size[1]]))
        }
        size => usize::from(size),
    };
    (head[0], connection.exactly(size).expect("a payload"))
}

#[test]
fn rule_12_websockets_are_transparent() {
    let (_world, own, console) = hostile();
    let origin = format!("Origin: {}", console.origin());
    let offer = "Sec-WebSocket-Protocol: first, second\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";

    let mut socket = console.connect(&console.request(
        "GET",
        "/ws/echo?protocol=second",
        &[UPGRADE, offer, &origin],
    ));
    let answer = socket.head().expect("a head");
    assert_eq!(answer.status, 101, "{answer:?}");
    assert_eq!(
        answer.all("sec-websocket-accept"),
        ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]
    );
    assert_eq!(answer.all("sec-websocket-protocol"), ["second"]);
    assert_eq!(answer.field("strict-transport-security"), None);
    assert_eq!(answer.all("set-cookie"), ["socket=1"]);

    let (first, payload) = frame(&mut socket);
    assert_eq!(first, 0x81);
    let saw: Value = serde_json::from_slice(&payload).expect("JSON");
    assert_eq!(seen(&saw, "host"), [own.as_str()]);
    assert_eq!(seen(&saw, "origin"), [format!("http://{own}")]);
    assert_eq!(
        seen(&saw, "sec-websocket-key"),
        ["dGhlIHNhbXBsZSBub25jZQ=="]
    );
    assert_eq!(seen(&saw, "sec-websocket-version"), ["13"]);
    assert_eq!(seen(&saw, "sec-websocket-protocol"), ["first, second"]);
    assert_eq!(
        seen(&saw, "sec-websocket-extensions"),
        ["permessage-deflate; client_max_window_bits"]
    );
    // A fragment with a reserved bit set: nothing in between may look into frames.
    socket
        .send(&[0x42, 0x83, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2, b'c' ^ 3])
        .expect("sent");
    assert_eq!(frame(&mut socket), (0x42, b"abc".to_vec()));
    socket
        .send(&[0x88, 0x82, 0, 0, 0, 0, 0x10, 0xe1])
        .expect("sent");
    assert_eq!(frame(&mut socket), (0x88, vec![0x10, 0xe1]));
    assert!(socket.some().expect("a clean end").is_empty());

    for (path, status, body) in [
        ("/ws/refuse", 403, "not for you"),
        ("/ws/unauthorized", 401, "who are you"),
    ] {
        let answer = console.send("GET", path, &[UPGRADE, &origin]);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (status, body),
            "{path}"
        );
    }

    let mut closing = console.connect(&console.request("GET", "/ws/close", &[UPGRADE, &origin]));
    assert_eq!(closing.head().expect("a head").status, 101);
    let (first, payload) = frame(&mut closing);
    assert_eq!(
        (first, &payload[2..]),
        (0x88, b"device is going down".as_slice())
    );

    let mut aborted = console.connect(&console.request("GET", "/ws/abort", &[UPGRADE, &origin]));
    assert_eq!(aborted.head().expect("a head").status, 101);
    let mut rest = Vec::new();
    while let Ok(piece) = aborted.some() {
        if piece.is_empty() {
            break;
        }
        rest.extend_from_slice(&piece);
    }
    assert!(b"\x81\x0a0123".starts_with(&rest), "{rest:?}");
}
