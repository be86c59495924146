//! Generates the OpenAPI 3.1 document of the API from its services: what REST takes and what it
//! answers, with every rule that the schema has. What it forbids the door refuses, and what it allows
//! the door takes.

use crate::{
    json_schema::{Describe, Text, need, text},
    model::{Field, FieldKind, Message, Schema},
    services::{Method, Verb},
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, error::Error};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How a caller says who they are.
const BEARER: &str = "bearer";
const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
const REQUEST_ID: &str = "X-Request-Id";

/// The name of a state as a field has it (RFC 9110 section 8.8.3), without the comma that lists have.
const ENTITY_TAG: &str = "^([!#-~]{1,64}|\"[!#-~]{1,64}\")$";

/// What the document says of the whole.
const ABOUT: &str = "Reach machines and KVM-over-IP devices behind NAT. This is the REST form of the API; the same services are there over gRPC on the same port, by reflection. Times are RFC 3339 in UTC. A member or a parameter that is not named here is refused, as is `null`: what is not to be said is left out. In an answer every member that is never absent is written, and a later version may add members and names of values. A refusal is a problem (RFC 9457) with a stable word in `code`. A list comes in pages: `next_page_token` of one answer is `page_token` of the next request.";

/// A refusal: its status, the name of its response, and when it comes.
pub struct Refusal {
    pub status: u16,
    name: &'static str,
    pub when: &'static str,
}

/// Every refusal, in the order of the statuses.
pub const REFUSALS: [Refusal; 14] = [
    refusal(
        400,
        "Invalid",
        "The request cannot be understood, or is not as this document has it.",
    ),
    refusal(
        401,
        "Unauthenticated",
        "There is no credential, or none that is good.",
    ),
    refusal(403, "Forbidden", "The caller's role does not allow it."),
    refusal(
        404,
        "NotFound",
        "What the request names is not there, or not for this caller to see.",
    ),
    refusal(408, "TooSlow", "The request did not come in time."),
    refusal(
        409,
        "Conflict",
        "The request is in conflict with how things are.",
    ),
    refusal(
        412,
        "Changed",
        "What was to be changed has changed since: read it anew.",
    ),
    refusal(
        413,
        "TooLarge",
        "The body is larger than 64 KiB, or than what the method names.",
    ),
    refusal(415, "MediaType", "The body does not say that it is JSON."),
    refusal(
        422,
        "Unsuitable",
        "It holds a value that this document allows, and that does not do here.",
    ),
    refusal(
        429,
        "TooMany",
        "Too many requests: again after `Retry-After`.",
    ),
    refusal(
        431,
        "HeadTooLarge",
        "The request's head is larger than 32 KiB. One of more than 100 fields is refused so too, with nothing else said.",
    ),
    refusal(
        500,
        "Internal",
        "The platform failed, and its log says why.",
    ),
    refusal(
        503,
        "Unavailable",
        "The platform is full, or stops, or waits for something: again later.",
    ),
];

const fn refusal(status: u16, name: &'static str, when: &'static str) -> Refusal {
    Refusal { status, name, when }
}

/// The text of the document.
pub fn generate(schema: &Schema, version: &str) -> Result<String> {
    let mut paths = Map::new();
    for (_, method) in methods(schema) {
        let verb = method.http.verb.name().to_lowercase();
        let operations = paths.entry(&*method.http.path).or_insert_with(|| json!({}));
        operations[verb] = Operation::of(schema, method).describe()?;
    }
    let tags = schema
        .services
        .iter()
        .map(|service| json!({ "name": tag(&service.name), "description": text(&service.comment) }))
        .collect::<Vec<_>>();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Fleetwire",
            "description": ABOUT,
            "version": version,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas(schema)?,
            "responses": responses(),
            "parameters": parameters(),
            "headers": headers(),
            "securitySchemes": {
                BEARER: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The access token of a sign-in, or an API key.",
                },
            },
        },
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// Every method with its service's name.
pub fn methods(schema: &Schema) -> impl Iterator<Item = (&str, &Method)> {
    schema.services.iter().flat_map(|service| {
        let methods = service.methods.iter();
        methods.map(|method| (&*service.name, method))
    })
}

/// `HostService` as `Host`.
pub fn tag(service: &str) -> &str {
    service.strip_suffix("Service").unwrap_or(service)
}

