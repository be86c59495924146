//! Generates the two directions: an enum of what a side may send, a handler trait with one method
//! a message for the side that receives it, and the conversions that let a side send its own
//! messages and no others.

use crate::{
    messages::{camel, doc, snake, table},
    model::{FieldKind, Message, Schema, Tag},
};
use std::{error::Error, fmt::Write};

/// The text of the module.
pub fn generate(schema: &Schema) -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    for envelope in &schema.envelopes {
        write_envelope(&mut out, schema, envelope)?;
    }
    Ok(out)
}

fn write_envelope(
    out: &mut String,
    schema: &Schema,
    envelope: &Message,
) -> Result<(), Box<dyn Error>> {
    let name = &envelope.name;
    let module = snake(name);
    let fields: Vec<_> = envelope
        .fields
        .iter()
        .map(|field| match &field.kind {
            FieldKind::Message(kind) => (field, kind, camel(&field.name)),
            _ => unreachable!("the model has checked that an envelope holds messages"),
        })
        .collect();

    doc(out, "", &envelope.comment)?;
    writeln!(
        out,
        "#[derive(Clone, Debug, PartialEq)]\npub enum {name} {{"
    )?;
    for (field, kind, variant) in &fields {
        doc(out, "    ", &field.comment)?;
        writeln!(out, "    {variant}({kind}),")?;
    }
    writeln!(out, "}}")?;

    writeln!(
        out,
        "/// What the receiver of [`{name}`] does with each message. A message that is added to the\n/// schema and not to a handler does not compile.\npub trait {name}Handler {{\n    /// What comes of handling a message.\n    type Output;"
    )?;
    for (field, kind, _) in &fields {
        doc(out, "    ", &field.comment)?;
        writeln!(
            out,
            "    fn {}(&mut self, message: {kind}) -> Self::Output;",
            field.name
        )?;
    }
    writeln!(out, "}}")?;

    writeln!(
        out,
        "impl {name} {{\n    /// Hands the message to its method.\n    pub fn dispatch<H: {name}Handler>(self, handler: &mut H) -> H::Output {{\n        match self {{"
    )?;
    for (field, _, variant) in &fields {
        writeln!(
            out,
            "            Self::{variant}(message) => handler.{}(message),",
            field.name
        )?;
    }
    writeln!(out, "        }}\n    }}")?;
    writeln!(
        out,
        "    /// The message's name: its field in the envelope.\n    pub const fn name(&self) -> &'static str {{\n        match self {{"
    )?;
    for (field, _, variant) in &fields {
        writeln!(out, "            Self::{variant}(_) => {:?},", field.name)?;
    }
    writeln!(out, "        }}\n    }}")?;
    writeln!(
        out,
        "    /// Every message of this direction: its name and the JSON member that carries it.\n    pub const NAMES: &'static [(&'static str, &'static str)] = &["
    )?;
    for (field, kind, _) in &fields {
        let tag = match schema.message(kind).tag {
            Some(Tag::MessageType) => "message_type",
            _ => "type",
        };
        writeln!(out, "        ({:?}, {tag:?}),", field.name)?;
    }
    writeln!(out, "    ];\n}}")?;

    for (_, kind, variant) in &fields {
        writeln!(
            out,
            "impl From<{kind}> for {name} {{\n    fn from(message: {kind}) -> Self {{\n        Self::{variant}(message)\n    }}\n}}"
        )?;
    }

    writeln!(
        out,
        "impl Envelope for {name} {{\n    type Wire = pb::{name};\n    const COUNTED: &'static Counted = &{table}_COUNTED;\n    fn from_wire(wire: pb::{name}) -> Result<Option<Self>, FieldInvalid> {{\n        Ok(match wire.message {{\n            None => None,",
        table = table(name)
    )?;
    for (_, kind, variant) in &fields {
        writeln!(
            out,
            "            Some(pb::{module}::Message::{variant}(message)) => Some(Self::{variant}({kind}::try_from(message)?)),"
        )?;
    }
    writeln!(
        out,
        "        }})\n    }}\n    fn into_wire(self) -> pb::{name} {{\n        pb::{name} {{\n            message: Some(match self {{"
    )?;
    for (_, _, variant) in &fields {
        writeln!(
            out,
            "                Self::{variant}(message) => pb::{module}::Message::{variant}(message.into()),"
        )?;
    }
    writeln!(
        out,
        "            }}),\n        }}\n    }}\n    fn name(&self) -> &'static str {{\n        Self::name(self)\n    }}\n}}"
    )?;
    Ok(())
}
