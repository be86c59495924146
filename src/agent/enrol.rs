//! How an agent becomes a host: it trades its single-use token for a credential, once, and keeps
//! that under its state directory. Dialling with it is elsewhere.

use std::fs::File;
use std::path::{Path, PathBuf};

use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::api::{Enrol, Enrolled};
use crate::files::{self, FileError, MODE_SECRET};
use crate::net::enrolment::{ENROL_PATH, EnrolmentToken, TEXT_BYTES_MAX, TokenError};
use crate::net::http_client::{HttpClient, HttpError, ServerUrl, ServerUrlError};
use crate::net::tls::{self, TlsError};
use crate::secret::Secret;

/// The layout of the state file.
const STATE_VERSION: u32 = 1;
/// Largest state file: a credential and a CA certificate are about 1 KiB.
const STATE_BYTES_MAX: usize = 256 * 1024;
/// Largest token file: a token with some blanks around it.
const TOKEN_FILE_BYTES_MAX: usize = TEXT_BYTES_MAX + 1024;

/// The agent has no credential and gets none.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The state directory cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another agent runs with this state directory.
    #[error("{} is in use by another fleetwire-agent: give each its own --state-dir", .0.display())]
    InUse(PathBuf),
    /// The state file is damaged.
    #[error("{}: {reason}; remove it and enrol again with a new token", path.display())]
    State {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is neither a state nor a token.
    #[error(
        "this agent is not enrolled: create a token with \"fleetwire token create\" and name its \
         file with --token-file"
    )]
    NoToken,
    /// The token file cannot be read.
    #[error("--token-file: {0}")]
    TokenFile(#[source] FileError),
    /// The token file holds no token.
    #[error("{}: {source}", path.display())]
    Token {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: TokenError,
    },
    /// The token names a server that TLS cannot ask for.
    #[error(transparent)]
    Server(#[from] ServerUrlError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The platform was not reached, or refused.
    #[error("enrolment failed{}: {source}", code_of(source))]
    Call {
        /// What went wrong.
        #[from]
        source: HttpError,
    },
    /// The platform's answer names another CA than the token.
    #[error("the platform answered with another CA than its token names: do not trust it")]
    OtherCa,
}

impl EnrolError {
    /// Whether trying again later may help without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Call { source } if source.is_transient())
    }
}

/// What an enrolled agent knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentState {
    version: u32,
    /// The id the platform gave to this host.
    pub host_id: String,
    /// The name it has there.
    pub name: String,
    /// What it authenticates with.
    pub auth_token: Secret,
    /// The name it asks for in TLS, whatever address it dials.
    pub server_name: String,
    /// The platform's CA, the only one it trusts.
    pub ca_pem: String,
}

/// An agent's state directory, held by this process alone.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// Held, not read.
    _lock: File,
}

/// What is written down before the first try, so that a lost answer does not cost the token.
#[derive(Serialize, Deserialize)]
struct Attempt {
    idempotency_key: Secret,
}

