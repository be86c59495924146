//! What is refused, and what fails: by the platform, by the agent's owner, and by the file system.

use std::fs;
use std::os::unix::fs::symlink;

use fleetwire::net::http_client::HttpError;
use hyper::Method;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::console::{host::Host, viewer::Session};

impl World {
    /// Posts over REST.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, HttpError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let client = self.platform.client();
        runtime.block_on(client.call(Method::POST, path, Some(body)))
    }

    fn put(&self, remote: &str, more: &[&str]) -> Ran {
        let local = self.text("local");
        self.ran(&[&["files", "put", "kvm", &local, remote, "--wait"], more].concat())
    }
}

fn code(result: Result<Value, HttpError>) -> String {
    let error = result.expect_err("refused");
    error.code().unwrap_or_default().to_owned()
}

#[test]
fn a_path_that_leaves_the_allowed_root_is_refused_with_its_rule() {
    let world = World::start();
    world.sample("local", 1000);
    let rule = ["not_allowed", "commands.file_transfer.to_host"];
    world.put(&world.text("elsewhere/file"), &[]).failed(&rule);
    // One that only begins alike.
    fs::create_dir(world.path("in-other")).expect("made");
    world.put(&world.text("in-other/file"), &[]).failed(&rule);
    world
        .put(&world.text("in/../elsewhere/file"), &[])
        .failed(&["path"]);

    symlink(world.path("elsewhere"), world.path("in/link")).expect("linked");
    world
        .put(&world.text("in/link/file"), &[])
        .failed(&[rule[0], rule[1], "symbolic link"]);
    assert!(names(&world.path("elsewhere")).is_empty());

    // The file itself may be a link: it is replaced, never followed.
    let secret = world.path("elsewhere/secret");
    fs::write(&secret, "as it was").expect("written");
    symlink(&secret, world.path("in/file")).expect("linked");
    world
        .put(&world.text("in/file"), &[])
        .failed(&["target_exists"]);
    world
        .put(&world.text("in/file"), &["--overwrite"])
        .succeeded();
    assert_eq!(fs::read(&secret).expect("there"), b"as it was");
    assert!(
        !fs::symlink_metadata(world.path("in/file"))
            .expect("there")
            .is_symlink()
    );

    let rule = ["not_allowed", "commands.file_transfer.from_host"];
    let get = |remote: &str| world.ran(&["files", "get", "kvm", remote, &world.text("back")]);
    get(&world.text("elsewhere/secret")).failed(&rule);
    symlink(&secret, world.path("out/file")).expect("linked");
    get(&world.text("out/file")).failed(&[rule[0], rule[1], "symbolic link"]);
    symlink(world.path("elsewhere"), world.path("out/folder")).expect("linked");
    get(&world.text("out/folder/secret")).failed(&[rule[0], rule[1], "symbolic link"]);
    fs::create_dir(world.path("out/directory")).expect("made");
    get(&world.text("out/directory")).failed(&["not_a_file"]);
    get(&world.text("out/nothing")).failed(&["io_error"]);
    assert!(fs::metadata(world.path("back")).is_err());
    assert!(world.files().iter().all(|file| file["host_id"].is_null()));
}

#[test]
fn a_file_that_is_there_is_overwritten_only_where_that_is_asked_for() {
    let world = World::start();
    let bytes = world.sample("local", 3000);
    let there = world.path("in/file");
    fs::write(&there, "as it was").expect("written");
    world
        .put(&world.text("in/file"), &[])
        .failed(&["target_exists"]);
    assert_eq!(fs::read(&there).expect("there"), b"as it was");
    world
        .put(&world.text("in/file"), &["--overwrite"])
        .succeeded();
    assert_eq!(fs::read(&there).expect("there"), bytes);
    fs::create_dir(world.path("in/folder")).expect("made");
    world
        .put(&world.text("in/folder"), &["--overwrite"])
        .failed(&["io_error"]);
    assert_eq!(names(&world.path("in")), ["file", "folder"]);
    world
        .put(&world.text("in/set"), &["--mode", "4755"])
        .failed(&["commands.file_transfer.special_bits"]);
    world
        .put(&world.text("in/own"), &["--owner", "daemon"])
        .failed(&["commands.file_transfer.owners"]);
}

