//! Commands as operators ask for them, and the audit log as they look through it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{PATIENCE, Platform};
use fleetwire::net::http_client::HttpError;
use hyper::Method;

const INSTALL: &str = include_str!("../vectors/json/rest_packages_install.json");

async fn post(platform: &Platform, path: &str, body: &Value) -> Result<Value, HttpError> {
    let client = platform.client();
    client.call(Method::POST, path, Some(body)).await
}

async fn get(platform: &Platform, path: &str) -> Value {
    let client = platform.client();
    let answer = client.call::<(), Value>(Method::GET, path, None).await;
    answer.expect(path)
}

fn code(result: Result<Value, HttpError>) -> (String, String) {
    let error = result.expect_err("refused");
    (
        error.code().unwrap_or_default().to_owned(),
        error.to_string(),
    )
}

#[tokio::test]
async fn a_command_waits_for_its_host_over_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let platform = Platform::start_on(dir.path(), &[]);
    let host = post(&platform, "/api/hosts", &json!({"name": "kvm"})).await;
    let host = host.expect("made")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let seed: Value = serde_json::from_str(INSTALL).expect("JSON");
    let path = format!("/api/hosts/{host}/packages/install");
    let accepted = post(&platform, &path, &seed).await.expect("accepted");
    assert_eq!(accepted["state"], "queued");
    let id = accepted["command_id"].as_str().expect("an id").to_owned();
    // By the host's name as well; it is the second.
    let by_name = post(&platform, "/api/hosts/kvm/packages/install", &seed).await;
    let second = by_name.expect("accepted")["command_id"].clone();

    drop(platform);
    let platform = Platform::start_on(dir.path(), &[]);
    let command = get(&platform, &format!("/api/commands/{id}")).await;
    assert_eq!(command["host_id"], *host);
    assert_eq!(command["command_type"], "package_operation");
    assert_eq!(command["timeout"], seed["timeout"]);
    assert_eq!(
        command["package_operation"],
        json!({"operation": "install", "packages": seed["packages"], "options": seed["options"]})
    );
    let first = get(&platform, "/api/commands?page_size=1").await;
    assert_eq!(first["commands"][0]["id"], second);
    let next = first["next_page_token"].as_str().expect("a token");
    let path = format!("/api/commands?host=kvm&page_size=1&page_token={next}");
    let last = get(&platform, &path).await;
    assert_eq!(
        (&last["commands"][0]["id"], &last["next_page_token"]),
        (&json!(id), &json!(""))
    );
}

#[tokio::test]
async fn a_command_that_nobody_should_run_is_refused() {
    let platform = Platform::start(&[]);
    post(&platform, "/api/hosts", &json!({"name": "kvm"}))
        .await
        .expect("made");
    let path = "/api/hosts/kvm/packages/install";
    for (body, expected, field) in [
        (json!({"packages": []}), "field_invalid", "package"),
        (json!({}), "field_invalid", "package"),
        (
            json!({"packages": ["nginx", "--option"]}),
            "package_invalid",
            "name",
        ),
        (
            json!({"packages": ["a; reboot"]}),
            "package_invalid",
            "name",
        ),
        (json!({"packages": [""]}), "package_invalid", "name"),
        (
            json!({"packages": ["a"], "timeout": 0}),
            "field_invalid",
            "timeout",
        ),
        (
            json!({"packages": ["a"], "timeout": 86401}),
            "field_invalid",
            "timeout",
        ),
        (
            json!({"packages": ["a"], "expires_at": "2020-01-01T00:00:00Z"}),
            "expiry_past",
            "expires_at",
        ),
        (
            json!({"packages": ["a"], "host_id": "x"}),
            "request_invalid",
            "host_id",
        ),
        (json!({"packages": "a"}), "request_invalid", "packages"),
    ] {
        let (code, text) = code(post(&platform, path, &body).await);
        assert_eq!(code, expected, "{body}");
        assert!(text.contains(field), "{body}: {text}");
    }
    let unknown = "/api/hosts/none/packages/install";
    let refused = post(&platform, unknown, &json!({"packages": ["a"]})).await;
    assert_eq!(code(refused).0, "host_unknown");
    let unknown = json!({"targets": {"hosts": ["kvm"]}, "make_coffee": {}});
    let (code, text) = code(post(&platform, "/api/commands", &unknown).await);
    assert_eq!(code, "request_invalid", "{text}");
    assert!(text.contains("make_coffee"), "{text}");
    assert_eq!(get(&platform, "/api/commands").await["commands"], json!([]));
}

