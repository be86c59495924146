//! Whole TLS handshakes with a client's certificate, at the platform's TLS listener beside a bare accept
//! loop of tokio-rustls.
//!
//! A client shakes hands, says that it has nothing to say, and reads until the server has closed, so that
//! nothing of the handshake is left undone on either side. What the platform does with the connection
//! behind the handshake, until it finds that no request comes, is measured with it. Leaves to others:
//! what flows after a handshake.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Instant,
};

use rustls::HandshakeKind;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{
    Options, Outcome, agents,
    mutual::{self, Fleet},
    processes::{Part, Place, Usage},
    progress,
    report::{Bound, Metric, Report, SUBJECT},
    tunnel::Platform,
};

/// The bare loop's name in the tables.
const BARE: &str = "tokio-rustls";
/// Handshakes in one round.
const HANDSHAKES: usize = 10_000;
/// Clients that shake hands at the same time.
const AT_ONCE: usize = 32;
/// Certificates that they have among them.
const CERTIFICATES: usize = 64;

/// A figure of this section, which stands for all handshakes of a round.
const fn metric(name: &'static str) -> Metric {
    Metric {
        section: "handshakes",
        name,
        unit: "s",
        base: BARE,
        bound: Bound::AtMost(1.3),
    }
}

/// Measures what is asked for.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Outcome<()> {
    if !options.wants("handshakes") {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let place = Place::default();
    let platform = Platform::start(dir.path(), &place, Ipv4Addr::LOCALHOST).await?;
    // The platform's own files: the same CA and the same server's chain for both.
    let data = platform.data_dir();
    let fleet_file = dir.path().join("fleet");
    Fleet::made_by(&data, CERTIFICATES)?.write(&fleet_file)?;
    let (bare, address) = Part::start_server(&place, &["tls-accept", &data.to_string_lossy()])?;
    for round in 1..=options.rounds {
        progress(&format!("handshakes: round {round} of {}", options.rounds));
        for (name, server, address) in [
            (BARE, bare.running.id(), address),
            (SUBJECT, platform.running.id(), platform.secure),
        ] {
            let before = Usage::of(server)?.cpu_s;
            let file = fleet_file.to_string_lossy();
            let mut clients = Part::start(&place, &["handshakes", &address.to_string(), &file])?;
            let wall: f64 = clients
                .line()?
                .parse()
                .map_err(|_| format!("the clients of {name} did not all shake hands"))?;
            let spent = Usage::of(server)?.cpu_s - before;
            report.record(metric("the server's CPU for 10,000"), name, spent);
            report.record(metric("10,000, 32 at once"), name, wall);
        }
    }
    Ok(())
}

/// The bare loop, as a part of its own: prints its address, and shakes hands until it is killed.
pub(crate) async fn serve_bare(dir: &Path) -> Outcome<()> {
    let acceptor = TlsAcceptor::from(mutual::bare_settings(dir)?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    crate::say(&listener.local_addr()?.to_string());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        // A connection that fails is the client's to notice.
        tokio::spawn(async move {
            let mut stream = acceptor.accept(stream).await?;
            while stream.read(&mut [0; 64]).await? > 0 {}
            stream.shutdown().await
        });
    }
}

/// The clients, as a part of its own: prints how many seconds all of them took.
pub(crate) async fn run_clients(address: SocketAddr, fleet_file: &Path) -> Outcome<()> {
    let fleet = Fleet::read(fleet_file)?;
    let name = fleet.asks_for()?;
    let connectors: Vec<TlsConnector> = fleet
        .settings()
        .map(|settings| Ok(TlsConnector::from(settings?)))
        .collect::<Outcome<_>>()?;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut clients = JoinSet::new();
    let begun = Instant::now();
    for (index, connector) in connectors.iter().cycle().take(HANDSHAKES).enumerate() {
        let place = Arc::clone(&places).acquire_owned().await?;
        let (connector, name) = (connector.clone(), name.clone());
        clients.spawn(async move {
            let shaken = shake_hands(index, address, &connector, name).await;
            drop(place);
            shaken
        });
        while let Some(shaken) = clients.try_join_next() {
            shaken??;
        }
    }
    while let Some(shaken) = clients.join_next().await {
        shaken??;
    }
    crate::say(&begun.elapsed().as_secs_f64().to_string());
    Ok(())
}

async fn shake_hands(
    index: usize,
    address: SocketAddr,
    connector: &TlsConnector,
    name: ServerName<'static>,
) -> Outcome<()> {
    let stream = agents::dial(index, address).await?;
    let mut stream = connector.connect(name, stream).await?;
    if stream.get_ref().1.handshake_kind() != Some(HandshakeKind::Full) {
        return Err("a handshake was not a whole one".into());
    }
    stream.shutdown().await?;
    // A certificate that was refused is heard of here.
    match stream.read(&mut [0; 64]).await {
        Ok(0) => Ok(()),
        Err(fault) if fault.kind() == ErrorKind::UnexpectedEof => Ok(()),
        Ok(_) => Err("a server spoke first".into()),
        Err(fault) => Err(fault.into()),
    }
}
