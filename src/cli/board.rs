//! What somebody who waits for hosts sees: what the hosts print, on standard output, and on standard error how
//! each of them stands. At a terminal those that have not ended have a line each, in place; elsewhere each
//! change is a line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use super::Error;
use super::output::{self, Reader};
use super::text;

/// Lines in place at a time: more than that leave no room for what the hosts print.
const LINES_MAX: usize = 10;
/// The longest of these lines, in characters: one that the terminal folds would be two.
const LINE_CHARACTERS_MAX: usize = 79;
/// The most of an unfinished line that is held back until it ends, in bytes.
const HELD_BYTES_MAX: usize = 8 * 1024;

/// What is seen.
pub(super) struct Board {
    /// Whether lines stand in place.
    in_place: bool,
    /// Whether what is printed goes to a terminal, which would act on what is in it.
    plain: bool,
    /// Whether each line says which host printed it.
    several: bool,
    /// Lines that stand there now.
    drawn: usize,
    standing: BTreeMap<String, String>,
    /// What hosts have printed of lines that have not ended.
    held: BTreeMap<String, String>,
}

impl Board {
    pub(super) fn new(several: bool) -> Self {
        Self {
            in_place: io::stderr().is_terminal(),
            plain: io::stdout().is_terminal(),
            several,
            drawn: 0,
            standing: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    /// A host stands there now.
    pub(super) fn stands(&mut self, host: &str, how: &str) {
        let before = self.standing.insert(host.to_owned(), how.to_owned());
        if before.as_deref() == Some(how) {
            return;
        }
        if self.in_place {
            self.erase();
            self.draw();
        }
    }

    /// A host stands there for good.
    pub(super) fn ended(&mut self, host: &str, how: &str) -> Result<Reader, Error> {
        let held = self.held.remove(host).unwrap_or_default();
        let reader = if held.is_empty() {
            Reader::Here
        } else {
            self.lines(host, &format!("{held}\n"))?
        };
        self.standing.remove(host);
        self.say(&format!("{}: {how}", text::plain(host)));
        Ok(reader)
    }

    /// Says something of all, on standard error.
    pub(super) fn say(&mut self, text: &str) {
        self.erase();
        output::beside(text);
        self.draw();
    }

    /// A host has printed this.
    pub(super) fn prints(&mut self, host: &str, text: &str) -> Result<Reader, Error> {
        if text.is_empty() {
            return Ok(Reader::Here);
        }
        if !self.several && !self.in_place && !self.plain {
            return output::bytes(text.as_bytes());
        }
        let held = self.held.entry(host.to_owned()).or_default();
        held.push_str(text);
        let end = match held.rfind('\n') {
            Some(at) => at + 1,
            None if held.len() > HELD_BYTES_MAX => {
                held.push('\n');
                held.len()
            }
            None => return Ok(Reader::Here),
        };
        let rest = held.split_off(end);
        let whole = std::mem::replace(held, rest);
        self.lines(host, &whole)
    }

    /// Takes away what stands in place.
    pub(super) fn end(&mut self) {
        self.erase();
        self.standing.clear();
    }

    fn lines(&mut self, host: &str, text: &str) -> Result<Reader, Error> {
        self.erase();
        let host = text::plain(host);
        let mut out = String::with_capacity(text.len());
        for line in text.lines() {
            if self.several {
                out.push_str(&host);
                out.push_str(": ");
            }
            if self.plain {
                let parts: Vec<_> = line.split('\t').map(text::plain).collect();
                out.push_str(&parts.join("\t"));
            } else {
                out.push_str(line);
            }
            out.push('\n');
        }
        let reader = output::bytes(out.as_bytes());
        self.draw();
        reader
    }

    fn erase(&mut self) {
        if self.drawn > 0 {
            // A closed standard error leaves nobody to show anything to.
            let _ = write!(io::stderr(), "\x1b[{}A\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }

    fn draw(&mut self) {
        if !self.in_place {
            return;
        }
        let mut out = String::new();
        let width = self.standing.keys().take(LINES_MAX).map(String::len).max();
        let width = width.unwrap_or_default();
        for (host, how) in self.standing.iter().take(LINES_MAX) {
            let line = format!("{:width$}  {how}", text::plain(host));
            let line: String = line.chars().take(LINE_CHARACTERS_MAX).collect();
            // Writing to a string does not fail.
            let _ = writeln!(out, "{line}");
        }
        self.drawn = self.standing.len().min(LINES_MAX);
        let more = self.standing.len() - self.drawn;
        if more > 0 {
            let _ = writeln!(out, "and {more} more");
            self.drawn += 1;
        }
        let _ = io::stderr().write_all(out.as_bytes());
    }
}
