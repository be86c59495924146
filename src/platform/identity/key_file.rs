//! The keys of the data directory that sign-in needs: 256 random bits a line in base64url, made at the
//! first start and only for the platform to read. The first line is in use. Those after it are of
//! before: what they signed or sealed is still read, so that a key is changed by putting a line before it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tracing::info;
use zeroize::Zeroizing;

use crate::files::{self, FileError, MODE_SECRET};
use crate::secret::{Secret, random};

/// Largest such file.
const FILE_BYTES_MAX: usize = 4096;
/// The most keys in one.
const KEYS_MAX: usize = 8;

/// A key.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// A key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is there but holds something else.
    #[error(
        "{} cannot be used: it is 1 to 8 lines of 32 bytes in base64url each; restore it from a backup, or remove it: {lost}",
        path.display()
    )]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is lost with it.
        lost: &'static str,
    },
}

/// Opens a key file, or makes it when it is not there. `lost` says what goes with it.
///
/// # Errors
/// See [`KeyFileError`]. A damaged file is never replaced.
pub(super) fn open(path: &Path, lost: &'static str) -> Result<Vec<Key>, KeyFileError> {
    let text = match files::read_text(path, FILE_BYTES_MAX) {
        Ok(text) => Secret::new(text),
        Err(error) if error.is_missing() => {
            let key = Zeroizing::new(random::<32>());
            let line = Secret::new(format!("{}\n", URL_SAFE_NO_PAD.encode(*key)));
            files::write_atomic(path, line.expose().as_bytes(), MODE_SECRET)?;
            info!(path = %path.display(), "made a key");
            line
        }
        Err(error) => return Err(error.into()),
    };
    let lines = text.expose().lines().map(str::trim);
    let keys: Option<Vec<Key>> = lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(line).ok()?);
            Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
        })
        .collect();
    let usable = keys.filter(|keys| (1..=KEYS_MAX).contains(&keys.len()));
    usable.ok_or_else(|| KeyFileError::Content {
        path: path.to_owned(),
        lost,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_a_damaged_one_stays() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("some.key");
        let first = open(&path, "").expect("made");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!((first.len(), mode & 0o777), (1, 0o600));
        assert_eq!(open(&path, "").expect("there"), first);
        let old = fs::read_to_string(&path).expect("there");
        fs::write(&path, format!("{}\n{old}", "A".repeat(43))).expect("written");
        let two = open(&path, "").expect("there");
        assert_eq!((*two[0], &two[1]), ([0; 32], &first[0]));
        for damaged in ["", "short", &old.repeat(9), &format!("{old}x")] {
            fs::write(&path, damaged).expect("written");
            assert!(matches!(open(&path, ""), Err(KeyFileError::Content { .. })));
            let left = fs::read_to_string(&path).expect("there");
            assert_eq!(left, damaged);
        }
    }
}
