//! The schema as the generators see it: messages, fields and enums with the options of
//! `options.proto` read and typed. It knows nothing of Rust.

use crate::services::Service;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind,
    MessageDescriptor, OneofDescriptor, Value,
};
use std::{error::Error, fs, path::PathBuf};

/// The package of the link's messages, which also has the options on fields and messages.
pub const LINK: &str = "fleetwire.link.v1";
/// The package of the API's services and their messages.
pub const API: &str = "fleetwire.api.v1";

/// Every `.proto` of a package, in the order of their names.
pub fn files(root: &str, package: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(PathBuf::from(root).join(folder(package)))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn folder(package: &str) -> String {
    package.replace('.', "/")
}

/// All that generators need of one package of the schema.
pub struct Schema {
    /// The link's two envelopes, one a direction.
    pub envelopes: Vec<Message>,
    /// Every other message, in the order of the files and of their text; then those that it borrows.
    pub messages: Vec<Message>,
    /// Every enum, likewise.
    pub enums: Vec<Enum>,
    /// The API's services, likewise.
    pub services: Vec<Service>,
}

/// A message.
#[derive(Clone)]
pub struct Message {
    pub name: String,
    /// Of the link's package, named by the API: what it is made of is generated there.
    pub borrowed: bool,
    /// With package and a leading dot.
    pub full_name: String,
    pub comment: String,
    /// `Some` for what stands in an envelope.
    pub tag: Option<Tag>,
    /// In the order of their text.
    pub fields: Vec<Field>,
    pub oneofs: Vec<Oneof>,
}

/// Which JSON member carries a message's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    Type,
    MessageType,
}

/// A field, of a oneof or not.
#[derive(Clone)]
pub struct Field {
    pub name: String,
    pub number: u32,
    pub comment: String,
    pub kind: FieldKind,
    pub repeated: bool,
    /// Explicit presence: `optional`, a message, or a member of a oneof.
    pub presence: bool,
    /// The index in `Message::oneofs`.
    pub oneof: Option<usize>,
    pub rules: Rules,
    pub json_form: JsonForm,
    pub sensitive: bool,
    /// Its message or enum is the link's, and the field is not.
    pub of_link: bool,
}

/// What a field holds.
#[derive(Clone, PartialEq, Eq)]
pub enum FieldKind {
    Bool,
    Uint32,
    Uint64,
    Double,
    String,
    Bytes,
    Timestamp,
    /// A `map<string, string>`.
    Texts,
    /// A message of the schema, by its short name.
    Message(String),
    /// An enum of the schema, by its short name.
    Enum(String),
}

/// A oneof with its JSON form.
#[derive(Clone)]
pub struct Oneof {
    pub name: String,
    pub comment: String,
    pub json: Option<JsonOneof>,
}

/// How a oneof stands in JSON: the members' names.
#[derive(Clone)]
pub struct JsonOneof {
    /// Empty where no member names the field that is set.
    pub tag: String,
    pub content: String,
}

