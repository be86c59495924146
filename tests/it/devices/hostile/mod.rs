//! The hostile raw-socket device through the tunnel, rule by rule of `docs/PROXY.md`: what reaches the device and
//! what reaches the browser, byte by byte.
//!
//! The cases are tests/devices/hostile.py's; its table says what each path does.

mod answers;
mod requests;
mod websockets;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::devices::{
    raw::{Answer, Console, Ended},
    world::World,
};

/// A WebSocket's handshake, with the key of RFC 6455 1.3.
pub(super) const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

/// A body far above one window of credit, and no multiple of any piece's size.
pub(super) const LARGE_BYTES: usize = 3_000_001;

pub(super) fn hostile() -> (World, String, Console) {
    let mut world = World::start();
    let (facts, console) = world.device_and_console("hostile");
    let url = facts["url"].as_str().expect("a URL");
    let own = url.trim_start_matches("http://").to_owned();
    (world, own, console)
}

/// The values of a field in what `/echo` says that the device saw.
pub(super) fn seen(echo: &Value, name: &str) -> Vec<String> {
    let fields = echo["headers"].as_array().expect("a list");
    let named = |field: &&Value| {
        field[0]
            .as_str()
            .is_some_and(|n| n.eq_ignore_ascii_case(name))
    };
    let value = |field: &Value| field[1].as_str().unwrap_or_default().to_owned();
    fields.iter().filter(named).map(value).collect()
}

pub(super) fn echo(console: &Console, fields: &[&str]) -> Value {
    console.send("GET", "/echo", fields).json()
}

pub(super) fn stats(console: &Console) -> Value {
    console.get("/stats").json()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn large() -> Vec<u8> {
    (0..LARGE_BYTES).map(|n| (n * 31 % 251) as u8).collect()
}

pub(super) fn assert_ok(path: &str, answer: &Answer, body: &str) {
    assert_eq!(
        (answer.status, answer.text().as_str(), answer.ended),
        (200, body, Ended::Whole),
        "{path}: {answer:?}"
    );
}
