//! Which sequences of commands this agent has had, for good and in bounded space: a floor below which all
//! is settled, and the ranges above it. What became of each is not here.

use std::collections::BTreeMap;

/// The most ranges. Each takes some 40 bytes in memory and 16 in the journal. There are gaps where a command
/// of high priority came before those of lower, or one was cancelled before it was sent.
pub const RANGES_MAX: usize = 1 << 16;

/// A set of sequences. 0 is none: a command without a sequence is known by its id alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Everything up to here counts as had.
    floor: u64,
    /// First and last of each range above the floor. No two touch.
    ranges: BTreeMap<u64, u64>,
}

impl Known {
    /// The set of what a journal has. `None` where the ranges are none that a set could have.
    pub fn from_parts(floor: u64, parts: &[(u64, u64)]) -> Option<Self> {
        let mut known = Self {
            floor,
            ranges: BTreeMap::new(),
        };
        let mut end = floor;
        for (first, last) in parts {
            if first <= &end || last < first || known.ranges.len() == RANGES_MAX {
                return None;
            }
            end = *last;
            known.ranges.insert(*first, *last);
        }
        Some(known)
    }

    /// Whether it was had.
    pub fn contains(&self, sequence: u64) -> bool {
        let before = self.ranges.range(..=sequence).next_back();
        sequence > 0
            && (sequence <= self.floor || before.is_some_and(|(_, last)| sequence <= *last))
    }

    /// Whether there is room for this one: not where it would be one range too many.
    pub fn has_room_for(&self, sequence: u64) -> bool {
        let touches = sequence <= self.floor.saturating_add(1)
            || self.contains(sequence)
            || self.contains(sequence - 1)
            || sequence
                .checked_add(1)
                .is_some_and(|next| self.ranges.contains_key(&next));
        touches || self.ranges.len() < RANGES_MAX
    }

    /// Takes one in. The caller has asked whether there is room.
    pub fn insert(&mut self, sequence: u64) {
        if sequence == 0 || self.contains(sequence) {
            return;
        }
        let after = sequence
            .checked_add(1)
            .and_then(|next| self.ranges.remove(&next));
        let last = after.unwrap_or(sequence);
        if sequence - 1 == self.floor {
            self.floor = last;
            return;
        }
        let before = self.ranges.range_mut(..sequence).next_back();
        match before.filter(|(_, end)| **end == sequence - 1) {
            Some((_, end)) => *end = last,
            None => {
                self.ranges.insert(sequence, last);
            }
        }
    }

    /// Everything up to here is settled.
    pub fn raise(&mut self, floor: u64) {
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        while let Some(range) = self.ranges.first_entry() {
            if *range.key() > self.floor.saturating_add(1) {
                break;
            }
            self.floor = self.floor.max(range.remove());
        }
    }

    /// The highest that was had; 0 before the first.
    pub fn highest(&self) -> u64 {
        let last = self.ranges.last_key_value();
        last.map_or(self.floor, |(_, last)| *last)
    }

    /// The floor, and the ranges above it in order.
    pub fn parts(&self) -> (u64, impl ExactSizeIterator<Item = (u64, u64)> + '_) {
        let ranges = self.ranges.iter().map(|(first, last)| (*first, *last));
        (self.floor, ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Raise(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0_u64..80).prop_map(Step::Insert),
            1 => (0_u64..80).prop_map(Step::Raise),
            1 => Just(Step::Insert(u64::MAX)),
            1 => Just(Step::Insert(u64::MAX - 1)),
        ]
    }

    proptest! {
        #[test]
        fn it_is_the_set_that_a_simple_one_is(steps in proptest::collection::vec(step(), 0..120)) {
            let mut known = Known::default();
            let mut naive = BTreeSet::new();
            let mut floor = 0;
            for step in steps {
                match step {
                    Step::Insert(sequence) => {
                        prop_assert!(known.has_room_for(sequence));
                        known.insert(sequence);
                        naive.insert(sequence);
                    }
                    Step::Raise(sequence) => {
                        known.raise(sequence);
                        floor = floor.max(sequence);
                    }
                }
                let had = |sequence: u64| {
                    sequence > 0 && (sequence <= floor || naive.contains(&sequence))
                };
                for sequence in (0..90).chain([u64::MAX - 2, u64::MAX - 1, u64::MAX]) {
                    prop_assert_eq!(known.contains(sequence), had(sequence), "{}", sequence);
                }
                let highest = naive.last().copied().unwrap_or(0).max(floor);
                prop_assert_eq!(known.highest(), highest);
                let (floor, ranges) = known.parts();
                let ranges: Vec<_> = ranges.collect();
                // No two touch, so that the space is what the gaps need.
                prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
                prop_assert!(ranges.first().is_none_or(|(first, _)| *first > floor + 1));
                prop_assert_eq!(Known::from_parts(floor, &ranges), Some(known.clone()));
            }
        }
    }

    #[test]
    fn space_is_bounded() {
        let mut known = Known::default();
        for sequence in 1..=RANGES_MAX as u64 {
            known.insert(sequence * 2);
        }
        assert_eq!(known.parts().1.len(), RANGES_MAX);
        let next = (RANGES_MAX as u64 + 1) * 2;
        assert!(!known.has_room_for(next));
        // What closes a gap, or touches a range, takes none.
        assert!([1, 3, 4, next - 1].iter().all(|it| known.has_room_for(*it)));
        known.insert(3);
        assert!(known.has_room_for(next));
        known.raise(next - 2);
        assert_eq!(known.parts().0, next - 2);
    }

    #[test]
    fn what_no_set_has_is_not_taken_from_a_journal() {
        for parts in [
            &[(5, 5)][..],
            &[(7, 6)],
            &[(7, 9), (9, 10)],
            &[(9, 9), (7, 7)],
        ] {
            assert_eq!(Known::from_parts(5, parts), None, "{parts:?}");
        }
    }
}
