//! The journal under loss of power, on full and failing disks, and after damage. A storage in memory records
//! each call; from the record follows what a disk may hold when the power goes after any of them.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::file::NAME;
use super::storage::{Storage, StorageFile};
use super::*;
use crate::clock::UnixMillis;
use crate::ids::Uuid;

const HOST: &str = "h1";

/// A call that changes something.
#[derive(Clone, Debug)]
pub enum Call {
    Create(String, usize),
    Write(usize, u64, Vec<u8>),
    Truncate(usize, u64),
    Sync(usize),
    Rename(String, String),
    SyncDirectory,
}

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub struct Recorded(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub struct State {
    calls: Vec<Call>,
    names: HashMap<String, usize>,
    files: Vec<Vec<u8>>,
    /// The disk takes so many bytes more.
    room: Option<usize>,
    /// So many syncs are still to go well.
    syncs: Option<usize>,
}

#[derive(Debug)]
pub struct RecordedFile(Recorded, usize);

impl State {
    fn call(&mut self, call: Call) {
        match &call {
            Call::Create(name, file) => {
                self.files.resize(*file + 1, Vec::new());
                self.names.insert(name.clone(), *file);
            }
            Call::Rename(from, to) => {
                let file = self.names.remove(from).expect("there");
                self.names.insert(to.clone(), file);
            }
            Call::SyncDirectory => {}
            Call::Write(file, ..) | Call::Truncate(file, _) | Call::Sync(file) => {
                change(&mut self.files[*file], &call);
            }
        }
        self.calls.push(call);
    }
}

fn change(content: &mut Vec<u8>, call: &Call) {
    match call {
        Call::Write(_, offset, bytes) => {
            let offset = usize::try_from(*offset).expect("small");
            content.resize(content.len().max(offset + bytes.len()), 0);
            content[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        Call::Truncate(_, length) => content.resize(usize::try_from(*length).expect("small"), 0),
        _ => {}
    }
}

impl Recorded {
    /// The disk takes so many bytes more; `None` for as many as there are.
    pub fn leave_room(&self, bytes: Option<usize>) {
        self.state(|state| state.room = bytes);
    }

    /// What a loss of power leaves.
    pub fn after_power_loss(&self) -> Self {
        let calls = self.state(|state| state.calls.clone());
        after_power_loss(&calls, Unsynced::Lost)
    }

    fn state<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.0.lock().expect("not poisoned"))
    }
}

impl Storage for Recorded {
    type File = RecordedFile;

    fn open(&self, name: &str) -> io::Result<Option<RecordedFile>> {
        let file = self.state(|state| state.names.get(name).copied());
        Ok(file.map(|file| RecordedFile(self.clone(), file)))
    }

    fn create(&self, name: &str) -> io::Result<RecordedFile> {
        let file = self.state(|state| {
            let file = state.files.len();
            state.call(Call::Create(name.to_owned(), file));
            file
        });
        Ok(RecordedFile(self.clone(), file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.state(|state| state.call(Call::Rename(from.to_owned(), to.to_owned())));
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.state(|state| state.call(Call::SyncDirectory));
        Ok(())
    }
}

impl StorageFile for RecordedFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.state(|state| state.files[self.1].len() as u64))
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).expect("small");
        self.0.state(|state| {
            let content = state.files[self.1].get(offset..offset + into.len());
            into.copy_from_slice(content.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.state(|state| {
            let fits = state.room.map_or(bytes.len(), |room| room.min(bytes.len()));
            state.room = state.room.map(|room| room - fits);
            state.call(Call::Write(self.1, offset, bytes[..fits].to_vec()));
            if fits < bytes.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.0.state(|state| {
            if let Some(syncs) = &mut state.syncs {
                *syncs = syncs.checked_sub(1).ok_or(io::ErrorKind::Other)?;
            }
            state.call(Call::Sync(self.1));
            Ok(())
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0
            .state(|state| state.call(Call::Truncate(self.1, length)));
        Ok(())
    }
}

/// How a disk treats what was not synced when the power goes.
#[derive(Clone, Copy, Debug)]
enum Unsynced {
    /// None of it is there.
    Lost,
    /// All of it is, up to the byte at which it went, names too.
    Kept,
    /// The length is, and the last bytes; what lies before them reads as zeros.
    Holes,
}

/// What is on the disk when the power goes after these calls, the last one of which may be a part.
fn after_power_loss(calls: &[Call], unsynced: Unsynced) -> Recorded {
    let mut names = HashMap::new();
    let mut durable_names = HashMap::new();
    let mut files: BTreeMap<usize, (Vec<u8>, Vec<&Call>)> = BTreeMap::new();
    for call in calls {
        match call {
            Call::Create(name, file) => {
                names.insert(name.clone(), *file);
                files.insert(*file, Default::default());
            }
            Call::Rename(from, to) => {
                let file = names.remove(from).expect("there");
                names.insert(to.clone(), file);
            }
            Call::SyncDirectory => durable_names.clone_from(&names),
            Call::Write(file, ..) | Call::Truncate(file, _) => {
                files.get_mut(file).expect("there").1.push(call);
            }
            Call::Sync(file) => {
                let (content, pending) = files.get_mut(file).expect("there");
                pending.drain(..).for_each(|call| change(content, call));
            }
        }
    }
    let mut state = State::default();
    for (content, pending) in files.into_values() {
        let mut now = content.clone();
        pending.iter().for_each(|call| change(&mut now, call));
        let content = match unsynced {
            Unsynced::Lost => content,
            Unsynced::Kept => now,
            Unsynced::Holes => {
                let end = now
                    .len()
                    .saturating_sub(40)
                    .max(content.len().min(now.len()));
                let from = content.len().min(end);
                now[from..end].fill(0);
                now
            }
        };
        state.files.push(content);
    }
    state.names = match unsynced {
        Unsynced::Lost => durable_names,
        Unsynced::Kept | Unsynced::Holes => names,
    };
    Recorded(Arc::new(Mutex::new(state)))
}

fn open(storage: &Recorded) -> (JournalFile<Recorded>, Recovered) {
    JournalFile::open(storage.clone(), HOST).expect("it opens")
}

fn received(number: u64, bytes: usize) -> Record {
    Record::Received(Received {
        id: format!("c{number}"),
        sequence: number,
        settled: number.saturating_sub(40),
        command: Bytes::from(vec![b'c'; bytes]),
    })
}

fn started(number: u64) -> Record {
    Record::Started {
        id: format!("c{number}"),
        at: UnixMillis(number),
    }
}

fn ended(number: u64, bytes: usize) -> Record {
    Record::Ended {
        id: format!("c{number}"),
        response_id: format!("r{number}"),
        response: Bytes::from(vec![b'r'; bytes]),
    }
}

fn acknowledged(number: u64) -> Record {
    let id = format!("c{number}");
    Record::Acknowledged { id }
}

fn identity(epoch: u128) -> Record {
    Record::Identity(Identity {
        host: HOST.to_owned(),
        epoch: Some(Uuid::from_u128(epoch)),
    })
}

/// What somebody was told, so that it has to be there.
#[derive(Clone, Debug, Default)]
struct Told {
    epoch: Option<Uuid>,
    /// By sequence: 1 received, 2 started, 3 ended. That a response was acknowledged nobody is told.
    stages: BTreeMap<u64, u8>,
}

impl Told {
    fn take(&mut self, record: &Record) {
        let number = |id: &str| id[1..].parse().expect("a number");
        match record {
            Record::Identity(identity) => self.epoch = identity.epoch,
            Record::Received(received) => drop(self.stages.insert(received.sequence, 1)),
            Record::Started { id, .. } => drop(self.stages.insert(number(id), 2)),
            Record::Ended { id, .. } => drop(self.stages.insert(number(id), 3)),
            Record::Acknowledged { .. } | Record::Seen(_) => {}
        }
    }

    /// Nothing of it is missing.
    fn assert_in(&self, journal: &JournalFile<Recorded>, recovered: &Recovered, when: &str) {
        let rank = |number: u64| {
            let command = recovered.commands.iter();
            let id = format!("c{number}");
            let mut command = command.filter(|command| command.id == id);
            let state = &command.next()?.state;
            Some(match state {
                RecoveredState::Waiting { .. } => 1,
                RecoveredState::Started { .. } => 2,
                RecoveredState::Ended { .. } => 3,
                RecoveredState::Finished => 4,
            })
        };
        if self.epoch.is_some() {
            assert!(recovered.identity.epoch >= self.epoch, "{when}");
        }
        for (number, stage) in &self.stages {
            assert!(recovered.known.contains(*number), "{number} {when}");
            let rank = rank(*number);
            assert!(
                rank >= Some(*stage),
                "{number} is {rank:?}, was {stage} {when}"
            );
            let kept = journal.fetch(&format!("c{number}")).expect("it reads");
            let kept = kept.expect("there");
            assert!(kept.command.iter().all(|byte| *byte == b'c'));
            let response = kept.response.iter().flatten();
            assert!(response.into_iter().all(|byte| *byte == b'r'));
        }
    }
}

/// Numbers that follow from a seed (xorshift64*).
struct Lots(u64);

impl Lots {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end
    }
}

#[test]
fn nothing_that_was_told_is_missing_after_a_loss_of_power_at_any_byte() {
    let seed = std::env::var("FLEETWIRE_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from_ne_bytes(crate::secret::random()) | 1);
    println!("FLEETWIRE_SEED={seed}");
    let mut lots = Lots(seed);
    let storage = Recorded::default();
    let (mut journal, _) = open(&storage);
    let mut told = Told::default();
    let mut tellings = vec![(0, told.clone())];
    let mut next = 1;
    for step in 0..70_u128 {
        let mut batch = Vec::new();
        for _ in 0..=lots.below(3) {
            let number = 1 + lots.below(next);
            let length = usize::try_from(lots.below(60)).expect("small");
            let stage = told.stages.get(&number);
            let record = match (stage, lots.below(5)) {
                (_, 0) => identity(step + 1),
                (None, _) => received(number, length),
                (Some(1), 1) => ended(number, length),
                (Some(1), _) => started(number),
                (Some(2), _) => ended(number, length),
                (Some(_), _) => acknowledged(number),
            };
            next = next.max(number + 1);
            // A batch may have several of one command, as the desk never gives them: one is enough here.
            let mut after = told.clone();
            batch.iter().for_each(|record| after.take(record));
            let settled = batch.iter().all(|other| id_of(other) != id_of(&record));
            if settled {
                batch.push(record);
            }
        }
        if lots.below(9) == 0 {
            journal.compact_now().expect("room");
        }
        // Some appends fail, and are not told.
        let fails = lots.below(8) == 0;
        if fails {
            let room = usize::try_from(lots.below(30)).expect("small");
            storage.state(|state| state.room = Some(room));
        }
        let appended = journal.append(&batch);
        storage.state(|state| state.room = None);
        if appended.is_ok() {
            batch.iter().for_each(|record| told.take(record));
        }
        tellings.push((storage.state(|state| state.calls.len()), told.clone()));
    }
    let calls = storage.state(|state| state.calls.clone());
    let mut tellings = tellings.into_iter().peekable();
    let mut told = Told::default();
    for count in 0..=calls.len() {
        while let Some((_, then)) = tellings.next_if(|(at, _)| *at <= count) {
            told = then;
        }
        let mut cut = calls[..count].to_vec();
        let last = match cut.last() {
            Some(Call::Write(file, offset, bytes)) => Some((*file, *offset, bytes.clone())),
            _ => None,
        };
        let parts = last.as_ref().map_or(0, |(.., bytes)| bytes.len());
        for part in (0..=parts).rev() {
            if let Some((file, offset, bytes)) = &last {
                let bytes = bytes[..part].to_vec();
                *cut.last_mut().expect("there") = Call::Write(*file, *offset, bytes);
            }
            for unsynced in [Unsynced::Lost, Unsynced::Kept, Unsynced::Holes] {
                let disk = after_power_loss(&cut, unsynced);
                let (journal, recovered) = open(&disk);
                let when = format!("after {count} calls, byte {part}, {unsynced:?}");
                // A part of a write was not told of.
                told.assert_in(&journal, &recovered, &when);
                let aside = disk.state(|state| state.names.keys().any(|name| name.contains('-')));
                assert!(!aside, "taken for damage {when}");
            }
        }
    }
}

fn id_of(record: &Record) -> &str {
    match record {
        Record::Identity(_) | Record::Seen(_) => "",
        Record::Received(received) => &received.id,
        Record::Started { id, .. } | Record::Ended { id, .. } | Record::Acknowledged { id } => id,
    }
}

#[test]
fn a_full_disk_leaves_the_file_whole_and_is_got_over() {
    let storage = Recorded::default();
    let (mut journal, _) = open(&storage);
    storage.state(|state| state.room = Some(10));
    let error = journal.append(&[identity(1)]).expect_err("no room");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    storage.state(|state| state.room = None);
    journal
        .append(&[identity(1), received(1, 100)])
        .expect("room");
    for room in 0..120 {
        storage.state(|state| state.room = Some(room));
        journal
            .append(&[started(1), received(2, 100)])
            .expect_err("no room");
    }
    storage.state(|state| state.room = None);
    let (_, recovered) = open(&storage);
    assert_eq!(recovered.commands.len(), 1);
    let waiting = &recovered.commands[0].state;
    assert!(matches!(waiting, RecoveredState::Waiting { command } if command.len() == 100));
    journal.append(&[received(2, 100)]).expect("room");
    assert_eq!(open(&storage).1.commands.len(), 2);
}

#[test]
fn after_a_sync_that_failed_the_file_is_written_anew() {
    let storage = Recorded::default();
    let (mut journal, _) = open(&storage);
    journal.append(&[received(1, 10)]).expect("synced");
    storage.state(|state| state.syncs = Some(0));
    journal.append(&[started(1)]).expect_err("not synced");
    journal.append(&[started(1)]).expect_err("nor anew");
    storage.state(|state| state.syncs = None);
    let before = storage.state(|state| state.calls.len());
    journal.append(&[started(1)]).expect("synced");
    let calls = storage.state(|state| state.calls[before..].to_vec());
    assert!(calls.iter().any(|call| matches!(call, Call::Rename(..))));
    let disk = after_power_loss(&storage.state(|state| state.calls.clone()), Unsynced::Lost);
    let commands = open(&disk).1.commands;
    assert!(matches!(commands[0].state, RecoveredState::Started { at, .. } if at.0 == 1));
}

#[test]
fn what_is_damaged_or_of_another_host_is_set_aside() {
    let storage = Recorded::default();
    let (mut journal, _) = open(&storage);
    journal.append(&[identity(1)]).expect("room");
    for number in 1..=3 {
        journal.append(&[received(number, 50)]).expect("room");
    }
    let calls = storage.state(|state| state.calls.clone());
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let disk = after_power_loss(&calls, Unsynced::Lost);
        disk.state(|state| {
            let file = state.names[NAME];
            change(&mut state.files[file]);
        });
        let (mut journal, recovered) = open(&disk);
        let names = disk.state(|state| state.names.keys().cloned().collect::<Vec<_>>());
        let prefix = format!("{NAME}.damaged-");
        let aside = names.iter().any(|name| name.starts_with(&prefix));
        if aside {
            assert_eq!((names.len(), recovered.commands.len()), (1, 0));
            assert_eq!(recovered.identity.epoch, None);
            journal.append(&[received(9, 1)]).expect("a new one");
            assert_eq!(open(&disk).1.commands.len(), 1);
        }
        (aside, recovered.commands.len())
    };
    let length = storage.state(|state| state.files[state.names[NAME]].len());
    // In the head, in what was put in place, and before what was written after a sync.
    for at in [0, 30, length - 200] {
        assert!(damaged(&|content| content[at] ^= 1).0, "at {at}");
    }
    assert!(damaged(&|content| content.truncate(20)).0);
    // At the end it may be torn, as far as anybody can see.
    assert_eq!(damaged(&|content| content[length - 1] ^= 1), (false, 2));
    assert_eq!(damaged(&|content| content.extend([7; 500])), (false, 3));
    assert_eq!(damaged(&|_| ()), (false, 3));

    let (_, other) = JournalFile::open(storage.clone(), "h2").expect("it opens");
    assert_eq!((other.commands.len(), other.identity.epoch), (0, None));
    let names = storage.state(|state| state.names.keys().cloned().collect::<Vec<_>>());
    assert!(
        names.iter().all(|name| name.contains("another-host-")),
        "{names:?}"
    );
}

#[test]
fn a_file_that_is_mostly_of_no_use_is_written_anew_and_stays_bounded() {
    let storage = Recorded::default();
    let (mut journal, _) = open(&storage);
    journal
        .append(&[identity(1), received(1, 10)])
        .expect("room");
    let mut longest = 0;
    for number in 2..1500 {
        let records = [
            received(number, 20_000),
            ended(number, 30_000),
            acknowledged(number),
        ];
        journal.append(&records).expect("room");
        longest = longest.max(storage.state(|state| state.files[state.names[NAME]].len()));
        // Only its calls are looked at elsewhere, and they hold all bytes.
        storage.state(|state| state.calls.clear());
    }
    assert!(longest < 40 << 20, "{longest}");
    let (journal, recovered) = open(&storage);
    assert_eq!(recovered.identity.epoch, Some(Uuid::from_u128(1)));
    assert!(recovered.known.contains(700) && recovered.known.highest() == 1499);
    assert!(recovered.commands.iter().any(|command| command.id == "c1"));
    assert!(
        recovered
            .commands
            .iter()
            .any(|command| command.id == "c1499")
    );
    assert!(
        !recovered
            .commands
            .iter()
            .any(|command| command.id == "c700")
    );
    assert!(journal.fetch("c1499").expect("it reads").is_some());
    assert_eq!(journal.fetch("c700").expect("it reads"), None);
}

#[test]
fn a_directory_keeps_it_private_and_the_thread_answers_in_order() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = Directory(directory.path().to_owned());
    let (journal, _) = JournalFile::open(storage.clone(), HOST).expect("it opens");
    let (writer, mut answers) = Writer::start(journal).expect("a thread");
    for number in 1..=100 {
        writer.append(received(number, 10), number);
        writer.fetch(format!("c{number}"), number);
    }
    for number in 1..=100 {
        let appended = answers.blocking_recv().expect("an answer");
        assert!(matches!(appended, Done::Appended { token, result: Ok(_) } if token == number));
        let fetched = answers.blocking_recv().expect("an answer");
        assert!(matches!(fetched, Done::Fetched { token, result: Ok(Some(_)) } if token == number));
    }
    drop(writer);
    assert!(answers.blocking_recv().is_none());
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(directory.path().join(NAME)).expect("there");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let (_, recovered) = JournalFile::open(storage, HOST).expect("it opens");
    assert_eq!(recovered.commands.len(), 100);
}
