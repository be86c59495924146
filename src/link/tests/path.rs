//! The path's window in simulation: what a bulk download leaves of a small request's latency, and
//! what goodput it reaches.

use super::{
    Chance, Time, millis,
    pair::{Pair, request, response},
    seconds,
    wire::Shape,
};
use crate::link::StreamKey;
use bytes::Bytes;
use std::{collections::VecDeque, time::Duration};

/// What a run showed.
#[derive(Debug)]
struct Figures {
    /// Bytes of the download a second, as a share of what the link carries.
    share: f64,
    /// With what the small answers take of it.
    total: f64,
    idle: Duration,
    p50: Duration,
}

/// A request of 200 B every 20 ms with an answer of 1 KiB, beside a download or not.
struct Load {
    downloads: usize,
    from: Time,
    next_small: Time,
    small: VecDeque<(StreamKey, Time)>,
    /// The agent's ends of downloads.
    pouring: Vec<StreamKey>,
    reading: Vec<StreamKey>,
    bytes: u64,
    latencies: Vec<Duration>,
}

impl Load {
    fn drive(&mut self, pair: &mut Pair) -> bool {
        let now = pair.now;
        let platform = &mut pair.platform.link;
        while self.reading.len() < self.downloads {
            let key = platform.open(request("", false), now).expect("it opens");
            self.reading.push(key);
        }
        if now >= self.next_small {
            let key = platform
                .open(request(vec![0; 200], false), now)
                .expect("it opens");
            self.small.push_back((key, now));
            self.next_small = now + millis(20);
        }
        for &key in &self.reading {
            while let Some(head) = platform.read_head(key) {
                head.expect("a head");
            }
            let mut bytes = 0;
            platform
                .drain(key, now, |data| bytes += data.len() as u64)
                .expect("it lasts");
            if now >= self.from {
                self.bytes += bytes;
            }
        }
        self.small.retain(|&(key, sent)| {
            let Some(head) = platform.read_head(key) else {
                return true;
            };
            head.expect("an answer");
            platform.drain(key, now, |_| ()).expect("an answer");
            platform.release_send(key);
            platform.release_recv(key, now);
            if sent >= self.from {
                self.latencies.push(now.since(sent));
            }
            false
        });

        while let Some(event) = pair.agent.events.pop_front() {
            let crate::link::AgentEvent::Opened { key, .. } = event else {
                continue;
            };
            let agent = &mut pair.agent.link;
            let mut length = 0;
            agent
                .drain(key, now, |data| length += data.len())
                .expect("a request");
            if length == 200 {
                let answer = response(200, vec![0; 1024], false);
                agent.send_head(key, answer, now).expect("it answers");
                agent.release_send(key);
                agent.release_recv(key, now);
            } else {
                agent
                    .send_head(key, response(200, Bytes::new(), true), now)
                    .expect("a head");
                self.pouring.push(key);
            }
        }
        for &key in &self.pouring {
            pair.agent.link.pour(key, u64::MAX, now);
        }
        pair.agent.touched.clear();
        pair.platform.touched.clear();
        pair.platform.events.clear();
        pair.alarm = Some(self.next_small);
        false
    }
}

fn latencies(
    shape: Shape,
    downloads: usize,
    warm: Duration,
    long: Duration,
) -> (Vec<Duration>, f64) {
    let mut pair = Pair::open(shape, 7);
    let mut load = Load {
        downloads,
        from: pair.now + warm,
        next_small: pair.now,
        small: VecDeque::new(),
        pouring: Vec::new(),
        reading: Vec::new(),
        bytes: 0,
        latencies: Vec::new(),
    };
    let until = load.from + long;
    pair.run_until(until, &mut |pair| load.drive(pair));
    assert_eq!(pair.agent.failed, None);
    assert_eq!(pair.platform.failed, None);
    load.latencies.sort();
    let share = load.bytes as f64 / long.as_secs_f64() / goodput(shape);
    (load.latencies, share)
}

/// Bytes of messages that the path carries a second.
fn goodput(shape: Shape) -> f64 {
    // Of 1514 B on the wire, 1448 are a message's, and 31 of 31,775 are a header.
    shape.rate.expect("a rate") as f64 / 8.0 * 1448.0 / 1514.0
}

