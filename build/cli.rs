//! Generates the commands of `fleetwire` from the API's services: for each method its words, its
//! arguments, the form of its answer, and the call through tonic's generated client. What a command
//! line does with them is written by hand, once, in `src/cli/`.
//!
//! The words follow by rule: a service is a group, called after what it serves, and a method is a
//! command of it, called after what is left of its name. What stands in the path and texts that have
//! to be there are positional, all else is a flag. A method whose policy says why it has no command has none.

use crate::{
    messages::snake,
    model::{Field, FieldKind, Message, Schema},
    services::{Method, Service, Verb},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fmt::Write,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Groups that have a better name than their service.
const GROUPS: &[(&str, &str)] = &[("EnrolmentTokenService", "token")];
/// Commands that have a better name than what is left of their method.
const COMMANDS: &[(&str, &str)] = &[
    ("ListAuditEntries", "list"),
    ("GetFile", "show"),
    ("GetHostHealth", "health"),
    ("GetFleetSummary", "summary"),
];
/// Flags that every command has for itself.
const RESERVED: &[&str] = &[
    "all", "ca", "context", "dry-run", "help", "json", "output", "server", "token", "version",
    "yes",
];
/// Fields whose own fields say enough.
const UNSAID: &[&str] = &["matcher", "spec"];
/// How a method begins that takes away what does not come back.
const DESTROYS: &[&str] = &["delete", "revoke"];
/// How deep a request's messages are flags of their own.
const DEPTH_MAX: usize = 3;

/// The text of the module.
pub fn generate(schema: &Schema) -> Result<String> {
    let mut out = String::new();
    for message in shown_messages(schema)? {
        write_shape(&mut out, message)?;
    }
    writeln!(
        out,
        "/// A group of commands for each service, in the order of the schema.\npub static GROUPS: &[Group] = &["
    )?;
    let mut groups = BTreeMap::new();
    for service in &schema.services {
        if service.commands().next().is_none() {
            continue;
        }
        let group = group_name(service);
        if let Some(other) = groups.insert(group.clone(), &service.name) {
            return Err(format!("{other} and {} are both {group}", service.name).into());
        }
        writeln!(
            out,
            "    Group {{ name: {group:?}, plural: {:?}, about: {:?}, commands: &[",
            plural(&group),
            help(&service.comment)
        )?;
        let mut names = BTreeSet::new();
        for method in service.commands() {
            let name = command_name(service, method);
            if !names.insert(name.clone()) {
                return Err(
                    format!("{} has {name} twice: name it in COMMANDS", service.name).into(),
                );
            }
            write_command(&mut out, schema, service, method, &name)?;
        }
        writeln!(out, "    ] }},")?;
    }
    writeln!(out, "];")?;
    for service in &schema.services {
        for method in service.commands() {
            write_call(&mut out, service, method)?;
        }
    }
    Ok(out)
}

/// The messages that answers show, with those within them.
fn shown_messages(schema: &Schema) -> Result<Vec<&Message>> {
    let mut names = BTreeSet::new();
    let mut waiting = Vec::new();
    for method in schema.services.iter().flat_map(Service::commands) {
        waiting.push(shown(schema, method)?);
    }
    while let Some(message) = waiting.pop() {
        if names.insert(&message.name) {
            let within = message.fields.iter().filter_map(|field| match &field.kind {
                FieldKind::Message(name) => Some(schema.message(name)),
                _ => None,
            });
            waiting.extend(within);
        }
    }
    let shown = |message: &&Message| names.contains(&message.name);
    Ok(schema.messages.iter().filter(shown).collect())
}

/// What of a method's answer is shown.
fn shown<'a>(schema: &'a Schema, method: &Method) -> Result<&'a Message> {
    let response = schema.message(&method.response);
    let Some(name) = &method.http.response_body else {
        return Ok(response);
    };
    match response.fields.iter().find(|field| field.name == *name) {
        Some(Field {
            kind: FieldKind::Message(name),
            repeated: false,
            ..
        }) => Ok(schema.message(name)),
        _ => Err(format!("{} answers {name}, which is no message", method.name).into()),
    }
}

