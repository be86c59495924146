//! Programs as child processes: what they say is kept, and they end when they are dropped.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{POLL, until};

/// How long a process may take to end once it was asked.
const END_WITHIN: Duration = Duration::from_secs(10);

/// A command for one of this project's programs, with none of the caller's settings. The kernel
/// ends it when the test is killed.
pub fn command(program: &str) -> Command {
    let path = match program {
        "fleetwire" => env!("CARGO_BIN_EXE_fleetwire"),
        "fleetwire-agent" => env!("CARGO_BIN_EXE_fleetwire-agent"),
        "fleetwire-platform" => env!("CARGO_BIN_EXE_fleetwire-platform"),
        other => panic!("no program of this project: {other}"),
    };
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", path])
        .stdin(Stdio::null());
    // Nor the caller's contexts.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FLEETWIRE_") {
            command.env_remove(name);
        }
    }
    command
}

/// A running program.
pub struct Process {
    name: String,
    child: Child,
    said: Arc<Mutex<String>>,
    /// They end when nobody holds the other ends of the pipes any more.
    readers: Vec<thread::JoinHandle<()>>,
}

impl Process {
    /// Starts a command; what it says on either output is kept.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("setpriv of util-linux starts");
        let said = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            keep(child.stdout.take().expect("piped"), said.clone()),
            keep(child.stderr.take().expect("piped"), said.clone()),
        ];
        Self {
            name: name.to_owned(),
            child,
            said,
            readers,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it has held so far, in KiB (`VmHWM` of proc(5)).
    pub fn peak_memory_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.expect("Linux says so")
    }

    /// Everything it has said until now.
    pub fn said(&self) -> String {
        self.said.lock().expect("not poisoned").clone()
    }

    /// Waits for a line that has this in it, and returns the line.
    pub fn line(&mut self, part: &str) -> String {
        until(&format!("a line with {part:?} of {}", self.name), || {
            // Looked at first: what has ended has then said everything that it will.
            let ended = self.has_ended();
            let said = self.said();
            let line = said.lines().find(|line| line.contains(part));
            if let (None, Some(status)) = (line, ended) {
                panic!(
                    "{} ended ({status}) without a line with {part:?}",
                    self.name
                );
            }
            line.map(str::to_owned)
        })
    }

    /// What it ended with, once it has, and all of what it said is there.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child of ours")?;
        for reader in self.readers.drain(..) {
            reader.join().expect("it reads to the end");
        }
        Some(status)
    }

    /// Asks it to end, waits for that, and kills it when it does not.
    pub fn end(&mut self) {
        self.signal("TERM");
        let deadline = Instant::now() + END_WITHIN;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        let _ = self.child.kill();
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, signal: &str) {
        // The shell's own kill: a machine may lack the program. The process may be gone already.
        let _ = Command::new("sh")
            .args(["-c", &format!("kill -s {signal} {}", self.child.id())])
            .stderr(Stdio::null())
            .status();
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        until(&format!("the end of {}", self.name), || self.has_ended())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, self.said());
        }
    }
}

fn keep(output: impl Read + Send + 'static, said: Arc<Mutex<String>>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            said.lock()
                .expect("not poisoned")
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// The mode bits of a file or directory.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

/// Copies the files of a directory into a new one.
pub fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("made");
    for entry in std::fs::read_dir(from).expect("there") {
        let entry = entry.expect("read");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}
