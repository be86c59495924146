//! How a real host has been: what its agent reports becomes a history that a stop of the platform does not
//! lose, and that whoever may see the host reads.

use std::net::TcpListener;

use hyper::Method;
use serde_json::{Value, json};

use crate::support::{Agent, Platform, until, until_status};

#[tokio::test]
async fn what_an_agent_reports_is_kept_over_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    // At a port that stays, where the agent finds the platform again.
    let reserved = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = reserved.local_addr().expect("bound").to_string();
    drop(reserved);
    let listen = ["--listen", &*address];
    let config = dir.path().join("platform.toml");
    std::fs::write(
        &config,
        "heartbeat = \"1s\"\n[health]\nkeep_minutes = \"2h\"\n",
    )
    .expect("written");
    let flags = [&listen[..], &["--config", config.to_str().expect("text")]].concat();
    let data = dir.path().join("data");
    let mut platform = Platform::start_on(&data, &flags);
    let _agent = Agent::start(&platform, "kvm");
    let host = until("a report", || {
        let host = until_status(&platform, "kvm", "online");
        host["health"]["memory_percent"].is_number().then_some(host)
    });
    let id = host["id"].as_str().expect("an id").to_owned();
    // A minute that goes on is in no answer, and is written when the platform stops.
    platform.process.end();
    let platform = Platform::start_on(&data, &flags);
    until_status(&platform, "kvm", "online");

    let client = platform.client();
    let read = async |query: &str| {
        let path = format!("/api/hosts/{id}/health{query}");
        client.call::<(), Value>(Method::GET, &path, None).await
    };
    let health = read("").await.expect("read");
    // Nothing finer than a minute reaches two hours back, and those of a day would be a crowd.
    assert_eq!(health["step"], "quarter", "{health}");
    let points = health["points"].as_array().expect("points");
    let sum = |member: &str| {
        points
            .iter()
            .filter_map(|point| point[member].as_u64())
            .sum::<u64>()
    };
    assert!(sum("reports") > 0, "{health}");
    assert!(
        sum("bytes_from_agent") > 0 && sum("bytes_to_agent") > 0,
        "{health}"
    );
    let point = points.last().expect("one");
    let memory = &point["memory_percent"];
    let (mean, max) = (memory["mean"].as_f64(), memory["max"].as_f64());
    assert!(
        mean.is_some_and(|mean| mean > 0.0) && max >= mean,
        "{health}"
    );
    assert_eq!(sum("reconnects"), 0, "nobody came back before the stop");

    // By the command, by name.
    let minutes = platform.operate_json(&["host", "health", "kvm", "--since", "1h"]);
    assert_eq!(minutes["step"], "minute");
    assert!(!minutes["points"].as_array().expect("points").is_empty());
    let table = platform.operate(&["host", "health", "kvm"]);
    let table = String::from_utf8(table.stdout).expect("text");
    assert!(
        table.contains("MEMORY") && table.contains("from the agent"),
        "{table}"
    );

    let refused = read("?since=2030-01-01T00:00:00Z").await;
    assert!(
        format!("{refused:?}").contains("range_invalid"),
        "{refused:?}"
    );
    let refused = read("?step=hour").await;
    assert!(refused.is_err(), "{refused:?}");

    // Nobody who may not see the host.
    let key = json!({"name": "none", "role": "viewer", "grants": {"all_hosts": false}});
    let key: Value = client
        .call(Method::POST, "/api/api-keys", Some(&key))
        .await
        .expect("made");
    let secret = key["secret"].as_str().expect("a secret").to_owned();
    let other = platform
        .anonymous()
        .with_bearer(fleetwire::secret::Secret::new(secret));
    let path = format!("/api/hosts/{id}/health");
    let refused = other.call::<(), Value>(Method::GET, &path, None).await;
    assert!(
        format!("{refused:?}").contains("host_unknown"),
        "{refused:?}"
    );
}
