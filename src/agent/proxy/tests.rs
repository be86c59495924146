//! A browser's request through a link, the proxy and a device's socket, and back.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::agent::target::{Target, TargetOptions, Trust};
use crate::ids::random_uuid;
use crate::link::{Admission, AgentEvent, Link, Platform, PlatformEvent, Time};
use crate::net::connection::Connection;
use crate::net::stream::{StreamError, Tunnel};
use crate::net::{driver, socket};
use crate::wire::Encoding;
use crate::wire::fields::FieldLimits;
use crate::wire::messages::Hello;
use crate::wire::values::{Method, Origin, RequestTarget, Secret, Text, Timestamp};

/// A device that runs `serve` for each connection, and a tunnel to the agent in front of it.
async fn tunnel_to<F, R>(serve: F) -> (Tunnel, String)
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let authority = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    let target = Target::new(&format!("http://{authority}"), TargetOptions::default());
    let routes = Routes::new([("/".to_owned(), target.expect("a target"))]).expect("routes");
    (tunnel(routes).await, authority)
}

async fn tunnel(routes: Routes) -> Tunnel {
    let proxy = Arc::new(Proxy::new(routes).expect("a proxy"));
    let (near, far) = tokio::io::duplex(1 << 20);
    let hello = Hello::new(Secret::new("agt_test".into()), vec![1]);
    let on_event = move |event, connection: &Connection<Agent>| {
        if let AgentEvent::Opened { key, request } = event {
            let (send, recv) = connection.halves(key);
            let proxy = proxy.clone();
            tokio::spawn(async move { proxy.serve(request, send, recv).await });
        }
    };
    let link = Link::<Agent>::connect(hello, Time::default());
    let near = socket::connected(near, &[]);
    let (_, agent) = driver::start(near, link, Some(Encoding::Binary), on_event);
    tokio::spawn(agent);
    let (admitted, mut wait) = mpsc::unbounded_channel();
    let on_event = move |event, connection: &Connection<Platform>| {
        if let PlatformEvent::Hello(_) = event {
            connection.admit(Admission {
                session_id: random_uuid([1; 16]),
                host_id: random_uuid([2; 16]),
                heartbeat: Duration::from_secs(15),
                platform_time: Timestamp::from_system_time(SystemTime::now()),
                capabilities: Vec::new(),
            });
            admitted.send(()).expect("the test waits");
        }
    };
    let link = Link::<Platform>::accept(Time::default());
    let far = socket::accepted(far, &[]);
    let (tunnel, platform) = driver::start(far, link, None, on_event);
    tokio::spawn(platform);
    wait.recv().await.expect("a hello");
    tunnel
}

fn request(method: &str, path: &str, fields: &str, body: Option<&'static str>) -> HttpRequest {
    let limits = FieldLimits {
        bytes: 4096,
        count: 64,
    };
    HttpRequest {
        id: StreamId::from_number(0),
        method: Method::parse(method.into()).expect("a method"),
        path: RequestTarget::parse(path.into()).expect("a path"),
        headers: FieldLines::parse(Bytes::from(fields.to_owned()), limits).expect("fields"),
        body: Bytes::from_static(body.unwrap_or_default().as_bytes()),
        body_follows: body.is_none(),
        origin: Origin::parse("http://abc.localhost:8080".into()),
    }
}

/// Head, body and how it ended.
async fn answer<S>(
    (send, mut recv): (S, RecvHalf<crate::link::Platform>),
) -> Result<(u32, String, String), StreamError> {
    let head = recv.head().await?;
    let mut body = Vec::new();
    while let Some(data) = recv.data().await {
        body.extend_from_slice(&data?);
    }
    drop(send);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text in this test");
    Ok((head.status, text(head.headers.as_bytes()), text(&body)))
}

async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(head).expect("ASCII in this test"))
}

