//! Settings out of files, the environment and flags.

use super::*;

fn load(file: &str, env: &[(&str, &str)], flags: &[&str]) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("agent.toml");
    std::fs::write(&path, file).expect("written");
    let path = path.to_str().expect("UTF-8");
    let flags = ["fleetwire-agent", "--config", path]
        .into_iter()
        .chain(flags.iter().copied());
    let args = AgentArgs::try_parse_from(flags).expect("flags");
    let env = env
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::load(&args, env)
}

const PLATFORM: &str = "platform = \"https://p.example:8443\"\nstate_dir = \"/var/lib/a\"\n";

fn with(more: &str) -> Result<Config, ConfigError> {
    load(&format!("{PLATFORM}{more}"), &[], &[])
}

#[test]
fn flags_alone_suffice() {
    let flags = [
        "--platform",
        "https://127.0.0.1:8443",
        "--token-file",
        "/t",
        "--state-dir",
        "/s",
        "--target",
        "http://127.0.0.1:8000",
    ];
    let config = load("", &[], &flags).expect("settings");
    assert_eq!(config.platform.authority(), "127.0.0.1:8443");
    assert_eq!(config.token_file.as_deref(), Some(Path::new("/t")));
    assert_eq!(
        config.routes.all()[0].target().authority(),
        "127.0.0.1:8000"
    );
    assert!(!config.name.as_str().is_empty());
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = format!("{PLATFORM}name = \"file\"\n[[target]]\nurl = \"http://file\"\n");
    let env = [
        ("FLEETWIRE_AGENT_NAME", "env"),
        ("FLEETWIRE_AGENT_TARGET", "http://env"),
    ];
    let config = load(&file, &env, &[]).expect("settings");
    assert_eq!(
        (config.name.as_str(), config.routes.all().len()),
        ("env", 1)
    );
    assert_eq!(config.routes.all()[0].target().authority(), "env");
    let flags = ["--name", "flag", "--target", "/api=http://flag"];
    let config = load(&file, &env, &flags).expect("settings");
    assert_eq!(
        (config.name.as_str(), config.routes.all().len()),
        ("flag", 2)
    );
    let (_, route) = config.routes.find("/").expect("a route");
    assert_eq!(route.target().authority(), "file");
}

#[test]
fn a_target_may_be_described_in_full() {
    let directory = tempfile::tempdir().expect("a directory");
    let credentials = directory.path().join("credentials");
    std::fs::write(&credentials, "admin:secret\n").expect("written");
    let config = with(&format!(
        "[[target]]\nurl = \"https://kvm\"\npin = \"{}\"\nhost = \"name:kvm.lan\"\n\
         aliases = [\"pikvm.local\"]\ncredentials_file = {:?}\n\
         [[target]]\npath = \"/video\"\nurl = \"unix:/run/video.sock\"\n",
        "ab".repeat(32),
        credentials,
    ))
    .expect("settings");
    let (_, route) = config.routes.find("/x").expect("a route");
    let target = route.target();
    assert_eq!(target.trust(), Some(&Trust::Pin([0xab; 32])));
    assert_eq!(target.host_mode(), &HostMode::Fixed("kvm.lan".into()));
    assert_eq!(
        target.authorities().collect::<Vec<_>>(),
        ["kvm", "kvm.lan", "pikvm.local"]
    );
    let credential = target.credential().expect("a credential");
    assert_eq!(credential.expose(), b"Basic YWRtaW46c2VjcmV0");
    assert!(
        !format!("{config:?}").contains("YWRtaW4"),
        "no secret in Debug"
    );
}

