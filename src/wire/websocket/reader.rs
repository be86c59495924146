//! Messages out of the bytes that a socket gives.

use super::{
    BINARY, CLOSE, CONTINUATION, CONTROL_BYTES_MAX, Header, MESSAGE_BYTES_MAX, PING, PONG,
    RESERVED, Role, TEXT, apply_mask,
};
use bytes::{Buf, Bytes, BytesMut};

/// What one read asks for: a TLS record, which is all that one read of TLS gives.
const READ_BYTES: usize = 16 << 10;
/// With less room than this left, a read gets new room.
const READ_BYTES_MIN: usize = 4 << 10;
/// The longest frame that the next one is expected to be like: two pieces of bulk. What is kept of
/// a short message holds no more memory than twice this, whatever came before it.
const EXPECTED_BYTES_MAX: usize = 64 << 10;
/// A piece of a message that carries less than this is next to nothing.
const CRUMB_BYTES: usize = 64;

/// What has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message. Its bytes are a slice of what was read, not a copy, where it came in one
    /// frame.
    Message {
        /// It is text, and UTF-8.
        text: bool,
        /// What it carries.
        payload: Bytes,
    },
    /// A ping, to be answered with the same bytes.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// A piece of a message that carries next to nothing, and is more work than worth.
    Crumb,
    /// The peer closes: its code and reason, where it gives one. Nothing follows.
    Close(Option<(u16, String)>),
}

/// What makes a stream of bytes no WebSocket any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A message is longer than is taken in.
    #[error("a message of more than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// A text is none.
    #[error("text that is not UTF-8")]
    NotUtf8,
    /// A frame breaks a rule of RFC 6455.
    #[error("{0}")]
    Protocol(&'static str),
}

/// Reads frames. After an error or a close nothing more is to be asked of it.
#[derive(Debug)]
pub struct Reader {
    role: Role,
    /// The longest message taken in.
    bytes_max: usize,
    pub(super) buffer: BytesMut,
    /// How long the buffer must be for the frame at its beginning to be whole, as far as is known.
    wanted: usize,
    /// The last frame's length, within bounds: the next one is probably as long.
    expected: usize,
    /// A message of which more frames are to come.
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    text: bool,
    payload: BytesMut,
}

impl Reader {
    /// A reader of what the other end sends; `early` has come of it already.
    #[must_use]
    pub fn new(role: Role, early: &[u8]) -> Self {
        Self {
            role,
            bytes_max: MESSAGE_BYTES_MAX,
            buffer: BytesMut::from(early),
            wanted: 0,
            expected: READ_BYTES,
            begun: None,
        }
    }

