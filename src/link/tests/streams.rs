//! What streams do: exchanges, ends, and readers who do not read.

use super::{
    Chance, millis,
    pair::{Pair, request, response},
    seconds,
    wire::Shape,
};
use crate::{
    limits,
    link::{AgentEvent, Received, StreamError},
    wire::{fields::FieldLines, messages::ErrorCode},
};
use bytes::Bytes;

fn near() -> Pair {
    Pair::open(Shape::delay_only(millis(20)), 1)
}

fn trailers() -> FieldLines {
    let lines = Bytes::from_static(b"x-hash: 1\r\n");
    FieldLines::parse(lines, limits::FIELDS).expect("field lines")
}

#[test]
fn a_small_exchange_is_one_message_each_way() {
    let mut pair = near();
    pair.agent.sent = Some(Vec::new());
    pair.platform.sent = Some(Vec::new());
    let (platform, agent) = pair.exchange(request("ask", false));
    let now = pair.now;
    assert_eq!(
        pair.agent.link.read(agent, now),
        Received::Data("ask".into())
    );
    assert_eq!(pair.agent.link.read(agent, now), Received::End);
    pair.agent
        .link
        .send_head(agent, response(200, "answer", false), now)
        .unwrap();
    pair.run(millis(500));
    let head = pair
        .platform
        .link
        .read_head(platform)
        .expect("it has come")
        .unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    let now = pair.now;
    assert_eq!(
        pair.platform.link.read(platform, now),
        Received::Data("answer".into())
    );
    assert_eq!(pair.platform.link.read(platform, now), Received::End);
    pair.release(platform, agent);
    pair.assert_quiet();
    for sent in [&pair.agent.sent, &pair.platform.sent] {
        let names = sent.iter().flatten().map(|(_, name)| *name);
        assert_eq!(names.filter(|name| name.starts_with("http_")).count(), 1);
    }
    assert_eq!(pair.agent.link.sent_messages(), 1);
}

#[test]
fn both_directions_flow_and_end_apart() {
    let mut pair = near();
    let (platform, agent) = pair.exchange(request("", true));
    pair.agent
        .link
        .send_head(agent, response(200, "", true), pair.now)
        .unwrap();
    let (mut up, mut down) = (3_000_000_u64, 5_000_000_u64);
    let (mut got_up, mut got_down, mut ends) = (0, 0, (false, false));
    let until = pair.now + seconds(60);
    pair.run_until(until, &mut |pair| {
        let now = pair.now;
        let (a, p) = (&mut pair.agent.link, &mut pair.platform.link);
        up = p.pour(platform, up, now);
        down = a.pour(agent, down, now);
        ends.0 |= a.drain(agent, now, |data| got_up += data.len()).unwrap();
        ends.1 |= p
            .drain(platform, now, |data| got_down += data.len())
            .unwrap();
        ends == (true, true)
    });
    assert_eq!((got_up, got_down), (3_000_000, 5_000_000));
    pair.release(platform, agent);
    pair.assert_quiet();
}

#[test]
fn trailers_come_after_the_clean_end() {
    let mut pair = near();
    let (platform, agent) = pair.exchange(request("", false));
    let now = pair.now;
    pair.agent
        .link
        .send_head(agent, response(200, "", true), now)
        .unwrap();
    pair.agent
        .link
        .send_data(agent, "body".into(), now)
        .unwrap();
    pair.agent.link.finish(agent, trailers(), now);
    pair.run(millis(100));
    let now = pair.now;
    assert_eq!(pair.platform.link.drain(platform, now, |_| ()), Ok(true));
    assert_eq!(pair.platform.link.take_trailers(platform), trailers());
    pair.release(platform, agent);
    pair.assert_quiet();
}

#[test]
fn interim_answers_go_before_the_answer() {
    let mut pair = near();
    let (platform, agent) = pair.exchange(request("", false));
    let now = pair.now;
    for status in [100, 103, 200] {
        let head = response(status, "", false);
        pair.agent.link.send_head(agent, head, now).unwrap();
    }
    assert_eq!(
        pair.agent
            .link
            .send_head(agent, response(200, "", false), now),
        Err(StreamError::NotSupported)
    );
    pair.run(millis(100));
    let mut statuses = Vec::new();
    while let Some(head) = pair.platform.link.read_head(platform) {
        statuses.push(head.unwrap().status);
    }
    assert_eq!(statuses, [100, 103, 200]);
    pair.release(platform, agent);
    pair.assert_quiet();
}

