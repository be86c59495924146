//! Generates the page at `/api/docs`: each operation of the API with its parameters, its body, its
//! answers and a line to try it by, each message and each enum. It is one page without scripts, for a
//! reader, where OpenAPI is for programs; its style is `api_page.css`.

use crate::{
    docs::{limits, type_words},
    model::{Enum, Field, FieldKind, Message, Schema},
    openapi::{Operation, REFUSALS, methods, role, tag},
    services::{Method, Service, Verb},
};
use std::{
    error::Error,
    fmt::{Display, Write},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The text of the page.
pub fn generate(schema: &Schema, version: &str) -> Result<String> {
    let mut out = String::new();
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>Fleetwire API</title>\n<link rel=\"stylesheet\" href=\"/api/docs.css\">\n</head>\n<body>\n<a class=\"skip\" href=\"#begin\">To the text</a>\n"
    )?;
    write_contents(&mut out, schema)?;
    writeln!(out, "<main id=\"begin\">")?;
    write_introduction(&mut out, version)?;
    for service in &schema.services {
        write_service(&mut out, schema, service)?;
    }
    write_refusals(&mut out)?;
    writeln!(out, "<section id=\"messages\">\n<h2>Messages</h2>")?;
    for message in &schema.messages {
        // What a request is made of stands with its operation, and an empty answer is none.
        if !is_request(schema, message) && !is_empty_answer(schema, message) {
            write_message(&mut out, message)?;
        }
    }
    writeln!(out, "</section>\n<section id=\"enums\">\n<h2>Enums</h2>")?;
    for item in &schema.enums {
        write_enum(&mut out, item)?;
    }
    writeln!(out, "</section>\n</main>\n</body>\n</html>")?;
    Ok(out)
}

/// Whether a message is that of a request and of nothing else.
fn is_request(schema: &Schema, message: &Message) -> bool {
    let kind = FieldKind::Message(message.name.clone());
    let mut fields = schema.messages.iter().flat_map(|other| &other.fields);
    methods(schema).any(|(_, method)| method.request == message.name)
        && !fields.any(|field| field.kind == kind)
}

fn is_empty_answer(schema: &Schema, message: &Message) -> bool {
    message.fields.is_empty() && methods(schema).any(|(_, method)| method.response == message.name)
}

fn write_contents(out: &mut String, schema: &Schema) -> Result<()> {
    writeln!(
        out,
        "<nav aria-label=\"Contents\">\n<p class=\"title\"><a href=\"#begin\">Fleetwire API</a></p>\n<ul>"
    )?;
    for service in &schema.services {
        let name = words(tag(&service.name));
        writeln!(out, "<li><a href=\"#{}\">{name}</a>\n<ul>", service.name)?;
        for method in &service.methods {
            writeln!(
                out,
                "<li><a href=\"#{0}\">{1}</a></li>",
                method.name,
                words(&method.name)
            )?;
        }
        writeln!(out, "</ul></li>")?;
    }
    writeln!(
        out,
        "<li><a href=\"#refusals\">Refusals</a></li>\n<li><a href=\"#messages\">Messages</a></li>\n<li><a href=\"#enums\">Enums</a></li>\n</ul>\n</nav>"
    )?;
    Ok(())
}

fn write_introduction(out: &mut String, version: &str) -> Result<()> {
    write!(
        out,
        r#"<header>
<h1>Fleetwire API</h1>
<p>Version {version}. For programs: <a href="/api/openapi.json">OpenAPI 3.1</a>, <a href="/api/asyncapi.json">AsyncAPI 3.0</a> for the WebSockets, and gRPC of the same services on the same port, by reflection.</p>
</header>
<p>A request says who makes it with <code>Authorization: Bearer</code> and an access token or an API key. A body is JSON of at most 64 KiB with <code>Content-Type: application/json</code>. What is not named here is refused, and so is <code>null</code>: what is not to be said is left out. Times are RFC 3339. In an answer every member is there that is never absent, and a later version may add members and names of values.</p>
<p>The lines to try things by expect two variables:</p>
<pre tabindex="0"><code>FLEETWIRE=https://fleetwire.example
TOKEN=...</code></pre>
"#
    )?;
    Ok(())
}

fn write_refusals(out: &mut String) -> Result<()> {
    writeln!(
        out,
        r#"<section id="refusals">
<h2>Refusals</h2>
<p>A refusal is a problem after RFC 9457, as <code>application/problem+json</code>: <code>code</code> is a stable word for programs, <code>detail</code> says what to do about it, and <code>field</code> names what is at fault where one is.</p>
<dl class="short">"#
    )?;
    for refusal in &REFUSALS {
        writeln!(
            out,
            "<dt><code>{}</code></dt><dd>{}</dd>",
            refusal.status,
            prose(refusal.when)
        )?;
    }
    writeln!(out, "</dl>\n</section>")?;
    Ok(())
}

