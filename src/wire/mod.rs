//! Bytes to checked messages and back: one interface, two encodings. Everything that a peer sends
//! passes here, and what comes out cannot be invalid. What a message means is the link's affair.

pub mod api;
pub mod binary;
mod check;
mod count;
pub mod fields;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod json;
pub mod messages;
pub mod package_name;
pub mod values;
pub mod websocket;

use bytes::{Bytes, BytesMut};
pub use check::{FieldInvalid, Max, Problem};
pub use count::Counted;
use messages::ErrorCode;
use prost::Message;

/// A message up to this length may hold what is kept of it, however little that is. Pieces of
/// bulk are up to twice as long, and nearly all body.
const KEPT_WHOLE_BYTES_MAX: usize = 16 << 10;

/// One direction's messages, as a codec needs them. Generated for the two envelopes.
pub trait Envelope: Sized + Clone + std::fmt::Debug + PartialEq {
    /// Prost's type for it.
    type Wire: Message + Clone + Default + json::JsonEnvelope;
    /// Where its repeated fields stand in the binary encoding.
    const COUNTED: &'static Counted;
    /// Checks a decoded message; `None` where it is of a type that this schema does not name.
    fn from_wire(wire: Self::Wire) -> Result<Option<Self>, FieldInvalid>;
    /// The message ready to be encoded.
    fn into_wire(self) -> Self::Wire;
    /// The message's name: its field in the envelope.
    fn name(&self) -> &'static str;
}

/// An encoding of envelopes.
pub trait Codec {
    /// Appends the message to `out`.
    fn encode<E: Envelope>(&self, message: E, out: &mut BytesMut);
    /// Reads one message. The bytes of bodies and heads are slices of `input`, not copies, where
    /// they are the most of it.
    fn decode<E: Envelope>(&self, input: Bytes) -> Result<E, DecodeError>;
}

/// The message ready to be encoded. The peer ends a connection on which a rule of the schema is
/// broken: tests and fuzzing are to find who would, so there the message is checked as it leaves.
fn to_wire<E: Envelope>(message: E) -> E::Wire {
    let wire = message.into_wire();
    debug_assert_eq!(E::from_wire(wire.clone()).err(), None, "not to be sent");
    wire
}

/// A message without what was around it: the bytes that are kept of a message are slices of its
/// text, so that much padding (fields of another schema, escapes) would be held on to for the
/// little that counts. Such a message is rare, and copied.
fn compact<W: Message + Default>(wire: W, input_bytes: usize) -> Result<W, DecodeError> {
    if input_bytes <= KEPT_WHOLE_BYTES_MAX || wire.encoded_len() >= input_bytes / 2 {
        return Ok(wire);
    }
    W::decode(Bytes::from(wire.encode_to_vec())).map_err(|e| DecodeError::Malformed(e.to_string()))
}

/// Why a message could not be taken in. Whose fault: the peer's, always.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not an envelope at all.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// An envelope whose message this schema does not name. It is answered and survived.
    #[error("unknown message type {}", name.as_deref().unwrap_or("(unnamed)"))]
    UnknownType {
        /// Its name, where the encoding carries one.
        name: Option<String>,
    },
    /// A field breaks a rule of the schema.
    #[error(transparent)]
    Invalid(#[from] FieldInvalid),
}

impl DecodeError {
    /// The code that the peer is told.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Malformed(_) => ErrorCode::Malformed,
            Self::UnknownType { .. } => ErrorCode::MessageTypeUnknown,
            Self::Invalid(_) => ErrorCode::FieldInvalid,
        }
    }
}

/// Which of the encodings a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Protobuf, in binary WebSocket messages.
    Binary,
    /// The JSON compatibility mode, in text messages.
    Json,
}

impl Encoding {
    /// Appends the message to `out`.
    pub fn encode<E: Envelope>(self, message: E, out: &mut BytesMut) {
        match self {
            Self::Binary => binary::Binary.encode(message, out),
            Self::Json => json::Json.encode(message, out),
        }
    }

    /// Reads one message.
    pub fn decode<E: Envelope>(self, input: Bytes) -> Result<E, DecodeError> {
        match self {
            Self::Binary => binary::Binary.decode(input),
            Self::Json => json::Json.decode(input),
        }
    }

    /// Reads the first message of a connection, which may leave out that it is a hello.
    pub fn decode_first<E: Envelope>(self, input: Bytes) -> Result<E, DecodeError> {
        match self {
            Self::Binary => binary::Binary.decode(input),
            Self::Json => json::Json.decode_first(input),
        }
    }
}
