//! The fleet in numbers, as the API has it: what the store counts, who is connected, and the platform itself.

use std::sync::Arc;

use tracing::warn;

use super::ServiceError;
use crate::platform::Platform;
use crate::platform::api::{Answer, Call, FleetService};
use crate::platform::ca;
use crate::platform::identity::Grants;
use crate::platform::metrics::standing::Disk;
use crate::platform::service::ErrorKind;
use crate::wire::api::{
    FleetAlerts, FleetDeliveries, FleetHosts, FleetPlatform, FleetSummary, GetFleetSummaryRequest,
    GetFleetSummaryResponse,
};

impl FleetService for Platform {
    async fn get_fleet_summary(
        self: Arc<Self>,
        call: Call,
        _: GetFleetSummaryRequest,
    ) -> Answer<GetFleetSummaryResponse> {
        let caller = &call.caller;
        let counts = self.store.fleet(caller.grants().clone()).await?;
        let sees = |host: &_| self.identity.may(caller, *host);
        let connected = self.registry.connected_hosts();
        let sees_all = *caller.grants() == Grants::All;
        let online = match sees_all {
            true => connected.len(),
            false => connected.iter().filter(|host| sees(host)).count(),
        };
        // A host may have come between the two countings.
        let online = (online as u64).min(counts.hosts);
        let sessions = self.sessions().list();
        let sessions = sessions.iter().filter(|(session, _)| sees(&session.host));
        let platform = match sees_all {
            true => Some(self.clone().shown().await?),
            false => None,
        };
        let [queued, sent, received, running] = counts.under_way;
        let [info, warning, critical] = counts.firing;
        Ok(GetFleetSummaryResponse {
            summary: Some(FleetSummary {
                hosts: Some(FleetHosts {
                    total: counts.hosts,
                    online,
                    offline: (counts.hosts - online).saturating_sub(counts.revoked),
                    revoked: counts.revoked,
                }),
                sessions: sessions.count() as u64,
                commands: counts.commands,
                deliveries: Some(FleetDeliveries {
                    queued,
                    sent,
                    received,
                    running,
                }),
                dead_letters: counts.dead_letters,
                alerts: Some(FleetAlerts {
                    info,
                    warning,
                    critical,
                }),
                platform,
            }),
        })
    }
}

impl Platform {
    /// The platform itself.
    async fn shown(self: Arc<Self>) -> Result<FleetPlatform, ServiceError> {
        let (authority, own) = self.authority().ends();
        let operator = self.front.operator();
        let operator = operator.as_ref().and_then(|key| key.cert.first());
        let operator = operator.and_then(ca::end_of);
        let data_dir = self.config.data_dir.clone();
        // A disk may take its time.
        let disk = tokio::task::spawn_blocking(move || Disk::look(&data_dir));
        let disk = disk.await.map_err(|error| {
            warn!(%error, "the storage could not be looked at");
            let detail = "the operation failed; the platform's log says why";
            ServiceError::new(ErrorKind::Internal, "internal", detail)
        })?;
        Ok(FleetPlatform {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: Some(self.metrics.started().into()),
            certificate_expires_at: [own, operator].into_iter().flatten().min().map(Into::into),
            authority_expires_at: authority.map(Into::into),
            database_bytes: disk.database.unwrap_or(0) + disk.journal.unwrap_or(0),
            storage_bytes: disk.size.unwrap_or(0),
            storage_free_bytes: disk.free.unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_platform_tells_of_itself() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let platform = Platform::fresh(dir.path()).await;
        let shown = platform.shown().await.expect("looked at");
        assert!(shown.database_bytes > 0);
        assert!(shown.storage_free_bytes <= shown.storage_bytes && shown.storage_bytes > 0);
        let ends = (shown.certificate_expires_at, shown.authority_expires_at);
        assert!(shown.started_at < ends.0 && ends.0 < ends.1);
    }
}
