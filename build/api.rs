//! Generates the API's two doors from its services: one trait a service, a type a method with all that
//! the doors have to know of it, the routes of REST, and tonic's traits handed on to the same calls. What
//! a door does with a method is written by hand, once, in `src/platform/api/`.

use crate::{
    messages::{camel, doc, snake},
    model::{API, Field, FieldKind, Message, Schema},
    services::{Method, Service},
};
use std::{collections::BTreeMap, error::Error, fmt::Write};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The text of the module.
pub fn generate(schema: &Schema) -> Result<String> {
    let mut out = String::new();
    let mut named = BTreeMap::new();
    for service in &schema.services {
        write_trait(&mut out, service)?;
        for method in &service.methods {
            method.check(schema)?;
            if let Some(other) = named.insert(&method.name, &service.name) {
                return Err(format!("{} is a method of {other} too", method.name).into());
            }
            write_method(&mut out, schema, service, method)?;
        }
        write_grpc(&mut out, service)?;
    }
    write_tables(&mut out, schema)?;
    Ok(out)
}

fn write_trait(out: &mut String, service: &Service) -> Result<()> {
    doc(out, "", &service.comment)?;
    writeln!(
        out,
        "pub trait {}: Send + Sync + Sized + 'static {{",
        service.name
    )?;
    for method in &service.methods {
        doc(out, "    ", &method.comment)?;
        writeln!(
            out,
            "    fn {}(self: Arc<Self>, call: {}, request: messages::{}) -> impl Future<Output = Answer<{}>> + Send;",
            snake(&method.name),
            caller(method),
            method.request,
            answer(method),
        )?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

/// Who calls a method: somebody who is known, or anyone.
const fn caller(method: &Method) -> &'static str {
    match method.policy.role {
        Some(_) => "Call",
        None => "Guest",
    }
}

/// What a method's answer is.
fn answer(method: &Method) -> String {
    if method.streams {
        format!("Stream<messages::{}>", method.response)
    } else {
        format!("messages::{}", method.response)
    }
}

/// How many parameters a query has at most: a list's values stand there one by one.
fn parameters_max(request: &Message) -> u64 {
    let most = |field: &Field| match field.repeated {
        true => field.rules.max_items,
        false => 1,
    };
    request.fields.iter().map(most).sum()
}

fn write_method(
    out: &mut String,
    schema: &Schema,
    service: &Service,
    method: &Method,
) -> Result<()> {
    let Method {
        name,
        request,
        response,
        http,
        policy,
        ..
    } = method;
    let role = match policy.role {
        Some(role) => {
            let roles = schema.enums.iter().find(|item| item.name == "Role");
            let mut values = roles.iter().flat_map(|roles| &roles.values);
            let named = values.find(|value| value.number == role);
            let named = named.ok_or_else(|| format!("{name} has a role without a name"))?;
            format!("Some(Role::{})", camel(&named.json_name))
        }
        None => "None".into(),
    };
    writeln!(
        out,
        "/// `{0}.{name}`: `{1} {2}`.\npub struct {name};\nimpl Method for {name} {{\n    const ABOUT: &'static About = &About {{ service: {0:?}, name: {name:?}, verb: {1:?}, path: {2:?}, role: {role}, creates: {3}, begins: {6}, reads: {4}, body: {5}, request_bytes_max: {7}, parameters_max: {8} }};\n    type WireRequest = pb::{request};\n    type Request = messages::{request};\n    type WireAnswer = pb::{response};\n    type Answer = messages::{response};",
        service.name,
        http.verb.name(),
        http.path,
        policy.creates,
        http.verb.name() == "GET",
        http.body,
        policy.begins,
        policy.max_request_bytes,
        parameters_max(schema.message(request)),
    )?;
    if schema
        .message(request)
        .fields
        .iter()
        .any(|f| f.name == "etag")
    {
        writeln!(
            out,
            "    fn etag_mut(request: &mut pb::{request}) -> Option<&mut String> {{\n        Some(&mut request.etag)\n    }}"
        )?;
    }
    let call = if method.streams { "Streaming" } else { "Unary" };
    writeln!(
        out,
        "    type Call = {};\n}}\nimpl {call} for {name} {{\n    fn call(platform: Arc<Platform>, call: Self::Call, request: messages::{request}) -> impl Future<Output = Answer<{}>> + Send {{\n        {}::{}(platform, call, request)\n    }}",
        caller(method),
        answer(method),
        service.name,
        snake(name)
    )?;
    write_rest_form(out, schema, method)?;
    writeln!(out, "}}")?;
    Ok(())
}

/// What of an answer REST shows, where that is not all of it.
fn write_rest_form(out: &mut String, schema: &Schema, method: &Method) -> Result<()> {
    let response = schema.message(&method.response);
    let wire = format!("pb::{}", method.response);
    if let Some((field, media_type)) = &method.policy.raw {
        writeln!(
            out,
            "    const RAW: Option<&'static str> = Some({media_type:?});\n    fn raw(answer: {wire}) -> Bytes {{\n        answer.{field}\n    }}"
        )?;
    }
    let Some(field) = &method.http.response_body else {
        if has_etag(response) && !method.streams {
            writeln!(
                out,
                "    fn etag(answer: &{wire}) -> &str {{\n        &answer.etag\n    }}"
            )?;
        }
        return Ok(());
    };
    let shown = response.fields.iter().find(|f| f.name == *field);
    let Some(FieldKind::Message(kind)) = shown.map(|field| &field.kind) else {
        return Err(format!("{} answers {field}, which is no message", method.name).into());
    };
    writeln!(
        out,
        "    fn write(answer: &{wire}, out: &mut BytesMut) {{\n        match &answer.{field} {{\n            Some(shown) => json::write(shown, out),\n            None => json::write(&pb::{kind}::default(), out),\n        }}\n    }}"
    )?;
    if has_etag(schema.message(kind)) {
        writeln!(
            out,
            "    fn etag(answer: &{wire}) -> &str {{\n        answer.{field}.as_ref().map_or(\"\", |shown| &shown.etag)\n    }}"
        )?;
    }
    Ok(())
}

fn has_etag(message: &Message) -> bool {
    message.fields.iter().any(|field| field.name == "etag")
}

fn write_grpc(out: &mut String, service: &Service) -> Result<()> {
    let name = &service.name;
    let module = format!("pb::{}_server", snake(name));
    writeln!(
        out,
        "#[tonic::async_trait]\nimpl {module}::{name} for Grpc {{"
    )?;
    for method in &service.methods {
        let (call, response) = if method.streams {
            writeln!(
                out,
                "    type {0}Stream = grpc::Stream<pb::{1}>;",
                method.name, method.response
            )?;
            ("streaming", format!("Self::{}Stream", method.name))
        } else {
            ("unary", format!("pb::{}", method.response))
        };
        writeln!(
            out,
            "    async fn {}(&self, request: tonic::Request<pb::{}>) -> Result<tonic::Response<{response}>, tonic::Status> {{\n        self.{call}::<{}>(request).await\n    }}",
            snake(&method.name),
            method.request,
            method.name
        )?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

fn write_tables(out: &mut String, schema: &Schema) -> Result<()> {
    let methods = || schema.services.iter().flat_map(|service| &service.methods);
    writeln!(
        out,
        "/// Every method, in the order of the schema.\npub const METHODS: &[&About] = &["
    )?;
    for method in methods() {
        writeln!(out, "    {}::ABOUT,", method.name)?;
    }
    writeln!(out, "];")?;

    let mut paths: BTreeMap<&str, Vec<&Method>> = BTreeMap::new();
    for method in methods() {
        let at = paths.entry(&method.http.path).or_default();
        if at.iter().any(|other| other.http.verb == method.http.verb) {
            return Err(format!("{} is not alone at its path", method.name).into());
        }
        at.push(method);
    }
    writeln!(
        out,
        "/// The routes of REST.\npub(super) fn rest_routes() -> Router<Arc<Platform>> {{\n    Router::new()"
    )?;
    for (path, methods) in paths {
        let handlers = methods.iter().map(|method| {
            let call = if method.streams { "streaming" } else { "unary" };
            format!(
                "{}(rest::{call}::<{}>)",
                method.http.verb.name().to_lowercase(),
                method.name
            )
        });
        let handlers: Vec<_> = handlers.collect();
        writeln!(
            out,
            "        .route({path:?}, routing::{})",
            handlers.join(".")
        )?;
    }
    writeln!(out, "}}")?;

    writeln!(
        out,
        "/// The package of the services.\npub const PACKAGE: &str = {API:?};"
    )?;
    writeln!(
        out,
        "/// The routes of gRPC.\npub(super) fn grpc_routes(grpc: &Grpc) -> Router<Arc<Platform>> {{\n    Router::new()"
    )?;
    for service in &schema.services {
        let name = &service.name;
        let sizes = service.methods.iter().map(|m| m.policy.max_request_bytes);
        writeln!(
            out,
            "        .route_service(\"/{API}.{name}/{{method}}\", pb::{}_server::{name}Server::new(grpc.clone()).max_decoding_message_size({}))",
            snake(name),
            sizes.max().unwrap_or_default()
        )?;
    }
    writeln!(out, "}}")?;
    Ok(())
}
