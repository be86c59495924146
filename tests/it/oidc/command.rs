//! The operator's command: it sends the browser to the provider, and is come back to on its own machine.

use hyper::Method;

use super::browser::{self, Browser};
use super::provider::Provider;
use crate::support::{Process, command};

#[tokio::test]
async fn the_command_signs_in_through_the_browser() {
    let provider = Provider::start();
    let more = ", create_users = true, default_role = 'viewer'";
    let (platform, dir) = super::api::platform(&provider, more);
    let mut login = command("fleetwire");
    login.env("XDG_CONFIG_HOME", dir.path());
    login
        .args(["login", "--oidc", "--context", "o", "--ca"])
        .arg(platform.ca_file());
    let mut login = Process::start("login", login.arg(platform.url().to_string()));
    let address = login.line("code_challenge").trim().to_owned();
    let begun = address
        .split_once("redirect_uri=")
        .expect("it says where to")
        .1;
    let landing = begun.split('&').next().expect("a value");
    let landing = landing.replace("%3A", ":").replace("%2F", "/");
    assert!(landing.starts_with("http://127.0.0.1:"), "{landing}");
    let back = Browser::default().sign_in(&address, "ada", &landing).await;
    // A stranger's page sends the browser there with a code of its own, and is not listened to.
    let foreign = format!("{landing}?code=stolen&state=other");
    let answer = browser::request(Method::GET, &foreign, String::new(), &[]).await;
    assert_eq!(answer.status, 404);
    let own = format!("{landing}?code={}&state={}", back["code"], back["state"]);
    let answer = browser::request(Method::GET, &own, String::new(), &[]).await;
    assert!(answer.body.contains("terminal"), "{}", answer.body);
    assert!(login.ended().success(), "{}", login.said());
    assert!(login.said().contains("as ada"), "{}", login.said());

    let me = command("fleetwire")
        .env("XDG_CONFIG_HOME", dir.path())
        .args(["auth", "get-me", "--json"])
        .output()
        .expect("ran");
    let me: serde_json::Value = serde_json::from_slice(&me.stdout).expect("JSON");
    assert_eq!(me["name"], "ada");
}
