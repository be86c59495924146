//! The check of an export, piece by piece as it is read, in the memory of one line. It names the
//! first bad entry and what is wrong with it. What it takes for good was written by whoever has the
//! log's key: nothing in it was changed, and nothing is missing between its beginning and its head.

use std::fmt;

use super::export::{LINE_BYTES_MAX, Line};
use super::seal::PublicKey;
use super::{ACTION_BROKEN, Chained, Hash, Place};
use crate::clock::UnixMillis;

/// What is wrong with an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A line is none of an export, or was written anew.
    Malformed,
    /// An entry is not what was written: its hash is another.
    Hash,
    /// Entries are missing.
    Missing,
    /// Entries are in another order than they were written in.
    Order,
    /// The end is missing: no head, or one of a later entry.
    Cut,
    /// The head is not signed by this key, or signs another chain.
    Head,
    /// The beginning is not signed by this key, or is not the one that was asked for.
    Start,
    /// The platform itself found the log changed, and wrote so.
    Broken,
}

impl FaultKind {
    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Hash => "hash",
            Self::Missing => "missing",
            Self::Order => "order",
            Self::Cut => "cut",
            Self::Head => "head",
            Self::Start => "start",
            Self::Broken => "broken",
        }
    }
}

/// The first fault of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The number of the first bad entry.
    pub sequence: u64,
    /// The line where it showed, from 1.
    pub line: u64,
    /// What is wrong.
    pub kind: FaultKind,
    /// What is wrong, for people.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sequence,
            line,
            kind,
            text,
        } = self;
        write!(f, "entry {sequence} (line {line}): {}: {text}", kind.code())
    }
}

impl std::error::Error for Fault {}

/// Where a good export begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// With the first entry that ever was.
    Log,
    /// Where retention left the log to begin, which is signed.
    Retention,
    /// After an entry that was asked for: what came before has to be verified with its own export.
    Continuation,
}

impl Beginning {
    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Retention => "retention",
            Self::Continuation => "continuation",
        }
    }
}

/// What a good export holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Where it begins: the last entry that is not in it, and that one's hash.
    pub after: Place,
    /// Of which kind that is.
    pub beginning: Beginning,
    /// Its last entry, and its hash: the anchor of the export that continues it.
    pub head: Place,
    /// When the head was signed: by then there was no later entry.
    pub at: UnixMillis,
}

/// Checks one export. Give it every byte by [`Self::input`], then ask [`Self::finish`].
#[derive(Debug)]
pub struct Verifier {
    key: PublicKey,
    anchor: Option<Hash>,
    line: Vec<u8>,
    lines: u64,
    state: State,
}

/// ```text
/// First ──► Entries ──► Ended
///              │
///              └─► Gap     until the end, to tell what is missing from what stands elsewhere
/// ```
#[derive(Debug)]
enum State {
    First,
    Entries(Span),
    Gap(Span, Fault),
    Ended(Verified),
}

/// The good part so far.
#[derive(Clone, Copy, Debug)]
struct Span {
    after: Place,
    beginning: Beginning,
    last: Place,
}

impl Span {
    const fn next(&self) -> u64 {
        self.last.sequence.saturating_add(1)
    }
}

impl Verifier {
    /// A verifier with the log's public key; with an anchor the export has to begin at that hash,
    /// the one of another export's head or [`Hash::START`].
    pub const fn new(key: PublicKey, anchor: Option<Hash>) -> Self {
        Self {
            key,
            anchor,
            line: Vec::new(),
            lines: 0,
            state: State::First,
        }
    }

