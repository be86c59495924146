//! What goes before what.

use super::{
    Chance, millis,
    pair::{Pair, request, response},
    seconds,
    wire::Shape,
};
use crate::{
    limits::DATA_BYTES_MAX,
    link::{PlatformEvent, StreamKey, transmit::SLACK},
    wire::fields::FieldLines,
};
use std::time::Duration;

/// 10 Mbit/s and 20 ms, with a queue that holds a second.
const SLOW: Shape = Shape {
    rate: Some(10_000_000),
    delay: Duration::from_millis(10),
    queue_bytes: 1_250_000,
    jitter: Duration::ZERO,
};

fn flow(pair: &mut Pair, streams: &[(StreamKey, StreamKey)], got: &mut [u64]) {
    let now = pair.now;
    for (&(platform, agent), got) in streams.iter().zip(got) {
        pair.agent.link.pour(agent, u64::MAX, now);
        let read = pair
            .platform
            .link
            .drain(platform, now, |data| *got += data.len() as u64);
        assert_eq!(read, Ok(false));
    }
}

#[test]
fn a_heartbeat_waits_behind_no_bulk() {
    let mut pair = Pair::open(SLOW, 1);
    let streams = [pair.download(), pair.download()];
    pair.agent.sent = Some(Vec::new());
    let mut beats = Vec::new();
    let until = pair.now + seconds(300);
    pair.run_until(until, &mut |pair| {
        flow(pair, &streams, &mut [0, 0]);
        let arrived = pair.platform.events.drain(..);
        let came = arrived.filter(|event| matches!(event, PlatformEvent::Heartbeat(_)));
        beats.extend(came.map(|_| pair.now));
        false
    });
    let sent = pair.agent.sent.iter().flatten();
    let sent: Vec<_> = sent.filter(|(_, name)| *name == "heartbeat").collect();
    assert_eq!(sent.len(), beats.len());
    assert_eq!(sent.len(), 20);
    for pairs in sent.windows(2) {
        // A second one is due an interval after the first was; at most one piece goes before it.
        assert!(pairs[1].0.since(pairs[0].0).abs_diff(seconds(15)) < millis(30));
    }
    for ((sent, _), came) in sent.iter().zip(&beats).skip(1) {
        assert!(came.since(*sent) < millis(60), "{:?}", came.since(*sent));
    }
}

#[test]
fn streams_of_one_lane_share_evenly() {
    let mut pair = Pair::open(SLOW, 1);
    let streams: Vec<_> = (0..5).map(|_| pair.download()).collect();
    let mut got = [0; 5];
    let until = pair.now + seconds(60);
    pair.run_until(until, &mut |pair| {
        flow(pair, &streams, &mut got);
        false
    });
    let (least, most) = (got.iter().min().unwrap(), got.iter().max().unwrap());
    assert!(most - least < most / 10, "{got:?}");
    assert!(got.iter().sum::<u64>() > 60_000_000);
}

#[test]
fn an_upgraded_stream_of_keystrokes_overtakes_bulk() {
    let mut pair = Pair::open(SLOW, 1);
    let (platform, agent) = pair.exchange(request("", true));
    let now = pair.now;
    pair.agent
        .link
        .send_head(agent, response(101, "", true), now)
        .unwrap();
    let streams = [pair.download(), pair.download()];
    let until = pair.now + seconds(10);
    pair.run_until(until, &mut |pair| {
        flow(pair, &streams, &mut [0, 0]);
        false
    });
    let slowest = slowest_echo(&mut pair, (platform, agent), &streams);
    assert!(slowest < millis(60), "{slowest:?}");
}

/// The longest that one of a hundred keystrokes is on its way while others download.
fn slowest_echo(
    pair: &mut Pair,
    (platform, agent): (StreamKey, StreamKey),
    others: &[(StreamKey, StreamKey)],
) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let typed = pair.now;
        pair.agent
            .link
            .send_data(agent, "key".into(), typed)
            .unwrap();
        let mut echoed = false;
        pair.run_until(typed + seconds(1), &mut |pair| {
            flow(pair, others, &mut vec![0; others.len()]);
            let now = pair.now;
            pair.platform
                .link
                .drain(platform, now, |_| echoed = true)
                .unwrap();
            echoed
        });
        slowest = slowest.max(pair.now.since(typed));
    }
    slowest
}

