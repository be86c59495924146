//! An origin's answer as a sequence of events, from whatever pieces its bytes come in. No I/O: the
//! caller reads into the buffer and asks for the next event until there is none.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::head::{Asked, Framing, HEAD_BYTES_MAX, Head, ParseError, parse_head, parse_trailers};
use crate::wire::fields::FieldLines;

/// Longest line of a chunk's size with its extensions, which nobody reads.
const CHUNK_LINE_MAX: usize = 4096;
/// Data of chunks smaller than this is put together with what follows it in the buffer, up to
/// [`GATHERED_MAX`]: an origin that writes a byte a chunk must not cost a message a byte.
const GATHER_UNDER: usize = 2048;
const GATHERED_MAX: usize = 16 * 1024;

/// What an answer is made of, in this order: any number of `Interim`, then `Upgraded` and `Data`
/// for as long as the connection lives, or `Head`, any number of `Data`, and `End`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A 1xx head other than 101: the answer is still to come. There may be any number of them: the
    /// wait for a final one is bounded in time, and the link passes on only the first few.
    Interim(Head),
    /// The final head.
    Head(Head),
    /// The 101 head: every byte from here on belongs to the new protocol.
    Upgraded(Head),
    /// A piece of the body, never empty.
    Data(Bytes),
    /// The end of the body, with its trailers.
    End(FieldLines),
}

/// Reads one answer.
///
/// ```text
/// Head --(1xx)--> Head                       UntilClose --(eof)--> Done
///   | --(101)--> Raw                         Raw --(eof)--> Done
///   | --> Length --> Done
///   | --> ChunkSize <--> Chunk --> ChunkEnd --> ChunkSize --(0)--> Trailers --> Done
/// ```
#[derive(Debug)]
pub struct Decoder {
    asked: Asked,
    state: State,
    keep: Option<Duration>,
    /// Where the search for the end of a head or trailer section goes on.
    search: Search,
    held: Option<Event>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Length(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
    Raw,
    Done,
}

impl Decoder {
    /// Awaits the answer to a request of this kind.
    #[must_use]
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            state: State::Head,
            keep: None,
            search: Search::default(),
            held: None,
        }
    }

    /// The next event in `buffer`, whose bytes it takes; `None` if more must be read first.
    ///
    /// # Errors
    /// [`ParseError`] if the origin sent what is no answer; the same on each further call.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Event>, ParseError> {
        if let Some(event) = self.held.take() {
            return Ok(Some(event));
        }
        match self.step(buffer)? {
            Some(Event::Data(data)) if self.gathers(&data, buffer) => {
                Ok(Some(Event::Data(self.gather(data, buffer))))
            }
            event => Ok(event),
        }
    }

    /// Says that the connection ended, after [`Decoder::next`] has taken all it could.
    ///
    /// # Errors
    /// [`ParseError::Truncated`] unless this is how the answer ends.
    pub fn eof(&mut self) -> Result<Event, ParseError> {
        match self.state {
            State::UntilClose | State::Raw => {
                self.state = State::Done;
                Ok(Event::End(FieldLines::default()))
            }
            _ => Err(ParseError::Truncated),
        }
    }

    /// Whether the answer ended so that the connection may carry another, and for how long it may
    /// wait for that.
    #[must_use]
    pub fn keep(&self) -> Option<Duration> {
        self.keep.filter(|_| self.state == State::Done)
    }

    fn step(&mut self, buffer: &mut BytesMut) -> Result<Option<Event>, ParseError> {
        loop {
            match self.state {
                State::Head => return self.head(buffer),
                State::Length(0) => return Ok(Some(self.end(FieldLines::default()))),
                State::Length(left) => {
                    let (data, left) = take(buffer, left);
                    self.state = State::Length(left);
                    return Ok(data.map(Event::Data));
                }
                State::ChunkSize => match chunk_size(buffer)? {
                    None => return Ok(None),
                    Some(0) => self.state = State::Trailers,
                    Some(size) => self.state = State::Chunk(size),
                },
                State::Chunk(left) => {
                    let (data, left) = take(buffer, left);
                    self.state = if left == 0 {
                        State::ChunkEnd
                    } else {
                        State::Chunk(left)
                    };
                    return Ok(data.map(Event::Data));
                }
                State::ChunkEnd => {
                    match buffer[..] {
                        [b'\n', ..] => buffer.advance(1),
                        [b'\r', b'\n', ..] => buffer.advance(2),
                        [] | [b'\r'] => return Ok(None),
                        _ => return Err(ParseError::ChunkEnd),
                    }
                    self.state = State::ChunkSize;
                }
                State::Trailers => {
                    let Some((section, end)) = self.search.section(buffer)? else {
                        return Ok(None);
                    };
                    let trailers = parse_trailers(&buffer[..section])?;
                    buffer.advance(end);
                    return Ok(Some(self.end(trailers)));
                }
                State::UntilClose | State::Raw => {
                    let data = buffer.split().freeze();
                    return Ok((!data.is_empty()).then_some(Event::Data(data)));
                }
                State::Done => return Ok(None),
            }
        }
    }

    fn head(&mut self, buffer: &mut BytesMut) -> Result<Option<Event>, ParseError> {
        // Empty lines before a head are left over from the body before it, with careless origins.
        while self.search == Search::default() {
            match buffer[..] {
                [b'\n', ..] => buffer.advance(1),
                [b'\r', b'\n', ..] => buffer.advance(2),
                [] | [b'\r'] => return Ok(None),
                _ => break,
            }
        }
        let Some((section, end)) = self.search.section(buffer)? else {
            return Ok(None);
        };
        let parsed = parse_head(&buffer[..section], self.asked)?;
        let status = parsed.head.status;
        if status == 101 && !self.asked.upgrade {
            return Err(ParseError::UnaskedUpgrade);
        }
        buffer.advance(end);
        self.search = Search::default();
        match status {
            101 => {
                self.state = State::Raw;
                Ok(Some(Event::Upgraded(parsed.head)))
            }
            ..200 => Ok(Some(Event::Interim(parsed.head))),
            _ => {
                self.keep = parsed.keep;
                self.state = match parsed.framing {
                    Framing::Empty => State::Length(0),
                    Framing::Length(length) => State::Length(length),
                    Framing::Chunked => State::ChunkSize,
                    Framing::UntilClose => State::UntilClose,
                };
                Ok(Some(Event::Head(parsed.head)))
            }
        }
    }

    fn end(&mut self, trailers: FieldLines) -> Event {
        self.state = State::Done;
        Event::End(trailers)
    }

    /// Whether `data` is a small chunk with more of the body right behind it.
    fn gathers(&self, data: &Bytes, buffer: &BytesMut) -> bool {
        let chunked = matches!(self.state, State::Chunk(_) | State::ChunkEnd);
        chunked && data.len() < GATHER_UNDER && !buffer.is_empty()
    }

    fn gather(&mut self, first: Bytes, buffer: &mut BytesMut) -> Bytes {
        let mut gathered = BytesMut::new();
        while gathered.len() < GATHERED_MAX {
            match self.step(buffer) {
                Ok(Some(Event::Data(more))) if more.len() < GATHER_UNDER => {
                    if gathered.is_empty() {
                        gathered.reserve(GATHERED_MAX.min(first.len() + more.len() + buffer.len()));
                        gathered.extend_from_slice(&first);
                    }
                    gathered.extend_from_slice(&more);
                }
                Ok(Some(event)) => {
                    self.held = Some(event);
                    break;
                }
                // A fault is found again by the next call: it takes nothing from the buffer.
                Ok(None) | Err(_) => break,
            }
        }
        if gathered.is_empty() {
            first
        } else {
            gathered.freeze()
        }
    }
}

