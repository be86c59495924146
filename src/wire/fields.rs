//! HTTP field lines as one validated blob: `name: value CRLF`, again and again, with no empty line
//! at the end (RFC 9110 section 5, RFC 9112 section 5). A head travels the link in this form and is
//! written to a socket as it is, so it is checked once, where it enters.
//!
//! What a field means (hop-by-hop, framing, rewriting) is left to those who send and receive HTTP.

pub use crate::limits::FieldLimits;
use std::fmt;
use std::str;

use bytes::Bytes;
use thiserror::Error;

/// Why bytes are not field lines. Always the fault of whoever made them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FieldError {
    /// More bytes than [`FieldLimits::bytes`].
    #[error("fields take {bytes} bytes, over the limit of {limit}")]
    TooLarge {
        /// What was there.
        bytes: usize,
        /// What was allowed.
        limit: usize,
    },
    /// More lines than [`FieldLimits::count`].
    #[error("more than {limit} fields")]
    TooMany {
        /// What was allowed.
        limit: usize,
    },
    /// A name that is empty or no token, white space before the colon included (RFC 9110 5.1).
    #[error("a field name is not a token")]
    Name,
    /// A control character other than tab in a value; CR, LF and NUL among them (RFC 9110 5.5).
    #[error("a field value holds a control character")]
    Value,
    /// A line that begins with white space, which continues the one before (RFC 9112 5.2).
    #[error("a field is folded over several lines")]
    Folded,
    /// A line without its CRLF, or an empty line.
    #[error("a field line does not end in CRLF, or is empty")]
    LineEnd,
}

/// Field lines in their order, known to be well formed. Cloning shares the bytes.
///
/// `Debug` shows names only, as values may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FieldLines(Bytes);

impl FieldLines {
    /// Checks `lines` in one pass and takes them as they are.
    ///
    /// # Errors
    /// [`FieldError`] for the first fault found, from the front.
    pub fn parse(lines: Bytes, limits: FieldLimits) -> Result<Self, FieldError> {
        if lines.len() > limits.bytes {
            return Err(FieldError::TooLarge {
                bytes: lines.len(),
                limit: limits.bytes,
            });
        }
        let mut rest: &[u8] = &lines;
        let mut count = 0;
        while !rest.is_empty() {
            if count == limits.count {
                return Err(FieldError::TooMany {
                    limit: limits.count,
                });
            }
            count += 1;
            let name = rest
                .iter()
                .position(|&byte| !is_token(byte))
                .ok_or(FieldError::LineEnd)?;
            match (name, rest[name]) {
                (1.., b':') => {}
                (0, b' ' | b'\t') => return Err(FieldError::Folded),
                (0, b'\r' | b'\n') => return Err(FieldError::LineEnd),
                _ => return Err(FieldError::Name),
            }
            rest = &rest[name + 1..];
            let value = value_end(rest).ok_or(FieldError::LineEnd)?;
            match &rest[value..] {
                [b'\r', b'\n', ..] => rest = &rest[value + 2..],
                [b'\r'] => return Err(FieldError::LineEnd),
                _ => return Err(FieldError::Value),
            }
        }
        Ok(Self(lines))
    }

    /// Begins an empty list of lines to be added to.
    #[must_use]
    pub fn builder() -> FieldLinesBuilder {
        FieldLinesBuilder::default()
    }

    /// The lines, each with its CRLF.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The lines, each with its CRLF.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Bytes of all lines together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same lines in memory of their own, for who keeps them long: they are a slice of the
    /// message that they came in.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// Whether the lines are within these limits, as [`FieldLines::parse`] asks of them. Those that a
    /// builder made are of any size.
    #[must_use]
    pub fn fits(&self, limits: FieldLimits) -> bool {
        /// A name of one character, its colon and the line's end.
        const LINE_BYTES_MIN: usize = 4;
        // So few bytes cannot be too many lines: most heads need no count.
        self.len() <= limits.bytes
            && (self.len() / LINE_BYTES_MIN <= limits.count || self.iter().count() <= limits.count)
    }

    /// Each line's name as written and its value without the white space around it, in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(&self.0)
    }

    /// The value of the first line with this name; ASCII case does not matter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The values of all lines with this name, in order; ASCII case does not matter.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl fmt::Debug for FieldLines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

