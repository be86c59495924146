//! Generates the domain types: one struct a message, one enum an enum or oneof, and the checked way
//! from prost's types to them and back. The rules of `options.proto` become code here, once, so
//! that no encoding can go around them.

use crate::{
    json::OneofForm,
    model::{Enum, Field, FieldKind, Format, JsonForm, Message, Oneof, Schema},
    rules,
};
use std::{collections::BTreeSet, error::Error, fmt::Write};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The text of the module.
pub fn generate(schema: &Schema) -> Result<String> {
    let mut out = String::new();
    for name in schema.borrowed_names() {
        writeln!(out, "pub use super::messages::{name};")?;
    }
    for item in schema.enums.iter().filter(|item| !item.borrowed) {
        write_enum(&mut out, item)?;
    }
    for message in schema.messages.iter().filter(|message| !message.borrowed) {
        rules::check(message, !schema.services.is_empty())?;
        for (index, oneof) in message.oneofs.iter().enumerate() {
            write_oneof(&mut out, message, index, oneof)?;
        }
        write_struct(&mut out, message)?;
        write_from_wire(&mut out, schema, message)?;
        write_to_wire(&mut out, message)?;
    }
    let methods = schema.services.iter().flat_map(|service| &service.methods);
    let whole: BTreeSet<_> = methods
        .flat_map(|method| [&method.request, &method.response])
        .collect();
    for name in whole {
        writeln!(
            out,
            "impl super::json::api::Whole for {name} {{\n    type Wire = pb::{name};\n}}"
        )?;
    }
    Ok(out)
}

/// Doc comment lines.
pub fn doc(out: &mut String, indent: &str, comment: &str) -> Result<()> {
    for line in comment.lines() {
        writeln!(
            out,
            "{indent}///{}{line}",
            if line.is_empty() { "" } else { " " }
        )?;
    }
    Ok(())
}

/// `stream_data` as `StreamData`.
pub fn camel(name: &str) -> String {
    let mut words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(usize::from(!word.is_empty()));
        first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
    });
    words.by_ref().collect()
}

fn write_enum(out: &mut String, item: &Enum) -> Result<()> {
    let name = &item.name;
    doc(out, "", &item.comment)?;
    writeln!(
        out,
        "#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]\npub enum {name} {{"
    )?;
    for value in &item.values {
        doc(out, "    ", &value.comment)?;
        if value.number == 0 {
            writeln!(out, "    #[default]")?;
        }
        writeln!(out, "    {},", camel(&value.json_name))?;
    }
    writeln!(
        out,
        "    /// A number that this schema does not name, kept as it came.\n    Unknown(i32),\n}}"
    )?;
    writeln!(out, "impl {name} {{")?;
    writeln!(
        out,
        "    /// The number in the binary encoding.\n    pub const fn number(self) -> i32 {{\n        match self {{"
    )?;
    for value in &item.values {
        writeln!(
            out,
            "            Self::{} => {},",
            camel(&value.json_name),
            value.number
        )?;
    }
    writeln!(
        out,
        "            Self::Unknown(number) => number,\n        }}\n    }}"
    )?;
    writeln!(
        out,
        "    /// The value of that number.\n    pub const fn from_number(number: i32) -> Self {{\n        match number {{"
    )?;
    for value in &item.values {
        writeln!(
            out,
            "            {} => Self::{},",
            value.number,
            camel(&value.json_name)
        )?;
    }
    writeln!(
        out,
        "            number => Self::Unknown(number),\n        }}\n    }}"
    )?;
    writeln!(
        out,
        "    /// The name in JSON and in logs; `None` for a number that the schema does not name.\n    pub const fn name(self) -> Option<&'static str> {{\n        match self {{"
    )?;
    for value in &item.values {
        writeln!(
            out,
            "            Self::{} => Some({:?}),",
            camel(&value.json_name),
            value.json_name
        )?;
    }
    writeln!(
        out,
        "            Self::Unknown(_) => None,\n        }}\n    }}"
    )?;
    writeln!(
        out,
        "    /// The value of that name.\n    pub fn from_name(name: &str) -> Option<Self> {{\n        match name {{"
    )?;
    for value in &item.values {
        writeln!(
            out,
            "            {:?} => Some(Self::{}),",
            value.json_name,
            camel(&value.json_name)
        )?;
    }
    writeln!(out, "            _ => None,\n        }}\n    }}\n}}")?;
    writeln!(
        out,
        "impl std::fmt::Display for {name} {{\n    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{\n        match self.name() {{\n            Some(name) => f.write_str(name),\n            None => write!(f, \"{{}}\", self.number()),\n        }}\n    }}\n}}"
    )?;
    Ok(())
}

