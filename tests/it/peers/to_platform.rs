//! What an agent that was let in may not send, in both encodings: each fault with its code, while a
//! viewer waits for that agent, and another agent's download runs.

use bytes::Bytes;
use fleetwire::ids::StreamId;
use fleetwire::schema::pb::{self, agent_to_platform::Message as Wire};
use fleetwire::wire::fields::FieldLines;
use fleetwire::wire::messages::{
    Ack, AgentToPlatform, Error, ErrorCode, HttpResponse, PlatformToAgent, StreamCredit,
    StreamData, StreamReset, StreamStop,
};
use fleetwire::wire::{DecodeError, Encoding};
use prost::Message as _;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::beside::{Beside, HOST, device_token};
use super::raw::RawAgent;
use crate::console::viewer::Viewer;
use crate::support::Platform;

const BOTH: [Encoding; 2] = [Encoding::Binary, Encoding::Json];

/// An agent that was let in, with a viewer who waits for its answer.
struct Odd {
    agent: RawAgent,
    viewer: Viewer,
    id: StreamId,
}

impl Odd {
    async fn start(beside: &Beside, encoding: Encoding) -> Self {
        let mut agent = beside.agent(encoding).await;
        let viewer = beside.session().await.send("GET /", "").await;
        let id = request(&mut agent).await;
        Self { agent, viewer, id }
    }

    /// The platform has to close with this; the viewer hears that its agent is gone.
    async fn ends(self, beside: &mut Beside, close_code: u16, code: &str) {
        let Self {
            agent, mut viewer, ..
        } = self;
        agent.closed().await.assert(close_code, code);
        let answer = viewer.answer().await;
        assert_eq!(
            (answer.status, answer.code()),
            (502, Some("connection_lost"))
        );
        beside.settled().await;
    }
}

/// The id of the next request.
async fn request(agent: &mut RawAgent) -> StreamId {
    let pick = |message| match message {
        PlatformToAgent::HttpRequest(request) => Some(request.id),
        _ => None,
    };
    agent.until(pick).await
}

fn head(id: &StreamId, body_follows: bool) -> HttpResponse {
    HttpResponse {
        id: id.clone(),
        status: 200,
        headers: FieldLines::default(),
        body: Bytes::new(),
        body_follows,
    }
}

fn data(id: &StreamId, offset: u64, bytes: usize) -> StreamData {
    StreamData {
        id: id.clone(),
        offset,
        data: vec![0x5a; bytes].into(),
        fin: false,
        trailers: FieldLines::default(),
    }
}

fn reset(id: &StreamId, final_offset: u64) -> StreamReset {
    StreamReset {
        id: id.clone(),
        code: ErrorCode::Cancelled,
        final_offset,
        message: String::new(),
    }
}

fn unknown() -> StreamId {
    StreamId::parse("nobody").expect("an id")
}