fn measure(name: &str, shape: Shape, downloads: usize, warm: Duration, long: Duration) -> Figures {
    let (idle, _) = latencies(shape, 0, seconds(0), seconds(2));
    let (busy, share) = latencies(shape, downloads, warm, long);
    let quantile = |of: &[Duration], q: f64| of[((of.len() - 1) as f64 * q) as usize];
    let small = (busy.len() * 1024) as f64 / long.as_secs_f64() / goodput(shape);
    let figures = Figures {
        share,
        total: share + small,
        idle: quantile(&idle, 0.5),
        p50: quantile(&busy, 0.5),
    };
    let (p99, max) = (quantile(&busy, 0.99), quantile(&busy, 1.0));
    println!("{name}, {downloads} downloads: {figures:?}, p99 {p99:?}, most {max:?}");
    figures
}

fn shape(megabits: u64, round_trip: Duration, queue_bytes: u64) -> Shape {
    Shape {
        rate: Some(megabits * 1_000_000),
        delay: round_trip / 2,
        queue_bytes,
        jitter: Duration::ZERO,
    }
}

#[test]
fn a_small_request_beside_a_download_waits_little_and_the_link_is_full() {
    let figures = measure(
        "100 Mbit/s x 20 ms, 1 BDP",
        shape(100, millis(20), 256 << 10),
        1,
        seconds(2),
        seconds(10),
    );
    assert!(figures.share >= 0.95);
    assert!(figures.p50 <= figures.idle * 6 / 5);
}

#[test]
fn a_deep_queue_stays_empty() {
    let figures = measure(
        "100 Mbit/s x 20 ms, 10 BDP",
        shape(100, millis(20), 2560 << 10),
        1,
        seconds(2),
        seconds(10),
    );
    assert!(figures.share >= 0.95);
    assert!(figures.p50 <= figures.idle * 6 / 5);
}

#[test]
fn several_downloads_cost_no_more_than_one() {
    let figures = measure(
        "100 Mbit/s x 20 ms, 1 BDP",
        shape(100, millis(20), 256 << 10),
        4,
        seconds(2),
        seconds(10),
    );
    assert!(figures.share >= 0.95);
    assert!(figures.p50 <= figures.idle * 6 / 5);
}

#[test]
fn a_long_fat_path_is_filled() {
    let figures = measure(
        "1 Gb/s x 100 ms",
        shape(1000, millis(100), 12_500_000),
        1,
        seconds(5),
        seconds(5),
    );
    assert!(figures.share >= 0.95);
    assert!(figures.p50 <= figures.idle * 6 / 5);
}

#[test]
fn a_home_line_is_filled_too() {
    let figures = measure(
        "20 Mbit/s x 40 ms",
        shape(20, millis(40), 256 << 10),
        1,
        seconds(3),
        seconds(10),
    );
    assert!(figures.share >= 0.94);
    assert!(figures.p50 <= figures.idle * 6 / 5);
}

/// What may be in flight at the least is a tenth of a second there, and a piece a thirtieth. The
/// small requests, which nothing holds back, take a quarter of it.
#[test]
fn a_slow_path_is_filled_and_a_small_request_waits_for_little() {
    let figures = measure(
        "2 Mbit/s x 40 ms",
        shape(2, millis(40), 64 << 10),
        1,
        seconds(4),
        seconds(20),
    );
    assert!(figures.total >= 0.9);
    let floor_and_piece = millis(((24 + 8) << 10) * 8 * 1000 / 2_000_000);
    assert!(figures.p50 <= figures.idle + floor_and_piece);
}

/// Delay by chance, as of radio, is no queue.
#[test]
fn a_path_with_jitter_is_used() {
    let jitter = millis(15);
    let shape = Shape {
        jitter,
        ..shape(50, millis(40), 512 << 10)
    };
    let figures = measure(
        "50 Mbit/s x 40 ms, to 15 ms of jitter",
        shape,
        1,
        seconds(4),
        seconds(10),
    );
    assert!(figures.share >= 0.5);
    assert!(figures.p50 <= 2 * figures.idle);
}

#[test]
fn loopback_is_not_throttled() {
    let shape = Shape {
        rate: Some(5_000_000_000),
        delay: Duration::from_micros(25),
        queue_bytes: 4 << 20,
        jitter: Duration::ZERO,
    };
    let figures = measure("5 Gb/s x 50 us", shape, 1, millis(500), millis(500));
    assert!(figures.share >= 0.9);
}

#[test]
fn a_path_by_chance_is_filled() {
    let mut chance = Chance::seeded(11);
    let megabits = 50 + chance.below(100);
    let figures = measure(
        "by chance",
        shape(megabits, millis(10 + chance.below(60)), 512 << 10),
        2,
        seconds(4),
        seconds(6),
    );
    assert!(figures.share >= 0.9);
}
