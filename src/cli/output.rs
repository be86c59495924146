//! Results on standard output: JSON for scripts, tables and plain lines for people.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde::Serialize;

use super::Error;

/// Prints a value as one line of JSON.
pub(super) fn json(value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    let text = serde_json::to_string(value).map_err(|error| Error::Output(error.into()))?;
    line(&text)
}

/// Prints a line. A reader that has gone away (`| head`) is no failure.
pub(super) fn line(text: &str) -> Result<(), Error> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(Error::Output),
    }
}

/// Prints rows under headings.
pub(super) fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<(), Error> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(headings);
    table.add_rows(rows);
    let lines: Vec<_> = table.lines().map(|line| line.trim().to_owned()).collect();
    line(&lines.join("\n"))
}
