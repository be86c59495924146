//! The opening handshake of an agent's WebSocket (RFC 6455 section 4.1). The platform's answer to it
//! is `platform`'s, which serves HTTP anyway.

use super::{
    http_client::ServerUrl,
    socket::{self, AGENT_PATH, Socket},
};
use crate::secret;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    Request, Response, StatusCode,
    client::conn::http1,
    header::{
        CONNECTION, HOST, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
        SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use hyper_util::rt::TokioIo;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Why there is no WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// What answers speaks no HTTP, or not to the end.
    #[error("the upgrade failed: {0}")]
    Http(#[from] hyper::Error),
    /// It does not switch protocols.
    #[error("it answered {0} to the upgrade")]
    Status(StatusCode),
    /// It switches, and does not say to what as a WebSocket's server does.
    #[error("its answer to the upgrade is none of a WebSocket: {0}")]
    Answer(&'static str),
}

/// Offers one subprotocol, and gives the agent's end of the WebSocket.
///
/// # Errors
/// When the platform does not take the offer.
pub async fn connect<IO>(
    platform: &ServerUrl,
    subprotocol: &'static str,
    io: IO,
) -> Result<Socket<IO>, HandshakeError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let key = STANDARD.encode(secret::random::<16>());
    let request = Request::get(AGENT_PATH)
        .header(HOST, platform.authority())
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key)
        .header(SEC_WEBSOCKET_PROTOCOL, subprotocol)
        .body(Empty::<Bytes>::new())
        .map_err(|_| HandshakeError::Answer("the platform's name is no host"))?;

    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
    let mut connection = pin!(connection.without_shutdown());
    let mut asking = pin!(sender.send_request(request));
    // It ends with the answer to an upgrade; before that only where there is none.
    let (answer, parts) = tokio::select! {
        biased;
        answer = &mut asking => (answer?, None),
        parts = &mut connection => (asking.await?, Some(parts?)),
    };
    check(&answer, &key, subprotocol)?;
    let parts = match parts {
        Some(parts) => parts,
        None => connection.await?,
    };
    Ok(socket::connected(parts.io.into_inner(), &parts.read_buf))
}

fn check<B>(answer: &Response<B>, key: &str, subprotocol: &str) -> Result<(), HandshakeError> {
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(HandshakeError::Status(answer.status()));
    }
    let says = |name: &HeaderName, wanted: &str| {
        let value = answer.headers().get(name);
        value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(wanted.as_bytes()))
    };
    let accept = answer.headers().get(SEC_WEBSOCKET_ACCEPT);
    // A proxy on the way may name other options beside this one.
    let upgrades = answer.headers().get_all(CONNECTION).iter().any(|options| {
        let mut options = options.as_bytes().split(|&byte| byte == b',');
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    });
    if !says(&UPGRADE, "websocket") || !upgrades {
        return Err(HandshakeError::Answer("it upgrades to something else"));
    }
    if accept.is_none_or(|accept| accept.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes())
    {
        return Err(HandshakeError::Answer("it is not the answer to this agent"));
    }
    if answer.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        return Err(HandshakeError::Answer("it uses what was not offered"));
    }
    if !says(&SEC_WEBSOCKET_PROTOCOL, subprotocol) {
        return Err(HandshakeError::Answer("it takes another subprotocol"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::websocket::Event;
    use std::{future::poll_fn, time::Duration};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    const SUBPROTOCOL: &str = "a.test";

    /// Offers to one who answers so, with the key's answer in place of `{accept}` and `behind` right
    /// behind.
    async fn offer(
        answer: &'static str,
        behind: &'static [u8],
    ) -> (Result<Socket<DuplexStream>, HandshakeError>, String) {
        let (near, mut far) = tokio::io::duplex(4096);
        let platform: ServerUrl = "https://platform.example:8443".parse().expect("an address");
        let answering = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(far.read_u8().await.expect("the request is whole"));
            }
            let head = String::from_utf8(head).expect("text");
            let key = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("sec-websocket-key")
                    .then_some(value)
            });
            let accept = derive_accept_key(key.expect("a key").as_bytes());
            let mut answer = answer.replace("{accept}", &accept).into_bytes();
            answer.extend_from_slice(behind);
            far.write_all(&answer).await.expect("taken");
            (head, far)
        };
        let (socket, (head, _far)) = tokio::join!(connect(&platform, SUBPROTOCOL, near), answering);
        (socket, head)
    }

    const TAKEN: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                         Upgrade: WebSocket\r\nSec-WebSocket-Accept: {accept}\r\n\
                         Sec-WebSocket-Protocol: a.test\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn what_stands_behind_the_answer_is_not_lost() {
        let (socket, head) = offer(TAKEN, b"\x89\x02hi\x8a").await;
        assert!(head.starts_with("GET /v1/agent/ws HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("host: platform.example:8443\r\n"), "{head}");
        let mut socket = socket.expect("taken");
        let event = poll_fn(|cx| socket.poll_next(cx)).await;
        assert_eq!(
            event.expect("a frame").expect("well formed"),
            Event::Ping(Bytes::from_static(b"hi"))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxys_other_options_do_no_harm() {
        let options = "Connection: Keep-Alive , UPGRADE";
        let answer = TAKEN.replace("Connection: upgrade", options).leak();
        let (socket, _) = offer(answer, b"").await;
        assert!(socket.is_ok(), "{:?}", socket.map(|_| ()));
    }

    #[tokio::test(start_paused = true)]
    async fn another_answer_is_no_websocket() {
        let refused = async |answer: &'static str| {
            let offered = tokio::time::timeout(Duration::from_secs(5), offer(answer, b"")).await;
            match offered.expect("it does not wait for more").0 {
                Err(error) => error.to_string(),
                Ok(_) => panic!("taken: {answer}"),
            }
        };
        let said = refused("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhel").await;
        assert_eq!(said, "it answered 404 Not Found to the upgrade");
        let said = refused("SSH-2.0-something\r\n\r\n").await;
        assert!(said.starts_with("the upgrade failed: "), "{said}");
        for (part, other) in [
            ("Upgrade: WebSocket", "Upgrade: h2c"),
            ("Connection: upgrade", "Connection: keep-alive, no-upgrade"),
            (
                "a.test\r\n",
                "a.test\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
            ),
            ("{accept}", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("a.test", "another"),
            ("Sec-WebSocket-Protocol: a.test\r\n", ""),
        ] {
            let answer = TAKEN.replace(part, other).leak();
            let said = refused(answer).await;
            assert!(
                said.starts_with("its answer to the upgrade is none"),
                "{said}"
            );
        }
    }
}
