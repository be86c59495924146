//! Rules 11, 15 and 16: bodies, and answers that small servers get wrong.

use sha2::{Digest as _, Sha256};

use super::*;
use crate::console::viewer::Answer;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the device says of the request that it saw.
fn json(answer: &Answer) -> Value {
    let text = answer.text();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{} {text}", answer.status))
}

#[tokio::test]
async fn rule_11_bodies_keep_their_framing_and_their_bytes() {
    let stack = Stack::start().await;
    for length in [0, 1, 16 << 10, (16 << 10) + 1, 1_000_000] {
        let body: Vec<u8> = (0..length).map(|at: usize| (at / 251 + at) as u8).collect();
        let known = format!("Content-Length: {length}\r\n");
        let mut viewer = stack.session.send("POST /echo", &known).await;
        viewer.write(&body).await;
        let arrived: Value = json(&viewer.answer().await);
        assert_eq!(arrived["framing"], "length");
        assert_eq!(arrived["body_length"], length);
        assert_eq!(arrived["body_sha256"], hex(&Sha256::digest(&body)));

        let mut viewer = stack
            .session
            .send("POST /echo", "Transfer-Encoding: chunked\r\n")
            .await;
        for chunk in body.chunks(50_000) {
            viewer
                .write(format!("{:x}\r\n", chunk.len()).as_bytes())
                .await;
            viewer.write(chunk).await;
            viewer.write(b"\r\n").await;
        }
        viewer.write(b"0\r\nX-Sum: 5\r\n\r\n").await;
        let arrived: Value = json(&viewer.answer().await);
        assert_eq!(arrived["framing"], "chunked");
        assert_eq!(arrived["body_sha256"], hex(&Sha256::digest(&body)));
        assert_eq!(
            arrived["trailers"][0]
                .as_str()
                .map(str::to_ascii_lowercase)
                .as_deref(),
            Some("x-sum: 5")
        );
    }
}

#[tokio::test]
async fn rule_11_expectations_are_met_or_refused() {
    let stack = Stack::start().await;
    for path in ["/expect/continue", "/expect/silent"] {
        let fields = "Expect: 100-continue\r\nContent-Length: 5\r\n";
        let mut viewer = stack.session.send(&format!("POST {path}"), fields).await;
        assert_eq!(viewer.answer_head().await.status, 100, "{path}");
        viewer.write(b"hello").await;
        let arrived: Value = json(&viewer.answer().await);
        assert_eq!(arrived["body_length"], 5, "{path}");
        assert_eq!(values(&arrived, "expect"), ["100-continue"], "{path}");
    }
    let fields = "Expect: 100-continue\r\nContent-Length: 100000000\r\n";
    let mut viewer = stack.session.send("POST /expect/refuse", fields).await;
    let mut answer = viewer.answer().await;
    if answer.status == 100 {
        answer = viewer.answer().await;
    }
    assert_eq!((answer.status, answer.text().as_str()), (417, "no"));
}

#[tokio::test]
async fn rule_11_an_early_refusal_is_read_and_interim_answers_are_passed_over() {
    let stack = Stack::start().await;
    let mut viewer = stack
        .session
        .send("POST /refuse-body", "Content-Length: 100000000\r\n")
        .await;
    viewer.write(&[7; 100_000]).await;
    let answer = viewer.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (413, "too large"));
    let answer = stack.get("/early").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "final"));
    let answer = stack.get("/progress").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
}