/// Takes up to `left` bytes, and says what is then left.
fn take(buffer: &mut BytesMut, left: u64) -> (Option<Bytes>, u64) {
    let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
    let data = (length > 0).then(|| buffer.split_to(length).freeze());
    (data, left - length as u64)
}

/// Takes a chunk's size line (RFC 9112 7.1): hexadecimal digits, then white space and extensions
/// that are ignored.
fn chunk_size(buffer: &mut BytesMut) -> Result<Option<u64>, ParseError> {
    let window = &buffer[..buffer.len().min(CHUNK_LINE_MAX)];
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        let full = window.len() == CHUNK_LINE_MAX;
        return if full {
            Err(ParseError::ChunkSize)
        } else {
            Ok(None)
        };
    };
    let line = window[..end].strip_suffix(b"\r").unwrap_or(&window[..end]);
    if line.iter().any(|&byte| byte == b'\r' || byte == 0) {
        return Err(ParseError::BareCr);
    }
    let digits = line
        .iter()
        .position(|byte| !byte.is_ascii_hexdigit())
        .unwrap_or(line.len());
    if !matches!(line[digits..], [] | [b' ' | b'\t' | b';', ..]) {
        return Err(ParseError::ChunkSize);
    }
    let size = std::str::from_utf8(&line[..digits])
        .ok()
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or(ParseError::ChunkSize)?;
    buffer.advance(end + 1);
    Ok(Some(size))
}

/// A search for the empty line that ends a section, which looks at each byte once however the
/// bytes come.
#[derive(Debug, Default, PartialEq, Eq)]
struct Search {
    seen: usize,
    line: usize,
}

impl Search {
    /// Where the section's lines end and where the bytes after its empty line begin.
    fn section(&mut self, buffer: &[u8]) -> Result<Option<(usize, usize)>, ParseError> {
        let window = &buffer[..buffer.len().min(HEAD_BYTES_MAX)];
        while let Some(at) = window[self.seen..].iter().position(|&byte| byte == b'\n') {
            let end = self.seen + at + 1;
            if matches!(window[self.line..end], [b'\n'] | [b'\r', b'\n']) {
                return Ok(Some((self.line, end)));
            }
            self.seen = end;
            self.line = end;
        }
        self.seen = window.len();
        if buffer.len() >= HEAD_BYTES_MAX {
            Err(ParseError::TooLarge)
        } else {
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests;
