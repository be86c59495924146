//! Commands that are not for all of their hosts at once, or not for now: in waves, at a time, in maintenance
//! windows, and not for hosts that are offline.

use std::time::{Duration, SystemTime};

use fleetwire::clock::UnixMillis;
use fleetwire::ids::Uuid;
use fleetwire::wire::Encoding;
use fleetwire::wire::messages::CommandStatus;
use fleetwire::wire::values::{Name, Text as _};
use hyper::Method;
use serde_json::{Value, json};

use super::scripted::{acknowledged, command, journal, response};
use crate::peers::beside::device_token;
use crate::peers::raw::{RawAgent, hello};
use crate::support::{Platform, until};

/// An agent with a journal: a new one, or one that has had one command in this epoch.
async fn agent(platform: &Platform, token: &str, epoch: Option<Uuid>) -> (RawAgent, Uuid) {
    let mut agent = RawAgent::connect(platform, Encoding::Binary).await;
    let mut hello = hello(token);
    let name = Name::parse("command_ack".to_owned()).expect("a name");
    hello.capabilities.push(name);
    agent.send(hello).await;
    agent.welcome().await;
    let had = u64::from(epoch.is_some());
    let epoch = match epoch {
        Some(epoch) => epoch,
        None => journal(&mut agent, None, 0).await.epoch,
    };
    assert!(!journal(&mut agent, Some(epoch), had).await.report);
    (agent, epoch)
}

async fn ask(platform: &Platform, more: Value) -> Result<Value, (String, String)> {
    let mut body = json!({"system_operation": {"operation": "reboot"}});
    for (member, value) in more.as_object().expect("an object") {
        body[member] = value.clone();
    }
    let client = platform.client();
    let made = client
        .call(Method::POST, "/api/commands", Some(&body))
        .await;
    made.map_err(|error| {
        let code = error.code().unwrap_or_default().to_owned();
        (code, error.to_string())
    })
}

fn stands(platform: &Platform, id: &str) -> Value {
    platform.operate_json(&["command", "get", id])
}

fn until_is(platform: &Platform, id: &str, path: &str, expected: Value) -> Value {
    until(path, || {
        let command = stands(platform, id);
        (command.pointer(path) == Some(&expected)).then_some(command)
    })
}

fn id(made: &Value) -> String {
    made["command_id"].as_str().expect("an id").to_owned()
}

fn now() -> UnixMillis {
    UnixMillis::now()
}

#[tokio::test]
async fn waves_follow_each_other_and_stop_where_too_many_fail() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let platform = Platform::start_on(dir.path(), &[]);
    let tokens = ["a", "b", "c", "d"].map(|name| device_token(&platform, name));
    let (mut a, epoch) = agent(&platform, &tokens[0], None).await;
    let request = json!({
        "targets": {"hosts": ["a", "b", "c", "d"]},
        "waves": {"percent": 25, "max_failures": 0},
    });
    let mut dry = request.clone();
    dry["dry_run"] = true.into();
    let would = ask(&platform, dry).await.expect("answered");
    assert_eq!(
        (&would["waves"], &would["hosts"][3]["wave"]),
        (&json!(4), &json!(4))
    );
    let made = ask(&platform, request).await.expect("accepted");
    let id = id(&made);
    assert_eq!(command(&mut a).await.message_id, id);
    let command_now = stands(&platform, &id);
    let wave = &command_now["wave_state"];
    assert_eq!(
        (&wave["current"], &wave["total"], &wave["held"]),
        (&json!(1), &json!(4), &json!(3))
    );
    // Killed in the middle of a wave, and again between two.
    drop((a, platform));
    let platform = Platform::start_on(dir.path(), &[]);
    let (b, _) = agent(&platform, &tokens[1], None).await;
    let (mut a, _) = agent(&platform, &tokens[0], Some(epoch)).await;
    assert_eq!(command(&mut a).await.message_id, id);
    a.send(response(&id, CommandStatus::Failed)).await;
    acknowledged(&mut a).await;
    let paused = stands(&platform, &id);
    assert_eq!(paused["state"], "paused");
    assert_eq!(paused["wave_state"]["reason"], "failures_exceeded");
    drop((a, b, platform));
    let platform = Platform::start_on(dir.path(), &[]);
    let (mut b, _) = agent(&platform, &tokens[1], None).await;
    assert_eq!(stands(&platform, &id)["state"], "paused");
    let resumed = platform.operate(&["command", "resume", &id]);
    assert!(resumed.status.success(), "{resumed:?}");
    assert_eq!(command(&mut b).await.message_id, id);
    b.send(response(&id, CommandStatus::Success)).await;
    acknowledged(&mut b).await;
    // The third is offline, and holds up the fourth.
    let third = until_is(&platform, &id, "/wave_state/current", json!(3));
    assert_eq!(third["wave_state"]["held"], 1);
    let log = platform
        .operate_json(&["audit", "list", "--all"])
        .to_string();
    assert!(
        log.contains("command.pause") && log.contains("command.resume"),
        "{log}"
    );
    let aborted = platform.operate_json(&["command", "abort", &id]);
    assert_eq!(aborted["cancelled"], 2);
    let over = stands(&platform, &id);
    assert_eq!(
        (&over["state"], &over["summary"]["cancelled"]),
        (&json!("finished"), &json!(2))
    );
}

