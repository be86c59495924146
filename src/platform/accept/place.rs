//! Where a connection that was let in stands: what its reports are to the registry and to the history of its
//! host, and how its place is given back.

use std::time::Duration;

use crate::clock::Now;
use crate::ids::HostId;
use crate::net::stream::Tunnel;
use crate::platform::Platform;
use crate::platform::health::Carried;
use crate::platform::registry::ConnectionId;
use crate::wire::api::Health;
use crate::wire::messages::Heartbeat;

/// What the connection's task knows of its host.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub host: HostId,
    pub connection: ConnectionId,
}

impl Place {
    /// The agent has reported.
    pub fn report(
        self,
        platform: &Platform,
        heartbeat: &Heartbeat,
        round_trip: Option<Duration>,
        tunnel: &Tunnel,
    ) {
        let Self { host, connection } = self;
        let (health, place) = (health(heartbeat), (host, connection));
        platform.health.report(
            Now::of_clocks(),
            place,
            &health,
            round_trip,
            carried(tunnel),
        );
        platform.registry.set_health(host, connection, health);
    }

    /// The connection has ended.
    pub fn give_back(self, platform: &Platform, tunnel: &Tunnel, why: &str) {
        let Self { host, connection } = self;
        platform
            .health
            .ended(Now::of_clocks(), host, connection, carried(tunnel));
        platform.host_disconnected(host, connection, why);
    }
}

fn carried(tunnel: &Tunnel) -> Carried {
    tunnel.look(|link| Carried::from(link.traffic()))
}

fn health(heartbeat: &Heartbeat) -> Health {
    Health {
        uptime_seconds: heartbeat.uptime_seconds,
        cpu_percent: heartbeat.cpu_percent,
        memory_percent: heartbeat.memory_percent,
        disk_percent: heartbeat.disk_percent,
        load_average: heartbeat.load_1m,
        temperature_celsius: heartbeat.temperature_celsius,
    }
}