#[tokio::test]
async fn each_broken_rule_of_streams_has_its_code() {
    let mut beside = Beside::start().await;
    type Case = (&'static str, fn(&StreamId) -> Vec<AgentToPlatform>);
    let cases: [Case; 10] = [
        ("stream_unknown", |_| vec![data(&unknown(), 0, 1).into()]),
        ("stream_unknown", |_| vec![reset(&unknown(), 0).into()]),
        ("stream_unknown", |_| vec![head(&unknown(), false).into()]),
        ("unexpected_message", |id| vec![data(id, 0, 1).into()]),
        ("unexpected_message", |id| {
            vec![head(id, true).into(), head(id, true).into()]
        }),
        ("offset_wrong", |id| {
            vec![head(id, true).into(), data(id, 5, 1).into()]
        }),
        ("offset_wrong", |id| {
            vec![head(id, true).into(), reset(id, 9).into()]
        }),
        // In one piece, so that no credit can come meanwhile.
        ("credit_exceeded", |id| {
            vec![head(id, true).into(), data(id, 0, (256 << 10) + 1).into()]
        }),
        ("stream_unknown", |id| {
            vec![head(id, false).into(), data(id, 0, 1).into()]
        }),
        ("unexpected_message", |_| {
            let ack = Ack {
                messages: 1 << 40,
                bytes: 0,
                delay_us: 0,
                max_bytes: 0,
            };
            vec![ack.into()]
        }),
    ];
    for (code, messages) in cases {
        for encoding in BOTH {
            let mut odd = Odd::start(&beside, encoding).await;
            for message in messages(&odd.id) {
                odd.agent.send(message).await;
            }
            odd.agent.closed().await.assert(1002, code);
            beside.settled().await;
        }
    }
}

#[tokio::test]
async fn a_connection_speaks_one_encoding() {
    let mut beside = Beside::start().await;
    for (encoding, other) in [
        (Encoding::Binary, Encoding::Json),
        (Encoding::Json, Encoding::Binary),
    ] {
        let mut odd = Odd::start(&beside, encoding).await;
        odd.agent.encoding = other;
        let answer = head(&odd.id, false);
        odd.agent.send(answer).await;
        odd.agent.encoding = encoding;
        odd.ends(&mut beside, 1002, "mixed_encodings").await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_a_violation() {
    let mut beside = Beside::start().await;
    let raw = |bytes: &[u8], code: Data| {
        Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(code), true))
    };
    let long = vec![b' '; (1 << 20) + 1];
    for (encoding, message, close_code, code) in [
        (
            Encoding::Binary,
            raw(&[0xff], Data::Binary),
            1002,
            "malformed",
        ),
        (
            Encoding::Binary,
            raw(&[0x22, 0xff], Data::Binary),
            1002,
            "malformed",
        ),
        (
            Encoding::Json,
            raw(b"{\"type\":", Data::Text),
            1002,
            "malformed",
        ),
        (
            Encoding::Json,
            raw(b"{\"type\":\"\xff\"}", Data::Text),
            1002,
            "malformed",
        ),
        (
            Encoding::Json,
            raw(&[b'['; 1000], Data::Text),
            1002,
            "malformed",
        ),
        (
            Encoding::Binary,
            raw(&long, Data::Binary),
            1009,
            "message_too_big",
        ),
        (
            Encoding::Json,
            raw(&long, Data::Text),
            1009,
            "message_too_big",
        ),
    ] {
        let mut odd = Odd::start(&beside, encoding).await;
        odd.agent.send_raw(message).await;
        odd.ends(&mut beside, close_code, code).await;
    }
}

/// A line break would end a field, or a head, for whoever writes it on.
#[tokio::test]
async fn line_breaks_stay_out_of_heads() {
    let mut beside = Beside::start().await;
    let breaks = ["a\r\nset-cookie: b", "a\nb", "a\rb", "a\0b"];
    for value in breaks {
        let mut odd = Odd::start(&beside, Encoding::Binary).await;
        // As one field's value: a line that the codec would take for two is not what is tried.
        let lines = format!("x: {}\r\n", value.replace("\r\n", "\r"));
        let wire = pb::HttpResponse {
            id: odd.id.to_string(),
            status: 200,
            headers: lines.into_bytes().into(),
            ..pb::HttpResponse::default()
        };
        let message = binary(Wire::HttpResponse(wire));
        odd.agent.send_raw(message).await;
        odd.ends(&mut beside, 1002, "field_invalid").await;

        let mut odd = Odd::start(&beside, Encoding::Json).await;
        let message = json!({
            "type": "http_response", "id": odd.id.to_string(), "status": 200,
            "headers": {"x": value},
        });
        odd.agent.send_raw(Message::text(message.to_string())).await;
        // Such an object cannot be written as field lines at all.
        odd.ends(&mut beside, 1002, "malformed").await;
    }
    let mut odd = Odd::start(&beside, Encoding::Binary).await;
    let wire = pb::StreamCredit {
        id: "1\r\n2".to_owned(),
        max_offset: 0,
    };
    odd.agent.send_raw(binary(Wire::StreamCredit(wire))).await;
    odd.ends(&mut beside, 1002, "field_invalid").await;
}

fn binary(message: Wire) -> Message {
    let envelope = pb::AgentToPlatform {
        message: Some(message),
    };
    Message::Binary(envelope.encode_to_vec().into())
}

/// The other direction of the same: no agent is sent such a path, and none would take it.
#[test]
fn a_path_with_a_line_break_is_refused_in_both_encodings() {
    let wire = pb::HttpRequest {
        id: "1".to_owned(),
        method: "GET".to_owned(),
        path: "/a\r\nx: y".to_owned(),
        ..pb::HttpRequest::default()
    };
    let envelope = pb::PlatformToAgent {
        message: Some(pb::platform_to_agent::Message::HttpRequest(wire)),
    };
    let text = json!({"type": "http_request", "id": "1", "method": "GET", "path": "/a\r\nx: y"});
    for (encoding, bytes) in [
        (Encoding::Binary, envelope.encode_to_vec()),
        (Encoding::Json, text.to_string().into_bytes()),
    ] {
        match encoding.decode::<PlatformToAgent>(bytes.into()) {
            Err(DecodeError::Invalid(invalid)) => assert_eq!(invalid.field, "path"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn cheap_messages_without_end_are_abuse() {
    let mut beside = Beside::start().await;
    let credit = |max_offset| StreamCredit {
        id: unknown(),
        max_offset,
    };
    for encoding in BOTH {
        let mut odd = Odd::start(&beside, encoding).await;
        odd.agent.send(head(&odd.id, true)).await;
        let empty = odd.agent.encoded(data(&odd.id, 0, 0));
        odd.agent.flood(empty).await.assert(1008, "abuse");
        beside.settled().await;

        let floods: [AgentToPlatform; 4] = [
            credit(0).into(),
            credit(1 << 40).into(),
            StreamStop {
                id: unknown(),
                code: ErrorCode::Cancelled,
            }
            .into(),
            failure().into(),
        ];
        for flood in floods {
            let agent = beside.agent(encoding).await;
            let flood = agent.encoded(flood);
            agent.flood(flood).await.assert(1008, "abuse");
            beside.settled().await;
        }
        let nonsense = match encoding {
            Encoding::Binary => Message::Binary(Bytes::from_static(&[0xa2, 0x1f, 0])),
            Encoding::Json => Message::text(r#"{"type":"nonsense"}"#),
        };
        let agent = beside.agent(encoding).await;
        agent.flood(nonsense).await.assert(1008, "abuse");
        beside.settled().await;
    }
}

#[tokio::test]
async fn one_agents_errors_do_not_fill_the_log() {
    let mut platform = Platform::start(&[]);
    let token = device_token(&platform, HOST);
    let mut agent = RawAgent::admitted(&platform, Encoding::Binary, &token).await;
    for _ in 0..50 {
        agent.send(failure()).await;
    }
    drop(agent);
    let line = platform.process.line("more errors than were logged");
    assert!(line.contains(r#""errors":50"#), "{line}");
    let said = platform.process.said();
    assert_eq!(said.matches("an agent reports").count(), 8);
}

fn failure() -> Error {
    Error {
        message_id: String::new(),
        original_message_id: String::new(),
        timestamp: None,
        code: ErrorCode::Internal,
        message: "again".to_owned(),
    }
}

#[tokio::test]
async fn what_is_not_known_is_survived_and_other_streams_of_the_connection_go_on() {
    let mut beside = Beside::start().await;
    for encoding in BOTH {
        let mut odd = Odd::start(&beside, encoding).await;
        odd.agent.send(head(&odd.id, true)).await;
        let unknown_types = match encoding {
            // Fields 500 and 501, length-delimited.
            Encoding::Binary => [&[0xa2_u8, 0x1f, 0][..], &[0xaa, 0x1f, 3, 1, 2, 3]]
                .map(|bytes| Message::Binary(Bytes::from_static(bytes))),
            Encoding::Json => {
                [r#"{"type":"nonsense"}"#, r#"{"message_type":"more"}"#].map(Message::text)
            }
        };
        let mut offset = 0;
        for message in unknown_types {
            odd.agent.send_raw(message).await;
            let pick = |message| match message {
                PlatformToAgent::Error(error) => Some(error.code),
                _ => None,
            };
            assert_eq!(odd.agent.until(pick).await, ErrorCode::MessageTypeUnknown);
            odd.agent.send(data(&odd.id, offset, 1000)).await;
            offset += 1000;
        }
        // What may cross the end of a stream on its way, and an error, which nobody answers.
        odd.agent
            .send(StreamCredit {
                id: unknown(),
                max_offset: 7,
            })
            .await;
        odd.agent
            .send(StreamStop {
                id: unknown(),
                code: ErrorCode::Cancelled,
            })
            .await;
        odd.agent.send(failure()).await;
        odd.agent.send_raw(Message::Ping(Bytes::new())).await;
        let mut last = data(&odd.id, offset, 500);
        last.fin = true;
        odd.agent.send(last).await;
        let answer = odd.viewer.answer().await;
        assert_eq!((answer.status, answer.body), (200, vec![0x5a; 2500]));

        // And the next.
        let mut viewer = beside.session().await.send("GET /next", "").await;
        let id = request(&mut odd.agent).await;
        let mut whole = head(&id, false);
        whole.body = Bytes::from_static(b"next");
        odd.agent.send(whole).await;
        assert_eq!(viewer.answer().await.text(), "next");
        beside.goes_on().await;
    }
}
