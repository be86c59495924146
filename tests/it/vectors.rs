//! The golden vectors of `tests/vectors`: every implementation and every version agrees on them.

use bytes::{Bytes, BytesMut};
use fleetwire::{
    schema::DESCRIPTORS,
    wire::{
        Codec, Envelope,
        binary::Binary,
        json::Json,
        messages::{AgentToPlatform, PlatformToAgent},
    },
};
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions, prost::Message as _,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The seeds' samples and the direction of each.
const SAMPLES_TO_AGENT: [&str; 4] = ["command", "http_request", "session_close", "session_open"];
const SAMPLES_TO_PLATFORM: [&str; 6] = [
    "error",
    "heartbeat",
    "hello",
    "http_response",
    "response",
    "status_update",
];
/// What lies beside them and is no message of the link.
const OTHER_SAMPLES: [&str; 2] = ["README.md", "rest_packages_install.json"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// Whether files that are missing are to be written.
fn updating() -> bool {
    std::env::var_os("FLEETWIRE_UPDATE").is_some_and(|value| value == "1")
}

fn envelope(name: &str) -> MessageDescriptor {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    pool.get_message_by_name(&format!("fleetwire.link.v1.{name}"))
        .unwrap()
}

fn read_json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

/// Equal as JSON: numbers by value, objects in any order.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn to_json<E: Envelope>(message: E) -> Vec<u8> {
    let mut out = BytesMut::new();
    Json.encode(message, &mut out);
    out.to_vec()
}

fn to_binary<E: Envelope>(message: E) -> Vec<u8> {
    let mut out = BytesMut::new();
    Binary.encode(message, &mut out);
    out.to_vec()
}

#[test]
fn the_seeds_samples_come_back_equal() {
    fn check<E: Envelope>(name: &str) {
        let text = fs::read(root().join(format!("json/{name}.json"))).unwrap();
        let message: E = Json.decode(text.clone().into()).unwrap();
        assert_eq!(message.name(), name);
        let again = to_json(message.clone());
        assert!(
            same(&read_json(&text), &read_json(&again)),
            "{name}: {}",
            String::from_utf8_lossy(&again)
        );
        assert_eq!(Json.decode::<E>(again.into()), Ok(message));
    }
    SAMPLES_TO_AGENT
        .into_iter()
        .for_each(check::<PlatformToAgent>);
    SAMPLES_TO_PLATFORM
        .into_iter()
        .for_each(check::<AgentToPlatform>);

    let known: BTreeSet<_> = SAMPLES_TO_AGENT
        .iter()
        .chain(&SAMPLES_TO_PLATFORM)
        .map(|name| format!("{name}.json"))
        .chain(OTHER_SAMPLES.map(String::from))
        .collect();
    let there: BTreeSet<_> = fs::read_dir(root().join("json"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        there, known,
        "a sample that no test reads, or one that is gone"
    );
}

#[test]
fn golden_messages_of_an_agent() {
    golden::<AgentToPlatform>("agent_to_platform", "AgentToPlatform");
}

#[test]
fn golden_messages_of_a_platform() {
    golden::<PlatformToAgent>("platform_to_agent", "PlatformToAgent");
}

/// Every case in its four forms: protobuf's JSON, binary, checked, compatibility JSON.
fn golden<E: Envelope>(folder: &str, name: &str) {
    let descriptor = envelope(name);
    let mut missing: BTreeSet<_> = descriptor
        .fields()
        .map(|field| field.name().to_owned())
        .collect();
    let mut cases: Vec<_> = fs::read_dir(root().join("proto3-json").join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    for path in &cases {
        let case = path.file_stem().unwrap().to_str().unwrap();
        let described = fs::read_to_string(path).unwrap();
        let mut reader = serde_json::Deserializer::from_str(&described);
        let dynamic = DynamicMessage::deserialize(descriptor.clone(), &mut reader).unwrap();
        let canonical = dynamic
            .serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new())
            .unwrap();
        assert!(
            same(&read_json(described.as_bytes()), &canonical),
            "{case} is not canonical: {canonical}"
        );

        let binary = kept(folder, "binary", case, "binpb", &dynamic.encode_to_vec());
        assert_eq!(
            binary,
            dynamic.encode_to_vec(),
            "{folder}/{case}: binary against its description"
        );
        let message: E = Binary.decode(Bytes::from(binary.clone())).unwrap();
        missing.remove(message.name());
        assert_eq!(
            to_binary(message.clone()),
            binary,
            "{folder}/{case}: binary"
        );

        let json = kept(
            folder,
            "compatibility-json",
            case,
            "json",
            &line(to_json(message.clone())),
        );
        assert!(
            same(&read_json(&json), &read_json(&to_json(message))),
            "{folder}/{case}: JSON"
        );
        let from_json: E = Json.decode(json.clone().into()).unwrap();
        assert!(
            same(&read_json(&json), &read_json(&to_json(from_json))),
            "{folder}/{case}: JSON through a message"
        );
    }
    assert_eq!(missing, BTreeSet::new(), "messages without a vector");
    for kind in ["binary", "compatibility-json"] {
        let files = fs::read_dir(root().join(kind).join(folder))
            .unwrap()
            .count();
        assert_eq!(
            files,
            cases.len(),
            "{kind}/{folder} holds files that nothing describes"
        );
    }
}

/// The committed file; written first where it is missing and that was asked for. An existing one is
/// never changed.
fn kept(folder: &str, kind: &str, case: &str, extension: &str, content: &[u8]) -> Vec<u8> {
    let path = root()
        .join(kind)
        .join(folder)
        .join(format!("{case}.{extension}"));
    if updating() && !path.exists() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
    }
    fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; FLEETWIRE_UPDATE=1 writes it", path.display()))
}

fn line(mut json: Vec<u8>) -> Vec<u8> {
    json.push(b'\n');
    json
}
