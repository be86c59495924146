//! The API's messages in this encoding: what stands in a request's path, query and body becomes one
//! message, and what the schema does not name is refused. The messages' own part is generated from
//! `proto/` by `build/json.rs`.

#![allow(
    clippy::match_same_arms,
    clippy::match_single_binding,
    clippy::single_match,
    clippy::needless_pass_by_value,
    unused_imports,
    unused_variables,
    reason = "generated"
)]

use super::{
    fault::{Fault, Read},
    forms,
    object::{
        Aside, JsonMessage, double, integer, list, message, named, read_into, text, texts,
        timestamp, wide_integer,
    },
    reader::{Manner, Reader},
    writer::{self, Extent, Members, Object},
};
use crate::schema::api as pb;
use crate::wire::FieldInvalid;
use bytes::{BufMut, Bytes, BytesMut};

include!(concat!(env!("OUT_DIR"), "/api_json.rs"));

/// Reads a request: the parameters of path and query, each a text, and a body, which is one object.
/// What stands in a parameter may not stand in the body too. A parameter that stands more than once
/// is a list's.
///
/// # Errors
/// Where a parameter or a member is none of the message's, stands twice, or holds another kind of value.
pub fn read_request<M: JsonMessage>(
    parameters: &[(&str, &str)],
    body: Option<&Bytes>,
) -> Result<M, Fault> {
    let mut request = M::default();
    let mut seen = 0;
    for (at, (name, value)) in parameters.iter().enumerate() {
        let known = M::MEMBERS.iter().enumerate();
        let Some((index, name)) = known.into_iter().find(|(_, known)| *known == name) else {
            return Err(Fault::new("there is no such parameter", 0));
        };
        if seen & (1 << index) != 0 {
            continue;
        }
        seen |= 1 << index;
        let more = parameters[at + 1..].iter();
        let more: Vec<_> = more
            .filter(|(other, _)| *other == *name)
            .map(|(_, value)| *value)
            .collect();
        read_parameter(&mut request, index, value, &more)
            .map_err(|fault: Fault| fault.in_member(*name))?;
    }
    if let Some(body) = body {
        let mut reader = Reader::new(body)?;
        reader.set_manner(Manner::Strict);
        read_into(&mut request, &mut reader, None, seen)?;
        reader.end()?;
    }
    Ok(request)
}

/// Reads a parameter as its member would be read, had it been a string; else as a list of strings.
fn read_parameter<M: JsonMessage>(
    request: &mut M,
    index: usize,
    value: &str,
    more: &[&str],
) -> Read<()> {
    let mut text = BytesMut::new();
    let mut read = |text: &BytesMut| {
        let text = std::str::from_utf8(text).unwrap_or_default();
        let mut reader = Reader::over(text);
        reader.set_manner(Manner::Parameter);
        request.read(index, &mut reader, &mut Aside::default())
    };
    if more.is_empty() {
        writer::string(&mut text, value);
        // A list of one looks like a single value.
        if let Ok(()) = read(&text) {
            return Ok(());
        }
    }
    text.clear();
    text.put_u8(b'[');
    for (index, value) in [value].iter().chain(more).enumerate() {
        if index > 0 {
            text.put_u8(b',');
        }
        writer::string(&mut text, value);
    }
    text.put_u8(b']');
    let listed = read(&text);
    if listed.is_err() && more.is_empty() {
        // The fault of the single value says more.
        text.clear();
        writer::string(&mut text, value);
        return read(&text);
    }
    listed
}

/// A request or an answer as a whole, checked, with what it is on its way. Generated.
pub trait Whole: TryFrom<Self::Wire, Error = FieldInvalid> {
    /// The same, unchecked.
    type Wire: JsonMessage + From<Self>;
}

/// Writes a request as REST takes it.
pub fn write_request<M: Whole>(request: M) -> Bytes {
    let mut out = BytesMut::new();
    write(&M::Wire::from(request), &mut out);
    out.freeze()
}

/// Reads an answer of REST. What a newer platform says beside it is passed over.
///
/// # Errors
/// Where it is no such object, or a field breaks a rule of the schema.
pub fn read_answer<M: Whole>(body: &Bytes) -> Result<M, AnswerInvalid> {
    let read = || {
        let mut reader = Reader::new(body)?;
        let wire: M::Wire = message(&mut reader, None)?;
        reader.end()?;
        Ok(wire)
    };
    let wire = read().map_err(|fault: Fault| AnswerInvalid::Malformed(fault.to_string()))?;
    Ok(M::try_from(wire)?)
}

/// An answer cannot be read. Whose fault: the platform's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerInvalid {
    /// It is no such object.
    #[error("{0}")]
    Malformed(String),
    /// A field breaks a rule of the schema.
    #[error(transparent)]
    Field(#[from] FieldInvalid),
}

/// Writes a message as one object, with every field that is never absent.
pub fn write(message: &impl Members, out: &mut BytesMut) {
    Object::write_to_extent(out, Extent::Whole, message);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<M: JsonMessage>(body: &str) -> Result<M, String> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        read_request(&[], Some(&body)).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_request_has_one_form_of_a_thing() {
        type Message = pb::CreateEnrolmentTokenRequest;
        for (body, taken) in [
            (r#"{"name":"kvm","ttl_seconds":60}"#, true),
            (r#"{"ttl_seconds":6e1}"#, true),
            (r#"{"ttl_seconds":"60"}"#, false),
            (r#"{"ttl_seconds":null}"#, false),
            (r#"{"name":null}"#, false),
            (r#"{"name":1}"#, false),
            (r#"{"more":1}"#, false),
            (r#"{"name":"a","name":"b"}"#, false),
            ("null", false),
        ] {
            assert_eq!(read::<Message>(body).is_ok(), taken, "{body}");
        }
    }

    #[test]
    fn a_value_of_an_enum_is_a_name() {
        for (body, taken) in [
            (r#"{"status":"online"}"#, true),
            (r#"{"status":1}"#, false),
            (r#"{"status":"1"}"#, false),
            (r#"{"status":"ONLINE"}"#, false),
        ] {
            let read = read::<pb::ListHostsRequest>(body);
            assert_eq!(read.is_ok(), taken, "{body}");
        }
    }

    #[test]
    fn a_number_past_what_every_reader_keeps_may_stand_in_a_string() {
        for (body, taken) in [
            (r#"{"after":18446744073709551615}"#, true),
            (r#"{"after":"18446744073709551615"}"#, true),
            (r#"{"after":"7"}"#, true),
            (r#"{"after":"7.0"}"#, false),
            (r#"{"after":"07"}"#, false),
            (r#"{"after":""}"#, false),
            (r#"{"after":"18446744073709551616"}"#, false),
        ] {
            let read = read::<pb::ExportAuditRequest>(body);
            assert_eq!(read.is_ok(), taken, "{body}");
        }
    }
}
