//! What a generated message is to this encoding, and how an object becomes one: each member once,
//! in any order, `null` as if it were not there, unknown members passed over.

use super::{
    fault::{Fault, Read},
    names, number,
    reader::{Manner, Reader},
    time,
    writer::Members,
};
use bytes::BytesMut;
use prost_types::Timestamp;
use std::collections::BTreeMap;

/// A member's name that is longer, or no plain word, is not repeated in errors.
const NAME_BYTES_MAX: usize = 64;

/// An envelope in this encoding. Generated.
pub trait JsonEnvelope: Sized {
    /// Reads the message that the member `tag` calls `name`; `None` where this direction has none
    /// of that name.
    fn read(tag: &str, name: &str, reader: &mut Reader<'_>) -> Read<Option<Self>>;
    /// Writes the message as one object, its tag first.
    fn write(&self, out: &mut BytesMut);
}

/// A message in this encoding. Generated.
pub trait JsonMessage: Default + Members {
    /// The names of its members, 63 at most: with a tag, each has its bit of a `u64`.
    const MEMBERS: &'static [&'static str];
    /// Takes the value of that member.
    fn read<'a>(
        &mut self,
        member: usize,
        reader: &mut Reader<'a>,
        aside: &mut Aside<'a>,
    ) -> Read<()>;
    /// Settles what only all members together say.
    fn settle(&mut self, _aside: Aside<'_>, _reader: &Reader<'_>) -> Read<()> {
        Ok(())
    }
}

/// What is kept of an object until all its members are read.
#[derive(Default)]
pub struct Aside<'a> {
    /// Whether the one field that may be text or base64 is base64.
    pub base64: bool,
    /// The name of the oneof's field.
    pub tag: Option<String>,
    /// The oneof's content: a reader in front of it, and its text.
    pub content: Option<(Reader<'a>, &'a str)>,
}

/// Reads an object as a message. `tag` is a member that was read before.
pub fn message<M: JsonMessage>(reader: &mut Reader<'_>, tag: Option<&'static str>) -> Read<M> {
    let mut message = M::default();
    read_into(&mut message, reader, tag, 0)?;
    Ok(message)
}

/// Reads an object's members into a message. `seen` has a bit for each member that was read before.
pub fn read_into<M: JsonMessage>(
    message: &mut M,
    reader: &mut Reader<'_>,
    tag: Option<&'static str>,
    mut seen: u64,
) -> Read<()> {
    let mut aside = Aside::default();
    // The tag takes the bit after those of the members.
    let names = || M::MEMBERS.iter().copied().chain(tag);
    reader.object(|reader, name| {
        let Some((index, name)) = names().enumerate().find(|(_, known)| *known == name) else {
            if reader.manner() == Manner::Lenient {
                return reader.skip().map(|_| ());
            }
            return Err(unknown_member(&name, reader));
        };
        let bit = 1 << index;
        if seen & bit != 0 {
            return Err(reader.fault("stands twice").in_member(name));
        }
        seen |= bit;
        if index == M::MEMBERS.len() {
            return reader.skip().map(|_| ());
        }
        if reader.null() {
            return if reader.manner() == Manner::Lenient {
                Ok(())
            } else {
                Err(reader
                    .fault("null: what is not to be said is left out")
                    .in_member(name))
            };
        }
        message
            .read(index, reader, &mut aside)
            .map_err(|fault| fault.in_member(name))
    })?;
    message.settle(aside, reader)
}

/// The caller's own word is shown to the caller, where it is one.
fn unknown_member(name: &str, reader: &Reader<'_>) -> Fault {
    let is_word = name.len() <= NAME_BYTES_MAX && name.bytes().all(|byte| byte.is_ascii_graphic());
    let fault = reader.fault("there is no such member");
    if is_word {
        fault.in_member(name.to_owned())
    } else {
        fault
    }
}

/// Text.
pub fn text(reader: &mut Reader<'_>) -> Read<String> {
    reader.string().map(std::borrow::Cow::into_owned)
}

/// A whole number. A string may hold it, but in a request, which has one form of a thing.
pub fn integer<T: TryFrom<i128>>(reader: &mut Reader<'_>) -> Read<T> {
    refuse_string(reader)?;
    number_text(reader, |token| T::try_from(number::whole(token)?).ok())
}

/// A whole number that may be past what every JSON reader keeps: such a one stands in a string.
pub fn wide_integer<T: TryFrom<i128>>(reader: &mut Reader<'_>) -> Read<T> {
    // In a request a string holds digits, and no other spelling of a number.
    let digits = reader.manner() == Manner::Strict && reader.at_string();
    number_text(reader, |token| {
        let spelled = digits && !token.bytes().all(|byte| byte.is_ascii_digit());
        let value = number::whole(token).filter(|_| !spelled)?;
        T::try_from(value).ok()
    })
}

/// A number, or from a peer a string that holds one; it must be finite.
pub fn double(reader: &mut Reader<'_>) -> Read<f64> {
    refuse_string(reader)?;
    number_text(reader, |token| {
        token.parse().ok().filter(|value: &f64| value.is_finite())
    })
}

fn refuse_string(reader: &mut Reader<'_>) -> Read<()> {
    if reader.manner() == Manner::Strict && reader.at_string() {
        return Err(reader.fault("expected a number"));
    }
    Ok(())
}

fn number_text<T>(reader: &mut Reader<'_>, value: impl Fn(&str) -> Option<T>) -> Read<T> {
    let found = if reader.at_string() {
        let text = reader.string()?;
        (!text.is_empty() && number::token(&text) == text)
            .then(|| value(&text))
            .flatten()
    } else {
        value(reader.number()?)
    };
    found.ok_or_else(|| reader.fault("a number that this field cannot hold"))
}

/// A moment.
pub fn timestamp(reader: &mut Reader<'_>) -> Read<Timestamp> {
    time::parse(&reader.string()?).ok_or_else(|| reader.fault("not a time as RFC 3339 has it"))
}

/// An enum's value: its name, or from a peer a number that has none.
pub fn named(reader: &mut Reader<'_>, values: &[(i32, &str)]) -> Read<i32> {
    if !reader.at_string() && reader.manner() == Manner::Lenient {
        return integer(reader);
    }
    let name = reader.string()?;
    match values.iter().find(|(_, known)| *known == name) {
        Some((number, _)) => Ok(*number),
        None if reader.manner() != Manner::Lenient => Err(reader.fault("there is no such value")),
        None => names::number_of(&name).ok_or_else(|| reader.fault("cannot be a value's name")),
    }
}

/// An object of at most `max` texts.
pub fn texts(reader: &mut Reader<'_>, max: usize) -> Read<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    let mut index = 0;
    reader.object(|reader, name| {
        let member = if texts.len() == max {
            Err(reader.fault("more members than the field may have"))
        } else if texts.contains_key(&*name) {
            Err(reader.fault("stands twice"))
        } else {
            text(reader).map(|text| {
                texts.insert(name.into_owned(), text);
            })
        };
        index += 1;
        member.map_err(|fault| fault.in_item(index - 1))
    })?;
    Ok(texts)
}

/// A list of at most `max` items.
pub fn list<'a, T>(
    reader: &mut Reader<'a>,
    max: usize,
    item: impl Fn(&mut Reader<'a>) -> Read<T>,
) -> Read<Vec<T>> {
    let mut items = Vec::new();
    reader.array(|reader, index| {
        if index == max {
            return Err(reader.fault("more items than the field may have"));
        }
        items.push(item(reader).map_err(|fault| fault.in_item(index))?);
        Ok(())
    })?;
    Ok(items)
}
