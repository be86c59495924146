//! The journal's records as bytes: a length, a CRC-32C, and what is recorded. Commands and responses are in
//! it as they go over the link, in protobuf; the rest is a few numbers. Which records there are, and in what
//! order, is the journal's affair.
//!
//! ```text
//! file    = magic[8] version:u32 whole:u64 crc:u32  record*
//! record  = length:u32 crc:u32 body[length]          crc of length and body; numbers are little-endian
//! body    = kind:u8 synced:u64 fields
//! ```
//!
//! `whole` is how long the file was when it was put in place, synced; `synced` how much of it was known to be
//! synced when the record was written. What does not read well before such a mark is damage; after all of
//! them it is the torn end of a write that nobody was told of.

use bytes::{Buf as _, Bytes};

use crate::agent::commands::known::{self, Known};
use crate::clock::UnixMillis;
use crate::ids::Uuid;
use crate::limits;

/// How a journal begins.
const MAGIC: [u8; 8] = *b"FWJRNL\r\n";
/// The layout.
const VERSION: u32 = 1;
/// The length of the file's head.
pub const HEAD_BYTES: usize = 24;
/// What stands before a record's body.
pub const PREFIX_BYTES: usize = 8;
/// The longest body: a command as long as a message may be, and what names it; or the ranges of what is known.
pub const BODY_BYTES_MAX: usize = 2 << 20;
/// A kind and a mark.
const BODY_BYTES_MIN: usize = 9;

const _: () = assert!(limits::MESSAGE_BYTES_MAX + (64 << 10) < BODY_BYTES_MAX);
const _: () = assert!(known::RANGES_MAX * 16 + (64 << 10) < BODY_BYTES_MAX);

/// One thing that the agent must not forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Whose commands these are, and of which epoch of the platform's store.
    Identity(Identity),
    /// The sequences that were had.
    Seen(Known),
    /// A command was received.
    Received(Received),
    /// It was begun.
    Started {
        /// The command's id.
        id: String,
        /// When, by this machine's clock.
        at: UnixMillis,
    },
    /// It has ended, run or not.
    Ended {
        /// The command's id.
        id: String,
        /// The response's own.
        response_id: String,
        /// The response, encoded.
        response: Bytes,
    },
    /// The platform has its response.
    Acknowledged {
        /// The command's id.
        id: String,
    },
}

/// Whose commands these are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The host's id, as the platform gave it.
    pub host: String,
    /// The epoch of the platform's store that the sequences are of. `None` before the first was told.
    pub epoch: Option<Uuid>,
}

/// A command that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its id.
    pub id: String,
    /// Its sequence; 0 for none.
    pub sequence: u64,
    /// Everything up to here is settled.
    pub settled: u64,
    /// The command, encoded.
    pub command: Bytes,
}

impl Record {
    /// Whether somebody is told of it: then it is synced first.
    pub const fn must_survive(&self) -> bool {
        !matches!(self, Self::Acknowledged { .. })
    }

    /// How long what it carries is, in bytes.
    pub const fn payload_bytes(&self) -> usize {
        match self {
            Self::Received(received) => received.command.len(),
            Self::Ended { response, .. } => response.len(),
            _ => 0,
        }
    }

    /// Appends the record to `out`, written when `synced` bytes of the file were known to be synced.
    pub fn encode(&self, synced: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([0; PREFIX_BYTES]);
        out.push(self.kind());
        out.extend(synced.to_le_bytes());
        match self {
            Self::Identity(identity) => {
                text(&identity.host, out);
                if let Some(epoch) = identity.epoch {
                    out.extend(epoch.as_bytes());
                }
            }
            Self::Seen(known) => {
                let (floor, ranges) = known.parts();
                out.extend(floor.to_le_bytes());
                for (first, last) in ranges {
                    out.extend(first.to_le_bytes());
                    out.extend(last.to_le_bytes());
                }
            }
            Self::Received(received) => {
                text(&received.id, out);
                out.extend(received.sequence.to_le_bytes());
                out.extend(received.settled.to_le_bytes());
                out.extend(&received.command);
            }
            Self::Started { id, at } => {
                text(id, out);
                out.extend(at.0.to_le_bytes());
            }
            Self::Ended {
                id,
                response_id,
                response,
            } => {
                text(id, out);
                text(response_id, out);
                out.extend(response);
            }
            Self::Acknowledged { id } => text(id, out),
        }
        let length = u32::try_from(out.len() - start - PREFIX_BYTES).unwrap_or(u32::MAX);
        let length = length.to_le_bytes();
        let crc = crc32c(&[&length, &out[start + PREFIX_BYTES..]]);
        out[start..start + 4].copy_from_slice(&length);
        out[start + 4..start + PREFIX_BYTES].copy_from_slice(&crc.to_le_bytes());
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Identity(_) => 1,
            Self::Seen(_) => 2,
            Self::Received(_) => 3,
            Self::Started { .. } => 4,
            Self::Ended { .. } => 5,
            Self::Acknowledged { .. } => 6,
        }
    }

    fn decode(mut body: Bytes) -> Option<(Self, u64)> {
        let kind = body.try_get_u8().ok()?;
        let synced = body.try_get_u64_le().ok()?;
        let record = match kind {
            1 => {
                let host = take_text(&mut body)?;
                let epoch = match body.len() {
                    0 => None,
                    _ => Some(Uuid::from_slice(&body).ok()?),
                };
                Self::Identity(Identity { host, epoch })
            }
            2 => {
                let floor = body.try_get_u64_le().ok()?;
                let mut ranges = Vec::with_capacity(body.len() / 16);
                while body.has_remaining() {
                    let first = body.try_get_u64_le().ok()?;
                    ranges.push((first, body.try_get_u64_le().ok()?));
                }
                Self::Seen(Known::from_parts(floor, &ranges)?)
            }
            3 => Self::Received(Received {
                id: take_text(&mut body)?,
                sequence: body.try_get_u64_le().ok()?,
                settled: body.try_get_u64_le().ok()?,
                command: body,
            }),
            4 => Self::Started {
                id: take_text(&mut body)?,
                at: UnixMillis(body.try_get_u64_le().ok()?),
            },
            5 => Self::Ended {
                id: take_text(&mut body)?,
                response_id: take_text(&mut body)?,
                response: body,
            },
            6 => Self::Acknowledged {
                id: take_text(&mut body)?,
            },
            _ => return None,
        };
        Some((record, synced))
    }
}

