//! The audit log's form: what an entry says, how it is encoded for hashing, and how the hashes chain.
//! `seal` has the keys and the signed heads, `export` the lines of an export, `verify` the check of
//! one. Shared by the platform, which writes the log, and the command line, which verifies it. No I/O
//! here, no clock, and no randomness.

pub mod export;
pub mod seal;
pub mod verify;

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::clock::UnixMillis;
use crate::ids::{ConsoleSessionId, HostId};

/// Longest text in an entry, in bytes; more is cut off. Names have 63, ids 36.
pub const TEXT_BYTES_MAX: usize = 1024;
/// Most details of an entry; more are left out.
pub const DETAILS_MAX: usize = 16;
/// The action of the entry that stands where the log was found changed from outside.
pub const ACTION_BROKEN: &str = "audit.broken";
/// The action of the entry that says which entries retention has removed.
pub const ACTION_REMOVED: &str = "audit.remove";
/// The last instant that RFC 3339 has a form for: 9999-12-31T23:59:59.999Z.
const AT_MAX: UnixMillis = UnixMillis(253_402_300_799_999);
/// First byte of an entry's encoding: which encoding it is.
const ENCODING_VERSION: u8 = 1;

/// A place in the chain: SHA-256 over the hash before it and an entry. As text it is lower-case
/// hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What stands before the first entry.
    pub const START: Self = Self([0; 32]);
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&export::hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 lower-case hexadecimal digits")]
pub struct HashError;

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        export::unhex(text).map(Self).ok_or(HashError)
    }
}

/// What became of what an entry tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It went wrong.
    Failed,
}

impl Outcome {
    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// What one entry of the log says. Nothing secret goes in. Texts are as they are encoded: an entry
/// of a newer release verifies as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, by the platform's clock.
    pub at: UnixMillis,
    /// Who: a user, `host:<id>` or `platform`.
    pub actor: String,
    /// What was done, as a stable word such as `session.open`.
    pub action: String,
    /// To what: `host:<id>`, `session:<id>` and so on.
    pub target: String,
    /// The id of the host that it concerns; empty where there is none.
    pub host: String,
    /// The id of the console session that it concerns; empty where there is none.
    pub session: String,
    /// What became of it: the word of an [`Outcome`].
    pub outcome: String,
    /// What else is worth knowing: names and values, in this order.
    pub details: Vec<(String, String)>,
}

impl Entry {
    /// An entry of something that was done.
    pub fn new(
        at: UnixMillis,
        actor: impl Into<String>,
        action: &str,
        target: impl Into<String>,
    ) -> Self {
        Self {
            at,
            actor: actor.into(),
            action: action.to_owned(),
            target: target.into(),
            host: String::new(),
            session: String::new(),
            outcome: Outcome::Done.code().to_owned(),
            details: Vec::new(),
        }
    }

    /// Names the host that it concerns.
    #[must_use]
    pub fn host(mut self, id: HostId) -> Self {
        self.host = id.to_string();
        self
    }

    /// Names the console session that it concerns.
    #[must_use]
    pub fn session(mut self, id: ConsoleSessionId) -> Self {
        self.session = id.to_string();
        self
    }

    /// Says what became of it.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        outcome.code().clone_into(&mut self.outcome);
        self
    }

    /// Adds a detail.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<String>) -> Self {
        self.details.push((name.to_owned(), value.into()));
        self
    }

    /// The same within the bounds of the log, as it is written: so that every entry has a line that
    /// a verifier takes.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.at = self.at.min(AT_MAX);
        self.details.truncate(DETAILS_MAX);
        let Self {
            at: _,
            actor,
            action,
            target,
            host,
            session,
            outcome,
            details,
        } = &mut self;
        let details = details.iter_mut().flat_map(|(name, value)| [name, value]);
        for text in [actor, action, target, host, session, outcome]
            .into_iter()
            .chain(details)
        {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        }
        self
    }

    /// The hash of this entry at its place: SHA-256 over the hash before it and its encoding.
    pub fn hash(&self, previous: Hash, sequence: u64) -> Hash {
        let mut digest = Sha256::new();
        digest.update(previous.0);
        self.encode(sequence, |bytes| digest.update(bytes));
        Hash(digest.finalize().into())
    }

    /// The canonical encoding: a version byte, then every field in a fixed order, numbers as 64 bits
    /// and texts behind their length as 32 bits, both big-endian. No two entries encode alike.
    fn encode(&self, sequence: u64, mut put: impl FnMut(&[u8])) {
        let Self {
            at,
            actor,
            action,
            target,
            host,
            session,
            outcome,
            details,
        } = self;
        put(&[ENCODING_VERSION]);
        put(&sequence.to_be_bytes());
        put(&at.0.to_be_bytes());
        let mut text = |text: &str| {
            put(&length(text.len()));
            put(text.as_bytes());
        };
        for field in [actor, action, target, host, session, outcome] {
            text(field);
        }
        put(&length(details.len()));
        let mut text = |text: &str| {
            put(&length(text.len()));
            put(text.as_bytes());
        };
        for (name, value) in details {
            text(name);
            text(value);
        }
    }
}

