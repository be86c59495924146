//! Signing in with a password: what is kept, what becomes of it when it ends, and that commands side by
//! side do not end each other's.

use std::fs;
use std::process::{Child, Stdio};

use super::contexts::{PASSWORD, Person, said};
use crate::support::Platform;

/// A user who has signed in.
fn signed_in(platform: &Platform) -> Person {
    let person = Person::new();
    let password = person.file("password", PASSWORD);
    platform.operate_json(&[
        "user",
        "create",
        "ada",
        "--role=operator",
        "--grants-all-hosts",
        "--password-file",
        &password,
    ]);
    let ca = platform.ca_file();
    let ca = ca.to_str().expect("text");
    let url = platform.url().to_string();
    person.done(&[
        "login",
        "--user",
        "ada",
        "--password-file",
        &password,
        "--ca",
        ca,
        &url,
    ]);
    person
}

fn config(person: &Person) -> String {
    fs::read_to_string(person.config()).expect("there")
}

/// Lets the access token have ended, as far as the command knows.
fn end_access(person: &Person) {
    let text = config(person);
    let lines = text.lines().map(|line| match line.split_once(" = ") {
        Some(("access_expires", _)) => "access_expires = 1",
        _ => line,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    fs::write(person.config(), text).expect("written");
}

fn refresh_token(person: &Person) -> String {
    let text = config(person);
    let line = text.lines().find(|line| line.starts_with("refresh_token"));
    line.expect("there").to_owned()
}

#[test]
fn commands_side_by_side_take_one_refresh_token_once() {
    let platform = Platform::start(&[]);
    let person = signed_in(&platform);
    assert!(person.done(&["auth", "get-me"]).contains("ada"));
    for _ in 0..3 {
        let before = refresh_token(&person);
        end_access(&person);
        let start = || {
            let mut command = person.command(&["host", "list"]);
            command.stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().expect("started")
        };
        let children: Vec<Child> = (0..6).map(|_| start()).collect();
        for child in children {
            let output = child.wait_with_output().expect("ended");
            assert!(output.status.success(), "{}", said(&output));
        }
        assert_ne!(refresh_token(&person), before);
    }
}

#[test]
fn a_sign_in_that_has_ended_says_so() {
    let platform = Platform::start(&[]);
    let person = signed_in(&platform);
    let kept = config(&person);
    person.done(&["logout"]);
    assert!(!config(&person).contains("token"), "nothing is left");
    assert_eq!(person.run(&["host", "list"]).status.code(), Some(2));

    // The platform has ended it too: what was copied before is worth nothing.
    fs::write(person.config(), kept).expect("written");
    assert_eq!(person.run(&["host", "list"]).status.code(), Some(1));
    end_access(&person);
    let ended = person.run(&["host", "list"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(said(&ended).contains("fleetwire login"), "{}", said(&ended));
}

#[test]
fn a_wrong_password_signs_nobody_in() {
    let platform = Platform::start(&[]);
    let person = signed_in(&platform);
    let wrong = person.file("wrong", "incorrect horse battery staple");
    let url = platform.url().to_string();
    let ca = platform.ca_file();
    let ca = ca.to_str().expect("text");
    let kept = config(&person);
    let refused = person.run(&[
        "login",
        "--user",
        "ada",
        "--password-file",
        &wrong,
        "--ca",
        ca,
        &url,
    ]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert_eq!(config(&person), kept);
}
