//! The generated commands: each group once against a real platform, their JSON beside REST's, lists of
//! several pages, and what is refused before and by the platform.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Output;

use hyper::Method;
use serde_json::{Value, json};

use crate::support::{Agent, Platform, command};

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn json_is_what_rest_answers() {
    let platform = Platform::start(&[]);
    // No agent is connected: what is known of one changes between two questions.
    for name in ["kvm-1", "kvm-2"] {
        platform.operate_json(&["host", "create", name]);
    }
    let client = platform.client();
    let get = |path: &'static str| client.call::<(), Value>(Method::GET, path, None);
    for (path, arguments) in [
        ("/api/hosts/kvm-2", &["host", "get", "kvm-2"][..]),
        (
            "/api/hosts?status=offline",
            &["host", "list", "--status", "offline"],
        ),
        ("/api/hosts?page_size=1", &["host", "list", "--page-size=1"]),
        ("/api/sessions", &["session", "list"]),
    ] {
        let rest = get(path).await.expect(path);
        assert_eq!(platform.operate_json(arguments), rest, "{path}");
    }
}

#[test]
fn each_group_does_what_it_says() {
    let platform = Platform::start(&[]);
    let run = |arguments: &[&str]| printed(&platform.operate(arguments));

    let credential = run(&["host", "create", "kvm-2"]);
    assert!(credential.starts_with("agt_") && credential.lines().count() == 1);
    let token = run(&["token", "create", "--name", "kvm-3", "--ttl", "5m"]);
    assert!(token.starts_with("fwe_") && token.lines().count() == 1);

    let _agent = Agent::start(&platform, "kvm-1");
    let table = run(&["host", "list"]);
    assert!(
        table.contains("ROUND TRIP") && table.contains("online"),
        "{table}"
    );
    let host = run(&["host", "get", "kvm-1"]);
    for part in ["name", "kvm-1", "software", "fleetwire-agent", "health."] {
        assert!(host.contains(part), "{part}: {host}");
    }

    let address = run(&["session", "open", "kvm-1"]);
    assert!(
        address.starts_with("http://") && address.lines().count() == 1,
        "{address}"
    );
    let sessions = platform.sessions();
    let id = sessions[0]["session_id"].as_str().expect("one is open");
    assert!(run(&["session", "list"]).contains("waiting"));
    assert_eq!(run(&["session", "close", id]), "");
    assert_eq!(platform.sessions(), json!([]));

    let log = run(&["audit", "export", "--after", "1"]);
    assert!(log.lines().count() > 3, "{log}");
}

#[test]
fn users_groups_and_keys_are_made_changed_and_removed() {
    let platform = Platform::start(&[]);
    let run = |arguments: &[&str]| printed(&platform.operate(arguments));
    let id = |made: Value| made["id"].as_str().expect("an id").to_owned();

    let group = id(platform.operate_json(&["group", "create", "lab"]));
    run(&[
        "group",
        "update",
        &group,
        "--description",
        "the rack by the door",
    ]);
    assert!(run(&["groups", "list"]).contains("by the door"));

    platform.operate_json(&["host", "create", "kvm"]);
    let change = [
        "host",
        "update",
        "kvm",
        "--label=site=lab",
        "--label=rack=7",
        "--add-group",
        &group,
    ];
    let host = platform.operate_json(&change);
    assert_eq!(
        (&host["labels"], &host["group_ids"]),
        (&json!({"site": "lab", "rack": "7"}), &json!([group]))
    );
    let change = [
        "host",
        "update",
        "kvm",
        "--remove-label=rack",
        "--name=kvm-2",
    ];
    let host = platform.operate_json(&change);
    assert_eq!(
        (&host["labels"], &host["group_ids"], &host["name"]),
        (&json!({"site": "lab"}), &json!([group]), &json!("kvm-2"))
    );
    let change = ["host", "update", "kvm-2", "--remove-group", &group];
    assert_eq!(platform.operate_json(&change)["group_ids"], json!([]));

    let user = [
        "user",
        "create",
        "ada",
        "--role=operator",
        "--grants-group",
        &group,
    ];
    let user = id(platform.operate_json(&user));
    assert!(run(&["user", "list"]).contains("1 group"));
    let changed = platform.operate_json(&["user", "update", &user, "--disabled"]);
    assert_eq!(
        (&changed["disabled"], &changed["role"]),
        (&json!(true), &json!("operator"))
    );
    let changed = platform.operate_json(&["user", "update", "ada", "--disabled=false"]);
    assert_eq!(changed["disabled"], false);

    let key = run(&["api-key", "create", "ci", "--role", "viewer"]);
    let listed = command("fleetwire")
        .env("FLEETWIRE_CA", platform.ca_file())
        .env("FLEETWIRE_TOKEN", key)
        .args(["--server", &platform.url().to_string(), "host", "list"])
        .output()
        .expect("ran");
    assert!(printed(&listed).contains("NAME"));
    assert!(run(&["audit", "list", "--action", "user."]).contains("user.create"));

    // Nobody is there to be asked: it is done.
    assert_eq!(run(&["user", "delete", "ada"]), "");
    assert_eq!(run(&["group", "delete", "lab", "--yes"]), "");
    assert!(!run(&["user", "list"]).contains("ada"));
}

