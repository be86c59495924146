//! What `packaging/` has for Prometheus and Grafana: promtool takes the rules and sees each alert fire when it is
//! to; a real Prometheus that scrapes a real platform has data for every query of the dashboard and evaluates
//! every rule. The metrics themselves are `metrics`' part.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use fleetwire::platform::metrics;
use hyper::StatusCode;
use serde_json::Value;
use tempfile::TempDir;

use crate::console::viewer::Session;
use crate::metrics::Watched;
use crate::support::{Agent, Platform, Process, command, until, until_status};
use crate::traces::Collector;

const RULES: &str = "packaging/prometheus/fleetwire.rules.yml";
const EXAMPLE: &str = "packaging/prometheus/prometheus.yml";
const BOARD: &str = "packaging/grafana/fleetwire.json";
const RULES_TEST: &str = "tests/metrics/rules.test.yml";
/// How metrics are called that a platform has, and what is recorded of them.
const OURS: [&str; 3] = ["fleetwire_", "fleetwire:", "process_"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("there")
}

/// Installs Prometheus where the machine has none.
fn set_up() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let made = Command::new("sh")
            .arg(root().join("tests/setup/prometheus.sh"))
            .stdin(Stdio::null())
            .output()
            .expect("there is a shell");
        assert!(made.status.success(), "Prometheus: {made:?}");
    });
}

#[test]
fn promtool_takes_the_rules_and_each_alert_fires_when_it_is_to() {
    set_up();
    for arguments in [
        ["check", "rules", RULES],
        ["check", "config", EXAMPLE],
        ["test", "rules", RULES_TEST],
    ] {
        let mut promtool = Command::new("promtool");
        let said = promtool.args(arguments).current_dir(root()).output();
        let said = said.expect("installed above");
        assert!(said.status.success(), "{arguments:?}: {said:?}");
    }
    let tested = text(RULES_TEST);
    let operations = text("docs/OPERATIONS.md");
    let rules = text(RULES);
    let alerts: Vec<_> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() > 20, "{alerts:?}");
    for alert in alerts {
        assert!(
            tested.contains(&format!("name: {alert}\n")),
            "{alert} is not tested"
        );
        let row = format!("| `{alert}` |");
        assert!(operations.contains(&row), "the runbook has no {alert}");
        let named = format!("runbook: docs/OPERATIONS.md, {alert}\n");
        assert!(rules.contains(&named), "{alert} does not name its runbook");
    }
}

#[test]
fn the_rules_and_the_dashboard_name_metrics_that_there_are() {
    let board: Value = serde_json::from_str(&text(BOARD)).expect("JSON");
    let mut used = BTreeSet::new();
    for (title, query) in queries(&board) {
        let names = unknown(&query);
        assert!(names.is_empty(), "{title}: there is no {names:?}");
        used.extend(metrics_of(&query));
    }
    let rules = text(RULES);
    // Names of what is recorded are checked where a Prometheus has recorded it.
    let names: Vec<_> = unknown(&rules)
        .into_iter()
        .filter(|name| !name.contains(':'))
        .collect();
    assert!(names.is_empty(), "there is no {names:?}");
    // And what there is can be seen.
    for definition in metrics::ALL {
        let name = definition.full_name();
        let shown = used.iter().any(|used| base(used) == name);
        assert!(shown, "the dashboard does not show {name}");
    }
    assert_eq!(
        unknown("rate(fleetwire_made_up_total[5m])"),
        ["fleetwire_made_up_total"]
    );
}

