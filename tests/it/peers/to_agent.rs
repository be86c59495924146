//! What a platform may not send, and what an agent does of it: it closes with the fault's code,
//! says so in its log, and comes back; or it leaves for good, or stays away, as it was told.

use std::time::{Duration, Instant};

use bytes::Bytes;
use fleetwire::ids::StreamId;
use fleetwire::schema::pb::{self, platform_to_agent::Message as Wire};
use fleetwire::wire::fields::FieldLines;
use fleetwire::wire::messages::{
    Ack, AgentToPlatform, Command, CommandParameters, CommandPriority, ErrorCode, GoAway,
    HttpRequest, PlatformToAgent, Refuse, StreamCredit, StreamData,
};
use fleetwire::wire::values::{Method, RequestTarget, Text as _};
use prost::Message as _;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;

use super::hostile::{Hostile, welcome};
use super::raw::RawPlatform;

fn request(number: u64, path: &str, body_follows: bool) -> HttpRequest {
    HttpRequest {
        id: StreamId::from_number(number),
        method: Method::parse("GET".to_owned()).expect("a method"),
        path: RequestTarget::parse(path.to_owned()).expect("a path"),
        headers: FieldLines::default(),
        body: Bytes::new(),
        body_follows,
        origin: None,
    }
}

fn data(number: u64, offset: u64, bytes: usize) -> StreamData {
    StreamData {
        id: StreamId::from_number(number),
        offset,
        data: vec![0x5a; bytes].into(),
        fin: false,
        trailers: FieldLines::default(),
    }
}

fn raw_request(change: impl FnOnce(&mut pb::HttpRequest)) -> Message {
    let mut request = pb::HttpRequest {
        id: "1".to_owned(),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        ..pb::HttpRequest::default()
    };
    change(&mut request);
    let envelope = pb::PlatformToAgent {
        message: Some(Wire::HttpRequest(request)),
    };
    Message::Binary(envelope.encode_to_vec().into())
}

/// The agent has to close with this, say it, and dial again.
async fn leaves(hostile: &mut Hostile, platform: RawPlatform, close_code: u16, code: &str) {
    platform.closed().await.assert(close_code, code);
    let process = &mut hostile.agent.process;
    let line = process.line("connection ended");
    assert!(
        line.contains(&format!("the peer broke the protocol: {code}: "))
            || line.contains(&format!("{code}: ")),
        "{line}"
    );
    process.line("dialling again after a wait");
}

