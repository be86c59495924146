//! How a connection begins, and how it does not.

use super::{
    Chance, millis,
    pair::{Pair, admission, code, hello, request, response},
    seconds,
    wire::Shape,
};
use crate::{
    ids::StreamId,
    limits,
    link::{
        AgentEvent, Link, Platform, PlatformEvent, Received, StreamError, StreamKey, Terms, Time,
    },
    wire::{
        fields::FieldLines,
        json,
        messages::{ErrorCode, Heartbeat, Limits, PlatformToAgent, Refuse, StreamData, StreamStop},
        values::{RequestTarget, Text},
    },
};
use bytes::Bytes;

fn silent() -> Pair {
    Pair::silent(Shape::delay_only(millis(20)), hello(), 1)
}

fn stop() -> StreamStop {
    StreamStop {
        id: StreamId::from_number(1),
        code: ErrorCode::Cancelled,
    }
}

fn heartbeat() -> Heartbeat {
    Heartbeat {
        uptime_seconds: Some(1),
        cpu_percent: None,
        memory_percent: None,
        disk_percent: None,
        load_1m: None,
        temperature_celsius: None,
        sent_us: None,
        round_trip_us: None,
    }
}

#[test]
fn an_agent_is_let_in_and_knows_the_terms() {
    let mut pair = silent();
    pair.agent.sent = Some(Vec::new());
    let until = pair.now + seconds(1);
    pair.run_until(until, &mut |pair| {
        pair.admit();
        false
    });
    assert!(pair.agent.link.is_open() && pair.platform.link.is_open());
    assert!(matches!(
        pair.agent.events.front(),
        Some(AgentEvent::Welcome(_))
    ));
    let names: Vec<_> = pair
        .agent
        .sent
        .iter()
        .flatten()
        .map(|(_, name)| *name)
        .collect();
    assert_eq!(names, ["hello", "heartbeat"]);
    // Its first heartbeat was answered: both know the round trip.
    assert_eq!(pair.agent.link.round_trip(), Some(millis(20)));
}

#[test]
fn an_agent_says_what_its_own_link_takes_in() {
    let mut hello = hello();
    hello.limits = Some(Limits {
        max_message_bytes: 1,
        max_streams: 2,
        initial_stream_credit: 1000,
        initial_session_credit: 1500,
    });
    let mut pair = Pair::silent(Shape::delay_only(millis(20)), hello, 1);
    pair.greet();
    assert_eq!(pair.platform.link.peer_terms(), Terms::default());
}

#[test]
fn a_platform_keeps_to_the_limits_of_the_agent() {
    let now = Time::default();
    let mut link = Link::<Platform>::accept(now);
    let mut hello = hello();
    hello.limits = Some(Limits {
        max_message_bytes: 0,
        max_streams: 2,
        initial_stream_credit: 1000,
        initial_session_credit: 1500,
    });
    link.handle(hello.into(), now).expect("a hello");
    link.admit(admission(), now);
    for _ in 0..2 {
        let key = link.open(request("", true), now).unwrap();
        link.send_data(key, vec![0; 5000].into(), now).unwrap();
    }
    let more = link.open(request("", false), now);
    assert_eq!(more, Err(StreamError::TooManyStreams));
    let sent = std::iter::from_fn(|| link.poll_transmit(now));
    let mut pieces: Vec<_> = sent
        .filter_map(|message| match message {
            PlatformToAgent::StreamData(piece) => Some(piece.data.len()),
            _ => None,
        })
        .collect();
    pieces.sort_unstable();
    assert_eq!(pieces, [500, 1000]);
}

#[test]
fn a_message_limit_is_taken_as_offered_or_refused() {
    let least = limits::MESSAGE_BYTES_MIN as u32;
    let most = limits::MESSAGE_BYTES_MAX;
    for (offered, agreed) in [
        (0, Some(most)),
        (1, None),
        (least - 1, None),
        (least, Some(limits::MESSAGE_BYTES_MIN)),
        (16 << 20, Some(most)),
    ] {
        let mut link = Link::<Platform>::accept(Time::default());
        let mut hello = hello();
        hello.limits = Some(Limits {
            max_message_bytes: offered,
            ..Terms::default().to_message()
        });
        let taken = link.handle(hello.into(), Time::default());
        let Some(agreed) = agreed else {
            let code = taken.map_err(|violation| violation.code);
            assert_eq!(code, Err(ErrorCode::FieldInvalid), "{offered}");
            continue;
        };
        assert_eq!(taken, Ok(()), "{offered}");
        link.admit(admission(), Time::default());
        assert_eq!(link.peer_terms().message_bytes_max, agreed);
    }
}

