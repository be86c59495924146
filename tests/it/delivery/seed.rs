//! An agent that knows only the first peers' `command` and `response`, as JSON.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use fleetwire::wire::Encoding;

use super::scripted::Scripted;
use crate::devices::world::python;
use crate::peers::raw::{RawAgent, upgrade};
use crate::support::Process;
use hyper::Method;

async fn connect(host: &Scripted) -> RawAgent {
    let (socket, _) = upgrade(&host.platform, "", None, &[])
        .await
        .expect("upgraded");
    let mut agent = RawAgent::new(socket, Encoding::Json);
    let hello = json!({"type": "hello", "auth_token": host.token});
    agent.send_raw(Message::text(hello.to_string())).await;
    agent
}

async fn next(agent: &mut RawAgent) -> Value {
    match agent.next_raw().await {
        Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
        other => panic!("no text: {other:?}"),
    }
}

#[tokio::test]
async fn a_json_agent_of_the_first_messages_is_sent_a_command_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut host = Scripted::start(dir.path());
    let id = host.install().await;
    let mut agent = connect(&host).await;
    let command = next(&mut agent).await;
    let members: Vec<_> = command.as_object().expect("an object").keys().collect();
    let seed: Value =
        serde_json::from_str(include_str!("../../vectors/json/command.json")).expect("JSON");
    let mut expected: Vec<_> = seed.as_object().expect("an object").keys().collect();
    expected.sort();
    let mut found = members.clone();
    found.sort();
    assert_eq!(found, expected, "{command}");
    assert_eq!(command["message_id"], *id);
    assert_eq!(
        command["parameters"],
        json!({
            "operation": "install", "packages": ["nginx"], "options": {"yes": true},
        })
    );

    let update = json!({
        "message_type": "status_update", "message_id": "s1", "original_message_id": id,
        "status": "running", "progress_percent": 40, "output": "Unpacking nginx ...",
    });
    agent.send_raw(Message::text(update.to_string())).await;
    host.until_stands(&id, "running");
    let response = json!({
        "message_type": "response", "message_id": "r1", "original_message_id": id,
        "status": "success",
        "result": {"installed_packages": ["nginx"], "execution_time": 45.2, "output": "done"},
    });
    agent.send_raw(Message::text(response.to_string())).await;
    host.until_stands(&id, "succeeded");

    // Nobody knows what became of what it had when it left; of what it never had, all is known.
    let lost = host.install().await;
    assert_eq!(next(&mut agent).await["message_id"], *lost);
    drop(agent);
    host.until_stands(&lost, "interrupted");
    assert_eq!(host.stands(&lost).1, "connection_lost");
    let kept = host.install().await;
    let mut agent = connect(&host).await;
    assert_eq!(
        next(&mut agent).await["message_id"],
        *kept,
        "and nothing was sent twice"
    );

    // The same over a platform that was killed.
    host = host.restart();
    host.until_stands(&kept, "interrupted");
}

/// The agent is a hundred lines of Python with an executor of its own.
#[tokio::test]
async fn a_json_agent_in_python_runs_a_package_operation() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let host = Scripted::start(&dir.path().join("data"));
    let (packages, token) = (dir.path().join("packages"), dir.path().join("kvm.token"));
    std::fs::create_dir(&packages).expect("made");
    std::fs::write(&token, &host.token).expect("written");
    let mut agent = python("tests/json_agent.py");
    let url = format!("wss://{}/v1/agent/ws", host.platform.tls);
    agent.args(["--url", &url, "--server-name", "127.0.0.1"]);
    agent.arg("--token-file").arg(token);
    agent.arg("--ca").arg(host.platform.ca_file());
    agent.arg("--packages").arg(&packages);
    let _agent = Process::start("json_agent.py", &mut agent);
    let id = host.install().await;
    host.until_stands(&id, "succeeded");
    assert!(packages.join("nginx").exists());
    let answer: Value = host
        .platform
        .client()
        .call::<(), _>(
            Method::GET,
            &format!("/api/deliveries?command_id={id}"),
            None,
        )
        .await
        .expect("listed");
    let of = answer["deliveries"][0]["host_id"]
        .as_str()
        .expect("a host")
        .to_owned();
    let path = format!("/api/commands/{id}/deliveries/{of}");
    let detail: Value = host
        .platform
        .client()
        .call::<(), _>(Method::GET, &path, None)
        .await
        .expect("shown");
    let result = detail.to_string();
    assert!(
        result.contains(r#""installed_packages":["nginx"]"#),
        "{result}"
    );
}
