//! Peers that break the protocol, and what it costs them: the connection, and nobody else.

use super::{
    millis,
    pair::{Pair, code, request, response},
    seconds,
    wire::Shape,
};
use crate::{
    ids::StreamId,
    limits,
    link::{AgentEvent, PlatformEvent, StreamKey},
    wire::{
        fields::FieldLines,
        messages::{Ack, ErrorCode, StreamCredit, StreamData, StreamReset},
    },
};
use bytes::Bytes;

/// The stream that the platform opens first.
pub(super) const FIRST: u64 = 1;

pub(super) fn id(number: u64) -> StreamId {
    StreamId::from_number(number)
}

pub(super) fn data(stream: u64, offset: u64, length: usize, fin: bool) -> StreamData {
    StreamData {
        id: id(stream),
        offset,
        data: vec![0; length].into(),
        fin,
        trailers: FieldLines::default(),
    }
}

pub(super) fn credit(stream: u64, max_offset: u64) -> StreamCredit {
    StreamCredit {
        id: id(stream),
        max_offset,
    }
}

pub(super) fn reset(stream: u64, final_offset: u64) -> StreamReset {
    StreamReset {
        id: id(stream),
        code: ErrorCode::Cancelled,
        final_offset,
        message: String::new(),
    }
}

/// A pair with one stream whose answer has begun.
pub(super) fn answered() -> (Pair, StreamKey, StreamKey) {
    let mut pair = Pair::open(Shape::delay_only(millis(2)), 1);
    let (platform, agent) = pair.exchange(request("", true));
    let now = pair.now;
    pair.agent
        .link
        .send_head(agent, response(200, "", true), now)
        .unwrap();
    pair.run(millis(10));
    (pair, platform, agent)
}

/// What the platform makes of messages that an agent's link would not send.
pub(super) fn from_agent(forge: impl FnOnce(&mut Pair)) -> Option<ErrorCode> {
    let (mut pair, ..) = answered();
    forge(&mut pair);
    pair.run(seconds(1));
    code(&pair.platform)
}

/// What the agent makes of messages that a platform's link would not send.
pub(super) fn from_platform(forge: impl FnOnce(&mut Pair)) -> Option<ErrorCode> {
    let (mut pair, ..) = answered();
    forge(&mut pair);
    pair.run(seconds(1));
    code(&pair.agent)
}

#[test]
fn bytes_of_a_stream_that_nobody_opened_are_a_violation() {
    let unknown = Some(ErrorCode::StreamUnknown);
    assert_eq!(
        from_agent(|pair| pair.forge(data(99, 0, 1, false))),
        unknown
    );
    assert_eq!(from_agent(|pair| pair.forge(reset(99, 0))), unknown);
    assert_eq!(
        from_platform(|pair| pair.forge_down(data(99, 0, 1, false))),
        unknown
    );
    let head = || {
        let mut head = response(200, "", false);
        head.id = id(99);
        head
    };
    assert_eq!(from_agent(|pair| pair.forge(head())), unknown);
}

#[test]
fn a_piece_out_of_place_is_a_violation() {
    let wrong = Some(ErrorCode::OffsetWrong);
    for offset in [1, u64::MAX] {
        assert_eq!(
            from_agent(|pair| pair.forge(data(FIRST, offset, 9, false))),
            wrong
        );
        assert_eq!(
            from_platform(|pair| pair.forge_down(data(FIRST, offset, 9, true))),
            wrong
        );
        assert_eq!(from_agent(|pair| pair.forge(reset(FIRST, offset))), wrong);
    }
}

#[test]
fn more_than_the_credit_of_a_stream_is_a_violation() {
    let whole = |pair: &mut Pair, extra: usize| {
        let mut offset = 0;
        while offset < limits::STREAM_CREDIT_INITIAL {
            pair.forge(data(FIRST, offset, 16 << 10, false));
            offset += 16 << 10;
        }
        if extra > 0 {
            pair.forge(data(FIRST, offset, extra, false));
        }
    };
    // Nobody reads: no more is granted.
    assert_eq!(from_agent(|pair| whole(pair, 0)), None);
    assert_eq!(
        from_agent(|pair| whole(pair, 1)),
        Some(ErrorCode::CreditExceeded)
    );
}

