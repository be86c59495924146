//! Readers who stop, and what is left for everybody else.

use super::{Chance, millis, pair::Pair, seconds, wire::Shape};
use crate::{
    limits::{SESSION_WINDOW_MAX, STREAM_CREDIT_INITIAL},
    link::{Received, StreamError, StreamKey, streams::RecvHalf},
    wire::messages::ErrorCode,
};

type Stream = (StreamKey, StreamKey);

/// Streams that have as much to send as they may, and whose readers read nothing.
fn stall(pair: &mut Pair, count: usize) -> Vec<Stream> {
    let start = |_| {
        let stream = pair.download();
        let now = pair.now;
        pair.agent.link.pour(stream.1, u64::MAX, now);
        stream
    };
    let stalled: Vec<_> = (0..count).map(start).collect();
    pair.run(millis(500));
    stalled
}

/// How long a body of so many bytes takes while those go on pouring.
fn flow(pair: &mut Pair, mut left: u64, stalled: &[Stream]) -> std::time::Duration {
    let (platform, agent) = pair.download();
    let (begun, whole, mut got) = (pair.now, left, 0);
    pair.run_until(begun + seconds(600), &mut |pair| {
        let now = pair.now;
        for &(_, agent) in stalled {
            pair.agent.link.pour(agent, u64::MAX, now);
        }
        left = pair.agent.link.pour(agent, left, now);
        pair.platform
            .link
            .drain(platform, now, |data| got += data.len() as u64)
            .unwrap()
    });
    assert_eq!(got, whole);
    let taken = pair.now.since(begun);
    pair.release(platform, agent);
    taken
}

fn first_read(pair: &mut Pair, stream: Stream) -> Received {
    let now = pair.now;
    pair.platform.link.read(stream.0, now)
}

#[test]
fn readers_who_stop_leave_room_for_the_others() {
    let mut pair = Pair::open(Shape::delay_only(millis(20)), 1);
    let mut stalled = Vec::new();
    for _ in 0..100 {
        // Some have all of their body here: for them the peer is past being told to stop.
        let whole = pair.download();
        let now = pair.now;
        pair.agent.link.pour(whole.1, 250_000, now);
        stalled.push(whole);
        stalled.extend(stall(&mut pair, 1));
    }
    let taken = flow(&mut pair, 5_000_000, &stalled);
    assert!(taken < seconds(10), "{taken:?}");
    pair.run(seconds(1));
    let unread = pair.platform.link.window.unread();
    assert!(unread <= SESSION_WINDOW_MAX / 4 * 3, "{unread}");

    let mut given_up = 0;
    for &stream in &stalled {
        match first_read(&mut pair, stream) {
            Received::Data(_) => {}
            other => {
                assert_eq!(other, Received::Failed(StreamError::Unread));
                given_up += 1;
            }
        }
    }
    // The rest has a place, and no more were given up than that needs.
    assert!((100..130).contains(&given_up), "{given_up}");
    let overloaded = Some(StreamError::Stopped {
        code: ErrorCode::Overloaded,
    });
    assert!(
        stalled
            .iter()
            .any(|&(_, agent)| pair.agent.link.stopped(agent) == overloaded)
    );
    for (platform, agent) in stalled {
        pair.release(platform, agent);
    }
    pair.assert_quiet();
}

#[test]
fn who_reads_slowly_keeps_the_stream() {
    let mut pair = Pair::open(Shape::delay_only(millis(20)), 1);
    let mut stalled = stall(&mut pair, 160);
    let slow = stalled.split_off(130);
    let until = pair.now + seconds(60);
    pair.run_until(until, &mut |pair| {
        let now = pair.now;
        if pair.alarm.is_none() {
            for &stream in &slow {
                let read = first_read(pair, stream);
                assert!(!matches!(read, Received::Failed(_)), "{read:?}");
            }
            pair.alarm = Some(now + seconds(1));
        }
        for &(_, agent) in stalled.iter().chain(&slow) {
            pair.agent.link.pour(agent, u64::MAX, now);
        }
        false
    });
    let given_up = stalled
        .iter()
        .filter(|&&stream| first_read(&mut pair, stream) == Received::Failed(StreamError::Unread));
    assert!(given_up.count() > 30);
    for (platform, agent) in stalled.into_iter().chain(slow) {
        pair.release(platform, agent);
    }
    pair.assert_quiet();
}

/// Nobody needs the room: they may go on whenever they like.
#[test]
fn who_pauses_keeps_the_stream_while_there_is_room() {
    let mut pair = Pair::open(Shape::delay_only(millis(20)), 1);
    let count = SESSION_WINDOW_MAX / 4 * 3 / STREAM_CREDIT_INITIAL;
    let stalled = stall(&mut pair, count as usize);
    pair.run(seconds(3600));
    for &stream in &stalled {
        let read = first_read(&mut pair, stream);
        assert!(matches!(read, Received::Data(_)), "{read:?}");
    }
    for (platform, agent) in stalled {
        pair.release(platform, agent);
    }
    pair.assert_quiet();
}

