//! Names of enum values that this schema does not have, as a newer JSON peer may send them. An enum
//! is a number everywhere else, so such a name becomes a negative number that follows from it, and
//! the name is remembered here: written as JSON again, it is the name that came. No value of the
//! schema is negative, so nothing is mistaken for it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Mutex, PoisonError},
};

/// A name of the protocol is not longer than a capability's.
const NAME_BYTES_MAX: usize = 64;
/// Peers fill this: it is far more than versions to come will name, and 100 KiB at most. A name
/// that came later is written as its number.
const NAMES_MAX: usize = 1024;

/// `None` for a number that two names have: each is written as the number.
type Names = BTreeMap<i32, Option<Box<str>>>;

/// One for all connections, as what came on one is handed on by another.
static NAMES: Mutex<Names> = Mutex::new(Names::new());

/// The number that stands for the name; `None` where the text cannot be a name.
pub fn number_of(name: &str) -> Option<i32> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(|b| b.is_ascii_graphic())
    {
        return None;
    }
    let number = hash(name);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let full = names.len() >= NAMES_MAX;
    match names.entry(number) {
        Entry::Occupied(mut known) => {
            if known.get().as_deref().is_some_and(|known| known != name) {
                known.insert(None);
            }
        }
        Entry::Vacant(place) if !full => {
            place.insert(Some(name.into()));
        }
        Entry::Vacant(_) => {}
    }
    Some(number)
}

/// The name that this number stands for, where one came.
pub fn name_of(number: i32) -> Option<Box<str>> {
    if number >= 0 {
        return None;
    }
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.get(&number).cloned().flatten()
}

/// FNV-1a of 32 bits with the sign set. `docs/PROTOCOL.md` states it, so that two ends agree.
fn hash(name: &str) -> i32 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (hash | 1 << 31).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back() {
        let number = number_of("paused_by_owner").expect("a name");
        assert!(number < 0);
        assert_eq!(number_of("paused_by_owner"), Some(number));
        assert_eq!(name_of(number).as_deref(), Some("paused_by_owner"));
        assert_eq!(name_of(3), None);
    }

    #[test]
    fn a_name_whose_number_another_has_is_only_its_number() {
        let number = number_of("paused_by_18cbf").expect("a name");
        assert!(name_of(number).is_some());
        // Both are of one hash.
        assert_eq!(number_of("paused_by_25a11"), Some(number));
        assert_eq!(name_of(number), None);
        assert_eq!(number_of("paused_by_18cbf"), Some(number));
        assert_eq!(name_of(number), None);
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        for text in ["", "a b", "ä", &"x".repeat(65)] {
            assert_eq!(number_of(text), None, "{text:?}");
        }
    }
}
