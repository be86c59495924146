//! Which platform the commands talk to, and as whom: flags, or the environment, or else a context.

use std::path::PathBuf;
use std::sync::OnceLock;

use rustls_pki_types::CertificateDer;

use super::connection::Target;
use super::contexts::{Context, Contexts};
use super::usage::UsageError;
use super::{Error, sign_in, terminal};
use crate::net::http_client::ServerUrl;
use crate::net::roots;
use crate::net::tls;
use crate::secret::Secret;

/// Where a platform is that nobody says anything of.
const SERVER_DEFAULT: &str = "https://127.0.0.1:8443";
/// Over what may be said with every command, in its help.
pub(super) const GLOBAL: &str = "Global options";
/// Holds a token for scripts.
const TOKEN_VARIABLE: &str = "FLEETWIRE_TOKEN";

/// How to reach the platform.
#[derive(clap::Args)]
pub struct Args {
    /// The platform's address; without it the context's, or https://127.0.0.1:8443
    #[arg(long, global = true, help_heading = GLOBAL, env = "FLEETWIRE_SERVER", value_name = "URL")]
    server: Option<String>,
    /// A file with an API token or key, or - for standard input, in place of the context's; or the token
    /// itself in FLEETWIRE_TOKEN
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// The platform's CA, ca.pem in its data directory; without it the context's, or what this machine
    /// trusts
    #[arg(long, global = true, help_heading = GLOBAL, env = "FLEETWIRE_CA", value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// A platform that was signed in to: see login
    #[arg(long, global = true, help_heading = GLOBAL, env = "FLEETWIRE_CONTEXT", value_name = "NAME")]
    pub(super) context: Option<String>,
    #[arg(skip)]
    given: OnceLock<Option<Secret>>,
}

impl std::fmt::Debug for Args {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Args")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Args {
    /// The platform that calls go to; `authenticated` ones carry a token, which has to be there. What
    /// is said here wins over the context, whose credentials go to the context's server and no other.
    pub(super) async fn target(&self, authenticated: bool) -> Result<Target, Error> {
        let context = self.context()?;
        let server: ServerUrl = match (&self.server, &context) {
            (Some(server), _) => server.parse(),
            (None, Some((_, context))) => context.server.parse(),
            (None, None) => SERVER_DEFAULT.parse(),
        }
        .map_err(UsageError::from)?;
        let same = |context: &Context| context.server.parse().as_ref() == Ok(&server);
        let context = context.filter(|(_, context)| same(context));
        let ca = context
            .as_ref()
            .and_then(|(_, context)| context.ca.as_deref());
        let target = self.towards(server, ca)?;
        if let Some(token) = self.token()? {
            return Ok(target.with_bearer(token));
        }
        let token = match context {
            Some((
                _,
                Context {
                    token: Some(token), ..
                },
            )) => Some(token),
            // For what anybody may call, a token that has ended is no hindrance.
            Some((name, context)) if authenticated => {
                sign_in::access(&name, context, &target).await?
            }
            _ => None,
        };
        match token {
            Some(token) => Ok(target.with_bearer(token)),
            None if authenticated => Err(UsageError::NoToken.into()),
            None => Ok(target),
        }
    }

    /// The token that was given beside all contexts. Never as an argument, which every user of the
    /// machine may read.
    fn token(&self) -> Result<Option<Secret>, UsageError> {
        if let Some(token) = self.given.get() {
            return Ok(token.clone());
        }
        let given = match &self.token_file {
            Some(path) => Some(terminal::secret_from(path)?),
            None => std::env::var(TOKEN_VARIABLE).ok().map(Secret::new),
        };
        let token = given.map(|token| Secret::new(token.expose().trim().to_owned()));
        let token = token.filter(|token| !token.expose().is_empty());
        // Standard input gives it once, and a call that is taken up again asks again.
        Ok(self.given.get_or_init(|| token).clone())
    }

    /// A platform without anybody's credentials: trusted by `--ca`, else by this CA, else as this
    /// machine does.
    pub(super) fn towards(
        &self,
        server: ServerUrl,
        ca: Option<&str>,
    ) -> Result<Target, UsageError> {
        if !server.is_https() {
            return Ok(Target::plain(server));
        }
        let (path, roots) = self.roots(ca)?;
        let config = tls::client_trusting(roots, false)
            .map_err(|source| UsageError::CaContent { path, source })?;
        Ok(Target::secured(server, &config)?)
    }

    /// The context that was named, or the current one.
    fn context(&self) -> Result<Option<(String, Context)>, UsageError> {
        let mut contexts = Contexts::read()?;
        let Some(name) = self.context.clone().or_else(|| contexts.current.take()) else {
            return Ok(None);
        };
        let context = contexts.named(&name)?.clone();
        Ok(Some((name, context)))
    }

    fn roots(
        &self,
        ca: Option<&str>,
    ) -> Result<(PathBuf, Vec<CertificateDer<'static>>), UsageError> {
        let (path, roots) = match (&self.ca, ca) {
            (Some(path), _) => (path.clone(), roots::read(path).map_err(UsageError::CaFile)?),
            (None, Some(pem)) => (
                PathBuf::from("the context"),
                tls::certificates_from_pem(pem),
            ),
            (None, None) => roots::of_this_machine().ok_or(UsageError::NoSystemBundle)?,
        };
        match roots {
            Ok(roots) => Ok((path, roots)),
            Err(source) => Err(UsageError::CaContent { path, source }),
        }
    }
}