/// The least role's name in JSON.
pub fn role(schema: &Schema, method: &Method) -> Option<String> {
    let roles = schema.enums.iter().find(|item| item.name == "Role")?;
    let values = &mut roles.values.iter();
    let role = values.find(|value| Some(value.number) == method.policy.role)?;
    Some(role.json_name.clone())
}

/// A method of REST, with its messages.
pub struct Operation<'a> {
    schema: &'a Schema,
    pub method: &'a Method,
    pub request: &'a Message,
    /// What is answered; `None` where nothing is.
    pub shown: Option<&'a Message>,
}

impl<'a> Operation<'a> {
    pub fn of(schema: &'a Schema, method: &'a Method) -> Self {
        let response = schema.message(&method.response);
        let named = method.http.response_body.as_ref();
        let named = named.and_then(|name| response.fields.iter().find(|f| f.name == *name));
        let shown = match named.map(|field| &field.kind) {
            Some(FieldKind::Message(name)) => Some(schema.message(name)),
            _ if response.fields.is_empty() => None,
            _ => Some(response),
        };
        Self {
            schema,
            method,
            request: schema.message(&method.request),
            shown,
        }
    }

    /// The fields in the path, or else those in the query.
    pub fn parameters(&self, in_path: bool) -> impl Iterator<Item = &'a Field> {
        let method = self.method;
        self.request.fields.iter().filter(move |field| {
            let path = method.http.path_fields().any(|name| name == field.name);
            path == in_path && (path || !method.http.body)
        })
    }

    /// The fields in the body.
    pub fn body(&self) -> impl Iterator<Item = &'a Field> {
        let method = self.method;
        self.request.fields.iter().filter(move |field| {
            method.http.body && !method.http.path_fields().any(|name| name == field.name)
        })
    }

    /// Whether a change can ask for the state it is to find.
    pub fn has_condition(&self) -> bool {
        self.request.fields.iter().any(|field| field.name == "etag")
    }

    /// Whether the answer names a state.
    pub fn has_etag(&self) -> bool {
        let mut fields = self.shown.iter().flat_map(|message| &message.fields);
        !self.method.streams && fields.any(|field| field.name == "etag")
    }

    /// The status of success.
    pub fn success(&self) -> u16 {
        match self.shown {
            None => 204,
            Some(_) if self.method.policy.begins => 202,
            Some(_) if self.method.policy.creates => 201,
            Some(_) => 200,
        }
    }

    /// The statuses of refusal.
    pub fn refusals(&self) -> impl Iterator<Item = u16> {
        let Method { http, policy, .. } = self.method;
        let reads = http.verb == Verb::Get;
        let named = self
            .request
            .fields
            .iter()
            .any(|field| !["page_size", "page_token", "etag"].contains(&&*field.name));
        let has_value = self
            .request
            .fields
            .iter()
            .any(|field| !http.path_fields().any(|name| name == field.name));
        let comes = [
            (400, true),
            (401, policy.role.is_some() || http.body),
            (403, policy.role.is_some() || http.body),
            (404, named),
            (408, true),
            (409, !reads),
            (412, self.has_condition()),
            (413, http.body),
            (415, http.body),
            (422, has_value),
            (429, true),
            (431, true),
            (500, true),
            (503, true),
        ];
        comes
            .into_iter()
            .filter(|(_, comes)| *comes)
            .map(|(status, _)| status)
    }

    fn describe(&self) -> Result<Value> {
        let Method { http, policy, .. } = self.method;
        let service = methods(self.schema).find(|(_, other)| other.name == self.method.name);
        let comment = text(&self.method.comment);
        let summary = comment.split_inclusive(". ").next().unwrap_or_default();
        let role = role(self.schema, self.method);
        let who = match &role {
            Some(role) => format!("For the role `{role}`."),
            None => "For anyone.".into(),
        };
        let mut out = json!({
            "operationId": self.method.name,
            "tags": [tag(service.map_or("", |(name, _)| name))],
            "summary": summary.trim().trim_end_matches('.'),
            "description": format!("{comment} {who}"),
            "x-role": role,
            "security": if policy.role.is_some() { json!([{ BEARER: [] }]) } else { json!([]) },
        });
        let mut taken = Vec::new();
        for field in self.parameters(true) {
            taken.push(self.parameter(field, "path"));
        }
        for field in self.parameters(false) {
            taken.push(self.parameter(field, "query"));
        }
        let by_name = |name: &str| json!({ "$ref": format!("#/components/parameters/{name}") });
        if policy.takes_key() {
            taken.push(by_name("IdempotencyKey"));
        }
        if self.has_condition() {
            taken.push(by_name("IfMatch"));
        }
        if self.has_etag() && http.verb == Verb::Get {
            taken.push(by_name("IfNoneMatch"));
        }
        if !taken.is_empty() {
            out["parameters"] = taken.into();
        }
        if http.body {
            let required = self
                .body()
                .any(|f| f.rules.required || f.rules.min > 0 && !f.presence);
            out["requestBody"] = json!({
                "required": required,
                "content": { JSON: { "schema": { "$ref": input(self.schema, &self.request.name)? } } },
            });
        }
        out["responses"] = self.responses();
        Ok(out)
    }

    fn parameter(&self, field: &Field, place: &str) -> Value {
        let describe = Describe {
            schema: self.schema,
            text: Text::Request,
            reference: &component,
        };
        let mut schema = describe.field(field);
        // In a parameter all is text, so that there is one form of a number.
        if let Some(Value::Array(forms)) = schema.get("anyOf")
            && let Some(Value::Object(number)) = forms.first()
        {
            schema = number.clone();
        }
        json!({
            "name": field.name,
            "in": place,
            "required": place == "path" || field.rules.required || field.rules.min > 0 && !field.presence,
            "description": text(&field.comment),
            "schema": schema,
        })
    }

    fn responses(&self) -> Value {
        let mut out = Map::new();
        let mut success = json!({ "description": self.shown.map_or_else(
            || "It is done.".to_owned(),
            |message| text(&message.comment),
        ) });
        if let Some(shown) = self.shown {
            let schema = json!({ "$ref": component(&shown.name) });
            success["content"] = match &self.method.policy.raw {
                Some((_, media_type)) => json!({ media_type: { "schema": { "type": "string" } } }),
                // One event: its data is one such object.
                None if self.method.streams => json!({ "text/event-stream": { "schema": {
                    "type": "object",
                    "properties": { "data": {
                        "type": "string",
                        "contentMediaType": JSON,
                        "contentSchema": schema,
                    } },
                    "required": ["data"],
                } } }),
                None => json!({ JSON: { "schema": schema } }),
            };
        }
        success["headers"] = json!({ REQUEST_ID: { "$ref": header(REQUEST_ID) } });
        if self.has_etag() {
            success["headers"]["ETag"] = json!({ "$ref": header("ETag") });
        }
        out.insert(self.success().to_string(), success);
        if self.has_etag() && self.method.http.verb == Verb::Get {
            let unchanged = json!({
                "description": "It is as `If-None-Match` names it.",
                "headers": {
                    REQUEST_ID: { "$ref": header(REQUEST_ID) },
                    "ETag": { "$ref": header("ETag") },
                },
            });
            out.insert("304".into(), unchanged);
        }
        for refusal in &REFUSALS {
            if self.refusals().any(|status| status == refusal.status) {
                let response = format!("#/components/responses/{}", refusal.name);
                out.insert(refusal.status.to_string(), json!({ "$ref": response }));
            }
        }
        out.into()
    }
}

