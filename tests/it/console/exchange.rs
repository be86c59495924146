//! Heads both ways, as browser and device see them.

use super::*;

#[tokio::test]
async fn the_device_gets_what_the_browser_sent_less_what_is_the_platforms() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let origin = format!("http://{}", session.host);
    let mut viewer = session.viewer().await;
    let request = format!(
        "PUT /a%2Fb//c?d=+e&f= HTTP/1.1\r\nHost: {}\r\nUser-Agent: test\r\nAccept: */*\r\n\
         Origin: {origin}\r\nReferer: {origin}/x\r\nCookie: a=1; {}; b=2\r\n\
         Authorization: Basic YTpi\r\nX-Forwarded-For: 1.2.3.4\r\nVia: 1.1 x\r\n\
         Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nContent-Length: 5\r\n\r\nhello",
        session.host, session.cookie
    );
    viewer.write(request.as_bytes()).await;
    let mut exchange = host.exchange().await;
    assert_eq!(exchange.request.method.as_str(), "PUT");
    assert_eq!(exchange.request.path.as_str(), "/a%2Fb//c?d=+e&f=");
    let public = exchange.request.origin.clone().expect("an origin");
    assert_eq!(public.as_str(), origin);
    assert_eq!(
        exchange.lines(),
        format!(
            "user-agent: test\r\naccept: */*\r\norigin: {origin}\r\nreferer: {origin}/x\r\n\
             cookie: a=1; b=2\r\nauthorization: Basic YTpi\r\ncontent-length: 5\r\n"
        )
    );
    assert!(
        !exchange.request.body_follows,
        "a small body goes with the head"
    );
    assert_eq!(exchange.read_all().await, b"hello");
    exchange.answer(201, "location: /new\r\nx-latin: caf\u{e9}\r\n", b"");
    let answer = viewer.answer().await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), Some("/new"));
    assert_eq!(answer.header("content-length"), Some("0"));

    // The connection goes on.
    viewer
        .write(format!("{}\r\n", session.head("GET /")).as_bytes())
        .await;
    host.exchange().await.answer(200, "", b"again");
    assert_eq!(viewer.answer().await.text(), "again");
}

#[tokio::test]
async fn rules_6_and_8_hold_on_the_way_down() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let mut viewer = session.send("GET /", "").await;
    host.exchange().await.answer(
        200,
        "set-cookie: a=1; Domain=kvm.lan; Secure\r\nset-cookie: fleetwire-session=evil\r\n\
         set-cookie: b=2; HttpOnly\r\nstrict-transport-security: max-age=1\r\n\
         clear-site-data: \"*\"\r\nservice-worker-allowed: /\r\nx-frame-options: DENY\r\n\
         content-encoding: gzip\r\n",
        b"zipped",
    );
    let answer = viewer.answer().await;
    // On `localhost` browsers keep a secure cookie, so it stays one.
    assert_eq!(
        answer.headers("set-cookie"),
        ["a=1; Secure", "b=2; HttpOnly"]
    );
    for stripped in [
        "strict-transport-security",
        "clear-site-data",
        "service-worker-allowed",
    ] {
        assert_eq!(answer.header(stripped), None);
    }
    assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.text(), "zipped");
}

#[tokio::test]
async fn rule_15_answers_without_a_body_get_no_invented_length() {
    let mut host = Host::start().await;
    let session = host.session().await;
    for (line, status, lines, length) in [
        ("HEAD /", 200, "content-length: 123\r\n", Some("123")),
        ("HEAD /", 200, "", None),
        ("GET /", 204, "", None),
        ("GET /", 304, "etag: \"x\"\r\n", None),
    ] {
        let mut viewer = session.send(line, "").await;
        host.exchange().await.answer(status, lines, b"");
        let answer = viewer.answer_head().await;
        assert_eq!(u32::from(answer.status), status);
        assert_eq!(answer.header("content-length"), length, "{line} {status}");
        assert_eq!(answer.header("transfer-encoding"), None, "{line} {status}");
        // What comes next is the next answer: nothing of a body was sent.
        viewer
            .write(format!("{}\r\n", session.head("GET /")).as_bytes())
            .await;
        host.exchange().await.answer(200, "", b"next");
        assert_eq!(viewer.answer().await.text(), "next");
    }
}

#[tokio::test]
async fn interim_answers_are_not_taken_for_the_final_one() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let mut viewer = session.send("GET /", "").await;
    let mut exchange = host.exchange().await;
    for status in [100, 103] {
        exchange
            .send
            .send_head(head(status, "link: </x>\r\n"))
            .expect("the viewer waits");
    }
    exchange.answer(200, "", b"final");
    let answer = viewer.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "final"));
}

#[tokio::test]
async fn answers_come_in_any_order() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let (mut one, mut two) = (
        session.send("GET /1", "").await,
        session.send("GET /2", "").await,
    );
    let (first, second) = (host.exchange().await, host.exchange().await);
    assert_ne!(first.request.id, second.request.id);
    let (first, second) = if first.request.path.as_str() == "/1" {
        (first, second)
    } else {
        (second, first)
    };
    second.answer(200, "", b"two");
    assert_eq!(two.answer().await.text(), "two");
    first.answer(200, "", b"one");
    assert_eq!(one.answer().await.text(), "one");
}
