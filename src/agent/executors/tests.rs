//! Real scripts: what they are given, what comes back, and that nothing of them is left.

use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::allowed::ScriptRules;
use super::*;
use crate::wire::messages::{AgentUpdate, Script, ScriptResult, UnknownCommand};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);
const LONGEST: Timespec = Timespec {
    tv_sec: 60,
    tv_nsec: 0,
};

struct Running {
    stop: watch::Sender<bool>,
    reports: mpsc::Receiver<Report>,
    outcome: tokio::task::JoinHandle<Outcome>,
}

fn executors() -> Executors {
    executors_of("host")
}

fn executors_of(host: &str) -> Executors {
    let interpreters = vec!["/bin/sh".into(), "/bin/nothing".into()];
    let allowed = Allowed {
        script: Some(ScriptRules {
            interpreters,
            users: None,
        }),
        ..Allowed::default()
    };
    Executors::new(allowed, host)
}

fn start(id: &str, script: Script, time_limit: Option<Duration>) -> Running {
    let (reports, said) = Reports::channel(16);
    let (stop, told) = watch::channel(false);
    let job = Job {
        id: id.to_owned(),
        parameters: CommandParameters::Script(script),
        time_limit,
    };
    let outcome = tokio::spawn(async move { executors().run(job, reports, Stop(told)).await });
    Running {
        stop,
        reports: said,
        outcome,
    }
}

impl Running {
    /// It has printed something.
    async fn printed(&mut self) {
        let report = timeout(LONG, self.reports.recv()).await.unwrap();
        assert!(matches!(report, Some(Report::Output { .. })), "{report:?}");
    }

    async fn end(self) -> Outcome {
        let _stop = self.stop;
        timeout(LONG, self.outcome).await.unwrap().unwrap()
    }
}

fn script(content: &str) -> Script {
    Script {
        interpreter: String::new(),
        content: content.to_owned(),
        arguments: Vec::new(),
        environment: Default::default(),
        user: String::new(),
        working_directory: String::new(),
    }
}

async fn run(content: &str) -> Outcome {
    start("one", script(content), None).end().await
}

fn result(outcome: &Outcome) -> &ScriptResult {
    match &outcome.result {
        Some(ResponseResult::Script(result)) => result,
        other => panic!("{other:?}"),
    }
}

fn reason(outcome: &Outcome) -> &'static str {
    outcome.fault.as_ref().expect("a fault").reason
}

/// A process whose number a script wrote to a file is gone: a dead one that nobody has reaped counts.
async fn gone(path: &Path) {
    let number = std::fs::read_to_string(path).expect("a number");
    let number = number.trim().parse().ok().and_then(Pid::from_raw);
    match pidfd_open(number.expect("a number"), PidfdFlags::NONBLOCK) {
        Ok(process) => {
            let wait = move || poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&LONGEST));
            let ended = tokio::task::spawn_blocking(wait).await.unwrap();
            assert_eq!(ended, Ok(1), "it lives");
        }
        Err(error) => assert_eq!(error, Errno::SRCH),
    }
}

#[tokio::test]
async fn a_script_has_what_it_was_given_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let _open = std::fs::File::create(directory.path().join("open")).unwrap();
    let given = Script {
        arguments: vec!["a b".to_owned(), "$(id); *".to_owned(), String::new()],
        environment: [("GIVEN".to_owned(), "x=y z".to_owned())].into(),
        working_directory: "/usr".to_owned(),
        ..script("pwd; printf '%s|' \"$@\"; echo; env | sort; ls -l /proc/self/fd; cat")
    };
    let outcome = start("cafe", given, None).end().await;
    assert_eq!(outcome.status, Ended::Succeeded, "{outcome:?}");
    let output = &result(&outcome).output;
    let mut lines = output.lines();
    assert_eq!(lines.next(), Some("/usr"));
    assert_eq!(lines.next(), Some("a b|$(id); *||"));
    let names: Vec<_> = lines
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    let known = [
        "FLEETWIRE_COMMAND_ID",
        "FLEETWIRE_HOST_ID",
        "GIVEN",
        "HOME",
        "LANG",
        "LOGNAME",
        "PATH",
        "PWD",
        "SHELL",
        "USER",
    ];
    assert!(
        names
            .iter()
            .all(|name| known.contains(name) || *name == "OLDPWD" || *name == "_"),
        "{names:?}"
    );
    assert!(output.contains("GIVEN=x=y z\n") && output.contains("FLEETWIRE_COMMAND_ID=cafe\n"));
    assert!(output.contains("memfd:script"), "{output}");
    let leaked = directory.path().to_str().unwrap();
    assert!(
        !output.contains(leaked) && !output.contains("eventpoll"),
        "{output}"
    );
}

