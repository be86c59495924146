//! Alerts of a real host: a rule fires once, its webhook is signed and tried again, and what is open stays so over a
//! restart of the platform.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::Method;
use ring::hmac;
use serde_json::{Value, json};

use crate::support::{Agent, PATIENCE, Platform, until, until_status, until_true};

/// A receiver that answers each request with the next of these statuses, the last again and again, and hands on
/// what it was sent: the fields and the body.
pub fn receiver(statuses: &'static [&'static str]) -> (String, Receiver<(Vec<String>, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    let (sender, requests) = channel();
    thread::spawn(move || {
        for (at, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            let mut bytes = Vec::new();
            let mut piece = [0; 4096];
            let (head, body) = loop {
                let read = stream.read(&mut piece).expect("a request");
                assert!(read > 0, "it ends in the middle");
                bytes.extend(&piece[..read]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let lower = head.to_lowercase();
                    let length = lower.split("content-length: ").nth(1).expect("a length");
                    let length: usize = length.lines().next().expect("it").parse().expect("it");
                    if body.len() >= length {
                        break (lower, body.to_owned());
                    }
                }
            };
            let status = statuses[at.min(statuses.len() - 1)];
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).expect("answered");
            let fields = head.lines().map(str::to_owned).collect();
            if sender.send((fields, body)).is_err() {
                return;
            }
        }
    });
    (url, requests)
}

pub fn field(fields: &[String], name: &str) -> String {
    let start = format!("{name}: ");
    let found = fields.iter().find_map(|field| field.strip_prefix(&start));
    found.expect(name).to_owned()
}

pub async fn ask(platform: &Platform, method: Method, path: &str, body: Option<Value>) -> Value {
    let client = platform.client();
    client.call(method, path, body.as_ref()).await.expect(path)
}

/// Asks for a webhook.
pub fn hook(name: &str, url: &str) -> Value {
    json!({"spec": {"name": name, "webhook": {"url": url}}})
}

/// Waits until the host `kvm` was seen to be there.
pub async fn until_seen(platform: &Platform) {
    until_true("kvm is seen", async || {
        let host = ask(platform, Method::GET, "/api/hosts/kvm", None).await;
        host["last_seen_at"].is_string()
    })
    .await;
}

pub async fn alerts(platform: &Platform, query: &str) -> Vec<Value> {
    let path = format!("/api/alerts{query}");
    let answer = ask(platform, Method::GET, &path, None).await;
    answer["alerts"].as_array().expect("alerts").clone()
}

/// Makes a rule of that name, ends the agent, and answers the alert that fires.
pub async fn fire(platform: &Platform, mut agent: Agent, rule: &str) -> Value {
    let wanted = json!({"spec": {
        "name": rule, "severity": "critical", "host_offline": {"seconds": 1},
    }});
    ask(platform, Method::POST, "/api/alert-rules", Some(wanted)).await;
    until_seen(platform).await;
    agent.process.end();
    let mut firing = Vec::new();
    until_true("an alert fires", async || {
        firing = alerts(platform, "?state=firing").await;
        !firing.is_empty()
    })
    .await;
    firing.remove(0)
}

/// The message of an alert to a channel, once it stands so.
pub fn until_sent(platform: &Platform, alert: &Value, channel: &str, state: &str) -> Value {
    let id = alert["id"].as_str().expect("an id");
    until(&format!("it is {state} to {channel}"), || {
        let shown = platform.operate_json(&["alert", "get", id]);
        let sent = shown["notifications"].as_array()?.clone();
        sent.into_iter()
            .find(|sent| sent["channel"] == channel && sent["state"] == state)
    })
}

