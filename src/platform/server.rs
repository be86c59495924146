//! The listeners, TLS for everything and plain HTTP for this machine or a proxy in front, and the
//! platform's life from its start over its housekeeping to its stop. What comes in is `door`'s.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep};
use tracing::{error, info, warn};

use super::alerts;
use super::api;
use super::config::{Config, PublicPort};
use super::door::{Door, Listens};
use super::drift::Drift;
use super::metrics;
use super::traces::Traces;
use super::{Platform, StartError, stop_told};
use crate::clock::UnixMillis;
use crate::process;

/// Listeners that run at once: TLS and plain.
const LISTENERS_MAX: usize = 2;
/// Files that are open beside the connections: listeners, the database, the runtime's own.
const FILES_BESIDE: u64 = 64;
/// However short the drain's window: so long may the last words take to their sockets.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How often sessions are looked over and what was seen is written down.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// How often what is kept no longer is removed: of the audit log, events, the message track and commands.
const OLD_REMOVED_EVERY: Duration = Duration::from_secs(60 * 60);
/// How often it is noted when API keys were used, and told what has changed by itself.
const DRIFT_LOOKED_AT: Duration = Duration::from_secs(60);
/// How often the certificates are looked over: ours is renewed a month before its end.
const CERTIFICATES_LOOKED_AT: Duration = Duration::from_secs(24 * 60 * 60);

/// The bound listeners of a platform that is ready to run.
pub struct Server {
    platform: Arc<Platform>,
    tls: TcpListener,
    plain: Option<TcpListener>,
    metrics: Option<TcpListener>,
    traces: Option<Traces>,
    signals: Signals,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Server {
    /// Binds the listeners, opens the data directory, and says where it listens. Signals are taken
    /// over from here on.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        allow_connections(config.connections_max);
        let listen = |source| StartError::Listen {
            address: config.listen,
            source,
        };
        let signals = Signals {
            terminate: signal(SignalKind::terminate()).map_err(listen)?,
            interrupt: signal(SignalKind::interrupt()).map_err(listen)?,
            reload: signal(SignalKind::hangup()).map_err(listen)?,
        };
        let (tls, tls_address) = bind(config.listen).await?;
        let (plain, plain_address) = match config.http {
            Some(address) => {
                let (listener, address) = bind(address).await?;
                (Some(listener), Some(address))
            }
            None => (None, None),
        };
        let (metrics, metrics_address) = match config.metrics {
            Some(address) => {
                let (listener, address) = bind(address).await?;
                (Some(listener), Some(address))
            }
            None => (None, None),
        };
        let console = console_port(&config, tls_address, plain_address);
        let platform = Platform::open(config, console).await?;
        info!(address = %tls_address, "listening with TLS");
        if let Some(address) = plain_address {
            info!(%address, "listening in plain HTTP");
        }
        if let Some(address) = metrics_address {
            info!(%address, "listening for scrapers of the metrics");
        }
        Ok(Self {
            platform,
            tls,
            plain,
            metrics,
            traces: None,
            signals,
        })
    }

    /// Has spans sent this way.
    #[must_use]
    pub fn with_traces(mut self, traces: Option<Traces>) -> Self {
        if let Some(traces) = &traces {
            self.platform.metrics.watch_spans(traces.counts());
            self.platform.delivery.spans().watch(traces.tracer());
        }
        self.traces = traces;
        self
    }