/// What a message's members are called, in the order of the schema.
fn write_shape(out: &mut String, message: &Message) -> Result<()> {
    writeln!(
        out,
        "static {}: Shape = Shape {{ name: {:?}, members: &[",
        shape_name(&message.name),
        message.name
    )?;
    for field in &message.fields {
        let inner = match &field.kind {
            FieldKind::Message(name) => format!("Some(&{})", shape_name(name)),
            _ => "None".to_owned(),
        };
        writeln!(
            out,
            "    Member {{ name: {:?}, inner: {inner}, repeated: {}, secret: {} }},",
            field.name, field.repeated, field.sensitive
        )?;
    }
    writeln!(out, "] }};")?;
    Ok(())
}

fn write_command(
    out: &mut String,
    schema: &Schema,
    service: &Service,
    method: &Method,
    name: &str,
) -> Result<()> {
    let request = schema.message(&method.request);
    let response = schema.message(&method.response);
    let shown = shown(schema, method)?;
    let has = |message: &Message, name| message.fields.iter().any(|f| f.name == name);
    let first = snake(&method.name);
    let first = first.split('_').next().unwrap_or_default();
    let call = match (&method.policy.raw, method.streams) {
        (Some(_), _) => "Raw",
        (None, true) => "Stream",
        (None, false) => "Once",
    };
    writeln!(
        out,
        "        Command {{ service: {:?}, method: {:?}, name: {name:?}, about: {:?}, anyone: {}, reads: {}, creates: {}, destroys: {}, pages: {}, answer: &{}, rows: {}, call: Call::{call}(call_{}), arguments: &[",
        service.name,
        method.name,
        help(&method.comment),
        method.policy.role.is_none(),
        method.http.verb == Verb::Get,
        method.policy.takes_key(),
        DESTROYS.contains(&first),
        has(request, "page_token") && has(response, "next_page_token"),
        shape_name(&shown.name),
        rows(shown),
        snake(&method.name),
    )?;
    let path: Vec<&str> = method.http.path_fields().collect();
    let mut arguments = Arguments {
        schema,
        group: group_name(service),
        gives: method.policy.creates || method.http.verb == Verb::Patch,
        flags: BTreeSet::new(),
        method: &method.name,
    };
    // As the path has them, then as the message has them.
    let place = |field: &Field| path.iter().position(|name| *name == field.name);
    let mut fields: Vec<_> = request.fields.iter().collect();
    fields.sort_by_key(|field| place(field).unwrap_or(usize::MAX));
    for field in fields {
        arguments.write(out, request, field, &[])?;
    }
    writeln!(out, "        ] }},")?;
    Ok(())
}

/// The one list of messages in an answer, which is shown as a table.
fn rows(shown: &Message) -> String {
    let mut lists = shown.fields.iter().filter_map(|field| match &field.kind {
        FieldKind::Message(name) if field.repeated => Some((field, name)),
        _ => None,
    });
    let others = shown
        .fields
        .iter()
        .any(|field| !field.repeated && field.name != "next_page_token");
    match (lists.next(), lists.next(), others) {
        (Some((field, name)), None, false) => {
            format!("Some(({:?}, &{}))", field.name, shape_name(name))
        }
        _ => "None".to_owned(),
    }
}

/// Writes the arguments of one request.
struct Arguments<'a> {
    schema: &'a Schema,
    group: String,
    /// Whether a credential in it is a new one.
    gives: bool,
    flags: BTreeSet<String>,
    method: &'a str,
}

