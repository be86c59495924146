//! The settings of what is kept: of the files for commands, and of how hosts have been.

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

/// How long the history of hosts is kept, at each of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthSettings {
    /// Minute by minute.
    #[serde(deserialize_with = "duration")]
    pub keep_minutes: Duration,
    /// By quarters of an hour.
    #[serde(deserialize_with = "duration")]
    pub keep_quarters: Duration,
    /// By pieces of three hours.
    #[serde(deserialize_with = "duration")]
    pub keep_three_hours: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self {
            keep_minutes: day,
            keep_quarters: 14 * day,
            keep_three_hours: 400 * day,
        }
    }
}
