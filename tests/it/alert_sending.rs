//! What is sent of alerts, and when: silences hold it, receivers that say nothing hold no other's, and what a crash
//! leaves open is sent again as what it was.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use hyper::Method;
use serde_json::{Value, json};

use crate::alerts::{alerts, ask, field, fire, hook, receiver, until_seen, until_sent};
use crate::events::{event, follow};
use crate::support::{Agent, PATIENCE, Platform, until, until_status, until_true};

async fn rule(platform: &Platform, name: &str) -> Value {
    let wanted = json!({"spec": {
        "name": name, "severity": "critical", "host_offline": {"seconds": 1},
    }});
    ask(platform, Method::POST, "/api/alert-rules", Some(wanted)).await
}

/// An address that nobody else listens on, for a platform that is started again.
fn reserved() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").to_string()
}

#[tokio::test]
async fn what_is_silenced_is_sent_at_the_end_of_the_silence_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let address = reserved();
    let flags = ["--listen", &*address];
    let mut platform = Platform::start_on(&data, &flags);
    let (url, requests) = receiver(&["204 No Content"]);
    ask(
        &platform,
        Method::POST,
        "/api/alert-channels",
        Some(hook("hook", &url)),
    )
    .await;
    let mut agent = Agent::start(&platform, "kvm");
    let host = until_status(&platform, "kvm", "online");
    let quiet = rule(&platform, "quiet").await;
    let wanted = json!({
        "reason": "a new switch", "duration_seconds": 3600,
        "matcher": {"rule_id": quiet["id"], "host_id": host["id"]},
    });
    let silence = ask(&platform, Method::POST, "/api/alert-silences", Some(wanted)).await;
    rule(&platform, "loud").await;
    until_seen(&platform).await;
    agent.process.end();
    let mut firing = Vec::new();
    until_true("both fire", async || {
        firing = alerts(&platform, "?state=firing").await;
        firing.len() == 2
    })
    .await;
    for alert in &firing {
        let silenced = (alert["rule"] == "quiet").then_some(&silence["ends_at"]);
        assert_eq!(alert.get("silenced_until"), silenced, "{alert}");
    }
    let told = || {
        let (_, body) = requests.recv_timeout(PATIENCE).expect("a request");
        let told: Value = serde_json::from_str(&body).expect("JSON");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        (text(&told["type"]), text(&told["data"]["rule"]))
    };
    let expected = |what: &str, rule: &str| (format!("alert.{what}"), rule.to_owned());
    assert_eq!(told(), expected("firing", "loud"));

    // Noted too: what is not would come once more after the restart.
    let loud = firing.iter().find(|alert| alert["rule"] == "loud");
    until_sent(&platform, loud.expect("it fires"), "hook", "sent");
    // Over a restart it stays silenced. Its end is the moment that it is sent, and it is sent once.
    platform.process.end();
    let platform = Platform::start_on(&data, &flags);
    let listed = ask(&platform, Method::GET, "/api/alert-silences", None).await;
    assert_eq!(listed["silences"], json!([silence]));
    assert_eq!(listed["silences"][0]["created_by"], "admin");
    let open = alerts(&platform, "?state=firing").await;
    let quiet = open.iter().find(|alert| alert["rule"] == "quiet");
    let quiet = quiet.expect("it fires").clone();
    let waiting = until_sent(&platform, &quiet, "hook", "waiting");
    assert_eq!(waiting["attempts"], 0, "{waiting}");
    let path = format!(
        "/api/alert-silences/{}",
        silence["id"].as_str().expect("an id")
    );
    let sooner = json!({"duration_seconds": 1});
    let ended = ask(&platform, Method::PATCH, &path, Some(sooner)).await;
    assert_ne!(ended["ends_at"], silence["ends_at"]);
    assert_eq!(told(), expected("firing", "quiet"));
    // What is over does not come back.
    let longer = json!({"duration_seconds": 3600});
    let client = platform.client();
    let again = client.call::<Value, Value>(Method::PATCH, &path, Some(&longer));
    let again = format!("{:?}", again.await);
    assert!(again.contains("silence_over"), "{again}");
    agent.restart(&platform, "kvm");
    let mut ends = [told(), told()];
    ends.sort();
    assert_eq!(
        ends,
        ["loud", "quiet"].map(|rule| expected("resolved", rule))
    );
    let audit = platform.operate_json(&["audit", "list", "--action", "alert_silence.update"]);
    assert_eq!(
        audit["entries"].as_array().map(Vec::len),
        Some(1),
        "{audit}"
    );
}

