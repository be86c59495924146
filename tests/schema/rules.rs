//! Nobody can promise what is not checked: a rule that its kind of field has no check for, and a value
//! without a bound, are refused by name when the crate is built.

use crate::{fails_to_compile, fresh_copy};
use std::fs;

/// A file of the schema, what stands there, and a rule that cannot be: with its field.
const UNCHECKED: [(&str, &str, &str, &str); 8] = [
    ("stream", "bool fin = 4", "required: true", "StreamData.fin"),
    (
        "stream",
        "ErrorCode code = 2",
        "required: true",
        "StreamReset.code",
    ),
    (
        "stream",
        "uint64 offset = 2",
        "max_bytes: 8",
        "StreamData.offset",
    ),
    (
        "stream",
        "bool body_follows = 5",
        "max: 1",
        "HttpResponse.body_follows",
    ),
    (
        "stream",
        "google.protobuf.Timestamp expires_at = 3",
        "min: 1",
        "SessionOpen.expires_at",
    ),
    (
        "telemetry",
        "optional double load_1m = 5",
        "min: 1",
        "Heartbeat.load_1m",
    ),
    (
        "telemetry",
        "optional uint64 uptime_seconds = 1",
        "min: 2, max: 1",
        "Heartbeat.uptime_seconds",
    ),
    (
        "command",
        "bool yes = 1",
        "format: FORMAT_NAME",
        "PackageOptions.yes",
    ),
];

#[test]
fn a_rule_that_nobody_would_enforce_does_not_compile() {
    let copy = fresh_copy("unchecked-rule");
    for (file, field, rule, name) in UNCHECKED {
        let path = copy.join(format!("proto/fleetwire/link/v1/{file}.proto"));
        let schema = fs::read_to_string(&path).unwrap();
        let plain = format!("  {field};\n");
        assert!(schema.contains(&plain), "{field} is gone: name another");
        let ruled = format!("  {field} [(rules) = {{{rule}}}];\n");
        fs::write(&path, schema.replacen(&plain, &ruled, 1)).unwrap();
        let said = fails_to_compile(&copy);
        assert!(said.contains(&format!("{name} ")), "{name}: {said}");
        fs::write(&path, schema).unwrap();
    }
}
