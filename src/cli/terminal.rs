//! What is asked of the person at the terminal: a credential, which is not shown while it is typed,
//! and whether to go on. Nothing is asked where there is no terminal.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::files::{self, FileError};
use crate::secret::Secret;

/// Largest credential that is typed or read from a file.
const SECRET_BYTES_MAX: usize = 64 * 1024;

/// Keys that are no text: the end of a line, of the input, the last letter, the whole line, the process.
const ENTER: &[u8] = b"\r\n";
const END: u8 = 4;
const ERASE: &[u8] = &[8, 127];
const KILL: u8 = 21;
const INTERRUPT: u8 = 3;

/// Asks for a credential, a new one twice, at the process's own terminal, wherever its input comes
/// from. `None` where it has no terminal.
///
/// # Errors
/// When the terminal fails, the question is broken off, or the two differ.
pub(super) fn ask_secret(what: &str, new: bool) -> io::Result<Option<Secret>> {
    let Some(mut terminal) = own() else {
        return Ok(None);
    };
    let first = typed(&mut terminal, &format!("{what}: "))?;
    if new && *first != *typed(&mut terminal, &format!("{what}, again: "))? {
        return Err(io::Error::other("the two are not the same"));
    }
    Ok(Some(Secret::new(String::clone(&first))))
}

/// Asks for a line that everybody may see; `None` where there is no terminal.
///
/// # Errors
/// When the terminal fails, or the question is broken off.
pub(super) fn ask(what: &str) -> io::Result<Option<String>> {
    let Some(mut terminal) = own() else {
        return Ok(None);
    };
    write!(terminal, "{what}: ")?;
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        if terminal.read(&mut byte)? == 0 {
            return Err(broken_off());
        }
        if ENTER.contains(&byte[0]) || line.len() == SECRET_BYTES_MAX {
            break;
        }
        line.push(byte[0]);
    }
    let line = String::from_utf8(line).map_err(io::Error::other)?;
    Ok(Some(line.trim().to_owned()))
}

/// Asks whether to go on; `None` where nobody is there to answer: input is no terminal.
///
/// # Errors
/// As [`ask`].
pub(super) fn confirm(question: &str) -> io::Result<Option<bool>> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    let answer = ask(&format!("{question} [y/N]"))?;
    Ok(answer.map(|answer| matches!(&*answer.to_lowercase(), "y" | "yes")))
}

/// Reads a credential from a file, or from standard input where that is `-`. The end of its line is
/// no part of it.
///
/// # Errors
/// When it cannot be read, or is no text.
pub(super) fn secret_from(path: &Path) -> Result<Secret, FileError> {
    if path == Path::new("-") && io::stdin().is_terminal() {
        let typed = ask_secret("Secret", false);
        let typed = typed.map_err(FileError::on("read", Path::new("the terminal")))?;
        return Ok(typed.unwrap_or_else(|| Secret::new(String::new())));
    }
    let text = Zeroizing::new(if path == Path::new("-") {
        let mut text = String::new();
        io::stdin()
            .take(SECRET_BYTES_MAX as u64)
            .read_to_string(&mut text)
            .map_err(FileError::on("read", Path::new("standard input")))?;
        text
    } else {
        files::read_text(path, SECRET_BYTES_MAX)?
    });
    let line = text.trim_end_matches(['\r', '\n']);
    Ok(Secret::new(line.to_owned()))
}

fn own() -> Option<File> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    terminal.ok()
}

/// Reads a line that is not shown.
fn typed(terminal: &mut File, prompt: &str) -> io::Result<Zeroizing<String>> {
    let silent = Silent::begin(terminal.try_clone()?)?;
    write!(terminal, "{prompt}")?;
    let mut line = Zeroizing::new(Vec::with_capacity(256));
    let mut byte = [0];
    let outcome = loop {
        if terminal.read(&mut byte)? == 0 {
            break Err(broken_off());
        }
        match byte[0] {
            key if ENTER.contains(&key) => break Ok(()),
            INTERRUPT | END => break Err(broken_off()),
            KILL => line.clear(),
            key if ERASE.contains(&key) => {
                // A letter may be several bytes: those that go on with it go with it.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            _ if line.len() == SECRET_BYTES_MAX => break Err(io::Error::other("it is too long")),
            key => line.push(key),
        }
    };
    drop(silent);
    writeln!(terminal)?;
    outcome?;
    let text = std::str::from_utf8(&line).map_err(io::Error::other)?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn broken_off() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "broken off")
}

/// A terminal that shows nothing of what is typed, until this is dropped. Its keys that end a process
/// are letters meanwhile: nothing may leave it silent.
struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    fn begin(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that has gone away needs no more.
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}
