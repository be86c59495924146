//! The agent: dials out to the platform and proxies to what its owner allows. This file has its
//! life from start to stop; `dial` keeps the connection, `proxy` carries what comes over it to devices,
//! `transfers` what is for the agent itself, `commands` runs what is to be run, `update` puts another agent in
//! this one's place.

pub mod commands;
pub mod config;
mod credential;
pub mod dial;
pub mod enrol;
pub mod executors;
pub mod health;
pub mod identity;
pub mod origin;
pub mod proxy;
pub mod rewrite;
pub mod target;
pub mod transfers;
pub mod update;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{error, info};

use crate::net::own_origin;
use crate::wire::messages::ErrorCode;
use config::Config;
use dial::{CurrentConnection, Dialer, Fatal, identify};
use enrol::StateDir;
use executors::Executors;
use executors::allowed::UpdateRules;
use proxy::Proxy;
use transfers::Transfers;
use update::Updates;
use update::trial::{self, TrialError};

/// How often idle connections to devices are looked over. Devices close theirs after 5 s and more.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// How long a stop waits for the connection's orderly end. The platform answers a close at once; a
/// path on which it cannot be heard is not waited for.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Why an agent does not run, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Somebody has to change something first.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// A target's certificate authorities cannot be used.
    #[error("target: {0}")]
    Target(#[from] rustls::Error),
    /// It was started on trial, and is not to be taken.
    #[error("the trial failed: {0}")]
    Trial(#[from] TrialError),
    /// It is new in another's place, and the platform was not reached.
    #[error("it was not welcomed by the platform in time")]
    NotWelcomed,
    /// The agent that was here before should come back, and does not.
    #[error("the agent of before cannot be put back: {0}")]
    RollBack(#[from] std::io::Error),
}

/// Runs an agent until `stop`, enrolling it first if need be.
///
/// # Errors
/// [`AgentError`] when trying again is of no use.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> Result<(), AgentError> {
    if let Some(instance) = config.trial {
        return tokio::select! {
            tried = trial::run(&config, instance) => Ok(tried?),
            () = stop => Err(TrialError::Stopped.into()),
        };
    }
    let directory = StateDir::open(&config.state_dir).map_err(Fatal::from)?;
    let current = CurrentConnection::default();
    // Before anything else: what comes after it may be what is wrong with a new agent.
    let updates = Updates::begin(directory.path(), current.clone())?;
    match serve(config, directory, &updates, current, stop).await {
        Err(fault) if updates.is_pending() => {
            error!(error = %fault, "the new agent cannot go on");
            Err(updates.roll_back(&fault.to_string()).into())
        }
        ended => ended,
    }
}

/// Proxies and runs what it is to, until `stop`.
async fn serve(
    config: Config,
    directory: StateDir,
    updates: &Updates,
    current: CurrentConnection,
    stop: impl Future<Output = ()>,
) -> Result<(), AgentError> {
    let directory = Arc::new(directory.through(config.proxy));
    for route in config.routes.all() {
        info!(prefix = route.prefix(), target = %route.target(), "proxying");
    }
    let proxy = Arc::new(Proxy::new(config.routes)?);
    let transfers = Transfers::default();
    let on_stream = {
        let (proxy, transfers) = (proxy.clone(), transfers.clone());
        move |request, send, recv| {
            if own_origin::is_own(&request) {
                return transfers.serve(request, send, recv);
            }
            let proxy = proxy.clone();
            tokio::spawn(async move { proxy.serve(request, send, recv).await });
        }
    };
    let rules = config.commands.allowed.agent_update.as_ref();
    let within = rules.map_or(UpdateRules::default().connect_within, |it| {
        it.connect_within
    });
    let connect_within = Duration::from_secs(within.into());
    let connected = async {
        let token_file = config.token_file.as_deref();
        let state = identify(
            &directory,
            token_file,
            &config.platform,
            config.name.as_str(),
        )
        .await?;
        let host = state.host_id.clone();
        let runs = Executors::new(config.commands.allowed, &host)
            .remembering_in(directory.path())
            .transferring_by(transfers)
            .updating_by(updates.clone());
        let commands = commands::start(directory.path(), host, runs, config.commands.concurrent);
        let commands = commands.await.map_err(Fatal::from)?;
        let dialer = Dialer::new(config.platform, directory, state, commands, current.clone())?;
        let dialer = dialer.updating_by(updates.clone());
        Err(dialer.run(on_stream).await.into())
    };
    tokio::select! {
        result = connected => result,
        () = updates.too_long(connect_within) => Err(AgentError::NotWelcomed),
        () = sweep(&proxy) => Ok(()),
        () = stop => {
            info!("stopping");
            close(&current).await;
            Ok(())
        }
    }
}

/// Ends the connection, if there is one, so that the platform knows that it was meant.
async fn close(current: &CurrentConnection) {
    let connection = current.borrow().clone();
    if let Some(connection) = connection {
        connection.close(ErrorCode::Unspecified, "the agent stops");
        if timeout(CLOSE_WAIT, connection.ended()).await.is_err() {
            info!("the platform does not answer the close");
        }
    }
}

async fn sweep(proxy: &Proxy) {
    let mut ticks = interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        proxy.sweep();
    }
}
