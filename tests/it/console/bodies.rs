//! Bodies: lengths kept, pieces as they come, backpressure, and ends that are not mistaken.

use std::time::Duration;

use fleetwire::net::stream::StreamError;
use fleetwire::wire::messages::ErrorCode;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::*;
use crate::support::PATIENCE;

/// Bytes that differ from place to place.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at) as u8).collect()
}

#[tokio::test]
async fn rule_13_each_piece_is_flushed_at_once() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let mut viewer = session.send("GET /stream", "te: trailers\r\n").await;
    let mut exchange = host.exchange().await;
    exchange
        .send
        .send_head(head(200, "trailer: x-sum\r\n"))
        .expect("the viewer waits");
    let answer = viewer.answer_head().await;
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    for piece in ["one", "two", "three"] {
        exchange
            .send
            .write(piece.into())
            .await
            .expect("there is room");
        assert_eq!(viewer.chunk().await.as_deref(), Some(piece.as_bytes()));
    }
    exchange.send.finish(fields("x-sum: 11\r\n"));
    assert_eq!(viewer.chunk().await, None);
    assert_eq!(
        viewer.fields().await,
        [("x-sum".to_owned(), "11".to_owned())]
    );
}

#[tokio::test]
async fn rule_11_a_long_upload_keeps_its_length_and_its_bytes() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let body = pattern(3 << 20);
    let mut viewer = session.viewer().await;
    let request = format!(
        "{}content-length: {}\r\n\r\n",
        session.head("POST /up"),
        body.len()
    );
    let sent = body.clone();
    let writer = tokio::spawn(async move {
        viewer.write(request.as_bytes()).await;
        viewer.write(&sent).await;
        viewer
    });
    let mut exchange = host.exchange().await;
    assert!(exchange.request.body_follows);
    assert_eq!(
        exchange.lines(),
        format!("content-length: {}\r\n", body.len())
    );
    assert!(exchange.read_all().await == body, "the bytes differ");
    exchange.answer(200, "", b"taken");
    let mut viewer = writer.await.expect("written");
    assert_eq!(viewer.answer().await.text(), "taken");
}

#[tokio::test]
async fn rule_11_a_chunked_upload_passes_with_its_trailers() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let mut viewer = session
        .send("POST /up", "transfer-encoding: chunked\r\n")
        .await;
    let mut exchange = host.exchange().await;
    assert_eq!(exchange.lines(), "");
    viewer.write(b"3\r\nabc\r\n").await;
    let piece = exchange.recv.data().await.expect("more").expect("unbroken");
    assert_eq!(&piece[..], b"abc");
    viewer.write(b"2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n").await;
    assert_eq!(exchange.read_all().await, b"de");
    assert_eq!(exchange.recv.trailers(), fields("x-sum: 5\r\n"));
    exchange.answer(200, "", b"");
    assert_eq!(viewer.answer().await.status, 200);
}

#[tokio::test]
async fn rule_11_what_the_device_does_not_take_is_not_read_from_the_browser() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let viewer = session
        .send("POST /up", "content-length: 1000000000\r\n")
        .await;
    let (mut upload, _) = viewer.into_stream();
    let mut exchange = host.exchange().await;
    // Windows, buffers and the kernel hold some; a gigabyte they do not. It is held back once nothing
    // is taken while other requests pass, more than once: a pause alone might be a slow machine's.
    let (mut written, mut passed_beside) = (0, 0);
    let piece = pattern(1 << 20);
    while passed_beside < 3 {
        match timeout(Duration::from_secs(1), upload.write(&piece)).await {
            Ok(taken) => {
                written += taken.expect("it is open");
                passed_beside = 0;
                assert!(written < 256 << 20, "nothing holds the browser back");
            }
            Err(_) => {
                let mut other = session.send("GET /", "").await;
                host.exchange().await.answer(200, "", b"beside");
                assert_eq!(other.answer().await.text(), "beside");
                passed_beside += 1;
            }
        }
    }
    // What held it back was the device: as soon as that takes, there is room.
    let taking = tokio::spawn(async move { while let Some(Ok(_)) = exchange.recv.data().await {} });
    let more = timeout(PATIENCE, upload.write(&piece)).await;
    assert!(more.expect("in time").expect("it is open") > 0);
    drop(upload);
    timeout(PATIENCE, taking)
        .await
        .expect("in time")
        .expect("its task ends");
}

#[tokio::test]
async fn rule_11_an_expectation_is_forwarded_and_met() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let fields = "expect: 100-continue\r\ncontent-length: 5\r\n";
    let mut viewer = session.send("POST /up", fields).await;
    let mut exchange = host.exchange().await;
    assert!(
        exchange.lines().contains("expect: 100-continue\r\n"),
        "{}",
        exchange.lines()
    );
    assert!(exchange.request.body_follows);
    assert_eq!(viewer.answer_head().await.status, 100);
    viewer.write(b"hello").await;
    assert_eq!(exchange.read_all().await, b"hello");
    exchange.answer(200, "", b"");
    assert_eq!(viewer.answer().await.status, 200);
}

#[tokio::test]
async fn an_answer_that_comes_before_the_upload_is_over_is_read() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let mut viewer = session
        .send("POST /up", "content-length: 100000000\r\n")
        .await;
    let exchange = host.exchange().await;
    viewer.write(&pattern(100_000)).await;
    exchange.answer(413, "", b"too much");
    let answer = viewer.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (413, "too much"));
}

