//! Generates the reference part of `docs/PROTOCOL.md` from the schema's comments and options: a
//! section for each message and enum, a row for each field and value. What comes before it is
//! written by hand.

use crate::{
    json::{OneofForm, always_written, tag_name},
    model::{Enum, Field, FieldKind, Format, JsonForm, Message, Schema},
    rules::range,
};
use std::{error::Error, fmt::Write};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The text of the reference.
pub fn generate(schema: &Schema) -> Result<String> {
    let mut out = String::new();
    writeln!(out, "## Envelopes")?;
    for envelope in &schema.envelopes {
        write_envelope(&mut out, schema, envelope)?;
    }
    writeln!(out, "\n## Messages")?;
    for message in &schema.messages {
        write_message(&mut out, schema, message)?;
    }
    writeln!(out, "\n## Enums")?;
    for item in &schema.enums {
        write_enum(&mut out, item)?;
    }
    Ok(out)
}

/// A comment as one line of a table.
fn line(comment: &str) -> String {
    let words: Vec<_> = comment.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

fn link(name: &str) -> String {
    format!("[`{name}`](#{})", name.to_lowercase())
}

fn write_envelope(out: &mut String, schema: &Schema, envelope: &Message) -> Result<()> {
    writeln!(out, "\n### {}\n\n{}\n", envelope.name, envelope.comment)?;
    for oneof in &envelope.oneofs {
        writeln!(out, "`{}`: {}\n", oneof.name, line(&oneof.comment))?;
    }
    writeln!(
        out,
        "| message | number | type | in JSON | what it is |\n| --- | --- | --- | --- | --- |"
    )?;
    for field in &envelope.fields {
        let FieldKind::Message(kind) = &field.kind else {
            continue;
        };
        let tag = tag_name(schema.message(kind));
        writeln!(
            out,
            "| `{0}` | {1} | {2} | `{{\"{tag}\": \"{0}\", ...}}` | {3} |",
            field.name,
            field.number,
            link(kind),
            line(&field.comment)
        )?;
    }
    Ok(())
}

fn write_message(out: &mut String, schema: &Schema, message: &Message) -> Result<()> {
    writeln!(out, "\n### {}\n\n{}\n", message.name, message.comment)?;
    writeln!(
        out,
        "| field | number | type | in JSON | limits | what it is |\n| --- | --- | --- | --- | --- | --- |"
    )?;
    let oneof = OneofForm::of(schema, message)?;
    for field in &message.fields {
        let json = match &oneof {
            Some(form) if field.oneof.is_some() => oneof_member(form, field),
            _ => json_form(field),
        };
        writeln!(
            out,
            "| `{}` | {} | {} | {json} | {} | {} |",
            field.name,
            field.number,
            type_name(field),
            limits(field),
            line(&field.comment)
        )?;
    }
    if let Some(form) = oneof {
        writeln!(
            out,
            "\n`{}`, at most one of these: {}",
            form.oneof.name,
            line(&form.oneof.comment)
        )?;
    }
    Ok(())
}

/// How a field of a oneof stands in JSON.
fn oneof_member(form: &OneofForm<'_>, field: &Field) -> String {
    let content = &form.json.content;
    let rest = field.number == form.rest.number;
    match (form.json.tag.as_str(), rest) {
        ("", false) => format!("`\"{content}\": {{...}}`, written only"),
        ("", true) => format!("`\"{content}\"`: any value"),
        (tag, false) => format!("`\"{tag}\": \"{}\", \"{content}\": {{...}}`", field.name),
        (tag, true) => format!("`\"{tag}\"`: any other, `\"{content}\"`: any value"),
    }
}

fn type_name(field: &Field) -> String {
    let one = match &field.kind {
        FieldKind::Bool => "bool".into(),
        FieldKind::Uint32 => "uint32".into(),
        FieldKind::Uint64 => "uint64".into(),
        FieldKind::Double => "double".into(),
        FieldKind::String => "string".into(),
        FieldKind::Bytes => "bytes".into(),
        FieldKind::Timestamp => "Timestamp".into(),
        FieldKind::Texts => "map of string to string".into(),
        FieldKind::Message(name) | FieldKind::Enum(name) => link(name),
    };
    match (field.repeated, field.presence && field.oneof.is_none()) {
        (true, _) => format!("repeated {one}"),
        (_, true) if !matches!(field.kind, FieldKind::Message(_) | FieldKind::Timestamp) => {
            format!("optional {one}")
        }
        _ => one,
    }
}

/// What one value of a field is in JSON.
pub fn type_words(field: &Field) -> &'static str {
    match (&field.kind, field.json_form) {
        (_, JsonForm::FieldLines) => "object of field lines",
        (_, JsonForm::Raw) => "any value",
        (FieldKind::Bool, _) => "true or false",
        (FieldKind::Uint32 | FieldKind::Double, _) => "number",
        (FieldKind::Uint64, _) => "number, a string past 2^53",
        (FieldKind::Bytes, JsonForm::Usual) => "base64",
        (FieldKind::String | FieldKind::Bytes, _) => "string",
        (FieldKind::Timestamp, _) => "RFC 3339 string",
        (FieldKind::Message(_) | FieldKind::Texts, _) => "object",
        (FieldKind::Enum(_), _) => "name",
    }
}

fn json_form(field: &Field) -> String {
    let one = match (&field.kind, field.json_form) {
        (_, JsonForm::FieldLines) if always_written(field) => {
            "object of field lines, always written"
        }
        (_, JsonForm::TextOrBase64) => {
            return format!(
                "text, or base64 beside `\"{}_encoding\": \"base64\"`",
                field.name
            );
        }
        // The link has bytes only in forms of their own.
        (FieldKind::Bytes, JsonForm::Usual) => "string",
        _ => type_words(field),
    };
    if field.repeated {
        format!("list: {one}")
    } else {
        one.into()
    }
}

/// What a field's value is held to.
pub fn limits(field: &Field) -> String {
    let rules = &field.rules;
    let mut limits = Vec::new();
    if rules.required {
        limits.push("required".into());
    }
    if rules.max_items > 0 {
        limits.push(format!("{} values", rules.max_items));
    }
    limits.extend(format_name(rules.format).map(String::from));
    if rules.max_bytes > 0 {
        limits.push(format!("{} bytes", rules.max_bytes));
    }
    if rules.max_characters > 0 {
        limits.push(format!("{} characters", rules.max_characters));
    }
    if let Some((min, max)) = range(field) {
        limits.push(format!("{min} to {max}"));
    }
    if field.sensitive {
        limits.push("secret".into());
    }
    limits.join(", ")
}

fn format_name(format: Format) -> Option<&'static str> {
    Some(match format {
        Format::Any => return None,
        Format::StreamId => "visible ASCII",
        Format::Uuid => "UUID",
        Format::Method => "HTTP method",
        Format::RequestTarget => "`/path?query` or `*`",
        Format::FieldLines => "HTTP field lines",
        Format::Name => "`a-z`, `0-9`, `_`, `.`",
        Format::Origin => "`scheme://host:port`",
    })
}

fn write_enum(out: &mut String, item: &Enum) -> Result<()> {
    writeln!(out, "\n### {}\n\n{}\n", item.name, item.comment)?;
    writeln!(
        out,
        "| value | number | in JSON | meaning |\n| --- | --- | --- | --- |"
    )?;
    for value in &item.values {
        writeln!(
            out,
            "| `{}` | {} | `\"{}\"` | {} |",
            value.name,
            value.number,
            value.json_name,
            line(&value.comment)
        )?;
    }
    Ok(())
}