#[tokio::test]
async fn rule_15_each_way_to_end_a_body_is_told_from_a_break() {
    let stack = Stack::start().await;
    for (path, body) in [
        ("/http10", "until the end"),
        ("/http10/length", "ok"),
        ("/http11/close", "until the end"),
        ("/extra", "ok"),
        ("/split", "ok"),
    ] {
        let answer = stack.get(path).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, body),
            "{path}"
        );
    }
    // A length that is not reached, an end by a reset, no last chunk. Where the break came before
    // the head was passed on, the platform can still say so.
    for path in ["/short", "/short/reset", "/close-reset", "/chunk-cut"] {
        let mut viewer = stack.open(path).await;
        let head = viewer.answer_head().await;
        if head.status == 502 {
            assert_eq!(head.code(), Some("target_closed"), "{path}");
            continue;
        }
        assert_eq!(head.status, 200, "{path}");
        let rest = viewer.rest().await;
        assert!(
            rest.len() < 100 && !rest.ends_with(b"0\r\n\r\n"),
            "{path}: {}",
            rest.escape_ascii()
        );
    }
    for path in ["/reset", "/empty"] {
        let answer = stack.get(path).await;
        assert_eq!(
            (answer.status, answer.code()),
            (502, Some("target_closed")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn rule_15_no_body_is_no_body() {
    let stack = Stack::start().await;
    for (line, status, length) in [
        ("HEAD /head", 200, Some("1000")),
        ("HEAD /landing", 200, Some("0")),
        ("GET /204", 204, None),
        ("GET /204/body", 204, None),
        ("GET /304", 304, None),
        ("GET /304/body", 304, None),
    ] {
        let mut viewer = stack.session.send(line, "").await;
        let head = viewer.answer_head().await;
        assert_eq!(
            (head.status, head.header("content-length")),
            (status, length),
            "{line}"
        );
        assert_eq!(head.header("transfer-encoding"), None, "{line}");
        let next = format!("{}\r\n", stack.session.head("GET /landing"));
        viewer.write(next.as_bytes()).await;
        assert_eq!(viewer.answer().await.text(), "/landing", "{line}");
    }
}

#[tokio::test]
async fn rule_16_what_small_servers_get_wrong_is_taken_where_it_is_plain() {
    let stack = Stack::start().await;
    for (path, body) in [
        ("/lf", "ok"),
        ("/no-reason", "ok"),
        ("/fold", "ok"),
        ("/latin1", "ok"),
        ("/no-blank", "ok"),
        ("/same-length", "hello"),
        ("/same-length/list", "hello"),
        ("/te-and-length", "hello"),
    ] {
        let answer = stack.get(path).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, body),
            "{path}"
        );
    }
    assert_eq!(
        stack.get("/fold").await.header("x-folded"),
        Some("one two three")
    );
    assert_eq!(
        stack.get("/latin1").await.header("x-name"),
        Some("caf\u{fffd}")
    );
}

#[tokio::test]
async fn rule_16_what_can_be_read_in_two_ways_is_refused() {
    let stack = Stack::start().await;
    for path in [
        "/different-lengths",
        "/different-lengths/list",
        "/space-colon",
        "/bare-cr",
        "/nul",
        "/bad-length",
        "/bad-length/minus",
        "/bad-length/hex",
        "/bad-status",
        "/bad-status/text",
        "/garbage",
        "/no-name",
    ] {
        let answer = stack.get(path).await;
        assert_eq!(
            (answer.status, answer.code()),
            (502, Some("target_malformed")),
            "{path}"
        );
    }
    // The head was good before the chunks were not: the answer has begun, and breaks off.
    for path in [
        "/bad-chunk",
        "/bad-chunk/huge",
        "/bad-chunk/end",
        "/bad-chunk/minus",
    ] {
        let mut viewer = stack.open(path).await;
        let head = viewer.answer_head().await;
        if head.status == 502 {
            assert_eq!(head.code(), Some("target_malformed"), "{path}");
            continue;
        }
        assert_eq!(head.status, 200, "{path}");
        let rest = viewer.rest().await;
        assert!(
            !rest.ends_with(b"0\r\n\r\n"),
            "{path}: {}",
            rest.escape_ascii()
        );
    }
    assert_eq!(
        stack.get("/landing").await.text(),
        "/landing",
        "nothing else suffered"
    );
}
