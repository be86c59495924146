//! The head of an origin's answer: bytes to status, fields and framing, without any I/O.
//!
//! Takes what small devices send and RFC 9112 lets a recipient take: lines ended by LF alone, no
//! reason phrase, folded lines, one Content-Length several times, values in Latin-1. Refuses what
//! could be read in two ways: bare CR, NUL, a space before the colon, different Content-Lengths.
//! Hop-by-hop fields (RFC 9110 7.6.1) end here. Reading the body by its framing is left to `decode`.

use std::borrow::Cow;
use std::str;
use std::time::Duration;

use thiserror::Error;

use crate::wire::fields::{FieldError, FieldLines, FieldLinesBuilder, trim_ows};

/// Most bytes of an answer's head, and of its trailer section. Far over what devices send, and
/// small enough that hundreds of half-sent heads fit a board's memory.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most fields in an answer's head, and in its trailer section.
pub const FIELDS_MAX: usize = 200;
/// How long a connection may be kept idle for reuse where the origin does not say less.
pub const IDLE_MAX: Duration = Duration::from_secs(60);

/// Status and fields of an answer, as they may be handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// 100 to 999; what is over 599 is handed on as it came.
    pub status: u16,
    /// End-to-end fields in their order; on a 101 also `Connection: Upgrade` and `Upgrade`.
    pub fields: FieldLines,
}

/// Why an origin's bytes are no HTTP/1 answer. Always the origin's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParseError {
    /// The first line is no `HTTP/1.x NNN`.
    #[error("the first line is not an HTTP/1 status line")]
    StatusLine,
    /// Over [`HEAD_BYTES_MAX`].
    #[error("the head or the trailers are over 64 KiB")]
    TooLarge,
    /// Over [`FIELDS_MAX`].
    #[error("more than 200 fields")]
    TooManyFields,
    /// A line without a colon, or a name that is no token.
    #[error("a line in the head is not a field")]
    Field,
    /// White space between name and colon, which recipients read differently (RFC 9112 5.1).
    #[error("white space stands between a field's name and its colon")]
    SpaceBeforeColon,
    /// CR without LF, or NUL, in the head, a chunk's line or the trailers (RFC 9112 2.2).
    #[error("a bare CR or a NUL")]
    BareCr,
    /// Content-Length is no number or says two different ones (RFC 9110 8.6).
    #[error("the Content-Length is not one number")]
    ContentLength,
    /// A transfer coding other than chunked (RFC 9112 6.1).
    #[error("the transfer coding is not chunked")]
    TransferCoding,
    /// A chunk's size line is no number, too large or too long (RFC 9112 7.1).
    #[error("a chunk's size is malformed")]
    ChunkSize,
    /// A chunk's data is not followed by a line end.
    #[error("a chunk's data does not end where its size says")]
    ChunkEnd,
    /// 101 without a request to upgrade.
    #[error("the origin switched protocols unasked")]
    UnaskedUpgrade,
    /// The connection ended before the answer did.
    #[error("the connection closed in the middle of the answer")]
    Truncated,
}

/// What of the request decides how its answer is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// The method is HEAD: the answer has no body whatever its fields say.
    pub head: bool,
    /// The request offers an upgrade: 101 is an answer to it.
    pub upgrade: bool,
}

/// How an answer's body ends (RFC 9112 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Empty,
    Length(u64),
    Chunked,
    UntilClose,
}

/// A head and what it says about the bytes after it.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) head: Head,
    pub(super) framing: Framing,
    /// How long the connection may wait for another request; `None` closes it.
    pub(super) keep: Option<Duration>,
}

/// Parses a head: status line and fields, without the empty line that ends it.
pub(super) fn parse_head(section: &[u8], asked: Asked) -> Result<Parsed, ParseError> {
    let line_end = section
        .iter()
        .position(|&byte| byte == b'\n')
        .map_or(section.len(), |at| at + 1);
    let (version_1_0, status) = parse_status_line(strip_line_end(&section[..line_end]))?;
    let mut fields = Fields::with_capacity(section.len());
    each_field(&section[line_end..], |name, value| fields.take(name, value))?;

    let framing = match fields.coding {
        _ if asked.head || status < 200 || status == 204 || status == 304 => Framing::Empty,
        Some(Coding::Chunked) => Framing::Chunked,
        Some(Coding::Identity) => Framing::UntilClose,
        None => fields.length.map_or(Framing::UntilClose, Framing::Length),
    };
    // A chunked answer of HTTP/1.0 is read, but its framing is not trusted for a second one, and
    // neither is one with two framings (RFC 9112 6.1).
    let trusted = fields.coding.is_none() || (fields.length.is_none() && !version_1_0);
    let wanted = if version_1_0 {
        fields.keep_alive
    } else {
        !fields.close
    };
    let keep = (trusted && wanted && framing != Framing::UntilClose)
        .then(|| fields.idle.map_or(IDLE_MAX, |idle| idle.min(IDLE_MAX)));
    let upgraded = status == 101;
    let no_length = fields.coding.is_some() || status < 200 || status == 204;
    let fields = fields.finish(upgraded, no_length);
    Ok(Parsed {
        head: Head { status, fields },
        framing,
        keep,
    })
}

