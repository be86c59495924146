//! The journal's file: opened with what a crash left of it, appended to in batches that are synced before
//! anybody is told, and written anew when most of it is of no use. It does not return before the disk has;
//! a thread of its own (`writer`) waits for it.

use std::io;

use bytes::Bytes;
use tracing::{debug, info, warn};

use super::index::{Index, Move, Span};
use super::record::{
    self, HEAD_BYTES, Identity, PREFIX_BYTES, Record, body_length, head, may_begin, read_head,
};
use super::storage::{Storage, StorageFile};
use crate::agent::commands::known::Known;
use crate::clock::UnixMillis;

/// The journal's name in its directory, and that of one that is being written.
pub const NAME: &str = "commands.journal";
const NAME_NEW: &str = "commands.journal.new";

/// A file that is not twice what is of use, or shorter than this, is not written anew.
const COMPACT_BYTES_MIN: u64 = 1 << 20;
/// How much is read or written at once.
const CHUNK_BYTES: usize = 256 << 10;

/// An open journal.
#[derive(Debug)]
pub struct JournalFile<S: Storage> {
    storage: S,
    /// Absent until there is something to keep: an agent starts on a full disk too.
    file: Option<S::File>,
    /// How much of it is good.
    length: u64,
    /// How much of that is known to be synced.
    synced: u64,
    /// Bytes past the good ones may be left by a write that failed.
    torn: bool,
    /// The file is to be written anew before it is trusted with more.
    distrusted: bool,
    /// A shorter file is not written anew, however little of it is of use.
    compact_past: u64,
    identity: Identity,
    known: Known,
    index: Index,
}

/// What a journal had when it was opened.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Whose commands they are.
    pub identity: Identity,
    /// Which sequences were had.
    pub known: Known,
    /// The commands that it still knows, in the order in which they came, finished ones first.
    pub commands: Vec<RecoveredCommand>,
}

/// A command that it knows.
#[derive(Debug)]
pub struct RecoveredCommand {
    /// Its id.
    pub id: String,
    /// How far it came.
    pub state: RecoveredState,
    /// Whether it was begun.
    pub begun: bool,
}

/// How far a command came.
#[derive(Debug)]
pub enum RecoveredState {
    /// It was not begun.
    Waiting {
        /// The command, encoded.
        command: Bytes,
    },
    /// It was begun, and did not end.
    Started {
        /// The command, encoded.
        command: Bytes,
        /// When.
        at: UnixMillis,
    },
    /// It has ended; the platform may not know.
    Ended {
        /// The response's id.
        response_id: String,
        /// The place of the response among all.
        place: u64,
        /// How long it is.
        bytes: usize,
    },
    /// The platform has its response.
    Finished,
}

/// What the journal has of one command, as it was encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The command.
    pub command: Bytes,
    /// The response, where it has ended.
    pub response: Option<Bytes>,
}

impl<S: Storage> JournalFile<S> {
    /// Opens the journal of this host in a directory. A torn end is cut off; a file that is damaged
    /// otherwise, or is another host's, is set aside, and a new one begins.
    ///
    /// # Errors
    /// When the directory or the file cannot be read, or not be changed as that needs.
    pub fn open(storage: S, host: &str) -> io::Result<(Self, Recovered)> {
        let mut journal = Self {
            storage,
            file: None,
            length: 0,
            synced: 0,
            torn: false,
            distrusted: false,
            compact_past: COMPACT_BYTES_MIN,
            identity: Identity::default(),
            known: Known::default(),
            index: Index::default(),
        };
        if let Some(file) = journal.storage.open(NAME)? {
            let fault = match journal.recover(&file)? {
                None if journal.identity.host == host => None,
                None => Some("another-host"),
                Some(fault) => {
                    warn!("the journal of commands is damaged: {fault}");
                    Some("damaged")
                }
            };
            match fault {
                None => journal.file = Some(file),
                Some(fault) => journal.set_aside(fault)?,
            }
        }
        journal.identity.host = host.to_owned();
        let recovered = journal.recovered()?;
        Ok((journal, recovered))
    }

