//! What is generated from the schema and committed for people and other programs is fresh:
//! `FLEETWIRE_UPDATE=1 cargo test --test it documents` writes it again.

use std::{fs, path::Path};

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
        "{path} is not what the schema says: FLEETWIRE_UPDATE=1 cargo test --test it documents"
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
