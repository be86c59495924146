//! `proto/released` lists each release: its version, and the SHA-256 that `proto/released.binpb`
//! had. A release adds a line (`make release-schema`); a line that stands is never changed.

use crate::{printed, root};
use sha2::{Digest, Sha256};
use std::{fs, process::Command};

#[test]
fn the_released_schema_is_the_one_that_was_listed() {
    let releases = releases(&fs::read_to_string(root().join("proto/released")).unwrap());
    let (version, digest) = releases.last().expect("one release is listed");
    let released = fs::read(root().join("proto/released.binpb")).unwrap();
    let is: String = Sha256::digest(&released)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        &is, digest,
        "proto/released.binpb is not that of {version}: `make release-schema` writes it, with a version"
    );
    let crate_version = env!("CARGO_PKG_VERSION");
    assert!(
        number(version) <= number(crate_version),
        "proto/released lists {version}, which Cargo.toml ({crate_version}) has not reached"
    );
    assert!(
        releases
            .windows(2)
            .all(|pair| number(&pair[0].0) < number(&pair[1].0)),
        "each release has a version of its own, in order"
    );
}

/// What the files alone cannot show: that no listed release was changed afterwards. Every commit
/// that touched the list kept the lines that it found.
#[test]
fn no_release_was_changed_after_it_was_listed() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(root())
            .output()
            .expect("git starts");
        assert!(
            output.status.success(),
            "the test needs the repository with its history: {}",
            printed(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        git(&["rev-parse", "--is-shallow-repository"]).trim(),
        "false",
        "a shallow clone lacks the history that would show a change: git fetch --unshallow"
    );
    let commits = git(&["log", "--reverse", "--format=%H", "--", "proto/released"]);
    let mut before = Vec::new();
    for commit in commits.lines() {
        let now = releases(&git(&["show", &format!("{commit}:proto/released")]));
        assert!(
            now.starts_with(&before),
            "commit {commit} changes a release that was listed before it"
        );
        before = now;
    }
    let now = releases(&fs::read_to_string(root().join("proto/released")).unwrap());
    assert!(
        now.starts_with(&before),
        "proto/released changes a release that was listed before"
    );
}

/// The lines of the list: version, digest.
fn releases(list: &str) -> Vec<(String, String)> {
    list.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (version, digest) = line.split_once(' ').expect("a line is `version digest`");
            (version.to_owned(), digest.to_owned())
        })
        .collect()
}

/// A version as numbers, to be compared.
fn number(version: &str) -> Vec<u64> {
    version
        .split('.')
        .map(|part| part.parse().expect("a version is numbers and dots"))
        .collect()
}
