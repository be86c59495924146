//! Peers that say much of what costs work and carries nothing, and those that have reason to.

use super::{
    abuse::{FIRST, answered, credit, data, from_agent, from_platform, id, reset},
    millis,
    pair::{Pair, code, request},
    seconds,
    wire::Shape,
};
use crate::{
    link::StreamKey,
    wire::messages::{Ack, CommandStatus, ErrorCode, StatusUpdate, StreamStop},
};
use std::collections::{BTreeSet, VecDeque};

const fn ack(max_bytes: u64) -> Ack {
    Ack {
        messages: 0,
        bytes: 0,
        delay_us: 0,
        max_bytes,
    }
}

#[test]
fn cheap_messages_have_a_budget() {
    let abuse = Some(ErrorCode::Abuse);
    let flood = |message: fn(&mut Pair, u64)| {
        move |pair: &mut Pair| (0..6000).for_each(|n| message(pair, n))
    };
    assert_eq!(
        from_agent(flood(|pair, _| pair.forge(data(FIRST, 0, 0, false)))),
        abuse
    );
    assert_eq!(
        from_agent(flood(|pair, _| pair.forge(credit(FIRST, 1)))),
        abuse
    );
    // Credit that rises by nothing to speak of, or for no stream.
    assert_eq!(
        from_agent(flood(|pair, n| pair.forge(credit(FIRST, (1 << 20) + n)))),
        abuse
    );
    assert_eq!(
        from_agent(flood(|pair, n| pair.forge(credit(99, n << 20)))),
        abuse
    );
    // Credit that rises by enough and is never used.
    assert_eq!(
        from_agent(flood(|pair, n| pair.forge(credit(FIRST, n << 12)))),
        abuse
    );
    assert_eq!(
        from_agent(flood(|pair, _| pair.forge_bytes(&[0xa2, 0x1f, 0]))),
        abuse
    );
    assert_eq!(
        from_agent(flood(|pair, _| pair.forge(StreamStop {
            id: id(99),
            code: ErrorCode::Cancelled
        }))),
        abuse
    );
    // Streams that are opened, reset and stopped again and again in a loop.
    assert_eq!(
        from_platform(flood(|pair, n| {
            let mut request = request("", true);
            request.id = id(1000 + n);
            pair.forge_down(request);
            pair.forge_down(reset(1000 + n, 0));
            for _ in 0..2 {
                pair.forge_down(StreamStop {
                    id: id(1000 + n),
                    code: ErrorCode::Cancelled,
                });
            }
        })),
        abuse
    );
    assert_eq!(from_agent(flood(|pair, _| pair.forge(ack(0)))), abuse);
    assert_eq!(from_agent(flood(|pair, n| pair.forge(ack(n << 12)))), abuse);
}

/// Requests that the platform opens as fast as it may until there were `count`, within a second.
/// `open` has what becomes of one there, `serve` what the agent does with it.
fn many_requests(
    body_follows: bool,
    open: fn(&mut Pair, StreamKey) -> bool,
    serve: fn(&mut Pair, StreamKey),
) -> Pair {
    const COUNT: usize = 20_000;
    let mut pair = Pair::open(Shape::delay_only(millis(2)), 1);
    let (mut opened, mut waiting) = (0, BTreeSet::new());
    let begun = pair.now;
    pair.run_until(begun + seconds(1), &mut |pair| {
        while opened < COUNT
            && let Ok(key) = pair.platform.link.open(request("", body_follows), pair.now)
        {
            opened += 1;
            if open(pair, key) {
                waiting.insert(key);
            }
        }
        while let Some(key) = pair.opened() {
            serve(pair, key);
            let now = pair.now;
            pair.agent.link.release_send(key);
            pair.agent.link.release_recv(key, now);
        }
        pair.agent.touched.clear();
        while let Some(key) = pair.platform.touched.pop_front() {
            let link = &mut pair.platform.link;
            if waiting.contains(&key) && matches!(link.read_head(key), Some(Err(_))) {
                waiting.remove(&key);
                link.release_send(key);
                link.release_recv(key, pair.now);
            }
        }
        opened == COUNT && waiting.is_empty() && pair.platform.link.stream_count() == 0
    });
    assert_eq!((code(&pair.agent), code(&pair.platform)), (None, None));
    assert_eq!((opened, waiting.len()), (COUNT, 0));
    pair
}

/// A device that restarts, an agent that has no route: each request is reset, and an upload stopped.
#[test]
fn requests_that_cannot_be_carried_are_no_abuse() {
    for upload in [false, true] {
        let mut pair = many_requests(
            upload,
            |_, _| true,
            |pair, key| {
                let code = ErrorCode::TargetUnreachable;
                pair.agent.link.reset(key, code, "nobody there");
            },
        );
        pair.assert_quiet();
    }
}

#[test]
fn viewers_who_leave_before_the_answer_are_no_abuse() {
    let mut pair = many_requests(
        false,
        |pair, key| {
            let now = pair.now;
            pair.platform.link.release_send(key);
            pair.platform.link.release_recv(key, now);
            false
        },
        |_, _| (),
    );
    pair.assert_quiet();
}

