//! Writes JSON text.

use super::{forms, names, time};
use bytes::{BufMut, Bytes, BytesMut};
use prost_types::Timestamp;
use std::{collections::BTreeMap, fmt::Write};

/// The largest whole number up to which every JSON reader keeps them apart (RFC 8259 section 6).
const NUMBER_MAX: u64 = 1 << 53;

/// An object being written.
pub struct Object<'a> {
    out: &'a mut BytesMut,
    empty: bool,
    extent: Extent,
}

/// What of a message is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What is not a field's default, as an absent member says the same: the link's messages.
    Given,
    /// Every field that is never absent, so that a program may look at it without asking: the API's
    /// answers.
    Whole,
}

/// What one object or message writes between its braces.
pub trait Members {
    /// Writes them.
    fn write(&self, object: &mut Object<'_>);
}

/// A value of one of the schema's simple types.
pub trait Scalar {
    /// Whether it is what an absent field stands for.
    fn is_default(&self) -> bool;
    /// Writes it.
    fn write(&self, out: &mut BytesMut);
}

impl<'a> Object<'a> {
    /// Writes a whole object: `begin` may add members of its own before those of `members`.
    pub fn write(
        out: &'a mut BytesMut,
        begin: impl FnOnce(&mut Object<'_>),
        members: &impl Members,
    ) {
        out.put_u8(b'{');
        let mut object = Object {
            out,
            empty: true,
            extent: Extent::Given,
        };
        begin(&mut object);
        members.write(&mut object);
        object.out.put_u8(b'}');
    }

    /// Writes a whole object with as much as the extent says, down to what is within.
    pub fn write_to_extent(out: &'a mut BytesMut, extent: Extent, members: &impl Members) {
        out.put_u8(b'{');
        let mut object = Object {
            out,
            empty: true,
            extent,
        };
        members.write(&mut object);
        object.out.put_u8(b'}');
    }

    fn whole(&self) -> bool {
        self.extent == Extent::Whole
    }

    /// Writes a member's name; its value is to follow.
    pub fn name(&mut self, name: &str) -> &mut BytesMut {
        if !self.empty {
            self.out.put_u8(b',');
        }
        self.empty = false;
        string(self.out, name);
        self.out.put_u8(b':');
        self.out
    }

    /// Text, empty or not.
    pub fn text(&mut self, name: &str, text: &str) {
        string(self.name(name), text);
    }

    /// A field without presence.
    pub fn scalar(&mut self, name: &str, value: &impl Scalar) {
        if self.whole() || !value.is_default() {
            value.write(self.name(name));
        }
    }

    /// A field with presence.
    pub fn present(&mut self, name: &str, value: Option<&impl Scalar>) {
        if let Some(value) = value {
            value.write(self.name(name));
        }
    }

    /// A message.
    pub fn message(&mut self, name: &str, value: Option<&impl Members>) {
        if let Some(value) = value {
            let extent = self.extent;
            Object::write_to_extent(self.name(name), extent, value);
        }
    }

    /// A repeated field.
    pub fn list(&mut self, name: &str, items: &[impl Scalar]) {
        if self.whole() || !items.is_empty() {
            list(self.name(name), items, Scalar::write);
        }
    }

    /// A repeated field of messages.
    pub fn messages(&mut self, name: &str, items: &[impl Members]) {
        if self.whole() || !items.is_empty() {
            let extent = self.extent;
            list(self.name(name), items, |item, out| {
                Object::write_to_extent(out, extent, item);
            });
        }
    }

    /// Bytes, as base64.
    pub fn base64(&mut self, name: &str, value: &Bytes) {
        if self.whole() || !value.is_empty() {
            string(self.name(name), &forms::to_base64(value));
        }
    }

    /// A map of text.
    pub fn texts(&mut self, name: &str, texts: &BTreeMap<String, String>) {
        if self.whole() || !texts.is_empty() {
            Object::write(self.name(name), |_| (), texts);
        }
    }

    /// An enum.
    pub fn named(&mut self, name: &str, number: i32, values: &[(i32, &str)]) {
        if self.whole() || number != 0 {
            value_name(self.name(name), number, values);
        }
    }

    /// A repeated field of an enum.
    pub fn all_named(&mut self, name: &str, numbers: &[i32], values: &[(i32, &str)]) {
        if self.whole() || !numbers.is_empty() {
            list(self.name(name), numbers, |number, out| {
                value_name(out, *number, values);
            });
        }
    }

    /// A JSON value kept as text; white space around it is none of it, and `null` is absence.
    pub fn raw(&mut self, name: &str, text: &str) {
        let value = text.trim_matches([' ', '\t', '\n', '\r']);
        if !value.is_empty() && value != "null" {
            self.name(name).put_slice(value.as_bytes());
        }
    }

    /// Bytes as text where they are UTF-8, else as base64 beside a member that says so.
    pub fn text_or_base64(&mut self, name: &str, encoding: &str, value: &Bytes) {
        if value.is_empty() {
            return;
        }
        match std::str::from_utf8(value) {
            Ok(text) => string(self.name(name), text),
            Err(_) => {
                string(self.name(name), &forms::to_base64(value));
                string(self.name(encoding), forms::BASE64);
            }
        }
    }
}

/// Writes an enum's value.
fn value_name(out: &mut BytesMut, number: i32, values: &[(i32, &str)]) {
    if let Some((_, known)) = values.iter().find(|(other, _)| *other == number) {
        string(out, known);
    } else if let Some(unknown) = names::name_of(number) {
        string(out, &unknown);
    } else {
        number.write(out);
    }
}

impl Members for BTreeMap<String, String> {
    fn write(&self, object: &mut Object<'_>) {
        for (name, text) in self {
            object.text(name, text);
        }
    }
}

/// Writes a list, each item by `write`.
pub fn list<T>(out: &mut BytesMut, items: &[T], write: impl Fn(&T, &mut BytesMut)) {
    out.put_u8(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        write(item, out);
    }
    out.put_u8(b']');
}

/// Writes a string with its quotes; escapes what must be and nothing else.
pub fn string(out: &mut BytesMut, text: &str) {
    out.put_u8(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest
        .iter()
        .position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20)
    {
        out.put_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            mark @ (b'"' | b'\\') => out.put_slice(&[b'\\', mark]),
            control => format(out, format_args!("\\u{control:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.put_slice(rest);
    out.put_u8(b'"');
}

fn format(out: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a BytesMut grows as needed");
}

impl Scalar for bool {
    fn is_default(&self) -> bool {
        !self
    }
    fn write(&self, out: &mut BytesMut) {
        out.put_slice(if *self { b"true" } else { b"false" });
    }
}

impl Scalar for i32 {
    fn is_default(&self) -> bool {
        *self == 0
    }
    fn write(&self, out: &mut BytesMut) {
        format(out, format_args!("{self}"));
    }
}

impl Scalar for u32 {
    fn is_default(&self) -> bool {
        *self == 0
    }
    fn write(&self, out: &mut BytesMut) {
        format(out, format_args!("{self}"));
    }
}

impl Scalar for u64 {
    fn is_default(&self) -> bool {
        *self == 0
    }
    fn write(&self, out: &mut BytesMut) {
        if *self <= NUMBER_MAX {
            format(out, format_args!("{self}"));
        } else {
            format(out, format_args!("\"{self}\""));
        }
    }
}

impl Scalar for f64 {
    fn is_default(&self) -> bool {
        *self == 0.0
    }
    fn write(&self, out: &mut BytesMut) {
        // Debug is the shortest text that reads back as the same number, with an exponent where
        // that is shorter; checked messages hold finite numbers only.
        format(out, format_args!("{self:?}"));
    }
}

impl Scalar for String {
    fn is_default(&self) -> bool {
        self.is_empty()
    }
    fn write(&self, out: &mut BytesMut) {
        string(out, self);
    }
}

impl Scalar for Timestamp {
    fn is_default(&self) -> bool {
        false
    }
    fn write(&self, out: &mut BytesMut) {
        string(out, &time::format(self));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: &impl Scalar) -> String {
        let mut out = BytesMut::new();
        value.write(&mut out);
        String::from_utf8(out.to_vec()).expect("JSON is UTF-8")
    }

    #[test]
    fn a_number_past_what_every_reader_keeps_is_a_string() {
        assert_eq!(written(&9_007_199_254_740_992_u64), "9007199254740992");
        assert_eq!(written(&9_007_199_254_740_993_u64), r#""9007199254740993""#);
    }

    proptest! {
        #[test]
        fn strings_and_floats_read_back(text: String, number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            prop_assert_eq!(serde_json::from_str::<String>(&written(&text)).expect("JSON"), text);
            prop_assert_eq!(written(&number).parse::<f64>(), Ok(number));
            let text = written(&number);
            prop_assert_eq!(crate::wire::json::number::token(&text), &text);
        }
    }
}
