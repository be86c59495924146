//! Names of enum values that this schema does not have, as a newer JSON peer may send them. An enum
//! is a number everywhere else, so such a name becomes a negative number that follows from it, and
//! the name is remembered here: written as JSON again, it is the name that came. No value of the
//! schema is negative, so nothing is mistaken for it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// A name of the protocol is not longer than a capability's.
const NAME_BYTES_MAX: usize = 64;
/// Peers fill this: it is far more than versions to come will name, and 100 KiB at most. A name
/// that came later is written as its number.
const NAMES_MAX: usize = 1024;

static NAMES: Mutex<BTreeMap<i32, Box<str>>> = Mutex::new(BTreeMap::new());

/// The number that stands for the name; `None` where the text cannot be a name, or another name
/// has its number.
pub fn number_of(name: &str) -> Option<i32> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(|b| b.is_ascii_graphic())
    {
        return None;
    }
    let number = hash(name);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    match names.get(&number) {
        Some(known) => (**known == *name).then_some(number),
        None => {
            if names.len() < NAMES_MAX {
                names.insert(number, name.into());
            }
            Some(number)
        }
    }
}

/// The name that this number stands for, where one came.
pub fn name_of(number: i32) -> Option<Box<str>> {
    if number >= 0 {
        return None;
    }
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.get(&number).cloned()
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
    fn what_cannot_be_a_name_is_refused() {
        for text in ["", "a b", "ä", &"x".repeat(65)] {
            assert_eq!(number_of(text), None, "{text:?}");
        }
    }
}
