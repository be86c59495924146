//! Results on standard output: JSON for scripts, tables and plain lines for people.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;

use super::Error;
use super::commands::{Member, Shape};
use super::tables;
use super::text::{cell, plain};

/// Whether somebody still reads what is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// Somebody does.
    Here,
    /// Nobody does (`| head`), which is no failure.
    Gone,
}

/// Prints a value as one line of JSON.
pub(super) fn json(value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    let text = serde_json::to_string(value).map_err(|error| Error::Output(error.into()))?;
    line(&text)
}

/// Prints a line. A reader that has gone away is no failure.
pub(super) fn line(text: &str) -> Result<(), Error> {
    bytes(text.as_bytes())?;
    bytes(b"\n").map(|_| ())
}

/// Prints bytes as they are, and says whether anybody reads them.
pub(super) fn bytes(bytes: &[u8]) -> Result<Reader, Error> {
    let mut stdout = io::stdout();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Error::Output(error)),
        Ok(()) => Ok(Reader::Here),
    }
}

/// Says something on standard error, beside the result.
pub(super) fn beside(text: &str) {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints rows under headings.
pub(super) fn table<'a>(
    headings: impl IntoIterator<Item = &'a str>,
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Result<(), Error> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(headings);
    table.add_rows(rows);
    // Every cell has a blank in front, also one that is empty.
    let lines = table.lines().map(|line| match line.strip_prefix(' ') {
        Some(line) => line.trim_end().to_owned(),
        None => line.trim_end().to_owned(),
    });
    let lines: Vec<_> = lines.collect();
    line(&lines.join("\n"))
}

/// Prints an answer for people: the credential alone where it has one, for scripts take that as it
/// is; a table of its one list; or one line a member.
pub(super) fn answer(
    answer: &Value,
    shape: &Shape,
    rows: Option<(&str, &Shape)>,
) -> Result<(), Error> {
    if shape.members.is_empty() {
        return Ok(());
    }
    if let Some((name, shape)) = rows {
        let items = answer[name].as_array().map_or(&[][..], Vec::as_slice);
        return list(items, shape);
    }
    let mut secrets = shape.members.iter().filter(|member| member.secret);
    if let (Some(secret), None) = (secrets.next(), secrets.next())
        && let Some(text) = answer[secret.name].as_str()
    {
        return line(&plain(text));
    }
    let mut lines = Vec::new();
    members(answer, shape, "", &mut lines);
    let width = lines.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or_default() + 2;
    for (name, text) in lines {
        line(&format!("{name:width$}{text}"))?;
    }
    Ok(())
}

/// Prints one of many answers, as one line for people.
pub(super) fn item(item: &Value, shape: &Shape) -> Result<Reader, Error> {
    let mut lines = Vec::new();
    members(item, shape, "", &mut lines);
    let words: Vec<_> = lines
        .into_iter()
        .map(|(name, text)| match &*text {
            "" => name,
            text => format!("{name}={text}"),
        })
        .collect();
    bytes(format!("{}\n", words.join(" ")).as_bytes())
}

fn list(items: &[Value], shape: &Shape) -> Result<(), Error> {
    if let Some(view) = tables::of(shape.name) {
        let rows = items.iter().map(view.cells);
        return table(view.headings.iter().copied(), rows);
    }
    let shown = |member: &&Member| member.inner.is_none() && !member.secret;
    let columns: Vec<_> = shape.members.iter().filter(shown).collect();
    let headings: Vec<_> = columns
        .iter()
        .map(|member| member.name.replace('_', " ").to_uppercase())
        .collect();
    let rows = items.iter().map(|item| {
        columns
            .iter()
            .map(|member| cell(&item[member.name]))
            .collect()
    });
    table(headings.iter().map(String::as_str), rows)
}

/// Each member that is there, in the schema's order, those within a member by its name and theirs.
fn members(value: &Value, shape: &Shape, above: &str, lines: &mut Vec<(String, String)>) {
    for member in shape.members {
        let (name, value) = (format!("{above}{}", member.name), &value[member.name]);
        match member.inner {
            _ if value.is_null() => {}
            // That it is there is all that it says.
            Some(inner) if inner.members.is_empty() => lines.push((name, String::new())),
            Some(inner) if !member.repeated => members(value, inner, &format!("{name}."), lines),
            Some(inner) => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    members(item, inner, &format!("{name}[{index}]."), lines);
                }
            }
            None => lines.push((name, cell(value))),
        }
    }
}