    /// Takes the next bytes of the export, cut anyhow.
    ///
    /// # Errors
    /// The first fault, once it is sure; nothing is to be given any more then.
    pub fn input(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            if self.line.len() + text.len() > LINE_BYTES_MAX {
                self.lines += 1;
                return Err(self.found(format!("a line has more than {LINE_BYTES_MAX} bytes")));
            }
            self.line.extend_from_slice(text);
            if whole {
                self.lines += 1;
                let line = Line::parse(&self.line);
                self.line.clear();
                match line {
                    Ok(line) => self.take(line)?,
                    Err(error) => self.unread(error.to_string())?,
                }
            }
        }
        Ok(())
    }

    /// The verdict, after the last byte.
    ///
    /// # Errors
    /// The first fault.
    pub fn finish(mut self) -> Result<Verified, Fault> {
        let half = !self.line.is_empty();
        match self.state {
            State::Ended(verified) if !half => Ok(verified),
            State::Gap(_, fault) => Err(fault),
            State::Ended(_) => {
                self.lines += 1;
                Err(self.found("something stands after the head".to_owned()))
            }
            State::First | State::Entries(_) => {
                let text = if half {
                    "the export ends within a line"
                } else {
                    "the export ends without a signed head"
                };
                self.lines += 1;
                Err(self.fault(FaultKind::Cut, text.to_owned()))
            }
        }
    }

    fn take(&mut self, line: Line) -> Result<(), Fault> {
        match (&self.state, line) {
            (State::First, Line::First(place, start)) => {
                let beginning = match start {
                    Some(start) if !self.key.signed_start(&start) => {
                        let text = "the beginning of the log is not signed by this key";
                        return Err(self.fault_at(place, FaultKind::Start, text.to_owned()));
                    }
                    _ if place == Place::START => Beginning::Log,
                    Some(_) => Beginning::Retention,
                    None => Beginning::Continuation,
                };
                if place.sequence == 0 && place.hash != Hash::START {
                    let text = "nothing comes before entry 1, and this begins after something";
                    return Err(self.fault_at(place, FaultKind::Start, text.to_owned()));
                }
                if let Some(anchor) = self.anchor.filter(|anchor| *anchor != place.hash) {
                    let text = format!("it begins at {}, not at {anchor}", place.hash);
                    return Err(self.fault_at(place, FaultKind::Start, text));
                }
                self.state = State::Entries(Span {
                    after: place,
                    beginning,
                    last: place,
                });
                Ok(())
            }
            (State::Entries(span), Line::Entry(chained)) => {
                let span = *span;
                self.entry(span, &chained)
            }
            (State::Entries(span), Line::Head(head)) => {
                let span = *span;
                if !self.key.signed_head(&head) {
                    let text = "the head is not signed by this key";
                    return Err(self.fault_at(span.after, FaultKind::Head, text.to_owned()));
                }
                let (last, signed) = (span.last, head.place);
                if signed.sequence > last.sequence {
                    let text = format!("the head is of entry {}", signed.sequence);
                    return Err(self.fault(FaultKind::Cut, text));
                }
                if signed != last {
                    // The hashes are right one by one: from where on it is another chain cannot be seen.
                    let text = "these entries are not the ones that the head is of";
                    return Err(self.fault_at(span.after, FaultKind::Head, text.to_owned()));
                }
                self.state = State::Ended(Verified {
                    after: span.after,
                    beginning: span.beginning,
                    head: signed,
                    at: head.at,
                });
                Ok(())
            }
            (State::Gap(span, fault), Line::Entry(chained)) if chained.sequence == span.next() => {
                Err(Fault {
                    kind: FaultKind::Order,
                    text: format!("it stands in line {}, after later ones", self.lines),
                    ..fault.clone()
                })
            }
            (State::Gap(..), _) => Ok(()),
            (State::First, _) => Err(self.found("the first line is missing".to_owned())),
            (State::Entries(_), Line::First(..)) => {
                Err(self.found("a first line stands among the entries".to_owned()))
            }
            (State::Ended(_), _) => Err(self.found("something stands after the head".to_owned())),
        }
    }

    fn entry(&mut self, span: Span, chained: &Chained) -> Result<(), Fault> {
        let next = span.next();
        if chained.sequence > next {
            let missing = match chained.sequence - next {
                1 => format!("entry {} follows the one before it", chained.sequence),
                _ => format!("all up to {} are missing", chained.sequence - 1),
            };
            let fault = self.fault(FaultKind::Missing, missing);
            self.state = State::Gap(span, fault);
            return Ok(());
        }
        if chained.sequence < next {
            let text = format!("entry {} stands in its place", chained.sequence);
            return Err(self.fault(FaultKind::Order, text));
        }
        let last = span.last.after(&chained.entry);
        if chained.hash != last.hash {
            let text = "it was changed, or what comes before it".to_owned();
            return Err(self.fault(FaultKind::Hash, text));
        }
        if chained.entry.action == ACTION_BROKEN {
            let text = "the platform found the log before it changed from outside";
            return Err(self.fault(FaultKind::Broken, text.to_owned()));
        }
        self.state = State::Entries(Span { last, ..span });
        Ok(())
    }

    /// A line that cannot be read. Behind a gap that is no news.
    fn unread(&self, text: String) -> Result<(), Fault> {
        match self.state {
            State::Gap(..) => Ok(()),
            _ => Err(self.found(text)),
        }
    }

    /// What is wrong with the present line, unless something before it is.
    fn found(&self, text: String) -> Fault {
        match &self.state {
            State::Gap(_, fault) => fault.clone(),
            _ => self.fault(FaultKind::Malformed, text),
        }
    }

    /// A fault of the entry that is due.
    fn fault(&self, kind: FaultKind, text: String) -> Fault {
        let last = match &self.state {
            State::First => Place::START,
            State::Entries(span) | State::Gap(span, _) => span.last,
            State::Ended(verified) => verified.head,
        };
        self.fault_at(last, kind, text)
    }

    /// A fault of the entry after a place.
    const fn fault_at(&self, after: Place, kind: FaultKind, text: String) -> Fault {
        Fault {
            sequence: after.sequence.saturating_add(1),
            line: self.lines,
            kind,
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::export::{entry_line, first_line, head_line};
    use super::super::seal::AuditKey;
    use super::super::{Entry, Outcome};
    use super::*;

    fn key(seed: u8) -> AuditKey {
        AuditKey::from_pem(AuditKey::generate_pem([seed; 32]).expose()).expect("a key")
    }

    fn entry(number: u64) -> Entry {
        Entry::new(
            UnixMillis(1_750_000_000_000 + number),
            "admin",
            "test.do",
            "host:1",
        )
        .detail("number", number.to_string())
    }

    /// The lines of an export of so many entries after a place.
    fn lines(key: &AuditKey, after: Place, count: u64) -> Vec<String> {
        let mut place = after;
        let mut lines = vec![first_line(after, None)];
        for number in 1..=count {
            let entry = entry(number);
            place = place.after(&entry);
            lines.push(entry_line(&Chained {
                sequence: place.sequence,
                hash: place.hash,
                entry,
            }));
        }
        lines.push(head_line(&key.head(place, UnixMillis(1_760_000_000_000))));
        lines
    }

    fn text(lines: &[String]) -> Vec<u8> {
        lines
            .iter()
            .flat_map(|line| [line, "\n"].concat().into_bytes())
            .collect()
    }

    fn verify(bytes: &[u8]) -> Result<Verified, Fault> {
        verify_with(key(1).public(), None, bytes)
    }

    fn verify_with(key: PublicKey, anchor: Option<Hash>, bytes: &[u8]) -> Result<Verified, Fault> {
        let mut verifier = Verifier::new(key, anchor);
        verifier.input(bytes)?;
        verifier.finish()
    }

    fn refused(lines: &[String]) -> (u64, FaultKind) {
        let fault = verify(&text(lines)).expect_err("bad");
        (fault.sequence, fault.kind)
    }

    #[test]
    fn what_was_written_is_good() {
        let verified = verify(&text(&lines(&key(1), Place::START, 9))).expect("good");
        assert_eq!(
            (verified.head.sequence, verified.beginning),
            (9, Beginning::Log)
        );
        let rest = text(&lines(&key(1), verified.head, 3));
        for anchor in [None, Some(verified.head.hash)] {
            let continued = verify_with(key(1).public(), anchor, &rest).expect("good");
            assert_eq!(continued.beginning, Beginning::Continuation);
            assert_eq!(
                (continued.after, continued.head.sequence),
                (verified.head, 12)
            );
        }
        let fault = verify_with(key(1).public(), Some(Hash::START), &rest).expect_err("another");
        assert_eq!((fault.sequence, fault.kind), (10, FaultKind::Start));
        let nothing = verify(&text(&lines(&key(1), Place::START, 0))).expect("good");
        assert_eq!(nothing.head, Place::START);
    }

    #[test]
    fn what_was_removed_is_signed() {
        let place = Place {
            sequence: 40,
            hash: Hash([4; 32]),
        };
        let mut kept = lines(&key(1), place, 2);
        kept[0] = first_line(place, Some(&key(1).start(place)));
        let verified = verify(&text(&kept)).expect("good");
        assert_eq!(verified.beginning, Beginning::Retention);
        kept[0] = first_line(place, Some(&key(2).start(place)));
        assert_eq!(refused(&kept), (41, FaultKind::Start));
    }

    #[test]
    fn each_way_to_tamper_is_named() {
        let good = lines(&key(1), Place::START, 9);
        let tampered = |change: &dyn Fn(&mut Vec<String>)| {
            let mut lines = good.clone();
            change(&mut lines);
            refused(&lines)
        };
        let changed = tampered(&|lines| lines[5] = lines[5].replace("admin", "other"));
        assert_eq!(changed, (5, FaultKind::Hash));
        assert_eq!(
            tampered(&|lines| drop(lines.remove(5))),
            (5, FaultKind::Missing)
        );
        assert_eq!(
            tampered(&|lines| drop(lines.drain(5..8))),
            (5, FaultKind::Missing)
        );
        assert_eq!(tampered(&|lines| lines.swap(5, 6)), (5, FaultKind::Order));
        assert_eq!(tampered(&|lines| lines.swap(2, 8)), (2, FaultKind::Order));
        let twice = tampered(&|lines| lines.insert(5, lines[5].clone()));
        assert_eq!(twice, (6, FaultKind::Order));
        assert_eq!(tampered(&|lines| lines.truncate(8)), (8, FaultKind::Cut));
        assert_eq!(tampered(&|lines| lines.truncate(1)), (1, FaultKind::Cut));
        assert_eq!(tampered(&Vec::clear), (1, FaultKind::Cut));
        assert_eq!(
            tampered(&|lines| drop(lines.remove(9))),
            (9, FaultKind::Cut)
        );
        assert_eq!(
            tampered(&|lines| drop(lines.remove(0))),
            (1, FaultKind::Malformed)
        );
        assert_eq!(
            tampered(&|lines| lines.push(lines[3].clone())),
            (10, FaultKind::Malformed)
        );
        assert_eq!(
            tampered(&|lines| lines[4].clear()),
            (4, FaultKind::Malformed)
        );
        assert_eq!(
            tampered(&|lines| lines[4] = "x".repeat(300_000)),
            (4, FaultKind::Malformed)
        );
        // The whole chain of another key; and one whose hashes are right, under the old head.
        assert_eq!(
            tampered(&|all| *all = lines(&key(2), Place::START, 9)),
            (1, FaultKind::Head)
        );
        let after = Place {
            sequence: 3,
            hash: Hash([3; 32]),
        };
        let replaced = tampered(&|all| {
            let head = all.pop().expect("a head");
            *all = lines(&key(2), after, 6);
            *all.last_mut().expect("a head") = head;
        });
        assert_eq!(replaced, (4, FaultKind::Head));
        let cut = verify(&text(&good)[..2000]).expect_err("cut");
        assert_eq!(cut.kind, FaultKind::Cut);
    }

    #[test]
    fn what_the_platform_found_broken_stays_so() {
        let broken =
            Entry::new(UnixMillis(1), "platform", ACTION_BROKEN, "audit").outcome(Outcome::Failed);
        let place = Place::START.after(&broken);
        let chained = Chained {
            sequence: 1,
            hash: place.hash,
            entry: broken,
        };
        let head = key(1).head(place, UnixMillis(2));
        let lines = [
            first_line(Place::START, None),
            entry_line(&chained),
            head_line(&head),
        ];
        assert_eq!(refused(&lines), (1, FaultKind::Broken));
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_found(at in any::<prop::sample::Index>(), with in 1_u8..) {
            let mut bytes = text(&lines(&key(1), Place::START, 4));
            let at = at.index(bytes.len());
            bytes[at] ^= with;
            prop_assert!(verify(&bytes).is_err(), "{at}");
        }

        #[test]
        fn nothing_makes_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
            cut in any::<prop::sample::Index>(),
            first in any::<bool>(),
        ) {
            let mut input = if first {
                text(&lines(&key(1), Place::START, 2))
            } else {
                Vec::new()
            };
            let cut = cut.index(input.len() + 1);
            input.truncate(cut);
            input.extend_from_slice(&bytes);
            let _ = verify(&input);
        }

        #[test]
        fn no_line_makes_it_panic(line in r#"\{"(sequence|head|format)":[0-9a-z",:{}\[\]\\u-]{0,60}"#) {
            let _ = Line::parse(line.as_bytes());
        }

        #[test]
        fn it_does_not_matter_how_it_is_cut(step in 1_usize..700) {
            let bytes = text(&lines(&key(1), Place::START, 4));
            let mut verifier = Verifier::new(key(1).public(), None);
            for part in bytes.chunks(step) {
                verifier.input(part).expect("good");
            }
            prop_assert!(verifier.finish().is_ok());
        }
    }
}
