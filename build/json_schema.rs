//! Generates a JSON Schema (2020-12) of the compatibility JSON for each envelope, from the same
//! options as the codec. It describes what is written; readers take some spellings more, which
//! `docs/PROTOCOL.md` names.

use crate::{
    json::{OneofForm, tag_name},
    messages::snake,
    model::{Enum, Field, FieldKind, Format, JsonForm, Message, Schema},
    rules::range,
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, error::Error};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Base64 with its padding and no stray bits before it (RFC 4648 sections 3.5 and 4).
const BASE64: &str =
    "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";
/// The largest whole number that every JSON reader keeps (RFC 8259 section 6).
const EXACT_MAX: u64 = 1 << 53;
/// What a field value may hold (RFC 9110 section 5.5), bytes as code points.
const FIELD_VALUE: &str = "^[\\t\\u0020-\\u007e\\u0080-\\u00ff]*$";
/// RFC 3339. How many days a month has is left to the format, as no pattern can say it.
const TIME: &str = "^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

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
    let mut kinds = Vec::new();
    let mut needed = BTreeSet::new();
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
    let mut definitions = Map::new();
    for message in schema.messages.iter().filter(|m| needed.contains(&*m.name)) {
        definitions.insert(message.name.clone(), of_message(schema, message)?);
    }
    for item in schema.enums.iter().filter(|e| needed.contains(&*e.name)) {
        definitions.insert(item.name.clone(), of_enum(item));
    }
    definitions.insert("FieldLines".into(), field_lines());
    definitions.insert(
        "Timestamp".into(),
        json!({ "type": "string", "format": "date-time", "pattern": TIME }),
    );
    Ok(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:fleetwire:link:v1:{name}"),
        "title": envelope.name,
        "description": text(&envelope.comment),
        "oneOf": kinds,
        "$defs": definitions,
    }))
}

/// Adds what a message is made of, but for what keeps an unknown type: that has no object.
fn need<'a>(schema: &'a Schema, name: &'a str, needed: &mut BTreeSet<&'a str>) -> Result<()> {
    needed.insert(name);
    let message = schema.message(name);
    let rest = OneofForm::of(schema, message)?.map(|form| form.rest.number);
    for field in message
        .fields
        .iter()
        .filter(|field| Some(field.number) != rest)
    {
        match &field.kind {
            FieldKind::Message(name) => need(schema, name, needed)?,
            FieldKind::Enum(name) => {
                needed.insert(name);
            }
            _ => {}
        }
    }
    Ok(())
}

fn reference(name: &str) -> String {
    format!("#/$defs/{name}")
}

fn text(comment: &str) -> String {
    comment.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn of_message(schema: &Schema, message: &Message) -> Result<Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let mut conditions = Vec::new();
    for field in message.fields.iter().filter(|field| field.oneof.is_none()) {
        let name = &field.name;
        let mut property = of_field(field);
        property.insert("description".into(), text(&field.comment).into());
        properties.insert(name.clone(), property.into());
        if field.rules.required || field.rules.min > 0 {
            required.push(name.clone());
        }
        if field.json_form == JsonForm::TextOrBase64 {
            let encoding = format!("{name}_encoding");
            properties.insert(encoding.clone(), json!({ "const": "base64" }));
            conditions.push(json!({
                "if": { "required": [encoding] },
                "then": { "properties": { name.as_str(): { "contentEncoding": "base64", "pattern": BASE64 } } },
            }));
        }
    }
    if let Some(form) = OneofForm::of(schema, message)? {
        let (tag, content) = (&form.json.tag, &form.json.content);
        properties.insert(
            content.clone(),
            json!({ "description": text(&form.oneof.comment) }),
        );
        if !tag.is_empty() {
            properties.insert(
                tag.clone(),
                json!({ "type": "string", "minLength": 1, "maxLength": 64 }),
            );
            for field in form.known(message) {
                let FieldKind::Message(kind) = &field.kind else {
                    continue;
                };
                conditions.push(json!({
                    "if": { "properties": { tag.as_str(): { "const": field.name } }, "required": [tag] },
                    "then": { "properties": { content.as_str(): { "$ref": reference(kind) } } },
                }));
            }
        }
    }
    let mut out = Map::new();
    out.insert("type".into(), "object".into());
    out.insert("description".into(), text(&message.comment).into());
    out.insert("properties".into(), properties.into());
    if !required.is_empty() {
        out.insert("required".into(), required.into());
    }
    if !conditions.is_empty() {
        out.insert("allOf".into(), conditions.into());
    }
    Ok(out.into())
}

