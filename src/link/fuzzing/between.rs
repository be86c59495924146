//! Two links that keep the rules, whatever their programs and the network do.

use super::{
    super::{Agent, AgentEvent, Link, Platform, Side, Time},
    Input, Program, TRANSMIT_MAX, admission, check, hello, look, request, response,
};
use crate::wire::messages::{AgentToPlatform, ErrorCode, PlatformToAgent};
use std::{collections::VecDeque, time::Duration};

/// The two and what is on its way between them.
struct Both {
    agent: Link<Agent>,
    platform: Link<Platform>,
    up: VecDeque<AgentToPlatform>,
    down: VecDeque<PlatformToAgent>,
    at_agent: Program,
    at_platform: Program,
    now: Time,
    /// Silence has ended it: time went on while nothing was delivered.
    silent: bool,
}

/// Any bytes as what the programs and the network do.
pub(super) fn links(input: &mut Input<'_>) {
    let start = Time::from_micros(1);
    let mut both = Both {
        agent: Link::connect(hello(false), start),
        platform: Link::accept(start),
        up: VecDeque::new(),
        down: VecDeque::new(),
        at_agent: Program::default(),
        at_platform: Program::default(),
        now: start,
        silent: false,
    };
    both.settle();
    while !input.is_empty() && !both.silent {
        both.step(input);
        look(&mut both.agent);
        look(&mut both.platform);
        check(&both.agent, both.at_agent.handles.len());
        check(&both.platform, both.at_platform.handles.len());
    }
    let now = both.now;
    both.at_agent.leave(&mut both.agent, now);
    both.at_platform.leave(&mut both.platform, now);
    if both.silent {
        both.agent.close();
        both.platform.close();
        look(&mut both.agent);
        look(&mut both.platform);
    } else {
        both.settle();
        assert_eq!(both.agent.sent_messages, both.platform.arrivals.messages());
        assert_eq!(both.platform.sent_messages, both.agent.arrivals.messages());
        assert_eq!(both.agent.path.in_flight(), 0);
        assert_eq!(both.platform.path.in_flight(), 0);
    }
    assert_eq!(both.agent.stream_count(), 0, "streams are left");
    assert_eq!(both.platform.stream_count(), 0, "streams are left");
}

impl Both {
    fn step(&mut self, input: &mut Input<'_>) {
        let now = self.now;
        match input.below(9) {
            0 => {
                let opened = request(0, input).and_then(|r| self.platform.open(r, now).ok());
                opened
                    .into_iter()
                    .for_each(|key| self.at_platform.hold(key));
            }
            1 | 2 => {
                let head = |input: &mut Input<'_>| Some(response(0, input));
                self.at_agent.call(&mut self.agent, input, now, head);
            }
            3 | 4 => {
                let (program, link) = (&mut self.at_platform, &mut self.platform);
                program.call(link, input, now, |_| None);
            }
            5 => {
                let most = input.byte().into();
                self.transmit(most, most);
            }
            6 => {
                let most = input.byte().into();
                self.deliver(most, 0);
            }
            7 => {
                let most = input.byte().into();
                self.deliver(0, most);
            }
            _ => self.pass(input.duration()),
        }
    }

    fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
        let ends = [
            self.agent.handle_timeout(self.now),
            self.platform.handle_timeout(self.now),
        ];
        for violation in ends.into_iter().filter_map(Result::err) {
            assert_eq!(violation.code, ErrorCode::PeerSilent);
            self.silent = true;
        }
    }

    fn transmit(&mut self, up: usize, down: usize) -> usize {
        let (agent, platform, now) = (&mut self.agent, &mut self.platform, self.now);
        let before = self.up.len() + self.down.len();
        self.up.extend(send(agent, up, now));
        self.down.extend(send(platform, down, now));
        self.up.len() + self.down.len() - before
    }

    fn deliver(&mut self, up: usize, down: usize) -> usize {
        let (up, down) = (up.min(self.up.len()), down.min(self.down.len()));
        for message in self.up.drain(..up) {
            let taken = self.platform.handle(message, self.now);
            taken.expect("an agent that keeps the rules breaks none");
            while self.platform.poll_event().is_some() {
                self.platform.admit(admission(), self.now);
            }
        }
        for message in self.down.drain(..down) {
            let taken = self.agent.handle(message, self.now);
            taken.expect("a platform that keeps the rules breaks none");
            while let Some(event) = self.agent.poll_event() {
                if let AgentEvent::Opened { key, .. } = event {
                    self.at_agent.hold(key);
                }
            }
        }
        up + down
    }

    /// Everything flows until nothing more is to be said.
    fn settle(&mut self) {
        for _ in 0..TRANSMIT_MAX {
            let moved =
                self.transmit(TRANSMIT_MAX, TRANSMIT_MAX) + self.deliver(usize::MAX, usize::MAX);
            let now = self.now;
            self.at_agent.leave(&mut self.agent, now);
            look(&mut self.agent);
            look(&mut self.platform);
            let acknowledged =
                self.agent.arrivals.due_at().is_none() && self.platform.arrivals.due_at().is_none();
            if moved == 0 && acknowledged {
                return;
            }
            self.now = self.now + Duration::from_millis(10);
        }
        unreachable!("two links that talk without end");
    }
}

fn send<S: Side>(link: &mut Link<S>, most: usize, now: Time) -> Vec<S::Send> {
    let sent: Vec<_> = std::iter::from_fn(|| link.poll_transmit(now))
        .take(most)
        .collect();
    assert!(sent.len() < TRANSMIT_MAX, "it sends without end");
    sent
}
