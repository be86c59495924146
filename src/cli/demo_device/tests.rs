//! The device over real sockets, spoken to byte by byte.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::*;

async fn start(open: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Options { open }));
    address
}

async fn send(address: SocketAddr, request: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// Sends `start` (method, path, fields, each line but the last ended) as a whole request, and gives
/// head and body of the answer.
async fn ask(address: SocketAddr, start: &str, body: &str) -> (String, Vec<u8>) {
    let (line, fields) = start.split_once('\n').unwrap_or((start, ""));
    let fields: String = fields
        .lines()
        .map(|line| format!("{}\r\n", line.trim()))
        .collect();
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\
         {fields}\r\n{body}"
    );
    let mut answer = Vec::new();
    send(address, &request)
        .await
        .read_to_end(&mut answer)
        .await
        .unwrap();
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap()
        + 4;
    (
        String::from_utf8(answer[..end].to_vec()).unwrap(),
        answer[end..].to_vec(),
    )
}

async fn status(address: SocketAddr) -> serde_json::Value {
    let (_, body) = ask(address, "GET /status", "").await;
    serde_json::from_slice(&body).unwrap()
}

async fn until(address: SocketAddr, name: &str, value: u64) {
    while status(address).await[name] != value {}
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(field, value)| field.eq_ignore_ascii_case(name).then_some(value))
}

#[tokio::test]
async fn without_a_cookie_the_console_redirects_or_refuses() {
    let address = start(false).await;
    let (head, _) = ask(address, "GET /", "").await;
    assert!(head.starts_with("HTTP/1.1 302 "), "{head}");
    assert_eq!(field(&head, "location"), Some("/login"));
    let (head, _) = ask(address, "GET /?absolute=1", "").await;
    assert_eq!(
        field(&head, "location"),
        Some(format!("http://{address}/login").as_str())
    );
    for path in [
        "GET /stream",
        "GET /ws",
        "GET /events",
        "POST /upload",
        "POST /logout",
    ] {
        assert!(
            ask(address, path, "").await.0.starts_with("HTTP/1.1 401 "),
            "{path}"
        );
    }
    for path in [
        "GET /login",
        "GET /assets/style.css",
        "GET /status",
        "HEAD /download",
    ] {
        assert!(
            ask(address, path, "").await.0.starts_with("HTTP/1.1 200 "),
            "{path}"
        );
    }
    let (head, _) = ask(address, "DELETE /login", "").await;
    assert!(
        head.starts_with("HTTP/1.1 405 ") && field(&head, "allow").is_some(),
        "{head}"
    );
    assert!(
        ask(address, "GET /nothing", "")
            .await
            .0
            .starts_with("HTTP/1.1 404 ")
    );
}

#[tokio::test]
async fn the_form_signs_in_from_its_own_origin_only() {
    let address = start(false).await;
    let form = "user=admin&password=demo";
    let own = format!("POST /login\nOrigin: http://{address}");
    for (request, form, status) in [
        ("POST /login", form, 403),
        ("POST /login\nOrigin: null", form, 403),
        ("POST /login\nOrigin: http://elsewhere.example", form, 403),
        (&own, "user=admin&password=demos", 401),
        (&own, "user=root&password=demo", 401),
        (&own, &"x".repeat(5000), 400),
    ] {
        let (head, _) = ask(address, request, form).await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request} {head}"
        );
        assert_eq!(field(&head, "set-cookie"), None);
    }

    let (head, _) = ask(address, &own, form).await;
    assert!(head.starts_with("HTTP/1.1 303 "), "{head}");
    assert_eq!(field(&head, "location"), Some("/"));
    let (cookie, attributes) = field(&head, "set-cookie")
        .unwrap()
        .split_once("; ")
        .unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict");
    let signed = format!("Cookie: other=1; {cookie}");
    assert!(
        ask(address, &format!("GET /\n{signed}"), "")
            .await
            .0
            .starts_with("HTTP/1.1 200 ")
    );
    let (head, _) = ask(address, &format!("GET /login\n{signed}"), "").await;
    assert!(head.starts_with("HTTP/1.1 302 "), "{head}");

    let foreign = format!("POST /logout\n{signed}\nOrigin: http://elsewhere.example");
    assert!(
        ask(address, &foreign, "")
            .await
            .0
            .starts_with("HTTP/1.1 403 ")
    );
    let own = format!("POST /logout\n{signed}\nOrigin: http://{address}");
    let (head, _) = ask(address, &own, "").await;
    assert!(
        field(&head, "set-cookie").unwrap().contains("Max-Age=0"),
        "{head}"
    );
    assert!(
        ask(address, &format!("GET /\n{signed}"), "")
            .await
            .0
            .starts_with("HTTP/1.1 302 ")
    );
}