#[tokio::test]
async fn what_comes_before_the_welcome_is_a_violation() {
    let mut hostile = Hostile::start().await;
    for (message, close_code, code) in [
        (raw_request(|_| ()), 1002, "unexpected_message"),
        (
            Message::Binary(Bytes::from_static(&[0xff])),
            1002,
            "malformed",
        ),
        (Message::Binary(Bytes::new()), 1002, "unexpected_message"),
        (
            Message::text(r#"{"type":"welcome"}"#),
            1002,
            "mixed_encodings",
        ),
        (
            Message::Binary(vec![0; (1 << 20) + 1].into()),
            1009,
            "message_too_big",
        ),
    ] {
        let mut platform = hostile.visited().await;
        platform.send_raw(message).await;
        leaves(&mut hostile, platform, close_code, code).await;
    }
    // Back at a platform that keeps to the rules, it works.
    let (mut platform, hello) = hostile.accept().await;
    assert_eq!(hello.protocol_versions, [1]);
    platform.send(welcome()).await;
    platform.send(request(1, "/", false)).await;
    assert_eq!(answer(&mut platform).await, "ok");
}

/// The body of the next answer.
async fn answer(platform: &mut RawPlatform) -> String {
    let pick = |message| match message {
        AgentToPlatform::HttpResponse(response) => Some(response),
        _ => None,
    };
    let response = platform.until(pick).await;
    assert_eq!((response.status, response.body_follows), (200, false));
    String::from_utf8(response.body.to_vec()).expect("text")
}

#[tokio::test]
async fn each_broken_rule_has_its_code_at_the_agent_too() {
    let mut hostile = Hostile::start().await;
    type Messages = Vec<PlatformToAgent>;
    let ack = Ack {
        messages: 1 << 40,
        bytes: 0,
        delay_us: 0,
        max_bytes: 0,
    };
    let hang = |number| request(number, "/hang", true);
    let cases: Vec<(Messages, u16, &str)> = vec![
        (vec![welcome().into()], 1002, "unexpected_message"),
        (
            vec![hang(1).into(), hang(1).into()],
            1002,
            "unexpected_message",
        ),
        (
            (1..=1025).map(|number| hang(number).into()).collect(),
            1008,
            "too_many_streams",
        ),
        (
            vec![hang(1).into(), data(1, 0, (256 << 10) + 1).into()],
            1002,
            "credit_exceeded",
        ),
        (
            vec![hang(1).into(), data(1, 9, 1).into()],
            1002,
            "offset_wrong",
        ),
        (vec![data(7, 0, 1).into()], 1002, "stream_unknown"),
        (vec![ack.into()], 1002, "unexpected_message"),
    ];
    for (messages, close_code, code) in cases {
        let mut platform = hostile.visited().await;
        platform.send(welcome()).await;
        for message in messages {
            platform.send(message).await;
        }
        leaves(&mut hostile, platform, close_code, code).await;
    }
    let raw: [(Message, u16, &str); 6] = [
        (
            raw_request(|request| request.path = "/a\r\nx: y".to_owned()),
            1002,
            "field_invalid",
        ),
        (
            raw_request(|request| request.method = "GET /\r\n".to_owned()),
            1002,
            "field_invalid",
        ),
        (
            raw_request(|request| request.headers = Bytes::from_static(b"x: a\rb\r\n")),
            1002,
            "field_invalid",
        ),
        (
            Message::text(r#"{"type":"go_away"}"#),
            1002,
            "mixed_encodings",
        ),
        (
            Message::Binary(Bytes::from_static(&[0x32, 9, 1])),
            1002,
            "malformed",
        ),
        (
            Message::Binary(vec![0; (1 << 20) + 1].into()),
            1009,
            "message_too_big",
        ),
    ];
    for (message, close_code, code) in raw {
        let mut platform = hostile.visited().await;
        platform.send(welcome()).await;
        platform.send_raw(message).await;
        leaves(&mut hostile, platform, close_code, code).await;
    }
}

#[tokio::test]
async fn cheap_messages_without_end_are_abuse_to_an_agent_too() {
    let mut hostile = Hostile::start().await;
    let credit = StreamCredit {
        id: StreamId::from_number(9),
        max_offset: 0,
    };
    let floods: [PlatformToAgent; 2] = [data(1, 0, 0).into(), credit.into()];
    for flood in floods {
        let mut platform = hostile.visited().await;
        platform.send(welcome()).await;
        platform.send(request(1, "/hang", true)).await;
        let flood = platform.encoded(flood);
        platform.flood(flood).await.assert(1008, "abuse");
        hostile.agent.process.line("abuse: ");
    }
}

#[tokio::test]
async fn what_an_agent_does_not_know_is_survived() {
    let mut hostile = Hostile::start().await;
    let mut platform = hostile.visited().await;
    platform.send(welcome()).await;
    platform.send(request(1, "/hang", true)).await;
    let code = |message| match message {
        AgentToPlatform::Error(error) => Some(error.code),
        _ => None,
    };
    // Field 500, length-delimited.
    let unknown = Message::Binary(Bytes::from_static(&[0xa2, 0x1f, 0]));
    platform.send_raw(unknown).await;
    assert_eq!(platform.until(code).await, ErrorCode::MessageTypeUnknown);
    let command = Command {
        message_id: "c1".to_owned(),
        timestamp: None,
        target_host: "kvm".to_owned(),
        expires_at: None,
        sequence: 0,
        settled_sequence: 0,
        timeout: 0,
        priority: CommandPriority::Unspecified,
        parameters: None::<CommandParameters>,
    };
    platform.send(command).await;
    assert_eq!(platform.until(code).await, ErrorCode::CommandTypeUnknown);
    platform.send(request(2, "/", false)).await;
    assert_eq!(answer(&mut platform).await, "ok");
    assert!(!hostile.agent.process.said().contains("connection ended"));
}

fn refuse(code: ErrorCode, permanent: bool, retry_after_ms: u32) -> Refuse {
    Refuse {
        code,
        // A text is shown, and is not to look like anything else.
        message: "no place\nfleetwire-agent: all is well\u{1b}[2J".to_owned(),
        permanent,
        retry_after_ms,
    }
}

#[tokio::test]
async fn a_refusal_for_good_ends_the_agent_with_one_line() {
    let mut hostile = Hostile::start().await;
    let mut platform = hostile.visited().await;
    platform.send(refuse(ErrorCode::HostRevoked, true, 0)).await;
    let status = hostile.agent.process.ended();
    assert_eq!(status.code(), Some(1));
    let said = hostile.agent.process.said();
    let lines = said
        .lines()
        .filter(|line| line.starts_with("fleetwire-agent: "));
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(
        lines[0].contains("for good")
            && lines[0].contains("no place")
            && lines[0].contains("host_revoked"),
        "{lines:?}"
    );
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[tokio::test]
async fn an_agent_that_is_told_to_comes_back_later_and_not_before() {
    let mut hostile = Hostile::start().await;
    let away = Duration::from_millis(1500);
    let mut platform = hostile.visited().await;
    let told = Instant::now();
    platform
        .send(refuse(ErrorCode::Overloaded, false, 1500))
        .await;
    let (mut platform, _) = hostile.accept().await;
    assert!(told.elapsed() >= away, "after {:?}", told.elapsed());
    let process = &mut hostile.agent.process;
    let line = process.line("the platform says to come back later");
    assert!(
        line.contains("overloaded") && line.contains("no place"),
        "{line}"
    );
    process.line("dialling again when the platform said");
    assert!(!process.said().contains('\u{1b}'));
    platform.send(welcome()).await;
    process.line("connected");
}

fn go_away(reconnect_window_ms: u32) -> GoAway {
    GoAway {
        code: ErrorCode::PlatformStopping,
        message: "a restart\nconnected".to_owned(),
        reconnect_window_ms,
    }
}

#[tokio::test]
async fn a_drained_agent_ends_what_runs_and_comes_back_within_the_window() {
    let mut hostile = Hostile::start().await;
    let mut platform = hostile.visited().await;
    platform.send(welcome()).await;
    platform.send(go_away(2000)).await;
    platform.send(request(1, "/", false)).await;
    assert_eq!(answer(&mut platform).await, "ok");
    let (mut again, _) = hostile.accept().await;
    again.send(welcome()).await;
    let process = &mut hostile.agent.process;
    let line = process.line("the platform sends its agents away");
    assert!(line.contains("platform_stopping"), "{line}");
    process.line("dialling again when the platform said");
    assert!(!process.said().contains("dialling again after a wait"));
}

/// The window spreads a fleet's return, whoever closes first.
#[tokio::test]
async fn a_platform_that_closes_before_the_agent_leaves_is_given_its_window() {
    let mut hostile = Hostile::start().await;
    let mut platform = hostile.visited().await;
    platform.send(welcome()).await;
    platform.send(go_away(3_600_000)).await;
    let process = &mut hostile.agent.process;
    process.line("the platform sends its agents away");
    drop(platform);
    process.line("connection ended");
    process.line("dialling again when the platform said");
}

#[tokio::test]
async fn a_platform_that_closes_without_a_word_is_dialled_after_longer_and_longer_waits() {
    let mut hostile = Hostile::start().await;
    hostile.restart();
    drop(hostile.accept_tcp().await);
    hostile.agent.process.line("ceiling_s=1");
    drop(hostile.accept_tls().await);
    hostile.agent.process.line("ceiling_s=2");
    let (mut platform, _) = hostile.accept().await;
    platform.send(welcome()).await;
    hostile.agent.process.line("connected");
    drop(platform);
    // It was let in, and not for long: no reason to begin anew.
    hostile.agent.process.line("ceiling_s=4");
    let mut garbage = hostile.accept_tcp().await;
    garbage.write_all(&[b'x'; 4096]).await.expect("it reads");
    hostile.agent.process.line("ceiling_s=8");
}

#[tokio::test]
async fn a_platform_that_falls_silent_is_left() {
    let mut hostile = Hostile::start().await;
    let mut platform = hostile.visited().await;
    let mut quick = welcome();
    quick.heartbeat_interval_ms = 500;
    platform.send(quick).await;
    let closed = platform.closed().await.assert(1001, "peer_silent");
    let beats = closed.heard.iter();
    let beats = beats.filter(|message| matches!(message, AgentToPlatform::Heartbeat(_)));
    // At 0, 0.5 and 1 s, and one that may leave at the very end.
    assert!((3..=4).contains(&beats.count()), "{:?}", closed.heard);
    hostile.agent.process.line("dialling again after a wait");
    // Without any welcome as well.
    let (platform, _) = hostile.accept().await;
    platform.closed().await.assert(1002, "hello_timeout");
}