impl<'a> IntoIterator for &'a FieldLines {
    type Item = (&'a str, &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The lines of a [`FieldLines`] as pairs of name and value.
#[derive(Clone)]
pub struct Iter<'a>(&'a [u8]);

impl<'a> Iter<'a> {
    /// Over lines that were taken out of a [`FieldLines`].
    pub(super) const fn over(lines: &'a [u8]) -> Self {
        Self(lines)
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let colon = self.0.iter().position(|&byte| byte == b':')?;
        let (name, rest) = (&self.0[..colon], &self.0[colon + 1..]);
        let end = rest.iter().position(|&byte| byte == b'\r')?;
        self.0 = rest.get(end + 2..)?;
        // Names are tokens, so ASCII: the conversion cannot fail.
        Some((str::from_utf8(name).ok()?, trim_ows(&rest[..end])))
    }
}

/// Field lines in the making.
#[derive(Default)]
pub struct FieldLinesBuilder(Vec<u8>);

impl FieldLinesBuilder {
    /// An empty list with room for `bytes` of lines.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds a line at the end.
    ///
    /// # Errors
    /// [`FieldError::Name`] or [`FieldError::Value`]; the list then stays as it was.
    pub fn push(&mut self, name: &str, value: &[u8]) -> Result<(), FieldError> {
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(FieldError::Name);
        }
        if value_end(value).is_some() {
            return Err(FieldError::Value);
        }
        self.0.reserve(name.len() + value.len() + 4);
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        self.0.extend_from_slice(value);
        self.0.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Bytes of all lines so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no line yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lines added, in their order.
    #[must_use]
    pub fn finish(self) -> FieldLines {
        FieldLines(Bytes::from(self.0))
    }
}

/// Removes optional white space (space and tab, RFC 9110 5.6.3) from both ends.
#[must_use]
pub fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether `byte` may stand in a token, and so in a field name (RFC 9110 5.6.2).
#[must_use]
pub fn is_token(byte: u8) -> bool {
    CLASS[usize::from(byte)] & TOKEN != 0
}

/// Whether `byte` may stand in a field value: tab, space, visible ASCII, 0x80 and up.
#[must_use]
pub fn is_value(byte: u8) -> bool {
    CLASS[usize::from(byte)] & VALUE != 0
}

/// Where the first byte stands that may not be in a value. Values are most of a head, and hardly
/// one holds a tab: eight bytes at once are passed over where none of them is a control character.
fn value_end(bytes: &[u8]) -> Option<usize> {
    /// The high bit of each byte that is below `bound`, which is at most 0x80; past the first of
    /// them, borrows may set it in bytes that are not.
    const fn below(word: u64, bound: u8) -> u64 {
        word.wrapping_sub(EACH * bound as u64) & !word & (EACH << 7)
    }
    const EACH: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, chunk) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        if below(word, 0x20) | below(word ^ (EACH * 0x7f), 1) != 0
            && let Some(at) = chunk.iter().position(|&byte| !is_value(byte))
        {
            return Some(index * 8 + at);
        }
    }
    let at = rest.iter().position(|&byte| !is_value(byte))?;
    Some(words.len() * 8 + at)
}

const TOKEN: u8 = 1;
const VALUE: u8 = 2;

