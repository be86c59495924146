//! `fleetwire login` of somebody with a second factor, at a terminal and away from one, with all that was
//! done by the command itself.

use serde_json::Value;

use super::PASSWORD;
use super::create_user;
use super::passwords::App;
use crate::cli::contexts::{Person, Terminal, said};
use crate::support::Platform;

/// What a command for signed-in people prints, as JSON.
fn json(person: &Person, arguments: &[&str]) -> Value {
    let printed = person.done(&[arguments, &["--json"]].concat());
    serde_json::from_str(&printed).expect("JSON")
}

#[tokio::test]
async fn a_code_is_asked_for_at_the_terminal() {
    let platform = Platform::start(&[]);
    create_user(&platform, "ada", "viewer").await;
    let person = Person::new();
    let (url, ca) = (platform.url().to_string(), platform.ca_file());
    let ca = ca.to_str().expect("text");
    let password = person.file("password", PASSWORD);
    let login = ["login", "--user", "ada", "--ca", ca, &url];
    let with_file = [&login[..], &["--password-file", &password]].concat();
    person.done(&with_file);
    let begin = ["auth", "begin-totp", "--password-file", &password];
    let begun = json(&person, &begin);
    let app = App::new(begun["secret"].as_str().expect("a secret"));
    let code = person.file("code", &app.shows(0));
    let on = json(&person, &["auth", "confirm-totp", "--code-file", &code]);
    let recovery = on["recovery_codes"][0].as_str().expect("a code").to_owned();
    person.done(&["logout"]);

    // The password at the prompt, a wrong code, and then another try with the right one.
    for (typed, outcome) in [
        ("000000".to_owned(), "this is no code of now"),
        (app.shows(1), "signed in to"),
    ] {
        let mut terminal = Terminal::start(&person.command(&login));
        terminal.until("Password:");
        terminal.type_in(&format!("{PASSWORD}\r"));
        terminal.until("Code of the second factor:");
        terminal.type_in(&format!("{typed}\r"));
        terminal.until(outcome);
        for secret in [PASSWORD, &typed] {
            assert!(!terminal.seen.contains(secret), "{}", terminal.seen);
        }
    }
    assert!(person.done(&["auth", "get-me"]).contains("ada"));

    // New recovery codes by one of the old, and in with one of the new.
    let old = person.file("old", &recovery);
    let renew = [
        "auth",
        "renew-recovery-codes",
        "--password-file",
        &password,
        "--code-file",
        &old,
    ];
    let renewed = json(&person, &renew);
    let recovery = renewed["recovery_codes"][0].as_str().expect("a code");
    person.done(&["logout"]);
    let mut terminal = Terminal::start(&person.command(&with_file));
    terminal.until("Code of the second factor:");
    terminal.type_in(&format!("{recovery}\r"));
    terminal.until("signed in to");
    assert!(person.done(&["host", "list"]).contains("NAME"));

    // Where there is nobody to ask, it says what is missing.
    let login = person.command(&with_file);
    let mut alone = std::process::Command::new("setsid");
    alone
        .arg("--wait")
        .arg(login.get_program())
        .args(login.get_args());
    for (name, value) in login.get_envs() {
        match value {
            Some(value) => alone.env(name, value),
            None => alone.env_remove(name),
        };
    }
    let alone = alone.stdin(std::process::Stdio::null()).output();
    let alone = alone.expect("there is a setsid of util-linux");
    assert_eq!(alone.status.code(), Some(1), "{}", said(&alone));
    assert!(said(&alone).contains("second factor"), "{}", said(&alone));
}