/// How long the body is that begins with this prefix; `None` where no record begins so.
pub fn body_length(prefix: [u8; PREFIX_BYTES]) -> Option<usize> {
    let [a, b, c, d, ..] = prefix;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    (BODY_BYTES_MIN..=BODY_BYTES_MAX)
        .contains(&length)
        .then_some(length)
}

/// Whether a body may begin so, after this many bytes of the file: asked before its CRC is computed.
pub fn may_begin(body: &[u8], offset: u64) -> bool {
    let Some((kind, rest)) = body.split_first() else {
        return false;
    };
    let synced = rest.first_chunk().copied().map(u64::from_le_bytes);
    (1..=6).contains(kind) && synced.is_some_and(|synced| synced <= offset)
}

/// Reads a record, and its mark; `None` where its bytes are not what was written.
pub fn decode(prefix: [u8; PREFIX_BYTES], body: Bytes) -> Option<(Record, u64)> {
    let [l0, l1, l2, l3, c0, c1, c2, c3] = prefix;
    let crc = u32::from_le_bytes([c0, c1, c2, c3]);
    if crc32c(&[&[l0, l1, l2, l3], &body]) != crc {
        return None;
    }
    Record::decode(body)
}

/// The head of a file of which this much is whole when it is put in place.
pub fn head(whole: u64) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..20].copy_from_slice(&whole.to_le_bytes());
    let crc = crc32c(&[&head[..20]]);
    head[20..].copy_from_slice(&crc.to_le_bytes());
    head
}

/// How much was whole, of the file with this head; `None` where it is no journal of this version.
pub fn read_head(read: &[u8; HEAD_BYTES]) -> Option<u64> {
    let whole = read[12..20]
        .first_chunk()
        .copied()
        .map(u64::from_le_bytes)?;
    (head(whole) == *read).then_some(whole)
}

fn text(text: &str, out: &mut Vec<u8>) {
    // Ids have 64 bytes at most.
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    out.push(length);
    out.extend(&text.as_bytes()[..usize::from(length)]);
}

fn take_text(body: &mut Bytes) -> Option<String> {
    let length = usize::from(body.try_get_u8().ok()?);
    if length > body.len() {
        return None;
    }
    String::from_utf8(body.split_to(length).to_vec()).ok()
}

/// CRC-32C (RFC 3720 section 12.1) of the parts, one after the other.
fn crc32c(parts: &[&[u8]]) -> u32 {
    let step = |crc: u32, byte: &u8| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    !parts.iter().flat_map(|part| part.iter()).fold(!0, step)
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let mut known = Known::default();
        [1, 2, 7, 8, 12]
            .into_iter()
            .for_each(|sequence| known.insert(sequence));
        let epoch = Some(Uuid::from_u128(7));
        let host = "5cb5b9b4-8a6c-4b4f-8b5c-0b9f4a1f2f3e".to_owned();
        let id = "c1".to_owned();
        vec![
            Record::Identity(Identity {
                host: host.clone(),
                epoch,
            }),
            Record::Identity(Identity { host, epoch: None }),
            Record::Seen(known),
            Record::Received(Received {
                id: id.clone(),
                sequence: 9,
                settled: 4,
                command: Bytes::from_static(b"command"),
            }),
            Record::Started {
                id: id.clone(),
                at: UnixMillis(5),
            },
            Record::Ended {
                id: id.clone(),
                response_id: "r1".to_owned(),
                response: Bytes::from_static(b"response"),
            },
            Record::Acknowledged { id },
        ]
    }

    fn read(bytes: &[u8]) -> Option<(Record, u64)> {
        let prefix = *bytes.first_chunk()?;
        let body = Bytes::copy_from_slice(&bytes[PREFIX_BYTES..]);
        (body_length(prefix) == Some(body.len())).then(|| decode(prefix, body))?
    }

    #[test]
    fn records_come_back_and_a_flipped_bit_does_not() {
        for record in records() {
            let mut bytes = Vec::new();
            record.encode(77, &mut bytes);
            assert!(may_begin(&bytes[PREFIX_BYTES..], 77));
            assert!(!may_begin(&bytes[PREFIX_BYTES..], 76));
            assert_eq!(read(&bytes), Some((record.clone(), 77)));
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(read(&flipped), None, "bit {bit} of {record:?}");
            }
        }
    }

    #[test]
    fn the_head_says_what_was_whole() {
        assert_eq!(read_head(&head(1 << 40)), Some(1 << 40));
        for bit in 0..HEAD_BYTES * 8 {
            let mut flipped = head(24);
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read_head(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn the_checksum_is_crc_32c() {
        // RFC 3720 appendix B.4.
        assert_eq!(crc32c(&[&[0; 32]]), 0x8a91_36aa);
        assert_eq!(crc32c(&[b"1234", b"56789"]), 0xe306_9283);
    }
}