impl Arguments<'_> {
    fn write(
        &mut self,
        out: &mut String,
        message: &Message,
        field: &Field,
        above: &[&str],
    ) -> Result<()> {
        let path: Vec<&str> = above.iter().copied().chain([field.name.as_str()]).collect();
        if let FieldKind::Message(name) = &field.kind
            && !field.repeated
        {
            let inner = self.schema.message(name);
            let plain = inner.oneofs.iter().all(|oneof| oneof.json.is_none());
            if plain && path.len() < DEPTH_MAX {
                for field in &inner.fields {
                    self.write(out, inner, field, &path)?;
                }
                return Ok(());
            }
        }
        let many = field.repeated || field.kind == FieldKind::Texts;
        let required = above.is_empty() && field.rules.required;
        let positional = required && field.kind == FieldKind::String && !field.sensitive;
        let kind = self.kind(field)?;
        let mut flag = flag_name(message, field);
        if many {
            flag = singular(&flag);
        }
        let said = above.iter().filter(|name| !UNSAID.contains(name));
        let mut words: Vec<String> = said.map(|name| kebab(name)).collect();
        words.push(flag);
        let value = words.join("_").replace('-', "_").to_uppercase();
        let mut flag = words.join("-");
        if !positional && RESERVED.contains(&flag.as_str()) && !field.sensitive {
            flag = format!("{}-{flag}", self.group);
        }
        if field.sensitive || field.kind == FieldKind::Bytes {
            flag.push_str("-file");
        }
        if !positional && !self.flags.insert(flag.clone()) {
            return Err(format!("{} has the flag {flag} twice", self.method).into());
        }
        writeln!(
            out,
            "            Argument {{ id: {:?}, path: &{path:?}, flag: {flag:?}, value: {:?}, help: {:?}, kind: {kind}, positional: {positional}, required: {required}, repeated: {} }},",
            format!("request.{}", path.join(".")),
            if field.kind == FieldKind::Texts {
                "KEY=VALUE".to_owned()
            } else {
                value
            },
            help(&field.comment),
            field.repeated,
        )?;
        Ok(())
    }

    fn kind(&self, field: &Field) -> Result<String> {
        let range = |name: &str, most: u64| {
            let rules = &field.rules;
            let max = if rules.max == 0 { most } else { rules.max };
            let min = rules.min.max(rules.required.into());
            format!("Kind::{name} {{ min: {min}, max: {max} }}")
        };
        let whole = if field.name.ends_with("_seconds") {
            "Seconds"
        } else {
            "Whole"
        };
        Ok(match &field.kind {
            _ if field.sensitive => {
                format!(
                    "Kind::Secret {{ new: {} }}",
                    self.gives || field.name.starts_with("new_") || field.name == "new"
                )
            }
            FieldKind::Bool => "Kind::Flag".to_owned(),
            FieldKind::Uint32 => range(whole, u32::MAX.into()),
            FieldKind::Uint64 => range(whole, u64::MAX),
            FieldKind::Double => "Kind::Double".to_owned(),
            FieldKind::String => "Kind::Text".to_owned(),
            FieldKind::Bytes => "Kind::File".to_owned(),
            FieldKind::Timestamp => "Kind::Time".to_owned(),
            FieldKind::Texts => "Kind::Texts".to_owned(),
            FieldKind::Message(_) => "Kind::Json".to_owned(),
            FieldKind::Enum(name) => {
                let found = self.schema.enums.iter().find(|item| item.name == *name);
                let item = found.ok_or_else(|| format!("{name} is no enum of the API"))?;
                // The first says that nothing is said.
                let values = item.values.iter().filter(|value| value.number != 0);
                let values = values.map(|value| (value.json_name.clone(), help(&value.comment)));
                format!("Kind::Choice(&{:?})", values.collect::<Vec<_>>())
            }
        })
    }
}

