//! Rules 1 to 10 and 17: heads both ways.

use super::*;

#[tokio::test]
async fn rules_1_to_4_the_device_sees_its_own_names() {
    let stack = Stack::start().await;
    let (own, origin) = (&stack.own, stack.origin());
    let fields = format!(
        "Origin: {origin}\r\nReferer: {origin}/x?y=%2F\r\nForwarded: for=1.2.3.4\r\n\
         X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 1.2.3.4\r\nVia: 1.1 x\r\n\
         Content-Length: 0\r\n"
    );
    let arrived = stack.arrived("POST /echo", &fields).await;
    assert_eq!(values(&arrived, "host"), [own.as_str()]);
    assert_eq!(values(&arrived, "origin"), [format!("http://{own}")]);
    assert_eq!(
        values(&arrived, "referer"),
        [format!("http://{own}/x?y=%2F")]
    );
    for name in [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-real-ip",
        "via",
        "cookie",
    ] {
        assert!(values(&arrived, name).is_empty(), "{name}");
    }
    // A foreign referrer is removed, and absent ones stay absent.
    let arrived = stack
        .arrived("GET /echo", "Referer: https://evil.example/\r\n")
        .await;
    assert!(values(&arrived, "referer").is_empty());
    assert!(values(&arrived, "origin").is_empty());
}

#[tokio::test]
async fn rule_2_a_foreign_origin_never_reaches_the_device() {
    let stack = Stack::start().await;
    for origin in [
        "https://evil.example",
        "null",
        &format!("http://{}", stack.own),
    ] {
        let fields = format!("Origin: {origin}\r\nContent-Length: 0\r\n");
        let answer = stack
            .session
            .send("POST /echo", &fields)
            .await
            .answer()
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, Some("origin_foreign"))
        );
    }
    let stats = stack.stats().await;
    assert!(!stats["requests"].to_string().contains("POST"), "{stats}");
}

#[tokio::test]
async fn rule_5_the_devices_sign_in_passes() {
    let stack = Stack::start().await;
    let challenged = stack.get("/auth/basic").await;
    assert_eq!(challenged.status, 401);
    assert_eq!(
        challenged.headers("www-authenticate"),
        ["Basic realm=\"device\"", "Digest realm=\"d\", nonce=\"n\""]
    );
    let right = "Authorization: Basic dXNlcjpzZWNyZXQ=\r\n";
    let welcome = stack
        .session
        .send("GET /auth/basic", right)
        .await
        .answer()
        .await;
    assert_eq!((welcome.status, welcome.text().as_str()), (200, "welcome"));
}