#[tokio::test]
async fn a_viewer_is_sent_frames_and_counted_until_it_leaves() {
    let address = start(true).await;
    let mut viewer = send(
        address,
        &format!("GET /stream HTTP/1.1\r\nHost: {address}\r\n\r\n"),
    )
    .await;
    let mut seen = Vec::new();
    let parts = |seen: &[u8]| {
        seen.windows(4)
            .filter(|window| window == b"\xff\xd8\xff\xe0")
            .count()
    };
    while parts(&seen) < 3 {
        assert_ne!(viewer.read_buf(&mut seen).await.unwrap(), 0);
    }
    let text = String::from_utf8_lossy(&seen);
    assert!(text.contains("multipart/x-mixed-replace; boundary=frame\r\n"));
    assert!(text.contains("Content-Type: image/jpeg\r\nContent-Length: "));
    assert!(text.contains("\r\n--frame\r\n"));
    until(address, "viewers", 1).await;
    drop(viewer);
    until(address, "viewers", 0).await;
    assert!(status(address).await["frames"].as_u64().unwrap() >= 3);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_drawn_while_nobody_watches_and_a_slow_viewer_skips() {
    let device = Arc::new(Device::new(Options::default()));
    tokio::spawn(video::generate(device.clone()));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(device.video.frames_drawn(), 0);

    let mut slow = video::stream(&device).into_body();
    let mut quick = video::stream(&device).into_body();
    assert_eq!(device.video.viewers(), 2);
    for body in [&mut slow, &mut quick] {
        assert_eq!(
            body.frame().await.unwrap().unwrap().into_data().unwrap(),
            "--frame\r\n"
        );
    }
    let mut newest = bytes::Bytes::new();
    while device.video.frames_drawn() < 5 {
        newest = quick.frame().await.unwrap().unwrap().into_data().unwrap();
    }
    let next = slow.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(
        next, newest,
        "the newest frame, not the oldest it has not seen"
    );
    drop((slow, quick));
    assert_eq!(device.video.viewers(), 0);
}

async fn socket(
    address: SocketAddr,
    fields: &[(&'static str, &str)],
) -> Result<(WebSocketStream<TcpStream>, Option<String>), SocketError> {
    let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let (socket, answer) =
        client_async(request, TcpStream::connect(address).await.unwrap()).await?;
    let protocol = answer.headers().get("sec-websocket-protocol");
    Ok((
        socket,
        protocol.map(|value| value.to_str().unwrap().to_owned()),
    ))
}

#[tokio::test]
async fn control_answers_events_echoes_binary_and_closes_on_nonsense() {
    let address = start(true).await;
    let own = format!("http://{address}");
    let fields = [
        ("sec-websocket-protocol", "other, kvm.demo.v1"),
        ("origin", own.as_str()),
    ];
    let (mut socket, protocol) = socket(address, &fields).await.unwrap();
    assert_eq!(protocol.as_deref(), Some("kvm.demo.v1"));
    for (seq, event) in [
        (1, r#"{"type":"key","seq":1,"key":"a","down":true}"#),
        (
            2,
            r#"{"type":"pointer","seq":2,"x":0.5,"y":0.5,"buttons":1}"#,
        ),
        (
            9_007_199_254_740_991_u64,
            r#"{"type":"wheel","seq":9007199254740991}"#,
        ),
    ] {
        socket.send(Message::text(event)).await.unwrap();
        let ack = socket.next().await.unwrap().unwrap().into_text().unwrap();
        let ack: serde_json::Value = serde_json::from_str(&ack).unwrap();
        assert_eq!(ack, serde_json::json!({ "type": "ack", "seq": seq }));
    }
    let bytes = vec![0xa5; 100_000];
    socket.send(Message::binary(bytes.clone())).await.unwrap();
    assert_eq!(
        socket.next().await.unwrap().unwrap(),
        Message::binary(bytes)
    );
    socket.send(Message::text("{}")).await.unwrap();
    let Message::Close(Some(close)) = socket.next().await.unwrap().unwrap() else {
        panic!("not closed");
    };
    assert_eq!(close.code, CloseCode::Invalid);
}

#[tokio::test]
async fn control_refuses_other_origins_and_other_subprotocols() {
    let address = start(true).await;
    for (fields, expected) in [
        (("origin", "http://elsewhere.example"), 403),
        (("sec-websocket-protocol", "binary"), 400),
    ] {
        let Err(SocketError::Http(answer)) = socket(address, &[fields]).await else {
            panic!("taken");
        };
        assert_eq!(answer.status(), expected);
    }
    let (_, protocol) = socket(address, &[]).await.unwrap();
    assert_eq!(protocol, None);
    assert!(
        ask(address, "GET /ws", "")
            .await
            .0
            .starts_with("HTTP/1.1 426 ")
    );
}

#[tokio::test]
async fn an_upload_is_answered_by_its_hash_and_a_broken_one_is_forgotten() {
    let address = start(true).await;
    let (head, body) = ask(address, "PUT /upload", "abc").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["bytes"], 3);
    // FIPS 180-2, appendix B.1.
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(answer["sha256"], hash);

    let chunked =
        "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n";
    let mut socket = send(address, chunked).await;
    until(address, "uploads", 1).await;
    socket.write_all(b"2\r\nbc\r\n0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(hash) {
        assert_ne!(socket.read_buf(&mut answer).await.unwrap(), 0);
    }

    let broken = send(address, chunked).await;
    until(address, "uploads", 1).await;
    drop(broken);
    until(address, "uploads", 0).await;
    let foreign = ask(address, "PUT /upload\nOrigin: http://elsewhere.example", "").await;
    assert!(foreign.0.starts_with("HTTP/1.1 403 "));
}

#[tokio::test]
async fn downloads_are_the_same_each_time_and_in_parts() {
    let address = start(false).await;
    let path = "/download?bytes=200001&seed=9";
    let (head, whole) = ask(address, &format!("GET {path}"), "").await;
    assert_eq!(field(&head, "content-length"), Some("200001"));
    let mut expected = vec![0; 200_001];
    transfer::fill(9, 0, &mut expected);
    assert_eq!(whole, expected);
    let (head, part) = ask(
        address,
        &format!("GET {path}\nRange: bytes=65530-140000"),
        "",
    )
    .await;
    assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
    assert_eq!(
        field(&head, "content-range"),
        Some("bytes 65530-140000/200001")
    );
    assert_eq!(part, expected[65_530..=140_000]);
    let (head, _) = ask(address, &format!("GET {path}\nRange: bytes=200001-"), "").await;
    assert!(head.starts_with("HTTP/1.1 416 "), "{head}");
    assert_eq!(field(&head, "content-range"), Some("bytes */200001"));
    let (head, body) = ask(address, &format!("HEAD {path}"), "").await;
    assert_eq!(
        (field(&head, "content-length"), body.len()),
        (Some("200001"), 0)
    );
    assert!(
        ask(address, "GET /download?bytes=x", "")
            .await
            .0
            .starts_with("HTTP/1.1 400 ")
    );
}

#[tokio::test]
async fn awkward_answers_arrive_whole() {
    let address = start(true).await;
    let (_, body) = ask(address, "GET /slow?ms=1&id=seven", "").await;
    assert_eq!(body, "seven\n".repeat(64).into_bytes());
    assert!(
        ask(address, "GET /slow?ms=99999", "")
            .await
            .0
            .starts_with("HTTP/1.1 400 ")
    );
    let (head, body) = ask(address, "GET /split-head", "").await;
    assert_eq!(field(&head, "content-length"), Some("20"));
    assert_eq!(body, b"the head came first\n");
    let (head, body) = ask(address, "GET /trailers\nTE: trailers", "").await;
    assert_eq!(field(&head, "trailer"), Some("x-demo-trailer"));
    assert_eq!(
        body,
        b"12\r\na trailer follows\n\r\n0\r\nx-demo-trailer: the end\r\n\r\n"
    );

    let mut events = send(address, "GET /events HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("event: status\ndata: {") {
        assert_ne!(events.read_buf(&mut seen).await.unwrap(), 0);
    }
}