#[tokio::test]
async fn a_host_that_is_offline_when_its_time_comes_is_passed_over() {
    let platform = Platform::start(&[]);
    let token = device_token(&platform, "a");
    device_token(&platform, "b");
    let (mut a, _) = agent(&platform, &token, None).await;
    let at = now().plus(Duration::from_secs(2));
    let not_before =
        prost_types::Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_millis(at.0));
    let schedule = json!({"not_before": not_before.to_string(), "skip_offline": true});
    let made = ask(
        &platform,
        json!({"targets": {"all": true}, "schedule": schedule}),
    )
    .await;
    let id = id(&made.expect("accepted"));
    assert_eq!(stands(&platform, &id)["summary"]["queued"], 2);
    assert_eq!(command(&mut a).await.message_id, id);
    assert!(now() >= at, "not before its time");
    until_is(&platform, &id, "/summary/cancelled", json!(1));
    let skipped = platform.operate_json(&["delivery", "get", &id, "b"]);
    let delivery = &skipped["delivery"];
    assert_eq!(
        (&delivery["state"], &delivery["reason"]),
        (&json!("cancelled"), &json!("host_offline"))
    );
    let dead = platform.operate_json(&["dead", "list"]);
    assert_eq!(dead["deliveries"], json!([]));
    // At once, where there is no time to wait for.
    let schedule = json!({"skip_offline": true});
    let made = ask(
        &platform,
        json!({"targets": {"hosts": ["b"]}, "schedule": schedule}),
    )
    .await;
    until_is(
        &platform,
        &self::id(&made.expect("accepted")),
        "/state",
        json!("finished"),
    );
}

/// A window of an hour that begins so many hours from now, every day, by UTC.
fn window(hours: u64) -> Value {
    let begins = now().plus(Duration::from_secs(hours * 3600)).to_string();
    let days = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    json!({"windows": [{"days": days, "start": &begins[11..16], "minutes": 60}]})
}

async fn set_windows(platform: &Platform, group: &str, windows: &Value) -> Value {
    let client = platform.client();
    let path = format!("/api/groups/{group}");
    let body = json!({"maintenance_windows": windows});
    let changed = client.call(Method::PATCH, &path, Some(&body)).await;
    changed.unwrap_or_else(|error| json!(error.code()))
}

#[tokio::test]
async fn what_is_for_a_window_waits_until_it_opens_and_again_when_it_closes() {
    let platform = Platform::start(&[]);
    let token = device_token(&platform, "a");
    let group = platform.operate_json(&["group", "create", "lab"]);
    let group = group["id"].as_str().expect("an id").to_owned();
    let asked = json!({
        "targets": {"hosts": ["a"]},
        "schedule": {"in_maintenance_window": true},
    });
    let (code, text) = ask(&platform, asked.clone())
        .await
        .expect_err("it never opens");
    assert!(
        code == "window_missing" && text.contains('a'),
        "{code} {text}"
    );
    platform.operate_json(&["host", "update", "a", "--add-group", &group]);
    let changed = set_windows(&platform, &group, &window(3)).await;
    assert_eq!(changed["maintenance_windows"][0]["time_zone"], "UTC");
    let mut late = asked.clone();
    late["expires_at"] = now().plus(Duration::from_secs(3600)).to_string().into();
    assert_eq!(
        ask(&platform, late).await.expect_err("too late").0,
        "window_late"
    );
    let mut dry = asked.clone();
    dry["dry_run"] = true.into();
    let would = ask(&platform, dry).await.expect("answered");
    assert!(would["hosts"][0]["window_opens_at"].is_string(), "{would}");

    let (mut a, _) = agent(&platform, &token, None).await;
    let id = id(&ask(&platform, asked).await.expect("accepted"));
    // What comes behind it does not wait for it.
    let other = ask(&platform, json!({"targets": {"hosts": ["a"]}})).await;
    let other = self::id(&other.expect("accepted"));
    assert_eq!(command(&mut a).await.message_id, other);
    let begins = now();
    set_windows(&platform, &group, &window(0)).await;
    let sent = command(&mut a).await;
    assert_eq!(sent.message_id, id);
    let end = UnixMillis::from(sent.expires_at.expect("the window's end"));
    assert!(end <= begins.plus(Duration::from_secs(3601)), "{end}");
    // Its agent has not come to it in time: it is neither dead nor done.
    a.send(response(&id, CommandStatus::Expired)).await;
    acknowledged(&mut a).await;
    let waits = platform.operate_json(&["delivery", "get", &id, "a"]);
    assert_eq!(
        (&waits["delivery"]["state"], &waits["delivery"]["reason"]),
        (&json!("queued"), &json!("window_closed"))
    );
    let next = ask(&platform, json!({"targets": {"hosts": ["a"]}})).await;
    let next = self::id(&next.expect("accepted"));
    assert_eq!(
        command(&mut a).await.message_id,
        next,
        "not again in this window"
    );
}