fn oneof_type(message: &Message, oneof: &Oneof) -> String {
    format!("{}{}", message.name, camel(&oneof.name))
}

fn write_oneof(out: &mut String, message: &Message, index: usize, oneof: &Oneof) -> Result<()> {
    let name = oneof_type(message, oneof);
    writeln!(
        out,
        "/// `{}` of [`{}`].\n#[derive(Clone, Debug, PartialEq)]\npub enum {name} {{",
        oneof.name, message.name
    )?;
    for field in message.members(index) {
        doc(out, "    ", &field.comment)?;
        writeln!(out, "    {}({}),", camel(&field.name), element_type(field))?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

fn write_struct(out: &mut String, message: &Message) -> Result<()> {
    doc(out, "", &message.comment)?;
    let shy = message.fields.iter().any(|f| f.kind == FieldKind::Bytes);
    let derives = if shy {
        "Clone, PartialEq"
    } else {
        "Clone, Debug, PartialEq"
    };
    writeln!(out, "#[derive({derives})]\npub struct {} {{", message.name)?;
    let mut slots = Vec::new();
    for field in &message.fields {
        match field.oneof {
            None => {
                doc(out, "    ", &field.comment)?;
                writeln!(out, "    pub {}: {},", field.name, domain_type(field))?;
                slots.push((
                    field.name.clone(),
                    field.kind == FieldKind::Bytes && field.rules.format == Format::Any,
                ));
            }
            Some(index)
                if message
                    .members(index)
                    .next()
                    .is_some_and(|f| f.name == field.name) =>
            {
                let oneof = &message.oneofs[index];
                writeln!(
                    out,
                    "    /// One of the kinds of [`{0}`], or none.\n    pub {1}: Option<{0}>,",
                    oneof_type(message, oneof),
                    oneof.name
                )?;
                slots.push((oneof.name.clone(), false));
            }
            Some(_) => {}
        }
    }
    writeln!(out, "}}")?;
    if shy {
        // What a stream carries is the user's: a log says how much of it there was.
        writeln!(
            out,
            "impl std::fmt::Debug for {0} {{\n    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{\n        f.debug_struct({0:?})",
            message.name
        )?;
        for (slot, bytes) in slots {
            let value = if bytes {
                format!("self.{slot}.len()")
            } else {
                format!("self.{slot}")
            };
            writeln!(out, "            .field({slot:?}, &{value})")?;
        }
        writeln!(out, "            .finish()\n    }}\n}}")?;
    }
    if message.has_sensitive_field() {
        writeln!(
            out,
            "impl std::fmt::Debug for pb::{0} {{\n    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{\n        f.debug_struct({0:?}).finish_non_exhaustive()\n    }}\n}}",
            message.name
        )?;
    }
    Ok(())
}

/// The type of one value of the field.
fn element_type(field: &Field) -> String {
    if field.sensitive {
        return "Secret".into();
    }
    if field.json_form == JsonForm::Raw {
        return "RawJson".into();
    }
    match (&field.kind, field.rules.format) {
        (FieldKind::Bool, _) => "bool".into(),
        (FieldKind::Uint32, _) => "u32".into(),
        (FieldKind::Uint64, _) => "u64".into(),
        (FieldKind::Double, _) => "f64".into(),
        (FieldKind::Timestamp, _) => "Timestamp".into(),
        (FieldKind::Texts, _) => "BTreeMap<String, String>".into(),
        (FieldKind::Bytes, Format::FieldLines) => "FieldLines".into(),
        (FieldKind::Bytes, _) => "Bytes".into(),
        (FieldKind::String, Format::StreamId) => "StreamId".into(),
        (FieldKind::String, Format::Uuid) => "Uuid".into(),
        (FieldKind::String, Format::Method) => "Method".into(),
        (FieldKind::String, Format::RequestTarget) => "RequestTarget".into(),
        (FieldKind::String, Format::Name) => "Name".into(),
        (FieldKind::String, Format::Origin) => "Origin".into(),
        (FieldKind::String, _) => "String".into(),
        (FieldKind::Message(name) | FieldKind::Enum(name), _) => name.clone(),
    }
}

/// Whether the domain type is an `Option`: what may be absent and has no natural empty value.
fn optional(field: &Field) -> bool {
    if field.repeated || field.rules.required {
        return false;
    }
    let has_empty_value = match field.kind {
        FieldKind::String => {
            field.rules.format == Format::Any
                && field.json_form != JsonForm::Raw
                && !field.sensitive
        }
        _ => true,
    };
    field.presence || !has_empty_value
}

fn domain_type(field: &Field) -> String {
    let element = element_type(field);
    if field.repeated {
        format!("Vec<{element}>")
    } else if optional(field) {
        format!("Option<{element}>")
    } else {
        element
    }
}

/// The checked conversion of one value, `value` being an expression of prost's type for it.
fn check(message: &Message, field: &Field, value: &str) -> String {
    let max = if field.rules.max_characters > 0 {
        format!("Max::Characters({})", field.rules.max_characters)
    } else {
        format!("Max::Bytes({})", field.rules.max_bytes)
    };
    let range = rules::range(field);
    let place = format!(
        "Place {{ message: {:?}, field: {:?} }}",
        message.name, field.name
    );
    let typed = |check: &str| format!("check::{check}({value}, {place})?");
    match (&field.kind, field.rules.format) {
        _ if field.sensitive => format!("check::secret({value}, {max}, {place})?"),
        _ if field.json_form == JsonForm::Raw => {
            format!("check::parsed({value}, {max}, {place})?")
        }
        (FieldKind::Bool, _) => value.to_owned(),
        (FieldKind::Uint32 | FieldKind::Uint64, _) => match range {
            Some((min, max)) => format!("check::range({value}, {min}, {max}, {place})?"),
            None if field.rules.required => typed("not_zero"),
            None => value.to_owned(),
        },
        (FieldKind::Double, _) => match range {
            Some((min, max)) => format!("check::range_of_double({value}, {min}, {max}, {place})?"),
            None => typed("finite"),
        },
        (FieldKind::Timestamp, _) => typed("timestamp"),
        (FieldKind::Texts, _) => format!(
            "check::texts({value}, {}, {max}, {place})?",
            field.rules.max_items
        ),
        (FieldKind::Bytes, Format::FieldLines) => {
            format!("check::field_lines({value}, {max}, {place})?")
        }
        (FieldKind::Bytes, _) => format!("check::bytes({value}, {max}, {place})?"),
        (FieldKind::String, Format::Any) => {
            let check = if field.rules.required {
                "required_text"
            } else {
                "text"
            };
            format!("check::{check}({value}, {max}, {place})?")
        }
        (FieldKind::String, Format::StreamId) => {
            format!("check::stream_id({value}, {max}, {place})?")
        }
        (FieldKind::String, Format::Uuid) => typed("uuid"),
        (FieldKind::String, _) => {
            format!("check::parsed({value}, {max}, {place})?")
        }
        (FieldKind::Message(name), _) => format!("{name}::try_from({value})?"),
        (FieldKind::Enum(name), _) => format!("{name}::from_number({value})"),
    }
}

fn write_from_wire(out: &mut String, schema: &Schema, message: &Message) -> Result<()> {
    let name = &message.name;
    let form = OneofForm::of(schema, message)?;
    writeln!(
        out,
        "impl TryFrom<pb::{name}> for {name} {{\n    type Error = FieldInvalid;\n    fn try_from(wire: pb::{name}) -> Result<Self, FieldInvalid> {{\n        Ok(Self {{"
    )?;
    for field in message.fields.iter().filter(|field| field.oneof.is_none()) {
        let slot = &field.name;
        let wire = format!("wire.{slot}");
        let value = if field.repeated {
            let place = format!("Place {{ message: {name:?}, field: {slot:?} }}");
            format!(
                "{{ check::count(wire.{slot}.len(), {}, {place})?; wire.{slot}.into_iter().map(|item| -> Result<_, FieldInvalid> {{ Ok({}) }}).collect::<Result<_, _>>()? }}",
                field.rules.max_items,
                check(message, field, "item")
            )
        } else if field.presence {
            format!(
                "match {wire} {{ Some(value) => Some({}), None => None }}",
                check(message, field, "value")
            )
        } else if optional(field) {
            format!(
                "if {wire}.is_empty() {{ None }} else {{ Some({}) }}",
                check(message, field, &wire)
            )
        } else {
            check(message, field, &wire)
        };
        writeln!(out, "            {slot}: {value},")?;
    }
    for (index, oneof) in message.oneofs.iter().enumerate() {
        let module = snake(name);
        writeln!(
            out,
            "            {}: match wire.{} {{\n                None => None,",
            oneof.name, oneof.name
        )?;
        for field in message.members(index) {
            let variant = camel(&field.name);
            // What is kept as unknown would come back as known where it named a known type.
            if let (Some(form), FieldKind::Message(rest)) = (&form, &field.kind)
                && form.rest.number == field.number
            {
                let names: Vec<_> = form.known(message).map(|field| &field.name).collect();
                let tag = &form.json.tag;
                writeln!(
                    out,
                    "                Some(pb::{module}::{}::{variant}(value)) if {names:?}.contains(&&*value.{tag}) => return Err(check::named(Place {{ message: {rest:?}, field: {tag:?} }})),",
                    camel(&oneof.name)
                )?;
            }
            writeln!(
                out,
                "                Some(pb::{module}::{}::{variant}(value)) => Some({}::{variant}({})),",
                camel(&oneof.name),
                oneof_type(message, oneof),
                check(message, field, "value")
            )?;
        }
        writeln!(out, "            }},")?;
    }
    writeln!(out, "        }})\n    }}\n}}")?;
    Ok(())
}

/// The unchecked conversion of one domain value to prost's type.
fn unwrap(field: &Field, value: &str) -> String {
    if field.sensitive || field.json_form == JsonForm::Raw {
        return format!("{value}.into_string()");
    }
    match (&field.kind, field.rules.format) {
        (FieldKind::Timestamp | FieldKind::Message(_), _) => format!("{value}.into()"),
        (FieldKind::Bytes, Format::FieldLines) => format!("{value}.into_bytes()"),
        (FieldKind::String, Format::Any) => value.to_owned(),
        (FieldKind::String, Format::StreamId | Format::Uuid) => format!("{value}.to_string()"),
        (FieldKind::String, _) => format!("{value}.into_string()"),
        (FieldKind::Enum(_), _) => format!("{value}.number()"),
        _ => value.to_owned(),
    }
}

fn write_to_wire(out: &mut String, message: &Message) -> Result<()> {
    let name = &message.name;
    writeln!(
        out,
        "impl From<{name}> for pb::{name} {{\n    fn from(domain: {name}) -> Self {{\n        Self {{"
    )?;
    for field in message.fields.iter().filter(|field| field.oneof.is_none()) {
        let slot = &field.name;
        let domain = format!("domain.{slot}");
        let plain = unwrap(field, "value") == "value";
        let value = match (field.repeated, field.presence, optional(field)) {
            (true, ..) | (_, true, true) if plain => domain,
            (true, ..) => format!(
                "{domain}.into_iter().map(|value| {}).collect()",
                unwrap(field, "value")
            ),
            (_, true, true) => format!("{domain}.map(|value| {})", unwrap(field, "value")),
            (_, false, true) => format!(
                "{domain}.map(|value| {}).unwrap_or_default()",
                unwrap(field, "value")
            ),
            (.., false) => unwrap(field, &domain),
        };
        writeln!(out, "            {slot}: {value},")?;
    }
    for (index, oneof) in message.oneofs.iter().enumerate() {
        writeln!(
            out,
            "            {}: domain.{}.map(|value| match value {{",
            oneof.name, oneof.name
        )?;
        for field in message.members(index) {
            let variant = camel(&field.name);
            writeln!(
                out,
                "                {}::{variant}(value) => pb::{}::{}::{variant}({}),",
                oneof_type(message, oneof),
                snake(name),
                camel(&oneof.name),
                unwrap(field, "value")
            )?;
        }
        writeln!(out, "            }}),")?;
    }
    writeln!(out, "        }}\n    }}\n}}")?;
    Ok(())
}

/// `AgentToPlatform` as `AGENT_TO_PLATFORM`: the beginning of a constant's name.
pub fn table(name: &str) -> String {
    snake(name).to_uppercase()
}

/// `AgentToPlatform` as `agent_to_platform`: the module that prost makes for a message's oneofs.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    for (index, letter) in name.char_indices() {
        if index > 0 && letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
