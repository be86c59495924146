//! Which layer wins, what is refused, and what the defaults are.

use super::*;

fn load(file: &str, env: &[(&str, &str)], flags: &[&str]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("platform.toml");
    std::fs::write(&path, file).expect("written");
    let path = path.to_str().expect("text");
    let flags = ["fleetwire-platform", "--config", path]
        .into_iter()
        .chain(flags.iter().copied());
    let args = Args::try_parse_from(flags).expect("known flags");
    Config::load(
        &args,
        env.iter().map(|(name, value)| (name.into(), value.into())),
    )
}

#[test]
fn the_defaults_are_for_one_machine() {
    let config = load("data_dir = '/d'", &[], &[]).expect("usable");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8443");
    assert_eq!(
        config.http.map(|http| http.to_string()).as_deref(),
        Some("127.0.0.1:8080")
    );
    assert_eq!(config.console_domain, "localhost");
    assert_eq!(config.heartbeat, Duration::from_secs(15));
    assert_eq!(config.audit_keep, None, "what is recorded stays");
    let names = config.certificate_names();
    for name in [
        "localhost",
        "127.0.0.1",
        "::1",
        "*.localhost",
        "platform.fleetwire.internal",
    ] {
        assert!(names.iter().any(|other| other == name), "{name}");
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "data_dir = '/file'\nconsole_domain = 'file.example'\nheartbeat = '20s'";
    let env = [
        ("FLEETWIRE_PLATFORM_DATA_DIR", "/env"),
        ("FLEETWIRE_PLATFORM_CONSOLE_DOMAIN", "ENV.example."),
        ("FLEETWIRE_PLATFORM_NAMES", "a.example, 10.0.0.1"),
        ("FLEETWIRE_PLATFORM_HTTP", "off"),
        ("FLEETWIRE_PLATFORM_CONNECTIONS_MAX", "10"),
        ("FLEETWIRE_PLATFORM_CONSOLE_PUBLIC", "https:443"),
        ("PATH", "/bin"),
    ];
    let config = load(file, &env, &["--data-dir", "/flag"]).expect("usable");
    assert_eq!(config.data_dir, PathBuf::from("/flag"));
    assert_eq!(config.console_domain, "env.example");
    assert_eq!(config.heartbeat, Duration::from_secs(20));
    assert_eq!(config.names, ["a.example", "10.0.0.1"]);
    assert_eq!((config.http, config.connections_max), (None, 10));
    assert_eq!(
        config.console_public,
        Some(PublicPort {
            https: true,
            port: 443
        })
    );
}

#[test]
fn what_no_setting_is_called_is_refused() {
    assert!(
        matches!(load("data_dir = '/d'\nlistne = 'x'", &[], &[]), Err(ConfigError::Setting(text)) if text.contains("listne"))
    );
    let env = [("FLEETWIRE_PLATFORM_LISTNE", "x")];
    assert!(matches!(
        load("data_dir = '/d'", &env, &[]),
        Err(ConfigError::Setting(_))
    ));
    assert!(matches!(
        load("data_dir = ", &[], &[]),
        Err(ConfigError::Syntax { .. })
    ));
}

#[test]
fn what_would_do_harm_is_refused() {
    let refused = |file: &str| match load(&format!("data_dir = '/d'\n{file}"), &[], &[]) {
        Err(ConfigError::Value { key, .. }) => key,
        other => panic!("{file}: {other:?}"),
    };
    assert_eq!(refused("http = '0.0.0.0:8080'"), "http");
    assert_eq!(refused("console_domain = '10.0.0.1'"), "console_domain");
    assert_eq!(refused("server_name = 'a b'"), "server_name");
    assert_eq!(refused("names = ['a b']"), "names");
    assert_eq!(refused("certificate = '/c'"), "certificate");
    for setting in [
        "names = ['fleet.Example.com.']",
        "names = ['*.fleet.example.com']",
    ] {
        let under = format!("console_domain = 'example.com'\n{setting}");
        assert_eq!(
            refused(&under),
            "names",
            "it would be taken for a session's"
        );
    }
    let beside = "data_dir = '/d'\nconsole_domain = 'c.example.com'\n\
                  names = ['example.com', 'c.example.com', '*.c.example.com', 'xc.example.com']";
    assert!(load(beside, &[], &[]).is_ok());
    let enrolled = "data_dir = '/d'\nconsole_domain = 'example.com'\n\
                    server_name = 'fleet.example.com'";
    assert!(load(enrolled, &[], &[]).is_ok(), "agents may dial another");
    assert_eq!(refused("heartbeat = '0s'"), "heartbeat");
    assert_eq!(refused("audit_keep = '23h'"), "audit_keep");
    assert_eq!(refused("connections_max = 0"), "connections_max");
    assert!(matches!(
        load("", &[], &[]),
        Err(ConfigError::Value {
            key: "data_dir",
            ..
        })
    ));
    let behind = "data_dir = '/d'\nhttp = '0.0.0.0:8080'\nhttp_behind_proxy = true";
    assert!(load(behind, &[], &[]).is_ok());
}

#[test]
fn sign_in_over_a_provider_has_a_table() {
    let table =
        "data_dir = '/d'\n[oidc]\nissuer = 'https://id.example.com'\nclient_id = 'fleetwire'";
    let config = load(table, &[], &[]).expect("usable");
    assert!(config.oidc.is_some_and(|oidc| !oidc.create_users));
    let variable = [(
        "FLEETWIRE_PLATFORM_OIDC",
        "{ issuer = 'https://id.example.com', client_id = 'fleetwire' }",
    )];
    assert!(load("data_dir = '/d'", &variable, &[]).is_ok_and(|config| config.oidc.is_some()));
    assert!(matches!(
        load(&format!("{table}\nscopes = ['a b']"), &[], &[]),
        Err(ConfigError::Oidc(_))
    ));
    assert!(matches!(
        load(&format!("{table}\nclient_secret = 'x'"), &[], &[]),
        Err(ConfigError::Setting(_))
    ));
}

#[test]
fn a_collector_is_named_by_a_setting_or_as_for_every_program() {
    let common = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://common:4318/");
    let own = (
        "FLEETWIRE_PLATFORM_OTLP_ENDPOINT",
        "https://own.example/otlp",
    );
    let traces = |env: &[(&str, &str)]| {
        let config = load("data_dir = '/d'", env, &[]).expect("usable");
        config.otlp_endpoint.map(|endpoint| endpoint.traces())
    };
    assert_eq!(traces(&[]), None);
    assert_eq!(traces(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), None);
    let expected = "http://common:4318/v1/traces";
    assert_eq!(traces(&[common]).as_deref(), Some(expected));
    let expected = "https://own.example/otlp/v1/traces";
    for env in [[common, own], [own, common]] {
        assert_eq!(traces(&env).as_deref(), Some(expected));
    }
    for file in [
        "otlp_endpoint = 'collector:4318'",
        "otlp_endpoint = 'ftp://collector'",
        "otlp_endpoint = 'http://'",
        "otlp_endpoint = 'http://user:secret@collector'",
        "otlp_endpoint = 'http://collector/?a=b'",
        "otlp_sample_ratio = 1.1",
        "otlp_sample_ratio = -0.1",
        "otlp_sample_ratio = nan",
        "otlp_sample_ratio = 'half'",
    ] {
        let file = format!("data_dir = '/d'\n{file}");
        let refused = load(&file, &[], &[]);
        assert!(matches!(refused, Err(ConfigError::Setting(_))), "{file}");
    }
    for (text, ratio) in [("1", 1.0), ("0.25", 0.25), ("0", 0.0)] {
        let env = [("FLEETWIRE_PLATFORM_OTLP_SAMPLE_RATIO", text)];
        let config = load("data_dir = '/d'", &env, &[]).expect("usable");
        assert!((config.otlp_sample_ratio.get() - ratio).abs() < 1e-9);
    }
}

#[test]
fn how_hosts_have_been_is_kept_as_long_as_is_said() {
    let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
    let config = load("data_dir = '/d'", &[], &[]).expect("usable");
    let HealthSettings {
        keep_minutes,
        keep_quarters,
        keep_three_hours,
    } = config.health;
    let kept = [keep_minutes, keep_quarters, keep_three_hours];
    assert_eq!(kept, [hours(24), hours(14 * 24), hours(400 * 24)]);
    let file = "data_dir = '/d'\n[health]\nkeep_quarters = '2d'";
    let config = load(file, &[], &[]).expect("usable");
    assert_eq!(config.health.keep_quarters, hours(48));
    for wrong in ["keep_minutes = '59m'", "keep_days = '1d'"] {
        let file = format!("data_dir = '/d'\n[health]\n{wrong}");
        load(&file, &[], &[]).expect_err(wrong);
    }
}