#[test]
fn a_device_that_never_stops_announcing_costs_no_connection() {
    let mut pair = near();
    let (platform, agent) = pair.exchange(request("", false));
    let now = pair.now;
    for _ in 0..10_000 {
        let head = response(103, "", false);
        pair.agent.link.send_head(agent, head, now).unwrap();
    }
    let head = response(200, "", false);
    pair.agent.link.send_head(agent, head, now).unwrap();
    pair.run(millis(100));
    let heads = std::iter::from_fn(|| pair.platform.link.read_head(platform));
    let statuses: Vec<_> = heads.map(|head| head.unwrap().status).collect();
    assert_eq!(statuses.len(), limits::INTERIM_HEADS_MAX + 1);
    assert_eq!(statuses.last(), Some(&200));
    pair.release(platform, agent);
    pair.assert_quiet();
}

#[test]
fn a_reset_with_a_long_text_costs_no_connection() {
    let mut pair = near();
    let (platform, agent) = pair.exchange(request("", false));
    let text = format!("x{}", "é".repeat(limits::RESET_TEXT_BYTES_MAX));
    let code = ErrorCode::TargetUntrusted;
    pair.agent.link.reset(agent, code, &text);
    pair.run(millis(100));
    let message = text[..limits::RESET_TEXT_BYTES_MAX - 1].to_owned();
    assert_eq!(
        pair.platform.link.read(platform, pair.now),
        Received::Failed(StreamError::Reset { code, message }),
        "cut before a character that would not fit"
    );
    pair.release(platform, agent);
    pair.assert_quiet();
}

#[test]
fn after_an_upgrade_bytes_pass_both_ways_until_each_end() {
    let mut pair = near();
    let (platform, agent) = pair.exchange(request("", true));
    pair.agent
        .link
        .send_head(agent, response(101, "", true), pair.now)
        .unwrap();
    for turn in 0..50_u8 {
        let piece = Bytes::from(vec![turn; 64]);
        pair.platform
            .link
            .send_data(platform, piece.clone(), pair.now)
            .unwrap();
        pair.run(millis(15));
        let now = pair.now;
        assert_eq!(
            pair.agent.link.read(agent, now),
            Received::Data(piece.clone())
        );
        pair.agent
            .link
            .send_data(agent, piece.clone(), now)
            .unwrap();
        pair.run(millis(15));
        let now = pair.now;
        assert_eq!(
            pair.platform.link.read(platform, now),
            Received::Data(piece)
        );
    }
    let now = pair.now;
    pair.platform
        .link
        .finish(platform, FieldLines::default(), now);
    pair.agent.link.finish(agent, FieldLines::default(), now);
    pair.run(millis(100));
    let now = pair.now;
    assert_eq!(pair.agent.link.read(agent, now), Received::End);
    assert_eq!(pair.platform.link.read(platform, now), Received::End);
    pair.release(platform, agent);
    pair.assert_quiet();
}

#[test]
fn an_early_answer_stops_the_upload() {
    let mut pair = near();
    let (platform, agent) = pair.exchange(request("", true));
    pair.platform.link.pour(platform, 10_000_000, pair.now);
    pair.run(millis(100));
    let now = pair.now;
    pair.agent
        .link
        .send_head(agent, response(413, "too big", false), now)
        .unwrap();
    pair.agent.link.release_recv(agent, now);
    pair.agent.link.release_send(agent);
    pair.run(millis(100));
    assert_eq!(
        pair.platform.link.stopped(platform),
        Some(StreamError::Stopped {
            code: ErrorCode::Cancelled
        })
    );
    let now = pair.now;
    assert_eq!(pair.status(platform), 413);
    assert_eq!(pair.platform.link.drain(platform, now, |_| ()), Ok(true));
    pair.release(platform, agent);
    pair.assert_quiet();
}