/// Parses a trailer section, without the empty line that ends it. What would change framing,
/// routing or cookies after the fact is left out (RFC 9110 6.5.1).
pub(super) fn parse_trailers(section: &[u8]) -> Result<FieldLines, ParseError> {
    const FORBIDDEN: [&str; 8] = [
        "content-encoding",
        "content-range",
        "content-type",
        "host",
        "location",
        "set-cookie",
        "trailer",
        "www-authenticate",
    ];
    let mut fields = FieldLinesBuilder::with_capacity(section.len());
    each_field(section, |name, value| {
        let refused = FORBIDDEN
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other));
        if refused || role(name) != Role::EndToEnd {
            return Ok(());
        }
        push(&mut fields, name, value)
    })?;
    Ok(fields.finish())
}

/// What a field is to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    EndToEnd,
    Connection,
    ContentLength,
    TransferEncoding,
    Upgrade,
    KeepAlive,
    Te,
    /// Another field that concerns this connection only.
    Hop,
}

/// The role of a field by its name.
pub(super) fn role(name: &str) -> Role {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    match name.len() {
        2 if is("te") => Role::Te,
        7 if is("upgrade") => Role::Upgrade,
        10 if is("connection") => Role::Connection,
        10 if is("keep-alive") => Role::KeepAlive,
        14 if is("content-length") => Role::ContentLength,
        16 if is("proxy-connection") => Role::Hop,
        17 if is("transfer-encoding") => Role::TransferEncoding,
        _ => Role::EndToEnd,
    }
}

/// The members of a comma-separated list, without white space and empty ones (RFC 9110 5.6.1).
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(trim_ows)
        .filter(|member| !member.is_empty())
}

/// One Content-Length field: a number, or the same number several times (RFC 9110 8.6).
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    let mut length = None;
    for member in members(value) {
        if !member.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = str::from_utf8(member).ok()?.parse::<u64>().ok()?;
        if length.is_some_and(|other| other != number) {
            return None;
        }
        length = Some(number);
    }
    length
}

/// `HTTP/1.x`, white space, three digits, and a reason phrase that nobody reads. Returns whether
/// the version is 1.0, and the status.
fn parse_status_line(line: &[u8]) -> Result<(bool, u16), ParseError> {
    if line.iter().any(|&byte| byte == b'\r' || byte == 0) {
        return Err(ParseError::BareCr);
    }
    let [
        b'H',
        b'T',
        b'T',
        b'P',
        b'/',
        b'1',
        b'.',
        minor @ b'0'..=b'9',
        b' ' | b'\t',
        rest @ ..,
    ] = line
    else {
        return Err(ParseError::StatusLine);
    };
    let (status, reason) = trim_ows(rest)
        .split_at_checked(3)
        .ok_or(ParseError::StatusLine)?;
    if !matches!(reason, [] | [b' ' | b'\t', ..]) || status[0] == b'0' {
        return Err(ParseError::StatusLine);
    }
    let status = status.iter().try_fold(0, |sum, &byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u16::from(byte - b'0'))
    });
    Ok((*minor == b'0', status.ok_or(ParseError::StatusLine)?))
}

/// Calls `take` for every field of a section, folded lines joined by a space (RFC 9112 5.2).
fn each_field<'a>(
    section: &'a [u8],
    mut take: impl FnMut(&'a str, Cow<'a, [u8]>) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    let mut lines = section
        .split_inclusive(|&byte| byte == b'\n')
        .map(strip_line_end)
        .peekable();
    let mut count = 0;
    while let Some(line) = lines.next() {
        count += 1;
        if count > FIELDS_MAX {
            return Err(ParseError::TooManyFields);
        }
        let colon = line
            .iter()
            .position(|&byte| byte == b':')
            .ok_or(ParseError::Field)?;
        let name = &line[..colon];
        if let [.., b' ' | b'\t'] = name {
            return Err(ParseError::SpaceBeforeColon);
        }
        let mut value = Cow::Borrowed(trim_ows(&line[colon + 1..]));
        while let Some(folded) = lines.next_if(|line| matches!(line, [b' ' | b'\t', ..])) {
            let value = value.to_mut();
            value.push(b' ');
            value.extend_from_slice(trim_ows(folded));
        }
        take(str::from_utf8(name).map_err(|_| ParseError::Field)?, value)?;
    }
    Ok(())
}

