//! The compatibility JSON against a second implementation, `tests/oracle` in Python, that works from
//! the descriptors and their options and shares no code with this one.

use crate::{random, vectors::same};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use fleetwire::{
    schema::DESCRIPTORS,
    wire::{
        Codec, DecodeError, Envelope,
        binary::Binary,
        json::Json,
        messages::{AgentToPlatform, PlatformToAgent},
    },
};
use proptest::strategy::{Strategy, ValueTree};
use prost_reflect::{
    DynamicMessage, MessageDescriptor, ReflectMessage as _, Value as Field, prost::Message as _,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A message kind's share; each is asked in six spellings or so.
const CASES: u64 = 100;

#[test]
fn both_codecs_agree() {
    let seed = random::seed();
    let mut oracle = Oracle::start();
    let [to_platform, to_agent] = random::envelopes();
    almost_right(&mut oracle);
    let mut tally = Tally::default();
    compare::<AgentToPlatform>(&mut oracle, &to_platform, seed, &mut tally);
    compare::<PlatformToAgent>(&mut oracle, &to_agent, seed, &mut tally);
    println!("{tally:?}");
    assert!(
        tally.refused > tally.messages / 4 && tally.taken > tally.messages / 4,
        "the broken texts are all of one kind: {tally:?}"
    );
}

/// What chance seldom finds: nobody takes it, the JSON Schema neither.
fn almost_right(oracle: &mut Oracle) {
    let times = [
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "2023-00-20T00:00:00Z",
        "2023-13-20T00:00:00Z",
        "2023-01-00T00:00:00Z",
        "2023-02-30T00:00:00Z",
        "2023-01-32T00:00:00Z",
        "2023-01-20T24:00:00Z",
        "2023-01-20T00:60:00Z",
        "2023-01-20T00:00:60Z",
        "2023-01-20T00:00:00+24:00",
        "2023-01-20T00:00:00+23:60",
        "2023-01-20T00:00:00Z\n",
    ];
    let mut broken = times.map(|time| {
        json!({"message_type": "status_update", "message_id": "1", "original_message_id": "2", "timestamp": time})
    }).to_vec();
    for data in ["AB==", "AAB=", "A===", "AA=="] {
        broken.push(
            json!({"type": "stream_data", "id": "1", "data": data, "data_encoding": "base64"}),
        );
    }
    let taken = broken.len() - 1;
    let texts: Vec<_> = broken.iter().map(Value::to_string).collect();
    let answer = oracle.ask(&json!({
        "envelope": "AgentToPlatform",
        // An empty heartbeat.
        "binary": BASE64_STANDARD.encode([0x12, 0]),
        "json": r#"{"type":"heartbeat"}"#,
        "seed": 0,
        "broken": texts,
    }));
    for (index, text) in texts.into_iter().enumerate() {
        let judged = &answer["broken"][index];
        let ours = Json.decode::<AgentToPlatform>(text.clone().into());
        assert_eq!(ours.is_ok(), index == taken, "{text}: {ours:?}");
        assert_eq!(judged["read"].is_string(), index == taken, "{text}");
        assert_eq!(judged["valid"], index == taken, "the JSON Schema: {text}");
    }
}

/// What became of the texts with a change in them.
#[derive(Debug, Default)]
struct Tally {
    messages: u64,
    taken: u64,
    refused: u64,
}

fn compare<E: Envelope>(
    oracle: &mut Oracle,
    envelope: &MessageDescriptor,
    seed: u64,
    tally: &mut Tally,
) {
    for field in envelope.fields() {
        let strategy = random::enveloped(&field);
        let mut runner = random::runner(seed, 1);
        for case in 0..CASES {
            let message = strategy.new_tree(&mut runner).unwrap().current();
            let seed = seed.wrapping_add(case);
            let written = write::<E>(&message.0);
            let answer = oracle.ask(&json!({
                "envelope": envelope.name(),
                "binary": BASE64_STANDARD.encode(message.0.encode_to_vec()),
                "json": &written,
                "seed": seed,
                "broken": [],
            }));
            let place = format!(
                "{} of seed {seed}, case {case}: {message:?}\n{written}\n{answer}",
                field.name()
            );
            let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("{place}"));

            let same_value = same(
                &serde_json::from_str(&written).unwrap(),
                &serde_json::from_str(text("json")).unwrap(),
            );
            assert!(same_value, "written differently: {place}");
            let ours = read::<E>(&written, envelope).ok();
            assert!(ours.is_some(), "not read back: {place}");
            assert_eq!(
                ours,
                theirs(&answer["read"], envelope),
                "read differently: {place}"
            );
            let other = read::<E>(text("other"), envelope);
            assert_eq!(
                other.as_ref().ok(),
                ours.as_ref(),
                "another spelling is read differently ({other:?}): {place}"
            );
            assert_eq!(
                answer["invalid"],
                json!([]),
                "the JSON Schema refuses it: {place}"
            );

            tally.messages += 1;
            for broken in answer["broken"].as_array().unwrap() {
                let ours = read::<E>(broken["json"].as_str().unwrap(), envelope);
                let theirs = theirs(&broken["read"], envelope);
                assert_eq!(
                    ours.as_ref().ok(),
                    theirs.as_ref(),
                    "judged differently ({ours:?}): {broken}\n{place}"
                );
                assert!(
                    theirs.is_some() || broken["valid"] == false,
                    "the JSON Schema takes it: {broken}\n{place}"
                );
                *(if theirs.is_some() {
                    &mut tally.taken
                } else {
                    &mut tally.refused
                }) += 1;
            }
        }
    }
}