#[test]
fn an_agent_that_takes_no_text_of_full_length_gets_no_streams_in_json() {
    let least = limits::MESSAGE_BYTES_MIN_JSON as u32;
    for (offered, versions, taken) in [
        (least - 1, vec![1], false),
        (least, vec![1], true),
        (0, vec![1], true),
        // What it is sent is measured first.
        (limits::MESSAGE_BYTES_MIN as u32, vec![], true),
    ] {
        let mut link = Link::<Platform>::accept(Time::default()).expect_json();
        let mut hello = hello();
        hello.protocol_versions = versions;
        hello.limits = Some(Limits {
            max_message_bytes: offered,
            ..Terms::default().to_message()
        });
        let result = link.handle(hello.into(), Time::default());
        assert_eq!(result.is_ok(), taken, "{offered}");
        if let Err(violation) = result {
            assert_eq!(violation.code, ErrorCode::FieldInvalid);
            // All of it has a place in a close frame, and in a message that says not to try again.
            assert!(violation.text.len() <= 123, "{}", violation.text.len());
            let refuse = link.poll_transmit(Time::default());
            let Some(PlatformToAgent::Refuse(refuse)) = refuse else {
                panic!("{refuse:?}");
            };
            assert!(refuse.permanent && refuse.message == violation.text);
        }
    }
}

/// What takes the most text for its bytes: controls in bodies, quotation marks and Latin letters in
/// heads, in as many fields as there may be.
#[test]
fn the_longest_messages_of_a_stream_fit_the_least_limit_of_a_json_agent() {
    let limits::FieldLimits { bytes, count } = limits::FIELDS;
    for byte in [b'"', 0xff] {
        let line = [&b"a:"[..], &vec![byte; bytes / count - 4], b"\r\n"].concat();
        let mut lines = line.repeat(count);
        lines.truncate(lines.len() - 2);
        lines.resize(bytes - 2, byte);
        lines.extend_from_slice(b"\r\n");
        let fields = FieldLines::parse(lines.into(), limits::FIELDS).expect("fields");
        let mut head = request(vec![1; limits::INLINE_BODY_BYTES_MAX], true);
        head.id = StreamId::from_number(u64::MAX);
        head.path = RequestTarget::parse(format!("/{}", "\"".repeat((32 << 10) - 1))).unwrap();
        head.headers = fields.clone();
        let piece = StreamData {
            id: StreamId::from_number(u64::MAX),
            offset: u64::MAX,
            data: vec![1; limits::DATA_BYTES_MAX].into(),
            fin: true,
            trailers: fields,
        };
        let lengths = [
            json::length(PlatformToAgent::from(head)),
            json::length(PlatformToAgent::from(piece)),
        ];
        let [head, piece] = lengths;
        assert!(head <= piece, "{lengths:?}");
        let most = limits::MESSAGE_BYTES_MIN_JSON;
        assert!((most - (8 << 10)..=most).contains(&piece), "{lengths:?}");
    }
}

#[test]
fn a_refused_agent_is_told_why_and_both_ends_are_closed() {
    let mut pair = silent();
    let until = pair.now + seconds(1);
    pair.run_until(until, &mut |pair| {
        if pair.platform.events.pop_front().is_some() {
            pair.platform.link.refuse(Refuse {
                code: ErrorCode::HostRevoked,
                message: "no more".into(),
                permanent: true,
                retry_after_ms: 0,
            });
        }
        false
    });
    let Some(AgentEvent::Refuse(refuse)) = pair.agent.events.front() else {
        panic!("{:?}", pair.agent.events);
    };
    assert_eq!(
        (refuse.code, refuse.permanent),
        (ErrorCode::HostRevoked, true)
    );
    assert!(pair.agent.link.is_closed() && pair.platform.link.is_closed());
    // A decision that comes too late changes nothing.
    pair.platform.link.admit(admission(), pair.now);
    assert!(pair.platform.link.is_closed());
}

#[test]
fn an_agent_of_another_version_is_refused() {
    let mut hello = hello();
    hello.protocol_versions = vec![2, 7];
    let mut pair = Pair::silent(Shape::delay_only(millis(20)), hello, 1);
    pair.run(seconds(1));
    assert_eq!(code(&pair.platform), Some(ErrorCode::VersionUnsupported));
    assert!(matches!(
        pair.agent.events.front(),
        Some(AgentEvent::Refuse(Refuse {
            code: ErrorCode::VersionUnsupported,
            permanent: true,
            ..
        }))
    ));
}

#[test]
fn an_agent_that_knows_more_versions_is_let_in() {
    let mut hello = hello();
    hello.protocol_versions = vec![3, 2, 1];
    let mut pair = Pair::silent(Shape::delay_only(millis(20)), hello, 1);
    pair.greet();
}

