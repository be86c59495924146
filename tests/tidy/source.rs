//! Reads the project's files for `tests/tidy.rs`: which there are, and which names stand in their
//! code. It knows as much of Rust's grammar as paths, groups of imports and inline modules need.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One file of the project, its path from the project's root.
pub struct File {
    pub path: PathBuf,
    pub text: String,
}

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under a folder of the project; none where the folder is not there.
pub fn rust_files(folder: &str) -> Vec<File> {
    files(folder, &["rs"])
}

/// Every file below a folder with one of these extensions.
pub fn files(folder: &str, extensions: &[&str]) -> Vec<File> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    let named = |path: &Path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    };
    paths
        .into_iter()
        .filter(|path| named(path))
        .map(|path| File {
            text: fs::read_to_string(root().join(&path)).expect("sources are readable UTF-8"),
            path,
        })
        .collect()
}

/// Every file of the project but what tools make and git ignores.
pub fn all_files() -> Vec<PathBuf> {
    let mut paths = Vec::new();
    collect(root(), &mut paths);
    paths
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    const MADE_BY_TOOLS: &[&str] = &[
        ".git",
        ".tools",
        "target",
        "node_modules",
        "dist",
        "__pycache__",
        ".pytest_cache",
        "artifacts",
    ];
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("a folder of the project is readable").path();
        let name = path
            .file_name()
            .expect("an entry has a name")
            .to_string_lossy()
            .into_owned();
        if MADE_BY_TOOLS.contains(&name.as_str()) || path.is_symlink() {
            continue;
        } else if path.is_dir() {
            collect(&path, paths);
        } else {
            paths.push(
                path.strip_prefix(root())
                    .expect("below the root")
                    .to_owned(),
            );
        }
    }
}

/// The room that a file belongs to: `src/<room>.rs` or `src/<room>/…`. The crate's root and the
/// programs are in none.
pub fn room_of(path: &Path) -> Option<String> {
    let first = path.strip_prefix("src").ok()?.components().next()?;
    let name = first.as_os_str().to_str()?.trim_end_matches(".rs");
    (!["lib", "bin"].contains(&name)).then(|| name.to_owned())
}

/// How many modules deep the file's own module is: 1 for `src/link.rs` and `src/link/mod.rs`.
fn depth_of(path: &Path) -> usize {
    let parts = path.components().count() - 1;
    if path.ends_with("mod.rs") {
        parts - 1
    } else {
        parts
    }
}

/// The names right under the crate's root that a file's paths go through, with their lines.
pub fn rooms_named(file: &File) -> Vec<(usize, String)> {
    let tokens = tokens(&file.text);
    let mut named = Vec::new();
    // For each open brace, whether a module opened it: `super` counts from the innermost.
    let mut braces = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let text = |offset: usize| tokens.get(at + offset).map_or("", |token| token.1.as_str());
        match text(0) {
            "{" => braces.push(at >= 2 && tokens[at - 2].1 == "mod"),
            "}" => drop(braces.pop()),
            "crate" if text(1) == "::" => first_segments(&tokens[at + 2..], &mut named),
            "super" if at == 0 || tokens[at - 1].1 != "::" => {
                let depth = depth_of(&file.path)
                    + braces
                        .iter()
                        .filter(|opened_by_mod| **opened_by_mod)
                        .count();
                let mut supers = 0;
                while text(2 * supers) == "super" && text(2 * supers + 1) == "::" {
                    supers += 1;
                }
                if supers >= depth {
                    first_segments(&tokens[at + 2 * supers..], &mut named);
                }
            }
            _ => {}
        }
        at += 1;
    }
    named
}

/// The first segments of the path, or of the group of paths, that begins here.
fn first_segments(tokens: &[Token], named: &mut Vec<(usize, String)>) {
    let mut depth = 0;
    let mut at_start = true;
    for (line, text) in tokens {
        match text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => at_start = true,
            name if at_start => {
                named.push((*line, name.to_owned()));
                at_start = false;
            }
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

/// The lines where a name, such as `tokio` or `std::net`, stands in the code, in a group of imports
/// too.
pub fn lines_that_name(tokens: &[Token], name: &str) -> Vec<usize> {
    let (parent, last) = name
        .rsplit_once("::")
        .map_or((None, name), |(parent, last)| (Some(parent), last));
    let mut groups: Vec<Option<&str>> = Vec::new();
    let mut lines = Vec::new();
    for (at, (line, text)) in tokens.iter().enumerate() {
        let before = |back: usize| at.checked_sub(back).map_or("", |at| tokens[at].1.as_str());
        match text.as_str() {
            "{" => groups.push((before(1) == "::").then(|| before(2))),
            "}" => drop(groups.pop()),
            text if text == last => {
                let stands_under = if before(1) == "::" {
                    Some(before(2))
                } else {
                    groups.last().copied().flatten()
                };
                if parent.is_none() || stands_under == parent {
                    lines.push(*line);
                }
            }
            _ => {}
        }
    }
    lines
}

/// A name, `::`, or a single character of the code, and its line.
pub type Token = (usize, String);

/// The code of a file without comments, strings and characters.
pub fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    while at < bytes.len() {
        let rest = &bytes[at..];
        let length = match rest[0] {
            b'/' if rest.starts_with(b"//") => rest
                .iter()
                .position(|byte| *byte == b'\n')
                .unwrap_or(rest.len()),
            b'/' if rest.starts_with(b"/*") => {
                text[at..].find("*/").map_or(rest.len(), |end| end + 2)
            }
            b'r' | b'b' if raw_string(rest).is_some() => raw_string(rest).unwrap_or(1),
            b'"' => quoted(rest, b'"'),
            // A lifetime or a label has no quote after its first character.
            b'\'' if rest.get(1) == Some(&b'\\') || text[at + 1..].chars().nth(1) == Some('\'') => {
                quoted(rest, b'\'')
            }
            b':' if rest.starts_with(b"::") => {
                tokens.push((line, "::".to_owned()));
                2
            }
            byte if is_name(byte) => {
                let length = rest
                    .iter()
                    .position(|byte| !is_name(*byte))
                    .unwrap_or(rest.len());
                tokens.push((line, text[at..at + length].to_owned()));
                length
            }
            byte if byte.is_ascii_whitespace() || !byte.is_ascii() => 1,
            byte => {
                tokens.push((line, char::from(byte).to_string()));
                1
            }
        };
        line += rest[..length].iter().filter(|byte| **byte == b'\n').count();
        at += length;
    }
    tokens
}

/// The length of the quoted text that begins here.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// The length of the raw string that begins here, if one does.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let after = rest
        .strip_prefix(b"br")
        .or_else(|| rest.strip_prefix(b"r"))?;
    let hashes = after.iter().take_while(|byte| **byte == b'#').count();
    if after.get(hashes) != Some(&b'"') {
        return None;
    }
    let mut end = vec![b'"'];
    end.extend(std::iter::repeat_n(b'#', hashes));
    let begin = rest.len() - after.len() + hashes + 1;
    let found = rest[begin..]
        .windows(end.len())
        .position(|window| window == end)?;
    Some(begin + found + end.len())
}
