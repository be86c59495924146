//! What the cap does, round by round, on paths that are made up.

use super::{
    MinRtt, Path,
    flight::Sample,
    steer::{CAP_MAX, CAP_MIN, Phase, Seen, Steer},
};
use crate::link::{tests::Chance, time::Time};
use std::time::Duration;

const MIN_RTT_US: f64 = 20_000.0;
/// Bytes a microsecond: 100 Mbit/s.
const RATE: f64 = 12.5;
/// More than twice what is aimed at.
const DELAY_US: f64 = 8_000.0;

fn millis(millis: u64) -> Time {
    Time::from_micros(millis * 1000)
}

/// A round in which the cap held something back.
fn seen(queue_us: f64, rate: f64, best_rate: f64) -> Seen {
    Seen {
        rtt_us: MIN_RTT_US + queue_us,
        min_rtt_us: MIN_RTT_US,
        rate,
        best_rate,
        in_flight: 1 << 20,
        is_limited: true,
    }
}

fn sample(rtt_us: f64, bytes: u64) -> Sample {
    Sample {
        rtt_us,
        bytes,
        in_flight: bytes,
        rate: RATE,
        is_idle: false,
    }
}

/// A cap that has ended its start, at the beginning of time.
fn following() -> Steer {
    let mut steer = Steer::new(millis(0));
    for _ in 0..4 {
        steer.end_round(&seen(0.0, RATE, RATE), millis(0));
    }
    assert!(matches!(steer.phase(), Phase::Follow));
    steer
}

#[test]
fn a_queue_does_not_end_the_start_while_the_rate_grows() {
    let mut steer = Steer::new(millis(0));
    let mut rate = 1.0;
    for _ in 0..6 {
        rate *= 1.3;
        steer.end_round(&seen(DELAY_US, rate, rate), millis(0));
        assert!(matches!(steer.phase(), Phase::Start { .. }), "{steer:?}");
    }
    // It ends with the growth, at what was found.
    steer.end_round(&seen(DELAY_US, rate, rate), millis(0));
    assert!(matches!(steer.phase(), Phase::Follow), "{steer:?}");
    let product = rate * MIN_RTT_US;
    assert!(steer.cap() as f64 > product && (steer.cap() as f64) < 1.2 * product);
}

#[test]
fn the_start_doubles_while_the_rate_does_and_for_two_rounds_more() {
    let mut steer = Steer::new(millis(0));
    let mut caps = vec![steer.cap()];
    for rate in [1.0, 2.0, 4.0, 4.0, 4.0, 4.0] {
        steer.end_round(&seen(0.0, rate, rate), millis(0));
        caps.push(steer.cap());
    }
    for caps in caps[..6].windows(2) {
        assert_eq!(caps[1], 2 * caps[0]);
    }
    assert!(matches!(steer.phase(), Phase::Follow));
}

#[test]
fn a_raise_that_gains_is_kept_and_allows_the_delay() {
    let mut steer = following();
    let now = millis(1000);
    let before = steer.cap();
    steer.end_round(&seen(DELAY_US, RATE, RATE), now);
    let raised = steer.cap();
    assert!(matches!(steer.phase(), Phase::Raise { .. }) && raised > before);
    // The first round tells of the time before; the second of more bytes with no more delay.
    steer.end_round(&seen(DELAY_US, RATE, RATE), now);
    steer.end_round(&seen(DELAY_US, 1.2 * RATE, 1.2 * RATE), now);
    assert!(matches!(steer.phase(), Phase::Raise { .. }) && steer.cap() > raised);
    // The next step gains nothing.
    steer.end_round(&seen(DELAY_US, 1.2 * RATE, 1.2 * RATE), now);
    steer.end_round(&seen(DELAY_US, 1.2 * RATE, 1.2 * RATE), now);
    assert_eq!(steer.cap(), raised);
    steer.end_round(&seen(DELAY_US, 1.2 * RATE, 1.2 * RATE), now);
    assert!(matches!(steer.phase(), Phase::Follow));
    // The delay is now no reason to go down.
    for _ in 0..20 {
        steer.end_round(&seen(DELAY_US, 1.2 * RATE, 1.2 * RATE), now);
    }
    assert!(steer.cap() >= raised, "{steer:?}");
}

#[test]
fn a_raise_that_gains_nothing_goes_back() {
    let mut steer = following();
    let now = millis(1000);
    let before = steer.cap();
    for _ in 0..3 {
        assert!(steer.cap() >= before);
        steer.end_round(&seen(DELAY_US, RATE, RATE), now);
    }
    assert_eq!(steer.cap(), before);
    assert!(matches!(steer.phase(), Phase::Settle));
    steer.end_round(&seen(DELAY_US, RATE, RATE), now);
    // And the delay is taken for a queue as before. No further than rate times round trip.
    for _ in 0..20 {
        steer.end_round(&seen(DELAY_US, RATE, RATE), now);
    }
    assert!(steer.cap() < before, "{steer:?}");
    assert!(steer.cap() as f64 > 0.9 * RATE * MIN_RTT_US, "{steer:?}");
}