#[tokio::test]
async fn every_panel_and_every_rule_finds_its_data_in_a_real_prometheus() {
    set_up();
    let (_collector, endpoint) = Collector::start(StatusCode::OK);
    let watched = Watched::start(&[
        ("FLEETWIRE_PLATFORM_HEARTBEAT", "1s"),
        ("FLEETWIRE_PLATFORM_OTLP_ENDPOINT", &endpoint),
    ]);
    let prometheus = Prometheus::start(&watched);
    let platform = &watched.platform;
    // All that counts is to be counted while it is watched: a rate needs a before.
    prometheus.until_has("fleetwire_build");
    let _running = work(&watched).await;

    let board: Value = serde_json::from_str(&text(BOARD)).expect("JSON");
    let all = queries(&board);
    assert!(all.len() > 50, "{}", all.len());
    let mut missing = Vec::new();
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until("data in every panel", || {
            // What is watched goes on.
            run_something(platform);
            missing = prometheus.without_data(&all);
            missing.is_empty().then_some(())
        })
    }));
    assert!(found.is_ok(), "no data in {missing:#?}");

    // Each rule was evaluated, and what it looks at is there.
    let rules = until("every rule evaluated", || {
        let groups = prometheus.ask("/api/v1/rules", &[]);
        let rules: Vec<Value> = groups["groups"]
            .as_array()?
            .iter()
            .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
            .collect();
        rules
            .iter()
            .all(|rule| rule["health"] != "unknown")
            .then_some(rules)
    });
    assert_eq!(rules.len(), text(RULES).matches(" expr: ").count());
    let mut fires = Vec::new();
    for rule in &rules {
        let query = rule["query"].as_str().expect("a query");
        assert_eq!(rule["health"], "ok", "{rule:#}");
        for name in metrics_of(query) {
            prometheus.until_has(&name);
        }
        prometheus.has_these_labels(query);
        if rule["state"] == "firing" {
            fires.push(rule["name"].as_str().unwrap_or_default());
        }
    }
    assert!(fires.is_empty(), "{fires:?} fires, and all is well");

    // A dashboard that names what is not there is found out.
    let board = board.to_string();
    assert!(board.contains("fleetwire_store_queued"));
    let board = board.replace("fleetwire_store_queued", "fleetwire_store_stacked");
    let board: Value = serde_json::from_str(&board).expect("JSON");
    let missing = prometheus.without_data(&queries(&board));
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(
        missing[0].contains("fleetwire_store_stacked"),
        "{missing:?}"
    );
}

/// Has a platform do some of everything. What is returned goes on until it is dropped.
async fn work(watched: &Watched) -> (Process, Agent) {
    let platform = &watched.platform;
    let mut device = command("fleetwire");
    device.args(["demo-device", "--open", "--listen", "127.0.0.1:0"]);
    let mut device = Process::start("device", &mut device);
    let line = device.line("demo device on ");
    let url = line.rsplit(' ').next().expect("its address");
    let mut agent = Agent::start_for(platform, "kvm", &[url]);
    agent.flags = vec!["--allow-command".to_owned(), "script".to_owned()];
    agent.process.signal("KILL");
    agent.process.ended();
    let lost = [("reason", "lost")];
    watched.until_at_least("fleetwire_agent_disconnects_total", &lost, 1.0);
    agent.restart(platform, "kvm");
    let returned = [("kind", "returned")];
    watched.until_at_least("fleetwire_agent_reconnects_total", &returned, 1.0);
    until_status(platform, "kvm", "online");
    run_something(platform);
    // A session, with an exchange that its viewer leaves.
    let session = Session::open(platform).enter().await;
    let mut endless = session
        .send("GET /download?bytes=8000000000&seed=7", "")
        .await;
    endless.take(1 << 20).await;
    drop(endless);
    let cancelled = [("code", "cancelled")];
    watched.until_at_least("fleetwire_streams_reset_total", &cancelled, 1.0);
    session.close(platform);
    platform.operate_json(&["backup", "create"]);
    let refused = platform.operate(&["host", "get", "nobody"]);
    assert!(!refused.status.success(), "there is none");
    (device, agent)
}

/// Runs a command on the host, and waits for its end.
fn run_something(platform: &Platform) {
    let ran = platform.operate(&["run", "kvm", "--wait", "--", "true"]);
    assert!(ran.status.success(), "{ran:?}");
}

/// Each query of a dashboard with the title of its panel, with what Grafana puts into it.
fn queries(board: &Value) -> Vec<(String, String)> {
    let variables = [
        ("$__rate_interval", "5m"),
        ("$job", "fleetwire"),
        ("$instance", ".*"),
    ];
    let panels = board["panels"].as_array().expect("panels");
    let mut all = Vec::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().expect("a query");
            let query = variables
                .iter()
                .fold(query.to_owned(), |query, (name, value)| {
                    query.replace(name, value)
                });
            assert!(!query.contains('$'), "{title}: {query}");
            all.push((title.to_owned(), query));
        }
    }
    for variable in board["templating"]["list"].as_array().expect("variables") {
        if let Some(definition) = variable["definition"].as_str() {
            let metric = definition
                .strip_prefix("label_values(")
                .expect("values of a label");
            let (metric, label) = metric.rsplit_once(", ").expect("and its name");
            let label = label.trim_end_matches(')');
            let metric = metric.replace("$job", "fleetwire");
            let name = format!("variable {}", variable["name"]);
            all.push((name, format!("count by ({label}) ({metric})")));
        }
    }
    all
}

