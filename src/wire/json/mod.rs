//! The compatibility encoding: JSON, one object a message, as `docs/PROTOCOL.md` describes it. What
//! is read passes the same checks as in the binary encoding.
//!
//! The reader is our own, as nothing on the shelf refuses a repeated member, names the place
//! without showing the value, which may be a secret, and hands out bodies as slices of the input.

pub mod api;
mod cost;
mod fault;
mod forms;
mod messages;
mod names;
mod number;
mod object;
mod reader;
mod time;
mod writer;

use super::{Codec, DecodeError, Envelope, compact, to_wire};
use bytes::{Bytes, BytesMut};
pub use cost::BodyCost;
pub use fault::Fault;
pub use object::{JsonEnvelope, JsonMessage};
use reader::Reader;
pub use writer::Members;

/// The members that may carry a message's name.
const TAGS: [&str; 2] = ["type", "message_type"];
/// A message's name that is longer, or no plain word, is not repeated in errors.
const NAME_BYTES_MAX: usize = 64;

/// JSON text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Codec for Json {
    fn encode<E: Envelope>(&self, message: E, out: &mut BytesMut) {
        to_wire(message).write(out);
    }

    fn decode<E: Envelope>(&self, input: Bytes) -> Result<E, DecodeError> {
        decode(&input, None)
    }
}

impl Json {
    /// Reads the first message of a connection: an object that carries `auth_token` and no type is
    /// a `hello`.
    pub fn decode_first<E: Envelope>(&self, input: Bytes) -> Result<E, DecodeError> {
        decode(&input, Some(("auth_token", "type", "hello")))
    }
}

/// `untagged` is a member by which an object without a type is known, and the type that it has.
fn decode<E: Envelope>(
    input: &Bytes,
    untagged: Option<(&str, &str, &str)>,
) -> Result<E, DecodeError> {
    let start = Reader::new(input)?;
    let mut reader = start.clone();
    let mut members = reader.begin_object()?;
    let mut unknown = None;
    let mut implied = None;
    while let Some(member) = reader.member(&mut members)? {
        if let Some(tag) = TAGS.into_iter().find(|tag| *tag == member) {
            if reader.null() {
                continue;
            }
            let name = reader.string().map_err(|fault| fault.in_member(tag))?;
            if let Some(message) = read(tag, &name, &start, input.len())? {
                return Ok(message);
            }
            unknown.get_or_insert(name);
        } else {
            if let Some((_, tag, name)) = untagged.filter(|(known, ..)| *known == member) {
                implied = Some((tag, name));
            }
            reader.skip()?;
        }
    }
    reader.end()?;
    match (unknown, implied) {
        (None, Some((tag, name))) => match read(tag, name, &start, input.len())? {
            Some(message) => Ok(message),
            None => Err(DecodeError::UnknownType { name: None }),
        },
        (unknown, _) => Err(DecodeError::UnknownType {
            name: unknown
                .filter(|name| name.len() <= NAME_BYTES_MAX)
                .filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()))
                .map(std::borrow::Cow::into_owned),
        }),
    }
}

/// Reads the whole text as the message of that name, where the direction has it.
fn read<E: Envelope>(
    tag: &str,
    name: &str,
    start: &Reader<'_>,
    input_bytes: usize,
) -> Result<Option<E>, DecodeError> {
    let mut reader = start.clone();
    match E::Wire::read(tag, name, &mut reader)? {
        Some(wire) => {
            reader.end()?;
            Ok(E::from_wire(compact(wire, input_bytes)?)?)
        }
        None => Ok(None),
    }
}

/// Reads one message that stands by itself, as a peer's: a result whose type nothing in it names.
///
/// # Errors
/// Where it is no object, or a member is not what the message's is.
pub fn read_value<M: JsonMessage>(text: &str) -> Result<M, Fault> {
    let mut reader = reader::Reader::over(text);
    let value = object::message(&mut reader, None)?;
    reader.end()?;
    Ok(value)
}

/// How long the message is as text.
pub fn length<E: Envelope>(message: E) -> usize {
    let mut out = BytesMut::new();
    Json.encode(message, &mut out);
    out.len()
}

/// Whether the text is one JSON value that is nested no deeper than [`reader::DEPTH_MAX`].
pub(super) fn is_json(text: &str) -> bool {
    let mut reader = Reader::over(text);
    reader.skip().is_ok() && reader.end().is_ok()
}

impl From<Fault> for DecodeError {
    fn from(fault: Fault) -> Self {
        Self::Malformed(fault.to_string())
    }
}

#[cfg(test)]
mod tests;