fn header(name: &str) -> String {
    format!("#/components/headers/{name}")
}

fn component(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

/// What requests and what answers are made of.
fn needed(schema: &Schema) -> Result<[BTreeSet<&str>; 2]> {
    let mut requests = BTreeSet::new();
    let mut answers = BTreeSet::new();
    for (_, method) in methods(schema) {
        let operation = Operation::of(schema, method);
        if method.http.body {
            need(schema, &operation.request.name, &mut requests)?;
        }
        for field in operation.parameters(false) {
            if let FieldKind::Enum(name) = &field.kind {
                requests.insert(name);
            } else if field.kind == FieldKind::Timestamp {
                requests.insert("Timestamp");
            }
        }
        if let Some(shown) = operation.shown.filter(|_| method.policy.raw.is_none()) {
            need(schema, &shown.name, &mut answers)?;
        }
    }
    Ok([requests, answers])
}

/// Where the form of a message that requests have is defined: apart, where answers have it as well.
fn input(schema: &Schema, name: &str) -> Result<String> {
    let [_, answers] = needed(schema)?;
    Ok(component(&input_name(schema, &answers, name)))
}

fn input_name(schema: &Schema, answers: &BTreeSet<&str>, name: &str) -> String {
    let is_message = schema.messages.iter().any(|message| message.name == name);
    if is_message && answers.contains(name) {
        format!("{name}Input")
    } else {
        name.to_owned()
    }
}

fn schemas(schema: &Schema) -> Result<Value> {
    let [requests, answers] = needed(schema)?;
    let named = |name: &str| input_name(schema, &answers, name);
    let mut out = Map::from_iter(
        Describe {
            schema,
            text: Text::Answer,
            reference: &component,
        }
        .definitions(&answers)?,
    );
    let reference = |name: &str| component(&named(name));
    let describe = Describe {
        schema,
        text: Text::Request,
        reference: &reference,
    };
    for (name, definition) in describe.definitions(&requests)? {
        out.insert(named(&name), definition);
    }
    // What stands in the path is not in the body.
    for (_, method) in methods(schema).filter(|(_, method)| method.http.body) {
        let without: Vec<_> = method.http.path_fields().collect();
        let body = describe.message(schema.message(&method.request), &without)?;
        out.insert(named(&method.request), body);
    }
    out.insert("Problem".into(), problem());
    Ok(out.into())
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "A refusal, after RFC 9457.",
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "Always `about:blank`: the kind is in `code`." },
            "title": { "type": "string", "description": "The status in words." },
            "status": { "type": "integer", "minimum": 400, "maximum": 599, "description": "The status." },
            "detail": { "type": "string", "description": "What is the matter, and what to do about it, for people." },
            "code": { "type": "string", "pattern": "^[a-z0-9_]+$", "description": "The stable word, for programs." },
            "field": { "type": "string", "description": "The parameter or member at fault, as in `packages[3]`." },
        },
        "required": ["type", "title", "status", "detail", "code"],
    })
}

