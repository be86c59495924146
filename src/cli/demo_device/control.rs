//! Keyboard and mouse over the WebSocket. Each text message is one event in JSON and is answered by
//! an acknowledgement with its sequence number; a binary message is answered by itself.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::upgrade::Upgraded;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::reply::{self, Reply};
use super::{Device, sign_in};

/// The subprotocol that carries [`Event`]s. A client that offers others only is refused; one that
/// offers none is taken.
const SUBPROTOCOL: &str = "kvm.demo.v1";
/// Ample for an event, and enough to try large messages through a tunnel.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// One event from the page. Fields that its kind does not use may be absent.
#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: Kind,
    /// The page's own count, given back in the acknowledgement.
    seq: u64,
    /// For a key: its name as in `KeyboardEvent.key`, and whether it went down or up.
    #[serde(default)]
    key: String,
    #[serde(default)]
    down: bool,
    /// For the pointer: its place, each from 0 to 1, and `MouseEvent.buttons`.
    #[serde(default)]
    x: f32,
    #[serde(default)]
    y: f32,
    #[serde(default)]
    buttons: u16,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Key,
    Pointer,
    /// Only acknowledged: the fake machine has nothing to scroll.
    Wheel,
}

/// Answers the handshake of RFC 6455 section 4.2 and serves the socket in a task of its own.
pub(super) fn upgrade(device: Arc<Device>, mut request: Request<Incoming>) -> Reply {
    let headers = request.headers();
    if !sign_in::own_or_no_origin(headers) {
        return sign_in::foreign();
    }
    let Some(key) = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .filter(|_| wants_websocket(headers))
    else {
        let mut reply = reply::text(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket\n");
        reply
            .headers_mut()
            .insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        return reply;
    };
    let accept = derive_accept_key(key.as_bytes());
    let offered = list(headers, header::SEC_WEBSOCKET_PROTOCOL);
    let chosen = offered.contains(&SUBPROTOCOL);
    if !chosen && !offered.is_empty() {
        return reply::text(StatusCode::BAD_REQUEST, "no such subprotocol\n");
    }

    let mut reply = reply::text(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = reply.headers_mut();
    headers.clear();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if chosen {
        let protocol = HeaderValue::from_static(SUBPROTOCOL);
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let served = match upgraded.await {
            Ok(upgraded) => serve(&device, upgraded).await,
            Err(error) => return tracing::debug!(%error, "upgrade failed"),
        };
        if let Err(error) = served {
            tracing::debug!(%error, "socket ended");
        }
    });
    reply
}

async fn serve(device: &Device, upgraded: Upgraded) -> Result<(), Error> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .max_write_buffer_size(2 * MESSAGE_BYTES_MAX);
    let io = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    while let Some(message) = socket.next().await {
        match message? {
            Message::Text(text) => match serde_json::from_str::<Event>(&text) {
                Ok(event) => {
                    apply(device, &event);
                    let ack = serde_json::json!({ "type": "ack", "seq": event.seq }).to_string();
                    socket.send(Message::text(ack)).await?;
                }
                Err(_) => {
                    let reason = "not an event".into();
                    let close = CloseFrame {
                        code: CloseCode::Invalid,
                        reason,
                    };
                    socket.close(Some(close)).await?;
                }
            },
            Message::Binary(bytes) => socket.send(Message::Binary(bytes)).await?,
            // The library answers pings and closes as the stream is read on.
            _ => {}
        }
    }
    Ok(())
}

fn apply(device: &Device, event: &Event) {
    match event.kind {
        Kind::Key if event.down => device.machine().key_down(&event.key),
        Kind::Pointer => device.machine().point(event.x, event.y, event.buttons),
        Kind::Key | Kind::Wheel => {}
    }
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    let names = |name, token: &str| {
        list(headers, name)
            .iter()
            .any(|t| t.eq_ignore_ascii_case(token))
    };
    names(header::CONNECTION, "upgrade")
        && names(header::UPGRADE, "websocket")
        && headers
            .get(header::SEC_WEBSOCKET_VERSION)
            .is_some_and(|version| version == "13")
}

/// The elements of a comma-separated header, over all its lines.
fn list(headers: &HeaderMap, name: header::HeaderName) -> Vec<&str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .collect()
}
