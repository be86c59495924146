//! The platform as a process, its HTTP API, and the operator's command.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use fleetwire::net::http_client::HttpError;
use fleetwire::secret::Secret;
use hyper::Method;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Platform, Process, command, mode};

/// What a raw request to the plain listener is answered: status and the rest.
fn raw(platform: &Platform, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(platform.http).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.write_all(request).expect("written");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("an answer, then the end");
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    (
        status.unwrap_or_else(|| panic!("no status: {answer:?}")),
        answer,
    )
}

fn code(result: Result<Value, HttpError>) -> String {
    match result {
        Err(error) => error
            .code()
            .map_or_else(|| error.to_string(), str::to_owned),
        Ok(value) => panic!("not refused: {value}"),
    }
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_first_start_makes_what_it_needs() {
    let platform = Platform::start(&[]);
    let dir = platform.data_dir();
    assert_eq!(mode(&dir), 0o700);
    for file in ["admin-token", "audit.key", "ca.key", "server.key"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
    for path in ["/healthz", "/readyz"] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_eq!(raw(&platform, request.as_bytes()).0, 200, "{path}");
    }
}

#[tokio::test]
async fn only_an_api_token_opens_the_api() {
    let platform = Platform::start(&[]);
    let list = |client: crate::support::Client| async move {
        client
            .call::<(), Value>(Method::GET, "/api/hosts", None)
            .await
    };
    assert_eq!(code(list(platform.anonymous()).await), "token_invalid");
    let host: Value = platform
        .client()
        .call(Method::POST, "/api/hosts", Some(&json!({"name": "kvm"})))
        .await
        .expect("made");
    let agents = Secret::new(
        host["auth_token"]
            .as_str()
            .expect("a credential")
            .to_owned(),
    );
    assert_eq!(
        code(list(platform.anonymous().with_bearer(agents)).await),
        "token_invalid"
    );
    let hosts = list(platform.client()).await.expect("listed");
    assert_eq!(hosts["hosts"][0]["name"], "kvm");
    assert_eq!(hosts["hosts"][0]["status"], "offline");
}

#[tokio::test]
async fn a_revoked_host_is_not_one_that_is_offline() {
    let platform = Platform::start(&[]);
    let client = platform.client();
    let post = async |path: &str, body: Value| -> Value {
        let answer = client.call(Method::POST, path, Some(&body)).await;
        answer.expect("done")
    };
    post("/api/hosts", json!({"name": "away"})).await;
    post("/api/hosts", json!({"name": "gone"})).await;
    let read = async |path: &str| -> Value {
        let answer = client.call::<(), _>(Method::GET, path, None).await;
        answer.expect("read")
    };
    let gone = read("/api/hosts/gone").await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    post(&format!("/api/hosts/{gone}/revoke"), json!({})).await;
    let listed = read("/api/hosts?status=offline").await;
    let names = listed["hosts"].as_array().expect("a list").iter();
    let names: Vec<_> = names.map(|host| host["name"].as_str()).collect();
    assert_eq!(names, [Some("away")]);
    let counted = read("/api/fleet").await;
    let expected = json!({"total": 2, "offline": 1, "revoked": 1});
    for (name, count) in expected.as_object().expect("an object") {
        // 64-bit numbers are text in JSON, or numbers.
        let shown = &counted["hosts"][name];
        assert_eq!(
            shown.to_string().trim_matches('"'),
            count.to_string(),
            "{counted}"
        );
    }
}

#[tokio::test]
async fn a_bad_request_is_refused_with_a_stable_code() {
    let platform = Platform::start(&[]);
    let client = platform.client();
    let post = |path: &'static str, body: Value| {
        let client = client.clone();
        async move {
            client
                .call::<_, Value>(Method::POST, path, Some(&body))
                .await
        }
    };
    post("/api/hosts", json!({"name": "kvm"}))
        .await
        .expect("made");
    let long = "x".repeat(64);
    for (path, body, expected) in [
        ("/api/hosts", json!({"name": "kvm"}), "name_taken"),
        ("/api/hosts", json!({"name": ""}), "field_invalid"),
        ("/api/hosts", json!({"name": "-kvm"}), "name_invalid"),
        ("/api/hosts", json!({"name": "a/b"}), "name_invalid"),
        ("/api/hosts", json!({"name": long}), "name_invalid"),
        ("/api/hosts", json!({}), "field_invalid"),
        ("/api/hosts", json!({"name": 1}), "request_invalid"),
        (
            "/api/hosts",
            json!({"name": "b", "more": 1}),
            "request_invalid",
        ),
        (
            "/api/hosts",
            json!({"name": "x".repeat(70_000)}),
            "request_too_large",
        ),
        (
            "/api/enrolment-tokens",
            json!({"ttl_seconds": 0}),
            "field_invalid",
        ),
        (
            "/api/enrolment-tokens",
            json!({"ttl_seconds": u64::MAX}),
            "field_invalid",
        ),
        (
            "/api/enrolment-tokens",
            json!({"ttl_seconds": -1}),
            "request_invalid",
        ),
        (
            "/api/enrolment-tokens",
            json!({"name": "a b"}),
            "name_invalid",
        ),
        ("/api/sessions", json!({"host": "none"}), "host_unknown"),
        ("/api/sessions", json!({"host": "kvm"}), "host_offline"),
        ("/api/nothing", json!({}), "route_unknown"),
    ] {
        assert_eq!(
            code(post(path, body.clone()).await),
            expected,
            "{path} {body}"
        );
    }
    let delete = |path: &'static str| client.call::<(), Value>(Method::DELETE, path, None);
    let unknown = "/api/sessions/5b1f6a52-6d0e-4a6e-9d58-0f4f6f1f7c11";
    assert_eq!(code(delete(unknown).await), "session_unknown");
    assert_eq!(code(delete("/api/sessions/x").await), "field_invalid");
    assert_eq!(code(delete("/api/hosts").await), "method_not_allowed");
}

