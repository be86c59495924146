//! How hosts have been, as it is kept: rows of some minutes, quarters of an hour and pieces of three
//! hours, each with what its reports said. Numbers are whole, in units as fine as anybody looks at, so that
//! rows can be added to one another without an error that grows.

use std::time::Duration;

use super::StoreFuture;
use crate::clock::UnixMillis;
use crate::ids::HostId;

/// How much time a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A minute.
    Minute,
    /// A quarter of an hour.
    Quarter,
    /// Three hours.
    ThreeHours,
}

impl Step {
    /// Every step, the finest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Quarter, Self::ThreeHours];

    /// How long it is.
    pub const fn length(self) -> Duration {
        let minutes = match self {
            Self::Minute => 1,
            Self::Quarter => 15,
            Self::ThreeHours => 180,
        };
        Duration::from_secs(minutes * 60)
    }

    /// The number of the piece of time that an instant is in, counted from 1970.
    pub const fn number(self, at: UnixMillis) -> u64 {
        at.0 / self.length().as_millis() as u64
    }

    /// When the piece of time of this number begins.
    pub const fn begin(self, number: u64) -> UnixMillis {
        UnixMillis(number.saturating_mul(self.length().as_millis() as u64))
    }
}

/// What a host's reports measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// Load of all processors in percent.
    Cpu,
    /// Memory in use in percent.
    Memory,
    /// The fullest file system in percent.
    Disk,
    /// Load average over a minute.
    Load,
    /// The hottest sensor in degrees Celsius.
    Temperature,
    /// The link's round trip in milliseconds.
    RoundTrip,
}

impl Gauge {
    /// Every one, in the order in which they are kept.
    pub const ALL: [Self; 6] = [
        Self::Cpu,
        Self::Memory,
        Self::Disk,
        Self::Load,
        Self::Temperature,
        Self::RoundTrip,
    ];

    /// How many of the units in which it is kept make one of its own.
    const fn scale(self) -> f64 {
        match self {
            Self::Cpu | Self::Memory | Self::Disk | Self::Temperature => 10.0,
            Self::Load | Self::RoundTrip => 100.0,
        }
    }
}

/// The largest value, either way, that is taken for what it is: what is beyond is no load, no temperature and
/// no round trip. It bounds the sum over any row.
const VALUE_MAX: f64 = 1e9;

/// What reports said of one thing, in the units of its [`Gauge`]'s scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// How many said it; never zero.
    pub count: u64,
    /// What they said, added up.
    pub sum: i64,
    /// The most that one said.
    pub max: i64,
}

impl Measure {
    /// Their mean, in the gauge's own unit.
    pub fn mean(&self, gauge: Gauge) -> f64 {
        let units = self.sum as f64 / self.count.max(1) as f64;
        // No finer than it is kept.
        units.round() / gauge.scale()
    }

    /// The most that one said, in the gauge's own unit.
    pub fn max(&self, gauge: Gauge) -> f64 {
        self.max as f64 / gauge.scale()
    }

    fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }
}

/// How a host was in some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How many reports came.
    pub reports: u64,
    /// How many seconds its agent was connected.
    pub online_seconds: u64,
    /// How often its agent came back.
    pub reconnects: u64,
    /// Bytes that came over the link.
    pub bytes_from_agent: u64,
    /// Bytes that went over it.
    pub bytes_to_agent: u64,
    /// What was measured, in the order of [`Gauge::ALL`].
    pub measures: [Option<Measure>; Gauge::ALL.len()],
}

impl Figures {
    /// Notes one report's value of a gauge, in the gauge's own unit.
    pub fn measure(&mut self, gauge: Gauge, value: f64) {
        if value.is_nan() {
            return;
        }
        let units = (value.clamp(-VALUE_MAX, VALUE_MAX) * gauge.scale()).round() as i64;
        self.add_measure(
            gauge,
            &Measure {
                count: 1,
                sum: units,
                max: units,
            },
        );
    }

    /// What was measured.
    pub const fn of(&self, gauge: Gauge) -> Option<&Measure> {
        self.measures[gauge as usize].as_ref()
    }

    /// Adds what was in another piece of the same time.
    pub fn add(&mut self, other: &Self) {
        let sum = |own: &mut u64, other: u64| *own = own.saturating_add(other);
        sum(&mut self.reports, other.reports);
        sum(&mut self.online_seconds, other.online_seconds);
        sum(&mut self.reconnects, other.reconnects);
        sum(&mut self.bytes_from_agent, other.bytes_from_agent);
        sum(&mut self.bytes_to_agent, other.bytes_to_agent);
        for gauge in Gauge::ALL {
            if let Some(measure) = other.of(gauge) {
                self.add_measure(gauge, measure);
            }
        }
    }

    fn add_measure(&mut self, gauge: Gauge, measure: &Measure) {
        match &mut self.measures[gauge as usize] {
            Some(own) => own.add(measure),
            none => *none = Some(*measure),
        }
    }
}

/// How a host was in the piece of time that begins then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthRow {
    /// The host.
    pub host: HostId,
    /// When the piece of time begins.
    pub at: UnixMillis,
    /// What was in it.
    pub figures: Figures,
}

/// What is asked for of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthQuery {
    /// The host.
    pub host: HostId,
    /// In pieces of this length.
    pub step: Step,
    /// From the piece that this instant is in.
    pub since: UnixMillis,
    /// Before this instant.
    pub until: UnixMillis,
    /// So many pieces are looked at, at most.
    pub count: usize,
}

/// What the platform keeps of how hosts have been.
pub trait HealthStore: Send + Sync {
    /// Adds what was in minutes to what is kept of them, at every step and in one transaction. A host that
    /// is gone is passed over.
    fn put_health(&self, minutes: Vec<HealthRow>) -> StoreFuture<'_, ()>;

    /// A host's rows, oldest first.
    fn health(&self, query: HealthQuery) -> StoreFuture<'_, Vec<HealthRow>>;

    /// Removes the oldest rows of a step that began before `before`, at most `count`. Answers how many.
    fn remove_health(&self, step: Step, before: UnixMillis, count: usize)
    -> StoreFuture<'_, usize>;
}