fn write_service(out: &mut String, schema: &Schema, service: &Service) -> Result<()> {
    writeln!(
        out,
        "<section id=\"{}\">\n<h2>{}</h2>\n<p>{}</p>",
        service.name,
        words(tag(&service.name)),
        prose(&service.comment)
    )?;
    for method in &service.methods {
        write_operation(out, schema, service, method)?;
    }
    writeln!(out, "</section>")?;
    Ok(())
}

fn write_operation(
    out: &mut String,
    schema: &Schema,
    service: &Service,
    method: &Method,
) -> Result<()> {
    let operation = Operation::of(schema, method);
    let (verb, path) = (method.http.verb.name(), &method.http.path);
    let who = match role(schema, method) {
        Some(role) => format!("For the role <code>{role}</code> and those above it."),
        None => "For anyone: no credential is needed.".into(),
    };
    writeln!(
        out,
        "<article id=\"{name}\" aria-labelledby=\"{name}-h\">\n<h3 id=\"{name}-h\">{title} <a class=\"anchor\" href=\"#{name}\" aria-label=\"Link to {title}\">#</a></h3>\n<p class=\"request\"><span class=\"verb {lower}\">{verb}</span> <code>{}</code></p>\n<p>{}</p>\n<p class=\"who\">{who} <span class=\"grpc\">gRPC: <code>{}/{name}</code></span></p>",
        path.replace('/', "/<wbr>"),
        prose(&method.comment),
        service.name,
        name = method.name,
        title = words(&method.name),
        lower = verb.to_lowercase(),
    )?;
    write_fields(out, "In the path", operation.parameters(true))?;
    write_fields(out, "In the query", operation.parameters(false))?;
    write_fields(out, "In the body", operation.body())?;
    write_headers(out, &operation)?;
    write_answer(out, &operation)?;
    writeln!(
        out,
        "<pre tabindex=\"0\"><code>{}</code></pre>\n</article>",
        escaped(&example(&operation))
    )?;
    Ok(())
}

fn write_headers(out: &mut String, operation: &Operation<'_>) -> Result<()> {
    let method = operation.method;
    let reads = method.http.verb == Verb::Get;
    let headers = [
        (
            method.policy.takes_key(),
            "Idempotency-Key",
            "Makes trying again safe: 16 to 255 visible ASCII characters, new for each request, such as a UUID. The same request with the same key is answered as the first was, within a day.",
        ),
        (
            operation.has_condition(),
            "If-Match",
            "The `ETag` that was read: where it has changed since, the answer is 412.",
        ),
        (
            operation.has_etag() && reads,
            "If-None-Match",
            "An `ETag` that was read: where it still holds, the answer is 304.",
        ),
    ];
    let mut headers = headers.iter().filter(|(there, ..)| *there).peekable();
    if headers.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "<h4>In the header</h4>\n<dl>")?;
    for (_, name, text) in headers {
        writeln!(out, "<dt><code>{name}</code></dt><dd>{}</dd>", prose(text))?;
    }
    writeln!(out, "</dl>")?;
    Ok(())
}

fn write_answer(out: &mut String, operation: &Operation<'_>) -> Result<()> {
    let status = operation.success();
    let what = match (operation.shown, &operation.method.policy.raw) {
        (None, _) => "nothing more".into(),
        (_, Some((_, media_type))) => format!("<code>{media_type}</code>, as it comes"),
        (Some(shown), None) if operation.method.streams => format!(
            "<code>text/event-stream</code>: the data of each event is one {}",
            link(&shown.name)
        ),
        (Some(shown), None) => link(&shown.name),
    };
    let refusals = operation
        .refusals()
        .map(|status| format!("<a href=\"#refusals\">{status}</a>"));
    let refusals: Vec<_> = refusals.collect();
    writeln!(
        out,
        "<h4>Answer</h4>\n<p><code>{status}</code> {what}. Refusals: {}.</p>",
        refusals.join(", ")
    )?;
    Ok(())
}

fn write_message(out: &mut String, message: &Message) -> Result<()> {
    writeln!(
        out,
        "<article id=\"{0}\" aria-labelledby=\"{0}-h\">\n<h3 id=\"{0}-h\">{0}</h3>\n<p>{1}</p>",
        message.name,
        prose(&message.comment)
    )?;
    write_fields(out, "", message.fields.iter())?;
    writeln!(out, "</article>")?;
    Ok(())
}

