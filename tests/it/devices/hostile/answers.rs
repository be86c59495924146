//! Rules 7, 8 and 13 to 17: what reaches the browser.

use std::collections::HashSet;

use super::{assert_ok, echo, hostile, stats};
use crate::{devices::raw::Ended, support::until};

#[test]
fn rule_7_only_the_devices_own_origin_becomes_public() {
    let (_world, own, console) = hostile();
    let public = console.origin();

    let location = |path: &str| console.get(path).field("location").map(str::to_owned);
    assert_eq!(
        location("/redirect/own"),
        Some(format!("{public}/landing?x=%2F#part"))
    );
    assert_eq!(
        location("/redirect/foreign").as_deref(),
        Some("http://other.example:8080/x")
    );
    assert_eq!(
        location("/redirect/relative").as_deref(),
        Some("../landing")
    );

    let upgraded = console.get("/redirect/own-https");
    assert_ne!(
        upgraded.field("location"),
        Some(format!("{public}/redirect/own-https").as_str()),
        "the browser would loop"
    );

    let links = |path: &str, host: &str, origin: &str, socket: &str| {
        let answer = console.get(path);
        assert_eq!(
            answer.field("content-location"),
            Some(format!("{origin}/where").as_str())
        );
        assert_eq!(
            answer.field("refresh"),
            Some(format!("5; url={origin}/next").as_str())
        );
        assert_eq!(answer.field("access-control-allow-origin"), Some(origin));
        assert_eq!(
            answer.field("content-security-policy"),
            Some(
                format!("default-src 'self' {origin}; connect-src {socket} wss://cdn.example")
                    .as_str()
            )
        );
        assert_ok(path, &answer, &format!("http://{host}/ stays in a body"));
    };
    links(
        "/links",
        &own,
        &public,
        &format!("ws://{}", console.authority),
    );
    let alike = format!("{own}0");
    links(
        "/links/alike",
        &alike,
        &format!("http://{alike}"),
        &format!("ws://{alike}"),
    );
    links(
        "/links/foreign",
        "other.example",
        "http://other.example",
        "ws://other.example",
    );
}

#[test]
fn rule_8_what_outlives_a_session_is_stripped_and_the_rest_stays() {
    let (_world, _, console) = hostile();
    let answer = console.get("/stripped");
    for name in [
        "strict-transport-security",
        "alt-svc",
        "clear-site-data",
        "public-key-pins",
        "report-to",
        "nel",
        "service-worker-allowed",
    ] {
        assert_eq!(answer.field(name), None, "{name} passed");
    }
    assert_eq!(answer.field("x-kept"), Some("yes"));

    let answer = console.get("/passed");
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("content-security-policy", "default-src 'self'"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=()"),
    ] {
        assert_eq!(answer.all(name), [value], "{name}");
    }
}

#[test]
fn rules_13_and_14_streams_flush_and_end_with_their_viewer() {
    let (_world, _, console) = hostile();
    assert_ok("/split", &console.get("/split"), "ok");
    let drip = console.get("/drip?ms=1");
    assert_ok("/drip", &drip, "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");

    // Each of these never ends: what arrives was flushed, and what is cancelled was told so.
    for path in ["/sse", "/mjpeg", "/endless", "/stall", "/never"] {
        let mut viewer = console.connect(&console.request("GET", path, &[]));
        if path != "/never" {
            assert_eq!(viewer.head().expect("a head").status, 200, "{path}");
            assert!(!viewer.some().expect("a first piece").is_empty(), "{path}");
        }
        until("the device has its viewer", || {
            (stats(&console)["streams"] == 1).then_some(())
        });
        drop(viewer);
        until("the device is told", || {
            (stats(&console)["streams"] == 0).then_some(())
        });
    }
}

