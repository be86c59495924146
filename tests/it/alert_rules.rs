//! Rules of alerts on a real platform: what is not delivered is told of once, over a restart too; sign-ins that fail
//! are; and who may know of which rule.

use std::time::Duration;

use fleetwire::clock::UnixMillis;
use fleetwire::secret::Secret;
use hyper::Method;
use serde_json::{Value, json};

use crate::support::{Platform, until_true};

async fn ask(platform: &Platform, method: Method, path: &str, body: Option<Value>) -> Value {
    let client = platform.client();
    client.call(method, path, body.as_ref()).await.expect(path)
}

async fn refused(platform: &Platform, method: Method, path: &str, body: Option<Value>) -> String {
    let client = platform.client();
    let refused = client.call::<_, Value>(method, path, body.as_ref()).await;
    format!("{:?}", refused.expect_err(path))
}

async fn make_rule(platform: &Platform, spec: Value) -> Value {
    let body = json!({"spec": spec});
    ask(platform, Method::POST, "/api/alert-rules", Some(body)).await
}

/// The alerts that fire, by their rules' names.
async fn firing(platform: &Platform) -> Vec<(String, Value)> {
    let answer = ask(platform, Method::GET, "/api/alerts?state=firing", None).await;
    let alerts = answer["alerts"].as_array().expect("alerts").iter();
    let name = |alert: &Value| alert["rule"].as_str().expect("a name").to_owned();
    let mut alerts: Vec<_> = alerts.map(|alert| (name(alert), alert.clone())).collect();
    alerts.sort_by(|(a, _), (b, _)| a.cmp(b));
    alerts
}

async fn until_firing(platform: &Platform, rules: &[&str]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    until_true("these fire", async || {
        found = firing(platform).await;
        found
            .iter()
            .map(|(name, _)| &**name)
            .eq(rules.iter().copied())
    })
    .await;
    found
}