    /// Reads the file, and cuts off a torn end. Returns what is damaged in it, if anything is.
    fn recover(&mut self, file: &S::File) -> io::Result<Option<String>> {
        let length = file.length()?;
        let mut window = Window::new(file, length);
        let whole = window.get(0, HEAD_BYTES)?;
        let Some(whole) = whole.and_then(|read| read_head(read.first_chunk()?)) else {
            return Ok(Some("it does not begin as one of this version".to_owned()));
        };
        let mut offset = HEAD_BYTES as u64;
        while let Some((record, _, length)) = window.record(offset)? {
            let span = Span { offset, length };
            self.apply(&record, span);
            offset += length;
        }
        if offset < whole || window.any_synced_past(offset)? {
            return Ok(Some(format!("at byte {offset} of {length}")));
        }
        if offset < length {
            let torn_bytes = length - offset;
            info!(torn_bytes, "the journal's torn end is cut off");
            file.truncate(offset)?;
        }
        // What was read may be in memory alone: a process that was killed had not synced it.
        file.sync()?;
        self.length = offset;
        self.synced = offset;
        Ok(None)
    }

    fn set_aside(&mut self, why: &str) -> io::Result<()> {
        let aside = format!("{NAME}.{why}-{}", UnixMillis::now().0);
        self.storage.rename(NAME, &aside)?;
        self.storage.sync_directory()?;
        warn!(file = %aside, "the journal of commands is set aside, and a new one begins");
        self.length = 0;
        self.synced = 0;
        self.identity = Identity::default();
        self.known = Known::default();
        self.index = Index::default();
        Ok(())
    }

    fn recovered(&self) -> io::Result<Recovered> {
        let command = |id, slot: &super::index::Slot| {
            let state = match (&slot.ended, slot.acknowledged, slot.started) {
                (_, true, _) => RecoveredState::Finished,
                (Some((span, response_id)), ..) => RecoveredState::Ended {
                    response_id: response_id.clone(),
                    place: span.offset,
                    bytes: usize::try_from(span.length).unwrap_or(usize::MAX),
                },
                (None, _, Some(at)) => RecoveredState::Started {
                    command: self.command(slot.received)?,
                    at,
                },
                (None, _, None) => RecoveredState::Waiting {
                    command: self.command(slot.received)?,
                },
            };
            let begun = slot.started.is_some();
            Ok(RecoveredCommand { id, state, begun })
        };
        let commands = self.index.in_order().into_iter();
        let commands = commands.map(|(id, slot)| command(id.to_owned(), slot));
        Ok(Recovered {
            identity: self.identity.clone(),
            known: self.known.clone(),
            commands: commands.collect::<io::Result<_>>()?,
        })
    }

    /// Appends these and syncs them, where any must survive. Returns the finished commands that were
    /// forgotten for it.
    ///
    /// # Errors
    /// When they could not be written or synced. None of them is taken then, and the file is as before.
    pub fn append(&mut self, records: &[Record]) -> io::Result<Vec<String>> {
        if self.file.is_none() || self.distrusted {
            self.write_anew()?;
        }
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        if self.torn {
            file.truncate(self.length)?;
            self.torn = false;
        }
        let mut bytes = Vec::new();
        let mut spans = Vec::with_capacity(records.len());
        for record in records {
            let start = bytes.len();
            record.encode(self.synced, &mut bytes);
            spans.push(Span {
                offset: self.length + start as u64,
                length: (bytes.len() - start) as u64,
            });
        }
        let must_survive = records.iter().any(Record::must_survive);
        let written = file.write(self.length, &bytes).and_then(|()| {
            if !must_survive {
                return Ok(());
            }
            // After a sync that failed nobody knows what of the file is on the disk.
            file.sync().inspect_err(|_| self.distrusted = true)
        });
        if let Err(error) = written {
            self.torn = file.truncate(self.length).is_err();
            return Err(error);
        }
        self.length += bytes.len() as u64;
        if must_survive {
            self.synced = self.length;
        }
        let mut forgotten = Vec::new();
        for (record, span) in records.iter().zip(spans) {
            forgotten.extend(self.apply(record, span));
        }
        self.compact();
        Ok(forgotten)
    }

