//! One agent before several devices: path routes, a Unix socket, https by pin and by explicit choice,
//! credentials that stay on the agent, and each fault of a target with its code.

use crate::{
    console::viewer::{Answer, Session},
    devices::world::{World, url_of},
};

#[tokio::test]
async fn path_routes_lead_to_every_kind_of_target() {
    let mut world = World::start();
    let hostile = world.device("hostile");
    let ustreamer = world.device("ustreamer");
    let pikvm = world.device("pikvm");
    let (hostile, https) = (url_of(&hostile, "url"), url_of(&pikvm, "url"));
    let pin = pikvm["certificate_sha256"].as_str().expect("a pin");
    let credentials = world.path("credentials");
    std::fs::write(&credentials, "user:secret\n").expect("written");

    world.agent(&[
        hostile,
        &format!("/auth={hostile},credentials_file={}", credentials.display()),
        &format!("/camera={}/", url_of(&ustreamer, "url")),
        &format!(
            "/state=unix:{}",
            world.path("pikvm/ustreamer.sock").display()
        ),
        &format!("/login={https},insecure"),
        &format!("/api={https},pin={pin}"),
        &format!("/other={https},pin={}", "00".repeat(32)),
        "/gone=http://127.0.0.1:9",
    ]);
    let session = Session::open(&world.platform).enter().await;
    let get = async |path: &str| -> Answer {
        let mut viewer = session.send(&format!("GET {path}"), "").await;
        viewer.answer().await
    };

    assert_eq!(get("/landing").await.text(), "/landing");
    // The agent signs in; the browser neither needs nor sees the password.
    assert_eq!(get("/auth/basic").await.text(), "welcome");
    // A path in the target's URL stands in the place of the route's prefix.
    assert!(
        get("/camera/state")
            .await
            .text()
            .starts_with("{\"ok\": true")
    );
    // The socket is that of the ustreamer behind PiKVM's nginx.
    assert!(get("/state").await.text().starts_with("{\"ok\": true"));
    assert!(get("/login/").await.text().contains("<form"));
    // The device's own 401: the request reached it, over TLS with the pinned certificate.
    let check = get("/api/auth/check").await;
    assert_eq!((check.status, check.code()), (401, None));
    // A prefix covers whole segments only.
    assert_eq!(get("/cameras").await.text(), "/cameras");

    for (path, code) in [
        ("/other/", "target_untrusted"),
        ("/gone/", "target_unreachable"),
    ] {
        let refused = get(path).await;
        assert_eq!(
            (refused.status, refused.code()),
            (502, Some(code)),
            "{path}"
        );
    }
}
