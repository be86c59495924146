//! What goes wrong, drawn by lot. What lasts a while does so while other things go wrong.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use super::lots::Lots;
use super::world::World;

/// The platform takes a connection for dead that was silent for three seconds: what lasts is as often
/// shorter as it is longer.
const LASTS_MS: (u64, u64) = (100, 6000);
/// How far a clock is moved, to either side: mostly so far.
const MOVED_SECONDS: u64 = 600;
/// At times so far, in seconds. Two clocks are never a day apart, which is how long commands that say
/// nothing of their end may wait.
const MOVED_FAR_SECONDS: u64 = 10 * 60 * 60;

/// What has been done so far.
pub struct Faults {
    lots: Lots,
    done: BTreeMap<&'static str, usize>,
    lasting: Vec<(Instant, Ending)>,
}

/// What ends something that lasts.
#[derive(Clone, Copy)]
enum Ending {
    AgentGoesOn,
    PlatformGoesOn,
    WayPasses(usize),
    DiskHasRoom,
}

impl Faults {
    pub const fn new(lots: Lots) -> Self {
        Self {
            lots,
            done: BTreeMap::new(),
            lasting: Vec::new(),
        }
    }

    /// Lets the world be for a moment, and does one thing to it.
    pub fn one(&mut self, world: &World) {
        self.wait(world, self.lots.millis(100, 1500));
        let lasts = self.lots.millis(LASTS_MS.0, LASTS_MS.1);
        // An agent that is started anew comes back at once, one that was cut off waits longer each time: so
        // the first is to happen now and then.
        let name = match self.lots.below(12) {
            0 | 1 => {
                world.kill_agent(self.lots.millis(0, 500));
                "agent killed"
            }
            2 | 3 => {
                world.kill_platform(self.lots.millis(0, 500));
                "platform killed"
            }
            4 => {
                world.signal_agent("STOP");
                self.last(lasts, Ending::AgentGoesOn);
                "agent frozen"
            }
            5 => {
                world.signal_platform("STOP");
                self.last(lasts / 2, Ending::PlatformGoesOn);
                "platform frozen"
            }
            6 => {
                world.relay.cut();
                "link cut"
            }
            7 | 8 => {
                let direction = usize::from(self.lots.below(2) == 0);
                world.relay.hold(direction, true);
                self.last(lasts, Ending::WayPasses(direction));
                "link cut in half"
            }
            9 => {
                world.disk.fill();
                self.last(lasts, Ending::DiskHasRoom);
                "agent's disk full"
            }
            _ => {
                let far = self.lots.below(4) == 0;
                let most = if far {
                    MOVED_FAR_SECONDS
                } else {
                    MOVED_SECONDS
                };
                let seconds = self.lots.below(2 * most).cast_signed() - most.cast_signed();
                if self.lots.below(2) == 0 {
                    world.agent_clock.set(seconds);
                    "agent's clock moved"
                } else {
                    world.platform_clock.set(seconds);
                    "platform's clock moved"
                }
            }
        };
        *self.done.entry(name).or_default() += 1;
    }

    fn last(&mut self, time: Duration, ending: Ending) {
        self.lasting.push((Instant::now() + time, ending));
    }

    fn wait(&mut self, world: &World, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let first = self.lasting.iter().map(|(at, _)| *at).min();
            let next = first.map_or(until, |first| first.min(until));
            thread::sleep(next.saturating_duration_since(Instant::now()));
            let (over, on): (Vec<_>, Vec<_>) = self.lasting.drain(..).partition(|it| it.0 <= next);
            self.lasting = on;
            for (_, ending) in over {
                match ending {
                    Ending::AgentGoesOn => world.signal_agent("CONT"),
                    Ending::PlatformGoesOn => world.signal_platform("CONT"),
                    Ending::WayPasses(direction) => world.relay.hold(direction, false),
                    Ending::DiskHasRoom => world.disk.empty(),
                }
            }
            if next == until {
                return;
            }
        }
    }

    /// What was done, for whoever reads the test's output.
    pub fn told(&self) -> String {
        let told = self
            .done
            .iter()
            .map(|(name, count)| format!("{name} {count}"));
        told.collect::<Vec<_>>().join(", ")
    }
}