/// Each upload is reset and its answer stopped once the agent has it; the agent resets the answer, and
/// may have stopped the upload itself.
#[test]
fn viewers_who_abort_uploads_are_no_abuse() {
    const COUNT: usize = 20_000;
    for refuses in [false, true] {
        let mut pair = Pair::open(Shape::delay_only(millis(2)), 1);
        let (mut opened, mut waiting) = (0, VecDeque::new());
        let begun = pair.now;
        pair.run_until(begun + seconds(1), &mut |pair| {
            let now = pair.now;
            while opened < COUNT
                && let Ok(key) = pair.platform.link.open(request("", true), now)
            {
                opened += 1;
                waiting.push_back(key);
            }
            while let Some(key) = pair.opened() {
                if refuses {
                    pair.agent.link.release_recv(key, now);
                }
                let aborted = waiting.pop_front().expect("they come in order");
                pair.platform.link.release_send(aborted);
                pair.platform.link.release_recv(aborted, now);
            }
            while let Some(key) = pair.agent.touched.pop_front() {
                if pair.agent.link.stopped(key).is_some() {
                    pair.agent.link.release_send(key);
                    pair.agent.link.release_recv(key, now);
                }
            }
            opened == COUNT && waiting.is_empty() && pair.platform.link.stream_count() == 0
        });
        assert_eq!((code(&pair.agent), code(&pair.platform)), (None, None));
        assert_eq!((opened, waiting.len()), (COUNT, 0));
        pair.assert_quiet();
    }
}

#[test]
fn tiny_pieces_have_a_budget() {
    let flood = |pair: &mut Pair| {
        (0..150_000).for_each(|offset| pair.forge(data(FIRST, offset, 1, false)));
    };
    assert_eq!(from_agent(flood), Some(ErrorCode::Abuse));
    let flood = |pair: &mut Pair| {
        (0..150_000).for_each(|offset| pair.forge_down(data(FIRST, offset, 1, false)));
    };
    assert_eq!(from_platform(flood), Some(ErrorCode::Abuse));
}

/// What a program writes byte by byte, as fast as it can, is gathered; what it types is not, and
/// stays far below the budget.
#[test]
fn whoever_writes_byte_by_byte_breaks_no_rule() {
    let (mut pair, platform, agent) = answered();
    let messages = pair.agent.link.sent_messages();
    let (mut left, mut got) = (1_000_000, Vec::new());
    let until = pair.now + seconds(600);
    pair.run_until(until, &mut |pair| {
        let now = pair.now;
        while left > 0 && pair.agent.link.has_room(agent) == Ok(true) {
            let piece = vec![(left % 251) as u8];
            pair.agent.link.send_data(agent, piece.into(), now).unwrap();
            left -= 1;
        }
        let link = &mut pair.platform.link;
        link.drain(platform, now, |data| got.extend_from_slice(&data))
            .unwrap();
        got.len() == 1_000_000
    });
    let expected = (1..=1_000_000).rev().map(|left| (left % 251) as u8);
    assert!(got.into_iter().eq(expected));
    let messages = pair.agent.link.sent_messages() - messages;
    assert!(messages < 1000, "{messages}");

    for _ in 0..20_000 {
        let now = pair.now;
        pair.agent.link.send_data(agent, "x".into(), now).unwrap();
        pair.run(millis(1));
        let now = pair.now;
        pair.platform.link.drain(platform, now, |_| ()).unwrap();
    }
    pair.run(millis(10));
    let now = pair.now;
    pair.platform.link.drain(platform, now, |_| ()).unwrap();
    pair.release(platform, agent);
    pair.assert_quiet();
}

#[test]
fn bytes_that_pass_pay_for_what_is_said_of_them() {
    let (mut pair, platform, agent) = answered();
    let (mut left, mut got) = (400_000_000_u64, 0_usize);
    let until = pair.now + seconds(600);
    pair.run_until(until, &mut |pair| {
        let now = pair.now;
        left = pair.agent.link.pour(agent, left, now);
        pair.platform
            .link
            .drain(platform, now, |data| got += data.len())
            .unwrap()
    });
    assert_eq!(got, 400_000_000);
    pair.release(platform, agent);
    pair.assert_quiet();
}

#[test]
fn messages_of_no_stream_have_a_budget() {
    let update = |pair: &mut Pair| {
        pair.forge(StatusUpdate {
            message_id: "1".into(),
            original_message_id: "2".into(),
            timestamp: None,
            status: CommandStatus::Running,
            progress_percent: None,
            output: String::new(),
            output_offset: 0,
        });
    };
    let some = |pair: &mut Pair| (0..50_000).for_each(|_| update(pair));
    assert_eq!(from_agent(some), None);
    let flood = |pair: &mut Pair| (0..150_000).for_each(|_| update(pair));
    assert_eq!(from_agent(flood), Some(ErrorCode::Abuse));
}
