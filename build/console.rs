//! The console's files as a table of Rust: what `make web` left in `web/dist`, each with its compressed form
//! where it has one. Where nothing was built the table is empty, and the platform says so to who asks.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The page that a built console always has.
const PAGE: &str = "index.html";

/// The table's text. The files themselves are included by the compiler, by their whole paths.
///
/// # Errors
/// Where the folder cannot be read, or a file is of a kind that nobody gave a media type.
pub fn generate(dist: &Path) -> Result<String> {
    let mut files = Vec::new();
    if dist.join(PAGE).is_file() {
        list(dist, &mut files)?;
        files.sort();
    }
    let mut text = String::from("static FILES: &[File] = &[\n");
    for file in &files {
        let name = file.strip_prefix(dist)?;
        let name = name.to_str().ok_or("a name that is not UTF-8")?;
        let gzip = file.with_file_name(format!(
            "{}.gz",
            file.file_name().unwrap_or_default().to_string_lossy()
        ));
        let gzip = if gzip.is_file() {
            format!("Some(include_bytes!({:?}))", gzip.canonicalize()?)
        } else {
            "None".to_owned()
        };
        writeln!(
            text,
            "    File {{ path: {:?}, media_type: {:?}, plain: include_bytes!({:?}), gzip: {gzip} }},",
            format!("/{name}"),
            media_type(file)?,
            file.canonicalize()?,
        )?;
    }
    text.push_str("];\n");
    Ok(text)
}

/// Every file that is served under its own name.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            list(&path, files)?;
        } else if !name.starts_with('.') && !name.ends_with(".gz") {
            files.push(path);
        }
    }
    Ok(())
}

fn media_type(file: &Path) -> Result<&'static str> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => Ok("text/html; charset=utf-8"),
        Some("js") => Ok("text/javascript; charset=utf-8"),
        Some("css") => Ok("text/css; charset=utf-8"),
        Some("svg") => Ok("image/svg+xml"),
        _ => Err(format!("{} has no media type in build/console.rs", file.display()).into()),
    }
}