#[test]
fn a_malformed_request_costs_only_itself() {
    let platform = Platform::start(&[]);
    let request =
        |fields: &str| format!("GET /healthz HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
    let status = |fields: &str| raw(&platform, request(fields).as_bytes()).0;
    assert_eq!(status(""), 400, "no host");
    assert_eq!(status("Host: a\r\nHost: b\r\n"), 400, "two hosts");
    assert_eq!(
        status(&format!("Host: a\r\nX: {}\r\n", "x".repeat(40_000))),
        431
    );
    assert_eq!(
        status(&format!("Host: a\r\n{}", "X: y\r\n".repeat(201))),
        431
    );
    assert_eq!(
        raw(&platform, b"\x16\x03\x01\x02\r\n\r\n").0,
        400,
        "TLS on the plain listener"
    );
    let (status_of_none, answer) = raw(&platform, request("Host: snone.localhost\r\n").as_bytes());
    assert_eq!(status_of_none, 410, "{answer}");
    assert_eq!(status("Host: localhost\r\n"), 200);
}

#[test]
fn the_command_prints_json_or_text() {
    let platform = Platform::start(&[]);
    let created = platform.operate_json(&["host", "create", "kvm-1"]);
    assert!(
        created["auth_token"]
            .as_str()
            .is_some_and(|token| token.starts_with("agt_"))
    );
    let token = platform.operate_json(&["token", "create", "--name", "kvm-2", "--ttl", "5m"]);
    assert!(
        token["token"]
            .as_str()
            .is_some_and(|token| token.starts_with("fwe_"))
    );
    let hosts = platform.hosts();
    assert_eq!(hosts[0]["id"], created["id"]);
    assert_eq!(hosts.as_array().map(Vec::len), Some(1));
    assert_eq!(platform.sessions(), json!([]));
    let text = platform.operate(&["hosts", "list"]);
    let text = String::from_utf8(text.stdout).expect("text");
    assert!(
        text.contains("NAME") && text.contains("kvm-1") && text.contains("offline"),
        "{text}"
    );
    let plain = command("fleetwire")
        .args(["--server", &format!("http://{}", platform.http)])
        .env("FLEETWIRE_TOKEN", platform.admin_token())
        .args(["hosts", "list", "--json"])
        .output()
        .expect("ran");
    assert!(plain.status.success(), "{}", said(&plain));
}

#[test]
fn a_failed_command_says_what_to_do() {
    let platform = Platform::start(&[]);
    let refused = platform.operate(&["session", "open", "none"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("host list"), "{}", said(&refused));

    let run = |set: &[(&str, &str)], arguments: &[&str]| {
        let mut command = command("fleetwire");
        command.env("FLEETWIRE_SERVER", platform.url().to_string());
        command
            .envs(set.iter().copied())
            .args(arguments)
            .output()
            .expect("ran")
    };
    let token = platform.admin_token();
    let no_token = run(&[], &["hosts", "list"]);
    assert_eq!(no_token.status.code(), Some(2));
    assert!(
        said(&no_token).contains("FLEETWIRE_TOKEN"),
        "{}",
        said(&no_token)
    );

    let missing = [
        ("FLEETWIRE_TOKEN", &*token),
        ("FLEETWIRE_CA", "/nowhere/ca.pem"),
    ];
    let no_ca = run(&missing, &["hosts", "list"]);
    assert_eq!(no_ca.status.code(), Some(2));
    assert!(said(&no_ca).contains("/nowhere/ca.pem"), "{}", said(&no_ca));

    let other = Platform::start(&[]);
    let other_ca = other.ca_file();
    let wrong = [
        ("FLEETWIRE_TOKEN", &*token),
        ("FLEETWIRE_CA", other_ca.to_str().expect("text")),
    ];
    let wrong_ca = run(&wrong, &["hosts", "list"]);
    assert_eq!(wrong_ca.status.code(), Some(3));
    assert!(
        said(&wrong_ca).contains("cannot be trusted"),
        "{}",
        said(&wrong_ca)
    );

    let away = [
        ("FLEETWIRE_TOKEN", &*token),
        ("FLEETWIRE_SERVER", "http://127.0.0.1:1"),
    ];
    let away = run(&away, &["hosts", "list"]);
    assert_eq!(away.status.code(), Some(3));
    assert!(
        said(&away).contains("is the platform running"),
        "{}",
        said(&away)
    );
    assert!(!said(&away).contains(&token));
}

#[test]
fn a_platform_stops_in_order_and_keeps_what_it_had() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut platform = Platform::start_on(dir.path(), &[]);
    platform.operate_json(&["host", "create", "kvm"]);
    let (token, ca) = (
        platform.admin_token(),
        fs::read(platform.ca_file()).expect("there"),
    );

    let second = command("fleetwire-platform")
        .arg("--data-dir")
        .arg(dir.path())
        .args(["--listen", "127.0.0.1:0", "--http", "off"])
        .output()
        .expect("ran");
    assert!(!second.status.success());
    assert!(
        said(&second).contains("is in use by another"),
        "{}",
        said(&second)
    );

    platform.process.signal("HUP");
    platform.process.line("certificates read anew");
    platform.process.signal("TERM");
    assert!(platform.process.ended().success());

    let platform = Platform::start_on(dir.path(), &[]);
    assert_eq!(platform.admin_token(), token);
    assert_eq!(fs::read(platform.ca_file()).expect("there"), ca);
    assert_eq!(platform.hosts()[0]["name"], "kvm");
    drop(platform);

    // The token is changed by removing its file.
    fs::remove_file(dir.path().join("admin-token")).expect("removed");
    let platform = Platform::start_on(dir.path(), &[]);
    assert_ne!(platform.admin_token(), token);
    let old = command("fleetwire")
        .env("FLEETWIRE_CA", platform.ca_file())
        .env("FLEETWIRE_TOKEN", &token)
        .args(["--server", &platform.url().to_string(), "hosts", "list"])
        .output()
        .expect("ran");
    assert_eq!(old.status.code(), Some(1));
}

#[test]
fn settings_are_checked_before_anything_is_made() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let file = dir.path().join("platform.toml");
    let check = |content: &str, flags: &[&str]| {
        fs::write(&file, content).expect("written");
        let mut command = command("fleetwire-platform");
        command
            .arg("--data-dir")
            .arg(&data)
            .arg("--config")
            .arg(&file);
        command
            .arg("--check-config")
            .args(flags)
            .output()
            .expect("ran")
    };
    assert!(check("heartbeat = '20s'", &[]).status.success());
    let doubtful = check("server_name = 'fleet.localhost'", &[]);
    assert!(doubtful.status.success());
    let warning = said(&doubtful);
    assert!(
        warning.contains("server_name is under console_domain"),
        "{warning}"
    );
    for (content, flags, word) in [
        ("heart_beat = '20s'", &[][..], "heart_beat"),
        ("heartbeat = 20", &[], "heartbeat"),
        ("heartbeat = ", &[], "platform.toml"),
        ("log = 'x=y=z'", &[], "log"),
        (
            "certificate = '/nowhere/c.pem'\ncertificate_key = '/nowhere/k.pem'",
            &[],
            "/nowhere/c.pem",
        ),
        ("", &["--http", "0.0.0.0:8080"], "http_behind_proxy"),
    ] {
        let output = check(content, flags);
        assert_eq!(output.status.code(), Some(1), "{content:?}");
        assert!(
            said(&output).contains(word),
            "{content:?}: {}",
            said(&output)
        );
        assert_eq!(said(&output).trim().lines().count(), 1, "{}", said(&output));
    }
    assert!(!data.exists());
}

