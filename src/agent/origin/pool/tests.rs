//! Exchanges with small hand-written origins over real sockets.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::mpsc;

use super::super::conn::{Answer, Cancelled, Piece};
use super::super::head::ParseError;
use super::super::request::RequestBody;
use super::super::trust::tests::version_1;
use super::*;
use crate::agent::target::{TargetOptions, Trust};
use crate::wire::fields::{FieldLimits, FieldLines};
use crate::wire::messages::ErrorCode;

mod directions;

/// A body from a list of pieces, or one fed by a test as it goes on.
enum Feed {
    List(VecDeque<Piece>),
    Channel(mpsc::UnboundedReceiver<Piece>),
}

impl Feed {
    fn none() -> Self {
        Self::List(VecDeque::new())
    }

    fn pieces(pieces: &[&'static str]) -> Self {
        let data = pieces
            .iter()
            .map(|piece| Piece::Data(Bytes::from_static(piece.as_bytes())));
        Self::List(data.chain([Piece::End(FieldLines::default())]).collect())
    }
}

impl Source for Feed {
    async fn next(&mut self) -> Result<Piece, Cancelled> {
        match self {
            Self::List(pieces) => pieces.pop_front().ok_or(Cancelled),
            Self::Channel(pieces) => pieces.recv().await.ok_or(Cancelled),
        }
    }
}

/// Keeps an answer, and tells a test of each part as it comes.
#[derive(Default)]
struct Kept {
    heads: Vec<(u16, String)>,
    body: BytesMut,
    trailers: Option<String>,
    tell: Option<mpsc::UnboundedSender<Answer>>,
    /// Nobody wants the answer.
    unwanted: bool,
}

impl Sink for Kept {
    async fn take(&mut self, answer: Answer) -> Result<(), Cancelled> {
        let text = |fields: &FieldLines| String::from_utf8_lossy(fields.as_bytes()).into_owned();
        if let Some(tell) = &self.tell {
            tell.send(answer.clone()).map_err(|_| Cancelled)?;
        }
        match answer {
            Answer::Interim(head) | Answer::Head(head) | Answer::Upgraded(head) => {
                self.heads.push((head.status, text(&head.fields)));
            }
            Answer::Data(data) => self.body.extend_from_slice(&data),
            Answer::End(trailers) => self.trailers = Some(text(&trailers)),
            Answer::Whole(head, body, trailers) => {
                self.heads.push((head.status, text(&head.fields)));
                self.body.extend_from_slice(&body);
                self.trailers = Some(text(&trailers));
            }
        }
        Ok(())
    }

    fn poll_cancelled(&mut self, _: &mut Context<'_>) -> Poll<()> {
        if self.unwanted {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Kept {
    /// One that tells, and where it does.
    fn telling() -> (Self, mpsc::UnboundedReceiver<Answer>) {
        let (tell, told) = mpsc::unbounded_channel();
        let kept = Self {
            tell: Some(tell),
            ..Self::default()
        };
        (kept, told)
    }

    fn status(&self) -> u16 {
        self.heads.last().expect("a head").0
    }
}

/// An origin that runs `serve` for each connection, with the connection's number from 0.
async fn origin<F, R>(timeouts: Timeouts, serve: F) -> (Pool, Arc<AtomicUsize>)
where
    F: Fn(usize, TcpStream) -> R + Send + 'static,
    R: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(count.fetch_add(1, SeqCst), stream));
        }
    });
    let target = Target::new(&url, TargetOptions::default()).expect("a target");
    (Pool::new(&target, timeouts).expect("a pool"), accepted)
}

/// Reads to the end of a head and returns it.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(head).expect("ASCII in this test"))
}

/// Answers every request of a connection with `answer`.
async fn answer_all(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &[u8],
) -> io::Result<()> {
    loop {
        read_head(&mut stream).await?;
        stream.write_all(answer).await?;
    }
}

fn request(method: &str, fields: &str, body: RequestBody) -> Request {
    let limits = FieldLimits {
        bytes: 4096,
        count: 64,
    };
    let fields = FieldLines::parse(Bytes::from(fields.to_owned()), limits).expect("fields");
    Request {
        method: method.into(),
        path: "/".into(),
        fields,
        body,
    }
}

