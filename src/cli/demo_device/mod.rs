//! The demo device: a small KVM-like web interface for demonstration and tests, shaped like the
//! real ones: cookie sign-in, an endless MJPEG stream, a WebSocket for keyboard and mouse, uploads,
//! downloads, server-sent events. This file owns the listener, the connections and what they share;
//! `routes` maps requests to the files that answer them. It knows nothing of agents and tunnels.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::process;

mod canvas;
mod control;
mod diagnostics;
mod machine;
mod monitor;
mod picture;
mod reply;
mod routes;
mod sign_in;
#[cfg(test)]
mod tests;
mod transfer;
mod video;

/// Connections served at once; more wait in the listener's backlog. Far above what a browser or a
/// benchmark opens, and low enough that a flood cannot exhaust memory.
const CONNECTIONS_MAX: usize = 4096;
/// What hyper buffers a connection before a slow reader holds its stream back. Small, so that a
/// viewer who stalls skips frames instead of queueing them.
const CONNECTION_BUFFER_BYTES: usize = 64 * 1024;
/// Pause after a failed accept (out of file descriptors, say), so that the loop does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Arguments of `fleetwire demo-device`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "ADDR")]
    pub listen: SocketAddr,
    /// Serve without asking for the sign-in.
    #[arg(long)]
    pub open: bool,
    /// End when standard input does, for whoever starts it as a part of itself.
    #[arg(long, hide = true)]
    pub end_with_stdin: bool,
}

/// Why the demo device does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, not this machine's, or not allowed.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The line that names the address could not be printed.
    #[error("cannot write to standard output: {0}")]
    Print(std::io::Error),
    /// The end of the program could not be listened for.
    #[error("cannot wait for the end: {0}")]
    Signal(std::io::Error),
}

/// What a started device is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Serve without asking for the sign-in.
    pub open: bool,
}

/// Serves until SIGINT or SIGTERM. Prints `demo device on http://ADDR` once it listens.
///
/// # Errors
/// When it cannot listen, print or wait for signals.
pub async fn run(args: Args) -> Result<(), Error> {
    if args.end_with_stdin {
        process::end_with_stdin().map_err(Error::Signal)?;
    }
    let failed = |source| Error::Listen {
        address: args.listen,
        source,
    };
    let listener = TcpListener::bind(args.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    writeln!(std::io::stdout(), "demo device on http://{address}").map_err(Error::Print)?;
    tokio::select! {
        () = serve(listener, Options { open: args.open }) => Ok(()),
        ended = termination() => ended.map_err(Error::Signal),
    }
}

/// Serves the device on `listener` until the future is dropped, which closes every connection but
/// upgraded ones. Holds at most 4096 connections.
pub async fn serve(listener: TcpListener, options: Options) {
    let device = Arc::new(Device::new(options));
    let mut connections = JoinSet::new();
    connections.spawn(video::generate(device.clone()));
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((socket, _)) => {
                    connections.spawn(connection(device.clone(), socket));
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What the connections share.
struct Device {
    options: Options,
    sign_in: sign_in::SignIn,
    machine: Mutex<machine::Machine>,
    video: video::Video,
    monitor: monitor::Monitor,
}

impl Device {
    fn new(options: Options) -> Self {
        Self {
            options,
            sign_in: sign_in::SignIn::default(),
            machine: Mutex::default(),
            video: video::Video::default(),
            monitor: monitor::Monitor::default(),
        }
    }

    fn machine(&self) -> MutexGuard<'_, machine::Machine> {
        lock(&self.machine)
    }
}

/// Locks; nothing here leaves half-changed state behind a panic, so poison says nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn connection(device: Arc<Device>, socket: TcpStream) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(CONNECTION_BUFFER_BYTES)
        .serve_connection(
            TokioIo::new(socket),
            service_fn(move |request| routes::answer(device.clone(), request)),
        )
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}

#[cfg(unix)]
async fn termination() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn termination() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
