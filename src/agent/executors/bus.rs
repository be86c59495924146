//! The D-Bus over which systemd and its companions are asked, and the bounds within which they are waited
//! for. What is asked is the affair of each kind.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use zbus::proxy::CacheProperties;
use zbus::{Connection, Proxy};

use super::faults::{self, failed};
use super::{Fault, Stop};

/// How long one answer may take. What takes longer, such as a job of systemd, is told by a signal.
const ANSWER: Duration = Duration::from_secs(60);

/// Where the bus is.
#[derive(Clone, Debug, Default)]
pub(super) struct Bus {
    /// Its address; `None` for the system's.
    address: Option<String>,
}

impl Bus {
    pub(super) fn new(address: Option<String>) -> Self {
        Self { address }
    }

    pub(super) async fn connect(&self) -> Result<Connection, Fault> {
        let builder = match &self.address {
            Some(address) => zbus::connection::Builder::address(address.as_str()),
            None => zbus::connection::Builder::system(),
        };
        let connected = builder.method_timeout(ANSWER).build().await;
        connected.map_err(|error| failed("bus_unreachable", format!("the system's D-Bus: {error}")))
    }
}

/// An object of a service. Its properties are asked for each time.
pub(super) async fn object<'a>(
    bus: &Connection,
    service: &'a str,
    path: &'a str,
    interface: &'a str,
) -> Result<Proxy<'a>, Fault> {
    let object: zbus::Result<Proxy<'a>> = async {
        zbus::proxy::Builder::new(bus)
            .destination(service)
            .path(path)
            .interface(interface)
            .cache_properties(CacheProperties::No)
            .build()
            .await
    }
    .await;
    object.map_err(fault)
}

/// What went wrong, in the words of who answered.
pub(super) fn fault(error: zbus::Error) -> Fault {
    let reason = match &error {
        zbus::Error::MethodError(name, ..) if name.as_str().ends_with(".NoSuchUnit") => {
            "service_unknown"
        }
        _ => "bus_error",
    };
    failed(reason, format!("over D-Bus: {error}"))
}

/// What ends a wait before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    TimedOut,
    Stopped,
}

impl Cut {
    pub(super) fn fault(self, limit: Option<Duration>) -> Fault {
        match self {
            Self::TimedOut => faults::timed_out(limit),
            Self::Stopped => faults::cancelled(),
        }
    }
}

/// Waits for something, within the command's time and until it is stopped.
pub(super) async fn within<T>(
    deadline: Option<Instant>,
    stop: &mut Stop,
    work: impl Future<Output = T>,
) -> Result<T, Cut> {
    let limit = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        done = work => Ok(done),
        () = limit => Err(Cut::TimedOut),
        () = stop.told() => Err(Cut::Stopped),
    }
}