/// What each byte may be part of: one lookup a byte is what keeps the check cheap.
static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        if byte == 0x09 || (byte >= 0x20 && byte != 0x7f) {
            class[byte] |= VALUE;
        }
        if (byte as u8).is_ascii_alphanumeric() && byte < 0x80 {
            class[byte] |= TOKEN;
        }
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut mark = 0;
    while mark < marks.len() {
        class[marks[mark] as usize] |= TOKEN;
        mark += 1;
    }
    class
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: FieldLimits = FieldLimits {
        bytes: 4096,
        count: 16,
    };

    fn parse(lines: &'static [u8]) -> Result<FieldLines, FieldError> {
        FieldLines::parse(Bytes::from_static(lines), LIMITS)
    }

    #[test]
    fn well_formed_lines_are_kept_byte_for_byte() {
        let lines = b"Host: a\r\nx-empty:\r\nX-Tab:\t a b\t\r\nX-Latin: \xe9t\xe9\r\n";
        let fields = parse(lines).expect("well formed");
        assert_eq!(fields.as_bytes(), lines);
        let pairs: Vec<_> = fields.iter().collect();
        assert_eq!(
            pairs,
            [
                ("Host", &b"a"[..]),
                ("x-empty", b""),
                ("X-Tab", b"a b"),
                ("X-Latin", b"\xe9t\xe9"),
            ]
        );
    }

    #[test]
    fn nothing_is_an_empty_list() {
        let fields = parse(b"").expect("well formed");
        assert_eq!(fields, FieldLines::default());
        assert!(fields.is_empty());
        assert_eq!(fields.iter().next(), None);
    }

    #[test]
    fn names_are_found_whatever_their_case() {
        let fields = parse(b"Set-Cookie: a\r\nx: y\r\nset-cookie: b\r\n").expect("well formed");
        assert_eq!(fields.get("SET-COOKIE"), Some(&b"a"[..]));
        assert_eq!(
            fields.get_all("Set-cookie").collect::<Vec<_>>(),
            [b"a", b"b"]
        );
        assert_eq!(fields.get("cookie"), None);
    }

    #[test]
    fn each_fault_has_its_kind() {
        for (lines, error) in [
            (&b"a b: c\r\n"[..], FieldError::Name),
            (b"a : c\r\n", FieldError::Name),
            (b": c\r\n", FieldError::Name),
            (b"a\xe9: c\r\n", FieldError::Name),
            (b"a\r\n", FieldError::Name),
            (b"a: b\rc\r\n", FieldError::Value),
            (b"a: b\n", FieldError::Value),
            (b"a: b\0\r\n", FieldError::Value),
            (b"a: b\x7f\r\n", FieldError::Value),
            (b"a: b\r\n c\r\n", FieldError::Folded),
            (b"\tc: d\r\n", FieldError::Folded),
            (b"a: b", FieldError::LineEnd),
            (b"a: b\r", FieldError::LineEnd),
            (b"a", FieldError::LineEnd),
            (b"\r\n", FieldError::LineEnd),
            (b"a: b\r\n\r\n", FieldError::LineEnd),
            (b"a: b\r\n\r\nGET / HTTP/1.1\r\n", FieldError::LineEnd),
        ] {
            assert_eq!(parse(lines), Err(error), "{}", lines.escape_ascii());
        }
    }

    #[test]
    fn limits_are_exact() {
        let lines = Bytes::from_static(b"a: b\r\nc: d\r\n");
        let check = |bytes, count| FieldLines::parse(lines.clone(), FieldLimits { bytes, count });
        assert!(check(12, 2).is_ok());
        assert_eq!(
            check(11, 2),
            Err(FieldError::TooLarge {
                bytes: 12,
                limit: 11
            })
        );
        assert_eq!(check(12, 1), Err(FieldError::TooMany { limit: 1 }));
        let fields = parse(b"a: b\r\nc: d\r\n").expect("well formed");
        for (bytes, count, fits) in [(12, 2, true), (11, 2, false), (12, 1, false), (99, 9, true)] {
            assert_eq!(
                fields.fits(FieldLimits { bytes, count }),
                fits,
                "{bytes} {count}"
            );
        }
    }

    #[test]
    fn a_refused_line_leaves_the_builder_as_it_was() {
        let mut builder = FieldLinesBuilder::with_capacity(64);
        builder.push("a", b"b").expect("well formed");
        assert_eq!(builder.push("c\r\nd", b"e"), Err(FieldError::Name));
        assert_eq!(builder.push("", b"e"), Err(FieldError::Name));
        assert_eq!(builder.push("c", b"d\r\nx: y"), Err(FieldError::Value));
        assert_eq!(builder.finish().as_bytes(), b"a: b\r\n");
    }

    #[test]
    fn debug_shows_no_value() {
        let fields = parse(b"Authorization: secret\r\n").expect("well formed");
        assert_eq!(format!("{fields:?}"), r#"["Authorization"]"#);
    }

    proptest! {
        #[test]
        fn a_value_ends_where_its_first_wrong_byte_is(
            mut bytes in proptest::collection::vec(0x20..=0xff_u8, 0..64),
            marks in proptest::collection::vec((any::<u8>(), 0..64_usize), 0..3),
        ) {
            for (mark, at) in marks {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = mark;
                }
            }
            prop_assert_eq!(value_end(&bytes), bytes.iter().position(|&byte| !is_value(byte)));
        }

        #[test]
        fn any_bytes_are_refused_or_kept(lines in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(fields) = FieldLines::parse(Bytes::from(lines.clone()), LIMITS) {
                prop_assert_eq!(fields.as_bytes(), &lines[..]);
                prop_assert_eq!(fields.iter().count(), lines.split(|&byte| byte == b'\n').count() - 1);
            }
        }

        #[test]
        fn what_is_built_parses_and_iterates_back(
            pairs in proptest::collection::vec(("[!-~]{1,8}", "[ -~\u{80}-\u{ff}\t]{0,16}"), 0..12)
        ) {
            let mut builder = FieldLines::builder();
            let mut kept = Vec::new();
            for (name, value) in &pairs {
                if builder.push(name, value.as_bytes()).is_ok() {
                    kept.push((name.as_str(), trim_ows(value.as_bytes())));
                }
            }
            let fields = builder.finish();
            prop_assert_eq!(&FieldLines::parse(fields.clone().into_bytes(), LIMITS), &Ok(fields.clone()));
            prop_assert_eq!(fields.iter().collect::<Vec<_>>(), kept);
        }
    }
}