fn get() -> Request {
    request("GET", "Host: device\r\n", RequestBody::Whole(Bytes::new()))
}

fn upgrade() -> Request {
    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    request("GET", fields, RequestBody::Stream)
}

async fn exchange(
    pool: &Pool,
    request: &Request,
    mut feed: Feed,
) -> (Kept, Result<(), OriginError>) {
    let mut kept = Kept::default();
    let result = pool.exchange(request, &mut feed, &mut kept).await;
    (kept, result)
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Waits until `done`, which the origin's side brings about.
async fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let (pool, accepted) = origin(Timeouts::default(), |_, stream| answer_all(stream, OK)).await;
    for _ in 0..3 {
        let (kept, result) = exchange(&pool, &get(), Feed::none()).await;
        assert!(result.is_ok());
        assert_eq!((kept.status(), &kept.body[..]), (200, &b"ok"[..]));
    }
    assert_eq!((accepted.load(SeqCst), pool.idle()), (1, 1));
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_not_used_again() {
    let (pool, accepted) = origin(Timeouts::default(), |_, mut stream| async move {
        read_head(&mut stream).await?;
        stream.write_all(OK).await
    })
    .await;
    exchange(&pool, &get(), Feed::none())
        .await
        .1
        .expect("an answer");
    until(|| {
        pool.sweep();
        pool.idle() == 0
    })
    .await;
    // Not even one that must not be sent twice fails.
    let post = request("POST", "", RequestBody::Whole(Bytes::from_static(b"x")));
    exchange(&pool, &post, Feed::none())
        .await
        .1
        .expect("an answer");
    assert_eq!(accepted.load(SeqCst), 2);
}

/// The first connection answers once and closes when the second request comes.
async fn stale_origin() -> (Pool, Arc<AtomicUsize>) {
    let (pool, accepted) = origin(Timeouts::default(), |number, mut stream| async move {
        if number > 0 {
            return answer_all(stream, OK).await;
        }
        read_head(&mut stream).await?;
        stream.write_all(OK).await?;
        read_head(&mut stream).await.map(|_| ())
    })
    .await;
    exchange(&pool, &get(), Feed::none())
        .await
        .1
        .expect("an answer");
    (pool, accepted)
}

#[tokio::test]
async fn a_safe_request_on_a_stale_connection_is_sent_again() {
    let (pool, accepted) = stale_origin().await;
    exchange(&pool, &get(), Feed::none())
        .await
        .1
        .expect("an answer");
    assert_eq!(accepted.load(SeqCst), 2);
}

#[tokio::test]
async fn an_unsafe_request_on_a_stale_connection_is_not_sent_again() {
    let (pool, accepted) = stale_origin().await;
    let post = request("POST", "", RequestBody::Whole(Bytes::new()));
    let (_, result) = exchange(&pool, &post, Feed::none()).await;
    assert_eq!(result.expect_err("refused").code(), ErrorCode::TargetClosed);
    assert_eq!(accepted.load(SeqCst), 1);
}

#[tokio::test]
async fn a_new_connection_without_an_answer_is_an_error() {
    let (pool, accepted) = origin(Timeouts::default(), |_, mut stream| async move {
        read_head(&mut stream).await.map(|_| ())
    })
    .await;
    let (_, result) = exchange(&pool, &get(), Feed::none()).await;
    assert!(matches!(result, Err(OriginError::Closed)));
    assert_eq!(accepted.load(SeqCst), 1);
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let target = Target::new(&url, TargetOptions::default()).expect("a target");
    let pool = Pool::new(&target, Timeouts::default()).expect("a pool");
    let error = exchange(&pool, &get(), Feed::none())
        .await
        .1
        .expect_err("refused");
    assert_eq!(error.code(), ErrorCode::TargetUnreachable);
}

#[tokio::test]
async fn a_cut_answer_is_an_error_and_a_clean_end_is_not() {
    for (answer, fault) in [
        (
            &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"[..],
            Some(ParseError::Truncated),
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length : 9\r\n\r\n",
            Some(ParseError::SpaceBeforeColon),
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nall of it", None),
    ] {
        let (pool, _) = origin(Timeouts::default(), move |_, mut stream| async move {
            read_head(&mut stream).await?;
            stream.write_all(answer).await
        })
        .await;
        match (exchange(&pool, &get(), Feed::none()).await.1, fault) {
            (Ok(()), None) => {}
            (Err(OriginError::Malformed(kind)), Some(fault)) => assert_eq!(kind, fault),
            other => panic!("{other:?}"),
        }
        assert_eq!(pool.idle(), 0);
    }
}

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn silence_has_its_limits() {
    const SHORT: Duration = Duration::from_millis(50);
    const HALF: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    let no_head = Timeouts {
        head: SHORT,
        ..Timeouts::default()
    };
    let no_body = Timeouts {
        idle: SHORT,
        ..Timeouts::default()
    };
    let post = || request("POST", "", RequestBody::Stream);
    for (timeouts, request, says, code) in [
        (no_head, get(), &b""[..], ErrorCode::TargetTimeout),
        (no_head, upgrade(), b"", ErrorCode::TargetTimeout),
        (no_body, get(), HALF, ErrorCode::TargetTimeout),
        (no_body, post(), b"", ErrorCode::Cancelled),
    ] {
        let (pool, _) = origin(timeouts, move |_, mut stream| async move {
            read_head(&mut stream).await?;
            stream.write_all(says).await?;
            stream.read_u8().await.map(|_| ())
        })
        .await;
        // Nothing comes of it, and nothing says that nothing will.
        let (_open, pieces) = mpsc::unbounded_channel();
        let exchange = exchange(&pool, &request, Feed::Channel(pieces));
        let (_, result) = timeout(PATIENCE, exchange).await.expect("it has a limit");
        assert_eq!(result.expect_err("in time").code(), code);
    }
}

/// Lets the runtime's clock pass by more than any limit on silence.
async fn hours_pass() {
    time_passes(Duration::from_secs(2 * 3600)).await;
}

/// The clock that stands still moves on only when every task waits: nobody waits for real time here,
/// and timers before it ring in their order, which a jump of the clock would not keep.
async fn time_passes(time: Duration) {
    tokio::time::pause();
    tokio::time::sleep(time).await;
    tokio::time::resume();
}

/// An origin to which TCP connects, and then there is nobody to shake hands with.
async fn deaf_origin() -> (Pool, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("https://{}", listener.local_addr().expect("bound"));
    let options = TargetOptions {
        trust: Some(Trust::Insecure),
        ..TargetOptions::default()
    };
    let target = Target::new(&url, options).expect("a target");
    let pool = Pool::new(&target, Timeouts::default()).expect("a pool");
    (pool, listener)
}

#[tokio::test]
async fn a_connection_that_never_comes_about_is_given_up() {
    let (pool, _listener) = deaf_origin().await;
    let started = Instant::now();
    // With nothing else to do, the clock goes on to the limit by itself.
    tokio::time::pause();
    let error = exchange(&pool, &get(), Feed::none()).await.1;
    assert!(
        matches!(error, Err(OriginError::ConnectTimeout)),
        "{error:?}"
    );
    assert!(started.elapsed() >= Duration::from_secs(10));
}

/// Whoever left while the device was dialled, or while it did not even read the request, is no longer
/// to be seen there once it would have gone on.
#[tokio::test]
async fn a_request_that_nobody_wants_any_more_waits_for_no_device() {
    let (unconnected, _listener) = deaf_origin().await;
    let (unread, _) = origin(Timeouts::default(), |_, stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
        Ok(())
    })
    .await;
    let large = RequestBody::Whole(vec![0; 32 << 20].into());
    for (pool, request) in [(unconnected, get()), (unread, request("POST", "", large))] {
        let mut kept = Kept {
            unwanted: true,
            ..Kept::default()
        };
        let exchange = pool.exchange(&request, &mut Feed::none(), &mut kept).await;
        assert!(
            matches!(exchange, Err(OriginError::Cancelled)),
            "{exchange:?}"
        );
    }
}

#[tokio::test]
async fn idle_connections_grow_old() {
    let (pool, accepted) = origin(Timeouts::default(), |_, stream| {
        let answer = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n";
        answer_all(stream, answer)
    })
    .await;
    for _ in 0..2 {
        exchange(&pool, &get(), Feed::none())
            .await
            .1
            .expect("an answer");
    }
    assert_eq!(
        accepted.load(SeqCst),
        2,
        "one second less one is no time at all"
    );
    pool.sweep();
    assert_eq!(pool.idle(), 0);
}

#[tokio::test]
async fn a_large_body_passes_whole() {
    const SIZE: usize = 8 * 1024 * 1024;
    let (pool, _) = origin(Timeouts::default(), |_, mut stream| async move {
        read_head(&mut stream).await?;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let body: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
        stream.write_all(&body).await
    })
    .await;
    let (kept, result) = exchange(&pool, &get(), Feed::none()).await;
    result.expect("an answer");
    assert_eq!(kept.body.len(), SIZE);
    assert!(
        kept.body
            .iter()
            .enumerate()
            .all(|(at, byte)| *byte == (at % 251) as u8)
    );
}

#[tokio::test]
async fn unix_sockets_are_dialled() {
    let directory = tempfile::tempdir().expect("a directory");
    let path: PathBuf = directory.path().join("web.sock");
    let listener = UnixListener::bind(&path).expect("bind");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        answer_all(stream, OK).await
    });
    let url = format!("unix:{}", path.display());
    let target = Target::new(&url, TargetOptions::default()).expect("a target");
    let pool = Pool::new(&target, Timeouts::default()).expect("a pool");
    let (kept, result) = exchange(&pool, &get(), Feed::none()).await;
    result.expect("an answer");
    assert_eq!(kept.status(), 200);
}