#[tokio::test]
async fn a_small_exchange_maps_headers_both_ways() {
    let (tunnel, authority) = tunnel_to(|mut stream| async move {
        let head = read_head(&mut stream).await?;
        let own = stream.local_addr()?;
        assert_eq!(
            head,
            format!("POST /a?b HTTP/1.1\r\nHost: {own}\r\nOrigin: http://{own}\r\nContent-Length: 4\r\n\r\n")
        );
        let mut body = [0; 4];
        stream.read_exact(&mut body).await?;
        let answer = format!(
            "HTTP/1.1 303 See Other\r\nLocation: http://{own}/next\r\nContent-Length: 4\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await?;
        stream.write_all(&body.to_ascii_uppercase()).await
    })
    .await;
    let fields =
        "Host: abc.localhost:8080\r\nOrigin: http://abc.localhost:8080\r\nContent-Length: 4\r\n";
    let opened = tunnel
        .open(request("POST", "/a?b", fields, Some("ping")))
        .expect("opened");
    let (status, fields, body) = answer(opened).await.expect("an answer");
    assert_eq!((status, body.as_str()), (303, "PING"), "from {authority}");
    assert_eq!(
        fields,
        "Location: http://abc.localhost:8080/next\r\nContent-Length: 4\r\n"
    );
}

#[tokio::test]
async fn bodies_and_trailers_stream_both_ways() {
    let (tunnel, _) = tunnel_to(|mut stream| async move {
        let head = read_head(&mut stream).await?;
        assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
        let mut body = vec![0; b"6\r\nabcdef\r\n0\r\nX-Up: 1\r\n\r\n".len()];
        stream.read_exact(&mut body).await?;
        assert_eq!(body, b"6\r\nabcdef\r\n0\r\nX-Up: 1\r\n\r\n");
        let answer = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
            HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Down: 2\r\n\r\n";
        stream.write_all(answer).await
    })
    .await;
    let (mut send, mut recv) = tunnel
        .open(request("PUT", "/", "Host: x\r\n", None))
        .expect("opened");
    send.write(Bytes::from_static(b"abcdef"))
        .await
        .expect("room");
    let mut trailers = FieldLines::builder();
    trailers.push("X-Up", b"1").expect("well formed");
    send.finish(trailers.finish());
    assert_eq!(recv.head().await.expect("hints").status, 103);
    assert_eq!(recv.head().await.expect("a head").status, 200);
    assert_eq!(recv.data().await, Some(Ok(Bytes::from_static(b"ok"))));
    assert_eq!(recv.data().await, None);
    assert_eq!(recv.trailers().as_bytes(), b"X-Down: 2\r\n");
}

#[tokio::test]
async fn an_upgraded_stream_is_transparent() {
    let (tunnel, _) = tunnel_to(|mut stream| async move {
        read_head(&mut stream).await?;
        let head = b"HTTP/1.1 101 Up\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhi";
        stream.write_all(head).await?;
        let mut said = [0; 4];
        while stream.read_exact(&mut said).await.is_ok() {
            said.reverse();
            stream.write_all(&said).await?;
        }
        stream.write_all(b"bye").await
    })
    .await;
    let fields = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    let (mut send, mut recv) = tunnel
        .open(request("GET", "/", fields, None))
        .expect("opened");
    let head = recv.head().await.expect("a head");
    assert_eq!(
        (head.status, head.headers.get("upgrade")),
        (101, Some(&b"websocket"[..]))
    );
    let mut read = async |bytes: &[u8]| {
        let mut got = Vec::new();
        while got.len() < bytes.len() {
            got.extend_from_slice(&recv.data().await.expect("open").expect("bytes"));
        }
        assert_eq!(got, bytes);
    };
    read(b"hi").await;
    send.write(Bytes::from_static(b"\x01\x02\x03\x04"))
        .await
        .expect("room");
    read(b"\x04\x03\x02\x01").await;
    send.finish(FieldLines::default());
    read(b"bye").await;
    assert_eq!(recv.data().await, None);
}

#[tokio::test]
async fn a_viewer_that_leaves_closes_the_devices_connection() {
    for reads_body in [false, true] {
        let (gone, mut left) = mpsc::unbounded_channel();
        let (tunnel, _) = tunnel_to(move |mut stream| {
            let gone = gone.clone();
            async move {
                read_head(&mut stream).await?;
                if reads_body {
                    stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nframe").await?;
                }
                gone.send(false).expect("the test waits");
                let end = stream.read(&mut [0]).await;
                gone.send(end.is_err() || matches!(end, Ok(0)))
                    .expect("the test waits");
                Ok(())
            }
        })
        .await;
        let (send, mut recv) = tunnel
            .open(request("GET", "/", "Host: x\r\n", Some("")))
            .expect("opened");
        if reads_body {
            assert_eq!(recv.head().await.expect("a head").status, 200);
            assert_eq!(recv.data().await, Some(Ok(Bytes::from_static(b"frame"))));
        }
        assert_eq!(left.recv().await, Some(false), "the request has arrived");
        drop((send, recv));
        assert_eq!(left.recv().await, Some(true));
    }
}

#[tokio::test]
async fn failures_end_the_stream_and_name_their_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let closed = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let (broken, _) = tunnel_to(|mut stream| async move {
        read_head(&mut stream).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok")
            .await
    })
    .await;
    let target = Target::new(&format!("http://{closed}"), TargetOptions::default());
    let routes = Routes::new([("/only".to_owned(), target.expect("a target"))]).expect("routes");
    let unreachable = tunnel(routes).await;
    for (tunnel, path, code) in [
        (&broken, "/", ErrorCode::TargetMalformed),
        (&unreachable, "/only", ErrorCode::TargetUnreachable),
        (&unreachable, "/other", ErrorCode::NotAllowed),
        (&unreachable, "/only/../other", ErrorCode::NotAllowed),
    ] {
        for method in ["GET", "HEAD"] {
            let opened = tunnel.open(request(method, path, "Host: x\r\n", Some("")));
            assert_eq!(failure(answer(opened.expect("opened")).await).0, code);
        }
    }
}

