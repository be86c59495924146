//! Reads JSON text (RFC 8259) from front to back, without a tree in between: strings without
//! escapes are slices of the text. It knows JSON's grammar and bounds its nesting; what a member
//! means is left to the others of this folder.

use super::{
    fault::{Fault, Read},
    number,
};
use bytes::Bytes;
use std::borrow::Cow;

/// How deep a value may nest that the schema does not describe: what is skipped, and what is kept
/// raw. Deeper is refused, so that whoever reads it later needs no more stack than this.
pub const DEPTH_MAX: usize = 64;

/// A place in a text.
#[derive(Clone)]
pub struct Reader<'a> {
    /// What holds the text, for slices of it that outlive the reader.
    input: Option<&'a Bytes>,
    text: &'a str,
    at: usize,
    manner: Manner,
}

/// How what the schema does not name is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As from a peer of the link, which may be of a later version: passed over.
    Lenient,
    /// As from a caller of the API, who should learn of a slip of the pen: refused.
    Strict,
    /// The same, of a parameter in a path or a query, where everything is text.
    Parameter,
}

impl<'a> Reader<'a> {
    /// Begins at the front. JSON is UTF-8.
    pub fn new(input: &'a Bytes) -> Read<Self> {
        match std::str::from_utf8(input) {
            Ok(text) => Ok(Self {
                input: Some(input),
                text,
                at: 0,
                manner: Manner::Lenient,
            }),
            Err(error) => Err(Fault::new("not UTF-8", error.valid_up_to())),
        }
    }

    /// Begins at the front of text that is kept nowhere else.
    pub const fn over(text: &'a str) -> Self {
        Self {
            input: None,
            text,
            at: 0,
            manner: Manner::Lenient,
        }
    }

    /// How many bytes are read.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// Reads on in this manner.
    pub const fn set_manner(&mut self, manner: Manner) {
        self.manner = manner;
    }

    /// How it reads.
    pub const fn manner(&self) -> Manner {
        self.manner
    }

    /// A fault here.
    #[cold]
    pub fn fault(&self, what: &'static str) -> Fault {
        Fault::new(what, self.at)
    }

