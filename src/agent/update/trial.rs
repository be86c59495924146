//! A new program on trial: started by the agent that runs, with its settings and in its name, it reaches the
//! platform with this agent's credential, is welcomed, says so, and ends. It writes nothing, neither the
//! journal nor the state, and asks for no commands: the platform sends none before it is told of a journal.

use std::io::{self, Write as _};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::VERSION;
use crate::agent::config::Config;
use crate::agent::credential::Credential;
use crate::agent::dial::{self, DialError, Fatal};
use crate::agent::enrol::{EnrolError, StateDir};
use crate::clock::UnixMillis;
use crate::ids::Uuid;
use crate::link::{Agent, AgentEvent, Link, Time};
use crate::net::backoff::{Backoff, DIAL_TIMEOUT};
use crate::net::connection::shown;
use crate::net::driver;
use crate::net::tls;
use crate::secret::random;
use crate::wire::Encoding;
use crate::wire::messages::ErrorCode;

/// How long the platform's word is waited for, once it is reached.
const WELCOME_WAIT: Duration = Duration::from_secs(20);
/// How long the end of the connection is waited for.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Why a program is not to be taken.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The state that the agent has cannot be used.
    #[error(transparent)]
    State(#[from] EnrolError),
    /// What it presents cannot be used.
    #[error(transparent)]
    Credential(#[from] Fatal),
    /// It would have to be renewed, which a trial does not do.
    #[error("the agent's certificate has ended")]
    Ended,
    /// The platform lets it in no more.
    #[error("the platform refuses it: {message} ({code})")]
    Refused {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people.
        message: String,
    },
    /// Nobody waits for it any more.
    #[error("it was stopped")]
    Stopped,
    /// Nobody can be told that it was welcomed.
    #[error(transparent)]
    Tell(#[from] io::Error),
}

/// Why it did not come to anything this time.
#[derive(Debug, thiserror::Error)]
enum Missed {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the platform does not answer")]
    Silent(#[from] tokio::time::error::Elapsed),
    #[error("the connection ended before the welcome")]
    Cut,
    #[error("the platform says to come back later: {0}")]
    Later(String),
}

/// What the platform says.
enum Word {
    Welcome,
    Refused {
        code: ErrorCode,
        message: String,
        permanent: bool,
    },
}

/// What a program says that was welcomed.
pub fn told(version: &str) -> String {
    format!("fleetwire-agent {version} is welcome")
}

/// Tries until it is welcomed, for as long as whoever started it lets it. `instance` names the run of the
/// agent whose place it is to take, so that the platform does not take it for another machine.
///
/// # Errors
/// [`TrialError`] when trying again is of no use.
pub async fn run(config: &Config, instance: Uuid) -> Result<(), TrialError> {
    let directory = StateDir::beside(&config.state_dir).through(config.proxy.clone());
    let mut backoff = Backoff::default();
    loop {
        // Read again: the certificate may have been renewed meanwhile.
        let state = directory.state()?.ok_or(EnrolError::NoToken)?;
        let credential = Credential::new(&directory, &state, &config.platform)?;
        if credential.has_ended(UnixMillis::now()) {
            return Err(TrialError::Ended);
        }
        let hello = dial::hello(&state, &credential, instance);
        let word = async {
            let socket = timeout(DIAL_TIMEOUT, dial::reach(&config.platform, &credential));
            let socket = socket.await??;
            let (say, mut said) = mpsc::channel(1);
            // One word is all that is listened to.
            let on_event = move |event, connection: &_| match event {
                AgentEvent::Welcome(_) => drop(say.try_send(Word::Welcome)),
                AgentEvent::Refuse(refuse) => drop(say.try_send(Word::Refused {
                    code: refuse.code,
                    message: shown(&refuse.message),
                    permanent: refuse.permanent,
                })),
                AgentEvent::Opened { key, .. } => {
                    drop(crate::net::connection::Connection::halves(connection, key));
                }
                _ => {}
            };
            let link = Link::<Agent>::connect(hello, Time::default());
            let (connection, driver) =
                driver::start(socket, link, Some(Encoding::Binary), on_event);
            tokio::spawn(driver);
            let word = timeout(WELCOME_WAIT, said.recv()).await;
            connection.close(ErrorCode::Unspecified, "the trial is over");
            let _ = timeout(CLOSE_WAIT, connection.ended()).await;
            word?.ok_or(Missed::Cut)
        };
        let missed = match word.await {
            Ok(Word::Welcome) => {
                writeln!(io::stdout(), "{}", told(VERSION))?;
                return Ok(());
            }
            Ok(Word::Refused {
                code,
                message,
                permanent: true,
            }) => return Err(TrialError::Refused { code, message }),
            Ok(Word::Refused { message, .. }) => Missed::Later(message),
            Err(missed) => missed,
        };
        let text = missed.to_string();
        let (wait, _) = backoff.next_wait(u64::from_ne_bytes(random()));
        warn!(error = %tls::plain_words(&text), "the trial has not been welcomed yet");
        sleep(wait).await;
    }
}
