//! An agent of 60 lines of Python that knows only the first seed's messages puts a page on the platform.

use serde_json::json;

use crate::{
    devices::{
        interfaces::browse,
        world::{World, python},
    },
    support::until_status,
};

#[test]
fn a_json_agent_of_the_first_seed_serves_a_page() {
    let mut world = World::start();
    let host = world.platform.operate_json(&["host", "create", "kvm"]);
    let token = world.path("kvm.token");
    std::fs::write(&token, host["auth_token"].as_str().expect("a token")).expect("written");
    let mut agent = python("tests/json_agent.py");
    let url = format!("wss://{}/v1/agent/ws", world.platform.tls);
    agent.args(["--url", &url, "--server-name", "127.0.0.1"]);
    agent.arg("--token-file").arg(token);
    agent.arg("--ca").arg(world.platform.ca_file());
    world.start_inside("json_agent.py", &agent);
    until_status(&world.platform, "kvm", "online");
    browse(&world, &json!({"name": "json_agent"}));
}
