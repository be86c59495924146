//! The end of a connection whose certificate ends while it lives. Whether a certificate lets a connection in
//! is decided once, by `entitled`; here is what holds from then on.

use super::super::{
    agent_link::AgentLink,
    registry::{HostLink as _, LinkEnd},
};
use crate::{clock::UnixMillis, net::stream::Tunnel};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;
use tracing::info;

/// How often the clock is looked at, at least: it may be set while a task sleeps.
const LOOKED_AT: Duration = Duration::from_secs(10 * 60);

/// Until when a connection is entitled by its certificate. A renewal over it moves this on.
#[derive(Clone, Default)]
pub(super) struct CertificateEnd(Arc<AtomicU64>);

impl CertificateEnd {
    /// Moves it to the end of this certificate.
    pub fn set(&self, until: UnixMillis) {
        self.0.store(until.0, Ordering::Relaxed);
    }

    /// Ends the connection when its certificate has ended.
    pub async fn watch(self, tunnel: Tunnel) {
        tokio::select! {
            _ = tunnel.ended() => {}
            () = self.passed() => {
                info!("sent away: its certificate has ended");
                AgentLink { tunnel }.end(LinkEnd::CertificateEnded);
            }
        }
    }

    async fn passed(&self) {
        loop {
            let until = UnixMillis(self.0.load(Ordering::Relaxed));
            let now = UnixMillis::now();
            if until < now {
                return;
            }
            // Past it, by the least that there is.
            let left = until.since(now) + Duration::from_millis(1);
            sleep(left.min(LOOKED_AT)).await;
        }
    }
}