#[test]
fn a_taken_port_is_said() {
    let platform = Platform::start(&[]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut command = command("fleetwire-platform");
    command.arg("--data-dir").arg(dir.path());
    command.args(["--listen", &platform.tls.to_string(), "--http", "off"]);
    let mut second = Process::start("second", &mut command);
    assert!(!second.ended().success());
    second.line("cannot listen on");
}

/// Posts JSON with an idempotency key; the status, and the body.
fn post_once(platform: &Platform, path: &str, key: &str, body: &Value) -> (u16, Value) {
    let (body, token) = (body.to_string(), platform.admin_token());
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nIdempotency-Key: {key}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let (status, answer) = raw(platform, request.as_bytes());
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    (status, serde_json::from_str(body).expect("JSON"))
}

#[test]
fn a_request_with_an_idempotency_key_is_done_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let platform = Platform::start_on(dir.path(), &[]);
    let key = "6a0c1f7e-7d0c-4f4e-9f7c-2f1f5a3b9d11";
    let body = json!({"name": "kvm"});
    let first = post_once(&platform, "/api/hosts", key, &body);
    assert_eq!(first.0, 201, "{}", first.1);
    // The same answer, with the secret that is shown once, over a restart too.
    assert_eq!(post_once(&platform, "/api/hosts", key, &body), first);
    drop(platform);
    let platform = Platform::start_on(dir.path(), &[]);
    assert_eq!(post_once(&platform, "/api/hosts", key, &body), first);
    let file = |name: &str| std::fs::read(platform.data_dir().join(name)).unwrap_or_default();
    let database = [file("platform.db"), file("platform.db-wal")].concat();
    let secret = first.1["auth_token"].as_str().expect("a token");
    let found = |text: &str| database.windows(text.len()).any(|at| at == text.as_bytes());
    assert!(found("kvm") && !found(secret), "kept as it was given out");

    let code = |(status, problem): (u16, Value)| (status, problem["code"].clone());
    let other = json!({"name": "other"});
    let refused = post_once(&platform, "/api/hosts", key, &other);
    assert_eq!(code(refused), (409, json!("idempotency_key_reused")));
    let refused = post_once(&platform, "/api/hosts", "1", &body);
    assert_eq!(code(refused), (400, json!("idempotency_key_invalid")));
    // The key is that of one method.
    let (status, token) = post_once(&platform, "/api/enrolment-tokens", key, &json!({}));
    assert_eq!(status, 201, "{token}");
}