fn write<E: Envelope>(message: &DynamicMessage) -> String {
    let message: E = Binary.decode(message.encode_to_vec().into()).unwrap();
    let mut out = BytesMut::new();
    Json.encode(message, &mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

/// The message that the text holds, ready to be compared.
fn read<E: Envelope>(
    text: &str,
    envelope: &MessageDescriptor,
) -> Result<DynamicMessage, DecodeError> {
    let message: E = Json.decode(Bytes::copy_from_slice(text.as_bytes()))?;
    let mut out = BytesMut::new();
    Binary.encode(message, &mut out);
    Ok(comparable(envelope, &out))
}

fn theirs(binary: &Value, envelope: &MessageDescriptor) -> Option<DynamicMessage> {
    let binary = BASE64_STANDARD.decode(binary.as_str()?).unwrap();
    Some(comparable(envelope, &binary))
}

/// Raw JSON is compared by value: the oracle does not keep its spelling.
fn comparable(envelope: &MessageDescriptor, binary: &[u8]) -> DynamicMessage {
    let mut message = DynamicMessage::decode(envelope.clone(), binary).unwrap();
    canonical_within(&mut message);
    message
}

fn canonical_within(message: &mut DynamicMessage) {
    for (_, content) in message.fields_mut() {
        let Field::Message(content) = content else {
            continue;
        };
        for (holder, name) in [("Response", "raw"), ("UnknownCommand", "parameters")] {
            if content.descriptor().name() == holder && content.has_field_by_name(name) {
                canonical_raw(content, name);
            }
        }
        canonical_within(content);
    }
}

fn canonical_raw(message: &mut DynamicMessage, name: &str) {
    match message.get_field_by_name_mut(name) {
        Some(Field::String(raw)) if !raw.is_empty() => {
            *raw = serde_json::from_str::<Value>(raw).unwrap().to_string();
        }
        _ => {}
    }
}

/// The other implementation, a line to it and a line back.
struct Oracle {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Holds the descriptors that it reads.
    _folder: tempfile::TempDir,
}

impl Oracle {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let setup = root.join("tests/setup/python.sh");
        let made = Command::new("sh")
            .arg(&setup)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{} cannot make the oracle's Python: {}",
            setup.display(),
            String::from_utf8_lossy(&made.stderr)
        );
        let folder = tempfile::tempdir().unwrap();
        let descriptors = folder.path().join("descriptors.binpb");
        std::fs::write(&descriptors, DESCRIPTORS).unwrap();
        let mut process = Command::new(root.join(".tools/python/bin/python"))
            .arg(root.join("tests/oracle/oracle.py"))
            .arg(descriptors)
            .arg(root.join("docs/schema"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            questions: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
            _folder: folder,
        }
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions, "{question}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("the oracle failed on {question}"))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
