//! The bindings for other languages are what the generators make of the schema today, to the byte.
//! That they decode and encode is tested in their own languages, beside them.

use crate::{buf, files, printed, root};
use std::fs;

/// The folders that hold nothing but what is generated.
const GENERATED: &[&str] = &[
    "bindings/go/api",
    "bindings/go/google",
    "bindings/go/link",
    "bindings/python/fleetwire",
    "bindings/python/google",
    "bindings/typescript/fleetwire",
    "bindings/typescript/google",
];

#[test]
fn the_bindings_are_fresh() {
    let again = tempfile::tempdir().unwrap();
    let generate = buf(&["generate", "--output", again.path().to_str().unwrap()]);
    assert!(generate.status.success(), "{}", printed(&generate));
    for folder in GENERATED {
        let (kept, made) = (root().join(folder), again.path().join(folder));
        let is_source =
            |path: &std::path::PathBuf| path.extension().is_some_and(|end| end != "pyc");
        let mut kept_files = files(&kept);
        kept_files.retain(is_source);
        assert_eq!(kept_files, files(&made), "{folder}: run `make bindings`");
        for file in kept_files {
            assert!(
                fs::read(kept.join(&file)).unwrap() == fs::read(made.join(&file)).unwrap(),
                "{folder}/{} is not what the schema gives: run `make bindings`",
                file.display()
            );
        }
    }
}

#[test]
fn the_packages_have_the_version_of_the_crate() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, line) in [
        (
            "bindings/python/pyproject.toml",
            format!("version = \"{version}\"\n"),
        ),
        (
            "bindings/typescript/package.json",
            format!("  \"version\": \"{version}\",\n"),
        ),
    ] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(text.contains(&line), "{file}: the version is not {version}");
    }
}
