//! The hosts themselves: what ends all that they do is agreed to first, and an inventory is shown in a few words.

use serde_json::{Value, json};

use super::contexts::Terminal;
use super::fleet::{hosts, made, of, operator, ran, said};
use crate::support::{Agent, Platform};

#[test]
fn what_ends_all_that_a_host_does_is_agreed_to() {
    let platform = Platform::start(&[]);
    // No agent is there: nobody restarts anything.
    hosts(&platform, &["kvm-1", "kvm-2"]);
    let none = || platform.operate_json(&["command", "list"])["commands"] == json!([]);
    for (word, becomes) in [("reboot", "restart"), ("shutdown", "power off")] {
        let refused = ran(&platform, &["system", word, "kvm-1"]);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        let text = said(&refused);
        let asked = format!("kvm-1 will {becomes}");
        assert!(text.contains(&asked) && text.contains("--yes"), "{text}");
        let dry = made(&ran(&platform, &["system", word, "--all", "--dry-run"]));
        assert!(dry.contains("kvm-1") && dry.contains("kvm-2"), "{dry}");

        let mut terminal = Terminal::start(&operator(&platform, &["system", word, "--all"]));
        terminal.until(&format!("kvm-1, kvm-2 will {becomes}: go ahead? [y/N]"));
        terminal.type_in("n\r");
        terminal.until("nothing was done");
        assert!(none(), "{word}");
    }
    let mut terminal = Terminal::start(&operator(&platform, &["system", "reboot", "kvm-2"]));
    terminal.until("[y/N]");
    terminal.type_in("y\r");
    terminal.until("follow it with");
    let list = platform.operate_json(&["command", "list"]);
    assert_eq!(list["commands"][0]["targets"], "hosts kvm-2");

    let asked = |line: &[&str], expected: &[(&str, &str)]| {
        let command = of(&platform, &made(&ran(&platform, line)));
        for (member, value) in expected {
            assert_eq!(command["system_operation"][*member], *value, "{line:?}");
        }
    };
    let shutdown = ["system", "shutdown", "--all", "--yes"];
    asked(&shutdown, &[("operation", "shutdown")]);
    let name = ["system", "hostname", "kvm-1", "rack-7.example.com"];
    let named = [
        ("operation", "set_hostname"),
        ("hostname", "rack-7.example.com"),
    ];
    asked(&name, &named);
    let zone = ["system", "time", "kvm-1", "--zone", "Europe/Berlin"];
    let zoned = [("operation", "set_time"), ("time_zone", "Europe/Berlin")];
    asked(&zone, &zoned);
    let set = [&zone[..], &["--set", "2026-01-01T00:00:00Z"]].concat();
    asked(&set, &[("time", "2026-01-01T00:00:00Z")]);
    let refused = ran(&platform, &["system", "time", "kvm-1"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
}

#[test]
fn an_inventory_is_shown_in_a_few_words() {
    let platform = Platform::start(&[]);
    let _agent = Agent::start_allowing(&platform, "kvm-1", &["inventory"]);
    let one = ran(&platform, &["inventory", "kvm-1"]);
    let facts = made(&one);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("Linux");
    for part in [kernel.trim(), "system", "processors", "memory", "GiB"] {
        assert!(facts.contains(part), "{part}: {facts}");
    }
    assert!(said(&one).contains("kvm-1: succeeded"), "{}", said(&one));
    let packages = made(&ran(&platform, &["inventory", "kvm-1", "--packages"]));
    let mut lines = packages.lines();
    let head = lines.next().expect("a line");
    assert!(head.starts_with("PACKAGE "), "{head}");
    assert!(lines.any(|line| line.starts_with("dpkg ")), "{packages}");

    let whole = made(&ran(&platform, &["inventory", "kvm-1", "--json"]));
    let lines: Vec<Value> = whole
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let inventory = &lines[1]["inventory"];
    assert_eq!(inventory["operating_system"]["kernel"], kernel.trim());
    assert_eq!(lines[2]["state"], "finished");

    // Of several a row each; what one does not allow does not hide what the others say.
    let _other = Agent::start_allowing(&platform, "kvm-2", &["inventory"]);
    let _closed = Agent::start(&platform, "kvm-3");
    let several = ran(&platform, &["inventory", "--all", "--yes"]);
    assert_eq!(several.status.code(), Some(1), "{}", said(&several));
    assert!(said(&several).contains("not_allowed"), "{}", said(&several));
    let table = String::from_utf8_lossy(&several.stdout).into_owned();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(
        lines[0].starts_with("HOST ") && lines[0].contains("MEMORY"),
        "{table}"
    );
    assert!(
        lines[1].starts_with("kvm-1 ") && lines[2].starts_with("kvm-2 "),
        "{table}"
    );
}
