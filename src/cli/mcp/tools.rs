//! The tools that a model's client may be offered: one for each method of the API that `build/mcp.rs` lets
//! through, and how it is shown. How one is called is `mcp`'s.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool as Shown, ToolAnnotations};
use serde::Deserialize;

use crate::cli::commands::{self, Command};

/// What the build wrote.
const TOOLS: &str = include_str!(concat!(env!("OUT_DIR"), "/mcp.json"));

/// A tool.
pub(super) struct Tool {
    /// The method that it calls.
    pub command: &'static Command,
    /// Whether it changes nothing.
    pub reads: bool,
    /// How it is shown.
    pub shown: Shown,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    service: String,
    method: String,
    name: String,
    title: String,
    description: String,
    input_schema: Arc<JsonObject>,
    reads: bool,
    destroys: bool,
    repeats: bool,
    begins: bool,
}

impl Tool {
    fn of(written: Written) -> Option<Self> {
        let Written { reads, title, .. } = written;
        let hints = ToolAnnotations::with_title(title)
            .read_only(reads)
            .destructive(written.destroys)
            .idempotent(written.repeats)
            // A platform is a world of its own; what runs at its hosts is not.
            .open_world(written.begins);
        let shown = Shown::new(written.name, written.description, written.input_schema);
        Some(Self {
            command: commands::of(&written.service, &written.method)?,
            reads,
            shown: shown.with_annotations(hints),
        })
    }
}

/// Every tool, in the order of the schema.
pub(super) fn all() -> Vec<Tool> {
    // It was written together with this program, and a test reads it.
    let written: Vec<Written> = serde_json::from_str(TOOLS).unwrap_or_default();
    written.into_iter().filter_map(Tool::of).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cli::commands::{Call, Shape};

    fn has_secret(shape: &Shape) -> bool {
        shape
            .members
            .iter()
            .any(|member| member.secret || member.inner.is_some_and(has_secret))
    }

    #[test]
    fn every_tool_calls_a_method_and_says_what_that_does() {
        let written: Vec<Written> = serde_json::from_str(TOOLS).expect("readable");
        let tools = all();
        assert_eq!(tools.len(), written.len(), "each is a command");
        let names: BTreeSet<_> = tools.iter().map(|tool| &*tool.shown.name).collect();
        assert_eq!(names.len(), tools.len(), "each has a name of its own");
        for name in [
            "list_hosts",
            "create_command",
            "get_delivery",
            "list_audit_entries",
        ] {
            assert!(names.contains(name), "{name}: {names:?}");
        }
        for tool in &tools {
            let name = &tool.shown.name;
            assert_eq!(tool.reads, tool.command.reads, "{name}");
            assert!(matches!(tool.command.call, Call::Once(_)), "{name}");
            assert!(!tool.command.anyone, "{name}");
            assert!(
                !has_secret(tool.command.answer),
                "{name} answers a credential"
            );
            let hints = tool.shown.annotations.as_ref().expect("hints");
            assert_eq!(hints.read_only_hint, Some(tool.reads), "{name}");
            if tool.command.destroys {
                assert_eq!(hints.destructive_hint, Some(true), "{name}");
            }
            let schema = &tool.shown.input_schema;
            assert_eq!(schema["type"], "object", "{name}");
            for refused in ["allOf", "anyOf", "oneOf"] {
                assert!(
                    !schema.contains_key(refused),
                    "{name}: {refused} at the top"
                );
            }
            let text = serde_json::to_string(schema).expect("JSON");
            assert!(
                !text.contains("(?"),
                "{name}: a pattern that not everybody reads"
            );
            assert!(!text.contains("#/components"), "{name}");
        }
    }

    #[test]
    fn what_takes_or_gives_a_credential_is_no_tool() {
        let tools = all();
        let names: BTreeSet<_> = tools.iter().map(|tool| tool.command.method).collect();
        for method in [
            "SignIn",
            "SignOut",
            "ChangePassword",
            "CreateApiKey",
            "CreateEnrolmentToken",
            "CreateUser",
            "CreateHost",
            "OpenSession",
            "BeginTotp",
            "ExportAudit",
            "WatchEvents",
        ] {
            assert!(!names.contains(method), "{method}");
        }
    }
}