/// A receiver that takes requests and answers none, and hands on their fields.
fn silent() -> (String, Receiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    let (sender, requests) = channel();
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut bytes = Vec::new();
            let mut piece = [0; 4096];
            while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
                let read = stream.read(&mut piece).expect("a request");
                assert!(read > 0, "it ends in the middle");
                bytes.extend(&piece[..read]);
            }
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            held.push(stream);
            if sender
                .send(text.lines().map(str::to_owned).collect())
                .is_err()
            {
                return;
            }
        }
    });
    (url, requests)
}

#[tokio::test]
async fn a_silent_receiver_holds_no_other_and_a_crash_repeats_what_it_was() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let address = reserved();
    let flags = ["--listen", &*address];
    let mut platform = Platform::start_on(&data, &flags);
    let (hung, asked) = silent();
    let (url, requests) = receiver(&["204 No Content"]);
    for (name, url) in [("hung", &hung), ("hook", &url)] {
        ask(
            &platform,
            Method::POST,
            "/api/alert-channels",
            Some(hook(name, url)),
        )
        .await;
    }
    let agent = Agent::start(&platform, "kvm");
    until_status(&platform, "kvm", "online");
    let alert = fire(&platform, agent, "gone").await;
    let first = field(
        &asked.recv_timeout(PATIENCE).expect("a request"),
        "webhook-id",
    );
    requests.recv_timeout(PATIENCE).expect("the other's");
    until_sent(&platform, &alert, "hook", "sent");

    // The receiver may have taken it: nothing is known of the try, and it comes again with the same id.
    platform.process.signal("KILL");
    platform.process.end();
    let platform = Platform::start_on(&data, &flags);
    let again = field(&asked.recv_timeout(PATIENCE).expect("again"), "webhook-id");
    assert_eq!(first, again);
    // What comes of it is noted, and says nothing of what listens there.
    let error = until("a try is noted", || {
        let shown = platform.operate_json(&["alert", "get", alert["id"].as_str().expect("an id")]);
        let sent = shown["notifications"].as_array().expect("some").clone();
        let hung = sent.into_iter().find(|sent| sent["channel"] == "hung");
        let tries = hung.expect("one")["tries"].clone();
        Some(tries.as_array()?.first()?["error"].as_str()?.to_owned())
    });
    assert!(
        error.contains("gives no answer as a receiver does"),
        "{error}"
    );
    assert!(
        requests.try_recv().is_err(),
        "what was sent is not sent again"
    );

    // A channel that rules name stays; a secret is given once, and again only as another.
    let channels = ask(&platform, Method::GET, "/api/alert-channels", None).await;
    let channel = &channels["channels"][0];
    let id = channel["id"].as_str().expect("an id");
    let wanted = json!({"spec": {
        "name": "names", "host_disk": {"percent": 100}, "channel_ids": [id],
    }});
    ask(&platform, Method::POST, "/api/alert-rules", Some(wanted)).await;
    let path = format!("/api/alert-channels/{id}");
    let client = platform.client();
    let refused = client
        .call::<Value, Value>(Method::DELETE, &path, None)
        .await;
    let refused = format!("{refused:?}");
    assert!(
        refused.contains("channel_in_use") && refused.contains("names"),
        "{refused}"
    );
    let rotate = format!("{path}/rotate-secret");
    let rotated = ask(&platform, Method::POST, &rotate, Some(json!({}))).await;
    let secret = rotated["secret"].as_str().expect("a secret");
    let database = std::fs::read(data.join("platform.db")).expect("there");
    let log = std::fs::read(data.join("platform.db-wal")).unwrap_or_default();
    for bytes in [database, log] {
        let found = bytes
            .windows(secret.len())
            .any(|some| some == secret.as_bytes());
        assert!(!found, "it stands in the database as it is");
    }
}

/// A receiver that takes requests and says so, and then has no end: of what it says, or of its saying nothing.
fn endless(says: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            thread::spawn(move || {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).expect("a request");
                assert!(read > 0, "it ends in the middle");
                let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";
                stream.write_all(head).expect("answered");
                while says && stream.write_all(&piece).is_ok() {}
                // Until the platform goes.
                while stream.read(&mut piece).is_ok_and(|read| read > 0) {}
            });
        }
    });
    url
}