    /// Serves until the process is told to stop (SIGTERM, SIGINT), then lets go of everything in
    /// order. SIGHUP reads the certificates anew. A second signal ends the wait.
    pub async fn run(self) {
        let Self {
            platform,
            tls,
            plain,
            metrics,
            mut traces,
            mut signals,
        } = self;
        if let Some(traces) = &mut traces {
            traces.start();
        }
        // A listener holds a place while it waits for whom to give it to.
        let connections_max = platform.config.connections_max + LISTENERS_MAX;
        let connections = Arc::new(Semaphore::new(connections_max));
        let door = Door {
            router: api::router(platform.clone()),
            platform: platform.clone(),
            connections: connections.clone(),
        };
        let listeners = 1 + usize::from(plain.is_some());
        platform
            .metrics
            .watch_places(connections.clone(), connections_max, listeners);
        // It ends last: how a platform stops is worth watching.
        let mut watched = tokio::task::JoinSet::new();
        if let Some(metrics) = metrics {
            watched.spawn(metrics::serve(metrics, platform.clone()));
        }
        // Before anybody can bring one.
        platform.settle_files().await;
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(door.clone().accept(tls, Listens::Tls));
        if let Some(plain) = plain {
            tasks.spawn(door.accept(plain, Listens::Plain));
        }
        tasks.spawn(alerts::run(platform.clone()));
        let house = tokio::spawn(keep_house(platform.clone()));

        signals.stop(&platform).await;
        let window = platform.config.drain;
        info!(?window, "stopping");
        tasks.shutdown().await;
        platform.stopping.send_replace(true);
        platform.send_agents_away();
        platform.events.stop();
        let all = u32::try_from(connections_max).unwrap_or(u32::MAX);
        tokio::select! {
            _ = connections.acquire_many(all) => {}
            () = sleep(window.max(LAST_WORDS)) => {}
            () = signals.stop(&platform) => {}
        }
        // It ends by itself after what it was doing; a pass that panicked has said so.
        let _ = house.await;
        platform.expire_sessions();
        platform.write_down().await;
        platform.identity.keep(UnixMillis::now()).await;
        if let Err(error) = platform.events.write_pending().await {
            warn!(%error, "the last events could not be written");
        }
        if let Err(error) = platform.track.write_waiting().await {
            warn!(%error, "the last messages could not be tracked");
        }
        if let Err(error) = platform.health.write_all().await {
            warn!(%error, "how hosts have been of late could not be written");
        }
        if let Some(traces) = traces {
            traces.finish().await;
        }
        info!("stopped");
    }
}

impl Signals {
    /// Waits for a signal to stop; reloads on the way.
    async fn stop(&mut self, platform: &Platform) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.reload.recv() => match platform.reload_certificates() {
                    Ok(()) => info!("certificates read anew"),
                    Err(error) => error!(%error, "a certificate stays as it is"),
                },
            }
        }
    }
}

/// Lets the process open a file for each connection; says so where it may not.
fn allow_connections(connections_max: usize) {
    let open_files_max = process::raise_open_files();
    if let Some(open_files_max) =
        open_files_max.filter(|files| *files < connections_max as u64 + FILES_BESIDE)
    {
        warn!(
            connections_max,
            open_files_max,
            "fewer files may be open than connections are allowed: raise the limit (LimitNOFILE in \
             systemd, ulimit -Hn in a shell), or lower connections_max"
        );
    }
}

/// Keeps house until the platform stops; what was begun is finished first.
async fn keep_house(platform: Arc<Platform>) {
    tokio::join!(end_sessions(&platform), write_down(&platform));
}

async fn end_sessions(platform: &Platform) {
    let mut stopping = platform.stopping.subscribe();
    let mut ticks = interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => platform.expire_sessions(),
            () = stop_told(&mut stopping) => return,
        }
    }
}

/// Writes down what has happened, and looks after the audit log and the certificates.
async fn write_down(platform: &Arc<Platform>) {
    let mut stopping = platform.stopping.subscribe();
    let mut ticks = interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drift = Drift::default();
    let mut minutes = interval(DRIFT_LOOKED_AT);
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked_at = None;
    let mut days = interval_at(
        Instant::now() + CERTIFICATES_LOOKED_AT,
        CERTIFICATES_LOOKED_AT,
    );
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                platform.write_down().await;
                let now = (UnixMillis::now(), Instant::now());
                if is_due(looked_at, now) {
                    looked_at = Some(now);
                    remove_old(platform).await;
                }
            }
            _ = minutes.tick() => drift.look(platform).await,
            _ = days.tick() => renew_certificates(platform.clone()).await,
            () = stop_told(&mut stopping) => return,
        }
    }
}

