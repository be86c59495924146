//! Every message of both directions through both encodings, with random content.

use crate::random;
use bytes::{Bytes, BytesMut};
use fleetwire::wire::{
    Codec, Envelope,
    binary::Binary,
    fields::{FieldLimits, FieldLines},
    json::Json,
    messages::{AgentToPlatform, PlatformToAgent},
};
use proptest::test_runner::TestCaseError;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, MessageDescriptor, ReflectMessage, Value, prost::Message as _,
};

/// A message kind's share: some 25 kinds make a few seconds.
const CASES: u32 = 256;

#[test]
fn messages_of_an_agent_go_through_both_encodings() {
    every_message::<AgentToPlatform>(&random::envelopes()[0]);
}

#[test]
fn messages_of_a_platform_go_through_both_encodings() {
    every_message::<PlatformToAgent>(&random::envelopes()[1]);
}

fn every_message<E: Envelope>(envelope: &MessageDescriptor) {
    let seed = random::seed();
    for field in envelope.fields() {
        random::runner(seed, CASES)
            .run(&random::enveloped(&field), |message| check::<E>(&message.0))
            .unwrap_or_else(|failure| panic!("{}: {failure}", field.name()));
    }
}

fn check<E: Envelope>(sent: &DynamicMessage) -> Result<(), TestCaseError> {
    let fail =
        |what: &str, error: &dyn std::fmt::Display| TestCaseError::fail(format!("{what}: {error}"));
    let bytes = Bytes::from(sent.encode_to_vec());
    let message: E = Binary
        .decode(bytes.clone())
        .map_err(|e| fail("binary", &e))?;
    proptest::prop_assert_eq!(
        &encoded(Binary, message.clone()),
        &bytes,
        "binary to domain to binary"
    );

    let json = encoded(Json, message);
    let text = String::from_utf8_lossy(&json).into_owned();
    serde_json::from_slice::<serde::de::IgnoredAny>(&json).map_err(|e| fail(&text, &e))?;
    let read: E = Json.decode(json.clone()).map_err(|e| fail(&text, &e))?;
    proptest::prop_assert_eq!(encoded(Json, read.clone()), &json, "JSON to domain to JSON");

    let canonical = canonical(sent);
    let mut back = DynamicMessage::decode(sent.descriptor(), encoded(Binary, read))
        .map_err(|e| fail("back", &e))?;
    let kept = result(&back);
    if let Some(typed) = result(sent) {
        // JSON does not name a result's type: what comes back is the same result, raw.
        let raw = kept.ok_or_else(|| fail("result", &"lost"))?;
        proptest::prop_assert!(
            typed.as_message().is_some() || typed == raw,
            "a raw result is kept as it came"
        );
    }
    clear_result(&mut back);
    proptest::prop_assert_eq!(
        back.encode_to_vec(),
        canonical.encode_to_vec(),
        "binary to JSON to binary: {}",
        text
    );
    Ok(())
}

fn encoded<E: Envelope>(codec: impl Codec, message: E) -> Bytes {
    let mut out = BytesMut::new();
    codec.encode(message, &mut out);
    out.freeze()
}

/// The message as JSON can say it: field lines without needless space, the lines of a name
/// together under its first spelling; no typed result.
fn canonical(message: &DynamicMessage) -> DynamicMessage {
    let mut canonical = message.clone();
    clear_result(&mut canonical);
    for (_, content) in canonical.fields_mut() {
        let Value::Message(content) = content else {
            continue;
        };
        for (field, value) in content.fields_mut() {
            if let (true, Value::Bytes(lines)) =
                (matches!(field.name(), "headers" | "trailers"), value)
            {
                *lines = grouped(lines.clone());
            }
        }
    }
    canonical
}

fn grouped(lines: Bytes) -> Bytes {
    let limits = FieldLimits {
        bytes: 1 << 20,
        count: 200,
    };
    let lines = FieldLines::parse(lines, limits).unwrap();
    let mut builder = FieldLines::builder();
    let mut done: Vec<String> = Vec::new();
    for (name, _) in &lines {
        if done.contains(&name.to_lowercase()) {
            continue;
        }
        done.push(name.to_lowercase());
        for value in lines.get_all(name) {
            builder.push(name, value).unwrap();
        }
    }
    builder.finish().into_bytes()
}

/// The response in an envelope: itself, or that of a report.
fn response(envelope: &DynamicMessage) -> Option<DynamicMessage> {
    let held = |message: &DynamicMessage, name: &str| {
        let value = message.get_field_by_name(name)?;
        value.as_message().cloned()
    };
    let report = held(envelope, "command_report");
    match report.filter(|report| report.has_field_by_name("response")) {
        Some(report) => held(&report, "response"),
        None => held(envelope, "response"),
    }
}

fn results(response: &DynamicMessage) -> Vec<FieldDescriptor> {
    let descriptor = response.descriptor();
    let mut oneofs = descriptor.oneofs();
    let result = oneofs.find(|oneof| oneof.name() == "result");
    result
        .map(|oneof| oneof.fields().collect())
        .unwrap_or_default()
}

/// What the oneof `result` of a response holds.
fn result(envelope: &DynamicMessage) -> Option<Value> {
    let response = response(envelope)?;
    let mut fields = results(&response).into_iter();
    let field = fields.find(|field| response.has_field(field))?;
    Some(response.get_field(&field).into_owned())
}

fn clear_result(envelope: &mut DynamicMessage) {
    let is_report = envelope.has_field_by_name("command_report");
    let outer = if is_report {
        match envelope.get_field_by_name_mut("command_report") {
            Some(Value::Message(report)) if report.has_field_by_name("response") => report,
            _ => return,
        }
    } else if envelope.has_field_by_name("response") {
        envelope
    } else {
        return;
    };
    let Some(Value::Message(response)) = outer.get_field_by_name_mut("response") else {
        return;
    };
    for field in results(response) {
        response.clear_field(&field);
    }
}
