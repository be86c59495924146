//! Generates a JSON Schema (2020-12) of the compatibility JSON for each of the link's envelopes.

use crate::{
    json::tag_name,
    json_schema::{Describe, Text, need, text},
    messages::snake,
    model::{FieldKind, Message, Schema},
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, error::Error};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A file's name, without folder, and its text; one for each envelope.
pub fn generate(schema: &Schema) -> Result<Vec<(String, String)>> {
    let envelopes = schema.envelopes.iter();
    envelopes
        .map(|envelope| {
            let name = snake(&envelope.name).replace('_', "-");
            let text = serde_json::to_string_pretty(&describe(schema, envelope, &name)?)?;
            Ok((format!("{name}.schema.json"), text + "\n"))
        })
        .collect()
}

fn describe(schema: &Schema, envelope: &Message, name: &str) -> Result<Value> {
    let reference = |name: &str| format!("#/$defs/{name}");
    let mut kinds = Vec::new();
    let mut needed = BTreeSet::from(["FieldLines", "Timestamp"]);
    for field in &envelope.fields {
        let FieldKind::Message(kind) = &field.kind else {
            continue;
        };
        let tag = tag_name(schema.message(kind));
        need(schema, kind, &mut needed)?;
        kinds.push(json!({
            "title": field.name,
            "description": text(&field.comment),
            "$ref": reference(kind),
            "properties": { tag: { "const": field.name } },
            "required": [tag],
        }));
    }
    let describe = Describe {
        schema,
        text: Text::Link,
        reference: &reference,
    };
    let definitions = Map::from_iter(describe.definitions(&needed)?);
    Ok(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:fleetwire:link:v1:{name}"),
        "title": envelope.name,
        "description": text(&envelope.comment),
        "oneOf": kinds,
        "$defs": definitions,
    }))
}
