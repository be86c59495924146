//! What a platform says of itself to whoever asks: the documents and the page of its API, gRPC's health
//! and reflection.

use std::path::Path;
use std::process::Command;

use fleetwire::platform::api::METHODS;
use serde_json::Value;

use crate::support::Platform;

/// What curl is answered: the head, and the body.
fn curl(arguments: &[&str]) -> (String, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--max-time", "30"])
        .args(arguments)
        .output()
        .expect("make setup has installed it");
    let answer = String::from_utf8(output.stdout).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

#[test]
fn the_documents_of_the_api_are_for_everyone() {
    let platform = Platform::start(&[]);
    for (path, media_type) in [
        ("/api/openapi.json", "application/json"),
        ("/api/asyncapi.json", "application/json"),
        ("/api/docs", "text/html; charset=utf-8"),
        ("/api/docs.css", "text/css; charset=utf-8"),
    ] {
        let url = format!("http://{}{path}", platform.http);
        let (head, body) = curl(&[&url]);
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        assert_eq!(field(&head, "content-type"), Some(media_type));
        assert_eq!(field(&head, "x-content-type-options"), Some("nosniff"));
        let policy = field(&head, "content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self';"));
        assert!(body.len() > 1000, "{path}");

        let etag = field(&head, "etag").expect("a state");
        let condition = format!("if-none-match: {etag}");
        let (head, body) = curl(&["--header", &condition, &url]);
        assert!(head.starts_with("HTTP/1.1 304"), "{path}: {head}");
        assert_eq!(body, "");
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (other, value) = line.split_once(':')?;
        other.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The page has every method, nothing of it is loaded from elsewhere or run, and no link in it leads
/// nowhere.
#[test]
fn the_page_is_whole() {
    let platform = Platform::start(&[]);
    let (_, page) = curl(&[&format!("http://{}/api/docs", platform.http)]);
    for method in METHODS {
        let id = format!("id=\"{}\"", method.name);
        assert!(page.contains(&id), "{} is not there", method.name);
    }
    for part in page.split("href=\"").skip(1) {
        let target = part.split('"').next().unwrap_or_default();
        match target.strip_prefix('#') {
            Some(id) => assert!(page.contains(&format!("id=\"{id}\"")), "{target}"),
            None => assert!(target.starts_with("/api/"), "{target}"),
        }
    }
    for running in ["<script", " src=", " style=", " onclick", "<form"] {
        assert!(!page.contains(running), "{running}");
    }
}

#[tokio::test]
async fn grpcs_own_services_answer_grpcs_own_client() {
    let platform = Platform::start(&[]);
    let _: Value = platform
        .client()
        .call(
            hyper::Method::POST,
            "/api/hosts",
            Some(&serde_json::json!({"name": "kvm"})),
        )
        .await
        .expect("made");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join(".tools/python/bin/python"))
        .arg(root.join("tests/api/standard.py"))
        .arg(platform.http.to_string())
        .env("FLEETWIRE_TOKEN", platform.admin_token())
        .output()
        .expect("make setup has made it");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["health"][""], "SERVING");
    assert_eq!(found["health"]["fleetwire.api.v1.HostService"], "SERVING");
    assert_eq!(found["health"]["none"], "NOT_FOUND");
    assert_eq!(found["hosts"]["hosts"][0]["name"], "kvm");
    for version in ["v1", "v1alpha"] {
        let listed: Vec<_> = found[version].as_array().expect("a list").clone();
        for method in METHODS {
            let service = format!("fleetwire.api.v1.{}", method.service);
            assert!(listed.contains(&service.as_str().into()), "{service}");
        }
        assert!(listed.contains(&"grpc.health.v1.Health".into()));
        let itself = format!("grpc.reflection.{version}.ServerReflection");
        assert!(listed.contains(&itself.as_str().into()));
    }
}
