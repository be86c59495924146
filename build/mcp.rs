//! Generates what `fleetwire mcp` offers to a language model's client: a tool for each method of the API, with
//! its input as JSON Schema out of the generator that OpenAPI has, and what the method does to the platform as
//! hints. A method has none that streams, that takes, gives or ends a credential of the caller's, or that anybody may
//! call.

use crate::{
    json_schema::{Describe, Text, need, text},
    messages::snake,
    model::Schema,
    services::{Method, Service, Verb},
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, error::Error};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How callers sign in, and out.
const OWN_SIGN_IN: &str = "AuthService";

/// The text of the list.
pub fn generate(schema: &Schema) -> Result<String> {
    let mut tools = Vec::new();
    for service in &schema.services {
        for method in service.commands() {
            if is_for_models(schema, service, method)? {
                tools.push(tool(schema, &service.name, method)?);
            }
        }
    }
    Ok(serde_json::to_string(&tools)?)
}

fn is_for_models(schema: &Schema, service: &Service, method: &Method) -> Result<bool> {
    let changes_sign_in = service.name == OWN_SIGN_IN && method.http.verb != Verb::Get;
    let streams = method.streams || method.policy.raw.is_some();
    if streams || changes_sign_in || method.policy.role.is_none() {
        return Ok(false);
    }
    for message in [&method.request, &method.response] {
        let mut within = BTreeSet::new();
        need(schema, message, &mut within)?;
        let messages = schema.messages.iter();
        let mut messages = messages.filter(|message| within.contains(&*message.name));
        if messages.any(|message| message.fields.iter().any(|field| field.sensitive)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn tool(schema: &Schema, service: &str, method: &Method) -> Result<Value> {
    let reads = method.http.verb == Verb::Get;
    // What is only made can be taken away again; what begins at hosts is in no program's hands.
    let adds = method.policy.creates && !method.policy.begins;
    let repeats = reads || matches!(method.http.verb, Verb::Patch | Verb::Delete);
    Ok(json!({
        "service": service,
        "method": method.name,
        "name": snake(&method.name),
        "title": snake(&method.name).replace('_', " "),
        "description": text(&method.comment),
        "inputSchema": input(schema, method)?,
        "reads": reads,
        "destroys": !reads && !adds,
        "repeats": repeats,
        "begins": method.policy.begins,
    }))
}

fn input(schema: &Schema, method: &Method) -> Result<Value> {
    let reference = |name: &str| format!("#/$defs/{name}");
    let describe = Describe {
        schema,
        text: Text::Request,
        reference: &reference,
    };
    let request = schema.message(&method.request);
    let mut input = describe.message(request, &[])?;
    let Some(members) = input.as_object_mut() else {
        return Err(format!("{} takes no object", method.name).into());
    };
    // Models' programs refuse what stands beside the type at the top. The platform refuses what it would say:
    // that of some members there may be one.
    members.remove("allOf");
    members.remove("description");
    for names in (0..request.oneofs.len()).map(|oneof| request.members(oneof)) {
        let names: Vec<_> = names.map(|field| field.name.as_str()).collect();
        let only = format!(" At most one of {} is given.", names.join(", "));
        for name in &names {
            if let Some(Value::String(about)) = members
                .get_mut("properties")
                .and_then(|all| all.get_mut(name)?.get_mut("description"))
            {
                about.push_str(&only);
            }
        }
    }
    if method.policy.takes_key()
        && let Some(Value::Object(properties)) = members.get_mut("properties")
    {
        properties.insert(
            "idempotency_key".into(),
            json!({
                "type": "string",
                "pattern": "^[!-~]{16,255}$",
                "description": "Makes trying again safe: for a day, what is asked for again under the same key is not done again, and is answered as before. Absent: a new one each time.",
            }),
        );
    }
    let mut needed = BTreeSet::new();
    need(schema, &method.request, &mut needed)?;
    needed.remove(&*method.request);
    let mut definitions = Map::from_iter(describe.definitions(&needed)?);
    // Its pattern is beyond some models' programs; the format says as much.
    if let Some(Value::Object(time)) = definitions.get_mut("Timestamp") {
        time.remove("pattern");
    }
    if !definitions.is_empty() {
        members.insert("$defs".into(), definitions.into());
    }
    Ok(input)
}
