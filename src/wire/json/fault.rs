//! What is the matter with JSON text and where. A fault names the schema's own members and
//! indexes, never what the peer wrote: that may be a secret.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

/// What comes of reading.
pub type Read<T> = Result<T, Fault>;

/// Why text was refused. Boxed, as it is rare and results are returned at every step.
#[derive(Debug)]
pub struct Fault(Box<Detail>);

#[derive(Debug)]
struct Detail {
    what: Cow<'static, str>,
    byte: usize,
    /// From the inside to the outside.
    path: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Member(Cow<'static, str>),
    Index(usize),
}

impl Fault {
    /// A fault found at that byte of the text.
    #[cold]
    pub fn new(what: impl Into<Cow<'static, str>>, byte: usize) -> Self {
        Self(Box::new(Detail {
            what: what.into(),
            byte,
            path: Vec::new(),
        }))
    }

    /// The fault as seen from the object whose member this is.
    pub fn in_member(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.0.path.push(Step::Member(name.into()));
        self
    }

    /// The fault as seen from the array, or the object of any names, whose item this is.
    pub fn in_item(mut self, index: usize) -> Self {
        self.0.path.push(Step::Index(index));
        self
    }
}

impl Fault {
    /// Where it is, as `options.yes` or `packages[3]`; empty for the whole text.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for step in self.0.path.iter().rev() {
            // Writing to a string does not fail.
            let _ = match step {
                Step::Member(name) if path.is_empty() => write!(path, "{name}"),
                Step::Member(name) => write!(path, ".{name}"),
                Step::Index(index) => write!(path, "[{index}]"),
            };
        }
        path
    }

    /// What is the matter there.
    pub fn what(&self) -> &str {
        &self.0.what
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('$')?;
        for step in self.0.path.iter().rev() {
            match step {
                Step::Member(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        write!(f, ": {} (byte {})", self.0.what, self.0.byte)
    }
}
