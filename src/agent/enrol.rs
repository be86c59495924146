//! How an agent becomes a host: it trades its single-use token for a device token and a certificate,
//! once, keeps them under its state directory, and renews them there. Dialling with them is elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use serde::{Deserialize, Serialize};

use super::identity::{Identity, IdentityError};
use crate::clock::UnixMillis;
use crate::files::{self, FileError, Lock, MODE_SECRET};
use crate::net::enrolment::{ENROL_PATH, EnrolmentToken, RENEW_PATH, TEXT_BYTES_MAX, TokenError};
use crate::net::http_client::{HttpClient, HttpError, ServerUrl, ServerUrlError};
use crate::net::tls::{self, TlsError};
use crate::secret::Secret;
use crate::wire::api::{
    EnrolHostRequest, EnrolHostResponse, RenewCertificateRequest, RenewCertificateResponse,
};

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
    /// The agent's key cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The platform was not reached, or refused to renew.
    #[error("the certificate was not renewed{}: {source}", code_of(source))]
    Renewal {
        /// What went wrong.
        #[source]
        source: HttpError,
    },
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
        match self {
            Self::Call { source } => source.is_transient(),
            // What cannot be trusted may be trusted again: the platform is known, unlike at the first
            // contact, and its clock or this one may be wrong for a while.
            Self::Renewal { source } => {
                source.is_transient() || matches!(source, HttpError::Tls { .. })
            }
            _ => false,
        }
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
    /// The CAs it trusts, the platform's own first.
    pub ca_pem: String,
    /// The certificate it presents (PEM). `None` for one that was enrolled before there were any: its
    /// token is all that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// When it is to ask for another, by this machine's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_at_unix_ms: Option<u64>,
}

/// An agent's state directory, held by this process alone.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// Trusted in the platform's place, where a proxy in front of it ends TLS.
    proxy: Option<Arc<ClientConfig>>,
    /// Held, not read. `None` beside the process that holds it.
    _lock: Option<Lock>,
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
            proxy: None,
            _lock: Some(lock),
        })
    }

    /// The directory that another process holds, for whoever only reads what is there.
    pub fn beside(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            proxy: None,
            _lock: None,
        }
    }

    /// Reaches the platform through a proxy that ends TLS, if there is one: it is trusted by these
    /// settings and asked for by its own name. No certificate is shown to it.
    #[must_use]
    pub fn through(self, proxy: Option<Arc<ClientConfig>>) -> Self {
        Self { proxy, ..self }
    }

    /// The settings for that proxy.
    pub const fn proxy(&self) -> Option<&Arc<ClientConfig>> {
        self.proxy.as_ref()
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
        let client = if let Some(proxy) = &self.proxy {
            HttpClient::new(platform.clone(), proxy.clone(), None)?
        } else if platform.is_https() {
            let config = tls::client_pinned(*token.ca_fingerprint())?;
            HttpClient::new(platform.clone(), config, Some(token.server_name()))?
        } else {
            HttpClient::plain(platform.clone())?
        };
        let identity = self.identity()?;
        let request = EnrolHostRequest {
            token: token.to_text(),
            name: name.to_owned(),
            csr: identity.request()?,
        };
        let enrolled: EnrolHostResponse = client.post(ENROL_PATH, request).await?;
        let ca = tls::certificates_from_pem(&enrolled.ca_pem)?;
        if ca.first().map(tls::fingerprint) != Some(*token.ca_fingerprint()) {
            return Err(EnrolError::OtherCa);
        }
        identity.with_certificate(&enrolled.certificate)?;
        let state = AgentState {
            version: STATE_VERSION,
            host_id: enrolled.host_id.to_string(),
            name: enrolled.name,
            auth_token: enrolled.auth_token,
            server_name: enrolled.server_name,
            ca_pem: enrolled.ca_pem,
            certificate: Some(enrolled.certificate),
            renew_at_unix_ms: Some(moment_in(enrolled.renew_after_seconds)),
        };
        self.write("state.json", &state)?;
        Ok(state)
    }

    /// This agent's key, which is made where there is none.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn identity(&self) -> Result<Identity, EnrolError> {
        Ok(Identity::open_or_make(&self.path.join("agent.key"))?)
    }

    /// Asks for another certificate by a request of its own, for an agent whose certificate has ended
    /// and whom nothing else is open to.
    ///
    /// # Errors
    /// See [`EnrolError`].
    pub async fn renew(
        &self,
        identity: &Identity,
        state: &AgentState,
        platform: &ServerUrl,
    ) -> Result<AgentState, EnrolError> {
        let client = if let Some(proxy) = &self.proxy {
            HttpClient::new(platform.clone(), proxy.clone(), None)?
        } else {
            let roots = tls::certificates_from_pem(&state.ca_pem)?;
            // Without a certificate: one that has ended would be of no use.
            let config = tls::client_trusting(roots, true)?;
            HttpClient::new(platform.clone(), config, Some(&state.server_name))?
        };
        let request = RenewCertificateRequest {
            auth_token: state.auth_token.clone(),
            csr: identity.request()?,
        };
        let renewed = client.post(RENEW_PATH, request).await;
        let renewed = renewed.map_err(|source| EnrolError::Renewal { source })?;
        self.take(identity, state, renewed)
    }

    /// Takes over what a renewal gave, once it is on disk: until then what was there is all that counts.
    ///
    /// # Errors
    /// When it cannot be used or written.
    pub fn take(
        &self,
        identity: &Identity,
        state: &AgentState,
        renewed: RenewCertificateResponse,
    ) -> Result<AgentState, EnrolError> {
        identity.with_certificate(&renewed.certificate)?;
        tls::certificates_from_pem(&renewed.ca_pem)?;
        tls::server_name(&renewed.server_name)?;
        let state = AgentState {
            auth_token: renewed.auth_token,
            server_name: renewed.server_name,
            ca_pem: renewed.ca_pem,
            certificate: Some(renewed.certificate),
            renew_at_unix_ms: Some(moment_in(renewed.renew_after_seconds)),
            ..state.clone()
        };
        self.write("state.json", &state)?;
        Ok(state)
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

fn moment_in(seconds: u32) -> u64 {
    let after = Duration::from_secs(u64::from(seconds));
    UnixMillis::now().plus(after).0
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
    fn a_damaged_state_is_said() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let state = StateDir::open(dir.path()).expect("opened");
        assert!(matches!(state.state(), Ok(None)));
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