#[test]
fn a_hello_that_does_not_come_is_waited_for_ten_seconds() {
    let mut pair = silent();
    let begun = pair.now;
    pair.cut();
    pair.run(seconds(30));
    for failed in [&pair.agent.failed, &pair.platform.failed] {
        let (at, violation) = failed.as_ref().expect("nobody waits for ever");
        assert_eq!(at.since(begun), seconds(10));
        assert_eq!(violation.code, ErrorCode::HelloTimeout);
    }
}

#[test]
fn any_other_first_message_ends_the_connection() {
    let mut pair = silent();
    pair.forge(heartbeat());
    pair.run(seconds(1));
    assert_eq!(code(&pair.platform), Some(ErrorCode::UnexpectedMessage));

    let mut pair = silent();
    // Field 500, which no schema of this version names.
    pair.forge_bytes(&[0xa2, 0x1f, 0]);
    pair.run(seconds(1));
    assert_eq!(code(&pair.platform), Some(ErrorCode::UnexpectedMessage));

    let mut pair = silent();
    pair.forge_down(stop());
    pair.run(seconds(1));
    assert_eq!(code(&pair.agent), Some(ErrorCode::UnexpectedMessage));
}

#[test]
fn a_second_hello_ends_the_connection() {
    let mut pair = Pair::open(Shape::delay_only(millis(20)), 1);
    pair.forge(hello());
    pair.run(seconds(1));
    assert_eq!(code(&pair.platform), Some(ErrorCode::UnexpectedMessage));
}

#[test]
fn what_the_program_would_say_too_early_is_refused() {
    let mut pair = silent();
    assert_eq!(
        pair.agent.link.send(heartbeat()),
        Err(StreamError::ConnectionLost)
    );
    pair.greet();
}

/// A peer that knows only the messages of the first seed, in JSON.
fn whole() -> Pair {
    let mut hello = hello();
    hello.protocol_versions = Vec::new();
    let mut pair = Pair::silent(Shape::delay_only(millis(20)), hello, 1);
    let until = pair.now + seconds(1);
    pair.run_until(until, &mut |pair| {
        pair.admit();
        pair.platform.link.is_open()
    });
    // Its end is no link of ours.
    pair.agent.frozen = true;
    pair.platform.sent = Some(Vec::new());
    pair
}

#[test]
fn a_json_peer_is_sent_whole_requests_and_nothing_else() {
    let mut pair = whole();
    let now = pair.now;
    let key = pair.platform.link.open(request("be", true), now).unwrap();
    assert_eq!(pair.platform.link.has_room(key), Ok(true));
    pair.platform
        .link
        .send_data(key, "gin".into(), now)
        .unwrap();
    pair.run(millis(50));
    assert_eq!(pair.platform.sent, Some(Vec::new()), "it waits for the end");
    let now = pair.now;
    pair.platform.link.finish(key, Default::default(), now);
    pair.run(seconds(30));
    let names: Vec<_> = pair
        .platform
        .sent
        .iter()
        .flatten()
        .map(|(_, name)| *name)
        .collect();
    assert_eq!(names, ["http_request"]);
    let mut answer = response(200, "whole", false);
    answer.id = StreamId::from_number(1);
    let now = pair.now;
    pair.platform
        .link
        .handle(answer.clone().into(), now)
        .unwrap();
    assert_eq!(
        pair.platform.link.read_head(key).unwrap().unwrap().status,
        200
    );
    assert_eq!(
        pair.platform.link.read(key, now),
        Received::Data("whole".into())
    );
    assert_eq!(pair.platform.link.read(key, now), Received::End);
    pair.platform.link.release_send(key);
    pair.platform.link.release_recv(key, now);
    pair.run(millis(1));
    assert_eq!(pair.platform.link.stream_count(), 0);
    // An answer that nobody waits for is let go.
    pair.platform.link.handle(answer.into(), now).unwrap();
}

#[test]
fn a_json_peer_that_does_not_answer_holds_no_stream() {
    let mut pair = whole();
    for _ in 0..5000 {
        let now = pair.now;
        let key = pair.platform.link.open(request("", false), now).unwrap();
        pair.run(millis(1));
        let now = pair.now;
        pair.platform.link.release_send(key);
        pair.platform.link.release_recv(key, now);
    }
    pair.run(millis(1));
    assert_eq!(pair.platform.link.stream_count(), 0);
}

/// Sends a body of that many such bytes in pieces, and ends it: what became of the pieces, and what
/// waits for the answer.
fn send_whole(pair: &mut Pair, byte: u8, bytes: usize) -> (Result<(), StreamError>, StreamKey) {
    let (link, now) = (&mut pair.platform.link, pair.now);
    let key = link.open(request("", true), now).unwrap();
    let body = Bytes::from(vec![byte; bytes]);
    for begin in (0..bytes).step_by(10_000) {
        assert_eq!(link.has_room(key), Ok(true));
        let piece = body.slice(begin..bytes.min(begin + 10_000));
        if let Err(error) = link.send_data(key, piece, now) {
            return (Err(error), key);
        }
    }
    link.finish(key, Default::default(), now);
    (Ok(()), key)
}