    /// Takes no longer message from here on, and no room for one: [`MESSAGE_BYTES_MAX`] at most.
    pub const fn limit(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Where the next bytes are to be appended, with room for as many as are worth a read.
    pub fn space(&mut self) -> &mut BytesMut {
        let come = self.buffer.len();
        let missing = self.wanted.saturating_sub(come);
        let room = self.buffer.capacity() - come;
        if room < missing.clamp(READ_BYTES_MIN, self.expected) {
            // A length that is only claimed is given as much again as has come of it.
            let more = missing.min(come).max(self.expected);
            // To reserve would double what is there, again and again where lengths are chosen for it.
            if !self.buffer.try_reclaim(more) {
                let mut larger = BytesMut::with_capacity(come + more);
                larger.extend_from_slice(&self.buffer);
                self.buffer = larger;
            }
        }
        &mut self.buffer
    }

    /// Gives back the buffer where nothing lies in it, until bytes come again.
    pub fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// What has come next; `None` where more bytes are needed.
    ///
    /// # Errors
    /// When the peer breaks the rules of RFC 6455, or its message is too long.
    pub fn read(&mut self) -> Result<Option<Event>, Broken> {
        loop {
            let Some((header, header_bytes)) = Header::parse(&self.buffer) else {
                self.wanted = 0;
                return Ok(None);
            };
            let frame_bytes = header_bytes + self.judge(header)?;
            if self.buffer.len() < frame_bytes {
                self.wanted = frame_bytes;
                return Ok(None);
            }
            self.expected = frame_bytes.clamp(READ_BYTES, EXPECTED_BYTES_MAX);
            let mut payload = self.buffer.split_to(frame_bytes);
            if frame_bytes > EXPECTED_BYTES_MAX {
                // A short message is not to hold the memory of a long one before it.
                self.buffer = BytesMut::from(&self.buffer[..]);
            }
            payload.advance(header_bytes);
            if let Some(key) = header.mask {
                apply_mask(&mut payload, key);
            }
            let event = if header.is_control() {
                Some(Self::control(header, payload.freeze())?)
            } else {
                self.data(header, payload)?
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// Refuses a frame by its header, before memory is taken for it; gives its payload's length.
    fn judge(&self, header: Header) -> Result<usize, Broken> {
        if header.first & RESERVED != 0 {
            return Err(Broken::Protocol("a frame with a reserved bit"));
        }
        match (self.role, header.mask) {
            (Role::Server, None) => return Err(Broken::Protocol("a frame without a mask")),
            (Role::Client, Some(_)) => return Err(Broken::Protocol("a frame with a mask")),
            _ => {}
        }
        let before = match (header.code(), &self.begun) {
            (CLOSE | PING | PONG, _) if !header.is_final() => {
                return Err(Broken::Protocol("a control frame in pieces"));
            }
            (CLOSE | PING | PONG, _) if header.payload_bytes > CONTROL_BYTES_MAX as u64 => {
                return Err(Broken::Protocol("a control frame of more than 125 bytes"));
            }
            (CLOSE | PING | PONG, _) | (TEXT | BINARY, None) => 0,
            (CONTINUATION, Some(begun)) => begun.payload.len(),
            (CONTINUATION, None) => {
                return Err(Broken::Protocol("a message that goes on before it began"));
            }
            (TEXT | BINARY, Some(_)) => {
                return Err(Broken::Protocol("a message within another"));
            }
            _ => return Err(Broken::Protocol("a frame of an unknown kind")),
        };
        usize::try_from(header.payload_bytes)
            .ok()
            .filter(|&bytes| bytes <= self.bytes_max.saturating_sub(before))
            .ok_or(Broken::TooLong)
    }

    /// A frame of a message; `None` where more of it is to come.
    fn data(&mut self, header: Header, payload: BytesMut) -> Result<Option<Event>, Broken> {
        let crumb = payload.len() < CRUMB_BYTES;
        let (text, whole) = match self.begun.take() {
            None => (header.code() == TEXT, payload),
            Some(mut begun) => {
                begun.payload.extend_from_slice(&payload);
                (begun.text, begun.payload)
            }
        };
        if !header.is_final() {
            self.begun = Some(Begun {
                text,
                payload: whole,
            });
            return Ok(crumb.then_some(Event::Crumb));
        }
        if text && std::str::from_utf8(&whole).is_err() {
            return Err(Broken::NotUtf8);
        }
        let payload = whole.freeze();
        Ok(Some(Event::Message { text, payload }))
    }

    fn control(header: Header, payload: Bytes) -> Result<Event, Broken> {
        Ok(match header.code() {
            PING => Event::Ping(payload),
            PONG => Event::Pong,
            _ => Event::Close(closing(&payload)?),
        })
    }
}

/// What a close frame says (RFC 6455 section 5.5.1).
fn closing(payload: &[u8]) -> Result<Option<(u16, String)>, Broken> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return match payload {
            [] => Ok(None),
            _ => Err(Broken::Protocol("a close frame with half a code")),
        };
    };
    let code = u16::from_be_bytes(*code);
    // Those that may be sent: section 7.4 and its registry.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Broken::Protocol("a close frame with a code that is none"));
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(Some((code, reason.to_owned()))),
        Err(_) => Err(Broken::NotUtf8),
    }
}