/// An entry in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chained {
    /// Its number, from 1, without gaps.
    pub sequence: u64,
    /// What it says.
    pub entry: Entry,
    /// Its hash, as it was written.
    pub hash: Hash,
}

/// A place in the chain: all entries up to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The last entry's number; zero before the first.
    pub sequence: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Place {
    /// Before the first entry.
    pub const START: Self = Self {
        sequence: 0,
        hash: Hash::START,
    };

    /// The place after one more entry.
    #[must_use]
    pub fn after(self, entry: &Entry) -> Self {
        // A number a nanosecond for five centuries does not get there.
        let sequence = self.sequence.saturating_add(1);
        Self {
            sequence,
            hash: entry.hash(self.hash, sequence),
        }
    }
}

/// A length in the encoding. What does not fit is no text that this process could hold within the
/// bound of a line.
fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> Entry {
        Entry::new(
            UnixMillis(1_750_000_000_123),
            "admin",
            "host.create",
            "host:1",
        )
        .detail("name", "kvm")
    }

    fn encoded(entry: &Entry, sequence: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        entry.encode(sequence, |part| bytes.extend_from_slice(part));
        bytes
    }

    #[test]
    fn the_encoding_is_this_for_ever() {
        let expected = "01\
            0000000000000007\
            000001977420dc7b\
            0000000561646d696e\
            0000000b686f73742e637265617465\
            00000006686f73743a31\
            00000000\
            00000000\
            00000004646f6e65\
            00000001\
            000000046e616d65\
            000000036b766d";
        assert_eq!(export::hex(&encoded(&entry(), 7)), expected);
        let place = Place::START.after(&entry());
        let digest = Sha256::digest([&[0; 32], &encoded(&entry(), 1)[..]].concat());
        assert_eq!(place.hash.0, *digest);
        assert_eq!(place.hash.to_string().parse(), Ok(place.hash));
    }

    #[test]
    fn every_field_counts() {
        let place = Place::START.after(&entry());
        let mut others = vec![
            Entry {
                at: UnixMillis(1),
                ..entry()
            },
            Entry {
                actor: "b".to_owned(),
                ..entry()
            },
            Entry {
                action: "b".to_owned(),
                ..entry()
            },
            Entry {
                target: "b".to_owned(),
                ..entry()
            },
            Entry {
                host: "b".to_owned(),
                ..entry()
            },
            Entry {
                session: "b".to_owned(),
                ..entry()
            },
            entry().outcome(Outcome::Failed),
            entry().detail("name", "kvm"),
        ];
        // The same bytes, cut elsewhere.
        others.push(Entry {
            details: vec![("namek".to_owned(), "vm".to_owned())],
            ..entry()
        });
        for other in others {
            assert_ne!(Place::START.after(&other).hash, place.hash, "{other:?}");
        }
        assert_ne!(entry().hash(Hash::START, 2), place.hash);
        assert_ne!(entry().hash(Hash([1; 32]), 1), place.hash);
    }

    proptest! {
        #[test]
        fn no_two_entries_encode_alike(
            one in texts(), other in texts(), moved in 0_usize..7,
        ) {
            let build = |texts: &[String]| Entry {
                actor: texts[0].clone(),
                action: texts[1].clone(),
                target: texts[2].clone(),
                details: texts[3..].chunks_exact(2)
                    .map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
                ..entry()
            };
            let (a, b) = (build(&one), build(&other));
            prop_assert_eq!(encoded(&a, 1) == encoded(&b, 1), a == b);
            // One character over the border to the next text.
            let mut shifted = one.clone();
            if let Some(character) = shifted[moved].pop() {
                shifted[moved + 1].insert(0, character);
                prop_assert_ne!(encoded(&build(&shifted), 1), encoded(&a, 1));
            }
        }

        #[test]
        fn a_bounded_entry_is_bounded(text in ".{0,2000}", count in 0_usize..40, at in any::<u64>()) {
            let mut long = Entry::new(UnixMillis(at), text.clone(), &text, text.clone());
            for _ in 0..count {
                long = long.detail(&text, text.clone());
            }
            let bounded = long.bounded();
            prop_assert!(bounded.actor.len() <= TEXT_BYTES_MAX);
            prop_assert!(bounded.details.len() <= DETAILS_MAX);
            prop_assert_eq!(bounded.clone().bounded(), bounded.clone());
            let chained = Chained { sequence: u64::MAX, hash: Hash::START, entry: bounded };
            prop_assert!(export::entry_line(&chained).len() <= export::LINE_BYTES_MAX);
        }
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[a-b\u{e4}]{0,3}", 9)
    }
}