    /// What it has of a command.
    ///
    /// # Errors
    /// When the file cannot be read, or does not read as it was written.
    pub fn fetch(&self, id: &str) -> io::Result<Option<Kept>> {
        let Some(slot) = self.index.get(id) else {
            return Ok(None);
        };
        let response = match &slot.ended {
            Some((span, _)) => match self.read(*span)? {
                Record::Ended { response, .. } => Some(response),
                _ => return Err(io::ErrorKind::InvalidData.into()),
            },
            None => None,
        };
        Ok(Some(Kept {
            command: self.command(slot.received)?,
            response,
        }))
    }

    fn command(&self, span: Span) -> io::Result<Bytes> {
        match self.read(span)? {
            Record::Received(received) => Ok(received.command),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn read(&self, span: Span) -> io::Result<Record> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        // No more than the record: many are read one by one where the file is written anew.
        let end = span.offset.saturating_add(span.length);
        let read = Window::new(file, self.length.min(end)).record(span.offset)?;
        read.map(|(record, ..)| record)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the journal is damaged"))
    }

    fn apply(&mut self, record: &Record, span: Span) -> Vec<String> {
        match record {
            Record::Identity(identity) => self.identity = identity.clone(),
            Record::Seen(known) => self.known = known.clone(),
            Record::Received(received) => {
                self.known.insert(received.sequence);
                self.known.raise(received.settled);
            }
            Record::Started { .. } | Record::Ended { .. } | Record::Acknowledged { .. } => {}
        }
        self.index.apply(record, span)
    }

    fn compact(&mut self) {
        if self.length < self.compact_past.max(2 * self.index.live_bytes()) {
            return;
        }
        let before_bytes = self.length;
        match self.write_anew() {
            Ok(()) => debug!(
                before_bytes,
                after_bytes = self.length,
                "the journal of commands was compacted"
            ),
            Err(error) => warn!(%error, "the journal of commands cannot be compacted"),
        }
        // Not with each append, where it fails, or where the ranges of what is known are most of it.
        self.compact_past = COMPACT_BYTES_MIN.max(2 * self.length);
    }

    /// Writes what is of use into a new file, and puts that in the old one's place once it is synced.
    fn write_anew(&mut self) -> io::Result<()> {
        let file = self.storage.create(NAME_NEW)?;
        let (moves, length) = match self.copy_to(&file) {
            Ok(copied) => copied,
            Err(error) => {
                // Where the disk is full, it is not this that fills it.
                let _ = file.truncate(0);
                return Err(error);
            }
        };
        self.storage.rename(NAME_NEW, NAME)?;
        self.storage.sync_directory()?;
        self.file = Some(file);
        self.index.move_to(moves);
        self.length = length;
        self.synced = length;
        self.torn = false;
        self.distrusted = false;
        Ok(())
    }

    fn copy_to(&self, file: &S::File) -> io::Result<(Vec<Move>, u64)> {
        let mut copy = Copy {
            file,
            written: 0,
            bytes: head(0).to_vec(),
        };
        copy.push(&Record::Identity(self.identity.clone()))?;
        copy.push(&Record::Seen(self.known.clone()))?;
        let commands = self.index.in_order();
        let mut moves = Vec::with_capacity(commands.len());
        let mut unacknowledged = Vec::new();
        for (id, slot) in commands {
            let received = copy.push(&self.read(slot.received)?)?;
            let mut moved = Move::of(slot, received);
            let id = id.to_owned();
            if let Some(at) = slot.started {
                moved.takes(copy.push(&Record::Started { id: id.clone(), at })?);
            }
            match &slot.ended {
                Some((span, _)) if slot.acknowledged => {
                    moved.ends(copy.push(&self.read(*span)?)?);
                    moved.takes(copy.push(&Record::Acknowledged { id })?);
                }
                Some((span, _)) => unacknowledged.push((*span, moves.len())),
                None => {}
            }
            moves.push(moved);
        }
        // These are sent in the order in which they came about.
        unacknowledged.sort_by_key(|(span, _)| span.offset);
        for (span, command) in unacknowledged {
            let ended = copy.push(&self.read(span)?)?;
            if let Some(moved) = moves.get_mut(command) {
                moved.ends(ended);
            }
        }
        copy.flush()?;
        file.write(0, &head(copy.written))?;
        file.sync()?;
        Ok((moves, copy.written))
    }
}

/// A journal that is being written.
struct Copy<'a, F> {
    file: &'a F,
    /// How much is in the file.
    written: u64,
    /// What follows it.
    bytes: Vec<u8>,
}

