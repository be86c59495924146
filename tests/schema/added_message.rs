//! Nobody can forget a message: with one more message in each envelope, the crate does not compile,
//! and the compiler names the method that each side lacks.

use crate::{fails_to_compile, fresh_copy};
use std::fs;

/// A file of the schema with one message for each side to send.
const ADDED: &str = r#"// Added by a test.
syntax = "proto3";

package fleetwire.link.v1;

import "fleetwire/link/v1/options.proto";

// An agent sends it.
message AddedByAgent {
  option (json_tag) = JSON_TAG_TYPE;

  // Any number.
  uint64 number = 1;
}

// A platform sends it.
message AddedByPlatform {
  option (json_tag) = JSON_TAG_TYPE;

  // Any number.
  uint64 number = 1;
}
"#;

#[test]
fn a_message_without_a_handler_does_not_compile() {
    let copy = fresh_copy("added-message");
    let schema = copy.join("proto/fleetwire/link/v1");
    fs::write(schema.join("added.proto"), ADDED).unwrap();
    let envelopes = fs::read_to_string(schema.join("envelope.proto")).unwrap();
    let package = "package fleetwire.link.v1;\n";
    let import = "import \"fleetwire/link/v1/added.proto\";\n";
    let envelopes = envelopes.replace(package, &format!("{package}\n{import}"));
    let envelopes = with_field(&envelopes, "AgentToPlatform", "AddedByAgent added_by_agent");
    let envelopes = with_field(
        &envelopes,
        "PlatformToAgent",
        "AddedByPlatform added_by_platform",
    );
    fs::write(schema.join("envelope.proto"), envelopes).unwrap();

    let said = fails_to_compile(&copy);
    for (handler, method) in [
        ("AgentToPlatformHandler", "added_by_agent"),
        ("PlatformToAgentHandler", "added_by_platform"),
    ] {
        assert!(
            said.split("error[").any(|error| error.starts_with("E0046")
                && error.contains(handler)
                && error.contains(&format!("missing: `{method}`"))),
            "no implementation of {handler} is told to lack `{method}`:\n{said}"
        );
    }
}

/// The envelopes with one field more in that one.
fn with_field(envelopes: &str, envelope: &str, field: &str) -> String {
    let begin = format!("message {envelope} {{");
    let at = envelopes.find(&begin).expect("the schema has the envelope");
    let oneof = "oneof message {\n";
    let inside = envelopes[at..].find(oneof).expect("an envelope is a oneof") + oneof.len();
    let (before, after) = envelopes.split_at(at + inside);
    format!("{before}    // Added by a test.\n    {field} = 1000;\n{after}")
}
