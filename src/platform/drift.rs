//! What changes without anybody's change: that API keys and console sessions are used, and how full the disk is.
//! It is looked at about once a minute and told as an event where it is otherwise than before, so that who shows
//! it need not ask again and again.

use std::path::Path;
use std::sync::Arc;

use tracing::warn;

use super::Platform;
use super::metrics::standing::Disk;
use crate::clock::UnixMillis;

/// Changes of less than so many bytes are not told.
const BYTES_MIN: u64 = 1 << 20;

/// What it was like when that was told last.
#[derive(Default)]
pub(super) struct Drift(Option<Picture>);

/// What changes by itself.
struct Picture {
    sessions_used: Option<UnixMillis>,
    storage: Storage,
}

/// How full the platform's storage is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Storage {
    database: u64,
    size: u64,
    free: u64,
}

impl Drift {
    /// Looks, and tells of what has changed since the first look.
    pub async fn look(&mut self, platform: &Arc<Platform>) {
        if platform.identity.keep(UnixMillis::now()).await {
            platform.events.tell_record("api_key");
        }
        let data_dir = platform.config.data_dir.clone();
        // A disk may take its time.
        let storage = match tokio::task::spawn_blocking(move || Storage::look(&data_dir)).await {
            Ok(storage) => storage,
            Err(error) => return warn!(%error, "the storage could not be looked at"),
        };
        let sessions_used = platform.sessions().last_used();
        let now = Picture {
            sessions_used,
            storage,
        };
        let Some(told) = &mut self.0 else {
            self.0 = Some(now);
            return;
        };
        if now.sessions_used > told.sessions_used {
            platform.events.tell_record("session");
        }
        // The end of one is told by itself.
        told.sessions_used = now.sessions_used;
        if !told.storage.is_about(&now.storage) {
            platform.events.tell_record("platform");
            told.storage = now.storage;
        }
    }
}

impl Storage {
    fn look(data_dir: &Path) -> Self {
        let disk = Disk::look(data_dir);
        Self {
            database: disk.database.unwrap_or(0) + disk.journal.unwrap_or(0),
            size: disk.size.unwrap_or(0),
            free: disk.free.unwrap_or(0),
        }
    }

    /// Whether the other differs by less than a hundredth, of the database and of the whole disk.
    fn is_about(&self, other: &Self) -> bool {
        let near = |a: u64, b: u64, whole: u64| a.abs_diff(b) < (whole / 100).max(BYTES_MIN);
        near(self.database, other.database, self.database)
            && near(self.free, other.free, self.size)
            && self.size == other.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::HostId;
    use crate::platform::events::watch::View;
    use crate::platform::events::{Filter, Happening, News};
    use crate::secret::{Secret, random};

    #[tokio::test]
    async fn use_is_told_once_and_what_stays_as_it_is_not_at_all() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let platform = Platform::fresh(dir.path()).await;
        let key = std::fs::read_to_string(dir.path().join("admin-token")).expect("there");
        let key = Secret::new(key.trim().to_owned());
        let used = || platform.identity.authenticate(UnixMillis::now(), &key);
        let view = View::new(&platform, used().expect("the administrator's"));
        let follower = platform.events.follow("ada", view, Filter::default(), None);
        let mut follower = follower.expect("there is room");
        // From here on it is told what happens.
        assert!(matches!(follower.next().await, News::Mark(_)));
        let mut drift = Drift::default();
        drift.look(&platform).await;
        // Nothing was used since.
        drift.look(&platform).await;
        let opened =
            platform
                .sessions()
                .open(UnixMillis::now(), HostId::random(random()), "kvm", "ada");
        assert!(opened.is_some());
        drift.look(&platform).await;
        used().expect("the administrator's");
        drift.look(&platform).await;
        platform.events.tell_record("the end");
        let mut told = Vec::new();
        while told.last().is_none_or(|last| last != "the end") {
            match follower.next().await {
                News::Event(event) => match &event.event.what {
                    Happening::RecordUpdated { kind } => told.push(kind.clone()),
                    other => panic!("{other:?}"),
                },
                News::Mark(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(told, ["api_key", "session", "api_key", "the end"]);
    }

    const GIB: u64 = 1 << 30;

    #[test]
    fn storage_is_told_of_again_by_the_hundredth() {
        let storage = Storage {
            database: GIB,
            size: 100 * GIB,
            free: 50 * GIB,
        };
        assert!(storage.is_about(&storage));
        for (database, free, is_about) in [
            (GIB + GIB / 200, 50 * GIB, true),
            (GIB + GIB / 50, 50 * GIB, false),
            (GIB, 49 * GIB + 1, true),
            (GIB, 49 * GIB, false),
            (GIB, 51 * GIB, false),
        ] {
            let other = Storage {
                database,
                free,
                ..storage
            };
            assert_eq!(storage.is_about(&other), is_about, "{other:?}");
        }
        let grown = Storage {
            size: 101 * GIB,
            ..storage
        };
        assert!(!storage.is_about(&grown));
        // What is small grows by much at once.
        let (small, grown) = (1 << 16, 1 << 18);
        let of = |database| Storage {
            database,
            ..storage
        };
        assert!(of(small).is_about(&of(grown)));
    }
}
