//! What is generated, from the schema and from the program's own tables, and committed for people and other programs is fresh:
//! `FLEETWIRE_UPDATE=1 cargo test --test it documents` writes it again.

use crate::random;
use prost_reflect::{Kind, MessageDescriptor};
use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// Where the written part of the protocol's page ends and the generated one begins.
const REFERENCE: &str = "\n## Envelopes\n";

fn check_fresh(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("FLEETWIRE_UPDATE").is_some_and(|value| value == "1") {
        fs::write(&file, expected).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == expected,
        "{path} is not what it is made from: FLEETWIRE_UPDATE=1 cargo test --test it documents"
    );
}

#[test]
fn the_reference_is_fresh() {
    let reference = include_str!(concat!(env!("OUT_DIR"), "/protocol.md"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/PROTOCOL.md");
    let page = fs::read_to_string(path).unwrap();
    let written = page.split(REFERENCE).next().unwrap().trim_end();
    check_fresh("docs/PROTOCOL.md", &format!("{written}\n\n{reference}"));
}

#[test]
fn the_table_of_metrics_is_fresh() {
    const TABLE: &str = "\n| metric |";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATIONS.md");
    let page = fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(TABLE).unwrap_or((page.trim_end(), ""));
    let after = rest.split_once("\n\n").map_or("", |(_, after)| after);
    let table = fleetwire::platform::metrics::reference();
    let after = if after.is_empty() {
        String::new()
    } else {
        format!("\n{after}")
    };
    let expected = format!("{}\n\n{table}{after}", before.trim_end());
    check_fresh("docs/OPERATIONS.md", &expected);
}

#[test]
fn links_inside_the_page_lead_somewhere() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/PROTOCOL.md");
    let page = fs::read_to_string(path).unwrap();
    let headings: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|heading| {
            heading
                .trim_start_matches('#')
                .trim()
                .to_lowercase()
                .replace(' ', "-")
        })
        .collect();
    for link in page.split("](#").skip(1) {
        let target = link.split(')').next().unwrap();
        assert!(
            headings.iter().any(|heading| heading == target),
            "#{target} leads nowhere"
        );
    }
}

#[test]
fn the_json_schemas_are_fresh() {
    for (name, text) in [
        (
            "agent-to-platform",
            include_str!(concat!(env!("OUT_DIR"), "/agent-to-platform.schema.json")),
        ),
        (
            "platform-to-agent",
            include_str!(concat!(env!("OUT_DIR"), "/platform-to-agent.schema.json")),
        ),
    ] {
        check_fresh(&format!("docs/schema/{name}.schema.json"), text);
    }
}

#[test]
fn the_openapi_document_is_fresh() {
    check_fresh(
        "docs/schema/openapi.json",
        fleetwire::platform::api::OPENAPI,
    );
}

#[test]
fn the_openapi_document_is_one() {
    check_valid("openapi", "docs/schema/openapi.json");
}

#[test]
fn the_asyncapi_document_is_fresh() {
    check_fresh(
        "docs/schema/asyncapi.json",
        fleetwire::platform::api::ASYNCAPI,
    );
}

#[test]
fn the_asyncapi_document_is_one() {
    check_valid("asyncapi", "docs/schema/asyncapi.json");
}

/// What somebody else's validator says of a document.
fn check_valid(kind: &str, path: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let validated = Command::new(root.join(".tools/api/bin/python"))
        .arg(root.join("tests/api/documents.py"))
        .arg(kind)
        .arg(root.join(path))
        .output()
        .expect("make setup has made it");
    assert!(
        validated.status.success(),
        "{}{}",
        String::from_utf8_lossy(&validated.stdout),
        String::from_utf8_lossy(&validated.stderr)
    );
}

/// What a fuzzer would be long in finding by itself: the schema's words, and the formats'.
const WORDS: [&str; 18] = [
    "base64",
    "null",
    "true",
    "POST",
    "BREW",
    "connection: upgrade\\x0d\\x0a",
    "x: y\\x0d\\x0a",
    ": ",
    "https://k3v9.console.example",
    "2024-09-20T12:00:00Z",
    ".123456789+23:59",
    "9007199254740993",
    "18446744073709551615",
    "1e308",
    "\\\\ud83d\\\\ude00",
    "\\xff",
    "\\xc3\\xa9",
    "5b1f6a52-6d0e-4a6e-9d58-0f4f6f1f7c11",
];

#[test]
fn the_fuzzers_dictionary_is_fresh() {
    let mut words: BTreeSet<String> = WORDS.map(String::from).into();
    for envelope in random::envelopes() {
        add_words(&envelope, &mut words);
    }
    let lines: Vec<_> = words.iter().map(|word| format!("\"{word}\"\n")).collect();
    check_fresh("fuzz/dictionary", &lines.concat());
}

fn add_words(message: &MessageDescriptor, words: &mut BTreeSet<String>) {
    words.extend(
        [
            "type",
            "message_type",
            "command_type",
            "parameters",
            "result",
        ]
        .map(String::from),
    );
    for field in message.fields() {
        words.insert(field.name().to_owned());
        match field.kind() {
            Kind::Message(inner) => add_words(&inner, words),
            Kind::Enum(kind) => {
                let names = kind.values().map(|value| value.name().to_lowercase());
                let prefix = format!(
                    "{}_",
                    kind.values()
                        .next()
                        .unwrap()
                        .name()
                        .to_lowercase()
                        .trim_end_matches("_unspecified")
                );
                words.extend(names.map(|name| name.strip_prefix(&prefix).unwrap().to_owned()));
            }
            _ => {}
        }
    }
}