fn strip_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Adds a field. Control characters other than CR and NUL become spaces (RFC 9110 5.5).
fn push(
    fields: &mut FieldLinesBuilder,
    name: &str,
    value: Cow<'_, [u8]>,
) -> Result<(), ParseError> {
    match fields.push(name, &value) {
        Ok(()) => Ok(()),
        Err(FieldError::Value) if !value.iter().any(|&byte| byte == b'\r' || byte == 0) => {
            let mut value = value.into_owned();
            for byte in value.iter_mut().filter(|byte| byte.is_ascii_control()) {
                *byte = b' ';
            }
            fields.push(name, &value).map_err(|_| ParseError::Field)
        }
        Err(FieldError::Value) => Err(ParseError::BareCr),
        Err(_) => Err(ParseError::Field),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    /// A name of old for none at all; only the close of the connection ends such a body.
    Identity,
}

/// The fields of a head as they come by, with what those about the connection said.
struct Fields {
    kept: FieldLinesBuilder,
    length: Option<u64>,
    coding: Option<Coding>,
    close: bool,
    keep_alive: bool,
    idle: Option<Duration>,
    upgrade: Option<Vec<u8>>,
    /// Other fields that a Connection field names: they end here as well.
    named: Vec<Vec<u8>>,
}

impl Fields {
    fn with_capacity(bytes: usize) -> Self {
        Self {
            kept: FieldLinesBuilder::with_capacity(bytes),
            length: None,
            coding: None,
            close: false,
            keep_alive: false,
            idle: None,
            upgrade: None,
            named: Vec::new(),
        }
    }

    fn take(&mut self, name: &str, value: Cow<'_, [u8]>) -> Result<(), ParseError> {
        match role(name) {
            Role::EndToEnd => return push(&mut self.kept, name, value),
            Role::ContentLength => {
                let length = parse_length(&value).ok_or(ParseError::ContentLength)?;
                match self.length {
                    None => {
                        self.length = Some(length);
                        let plain = value.iter().all(u8::is_ascii_digit);
                        let value = if plain {
                            value
                        } else {
                            length.to_string().into_bytes().into()
                        };
                        return push(&mut self.kept, name, value);
                    }
                    Some(other) if other != length => return Err(ParseError::ContentLength),
                    Some(_) => {}
                }
            }
            _ if value.iter().any(|&byte| byte == b'\r' || byte == 0) => {
                return Err(ParseError::BareCr);
            }
            Role::Connection => self.take_connection(&value),
            Role::TransferEncoding => self.take_coding(&value)?,
            Role::Upgrade => self.upgrade = Some(value.into_owned()),
            Role::KeepAlive => self.idle = parse_timeout(&value),
            Role::Te | Role::Hop => {}
        }
        Ok(())
    }

    fn take_connection(&mut self, value: &[u8]) {
        for option in members(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if !option.eq_ignore_ascii_case(b"upgrade") {
                self.named.push(option.to_vec());
            }
        }
    }

    fn take_coding(&mut self, value: &[u8]) -> Result<(), ParseError> {
        for coding in members(value) {
            let coding = if coding.eq_ignore_ascii_case(b"chunked") {
                Coding::Chunked
            } else if coding.eq_ignore_ascii_case(b"identity") {
                Coding::Identity
            } else {
                return Err(ParseError::TransferCoding);
            };
            if self.coding.is_some_and(|other| other != coding) {
                return Err(ParseError::TransferCoding);
            }
            self.coding = Some(coding);
        }
        Ok(())
    }

    /// The fields to hand on, with those of an upgrade on a 101, and without a length where it
    /// means nothing.
    fn finish(mut self, upgraded: bool, no_length: bool) -> FieldLines {
        if upgraded && let Some(protocol) = self.upgrade.take() {
            // A protocol's name with controls in it cannot be handed on, and names no protocol.
            if self.kept.push("Upgrade", &protocol).is_ok() {
                self.kept
                    .push("Connection", b"Upgrade")
                    .expect("well formed");
            }
        }
        let fields = self.kept.finish();
        let drop_length = no_length && self.length.is_some();
        if self.named.is_empty() && !drop_length {
            return fields;
        }
        let mut kept = FieldLinesBuilder::with_capacity(fields.len());
        for (name, value) in &fields {
            let dropped = match role(name) {
                Role::EndToEnd => self
                    .named
                    .iter()
                    .any(|other| name.as_bytes().eq_ignore_ascii_case(other)),
                Role::ContentLength => drop_length,
                _ => false,
            };
            if !dropped {
                kept.push(name, value).expect("taken from checked lines");
            }
        }
        kept.finish()
    }
}

/// The `timeout` of a Keep-Alive field, less a second, so that we close before the origin does.
fn parse_timeout(value: &[u8]) -> Option<Duration> {
    members(value).find_map(|member| {
        let digits = member.strip_prefix(b"timeout=")?;
        let seconds: u64 = str::from_utf8(digits).ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds.saturating_sub(1)))
    })
}
