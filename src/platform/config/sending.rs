//! The settings of what goes out about alerts.

use serde::Deserialize;

/// Where messages about alerts may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertSettings {
    /// Whether webhooks may lead to addresses of private networks and of this machine.
    pub private_webhooks: bool,
}

impl Default for AlertSettings {
    /// Who runs the platform themselves has receivers beside it.
    fn default() -> Self {
        Self {
            private_webhooks: true,
        }
    }
}