fn of_field(field: &Field) -> Map<String, Value> {
    let one = of_value(field);
    let value = if field.repeated {
        json!({ "type": "array", "items": one, "maxItems": field.rules.max_items })
    } else {
        one
    };
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn of_value(field: &Field) -> Value {
    let rules = &field.rules;
    let min = u64::from(rules.required);
    let range = range(field);
    match (&field.kind, field.json_form) {
        (_, JsonForm::FieldLines) => json!({ "$ref": reference("FieldLines") }),
        (_, JsonForm::Raw) => json!({}),
        (_, JsonForm::TextOrBase64) | (FieldKind::Bytes, _) => json!({ "type": "string" }),
        (FieldKind::Bool, _) => json!({ "type": "boolean" }),
        (FieldKind::Double, _) => match range {
            Some((min, max)) => json!({ "type": "number", "minimum": min, "maximum": max }),
            None => json!({ "type": "number", "minimum": f64::MIN, "maximum": f64::MAX }),
        },
        (FieldKind::Uint32, _) => {
            let (min, max) = range.unwrap_or((min, u32::MAX.into()));
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        (FieldKind::Uint64, _) if range.is_some_and(|(_, max)| max <= EXACT_MAX) => {
            let (min, max) = range.unwrap_or_default();
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        // Past that as a string.
        (FieldKind::Uint64, _) => json!({
            "anyOf": [
                { "type": "integer", "minimum": min, "maximum": EXACT_MAX },
                { "type": "string", "pattern": uint64_pattern() },
            ]
        }),
        (FieldKind::Timestamp, _) => json!({ "$ref": reference("Timestamp") }),
        (FieldKind::Texts, _) => json!({
            "type": "object",
            "additionalProperties": { "type": "string", "maxLength": rules.max_bytes },
            "maxProperties": rules.max_items,
        }),
        (FieldKind::Message(name) | FieldKind::Enum(name), _) => json!({ "$ref": reference(name) }),
        (FieldKind::String, _) => of_text(field),
    }
}

/// A pattern of the decimal numbers up to the largest of 64 bits.
fn uint64_pattern() -> String {
    let max = u64::MAX.to_string();
    // A number has no leading zero, in a string neither.
    let mut pattern = format!("^(0|[1-9][0-9]{{0,{}}}", max.len() - 2);
    // Numbers as long as the largest: smaller at one digit, the same before it, any after it.
    for (at, digit) in max.bytes().enumerate().filter(|(_, digit)| *digit > b'0') {
        let (same, below, free) = (&max[..at], char::from(digit - 1), max.len() - at - 1);
        let least = u8::from(at == 0);
        if below >= char::from(b'0' + least) {
            pattern += &format!("|{same}[{least}-{below}][0-9]{{{free}}}");
        }
    }
    pattern + &format!("|{max})$")
}

fn of_text(field: &Field) -> Value {
    let rules = &field.rules;
    let mut out = Map::new();
    out.insert("type".into(), "string".into());
    if rules.required {
        out.insert("minLength".into(), 1.into());
    }
    // The limit is in bytes, and no character takes less than one.
    if rules.max_bytes > 0 {
        out.insert("maxLength".into(), rules.max_bytes.into());
    }
    let pattern = match rules.format {
        Format::Any | Format::FieldLines => None,
        Format::StreamId => Some("^[!-~]{1,64}$"),
        Format::Uuid => Some("^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
        Format::Method => Some("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"),
        Format::RequestTarget => Some("^(/[^\\u0000-\\u0020\\u007f]*|\\*)$"),
        Format::Name => Some("^[a-z0-9_.]+$"),
        Format::Origin => Some("^https?://[A-Za-z0-9._:\\[\\]-]+$"),
    };
    if let Some(pattern) = pattern {
        out.insert("pattern".into(), pattern.into());
    }
    out.into()
}

fn of_enum(item: &Enum) -> Value {
    let names: Vec<_> = item.values.iter().map(|value| &value.json_name).collect();
    json!({
        "description": text(&item.comment),
        "anyOf": [
            { "enum": names },
            {
                "description": "A value that this version does not name.",
                "type": "integer",
                "minimum": i32::MIN,
                "maximum": i32::MAX,
            },
        ],
    })
}

fn field_lines() -> Value {
    let value = json!({ "type": "string", "pattern": FIELD_VALUE });
    json!({
        "description": "HTTP field lines: name to value, or to a list where a name repeats. A value's bytes stand as the code points U+0000 to U+00FF.",
        "type": "object",
        "propertyNames": { "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" },
        "additionalProperties": { "anyOf": [value, { "type": "array", "items": value, "minItems": 1 }] },
        "maxProperties": 200,
    })
}
