//! How long a body is as JSON text, counted as its pieces come: for a peer that takes bodies whole,
//! and only so long a message. It follows what `writer` does with bytes.

/// What a body that is text adds beside its own characters, and what base64 adds to that.
const TEXT_MEMBER: &str = r#","body":"""#;
const BASE64_MEMBER: &str = r#","body_encoding":"base64""#;

/// The length of the pieces so far, in both forms.
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyCost {
    bytes: usize,
    /// As a string with its escapes.
    escaped: usize,
    /// No text, for certain.
    binary: bool,
    /// The beginning of a character whose end is to come.
    partial: [u8; 4],
    partial_bytes: usize,
}

impl BodyCost {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.bytes += piece.len();
        if !self.binary {
            self.escaped += piece.iter().map(|&byte| escaped_bytes(byte)).sum::<usize>();
            self.binary = !self.continues_text(piece);
        }
    }

    fn continues_text(&mut self, piece: &[u8]) -> bool {
        let mut rest = piece;
        while self.partial_bytes > 0
            && let Some((&byte, after)) = rest.split_first()
        {
            self.partial[self.partial_bytes] = byte;
            self.partial_bytes += 1;
            rest = after;
            match std::str::from_utf8(&self.partial[..self.partial_bytes]) {
                Ok(_) => self.partial_bytes = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return false,
            }
        }
        match std::str::from_utf8(rest) {
            Ok(_) => true,
            Err(error) if error.error_len().is_none() => {
                let tail = &rest[error.valid_up_to()..];
                self.partial[..tail.len()].copy_from_slice(tail);
                self.partial_bytes = tail.len();
                true
            }
            Err(_) => false,
        }
    }

    const fn as_text(&self) -> usize {
        TEXT_MEMBER.len() + self.escaped
    }

    const fn as_base64(&self) -> usize {
        TEXT_MEMBER.len() + BASE64_MEMBER.len() + self.bytes.div_ceil(3) * 4
    }

    /// What the body adds to its message where these are all its pieces.
    pub const fn whole(&self) -> usize {
        if self.bytes == 0 {
            0
        } else if self.binary || self.partial_bytes > 0 {
            self.as_base64()
        } else {
            self.as_text()
        }
    }

    /// What the body adds at the least, whatever follows: what is text so far may turn out not to
    /// be, which is the shorter where it has many escapes.
    pub fn least(&self) -> usize {
        if self.bytes == 0 || self.binary {
            self.whole()
        } else {
            self.as_text().min(self.as_base64())
        }
    }
}

/// The bytes that one byte of text takes in a JSON string.
const fn escaped_bytes(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..=0x1f => 6,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::StreamId,
        wire::{
            fields::FieldLines,
            json,
            messages::{HttpRequest, PlatformToAgent},
            values::{Method, RequestTarget, Text},
        },
    };
    use proptest::{prelude::*, sample::Index};

    fn written(body: &[u8]) -> usize {
        json::length(PlatformToAgent::from(HttpRequest {
            id: StreamId::from_number(7),
            method: Method::parse("POST".into()).expect("a method"),
            path: RequestTarget::parse("/".into()).expect("a path"),
            headers: FieldLines::default(),
            body: body.to_vec().into(),
            body_follows: false,
            origin: None,
        }))
    }

    fn check(body: &[u8], cuts: &[Index]) -> Result<(), TestCaseError> {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let mut cost = BodyCost::default();
        for piece in cuts.windows(2) {
            cost.push(&body[piece[0]..piece[1]]);
            prop_assert!(cost.least() <= written(body) - written(b""));
        }
        prop_assert_eq!(cost.whole(), written(body) - written(b""));
        Ok(())
    }

    proptest! {
        #[test]
        fn a_body_costs_what_is_written_of_it(
            text in "(?s).{0,40}",
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            cuts: [Index; 3],
        ) {
            check(text.as_bytes(), &cuts)?;
            check(&bytes, &cuts)?;
            check(&[text.as_bytes(), &bytes].concat(), &cuts)?;
        }
    }

    #[test]
    fn zeros_cost_six_times_their_number_unless_no_text_follows() {
        let mut cost = BodyCost::default();
        cost.push(&[0; 3000]);
        assert_eq!(cost.whole(), 18_000 + TEXT_MEMBER.len());
        assert!(cost.least() < 5000);
        cost.push(&[0xff]);
        assert_eq!(cost.whole(), cost.least());
        assert!(cost.whole() < 5000);
    }
}
