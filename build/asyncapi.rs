//! Generates the AsyncAPI 3.0 document of what goes over WebSockets in JSON: the link between an agent
//! and its platform, and the events. Its definitions are those of the JSON Schemas, in a form that
//! AsyncAPI's own schema language has as well.

use crate::{
    json::tag_name,
    json_schema::{Describe, Text, need, text},
    messages::snake,
    model::{FieldKind, Schema},
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, error::Error};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ABOUT: &str = "What goes over WebSockets in JSON, as the platform sees it: the link, which an agent dials, and the events, which an operator's program follows. Both speak protobuf as well, by subprotocol: the schema in `proto/` is the truth for all of it.";

/// A WebSocket.
struct Channel<'a> {
    name: &'a str,
    address: &'a str,
    title: &'a str,
    about: &'a str,
    /// Its subprotocols, the one with JSON last.
    subprotocols: [&'a str; 2],
    /// Why either end closes it, by the code.
    closes: &'a [(u16, &'a str)],
}

const LINK: Channel<'_> = Channel {
    name: "link",
    address: "/v1/agent/ws",
    title: "The link of an agent",
    about: "An agent dials it over TLS 1.3 and stays. Its first message is `hello`, the answer `welcome` or `refuse`; `docs/PROTOCOL.md` has the rules.",
    subprotocols: ["fleetwire.link.v1.proto", "fleetwire.link.v1.json"],
    closes: &[
        (1000, "Everything was done."),
        (
            1001,
            "The peer fell silent, or a newer connection of the host took over.",
        ),
        (
            1002,
            "A violation: malformed, out of place, past its credit, no `hello` in time.",
        ),
        (1008, "Not allowed: token, version, host withdrawn, abuse."),
        (1009, "A message longer than the receiver takes."),
        (1012, "The platform restarts."),
        (1013, "No room at present."),
    ],
};

const EVENTS: Channel<'_> = Channel {
    name: "events",
    address: "/api/events",
    title: "What happens in the fleet",
    about: "A program says what it wants with `watch`, after `authenticate` where the upgrade had no `Authorization`, each within 10 s, and is told what happens. Whoever comes back with its last position misses nothing, or is told to reload.",
    subprotocols: ["fleetwire.events.v1.proto", "fleetwire.events.v1.json"],
    closes: &[
        (1001, "The platform stops."),
        (1002, "What came is no message of this schema."),
        (1003, "What came is no message of this encoding."),
        (
            1008,
            "Not allowed: not authenticated in time, credential refused, ended or revoked, messages without end.",
        ),
        (1009, "A message of more than 16 KiB."),
        (1013, "The client is too slow, or the platform has no room."),
    ],
};

/// What the platform does with a message.
const RECEIVE: &str = "receive";
const SEND: &str = "send";

/// The text of the document.
pub fn generate(link: &Schema, api: &Schema, version: &str) -> Result<String> {
    let mut out = Document::default();
    out.add_link(link)?;
    out.add_events(api)?;
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Fleetwire over WebSockets",
            "version": version,
            "description": ABOUT,
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "platform": {
                "host": "{platform}",
                "protocol": "wss",
                "description": "A platform.",
                "variables": { "platform": { "description": "Its name, and its port where that is not 443." } },
            },
        },
        "channels": out.channels,
        "operations": out.operations,
        "components": { "messages": out.messages, "schemas": out.schemas },
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[derive(Default)]
struct Document {
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
    schemas: Map<String, Value>,
}

impl Document {
    fn add_link(&mut self, schema: &Schema) -> Result<()> {
        let mut needed = BTreeSet::new();
        let mut all = Vec::new();
        for (envelope, action) in schema.envelopes.iter().zip([RECEIVE, SEND]) {
            let mut names = Vec::new();
            for field in &envelope.fields {
                let FieldKind::Message(kind) = &field.kind else {
                    continue;
                };
                need(schema, kind, &mut needed)?;
                let tag = tag_name(schema.message(kind));
                let own =
                    json!({ "properties": { tag: { "const": field.name } }, "required": [tag] });
                let payload = json!({ "allOf": [{ "$ref": reference("link", kind) }, own] });
                // A message may go both ways.
                let message = self.message("link", &field.name, &field.comment, payload);
                names.push(message.clone());
                if !all.contains(&message) {
                    all.push(message);
                }
            }
            self.add_operation("link", &envelope.name, &envelope.comment, action, &names);
        }
        self.add_channel(&LINK, &all);
        self.define("link", schema, Text::Link, &needed)
    }

