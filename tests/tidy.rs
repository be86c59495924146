//! Keeps the walls that a single crate has no compiler for: who may import whom, what the sans-IO
//! core may name, how a file opens and how long it may grow, and that nothing of one machine got
//! into the project. It reads the sources as text (`tidy/source.rs`); what they mean is for the
//! compiler and for clippy.

#[path = "tidy/source.rs"]
mod source;

use source::{
    File, all_files, files, lines_that_name, room_of, rooms_named, root, rust_files, tokens,
};
use std::{fmt::Write as _, fs};

/// The core: what the link needs and is. Only `wire` knows how bytes and the schema are bound.
const CORE: &[&str] = &["ids", "limits", "wire", "link"];

/// What the programs share beside the core: the operating system, secrets, forms of the API.
const COMMON: &[&str] = &["clock", "files", "logging", "process", "secret", "audit"];

/// Each room of the crate, and the rooms that it may name, in groups.
const ROOMS: &[(&str, &[&[&str]])] = &[
    ("schema", &[]),
    ("ids", &[]),
    ("limits", &[]),
    ("wire", &[&["schema", "ids", "limits"]]),
    ("link", &[&["ids", "limits", "wire"]]),
    ("clock", &[&["wire"]]),
    ("files", &[]),
    ("logging", &[]),
    ("process", &[]),
    ("secret", &[&["ids", "limits", "wire"]]),
    ("audit", &[&["ids", "clock", "secret"]]),
    ("net", &[CORE, COMMON]),
    ("agent", &[CORE, COMMON, &["net"]]),
    // Its doors take and give the schema's own messages, as tonic has them.
    ("platform", &[CORE, COMMON, &["schema", "net"]]),
    (
        "cli",
        &[CORE, COMMON, &["schema", "net", "agent", "platform"]],
    ),
];

const WHY_ROOMS: &str = "what both need moves down, so that each room builds, is tested and is \
                         fuzzed without those above it";

/// Rooms without I/O: a fuzzer, a simulation and a program in any runtime can drive them.
const SANS_IO: &[&str] = &["wire", "link", "audit"];

/// What a room without I/O may not name, as it is written with its `::`, and why.
const NOT_SANS_IO: &[(&str, &str)] = &[
    ("tokio", "whoever drives the room brings the runtime"),
    (
        "std::net",
        "bytes come in and go out as arguments and results",
    ),
    ("std::thread", "the room is driven, it drives nothing"),
    (
        "Instant::now",
        "time comes in as an argument, so that a simulation can turn it",
    ),
    (
        "SystemTime::now",
        "time comes in as an argument, so that a simulation can turn it",
    ),
    (
        "getrandom",
        "entropy comes in as an argument, so that the same seed gives the same trace",
    ),
    (
        "rand",
        "entropy comes in as an argument, so that the same seed gives the same trace",
    ),
    ("spawn", "the room is driven, it drives nothing"),
    (
        "async",
        "a state machine has calls that return; waiting is the driver's part",
    ),
    (
        "await",
        "a state machine has calls that return; waiting is the driver's part",
    ),
];

const WHY_HEADER: &str = "opens without `//!`: the first lines say what a file owns and what it \
                          leaves to others, so that a reader need not guess";

/// What the console is written in.
const CONSOLE: &[&str] = &["ts", "tsx", "mjs"];

/// Lines past which nobody holds a file in mind.
const FILE_LINES_MAX: usize = 600;

/// Lines of a program's `main`: parse, init, run; the rest is in the library, where tests reach it.
const BIN_LINES_MAX: usize = 60;

#[test]
fn rooms_import_only_the_rooms_below_them() {
    let mut faults = Faults::default();
    for file in rust_files("src") {
        let Some(room) = room_of(&file.path) else {
            continue;
        };
        let Some((_, may_name)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            faults.add(
                &file,
                1,
                format!(
                    "`{room}` is no room of the plan: give it a row in ROOMS and in ARCHITECTURE.md"
                ),
            );
            continue;
        };
        for (line, named) in rooms_named(&file) {
            let known = ROOMS.iter().any(|(name, _)| *name == named);
            if known
                && named != room
                && !may_name.iter().any(|group| group.contains(&named.as_str()))
            {
                faults.add(
                    &file,
                    line,
                    format!("`{room}` names `{named}`, which is not below it: {WHY_ROOMS}"),
                );
            }
        }
    }
    faults.none();
}

#[test]
fn the_core_names_no_io_no_clock_and_no_randomness() {
    let mut faults = Faults::default();
    for file in rust_files("src") {
        if !room_of(&file.path).is_some_and(|room| SANS_IO.contains(&room.as_str())) {
            continue;
        }
        let tokens = tokens(&file.text);
        for (name, reason) in NOT_SANS_IO {
            for line in lines_that_name(&tokens, name) {
                faults.add(
                    &file,
                    line,
                    format!("names `{name}`, which this room may not: {reason}"),
                );
            }
        }
    }
    faults.none();
}

#[test]
fn every_file_opens_with_what_it_owns() {
    let mut faults = Faults::default();
    for file in ["src", "build", "tests", "benches", "fuzz"]
        .into_iter()
        .flat_map(rust_files)
    {
        if !file.text.starts_with("//! ") {
            faults.add(&file, 1, WHY_HEADER.into());
        }
    }
    for file in files("web", CONSOLE) {
        if !file.text.starts_with("// ") {
            faults.add(&file, 1, WHY_HEADER.replace("//!", "//"));
        }
    }
    faults.none();
}

