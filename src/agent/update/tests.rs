//! The steps of an update, with the power gone after each of them: what is then in the agent's place, and what
//! the next start makes of it. That the programs really run is shown in `tests/it/updates`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use super::record::{Record, Standing, Subject};
use super::swap::{self, STARTS_MAX, STEPS, Swap};
use super::swap::{Next, next, put_back};
use crate::clock::UnixMillis;

/// A host with an agent, and a new one made ready.
struct Host {
    folder: TempDir,
    swap: Swap,
}

fn host() -> Host {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    let executable = folder.path().join("agent");
    fs::write(&executable, "old").unwrap();
    let staging = swap::make_staging(&executable, &[]).unwrap();
    let staged = staging.join("new");
    fs::write(&staged, "new").unwrap();
    swap::make_executable(&staged).unwrap();
    let sha256 = swap::hash(&staged).unwrap();
    let subject = Subject {
        command: "c".to_owned(),
        version: "9.9.9".to_owned(),
        sha256,
        executable,
        begun: UnixMillis::now(),
    };
    let swap = Swap {
        folder: state,
        subject,
        staged,
    };
    Host { folder, swap }
}

impl Host {
    fn executable(&self) -> &Path {
        &self.swap.subject.executable
    }

    /// What is in the agent's place.
    fn runs(&self) -> String {
        fs::read_to_string(self.executable()).unwrap()
    }

    /// What the next start makes of it.
    fn starts(&self) -> Next {
        let record = Record::read(&self.swap.folder).unwrap().unwrap();
        next(record, Some(self.executable()))
    }
}

#[test]
fn whenever_the_power_goes_an_agent_is_in_its_place() {
    for done in 0..=STEPS.len() {
        let host = host();
        for step in &STEPS[..done] {
            host.swap.perform(*step).unwrap();
        }
        if done == 0 {
            assert_eq!(Record::read(&host.swap.folder).unwrap(), None);
            assert_eq!(host.runs(), "old");
        } else if done < STEPS.len() {
            assert_eq!(host.runs(), "old");
            let Next::Write(record) = host.starts() else {
                panic!("it is decided");
            };
            assert_eq!(record.standing, Standing::NotSwapped);
        } else {
            assert_eq!(host.runs(), "new");
            let mode = fs::metadata(host.executable())
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o755);
            let kept = swap::previous(host.executable());
            assert_eq!(fs::read_to_string(kept).unwrap(), "old");
            let Next::Write(record) = host.starts() else {
                panic!("its start is counted");
            };
            assert_eq!((record.standing, record.starts), (Standing::Pending, 1));
        }
    }
}

#[test]
fn a_new_agent_has_so_many_starts_and_no_more() {
    let host = host();
    for step in STEPS {
        host.swap.perform(step).unwrap();
    }
    for start in 1..=STARTS_MAX {
        let Next::Write(record) = host.starts() else {
            panic!("start {start} is counted");
        };
        assert_eq!(record.starts, start);
        record.write(&host.swap.folder).unwrap();
    }
    let Next::Back(record) = host.starts() else {
        panic!("it has had its starts");
    };
    put_back(&host.swap.folder, record, "why").unwrap();
    assert_eq!(host.runs(), "old");
    let Next::Nothing(record) = host.starts() else {
        panic!("it is decided");
    };
    assert_eq!(record.standing, Standing::RolledBack);
    assert_eq!(record.why, "why");
    assert!(!swap::staging(host.executable()).exists());
}

#[test]
fn a_way_back_that_was_cut_is_gone_to_its_end() {
    let host = host();
    for step in STEPS {
        host.swap.perform(step).unwrap();
    }
    let record = Record::read(&host.swap.folder).unwrap().unwrap();
    // As it is written before the names change.
    let record = record.decided(Standing::RolledBack, "why");
    record.write(&host.swap.folder).unwrap();
    let Next::Back(record) = host.starts() else {
        panic!("the new one is still there");
    };
    put_back(&host.swap.folder, record, "why").unwrap();
    assert_eq!(host.runs(), "old");
    assert!(matches!(host.starts(), Next::Nothing(_)));
}

#[test]
fn nothing_goes_back_to_what_is_not_there() {
    let host = host();
    for step in STEPS {
        host.swap.perform(step).unwrap();
    }
    fs::remove_file(swap::previous(host.executable())).unwrap();
    let record = Record::read(&host.swap.folder).unwrap().unwrap();
    let error = put_back(&host.swap.folder, record, "why").expect_err("no file");
    assert!(error.to_string().contains("agent.previous"), "{error}");
    assert_eq!(host.runs(), "new");
}

#[test]
fn an_agent_from_elsewhere_has_nothing_to_do_with_it() {
    let host = host();
    for step in STEPS {
        host.swap.perform(step).unwrap();
    }
    let record = Record::read(&host.swap.folder).unwrap().unwrap();
    let elsewhere = host.folder.path().join("other");
    let Next::Write(record) = next(record, Some(&elsewhere)) else {
        panic!("it is decided");
    };
    assert_eq!(record.standing, Standing::NotSwapped);
}

#[test]
fn what_cannot_be_read_stops_nobody() {
    let host = host();
    for text in ["", "{", "{\"layout\": 2}"] {
        fs::write(host.swap.folder.join("update.json"), text).unwrap();
        assert!(Record::read(&host.swap.folder).is_err(), "{text:?}");
        assert_eq!(swap::on_start(&host.swap.folder).unwrap(), None);
    }
}

#[test]
fn staging_keeps_what_is_to_be_gone_on_with() {
    let host = host();
    let staging = swap::staging(host.executable());
    fs::write(staging.join("part"), "half").unwrap();
    swap::make_staging(host.executable(), &["part".to_owned()]).unwrap();
    let names: Vec<_> = fs::read_dir(&staging)
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert_eq!(names, ["part"]);
    swap::clear(host.executable());
    assert!(!staging.exists());
}
