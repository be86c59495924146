//! Thousands of streams with bodies, delays and ends by chance: afterwards nothing is left.

use super::{
    super::{Agent, Link, Platform, Received, Side, StreamKey, Time},
    Chance, millis,
    pair::{Pair, request, response},
    seconds,
    wire::Shape,
};
use crate::{
    limits,
    wire::{fields::FieldLines, messages::ErrorCode},
};
use std::time::Duration;

/// How one end of a stream behaves.
#[derive(Debug)]
struct Script {
    key: StreamKey,
    born: Time,
    /// Nothing is done before.
    wakes: Time,
    /// The head is sent.
    begun: bool,
    /// Bytes left to send.
    left: u64,
    /// Sending ends early when so many are left.
    breaks_at: Option<u64>,
    /// Reading ends early when so many were read.
    leaves_at: Option<u64>,
    got: u64,
    /// It ends a direction by letting go of it, not by saying so.
    drops: bool,
    send_held: bool,
    recv_held: bool,
    sending: bool,
    reading: bool,
}

impl Script {
    fn by_chance(key: StreamKey, begun: bool, now: Time, chance: &mut Chance) -> Self {
        let length = |chance: &mut Chance| match chance.below(4) {
            0 => 0,
            1 => chance.below(2000),
            2 => chance.below(60_000),
            _ => chance.below(700_000),
        };
        let left = length(chance);
        let ends_early = |chance: &mut Chance| chance.once_in(4).then(|| chance.below(300_000));
        Self {
            key,
            born: now,
            wakes: now + Duration::from_micros(chance.below(30_000)),
            begun,
            left,
            breaks_at: ends_early(chance),
            leaves_at: ends_early(chance),
            got: 0,
            drops: chance.once_in(2),
            send_held: true,
            recv_held: true,
            sending: true,
            reading: true,
        }
    }

    /// Does what is next; `false` when it has let go of both halves.
    fn step<S: Side>(&mut self, link: &mut Link<S>, now: Time) -> bool {
        if now < self.wakes {
            return true;
        }
        if self.sending && self.begun {
            self.send(link, now);
        }
        if self.reading {
            self.read(link, now);
        }
        assert!(now.since(self.born) < seconds(900), "it stalls: {self:?}");
        if !self.sending && !self.reading {
            if self.send_held {
                link.release_send(self.key);
            }
            if self.recv_held {
                link.release_recv(self.key, now);
            }
            return false;
        }
        true
    }

    fn send<S: Side>(&mut self, link: &mut Link<S>, now: Time) {
        if link.stopped(self.key).is_some() {
            self.sending = false;
        } else if self.breaks_at.is_some_and(|at| self.left <= at) {
            self.sending = false;
            if self.drops {
                self.send_held = false;
                link.release_send(self.key);
            } else {
                link.reset(self.key, ErrorCode::TargetClosed, "by chance");
            }
        } else if self.left == 0 {
            self.sending = false;
            link.finish(self.key, FieldLines::default(), now);
        } else {
            self.left = link.pour(self.key, self.left, now);
        }
    }

    fn read<S: Side>(&mut self, link: &mut Link<S>, now: Time) {
        while let Some(Ok(_)) = link.read_head(self.key) {}
        if self.leaves_at.is_some_and(|at| self.got >= at) {
            self.reading = false;
            if self.drops {
                self.recv_held = false;
                link.release_recv(self.key, now);
            } else {
                link.stop(self.key, ErrorCode::Cancelled, now);
            }
            return;
        }
        match link.read(self.key, now) {
            Received::Data(data) => self.got += data.len() as u64,
            Received::Pending => {}
            Received::End | Received::Failed(_) => self.reading = false,
        }
    }
}

struct Load {
    chance: Chance,
    to_open: usize,
    platform: Vec<Script>,
    agent: Vec<Script>,
}

