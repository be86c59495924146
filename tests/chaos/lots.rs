//! Lots that are drawn the same again from the same seed.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A source of lots (SplitMix64).
pub struct Lots(Cell<u64>);

impl Lots {
    /// Those of this run. The seed is printed, and set by `FLEETWIRE_SEED`.
    pub fn seeded() -> Self {
        let seed = std::env::var("FLEETWIRE_SEED").ok().map_or_else(
            || {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                now.as_secs() << 20 | u64::from(now.subsec_micros())
            },
            |seed| seed.parse().expect("FLEETWIRE_SEED is a number"),
        );
        println!("FLEETWIRE_SEED={seed}");
        Self(Cell::new(seed))
    }

    /// Others, which do not depend on how many of these are drawn.
    pub fn branch(&self, number: u64) -> Self {
        let apart = number.wrapping_mul(0xD1B5_4A32_D192_ED03);
        Self(Cell::new(self.0.get() ^ apart))
    }

    /// A number below `end`.
    pub fn below(&self, end: u64) -> u64 {
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Some milliseconds.
    pub fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}