/// A terminal after one long listing, or a remote screen after a change of all of it.
#[test]
fn a_stream_that_once_was_bulk_overtakes_bulk_again() {
    let mut pair = Pair::open(SLOW, 1);
    let terminal = pair.download();
    let mut got = [0];
    let until = pair.now + seconds(200);
    pair.run_until(until, &mut |pair| {
        flow(pair, &[terminal], &mut got);
        got[0] > 100_000_000
    });
    assert!(got[0] > 100_000_000, "{got:?}");
    let streams: Vec<_> = (0..4).map(|_| pair.download()).collect();
    let until = pair.now + seconds(3);
    pair.run_until(until, &mut |pair| {
        flow(pair, &streams, &mut [0; 4]);
        let now = pair.now;
        let (platform, _) = terminal;
        pair.platform.link.drain(platform, now, |_| ()).unwrap();
        false
    });
    let slowest = slowest_echo(&mut pair, terminal, &streams);
    assert!(slowest < millis(60), "{slowest:?}");
}

#[test]
fn bulk_keeps_a_share_beside_small_requests_that_fill_the_path() {
    let mut pair = Pair::open(SLOW, 1);
    let mut chance = Chance::seeded(9);
    let streams = [pair.download()];
    let mut got = [0];
    let mut open = Vec::new();
    let until = pair.now + seconds(30);
    pair.run_until(until, &mut |pair| {
        flow(pair, &streams, &mut got);
        let now = pair.now;
        // 200 small answers are always asked for: more than the path carries.
        while open.len() < 200 {
            open.push(pair.platform.link.open(request("", false), now).unwrap());
        }
        while let Some(agent) = pair.opened() {
            let body = vec![0; 8000 + chance.below(8000) as usize];
            pair.agent
                .link
                .send_head(agent, response(200, body, false), now)
                .unwrap();
            pair.agent.link.release_send(agent);
            pair.agent.link.release_recv(agent, now);
        }
        let link = &mut pair.platform.link;
        open.retain(|&key| {
            let done = link.drain(key, now, |_| ()).unwrap();
            if done {
                link.release_send(key);
                link.release_recv(key, now);
            }
            !done
        });
        pair.agent.touched.clear();
        pair.platform.touched.clear();
        false
    });
    // 37.5 MB pass in that time. A turn in ten is bulk's, of a piece that may be longer.
    assert!(got[0] > 2_500_000, "{got:?}");
    assert!(got[0] < 25_000_000, "{got:?}");
}

/// None of them is long, and all of them together are no reason to fill the path's queue.
#[test]
fn many_interactive_streams_at_once_pass_the_cap_by_the_slack_only() {
    const STREAMS: usize = 200;
    const BYTES: usize = 60 << 10;
    let mut pair = Pair::open(SLOW, 1);
    let streams: Vec<_> = (0..STREAMS).map(|_| pair.download()).collect();
    pair.run(seconds(1));
    let now = pair.now;
    for &(_, agent) in &streams {
        let link = &mut pair.agent.link;
        link.send_data(agent, vec![0; BYTES].into(), now).unwrap();
        link.finish(agent, FieldLines::default(), now);
    }
    let mut got = 0;
    let until = pair.now + seconds(60);
    pair.run_until(until, &mut |pair| {
        let now = pair.now;
        for &(platform, _) in &streams {
            let link = &mut pair.platform.link;
            link.drain(platform, now, |data| got += data.len()).unwrap();
        }
        got == STREAMS * BYTES
    });
    assert_eq!(got, STREAMS * BYTES);
    let (passed, most) = (pair.agent.passed, SLACK + DATA_BYTES_MAX as u64);
    assert!(passed > 0 && passed <= most, "{passed}");
}

/// Session credit that streams without readers have used up holds no head and no end.
#[test]
fn heads_and_ends_need_no_credit() {
    let mut pair = Pair::open(Shape::delay_only(millis(10)), 1);
    let mut stalled = Vec::new();
    for _ in 0..300 {
        let (platform, agent) = pair.download();
        let now = pair.now;
        pair.agent.link.pour(agent, u64::MAX, now);
        stalled.push((platform, agent));
    }
    pair.run(millis(500));
    assert_eq!(pair.agent.link.allowance.left(), 0, "all credit is used up");
    let (platform, agent) = pair.exchange(request("", false));
    let now = pair.now;
    pair.agent
        .link
        .send_head(agent, response(304, "", false), now)
        .unwrap();
    pair.run(millis(20));
    assert_eq!(pair.status(platform), 304);
    let now = pair.now;
    assert_eq!(pair.platform.link.drain(platform, now, |_| ()), Ok(true));
    pair.release(platform, agent);
    // What the readers give up flows again.
    let last = stalled.pop().unwrap();
    for (platform, agent) in stalled {
        pair.release(platform, agent);
    }
    let mut got = [0];
    let until = pair.now + seconds(1);
    pair.run_until(until, &mut |pair| {
        flow(pair, &[last], &mut got);
        false
    });
    assert!(got[0] > 10_000_000, "{got:?}");
    pair.release(last.0, last.1);
    pair.assert_quiet();
}