/// The bounds of a field; 0 stands for none.
#[derive(Clone, Default)]
pub struct Rules {
    pub required: bool,
    pub max_bytes: u64,
    pub max_characters: u64,
    pub max_items: u64,
    pub min: u64,
    pub max: u64,
    pub format: Format,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    #[default]
    Any,
    StreamId,
    Uuid,
    Method,
    RequestTarget,
    FieldLines,
    Name,
    Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum JsonForm {
    Usual,
    FieldLines,
    TextOrBase64,
    Raw,
}

/// An enum.
#[derive(Clone)]
pub struct Enum {
    pub name: String,
    /// As with a message.
    pub borrowed: bool,
    pub comment: String,
    pub values: Vec<EnumValue>,
}

/// One value of an enum.
#[derive(Clone)]
pub struct EnumValue {
    /// As in the schema, with the enum's prefix.
    pub name: String,
    /// Without the prefix, lower case: what stands in JSON.
    pub json_name: String,
    pub number: i32,
    pub comment: String,
}

impl Schema {
    /// Reads every message, enum and service of the package.
    pub fn read(pool: &DescriptorPool, package: &str) -> Result<Self, Box<dyn Error>> {
        let mut schema = Self {
            envelopes: Vec::new(),
            messages: Vec::new(),
            enums: Vec::new(),
            services: Vec::new(),
        };
        // Nothing is generated from the file that holds the options themselves.
        let options_file = format!("{}/options.proto", folder(package));
        let envelope_file = format!("{}/envelope.proto", folder(package));
        let mut files: Vec<_> = pool
            .files()
            .filter(|file| file.package_name() == package && file.name() != options_file)
            .collect();
        // The pool's order follows imports; the names' order does not move when an import does.
        files.sort_by(|a, b| a.name().cmp(b.name()));
        for file in files {
            let messages = file
                .messages()
                .map(|m| Message::read(&m))
                .collect::<Result<Vec<_>, _>>()?;
            if file.name() == envelope_file {
                schema.envelopes = messages;
            } else {
                schema.messages.extend(messages);
            }
            schema
                .enums
                .extend(file.enums().map(|descriptor| Enum::read(&descriptor)));
            for service in file.services() {
                schema.services.push(Service::read(&service)?);
            }
        }
        for field in schema
            .envelopes
            .iter()
            .flat_map(|envelope| &envelope.fields)
        {
            match &field.kind {
                FieldKind::Message(name) if schema.message(name).tag.is_some() => {}
                _ => return Err(format!("{} is no message with a json_tag", field.name).into()),
            }
        }
        Ok(schema)
    }

    /// Takes over from the link's package what this one's messages name of it.
    pub fn borrow_from(&mut self, link: &Self) -> Result<(), Box<dyn Error>> {
        let mut next = 0;
        while let Some(message) = self.messages.get(next) {
            next += 1;
            let of_borrowed = message.borrowed;
            for field in message.fields.clone() {
                let (name, known) = match &field.kind {
                    FieldKind::Message(name) => {
                        let mut named = self.messages.iter();
                        (name, named.find(|m| m.name == *name).map(|m| m.borrowed))
                    }
                    FieldKind::Enum(name) => {
                        let mut named = self.enums.iter();
                        (name, named.find(|e| e.name == *name).map(|e| e.borrowed))
                    }
                    _ => continue,
                };
                let of_link = of_borrowed || field.of_link;
                match known {
                    Some(borrowed) if borrowed == of_link => {}
                    Some(_) => return Err(format!("{name} is of both packages").into()),
                    None => self.borrow(link, &field.kind)?,
                }
            }
        }
        Ok(())
    }

    /// The Rust names of what it borrows.
    pub fn borrowed_names(&self) -> impl Iterator<Item = &str> {
        let messages = self.messages.iter().filter(|message| message.borrowed);
        let enums = self.enums.iter().filter(|item| item.borrowed);
        messages
            .map(|message| &*message.name)
            .chain(enums.map(|item| &*item.name))
    }