    fn add_events(&mut self, schema: &Schema) -> Result<()> {
        let named = |name| schema.messages.iter().find(|message| message.name == name);
        let sides = [
            ("WatchEventsClientMessage", RECEIVE, Text::Request),
            ("WatchEventsResponse", SEND, Text::Answer),
        ];
        let mut all = Vec::new();
        for (name, action, text) in sides {
            let Some(message) = named(name) else {
                continue;
            };
            let mut needed = BTreeSet::new();
            need(schema, name, &mut needed)?;
            let payload = json!({ "$ref": reference("events", name) });
            let title = self.message("events", &snake(name), &message.comment, payload);
            self.add_operation(
                "events",
                name,
                &message.comment,
                action,
                std::slice::from_ref(&title),
            );
            all.push(title);
            self.define("events", schema, text, &needed)?;
        }
        if !all.is_empty() {
            self.add_channel(&EVENTS, &all);
        }
        Ok(())
    }

    /// Adds a message, and gives the name that it has here.
    fn message(&mut self, channel: &str, name: &str, comment: &str, payload: Value) -> String {
        let key = format!("{channel}.{name}");
        self.messages.insert(
            key,
            json!({ "name": name, "summary": text(comment), "payload": payload }),
        );
        name.to_owned()
    }

    fn add_operation(
        &mut self,
        channel: &str,
        name: &str,
        comment: &str,
        action: &str,
        messages: &[String],
    ) {
        let at = format!("#/channels/{channel}");
        let messages = messages.iter();
        let messages: Vec<_> = messages
            .map(|name| json!({ "$ref": format!("{at}/messages/{name}") }))
            .collect();
        self.operations.insert(
            name.to_owned(),
            json!({
                "action": action,
                "channel": { "$ref": at },
                "summary": text(comment),
                "messages": messages,
            }),
        );
    }

    fn add_channel(&mut self, channel: &Channel<'_>, messages: &[String]) {
        let name = channel.name;
        let messages = messages.iter().map(|message| {
            let at = format!("#/components/messages/{name}.{message}");
            (message.clone(), json!({ "$ref": at }))
        });
        let messages: Map<_, _> = messages.collect();
        let [binary, json] = channel.subprotocols;
        let closes = channel.closes.iter();
        let closes: Map<_, _> = closes
            .map(|(code, when)| (code.to_string(), (*when).into()))
            .collect();
        self.channels.insert(
            name.into(),
            json!({
                "address": channel.address,
                "title": channel.title,
                "description": format!(
                    "{} The subprotocol `{json}` chooses JSON, one object a text message; `{binary}` the same messages in protobuf. `x-close-codes` says why either end closes.",
                    channel.about
                ),
                "messages": messages,
                "bindings": { "ws": {
                    "method": "GET",
                    "headers": {
                        "type": "object",
                        "properties": { "Sec-WebSocket-Protocol": { "type": "string", "const": json } },
                    },
                    "bindingVersion": "0.1.0",
                } },
                "x-subprotocols": channel.subprotocols,
                "x-close-codes": closes,
            }),
        );
    }

    fn define(
        &mut self,
        channel: &str,
        schema: &Schema,
        text: Text,
        needed: &BTreeSet<&str>,
    ) -> Result<()> {
        let at = |name: &str| reference(channel, name);
        let describe = Describe {
            schema,
            text,
            reference: &at,
        };
        for (name, definition) in describe.definitions(needed)? {
            self.schemas.insert(format!("{channel}.{name}"), definition);
        }
        Ok(())
    }
}

fn reference(channel: &str, name: &str) -> String {
    format!("#/components/schemas/{channel}.{name}")
}