#[tokio::test]
async fn rule_6_cookies_are_rewritten_line_by_line() {
    let stack = Stack::start().await;
    let answer = stack.get("/cookies?name=fleetwire-session").await;
    assert_eq!(
        answer.headers("set-cookie"),
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
    let mut viewer = stack.session.viewer().await;
    let request = format!(
        "GET /echo HTTP/1.1\r\nHost: {}\r\nCookie: a=1; {}; b=2\r\n\r\n",
        stack.session.host, stack.session.cookie
    );
    viewer.write(request.as_bytes()).await;
    let arrived: Value = serde_json::from_slice(&viewer.answer().await.body).expect("JSON");
    assert_eq!(values(&arrived, "cookie"), ["a=1; b=2"]);
}

#[tokio::test]
async fn rule_7_the_devices_own_places_become_public_and_no_others() {
    let stack = Stack::start().await;
    let (origin, own) = (stack.origin(), &stack.own);
    let location = async |path: &str| {
        let answer = stack.get(path).await;
        answer.header("location").expect("a place").to_owned()
    };
    assert_eq!(
        location("/redirect/own").await,
        format!("{origin}/landing?x=%2F#part")
    );
    assert_eq!(
        location("/redirect/foreign").await,
        "http://other.example:8080/x"
    );
    assert_eq!(location("/redirect/relative").await, "../landing");

    let links = stack.get("/links").await;
    assert_eq!(
        links.header("content-location"),
        Some(format!("{origin}/where").as_str())
    );
    assert_eq!(
        links.header("refresh"),
        Some(format!("5; url={origin}/next").as_str())
    );
    assert_eq!(
        links.header("access-control-allow-origin"),
        Some(origin.as_str())
    );
    let socket = origin.replacen("http", "ws", 1);
    assert_eq!(
        links.header("content-security-policy").expect("a policy"),
        format!("default-src 'self' {origin}; connect-src {socket} wss://cdn.example")
    );
    assert_eq!(links.text(), format!("http://{own}/ stays in a body"));
    for (path, named) in [
        ("/links/alike", format!("{own}0")),
        ("/links/foreign", "other.example".into()),
    ] {
        let links = stack.get(path).await;
        let place = format!("http://{named}/where");
        assert_eq!(
            links.header("content-location"),
            Some(place.as_str()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn rule_8_what_binds_the_browser_is_stripped_and_what_isolates_the_page_passes() {
    let stack = Stack::start().await;
    let answer = stack.get("/stripped").await;
    for name in [
        "strict-transport-security",
        "alt-svc",
        "clear-site-data",
        "public-key-pins",
        "report-to",
        "nel",
        "service-worker-allowed",
    ] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!(answer.header("x-kept"), Some("yes"));
    let answer = stack.get("/passed").await;
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("content-security-policy", "default-src 'self'"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=()"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
}

#[tokio::test]
async fn rule_9_paths_and_codings_pass_as_they_are() {
    let stack = Stack::start().await;
    for target in [
        "/echo/a%2Fb//c/../d?e=+f&g=%20",
        "/echo/%0d%0a;x=y?",
        "/echo?a=`|'{}",
    ] {
        let fields = "Accept-Encoding: gzip, br;q=0.5\r\n";
        let arrived = stack.arrived(&format!("GET {target}"), fields).await;
        assert_eq!(arrived["line"], format!("GET {target} HTTP/1.1"));
        assert_eq!(values(&arrived, "accept-encoding"), ["gzip, br;q=0.5"]);
    }
    let zipped = stack.get("/gzip").await;
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert_eq!(&zipped.body[..2], [0x1f, 0x8b], "not unpacked on the way");
}

#[tokio::test]
async fn rule_10_hop_by_hop_fields_end_and_trailers_pass() {
    let stack = Stack::start().await;
    let arrived = stack
        .arrived(
            "GET /echo",
            "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n",
        )
        .await;
    assert!(values(&arrived, "x-hop").is_empty());
    assert!(values(&arrived, "keep-alive").is_empty());
    assert!(values(&arrived, "te").is_empty());
    let arrived = stack.arrived("GET /echo", "TE: trailers\r\n").await;
    assert_eq!(values(&arrived, "te"), ["trailers"]);
    assert_eq!(values(&arrived, "connection"), ["TE"]);
    let answer = stack.get("/hop").await;
    for name in [
        "keep-alive",
        "x-hop",
        "proxy-connection",
        "upgrade",
        "connection",
    ] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!(answer.header("x-kept"), Some("yes"));
    let answer = stack
        .session
        .send("GET /trailers", "TE: trailers\r\n")
        .await
        .answer()
        .await;
    assert_eq!(answer.text(), "hello world");
    let trailers = [("x-sum", "11"), ("x-last", "yes")];
    assert_eq!(
        answer.trailers,
        trailers.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

#[tokio::test]
async fn rule_17_nothing_is_added_and_the_order_is_kept() {
    let stack = Stack::start().await;
    let long = "l".repeat(30 << 10);
    let fields = format!("X-First: 1\r\nX-Long: {long}\r\nAccept: */*\r\nX-Last: 2\r\n");
    let arrived = stack.arrived("GET /echo", &fields).await;
    let names: Vec<_> = arrived["headers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|field| field[0].as_str().expect("text").to_ascii_lowercase())
        // The agent's own connection needs its Host and may say how it goes on.
        .filter(|name| name != "host" && name != "connection")
        .collect();
    assert_eq!(names, ["x-first", "x-long", "accept", "x-last"]);
}

#[tokio::test]
async fn rule_17_heads_pass_up_to_their_limits() {
    let stack = Stack::start().await;
    let large = stack.get("/header-64k").await;
    assert_eq!((large.status, large.text().as_str()), (200, "ok"));
    let many = stack.get("/fields-200").await;
    assert_eq!(
        (many.status, many.header("x-field-198")),
        (200, Some("198"))
    );
    for path in ["/header-over", "/fields-over"] {
        let over = stack.get(path).await;
        assert_eq!(
            (over.status, over.code()),
            (502, Some("target_malformed")),
            "{path}"
        );
    }
    let long = format!("X-Long: {}\r\n", "x".repeat(33 << 10));
    let over = stack.session.send("GET /echo", &long).await.answer().await;
    assert_eq!(
        (over.status, over.code()),
        (431, Some("request_head_too_large"))
    );
    let order = stack.get("/order").await;
    assert_eq!(order.headers("x-b"), ["2", "4"]);
}