impl Load {
    fn drive(&mut self, pair: &mut Pair) -> bool {
        let now = pair.now;
        while self.to_open > 0 && self.platform.len() < 60 && !self.chance.once_in(5) {
            let length = if self.chance.once_in(2) {
                0
            } else {
                self.chance.below(16_000)
            };
            let follows = self.chance.once_in(2);
            let head = request(vec![7; length as usize], follows);
            let Ok(key) = pair.platform.link.open(head, now) else {
                break;
            };
            self.to_open -= 1;
            let mut script = Script::by_chance(key, true, now, &mut self.chance);
            if !follows {
                script.sending = false;
            }
            self.platform.push(script);
        }
        while let Some(key) = pair.opened() {
            self.agent
                .push(Script::by_chance(key, false, now, &mut self.chance));
        }
        for script in &mut self.agent {
            if !script.begun && now >= script.wakes {
                script.begun = true;
                Self::answer(&mut self.chance, script, &mut pair.agent.link, now);
            }
        }
        let (agent, platform) = (&mut pair.agent.link, &mut pair.platform.link);
        self.agent.retain_mut(|script| script.step(agent, now));
        self.platform
            .retain_mut(|script| script.step(platform, now));
        Self::check(agent, platform);
        pair.agent.events.clear();
        pair.platform.events.clear();
        pair.agent.touched.clear();
        pair.platform.touched.clear();
        pair.alarm = Some(now + Duration::from_micros(300 + self.chance.below(3000)));
        self.to_open == 0 && self.platform.is_empty() && self.agent.is_empty()
    }

    fn answer(chance: &mut Chance, script: &mut Script, link: &mut Link<Agent>, now: Time) {
        if chance.once_in(10) {
            // The peer may have stopped the stream meanwhile.
            let _ = link.send_head(script.key, response(103, "", false), now);
        }
        if chance.once_in(20) {
            link.reset(script.key, ErrorCode::TargetUnreachable, "nobody there");
            script.sending = false;
            return;
        }
        let length = chance.below(16_000) as usize;
        let follows = chance.once_in(2);
        script.sending = follows;
        if link
            .send_head(script.key, response(200, vec![1; length], follows), now)
            .is_err()
        {
            script.sending = false;
        }
    }

    fn check(agent: &Link<Agent>, platform: &Link<Platform>) {
        assert!(agent.window.unread() <= limits::SESSION_WINDOW_MAX);
        assert!(platform.window.unread() <= limits::SESSION_WINDOW_MAX);
        assert!(agent.stream_count() <= limits::STREAMS_MAX);
        assert!(platform.stream_count() <= limits::STREAMS_MAX);
    }
}

fn run(seed: u64, streams: usize) -> (Pair, Load) {
    let mut chance = Chance(seed);
    let shape = Shape {
        rate: Some(1_000_000 * (5 + chance.below(500))),
        delay: Duration::from_micros(chance.below(40_000)),
        queue_bytes: 64 << 10 << chance.below(6),
        jitter: Duration::ZERO,
    };
    let mut pair = Pair::open(shape, seed);
    let mut load = Load {
        chance,
        to_open: streams,
        platform: Vec::new(),
        agent: Vec::new(),
    };
    let until = pair.now + seconds(3600);
    pair.run_until(until, &mut |pair| load.drive(pair));
    assert_eq!(load.to_open, 0, "the streams came to an end in time");
    (pair, load)
}

#[test]
fn streams_that_end_by_chance_leave_nothing() {
    let mut seeds = Chance::seeded(1);
    for _ in 0..8 {
        let seed = seeds.next();
        println!("run {seed}");
        let (mut pair, _) = run(seed, 600);
        pair.assert_quiet();
    }
}

#[test]
fn a_connection_that_ends_at_any_moment_leaves_nothing() {
    let mut seeds = Chance::seeded(2);
    for _ in 0..30 {
        let mut chance = Chance(seeds.next());
        let mut pair = Pair::open(Shape::delay_only(millis(10)), chance.next());
        let mut load = Load {
            chance: Chance(chance.next()),
            to_open: usize::MAX,
            platform: Vec::new(),
            agent: Vec::new(),
        };
        let until = pair.now + Duration::from_micros(chance.below(2_000_000));
        pair.run_until(until, &mut |pair| load.drive(pair));
        pair.disconnect();
        load.to_open = 0;
        let until = pair.now + seconds(60);
        pair.run_until(until, &mut |pair| load.drive(pair));
        assert_eq!(pair.agent.link.stream_count(), 0);
        assert_eq!(pair.platform.link.stream_count(), 0);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let seed = Chance::seeded(5).next();
    let (first, _) = run(seed, 100);
    let (again, _) = run(seed, 100);
    assert_eq!((first.trace, first.now), (again.trace, again.now));
    let (other, _) = run(seed ^ 1, 100);
    assert_ne!(first.trace, other.trace);
}