    /// The next byte that is no white space, not taken.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let space = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
            .count();
        self.at += space;
        rest.get(space).copied()
    }

    /// Takes the next byte that is no white space, where it is this one.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.peek();
        let found = self.text[self.at..].starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    /// Nothing may follow but white space.
    pub fn end(&mut self) -> Read<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault("something follows the value")),
        }
    }

    /// Takes `null`, which stands for absent.
    pub fn null(&mut self) -> bool {
        self.take_word("null")
    }

    /// A boolean.
    pub fn boolean(&mut self) -> Read<bool> {
        if self.manner == Manner::Parameter {
            return match &*self.string()? {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(self.fault("expected true or false")),
            };
        }
        if self.take_word("true") {
            Ok(true)
        } else if self.take_word("false") {
            Ok(false)
        } else {
            Err(self.fault("expected true or false"))
        }
    }

    /// Whether a string comes next.
    pub fn at_string(&mut self) -> bool {
        self.peek() == Some(b'"')
    }

    /// A string with its escapes undone.
    pub fn string(&mut self) -> Read<Cow<'a, str>> {
        if !self.take(b'"') {
            return Err(self.fault("expected a string"));
        }
        let plain = self.plain_run();
        if self.take_here(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut out = String::from(plain);
        loop {
            if self.take_here(b'"') {
                return Ok(Cow::Owned(out));
            }
            if !self.take_here(b'\\') {
                return Err(self.fault("a string does not end, or holds a control character"));
            }
            out.push(self.escape()?);
            out.push_str(self.plain_run());
        }
    }

    /// The characters up to the next quote, backslash or control character.
    fn plain_run(&mut self) -> &'a str {
        let text = self.text;
        let rest = &text.as_bytes()[self.at..];
        let length = rest
            .iter()
            .position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20)
            .unwrap_or(rest.len());
        let run = &text[self.at..self.at + length];
        self.at += length;
        run
    }

    /// Like `take`, inside a string, where white space counts.
    fn take_here(&mut self, byte: u8) -> bool {
        let found = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn escape(&mut self) -> Read<char> {
        let Some(&letter) = self.text.as_bytes().get(self.at) else {
            return Err(self.fault("a string does not end"));
        };
        let plain = match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.fault("no such escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Read<char> {
        let first = self.hex4()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !(self.take_here(b'\\') && self.take_here(b'u')) {
                    return Err(self.fault("half of a surrogate pair"));
                }
                match self.hex4()? {
                    second @ 0xdc00..=0xdfff => {
                        0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    _ => return Err(self.fault("half of a surrogate pair")),
                }
            }
            _ => first,
        };
        char::from_u32(code).ok_or_else(|| self.fault("half of a surrogate pair"))
    }

    fn hex4(&mut self) -> Read<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let code = digits.and_then(|digits| {
            digits.iter().try_fold(0, |code, &digit| {
                Some(code << 4 | char::from(digit).to_digit(16)?)
            })
        });
        let code = code.ok_or_else(|| self.fault("an escape lacks its four digits"))?;
        self.at += 4;
        Ok(code)
    }

    /// A number's text, by JSON's grammar.
    pub fn number(&mut self) -> Read<&'a str> {
        self.peek();
        let token = number::token(&self.text[self.at..]);
        if token.is_empty() {
            return Err(self.fault("expected a number"));
        }
        self.at += token.len();
        Ok(token)
    }

    /// Begins an object, and calls for each member's name. The callee takes the value.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Read<()>,
    ) -> Read<()> {
        let mut next = self.begin_object()?;
        while let Some(name) = self.member(&mut next)? {
            member(self, name)?;
        }
        Ok(())
    }

    /// Takes an object's brace; the members follow by [`Self::member`].
    pub fn begin_object(&mut self) -> Read<Members> {
        if self.take(b'{') {
            Ok(Members { begun: false })
        } else {
            Err(self.fault("expected an object"))
        }
    }

    /// The next member's name, or `None` at the object's end. Its value is to be taken before the
    /// next call.
    pub fn member(&mut self, members: &mut Members) -> Read<Option<Cow<'a, str>>> {
        if self.take(b'}') {
            // `{"a":1,}` never comes here: after a comma a name is demanded below.
            return Ok(None);
        }
        if members.begun && !self.take(b',') {
            return Err(self.fault("expected ',' or '}'"));
        }
        members.begun = true;
        let name = self.string()?;
        if !self.take(b':') {
            return Err(self.fault("expected ':'"));
        }
        Ok(Some(name))
    }

    /// An array; calls for each item with its index. The callee takes the value.
    pub fn array(&mut self, mut item: impl FnMut(&mut Self, usize) -> Read<()>) -> Read<()> {
        if !self.take(b'[') {
            return Err(self.fault("expected a list"));
        }
        let mut index = 0;
        while !self.take(b']') {
            if index > 0 && !self.take(b',') {
                return Err(self.fault("expected ',' or ']'"));
            }
            if index > 0 && self.peek() == Some(b']') {
                return Err(self.fault("expected a value"));
            }
            item(self, index)?;
            index += 1;
        }
        Ok(())
    }

    /// Takes a value of any kind and gives its text.
    pub fn skip(&mut self) -> Read<&'a str> {
        self.peek();
        let begin = self.at;
        self.skip_nested(0)?;
        Ok(&self.text[begin..self.at])
    }

    fn skip_nested(&mut self, depth: usize) -> Read<()> {
        match self.peek() {
            Some(b'{' | b'[') if depth == DEPTH_MAX => Err(self.fault("nested too deep")),
            Some(b'{') => self.object(|reader, _| reader.skip_nested(depth + 1)),
            Some(b'[') => self.array(|reader, _| reader.skip_nested(depth + 1)),
            Some(b'"') => self.string().map(|_| ()),
            Some(b't' | b'f') => self.boolean().map(|_| ()),
            Some(b'n') if self.null() => Ok(()),
            Some(b'-' | b'0'..=b'9') => self.number().map(|_| ()),
            _ => Err(self.fault("expected a value")),
        }
    }

    /// A string's bytes: a slice of the input where it has no escapes.
    pub fn string_bytes(&mut self) -> Read<Bytes> {
        Ok(match (self.string()?, self.input) {
            (Cow::Borrowed(plain), Some(input)) => input.slice_ref(plain.as_bytes()),
            (text, _) => Bytes::from(text.into_owned()),
        })
    }
}

/// Where the reading of an object stands.
pub struct Members {
    begun: bool,
}