#[test]
fn more_than_the_credit_of_all_streams_is_a_violation() {
    let mut pair = Pair::open(Shape::delay_only(millis(2)), 1);
    for _ in 0..8 {
        let (_, agent) = pair.exchange(request("", true));
        let now = pair.now;
        pair.agent
            .link
            .send_head(agent, response(200, "", true), now)
            .unwrap();
    }
    pair.run(millis(10));
    // No stream has more than its own, but together they do. All of it is in flight at once, so
    // that no acknowledgement can raise what is allowed.
    for stream in 1..=8 {
        for piece in 0..8 {
            pair.forge(data(stream, piece * (32 << 10), 32 << 10, false));
        }
    }
    pair.platform.frozen = true;
    pair.run(millis(1));
    pair.platform.frozen = false;
    let now = pair.now;
    let granted = pair.platform.link.window.granted();
    assert_eq!(granted, limits::SESSION_CREDIT_INITIAL);
    while code(&pair.platform).is_none() && pair.platform.take_one(&mut pair.agent, now) {}
    assert_eq!(code(&pair.platform), Some(ErrorCode::CreditExceeded));
    assert!(pair.platform.link.window.unread() <= granted);
}

#[test]
fn nothing_may_follow_an_end() {
    let after = Some(ErrorCode::UnexpectedMessage);
    let end = |pair: &mut Pair| pair.forge(data(FIRST, 0, 0, true));
    assert_eq!(from_agent(end), None);
    assert_eq!(
        from_agent(|pair| {
            end(pair);
            pair.forge(data(FIRST, 0, 1, false));
        }),
        after
    );
    assert_eq!(
        from_agent(|pair| {
            end(pair);
            pair.forge(reset(FIRST, 0));
        }),
        after
    );
    let head = || {
        let mut head = response(200, "", true);
        head.id = id(FIRST);
        head
    };
    assert_eq!(from_agent(|pair| pair.forge(head())), after);
}