fn write_call(out: &mut String, service: &Service, method: &Method) -> Result<()> {
    let (name, client) = (snake(&method.name), snake(&service.name));
    let (call, prepared, answer) = match (&method.policy.raw, &method.http.response_body) {
        (Some((field, _)), _) => (
            "pieces",
            "Prepared<Pieces>",
            format!("|answer| answer.{field}"),
        ),
        (None, _) if method.streams => (
            "pieces",
            "Prepared<Pieces>",
            "|answer| written(&answer)".to_owned(),
        ),
        (None, Some(field)) => (
            "once",
            "Prepared<Bytes>",
            format!("|answer| written(&answer.{field}.unwrap_or_default())"),
        ),
        (None, None) => (
            "once",
            "Prepared<Bytes>",
            "|answer| written(&answer)".to_owned(),
        ),
    };
    writeln!(
        out,
        "fn call_{name}(request: &Bytes) -> Result<{prepared}, Fault> {{\n    let request: pb::{} = read(request)?;\n    Ok(Box::new(move |connection| Box::pin(async move {{\n        let mut client = pb::{client}_client::{}Client::with_origin(connection.clone(), connection.origin()).max_decoding_message_size(ANSWER_BYTES_MAX);\n        {call}(connection, client.{name}(request), {answer}).await\n    }})))\n}}",
        method.request, service.name
    )?;
    Ok(())
}

fn group_name(service: &Service) -> String {
    match GROUPS.iter().find(|(name, _)| *name == service.name) {
        Some((_, group)) => (*group).to_owned(),
        None => resource(service).join("-"),
    }
}

/// `EnrolmentTokenService` as `enrolment`, `token`.
fn resource(service: &Service) -> Vec<String> {
    let name = service.name.trim_end_matches("Service");
    snake(name).split('_').map(str::to_owned).collect()
}

/// `CreateEnrolmentToken` as `create`: without the resource, in the singular or the plural.
fn command_name(service: &Service, method: &Method) -> String {
    if let Some((_, name)) = COMMANDS.iter().find(|(name, _)| *name == method.name) {
        return (*name).to_owned();
    }
    let resource = resource(service);
    let name = snake(&method.name);
    let words: Vec<&str> = name.split('_').collect();
    let is_resource = |window: &[&str]| {
        let (one, many) = (resource.join("_"), plural(&resource.join("_")));
        window.join("_") == one || window.join("_") == many
    };
    let at = words.windows(resource.len()).position(is_resource);
    let left: Vec<&str> = match at {
        Some(at) => [&words[..at], &words[at + resource.len()..]].concat(),
        None => words.clone(),
    };
    if left.is_empty() {
        return words.join("-");
    }
    left.join("-")
}

/// What a field is called at the command line: an id by what it is the id of, a number of seconds by
/// what lasts so long.
fn flag_name(message: &Message, field: &Field) -> String {
    let name = field.name.as_str();
    let suffixes = ["_id", "_ids", "_seconds"];
    let short = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
    let taken = |short: &&str| message.fields.iter().any(|other| other.name == **short);
    kebab(short.filter(|short| !taken(short)).unwrap_or(name))
}

fn kebab(name: &str) -> String {
    name.replace('_', "-")
}

fn plural(name: &str) -> String {
    match name.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o']) => format!("{stem}ies"),
        _ => format!("{name}s"),
    }
}

fn singular(name: &str) -> String {
    if let Some(stem) = name.strip_suffix("ies") {
        return format!("{stem}y");
    }
    if let Some(stem) = name.strip_suffix("sses") {
        return format!("{stem}ss");
    }
    match name.strip_suffix('s') {
        Some(stem) if !stem.ends_with('s') => stem.to_owned(),
        _ => name.to_owned(),
    }
}

fn shape_name(message: &str) -> String {
    format!("SHAPE_{}", snake(message).to_uppercase())
}

/// A comment as a line of help.
fn help(comment: &str) -> String {
    let text = comment.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.strip_suffix('.') {
        Some(text) if !text.ends_with('.') => text.to_owned(),
        _ => text,
    }
}
