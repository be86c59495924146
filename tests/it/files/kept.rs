//! What the platform keeps of files: within bounds, for whom they concern, and as long as they are needed.

use std::fs;

use fleetwire::secret::Secret;
use hyper::Method;
use serde_json::json;

use super::*;
use crate::support::{Client, until};

fn announcement(size: u64) -> Value {
    json!({"size_bytes": size, "sha256": "0".repeat(64), "name": "x"})
}

async fn asked(client: &Client, method: Method, path: &str, body: Value) -> Result<Value, String> {
    let body = (!body.is_null()).then_some(&body);
    let answer = client.call(method, path, body).await;
    answer.map_err(|error| error.code().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn files_are_bounded_and_seen_by_whom_they_concern() {
    let bounds = "{ total_bytes = 1000, file_bytes = 600 }";
    let platform = Platform::start_with(&[], &[("FLEETWIRE_PLATFORM_FILES", bounds)]);
    let admin = platform.client();
    let post = async |client: &Client, path: &str, body: Value| {
        asked(client, Method::POST, path, body).await
    };
    let refused = post(&admin, "/api/files", announcement(601)).await;
    assert_eq!(refused, Err("file_too_large".to_owned()));
    let made = post(&admin, "/api/files", announcement(600)).await;
    let path = format!(
        "/api/files/{}",
        made.expect("made")["id"].as_str().expect("an id")
    );
    let refused = post(&admin, "/api/files", announcement(401)).await;
    assert_eq!(refused, Err("files_full".to_owned()));

    let key = async |name: &str, role: &str| {
        let user = json!({"name": name, "role": role});
        let user = post(&admin, "/api/users", user).await.expect("made");
        let key = json!({"name": name, "user_id": user["id"], "role": role});
        let key = post(&admin, "/api/api-keys", key).await.expect("made");
        let secret = key["secret"].as_str().expect("a secret").to_owned();
        platform.anonymous().with_bearer(Secret::new(secret))
    };
    let (viewer, operator) = (key("vera", "viewer").await, key("olga", "operator").await);
    for (method, path) in [(Method::POST, "/api/files"), (Method::GET, path.as_str())] {
        let body = match method {
            Method::POST => announcement(1),
            _ => Value::Null,
        };
        let refused = asked(&viewer, method, path, body).await;
        assert_eq!(refused, Err("role_insufficient".to_owned()), "{path}");
    }
    // Somebody else's is as good as none.
    let content = format!("{path}/content");
    for (method, path, body) in [
        (Method::GET, &path, Value::Null),
        (Method::GET, &content, Value::Null),
        (Method::POST, &content, json!({"offset": 0, "data": ""})),
        (Method::DELETE, &path, Value::Null),
    ] {
        let refused = asked(&operator, method, path, body).await;
        assert_eq!(refused, Err("file_unknown".to_owned()), "{path}");
    }
    let own = post(&operator, "/api/files", announcement(10))
        .await
        .expect("made");
    let listed = asked(&operator, Method::GET, "/api/files", Value::Null)
        .await
        .expect("listed");
    assert_eq!(listed["files"], json!([own]));
    let listed = asked(&admin, Method::GET, "/api/files", Value::Null)
        .await
        .expect("listed");
    assert_eq!(listed["files"].as_array().map(Vec::len), Some(2));
    asked(&admin, Method::DELETE, &path, Value::Null)
        .await
        .expect("deleted");
    post(&admin, "/api/files", announcement(590))
        .await
        .expect("there is room again");
}

#[test]
fn what_a_command_needs_stays_and_what_the_disk_lost_is_struck_out() {
    let mut world = World::start();
    world.sample("local", 5000);
    world.agent.process.end();
    let (local, remote) = (world.text("local"), world.text("in/file"));
    world
        .ran(&["files", "put", "kvm", &local, &remote])
        .succeeded();
    let file = world.files().remove(0);
    let id = file["id"].as_str().expect("an id");
    let deleted = world.ran(&["files", "delete", id, "--yes"]);
    deleted.failed(&["a command needs this file"]);
    let commands = world.platform.operate_json(&["command", "list"]);
    let command = commands["commands"][0]["id"].as_str().expect("an id");
    world.ran(&["command", "cancel", command]).succeeded();

    world.platform.process.end();
    let folder = world.data.path().join("files");
    fs::write(folder.join("what-is-this"), "left by a crash").expect("written");
    world.platform = Platform::start_on(world.data.path(), &[]);
    // It says that it listens before it has looked there.
    until("only what is known", || {
        (names(&folder) == [id]).then_some(())
    });
    world.platform.process.end();
    fs::remove_file(folder.join(id)).expect("removed");
    world.platform = Platform::start_on(world.data.path(), &[]);
    assert!(world.files().is_empty());
    let audit = world
        .platform
        .operate_json(&["audit", "list", "--action", "file.lost"]);
    assert_eq!(audit["entries"][0]["target"], format!("file:{id}"));
}

#[test]
fn a_transfer_that_is_cancelled_leaves_nothing() {
    let world = World::start();
    world.sample("local", 64 * MIB);
    let (local, remote) = (world.text("local"), world.text("in/file"));
    world.relay.hold_after(8 * MIB);
    world
        .ran(&["files", "put", "kvm", &local, &remote])
        .succeeded();
    world.relay.until_held();
    until("a part on the disk", || names(&world.path("in")).pop());
    let commands = world.platform.operate_json(&["command", "list"]);
    let command = commands["commands"][0]["id"].as_str().expect("an id");
    world.ran(&["command", "cancel", command]).succeeded();
    world.relay.release();
    until("the command's end", || {
        let command = world.platform.operate_json(&["command", "get", command]);
        (command["summary"]["cancelled"] == 1).then_some(())
    });
    assert!(names(&world.path("in")).is_empty());
    // The audit log says who did what.
    let audit = world
        .platform
        .operate_json(&["audit", "list", "--action", "file."]);
    let entries = audit["entries"].as_array().expect("a list");
    let actions: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry["action"].as_str())
        .collect();
    assert_eq!(actions, ["file.complete", "file.create"]);
}
