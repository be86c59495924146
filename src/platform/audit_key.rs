//! The key that signs the audit log, in the data directory: `audit.key`, which only the platform
//! reads, and `audit.pub`, which whoever verifies an export needs. Made at the first start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::info;

use crate::audit::seal::{AuditKey, KeyError};
use crate::files::{self, FileError, MODE_PUBLIC, MODE_SECRET};
use crate::secret::{Secret, random};

/// Largest key file: 119 bytes are ours.
const PEM_BYTES_MAX: usize = 64 * 1024;

/// The audit log's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditKeyError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is there but holds something else.
    #[error("{} cannot be used: {source}; restore it from a backup", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: KeyError,
    },
}

/// Opens the key under `dir`, or makes it when it is not there; a log that another key signed is then
/// found broken. The public part is written anew where it is not the key's.
///
/// # Errors
/// See [`AuditKeyError`]. A damaged key is never replaced.
pub fn open(dir: &Path) -> Result<Arc<AuditKey>, AuditKeyError> {
    let path = dir.join("audit.key");
    let pem = match files::read_text(&path, PEM_BYTES_MAX) {
        Ok(text) => Secret::new(text),
        Err(error) if error.is_missing() => {
            let pem = AuditKey::generate_pem(random());
            files::write_atomic(&path, pem.expose().as_bytes(), MODE_SECRET)?;
            info!(path = %path.display(), "made the audit log's key");
            pem
        }
        Err(error) => return Err(error.into()),
    };
    let key = AuditKey::from_pem(pem.expose());
    let key = key.map_err(|source| AuditKeyError::Content { path, source })?;
    let (path, public) = (dir.join("audit.pub"), key.public().to_pem());
    if files::read_text(&path, PEM_BYTES_MAX).ok().as_ref() != Some(&public) {
        files::write_atomic(&path, public.as_bytes(), MODE_PUBLIC)?;
    }
    Ok(Arc::new(key))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::audit::seal::PublicKey;

    #[test]
    fn a_second_start_finds_the_same_key_and_a_damaged_one_stays() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let first = open(dir.path()).expect("made").public();
        for (file, mode) in [("audit.key", 0o600), ("audit.pub", 0o644)] {
            let metadata = fs::metadata(dir.path().join(file)).expect("there");
            assert_eq!(metadata.permissions().mode() & 0o777, mode, "{file}");
        }
        fs::write(dir.path().join("audit.pub"), "other").expect("written");
        assert_eq!(open(dir.path()).expect("there").public(), first);
        let public = fs::read_to_string(dir.path().join("audit.pub")).expect("there");
        assert_eq!(PublicKey::from_pem(&public), Ok(first));
        fs::write(dir.path().join("audit.key"), "damaged").expect("written");
        let damaged = open(dir.path()).map(|_| ());
        assert!(matches!(damaged, Err(AuditKeyError::Content { .. })));
        let left = fs::read_to_string(dir.path().join("audit.key")).expect("there");
        assert_eq!(left, "damaged");
    }
}
