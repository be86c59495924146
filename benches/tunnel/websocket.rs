//! The WebSocket echo: its load, and the server that raw tokio-tungstenite is measured by.
//!
//! Leaves to others: HTTP load, and TLS.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, client::IntoClientRequest, http::HeaderValue, protocol::WebSocketConfig,
    },
};

use crate::{
    Outcome,
    load::{Endpoint, Latencies},
};

/// tungstenite zero-fills its read buffer at each read and holds it while the connection lives.
/// This is what the link's connections have, so that the raw ones beside them differ in nothing
/// else.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// What both ends of the raw echo use.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES)
}

/// Sends `bytes` bytes and waits for them to come back, again and again for `run`, after a warm-up
/// of a fifth of it.
pub(crate) async fn echo(
    endpoint: &Endpoint,
    path: &str,
    bytes: usize,
    run: Duration,
) -> Outcome<Latencies> {
    let stream = TcpStream::connect(endpoint.address).await?;
    stream.set_nodelay(true)?;
    let mut request = format!("ws://{}{path}", endpoint.host).into_client_request()?;
    if let Some(cookie) = &endpoint.cookie {
        request
            .headers_mut()
            .insert("cookie", HeaderValue::from_str(cookie)?);
    }
    // A session takes a WebSocket only from a page of its own origin.
    request.headers_mut().insert(
        "origin",
        HeaderValue::from_str(&format!("http://{}", endpoint.host))?,
    );
    let (mut socket, _) =
        tokio_tungstenite::client_async_with_config(request, stream, Some(config())).await?;
    let payload = bytes::Bytes::from(vec![b'e'; bytes]);
    let warm = Instant::now() + run / 5;
    let end = warm + run;
    let mut samples = Vec::new();
    loop {
        let start = Instant::now();
        if start >= end {
            socket.close(None).await?;
            return Ok(Latencies::new(samples));
        }
        socket.send(Message::Binary(payload.clone())).await?;
        let back = socket.next().await.ok_or("the echo was closed")??;
        if back.len() != bytes {
            return Err(format!("an echo of {bytes} bytes came back with {}", back.len()).into());
        }
        if start >= warm {
            samples.push(start.elapsed());
        }
    }
}

/// Gives every data message back until the peer closes.
pub(crate) async fn serve_echo<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: WebSocketStream<S>,
) -> Outcome<()> {
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
