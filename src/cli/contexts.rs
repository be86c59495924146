//! The platforms that this person has signed in to, in a file of their own: `config.toml`, which nobody
//! else may read. It is read whole, changed under a lock, and written whole. Who is signed in and how is
//! left to `login`, which context a command takes to `server`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::usage::UsageError;
use super::{Error, output};
use crate::files::{self, FileError, MODE_SECRET};
use crate::secret::Secret;

/// Largest file: a thousand platforms with a CA each.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest name of a context.
const NAME_BYTES_MAX: usize = 128;

/// `context`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the contexts
    List,
    /// Take a context from now on, where a command names none
    Use {
        /// Its name
        name: String,
    },
    /// Forget a context, with its credentials
    Delete {
        /// Its name
        name: String,
    },
}

/// What the file holds.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contexts {
    /// The one that a command takes that names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

/// One platform, and who somebody is there.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Context {
    pub server: String,
    /// The name of who signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// An API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// What a sign-in gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<Secret>,
    /// Until when that is taken, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_expires: Option<u64>,
    /// What gives the next one, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
    /// The platform's CA, as PEM; absent where this machine trusts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

impl Contexts {
    /// What there is; nothing where there is no file.
    pub fn read() -> Result<Self, UsageError> {
        match path() {
            Some(path) => read(&path),
            None => Ok(Self::default()),
        }
    }

    /// Changes the file, with nobody else changing it meanwhile.
    pub fn change<T>(
        change: impl FnOnce(&mut Self) -> Result<T, UsageError>,
    ) -> Result<T, UsageError> {
        let mut held = Held::take()?;
        let changed = change(&mut held.contexts)?;
        held.write()?;
        Ok(changed)
    }

    /// The context of that name.
    pub fn named(&self, name: &str) -> Result<&Context, UsageError> {
        let found = self.contexts.get(name);
        found.ok_or_else(|| UsageError::NoContext(name.to_owned()))
    }
}

/// The file, while nobody else changes it.
pub(super) struct Held {
    pub contexts: Contexts,
    path: PathBuf,
    _lock: File,
}

impl Held {
    /// Waits for whoever holds it, and reads it.
    pub fn take() -> Result<Self, UsageError> {
        let path = path().ok_or(UsageError::NoHome)?;
        if let Some(dir) = path.parent() {
            files::private_dir(dir)?;
        }
        let lock_path = path.with_extension("lock");
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(FileError::on("open", &lock_path))?;
        lock.lock().map_err(FileError::on("lock", &lock_path))?;
        Ok(Self {
            contexts: read(&path)?,
            path,
            _lock: lock,
        })
    }

    /// Writes what it holds now.
    pub fn write(&self) -> Result<(), UsageError> {
        let text = toml::to_string(&self.contexts)
            .map_err(|error| config_error(&self.path, &error.to_string()))?;
        Ok(files::write_atomic(
            &self.path,
            text.as_bytes(),
            MODE_SECRET,
        )?)
    }
}

pub(super) fn run(command: Command, json: bool) -> Result<(), Error> {
    match command {
        Command::List => list(&Contexts::read()?, json),
        Command::Use { name } => Ok(Contexts::change(|contexts| {
            contexts.named(&name)?;
            contexts.current = Some(name);
            Ok(())
        })?),
        Command::Delete { name } => Ok(Contexts::change(|contexts| {
            contexts.named(&name)?;
            contexts.contexts.remove(&name);
            if contexts.current.as_ref() == Some(&name) {
                contexts.current = None;
            }
            Ok(())
        })?),
    }
}

/// Whether a context may be called so: a word that needs no quotes, in a shell or the file.
pub(super) fn check_name(name: &str) -> Result<(), UsageError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(fits) {
        Ok(())
    } else {
        Err(UsageError::ContextName(name.to_owned()))
    }
}

fn list(contexts: &Contexts, json: bool) -> Result<(), Error> {
    let credential = |context: &Context| match context {
        Context { token: Some(_), .. } => "api_key",
        Context {
            refresh_token: Some(_),
            ..
        } => "sign_in",
        _ => "none",
    };
    let is_current = |name: &String| contexts.current.as_ref() == Some(name);
    if json {
        let all = contexts.contexts.iter().map(|(name, context)| {
            serde_json::json!({
                "name": name,
                "current": is_current(name),
                "server": context.server,
                "user": context.user,
                "credential": credential(context),
            })
        });
        return output::json(&all.collect::<Vec<_>>());
    }
    let rows = contexts.contexts.iter().map(|(name, context)| {
        vec![
            if is_current(name) { "*" } else { "" }.to_owned(),
            name.clone(),
            context.server.clone(),
            context.user.clone().unwrap_or_else(|| "-".to_owned()),
            credential(context).to_owned(),
        ]
    });
    output::table(["", "NAME", "SERVER", "USER", "CREDENTIAL"], rows)
}

/// Where the file is, after the XDG base directories; `None` for who has no home.
fn path() -> Option<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(config.join("fleetwire").join("config.toml"))
}

fn read(path: &Path) -> Result<Contexts, UsageError> {
    let text = match files::read_text(path, FILE_BYTES_MAX) {
        Err(error) if error.is_missing() => return Ok(Contexts::default()),
        text => text?,
    };
    // The parser's own text shows the line, which may hold a credential.
    toml::from_str(&text).map_err(|error| config_error(path, error.message()))
}

fn config_error(path: &Path, what: &str) -> UsageError {
    UsageError::Config {
        path: path.to_owned(),
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let mut contexts = Contexts::default();
        let context = Context {
            server: "https://fleet.example.com:8443".to_owned(),
            user: Some("ada".to_owned()),
            token: None,
            access_token: Some(Secret::new("a".to_owned())),
            access_expires: Some(1),
            refresh_token: Some(Secret::new("r".to_owned())),
            ca: Some("-----BEGIN\nmore\n".to_owned()),
        };
        contexts
            .contexts
            .insert("fleet.example.com".to_owned(), context);
        contexts.current = Some("fleet.example.com".to_owned());
        let text = toml::to_string(&contexts).expect("written");
        let read: Contexts = toml::from_str(&text).expect("read");
        let context = read.named("fleet.example.com").expect("there");
        assert_eq!(context.ca.as_deref(), Some("-----BEGIN\nmore\n"));
        assert!(context.refresh_token.is_some() && read.named("other").is_err());
    }

    #[test]
    fn what_is_wrong_is_said_without_what_stands_there() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("config.toml");
        for text in [
            "[contexts.a]\nserver = 'x'\ntoken = secret-without-quotes",
            "[contexts.a]\nserver = 'x'\ntokn = 'secret-without-quotes'",
        ] {
            std::fs::write(&path, text).expect("written");
            let Err(error) = read(&path) else {
                panic!("{text} is taken");
            };
            let error = error.to_string();
            assert!(error.contains("config.toml"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn names_are_words() {
        for name in ["", "a b", "a/b", "a\u{1b}", &"x".repeat(129)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        check_name("fleet.example.com").expect("a word");
    }
}
