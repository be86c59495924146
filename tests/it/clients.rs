//! Programs that are not ours against a real platform, with a real agent and a device behind it: one in
//! Python with grpcio and the protos, one in shell with curl and jq, and Schemathesis with the API's own
//! document: `FLEETWIRE_SEED` repeats what it found.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::random;
use crate::traffic::Site;

/// Of the user that the programs sign in as.
const USER: &str = "ada";
const PASSWORD: &str = "correct horse battery staple";

/// Most examples that Schemathesis makes up for one method, and the seconds after which it begins no more.
const EXAMPLES: &str = "20";
const SECONDS: &str = "45";

/// A platform with a device that is reached as `kvm`.
struct World(Site);

impl World {
    fn start() -> Self {
        Self(Site::start())
    }

    async fn make_user(&self) {
        let user = json!({
            "name": USER, "role": "admin", "grants": {"all_hosts": true}, "password": PASSWORD,
        });
        let client = self.0.platform.client();
        let made = client.call::<_, Value>(hyper::Method::POST, "/api/users", Some(&user));
        made.await.expect("made");
    }

    /// Runs a program to its end.
    fn run(&self, program: &Path, arguments: &[&str]) -> Output {
        let ended = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(arguments)
            .env("FLEETWIRE_PASSWORD", PASSWORD)
            .output();
        ended.expect("setpriv of util-linux starts")
    }
}

fn file(path: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    assert!(file.exists(), "{path} is not there: sh tests/setup.sh");
    file
}

/// What a program saw, which is the same for each.
fn check(name: &str, output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(seen["hosts"], json!({"kvm": true}), "{name}");
    assert_eq!(seen["status"], 200, "{name}");
    let page = seen["page"].as_str().expect("a text");
    assert!(page.contains("<title>Demo KVM</title>"), "{name}: {page}");
    assert_eq!(seen["status_after"], 410, "{name}: the session is closed");
    let entries = json!([
        [USER, "session.open"],
        [USER, "session.enter"],
        [USER, "session.close"],
    ]);
    assert_eq!(seen["audit"], entries, "{name}");
}

#[tokio::test]
async fn a_python_program_needs_grpcio_and_the_protos_alone() {
    let world = World::start();
    world.make_user().await;
    let script = file("tests/api/client.py");
    let ca = world.0.platform.ca_file();
    let output = world.run(
        &file(".tools/python/bin/python"),
        &[
            script.to_str().expect("text"),
            "--api",
            &world.0.platform.tls.to_string(),
            "--ca",
            ca.to_str().expect("text"),
            "--console",
            &world.0.platform.http.to_string(),
            "--user",
            USER,
            "--host",
            "kvm",
        ],
    );
    check("client.py", &output);
}

#[tokio::test]
async fn a_shell_script_needs_curl_and_jq_alone() {
    let world = World::start();
    world.make_user().await;
    let output = world.run(
        &file("tests/api/client.sh"),
        &[
            &format!("https://{}", world.0.platform.tls),
            world.0.platform.ca_file().to_str().expect("text"),
            &world.0.platform.http.to_string(),
            USER,
            "kvm",
        ],
    );
    check("client.sh", &output);
}

#[test]
fn the_api_is_what_its_document_says() {
    let seed = random::seed() % u64::from(u32::MAX);
    let world = World::start();
    // It keeps what it found in the folder that it runs in.
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(file(".tools/api/bin/st"))
        .arg("--config-file")
        .arg(file("tests/api/schemathesis.toml"))
        .arg("run")
        .arg(format!("https://{}/api/openapi.json", world.0.platform.tls))
        .arg("--tls-verify")
        .arg(world.0.platform.ca_file())
        .args(["--checks", "all", "--continue-on-failure", "--no-color"])
        .args(["--max-examples", EXAMPLES, "--max-time", SECONDS])
        .args(["--seed", &seed.to_string()])
        .current_dir(dir.path())
        .env("FLEETWIRE_TOKEN", world.0.platform.admin_token())
        .env("PYTHONPATH", file("tests/api"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .output()
        .expect("setpriv of util-linux starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{wrong}");
    println!("{said}");
}
