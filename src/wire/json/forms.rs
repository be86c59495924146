//! The forms that `options.proto` gives to bytes: field lines as an object, and text where the
//! bytes are text.

use super::{
    fault::{Fault, Read},
    reader::Reader,
    writer::{self, Object},
};
use crate::{
    limits,
    wire::fields::{FieldError, FieldLines, FieldLinesBuilder, Iter},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use std::borrow::Cow;

/// The one value of a member `<field>_encoding`.
pub const BASE64: &str = "base64";

pub fn to_base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Undoes base64 (RFC 4648 section 4): padded, nothing else in between, no stray bits.
pub fn from_base64(text: &[u8], reader: &Reader<'_>) -> Read<Bytes> {
    BASE64_STANDARD
        .decode(text)
        .map(Bytes::from)
        .map_err(|_| reader.fault("not base64"))
}

/// Reads bytes that are base64 in a string.
pub fn read_base64(reader: &mut Reader<'_>) -> Read<Bytes> {
    let text = reader.string()?;
    from_base64(text.as_bytes(), reader)
}

/// Reads the name of an encoding: true for base64.
pub fn read_encoding(reader: &mut Reader<'_>) -> Read<bool> {
    match &*reader.string()? {
        BASE64 => Ok(true),
        _ => Err(reader.fault("no such encoding")),
    }
}

/// Reads an object of names and values as field lines. Values are strings, or lists of strings
/// where a name repeats; `null` stands for no field.
pub fn read_field_lines(reader: &mut Reader<'_>) -> Read<Bytes> {
    let mut lines = FieldLines::builder();
    let mut count = 0;
    let mut index = 0;
    reader.object(|reader, name| {
        let member = if reader.null() {
            Ok(())
        } else if reader.at_string() {
            push(&mut lines, &mut count, &name, reader)
        } else {
            reader.array(|reader, _| push(&mut lines, &mut count, &name, reader))
        };
        index += 1;
        member.map_err(|fault| fault.in_item(index - 1))
    })?;
    Ok(lines.finish().into_bytes())
}

fn push(
    lines: &mut FieldLinesBuilder,
    count: &mut usize,
    name: &str,
    reader: &mut Reader<'_>,
) -> Read<()> {
    let value = reader.string()?;
    *count += 1;
    if *count > limits::FIELDS.count
        || lines.len() + name.len() + value.len() > limits::FIELDS.bytes
    {
        return Err(reader.fault("too many or too long fields"));
    }
    let value = latin1(&value).ok_or_else(|| reader.fault("a character beyond U+00FF"))?;
    lines.push(name, &value).map_err(|error| {
        reader.fault(match error {
            FieldError::Name => "not the name of an HTTP field",
            _ => "not the value of an HTTP field",
        })
    })
}

/// The bytes that the code points U+0000 to U+00FF stand for.
fn latin1(text: &str) -> Option<Cow<'_, [u8]>> {
    if text.is_ascii() {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    bytes.map(Cow::Owned)
}

/// Writes field lines as an object. A name that repeats, in whatever case, stands where it first
/// did, with all its values in their order.
pub fn write_field_lines(out: &mut BytesMut, lines: &[u8]) {
    let fields: Vec<_> = Iter::over(lines).collect();
    out.put_u8(b'{');
    let mut first = true;
    for (index, (name, value)) in fields.iter().enumerate() {
        let same = |other: &&(&str, &[u8])| other.0.eq_ignore_ascii_case(name);
        if fields[..index].iter().any(|other| same(&other)) {
            continue;
        }
        if !first {
            out.put_u8(b',');
        }
        first = false;
        writer::string(out, name);
        out.put_u8(b':');
        let rest: Vec<_> = fields[index..].iter().filter(same).collect();
        if rest.len() == 1 {
            write_latin1(out, value);
        } else {
            writer::list(out, &rest, |field, out| write_latin1(out, field.1));
        }
    }
    out.put_u8(b'}');
}

fn write_latin1(out: &mut BytesMut, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => writer::string(out, text),
        _ => writer::string(
            out,
            &bytes.iter().copied().map(char::from).collect::<String>(),
        ),
    }
}

impl Object<'_> {
    /// Field lines, where there are any or the member is to stand in any case.
    pub fn field_lines(&mut self, name: &str, lines: &Bytes, always: bool) {
        if always || !lines.is_empty() {
            write_field_lines(self.name(name), lines);
        }
    }
}

/// The fault of a base64 text stands at the field, not at the member that named the encoding.
pub fn decode_in_place(field: &mut Bytes, name: &'static str, reader: &Reader<'_>) -> Read<()> {
    *field = from_base64(field, reader).map_err(|fault: Fault| fault.in_member(name))?;
    Ok(())
}