#[tokio::test]
async fn a_refusal_during_an_upload_is_read_and_the_connection_goes_on() {
    let mut host = Host::start().await;
    let session = host.session().await;
    let mut viewer = session.viewer().await;
    // More than a connection holds of a body on its way. In one write, and no more than that needs:
    // what nobody wants is read for a short while only.
    let body = pattern(192 << 10);
    let head = format!(
        "{}origin: null\r\ncontent-length: {}\r\n\r\n",
        session.head("POST /up"),
        body.len()
    );
    viewer.write(&[head.as_bytes(), &body].concat()).await;
    let answer = viewer.answer().await;
    assert_eq!(
        (answer.status, answer.code()),
        (403, Some("origin_foreign"))
    );
    viewer
        .write(format!("{}\r\n", session.head("GET /")).as_bytes())
        .await;
    host.exchange().await.answer(200, "", b"next");
    assert_eq!(viewer.answer().await.text(), "next");
}

#[tokio::test]
async fn rule_13_a_viewer_that_leaves_is_known_to_the_device() {
    let mut host = Host::start().await;
    let session = host.session().await;
    // In the middle of an endless answer with nothing to write, and before any answer.
    let mut streaming = session.send("GET /stream", "").await;
    let mut streams = host.exchange().await;
    streams
        .send
        .send_head(head(200, ""))
        .expect("the viewer waits");
    streaming.answer_head().await;
    let waiting = session.send("GET /slow", "").await;
    let mut waits = host.exchange().await;
    drop((streaming, waiting));
    for exchange in [&mut streams, &mut waits] {
        assert_eq!(exchange.stopped().await, ErrorCode::Cancelled);
    }
    // And in the middle of an upload.
    let mut uploading = session.send("POST /up", "content-length: 100000\r\n").await;
    let mut uploads = host.exchange().await;
    uploading.write(b"part").await;
    let part = uploads.recv.data().await.expect("more").expect("unbroken");
    assert_eq!(&part[..], b"part");
    drop(uploading);
    let broken = timeout(PATIENCE, uploads.recv.data()).await;
    let broken = broken
        .expect("in time")
        .expect("no clean end")
        .expect_err("broken");
    assert!(
        matches!(
            broken,
            StreamError::Reset {
                code: ErrorCode::Cancelled,
                ..
            }
        ),
        "{broken}"
    );
}

#[tokio::test]
async fn rule_15_a_short_body_breaks_off_visibly() {
    let mut host = Host::start().await;
    let session = host.session().await;
    // A known length that is not reached, by a reset and by a false end, and an unknown one.
    for lines in ["content-length: 10\r\n", ""] {
        for clean in [false, true] {
            if clean && lines.is_empty() {
                continue;
            }
            let mut viewer = session.send("GET /", "").await;
            let mut exchange = host.exchange().await;
            exchange
                .send
                .send_head(head(200, lines))
                .expect("the viewer waits");
            exchange.send.send("12345".into()).expect("there is room");
            let answer = viewer.answer_head().await;
            assert_eq!(answer.header("content-length").is_some(), !lines.is_empty());
            // Read before the reset, which throws away what still lies between.
            if lines.is_empty() {
                assert_eq!(viewer.chunk().await.as_deref(), Some(&b"12345"[..]));
            } else {
                assert_eq!(viewer.take(5).await, b"12345");
            }
            if clean {
                exchange.send.finish(fields(""));
            } else {
                exchange.send.reset(ErrorCode::TargetClosed, "");
            }
            assert_eq!(viewer.rest().await, b"", "no last chunk");
        }
    }
}

#[tokio::test]
async fn answers_that_contradict_themselves_are_refused() {
    let mut host = Host::start().await;
    let session = host.session().await;
    for (status, lines) in [
        (200, "content-length: 5\r\n"),
        (200, "content-length: 3\r\ncontent-length: 4\r\n"),
        (200, "content-length: x\r\n"),
        (101, "upgrade: websocket\r\n"),
    ] {
        let mut viewer = session.send("GET /", "").await;
        let mut exchange = host.exchange().await;
        let mut head = head(status, lines);
        head.body = "four".into();
        head.body_follows = false;
        // The link itself may refuse what is no answer to this request.
        if exchange.send.send_head(head).is_err() {
            continue;
        }
        let answer = viewer.answer().await;
        assert_eq!(
            (answer.status, answer.code()),
            (502, Some("target_malformed")),
            "{lines}"
        );
    }
}

#[tokio::test]
async fn why_the_agent_could_not_is_said() {
    let mut host = Host::start().await;
    let session = host.session().await;
    for (code, status, name) in [
        (ErrorCode::TargetUnreachable, 502, "target_unreachable"),
        (ErrorCode::TargetUntrusted, 502, "target_untrusted"),
        (ErrorCode::TargetTimeout, 504, "target_timeout"),
        (ErrorCode::NotAllowed, 403, "not_allowed"),
    ] {
        let mut viewer = session.send("GET /", "accept: text/html\r\n").await;
        let exchange = host.exchange().await;
        exchange.send.reset(code, "at <127.0.0.1:80>");
        let answer = viewer.answer().await;
        assert_eq!((answer.status, answer.code()), (status, Some(name)));
        assert!(
            answer.text().contains("at &lt;127.0.0.1:80&gt;"),
            "{}",
            answer.text()
        );
    }
}
