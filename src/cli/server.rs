//! Which platform the commands talk to, and as whom: flags, or the environment.

use std::path::PathBuf;

use rustls_pki_types::CertificateDer;

use crate::files::FileError;
use crate::net::http_client::{HttpClient, ServerUrl, ServerUrlError};
use crate::net::roots;
use crate::net::tls::{self, TlsError};
use crate::secret::Secret;

/// How to reach the platform.
#[derive(clap::Args)]
pub struct Args {
    /// The platform's address
    #[arg(
        long,
        global = true,
        env = "FLEETWIRE_SERVER",
        value_name = "URL",
        default_value = "https://127.0.0.1:8443"
    )]
    server: String,
    /// An API token; the administrator's is in admin-token in the platform's data directory
    #[arg(
        long,
        global = true,
        env = "FLEETWIRE_TOKEN",
        value_name = "T",
        hide_env_values = true
    )]
    token: Option<String>,
    /// The platform's CA, ca.pem in its data directory; without it what this machine trusts
    #[arg(long, global = true, env = "FLEETWIRE_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl std::fmt::Debug for Args {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Args")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// What was given at the command line cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The address is none.
    #[error(transparent)]
    Url(#[from] ServerUrlError),
    /// There is no token.
    #[error(
        "an API token is needed: --token or FLEETWIRE_TOKEN; the administrator's is in admin-token \
         in the platform's data directory"
    )]
    NoToken,
    /// The CA file cannot be read.
    #[error("--ca or FLEETWIRE_CA: {0}; the platform's is ca.pem in its data directory")]
    CaFile(#[source] FileError),
    /// The CA file holds no certificate.
    #[error("{}: {source}", path.display())]
    CaContent {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: TlsError,
    },
    /// What was given as a session's id is none.
    #[error("{0:?} is no session's id: see session list")]
    SessionId(String),
    /// There is no file of certificates on this machine.
    #[error(
        "this machine has no ca-certificates: name the platform's CA with --ca or FLEETWIRE_CA; it \
         is ca.pem in the platform's data directory"
    )]
    NoSystemBundle,
}

impl Args {
    /// A client for the platform, authenticated.
    pub(super) fn client(&self) -> Result<HttpClient, UsageError> {
        let token = self
            .token
            .as_deref()
            .map(str::trim)
            .filter(|token| !token.is_empty());
        let token = Secret::new(token.ok_or(UsageError::NoToken)?.to_owned());
        let server: ServerUrl = self.server.parse()?;
        let client = if server.is_https() {
            let (path, roots) = self.roots()?;
            let config = tls::client_trusting(roots, false)
                .map_err(|source| UsageError::CaContent { path, source })?;
            HttpClient::new(server, config, None)?
        } else {
            HttpClient::plain(server)?
        };
        Ok(client.with_bearer(token))
    }

    fn roots(&self) -> Result<(PathBuf, Vec<CertificateDer<'static>>), UsageError> {
        let (path, roots) = match &self.ca {
            Some(path) => (path.clone(), roots::read(path).map_err(UsageError::CaFile)?),
            None => roots::of_this_machine().ok_or(UsageError::NoSystemBundle)?,
        };
        match roots {
            Ok(roots) => Ok((path, roots)),
            Err(source) => Err(UsageError::CaContent { path, source }),
        }
    }
}
