//! The way in: page, ticket and cookie.

use super::*;
use crate::support::PATIENCE;

#[tokio::test]
async fn the_page_then_the_ticket_then_the_device() {
    let mut host = Host::start().await;
    let session = Session::open(&host.platform);
    let mut viewer = session.viewer().await;
    let request = format!(
        "GET /.fleetwire/enter HTTP/1.1\r\nHost: {}\r\n\r\n",
        session.host
    );
    viewer.write(request.as_bytes()).await;
    let page = viewer.answer().await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(
        page.text().contains("history.replaceState"),
        "{}",
        page.text()
    );

    let session = session.enter().await;
    assert!(
        session.cookie.starts_with("fleetwire-session="),
        "{}",
        session.cookie
    );
    let mut viewer = session.send("GET /", "").await;
    let exchange = host.exchange().await;
    assert_eq!(exchange.lines(), "", "no cookie of ours, nothing made up");
    exchange.answer(200, "content-type: text/plain\r\n", b"the device");
    let answer = viewer.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "the device"));
}

#[tokio::test]
async fn a_ticket_is_good_once_and_for_its_own_session() {
    let mut host = Host::start().await;
    let (one, two) = (Session::open(&host.platform), Session::open(&host.platform));
    let crossed = two.post_ticket(&one.ticket).await;
    assert_eq!(
        (crossed.status, crossed.code()),
        (403, Some("ticket_refused"))
    );
    assert!(crossed.headers("set-cookie").is_empty());

    let one = one.enter().await;
    let again = one.post_ticket(&one.ticket).await;
    assert_eq!((again.status, again.code()), (403, Some("ticket_refused")));
    assert!(again.headers("set-cookie").is_empty());
    assert_eq!(again.header("cache-control"), Some("no-store"));

    // Neither attempt cost the sessions anything.
    let two = two.enter().await;
    for session in [&one, &two] {
        let mut viewer = session.send("GET /", "").await;
        host.exchange().await.answer(204, "", b"");
        assert_eq!(viewer.answer().await.status, 204);
    }
}

#[tokio::test]
async fn without_the_sessions_own_cookie_nothing_reaches_the_device() {
    let mut host = Host::start().await;
    let (one, mut two) = (host.session().await, host.session().await);
    two.cookie = one.cookie.clone();
    let crossed = two.send("GET /", "").await.answer().await;
    assert_eq!(
        (crossed.status, crossed.code()),
        (403, Some("session_cookie_invalid"))
    );
    two.cookie = "a=b".to_owned();
    let none = two
        .send("GET /", "accept: text/html\r\n")
        .await
        .answer()
        .await;
    assert_eq!(
        (none.status, none.code()),
        (403, Some("session_not_entered"))
    );
    assert!(none.text().contains("<!doctype html>"), "{}", none.text());
    two.cookie = format!("{}; {}", one.cookie, one.cookie);
    let twice = two.send("GET /", "").await.answer().await;
    assert_eq!(
        (twice.status, twice.code()),
        (400, Some("session_cookie_duplicated"))
    );
    assert!(host.is_idle());
}

#[tokio::test]
async fn the_reserved_prefix_is_never_forwarded() {
    let mut host = Host::start().await;
    let session = host.session().await;
    for path in ["/.fleetwire", "/.fleetwire/", "/.fleetwire/x?y"] {
        let answer = session
            .send(&format!("GET {path}"), "")
            .await
            .answer()
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (404, Some("not_found")),
            "{path}"
        );
    }
    let worker = "service-worker: script\r\n";
    let worker = session
        .send("GET /.fleetwire/enter", worker)
        .await
        .answer()
        .await;
    assert_eq!(worker.status, 404);
    let foreign = "origin: http://evil.localhost\r\ncontent-length: 0\r\n";
    let foreign = session
        .send("POST /.fleetwire/enter", foreign)
        .await
        .answer()
        .await;
    assert_eq!(
        (foreign.status, foreign.code()),
        (403, Some("origin_foreign"))
    );
    assert!(host.is_idle());
}

#[tokio::test]
async fn an_offline_agent_is_said_to_be_and_the_session_outlives_it() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let mut waiting = session.send("GET /", "").await;
    let _waits = host.exchange().await;
    host.disconnect();
    let lost = waiting.answer().await;
    assert_eq!((lost.status, lost.code()), (502, Some("connection_lost")));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        assert!(tokio::time::Instant::now() < deadline, "it is not offline");
        let answer = session
            .send("GET /", "accept: text/html\r\n")
            .await
            .answer()
            .await;
        // The platform may not have seen yet that the connection is gone.
        if answer.code() == Some("connection_lost") {
            continue;
        }
        assert_eq!((answer.status, answer.code()), (503, Some("agent_offline")));
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert!(answer.text().contains("Try again"), "{}", answer.text());
        break;
    }
}
