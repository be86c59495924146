//! What is remembered of the latest update, from before its first step until the next one: in one small file
//! in the agent's state directory, which is whole or not there.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::clock::UnixMillis;
use crate::files::{self, MODE_SECRET};

/// The file.
const NAME: &str = "update.json";
/// The layout of it. Another agent's may be another: it is then left alone.
const LAYOUT: u32 = 1;
/// Largest file: two paths and some words.
const BYTES_MAX: usize = 64 << 10;

/// How far an update has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The new agent is about to take its place, or has it and was not welcomed yet.
    Pending,
    /// The platform has welcomed it: it stays.
    Settled,
    /// The end of the process came before the new agent had its place.
    NotSwapped,
    /// The one before goes back to its place, or has it.
    RolledBack,
}

/// One update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    layout: u32,
    /// The command that asked for it.
    pub command: String,
    /// The version that ran before.
    pub version_before: String,
    /// The version that was promised.
    pub version_after: String,
    /// The file that is started.
    pub executable: PathBuf,
    /// Where the one before is kept.
    pub previous: PathBuf,
    /// The SHA-256 of the new one, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// When its place was made free, by this machine's clock, in milliseconds since 1970.
    begun_unix_ms: u64,
    /// When it was decided, likewise.
    #[serde(default)]
    ended_unix_ms: Option<u64>,
    /// How often the new one has been started and was not welcomed.
    pub starts: u32,
    /// How far it is.
    pub standing: Standing,
    /// Why it went back, for people.
    pub why: String,
}

/// What an update is about.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The command that asks for it.
    pub command: String,
    /// The version that is promised.
    pub version: String,
    /// The SHA-256 of the new agent, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The file that is started.
    pub executable: PathBuf,
    /// When the command began.
    pub begun: UnixMillis,
}

impl Record {
    /// An update that is about to be made.
    pub fn new(subject: Subject, previous: PathBuf) -> Self {
        Self {
            layout: LAYOUT,
            command: subject.command,
            version_before: super::VERSION.to_owned(),
            version_after: subject.version,
            executable: subject.executable,
            previous,
            sha256: subject.sha256,
            begun_unix_ms: subject.begun.0,
            ended_unix_ms: None,
            starts: 0,
            standing: Standing::Pending,
            why: String::new(),
        }
    }

    /// What is remembered in a state directory.
    ///
    /// # Errors
    /// When it cannot be read, or is of another layout.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        let text = match files::read_text(&folder.join(NAME), BYTES_MAX) {
            Ok(text) => text,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(io::Error::other(error)),
        };
        let record: Self = serde_json::from_str(&text)?;
        if record.layout != LAYOUT {
            let text = format!("{NAME} is of layout {}", record.layout);
            return Err(io::Error::other(text));
        }
        Ok(Some(record))
    }

    /// Remembers it, in the place of what was remembered before. Returns once it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written; what was there stays.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        files::write_atomic(&folder.join(NAME), &text, MODE_SECRET).map_err(io::Error::other)
    }

    /// The same, decided now.
    #[must_use]
    pub fn decided(self, standing: Standing, why: &str) -> Self {
        Self {
            standing,
            why: why.to_owned(),
            ended_unix_ms: Some(UnixMillis::now().0),
            ..self
        }
    }

    /// The same, with one start more.
    #[must_use]
    pub fn started(mut self) -> Self {
        self.starts += 1;
        self
    }

    /// How long it took, in seconds.
    pub fn seconds(&self) -> f64 {
        let ended = self.ended_unix_ms.map_or_else(UnixMillis::now, UnixMillis);
        ended.since(UnixMillis(self.begun_unix_ms)).as_secs_f64()
    }
}
