//! What a program did to its files, as `recorder.c` kept it, and what a disk may hold of that after a loss
//! of power: all that was synced, and of the rest whatever the disk had come to.
//!
//! Renames and removals count as done when they return, in their order, as a file system that journals its
//! own structure has them; what a file holds counts only once it was synced.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::time::{ClockId, clock_gettime};

use super::lots::Lots;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos/recorder.c");
/// What a disk writes whole.
const SECTOR: usize = 512;

/// Now, by the clock of records, in nanoseconds.
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

/// A record that is being made.
pub struct Recorder {
    library: PathBuf,
    record: PathBuf,
    under: PathBuf,
}

impl Recorder {
    /// One for the files under that folder; its own are kept in `dir`.
    ///
    /// # Panics
    /// Without a C compiler.
    pub fn new(dir: &Path, under: PathBuf) -> Self {
        let library = dir.join("recorder.so");
        let mut compile = Command::new("cc");
        compile.args([
            "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", SOURCE, "-o",
        ]);
        let compiled = compile
            .arg(&library)
            .status()
            .expect("cc: is a C compiler installed?");
        assert!(compiled.success(), "the recorder does not compile");
        Self {
            library,
            record: dir.join("record"),
            under,
        }
    }

    /// Gives it to a process that is yet to start.
    pub fn give(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
        command.env("FLEETWIRE_RECORD", &self.record);
        command.env("FLEETWIRE_RECORD_UNDER", &self.under);
    }

    /// What was recorded.
    pub fn entries(&self) -> Vec<Entry> {
        let bytes = fs::read(&self.record).expect("there");
        let mut rest = &bytes[..];
        let mut entries = Vec::new();
        while !rest.is_empty() {
            entries.push(Entry::read(&mut rest));
        }
        entries
    }
}

/// One thing that was done to a file.
pub struct Entry {
    /// When it returned, in nanoseconds of CLOCK_MONOTONIC.
    pub at: u64,
    path: String,
    what: What,
}

enum What {
    Write { offset: usize, data: Vec<u8> },
    Cut { length: usize },
    Sync,
    Rename { to: String },
    Remove,
}

impl Entry {
    fn read(rest: &mut &[u8]) -> Self {
        let kind = take(rest, 1)[0];
        let wide = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap());
        let narrow = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().unwrap()) as usize;
        let at = wide(take(rest, 8));
        let offset = usize::try_from(wide(take(rest, 8))).unwrap();
        let (path, data) = (narrow(take(rest, 4)), narrow(take(rest, 4)));
        let path = String::from_utf8(take(rest, path).to_vec()).unwrap();
        let data = take(rest, data).to_vec();
        let what = match kind {
            b'w' => What::Write { offset, data },
            b't' => What::Cut { length: offset },
            b's' => What::Sync,
            b'r' => What::Rename {
                to: String::from_utf8(data).unwrap(),
            },
            b'u' => What::Remove,
            other => panic!("an entry of kind {other}"),
        };
        Self { at, path, what }
    }

    /// Whether it is about that file.
    pub fn is_of(&self, name: &str) -> bool {
        self.path == name
    }

    /// Whether it is a sync of a file.
    pub const fn is_sync(&self) -> bool {
        matches!(self.what, What::Sync)
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

/// A disk while its power lasts.
#[derive(Default)]
pub struct Disk(BTreeMap<String, Contents>);

#[derive(Default)]
struct Contents {
    synced: Vec<u8>,
    since: Vec<(usize, Option<Vec<u8>>)>,
}

impl Disk {
    /// Does what was done.
    pub fn take(&mut self, entry: &Entry) {
        let file = self.0.entry(entry.path.clone()).or_default();
        match &entry.what {
            What::Write { offset, data } => file.since.push((*offset, Some(data.clone()))),
            What::Cut { length } => file.since.push((*length, None)),
            What::Sync => {
                for (at, data) in std::mem::take(&mut file.since) {
                    apply(&mut file.synced, at, data.as_deref());
                }
            }
            What::Rename { to } => {
                let file = self.0.remove(&entry.path).unwrap_or_default();
                self.0.insert(to.clone(), file);
            }
            What::Remove => {
                self.0.remove(&entry.path);
            }
        }
    }

    /// Writes what it holds where its power lasts.
    pub fn keep_power(&self, to: &Path) {
        for (path, file) in &self.0 {
            let mut bytes = file.synced.clone();
            for (at, data) in &file.since {
                apply(&mut bytes, *at, data.as_deref());
            }
            write(&to.join(path), &bytes);
        }
    }

    /// Writes what it holds when its power goes: of what was not synced nothing, or what the lots say,
    /// sector by sector.
    pub fn lose_power(&self, to: &Path, lots: Option<&Lots>) {
        for (path, file) in &self.0 {
            let mut bytes = file.synced.clone();
            for (at, data) in &file.since {
                let Some(lots) = lots else { break };
                match data {
                    None if lots.below(2) == 0 => apply(&mut bytes, *at, None),
                    None => {}
                    Some(data) => {
                        for (index, sector) in data.chunks(SECTOR).enumerate() {
                            if lots.below(2) == 0 {
                                apply(&mut bytes, at + index * SECTOR, Some(sector));
                            }
                        }
                    }
                }
            }
            write(&to.join(path), &bytes);
        }
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).expect("made");
    fs::write(path, bytes).expect("written");
}

fn apply(bytes: &mut Vec<u8>, at: usize, data: Option<&[u8]>) {
    match data {
        None => bytes.resize(at, 0),
        Some(data) => {
            if bytes.len() < at + data.len() {
                bytes.resize(at + data.len(), 0);
            }
            bytes[at..at + data.len()].copy_from_slice(data);
        }
    }
}