#[test]
fn a_reset_is_seen_with_its_code_and_gives_back_what_lay_unread() {
    let mut pair = near();
    let (platform, agent) = pair.exchange(request("", false));
    pair.agent
        .link
        .send_head(agent, response(200, "", true), pair.now)
        .unwrap();
    pair.agent.link.pour(agent, 10_000_000, pair.now);
    pair.run(millis(100));
    pair.agent
        .link
        .reset(agent, ErrorCode::TargetClosed, "the device hung up");
    pair.run(millis(100));
    let now = pair.now;
    let failed = Received::Failed(StreamError::Reset {
        code: ErrorCode::TargetClosed,
        message: "the device hung up".into(),
    });
    assert_eq!(pair.platform.link.read(platform, now), failed);
    pair.release(platform, agent);
    pair.assert_quiet();
}

#[test]
fn what_is_dropped_before_it_was_sent_is_never_heard_of() {
    let mut pair = near();
    let before = pair.platform.link.sent_messages();
    let now = pair.now;
    let key = pair.platform.link.open(request("", true), now).unwrap();
    pair.platform.link.release_recv(key, now);
    pair.platform.link.release_send(key);
    pair.assert_quiet();
    assert_eq!(pair.platform.link.sent_messages(), before);
}

#[test]
fn a_stop_before_the_request_was_sent_follows_it() {
    let mut pair = near();
    let now = pair.now;
    let key = pair.platform.link.open(request("", true), now).unwrap();
    pair.platform.link.release_recv(key, now);
    pair.run(millis(100));
    let agent = pair.opened().expect("the request is there");
    assert!(matches!(
        pair.agent.link.stopped(agent),
        Some(StreamError::Stopped { .. })
    ));
    pair.release(key, agent);
    pair.assert_quiet();
}

#[test]
fn half_a_stream_that_is_dropped_leaves_the_other_half() {
    let mut pair = near();
    let (platform, agent) = pair.exchange(request("", true));
    pair.platform.link.release_send(platform);
    pair.run(millis(50));
    let now = pair.now;
    assert!(matches!(
        pair.agent.link.read(agent, now),
        Received::Failed(StreamError::Reset {
            code: ErrorCode::Cancelled,
            ..
        })
    ));
    pair.agent
        .link
        .send_head(agent, response(200, "still", false), now)
        .unwrap();
    pair.run(millis(50));
    let now = pair.now;
    assert_eq!(
        pair.platform.link.read(platform, now),
        Received::Data("still".into())
    );
    pair.release(platform, agent);
    pair.assert_quiet();
}

#[test]
fn five_hundred_streams_are_answered_out_of_order() {
    let mut pair = near();
    let mut chance = Chance::seeded(3);
    let now = pair.now;
    let platform: Vec<_> = (0..500_u32)
        .map(|n| {
            let body = n.to_be_bytes().to_vec();
            pair.platform.link.open(request(body, false), now).unwrap()
        })
        .collect();
    pair.run(millis(50));
    let mut agent: Vec<_> = std::iter::from_fn(|| pair.opened()).collect();
    assert_eq!(agent.len(), 500);
    while !agent.is_empty() {
        let key = agent.swap_remove(chance.below(agent.len() as u64) as usize);
        let now = pair.now;
        let mut body = Vec::new();
        let end = pair
            .agent
            .link
            .drain(key, now, |data| body.extend_from_slice(&data));
        assert_eq!(end, Ok(true));
        let answer = Bytes::from(body.repeat(2000));
        pair.agent
            .link
            .send_head(key, response(200, "", true), now)
            .unwrap();
        pair.agent.link.send_data(key, answer, now).unwrap();
        pair.agent.link.finish(key, FieldLines::default(), now);
        pair.agent.link.release_send(key);
        pair.agent.link.release_recv(key, now);
        if chance.once_in(7) {
            pair.run(millis(1));
        }
    }
    let mut bodies = vec![Vec::new(); 500];
    let until = pair.now + seconds(20);
    pair.run_until(until, &mut |pair| {
        let now = pair.now;
        let link = &mut pair.platform.link;
        platform
            .iter()
            .zip(&mut bodies)
            .fold(true, |all, (&key, body)| {
                let end = link.drain(key, now, |data| body.extend_from_slice(&data));
                end.unwrap() && all
            })
    });
    for (n, (key, body)) in platform.into_iter().zip(bodies).enumerate() {
        assert_eq!(body, (n as u32).to_be_bytes().repeat(2000));
        pair.platform.link.release_send(key);
        pair.platform.link.release_recv(key, pair.now);
    }
    pair.assert_quiet();
}

