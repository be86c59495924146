//! Which platform the commands talk to, and as whom: flags, or the environment.

use std::path::PathBuf;

use rustls_pki_types::CertificateDer;

use super::connection::Target;
use crate::files::FileError;
use crate::net::http_client::{ServerUrl, ServerUrlError};
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
    /// What was given is not what the call's request has there.
    #[error("{}{what}", match field.as_str() { "" => String::new(), field => format!("{field}: ") })]
    Request {
        /// The field at fault.
        field: String,
        /// What is the matter with it.
        what: String,
    },
    /// A file that was named cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is larger than any request.
    #[error("{} is too large", .0.display())]
    TooLarge(PathBuf),
    /// A credential is needed, and there is nobody to ask for it.
    #[error(
        "there is no terminal to ask at: give it with --{0} FILE, or --{0} - for standard input"
    )]
    NoSecret(&'static str),
    /// The person at the terminal was asked, and said no.
    #[error("nothing was done")]
    NotConfirmed,
    /// The terminal failed, or the question was broken off.
    #[error("the terminal: {0}")]
    Terminal(#[source] std::io::Error),
    /// There is no file of certificates on this machine.
    #[error(
        "this machine has no ca-certificates: name the platform's CA with --ca or FLEETWIRE_CA; it \
         is ca.pem in the platform's data directory"
    )]
    NoSystemBundle,
}

impl Args {
    /// The platform that calls go to; `authenticated` ones carry the token, which has to be there.
    pub(super) async fn target(&self, authenticated: bool) -> Result<Target, UsageError> {
        let token = self
            .token
            .as_deref()
            .map(str::trim)
            .filter(|token| !token.is_empty());
        let token = match token {
            Some(token) => Some(Secret::new(token.to_owned())),
            None if authenticated => return Err(UsageError::NoToken),
            None => None,
        };
        let server: ServerUrl = self.server.parse()?;
        let target = if server.is_https() {
            let (path, roots) = self.roots()?;
            let config = tls::client_trusting(roots, false)
                .map_err(|source| UsageError::CaContent { path, source })?;
            Target::secured(server, &config)?
        } else {
            Target::plain(server)
        };
        Ok(match token {
            Some(token) => target.with_bearer(token),
            None => target,
        })
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