#[test]
fn a_dip_shows_the_delay_without_a_queue() {
    let mut steer = following();
    let now = millis(10_000);
    assert!(steer.end_round(&seen(1000.0, RATE, RATE), now).is_none());
    let cap = steer.cap();
    assert!(steer.cap_at(now) < cap);
    // Nobody else is told of it.
    assert_eq!(steer.cap(), cap);
    steer.add(&sample(31_000.0, 64 << 10));
    steer.add(&sample(30_000.0, 100));
    let round = steer.end_round(&seen(1000.0, RATE, RATE), millis(10_030));
    assert!(round.is_none(), "it lasts");
    let ended = millis(10_100);
    assert_eq!(steer.cap_at(ended), cap);
    let least = steer.end_round(&seen(1000.0, RATE, RATE), ended).unwrap();
    assert_eq!((least.short_us, least.long_us), (30_000.0, 31_000.0));

    let mut min_rtt = MinRtt {
        short_us: 20_000.0,
        long_us: 10_000.0,
    };
    min_rtt.renew(least);
    // A path that has become longer is believed, not more than twice at once.
    assert_eq!((min_rtt.short_us, min_rtt.long_us), (30_000.0, 20_000.0));
    min_rtt.renew(MinRtt::UNKNOWN);
    assert_eq!((min_rtt.short_us, min_rtt.long_us), (30_000.0, 20_000.0));
}

#[test]
fn the_cap_never_leaves_its_bounds() {
    let mut chance = Chance::seeded(3);
    let mut steer = Steer::new(millis(0));
    let mut now = millis(0);
    for round in 0..100_000 {
        // By turns of a hundred rounds it is driven up, down, and anywhere.
        let (delay, rate) = match round / 100 % 3 {
            0 => (0, f64::from(round % 100).exp2()),
            1 => (10_000_000, 0.0),
            _ => (chance.below(100_000), chance.below(1 << 20) as f64),
        };
        let seen = Seen {
            is_limited: chance.below(8) > 0,
            min_rtt_us: 1.0 + chance.below(1_000_000) as f64,
            ..seen(0.0, rate, rate)
        };
        let rtt_us = seen.min_rtt_us + delay as f64;
        steer.end_round(&Seen { rtt_us, ..seen }, now);
        assert!((CAP_MIN..=CAP_MAX).contains(&steer.cap()), "{steer:?}");
        assert!((CAP_MIN..=CAP_MAX).contains(&steer.cap_at(now)));
        now = now + Duration::from_millis(chance.below(500));
    }
}

/// What a message's own bytes take on a slow path is no queue behind which short ones would wait.
#[test]
fn short_and_long_messages_have_round_trips_of_their_own() {
    let mut path = Path::new(millis(0));
    path.on_send(100, millis(0));
    assert!(path.on_ack(100, Duration::ZERO, millis(20)));
    let cap = path.cap();
    let mut sent = 100;
    // The first of them takes 60 ms; all do.
    for round in 1..=40 {
        let at = millis(100 * round);
        path.on_send(32 << 10, at);
        path.on_limited();
        sent += 32 << 10;
        assert!(path.on_ack(sent, Duration::ZERO, at + Duration::from_millis(60)));
    }
    assert_eq!(path.min_rtt(), Some(Duration::from_millis(20)));
    assert!(path.cap() >= cap, "{path:?}");
}

#[test]
fn a_few_answers_that_are_late_do_not_end_the_start() {
    let mut steer = Steer::new(millis(0));
    let cap = steer.cap();
    for round in 0..50 {
        let late = Seen {
            in_flight: 300,
            is_limited: false,
            ..seen(f64::from(round % 3) * DELAY_US, 0.0, 0.01)
        };
        steer.end_round(&late, millis(0));
    }
    assert!(matches!(steer.phase(), Phase::Start { .. }), "{steer:?}");
    assert_eq!(steer.cap(), cap);
}

/// On a short path most of the delay is the queue that is aimed at: a dip that left it would show it
/// as the path's own, and the next would add to it.
#[test]
fn a_dip_empties_the_queue_of_a_short_path() {
    let mut steer = following();
    let now = millis(10_000);
    let short = Seen {
        rtt_us: 4500.0,
        min_rtt_us: 2000.0,
        ..seen(0.0, 10.0 * RATE, 10.0 * RATE)
    };
    assert!(steer.end_round(&short, now).is_none());
    let share = steer.cap_at(now) as f64 / steer.cap() as f64;
    assert!(share < 2000.0 / 4500.0, "{share}");
}
