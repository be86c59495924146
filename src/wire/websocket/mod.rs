//! WebSocket frames (RFC 6455 section 5) without I/O: [`Reader`] makes messages of bytes, [`Writer`]
//! bytes of messages. The opening handshake is `net`'s, as are the socket and the order of a close.
//!
//! Of the crate's own because it is on the way of every byte: a message is encoded where it is sent
//! from and decoded where it was read to, and an idle connection holds no buffer to read into and a
//! short one to write from (`ARCHITECTURE.md` has the figures).

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod reader;
#[cfg(all(test, feature = "net"))]
mod tests;
mod writer;

pub use reader::{Broken, Event, Reader};
pub use writer::Writer;

use crate::limits;

/// Which end of the connection this is: what a client sends is masked (RFC 6455 section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The agent's end.
    Client,
    /// The platform's end.
    Server,
}

/// The longest message taken in, in bytes, however many frames it comes in.
pub const MESSAGE_BYTES_MAX: usize = limits::MESSAGE_BYTES_MAX;
/// The longest header: two bytes, a length of eight, a mask of four.
pub const HEADER_BYTES_MAX: usize = 14;
/// The longest payload of a control frame (RFC 6455 section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;
/// The longest reason of a close frame: a control frame's payload without the code.
pub const CLOSE_REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const CONTROL: u8 = 0x08;
const MASKED: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// What stands before a frame's payload, as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    first: u8,
    mask: Option<[u8; 4]>,
    /// Bytes of the payload, as the sender claims.
    pub payload_bytes: u64,
}

impl Header {
    /// Reads a header and its length from the beginning of `bytes`; `None` where it is not whole.
    /// What it says is not judged.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let &[first, second, ref rest @ ..] = bytes else {
            return None;
        };
        let (payload_bytes, rest) = match second & !MASKED {
            LENGTH_16 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            LENGTH_64 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), rest)
            }
            length => (u64::from(length), rest),
        };
        let (mask, rest) = if second & MASKED == 0 {
            (None, rest)
        } else {
            let (key, rest) = rest.split_first_chunk()?;
            (Some(*key), rest)
        };
        let header = Self {
            first,
            mask,
            payload_bytes,
        };
        Some((header, bytes.len() - rest.len()))
    }

    const fn code(self) -> u8 {
        self.first & 0x0f
    }

    const fn is_final(self) -> bool {
        self.first & FINAL != 0
    }

    const fn is_control(self) -> bool {
        self.first & CONTROL != 0
    }
}

/// Masks or unmasks a payload (RFC 6455 section 5.3).
fn apply_mask(payload: &mut [u8], key: [u8; 4]) {
    // In blocks that the compiler makes vectors of.
    let mut wide = [0; 16];
    wide.as_chunks_mut().0.fill(key);
    let wide = u128::from_ne_bytes(wide);
    let (blocks, rest) = payload.as_chunks_mut::<16>();
    for block in blocks {
        *block = (u128::from_ne_bytes(*block) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}
