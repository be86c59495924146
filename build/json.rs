//! Generates the JSON encoding: for every message its members' names, a reader of each member and a
//! writer, after the options of `options.proto`. The hand-written part is `src/wire/json/`.

use crate::{
    json_schema::is_wide,
    messages::{camel, snake, table},
    model::{Enum, Field, FieldKind, JsonForm, JsonOneof, Message, Oneof, Schema, Tag},
};
use std::{error::Error, fmt::Write};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Members and a tag are told apart by the bits of a `u64`.
const MEMBERS_MAX: usize = 63;

/// The text of the module.
pub fn generate(schema: &Schema) -> Result<String> {
    let mut out = String::new();
    for item in &schema.enums {
        if item.borrowed {
            writeln!(out, "use super::messages::{};", table(&item.name))?;
        } else {
            write_enum(&mut out, item)?;
        }
    }
    let forms = schema
        .messages
        .iter()
        .map(|message| OneofForm::of(schema, message));
    let forms = forms.collect::<Result<Vec<_>>>()?;
    // What keeps an unknown kind has no object of its own: it stands as tag and content beside it.
    let rests: Vec<_> = forms.iter().flatten().map(|form| &form.rest.kind).collect();
    for (message, oneof) in schema.messages.iter().zip(&forms) {
        if !message.borrowed && !rests.contains(&&FieldKind::Message(message.name.clone())) {
            write_message(&mut out, message, oneof.as_ref())?;
        }
    }
    for envelope in &schema.envelopes {
        write_envelope(&mut out, schema, envelope)?;
    }
    Ok(out)
}

/// The JSON member that carries the name of an envelope's message.
pub fn tag_name(message: &Message) -> &'static str {
    match message.tag {
        Some(Tag::MessageType) => "message_type",
        _ => "type",
    }
}

/// Whether the field is written even where it is empty: programs of the first days look into
/// `headers` without asking whether it is there.
pub fn always_written(field: &Field) -> bool {
    field.json_form == JsonForm::FieldLines && field.name == "headers"
}

/// The oneof of a message that has a form of its own in JSON: itself, that form and its catch-all. A
/// message has one such at most; those without stand as their set field, under that field's own name.
pub struct OneofForm<'a> {
    pub oneof: &'a Oneof,
    pub json: &'a JsonOneof,
    /// The field that keeps what no other field knows.
    pub rest: &'a Field,
}

impl<'a> OneofForm<'a> {
    /// Reads it off the message and refuses shapes that no rule covers.
    pub fn of(schema: &Schema, message: &'a Message) -> Result<Option<Self>> {
        let mut formed = message.oneofs.iter();
        let formed = formed.find_map(|oneof| Some((oneof, oneof.json.as_ref()?)));
        let Some((oneof, json)) = formed else {
            return Ok(None);
        };
        let fault = |what: &str| format!("{}.{}: {what}", message.name, oneof.name);
        if message.oneofs.len() > 1 {
            return Err(fault("is not the only oneof").into());
        }
        let rest = message.members(0).find(|field| match &field.kind {
            _ if json.tag.is_empty() => field.json_form == JsonForm::Raw,
            FieldKind::Message(name) => {
                let fields = &schema.message(name).fields;
                let [tag, content] = &fields[..] else {
                    return false;
                };
                tag.name == json.tag
                    && content.name == json.content
                    && content.json_form == JsonForm::Raw
            }
            _ => false,
        });
        let rest = rest.ok_or_else(|| fault("has no field for what is unknown"))?;
        Ok(Some(Self { oneof, json, rest }))
    }

    /// The fields with a type of their own.
    pub fn known(&self, message: &'a Message) -> impl Iterator<Item = &'a Field> + use<'a> {
        let rest = self.rest.number;
        message.members(0).filter(move |field| field.number != rest)
    }
}

fn write_enum(out: &mut String, item: &Enum) -> Result<()> {
    writeln!(
        out,
        "pub(super) const {}: &[(i32, &str)] = &[",
        table(&item.name)
    )?;
    for value in &item.values {
        writeln!(out, "    ({}, {:?}),", value.number, value.json_name)?;
    }
    writeln!(out, "];")?;
    Ok(())
}

