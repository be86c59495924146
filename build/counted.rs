//! Generates, for each envelope, where its repeated fields stand: how many items they have is known
//! before any is decoded.

use crate::{
    messages::table,
    model::{Field, FieldKind, Message, Schema},
};
use std::{error::Error, fmt::Write};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Messages within messages, beyond which the schema is taken to nest without end.
const DEPTH_MAX: usize = 8;

/// The text of the module.
pub fn generate(schema: &Schema) -> Result<String> {
    let mut out = String::new();
    for envelope in &schema.envelopes {
        let mut items = 0;
        let counted = counted(schema, envelope, &mut items, 0)?;
        writeln!(
            out,
            "const {}_COUNTED: Counted = Counted {{ items: {items}, entries: {counted} }};",
            table(&envelope.name)
        )?;
    }
    Ok(out)
}

/// The entries of a message, as an expression.
fn counted(schema: &Schema, message: &Message, items: &mut usize, depth: usize) -> Result<String> {
    if depth > DEPTH_MAX {
        return Err(format!("{} is too deep for its items to be counted", message.name).into());
    }
    let mut entries = String::new();
    for field in &message.fields {
        let number = field.number;
        if field.repeated {
            write!(
                entries,
                "Entry {{ number: {number}, kind: Kind::Items {{ index: {items}, max: {}, packed: {}, place: Place {{ message: {:?}, field: {:?} }} }} }}, ",
                field.rules.max_items,
                is_packed(field)?,
                message.name,
                field.name
            )?;
            *items += 1;
        }
        if let FieldKind::Message(name) = &field.kind {
            let inner = counted(schema, schema.message(name), items, depth + 1)?;
            if inner != "&[]" {
                write!(
                    entries,
                    "Entry {{ number: {number}, kind: Kind::Within({inner}) }}, "
                )?;
            }
        }
    }
    Ok(format!("&[{entries}]"))
}

/// Whether many values may stand in one, each a varint.
fn is_packed(field: &Field) -> Result<bool> {
    match field.kind {
        FieldKind::Double => Err(format!("{}: no rule for counting doubles", field.name).into()),
        FieldKind::Bool | FieldKind::Uint32 | FieldKind::Uint64 | FieldKind::Enum(_) => Ok(true),
        _ => Ok(false),
    }
}