#[tokio::test]
async fn the_audit_log_is_looked_through() {
    let platform = Platform::start(&[]);
    for name in ["one", "two"] {
        post(&platform, "/api/hosts", &json!({"name": name}))
            .await
            .expect("made");
        let path = format!("/api/hosts/{name}/packages/install");
        post(&platform, &path, &json!({"packages": ["nginx"]}))
            .await
            .expect("accepted");
    }
    let actions = |list: &Value| -> Vec<String> {
        let entries = list["entries"].as_array().expect("entries").iter();
        let action = |entry: &Value| entry["action"].as_str().expect("text").to_owned();
        entries.map(action).collect()
    };
    let list = get(&platform, "/api/audit?action=host.").await;
    assert_eq!(actions(&list), ["host.create", "host.create"]);
    let list = get(&platform, "/api/audit?host=one").await;
    assert_eq!(actions(&list), ["command.create", "host.create"]);
    assert_eq!(list["entries"][0]["details"]["packages"], "nginx");
    let entry = &list["entries"][0];
    let at = entry["at"].as_str().expect("a time");
    let list = get(&platform, &format!("/api/audit?host=one&until={at}")).await;
    assert_eq!(
        actions(&list).first().map(String::as_str),
        Some("host.create")
    );
    let list = get(&platform, "/api/audit?actor=nobody").await;
    assert_eq!(actions(&list), [] as [&str; 0]);

    // Page by page it is the whole log, newest first.
    let mut path = "/api/audit?page_size=2".to_owned();
    let mut sequences = Vec::new();
    loop {
        let list = get(&platform, &path).await;
        let entries = list["entries"].as_array().expect("entries").iter();
        sequences.extend(entries.map(|entry| entry["sequence"].as_u64().expect("a number")));
        let next = list["next_page_token"].as_str().expect("a token");
        if next.is_empty() {
            break;
        }
        path = format!("/api/audit?page_size=2&page_token={next}");
    }
    let last = sequences[0];
    assert_eq!(sequences, (1..=last).rev().collect::<Vec<_>>());
}

#[test]
fn events_are_followed_as_server_sent_events() {
    let platform = Platform::start(&[]);
    let mut stream = TcpStream::connect(platform.http).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let token = platform.admin_token();
    let request = format!(
        "GET /api/events?kinds=host_created&kinds=host_online HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("written");
    let mut seen = String::new();
    let mut until = |what: &str| {
        let mut piece = [0; 4096];
        while !seen.contains(what) {
            let length = stream.read(&mut piece).expect("more comes");
            assert_ne!(length, 0, "it ended: {seen}");
            seen.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        seen.clone()
    };
    let head = until("\"mark\"").to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    platform.operate_json(&["host", "create", "kvm"]);
    let told = until("host_created");
    assert!(told.contains("data: {\"event\":{"), "{told}");
}

#[test]
fn a_query_has_as_many_parameters_as_the_schema_gives_its_lists() {
    let platform = Platform::start(&[]);
    let token = platform.admin_token();
    let host = "host_ids=5b1f6a52-6d0e-4a6e-9d58-0f4f6f1f7c11&";
    let group = "group_ids=5b1f6a52-6d0e-4a6e-9d58-0f4f6f1f7c11&";
    let ask = |hosts: usize, groups: usize| {
        let query = host.repeat(hosts) + &group.repeat(groups);
        let mut stream = TcpStream::connect(platform.http).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        let request = format!(
            "GET /api/events?{query}kinds=host_created HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("written");
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("an answer");
        String::from_utf8_lossy(&status).into_owned()
    };
    assert_eq!(ask(256, 64), "HTTP/1.1 200");
    assert_eq!(ask(257, 64), "HTTP/1.1 400");
    assert_eq!(ask(400, 0), "HTTP/1.1 400");
}
