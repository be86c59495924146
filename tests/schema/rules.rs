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
        "package",
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

/// What stands in a service, what somebody might make of it, and how the build refuses that.
const UNGUARDED: [(&str, &str, &str, &str); 5] = [
    (
        "    option (policy) = {role: ROLE_VIEWER};\n",
        "",
        "ListHosts has no policy",
        "host",
    ),
    (
        "    option (google.api.http) = {get: \"/api/hosts\"};\n",
        "",
        "ListHosts has no google.api.http",
        "host",
    ),
    (
        "    option (policy) = {role: ROLE_VIEWER};\n",
        "    option (policy) = {creates: true};\n",
        "ListHosts has a policy that names neither a role nor anyone",
        "host",
    ),
    (
        "{get: \"/api/hosts\"}",
        "{get: \"/api/hosts/{name}\"}",
        "ListHosts has name in its path, which is no required text",
        "host",
    ),
    (
        "{get: \"/api/sessions\"}",
        "{get: \"/api/hosts\"}",
        "is not alone at its path",
        "session",
    ),
];

#[test]
fn a_method_without_a_route_or_a_permission_does_not_compile() {
    let copy = fresh_copy("unguarded-method");
    for (stands, made, fault, file) in UNGUARDED {
        let path = copy.join(format!("proto/fleetwire/api/v1/{file}.proto"));
        let schema = fs::read_to_string(&path).unwrap();
        assert!(schema.contains(stands), "{stands} is gone: name another");
        fs::write(&path, schema.replacen(stands, made, 1)).unwrap();
        let said = fails_to_compile(&copy);
        assert!(said.contains(fault), "{fault}: {said}");
        fs::write(&path, schema).unwrap();
    }
}