fn responses() -> Value {
    let refusals = REFUSALS.iter().map(|refusal| {
        let mut response = json!({
            "description": refusal.when,
            "headers": { REQUEST_ID: { "$ref": header(REQUEST_ID) } },
            "content": { PROBLEM: { "schema": { "$ref": component("Problem") } } },
        });
        match refusal.status {
            401 => {
                response["headers"]["WWW-Authenticate"] =
                    json!({ "$ref": header("WWW-Authenticate") });
            }
            429 | 503 => {
                response["headers"]["Retry-After"] = json!({ "$ref": header("Retry-After") });
            }
            _ => {}
        }
        (refusal.name.to_owned(), response)
    });
    Value::Object(refusals.collect())
}

fn parameters() -> Value {
    let header = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "header", "required": false, "description": description, "schema": schema });
    json!({
        "IdempotencyKey": header(
            "Idempotency-Key",
            "Makes trying again safe: the same request with the same key is answered as the first was, within a day. A new one for each request, such as a UUID.",
            json!({ "type": "string", "pattern": "^[!-~]{16,255}$" }),
        ),
        "IfMatch": header(
            "If-Match",
            "The `ETag` of what is to be changed, as it was read: if it has changed since, this is answered 412. In place of `etag` in the body.",
            json!({ "type": "string", "pattern": ENTITY_TAG }),
        ),
        "IfNoneMatch": header(
            "If-None-Match",
            "An `ETag`: where it still holds, this is answered 304.",
            json!({ "type": "string", "pattern": ENTITY_TAG }),
        ),
    })
}

fn headers() -> Value {
    let header =
        |description: &str, schema: Value| json!({ "description": description, "schema": schema });
    json!({
        "ETag": header("Names the state of what is answered.", json!({ "type": "string", "pattern": "^\"[!#-~]+\"$" })),
        REQUEST_ID: header(
            "The request's name in the platform's log: the one that it brought along in this field, or a new one.",
            json!({ "type": "string", "minLength": 1, "maxLength": 64 }),
        ),
        "Retry-After": header("Seconds to wait before another try.", json!({ "type": "integer", "minimum": 1 })),
        "WWW-Authenticate": header("The scheme of a credential.", json!({ "type": "string" })),
    })
}