#[test]
fn a_flag_may_say_how_to_trust() {
    let pin = format!("/k=https://kvm,pin={}", "0a".repeat(32));
    let flags = [
        "--target",
        "https://a,insecure,host=public,aliases=b,aliases=c",
        "--target",
        &pin,
    ];
    let config = load(PLATFORM, &[], &flags).expect("settings");
    let (_, root) = config.routes.find("/").expect("a route");
    assert_eq!(root.target().trust(), Some(&Trust::Insecure));
    assert_eq!(root.target().host_mode(), &HostMode::Public);
    assert_eq!(
        root.target().authorities().collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    let (_, pinned) = config.routes.find("/k").expect("a route");
    assert_eq!(pinned.target().trust(), Some(&Trust::Pin([0x0a; 32])));
}

#[test]
fn kinds_of_commands_are_allowed_by_file_environment_and_flag() {
    let target = "[[target]]\nurl = \"http://a\"\n";
    let file = format!("{PLATFORM}{target}[commands]\nconcurrent = 2\nallow = [\"script\"]\n");
    let config = load(&file, &[], &[]).expect("settings");
    assert_eq!(config.commands.concurrent, 2);
    assert!(config.commands.allowed.script.is_some());
    let nothing = [("FLEETWIRE_AGENT_ALLOW_COMMAND", "")];
    let config = load(&file, &nothing, &[]).expect("settings");
    assert!(config.commands.allowed.script.is_none());
    let flag = ["--allow-command", "script"];
    let config = load(&file, &nothing, &flag).expect("settings");
    assert!(config.commands.allowed.script.is_some());
    let error = load(&file, &[], &["--allow-command", "scripts"]).expect_err("no such kind");
    assert!(error.to_string().contains("commands: "), "{error}");
}

#[test]
fn errors_name_file_key_and_reason() {
    for (more, parts) in [
        ("nme = \"x\"\n", &["agent.toml", "nme", "unknown field"][..]),
        ("name = 5\n", &["agent.toml", "name", "invalid type"]),
        (
            "name = \"\"\n[[target]]\nurl = \"http://a\"\n",
            &["name", "1 to 63"],
        ),
        (
            "name = \"my kvm\"\n[[target]]\nurl = \"http://a\"\n",
            &["name: \"my kvm\"", "letters, digits, hyphens"],
        ),
        (
            "[[target]]\nurl = \"http://a\"\npot = 1\n",
            &["agent.toml", "pot", "unknown field"],
        ),
        (
            "[[target]]\nurl = \"kvm\"\n",
            &["agent.toml", "target /: url", "http://"],
        ),
        (
            "[[target]]\nurl = \"https://kvm\"\n",
            &["target /: url", "pin, ca_file or insecure"],
        ),
        (
            "[[target]]\nurl = \"https://kvm\"\npin = \"ab\"\n",
            &["target /: pin", "64 hexadecimal"],
        ),
        (
            "[[target]]\nurl = \"https://kvm\"\nca_file = \"/no/ca\"\n",
            &["ca_file", "/no/ca"],
        ),
        (
            "[[target]]\nurl = \"http://a\"\nhost = \"x\"\n",
            &["target /: host", "device"],
        ),
        (
            "[[target]]\nurl = \"http://a\"\ncredentials_file = \"/no\"\n",
            &["credentials_file", "/no"],
        ),
        (
            "[[target]]\nurl = \"http://a\"\n[[target]]\nurl = \"http://b\"\n",
            &["target", "two targets"],
        ),
        ("", &["target", "--target"]),
    ] {
        let error = with(more).expect_err(more).to_string();
        for part in parts {
            assert!(error.contains(part), "{part:?} in {error:?}");
        }
    }
    for (env, flags, part) in [
        (("FLEETWIRE_AGENT_NMAE", "x"), &[][..], "no such setting"),
        (("FLEETWIRE_AGENT_LOG_FORMAT", "xml"), &[], "text or json"),
        (
            ("X", ""),
            &["--target", "https://a,secure"],
            "insecure, pin=",
        ),
        (
            ("X", ""),
            &["--target", "http://a", "--platform", "http://127.0.0.1:1"],
            "TLS only",
        ),
        (
            ("X", ""),
            &["--target", "http://a", "--platform", "p"],
            "platform",
        ),
    ] {
        let error = load(PLATFORM, &[env], flags).expect_err(part).to_string();
        assert!(error.contains(part), "{part:?} in {error:?}");
    }
    assert!(load("", &[], &["--target", "http://a"]).is_err());
}