#[tokio::test]
async fn a_receiver_that_has_no_end_has_taken_it_and_holds_nothing() {
    let platform = Platform::start(&[]);
    for (name, says) in [("large", true), ("slow", false)] {
        let wanted = hook(name, &endless(says));
        ask(&platform, Method::POST, "/api/alert-channels", Some(wanted)).await;
    }
    let watch = json!({"kinds": ["alert_notification_updated"]});
    let mut events = follow(&platform, watch).await;
    let mut agent = Agent::start(&platform, "kvm");
    until_status(&platform, "kvm", "online");
    // One more than are tried at once.
    for number in 1..=5 {
        rule(&platform, &format!("r{number}")).await;
    }
    until_seen(&platform).await;
    agent.process.end();
    let mut firing = Vec::new();
    until_true("all fire", async || {
        firing = alerts(&platform, "?state=firing").await;
        firing.len() == 5
    })
    .await;
    for alert in &firing {
        for channel in ["large", "slow"] {
            let sent = until_sent(&platform, alert, channel, "sent");
            assert_eq!(sent["attempts"], 1, "{sent}");
        }
    }
    // Each was told of as it came to be so, to whoever has it open.
    for _ in 0..10 {
        let told = event(&mut events, "alert_notification_updated").await;
        let what = &told["alert_notification_updated"];
        assert_eq!(what["state"], "sent");
        assert!(firing.iter().any(|alert| alert["id"] == what["alert_id"]));
    }
}

#[tokio::test]
async fn a_storm_is_one_message_and_stays_one_over_a_crash() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let address = reserved();
    let flags = ["--listen", &*address];
    let mut platform = Platform::start_on(&data, &flags);
    let (hung, asked) = silent();
    let (url, requests) = receiver(&["204 No Content"]);
    for (name, url) in [("hung", &hung), ("hook", &url)] {
        let wanted = hook(name, url);
        ask(&platform, Method::POST, "/api/alert-channels", Some(wanted)).await;
    }
    // One more than are told each by itself.
    let hosts: Vec<_> = (10..21).map(|number| format!("h{number}")).collect();
    for host in &hosts {
        let wanted = json!({"name": host});
        ask(&platform, Method::POST, "/api/hosts", Some(wanted)).await;
        let path = format!("/api/hosts/{host}/packages/install");
        let wanted = json!({"packages": ["nginx"]});
        ask(&platform, Method::POST, &path, Some(wanted)).await;
    }
    let wanted = json!({"spec": {"name": "deep", "queue_depth": {"count": 1}}});
    ask(&platform, Method::POST, "/api/alert-rules", Some(wanted)).await;

    let (fields, body) = requests.recv_timeout(PATIENCE).expect("a request");
    let told: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(told["type"], "alert.many", "{told}");
    assert_eq!(
        (&told["data"]["rule"], &told["data"]["count"]),
        (&json!("deep"), &json!(11))
    );
    let messages = told["data"]["messages"].as_array().expect("messages");
    let mut named: Vec<_> = messages
        .iter()
        .map(|message| {
            assert_eq!(message["type"], "alert.firing");
            message["data"]["host"].as_str().expect("a host")
        })
        .collect();
    named.sort_unstable();
    assert_eq!(named, hosts);
    // Each of them says so.
    let id = field(&fields, "webhook-id");
    let firing = alerts(&platform, "?state=firing").await;
    assert_eq!(firing.len(), hosts.len());
    for alert in &firing {
        let sent = until_sent(&platform, alert, "hook", "sent");
        assert_eq!(sent["id"], id.as_str());
        assert_eq!(sent["tries"].as_array().map(Vec::len), Some(1), "{sent}");
    }

    // What a crash leaves open is the same message again, and no other is.
    let first = field(
        &asked.recv_timeout(PATIENCE).expect("a request"),
        "webhook-id",
    );
    assert_ne!(first, id);
    platform.process.signal("KILL");
    platform.process.end();
    let platform = Platform::start_on(&data, &flags);
    let again = field(&asked.recv_timeout(PATIENCE).expect("again"), "webhook-id");
    assert_eq!(first, again);
    let waiting = until_sent(&platform, &firing[0], "hung", "waiting");
    assert_eq!(waiting["id"], first.as_str());
    assert!(asked.try_recv().is_err(), "it is one message");
    assert!(
        requests.try_recv().is_err(),
        "what was sent is not sent again"
    );
}