/// Whether what is old is to be removed again: an hour has passed, by either clock. One stands still while
/// the machine sleeps, and the other may be set.
fn is_due(looked_at: Option<(UnixMillis, Instant)>, now: (UnixMillis, Instant)) -> bool {
    looked_at.is_none_or(|(time, instant)| {
        let apart = Duration::from_millis(now.0.0.abs_diff(time.0));
        apart.max(now.1 - instant) >= OLD_REMOVED_EVERY
    })
}

async fn remove_old(platform: &Platform) {
    platform.keep_audit().await;
    let config = &platform.config;
    platform
        .events
        .remove_old(config.events_keep, config.events_max)
        .await;
    platform
        .track
        .remove_old(config.track_keep, config.track_max)
        .await;
    platform.delivery.remove_old(config.commands_keep).await;
    platform.remove_old_files().await;
}

/// Looks whether ours has to be renewed, and takes up an operator's that was replaced.
async fn renew_certificates(platform: Arc<Platform>) {
    // It reads and writes files, which no connection is to wait for.
    let reloaded = tokio::task::spawn_blocking(move || platform.reload_certificates()).await;
    match reloaded {
        Ok(Ok(())) => {}
        Ok(Err(error)) => error!(%error, "a certificate stays as it is, and may run out"),
        Err(error) => error!(%error, "certificates could not be looked over"),
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// How browsers reach a session's origin: as configured, else by plain HTTP where names under
/// `localhost` lead to this machine by themselves, else by the TLS listener.
fn console_port(config: &Config, tls: SocketAddr, plain: Option<SocketAddr>) -> PublicPort {
    let domain = &config.console_domain;
    let local = domain == "localhost" || domain.ends_with(".localhost");
    match (config.console_public, plain) {
        (Some(public), _) => public,
        (None, Some(plain)) if local => PublicPort {
            https: false,
            port: plain.port(),
        },
        _ => PublicPort {
            https: true,
            port: tls.port(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use tokio::time::timeout;

    use super::*;
    use crate::clock::UnixMillis;
    use crate::ids::HostId;
    use crate::platform::ca::CertificateAuthority;
    use crate::platform::sessions::CloseReason;
    use crate::secret::random;

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_in_time_though_the_store_does_not_answer() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let platform = Platform::fresh(dir.path()).await;
        let path = dir.path().join("platform.db");
        let other = rusqlite::Connection::open(path).expect("opened");
        other.execute_batch("BEGIN IMMEDIATE").expect("locked");
        let (host, now) = (HostId::random(random()), UnixMillis::now());
        platform.seen().hosts.insert(host, now);
        let house = tokio::spawn(keep_house(platform.clone()));
        sleep(HOUSEKEEPING / 2).await;

        // Opened so long ago, its ticket is void.
        let opened = platform
            .sessions()
            .open(UnixMillis(0), host, "kvm", "admin");
        let session = opened.expect("there is room").session;
        let ended = timeout(2 * HOUSEKEEPING, session.closed()).await;
        assert_eq!(ended, Ok(CloseReason::NeverEntered));
        drop(other);
        platform.stopping.send_replace(true);
        house.await.expect("it ends by itself");
    }

    #[tokio::test(start_paused = true)]
    async fn the_certificate_is_renewed_under_a_running_platform() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let platform = Platform::fresh(dir.path()).await;
        let names = platform.config.certificate_names();
        // Its certificate as it would be had it run for a year and two weeks.
        let path = dir.path().join("server.pem");
        fs::remove_file(&path).expect("there");
        let made = SystemTime::now() - Duration::from_secs(380 * 24 * 60 * 60);
        CertificateAuthority::open(dir.path(), &names, made).expect("made");
        let old = fs::read(&path).expect("there");

        let house = tokio::spawn(keep_house(platform.clone()));
        sleep(CERTIFICATES_LOOKED_AT - HOUSEKEEPING).await;
        assert_eq!(fs::read(&path).expect("there"), old);
        sleep(CERTIFICATES_LOOKED_AT).await;
        assert_ne!(fs::read(&path).expect("there"), old);
        platform.stopping.send_replace(true);
        house.await.expect("it ends by itself");
    }
}