#[tokio::test]
async fn how_a_script_ends_is_told() {
    let outcome = run("echo out; echo err >&2; exit 7").await;
    assert_eq!(
        (outcome.status, reason(&outcome)),
        (Ended::Failed, "exit_code")
    );
    assert_eq!(result(&outcome).exit_code, Some(7));
    assert_eq!(result(&outcome).output, "out\nerr\n");
    assert_eq!(result(&outcome).output_bytes, 8);

    let outcome = run("kill -9 $$").await;
    assert_eq!(reason(&outcome), "signal");
    assert_eq!(
        (result(&outcome).signal, result(&outcome).exit_code),
        (Some(9), None)
    );

    let missing = Script {
        interpreter: "/bin/nothing".to_owned(),
        ..script("x")
    };
    let outcome = start("none", missing, None).end().await;
    assert_eq!(reason(&outcome), "start_failed");
    assert!(outcome.fault.unwrap().detail.contains("/bin/nothing"));
}

#[tokio::test]
async fn gigabytes_of_output_leave_their_end() {
    let mut running = start(
        "much",
        script("head -c 300000000 /dev/zero | tr '\\0' '\\377'; echo end"),
        None,
    );
    let first = timeout(LONG, running.reports.recv())
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(first, Report::Output { offset: 0, .. }),
        "streamed"
    );
    let outcome = running.end().await;
    let result = result(&outcome);
    assert_eq!(result.output_bytes, 300_000_004);
    assert!(result.output.len() <= OUTPUT_BYTES_MAX && result.output.len() > OUTPUT_BYTES_MAX - 4);
    assert!(result.output.ends_with("\u{fffd}end\n"));
}

#[tokio::test]
async fn what_takes_too_long_is_ended_with_all_that_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let [child, escaped] = ["child", "escaped"].map(|name| directory.path().join(name));
    // Neither heeds being asked, and one has left the group.
    let text = format!(
        "trap '' TERM; echo begun; sleep 1000 & echo $! > {}; \
         setsid sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 1; done' & \
         while :; do sleep 1; done",
        child.display(),
        escaped.display()
    );
    let begun = Instant::now();
    let outcome = start("long", script(&text), Some(Duration::from_secs(1)))
        .end()
        .await;
    assert_eq!(
        (outcome.status, reason(&outcome)),
        (Ended::Failed, "timed_out")
    );
    // A shell whose child was killed before itself says so.
    let output = &result(&outcome).output;
    assert!(
        ["begun\n", "begun\nKilled\n"].contains(&output.as_str()),
        "{output}"
    );
    assert!(begun.elapsed() >= Duration::from_secs(1));
    gone(&child).await;
    gone(&escaped).await;
}

#[tokio::test]
async fn what_is_not_wanted_any_more_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let child = directory.path().join("child");
    let text = format!(
        "sleep 1000 & echo $! > {}; echo begun; wait",
        child.display()
    );
    let mut running = start("unwanted", script(&text), None);
    running.printed().await;
    running.stop.send(true).unwrap();
    let outcome = running.end().await;
    assert_eq!(
        (outcome.status, reason(&outcome)),
        (Ended::Cancelled, "cancelled")
    );
    gone(&child).await;
}

#[tokio::test]
async fn what_a_script_leaves_in_its_group_ends_with_it_and_a_daemon_stays() {
    let directory = tempfile::tempdir().unwrap();
    let [child, daemon] = ["child", "daemon"].map(|name| directory.path().join(name));
    let text = format!(
        "sleep 1000 & echo $! > {}; setsid sh -c 'echo $$ > {}; exec sleep 1000' & \
         until [ -s {} ]; do sleep 0.01; done; echo done",
        child.display(),
        daemon.display(),
        daemon.display()
    );
    let outcome = start("daemon", script(&text), None).end().await;
    assert_eq!(outcome.status, Ended::Succeeded, "{outcome:?}");
    assert_eq!(result(&outcome).output, "done\n");
    gone(&child).await;
    // An agent that comes after one that was killed finds such by the same mark, and another host's does not.
    assert_eq!(executors_of("another").end_left_over("daemon").await, 0);
    assert_eq!(executors().end_left_over("daemon").await, 1);
    gone(&daemon).await;
}

#[tokio::test]
async fn a_run_that_nobody_waits_for_ends() {
    let directory = tempfile::tempdir().unwrap();
    let child = directory.path().join("child");
    let text = format!("echo $$ > {}; echo begun; sleep 1000", child.display());
    let mut running = start("dropped", script(&text), None);
    running.printed().await;
    running.outcome.abort();
    gone(&child).await;
}

