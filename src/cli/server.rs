//! Which platform the commands talk to, and as whom: flags, or the environment, or else a context.

use std::path::PathBuf;
use std::sync::OnceLock;

use rustls_pki_types::CertificateDer;

use super::connection::Target;
use super::contexts::{Context, Contexts};
use super::{Error, sign_in, terminal};
use crate::files::FileError;
use crate::net::http_client::{ServerUrl, ServerUrlError};
use crate::net::roots;
use crate::net::tls::{self, TlsError};
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

/// What was given at the command line cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The address is none.
    #[error(transparent)]
    Url(#[from] ServerUrlError),
    /// There is no token.
    #[error(
        "nobody is signed in: fleetwire login, or give an API token with --token-file or FLEETWIRE_TOKEN; \
         the administrator's is in admin-token in the platform's data directory"
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
    /// One signs in in one way.
    #[error("sign in in one way: as a --user, with --oidc or with --token-file")]
    ManyCredentials,
    /// Nobody says who signs in, and there is nobody to ask.
    #[error(
        "there is no terminal to ask at: say who with --user, or sign in with --oidc or --token-file"
    )]
    NoUser,
    /// The person at the terminal was asked, and said no.
    #[error("nothing was done")]
    NotConfirmed,
    /// What would be done has to be agreed to, and there is nobody to ask.
    #[error("{0}, and there is no terminal to ask at: --yes goes ahead, --dry-run says which")]
    NobodyToConfirm(String),
    /// The terminal failed, or the question was broken off.
    #[error("the terminal: {0}")]
    Terminal(#[source] std::io::Error),
    /// The browser did not come back with what signs somebody in.
    #[error("signing in in the browser: {0}")]
    Browser(String),
    /// A sign-in does not last for ever.
    #[error("{0}: fleetwire login")]
    Ended(String),
    /// Standard input is taken.
    #[error("standard input is the client's here: give the token in a file, or in FLEETWIRE_TOKEN")]
    StandardInput,
    /// There is no such tool.
    #[error(
        "there is no tool {0:?}: they are named after the methods of the API, as list_hosts is"
    )]
    NoTool(String),
    /// There is no such context.
    #[error("there is no context {0:?}: see context list, or fleetwire login")]
    NoContext(String),
    /// A context cannot be called so.
    #[error("{0:?} is no name for a context: 1 to 128 letters, digits, -, _ or .")]
    ContextName(String),
    /// There is no place for contexts.
    #[error("there is nowhere to keep contexts: HOME and XDG_CONFIG_HOME are not set")]
    NoHome,
    /// The file of contexts cannot be used.
    #[error("{}: {what}", path.display())]
    Config {
        /// Which file.
        path: PathBuf,
        /// What is the matter with it.
        what: String,
    },
    /// Nobody says whether the platform is to be trusted.
    #[error(
        "this machine does not trust {server}; its CA has the fingerprint {fingerprint}: compare that \
         with the platform's, then give it with --ca-fingerprint, or the CA's file with --ca"
    )]
    Untrusted {
        /// Which platform.
        server: ServerUrl,
        /// What it showed.
        fingerprint: String,
    },
    /// The platform shows another CA than the one that was named.
    #[error(
        "{server} shows a CA with the fingerprint {fingerprint}, which is not the one that was given"
    )]
    OtherCa {
        /// Which platform.
        server: ServerUrl,
        /// What it showed.
        fingerprint: String,
    },
    /// There is no file of certificates on this machine.
    #[error(
        "this machine has no ca-certificates: name the platform's CA with --ca or FLEETWIRE_CA; it \
         is ca.pem in the platform's data directory"
    )]
    NoSystemBundle,
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