/// The metrics of a platform that a query names.
fn metrics_of(query: &str) -> BTreeSet<String> {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    query
        .split(|c| !part_of_name(c))
        .filter(|word| OURS.iter().any(|begin| word.starts_with(begin)))
        .map(str::to_owned)
        .collect()
}

/// A metric's name without what a histogram's parts have behind it.
fn base(name: &str) -> String {
    let is_one = |name: &str| metrics::ALL.iter().any(|metric| metric.full_name() == name);
    let parts = ["_bucket", "_sum", "_count"];
    let base = parts.iter().find_map(|part| name.strip_suffix(part));
    base.filter(|base| is_one(base)).unwrap_or(name).to_owned()
}

/// Of these the names that no metric has.
fn unknown(query: &str) -> Vec<String> {
    let is_one = |name: &str| metrics::ALL.iter().any(|metric| metric.full_name() == name);
    let names = metrics_of(query).into_iter();
    names.filter(|name| !is_one(&base(name))).collect()
}

/// A Prometheus that watches a platform each second, with the example's settings otherwise.
struct Prometheus {
    address: SocketAddr,
    // Last, so that the process ends before its directory goes.
    _process: Process,
    _dir: TempDir,
}

impl Prometheus {
    fn start(watched: &Watched) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let settings = text(EXAMPLE)
            .replace("15s", "1s")
            .replace("127.0.0.1:9464", &watched.address().to_string());
        let path: PathBuf = dir.path().join("prometheus.yml");
        fs::write(&path, settings).expect("written");
        fs::copy(root().join(RULES), dir.path().join("fleetwire.rules.yml")).expect("copied");
        // It does not say which port it was given: another may take this one meanwhile, and then it ends.
        let (address, process) = until("a Prometheus", || {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let address = free.local_addr().expect("bound");
            drop(free);
            let mut prometheus = Command::new("setpriv");
            prometheus
                .args(["--pdeathsig", "KILL", "prometheus"])
                .arg(format!("--config.file={}", path.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    dir.path().join("data").display()
                ))
                .arg(format!("--web.listen-address={address}"));
            let mut process = Process::start("prometheus", prometheus.stdin(Stdio::null()));
            until("a word of Prometheus", || {
                let said = process.said();
                let ready = said.contains("Server is ready to receive web requests");
                (ready || said.contains("address already in use")).then_some(())
            });
            if process.said().contains("address already in use") {
                process.end();
                return None;
            }
            Some((address, process))
        });
        Self {
            address,
            _process: process,
            _dir: dir,
        }
    }

    /// What it answers there, if it is a success.
    fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let request = format!("GET {path}?{} HTTP/1.0\r\n\r\n", query.finish());
        stream.write_all(request.as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["status"], "success", "{parameters:?}: {body}");
        body["data"].clone()
    }

    /// What a query finds: each series with its value.
    fn query(&self, query: &str) -> Vec<Value> {
        let data = self.ask("/api/v1/query", &[("query", query)]);
        assert_eq!(data["resultType"], "vector", "{query}");
        data["result"].as_array().expect("a vector").clone()
    }

    /// Of these queries those that find no number.
    fn without_data(&self, queries: &[(String, String)]) -> Vec<String> {
        let is_number = |series: &Value| {
            let value = series["value"][1].as_str().unwrap_or_default();
            value.parse::<f64>().is_ok_and(f64::is_finite)
        };
        let without = queries
            .iter()
            .filter(|(_, query)| !self.query(query).iter().any(is_number));
        without
            .map(|(title, query)| format!("{title}: {query}"))
            .collect()
    }

    fn until_has(&self, metric: &str) {
        until(metric, || (!self.query(metric).is_empty()).then_some(()));
    }

    /// Every label that a query compares is one that its metric has.
    fn has_these_labels(&self, query: &str) {
        for (begin, _) in query.match_indices('{') {
            let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
            let name = query[..begin].rsplit(|c| !part_of_name(c)).next();
            let name = name.expect("a name");
            let matchers = query[begin + 1..].split('}').next().expect("an end");
            let series = self.query(name);
            for matcher in matchers.split(", ").flat_map(|some| some.split(",")) {
                let label = matcher.split(['=', '!']).next().expect("a name").trim();
                let has = series
                    .iter()
                    .any(|series| series["metric"].get(label).is_some());
                assert!(has, "{name} has no label {label}: {query}");
            }
        }
    }
}