#[test]
fn a_file_that_is_not_what_was_said_is_not_taken() {
    let world = World::start();
    let bytes = b"what is said of it";
    let sha256 = fleetwire::audit::export::hex(&Sha256::digest(bytes));
    let announce = |size: u64, sha256: &str| {
        let body = json!({"size_bytes": size, "sha256": sha256, "name": "x"});
        world.post("/api/files", &body)
    };
    assert_eq!(code(announce(3, "short")), "field_invalid");
    assert_eq!(code(announce(u64::MAX, &sha256)), "file_too_large");
    let file = announce(bytes.len() as u64, &sha256).expect("announced");
    let id = file["id"].as_str().expect("an id").to_owned();
    let write = |offset: u64, data: &str| {
        let body = json!({"offset": offset, "data": data});
        world.post(&format!("/api/files/{id}/content"), &body)
    };
    // "what" and what is said of it, in base64.
    let first = write(0, "d2hhdA==").expect("written");
    assert_eq!(
        (&first["received_bytes"], &first["complete"]),
        (&json!(4), &json!(false))
    );
    assert_eq!(code(write(3, "IGlz")), "offset_wrong");
    assert_eq!(
        code(write(4, "eHh4eHh4eHh4eHh4eHh4eHh4eHh4")),
        "file_too_long"
    );
    assert_eq!(code(write(4, "IGlzIHNhaWQgb2YgSVQ=")), "hash_mismatch");
    let transfer = json!({
        "targets": {"hosts": ["kvm"]}, "file_id": id,
        "file_transfer": {"direction": "to_host", "path": world.text("in/file")}
    });
    assert_eq!(
        code(world.post("/api/commands", &transfer)),
        "file_incomplete"
    );
    let whole = write(0, "d2hhdCBpcyBzYWlkIG9mIGl0").expect("written");
    assert_eq!(whole["complete"], true);
    // A piece that was written may be written again, as after an answer that was lost.
    assert_eq!(write(0, "d2hhdA==").expect("there")["complete"], true);
    let made = world.post("/api/commands", &transfer).expect("made");
    let command = made["command_id"].as_str().expect("an id");
    crate::support::until("the file", || fs::read(world.path("in/file")).ok());
    let shown = world.platform.operate_json(&["command", "get", command]);
    assert_eq!(shown["file_transfer"]["sha256"], sha256);
    let unknown = json!({
        "targets": {"hosts": ["kvm"]},
        "file_transfer": {
            "direction": "to_host", "path": "/x", "size_bytes": 7, "sha256": "0".repeat(64)
        }
    });
    assert_eq!(code(world.post("/api/commands", &unknown)), "file_unknown");
    for (transfer, expected) in [
        (json!({"path": "/x"}), "field_invalid"),
        (
            json!({"direction": "from_host", "path": "x"}),
            "path_invalid",
        ),
        (
            json!({"direction": "from_host", "path": "/a/../b"}),
            "path_invalid",
        ),
        (
            json!({"direction": "from_host", "path": "/a", "mode": 420}),
            "field_invalid",
        ),
    ] {
        let body = json!({"targets": {"hosts": ["kvm"]}, "file_transfer": transfer});
        assert_eq!(code(world.post("/api/commands", &body)), expected, "{body}");
    }
}

#[tokio::test]
async fn a_viewer_does_not_reach_the_agents_own_origin() {
    let mut host = Host::start().await;
    let session = Session::open(&host.platform).enter().await;
    for fields in [
        "Origin: https://fleetwire\r\n",
        "X-Forwarded-Host: fleetwire\r\nX-Forwarded-Proto: https\r\n",
        "Forwarded: host=fleetwire;proto=https\r\n",
    ] {
        let mut viewer = session.send("GET /files/c-1", fields).await;
        let exchange = host.exchange().await;
        let origin = exchange.request.origin.as_ref().expect("an origin");
        let public = format!("http://{}", session.host);
        assert_eq!(origin.as_str(), public, "{fields}");
        assert!(!fleetwire::net::own_origin::is_own(&exchange.request));
        exchange.answer(200, "", b"the device");
        assert_eq!(viewer.answer().await.text(), "the device");
    }
    // By that name there is no session, whatever the cookie says.
    let mut viewer = session.viewer().await;
    let request = format!(
        "GET /files/c-1 HTTP/1.1\r\nHost: fleetwire\r\nCookie: {}\r\n\r\n",
        session.cookie
    );
    viewer.write(request.as_bytes()).await;
    assert!(viewer.answer().await.status >= 400);
}
