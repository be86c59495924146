//! buf's lint, and its breaking rules against the schema of the last release, which is kept in
//! `proto/released.binpb`.

use crate::{buf, copy_folder, printed, root};
use std::fs;

#[test]
fn the_schema_keeps_the_standard_style() {
    let lint = buf(&["lint"]);
    assert!(lint.status.success(), "{}", printed(&lint));
    let format = buf(&["format", "--diff", "--exit-code"]);
    assert!(format.status.success(), "{}", printed(&format));
}

#[test]
fn nothing_released_is_broken() {
    let breaking = buf(&["breaking", "--against", "proto/released.binpb"]);
    assert!(breaking.status.success(), "{}", printed(&breaking));
}

/// The check itself is checked: a field less in a copy of the schema, and it must say so.
#[test]
fn a_deleted_field_is_noticed() {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&root().join("proto"), &copy.path().join("proto"));
    fs::copy(root().join("buf.yaml"), copy.path().join("buf.yaml")).unwrap();
    let file = copy.path().join("proto/fleetwire/link/v1/stream.proto");
    let schema = fs::read_to_string(&file).unwrap();
    let field = "  uint64 final_offset = 3;\n";
    assert!(
        schema.contains(field),
        "the field to delete is gone: name another"
    );
    fs::write(&file, schema.replace(field, "")).unwrap();

    let copy = copy.path().to_str().unwrap();
    let breaking = buf(&["breaking", copy, "--against", "proto/released.binpb"]);
    assert!(!breaking.status.success(), "a deleted field went unnoticed");
    assert!(
        printed(&breaking).contains("final_offset"),
        "{}",
        printed(&breaking)
    );
}
