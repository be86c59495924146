//! The schema's own tests: its style, that it stays compatible with what was released, that the
//! bindings are those that it gives, and that nobody can forget a
//! message or write a rule that is not enforced. The tools are those
//! that `tests/setup.sh` installs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod added_message;
mod bindings;
mod compatibility;
mod released;
mod rules;

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

/// A copy of what the crate is built from, in the same place each time: what is left of an earlier
/// run is replaced. Its version carries its name: packages that differ in their place alone are one to
/// cargo, and all in one build folder would share what the build script generates for each.
fn fresh_copy(name: &str) -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if copy.exists() {
        fs::remove_dir_all(&copy).unwrap();
    }
    for folder in ["build", "proto", "src"] {
        copy_folder(&root().join(folder), &copy.join(folder));
    }
    fs::copy(root().join("build.rs"), copy.join("build.rs")).unwrap();
    let version = concat!(
        "name = \"fleetwire\"\nversion = \"",
        env!("CARGO_PKG_VERSION")
    );
    for file in ["Cargo.toml", "Cargo.lock"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains(version), "{file} says the version elsewhere");
        let named = text.replacen(version, &format!("{version}+{name}"), 1);
        fs::write(copy.join(file), named).unwrap();
    }
    copy
}

/// Compiles such a copy, which fails, and gives what the compiler said. The build folder is that of
/// this very build, so that only the copy of the crate itself is compiled.
fn fails_to_compile(copy: &Path) -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let check = Command::new(env!("CARGO"))
        .args([
            "check",
            "--lib",
            "--locked",
            "--offline",
            "--no-default-features",
        ])
        .current_dir(copy)
        .env(
            "CARGO_TARGET_DIR",
            target.expect("the folder for tests is in the build folder"),
        )
        .output()
        .expect("cargo starts");
    assert!(!check.status.success(), "it compiles");
    printed(&check)
}

#[test]
fn a_copy_is_not_compiled_with_what_another_generated() {
    let early = fresh_copy("early");
    fs::write(
        early.join("proto/fleetwire/link/v1/early.proto"),
        "no schema",
    )
    .unwrap();
    let late = fresh_copy("late");
    fs::write(late.join("src/lib.rs"), "compile_error!(\"too late\");").unwrap();
    let said = fails_to_compile(&late);
    assert!(said.contains("too late"), "{said}");
    // What the late copy generated is newer than the early one's schema.
    let said = fails_to_compile(&early);
    assert!(said.contains("early.proto"), "{said}");
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
