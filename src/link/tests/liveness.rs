//! Who is still there: heartbeats, silence, and thirty days of it.

use super::{
    millis,
    pair::{Pair, code, hello, request, response},
    seconds,
    wire::Shape,
};
use crate::{
    link::{AgentEvent, PlatformEvent, StreamError, Time},
    wire::messages::{ErrorCode, GoAway},
};

#[test]
fn heartbeats_keep_an_idle_connection() {
    let mut pair = Pair::open(Shape::delay_only(millis(100)), 1);
    pair.platform.events.clear();
    pair.run(seconds(3600));
    assert_eq!((&pair.agent.failed, &pair.platform.failed), (&None, &None));
    assert_eq!(pair.platform.events.len(), 3600 / 15);
    assert_eq!(pair.agent.link.round_trip(), Some(millis(100)));
    assert_eq!(
        pair.platform.link.round_trip(),
        Some(millis(100)),
        "it was told"
    );
}

#[test]
fn a_silent_network_is_found_out_within_three_intervals_on_both_sides() {
    for running in [0, 1, 14_999, 15_000, 100_000] {
        let mut pair = Pair::open(Shape::delay_only(millis(100)), running);
        pair.run(millis(running));
        let cut = pair.now;
        pair.cut();
        pair.run(seconds(60));
        for failed in [&pair.agent.failed, &pair.platform.failed] {
            let (at, violation) = failed.as_ref().expect("silence is found out");
            assert_eq!(violation.code, ErrorCode::PeerSilent);
            assert!(at.since(cut) <= seconds(45), "{:?}", at.since(cut));
        }
    }
}

#[test]
fn a_stopped_process_is_found_out_by_the_other() {
    let mut pair = Pair::open(Shape::delay_only(millis(100)), 1);
    pair.run(seconds(100));
    pair.platform.frozen = true;
    let stopped = pair.now;
    pair.run(seconds(60));
    let (at, _) = pair.agent.failed.as_ref().expect("silence is found out");
    assert!(at.since(stopped) <= seconds(45) + millis(100));
}

#[test]
fn bytes_count_and_not_whole_messages() {
    let mut pair = Pair::open(Shape::delay_only(millis(100)), 1);
    pair.cut();
    // One long message trickles in for ten minutes, and no other comes.
    for _ in 0..60 {
        pair.run(seconds(10));
        let now = pair.now;
        pair.platform.link.handle_bytes(now);
        pair.agent.link.handle_bytes(now);
    }
    assert_eq!((&pair.agent.failed, &pair.platform.failed), (&None, &None));
    pair.run(seconds(46));
    assert_eq!(code(&pair.agent), Some(ErrorCode::PeerSilent));
    assert_eq!(code(&pair.platform), Some(ErrorCode::PeerSilent));
}

#[test]
fn streams_of_a_dead_peer_fail() {
    let mut pair = Pair::open(Shape::delay_only(millis(100)), 1);
    let (platform, agent) = pair.exchange(request("", true));
    pair.cut();
    pair.run(seconds(60));
    assert_eq!(
        pair.platform.link.stopped(platform),
        Some(StreamError::ConnectionLost)
    );
    assert_eq!(
        pair.agent.link.stopped(agent),
        Some(StreamError::ConnectionLost)
    );
    pair.release(platform, agent);
    assert_eq!(pair.platform.link.stream_count(), 0);
}

#[test]
fn before_it_closes_a_platform_says_when_to_come_back() {
    let mut pair = Pair::open(Shape::delay_only(millis(100)), 1);
    let (platform, agent) = pair.exchange(request("", false));
    pair.platform.link.go_away(GoAway {
        code: ErrorCode::PlatformStopping,
        message: "restarting".into(),
        reconnect_window_ms: 30_000,
    });
    pair.run(seconds(1));
    let told = pair.agent.events.iter().any(
        |event| matches!(event, AgentEvent::GoAway(away) if away.reconnect_window_ms == 30_000),
    );
    assert!(told);
    // What is open may finish; nothing new begins.
    let more = pair.platform.link.open(request("", false), pair.now);
    assert_eq!(more, Err(StreamError::ConnectionLost));
    let now = pair.now;
    pair.agent
        .link
        .send_head(agent, response(204, "", false), now)
        .unwrap();
    pair.run(seconds(1));
    assert_eq!(pair.status(platform), 204);
    pair.release(platform, agent);
    pair.assert_quiet();
}

/// What an hour leaves behind in the two ends.
fn hour(pair: &mut Pair) -> [usize; 4] {
    for _ in 0..20 {
        let (platform, agent) = pair.exchange(request("ask", true));
        let now = pair.now;
        pair.agent
            .link
            .send_head(agent, response(200, "", true), now)
            .unwrap();
        pair.agent.link.pour(agent, 300_000, now);
        pair.run(seconds(2));
        pair.release(platform, agent);
        pair.run(seconds(150));
        pair.platform.events.clear();
        pair.agent.touched.clear();
        pair.platform.touched.clear();
    }
    pair.assert_quiet();
    pair.run(seconds(480));
    let held = [pair.agent.link.held(), pair.platform.link.held()].concat();
    [held[0], held[1], held[2], held[3]]
}

#[test]
fn thirty_days_with_a_reconnect_an_hour_leave_no_trace() {
    let shape = Shape::delay_only(millis(60));
    let mut now = Time::default();
    let mut first = None;
    for reconnect in 0..30 * 24 {
        let mut pair = Pair::silent(shape, hello(), reconnect);
        pair.start_at(now);
        pair.greet();
        let held = hour(&mut pair);
        assert!(pair.agent.link.is_open() && pair.platform.link.is_open());
        assert_eq!(first.get_or_insert(held), &held, "hour {reconnect}");
        let beats = |event: &PlatformEvent| matches!(event, PlatformEvent::Heartbeat(_));
        assert!(
            pair.platform
                .events
                .iter()
                .filter(|event| beats(event))
                .count()
                >= 32
        );
        pair.disconnect();
        now = pair.now;
    }
    assert!(now.since(Time::default()) >= seconds(30 * 24 * 3500));
}

#[test]
fn one_connection_lasts_thirty_days() {
    let mut pair = Pair::open(Shape::delay_only(millis(60)), 1);
    let first = hour(&mut pair);
    for hour_of in 1..30 * 24 {
        let held = hour(&mut pair);
        assert_eq!(first, held, "hour {hour_of}");
    }
}