#[test]
fn a_list_of_several_pages() {
    let platform = Platform::start(&[]);
    for index in 0..5 {
        platform.operate_json(&["host", "create", &format!("kvm-{index}")]);
    }
    let names = |answer: &Value| {
        let hosts = answer["hosts"].as_array().expect("a list").iter();
        hosts
            .map(|host| host["name"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    let page = platform.operate_json(&["host", "list", "--page-size", "2"]);
    assert_eq!(names(&page), ["kvm-0", "kvm-1"]);
    let token = page["next_page_token"].as_str().expect("there are more");
    let next = platform.operate_json(&["host", "list", "--page-size=2", "--page-token", token]);
    assert_eq!(names(&next), ["kvm-2", "kvm-3"]);
    let all = platform.operate_json(&["host", "list", "--page-size", "2", "--all"]);
    assert_eq!(names(&all).len(), 5);
    assert_eq!(all["next_page_token"], "");

    let table = platform.operate(&["host", "list", "--page-size", "2"]);
    assert_eq!(printed(&table).lines().count(), 3);
    assert!(said(&table).contains("--all"), "{}", said(&table));
}

#[test]
fn a_dry_run_asks_nobody() {
    let shown = command("fleetwire")
        .env("FLEETWIRE_SERVER", "http://127.0.0.1:1")
        .args([
            "token",
            "create",
            "--name",
            "kvm",
            "--ttl",
            "1h",
            "--dry-run",
        ])
        .output()
        .expect("ran");
    assert_eq!(
        printed(&shown),
        "fleetwire.api.v1.EnrolmentTokenService/CreateEnrolmentToken \
         {\"name\":\"kvm\",\"ttl_seconds\":3600}\n"
    );
}

#[test]
fn what_cannot_be_asked_is_wrong_usage() {
    for arguments in [
        &["host", "list", "--page-size", "1001"][..],
        &["host", "list", "--status", "unspecified"],
        &["host", "create"],
        &["token", "create", "--ttl", "0s"],
        &["token", "create", "--ttl", "31d"],
        &["host", "frobnicate"],
        &["host"],
    ] {
        let refused = command("fleetwire").args(arguments).output().expect("ran");
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn whoever_speaks_no_grpc_is_no_platform() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the command comes");
        let mut request = [0; 24];
        stream.read_exact(&mut request).expect("it speaks first");
        let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).expect("written");
    });
    let refused = command("fleetwire")
        .args(["--server", &format!("http://{address}")])
        .env("FLEETWIRE_TOKEN", "fwa_x")
        .args(["host", "list"])
        .output()
        .expect("ran");
    server.join().expect("it answered");
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    assert!(said(&refused).contains("talking to"), "{}", said(&refused));
}