impl StateDir {
    /// Opens the directory, makes it where it is not there, and keeps other agents out.
    ///
    /// # Errors
    /// When it cannot be made or another agent has it.
    pub fn open(path: &Path) -> Result<Self, EnrolError> {
        files::private_dir(path)?;
        let lock = files::lock(&path.join("lock"))?;
        let lock = lock.ok_or_else(|| EnrolError::InUse(path.to_owned()))?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What this agent knows from an earlier enrolment.
    ///
    /// # Errors
    /// When the state file is there but cannot be used.
    pub fn state(&self) -> Result<Option<AgentState>, EnrolError> {
        let path = self.path.join("state.json");
        let text = match files::read_text(&path, STATE_BYTES_MAX) {
            Ok(text) => text,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let damaged = |reason: String| EnrolError::State {
            path: path.clone(),
            reason,
        };
        let state: AgentState =
            serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        if state.version != STATE_VERSION {
            return Err(damaged(format!("it is of version {}", state.version)));
        }
        Ok(Some(state))
    }

    /// What this agent knows; it enrols at the platform first when it knows nothing. After a
    /// transient error the same call may be made again: the token is not lost.
    ///
    /// # Errors
    /// See [`EnrolError`].
    pub async fn state_or_enrol(
        &self,
        token_file: Option<&Path>,
        platform: &ServerUrl,
        name: &str,
    ) -> Result<AgentState, EnrolError> {
        match self.state()? {
            Some(state) => Ok(state),
            None => {
                self.enrol(token_file.ok_or(EnrolError::NoToken)?, platform, name)
                    .await
            }
        }
    }

    async fn enrol(
        &self,
        token_file: &Path,
        platform: &ServerUrl,
        name: &str,
    ) -> Result<AgentState, EnrolError> {
        let text =
            files::read_text(token_file, TOKEN_FILE_BYTES_MAX).map_err(EnrolError::TokenFile)?;
        let text = Secret::new(text);
        let token = EnrolmentToken::parse(text.expose()).map_err(|source| EnrolError::Token {
            path: token_file.to_owned(),
            source,
        })?;
        let client = if platform.is_https() {
            let config = tls::client_pinned(*token.ca_fingerprint())?;
            HttpClient::new(platform.clone(), config, Some(token.server_name()))?
        } else {
            HttpClient::plain(platform.clone())?
        };
        let request = Enrol {
            token: token.to_text(),
            name: name.to_owned(),
            idempotency_key: self.idempotency_key()?,
        };
        let enrolled: Enrolled = client
            .call(Method::POST, ENROL_PATH, Some(&request))
            .await?;
        let ca = tls::certificates_from_pem(&enrolled.ca_pem)?;
        if ca.first().map(tls::fingerprint) != Some(*token.ca_fingerprint()) {
            return Err(EnrolError::OtherCa);
        }
        let state = AgentState {
            version: STATE_VERSION,
            host_id: enrolled.host_id,
            name: enrolled.name,
            auth_token: enrolled.auth_token,
            server_name: enrolled.server_name,
            ca_pem: enrolled.ca_pem,
        };
        self.write("state.json", &state)?;
        Ok(state)
    }

    /// The key of this agent's enrolment: drawn once, and on disk before it is used.
    fn idempotency_key(&self) -> Result<Secret, EnrolError> {
        let path = self.path.join("enrolment.json");
        match files::read_text(&path, STATE_BYTES_MAX) {
            Ok(text) => {
                if let Ok(attempt) = serde_json::from_str::<Attempt>(&text) {
                    return Ok(attempt.idempotency_key);
                }
            }
            Err(error) if !error.is_missing() => return Err(error.into()),
            Err(_) => {}
        }
        let attempt = Attempt {
            idempotency_key: Secret::generate(""),
        };
        self.write("enrolment.json", &attempt)?;
        Ok(attempt.idempotency_key)
    }

    fn write(&self, file: &str, content: &impl Serialize) -> Result<(), EnrolError> {
        let path = self.path.join(file);
        let text = serde_json::to_vec_pretty(content).map_err(|error| EnrolError::State {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Ok(files::write_atomic(&path, &text, MODE_SECRET)?)
    }
}

fn code_of(error: &HttpError) -> String {
    error
        .code()
        .map_or_else(String::new, |code| format!(" ({code})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_agents() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("state");
        let held = StateDir::open(&path).expect("opened");
        assert!(matches!(StateDir::open(&path), Err(EnrolError::InUse(_))));
        drop(held);
        StateDir::open(&path).expect("free again");
    }

    #[test]
    fn the_key_stays_over_tries_and_a_damaged_state_is_said() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let state = StateDir::open(dir.path()).expect("opened");
        assert!(matches!(state.state(), Ok(None)));
        let key = state.idempotency_key().expect("kept");
        assert_eq!(state.idempotency_key().expect("kept"), key);
        for content in ["", "{}", r#"{"version": 2}"#] {
            std::fs::write(dir.path().join("state.json"), content).expect("written");
            assert!(
                matches!(state.state(), Err(EnrolError::State { .. })),
                "{content:?}"
            );
        }
    }

    #[tokio::test]
    async fn an_agent_without_state_needs_a_token() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let state = StateDir::open(dir.path()).expect("opened");
        let platform: ServerUrl = "https://127.0.0.1:1".parse().expect("an address");
        let enrol = |token: Option<PathBuf>| {
            let (state, platform) = (&state, &platform);
            async move {
                state
                    .state_or_enrol(token.as_deref(), platform, "kvm")
                    .await
            }
        };
        assert!(matches!(enrol(None).await, Err(EnrolError::NoToken)));
        let file = dir.path().join("token");
        assert!(matches!(
            enrol(Some(file.clone())).await,
            Err(EnrolError::TokenFile(_))
        ));
        std::fs::write(&file, "hello").expect("written");
        assert!(matches!(
            enrol(Some(file.clone())).await,
            Err(EnrolError::Token { .. })
        ));
        let token = EnrolmentToken::generate([1; 32], "platform.internal").expect("a name");
        std::fs::write(&file, token.to_text().expose()).expect("written");
        let error = enrol(Some(file)).await.expect_err("nobody listens there");
        assert!(error.is_transient(), "{error}");
    }
}
