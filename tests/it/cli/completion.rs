//! Completion in real shells: what the program prints is sourced, and asked what it completes.

use std::path::PathBuf;
use std::process::Command;

use crate::support::command;

fn script(shell: &str, dir: &std::path::Path) -> PathBuf {
    let output = command("fleetwire").args(["completion", shell]).output();
    let output = output.expect("ran");
    assert!(output.status.success(), "{shell}");
    let path = dir.join(shell);
    std::fs::write(&path, output.stdout).expect("written");
    path
}

/// What bash offers for the last of these words.
fn offered(script: &std::path::Path, words: &[&str]) -> Vec<String> {
    let current = words.len() - 1;
    let ask = format!(
        "source '{}'; COMP_WORDS=({}); COMP_CWORD={current}; COMP_LINE='{}'; \
         _fleetwire fleetwire '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        words
            .iter()
            .map(|word| format!("'{word}'"))
            .collect::<Vec<_>>()
            .join(" "),
        words.join(" "),
        words[current],
        words[current - 1],
    );
    let output = Command::new("bash")
        .args(["--noprofile", "--norc", "-c", &ask])
        .output()
        .expect("there is a bash");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let offered = String::from_utf8(output.stdout).expect("text");
    offered.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let script = script("bash", dir.path());
    let offers = |words: &[&str], word: &str| {
        let offered = offered(&script, words);
        assert!(
            offered.iter().any(|offer| offer == word),
            "{words:?}: {offered:?}"
        );
    };
    offers(&["fleetwire", "ho"], "host");
    offers(&["fleetwire", "session", ""], "open");
    offers(&["fleetwire", "audit", "v"], "verify");
    offers(&["fleetwire", "host", "list", "--st"], "--status");
    offers(&["fleetwire", "host", "list", "--status", ""], "offline");
}

#[test]
fn the_other_shells_have_scripts_of_their_own() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (shell, part) in [
        ("zsh", "#compdef fleetwire"),
        ("fish", "complete -c fleetwire"),
    ] {
        let text = std::fs::read_to_string(script(shell, dir.path())).expect("there");
        assert!(text.contains(part), "{shell}");
    }
}
