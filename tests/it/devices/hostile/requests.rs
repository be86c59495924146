//! Rules 1 to 6 and 9 to 11: what reaches the device.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{LARGE_BYTES, UPGRADE, assert_ok, echo, hostile, large, seen, sha256, stats};

#[test]
fn rules_1_to_3_host_origin_and_referer_go_together() {
    let (_world, own, console) = hostile();
    let device = format!("http://{own}");

    let plain = echo(&console, &[]);
    assert_eq!(seen(&plain, "host"), [own.as_str()]);
    assert!(seen(&plain, "origin").is_empty());
    assert!(seen(&plain, "referer").is_empty());

    let origin = format!("Origin: {}", console.origin());
    let referer = format!("Referer: {}/a%2Fb?c=d", console.origin());
    let ours = echo(&console, &[&origin, &referer]);
    assert_eq!(seen(&ours, "origin"), [device.as_str()]);
    assert_eq!(seen(&ours, "referer"), [format!("{device}/a%2Fb?c=d")]);

    let foreign = echo(&console, &["Referer: https://other.example/secret"]);
    assert!(seen(&foreign, "referer").is_empty());

    let before = stats(&console)["requests"].as_array().map(Vec::len);
    for origin in ["https://other.example", "null", "http://localhost", &device] {
        let line = format!("Origin: {origin}");
        let answer = console.send("POST", "/echo/foreign", &["Content-Length: 0", &line]);
        assert_eq!(answer.status, 403, "POST from {origin}: {answer:?}");
        let upgrade = console.request("GET", "/ws/echo", &[UPGRADE, &line]);
        assert_eq!(
            console.exchange(upgrade.as_bytes()).status,
            403,
            "WebSocket from {origin}"
        );
    }
    let foreign = echo(&console, &["Origin: https://other.example"]);
    assert!(
        !seen(&foreign, "origin").contains(&device),
        "made the device's"
    );
    let requests = stats(&console)["requests"].clone();
    let reached = |request: &&Value| {
        let line = request.as_str().unwrap_or_default();
        line.starts_with("POST") || line.contains("/ws/")
    };
    let refused: Vec<_> = requests
        .as_array()
        .expect("a list")
        .iter()
        .filter(reached)
        .collect();
    assert!(
        refused.is_empty(),
        "the device was dialled: {refused:?} after {before:?}"
    );
}

#[test]
fn rules_4_and_5_nothing_forged_or_ours_reaches_the_device() {
    let (_world, _, console) = hostile();
    let forged = [
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Host: other.example",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Port: 1",
        "X-Forwarded-Server: a",
        "Forwarded: for=192.0.2.1",
        "Via: 1.1 other",
        "X-Real-IP: 192.0.2.1",
        "Authorization: Bearer of-the-device",
        "X-Auth-Token: of-the-device",
    ];
    let saw = echo(&console, &forged);
    for line in &forged[..8] {
        let (name, _) = line.split_once(':').expect("a field");
        assert!(seen(&saw, name).is_empty(), "{name} reached the device");
    }
    assert_eq!(seen(&saw, "authorization"), ["Bearer of-the-device"]);
    assert_eq!(seen(&saw, "x-auth-token"), ["of-the-device"]);
    let secret = console.cookie.split_once('=').expect("a value").1;
    assert!(
        !saw.to_string().contains(secret),
        "the session's cookie reached the device"
    );

    let refused = console.get("/auth/basic");
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.all("www-authenticate"),
        ["Basic realm=\"device\"", "Digest realm=\"d\", nonce=\"n\""]
    );
    let welcome = console.send(
        "GET",
        "/auth/basic",
        &["Authorization: Basic dXNlcjpzZWNyZXQ="],
    );
    assert_ok("/auth/basic", &welcome, "welcome");
}

#[test]
fn rule_6_cookies_stay_the_devices_own() {
    let (_world, _, console) = hostile();
    let name = console.cookie_name();

    let up = format!(
        "GET /echo HTTP/1.1\r\nHost: {}\r\nCookie: a=1; {}; b=\"2 2\"; c=d=e\r\n\r\n",
        console.authority, console.cookie
    );
    let saw = console.exchange(up.as_bytes()).json();
    assert_eq!(seen(&saw, "cookie").join("; "), "a=1; b=\"2 2\"; c=d=e");
    assert!(seen(&echo(&console, &[]), "cookie").is_empty());

    let twice = format!("Cookie: {name}=other");
    let answer = console.send("GET", "/echo/twice", &[&twice]);
    assert!(
        (400..500).contains(&answer.status),
        "the cookie twice: {answer:?}"
    );

    let answer = console.get(&format!("/cookies?name={name}"));
    let normal = |line: &&str| {
        let parts: Vec<_> = line.split(';').map(str::trim).collect();
        // A quoted value may hold a semicolon; nothing here depends on where it is cut.
        parts.join("; ")
    };
    let down: Vec<_> = answer.all("set-cookie").iter().map(normal).collect();
    assert_eq!(
        down,
        [
            "plain=1",
            "domain=2; Path=/",
            "dotted=3; path=/sub; HttpOnly",
            "strict=4; Path=/; SameSite=Strict; HttpOnly",
            "secure=5; Secure; SameSite=None; Path=/",
            "expires=6; Expires=Wed, 21 Oct 2099 07:28:00 GMT; Max-Age=3600",
            "quoted=\"7; 7\"; Path=/",
            "empty=",
            "equals=a=b==; Path=/",
        ]
    );
}

