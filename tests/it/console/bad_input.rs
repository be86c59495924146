//! What no viewer should send: each has its answer, nothing of it reaches the device, and a stream
//! beside it goes on.

use super::*;

/// A stream that runs while something bad is tried.
struct Beside {
    viewer: Viewer,
    exchange: Exchange,
}

impl Beside {
    async fn start(host: &mut Host, session: &Session) -> Self {
        let mut viewer = session.send("GET /beside", "").await;
        let mut exchange = host.exchange().await;
        exchange
            .send
            .send_head(head(200, ""))
            .expect("the viewer waits");
        viewer.answer_head().await;
        Self { viewer, exchange }
    }

    async fn goes_on(&mut self) {
        self.exchange
            .send
            .write("tick".into())
            .await
            .expect("there is room");
        assert_eq!(self.viewer.chunk().await.as_deref(), Some(&b"tick"[..]));
    }
}

#[tokio::test]
async fn bad_requests_have_their_codes_and_cost_nobody_else_anything() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let mut beside = Beside::start(&mut host, &session).await;
    let foreign = "origin: https://evil.example\r\ncontent-length: 0\r\n";
    let long = format!("x-long: {}\r\n", "x".repeat(33 << 10));
    for (line, fields, status, code) in [
        ("POST /", foreign, 403, Some("origin_foreign")),
        ("DELETE /", "origin: null\r\n", 403, Some("origin_foreign")),
        (
            "GET /",
            "sec-fetch-site: cross-site\r\n",
            403,
            Some("request_cross_site"),
        ),
        ("GET /", &long, 431, Some("request_head_too_large")),
        (
            "GET http://evil.example/",
            "",
            400,
            Some("request_head_invalid"),
        ),
        // These hyper itself cannot read: it answers, and nothing of ours sees them.
        ("GET /a\r\nx: y", "", 400, None),
        ("GET /a b", "", 400, None),
        ("GET /\u{1}", "", 400, None),
        (
            "GET /",
            "content-length: 1\r\ncontent-length: 2\r\n",
            400,
            None,
        ),
        ("GET /", "transfer-encoding: chunked, gzip\r\n", 400, None),
        ("GET /", "bad header\r\n", 400, None),
    ] {
        let answer = session.send(line, fields).await.answer_head().await;
        assert_eq!(
            (answer.status, answer.code()),
            (status, code),
            "{line} {fields:.40}"
        );
        beside.goes_on().await;
    }
    let mut twice = session.viewer().await;
    let request = format!(
        "{}cookie: {}\r\n\r\n",
        session.head("GET /"),
        session.cookie
    );
    twice.write(request.as_bytes()).await;
    assert_eq!(
        twice.answer().await.code(),
        Some("session_cookie_duplicated")
    );
    beside.goes_on().await;
    assert!(host.is_idle());
}

#[tokio::test]
async fn two_framings_at_once_reach_the_device_as_one() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let fields = "content-length: 3\r\ntransfer-encoding: chunked\r\n";
    let mut viewer = session.send("POST /", fields).await;
    viewer.write(b"5\r\nhello\r\n0\r\n\r\n").await;
    let mut exchange = host.exchange().await;
    assert_eq!(
        exchange.lines(),
        "",
        "chunked counts, and the length is not passed on"
    );
    assert_eq!(exchange.read_all().await, b"hello");
    exchange.answer(200, "", b"");
    let answer = viewer.answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(viewer.rest().await, b"", "the connection is over");
}