#[tokio::test]
async fn what_is_not_delivered_is_told_of_once_over_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let mut platform = Platform::start_on(&data, &[]);
    let host = json!({"name": "idle"});
    ask(&platform, Method::POST, "/api/hosts", Some(host)).await;
    let old = json!({"name": "old", "severity": "critical", "queue_age": {"seconds": 1}});
    let old = make_rule(&platform, old).await;
    // Where it goes is nobody: that it is to be sent is what counts.
    let hook = json!({"spec": {"name": "hook", "webhook": {"url": "http://127.0.0.1:9/"}}});
    ask(&platform, Method::POST, "/api/alert-channels", Some(hook)).await;

    let path = "/api/hosts/idle/packages/install";
    let wanted = json!({"packages": ["nginx"]});
    ask(&platform, Method::POST, path, Some(wanted)).await;
    let soon = UnixMillis::now().plus(Duration::from_secs(2)).to_string();
    let late = json!({"packages": ["nginx"], "expires_at": soon});
    ask(&platform, Method::POST, path, Some(late)).await;
    let before = until_firing(&platform, &["dead-letters", "old"]).await;
    assert_eq!(before[0].1["host_id"], Value::Null, "it is the platform's");
    assert_eq!(
        (&before[1].1["host"], &before[1].1["rule_id"]),
        (&json!("idle"), &old["id"])
    );

    // After a restart all of it is judged anew; a rule that is made then shows when that has been.
    platform.process.end();
    let platform = Platform::start_on(&data, &[]);
    let again = json!({"name": "zz-again", "dead_letters": {"count": 1}});
    make_rule(&platform, again).await;
    let after = until_firing(&platform, &["dead-letters", "old", "zz-again"]).await;
    assert_eq!(after[..2], before);
    let all = ask(&platform, Method::GET, "/api/alerts", None).await;
    assert_eq!(all["alerts"].as_array().map(Vec::len), Some(3), "{all}");
    for (name, alert) in after {
        let path = format!("/api/alerts/{}", alert["id"].as_str().expect("an id"));
        let shown = ask(&platform, Method::GET, &path, None).await;
        let sent = shown["notifications"].as_array().expect("messages");
        assert_eq!(sent.len(), 1, "{name}: {shown}");
    }

    // What the command shows of it is for people.
    let shown = platform.operate(&["alert", "list"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("a command waits for it since"), "{shown}");
    let shown = platform.operate(&["alert-rule", "list"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("a command waits for a host for 1 s"),
        "{shown}"
    );
}

#[tokio::test]
async fn sign_ins_that_fail_are_told_of() {
    let platform = Platform::start(&[]);
    let rule = json!({"name": "guessing", "failed_sign_ins": {"count": 3, "seconds": 60}});
    make_rule(&platform, rule).await;
    let anonymous = platform.anonymous();
    let body = json!({"user": "ada", "password": "not hers, whatever it is"});
    for _ in 0..3 {
        let refused = anonymous.call::<_, Value>(Method::POST, "/api/auth/sign-in", Some(&body));
        let refused = refused.await.expect_err("refused");
        assert_eq!(refused.code(), Some("credentials_invalid"), "{refused:?}");
    }
    let found = until_firing(&platform, &["guessing"]).await;
    assert_eq!(found[0].1["detail"], "3 sign-ins failed within 60 s");
}

#[tokio::test]
async fn rules_are_for_those_who_see_what_they_are_about() {
    let platform = Platform::start(&[]);
    let group = async |name: &str| {
        let body = json!({"name": name});
        let made = ask(&platform, Method::POST, "/api/groups", Some(body)).await;
        made["id"].as_str().expect("an id").to_owned()
    };
    let (lab, other) = (group("lab").await, group("other").await);
    let disk = json!({"percent": 90});
    make_rule(
        &platform,
        json!({"name": "r-lab", "group_id": lab, "host_disk": disk}),
    )
    .await;
    let secret = json!({"name": "r-other", "group_id": other, "host_disk": disk});
    let secret = make_rule(&platform, secret).await;
    let labels =
        json!({"name": "r-labels", "labels": {"site": "<b>", "rack": ""}, "host_disk": disk});
    let labels = make_rule(&platform, labels).await;
    assert_eq!(
        labels["spec"]["labels"],
        json!({"site": "<b>", "rack": ""}),
        "as it was said"
    );

    let key = json!({"name": "lab", "role": "viewer", "grants": {"group_ids": [lab]}});
    let key = ask(&platform, Method::POST, "/api/api-keys", Some(key)).await;
    let key = key["secret"].as_str().expect("a secret").to_owned();
    let viewer = platform.anonymous().with_bearer(Secret::new(key));
    let seen: Value = viewer
        .call::<(), _>(Method::GET, "/api/alert-rules", None)
        .await
        .expect("listed");
    let rules = seen["rules"].as_array().expect("rules").iter();
    let names: Vec<_> = rules
        .map(|rule| rule["spec"]["name"].as_str().expect("a name"))
        .collect();
    let expected = [
        "certificate-ends",
        "host-disk-full",
        "host-flapping",
        "host-offline",
        "queue-age",
        "queue-depth",
        "r-lab",
        "r-labels",
    ];
    assert_eq!(names, expected);
    assert!(!seen.to_string().contains(&other), "{seen}");
    let all = ask(&platform, Method::GET, "/api/alert-rules", None).await;
    assert_eq!(all["rules"].as_array().map(Vec::len), Some(13), "{all}");

    // A group that a rule is about stays, and it is said why.
    let path = format!("/api/groups/{other}");
    let kept = refused(&platform, Method::DELETE, &path, None).await;
    assert!(
        kept.contains("group_in_rules") && kept.contains("r-other"),
        "{kept}"
    );
    let rule = format!("/api/alert-rules/{}", secret["id"].as_str().expect("an id"));
    ask(&platform, Method::DELETE, &rule, None).await;
    ask(&platform, Method::DELETE, &path, None).await;

    let rules = "/api/alert-rules";
    for (spec, code) in [
        (
            json!({"name": "x", "group_id": other, "host_disk": disk}),
            "group_unknown",
        ),
        (
            json!({"name": "x", "channel_ids": [other], "host_disk": disk}),
            "channel_unknown",
        ),
        (
            json!({"name": "x", "labels": {"a b": ""}, "host_disk": disk}),
            "label_invalid",
        ),
        (
            json!({"name": "x", "labels": {"a": ""}, "dead_letters": {"count": 1}}),
            "scope_invalid",
        ),
        (
            json!({"name": "x", "group_id": lab, "platform_storage": disk}),
            "scope_invalid",
        ),
        (
            json!({"name": "x", "queue_depth": {"count": 10_001}}),
            "field_invalid",
        ),
        (
            json!({"name": "x", "failed_sign_ins": {"count": 1, "seconds": 59}}),
            "field_invalid",
        ),
    ] {
        let refused = refused(&platform, Method::POST, rules, Some(json!({"spec": spec}))).await;
        assert!(refused.contains(code), "{spec}: {refused}");
    }
}