#[test]
fn a_stream_opened_twice_or_too_many_are_a_violation() {
    let open = |number: u64| {
        let mut request = request("", true);
        request.id = id(number);
        request
    };
    assert_eq!(
        from_platform(|pair| pair.forge_down(open(FIRST))),
        Some(ErrorCode::UnexpectedMessage)
    );
    let many = |pair: &mut Pair, count: u64| {
        (0..count).for_each(|number| pair.forge_down(open(1000 + number)));
    };
    let allowed = limits::STREAMS_MAX as u64 - 1;
    assert_eq!(from_platform(|pair| many(pair, allowed)), None);
    assert_eq!(
        from_platform(|pair| many(pair, allowed + 1)),
        Some(ErrorCode::TooManyStreams)
    );
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_a_violation() {
    let ack = |messages, bytes| Ack {
        messages,
        bytes,
        delay_us: u32::MAX,
        max_bytes: u64::MAX,
    };
    let unexpected = Some(ErrorCode::UnexpectedMessage);
    assert_eq!(from_agent(|pair| pair.forge(ack(0, u64::MAX))), unexpected);
    assert_eq!(from_agent(|pair| pair.forge(ack(u64::MAX, 0))), unexpected);
    assert_eq!(from_agent(|pair| pair.forge(ack(0, 0))), None);
}

#[test]
fn a_huge_credit_overflows_nothing() {
    let (mut pair, platform, agent) = answered();
    pair.forge(credit(FIRST, u64::MAX));
    pair.forge(Ack {
        messages: 0,
        bytes: 0,
        delay_us: 0,
        max_bytes: u64::MAX,
    });
    pair.forge_down(credit(FIRST, u64::MAX));
    pair.forge_down(Ack {
        messages: 0,
        bytes: 0,
        delay_us: 0,
        max_bytes: u64::MAX,
    });
    // The links have not counted what was forged in their names.
    pair.agent.link.sent_messages += 1;
    pair.platform.link.sent_messages += 1;
    pair.run(millis(10));
    let now = pair.now;
    pair.agent
        .link
        .send_data(agent, Bytes::from_static(b"on"), now)
        .unwrap();
    pair.platform
        .link
        .send_data(platform, Bytes::from_static(b"on"), now)
        .unwrap();
    pair.run(millis(10));
    assert_eq!((code(&pair.agent), code(&pair.platform)), (None, None));
}

#[test]
fn an_unknown_message_is_answered_counted_and_survived() {
    let (mut pair, platform, agent) = answered();
    pair.forge_bytes(&[0xa2, 0x1f, 0]);
    // The agent's link has not counted what was forged in its name.
    pair.agent.link.sent_messages += 1;
    pair.run(seconds(2));
    let answered = pair.agent.events.iter().any(
        |event| matches!(event, AgentEvent::Error(error) if error.code == ErrorCode::MessageTypeUnknown),
    );
    assert!(answered);
    assert!(
        !pair
            .platform
            .events
            .iter()
            .any(|event| matches!(event, PlatformEvent::Error(_)))
    );
    pair.release(platform, agent);
    pair.assert_quiet();
}

#[test]
fn interim_answers_without_end_are_abuse() {
    let interim = |stream| {
        let mut head = response(103, "", true);
        head.id = id(stream);
        head
    };
    let mut pair = Pair::open(Shape::delay_only(millis(2)), 1);
    pair.exchange(request("", true));
    (0..17).for_each(|_| pair.forge(interim(FIRST)));
    pair.run(seconds(1));
    assert_eq!(code(&pair.platform), Some(ErrorCode::Abuse));
}

#[test]
fn what_lies_unread_holds_on_to_few_of_the_messages_it_came_in() {
    const STREAMS: u64 = 4;
    const PIECES: u64 = 25;
    let mut pair = Pair::open(Shape::delay_only(millis(20)), 1);
    let now = pair.now;
    let link = &mut pair.platform.link;
    let keys = [(); STREAMS as usize].map(|()| link.open(request("", false), now).unwrap());
    pair.run(millis(100));
    let now = pair.now;
    let link = &mut pair.platform.link;
    // All that comes is a slice of this.
    let memory = Bytes::from("a: b\r\n".repeat(2 << 10));
    let is_slice = |bytes: &[u8]| memory.as_ptr_range().contains(&bytes.as_ptr());
    let piece = |stream, offset, length, fin| StreamData {
        data: memory.slice(..length),
        ..data(stream, offset, 0, fin)
    };
    for stream in 1..=STREAMS {
        let mut head = response(200, "", true);
        head.id = id(stream);
        link.handle(head.into(), now).expect("a head");
        for number in 0..PIECES {
            let piece = piece(stream, number * (8 << 10), 8 << 10, false);
            link.handle(piece.into(), now).expect("within credit");
        }
    }
    let mut slices = 0;
    for &key in &keys {
        let read = link.drain(key, now, |data| slices += usize::from(is_slice(&data)));
        assert_eq!(read, Ok(false));
    }
    assert_eq!(slices, crate::link::KEPT_PIECES_MAX);

    // A short one is never kept as it came, nor are trailers.
    let offset = PIECES * (8 << 10);
    let trailers = FieldLines::parse(memory.slice(..6), limits::FIELDS).expect("a line");
    let last = StreamData {
        trailers,
        ..piece(FIRST, offset + (8 << 10), 10, true)
    };
    for piece in [piece(FIRST, offset, 8 << 10, false), last] {
        link.handle(piece.into(), now).expect("within credit");
    }
    let mut read = Vec::new();
    let end = link.drain(keys[0], now, |data| {
        read.push((data.len(), is_slice(&data)))
    });
    assert_eq!((end, read), (Ok(true), vec![(8 << 10, true), (10, false)]));
    let trailers = link.take_trailers(keys[0]);
    assert_eq!(trailers.get("a"), Some(&b"b"[..]));
    assert!(!is_slice(trailers.as_bytes()));
}