/// The code and the text of a stream that was reset.
fn failure<T: std::fmt::Debug>(answer: Result<T, StreamError>) -> (ErrorCode, String) {
    match answer {
        Err(StreamError::Reset { code, message }) => (code, message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_over_the_links_limits_costs_its_stream_at_most() {
    let (tunnel, _) = tunnel_to(|mut stream| async move {
        let head = read_head(&mut stream).await?;
        let answer = match head.split(' ').nth(1) {
            // Within 64 KiB as they come, and over it once each has its space and CR.
            Some("/trailers") => {
                let line = format!("a:{}\n", "x".repeat(324));
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                format!("{head}2\r\nok\r\n0\r\n{}\n", line.repeat(200))
            }
            // As many fields as there may be, and no Connection, which is made anew.
            Some("/upgrade") => {
                let fields = "X-Field: 1\r\n".repeat(199);
                format!("HTTP/1.1 101 Up\r\n{fields}Upgrade: x\r\n\r\n")
            }
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        };
        stream.write_all(answer.as_bytes()).await
    })
    .await;
    let plain = "Host: x\r\n";
    let (send, mut recv) = tunnel
        .open(request("GET", "/trailers", plain, Some("")))
        .expect("opened");
    assert_eq!(recv.head().await.expect("a head").status, 200);
    assert_eq!(recv.data().await, Some(Ok(Bytes::from_static(b"ok"))));
    assert_eq!(recv.data().await, None);
    assert!(recv.trailers().is_empty());
    drop(send);

    let upgrade = "Host: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n";
    let opened = tunnel.open(request("GET", "/upgrade", upgrade, None));
    assert_eq!(
        failure(answer(opened.expect("opened")).await).0,
        ErrorCode::TargetMalformed
    );
    let opened = tunnel.open(request("GET", "/", plain, Some("")));
    let (status, _, body) = answer(opened.expect("opened")).await.expect("an answer");
    assert_eq!((status, body.as_str()), (200, "ok"));
}

#[tokio::test]
async fn a_certificate_for_hundreds_of_other_names_costs_its_stream_alone() {
    let names: Vec<_> = (0..300).map(|n| format!("device-{n}.example")).collect();
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.expect("a key"))
        .expect("a key pair");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The agent ends the handshake.
            let _ = acceptor.accept(stream).await;
        }
    });
    let options = TargetOptions {
        trust: Some(Trust::Ca(vec![certificate])),
        ..TargetOptions::default()
    };
    let target = Target::new(&format!("https://localhost:{port}"), options).expect("a target");
    let routes = Routes::new([("/".to_owned(), target)]).expect("routes");
    let tunnel = tunnel(routes).await;
    for _ in 0..2 {
        let opened = tunnel.open(request("GET", "/", "Host: x\r\n", Some("")));
        assert_eq!(
            failure(answer(opened.expect("opened")).await).0,
            ErrorCode::TargetUntrusted
        );
    }
}

#[tokio::test]
async fn an_answer_cut_short_ends_in_a_reset() {
    let (tunnel, _) = tunnel_to(|mut stream| async move {
        read_head(&mut stream).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")
            .await
    })
    .await;
    let opened = tunnel
        .open(request("GET", "/", "Host: x\r\n", Some("")))
        .expect("opened");
    assert_eq!(failure(answer(opened).await).0, ErrorCode::TargetClosed);
}

#[tokio::test]
async fn a_redirect_to_its_own_https_is_a_failure_that_says_so() {
    let (tunnel, _) = tunnel_to(|mut stream| async move {
        read_head(&mut stream).await?;
        let answer =
            b"HTTP/1.1 301 Moved\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await
    })
    .await;
    let opened = tunnel
        .open(request("GET", "/", "Host: x\r\n", Some("")))
        .expect("opened");
    let (code, text) = failure(answer(opened).await);
    assert_eq!(code, ErrorCode::TargetUnreachable);
    assert!(text.contains("https port"), "{text}");
}

#[tokio::test]
async fn many_streams_run_at_once_and_answer_in_any_order() {
    const STREAMS: usize = 500;
    let arrived = Arc::new(tokio::sync::Barrier::new(STREAMS));
    let (tunnel, _) = tunnel_to(move |mut stream| {
        let arrived = arrived.clone();
        async move {
            let head = read_head(&mut stream).await?;
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            arrived.wait().await;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}",
                path.len()
            );
            stream.write_all(answer.as_bytes()).await
        }
    })
    .await;
    let mut answers = tokio::task::JoinSet::new();
    for number in 0..STREAMS {
        let path = format!("/{number}");
        let opened = tunnel
            .open(request("GET", &path, "Host: x\r\n", Some("")))
            .expect("opened");
        answers.spawn(async move { (path, answer(opened).await) });
    }
    while let Some(done) = answers.join_next().await {
        let (path, answer) = done.expect("no panic");
        let (status, _, body) = answer.expect("an answer");
        assert_eq!((status, body), (200, path));
    }
}