/// A stream that is read as fast as a long path gives, so that its window grows.
fn grow(pair: &mut Pair) -> Stream {
    let (platform, agent) = pair.download();
    let mut got = 0;
    let until = pair.now + seconds(60);
    pair.run_until(until, &mut |pair| {
        let now = pair.now;
        pair.agent.link.pour(agent, u64::MAX, now);
        let link = &mut pair.platform.link;
        link.drain(platform, now, |data| got += data.len() as u64)
            .unwrap();
        got > 100_000_000
    });
    assert!(got > 100_000_000, "{got}");
    (platform, agent)
}

/// Each first reads as fast as a long path gives, and then stops.
#[test]
fn windows_that_have_grown_leave_room_when_their_readers_stop() {
    let mut pair = Pair::open(Shape::delay_only(millis(100)), 1);
    let paused: Vec<_> = (0..3).map(|_| grow(&mut pair)).collect();
    let unread = pair.platform.link.window.unread();
    let taken = flow(&mut pair, 2_000_000, &paused);
    assert!(taken < seconds(2), "{taken:?}");
    let unread_then = pair.platform.link.window.unread();
    assert!(
        unread_then > 12 << 20,
        "{unread} {unread_then}: one has grown"
    );
    pair.run(seconds(60));
    for &stream in &paused {
        let read = first_read(&mut pair, stream);
        assert!(matches!(read, Received::Data(_)), "{read:?}");
    }
    for (platform, agent) in paused {
        pair.release(platform, agent);
    }
    pair.assert_quiet();
}

/// Reads all that is there of a stream.
fn read_all(pair: &mut Pair, (platform, _): Stream) {
    let now = pair.now;
    pair.platform.link.drain(platform, now, |_| ()).unwrap();
}

/// Their windows may hold all that windows may grow together. What is read of them then is little or
/// nothing.
#[test]
fn windows_that_are_hardly_used_leave_others_room_to_grow() {
    for trickle in [0_usize, 2000] {
        let mut pair = Pair::open(Shape::delay_only(millis(100)), 1);
        let grown: Vec<_> = (0..2).map(|_| grow(&mut pair)).collect();
        // What waits at the agent still comes.
        pair.run(seconds(1));
        grown.iter().for_each(|&stream| read_all(&mut pair, stream));
        let (platform, agent) = pair.download();
        let (begun, mut left, mut next) = (pair.now, 30_000_000, pair.now);
        pair.run_until(begun + seconds(600), &mut |pair| {
            let now = pair.now;
            for &stream in &grown {
                if trickle > 0 && next <= now {
                    let data = vec![0; trickle].into();
                    pair.agent.link.send_data(stream.1, data, now).unwrap();
                }
                read_all(pair, stream);
            }
            if next <= now {
                next = now + millis(100);
                pair.alarm = Some(next);
            }
            left = pair.agent.link.pour(agent, left, now);
            pair.platform.link.drain(platform, now, |_| ()).unwrap()
        });
        let taken = pair.now.since(begun);
        assert!(taken < seconds(4), "{trickle}: {taken:?}");
        pair.release(platform, agent);
        for (platform, agent) in grown {
            pair.release(platform, agent);
        }
        pair.assert_quiet();
    }
}

/// Streams that by chance flow, trickle or rest, and whose readers read or do not.
#[test]
fn whatever_streams_do_what_their_windows_have_grown_is_counted() {
    let mut chance = Chance::seeded(3);
    let mut pair = Pair::open(Shape::delay_only(millis(100)), chance.next());
    let streams: Vec<_> = (0..6).map(|_| pair.download()).collect();
    let mut modes = vec![(0, true); streams.len()];
    let (mut most, mut changes) = ((0, 0), 0);
    let until = pair.now + seconds(60);
    pair.run_until(until, &mut |pair| {
        let now = pair.now;
        if pair.alarm.is_none() {
            pair.alarm = Some(now + millis(100));
            changes += 1;
            if changes % 5 == 0 {
                let place = chance.below(modes.len() as u64) as usize;
                // Nobody stops reading for so long that the stream is given up.
                modes.iter_mut().for_each(|mode| mode.1 = true);
                modes[place] = (chance.below(4), chance.below(3) > 0);
            }
            for (&(_, agent), mode) in streams.iter().zip(&modes) {
                if mode.0 == 1 {
                    let data = vec![0; 3000].into();
                    pair.agent.link.send_data(agent, data, now).unwrap();
                }
            }
        }
        for (&stream, &(flow, reads)) in streams.iter().zip(&modes) {
            if flow >= 2 {
                pair.agent.link.pour(stream.1, u64::MAX, now);
            }
            if reads {
                read_all(pair, stream);
            }
        }
        let link = &pair.platform.link;
        let recv = |&(platform, _): &Stream| &link.streams.peek(platform).unwrap().recv;
        let count = |of: fn(&RecvHalf) -> u64| -> u64 { streams.iter().map(recv).map(of).sum() };
        assert_eq!(link.grown, count(RecvHalf::grown));
        assert_eq!(link.resting, count(RecvHalf::resting));
        assert!(link.grown < SESSION_WINDOW_MAX / 4 * 3);
        most = (most.0.max(link.grown), most.1.max(link.resting));
        false
    });
    let grown = most.0 > SESSION_WINDOW_MAX / 2 && most.1 > SESSION_WINDOW_MAX / 4;
    assert!(grown, "{most:?}: they have grown, and rested");
    for (platform, agent) in streams {
        pair.release(platform, agent);
    }
    pair.assert_quiet();
}