#[test]
fn a_reader_who_stops_stalls_only_its_own_stream() {
    let mut pair = near();
    // Each first fills its window, and is read no more.
    let stalled: Vec<_> = (0..20)
        .map(|_| {
            let (platform, agent) = pair.exchange(request("", false));
            let now = pair.now;
            pair.agent
                .link
                .send_head(agent, response(200, "", true), now)
                .unwrap();
            pair.agent.link.pour(agent, u64::MAX, now);
            (platform, agent)
        })
        .collect();
    pair.run(seconds(2));
    for _ in 0..20 {
        let (platform, agent) = pair.exchange(request("", false));
        let now = pair.now;
        pair.agent
            .link
            .send_head(agent, response(200, "", true), now)
            .unwrap();
        let (mut left, mut got, begun) = (2_000_000, 0, pair.now);
        pair.run_until(now + seconds(60), &mut |pair| {
            let now = pair.now;
            for &(_, agent) in &stalled {
                pair.agent.link.pour(agent, u64::MAX, now);
            }
            left = pair.agent.link.pour(agent, left, now);
            pair.platform
                .link
                .drain(platform, now, |data| got += data.len())
                .unwrap()
        });
        assert_eq!(got, 2_000_000);
        assert!(
            pair.now.since(begun) < seconds(2),
            "{:?}",
            pair.now.since(begun)
        );
        pair.release(platform, agent);
    }
    let unread = pair.platform.link.window.unread();
    assert!(unread <= 20 * limits::STREAM_CREDIT_INITIAL, "{unread}");
    assert!(pair.agent.link.queued <= limits::SESSION_QUEUE_BYTES_MAX);
    for (platform, agent) in stalled {
        pair.release(platform, agent);
    }
    pair.assert_quiet();
}

#[test]
fn a_lost_connection_ends_every_stream_and_leaves_nothing() {
    let mut pair = near();
    let (platform, agent) = pair.exchange(request("", true));
    pair.agent
        .link
        .send_head(agent, response(200, "", true), pair.now)
        .unwrap();
    pair.agent.link.pour(agent, 10_000_000, pair.now);
    pair.platform.link.pour(platform, 10_000_000, pair.now);
    pair.run(millis(35));
    pair.disconnect();
    let now = pair.now;
    let lost = Received::Failed(StreamError::ConnectionLost);
    assert_eq!(pair.platform.link.read(platform, now), lost);
    assert_eq!(pair.agent.link.read(agent, now), lost);
    assert_eq!(
        pair.agent.link.stopped(agent),
        Some(StreamError::ConnectionLost)
    );
    pair.release(platform, agent);
    assert_eq!(pair.platform.link.stream_count(), 0);
    assert_eq!(pair.agent.link.stream_count(), 0);
}

/// A stream that is open for hours holds on to nothing of what once came in short pieces.
#[test]
fn what_was_read_leaves_no_memory_behind() {
    const PIECE: usize = 4 << 10;
    let mut pair = near();
    let (platform, agent) = pair.download();
    for _ in 0..40 {
        let now = pair.now;
        let piece = Bytes::from(vec![7; PIECE]);
        pair.agent.link.send_data(agent, piece, now).unwrap();
    }
    pair.run(millis(100));
    let (now, mut lengths) = (pair.now, Vec::new());
    let read = pair.platform.link.drain(platform, now, |data| {
        assert!(data.is_unique(), "the stream holds on to it as well");
        lengths.push(data.len());
    });
    assert_eq!((read, lengths), (Ok(false), vec![40 * PIECE]));
    pair.release(platform, agent);
    pair.assert_quiet();
}

#[test]
fn requests_of_a_closed_link_are_refused() {
    let mut pair = near();
    pair.disconnect();
    let opened = pair.platform.link.open(request("", false), pair.now);
    assert_eq!(opened, Err(StreamError::ConnectionLost));
    assert!(
        !pair
            .agent
            .events
            .iter()
            .any(|e| matches!(e, AgentEvent::Opened { .. }))
    );
}