    fn borrow(&mut self, link: &Self, kind: &FieldKind) -> Result<(), Box<dyn Error>> {
        let borrowed = true;
        match kind {
            FieldKind::Message(name) => {
                let message = link.message(name).clone();
                self.messages.push(Message {
                    borrowed,
                    ..message
                });
            }
            FieldKind::Enum(name) => {
                let mut named = link.enums.iter();
                let item = named.find(|item| item.name == *name);
                let item = item.ok_or_else(|| format!("{name} is no enum of the link"))?;
                self.enums.push(Enum {
                    borrowed,
                    ..item.clone()
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// The message of that short name.
    pub fn message(&self, name: &str) -> &Message {
        self.messages
            .iter()
            .find(|m| m.name == name)
            .expect("the compiler resolved the name, and a package names only its own messages")
    }
}

impl Message {
    fn read(descriptor: &MessageDescriptor) -> Result<Self, Box<dyn Error>> {
        // proto3's `optional` is a oneof of one to the compiler and a presence to everybody else.
        let oneofs: Vec<_> = descriptor
            .oneofs()
            .filter(|oneof| !oneof.is_synthetic())
            .collect();
        let mut fields = Vec::new();
        for field in &descriptor.descriptor_proto().field {
            let number = u32::try_from(field.number())?;
            let field = descriptor
                .get_field(number)
                .ok_or("a field lost its number")?;
            fields.push(Field::read(&field, &oneofs)?);
        }
        let tag = option(&descriptor.options(), descriptor.parent_pool(), "json_tag");
        Ok(Self {
            name: descriptor.name().to_owned(),
            borrowed: false,
            full_name: format!(".{}", descriptor.full_name()),
            comment: comment(descriptor.parent_file_descriptor_proto(), descriptor.path()),
            tag: match tag {
                Some(Value::EnumNumber(1)) => Some(Tag::Type),
                Some(Value::EnumNumber(2)) => Some(Tag::MessageType),
                _ => None,
            },
            fields,
            oneofs: oneofs.iter().map(Oneof::read).collect(),
        })
    }

    /// The fields of that oneof.
    pub fn members(&self, oneof: usize) -> impl Iterator<Item = &Field> {
        self.fields
            .iter()
            .filter(move |field| field.oneof == Some(oneof))
    }

    /// Whether any field is a credential.
    pub fn has_sensitive_field(&self) -> bool {
        self.fields.iter().any(|field| field.sensitive)
    }
}

impl Field {
    fn read(field: &FieldDescriptor, oneofs: &[OneofDescriptor]) -> Result<Self, Box<dyn Error>> {
        let kind = match field.kind() {
            Kind::Bool => FieldKind::Bool,
            Kind::Uint32 => FieldKind::Uint32,
            Kind::Uint64 => FieldKind::Uint64,
            Kind::Double => FieldKind::Double,
            Kind::String => FieldKind::String,
            Kind::Bytes => FieldKind::Bytes,
            Kind::Enum(e) => FieldKind::Enum(e.name().to_owned()),
            Kind::Message(m) if m.full_name() == "google.protobuf.Timestamp" => {
                FieldKind::Timestamp
            }
            Kind::Message(m) if m.is_map_entry() => {
                let text = |field: FieldDescriptor| field.kind() == Kind::String;
                if !(text(m.map_entry_key_field()) && text(m.map_entry_value_field())) {
                    return Err(format!("{}: only maps of text", field.full_name()).into());
                }
                FieldKind::Texts
            }
            Kind::Message(m) => FieldKind::Message(m.name().to_owned()),
            other => {
                return Err(format!("{}: no generator for {other:?}", field.full_name()).into());
            }
        };
        let package = field.parent_file().package_name().to_owned();
        let named = match field.kind() {
            Kind::Message(m) if !matches!(kind, FieldKind::Timestamp | FieldKind::Texts) => {
                m.parent_file().package_name().to_owned()
            }
            Kind::Enum(e) => e.parent_file().package_name().to_owned(),
            _ => package.clone(),
        };
        if named != package && named != LINK {
            return Err(
                format!("{}: of a package that is not the link's", field.full_name()).into(),
            );
        }
        let options = field.options();
        let own = |name| option(&options, field.parent_pool(), name);
        Ok(Self {
            name: field.name().to_owned(),
            number: field.number(),
            comment: comment(
                field.parent_message().parent_file_descriptor_proto(),
                field.path(),
            ),
            kind,
            repeated: field.cardinality() == Cardinality::Repeated && !field.is_map(),
            presence: field.supports_presence(),
            oneof: field
                .containing_oneof()
                .and_then(|oneof| oneofs.iter().position(|other| *other == oneof)),
            rules: match own("rules") {
                Some(Value::Message(rules)) => Rules::read(&rules),
                _ => Rules::default(),
            },
            json_form: match own("json_form") {
                Some(Value::EnumNumber(1)) => JsonForm::FieldLines,
                Some(Value::EnumNumber(2)) => JsonForm::TextOrBase64,
                Some(Value::EnumNumber(3)) => JsonForm::Raw,
                _ => JsonForm::Usual,
            },
            sensitive: matches!(own("sensitive"), Some(Value::Bool(true))),
            of_link: named != package,
        })
    }
}

impl Oneof {
    fn read(oneof: &OneofDescriptor) -> Self {
        let json = match option(&oneof.options(), oneof.parent_pool(), "json_oneof") {
            Some(Value::Message(json)) => Some(JsonOneof {
                tag: text(&json, "tag"),
                content: text(&json, "content"),
            }),
            _ => None,
        };
        Self {
            name: oneof.name().to_owned(),
            comment: comment(
                oneof.parent_message().parent_file_descriptor_proto(),
                oneof.path(),
            ),
            json,
        }
    }
}

impl Rules {
    /// The largest size of a text or of bytes, in what it is counted in.
    pub const fn max_size(&self) -> u64 {
        if self.max_characters > 0 {
            self.max_characters
        } else {
            self.max_bytes
        }
    }

    /// Whether a number has a least or a greatest value.
    pub const fn bounded(&self) -> bool {
        self.min > 0 || self.max > 0
    }

    fn read(rules: &DynamicMessage) -> Self {
        let number = |name| match rules.get_field_by_name(name).as_deref() {
            Some(Value::U32(n)) => u64::from(*n),
            Some(Value::U64(n)) => *n,
            _ => 0,
        };
        let required = rules.get_field_by_name("required");
        Self {
            required: matches!(required.as_deref(), Some(Value::Bool(true))),
            max_bytes: number("max_bytes"),
            max_characters: number("max_characters"),
            max_items: number("max_items"),
            min: number("min"),
            max: number("max"),
            format: match rules.get_field_by_name("format").as_deref() {
                Some(Value::EnumNumber(1)) => Format::StreamId,
                Some(Value::EnumNumber(2)) => Format::Uuid,
                Some(Value::EnumNumber(3)) => Format::Method,
                Some(Value::EnumNumber(4)) => Format::RequestTarget,
                Some(Value::EnumNumber(5)) => Format::FieldLines,
                Some(Value::EnumNumber(6)) => Format::Name,
                Some(Value::EnumNumber(7)) => Format::Origin,
                _ => Format::Any,
            },
        }
    }
}

impl Enum {
    fn read(descriptor: &EnumDescriptor) -> Self {
        let prefix = format!("{}_", shouting(descriptor.name()));
        let file = descriptor.parent_file_descriptor_proto();
        let values = descriptor.values().map(|value| EnumValue {
            name: value.name().to_owned(),
            json_name: value
                .name()
                .strip_prefix(&prefix)
                .unwrap_or(value.name())
                .to_lowercase(),
            number: value.number(),
            comment: comment(file, value.path()),
        });
        Self {
            name: descriptor.name().to_owned(),
            borrowed: false,
            comment: comment(file, descriptor.path()),
            values: values.collect(),
        }
    }
}

/// `SessionCloseReason` as `SESSION_CLOSE_REASON`.
fn shouting(name: &str) -> String {
    let mut out = String::new();
    for (index, letter) in name.char_indices() {
        if index > 0 && letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

/// The value of one of our own options, where it is set.
fn option(options: &DynamicMessage, pool: &DescriptorPool, name: &str) -> Option<Value> {
    extension(options, pool, &format!("{LINK}.{name}"))
}

/// The value of any option, where it is set.
pub fn extension(
    options: &DynamicMessage,
    pool: &DescriptorPool,
    full_name: &str,
) -> Option<Value> {
    let extension = pool
        .all_extensions()
        .find(|extension| extension.full_name() == full_name)?;
    options
        .has_extension(&extension)
        .then(|| options.get_extension(&extension).into_owned())
}

pub fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field);
    value
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// The comment in front of what `path` leads to, one space taken off each line.
pub fn comment(file: &prost_types::FileDescriptorProto, path: &[i32]) -> String {
    let mut locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let location = locations.find(|location| location.path == path);
    let text = location
        .map(|location| location.leading_comments())
        .unwrap_or_default();
    let lines = text
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}