#[tokio::test]
async fn plans_that_nobody_could_mean_are_refused() {
    let platform = Platform::start(&[]);
    device_token(&platform, "a");
    let day = |days: u64| {
        now()
            .plus(Duration::from_secs(days * 24 * 3600))
            .to_string()
    };
    for (more, expected) in [
        (json!({"waves": {}}), "waves_invalid"),
        (json!({"waves": {"size": 0}}), "waves_invalid"),
        (json!({"waves": {"size": 1, "percent": 1}}), "waves_invalid"),
        (json!({"waves": {"percent": 101}}), "field_invalid"),
        (
            json!({"waves": {"size": 1, "pause": 604_801}}),
            "field_invalid",
        ),
        (json!({"waves": {"size": -1}}), "request_invalid"),
        (
            json!({"schedule": {"not_before": "2999-01-01T00:00:00Z"}}),
            "not_before_late",
        ),
        (
            json!({"schedule": {"not_before": "tomorrow"}}),
            "request_invalid",
        ),
        (
            json!({"schedule": {"not_before": day(3)}, "expires_at": day(2)}),
            "expiry_past",
        ),
        (
            json!({"schedule": {"in_maintenance_window": true}}),
            "window_missing",
        ),
    ] {
        let mut request = more.clone();
        request["targets"] = json!({"all": true});
        let refused = ask(&platform, request).await.expect_err("refused");
        assert_eq!(refused.0, expected, "{more}: {}", refused.1);
    }
    // At the command line, what would be.
    device_token(&platform, "b");
    let options = [
        "--wave-size",
        "50%",
        "--max-failures",
        "0",
        "--not-before",
        "2h",
    ];
    let would = [
        &["run", "--all", "--dry-run"][..],
        &options,
        &["--", "true"],
    ]
    .concat();
    let would = platform.operate(&would);
    let (shown, beside) = (would.stdout, would.stderr);
    let (shown, beside) = (
        String::from_utf8_lossy(&shown),
        String::from_utf8_lossy(&beside),
    );
    assert!(
        shown.contains("WAVE") && beside.contains("in 2 waves"),
        "{shown}{beside}"
    );
    // What is past is now.
    let past =
        json!({"targets": {"all": true}, "schedule": {"not_before": "1970-01-01T00:00:00Z"}});
    let id = id(&ask(&platform, past).await.expect("accepted"));
    assert_eq!(
        stands(&platform, &id)
            .get("schedule")
            .cloned()
            .unwrap_or_default(),
        Value::Null
    );
    let client = platform.client();
    let path = format!("/api/commands/{id}/resume");
    let refused = client
        .call::<_, Value>(Method::POST, &path, Some(&json!({})))
        .await;
    assert_eq!(
        refused.expect_err("refused").code(),
        Some("command_not_paused")
    );
    let group = platform.operate_json(&["group", "create", "lab"]);
    let group = group["id"].as_str().expect("an id");
    let good = json!({"days": ["sunday"], "start": "02:00", "minutes": 60});
    for (member, value, expected) in [
        ("days", json!([]), "window_invalid"),
        ("days", json!(["caturday"]), "request_invalid"),
        ("start", json!("24:00"), "window_invalid"),
        ("start", json!(""), "field_invalid"),
        ("minutes", json!(0), "field_invalid"),
        ("minutes", json!(10_081), "field_invalid"),
        ("time_zone", json!("Europe/Atlantis"), "window_invalid"),
        (
            "time_zone",
            json!("../../../etc/localtime"),
            "window_invalid",
        ),
    ] {
        let mut window = good.clone();
        window[member] = value.clone();
        let answer = set_windows(&platform, group, &json!({"windows": [window]})).await;
        assert_eq!(answer, expected, "{member} {value}");
    }
    let many = json!({"windows": vec![good; 17]});
    assert_eq!(
        set_windows(&platform, group, &many).await,
        "request_invalid"
    );
}
