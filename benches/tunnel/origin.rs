//! The origins that stand at the far end of every path: nginx for small answers and downloads, and
//! a server of our own for what nginx cannot do (counting an upload, echoing a WebSocket, sending a
//! head and its body apart).
//!
//! Leaves to others: the load, and every path.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream, tungstenite::handshake::derive_accept_key, tungstenite::protocol::Role,
};

use crate::{
    Outcome, nginx,
    processes::{Place, Running},
    websocket,
};

/// nginx: a small answer.
pub(crate) const SMALL_PATH: &str = "/1k";
/// The small answer's length.
pub(crate) const SMALL_BYTES: usize = 1024;
/// nginx: a download of [`BULK_BYTES`].
pub(crate) const BULK_PATH: &str = "/100m";
/// The length of a download and of an upload.
pub(crate) const BULK_BYTES: u64 = 100 * 1024 * 1024;
/// nginx: a download that outlasts any run.
pub(crate) const ENDLESS_PATH: &str = "/4g";
/// Its length; the file is sparse.
const ENDLESS_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// Ours: takes an upload and answers when it has all of it.
pub(crate) const SINK_PATH: &str = "/sink";
/// Ours: a 1 KiB answer whose body comes [`SPLIT_GAP`] after its head, in a write of its own.
pub(crate) const SPLIT_PATH: &str = "/split";
/// Ours: a WebSocket that gives every message back.
pub(crate) const ECHO_PATH: &str = "/echo";

/// Long enough that head and body are never one read, short beside a delayed acknowledgement's 40
/// ms.
const SPLIT_GAP: Duration = Duration::from_millis(1);

/// A request's head; the benchmark's own are far smaller.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// nginx sends a small answer's head and body together (`tcp_nopush`): what a split answer costs a
/// path, `split` shows.
const FILES: &str = "
    sendfile on;
    tcp_nopush on;
    default_type application/octet-stream;
    open_file_cache max=16;
    server {
        {listen}
        root {dir}/www;
    }
";

/// Starts nginx on `port` of every address in `addresses`, the first of which must be reachable
/// from here.
pub(crate) async fn start_nginx(
    dir: &Path,
    place: &Place,
    addresses: &[IpAddr],
    port: u16,
) -> Outcome<Running> {
    let www = dir.join("www");
    fs::create_dir_all(&www)?;
    fs::write(www.join(&SMALL_PATH[1..]), vec![b's'; SMALL_BYTES])?;
    fs::write(
        www.join(&BULK_PATH[1..]),
        vec![b'b'; usize::try_from(BULK_BYTES)?],
    )?;
    fs::File::create(www.join(&ENDLESS_PATH[1..]))?.set_len(ENDLESS_BYTES)?;
    let listen: Vec<String> = addresses
        .iter()
        .map(|address| format!("listen {address}:{port};"))
        .collect();
    let http = FILES.replace("{listen}", &listen.join(" "));
    nginx::start(dir, place, &http, SocketAddr::new(addresses[0], port)).await
}

/// Our own origin, as a part of its own: prints its address and serves until it is killed.
pub(crate) async fn serve() -> Outcome<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    crate::say(&listener.local_addr()?.to_string());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A connection that fails is the client's to notice.
        tokio::spawn(async move { serve_connection(stream).await.is_ok() });
    }
}

/// Answers requests until the connection ends or becomes a WebSocket.
async fn serve_connection(mut stream: TcpStream) -> Outcome<()> {
    let mut buffer = vec![0; 256 * 1024];
    let mut filled = 0;
    loop {
        let Some((request, head)) = Request::parse(&buffer[..filled])? else {
            if filled >= HEAD_BYTES_MAX {
                return Err("a request's head is too long".into());
            }
            let count = stream.read(&mut buffer[filled..]).await?;
            if count == 0 {
                return Ok(());
            }
            filled += count;
            continue;
        };
        match (request.path.as_str(), request.websocket_key) {
            (ECHO_PATH, Some(key)) => {
                let accept = derive_accept_key(key.as_bytes());
                let answer = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {accept}\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).await?;
                let early = buffer[head..filled].to_vec();
                let config = Some(websocket::config());
                let socket =
                    WebSocketStream::from_partially_read(stream, early, Role::Server, config).await;
                return websocket::serve_echo(socket).await;
            }
            (SINK_PATH, _) => {
                let mut left = request.length.saturating_sub((filled - head) as u64);
                while left > 0 {
                    let count = stream.read(&mut buffer).await?;
                    if count == 0 {
                        return Err("an upload was cut short".into());
                    }
                    left = left.saturating_sub(count as u64);
                }
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await?;
                filled = 0;
            }
            (SPLIT_PATH, _) => {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n")
                    .await?;
                tokio::time::sleep(SPLIT_GAP).await;
                stream.write_all(&[b'p'; SMALL_BYTES]).await?;
                filled = 0;
            }
            _ => {
                stream
                    .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                    .await?;
                filled = 0;
            }
        }
    }
}

/// What our origin needs of a request.
struct Request {
    path: String,
    length: u64,
    websocket_key: Option<String>,
}

impl Request {
    /// The request and its head's length, once the head is complete.
    fn parse(bytes: &[u8]) -> Outcome<Option<(Self, usize)>> {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut fields);
        let httparse::Status::Complete(head) = request.parse(bytes)? else {
            return Ok(None);
        };
        let field = |name: &str| {
            let field = request
                .headers
                .iter()
                .find(|field| field.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(field.value).ok()
        };
        let length = field("content-length").map_or(Ok(0), str::parse)?;
        let websocket_key = field("sec-websocket-key").map(str::to_owned);
        Ok(Some((
            Self {
                path: request.path.unwrap_or_default().to_owned(),
                length,
                websocket_key,
            },
            head,
        )))
    }
}
