//! The schema's own tests: its style, that it stays compatible with what was released, that the
//! bindings are those that it gives, and that nobody can forget a message. The tools are those
//! that `tests/setup.sh` installs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod added_message;
mod bindings;
mod compatibility;
mod released;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The project's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// buf, run from the project's root.
fn buf(arguments: &[&str]) -> Output {
    let program = root().join("tests/schema/node_modules/.bin/buf");
    assert!(
        program.exists(),
        "buf is not installed: run `sh tests/setup.sh`, or `make test`, which does"
    );
    Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("buf starts")
}

/// What a program printed, both ways, for a failed assertion.
fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Copies a folder and what is in it.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// Every file under a folder, its path from there, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(folder, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|path| path.strip_prefix(folder).unwrap().to_owned())
        .collect()
}
