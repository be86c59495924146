//! How a connection begins, and how it does not.

use super::{
    Chance, millis,
    pair::{Pair, admission, code, hello, request, response},
    seconds,
    wire::Shape,
};
use crate::{
    ids::StreamId,
    link::{AgentEvent, PlatformEvent, Received, StreamError},
    wire::messages::{ErrorCode, Heartbeat, Limits, Refuse, StreamStop},
};

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
fn the_lower_limits_hold() {
    let mut pair = silent();
    pair.run(millis(5));
    let mut hello = hello();
    hello.limits = Some(Limits {
        max_message_bytes: 1,
        max_streams: 2,
        initial_stream_credit: 1000,
        initial_session_credit: 1500,
    });
    let mut pair = Pair::silent(Shape::delay_only(millis(20)), hello, 1);
    // The link sets the agent's own limits; what it says is what the platform obeys.
    pair.greet();
    assert_eq!(
        pair.platform.link.peer_terms(),
        crate::link::Terms::default()
    );
    for _ in 0..pair.platform.link.peer_terms().streams_max {
        pair.platform
            .link
            .open(request("", false), pair.now)
            .unwrap();
    }
    let more = pair.platform.link.open(request("", false), pair.now);
    assert_eq!(more, Err(StreamError::TooManyStreams));
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

#[test]
fn a_body_too_long_for_a_json_peer_is_refused_and_not_waited_for() {
    let mut pair = whole();
    let now = pair.now;
    let key = pair.platform.link.open(request("", true), now).unwrap();
    let mut taken = 0;
    let refused = loop {
        assert_eq!(pair.platform.link.has_room(key), Ok(true));
        let piece = vec![0; 10_000];
        match pair.platform.link.send_data(key, piece.into(), now) {
            Ok(()) => taken += 10_000,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, StreamError::TooBig);
    assert!(taken > 500_000);
    pair.platform.link.release_send(key);
    pair.platform.link.release_recv(key, now);
    pair.run(millis(1));
    assert_eq!(pair.platform.link.stream_count(), 0);
    assert_eq!(pair.platform.link.queued, 0);
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
    let now = pair.now;
    assert!(pair.platform.link.window.unread() <= crate::limits::SESSION_WINDOW_MAX);
    let link = &mut pair.platform.link;
    let ends: Vec<_> = keys
        .iter()
        .map(|&key| link.drain(key, now, |_| ()))
        .collect();
    assert_eq!(ends.first(), Some(&Ok(true)));
    assert_eq!(ends.last(), Some(&Err(StreamError::TooBig)));
    assert_eq!(link.window.unread(), 0);
    assert!(
        !pair
            .platform
            .events
            .iter()
            .any(|event| matches!(event, PlatformEvent::Error(_)))
    );
}