/// A device with this certificate that answers over one version of TLS, and its port.
async fn tls_origin(
    certificate: CertificateDer<'static>,
    key: &rcgen::KeyPair,
    version: &'static rustls::SupportedProtocolVersion,
) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let key = provider.key_provider.load_private_key(key).expect("a key");
    // Not checked against each other: devices do not ask rustls about their certificates.
    let certified = rustls::sign::CertifiedKey::new(vec![certificate], key);
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { answer_all(acceptor.accept(stream).await?, OK).await });
        }
    });
    port
}

#[tokio::test]
async fn tls_is_trusted_by_pin_authority_or_explicitly() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let old = version_1(made.cert.der());
    let other = rcgen::KeyPair::generate().expect("a key");
    let pin = |certificate: &CertificateDer<'_>| Trust::Pin(Sha256::digest(certificate).into());
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let certificate = made.cert.der().clone();
        let ca = || Trust::Ca(vec![made.cert.der().clone()]);
        let port = tls_origin(certificate.clone(), &made.signing_key, version).await;
        let old_port = tls_origin(old.clone(), &made.signing_key, version).await;
        // Whoever shows the certificate must hold its key.
        let copied = tls_origin(certificate.clone(), &other, version).await;
        let old_copied = tls_origin(old.clone(), &other, version).await;
        for (host, port, trust, works) in [
            ("127.0.0.1", port, pin(&certificate), true),
            ("127.0.0.1", port, pin(&old), false),
            ("127.0.0.1", port, Trust::Insecure, true),
            ("localhost", port, ca(), true),
            ("127.0.0.1", port, ca(), false),
            ("127.0.0.1", old_port, pin(&old), true),
            ("127.0.0.1", old_port, pin(&certificate), false),
            ("127.0.0.1", old_port, Trust::Insecure, true),
            ("127.0.0.1", copied, pin(&certificate), false),
            ("127.0.0.1", copied, Trust::Insecure, false),
            ("127.0.0.1", old_copied, pin(&old), false),
        ] {
            let options = TargetOptions {
                trust: Some(trust.clone()),
                ..TargetOptions::default()
            };
            let target = Target::new(&format!("https://{host}:{port}"), options).expect("a target");
            let pool = Pool::new(&target, Timeouts::default()).expect("a pool");
            match exchange(&pool, &get(), Feed::none()).await.1 {
                Ok(()) => assert!(works, "{host} {trust:?} {version:?}"),
                Err(error) => assert!(
                    !works && error.code() == ErrorCode::TargetUntrusted,
                    "{host} {trust:?} {version:?}: {error}"
                ),
            }
        }
    }
}
