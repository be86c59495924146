//! In what order things are done where the store is slower than hosts come back.

use super::super::intake::Inlet;
use super::super::tests::connection_id;
use super::*;
use crate::link::{Link, Platform as PlatformSide, Time};
use crate::net::{driver, socket};
use crate::platform::Platform;
use crate::secret::random;
use crate::wire::Encoding;

#[tokio::test]
async fn a_connection_opens_once_all_is_written_that_came_before() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let platform = Platform::fresh(dir.path()).await;
    let mut engine = Engine::new(platform.delivery.clone());
    let host = HostId::random(random());
    let (command, other) = (CommandId::random(random()), CommandId::random(random()));
    let expired = || End::new(DeliveryState::Expired, "expired", "");
    // An earlier connection has said this. One batch is with the store, another waits.
    engine.end(host, command, expired());
    let first: Vec<_> = engine.pending.drain(..).collect();
    engine.applying = true;
    engine.end(host, other, expired());

    let (_agent, far) = tokio::io::duplex(1 << 10);
    let link = Link::<PlatformSide>::accept(Time::default());
    let encoding = Some(Encoding::Binary);
    let (tunnel, _task) = driver::start(socket::accepted(far, &[]), link, encoding, |_, _| ());
    let connection = connection_id(host);
    let inlet = Inlet::new(host, connection, tunnel.clone(), Arc::default());
    engine.arrived(&Arrival {
        host,
        connection,
        tunnel,
        inlet,
        journalled: true,
        file_streams: false,
    });
    let is_open = |engine: &Engine| engine.hosts[&host].synced;
    engine.synced(host, connection, Ok(false));
    assert!(!is_open(&engine), "it would be read as it stood");
    engine.applied(first, Ok(vec![Applied::Unknown]));
    assert!(!is_open(&engine));
    let second: Vec<_> = engine.pending.drain(..).collect();
    engine.applied(second, Ok(vec![Applied::Unknown]));
    assert!(is_open(&engine));

    // Where nothing waits, nothing is waited for.
    engine
        .hosts
        .entry(host)
        .and_modify(|known| known.synced = false);
    engine.synced(host, connection, Ok(false));
    assert!(is_open(&engine));
}
