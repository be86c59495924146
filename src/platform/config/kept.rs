//! The settings of the files that are kept for commands.

use std::time::Duration;

use serde::Deserialize;

use super::values::duration;

/// How many, how large, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileSettings {
    /// The most bytes of all files together.
    pub total_bytes: u64,
    /// The most bytes of one.
    pub file_bytes: u64,
    /// How long one is kept that is whole and that no command needs.
    #[serde(deserialize_with = "duration")]
    pub keep: Duration,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            total_bytes: 16 << 30,
            file_bytes: 4 << 30,
            keep: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}
