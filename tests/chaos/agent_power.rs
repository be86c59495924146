//! Loss of power at the agent: what it has acknowledged is in its journal at each moment from then on, and
//! what it had begun is not begun again. A real agent runs commands while what it writes is recorded; then,
//! for each of its syncs, an agent begins with what its disk would have held had its power gone there, beside
//! a platform that begins with what it had at that moment, and the two go on to the end of every command.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::thread;

use serde_json::json;

use super::api::Caller;
use super::books::Books;
use super::lots::Lots;
use super::programs::{
    ANY, CONCURRENT, HOST, Platform, kill, prepare_agent, start_agent, until, until_online,
};
use super::record::{Disk, Entry, Recorder, now};

/// Commands that are asked for, by callers at once.
const COMMANDS: usize = 48;
const CALLERS: usize = 4;
/// Fewer syncs than this, and there was nothing to cut.
const SYNCS_MIN: usize = 40;
const JOURNAL: &str = "commands.journal";
/// Between what the kernel says that its time is, in hundredths, and the clock of the record.
const CLOCKS_APART: f64 = 0.03;

#[test]
fn what_an_agent_acknowledged_survives_a_loss_of_power_at_every_sync() {
    let lots = Lots::seeded();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (data, state) = (dir.path().join("data"), dir.path().join("state"));
    let effects = dir.path().join("effects");
    let record = |name: &str, under: &Path| {
        let dir = dir.path().join(name);
        fs::create_dir(&dir).expect("made");
        Recorder::new(&dir, under.to_owned())
    };
    let records = (record("of-platform", &data), record("of-agent", &state));

    let mut platform = Platform::start(&data, [ANY; 2], |command| records.0.give(command));
    let place = platform.place(&data);
    let mut caller = Caller::new(place.clone());
    prepare_agent(dir.path(), &mut caller, platform.tls);
    let mut agent = start_agent(dir.path(), &state, |command| records.1.give(command));
    until_online(&mut caller);
    let callers = (0..CALLERS).map(|first| {
        let (mut caller, effects) = (Caller::new(place.clone()), effects.clone());
        thread::spawn(move || {
            for number in (first..COMMANDS).step_by(CALLERS) {
                ask(&mut caller, number, &effects);
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    callers
        .into_iter()
        .for_each(|caller| caller.join().expect("answered"));
    let books = Books::open(&data);
    until("the end of all", || {
        (books.ended() == COMMANDS).then_some(())
    });
    drop(books);
    kill(&mut agent);
    kill(&mut platform.process);
    let happened = Happened::read(&effects);
    assert_eq!(happened.0.len(), COMMANDS);

    let (theirs, ours) = (records.0.entries(), records.1.entries());
    let at = [platform.tls.to_string(), platform.http.to_string()];
    let fork = Fork {
        dir: dir.path(),
        at: [&at[0], &at[1]],
        effects: &effects,
        happened: &happened,
    };
    let (mut disk, mut platforms_disk) = (Disk::default(), Disk::default());
    let mut theirs = theirs.iter().peekable();
    let mut syncs = 0;
    for entry in &ours {
        let is_sync = entry.is_sync() && entry.is_of(JOURNAL);
        if is_sync {
            while let Some(entry) = theirs.next_if(|it| it.at <= entry.at) {
                platforms_disk.take(entry);
            }
            // As it is under way: some of it is on the disk.
            fork.go_on(&disk, Some(&lots), &platforms_disk, entry);
            syncs += 1;
        }
        disk.take(entry);
        if is_sync {
            fork.go_on(&disk, None, &platforms_disk, entry);
        }
    }
    println!("{syncs} syncs of the journal");
    assert!(syncs > SYNCS_MIN);
}

/// Asks for a command that writes its number, and when that was.
fn ask(caller: &mut Caller, number: usize, effects: &Path) {
    let body = json!({
        "targets": { "hosts": [HOST] },
        "script": {
            "content": "sleep 0.01; read -r up idle < /proc/uptime; echo \"$1 $up\" >> \"$2\"\n",
            "arguments": [number.to_string(), effects],
        },
    });
    let key = format!("n{number}");
    let (status, made) = caller.call("POST", "/api/commands", &key, Some(&body));
    assert_eq!(status, 202, "{made}");
}

/// What had its effect, and when, in seconds of the record's clock.
struct Happened(HashMap<String, Vec<f64>>);

impl Happened {
    fn read(file: &Path) -> Self {
        let up = fs::read_to_string("/proc/uptime").expect("Linux says so");
        let up: f64 = up
            .split(' ')
            .next()
            .expect("some")
            .parse()
            .expect("seconds");
        let apart = up - now() as f64 / 1e9;
        let text = fs::read_to_string(file).unwrap_or_default();
        let mut happened: HashMap<_, Vec<_>> = HashMap::new();
        for line in text.lines() {
            let (number, at) = line.split_once(' ').expect("whole lines");
            let at: f64 = at.parse().expect("seconds");
            happened
                .entry(number.to_owned())
                .or_default()
                .push(at - apart);
        }
        Self(happened)
    }

    /// How often that was, at least and at most, until then.
    fn times(&self, number: &str, until: f64) -> (usize, usize) {
        let all = self.0.get(number).map_or(&[][..], Vec::as_slice);
        let before = |until: f64| all.iter().filter(|at| **at < until).count();
        (before(until - CLOCKS_APART), before(until + CLOCKS_APART))
    }
}

/// Where the two begin again.
struct Fork<'a> {
    dir: &'a Path,
    at: [&'a str; 2],
    effects: &'a Path,
    happened: &'a Happened,
}

impl Fork<'_> {
    /// Has them go on from what their disks hold at that entry of the record.
    fn go_on(&self, disk: &Disk, unsynced: Option<&Lots>, platforms: &Disk, entry: &Entry) {
        let image = tempfile::tempdir().expect("a temporary directory");
        let (data, state) = (image.path().join("data"), image.path().join("state"));
        copy_but(&self.dir.join("data"), &data, "platform.db");
        copy_but(&self.dir.join("state"), &state, JOURNAL);
        overlay(&data, "platform.db", |to| platforms.keep_power(to));
        overlay(&state, JOURNAL, |to| disk.lose_power(to, unsynced));
        let _ = fs::remove_file(self.effects);
        let mut platform = Platform::start(&data, self.at, |_| ());
        let books = Books::open(&data);
        let before = books.states();
        let mut agent = start_agent(self.dir, &state, |_| ());
        until("the end of all", || {
            (books.open_deliveries() == 0).then_some(())
        });
        let ends = books.ends();
        kill(&mut agent);
        kill(&mut platform.process);

        let at = entry.at as f64 / 1e9;
        let after = Happened::read(self.effects);
        let mut interrupted = 0;
        for (id, end) in &ends {
            let (least, most) = self.happened.times(&end.argument, at);
            let again = after.0.get(&end.argument).map_or(0, Vec::len);
            let told = format!(
                "{id} was {} and is {} ({}): it had happened {least} to {most} times, and {again} after",
                before[id], end.state, end.reason
            );
            assert!(least + again <= 1, "twice: {told}");
            match end.state {
                "succeeded" => assert!(most + again >= 1, "never: {told}"),
                // It was begun and not done: whatever else was acknowledged is there still.
                "interrupted" => {
                    assert_eq!(end.reason, "agent_ended", "lost: {told}");
                    interrupted += 1;
                }
                _ => panic!("{told}"),
            }
        }
        assert!(interrupted <= CONCURRENT, "{interrupted} were cut");
    }
}

/// Copies what a directory has, but for files of which the names begin so.
fn copy_but(from: &Path, to: &Path, name: &str) {
    fs::create_dir(to).expect("made");
    let permissions = fs::metadata(from).expect("there").permissions();
    fs::set_permissions(to, permissions).expect("set");
    for entry in fs::read_dir(from).expect("read").flatten() {
        let is_file = entry.file_type().expect("known").is_file();
        if is_file && !entry.file_name().to_string_lossy().starts_with(name) {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
        }
    }
}

/// Writes an image of a disk, and has those of its files of which the names begin so in a directory.
fn overlay(to: &Path, name: &str, write: impl FnOnce(&Path)) {
    let image = to.with_extension("image");
    write(&image);
    let files: BTreeMap<_, _> = fs::read_dir(&image)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| (entry.file_name(), entry.path()))
        .collect();
    for (file, path) in files {
        let shown = file.to_string_lossy();
        // The log's index is memory that is shared, not a file that is written.
        if shown.starts_with(name) && !shown.ends_with("-shm") {
            fs::rename(path, to.join(&file)).expect("renamed");
        }
    }
}
