//! Connections to one target: the most recently used is taken first, so that few are kept warm and
//! the rest grow old and go.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustls::Error as TlsError;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::conn::{Connection, Sink, Source, Timeouts, wanted};
use super::connect::Connector;
use super::error::OriginError;
use super::request::Request;
use crate::agent::target::Target;

/// Most connections to one target, in use or not: more than the streams a browser's pages open,
/// and under the usual limit of 1024 descriptors a process.
const CONNECTIONS_MAX: usize = 900;
/// Most connections kept idle to one target.
const IDLE_COUNT_MAX: usize = 128;

/// Exchanges with one target over kept connections.
pub struct Pool {
    connector: Connector,
    timeouts: Timeouts,
    permits: Semaphore,
    /// The most recently used last.
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    until: Instant,
}

impl Pool {
    /// A pool without connections yet.
    ///
    /// # Errors
    /// [`TlsError`] if the target's certificate authorities cannot be used.
    pub fn new(target: &Target, timeouts: Timeouts) -> Result<Self, TlsError> {
        Ok(Self {
            connector: Connector::new(target)?,
            timeouts,
            permits: Semaphore::new(CONNECTIONS_MAX),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Carries `request`, its body from `source`, and the answer into `sink`. Where nobody wants the
    /// answer any more before there is a connection, the origin sees nothing of the request: its
    /// session may have ended. Dropping the future closes the connection at once. A kept connection that the origin turns out to have closed is
    /// replaced by a new one, once, if the request may be sent twice.
    ///
    /// # Errors
    /// [`OriginError`]; if the sink has been given a head by then, the answer is cut short.
    pub async fn exchange(
        &self,
        request: &Request,
        source: &mut impl Source,
        sink: &mut impl Sink,
    ) -> Result<(), OriginError> {
        let request = request.encode()?;
        let permit = async {
            let permit = timeout(self.timeouts.connect, self.permits.acquire()).await;
            permit.ok().and_then(Result::ok).ok_or(OriginError::Busy)
        };
        let _permit = wanted(sink, permit).await?;
        let kept = self.take();
        let reused = kept.is_some();
        let mut connection = match kept {
            Some(connection) => connection,
            None => wanted(sink, self.dial()).await?,
        };
        let mut result = connection
            .exchange(&request, source, sink, &self.timeouts)
            .await;
        if let Err(failure) = &result
            && (reused && request.idempotent && failure.untouched && failure.error.is_stale())
        {
            connection = wanted(sink, self.dial()).await?;
            result = connection
                .exchange(&request, source, sink, &self.timeouts)
                .await;
        }
        let keep = result.map_err(|failure| failure.error)?;
        self.keep(connection, keep);
        Ok(())
    }

    /// Drops connections that are too old or that the origin has closed. To be called every few
    /// seconds, so that none lingers half-closed.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.lock()
            .retain_mut(|idle| idle.until > now && idle.connection.is_quiet());
    }

    /// Connections kept idle now.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.lock().len()
    }

    async fn dial(&self) -> Result<Connection, OriginError> {
        let dialled = timeout(self.timeouts.connect, self.connector.dial()).await;
        let socket = dialled.map_err(|_| OriginError::ConnectTimeout)?;
        Ok(Connection::new(socket.map_err(OriginError::Connect)?))
    }

    fn take(&self) -> Option<Connection> {
        let now = Instant::now();
        let mut idle = self.lock();
        while let Some(mut last) = idle.pop() {
            if last.until > now && last.connection.is_quiet() {
                return Some(last.connection);
            }
        }
        None
    }

    fn keep(&self, connection: Connection, keep: Option<Duration>) {
        let Some(keep) = keep else { return };
        let mut idle = self.lock();
        if idle.len() < IDLE_COUNT_MAX {
            idle.push(Idle {
                connection,
                until: Instant::now() + keep,
            });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        // The list is whole between any two statements, so a panic elsewhere does not spoil it.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
