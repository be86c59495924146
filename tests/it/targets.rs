//! Commands for many hosts at once, over REST: whom they are for, what is refused, how they are listed, followed
//! and cancelled, and what somebody sees of them who is granted some of their hosts. No agent is there: what
//! is asked waits.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use fleetwire::net::http_client::HttpError;
use fleetwire::secret::Secret;
use hyper::Method;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Platform};

async fn send(
    platform: &Platform,
    token: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, HttpError> {
    let client = platform.anonymous();
    let client = client.with_bearer(Secret::new(token.to_owned()));
    client.call(method, path, body).await
}

async fn post(platform: &Platform, path: &str, body: Value) -> Result<Value, HttpError> {
    let token = platform.admin_token();
    send(platform, &token, Method::POST, path, Some(&body)).await
}

async fn get(platform: &Platform, path: &str) -> Value {
    let token = platform.admin_token();
    let answer = send(platform, &token, Method::GET, path, None).await;
    answer.expect(path)
}

fn refusal(answer: Result<Value, HttpError>) -> String {
    let error = answer.expect_err("refused");
    error.code().unwrap_or_default().to_owned()
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// Hosts `a` and `b` in the group `lab`, `b` and `c` with the label `site=x`, `b` with `rack`. Their ids, then
/// the group's.
async fn fleet(platform: &Platform) -> [String; 4] {
    let group = post(platform, "/api/groups", json!({"name": "lab"})).await;
    let group = text(&group.expect("made")["id"]);
    let mut ids = Vec::new();
    for (name, groups, labels) in [
        ("a", json!([group]), json!({})),
        ("b", json!([group]), json!({"site": "x", "rack": "7"})),
        ("c", json!([]), json!({"site": "x"})),
    ] {
        let host = post(platform, "/api/hosts", json!({"name": name})).await;
        let id = text(&host.expect("made")["id"]);
        let mut arguments = vec!["host".to_owned(), "update".to_owned(), id.clone()];
        for group in groups.as_array().expect("a list") {
            arguments.extend(["--add-group".to_owned(), text(group)]);
        }
        for (key, value) in labels.as_object().expect("an object") {
            arguments.extend(["--label".to_owned(), format!("{key}={}", text(value))]);
        }
        if arguments.len() > 3 {
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            platform.operate_json(&arguments);
        }
        ids.push(id);
    }
    let [a, b, c] = &ids[..] else {
        panic!("three hosts");
    };
    [a.clone(), b.clone(), c.clone(), group]
}

fn reboot(targets: Value) -> Value {
    json!({"targets": targets, "system_operation": {"operation": "reboot"}})
}

#[tokio::test]
async fn a_command_goes_to_whom_it_is_for() {
    let platform = Platform::start(&[]);
    let [a, _, _, group] = fleet(&platform).await;
    for (targets, expected) in [
        (json!({"hosts": ["a"]}), vec!["a"]),
        // Each once, by whichever of its names.
        (json!({"hosts": ["c", a, "a"]}), vec!["c", "a"]),
        (json!({"group": "lab"}), vec!["a", "b"]),
        (json!({"group": group}), vec!["a", "b"]),
        (json!({"labels": {"site": "x"}}), vec!["b", "c"]),
        (json!({"labels": {"rack": ""}}), vec!["b"]),
        (json!({"labels": {"site": "x", "rack": "7"}}), vec!["b"]),
        (json!({"group": "lab", "labels": {"site": "x"}}), vec!["b"]),
        (json!({"all": true}), vec!["a", "b", "c"]),
    ] {
        let mut request = reboot(targets.clone());
        request["dry_run"] = true.into();
        let would = post(&platform, "/api/commands", request).await;
        let would = would.expect("answered");
        let hosts = would["hosts"].as_array().expect("a list").iter();
        let names: Vec<_> = hosts.map(|host| text(&host["host"])).collect();
        assert_eq!(names, expected, "{targets}");
        assert_eq!(would["total"], expected.len(), "{targets}");
        assert_eq!(would.get("command_id"), None, "{targets}");
    }
    let none = get(&platform, "/api/commands").await;
    assert_eq!(none["commands"], json!([]), "a dry run makes nothing");

    let made = post(&platform, "/api/commands", reboot(json!({"all": true}))).await;
    let made = made.expect("accepted");
    assert_eq!(
        (&made["state"], &made["total"]),
        (&json!("queued"), &json!(3))
    );
    let id = text(&made["command_id"]);
    let command = get(&platform, &format!("/api/commands/{id}")).await;
    assert_eq!(command["targets"], "all hosts");
    assert_eq!(command["summary"]["queued"], 3);
    assert_eq!(command["system_operation"]["operation"], "reboot");
    let path = format!("/api/deliveries?command_id={id}&page_size=2");
    let first = get(&platform, &path).await;
    let next = text(&first["next_page_token"]);
    let last = get(&platform, &format!("{path}&page_token={next}")).await;
    let lists = [&first, &last].map(|page| page["deliveries"].as_array().expect("a list"));
    let hosts = lists.into_iter().flatten();
    let mut hosts: Vec<_> = hosts.map(|delivery| text(&delivery["host"])).collect();
    hosts.sort();
    assert_eq!(hosts, ["a", "b", "c"]);
    let log = get(&platform, "/api/audit?action=command.").await;
    let details = &log["entries"][0]["details"];
    assert_eq!(
        (&details["targets"], &details["operation"]),
        (&json!("all hosts"), &json!("reboot"))
    );
}

#[tokio::test]
async fn what_nobody_could_mean_is_refused() {
    let platform = Platform::start(&[]);
    fleet(&platform).await;
    let script =
        |content: &str| json!({"targets": {"hosts": ["a"]}, "script": {"content": content}});
    let large: String = "\u{1f980}".repeat(140_000);
    for (request, code) in [
        (json!({}), "field_invalid"),
        (json!({"targets": {"hosts": ["a"]}}), "field_invalid"),
        (json!({"script": {"content": "true"}}), "targets_invalid"),
        (reboot(json!({})), "targets_invalid"),
        (
            reboot(json!({"hosts": ["a"], "all": true})),
            "targets_invalid",
        ),
        (
            reboot(json!({"group": "lab", "all": true})),
            "targets_invalid",
        ),
        (reboot(json!({"hosts": ["a", "z"]})), "host_unknown"),
        (reboot(json!({"group": "nowhere"})), "group_unknown"),
        (reboot(json!({"labels": {"site": "y"}})), "targets_empty"),
        (reboot(json!({"labels": {"-": "y"}})), "label_invalid"),
        (script(""), "field_invalid"),
        (script(&large), "parameters_too_large"),
        (
            json!({"targets": {"hosts": ["a"]}, "script": {"content": "true", "interpreter": "sh"}}),
            "path_invalid",
        ),
        (
            json!({"targets": {"hosts": ["a"]},
                "package_operation": {"operation": "install", "packages": ["a; reboot"]}}),
            "package_invalid",
        ),
        (
            json!({"targets": {"hosts": ["a"]},
                "service_operation": {"operation": "restart", "service": "-x"}}),
            "service_invalid",
        ),
        (
            json!({"targets": {"hosts": ["a"]}, "system_operation": {"operation": "reboot"},
                "script": {"content": "true"}}),
            "request_invalid",
        ),
        (
            json!({"targets": {"hosts": ["a"]}, "system_operation": {"operation": "reboot"},
                "expires_at": "2020-01-01T00:00:00Z"}),
            "expiry_past",
        ),
        (
            json!({"targets": {"hosts": ["a"]}, "system_operation": {"operation": "reboot"},
                "timeout": 2592001}),
            "field_invalid",
        ),
    ] {
        let answer = post(&platform, "/api/commands", request.clone()).await;
        let shown: String = request.to_string().chars().take(200).collect();
        assert_eq!(refusal(answer), code, "{shown}");
    }
    // What is larger than any command is not read at all.
    let answer = post(&platform, "/api/commands", script(&large.repeat(3))).await;
    assert_eq!(refusal(answer), "request_too_large");
    assert_eq!(get(&platform, "/api/commands").await["commands"], json!([]));
}

#[tokio::test]
async fn a_command_that_is_cancelled_before_it_was_sent_is_over() {
    let platform = Platform::start(&[]);
    fleet(&platform).await;
    let made = post(&platform, "/api/commands", reboot(json!({"all": true}))).await;
    let id = text(&made.expect("accepted")["command_id"]);
    let mut watch = Watch::begin(&platform, &id);
    watch.until("\"host\":\"c\"");

    let path = format!("/api/commands/{id}/cancel");
    let some = post(&platform, &path, json!({"hosts": ["b"]})).await;
    let expected = json!({"cancelled": 1, "requested": 0});
    assert_eq!(some.expect("cancelled"), expected);
    watch.until("\"state\":\"cancelled\"");
    let path_of_b = format!("/api/commands/{id}/deliveries/b");
    let delivery = get(&platform, &path_of_b).await;
    assert_eq!(delivery["delivery"]["state"], "cancelled");
    let history = delivery["history"].as_array().expect("a list");
    assert_eq!(history.last().expect("a step")["state"], "cancelled");
    let command = get(&platform, &format!("/api/commands/{id}")).await;
    assert_eq!(command["state"], "running", "one has ended, two have not");
    assert_eq!(command.get("finished_at"), None);

    let rest = post(&platform, &path, json!({})).await;
    assert_eq!(
        rest.expect("cancelled"),
        json!({"cancelled": 2, "requested": 0})
    );
    // The stream ends with the command.
    let told = watch.whole();
    let last = told.rfind("data: ").expect("an event");
    let last: Value = serde_json::from_str(told[last + 6..].trim()).expect("JSON");
    assert_eq!(last["command"]["state"], "finished");
    assert_eq!(last["command"]["summary"]["cancelled"], 3);
    let again = post(&platform, &path, json!({})).await;
    assert_eq!(
        again.expect("answered"),
        json!({"cancelled": 0, "requested": 0})
    );
    for (filter, expected) in [
        ("state=finished", 1),
        ("state=queued", 0),
        ("command_type=script", 0),
        ("command_type=system_operation&host=a", 1),
        ("user=nobody", 0),
    ] {
        let list = get(&platform, &format!("/api/commands?{filter}")).await;
        let found = list["commands"].as_array().expect("a list").len();
        assert_eq!(found, expected, "{filter}");
    }
    let unknown = "/api/commands/5b1f6a52-6d0e-4a6e-9d58-0f4f6f1f7c11/cancel";
    assert_eq!(
        refusal(post(&platform, unknown, json!({})).await),
        "command_unknown"
    );
    let log = get(&platform, "/api/audit?action=command.cancel").await;
    assert_eq!(log["entries"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_key_makes_a_second_try_safe() {
    let platform = Platform::start(&[]);
    fleet(&platform).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let body = reboot(json!({"all": true})).to_string();
        let answer = raw(
            &platform,
            &format!(
                "POST /api/commands HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Authorization: Bearer {}\r\nContent-Type: application/json\r\n\
                 Idempotency-Key: 5b1f6a52-6d0e-4a6e-9d58-0f4f6f1f7c11\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                platform.admin_token(),
                body.len()
            ),
        );
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let answer: Value = serde_json::from_str(body).expect("JSON");
        ids.push(text(&answer["command_id"]));
    }
    assert_eq!(ids[0], ids[1]);
    let list = get(&platform, "/api/commands").await;
    assert_eq!(list["commands"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn somebody_sees_of_a_command_what_concerns_their_hosts() {
    let platform = Platform::start(&[]);
    let [_, _, c, group] = fleet(&platform).await;
    let key = platform.operate_json(&[
        "api-key",
        "create",
        "lab",
        "--role",
        "operator",
        "--grants-group",
        &group,
    ]);
    let key = text(&key["secret"]);
    let see = async |path: &str| send(&platform, &key, Method::GET, path, None).await;
    let ask = async |path: &str, body: Value| {
        send(&platform, &key, Method::POST, path, Some(&body)).await
    };
    let make = async |targets: Value| {
        let made = post(&platform, "/api/commands", reboot(targets)).await;
        text(&made.expect("accepted")["command_id"])
    };
    let (all, theirs) = (
        make(json!({"all": true})).await,
        make(json!({"hosts": ["c"]})).await,
    );

    // Theirs is not there; of what is for all, only what is mine.
    let list = see("/api/commands").await.expect("answered");
    let commands = list["commands"].as_array().expect("a list");
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0]["id"], *all);
    assert_eq!(commands[0]["summary"]["total"], 2);
    assert_eq!(commands[0].get("targets").cloned().unwrap_or(json!("")), "");
    let path = format!("/api/commands/{theirs}");
    assert_eq!(refusal(see(&path).await), "command_unknown");
    assert_eq!(
        refusal(see(&format!("{path}/watch")).await),
        "command_unknown"
    );
    assert_eq!(
        refusal(ask(&format!("{path}/cancel"), json!({})).await),
        "command_unknown"
    );
    for path in [
        format!("/api/commands/{all}/deliveries/{c}"),
        format!("/api/commands/{all}/deliveries/c"),
        "/api/deliveries?host=c".to_owned(),
    ] {
        assert_eq!(refusal(see(&path).await), "host_unknown", "{path}");
    }
    let list = see("/api/deliveries").await.expect("answered");
    let hosts = list["deliveries"].as_array().expect("a list").iter();
    let hosts: Vec<_> = hosts.map(|delivery| text(&delivery["host"])).collect();
    assert_eq!(hosts, ["a", "b"]);

    // What they ask for is for theirs alone.
    for (targets, expected) in [
        (json!({"all": true}), 2),
        (json!({"labels": {"site": "x"}}), 1),
    ] {
        let mut request = reboot(targets);
        request["dry_run"] = true.into();
        let would = ask("/api/commands", request).await.expect("answered");
        assert_eq!(would["total"], expected, "{would}");
        assert!(!would.to_string().contains(&c), "{would}");
    }
    for (targets, code) in [
        (json!({"hosts": ["a", "c"]}), "host_unknown"),
        (json!({"hosts": [c]}), "host_unknown"),
    ] {
        let refused = ask("/api/commands", reboot(targets)).await;
        assert_eq!(refusal(refused), code);
    }
    let cancelled = ask(&format!("/api/commands/{all}/cancel"), json!({})).await;
    assert_eq!(cancelled.expect("cancelled")["cancelled"], 2);
    let seen = see(&format!("/api/commands/{all}"))
        .await
        .expect("answered");
    assert_eq!(seen["state"], "finished");
    let whole = get(&platform, &format!("/api/commands/{all}")).await;
    assert_eq!(
        (&whole["state"], &whole["summary"]["queued"]),
        (&json!("running"), &json!(1))
    );
    for path in ["/api/deliveries/redrive", "/api/deliveries/discard"] {
        let refused = ask(path, json!({"command_id": theirs})).await;
        assert_eq!(refusal(refused), "command_unknown", "{path}");
        let refused = ask(path, json!({"filter": {"host": "c"}})).await;
        assert_eq!(refusal(refused), "host_unknown", "{path}");
        for (body, code) in [
            (json!({}), "filter_invalid"),
            (json!({"filter": {}}), "filter_invalid"),
            (
                json!({"filter": {"all": true, "reason": "x"}}),
                "filter_invalid",
            ),
            (
                json!({"hosts": ["a"], "filter": {"all": true}}),
                "filter_invalid",
            ),
            (
                json!({"command_id": all, "filter": {"all": true}}),
                "filter_invalid",
            ),
        ] {
            let refused = ask(path, body.clone()).await;
            assert_eq!(refusal(refused), code, "{path} {body}");
        }
    }
}

/// Somebody who follows a command by server-sent events.
struct Watch {
    stream: TcpStream,
    seen: String,
}

impl Watch {
    fn begin(platform: &Platform, command: &str) -> Self {
        let mut stream = TcpStream::connect(platform.http).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        let request = format!(
            "GET /api/commands/{command}/watch HTTP/1.1\r\nHost: localhost\r\n\
             Connection: close\r\nAuthorization: Bearer {}\r\n\r\n",
            platform.admin_token()
        );
        stream.write_all(request.as_bytes()).expect("written");
        Self {
            stream,
            seen: String::new(),
        }
    }

    fn read(&mut self) -> usize {
        let mut piece = [0; 4096];
        let length = self.stream.read(&mut piece).expect("more comes");
        self.seen
            .push_str(&String::from_utf8_lossy(&piece[..length]));
        length
    }

    fn until(&mut self, what: &str) {
        while !self.seen.contains(what) {
            assert_ne!(self.read(), 0, "it ended: {}", self.seen);
        }
    }

    /// All that is told, without the marks of HTTP between the pieces.
    fn whole(mut self) -> String {
        while self.read() > 0 {}
        let lines = self.seen.lines().filter(|line| line.starts_with("data: "));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

fn raw(platform: &Platform, request: &str) -> String {
    let mut stream = TcpStream::connect(platform.http).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.write_all(request.as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}