fn write_message(out: &mut String, message: &Message, oneof: Option<&OneofForm<'_>>) -> Result<()> {
    let mut names = Vec::new();
    let mut readers = String::new();
    let mut settle = String::new();
    let mut writers = String::new();
    let mut arm = |name: &str, value: String| {
        names.push(name.to_owned());
        writeln!(readers, "            {} => {value},", names.len() - 1)
    };
    for field in message.fields.iter().filter(|field| field.oneof.is_none()) {
        let name = &field.name;
        let read = reader(field)?;
        arm(
            name,
            if field.presence {
                format!("self.{name} = Some({read})")
            } else {
                format!("self.{name} = {read}")
            },
        )?;
        if field.json_form == JsonForm::TextOrBase64 {
            if !settle.is_empty() {
                return Err(format!("{} has two fields of text or base64", message.name).into());
            }
            arm(
                &format!("{name}_encoding"),
                "aside.base64 = forms::read_encoding(reader)?".into(),
            )?;
            writeln!(
                settle,
                "        if aside.base64 {{\n            forms::decode_in_place(&mut self.{name}, {name:?}, reader)?;\n        }}"
            )?;
        }
        writeln!(writers, "        {};", writer(field))?;
    }
    if oneof.is_none() {
        for (index, oneof) in message.oneofs.iter().enumerate() {
            let slot = &oneof.name;
            let kind = format!("pb::{}::{}", snake(&message.name), camel(slot));
            writeln!(
                writers,
                "        match &self.{slot} {{\n            None => {{}}"
            )?;
            for field in message.members(index) {
                let (name, variant) = (&field.name, camel(&field.name));
                arm(
                    name,
                    format!(
                        "{{\n                if self.{slot}.is_some() {{\n                    return Err(reader.fault(\"excludes another member that is there\"));\n                }}\n                self.{slot} = Some({kind}::{variant}({}))\n            }}",
                        reader(field)?
                    ),
                )?;
                writeln!(
                    writers,
                    "            Some({kind}::{variant}(value)) => {},",
                    member_writer(field)
                )?;
            }
            writeln!(writers, "        }}")?;
        }
    }
    if let Some(form) = oneof {
        if !form.json.tag.is_empty() {
            arm(&form.json.tag, "aside.tag = Some(text(reader)?)".into())?;
        }
        arm(
            &form.json.content,
            "aside.content = Some((reader.clone(), reader.skip()?))".into(),
        )?;
        write_oneof(&mut settle, &mut writers, message, form)?;
    }
    if names.len() > MEMBERS_MAX {
        return Err(format!("{} has more than {MEMBERS_MAX} members", message.name).into());
    }
    if message.tag.is_some() && names.iter().any(|name| name == tag_name(message)) {
        return Err(format!("{} has a member named as its tag", message.name).into());
    }

    let name = &message.name;
    let aside = if readers.contains("aside.") {
        "aside"
    } else {
        "_aside"
    };
    writeln!(
        out,
        "impl JsonMessage for pb::{name} {{\n    const MEMBERS: &'static [&'static str] = &{names:?};\n    fn read<'a>(&mut self, member: usize, reader: &mut Reader<'a>, {aside}: &mut Aside<'a>) -> Read<()> {{\n        match member {{\n{readers}            _ => {{}}\n        }}\n        Ok(())\n    }}"
    )?;
    if !settle.is_empty() {
        let reader = if settle.contains("reader)?;") {
            "reader"
        } else {
            "_reader"
        };
        writeln!(
            out,
            "    fn settle(&mut self, aside: Aside<'_>, {reader}: &Reader<'_>) -> Read<()> {{\n{settle}        Ok(())\n    }}"
        )?;
    }
    writeln!(
        out,
        "}}\nimpl Members for pb::{name} {{\n    fn write(&self, object: &mut Object<'_>) {{\n{writers}    }}\n}}"
    )?;
    Ok(())
}

/// An expression that reads a value of the field.
fn reader(field: &Field) -> Result<String> {
    let one = match (&field.kind, field.json_form) {
        (FieldKind::Bytes, JsonForm::FieldLines) => "forms::read_field_lines".into(),
        (FieldKind::Bytes, JsonForm::TextOrBase64) => "Reader::string_bytes".into(),
        (_, form) if form != JsonForm::Usual => return Err(unwritten(field)),
        (FieldKind::Bool, _) => "Reader::boolean".into(),
        (FieldKind::Uint64, _) if is_wide(field) => "wide_integer".into(),
        (FieldKind::Uint32 | FieldKind::Uint64, _) => "integer".into(),
        (FieldKind::Double, _) => "double".into(),
        (FieldKind::String, _) => "text".into(),
        (FieldKind::Timestamp, _) => "timestamp".into(),
        (FieldKind::Texts, _) => format!("|reader| texts(reader, {})", field.rules.max_items),
        (FieldKind::Message(_), _) => "|reader| message(reader, None)".into(),
        (FieldKind::Enum(name), _) => format!("|reader| named(reader, {})", table(name)),
        (FieldKind::Bytes, _) => "forms::read_base64".into(),
    };
    Ok(if field.repeated {
        format!("list(reader, {}, {one})?", field.rules.max_items)
    } else {
        match one.strip_prefix("|reader| ") {
            Some(body) => format!("{body}?"),
            None => format!("{one}(reader)?"),
        }
    })
}

fn unwritten(field: &Field) -> Box<dyn Error> {
    format!("{}: no rule for its JSON form", field.name).into()
}

/// A call that writes the field of a oneof that is set, as `value`.
fn member_writer(field: &Field) -> String {
    let name = &field.name;
    match &field.kind {
        FieldKind::Message(_) => format!("object.message({name:?}, Some(value))"),
        FieldKind::Enum(kind) => format!("object.named({name:?}, *value, {})", table(kind)),
        _ => format!("object.present({name:?}, Some(value))"),
    }
}

