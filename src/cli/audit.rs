//! `audit verify`, which needs no platform: an export and the log's public key are enough. The log's
//! other commands are generated.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args as _;
use serde_json::json;

use super::{Error, output};
use crate::audit::Hash;
use crate::audit::seal::{KeyError, PublicKey};
use crate::audit::verify::{Fault, Verified, Verifier};
use crate::files::{self, FileError};

/// Largest key file: 113 bytes are ours.
const KEY_BYTES_MAX: usize = 64 * 1024;
/// The subcommand's name.
pub(super) const VERIFY: &str = "verify";
/// Read at once from an export.
const READ_BYTES: usize = 64 * 1024;

/// Check an export without a platform, and name its first bad entry
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 good, 1 bad, 2 the export or the key cannot be read.")]
pub(super) struct Args {
    /// The export
    file: PathBuf,
    /// The log's public key, audit.pub in the platform's data directory
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The hash where the export has to begin: the head of the one that it continues
    #[arg(long, value_name = "HASH")]
    anchor: Option<Hash>,
}

/// A file that `audit verify` is given cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key is none.
    #[error("{}: {source}; the log's is audit.pub in the platform's data directory", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: KeyError,
    },
}

/// The subcommand as clap has it, for the group of the log's commands.
pub(super) fn command() -> clap::Command {
    Args::augment_args(clap::Command::new(VERIFY))
}

pub(super) fn run(args: Args, json: bool) -> Result<(), Error> {
    let Args { file, key, anchor } = args;
    report(verify(&file, &key, anchor)?, file, json)
}

/// The verdict on an export.
fn verify(
    file: &Path,
    key: &Path,
    anchor: Option<Hash>,
) -> Result<Result<Verified, Fault>, InputError> {
    let pem = files::read_text(key, KEY_BYTES_MAX)?;
    let key = PublicKey::from_pem(&pem).map_err(|source| InputError::Key {
        path: key.to_owned(),
        source,
    })?;
    let mut export = File::open(file).map_err(FileError::on("read", file))?;
    let mut verifier = Verifier::new(key, anchor);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = match export.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(FileError::on("read", file))?,
        };
        if read == 0 {
            return Ok(verifier.finish());
        }
        if let Err(fault) = verifier.input(&buffer[..read]) {
            return Ok(Err(fault));
        }
    }
}

fn report(verdict: Result<Verified, Fault>, path: PathBuf, json: bool) -> Result<(), Error> {
    match verdict {
        Ok(verified) => {
            let Verified { after, head, .. } = verified;
            if json {
                return output::json(&json!({
                    "good": true,
                    "after": after.sequence,
                    "anchor": after.hash.to_string(),
                    "beginning": verified.beginning.code(),
                    "last": head.sequence,
                    "head": head.hash.to_string(),
                    "at": verified.at.to_string(),
                }));
            }
            output::line(&good(&verified))
        }
        Err(fault) => {
            if json {
                output::json(&json!({
                    "good": false,
                    "entry": fault.sequence,
                    "line": fault.line,
                    "fault": fault.kind.code(),
                    "detail": fault.text,
                }))?;
            }
            Err(Error::Unverified { path, fault })
        }
    }
}

fn good(verified: &Verified) -> String {
    use crate::audit::verify::Beginning;
    let Verified {
        after,
        beginning,
        head,
        at,
    } = verified;
    let entries = if head.sequence == after.sequence {
        "no entries".to_owned()
    } else {
        format!("entries {} to {}", after.sequence + 1, head.sequence)
    };
    let from = match beginning {
        Beginning::Log => "from the log's beginning".to_owned(),
        Beginning::Retention => format!("{} earlier ones removed by retention", after.sequence),
        Beginning::Continuation => format!("continuing {}", after.hash),
    };
    format!(
        "good: {entries}, {from}, complete at {at}; head {}",
        head.hash
    )
}