#[test]
fn rules_9_and_10_bytes_pass_and_hops_do_not() {
    let (_world, _, console) = hostile();

    let target = "/echo/%2F//a+b/%41;p=1/..%2f?q=%20+&&x==";
    let answer = console.send("GET", target, &["Accept-Encoding: br, gzip;q=0.5"]);
    let saw = answer.json();
    assert_eq!(saw["line"], format!("GET {target} HTTP/1.1"));
    assert_eq!(seen(&saw, "accept-encoding"), ["br, gzip;q=0.5"]);
    assert!(seen(&echo(&console, &[]), "accept-encoding").is_empty());

    let zipped = console.get("/gzip");
    assert_eq!(zipped.field("content-encoding"), Some("gzip"));
    assert_eq!(zipped.body[..2], [0x1f, 0x8b]);

    for target in [
        "/echo/\u{1}",
        "/echo/\u{7f}",
        "http://other.example/echo",
        "echo",
    ] {
        let answer = console.get(target);
        assert_eq!(answer.status, 400, "{target:?}: {answer:?}");
    }

    let saw = echo(
        &console,
        &[
            "Connection: X-Drop, keep-alive",
            "X-Drop: 1",
            "Keep-Alive: timeout=9",
            "Proxy-Authorization: Basic eDp5",
            "Proxy-Connection: keep-alive",
            "X-Stays: 1",
        ],
    );
    for name in [
        "x-drop",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
    ] {
        assert!(seen(&saw, name).is_empty(), "{name} reached the device");
    }
    assert_eq!(seen(&saw, "x-stays"), ["1"]);

    let answer = console.get("/hop");
    for name in ["x-hop", "keep-alive", "proxy-connection", "upgrade"] {
        assert_eq!(answer.field(name), None, "{name} reached the browser");
    }
    assert_eq!(answer.field("x-kept"), Some("yes"));

    let answer = console.send("GET", "/trailers", &["TE: trailers"]);
    assert_ok("/trailers", &answer, "hello world");
    let trailers: Vec<_> = answer
        .trailers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.as_str()))
        .collect();
    assert_eq!(
        trailers,
        [("x-sum".to_owned(), "11"), ("x-last".to_owned(), "yes")]
    );

    let origin = format!("Origin: {}", console.origin());
    let head = console.request(
        "POST",
        "/echo",
        &["Transfer-Encoding: chunked", "Trailer: X-Sum", &origin],
    );
    let saw = console
        .exchange(format!("{head}5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n").as_bytes())
        .json();
    assert_eq!(saw["framing"], "chunked");
    assert_eq!(saw["body_length"], 5);
    let trailers = saw["trailers"].to_string().to_lowercase();
    assert!(trailers.contains("x-sum: 5"), "{saw}");
}

#[test]
fn rule_11_request_bodies_keep_their_framing() {
    let (_world, _, console) = hostile();
    let body = large();
    let origin = format!("Origin: {}", console.origin());

    let saw = console.post("/echo", &[], &body).json();
    assert_eq!(saw["framing"], "length");
    assert_eq!(saw["body_sha256"], sha256(&body));
    assert_eq!(seen(&saw, "content-length"), [LARGE_BYTES.to_string()]);

    let empty = console.post("/echo", &[], b"").json();
    assert_eq!(seen(&empty, "content-length"), ["0"]);

    let head = console.request("POST", "/echo", &["Transfer-Encoding: chunked", &origin]);
    let mut chunked = head.into_bytes();
    for piece in body.chunks(100_003) {
        chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let saw = console.exchange(&chunked).json();
    assert_eq!(saw["framing"], "chunked");
    assert_eq!(saw["body_sha256"], sha256(&body));
    assert!(seen(&saw, "content-length").is_empty());

    // Both at once reach the device as the one that counts (RFC 9112 6.3), and nothing follows them.
    for framings in [
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
    ] {
        let head = console.request("POST", "/echo", &[framings[0], framings[1], &origin]);
        let smuggled = console.request("GET", "/echo/smuggled", &[]);
        let answer = console.exchange(format!("{head}0\r\n\r\n{smuggled}").as_bytes());
        let saw = answer.json();
        assert_eq!(
            (&saw["framing"], &saw["body_length"]),
            (&json!("chunked"), &json!(0))
        );
        assert!(seen(&saw, "content-length").is_empty(), "{framings:?}");
    }
    let lengths = console.request(
        "POST",
        "/echo/smuggled",
        &["Content-Length: 5", "Content-Length: 6", &origin],
    );
    let answer = console.exchange(format!("{lengths}hello!").as_bytes());
    assert_eq!(answer.status, 400, "{answer:?}");
    let reached = stats(&console)["requests"].to_string();
    assert!(
        !reached.contains("smuggled"),
        "an ambiguous body reached the device"
    );
}

#[test]
fn rule_11_expectations_and_early_answers() {
    let (_world, _, console) = hostile();
    let origin = format!("Origin: {}", console.origin());

    for path in ["/expect/continue", "/expect/silent"] {
        let head = console.request(
            "POST",
            path,
            &["Expect: 100-continue", "Content-Length: 5", &origin],
        );
        let mut connection = console.connect(&head);
        connection.send(b"hello").expect("sent");
        let mut answer = connection.head().expect("a head");
        connection.body(&mut answer, "POST");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(answer.json()["body_sha256"], sha256(b"hello"), "{path}");
    }
    let head = console.request(
        "POST",
        "/expect/refuse",
        &["Expect: 100-continue", "Content-Length: 5", &origin],
    );
    let answer = console.exchange(head.as_bytes());
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (417, "no"),
        "{answer:?}"
    );

    let early = console.get("/early");
    assert_ok("/early", &early, "final");
    let interim: HashSet<_> = early.interim.iter().copied().collect();
    assert!(interim.is_subset(&HashSet::from([102, 103])), "{interim:?}");

    let refused = console.post("/refuse-body", &[], &large());
    assert_eq!(
        (refused.status, refused.text().as_str()),
        (413, "too large")
    );
}
