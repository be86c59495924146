//! The first message of an agent: whose it must be, how long, how soon, and what follows when not.

use fleetwire::ids::Uuid;
use fleetwire::schema::pb;
use fleetwire::wire::Encoding;
use fleetwire::wire::messages::{ErrorCode, Hello, Limits, PlatformToAgent};
use prost::Message as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::beside::{Beside, HOST, device_token};
use super::raw::{Closed, RawAgent, hello, upgrade};
use crate::support::{Platform, until_status};

const BOTH: [Encoding; 2] = [Encoding::Binary, Encoding::Json];

async fn refused(beside: &mut Beside, hello: Hello, code: ErrorCode) {
    for encoding in BOTH {
        let mut agent = RawAgent::connect(beside.platform(), encoding).await;
        agent.send(hello.clone()).await;
        let closed = agent.closed().await.assert(1008, &code.to_string());
        match &closed.heard[..] {
            [PlatformToAgent::Refuse(refuse)] => {
                assert_eq!(refuse.code, code);
                assert!(refuse.permanent && !refuse.message.is_empty());
            }
            other => panic!("no refusal alone: {other:?}"),
        }
    }
    beside.settled().await;
}

#[tokio::test]
async fn who_may_not_come_in_is_told_why_and_that_it_is_for_good() {
    let mut beside = Beside::start().await;
    let token = beside.token.clone();
    let mut wrong = token.clone();
    let last = if wrong.pop() == Some('A') { 'B' } else { 'A' };
    wrong.push(last);
    refused(&mut beside, hello(&wrong), ErrorCode::TokenUnknown).await;
    // Other secrets of the same platform are no device tokens.
    let enrolment = beside.platform().enrolment_token(&[]);
    refused(&mut beside, hello(&enrolment), ErrorCode::TokenUnknown).await;
    let admin = beside.platform().admin_token();
    refused(&mut beside, hello(&admin), ErrorCode::TokenUnknown).await;
    let mut other_host = hello(&token);
    other_host.host_id = Some(Uuid::from_u128(7));
    refused(&mut beside, other_host, ErrorCode::HostMismatch).await;
    let mut later = hello(&token);
    later.protocol_versions = vec![2, 3];
    refused(&mut beside, later, ErrorCode::VersionUnsupported).await;
    let said = beside.platform().process.said();
    for secret in [&token, &wrong, &enrolment, &admin] {
        assert!(!said.contains(secret.as_str()), "a secret was logged");
    }

    let mut both = hello(&token);
    both.protocol_versions = vec![7, 1];
    let mut agent = RawAgent::connect(beside.platform(), Encoding::Binary).await;
    agent.send(both).await;
    assert_eq!(agent.welcome().await.protocol_version, 1);
}

/// What its streams may be sent as text cannot be cut: it is told to raise its limit, or to be binary.
#[tokio::test]
async fn a_json_agent_with_streams_takes_messages_that_are_long_enough() {
    let mut beside = Beside::start().await;
    let mut short = hello(&beside.token);
    short.limits = Some(Limits {
        max_message_bytes: 256 << 10,
        max_streams: 0,
        initial_stream_credit: 0,
        initial_session_credit: 0,
    });
    for subprotocol in [Some("fleetwire.link.v1.json"), None] {
        let (socket, _) = upgrade(beside.platform(), "", subprotocol, &[])
            .await
            .expect("upgraded");
        let mut agent = RawAgent::new(socket, Encoding::Json);
        agent.send(short.clone()).await;
        let closed = agent.closed().await.assert(1002, "field_invalid");
        match &closed.heard[..] {
            [PlatformToAgent::Refuse(refuse)] => {
                assert!(refuse.permanent && refuse.message.contains("raise it"));
            }
            other => panic!("no refusal alone: {other:?}"),
        }
    }
    beside.settled().await;
    let mut agent = RawAgent::connect(beside.platform(), Encoding::Binary).await;
    agent.send(short).await;
    agent.welcome().await;
}

/// Sends this as the first messages.
async fn first(beside: &Beside, messages: Vec<Message>) -> Closed<PlatformToAgent> {
    let binary = !matches!(messages[0], Message::Text(_));
    let encoding = if binary {
        Encoding::Binary
    } else {
        Encoding::Json
    };
    let mut agent = RawAgent::connect(beside.platform(), encoding).await;
    for message in messages {
        agent.send_raw(message).await;
    }
    agent.closed().await
}

fn data(bytes: Vec<u8>, last: bool) -> Message {
    Message::Frame(Frame::message(bytes, OpCode::Data(Data::Binary), last))
}

fn more(bytes: Vec<u8>) -> Message {
    Message::Frame(Frame::message(bytes, OpCode::Data(Data::Continue), false))
}