#[test]
fn a_body_too_long_for_a_json_peer_is_refused_and_not_waited_for() {
    let mut pair = whole();
    // As base64, as text, and as text all of whose characters are escaped: what came to too much
    // along the way, and what does at its end.
    for (byte, bytes, refused) in [
        (0xff, 900_000, true),
        (b'x', 1_100_000, true),
        (0, 300_000, false),
        (0, 900_000, true),
    ] {
        let (sent, key) = send_whole(&mut pair, byte, bytes);
        assert_eq!(sent == Err(StreamError::TooBig), refused, "{sent:?}");
        let now = pair.now;
        let answer = pair.platform.link.read_head(key);
        assert_eq!(answer, Some(Err(StreamError::TooBig)));
        pair.platform.link.release_send(key);
        pair.platform.link.release_recv(key, now);
        pair.run(millis(1));
        assert_eq!(pair.platform.link.stream_count(), 0);
        assert_eq!(pair.platform.link.queued, 0);
    }
    assert_eq!(pair.platform.sent, Some(Vec::new()));
}

#[test]
fn the_longest_body_for_a_json_peer_fills_a_message() {
    let mut pair = whole();
    for (byte, bytes_of_text) in [(0xff_u8, 4.0 / 3.0), (b'x', 1.0), (b'"', 2.0), (0, 6.0)] {
        let bytes = ((limits::MESSAGE_BYTES_MAX - 200) as f64 / bytes_of_text) as usize;
        let (sent, _) = send_whole(&mut pair, byte, bytes);
        assert_eq!(sent, Ok(()));
        let message = pair.platform.link.poll_transmit(pair.now);
        let length = json::length(message.expect("it is whole"));
        assert!(
            (limits::MESSAGE_BYTES_MAX - 200..=limits::MESSAGE_BYTES_MAX).contains(&length),
            "{byte}: {length}"
        );
    }
}

#[test]
fn a_head_too_long_for_a_json_peer_is_not_begun() {
    let now = Time::default();
    let mut link = Link::<Platform>::accept(now);
    let mut hello = hello();
    hello.protocol_versions = Vec::new();
    hello.limits = Some(Limits {
        max_message_bytes: limits::MESSAGE_BYTES_MIN as u32,
        ..Terms::default().to_message()
    });
    link.handle(hello.into(), now).expect("a hello");
    link.admit(admission(), now);
    let mut head = request("", false);
    // Each quotation mark takes two characters.
    let quotes = "\"".repeat(32 << 10);
    head.path = RequestTarget::parse(format!("/{}", &quotes[1..])).unwrap();
    assert!(link.open(head.clone(), now).is_ok());
    let lines = format!("a:{quotes}\r\n");
    head.headers = FieldLines::parse(lines.into(), limits::FIELDS).unwrap();
    assert_eq!(link.open(head, now), Err(StreamError::TooBig));
}

#[test]
fn unread_answers_of_a_json_peer_have_a_bound() {
    let mut pair = whole();
    let mut chance = Chance(1);
    let mut keys = Vec::new();
    for number in 1..=100_u64 {
        let now = pair.now;
        keys.push(pair.platform.link.open(request("", false), now).unwrap());
        pair.run(millis(1));
        let mut answer = response(200, vec![0; 900_000 + chance.below(1000) as usize], false);
        answer.id = StreamId::from_number(number);
        pair.platform.link.handle(answer.into(), pair.now).unwrap();
    }
    assert!(pair.platform.link.window.unread() <= limits::SESSION_WINDOW_MAX);
    // Somebody needs the room of those who do not read.
    pair.run(seconds(6));
    let key = pair
        .platform
        .link
        .open(request("", false), pair.now)
        .unwrap();
    pair.run(millis(1));
    let mut answer = response(200, vec![0; 900_000], false);
    answer.id = StreamId::from_number(101);
    pair.platform.link.handle(answer.into(), pair.now).unwrap();
    let now = pair.now;
    let link = &mut pair.platform.link;
    assert_eq!(link.drain(key, now, |_| ()), Ok(true));
    let ends: Vec<_> = keys
        .iter()
        .map(|&key| link.drain(key, now, |_| ()))
        .collect();
    let count = |end| ends.iter().filter(|&other| *other == end).count();
    assert!((20..30).contains(&count(Ok(true))), "{ends:?}");
    assert!(count(Err(StreamError::Unread)) >= 9, "{ends:?}");
    assert_eq!(ends.last(), Some(&Err(StreamError::AnswerTooBig)));
    assert_eq!(link.window.unread(), 0);
    assert!(
        !pair
            .platform
            .events
            .iter()
            .any(|event| matches!(event, PlatformEvent::Error(_)))
    );
}