#[test]
fn requests_at_once_with_one_idempotency_key_get_one_answer() {
    let platform = Platform::start(&[]);
    let key = "1f1cf3a0-8f3c-4a52-8f0f-f3c7f0b1a2d4";
    let answers: Vec<_> = std::thread::scope(|scope| {
        let post = || post_once(&platform, "/api/hosts", key, &json!({"name": "kvm"}));
        let posts: Vec<_> = (0..8).map(|_| scope.spawn(post)).collect();
        posts
            .into_iter()
            .map(|post| post.join().expect("answered"))
            .collect()
    });
    for answer in &answers {
        assert_eq!((answer.0, &answer.1), (201, &answers[0].1));
    }
}

#[test]
fn a_body_past_all_bounds_costs_no_memory() {
    let platform = Platform::start(&[]);
    let token = platform.admin_token();
    let head = |length: usize| {
        format!(
            "POST /api/hosts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )
    };
    let before = platform.process.peak_memory_kib();
    // 100 MB, of which the platform reads no more than it takes.
    let mut stream = TcpStream::connect(platform.http).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
        .write_all(head(100_000_000).as_bytes())
        .expect("written");
    let piece = vec![b' '; 64 * 1024];
    // It may have answered and gone by now.
    while stream.write_all(&piece).is_ok() {}
    let grown = platform.process.peak_memory_kib() - before;
    assert!(grown < 16 * 1024, "{grown} KiB");
    // One that is written whole before the answer is read has its answer.
    let whole = piece.repeat(15);
    let request = [head(whole.len()).as_bytes(), &whole].concat();
    let answer = raw(&platform, &request);
    assert_eq!(answer.0, 413, "{}", answer.1);

    // Nested as deep as it fits.
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 32_000 / open.len();
        let body = format!("{{\"name\":{}{}}}", open.repeat(depth), close.repeat(depth));
        let request = format!("{}{body}", head(body.len()));
        let (status, answer) = raw(&platform, request.as_bytes());
        assert!((400..500).contains(&status), "{answer}");
    }
    let (status, _) = raw(
        &platform,
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(status, 200);
}