#[test]
fn rule_15_old_and_broken_framing() {
    let (_world, _, console) = hostile();
    assert_ok("/http10", &console.get("/http10"), "until the end");
    assert_ok("/http10/length", &console.get("/http10/length"), "ok");
    assert_ok(
        "/http11/close",
        &console.get("/http11/close"),
        "until the end",
    );

    for path in ["/short", "/short/reset", "/close-reset", "/chunk-cut"] {
        let answer = console.get(path);
        assert!(
            answer.status == 502 || answer.ended == Ended::Cut,
            "{path} looked whole: {answer:?}"
        );
    }
    for path in ["/reset", "/empty"] {
        assert_eq!(console.get(path).status, 502, "{path}");
    }

    let head = console.send("HEAD", "/head", &[]);
    assert_eq!(head.status, 200);
    assert_eq!(head.field("content-length"), Some("1000"));
    let no_content = console.get("/204");
    assert_eq!(
        (no_content.status, no_content.field("content-length")),
        (204, None)
    );
    let not_modified = console.get("/304");
    assert_eq!(not_modified.status, 304);
    assert_eq!(not_modified.field("etag"), Some("\"x\""));
    assert!([None, Some("1000")].contains(&not_modified.field("content-length")));

    // What comes after an answer's end belongs to nobody: no later request may get it.
    for path in ["/204/body", "/304/body", "/extra"] {
        console.get(path);
        for _ in 0..8 {
            assert_ok(path, &console.get("/landing"), "/landing");
        }
    }
}

#[test]
fn rule_16_malformed_answers_are_taken_or_refused() {
    let (_world, _, console) = hostile();
    for path in ["/lf", "/no-reason", "/fold", "/latin1", "/no-blank"] {
        assert_ok(path, &console.get(path), "ok");
    }
    assert_eq!(console.get("/lf").field("x-kept"), Some("yes"));
    let folded = console
        .get("/fold")
        .field("x-folded")
        .unwrap_or_default()
        .to_owned();
    assert_eq!(
        folded.split_whitespace().collect::<Vec<_>>(),
        ["one", "two", "three"]
    );
    assert_eq!(console.get("/latin1").field("x-name"), Some("caf\u{e9}"));
    for path in ["/same-length", "/same-length/list"] {
        let answer = console.get(path);
        assert_ok(path, &answer, "hello");
        assert_eq!(answer.all("content-length").len(), 1, "{path}");
    }
    // Transfer-Encoding wins, and the connection is not used again.
    assert_ok("/te-and-length", &console.get("/te-and-length"), "hello");

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
        let answer = console.get(path);
        assert_eq!(answer.status, 502, "{path}: {answer:?}");
        assert_ok(path, &console.get("/landing"), "/landing");
    }
    for path in [
        "/bad-chunk",
        "/bad-chunk/huge",
        "/bad-chunk/end",
        "/bad-chunk/minus",
    ] {
        let answer = console.get(path);
        assert!(
            answer.status == 502 || answer.ended == Ended::Cut,
            "{path} looked whole: {answer:?}"
        );
    }
}

#[test]
fn rule_17_heads_have_limits_and_keep_their_order() {
    let (_world, _, console) = hostile();
    assert_ok("/header-64k", &console.get("/header-64k"), "ok");
    assert_ok("/fields-200", &console.get("/fields-200"), "ok");
    for path in ["/header-over", "/fields-over"] {
        assert_eq!(console.get(path).status, 502, "{path}");
    }
    // Fields of one name keep their order, and names that of their first field.
    let order = console.get("/order");
    assert_eq!(order.all("x-b"), ["2", "4"]);
    let mut first = HashSet::new();
    let mut names: Vec<_> = order
        .fields
        .iter()
        .map(|(name, _)| name.to_lowercase())
        .collect();
    names.retain(|name| name.starts_with("x-") && first.insert(name.clone()));
    assert_eq!(
        names,
        ["x-a", "x-b", "x-c", "x-d", "x-e", "x-f", "x-g", "x-h"]
    );

    let fits = format!("X-Long: {}", "l".repeat(30 * 1024));
    let saw = echo(&console, &["X-First: 1", &fits, "X-Last: 2"]);
    let names: Vec<_> = saw["headers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|field| field[0].as_str().unwrap_or_default().to_lowercase())
        .collect();
    let x: Vec<_> = names.iter().filter(|name| name.starts_with("x-")).collect();
    assert_eq!(x, ["x-first", "x-long", "x-last"]);
    // Host, and how the connection goes on: nothing else is ours to add.
    let added: Vec<_> = names
        .iter()
        .filter(|name| !name.starts_with("x-") && !["host", "connection"].contains(&name.as_str()))
        .collect();
    assert!(added.is_empty(), "the proxy added {added:?}");

    let over = format!("X-Long: {}", "l".repeat(40 * 1024));
    let answer = console.send("GET", "/echo", &[&over]);
    assert_eq!(answer.status, 431, "{:?}", answer.text());
    assert_eq!(answer.ended, Ended::Whole);
}
