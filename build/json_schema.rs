//! A message as JSON Schema (2020-12), from the same options as the codec. There is one generator for
//! all who describe messages: the link's schemas, OpenAPI and AsyncAPI. It says of the link's messages
//! what is written, as readers take some spellings more, which `docs/PROTOCOL.md` names; of the API's
//! requests exactly what is taken; of its answers what a caller can rely on.

use crate::{
    json::OneofForm,
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
pub const EXACT_MAX: u64 = 1 << 53;
/// What a field value may hold (RFC 9110 section 5.5), bytes as code points.
const FIELD_VALUE: &str = "^[\\t\\u0020-\\u007e\\u0080-\\u00ff]*$";
/// RFC 3339. How many days a month has is left to the format, as no pattern can say it. The first and the
/// last day are told in UTC only: elsewhere a part of them lies outside of the years 1 to 9999.
const TIME: &str = "^(?!0000|0001-01-01T.*\\+|9999-12-31T.*-)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// Which text it is that a schema describes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// A message of the link as it is written.
    Link,
    /// A request to the API: a member that is not named is refused.
    Request,
    /// An answer of the API, where every field that is never absent is written.
    Answer,
}

/// How the messages of one package are described.
pub struct Describe<'a> {
    pub schema: &'a Schema,
    pub text: Text,
    /// Where the definition of a message or an enum stands, by its name.
    pub reference: &'a dyn Fn(&str) -> String,
}

/// Adds what a message is made of, but for what keeps an unknown type: that has no object.
pub fn need<'a>(schema: &'a Schema, name: &'a str, needed: &mut BTreeSet<&'a str>) -> Result<()> {
    if !needed.insert(name) {
        return Ok(());
    }
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
            FieldKind::Timestamp => {
                needed.insert("Timestamp");
            }
            _ if field.json_form == JsonForm::FieldLines => {
                needed.insert("FieldLines");
            }
            _ => {}
        }
    }
    Ok(())
}