impl<F: StorageFile> Copy<'_, F> {
    /// Adds a record, and says where it stands.
    fn push(&mut self, record: &Record) -> io::Result<Span> {
        let start = self.bytes.len();
        record.encode(0, &mut self.bytes);
        let span = Span {
            offset: self.written + start as u64,
            length: (self.bytes.len() - start) as u64,
        };
        if self.bytes.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(span)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write(self.written, &self.bytes)?;
        self.written += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}

/// A part of a file in memory, as much as is being looked at.
struct Window<'a, F> {
    file: &'a F,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a, F: StorageFile> Window<'a, F> {
    const fn new(file: &'a F, length: u64) -> Self {
        Self {
            file,
            length,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// So many bytes from there; `None` where the file has fewer.
    fn get(&mut self, offset: u64, count: usize) -> io::Result<Option<&[u8]>> {
        let end = offset.checked_add(count as u64);
        let Some(end) = end.filter(|end| *end <= self.length) else {
            return Ok(None);
        };
        if offset < self.start || end > self.start + self.bytes.len() as u64 {
            let left = usize::try_from(self.length - offset).unwrap_or(usize::MAX);
            self.bytes.clear();
            self.bytes.resize(left.min(CHUNK_BYTES).max(count), 0);
            self.start = offset;
            self.file.read(offset, &mut self.bytes)?;
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        Ok(self.bytes.get(from..from + count))
    }

    /// The record there, its mark, and its length; `None` where there is none that is whole.
    fn record(&mut self, offset: u64) -> io::Result<Option<(Record, u64, u64)>> {
        let prefix = self.get(offset, PREFIX_BYTES)?;
        let Some(prefix) = prefix.and_then(|prefix| prefix.first_chunk()).copied() else {
            return Ok(None);
        };
        let Some(length) = body_length(prefix) else {
            return Ok(None);
        };
        let body = self.get(offset + PREFIX_BYTES as u64, length)?;
        let Some(body) = body.filter(|body| may_begin(body, offset)) else {
            return Ok(None);
        };
        let read = record::decode(prefix, Bytes::copy_from_slice(body));
        Ok(read.map(|(record, synced)| (record, synced, (PREFIX_BYTES + length) as u64)))
    }

    /// Whether any record stands behind this place that was written when the place was synced already.
    fn any_synced_past(&mut self, offset: u64) -> io::Result<bool> {
        for later in offset + 1..self.length {
            // A record's mark, looked at before anything else: it is rarely so by chance.
            let Some(mark) = self.get(later + PREFIX_BYTES as u64 + 1, 8)? else {
                return Ok(false);
            };
            let mark = mark.first_chunk().copied().map_or(0, u64::from_le_bytes);
            if (offset + 1..=later).contains(&mark)
                && let Some((_, synced, _)) = self.record(later)?
                && synced > offset
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
impl<S: Storage> JournalFile<S> {
    /// Writes it anew whatever its length. The index is what would be read of it then.
    pub fn compact_now(&mut self) -> io::Result<()> {
        self.write_anew()?;
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let (mut window, mut read) = (Window::new(file, self.length), Index::default());
        let mut offset = HEAD_BYTES as u64;
        while let Some((record, _, length)) = window.record(offset)? {
            read.apply(&record, Span { offset, length });
            offset += length;
        }
        assert_eq!(self.index, read);
        Ok(())
    }
}