/// A call that writes the field.
fn writer(field: &Field) -> String {
    let name = &field.name;
    match (&field.kind, field.json_form) {
        (_, JsonForm::FieldLines) => {
            format!(
                "object.field_lines({name:?}, &self.{name}, {})",
                always_written(field)
            )
        }
        (_, JsonForm::TextOrBase64) => {
            format!("object.text_or_base64({name:?}, \"{name}_encoding\", &self.{name})")
        }
        (FieldKind::Texts, _) => format!("object.texts({name:?}, &self.{name})"),
        (FieldKind::Bytes, _) => format!("object.base64({name:?}, &self.{name})"),
        (FieldKind::Message(_), _) if field.repeated => {
            format!("object.messages({name:?}, &self.{name})")
        }
        (FieldKind::Enum(kind), _) if field.repeated => {
            format!("object.all_named({name:?}, &self.{name}, {})", table(kind))
        }
        _ if field.repeated => format!("object.list({name:?}, &self.{name})"),
        (FieldKind::Message(_), _) => format!("object.message({name:?}, self.{name}.as_ref())"),
        (FieldKind::Enum(kind), _) => {
            format!("object.named({name:?}, self.{name}, {})", table(kind))
        }
        _ if field.presence => format!("object.present({name:?}, self.{name}.as_ref())"),
        _ => format!("object.scalar({name:?}, &self.{name})"),
    }
}

/// Which field of a oneof is set is known when the whole object is.
fn write_oneof(
    settle: &mut String,
    writers: &mut String,
    message: &Message,
    form: &OneofForm<'_>,
) -> Result<()> {
    let JsonOneof { tag, content } = form.json;
    let slot = &form.oneof.name;
    let kind = format!("pb::{}::{}", snake(&message.name), camel(slot));
    let rest = camel(&form.rest.name);
    writeln!(
        writers,
        "        match &self.{slot} {{\n            None => {{}}"
    )?;
    for field in form.known(message) {
        let variant = camel(&field.name);
        let named = if tag.is_empty() {
            String::new()
        } else {
            format!("object.text({tag:?}, {:?}); ", field.name)
        };
        writeln!(
            writers,
            "            Some({kind}::{variant}(value)) => {{ {named}object.message({content:?}, Some(value)); }}"
        )?;
    }
    if tag.is_empty() {
        writeln!(
            writers,
            "            Some({kind}::{rest}(value)) => object.raw({content:?}, value),"
        )?;
        writeln!(
            settle,
            "        self.{slot} = aside.content.map(|(_, text)| {kind}::{rest}(text.to_owned()));"
        )?;
    } else {
        writeln!(
            writers,
            "            Some({kind}::{rest}(value)) => {{ object.text({tag:?}, &value.{tag}); object.raw({content:?}, &value.{content}); }}"
        )?;
        writeln!(
            settle,
            "        self.{slot} = match (aside.tag, aside.content) {{\n            (None, _) => None,"
        )?;
        for field in form.known(message) {
            let (name, variant) = (&field.name, camel(&field.name));
            writeln!(
                settle,
                "            (Some(tag), content) if tag == {name:?} => Some({kind}::{variant}(match content {{\n                Some((mut reader, _)) => message(&mut reader, None).map_err(|fault| fault.in_member({content:?}))?,\n                None => Default::default(),\n            }})),"
            )?;
        }
        let FieldKind::Message(rest_kind) = &form.rest.kind else {
            return Err(unwritten(form.rest));
        };
        writeln!(
            settle,
            "            (Some({tag}), content) => Some({kind}::{rest}(pb::{rest_kind} {{\n                {tag},\n                {content}: content.map(|(_, text)| text.to_owned()).unwrap_or_default(),\n            }})),\n        }};"
        )?;
    }
    writeln!(writers, "        }}")?;
    Ok(())
}

fn write_envelope(out: &mut String, schema: &Schema, envelope: &Message) -> Result<()> {
    let name = &envelope.name;
    let kind = format!("pb::{}::Message", snake(name));
    let mut readers = String::new();
    let mut writers = String::new();
    for field in &envelope.fields {
        let FieldKind::Message(message) = &field.kind else {
            return Err(unwritten(field));
        };
        let (name, variant) = (&field.name, camel(&field.name));
        let tag = tag_name(schema.message(message));
        writeln!(
            readers,
            "            ({tag:?}, {name:?}) => {kind}::{variant}(message(reader, Some({tag:?}))?),"
        )?;
        writeln!(
            writers,
            "            Some({kind}::{variant}(message)) => Object::write(out, |object| object.text({tag:?}, {name:?}), message),"
        )?;
    }
    writeln!(
        out,
        "impl JsonEnvelope for pb::{name} {{\n    fn read(tag: &str, name: &str, reader: &mut Reader<'_>) -> Read<Option<Self>> {{\n        let message = match (tag, name) {{\n{readers}            _ => return Ok(None),\n        }};\n        Ok(Some(Self {{ message: Some(message) }}))\n    }}\n    fn write(&self, out: &mut BytesMut) {{\n        match &self.message {{\n            None => {{}}\n{writers}        }}\n    }}\n}}"
    )?;
    Ok(())
}