#[tokio::test]
async fn a_first_message_that_is_no_hello_is_a_violation() {
    let mut beside = Beside::start().await;
    let hello = |auth_token: &str| pb::AgentToPlatform {
        message: Some(pb::agent_to_platform::Message::Hello(pb::Hello {
            auth_token: auth_token.to_owned(),
            ..pb::Hello::default()
        })),
    };
    let long = "x".repeat(17 << 10);
    let cases = [
        // An unknown type (field 500), a heartbeat, nonsense, nothing.
        (vec![binary(&[0xa2, 0x1f, 0])], 1002, "unexpected_message"),
        (vec![binary(&[0x12, 0])], 1002, "unexpected_message"),
        (vec![binary(&[0xff])], 1002, "malformed"),
        (vec![binary(&[])], 1002, "unexpected_message"),
        (
            vec![binary(&hello("").encode_to_vec())],
            1002,
            "field_invalid",
        ),
        (
            vec![binary(&hello(&"x".repeat(257)).encode_to_vec())],
            1002,
            "field_invalid",
        ),
        (
            vec![text(r#"{"type":"heartbeat"}"#)],
            1002,
            "unexpected_message",
        ),
        (
            vec![text(r#"{"type":"nonsense"}"#)],
            1002,
            "unexpected_message",
        ),
        (vec![text(r#"{"type":"hello"}"#)], 1002, "field_invalid"),
        (
            vec![text(r#"{"type":"hello","auth_token":7}"#)],
            1002,
            "malformed",
        ),
        (vec![text("hello")], 1002, "malformed"),
        // Too long: whole, in fragments, as pings, and as no more than a frame's head says.
        (
            vec![binary(&hello(&long).encode_to_vec())],
            1009,
            "message_too_big",
        ),
        (
            vec![text(&format!(r#"{{"auth_token":"{long}"}}"#))],
            1009,
            "message_too_big",
        ),
        (
            std::iter::once(data(vec![0; 1 << 10], false))
                .chain((0..16).map(|_| more(vec![0; 1 << 10])))
                .collect(),
            1009,
            "message_too_big",
        ),
        (
            (0..256)
                .map(|_| Message::Ping(vec![0; 100].into()))
                .collect(),
            1009,
            "message_too_big",
        ),
        (vec![binary(&vec![0; 2 << 20])], 1009, "message_too_big"),
    ];
    for (messages, close_code, code) in cases {
        let closed = first(&beside, messages).await.assert(close_code, code);
        assert_eq!(closed.heard.len(), 0, "{:?}", closed.heard);
        beside.goes_on().await;
    }
    beside.settled().await;
}

fn binary(bytes: &[u8]) -> Message {
    Message::Binary(bytes.to_vec().into())
}

fn text(text: &str) -> Message {
    Message::text(text)
}

#[tokio::test]
async fn who_says_nothing_is_sent_away() {
    let mut beside = Beside::start().await;
    let silent = RawAgent::connect(beside.platform(), Encoding::Binary).await;
    let slow = RawAgent::connect(beside.platform(), Encoding::Json).await;
    for agent in [silent, slow] {
        agent.closed().await.assert(1002, "hello_timeout");
    }
    beside.settled().await;
}

#[tokio::test]
async fn who_comes_in_during_a_stop_is_sent_away() {
    // Longer than the test takes: the connection has its time.
    let settings = [("FLEETWIRE_PLATFORM_DRAIN", "60s")];
    let mut platform = Platform::start_with(&[], &settings);
    let token = device_token(&platform, HOST);
    let mut agent = RawAgent::connect(&platform, Encoding::Binary).await;
    platform.process.signal("TERM");
    platform.process.line("stopping");
    agent.send(hello(&token)).await;
    let pick = |message| match message {
        PlatformToAgent::GoAway(go_away) => Some(go_away.code),
        _ => None,
    };
    assert_eq!(agent.until(pick).await, ErrorCode::PlatformStopping);
    drop(agent);
    assert!(platform.process.ended().success());
}

#[tokio::test]
async fn a_second_hello_is_a_violation() {
    let mut beside = Beside::start().await;
    for encoding in BOTH {
        let mut agent = beside.agent(encoding).await;
        agent.send(hello(&beside.token)).await;
        agent.closed().await.assert(1002, "unexpected_message");
        // Before the first is answered, too.
        let mut agent = RawAgent::connect(beside.platform(), encoding).await;
        agent.send(hello(&beside.token)).await;
        agent.send(hello(&beside.token)).await;
        agent.closed().await.assert(1002, "unexpected_message");
    }
    beside.settled().await;
}

#[tokio::test]
async fn a_newer_connection_takes_the_place_of_the_one_before() {
    let mut beside = Beside::start().await;
    for encoding in BOTH {
        let mut earlier = beside.agent(encoding).await;
        until_status(beside.platform(), HOST, "online");
        let later = beside.agent(encoding).await;
        let pick = |message| match message {
            PlatformToAgent::GoAway(go_away) => Some(go_away.code),
            _ => None,
        };
        assert_eq!(earlier.until(pick).await, ErrorCode::Replaced);
        earlier.closed().await.assert(1001, "replaced");
        // The one that left took nothing of the other's with it.
        beside.goes_on().await;
        until_status(beside.platform(), HOST, "online");
        drop(later);
        beside.settled().await;
    }
}