fn write_enum(out: &mut String, item: &Enum) -> Result<()> {
    writeln!(
        out,
        "<article id=\"{0}\" aria-labelledby=\"{0}-h\">\n<h3 id=\"{0}-h\">{0}</h3>\n<p>{1}</p>\n<dl class=\"short\">",
        item.name,
        prose(&item.comment)
    )?;
    for value in &item.values {
        writeln!(
            out,
            "<dt><code>{}</code></dt><dd>{}</dd>",
            value.json_name,
            prose(&value.comment)
        )?;
    }
    writeln!(out, "</dl>\n</article>")?;
    Ok(())
}

fn write_fields<'a>(
    out: &mut String,
    title: &str,
    fields: impl Iterator<Item = &'a Field>,
) -> Result<()> {
    let mut fields = fields.peekable();
    if fields.peek().is_none() {
        return Ok(());
    }
    if !title.is_empty() {
        writeln!(out, "<h4>{title}</h4>")?;
    }
    writeln!(out, "<dl>")?;
    for field in fields {
        let kind = match &field.kind {
            FieldKind::Message(name) | FieldKind::Enum(name) => link(name),
            _ => type_words(field).into(),
        };
        let many = if field.repeated { "list of " } else { "" };
        let limits = limits(field);
        let comma = if limits.is_empty() { "" } else { ", " };
        writeln!(
            out,
            "<dt><code>{}</code> <span class=\"kind\">{many}{kind}{comma}{}</span></dt><dd>{}</dd>",
            field.name,
            prose(&limits),
            prose(&field.comment)
        )?;
    }
    writeln!(out, "</dl>")?;
    Ok(())
}

/// A line to try an operation by, with what it has to have.
fn example(operation: &Operation<'_>) -> String {
    let method = operation.method;
    let mut path = method.http.path.clone();
    for field in operation.parameters(true) {
        path = path.replace(&format!("{{{}}}", field.name), &field.name.to_uppercase());
    }
    let mut parts = vec!["curl".to_owned()];
    if method.streams {
        parts[0] += " -N";
    }
    match method.http.verb {
        Verb::Get => {}
        Verb::Post if method.http.body => {}
        verb => parts[0] += &format!(" -X {}", verb.name()),
    }
    if method.policy.role.is_some() {
        parts.push("-H \"Authorization: Bearer $TOKEN\"".into());
    }
    if method.policy.takes_key() {
        parts.push("-H \"Idempotency-Key: $(uuidgen)\"".into());
    }
    if method.http.body {
        parts.push("-H 'Content-Type: application/json'".into());
        // Where nothing is required, a list is what it is about.
        let any_required = operation.body().any(|field| field.rules.required);
        let needed = operation
            .body()
            .filter(|field| field.rules.required || field.repeated && !any_required);
        let members = needed.map(|field| format!("\"{}\": {}", field.name, placeholder(field)));
        let members: Vec<_> = members.collect();
        parts.push(format!("-d '{{{}}}'", members.join(", ")));
    }
    let needed = operation.parameters(false).filter(|f| f.rules.required);
    let query: Vec<_> = needed
        .map(|field| format!("{}={}", field.name, field.name.to_uppercase()))
        .collect();
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{}", query.join("&"))
    };
    parts.push(format!("\"$FLEETWIRE{path}{query}\""));
    parts.join(" \\\n  ")
}

fn placeholder(field: &Field) -> String {
    let one = match field.kind {
        FieldKind::Bool => "true".to_owned(),
        FieldKind::Uint32 | FieldKind::Uint64 | FieldKind::Double => field.rules.min.to_string(),
        FieldKind::Message(_) | FieldKind::Texts => "{}".to_owned(),
        _ => format!("\"{}\"", field.name.to_uppercase()),
    };
    if field.repeated {
        format!("[{one}]")
    } else {
        one
    }
}

fn link(name: &str) -> String {
    format!("<a href=\"#{name}\">{name}</a>")
}

/// `ListHosts` as `List hosts`, and `BeginTotp` as `Begin TOTP`.
fn words(name: &str) -> String {
    let mut out = String::new();
    let mut previous = 'A';
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && previous.is_ascii_lowercase() {
            out.push(' ');
            out.push(letter.to_ascii_lowercase());
        } else {
            out.push(letter);
        }
        previous = letter;
    }
    let words = out.split(' ').map(|word| match word {
        "Api" | "api" => "API",
        "oidc" => "OIDC",
        "totp" => "TOTP",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A comment, with what stands between backticks as code.
fn prose(comment: &str) -> impl Display {
    let mut out = String::new();
    for (index, part) in comment.split('`').enumerate() {
        let words = part.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = escaped(&words);
        if index % 2 == 1 {
            out += &format!("<code>{text}</code>");
            continue;
        }
        // The spaces next to the code are its neighbours'.
        let begins = part.starts_with(char::is_whitespace) && index > 0;
        let ends = part.ends_with(char::is_whitespace) && !words.is_empty();
        out += if begins { " " } else { "" };
        out += &text;
        out += if ends { " " } else { "" };
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
