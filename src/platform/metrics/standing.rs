//! How things stand with the platform, for a scrape: what only the store knows (hosts, alerts, what waits), and
//! what the disk says. A store that fails or is slow leaves its part out, and the rest of the exposition is there
//! all the same.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::fs::statvfs;
use tokio::time::timeout;

use crate::platform::store::fleet::FleetCounts;
use crate::platform::{Platform, backup, identity::Grants};

/// How long the store may take to say its part.
const STORE_TIME: Duration = Duration::from_secs(2);

/// What the store knows, and who is connected.
#[derive(Debug)]
pub(super) struct Standing {
    pub counts: FleetCounts,
    pub online: u64,
}

impl Standing {
    /// Asks the store; `None` where it does not say.
    pub async fn ask(platform: &Platform) -> Option<Self> {
        let counts = timeout(STORE_TIME, platform.store.fleet(Grants::All)).await;
        let counts = counts.ok()?.ok()?;
        let connected = platform.registry.connected_hosts().len() as u64;
        Some(Self {
            // A host may have come between the two countings.
            online: connected.min(counts.hosts),
            counts,
        })
    }
}

/// How the disk stands; `None` for what it does not say.
#[derive(Debug)]
pub(in crate::platform) struct Disk {
    /// The database, and what is written beside it before it goes in there.
    pub database: Option<u64>,
    pub journal: Option<u64>,
    /// The file system of the data directory: all of it, and what is left to this process.
    pub size: Option<u64>,
    pub free: Option<u64>,
    /// When the newest backup that is whole was begun, in seconds since 1970.
    pub backup: Option<u64>,
}

impl Disk {
    /// Looks at it, on a thread that may wait.
    pub fn look(data_dir: &Path) -> Self {
        let bytes = |name: &str| Some(fs::metadata(data_dir.join(name)).ok()?.len());
        let system = statvfs(data_dir).ok();
        let of = |blocks: fn(&rustix::fs::StatVfs) -> u64| {
            let system = system.as_ref()?;
            blocks(system).checked_mul(system.f_frsize)
        };
        let backups = backup::list(data_dir).unwrap_or_default();
        let newest = backups.iter().find(|backup| backup.done);
        Self {
            database: bytes("platform.db"),
            journal: bytes("platform.db-wal"),
            size: of(|system| system.f_blocks),
            free: of(|system| system.f_bavail),
            backup: newest.and_then(|backup| Some(backup.created?.0 / 1000)),
        }
    }
}
