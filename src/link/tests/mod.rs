//! Two links over a virtual network, in virtual time: what a peer sees of the protocol.

mod abuse;
mod floods;
mod handshake;
mod lanes;
mod liveness;
mod pair;
mod path;
mod room;
mod streams;
mod wire;
mod workload;

use super::Time;
use std::time::Duration;

/// Numbers by chance, the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// The seed of FLEETWIRE_SEED, or that one. Printed, so that a failure can be seen again.
    pub(super) fn seeded(default: u64) -> Self {
        let given = std::env::var("FLEETWIRE_SEED").ok();
        let seed = given.map_or(default, |text| {
            text.parse().expect("FLEETWIRE_SEED is a number")
        });
        println!("FLEETWIRE_SEED={seed}");
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `times`.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