/// A comment as one line.
pub fn text(comment: &str) -> String {
    comment.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Describe<'_> {
    /// The definition of each of these, by its name, in the order of the schema.
    pub fn definitions(&self, needed: &BTreeSet<&str>) -> Result<Vec<(String, Value)>> {
        let mut definitions = Vec::new();
        for message in &self.schema.messages {
            if needed.contains(&*message.name) {
                definitions.push((message.name.clone(), self.message(message, &[])?));
            }
        }
        for item in &self.schema.enums {
            if needed.contains(&*item.name) {
                definitions.push((item.name.clone(), self.item(item)));
            }
        }
        if needed.contains("FieldLines") {
            definitions.push(("FieldLines".into(), field_lines()));
        }
        if needed.contains("Timestamp") {
            definitions.push((
                "Timestamp".into(),
                json!({ "type": "string", "format": "date-time", "pattern": TIME }),
            ));
        }
        Ok(definitions)
    }

    /// A message's object, without the fields that stand elsewhere.
    pub fn message(&self, message: &Message, without: &[&str]) -> Result<Value> {
        let mut properties = Map::new();
        let mut required = Vec::new();
        let mut conditions = Vec::new();
        let form = OneofForm::of(self.schema, message)?;
        for field in &message.fields {
            let name = &field.name;
            if without.contains(&&**name) || field.oneof.is_some() && form.is_some() {
                continue;
            }
            let mut property = self.field(field);
            property.insert("description".into(), text(&field.comment).into());
            properties.insert(name.clone(), property.into());
            if self.is_always_there(field) {
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
        match &form {
            Some(form) => self.add_oneof(message, form, &mut properties, &mut conditions),
            None => {
                for index in 0..message.oneofs.len() {
                    conditions.extend(excluding(message, index));
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
        if self.text == Text::Request {
            out.insert("additionalProperties".into(), false.into());
        }
        Ok(out.into())
    }

    /// A oneof whose member that is set is named by another.
    fn add_oneof(
        &self,
        message: &Message,
        form: &OneofForm<'_>,
        properties: &mut Map<String, Value>,
        conditions: &mut Vec<Value>,
    ) {
        let (tag, content) = (&form.json.tag, &form.json.content);
        properties.insert(
            content.clone(),
            json!({ "description": text(&form.oneof.comment) }),
        );
        if tag.is_empty() {
            return;
        }
        properties.insert(
            tag.clone(),
            json!({ "type": "string", "minLength": 1, "maxLength": 64 }),
        );
        for field in form.known(message) {
            let FieldKind::Message(kind) = &field.kind else {
                continue;
            };
            let mut then =
                json!({ "properties": { content.as_str(): { "$ref": (self.reference)(kind) } } });
            // Without its content it would lack what is always there in it.
            let fields = &self.schema.message(kind).fields;
            if fields.iter().any(|field| self.is_always_there(field)) {
                then["required"] = json!([content]);
            }
            conditions.push(json!({
                "if": { "properties": { tag.as_str(): { "const": field.name } }, "required": [tag] },
                "then": then,
            }));
        }
    }

    fn is_always_there(&self, field: &Field) -> bool {
        if field.oneof.is_some() || field.presence {
            return false;
        }
        self.text == Text::Answer || field.rules.required || field.rules.min > 0
    }

    /// A field's value, or the list of them.
    pub fn field(&self, field: &Field) -> Map<String, Value> {
        let one = self.value(field);
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

    fn value(&self, field: &Field) -> Value {
        let rules = &field.rules;
        let min = u64::from(rules.required);
        let range = range(field);
        match (&field.kind, field.json_form) {
            (_, JsonForm::FieldLines) => json!({ "$ref": (self.reference)("FieldLines") }),
            (_, JsonForm::Raw) => json!({}),
            (FieldKind::Bytes, JsonForm::Usual) if self.text != Text::Link => json!({
                "type": "string",
                "contentEncoding": "base64",
                "pattern": BASE64,
                "maxLength": rules.max_bytes.div_ceil(3) * 4,
            }),
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
            (FieldKind::Uint64, _) if !is_wide(field) => {
                let (min, max) = range.unwrap_or_default();
                json!({ "type": "integer", "minimum": min, "maximum": max })
            }
            // Past that as a string.
            (FieldKind::Uint64, _) => json!({
                "anyOf": [
                    { "type": "integer", "minimum": min, "maximum": self.largest_number() },
                    { "type": "string", "pattern": uint64_pattern() },
                ]
            }),
            (FieldKind::Timestamp, _) => json!({ "$ref": (self.reference)("Timestamp") }),
            (FieldKind::Texts, _) => {
                let mut one = json!({
                    "type": "object",
                    "additionalProperties": { "type": "string", "maxLength": rules.max_size() },
                    "maxProperties": rules.max_items,
                });
                if self.text != Text::Link {
                    one["propertyNames"] = json!({ "minLength": 1, "maxLength": rules.max_size() });
                }
                one
            }
            (FieldKind::Message(name) | FieldKind::Enum(name), _) => {
                json!({ "$ref": (self.reference)(name) })
            }
            (FieldKind::String, _) => self.text(field),
        }
    }

    /// The largest number that is no string.
    fn largest_number(&self) -> u64 {
        match self.text {
            Text::Request => u64::MAX,
            Text::Link | Text::Answer => EXACT_MAX,
        }
    }

    fn text(&self, field: &Field) -> Value {
        let rules = &field.rules;
        let mut out = Map::new();
        out.insert("type".into(), "string".into());
        let api = self.text != Text::Link;
        // A value that has no natural empty form is absent where it is empty, if it may be absent.
        let shaped = rules.format != Format::Any || field.sensitive;
        let may_be_empty = !rules.required && !(shaped && (field.presence || field.repeated));
        if rules.required || api && !may_be_empty {
            out.insert("minLength".into(), 1.into());
        }
        // Where the limit is in bytes: no character takes less than one.
        if rules.max_size() > 0 {
            out.insert("maxLength".into(), rules.max_size().into());
        }
        if let Some(pattern) = pattern(rules.format) {
            let pattern = if api && may_be_empty {
                format!("^$|{pattern}")
            } else {
                pattern.to_owned()
            };
            out.insert("pattern".into(), pattern.into());
        }
        if api && field.sensitive {
            out.insert("format".into(), "password".into());
        }
        out.into()
    }

    fn item(&self, item: &Enum) -> Value {
        let names: Vec<_> = item.values.iter().map(|value| &value.json_name).collect();
        match self.text {
            Text::Link => json!({
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
            }),
            Text::Request | Text::Answer => json!({
                "description": text(&item.comment),
                "type": "string",
                "enum": names,
            }),
        }
    }
}

/// Whether a whole number may be past what every JSON reader keeps.
pub fn is_wide(field: &Field) -> bool {
    field.kind == FieldKind::Uint64 && range(field).is_none_or(|(_, max)| max > EXACT_MAX)
}

/// Of a oneof's members two are never there at once.
fn excluding(message: &Message, oneof: usize) -> Vec<Value> {
    let names: Vec<_> = message.members(oneof).map(|field| &field.name).collect();
    let pairs = names.iter().enumerate();
    let pairs = pairs.flat_map(|(at, one)| names[at + 1..].iter().map(move |other| (one, other)));
    pairs
        .map(|(one, other)| json!({ "not": { "required": [one, other] } }))
        .collect()
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

fn pattern(format: Format) -> Option<&'static str> {
    Some(match format {
        Format::Any | Format::FieldLines => return None,
        Format::StreamId => "^[!-~]{1,64}$",
        Format::Uuid => "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        Format::Method => "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        Format::RequestTarget => "^(/[^\\u0000-\\u0020\\u007f]*|\\*)$",
        Format::Name => "^[a-z0-9_.]+$",
        Format::Origin => "^https?://[A-Za-z0-9._:\\[\\]-]+$",
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