#[tokio::test]
async fn a_host_that_goes_away_is_told_of_once() {
    let reserved = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = reserved.local_addr().expect("bound").to_string();
    drop(reserved);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let flags = ["--listen", &*address];
    let mut platform = Platform::start_on(&data, &flags);
    let rules = ask(&platform, Method::GET, "/api/alert-rules", None).await;
    let rules = rules["rules"].as_array().expect("rules").clone();
    assert_eq!(rules.len(), 10, "those of the beginning: {rules:?}");

    // The first try of each message fails.
    let (url, requests) = receiver(&["503 Service Unavailable", "204 No Content"]);
    let wanted = hook("hook", &url);
    let made = ask(&platform, Method::POST, "/api/alert-channels", Some(wanted)).await;
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    let wanted = json!({"spec": {
        "name": "gone", "severity": "critical", "host_offline": {"seconds": 1},
    }});
    let rule = ask(&platform, Method::POST, "/api/alert-rules", Some(wanted)).await;

    let mut agent = Agent::start(&platform, "kvm");
    let host = until_status(&platform, "kvm", "online");
    until_seen(&platform).await;
    agent.process.end();
    let mut firing = Vec::new();
    until_true("an alert fires", async || {
        firing = alerts(&platform, "?state=firing").await;
        !firing.is_empty()
    })
    .await;
    let [alert] = &firing[..] else {
        panic!("one alert: {firing:?}");
    };
    assert_eq!(
        (&alert["rule_id"], &alert["host_id"]),
        (&rule["id"], &host["id"])
    );
    assert_eq!(
        (&alert["severity"], &alert["host"]),
        (&json!("critical"), &json!("kvm"))
    );

    // Tried again, the same message, with a signature of its own time.
    let next = || requests.recv_timeout(PATIENCE).expect("a request");
    let (first, body) = next();
    let (fields, again) = next();
    assert_eq!(body, again);
    let id = field(&fields, "webhook-id");
    assert_eq!(field(&first, "webhook-id"), id);
    let key = secret.strip_prefix("whsec_").expect("its form");
    let key = hmac::Key::new(
        hmac::HMAC_SHA256,
        &BASE64_STANDARD.decode(key).expect("base64"),
    );
    let signed = format!("{id}.{}.{body}", field(&fields, "webhook-timestamp"));
    let expected = BASE64_STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
    // The receiver's heads are in lower case.
    let shown = field(&fields, "webhook-signature");
    assert_eq!(shown, format!("v1,{expected}").to_lowercase());
    let told: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(told["type"], "alert.firing");
    assert_eq!(told["data"]["alert_id"], alert["id"]);

    let path = format!("/api/alerts/{}", alert["id"].as_str().expect("an id"));
    let sent = until("it is noted as sent", || {
        let shown = platform.operate_json(&["alert", "get", alert["id"].as_str().expect("an id")]);
        let sent = shown["notifications"][0].clone();
        (sent["state"] == "sent").then_some(sent)
    });
    assert_eq!(
        (&sent["attempts"], &sent["channel"]),
        (&json!(2), &json!("hook"))
    );

    let acknowledge = format!("{path}/acknowledge");
    let known = ask(&platform, Method::POST, &acknowledge, Some(json!({}))).await;
    assert_eq!(known["acknowledged_by"], "admin");

    // Over a restart it is the same alert, and nobody is told again; then it is over.
    platform.process.end();
    let platform = Platform::start_on(&data, &flags);
    let open = alerts(&platform, "?state=firing").await;
    assert_eq!(open, [known]);
    agent.restart(&platform, "kvm");
    let (_, body) = next();
    let told: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(
        (&told["type"], &told["data"]["alert_id"]),
        (&json!("alert.resolved"), &alert["id"])
    );
    let all = alerts(&platform, "").await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0]["state"], "resolved");
}

#[tokio::test]
async fn a_channel_is_tried_and_what_is_wrong_is_refused() {
    let platform = Platform::start(&[]);
    let (url, requests) = receiver(&["302 Found", "200 OK"]);
    let wanted = hook("hook", &url);
    let made = ask(&platform, Method::POST, "/api/alert-channels", Some(wanted)).await;
    let id = made["channel"]["id"].as_str().expect("an id");
    let path = format!("/api/alert-channels/{id}/test");
    let refused = ask(&platform, Method::POST, &path, Some(json!({}))).await;
    assert_eq!(
        refused["delivered"], false,
        "no redirect is followed: {refused}"
    );
    let taken = ask(&platform, Method::POST, &path, Some(json!({}))).await;
    assert_eq!(taken["delivered"], true, "{taken}");
    let (_, body) = requests.recv_timeout(PATIENCE).expect("a request");
    assert!(body.contains("\"type\":\"test\""), "{body}");
    let listed = ask(&platform, Method::GET, "/api/alert-channels", None).await;
    assert!(!listed.to_string().contains("whsec_"), "{listed}");

    let client = platform.client();
    let refuse = async |path: &str, body: Value, code: &str| {
        let refused = client
            .call::<_, Value>(Method::POST, path, Some(&body))
            .await;
        let refused = format!("{refused:?}");
        assert!(refused.contains(code), "{body}: {refused}");
    };
    let channels = "/api/alert-channels";
    refuse(channels, hook("hook", "https://a.example"), "name_taken").await;
    refuse(channels, hook("x", "http://a.example"), "url_invalid").await;
    let rules = "/api/alert-rules";
    refuse(rules, json!({"spec": {"name": "x"}}), "rule_incomplete").await;
    refuse(
        rules,
        json!({"spec": {"name": " ", "host_disk": {"percent": 9}}}),
        "name_invalid",
    )
    .await;
    let unknown = "5b1f6a52-6d0e-4a6e-9d58-0f4f6f1f7c11";
    let of = json!({"spec": {"name": "x", "host_disk": {"percent": 9}, "channel_ids": [unknown]}});
    refuse(rules, of, "channel_unknown").await;
    let of = json!({"spec": {"name": "host-offline", "host_disk": {"percent": 9}}});
    refuse(rules, of, "name_taken").await;
    refuse(
        rules,
        json!({"spec": {"name": "x", "host_disk": {"percent": 101}}}),
        "field_invalid",
    )
    .await;
}
