//! Bytes to send out of messages.

use super::{
    BINARY, CLOSE, CLOSE_REASON_BYTES_MAX, CONTROL_BYTES_MAX, FINAL, HEADER_BYTES_MAX, LENGTH_16,
    LENGTH_64, MASKED, PING, PONG, Role, TEXT, apply_mask,
};
use bytes::BytesMut;

/// Bytes of a header with a length of two bytes and no mask: what most messages have.
const HEADER_BYTES_USUAL: usize = 4;
/// A buffer larger than this is given back after a while without need of it.
const KEPT_BYTES_MAX: usize = 16 << 10;
/// What is sent at once is little for a large buffer below this.
const LITTLE_BYTES: usize = 2 << 10;
/// Sendings of little after which a large buffer is given back: bulk that flows beside small
/// messages keeps it, a connection whose heartbeats are all that is left does not.
const LITTLE_TIMES: u8 = 8;
/// Keys of masks made at once: a call of the operating system costs more than many masks.
const KEYS: usize = 64;

/// Where a client's masks come from: they must not be foreseen (RFC 6455 section 5.3).
pub type Entropy = fn() -> [u8; 4 * KEYS];

/// Writes frames. What it holds is sent, in order, by whoever has the socket.
#[derive(Debug)]
pub struct Writer {
    pub(super) out: BytesMut,
    sent: usize,
    little: u8,
    masks: Option<Masks>,
}

#[derive(Debug)]
struct Masks {
    entropy: Entropy,
    keys: [u8; 4 * KEYS],
    used: usize,
}

impl Masks {
    fn next(&mut self) -> [u8; 4] {
        if self.used == KEYS {
            self.keys = (self.entropy)();
            self.used = 0;
        }
        let (keys, _) = self.keys.as_chunks();
        self.used += 1;
        keys[self.used - 1]
    }
}

impl Writer {
    /// A writer for this end of a connection. Only a client's asks for entropy.
    #[must_use]
    pub fn new(role: Role, entropy: Entropy) -> Self {
        let masks = Masks {
            entropy,
            keys: [0; 4 * KEYS],
            used: KEYS,
        };
        Self {
            out: BytesMut::new(),
            sent: 0,
            little: 0,
            masks: (role == Role::Client).then_some(masks),
        }
    }

    /// Queues a message in one frame: what `encode` appends. Returns the payload's length.
    pub fn message(&mut self, text: bool, encode: impl FnOnce(&mut BytesMut)) -> usize {
        self.frame(if text { TEXT } else { BINARY }, encode)
    }

    /// Queues the answer to a ping, which has 125 bytes at most.
    pub fn pong(&mut self, payload: &[u8]) {
        let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
        self.frame(PONG, |out| out.extend_from_slice(payload));
    }

    /// Queues a ping, which says nothing.
    pub fn ping(&mut self) {
        self.frame(PING, |_| {});
    }

    /// Queues a close frame. A reason that is too long is cut.
    pub fn close(&mut self, closing: Option<(u16, &str)>) {
        self.frame(CLOSE, |out| {
            if let Some((code, reason)) = closing {
                let end = reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX);
                out.extend_from_slice(&code.to_be_bytes());
                out.extend_from_slice(&reason.as_bytes()[..end]);
            }
        });
    }

    /// What is to be sent next.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        &self.out[self.sent..]
    }

    /// That many bytes of it have been sent.
    pub fn advance(&mut self, bytes: usize) {
        self.sent = self.out.len().min(self.sent.saturating_add(bytes));
        if self.sent < self.out.len() {
            return;
        }
        let little = self.out.capacity() > KEPT_BYTES_MAX && self.sent < LITTLE_BYTES;
        self.little = if little { self.little + 1 } else { 0 };
        self.sent = 0;
        if self.little < LITTLE_TIMES {
            self.out.clear();
        } else {
            self.out = BytesMut::new();
            self.little = 0;
        }
    }

    /// A frame is made where it is sent from: room is left for the header that most frames have,
    /// and a payload that needs another one is moved. Those are short, or rare.
    fn frame(&mut self, code: u8, encode: impl FnOnce(&mut BytesMut)) -> usize {
        let mask = self.masks.as_mut().map(Masks::next);
        let mask_bytes = mask.map_or(0, |key| key.len());
        let start = self.out.len();
        let usual = HEADER_BYTES_USUAL + mask_bytes;
        self.out.extend_from_slice(&[0; HEADER_BYTES_MAX][..usual]);
        encode(&mut self.out);
        let length = self.out.len() - start - usual;

        let mut header = [0; HEADER_BYTES_MAX];
        header[0] = FINAL | code;
        let plain = match u16::try_from(length) {
            Ok(short) if length <= CONTROL_BYTES_MAX => {
                header[1] = short.to_be_bytes()[1];
                2
            }
            Ok(medium) => {
                header[1] = LENGTH_16;
                header[2..4].copy_from_slice(&medium.to_be_bytes());
                4
            }
            Err(_) => {
                header[1] = LENGTH_64;
                header[2..10].copy_from_slice(&(length as u64).to_be_bytes());
                10
            }
        };
        if let Some(key) = mask {
            header[1] |= MASKED;
            header[plain..plain + 4].copy_from_slice(&key);
        }
        let header = &header[..plain + mask_bytes];
        if header.len() != usual {
            let longest = usual.max(header.len());
            self.out.resize(start + longest + length, 0);
            let payload = start + usual..start + usual + length;
            self.out.copy_within(payload, start + header.len());
            self.out.truncate(start + header.len() + length);
        }
        let payload = start + header.len();
        self.out[start..payload].copy_from_slice(header);
        if let Some(key) = mask {
            apply_mask(&mut self.out[payload..], key);
        }
        length
    }
}