#[test]
fn no_file_outgrows_a_reader() {
    let mut faults = Faults::default();
    for file in ["src", "build", "tests", "benches", "fuzz"]
        .into_iter()
        .flat_map(rust_files)
        .chain(files("web", CONSOLE))
    {
        let in_bin = file.path.starts_with("src/bin");
        let (max, reason) = if in_bin {
            (
                BIN_LINES_MAX,
                "parse, init, run; the rest belongs where tests reach it",
            )
        } else {
            (
                FILE_LINES_MAX,
                "a file that long holds two things: give each its own",
            )
        };
        let lines = file.text.lines().count();
        if lines > max {
            faults.add(
                &file,
                max,
                format!("has {lines} lines, at most {max}: {reason}"),
            );
        }
    }
    faults.none();
}

#[test]
fn nothing_is_left_for_later() {
    let mut faults = Faults::default();
    // Spelled in two parts, so that this file does not name them itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("HA", "CK"),
    ];
    for file in ["src", "build", "tests", "benches", "fuzz"]
        .into_iter()
        .flat_map(rust_files)
        .chain(files("web", CONSOLE))
    {
        for (number, line) in file.text.lines().enumerate() {
            for mark in marks {
                if line.contains(mark) {
                    faults.add(
                        &file,
                        number + 1,
                        format!("says {mark}: do it now; nobody reads a note in the code"),
                    );
                }
            }
            if line.contains(concat!("allow(", "dead_code")) {
                faults.add(
                    &file,
                    number + 1,
                    "keeps dead code, which nobody calls and nothing tests".into(),
                );
            }
        }
    }
    faults.none();
}

#[test]
fn nothing_of_one_machine_is_in_the_project() {
    let mut secrets = vec![
        (concat!("/ro", "ot/").to_owned(), "a path of one machine"),
        (concat!("/ho", "me/").to_owned(), "a path of one machine"),
        (concat!("/wo", "rk/").to_owned(), "a path of one machine"),
    ];
    let here = env!("CARGO_MANIFEST_DIR");
    // A checkout near the root of the file system has too common a name to look for.
    if here.matches('/').count() >= 2 {
        secrets.push((here.to_owned(), "the path of this checkout"));
    }
    if let Ok(host) = fs::read_to_string("/proc/sys/kernel/hostname") {
        let host = host.trim();
        // A short name, or one of plain letters, may be a word.
        if host.len() >= 6 && host.bytes().any(|byte| byte.is_ascii_digit()) {
            secrets.push((host.to_owned(), "the name of this machine"));
        }
    }
    let mut faults = Faults::default();
    for path in all_files() {
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue;
        };
        let file = File { path, text };
        for (number, line) in file.text.lines().enumerate() {
            for (secret, what) in &secrets {
                if line.contains(secret.as_str()) {
                    faults.add(
                        &file,
                        number + 1,
                        format!("holds `{secret}`, {what}: the project runs anywhere"),
                    );
                }
            }
        }
    }
    faults.none();
}

#[test]
fn the_walls_would_notice() {
    let file = |path: &str, text: &str| File {
        path: path.into(),
        text: text.into(),
    };
    let named = |path, text| -> Vec<String> {
        rooms_named(&file(path, text))
            .into_iter()
            .map(|(_, room)| room)
            .collect()
    };
    assert_eq!(
        named("src/link/mod.rs", "use crate::{ids::Uuid, net};"),
        ["ids", "net"]
    );
    assert_eq!(
        named(
            "src/link/mod.rs",
            "use crate::{\n    wire::{self, Codec},\n    limits as l,\n};"
        ),
        ["wire", "limits"]
    );
    assert_eq!(
        named(
            "src/agent/origin/pool.rs",
            "fn f() { crate::platform::run() }"
        ),
        ["platform"]
    );
    assert_eq!(
        named("src/agent/mod.rs", "use super::platform;"),
        ["platform"]
    );
    assert_eq!(
        named("src/agent/pool.rs", "use super::super::platform::Store;"),
        ["platform"]
    );
    assert!(
        named(
            "src/agent/pool.rs",
            "mod tests { use super::super::connect; }"
        )
        .is_empty()
    );
    assert!(
        named(
            "src/agent/pool.rs",
            "// crate::platform\n/* crate::platform */ \"crate::platform\""
        )
        .is_empty()
    );
    assert!(
        named(
            "src/agent/pool.rs",
            "r#\"\" crate::platform\"# ; '\"' ; b'\\'' ; 'a: loop {}"
        )
        .is_empty()
    );

    let lines = |text, name| lines_that_name(&tokens(text), name);
    assert_eq!(
        lines("use std::{\n    net::TcpStream,\n};", "std::net"),
        [2]
    );
    assert_eq!(
        lines("let now = std::time::Instant::now();", "Instant::now"),
        [1]
    );
    assert_eq!(lines("\nasync fn f() {}", "async"), [2]);
    assert!(lines("// async\nlet asynchronous = \"async\";", "async").is_empty());
}

/// What was found, said at once.
#[derive(Default)]
struct Faults(String);

impl Faults {
    fn add(&mut self, file: &File, line: usize, what: String) {
        writeln!(self.0, "{}:{line}: {what}", file.path.display())
            .expect("a string takes everything");
    }

    fn none(&self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}