#[test]
fn one_update_waits_for_another_and_nothing_else_for_it() {
    let executors = executors();
    let update = CommandParameters::AgentUpdate(AgentUpdate {
        version: "2".to_owned(),
        size_bytes: 1,
        sha256: String::new(),
        signature: String::new(),
    });
    let other = CommandParameters::Script(script("x"));
    let first = executors.turn(&update).expect("nothing runs");
    assert!(
        executors.turn(&update).is_none(),
        "it would clear away what the first has brought"
    );
    assert!(executors.turn(&other).is_some());
    drop(first);
    assert!(executors.turn(&update).is_some());
}

#[test]
fn what_is_not_allowed_is_refused_with_the_rule() {
    let nothing = Executors::new(Allowed::default(), "host");
    let some = executors();
    let shell = script("x");
    let of = |change: fn(&mut Script)| {
        let mut script = script("x");
        change(&mut script);
        CommandParameters::Script(script)
    };
    for (executors, parameters, reason, part) in [
        (
            &nothing,
            CommandParameters::Script(shell),
            "not_allowed",
            "commands.script",
        ),
        (
            &some,
            of(|script| script.interpreter = "/bin/../bin/sh".into()),
            "not_allowed",
            "script.interpreters",
        ),
        (
            &some,
            of(|script| script.interpreter = "sh".into()),
            "not_allowed",
            "script.interpreters",
        ),
        (
            &some,
            of(|script| script.user = "nobody".into()),
            "not_allowed",
            "script.users",
        ),
        (
            &some,
            of(|script| script.working_directory = "tmp".into()),
            "parameters_invalid",
            "working_directory",
        ),
        (
            &some,
            of(|script| script.working_directory = "/tmp/../etc".into()),
            "parameters_invalid",
            "working_directory",
        ),
        (
            &some,
            of(|script| script.arguments = vec!["a\0b".into()]),
            "parameters_invalid",
            "NUL",
        ),
        (
            &some,
            of(|script| script.environment = [("A=B".into(), "c".into())].into()),
            "parameters_invalid",
            "environment",
        ),
        (
            &some,
            CommandParameters::Unknown(UnknownCommand {
                command_type: "dance".into(),
                parameters: None,
            }),
            "command_type_unknown",
            "dance",
        ),
    ] {
        let fault = executors.check(&parameters).expect_err(part);
        assert_eq!(fault.reason, reason, "{fault:?}");
        assert!(fault.detail.contains(part), "{fault:?}");
    }
    assert_eq!(some.check(&CommandParameters::Script(script("x"))), Ok(()));
}

#[tokio::test]
async fn another_user_is_only_who_they_are() {
    if !rustix::process::geteuid().is_root() {
        // Only root can be another: the integration tests run as root.
        return;
    }
    let users = Some(vec!["nobody".to_owned()]);
    let rules = ScriptRules {
        users,
        ..ScriptRules::default()
    };
    let allowed = Allowed {
        script: Some(rules),
        ..Allowed::default()
    };
    let executors = Executors::new(allowed, "host");
    let (reports, _said) = Reports::channel(1);
    let (_stop, told) = watch::channel(false);
    let own = CommandParameters::Script(script("x"));
    assert!(executors.check(&own).is_err(), "root is not named");
    let given = Script {
        user: "nobody".to_owned(),
        ..script("id -un; id -u; id -G; echo $USER $HOME")
    };
    let job = Job {
        id: "user".to_owned(),
        parameters: CommandParameters::Script(given),
        time_limit: Some(LONG),
    };
    let outcome = executors.run(job, reports, Stop(told)).await;
    assert_eq!(
        result(&outcome).output,
        "nobody\n65534\n65534\nnobody /nonexistent\n"
    );
}

#[test]
fn rules_are_checked_when_they_are_read() {
    for (text, key) in [
        ("[script]\ninterpreters = []\n", "script.interpreters"),
        ("[script]\ninterpreters = [\"sh\"]\n", "script.interpreters"),
        ("[script]\nusers = []\n", "script.users"),
    ] {
        let allowed: Allowed = toml::from_str(text).expect(text);
        assert_eq!(allowed.check().expect_err(text).key, key);
    }
    assert!(toml::from_str::<Allowed>("[script]\ninterpreter = \"/bin/sh\"\n").is_err());
    let allowed: Allowed = toml::from_str("[script]\n").unwrap();
    assert_eq!(allowed.check(), Ok(()));
}
